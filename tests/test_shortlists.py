"""Long lists of statements on one action: cut down to what a resource leaves, and still right.

The judge is the reference evaluator, on every row.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from generator import Request
from judging import compile_texts, deciders, decision_of, reference

import iamtables
from iamtables.runtime import session as sessions

_KEYS = ("k:a", "k:b")


def statements(random: Random, count: int) -> list[dict[str, Any]]:
    """Statements on `s3:Get`, most of them on a place of their own, some in every other way."""
    found = []
    for i in range(count):
        one: dict[str, Any] = {"Effect": "Deny" if random.random() < 0.2 else "Allow",
                               "Action": "s3:Get"}
        place = random.randrange(count // 2)
        kind = random.random()
        if kind < 0.6:
            one["Resource"] = random.choice((f"arn:aws:s3:::b{place}/*", f"arn:aws:s3:::b{place}"))
        elif kind < 0.7:
            one["Resource"] = [f"arn:aws:s3:::b{place}/*", f"arn:aws:s3:::*/{i}"]
        elif kind < 0.8:
            one["Resource"] = f"arn:aws:s3:::b{place}/${{k:a}}*"
        elif kind < 0.85:
            one["NotResource"] = [
                f"arn:aws:s3:::b{k}/*" for k in range(count) if k % 9 != place % 9]
        else:
            one["Resource"] = "*"
        if random.random() < 0.5 or one.get("Resource") == "*":
            one["Condition"] = {"StringEquals": {random.choice(_KEYS): random.choice("xyz")}}
        found.append(one)
    return found


def requests(random: Random, count: int, rows: int) -> list[Request]:
    found = []
    for _ in range(rows):
        place = random.randrange(count // 2 + 2)
        resource = random.choice((
            f"arn:aws:s3:::b{place}", f"arn:aws:s3:::b{place}/x", f"arn:aws:s3:::b{place}/q/7",
            f"arn:aws:s3:::c/{random.randrange(count)}", "*", None))
        context = {key: random.choice("xyzq") for key in _KEYS if random.random() < 0.8}
        unknown = frozenset(key for key in _KEYS if key not in context and random.random() < 0.5)
        found.append(Request("s3:Get", resource, context, unknown))
    return found


def asked(rows: list[Request]) -> dict[str, Any]:
    return {"action": [r.action for r in rows], "resource": [r.resource for r in rows],
            "context": {key: [r.context.get(key) for r in rows] for key in _KEYS},
            "unknown": {key: np.array([key in r.unknown for r in rows]) for key in _KEYS}}


def compared(table: iamtables.Table, texts: list[str], rows: list[Request], out: Any) -> None:
    for i, request in enumerate(rows):
        outcome = reference(texts, request, {})
        assert out.decision[i] == decision_of(outcome), request
        allowed = {statement for _, statement in deciders(outcome)}
        assert (out.statement[i] in allowed) if allowed else out.statement[i] == -1, request
        one = table.check(action=request.action, resource=request.resource,
                          context=request.context, unknown=sorted(request.unknown))
        assert one.decision == out.decision[i]


@pytest.mark.parametrize("seed", range(6))
def test_a_long_list_decides_as_the_reference_does(seed: int) -> None:
    random = Random(seed)
    count = (16, 17, 24, 32, 40, 60)[seed]
    texts = [json.dumps({"Version": "2012-10-17", "Statement": statements(random, count)})]
    rows = requests(random, count, 30)
    table = compile_texts(texts, {})
    with table.session() as session:
        cold = session.decide(**asked(rows))
        warm = session.decide(**asked(rows))
    assert np.array_equal(cold.decision, warm.decision)
    assert np.array_equal(cold.statement, warm.statement)
    compared(table, texts, rows, cold)


def test_variables_and_statements_with_the_same_resources_in_a_long_list() -> None:
    found: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:Get", "Resource": f"arn:aws:s3:::b{i}/${{k:a}}"}
        for i in range(20)]
    found += [{"Effect": "Allow", "Action": "s3:Get", "Resource": "arn:aws:s3:::c/*",
               "Condition": {"StringEquals": {"k:b": value}}} for value in "xyz"]
    table = compile_texts([json.dumps({"Version": "2012-10-17", "Statement": found})], {})
    out = table.decide(
        action="s3:Get",
        context={"k:a": ["x", "y", None, None, None], "k:b": [None] * 2 + [*"xyz"]},
        resource=["arn:aws:s3:::b3/x"] * 2 + ["arn:aws:s3:::c/d"] * 3)
    assert out.statement.tolist() == [3, -1, 20, 21, 22]


def test_shortlists_are_dropped_with_the_other_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that a few rows exceed: rows of resources get new places again and again."""
    monkeypatch.setattr(sessions, "CHUNK_ROWS", 8)
    random = Random(99)
    texts = [json.dumps({"Version": "2012-10-17", "Statement": statements(random, 30)})]
    rows = requests(random, 30, 60)
    table = compile_texts(texts, {})
    with table.session(budget_bytes=1) as session:
        out = session.decide(**asked(rows))
    for i, request in enumerate(rows):
        assert out.decision[i] == decision_of(reference(texts, request, {})), request


def test_statements_for_other_resources_cost_nothing() -> None:
    """Warm, nothing is learnt anew, whichever of two thousand statements a row meets."""
    found = [{"Effect": "Allow", "Action": "s3:Get", "Resource": f"arn:aws:s3:::b{i}/*",
              "Condition": {"StringEquals": {"k:a": "x"}}} for i in range(2_000)]
    table = compile_texts([json.dumps({"Version": "2012-10-17", "Statement": found})], {})
    numbers = np.arange(4_000) % 2_500
    with table.session() as session:
        before = None
        for _ in range(2):
            out = session.decide(action="s3:Get", context={"k:a": "x"},
                                 resource=[f"arn:aws:s3:::b{n}/y" for n in numbers])
            assert out.decision.tolist() == [int(n < 2_000) for n in numbers]
            assert out.statement.tolist() == [n if n < 2_000 else -1 for n in numbers]
            used = session._engines[0].used_bytes()
            assert before is None or used == before
            before = used
