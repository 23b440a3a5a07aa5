"""Running an audit for a verb: its inputs, progress on a terminal, the output file, time."""

from __future__ import annotations

import glob
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ..audit import Audit, BatchResults, Missing
from ..audit_counts import Summary
from ..batches import Batch
from .exits import printable

if TYPE_CHECKING:
    from ..logs import LogOptions, LogReader
    from ..runtime import Table

_PROGRESS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Input:
    """Logs (a reader) or tables of requests (paths)."""

    names: tuple[str, ...]
    reader: LogReader | None
    tables: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    is_log: bool = True
    """Records of a log, as it was delivered or as columns: what they do not tell is unknown."""

    def batches(self) -> Iterator[Batch]:
        if self.reader is not None:
            return iter(self.reader)
        from ..request_tables import read_requests

        return read_requests(self.tables, self.keys)


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of the files and records of an input that was read to its end."""

    files_read: int = 0
    duplicates: int = 0
    bad_records: Mapping[str, int] = field(default_factory=dict)
    skipped_files: Sequence[tuple[str, str]] = ()
    failed_files: Sequence[tuple[str, str]] = ()
    files_cached: int = 0
    cache_error: str | None = None
    replaced: int = 0
    corrections_late: int = 0
    cache_damaged: int = 0

    @property
    def is_whole(self) -> bool:
        """Every file was read to its end, and every record in it."""
        return not self.failed_files and not self.bad_records


@dataclass(frozen=True, slots=True)
class Run:
    """A finished audit."""

    table: Table
    input: Input
    principals: tuple[str, ...]
    summary: Summary
    elapsed_s: float
    decide_s: float
    """Part of the time that was spent deciding; the rest is reading and writing."""
    reading: Reading


def open_input(paths: Sequence[str], keys: Sequence[str],
               options: LogOptions | None = None,
               needs: Callable[[str], bool] | None = None) -> Input:
    """Tell logs from tables of requests and open them. Raises SourceError for a path of neither."""
    from ..logs.sources import is_stored
    from ..request_tables import table_kind

    expanded: list[str] = []
    for path in paths:
        is_pattern = (not is_stored(path) and not Path(path).exists() and glob.has_magic(path))
        expanded += sorted(glob.glob(path, recursive=True)) if is_pattern else [path]
    kinds = {path: kind for path in expanded if (kind := table_kind(path)) is not None}
    tables = [path for path in expanded if path in kinds]
    if tables and len(tables) < len(expanded):
        other = next(path for path in expanded if path not in tables)
        raise click.UsageError(f"`{tables[0]}` is a table of requests and `{other}` is not; "
                               "audit them one after the other")
    if tables:
        is_log = "columns" in kinds.values()
        if is_log and set(kinds.values()) != {"columns"}:
            raise click.UsageError("requests of a log and other tables of requests do not go "
                                   "together; audit them one after the other")
        return Input(tuple(paths), None, tuple(tables), tuple(keys), is_log)
    from ..logs import read_logs

    return Input(tuple(paths), read_logs(
        list(paths), options, list(keys), needs=needs))


def run_audit(table: Table, source: Input, *, principals: Sequence[str] = (),
              assume: Mapping[str, str | list[str]] | None = None, missing: str | None = None,
              output: str | None = None, output_kind: str | None = None,
              requests: str | None = None, title: str = "auditing",
              on_results: Callable[[BatchResults], None] | None = None) -> Run:
    """Decide all batches of an input; write `output` and `requests` whole or not at all."""
    audit = Audit(table, principals=principals, assume=assume, missing=missing_of(source, missing))
    started = time.perf_counter()
    decide_s = 0.0
    with ExitStack() as stack:
        writer: Any = None
        if output is not None:
            from ..results import open_writer
            from .outputs import written_whole

            temporary = stack.enter_context(written_whole(output))
            writer = stack.enter_context(
                open_writer(temporary, output_kind or "ndjson", table.statements))
        columns: Any = None
        if requests is not None:
            from ..request_columns import Columns
            from ..results import open_table_writer
            from .outputs import written_whole

            temporary = stack.enter_context(written_whole(requests))
            columns = stack.enter_context(
                open_table_writer(temporary, "parquet", Columns(
                    source.reader.keys if source.reader is not None else ()).table))
        tick = stack.enter_context(progress(title, source))
        for batch in source.batches():
            before = time.perf_counter()
            results = audit.add(batch)
            decide_s += time.perf_counter() - before
            if writer is not None:
                writer.write(results)
            if columns is not None:
                columns.write(batch)
            if on_results is not None:
                on_results(results)
            tick(batch.records)
    elapsed = time.perf_counter() - started
    return Run(table, source, tuple(principals), audit.summary(), elapsed, decide_s,
               reading_of(source))


def missing_of(source: Input, chosen: str | None) -> Missing:
    """What a key is that is given nowhere: as chosen, else by the kind of input."""
    return cast(Missing, chosen or ("unknown" if source.is_log else "absent"))


def reading_of(source: Input) -> Reading:
    """What became of an input that was read to its end."""
    if source.reader is None:
        return Reading(len(source.tables))
    statistics = source.reader.statistics
    return Reading(statistics.files_read, statistics.duplicates,
                   dict(statistics.bad_reasons().most_common()), tuple(statistics.skipped),
                   tuple(statistics.failed), statistics.files_cached, statistics.cache_error,
                   statistics.replaced, statistics.corrections_late, statistics.cache_damaged)


def warn_of_failed(reading: Reading) -> None:
    """What was not read, and a cache that is not complete, on stderr."""
    if reading.cache_damaged:
        click.echo(f"warning: {reading.cache_damaged:,} damaged parts of the cache were not used; "
                   "their files were read again", err=True)
    if reading.cache_error is not None:
        click.echo(printable(f"warning: the cache is not complete: {reading.cache_error}"),
                   err=True)
    if reading.corrections_late:
        click.echo(f"warning: {reading.corrections_late:,} corrected records came after the "
                   "records they replace and were left out; --corrections-first finds them first",
                   err=True)
    for name, reason in reading.failed_files[:20]:
        click.echo(printable(f"warning: `{name}` was not read to its end: {reason}"), err=True)
    for reason, count in list(reading.bad_records.items())[:20]:
        click.echo(printable(f"warning: {count:,} records were not read: {reason}"), err=True)


@contextmanager
def progress(title: str, source: Input) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal: records, their rate, and the time that is left.

    What is left is told by the size of the files, where these are known.
    """
    if not sys.stderr.isatty():
        yield lambda records: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from .outputs import make_console

    reader = source.reader
    total = reader.statistics.bytes_found if reader is not None else None
    columns = (TextColumn("{task.description}"), BarColumn(),
               TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    started = time.perf_counter()
    with Progress(*columns, console=make_console(is_talk=True), transient=True,
                  refresh_per_second=1 / _PROGRESS_EVERY_S) as progress:
        task = progress.add_task(title, total=total, records=0, rate=0.0)
        seen = 0

        def tick(records: int) -> None:
            nonlocal seen
            seen += records
            done = reader.statistics.bytes_done if reader is not None else None
            rate = seen / max(time.perf_counter() - started, 1e-9)
            progress.update(task, completed=done, records=seen, rate=rate)

        yield tick
