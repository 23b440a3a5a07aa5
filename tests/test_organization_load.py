"""A snapshot's files become the organization they describe, each document at its place."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from snapshots import (
    ANA,
    APP,
    BOUNDARY,
    BUCKET,
    CUSTOMER,
    MANAGEMENT,
    ORG,
    QUEUE,
    READ_ONLY,
    ROOT,
    UNIT,
    A,
    B,
    Snapshot,
    attached,
    details,
    document,
    managed,
    role,
    trust,
    user,
)

import iamtables
from iamtables import RequestError, load_organization
from iamtables.errors import PolicySemanticError


@pytest.fixture
def snapshot(tmp_path):
    return Snapshot(tmp_path / "org")


def actions(policies):
    return [a.value for d in policies.documents for s in d.statements for a in s.action.entries]


def principal(organization, arn):
    return next(p for p in organization.principals if p.arn == arn)


def account(organization, id):
    return next(a for a in organization.accounts if a.id == id)


def resource(organization, arn):
    return next(r for r in organization.resource_policies if r.arn == arn)


# -- accounts ----------------------------------------------------------------------------------


def test_a_user_has_its_own_policies_those_attached_and_those_of_its_groups(snapshot):
    group = {
        "Arn": f"arn:aws:iam::{A}:group/dev",
        "GroupName": "dev",
        "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": document("group:Inline")}],
        "AttachedManagedPolicies": attached(READ_ONLY),
    }
    ana = user(
        UserPolicyList=[{"PolicyName": "u", "PolicyDocument": document("user:Inline")}],
        GroupList=["dev"],
        AttachedManagedPolicies=attached(CUSTOMER, READ_ONLY),
        Tags=[{"Key": "team", "Value": "é"}],
    )
    snapshot.details(
        users=(ana,),
        groups=(group,),
        policies=(managed(CUSTOMER, "reader:Get*"), managed(READ_ONLY, "any:List*", "v7")),
    )
    found = principal(load_organization(snapshot.path), ANA)
    assert actions(found.identity) == ["user:Inline", "reader:Get*", "any:List*", "group:Inline"]
    assert found.identity.gaps == () and found.boundary is None
    assert (found.unique_id, found.tags) == ("AIDAANA", {"team": "é"})


def test_a_role_has_a_boundary_and_a_trust_policy(snapshot):
    snapshot.details(
        roles=(
            role(
                PermissionsBoundary={
                    "PermissionsBoundaryType": "Policy",
                    "PermissionsBoundaryArn": BOUNDARY,
                },
                Tags=[{"Key": "k", "Value": "v"}],
            ),
        ),
        policies=(managed(BOUNDARY, "edge:*"),),
    )
    organization = load_organization(snapshot.path)
    app = principal(organization, APP)
    assert actions(app.boundary) == ["edge:*"]
    assert app.boundary.documents[0].policy_type == "boundary"
    carried = resource(organization, APP)
    assert carried.policy.documents[0].policy_type == "trust"
    assert actions(carried.policy) == ["sts:AssumeRole"]
    assert (carried.account, carried.tags) == (A, {"k": "v"})


def test_tags_that_are_not_shown_are_not_known(snapshot):
    shown, hidden = role(), role(f"arn:aws:iam::{A}:role/other")
    del hidden["Tags"]
    snapshot.details(roles=(shown, hidden))
    organization = load_organization(snapshot.path)
    assert [p.tags for p in organization.principals] == [{}, None]


def test_a_managed_policy_of_many_principals_is_one_document(snapshot):
    roles = [
        role(f"arn:aws:iam::{A}:role/r{i}", AttachedManagedPolicies=attached(CUSTOMER, READ_ONLY))
        for i in range(50)
    ]
    policies = managed(CUSTOMER, "a:B"), managed(READ_ONLY, "c:D")
    snapshot.details(roles=tuple(roles), policies=policies)
    snapshot.details(
        B,
        roles=(role(f"arn:aws:iam::{B}:role/x", AttachedManagedPolicies=attached(READ_ONLY)),),
        policies=policies[1:],
    )
    organization = load_organization(snapshot.path)
    of_a = [p.identity for p in organization.principals if f":{A}:" in p.arn]
    assert len({id(d) for s in of_a for d in s.documents}) == 2
    assert len(set(map(id, of_a))) == 1  # so are equal sets
    of_b = principal(organization, f"arn:aws:iam::{B}:role/x").identity
    assert of_b.documents[0] is of_a[0].documents[1]  # across accounts, too


def test_equal_documents_of_other_places_keep_their_places_and_share_their_statements(snapshot):
    path = snapshot.details(roles=(role(), role(f"arn:aws:iam::{A}:role/b")))
    first, second = (
        r.policy.documents[0] for r in load_organization(snapshot.path).resource_policies
    )
    assert first.statements is second.statements and first is not second
    lines = [d.source.locate(d.statements[0].action.entries[0].span) for d in (first, second)]
    rows = path.read_text().splitlines()
    assert lines[0].line < lines[1].line
    for place in lines:
        assert place.path == str(path)
        assert rows[place.line - 1][place.column - 1 :].startswith('"sts:AssumeRole"')


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("filler", ["", "é€𝄞" * 3000])
def test_an_object_is_located_by_line_and_column_of_the_export(snapshot, indent, filler):
    content = details(
        roles=(
            role(
                Description=filler,
                RolePolicyList=[
                    {"PolicyName": "p", "PolicyDocument": document("first:One")},
                    {"PolicyName": "q", "PolicyDocument": document("second:Two")},
                ],
            ),
        )
    )
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    path = snapshot.put(f"accounts/{A}/authorization-details.json", text)
    for found in principal(load_organization(snapshot.path), APP).identity.documents:
        entry = found.statements[0].action.entries[0]
        place = found.source.locate(entry.span)
        row = text.splitlines()[place.line - 1]
        assert row[place.column - 1 : place.column - 1 + place.length] == f'"{entry.value}"'
        marked = place.row[(place.row_column or place.column) - 1 :]
        assert marked.startswith(f'"{entry.value}"')
        assert str(place) == f"{path}:{place.line}:{place.column}"


def test_a_finding_of_a_document_names_its_own_place(snapshot):
    bad = document("s3:Get*", Effect="allow")
    path = snapshot.details(
        roles=tuple(
            role(
                f"arn:aws:iam::{A}:role/r{i}",
                RolePolicyList=[{"PolicyName": "p", "PolicyDocument": bad}],
            )
            for i in range(2)
        )
    )
    rows = path.read_text().splitlines()
    places = [
        p.identity.documents[0].diagnostics[0].location
        for p in load_organization(snapshot.path).principals
    ]
    assert places[0].line != places[1].line
    assert all('"allow"' in rows[place.line - 1] for place in places)
    with pytest.raises(PolicySemanticError) as caught:
        load_organization(snapshot.path, mode="strict")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("encode", [lambda d: quote(json.dumps(d)), json.dumps])
def test_a_document_in_a_string_is_named_by_file_and_principal(snapshot, encode):
    path = snapshot.details(
        roles=(
            role(
                AssumeRolePolicyDocument=encode(trust()),
                RolePolicyList=[{"PolicyName": "p", "PolicyDocument": encode(document("a:B"))}],
            ),
        ),
        users=(
            user(UserPolicyList=[{"PolicyName": "u", "PolicyDocument": encode(document("a:B"))}]),
        ),
    )
    organization = load_organization(snapshot.path)
    names = [p.identity.documents[0].source.name for p in organization.principals]
    assert names == [f"{path}#user/ana/u", f"{path}#role/service/app/p"]
    assert resource(organization, APP).policy.documents[0].source.name == (
        f"{path}#role/service/app/AssumeRolePolicyDocument"
    )
    assert actions(principal(organization, APP).identity) == ["a:B"]


def test_pages_are_one_export(snapshot):
    snapshot.details(page="-1", users=(user(GroupList=["dev"]),), IsTruncated=True, Marker="x")
    snapshot.details(
        page="-2",
        roles=(role(AttachedManagedPolicies=attached(CUSTOMER)),),
        IsTruncated=True,
        Marker="y",
    )
    snapshot.details(
        page="-10",
        groups=(
            {
                "Arn": f"arn:aws:iam::{A}:group/dev",
                "GroupName": "dev",
                "AttachedManagedPolicies": attached(CUSTOMER),
            },
        ),
        policies=(managed(CUSTOMER, "a:B"),),
        IsTruncated=False,
    )
    organization = load_organization(snapshot.path)
    assert [actions(p.identity) for p in organization.principals] == [["a:B"], ["a:B"]]
    assert account(organization, A).is_exported and not account(organization, A).gaps


def test_aws_managed_policies_come_from_a_directory_when_the_export_has_them_not(snapshot):
    other = "arn:aws:iam::aws:policy/service-role/Batch"
    snapshot.details(roles=(role(AttachedManagedPolicies=attached(READ_ONLY, other)),))
    snapshot.put(
        "aws-managed/ReadOnlyAccess.json",
        {"PolicyVersion": {"Document": document("any:List*"), "VersionId": "v9"}},
    )
    snapshot.put(f"aws-managed/{quote(other, safe='')}.json", document("batch:*"))
    identity = principal(load_organization(snapshot.path), APP).identity
    assert actions(identity) == ["any:List*", "batch:*"] and identity.gaps == ()


def test_a_customer_policy_never_comes_from_the_directory_of_aws(snapshot):
    snapshot.details(roles=(role(AttachedManagedPolicies=attached(CUSTOMER)),))
    snapshot.put("aws-managed/reader.json", document("any:*"))
    identity = principal(load_organization(snapshot.path), APP).identity
    assert identity.documents == () and CUSTOMER in identity.gaps[0]


# -- organization ------------------------------------------------------------------------------


def test_levels_run_from_the_root_through_the_units_to_the_account(snapshot):
    snapshot.tree()
    snapshot.details(roles=(role(),))
    for target in (ROOT, A, B, MANAGEMENT):
        snapshot.attach("scps", target, "p-FullAWSAccess")
        snapshot.attach("rcps", target, "p-RCPFullAWSAccess")
    snapshot.attach("scps", UNIT, "p-FullAWSAccess", "p-noec2")
    snapshot.attach("rcps", UNIT, "p-RCPFullAWSAccess", "p-inside")
    snapshot.describe("p-noec2", document("ec2:*", "Deny"))
    snapshot.describe("p-inside", document("s3:*", "Deny", Principal="*"))
    organization = load_organization(snapshot.path)
    of_a, of_b = account(organization, A), account(organization, B)
    assert [actions(level) for level in of_a.scps] == [["*"], ["*", "ec2:*"], ["*"]]
    assert [actions(level) for level in of_a.rcps] == [["*"], ["*", "s3:*"], ["*"]]
    assert [actions(level) for level in of_b.scps] == [["*"], ["*"]]
    assert not any(level.gaps for a in organization.accounts for level in (*a.scps, *a.rcps))
    assert {d.policy_type for level in of_a.scps for d in level.documents} == {"scp"}
    assert {d.policy_type for level in of_a.rcps for d in level.documents} == {"rcp"}
    assert (of_a.org_id, of_a.org_path) == (ORG, f"{ORG}/{ROOT}/{UNIT}/")
    assert of_b.org_path == f"{ORG}/{ROOT}/"
    assert [a.id for a in organization.accounts if a.is_management] == [MANAGEMENT]
    assert of_a.is_exported and not of_b.is_exported and B in of_b.gaps[0]
    assert "scp" not in organization.missing_layers and "rcp" not in organization.missing_layers


def test_organization_and_management_account_are_read_from_the_roots_arn(snapshot):
    snapshot.tree()
    snapshot.details()
    (snapshot.path / "organization/organization.json").unlink()
    organization = load_organization(snapshot.path)
    assert account(organization, MANAGEMENT).is_management
    assert account(organization, A).org_id == ORG


def test_policies_that_an_organization_does_not_use_hang_nowhere(snapshot):
    snapshot.tree(policy_types=[{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}])
    snapshot.details()
    organization = load_organization(snapshot.path)
    assert account(organization, A).scps is None and "scp" in organization.missing_layers
    assert account(organization, A).rcps == () and "rcp" not in organization.missing_layers


def test_an_account_outside_the_tree_has_unknown_controls(snapshot):
    snapshot.tree()
    other = "123412341234"
    snapshot.details(other)
    for target in (ROOT, UNIT, A, B, MANAGEMENT):
        snapshot.attach("scps", target, "p-FullAWSAccess")
    found = account(load_organization(snapshot.path), other)
    assert found.org_id == "" and all(level.gaps for level in found.scps)
    assert f"above account `{other}`" in found.scps[0].gaps[0]


def test_a_flat_list_of_accounts_says_who_belongs_but_not_where(snapshot):
    snapshot.put("organization/organization.json", {"Organization": {"Id": ORG}})
    snapshot.put("organization/accounts.json", {"Accounts": [{"Id": A}, {"Id": B}]})
    snapshot.attach("scps", A, "p-FullAWSAccess")
    organization = load_organization(snapshot.path)
    found = account(organization, A)
    assert (found.org_id, found.org_path) == (ORG, "") and not found.is_exported
    assert found.scps[0].gaps and actions(found.scps[1]) == ["*"]
    assert set(organization.missing_layers) >= {"identity", "boundary", "rcp", "resource", "vpce"}


# -- resources ---------------------------------------------------------------------------------

PRINTED = {
    "plain": lambda d: d,
    "s3api get-bucket-policy": lambda d: {"Policy": json.dumps(d)},
    "sqs get-queue-attributes": lambda d: {
        "Attributes": {"QueueArn": QUEUE, "Policy": json.dumps(d)}
    },
    "kms get-key-policy": lambda d: {"Policy": json.dumps(d, indent=2), "PolicyName": "default"},
    "secretsmanager get-resource-policy": lambda d: {
        "ARN": "arn:x",
        "Name": "n",
        "ResourcePolicy": json.dumps(d),
    },
    "lambda get-policy": lambda d: {"Policy": json.dumps(d), "RevisionId": "1"},
    "ecr get-repository-policy": lambda d: {
        "registryId": A,
        "repositoryName": "r",
        "policyText": json.dumps(d),
    },
    "glue get-resource-policy": lambda d: {"PolicyInJson": json.dumps(d), "PolicyHash": "h"},
    "opensearch describe-domain": lambda d: {
        "DomainStatus": {"DomainId": "d", "AccessPolicies": json.dumps(d)}
    },
    "apigateway get-rest-api": lambda d: {"id": "abc", "policy": json.dumps(json.dumps(d))[1:-1]},
    "codeartifact get-domain-permissions-policy": lambda d: {
        "policy": {"resourceArn": "arn:x", "document": json.dumps(d)}
    },
    "logs describe-resource-policies": lambda d: {
        "resourcePolicies": [{"policyName": "p", "policyDocument": json.dumps(d)}]
    },
}


@pytest.mark.parametrize("printed", PRINTED)
def test_a_resource_policy_is_read_as_printed_by(snapshot, printed):
    snapshot.policy(QUEUE, PRINTED[printed](document("sqs:Send*", Principal="*")), folder="sqs")
    organization = load_organization(snapshot.path)
    found = resource(organization, QUEUE)
    assert actions(found.policy) == ["sqs:Send*"] and found.policy.gaps == ()
    assert found.policy.documents[0].policy_type == "resource" and found.account == A
    assert account(organization, A).resource_services == {"sqs"}
    assert "resource" not in organization.missing_layers


NONE = {
    "{}": {},
    "sqs": {"Attributes": {"QueueArn": QUEUE}},
    "secretsmanager": {"ARN": "arn:x", "Name": "n"},
    "opensearch": {"DomainStatus": {"AccessPolicies": "", "DomainId": "d"}},
    "null": {"Policy": None},
    "logs": {"resourcePolicies": []},
}


@pytest.mark.parametrize("printed", NONE)
def test_a_tool_can_say_that_there_is_no_policy(snapshot, printed):
    snapshot.policy(QUEUE, NONE[printed])
    found = resource(load_organization(snapshot.path), QUEUE)
    assert found.policy.documents == () and found.policy.gaps == ()


def test_an_answer_that_is_no_policy_is_not_taken_for_none(snapshot):
    snapshot.policy(QUEUE, {"error": "AccessDenied"})
    found = resource(load_organization(snapshot.path), QUEUE)
    assert found.policy.documents[0].is_unreadable


def test_an_empty_file_is_a_gap(snapshot):
    path = snapshot.policy(QUEUE, "\n")
    found = resource(load_organization(snapshot.path), QUEUE)
    assert found.policy.gaps == (f"policy of `{QUEUE}` (`{path}` is empty)",)


def test_the_directory_tells_who_owns_a_bucket(snapshot):
    snapshot.policy(BUCKET, {"Policy": json.dumps(document("s3:Get*", Principal="*"))}, B)
    assert resource(load_organization(snapshot.path), BUCKET).account == B


def test_an_index_maps_arns_to_files_with_owner_and_tags(snapshot):
    snapshot.details()
    snapshot.put(
        "resources/index.json",
        {BUCKET: {"file": "b1.json", "account": B, "tags": {"team": "x"}}, QUEUE: "deep/q.json"},
    )
    snapshot.put("resources/b1.json", document("s3:Get*", Principal="*"))
    snapshot.put("resources/deep/q.json", document("sqs:Send*", Principal="*"))
    organization = load_organization(snapshot.path)
    bucket, queue = resource(organization, BUCKET), resource(organization, QUEUE)
    assert (bucket.account, bucket.tags, actions(bucket.policy)) == (B, {"team": "x"}, ["s3:Get*"])
    assert (queue.account, queue.tags, actions(queue.policy)) == (A, None, ["sqs:Send*"])


def test_several_policies_of_an_account_are_one_set(snapshot):
    arn = f"arn:aws:logs:eu-west-1:{A}:*"
    snapshot.policy(
        arn,
        {
            "resourcePolicies": [
                {
                    "policyName": "one",
                    "policyDocument": json.dumps(document("logs:Put*", Principal="*")),
                },
                {
                    "policyName": "two",
                    "policyDocument": json.dumps(document("logs:Create*", Principal="*")),
                },
                {"policyName": "three"},
            ]
        },
    )
    found = resource(load_organization(snapshot.path), arn).policy
    assert actions(found) == ["logs:Put*", "logs:Create*"]
    assert len(found.gaps) == 1 and "`three`" in found.gaps[0]


# -- endpoints, aliases, layers ----------------------------------------------------------------


def test_endpoints_have_a_policy_an_owner_and_a_kind(snapshot):
    snapshot.put(
        f"accounts/{A}/endpoints-eu-west-1.json",
        {
            "VpcEndpoints": [
                {
                    "VpcEndpointId": "vpce-1",
                    "VpcEndpointType": "Interface",
                    "VpcId": "vpc-1",
                    "OwnerId": B,
                    "PolicyDocument": json.dumps(document("s3:*", Principal="*")),
                },
                {"VpcEndpointId": "vpce-2", "VpcEndpointType": "Gateway", "VpcId": "vpc-1"},
                {"VpcEndpointId": "vpce-3", "PolicyDocument": ""},
            ]
        },
    )
    organization = load_organization(snapshot.path)
    assert [
        (e.id, e.account, e.vpc, e.is_gateway, actions(e.policy)) for e in organization.endpoints
    ] == [
        ("vpce-1", B, "vpc-1", False, ["s3:*"]),
        ("vpce-2", A, "vpc-1", True, ["*"]),
        ("vpce-3", A, "", True, ["*"]),
    ]
    assert "vpce" not in organization.missing_layers
    assert organization.endpoints[0].policy.documents[0].policy_type == "vpce"


def test_an_alias_is_known_by_its_key(snapshot):
    place = f"arn:aws:kms:eu-west-1:{A}:"
    snapshot.put(
        f"accounts/{A}/kms-aliases-eu-west-1.json",
        {
            "Aliases": [
                {"AliasName": "alias/a", "AliasArn": f"{place}alias/a", "TargetKeyId": "1234"},
                {"AliasName": "alias/aws/s3", "AliasArn": f"{place}alias/aws/s3"},
            ]
        },
    )
    assert load_organization(snapshot.path).kms_aliases == {f"{place}alias/a": f"{place}key/1234"}


def test_layers_that_are_not_held_are_named(snapshot):
    snapshot.details(roles=(role(),))
    organization = load_organization(snapshot.path)
    assert organization.missing_layers == ("session", "resource", "scp", "rcp", "vpce")
    assert not organization.missing_unknown
    assert load_organization(snapshot.path, missing_layers="unknown").missing_unknown
    assert account(organization, A).scps is None and account(organization, A).rcps is None
    assert account(organization, A).resource_services == frozenset()


@pytest.mark.parametrize("wrong", [{"missing_layers": "ignore"}, {"mode": "sloppy"}])
def test_an_argument_that_makes_no_sense_is_refused(snapshot, wrong):
    snapshot.details()
    with pytest.raises(RequestError):
        load_organization(snapshot.path, **wrong)


def test_the_package_exports_the_classes_of_an_organization():
    for name in ("Organization", "Account", "Principal", "ResourcePolicy", "Endpoint", "PolicySet"):
        assert name in iamtables.__all__
        assert getattr(iamtables, name) is getattr(iamtables.compiler.organization, name)
