"""`iamtables audit`: logs and tables of requests in, summaries and files out, bad input refused."""

from __future__ import annotations

import csv
import gzip
import json
import os

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from command_line import ACCOUNT, FULL_ACCESS, READ_ONLY, USER, allow, deny, iamtables, policy
from log_records import record
from shared_data import shared_data

from iamtables.demo.sample import write_sample

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
SERVICE = {"type": "AWSService", "invokedBy": "config.amazonaws.com"}
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}


def audit(*arguments):
    return iamtables("audit", *arguments)


def log(directory, *records, name="log.json.gz"):
    path = directory / name
    text = json.dumps({"Records": [r | {"eventID": f"{i:08x}-0000-4000-8000-000000000000"}
                                   for i, r in enumerate(records)]}).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    write_sample(root, records=4_000, seed=5)
    return root


@pytest.fixture
def mixed(tmp_path):
    """Six records: two decided, one undetermined, one each of root, service, and no call."""
    return log(
        tmp_path,
        record("s3", "ListBuckets"),
        record("iam", "ListRoles"),
        record("kms", "DescribeKey", requestParameters={"keyId": "alias/x"}),
        record("iam", "ListRoles", userIdentity=ROOT),
        record("iam", "ListRoles", userIdentity=SERVICE),
        record("sts", "GetCallerIdentity"),
    )


def test_the_text_summary_counts_records_and_names_statements(tmp_path, mixed):
    path = policy(tmp_path, allow("iam:List*", Sid="Reads"), allow("kms:*", KEY, Sid="Keys"))
    finished = audit("--policy", path, mixed)
    assert finished.code == 0 and finished.err == ""
    for shown in ("6 records of 1 file", "no-action", "policy:Reads", "(no statement allows it)",
                  "1 root user, 1 AWS service", "undetermined until these are known", "resource",
                  "what the log says happened", "the resource is known in part"):
        assert shown in finished.out


def test_the_json_summary_has_all_counts_and_they_add_up(tmp_path, mixed):
    path = policy(tmp_path, allow("iam:List*", Sid="Reads"), allow("kms:*", KEY, Sid="Keys"))
    summary = audit("--policy", path, mixed, "--format", "json").json()
    assert summary["records"] == 6 == sum(summary["classes"].values())
    assert summary["decisions"] == {"IMPLICIT_DENY": 1, "ALLOW": 1, "EXPLICIT_DENY": 0,
                                    "UNDETERMINED": 1}
    assert summary["not_decided"] == {"requester": {"root user": 1, "AWS service": 1},
                                      "not_selected": 0}
    assert {group["statement"]: group["decision"] for group in summary["groups"]} == {
        "policy:Reads": "ALLOW", "policy:Keys": "UNDETERMINED",
        "(no statement allows it)": "IMPLICIT_DENY"}
    assert summary["depends_on"] == [{"on": ["resource"], "records": 1}]


def test_principals_are_selected_by_pattern(tmp_path, mixed):
    summary = audit("--policy", FULL_ACCESS, "--principal", "*:user/nobody", "--principal",
                    "*:role/*", mixed, "--format", "json").json()
    assert summary["decided"] == 0 and summary["not_decided"]["not_selected"] == 3
    assert summary["principals"] == ["*:user/nobody", "*:role/*"]


def test_assumed_values_settle_what_the_log_does_not_tell(tmp_path):
    path = policy(tmp_path, allow("iam:ListRoles", Condition={
        "StringEquals": {"aws:PrincipalTag/team": "x"}}))
    made = log(tmp_path, record("iam", "ListRoles"))
    open_, closed = (audit("--policy", path, made, "--format", "json", *more).json()["decisions"]
                     for more in ((), ("--assume", "aws:principaltag/team=x")))
    assert open_["UNDETERMINED"] == 1 and closed["ALLOW"] == 1
    noted = audit("--policy", path, made, "--assume", "aws:PrincipalTag/other=1")
    assert "no policy asks for `aws:PrincipalTag/other`" in noted.err


@pytest.mark.parametrize(("choice", "decision"), [("absent", "IMPLICIT_DENY"),
                                                  ("unknown", "UNDETERMINED")])
def test_missing_keys_are_what_the_option_says(tmp_path, choice, decision):
    path = policy(tmp_path, allow("iam:ListRoles", Condition={
        "StringEquals": {"aws:PrincipalTag/team": "x"}}))
    made = log(tmp_path, record("iam", "ListRoles"))
    summary = audit("--policy", path, made, "--missing", choice, "--format", "json").json()
    assert summary["decisions"][decision] == 1
    assert audit("--policy", path, made, "--missing", "error").code == 3


