"""Derived values as kernels intern them: a row for the keys that may follow from a side (CTX-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .conditions import Value
from .values import encode_list, encode_text

_MOST_ROWS = 4096
"""Rows that are remembered: most resources of an account share theirs."""


class DerivedRows:
    """Rows of encoded values: bytes, None (absent) or UNKNOWN. Safe between threads.

    names : of the keys in lower case, one per value of a row
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._places: dict[str, list[int]] = {}
        self._families: dict[str, list[int]] = {}
        self._width = 0
        for place, name in enumerate(names):
            self._places.setdefault(name, []).append(place)
            self._families.setdefault(f"{name.partition('/')[0]}/*", []).append(place)
            self._width += 1
        self._bases: dict[tuple[Value, ...], list[object]] = {}
        self._rows: dict[object, tuple[object, ...]] = {}

    def row(self, derived: Mapping[str, Value]) -> tuple[object, ...]:
        """What `estates.derived_value` says of each key."""
        known = tuple(derived.items())
        row = self._rows.get(known)
        if row is None:
            if len(self._rows) >= _MOST_ROWS:
                self._rows.clear()
            row = self._rows[known] = self._make(derived)
        return row

    def _make(self, derived: Mapping[str, Value]) -> tuple[object, ...]:
        row = self._base(tuple(map(derived.get, self._families))).copy()
        for name, value in derived.items():  # a name counts before its family
            for place in self._places.get(name, ()):
                row[place] = _encoded(value)
        return tuple(row)

    def _base(self, of_families: tuple[Value, ...]) -> list[object]:
        """A row of what families of keys say; there are few."""
        base = self._bases.get(of_families)
        if base is None:
            base = [None] * self._width
            for places, value in zip(self._families.values(), of_families, strict=True):
                for place in places:
                    base[place] = _encoded(value)
            if len(self._bases) >= _MOST_ROWS:
                self._bases.clear()
            self._bases[of_families] = base
        return base


def _encoded(value: Value) -> object:
    if isinstance(value, str):
        return encode_text(value)
    return encode_list(value) if isinstance(value, tuple) else value
