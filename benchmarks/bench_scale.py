"""What does a core of a cluster do in a second? The rates that docs/scale.md reckons with.

All in one run, per second of a process on a processor, the best of three: inflating the files, what
a Spark worker does with them (with and without rows to write), and requests from a Parquet table
with a few thousand distinct resources. Each counts the same records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_ingest import floor, table_of
from log_corpus import LogCorpus, write_corpus

import iamtables
from iamtables.spark import tasks
from iamtables.spark.artefact import Artefact
from iamtables.spark.parts import Part, find_source

MANAGEMENT = ["ec2:*", "logs:*", "ssm:*", "iam:*", "sts:*", "dynamodb:*", "kms:*", "lambda:*",
              "cloudwatch:*"]
POLICIES = {
    "quarter": (
        {"Effect": "Allow", "Action": MANAGEMENT, "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::company-data-*"}),
    "nearly all": (
        {"Effect": "Allow", "Action": MANAGEMENT, "Resource": "arn:aws:*:*:*:*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::company-data-*"}),
}
"""The share of records whose resource they need."""


@pytest.fixture(scope="module")
def log(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> LogCorpus:
    return write_corpus(tmp_path_factory.mktemp("scale"), 100_000 if is_timed else 2_000,
                        5_000 if is_timed else 500)


@pytest.fixture
def rate(benchmark: Any, is_timed: bool, tell: Callable[[str], None],
         request: pytest.FixtureRequest) -> Callable[[Callable[[], Any], int], Any]:
    """Runs a function; its rate per second of this process."""

    def run(function: Callable[[], Any], records: int) -> Any:
        taken = []
        for _ in range(3 if is_timed else 1):
            started = time.process_time()
            result = function()
            taken.append(time.process_time() - started)
        if is_timed:
            benchmark.extra_info["records_per_cpu_second"] = round(records / min(taken))
            tell(f"{request.node.name:<75}{records / min(taken):>14,.0f}  per CPU second")
        benchmark.pedantic(lambda: None, rounds=1)
        return result

    return run


def run_parts(artefact: Path, parts: list[Part], *, is_log: bool, has_rows: bool) -> Any:
    """(rows handed out, counts of all parts), as Spark would ask for them."""
    settings = tasks.Settings(is_log, tasks.without_cache(None), has_rows=has_rows,
                              missing="unknown" if is_log else "absent")
    task = tasks.AuditTask(Artefact(str(artefact), False), settings)
    rows, counts = 0, None
    for part in parts:
        asked = pa.RecordBatch.from_pydict({
            "part": pa.array([part.number], pa.int32()),
            "files": pa.array([part.files], pa.list_(pa.string())),
            **{name: pa.nulls(1, pa.list_(pa.int64()))
               for name in ("seen", "corrected", "before")},
            "answers": pa.nulls(1, pa.map_(pa.string(), pa.string()))})
        for batch in task(iter([asked])):
            if has_rows:
                rows += batch.column("decision").is_valid().sum().as_py()
            for data in batch.column("counts").drop_null().to_pylist():
                counts = tasks.merge(counts, data)
    return rows, counts


@pytest.mark.benchmark(group="scale")
def test_how_fast_are_files_inflated(rate: Any, log: LogCorpus) -> None:
    assert rate(lambda: floor(log), log.records) == log.records


@pytest.mark.parametrize("has_rows", [False, True], ids=["summary", "rows"])
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.benchmark(group="scale")
def test_how_fast_does_a_worker_audit_logs(
    rate: Any, log: LogCorpus, tmp_path: Path, name: str, has_rows: bool
) -> None:
    table_of(*POLICIES[name]).save(tmp_path / "t.iamt")
    parts = find_source([log.directory]).parts(8 << 20, 1)
    rows, counts = rate(lambda: run_parts(tmp_path / "t.iamt", parts, is_log=True,
                                          has_rows=has_rows), log.records)
    assert counts.audit.records == counts.statistics.records == log.records
    assert rows == (counts.audit.summary().decided if has_rows else 0)
    assert counts.audit.summary().decided == log.records


@pytest.mark.benchmark(group="scale")
def test_how_fast_does_a_worker_audit_parquet_requests(
    rate: Any, tmp_path: Path, is_timed: bool
) -> None:
    table_of(*POLICIES["nearly all"]).save(tmp_path / "t.iamt")
    count = 1_000_000 if is_timed else 10_000
    rng = np.random.default_rng(1)
    actions = np.array(["s3:GetObject", "ec2:RunInstances", "kms:Decrypt", "s3:PutObject"])
    pq.write_table(pa.table({
        "principal": [f"arn:aws:iam::111122223333:role/r{i}" for i in rng.integers(99, size=count)],
        "action": actions[rng.integers(4, size=count)],
        "resource": [f"arn:aws:s3:::company-data-{i}/k" for i in rng.integers(5_000, size=count)],
    }), tmp_path / "t.parquet")
    parts = find_source([tmp_path / "t.parquet"]).parts(1, 1)
    _, counts = rate(lambda: run_parts(tmp_path / "t.iamt", parts, is_log=False, has_rows=False),
                     count)
    summary = counts.audit.summary()
    assert summary.records == summary.decided == count
    table = iamtables.open_table(tmp_path / "t.iamt")
    expected = table.decide(pq.read_table(tmp_path / "t.parquet")).counts()
    assert summary.decisions == {name: expected[name] for name in summary.decisions}
