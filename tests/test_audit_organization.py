"""Logs decided in an organization: who asked, whose the resource is, and which layer decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from log_records import (
    ACCOUNT,
    ROLE,
    ROLE_IDENTITY,
    SERVICE_IDENTITY,
    USER,
    USER_IDENTITY,
    record,
    write,
)

import iamtables as it
from iamtables import DecisionCode, Layer
from iamtables.asking import asking_columns
from iamtables.audit import Audit, keys_of
from iamtables.audit_counts import UNDECIDED
from iamtables.logs import LogOptions, read_logs

OTHER = "444455556666"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1"
ROOT_IDENTITY = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root",
                 "accountId": ACCOUNT}
ANONYMOUS = {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
FEDERATED = {
    "type": "FederatedUser", "principalId": f"{ACCOUNT}:bob", "accountId": ACCOUNT,
    "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": USER, "accountId": ACCOUNT}},
}


def document(policy_type: str, *statements: dict[str, Any]) -> it.PolicyDocument:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return it.parse_policy(text, name=f"{policy_type}.json", policy_type=policy_type)


def allow(action: str, resource: str | None = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, **more}
    return statement if resource is None else {**statement, "Resource": resource}


def organization(**changes: Any) -> it.Organization:
    reader = document("identity", allow("s3:*"), allow("ec2:Describe*"))
    parts: dict[str, Any] = {
        "accounts": (it.Account(ACCOUNT, scps=(it.PolicySet((document(
            "scp", allow("*"), {"Effect": "Deny", "Action": "ec2:DescribeVpcs",
                                "Resource": "*"}),)),)),),
        "principals": (it.Principal(USER, identity=it.PolicySet((reader,))),
                       it.Principal(ROLE, identity=it.PolicySet((reader,)))),
        "resource_policies": (
            it.ResourcePolicy("arn:aws:s3:::mine", it.PolicySet((document(
                "resource",
                allow("s3:GetObject", "arn:aws:s3:::mine/*", Principal="*"),
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::mine/*",
                 "Principal": {"AWS": SESSION}}),)), ACCOUNT),
        ),
        "missing_layers": ("session", "rcp", "vpce"),
    }
    return it.Organization(**(parts | changes))


def audited(tmp_path: Path, *records: dict[str, Any], **changes: Any) -> tuple[Any, Audit]:
    table = it.compile(organization(**changes))
    audit = Audit(table)
    reader = read_logs([write(tmp_path / "log.json", *records)], LogOptions(deduplicate=False),
                       list(keys_of(table)))
    (batch,) = reader
    return audit.add(batch), audit


def s3(name: str, key: str | None, bucket: str = "mine", **fields: Any) -> dict[str, Any]:
    parameters = {"bucketName": bucket} | ({} if key is None else {"key": key})
    arn = f"arn:aws:s3:::{bucket}" + ("" if key is None else f"/{key}")
    return record("s3", name, requestParameters=parameters,
                  resources=[{"type": "AWS::S3::Object", "ARN": arn}], **fields)


@pytest.mark.parametrize(("made", "decision", "layer"), [
    (s3("PutObject", "k"), DecisionCode.ALLOW, Layer.IDENTITY),
    (s3("PutObject", "k", userIdentity=ROLE_IDENTITY), DecisionCode.EXPLICIT_DENY, Layer.RESOURCE),
    (s3("GetObject", "k", userIdentity=ANONYMOUS), DecisionCode.ALLOW, Layer.RESOURCE),
    (s3("PutObject", "k", userIdentity=ANONYMOUS), DecisionCode.IMPLICIT_DENY, Layer.RESOURCE),
    (s3("PutObject", "k", userIdentity=ROOT_IDENTITY), DecisionCode.ALLOW, Layer.ROOT),
    (s3("GetObject", "k", userIdentity=SERVICE_IDENTITY), DecisionCode.ALLOW, Layer.RESOURCE),
    (record("ec2", "DescribeVpcs"), DecisionCode.EXPLICIT_DENY, Layer.SCP),
    (record("ec2", "DescribeVpcs", userIdentity=ROOT_IDENTITY), DecisionCode.EXPLICIT_DENY,
     Layer.SCP),
    (record("ec2", "DescribeSubnets"), DecisionCode.ALLOW, Layer.IDENTITY),
    (record("iam", "ListUsers"), DecisionCode.IMPLICIT_DENY, Layer.IDENTITY),
    (s3("PutObject", "k", bucket="unheard-of"), DecisionCode.UNDETERMINED, Layer.NONE),
    (record("ec2", "DescribeSubnets", userIdentity=FEDERATED), DecisionCode.UNDETERMINED,
     Layer.NONE),
])  # fmt: skip
def test_a_call_is_decided_over_all_layers_by_who_made_it(
    tmp_path: Path, made: dict[str, Any], decision: DecisionCode, layer: Layer
) -> None:
    results, _ = audited(tmp_path, made)
    assert (DecisionCode(results.decision[0]), Layer(results.layer[0])) == (decision, layer)


def test_the_session_is_named_and_its_role_keeps_its_path(tmp_path: Path) -> None:
    made = [record("ec2", "DescribeSubnets", userIdentity=identity)
            for identity in (ROLE_IDENTITY, USER_IDENTITY, FEDERATED, ROOT_IDENTITY, ANONYMOUS)]
    (batch,) = read_logs([write(tmp_path / "log.json", *made)], LogOptions(deduplicate=False), [])
    columns = asking_columns(batch, np.arange(batch.requests, dtype=np.int32))
    assert columns["principal"].to_list() == [
        SESSION, USER, f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        f"arn:aws:iam::{ACCOUNT}:root", "anonymous"]
    assert columns["issuer_arn"].to_list() == [ROLE, None, USER, None, None]


def test_an_owner_that_the_record_tells_settles_a_bucket_without_a_policy(tmp_path: Path) -> None:
    told = s3("PutObject", "k", bucket="unheard-of")
    told["resources"].append({"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::unheard-of",
                              "accountId": ACCOUNT})
    told["resources"][0]["accountId"] = ACCOUNT
    results, audit = audited(tmp_path, told)
    assert DecisionCode(results.decision[0]) == DecisionCode.ALLOW
    assert audit.summary().layers == {"identity": [0, 1, 0, 0]}


def test_a_principal_that_the_export_does_not_list_is_named_as_the_reason(tmp_path: Path) -> None:
    results, audit = audited(tmp_path, record("ec2", "DescribeSubnets"), principals=())
    assert DecisionCode(results.decision[0]) == DecisionCode.UNDETERMINED
    ((reasons, count),) = audit.summary().depends_on
    assert count == 1 and any(USER in reason for reason in reasons)


def test_an_account_outside_of_the_snapshot_is_not_guessed_at(tmp_path: Path) -> None:
    stranger = {**USER_IDENTITY, "arn": f"arn:aws:iam::{OTHER}:user/eve", "accountId": OTHER}
    results, _ = audited(tmp_path, record("ec2", "DescribeSubnets", userIdentity=stranger))
    assert DecisionCode(results.decision[0]) == DecisionCode.UNDETERMINED


def test_every_call_is_counted_once_and_layers_add_up(tmp_path: Path) -> None:
    results, audit = audited(
        tmp_path, s3("PutObject", "k"), s3("PutObject", "k", userIdentity=ROLE_IDENTITY),
        record("ec2", "DescribeVpcs"), record("sts", "GetCallerIdentity"),
        record("ec2", "DescribeSubnets", userIdentity={"type": "Unknown"}),
    )
    summary = audit.summary()
    assert int((results.decision != UNDECIDED).sum()) == summary.decided
    assert sum(map(sum, summary.layers.values())) == summary.decided
    assert summary.missing_layers == ("session", "rcp", "vpce")
    assert summary.decided + sum(summary.not_carrying.values()) + summary.not_selected == sum(
        summary.classes[name] for name in ("mapped", "partial"))


def test_rows_decided_in_a_batch_are_decided_alike_one_by_one(tmp_path: Path) -> None:
    table = it.compile(organization())
    made = [s3("PutObject", "k"), s3("PutObject", "k", userIdentity=ROLE_IDENTITY),
            s3("GetObject", "k", userIdentity=ANONYMOUS), record("ec2", "DescribeVpcs")]
    (batch,) = read_logs([write(tmp_path / "log.json", *made)], LogOptions(deduplicate=False),
                         list(keys_of(table)))
    rows = np.arange(batch.requests, dtype=np.int32)
    asking = asking_columns(batch, rows)
    decisions = table.decide(action=batch.action, resource=batch.resource, missing="unknown",
                             **asking)
    for row in range(batch.requests):
        explanation = decisions.explain(row)
        assert explanation.decision == decisions.decision[row]
        assert Layer(decisions.layer[row]) in (*explanation.deciders, Layer.NONE)


TEAM = "aws:PrincipalTag/team"


def tagged() -> it.PolicySet:
    return it.PolicySet((document("identity", allow(
        "ec2:DescribeSubnets", Condition={"StringEquals": {TEAM: "blue"}})),))


def plain(**told: Any) -> dict[str, Any]:
    return record("ec2", "DescribeSubnets", userIdentity=USER_IDENTITY, **told)


def with_tag(value: str) -> dict[str, Any]:
    return plain(eventContext={"requestContext": {}, "tagContext": {
        "principalTags": {"team": value}}})


@pytest.mark.parametrize("is_assumed", [False, True])
def test_what_one_record_tells_leaves_the_others_what_follows_for_them(
    tmp_path: Path, is_assumed: bool
) -> None:
    """CTX-3 row by row: a tag that a record tells is its own, others have the user's."""
    user = it.Principal(USER, identity=tagged(), tags={"team": "blue"})
    table = it.compile(organization(principals=(user,)))
    made = [plain(), with_tag("red"), plain(), with_tag("***"), with_tag("blue")]
    reader = read_logs([write(tmp_path / "log.json", *made)], LogOptions(deduplicate=False),
                       list(keys_of(table)))
    (batch,) = reader
    audit = Audit(table, assume={TEAM: "red"} if is_assumed else None)
    results = audit.add(batch)
    expected = ["ALLOW", "IMPLICIT_DENY", "ALLOW", "UNDETERMINED", "ALLOW"]
    if is_assumed:
        expected = ["IMPLICIT_DENY"] * 4 + ["ALLOW"]
    assert [DecisionCode(code).name for code in results.decision.tolist()] == expected
    alone = [Audit(table).add(next(iter(read_logs(
        [write(tmp_path / f"{at}.json", one)], LogOptions(deduplicate=False),
        list(keys_of(table)))))).decision[0] for at, one in enumerate(made)]
    if not is_assumed:
        assert alone == results.decision.tolist()


@pytest.mark.parametrize(("missing", "left"), [
    ("unknown", "UNDETERMINED"), ("absent", "IMPLICIT_DENY")])
def test_without_an_organization_a_tag_not_told_is_what_missing_says(
    tmp_path: Path, missing: Any, left: str
) -> None:
    table = it.compile(list(tagged().documents))
    made = [plain(), with_tag("red"), with_tag("***"), with_tag("blue")]
    (batch,) = read_logs([write(tmp_path / "log.json", *made)], LogOptions(deduplicate=False),
                         list(keys_of(table)))
    decided = Audit(table, missing=missing).add(batch).decision.tolist()
    assert [DecisionCode(code).name for code in decided] == [
        left, "IMPLICIT_DENY", "UNDETERMINED", "ALLOW"]
