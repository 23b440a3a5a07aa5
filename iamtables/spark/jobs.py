"""What the driver does: parts to the workers, counts and rows back.

A first run reads all parts, each by itself. Where records of other parts make a difference
(`elsewhere`: records that come twice, corrections, names, tags of sessions), parts are run again
with what they have to know. Everything else of an audit adds up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..audit import Audit, Missing, keys_of
from ..audit_counts import Summary
from ..errors import SourceError
from ..extras import engine
from ..logs import LogOptions, Statistics
from ..logs.reader import no_log
from ..logs.sources import is_stored
from ..replaying import Replay, ReplayResult, keys_of_both
from ..runtime import Table, open_table
from .artefact import Artefact
from .elsewhere import FIELDS, of_parts, told_elsewhere
from .parts import PART_BYTES, Part, Source, find_source
from .reading import Settings
from .tasks import (
    DAY,
    OWN,
    AuditTask,
    MergeTask,
    PartCounts,
    ReplayTask,
    merge,
    without_cache,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MANY_PARTS = 64
"""From so many parts on, workers add up counts before the driver does."""

_PARTS_SCHEMA = "part int, files array<string>"


@dataclass(frozen=True, slots=True)
class SparkAudit:
    """A finished audit.

    summary    : what `iamtables.audit.Audit.summary` tells of the same records
    statistics : files and records of all parts; `failed` names the files that could not be read to
                 their end, `skipped` those that are no logs
    parts      : how many parts the files were cut into
    repeated   : how many of them were run again: they had records of an earlier one, or another
                 one corrects some, or tells what a name in them means or what tags a session has
    """

    table: Table
    summary: Summary
    statistics: Statistics
    parts: int
    repeated: int


@dataclass(frozen=True, slots=True)
class SparkReplay:
    """A finished replay; the fields are as in SparkAudit."""

    result: ReplayResult
    statistics: Statistics
    parts: int
    repeated: int


def audit(spark: SparkSession, artefact: str | Path, paths: Sequence[str | Path] | str | Path, *,
          output: str | None = None, principals: Sequence[str] = (),
          missing: Missing | None = None,
          assume: Mapping[str, str | list[str]] | None = None,
          options: LogOptions | None = None, partition_by: Sequence[str] | None = None,
          part_bytes: int = PART_BYTES, is_shared: bool = False) -> SparkAudit:
    """Decide every record of CloudTrail logs, or of tables of requests, on a cluster.

    artefact  : a compiled table; it is shipped with the job
    paths     : files, directories and addresses that every worker can read. A directory of Parquet
                files with a column `action` is a table of requests
    output    : where Spark writes one row per record, as Parquet; columns as `audit --output` has
                them. It must not exist
    principals, missing, assume : as in `Audit`; by default missing is unknown for logs and absent
                for tables of requests
    options   : as in `read_logs`; no cache is used. Names, tags of sessions and corrections hold in
                all of the log, as for one reader that hands it out as one batch
    partition_by : columns that become directories of the output; None: `day`, for logs
    part_bytes : of files for one task; smaller when there are few files for many cores
    is_shared : the path of `artefact` is the same on every worker; nothing is shipped

    A file that cannot be read fails nothing; it is in `statistics.failed`. Raises SourceError when
    paths do not exist or no file is a log, ArtefactError for a damaged table.
    """
    engine("pyspark", "PySpark")
    table = open_table(artefact)
    source, settings = _opened(paths, options, principals, missing, assume, output)
    task = AuditTask(shipped(spark, artefact, table, is_shared=is_shared), settings)
    parts = source.parts(part_bytes, spark.sparkContext.defaultParallelism)
    counts, repeated = _run(spark, task, parts, keys_of(table), output,
                            _partitions(partition_by, source))
    _refuse_no_log(paths, source, counts)
    whole = Audit(table)
    whole.merge(counts.audit)
    return SparkAudit(table, whole.summary(), counts.statistics, len(parts), repeated)


def replay(spark: SparkSession, before: str | Path, after: str | Path,
           paths: Sequence[str | Path] | str | Path, *, output: str | None = None,
           principals: Sequence[str] = (), missing: Missing | None = None,
           assume: Mapping[str, str | list[str]] | None = None,
           options: LogOptions | None = None, examples: int = 3,
           partition_by: Sequence[str] | None = None, part_bytes: int = PART_BYTES,
           is_shared: bool = False) -> SparkReplay:
    """Which calls change their decision when one compiled table is replaced by another.

    before, after : two compiled tables; every record is read once and decided under both
    output   : where Spark writes one row per record that flips, as Parquet
    examples : records named for each group of flips

    The rest is as in `audit`.
    """
    engine("pyspark", "PySpark")
    tables = open_table(before), open_table(after)
    source, settings = _opened(paths, options, principals, missing, assume, output)
    places = [shipped(spark, path, table, is_shared=is_shared)
              for path, table in zip((before, after), tables, strict=True)]
    task = ReplayTask(places[0], places[1], settings, examples)
    parts = source.parts(part_bytes, spark.sparkContext.defaultParallelism)
    counts, repeated = _run(spark, task, parts, keys_of_both(*tables), output,
                            _partitions(partition_by, source))
    _refuse_no_log(paths, source, counts)
    whole = Replay(*tables, examples=examples)
    whole.merge(counts.audit)
    return SparkReplay(whole.result(), counts.statistics, len(parts), repeated)


def _opened(paths: Sequence[str | Path] | str | Path, options: LogOptions | None,
            principals: Sequence[str], missing: Missing | None,
            assume: Mapping[str, str | list[str]] | None, output: str | None
            ) -> tuple[Source, Settings]:
    if output is not None and not is_stored(output) and "://" not in output \
            and Path(output).exists():
        raise SourceError(f"`{output}` exists", path=output, help="give a new directory")
    chosen = without_cache(options)
    source = find_source(_as_list(paths), chosen.endpoint)
    return source, Settings(
        source.is_log, chosen, tuple(principals),
        missing or ("unknown" if source.is_log else "absent"), dict(assume or {}),
        output is not None)


def _as_list(paths: Sequence[str | Path] | str | Path) -> list[str]:
    return [str(paths)] if isinstance(paths, str | Path) else [str(path) for path in paths]


def _partitions(chosen: Sequence[str] | None, source: Source) -> tuple[str, ...]:
    if chosen is not None:
        return tuple(chosen)
    return (DAY,) if source.is_log else ()


def _refuse_no_log(paths: Sequence[str | Path] | str | Path, source: Source, counts: PartCounts
                   ) -> None:
    counts.statistics.check()
    if source.is_log and not counts.statistics.has_log:
        raise no_log(_as_list(paths), counts.statistics)


def shipped(spark: SparkSession, path: str | Path, table: Table, *, is_shared: bool) -> Artefact:
    """The table among the files that Spark copies to every executor, under its hash."""
    if is_shared:
        return Artefact(os.path.abspath(path), is_shipped=False)
    from pyspark import SparkFiles

    name = f"{table.sha256}.iamt"
    # Executors fetch it whenever they start, so it stays where Spark keeps the files of a session.
    copy = SparkFiles.get(os.path.join("iamtables", name))
    if not os.path.exists(copy):
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(path, copy)
        spark.sparkContext.addFile(copy)
    return Artefact(name, is_shipped=True)


def _run(spark: SparkSession, task: Any, parts: Sequence[Part], keys: Sequence[str],
         output: str | None, partition_by: Sequence[str]) -> tuple[PartCounts, int]:
    """(the counts of all parts, how many were run again)."""
    from pyspark import StorageLevel
    from pyspark.sql import functions as F

    asked = [(part.number, list(part.files)) for part in parts]
    # Everything below is asked of these rows more than once, and reading logs is what takes time.
    rows = asked_first(spark, asked).mapInArrow(task, task.schema()).persist(
        StorageLevel.DISK_ONLY)
    kept = [rows]
    try:
        told = told_elsewhere(spark, rows, keys).persist(StorageLevel.DISK_ONLY)
        kept.append(told)
        later = sorted(row.part for row in told.select("part").collect())
        if later:
            chosen = spark.createDataFrame([asked[number] for number in later], _PARTS_SCHEMA)
            repeated = chosen.join(told, "part").select("part", "files", *FIELDS).repartition(
                len(later), "part").mapInArrow(task, task.schema()).persist(StorageLevel.DISK_ONLY)
            kept.append(repeated)
            # a filter, since a join would send all rows across the cluster
            rows = rows.where(~F.col("part").isin(later)).unionByName(repeated)
        counts = _counts(rows, len(parts))
        if output is not None:
            _write(rows, output, partition_by)
        return counts, len(later)
    finally:
        for frame in kept:
            frame.unpersist()


def asked_first(spark: SparkSession, asked: list[tuple[int, list[str]]]) -> DataFrame:
    """Parts (number, files) that know nothing of each other, one Spark partition each."""
    from pyspark.sql import functions as F

    spread = spark.sparkContext.parallelize(asked, len(asked))
    return spark.createDataFrame(spread, _PARTS_SCHEMA).select(
        "*", *(F.lit(None).cast(FIELDS[name]).alias(name) for name in FIELDS))


def _counts(rows: DataFrame, parts: int) -> PartCounts:
    counted = of_parts(rows, "counts")
    if parts > MANY_PARTS:
        counted = counted.repartitionByRange(isqrt(parts), "part").sortWithinPartitions(
            "part").mapInArrow(MergeTask(), "part int, counts binary")
    counts: PartCounts | None = None
    for row in sorted(counted.collect(), key=lambda row: row.part):
        counts = merge(counts, bytes(row.counts))
    assert counts is not None
    return counts


def _write(rows: DataFrame, output: str, partition_by: Sequence[str]) -> None:
    found = rows.where(" AND ".join(f"{name} IS NULL" for name in OWN[1:])).drop(*OWN)
    writer = found.write
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    writer.parquet(output)
