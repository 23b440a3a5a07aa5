"""What do statements cost: thousands on one action, a hundred thousand globs, ever more of them?

One principal's policies (the table asks for nobody), made up; answers follow from how they were
made. Deciding is warm, from ids; each table keeps the same rows where one is compared with
another.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from goals import Goal, InTurns, Judge
from numpy.typing import NDArray

import iamtables
from iamtables import DictionaryColumn

PER_DOCUMENT = 1_000


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def compiled(statements: list[dict[str, Any]]) -> iamtables.Table:
    return iamtables.compile([
        iamtables.parse_policy(document(*statements[at:at + PER_DOCUMENT]), name=f"p{at}")
        for at in range(0, len(statements), PER_DOCUMENT)])


def requests(rows: int, actions: list[str], resources: list[str], share: float
             ) -> dict[str, DictionaryColumn]:
    """Rows of which `share` ask for the first action, the rest for the others."""
    rng = np.random.default_rng(11)
    action = rng.integers(1, len(actions), rows)
    action[rng.random(rows) < share] = 0
    return {"action": DictionaryColumn(action.astype(np.int32), actions),
            "resource": DictionaryColumn(
                rng.integers(0, len(resources), rows).astype(np.int32), resources)}


OTHERS = [f"ec2:Describe{name}" for name in ("Vpcs", "Subnets", "Images", "Instances", "Hosts")]


@pytest.mark.benchmark(group="statements: one action")
def test_a_thousand_statements_on_one_action(
    in_turns: InTurns, judge: Judge, is_timed: bool
) -> None:
    """Each names a resource of its own; the plain case has one statement for all of them."""
    rows = 1_000_000 if is_timed else 5_000
    everyone = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
    buckets = [f"arn:aws:s3:::team-{i:04d}" for i in range(1_000)]
    many = compiled([everyone, *(
        {"Sid": f"s{i}", "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{b}/*",
         "Condition": {"StringEquals": {"aws:PrincipalTag/team": str(i % 7)}}}
        for i, b in enumerate(buckets))])
    plain = compiled([everyone, {
        "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::team-*/*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": list("0123456")}}}])
    resources = [f"{buckets[i % 1_000]}/object-{i}" for i in range(20_000)]
    columns = requests(rows, ["s3:GetObject", *OTHERS], resources, 0.25)
    tag = np.arange(rows, dtype=np.int32) % 7
    asked = columns | {"aws:PrincipalTag/team": DictionaryColumn(tag, list("0123456"))}
    with many.session() as session, plain.session() as other:
        session.decide(asked)
        other.decide(asked)
        turns = in_turns(lambda: session.decide(asked), lambda: other.decide(asked),
                         facts={"rows": rows})
    is_allowed = (columns["action"].codes > 0) | (columns["resource"].codes % 1_000 % 7 == tag)
    assert np.array_equal(turns.result.decision == iamtables.DecisionCode.ALLOW, is_allowed)
    judge("1,000 resource-specific statements on one action, against one statement", turns.ratio,
          Goal(3, "x"))


def globs_of(count: int) -> list[dict[str, Any]]:
    """Statements on one action with a glob each, none of them a mere prefix."""
    return [{"Effect": "Deny" if i % 10 == 3 else "Allow", "Action": "s3:GetObject",
             "Resource": f"arn:aws:s3:::company-{i % 97}-data/team-{i}/*/part-*.parquet"}
            for i in range(count)]


def asked_of(count: int, rows: int, distinct: int
             ) -> tuple[dict[str, DictionaryColumn], NDArray[np.uint8]]:
    """Requests on resources of which four in five match one glob, and their decisions."""
    numbers = np.arange(distinct) * 7919 % (count + count // 4)
    resources = [f"arn:aws:s3:::company-{n % 97}-data/team-{n}/2026-{i}/part-{i:05d}.parquet"
                 for i, n in enumerate(numbers.tolist())]
    codes = np.random.default_rng(5).integers(0, distinct, rows).astype(np.int32)
    decision = np.where(numbers >= count, iamtables.DecisionCode.IMPLICIT_DENY, np.where(
        numbers % 10 == 3, iamtables.DecisionCode.EXPLICIT_DENY, iamtables.DecisionCode.ALLOW))
    columns = {"action": DictionaryColumn(np.zeros(rows, dtype=np.int32), ["s3:GetObject"]),
               "resource": DictionaryColumn(codes, resources)}
    return columns, decision.astype(np.uint8)[codes]


@pytest.mark.parametrize(("count", "compile_ms"), [(10_000, 50), (100_000, 500)])
@pytest.mark.benchmark(group="statements: globs")
def test_distinct_globs_on_one_principal(
    in_turns: InTurns, judge: Judge, is_timed: bool, count: int, compile_ms: float
) -> None:
    """Compiling is from parsed documents to a table."""
    used = count if is_timed else count // 100
    rows, distinct = (1_000_000, 100_000) if is_timed else (5_000, 500)
    statements = globs_of(used)
    documents = [iamtables.parse_policy(document(*statements[at:at + PER_DOCUMENT]), name=f"p{at}")
                 for at in range(0, used, PER_DOCUMENT)]
    taken = []
    for _ in range(2 if is_timed else 1):
        started = time.thread_time()
        table = iamtables.compile(documents)
        taken.append(time.thread_time() - started)
    columns, expected = asked_of(used, rows, distinct)
    with table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: session.decide(columns), facts={"rows": rows, "globs": used},
                         rounds=3)
    assert np.array_equal(turns.result.decision, expected)
    judge(f"{count:,} globs on one principal, 100,000 resources, warm, M rows/s",
          rows / turns.question_s / 1e6, Goal(10, "M rows/s", is_floor=True))
    judge(f"compiling {count:,} globs, ms", min(taken) * 1e3, Goal(compile_ms, "ms"))


def synthetic(count: int) -> list[dict[str, Any]]:
    """As in real policies: most for any resource, some with patterns or conditions, few denies."""
    services = ("s3", "ec2", "sqs", "sns", "kms", "ecs", "rds", "logs", "glue", "iam")
    found = []
    for i in range(count):
        service = services[i % 10]
        statement: dict[str, Any] = {
            "Effect": "Deny" if i % 50 == 7 else "Allow",
            "Action": [f"{service}:Act{(i * 31 + k) % 40}" for k in range(3)],
            "Resource": "*" if i % 20 < 4 else f"arn:aws:{service}:*:111122223333:kind{i}/*"}
        if i % 20 < 4 or i % 50 == 7:
            statement["Condition"] = {"StringEquals": {"aws:RequestedRegion": f"region-{i % 9}"}}
        found.append(statement)
    return found


def synthetic_rows(statements: int, rows: int) -> dict[str, DictionaryColumn]:
    """The same requests whatever the policies, a quarter of them on what statements speak of."""
    services = ("s3", "ec2", "sqs", "sns", "kms", "ecs", "rds", "logs", "glue", "iam")
    names = [f"{service}:Act{k}" for service in services for k in range(40)]
    names += [f"other{k}:Act" for k in range(100)]
    rng = np.random.default_rng(17)
    action = np.where(rng.random(rows) < 0.25, rng.integers(0, 400, rows),
                      rng.integers(400, 500, rows)).astype(np.int32)
    kinds = rng.integers(0, statements, 20_000)
    resources = [f"arn:aws:{services[k % 10]}:eu-west-1:111122223333:kind{k}/thing-{i}"
                 for i, k in enumerate(kinds.tolist())]
    return {"action": DictionaryColumn(action, names),
            "resource": DictionaryColumn(rng.integers(0, 20_000, rows).astype(np.int32), resources),
            "aws:RequestedRegion": DictionaryColumn(
                rng.integers(-5, 9, rows).clip(-1).astype(np.int32),
                [f"region-{i}" for i in range(9)])}


@pytest.mark.benchmark(group="statements: growth")
def test_growth_from_a_thousand_to_a_hundred_thousand_statements(
    in_turns: InTurns, judge: Judge, is_timed: bool
) -> None:
    few, many = (1_000, 100_000) if is_timed else (100, 1_000)
    rows = 1_000_000 if is_timed else 5_000
    tables = [compiled(synthetic(count)) for count in (few, many)]
    columns = [synthetic_rows(count, rows) for count in (few, many)]
    with tables[0].session() as small, tables[1].session() as large:
        small.decide(columns[0])
        large.decide(columns[1])
        turns = in_turns(lambda: large.decide(columns[1]), lambda: small.decide(columns[0]),
                         facts={"rows": rows, "statements": [few, many]}, rounds=5)
    found = turns.result
    for row in range(0, rows, rows // 40):
        asked = {name: None if c.codes[row] < 0 else c.values[c.codes[row]]
                 for name, c in columns[1].items()}
        explained = tables[1].explain_request(
            action=asked["action"], resource=asked["resource"],
            context={"aws:RequestedRegion": asked["aws:RequestedRegion"]})
        assert found.decision[row] == explained.decision
    assert len(found.counts()) > 2
    judge("from 1,000 to 100,000 statements, a quarter of the rows on them", turns.ratio,
          Goal(1.5, "x"))
    judge("  of that, ns per row with 100,000", turns.question_s * 1e9 / rows)
