"""What a table keeps for its next session: the same answers, and Python is not asked again.

Also what is kept of bounded many, and what sessions on one table must not share.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import iamtables as it
from iamtables import ColumnError, DecisionCode
from iamtables.runtime.kept import LONGEST_KEPT, Kept

A, B = "111122223333", "444455556666"


def document(*statements: dict[str, Any], kind: Any = "identity") -> it.PolicyDocument:
    return it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
                           policy_type=kind)


def statement(action: str, resource: str, effect: str = "Allow",
              **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": action, "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


def test_an_answer_is_worked_out_once_and_all_go_when_there_are_too_many() -> None:
    asked: list[tuple[object, ...]] = []

    def answer(*question: object) -> int:
        asked.append(question)
        return len(asked)

    kept: Kept[tuple[object, ...], int] = Kept(answer, 3)
    assert [kept[n, None] for n in (1, 2, 1, 3, 2)] == [1, 2, 1, 3, 2]
    assert kept[4, None] == 4 and len(kept) == 1
    assert kept[1, None] == 5


def test_long_texts_and_failures_are_not_kept() -> None:
    def answer(text: bytes) -> int:
        if text == b"bad":
            raise ValueError
        return len(text)

    kept: Kept[tuple[bytes], int] = Kept(answer, 10)
    assert kept[b"x" * (LONGEST_KEPT + 1),] == LONGEST_KEPT + 1 and not kept
    assert kept[b"x" * LONGEST_KEPT,] == LONGEST_KEPT and len(kept) == 1
    for _ in range(2):
        with pytest.raises(ValueError):
            kept[b"bad",]


def counted(table: Any, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often slow answers are worked out from now on."""
    calls: Counter[str] = Counter()
    planner = table.planner
    for owner, name in ((planner.estate, "requester_side"), (planner.estate, "resource_side"),
                        (planner.estate, "exceptions_of"), (planner, "action_set_bits"),
                        (planner, "predicate"), (planner.sets, "filled")):
        monkeypatch.setattr(owner, name, _counting(calls, name, getattr(owner, name)))
    return calls


def _counting(calls: Counter[str], name: str, answer: Any) -> Any:
    def ask(*given: Any) -> Any:
        calls[name] += 1
        return answer(*given)

    return ask


def test_the_next_session_asks_nothing_that_was_asked_before(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    arns = [f"arn:aws:iam::{A}:user/{name}" for name in ("q", "r")]
    table = it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=tuple(it.Principal(arn, identity=it.PolicySet((document(
            statement("s3:GetObject", "arn:aws:s3:::home/${aws:username}/*"),
            statement("s3:GetObject", "arn:aws:s3:::a/*",
                      StringLike={"s3:prefix": ["x*", "y?"]}),
            statement("s3:GetObject", "arn:aws:s3:::b/*", StringEquals={"s3:prefix": arn[-1]}),
        ),))) for arn in arns)))
    rows = [(arn, f"arn:aws:s3:::{key}", prefix) for arn in arns
            for key in ("home/q/1", "home/r/1", "a/1", "b/1", "c/1")
            for prefix in ("x1", "y", "yy", "q", None)]
    principals, resources, prefixes = map(list, zip(*rows, strict=True))
    asked = {"principal": principals, "action": "s3:GetObject", "resource": resources,
             "resource_account": A, "context": {"s3:prefix": prefixes}}
    calls = counted(table, monkeypatch)
    first = table.decide(**asked)
    assert set(calls) == {"requester_side", "resource_side", "exceptions_of", "action_set_bits",
                          "predicate", "filled"}
    calls.clear()
    second = table.decide(**asked)
    assert not calls
    assert second.decision.tolist() == first.decision.tolist()
    expected = [
        f"home/{arn[-1]}/" in resource
        or ("::a/" in resource and prefix is not None
            and (prefix.startswith("x") or (len(prefix) == 2 and prefix[0] == "y")))
        or ("::b/" in resource and prefix == arn[-1]) for arn, resource, prefix in rows]
    assert (first.decision == DecisionCode.ALLOW).tolist() == expected


