"""Coded columns: an int32 code per row and the list of distinct values the codes point into.

`Coded` has the shape of the public `DictionaryColumn`, so `table.decide` takes it as it is, once
rows that are not given are told apart. Three codes stand for something that is not a value:

    ABSENT    = -1   the key is certainly not in the request (for a resource: not known, a null)
    UNKNOWN   = -2   the key may have any value, or none
    NOT_GIVEN = -3   no record tells of the key, as if it had no column (`not_given` of `decide`)

Two codes may lead to equal values. A `Dictionary` belongs to a reader and only grows, so a session
that decides batch after batch meets only values it has not seen before. When a reader's
dictionaries pass their bound it starts new ones: the lists of batches already handed out stay as
they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .numbering import append_digit, extent
from .texts import GrowingTexts, Texts

ABSENT = -1
UNKNOWN = -2
NOT_GIVEN = -3

Int32Array = NDArray[np.int32]
_CODES = frozenset(map(np.dtype, (np.uint8, np.int32, np.int64)))
"""What is packed as it is."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One column.

    codes  : int32[n]
    values : the dictionary; `str`, or `list[str]` in a multivalued column; never None

    Invariant: every code is ABSENT, UNKNOWN, NOT_GIVEN or a valid index of `values`.
    """

    codes: Int32Array
    values: Sequence[str | list[str]]

    def __len__(self) -> int:
        return len(self.codes)

    def value(self, row: int) -> str | list[str] | None:
        """The value of a row; None when it has none."""
        code = int(self.codes[row])
        return self.values[code] if code >= 0 else None

    def to_list(self) -> list[str | list[str] | None]:
        values = self.values
        return [values[code] if code >= 0 else None for code in self.codes.tolist()]

    def counts(self) -> dict[str, int]:
        """How often each single value occurs, most frequent first."""
        present = self.codes[self.codes >= 0]
        numbers = np.bincount(present, minlength=len(self.values))
        order = np.argsort(-numbers, kind="stable")
        return {str(self.values[i]): int(numbers[i]) for i in order.tolist() if numbers[i]}

    def check(self) -> None:
        """Assert the invariant."""
        assert self.codes.dtype == np.int32
        if len(self.codes):
            assert int(self.codes.min()) >= NOT_GIVEN
            assert int(self.codes.max()) < len(self.values)


def _as_list(values: GrowingTexts) -> list[str | list[str]]:
    return cast("list[str | list[str]]", values)


class DistinctValues:
    """Values in order of first appearance; `code` gives each its index."""

    __slots__ = ("_index", "_indexed", "resolved", "values")

    def __init__(self, values: GrowingTexts | None = None) -> None:
        """values : where to keep them, instead of in a list; empty"""
        self.values = _as_list(values) if values is not None else []
        self._index: dict[Hashable, int] = {}
        self._indexed = 0
        """How many of the values `_index` knows; not those that were taken over at once."""
        self.resolved: object = None
        """What was found out about the values, by whoever looks them up (`batch`)."""

    def code(self, value: str | list[str]) -> int:
        key: Hashable = value if value.__class__ is str else tuple(value)
        code = self._index.get(key)
        if code is None:
            if self._indexed < len(self.values):
                self._catch_up()
                return self.code(value)
            code = self._index[key] = len(self.values)
            self.values.append(value)
            self._indexed += 1
        return code

    def codes(self, values: Sequence[str]) -> Int32Array:
        """`code` of each."""
        found = list(map(self._index.get, values))
        if None in found:
            found = list(map(self.code, values))
        return np.array(found, dtype=np.int32)

    def any_code(self, value: str) -> int:
        """A code of `value`."""
        return self.code(value)

    def _catch_up(self) -> None:
        for code in range(self._indexed, len(self.values)):
            value = self.values[code]
            self._index.setdefault(tuple(value) if isinstance(value, list) else value, code)
        self._indexed = len(self.values)

    def optional(self, value: str | None) -> int:
        """Code of `value`; ABSENT for None."""
        if value is None:
            return ABSENT
        code = self._index.get(value)
        return self.code(value) if code is None else code

    def __len__(self) -> int:
        return len(self.values)


class Dictionary(DistinctValues):
    """Values that may also be taken over many at a time, without a look at those that are there:
    then two codes may lead to equal values."""

    __slots__ = ()

    def any_code(self, value: str) -> int:
        """A code of `value`, without looking among values that were taken over at once."""
        code = self._index.get(value)
        if code is None:
            code = self._index[value] = len(self.values)
            if self._indexed == code:
                self._indexed += 1
            self.values.append(value)
        return code

    def extend(self, values: Texts) -> int:
        """Append values without looking whether they are there; the code of the first."""
        first = len(self.values)
        if self._indexed == first:
            self._indexed += len(values)  # no use in finding them
        self.values.extend(values)
        return first

    def fill(self, values: Sequence[str | list[str]] | GrowingTexts) -> None:
        """Take over the distinct values of an empty dictionary."""
        assert not self.values
        self.values = _as_list(values) if isinstance(values, GrowingTexts) else list(values)


def packed(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """One number per row, equal exactly where all columns are equal. Columns hold integers."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    if not len(key):
        return key
    size = 1
    for column in columns:
        codes = np.ascontiguousarray(
            column if column.dtype in _CODES else column.astype(np.int64))
        least, most = extent(codes)
        if most - least >= 1 << 61:
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64).ravel()
            least, most = extent(codes)
        span = most - least + 1
        if span == 1:
            continue  # tells nothing apart
        if size * span >= 1 << 62:  # would not fit: number the distinct keys so far
            key = np.unique(key, return_inverse=True)[1].astype(np.int64).ravel()
            size = int(key.max()) + 1
        append_digit(key, codes, least, span)
        size *= span
    return key
