"""What files the reader takes, what it skips, and what hostile input costs."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from command_line import allow, iamtables, policy
from log_records import ACCOUNT, ROLE_IDENTITY, record, write

from iamtables.errors import SourceError
from iamtables.logs import Batch, LogOptions, LogReader, RecordClass, read_logs
from iamtables.logs.parameters import find_tags
from iamtables.logs.seen import SeenHashes

ONE = record("iam", "ListUsers")
TWO = record("iam", "ListRoles")


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def read(*paths: Path, **options: Any) -> tuple[LogReader, list[Batch]]:
    reader = read_logs(list(paths), LogOptions(**options), keys=[])
    batches = list(reader)
    for batch in batches:
        batch.check()
    reader.statistics.check()
    return reader, batches


def names(*paths: Path, **options: Any) -> list[str | None]:
    _, batches = read(*paths, **options)
    return [str(name) for batch in batches for name in batch.event_name.to_list()]


def lines(*values: object) -> str:
    return "\n".join(json.dumps(value) for value in values) + "\n"


# -- containers ---------------------------------------------------------------------------------

DETAIL = {"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam"}
BOTH = [json.dumps(ONE), json.dumps(TWO)]


@pytest.mark.parametrize("text", [
    json.dumps({"Records": [ONE, TWO]}),
    json.dumps({"Records": [ONE, TWO]}, indent=2),
    json.dumps([ONE, TWO]),
    json.dumps([{**DETAIL, "detail": ONE}, TWO]),
    lines(ONE, TWO),
    lines(ONE, TWO).rstrip("\n"),
    lines({**ONE, "p_log_type": "AWS.CloudTrail", "@version": "1"}, TWO).replace("\n", "\r\n\r\n"),
    lines({**DETAIL, "detail": ONE}, {**DETAIL, "detail": TWO}),
    lines({"detail": ONE}, TWO),
    lines({"Records": [ONE]}, {"Records": [TWO]}),
    lines(*({"EventId": "1", "EventTime": "2026-01-02", "Resources": [], "CloudTrailEvent": text}
            for text in BOTH)),
    json.dumps({"Events": [{"EventName": "x", "CloudTrailEvent": text} for text in BOTH]},
               indent=1),
    json.dumps({"logGroup": "g", "logEvents": [{"id": "1", "message": text} for text in BOTH]}),
    "".join(f"2026-01-02T03:04:05.000Z {text}\n" for text in BOTH),
    json.dumps({"Type": "Notification", "Message": json.dumps({"Records": [ONE, TWO]})}),
    json.dumps({"Messages": [{"Body": text} for text in BOTH]}),
    json.dumps({"Messages": [
        {"Body": json.dumps({"Message": json.dumps({**DETAIL, "detail": one})})}
        for one in (ONE, TWO)]}),
    "\ufeff" + json.dumps({"Records": [ONE, TWO]}),
    "\n\n " + json.dumps({"Records": [ONE, TWO]}),
])
@pytest.mark.parametrize("is_packed", [False, True])
def test_records_are_found_in_every_wrapper(tmp_path: Path, text: str, is_packed: bool) -> None:
    path = tmp_path / "file.whatever"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if is_packed else data)
    assert names(path) == ["ListUsers", "ListRoles"]


def test_a_single_bare_record_is_a_log(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(ONE, indent=1))
    assert names(path) == ["ListUsers"]


def test_concatenated_gzip_members_are_one_stream(tmp_path: Path) -> None:
    path = tmp_path / "two.ndjson.gz"
    path.write_bytes(gzip.compress(lines(ONE).encode()) + gzip.compress(lines(TWO).encode()))
    assert names(path) == ["ListUsers", "ListRoles"]


def test_a_file_without_records_is_a_log_all_the_same(tmp_path: Path) -> None:
    reader, batches = read(write(tmp_path / "none.json"))
    assert batches == []
    assert reader.statistics.files_read == 1


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "empty file"),
    (b" \n ", "empty file"),
    (gzip.compress(b"", mtime=0), "empty file"),
    (b"a,b,c\n1,2,3\n", "not JSON"),
    (b"plain text", "not JSON"),
    (b"PK\x05\x06....", "not JSON"),
    (b"PK\x03\x04....", "a zip archive: a format this reader does not take"),
    (b'{"logFiles": [], "digestEndTime": "x"}', "a CloudTrail digest file"),
    (b'{"configurationItems": []}', "an AWS Config file"),
    (b'{"s3Bucket": "b", "s3ObjectKey": ["k"]}', "a delivery notification without the records"),
    (b'{"a": 1}', "JSON without a `Records` list"),
    (b'[{"a": 1}]', "a JSON array without any CloudTrail record"),
    (b'{"a": 1}\n{"a": 2}\n', "no line holds a CloudTrail record"),
    (b'{"Records": {"a": 1}}', "JSON without a `Records` list"),
])
def test_what_is_no_log_is_skipped_with_its_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    reader, _ = read(write(tmp_path / "log.json", ONE), path)
    assert reader.statistics.skipped == [(str(path), reason)]
    assert reader.statistics.bad_records == 0


# -- paths --------------------------------------------------------------------------------------


def test_directories_are_read_recursively_and_in_order(tmp_path: Path) -> None:
    for place, name in (("b/2026", "ListRoles"), ("a", "ListUsers"), ("b", "ListGroups")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write(tmp_path / place / f"{name}.json", record("iam", name))
    assert names(tmp_path) == ["ListUsers", "ListGroups", "ListRoles"]


def test_globs_are_expanded(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    write(tmp_path / "x" / "y" / "one.json", ONE)
    write(tmp_path / "x" / "two.txt", TWO)
    assert names(tmp_path / "**" / "*.json") == ["ListUsers"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "log.json", ONE)
    reader, _ = read(path, path, tmp_path)
    assert reader.statistics.files_found == 1


def test_a_batch_tells_the_file_of_each_record(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1.json", ONE), write(tmp_path / "2.json", TWO, ONE)
    _, (batch,) = read(first, second)
    assert [batch.files[index] for index in batch.file.tolist()] == [
        str(first), str(second), str(second)]


@pytest.mark.parametrize("given", ["missing.json", "none/*.json"])
def test_a_path_that_leads_nowhere_is_an_error_with_a_remedy(tmp_path: Path, given: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_logs([tmp_path / given])
    assert caught.value.help


def test_a_directory_without_any_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no file"):
        read_logs([tmp_path])


def test_a_directory_without_any_log_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("hello")
    reader = read_logs([tmp_path])
    with pytest.raises(SourceError, match=r"no CloudTrail log .*readme\.md`: not JSON") as caught:
        list(reader)
    assert caught.value.help
    assert reader.statistics.files_skipped == 1


# -- broken and hostile input -------------------------------------------------------------------

GOOD = [record("iam", "ListUsers"), record("iam", "ListRoles")]


@pytest.mark.parametrize(("bad", "reason"), [
    ({**ONE, "eventName": 5}, "`eventName` has the wrong type"),
    ({**ONE, "errorCode": ["x"]}, "`errorCode` has the wrong type"),
    ({**ONE, "userIdentity": "me"}, "`userIdentity` has the wrong type"),
    ({**ONE, "userIdentity": {"arn": 7}}, "`userIdentity.arn` has the wrong type"),
    ({**ONE, "userIdentity": {"sessionContext": {"attributes": 3}}},
     "`userIdentity.sessionContext.attributes` has the wrong type"),
    ({**record("iam", "GetRole"), "resources": "x"}, "`resources` has the wrong type"),
    ({**record("iam", "GetRole"), "requestParameters": [1]},
     "`requestParameters` has the wrong type"),
    ({**ONE, "eventVersion": "2.0"}, "`eventVersion` is not 1.x"),
    ({key: value for key, value in ONE.items() if key != "eventName"}, "`eventName` is missing"),
    ({**ONE, "eventSource": None}, "`eventSource` is missing"),
    ("text", "not a JSON object"),
    (None, "not a JSON object"),
    ([], "not a JSON object"),
])
def test_a_bad_record_costs_only_itself(tmp_path: Path, bad: object, reason: str) -> None:
    path = write(tmp_path / "log.json", GOOD[0], bad, GOOD[1])
    reader, _ = read(path)
    assert reader.statistics.classes == {RecordClass.MAPPED: 2}
    assert reader.statistics.bad == {str(path): {reason: 1}}


@pytest.mark.parametrize(("bad", "reason"), [
    ('{"eventName": ', "JSON ends early"),
    ("{oops}", "not valid JSON"),
    ("words", "not valid JSON"),
    ('{"unrelated": true}', "not a CloudTrail record"),
    ("[1, 2]", "not a JSON object"),
    (json.dumps({**ONE, "awsRegion": 1}), "`awsRegion` has the wrong type"),
    ('{"a":' * 20_000, "JSON is nested too deeply"),
    (json.dumps({"CloudTrailEvent": "not json"}), "not valid JSON"),
])
def test_a_bad_line_costs_only_itself(tmp_path: Path, bad: str, reason: str) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(f"{json.dumps(ONE)}\n{bad}\n{json.dumps(TWO)}\n")
    reader, _ = read(path)
    assert reader.statistics.records == 2
    assert reader.statistics.bad_reasons() == {reason: 1}


def test_bytes_that_are_no_utf_8_cost_their_record(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    broken = json.dumps(record("iam", "ListGroups")).encode().replace(b"ListGroups", b"List\xff")
    path.write_bytes(json.dumps(ONE).encode() + b"\n" + broken + b"\n")
    reader, _ = read(path)
    assert reader.statistics.records == 1
    assert reader.statistics.bad_reasons() == {"not valid UTF-8": 1}


@pytest.mark.parametrize("cut", [10, 100, 300])
def test_a_half_written_document_is_a_counted_failure(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps({"Records": GOOD})[:cut])
    reader, _ = read(write(tmp_path / "good.json", ONE), path)
    assert reader.statistics.failed == [(str(path), "JSON ends early")]
    assert reader.statistics.records == 1


@pytest.mark.parametrize("indent", [None, 2])
def test_the_whole_records_of_a_half_written_document_are_used(
    tmp_path: Path, indent: int | None
) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps({"Records": [ONE, TWO, ONE]}, indent=indent)[:-60])
    reader, _ = read(path)
    assert reader.statistics.records == 2
    assert reader.statistics.failed == [(str(path), "JSON ends early")]


@pytest.mark.parametrize("is_lines", [False, True])
@pytest.mark.parametrize("agent", ["x\\ud83d", "\\udc00 \\ud83d\\ude00", "\\\\ud800 \\ud800"])
def test_a_sender_cannot_hide_a_call_behind_half_a_character(
    tmp_path: Path, agent: str, is_lines: bool
) -> None:
    hidden = json.dumps({**TWO, "userAgent": "@"}).replace("@", agent)
    path = tmp_path / "log.json"
    path.write_text(f"{json.dumps(ONE)}\n{hidden}\n" if is_lines
                    else f'{{"Records": [{json.dumps(ONE)}, {hidden}]}}')
    assert names(path) == ["ListUsers", "ListRoles"]


@pytest.mark.parametrize("spoilt", ['"\\q"', "nul", "[" * 5000 + "]" * 5000])
def test_json_that_is_broken_inside_one_record_costs_only_that_record(
    tmp_path: Path, spoilt: str
) -> None:
    broken = json.dumps({**ONE, "userAgent": 0}).replace('"userAgent": 0', f'"userAgent": {spoilt}')
    path = tmp_path / "log.json"
    path.write_text(f'{{"a": ["]"], "Records": [{json.dumps(ONE)}, {broken}, {json.dumps(TWO)}]}}')
    reader, _ = read(path)
    assert reader.statistics.records == 2
    assert reader.statistics.bad_records == 1
    assert reader.statistics.files_read == 1


@pytest.mark.parametrize("cut", [20, -1])
def test_a_truncated_gzip_file_is_a_counted_failure(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "half.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"Records": GOOD}).encode())[:cut])
    reader, _ = read(write(tmp_path / "good.json", ONE), path)
    assert reader.statistics.failed == [(str(path), "the gzip stream ends early")]


def test_damaged_gzip_data_is_a_counted_failure(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(json.dumps({"Records": GOOD}).encode()))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "bad.json.gz"
    path.write_bytes(packed)
    reader, _ = read(write(tmp_path / "good.json", ONE), path)
    assert reader.statistics.files_failed == 1


def test_lines_before_the_end_of_a_truncated_stream_are_used(tmp_path: Path) -> None:
    path = tmp_path / "half.ndjson.gz"
    text = lines(*(record("iam", "ListUsers", userAgent=f"{n:0200d}{n * 7919}")
                   for n in range(3000)))
    path.write_bytes(gzip.compress(text.encode())[:-200])
    reader, _ = read(path)
    assert reader.statistics.files_failed == 1
    assert 0 < reader.statistics.records < 3000


def test_a_gzip_bomb_costs_one_file(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b'{"Records":[' + b" " * 5_000_000))
    reader, _ = read(write(tmp_path / "good.json", ONE), path, max_document_bytes=1_000_000)
    assert reader.statistics.records == 1
    assert "max_document_bytes" in reader.statistics.failed[0][1]


def test_a_file_that_inflates_out_of_proportion_is_a_counted_failure(tmp_path: Path) -> None:
    line = json.dumps(record("iam", "ListUsers", eventID=event_id(1))).encode() + b"\n"
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(line + line + b" " * (80 << 20) + b"\n" + line))
    reader, batches = read(path, max_inflation=20)
    assert sum(batch.records for batch in batches) == 1  # what came before is used
    assert "max_inflation" in reader.statistics.failed[0][1]
    reader, _ = read(path, max_inflation=2000)
    assert reader.statistics.failed == []
    assert (reader.statistics.records, reader.statistics.duplicates) == (3, 2)


def test_a_file_that_changes_while_it_is_read_is_a_counted_failure(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(lines(*(record("iam", "ListUsers", eventID=event_id(n)) for n in range(50))))
    reader = read_logs([path], LogOptions(batch_records=10), keys=[])
    path.write_text(lines(*(record("iam", "ListRoles", eventID=event_id(n)) for n in range(60))))
    assert sum(batch.records for batch in reader) == 60
    assert reader.statistics.failed == [(str(path), "changed while it was read")]


@pytest.mark.parametrize(("limit", "failed"), [(100, 1), (100_000, 0)])
def test_the_limit_of_a_file_is_kept(tmp_path: Path, limit: int, failed: int) -> None:
    path = write(tmp_path / "log.json", ONE)
    options = LogOptions(max_file_bytes=limit)
    reader = read_logs([path], options)
    if failed:
        with pytest.raises(SourceError, match="max_file_bytes"):
            list(reader)
    else:
        list(reader)
    assert reader.statistics.files_failed == failed


def wrapped(made: dict[str, Any], form: str) -> str:
    if form == "lines":
        return lines(made, ONE)
    if form == "events":
        return json.dumps({"Events": [{"CloudTrailEvent": json.dumps(made)},
                                      {"CloudTrailEvent": json.dumps(ONE)}]})
    if form == "array":
        return json.dumps([made, ONE])
    return json.dumps({"Records": [made, ONE]})


@pytest.mark.parametrize(("limit", "bad"), [(2000, 1), (20_000, 0)])
@pytest.mark.parametrize("form", ["document", "lines", "events", "array"])
@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("field", ["requestParameters", "responseElements"])
def test_the_limit_of_a_record_is_kept(
    tmp_path: Path, limit: int, bad: int, form: str, is_compiled: bool, field: str
) -> None:
    large = record("sns", "Publish", **{field: {"topicArn": "arn:", "m": "x" * 3000}})
    path = tmp_path / "log.json"
    path.write_text(wrapped(large, form))
    reader, _ = read(path, max_record_bytes=limit, is_compiled=is_compiled)
    assert reader.statistics.bad_reasons() == (
        {f"longer than {limit:,} bytes (max_record_bytes)": 1} if bad else {})
    assert reader.statistics.records == 2 - bad


@pytest.mark.parametrize("form", ["document", "lines"])
def test_records_beyond_a_mebibyte_are_counted_and_told(tmp_path: Path, form: str) -> None:
    """CloudTrail's own limit; what is just below it is read."""
    fits = record("iam", "ListRoles", responseElements={"m": "x" * (1_040_000)})
    large = record("iam", "ListGroups", responseElements={"m": "x" * (1 << 20)})
    path = tmp_path / "log.json"
    path.write_text(lines(fits, large, ONE) if form == "lines"
                    else json.dumps({"Records": [fits, large, ONE]}))
    assert names(path) == ["ListRoles", "ListUsers"]
    assert names(path, is_compiled=False) == ["ListRoles", "ListUsers"]
    rules = policy(tmp_path, allow("iam:*"))
    done = iamtables("audit", "--policy", rules, path)
    assert done.code == 3
    assert "1 records were not read: longer than 1,048,576 bytes (max_record_bytes)" in done.err
    done = iamtables("audit", "--policy", rules, "--max-record-bytes", 2 << 20, path)
    assert (done.code, "not read" in done.err) == (0, False)


