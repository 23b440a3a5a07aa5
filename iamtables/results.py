"""Per-record results of an audit as Parquet, NDJSON or CSV, written batch by batch.

One row per record of the input, decided or not, so that the file adds up like the summary. Columns
that repeat (principal, action, ...) are dictionaries in Parquet. For tables of requests the columns
that describe a log record are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .audit import BatchResults
from .audit_counts import OUTCOMES, REQUESTERS, UNDECIDED
from .errors import SourceError
from .labels import statement_label
from .logs.classes import Outcome, RecordClass, Requester
from .logs.columns import ABSENT, Coded
from .runtime.codes import Layer
from .tallies import DECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from .runtime import StatementInfo

LAYERS = tuple(layer.name.lower() for layer in Layer)

SUFFIXES = (".parquet", ".ndjson", ".jsonl", ".csv")


class ResultWriter(Protocol):
    """Takes the results of one batch after another."""

    def write(self, results: BatchResults) -> None: ...

    def close(self) -> None: ...


def output_kind(path: str | Path) -> str:
    """`parquet`, `ndjson` or `csv` by suffix. Raises SourceError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(f"cannot tell the format of `{path}`", path=str(path),
                          help=f"use one of the suffixes {', '.join(SUFFIXES)}")
    return {".parquet": "parquet", ".csv": "csv"}.get(suffix, "ndjson")


def repeated(codes: Any, values: Sequence[Any]) -> pa.DictionaryArray:
    """A dictionary column; a negative code is a null."""
    import pyarrow as pa

    codes = np.asarray(codes, dtype=np.int32)
    used, inverse = np.unique(np.where(codes < 0, ABSENT, codes), return_inverse=True)
    kept = [values[code] for code in used.tolist() if code >= 0]
    shift = int(bool(len(used)) and used[0] < 0)
    indices = inverse.ravel().astype(np.int32) - shift
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), pa.array(kept, pa.string())
    )


def _coded(column: Coded) -> pa.DictionaryArray:
    return repeated(column.codes, column.values)


def of_row(column: Coded, row: Any) -> pa.DictionaryArray:
    """Values of a request column at the deciding rows; null where there is none."""
    codes = np.full(len(row), ABSENT, dtype=np.int32)
    codes[row >= 0] = column.codes[row[row >= 0]]
    return repeated(codes, column.values)


def record_columns(batch: Any, records: NDArray[Any]) -> dict[str, Any]:
    """What tells records apart: of a log event id, time and so on, of a table the row."""
    import pyarrow as pa

    if not hasattr(batch, "event_id"):
        return {
            "source": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(len(records), dtype=np.int32)), pa.array([batch.path])),
            "row": pa.array(np.asarray(batch.start + 1 + records, dtype=np.int64)),
        }
    columns = {"event_id": batch.event_id.take(records).to_arrow(),
               "time": pa.array(np.asarray(batch.time)[records], pa.timestamp("s", tz="UTC"))}
    for name in ("account", "region", "event_source", "event_name"):
        column = getattr(batch, name)
        columns[name] = repeated(column.codes[records], column.values)
    return columns


def results_table(results: BatchResults, statements: Sequence[StatementInfo]) -> pa.RecordBatch:
    """The results of a batch as columns."""
    import pyarrow as pa

    batch: Any = results.batch
    decided = results.decision != UNDECIDED
    is_log = hasattr(batch, "event_id")
    columns = record_columns(batch, np.arange(batch.records))
    columns |= {
        "principal": of_row(batch.principal, _any_row(results)),
        "action": of_row(batch.action, _any_row(results)),
        "resource": of_row(batch.resource, _any_row(results)),
        "decision": repeated(np.where(decided, results.decision.astype(np.int32), ABSENT),
                              DECISIONS),
        "layer": repeated(np.where(results.layer == 0, ABSENT, results.layer.astype(np.int32)),
                           LAYERS),
        "statement": repeated(results.statement, StatementLabels(statements)),
        "depends_on": _depends_on(results),
    }
    if is_log:
        kinds = [REQUESTERS.get(kind, "user or role") for kind in Requester]
        columns |= {
            "requester": repeated(batch.identity, kinds),
            "class": repeated(batch.record_class, [kind.label for kind in RecordClass]),
            "class_reason": _coded(batch.record_reason),
            "recorded_outcome": repeated(batch.outcome, [OUTCOMES[o] for o in Outcome]),
            "error_code": _coded(batch.error_code),
        }
    return pa.RecordBatch.from_pydict(columns)


