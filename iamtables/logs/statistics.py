"""What a reader met: files, records and classes, so that nothing is lost without a trace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IamtablesError
from .classes import RecordClass, Requester
from .numbering import number_keys

if TYPE_CHECKING:
    from .batch import Batch


@dataclass(slots=True)
class Statistics:
    """Counts so far; final when the reader is exhausted.

    Invariants: records = outside + duplicates + replaced + corrections_late + the classes' sum;
    files_found = files_read + files_outside + skipped + failed, once the reader is exhausted.
    """

    files_found: int = 0
    files_read: int = 0
    """Logs read to their end."""
    bytes_found: int = 0
    """Size of the files found, as they lie."""
    bytes_done: int = 0
    """Of these: read, or passed over."""
    files_cached: int = 0
    """Of those read: taken from the cache."""
    cache_damaged: int = 0
    """Segments of the cache that were damaged: their files were read again from the log."""
    cache_error: str | None = None
    """Why nothing more was written to the cache."""
    files_outside: int = 0
    """Not opened: delivered before the time that was asked for."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(file, reason) of files that are no logs."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(file, reason) of files that could not be read to the end; what came before is counted."""
    records: int = 0
    """Records decoded, duplicates included; bad ones are not."""
    outside: int = 0
    """Records of other times, accounts or services than were asked for."""
    duplicates: int = 0
    replaced: int = 0
    """Records left out because another one, with an addendum, corrects them."""
    corrections_late: int = 0
    """Corrections left out: what they correct had been handed out before they were met."""
    ids_forgotten: int = 0
    """Event IDs dropped from the search for duplicates because of `max_remembered_ids`."""
    bad: dict[str, Counter[str]] = field(default_factory=dict)
    """file -> reason -> number of records that could not be decoded."""
    classes: Counter[RecordClass] = field(default_factory=Counter)
    reasons: Counter[tuple[RecordClass, str]] = field(default_factory=Counter)
    """(class, reason) of all records that are not `mapped`."""
    requesters: Counter[Requester] = field(default_factory=Counter)
    """Kinds of requester of the records that became requests."""
    requests: int = 0

    @property
    def files_skipped(self) -> int:
        return len(self.skipped)

    @property
    def files_failed(self) -> int:
        return len(self.failed)

    @property
    def has_log(self) -> bool:
        """Was a file a log, in part at least, or passed over as one?"""
        return bool(self.files_read or self.files_outside or self.records)

    @property
    def bad_records(self) -> int:
        return sum(sum(reasons.values()) for reasons in self.bad.values())

    def bad_reasons(self) -> Counter[str]:
        """Reason -> number of bad records, over all files."""
        total: Counter[str] = Counter()
        for reasons in self.bad.values():
            total.update(reasons)
        return total

    def count_bad(self, file: str, reasons: Counter[str]) -> None:
        if reasons:
            self.bad.setdefault(file, Counter()).update(reasons)

    def count_batch(self, batch: Batch, counts: NDArray[np.int64] | None = None) -> int:
        """Count the records of a batch; the number of their requests.

        counts : how many records each one of them stands for; None: for itself
        """
        requests = batch.requests if counts is None else int(counts[batch.group].sum())
        self.requests += requests
        for number, count in enumerate(_numbers(batch.record_class, counts)):
            if count:
                self.classes[RecordClass(number)] += count
        self._count_reasons(batch, counts)
        is_call = batch.record_class <= RecordClass.PARTIAL
        for number, count in enumerate(_numbers(
                batch.identity[is_call], None if counts is None else counts[is_call])):
            if count:
                self.requesters[Requester(number)] += count
        return requests

    def _count_reasons(self, batch: Batch, counts: NDArray[np.int64] | None) -> None:
        has_reason = batch.record_reason.codes >= 0
        pairs = (batch.record_reason.codes[has_reason].astype(np.int64) * len(RecordClass)
                 + batch.record_class[has_reason])
        which, first = number_keys(pairs)
        found = _numbers(which, None if counts is None else counts[has_reason])
        for pair, count in zip(pairs[first].tolist(), found, strict=True):
            reason = str(batch.record_reason.values[pair // len(RecordClass)])
            self.reasons[RecordClass(pair % len(RecordClass)), reason] += count

    def merge(self, other: Statistics) -> None:
        """Add the counts of a reader of other files."""
        for name in ("files_found", "files_read", "bytes_found", "bytes_done", "files_cached",
                     "cache_damaged", "files_outside", "records", "outside", "duplicates",
                     "ids_forgotten", "requests", "replaced", "corrections_late"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cache_error = self.cache_error or other.cache_error
        self.skipped += other.skipped
        self.failed += other.failed
        for file, reasons in other.bad.items():
            self.count_bad(file, reasons)
        self.classes.update(other.classes)
        self.reasons.update(other.reasons)
        self.requesters.update(other.requesters)

    def check(self) -> None:
        """Raise IamtablesError unless the counts add up."""
        left_out = self.outside + self.duplicates + self.replaced + self.corrections_late
        if self.records != left_out + sum(self.classes.values()):
            raise IamtablesError(
                f"log counts do not add up: {self.records} records, {self.outside} outside, "
                f"{self.duplicates} duplicates, {self.replaced} replaced, "
                f"{self.corrections_late} late corrections, "
                f"{sum(self.classes.values())} in classes")
        done = self.files_read + self.files_outside + self.files_skipped + self.files_failed
        if self.files_found != done:
            raise IamtablesError(
                f"log counts do not add up: {self.files_found} files, {self.files_read} read, "
                f"{self.files_skipped} skipped, {self.files_failed} failed")


def _numbers(codes: NDArray[Any], counts: NDArray[np.int64] | None) -> list[int]:
    """How often each code occurs, up to the largest."""
    found = np.bincount(codes, counts)  # exact: no log has 2**53 records
    return [int(number) for number in found.tolist()]
