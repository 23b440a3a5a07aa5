"""What tells records apart: a hash of event ID and receiving account.

CloudTrail delivers at least once; the same event can come in two files. IDs are hashed to 64 bits
together with the receiving account (the same call seen by two accounts is two records). Which
hashes were seen before, `seen` knows.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .texts import StoredTexts, Texts

if TYPE_CHECKING:
    from .batch import Rows
    from .tables import CallerTable

Hashes = NDArray[np.uint64]

PROPER_LENGTH = 32
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
    return hashes, event_id.are_at_least(PROPER_LENGTH)


def hashes_of(rows: Rows, callers: CallerTable) -> tuple[Hashes, NDArray[np.bool_]]:
    """`record_hashes` of rows that lead into these callers, not to be written to: as the cache
    has them, where they are of one."""
    ids = rows.event_id
    if isinstance(ids, StoredTexts):
        return ids.record_hashes, ids.are_at_least(PROPER_LENGTH)
    return record_hashes(ids, callers.take_account_hash(rows.caller))
