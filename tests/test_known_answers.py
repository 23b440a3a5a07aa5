"""What a requester's question comes to is found by its place or, where there is no room, by a
hash: the answers are the same (runtime/grids.pyx stands before the table of runtime/records.pyx).

Sizes are those at which a grid grows: from 15 requesters and 15 questions, by doubling. Rows whose
columns are dictionaries are found by codes in one loop (runtime/placed.pyx), which `placed` counts.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

import iamtables as it
from iamtables import DecisionCode

A = "111122223333"
ACTIONS = [f"s3:{verb}{what}" for verb in ("Get", "Put", "Delete", "List", "Start")
           for what in ("Object", "ObjectAcl", "Bucket", "Thing", "Tags", "Lock", "Legal", "Cors")]


def allowed(requester: int, action: int) -> bool:
    """By what the policies below say; every third requester only in one region."""
    return action % (requester % 7 + 1) == 0


@pytest.fixture(scope="module")
def table() -> Any:
    """70 roles; of every third, what they may do hangs on a condition."""
    principals = []
    for requester in range(70):
        statement: dict[str, Any] = {
            "Effect": "Allow", "Resource": "*",
            "Action": [a for n, a in enumerate(ACTIONS) if allowed(requester, n)]}
        if requester % 3 == 0:
            statement["Condition"] = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        principals.append(it.Principal(role(requester), identity=it.PolicySet((
            it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]})),))))
    return it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=tuple(principals)))


def role(requester: int) -> str:
    return f"arn:aws:iam::{A}:role/r{requester}"


def decide(session: Any, rows: list[tuple[int, int, str]]) -> tuple[Any, list[bool]]:
    out = session.decide(
        principal=[role(r) for r, _, _ in rows], action=[ACTIONS[a] for _, a, _ in rows],
        resource="arn:aws:s3:::b/1", resource_account=A,
        context={"aws:RequestedRegion": [region for _, _, region in rows]})
    expected = [allowed(r, a) and (r % 3 != 0 or region == "eu-west-1") for r, a, region in rows]
    return out, expected


def rows_of(requesters: int, actions: int) -> list[tuple[int, int, str]]:
    """All pairs, in an order in which both numbers go up and down, with two regions."""
    return [(r, (a * 7 + r) % actions, ("eu-west-1", "us-east-1")[(a + r) % 2])
            for a in range(actions) for r in range(requesters)]


@pytest.mark.parametrize("limit", [0, 255, 256, 512, 1024, 4096, None])
@pytest.mark.parametrize(("requesters", "actions"), [
    (2, 1), (15, 15), (16, 15), (15, 16), (33, 40), (70, 40)])
def test_the_way_does_not_change_the_answer(
    table: Any, requesters: int, actions: int, limit: int | None
) -> None:
    rows = rows_of(requesters, actions)
    with table.session() as session:
        if limit is not None:
            session._engine(0).answer_limit = limit
        for _ in range(3):
            out, expected = decide(session, rows)
            assert (out.decision == DecisionCode.ALLOW).tolist() == expected
            assert out.error_count == 0
        cells = room(requesters) * room(actions)
        assert (session.counts()["answers"] > 0) == (cells <= (2**22 if limit is None else limit))


def room(count: int) -> int:
    """Cells in a row or a column, the first of which stays empty."""
    return max(16, 1 << count.bit_length())


def test_statements_are_those_of_the_other_way(table: Any) -> None:
    rows = rows_of(70, 40)
    with table.session() as by_place, table.session() as by_hash:
        by_hash._engine(0).answer_limit = 0
        for _ in range(2):
            one, _ = decide(by_place, rows)
            other, _ = decide(by_hash, rows)
            assert one.statement.tolist() == other.statement.tolist()
            assert one.layer.tolist() == other.layer.tolist()
            assert one.decision.tolist() == other.decision.tolist()
        assert by_place.counts()["answers"] and not by_hash.counts()["answers"]


def test_answers_go_with_the_records_that_they_lead_to(table: Any) -> None:
    """Records that are dropped leave their numbers, and those of questions, to others."""
    rows = rows_of(70, 40)
    with table.session() as session:
        session._engine(0).record_limit = 500
        counts = []
        for start in [*range(0, len(rows), 100), *range(0, len(rows), 70)]:
            out, expected = decide(session, rows[start:start + 150])
            assert (out.decision == DecisionCode.ALLOW).tolist() == expected
            counts.append(session.counts()["answers"])
        assert any(later < earlier for earlier, later in itertools.pairwise(counts))


def test_rows_that_are_errors_have_no_place(table: Any) -> None:
    rows = rows_of(20, 20)
    with table.session() as session:
        for _ in range(3):
            out = session.decide(
                principal=[role(r) if r % 5 else "nobody" for r, _, _ in rows],
                action=[ACTIONS[a] if a % 4 else "nothing" for _, a, _ in rows],
                resource="arn:aws:s3:::b/1", resource_account=A,
                context={"aws:RequestedRegion": "eu-west-1"})
            is_wrong = [r % 5 == 0 or a % 4 == 0 for r, a, _ in rows]
            assert (out.error != 0).tolist() == is_wrong
            assert out.error_count == sum(is_wrong)
            assert (out.decision == DecisionCode.ALLOW).tolist() == [
                not wrong and allowed(r, a)
                for wrong, (r, a, _) in zip(is_wrong, rows, strict=True)]


def test_more_kinds_of_resources_than_have_questions_by_place() -> None:
    """Thirty-one have; each of forty buckets denies other actions: each is of a kind of its own."""
    def held(effect: str, actions: list[str], kind: Any, **more: Any) -> it.PolicySet:
        text = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": effect, "Action": actions, "Resource": "*", **more}]})
        return it.PolicySet((it.parse_policy(text, policy_type=kind),))

    buckets = [f"arn:aws:s3:::bucket-{n}" for n in range(40)]
    table = it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=(it.Principal(role(0), identity=held("Allow", ["s3:*"], "identity")),),
        resource_policies=tuple(
            it.ResourcePolicy(bucket, held(
                "Deny", [a for n, a in enumerate(ACTIONS) if (n + b) % 3 == 0 or n == b],
                "resource", Principal="*"), A)
            for b, bucket in enumerate(buckets))))
    rows = [(n, (n * 7 + turn) % 40) for n in range(40) for turn in range(40)]
    expected = [DecisionCode.EXPLICIT_DENY if (n + b) % 3 == 0 or n == b else DecisionCode.ALLOW
                for n, b in rows]
    with table.session() as session:
        for _ in range(3):
            out = session.decide(
                principal=role(0), action=[ACTIONS[n] for n, _ in rows], resource_account=A,
                resource=[f"{buckets[b]}/key" for _, b in rows])
            assert out.decision.tolist() == expected
        assert session.counts()["sides"] >= 40
