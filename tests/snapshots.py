"""A small snapshot of an organization, as AWS's tools print it, to be bent by tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

A, B, MANAGEMENT = "111122223333", "444455556666", "999988887777"
ROOT, UNIT, ORG = "r-ab12", "ou-ab12-11111111", "o-abcdefghij"
BOUNDARY = f"arn:aws:iam::{A}:policy/limits/edge"
CUSTOMER = f"arn:aws:iam::{A}:policy/reader"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
APP = f"arn:aws:iam::{A}:role/service/app"
ANA = f"arn:aws:iam::{A}:user/ana"
BUCKET = "arn:aws:s3:::logs"
QUEUE = f"arn:aws:sqs:eu-west-1:{A}:jobs"

Json = dict[str, Any]


def document(action: str, effect: str = "Allow", **more: Any) -> Json:
    """A policy of one statement; an element that is None is left out."""
    statement = {"Effect": effect, "Action": action, "Resource": "*"} | more
    return {
        "Version": "2012-10-17",
        "Statement": [{k: v for k, v in statement.items() if v is not None}],
    }


def trust(service: str = "ec2.amazonaws.com", **more: Any) -> Json:
    more = {"Action": "sts:AssumeRole", "Resource": None, "Principal": {"Service": service}} | more
    return document("", **more)


def managed(arn: str, action: str, version: str = "v1") -> Json:
    old = {"Document": document("old:Action"), "VersionId": "v0", "IsDefaultVersion": False}
    return {
        "PolicyName": arn.rpartition("/")[2],
        "Arn": arn,
        "DefaultVersionId": version,
        "PolicyVersionList": [
            old,
            {
                "Document": document(action),
                "VersionId": version,
                "IsDefaultVersion": True,
                "CreateDate": "2026-02-01T00:00:00+00:00",
            },
        ],
    }


def attached(*arns: str) -> list[Json]:
    return [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]


def role(arn: str = APP, **more: Any) -> Json:
    return {
        "Arn": arn,
        "RoleName": arn.rpartition("/")[2],
        "RoleId": "AROAAPP",
        "Path": "/",
        "AssumeRolePolicyDocument": trust(),
        "RolePolicyList": [],
        "Tags": [],
        "AttachedManagedPolicies": [],
    } | more


def user(arn: str = ANA, **more: Any) -> Json:
    return {
        "Arn": arn,
        "UserName": arn.rpartition("/")[2],
        "UserId": "AIDAANA",
        "Path": "/",
        "GroupList": [],
        "AttachedManagedPolicies": [],
    } | more


def details(
    *,
    users: tuple[Json, ...] = (),
    roles: tuple[Json, ...] = (),
    groups: tuple[Json, ...] = (),
    policies: tuple[Json, ...] = (),
    **more: Any,
) -> Json:
    return {
        "UserDetailList": list(users),
        "GroupDetailList": list(groups),
        "RoleDetailList": list(roles),
        "Policies": list(policies),
    } | more


class Snapshot:
    """Files below a directory, written with `put` and `policy`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, content: Any) -> Path:
        """Bytes and text as they are, anything else as the JSON that `aws` prints."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=4)
            path.write_text(text, encoding="utf-8")
        return path

    def details(self, account: str = A, page: str = "", **content: Any) -> Path:
        return self.put(f"accounts/{account}/authorization-details{page}.json", details(**content))

    def policy(self, arn: str, content: Any, account: str = A, folder: str = "") -> Path:
        name = f"{folder}/{quote(arn, safe='')}.json".lstrip("/")
        return self.put(f"accounts/{account}/resources/{name}", content)

    def tree(self, *, policy_types: list[Json] | None = None) -> None:
        """Root, one unit, account A in the unit, B and the management account in the root."""
        self.put(
            "organization/organization.json",
            {"Organization": {"Id": ORG, "MasterAccountId": MANAGEMENT}},
        )
        root: Json = {"Id": ROOT, "Arn": f"arn:aws:organizations::{MANAGEMENT}:root/{ORG}/{ROOT}"}
        if policy_types is not None:
            root["PolicyTypes"] = policy_types
        self.put("organization/roots.json", {"Roots": [root]})
        self.units(ROOT, UNIT)
        self.units(UNIT)
        self.accounts(ROOT, B, MANAGEMENT)
        self.accounts(UNIT, A)

    def units(self, parent: str, *children: str) -> Path:
        return self.put(
            f"organization/units/{parent}.json",
            {"OrganizationalUnits": [{"Id": c, "Name": c} for c in children]},
        )

    def accounts(self, parent: str, *children: str) -> Path:
        return self.put(
            f"organization/accounts/{parent}.json",
            {"Accounts": [{"Id": c, "Status": "ACTIVE"} for c in children]},
        )

    def attach(self, kind: str, target: str, *policies: str, **more: Any) -> Path:
        aws_type = {"scps": "SERVICE_CONTROL_POLICY", "rcps": "RESOURCE_CONTROL_POLICY"}[kind]
        return self.put(
            f"organization/{kind}/{target}.json",
            {"Policies": [{"Id": p, "Name": p[2:], "Type": aws_type} for p in policies]} | more,
        )

    def describe(self, policy: str, content: Json) -> Path:
        return self.put(
            f"organization/policies/{policy}.json",
            {"Policy": {"PolicySummary": {"Id": policy}, "Content": json.dumps(content)}},
        )
