"""Which event IDs were seen before, in eight bytes each.

CloudTrail delivers at least once; the same event can come in two files. IDs are hashed to 64 bits
together with the receiving account (the same call seen by two accounts is two records). The hashes
are kept as sorted runs that are merged when they reach equal size, so a look-up of a whole batch
is a few binary searches over contiguous memory. A Python set would take about eight times the
memory.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from .texts import Texts

Hashes = NDArray[np.uint64]

_PROPER_LENGTH = 32
"""Characters of a GUID without its dashes; shorter IDs prove nothing."""


@lru_cache(maxsize=1 << 16)
def account_hash(account: str | None) -> int:
    """64 bits, signed, the same in every process."""
    data = b"" if account is None else b"=" + account.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little", signed=True)


def record_hashes(event_id: Texts, accounts: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.bool_]]:
    """(what tells records apart, which of them have an event ID that proves anything).

    accounts : `account_hash` of the receiving account of each record
    """
    hashes = event_id.hashes()
    hashes ^= accounts.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return hashes, event_id.lengths() >= _PROPER_LENGTH


class SeenIds:
    """A bounded set of 64-bit hashes; the oldest run is forgotten when the bound is passed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._run_limit = max(1, limit // 4)
        self._runs: list[Hashes] = []
        self.forgotten = 0

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """bool[n]: which of these are new (the first of equal ones); they are remembered."""
        distinct, first = np.unique(hashes, return_index=True)
        is_new = np.ones(len(distinct), dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, distinct)
            place[place == len(run)] = 0
            is_new &= run[place] != distinct
        result = np.zeros(len(hashes), dtype=bool)
        result[first[is_new]] = True
        if is_new.any():
            self._remember(distinct[is_new])
        return result

    def _remember(self, run: Hashes) -> None:
        runs = self._runs
        runs.append(run)
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
            if len(runs[-2]) + len(runs[-1]) > self._run_limit:
                break
            last = runs.pop()
            runs[-1] = np.sort(np.concatenate((runs[-1], last)), kind="stable")
        while len(runs) > 1 and len(self) > self._limit:
            self.forgotten += len(runs.pop(0))
