"""What query engines hand over, a chunk at a time, decided.

DuckDB, Polars, pandas and Spark hold requests as Arrow columns: principal, action, resource, and
the context in one of three forms:

    a struct       a field for each context key
    a map          text -> text, or text -> list of texts, with keys of its own in each row
    columns        by the names of their keys

A null is absent (of the resource: unknown), as everywhere. A column of lists may name the keys that
are unknown in a row, each a key or `prefix/*`. A context may also hold what says who asks and whose
the resource is, by the names of `Table.decide`: `issuer_arn`, `resource_account`, ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from .errors import ColumnError
from .runtime.codes import DecisionCode

if TYPE_CHECKING:
    from .runtime import Decisions, Session, Table

Missing = Literal["absent", "unknown", "error"]

NAMES = tuple(code.name for code in DecisionCode)
"""Decisions as engines see them, in the order of their codes."""

_PARTS = ("principal", "action", "resource")


PATIENCE_S = 0.5
"""Seconds that threads wait for a session, in all, before they open one more: about what it takes
to learn half a million values."""


class Sessions:
    """Sessions that threads take in turn, as few as serve them.

    Another session learns all values anew, which may cost more than the decisions: so it is opened
    when threads have waited about as long as that takes, and the last one given back, which knows
    most, is taken first.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._free: list[Session] = []
        self._opened = 0
        self._waited_s = 0.0
        self._returned = threading.Condition(threading.Lock())

    def take(self) -> Session:
        """A session that nobody else has until it is given back."""
        with self._returned:
            while not self._free:
                left = self._opened * PATIENCE_S - self._waited_s
                if left <= 0:
                    self._opened += 1
                    return self._table.session()
                started = time.monotonic()
                self._returned.wait(left)
                self._waited_s += time.monotonic() - started
            return self._free.pop()

    def give_back(self, session: Session) -> None:
        with self._returned:
            self._free.append(session)
            self._returned.notify()


