"""Every AWS managed policy that moto carries: parsed, compiled, saved, and judged by sampling.

Requests are made from the policies themselves (patterns filled in, context taken from the
condition values) with noise around them, a few per statement.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from random import Random
from typing import Any

from generator import Request, Value
from judging import (
    NAMES,
    columns,
    compile_texts,
    complaint,
    decision_of,
    place,
    reference,
    reopened,
)

import iamtables
from iamtables import DecisionCode

FLOOR = 1300
PER_POLICY = 4


@cache
def managed() -> dict[str, str]:
    """Name -> policy document as JSON text, in the order of their names."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    data = json.loads(aws_managed_policies_data)
    return {name: json.dumps(data[name]["Document"]) for name in sorted(data)}


@cache
def parsed() -> tuple[iamtables.PolicyDocument, ...]:
    return tuple(iamtables.parse_policy(text, name=f"p{i}", mode="lenient")
                 for i, text in enumerate(managed().values()))


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [v for v in value if isinstance(v, str)]


def fill(pattern: str, rng: Random, context: dict[str, Value]) -> str:
    """The pattern with its wildcards and variables filled in."""
    def variable(match: re.Match[str]) -> str:
        value = context.get(match[1].lower(), "v")
        return value if isinstance(value, str) else "v"

    text = re.sub(r"\$\{([^},]*)[^}]*\}", variable, pattern)
    return "".join(rng.choice(("", "x", "a/b", "us-east-1", "x")) if c == "*"
                   else rng.choice("xy") if c == "?" else c for c in text)


def requests_for(text: str, seed: str, count: int) -> list[Request]:
    """Requests that have a good chance to meet a statement of this policy."""
    rng = Random(seed)
    statements = json.loads(text)["Statement"]
    statements = [statements] if isinstance(statements, dict) else statements
    values: dict[str, list[str]] = {}
    for statement in statements:
        for entries in statement.get("Condition", {}).values():
            for key, value in entries.items():
                pool = values.setdefault(key.lower(), [])
                pool += [str(v).lower() if isinstance(v, bool) else str(v)
                         for v in (value if isinstance(value, list) else [value])]
    out = []
    for _ in range(count):
        statement = rng.choice(statements)
        actions = listed(statement.get("Action", statement.get("NotAction", "*")))
        resources = listed(statement.get("Resource", statement.get("NotResource", "*")))
        wanted = {key.lower() for entries in statement.get("Condition", {}).values()
                  for key in entries}
        context: dict[str, Value] = {}
        unknown = set()
        for key, pool in values.items():
            draw = rng.random()
            if draw < 0.25:
                unknown.add(key)
            elif draw < (0.9 if key in wanted else 0.4):
                value = fill(rng.choice(pool), rng, {}) if pool and rng.random() < 0.85 else "x"
                context[key] = [value] if key in ("aws:tagkeys", "aws:calledvia") else value
        action = fill(rng.choice(actions), rng, {}).replace("/", "")
        if action.count(":") != 1 or action[0] == ":" or action[-1] == ":":
            action = rng.choice(("s3:GetObject", "ec2:RunInstances", "iam:PassRole"))
        resource: str | None = fill(rng.choice(resources), rng, context) or "*"
        draw = rng.random()
        if draw < 0.12:
            resource = None
        elif draw < 0.2:
            resource = "*"
        elif resource is not None and (resource.count(":") < 5 or resource[:4] != "arn:"):
            resource = rng.choice(("*", "arn:aws:s3:::b/k", "arn:aws:ec2:r:1:instance/i"))
        out.append(Request(action, resource, context, frozenset(unknown)))
    return out


def test_there_are_as_many_managed_policies_as_expected() -> None:
    assert len(managed()) >= FLOOR


def test_every_managed_policy_parses_without_an_error() -> None:
    faulty = {name: [d.render() for d in document.diagnostics if d.severity == "error"]
              for name, document in zip(managed(), parsed(), strict=True)
              if document.is_faulty or any(s.faults for s in document.statements)}
    assert not faulty


def test_every_managed_policy_alone_decides_as_the_reference_does() -> None:
    seen: Counter[str] = Counter()
    wrong = []
    for (name, text), document in zip(managed().items(), parsed(), strict=True):
        table = iamtables.compile(document)
        requests = requests_for(text, name, PER_POLICY)
        keys = sorted({k for r in requests for k in (*r.context, *r.unknown)})
        out = table.decide(**columns(requests, keys))
        for row, request in enumerate(requests):
            # Alone, every policy is the first one, whatever number its name bears.
            statement = int(out.statement[row])
            where = (0, table.statements[statement].index) if statement >= 0 else None
            outcome = reference([text], request, {})
            seen[decision_of(outcome).name] += 1
            complained = complaint(outcome, int(out.decision[row]), where)
            if complained:
                wrong.append(f"{name}: {complained}\n{request}")
    assert not wrong, f"{len(wrong)} wrong, the first: {wrong[0]}"
    total = seen.total()
    for name in ("ALLOW", "IMPLICIT_DENY", "UNDETERMINED"):
        assert seen[name] > total / 20, seen


