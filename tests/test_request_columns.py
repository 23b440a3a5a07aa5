"""Requests of a log as columns: the same answers as from the log, for any policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import allow, deny, iamtables, policy
from log_records import ROLE_IDENTITY, SERVICE_IDENTITY, record, write
from shared_data import shared_data
from test_logs_blocks import content

from iamtables.errors import SourceError
from iamtables.logs import Batch, LogOptions, read_logs
from iamtables.request_columns import Columns, all_keys, is_columns, read_columns
from iamtables.request_tables import table_kind
from iamtables.results import open_table_writer


class Read:
    """Batches with the counts that `content` looks at left out."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> Any:
        return iter(self._batches)


def rows(batches: Any) -> list[Any]:
    """As `content`, context sorted by key, without the order of columns."""
    class Statistics:
        def __getattr__(self, name: str) -> Any:
            return lambda: None

    class Reader(Read):
        statistics = Statistics()

    made = []
    for batch in batches:
        object.__setattr__(batch, "context", dict(sorted(batch.context.items())))
        made.append(batch)
    return content(Reader(made))[0]  # type: ignore[arg-type]


def export(paths: list[Path], keys: list[str], target: Path, **options: Any) -> list[Batch]:
    batches = list(read_logs(paths, LogOptions(**options), keys))
    with open_table_writer(target, "parquet", Columns().table) as writer:
        for batch in batches:
            writer.write(batch)
    return batches


@pytest.mark.parametrize("source", ["invictus", "otrf", "panther"])
def test_columns_hold_all_that_the_reader_found(tmp_path: Path, source: str) -> None:
    keys = all_keys(["aws:RequestTag/Name", "aws:PrincipalTag/x"])
    batches = export([shared_data("cloudtrail", source)], keys, tmp_path / "r.parquet",
                     batch_records=300)
    assert len(keys) > 50
    assert rows(read_columns(tmp_path / "r.parquet", keys)) == rows(batches)


