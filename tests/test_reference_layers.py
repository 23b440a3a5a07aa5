"""Principals and the evaluation of all policy types in the reference, from the rule texts.

Last, every rule that the reference can record must have been recorded by the vectors or here.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from test_reference_units import ANY, OBJECT, document

import iamtables.reference
from iamtables.reference import (
    LAYER_RULES,
    RULES,
    DocumentFault,
    RequestFault,
    evaluate,
    evaluate_identity,
)

ACCOUNT, OTHER = "111122223333", "444455556666"
USER = f"arn:aws:iam::{ACCOUNT}:user/ana"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deploy"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/run-7"
FEDERATED = f"arn:aws:sts::{ACCOUNT}:federated-user/ana"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/Corp"
SERVICE = "cloudtrail.amazonaws.com"
TARGET = f"arn:aws:iam::{ACCOUNT}:role/Target"
CMK = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234"
NOTHING = {**ANY, "Action": "ec2:DescribeInstances"}
DENY = {**ANY, "Effect": "Deny"}

USED: set[str] = set()
"""Rules recorded by the cases of this file."""


def run(
    principal: str, *, action: str = "s3:GetObject", resource: str = OBJECT,
    resource_account: str | None = ACCOUNT, context: dict[str, Any] | None = None,
    options: dict[str, str] | None = None, identity: Any = (), attached: Any = None,
    boundary: Any = (), session: Any = (), scps: Any = (), rcps: Any = (), vpce: Any = (),
    **request: Any,
) -> tuple[str, tuple[str, ...]]:  # fmt: skip
    """Result and deciders of one request."""
    case = {
        "policies": {
            "identity": list(identity), "resource": attached, "boundary": list(boundary),
            "session": list(session), "scps": list(scps), "rcps": list(rcps), "vpce": list(vpce),
        },
        "request": {
            "principal": principal, "action": action, "resource": resource,
            "resource_account": resource_account, "context": context or {}, **request,
        },
        "options": options or {},
    }  # fmt: skip
    outcome = evaluate(case, rules=USED)
    return outcome.result, outcome.deciders


def grant(principal: Any, **changes: Any) -> dict[str, Any]:
    """A resource policy with one Allow for this principal."""
    return document({**ANY, "Principal": principal, **changes})


def is_granted(principal: str, entry: Any, **more: Any) -> bool:
    """Whether a resource policy naming `entry` is enough for the requester."""
    return run(principal, attached=grant(entry), **more)[0] == "Allowed"


def is_denied(principal: str, element: dict[str, Any], **more: Any) -> bool:
    """Whether a Deny with this principal element hits the requester."""
    attached = document({**DENY, **element})
    identity = [document(ANY)]
    return run(principal, attached=attached, identity=identity, **more)[0] == "ExplicitlyDenied"


# ---------------------------------------------------------------------------------------------
# Principals


@pytest.mark.parametrize(
    ("principal", "entry", "expected"),
    [
        (USER, "*", True),
        (USER, {"AWS": "*"}, True),
        (USER, {"AWS": ["x", "*"]}, True),
        (USER, {"AWS": USER}, True),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/Ana"}, False),  # PRIN-3
        (USER, {"AWS": f"arn:aws-cn:iam::{ACCOUNT}:user/ana"}, False),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}, False),  # GRAM-32
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/an?"}, False),
        (USER, {"AWS": "**"}, False),
        (USER, {"AWS": ACCOUNT}, False),  # EVAL-26: the account delegates only
        (USER, {"AWS": ROOT}, False),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:group/devs"}, False),  # GRAM-34
        (USER, {"AWS": []}, False),
        (USER, {}, False),
        (USER, {"Service": USER}, False),
        (USER, {"Federated": USER}, False),
        (USER, {"AWS": FEDERATED}, False),
        (SESSION, {"AWS": ROLE}, True),  # PRIN-4
        (SESSION, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci/deploy"}, True),  # name without case
        (SESSION, {"AWS": f"arn:aws:iam::{OTHER}:role/Deploy"}, False),
        (SESSION, {"AWS": f"arn:aws-cn:iam::{ACCOUNT}:role/Deploy"}, False),
        (SESSION, {"AWS": SESSION}, True),
        (SESSION, {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/run-8"}, False),
        (SESSION, {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/run-7"}, False),
        (ROLE, {"AWS": ROLE}, True),
        (ROLE, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deploy"}, False),
        (ROLE, {"AWS": SESSION}, False),
        (FEDERATED, {"AWS": FEDERATED}, True),
        (SERVICE, {"Service": SERVICE}, True),
        (SERVICE, {"Service": ["x.amazonaws.com", SERVICE]}, True),
        (SERVICE, {"Service": "cloudtrail.us-east-1.amazonaws.com"}, False),  # PRIN-9
        (SERVICE, {"Service": "*"}, False),  # GRAM-33
        (SERVICE, {"AWS": SERVICE}, False),
        (SERVICE, {"AWS": "*"}, True),  # PRIN-7
        (SAML, {"Federated": SAML}, True),
        (SAML, {"Federated": "*"}, False),
        (SAML, {"AWS": ACCOUNT}, False),
        (SAML, "*", True),
        ("accounts.google.com", {"Federated": "accounts.google.com"}, True),
        ("www.amazon.com", {"Federated": "www.amazon.com"}, True),
        ("cognito-identity.amazonaws.com", {"Service": "cognito-identity.amazonaws.com"}, False),
        ("anonymous", "*", True),  # PRIN-8
        ("*", {"AWS": "*"}, True),
        ("anonymous", {"AWS": [ACCOUNT, USER]}, False),
        ("x.amazonaws.com.cn", {"Service": "x.amazonaws.com.cn"}, True),
    ],
)
def test_who_is_granted_by_a_resource_policy_alone(
    principal: str, entry: Any, expected: bool
) -> None:
    assert is_granted(principal, entry) == expected


@pytest.mark.parametrize(
    "principal",
    ["", "ana", None, 1, "arn:aws:iam::1:group/x", "arn:aws:iam::1:user/", "arn:aws:s3:::b",
     "arn:aws:iam::1:policy/x", "example.com", "amazonaws.com"],
)  # fmt: skip
def test_nobody_can_be_such_a_requester(principal: Any) -> None:
    """PRIN-2."""
    with pytest.raises(RequestFault):
        run(principal)
    with pytest.raises(RequestFault):
        run(principal, principal_type="AWS")


def test_the_type_of_a_principal_may_be_said() -> None:
    """PRIN-2."""
    host = "token.example.com"
    assert is_granted(host, {"Federated": host}, principal_type="Federated")
    assert is_granted(host, {"Service": host}, principal_type="Service")
    assert is_granted("whoever", "*", principal_type="Anonymous")
    canonical = "79a59d" + "0" * 58
    entry = {"CanonicalUser": canonical}
    assert is_granted(canonical, entry, principal_type="CanonicalUser")
    assert not is_granted("0" * 64, entry, principal_type="CanonicalUser")
    assert run(USER, attached=grant(entry)) == ("Undetermined", ())
    assert run(SERVICE, attached=grant(entry)) == ("ImplicitlyDenied", ("resource",))
    with pytest.raises(RequestFault):
        run(USER, principal_type="Alien")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"issuer_arn": f"arn:aws:iam::{ACCOUNT}:role/ci/Deploy"}, True),
        ({"issuer_arn": ROLE}, False),
        ({"context": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/ci/Deploy"}}, True),
        ({"context": {"aws:PrincipalArn": ROLE}}, False),
        ({"issuer_arn": USER}, True),  # not a role ARN: by name
        ({"context": {"aws:PrincipalArn": "?"}}, True),
        ({}, True),
    ],
)
def test_the_role_of_a_session(more: dict[str, Any], expected: bool) -> None:
    """PRIN-4: exactly, when the role is known with its path."""
    entry = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci/Deploy"}
    assert is_granted(SESSION, entry, **more) == expected


def test_the_user_of_a_federated_session() -> None:
    """PRIN-5, EVAL-25."""
    allowing = {"session": [document(ANY)]}
    assert is_granted(FEDERATED, {"AWS": USER}, **allowing)
    assert not is_granted(FEDERATED, {"AWS": USER})  # EVAL-21: no session policies
    assert is_granted(FEDERATED, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/eng/ana"}, **allowing)
    issuer = {"issuer_arn": f"arn:aws:iam::{ACCOUNT}:user/bob"}
    assert not is_granted(FEDERATED, {"AWS": USER}, **allowing, **issuer)
    assert is_granted(FEDERATED, {"AWS": issuer["issuer_arn"]}, **allowing, **issuer)


def test_unique_ids() -> None:
    """PRIN-10."""
    user_id, role_id = {"aws:userid": "AIDAEX"}, {"aws:userid": "AROAEX:run-7"}
    assert is_granted(USER, {"AWS": "AIDAEX"}, context=user_id)
    assert not is_granted(USER, {"AWS": "AIDAEX"})
    assert not is_granted(USER, {"AWS": "AIDAEY"}, context=user_id)
    assert not is_granted(USER, {"AWS": "AIDA"}, context={"aws:userid": "AIDA"})
    assert is_granted(SESSION, {"AWS": "AROAEX"}, context=role_id)
    blocked = {"boundary": [document(NOTHING)]}
    assert is_granted(USER, {"AWS": "AIDAEX"}, context=user_id, **blocked)  # DIRECT
    assert not is_granted(SESSION, {"AWS": "AROAEX"}, context=role_id, **blocked)  # ROLE


@pytest.mark.parametrize(
    ("principal", "entry"),
    [(USER, ACCOUNT), (USER, ROOT), (SESSION, ROLE), (SESSION, ACCOUNT), (FEDERATED, USER),
     (FEDERATED, ACCOUNT), (ROOT, ACCOUNT), (ROOT, ROOT), (USER, "*")],
)  # fmt: skip
def test_a_deny_counts_at_any_level(principal: str, entry: str) -> None:
    """PRIN-14."""
    assert is_denied(principal, {"Principal": {"AWS": entry}})
    assert not is_denied(principal, {"Principal": {"AWS": OTHER}})


@pytest.mark.parametrize(
    ("principal", "listed", "any_entry", "chain"),
    [
        (USER, [USER], False, True),
        (USER, [ACCOUNT], False, True),
        (USER, [USER, ROOT], False, False),
        (USER, [USER, ACCOUNT], False, False),
        (USER, [f"arn:aws:iam::{OTHER}:user/ana", OTHER], True, True),
        (USER, ["*"], False, False),
        (SESSION, [SESSION], False, True),
        (SESSION, [SESSION, ROLE], False, True),
        (SESSION, [SESSION, ROLE, ROOT], False, False),
        (SESSION, [ROLE, ROOT], False, True),
        (ROLE, [ROLE, ROOT], False, False),
        (FEDERATED, [FEDERATED, ROOT], False, False),
        (FEDERATED, [FEDERATED], False, True),
        (ROOT, [ROOT], False, False),
        (ROOT, [OTHER], True, True),
    ],
)
def test_not_principal(principal: str, listed: list[str], any_entry: bool, chain: bool) -> None:
    """PRIN-11, in both readings."""
    element = {"NotPrincipal": {"AWS": listed}}
    assert is_denied(principal, element) == any_entry
    assert is_denied(principal, element, options={"notprincipal": "chain"}) == chain


def test_not_principal_for_services_and_anonymous_callers() -> None:
    for mode in ("any", "chain"):
        options = {"notprincipal": mode}
        assert not is_denied(SERVICE, {"NotPrincipal": {"Service": SERVICE}}, options=options)
        assert is_denied(SERVICE, {"NotPrincipal": {"AWS": ACCOUNT}}, options=options)
        assert is_denied("anonymous", {"NotPrincipal": {"AWS": ACCOUNT}}, options=options)
        assert not is_denied("anonymous", {"NotPrincipal": "*"}, options=options)


def test_not_principal_and_boundaries() -> None:
    """PRIN-12: whatever is listed, in resource and endpoint policies."""
    element = {"NotPrincipal": {"AWS": [USER, ROOT]}}
    boundary = [document(ANY)]
    assert is_denied(USER, element, boundary=boundary)
    assert not is_denied(ROOT, element, boundary=boundary)
    endpoint = document({**ANY, "Principal": "*"}, {**DENY, **element})
    result, deciders = run(USER, identity=[document(ANY)], vpce=[endpoint], boundary=boundary)
    assert (result, deciders) == ("ExplicitlyDenied", ("vpce",))


def test_not_principal_with_allow() -> None:
    """PRIN-13: the others are granted, anonymous callers too."""
    attached = document({**ANY, "NotPrincipal": {"AWS": USER}})
    assert run(SESSION, attached=attached) == ("Allowed", ("resource",))
    assert run("anonymous", attached=attached) == ("Allowed", ("resource",))
    assert run(USER, attached=attached)[0] == "ImplicitlyDenied"


@pytest.mark.parametrize(
    "element",
    [{}, {"Principal": "x"}, {"Principal": ["*"]}, {"Principal": {"aws": "*"}},
     {"Principal": {"AWS": 1}}, {"Principal": None}, {"NotPrincipal": {"AWS": []}},
     {"NotPrincipal": {}}, {"Principal": "*", "NotPrincipal": "*"}],
)  # fmt: skip
def test_a_principal_nobody_can_read(element: dict[str, Any]) -> None:
    """GRAM-22, GRAM-23, GRAM-30, GRAM-40."""
    attached = document({**ANY, **element})
    assert run(USER, attached=attached)[0] == "ImplicitlyDenied"  # VEC-2: never
    options = {"invalid_statement": "unknown"}
    assert run(USER, attached=attached, options=options)[0] == "Undetermined"


# ---------------------------------------------------------------------------------------------
# Which element in which policy type (GRAM-40, GRAM-42)


def test_scps_and_rcps_know_no_2008() -> None:
    old = document(DENY, version="2008-10-17")
    bare = document(DENY, version=None)
    everything = document(ANY)
    for policies, result in (
        ([[everything, bare]], "ExplicitlyDenied"),  # read as 2012
        ([[everything, old]], "Allowed"),
    ):
        assert run(USER, identity=[everything], scps=policies)[0] == result
    rcp = {**DENY, "Principal": "*", "Condition": {"StringEquals": {"k:a": "${k:b}"}}}
    given = {"identity": [everything], "context": {"k:a": "x", "k:b": "x"}}
    assert run(USER, rcps=[[document(rcp, version=None)]], **given)[0] == "ExplicitlyDenied"
    assert run(USER, rcps=[[document(rcp, version="2008-10-17")]], **given)[0] == "Allowed"


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, False),  # GRAM-42: the string itself
        ({"Action": "s3:*"}, True),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Principal": {"AWS": ["*", ACCOUNT]}}, False),
        ({"Principal": None}, False),
        ({"NotAction": "ec2:*", "Action": None}, False),
        ({"NotPrincipal": {"AWS": OTHER}, "Principal": None}, False),
        ({"NotResource": "arn:aws:s3:::x", "Resource": None}, True),
        ({"Resource": None}, False),
    ],
)
def test_what_a_resource_control_policy_may_say(changes: dict[str, Any], applies: bool) -> None:
    body = {**DENY, "Principal": "*", **changes}
    body = {name: value for name, value in body.items() if value is not None}
    result = run(USER, identity=[document(ANY)], rcps=[[document(body)]])
    expected = ("ExplicitlyDenied", ("rcp",)) if applies else ("Allowed", ("identity",))
    assert result == expected


def test_an_allow_in_a_resource_control_policy_is_ignored() -> None:
    """EVAL-18, even one that cannot be read."""
    rcps = [[document({**ANY, "Principal": "*"}), document({**ANY, "Condition": {"Oops": {}}})]]
    given = {"rcps": rcps, "options": {"invalid_statement": "unknown"}}
    assert run(USER, identity=[document(ANY)], **given) == ("Allowed", ("identity",))
    assert run(USER, **given) == ("ImplicitlyDenied", ("identity",))


@pytest.mark.parametrize(
    "changes",
    [{"Principal": "*"}, {"NotPrincipal": "*"}, {"Resource": "arn:aws:s3"}, {"Resource": None}],
)
def test_what_a_service_control_policy_may_not_say(changes: dict[str, Any]) -> None:
    body = {name: value for name, value in {**ANY, **changes}.items() if value is not None}
    scps = [[document(body)]]
    assert run(USER, identity=[document(ANY)], scps=scps) == ("ImplicitlyDenied", ("scp",))


def test_what_a_trust_policy_may_not_say() -> None:
    given = {"action": "sts:AssumeRole", "resource": TARGET}
    good = {"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole"}
    assert run(USER, attached=document(good), **given) == ("Allowed", ("resource",))
    for changes in (
        {"Resource": "*"},
        {"NotResource": "arn:aws:s3:::x"},
        {"NotPrincipal": {"AWS": OTHER}},
    ):
        body = {**good, **changes}
        if "NotPrincipal" in changes:
            del body["Principal"]
        denied = run(USER, attached=document(body), **given)
        assert denied == ("ImplicitlyDenied", ("resource",))


def test_a_missing_resource_of_an_attached_policy_is_the_resource() -> None:
    """RES-11, GRAM-40."""
    body = {"Effect": "Allow", "Principal": "*", "Action": "*"}
    assert run(USER, attached=document(body))[0] == "Allowed"
    identity = [document(ANY)]
    assert run(USER, identity=identity, vpce=[document(body)])[0] == "Allowed"


# ---------------------------------------------------------------------------------------------
# Evaluation


@pytest.mark.parametrize(
    ("principal", "entry", "identity", "boundary", "session", "expected"),
    [
        (USER, None, ANY, None, None, "Allowed"),  # EVAL-20
        (USER, None, ANY, NOTHING, None, "ImplicitlyDenied"),
        (USER, USER, NOTHING, NOTHING, None, "Allowed"),  # EVAL-22
        (USER, "*", NOTHING, NOTHING, None, "Allowed"),  # EVAL-23
        (USER, ACCOUNT, NOTHING, None, None, "ImplicitlyDenied"),  # EVAL-26
        (SESSION, None, ANY, None, None, "Allowed"),
        (SESSION, None, ANY, ANY, NOTHING, "ImplicitlyDenied"),
        (SESSION, ROLE, NOTHING, ANY, None, "Allowed"),  # EVAL-24
        (SESSION, ROLE, NOTHING, NOTHING, ANY, "ImplicitlyDenied"),
        (SESSION, ROLE, NOTHING, ANY, NOTHING, "ImplicitlyDenied"),
        (SESSION, SESSION, NOTHING, NOTHING, NOTHING, "Allowed"),
        (SESSION, "*", NOTHING, NOTHING, NOTHING, "Allowed"),
        (FEDERATED, None, ANY, ANY, None, "ImplicitlyDenied"),  # EVAL-21
        (FEDERATED, None, ANY, ANY, ANY, "Allowed"),
        (FEDERATED, USER, NOTHING, NOTHING, ANY, "ImplicitlyDenied"),  # EVAL-25
        (FEDERATED, FEDERATED, NOTHING, NOTHING, None, "Allowed"),
        (ROOT, None, None, None, None, "Allowed"),  # EVAL-50
        (ROLE, ROLE, None, NOTHING, None, "ImplicitlyDenied"),
    ],
)
def test_the_decision_table_of_one_account(
    principal: str, entry: str | None, identity: Any, boundary: Any, session: Any, expected: str
) -> None:
    """Section 5.6."""

    def policies(statement: Any) -> list[Any]:
        return [] if statement is None else [document(statement)]

    result, _ = run(
        principal, attached=entry and grant({"AWS": entry}), identity=policies(identity),
        boundary=policies(boundary), session=policies(session),
    )  # fmt: skip
    assert result == expected


def test_both_paths_are_reported() -> None:
    """EVAL-71."""
    both = run(USER, identity=[document(ANY)], attached=grant({"AWS": USER}))
    assert both == ("Allowed", ("resource", "identity"))
    one = run(USER, identity=[document(ANY)], attached=grant({"AWS": ACCOUNT}))
    assert one == ("Allowed", ("identity",))


def test_every_type_that_denies_is_named_in_order() -> None:
    """EVAL-1, EVAL-15."""
    deny = [document(DENY)]
    everyone = document({**DENY, "Principal": "*"})
    result = run(
        SESSION, identity=deny, boundary=deny, session=deny, scps=[deny], rcps=[[everyone]],
        vpce=[everyone], attached=everyone,
    )  # fmt: skip
    types = ("scp", "rcp", "vpce", "resource", "identity", "boundary", "session")
    assert result == ("ExplicitlyDenied", types)


def test_every_gate_that_is_shut_is_named_in_order() -> None:
    """EVAL-70."""
    nothing = [document(NOTHING)]
    closed = document({**NOTHING, "Principal": "*"})
    given = {"identity": nothing, "boundary": nothing, "session": nothing, "scps": [nothing],
             "vpce": [closed]}  # fmt: skip
    gates = ("scp", "vpce", "identity", "boundary", "session")
    assert run(SESSION, **given) == ("ImplicitlyDenied", gates)
    away = ("scp", "vpce", "resource", "identity", "boundary", "session")
    assert run(SESSION, resource_account=OTHER, **given) == ("ImplicitlyDenied", away)
    open_path = {**given, "attached": grant("*")}
    assert run(SESSION, **open_path) == ("ImplicitlyDenied", ("scp", "vpce"))


def test_the_account_of_a_resource() -> None:
    """EVAL-3, EVAL-4."""
    identity = [document(ANY)]
    queue = f"arn:aws:sqs:us-east-1:{OTHER}:q"
    for resource, account, result in (
        (OBJECT, None, "Allowed"),  # without account: the requester's
        ("*", None, "Allowed"),
        (queue, None, "ImplicitlyDenied"),
        (queue, ACCOUNT, "Allowed"),  # the given account wins
        (OBJECT, OTHER, "ImplicitlyDenied"),
        ("arn:aws:sqs:us-east-1:aws:q", None, "Allowed"),  # not 12 digits
    ):
        found = run(USER, identity=identity, resource=resource, resource_account=account)
        assert found[0] == result, (resource, account)


def test_across_accounts_both_sides_allow() -> None:
    """EVAL-30 to EVAL-33, EVAL-5."""
    away = {"resource_account": OTHER, "identity": [document(ANY)]}
    for entry in (USER, ACCOUNT, ROOT, "*"):
        assert run(USER, attached=grant({"AWS": entry}), **away)[0] == "Allowed"
    assert run(USER, **away) == ("ImplicitlyDenied", ("resource",))
    assert run(FEDERATED, attached=grant("*"), **away) == ("ImplicitlyDenied", ("session",))
    assert run(ROOT, attached=grant({"AWS": ACCOUNT}), **away) == ("Allowed", ("resource",))
    assert run(ROOT, **away) == ("ImplicitlyDenied", ("resource",))
    china = {**away, "resource": "arn:aws-cn:s3:::b"}
    assert run(USER, attached=grant("*"), **china) == ("ImplicitlyDenied", ("resource",))
    assert run(ROOT, attached=grant("*"), **china) == ("ImplicitlyDenied", ("resource",))


def test_service_control_policies_apply_to_members_only() -> None:
    """EVAL-6, EVAL-7, EVAL-10, EVAL-17."""
    allow, nothing = [document(ANY)], [document(NOTHING)]
    given = {"identity": allow, "scps": [allow, nothing]}
    assert run(USER, **given) == ("ImplicitlyDenied", ("scp",))
    assert run(ROOT, **given) == ("ImplicitlyDenied", ("scp",))
    assert run(USER, principal_is_management_account=True, **given)[0] == "Allowed"
    assert run(SERVICE, attached=grant("*"), scps=[nothing])[0] == "Allowed"
    assert run("anonymous", attached=grant("*"), scps=[nothing])[0] == "Allowed"
    assert run(USER, identity=allow, scps=[[]]) == ("ImplicitlyDenied", ("scp",))
    linked = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForX/s"
    assert run(linked, **given)[0] == "Allowed"
    ordinary = f"arn:aws:iam::{ACCOUNT}:role/AWSServiceRoleForX"
    assert run(linked, issuer_arn=ordinary, **given)[0] == "ImplicitlyDenied"
    path = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/R"
    assert run(SESSION, issuer_arn=path, **given)[0] == "Allowed"
    assert run(path, **given)[0] == "Allowed"
    assert run(SESSION, **given)[0] == "ImplicitlyDenied"


def test_operations_that_are_always_allowed() -> None:
    """EVAL-11, EVAL-12."""
    deny = {"identity": [document(DENY)], "resource": "*"}
    for principal in (USER, SESSION, FEDERATED, ROOT):
        found = run(principal, action="STS:getCallerIdentity", **deny)
        assert found == ("Allowed", ("service",))
    assert run("anonymous", action="sts:GetCallerIdentity")[0] == "ImplicitlyDenied"
    for principal, result in ((USER, "Allowed"), (ROOT, "Allowed"), (SESSION, "ExplicitlyDenied")):
        assert run(principal, action="sts:GetSessionToken", **deny)[0] == result


def test_root_and_its_bucket_policy() -> None:
    """EVAL-16, EVAL-50."""
    attached = document({**DENY, "Principal": "*"})
    given = {"resource": "arn:aws:s3:::depot", "attached": attached}
    for name in ("Get", "Put", "Delete"):
        assert run(ROOT, action=f"s3:{name}BucketPolicy", **given) == ("Allowed", ("root",))
    assert run(ROOT, action="s3:GetObject", **given)[0] == "ExplicitlyDenied"
    assert run(USER, action="s3:GetBucketPolicy", **given)[0] == "ExplicitlyDenied"
    foreign = {**given, "resource_account": OTHER}
    assert run(ROOT, action="s3:GetBucketPolicy", **foreign)[0] == "ExplicitlyDenied"
    rcps = [[attached]]
    denied = run(ROOT, action="s3:GetBucketPolicy", rcps=rcps, **given)
    assert denied == ("ExplicitlyDenied", ("rcp",))


@pytest.mark.parametrize(
    ("principal", "entry", "identity", "boundary", "session", "expected"),
    [
        (USER, USER, NOTHING, None, None, ("resource",)),
        (USER, USER, ANY, NOTHING, None, None),  # the boundary limits trust policies
        (USER, "*", NOTHING, NOTHING, None, None),
        (SESSION, SESSION, NOTHING, NOTHING, None, None),
        (SESSION, SESSION, NOTHING, None, NOTHING, ("resource",)),
        (SESSION, ROLE, NOTHING, None, None, ("resource",)),
        (USER, ACCOUNT, ANY, None, None, ("identity",)),
        (USER, ACCOUNT, NOTHING, None, None, None),
        (USER, OTHER, ANY, None, None, None),
        (ROOT, ROOT, None, None, None, None),  # EVAL-51
    ],
)
def test_assuming_a_role(
    principal: str, entry: str, identity: Any, boundary: Any, session: Any, expected: Any
) -> None:
    """EVAL-40."""
    trust = document({"Effect": "Allow", "Principal": {"AWS": entry}, "Action": "sts:*"})
    for action in ("AssumeRole", "TagSession", "SetSourceIdentity", "SetContext"):
        result, deciders = run(
            principal, action=f"sts:{action}", resource=TARGET, attached=trust,
            identity=[document(identity)] if identity else [],
            boundary=[document(boundary)] if boundary else [],
            session=[document(session)] if session else [],
        )  # fmt: skip
        assert result == ("Allowed" if expected else "ImplicitlyDenied")
        if expected:
            assert deciders == expected
    if principal == ROOT:
        assert deciders == ("service",)


def test_the_boundary_of_a_trust_policy_by_option() -> None:
    given = {
        "action": "sts:AssumeRole", "resource": TARGET, "boundary": [document(NOTHING)],
        "attached": document({"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "*"}),
    }  # fmt: skip
    assert run(USER, **given) == ("ImplicitlyDenied", ("identity", "boundary"))
    assert run(USER, options={"trust_boundary": "bypass"}, **given) == ("Allowed", ("resource",))


@pytest.mark.parametrize("resource", [TARGET, CMK])
def test_a_required_policy_that_is_not_given(resource: str) -> None:
    """EVAL-44."""
    action = "kms:Decrypt" if resource == CMK else "sts:AssumeRole"
    given = {"action": action, "resource": resource, "identity": [document(ANY)]}
    assert run(USER, **given) == ("ImplicitlyDenied", ("resource",))
    pretend = {"options": {"missing_required_policy": "account"}}
    assert run(USER, **given, **pretend) == ("Allowed", ("identity",))
    other = f"arn:aws:iam::{OTHER}:user/bob"
    assert run(other, **given, **pretend) == ("ImplicitlyDenied", ("resource",))


def test_keys_need_their_policy() -> None:
    """EVAL-42, EVAL-43, EVAL-51."""
    given = {"action": "kms:Decrypt", "resource": CMK}
    allow = {"identity": [document(ANY)]}
    assert run(USER, attached=grant({"AWS": ACCOUNT}), **given, **allow)[1] == ("identity",)
    assert run(USER, attached=grant({"AWS": OTHER}), **given, **allow)[1] == ("resource",)
    assert run(USER, attached=grant({"AWS": ACCOUNT}), **given)[1] == ("identity",)
    assert run(USER, attached=grant({"AWS": USER}), **given) == ("Allowed", ("resource",))
    # The role ARN alone does not open the identity path, but grants by itself.
    role = run(SESSION, attached=grant({"AWS": ROLE}), **given, **allow)
    assert role == ("Allowed", ("resource",))
    for entry, result in ((ACCOUNT, "Allowed"), (ROOT, "Allowed"), ("*", "Allowed"), (OTHER, "")):
        found = run(ROOT, attached=grant({"AWS": entry}), **given)[0]
        assert found == (result or "ImplicitlyDenied")
    alias = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/app"
    assert run(USER, action="kms:UpdateAlias", resource=alias, **allow)[0] == "Allowed"


def test_federation_is_decided_by_the_trust_policy() -> None:
    """EVAL-41."""
    statement = {"Effect": "Allow", "Action": "sts:*", "Principal": {"Federated": SAML}}
    given = {"action": "sts:AssumeRoleWithSAML", "resource": TARGET}
    assert run(SAML, attached=document(statement), **given) == ("Allowed", ("resource",))
    assert run(SAML, **given) == ("ImplicitlyDenied", ("resource",))
    nothing = [document(NOTHING)]
    found = run(SAML, attached=document(statement), scps=[nothing], boundary=nothing, **given)
    assert found[0] == "Allowed"
    closed = [document({**NOTHING, "Principal": "*"})]
    found = run(SAML, attached=document(statement), vpce=closed, **given)
    assert found == ("ImplicitlyDenied", ("vpce",))


def test_sessions_of_assume_root() -> None:
    """EVAL-52: a session policy is mandatory."""
    context = {"aws:AssumedRoot": "true"}
    assert run(ROOT, context=context) == ("ImplicitlyDenied", ("session",))
    assert run(ROOT, context=context, session=[document(ANY)]) == ("Allowed", ("root",))
    assert run(ROOT, context=context, session=[document(DENY)])[0] == "ExplicitlyDenied"
    assert run(ROOT, session=[document(DENY)]) == ("Allowed", ("root",))  # not such a session


def test_session_policies_of_a_user_do_not_exist() -> None:
    """EVAL-6."""
    given = {"identity": [document(ANY)], "session": [document(DENY)]}
    assert run(USER, **given) == ("Allowed", ("identity",))


def test_endpoint_policies() -> None:
    """EVAL-19, EVAL-60 to EVAL-62."""
    allow = {"identity": [document(ANY)]}
    for entry, principal, result in (
        (ACCOUNT, USER, "ImplicitlyDenied"),
        (ROOT, USER, "ImplicitlyDenied"),
        (ACCOUNT, ROOT, "Allowed"),
        (ROOT, ROOT, "Allowed"),
        (OTHER, ROOT, "ImplicitlyDenied"),
        (USER, USER, "Allowed"),
        (ROLE, SESSION, "Allowed"),
        ("*", USER, "Allowed"),
    ):
        found = run(principal, vpce=[grant({"AWS": entry})], **allow)[0]
        assert found == result, (entry, principal)
    closed = [grant("*", Action="ec2:*")]
    assert run(SERVICE, attached=grant("*"), vpce=closed)[0] == "Allowed"  # EVAL-55
    assert run("anonymous", attached=grant("*"), vpce=closed)[0] == "ImplicitlyDenied"


def test_a_resource_control_policy_and_retiring_grants() -> None:
    """EVAL-8, EVAL-57."""
    rcps = [[document({**DENY, "Principal": "*"})]]
    given = {"attached": grant({"AWS": USER}), "resource": CMK, "rcps": rcps}
    assert run(USER, action="kms:retireGrant", **given)[0] == "Allowed"
    assert run(USER, action="kms:RevokeGrant", **given) == ("ExplicitlyDenied", ("rcp",))
    linked = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForX/s"
    assert run(linked, identity=[document(ANY)], rcps=rcps)[0] == "Allowed"


def test_faults_of_a_case() -> None:
    with pytest.raises(RequestFault):
        run(USER, action="s3")
    with pytest.raises(RequestFault):
        run(USER, resource="depot")
    with pytest.raises(DocumentFault):
        run(USER, identity=["{"])
    with pytest.raises(ValueError, match="option"):
        run(USER, options={"trust": "x"})


# ---------------------------------------------------------------------------------------------
# Rules


def odds_and_ends(rules: set[str]) -> None:
    """Requests and documents of a kind that neither the vectors nor the cases above hold."""
    statement = {
        **ANY, "Sid": "One", "Action": ["s3:**:", "s3:G**t*", "s3:${x}"],
        "Resource": ["depot", "arn:aws:s3:::${nocolon}", "*"],
        "Condition": {
            "StringEqualsIfExists": {"k:k": "x", "K:K": "x"},
            "DateEqualsIfExists": {"k:d": "2020-13-01"},
            "IpAddressIfExists": {"k:i": "10.0.0.1"},
        },
    }  # fmt: skip
    text = json.dumps({"Id": "x", **document(statement)})[:-1] + ',"Version":"2012-10-17"}'
    context = {"k:k": True, "K:k": "y", "aws:username": ["ana"], "k:d": "2020-01-01", "k:i": "x"}
    request = {"action": "s3:GetObject", "resource": OBJECT, "context": context}
    both = {**ANY, "NotAction": "*"}
    for policies in ([text], [document()], [{"Statement": 1}], [document(both)]):
        evaluate_identity(policies, **request, rules=rules)
    for faulty in ({"action": "s3"}, {"resource": "x"}):
        with pytest.raises(RequestFault):
            evaluate_identity([], **{**request, **faulty}, rules=rules)
    with pytest.raises(DocumentFault):
        evaluate_identity(["{"], **request, rules=rules)


def test_every_rule_of_the_reference_is_exercised() -> None:
    """By the vectors, by the cases of this file, or by what is left over."""
    rules = set(USED)
    vectors = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
    for line in vectors.read_text(encoding="utf-8").splitlines():
        evaluate(json.loads(line), rules=rules)
    odds_and_ends(rules)
    run(ROOT, context={"aws:AssumedRoot": "true"})
    run(USER, rcps=[[document({**DENY, "Principal": {"AWS": ACCOUNT}})]])
    assert rules | USED == RULES | LAYER_RULES


def test_the_code_notes_exactly_the_declared_rules() -> None:
    package = Path(iamtables.reference.__file__).parent
    noted = set()
    for path in package.glob("*.py"):
        if path.name == "foundations.py":
            continue  # the declarations
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in RULES | LAYER_RULES:
                noted.add(node.value)
    assert noted == RULES | LAYER_RULES
    specification = Path(__file__).parent.parent / "docs" / "spec" / "semantics.md"
    text = specification.read_text(encoding="utf-8")
    assert {rule for rule in RULES | LAYER_RULES if f"**{rule}" not in text} == set()


def test_the_reference_imports_the_standard_library_only() -> None:
    package = Path(iamtables.reference.__file__).parent
    modules = {path.stem for path in package.glob("*.py")}
    for path in package.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1
                assert node.module in modules
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                for name in names or [str(getattr(node, "module", ""))]:
                    assert name in {
                        "__future__", "base64", "binascii", "collections.abc", "dataclasses",
                        "datetime", "decimal", "itertools", "json", "math", "re", "typing",
                    }  # fmt: skip
