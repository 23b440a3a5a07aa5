"""Two organizations compared for one principal: exactly one layer changed, and the answer.

Every witness is asked of the compiled organizations, too, which share no code with the search.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_organizations_decide import (
    ANA,
    APP,
    BUCKET,
    A,
    B,
    account,
    held,
    organization,
    policy,
    principal,
)

import iamtables as it

FULL = policy("*", type="scp")
S3 = policy("s3:*")


def org(
    *documents: it.PolicyDocument, who: str = ANA, scps: Any = (), rcps: Any = None,
    boundary: Any = None, resources: Any = (), endpoints: Any = (),
) -> it.Organization:  # fmt: skip
    more: dict[str, Any] = {} if rcps is None else {"rcps": (held(policy("*", type="rcp"), *rcps),)}
    own = account(A, *scps, resource_services=None, **more)
    return organization(
        principal(who, *documents, boundary=None if boundary is None else held(boundary)),
        accounts=(own, account(B)), resource_policies=resources, endpoints=endpoints)


def bucket(document: it.PolicyDocument, arn: str = BUCKET, owner: str = A) -> it.ResourcePolicy:
    return it.ResourcePolicy(arn, held(document), owner)


def verdicts(old: it.Organization, new: it.Organization, who: str = ANA, **more: Any) -> Any:
    """(gained, lost), after the tables of both organizations have confirmed every witness."""
    compared = it.compare(old, new, principal=who, **more)
    tables = it.compile(old), it.compile(new)
    for direction, allows, denies in (
        (compared.gained, tables[1], tables[0]), (compared.lost, tables[0], tables[1]),
    ):  # fmt: skip
        for difference in direction.differences:
            asked = {"principal": who, "action": difference.witness.action,
                     "resource": difference.witness.resource,
                     "context": dict(difference.witness.context)}
            assert allows.check(**asked).decision is it.DecisionCode.ALLOW, difference
            assert denies.check(**asked).decision is difference.decision, difference
    assert not compared.gained.undecided and not compared.lost.undecided, compared
    return compared.gained.verdict, compared.lost.verdict


def grant(to: Any, action: str = "s3:GetObject", effect: str = "Allow", **more: Any) -> Any:
    return policy(action, effect, type="resource", to=to, resource=f"{BUCKET}/*", **more)


TO_ANA = grant({"AWS": ANA})


@pytest.mark.parametrize("who", [ANA, APP])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {}, ("no", "no"), id="nothing"),
        pytest.param({}, {"scps": (FULL, policy("s3:Put*", "Deny", type="scp"))}, ("no", "yes"),
                     id="SCP denies"),
        pytest.param({}, {"scps": (FULL, policy("ec2:*", "Deny", type="scp"))}, ("no", "no"),
                     id="SCP denies what nobody has"),
        pytest.param({}, {"scps": (policy("s3:Get*", type="scp"),)}, ("no", "yes"),
                     id="SCP allows less"),
        pytest.param({}, {"boundary": policy("*")}, ("no", "no"), id="wide boundary"),
        pytest.param({"boundary": policy("*")}, {"boundary": policy("s3:Get*")}, ("no", "yes"),
                     id="boundary narrowed"),
        pytest.param({"boundary": policy("s3:Get*")}, {"boundary": policy("s3:List*")},
                     ("yes", "yes"), id="boundary moved"),
        pytest.param({}, {"rcps": (policy("s3:*", "Deny", type="rcp", Bool={
            "aws:SecureTransport": "false"}),)}, ("no", "yes"), id="RCP added"),
        pytest.param({}, {"rcps": (policy("sqs:*", "Deny", type="rcp"),)}, ("no", "no"),
                     id="RCP of another service"),
        pytest.param({}, {"rcps": (policy("s3:*", "Deny", type="rcp", StringNotEquals={
            "aws:PrincipalAccount": A}),)}, ("no", "no"), id="RCP that spares the account"),
        pytest.param({}, {"rcps": (policy("s3:*", "Deny", type="rcp", StringNotEquals={
            "aws:PrincipalOrgID": "o-zzzzzzzzzz"}),)}, ("no", "yes"), id="RCP of another org"),
        pytest.param({}, {"resources": (bucket(grant({"AWS": ANA}, "s3:*", "Deny")),)},
                     ("no", "yes"), id="bucket denies"),
    ],
)  # fmt: skip
def test_one_layer_that_changed(who: str, old: Any, new: Any, expected: Any) -> None:
    new = dict(new)
    if "resources" in new and who == APP:
        new["resources"] = (bucket(grant({"AWS": APP}, "s3:*", "Deny")),)
    before, after = org(S3, who=who, **old), org(S3, who=who, **new)
    assert verdicts(before, after, who) == expected
    assert verdicts(after, before, who) == expected[::-1]


@pytest.mark.parametrize(
    ("own", "resource", "boundary", "expected"),
    [
        pytest.param("ec2:*", bucket(TO_ANA), None, "yes", id="names the user"),
        pytest.param("ec2:*", bucket(TO_ANA), "ec2:*", "yes", id="past the boundary (EVAL-22)"),
        pytest.param("ec2:*", bucket(grant({"AWS": A})), None, "no", id="names the account"),
        pytest.param("ec2:*", bucket(grant({"AWS": APP})), None, "no", id="names somebody else"),
        pytest.param("ec2:*", bucket(grant("*")), None, "yes", id="names everyone"),
        pytest.param("ec2:*", bucket(TO_ANA, owner=B), None, "no", id="of another account"),
        pytest.param("s3:Get*", bucket(TO_ANA, owner=B), "s3:*", "yes", id="both accounts"),
        pytest.param("s3:Get*", bucket(grant({"AWS": A}), owner=B), None, "yes",
                     id="both accounts, the account named"),
    ],
)  # fmt: skip
def test_a_grant_of_a_resource_policy(
    own: str, resource: Any, boundary: Any, expected: str
) -> None:
    limit = None if boundary is None else policy(boundary)
    nobody = bucket(grant({"AWS": f"arn:aws:iam::{A}:user/nobody"}), owner=resource.account)
    before = org(policy(own), boundary=limit, resources=(nobody,))
    after = org(policy(own), boundary=limit, resources=(resource,))
    assert verdicts(before, after) == (expected, "no")


def test_a_role_named_by_a_resource_policy_stays_within_its_boundary() -> None:
    to_app = bucket(grant({"AWS": APP}))
    for limit, expected in (("ec2:*", "no"), ("s3:*", "yes")):
        before = org(policy("ec2:*"), who=APP, boundary=policy(limit))
        after = org(policy("ec2:*"), who=APP, boundary=policy(limit), resources=(to_app,))
        assert verdicts(before, after, APP) == (expected, "no")


def test_a_membership_that_ended() -> None:
    assert verdicts(org(S3, policy("ec2:*")), org(S3)) == ("no", "yes")


def test_an_endpoint_limits_only_what_comes_through_it() -> None:
    def through(action: str) -> Any:
        return (it.Endpoint("vpce-1", held(policy(action, type="vpce")), A, "vpc-1"),)

    before, after = org(S3, endpoints=through("*")), org(S3, endpoints=through("s3:Get*"))
    assert verdicts(before, after) == ("no", "yes")
    lost = it.compare(before, after, principal=ANA).lost
    assert all(d.witness.context["aws:SourceVpce"] == "vpce-1" for d in lost.differences)
    assert {d.deciders for d in lost.differences} == {("vpce",)}


def test_a_gap_is_undecided_and_named() -> None:
    before = org(S3)
    gone = replace(before.principals[0], identity=held(S3, gaps=["managed policy `x`"]))
    found = it.compare(before, replace(before, principals=(gone,)), principal=ANA)
    assert (found.gained.verdict, found.lost.verdict) == ("undecided", "undecided")
    assert "managed policy `x`" in found.gained.undecided[0]


def test_the_replay_cannot_be_fooled(monkeypatch: pytest.MonkeyPatch) -> None:
    from iamtables import organizations_compared
    from iamtables.reference.layers import Layers

    class Denied:
        decision, deciders = "IMPLICIT_DENY", ("scp",)

    monkeypatch.setattr(organizations_compared, "evaluate_layers", lambda case: (Denied, Layers()))
    found = it.compare(org(S3), org(S3, policy("ec2:*")), principal=ANA)
    assert found.gained.verdict == "undecided" and not found.gained.differences


def test_who_comes_in_through_a_provider_is_not_compared_and_that_is_said() -> None:
    with pytest.raises(it.RequestError, match="is an identity provider") as told:
        it.compare(org(S3), org(S3), principal=f"arn:aws:iam::{A}:saml-provider/corp")
    assert "trust policy" in str(told.value)
    found = it.compare(org(S3), org(S3), principal=ANA)
    assert any("through a provider is not compared" in sentence for sentence in found.scope)


@pytest.mark.parametrize("who", ["arn:aws:iam::111122223333:root", "ec2.amazonaws.com",
                                 "arn:aws:iam::111122223333:user/nobody"])
def test_principals_that_do_not_fit(who: str) -> None:
    with pytest.raises(it.RequestError):
        it.compare(org(S3), org(S3), principal=who)


# --- roles, keys, endpoints


def assumable(trust: it.PolicyDocument, own: str = "ec2:*", **more: Any) -> it.Organization:
    return org(policy(own), resources=(it.ResourcePolicy(APP, held(trust), A),), **more)


def trust(to: Any, action: str = "sts:AssumeRole", effect: str = "Allow") -> it.PolicyDocument:
    return policy(action, effect, type="trust", to=to)


NOBODY = trust({"AWS": f"arn:aws:iam::{A}:user/nobody"})


@pytest.mark.parametrize(
    ("own", "to", "limit", "expected"),
    [
        pytest.param("ec2:*", {"AWS": ANA}, None, "yes", id="names the user"),
        pytest.param("ec2:*", {"AWS": ANA}, "ec2:*", "no", id="not past the boundary (EVAL-40)"),
        pytest.param("ec2:*", {"AWS": ANA}, "sts:*", "yes", id="within the boundary"),
        pytest.param("ec2:*", {"AWS": A}, None, "no", id="names the account"),
        pytest.param("sts:*", {"AWS": A}, None, "yes", id="account and identity policy"),
        pytest.param("sts:*", {"Service": "ec2.amazonaws.com"}, None, "no", id="names a service"),
    ],
)
def test_a_trust_policy_that_changed(own: str, to: Any, limit: Any, expected: str) -> None:
    boundary = None if limit is None else policy(limit)
    before = assumable(NOBODY, own, boundary=boundary)
    after = assumable(trust(to), own, boundary=boundary)
    assert verdicts(before, after) == (expected, "no")
    for difference in it.compare(before, after, principal=ANA).gained.differences:
        assert difference.witness.resource == APP
        assert difference.witness.action.startswith("sts:AssumeRole")
        assert difference.reason == "allowed by no resource policy"


def test_a_role_that_is_new_can_be_assumed_now() -> None:
    before, after = org(policy("sts:*")), assumable(trust({"AWS": ANA}), "sts:*")
    for found in it.compare(before, after, principal=ANA).gained.differences:
        assert (found.witness.action, found.witness.resource) == ("sts:AssumeRole", APP)
    assert verdicts(assumable(NOBODY, "sts:*"), after) == ("yes", "no")
    away = replace(before, accounts=(replace(before.accounts[0], is_exported=False),
                                     before.accounts[1]))  # fmt: skip
    undecided = it.compare(away, after, principal=ANA).gained.undecided
    assert any(f"the trust policy of `{APP}`" in reason for reason in undecided)


def test_retiring_a_grant_is_not_limited_by_rcps() -> None:
    """EVAL-8."""
    key = f"arn:aws:kms:eu-west-1:{A}:key/k"
    speaks = (it.ResourcePolicy(key, held(policy("kms:*", type="resource", to={"AWS": ANA})), A),)
    for action, expected in (("kms:RetireGrant", "no"), ("kms:*", "yes")):
        before = org(policy("ec2:*"), resources=speaks, rcps=())
        after = org(policy("ec2:*"), resources=speaks, rcps=(policy(action, "Deny", type="rcp"),))
        assert verdicts(before, after) == ("no", expected)
        lost = it.compare(before, after, principal=ANA).lost.differences
        assert all(d.witness.action != "kms:RetireGrant" for d in lost)


@pytest.mark.parametrize(("is_gateway", "expected"), [(True, "no"), (False, "yes")])
def test_who_an_account_is_to_an_endpoint(is_gateway: bool, expected: str) -> None:
    """EVAL-61: to a gateway, its root user alone."""
    def through(to: Any) -> Any:
        allows = held(policy("*", type="vpce", to=to))
        return (it.Endpoint("vpce-1", allows, A, "vpc-1", is_gateway),)

    nobody, everybody = through({"AWS": B}), through({"AWS": A})
    assert verdicts(org(S3, endpoints=nobody), org(S3, endpoints=everybody)) == (expected, "no")


def test_a_resource_that_stands_for_all_is_looked_at() -> None:
    """`*` is no ARN: here it is all that an identity policy leaves."""
    all_but_arns = it.parse_policy(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", '
        '"NotResource": "arn:*"}}', name="list")
    assert verdicts(org(policy("ec2:*")), org(policy("ec2:*"), all_but_arns)) == ("yes", "no")
    (found,) = it.compare(
        org(policy("ec2:*")), org(policy("ec2:*"), all_but_arns), principal=ANA).gained.differences
    assert found.witness.resource == "*"


# --- what stays outside


GLUE = f"arn:aws:glue:eu-west-1:{A}:catalog"


def catalog(to: Any) -> tuple[it.ResourcePolicy, ...]:
    return (it.ResourcePolicy(GLUE, held(policy("glue:*", type="resource", to=to)), A),)


def test_nothing_is_not_claimed_of_what_no_formula_covers() -> None:
    """A policy of a Glue catalog speaks for its tables: a change of it may matter."""
    same = it.compare(org(S3, resources=catalog("*")), org(S3, resources=catalog("*")),
                      principal=ANA)
    assert same.equivalent == "yes"
    assert any("resources of `glue`" in sentence for sentence in same.scope)
    other = it.compare(org(S3, resources=catalog("*")), org(S3, resources=catalog({"AWS": ANA})),
                       principal=ANA)
    assert (other.gained.verdict, other.equivalent) == ("undecided", "undecided")
    assert other.meets("no-new-access") == "undecided"
    assert "resources of `glue`" in other.gained.undecided[0]


def test_more_access_to_resources_of_other_accounts_is_undecided_and_named() -> None:
    queue = f"arn:aws:sqs:eu-west-1:{'9' * 12}:q"
    found = it.compare(org(S3), org(S3, policy("sqs:*", resource=queue)), principal=ANA)
    assert found.gained.verdict == "undecided" and found.lost.verdict == "no"
    assert "resources of other accounts" in found.gained.undecided[0]
    own = queue.replace("9" * 12, A)
    assert verdicts(org(S3), org(S3, policy("sqs:*", resource=own))) == ("yes", "no")
    known = queue.replace("9" * 12, B)  # an account that is held whole: it has no such policy
    assert verdicts(org(S3), org(S3, policy("sqs:*", resource=known))) == ("no", "no")


def test_an_unlisted_endpoint_stays_outside_where_its_policy_is_not_known() -> None:
    wider = policy("sqs:*", StringEquals={"aws:SourceVpce": "vpce-9"})
    listed = (it.Endpoint("vpce-1", held(policy("*", type="vpce")), A, "vpc-1"),)
    before, after = org(S3, endpoints=listed), org(S3, wider, endpoints=listed)
    found = it.compare(before, after, principal=ANA).gained
    assert found.verdict == "undecided" and "endpoints that are not held" in found.undecided[0]
    empty = policy("sqs:*", StringEquals={"aws:SourceVpce": ""})  # EVAL-63: no listed endpoint
    found = it.compare(before, org(S3, empty, endpoints=listed), principal=ANA).gained
    assert found.verdict == "undecided" and not found.differences


# --- the statements responsible


def test_a_difference_names_the_statements_of_every_layer() -> None:
    mine = policy("s3:*", name="mine.json")
    guard = policy("s3:Put*", "Deny", type="scp", name="guard.json")
    (lost,) = it.compare(org(mine), org(mine, scps=(FULL, guard)), principal=ANA).lost.differences
    assert [(g.layer, str(g.statement.location)) for g in lost.denied_by] == [
        ("scp", "guard.json:1:41")]
    assert {g.layer for g in lost.allowed_by} == {"identity", "scp"}
    assert lost.reason == f"denied by service control policy {lost.denied_by[0]}"
    assert "identity policy" in lost.grounds and "(mine.json:1:41)" in lost.grounds
    told = lost.to_dict()["denied_by"][0]
    assert told["layer"] == "scp" and told["location"]["line"] == 1


def test_a_missing_allow_names_its_layer_and_what_nearly_allows() -> None:
    near = policy("s3:*", type="scp", name="near.json", StringEquals={"aws:RequestedRegion": "x"})
    (lost,) = it.compare(org(S3, scps=(FULL,)), org(S3, scps=(near,)),
                         principal=ANA).lost.differences
    assert lost.deciders == ("scp",) and not lost.denied_by
    assert [(g.layer, g.statement.policy) for g in lost.near_misses] == [("scp", "near.json")]
    assert lost.reason.startswith("allowed by no service control policy; the condition is not met")


@pytest.mark.parametrize(("resource", "expected"), [
    (f"arn:aws:sqs:*:{A}:*", "no"), ("arn:aws:s3:::c/*", "yes")])
def test_the_catalogue_knows_what_an_action_is_checked_on(resource: str, expected: str) -> None:
    before = org(policy("s3:ListBucket"))
    after = org(policy("s3:ListBucket"), policy("s3:GetObject", resource=resource))
    assert verdicts(before, after) == ("yes", "no")
    assert verdicts(before, after, world="catalogue") == (expected, "no")
    assert it.compare(before, after, principal=ANA, world="catalogue").world == "catalogue"