def rows_of(path):
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(stream)]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".csv"])
def test_every_record_gets_one_row_whatever_became_of_it(tmp_path, mixed, suffix):
    path = policy(tmp_path, allow("iam:List*", Sid="Reads"), allow("kms:*", KEY, Sid="Keys"))
    output = tmp_path / f"out{suffix}"
    finished = audit("--policy", path, mixed, "--output", output)
    assert finished.code == 0 and "6 rows" in finished.err
    rows = rows_of(output)
    assert [row["decision"] for row in rows] == [
        "IMPLICIT_DENY", "ALLOW", "UNDETERMINED", None, None, None]
    assert [row["statement"] for row in rows] == [
        None, "policy:Reads", "policy:Keys", None, None, None]
    assert rows[2]["depends_on"] == "resource" and rows[2]["resource"] is None
    assert [row["requester"] for row in rows[:5]] == ["user or role"] * 3 + [
        "root user", "AWS service"]
    assert [row["class"] for row in rows] == ["mapped", "mapped", "partial", "mapped", "mapped",
                                              "no-action"]
    assert rows[0]["action"] == "s3:ListAllMyBuckets" and rows[0]["event_name"] == "ListBuckets"
    assert str(rows[0]["time"]).replace(" ", "T").startswith("2026-01-02T03:04:05")
    assert rows[0]["recorded_outcome"] == "passed"


def test_the_three_formats_hold_the_same_rows(tmp_path, sample):
    tables = []
    for suffix in (".parquet", ".ndjson", ".csv"):
        output = tmp_path / f"out{suffix}"
        assert audit("--policy", FULL_ACCESS, sample, "-o", output).code == 0
        rows = rows_of(output)
        tables.append([(r["event_id"], r["decision"], r["statement"], r["principal"], r["resource"],
                        r["depends_on"]) for r in rows])
    assert len(tables[0]) == 4_000 and tables[0] == tables[1] == tables[2]


def test_output_of_an_unknown_kind_is_refused_before_any_work(tmp_path, mixed):
    finished = audit("--policy", FULL_ACCESS, mixed, "-o", tmp_path / "out.xlsx")
    assert finished.code == 3 and ".parquet" in finished.err
    assert not (tmp_path / "out.xlsx").exists()


def test_nothing_partial_is_left_when_reading_fails(tmp_path):
    bad = tmp_path / "logs"
    bad.mkdir()
    (bad / "x.json.gz").write_bytes(gzip.compress(b'{"Records": [{"eventVersion"')[:-12])
    out = tmp_path / "out"
    out.mkdir()
    assert audit("--policy", FULL_ACCESS, bad, "-o", out / "o.parquet").code == 3
    assert os.listdir(out) == []


@pytest.mark.parametrize("make", [
    lambda d: d / "none", lambda d: d, lambda d: d / "*.gz", lambda d: _file(d, b""),
    lambda d: _file(d, b"hello"), lambda d: _file(d, b'{"a": 1}'), lambda d: _file(d, b"\x1f\x8b"),
])
def test_inputs_without_a_log_are_one_clear_error(tmp_path, make):
    logs = tmp_path / "logs"
    logs.mkdir()
    finished = audit("--policy", FULL_ACCESS, make(logs))
    assert (finished.code, finished.out) == (3, "")
    assert finished.err.count("error[IT") == 1 and "help:" in finished.err


def _file(directory, data):
    path = directory / "x.json"
    path.write_bytes(data)
    return path


def test_a_file_that_breaks_off_is_told_and_the_rest_is_counted(tmp_path, sample):
    logs = tmp_path / "logs"
    logs.mkdir()
    log(logs, record("iam", "ListRoles"), name="good.json")
    (logs / "bad.json.gz").write_bytes(gzip.compress(b'{"Records":[]}' * 100)[:-20])
    finished = audit("--policy", FULL_ACCESS, logs)
    assert finished.code == 3 and "1 record of 1 file" in finished.out
    assert "bad.json.gz" in finished.err


def test_records_that_cannot_be_read_are_told_and_the_exit_code_says_so(tmp_path):
    path = log(tmp_path, record("iam", "ListRoles"), {"eventSource": 5}, {"eventName": []})
    finished = audit("--policy", FULL_ACCESS, "--output", tmp_path / "out.csv", path)
    assert finished.code == 3 and "1 record of 1 file" in finished.out
    assert "1 records were not read: `eventSource` has the wrong type" in finished.err
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".csv"])
@pytest.mark.parametrize("place", ["_put", "close"])
def test_a_full_disk_leaves_no_output_and_says_so(tmp_path, monkeypatch, suffix, place):
    from iamtables import results

    def full(*arguments):
        raise OSError(28, "No space left on device")

    for writer in (results._ParquetWriter, results._NdjsonWriter, results._CsvWriter):
        monkeypatch.setattr(writer, place, full)
    finished = audit("--policy", FULL_ACCESS, "--output", tmp_path / f"out{suffix}",
                     log(tmp_path, record("iam", "ListRoles")))
    assert finished.code == 3 and "No space left on device" in finished.err
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_an_interrupted_audit_leaves_no_output(tmp_path, monkeypatch):
    from iamtables import results

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(results._ParquetWriter, "_put", interrupted)
    finished = audit("--policy", FULL_ACCESS, "--output", tmp_path / "out.parquet",
                     log(tmp_path, record("iam", "ListRoles")))
    assert finished.code == 130
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