def test_a_document_nested_without_end_is_a_counted_failure(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"Records":[' + json.dumps(ONE) + ',{"a":' + "[" * 100_000)
    reader, _ = read(write(tmp_path / "good.json", ONE), path)
    assert reader.statistics.files_failed == 1
    assert reader.statistics.records == 2


def test_wrappers_in_wrappers_end(tmp_path: Path) -> None:
    inner = json.dumps(ONE)
    for _ in range(12):
        inner = json.dumps({"Message": inner})
    path = tmp_path / "deep.ndjson"
    path.write_text(f"{json.dumps(TWO)}\n{inner}\n")
    assert names(path) == ["ListRoles"]


def test_an_unreadable_file_is_a_counted_failure(tmp_path: Path) -> None:
    dangling = tmp_path / "d" / "link.json"
    dangling.parent.mkdir()
    dangling.symlink_to(tmp_path / "nothing")
    reader, _ = read(write(tmp_path / "good.json", ONE), dangling.parent)
    assert reader.statistics.failed == [
        (str(dangling), "cannot be read: No such file or directory")]


# -- duplicates ---------------------------------------------------------------------------------


def test_a_repeated_event_is_counted_and_left_out(tmp_path: Path) -> None:
    a, b = (record("iam", "ListUsers", eventID=event_id(n)) for n in (1, 2))
    elsewhere = {**a, "recipientAccountId": "444455556666"}
    files = write(tmp_path / "1.json", a, b, a), write(tmp_path / "2.json", b, elsewhere)
    reader, batches = read(*files, batch_records=1)
    assert reader.statistics.duplicates == 2
    assert reader.statistics.records == 5
    assert [event for batch in batches for event in batch.event_id] == [
        event_id(1), event_id(2), event_id(1)]


def test_duplicates_are_kept_on_request(tmp_path: Path) -> None:
    a = record("iam", "ListUsers", eventID=event_id(1))
    assert len(names(write(tmp_path / "1.json", a, a), deduplicate=False)) == 2


@pytest.mark.parametrize("identifier", ["", "1", "EXAMPLE", None])
def test_an_identifier_that_is_no_guid_proves_nothing(tmp_path: Path, identifier: Any) -> None:
    a = record("iam", "ListUsers", eventID=identifier)
    assert len(names(write(tmp_path / "1.json", a, a))) == 2


def test_seen_identifiers_are_remembered_while_growing_and_bounded() -> None:
    import numpy as np

    seen = SeenHashes(limit=10_000, seed=7)
    random = np.random.default_rng(1)
    blocks = [random.integers(0, 2**63, 500, dtype=np.uint64) for _ in range(10)]
    for block in blocks:
        assert seen.add(block).all()
    for block in blocks:
        assert not seen.add(block).any()
    assert seen.add(np.array([5, 5, 7, 5], dtype=np.uint64)).tolist() == [True, False, True, False]
    for _ in range(40):
        seen.add(random.integers(0, 2**63, 500, dtype=np.uint64))
    assert len(seen) <= 12_500
    assert seen.forgotten > 0


# -- batches ------------------------------------------------------------------------------------


def test_batches_do_not_change_what_is_read(tmp_path: Path) -> None:
    records = [record("sns", "Publish", userIdentity=ROLE_IDENTITY if n % 3 else ...,
                      eventID=event_id(n),
                      requestParameters={"topicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:t{n % 17}"})
               for n in range(100)]
    path = tmp_path / "log.ndjson"
    path.write_text(lines(*records))
    files = [write(tmp_path / f"{n}.json", *records[n * 10 : n * 10 + 10]) for n in range(10)]

    def rows(paths: list[Path], **options: Any) -> list[tuple[Any, ...]]:
        return [
            (batch.event_id[record_index], batch.action.value(row), batch.resource.value(row),
             batch.principal.value(row), int(batch.record_class[record_index]))
            for batch in read(*paths, **options)[1]
            for row, record_index in enumerate(batch.group.tolist())
        ]

    expected = rows([path])
    assert len(expected) == 100
    assert rows(files) == expected
    assert rows(files, batch_records=7) == expected
    assert rows(files, batch_records=7, max_distinct=3) == expected


def test_dictionaries_grow_and_are_replaced_when_too_large(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.json", record("sns", "Publish", requestParameters={
        "topicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:t{n}"})) for n in range(6)]
    _, batches = read(*files, batch_records=1)
    assert len({id(batch.resource.values) for batch in batches}) == 1
    _, batches = read(*files, batch_records=1, max_distinct=5)
    assert len({id(batch.resource.values) for batch in batches}) > 1
    assert [batch.resource.to_list() for batch in batches] == [
        [f"arn:aws:sns:eu-west-1:{ACCOUNT}:t{n}"] for n in range(6)]


