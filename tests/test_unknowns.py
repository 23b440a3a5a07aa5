"""The three-valued reading, exhaustively, in worlds small enough to complete every unknown.

Two keys, each absent, "a", "b" or unknown; statements of one or two conditions; a resource that
may be unknown. For every request all completions are enumerated (an unknown key may also be
absent, or hold a value no policy names). A determined answer must hold for every completion; an
answer of the reference that is determined must be the table's; a reason must settle the row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest
from generator import Raw, Request
from judging import (
    NAMES,
    Case,
    check,
    columns,
    compile_texts,
    complaint,
    decision_of,
    place,
    reference,
    verdict,
)

from iamtables import DecisionCode

K, L = "k:k", "k:l"
ABSENT, UNKNOWN = None, object()
DOMAIN = (ABSENT, "a", "b", "other", ["a", "b"], [], "")
"""What an unknown key may turn out to be, as far as these statements can tell apart."""

CONDITIONS: tuple[dict[str, Any], ...] = (
    {},
    {"StringEquals": {K: "a"}},
    {"StringNotEquals": {K: "a"}},
    {"StringEqualsIfExists": {K: "b"}},
    {"StringLike": {K: "*"}},
    {"Null": {K: "true"}},
    {"Null": {K: "false"}},
    {"ForAllValues:StringEquals": {K: ["a"]}},
    {"ForAnyValue:StringNotEquals": {K: "a"}},
    {"ForAnyValue:StringEqualsIfExists": {K: "b"}},
    {"StringEquals": {K: "a", L: "b"}},
    {"StringNotEquals": {K: "a"}, "StringEqualsIfExists": {L: "b"}},
    {"StringEquals": {K: "${k:l}"}},
    {"StringNotEquals": {K: "${k:l, 'a'}"}},
    {"Null": {K: "true", L: "false"}},
    {"StringEquals": {K: []}},
    {"NumericEquals": {K: "1"}},
    {"NumericNotEquals": {L: "a"}},
)
RESOURCES = ("*", "arn:aws:s3:::a", "arn:aws:s3:::${k:l}", "arn:aws:s3:::x/*")
REQUESTED = ("*", "arn:aws:s3:::a", "arn:aws:s3:::b", "arn:aws:s3:::x/a", "arn:aws:s3:::")


def document(*statements: tuple[str, dict[str, Any], dict[str, Any]]) -> Raw:
    """A policy of (effect, resource element, condition) statements."""
    return Raw(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": "s3:Get", **resource, "Condition": condition}
        for effect, resource, condition in statements]}))


def asked(resource: str | None, *values: Any) -> Request:
    """A request whose keys K and L have these values (ABSENT, UNKNOWN or a value)."""
    pairs = list(zip((K, L), values, strict=True))
    return Request("s3:Get", resource,
                   {k: v for k, v in pairs if v is not ABSENT and v is not UNKNOWN},
                   frozenset(k for k, v in pairs if v is UNKNOWN))


def all_completions(request: Request, only: frozenset[str] | None = None) -> Iterator[Request]:
    """Every request this one may turn out to be; `only` completes just these dimensions."""
    keys = sorted(k for k in request.unknown if only is None or k in only)
    open_resource = request.resource is None and (only is None or "resource" in only)
    resources = REQUESTED if open_resource else (request.resource,)
    for resource in resources:
        for values in product(DOMAIN, repeat=len(keys)):
            known = {k: v for k, v in zip(keys, values, strict=True) if v is not ABSENT}
            yield replace(request, resource=resource, context={**request.context, **known},
                          unknown=request.unknown - set(keys))


REQUESTS = [asked(resource, first, second)
            for resource in (None, "arn:aws:s3:::a", "arn:aws:s3:::b", "*")
            for first in (ABSENT, "a", "b", UNKNOWN) for second in (ABSENT, "a", "b", UNKNOWN)]


def judge(policy: Raw, options: dict[str, str], seen: Counter[str]) -> None:
    """All requests of the world under one policy."""
    table = compile_texts([policy], options)
    out = table.decide(**columns(REQUESTS, (K, L)))
    known: dict[Any, DecisionCode] = {}

    def settled(request: Request) -> DecisionCode:
        key = (request.resource, repr(sorted(request.context.items())))
        if key not in known:
            known[key] = decision_of(reference([policy], request, options))
        return known[key]

    for row, request in enumerate(REQUESTS):
        outcome = reference([policy], request, options)
        decided = DecisionCode(int(out.decision[row]))
        seen[decided.name] += 1
        statement = int(out.statement[row])
        where = place(table.statements[statement]) if statement >= 0 else None
        hint = f"{policy}\n{options}\n{request}"
        assert complaint(outcome, decided, where) is None, hint
        if not request.unknown and request.resource is not None:
            assert decided is not DecisionCode.UNDETERMINED, hint
            continue
        possible = {settled(c) for c in all_completions(request)}
        for evaluator, answer in (("reference", decision_of(outcome)), ("table", decided)):
            if answer is DecisionCode.UNDETERMINED:
                continue
            # A certain allow that is missing denies: a Deny may only add to it.
            fine = {answer, DecisionCode.EXPLICIT_DENY} \
                if answer is DecisionCode.IMPLICIT_DENY else {answer}
            assert possible <= fine, f"{evaluator} says {answer.name}, yet {possible}\n{hint}"
        if decided is DecisionCode.UNDETERMINED:
            reason = frozenset(name.lower() for name in out.reason(row))
            assert reason, hint
            assert reason <= request.unknown | {"resource"}, f"{reason}\n{hint}"
            for partly in list(all_completions(request, reason))[::7]:
                answer = check(table, partly).decision
                assert answer is not DecisionCode.UNDETERMINED, f"{reason} {partly}\n{hint}"


def test_one_statement_is_right_for_every_completion() -> None:
    seen: Counter[str] = Counter()
    for effect in ("Allow", "Deny"):
        for element in ("Resource", "NotResource"):
            for resource in RESOURCES:
                for condition in CONDITIONS:
                    judge(document((effect, {element: resource}, condition)), {}, seen)
    assert set(seen) == set(NAMES)


def test_an_allow_with_a_deny_is_right_for_every_completion() -> None:
    seen: Counter[str] = Counter()
    for allow, deny in product(CONDITIONS[1:12], repeat=2):
        policy = document(("Allow", {"Resource": "*"}, allow), ("Deny", {"Resource": "*"}, deny))
        judge(policy, {}, seen)
    assert set(seen) == set(NAMES)


def test_allows_and_denies_on_different_resources_are_right_for_every_completion() -> None:
    seen: Counter[str] = Counter()
    picked = (CONDITIONS[2], CONDITIONS[12])
    for first, second in product(RESOURCES, repeat=2):
        for allow, deny in product(picked, repeat=2):
            policy = document(("Allow", {"Resource": first}, allow),
                              ("Deny", {"Resource": second}, deny),
                              ("Allow", {"NotResource": second}, {}))
            judge(policy, {}, seen)
    assert set(seen) == set(NAMES)


@pytest.mark.parametrize("options", [
    {"multivalued_plain": "any"}, {"null_empty_string": "value"},
    {"null_notresource": "nomatch"}, {"resource_early_vars": "literal"},
], ids=str)
def test_options_keep_the_answers_right_for_every_completion(options: dict[str, str]) -> None:
    seen: Counter[str] = Counter()
    resources = ("*", "arn:aws:s3:::${k:l}", "arn:aws:s3${k:l}:::a")
    for condition in CONDITIONS[1::2]:
        for element, resource in product(("Resource", "NotResource"), resources):
            policy = document(("Allow", {element: resource}, condition),
                              ("Deny", {"Resource": "arn:aws:s3:::b"}, CONDITIONS[2]))
            judge(policy, options, seen)
    assert set(seen) == set(NAMES)


FAULTY = (
    {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Foo": {K: "a"}}},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "condition": {}},
    {"Effect": "deny", "Action": "s3:*", "Resource": "*"},
    {"Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {K: "a"}}},
    {"Effect": "Allow", "Action": "s3:*"},
    {"Effect": "Allow", "Resource": "arn:aws:s3:::a"},
    {"Effect": "Allow", "NotAction": [], "Resource": "*"},
    {"Effect": "Allow", "Action": "s3:*", "NotResource": []},
    {"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*", "Resource": "*"},
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "NotResource": "*"},
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"},
    "not a statement",
)


@pytest.mark.parametrize("mode", ["unknown", "never"])
def test_statements_nobody_can_read_decide_as_the_reference_says(mode: str) -> None:
    """Alone, beside an Allow, beside a Deny; nothing here has an exhaustive judge but equality."""
    rest: tuple[Any, ...] = (
        {"Effect": "Allow", "Action": "s3:Get", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:Get", "Resource": "arn:aws:s3:::a"},
    )
    options = {"invalid_statement": mode}
    for faulty in FAULTY:
        for others in ((), rest[:1], rest[1:], rest):
            policy = Raw(json.dumps({"Version": "2012-10-17", "Statement": [faulty, *others]}))
            for action in ("s3:Get", "ec2:Get"):
                for request in REQUESTS[::5]:
                    case = Case((policy,), options, replace(request, action=action))
                    outcome = reference(case.texts(), case.request, options)
                    assert verdict(case) is None, case.paste()
                    if mode == "never" and not request.unknown and request.resource is not None:
                        assert decision_of(outcome) is not DecisionCode.UNDETERMINED


def test_a_deny_nobody_can_read_never_turns_into_an_allow() -> None:
    """An unreadable Deny on s3 leaves an allowed s3 request undetermined, ec2 untouched."""
    for faulty in FAULTY[:4]:
        policy = Raw(json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"}, faulty]}))
        table = compile_texts([policy], {})
        decision = table.check(action="s3:Get", resource="*", context={K: "a"})
        assert decision.decision is DecisionCode.UNDETERMINED
        assert decision.reason == ("statement",)
        assert table.check(action="ec2:Get", resource="*").decision is DecisionCode.ALLOW


@pytest.mark.parametrize(("first", "second"), list(combinations(range(1, 12), 2))[::4])
def test_two_conditions_in_one_statement_are_right_for_every_completion(
    first: int, second: int
) -> None:
    """COND-2: the Kleene and, over conditions on both keys."""
    other = {"Bool": {"k:other": "true"}}
    renamed = json.loads(json.dumps(CONDITIONS[second]).replace(K, L))
    merged: dict[str, dict[str, Any]] = {}
    for condition in (CONDITIONS[first], renamed):
        for operator, entries in condition.items():
            merged.setdefault(operator, {}).update(entries)
    seen: Counter[str] = Counter()
    for effect in ("Allow", "Deny"):
        judge(document((effect, {"Resource": "*"}, merged),
                       ("Allow", {"Resource": "arn:aws:s3:::b"}, other)), {}, seen)
    assert seen["IMPLICIT_DENY"]
