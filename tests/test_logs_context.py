"""Condition keys of a record in three states, hand-checked (docs/spec/cloudtrail.md, section 6).

In the tables `...` stands for unknown and None for absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from log_records import (
    ACCOUNT,
    ROLE,
    ROLE_IDENTITY,
    SERVICE_IDENTITY,
    USER,
    read_one,
    record,
    write,
)

from iamtables.logs import LogOptions, read_logs, tables
from iamtables.logs.context import key_table

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
OBJECT = {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::data/a/b.txt"}
BUCKET = {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::data", "accountId": ACCOUNT}

VIA_FORMATION = {**ROLE_IDENTITY, "invokedBy": "cloudformation.amazonaws.com"}
VIA_CONFIG = {**ROLE_IDENTITY, "invokedBy": "config.amazonaws.com"}
VIA_BEDROCK = {**ROLE_IDENTITY, "invokedBy": "bedrock.amazonaws.com"}
VIA_INTERNAL = {**ROLE_IDENTITY, "invokedBy": "AWS Internal"}
WITH_MFA = {**ROLE_IDENTITY, "sessionContext": {
    **ROLE_IDENTITY["sessionContext"],
    "attributes": {"creationDate": "2026-01-02T03:00:00Z", "mfaAuthenticated": "true"}}}
FROM_INSTANCE = {**ROLE_IDENTITY, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/i-0abc",
                 "sessionContext": {**ROLE_IDENTITY["sessionContext"], "ec2RoleDelivery": "2.0"}}


@pytest.mark.parametrize(("key", "fields", "expected"), [
    ("aws:CurrentTime", {}, "2026-01-02T03:04:05Z"),
    ("aws:EpochTime", {}, "1767323045"),
    ("aws:CurrentTime", {"eventTime": ...}, ...),
    ("aws:CurrentTime", {"eventTime": ..., "@timestamp": "2026-01-02T03:04:05.000Z"},
     "2026-01-02T03:04:05Z"),
    ("aws:SourceIp", {}, "198.51.100.7"),
    ("aws:SourceIp", {"sourceIPAddress": "2001:DB8::1"}, "2001:db8::1"),
    ("aws:SourceIp", {"sourceIPAddress": "cloudformation.amazonaws.com"}, ...),
    ("aws:SourceIp", {"sourceIPAddress": "AWS Internal"}, ...),
    ("aws:SourceIp", {"sourceIPAddress": ...}, ...),
    ("aws:SourceIp", {"vpcEndpointId": "vpce-1", "sourceIPAddress": "10.0.0.1"}, None),
    ("aws:VpcSourceIp", {"vpcEndpointId": "vpce-1", "sourceIPAddress": "10.0.0.1"}, "10.0.0.1"),
    ("aws:VpcSourceIp", {}, None),
    ("aws:SourceVpce", {"vpcEndpointId": "vpce-1"}, "vpce-1"),
    ("aws:SourceVpce", {}, None),
    ("aws:SourceVpce", {"sourceIPAddress": "AWS Internal"}, ...),
    ("aws:VpceAccount", {"vpcEndpointId": "vpce-1", "vpcEndpointAccountId": "1"}, "1"),
    ("aws:VpceAccount", {"vpcEndpointId": "vpce-1"}, ...),
    ("aws:UserAgent", {}, "aws-cli/2"),
    ("aws:UserAgent", {"userAgent": "[aws-sdk-java/2]"}, "aws-sdk-java/2"),
    ("aws:UserAgent", {"userAgent": "cloudformation.amazonaws.com"}, ...),
    ("aws:UserAgent", {"userAgent": "very long...(truncated)"}, ...),
    ("aws:RequestedRegion", {}, "eu-west-1"),
    ("aws:RequestedRegion", {"awsRegion": ...}, ...),
    ("aws:MultiFactorAuthPresent", {}, None),
    ("aws:MultiFactorAuthPresent", {"userIdentity": ROLE_IDENTITY}, "false"),
    ("aws:MultiFactorAuthPresent", {"userIdentity": WITH_MFA}, "true"),
    ("aws:MultiFactorAuthPresent", {"userIdentity": None}, ...),
    ("aws:MultiFactorAuthAge", {"userIdentity": WITH_MFA}, "245"),
    ("aws:MultiFactorAuthAge", {"userIdentity": ROLE_IDENTITY}, None),
    ("aws:MultiFactorAuthAge", {}, None),
    ("aws:TokenIssueTime", {"userIdentity": ROLE_IDENTITY}, "2026-01-02T03:00:00Z"),
    ("aws:TokenIssueTime", {}, None),
    ("aws:PrincipalArn", {}, USER),
    ("aws:PrincipalArn", {"userIdentity": ROLE_IDENTITY}, ROLE),
    ("aws:PrincipalArn", {"userIdentity": SERVICE_IDENTITY}, None),
    ("aws:PrincipalAccount", {}, ACCOUNT),
    ("aws:PrincipalType", {}, "User"),
    ("aws:PrincipalType", {"userIdentity": ROLE_IDENTITY}, "AssumedRole"),
    ("aws:PrincipalType", {"userIdentity": {"type": "Root", "arn": ROOT}}, "Account"),
    ("aws:userid", {"userIdentity": ROLE_IDENTITY}, "AROAEXAMPLE:s1"),
    ("aws:username", {}, "alice"),
    ("aws:username", {"userIdentity": ROLE_IDENTITY}, None),
    ("aws:PrincipalIsAWSService", {"userIdentity": SERVICE_IDENTITY}, "true"),
    ("aws:PrincipalIsAWSService", {}, "false"),
    ("aws:PrincipalServiceName", {"userIdentity": SERVICE_IDENTITY}, "config.amazonaws.com"),
    ("aws:PrincipalServiceName", {}, None),
    ("aws:ViaAWSService", {}, "false"),
    ("aws:ViaAWSService", {"userIdentity": VIA_FORMATION}, "true"),
    ("aws:ViaAWSService", {"userIdentity": VIA_INTERNAL}, ...),
    ("aws:CalledVia", {}, None),
    ("aws:CalledVia", {"userIdentity": VIA_FORMATION}, ["cloudformation.amazonaws.com"]),
    ("aws:CalledVia", {"userIdentity": VIA_CONFIG}, ...),
    ("aws:CalledViaLast", {"userIdentity": VIA_FORMATION}, "cloudformation.amazonaws.com"),
    ("aws:CalledViaLast", {"userIdentity": VIA_BEDROCK}, "bedrock.amazonaws.com"),
    ("aws:CalledViaLast", {"userIdentity": VIA_CONFIG}, ...),
    ("aws:CalledViaFirst", {"userIdentity": VIA_FORMATION}, ...),
    ("aws:CalledViaFirst", {"userIdentity": VIA_BEDROCK}, ...),
    ("aws:SecureTransport", {"tlsDetails": {"tlsVersion": "TLSv1.2"}}, "true"),
    ("aws:SecureTransport", {}, ...),
    ("aws:FederatedProvider", {}, None),
    ("aws:FederatedProvider", {"userIdentity": ROLE_IDENTITY}, ...),
    ("aws:FederatedProvider", {"userIdentity": {**ROLE_IDENTITY, "sessionContext": {
        "webIdFederationData": {"federatedProvider": "accounts.google.com"}}}},
     "accounts.google.com"),
    ("aws:SourceIdentity", {"userIdentity": ROLE_IDENTITY}, None),
    ("aws:SourceIdentity", {"userIdentity": {**ROLE_IDENTITY, "sessionContext": {
        "sourceIdentity": "carol"}}}, "carol"),
    ("ec2:RoleDelivery", {"userIdentity": FROM_INSTANCE}, "2.0"),
    ("ec2:RoleDelivery", {"userIdentity": ROLE_IDENTITY}, None),
    ("ec2:SourceInstanceArn", {"userIdentity": FROM_INSTANCE}, ...),
    ("ec2:SourceInstanceArn", {"userIdentity": ROLE_IDENTITY}, None),
    ("identitystore:UserId", {}, None),
])
def test_keys_that_follow_from_the_caller(
    tmp_path: Path, key: str, fields: dict[str, Any], expected: Any
) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers", **fields), keys=[key])
    assert seen.context == [{key: expected}]


def test_services_that_managed_policies_name_in_called_via_are_known_to_set_it() -> None:
    data = pytest.importorskip("moto.iam.aws_managed_policies").aws_managed_policies_data
    named: set[str] = set()
    for policy in json.loads(data).values():
        statements = policy["Document"]["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            for operator, condition in statement.get("Condition", {}).items():
                if operator.endswith("IfExists") or "Not" in operator or "Null" in operator:
                    continue  # holds without the key, so it shows nothing
                for key, values in condition.items():
                    if key.lower() in ("aws:calledvia", "aws:calledviafirst", "aws:calledvialast"):
                        named.update([values] if isinstance(values, str) else values)
    assert "bedrock.amazonaws.com" in named and not any("*" in name for name in named)
    known = key_table()["called_via"]
    assert known == sorted(set(known))
    assert named <= set(known)


TAGS = {"tags": [{"key": "team", "value": "blue"}, {"key": "Env", "value": ""}]}


@pytest.mark.parametrize(("key", "service", "name", "fields", "expected"), [
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": {"prefix": "a/"}}, "a/"),
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": {"prefix": ["a/"]}}, "a/"),
    ("s3:prefix", "s3", "ListObjects", {}, None),
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": None}, None),
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": None, "errorCode": "AccessDenied"},
     ...),
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": {"prefix": "***"}}, ...),
    ("s3:prefix", "s3", "ListObjects", {"requestParameters": "HIDDEN_DUE_TO_SECURITY_REASONS"},
     ...),
    ("s3:prefix", "s3", "GetObject", {"requestParameters": {"prefix": "a/"}}, None),
    ("s3:prefix", "iam", "ListUsers", {"requestParameters": {"prefix": "a/"}}, None),
    ("s3:max-keys", "s3", "ListObjects", {"requestParameters": {"max-keys": 100}}, "100"),
    ("s3:x-amz-acl", "s3", "PutBucketAcl", {"requestParameters": {"x-amz-acl": "private"}},
     "private"),
    ("s3:locationconstraint", "s3", "CreateBucket", {"requestParameters": {
        "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}}, "eu-west-1"),
    ("s3:TlsVersion", "s3", "ListBuckets", {"tlsDetails": {"tlsVersion": "TLSv1.3"}}, "1.3"),
    ("s3:TlsVersion", "iam", "ListUsers", {"tlsDetails": {"tlsVersion": "TLSv1.3"}}, None),
    ("s3:authType", "s3", "ListBuckets",
     {"additionalEventData": {"AuthenticationMethod": "AuthHeader"}}, "REST-HEADER"),
    ("s3:signatureversion", "s3", "ListBuckets",
     {"additionalEventData": {"SignatureVersion": "SigV4"}}, "AWS4-HMAC-SHA256"),
    ("s3:authType", "s3", "ListBuckets", {}, ...),
    ("kms:ViaService", "kms", "ListKeys",
     {"userIdentity": {**ROLE_IDENTITY, "invokedBy": "secretsmanager.amazonaws.com"}},
     "secretsmanager.eu-west-1.amazonaws.com"),
    ("kms:ViaService", "kms", "ListKeys", {}, None),
    ("kms:ViaService", "iam", "ListUsers", {"userIdentity": VIA_INTERNAL}, None),
    ("kms:EncryptionContext:app", "kms", "Decrypt",
     {"requestParameters": {"encryptionContext": {"App": "x"}}}, "x"),
    ("kms:EncryptionContext:app", "kms", "Decrypt", {}, None),
    ("kms:EncryptionContextKeys", "kms", "Decrypt",
     {"requestParameters": {"encryptionContext": {"App": "x"}}}, ["App"]),
    ("kms:GrantOperations", "kms", "CreateGrant",
     {"requestParameters": {"operations": ["Decrypt", "Encrypt"]}}, ["Decrypt", "Encrypt"]),
    ("iam:PolicyARN", "iam", "AttachRolePolicy",
     {"requestParameters": {"policyArn": "arn:aws:iam::aws:policy/P"}},
     "arn:aws:iam::aws:policy/P"),
    ("iam:AWSServiceName", "iam", "CreateServiceLinkedRole",
     {"requestParameters": {"aWSServiceName": "rds.amazonaws.com"}}, "rds.amazonaws.com"),
    ("iam:PermissionsBoundary", "iam", "AttachRolePolicy", {}, ...),
    ("iam:PermissionsBoundary", "iam", "CreateRole", {}, None),
    ("sts:ExternalId", "sts", "AssumeRole", {"requestParameters": {"externalId": "e"}}, "e"),
    ("sts:ExternalId", "sts", "AssumeRole", {}, None),
    ("sts:RoleSessionName", "sts", "AssumeRole",
     {"requestParameters": {"roleSessionName": "s"}}, "s"),
    ("ec2:InstanceType", "ec2", "RunInstances",
     {"requestParameters": {"instanceType": "t3.micro"}}, "t3.micro"),
    ("ec2:InstanceType", "ec2", "RunInstances", {}, ...),
    ("ec2:Region", "ec2", "DescribeVpcs", {}, "eu-west-1"),
    ("ec2:Region", "iam", "ListUsers", {}, None),
    ("aws:RequestTag/team", "sqs", "ListQueues", {}, None),
    ("aws:RequestTag/TEAM", "iam", "CreateUser", {"requestParameters": TAGS}, "blue"),
    ("aws:RequestTag/env", "iam", "CreateUser", {"requestParameters": TAGS}, ""),
    ("aws:RequestTag/other", "iam", "CreateUser", {"requestParameters": TAGS}, None),
    ("aws:TagKeys", "iam", "CreateUser", {"requestParameters": TAGS}, ["team", "Env"]),
    ("aws:TagKeys", "iam", "UntagRole", {"requestParameters": {"tagKeys": ["a"]}}, ["a"]),
    ("aws:RequestTag/a", "lambda", "CreateFunction20150331",
     {"requestParameters": {"tags": {"a": "b"}}}, "b"),
    ("aws:RequestTag/a", "ec2", "CreateVpc", {"requestParameters": {"tagSpecificationSet": {
        "items": [{"resourceType": "vpc", "tags": [{"key": "a", "value": "b"}]}]}}}, "b"),
    ("aws:RequestTag/a", "ec2", "CreateTags", {"requestParameters": {
        "tagSet": {"items": [{"key": "a", "value": "b"}]}}}, "b"),
    ("aws:RequestTag/a", "kms", "CreateKey",
     {"requestParameters": {"tags": [{"tagKey": "a", "tagValue": "b"}]}}, "b"),
    ("aws:RequestTag/a", "iam", "CreateUser", {"requestParameters": {"tags": "***"}}, ...),
    ("aws:RequestTag/a", "iam", "CreateUser", {"requestParameters": {"newTagShape": [1]}}, ...),
    ("aws:RequestTag/a", "iam", "CreateUser",
     {"requestParameters": None, "errorCode": "AccessDenied"}, ...),
    ("aws:RequestTag/a", "iam", "ListUsers",
     {"requestParameters": None, "errorCode": "AccessDenied"}, None),
    ("aws:ResourceAccount", "s3", "GetBucketAcl", {"resources": [BUCKET]}, ACCOUNT),
    ("aws:ResourceAccount", "s3", "GetObject", {"resources": [OBJECT]}, ...),
    ("aws:ResourceAccount", "sts", "AssumeRole", {"requestParameters": {"roleArn": ROLE}}, ACCOUNT),
])
def test_keys_that_follow_from_the_request(
    tmp_path: Path, key: str, service: str, name: str, fields: dict[str, Any], expected: Any
) -> None:
    seen = read_one(tmp_path, record(service, name, **fields), keys=[key])
    assert seen.context[0] == {key: expected}


def test_tagging_on_creation_knows_the_call_that_creates(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("ec2", "CreateVpc", requestParameters={
        "tagSpecificationSet": {"items": [{"tags": [{"key": "a", "value": "b"}]}]}}),
        keys=["ec2:CreateAction"])
    assert [context["ec2:CreateAction"] for context in seen.context] == [None, "CreateVpc"]


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "aws:PrincipalOrgID",
                                 "s3:ExistingObjectTag/x", "aws:SourceVpc"])
def test_keys_that_records_never_tell_are_left_out(tmp_path: Path, key: str) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers"), keys=[key, "aws:SourceIp"])
    assert seen.context == [{"aws:SourceIp": "198.51.100.7"}]


def test_columns_are_named_as_the_keys_were_asked(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers"), keys=["AWS:sourceip"])
    assert list(seen.context[0]) == ["AWS:sourceip"]


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("room", [4 << 20, 3000, 0])
def test_identities_and_what_comes_beside_them_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_compiled: bool, room: int
) -> None:
    """Each is read once, and forgotten when they are too many: every record has its own values."""
    monkeypatch.setattr(tables, "_MAX_BYTES", room)
    random = Random(4)
    given = [(random.choice("abcde"), f"198.51.100.{random.randrange(4)}",
              random.choice(["agent/1", "agent/2", "agent/11", None]),
              random.choice(["TLSv1.2", "TLSv1.3", None]),
              random.choice(["eu-west-1", "us-east-1"]))
             for _ in range(400)]
    log = write(tmp_path / "log.json", *(
        record("iam", "ListUsers", eventID=f"{number:036d}", sourceIPAddress=address,
               userAgent=agent, awsRegion=region,
               tlsDetails=None if tls is None else {"tlsVersion": tls},
               userIdentity={"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
                             "accountId": ACCOUNT, "userName": name})
        for number, (name, address, agent, tls, region) in enumerate(given)))
    keys = ("aws:UserAgent", "aws:username", "aws:SourceIp", "aws:RequestedRegion",
            "aws:SecureTransport")
    batch, = read_logs([log], LogOptions(is_compiled=is_compiled), keys)
    found = [batch.context[key].to_list() for key in keys]
    assert list(zip(*found, strict=True)) == [
        (agent, name, address, region, None if tls is None else "true")
        for name, address, agent, tls, region in given]