def _depends_on(results: BatchResults) -> pa.DictionaryArray:
    """What would settle each undetermined record, as text."""
    texts: dict[tuple[str, ...], int] = {}
    codes = np.full(results.batch.records, ABSENT, dtype=np.int32)
    for record, keys in results.depends_on.items():
        codes[record] = texts.setdefault(keys, len(texts))
    return repeated(codes, [", ".join(keys) for keys in texts])


def _any_row(results: BatchResults) -> Any:
    """The deciding request of each record, else the first one it has."""
    row = results.row.copy()
    group = results.batch.group
    first = np.full(results.batch.records, -1, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return np.where(row >= 0, row, first)


class StatementLabels(Sequence[str]):
    """Labels of statements, made when asked for."""

    def __init__(self, statements: Sequence[StatementInfo]) -> None:
        self._statements = statements

    def __len__(self) -> int:
        return len(self._statements)

    def __getitem__(self, index: Any) -> Any:
        return statement_label(self._statements[index])


class _Writer:
    """Opens its file with the first batch, whose schema all others have."""

    def __init__(self, path: Path, tabulate: Callable[[Any], pa.RecordBatch]) -> None:
        self._path = path
        self._tabulate = tabulate
        self._sink: Any = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def write(self, results: Any) -> None:
        table = self._tabulate(results)
        if self._sink is None:
            self._sink = self._open(table.schema)
        self._put(table)

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _open(self, schema: pa.Schema) -> Any:
        raise NotImplementedError

    def _put(self, table: pa.RecordBatch) -> None:
        raise NotImplementedError


class _ParquetWriter(_Writer):
    def _open(self, schema: pa.Schema) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetWriter(self._path, schema, compression="zstd")

    def _put(self, table: pa.RecordBatch) -> None:
        self._sink.write_batch(table)


class _CsvWriter(_Writer):
    def _open(self, schema: pa.Schema) -> Any:
        import pyarrow.csv as arrow_csv

        return arrow_csv.CSVWriter(self._path, _plain_schema(schema))

    def _put(self, table: pa.RecordBatch) -> None:
        self._sink.write_batch(_plain(table))


class _NdjsonWriter(_Writer):
    def _open(self, schema: pa.Schema) -> Any:
        return open(self._path, "wb")

    def _put(self, table: pa.RecordBatch) -> None:
        import msgspec

        columns = [column.to_pylist() for column in _plain(table).columns]
        names = table.schema.names
        encode = msgspec.json.Encoder().encode
        lines = [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
        self._sink.write(b"".join(line + b"\n" for line in lines))


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """Dictionaries and times as text, for formats that have neither."""
    import pyarrow as pa

    return pa.schema([
        (field.name, field.type if pa.types.is_integer(field.type) else pa.string())
        for field in schema
    ])


def _plain(table: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ") if pa.types.is_timestamp(column.type)
        else column.cast(wanted.type)
        for column, wanted in zip(table.columns, _plain_schema(table.schema), strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_plain_schema(table.schema))


def open_writer(path: Path, kind: str, statements: Sequence[StatementInfo]) -> _Writer:
    """A writer of results by `kind`, which `output_kind` tells; closes as a context manager."""
    return open_table_writer(path, kind, lambda results: results_table(results, statements))


def open_table_writer(path: Path, kind: str, tabulate: Callable[[Any], pa.RecordBatch]) -> _Writer:
    """A writer of whatever `tabulate` makes columns of, with the same schema each time."""
    writers = {"parquet": _ParquetWriter, "csv": _CsvWriter, "ndjson": _NdjsonWriter}
    return writers[kind](path, tabulate)
