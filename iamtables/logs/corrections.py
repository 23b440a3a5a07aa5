"""Corrected records: one with an `addendum` replaces the record that it names.

A correction comes later than what it corrects, often in a file of another day. Of the two only the
correction is kept, as long as the other has not been handed out; after that a second count of the
same call would be wrong, so the correction is left out and counted. When the corrections of all
files are known beforehand (`expect`) their originals are left out wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .duplicates import Hashes, record_hashes
from .seen import SeenHashes
from .texts import Texts

_MAX_TARGETS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sifted:
    """keep : bool per record; the other three are numbers of records that are not kept."""

    keep: NDArray[np.bool_]
    duplicates: int
    replaced: int
    late: int


def targets_of(replaced: Iterable[str], accounts: NDArray[np.int64]
               ) -> tuple[Hashes, NDArray[np.bool_]]:
    """`record_hashes` of the records that corrections replace, by the account of each."""
    return record_hashes(Texts.of(replaced), accounts)


class Corrections:
    """Which records are replaced; bounded."""

    def __init__(self) -> None:
        self._targets: set[int] = set()
        self._expected: set[int] = set()
        self._told: dict[tuple[int, int], None] = {}
        self._sorted = np.zeros(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._targets) + len(self._expected)

    def expect(self, targets: Hashes) -> None:
        """Somewhere in the log are corrections of the records with these hashes."""
        if len(self._expected) < _MAX_TARGETS:
            self._expected.update(targets.tolist())
            self._sort()

    def take_over(self, targets: Hashes) -> None:
        """Another reader has replaced the records with these hashes: what corrects them comes
        second."""
        self._targets.update(targets.tolist())
        self._sort()

    def told(self) -> Hashes:
        """uint64[n, 2]: every correction met, kept or not, in order: the hash of the record itself
        (where that proves nothing, the other again) and of the one that it replaces."""
        return np.array(list(self._told), dtype=np.uint64).reshape(-1, 2)

    def _sort(self) -> None:
        self._sorted = np.array(sorted(self._targets | self._expected), dtype=np.uint64)

    def sift(self, hashes: Hashes, is_proper: NDArray[np.bool_], targets: dict[int, int],
             seen: SeenHashes) -> Sifted:
        """Which records to keep.

        targets : row of a correction -> hash of the record that it replaces
        seen    : the records before; takes note of these
        """
        keep = np.ones(len(hashes), dtype=bool)
        duplicates = late = 0
        for row, target in sorted(targets.items()):
            own = int(hashes[row])
            if len(self._told) < _MAX_TARGETS:
                self._told[own if is_proper[row] else target, target] = None
            if own != target and is_proper[row] and not _is_new(own, seen):
                duplicates += 1
            elif _is_new(target, seen):
                if len(self._targets) < _MAX_TARGETS:
                    self._targets.add(target)
                continue
            elif own == target and target in self._targets:
                duplicates += 1
            else:
                late += 1
            keep[row] = False
        if targets:
            self._sort()
        is_other = is_proper.copy()
        is_other[list(targets)] = False
        is_replaced = is_other & np.isin(hashes, self._sorted)
        keep[is_replaced] = False
        rest = np.flatnonzero(is_other & ~is_replaced)
        keep[rest] = seen.add(hashes[rest])
        return Sifted(keep, duplicates + int(np.count_nonzero(~keep[rest])),
                      int(np.count_nonzero(is_replaced)), late)


def _is_new(hashed: int, seen: SeenHashes) -> bool:
    return bool(seen.add(np.array([hashed], dtype=np.uint64))[0])
