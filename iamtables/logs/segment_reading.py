"""The tables of a segment of a cache, read: see `segment_writing` for the files.

Only what is asked for is read. A segment that was damaged is found out: every code leads somewhere,
whatever the files hold. Columns stay where Parquet put them, and rows that are given by their kind
stay so (`KindTable`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .asked_keys import AskedKeys
from .batch import Rows
from .cache import Segment, key_of
from .columns import UNKNOWN, Dictionary, Int32Array
from .duplicates import PROPER_LENGTH
from .event_context import check_told
from .outgoing import Loaded, Portion
from .records import DECODE_ERRORS
from .segment_writing import (
    ENRICHED,
    IDENTITY,
    IDS,
    KEY_TEXTS,
    KIND,
    KINDS,
    OWN,
    RESOURCES,
    SESSIONS,
    TEXTS,
)
from .sessions import Session, parsed
from .sources import LogFile
from .stored import StoredTables
from .tables import (
    CALL_TEXTS,
    CALLER_TEXTS,
    MEMBER_TEXTS,
        IntTable,
    KindTable,
    StoredCallers,
    StoredCalls,
)
from .texts import GrowingTexts, StoredTexts, Texts

_sessions = msgspec.json.Decoder(list[tuple[int, int, str]])
_HARDLY_READ = ("session", "access_key")
_NO_TEXT = 0xF8
"""From here on, bytes are in no UTF-8."""


class Damaged(Exception):
    """A segment that cannot be used: its files are read again."""


def load(segment: Segment, wanted: Iterable[LogFile], keys: AskedKeys) -> Loaded:
    """The records of the wanted files, with the asked keys only.

    Raises Damaged.
    """
    import pyarrow as pa

    try:
        return _load(segment, {key_of(file) for file in wanted}, keys)
    except (OSError, ValueError, KeyError, IndexError, TypeError, OverflowError,
            pa.ArrowException) as error:
        raise Damaged(str(error)) from error


def _load(segment: Segment, wanted: set[tuple[str, int, int]], keys: AskedKeys) -> Loaded:
    texts = _TextReader(segment.path, TEXTS)
    key_texts = _TextReader(segment.path, KEY_TEXTS) if keys.caller or keys.request else texts
    callers = _load_callers(segment.path, keys, texts, key_texts)
    calls = _load_calls(segment.path, keys, texts, key_texts)
    rows = _load_rows(segment, len(calls), len(callers), "caller" if keys.caller else IDENTITY)
    is_chosen = [key_of(part) in wanted for part in segment.parts]
    if not all(is_chosen):
        rows = rows.keep(np.array(is_chosen, dtype=bool)[rows.file])
    portion = Portion(rows, [part.name for part in segment.parts], callers, calls, keys.plans,
                      StoredTables(callers, calls))
    return Loaded(portion, *_marks(segment, is_chosen))


# -- tables ---------------------------------------------------------------------------------------


def _load_callers(path: Path, keys: AskedKeys, texts: _TextReader, key_texts: _TextReader
                  ) -> StoredCallers:
    callers = StoredCallers(keys.caller)
    columns = _read(path / "callers.parquet")
    created = columns["created"]
    for name, attribute in CALLER_TEXTS.items():
        _check_range(columns[name], texts.count(f"caller/{name}"))
        getattr(callers, attribute).fill(
            texts.in_place(f"caller/{name}") if name in _HARDLY_READ
            else texts.of(f"caller/{name}"))
    identity = None
    if keys.caller:
        identity = _read(path / "caller_keys.parquet", [IDENTITY])[IDENTITY]
        _check_rows(identity, len(created))
        created = created[identity]
    callers.codes = KindTable(
        {name: columns[name] for name in callers.codes.names}, identity, {})
    callers.fill(created)
    callers.key_codes = _load_keys(
        path / "caller_keys.parquet", [key.spelling for key in keys.caller], callers.key_values,
        key_texts, "caller_key/", len(created))
    return callers


def _load_calls(path: Path, keys: AskedKeys, texts: _TextReader, key_texts: _TextReader
                ) -> StoredCalls:
    calls = StoredCalls(keys.request)
    kinds = json.loads((path / KINDS).read_text("utf-8"))
    of_calls = _kinds(kinds["calls"], {*calls.codes.names} - {"first_member"})
    of_members = _kinds(kinds["members"], {*calls.members.names} - {*OWN})
    kind = _read(path / "calls.parquet", [KIND])[KIND]
    own = _read(path / "members.parquet", [KIND, *OWN])
    many = of_calls["member_count"]
    _check_rows(kind, len(many))
    if (many < 0).any():
        raise ValueError("a call without its members")
    calls.is_one_each = bool((many == 1).all())
    if calls.is_one_each:
        first = np.arange(len(kind), dtype=np.int32)
        count = len(kind)
    else:
        counts = many[kind]
        ends = np.cumsum(counts, dtype=np.int64)
        first = (ends - counts).astype(np.int32)
        count = int(ends[-1]) if len(ends) else 0
    calls.codes = KindTable(of_calls, kind, {"first_member": first})
    for name, attribute in CALL_TEXTS.items():
        _check_range(of_calls[name], texts.count(f"call/{name}"))
        getattr(calls, attribute).fill(texts.of(f"call/{name}"))
    kind = own.pop(KIND)
    _check_rows(kind, len(of_members["action"]))
    if any(len(column) != count for column in (kind, *own.values())):
        raise ValueError("a call without its members")
    calls.members = KindTable(of_members, kind, own)
    calls.resources.fill(_read_resources(path / RESOURCES))
    calls.patterns.fill(texts.in_place("member/pattern"))
    calls.nameable = [str(text) for text in texts.first("member/pattern")]
    for name in ("action", "state", "service"):
        getattr(calls, MEMBER_TEXTS[name]).fill(texts.of(f"member/{name}"))
    for name, attribute in MEMBER_TEXTS.items():
        _check_range(own[name] if name in OWN else of_members[name],
                     len(getattr(calls, attribute)))
    calls.key_codes = _load_keys(
        path / "member_keys.parquet", [key.spelling for key in keys.request], calls.key_values,
        key_texts, "member_key/", count)
    return calls


def _kinds(columns: dict[str, list[int]], names: set[str]) -> dict[str, Int32Array]:
    """Raises ValueError, TypeError or OverflowError unless these are columns of one length."""
    if columns.keys() != names or len({len(column) for column in columns.values()}) != 1:
        raise ValueError("other columns")
    return {name: np.array(column, dtype=np.int32) for name, column in columns.items()}


def _read_resources(path: Path) -> GrowingTexts:
    table = _table(path)
    texts, lengths = (_array(table.column(name)) for name in ("texts", "lengths"))
    if len(texts) != 1 or texts.null_count or lengths.null_count:
        raise ValueError("texts are missing")
    sizes = np.frombuffer(lengths[0].as_buffer(), dtype="<i4")
    data = np.frombuffer(texts[0].as_buffer(), dtype=np.uint8)
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if (sizes < 0).any() or int(offsets[-1]) != len(data):
        raise ValueError("texts of other lengths")
    return GrowingTexts(_checked(Texts(data, offsets)))


def _load_keys(path: Path, names: list[str], values: list[Dictionary], texts: _TextReader,
               prefix: str, count: int) -> IntTable:
    columns = _read(path, names) if names else {}
    for name, dictionary in zip(names, values, strict=True):
        if len(columns[name]) != count:
            raise ValueError("keys of other rows")
        dictionary.fill(texts.of(f"{prefix}{name}"))
        _check_range(columns[name], len(dictionary))
    return KindTable({}, None, columns)


# -- records --------------------------------------------------------------------------------------


def _load_rows(segment: Segment, calls: int, callers: int, whose: str) -> Rows:
    """Raises ValueError where a row leads nowhere: a damaged segment must not crash anything."""
    import pyarrow.parquet as pq

    columns = _read(segment.path / "records.parquet",
                    ["call", whose, "time", "id_hash", "is_proper"])
    call, caller = columns["call"], columns[whose]
    count = len(call)
    if pq.read_metadata(segment.path / IDS).num_rows != count:
        raise ValueError("event IDs of other records")
    if sum(part.records for part in segment.parts) != count:
        raise ValueError("columns of different lengths")
    _check_rows(call, calls)
    _check_rows(caller, callers)
    if any(not 0 <= row < count for row in segment.corrects):
        raise ValueError("a correction of no row")
    return Rows(
        call, caller, columns["time"],
        StoredTexts(partial(_load_ids, segment.path / IDS), columns["id_hash"],
                    columns["is_proper"], PROPER_LENGTH),
        np.repeat(np.arange(len(segment.parts), dtype=np.int32),
                  [part.records for part in segment.parts]),
        segment.corrects,
        _load_enriched(segment.path / ENRICHED, count) if segment.is_enriched else {})


def _marks(segment: Segment, is_chosen: list[bool]
           ) -> tuple[list[int], list[tuple[int, dict[str, Session]]]]:
    """`ends` and `sessions` of the chosen parts. Raises ValueError."""
    ends: list[int] = []
    starts: dict[int, int] = {}
    start = 0
    for number, part in enumerate(segment.parts):
        if is_chosen[number]:
            starts[number] = start
            if sorted(part.ends) != part.ends or any(
                    not 0 <= end <= part.records for end in part.ends[:1] + part.ends[-1:]):
                raise ValueError("marks outside of a part")
            ends += (start + end for end in part.ends)
            start += part.records
    try:
        kept = _sessions.decode((segment.path / SESSIONS).read_bytes())
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error
    return ends, [(starts[number] + row, parsed(text)) for number, row, text in kept
                  if number in starts]


def _load_enriched(path: Path, records: int) -> dict[int, str]:
    """Raises ValueError for rows of other records, or for what no `eventContext` tells."""
    import pyarrow as pa

    columns = _table(path)
    row, told = (_array(columns.column(name)) for name in ("row", "told"))
    if row.null_count or told.null_count or row.type != pa.int32() or told.type != pa.string():
        raise ValueError("columns of another kind")
    told = told.dictionary_encode()
    texts = told.dictionary.to_pylist()
    for text in texts:
        check_told(text)
    rows = _numbers(row)
    _check_rows(rows, records)
    return dict(zip(rows.tolist(), (texts[code] for code in told.indices.to_pylist()),
                    strict=True))


def _load_ids(path: Path) -> Texts:
    import pyarrow as pa

    try:
        return _texts_of(_table(path).column(0))
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read `{path}`: {error}", path=str(path),
                          help="remove the cache; the logs will be read again") from error


# -- columns --------------------------------------------------------------------------------------


def _check_rows(rows: Int32Array, size: int) -> None:
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < size):
        raise ValueError("a row of another table")


def _check_range(codes: Int32Array, size: int) -> None:
    if len(codes) and not (int(codes.min()) >= UNKNOWN and int(codes.max()) < size):
        raise ValueError("a code without its text")


def _table(path: Path, columns: Sequence[str] | None = None) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=columns, use_threads=False)


def _read(path: Path, columns: Sequence[str] | None = None) -> dict[str, Any]:
    table = _table(path, columns)
    return {name: _numbers(_array(table.column(name))) for name in columns or table.column_names}


def _array(column: Any) -> Any:
    """A column in one piece, in place where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(array: Any) -> NDArray[Any]:
    """The numbers of an array, or its bools, in place where they can stay. Raises ValueError.

    Not its `to_numpy`, which imports pandas where that is installed: that takes longer than a
    segment.
    """
    import pyarrow as pa

    if array.null_count:
        raise ValueError("a number is missing")
    if array.type == pa.bool_():
        return _numbers(array.cast(pa.uint8())).astype(np.bool_)
    kind = {pa.uint8(): np.uint8, pa.int32(): np.int32, pa.int64(): np.int64,
            pa.uint64(): np.uint64}.get(array.type)
    if kind is None:
        raise ValueError("a column of another kind")
    if not len(array):
        return np.empty(0, dtype=kind)
    return np.frombuffer(array.buffers()[1], dtype=kind, count=len(array),
                         offset=array.offset * np.dtype(kind).itemsize)


