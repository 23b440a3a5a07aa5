"""The files of an audit, cut into parts that workers read.

A part is a run of files in the order in which one reader would read them, so that the counts of
parts, added up in order, are those of one reader. Files are not cut: CloudTrail delivers files of
at most some megabytes, and inflating, which takes most of the time, cannot begin in the middle of
one. What comes as few large files should be written as more before.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from ..logs.sources import LogFile, find_files, is_stored, local_file
from ..request_tables import table_kind

PART_BYTES = 32 << 20
"""Bytes of a part as its files lie: some 280,000 records, 3 to 16 s of a core (docs/scale.md)."""


@dataclass(frozen=True, slots=True)
class Part:
    """Files for one task.

    number : the place of the part; counts are added up in this order
    """

    number: int
    files: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Source:
    """What was found below the given paths: logs, or tables of requests."""

    files: tuple[LogFile, ...]
    is_log: bool

    def parts(self, part_bytes: int, at_least: int) -> list[Part]:
        """Runs of files of about `part_bytes`, or smaller ones to have `at_least` so many."""
        total = sum(file.size_bytes for file in self.files)
        wanted = max(1, min(part_bytes, total // max(1, at_least)))
        return list(_cut(self.files, wanted))


def _cut(files: Sequence[LogFile], wanted: int) -> Iterator[Part]:
    number = size = 0
    names: list[str] = []
    for file in files:
        if names and size + file.size_bytes > wanted:
            yield Part(number, tuple(names), size)
            number, size, names = number + 1, 0, []
        names.append(file.name)
        size += file.size_bytes
    if names:
        yield Part(number, tuple(names), size)


def find_source(paths: Sequence[str | Path], endpoint: str | None = None) -> Source:
    """Tell logs from tables of requests. A directory of Parquet files with a column `action`, as
    Spark writes it, is a table.

    Raises SourceError for a path that does not exist or holds nothing, and for both kinds at once.
    """
    tables: list[LogFile] = []
    logs: list[str] = []
    for given in paths:
        for path in _expanded(str(given)):
            found = _table_files(path)
            if found:
                tables += found
            else:
                logs.append(path)
    if tables and logs:
        raise SourceError(
            f"`{tables[0].name}` is a table of requests and `{logs[0]}` is not", path=logs[0],
            help="audit them one after the other")
    if tables:
        return Source(tuple(tables), is_log=False)
    return Source(tuple(find_files(logs, endpoint)), is_log=True)


def _expanded(path: str) -> list[str]:
    if is_stored(path) or Path(path).exists() or not glob.has_magic(path):
        return [path]
    return sorted(glob.glob(path, recursive=True)) or [path]


def _table_files(path: str) -> list[LogFile]:
    """The files of a table of requests; none for anything else."""
    if is_stored(path):
        return []
    if not Path(path).is_dir():
        return [local_file(Path(path))] if table_kind(path) is not None else []
    inside = sorted(Path(path).rglob("*.parquet"))
    data = [file for file in inside if not file.name.startswith((".", "_"))]
    if not data or table_kind(data[0]) is None:
        return []
    return [local_file(file) for file in data]
