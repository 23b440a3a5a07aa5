"""A memoised evaluator in plain Python: what the tables are compared with.

Written as one would write it who knows the traffic: policies become tuples once, globs become
compiled expressions, and nothing is asked twice: the statements of an action, the statements left
for (action, resource), and the truth of (predicate, value) are remembered. A row then costs a few
dictionary look-ups.

It knows identity policies as they appear in the corpora: `Not` elements, string operators, `Bool`,
`Null`, `IfExists`, `ForAllValues:` and `ForAnyValue:`. It refuses a policy that needs more
(variables, numbers, dates, networks, short ARNs) and does not look for malformed requests, both to
its advantage.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

IMPLICIT_DENY, ALLOW, EXPLICIT_DENY = 0, 1, 2

Test = tuple[str, dict[Any, bool], Callable[[Any], bool]]
"""Key in lower case, what is known of its values, and how to know more."""
Entry = tuple[int, tuple[Test, ...]]
"""Decision of a statement, and what is left to test for it."""


class Reach(enum.Enum):
    """What decided a request."""

    ACTION = 0
    RESOURCE = 1
    CONDITION = 2


class MemoisedEvaluator:
    """Decides requests under identity policies given as JSON texts."""

    def __init__(self, policies: Iterable[str]) -> None:
        self._statements = [
            Statement(statement)
            for text in policies
            for statement in listed(json.loads(text)["Statement"])
        ]
        # denies first: the first entry that holds decides
        self._statements.sort(key=lambda statement: -statement.decision)
        self._by_action: dict[str, int | list[Statement]] = {}
        self._by_resource: dict[tuple[str, str], int | list[Entry]] = {}

    def decide(self, action: str, resource: str, context: Mapping[str, Any]) -> int:
        """Decision of one request; `context` has its keys in lower case, lists as tuples."""
        entries = self._entries(action, resource)
        if isinstance(entries, int):
            return entries
        for decision, tests in entries:
            for key, known, test in tests:
                value = context.get(key)
                truth = known.get(value)
                if truth is None:
                    truth = known[value] = test(value)
                if not truth:
                    break
            else:
                return decision
        return IMPLICIT_DENY

    def decide_rows(self, columns: Mapping[str, Sequence[Any]]) -> list[int]:
        """Decisions of rows: `action`, `resource` and columns by key, a null is absent."""
        by_key = {name.lower(): column for name, column in columns.items()}
        nothing = [None] * len(columns["action"])
        by_action = self._by_action
        # entries of (action, resource) with the columns of this batch in place of key names
        bound: dict[tuple[str, str], Any] = {}
        decisions: list[int] = []
        append = decisions.append
        for row, pair in enumerate(zip(columns["action"], columns["resource"], strict=True)):
            entries = by_action.get(pair[0])
            if entries.__class__ is int:
                append(entries)
                continue
            entries = bound.get(pair)
            if entries is None:
                entries = self._entries(*pair)
                if not isinstance(entries, int):
                    entries = [
                        (decision, [(by_key.get(k, nothing), known, t) for k, known, t in tests])
                        for decision, tests in entries
                    ]
                bound[pair] = entries
            if entries.__class__ is int:
                append(entries)
                continue
            for decision, tests in entries:
                for column, known, test in tests:
                    value = column[row]
                    truth = known.get(value)
                    if truth is None:
                        truth = known[value] = test(value)
                    if not truth:
                        break
                else:
                    append(decision)
                    break
            else:
                append(IMPLICIT_DENY)
        return decisions

    def is_decided_by_action(self, action: str) -> bool:
        return isinstance(self._statements_of(action), int)

    def reach(self, request: Mapping[str, Any]) -> Reach:
        """How far the request has to be looked at."""
        if self.is_decided_by_action(request["action"]):
            return Reach.ACTION
        entries = self._entries(request["action"], request["resource"])
        return Reach.RESOURCE if isinstance(entries, int) else Reach.CONDITION

    def _statements_of(self, action: str) -> int | list[Statement]:
        found = self._by_action.get(action)
        if found is None:
            found = self._by_action[action] = _settled(
                [s for s in self._statements if s.matches_action(action)],
                lambda s: s.is_for_any_resource and not s.tests)
        return found

    def _entries(self, action: str, resource: str) -> int | list[Entry]:
        found = self._by_resource.get((action, resource))
        if found is None:
            statements = self._statements_of(action)
            if isinstance(statements, int):
                found = statements
            else:
                kept = [s for s in statements if s.matches_resource(resource)]
                left = _settled(kept, lambda s: not s.tests)
                found = left if isinstance(left, int) else [(s.decision, s.tests) for s in left]
            self._by_resource[action, resource] = found
        return found


def _settled(statements: list[Statement], is_certain: Callable[[Statement], bool]
             ) -> int | list[Statement]:
    """A decision when these statements leave no choice, else those that still matter."""
    kept = []
    for statement in statements:
        if is_certain(statement):
            if not kept or all(other.decision == statement.decision for other in kept):
                return statement.decision
            return [*kept, statement]
        kept.append(statement)
    return kept or IMPLICIT_DENY


class Statement:
    """decision, tests (Test), and what it matches. Raises ValueError for what is not known here."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.decision = ALLOW if source["Effect"] == "Allow" else EXPLICIT_DENY
        self._action_is_not = "NotAction" in source
        actions = listed(source["NotAction" if self._action_is_not else "Action"])
        self._actions = [re.compile(_glob(a.lower()), re.DOTALL) for a in actions]
        self.resource_is_not = "NotResource" in source
        resources = listed(source["NotResource" if self.resource_is_not else "Resource"])
        self.is_for_any_resource = not self.resource_is_not and "*" in resources
        self.resource_matcher = _resource_matcher(tuple(resources))
        self.tests: tuple[Test, ...] = tuple(
            (key.lower(), {}, _predicate(operator, tuple(map(_text, listed(values)))))
            for operator, entries in source.get("Condition", {}).items()
            for key, values in entries.items()
        )

    def matches_action(self, action: str) -> bool:
        lowered = action.lower()
        return self._action_is_not != any(p.fullmatch(lowered) for p in self._actions)

    def matches_resource(self, resource: str) -> bool:
        return self.resource_is_not != self.resource_matcher(resource)


