"""Who signs a request (PRIN-2), whom that makes it, and what identity policies alone settle."""

from __future__ import annotations

import itertools
import json

import pytest

from iamtables import parse_policy, reference
from iamtables.compiler import compile_layers
from iamtables.errors import RequestError
from iamtables.runtime.requesters import RequesterKind, read_requester, split_arn

A, B = "111122223333", "444455556666"
USER = f"arn:aws:iam::{A}:user/ana"
ROLE = f"arn:aws:iam::{A}:role/Deploy"
SESSION = f"arn:aws:sts::{A}:assumed-role/Deploy/run-7"
FEDERATED = f"arn:aws:sts::{A}:federated-user/ana"
ROOT = f"arn:aws:iam::{A}:root"
SAML = f"arn:aws:iam::{A}:saml-provider/Corp"
OBJECT = "arn:aws:s3:::depot/in/a.txt"
KEY = f"arn:aws:kms:us-east-1:{A}:key/1"
TARGET = f"arn:aws:iam::{A}:role/Target"


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        (USER, RequesterKind.USER),
        (ROLE, RequesterKind.SESSION),
        (SESSION, RequesterKind.SESSION),
        (FEDERATED, RequesterKind.FEDERATED_USER),
        (ROOT, RequesterKind.ROOT),
        ("anonymous", RequesterKind.ANONYMOUS),
        ("*", RequesterKind.ANONYMOUS),
        ("ec2.amazonaws.com", RequesterKind.SERVICE),
        ("ec2.amazonaws.com.cn", RequesterKind.SERVICE),
        ("accounts.google.com", RequesterKind.PROVIDER),
        (SAML, RequesterKind.PROVIDER),
        (f"arn:aws:iam::{A}:oidc-provider/token.example.com", RequesterKind.PROVIDER),
    ],
)
def test_principals_are_classified_by_their_form(principal: str, kind: RequesterKind) -> None:
    assert read_requester(principal).kind is kind


def test_a_given_principal_type_overrides_the_form() -> None:
    def kind(principal: str, declared: str) -> RequesterKind:
        return read_requester(principal, principal_type=declared).kind

    assert kind("cognito-identity.amazonaws.com", "Service") is RequesterKind.SERVICE
    assert kind("ab" * 32, "CanonicalUser") is RequesterKind.CANONICAL_USER


def test_a_principal_type_that_there_is_not_is_a_request_error() -> None:
    with pytest.raises(RequestError, match="there is no principal type `User`"):
        read_requester(USER, principal_type="User")


@pytest.mark.parametrize("principal", ["", "ana", A, "arn:aws:iam::1:group/x", "arn:aws:s3:::b"])
def test_a_principal_of_no_known_form_is_a_request_error(principal: str) -> None:
    with pytest.raises(RequestError, match="not a principal"):
        read_requester(principal)


@pytest.mark.parametrize(
    ("principal", "account"),
    [(USER, A), (SESSION, A), (FEDERATED, A), (ROOT, A), ("ec2.amazonaws.com", None),
     ("anonymous", None), ("accounts.google.com", None)],
)  # fmt: skip
def test_who_belongs_to_an_account(principal: str, account: str | None) -> None:
    assert read_requester(principal).account == account


def test_a_service_linked_role_is_known_by_its_path_else_by_its_name() -> None:
    linked = f"arn:aws:iam::{A}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    session = f"arn:aws:sts::{A}:assumed-role/AWSServiceRoleForECS/x"
    plain = f"arn:aws:iam::{A}:role/AWSServiceRoleForECS"
    assert read_requester(linked).is_service_linked
    assert read_requester(session).is_service_linked
    assert read_requester(session, issuer_arn=linked).is_service_linked
    assert not read_requester(session, issuer_arn=plain).is_service_linked
    assert not read_requester(SESSION).is_service_linked
    assert not read_requester(USER).is_service_linked


def test_the_fields_of_an_arn_say_what_it_names() -> None:
    found = {text: split_arn(text) for text in (KEY, TARGET, USER, OBJECT, "*", "arn:aws:s3")}
    assert [text for text, arn in found.items() if arn and arn.is_key] == [KEY]
    assert [text for text, arn in found.items() if arn and arn.is_role] == [TARGET]
    assert [text for text, arn in found.items() if arn and arn.is_user] == [USER]
    assert found["*"] is found["arn:aws:s3"] is None


def _statement(effect: str, **condition: object) -> dict[str, object]:
    return {"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}


IDENTITY = {
    "allow": [_statement("Allow")],
    "nothing": [],
    "deny": [_statement("Allow"), _statement("Deny")],
    "unknown": [_statement("Allow", StringEquals={"aws:x": "1"})],
    "unknown deny": [_statement("Allow"), _statement("Deny", StringEquals={"aws:x": "1"})],
    "only an unknown deny": [_statement("Deny", StringEquals={"aws:x": "1"})],
}
ACTIONS = (
    "s3:GetObject", "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:TagSession",
    "sts:GetCallerIdentity", "STS:getsessiontoken", "kms:Decrypt", "kms:ListKeys",
)  # fmt: skip
RESOURCES = (
    None, "*", OBJECT, KEY, TARGET, f"arn:aws:sqs:us-east-1:{B}:q",
    f"arn:aws:kms:us-east-1:{A}:alias/app", "arn:aws:sagemaker:eu-west-1:aws:hub/H",
)  # fmt: skip
_RESULTS = {
    "ALLOW": "Allowed",
    "IMPLICIT_DENY": "ImplicitlyDenied",
    "EXPLICIT_DENY": "ExplicitlyDenied",
    "UNDETERMINED": "Undetermined",
}


@pytest.mark.parametrize("identity", IDENTITY)
@pytest.mark.parametrize("principal", [
    USER, ROLE, SESSION, FEDERATED, ROOT, "ec2.amazonaws.com", "anonymous", SAML,
    f"arn:aws-cn:iam::{B}:user/bob", f"arn:aws:iam::{B}:root",
])  # fmt: skip
def test_identity_policies_alone_decide_as_the_reference_over_a_grid(
    principal: str, identity: str
) -> None:
    """Who carries them (EVAL-6), when their Allow is not enough (EVAL-5, 21, 32, 40 to 44, 50)."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": IDENTITY[identity]})
    session = compile_layers(identity=[parse_policy(policy)]).session()
    for action, resource, owner, assumed in itertools.product(
        ACTIONS, RESOURCES, (None, A, B), ("false", "true", None)
    ):
        request = {"principal": principal, "action": action, "resource": resource,
                   "resource_account": owner}  # fmt: skip
        context = {} if assumed is None else {"aws:AssumedRoot": assumed}
        unknown = ["aws:x"] if assumed is not None else ["aws:x", "aws:AssumedRoot"]
        expected = reference.evaluate({
            "policies": {"identity": [policy]},
            "request": request | {"context": context | dict.fromkeys(unknown, reference.UNKNOWN)},
        })  # fmt: skip
        answer = session.check(**request, context=context, unknown=unknown)
        case = (action, resource, owner, assumed)
        assert (_RESULTS[answer.decision.name], case) == (expected.result, case)
        if resource is not None and assumed is not None and "unknown" not in identity:
            deciders = tuple(layer.name.lower() for layer in answer.deciders)
            assert (deciders, case) == (expected.deciders, case)
