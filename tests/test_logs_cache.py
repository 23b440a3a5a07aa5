"""A cache gives the same answers as the logs, for any policy, or the logs are read again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import allow, iamtables, policy
from log_records import ROLE, ROLE_IDENTITY, record, write
from shared_data import shared_data
from test_logs_blocks import content

from iamtables.demo.sample import write_sample
from iamtables.errors import SourceError
from iamtables.logs import LogOptions, LogReader, read_logs, segment_reading
from iamtables.logs import cache as cache_module
from iamtables.logs.cache import Cache
from iamtables.logs.texts import Texts

KEYS: list[tuple[str, ...]] = [
    (), ("aws:SourceIp", "aws:PrincipalArn", "aws:CurrentTime", "aws:MultiFactorAuthAge"),
    ("aws:RequestTag/StratusRedTeam", "aws:requesttag/name", "aws:TagKeys"),
    ("kms:EncryptionContext:SecretARN", "kms:ViaService", "kms:EncryptionContextKeys"),
    ("s3:prefix", "iam:PassedToService", "ec2:CreateAction", "aws:ResourceAccount",
     "aws:ResourceTag/x"),
]


def reader(paths: Sequence[Path], keys: Sequence[str], cache: Path | None, **options: Any
           ) -> LogReader:
    return read_logs(paths, LogOptions(cache=None if cache is None else str(cache), **options),
                     keys)


def cached(found: LogReader) -> int:
    return found.statistics.files_cached


@pytest.mark.parametrize("source", ["invictus", "panther", "otrf", "custodian"])
def test_any_policy_gets_the_same_from_the_cache_as_from_the_logs(
    tmp_path: Path, source: str
) -> None:
    paths, cache = [shared_data("cloudtrail", source)], tmp_path / "cache"
    first = reader(paths, KEYS[1], cache)
    assert content(first) == content(reader(paths, KEYS[1], None))
    assert cached(first) == 0
    for keys in KEYS:
        again = reader(paths, keys, cache)
        assert content(again) == content(reader(paths, keys, None))
        assert cached(again) == again.statistics.files_read > 0
        assert set(again.keys) == set(reader(paths, keys, None).keys)


def test_segments_of_parts_of_files_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SEGMENT_RECORDS", 700)
    log = write_sample(tmp_path / "log", records=5000, seed=3)
    options = {"max_distinct": 60, "batch_records": 300}
    first = reader([log.directory], KEYS[1], tmp_path / "cache", **options)
    expected = content(first)
    assert len(list((tmp_path / "cache").glob("*.segment"))) > 3
    again = reader([log.directory], KEYS[1], tmp_path / "cache")
    assert content(again) == expected
    assert cached(again) == log.files


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A directory of two files, and a cache of them."""
    logs = tmp_path / "logs"
    logs.mkdir()
    first = write(logs / "1.json", record("iam", "ListUsers", eventID="a" * 36),
                  {"eventSource": 5}, record("iam", "GetRole", requestParameters={
                      "roleName": "worker"}, eventID="b" * 36))
    second = write(logs / "2.json", record("s3", "ListBuckets", eventID="c" * 36),
                   record("iam", "ListUsers", eventID="a" * 36))
    list(reader([logs], (), tmp_path / "cache"))
    return logs, first, second


def names(found: LogReader) -> list[str]:
    return [str(name) for batch in found for name in batch.event_name.to_list()]


def test_duplicates_bad_records_and_names_are_found_out_as_in_the_logs(
    tmp_path: Path, two: tuple[Path, Path, Path]
) -> None:
    logs, _, _ = two
    assert content(reader([logs], (), tmp_path / "cache")) == content(reader([logs], (), None))
    # a path that a file of its own tells reaches names in cached files, too
    write(logs / "3.json", record("s3", "ListBuckets", userIdentity=ROLE_IDENTITY,
                                  eventID="d" * 36))
    found = reader([logs / "3.json", logs], (), tmp_path / "cache")
    resources = [resource for batch in found for resource in batch.resource.to_list()]
    assert ROLE in resources
    assert cached(found) == 2


@pytest.mark.parametrize("change", ["content", "time", "gone"])
def test_a_file_that_is_another_one_is_read_again(
    tmp_path: Path, two: tuple[Path, Path, Path], change: str
) -> None:
    logs, first, _ = two
    if change == "content":
        write(first, record("iam", "ListRoles", eventID="e" * 36))
    elif change == "time":
        os.utime(first, ns=(1, 1))
    else:
        first.unlink()
    found = reader([logs], (), tmp_path / "cache")
    assert names(found) == names(reader([logs], (), None))
    assert cached(found) == 1
    assert cached(found) < found.statistics.files_read or change == "gone"


