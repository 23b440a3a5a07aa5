"""Which Allow of a layer let a call through that the other side lacks.

Where one side allows a call and a layer such as the service control policies denies it implicitly
on the other, the statement that speaks for the principal is the same on both. What changed is an
Allow of that layer, its *gate* here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .audit import BatchResults, numbered
from .logs.columns import ABSENT, NOT_GIVEN, packed
from .responsible import written_statement
from .runtime.codes import NO_ID, DecisionCode, Effect, Layer

if TYPE_CHECKING:
    from .flips import BatchFlips
    from .runtime import StatementInfo, Table

class Gates(NamedTuple):
    """Per flipped record of a batch: the statement (number in the table of its side, or ABSENT).

    At most one of the two is there: on the side that allows.
    """

    before: NDArray[np.int32]
    after: NDArray[np.int32]


def find_gate(allows: Table, allowing: BatchResults, denies: Table, denying: BatchResults,
              row: int, layer: Layer) -> StatementInfo | None:
    """An Allow of `layer` that matches a request on the side that allows, by preference one that
    the side that denies has not: a layer of several levels has an Allow at each."""
    found, still = _matching(allows, allowing, row, layer), _matching(denies, denying, row, layer)
    lost = [statement for text, statement in found.items() if text not in still]
    return next(iter([*lost, *found.values()]), None)


def is_gated(allows: tuple[int, int], denies: tuple[int, int]) -> bool:
    """Whether a pair of (decision, layer) is an Allow, and an implicit denial of another layer."""
    return (allows[0] == DecisionCode.ALLOW and denies[0] == DecisionCode.IMPLICIT_DENY
            and denies[1] != allows[1])


def row_gates(flips: BatchFlips, before: Table, after: Table) -> Gates:
    """The gate of each flipped record, looked up once for requests that its layer cannot tell
    apart."""
    count = len(flips.records)
    gates = Gates(np.full(count, ABSENT, dtype=np.int32), np.full(count, ABSENT, dtype=np.int32))
    sides = (before, flips.before, gates.before), (after, flips.after, gates.after)
    for (table, allowing, found), (other, denying, _) in (sides, sides[::-1]):
        facts = [(side.decision[flips.records], side.layer[flips.records])
                 for side in (allowing, denying)]
        is_wanted = (
            (facts[0][0] == DecisionCode.ALLOW) & (facts[1][0] == DecisionCode.IMPLICIT_DENY)
            & (facts[0][1] != facts[1][1]))
        layers = facts[1][1]
        for layer in np.unique(layers[is_wanted]).tolist():
            wanted = np.flatnonzero(is_wanted & (layers == layer))
            rows = flips.row[wanted]
            looks = [_Look.of(t, Layer(layer)) for t in (before, after)]
            keys = packed(_request_codes(flips, rows, Layer(layer), looks))
            _, first, which = np.unique(keys, return_index=True, return_inverse=True)
            statements = np.full(len(first), ABSENT, dtype=np.int32)
            for at, place in enumerate(first.tolist()):
                gate = find_gate(table, allowing, other, denying, int(rows[place]), Layer(layer))
                if gate is not None:
                    statements[at] = gate.id
            found[wanted] = statements[which.ravel()]
    return gates


class _Look(NamedTuple):
    """What the Allow statements of a layer look at; requests alike in that have the same gate.

    keys     : lower-case context keys of their conditions and variables
    patterns : their resource patterns; None where variables stand in some of them
    """

    keys: frozenset[str]
    patterns: frozenset[int] | None
    table: Table

    @classmethod
    def of(cls, table: Table, layer: Layer) -> _Look:
        model, sets = table.model, table.planner.sets
        keys: set[int] = set()
        patterns: set[int] | None = set()
        listed = np.flatnonzero(
            (model["statement_layer"] == layer) & (model["statement_effect"] != Effect.DENY))
        for statement in listed.tolist():
            start, stop = model["statement_predicate_start"][statement : statement + 2].tolist()
            tests = model["statement_predicate"][start:stop]
            keys.update(model["predicate_key"][tests].tolist())
            if any(table.planner.predicate_of(int(test)).variable_keys for test in tests):
                patterns = None
            set_id = int(model["statement_resource_set"][statement])
            if set_id == NO_ID:
                continue
            if sets.has_variables(set_id):
                patterns = None
            elif patterns is not None:
                patterns.update(sets.patterns(set_id))
        names = frozenset(model.keys[key].name.lower() for key in keys)
        return cls(names, None if patterns is None else frozenset(patterns), table)

    def matched(self, resource: str | None) -> frozenset[int] | None:
        """Which of the patterns match a resource."""
        assert self.patterns is not None
        if resource is None:
            return None
        return self.patterns & self.table.planner.sets.matched(resource)


def _request_codes(flips: BatchFlips, rows: NDArray[np.int32], layer: Layer,
                   looks: Sequence[_Look]) -> list[NDArray[np.int64]]:
    """Numbers that tell requests apart as far as the layer's Allow statements do."""
    batch = flips.before.batch
    keys = looks[0].keys | looks[1].keys
    given = {name.lower() for name, column in batch.context.items()
             if not (hasattr(column, "codes") and (column.codes == NOT_GIVEN).any())}
    # variables may name any key, and global keys without a column may follow from others
    is_whole = any(look.patterns is None for look in looks) or any(
        key.startswith("aws:") and key not in given for key in keys)
    asks_requester = is_whole or any(
        key.startswith(("aws:principal", "aws:user", "aws:assumedroot")) for key in keys)
    asks_resource = is_whole or any(key.startswith("aws:resource") for key in keys)
    columns: list[Any] = [batch.action]
    columns += [column for name, column in batch.context.items()
                if is_whole or name.lower() in keys]
    codes = [numbered(column, rows).astype(np.int64) for column in columns]
    by_account = layer is Layer.SCP and not asks_requester
    codes.append(_classed(batch.principal, rows, _account_of if by_account else _itself))
    codes.append(_classed(
        batch.resource, rows,
        _itself if asks_resource else lambda text: tuple(look.matched(text) for look in looks)))
    if by_account:
        return codes
    for side in (flips.before, flips.after):
        if side.asked is not None:
            places = np.searchsorted(side.asked.rows, rows)
            codes += [c.codes[places].astype(np.int64) for c in side.asked.asking.values()]
    return codes


