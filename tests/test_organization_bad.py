"""Snapshots that are incomplete or contradict themselves: a gap that names what is missing, or one
error that names the file, the thing and the remedy."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import pytest
from snapshots import (
    ANA,
    APP,
    BOUNDARY,
    CUSTOMER,
    MANAGEMENT,
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
    user,
)

from iamtables import LimitError, OrganizationError, PolicySyntaxError, load_organization
from iamtables.errors import IamtablesError


@pytest.fixture
def snapshot(tmp_path):
    return Snapshot(tmp_path / "org")


def refused(snapshot, *named, error=OrganizationError):
    """The one error that loading raises, which must name all of `named` and a remedy."""
    with pytest.raises(IamtablesError) as caught:
        load_organization(snapshot.path)
    assert type(caught.value) is error, caught.value
    for name in named:
        assert str(name) in str(caught.value)
    assert "\nhelp: " in str(caught.value)
    return caught.value


def principal(snapshot, arn=APP):
    return next(p for p in load_organization(snapshot.path).principals if p.arn == arn)


# -- gaps --------------------------------------------------------------------------------------


def test_a_policy_that_is_not_there_is_a_gap_of_who_has_it(snapshot):
    snapshot.details(
        roles=(role(AttachedManagedPolicies=attached(CUSTOMER, READ_ONLY)), role(f"{APP}2")),
        policies=(managed(READ_ONLY, "a:B"),),
    )
    app = principal(snapshot)
    assert len(app.identity.documents) == 1
    assert app.identity.gaps == (f"managed policy `{CUSTOMER}` of `{APP}`",)
    assert principal(snapshot, f"{APP}2").identity.gaps == ()


def test_a_policy_without_its_default_version_is_a_gap(snapshot):
    policy = managed(CUSTOMER, "a:B")
    del policy["PolicyVersionList"][1]
    snapshot.details(roles=(role(AttachedManagedPolicies=attached(CUSTOMER)),), policies=(policy,))
    assert CUSTOMER in principal(snapshot).identity.gaps[0]


def test_a_boundary_that_is_not_there_is_a_gap_and_not_an_absent_boundary(snapshot):
    snapshot.details(
        roles=(
            role(
                PermissionsBoundary={
                    "PermissionsBoundaryType": "Policy",
                    "PermissionsBoundaryArn": BOUNDARY,
                }
            ),
        )
    )
    boundary = principal(snapshot).boundary
    assert boundary.documents == ()
    assert boundary.gaps == (f"permissions boundary `{BOUNDARY}` of `{APP}`",)


def test_a_group_that_is_not_there_is_a_gap(snapshot):
    snapshot.details(users=(user(GroupList=["gone"]),))
    assert principal(snapshot, ANA).identity.gaps == (f"group `gone` of `{ANA}`",)


def test_a_list_that_an_entry_lacks_is_a_gap_unless_aws_leaves_it_out(snapshot):
    ana, app = user(), role()
    for entry in (ana, app):
        del entry["AttachedManagedPolicies"]
    del ana["GroupList"], app["RolePolicyList"]
    snapshot.details(users=(ana,), roles=(app,))
    assert principal(snapshot, ANA).identity.gaps == (
        f"managed policies of `{ANA}` (not in its export)",
        f"groups of `{ANA}` (not in its export)",
    )
    assert principal(snapshot).identity.gaps == (
        f"managed policies of `{APP}` (not in its export)",
    )


def test_what_a_group_lacks_its_users_lack(snapshot):
    group = {
        "Arn": f"arn:aws:iam::{A}:group/dev",
        "GroupName": "dev",
        "AttachedManagedPolicies": attached(CUSTOMER),
    }
    snapshot.details(users=(user(GroupList=["dev"]),), groups=(group,))
    assert principal(snapshot, ANA).identity.gaps == (
        f"managed policy `{CUSTOMER}` of `{group['Arn']}`",
    )


def test_a_role_without_its_trust_policy_has_a_gap_there(snapshot):
    bare = role()
    del bare["AssumeRolePolicyDocument"]
    snapshot.details(roles=(bare,))
    found = load_organization(snapshot.path).resource_policies[0]
    assert found.arn == APP and found.policy.gaps == (f"trust policy of `{APP}`",)


@pytest.mark.parametrize("cut", [{"IsTruncated": True, "Marker": "m"}, {"NextToken": "t"}])
def test_a_truncated_export_leaves_the_account_open(snapshot, cut):
    path = snapshot.details(
        users=(user(GroupList=["later"]),),
        roles=(role(AttachedManagedPolicies=attached(CUSTOMER)),),
        **cut,
    )
    organization = load_organization(snapshot.path)
    found = organization.accounts[0]
    assert not found.is_exported
    assert found.gaps == (f"rest of the export of account `{A}` (`{path}` is truncated)",)
    for missing, name in zip(organization.principals, ("later", CUSTOMER), strict=True):
        assert name in missing.identity.gaps[0]
        assert f"`{path}` is truncated" in missing.identity.gaps[0]


def test_a_truncated_page_in_the_middle_is_continued_by_the_next(snapshot):
    snapshot.details(page="-1", IsTruncated=True)
    last = snapshot.details(page="-2", roles=(role(),), IsTruncated=True)
    assert str(last) in load_organization(snapshot.path).accounts[0].gaps[0]
    snapshot.details(page="-3")
    assert load_organization(snapshot.path).accounts[0].is_exported


@pytest.mark.parametrize("kept", ["RoleDetailList", "UserDetailList"])
def test_a_list_that_the_export_lacks_leaves_the_account_open(snapshot, kept):
    content = details()
    snapshot.put(f"accounts/{A}/authorization-details.json", {kept: content[kept]})
    found = load_organization(snapshot.path).accounts[0]
    other = "users" if kept == "RoleDetailList" else "roles"
    assert not found.is_exported and found.gaps == (
        f"{other} of account `{A}` (not in its export)",
    )


def test_an_export_that_failed_leaves_the_account_open(snapshot):
    path = snapshot.put(f"accounts/{A}/authorization-details.json", "")
    found = load_organization(snapshot.path).accounts[0]
    assert not found.is_exported and str(path) in found.gaps[0]


def test_an_account_without_export_is_open(snapshot):
    snapshot.details(B)
    snapshot.policy(QUEUE, {})
    found = load_organization(snapshot.path).accounts
    assert [(a.id, a.is_exported) for a in found] == [(A, False), (B, True)]
    assert found[0].gaps == (f"export of account `{A}`",)


@pytest.fixture
def governed(snapshot):
    snapshot.tree()
    snapshot.details(roles=(role(),))
    for target in (ROOT, UNIT, A, B, MANAGEMENT):
        snapshot.attach("scps", target, "p-FullAWSAccess")
    return snapshot


def levels(snapshot):
    return next(a for a in load_organization(snapshot.path).accounts if a.id == A).scps


def test_an_scp_without_its_document_is_a_gap_of_that_level(governed):
    governed.attach("scps", UNIT, "p-FullAWSAccess", "p-guard001")
    gaps = [level.gaps for level in levels(governed)]
    assert gaps[0] == gaps[2] == ()
    assert len(gaps[1]) == 1
    for name in ("p-guard001", "guard001", UNIT, os.path.join("policies", "p-guard001.json")):
        assert name in gaps[1][0]


def test_a_target_without_its_listing_is_a_gap_of_that_level(governed):
    (governed.path / f"organization/scps/{UNIT}.json").unlink()
    assert [level.gaps for level in levels(governed)] == [(), (f"SCPs of `{UNIT}`",), ()]


def test_a_listing_that_is_cut_off_or_empty_is_a_gap_of_that_level(governed):
    governed.attach("scps", UNIT, "p-FullAWSAccess", NextToken="t")
    path = governed.put(f"organization/scps/{A}.json", "")
    found = levels(governed)
    assert found[1].documents and "more SCPs" in found[1].gaps[0]
    assert not found[2].documents and str(path) in found[2].gaps[0]


# -- errors about the organization -------------------------------------------------------------


def test_an_account_in_two_places_is_an_error(governed):
    path = governed.accounts(ROOT, A, B, MANAGEMENT)
    other = governed.path / f"organization/accounts/{UNIT}.json"
    error = refused(governed, A, path, other)
    assert error.name == A


def test_an_account_listed_twice_in_one_file_is_an_error(governed):
    path = governed.accounts(UNIT, A, A)
    refused(governed, f"`{path}` lists account `{A}` twice")
    governed.accounts(UNIT, A)
    flat = governed.put("organization/accounts.json", {"Accounts": [{"Id": B}, {"Id": B}]})
    refused(governed, f"`{flat}` lists account `{B}` twice")


def test_a_unit_below_itself_is_an_error(governed):
    path = governed.units("ou-ab12-22222222", "ou-ab12-33333333")
    governed.units("ou-ab12-33333333", "ou-ab12-22222222")
    error = refused(governed, "loop: ou-ab12-33333333 -> ou-ab12-22222222 -> ou-ab12-33333333")
    assert os.path.dirname(error.path) == str(path.parent)
    governed.units("ou-ab12-22222222")
    path = governed.units("ou-ab12-33333333", "ou-ab12-33333333")
    refused(governed, "loop", path)


def test_a_tree_of_too_many_levels_is_refused(governed):
    chain = [UNIT, *(f"ou-ab12-{i:08d}" for i in range(70))]
    for parent, child in pairwise(chain):
        governed.units(parent, child)
    refused(governed, "64 levels", error=LimitError)


def test_a_unit_below_two_parents_is_an_error(governed):
    governed.units(ROOT, UNIT, "ou-ab12-22222222")
    refused(governed, "lists unit", governed.units(UNIT, "ou-ab12-22222222"), "as well as")


def test_a_root_below_a_unit_is_an_error(governed):
    refused(governed, ROOT, governed.units(UNIT, ROOT))


@pytest.mark.parametrize("kind", ["units", "accounts"])
def test_a_parent_that_nobody_lists_is_an_error(governed, kind):
    child = "ou-ab12-44444444" if kind == "units" else "123123123123"
    path = getattr(governed, kind)("ou-ab12-99999999", child)
    assert refused(governed, path, "ou-ab12-99999999").name == "ou-ab12-99999999"
    getattr(governed, kind)("ou-ab12-99999999")  # an empty listing is as lost
    refused(governed, path, "ou-ab12-99999999")


def test_a_tree_without_its_root_is_an_error(governed):
    (governed.path / "organization/roots.json").unlink()
    refused(governed, ROOT)


def test_a_listing_of_the_tree_that_is_cut_off_is_an_error(governed):
    path = governed.put(
        f"organization/accounts/{UNIT}.json", {"Accounts": [{"Id": A}], "NextToken": "t"}
    )
    refused(governed, path, "cut off", "--max-items")


def test_listings_of_two_organizations_are_an_error(governed):
    governed.put(
        "organization/organization.json",
        {"Organization": {"Id": "o-other00000", "MasterAccountId": MANAGEMENT}},
    )
    refused(governed, "roots.json", "o-other00000")


def test_scps_of_a_target_that_nobody_knows_are_an_error(governed):
    refused(governed, governed.attach("scps", "ou-ab12-typo", "p-FullAWSAccess"), "ou-ab12-typo")


def test_a_listing_of_the_wrong_filter_is_an_error(governed):
    (governed.path / f"organization/scps/{UNIT}.json").unlink()
    wrong = governed.attach("rcps", UNIT, "p-RCPFullAWSAccess")
    wrong.rename(governed.path / f"organization/scps/{UNIT}.json")
    refused(
        governed, f"scps/{UNIT}.json", "RESOURCE_CONTROL_POLICY", "--filter SERVICE_CONTROL_POLICY"
    )


def test_a_description_of_another_policy_is_an_error(governed):
    governed.attach("scps", UNIT, "p-FullAWSAccess", "p-guard001")
    governed.describe("p-other", document("a:B", "Deny")).rename(
        governed.path / "organization/policies/p-guard001.json"
    )
    refused(governed, "p-guard001.json", "p-other")


def test_an_id_that_is_no_account_id_is_an_error(governed):
    refused(governed, governed.accounts(UNIT, "12345"), "12345", "twelve digits")


def test_a_policy_id_never_leads_out_of_the_directory(governed):
    governed.put("secret.json.txt", "x")
    governed.attach("scps", UNIT, "../../secret")
    assert "../../secret" in levels(governed)[1].gaps[0]


# -- errors about an account -------------------------------------------------------------------


def test_an_export_in_the_wrong_directory_is_an_error(snapshot):
    path = snapshot.details(B, roles=(role(),))
    error = refused(snapshot, path, APP, f"directory of account `{A}`")
    assert error.name == APP


def test_a_principal_in_two_files_is_an_error(snapshot):
    first = snapshot.details(roles=(role(),))
    second = snapshot.details(page="-old", roles=(role(),))
    refused(snapshot, first, second, APP)


def test_exports_of_two_days_are_an_error(snapshot):
    first = snapshot.details(policies=(managed(CUSTOMER, "a:B", "v1"),))
    second = snapshot.details(page="-2", policies=(managed(CUSTOMER, "a:B", "v2"),))
    refused(snapshot, first, second, CUSTOMER)


def test_a_directory_that_is_no_account_is_an_error(snapshot):
    snapshot.details("prod")
    refused(snapshot, "accounts/prod", "twelve digits")


def test_a_file_that_nothing_reads_is_an_error(snapshot):
    snapshot.details()
    path = snapshot.put(f"accounts/{A}/authorisation-details.json", {})
    refused(snapshot, path)
    path.unlink()
    (snapshot.path / "account").mkdir()
    refused(snapshot, snapshot.path / "account")


@pytest.mark.parametrize(
    "content",
    [
        '{"UserDetailList": [',
        '{"UserDetailList": [}',
        "not json",
        "{'a': 1}",
        "[1,]",
        '{"RoleDetailList": []} trailing',
    ],
)
def test_a_file_that_is_not_json_is_one_error_with_its_place(snapshot, content):
    path = snapshot.put(f"accounts/{A}/authorization-details.json", content)
    error = refused(snapshot, f"{path}:1:", error=PolicySyntaxError)
    assert error.code == "IT101"


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b'{"RoleDetailList": "\xff"}'])
def test_a_file_that_is_not_utf8_is_an_error(snapshot, content):
    path = snapshot.put(f"accounts/{A}/authorization-details.json", content)
    refused(snapshot, path)


def test_a_byte_order_mark_is_no_trouble(snapshot):
    snapshot.put(
        f"accounts/{A}/authorization-details.json",
        b"\xef\xbb\xbf" + json.dumps(details(roles=(role(),))).encode(),
    )
    assert principal(snapshot).arn == APP


WRONG_TYPES = {
    "a list": ([], "object"),
    "text": ('"text"', "object"),
    "users that are an object": ({"UserDetailList": {}}, "UserDetailList"),
    "a role that is text": (details(roles=("role",)), "RoleDetailList[0]"),
    "a role without name": ({"RoleDetailList": [{"Arn": APP}]}, APP),
    "groups that are objects": (details(users=(user(GroupList=[{}]),)), ANA),
    "tags that are a mapping": (details(roles=(role(Tags={"k": "v"}),)), APP),
    "a policy without version": (
        details(policies=({"Arn": CUSTOMER, "PolicyVersionList": [{}]},)),
        CUSTOMER,
    ),
    "nothing of an export": ({"Accounts": []}, "no users"),
    "an ARN that is none": (details(roles=(role("app"),)), "`app`"),
    "a user among the roles": (details(roles=(role(ANA),)), ANA),
}


@pytest.mark.parametrize("wrong", WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_an_error_that_names_it(snapshot, wrong):
    content, named = WRONG_TYPES[wrong]
    path = snapshot.put(f"accounts/{A}/authorization-details.json", content)
    refused(snapshot, path, named, "get-account-authorization-details")


@pytest.mark.parametrize("inner", [[], 7, True, "nonsense", "[]"])
def test_a_document_that_is_no_object_is_an_error_at_its_place(snapshot, inner):
    path = snapshot.details(
        roles=(role(RolePolicyList=[{"PolicyName": "p", "PolicyDocument": inner}]),)
    )
    refused(snapshot, path, error=PolicySyntaxError)


@pytest.mark.parametrize("where", ["frame", "document", "string"])
def test_deep_nesting_is_refused(snapshot, where):
    deep = "[" * 50_000 + "]" * 50_000
    if where == "frame":
        content = f'{{"RoleDetailList": [], "Policies": {deep}}}'
    else:
        inner = deep[49_900:50_100] if where == "document" else json.dumps(deep)
        content = json.dumps(
            details(roles=(role(RolePolicyList=[{"PolicyName": "p", "PolicyDocument": "HERE"}]),))
        ).replace('"HERE"', inner)
    path = snapshot.put(f"accounts/{A}/authorization-details.json", content)
    refused(snapshot, path, error=LimitError)


def test_a_document_beyond_the_limit_is_refused_by_name(snapshot):
    huge = document("s3:Get*", Resource=["arn:aws:s3:::b/" + "x" * 2_200_000])
    path = snapshot.details(
        roles=(role(RolePolicyList=[{"PolicyName": "p", "PolicyDocument": huge}]),)
    )
    refused(snapshot, f"{path}#role/service/app/p", error=LimitError)


def test_a_file_beyond_the_limit_is_refused_unread(snapshot, monkeypatch):
    monkeypatch.setattr("iamtables.organization.files.MAX_FILE_BYTES", 100)
    path = snapshot.details(roles=(role(),))
    refused(snapshot, path, "--max-items", error=LimitError)


def test_a_file_cut_off_anywhere_is_one_error_or_a_gap(snapshot):
    whole = json.dumps(
        details(
            users=(user(),), roles=(role(Description="é"),), policies=(managed(CUSTOMER, "a:B"),)
        )
    ).encode()
    for end in range(1, len(whole) - 1, 7):
        snapshot.put(f"accounts/{A}/authorization-details.json", whole[:end])
        with pytest.raises(IamtablesError):
            load_organization(snapshot.path)


# -- errors about resources --------------------------------------------------------------------


def test_a_file_that_is_named_for_no_arn_is_an_error(snapshot):
    refused(snapshot, snapshot.put(f"accounts/{A}/resources/logs.json", {}), "%3A")


def test_a_resource_of_another_account_is_an_error(snapshot):
    path = snapshot.policy(QUEUE, {}, B)
    refused(snapshot, path, QUEUE, f"account `{A}`")


def test_a_resource_of_another_service_is_an_error(snapshot):
    refused(snapshot, snapshot.policy(QUEUE, {}, folder="s3"), QUEUE)


def test_two_policies_of_one_resource_are_an_error(snapshot):
    one, two = snapshot.policy(QUEUE, {}), snapshot.policy(QUEUE, {}, folder="sqs")
    refused(snapshot, one, two, QUEUE)


def test_a_resource_policy_that_is_not_json_is_an_error(snapshot):
    path = snapshot.policy(QUEUE, "An error occurred (AccessDenied)")
    refused(snapshot, path, error=PolicySyntaxError)


@pytest.mark.parametrize("file", ["../../../secret.json", "/etc/hostname", "~/x", "."])
def test_an_index_cannot_lead_out_of_its_directory(snapshot, file):
    path = snapshot.put(f"accounts/{A}/resources/index.json", {QUEUE: file})
    refused(snapshot, path, "outside")


def test_an_index_that_names_no_file_is_an_error(snapshot):
    path = snapshot.put(f"accounts/{A}/resources/index.json", {QUEUE: "q.json"})
    refused(snapshot, path, "q.json", QUEUE)


def test_an_endpoint_twice_is_an_error(snapshot):
    for region in ("eu-west-1", "eu-west-2"):
        snapshot.put(
            f"accounts/{A}/endpoints-{region}.json", {"VpcEndpoints": [{"VpcEndpointId": "vpce-1"}]}
        )
    refused(snapshot, "vpce-1")


def test_an_alias_of_another_account_is_an_error(snapshot):
    path = snapshot.put(
        f"accounts/{A}/kms-aliases.json",
        {"Aliases": [{"AliasArn": f"arn:aws:kms:eu-west-1:{B}:alias/a", "TargetKeyId": "1"}]},
    )
    refused(snapshot, path, "alias/a")


# -- errors about the place --------------------------------------------------------------------


def test_a_directory_without_accounts_is_an_error(snapshot):
    snapshot.path.mkdir()
    refused(snapshot, snapshot.path, "iamtables init")


def test_a_path_that_is_no_directory_is_an_error(snapshot):
    refused(snapshot, snapshot.path, "iamtables init")


def test_a_directory_in_place_of_a_file_is_an_error(snapshot):
    snapshot.details()
    (snapshot.path / f"accounts/{A}/authorization-details-2.json").mkdir()
    refused(snapshot, "authorization-details-2.json")