def test_another_mapping_reads_the_logs_again(
    tmp_path: Path, two: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reader([two[0]], (), tmp_path / "cache", unlisted_actions=True)
    list(found)
    assert cached(found) == 0
    monkeypatch.setattr("iamtables.logs.reader.mapping_version", lambda: "another")
    found = reader([two[0]], (), tmp_path / "cache")
    list(found)
    assert cached(found) == 0


def test_the_version_covers_code_and_data() -> None:
    assert len(cache_module.mapping_version()) == 64


def test_times_accounts_and_services_are_asked_of_the_cache(
    tmp_path: Path, two: tuple[Path, Path, Path]
) -> None:
    found = reader([two[0]], (), tmp_path / "cache", services=frozenset({"s3"}))
    assert names(found) == ["ListBuckets"]
    assert (cached(found), found.statistics.outside) == (2, 3)
    found.statistics.check()


def test_files_that_fail_are_not_kept(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", record("iam", "ListUsers"))
    (tmp_path / "bad.json").write_text(good.read_text()[:-30])
    paths = [good, tmp_path / "bad.json"]
    for expected in (0, 1):
        found = reader(paths, (), tmp_path / "cache")
        list(found)
        assert cached(found) == expected
        assert len(found.statistics.failed) == 1


def test_interrupting_leaves_what_is_complete_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SEGMENT_RECORDS", 1)
    for number in range(6):
        write(tmp_path / f"{number}.json", record("iam", "ListUsers", eventID=f"{number:036d}"))
    paths, cache = sorted(tmp_path.glob("*.json")), tmp_path / "cache"
    original = cache_module.write_tables
    calls = []

    def interrupted(*arguments: Any) -> None:
        calls.append(1)
        original(*arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "write_tables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(reader(paths, (), cache))
    assert sorted(path.suffix for path in cache.iterdir()) == [".segment"] * 3
    monkeypatch.setattr(cache_module, "write_tables", original)
    found = reader(paths, (), cache)
    assert len(names(found)) == 6
    assert cached(found) == 3


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".part-999999999-x").mkdir()
    mine = tmp_path / f".part-{os.getpid()}-x"
    mine.mkdir()
    Cache(tmp_path, "1")
    assert list(tmp_path.iterdir()) == [mine]


def test_a_full_disk_ends_caching_and_not_reading(
    tmp_path: Path, two: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "write_tables", full)
    found = reader([two[0]], (), tmp_path / "other")
    assert len(names(found)) == 3
    assert found.statistics.cache_error == "No space left on device"
    assert list((tmp_path / "other").iterdir()) == []
    rules = policy(tmp_path, allow("iam:*"))
    done = iamtables("audit", "--policy", rules, "--cache", tmp_path / "other", two[0])
    assert done.code == 3 and "the cache is not complete: No space left" in done.err
    assert "1 records were not read" in done.err  # which is why the code is not 0


@pytest.mark.parametrize("damage", ["cut", "gone", "codes", "about", "texts"])
def test_a_damaged_segment_is_read_again_from_the_logs(
    tmp_path: Path, two: tuple[Path, Path, Path], damage: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    segment, = (tmp_path / "cache").glob("*.segment")
    path = segment / "calls.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "gone":
        (segment / "members.parquet").unlink()
    elif damage == "codes":
        table = pq.read_table(segment / "members.parquet")
        pq.write_table(table.set_column(0, "action", pa.array([99] * len(table), pa.int32())),
                       segment / "members.parquet")
    elif damage == "about":
        (segment / "about.json").write_text(json.dumps({"format": 1}))
    else:
        (segment / "tables.json").write_text("[]")
    found = reader([two[0]], (), tmp_path / "cache")
    assert names(found) == names(reader([two[0]], (), None))
    assert cached(found) == 0


def test_event_ids_are_read_only_when_somebody_asks(
    tmp_path: Path, two: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    original = segment_reading._load_ids

    def load(path: Path) -> Texts:
        asked.append(path)
        return original(path)

    monkeypatch.setattr(segment_reading, "_load_ids", load)
    found = reader([two[0]], (), tmp_path / "cache")
    batches = list(found)
    assert (cached(found), found.statistics.duplicates, asked) == (2, 1, [])
    # the third of the four is what two files have in common, and left out of the second
    assert [event for batch in batches for event in batch.event_id] == [
        "a" * 36, "b" * 36, "c" * 36]
    assert len(asked) == 1


@pytest.mark.parametrize("damage", ["other", "gone"])
def test_event_ids_of_other_records_are_found_out(
    tmp_path: Path, two: tuple[Path, Path, Path], damage: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    segment, = (tmp_path / "cache").glob("*.segment")
    if damage == "gone":
        (segment / "event_ids.parquet").unlink()
    else:
        pq.write_table(pa.table({"event_id": ["a"]}), segment / "event_ids.parquet")
    found = reader([two[0]], (), tmp_path / "cache")
    assert content(found) == content(reader([two[0]], (), None))
    assert cached(found) == 0


def test_one_identity_with_many_addresses_is_kept_once(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    log = write(tmp_path / "log.json", *(
        record("iam", "ListUsers", eventID=f"{number:036d}", sourceIPAddress=f"198.51.100.{number}",
               userAgent=f"agent/{number % 7}", recipientAccountId=f"{number % 2:012d}")
        for number in range(100)))
    keys = ("aws:SourceIp", "aws:UserAgent")
    list(reader([log], keys, tmp_path / "cache"))
    segment, = (tmp_path / "cache").glob("*.segment")
    assert pq.read_metadata(segment / "callers.parquet").num_rows == 2
    for asked in ((), keys, keys[1:]):
        assert content(reader([log], asked, tmp_path / "cache")) == content(
            reader([log], asked, None))


def test_a_cache_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot use the cache"):
        reader([write(tmp_path / "log.json", record("iam", "ListUsers"))], (), tmp_path / "file")


def test_the_command_keeps_and_uses_a_cache(tmp_path: Path) -> None:
    log = write_sample(tmp_path / "log", records=2000, seed=4)
    one = policy(tmp_path, allow("bedrock:*"), name="one.json")
    other = policy(tmp_path, allow("s3:*", Condition={"IpAddress": {
        "aws:SourceIp": "10.0.0.0/8"}}), name="other.json")
    for rules in (one, other, one):
        def summary(*more: object, rules: str = rules) -> Any:
            done = iamtables("audit", "--policy", rules, "--format", "json", *more, log.directory)
            assert done.code == 0, done.err
            found = done.json()
            del found["elapsed_s"]
            return found

        assert summary("--cache", tmp_path / "cache", "--output", tmp_path / "out.parquet"
                       ) == summary("--output", tmp_path / "out2.parquet")
    shutil.rmtree(tmp_path / "cache")
