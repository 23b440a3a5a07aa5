"""Tables of ready requests (Parquet, NDJSON, CSV) as batches for an audit.

A table has a column `action`, and `resource` and `principal` if they are known; every other column
is a context key by its name. One row is one record with one request. Null is *absent* in a context
column and *unknown* for the resource; an empty unquoted CSV field is a null. Only columns that the
policies ask for are read.

Files are recognised by content: `is_request_table` looks at the schema, the header or the first
line. Reading streams; a batch is a few ten thousand rows.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import ColumnError, RequestError, SourceError
from .logs.batch import Batch
from .logs.columns import ABSENT, Coded
from .logs.rows import is_event_table
from .request_columns import is_columns, read_columns
from .request_values import context_value

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16
MAX_LINE_BYTES = 16 << 20
"""A longer line of an NDJSON table is refused."""

_PEEK_BYTES = 1 << 16
"""A first line longer than this is no request (a log as delivered is one line of megabytes)."""

_PARTS = ("principal", "action", "resource")
_LOG_FIELDS = frozenset({"eventName", "eventSource", "Records", "userIdentity"})
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson",
             ".json": "ndjson"}


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Rows of a table as `audit.Batch`: record i is request i.

    start : number of the first row in its file
    """

    path: str
    start: int
    requests: int
    action: Coded
    resource: Coded
    principal: Coded
    context: Mapping[str, Any]
    group: NDArray[np.int32] = field(init=False)
    record_class: NDArray[np.uint8] = field(init=False)
    identity: NDArray[np.uint8] = field(init=False)
    outcome: NDArray[np.uint8] = field(init=False)
    record_reason: Coded = field(init=False)
    is_complete: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        # every record is mapped, has a requester with policies and no recorded outcome
        zeros = np.zeros(self.requests, dtype=np.uint8)
        for name, value in (
            ("group", np.arange(self.requests, dtype=np.int32)),
            ("record_class", zeros), ("identity", zeros), ("outcome", zeros),
            ("record_reason", Coded(np.full(self.requests, ABSENT, dtype=np.int32), [])),
            ("is_complete", np.ones(self.requests, dtype=bool)),
        ):
            object.__setattr__(self, name, value)

    @property
    def records(self) -> int:
        return self.requests


@dataclass(frozen=True, slots=True)
class _ArrowKey:
    """A context column left in Arrow, for the runtime to read in place."""

    array: pa.Array

    def take(self, rows: NDArray[np.int32]) -> pa.Array:
        return self.array if len(rows) == len(self.array) else self.array.take(rows)


def table_kind(path: str | Path) -> str | None:
    """`parquet`, `csv` or `ndjson` for a table of requests, `columns` for the requests of a log
    (`request_columns`); None for anything else, also for tables of CloudTrail events.

    Raises SourceError for a Parquet or CSV file without the column `action`.
    """
    name = str(path).lower().removesuffix(".gz")
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None or not Path(path).is_file():
        return None
    if kind == "ndjson":
        return kind if _first_line_is_request(Path(path)) else None
    columns = _parquet_columns(path) if kind == "parquet" else _csv_columns(path)
    if kind == "parquet" and is_columns(columns):
        return "columns"
    if "action" not in columns and is_event_table(columns):
        return None
    if "action" not in columns:
        raise SourceError(
            f"`{path}` has no column `action`", path=str(path),
            help="a table of requests has the columns principal, action, resource and one for "
                 "each context key",
        )
    return kind


def read_requests(paths: Sequence[str | Path], keys: Sequence[str]
                  ) -> Iterator[RequestBatch | Batch]:
    """Batches of all tables in order; context columns are those named in `keys`, without case."""
    wanted = {key.lower() for key in keys}
    for path in paths:
        kind = table_kind(path)
        if kind == "columns":
            yield from read_columns(path, keys)
        elif kind == "ndjson":
            yield from _read_ndjson(Path(path), wanted)
        elif kind is not None:
            yield from _read_arrow(Path(path), kind, wanted)


def is_request_source(requests: object) -> bool:
    """Does it hold requests as `Table.decide` takes them whole: Arrow, or a mapping of columns?"""
    return isinstance(requests, Mapping) or any(
        hasattr(requests, name) for name in ("__arrow_c_stream__", "__arrow_c_array__"))


def request_batches(requests: Any, keys: Sequence[str]) -> Iterator[RequestBatch]:
    """Batches of requests in memory; columns and nulls as in a file.

    Raises ColumnError for what is no table, or one without `action` or with a column twice.
    """
    import pyarrow as pa

    try:
        table = requests if isinstance(requests, pa.Table) else pa.table(requests)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ColumnError(f"requests cannot be read: {error}",
                          help="give a table with a column `action`") from None
    names = [name.strip() for name in table.column_names]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ColumnError(f"column `{twice[0]}` is given twice", column=twice[0])
    if "action" not in names:
        raise ColumnError("there is no column `action`", column="action",
                          help="give `action`, and `resource` unless it is unknown")
    start = 0
    wanted = {key.lower() for key in keys}
    for batch in table.combine_chunks().to_batches(BATCH_ROWS):
        yield _from_arrow(Path("<requests>"), start, batch, wanted)
        start += batch.num_rows


