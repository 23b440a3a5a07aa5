"""Audits and replays on a Spark cluster of several processes are those of one reader, to the row.

`local-cluster` starts a master, two workers and their executors as processes of their own.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from log_records import NAMES_POLICY, record, write_names
from spark_logs import TAGS_POLICY, save_tables, write_far_apart

import iamtables
from iamtables.audit import Audit, keys_of, needs_request
from iamtables.demo.sample import write_sample
from iamtables.errors import SourceError
from iamtables.logs import LogOptions, Statistics, read_logs
from iamtables.replay_rows import flips_table
from iamtables.replaying import Replay, either_needs_request, keys_of_both
from iamtables.results import results_table

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None,
                       reason="PySpark is not installed (pip install 'iamtables[spark]')"),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on the PATH"),
]

HERE = Path(__file__).parent
QUICK_JVM = ("-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto "
             "-XX:MetaspaceSize=256m "
             "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote")
PART_BYTES = 60_000
PARSERS = {"lark", "click", "rich", "iamtables.grammar", "iamtables.compiler"}
"""What no worker needs."""
LOCAL = LogOptions()


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    saved = {name: os.environ.get(name) for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP")}
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("iamtables tests")
    for name, value in {
        "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "512m", "spark.executor.memory": "768m",
        "spark.sql.shuffle.partitions": "2", "spark.default.parallelism": "2",
        "spark.locality.wait": "0s", "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": QUICK_JVM, "spark.executor.extraJavaOptions": QUICK_JVM,
        "spark.sql.session.timeZone": "UTC", "spark.executorEnv.PYTHONPATH": str(HERE),
        "spark.log.level": "ERROR", "spark.shuffle.compress": "false",
        "spark.broadcast.compress": "false", "spark.shuffle.spill.compress": "false",
        "spark.excludeOnFailure.enabled": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return save_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail with everything that goes wrong: files delivered twice, cut off, and no logs."""
    root = tmp_path_factory.mktemp("logs")
    write_sample(root, records=3_000, seed=5)
    trail = root / "AWSLogs"
    files = sorted(trail.rglob("*.json.gz"))
    assert len(files) >= 4
    records = [one for file in files[:2]
               for one in json.loads(gzip.decompress(file.read_bytes()))["Records"]]
    # twice, in files far from each other, in another order and among others
    (trail / "zz-again.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [
        *records[::-3], record("s3", "GetObject", eventID="short"),
        record("s3", "GetObject", eventID="short")]}).encode()))
    whole = files[2].read_bytes()
    (trail / "zz-cut.json.gz").write_bytes(whole[: len(whole) // 2])
    (trail / "zz-note.txt").write_text("no log")
    lines = [json.dumps(one) for one in records[:5]]
    lines.insert(2, '{"eventVersion": "9.0", "eventName": "X", "eventSource": "y"}')
    lines += [json.dumps(record("iam", "PutRolePolicy", errorCode="AccessDenied")), "{broken"]
    (trail / "zz-lines.json").write_text("\n".join(lines))
    return trail


def table_rows(table: pa.Table, names: list[str]) -> list[tuple[Any, ...]]:
    """All rows as plain values in a defined order."""
    columns = []
    for name in names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        columns.append(column.to_pylist())
    return sorted(zip(*columns, strict=True), key=repr)


def assert_same_statistics(found: Statistics, expected: Statistics) -> None:
    for field in fields(Statistics):
        assert getattr(found, field.name) == getattr(expected, field.name), field.name


def local_audit(path: Path, logs: Path, *, has_rows: bool) -> tuple[Any, Statistics, pa.Table]:
    table = iamtables.open_table(path)
    needs = None if has_rows else needs_request(table)
    reader = read_logs(logs, LOCAL, keys_of(table), needs=needs)
    audit = Audit(table)
    rows = [results_table(audit.add(batch), table.statements) for batch in reader]
    schema = pa.schema([(one.name, one.type.value_type if pa.types.is_dictionary(one.type)
                         else one.type) for one in rows[0].schema])
    return audit.summary(), reader.statistics, pa.concat_tables(
        [pa.Table.from_batches([batch]).cast(schema) for batch in rows])


def test_an_audit_is_the_local_one_row_for_row_though_an_executor_dies(
    spark: Any, tables: tuple[Path, Path], logs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import spark_faults

    import iamtables.spark
    from iamtables.spark import jobs

    flag = tmp_path / "killed"
    monkeypatch.setattr(jobs, "AuditTask", lambda artefact, settings: spark_faults.DyingTask(
        artefact, settings, str(flag), 2))
    output = tmp_path / "decisions"
    found = iamtables.spark.audit(spark, tables[1], logs, output=str(output), part_bytes=PART_BYTES)
    assert "CoarseGrainedExecutorBackend" in flag.read_text()
    assert found.parts >= 5 and found.repeated >= 1
    summary, statistics, rows = local_audit(tables[1], logs, has_rows=True)
    assert_same_statistics(found.statistics, statistics)
    assert found.summary == summary
    assert statistics.duplicates > 100 and statistics.bad_records and summary.depends_on
    assert [Path(name).name for name, _ in found.statistics.failed] == ["zz-cut.json.gz"]
    assert [Path(name).name for name, _ in found.statistics.skipped] == ["zz-note.txt"]
    written = pq.read_table(output)
    names = rows.schema.names
    assert sorted(written.schema.names) == sorted([*names, "day"])
    assert table_rows(written, names) == table_rows(rows, names)
    days = {path.name for path in output.iterdir() if path.is_dir()}
    told = set(pc.strftime(rows["time"], format="%Y-%m-%d").to_pylist())
    assert days == {f"day={day or '__HIVE_DEFAULT_PARTITION__'}" for day in told}
    with pytest.raises(SourceError, match="exists"):
        iamtables.spark.audit(spark, tables[1], logs, output=str(output))


def test_an_audit_without_rows_and_with_a_merge_on_the_workers(
    spark: Any, tables: tuple[Path, Path], logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import iamtables.spark
    from iamtables.spark import jobs

    monkeypatch.setattr(jobs, "MANY_PARTS", 3)
    principals = ["arn:aws:iam::*:role/*"]
    found = iamtables.spark.audit(
        spark, tables[1], [logs], part_bytes=PART_BYTES, principals=principals, is_shared=True,
        options=LogOptions(services=frozenset(["s3", "bedrock", "iam", "sagemaker"])))
    table = iamtables.open_table(tables[1])
    reader = read_logs(logs, LogOptions(
        services=frozenset(["s3", "bedrock", "iam", "sagemaker"])),
        keys_of(table), needs=needs_request(table))
    audit = Audit(table, principals=principals)
    for batch in reader:
        audit.add(batch)
    assert_same_statistics(found.statistics, reader.statistics)
    assert found.summary == audit.summary() and found.summary.not_selected


def test_a_replay_is_the_local_one(
    spark: Any, tables: tuple[Path, Path], logs: Path, tmp_path: Path
) -> None:
    import iamtables.spark

    output = tmp_path / "flips"
    found = iamtables.spark.replay(spark, *tables, logs, output=str(output), part_bytes=PART_BYTES)
    before, after = map(iamtables.open_table, tables)
    reader = read_logs(logs, LOCAL, keys_of_both(before, after),
                       needs=either_needs_request(before, after))
    local = Replay(before, after)
    flips = [flips_table(local.add(batch), before, after) for batch in reader]
    assert found.result == local.result()
    assert found.result.groups and found.result.newly_allowed
    assert_same_statistics(found.statistics, reader.statistics)
    written, names = pq.read_table(output), flips[0].schema.names
    expected = [row for batch in flips for row in table_rows(pa.Table.from_batches([batch]), names)]
    assert table_rows(written, names) == sorted(expected, key=repr)
    assert len(expected) == sum(found.result.counts[name] for name in (
        "newly-denied", "newly-allowed", "newly-undetermined"))


def test_tables_of_requests_are_audited_from_parquet(
    spark: Any, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    import iamtables.spark
    from iamtables.request_tables import read_requests

    folder = tmp_path / "requests"
    folder.mkdir()
    for number in range(4):
        pq.write_table(pa.table({
            "principal": [f"arn:aws:iam::111122223333:role/r{number}"] * 50,
            "action": ["bedrock:InvokeModel", "s3:GetObject"] * 25,
            "resource": pa.array(["*", None] * 25, pa.string()),
        }), folder / f"part-{number}.parquet")
    whole = (folder / "part-3.parquet").read_bytes()
    (folder / "part-4.parquet").write_bytes(whole[:-40])
    (folder / "_SUCCESS").write_text("")
    output = tmp_path / "out"
    found = iamtables.spark.audit(spark, tables[1], folder, output=str(output), part_bytes=1)
    assert [Path(name).name for name, _ in found.statistics.failed] == ["part-4.parquet"]
    table = iamtables.open_table(tables[1])
    audit = Audit(table, missing="absent")
    good = sorted(folder.glob("part-[0-3].parquet"))
    rows = [results_table(audit.add(batch), table.statements)
            for batch in read_requests(good, keys_of(table))]
    assert found.summary == audit.summary() and found.summary.records == 200
    names = rows[0].schema.names
    expected = [row for batch in rows for row in table_rows(pa.Table.from_batches([batch]), names)]
    assert table_rows(pq.read_table(output), names) == sorted(expected, key=repr)


def test_names_that_other_parts_tell_are_those_of_one_reader(spark: Any, tmp_path: Path) -> None:
    import iamtables.spark

    (tmp_path / "logs").mkdir()
    files = write_names(tmp_path / "logs")
    table = iamtables.compile(iamtables.parse_policy(NAMES_POLICY))
    table.save(tmp_path / "t.iamt")
    found = iamtables.spark.audit(spark, tmp_path / "t.iamt", files, output=str(tmp_path / "out"),
                                  part_bytes=1)
    summary, statistics, rows = local_audit(tmp_path / "t.iamt", tmp_path / "logs", has_rows=True)
    assert found.summary == summary
    assert_same_statistics(found.statistics, statistics)
    assert (found.parts, found.repeated) == (3, 2)
    names = rows.schema.names
    assert table_rows(pq.read_table(tmp_path / "out"), names) == table_rows(rows, names)
    learnt = iamtables.spark.audit(spark, tmp_path / "t.iamt", files, part_bytes=1,
                                   options=LogOptions(learn_names=False))
    assert learnt.summary != summary and learnt.repeated == 0


def test_corrections_and_sessions_of_other_parts_are_those_of_one_reader(
    spark: Any, tmp_path: Path
) -> None:
    import iamtables.spark

    (tmp_path / "logs").mkdir()
    files = write_far_apart(tmp_path / "logs")
    path = tmp_path / "t.iamt"
    iamtables.compile(iamtables.parse_policy(TAGS_POLICY)).save(path)
    summary, statistics, rows = local_audit(path, tmp_path / "logs", has_rows=True)
    found = iamtables.spark.audit(spark, path, files, output=str(tmp_path / "out"), part_bytes=1)
    assert found.summary == summary
    assert_same_statistics(found.statistics, statistics)
    assert (statistics.replaced, statistics.corrections_late, statistics.duplicates) == (4, 2, 3)
    names = rows.schema.names
    assert table_rows(pq.read_table(tmp_path / "out"), names) == table_rows(rows, names)


def test_paths_that_hold_no_log(spark: Any, tables: tuple[Path, Path], tmp_path: Path) -> None:
    import iamtables.spark

    (tmp_path / "a.txt").write_text("no log")
    (tmp_path / "b.json.gz").write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(SourceError, match="no CloudTrail log"):
        iamtables.spark.audit(spark, tables[1], tmp_path, part_bytes=1)
    with pytest.raises(SourceError, match="does not exist"):
        iamtables.spark.audit(spark, tables[1], tmp_path / "none")


def test_workers_map_the_table_once_and_import_no_parser(
    spark: Any, tables: tuple[Path, Path], logs: Path
) -> None:
    import spark_faults

    from iamtables.spark import jobs, tasks
    from iamtables.spark.parts import find_source

    table = iamtables.open_table(tables[1])
    artefact = jobs.shipped(spark, tables[1], table, is_shared=False)
    assert artefact.is_shipped
    settings = tasks.Settings(True, tasks.without_cache(None))
    parts = find_source([logs]).parts(PART_BYTES, 1)
    asked = [(part.number, list(part.files)) for part in parts]
    told = jobs.asked_first(spark, asked).mapInArrow(
        spark_faults.Telling(tasks.AuditTask(artefact, settings)),
        spark_faults.Telling.SCHEMA).collect()
    assert len(told) == len(parts) > len({row.process for row in told})
    for row in told:
        assert row.opened == row.kept >= 1 and row.mapped  # no file was opened twice
        loaded = set(row.modules)
        assert "iamtables.runtime" in loaded and "iamtables.logs" in loaded
        assert not PARSERS & {".".join(name.split(".")[:depth]) for name in loaded
                              for depth in (1, 2)}


def test_workers_that_replay_or_decide_frames_import_no_parser(
    spark: Any, tables: tuple[Path, Path], logs: Path
) -> None:
    import spark_faults

    from iamtables.spark import Decide, jobs, tasks
    from iamtables.spark.parts import find_source

    before, after = (jobs.shipped(spark, path, iamtables.open_table(path), is_shared=False)
                     for path in tables)
    settings = tasks.Settings(True, tasks.without_cache(None))
    files = list(find_source([logs]).parts(PART_BYTES, 1)[0].files)
    frame = spark.createDataFrame([("s3:GetObject", "*")], "action string, resource string")
    for function, asked in (
        (tasks.ReplayTask(before, after, settings, 1), jobs.asked_first(spark, [(0, files)])),
        (Decide(after), frame),
    ):
        told = asked.mapInArrow(
            spark_faults.Telling(function), spark_faults.Telling.SCHEMA).collect()
        assert told
        for row in told:
            assert row.mapped and "iamtables.runtime" in row.modules
            assert not PARSERS & {".".join(name.split(".")[:depth]) for name in row.modules
                                  for depth in (1, 2)}


def test_a_frame_gets_decisions_and_statements(spark: Any, tables: tuple[Path, Path]) -> None:
    import iamtables.spark

    rows = [("bedrock:InvokeModel", "*", None, None),
            ("iam:PassRole", "arn:aws:iam::111122223333:role/AmazonBedrockJobs",
             "bedrock.amazonaws.com", None),
            ("iam:PassRole", "arn:aws:iam::111122223333:role/AmazonBedrockJobs", None, None),
            ("iam:PassRole", "arn:aws:iam::111122223333:role/AmazonBedrockJobs", None,
             ["iam:PassedToService"]),
            (None, None, None, None)] * 300
    frame = spark.createDataFrame(
        rows, "action string, resource string, service string, `not known` array<string>")
    frame = frame.repartition(3)
    expected = {0: "ALLOW", 1: "ALLOW", 2: "IMPLICIT_DENY", 3: "UNDETERMINED", 4: "UNDETERMINED"}
    struct = "named_struct('iam:PassedToService', service) AS c"
    mapped = "map('iam:PassedToService', service) AS c"
    for given, context in ((frame, {"iam:PassedToService": "service"}),
                           (frame.selectExpr("*", struct), "c"),
                           (frame.selectExpr("*", mapped), "c")):
        out = iamtables.spark.decide(given, tables[1], context=context, unknown="not known")
        assert out.columns == [*given.columns, "decision", "statement"]
        found = out.collect()
        assert len(found) == len(rows)
        for row in found:
            at = rows.index((row.action, row.resource, row.service, row["not known"]))
            assert row.decision == expected[at], row
            if at == 1:
                assert row.statement == "AmazonBedrockFullAccess:PassRoleToBedrock"
    with pytest.raises(iamtables.ColumnError, match="no column `nothing`"):
        iamtables.spark.decide(frame, tables[1], resource="nothing")


def test_the_examples_of_the_page_run(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_engine_docs import PAGE, SECTIONS, SPARK, blocks

    (tmp_path / "iamtables").symlink_to(HERE.parent / "iamtables")
    write_sample(tmp_path, records=300, seed=2)
    monkeypatch.chdir(tmp_path)
    start = blocks(PAGE.partition("## Arrow")[0])
    code = "\n".join(start + blocks(SECTIONS["Spark"], SPARK))
    names: dict[str, Any] = {"spark": spark}
    # workers have a directory of their own: a path has to mean the same everywhere
    exec(compile(code.replace('"AWSLogs"', repr(str(tmp_path / "AWSLogs"))).replace(
        'output="', f'output="{tmp_path}/').replace(
        'parquet("decisions")', f'parquet("{tmp_path}/decisions")'), "engines.md", "exec"), names)
    assert names["replay"].result.records == names["audit"].summary.records == 300
    assert (tmp_path / "flips").is_dir() and "newly" in capsys.readouterr().out