class Decider:
    """Decides chunk after chunk under one table; threads may share it."""

    def __init__(self, table: Table, *, missing: Missing = "absent",
                 unknown: Iterable[str] = ()) -> None:
        """missing : what a key is that nobody gives
        unknown : keys, or `prefix/*`, that are unknown in every row

        Raises ColumnError for what no query can mend.
        """
        if missing not in get_args(Missing):
            raise ColumnError(f"`missing` cannot be `{missing}`",
                              help="choose absent, unknown or error")
        self._missing = missing
        self._unknown = dict.fromkeys(key_names(unknown, "unknown keys"), True)
        self._asked = frozenset(key.lower() for key in table.keys)
        self._sessions = Sessions(table)

    def decide(self, *, principal: Any, action: Any, resource: Any,
               context: Mapping[str, Any] | Any = None, unknown: Any = None) -> Decisions:
        """One decision per row.

        context : a mapping of columns, or an Arrow array of structs or maps; None: no key is given
        unknown : an Arrow array of lists of texts, or None

        Raises ColumnError when the columns do not fit together or cannot be read.
        """
        requests: Mapping[str, Any] | None = None
        if context is not None:
            requests = self._context(context)
            context_names(requests)
        masks: Mapping[str, Any] = self._unknown
        if unknown is not None:
            masks = {**masks, **unknown_masks(unknown)}
        return self._decide(requests, masks, principal=principal, action=action, resource=resource)

    def decide_table(self, requests: Any) -> Decisions:
        """One decision per row of an Arrow table whose columns have the names of `Table.decide`."""
        return self._decide(requests, self._unknown)

    def _decide(self, requests: Any, unknown: Mapping[str, Any], **parts: Any) -> Decisions:
        session = self._sessions.take()
        try:
            return session.decide(requests, unknown=unknown, missing=self._missing, **parts)
        finally:
            self._sessions.give_back(session)

    def _context(self, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        import pyarrow as pa

        array = one_array(given)
        kind = array.type
        if pa.types.is_null(kind):
            return {}
        if pa.types.is_struct(kind):
            names = [field.name for field in kind]
            _refuse_twice(names)
            return dict(zip(names, array.flatten(), strict=True))
        if pa.types.is_map(kind):
            return map_columns(array, self._asked)
        raise ColumnError(f"the context is of type `{kind}`", column="context",
                          help="give a struct with a field per context key, or a map")


def key_names(given: Iterable[str], what: str) -> tuple[str, ...]:
    """Names of keys from whatever holds them. Raises ColumnError for a text, which Python would
    take apart into letters, and for what is no text."""
    names = () if isinstance(given, str) else tuple(given)
    if isinstance(given, str) or not all(isinstance(name, str) for name in names):
        raise ColumnError(f"the {what} are given as `{given}`",
                          help="give a list of names, such as [\"aws:SourceIp\"]")
    return names


def context_names(names: Iterable[str]) -> tuple[str, ...]:
    """Raises ColumnError for names that no context has, or has once only."""
    found = tuple(names)
    for name in _PARTS:
        if name in found:
            raise ColumnError(f"the context has a field `{name}`", column=name,
                              help="a context holds keys such as `aws:SourceIp`")
    _refuse_twice(found)
    return found


def _refuse_twice(names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    for name in names:
        if names.count(name) > 1:
            raise ColumnError(f"the context has two fields `{name}`", column=name,
                              help="give each context key once")


def one_array(given: Any) -> Any:
    """A pyarrow array of what an engine hands over, array or chunks."""
    import pyarrow as pa

    if isinstance(given, pa.Array):
        return given
    chunks = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array(given)
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def map_columns(array: Any, asked: frozenset[str] | None = None) -> dict[str, Any]:
    """Maps from key to value as one column per key.

    asked : keys, in lower case, to make columns of; None: all. What says who asks is always kept.
    Raises ColumnError for keys that are no text, and for a row that has a key twice (COND-4).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from .runtime.batch import ASKING

    count = len(array)
    entries = _entries(array)
    if entries is None:
        return {}
    rows, keys, values = entries
    if not _is_text(keys.type):
        raise ColumnError(f"the keys of the context are of type `{keys.type}`", column="context",
                          help="give a map from text")
    # a view has no dictionary encoding in Arrow
    coded = pc.dictionary_encode(keys.cast(pa.large_string()))
    codes = coded.indices.to_numpy(zero_copy_only=False)
    columns: dict[str, Any] = {}
    taken: dict[str, Any] = {}
    for code, name in enumerate(coded.dictionary.to_pylist()):
        lower = name.lower()
        if asked is not None and lower not in asked and name not in ASKING:
            continue
        places = np.flatnonzero(codes == code)
        seen = taken.setdefault(lower, np.zeros(count, dtype=bool))
        again = np.bincount(rows[places], minlength=count) + seen > 1
        if again.any():
            raise ColumnError(f"row {int(np.argmax(again))} has the key `{name}` twice",
                              column=name, help="keys compare without case (COND-4)")
        seen[rows[places]] = True
        at = np.full(count, -1, dtype=np.int64)
        at[rows[places]] = places
        column = values.take(pa.array(at, mask=at < 0))
        known = next((other for other in columns if other.lower() == lower), None)
        if known is None:
            columns[name] = column
        else:  # another spelling of a key, in other rows
            columns[known] = pc.coalesce(columns[known], column)
    return columns


def _entries(array: Any) -> tuple[Any, Any, Any] | None:
    """(row of each entry, keys, values) of a map array; None when it has no entry."""
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    sizes = np.diff(offsets)
    if array.null_count:  # what lies below a null is nobody's
        sizes[array.is_null().to_numpy(zero_copy_only=False)] = 0
    total = int(sizes.sum())
    if not total:
        return None
    rows = np.repeat(np.arange(len(array)), sizes)
    first = np.repeat(offsets[:-1] - np.r_[0, np.cumsum(sizes)[:-1]], sizes)
    places = first + np.arange(total)
    keys, values = array.keys, array.items
    if total != len(keys) or int(places[0]) != 0:
        import pyarrow as pa

        keys, values = keys.take(pa.array(places)), values.take(pa.array(places))
    return rows, keys, values


def unknown_masks(given: Any) -> dict[str, Any]:
    """Lists of key names per row as `Table.decide` takes them: name -> bool[n]."""
    if given is None:
        return {}
    import pyarrow as pa
    import pyarrow.compute as pc

    array = one_array(given)
    kind = array.type
    if pa.types.is_null(kind):
        return {}
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list and pa.types.is_null(kind.value_type):
        return {}
    if not is_list or not _is_text(kind.value_type):
        raise ColumnError(f"the column of unknown keys is of type `{kind}`", column="unknown",
                          help="give a list of keys in each row, such as `aws:ResourceTag/*`")
    rows = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
    names = array.flatten().cast(pa.large_string()).dictionary_encode()
    codes = names.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    masks: dict[str, Any] = {}
    for code, name in enumerate(names.dictionary.to_pylist()):
        mask = np.zeros(len(array), dtype=bool)
        mask[rows[codes == code]] = True
        masks[name] = mask | masks[name] if name in masks else mask
    return masks


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def named_decisions(decisions: Decisions) -> Any:
    """A dictionary array of decisions by name; codes are not copied."""
    import pyarrow as pa

    codes = decisions.decision  # the kernels write no others: nothing to look at
    kind, names = _named()
    return pa.DictionaryArray.from_buffers(
        kind, len(codes), [None, pa.py_buffer(codes)], names, null_count=0)


@cache
def _named() -> tuple[Any, Any]:
    import pyarrow as pa

    return pa.dictionary(pa.int8(), pa.string()), pa.array(NAMES, pa.string())
