"""How a worker reads the files of one part: as one reader would who has the whole log.

What records tell of each other leaves a part in two ways: as facts that the driver puts together,
and as the answers that this part gave by what it knew. Where the whole log answers otherwise, the
part is run again with `Elsewhere`, which goes before what the part learns by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..audit import Missing
from ..errors import SourceError
from ..logs import LogOptions, Statistics, read_logs
from ..logs.duplicates import Hashes
from ..logs.names import Names
from ..logs.sessions import Sessions
from ..logs.sources import find_files
from ..request_tables import read_requests

_NO_SESSIONS = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """How records are read and decided; as in `Audit` and `read_logs`."""

    is_log: bool
    options: LogOptions
    principals: tuple[str, ...] = ()
    missing: Missing = "unknown"
    assume: Mapping[str, str | list[str]] = field(default_factory=dict)
    has_rows: bool = True
    """Hand out rows, and not only counts."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other parts tell of the records of one.

    seen      : hashes of records that an earlier part has
    corrected : of those that a correction of any part replaces
    before    : of those whose correction is in an earlier part
    answers   : to questions, where all parts together tell something else than the part knows by
                itself
    """

    seen: Hashes
    corrected: Hashes
    before: Hashes
    answers: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a part tells that the driver puts together.

    corrections : uint64[n, 2] (`LogReader.corrections`)
    sessions    : JSON of what calls told that began some (`Sessions.take_new`)
    """

    corrections: Hashes
    sessions: str

    def __bool__(self) -> bool:
        return bool(len(self.corrections)) or self.sessions != _NO_SESSIONS


class PartNames(Names):
    """Names in one part. What all parts tell goes before what the part has learnt."""

    def __init__(self, told: Mapping[str, str | None]) -> None:
        super().__init__()
        self._told = told
        self._answers: set[tuple[str, str | None]] = set()

    def arns(self, patterns: Iterable[str]) -> list[str | None]:
        return list(map(self.arn, patterns))

    def arn(self, pattern: str) -> str | None:
        found = self._told[pattern] if pattern in self._told else super().arn(pattern)
        self._answers.add((pattern, found))
        return found

    def rows(self) -> list[tuple[str, str | None, bool]]:
        """(pattern, ARN, was it asked for): what was learnt, and what was answered."""
        return [*((pattern, arn, False) for pattern, arn in self._known.items()),
                *((pattern, arn, True) for pattern, arn in self._answers)]


def tag_question(access_key: str, name: str) -> str:
    """Asks for the tag of a session; never the same as a pattern of ARNs."""
    return json.dumps((access_key, name))


class PartSessions(Sessions):
    """Sessions in one part. What all parts tell goes before what the part has learnt."""

    def __init__(self, told: Mapping[str, str | None]) -> None:
        super().__init__(keeps=True)
        self._told = told
        self._answers: set[tuple[str, str | None]] = set()

    def tag(self, access_key: str, name: str) -> str | None:
        question = tag_question(access_key, name)
        found = (self._told[question] if question in self._told
                 else super().tag(access_key, name))
        self._answers.add((question, found))
        return found

    def rows(self) -> list[tuple[str, str | None, bool]]:
        """(question, value, True): what was answered. What was learnt is no answer yet: tags go on
        from one session to the next."""
        return [(question, value, True) for question, value in self._answers]


class Reading:
    """Batches of a part's files; `statistics` counts along and misses no file.

    names, sessions : what the records tell of IAM names, and of tags; None where nothing is to be
                      learnt
    facts           : what the driver has to know, once all batches were read
    """

    def __init__(self, settings: Settings, files: Sequence[str], elsewhere: Elsewhere) -> None:
        self._settings = settings
        self._files = files
        self._elsewhere = elsewhere
        learns = settings.is_log and settings.options.learn_names
        self.names = PartNames(elsewhere.answers) if learns else None
        self.sessions = PartSessions(elsewhere.answers) if learns else None
        self.statistics = Statistics()
        self.facts = Facts(np.zeros((0, 2), dtype=np.uint64), _NO_SESSIONS)

    def batches(self, keys: Sequence[str], needs: Any) -> Iterator[Any]:
        if not self._settings.is_log:
            yield from self._tables(keys)
            return
        missing = Statistics()
        there: list[str] = []
        for name in self._files:
            try:
                # each by itself: one that went away must not take the others with it
                find_files([name], self._settings.options.endpoint)
                there.append(name)
            except SourceError as error:
                missing.files_found += 1
                missing.failed.append((name, error.message))
        if there:
            reader = read_logs(there, self._settings.options, keys, needs=needs, names=self.names,
                               sessions=self.sessions)
            self.statistics = reader.statistics
            reader.pass_over(self._elsewhere.seen)
            reader.expect_corrections(self._elsewhere.corrected, self._elsewhere.before)
            try:
                yield from reader
            except SourceError:
                # no file of this part is a log; the driver looks at all parts
                if reader.statistics.has_log:
                    raise
            self.facts = Facts(reader.corrections(), _NO_SESSIONS if self.sessions is None
                               else self.sessions.take_new())
        self.statistics.merge(missing)

    def _tables(self, keys: Sequence[str]) -> Iterator[Any]:
        for name in self._files:
            self.statistics.files_found += 1
            try:
                yield from read_requests([name], keys)
                self.statistics.files_read += 1
            except SourceError as error:
                self.statistics.failed.append((name, error.message))
