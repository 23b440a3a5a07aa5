"""The requests of a log as columns of a Parquet file, to be audited again without the log.

Section 8 of docs/spec/cloudtrail.md. One row per request, and one without an action for a record
that has none; rows of one record stand together and share the number in `record`. A context key is
a column by its name; null is *absent*, `unknown` lists the keys of a row that may have any value,
and `not_given` those that no record tells of. A key without a column is given in no row.
`audit --requests` writes such files, with every key that records tell; `audit` and `replay` take
them in place of logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .audit_counts import OUTCOMES, REQUESTERS
from .catalogue import load_catalogue
from .errors import SourceError
from .logs.asked_keys import AskedKeys
from .logs.batch import Batch
from .logs.classes import Outcome, RecordClass, Requester
from .logs.columns import ABSENT, NOT_GIVEN, UNKNOWN, Coded
from .logs.request_keys import is_multivalued
from .logs.texts import Texts
from .results import repeated

if TYPE_CHECKING:
    import pyarrow as pa

_CLASSES = [kind.label for kind in RecordClass]
_REQUESTERS = [REQUESTERS.get(kind, "user or role") for kind in Requester]
_OUTCOMES = [OUTCOMES[outcome] for outcome in Outcome]
_EXPLICIT = ["not said", "missing allow", "explicit deny"]
_OF_RECORD = ("event_source", "event_name", "error_code", "principal_type", "session", "region",
              "account", "outcome_kind")
_OF_REQUEST = ("action", "resource", "principal", "resource_state", "resource_pattern")
_NUMBERED = {"class": _CLASSES, "requester": _REQUESTERS, "recorded_outcome": _OUTCOMES,
             "outcome_explicit": _EXPLICIT}
_NOT_VALUES = {"unknown": UNKNOWN, "not_given": NOT_GIVEN}
"""Columns that list keys of the row, and the code of those."""
_REQUIRED = ("record", "event_id", "time", "class_reason", "is_complete", "file", *_NOT_VALUES,
             *_OF_RECORD, *_OF_REQUEST, *_NUMBERED)


def is_columns(names: Sequence[str]) -> bool:
    """Do these columns hold requests as `columns_table` writes them?"""
    return set(_REQUIRED) <= set(names)


class Columns:
    """Makes tables of batches; numbers the records over all of them."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """keys : columns that every table has, also where a batch knows nothing of the key"""
        self._keys = tuple(keys)
        self._first = 0

    def table(self, batch: Any) -> pa.RecordBatch:
        """The requests of a batch of a log."""
        import pyarrow as pa

        group = np.asarray(batch.group, dtype=np.int64)
        without = np.flatnonzero(np.bincount(group, minlength=batch.records) == 0)
        record = np.concatenate([group, without])
        row = np.concatenate([np.arange(len(group)), np.full(len(without), -1)])
        order = np.argsort(record, kind="stable")
        record, row = record[order], row[order]

        def of_request(column: Coded, *, are_lists: bool = False) -> Any:
            codes = np.where(row >= 0, column.codes[row] if len(group) else ABSENT, ABSENT)
            return _lists(codes, column.values) if are_lists else repeated(codes, column.values)

        columns: dict[str, Any] = {
            "record": pa.array(self._first + record),
            "event_id": batch.event_id.take(record).to_arrow(),
            "time": pa.array(np.asarray(batch.time)[record]),
            "file": repeated(batch.file[record], batch.files),
            "class": repeated(batch.record_class[record], _CLASSES),
            "class_reason": repeated(batch.record_reason.codes[record],
                                     batch.record_reason.values),
            "is_complete": pa.array(batch.is_complete[record]),
            "requester": repeated(batch.identity[record], _REQUESTERS),
            "recorded_outcome": repeated(batch.outcome[record], _OUTCOMES),
            "outcome_explicit": repeated(batch.outcome_explicit[record], _EXPLICIT),
        }
        for name in _OF_RECORD:
            column = getattr(batch, name)
            columns[name] = repeated(column.codes[record], column.values)
        for name in _OF_REQUEST:
            columns[name] = of_request(getattr(batch, name))
        context = {name: _nothing_of(batch) for name in self._keys} | batch.context
        for name, code in _NOT_VALUES.items():
            columns[name] = _listed(context, row, code)
        for name, column in context.items():
            columns[name] = of_request(column, are_lists=is_multivalued(name))
        self._first += batch.records
        return pa.RecordBatch.from_pydict(columns)


def _nothing_of(batch: Any) -> Coded:
    return Coded(np.full(batch.requests, NOT_GIVEN, dtype=np.int32), [])


def _lists(codes: NDArray[Any], values: Sequence[str | list[str]]) -> Any:
    """A column of lists; a negative code is a null."""
    import pyarrow as pa

    used, inverse = np.unique(np.where(codes < 0, ABSENT, codes), return_inverse=True)
    lists = [None if code < 0 else values[code] for code in used.tolist()]
    return pa.array(lists, pa.list_(pa.string())).take(pa.array(inverse.ravel()))


def _listed(context: Mapping[str, Coded], row: NDArray[Any], code: int) -> Any:
    """The names of the keys that have this code in each row, end to end with line breaks."""
    texts: list[str] = []
    names = list(context)
    flags = np.zeros((len(row), len(names)), dtype=bool)
    for at, column in enumerate(context.values()):
        if len(column.codes):
            flags[:, at] = (row >= 0) & (column.codes[row] == code)
    if not names:
        return repeated(np.full(len(row), ABSENT), texts)
    rows, inverse = np.unique(np.packbits(flags, axis=1), axis=0, return_inverse=True)
    for bits in np.unpackbits(rows, axis=1, count=len(names)):
        texts.append("\n".join(name for name, bit in zip(names, bits, strict=True) if bit))
    return repeated(inverse.ravel(), texts)


# -- reading ------------------------------------------------------------------------------------


def read_columns(path: str | Path, keys: Sequence[str]) -> Iterator[Batch]:
    """The batches of a file; of the context the asked keys that it has.

    Raises SourceError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {key.lower() for key in keys}
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names
                     if name in _REQUIRED or name.lower() in wanted]
            rest: pa.Table | None = None
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=names)
                if rest is not None:
                    table = pa.concat_tables([rest, table], promote_options="permissive")
                if not table.num_rows:
                    continue
                record = table.column("record").to_numpy()
                if bool((np.diff(record) < 0).any()):
                    raise _unusable(path, "the rows of a record do not stand together")
                # a record may go on in the next piece of a file that another program wrote
                end = int(np.searchsorted(record, record[-1]))
                rest = table.slice(end)
                if end:
                    yield _batch(path, table.slice(0, end), wanted)
            if rest is not None and rest.num_rows:
                yield _batch(path, rest, wanted)
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _unusable(path, reason) from error