def _itself(value: str | None) -> str | None:
    return value


def _account_of(principal: str | None) -> str | None:
    """Whose service control policies meet the requests of a principal."""
    if principal is None:
        return None
    fields = principal.split(":", 5)
    return fields[4] if len(fields) == 6 else principal


def _classed(column: Any, rows: NDArray[np.int32], class_of: Callable[[Any], object]
             ) -> NDArray[np.int64]:
    """Numbers of classes of a column's values, for these rows."""
    codes = numbered(column, rows)
    known: dict[object, int] = {}
    distinct, first, which = np.unique(codes, return_index=True, return_inverse=True)
    classes = np.empty(len(distinct), dtype=np.int64)
    for at, place in enumerate(first.tolist()):
        value = column.value(int(rows[place]))
        classes[at] = known.setdefault(class_of(value), len(known))
    found: NDArray[np.int64] = classes[which.ravel()]
    return found


def _matching(table: Table, results: BatchResults, row: int, layer: Layer
              ) -> dict[str, StatementInfo]:
    """The Allow statements of a layer that match a request for certain, by their text."""
    if results.asked is None:
        return {}
    place = int(np.searchsorted(results.asked.rows, row))
    return {
        written_statement(table, trace.statement.id): trace.statement
        for trace in results.asked.decisions.explain(place).traces
        if trace.layer == layer and trace.state == "yes" and trace.statement.effect == "Allow"
    }
