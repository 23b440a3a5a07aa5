"""What the `eventContext` of an enriched record tells stands above what follows from the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import allow, iamtables, policy
from log_records import ACCOUNT, ROLE, ROLE_IDENTITY, USER_IDENTITY, read_one, record, write
from test_logs_blocks import both, content, taken

from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.logs import cache as cache_module
from iamtables.logs.columns import ABSENT
from iamtables.logs.event_context import EventContexts

VPC = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-1"
OBJECT = "arn:aws:s3:::b/k"
TEAM, KEEPER = "aws:PrincipalTag/team", "aws:ResourceTag/keeper"


def context(*, principal: Any = ..., resources: Any = ..., **request: Any) -> dict[str, Any]:
    """An `eventContext`; names of keys with `_` for `:` and `__` for `/`."""
    keys = {name.replace("__", "/").replace("_", ":", 1): value for name, value in request.items()}
    tags = {"principalTags": principal, "resourceTags": resources}
    return {"requestContext": keys,
            "tagContext": {name: value for name, value in tags.items() if value is not ...}}


def call(told: Any, **fields: Any) -> dict[str, Any]:
    return record("ec2", "DeleteVpc", **{"requestParameters": {"vpcId": "vpc-1"},
                                         "eventContext": told} | fields)


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def is_compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def value_of(tmp_path: Path, made: dict[str, Any], key: str, is_compiled: bool = True) -> Any:
    """Of the first request: a value, None (absent), ... (unknown), or "-" (not given)."""
    seen = read_one(tmp_path, made, [key], LogOptions(is_compiled=is_compiled))
    return seen.context[0].get(key, "-")


@pytest.mark.parametrize(("told", "key", "expected"), [
    (context(principal={"Team": "red"}), TEAM, "red"),
    (context(principal={"Team": "red"}), "AWS:principaltag/TEAM", "red"),
    (context(principal={"other": "red"}), TEAM, "-"),
    (context(principal={"team": ""}), TEAM, ""),
    (context(principal={"team": "***"}), TEAM, ...),
    (context(principal={"team": None}), TEAM, "-"),
    (context(principal={"team": "red", "TEAM": "blue"}), TEAM, ...),
    (context(principal={"team": "red", "TEAM": "red"}), TEAM, "red"),
    (context(principal={"team": "red"}, aws_PrincipalTag__team="blue"), TEAM, ...),
    (context(aws_PrincipalTag__team="blue"), TEAM, "blue"),
    (context(resources=[{"arn": VPC, "tags": {"Keeper": "me"}}]), KEEPER, "me"),
    (context(resources=[{"arn": VPC + "0", "tags": {"Keeper": "me"}}]), KEEPER, "-"),
    (context(resources=[{"arn": VPC, "tags": {"keeper": "me"}},
                        {"arn": VPC, "tags": {"keeper": "you"}}]), KEEPER, ...),
    (context(resources=[{"arn": VPC, "tags": {"a": "1"}},
                        {"arn": VPC, "tags": {"keeper": "you"}}]), KEEPER, "you"),
    (context(aws_MultiFactorAuthAge="30"), "aws:MultiFactorAuthAge", "30"),
    (context(aws_multifactorauthage=30), "aws:MultiFactorAuthAge", "30"),
    (context(), "aws:MultiFactorAuthAge", None),                       # as without it
    (context(aws_SourceIp="192.0.2.1"), "aws:SourceIp", "192.0.2.1"),  # above what is derived
    (context(aws_SourceIp="***"), "aws:SourceIp", ...),
    (context(aws_SourceIp=None), "aws:SourceIp", "198.51.100.7"),
    (context(aws_SourceVpc="vpc-9"), "aws:SourceVpc", "vpc-9"),
    (context(aws_SecureTransport=True), "aws:SecureTransport", "true"),
    (context(aws_PrincipalOrgPaths=["o-1/r-1/", "o-1/r-1/ou-1/"]), "aws:PrincipalOrgPaths",
     ["o-1/r-1/", "o-1/r-1/ou-1/"]),
    (context(aws_PrincipalOrgPaths="o-1/r-1/"), "aws:PrincipalOrgPaths", ["o-1/r-1/"]),
    (context(aws_PrincipalOrgPaths=["o-1/r-1/", "***"]), "aws:PrincipalOrgPaths", ...),
    (context(aws_SourceVpc=["vpc-9"]), "aws:SourceVpc", "vpc-9"),
    (context(aws_SourceVpc=["vpc-9", "vpc-8"]), "aws:SourceVpc", ...),   # it has one value only
    (context(aws_SourceVpc={"a": "b"}), "aws:SourceVpc", ...),
    (context(ec2_Attribute="x"), "ec2:Attribute", "x"),
    (context(aws_CurrentTime="2026-01-02T03:04:09Z"), "aws:CurrentTime", "2026-01-02T03:04:09Z"),
    (context(aws_ResourceAccount="999988887777"), "aws:ResourceAccount", "999988887777"),
])
def test_what_is_given_is_the_value_of_its_key(
    tmp_path: Path, told: Any, key: str, expected: Any, is_compiled: bool
) -> None:
    assert value_of(tmp_path, call(told), key, is_compiled) == expected


def test_tags_of_objects_are_no_resource_tags(tmp_path: Path) -> None:
    made = record("s3", "GetObject", requestParameters={"bucketName": "b", "key": "k"},
                  resources=[{"ARN": OBJECT}],
                  eventContext=context(resources=[{"arn": OBJECT, "tags": {"keeper": "me"}}]))
    assert value_of(tmp_path, made, KEEPER) == "-"
    made["eventName"], made["resources"] = "ListObjects", [{"ARN": "arn:aws:s3:::b"}]
    made["eventContext"] = context(resources=[
        {"arn": "arn:aws:s3:::b", "tags": {"keeper": "me"}}])
    assert value_of(tmp_path, made, KEEPER) == "me"


def test_of_several_requests_each_has_the_tags_of_its_own_resource(tmp_path: Path) -> None:
    """What is said of one resource or one service is not said of another in the same record."""
    other = VPC.replace("vpc-1", "vpc-2")
    made = record("ec2", "TerminateInstances", requestParameters={"instancesSet": {"items": [
        {"instanceId": "i-1"}, {"instanceId": "i-2"}, {"instanceId": "i-3"}]}},
        eventContext=context(
            principal={"team": "red"}, aws_ResourceAccount="999988887777", ec2_Attribute="x",
            resources=[{"arn": VPC.replace("vpc/vpc-1", "instance/i-1"), "tags": {"keeper": "a"}},
                       {"arn": other, "tags": {"keeper": "z"}},
                       {"arn": VPC.replace("vpc/vpc-1", "instance/i-3"),
                        "tags": {"keeper": "c"}}]))
    seen = read_one(tmp_path, made, [KEEPER, TEAM, "aws:ResourceAccount", "ec2:Attribute"])
    assert [row.get(KEEPER, "-") for row in seen.context] == ["a", "-", "c"]
    assert [row[TEAM] for row in seen.context] == ["red"] * 3
    assert [row["ec2:Attribute"] for row in seen.context] == [...] * 3
    assert "999988887777" not in [row["aws:ResourceAccount"] for row in seen.context]
    assert len(seen.requests) == 3


WRONG: list[Any] = [
    7, "text", True, [], [[]], {}, {"requestContext": 7}, {"requestContext": ["aws:SourceIp"]},
    {"tagContext": "x"}, {"tagContext": {"principalTags": ["team"], "resourceTags": {"arn": VPC}}},
    {"tagContext": {"resourceTags": [7, None, [], {"arn": 5, "tags": {"keeper": "x"}},
                                     {"arn": VPC, "tags": "x"}, {"tags": {"keeper": "x"}},
                                     {"arn": "vpc-1", "tags": {"keeper": "x"}}]}},
    {"requestContext": {"": ["a"]}}, {"REQUESTCONTEXT": {"aws:SourceIp": "192.0.2.1"}},
]


@pytest.mark.parametrize("told", [None, ..., *WRONG])
def test_a_wrong_shape_tells_nothing_and_costs_nothing(
    tmp_path: Path, told: Any, is_compiled: bool
) -> None:
    keys = ["aws:SourceIp", TEAM, KEEPER]
    reader = read_logs([write(tmp_path / "log.json", call(told), call(...))],
                       LogOptions(is_compiled=is_compiled), keys)
    (batch,) = reader
    assert (batch.records, reader.statistics.bad_records) == (2, 0)
    assert batch.context["aws:SourceIp"].to_list() == ["198.51.100.7"] * 2
    assert batch.context[TEAM].codes.tolist() == [-3, -3] and KEEPER not in batch.context


def test_what_nobody_asks_for_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(tmp_path / "log.json", call(context(principal={"team": "red"}, aws_userid="x")))
    assert EventContexts(["aws:other"]).told(b'{"requestContext": {"aws:userid": "x"}}') == ""

    def told(self: EventContexts, raw: bytes) -> str:
        raise AssertionError("read")

    monkeypatch.setattr(EventContexts, "told", told)
    assert sum(batch.records for batch in read_logs([log], keys=[])) == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamtables.logs.event_context._MAX_REMEMBERED", 3)
    found = EventContexts(None)
    for number in range(20):
        raw = json.dumps({"requestContext": {"aws:userid": f"u{number}"}}).encode()
        assert json.loads(found.told(raw))["keys"] == {"aws:userid": f"u{number}"}
        assert found.told(raw) == found.told(raw)
    long = json.dumps({"requestContext": {"aws:userid": "u" * 5000}}).encode()
    assert "u" * 5000 in found.told(long)
    assert len(found._known) <= 3 and long not in found._known


# -- by both readers, from a cache, from tables ---------------------------------------------------

KEYS = [TEAM, KEEPER, "aws:SourceIp", "aws:MultiFactorAuthAge", "aws:PrincipalOrgPaths",
        "aws:CurrentTime", "aws:userid", "aws:RequestTag/a", "kms:ViaService"]
TEXTS = ["red", "", "***", "é", "\U0001f511", "HIDDEN_DUE_TO_SECURITY_REASONS", "a" * 300]
VALUES: list[Any] = [*TEXTS, None, True, 5, 1.5, 10**30, ["red"], ["red", "blue"], [], [None],
                     {"a": 1}]


def fuzzed(random: Random) -> Any:
    if random.random() < 0.25:
        return random.choice([..., None, *WRONG])
    names = ["aws:SourceIp", "AWS:SOURCEIP", "aws:MultiFactorAuthAge", "aws:PrincipalOrgPaths",
             "aws:userid", "aws:PrincipalTag/team", "aws:requesttag/A", "kms:ViaService", "x", ""]
    tags = ["team", "Team", "keeper", "KEEPER", ""]
    arns = [VPC, VPC + "0", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/*", "x", 5]

    def some(keys: Sequence[Any], values: Sequence[Any]) -> dict[str, Any]:
        return {key: random.choice(values) for key in random.sample(keys, random.randrange(4))}

    return {"requestContext": some(names, VALUES), "tagContext": {
        "principalTags": some(tags, VALUES),
        "resourceTags": [{"arn": random.choice(arns), "tags": some(tags, VALUES)}
                         for _ in range(random.randrange(4))]}}


def values(reader: LogReader, keys: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Of each request: the event ID, and its values, None (absent) or ... (unknown)."""
    found: list[tuple[str, list[Any]]] = []
    for batch in reader:
        batch.check()
        for row, group in enumerate(batch.group.tolist()):
            columns = [batch.context.get(key) for key in keys]
            found.append((batch.event_id[group], [
                ... if column is None or column.codes[row] < ABSENT else column.value(row)
                for column in columns]))
    reader.statistics.check()
    return found


