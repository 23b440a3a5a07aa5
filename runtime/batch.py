"""What one call of `decide` asks: columns by name, those of the keys in order, and what stands in
rows where a column has no say.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ColumnError
from .columns import NULL, Column, UnreadColumn, make_column, row_mask, table_columns
from .conditions import UNKNOWN
from .decisions import Request
from .keys import is_key_named

ASKING = (
    "principal", "issuer_arn", "principal_account", "principal_type", "resource_account",
    "is_management_account", "also_allowed",
)  # fmt: skip
"""Columns that say who asks and whose the resource is."""

NOT_KEYS = frozenset({*ASKING, "action", "resource"})

INSTEAD_NOTHING, INSTEAD_UNKNOWN, INSTEAD_ABSENT, INSTEAD_DERIVED = range(4)
"""What stands in a row instead of a column's value (runtime/column.pxd)."""

class Layout(NamedTuple):
    """What the columns of a batch are to a table, by their names alone.

    keys   : for each key of the table its column, or None, and the names that make it unknown
    absent : keys that no column gives, and that follow from none
    """

    keys: tuple[tuple[str | None, tuple[str, ...]], ...]
    absent: tuple[str, ...]

    @classmethod
    def of(
        cls, names: Iterable[str], unknown: Sequence[str], keys: Sequence[str],
        derivable: Container[int],
    ) -> Layout:
        """Raises ColumnError for a key that two columns give."""
        lowered: dict[str, str] = {}
        twice: dict[str, list[str]] = {}
        for name in names:
            if name not in NOT_KEYS:
                first = lowered.setdefault(name.lower(), name)
                if first is not name:
                    twice.setdefault(first, [first]).append(name)
        for first, spellings in twice.items():
            given = ", ".join(f"`{name}`" for name in spellings)
            raise ColumnError(
                f"key `{first}` is given twice: {given}",
                column=first,
                help="keys compare without case (COND-4); give one column",
            )
        found = [lowered.get(key.lower()) for key in keys]
        return cls(
            tuple((column, tuple(one for one in unknown if is_key_named(key, (one,))))
                  for column, key in zip(found, keys, strict=True)),
            tuple(key for number, key in enumerate(keys)
                  if found[number] is None and number not in derivable))


class Outputs(NamedTuple):
    """Arrays that a batch fills: uint8[n], int32[n], uint8[n], and uint8[n] or None."""

    decision: NDArray[np.uint8]
    statement: NDArray[np.int32]
    error: NDArray[np.uint8]
    layer: NDArray[np.uint8] | None


class Batch(NamedTuple):
    """Columns of n rows, and the arrays that their answers go to.

    columns : by name
    keys    : of each key of the table, in order; None where nobody gives one
    masks   : of each key uint8[n] of INSTEAD_*, or None where its column speaks for every row
    """

    columns: dict[str, Column]
    keys: list[Column | None]
    masks: list[NDArray[np.uint8] | None]
    n: int
    outputs: Outputs


class RowReader:
    """The request of one row again, for explanations."""

    def __init__(self, batch: Batch, names: Sequence[str], derivable: Container[int]) -> None:
        """names : of the keys of the table"""
        self._columns = batch.columns
        self._keys = batch.keys
        self._masks = batch.masks
        self._names = names
        self._derivable = derivable

    def request(self, row: int) -> Request:
        def value_of(name: str) -> object:
            column = self._columns.get(name)
            return None if column is None or isinstance(column, UnreadColumn) else column.value(row)

        def text(name: str) -> str | None:
            value = value_of(name)
            if value is UNKNOWN and name == "resource_account":
                return ""  # not known, and not assumed either
            return value if isinstance(value, str) else None

        def is_set(name: str) -> bool:
            return value_of(name) is True

        context: dict[str, object] = {}
        unknown = []
        for number, name in enumerate(self._names):
            column, mask = self._keys[number], self._masks[number]
            value = None if column is None else column.value(row)
            instead = INSTEAD_NOTHING if mask is None else mask[row]
            if instead not in (INSTEAD_NOTHING, INSTEAD_UNKNOWN):
                continue
            if value is UNKNOWN or instead == INSTEAD_UNKNOWN:
                unknown.append(name)
            elif value is not None or (column is not None and number in self._derivable):
                context[name] = value  # a null is given: nothing is derived in its place
        return Request(
            text("principal"), text("action") or "", text("resource"), context, tuple(unknown),
            text("issuer_arn"), text("principal_account"), text("principal_type"),
            text("resource_account"), is_set("is_management_account"), is_set("also_allowed"),
        )  # fmt: skip


def mask_of(
    rows: Mapping[str, object], names: Iterable[str], n: int, parameter: str = "unknown"
) -> NDArray[np.uint8] | None:
    """uint8[n]: the rows that one of these names; None when there are none."""
    given = [m for name in names if (m := row_mask(rows[name], n, name, parameter)) is not None]
    if not given:
        return None
    return np.bitwise_or.reduce(given) if len(given) > 1 else given[0]


def collect(
    requests: object,
    named: Mapping[str, object],
    context: Mapping[str, object] | None,
    asked: frozenset[str],
) -> dict[str, Column]:
    """Columns by name. What `asked` (lower case) does not name is not read, only counted."""
    pairs = [] if requests is None else table_columns(requests)
    pairs += [(name, value) for name, value in named.items() if value is not None]
    if context is not None and not isinstance(context, Mapping):
        raise ColumnError("`context` is no mapping of keys to columns",
                          help="give a dict: key -> column")  # fmt: skip
    pairs += (context or {}).items()
    given: dict[str, object] = {}
    for name, value in pairs:
        if name in given:
            raise ColumnError(f"column `{name}` is given twice", column=name)
        given[name] = value
    if "action" not in given:
        raise ColumnError("there is no column `action`", column="action",
                          help="give `action`, and `resource` unless it is unknown")  # fmt: skip
    columns = {
        name: make_column(value, name)
        if name in ("action", "resource") or name.lower() in asked
        else UnreadColumn(value)
        for name, value in given.items()
    }
    for name in ("principal", "resource"):
        columns.setdefault(name, NULL)
    return columns


def of_keys(
    rows: Mapping[str, object] | None, parameter: str, asked: frozenset[str]
) -> Mapping[str, object]:
    if rows is not None and not isinstance(rows, Mapping):
        raise ColumnError(f"`{parameter}` is no mapping of keys to True or bool[n]",
                          help="give a dict: key -> True")  # fmt: skip
    for name in rows or {}:
        if name in NOT_KEYS and name not in asked:
            raise ColumnError(
                f"`{parameter}` names `{name}`, which is no context key", column=name,
                help="a null in the column `resource` is an unknown resource",
            )  # fmt: skip
    return rows or {}


def output_of(out: NDArray[np.uint8] | None, n: int) -> NDArray[np.uint8]:
    if out is None:
        return np.zeros(n, dtype=np.uint8)
    fits = isinstance(out, np.ndarray) and out.dtype == np.uint8 and out.shape == (n,)
    if not fits or not out.flags.c_contiguous:
        raise ColumnError(f"`out` is not a contiguous uint8[{n}]", column="out")
    if not out.flags.writeable:
        raise ColumnError("`out` is read-only", column="out")
    return out
