"""The identity-only frame: who carries identity policies, and when their Allow is enough."""

import itertools
import json
from pathlib import Path

import pytest

from iamtables import reference
from iamtables.errors import RequestError
from iamtables.requester import (
    Gate,
    Outcome,
    RequesterKind,
    conclude,
    frames,
    requester,
)
from iamtables.runtime.codes import DecisionCode

ALLOW, IMPLICIT_DENY = DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY
EXPLICIT_DENY, UNDETERMINED = DecisionCode.EXPLICIT_DENY, DecisionCode.UNDETERMINED
OTHER_LAYERS = ("resource", "boundary", "session", "scps", "rcps", "vpce")

A, B = "111122223333", "444455556666"
USER = f"arn:aws:iam::{A}:user/ana"
ROLE = f"arn:aws:iam::{A}:role/Deploy"
SESSION = f"arn:aws:sts::{A}:assumed-role/Deploy/run-7"
FEDERATED = f"arn:aws:sts::{A}:federated-user/ana"
ROOT = f"arn:aws:iam::{A}:root"
OBJECT = "arn:aws:s3:::depot/in/a.txt"
KEY = f"arn:aws:kms:us-east-1:{A}:key/1"
TARGET = f"arn:aws:iam::{A}:role/Target"


def outcome(identity=ALLOW, **request):
    given = {"principal": USER, "action": "s3:GetObject", "resource": OBJECT} | request
    return conclude(frames(**given), identity)


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        (USER, RequesterKind.USER),
        (ROLE, RequesterKind.ROLE_SESSION),
        (SESSION, RequesterKind.ROLE_SESSION),
        (FEDERATED, RequesterKind.FEDERATED_USER),
        (ROOT, RequesterKind.ROOT),
        ("anonymous", RequesterKind.ANONYMOUS),
        ("*", RequesterKind.ANONYMOUS),
        ("ec2.amazonaws.com", RequesterKind.SERVICE),
        ("ec2.amazonaws.com.cn", RequesterKind.SERVICE),
        ("accounts.google.com", RequesterKind.FEDERATED_PROVIDER),
        (f"arn:aws:iam::{A}:saml-provider/Corp", RequesterKind.FEDERATED_PROVIDER),
        (f"arn:aws:iam::{A}:oidc-provider/token.example.com", RequesterKind.FEDERATED_PROVIDER),
    ],
)
def test_principals_are_classified_by_their_form(principal, kind):
    assert requester(principal).kind is kind


def test_a_given_principal_type_overrides_the_form():
    assert requester("cognito-identity.amazonaws.com", "Service").kind is RequesterKind.SERVICE
    assert requester("ab" * 32, "CanonicalUser").kind is RequesterKind.CANONICAL_USER


@pytest.mark.parametrize("principal", ["", "ana", A, "arn:aws:iam::1:group/x", "arn:aws:s3:::b"])
def test_a_principal_of_no_known_form_is_a_request_error(principal):
    with pytest.raises(RequestError, match="not a principal"):
        requester(principal)


@pytest.mark.parametrize("action", ["sts:GetCallerIdentity", "STS:getcalleridentity"])
@pytest.mark.parametrize("principal", [USER, SESSION, FEDERATED, ROOT, "ec2.amazonaws.com"])
def test_get_caller_identity_cannot_be_denied(principal, action):
    assert outcome(EXPLICIT_DENY, principal=principal, action=action, resource="*") == Outcome(
        "Allowed", ("service",))


def test_get_session_token_is_for_users_and_root_only():
    for principal in (USER, ROOT):
        assert outcome(EXPLICIT_DENY, principal=principal, action="sts:GetSessionToken",
                       resource="*").result == "Allowed"
    assert outcome(IMPLICIT_DENY, principal=SESSION, action="sts:GetSessionToken",
                   resource="*").result == "ImplicitlyDenied"