def enriched(seed: int, records: int = 60) -> list[dict[str, Any]]:
    random = Random(seed)
    calls = [("ec2", "DeleteVpc", {"vpcId": "vpc-1"}), ("iam", "ListUsers", {}),
             ("kms", "Decrypt", None), ("ec2", "CreateVpc", {"tagSpecificationSet": {"items": [
                 {"resourceType": "vpc", "tags": [{"key": "a", "value": "b"}]}]}}),
             ("sts", "GetCallerIdentity", None), ("nobody", "Knows", {})]
    made = []
    for number in range(records):
        service, name, parameters = random.choice(calls)
        made.append(record(
            service, name, requestParameters=parameters, eventContext=fuzzed(random),
            userIdentity=random.choice([USER_IDENTITY, ROLE_IDENTITY]),
            eventID=f"{random.randrange(records):036d}", userAgent=random.choice(["x", "é"]),
            addendum=random.choice([None] * 20 + [
                {"reason": "UPDATED_DATA", "originalEventID": f"{number:036d}"}])))
    return made


@pytest.mark.parametrize("seed", range(20))
def test_readers_and_caches_agree_on_fuzzed_contexts(tmp_path: Path, seed: int) -> None:
    made = enriched(seed)
    logs = [write(tmp_path / "1.json", *made[:25])]
    lines = tmp_path / "2.ndjson"
    lines.write_text("\n".join(map(json.dumps, made[25:])) + "\n")
    logs.append(lines)
    keys = KEYS if seed % 2 else [*KEYS[:2], "aws:SourceVpc"]
    both(logs, keys, batch_records=1000)
    both(logs, keys, batch_records=1)
    expected = values(read_logs(logs, None, keys), keys)
    assert any(value is not ... for _, request in expected for value in request)
    options: dict[str, Any] = {"cache": str(tmp_path / "cache")}
    for number in range(3):
        reader = read_logs(logs, LogOptions(**options, is_compiled=number != 1), keys)
        assert values(reader, keys) == expected
        assert reader.statistics.files_cached == (2 if number else 0)
    assert values(read_logs(logs, LogOptions(**options), KEYS[::-1]), KEYS) == values(
        read_logs(logs, None, KEYS[::-1]), KEYS)
    # a file of two, whose rows stand elsewhere
    assert values(read_logs(logs[1:], LogOptions(**options), keys), keys) == values(
        read_logs(logs[1:], None, keys), keys)


