"""Local paths and object stores; times, accounts and services that are asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import FULL_ACCESS, iamtables
from log_records import ACCOUNT, record, write

from iamtables.errors import SourceError
from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.logs.sources import find_files, is_delivered_before

DELIVERED = ("AWSLogs/o-1/111122223333/CloudTrail/eu-west-1/2026/01/02/"
             "111122223333_CloudTrail_eu-west-1_20260102T0310Z_abcdefgh01234567.json.gz")


def packed(*records: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps({"Records": list(records)}).encode())


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The endpoint of a local S3 server."""
    server_of = pytest.importorskip("moto.server", reason="needs moto[server], which has flask")
    server = server_of.ThreadedMotoServer(port=0, verbose=False)
    try:
        server.start()
    except OSError as error:
        pytest.skip(f"no local port for a server: {error}")
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a prefix with a delivery, a digest and a foreign object."""
    fs = pytest.importorskip("pyarrow.fs")
    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                        }.items():
        monkeypatch.setenv(name, value)
    there = fs.S3FileSystem(endpoint_override=store, region="us-east-1", allow_bucket_creation=True)
    there.create_dir("trail")
    for key, data in {
        DELIVERED: packed(record("iam", "ListUsers", eventID="a" * 36)),
        DELIVERED.replace("0310Z", "0315Z"): packed(record("iam", "ListRoles", eventID="b" * 36)),
        DELIVERED.replace("CloudTrail/", "CloudTrail-Digest/"): gzip.compress(
            b'{"logFiles": [], "digestEndTime": "x"}'),
        "AWSLogs/111122223333/vpcflowlogs/x.log.gz": gzip.compress(b"2 eni-1 ACCEPT\n"),
    }.items():
        with there.open_output_stream(f"trail/{key}", compression=None) as out:
            out.write(data)
    return "s3://trail/AWSLogs"


def names_of(reader: LogReader) -> list[str]:
    return sorted(str(name) for batch in reader for name in batch.event_name.to_list())


def test_objects_below_a_prefix_are_read_by_content(bucket: str, store: str) -> None:
    reader = read_logs([bucket], LogOptions(endpoint=store), keys=[])
    assert names_of(reader) == ["ListRoles", "ListUsers"]
    reasons = dict(reader.statistics.skipped)
    assert sorted(reasons.values()) == ["a CloudTrail digest file", "not JSON"]
    assert all(name.startswith("s3://trail/AWSLogs/") for name in reasons)
    reader.statistics.check()


def test_the_endpoint_may_stand_in_the_address(bucket: str, store: str) -> None:
    address = f"s3://trail/{DELIVERED}?scheme=http&endpoint_override={store.partition('//')[2]}"
    assert names_of(read_logs([address], keys=[])) == ["ListUsers"]


def test_objects_have_size_and_time(bucket: str, store: str) -> None:
    files = find_files([bucket], store)
    assert len(files) == 4
    assert all(file.size_bytes > 0 and file.changed_ns > 0 for file in files)
    assert not files[0].has_changed()


def test_a_store_is_audited_from_the_command_line(bucket: str, store: str) -> None:
    done = iamtables("audit", "--policy", FULL_ACCESS, "--format", "json", "--endpoint", store,
                     bucket)
    assert done.code == 0, done.err
    assert done.json()["records"] == 2


def test_a_prefix_without_objects_and_a_missing_bucket_are_errors(
    bucket: str, store: str
) -> None:
    with pytest.raises(SourceError, match="holds no object"):
        find_files(["s3://trail/nothing/here"], store)
    with pytest.raises(SourceError) as caught:
        find_files(["s3://no-such-bucket/x"], store)
    assert caught.value.help


@pytest.mark.parametrize(("since", "is_before"), [
    (None, False), (1767323000, False), (1767323400 + 3600, False), (1767323401 + 3600, True)])
def test_files_delivered_before_are_not_opened(since: int | None, is_before: bool) -> None:
    assert is_delivered_before(DELIVERED, since) == is_before


def test_names_without_a_time_are_opened() -> None:
    assert not is_delivered_before("x/20200101T0000Z.json.gz", 1767323000)
    assert not is_delivered_before(DELIVERED.replace("20260102", "20269902"), 2_000_000_000)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return write(
        tmp_path / "log.json",
        record("iam", "ListUsers", eventTime="2026-01-01T00:00:00Z", eventID="a" * 36),
        record("monitoring", "DescribeAlarms", eventTime="2026-01-02T00:00:00Z", eventID="b" * 36),
        record("iam", "ListRoles", eventTime="2026-01-03T00:00:00Z", eventID="c" * 36,
               recipientAccountId="444455556666"),
        record("s3", "ListBuckets", eventTime="unknown", eventID="d" * 36))


DAY = 86_400
FIRST = 1767225600  # 2026-01-01


@pytest.mark.parametrize(("options", "expected"), [
    ({}, ["DescribeAlarms", "ListBuckets", "ListRoles", "ListUsers"]),
    ({"since": FIRST + DAY}, ["DescribeAlarms", "ListRoles"]),
    ({"until": FIRST + DAY}, ["ListUsers"]),
    ({"since": FIRST, "until": FIRST + 2 * DAY}, ["DescribeAlarms", "ListUsers"]),
    ({"accounts": frozenset({ACCOUNT})}, ["DescribeAlarms", "ListBuckets", "ListUsers"]),
    ({"accounts": frozenset({"999999999999"})}, []),
    ({"services": frozenset({"iam", "cloudwatch"})}, ["DescribeAlarms", "ListRoles", "ListUsers"]),
])
def test_records_outside_are_counted_and_left_out(
    mixed: Path, options: dict[str, Any], expected: list[str]
) -> None:
    reader = read_logs([mixed], LogOptions(**options), keys=[])
    assert names_of(reader) == expected
    assert reader.statistics.outside == 4 - len(expected)
    reader.statistics.check()


def test_the_command_line_takes_times_accounts_and_services(mixed: Path) -> None:
    def records(*arguments: str) -> int:
        done = iamtables("audit", "--policy", FULL_ACCESS, "--format", "json", *arguments, mixed)
        assert done.code == 0, done.err
        return int(done.json()["records"])

    assert records("--since", "2026-01-02", "--until", "2026-01-03T00:00:00Z") == 1
    assert records("--account", ACCOUNT, "--service", "IAM") == 1
    assert records("--since", "3650d") == 3
    done = iamtables("audit", "--policy", FULL_ACCESS, "--since", "yesterday", mixed)
    assert done.code == 2 and "--since needs a time" in done.err
