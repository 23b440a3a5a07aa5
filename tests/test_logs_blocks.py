"""The compiled extractor against its judge, the reader that decodes: the same columns."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import FULL_ACCESS, READ_ONLY, allow, deny, policy
from log_records import ACCOUNT, ROLE_IDENTITY, record
from shared_data import shared_data

import iamtables as it
from iamtables.audit import Audit, needs_request
from iamtables.demo.sample import write_sample
from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.logs import blocks as blocks_module
from iamtables.logs.texts import GrowingTexts, StoredTexts, Texts

pytestmark = pytest.mark.skipif(
    not blocks_module.is_available(), reason="the extractor is not built")

SOURCES = ("invictus", "grycap", "otrf", "plaso", "panther", "custodian", "trailscraper")


def content(reader: LogReader) -> tuple[list[tuple[Any, ...]], Any]:
    """All records with all that is known of them, and the counts."""
    rows: list[tuple[Any, ...]] = []
    for batch in reader:
        batch.check()
        columns = [batch.action, batch.resource, batch.resource_pattern, batch.resource_state,
                   batch.principal, *batch.context.values()]
        requests: list[list[Any]] = [[] for _ in range(batch.records)]
        for row, group in enumerate(batch.group.tolist()):
            requests[group].append(tuple(
                str(column.value(row)) if column.codes[row] >= 0 else int(column.codes[row])
                for column in columns))
        of_record = [batch.record_reason, batch.event_source, batch.event_name, batch.error_code,
                     batch.principal_type, batch.session, batch.region, batch.account,
                     batch.outcome_kind]
        for number, event_id in enumerate(batch.event_id):
            rows.append((
                event_id, int(batch.time[number]), int(batch.record_class[number]),
                bool(batch.is_complete[number]), int(batch.identity[number]),
                int(batch.outcome[number]), int(batch.outcome_explicit[number]),
                batch.files[batch.file[number]],
                *(column.value(number) for column in of_record), tuple(requests[number])))
    statistics = reader.statistics
    statistics.check()
    return rows, (statistics.records, statistics.classes, statistics.reasons, statistics.bad,
                  statistics.skipped, statistics.failed, statistics.duplicates,
                  statistics.requesters, statistics.requests, statistics.replaced,
                  statistics.corrections_late)


def both(paths: Sequence[Path], keys: Sequence[str] | None = None, **options: Any) -> Any:
    """The content by either reader, which must be the same."""
    fast = content(read_logs(paths, LogOptions(**options), keys))
    slow = content(read_logs(paths, LogOptions(is_compiled=False, **options), keys))
    assert fast[1] == slow[1]
    assert fast[0] == slow[0]
    return fast


def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the number of records of every block that the extractor takes."""
    sizes: list[int] = []
    original = blocks_module.BlockReader.take_pieces

    def take_pieces(self: Any, *given: Any) -> Any:
        block = original(self, *given)
        if block is not None:
            sizes.append(len(block.call))
        return block

    monkeypatch.setattr(blocks_module.BlockReader, "take_pieces", take_pieces)
    return sizes


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("keys", [None, (), ("aws:SourceIp", "aws:RequestTag/a", "aws:TagKeys")])
def test_real_records_give_the_same_columns(source: str, keys: Sequence[str] | None) -> None:
    both([shared_data("cloudtrail", source)], keys, deduplicate=False)


def test_the_extractor_takes_what_accounts_really_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = taken(monkeypatch)
    list(read_logs([shared_data("cloudtrail", "invictus")], keys=[]))
    assert sum(sizes) > 2800


def test_a_generated_log_gives_the_same_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = taken(monkeypatch)
    log = write_sample(tmp_path / "log", records=4000, seed=5)
    both([log.directory], ("aws:SourceIp", "aws:CalledViaLast", "aws:RequestTag/team"))
    assert sum(sizes) > 3900


# -- fuzz ---------------------------------------------------------------------------------------

STRINGS = ["", "x", "é", "\U0001f511", "\\", '"', "\n", "a" * 40, "2026-01-02T03:04:05Z",
           "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z",
           "2026-01-02 03:04:05.000", "2.0", "AccessDenied", "Client.UnauthorizedOperation",
           "arn:aws:s3:::b/k", "AWS Internal", "s3.amazonaws.com", "GetObject"]
