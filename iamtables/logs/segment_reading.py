"""The tables of a segment of a cache, read: see `segment_writing` for the files.

Only what is asked for is read. A segment that was damaged is found out: every code leads somewhere,
whatever the files hold. Columns stay where Parquet put them, and rows that are given by their kind
stay so (`KindTable`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .asked_keys import AskedKeys
from .batch import Rows
from .cache import Segment, checksum, key_of
from .columns import ABSENT, UNKNOWN, Dictionary, Int32Array
from .duplicates import PROPER_LENGTH
from .event_context import check_told
from .log_wide import LogWide, Patterns, TextDictionary
from .outgoing import Loaded, Portion
from .records import DECODE_ERRORS
from .segment_columns import ColumnReader, array_of, numbers_of, read_table
from .segment_texts import ACCESS_KEYS, KEYS, OFTEN, RESOURCES, SESSION_NAMES, TextReader
from .segment_writing import (
    ARE_PROPER,
    ARE_RESOURCES,
    CALL,
    CALL_KINDS,
    CALLER,
    CALLER_KEYS,
    CALLERS,
    CALLS,
    COUNTS,
    CREATED,
    ENRICHED,
    IDENTITY,
    IDS,
    IS_PROPER,
    KIND,
    LAYOUTS,
    MEMBER_KEYS,
    MEMBER_KINDS,
    MEMBERS,
    NAMEABLE,
    OWN,
    RECORD_HASH,
    RECORDS,
    SESSIONS,
    TABLES,
    TIME,
    UNTOLD,
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
from .texts import StoredTexts, Texts

_sessions = msgspec.json.Decoder(list[tuple[int, int, str]])
_NO_TEXT = np.array([UNKNOWN, ABSENT], dtype=np.int32)
"""What stands behind the codes of texts: -2 and -1 lead there."""
_IN_PLACE = ("session", "access_key")
"""Texts that hardly anybody looks at."""


class Damaged(Exception):
    """A segment that cannot be used: its files are read again.

    is_lasting : it will not do the next time either
    """

    def __init__(self, reason: str, *, is_lasting: bool) -> None:
        super().__init__(reason)
        self.is_lasting = is_lasting


def load(segment: Segment, wanted: Iterable[LogFile], keys: AskedKeys, log_wide: LogWide
         ) -> Loaded:
    """The records of the wanted files, with the asked keys only.

    log_wide : what the segments before have in common, to which this one adds
    Raises Damaged.
    """
    import pyarrow as pa

    try:
        return _load(segment, {key_of(file) for file in wanted}, keys, log_wide)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
            pa.ArrowException) as error:
        # what has a number comes from the system, and may pass
        number = getattr(error, "errno", None)
        raise Damaged(str(error), is_lasting=number in (None, errno.ENOENT)) from error


def _load(segment: Segment, wanted: set[tuple[str, int, int]], keys: AskedKeys,
          log_wide: LogWide) -> Loaded:
    try:
        about = msgspec.json.decode(_sealed(segment, TABLES))
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error
    parts = [OFTEN, RESOURCES, SESSION_NAMES, *([KEYS] if keys.caller or keys.request else []),
             *([ACCESS_KEYS] if keys.sessions else [])]
    columns = ColumnReader(segment.path, about[LAYOUTS])
    texts = TextReader(columns, about[COUNTS], parts)
    callers = _load_callers(columns, keys, texts, about[UNTOLD][CALLER_KEYS],
                            log_wide.principals)
    calls = _load_calls(columns, keys, texts, about, log_wide.patterns)
    rows = _load_rows(segment, columns, len(calls), len(callers),
                      CALLER if keys.caller else IDENTITY, bool(about[ARE_PROPER]))
    records = len(rows.call)
    is_chosen = [key_of(part) in wanted for part in segment.parts]
    if not all(is_chosen):
        rows = rows.keep(np.array(is_chosen, dtype=bool)[rows.file])
    portion = Portion(rows, [part.name for part in segment.parts], callers, calls, keys.plans,
                      StoredTables(callers, calls, records))
    return Loaded(portion, *_marks(segment, is_chosen))


def _sealed(segment: Segment, file: str) -> bytes:
    """The content of a file that is not in columns. Raises ValueError for any but what was
    written."""
    content = (segment.path / file).read_bytes()
    if checksum(content) != segment.checksums[file]:
        raise ValueError(f"{file} was damaged")
    return content


# -- tables ---------------------------------------------------------------------------------------


def _load_callers(files: ColumnReader, keys: AskedKeys, texts: TextReader,
                  untold: Mapping[str, int], principals: TextDictionary) -> StoredCallers:
    callers = StoredCallers(keys.caller)
    columns = files.numbers(CALLERS, [*callers.codes.names, CREATED], {
        name: (UNKNOWN, texts.count(f"caller/{name}")) for name in CALLER_TEXTS})
    created = columns[CREATED]
    _check_lengths(columns)
    for name, attribute in CALLER_TEXTS.items():
        text = f"caller/{name}"
        if name == "principal":
            # from here on as all segments have them, so that names are looked up once
            of_all = np.append(principals.codes_of(texts.as_they_lie(text)), _NO_TEXT)
            columns[name] = of_all.take(columns[name], mode="wrap")
            callers.principals = principals
        elif name in _IN_PLACE:
            if texts.has(text):
                getattr(callers, attribute).fill(texts.in_place(text))
            else:  # as in a reader of logs that nobody asks for it
                columns[name] = np.full(len(created), ABSENT, dtype=np.int32)
        else:
            getattr(callers, attribute).fill(texts.of(text))
    identity = None
    if keys.caller:
        identity = files.numbers(CALLER_KEYS, [IDENTITY], {IDENTITY: (0, len(created))})[IDENTITY]
        created = created[identity]
    callers.codes = KindTable(
        {name: columns[name] for name in callers.codes.names}, identity, {})
    callers.fill(created)
    callers.key_codes = _load_keys(
        files, CALLER_KEYS, [key.spelling for key in keys.caller], callers.key_values,
        texts, "caller_key/", len(created), untold)
    return callers


def _load_calls(files: ColumnReader, keys: AskedKeys, texts: TextReader, about: Mapping[str, Any],
                patterns: Patterns) -> StoredCalls:
    calls = StoredCalls(keys.request)
    of_calls = _kinds(about[CALL_KINDS], {*calls.codes.names} - {"first_member"})
    of_members = _kinds(about[MEMBER_KINDS], {*calls.members.names} - {*OWN})
    many = of_calls["member_count"]
    kind = files.numbers(CALLS, [KIND], {KIND: (0, len(many))})[KIND]
    own = files.numbers(MEMBERS, [KIND, *OWN], {
        KIND: (0, len(of_members["action"])),
        **{name: (UNKNOWN, texts.count(f"member/{name}")) for name in OWN}})
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
    if any(len(column) != count for column in (kind, *own.values())):
        raise ValueError("a call without its members")
    calls.members = KindTable(of_members, kind, own)
    resources = texts.in_place("member/resource")
    resources.are_resources = bool(about[ARE_RESOURCES])
    calls.resources.fill(resources)
    calls.patterns.fill(texts.in_place("member/pattern"))
    calls.patterns_of_log = patterns
    calls.nameable = patterns.codes_of(texts.as_they_lie("member/pattern", about[NAMEABLE]))
    for name in ("action", "state", "service"):
        getattr(calls, MEMBER_TEXTS[name]).fill(texts.of(f"member/{name}"))
        _check_range(of_members[name], texts.count(f"member/{name}"))
    calls.key_codes = _load_keys(
        files, MEMBER_KEYS, [key.spelling for key in keys.request], calls.key_values,
        texts, "member_key/", count, about[UNTOLD][MEMBER_KEYS])
    return calls


def _kinds(columns: dict[str, list[int]], names: set[str]) -> dict[str, Int32Array]:
    """Raises ValueError, TypeError or OverflowError unless these are columns of one length."""
    if columns.keys() != names or len({len(column) for column in columns.values()}) != 1:
        raise ValueError("other columns")
    return {name: np.array(column, dtype=np.int32) for name, column in columns.items()}


def _load_keys(files: ColumnReader, file: str, names: list[str], values: list[Dictionary],
               texts: TextReader, prefix: str, count: int, untold: Mapping[str, int]) -> IntTable:
    """untold : the keys with one code throughout, which stands for no text"""
    told = [name for name in names if name not in untold]
    found = files.numbers(file, told, {
        name: (UNKNOWN, texts.count(f"{prefix}{name}")) for name in told}) if told else {}
    columns: dict[str, Int32Array] = {}
    for name, dictionary in zip(names, values, strict=True):
        if name not in untold:
            columns[name] = found[name]
            if len(columns[name]) != count:
                raise ValueError("keys of other rows")
            dictionary.fill(texts.of(f"{prefix}{name}"))
        elif untold[name] in (ABSENT, UNKNOWN):
            columns[name] = np.full(count, untold[name], dtype=np.int32)
        else:
            raise ValueError("a code without its text")
    return KindTable({}, None, columns)


# -- records --------------------------------------------------------------------------------------


def _load_rows(segment: Segment, files: ColumnReader, calls: int, callers: int, whose: str,
               are_proper: bool) -> Rows:
    """Raises ValueError where a row leads nowhere: a damaged segment must not crash anything.

    are_proper : do all event IDs prove something?
    """
    columns = files.numbers(RECORDS, [
        CALL, whose, TIME, RECORD_HASH, *([] if are_proper else [IS_PROPER])],
        {CALL: (0, calls), whose: (0, callers)})
    call, caller = columns[CALL], columns[whose]
    count = len(call)
    files.check(IDS)
    _check_lengths(columns)
    if sum(part.records for part in segment.parts) != count:
        raise ValueError("columns of different lengths")
    if any(not 0 <= row < count for row in segment.corrects):
        raise ValueError("a correction of no row")
    return Rows(
        call, caller, columns[TIME],
        StoredTexts(partial(_load_ids, segment.path / IDS), columns[RECORD_HASH],
                    np.ones(count, dtype=np.bool_) if are_proper else columns[IS_PROPER],
                    PROPER_LENGTH),
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
        kept = _sessions.decode(_sealed(segment, SESSIONS))
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error
    return ends, [(starts[number] + row, parsed(text)) for number, row, text in kept
                  if number in starts]


def _load_enriched(path: Path, records: int) -> dict[int, str]:
    """Raises ValueError for rows of other records, or for what no `eventContext` tells."""
    import pyarrow as pa

    columns = read_table(path)
    row, told = (array_of(columns.column(name)) for name in ("row", "told"))
    if row.null_count or told.null_count or row.type != pa.int32() or told.type != pa.string():
        raise ValueError("columns of another kind")
    told = told.dictionary_encode()
    texts = told.dictionary.to_pylist()
    for text in texts:
        check_told(text)
    rows = numbers_of(row)
    _check_rows(rows, records)
    return dict(zip(rows.tolist(), (texts[code] for code in told.indices.to_pylist()),
                    strict=True))


def _load_ids(path: Path) -> Texts:
    import pyarrow as pa

    try:
        return _texts_of(read_table(path).column(0))
    except (OSError, ValueError, pa.ArrowException) as error:
        # records of the segment were handed out: it is too late for reading them again
        raise SourceError(f"cannot read `{path}`: {error}", path=str(path),
                          help="remove the cache; the logs will be read again") from error


def _texts_of(column: Any) -> Texts:
    import pyarrow as pa

    column = array_of(column)
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


# -- checks ---------------------------------------------------------------------------------------


def _check_lengths(columns: Mapping[str, NDArray[Any]]) -> None:
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("columns of different lengths")


def _check_rows(rows: Int32Array, size: int) -> None:
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < size):
        raise ValueError("a row of another table")


def _check_range(codes: Int32Array, size: int) -> None:
    if len(codes) and not (int(codes.min()) >= UNKNOWN and int(codes.max()) < size):
        raise ValueError("a code without its text")
