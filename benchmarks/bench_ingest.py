"""How fast do logs become decisions, beside what must be done at least?

The floor is inflating the same files with the fastest inflater at hand and looking at every byte
once. Beside it, in the same run: the whole audit, with policies that ask for the resource of a
quarter of the records and with policies that ask for nearly every one; the same through the reader
that decodes; from a cache; and the same records in small files. `extra_info` of each has its share
of the floor's rate, the median of rounds in which the two take turns; the times are those of this
process on a processor, with one thread, but for the benchmark of two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from isal import isal_zlib
from log_corpus import LogCorpus, write_corpus

import iamtables
from iamtables.audit import Audit, needs_request
from iamtables.audit_counts import Summary
from iamtables.demo.sample import write_sample
from iamtables.logs import LogOptions, read_logs

PER_FILE, SMALL = 20_000, 200
ROUNDS = 3


@pytest.fixture(scope="module")
def log(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> LogCorpus:
    return write_corpus(tmp_path_factory.mktemp("log"), 400_000 if is_timed else 2_000, PER_FILE)


@pytest.fixture(scope="module")
def large(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> LogCorpus:
    """The records of `small` in large files."""
    return write_corpus(tmp_path_factory.mktemp("large"), 40_000 if is_timed else 1_000, PER_FILE)


@pytest.fixture(scope="module")
def small(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> LogCorpus:
    return write_corpus(tmp_path_factory.mktemp("small"), 40_000 if is_timed else 1_000, SMALL)


def table_of(*statements: dict[str, Any]) -> iamtables.Table:
    return iamtables.compile(iamtables.parse_policy(
        json.dumps({"Version": "2012-10-17", "Statement": list(statements)})))


MANAGEMENT = ["ec2:*", "logs:*", "ssm:*", "iam:*", "sts:*", "dynamodb:*", "kms:*", "lambda:*",
              "cloudwatch:*"]


@pytest.fixture(scope="module")
def quarter() -> iamtables.Table:
    """Only S3 statements name resources: a quarter of the records."""
    return table_of(
        {"Effect": "Allow", "Action": MANAGEMENT, "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::company-data-*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::company-data-7/*"})


@pytest.fixture(scope="module")
def nearly_all() -> iamtables.Table:
    """Every statement names resources."""
    return table_of(
        {"Effect": "Allow", "Action": MANAGEMENT, "Resource": "arn:aws:*:*:*:*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::company-data-*"})


def audit(log: LogCorpus, table: iamtables.Table, **options: Any) -> Summary:
    options = {"threads": 1} | options
    made = Audit(table)
    needs = None if "cache" in options else needs_request(table)
    for batch in read_logs([log.directory], LogOptions(**options), list(table.keys), needs=needs):
        made.add(batch)
    summary = made.summary()
    assert summary.records == sum(summary.classes.values()) == log.records
    assert sum(summary.decisions.values()) == summary.decided
    return summary


def floor(log: LogCorpus) -> int:
    """Inflate every file and count its records, at least by the bytes that begin them."""
    return sum(isal_zlib.decompress(path.read_bytes(), 31, log.json_bytes // len(log.files) + 64)
               .count(b'{"eventVersion"') for path in log.files)


@pytest.fixture
def share(benchmark: Any, is_timed: bool, log: LogCorpus) -> Callable[..., Any]:
    """Runs a function under the benchmark; notes its rate and its share of the floor's rate."""

    def run(function: Callable[[], Any], records: int) -> Any:
        def cpu_s(measured: Callable[[], Any]) -> tuple[float, Any]:
            started = time.process_time()
            result = measured()
            return max(time.process_time() - started, 1e-9), result

        shares, taken = [], []
        for _ in range(ROUNDS if is_timed else 1):
            least, _ = cpu_s(lambda: floor(log))
            seconds, result = cpu_s(function)
            shares.append((records / seconds) / (log.records / least))
            taken.append(seconds)
        benchmark.extra_info |= {
            "records_per_cpu_second": round(records / min(taken)),
            "share_of_floor": round(median(shares), 3)}
        benchmark.pedantic(function, rounds=1)
        return result

    return run