SCALARS: list[Any] = [None, True, False, 0, -1.5e300, 10**30, [], {}, [[]], {"a": {"b": [1]}},
                      {"reason": "UPDATED_DATA", "originalEventID": "7" * 36}]
FIELDS = ["eventSource", "eventName", "eventID", "eventTime", "userIdentity", "awsRegion",
          "recipientAccountId", "sourceIPAddress", "userAgent", "errorCode", "errorMessage",
          "requestParameters", "resources", "eventType", "eventCategory", "eventVersion",
          "vpcEndpointId", "tlsDetails", "additionalEventData", "@timestamp", "somethingNew",
          "addendum", "responseElements"]
ARNS = ["arn:aws:s3:::b/k", "arn:aws:s3:::b", "arn:aws:s3:::job/1", "arn:aws:s3:::b/",
        "arn:aws:s3:::",
        "arn:aws:s3:::/k", "arn:aws-cn:s3:::b/k", "arn:aws:s3:::b/k...(truncated)",
        "arn:aws:s3:eu-west-1:111122223333:accesspoint/p", "arn:aws:s3:::accesspoint/p/object/k",
        "arn:aws:s3:::b/a\\b", "arn:aws:s3:::b/\u00e9", "arn:aws:kms:eu-west-1:1:key/k", ""]
CALLS = [("s3", "GetObject"), ("s3", "GetObject"), ("s3", "PutObject"), ("s3", "ListObjects"),
         ("s3", "DeleteObjects"), ("s3", "HeadObject"), ("ec2", "RunInstances"),
         ("iam", "GetUser"), ("iam", "CreateRole"),
         ("sts", "AssumeRole"), ("kms", "ReEncrypt"), ("lambda", "Invoke"), ("x", "y"),
         ("dynamodb", "PutItem"), ("sts", "GetCallerIdentity"), ("s3", "CopyObject"),
         ("s3", "CreateBucket"), ("dynamodb", "TransactWriteItems")]


def fuzzed(random: Random) -> dict[str, Any]:
    service, name = random.choice(CALLS)
    made = record(service, name, eventID=f"{random.getrandbits(128):032x}abcd")
    if random.random() < 0.5:
        made["userIdentity"] = ROLE_IDENTITY
    if random.random() < 0.5:
        made["requestParameters"] = {"bucketName": "b", "key": random.choice(STRINGS),
                                     "roleName": "r", "tags": [{"key": "a", "value": "b"}]}
        made["resources"] = [{"ARN": "arn:aws:s3:::b/k"}, {"ARN": "arn:aws:s3:::b",
                                                           "accountId": ACCOUNT}]
    if service == "s3" and random.random() < 0.8:
        made["requestParameters"] = {"bucketName": random.choice(["b", "b--x-s3"]), "key": "k"} | (
            random.choice([{}, {}, {"versionId": "1"}, {"x-amz-acl": "private"}]))
        made["resources"] = [
            random.choice([{"ARN": arn}, {"type": "AWS::S3::Object", "ARN": arn},
                           {"arn": arn, "accountId": None}, {"ARN": arn, "other": 1},
                           {"ARNPrefix": arn}, {"ARN": arn, "arn": "arn:aws:s3:::z"},
                           {'a"b': arn, "ARN": arn}, {"ARN": arn, 'x\\"': "y"}, {"ARN": ""}])
            for arn in random.choices(ARNS, k=random.choice([1, 1, 2, 2, 3, 5]))]
    for _ in range(random.choice([0, 0, 1, 1, 2, 4])):
        field = random.choice(FIELDS)
        if random.random() < 0.15:
            made.pop(field, None)
        else:
            made[field] = random.choice(random.choice([STRINGS, SCALARS]))
    items = list(made.items())
    random.shuffle(items)
    return dict(items)


def text_of(random: Random, made: dict[str, Any]) -> str:
    """JSON of a record in some spelling; sometimes a name twice, or not quite JSON."""
    text = json.dumps(made, ensure_ascii=random.random() < 0.5,
                      indent=random.choice([None, None, None, 1]),
                      separators=random.choice([(",", ":"), None]))
    roll = random.random()
    if roll < 0.05:
        text = text[:-1] + ',"eventName":"ListUsers"}'
    elif roll < 0.08:
        text = text.replace('"event', '"\\u0065vent', 1)
    elif roll < 0.10:
        text = text.replace('"awsRegion":', '"awsRegion":"\\ud800", "x":', 1)
    elif roll < 0.12:
        text = text[:-1] + ',"deep":' + "[" * 60 + "]" * 60 + "}"
    elif roll < 0.135:
        text = text.replace(":", ": 01,", 1) if random.random() < 0.5 else text + "}"
    return text