def test_enriched_records_stay_with_the_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = taken(monkeypatch)
    log = write(tmp_path / "log.json", *(
        call(context(principal={"team": f"t{number % 7}"}), eventID=f"{number:036d}")
        for number in range(4000)))
    rows, _ = both([log], [TEAM], batch_records=1000)
    assert sizes == [4000]
    assert [row[-1][0][-1] for row in rows] == [f"t{number % 7}" for number in range(4000)]


def test_a_segment_is_written_when_its_contexts_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SEGMENT_ENRICHED_BYTES", 1000)
    logs = [write(tmp_path / f"{number}.json", call(
        context(principal={"team": "x" * 600 + str(number)}), eventID=f"{number:036d}"))
        for number in range(6)]
    cache = tmp_path / "cache"
    expected = content(read_logs(logs, LogOptions(cache=str(cache)), [TEAM]))
    assert len(list(cache.glob("*.segment"))) == 3
    again = read_logs(logs, LogOptions(cache=str(cache)), [TEAM])
    assert content(again) == expected and again.statistics.files_cached == 6


@pytest.mark.parametrize("damage", ["gone", "row", "text", "shape", "null", "type"])
def test_damaged_contexts_of_a_segment_are_read_again(tmp_path: Path, damage: str) -> None:
    log = write(tmp_path / "log.json", call(context(principal={"team": "red"})), call(...))
    options = LogOptions(cache=str(tmp_path / "cache"))
    expected = content(read_logs([log], options, [TEAM]))
    segment, = (tmp_path / "cache").glob("*.segment")
    path = segment / "event_contexts.parquet"
    told = pq.read_table(path).column("told").to_pylist()[0]
    made: dict[str, Any] = {
        "row": ([9], [told]), "text": ([0], ["{"]), "shape": ([0], ['{"keys": {"x": 5}}']),
        "null": ([0], [None]), "type": (["0"], [told])}
    if damage == "gone":
        path.unlink()
    else:
        row, text = made[damage]
        pq.write_table(pa.table({
            "row": pa.array(row, pa.string() if damage == "type" else pa.int32()),
            "told": pa.array(text, pa.string())}), path)
    again = read_logs([log], options, [TEAM])
    assert content(again) == expected
    assert again.statistics.files_cached == 0