def test_only_asked_columns_are_read(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", record("iam", "ListUsers"))
    export([log], all_keys([]), tmp_path / "r.parquet")
    (batch,) = read_columns(tmp_path / "r.parquet", ["AWS:sourceip", "aws:NotThere"])
    assert list(batch.context) == ["aws:SourceIp"]


def several(path: Path) -> Path:
    return write(
        path, record("iam", "ListUsers"), record("sts", "GetCallerIdentity"),
        record("iam", "NoSuchCall"),
        record("s3", "CopyObject", userIdentity=ROLE_IDENTITY, requestParameters={
            "bucketName": "to", "key": "k", "x-amz-copy-source": "from/j",
            "x-amz-tagging-directive": "REPLACE"}),
        record("kms", "ListKeys", userIdentity=SERVICE_IDENTITY),
        record("iam", "GetRole", requestParameters={"roleName": "r"}, errorCode="AccessDenied",
               errorMessage="no"),
        record("ec2", "CreateVpc", requestParameters={"tagSpecificationSet": {"items": [
            {"resourceType": "vpc", "tags": [{"key": "a", "value": "b"}]}]}}))


def test_rows_of_a_record_may_be_cut_anywhere(tmp_path: Path) -> None:
    keys = all_keys([])
    batches = export([several(tmp_path / "log.json")], keys, tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    pq.write_table(table, tmp_path / "cut.parquet", row_group_size=1)
    assert rows(read_columns(tmp_path / "cut.parquet", keys)) == rows(batches)
    pq.write_table(pa.Table.from_pylist(table.to_pylist(), schema=pa.schema([
        (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema])), tmp_path / "plain.parquet")
    assert rows(read_columns(tmp_path / "plain.parquet", keys)) == rows(batches)


def summary(*arguments: object) -> dict[str, Any]:
    done = iamtables("audit", "--format", "json", *arguments)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    for name in ("elapsed_s", "files", "duplicates", "replaced", "corrections_late",
                 "bad_records"):
        found.pop(name, None)
    return found


def test_the_command_writes_them_and_any_policy_decides_alike(tmp_path: Path) -> None:
    log = several(tmp_path / "log.json")
    one = policy(tmp_path, allow("iam:*"), name="one.json")
    other = policy(
        tmp_path, allow("s3:GetObject", "arn:aws:s3:::from/*"), allow("s3:Put*"),
        allow("iam:GetRole", "arn:aws:iam::*:role/*r", Condition={
            "IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),
        deny("ec2:CreateTags", Condition={"StringEquals": {"aws:ResourceTag/x": "1"}}),
        allow("ec2:*"), name="other.json")
    columns = tmp_path / "requests.parquet"

    # rows that are written have their resources also where no policy asks for them
    def whole(rules: Path) -> dict[str, Any]:
        return summary("--policy", rules, "--output", tmp_path / "rows.parquet", log)

    expected = whole(one)
    assert summary("--policy", one, "--requests", columns, log) == expected
    for rules in (one, other):
        from_log = whole(rules)
        assert summary("--policy", rules, columns) == from_log
    # the tag of a resource is not recorded, nor is the path of the role
    assert from_log["decisions"]["UNDETERMINED"] == 2
    assert from_log["classes"]["no-action"] == 1
    reports = []
    for source in (log, columns):
        done = iamtables("replay", "--before", one, "--after", other, "--format", "json", source)
        assert done.code == 0, done.err
        report = json.loads(done.out)
        reports.append({name: report[name] for name in report
                        if name not in ("elapsed_s", "files", "duplicates", "replaced",
                                        "corrections_late", "bad_records")})
    assert reports[0] == reports[1]


def test_the_command_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    log = several(tmp_path / "log.json")
    rules, columns = policy(tmp_path, allow("iam:*")), tmp_path / "requests.parquet"
    done = iamtables("audit", "--policy", rules, "--requests", tmp_path / "x.csv", log)
    assert (done.code, "writes Parquet" in done.err) == (2, True)
    assert iamtables("audit", "--policy", rules, "--requests", columns, log).code == 0
    done = iamtables("audit", "--policy", rules, "--requests", tmp_path / "y.parquet", columns)
    assert (done.code, "has them already" in done.err) == (2, True)
    assert not (tmp_path / "y.parquet").exists()
    (tmp_path / "t.csv").write_text("action\niam:ListUsers\n")
    done = iamtables("audit", "--policy", rules, columns, tmp_path / "t.csv")
    assert (done.code, "do not go together" in done.err) == (2, True)


def changed(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(change(table.column(name).to_pylist())))


@pytest.mark.parametrize(("name", "change", "reason"), [
    ("record", lambda rows: rows[::-1], "do not stand together"),
    ("class", lambda rows: ["mapped"] * len(rows), "calls without requests"),
    ("class", lambda rows: ["other"] * len(rows), "`other` in column `class` is not known"),
    ("requester", lambda rows: [None] * len(rows), "without a value"),
    ("action", lambda rows: [None] * len(rows), "calls without requests"),
])
def test_what_does_not_hold_together_is_one_clear_error(
    tmp_path: Path, name: str, change: Callable[[list[Any]], list[Any]], reason: str
) -> None:
    export([several(tmp_path / "log.json")], [], tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    assert is_columns(table.schema.names) and table_kind(tmp_path / "r.parquet") == "columns"
    pq.write_table(changed(table, name, change), tmp_path / "bad.parquet")
    with pytest.raises(SourceError, match=reason):
        list(read_columns(tmp_path / "bad.parquet", []))
    done = iamtables("audit", "--policy", policy(tmp_path, allow("iam:*")),
                     tmp_path / "bad.parquet")
    assert done.code == 3 and reason.replace("`", "") in done.err.replace("`", "")


def test_no_partial_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Columns, batch: Any) -> Any:
        raise OSError(28, "No space left on device")

    log, rules = several(tmp_path / "log.json"), policy(tmp_path, allow("iam:*"))
    monkeypatch.setattr(Columns, "table", full)
    done = iamtables("audit", "--policy", rules, "--requests", tmp_path / "r.parquet", log)
    assert done.code == 3 and "No space left" in done.err
    assert not list(tmp_path.glob("*r.parquet*"))


def test_what_no_record_tells_is_neither_absent_nor_unknown_afterwards(tmp_path: Path) -> None:
    tag = "aws:PrincipalTag/team"

    def told(value: str | None) -> dict[str, Any]:
        tags = {} if value is None else {"team": value}
        return record("iam", "ListUsers", eventContext={
            "requestContext": {}, "tagContext": {"principalTags": tags}})

    log = write(tmp_path / "log.json", told("red"), told(None), told("***"))
    batches = export([log], [tag], tmp_path / "r.parquet", deduplicate=False)
    for source in (batches, read_columns(tmp_path / "r.parquet", [tag])):
        columns = [batch.context[tag] for batch in source]
        assert [column.value(row) or int(column.codes[row])
                for column in columns for row in range(len(column))] == ["red", -3, -2]
