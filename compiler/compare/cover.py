"""What need not be looked at: statements that the other side has as well.

Where every Deny of the refusing side stands on the accepting side too, a request that a statement
matches is no difference if a statement of the refusing side that grants alone matches wherever it
does. That is so when the other one has a resource element that includes this one's, no condition
that this one lacks, and the action pattern, or a `head*` around it. What is left of a statement are
the action patterns that are not covered so. This is a shortcut and nothing else: the search finds
the same without it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.codes import FLAG_UNKNOWN
from .. import ir
from .budget import Meter
from .formula import Acceptor, Gate

_STEPS = 2
"""What looking at two statements takes, in steps of the budget."""

Key = tuple[int, int, tuple[int, ...]]


def uncovered(
    program: ir.Program, accepts: Acceptor, refuses: Acceptor, meter: Meter
) -> tuple[dict[int, tuple[int, ...] | None], tuple[int, ...]]:
    """Driver -> its action patterns that are left (None: all of them, whatever they are), and the
    Deny statements of the refusing side that the accepting side lacks.

    A driver of which nothing is left is not listed. Statements beyond what the meter has steps for
    are left whole: the search may still find that there is nothing.
    """
    statements = program.statements
    shared = {_key(statements[i]) for i in accepts.denies if not statements[i].flags & FLAG_UNKNOWN}
    lone = tuple(
        i for i in refuses.denies
        if statements[i].flags & FLAG_UNKNOWN or _key(statements[i]) not in shared
    )
    left: dict[int, tuple[int, ...] | None] = dict.fromkeys(accepts.drivers)
    if not isinstance(refuses.grant, Gate):
        return left, lone
    granting = [
        statements[i] for i in refuses.grant.statements if not statements[i].flags & FLAG_UNKNOWN
    ]
    alike = {_key(s) for s in granting if s.action_set >= 0 and s.resource_set >= 0}
    inclusion = _Inclusion(program)
    for number in accepts.drivers:
        if _key(statements[number]) in alike:
            del left[number]
            continue
        if meter.is_low:
            break
        meter.note(_STEPS * len(granting))
        rest = _left(program, statements[number], granting, inclusion)
        if rest is None:
            continue
        if rest:
            left[number] = rest
        else:
            del left[number]
    return left, lone


def _key(statement: ir.Statement) -> Key:
    return statement.action_set, statement.resource_set, tuple(sorted(statement.predicate_ids))


def _left(
    program: ir.Program, statement: ir.Statement, granting: Iterable[ir.Statement],
    inclusion: _Inclusion,
) -> tuple[int, ...] | None:
    if statement.action_set < 0:
        return None
    actions = program.action_sets[statement.action_set]
    left = dict.fromkeys(actions.pattern_ids)
    conditions = set(statement.predicate_ids)
    for other in granting:
        if not conditions.issuperset(other.predicate_ids):
            continue
        if not inclusion.holds(other.resource_set, statement.resource_set):
            continue
        if other.action_set == statement.action_set:
            return ()
        theirs = program.action_sets[other.action_set]
        if theirs.negated or actions.negated:
            continue
        for pattern in theirs.pattern_ids:
            left.pop(pattern, None)
        heads = tuple(
            text[:-1] for text in (program.action_patterns[p].text for p in theirs.pattern_ids)
            if text.endswith("*") and "*" not in text[:-1] and "?" not in text and text != "*:*"
        )
        if heads:
            left = {
                p: None for p in left
                if not _begins_with(program.action_patterns[p].text, heads)
            }
        if not left:
            return ()
    return None if actions.negated else tuple(left)


def _begins_with(text: str, heads: tuple[str, ...]) -> bool:
    """Whether every action the pattern matches begins with one of the heads."""
    return text.startswith(heads)


class _Inclusion:
    """Which resource elements certainly match wherever others do."""

    def __init__(self, program: ir.Program) -> None:
        self._sets = program.resource_sets
        self._patterns = program.resource_patterns
        self._listed: dict[int, tuple[frozenset[int], bool]] = {}

    def _of(self, set_id: int) -> tuple[frozenset[int], bool]:
        """The patterns of an element, and whether one of them matches everything."""
        known = self._listed.get(set_id)
        if known is None:
            ids = self._sets[set_id].pattern_ids
            is_all = any(self._patterns[p].is_all for p in ids)
            known = self._listed[set_id] = frozenset(ids), is_all
        return known

    def holds(self, outer: int, inner: int) -> bool:
        if outer == inner:
            return outer >= 0
        if outer < 0 or inner < 0 or self._sets[outer].negated:
            return False
        theirs, is_all = self._of(outer)
        return is_all or (not self._sets[inner].negated and theirs.issuperset(self._of(inner)[0]))
