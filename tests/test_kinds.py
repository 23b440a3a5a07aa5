"""Counting a batch by kinds of records against counting its records one by one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import FULL_ACCESS, READ_ONLY, allow, deny
from log_records import record as record_of
from test_logs_blocks import fuzzed

import iamtables as it
from iamtables.audit import Audit
from iamtables.audit_counts import Summary
from iamtables.demo.sample import write_sample
from iamtables.kinds import by_kind
from iamtables.logs import Batch, LogOptions, read_logs
from iamtables.logs.columns import packed
from iamtables.logs.numbering import append_digit, extent

SEVERAL = [allow("s3:Get*"), allow("iam:*"), deny("s3:PutObject"),
           allow("ec2:*", Condition={"StringEquals": {"aws:ResourceTag/x": "y"}})]


def table_of(name: str) -> it.Table:
    if name == "managed":
        return it.compile([*it.load_policy(FULL_ACCESS), *it.load_policy(READ_ONLY)])
    return it.compile(it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": SEVERAL})))


def all_of(summary: Summary) -> dict[str, Any]:
    assert summary.reality is not None
    found = {name: value for name, value in asdict(summary).items() if name != "reality"}
    return found | {"groups": list(summary.groups), "reality": (
        list(summary.reality.contradictions), summary.reality.dropped, summary.reality.explained,
        summary.reality.agreeing, summary.reality.failed_by)}


def one_by_one(audit: Audit, batch: Batch) -> None:
    results = audit._decide_fully(batch)
    audit._count(results, results.asked)


def compare(paths: list[Path], table: it.Table, size: int, **options: Any) -> int:
    """Both ways give one summary; how many records there are."""
    grouped, single = Audit(table, **options), Audit(table, **options)
    for batch in read_logs(paths, LogOptions(batch_records=size), list(table.keys)):
        grouped.add(batch)
        one_by_one(single, batch)
    assert all_of(grouped.summary()) == all_of(single.summary())
    return grouped.summary().records


@pytest.mark.parametrize("policies", ["managed", "several"])
@pytest.mark.parametrize("size", [700, 100_000])
def test_a_generated_log(tmp_path: Path, policies: str, size: int) -> None:
    root, table = tmp_path / "log", table_of(policies)
    records = write_sample(root, records=4000, seed=9).records
    assert compare([root], table, size) == records
    compare([root], table, size, principals=["*:role/a*", "*:user/*"])


@pytest.mark.parametrize("seed", range(10))
def test_fuzzed_records(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    records = [fuzzed(random) for _ in range(300)]
    for record in records:
        if random.random() < 0.3:
            record["errorCode"] = random.choice(["AccessDenied", "Client.UnauthorizedOperation"])
            record["errorMessage"] = random.choice([
                "explicit deny in an identity-based policy", "no identity-based policy allows it",
                "explicit deny in a service control policy"])
    (tmp_path / "log.json").write_text(
        json.dumps({"Records": records}), "utf-8", errors="surrogatepass")
    assert compare([tmp_path], table_of("several"), random.choice([50, 1000])) > 100


def test_statements_that_decide_the_same_are_counted_apart(tmp_path: Path) -> None:
    """Records that differ in nothing but the bucket, and so in the statement that allows them."""
    table = it.compile(it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": [
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}") for bucket in ("one", "two")]})))
    records = [record_of("s3", "ListObjects", eventID=f"{number}", requestParameters={
        "bucketName": "one" if number % 3 else "two"}) for number in range(30)]
    (tmp_path / "log.json").write_text(json.dumps({"Records": records}))
    assert compare([tmp_path], table, 1000) == 30
    audit = Audit(table)
    for batch in read_logs([tmp_path], keys=list(table.keys)):
        audit.add(batch)
    assert sorted(map(sum, audit.summary().statements.values())) == [10, 20]


def test_kinds_are_few_and_keep_all_requests(tmp_path: Path) -> None:
    write_sample(tmp_path / "log", records=4000, seed=9)
    table = it.compile(it.load_policy(FULL_ACCESS))
    audit = Audit(table)
    for batch in read_logs([tmp_path / "log"], keys=list(table.keys)):
        results, reasons = audit._decide_with_reasons(batch)
        found = by_kind(results, batch, reasons)
        found.batch.check()
        count = found.repeats.count
        assert len(count) < batch.records // 4 and int(count.sum()) == batch.records
        assert int(count[found.batch.group].sum()) == batch.requests
        assert int(found.repeats.of_pair.sum()) == batch.records


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16, np.bool_])
def test_codes_of_any_width_are_packed(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(0, 2, 500).astype(dtype)
    far = rng.choice(np.array([-(2**63), 2**63 - 1, 0, 5]), 500)
    columns = [first, far, first[::-1], far[::-1], rng.integers(0, 2**40, 500) >> 38]
    keys = packed(columns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert len(set(keys.tolist())) == len(set(rows)) == len(
        set(zip(keys.tolist(), rows, strict=True)))
    assert packed([np.zeros(0, dtype=dtype)]).tolist() == []


def test_columns_that_do_not_fit_are_refused() -> None:
    assert extent(np.array([3, -2, 7], dtype=np.int32)) == (-2, 7)
    with pytest.raises(ValueError, match="no codes"):
        extent(np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="lengths"):
        append_digit(np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.uint8), 0, 4)
