"""Which Allow of a layer let a call through that the other side lacks.

Where one side allows a call and a layer such as the service control policies denies it implicitly
on the other, the statement that speaks for the principal is the same on both. What changed is an
Allow of that layer, its *gate* here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .audit import BatchResults, numbered
from .logs.columns import ABSENT, packed
from .responsible import written_statement
from .runtime.codes import DecisionCode, Layer

if TYPE_CHECKING:
    from .flips import BatchFlips
    from .runtime import StatementInfo, Table

MAX_ROW_GATES = 1_000
"""Distinct requests of a batch whose gate is looked up; those beyond have none told."""


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
    """The gate of each flipped record, looked up once per distinct request."""
    count = len(flips.records)
    gates = Gates(np.full(count, ABSENT, dtype=np.int32), np.full(count, ABSENT, dtype=np.int32))
    sides = (before, flips.before, gates.before), (after, flips.after, gates.after)
    for (table, allowing, found), (other, denying, _) in (sides, sides[::-1]):
        facts = [(side.decision[flips.records], side.layer[flips.records])
                 for side in (allowing, denying)]
        wanted = np.flatnonzero(
            (facts[0][0] == DecisionCode.ALLOW) & (facts[1][0] == DecisionCode.IMPLICIT_DENY)
            & (facts[0][1] != facts[1][1]))
        if not len(wanted):
            continue
        layers = facts[1][1][wanted]
        rows = flips.row[wanted]
        keys = packed([layers.astype(np.int64), *_request_codes(flips, rows)])
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        statements = np.full(len(first), ABSENT, dtype=np.int32)
        # in the order of the records, so that the first ones are told
        for at in np.argsort(first, kind="stable")[:MAX_ROW_GATES].tolist():
            place = int(first[at])
            gate = find_gate(table, allowing, other, denying, int(rows[place]),
                             Layer(int(layers[place])))
            if gate is not None:
                statements[at] = gate.id
        found[wanted] = statements[which.ravel()]
    return gates


def _request_codes(flips: BatchFlips, rows: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Numbers that tell requests apart in everything that a decision may hang on."""
    batch = flips.before.batch
    columns = [batch.principal, batch.action, batch.resource, *batch.context.values()]
    codes = [numbered(column, rows).astype(np.int64) for column in columns]
    for side in (flips.before, flips.after):
        if side.asked is not None:
            places = np.searchsorted(side.asked.rows, rows)
            codes += [c.codes[places].astype(np.int64) for c in side.asked.asking.values()]
    return codes


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