def _open(path: Path) -> Any:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror}", path=str(path)) from error


def _first_line_is_request(path: Path) -> bool:
    with _open(path) as stream:
        try:
            line = stream.readline(_PEEK_BYTES)
            first = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError, EOFError):
            return False
    return "action" in first and _LOG_FIELDS.isdisjoint(first)


def _parquet_columns(path: str | Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, "Parquet", error) from error


def _csv_columns(path: str | Path) -> list[str]:
    import csv
    import io

    with _open(Path(path)) as stream:
        try:
            text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
            return [name.strip() for name in next(csv.reader(text), [])]
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise _unreadable(path, "CSV", error) from error


def _unreadable(path: str | Path, kind: str, error: Exception) -> SourceError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return SourceError(f"`{path}` cannot be read as {kind}: {reason}", path=str(path),
                       help="check that the file is whole")


def _read_arrow(path: Path, kind: str, wanted: set[str]) -> Iterator[RequestBatch]:
    import pyarrow as pa

    start = 0
    try:
        for batch in _parquet_batches(path, wanted) if kind == "parquet" else _csv_batches(path):
            if not batch.num_rows:
                continue
            yield _from_arrow(path, start, batch, wanted)
            start += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, "Parquet" if kind == "parquet" else "CSV", error) from error


def _parquet_batches(path: Path, wanted: set[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    names = _parquet_columns(path)
    columns = [name for name in names if name in _PARTS or name.lower() in wanted]
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    # every field is text: a number must keep its digits (GRAM-5)
    types = dict.fromkeys(_csv_columns(path), pa.string())
    options = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=True,
                                       null_values=[""], quoted_strings_can_be_null=False)
    with arrow_csv.open_csv(path, convert_options=options) as reader:
        yield from reader


def _from_arrow(path: Path, start: int, batch: pa.RecordBatch, wanted: set[str]) -> RequestBatch:
    import pyarrow as pa

    rows = batch.num_rows
    parts = {name: Coded(np.full(rows, ABSENT, dtype=np.int32), []) for name in _PARTS}
    context: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        name = name.strip()
        if name in _PARTS:
            parts[name] = _coded(column, name, path)
        elif name.lower() in wanted:
            if pa.types.is_floating(column.type):
                raise SourceError(f"column `{name}` of `{path}` holds binary floating point",
                                  path=str(path), help="store the key as text or as an integer")
            context[name] = _ArrowKey(column)
    return RequestBatch(str(path), start, rows, parts["action"], parts["resource"],
                        parts["principal"], context)


def _coded(column: pa.Array, name: str, path: Path) -> Coded:
    import pyarrow as pa

    if pa.types.is_null(column.type):  # what Arrow makes of a column without any value
        column = column.cast(pa.string())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values = column.dictionary.to_pylist()
    if not all(isinstance(value, str) for value in values):
        raise SourceError(f"column `{name}` of `{path}` is not text", path=str(path),
                          help="store it as strings")
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False)
    return Coded(codes.astype(np.int32), values)


def _read_ndjson(path: Path, wanted: set[str]) -> Iterator[RequestBatch]:
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    rows: list[dict[str, Any]] = []
    start = 0
    with _open(path) as stream:
        number = 0
        try:
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if not line.strip():
                    continue
                rows.append(_row(decode(line), wanted))
                if len(rows) == BATCH_ROWS:
                    yield _from_rows(path, start, rows)
                    start += len(rows)
                    rows = []
        except (msgspec.MsgspecError, UnicodeDecodeError, EOFError, OSError) as error:
            raise SourceError(f"{path}:{number}: not a JSON object: {error}", path=str(path),
                              help="each line of a table of requests is one object") from error
        except RequestError as error:
            raise SourceError(f"{path}:{number}: {error.message}", path=str(path),
                              help=error.help) from error
    if rows:
        yield _from_rows(path, start, rows)


def _row(fields: Mapping[str, msgspec.Raw], wanted: set[str]) -> dict[str, Any]:
    return {
        name: context_value(bytes(raw), name)
        for name, raw in fields.items()
        if name in _PARTS or name.lower() in wanted
    }


def _from_rows(path: Path, start: int, rows: list[dict[str, Any]]) -> RequestBatch:
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Coded] = {}
    for name in (*_PARTS, *(name for name in names if name not in _PARTS)):
        index: dict[Any, int] = {}
        values: list[Any] = []
        codes = np.full(len(rows), ABSENT, dtype=np.int32)
        for at, row in enumerate(rows):
            value = row.get(name)
            if value is None:
                continue
            if name in _PARTS and not isinstance(value, str):
                raise SourceError(f"`{name}` of row {start + at + 1} of `{path}` is a list",
                                  path=str(path), help="give one text")
            token = tuple(value) if isinstance(value, list) else value
            code = index.setdefault(token, len(values))
            if code == len(values):
                values.append(value)
            codes[at] = code
        columns[name] = Coded(codes, values)
    context = {name: column for name, column in columns.items() if name not in _PARTS}
    return RequestBatch(str(path), start, len(rows), columns["action"], columns["resource"],
                        columns["principal"], context)
