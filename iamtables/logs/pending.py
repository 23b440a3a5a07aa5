"""Records on their way into a batch: row numbers, times and event IDs, as they come."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from .batch import Rows
from .columns import Int32Array
from .texts import Texts


def no_rows() -> Rows:
    empty = np.zeros(0, dtype=np.int32)
    return Rows(empty, empty, np.zeros(0, dtype=np.int64), Texts.of([]), empty)


class Chunk:
    """Rows of records that were decoded one by one."""

    __slots__ = ("call", "caller", "corrects", "enriched", "event_id", "time")

    def __init__(self) -> None:
        self.call = array("i")
        self.caller = array("i")
        self.time = array("q")
        self.event_id: list[str] = []
        self.corrects: dict[int, str] = {}
        self.enriched: dict[int, str] = {}

    def arrays(self) -> tuple[Int32Array, Int32Array, NDArray[np.int64], Texts, dict[int, str],
                              dict[int, str]]:
        return (np.array(self.call, dtype=np.int32), np.array(self.caller, dtype=np.int32),
                np.array(self.time, dtype=np.int64), Texts.of(self.event_id), self.corrects,
                self.enriched)


class Pending:
    """Records of the next batch, or of a file that is to be cached.

    ends, sessions : as in `outgoing.Loaded`, of what was marked; sessions as text
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._call: list[Int32Array] = []
        self._caller: list[Int32Array] = []
        self._time: list[NDArray[np.int64]] = []
        self._event_id: list[Texts] = []
        self.files: list[str] = []
        self._counts: list[int] = []
        self._corrects: dict[int, str] = {}
        self._enriched: dict[int, str] = {}
        self._size = 0
        self.ends: list[int] = []
        self.sessions: list[tuple[int, str]] = []

    def mark(self, sessions: str) -> None:
        """Here it is looked whether a batch is full.

        sessions : what `Sessions.take_new` gives of the rows since the last mark
        """
        if sessions:
            self.sessions.append((max(self._size - 1, 0), sessions))
        self.ends.append(self._size)

    def __len__(self) -> int:
        return self._size

    def add(self, file: str, call: Int32Array, caller: Int32Array, time: NDArray[np.int64],
            event_id: Texts, corrects: dict[int, str] | None = None,
            enriched: dict[int, str] | None = None) -> None:
        """Rows of one file."""
        for row, replaced in (corrects or {}).items():
            self._corrects[self._size + row] = replaced
        for row, told in (enriched or {}).items():
            self._enriched[self._size + row] = told
        self._call.append(call)
        self._caller.append(caller)
        self._time.append(time)
        self._event_id.append(event_id)
        self._size += len(call)
        if self.files and self.files[-1] == file:
            self._counts[-1] += len(call)
        else:
            self.files.append(file)
            self._counts.append(len(call))

    def rows(self) -> Rows:
        return Rows(
            np.concatenate(self._call), np.concatenate(self._caller), np.concatenate(self._time),
            Texts.joined(self._event_id),
            np.repeat(np.arange(len(self.files), dtype=np.int32), self._counts),
            self._corrects,
            self._enriched,
        )
