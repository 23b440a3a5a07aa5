"""The tables of a segment of a cache as Parquet files: writing.

    records.parquet       a row per record: rows of the tables below, time, hash that tells it apart
    event_ids.parquet     the IDs themselves, which hardly anybody asks for
    calls.parquet         the kind of each distinct call
    members.parquet       the requests of each, one after the other, by kind
    callers.parquet       distinct identities; caller_keys.parquet has their addresses and agents
    member_keys.parquet   every key of a request that records tell
    texts.parquet         what the codes of these columns stand for (`segment_texts`)
    tables.json           the columns of kinds, of which there are few; the number of texts of each
                          dictionary; how many patterns may stand for a name, which are the first;
                          whether all event IDs prove something, and all resources are such as
                          requests may name; the keys that no record of the segment tells; where
                          columns lie in the files

What every audit reads is not packed, its numbers are as narrow as they can be (`segment_columns`);
what only some ask for is packed tightly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import Rows
from .columns import Dictionary, Int32Array, packed
from .duplicates import hashes_of
from .gather import are_resources
from .names import may_name
from .segment_columns import Layout, give_back_memory, to_arrow, write_table
from .segment_texts import (
    ACCESS_KEYS,
    KEYS,
    OFTEN,
    RESOURCES,
    SESSION_NAMES,
    TextWriter,
    renumbered,
)
from .segment_texts import FILE as TEXT_FILE
from .tables import CALL_TEXTS, CALLER_TEXTS, MEMBER_TEXTS, CallerTable, CallTable, IntTable
from .texts import GrowingTexts, Texts

IDS = "event_ids.parquet"
ENRICHED = "event_contexts.parquet"
SESSIONS = "sessions.json"
CALL, CALLER, IDENTITY, TIME, RECORD_HASH, IS_PROPER = (
    "call", "caller", "identity", "time", "record_hash", "is_proper")
KIND, CREATED = "kind", "created"
TABLES = "tables.json"
CALL_KINDS, MEMBER_KINDS, COUNTS = "calls", "members", "texts"
NAMEABLE, ARE_PROPER, ARE_RESOURCES, UNTOLD, LAYOUTS = (
    "nameable", "are_proper", "are_resources", "untold", "layouts")
"""What that file tells."""
RECORDS, CALLS, MEMBERS = "records.parquet", "calls.parquet", "members.parquet"
MEMBER_KEYS = "member_keys.parquet"
CALLERS, CALLER_KEYS = "callers.parquet", "caller_keys.parquet"
OWN = ("resource", "pattern")
"""Columns of members that hardly repeat."""
_PARTS = {"resource": RESOURCES, "session": SESSION_NAMES, "access_key": ACCESS_KEYS}
"""Where the texts of a column are, if not among those that every audit looks at."""


def write_tables(path: Path, rows: Rows, callers: CallerTable, calls: CallTable) -> None:
    texts = TextWriter()
    layouts: dict[str, Layout] = {}

    def write(file: str, columns: dict[str, Any], packed: str = "none") -> None:
        if columns:  # a segment may have no keys at all
            layouts[file] = write_table(path / file, columns, packed)
        give_back_memory()

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
                codes = texts.renumber(_PARTS.get(name, OFTEN), f"{prefix}{name}", codes,
                                       getattr(owner, named[name]))
            found[name] = codes
        return found

    untold: dict[str, dict[str, int]] = {}

    def keys(file: str, table: IntTable, at: NDArray[Any], values: list[Dictionary], prefix: str
             ) -> dict[str, Int32Array]:
        found: dict[str, Int32Array] = {}
        alike = untold[file] = {}
        for index, name in enumerate(table.names):
            codes = table.take(index, at)
            if len(codes) and int(codes.min()) == int(codes.max()) < 0:
                alike[name] = int(codes[0])
            else:
                found[name] = texts.renumber(KEYS, f"{prefix}{name}", codes, values[index])
        return found

    call_columns = columns(calls.codes, used_calls, CALL_TEXTS, calls, "call/")
    del call_columns["first_member"]  # members follow each other
    call_kinds, kind = _kinds(call_columns)
    write(CALLS, {KIND: kind})
    member_columns = columns(calls.members, members,
                             {name: text for name, text in MEMBER_TEXTS.items()
                              if name != "pattern"}, calls, "member/")
    member_columns["pattern"], nameable = _put_patterns(
        texts, "member/pattern", member_columns["pattern"], calls.patterns)
    own = {name: member_columns.pop(name) for name in OWN}
    member_kinds, kind = _kinds(member_columns)
    write(MEMBERS, {KIND: kind, **own})
    write(MEMBER_KEYS, keys(MEMBER_KEYS, calls.key_codes, members, calls.key_values, "member_key/"),
          "zstd")
    write(CALLERS, {**columns(callers.codes, identities, CALLER_TEXTS, callers, "caller/"),
                    CREATED: created[some]})
    identity = identity.ravel().astype(np.int32)
    write(CALLER_KEYS, {
        IDENTITY: identity,
        **keys(CALLER_KEYS, callers.key_codes, used_callers, callers.key_values, "caller_key/")},
        "zstd")
    layouts[TEXT_FILE] = texts.write(path)
    give_back_memory()
    caller = caller.ravel().astype(np.int32)
    hashes, are_proper = hashes_of(rows, callers)
    write(RECORDS, {
        CALL: call.ravel().astype(np.int32), CALLER: caller, IDENTITY: identity[caller],
        TIME: rows.time, RECORD_HASH: hashes, IS_PROPER: are_proper})
    write(IDS, {"event_id": rows.event_id.to_arrow()}, "zstd")
    named = texts.texts_of(RESOURCES)
    (path / TABLES).write_text(json.dumps({
        CALL_KINDS: call_kinds, MEMBER_KINDS: member_kinds, COUNTS: texts.counts,
        NAMEABLE: nameable, ARE_PROPER: bool(are_proper.all()),
        ARE_RESOURCES: are_resources(named.data, named.offsets), UNTOLD: untold,
        LAYOUTS: layouts}), "utf-8")
    if rows.enriched:
        _write_enriched(path / ENRICHED, rows.enriched)
    give_back_memory()


def _put_patterns(texts: TextWriter, name: str, codes: Int32Array, values: Dictionary
                  ) -> tuple[Int32Array, int]:
    """(the codes of the patterns as they are written, how many may stand for a name)"""
    codes, kept = renumbered(codes)
    taken = values.values
    patterns = (list(taken.take(np.array(kept, dtype=np.int64)))
                if isinstance(taken, GrowingTexts) else [str(taken[code]) for code in kept])
    order = sorted(range(len(patterns)), key=lambda at: not may_name(patterns[at]))
    texts.put(OFTEN, name, [patterns[at] for at in order])
    places = np.empty(len(order) + 1, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return (np.where(codes >= 0, places[codes], codes).astype(np.int32),
            sum(map(may_name, patterns)))


def _write_enriched(path: Path, enriched: dict[int, str]) -> None:
    write_table(path, {"row": to_arrow(np.array(list(enriched), dtype=np.int32)),
                       "told": Texts.of(enriched.values()).to_arrow()}, "zstd")


def _kinds(columns: dict[str, Int32Array]) -> tuple[dict[str, list[int]], Int32Array]:
    """(columns of the distinct rows, which of them each row is)"""
    _, first, kind = np.unique(packed(list(columns.values())), return_index=True,
                               return_inverse=True)
    return ({name: column[first].tolist() for name, column in columns.items()},
            kind.ravel().astype(np.int32))