# --- tables of requests

ROWS = [
    {"principal": USER, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "aws:x": "1"},
    {"principal": USER, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "aws:x": None},
    {"principal": USER, "action": "s3:PutObject", "resource": None, "aws:x": "2"},
    {"principal": None, "action": "s3:DeleteObject", "resource": "arn:aws:s3:::b/k", "aws:x": "1"},
    {"principal": USER, "action": "broken", "resource": "arn:aws:s3:::b/k", "aws:x": "1"},
]
EXPECTED = ["ALLOW", "IMPLICIT_DENY", "UNDETERMINED", "EXPLICIT_DENY", "UNDETERMINED"]


@pytest.fixture
def rules(tmp_path):
    return policy(
        tmp_path, allow("s3:GetObject", Condition={"StringEquals": {"AWS:X": "1"}}),
        allow("s3:PutObject", "arn:aws:s3:::b/*"), deny("s3:DeleteObject"))


def request_table(directory, form, rows=ROWS):
    path = directory / f"requests.{form}"
    table = pa.Table.from_pylist(rows)
    if form == "parquet":
        pa.parquet.write_table(table, path)
    elif form == "csv":
        pa.csv.write_csv(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson", "jsonl", "json"])
def test_tables_of_requests_are_taken_in_place_of_logs(tmp_path, rules, form):
    output = tmp_path / "out.ndjson"
    finished = audit("--policy", rules, request_table(tmp_path, form), "-o", output,
                     "--format", "json")
    assert finished.code == 0
    rows = rows_of(output)
    assert [row["decision"] for row in rows] == EXPECTED
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5]
    assert "event_id" not in rows[0] and rows[0]["source"].endswith(f"requests.{form}")
    assert finished.json()["records"] == 5


def test_several_tables_and_patterns_are_read_in_order(tmp_path, rules):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        request_table(tmp_path / name, "parquet")
    summary = audit("--policy", rules, tmp_path / "*" / "*.parquet", "--format", "json").json()
    assert summary["records"] == 10 and summary["files"]["read"] == 2


def test_lists_make_a_key_multivalued_in_parquet_and_ndjson(tmp_path):
    path = policy(tmp_path, allow("s3:*", Condition={
        "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
        "Null": {"aws:TagKeys": "false"}}))
    rows = [{"action": "s3:X", "resource": "*", "aws:TagKeys": keys}
            for keys in (["a"], ["a", "c"], None)]
    for form in ("parquet", "ndjson"):
        summary = audit("--policy", path, request_table(tmp_path, form, rows), "--format",
                        "json").json()
        assert summary["decisions"]["ALLOW"] == 1 and summary["decisions"]["IMPLICIT_DENY"] == 2


def test_typed_parquet_columns_are_compared_as_what_they_are(tmp_path):
    path = policy(tmp_path, allow("s3:*", Condition={
        "NumericLessThan": {"s3:max-keys": "10"},
        "DateGreaterThan": {"aws:CurrentTime": "2025-01-01T00:00:00Z"}}))
    table = pa.table({
        "action": ["s3:X"] * 4, "resource": ["*"] * 4,
        "s3:max-keys": pa.array([9, 10, 9, None]),
        "aws:CurrentTime": pa.array([1736000000, 1736000000, 1700000000, 1736000000],
                                    pa.timestamp("s")),
    })
    pa.parquet.write_table(table, tmp_path / "r.parquet")
    summary = audit("--policy", path, tmp_path / "r.parquet", "--format", "json").json()
    assert summary["decisions"]["ALLOW"] == 1


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
def test_what_would_settle_a_row_is_told_row_by_row(tmp_path, form):
    path = policy(
        tmp_path, allow("s3:*", Condition={"StringEquals": {"aws:x": "1", "aws:one": "1"}}),
        allow("s3:*", Condition={"StringEquals": {"aws:x": "2", "aws:two": "1"}}))
    rows = [{"action": "s3:X", "resource": "*", "aws:x": x} for x in ("1", "2", "1", "3")]
    output = tmp_path / "out.ndjson"
    assert audit("--policy", path, request_table(tmp_path, form, rows), "--missing", "unknown",
                 "-o", output).code == 0
    assert [row["depends_on"] for row in rows_of(output)] == ["aws:one", "aws:two", "aws:one", None]


