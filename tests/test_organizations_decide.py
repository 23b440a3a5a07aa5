"""Organizations built in code, asked: who carries what, what follows, and what is not known.

Every question goes to the compiled and the reopened table, through `check`, through columns and
through the explanation, which works the answer out again over unreduced statements; all agree.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from judging import reopened

import iamtables as it

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from organizations import SMALL, World, build_organization, generate

A, B, MANAGEMENT, FOREIGN = "111122223333", "444455556666", "999988887777", "123412341234"
ORG, PATH = "o-abcdefghij", "o-abcdefghij/r-ab12/ou-ab12-11111111/"
ANA = f"arn:aws:iam::{A}:user/ana"
APP = f"arn:aws:iam::{A}:role/service/app"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/i-0abc"
BUCKET, OBJECT = "arn:aws:s3:::depot", "arn:aws:s3:::depot/in/a.txt"
FOREIGN_OBJECT = "arn:aws:s3:::elsewhere/a"
QUEUE = f"arn:aws:sqs:eu-west-1:{B}:jobs"
TABLE = f"arn:aws:dynamodb:eu-west-1:{A}:table/orders"
FUNCTION = f"arn:aws:lambda:eu-west-1:{A}:function:f"
KEY = f"arn:aws:kms:eu-west-1:{A}:key/1234abcd"
ALIAS = f"arn:aws:kms:eu-west-1:{A}:alias/app"
LINKED = f"arn:aws:iam::{A}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"


def policy(
    action: str | list[str], effect: str = "Allow", *, type: Any = "identity", to: Any = None,
    resource: Any = "*", name: str = "p", **conditions: Any,
) -> it.PolicyDocument:  # fmt: skip
    """One statement; `conditions` are operators."""
    statement: dict[str, Any] = {"Effect": effect, "Action": action}
    if type != "trust":
        statement["Resource"] = resource
    if type in ("resource", "trust", "rcp", "vpce"):
        statement["Principal"] = "*" if to is None else to
    if conditions:
        statement["Condition"] = conditions
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return it.parse_policy(text, name=name, policy_type=type)


def held(*documents: it.PolicyDocument, gaps: Sequence[str] = ()) -> it.PolicySet:
    return it.PolicySet(documents, tuple(gaps))


FULL = policy("*", type="scp")
FULL_RCP = policy("*", type="rcp")
ROOT_MAY = policy("kms:*", type="resource", to={"AWS": f"arn:aws:iam::{A}:root"}, name="key")
SERVICES = frozenset({"s3", "sqs", "dynamodb", "lambda", "kms"})


def account(id: str, *scps: it.PolicyDocument, **more: Any) -> it.Account:
    facts: dict[str, Any] = {"scps": (held(FULL), held(*(scps or (FULL,)))),
                             "rcps": (held(FULL_RCP),), "org_id": ORG, "org_path": PATH,
                             "resource_services": SERVICES}  # fmt: skip
    return it.Account(id, **(facts | more))


def principal(arn: str, *documents: it.PolicyDocument, **more: Any) -> it.Principal:
    return it.Principal(arn, **({"identity": held(*documents), "tags": {}} | more))


def trusted(arn: str = APP, to: Any = None) -> it.ResourcePolicy:
    to = {"Service": "ec2.amazonaws.com"} if to is None else to
    return it.ResourcePolicy(arn, held(policy("sts:AssumeRole", type="trust", to=to)), A)


def organization(*principals: it.Principal, **changes: Any) -> it.Organization:
    given: dict[str, Any] = {
        "accounts": (account(A), account(B), account(MANAGEMENT, is_management=True)),
        "principals": principals,
        "resource_policies": (),
        "endpoints": (it.Endpoint("vpce-1", held(policy("*", type="vpce")), A, "vpc-1"),),
    }
    return it.Organization(**(given | changes))


class Asked:
    """An organization, asked in every way there is."""

    def __init__(self, made: it.Organization, **options: str) -> None:
        self.table = it.compile(made, options=it.Options.from_mapping(options))
        self.again = reopened(self.table)

    def __call__(
        self, principal: str, action: str, resource: str | None, **more: Any
    ) -> it.Decision:
        return agreed((self.table, self.again), principal, action, resource, **more)


def agreed(
    tables: Sequence[it.Table], principal: str, action: str, resource: str | None, **more: Any
) -> it.Decision:
    """The decision, after every way of asking has given it."""
    asked = {"principal": principal, "action": action, "resource": resource} | more
    answers = []
    for table in tables:
        decision = table.check(**asked)
        explained = table.explain_request(**asked)
        assert (decision.decision, decision.deciders) == (explained.decision, explained.deciders)
        if decision.decision is it.DecisionCode.UNDETERMINED:
            assert decision.layer is it.Layer.NONE and not decision.deciders
            assert decision.reason
        else:
            assert decision.layer in decision.deciders
        unknown = dict.fromkeys(more.get("unknown", ()), True)
        number = -1 if decision.statement is None else decision.statement.id
        for resources in ([resource] * 3, pa.array([resource] * 3, pa.string())):
            out = table.decide(**asked | {"resource": resources, "unknown": unknown})
            assert out.decision.tolist() == [decision.decision] * 3
            assert out.layer.tolist() == [decision.layer] * 3
            assert out.statement.tolist() == [number] * 3
        answers.append((decision.decision, decision.layer, number, decision.reason,
                        str(decision.explain())))  # fmt: skip
    assert all(answer == answers[0] for answer in answers)
    return tables[0].check(**asked)


def said(decision: it.Decision) -> str:
    """`ALLOW identity`, `IMPLICIT_DENY scp` ..."""
    layers = " ".join(layer.name.lower() for layer in decision.deciders)
    return f"{decision.decision.name} {layers}".strip()


# --- who carries what ---------------------------------------------------------------------------


def test_a_user_has_its_own_policies_and_those_of_its_groups() -> None:
    own = policy("s3:ListBucket", name="own")
    of_group = policy("sqs:SendMessage", name="group")
    ask = Asked(organization(principal(ANA, own, of_group)))
    allowed = ask(ANA, "sqs:SendMessage", "*")
    assert said(allowed) == "ALLOW identity"
    assert allowed.statement is not None and allowed.statement.policy == "group"
    assert said(ask(ANA, "sqs:DeleteQueue", "*")) == "IMPLICIT_DENY identity"


@pytest.mark.parametrize("issuer", [None, APP])
def test_a_session_has_the_policies_of_its_role(issuer: str | None) -> None:
    ask = Asked(organization(principal(APP, policy("sqs:*")), resource_policies=(trusted(),)))
    assert said(ask(SESSION, "sqs:ListQueues", "*", issuer_arn=issuer)) == "ALLOW identity"
    assert said(ask(SESSION, "s3:ListBucket", "*", issuer_arn=issuer)) == "IMPLICIT_DENY identity"


def test_a_boundary_limits_what_identity_policies_allow() -> None:
    made = principal(APP, policy("*"), boundary=held(policy("sqs:*", name="limits")))
    ask = Asked(organization(made))
    assert said(ask(APP, "sqs:ListQueues", "*")) == "ALLOW identity"
    assert said(ask(APP, "sns:ListTopics", "*")) == "IMPLICIT_DENY boundary"


def test_every_level_of_service_control_policies_has_to_allow() -> None:
    only = policy(["sqs:*", "s3:*"], type="scp", name="only")
    no_delete = policy("sqs:Delete*", "Deny", type="scp", name="no-delete")
    levels = (held(FULL), held(only, no_delete))
    ask = Asked(organization(principal(ANA, policy("*")), accounts=(account(A, scps=levels),)))
    assert said(ask(ANA, "sqs:ListQueues", "*")) == "ALLOW identity"
    assert said(ask(ANA, "sns:ListTopics", "*")) == "IMPLICIT_DENY scp"
    denied = ask(ANA, "sqs:DeleteQueue", "*")
    assert said(denied) == "EXPLICIT_DENY scp"
    assert denied.statement is not None and denied.statement.policy == "no-delete"


def test_service_control_policies_spare_the_management_account_and_linked_roles() -> None:
    nothing = policy("*", "Deny", type="scp")
    boss = f"arn:aws:iam::{MANAGEMENT}:user/boss"
    accounts = (account(A, nothing), account(MANAGEMENT, nothing, is_management=True))
    people = (principal(boss, policy("*")), principal(LINKED, policy("*")),
              principal(ANA, policy("*")))  # fmt: skip
    ask = Asked(organization(*people, accounts=accounts))
    assert said(ask(ANA, "sqs:ListQueues", "*")) == "EXPLICIT_DENY scp"
    assert said(ask(boss, "sqs:ListQueues", "*")) == "ALLOW identity"
    assert said(ask(LINKED, "sqs:ListQueues", "*")) == "ALLOW identity"
    session = f"arn:aws:sts::{A}:assumed-role/AWSServiceRoleForECS/x"
    assert said(ask(session, "sqs:ListQueues", "*")) == "ALLOW identity"


def test_resource_control_policies_guard_the_resources_of_their_account() -> None:
    fence = policy("sqs:*", "Deny", type="rcp", name="fence",
                   StringNotEqualsIfExists={"aws:PrincipalOrgID": ORG})  # fmt: skip
    open_queue = it.ResourcePolicy(QUEUE, held(policy("sqs:*", type="resource")))
    accounts = (account(A), account(B, rcps=(held(FULL_RCP), held(fence))))
    ask = Asked(organization(principal(ANA, policy("sqs:*")), accounts=accounts,
                             resource_policies=(open_queue,)))  # fmt: skip
    assert said(ask(ANA, "sqs:SendMessage", QUEUE)) == "ALLOW resource identity"
    stranger = f"arn:aws:iam::{FOREIGN}:user/eve"
    known = {"aws:PrincipalOrgID": "o-other"}
    assert said(ask(stranger, "sqs:SendMessage", QUEUE, context=known)) == "EXPLICIT_DENY rcp"
    assert said(ask("anonymous", "sqs:SendMessage", QUEUE)) == "EXPLICIT_DENY rcp"


def test_a_resource_that_is_taken_to_be_the_requesters_is_under_its_rcps() -> None:
    """EVAL-3, EVAL-8: an ARN without an account, of which the snapshot tells no owner."""
    fence = policy("s3:DeleteObject", "Deny", type="rcp", name="fence")
    accounts = (account(A, rcps=(held(FULL_RCP), held(fence))), account(B, rcps=(held(FULL_RCP),)))
    bea = f"arn:aws:iam::{B}:user/bea"
    ask = Asked(organization(principal(ANA, policy("s3:*")), principal(bea, policy("s3:*")),
                             accounts=accounts))  # fmt: skip
    assert said(ask(ANA, "s3:DeleteObject", FOREIGN_OBJECT)) == "EXPLICIT_DENY rcp"
    assert said(ask(ANA, "s3:GetObject", FOREIGN_OBJECT)) == "ALLOW identity"
    assert said(ask(bea, "s3:DeleteObject", FOREIGN_OBJECT)) == "ALLOW identity"


def test_both_accounts_have_to_allow() -> None:
    named = policy("sqs:SendMessage", type="resource", to={"AWS": ANA})
    ask = Asked(organization(
        principal(ANA, policy("sqs:SendMessage")), principal(APP, policy("sqs:SendMessage")),
        resource_policies=(it.ResourcePolicy(QUEUE, held(named)),),
    ))  # fmt: skip
    assert said(ask(ANA, "sqs:SendMessage", QUEUE)) == "ALLOW resource identity"
    assert said(ask(APP, "sqs:SendMessage", QUEUE)) == "IMPLICIT_DENY resource"
    assert said(ask(ANA, "sqs:DeleteQueue", QUEUE)) == "IMPLICIT_DENY resource identity"


@pytest.mark.parametrize(
    ("carrier", "resource", "action"),
    [
        (BUCKET, OBJECT, "s3:GetObject"),
        (TABLE, f"{TABLE}/index/by-day", "dynamodb:Query"),
        (FUNCTION, f"{FUNCTION}:live", "lambda:InvokeFunction"),
        (KEY, ALIAS, "kms:DescribeKey"),
    ],
)
def test_a_policy_speaks_for_what_its_resource_governs(
    carrier: str, resource: str, action: str
) -> None:
    closed = policy(action, "Deny", type="resource", name="closed")
    ask = Asked(organization(
        principal(ANA, policy("*")), kms_aliases={ALIAS: KEY},
        resource_policies=(it.ResourcePolicy(carrier, held(closed), A),),
    ))  # fmt: skip
    denied = ask(ANA, action, resource)
    assert said(denied) == "EXPLICIT_DENY resource"
    assert denied.statement is not None and denied.statement.policy == "closed"


def test_who_assumes_a_role_is_named_in_its_trust_policy() -> None:
    ask = Asked(organization(
        principal(ANA, policy("sts:AssumeRole")), principal(APP, policy("*")),
        resource_policies=(trusted(to={"AWS": ANA}),),
    ))  # fmt: skip
    assert said(ask(ANA, "sts:AssumeRole", APP)) == "ALLOW resource"
    assert said(ask(APP, "sts:AssumeRole", APP)) == "IMPLICIT_DENY resource"
    assert said(ask("ec2.amazonaws.com", "sts:AssumeRole", APP)) == "IMPLICIT_DENY resource"


def test_a_key_policy_that_names_the_account_lets_identity_policies_decide() -> None:
    ask = Asked(organization(
        principal(ANA, policy("kms:Decrypt")), principal(APP),
        resource_policies=(it.ResourcePolicy(KEY, held(ROOT_MAY)),),
    ))  # fmt: skip
    assert said(ask(ANA, "kms:Decrypt", KEY)) == "ALLOW identity"
    assert said(ask(APP, "kms:Decrypt", KEY)) == "IMPLICIT_DENY identity"


def test_the_policy_of_the_endpoint_that_a_request_came_through_counts() -> None:
    endpoints = (
        it.Endpoint("vpce-1", held(policy("sqs:*", type="vpce", name="queues")), A, "vpc-1"),
        it.Endpoint("vpce-2", held(policy("*", "Deny", type="vpce", name="shut")), A, "vpc-2"),
    )
    ask = Asked(organization(principal(ANA, policy("*")), endpoints=endpoints))
    through: list[dict[str, Any]] = [{"context": {"aws:SourceVpce": f"vpce-{n}"}} for n in "12"]
    assert said(ask(ANA, "sns:ListTopics", "*")) == "ALLOW identity"
    assert said(ask(ANA, "sqs:ListQueues", "*", **through[0])) == "ALLOW identity"
    assert said(ask(ANA, "sns:ListTopics", "*", **through[0])) == "IMPLICIT_DENY vpce"
    assert said(ask(ANA, "sns:ListTopics", "*", **through[1])) == "EXPLICIT_DENY vpce"
    assert said(ask(ANA, "sns:ListTopics", "*", unknown=["aws:SourceVpce"])) == "UNDETERMINED"


# --- keys that follow ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("aws:PrincipalTag/team", "blue", "red"),
        ("aws:PrincipalOrgID", ORG, "o-other"),
        ("aws:PrincipalArn", ANA, APP),
        ("aws:PrincipalAccount", A, B),
        ("aws:username", "ana", "bob"),
        ("aws:userid", "AIDAANA", "AIDABOB"),
        ("aws:PrincipalType", "User", "AssumedRole"),
        ("aws:ResourceAccount", B, A),
        ("aws:ResourceOrgID", ORG, "o-other"),
        ("aws:ResourceTag/env", "prod", "test"),
    ],
)
def test_keys_follow_and_what_the_caller_says_wins(key: str, value: str, other: str) -> None:
    ana = principal(ANA, policy("sqs:*", StringEquals={key: value}), unique_id="AIDAANA",
                    tags={"team": "blue"})  # fmt: skip
    queue = it.ResourcePolicy(QUEUE, held(policy("sqs:*", type="resource")), tags={"env": "prod"})
    ask = Asked(organization(ana, resource_policies=(queue,)))
    assert said(ask(ANA, "sqs:SendMessage", QUEUE)) == "ALLOW resource identity"
    given = {"context": {key: other}}
    assert said(ask(ANA, "sqs:SendMessage", QUEUE, **given)) == "IMPLICIT_DENY identity"
    doubted = ask(ANA, "sqs:SendMessage", QUEUE, unknown=[key])
    assert said(doubted) == "UNDETERMINED" and doubted.reason == (key,)


def test_the_vpc_follows_from_the_endpoint() -> None:
    ask = Asked(organization(principal(ANA, policy("*", StringEquals={"aws:SourceVpc": "vpc-1"}))))
    through = {"context": {"aws:SourceVpce": "vpce-1"}}
    assert said(ask(ANA, "sqs:ListQueues", "*", **through)) == "ALLOW identity"
    assert said(ask(ANA, "sqs:ListQueues", "*")) == "IMPLICIT_DENY identity"


# --- what the snapshot does not tell ------------------------------------------------------------

ANY = policy("*")
WITH_ANA = organization(principal(ANA, ANY))
GAPS: dict[str, tuple[it.Organization, tuple[str, str, str], str]] = {
    "a principal that is not listed": (
        WITH_ANA, (f"arn:aws:iam::{A}:user/bob", "sqs:ListQueues", "*"), "user/bob"),
    "a role of a session that is not listed": (
        WITH_ANA, (SESSION, "sqs:ListQueues", "*"), "assumed-role/app"),
    "an account that is not exported": (
        organization(accounts=(account(A, is_exported=False, gaps=("the export of 1111",)),)),
        (ANA, "sqs:ListQueues", "*"), "the export of 1111"),
    "an account that is not in the snapshot": (
        WITH_ANA, (f"arn:aws:iam::{FOREIGN}:user/eve", "sqs:ListQueues", "*"), FOREIGN),
    "a managed policy": (
        organization(principal(ANA, identity=held(gaps=("managed policy `X`",)))),
        (ANA, "sqs:ListQueues", "*"), "managed policy `X`"),
    "a boundary": (
        organization(principal(ANA, ANY, boundary=held(gaps=("the boundary `edge`",)))),
        (ANA, "sqs:ListQueues", "*"), "the boundary `edge`"),
    "a level of service control policies": (
        organization(principal(ANA, ANY), accounts=(
            account(A, scps=(held(FULL), held(gaps=("SCP `p-1` of the unit",)))),)),
        (ANA, "sqs:ListQueues", "*"), "SCP `p-1` of the unit"),
    "resource control policies": (
        organization(principal(ANA, ANY), accounts=(
            account(A, rcps=(held(gaps=("RCP `p-2`",)),)),)),
        (ANA, "sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{A}:q"), "RCP `p-2`"),
    "the policy of a resource": (
        organization(principal(ANA, ANY), resource_policies=(
            it.ResourcePolicy(QUEUE, held(gaps=("the policy of jobs",))),)),
        (ANA, "sqs:SendMessage", QUEUE), "the policy of jobs"),
    "the policy of a key": (WITH_ANA, (ANA, "kms:Decrypt", KEY), KEY),
    "the trust policy of a role": (WITH_ANA, (ANA, "sts:AssumeRole", APP), APP),
    "a bucket of nobody knows whom": (
        WITH_ANA, (ANA, "s3:GetObject", FOREIGN_OBJECT + "#foreign"), "elsewhere"),
    "a resource of a service that is not held": (
        WITH_ANA, (ANA, "sns:Publish", f"arn:aws:sns:eu-west-1:{A}:t"), "arn:aws:sns"),
}  # fmt: skip


@pytest.mark.parametrize("name", GAPS)
def test_a_gap_leaves_the_answer_open_and_is_named(name: str) -> None:
    made, (who, action, resource), gap = GAPS[name]
    more = {}
    if resource.endswith("#foreign"):
        resource, more = resource.removesuffix("#foreign"), {"resource_account": FOREIGN}
    decision = Asked(made)(who, action, resource, **more)
    assert said(decision) == "UNDETERMINED"
    assert any(gap in reason for reason in decision.reason), decision.reason
    assert "not in the snapshot: " in str(decision.explain())


def test_a_gap_changes_nothing_that_is_certain_without_it() -> None:
    missing = held(policy("sqs:Delete*", "Deny"), policy("sqs:List*"), gaps=("policy `X`",))
    ask = Asked(organization(principal(ANA, identity=missing, boundary=held(policy("sqs:*")))))
    assert said(ask(ANA, "sqs:DeleteQueue", "*")) == "EXPLICIT_DENY identity"
    assert said(ask(ANA, "sns:ListTopics", "*")) == "IMPLICIT_DENY boundary"
    assert said(ask(ANA, "sqs:ListQueues", "*")) == "UNDETERMINED"  # `X` may deny it
    assert said(ask(ANA, "sts:GetCallerIdentity", "*")) == "ALLOW service"


def test_an_endpoint_that_is_not_in_the_snapshot_may_deny() -> None:
    decision = Asked(WITH_ANA)(ANA, "sqs:ListQueues", "*", context={"aws:SourceVpce": "vpce-9"})
    assert said(decision) == "UNDETERMINED"
    assert decision.reason == ("the policy of endpoint `vpce-9`",)


def test_a_resource_that_is_not_known_may_be_anybodys() -> None:
    decision = Asked(WITH_ANA)(ANA, "s3:GetObject", None)
    assert said(decision) == "UNDETERMINED" and "resource" in decision.reason


BARE = it.Organization(
    accounts=(it.Account(A), it.Account(B)),
    principals=(principal(ANA, ANY), principal(APP, ANY)),
    missing_layers=("session", "resource", "scp", "rcp", "vpce"),
)


def test_layers_that_the_snapshot_does_not_hold_are_left_out_and_named() -> None:
    ask = Asked(BARE)
    allowed = ask(ANA, "sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{A}:q",
                  context={"aws:SourceVpce": "vpce-9"})  # fmt: skip
    assert said(allowed) == "ALLOW identity"
    text = str(allowed.explain())
    assert text.endswith(
        "left out, since the snapshot holds none: session policies, resource policies, "
        "service control policies, resource control policies, endpoint policies"
    )
    assert ask.table.missing_layers == ask.again.missing_layers == BARE.missing_layers


@pytest.mark.parametrize("layer", ["session", "resource", "scp", "rcp", "vpce"])
def test_a_missing_layer_may_count_as_unknown(layer: str) -> None:
    ask = Asked(replace(BARE, missing_layers=(layer,), missing_unknown=True,
                        accounts=(account(A) if layer not in ("scp", "rcp") else it.Account(A),)))
    decision = ask(SESSION, "sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{A}:q",
                   context={"aws:SourceVpce": "vpce-9"})  # fmt: skip
    assert said(decision) == "UNDETERMINED"
    assert "counted as unknown, since the snapshot holds none: " in str(decision.explain())


def test_root_asks_without_identity_policies() -> None:
    ask = Asked(organization(resource_policies=(it.ResourcePolicy(KEY, held(ROOT_MAY)),)))
    root = f"arn:aws:iam::{A}:root"
    assumed = {"context": {"aws:AssumedRoot": "true"}}
    assert said(ask(root, "sqs:ListQueues", "*")) == "ALLOW root"
    assert said(ask(root, "kms:Decrypt", KEY)) == "ALLOW resource"
    assert said(ask(root, "sqs:ListQueues", "*", **assumed)) == "UNDETERMINED"
    assert said(ask(root, "sqs:ListQueues", "*", unknown=["aws:AssumedRoot"])) == "UNDETERMINED"


def test_other_means_allow_what_no_policy_denies() -> None:
    """EVAL-45."""
    made = principal(APP, policy("sqs:DeleteQueue", "Deny"))
    ask = Asked(organization(made, accounts=(account(A, policy("sqs:*", type="scp")),)))
    helped = {"also_allowed": True}
    assert said(ask(APP, "sqs:ListQueues", "*")) == "IMPLICIT_DENY identity"
    assert said(ask(APP, "sqs:ListQueues", "*", **helped)) == "ALLOW other"
    assert said(ask(APP, "sqs:DeleteQueue", "*", **helped)) == "EXPLICIT_DENY identity"
    assert said(ask(APP, "sns:ListTopics", "*", **helped)) == "IMPLICIT_DENY scp"


# --- a generated organization -------------------------------------------------------------------


def questions(world: World, made: it.Organization, rng: Random, count: int) -> list[dict[str, Any]]:
    """Requests of its principals, sessions, roots and strangers, on its resources and others."""
    arns = [p.arn for p in made.principals]
    roles = [arn for arn in arns if ":role/" in arn]
    accounts = [a.id for a in world.accounts]
    actions = ["s3:GetObject", "sqs:SendMessage", "kms:Decrypt", "sts:AssumeRole",
               "ec2:RunInstances", "secretsmanager:GetSecretValue", "dynamodb:Query",
               "logs:PutLogEvents",
               "sts:GetCallerIdentity", "iam:PassRole", "kms:RetireGrant"]  # fmt: skip
    policies = [r.arn for r in made.resource_policies]
    found = []
    for _ in range(count):
        role = rng.choice(roles)
        account = role.split(":")[4]
        name = role.rpartition("/")[2]
        who = rng.choice((rng.choice(arns), rng.choice(arns), role,
                          f"arn:aws:sts::{account}:assumed-role/{name}/s",
                          f"arn:aws:iam::{rng.choice(accounts)}:root", "ec2.amazonaws.com",
                          "anonymous", f"arn:aws:iam::{FOREIGN}:user/eve"))  # fmt: skip
        resource = rng.choice((rng.choice(policies), rng.choice(roles), "*", None,
                               f"arn:aws:s3:::b/{rng.randrange(9)}",
                               f"arn:aws:sqs:eu-west-1:{rng.choice(accounts)}:q"))  # fmt: skip
        context = {"aws:SourceVpce": f"vpce-{rng.choice(accounts)}"} if rng.random() < 0.3 else {}
        if rng.random() < 0.5:
            context["aws:SourceIp"] = rng.choice(("10.1.2.3", "8.8.8.8"))
        found.append({
            "principal": who, "action": rng.choice(actions), "resource": resource,
            "context": context, "unknown": ["aws:MultiFactorAuthPresent"] * (rng.random() < 0.3),
            "resource_account": rng.choice((None, None, rng.choice(accounts))),
        })  # fmt: skip
    return found


def test_a_generated_organization_gives_one_answer_in_every_way() -> None:
    world = generate(SMALL)
    made = build_organization(world)
    table = it.compile(made)
    tables = (table, reopened(table))
    asked = questions(world, made, Random(7), 250)
    seen = {said(agreed(tables, **request)).split()[0] for request in asked}
    assert seen == {code.name for code in it.DecisionCode}


def test_columns_of_a_generated_organization_are_its_checks() -> None:
    world = generate(SMALL)
    made = build_organization(world)
    table = it.compile(made)
    asked = questions(world, made, Random(8), 3000)
    keys = ("aws:SourceVpce", "aws:SourceIp")
    with table.session() as session:
        checks = [session.check(**request) for request in asked]
    names = ("principal", "action", "resource", "resource_account")
    columns: dict[str, Any] = {name: [r[name] for r in asked] for name in names}
    for threads in (1, 3):
        out = table.decide(
            **columns, context={key: [r["context"].get(key) for r in asked] for key in keys},
            unknown={"aws:MultiFactorAuthPresent": [bool(r["unknown"]) for r in asked]},
            threads=threads,
        )  # fmt: skip
        assert out.decision.tolist() == [c.decision for c in checks]
        assert out.layer.tolist() == [c.layer for c in checks]
    assert len({(c.decision, c.layer) for c in checks}) >= 8


@pytest.mark.parametrize("limit", [0, 500])
def test_records_that_are_dropped_are_made_again(limit: int) -> None:
    """Also in the middle of a block of rows: no row may be decided by what was there before."""
    world = generate(SMALL)
    made = build_organization(world)
    table = it.compile(made)
    asked = questions(world, made, Random(9), 1500)
    columns = {name: [r[name] for r in asked]
               for name in ("principal", "action", "resource", "resource_account")}
    expected = table.decide(**columns)
    with table.session() as session:
        engine = session._engine(0)
        engine.record_limit = limit  # type: ignore[attr-defined]
        for _ in range(2):
            out = session.decide(**columns)
            assert out.decision.tolist() == expected.decision.tolist()
            assert out.layer.tolist() == expected.layer.tolist()
            assert out.statement.tolist() == expected.statement.tolist()
        assert 0 < session.counts()["records"] < 300


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_that_their_place_decides_are_read_where_an_entry_asks(kind: pa.DataType) -> None:
    """The side of most resources is told by what they begin with; patterns look at the rest."""
    table = it.compile_layers(identity=[
        policy(["s3:Get*", "kms:Get*"], resource=["arn:aws:s3:::b/1*", "arn:aws:kms:*:*:key/1*"]),
        policy("s3:List*"), policy("s3:GetSecret", "Deny", resource="arn:aws:s3:::b/12")])
    resources = [f"{place}{end}" for end in ("1", "12", "2", "", "12/x") for place in
                 ("arn:aws:s3:::b/", "arn:aws:s3:::c/", f"arn:aws:kms:eu-west-1:{A}:key/")]
    resources += ["*", "no arn", "arn:aws:s3:::b"] * 2
    rows = [(action, resource) for action in ("s3:GetObject", "kms:GetKey", "s3:GetSecret",
                                              "s3:ListAll") for resource in resources] * 3
    actions, texts = map(list, zip(*rows, strict=True))
    asked = {"principal": f"arn:aws:iam::{A}:user/u", "action": actions, "resource_account": A}
    for threads in (1, 2):
        plain = table.decide(resource=texts, **asked)
        found = table.decide(resource=pa.array(texts, kind), threads=threads, **asked)
        assert found.decision.tolist() == plain.decision.tolist()
        assert found.statement.tolist() == plain.statement.tolist()
        assert found.error.tolist() == plain.error.tolist()
    for (action, resource), code, error in zip(rows, plain.decision.tolist(),
                                               plain.error.tolist(), strict=True):
        if resource == "no arn":
            assert error
        elif ":key/" not in resource:  # keys have policies of their own (EVAL-42)
            secret = action == "s3:GetSecret" and resource == "arn:aws:s3:::b/12"
            allowed = action == "s3:ListAll" or resource.startswith("arn:aws:s3:::b/1")
            assert code == (2 if secret else int(allowed)), (action, resource)


_TAILS = ("x", "x/y", "x:y", "table/t", "function:f", "function:f:1", "role/r", "key/k", "alias/a",
          "catalog", "rule/r", "log-group:g:*", "topic:1", "user/u", "accesspoint/p/object/k",
          "q", "*", "")  # fmt: skip


def test_resources_that_share_a_side_would_each_have_it() -> None:
    """What `exceptions_of` says of a shape, against the side of each resource beginning with it."""
    world = generate(SMALL)
    made = build_organization(world)
    bucket = next(r.arn for r in made.resource_policies if r.arn.startswith("arn:aws:s3:::"))
    queue = next(r.arn for r in made.resource_policies if ":sqs:" in r.arn)
    places = {arn[: -len(arn.split(":", 5)[5])] for arn in
              [r.arn for r in made.resource_policies] + [p.arn for p in made.principals]}
    places |= {f"arn:aws:{service}:eu-west-1:{account}:" for account in (A, FOREIGN, "", "aws")
               for service in ("sqs", "kms", "iam", "execute-api", "glue", "events", "logs")}
    places |= {f"{bucket}/", "arn:aws:s3:::no-such-bucket/", "arn:aws-cn:s3:::b/"}
    places |= {place + kind for place in places if place.endswith(":")
               for kind in ("role/", "user/", "key/", "alias/", "policy/", "table/", "/")}
    places |= {f"arn:aws:s3:eu-west-1:{A}:accesspoint/", f"arn:aws:s3::{A}:b/"}
    alone = it.compile_layers(identity=[policy("*")])
    estates = [table.planner.estate for table in (  # type: ignore[attr-defined]
        it.compile(made), alone,
        it.compile(replace(made, resource_policies=(), missing_layers=("session", "resource"))))]
    uniform, excepted = set(), set()
    for place in sorted(places):
        for estate in estates:
            exceptions = estate.exceptions_of(place)
            if exceptions is None:
                continue
            (excepted if exceptions else uniform).add(place)
            assert all(arn.startswith(place) for arn in exceptions)
            for owner in (None, "", A, FOREIGN):
                sides = [estate.resource_side(place + tail, owner)._replace(gaps=())
                         for tail in _TAILS if place + tail not in exceptions]
                assert all(side == sides[0] for side in sides), (place, owner)
    assert {f"{bucket}/", f"arn:aws:events:eu-west-1:{FOREIGN}:", "arn:aws:s3:::",
            f"arn:aws:kms:eu-west-1:{FOREIGN}:key/", f"arn:aws:iam:eu-west-1:{A}:role/"} <= uniform
    first, second = (estate.exceptions_of for estate in estates[:2])
    assert queue in first(queue.rpartition(":")[0] + ":")
    assert first("arn:aws:s3:::") is None and second("arn:aws:s3:::") == ()
    assert not any((":iam:" in place or ":kms:" in place) and place.endswith(":")
                   for place in uniform | excepted)
    assert any(":iam:" in place for place in excepted)
    assert all(first(place) is None for place in places if ":execute-api:" in place)
