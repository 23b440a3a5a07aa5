"""How fast do logs become decisions, beside what must be done at least?

The floor is inflating the same files with the fastest inflater at hand and looking at every byte
once, in memory that is used again. Beside it, in the same run: the whole audit, with policies that
ask for the resource of a quarter of the records and with policies that ask for nearly every one;
the same through the reader that decodes; from a cache; and the same records in small files. The
table at the end has their shares of the floor's rate, the median of rounds in which they take
turns; the times are those of this process on a processor, with one thread, but for the benchmark
of two.

A second floor is that of the prototype by which the goals were set: each file inflates at once into
memory that is fresh from the system, whose pages it pays for. It is the lower one, so a share of it
says more than one of the floor above, which the goals are held against.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from goals import Goal, Judge
from isal import igzip
from log_corpus import LogCorpus, write_corpus

import iamtables
from iamtables.audit import Audit, needs_request
from iamtables.audit_counts import Summary
from iamtables.demo.sample import write_sample
from iamtables.logs import LogOptions, read_logs

PER_FILE, SMALL = 20_000, 200
ROUNDS = 5
PIECE_BYTES = 2 << 20
BEGINNING = b'{"eventVersion"'
"""Of a record, and of nothing else."""


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
    """Inflate every file, piece by piece, and count its records by the bytes that begin them."""
    behind = len(BEGINNING) - 1  # a piece may end within them
    room = bytearray(behind + PIECE_BYTES)
    view = memoryview(room)
    found = 0
    for path in log.files:
        room[:behind] = bytes(behind)
        with path.open("rb") as packed, igzip.IGzipFile(fileobj=packed, mode="rb") as stream:
            # its buffer inflates in place, where the stream itself would copy
            inflated = getattr(stream, "_buffer", stream)
            while more := inflated.readinto1(view[behind:]):
                found += room.count(BEGINNING, 0, behind + more)
                room[:behind] = room[more : more + behind]
    return found


def fresh_floor(log: LogCorpus) -> int:
    """Inflate every file at once, into memory whose pages are fresh, and count its records."""
    libc = ctypes.CDLL(None)
    page = mmap.PAGESIZE
    room = bytearray(page + max(int.from_bytes(path.read_bytes()[-4:], "little")
                                for path in log.files))
    first = ctypes.addressof(ctypes.c_char.from_buffer(room))
    begin = -(-first // page) * page
    size = (first + len(room) - begin) // page * page
    found = 0
    for path in log.files:
        # the pages go back to the system: whether what `malloc` gives is fresh depends on what was
        # freed before
        assert not libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), mmap.MADV_DONTNEED)
        end = 0
        with (path.open("rb") as packed, igzip.IGzipFile(fileobj=packed, mode="rb") as stream,
              memoryview(room) as view):
            inflated = getattr(stream, "_buffer", stream)
            while more := inflated.readinto1(view[end:]):
                end += more
        found += room.count(BEGINNING, 0, end)
    return found


Share = Callable[..., Any]


@pytest.fixture
def share(benchmark: Any, is_timed: bool, log: LogCorpus, judge: Judge) -> Share:
    """`share("what", function, records, bound)` runs a function under the benchmark; notes its rate
    and its shares of the floors' rates, that of the harder one beside the bound, if there is one.
    """

    def run(what: str, function: Callable[[], Any], records: int, bound: float | None = None
            ) -> Any:
        def cpu_s(measured: Callable[[], Any]) -> tuple[float, Any]:
            started = time.process_time()
            result = measured()
            return max(time.process_time() - started, 1e-9), result

        shares, of_fresh, taken = [], [], []
        for _ in range(ROUNDS if is_timed else 1):
            least, _ = cpu_s(lambda: floor(log))
            least_fresh, found = cpu_s(lambda: fresh_floor(log))
            assert found == log.records
            seconds, result = cpu_s(function)
            shares.append((records / seconds) / (log.records / least))
            of_fresh.append((records / seconds) / (log.records / least_fresh))
            taken.append(seconds)
        judge(f"{what}: 1,000 records/s, best", records / min(taken) / 1000)
        judge(f"{what}: % of the rate of inflating and searching, median of {len(shares)}",
              100 * median(shares), None if bound is None else Goal(bound, "%", is_floor=True))
        judge(f"{what}: the same, least", 100 * min(shares))
        judge(f"{what}: the same, most", 100 * max(shares))
        judge(f"{what}: % of the rate with fresh memory for each file, median",
              100 * median(of_fresh))
        benchmark.pedantic(function, rounds=1)
        return result

    return run


@pytest.mark.benchmark(group="ingest")
def test_how_fast_can_the_files_be_inflated_and_looked_at(
    share: Share, log: LogCorpus
) -> None:
    assert share("inflating and searching", lambda: floor(log), log.records) == log.records


@pytest.mark.benchmark(group="ingest")
def test_how_fast_are_the_files_inflated_into_fresh_memory(share: Share, log: LogCorpus) -> None:
    assert share("inflating into fresh memory and searching", lambda: fresh_floor(log), log.records
                 ) == log.records


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_an_audit_that_needs_a_quarter_of_the_resources(
    share: Share, log: LogCorpus, quarter: iamtables.Table
) -> None:
    summary = share("audit, a quarter of the resources", lambda: audit(log, quarter),
                    log.records, 60)
    assert summary.decisions == audit(log, quarter, is_compiled=False).decisions
    assert summary.decisions["EXPLICIT_DENY"] > 0


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_an_audit_that_needs_nearly_every_resource(
    share: Share, log: LogCorpus, nearly_all: iamtables.Table
) -> None:
    summary = share("audit, nearly every resource", lambda: audit(log, nearly_all),
                    log.records, 40)
    assert summary.decisions == audit(log, nearly_all, is_compiled=False).decisions


@pytest.mark.benchmark(group="ingest")
def test_how_fast_is_the_reader_that_decodes(
    share: Share, log: LogCorpus, quarter: iamtables.Table
) -> None:
    summary = share("audit, the reader that decodes",
                    lambda: audit(log, quarter, is_compiled=False), log.records)
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
    benchmark: Any, is_timed: bool, request: pytest.FixtureRequest, judge: Judge, tmp_path: Path,
    calls: str, policies: str,
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
    what = f"from the cache, {calls}, {policies}"
    judge(f"{what}: 1,000 records/s, best", max(rates) / 1000,
          Goal(3000, "thousand/s", is_floor=True))
    judge(f"{what}: 1,000 records/s, median", median(rates) / 1000)
    judge(f"{what}: times as fast as the log, median", median(ratios))
    benchmark.pedantic(lambda: audit(corpus, table, cache=str(tmp_path)), rounds=1)


@pytest.mark.benchmark(group="ingest")
def test_what_do_small_files_cost(
    benchmark: Any, is_timed: bool, judge: Judge, small: LogCorpus, large: LogCorpus,
    quarter: iamtables.Table,
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
    judge("files of 200 records: cost beside large files, median", median(costs), Goal(1.5, "x"))
    benchmark.pedantic(lambda: audit(small, quarter), rounds=1)


@pytest.mark.benchmark(group="ingest")
@pytest.mark.parametrize("policies", ["quarter", "nearly_all"])
def test_what_does_a_second_thread_gain(
    benchmark: Any, is_timed: bool, judge: Judge, request: pytest.FixtureRequest,
    log: LogCorpus, policies: str,
) -> None:
    table = request.getfixturevalue(policies)
    gains = []
    for _ in range(ROUNDS if is_timed else 1):
        seconds = []
        for threads in (1, 2):
            started = time.perf_counter()
            summary = audit(log, table, threads=threads)
            seconds.append(time.perf_counter() - started)
            assert summary.decided == log.records
        gains.append(seconds[0] / seconds[1])
    judge(f"two threads, {policies}: times as fast by the clock, median", median(gains),
          Goal(1.5, "x", is_floor=True))
    benchmark.pedantic(lambda: audit(log, table, threads=2), rounds=1)
