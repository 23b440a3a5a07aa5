"""Small policies over small alphabets, and all requests about them: what comparison is judged by.

A `Family` is a dozen policies that share an alphabet, a few context keys and the requests that are
asked of all of them. The judge decides every request of a family for every policy, element by
element with the parts of the reference evaluator (an action is decided once, not once per request),
as bits of one integer: bit (a * resources + r) * contexts + c. `test_compare_small_worlds` holds
the composition against the whole reference evaluator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from random import Random
from typing import Any

from iamtables.reference.actions import action_matches
from iamtables.reference.conditions import entry_matches
from iamtables.reference.context import Context
from iamtables.reference.documents import read_document
from iamtables.reference.foundations import complete_options
from iamtables.reference.resources import resource_matches

NAMES = ["a", "b", "ab", "ba", "aa", "aab", "c", "abb", "bab"]
ACTIONS = [f"{s}:{n}" for s in ("s", "t") for n in NAMES] + ["u:a", "U:Ab", "S:AB"]
TAILS = ["", "a", "b", "ab", "ba", "aa", "bb", "aab", "a:b", "b:a", "aba", "c", "a:", "::b"]
RESOURCES = ["*", *(f"arn:p:s:::{t}" for t in TAILS), "arn:p:t:::a", "arn:p:t:::ab",
             "arn:p:s:r:1:a", "arn:p:s:r:1:ab", "arn:p:s::1:b", "arn::::::", "arn:::::",
             "arn:p:s:x:y:z:::a", "arn:q:s:::a"]  # fmt: skip

Value = str | list[str] | None

_TEXTS = ["", "a", "b", "ab", "A", "ba", "aab", "x"]
_LISTS: list[Value] = [[], [""], ["a"], ["b"], ["a", "b"], ["ab", "x"], ["", "a"], ["A"]]
_NUMBERS = ["9", "9.5", "9.7", "10", "1e1", "11", "8", "-1", "x", ""]
_DATES = ["2024-01-01", "1704067200", "2024-01-01T00:00:00.5Z", "2023-12-31T23:59:59Z",
          "2024-01-02T00:00:00Z", "x", "", "2025-01-01T00:00:00Z"]  # fmt: skip
_IPS = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.1.0", "10.127.0.1", "10.128.0.1", "11.0.0.1",
        "9.255.255.255", "::1", "::2", "x", ""]  # fmt: skip
_ARNS = ["arn:p:s:::a", "arn:p:s:::ab", "arn:p:t::1:a", "arn:p:s:::a:b", "arn:x", "x", ""]

KEYS: dict[str, tuple[str, list[Value]]] = {
    "k:s": ("S", [None, *_TEXTS, *_LISTS]),
    "k:t": ("S", [None, "a", "b", ["a"], "x"]),
    "aws:username": ("S", [None, *_TEXTS]),
    "aws:TagKeys": ("S", [None, *_LISTS, ["a", "ab"], ["b", "x"]]),
    "aws:PrincipalTag/T": ("S", [None, *_TEXTS]),
    "aws:PrincipalTag/t": ("S", [None, "a", "b", "x"]),
    "s:n": ("N", [None, *_NUMBERS, ["9"], ["10", "x"], []]),
    "aws:CurrentTime": ("D", [None, *_DATES]),
    "aws:SourceIp": ("I", [None, *_IPS]),
    "aws:SecureTransport": ("B", [None, "true", "false", "TRUE", "x", ""]),
    "aws:SourceArn": ("A", [None, *_ARNS]),
    "k:bin": ("X", [None, "YQ==", "YWI=", "YQ", "x", "", "AAAA"]),
}
_BASES = {
    "S": ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike",
          "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    "N": ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
          "NumericGreaterThan", "NumericGreaterThanEquals"),
    "D": ("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
          "DateGreaterThanEquals"),
    "I": ("IpAddress", "NotIpAddress"),
    "B": ("Bool",),
    "A": ("ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals", "StringLike"),
    "X": ("BinaryEquals",),
}  # fmt: skip
_VALUES = {
    "S": ["a", "b", "ab", "a*", "*b", "?", "*a*", "", "A", "*"],
    "N": ["9", "9.5", "10", "1e1", "10.0", "11", "x"],
    "D": ["2024-01-01", "1704067200", "2024-01-01T00:00:00Z", "2024-01-02", "x"],
    "I": ["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.1", "0.0.0.0/0", "::1", "::/0", "x"],
    "B": ["true", "false"],
    "A": ["arn:p:s:::a", "arn:p:s:::a*", "arn:*:*:*:*:*", "arn:p:*::*:a", "x", "arn:p:s:::*:b"],
    "X": ["YQ==", "YWI=", "YQ"],
}


_VARIABLE_KEYS = ("aws:username", "k:t")
"""The keys that variables name."""


@dataclass
class Family:
    """Policies over the same world, as JSON objects, and the contexts of their requests."""

    seed: int
    options: dict[str, str]
    keys: list[str]
    policies: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[dict[str, Value]] = field(default_factory=list)
    has_variables: bool = False
    is_mixed: bool = False

    @property
    def texts(self) -> list[str]:
        return [json.dumps(policy) for policy in self.policies]

    def request(self, bit: int) -> tuple[str, str, dict[str, Value]]:
        """Action, resource and context of a bit."""
        rest, c = divmod(bit, len(self.contexts))
        a, r = divmod(rest, len(RESOURCES))
        return ACTIONS[a], RESOURCES[r], self.contexts[c]


def family(seed: int, *, size: int) -> Family:
    """A family of `size` policies; everything depends on the seed."""
    rng = Random(seed)
    keys = rng.sample(list(KEYS), rng.choice((1, 1, 2, 2)))
    if rng.random() < 0.08:
        keys = ["aws:PrincipalTag/T", "aws:PrincipalTag/t"]
    options = {}
    if rng.random() < 0.25:
        name, value = rng.choice((
            ("resource_glob", "segment"), ("null_empty_string", "value"),
            ("multivalued_plain", "any"), ("null_notresource", "nomatch")))
        options[name] = value
    made = Family(seed, options, keys, has_variables=rng.random() < 0.12,
                  is_mixed=rng.random() < 0.06)
    conditions = [_condition(rng, made) for _ in range(4)]
    actions = [_actions(rng) for _ in range(4)]
    resources = [_resources(rng, made) for _ in range(4)]
    for _ in range(size):
        statements = []
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            name, value = rng.choice(actions) if rng.random() < 0.7 else _actions(rng)
            statement: dict[str, Any] = {
                "Effect": "Deny" if rng.random() < 0.25 else "Allow", name: value}
            name, value = rng.choice(resources) if rng.random() < 0.7 else _resources(rng, made)
            statement[name] = value
            if rng.random() < 0.7:
                statement["Condition"] = (
                    rng.choice(conditions) if rng.random() < 0.6 else _condition(rng, made))
            statements.append(statement)
        made.policies.append({"Version": "2012-10-17", "Statement": statements})
    values = [KEYS[key][1] for key in keys]
    for combination in product(*values):
        made.contexts.append(
            {k: v for k, v in zip(keys, combination, strict=True) if v is not None})
    return made


def _pattern(rng: Random, longest: int = 3) -> str:
    return "".join(rng.choices("aabb**?", k=rng.randint(1, longest)))


def _actions(rng: Random) -> tuple[str, list[str]]:
    listed = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        draw = rng.random()
        listed.append("*" if draw < 0.1 else f"*:{_pattern(rng)}" if draw < 0.2
                      else f"{rng.choice('sstS')}:{_pattern(rng)}")
    return ("NotAction" if rng.random() < 0.15 else "Action"), listed


def _resources(rng: Random, made: Family) -> tuple[str, list[str]]:
    listed = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        draw = rng.random()
        tail = rng.choice(("*", "a*", "*b", "ab", "?", "a?*", "*a*b*", "a", "a:*", "*:b", ""))
        if made.has_variables and rng.random() < 0.5:
            tail = rng.choice(("${aws:username}", "${aws:username}*", "a${aws:username}",
                               "${aws:username, 'a'}", "${k:t}/*", "*${aws:username}"))
        head = rng.choice(("arn:p:s:::", "arn:p:s:::", "arn:*:s:::", "arn:p:s:*:*:", "arn:p:*:",
                           "arn:p:s:*:", "arn:p:?:::"))
        listed.append("*" if draw < 0.25 else "arn:p:s" if draw < 0.28 else head + tail)
    return ("NotResource" if rng.random() < 0.12 else "Resource"), listed


def _condition(rng: Random, made: Family) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for _ in range(rng.choice((1, 1, 1, 2))):
        key = rng.choice(made.keys)
        kind = KEYS[key][0]
        if rng.random() < 0.12:
            out.setdefault("Null", {})[key] = rng.choice(("true", "false", ["true", "false"]))
            continue
        if made.is_mixed and rng.random() < 0.5:
            kind = rng.choice("SNIB")
        base = rng.choice(_BASES[kind])
        prefix = ""
        if rng.random() < (0.7 if key == "aws:TagKeys" else 0.15):
            prefix = rng.choice(("ForAllValues:", "ForAnyValue:"))
        values = rng.sample(_VALUES[kind], min(rng.choice((1, 1, 1, 2, 2, 3)), len(_VALUES[kind])))
        if kind == "B":
            values = values[:1]
        if rng.random() < 0.03:
            values = []
        if made.has_variables and kind == "S" and rng.random() < 0.5:
            values = [rng.choice(("${aws:username}", "a${k:t}", "${k:t, 'b'}"))]
        suffix = "IfExists" if rng.random() < 0.2 else ""
        out.setdefault(f"{prefix}{base}{suffix}", {})[key] = values
    return out


@cache
def _resources_of(entry: str, glob: str) -> int:
    """Bitset of the resources that one entry matches; families share many entries."""
    options = complete_options({"resource_glob": glob})
    empty = Context({})
    return sum(
        1 << r for r, text in enumerate(RESOURCES)
        if resource_matches(False, [entry], "identity", True, text, empty, options).state == "yes")


class Judge:
    """Decides all requests of a family for one policy after another."""

    def __init__(self, made: Family) -> None:
        self.family = made
        self.options = complete_options(made.options)
        self._contexts = [Context(c) for c in made.contexts]
        self._memo: dict[str, int] = {}
        self._by_values: dict[tuple[str, ...], list[tuple[Context, int]]] = {}
        self._full_row = (1 << len(self._contexts)) - 1

    def allowed(self, policy: dict[str, Any]) -> int:
        """Bitset of the requests that the policy allows."""
        allows = denies = 0
        for statement in read_document(policy, "identity"):
            assert not statement.faults, policy
            matched = self._statement(statement)
            if statement.effect == "Allow":
                allows |= matched
            else:
                denies |= matched
        return allows & ~denies

    def _statement(self, statement: Any) -> int:
        at = repr((statement.action, statement.resource, statement.conditions))
        known = self._memo.get(at)
        if known is None:
            known = self._memo[at] = self._matched(statement)
        return known

    def _matched(self, statement: Any) -> int:
        action, resource = statement.action, statement.resource
        per_condition = self._full_row
        for entry in statement.conditions:
            per_condition &= self._entry(entry)
        has_variables = any("${" in text for text in resource.entries)
        plane = 0
        size = len(self._contexts)
        hit = 0 if has_variables else self._resources(resource)
        for r, text in enumerate(RESOURCES):
            if has_variables:
                row = per_condition & sum(
                    bits for context, bits in self._by_values_of(list(_VARIABLE_KEYS))
                    if resource_matches(resource.negated, resource.entries, "identity", True, text,
                                        context, self.options).state == "yes")
            else:
                row = per_condition if hit >> r & 1 else 0
            plane |= row << (r * size)
        out = 0
        stride = size * len(RESOURCES)
        for a, name in enumerate(ACTIONS):
            if action_matches(action.negated, action.entries, name).state == "yes":
                out |= plane << (a * stride)
        return out

    def _resources(self, element: Any) -> int:
        """Bitset of the resources that an element without variables matches: any of its entries
        or none of them (RES-9)."""
        glob = self.options["resource_glob"]
        hit = 0
        for entry in element.entries:
            hit |= _resources_of(entry, glob)
        return hit ^ ((1 << len(RESOURCES)) - 1) if element.negated else hit

    def _entry(self, entry: Any) -> int:
        """Contexts in which an entry holds: a matter of its own key, and of its variables."""
        asked = [k for k in self.family.keys if k.lower() == entry.key.lower()]
        if any("${" in value for value in entry.values):
            asked += _VARIABLE_KEYS
        return sum(bits for context, bits in self._by_values_of(asked)
                   if entry_matches(entry, True, context, self.options).state == "yes")

    def _by_values_of(self, keys: list[str]) -> list[tuple[Context, int]]:
        """A context for each combination of values of these keys, and the bits of all like it."""
        at = tuple(keys)
        if at not in self._by_values:
            groups: dict[str, list[int]] = {}
            for c, values in enumerate(self.family.contexts):
                groups.setdefault(repr([values.get(k) for k in keys]), []).append(c)
            self._by_values[at] = [
                (self._contexts[members[0]], sum(1 << c for c in members))
                for members in groups.values()]
        return self._by_values[at]