@cache
def _resource_matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """One expression for a `Resource` list; shared by statements with the same list."""
    if "*" in patterns:
        return lambda resource: True
    matches = re.compile("|".join(map(_arn_glob, patterns)), re.DOTALL).fullmatch
    return cache(lambda resource: matches(resource) is not None)


def _arn_glob(pattern: str) -> str:
    """RES-4: wildcards stay in their segment, but for a `*` that ends one, and in the sixth."""
    *segments, last = pattern.split(":", 5)
    if len(segments) < 5 or segments[0] != "arn" or "${" in pattern:
        raise ValueError(f"a pattern that this evaluator does not know: {pattern}")
    heads = [
        _glob(s[:-1], "[^:]") + ".*" if s.endswith("*") else _glob(s, "[^:]") for s in segments]
    return ":".join([*heads, _glob(last)])


def _glob(pattern: str, character: str = ".") -> str:
    return "".join(character + "*" if c == "*" else character if c == "?" else re.escape(c)
                   for c in pattern)


def _predicate(operator: str, values: tuple[str, ...]) -> Callable[[Any], bool]:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if any("${" in value for value in values):
        raise ValueError("this evaluator does not know variables")
    if name == "Null":
        return lambda value: (value is None) == (values[0].lower() == "true")
    if name not in _COMPARISONS:
        raise ValueError(f"this evaluator does not know {operator}")
    is_negated, compare = _COMPARISONS[name]
    holds = compare(values)

    def one(value: str) -> bool:
        return holds(value) != is_negated

    def test(value: str | tuple[str, ...] | None) -> bool:
        if quantifier == "ForAllValues":
            return all(map(one, listed(value)))
        if value is None:
            return quantifier != "ForAnyValue" and (if_exists or is_negated)
        if quantifier == "ForAnyValue":
            return any(map(one, listed(value)))
        return isinstance(value, str) and one(value)

    return test


def _equals(values: tuple[str, ...]) -> Callable[[str], bool]:
    return frozenset(values).__contains__


def _equals_ignoring_case(values: tuple[str, ...]) -> Callable[[str], bool]:
    known = frozenset(value.lower() for value in values)
    return lambda value: value.lower() in known


def _is_like(values: tuple[str, ...]) -> Callable[[str], bool]:
    matches = re.compile("|".join(map(_glob, values)), re.DOTALL).fullmatch
    return lambda value: matches(value) is not None


_COMPARISONS: dict[str, tuple[bool, Callable[[tuple[str, ...]], Callable[[str], bool]]]] = {
    "StringEquals": (False, _equals),
    "StringNotEquals": (True, _equals),
    "StringEqualsIgnoreCase": (False, _equals_ignoring_case),
    "StringNotEqualsIgnoreCase": (True, _equals_ignoring_case),
    "StringLike": (False, _is_like),
    "StringNotLike": (True, _is_like),
    "Bool": (False, _equals_ignoring_case),
}


def listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
