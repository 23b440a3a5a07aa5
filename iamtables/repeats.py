"""Records of which one stands for all that are like it (`alike`), and counting with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .logs.numbering import spans_of


@dataclass(frozen=True, slots=True)
class Repeats:
    """The records that those of a batch stand for: all that are like it but for their principal.

    count     : int64 per record of the batch, how many these are
    kind      : int32 per principal that each of them has, the record of the batch
    principal : int32 per such pair, the code of the principal
    of_pair   : int64 per pair, how many records
    place     : int64 per pair, ascending, a number for it
    pair      : int32 per record that there is, the number of its pair
    time      : int64 per record that there is, Unix seconds, -1 for none
    """

    count: NDArray[np.int64]
    kind: NDArray[np.int32]
    principal: NDArray[np.int32]
    of_pair: NDArray[np.int64]
    place: NDArray[np.int64]
    pair: NDArray[np.int32]
    time: NDArray[np.int64]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Per record that there is, the value of its pair."""
        by_place = np.zeros(int(self.place[-1]) + 1, dtype=values.dtype)
        by_place[self.place] = values
        return by_place.take(self.pair)

    def spans(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(earliest, latest) time of the records of these pairs; the earliest is the largest number
        there is, and the latest -1, where none has a time."""
        group = np.full(int(self.place[-1]) + 1, -1, dtype=np.int32)
        group[self.place[pairs]] = np.arange(len(pairs), dtype=np.int32)
        return spans_of(group, self.pair, self.time, len(pairs))

    def pairs_of(self, records: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(the pairs of some records of the batch, ascending, the place of the record of each among
        these)"""
        if len(records) == len(self.count):
            return np.arange(len(self.kind)), self.kind
        place = np.full(len(self.count), -1, dtype=np.int32)
        place[records] = np.arange(len(records), dtype=np.int32)
        places = place.take(self.kind)
        pairs = np.flatnonzero(places >= 0)
        return pairs, places[pairs]


def counted(codes: NDArray[Any], count: NDArray[np.int64] | None,
            mask: NDArray[np.bool_] | None = None, size: int = 0) -> NDArray[np.int64]:
    """How often each code occurs, where the mask is true.

    count : how many records each row stands for; None: for itself
    """
    if mask is not None:
        codes, count = codes[mask], None if count is None else count[mask]
    if count is None:
        return np.bincount(codes, minlength=size)
    return np.bincount(codes, count, size).astype(np.int64)  # exact below 2**53


def total(mask: NDArray[np.bool_], count: NDArray[np.int64] | None) -> int:
    """How many records a mask is true for."""
    return int(np.count_nonzero(mask) if count is None else count[mask].sum())
