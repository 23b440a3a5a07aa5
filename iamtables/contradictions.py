"""Contradictions counted by what they have in common, in bounded memory (`reality`).

What they have in common but for the principal is a *kind*, of which there are few; kinds and
principals are numbered, and a pair of numbers is counted. Texts are put together again at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .logs.numbering import number_keys
from .tallies import Numbers, places_in_order

NEVER = int(np.iinfo(np.int64).max)
"""Stands for the earliest of no times."""
BEYOND = (1 << 31) - 1
"""Number of all principals that are met when no more pairs are kept."""


class Kind(NamedTuple):
    """outcome, decision : codes; layer, error : None where the record names none"""

    outcome: int
    layer: str | None
    error: str | None
    decision: int
    action: str
    statement: int


class Contradictions:
    """Pairs of a kind and a principal; of those beyond a bound only the records are counted.

    What is added waits until it could be too many: looking for equal pairs costs as much for all
    batches together as for one.
    """

    def __init__(self) -> None:
        self._dropped = 0
        self._kinds: dict[Kind, int] = {}
        self._principals = Numbers()
        nothing = np.zeros(0, dtype=np.int64)
        self._keys = self._counts = self._first = self._last = nothing
        self._waiting: list[tuple[NDArray[np.int64], ...]] = []
        """Keys, counts, first and last of what was added since."""
        self._size = self._most = 0
        """Pairs there are at most, waiting ones included; how many may be kept."""

    def add(self, kinds: Sequence[Kind], kind: NDArray[np.integer[Any]],
            principals: Sequence[str], principal: NDArray[np.integer[Any]],
            counts: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64],
            most: int) -> None:
        """Count records.

        kind, principal : of each pair, its places in `kinds` and `principals`; -1 for nobody
        counts      : records of each pair
        first, last : their times; NEVER and -1 where they have none
        most        : pairs that are kept
        """
        self._most = most
        if self._size >= most:
            self._settle()
        is_full = len(self._keys) >= most
        which = _numbers(self._kinds, kinds, is_full)[kind]
        whose = self._principals.of(principals, principal, 0 if is_full else 1 << 31, BEYOND)
        key = which << 32 | whose
        key[(which < 0) | (whose == BEYOND)] = -1
        self._waiting.append((key, counts, first, last))
        self._size += len(key)

    def _settle(self) -> None:
        """Put what waits to the pairs that are kept."""
        if not self._waiting:
            return
        key, counts, first, last = (
            np.concatenate(columns) for columns in zip(*self._waiting, strict=True))
        self._waiting = []
        before = len(self._keys)
        numbers, at = number_keys(np.concatenate([self._keys, key]))
        total = min(len(at), self._most)
        keys = np.concatenate([self._keys, key])[at[:total]]
        numbers = numbers[before:]
        is_kept = (numbers < total) & (key >= 0)
        self._dropped += int(counts[~is_kept].sum())
        grown = [np.concatenate([old, np.full(total - before, empty)]) for old, empty in (
            (self._counts, 0), (self._first, NEVER), (self._last, -1))]
        for column, ufunc, values in zip(
                grown, (np.add, np.minimum, np.maximum), (counts, first, last), strict=True):
            ufunc.at(column, numbers[is_kept], values[is_kept])
        self._keys, self._size = keys, total
        self._counts, self._first, self._last = grown

    def merge(self, other: Contradictions, most: int) -> None:
        """Add what was found in later batches."""
        other._settle()
        self._dropped += other._dropped
        self.add(list(other._kinds), other._keys >> 32, other._principals.names,
                 other._keys & 0xFFFFFFFF, other._counts, other._first, other._last, most)

    @property
    def dropped(self) -> int:
        """Records of pairs that are not kept."""
        self._settle()
        return self._dropped

    @property
    def kinds(self) -> list[Kind]:
        """By number."""
        return list(self._kinds)

    def __len__(self) -> int:
        self._settle()
        return len(self._keys)

    def ranked(self, order: Sequence[Any]
               ) -> Callable[[], Iterator[tuple[int, str, int, int, int]]]:
        """Gives, when it is called, what was found until now: (number of the kind, principal,
        records, first, last), those of most records first, then by principal, then by kind; times
        are -1 for none.

        order : by number of the kind, what kinds are put in order by
        """
        self._settle()
        # columns are not written to once they are made, and names only grow
        keys, counts, earliest, last = self._keys, self._counts, self._first, self._last
        principals = self._principals.names

        def rank() -> Iterator[tuple[int, str, int, int, int]]:
            kind, principal = keys >> 32, keys & 0xFFFFFFFF
            at = np.lexsort((places_in_order(order)[kind],
                             places_in_order(principals)[principal], -counts))
            first = np.where(earliest == NEVER, -1, earliest)
            return zip(kind[at].tolist(), map(principals.__getitem__, principal[at].tolist()),
                       counts[at].tolist(), first[at].tolist(), last[at].tolist(), strict=True)

        return rank


def _numbers(known: dict[Any, int], names: Sequence[Any], is_full: bool) -> NDArray[np.int64]:
    """The number of each name; new ones get one unless it is full, then -1."""
    if not is_full:
        for name in names:
            known.setdefault(name, len(known))
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)