@pytest.mark.parametrize("seed", range(60))
def test_fuzzed_documents_give_the_same_columns(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    texts = [text_of(random, fuzzed(random)) for _ in range(random.choice([1, 3, 40]))]
    data = ('{"Records":[' + ",".join(texts) + "]}").encode("utf-8", "surrogatepass")
    if random.random() < 0.3:
        place = random.randrange(len(data))
        data = data[:place] + bytes([random.randrange(256)]) + data[place + random.randrange(2):]
    path = tmp_path / "log.json"
    path.write_bytes(data)
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"Records": [record("iam", "ListUsers")]}))
    both([good, path], random.choice([None, (), ("aws:PrincipalArn", "s3:prefix")]))


@pytest.mark.parametrize("seed", range(40))
def test_fuzzed_lines_give_the_same_columns(tmp_path: Path, seed: int) -> None:
    random = Random(1000 + seed)
    texts = [text_of(random, fuzzed(random)).replace("\n", " ") for _ in range(30)]
    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    if random.random() < 0.5:
        place = random.randrange(len(data))
        data = data[:place] + bytes([random.randrange(256)]) + data[place + 1:]
    path = tmp_path / "log.ndjson"
    path.write_bytes(gzip.compress(data))
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"Records": [record("iam", "ListUsers")]}))
    both([good, path], random.choice([None, ()]))


@pytest.mark.parametrize("seed", range(10))
def test_buckets_and_objects_of_one_shape_give_the_same_columns(
    tmp_path: Path, seed: int
) -> None:
    random = Random(2000 + seed)
    records = [
        record("s3", random.choice(["GetObject", "PutObject", "HeadObject", "ListObjects"]),
               eventID=f"{random.getrandbits(128):032x}abcd",
               errorCode=random.choice([None, None, None, "AccessDenied", "NoSuchKey"]),
               errorMessage=random.choice([None, "Access Denied"]),
               requestParameters={"bucketName": "b", "key": "k"} | (
                   {"versionId": "3"} if random.random() < 0.1 else {}),
               resources=[{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b/{n % 37}/{n}"},
                          {"accountId": ACCOUNT, "type": "AWS::S3::Bucket",
                           "ARN": random.choice(["arn:aws:s3:::b", "arn:aws:s3:::c"])}][
                              :: random.choice([1, -1])])
        for n in range(400)]
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": records}))
    both([path], ())
    both([path], ("aws:SourceIp",), max_distinct=50)
    both([path], ("s3:prefix", "aws:ResourceAccount"))


def test_other_resources_of_s3_are_kept_apart() -> None:
    from iamtables.catalogue import load_catalogue
    from iamtables.logs.slices import RESERVED

    heads = set()
    for template in load_catalogue().templates_of_field("s3"):
        rest = template.split(":", 5)[5]
        if "/" in rest and not rest.startswith("${"):
            heads.add(rest.partition("/")[0].encode())
    assert heads == set(RESERVED)


def test_the_tables_may_start_anew_at_any_time(tmp_path: Path) -> None:
    log = write_sample(tmp_path / "log", records=3000, seed=6)
    once = both([log.directory], None)
    again = both([log.directory], None, max_distinct=50, batch_records=200)
    assert again[0] == once[0]


@pytest.mark.parametrize("text", [
    "2026-01-02T03:04:05Z", "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2000-03-01T23:59:59Z",
    "1970-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "2026-12-31T23:59:60Z", "0000-01-01T00:00:00Z",
    "2100-02-28T12:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02T24:00:00Z", "9999-01-01T00:00:00Z"])
def test_times_are_read_alike(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": [record("iam", "ListUsers", eventTime=text)]}))
    both([path])


def test_actions_that_depend_on_values_give_the_same_columns(tmp_path: Path) -> None:
    calls = [
        *(("s3", "CreateBucket", {"bucketName": f"b{number}", "x-amz-acl": acl})
          for number in range(20) for acl in ("private", "publicx", "public-read", ["private"])),
        *(("s3", "CopyObject", {"bucketName": "to", "key": f"k{number}",
                                "x-amz-copy-source": f"from/{number}{version}", **tags})
          for number in range(20) for version in ("", "?versionId=1", "?versionid=1")
          for tags in ({}, {"x-amz-tagging-directive": "REPLACE"},
                       {"x-amz-tagging-directive": "replace"})),
        *(("dynamodb", "TransactWriteItems", {"transactItems": [
            {"put": {"tableName": f"Table{number % 3}"}},
            {"delete": {"tableName": f"Table{number % 5}"}}]}) for number in range(20)),
        *(("dynamodb", "ExecuteStatement", {"statement": f"select * from Table{number % 4}"})
          for number in range(20)),
        *(("deadline", "BatchGetJob", {"identifiers": [{"jobId": f"job-{number}"}]})
          for number in range(20)),
    ]
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": [
        record(service, name, requestParameters=parameters, eventID=f"{number:036d}")
        for number, (service, name, parameters) in enumerate(calls)]}))
    rows, counts = both([path], None)
    assert len(rows) == len(calls) and counts[0] == len(calls)
    actions = {request[0] for row in rows for request in row[-1]}
    assert {"s3:PutBucketAcl", "s3:GetObjectVersion", "s3:GetObject", "dynamodb:DeleteItem",
            "dynamodb:PartiQLSelect", "deadline:GetJob"} <= actions
    acls = sum(any(request[0] == "s3:PutBucketAcl" for request in row[-1]) for row in rows)
    assert acls == 40  # two of four each: `private` needs none