def test_a_column_of_nothing_but_nulls_says_that_nothing_is_known(tmp_path):
    path = policy(tmp_path, allow("s3:*", "arn:aws:s3:::a"))
    table = pa.table({"action": ["s3:X"], "resource": pa.nulls(1), "principal": pa.nulls(1)})
    pa.parquet.write_table(table, tmp_path / "r.parquet")
    summary = audit("--policy", path, tmp_path / "r.parquet", "--format", "json").json()
    assert summary["decisions"]["UNDETERMINED"] == 1


def test_csv_tells_an_empty_text_from_a_null(tmp_path):
    path = policy(tmp_path, allow("s3:*", Condition={"StringEquals": {"aws:x": ""}}))
    (tmp_path / "r.csv").write_text('action,resource,aws:x\ns3:X,*,""\ns3:X,*,\n')
    summary = audit("--policy", path, tmp_path / "r.csv", "--format", "json").json()
    assert (summary["decisions"]["ALLOW"], summary["decisions"]["IMPLICIT_DENY"]) == (1, 1)


@pytest.mark.parametrize(("name", "content"), [
    ("x.csv", b"principal,resource\na,b\n"), ("x.parquet", b"PAR1 nonsense"),
    ("x.csv", b'action,resource\n"s3:X,*\n'), ("x.csv", b"\xff\xfe\x00"),
    ("x.ndjson", b'{"action": "s3:X", "resource": "*"}\nnot json\n'),
    ("x.ndjson", b'{"action": "s3:X", "resource": "*", "AWS:x": {"a": 1}}\n'),
    ("x.ndjson", b'{"action": ["s3:X"], "resource": "*"}\n'),
])
def test_a_table_that_cannot_be_read_is_one_clear_error(tmp_path, rules, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    finished = audit("--policy", rules, path)
    assert finished.code == 3 and finished.out == ""
    assert finished.err.count("error[IT") == 1 and name in finished.err


def test_logs_and_tables_of_requests_do_not_mix(tmp_path, rules, sample):
    finished = audit("--policy", rules, request_table(tmp_path, "csv"), sample)
    assert finished.code == 2 and "one after the other" in finished.err


def test_text_from_inputs_cannot_steer_the_terminal_or_be_taken_for_markup(tmp_path):
    evil = "arn:aws:iam::1:user/[red]x[/]\x1b[2J\u009b"
    path = request_table(tmp_path, "ndjson", [
        {"principal": evil, "action": "s3:[/]", "resource": "*"}])
    finished = audit("--policy", FULL_ACCESS, "--principal", "*[/]*", path)
    assert finished.code == 0
    assert "user/[red]x[/]\\x1b[2J\\x9b" in finished.out and "s3:[/]" in finished.out
    assert "\x1b" not in finished.out and "\u009b" not in finished.out


def test_a_file_name_that_is_not_utf8_is_no_obstacle(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with open(folder + b"/x.json", "wb") as stream:
        stream.write(b"{}")
    finished = audit("--policy", FULL_ACCESS, os.fsdecode(folder))
    assert finished.code == 3 and "\\udcff" in finished.err


def test_a_compiled_table_audits_as_its_policies_do(tmp_path, sample):
    table = tmp_path / "t.iamt"
    iamtables("compile", FULL_ACCESS, READ_ONLY, "-o", table)
    fresh = audit("--policy", FULL_ACCESS, "--policy", READ_ONLY, sample, "--format", "json").json()
    saved = audit("--policy", table, sample, "--format", "json").json()
    for summary in (fresh, saved):
        del summary["elapsed_s"]
    assert fresh == saved


def test_real_records_give_a_true_and_readable_summary():
    path = shared_data("bedrock_versions", "AmazonBedrockFullAccess.v10.json")
    finished = audit("--policy", path, shared_data("cloudtrail", "invictus"))
    assert finished.code == 0
    assert "2,900 records of 55 files" in finished.out
    assert "APIsWithAllResourceAccess" in finished.out


@pytest.mark.parametrize("source", ["invictus", "grycap", "otrf", "plaso", "panther", "custodian",
                                    "trailscraper"])
def test_every_kind_of_real_log_is_audited_and_adds_up(source):
    summary = audit("--policy", FULL_ACCESS, shared_data("cloudtrail", source), "--format",
                    "json").json()
    assert summary["records"] == sum(summary["classes"].values()) > 0
    calls = summary["classes"]["mapped"] + summary["classes"]["partial"]
    assert calls == summary["decided"] + sum(summary["not_decided"]["requester"].values())
