"""The generated CloudTrail log: its layout, its counts, and that a seed decides every byte."""

import gzip
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from iamtables.demo.sample import write_sample

NAME = re.compile(
    r"AWSLogs/(\d{12})/CloudTrail/([a-z0-9-]+)/\d{4}/\d\d/\d\d/"
    r"\1_CloudTrail_\2_\d{8}T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz"
)


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*")) if path.is_file()
    }


def _records(root: Path) -> list[dict]:
    return [
        record
        for path in sorted(root.rglob("*.json.gz"))
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    return write_sample(root, records=9_000, seed=7), _records(root)


def test_a_seed_decides_every_byte(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_sample(tmp_path / name, records=1_500, seed=seed)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert set(_digests(tmp_path / "a").values()).isdisjoint(_digests(tmp_path / "c").values())


@pytest.mark.parametrize("count", [0, 1, 3, 777])
def test_the_record_count_is_the_one_asked_for(tmp_path, count):
    sample = write_sample(tmp_path, records=count, seed=1)
    assert sample.records == count == len(_records(tmp_path))


def test_files_lie_in_the_delivery_layout(tmp_path):
    write_sample(tmp_path, records=500)
    names = list(_digests(tmp_path))
    assert names and all(NAME.fullmatch(name) for name in names)


def test_files_are_one_compact_line_without_a_time_in_the_gzip_header(tmp_path):
    sample = write_sample(tmp_path, records=300)
    total = 0
    for path in tmp_path.rglob("*.json.gz"):
        packed = path.read_bytes()
        assert packed[4:8] == b"\0\0\0\0"
        text = gzip.decompress(packed)
        total += len(text)
        assert b"\n" not in text and text.startswith(b'{"Records":[{')
    assert total == sample.json_bytes


def test_every_record_has_the_fields_that_are_always_there(small):
    for record in small[1]:
        assert record["eventVersion"] == "1.11"
        for field in ("userIdentity", "eventTime", "eventSource", "eventName", "awsRegion",
                      "eventID", "eventType", "recipientAccountId", "requestParameters"):
            assert field in record
        assert re.fullmatch(r"2025-01-\d\dT\d\d:\d\d:\d\dZ", record["eventTime"])
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", record["eventID"])
        assert "%(" not in json.dumps(record)


def test_event_ids_are_unique(small):
    assert len({record["eventID"] for record in small[1]}) == small[0].records


def test_sessions_begin_before_their_calls(small):
    for record in small[1]:
        attributes = record["userIdentity"].get("sessionContext", {}).get("attributes")
        if attributes and record["userIdentity"]["type"] == "AssumedRole":
            assert attributes["creationDate"] <= record["eventTime"]


def test_the_mix_is_that_of_an_account_that_uses_bedrock(small):
    sources = Counter(record["eventSource"].split(".")[0] for record in small[1])
    types = Counter(record["userIdentity"].get("type") for record in small[1])
    errors = Counter(record.get("errorCode") for record in small[1])
    assert 0.5 < sources["bedrock"] / len(small[1]) < 0.7
    assert 0.08 < sources["sagemaker"] / len(small[1]) < 0.2
    assert {"AssumedRole", "IAMUser", "Root", "AWSService", "AWSAccount", "SAMLUser"} <= set(types)
    assert {"AccessDenied", "AccessDeniedException", "ThrottlingException"} <= set(errors)
    assert {"AwsApiCall", "AwsConsoleSignIn", "AwsServiceEvent"} == {
        record["eventType"] for record in small[1]
    }
    via = [r for r in small[1] if r["userIdentity"].get("invokedBy") == "bedrock.amazonaws.com"
           and r["userIdentity"]["type"] != "AWSService"]
    assert via and all(r["sourceIPAddress"] == "bedrock.amazonaws.com" for r in via)


def test_denials_name_the_caller_the_action_and_the_resource(small):
    denied = [r for r in small[1] if "AccessDenied" in r.get("errorCode", "")
              and r["userIdentity"]["type"] == "AssumedRole"]
    assert denied
    for record in denied:
        assert re.match(
            r"User: arn:aws:sts::\d{12}:assumed-role/\S+ is not authorized to perform: "
            r"[a-z0-9]+:\w+( on resource: (arn:aws:\S+|\*))? because no identity-based policy",
            record["errorMessage"],
        )


def test_records_are_about_as_long_as_real_ones(small):
    assert 1_200 < small[0].json_bytes / small[0].records < 1_600