def test_a_tenth_of_the_managed_policies_survive_a_round_trip_one_by_one() -> None:
    for (name, text), document in list(zip(managed().items(), parsed(), strict=True))[::10]:
        table = iamtables.compile(document)
        again = reopened(table)
        requests = requests_for(text, name + "again", 12)
        keys = sorted({k for r in requests for k in (*r.context, *r.unknown)})
        asked = columns(requests, keys)
        first, second = table.decide(**asked), again.decide(**asked)
        assert first.decision.tolist() == second.decision.tolist(), name
        assert first.statement.tolist() == second.statement.tolist(), name
        assert [first.reason(i) for i in range(len(requests))] == \
            [second.reason(i) for i in range(len(requests))], name
        assert [str(s.location) for s in table.statements] == \
            [str(s.location) for s in again.statements], name


@cache
def all_together() -> iamtables.Table:
    return iamtables.compile(parsed())


def is_blanket(text: str, effect: str) -> bool:
    """Whether a policy has a statement of this effect for every action: it hides the others."""
    statements = json.loads(text)["Statement"]
    statements = [statements] if isinstance(statements, dict) else statements
    return any(s["Effect"] == effect and ("NotAction" in s or "*" in listed(s.get("Action", [])))
               for s in statements)


def modest() -> list[str]:
    """Names of the policies that leave room for others."""
    return [name for name, text in managed().items()
            if not is_blanket(text, "Deny") and not is_blanket(text, "Allow")]


def documents_of(names: list[str]) -> list[iamtables.PolicyDocument]:
    by_name = dict(zip(managed(), parsed(), strict=True))
    return [by_name[name] for name in names]


def asked_of(names: list[str], purpose: str, count: int) -> tuple[list[Request], list[str]]:
    """Requests made from these policies, and the keys they use."""
    requests = [r for name in names
                for r in requests_for(managed()[name], name + purpose, count)]
    return requests, sorted({k for r in requests for k in (*r.context, *r.unknown)})


def test_all_managed_policies_together_agree_with_each_of_them_alone() -> None:
    """STMT-2: a Deny of any wins, else an Allow of any, else what is open stays open."""
    names = modest()[::2]
    kept = documents_of(names)
    requests, keys = asked_of(names[::12], "together", 5)
    table = iamtables.compile(kept)
    out = table.decide(**columns(requests, keys))
    alone = [iamtables.compile(document).decide(**columns(requests, keys)).decision
             for document in kept]
    seen: Counter[str] = Counter()
    for row, request in enumerate(requests):
        answers = {int(decision[row]) for decision in alone}
        got = int(out.decision[row])
        seen[NAMES[got]] += 1
        if DecisionCode.EXPLICIT_DENY in answers:
            assert got == DecisionCode.EXPLICIT_DENY, request
        elif answers == {DecisionCode.IMPLICIT_DENY}:
            assert got == DecisionCode.IMPLICIT_DENY, request
        elif DecisionCode.ALLOW in answers:
            assert got in (DecisionCode.ALLOW, DecisionCode.UNDETERMINED), request
        else:
            assert got in (DecisionCode.UNDETERMINED, DecisionCode.IMPLICIT_DENY), request
    assert len(seen) == len(NAMES), seen


def test_groups_of_managed_policies_decide_as_the_reference_does() -> None:
    rng = Random(3)
    seen: Counter[str] = Counter()
    for group in range(12):
        names = rng.sample(list(managed()), 25)
        if group % 4:
            names = [name for name in names if name in set(modest())]
        texts = [managed()[name] for name in names]
        table = compile_texts(texts, {})
        requests, keys = asked_of(names[:12], f"group {group}", 2)
        out = table.decide(**columns(requests, keys))
        for row, request in enumerate(requests):
            outcome = reference(texts, request, {})
            statement = int(out.statement[row])
            where = place(table.statements[statement]) if statement >= 0 else None
            assert complaint(outcome, int(out.decision[row]), where) is None, request
            seen[NAMES[int(out.decision[row])]] += 1
    assert len(seen) >= 3, seen


def test_all_managed_policies_together_survive_a_round_trip() -> None:
    table = all_together()
    again = reopened(table)
    assert len(again.statements) == len(table.statements)
    assert again.keys == table.keys
    asked = columns(*asked_of(list(managed())[::7], "file", 3))
    first, second = table.decide(**asked), again.decide(**asked, threads=2)
    assert first.decision.tolist() == second.decision.tolist()
    assert first.statement.tolist() == second.statement.tolist()


def test_the_keys_of_all_managed_policies_are_those_their_conditions_name() -> None:
    """`table.keys`: every condition key and no other, save those that variables name."""
    named: set[str] = set()
    varied: set[str] = set()
    for text in managed().values():
        document = json.loads(text)
        statements = document["Statement"]
        for statement in [statements] if isinstance(statements, dict) else statements:
            for entries in statement.get("Condition", {}).values():
                named |= {key.lower() for key in entries}
        varied |= {m.strip().lower() for m in re.findall(r"\$\{([^},]*)", text)}
    asked = {key.lower() for key in all_together().keys}
    assert named - asked == set(), "keys of conditions the table does not ask for"
    assert asked - named - varied == set(), "keys nobody names"
    assert len(asked) == len(all_together().keys), "a key in two spellings"


def test_one_column_of_many_requests_is_decided_the_same_by_two_threads() -> None:
    names = modest()[::3]
    table = iamtables.compile(documents_of(names))
    requests, keys = asked_of(names, "threads", 8)
    asked = columns(requests * 5, keys)
    first, second = table.decide(**asked), table.decide(**asked, threads=2)
    assert first.decision.tolist() == second.decision.tolist()
    assert first.statement.tolist() == second.statement.tolist()
    assert len(set(first.decision.tolist())) == len(NAMES)
