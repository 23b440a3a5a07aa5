"""Condition keys that follow from the rest of a request: the table of section 4, row by row."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from snapshots import (
    ANA,
    APP,
    BUCKET,
    ORG,
    QUEUE,
    ROOT,
    UNIT,
    A,
    B,
    Snapshot,
    document,
    role,
    trust,
    user,
)

from iamtables import Organization, compile, load_organization
from iamtables.compiler.session_tags import may_tag_session
from iamtables.runtime import UNKNOWN
from iamtables.runtime.derived import AccountFacts, EndpointFacts, Facts, PrincipalFacts, derive
from iamtables.runtime.requesters import KIND_NAMES, read_requester

SEMANTICS = Path(__file__).parent.parent / "docs" / "spec" / "semantics.md"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/i-0abc"
ROOT_USER = f"arn:aws:iam::{A}:root"
FEDERATED = f"arn:aws:sts::{A}:federated-user/bob"
PROVIDER = f"arn:aws:iam::{A}:saml-provider/sso"
SERVICE = "cloudtrail.amazonaws.com"
STRANGER = "arn:aws:sts::123412341234:assumed-role/x/s"
CANONICAL = "ab" * 32
PATH = f"{ORG}/{ROOT}/{UNIT}/"

FACTS = Facts(
    principals={
        ANA: PrincipalFacts(ANA, "AIDAANA", {"team": "blue"}),
        APP: PrincipalFacts(APP, "AROAAPP", {"team": "red"}, has_session_tags=False),
        f"arn:aws:iam::{A}:role/open": PrincipalFacts("", "AROAOPEN", {"team": "red"}),
    },
    accounts={A: AccountFacts(A, ORG, PATH), B: AccountFacts(B, ORG)},
    endpoints={"vpce-1": EndpointFacts("vpce-1", A, "vpc-1"), "vpce-2": EndpointFacts("vpce-2")},
    resource_tags={QUEUE: {"env": "prod"}},
    resource_owners={BUCKET: B},
)


def facts_of(organization: Organization) -> Facts:
    """What a table of the organization derives keys from."""
    return compile(organization).planner.estate.facts


def derived(principal=ANA, **request):
    """What follows; a key that does not is not in it."""
    declared = "CanonicalUser" if principal == CANONICAL else None
    kind = KIND_NAMES[read_requester(principal, principal_type=declared).kind]
    return derive(FACTS, principal=principal, kind=kind, **request)


BY_REQUESTER = {
    "aws:PrincipalArn": {
        ANA: ANA,
        ROOT_USER: ROOT_USER,
        FEDERATED: FEDERATED,
        SESSION: APP,
        APP: APP,
        STRANGER: UNKNOWN,
        SERVICE: UNKNOWN,
        "anonymous": None,
        PROVIDER: None,
        CANONICAL: UNKNOWN,
    },
    "aws:PrincipalAccount": {
        ANA: A,
        ROOT_USER: A,
        FEDERATED: A,
        SESSION: A,
        APP: A,
        STRANGER: "123412341234",
        SERVICE: UNKNOWN,
        "anonymous": "anonymous",
        PROVIDER: None,
        CANONICAL: UNKNOWN,
    },
    "aws:PrincipalType": {
        ANA: "User",
        ROOT_USER: "Account",
        FEDERATED: "FederatedUser",
        SESSION: "AssumedRole",
        APP: "AssumedRole",
        SERVICE: UNKNOWN,
        "anonymous": "Anonymous",
        PROVIDER: None,
    },
    "aws:userid": {
        ANA: "AIDAANA",
        ROOT_USER: A,
        FEDERATED: f"{A}:bob",
        SESSION: "AROAAPP:i-0abc",
        APP: UNKNOWN,
        STRANGER: UNKNOWN,
        SERVICE: UNKNOWN,
        "anonymous": "anonymous",
        PROVIDER: None,
        f"{ANA}2": UNKNOWN,
    },
    "aws:username": {
        ANA: "ana",
        f"arn:aws:iam::{A}:user/a/b/eve": "eve",
        ROOT_USER: None,
        FEDERATED: None,
        SESSION: None,
        APP: None,
        SERVICE: None,
        "anonymous": None,
        PROVIDER: None,
    },
    "aws:PrincipalTag/team": {ANA: "blue", SESSION: "red", APP: "red"},
    "aws:PrincipalTag/*": {
        ANA: None,
        SESSION: None,
        ROOT_USER: None,
        FEDERATED: UNKNOWN,
        STRANGER: UNKNOWN,
        SERVICE: None,
        "anonymous": None,
        PROVIDER: None,
        f"{ANA}2": UNKNOWN,
        f"arn:aws:sts::{A}:assumed-role/open/s": UNKNOWN,
    },
    "aws:PrincipalOrgID": {
        ANA: ORG,
        SESSION: ORG,
        ROOT_USER: ORG,
        f"arn:aws:iam::{B}:root": ORG,
        STRANGER: UNKNOWN,
        SERVICE: None,
        "anonymous": None,
        PROVIDER: None,
    },
    "aws:PrincipalOrgPaths": {
        ANA: (PATH,),
        f"arn:aws:iam::{B}:root": UNKNOWN,
        STRANGER: UNKNOWN,
        SERVICE: None,
        "anonymous": None,
        PROVIDER: None,
    },
    "aws:PrincipalIsAWSService": {
        ANA: "false",
        SESSION: "false",
        ROOT_USER: "false",
        FEDERATED: "false",
        SERVICE: "true",
        "anonymous": None,
        PROVIDER: None,
    },
    "aws:PrincipalServiceName": {ANA: None, SESSION: None, SERVICE: SERVICE, "anonymous": None},
    "aws:PrincipalServiceNamesList": {ANA: None, SESSION: None, SERVICE: UNKNOWN, PROVIDER: None},
}


@pytest.mark.parametrize(
    ("key", "principal"), [(k, p) for k in BY_REQUESTER for p in BY_REQUESTER[k]]
)
def test_a_key_follows_from_the_requester(key, principal):
    assert derived(principal)[key] == BY_REQUESTER[key][principal]


BY_REQUEST = {
    "aws:ResourceAccount": [
        ({"resource": QUEUE}, A),
        ({"resource": f"{BUCKET}/a/b"}, B),
        ({"resource": "arn:aws:s3:::other/a"}, UNKNOWN),
        ({"resource": "*"}, UNKNOWN),
        ({"resource": None, "resource_account": B}, B),
        ({"resource": QUEUE, "resource_account": B}, B),
    ],
    "aws:ResourceOrgID": [
        ({"resource": QUEUE}, ORG),
        ({"resource": f"{BUCKET}/a"}, ORG),
        ({"resource": "*"}, UNKNOWN),
        ({"resource": "arn:aws:sqs:eu-west-1:123412341234:q"}, UNKNOWN),
    ],
    "aws:ResourceOrgPaths": [
        ({"resource": QUEUE}, (PATH,)),
        ({"resource": f"{BUCKET}/a"}, UNKNOWN),
    ],
    "aws:ResourceTag/env": [({"resource": QUEUE}, "prod")],
    "aws:ResourceTag/*": [({"resource": QUEUE}, None), ({"resource": f"{QUEUE}2"}, UNKNOWN)],
    "aws:SourceVpc": [
        ({"context": {"aws:SourceVpce": "vpce-1"}}, "vpc-1"),
        ({"context": {"AWS:sourcevpce": "vpce-1"}}, "vpc-1"),
        ({"context": {"aws:SourceVpce": "vpce-2"}}, UNKNOWN),
        ({"context": {"aws:SourceVpce": "vpce-9"}}, UNKNOWN),
        ({"context": {"aws:SourceVpce": None}}, None),
        ({"unknown": ["aws:SourceVpce"]}, UNKNOWN),
    ],
    "aws:SourceVpcArn": [
        ({"context": {"aws:SourceVpce": "vpce-1"}}, UNKNOWN),  # its region is not known
        ({"context": {"aws:SourceVpce": None}}, None),
    ],
    "aws:VpceAccount": [
        ({"context": {"aws:SourceVpce": "vpce-1"}}, UNKNOWN),
        ({"context": {"aws:SourceVpce": "vpce-1"}, "has_endpoint_keys": True}, A),
        ({"context": {"aws:SourceVpce": "vpce-1"}, "has_endpoint_keys": False}, None),
        ({"context": {"aws:SourceVpce": None}, "has_endpoint_keys": True}, None),
    ],
    "aws:VpceOrgID": [
        ({"context": {"aws:SourceVpce": "vpce-1"}}, UNKNOWN),
        ({"context": {"aws:SourceVpce": "vpce-1"}, "has_endpoint_keys": True}, ORG),
        ({"context": {"aws:VpceAccount": A}}, ORG),
        ({"context": {"aws:VpceAccount": "123412341234"}}, UNKNOWN),
        ({"context": {"aws:VpceAccount": None}}, None),
    ],
    "aws:VpceOrgPaths": [
        ({"context": {"aws:VpceAccount": A}}, (PATH,)),
        ({"context": {"aws:VpceAccount": B}}, UNKNOWN),
    ],
    "aws:EpochTime": [
        ({"context": {"aws:CurrentTime": "2026-11-26T12:00:00Z"}}, "1795694400"),
        ({"context": {"aws:CurrentTime": datetime(2026, 11, 26, 12, tzinfo=UTC)}}, "1795694400"),
        ({"context": {"aws:CurrentTime": "2026-11-26T13:00:00.5+01:00"}}, "1795694400"),
        ({"context": {"aws:CurrentTime": 1795694400}}, "1795694400"),
        ({"context": {"aws:CurrentTime": "soon"}}, UNKNOWN),
        ({"unknown": ["aws:CurrentTime"]}, UNKNOWN),
        ({"context": {"aws:CurrentTime": None}}, None),
    ],
    "aws:TagKeys": [
        ({"context": {"aws:RequestTag/Team": "x", "AWS:RequestTag/env": "y"}}, ("Team", "env")),
        ({"context": {"aws:RequestTag/Team": "x", "aws:RequestTag/no": None}}, ("Team",)),
        ({"context": {"aws:RequestTag/Team": "x"}, "unknown": ["aws:RequestTag/*"]}, UNKNOWN),
        ({"context": {"aws:RequestTag/Team": UNKNOWN}}, UNKNOWN),
    ],
    "aws:CalledViaFirst": [
        ({"context": {"aws:CalledVia": ["a.amazonaws.com", "b.amazonaws.com"]}}, "a.amazonaws.com"),
        ({"context": {"aws:CalledVia": "a.amazonaws.com"}}, "a.amazonaws.com"),
        ({"context": {"aws:CalledVia": []}}, None),
        ({"context": {"aws:CalledVia": None}}, None),
        ({"unknown": ["aws:CalledVia"]}, UNKNOWN),
    ],
    "aws:CalledViaLast": [
        ({"context": {"aws:CalledVia": ["a.amazonaws.com", "b.amazonaws.com"]}}, "b.amazonaws.com")
    ],
    "aws:SourceAccount": [
        ({"context": {"aws:SourceArn": QUEUE}}, A),
        ({"context": {"aws:SourceArn": BUCKET}}, B),
        ({"context": {"aws:SourceArn": "arn:aws:s3:::x"}}, UNKNOWN),
        ({"unknown": ["aws:SourceArn"]}, UNKNOWN),
    ],
    "aws:SourceOrgID": [
        ({"context": {"aws:SourceArn": QUEUE}}, ORG),
        ({"context": {"aws:SourceAccount": A}}, ORG),
        ({"context": {"aws:SourceAccount": None}}, None),
        ({"context": {"aws:SourceAccount": "123412341234"}}, UNKNOWN),
    ],
    "aws:SourceOrgPaths": [({"context": {"aws:SourceArn": QUEUE}}, (PATH,))],
}


@pytest.mark.parametrize(
    ("key", "case"), [(k, i) for k in BY_REQUEST for i in range(len(BY_REQUEST[k]))]
)
def test_a_key_follows_from_the_rest_of_the_request(key, case):
    request, expected = BY_REQUEST[key][case]
    assert derived(**request)[key] == expected


def test_every_row_of_the_table_that_can_be_derived_is_tested():
    """The third column of the table says what follows; `–` is nothing."""
    rows = re.findall(r"^\| (`aws:[^|]*) \|[^|]*\|[^|]*\| ([^|]*) \|", SEMANTICS.read_text(), re.M)
    assert len(rows) > 40
    keys = {
        re.sub(r"/<k>", "/*", name)
        for names, how in rows
        if how.strip() != "–"
        for name in re.findall(r"`(aws:[^`]+)`", names)
    }
    tested = set(BY_REQUESTER) | set(BY_REQUEST)
    assert keys <= tested, keys - tested


def test_what_does_not_follow_is_not_answered():
    assert not {
        "aws:SourceVpc",
        "aws:VpceOrgID",
        "aws:EpochTime",
        "aws:TagKeys",
        "aws:SourceIp",
        "aws:CalledViaFirst",
        "aws:SourceAccount",
        "aws:ResourceAccount",
    } & set(derived())


@pytest.mark.parametrize(
    "given",
    [
        {"context": {"aws:principaltype": "x"}},
        {"unknown": ["AWS:PrincipalType"]},
        {"context": {"aws:PrincipalType": None}},
    ],
)
def test_what_is_given_wins(given):
    assert "aws:PrincipalType" not in derived(**given)


def test_a_given_tag_wins_over_that_of_the_principal():
    keys = derived(context={"AWS:PrincipalTag/TEAM": "green"})
    assert "aws:PrincipalTag/team" not in keys and keys["aws:PrincipalTag/*"] is None
    assert not [k for k in derived(unknown=["aws:PrincipalTag/*"]) if "PrincipalTag" in k]


@pytest.mark.parametrize("said", [{"issuer_arn": APP}, {"context": {"aws:PrincipalArn": APP}}])
def test_the_role_behind_a_session_can_be_said(said):
    keys = derived(f"arn:aws:sts::{A}:assumed-role/APP/s", **said)
    assert keys["aws:userid"] == "AROAAPP:s" and keys["aws:PrincipalTag/team"] == "red"
    assert keys.get("aws:PrincipalArn", APP) == APP


def test_the_role_of_a_session_is_found_without_case():
    assert derived(f"arn:aws:sts::{A}:assumed-role/aPP/s")["aws:PrincipalArn"] == APP


def test_a_role_that_the_facts_do_not_list_still_has_the_path_that_is_said():
    other = f"arn:aws:iam::{A}:role/deep/other"
    keys = derived(f"arn:aws:sts::{A}:assumed-role/other/s", issuer_arn=other)
    assert keys["aws:PrincipalArn"] == other and keys["aws:userid"] is UNKNOWN


def test_a_session_of_assume_root_is_not_taken_for_the_root_user():
    assert derived(ROOT_USER, context={"aws:AssumedRoot": False})["aws:userid"] == A
    assert derived(ROOT_USER, context={"aws:AssumedRoot": True})["aws:userid"] is UNKNOWN
    assert derived(ROOT_USER, unknown=["aws:AssumedRoot"])["aws:PrincipalType"] is UNKNOWN


# -- facts of an organization ------------------------------------------------------------------


def test_facts_are_those_of_a_snapshot(tmp_path):
    snapshot = Snapshot(tmp_path / "org")
    snapshot.tree()
    tags = [{"Key": "team", "Value": "red"}]
    snapshot.details(users=(user(Tags=tags),), roles=(role(Tags=tags),))
    snapshot.policy(BUCKET, {}, A)
    snapshot.put(
        f"accounts/{A}/endpoints.json",
        {"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "VpcId": "vpc-1"}]},
    )
    facts = facts_of(load_organization(snapshot.path))
    keys = derive(
        facts,
        principal=SESSION,
        kind="role session",
        resource=f"{BUCKET}/k",
        context={"aws:SourceVpce": "vpce-1"},
    )
    assert keys["aws:PrincipalArn"] == APP and keys["aws:userid"] == "AROAAPP:i-0abc"
    assert keys["aws:PrincipalTag/team"] == "red" and keys["aws:PrincipalTag/*"] is None
    assert keys["aws:PrincipalOrgPaths"] == (PATH,) and keys["aws:ResourceOrgPaths"] == (PATH,)
    assert keys["aws:ResourceAccount"] == A and keys["aws:SourceVpc"] == "vpc-1"
    assert keys["aws:ResourceTag/*"] is UNKNOWN
    of_role = derive(facts, principal=ANA, kind="user", resource=APP)
    assert of_role["aws:ResourceTag/team"] == "red"


TRUSTS = {
    "assume only": (trust(), False),
    "tags, too": (trust(Action=["sts:AssumeRole", "sts:TagSession"]), True),
    "in any case": (trust(Action="STS:tagsession"), True),
    "a pattern": (trust(Action="sts:*"), True),
    "stars": (trust(Action="sts:***?ag*n"), True),
    "a pattern of others": (trust(Action="sts:Assume*"), False),
    "all but": (
        document("x", Resource=None, Action=None, NotAction="sts:AssumeRole", Principal="*"),
        True,
    ),
    "all but it": (
        document("x", Resource=None, Action=None, NotAction="sts:Tag*", Principal="*"),
        False,
    ),
    "a denial": (trust(Action="sts:TagSession", Effect="Deny"), False),
    "an effect nobody knows": (trust(Action="sts:TagSession", Effect="Maybe"), True),
    "no statements": ({"Version": "2012-10-17"}, True),
}


@pytest.mark.parametrize("kind", TRUSTS)
def test_sessions_carry_tags_only_if_the_trust_policy_lets_them(tmp_path, kind):
    policy, expected = TRUSTS[kind]
    snapshot = Snapshot(tmp_path / "org")
    snapshot.details(roles=(role(AssumeRolePolicyDocument=policy),))
    organization = load_organization(snapshot.path)
    assert may_tag_session(organization.resource_policies[0].policy) is expected
    assert facts_of(organization).principals[APP].has_session_tags is expected


def test_a_trust_policy_that_is_not_there_may_let_them(tmp_path):
    snapshot = Snapshot(tmp_path / "org")
    bare = role()
    del bare["AssumeRolePolicyDocument"]
    snapshot.details(roles=(bare,))
    assert facts_of(load_organization(snapshot.path)).principals[APP].has_session_tags
