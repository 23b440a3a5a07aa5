"""An audit of a cache decides distinct questions and counts by what is alike: it must come to what
deciding and counting every record comes to."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import iamtables as command
from log_records import ACCOUNT, ROLE, ROLE_IDENTITY, SERVICE_IDENTITY, USER, record, write
from shared_data import shared_data
from test_audit_organization import organization

import iamtables as it
from iamtables.alike import alike
from iamtables.audit import Audit, BatchResults, LateResults, keys_of
from iamtables.audit_counts import Summary
from iamtables.logs import Batch, LogOptions, LogReader, RecordClass, read_logs
from iamtables.logs.batch import Columns
from iamtables.logs.numbering import number_keys
from iamtables.logs.seen import SeenHashes
from iamtables.logs.stored import StoredBatch
from iamtables.replaying import Replay, keys_of_both


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return allow(*actions, **more) | {"Effect": "Deny"}


def identity(*statements: dict[str, Any]) -> it.Table:
    return it.compile(it.parse_policy(json.dumps(
        {"Version": "2012-10-17", "Statement": list(statements)})))


def when(operator: str, key: str, value: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


POLICIES: dict[str, Callable[[], it.Table]] = {
    "actions": lambda: identity(allow("iam:*", "s3:List*", "ec2:*"), deny("iam:Delete*")),
    "resources": lambda: identity(
        allow("*"), deny("s3:*", "kms:*", Resource="arn:aws:*:::*a*"),
        deny("iam:*", Resource="arn:aws:iam::*:role/app/*"), deny("lambda:*")),
    "callers": lambda: identity(
        allow("*"), deny("*", **when("IpAddress", "aws:SourceIp", "198.51.100.7/32")),
        deny("s3:*", **when("StringLike", "aws:PrincipalArn", "*alice*"))),
    "requests": lambda: identity(
        allow("ec2:*", **when("StringEquals", "aws:RequestTag/team", "red")),
        allow("iam:*", **when("Null", "iam:PassedToService", "true")), allow("s3:*", "sts:*")),
    "sessions": lambda: identity(
        allow("*", **when("StringEquals", "aws:PrincipalTag/team", "red"))),
    "never given": lambda: identity(
        allow("*"), deny("*", **when("StringEquals", "aws:SourceOrgID", "o-1"))),
    "times": lambda: identity(
        allow("*"), deny("*", **when("DateGreaterThan", "aws:CurrentTime",
                                     "2026-01-02T12:00:00Z"))),
    "organization": lambda: it.compile(organization()),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "everything": {},
    "times": {"since": 1_767_320_000, "until": 1_767_400_000},
    "accounts": {"accounts": frozenset({ACCOUNT})},
    "services": {"services": frozenset({"iam", "s3", "ec2"})},
    "duplicates": {"deduplicate": False},
    "small batches": {"batch_records": 50},
}


@dataclass(frozen=True)
class Log:
    directory: Path
    cache: Path

    def reader(self, table_keys: tuple[str, ...], *, cached: bool, **options: Any) -> LogReader:
        more = {"cache": str(self.cache)} if cached else {}
        return read_logs([self.directory], LogOptions(**more, **options), list(table_keys))


def made() -> Iterator[dict[str, Any]]:
    """Records of every class, of two days, with outcomes, changes of policies, session tags."""
    tagged = ROLE_IDENTITY | {"accessKeyId": "ASIATAGGED"}
    yield record("sts", "AssumeRole", eventID="1" * 36, userIdentity=SERVICE_IDENTITY,
                 requestParameters={"roleArn": ROLE, "roleSessionName": "s1",
                                    "tags": [{"key": "team", "value": "red"}]},
                 responseElements={"credentials": {"accessKeyId": "ASIATAGGED"}})
    for number in range(400):
        day = 1 + number // 250
        common: dict[str, Any] = {
            "eventID": f"{number:036d}", "sourceIPAddress": f"198.51.100.{number % 9}",
            "eventTime": f"2026-01-0{day}T{number % 24:02d}:04:05Z" if number % 41 else "never",
            "recipientAccountId": ACCOUNT if number % 5 else "444455556666",
            "userIdentity": (ROLE_IDENTITY, tagged, SERVICE_IDENTITY, ...)[number % 4]
            if number % 3 else {"type": "IAMUser", "arn": f"{USER}{number % 7}",
                                "accountId": ACCOUNT, "userName": f"alice{number % 7}"},
        }
        if not number % 6:
            common |= {"errorCode": "AccessDenied", "errorMessage":
                       "User: x is not authorized to perform: s3:GetObject because no "
                       "identity-based policy allows the s3:GetObject action"}
        yield from (
            record("s3", "GetObject", requestParameters={
                "bucketName": f"data-{number % 3}", "key": f"key/{number}"}, **common),
            record("iam", "AttachRolePolicy", requestParameters={
                "roleName": "worker", "policyArn": "arn:aws:iam::aws:policy/X"},
                **common | {"eventID": f"a{number:035d}"}),
            record("ec2", "RunInstances", requestParameters={
                "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1}]},
                "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": [
                    {"key": "team", "value": "red" if number % 2 else "blue"}]}]}},
                **common | {"eventID": f"b{number:035d}"}),
            record(*(("iam", "GetRole", ), ("signin", "ConsoleLogin"), ("sts", "GetCallerIdentity"),
                     ("nowhere", "DoThings"))[number % 4][:2],
                   requestParameters={"roleName": "worker"},
                   **common | {"eventID": f"c{number:035d}"}),
            record("s3", "PutObject", requestParameters={"bucketName": "mine", "key": "one"},
                   **common | {"eventID": f"d{number:035d}", "recipientAccountId": ACCOUNT,
                               "userIdentity": ROLE_IDENTITY | {"arn": ROLE_IDENTITY["arn"][:-1]
                                                                + str(1 + number % 3)}}),
        )
    yield record("iam", "ListUsers", eventID="1" * 36)  # once more


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    directory = tmp_path_factory.mktemp("stored")
    (directory / "log").mkdir()
    records = list(made())
    write(directory / "log" / "1.json", *records[:900])
    write(directory / "log" / "2.json", *records[900:])
    found = Log(directory / "log", directory / "cache")
    list(found.reader((), cached=True))
    return found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Log:
    found = Log(shared_data("cloudtrail", "invictus"), tmp_path_factory.mktemp("real") / "cache")
    list(found.reader((), cached=True))
    return found


Row = tuple[Any, ...]


def audited(log: Log, table: it.Table, options: dict[str, Any], *, cached: bool,
            **audit_options: Any) -> tuple[Summary, list[Row], Any]:
    """(summary, what each record came to, statistics of the reader)"""
    audit = Audit(table, **audit_options)
    reader = log.reader(keys_of(table), cached=cached, **options)
    rows: list[Row] = []
    for batch in reader:
        results = audit.add(batch)
        assert isinstance(batch, StoredBatch) is cached
        requests: list[list[int]] = [[] for _ in range(batch.records)]
        for group, statement in zip(batch.group.tolist(), results.request_statement.tolist(),
                                    strict=True):
            requests[group].append(statement)
        rows += zip(batch.event_id, results.decision.tolist(), results.statement.tolist(),
                    results.layer.tolist(), requests,
                    [results.depends_on.get(at) for at in range(batch.records)],
                    batch.record_class.tolist(), batch.principal_type.to_list(), strict=True)
    statistics = reader.statistics
    statistics.check()
    assert (statistics.files_cached == statistics.files_read) is cached
    return audit.summary(), rows, (
        statistics.records, statistics.requests, statistics.classes, statistics.reasons,
        statistics.requesters, statistics.duplicates, statistics.outside)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("options", ["everything", "small batches"])
def test_a_cache_comes_to_what_the_log_comes_to(log: Log, policy: str, options: str) -> None:
    table, chosen = POLICIES[policy](), OPTIONS[options]
    expected = audited(log, table, chosen, cached=False)
    assert audited(log, table, chosen, cached=True) == expected
    summary = expected[0]
    assert all(summary.classes[kind.label] for kind in RecordClass)
    assert summary.requests > summary.records - 400
    assert sum(count for _, *_, count in summary.groups) == summary.decided > 500
    assert len(summary.days) == 3 and summary.reality is not None
    assert summary.decisions["ALLOW"] + summary.decisions["UNDETERMINED"] > 0


@pytest.mark.parametrize("policy", ["resources", "callers", "organization"])
@pytest.mark.parametrize("options", OPTIONS)
def test_filters_find_the_same_in_a_cache(log: Log, policy: str, options: str) -> None:
    table, chosen = POLICIES[policy](), OPTIONS[options]
    expected = audited(log, table, chosen, cached=False)
    assert audited(log, table, chosen, cached=True) == expected
    is_filter = options in ("times", "accounts", "services")
    assert (expected[2][-1] > 0) == is_filter and expected[0].decided > 0


@pytest.mark.parametrize("policy", ["resources", "requests", "callers", "organization"])
@pytest.mark.parametrize("audit_options", [
    {"principals": ["*alice3*"]}, {"principals": ["*:role/*"]}, {"principals": ["nobody"]},
    {"assume": {"aws:RequestTag/team": "red", "aws:SourceIp": "203.0.113.1"}},
    {"missing": "absent"},
], ids=["a user", "roles", "nobody", "assumed", "absent"])
def test_who_is_wanted_and_what_is_assumed_counts_the_same(
    log: Log, policy: str, audit_options: dict[str, Any]
) -> None:
    table = POLICIES[policy]()
    expected = audited(log, table, {}, cached=False, **audit_options)
    assert audited(log, table, {}, cached=True, **audit_options) == expected
    if "principals" in audit_options:
        assert expected[0].not_selected > 0


@pytest.mark.parametrize("policy", ["resources", "sessions", "organization"])
def test_real_logs_come_to_the_same_from_a_cache(real: Log, policy: str) -> None:
    table = POLICIES[policy]()
    expected = audited(real, table, {}, cached=False)
    assert audited(real, table, {}, cached=True) == expected
    assert expected[0].decided > 100


def test_a_cache_is_decided_by_question_and_not_by_record(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = POLICIES["actions"]()
    decided: list[int] = []
    original = Audit._decide_some

    def decide(self: Audit, batch: Any, selected: Any) -> Any:
        decided.append(batch.records)
        return original(self, batch, selected)

    monkeypatch.setattr(Audit, "_decide_some", decide)
    audit = Audit(table)
    whole: list[StoredBatch] = []
    results = []
    for batch in log.reader(keys_of(table), cached=True):
        assert isinstance(batch, StoredBatch)
        results.append(audit.add(batch))
        whole.append(batch)
    records = sum(batch.records for batch in whole)
    questions = sum(decided)
    assert 0 < questions < records / 2  # all but the names of objects occur again and again
    assert questions < 60 * len(whole)  # and what the action decides alone is one question a class
    for batch, found in zip(whole, results, strict=True):
        assert isinstance(found, LateResults)
        for owner, one, names in ((Batch, batch, ("group", "resource", "context", "identity")),
                                  (BatchResults, found, ("decision", "row", "asked"))):
            for name in names:  # nothing was made for each record
                with pytest.raises(AttributeError):
                    getattr(owner, name).__get__(one)
    decided.clear()
    assert sum(len(found.decision) for found in results) == sum(decided) == records


def test_times_make_every_record_a_question(log: Log) -> None:
    table = POLICIES["times"]()
    audit = Audit(table)
    for batch in log.reader(keys_of(table), cached=True):
        assert audit.ask(batch.stored) is None
    strict = Audit(POLICIES["actions"](), missing="error")
    for batch in log.reader((), cached=True):
        assert strict.ask(batch.stored) is None


def test_many_kinds_of_calls_and_callers_are_counted_without_a_large_table(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where kinds times callers would be many more than records, pairs are numbered instead."""
    table = POLICIES["resources"]()
    audit = Audit(table)
    for batch in log.reader(keys_of(table), cached=True):
        stored = batch.stored
        records, questions, answers = audit.ask(stored)
        reasons = audit.reasons(answers, np.ones(len(answers.decision), dtype=bool))
        small = alike(stored, records, questions, answers, reasons)
        monkeypatch.setattr("iamtables.alike.LARGE_TABLE", -10**9)
        numbered = alike(stored, records, questions, answers, reasons)
        monkeypatch.undo()
        assert small.repeats.count.sum() == batch.records == numbered.repeats.count.sum()
        assert len(small.repeats.of_pair) == len(numbered.repeats.of_pair)
        assert (small.repeats.spread(small.repeats.principal)
                == numbered.repeats.spread(numbered.repeats.principal)).all()
        assert (small.repeats.spread(small.decision[small.repeats.kind])
                == numbered.repeats.spread(numbered.decision[numbered.repeats.kind])).all()


