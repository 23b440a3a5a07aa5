"""What a worker does: a part in, rows and at its end one row with the counts of the part out.

A task is pickled to the workers by reference to its class, so these import this module and what
it imports: the runtime, the log reader and the counting, and neither a grammar nor a compiler. A
task that is run again, because its worker died, gives the same rows.

Rows have the columns of `results.results_table` (or `replay_rows.flips_table`) as plain text, and

    part     the part they come from
    hash     of a record of a log, what tells it from others (`logs.duplicates`): the driver looks
             for records that two parts have
    facts    in one row of a part, if any: what it tells of corrections and of sessions
             (`reading.Facts`)
    counts   in the last row of a part: what it adds up to
    question, answer, is_asked : a name of an IAM thing (`logs.names`), or the tag of a session
             (`reading.tag_question`), with the ARN or value that the part has learnt for it (null:
             several), or that it was answered with (null: none was known)

What records of other parts tell of names, tags and corrections, and which records they have before,
comes with the parts when they are run again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..audit import Audit, keys_of, needs_request
from ..logs import LogOptions, Statistics
from ..logs.duplicates import account_hash, record_hashes
from ..replay_rows import flips_table
from ..replaying import Replay, either_needs_request, keys_of_both
from ..results import results_table
from .artefact import Artefact
from .reading import Elsewhere, Reading, Settings

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = ("event_id", "time", "account", "region", "event_source", "event_name")
_TABLE = ("source", "row")
_REQUEST = ("principal", "action", "resource")
_RESULT = ("decision", "layer", "statement", "depends_on")
_OF_LOG = ("requester", "class", "class_reason", "recorded_outcome", "error_code")
_SIDES = tuple(f"{side}{part}" for side in ("before", "after")
               for part in ("", "_layer", "_statement", "_place",
                            "_gate_layer", "_gate", "_gate_place"))
OWN = ("part", "hash", "facts", "counts", "question", "answer", "is_asked")
"""Columns of tasks that are no columns of results."""
DAY = "day"
"""Column of the day (UTC) of a record of a log, for partitions of the output."""


@dataclass(slots=True)
class PartCounts:
    """What one part, or several in order, came to. `audit` is audit.Counts or ReplayCounts."""

    statistics: Statistics
    audit: Any


class _Task:
    """Runs parts. `mapInArrow` calls it with batches of part, files, and the fields of
    `Elsewhere`."""

    columns: tuple[str, ...] = ()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, files, *hashes, answers in zip(
                    *(column.to_pylist() for column in batch.columns), strict=True):
                seen, corrected, before = (
                    np.array(one or (), dtype=np.int64).view(np.uint64) for one in hashes)
                yield from self._run(number, files, Elsewhere(
                    seen, corrected, before, dict(answers or ())))

    def schema(self) -> str:
        """The columns handed out, as Spark writes a schema."""
        kinds = {"time": "timestamp", "row": "bigint"}
        return "part int, hash bigint, facts binary, counts binary, question string, " \
            "answer string, is_asked boolean" + "".join(
            f", `{name}` {kinds.get(name, 'string')}" for name in self.columns)

    def _run(self, number: int, files: Sequence[str], elsewhere: Elsewhere
             ) -> Iterator[pa.RecordBatch]:
        """What one part gives; an audit and a replay each say how."""
        raise NotImplementedError

    def _rows(self, number: int, batch: Any, tabulate: Callable[[], pa.RecordBatch]
              ) -> Iterator[pa.RecordBatch]:
        """Rows for Spark: a hash for each record of a log, and the rows of results if wanted.

        Rows of results need not be one per record, so they go apart from the hashes.
        """
        import pyarrow as pa

        if self._settings.is_log and self._settings.options.deduplicate:
            codes, values = batch.account.codes, batch.account.values
            accounts = np.array([*(account_hash(str(value)) for value in values),
                                 account_hash(None)], dtype=np.int64)
            hashes, is_proper = record_hashes(
                batch.event_id, accounts[np.where(codes < 0, len(values), codes)])
            yield self._filled(number, hash=pa.array(hashes[is_proper].view(np.int64)))
        if not self._settings.has_rows:
            return
        table = tabulate()
        if table.num_rows:
            columns = {name: _plain(table.column(name)) for name in table.schema.names}
            if DAY in self.columns:
                columns[DAY] = _day(columns["time"])
            yield self._filled(number, **columns)

    def _counted(self, number: int, reading: Reading, counts: Any) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        rows = [row for told in (reading.names, reading.sessions) if told is not None
                for row in told.rows()]
        if rows:
            questions, answers, is_asked = zip(*rows, strict=True)
            yield self._filled(
                number, question=pa.array(questions, pa.string()),
                answer=pa.array(answers, pa.string()), is_asked=pa.array(is_asked, pa.bool_()))
        if reading.facts:
            yield self._filled(number, facts=pa.array([pickle.dumps(reading.facts)], pa.binary()))
        data = pickle.dumps(PartCounts(reading.statistics, counts))
        yield self._filled(number, counts=pa.array([data], pa.binary()))

    def _filled(self, number: int, **given: Any) -> pa.RecordBatch:
        """A batch with the given columns, and nulls in the others."""
        import pyarrow as pa

        kinds = {"hash": pa.int64(), "facts": pa.binary(), "counts": pa.binary(),
                 "is_asked": pa.bool_(),
                 "row": pa.int64(),
                 "time": pa.timestamp("us", tz="UTC")}
        rows = len(next(iter(given.values())))
        columns = {"part": pa.array(np.full(rows, number, dtype=np.int32))}
        for name in (*OWN[1:], *self.columns):
            column = given.get(name)
            columns[name] = column if column is not None else pa.nulls(
                rows, kinds.get(name, pa.string()))
        return pa.RecordBatch.from_pydict(columns)


class AuditTask(_Task):
    """An audit of parts under one table."""

    def __init__(self, artefact: Artefact, settings: Settings) -> None:
        super().__init__(settings)
        self._artefact = artefact
        if settings.has_rows:
            self.columns = (
                (*_LOG, *_REQUEST, *_RESULT, *_OF_LOG, DAY) if settings.is_log
                else (*_TABLE, *_REQUEST, *_RESULT))

    def _run(self, number: int, files: Sequence[str], elsewhere: Elsewhere
             ) -> Iterator[pa.RecordBatch]:
        settings = self._settings
        table = self._artefact.table()
        audit = Audit(table, principals=settings.principals, missing=settings.missing,
                      assume=settings.assume)
        reading = Reading(settings, files, elsewhere)
        # rows that are written show the resource also where no policy asks for it
        needs = None if settings.has_rows else needs_request(table)
        for batch in reading.batches(keys_of(table), needs):
            results = audit.add(batch)
            yield from self._rows(
                number, batch, partial(results_table, results, table.statements))
        yield from self._counted(number, reading, audit.counts)


class ReplayTask(_Task):
    """A replay of parts under two tables: each record is read once and decided twice."""

    def __init__(self, before: Artefact, after: Artefact, settings: Settings, examples: int
                 ) -> None:
        super().__init__(settings)
        self._artefacts = before, after
        self._examples = examples
        if settings.has_rows:
            first = _LOG if settings.is_log else _TABLE
            self.columns = (*first, *_REQUEST, "change", *_SIDES, "depends_on",
                            *((DAY,) if settings.is_log else ()))

    def _run(self, number: int, files: Sequence[str], elsewhere: Elsewhere
             ) -> Iterator[pa.RecordBatch]:
        settings = self._settings
        before, after = (artefact.table() for artefact in self._artefacts)
        replay = Replay(before, after, principals=settings.principals, missing=settings.missing,
                        assume=settings.assume, examples=self._examples)
        reading = Reading(settings, files, elsewhere)
        for batch in reading.batches(keys_of_both(before, after),
                                     either_needs_request(before, after)):
            flips = replay.add(batch)
            yield from self._rows(number, batch, partial(flips_table, flips, before, after))
        yield from self._counted(number, reading, replay.counts)


class MergeTask:
    """Adds up the counts of parts, in order, before they come to the driver."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        first: int | None = None
        merged: PartCounts | None = None
        for batch in batches:
            for number, data in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(),
                                    strict=True):
                first = number if first is None else first
                merged = merge(merged, data)
        if first is not None:
            yield pa.RecordBatch.from_pydict({
                "part": pa.array([first], pa.int32()),
                "counts": pa.array([pickle.dumps(merged)], pa.binary())})


def merge(counts: PartCounts | None, data: bytes) -> PartCounts:
    """Counts with those of a later part, which a worker of this job has pickled."""
    later: PartCounts = pickle.loads(data)
    if counts is None:
        return later
    counts.statistics.merge(later.statistics)
    counts.audit.merge(later.audit)
    return counts


def without_cache(options: LogOptions | None) -> LogOptions:
    """Options of workers, which keep nothing."""
    return replace(options or LogOptions(), cache=None)


def _plain(column: Any) -> Any:
    """A column in a type that Spark takes: text for dictionaries, microseconds for times."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC"))
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _day(times: Any) -> Any:
    import pyarrow.compute as pc

    return pc.strftime(times, format="%Y-%m-%d")
