"""The log's own outcome beside our decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import allow, deny, iamtables, policy
from log_records import ROLE, ROLE_IDENTITY, USER, record, write
from shared_data import shared_data

import iamtables as it
from iamtables import reality as reality_module
from iamtables.audit import Audit
from iamtables.logs import read_logs
from iamtables.reality import Contradiction, Reality

LIST = "iam:ListUsers"


def refused(layer: str | None, *, is_explicit: bool = False) -> dict[str, Any]:
    tail = "" if layer is None else (
        f" with an explicit deny in a {layer}" if is_explicit
        else f" because no {layer} allows the {LIST} action")
    return {"errorCode": "AccessDenied", "requestParameters": None,
            "errorMessage": f"User: {USER} is not authorized to perform: {LIST} on resource: *"
            + tail}


def checked(tmp_path: Path, rules: list[dict[str, Any]], *records: dict[str, Any]) -> Reality:
    for number, one in enumerate(records):
        one["eventID"] = f"{number:036d}"
    table = it.compile(it.load_policy(policy(tmp_path, *rules)))
    audit = Audit(table)
    for batch in read_logs([write(tmp_path / "log.json", *records)], keys=list(table.keys)):
        audit.add(batch)
    found = audit.summary().reality
    assert found is not None
    return found


def only(found: Reality) -> Contradiction:
    assert len(found.contradictions) == 1
    return found.contradictions[0]


def test_agreement_is_no_contradiction(tmp_path: Path) -> None:
    found = checked(tmp_path, [allow("iam:List*")], record("iam", "ListUsers"),
                    record("kms", "ListKeys", errorCode="AccessDenied"))
    assert (found.contradictions, found.agreeing) == ([], 2)


@pytest.mark.parametrize(("rules", "outcome", "recorded", "decision"), [
    ([allow("s3:*")], {}, "passed", "IMPLICIT_DENY"),
    ([deny("iam:*")], {}, "passed", "EXPLICIT_DENY"),
    ([allow("iam:*")], refused("identity-based policy"), "failed", "ALLOW"),
    ([allow("iam:*")], refused(None), "failed", "ALLOW"),
    ([allow("s3:*")], refused("identity-based policy", is_explicit=True), "failed",
     "IMPLICIT_DENY"),
    ([deny("iam:*")], refused("identity-based policy"), "failed", "EXPLICIT_DENY"),
])
def test_where_both_are_determined_and_disagree_there_is_a_contradiction(
    tmp_path: Path, rules: list[dict[str, Any]], outcome: dict[str, Any], recorded: str,
    decision: str,
) -> None:
    found = only(checked(tmp_path, rules, record("iam", "ListUsers", **outcome)))
    assert (found.recorded, found.decision, found.records) == (recorded, decision, 1)
    assert (found.principal, found.action) == (USER, LIST)
    assert found.likely_cause


@pytest.mark.parametrize("layer", [
    "service control policy", "resource control policy", "permissions boundary",
    "session policy", "VPC endpoint policy", "resource-based policy"])
def test_a_failure_by_another_layer_contradicts_nothing(tmp_path: Path, layer: str) -> None:
    found = checked(tmp_path, [allow("iam:*")], record("iam", "ListUsers", **refused(layer)))
    assert (found.contradictions, found.explained) == ([], 1)
    assert found.failed_by == {layer: {"ALLOW": 1}}


@pytest.mark.parametrize("error", ["ThrottlingException", "ValidationException", "ExpiredToken"])
def test_an_error_without_information_contradicts_nothing(tmp_path: Path, error: str) -> None:
    found = checked(tmp_path, [allow("s3:*")], record("iam", "ListUsers", errorCode=error))
    assert (found.contradictions, found.agreeing) == ([], 0)


def test_what_is_undetermined_contradicts_nothing(tmp_path: Path) -> None:
    rule = allow("iam:*", Condition={"StringEquals": {"aws:ResourceTag/x": "1"}})
    found = checked(tmp_path, [rule], record("iam", "ListUsers"),
                    record("iam", "ListUsers", **refused("identity-based policy")))
    assert found.contradictions == []


@pytest.mark.parametrize(("change", "call", "cause"), [
    ("03:00:00", "03:00:30", "within a minute of a change"),
    ("05:00:00", "03:00:00", "a later change"),
    ("01:00:00", "03:00:00", "allowed it"),
])
def test_changes_that_the_log_shows_are_named_as_the_cause(
    tmp_path: Path, change: str, call: str, cause: str
) -> None:
    found = only(checked(
        tmp_path, [allow("iam:PutRolePolicy")],
        record("iam", "PutRolePolicy", requestParameters={"roleName": "worker"},
               eventTime=f"2026-01-02T{change}Z"),
        record("s3", "ListBuckets", userIdentity=ROLE_IDENTITY, eventTime=f"2026-01-02T{call}Z")))
    assert found.principal == ROLE
    assert cause in found.likely_cause


def test_a_weak_pass_is_said_to_be_weak(tmp_path: Path) -> None:
    found = only(checked(tmp_path, [allow("s3:*")],
                         record("iam", "ListUsers", errorCode="NoSuchEntityException")))
    assert "only weakly" in found.likely_cause


def test_equal_contradictions_are_counted_and_their_number_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [record("iam", "ListUsers", eventTime=f"2026-01-02T03:04:0{n}Z") for n in range(3)]
    found = only(checked(tmp_path, [allow("s3:*")], *calls))
    assert (found.records, found.last - found.first) == (3, 2)
    monkeypatch.setattr(reality_module, "MAX_KINDS", 1)
    found_all = checked(tmp_path, [allow("s3:*")], *calls, record("iam", "ListRoles"))
    assert len(found_all.contradictions) == 1
    assert found_all.dropped == 1


def test_the_command_prints_table_and_contradictions(tmp_path: Path) -> None:
    rules = policy(tmp_path, allow("s3:*"))
    log = write(tmp_path / "log.json", record("iam", "ListUsers", eventID="a" * 36),
                record("iam", "ListRoles", eventTime="2026-01-05T00:00:00Z", eventID="b" * 36))
    done = iamtables("audit", "--policy", rules, log)
    assert "contradictions between the log and these policies" in done.out
    assert "iam:ListUsers" in done.out and "by day" in done.out and "2026-01-05" in done.out
    summary = iamtables("audit", "--policy", rules, "--format", "json", log).json()
    reality = summary["reality"]
    assert {one["action"] for one in reality["contradictions"]} == {"iam:ListRoles", LIST}
    assert [day["name"] for day in summary["by_day"]] == ["2026-01-02", "2026-01-05"]
    assert [service["name"] for service in summary["by_service"]] == ["iam"]


def test_counts_of_a_real_log_add_up() -> None:
    table = it.compile(it.parse_policy(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", '
        '"Resource": "*"}}'))
    audit = Audit(table)
    for batch in read_logs([shared_data("cloudtrail", "invictus")], keys=[]):
        audit.add(batch)
    summary = audit.summary()
    assert summary.reality is not None
    # everything is allowed here: each failure contradicts, unless another layer is named
    failed = summary.agreement["failed"]["ALLOW"]
    assert failed == sum(one.records for one in summary.reality.contradictions) \
        + summary.reality.explained
    assert failed >= 40
    assert summary.reality.agreeing == summary.agreement["passed"]["ALLOW"]
    assert sum(map(sum, summary.days.values())) == summary.decided
    assert sum(map(sum, summary.services.values())) == summary.decided
