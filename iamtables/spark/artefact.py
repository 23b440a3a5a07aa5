"""The compiled table as a worker finds it: shipped with the job, or on a path that all share.

This and what decides frames stand on `iamtables.runtime` alone; audits and replays also read logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..runtime import Table, open_table

MAX_OPEN = 16
"""Compiled tables that a worker process keeps open."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """Where a worker finds a compiled table.

    place : a name among the files that Spark ships, or a path that means the same everywhere
    """

    place: str
    is_shipped: bool

    def table(self) -> Table:
        """The table, verified and mapped into memory once per process."""
        if not self.is_shipped:
            return opened(self.place)
        from pyspark import SparkFiles

        return opened(SparkFiles.get(self.place))


@lru_cache(maxsize=MAX_OPEN)
def opened(path: str) -> Table:
    """A compiled table, opened once per process."""
    return open_table(path)