@pytest.mark.benchmark(group="ingest")
def test_how_fast_can_the_files_be_inflated_and_looked_at(
    share: Callable[..., Any], log: LogCorpus
) -> None:
    assert share(lambda: floor(log), log.records) == log.records


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_an_audit_that_needs_a_quarter_of_the_resources(
    share: Callable[..., Any], log: LogCorpus, quarter: iamtables.Table
) -> None:
    summary = share(lambda: audit(log, quarter), log.records)
    assert summary.decisions == audit(log, quarter, is_compiled=False).decisions
    assert summary.decisions["EXPLICIT_DENY"] > 0


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_an_audit_that_needs_nearly_every_resource(
    share: Callable[..., Any], log: LogCorpus, nearly_all: iamtables.Table
) -> None:
    summary = share(lambda: audit(log, nearly_all), log.records)
    assert summary.decisions == audit(log, nearly_all, is_compiled=False).decisions


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_the_reader_that_decodes(
    share: Callable[..., Any], log: LogCorpus, quarter: iamtables.Table
) -> None:
    summary = share(lambda: audit(log, quarter, is_compiled=False), log.records)
    assert summary.decided == log.records


@pytest.fixture(scope="module")
def repeated(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> LogCorpus:
    """Calls that occur again and again: the log of the demo."""
    found = write_sample(tmp_path_factory.mktemp("repeated"),
                         records=400_000 if is_timed else 2_000, seed=3)
    return LogCorpus(found.directory, tuple(sorted(found.directory.rglob("*.gz"))), found.records,
                     found.json_bytes)


@pytest.mark.benchmark(group="ingest")
@pytest.mark.parametrize(("calls", "policies"), [
    ("log", "quarter"), ("log", "nearly_all"), ("repeated", "quarter")])
def test_how_fast_is_an_audit_from_the_cache(
    benchmark: Any, is_timed: bool, request: pytest.FixtureRequest, tmp_path: Path, calls: str,
    policies: str,
) -> None:
    """The same audit from the cache and from the log, in turns."""
    corpus, table = request.getfixturevalue(calls), request.getfixturevalue(policies)
    first = audit(corpus, table, cache=str(tmp_path))
    rates: list[float] = []
    ratios: list[float] = []
    for _ in range(5 if is_timed else 1):
        seconds = []
        for options in ({"cache": str(tmp_path)}, {}):
            started = time.process_time()
            summary = audit(corpus, table, **options)
            seconds.append(max(time.process_time() - started, 1e-9))
            assert summary.decisions == first.decisions
        rates.append(corpus.records / seconds[0])
        ratios.append(seconds[1] / seconds[0])
    benchmark.extra_info |= {
        "records_per_cpu_second": [round(f(rates)) for f in (min, median, max)],
        "times_as_fast_as_the_log": [round(f(ratios), 1) for f in (min, median, max)]}
    benchmark.pedantic(lambda: audit(corpus, table, cache=str(tmp_path)), rounds=1)


@pytest.mark.benchmark(group="ingest")
def test_what_do_small_files_cost(
    benchmark: Any, is_timed: bool, small: LogCorpus, large: LogCorpus, quarter: iamtables.Table
) -> None:
    costs = []
    for _ in range(ROUNDS if is_timed else 1):
        seconds = []
        for corpus in (small, large):
            started = time.process_time()
            summary = audit(corpus, quarter)
            seconds.append(time.process_time() - started)
            assert summary.decided == small.records == large.records
        costs.append(seconds[0] / seconds[1])
    assert audit(small, quarter).decisions == audit(large, quarter).decisions
    benchmark.extra_info |= {"cost_beside_large_files": round(median(costs), 2)}
    benchmark.pedantic(lambda: audit(small, quarter), rounds=1)


@pytest.mark.benchmark(group="ingest")
def test_what_does_a_second_thread_gain(
    benchmark: Any, is_timed: bool, log: LogCorpus, quarter: iamtables.Table
) -> None:
    gains = []
    for _ in range(ROUNDS if is_timed else 1):
        seconds = []
        for threads in (1, 2):
            started = time.perf_counter()
            summary = audit(log, quarter, threads=threads)
            seconds.append(time.perf_counter() - started)
            assert summary.decided == log.records
        gains.append(seconds[0] / seconds[1])
    benchmark.extra_info |= {"times_as_fast": round(median(gains), 2)}
    benchmark.pedantic(lambda: audit(log, quarter, threads=2), rounds=1)
