"""Request columns of logs as Parquet, so that the next audit does not read the logs.

A cache is a directory of *segments*. A segment holds the records of some files as row numbers
into its own tables of distinct calls and callers, with every key that records can tell and not
only those of today's policies. It is written beside its place and renamed when it is whole:
interrupting leaves what is complete, and nothing else is ever seen. A file is recognised by name,
size and time; segments of another version of the mapping are passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as resources_of
from pathlib import Path

import numpy as np

from ..errors import SourceError
from .batch import Rows
from .pending import Pending, no_rows
from .segment_writing import SESSIONS, TABLES, write_tables
from .sources import LogFile
from .tables import CallerTable, CallTable
from .texts import Texts

FORMAT = 9
_SUFFIX = ".segment"
_PART = ".part-"
_ABOUT = "about.json"
SEGMENT_RECORDS = 60_000
SEGMENT_ENRICHED_BYTES = 32 << 20
"""A segment is written from this many records on, or when their event contexts are this much."""


@cache
def mapping_version() -> str:
    """Changes whenever the code or the data that map records change."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for package, suffixes in (("iamtables.logs", (".py",)), ("iamtables.data", (".json", ".gz"))):
        for entry in sorted(resources_of(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(suffixes) and entry.is_file():
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def checksum(content: bytes) -> str:
    """Of what is no column; the name of a segment is that of what tells about it."""
    return hashlib.sha256(content).hexdigest()


@dataclass(slots=True)
class FilePart:
    """Records of one file in a segment: `start` to `start + records` of its rows."""

    name: str
    size_bytes: int
    changed_ns: int
    part: int
    is_last: bool
    start: int
    records: int
    bad: dict[str, int] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    """Rows of the part at which the reader looked whether a batch is full."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is found: where, and what of which files."""

    path: Path
    parts: tuple[FilePart, ...]
    corrects: dict[int, str]
    """Row of a corrected record -> event ID of the record that it replaces."""
    corrects_accounts: tuple[str | None, ...]
    """The receiving account of each of them."""
    is_enriched: bool
    """Has it records with an `eventContext` that tells something?"""
    checksums: dict[str, str]
    """Of the files that are not in columns, by name."""

    def place_of(self, file: LogFile) -> int:
        """Which of the parts is the first of a file."""
        return next(number for number, part in enumerate(self.parts)
                    if key_of(part) == key_of(file))


def key_of(file: LogFile | FilePart) -> tuple[str, int, int]:
    return file.name, file.size_bytes, file.changed_ns


class Cache:
    """The segments of a directory that fit the mapping of `version`."""

    def __init__(self, directory: str | Path, version: str) -> None:
        """Raises SourceError when the directory cannot be made or read."""
        self.directory = Path(directory)
        self.version = version
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            self._segments = [
                found for path in sorted(self.directory.glob(f"*{_SUFFIX}"))
                if (found := self._open(path)) is not None]
        except OSError as error:
            raise SourceError(f"cannot use the cache `{directory}`: {error.strerror}",
                              path=str(directory),
                              help="give a directory that may be written to") from error
        parts: dict[tuple[str, int, int], dict[int, Segment]] = {}
        last: dict[tuple[str, int, int], int] = {}
        for segment in self._segments:
            for part in segment.parts:
                parts.setdefault(key_of(part), {}).setdefault(part.part, segment)
                if part.is_last:
                    last[key_of(part)] = part.part
        self._whole = {
            key: [found[number] for number in range(last[key] + 1)]
            for key, found in parts.items()
            if key in last and set(range(last[key] + 1)) <= set(found)}

    def _remove_leftovers(self) -> None:
        """What interrupted runs left; those of a process that still lives are its own."""
        for path in self.directory.glob(f"{_PART}*"):
            process = path.name.removeprefix(_PART).partition("-")[0]
            if not process.isdigit() or not Path(f"/proc/{process}").exists():
                shutil.rmtree(path, ignore_errors=True)

    def _open(self, path: Path) -> Segment | None:
        try:
            text = (path / _ABOUT).read_bytes()
            about = json.loads(text)
            if path.name != f"{checksum(text)[:32]}{_SUFFIX}" or (
                    about["format"], about["version"]) != (FORMAT, self.version):
                return None
            corrects = about["corrects"]
            return Segment(path, tuple(FilePart(**part) for part in about["files"]),
                           {int(row): str(replaced) for row, replaced, _ in corrects},
                           tuple(account for _, _, account in corrects),
                           bool(about["is_enriched"]), dict(about["checksums"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def segments_of(self, file: LogFile) -> list[Segment] | None:
        """The segments that hold a file; None when it is not cached as it is now."""
        return self._whole.get(key_of(file))

    def discard(self, segment: Segment, *, is_lost: bool) -> None:
        """A damaged segment: its files are read again.

        is_lost : remove it, so that it does not stand in the way of the one that will be written
        """
        if is_lost:
            shutil.rmtree(segment.path, ignore_errors=True)
        self._whole = {key: found for key, found in self._whole.items() if segment not in found}

    def write(self, rows: Rows, parts: Sequence[FilePart], callers: CallerTable, calls: CallTable,
              sessions: str) -> None:
        """A new segment; `sessions` is JSON of (number of a part, row in it, what
        `Sessions.take_new` gave). Raises OSError; then nothing is left of it."""
        temporary = self.directory / f"{_PART}{os.getpid()}-{secrets.token_hex(8)}"
        try:
            temporary.mkdir()
            write_tables(temporary, rows, callers, calls)
            (temporary / SESSIONS).write_text(sessions, "utf-8")
            about = json.dumps({
                "format": FORMAT, "version": self.version,
                "files": [{name: getattr(part, name) for name in FilePart.__slots__}
                          for part in parts],
                "corrects": _corrections(rows, callers), "is_enriched": bool(rows.enriched),
                "checksums": {name: checksum((temporary / name).read_bytes())
                              for name in (TABLES, SESSIONS)}}).encode()
            (temporary / _ABOUT).write_bytes(about)
            target = self.directory / f"{checksum(about)[:32]}{_SUFFIX}"
            if target.exists():
                shutil.rmtree(target)
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _corrections(rows: Rows, callers: CallerTable) -> list[tuple[int, str, str | None]]:
    """(row, event ID of what it replaces, receiving account) of corrected records."""
    found = list(rows.corrects)
    accounts = callers.codes.take("account", rows.caller[np.array(found, dtype=np.int32)])
    return [(row, rows.corrects[row],
             str(callers.accounts.values[account]) if account >= 0 else None)
            for row, account in zip(found, accounts.tolist(), strict=True)]


class Writer:
    """Collects the rows of whole files and writes them, some at a time.

    An error of writing ends caching, not reading; `error` tells of it.
    """

    def __init__(self, cache_: Cache) -> None:
        self._cache = cache_
        self._rows: list[Rows] = []
        self._parts: list[FilePart] = []
        self._sessions: list[list[tuple[int, str]]] = []
        self._records = self._enriched_bytes = 0
        self.error: str | None = None

    def add(self, pending: Pending, file: LogFile, part: int, is_last: bool, bad: Counter[str]
            ) -> None:
        """Rows of one file, or of a part of it."""
        if self.error is None:
            rows = pending.rows() if len(pending) else no_rows()
            self._parts.append(FilePart(
                *key_of(file), part, is_last, self._records, len(rows.call), dict(bad),
                pending.ends))
            self._rows.append(rows)
            self._sessions.append(pending.sessions)
            self._records += len(rows.call)
            self._enriched_bytes += sum(map(len, rows.enriched.values()))

    def is_due_with(self, more: int) -> bool:
        """Do what was added and so many rows more make a segment?"""
        return self._records + more >= SEGMENT_RECORDS or (
            self._enriched_bytes >= SEGMENT_ENRICHED_BYTES)

    def drop(self, file: LogFile) -> None:
        """The file turned out not to be usable: nothing of it is kept."""
        kept = [number for number, part in enumerate(self._parts)
                if key_of(part) != key_of(file)]
        self._rows, self._parts, self._sessions = (
            [self._rows[number] for number in kept], [self._parts[number] for number in kept],
            [self._sessions[number] for number in kept])

    def flush(self, callers: CallerTable, calls: CallTable) -> None:
        """Write what there is; the rows lead into these tables."""
        rows, parts, sessions = self._rows, self._parts, self._sessions
        self._rows, self._parts, self._sessions = [], [], []
        self._records = self._enriched_bytes = 0
        if not parts or self.error is not None:
            return
        start = 0
        for part, found in zip(parts, rows, strict=True):
            part.start, start = start, start + len(found.call)
        joined = Rows(
            np.concatenate([found.call for found in rows]),
            np.concatenate([found.caller for found in rows]),
            np.concatenate([found.time for found in rows]),
            Texts.joined([found.event_id for found in rows]),
            np.zeros(start, dtype=np.int32),
            {part.start + row: replaced for part, found in zip(parts, rows, strict=True)
             for row, replaced in found.corrects.items()},
            {part.start + row: told for part, found in zip(parts, rows, strict=True)
             for row, told in found.enriched.items()})
        try:
            self._cache.write(joined, parts, callers, calls, json.dumps(
                [(number, *told) for number, of_part in enumerate(sessions) for told in of_part]))
        except OSError as error:
            self.error = f"{error.strerror or error}"
        except Exception as error:  # pyarrow's own errors of a full disk
            with suppress(ImportError):
                import pyarrow as pa

                if isinstance(error, pa.ArrowException):
                    self.error = str(error)
            if self.error is None:
                raise