@pytest.mark.parametrize("cached", [False, True])
def test_days_far_apart_are_counted_the_same(
    log: Log, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    table = POLICIES["actions"]()
    expected = audited(log, table, {}, cached=cached)[0].days
    monkeypatch.setattr("iamtables.audit_counts._MANY_DAYS", 0)
    assert audited(log, table, {}, cached=cached)[0].days == expected
    assert list(expected) == ["-", "2026-01-01", "2026-01-02"]


@pytest.mark.parametrize("pair", [
    ("actions", "resources"), ("callers", "actions"), ("times", "actions"),
    ("resources", "sessions"), ("actions", "actions"), ("organization", "actions"),
])
def test_a_replay_from_a_cache_finds_the_same(log: Log, pair: tuple[str, str]) -> None:
    before, after = (POLICIES[name]() for name in pair)
    found = []
    for cached in (False, True):
        replay = Replay(before, after)
        flipped: list[Row] = []
        for batch in log.reader(keys_of_both(before, after), cached=cached):
            flips = replay.add(batch)
            of = flips.before.batch
            flipped += zip([of.event_id[at] for at in flips.records.tolist()],
                           flips.change[flips.records].tolist(),
                           [of.action.value(row) for row in flips.row.tolist()],
                           [flips.depends_on.get(at) for at in flips.records.tolist()],
                           strict=True)
        found.append((replay.result(), flipped))
    assert found[0] == found[1]
    result, flipped = found[0]
    assert bool(flipped) == (pair[0] != pair[1])
    assert sum(result.counts.values()) == result.decided > 500


@pytest.mark.parametrize("more", [
    (), ("--since", "2026-01-02"), ("--until", "2026-01-02"), ("--account", ACCOUNT),
    ("--principal", "*alice*"), ("--service", "s3"),
], ids=["everything", "since", "until", "account", "principal", "service"])
def test_the_command_writes_the_same_rows_and_counts(
    log: Log, tmp_path: Path, more: tuple[str, ...]
) -> None:
    import pyarrow.parquet as pq

    for name, statements in {"one": [allow("s3:*", "iam:Get*"), deny("ec2:*")],
                             "two": [allow("*"), deny("s3:*", **when(
                                 "IpAddress", "aws:SourceIp", "198.51.100.7/32"))]}.items():
        rules = tmp_path / f"{name}.json"
        rules.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
        found = []
        for cached in ((), ("--cache", log.cache)):
            out = tmp_path / f"{name}-{len(cached)}.parquet"
            done = command("audit", "--policy", rules, "--format", "json", "--output", out, *more,
                           *cached, log.directory)
            assert done.code == 0, done.err
            summary = done.json()
            del summary["elapsed_s"]
            found.append((summary, pq.read_table(out).to_pylist()))
        assert found[0] == found[1]
        assert found[0][1] and found[0][0]["files"] == found[1][0]["files"]


def test_columns_of_a_batch_are_made_one_by_one_and_are_those_of_the_log(log: Log) -> None:
    made: list[str] = []

    class Counting(Columns):
        def __getattribute__(self, name: str) -> Any:
            if name in ("action", "context", "session"):
                made.append(name)
            return super().__getattribute__(name)

    batch = next(iter(log.reader((), cached=True)))
    assert isinstance(batch, StoredBatch)
    stored = batch.stored
    object.__setattr__(batch, "_columns", Counting(
        stored.rows, stored.files, stored.tables.callers, stored.tables.calls, stored.plans,
        stored.names, stored.sessions, stored.looked_up.resolved))
    assert made == []
    assert batch.session is batch.session and made == ["session"]
    assert batch.requests == len(batch.action) and made == ["session", "action"]
    batch.check()
    with pytest.raises(AttributeError):
        batch.nothing  # noqa: B018


@pytest.mark.parametrize("distinct", [1, 3, 700, 5000])
def test_keys_are_numbered_in_the_order_of_their_first_row(distinct: int) -> None:
    random = np.random.default_rng(distinct)
    keys = random.integers(-distinct, distinct, 5000) * np.int64(0x100000001)
    numbers, first = number_keys(keys)
    places: dict[int, int] = {}
    expected = [places.setdefault(key, len(places)) for key in keys.tolist()]
    assert numbers.tolist() == expected
    assert first.tolist() == [expected.index(number) for number in range(len(places))]
    assert [len(part) for part in number_keys(keys[:0])] == [0, 0]


def test_room_for_hashes_changes_nothing_of_what_is_new() -> None:
    random = np.random.default_rng(5)
    hashes = random.integers(0, 3000, 8000).astype(np.uint64)
    plain, roomy = SeenHashes(4000, 7), SeenHashes(4000, 7)
    roomy.add(hashes[:10])
    roomy.reserve(100_000)
    assert plain.add(hashes[:10]).sum() == len(set(hashes[:10].tolist()))
    assert (plain.add(hashes) == roomy.add(hashes)).all()
    assert (len(plain), plain.forgotten) == (len(roomy), roomy.forgotten)


def damage_tables(segment: Path, change: Callable[[Any], Any]) -> None:
    path = segment / "tables.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def damage_kinds(segment: Path, change: Callable[[Any], Any]) -> None:
    damage_tables(segment, lambda tables: tables | change(
        {name: tables[name] for name in ("calls", "members")}))


def damage_counts(segment: Path, part: str, more: int) -> None:
    """Another number of texts in the first dictionary of a part."""
    damage_tables(segment, lambda tables: tables | {"texts": tables["texts"] | {
        part: [[name, count + more * (at == 0)]
               for at, (name, count) in enumerate(tables["texts"][part])]}})


def damage_texts(segment: Path, **columns: list[bytes]) -> None:
    """Other texts, in a file like any other: it is as large as it should be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = segment / "texts.parquet"
    table = pq.read_table(path).to_pydict() | columns
    most = max(map(len, table.values()))
    pq.write_table(pa.table({
        name: pa.array([*column, *[None] * (most - len(column))], pa.binary())
        for name, column in table.items()}), path)
    damage_tables(segment, lambda tables: tables | {"layouts": tables["layouts"] | {
        path.name: {"bytes": path.stat().st_size, "narrow": {}, "columns": {}}}})


def in_place(segment: Path, file: str, column: str) -> slice:
    """Where the bytes of a column lie."""
    tables = json.loads((segment / "tables.json").read_text())
    begin, kind, count, _ = tables["layouts"][file]["columns"][column]
    return slice(begin, begin + count * np.dtype(np.uint8 if kind == "binary" else kind).itemsize)


def sealed(segment: Path) -> Path:
    """What a segment is as somebody would leave it who wants to be believed: with right checksums.
    Where it is then."""
    path = segment / "tables.json"
    tables = json.loads(path.read_text())
    layouts = tables["layouts"] if isinstance(tables, dict) else {}
    for file, layout in layouts.items():
        if (segment / file).exists():
            data = (segment / file).read_bytes()
            for place in layout["columns"].values():
                begin, kind, count, _ = place
                if kind != "float" and 0 <= begin < len(data):
                    size = count * np.dtype(np.uint8 if kind == "binary" else kind).itemsize
                    place[3] = zlib.crc32(data[begin : begin + size])
    path.write_text(json.dumps(tables))
    about = json.loads((segment / "about.json").read_text())
    for name in about["checksums"]:
        about["checksums"][name] = hashlib.sha256((segment / name).read_bytes()).hexdigest()
    text = json.dumps(about).encode()
    (segment / "about.json").write_bytes(text)
    return segment.rename(segment.with_name(f"{hashlib.sha256(text).hexdigest()[:32]}.segment"))


def damage_layout(segment: Path, file: str, column: str, change: Callable[[list[Any]], Any]
                  ) -> None:
    """Another place of a column."""
    def changed(tables: Any) -> Any:
        columns = tables["layouts"][file]["columns"]
        columns[column] = change(columns[column])
        return tables

    damage_tables(segment, changed)


def damage_narrow(segment: Path, file: str, column: str, kind: str, least: int) -> None:
    """Other numbers, since those of a column count from another one on."""
    def changed(tables: Any) -> Any:
        narrow = tables["layouts"][file]["narrow"]
        assert column in narrow
        narrow[column] = [kind, least]
        return tables

    damage_tables(segment, changed)


def damage_in_place(segment: Path, file: str, column: str, value: int | None = None) -> None:
    """Other numbers where those of a column lie; None for the largest that there may be."""
    tables = json.loads((segment / "tables.json").read_text())
    _, kind, count, _ = tables["layouts"][file]["columns"][column]
    data = bytearray((segment / file).read_bytes())
    dtype = np.dtype(np.uint8 if kind == "binary" else kind)
    data[in_place(segment, file, column)] = np.full(
        count, np.iinfo(dtype).max if value is None else value, dtype=dtype).tobytes()
    (segment / file).write_bytes(data)


def damage_resources(segment: Path, texts: list[bytes], lengths: list[bytes]) -> None:
    damage_texts(segment, resources=texts, resources_lengths=lengths)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "an older format": lambda segment: (segment / "about.json").write_text(
        (segment / "about.json").read_text().replace('"format": 9', '"format": 8')) and None,
    "no tables": lambda segment: (segment / "tables.json").write_text("[]") and None,
    "no kinds": lambda segment: damage_kinds(segment, lambda kinds: {"calls": []}),
    "no texts": lambda segment: (segment / "texts.parquet").unlink(),
    "no counts": lambda segment: damage_tables(segment, lambda tables: tables | {"texts": []}),
    "more texts": lambda segment: damage_counts(segment, "often", 1),
    "fewer texts than none": lambda segment: damage_counts(segment, "often", -10**6),
    "texts of other dictionaries": lambda segment: damage_tables(
        segment, lambda tables: tables | {"texts": tables["texts"] | {"often": []}}),
    "a kind that is no number": lambda segment: damage_kinds(
        segment, lambda kinds: kinds | {"calls": {
            name: ["x" for _ in column] for name, column in kinds["calls"].items()}}),
    "a number too large": lambda segment: damage_kinds(
        segment, lambda kinds: kinds | {"members": {
            name: [1 << 40 for _ in column] for name, column in kinds["members"].items()}}),
    "codes of no text": lambda segment: damage_kinds(
        segment, lambda kinds: kinds | {"members": {
            name: [99 for _ in column] for name, column in kinds["members"].items()}}),
    "a column is missing": lambda segment: damage_kinds(
        segment, lambda kinds: {"calls": {}, "members": {}}),
    "fewer kinds": lambda segment: damage_kinds(
        segment, lambda kinds: {table: {name: column[:1] for name, column in columns.items()}
                                for table, columns in kinds.items()}),
    "texts of other lengths": lambda segment: damage_resources(
        segment, [b"arn:aws:s3:::x"], [(99).to_bytes(4, "little")]),
    "negative lengths": lambda segment: damage_resources(
        segment, [b"abc"], [(-1 & 0xFFFFFFFF).to_bytes(4, "little")
                            + (4).to_bytes(4, "little")]),
    "fewer resources": lambda segment: damage_resources(segment, [b""], [b""]),
    "half a length": lambda segment: damage_resources(segment, [b""], [b"\0\0\0"]),
    "no resources": lambda segment: damage_resources(segment, [], []),
    "no UTF-8": lambda segment: damage_resources(
        segment, [b"\xff" * 4000], [(1).to_bytes(4, "little") * 4000]),
    "two rows": lambda segment: damage_texts(segment, often=[b"", b""]),
    "no UTF-8 in place": lambda segment: damage_in_place(
        segment, "texts.parquet", "resources", 0xFF),
    "half a character": lambda segment: damage_in_place(
        segment, "texts.parquet", "sessions", 0x80),
    "a key with another code": lambda segment: damage_tables(
        segment, lambda tables: tables | {"untold": {
            file: dict.fromkeys(keys, 7) for file, keys in tables["untold"].items()}}),
    "calls of no kind": lambda segment: damage_in_place(segment, "calls.parquet", "kind", 99),
    "negative resources": lambda segment: damage_narrow(
        segment, "members.parquet", "resource", "int32", -3),
    "records of no call": lambda segment: damage_in_place(segment, "records.parquet", "call"),
    "records of no caller": lambda segment: damage_narrow(
        segment, "records.parquet", "identity", "int32", -1),
    "principals of no text": lambda segment: damage_in_place(
        segment, "callers.parquet", "principal"),
    "numbers beyond their kind": lambda segment: damage_narrow(
        segment, "records.parquet", "call", "int32", 1 << 40),
    "numbers of a kind that is none": lambda segment: damage_narrow(
        segment, "records.parquet", "call", "float64", 0),
    "no patterns that stand for a name": lambda segment: damage_tables(
        segment, lambda tables: tables | {"nameable": 1 << 20}),
    "no layouts": lambda segment: damage_tables(segment, lambda tables: tables | {"layouts": {}}),
    "columns elsewhere": lambda segment: damage_layout(
        segment, "records.parquet", "call", lambda place: [1 << 40, *place[1:]]),
    "columns before the file": lambda segment: damage_layout(
        segment, "records.parquet", "call", lambda place: [-8, *place[1:]]),
    "columns of another kind": lambda segment: damage_layout(
        segment, "records.parquet", "call", lambda place: [
            place[0], "float", *place[2:]]),
    "shorter columns": lambda segment: damage_layout(
        segment, "records.parquet", "time", lambda place: [
            *place[:2], place[2] - 1, *place[3:]]),
    "another file": lambda segment: (segment / "event_ids.parquet").write_bytes(b"x") and None,
}


Told = tuple[Summary, list[Any]]


def told(reader: LogReader, table: it.Table) -> Told:
    """(summary, name of the session of each record)"""
    audit, sessions = Audit(table), []
    for batch in reader:
        audit.add(batch)
        sessions += batch.session.to_list()
    return audit.summary(), sessions


def read_again(log: Log, cache: Path, table: it.Table, expected: Told | None = None
               ) -> tuple[int, int]:
    """The log from a cache comes to what it comes to; (files taken from it, damaged segments)."""
    reader = Log(log.directory, cache).reader(keys_of(table), cached=True)
    found = told(reader, table)
    assert found == (expected or told(log.reader(keys_of(table), cached=False), table))
    return reader.statistics.files_cached, reader.statistics.cache_damaged


def copied(log: Log, path: Path) -> Path:
    """The one segment of a copy of the cache."""
    shutil.copytree(log.cache, path / "cache")
    segment, = (path / "cache").glob("*.segment")
    return segment


@pytest.mark.parametrize("is_sealed", [False, True], ids=["damaged", "forged"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_segment_that_is_damaged_or_older_is_read_again(
    log: Log, tmp_path: Path, damage: str, is_sealed: bool
) -> None:
    segment = copied(log, tmp_path)
    DAMAGES[damage](segment)
    if is_sealed:
        segment = sealed(segment)
    table = POLICIES["callers" if damage.startswith("a key") else "resources"]()
    if damage == "a key with another code" and is_sealed:
        tables = json.loads((segment / "tables.json").read_text())
        assert tables["untold"]["caller_keys.parquet"]
        table = identity(allow("*"), *(deny("*", **when("StringLike", key, "*")) for key in (
            tables["untold"]["caller_keys.parquet"])))
    cached, damaged = read_again(log, segment.parent, table)
    assert cached == 0
    assert damaged == (damage != "an older format")
    # the next time there is a segment that can be used, and no other
    assert read_again(log, segment.parent, table) == (2, 0)


@pytest.mark.parametrize("policy", ["callers", "organization"])
def test_no_altered_byte_of_a_segment_changes_an_answer(
    log: Log, tmp_path: Path, policy: str
) -> None:
    """Wherever it is: what is read of a file is what was written, or it is not used."""
    table, random = POLICIES[policy](), np.random.default_rng(6)
    expected = told(log.reader(keys_of(table), cached=False), table)
    copied(log, tmp_path)
    used = 0
    for path in sorted(log.cache.glob("*.segment/*")):
        for at in random.integers(0, path.stat().st_size, 2).tolist():
            shutil.rmtree(tmp_path / "cache")
            segment = copied(log, tmp_path)
            data = bytearray((segment / path.name).read_bytes())
            data[at] ^= 1 << int(random.integers(8))
            (segment / path.name).write_bytes(data)
            used += read_again(log, segment.parent, table, expected)[0]
    assert used  # of what was altered, some nobody had to read


@pytest.mark.parametrize(("file", "column"), [
    ("texts.parquet", "sessions"), ("texts.parquet", "sessions_lengths"),
    ("callers.parquet", "session"), ("texts.parquet", "resources"),
    ("records.parquet", "record_hash"),
    ("members.parquet", "resource")])
def test_altered_columns_are_found_out_under_an_organization(
    log: Log, tmp_path: Path, file: str, column: str
) -> None:
    segment = copied(log, tmp_path)
    where = in_place(segment, file, column)
    data = bytearray((segment / file).read_bytes())
    assert where.stop > where.start
    data[(where.start + where.stop) // 2] ^= 1
    (segment / file).write_bytes(data)
    assert read_again(log, segment.parent, POLICIES["organization"]()) == (0, 1)


def test_a_file_that_is_cut_short_while_it_is_read_does_no_harm(
    log: Log, tmp_path: Path
) -> None:
    """In a process of its own, which a mapped file would end by a signal."""
    segment = copied(log, tmp_path)
    done = subprocess.run([sys.executable, "-c", CUT_SHORT, log.directory, segment], text=True,
                          capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    cached, damaged, first, second = json.loads(done.stdout)
    assert (cached, damaged) == (0, 1) and first == second


CUT_SHORT = """
import json, os, sys
from pathlib import Path
from iamtables.logs import LogOptions, read_logs, segment_columns
log, segment = sys.argv[1], Path(sys.argv[2])

def names(options):
    reader = read_logs([log], options, ())
    # what a batch has of the cache is looked at when all files were cut
    batches = list(reader)
    for path in segment.glob("*.parquet"):
        os.truncate(path, 0)
    return reader.statistics, [[batch.session.to_list(), batch.resource.to_list()]
                               for batch in batches]

def cutting(file, *more):
    if file.name.endswith("texts.parquet"):
        os.truncate(file.name, 5000)
    return read_at(file, *more)

read_at, cached = segment_columns._read_at, LogOptions(cache=str(segment.parent))
whole = read_logs([log], cached, ())
held = list(whole)
assert whole.statistics.files_cached == 2
segment_columns._read_at = cutting
statistics, found = names(cached)
again = [[batch.session.to_list(), batch.resource.to_list()] for batch in held]
flat = [[sum(part, []) for part in zip(*of)] for of in (again, found)]
print(json.dumps([statistics.files_cached, statistics.cache_damaged, *flat]))
"""


def test_principals_of_several_segments_are_numbered_together(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iamtables.logs import cache, log_wide

    monkeypatch.setattr(cache, "SEGMENT_RECORDS", 100)
    several = Log(log.directory, tmp_path / "cache")
    list(several.reader((), cached=True))
    assert len(list(several.cache.glob("*.segment"))) > 1
    table = POLICIES["callers"]()
    expected = audited(log, table, {}, cached=False)
    for most in (log_wide.MOST_TEXTS, 0):
        monkeypatch.setattr(log_wide, "MOST_TEXTS", most)
        assert audited(several, table, {}, cached=True) == expected
        values = {id(batch.principal.values): batch.principal.values
                  for batch in several.reader((), cached=True)}
        assert (len(values) == 1) == bool(most)
        assert all(len(set(names)) == len(names) for names in values.values())


def test_columns_are_read_where_they_lie_and_by_others_as_ever(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What every audit reads is found in place; where it is not, Parquet is read as such."""
    import pyarrow.parquet as pq

    from iamtables.logs import segment_columns

    segment, = log.cache.glob("*.segment")
    layouts = json.loads((segment / "tables.json").read_text())["layouts"]
    for file, columns in (("records.parquet", ("call", "identity", "time", "record_hash")),
                          ("calls.parquet", ("kind",)), ("members.parquet", ("kind", "resource")),
                          ("callers.parquet", ("principal", "created")),
                          ("texts.parquet", ("often", "resources_lengths"))):
        assert set(columns) <= layouts[file]["columns"].keys()
        table = pq.read_table(segment / file)
        for name in columns:
            begin, kind, count, _ = layouts[file]["columns"][name]
            column = table.column(name)
            assert (name in layouts[file]["narrow"]) == str(column.type).startswith("fixed_size")
            value = column.to_numpy() if str(column.type) == kind != "binary" else np.frombuffer(
                b"".join(column.to_pylist()), dtype=np.uint8 if kind == "binary" else kind)
            assert (np.frombuffer((segment / file).read_bytes(), dtype=value.dtype, count=count,
                                  offset=begin) == value).all()
    table = POLICIES["callers"]()
    expected = audited(log, table, {}, cached=True)

    def unread(*arguments: Any) -> None:
        raise AssertionError("decoded, though it lies there")

    plain = POLICIES["resources"]()
    expected_plain = audited(log, plain, {}, cached=False)[0]
    with monkeypatch.context() as patch:
        patch.setattr(segment_columns, "read_table", unread)
        audit = Audit(plain)
        for batch in log.reader(keys_of(plain), cached=True):
            audit.add(batch)
        assert audit.summary() == expected_plain
    for change in ({}, {"columns": {}}):
        other = Log(log.directory, tmp_path / f"cache{len(change)}")
        shutil.copytree(log.cache, other.cache)
        found, = other.cache.glob("*.segment")
        damage_tables(found, lambda tables, change=change: tables | {"layouts": {
            file: layout | change for file, layout in tables["layouts"].items()}})
        sealed(found)
        assert audited(other, table, {}, cached=True) == expected
