"""Flips as columns: a row per flipped record for output files, and a row per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .audit import BatchResults
from .flips import BatchFlips, Change, Side
from .gates import row_gates
from .labels import statement_label
from .logs.columns import ABSENT
from .results import LAYERS, StatementLabels, of_row, record_columns, repeated
from .runtime.codes import Layer
from .tallies import DECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from .replaying import ReplayResult
    from .runtime import StatementInfo, Table

_CHANGES = tuple(change.label for change in Change)


class _Places(Sequence[str]):
    """`file:line:column` of statements, made when asked for."""

    def __init__(self, statements: Sequence[StatementInfo]) -> None:
        self._statements = statements

    def __len__(self) -> int:
        return len(self._statements)

    def __getitem__(self, index: Any) -> Any:
        return str(self._statements[index].location)


def flips_table(flips: BatchFlips, before: Table, after: Table) -> pa.RecordBatch:
    """One row per flipped record of a batch, with both decisions.

    principal, action and resource are those of the request that makes the difference; the
    statements are those that decide about it. Decisions and layers are those of the record. The
    gate is the Allow that let it through, of the layer that denies it implicitly on the other side
    (`gates`).
    """
    import pyarrow as pa

    batch: Any = flips.before.batch
    records, rows = flips.records, flips.row
    columns = record_columns(batch, records)
    columns |= {
        "principal": of_row(batch.principal, rows),
        "action": of_row(batch.action, rows),
        "resource": of_row(batch.resource, rows),
        "change": repeated(flips.change[records], _CHANGES),
    }
    gates = row_gates(flips, before, after)
    columns |= _side_columns("before", flips.before, before, flips, gates.before, flips.after)
    columns |= _side_columns("after", flips.after, after, flips, gates.after, flips.before)
    texts: dict[tuple[str, ...], int] = {}
    codes = np.full(len(records), ABSENT, dtype=np.int32)
    for at, record in enumerate(records.tolist()):
        keys = flips.depends_on.get(record)
        if keys is not None:
            codes[at] = texts.setdefault(keys, len(texts))
    columns["depends_on"] = repeated(codes, [", ".join(keys) for keys in texts])
    return pa.RecordBatch.from_pydict(columns)


def _side_columns(name: str, side: BatchResults, table: Table, flips: BatchFlips,
                  gate: NDArray[np.int32], other: BatchResults) -> dict[str, Any]:
    layer = side.layer[flips.records].astype(np.int32)
    statement = side.request_statement[flips.row]
    labels, places = StatementLabels(table.statements), _Places(table.statements)
    barred = other.layer[flips.records].astype(np.int32)  # the layer whose gate this is
    return {
        name: repeated(side.decision[flips.records], DECISIONS),
        f"{name}_layer": repeated(np.where(layer == Layer.NONE, ABSENT, layer), LAYERS),
        f"{name}_statement": repeated(statement, labels),
        f"{name}_place": repeated(statement, places),
        f"{name}_gate_layer": repeated(np.where(gate < 0, ABSENT, barred), LAYERS),
        f"{name}_gate": repeated(gate, labels),
        f"{name}_gate_place": repeated(gate, places),
    }


def groups_table(result: ReplayResult) -> pa.Table:
    """One row per group, in the order of `result.groups`."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    example = pa.struct([("event_id", text), ("time", pa.timestamp("s", tz="UTC")),
                         ("place", text), ("resource", text)])
    rows = [
        {
            "change": group.change.label, "principal": group.principal, "action": group.action,
            "resources": list(group.resources),
            **_side_cells("before", group.before, group.after),
            **_side_cells("after", group.after, group.before),
            "depends_on": list(group.depends_on), "records": group.records,
            "examples": [one._asdict() for one in group.examples],
        }
        for group in result.groups
    ]
    sides = [(f"{name}{part}", text) for name in ("before", "after")
             for part in ("", "_layer", "_statement", "_place", "_gate_layer", "_gate",
                          "_gate_place")]
    return pa.Table.from_pylist(rows, pa.schema([
        ("change", text), ("principal", text), ("action", text), ("resources", texts), *sides,
        ("depends_on", texts), ("records", pa.int64()), ("examples", pa.list_(example))]))


def _side_cells(name: str, side: Side, other: Side) -> dict[str, str | None]:
    statement, gate = side.statement, side.gate
    return {
        name: side.decision.name,
        f"{name}_layer": None if side.layer is Layer.NONE else side.layer.name.lower(),
        f"{name}_statement": None if statement is None else statement_label(statement),
        f"{name}_place": None if statement is None else str(statement.location),
        f"{name}_gate_layer": None if gate is None else other.layer.name.lower(),
        f"{name}_gate": None if gate is None else statement_label(gate),
        f"{name}_gate_place": None if gate is None else str(gate.location),
    }