@pytest.mark.parametrize(
    ("request_", "identity", "expected"),
    [
        ({}, ALLOW, Outcome("Allowed", ("identity",))),
        ({}, IMPLICIT_DENY, Outcome("ImplicitlyDenied", ("identity",))),
        ({}, EXPLICIT_DENY, Outcome("ExplicitlyDenied", ("identity",))),
        ({}, UNDETERMINED, Outcome("Undetermined", ())),
        # cross account (EVAL-33), and the resource's account from its ARN (EVAL-3)
        ({"resource_account": B}, ALLOW, Outcome("ImplicitlyDenied", ("resource",))),
        ({"resource_account": B}, IMPLICIT_DENY,
         Outcome("ImplicitlyDenied", ("resource", "identity"))),
        ({"resource_account": B}, EXPLICIT_DENY, Outcome("ExplicitlyDenied", ("identity",))),
        ({"resource_account": B}, UNDETERMINED, Outcome("ImplicitlyDenied", ("resource",))),
        ({"resource": f"arn:aws:sqs:us-east-1:{B}:q"}, ALLOW,
         Outcome("ImplicitlyDenied", ("resource",))),
        ({"resource": "*"}, ALLOW, Outcome("Allowed", ("identity",))),
        # federated users need a session policy (EVAL-21)
        ({"principal": FEDERATED}, ALLOW, Outcome("ImplicitlyDenied", ("session",))),
        ({"principal": FEDERATED}, IMPLICIT_DENY,
         Outcome("ImplicitlyDenied", ("identity", "session"))),
        # trust and key policies must allow (EVAL-40, 42, 44)
        ({"action": "kms:Decrypt", "resource": KEY}, ALLOW,
         Outcome("ImplicitlyDenied", ("resource",))),
        ({"action": "kms:Decrypt", "resource": KEY}, EXPLICIT_DENY,
         Outcome("ExplicitlyDenied", ("identity",))),
        ({"action": "sts:AssumeRole", "resource": TARGET}, ALLOW,
         Outcome("ImplicitlyDenied", ("resource",))),
        ({"action": "kms:UpdateAlias", "resource": f"arn:aws:kms:us-east-1:{A}:alias/app"}, ALLOW,
         Outcome("Allowed", ("identity",))),
        # root (EVAL-50, 51, 52)
        ({"principal": ROOT}, EXPLICIT_DENY, Outcome("Allowed", ("root",))),
        ({"principal": ROOT, "resource_account": B}, ALLOW,
         Outcome("ImplicitlyDenied", ("resource",))),
        ({"principal": ROOT, "action": "sts:AssumeRole", "resource": TARGET}, ALLOW,
         Outcome("ImplicitlyDenied", ("service",))),
        ({"principal": ROOT, "action": "kms:Decrypt", "resource": KEY}, ALLOW,
         Outcome("ImplicitlyDenied", ("resource",))),
        ({"principal": ROOT, "has_assumed_root": True}, ALLOW,
         Outcome("ImplicitlyDenied", ("session",))),
        # requesters without identity policies
        ({"principal": "ec2.amazonaws.com"}, ALLOW, Outcome("ImplicitlyDenied", ("resource",))),
        ({"principal": "anonymous"}, ALLOW, Outcome("ImplicitlyDenied", ("resource",))),
    ],
)
def test_the_frame_settles_what_identity_policies_cannot(request_, identity, expected):
    assert outcome(identity, **request_) == expected


def test_an_account_of_another_partition_is_another_account():
    assert outcome(principal=f"arn:aws-cn:iam::{B}:user/bob", resource_account=A).result == (
        "ImplicitlyDenied")


def test_a_gate_reports_missing_layers_in_the_fixed_order():
    assert Gate(("session", "resource")).combine(IMPLICIT_DENY).deciders == (
        "resource", "identity", "session")


def _identity_only_vectors():
    path = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
    for line in path.read_text(encoding="ascii").splitlines():
        vector = json.loads(line)
        if not any(vector["policies"].get(layer) for layer in OTHER_LAYERS):
            yield pytest.param(vector, id=vector["id"])


@pytest.mark.parametrize("vector", list(_identity_only_vectors()))
def test_the_frame_around_a_reference_decision_passes_the_vector(vector):
    request = vector["request"]
    identity = reference.evaluate_identity(
        vector["policies"]["identity"], action=request["action"], resource=request["resource"],
        context=request["context"],
        options={"invalid_statement": "never"} | vector.get("options", {}),
    )
    answer = outcome(DecisionCode[identity.decision], principal=request["principal"],
                     action=request["action"], resource=request["resource"],
                     resource_account=request["resource_account"])
    assert answer.result == vector["expect"]


def _statement(effect, **condition):
    return {"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}


IDENTITY = {
    "allow": [_statement("Allow")],
    "nothing": [],
    "deny": [_statement("Allow"), _statement("Deny")],
    "unknown": [_statement("Allow", StringEquals={"aws:x": "1"})],
    "unknown deny": [_statement("Allow"), _statement("Deny", StringEquals={"aws:x": "1"})],
    "only an unknown deny": [_statement("Deny", StringEquals={"aws:x": "1"})],
}


@pytest.mark.parametrize("identity", IDENTITY)
@pytest.mark.parametrize("principal", [
    USER, ROLE, SESSION, FEDERATED, ROOT, "ec2.amazonaws.com", "anonymous",
    f"arn:aws:iam::{A}:saml-provider/Corp", f"arn:aws-cn:iam::{B}:user/bob",
    f"arn:aws:iam::{B}:root",
])
def test_the_frame_agrees_with_the_reference_over_a_grid(principal, identity):
    policies = {"identity": [{"Version": "2012-10-17", "Statement": IDENTITY[identity]}]}
    actions = ("s3:GetObject", "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:TagSession",
               "sts:GetCallerIdentity", "sts:GetSessionToken", "kms:Decrypt", "kms:ListKeys")
    resources = (None, "*", OBJECT, KEY, TARGET, f"arn:aws:sqs:us-east-1:{B}:q",
                 f"arn:aws:kms:us-east-1:{A}:alias/app", "arn:aws:sagemaker:eu-west-1:aws:hub/H")
    for action, resource, owner, assumed in itertools.product(
            actions, resources, (None, A, B), ("false", "true", None)):
        context = {"aws:x": reference.UNKNOWN,
                   "aws:AssumedRoot": reference.UNKNOWN if assumed is None else assumed}
        expected = reference.evaluate({"policies": policies, "request": {
            "principal": principal, "action": action, "resource": resource,
            "resource_account": owner, "context": context}})
        alone = reference.evaluate_identity(policies["identity"], action=action,
                                            resource=resource, context=context)
        answer = outcome(DecisionCode[alone.decision], principal=principal, action=action,
                         resource=resource, resource_account=owner,
                         has_assumed_root=None if assumed is None else assumed == "true")
        case = (action, resource, owner, assumed)
        assert (answer.result, case) == (expected.result, case)
        if resource is not None and assumed is not None and "unknown" not in identity:
            assert (answer.deciders, case) == (expected.deciders, case)