def _texts_of(column: Any) -> Texts:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = _array(column)
    if column.type != pa.string() or column.null_count:
        raise ValueError("a column of another kind")
    _, offsets, data = column.buffers()
    if not len(column):
        return Texts.of([])
    places = np.frombuffer(offsets, dtype=np.int32, count=len(column) + 1,
                           offset=4 * column.offset).astype(np.int64)
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)
    begin = int(places[0])
    return Texts(content[begin : int(places[-1])], places - begin)


class _TextReader:
    """Texts of a segment by dictionary, made into Python objects when asked for."""

    def __init__(self, path: Path, name: str) -> None:
        table = _table(path / f"{name}.parquet")
        self._text = _array(table.column("text"))
        self._is_list = (_numbers(_array(table.column("is_list")))
                         if "is_list" in table.column_names else None)
        self._places: dict[str, tuple[int, int, int]] = {}
        start = 0
        for dictionary, count, first in json.loads((path / f"{name}.json").read_text("utf-8")):
            if not 0 <= first <= count:
                raise ValueError("a text is missing")
            self._places[dictionary] = (start, count, first)
            start += count
        if start != len(self._text):
            raise ValueError("a text is missing")

    def count(self, name: str) -> int:
        """How many texts a dictionary has."""
        return self._places[name][1]

    def in_place(self, name: str) -> GrowingTexts:
        """The texts as they lie; none is a list."""
        start, count, _ = self._places[name]
        return GrowingTexts(_checked(_texts_of(self._text.slice(start, count))))

    def first(self, name: str) -> list[str | list[str]]:
        """Those that the writer put before the others."""
        start, _, first = self._places[name]
        return self._some(start, first)

    def of(self, name: str) -> list[str | list[str]]:
        start, count, _ = self._places[name]
        return self._some(start, count)

    def _some(self, start: int, count: int) -> list[str | list[str]]:
        texts: list[Any] = self._text.slice(start, count).to_pylist()
        if self._is_list is not None:
            for index in np.flatnonzero(self._is_list[start : start + count]).tolist():
                texts[index] = json.loads(texts[index])
        return texts


def _checked(texts: Texts) -> Texts:
    """Raises ValueError for bytes that no text has."""
    if len(texts.data) and int(texts.data.max()) >= _NO_TEXT:
        raise ValueError("no text")
    return texts
