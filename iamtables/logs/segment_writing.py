"""The tables of a segment of a cache as Parquet files: writing.

    records.parquet       a row per record: rows of the tables below, time, hash of the event ID
    event_ids.parquet     the IDs themselves, which hardly anybody asks for
    calls.parquet         the kind of each distinct call
    members.parquet       the requests of each, one after the other, by kind
    kinds.json            the columns of kinds, of which there are few
    callers.parquet       distinct identities; caller_keys.parquet has their addresses and agents
    member_keys.parquet   every key of a request that records tell
    texts.parquet         what the codes of these columns stand for, and key_texts.parquet; with
                          the number of texts of each dictionary in JSON
    resources.parquet     one row: the texts of all resources end to end, and the length of each

What every audit reads is stored as it lies in memory where there is much of it; what only some ask
for is packed tightly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import Rows
from .columns import Dictionary, Int32Array, packed
from .duplicates import PROPER_LENGTH
from .names import may_name
from .tables import CALL_TEXTS, CALLER_TEXTS, MEMBER_TEXTS, CallerTable, CallTable, IntTable
from .texts import Texts

IDS = "event_ids.parquet"
ENRICHED = "event_contexts.parquet"
SESSIONS = "sessions.json"
IDENTITY = "identity"
KIND = "kind"
KINDS = "kinds.json"
RESOURCES = "resources.parquet"
TEXTS, KEY_TEXTS = "texts", "key_texts"
OWN = ("resource", "pattern")
"""Columns of members that hardly repeat."""


class _TextWriter:
    """Distinct texts of every dictionary that a segment uses, renumbered."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.counts: list[int] = []
        self.firsts: list[int] = []
        self.texts: list[str] = []
        self.is_list: list[bool] = []

    def renumber(self, name: str, codes: Int32Array, values: Dictionary,
                 is_first: Callable[[str], bool] | None = None) -> Int32Array:
        """is_first : which texts come before the others; how many these are is kept, too"""
        codes, kept = _renumbered(codes)
        texts = [values.values[code] for code in kept]
        first = 0
        if is_first is not None:
            order = sorted(range(len(texts)), key=lambda at: not is_first(str(texts[at])))
            first = sum(is_first(str(text)) for text in texts)
            texts = [texts[at] for at in order]
            places = np.empty(len(order) + 1, dtype=np.int32)
            places[order] = np.arange(len(order), dtype=np.int32)
            codes = np.where(codes >= 0, places[codes], codes).astype(np.int32)
        for text in texts:
            self.is_list.append(isinstance(text, list))
            self.texts.append(json.dumps(text) if isinstance(text, list) else text)
        self.names.append(name)
        self.counts.append(len(kept))
        self.firsts.append(first)
        return codes

    def write(self, path: Path, name: str) -> None:
        import pyarrow as pa

        columns: dict[str, Any] = {"text": pa.array(self.texts, pa.string())}
        if any(self.is_list):
            columns["is_list"] = np.array(self.is_list, dtype=bool)
        _write(path / f"{name}.parquet", columns)
        (path / f"{name}.json").write_text(json.dumps(
            list(zip(self.names, self.counts, self.firsts, strict=True))), "utf-8")


def _renumbered(codes: Int32Array) -> tuple[Int32Array, list[int]]:
    """(codes from 0 on in place of those that are used, negative ones as they are; which these
    are)"""
    used, inverse = np.unique(codes, return_inverse=True)
    numbers = np.where(used >= 0, np.cumsum(used >= 0) - 1, used).astype(np.int32)
    renumbered: Int32Array = numbers[inverse.ravel()]
    return renumbered, used[used >= 0].tolist()


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
            if name == "resource":
                codes = _write_resources(path / RESOURCES, codes, calls.resources)
            elif name in named:
                codes = texts.renumber(f"{prefix}{name}", codes, getattr(owner, named[name]),
                                       may_name if name == "pattern" else None)
            found[name] = codes
        return found

    def keys(table: IntTable, at: NDArray[Any], values: list[Dictionary], prefix: str
             ) -> dict[str, Int32Array]:
        return {name: key_texts.renumber(f"{prefix}{name}", table.take(index, at), values[index])
                for index, name in enumerate(table.names)}

    call_columns = columns(calls.codes, used_calls, CALL_TEXTS, calls, "call/")
    del call_columns["first_member"]  # members follow each other
    call_kinds, kind = _kinds(call_columns)
    _write(path / "calls.parquet", {KIND: kind}, "none")
    member_columns = columns(calls.members, members, MEMBER_TEXTS, calls, "member/")
    own = {name: member_columns.pop(name) for name in OWN}
    member_kinds, kind = _kinds(member_columns)
    _write(path / "members.parquet", {KIND: kind, **own}, "none")
    (path / KINDS).write_text(json.dumps({"calls": call_kinds, "members": member_kinds}), "utf-8")
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


def _write_resources(path: Path, codes: Int32Array, values: Dictionary) -> Int32Array:
    """The codes of the resources as they are written. One value of all texts is read many times as
    fast as a value for each."""
    codes, kept = _renumbered(codes)
    texts = Texts.of(str(values.values[code]) for code in kept)
    _write(path, {"texts": [texts.data.tobytes()],
                  "lengths": [texts.lengths().astype("<i4").tobytes()]}, "none")
    return codes


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

    arrays = [column if isinstance(column, pa.Array) else pa.array(column)
              for column in columns.values()]
    schema = pa.schema([pa.field(name, array.type, nullable=False)  # which reads twice as fast
                        for name, array in zip(columns, arrays, strict=True)])
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression=compression,
                   use_dictionary=False, write_statistics=False,
                   column_encoding=dict(encodings) if encodings else None)


def _kinds(columns: dict[str, Int32Array]) -> tuple[dict[str, list[int]], Int32Array]:
    """(columns of the distinct rows, which of them each row is)"""
    _, first, kind = np.unique(packed(list(columns.values())), return_index=True,
                               return_inverse=True)
    return ({name: column[first].tolist() for name, column in columns.items()},
            kind.ravel().astype(np.int32))
