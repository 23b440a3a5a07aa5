"""Records that do not go out: not asked for, seen before, or replaced by a corrected one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .batch import Rows
from .cache import Cache
from .columns import Int32Array
from .containers import corrections_in
from .corrections import Corrections, targets_of
from .duplicates import Hashes, account_hash, hashes_of
from .options import LogOptions
from .outgoing import Portion
from .seen import SeenHashes
from .sources import LogFile, is_delivered_before
from .statistics import Statistics


class Sieve:
    """Sifts portions, in the order in which they go out; counts what stays behind.

    prefix_of : the prefix of actions of an event source
    """

    def __init__(self, options: LogOptions, statistics: Statistics,
                 prefix_of: Callable[[str], str]) -> None:
        self._options = options
        self._statistics = statistics
        self._prefix_of = prefix_of
        self._seen = SeenHashes(options.max_remembered_ids, secrets.randbits(64))
        self.corrections = Corrections()

    def pass_over(self, hashes: Hashes) -> None:
        """Take records with these hashes for duplicates."""
        self._seen.add(hashes)

    def reserve(self, records: int) -> None:
        """So many records will come, as far as is known."""
        if self._options.deduplicate:
            self._seen.reserve(records)

    def find_corrections(self, files: Sequence[LogFile], cache: Cache | None) -> None:
        """Before anything is read: which records are corrected by others, in all files."""
        for file in files:
            if is_delivered_before(file.name, self._options.since):
                continue
            segments = cache.segments_of(file) if cache is not None else None
            found = [(list(segment.corrects.values()), list(segment.corrects_accounts))
                     for segment in segments or ()]
            if segments is None:
                found.append(corrections_in(file, self._options))
            for replaced, accounts in found:
                hashes, is_proper = targets_of(replaced, np.array(
                    [account_hash(account) for account in accounts], dtype=np.int64))
                self.corrections.expect(hashes[is_proper])

    def sifted(self, portions: list[Portion]) -> list[Rows]:
        """Of each portion the rows that are asked for and new."""
        kept = [self._within(portion) for portion in portions]
        return self._without_duplicates(kept, portions) if self._options.deduplicate else kept

    def _within(self, portion: Portion) -> Rows:
        """Leave out records of other times, accounts and services than were asked for."""
        options, rows, callers, calls = (
            self._options, portion.rows, portion.callers, portion.calls)
        keep = np.ones(len(rows.call), dtype=bool)
        if options.since is not None:
            keep &= rows.time >= options.since
        if options.until is not None:
            keep &= (rows.time >= 0) & (rows.time < options.until)
        if options.accounts:
            keep &= _is_in(callers.codes.take("account", rows.caller),
                           [str(name) in options.accounts for name in callers.accounts.values])
        if options.services:
            keep &= _is_in(calls.codes.take("source", rows.call),
                           [self._prefix_of(str(name)) in options.services
                            for name in calls.sources.values])
        if keep.all():
            return rows
        self._statistics.outside += int(len(keep) - np.count_nonzero(keep))
        return rows.keep(keep)

    def _without_duplicates(self, parts: list[Rows], portions: list[Portion]) -> list[Rows]:
        """Leave out records seen before by account and event ID; only GUIDs prove anything."""
        found = [hashes_of(rows, portion.callers)
                 for rows, portion in zip(parts, portions, strict=True)]
        hashes, is_proper = found[0] if len(found) == 1 else (
            np.concatenate([hashed for hashed, _ in found]),
            np.concatenate([proper for _, proper in found]))
        if len(self.corrections) or any(rows.corrects for rows in parts):
            keep = self._not_replaced(parts, portions, hashes, is_proper)
        else:
            if is_proper.all():
                keep = self._seen.add(hashes)
            else:
                keep = np.ones(len(hashes), dtype=bool)
                keep[is_proper] = self._seen.add(hashes[is_proper])
            self._statistics.duplicates += int(len(keep) - np.count_nonzero(keep))
        self._statistics.ids_forgotten = self._seen.forgotten
        if keep.all():
            return parts
        ends = np.cumsum([len(rows.call) for rows in parts])
        return [rows.keep(of) for rows, of in zip(parts, np.split(keep, ends[:-1]), strict=True)]

    def _not_replaced(
        self, parts: list[Rows], portions: list[Portion], hashes: Hashes,
        is_proper: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Which records to keep where some correct others."""
        corrections: dict[int, int] = {}
        start = 0
        for rows, portion in zip(parts, portions, strict=True):
            at = np.array(list(rows.corrects), dtype=np.int32)
            targets, are_proper = targets_of(
                rows.corrects.values(), portion.callers.take_account_hash(rows.caller[at]))
            corrections |= {
                start + row: target for row, target, proper in zip(
                    at.tolist(), targets.tolist(), are_proper.tolist(), strict=True) if proper}
            start += len(rows.call)
        found = self.corrections.sift(hashes, is_proper, corrections, self._seen)
        statistics = self._statistics
        statistics.duplicates += found.duplicates
        statistics.replaced += found.replaced
        statistics.corrections_late += found.late
        return found.keep


def _is_in(codes: Int32Array, wanted: list[bool]) -> NDArray[np.bool_]:
    """Which rows have a wanted value; a row without a value has none."""
    table = np.array([*wanted, False], dtype=bool)
    found: NDArray[np.bool_] = table[np.where(codes < 0, len(wanted), codes)]
    return found