def test_a_record_with_very_many_resources_is_bounded(tmp_path: Path) -> None:
    entries = [{"ARN": f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/{n}"} for n in range(5000)]
    made = record("ssm", "GetParameters", resources=entries)
    _, (batch,) = read(write(tmp_path / "1.json", made))
    assert batch.requests == 1000
    assert batch.resource.value(999) is None
    assert batch.record_class.tolist() == [RecordClass.PARTIAL]


def test_tags_nested_without_end_are_unknown() -> None:
    deep: Any = {"tags": "x"}
    for _ in range(200):
        deep = {"a": deep}
    assert not isinstance(find_tags(deep), dict)


# -- anything may come ----------------------------------------------------------------------------

ODD: list[Any] = [None, True, 0, -1.5, 10**30, "", "x", "arn:", "arn:aws:s3:::", "***",
                  "\ud83d\ude00", "AWS Internal",
                  [], [None], [[]], {}, {"": None}, {"a": {"Tag": 1}}, {"ARN": 5},
                  [{"ARN": "arn:"}],
                  {"tags": [{"key": None}]}, {"sessionContext": {}}]


def mutations(random: Random) -> dict[str, Any]:
    made = json.loads(json.dumps(record(
        random.choice(["s3", "iam", "ec2", "sts", "kms", "lambda", "dynamodb", "signin", "x"]),
        random.choice(["GetObject", "CreateRole", "RunInstances", "AssumeRole", "ReEncrypt",
                       "CreateFunction20150331", "TransactWriteItems", "GetUser", "CopyObject"]),
        userIdentity=random.choice([ROLE_IDENTITY, ONE["userIdentity"]]),
        resources=[{"ARN": "arn:aws:s3:::b/k"}], errorCode=random.choice([None, "AccessDenied"]),
        errorMessage=random.choice(["", "not authorized to perform: s3:GetObject on resource: x"]),
        requestParameters={"tags": [], "roleArn": "arn:aws:iam::1:role/r", "transactItems": [{}]})))
    for _ in range(random.randrange(1, 4)):
        place: Any = made
        while True:
            key = random.choice(list(place))
            if isinstance(place[key], dict) and place[key] and random.random() < 0.7:
                place = place[key]
                continue
            place[key] = copy.deepcopy(random.choice(ODD))
            break
    return made


@pytest.mark.parametrize("seed", range(20))
def test_records_of_any_shape_are_classed_or_counted_as_bad(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    path = write(tmp_path / "odd.json", ONE, *(mutations(random) for _ in range(60)))
    reader = read_logs([path])
    for batch in reader:
        batch.check()
    statistics = reader.statistics
    assert statistics.records + statistics.bad_records == 61
    assert sum(statistics.classes.values()) == statistics.records


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_never_raise_anything_but_a_source_error(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    text = lines(*GOOD, ONE) if seed % 2 else json.dumps({"Records": [*GOOD, ONE]})
    data = bytearray(text.encode() if seed % 3 else gzip.compress(text.encode()))
    for _ in range(random.randrange(1, 6)):
        data[random.randrange(len(data))] = random.randrange(256)
    path = tmp_path / "damaged"
    path.write_bytes(data[: random.randrange(len(data))] if seed % 5 == 0 else data)
    reader = read_logs([path])
    try:
        for batch in reader:
            batch.check()
    except SourceError:
        assert reader.statistics.records == 0
    assert reader.statistics.files_found == 1