def reading(path: Path) -> tuple[list[Any], LogReader]:
    reader = read_logs([path], None, [TEAM, KEEPER, "aws:PrincipalOrgPaths"])
    (batch,) = reader
    return [batch.context[key].to_list() if key in batch.context else None
            for key in (TEAM, KEEPER, "aws:PrincipalOrgPaths")], reader


@pytest.mark.parametrize("shape", ["json", "struct", "maps", "csv", "printed"])
def test_columns_of_query_engines_tell_it_too(tmp_path: Path, shape: str) -> None:
    told = context(principal={"Team": "red"}, aws_PrincipalOrgPaths="o-1/",
                   resources=[{"arn": VPC, "tags": {"keeper": "me"}}])
    row = {"eventsource": "ec2.amazonaws.com", "eventname": "DeleteVpc", "awsregion": "eu-west-1",
           "recipientaccountid": ACCOUNT, "useridentity": json.dumps(USER_IDENTITY),
           "requestparameters": json.dumps({"vpcId": "vpc-1"}), "eventcontext": json.dumps(told)}
    path = tmp_path / "result.parquet"
    texts = pa.map_(pa.string(), pa.string())
    if shape == "csv":
        path = tmp_path / "result.csv"
        path.write_text(",".join(row) + "\n" + ",".join(
            '"' + value.replace('"', '""') + '"' for value in row.values()) + "\n")
    elif shape == "printed":
        pq.write_table(pa.Table.from_pylist([row | {"eventcontext": "{requestContext={a=b}}"}]),
                       path)
        values, reader = reading(path)
        assert values == [[None], None, None] and reader.statistics.bad_records == 0
        return
    elif shape == "json":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        holder = pa.struct({
            "requestcontext": texts,
            "tagcontext": pa.struct({"principaltags": texts, "resourcetags": pa.list_(
                pa.struct({"arn": pa.string(), "tags": texts}))})})
        lowered = {"requestcontext": told["requestContext"], "tagcontext": {
            "principaltags": told["tagContext"]["principalTags"],
            "resourcetags": told["tagContext"]["resourceTags"]}}
        table = pa.table({name: [value] for name, value in row.items() if name != "eventcontext"})
        if shape == "struct":
            column = pa.array([lowered])
        else:
            lowered["requestcontext"] = list(lowered["requestcontext"].items())
            tags = lowered["tagcontext"]
            tags["principaltags"] = list(tags["principaltags"].items())
            tags["resourcetags"] = [{"arn": VPC, "tags": [("keeper", "me")]}]
            column = pa.array([lowered], holder)
        pq.write_table(table.append_column("eventcontext", column), path)
    values, _ = reading(path)
    assert values == [["red"], ["me"], [["o-1/"]]]


