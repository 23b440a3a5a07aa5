"""Must and may over several layers: what is not known never decides more than it can.

Every request has one unknown key, `aws:CurrentTime`, that the layer under test hangs on.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from layer_judging import read_case, verdict

from iamtables import DecisionCode, Layer, Options, compile_layers, evaluate, parse_policy

USER = "arn:aws:iam::111122223333:user/ana"
OBJECT = "arn:aws:s3:::depot/k"
LATER = {"DateGreaterThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
MAY_DENY = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": LATER}
MAY_ALLOW = {**ALLOW, "Condition": LATER}
EVERYONE = {"Principal": "*"}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def decided(principal: str = USER, **layers: Any) -> tuple[DecisionCode, Layer]:
    request = {"principal": principal, "action": "s3:GetObject", "resource": OBJECT,
               "unknown": ["aws:CurrentTime"], "resource_account": "111122223333"}
    answer = evaluate(request, **({"identity": [document(ALLOW)]} | layers))
    assert answer.explain().decision == answer.decision
    return answer.decision, answer.layer


@pytest.mark.parametrize("layers", [
    {"identity": [document(ALLOW, MAY_DENY)]},
    {"boundary": [document(ALLOW, MAY_DENY)]},
    {"scps": [[document(ALLOW, MAY_DENY)]]},
    {"rcps": [[document({**MAY_DENY, **EVERYONE})]]},
    {"resource": document({**MAY_DENY, **EVERYONE})},
    {"endpoint": [document({**ALLOW, **EVERYONE}, {**MAY_DENY, **EVERYONE})]},
])  # fmt: skip
def test_a_deny_that_could_match_leaves_an_allowed_request_open(layers: dict[str, Any]) -> None:
    assert decided(**layers) == (DecisionCode.UNDETERMINED, Layer.NONE)


@pytest.mark.parametrize("layers", [
    {"identity": [document(MAY_ALLOW)]},
    {"boundary": [document(MAY_ALLOW)]},
    {"scps": [[document(ALLOW)], [document(MAY_ALLOW)]]},
    {"endpoint": [document({**MAY_ALLOW, **EVERYONE})]},
    {"identity": [], "resource": document({**MAY_ALLOW, **EVERYONE})},
])  # fmt: skip
def test_an_allow_that_could_match_opens_no_gate(layers: dict[str, Any]) -> None:
    assert decided(**layers) == (DecisionCode.UNDETERMINED, Layer.NONE)


@pytest.mark.parametrize(("layers", "layer"), [
    ({"identity": [document(MAY_DENY)]}, Layer.IDENTITY),
    ({"identity": [document(MAY_ALLOW)], "scps": [[]]}, Layer.SCP),
    ({"identity": [document(ALLOW, MAY_DENY)], "boundary": [document()]}, Layer.BOUNDARY),
])  # fmt: skip
def test_a_missing_allow_denies_whatever_is_not_known(
    layers: dict[str, Any], layer: Layer
) -> None:
    assert decided(**layers) == (DecisionCode.IMPLICIT_DENY, layer)


def test_a_certain_deny_settles_a_request_whatever_else_is_not_known() -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    assert decided(identity=[document(MAY_ALLOW, MAY_DENY, deny)]) == (
        DecisionCode.EXPLICIT_DENY, Layer.IDENTITY)


def test_the_first_layer_that_denies_decides_though_a_later_one_denies_for_certain() -> None:
    """EVAL-15 for columns: the Deny of an SCP hangs on the row, that of the user does not."""
    blocked = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    by_address = {**blocked, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}

    def parsed(policy_type: Any, *statements: dict[str, Any]) -> Any:
        return parse_policy(json.dumps(document(*statements)), policy_type=policy_type)

    table = compile_layers(identity=[parsed("identity", ALLOW, blocked)],
                           scps=[[parsed("scp", ALLOW, by_address)]])
    addresses = ["10.1.2.3", "8.8.8.8", None, "10.9.9.9"]
    out = table.decide(principal=[USER] * 4, action=["s3:GetObject"] * 4, resource=[OBJECT] * 4,
                       context={"aws:SourceIp": addresses})
    assert out.decision.tolist() == [DecisionCode.EXPLICIT_DENY] * 4
    assert out.layer.tolist() == [Layer.SCP, Layer.IDENTITY, Layer.IDENTITY, Layer.SCP]
    for row, address in enumerate(addresses):
        context = {} if address is None else {"aws:SourceIp": address}
        one = table.check(principal=USER, action="s3:GetObject", resource=OBJECT, context=context)
        assert one.layer == out.layer[row]
        assert one.deciders == ((Layer.SCP, Layer.IDENTITY) if row in (0, 3)
                                else (Layer.IDENTITY,))


_ON_AN_OBJECT = {"principal": USER, "action": "s3:GetObject", "resource": OBJECT,
                 "resource_account": "111122223333"}
_ON_A_ROLE = {"principal": USER, "action": "sts:AssumeRole",
              "resource": "arn:aws:iam::111122223333:role/app"}
_TRUSTED = {"Effect": "Allow", "Action": "sts:AssumeRole", **EVERYONE}


@pytest.mark.parametrize(("policies", "request_"), [
    ({"rcps": [[document({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*", **EVERYONE})]]},
     _ON_AN_OBJECT),
    ({"rcps": [[document({"Effect": "Deny", "Action": "s3:*", "Resource": "*",
                          "NotPrincipal": "*"})]]}, _ON_AN_OBJECT),
    ({"resource": document({**_TRUSTED, "Resource": "arn:aws:iam::111122223333:role/other"})},
     _ON_A_ROLE),
    ({"resource": document({**_TRUSTED, "NotResource": "*"})}, _ON_A_ROLE),
])  # fmt: skip
def test_an_element_where_it_is_not_allowed_says_nothing_for_certain(
    policies: dict[str, Any], request_: dict[str, Any]
) -> None:
    """GRAM-40, GRAM-42: also where it would keep the statement from matching elsewhere."""
    layers = {"identity": [document(ALLOW)], "boundary": [], "session": [], "vpce": [], "scps": [],
              "rcps": [], "resource": None}
    case = {"policies": {**layers, **policies}, "request": {"context": {}, **request_},
            "options": {"invalid_statement": "unknown"}, "expect": "Undetermined"}
    assert verdict(read_case(json.dumps(case))) is None
    answer = evaluate(request_, identity=[document(ALLOW)],
                      options=Options(invalid_statement="unknown"), **policies)
    assert answer.decision == DecisionCode.UNDETERMINED


@pytest.mark.parametrize(("condition", "decision", "reason"), [
    ({"Null": {"aws:SourceIp": [True, "false"]}}, "UNDETERMINED", ("aws:AssumedRoot",)),
    ({"Null": {"aws:SourceIp": "maybe"}}, "IMPLICIT_DENY", ()),
    ({"StringEquals": {"aws:SourceIp": []}}, "IMPLICIT_DENY", ()),
    ({"Null": {"aws:SourceIp": True}}, "IMPLICIT_DENY", ()),
])  # fmt: skip
def test_a_condition_that_no_value_changes_is_explained_as_known(
    condition: dict[str, Any], decision: str, reason: tuple[str, ...]
) -> None:
    """Of an unknown key, too (three-valued.md); here of a Deny, certain once root is assumed."""
    root = "arn:aws:iam::444455556666:root"
    key = "arn:aws:kms:eu-west-1:111122223333:key/1"
    statement = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    answer = evaluate({"principal": root, "action": "kms:Decrypt", "resource": key,
                       "unknown": ["aws:AssumedRoot", "aws:SourceIp"]},
                      session=[document(statement)])
    assert answer.decision.name == decision
    assert answer.explain().decision == answer.decision
    assert answer.reason == reason


@pytest.mark.parametrize(("partition", "is_allowed"), [
    ("aws", True), ("aws-cn", False), ("", False), ("AWS", False),
])  # fmt: skip
def test_another_partition_is_another_whatever_it_is_called(
    partition: str, is_allowed: bool
) -> None:
    """EVAL-5: an ARN without the name of a partition is of none, not of every one as `*` is."""
    bucket = f"arn:{partition}:s3:::depot"
    answer = evaluate(
        {"principal": USER, "action": "s3:GetBucketPolicy", "resource": bucket,
         "resource_account": "444455556666"},
        identity=[document(ALLOW)], resource=document({**ALLOW, "Resource": bucket, **EVERYONE}))
    assert answer.explain().decision == answer.decision
    assert answer.decision == (
        DecisionCode.ALLOW if is_allowed else DecisionCode.IMPLICIT_DENY)
    assert answer.layer == (Layer.IDENTITY if is_allowed else Layer.RESOURCE)