def _unusable(path: str | Path, reason: str) -> SourceError:
    return SourceError(f"`{path}` cannot be read as requests of a log: {reason}", path=str(path),
                       help="give a file as `iamtables audit --requests` writes it")


def _batch(path: str | Path, table: pa.Table, wanted: set[str]) -> Batch:
    table = table.combine_chunks()
    columns = {name: table.column(name) for name in table.column_names}
    record = columns["record"].to_numpy()
    starts = np.flatnonzero(np.r_[True, record[1:] != record[:-1]])
    coded = {name: _coded(path, name, columns[name])
             for name in (*_OF_REQUEST, *_OF_RECORD, "class_reason", "file",
                          *_NOT_VALUES, *_NUMBERED)}
    rows = np.flatnonzero(coded["action"].codes >= 0)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(record)]))[rows]

    def request(name: str) -> Coded:
        return Coded(coded[name].codes[rows], coded[name].values)

    def of(name: str) -> Coded:
        return Coded(coded[name].codes[starts], coded[name].values)

    numbered = {name: _numbers(path, name, of(name), labels)
                for name, labels in _NUMBERED.items()}
    files = of("file")
    batch = Batch(
        requests=len(rows), group=group.astype(np.int32),
        **{name: request(name) for name in _OF_REQUEST},
        context=_context(path, columns, coded, rows, wanted),
        records=len(starts), record_class=numbered["class"], record_reason=of("class_reason"),
        is_complete=columns["is_complete"].to_numpy(zero_copy_only=False)[starts].astype(np.bool_),
        event_id=Texts.of(text or "" for text in columns["event_id"].take(starts).to_pylist()),
        time=columns["time"].to_numpy(zero_copy_only=False)[starts].astype(np.int64),
        **{name: of(name) for name in _OF_RECORD},
        identity=numbered["requester"], outcome=numbered["recorded_outcome"],
        outcome_explicit=numbered["outcome_explicit"],
        files=[str(value) for value in files.values] or [str(path)],
        file=np.maximum(files.codes, 0).astype(np.int32))
    has_requests = np.bincount(batch.group, minlength=batch.records) > 0
    if not bool((has_requests == (batch.record_class <= RecordClass.PARTIAL)).all()):
        raise _unusable(path, "calls without requests, or requests of what is no call")
    return batch


def _context(path: str | Path, columns: Mapping[str, Any], coded: Mapping[str, Coded],
             rows: NDArray[Any], wanted: set[str]) -> dict[str, Coded]:
    names = [name for name in columns if name.lower() in wanted and name not in _REQUIRED]
    lists = {name: [set(str(text).split("\n")) for text in coded[name].values]
             for name in _NOT_VALUES}
    context: dict[str, Coded] = {}
    for name in names:
        column = _coded(path, name, columns[name])
        codes = column.codes[rows]
        for kind, code in _NOT_VALUES.items():
            # the last place is for rows without a list
            is_in = np.array([*(name in listed for listed in lists[kind]), False], dtype=bool)
            codes = np.where(is_in[coded[kind].codes[rows]], code, codes)
        context[name] = Coded(codes.astype(np.int32), column.values)
    return context


def _coded(path: str | Path, name: str, column: Any) -> Coded:
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(array.type):
        values: dict[tuple[str, ...], int] = {}
        codes = [ABSENT if value is None else values.setdefault(tuple(value), len(values))
                 for value in array.to_pylist()]
        return Coded(np.array(codes, dtype=np.int32), [list(value) for value in values])
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.string()).dictionary_encode()
    texts = array.dictionary.to_pylist()
    if not all(isinstance(text, str) for text in texts):
        raise _unusable(path, f"column `{name}` is not text")
    return Coded(array.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32),
                 texts)


def _numbers(path: str | Path, name: str, column: Coded, labels: list[str]) -> NDArray[np.uint8]:
    """The numbers of labels. Raises SourceError for one that is none."""
    if len(column.codes) and int(column.codes.min()) < 0:
        raise _unusable(path, f"column `{name}` has rows without a value")
    used = np.unique(column.codes).tolist()
    table = np.zeros(len(column.values) + 1, dtype=np.uint8)
    for code in used:
        label = column.values[code]
        if label not in labels:
            raise _unusable(path, f"`{label}` in column `{name}` is not known")
        table[code] = labels.index(str(label))
    return table[column.codes]


def all_keys(asked: Sequence[str]) -> list[str]:
    """The asked keys and all others that records tell."""
    known = [plan.name for plan in AskedKeys(None, load_catalogue()).plans]
    named = {key.lower() for key in asked}
    return [*asked, *(key for key in known if key.lower() not in named)]
