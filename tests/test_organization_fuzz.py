"""Whatever stands in a snapshot's files, loading ends in an organization or one of our errors."""

from __future__ import annotations

import json
import random

import pytest
from snapshots import (
    APP,
    BOUNDARY,
    CUSTOMER,
    MANAGEMENT,
    QUEUE,
    ROOT,
    UNIT,
    A,
    B,
    Snapshot,
    attached,
    document,
    managed,
    role,
    user,
)

from iamtables import Organization, load_organization
from iamtables.errors import IamtablesError

STRANGE = [
    None,
    True,
    0,
    -1.5,
    "",
    "x",
    "*",
    "arn:aws:iam::1:role/x",
    [],
    {},
    [[]],
    [None],
    {"": ""},
    {"Statement": 1},
    "{}",
    "%7B%7D",
    '"',
    "\ud800",
    "é" * 50,
    10**400,
    A,
    ROOT,
    UNIT,
]
BYTES = [b"", b"\0", b"\xff", b'"', b"{", b"}", b"[", b",", b":", b"\\", b"\\u12", b"\n", b"null"]


@pytest.fixture
def snapshot(tmp_path):
    """One of everything."""
    made = Snapshot(tmp_path / "org")
    made.tree(policy_types=[{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}])
    group = {
        "Arn": f"arn:aws:iam::{A}:group/dev",
        "GroupName": "dev",
        "AttachedManagedPolicies": attached(CUSTOMER),
        "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": document("a:B")}],
    }
    made.details(
        users=(user(GroupList=["dev"], Tags=[{"Key": "k", "Value": "v"}]),),
        groups=(group,),
        policies=(managed(CUSTOMER, "a:B"), managed(BOUNDARY, "a:*")),
        roles=(
            role(
                PermissionsBoundary={"PermissionsBoundaryArn": BOUNDARY},
                RolePolicyList=[{"PolicyName": "p", "PolicyDocument": "%7B%7D"}],
            ),
        ),
    )
    for target in (ROOT, UNIT, A, B, MANAGEMENT):
        made.attach("scps", target, "p-FullAWSAccess", "p-guard001")
    made.describe("p-guard001", document("ec2:*", "Deny"))
    made.put(
        f"accounts/{A}/endpoints.json",
        {
            "VpcEndpoints": [
                {
                    "VpcEndpointId": "vpce-1",
                    "PolicyDocument": json.dumps(document("*", Principal="*")),
                }
            ]
        },
    )
    made.put(
        f"accounts/{A}/kms-aliases.json",
        {"Aliases": [{"AliasArn": f"arn:aws:kms:x:{A}:alias/a", "TargetKeyId": "1"}]},
    )
    made.policy(QUEUE, {"Attributes": {"Policy": json.dumps(document("sqs:*", Principal="*"))}})
    made.put(f"accounts/{A}/resources/index.json", {"arn:aws:s3:::b": {"file": "x.json"}})
    made.put(f"accounts/{A}/resources/x.json", {"Policy": json.dumps(document("s3:*"))})
    made.put(
        f"accounts/{A}/resources/logs/arn%3Aaws%3Alogs%3Ax%3A{A}%3A%2A.json",
        {"resourcePolicies": [{"policyName": "p", "policyDocument": json.dumps(document("a:B"))}]},
    )
    made.put("aws-managed/ReadOnlyAccess.json", document("a:B"))
    assert APP in {p.arn for p in load_organization(made.path).principals}
    return made


def places(value, path=()):
    """The path of every value inside a JSON value."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else (enumerate(value) if isinstance(value, list) else ())
    )
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def load(snapshot):
    """What loading gives; anything but an organization or our error is the test's failure."""
    try:
        organization = load_organization(snapshot.path)
    except IamtablesError as error:
        assert str(error).startswith("error[")
        return None
    assert isinstance(organization, Organization)
    return organization


def test_every_value_may_be_anything(snapshot):
    """Each value of each file in turn, replaced by something strange."""
    rng = random.Random(5)
    tried = refused = 0
    for path in sorted(snapshot.path.rglob("*.json")):
        original = path.read_bytes()
        content = json.loads(original)
        for place in places(content):
            for strange in rng.sample(STRANGE, 1):
                path.write_text(json.dumps(replaced(content, place, strange)))
                tried += 1
                refused += load(snapshot) is None
        path.write_bytes(original)
    assert tried > 200 and tried > refused > 50


def test_every_file_may_hold_any_bytes(snapshot):
    """Bytes cut out and put in at random places."""
    rng = random.Random(6)
    refused = 0
    paths = sorted(snapshot.path.rglob("*.json"))
    for _ in range(200):
        path = rng.choice(paths)
        original = path.read_bytes()
        at = rng.randrange(len(original))
        cut = rng.choice((0, 0, 1, 5, len(original)))
        path.write_bytes(original[:at] + rng.choice(BYTES) + original[at + cut :])
        refused += load(snapshot) is None
        path.write_bytes(original)
    assert refused > 100
