"""A second opinion on exact comparison from an SMT solver, which knows nothing of our automata.

Opt-in: `pytest --slow tests/test_compare_solver.py` with the package `z3-solver` installed. The
policies are of a part of the language that strings with regular expressions can say plainly:
actions of one service, patterns in the sixth field, and a single-valued key under four operators.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

import iamtables

PAIRS = 300
KEY = "aws:username"
_HEAD = "arn:p:s:::"


def _pattern(rng: Random) -> str:
    return "".join(rng.choices("aabb**?", k=rng.randint(1, 4)))


def _policy(rng: Random) -> dict[str, Any]:
    statements = []
    for _ in range(rng.randint(1, 3)):
        statement: dict[str, Any] = {
            "Effect": "Deny" if rng.random() < 0.3 else "Allow",
            "NotAction" if rng.random() < 0.15 else "Action":
                [f"s:{_pattern(rng)}" for _ in range(rng.randint(1, 2))],
            "NotResource" if rng.random() < 0.15 else "Resource":
                [_HEAD + _pattern(rng) for _ in range(rng.randint(1, 2))],
        }
        if rng.random() < 0.7:
            operator = rng.choice(
                ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"))
            value = _pattern(rng) if "Like" in operator else rng.choice(("a", "b", "ab"))
            statement["Condition"] = {
                operator + ("IfExists" if rng.random() < 0.2 else ""): {KEY: value}}
        statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}


class _Encoding:
    """The requests of one pair as solver terms: the action's name, the resource's tail, the key."""

    def __init__(self, z3: Any) -> None:
        self.z3 = z3
        self.name, self.tail, self.value = z3.Strings("name tail value")
        self.has_key = z3.Bool("has_key")

    def glob(self, pattern: str) -> Any:
        z3 = self.z3
        any_character = z3.AllChar(z3.ReSort(z3.StringSort()))
        parts = [z3.Star(any_character) if c == "*" else any_character if c == "?" else z3.Re(c)
                 for c in pattern]
        return parts[0] if len(parts) == 1 else z3.Concat(*parts)

    def allowed(self, policy: dict[str, Any]) -> Any:
        z3 = self.z3
        by_effect: dict[str, list[Any]] = {"Allow": [], "Deny": []}
        for statement in policy["Statement"]:
            by_effect[statement["Effect"]].append(self.matches(statement))
        return z3.And(z3.Or(*by_effect["Allow"]), z3.Not(z3.Or(*by_effect["Deny"])))

    def matches(self, statement: dict[str, Any]) -> Any:
        z3 = self.z3
        parts = []
        for element, term, head in (("Action", self.name, "s:"), ("Resource", self.tail, _HEAD)):
            negated = f"Not{element}" in statement
            patterns = statement[f"Not{element}" if negated else element]
            listed = z3.Or(*(z3.InRe(term, self.glob(p.removeprefix(head))) for p in patterns))
            parts.append(z3.Not(listed) if negated else listed)
        for operator, entries in statement.get("Condition", {}).items():
            base = operator.removesuffix("IfExists")
            text = entries[KEY]
            like = z3.InRe(self.value, self.glob(text)) if "Like" in base else (
                self.value == z3.StringVal(text))
            negated = "Not" in base
            absent = negated or operator.endswith("IfExists")
            parts.append(z3.If(self.has_key, z3.Not(like) if negated else like,
                               z3.BoolVal(absent)))
        return z3.And(*parts)

    def admits(self) -> Any:
        """An action name is not empty and holds no colon (ACT-8)."""
        z3 = self.z3
        return z3.And(z3.Length(self.name) > 0, z3.Not(z3.Contains(self.name, ":")),
                      z3.Not(z3.Contains(self.name, " ")))


@pytest.mark.slow
def test_a_solver_agrees_about_generated_pairs() -> None:
    z3 = pytest.importorskip("z3", reason="needs the package z3-solver")
    answers = {"yes": 0, "no": 0}
    unsure = 0
    for seed in range(PAIRS):
        rng = Random(seed)
        old, new = _policy(rng), _policy(rng)
        if rng.random() < 0.3:  # close relatives, so that there is something to prove
            new = {**old, "Statement": old["Statement"][: max(1, len(old["Statement"]) - 1)]}
        comparison = iamtables.compare(
            *(iamtables.parse_policy(json.dumps(p)) for p in (old, new)))
        for direction, accepts, refuses in ((comparison.gained, new, old),
                                            (comparison.lost, old, new)):
            encoding = _Encoding(z3)
            solver = z3.Solver()
            solver.set("timeout", 20_000)
            solver.add(encoding.admits(), encoding.allowed(accepts),
                       z3.Not(encoding.allowed(refuses)))
            opinion = solver.check()
            if opinion == z3.unknown:
                unsure += 1
                continue
            # the terms stand for requests to one service on one kind of ARN: others can only
            # differ where an element excludes, and then the comparison may know more
            excludes = "NotAction" in json.dumps(accepts) or "NotResource" in json.dumps(accepts)
            expected = "yes" if opinion == z3.sat else "no"
            if expected == "yes" or not excludes:
                assert direction.verdict == expected, (seed, accepts, refuses)
                answers[expected] += 1
    assert min(answers.values()) > PAIRS // 6 and unsure < PAIRS // 10
