"""The tables of a segment of a cache as Parquet files: writing.

    records.parquet       a row per record: rows of the tables below, time, hash of the event ID
    event_ids.parquet     the IDs themselves, which hardly anybody asks for
    calls.parquet         the kind of each distinct call, with call_kinds.parquet
    members.parquet       its requests, one after the other, with member_kinds.parquet
    callers.parquet       distinct identities; caller_keys.parquet has their addresses and agents
    member_keys.parquet   every key of a request that records tell
    texts.parquet         what the codes of these columns stand for, and key_texts.parquet

What every audit reads is stored as it lies in memory, or packed where that unpacks faster than
twice the bytes can be read; what only some ask for is packed tightly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import Rows
from .columns import Dictionary, Int32Array, packed
from .duplicates import PROPER_LENGTH
from .tables import CALL_TEXTS, CALLER_TEXTS, MEMBER_TEXTS, CallerTable, CallTable, IntTable

IDS = "event_ids.parquet"
ENRICHED = "event_contexts.parquet"
SESSIONS = "sessions.json"
IDENTITY = "identity"
KIND = "kind"
TEXTS, KEY_TEXTS = "texts", "key_texts"
OWN = ("resource", "pattern")
"""Columns of members that hardly repeat."""


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

        columns: dict[str, Any] = {"text": pa.array(self.texts, pa.string())}
        if any(self.is_list):
            columns["is_list"] = np.array(self.is_list, dtype=bool)
        _write(path / f"{name}.parquet", columns)
        (path / f"{name}.json").write_text(json.dumps(
            list(zip(self.names, self.counts, strict=True))), "utf-8")


def write_tables(path: Path, rows: Rows, callers: CallerTable, calls: CallTable) -> None:
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
    _write(path / "calls.parquet", {KIND: kind}, "none")
    member_columns = columns(calls.members, members, MEMBER_TEXTS, calls, "member/")
    own = {name: member_columns.pop(name) for name in OWN}
    kinds, kind = _kinds(member_columns)
    _write(path / "member_kinds.parquet", kinds)
    _write(path / "members.parquet", {KIND: kind, **own}, "none")
    _write(path / "member_keys.parquet",
           keys(calls.key_codes, members, calls.key_values, "member_key/"), "zstd")
    _write(path / "callers.parquet", {
        **columns(callers.codes, identities, CALLER_TEXTS, callers, "caller/"),
        "created": created[some]})
    identity = identity.ravel().astype(np.int32)
    _write(path / "caller_keys.parquet", {
        IDENTITY: identity,
        **keys(callers.key_codes, used_callers, callers.key_values, "caller_key/")}, "zstd")
    texts.write(path, TEXTS)
    key_texts.write(path, KEY_TEXTS)
    caller = caller.ravel().astype(np.int32)
    _write(path / "records.parquet", {
        "call": call.ravel().astype(np.int32), "caller": caller, IDENTITY: identity[caller],
        "time": rows.time, "id_hash": rows.event_id.hashes(),
        "is_proper": rows.event_id.are_at_least(PROPER_LENGTH)}, "none",
        {"time": "DELTA_BINARY_PACKED"})
    _write(path / IDS, {"event_id": rows.event_id.to_arrow()}, "zstd")
    if rows.enriched:
        _write_enriched(path / ENRICHED, rows.enriched)


def _write_enriched(path: Path, enriched: dict[int, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({
        "row": pa.array(list(enriched), pa.int32()),
        "told": pa.array(list(enriched.values()), pa.string())}), path, compression="zstd")


def _write(path: Path, columns: Mapping[str, Any], compression: str = "lz4",
           encodings: Mapping[str, str] | None = None) -> None:
    """compression : `lz4` for texts and small tables that every audit reads, `none` for its
                  numbers, `zstd` for what only some ask for
    encodings   : by column; as they are in memory for the others
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), path,
                   compression=compression, use_dictionary=False,
                   column_encoding=dict(encodings) if encodings else None)


def _kinds(columns: dict[str, Int32Array]) -> tuple[dict[str, Int32Array], Int32Array]:
    """(columns of the distinct rows, which of them each row is)"""
    _, first, kind = np.unique(packed(list(columns.values())), return_index=True,
                               return_inverse=True)
    return ({name: column[first] for name, column in columns.items()},
            kind.ravel().astype(np.int32))
