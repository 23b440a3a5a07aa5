"""Per-record results of an audit as Parquet, NDJSON or CSV, written batch by batch.

One row per record of the input, decided or not, so that the file adds up like the summary. Columns
that repeat (principal, action, ...) are dictionaries in Parquet. For tables of requests the columns
that describe a log record are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .audit import DECISIONS, OUTCOMES, REQUESTERS, UNDECIDED, BatchResults
from .errors import SourceError
from .logs.classes import Outcome, RecordClass, Requester
from .logs.columns import ABSENT, Coded
from .runtime.codes import Layer

if TYPE_CHECKING:
    import pyarrow as pa

    from .runtime import StatementInfo

_LAYERS = tuple(layer.name.lower() for layer in Layer)

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


def statement_label(statement: StatementInfo) -> str:
    """`AmazonBedrockFullAccess:BedrockAll`, the policy's file name and the Sid (or the number); with
    the line, `authorization-details:BedrockAll@120`, in a file that holds many policies."""
    policy = Path(statement.policy).name.removesuffix(".json") or statement.policy
    label = f"{policy}:{statement.sid or f'#{statement.index + 1}'}"
    return f"{label}@{statement.location.line}" if statement.is_in_collection else label


def _repeated(codes: Any, values: Sequence[Any]) -> pa.DictionaryArray:
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
    return _repeated(column.codes, column.values)


def _of_row(column: Coded, row: Any) -> pa.DictionaryArray:
    """Values of a request column at the deciding rows; null where there is none."""
    codes = np.full(len(row), ABSENT, dtype=np.int32)
    codes[row >= 0] = column.codes[row[row >= 0]]
    return _repeated(codes, column.values)


def results_table(results: BatchResults, statements: Sequence[StatementInfo]) -> pa.RecordBatch:
    """The results of a batch as columns."""
    import pyarrow as pa

    batch: Any = results.batch
    decided = results.decision != UNDECIDED
    columns: dict[str, Any] = {}
    is_log = hasattr(batch, "event_id")
    if is_log:
        columns |= {
            "event_id": batch.event_id.to_arrow(),
            "time": pa.array(np.asarray(batch.time), pa.timestamp("s", tz="UTC")),
            "account": _coded(batch.account),
            "region": _coded(batch.region),
            "event_source": _coded(batch.event_source),
            "event_name": _coded(batch.event_name),
        }
    else:
        columns |= {
            "source": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(batch.records, dtype=np.int32)), pa.array([batch.path])),
            "row": pa.array(np.arange(batch.start + 1, batch.start + batch.records + 1)),
        }
    columns |= {
        "principal": _of_row(batch.principal, _any_row(results)),
        "action": _of_row(batch.action, _any_row(results)),
        "resource": _of_row(batch.resource, _any_row(results)),
        "decision": _repeated(np.where(decided, results.decision.astype(np.int32), ABSENT),
                              DECISIONS),
        "layer": _repeated(np.where(results.layer == 0, ABSENT, results.layer.astype(np.int32)),
                           _LAYERS),
        "statement": _repeated(results.statement, _Labels(statements)),
        "depends_on": _depends_on(results),
    }
    if is_log:
        kinds = [REQUESTERS.get(kind, "user or role") for kind in Requester]
        columns |= {
            "requester": _repeated(batch.identity, kinds),
            "class": _repeated(batch.record_class, [kind.label for kind in RecordClass]),
            "class_reason": _coded(batch.record_reason),
            "recorded_outcome": _repeated(batch.outcome, [OUTCOMES[o] for o in Outcome]),
            "error_code": _coded(batch.error_code),
        }
    return pa.RecordBatch.from_pydict(columns)


def _depends_on(results: BatchResults) -> pa.DictionaryArray:
    """What would settle each undetermined record, as text."""
    texts: dict[tuple[str, ...], int] = {}
    codes = np.full(results.batch.records, ABSENT, dtype=np.int32)
    for record, keys in results.depends_on.items():
        codes[record] = texts.setdefault(keys, len(texts))
    return _repeated(codes, [", ".join(keys) for keys in texts])


def _any_row(results: BatchResults) -> Any:
    """The deciding request of each record, else the first one it has."""
    row = results.row.copy()
    group = results.batch.group
    first = np.full(results.batch.records, -1, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return np.where(row >= 0, row, first)


class _Labels(Sequence[str]):
    """Labels of statements, made when asked for."""

    def __init__(self, statements: Sequence[StatementInfo]) -> None:
        self._statements = statements

    def __len__(self) -> int:
        return len(self._statements)

    def __getitem__(self, index: Any) -> Any:
        return statement_label(self._statements[index])


class _Writer:
    """Opens its file with the first batch, whose schema all others have."""

    def __init__(self, path: Path, statements: Sequence[StatementInfo]) -> None:
        self._path = path
        self._statements = statements
        self._sink: Any = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def write(self, results: BatchResults) -> None:
        table = results_table(results, self._statements)
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
        self._sink.write(b"\n".join(lines) + b"\n")


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
    """A writer of `kind`, which `output_kind` tells; closes as a context manager."""
    writers = {"parquet": _ParquetWriter, "csv": _CsvWriter, "ndjson": _NdjsonWriter}
    return writers[kind](path, statements)
