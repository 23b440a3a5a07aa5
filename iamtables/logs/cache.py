"""Request columns of logs as Parquet, so that the next audit does not read the logs.

A cache is a directory of *segments*. A segment holds the records of some files as row numbers
into its own tables of distinct calls and callers, with every key that records can tell and not
only those of today's policies. It is written beside its place and renamed when it is whole:
interrupting leaves what is complete, and nothing else is ever seen. A file is recognised by name,
size and time; segments of another version of the mapping are passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files as resources_of
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .asked_keys import AskedKeys
from .batch import Rows
from .columns import UNKNOWN, Dictionary, Int32Array, packed
from .duplicates import PROPER_LENGTH
from .event_context import check_told
from .outgoing import Loaded, Portion
from .pending import Pending, no_rows
from .records import DECODE_ERRORS
from .sessions import Session, parsed
from .sources import LogFile
from .tables import CALL_TEXTS, CALLER_TEXTS, MEMBER_TEXTS, CallerTable, CallTable, IntTable
from .texts import GrowingTexts, StoredTexts, Texts

FORMAT = 4
_SUFFIX = ".segment"
_PART = ".part-"
_ABOUT = "about.json"
_SESSIONS = "sessions.json"
_IDS = "event_ids.parquet"
_ENRICHED = "event_contexts.parquet"
_IDENTITY = "identity"
_KIND = "kind"
_TEXTS, _KEY_TEXTS = "texts", "key_texts"
_OWN = ("resource", "pattern")
"""Columns of members that hardly repeat."""
_sessions = msgspec.json.Decoder(list[tuple[int, int, str]])
_NO_TEXT = 0xF8
"""From here on, bytes are in no UTF-8."""
SEGMENT_RECORDS = 200_000
SEGMENT_ENRICHED_BYTES = 32 << 20
"""A segment is written from this many records on, or when their event contexts are this much."""


@cache
def mapping_version() -> str:
    """Changes whenever the code or the data that map records change."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for package, suffixes in (("iamtables.logs", (".py",)), ("iamtables.data", (".json", ".gz"))):
        for entry in sorted(resources_of(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(suffixes) and entry.is_file():
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


@dataclass(slots=True)
class FilePart:
    """Records of one file in a segment: `start` to `start + records` of its rows."""

    name: str
    size_bytes: int
    changed_ns: int
    part: int
    is_last: bool
    start: int
    records: int
    bad: dict[str, int] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    """Rows of the part at which the reader looked whether a batch is full."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is found: where, and what of which files."""

    path: Path
    parts: tuple[FilePart, ...]
    corrects: dict[int, str]
    """Row of a corrected record -> event ID of the record that it replaces."""
    corrects_accounts: tuple[str | None, ...]
    """The receiving account of each of them."""
    is_enriched: bool
    """Has it records with an `eventContext` that tells something?"""

    def place_of(self, file: LogFile) -> int:
        """Which of the parts is the first of a file."""
        return next(number for number, part in enumerate(self.parts)
                    if _key_of(part) == _key_of(file))


def _key_of(file: LogFile | FilePart) -> tuple[str, int, int]:
    return file.name, file.size_bytes, file.changed_ns


class Cache:
    """The segments of a directory that fit the mapping of `version`."""

    def __init__(self, directory: str | Path, version: str) -> None:
        """Raises SourceError when the directory cannot be made or read."""
        self.directory = Path(directory)
        self.version = version
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            self._segments = [
                found for path in sorted(self.directory.glob(f"*{_SUFFIX}"))
                if (found := self._open(path)) is not None]
        except OSError as error:
            raise SourceError(f"cannot use the cache `{directory}`: {error.strerror}",
                              path=str(directory),
                              help="give a directory that may be written to") from error
        parts: dict[tuple[str, int, int], dict[int, Segment]] = {}
        last: dict[tuple[str, int, int], int] = {}
        for segment in self._segments:
            for part in segment.parts:
                parts.setdefault(_key_of(part), {}).setdefault(part.part, segment)
                if part.is_last:
                    last[_key_of(part)] = part.part
        self._whole = {
            key: [found[number] for number in range(last[key] + 1)]
            for key, found in parts.items()
            if key in last and set(range(last[key] + 1)) <= set(found)}

    def _remove_leftovers(self) -> None:
        """What interrupted runs left; those of a process that still lives are its own."""
        for path in self.directory.glob(f"{_PART}*"):
            process = path.name.removeprefix(_PART).partition("-")[0]
            if not process.isdigit() or not Path(f"/proc/{process}").exists():
                shutil.rmtree(path, ignore_errors=True)

    def _open(self, path: Path) -> Segment | None:
        try:
            about = json.loads((path / _ABOUT).read_text("utf-8"))
            if about["format"] != FORMAT or about["version"] != self.version:
                return None
            corrects = about["corrects"]
            return Segment(path, tuple(FilePart(**part) for part in about["files"]),
                           {int(row): str(replaced) for row, replaced, _ in corrects},
                           tuple(account for _, _, account in corrects),
                           bool(about["is_enriched"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def segments_of(self, file: LogFile) -> list[Segment] | None:
        """The segments that hold a file; None when it is not cached as it is now."""
        return self._whole.get(_key_of(file))

    def discard(self, segment: Segment) -> None:
        """A damaged segment: its files are read again."""
        self._whole = {key: found for key, found in self._whole.items() if segment not in found}

    def write(self, rows: Rows, parts: Sequence[FilePart], callers: CallerTable, calls: CallTable,
              sessions: str) -> None:
        """A new segment; `sessions` is JSON of (number of a part, row in it, what
        `Sessions.take_new` gave). Raises OSError; then nothing is left of it."""
        about = json.dumps({
            "format": FORMAT, "version": self.version,
            "files": [{name: getattr(part, name) for name in FilePart.__slots__}
                      for part in parts],
            "corrects": _corrections(rows, callers), "is_enriched": bool(rows.enriched)})
        name = hashlib.sha256(about.encode()).hexdigest()[:32]
        temporary = self.directory / f"{_PART}{os.getpid()}-{name}"
        try:
            temporary.mkdir()
            _write_tables(temporary, rows, callers, calls)
            (temporary / _SESSIONS).write_text(sessions, "utf-8")
            (temporary / _ABOUT).write_text(about, "utf-8")
            target = self.directory / f"{name}{_SUFFIX}"
            if target.exists():
                shutil.rmtree(target)
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _corrections(rows: Rows, callers: CallerTable) -> list[tuple[int, str, str | None]]:
    """(row, event ID of what it replaces, receiving account) of corrected records."""
    found = list(rows.corrects)
    accounts = callers.codes.take("account", rows.caller[np.array(found, dtype=np.int32)])
    return [(row, rows.corrects[row],
             str(callers.accounts.values[account]) if account >= 0 else None)
            for row, account in zip(found, accounts.tolist(), strict=True)]


# -- tables as Parquet --------------------------------------------------------------------------


class _TextWriter:
    """Distinct texts of every dictionary that a segment uses, renumbered."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.counts: list[int] = []
        self.texts: list[str] = []
        self.is_list: list[bool] = []

    def renumber(self, name: str, codes: Int32Array, values: Dictionary) -> Int32Array:
        used, inverse = np.unique(codes, return_inverse=True)
        kept = used[used >= 0].tolist()
        for code in kept:
            value = values.values[code]
            self.is_list.append(isinstance(value, list))
            self.texts.append(json.dumps(value) if isinstance(value, list) else value)
        self.names.append(name)
        self.counts.append(len(kept))
        numbers = np.where(used >= 0, np.cumsum(used >= 0) - 1, used).astype(np.int32)
        renumbered: Int32Array = numbers[inverse.ravel()]
        return renumbered

    def write(self, path: Path, name: str) -> None:
        import pyarrow as pa

        _write(path / f"{name}.parquet", {"text": pa.array(self.texts, pa.string()),
                                          "is_list": np.array(self.is_list, dtype=bool)})
        (path / f"{name}.json").write_text(json.dumps(
            list(zip(self.names, self.counts, strict=True))), "utf-8")


def _write_tables(path: Path, rows: Rows, callers: CallerTable, calls: CallTable) -> None:
    texts, key_texts = _TextWriter(), _TextWriter()
    used_calls, call = np.unique(rows.call, return_inverse=True)
    used_callers, caller = np.unique(rows.caller, return_inverse=True)
    created = callers.take_created(used_callers.astype(np.int32))
    # an identity comes with many addresses and agents, which matter only to those who ask
    _, some, identity = np.unique(
        packed([*(callers.codes.take(name, used_callers) for name in callers.codes.names),
                created]), return_index=True, return_inverse=True)
    identities = used_callers[some]
    counts = calls.codes.take("member_count", used_calls)
    ends = np.cumsum(counts, dtype=np.int64)
    offset = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    members = np.repeat(
        calls.codes.take("first_member", used_calls).astype(np.int64), counts) + offset

    def columns(table: IntTable, at: NDArray[Any], named: dict[str, str], owner: Any, prefix: str
                ) -> dict[str, Int32Array]:
        found: dict[str, Int32Array] = {}
        for name in table.names:
            codes = table.take(name, at)
            if name in named:
                codes = texts.renumber(f"{prefix}{name}", codes, getattr(owner, named[name]))
            found[name] = codes
        return found

    def keys(table: IntTable, at: NDArray[Any], values: list[Dictionary], prefix: str
             ) -> dict[str, Int32Array]:
        return {name: key_texts.renumber(f"{prefix}{name}", table.take(index, at), values[index])
                for index, name in enumerate(table.names)}

    call_columns = columns(calls.codes, used_calls, CALL_TEXTS, calls, "call/")
    del call_columns["first_member"]  # members follow each other
    kinds, kind = _kinds(call_columns)
    _write(path / "call_kinds.parquet", kinds)
    _write(path / "calls.parquet", {_KIND: kind})
    member_columns = columns(calls.members, members, MEMBER_TEXTS, calls, "member/")
    own = {name: member_columns.pop(name) for name in _OWN}
    kinds, kind = _kinds(member_columns)
    _write(path / "member_kinds.parquet", kinds)
    _write(path / "members.parquet", {_KIND: kind, **own})
    _write(path / "member_keys.parquet",
           keys(calls.key_codes, members, calls.key_values, "member_key/"), "zstd")
    _write(path / "callers.parquet", {
        **columns(callers.codes, identities, CALLER_TEXTS, callers, "caller/"),
        "created": created[some]})
    identity = identity.ravel().astype(np.int32)
    _write(path / "caller_keys.parquet", {
        _IDENTITY: identity,
        **keys(callers.key_codes, used_callers, callers.key_values, "caller_key/")}, "zstd")
    texts.write(path, _TEXTS)
    key_texts.write(path, _KEY_TEXTS)
    caller = caller.ravel().astype(np.int32)
    _write(path / "records.parquet", {
        "call": call.ravel().astype(np.int32), "caller": caller, _IDENTITY: identity[caller],
        "time": rows.time, "id_hash": rows.event_id.hashes(),
        "is_proper": rows.event_id.are_at_least(PROPER_LENGTH)})
    _write(path / _IDS, {"event_id": rows.event_id.to_arrow()}, "zstd")
    if rows.enriched:
        _write_enriched(path / _ENRICHED, rows.enriched)


def _write_enriched(path: Path, enriched: dict[int, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({
        "row": pa.array(list(enriched), pa.int32()),
        "told": pa.array(list(enriched.values()), pa.string())}), path, compression="zstd")


def _load_enriched(path: Path, records: int) -> dict[int, str]:
    """Raises ValueError for rows of other records, or for what no `eventContext` tells."""
    import pyarrow as pa

    columns = _table(path)
    row, told = (columns.column(name).combine_chunks() for name in ("row", "told"))
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


def _kinds(columns: dict[str, Int32Array]) -> tuple[dict[str, Int32Array], Int32Array]:
    """(columns of the distinct rows, which of them each row is)"""
    _, first, kind = np.unique(packed(list(columns.values())), return_index=True,
                               return_inverse=True)
    return ({name: column[first] for name, column in columns.items()},
            kind.ravel().astype(np.int32))


def _write(path: Path, columns: dict[str, Any], compression: str = "lz4") -> None:
    """compression : `lz4` for what every audit reads, `zstd` for what only some do"""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), path,
                   compression=compression, use_dictionary=False)


class Damaged(Exception):
    """A segment that cannot be used: its files are read again."""


def load(segment: Segment, wanted: Iterable[LogFile], keys: AskedKeys) -> Loaded:
    """The records of the wanted files, with the asked keys only.

    Raises Damaged.
    """
    import pyarrow as pa

    try:
        return _load(segment, {_key_of(file) for file in wanted}, keys)
    except (OSError, ValueError, KeyError, IndexError, pa.ArrowException) as error:
        raise Damaged(str(error)) from error


def _load(segment: Segment, wanted: set[tuple[str, int, int]], keys: AskedKeys) -> Loaded:
    import pyarrow.parquet as pq

    caller_keys, request_keys = keys.caller, keys.request
    texts = _TextReader(segment.path, _TEXTS)
    key_texts = (_TextReader(segment.path, _KEY_TEXTS) if caller_keys or request_keys
                 else texts)
    callers = CallerTable(caller_keys)
    of_callers = _read(segment.path / "callers.parquet")
    whose = _IDENTITY
    if caller_keys:
        whose = "caller"
        identity = _read(segment.path / "caller_keys.parquet", [_IDENTITY])[_IDENTITY]
        _check_rows(identity, len(of_callers["created"]))
        of_callers = {name: column[identity] for name, column in of_callers.items()}
    _fill(callers.codes, of_callers)
    for name, attribute in CALLER_TEXTS.items():
        getattr(callers, attribute).fill(texts.of(f"caller/{name}"))
    _check_codes(callers.codes, callers, CALLER_TEXTS)
    callers.fill(of_callers["created"])
    _fill_keys(callers.key_codes, callers.key_values, segment.path / "caller_keys.parquet",
               [key.spelling for key in caller_keys], key_texts, "caller_key/")
    calls = CallTable(request_keys)
    of_calls = _of_kinds(segment.path / "calls.parquet", segment.path / "call_kinds.parquet",
                         CALL_TEXTS, texts, "call/")
    ends = np.cumsum(of_calls["member_count"], dtype=np.int64)
    of_calls["first_member"] = (ends - of_calls["member_count"]).astype(np.int32)
    _fill(calls.codes, of_calls)
    for name, attribute in CALL_TEXTS.items():
        getattr(calls, attribute).fill(texts.of(f"call/{name}"))
    of_members = _of_kinds(
        segment.path / "members.parquet", segment.path / "member_kinds.parquet",
        {name: MEMBER_TEXTS[name] for name in MEMBER_TEXTS if name not in _OWN}, texts, "member/")
    for name in _OWN:
        _check_range(of_members[name], texts.count(f"member/{name}"))
    if len(of_members["action"]) != (int(ends[-1]) if len(ends) else 0) or bool(
            (of_calls["member_count"] < 0).any()):
        raise ValueError("a call without its members")
    _fill(calls.members, of_members)
    for name, attribute in MEMBER_TEXTS.items():
        getattr(calls, attribute).fill(
            texts.in_place(f"member/{name}") if name == "resource" else texts.of(f"member/{name}"))
    _fill_keys(calls.key_codes, calls.key_values, segment.path / "member_keys.parquet",
               [key.spelling for key in request_keys], key_texts, "member_key/")

    records = _read(segment.path / "records.parquet",
                    ["call", whose, "time", "id_hash", "is_proper"])
    if pq.read_metadata(segment.path / _IDS).num_rows != len(records["call"]):
        raise ValueError("event IDs of other records")
    rows = Rows(records["call"], records[whose], records["time"],
                StoredTexts(partial(_load_ids, segment.path / _IDS), records["id_hash"],
                            records["is_proper"], PROPER_LENGTH),
                np.repeat(np.arange(len(segment.parts), dtype=np.int32),
                          [part.records for part in segment.parts]),
                segment.corrects,
                _load_enriched(segment.path / _ENRICHED, len(records["call"]))
                if segment.is_enriched else {})
    _check(rows, callers, calls)
    for table, values in ((callers.key_codes, callers.key_values),
                          (calls.key_codes, calls.key_values)):
        for index, dictionary in enumerate(values):
            _check_range(table.take(index, np.arange(len(table))), len(dictionary))
    is_chosen = np.array([_key_of(part) in wanted for part in segment.parts], dtype=bool)
    if not is_chosen.all():
        rows = rows.keep(is_chosen[rows.file])
    portion = Portion(rows, [part.name for part in segment.parts], callers, calls, keys.plans)
    return Loaded(portion, *_marks(segment, is_chosen.tolist()))


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
        kept = _sessions.decode((segment.path / _SESSIONS).read_bytes())
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error
    return ends, [(starts[number] + row, parsed(text)) for number, row, text in kept
                  if number in starts]


def _check(rows: Rows, callers: CallerTable, calls: CallTable) -> None:
    """Codes lead somewhere: a damaged segment must not crash anything."""
    _check_rows(rows.call, len(calls))
    _check_rows(rows.caller, len(callers))
    if not len(rows.call) == len(rows.caller) == len(rows.time) == len(rows.event_id) == len(
            rows.file):
        raise ValueError("columns of different lengths")
    if any(not 0 <= row < len(rows.call) for row in rows.corrects):
        raise ValueError("a correction of no row")


def _check_rows(rows: Int32Array, size: int) -> None:
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < size):
        raise ValueError("a row of another table")


def _load_ids(path: Path) -> Texts:
    import pyarrow as pa

    try:
        return _texts_of(_table(path).column(0))
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read `{path}`: {error}", path=str(path),
                          help="remove the cache; the logs will be read again") from error


def _check_codes(table: IntTable, owner: Any, named: dict[str, str]) -> None:
    for name, attribute in named.items():
        _check_range(table.take(name, np.arange(len(table))), len(getattr(owner, attribute)))


def _check_range(codes: Int32Array, size: int) -> None:
    if len(codes) and not (int(codes.min()) >= UNKNOWN and int(codes.max()) < size):
        raise ValueError("a code without its text")


def _table(path: Path, columns: Sequence[str] | None = None) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=columns, use_threads=False)


def _read(path: Path, columns: Sequence[str] | None = None) -> dict[str, Any]:
    table = _table(path, columns)
    return {name: _numbers(table.column(name).combine_chunks())
            for name in columns or table.column_names}


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

    large = column.cast(pa.large_string())
    if isinstance(large, pa.ChunkedArray):
        large = large.combine_chunks()
    _, offsets, data = large.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[large.offset : large.offset + len(large) + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)
    begin = int(places[0]) if len(places) else 0
    return Texts(content[begin : int(places[-1]) if len(places) else 0], places - begin)


def _of_kinds(path: Path, kinds_path: Path, named: Iterable[str], texts: _TextReader, prefix: str
              ) -> dict[str, Any]:
    """The columns of rows that are given by their kind, and those that they have of their own."""
    columns, kinds = _read(path), _read(kinds_path)
    for name in named:
        _check_range(kinds[name], texts.count(f"{prefix}{name}"))
    kind = columns.pop(_KIND)
    _check_rows(kind, len(next(iter(kinds.values()))))
    return columns | {name: column[kind] for name, column in kinds.items()}


def _fill(table: IntTable, columns: dict[str, Any]) -> None:
    table.fill([columns[name] for name in table.names])


def _fill_keys(table: IntTable, values: list[Dictionary], path: Path, names: list[str],
               texts: _TextReader, prefix: str) -> None:
    if not names:
        return
    found = _read(path, names)
    table.fill([found[name] for name in names])
    for name, dictionary in zip(names, values, strict=True):
        dictionary.fill(texts.of(f"{prefix}{name}"))


class _TextReader:
    """Texts of a segment by dictionary, made into Python objects when asked for."""

    def __init__(self, path: Path, name: str) -> None:
        table = _table(path / f"{name}.parquet")
        self._text, self._is_list = (
            table.column(name).combine_chunks() for name in ("text", "is_list"))
        self._places: dict[str, tuple[int, int]] = {}
        start = 0
        for dictionary, count in json.loads((path / f"{name}.json").read_text("utf-8")):
            self._places[dictionary] = (start, count)
            start += count

    def count(self, name: str) -> int:
        """How many texts a dictionary has."""
        return self._places[name][1]

    def in_place(self, name: str) -> GrowingTexts | list[str | list[str]]:
        """The texts as they lie, unless some are lists."""
        start, count = self._places[name]
        if self._is_list.slice(start, count).true_count:
            return self.of(name)
        found = _texts_of(self._text.slice(start, count))
        if (found.data >= _NO_TEXT).any():
            raise ValueError("no text")
        return GrowingTexts(found)

    def of(self, name: str) -> list[str | list[str]]:
        start, count = self._places[name]
        texts: list[Any] = self._text.slice(start, count).to_pylist()
        lists = _numbers(self._is_list.slice(start, count))
        for index in np.flatnonzero(lists).tolist():
            texts[index] = json.loads(texts[index])
        return texts


class Writer:
    """Collects the rows of whole files and writes them, some at a time.

    An error of writing ends caching, not reading; `error` tells of it.
    """

    def __init__(self, cache_: Cache) -> None:
        self._cache = cache_
        self._rows: list[Rows] = []
        self._parts: list[FilePart] = []
        self._sessions: list[list[tuple[int, str]]] = []
        self._records = self._enriched_bytes = 0
        self.error: str | None = None

    def add(self, pending: Pending, file: LogFile, part: int, is_last: bool, bad: Counter[str]
            ) -> None:
        """Rows of one file, or of a part of it."""
        if self.error is None:
            rows = pending.rows() if len(pending) else no_rows()
            self._parts.append(FilePart(
                *_key_of(file), part, is_last, self._records, len(rows.call), dict(bad),
                pending.ends))
            self._rows.append(rows)
            self._sessions.append(pending.sessions)
            self._records += len(rows.call)
            self._enriched_bytes += sum(map(len, rows.enriched.values()))

    @property
    def is_due(self) -> bool:
        return self._records >= SEGMENT_RECORDS or self._enriched_bytes >= SEGMENT_ENRICHED_BYTES

    def drop(self, file: LogFile) -> None:
        """The file turned out not to be usable: nothing of it is kept."""
        kept = [number for number, part in enumerate(self._parts)
                if _key_of(part) != _key_of(file)]
        self._rows, self._parts, self._sessions = (
            [self._rows[number] for number in kept], [self._parts[number] for number in kept],
            [self._sessions[number] for number in kept])

    def flush(self, callers: CallerTable, calls: CallTable) -> None:
        """Write what there is; the rows lead into these tables."""
        rows, parts, sessions = self._rows, self._parts, self._sessions
        self._rows, self._parts, self._sessions = [], [], []
        self._records = self._enriched_bytes = 0
        if not parts or self.error is not None:
            return
        start = 0
        for part, found in zip(parts, rows, strict=True):
            part.start, start = start, start + len(found.call)
        joined = Rows(
            np.concatenate([found.call for found in rows]),
            np.concatenate([found.caller for found in rows]),
            np.concatenate([found.time for found in rows]),
            Texts.joined([found.event_id for found in rows]),
            np.zeros(start, dtype=np.int32),
            {part.start + row: replaced for part, found in zip(parts, rows, strict=True)
             for row, replaced in found.corrects.items()},
            {part.start + row: told for part, found in zip(parts, rows, strict=True)
             for row, told in found.enriched.items()})
        try:
            self._cache.write(joined, parts, callers, calls, json.dumps(
                [(number, *told) for number, of_part in enumerate(sessions) for told in of_part]))
        except OSError as error:
            self.error = f"{error.strerror or error}"
        except Exception as error:  # pyarrow's own errors of a full disk
            with suppress(ImportError):
                import pyarrow as pa

                if isinstance(error, pa.ArrowException):
                    self.error = str(error)
            if self.error is None:
                raise