# -- what policies ask for ----------------------------------------------------------------------


@pytest.mark.parametrize("rules", [
    [allow("*")], [allow("s3:*"), deny("s3:GetObject", "arn:aws:s3:::b/*")],
    [allow(["ec2:*", "iam:*"]), allow("kms:Decrypt", "arn:aws:kms:*:*:key/*"),
     deny("iam:*Role", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})],
    [allow("ssm:*", Condition={"StringEquals": {"aws:RequestTag/a": "b"}})],
])
@pytest.mark.parametrize("source", ["invictus", "grycap", "panther"])
def test_what_no_policy_asks_for_changes_no_decision(
    tmp_path: Path, source: str, rules: list[dict[str, Any]]
) -> None:
    table = it.compile(it.load_policy(policy(tmp_path, *rules)))
    paths = [shared_data("cloudtrail", source)]
    decided = []
    for needs in (None, needs_request(table)):
        audit = Audit(table)
        results = [audit.add(batch) for batch in read_logs(
            paths, LogOptions(deduplicate=False), list(table.keys), needs=needs)]
        summary = audit.summary()
        decided.append((np.concatenate([result.decision for result in results]).tolist(),
                        summary.decisions, summary.agreement))
    assert decided[0] == decided[1]


def test_policies_that_name_no_resource_leave_resources_unbuilt() -> None:
    table = it.compile([document for path in (FULL_ACCESS, READ_ONLY)
                        for document in it.load_policy(path)])
    needs = needs_request(table)
    assert not needs("ec2:DeleteVpc")  # nobody mentions it: denied whatever the resource
    assert needs("iam:PassRole")
    states = {
        str(batch.resource_state.value(row))
        for batch in read_logs([shared_data("cloudtrail", "invictus")], keys=[], needs=needs)
        for row, action in enumerate(batch.action.to_list()) if action == "ec2:DeleteVpc"}
    assert states == {"not needed"}


# -- texts --------------------------------------------------------------------------------------


def test_texts_are_a_sequence_of_what_they_were_made_of() -> None:
    given = ["", "a", "é", "0" * 36, "x" * 7, "", "y" * 8]
    texts = Texts.of(given)
    assert list(texts) == given and len(texts) == 7 and texts[-1] == given[-1]
    assert texts[1:4] == given[1:4]
    mask = np.array([True, False, True, True, False, False, True])
    assert list(texts.take(mask)) == [given[i] for i in np.flatnonzero(mask)]
    assert list(Texts.joined([texts, Texts.of([]), texts.take(mask)])) == [
        *given, "", "é", "0" * 36, "y" * 8]
    assert texts.to_arrow().to_pylist() == given
    assert list(Texts.joined([])) == []


def test_hashes_tell_texts_apart_and_do_not_depend_on_their_neighbours() -> None:
    random = Random(3)
    given = [f"{random.getrandbits(128):032x}"[: random.choice([0, 7, 8, 9, 32])]
             for _ in range(500)]
    hashes = Texts.of(given).hashes().tolist()
    by_text = dict(zip(given, hashes, strict=True))
    assert [by_text[text] for text in given] == hashes
    assert len(set(by_text.values())) == len(by_text)
    assert Texts.of(given[7:8]).hashes().tolist() == hashes[7:8]


