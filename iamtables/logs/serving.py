"""Files that a cache holds, handed out in place of reading them.

Neighbouring files of a segment are taken at once. Whatever is wrong with a segment, its files are
read again from the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence

from .asked_keys import AskedKeys
from .batch import Batch, Rows
from .cache import Cache, Segment
from .log_wide import LogWide
from .names import Names
from .options import LogOptions
from .outgoing import Outgoing, Portion, uncollected
from .segment_reading import Damaged, load
from .sessions import Sessions
from .sources import LogFile, is_delivered_before
from .statistics import Statistics
from .stored import Stored, StoredBatch, StoredTables


class CachedFiles:
    """What a cache holds of the files of a reader."""

    def __init__(self, cache: Cache, keys: AskedKeys, files: Sequence[LogFile],
                 options: LogOptions, outgoing: Outgoing, statistics: Statistics) -> None:
        """keys : those that are asked for (`AskedKeys.of_cache`)"""
        self._cache, self._keys, self._files = cache, keys, files
        self._options, self._outgoing, self._statistics = options, outgoing, statistics
        self._log_wide = LogWide()

    def holds(self, file: LogFile) -> bool:
        """Is this file cached as it is now?"""
        return self._cache.segments_of(file) is not None

    def records(self) -> int:
        """How many records of the files it holds, at most."""
        segments = {segment.path: segment for file in self._files
                    for segment in self._cache.segments_of(file) or ()}
        return sum(part.records for segment in segments.values() for part in segment.parts)

    def batches(self, at: int, hand_out: Callable[[Iterator[list[Portion]]], Iterator[Batch]]
                ) -> Generator[Batch, None, int]:
        """The batches of the files from number `at` on, as far as they are cached; the number of
        the first that is not."""
        for segment, numbers in self._steps(at):
            files = [self._files[number] for number in numbers]
            try:
                self._log_wide.renew()
                with uncollected():
                    loaded = load(segment, files, self._keys, self._log_wide)
            except Damaged as damage:
                self._statistics.cache_damaged += 1
                self._cache.discard(segment, is_lost=damage.is_lasting)
                at = numbers[0]
                break
            names = {file.name for file in files}
            for part in segment.parts:
                if part.bad and part.name in names:
                    self._statistics.count_bad(part.name, Counter(part.bad))
            self._statistics.records += len(loaded.portion)
            yield from hand_out(self._outgoing.put_loaded(loaded))
            for file in files:
                if (self._cache.segments_of(file) or [])[-1:] == [segment]:
                    self._statistics.files_read += 1
                    self._statistics.files_cached += 1
                    self._statistics.bytes_done += file.size_bytes
            at = numbers[-1] + 1
        yield from hand_out(self._outgoing.release())
        return at

    def _steps(self, at: int) -> list[tuple[Segment, list[int]]]:
        """Segments with the files to take from each, in the order of the files from number `at`
        on, up to the first that is not cached."""
        steps: list[tuple[Segment, list[int]]] = []
        place = -1
        for number in range(at, len(self._files)):
            file = self._files[number]
            segments = self._cache.segments_of(file)
            if segments is None or is_delivered_before(file.name, self._options.since):
                break
            for segment in segments:
                following = segment.place_of(file)
                if steps and steps[-1][0] is segment and following > place:
                    steps[-1][1].append(number)
                else:
                    steps.append((segment, [number]))
                place = following
        return steps


def stored_batch(rows: Rows, portion: Portion, tables: StoredTables, names: Names,
                 sessions: Sessions, statistics: Statistics) -> StoredBatch:
    """A batch of rows of a portion of a cache, counted."""
    stored = Stored(rows, portion.files, tables, tables.looked_up(names), portion.plans, names,
                    sessions)
    kinds, counts = stored.combinations()
    return StoredBatch(stored, statistics.count_batch(kinds, counts))
