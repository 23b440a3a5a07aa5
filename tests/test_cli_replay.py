"""`iamtables replay`: two sides of any kind, reports and files, exit codes for a pipeline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from command_line import BEFORE, FULL_ACCESS, READ_ONLY, allow, deny, iamtables, policy
from log_records import ACCOUNT, USER, record, write
from shared_data import shared_data
from snapshots import ROOT, UNIT, A, B, Snapshot, document, user

from iamtables.demo.sample import write_sample

ROOT_USER = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
DENIALS = ("IMPLICIT_DENY", "EXPLICIT_DENY")


def replay(before, after, *arguments):
    return iamtables("replay", "--before", before, "--after", after, *arguments)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def sides(tmp_path):
    """Before: reading. After: no role reading, object writing, and keys where a tag allows."""
    return (
        policy(tmp_path, allow(["iam:List*", "s3:ListAllMyBuckets"], Sid="Reads"), name="old.json"),
        policy(tmp_path, allow("s3:*", Sid="Buckets"), allow("kms:*", Sid="Keys", Condition={
            "StringEquals": {"aws:ResourceTag/x": "1"}}), allow("iam:ListUsers", Sid="Users"),
            deny("iam:ListRoles", Sid="NoRoles"), name="new.json"),
    )


@pytest.fixture
def log(tmp_path):
    def one(i, service, name, **more):
        return record(service, name, eventID=f"{i:08x}-0000-4000-8000-000000000000",
                      eventTime=f"2026-01-02T03:04:{i:02}Z", **more)

    return write(
        tmp_path / "log.json", one(1, "iam", "ListRoles"), one(2, "iam", "ListRoles"),
        one(3, "s3", "DeleteBucket", requestParameters={"bucketName": "b"}),
        one(4, "kms", "DescribeKey", requestParameters={
            "keyId": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"}),
        one(5, "iam", "ListUsers"), one(6, "ec2", "DescribeVpcs"),
        one(7, "iam", "ListRoles", userIdentity=ROOT_USER), one(8, "sts", "GetCallerIdentity"))


def test_the_report_tells_denied_allowed_and_undetermined_calls_in_this_order(sides, log):
    finished = replay(*sides, log)
    assert (finished.code, finished.err) == (0, "")
    out = finished.out
    heads = ["newly denied: 2 records in 1 group", "newly allowed: 1 record in 1 group",
             "newly undetermined: 1 record in 1 group"]
    assert [out.index(head) for head in heads] == sorted(out.index(head) for head in heads)
    assert re.search(r"before: allow: old:Reads \(.*old\.json:\d+:\d+\)", out)
    assert re.search(r"after: +explicit deny: new:NoRoles \(.*new\.json:\d+:\d+\)", out)
    assert "before: implicit deny: no statement allows it" in out
    assert "depends on aws:ResourceTag/x" in out
    for shown in (USER, "00000001-0000-4000-8000-000000000000 at 2026-01-02T03:04:01Z",
                  "8 records of 1 file", "s3:DeleteBucket on *", "1 root user"):
        assert shown in out
    assert re.search(r"unchanged +2\n", out)


def test_the_json_report_holds_every_group_and_both_sides(sides, log):
    report = replay(*sides, log, "--format", "json").json()
    assert report["changes"] == {"newly-denied": 2, "newly-allowed": 1, "newly-undetermined": 1,
                                 "other": 0, "unchanged": 2}
    assert [source["name"] for source in report["before"] + report["after"]] == list(sides)
    assert report["files"]["read"] == 1 and report["principals"] == ["*"]
    denied = report["groups"][0]
    assert denied["after"]["statement"]["sid"] == "NoRoles"
    assert denied["after"]["statement"]["line"] > 1
    assert [e["event_id"][:8] for e in denied["examples"]] == ["00000001", "00000002"]
    assert report["not_decided"]["requester"] == {"root user": 1}


@pytest.mark.parametrize(("wanted", "code"), [
    ("newly-denied", 1), ("newly-allowed", 1), ("newly-undetermined", 1),
    ("newly-undetermined, newly-denied", 1), ("", 0),
])
def test_fail_on_ends_with_exit_code_one(sides, log, wanted, code):
    assert replay(*sides, log, "--fail-on", wanted).code == code
    assert replay(sides[0], sides[0], log, "--fail-on", wanted).code == 0


@pytest.mark.parametrize(("present", "services"), [
    ("newly-denied", "iam"), ("newly-allowed", "s3"), ("newly-undetermined", "kms")])
def test_fail_on_looks_at_the_named_changes_alone(sides, log, present, services):
    others = {"newly-denied", "newly-allowed", "newly-undetermined"} - {present}
    assert replay(*sides, log, "--service", services, "--fail-on", ",".join(others)).code == 0
    assert replay(*sides, log, "--service", services, "--fail-on", present).code == 1


@pytest.mark.parametrize("arguments", [
    ("--before", FULL_ACCESS, "x"), ("--after", FULL_ACCESS, "x"),
    ("--before", FULL_ACCESS, "--after", FULL_ACCESS),
    ("--before", FULL_ACCESS, "--after", FULL_ACCESS, "x", "--fail-on", "newly-odd"),
    ("--before", FULL_ACCESS, "--after", FULL_ACCESS, "x", "--top", "0"),
])
def test_a_replay_that_makes_no_sense_is_a_usage_error(arguments):
    finished = iamtables("replay", *arguments)
    assert (finished.code, finished.out) == (2, "") and "Traceback" not in finished.err


def test_input_that_cannot_be_used_is_one_clear_error(tmp_path, sides, log):
    for before, after, logs, output in (
        (tmp_path / "no.json", sides[1], log, "x.md"), (*sides, tmp_path / "none", "x.md"),
        (*sides, log, "x.pdf"), (*sides, log, "no/x.parquet"),
    ):
        finished = replay(before, after, logs, "-o", tmp_path / output)
        assert finished.code == 3 and finished.err.count("error[IT") == 1
        assert not (tmp_path / output).exists()


@pytest.mark.parametrize("suffix", ["parquet", "ndjson", "csv"])
def test_a_row_per_flipped_record_has_both_decisions(tmp_path, sides, log, suffix):
    path = tmp_path / f"out.{suffix}"
    finished = replay(*sides, log, "-o", path)
    assert finished.code == 0 and f"wrote {path}: 4 rows" in finished.err
    if suffix == "ndjson":
        rows = rows_of(path)
    elif suffix == "parquet":
        rows = pa.parquet.read_table(path).to_pylist()
    else:
        rows = pa.csv.read_csv(path).to_pylist()
    seen = [(r["action"], r["change"], r["before"], r["after"]) for r in rows]
    assert seen == [
        ("iam:ListRoles", "newly-denied", "ALLOW", "EXPLICIT_DENY"),
        ("iam:ListRoles", "newly-denied", "ALLOW", "EXPLICIT_DENY"),
        ("s3:DeleteBucket", "newly-allowed", "IMPLICIT_DENY", "ALLOW"),
        ("kms:DescribeKey", "newly-undetermined", "IMPLICIT_DENY", "UNDETERMINED"),
    ]
    assert rows[0]["event_id"].startswith("00000001") and rows[0]["principal"] == USER
    assert rows[0]["before_statement"] == "old:Reads" and rows[0]["before_layer"] == "identity"
    assert re.search(r"new\.json:\d+:\d+$", rows[0]["after_place"])
    assert rows[3]["depends_on"] == "aws:ResourceTag/x" and not rows[3]["before_statement"]
    assert rows[2]["resource"] == "arn:aws:s3:::b"


@pytest.mark.parametrize("suffix", ["parquet", "ndjson", "csv"])
def test_a_file_without_flips_is_whole_and_has_no_rows(tmp_path, sides, log, suffix):
    path = tmp_path / f"out.{suffix}"
    assert replay(sides[0], sides[0], log, "-o", path).code == 0
    if suffix == "parquet":
        table = pa.parquet.read_table(path)
        assert table.num_rows == 0 and "before_place" in table.column_names
    else:
        assert len(path.read_text().splitlines()) == (suffix == "csv")


def test_the_markdown_report_is_written_also_when_the_exit_code_is_one(tmp_path, sides, log):
    path = tmp_path / "report.md"
    finished = replay(*sides, log, "-o", path, "--fail-on", "newly-denied")
    assert finished.code == 1 and "wrote" in finished.err
    text = path.read_text()
    assert "**4** of 6 records decided on both sides flip" in text
    assert text.index("#### Newly denied") < text.index("#### Newly allowed")


def test_flipped_rows_are_those_of_two_audits(tmp_path):
    write_sample(tmp_path / "log", records=4_000, seed=5)
    for name in (BEFORE, FULL_ACCESS):
        iamtables("audit", "--policy", name, tmp_path / "log", "-o",
                  tmp_path / f"{name == BEFORE}.ndjson")
    assert replay(BEFORE, FULL_ACCESS, tmp_path / "log", "-o", tmp_path / "out.ndjson").code == 0
    assert_flips(tmp_path)


@pytest.mark.parametrize("source", ["invictus", "plaso", "panther"])
def test_flipped_rows_of_real_logs_are_those_of_two_audits(tmp_path, source):
    path = shared_data("cloudtrail", source)
    old = policy(tmp_path, allow(["ec2:*", "iam:*", "s3:List*"]), deny("iam:Delete*"))
    new = policy(tmp_path, allow(["s3:*", "sts:*", "ec2:*"], Condition={
        "StringEquals": {"aws:RequestedRegion": "us-east-1"}}), name="new.json")
    for name in (old, new):
        iamtables("audit", "--policy", name, path, "-o", tmp_path / f"{name == old}.ndjson")
    assert replay(old, new, path, "-o", tmp_path / "out.ndjson").code == 0
    assert_flips(tmp_path)


def assert_flips(directory):
    """Rows of out.ndjson are the pairs of True.ndjson (before) and False.ndjson that flip."""
    expected = []
    for old, new in zip(rows_of(directory / "True.ndjson"), rows_of(directory / "False.ndjson"),
                        strict=True):
        assert old["event_id"] == new["event_id"]
        was, now = old["decision"], new["decision"]
        if None in (was, now) or was == now or (was in DENIALS and now in DENIALS):
            continue
        expected.append((old["event_id"], old["time"], was, now, old["layer"], new["layer"],
                         old["principal"], new["depends_on"] if now == "UNDETERMINED" else None))
    seen = [(r["event_id"], r["time"], r["before"], r["after"], r["before_layer"],
             r["after_layer"], r["principal"], r["depends_on"])
            for r in rows_of(directory / "out.ndjson")]
    assert seen == expected and seen


def test_each_side_may_have_several_policies_directories_and_compiled_tables(tmp_path):
    write_sample(tmp_path / "log", records=2_000, seed=3)
    folder = tmp_path / "policies"
    folder.mkdir()
    for path in (FULL_ACCESS, READ_ONLY):
        (folder / Path(path).name).write_bytes(Path(path).read_bytes())
    iamtables("compile", FULL_ACCESS, READ_ONLY, "-o", tmp_path / "both.iamt")
    reports = [
        iamtables("replay", "--before", BEFORE, *after, tmp_path / "log", "--format", "json").json()
        for after in (("--after", FULL_ACCESS, "--after", READ_ONLY), ("--after", folder),
                      ("--after", tmp_path / "both.iamt"))
    ]
    assert reports[0]["changes"]["newly-allowed"] > 0
    assert all(r["changes"] == reports[0]["changes"] for r in reports)


def test_tables_of_requests_are_replayed_by_row(tmp_path, sides):
    path = tmp_path / "requests.csv"
    path.write_text(f"principal,action,resource\n{USER},iam:ListRoles,*\n{USER},s3:GetObject,\n"
                    f"{USER},kms:Encrypt,arn:aws:kms:x:1:key/k\n")
    finished = replay(*sides, path, "-o", tmp_path / "out.ndjson")
    assert finished.code == 0 and "3 rows of 1 file" in finished.out
    rows = rows_of(tmp_path / "out.ndjson")
    assert [(r["row"], r["after"]) for r in rows] == [(1, "EXPLICIT_DENY"), (2, "ALLOW")]
    assert "requests.csv:1, *" in finished.out


def test_principals_and_assumed_values_hold_for_both_sides(sides, log):
    report = replay(*sides, log, "--format", "json", "--principal", "*:user/nobody").json()
    assert report["decided"] == 0 and report["not_decided"]["not_selected"] == 6
    report = replay(*sides, log, "--format", "json", "--assume", "aws:ResourceTag/x=1").json()
    assert report["changes"]["newly-undetermined"] == 0
    assert report["changes"]["newly-allowed"] == 2
    assert "changes nothing" in replay(*sides, log, "--assume", "aws:Nobody/asks=1").err


def test_text_from_inputs_cannot_steer_the_terminal_or_be_taken_for_markup(tmp_path):
    evil = "arn:aws:iam::1:user/[red]x[/]\x1b[2J\u009b\nnewly denied: 9"
    path = tmp_path / "r.ndjson"
    path.write_text(json.dumps({"principal": evil, "action": "s3:[/]", "resource": "*"}))
    old = policy(tmp_path, allow("s3:*", Sid="[bold]x"))
    finished = replay(old, BEFORE, path)
    assert finished.code == 0
    assert "user/[red]x[/]\\x1b[2J\\x9b\\nnewly denied: 9" in finished.out
    assert "s3:[/]" in finished.out and "[bold]x" in finished.out
    assert "\x1b" not in finished.out and "\nnewly denied: 9" not in finished.out


# --- organizations

def organization(path, *, iam_is_denied, actions=("s3:*", "iam:*")):
    """alice with an inline policy, below a service control policy that may forbid iam."""
    snapshot = Snapshot(path)
    snapshot.tree()
    for target in (ROOT, UNIT, A, B):
        snapshot.attach("scps", target, "p-FullAWSAccess")
    if iam_is_denied:
        snapshot.attach("scps", UNIT, "p-FullAWSAccess", "p-noiam00")
        snapshot.describe("p-noiam00", document("iam:*", "Deny"))
    snapshot.details(users=(user(USER, UserPolicyList=[
        {"PolicyName": f"own{i}", "PolicyDocument": document(action)}
        for i, action in enumerate(actions)]),))
    return path


def test_organizations_stand_on_both_sides_and_the_layer_is_told(tmp_path, log):
    old = organization(tmp_path / "old", iam_is_denied=False)
    new = organization(tmp_path / "new", iam_is_denied=True)
    report = replay(old, new, log, "--format", "json").json()
    denied = [g for g in report["groups"] if g["change"] == "newly-denied"]
    assert {g["after"]["layer"] for g in denied} == {"scp"}
    assert {g["after"]["decision"] for g in denied} == {"EXPLICIT_DENY"}
    assert {g["principal"] for g in denied} == {USER, ROOT_USER["arn"]}
    alice = next(g for g in denied if g["principal"] == USER and g["action"] == "iam:ListRoles")
    assert alice["before"]["layer"] == "identity" and alice["records"] == 2
    assert "p-noiam00" in alice["after"]["statement"]["path"]
    text = replay(old, new, log, "--fail-on", "newly-denied")
    assert text.code == 1 and "explicit deny (scp): " in text.out
    assert replay(new, old, log, "--fail-on", "newly-denied").code == 0


def test_an_allow_that_a_control_policy_lacks_is_named_beside_the_one_of_the_principal(
        tmp_path, log):
    old = organization(tmp_path / "old", iam_is_denied=False)
    new = organization(tmp_path / "new", iam_is_denied=False)
    for side, action in ((old, "*"), (new, "s3:*")):
        snapshot = Snapshot(side)
        snapshot.attach("scps", UNIT, "p-unit0000")
        snapshot.describe("p-unit0000", document(action, Sid="UnitMay"))
    report = replay(old, new, log, "--format", "json", "--service", "iam").json()
    alice = next(g for g in report["groups"] if g["principal"] == USER)
    assert (alice["after"]["decision"], alice["after"]["layer"]) == ("IMPLICIT_DENY", "scp")
    assert alice["before"]["statement"]["path"].endswith("authorization-details.json")
    assert (alice["before"]["gate"]["sid"], alice["after"]["gate"]) == ("UnitMay", None)
    assert re.search(r"let through by .*:UnitMay \(.*:\d+:\d+\)", replay(old, new, log).out)
    back = replay(new, old, log, "--format", "json", "--service", "iam").json()
    assert {g["after"]["gate"]["sid"] for g in back["groups"]} == {"UnitMay"}
    for one, two, (side, other) in ((old, new, ("before", "after")),
                                    (new, old, ("after", "before"))):
        replay(one, two, log, "--service", "iam", "-o", tmp_path / "out.ndjson")
        rows = [r for r in rows_of(tmp_path / "out.ndjson") if r["principal"] == USER]
        assert rows
        for row in rows:  # alice's own statement lets her, and so did the unit
            assert row[f"{side}_layer"] == "identity" and row[f"{side}_gate_layer"] == "scp"
            assert row[f"{side}_gate"].endswith(":UnitMay")
            assert re.search(r"p-unit0000.*:\d+:\d+$", row[f"{side}_gate_place"])
            assert row[f"{other}_gate"] is None is row[f"{other}_gate_layer"]


def test_organizations_replay_as_two_audits_do(tmp_path, log):
    old = organization(tmp_path / "old", iam_is_denied=False)
    new = organization(tmp_path / "new", iam_is_denied=True, actions=("s3:*", "kms:*"))
    for side in (old, new):
        iamtables("audit", "--org", side, log, "-o", tmp_path / f"{side == old}.ndjson")
    assert replay(old, new, log, "-o", tmp_path / "out.ndjson").code == 0
    before, after = (rows_of(tmp_path / f"{flag}.ndjson") for flag in (True, False))
    flipped = {r["event_id"]: (r["before"], r["after"], r["before_layer"], r["after_layer"])
               for r in rows_of(tmp_path / "out.ndjson")}
    for was, now in zip(before, after, strict=True):
        pair = (was["decision"], now["decision"])
        is_flip = None not in pair and pair[0] != pair[1] and not set(pair) <= set(DENIALS)
        assert (was["event_id"] in flipped) == is_flip
        if is_flip:
            assert flipped[was["event_id"]] == (*pair, was["layer"], now["layer"])
    assert len(flipped) >= 4


def test_policies_against_an_organization_compare_what_both_can_decide(tmp_path, sides, log):
    org = organization(tmp_path / "org", iam_is_denied=False)
    report = replay(sides[0], org, log, "--format", "json").json()
    assert report["not_decided"]["only_after"] == 1  # the root user
    assert report["not_decided"]["only_before"] == 0 and report["decided"] == 6
    back = replay(org, sides[0], log, "--format", "json").json()
    assert back["not_decided"]["only_before"] == 1


def test_an_organization_comes_alone_on_its_side(tmp_path, sides, log):
    org = organization(tmp_path / "org", iam_is_denied=False)
    finished = iamtables("replay", "--before", org, "--before", sides[0], "--after", org, log)
    assert finished.code == 2 and "must come alone" in finished.err