def test_a_side_is_kept_for_what_begins_alike(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session meets other objects of a bucket first."""
    grants = it.PolicySet((document(
        {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": "*"},
        kind="resource"),))
    place = f"arn:aws:sns:us-east-1:{A}:"
    table = it.compile(it.Organization(
        accounts=(it.Account(A), it.Account(B)), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=(it.Principal(f"arn:aws:iam::{A}:role/r", identity=it.PolicySet(())),),
        resource_policies=(it.ResourcePolicy("arn:aws:s3:::open", grants, account=A),)))
    calls = counted(table, monkeypatch)

    def decide(*resources: str) -> list[int]:
        return list(table.decide(principal=f"arn:aws:iam::{A}:role/r", action="sns:Publish",
                                 resource=list(resources)).decision.tolist())

    assert decide(place + "one") == [DecisionCode.IMPLICIT_DENY]
    assert calls["resource_side"] == 1
    assert decide(place + "two", place + "three") == [DecisionCode.IMPLICIT_DENY] * 2
    assert calls["resource_side"] == 1
    assert decide(place.replace(A, B) + "one") == [DecisionCode.IMPLICIT_DENY]
    assert calls["resource_side"] == 2


def test_whose_a_resource_is_is_not_what_an_earlier_session_was_told() -> None:
    """The ARN of a bucket does not tell its account."""
    role = f"arn:aws:iam::{A}:role/r"
    table = it.compile(it.Organization(
        accounts=(it.Account(A), it.Account(B)), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=(it.Principal(role, identity=it.PolicySet((
            document(statement("s3:GetObject", "*")),))),)))
    for _ in range(2):
        for owner, expected in ((A, DecisionCode.ALLOW), (B, DecisionCode.IMPLICIT_DENY)):
            out = table.decide(principal=role, action="s3:GetObject", resource_account=owner,
                               resource=["arn:aws:s3:::b/1", "arn:aws:s3:::b/2"])
            assert out.decision.tolist() == [expected] * 2


def test_states_of_values_are_kept_by_key_and_unknown_is_not_absent() -> None:
    """The same text as a value of two keys, absent and unknown, in one session after the other."""
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", "*", StringEquals={"aws:RequestTag/a": "1"}),
        statement("s3:PutObject", "*", StringEquals={"aws:RequestTag/b": "2"}),
        statement("s3:DeleteObject", "*", Null={"aws:RequestTag/a": "true"}))])
    for _ in range(2):
        for action, tags, unknown, expected in (
            ("s3:GetObject", {"a": "1", "b": "1"}, (), "ALLOW"),
            ("s3:PutObject", {"a": "1", "b": "1"}, (), "IMPLICIT_DENY"),
            ("s3:PutObject", {"a": "2", "b": "2"}, (), "ALLOW"),
            ("s3:GetObject", {"a": "2"}, (), "IMPLICIT_DENY"),
            ("s3:GetObject", {}, (), "IMPLICIT_DENY"),
            ("s3:GetObject", {}, ("aws:RequestTag/a",), "UNDETERMINED"),
            ("s3:DeleteObject", {}, (), "ALLOW"),
            ("s3:DeleteObject", {"a": "1"}, (), "IMPLICIT_DENY"),
            ("s3:DeleteObject", {}, ("aws:RequestTag/a",), "UNDETERMINED"),
        ):
            out = table.decide(
                principal=f"arn:aws:iam::{A}:role/r", action=[action] * 4, resource="*",
                resource_account=A, unknown=dict.fromkeys(unknown, True),
                context={f"aws:RequestTag/{k}": [v] * 4 for k, v in tags.items()})
            assert {DecisionCode(d).name for d in out.decision.tolist()} == {expected}, (
                action, tags, unknown)


def test_a_value_that_is_refused_is_refused_again() -> None:
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", "*", StringEquals={"aws:SourceVpc": "1"}))])
    for _ in range(2):
        with pytest.raises(ColumnError, match="single-valued"):
            table.decide(principal=f"arn:aws:iam::{A}:role/r", action="s3:GetObject",
                         resource="*", resource_account=A,
                         context={"aws:SourceVpc": [["1", "2"]]})
