"""What every part of the reference evaluator stands on: three-valued matches, faults, unknowns.

A statement, or one element of it, matches a request as *no*, *yes* or *unknown*; the connectives
are Kleene's (docs/design/three-valued.md). A match that is unknown carries the reasons: the
lower-case names of the unknown context keys, `resource`, or `statement` for text that cannot be
read. Connectives look at all their operands, so the order of elements never shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

State = Literal["no", "yes", "unknown"]


class DocumentFault(ValueError):
    """The policy is not JSON, or its top level is not an object (GRAM-0, GRAM-1)."""


class RequestFault(ValueError):
    """The request is not one that the rules can decide (ACT-8, RES-12, COND-11, PRIN-2)."""


class Unknown:
    """A context value nobody knows: it may be anything, or absent."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, memo: object) -> Unknown:
        return self

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Match(NamedTuple):
    """How something matches a request, and why that is unknown where it is."""

    state: State
    reasons: frozenset[str] = frozenset()


NO = Match("no")
YES = Match("yes")
UNREADABLE = Match("unknown", frozenset({"statement"}))


def unknown(reasons: Iterable[str]) -> Match:
    """An unknown match for these reasons."""
    return Match("unknown", frozenset(reasons))


def match_of(claim: bool) -> Match:
    """A match that is not in doubt."""
    return YES if claim else NO


def negation(match: Match) -> Match:
    """Kleene's not: unknown stays unknown."""
    if match.state == "unknown":
        return match
    return NO if match.state == "yes" else YES


def all_of(matches: Iterable[Match]) -> Match:
    """Kleene's and: one no is enough for no, else one unknown is enough for unknown."""
    is_unknown = False
    reasons: frozenset[str] = frozenset()
    for match in matches:
        if match.state == "no":
            return NO
        if match.state == "unknown":
            is_unknown = True
            reasons |= match.reasons
    return Match("unknown", reasons) if is_unknown else YES


def any_of(matches: Iterable[Match]) -> Match:
    """Kleene's or: one yes is enough for yes, else one unknown is enough for unknown."""
    return negation(all_of([negation(match) for match in matches]))


DEFAULT_OPTIONS = {
    "invalid_statement": "unknown",
    "resource_glob": "span",
    "resource_early_vars": "substitute",
    "null_notresource": "match",
    "null_empty_string": "null",
    "multivalued_plain": "never",
    "notprincipal": "any",
    "trust_boundary": "limit",
    "missing_required_policy": "deny",
}
"""The choices the specification leaves open, by their names there."""

_CHOICES = {
    "invalid_statement": ("unknown", "never"),
    "resource_glob": ("span", "segment"),
    "resource_early_vars": ("substitute", "literal"),
    "null_notresource": ("match", "nomatch"),
    "null_empty_string": ("null", "value"),
    "multivalued_plain": ("never", "any"),
    "notprincipal": ("any", "chain"),
    "trust_boundary": ("limit", "bypass"),
    "missing_required_policy": ("deny", "account"),
}


def complete_options(options: dict[str, str] | None, **defaults: str) -> dict[str, str]:
    """All options by name: those given, then `defaults`, then DEFAULT_OPTIONS.

    Raises ValueError for an option or a value that does not exist.
    """
    complete = {**DEFAULT_OPTIONS, **defaults, **(options or {})}
    for name, value in complete.items():
        if name not in _CHOICES:
            raise ValueError(f"unknown option `{name}`")
        if value not in _CHOICES[name]:
            raise ValueError(f"option `{name}` cannot be `{value}`")
    return complete


def ascii_lower(text: str) -> str:
    """`text` with the letters A-Z, and only those, in lower case (ACT-1)."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


# fmt: off
RULES = frozenset({
    "GRAM-0", "GRAM-1", "GRAM-2", "GRAM-4", "GRAM-5", "GRAM-6", "GRAM-10", "GRAM-11", "GRAM-12",
    "GRAM-13", "GRAM-20", "GRAM-21", "GRAM-22", "GRAM-23", "GRAM-24", "GRAM-40",
    "GLOB-1", "GLOB-2", "GLOB-3", "GLOB-4",
    "ACT-1", "ACT-2", "ACT-3", "ACT-4", "ACT-5", "ACT-6", "ACT-7", "ACT-8",
    "RES-1", "RES-2", "RES-3", "RES-4", "RES-5", "RES-7", "RES-8", "RES-9", "RES-10", "RES-12",
    "VAR-1", "VAR-2", "VAR-3", "VAR-4", "VAR-5", "VAR-6", "VAR-7", "VAR-8", "VAR-9", "VAR-10",
    "VAR-11", "VAR-12",
    "STMT-1", "STMT-2",
    "COND-2", "COND-3", "COND-4", "COND-5", "COND-6", "COND-7", "COND-8", "COND-9", "COND-11",
    "COND-12", "COND-13", "COND-20", "COND-21", "COND-22", "COND-23", "COND-24", "COND-25",
    "COND-26", "COND-27", "COND-28", "COND-29", "COND-30", "COND-31", "COND-32", "COND-35",
    "COND-36", "COND-37", "COND-40", "COND-41", "COND-42", "COND-43", "COND-44", "COND-45",
    "COND-48", "COND-50", "COND-55", "COND-56", "COND-57", "COND-58", "COND-60", "COND-61",
    "COND-62", "COND-63",
    "EVAL-2",
})
"""Ids of the rules that the identity layer can record."""

LAYER_RULES = frozenset({
    "GRAM-30", "GRAM-31", "GRAM-32", "GRAM-33", "GRAM-34", "GRAM-42",
    "RES-11",
    "PRIN-1", "PRIN-2", "PRIN-3", "PRIN-4", "PRIN-5", "PRIN-6", "PRIN-7", "PRIN-8", "PRIN-9",
    "PRIN-10", "PRIN-11", "PRIN-12", "PRIN-13", "PRIN-14",
    "EVAL-3", "EVAL-4", "EVAL-5", "EVAL-6", "EVAL-7", "EVAL-8", "EVAL-10", "EVAL-11", "EVAL-12",
    "EVAL-15", "EVAL-16", "EVAL-17", "EVAL-18", "EVAL-19", "EVAL-20", "EVAL-21", "EVAL-22",
    "EVAL-23", "EVAL-24", "EVAL-25", "EVAL-26", "EVAL-30", "EVAL-32", "EVAL-33", "EVAL-40",
    "EVAL-41", "EVAL-42", "EVAL-44", "EVAL-50", "EVAL-51", "EVAL-52", "EVAL-55", "EVAL-57",
    "EVAL-58", "EVAL-60", "EVAL-61", "EVAL-70", "EVAL-71",
})
"""Ids of the further rules that the evaluation of a whole case can record."""
# fmt: on


def note(rules: set[str] | None, rule: str) -> None:
    """Record that `rule` decided something; `rules` is None when nobody asks."""
    if rule not in RULES and rule not in LAYER_RULES:
        raise KeyError(f"`{rule}` is not declared in RULES or LAYER_RULES")
    if rules is not None:
        rules.add(rule)
