"""What need not be looked at: what the other side has as well.

A request is a difference if the accepting side allows it and the refusing side withholds it. Given
the former, a Deny that both sides have does not match, and a part of the refusing side's grant that
some part of the accepting side's implies holds; neither can be why the request is withheld
(`reduced`). If there is no Deny left, and one gate, a statement that the gate covers is no reason
to look: what is left of it are the action patterns that are not covered (`uncovered`).

One statement covers another when it matches wherever that does: its resource element includes the
other's, it has no condition that the other lacks, and the action pattern, or a `head*` around it.
This is a shortcut and nothing else: the search finds the same without it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.codes import FLAG_UNKNOWN
from .. import ir
from .budget import Meter
from .formula import Acceptor, AllOf, AnyOf, Gate, Grant

_STEPS = 2
"""What looking at two statements takes, in steps of the budget."""

Key = tuple[int, int, tuple[int, ...]]


class Cover:
    """What covers what in one program."""

    def __init__(self, program: ir.Program, meter: Meter) -> None:
        self._program = program
        self._meter = meter
        self._inclusion = _Inclusion(program)
        self._implied: dict[tuple[Gate, Gate], bool] = {}

    def reduced(self, accepts: Acceptor, refuses: Acceptor) -> Acceptor:
        """The refusing side, as far as it can withhold what `accepts` allows."""
        statements = self._program.statements
        self._meter.note(len(accepts.denies) + len(refuses.denies))
        shared = {
            _key(statements[i]) for i in accepts.denies if not statements[i].flags & FLAG_UNKNOWN}
        lone = tuple(
            i for i in refuses.denies
            if statements[i].flags & FLAG_UNKNOWN or _key(statements[i]) not in shared
        )
        parts = refuses.grant.parts if isinstance(refuses.grant, AllOf) else (refuses.grant,)
        left = tuple(part for part in parts if not self._implies(accepts.grant, part))
        return Acceptor(left[0] if len(left) == 1 else AllOf(left), lone)

    def uncovered(
        self, accepts: Acceptor, grant: Grant
    ) -> dict[int, tuple[int, ...] | None]:
        """Driver -> its action patterns that are left where `grant` is to be withheld (None: all of
        them, whatever they are).

        A driver of which nothing is left is not listed. Statements beyond what the meter has steps
        for are left whole: the search may still find that there is nothing.
        """
        left: dict[int, tuple[int, ...] | None] = dict.fromkeys(accepts.drivers)
        if grant == AllOf(()):
            return {}
        if not isinstance(grant, Gate):
            return left
        statements = self._program.statements
        granting, alike = self._granting(grant)
        for number in accepts.drivers:
            if _key(statements[number]) in alike:
                del left[number]
                continue
            if self._meter.is_low:
                break
            self._meter.note(_STEPS * len(granting))
            rest = _left(self._program, statements[number], granting, self._inclusion)
            if rest is None:
                continue
            if rest:
                left[number] = rest
            else:
                del left[number]
        return left

    def _granting(self, gate: Gate) -> tuple[list[ir.Statement], set[Key]]:
        """Statements of a gate that can cover others, and the keys of those that cover their like.
        """
        statements = self._program.statements
        granting = [
            statements[i] for i in gate.statements if not statements[i].flags & FLAG_UNKNOWN]
        alike = {_key(s) for s in granting if s.action_set >= 0 and s.resource_set >= 0}
        return granting, alike

    def _implies(self, given: Grant, wanted: Grant) -> bool:
        """Whether `wanted` holds wherever `given` does; False where that is not plain to see."""
        if isinstance(wanted, AllOf):
            return all(self._implies(given, part) for part in wanted.parts)
        if isinstance(given, AnyOf):
            return all(self._implies(part, wanted) for part in given.parts)
        if isinstance(given, AllOf) and any(self._implies(p, wanted) for p in given.parts):
            return True
        if isinstance(wanted, AnyOf):
            return any(self._implies(given, part) for part in wanted.parts)
        return isinstance(given, Gate) and self._opens(given, wanted)

    def _opens(self, given: Gate, wanted: Gate) -> bool:
        """Whether one gate is open wherever the other is."""
        known = self._implied.get((given, wanted))
        if known is None:
            known = self._implied[given, wanted] = self._covers_all(wanted, given)
        return known

    def _covers_all(self, outer: Gate, inner: Gate) -> bool:
        granting, alike = self._granting(outer)
        statements = self._program.statements
        for number in inner.statements:
            statement = statements[number]
            if number in outer.statements or _key(statement) in alike:
                continue
            if statement.flags & FLAG_UNKNOWN or self._meter.is_low:
                return False
            self._meter.note(_STEPS * len(granting))
            if _left(self._program, statement, granting, self._inclusion) != ():
                return False
        return True


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