def test_stored_texts_are_loaded_once_and_give_the_same() -> None:
    texts = ["a" * 36, "", "b", "c" * 40, "d"]
    whole = Texts.of(texts)
    loads: list[int] = []

    def load() -> Texts:
        loads.append(1)
        return Texts.of(texts)

    stored = StoredTexts(load, np.arange(5, dtype=np.uint64), whole.are_at_least(32), 32)
    part = stored.take(np.array([3, 0, 1])).take(np.array([True, False, True]))
    assert part.record_hashes.tolist() == [3, 1]
    assert part.are_at_least(32).tolist() == [True, False] and len(part) == 2
    assert not loads
    assert list(part) == ["c" * 40, ""] and part[0] == "c" * 40 and part.lengths().tolist() == [
        40, 0]
    assert loads == [1]
    assert part.hashes().tolist() == whole.take(np.array([3, 1])).hashes().tolist()
    assert list(stored) == texts and stored.are_at_least(1).tolist() == [True, False, True, True,
                                                                         True]


def test_texts_in_place_are_a_dictionary_like_any_other() -> None:
    """Whatever holds the resources, decisions on them are the same."""
    table = it.compile(it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}]})))
    listed = ["arn:aws:s3:::a/1", "arn:aws:s3:::b/1", "arn:aws:s3:::a/\u00e9", ""]
    growing = GrowingTexts(Texts.of(listed[:2]))
    growing.extend(listed[2:3])
    growing.append(listed[3])
    assert list(growing) == listed and growing[-1] == "" and len(growing) == 4
    assert list(growing.take(np.array([2, 0]))) == [listed[2], listed[0]]
    codes = np.array([0, 1, 2, 3, -1, 0, 1], dtype=np.int32)
    decided = [table.decide(action="s3:GetObject", resource=it.DictionaryColumn(codes, values),
                            context={}).decision.tolist()
               for values in (listed, growing, Texts.of(listed))]
    assert decided[0] == decided[1] == decided[2]
    assert len(set(decided[0])) > 1


@pytest.mark.parametrize("offsets", [
    [0, 5], [3, 4, 5], [0, 4, 2, 5], [0, 2, 99], [-1, 2, 5]])
def test_texts_that_contradict_themselves_are_not_read_in_place(offsets: list[int]) -> None:
    from iamtables.runtime.columns import _packed_already

    class Held:
        data = np.frombuffer(b"abcde", dtype=np.uint8)

    held = Held()
    held.offsets = np.array(offsets, dtype=np.int64)  # type: ignore[attr-defined]
    assert (_packed_already(held) is not None) == (offsets == [0, 5])
    assert _packed_already(["abc"]) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_refused_file_leaves_no_call_without_its_row(tmp_path: Path, seed: int) -> None:
    """Calls that a file brought before it was left to the reader that decodes come again in sound
    files, which the extractor takes."""
    random = Random(seed)
    calls = [{"service": service, "name": name,
              "errorCode": error, "requestParameters": {"name": f"n{number}"}}
             for number, (service, name, error) in enumerate(
                 (service, name, error) for service in ("sqs", "lambda", "dynamodb", "iam")
                 for name in ("CreateQueue", "GetFunction", "GetItem", "GetRole", "Nothing")
                 for error in (None, "AccessDenied"))]
    damages = [b'"eventVersion":"\xff"', b'"eventVersion":5', b'"readOnly":{"a":[1]}',
               b'"requestParameters":"no object"', b'"eventTime":[]', b'"eventID":{}', b'"x":}']
    paths = []
    for number in range(14):
        texts = [json.dumps(record(**random.choice(calls), eventID=f"{number}-{at}"),
                            separators=(",", ":")).encode() for at in range(random.randrange(1, 9))]
        if number % 2:
            at = random.randrange(len(texts))
            damage = random.choice(damages)
            texts[at] = texts[at][:-1] + b"," + damage + b"}"
        paths.append(tmp_path / f"{number:02}.json")
        paths[-1].write_bytes(b'{"Records":[' + b",".join(texts) + b"]}")
    rows, _ = both(paths)
    assert len(rows) > 20