# -- decisions ------------------------------------------------------------------------------------


def test_an_audit_decides_what_it_could_not_before(tmp_path: Path) -> None:
    same = {TEAM: "red", KEEPER: "${" + TEAM + "}"}
    rules = policy(
        tmp_path, allow("ec2:DeleteVpc", Condition={"StringEquals": same}),
        allow("iam:ListUsers", Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}))
    role = {"userIdentity": {**ROLE_IDENTITY, "sessionContext": {
        **ROLE_IDENTITY["sessionContext"], "attributes": {"mfaAuthenticated": "true"}}}}
    told = [
        *(call(context(principal={"team": "red"},
                       resources=[{"arn": VPC, "tags": {"keeper": keeper}}]))
          for keeper in ("red", "no")),
        call(context(principal={"team": "blue"})),
        record("iam", "ListUsers", **role, eventContext=context(aws_MultiFactorAuthAge="59")),
        record("iam", "ListUsers", **role, eventContext=context(aws_MultiFactorAuthAge="60")),
    ]
    plain = [{**made, "eventContext": None} for made in told]
    before, after = (write(tmp_path / name, *records)
                     for name, records in (("plain.json", plain), ("told.json", told)))
    kinds = ("ALLOW", "IMPLICIT_DENY", "EXPLICIT_DENY", "UNDETERMINED")

    def decisions(*arguments: object) -> list[int]:
        done = iamtables("audit", "--policy", rules, "--format", "json", *arguments)
        assert done.code == 0, done.err
        found = done.json()["decisions"]
        return [found[kind] for kind in kinds]

    assert decisions(before) == [0, 0, 0, 5]
    assert decisions(after) == [2, 3, 0, 0]
    assert decisions(before, after) == [2, 3, 0, 5]
    # where none tells it, it is as --missing says
    assert decisions("--missing", "absent", before, after) == [2, 6, 0, 2]
    assert decisions("--assume", f"{TEAM}=red", "--assume", f"{KEEPER}=red", before, after
                     ) == [5, 3, 0, 2]
    cache = ("--cache", tmp_path / "cache")
    assert [decisions(*cache, before, after) for _ in range(2)] == [[2, 3, 0, 5]] * 2
    assert decisions("--requests", tmp_path / "r.parquet", before, after) == [2, 3, 0, 5]
    assert decisions(tmp_path / "r.parquet") == [2, 3, 0, 5]


def test_lists_survive_the_columns_of_requests(tmp_path: Path) -> None:
    rules = policy(tmp_path, allow("ec2:*", Condition={"ForAllValues:StringLike": {
        "aws:PrincipalOrgPaths": "o-1/*"}, "Null": {"aws:PrincipalOrgPaths": "false"}}))
    log = write(tmp_path / "log.json",
                call(context(aws_PrincipalOrgPaths=["o-1/a/", "o-1/b/"])),
                call(context(aws_PrincipalOrgPaths=["o-1/a/", "o-2/b/"])), call(...))
    for source, more in ((log, ("--requests", tmp_path / "r.parquet")),
                         (tmp_path / "r.parquet", ())):
        done = iamtables("audit", "--policy", rules, "--format", "json", *more, source)
        assert done.json()["decisions"] == {
            "ALLOW": 1, "IMPLICIT_DENY": 1, "EXPLICIT_DENY": 0, "UNDETERMINED": 1}


def test_a_role_is_given_by_its_own_arn_all_the_same(tmp_path: Path) -> None:
    """The columns of who asked are not context: a given key changes nothing but itself."""
    seen = read_one(tmp_path, call(context(aws_PrincipalArn="arn:aws:iam::1:role/x"),
                                   userIdentity=ROLE_IDENTITY), ["aws:PrincipalArn"])
    assert seen.principal == ROLE
    assert seen.context == [{"aws:PrincipalArn": "arn:aws:iam::1:role/x"}]
