"""Statement lists at their edges: what absorbs what, and what is only possible.

Small policies, each about one way in which a list could be built or walked wrongly. Two judges as
in test_lowering_edges.py: the rule as a person reads it, and the reference evaluator.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from judging import check, columns, compile_texts, found_case, verdict

from iamtables import DecisionCode, RequestError

_BUCKET = "arn:aws:s3:::"
A, B = _BUCKET + "a", _BUCKET + "b"

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:Get", "Resource": "*"}
DENY: dict[str, Any] = {**ALLOW, "Effect": "Deny"}
UNREADABLE = {"Condition": {"NoSuchOperator": {"k:k": "a"}}}
ON_KEY = {"Condition": {"StringEquals": {"k:k": "a"}}}


def decide(*statements: dict[str, Any], action: str = "s3:Get", resource: str | None = A,
           unknown: Sequence[str] = (), options: dict[str, str] | None = None,
           **context: Any) -> str:
    """The table's decision, once tables and reference agree; `k_l` stands for `k:l`."""
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    case = found_case(text, action=action, resource=resource, options=options or {},
                      context={key.replace("_", ":"): value for key, value in context.items()},
                      unknown=unknown)
    assert verdict(case) is None, case.paste()
    decided = check(compile_texts([text], options or {}), case.request).decision
    return str(DecisionCode(decided).name)


def without(statement: dict[str, Any], *names: str, **more: Any) -> dict[str, Any]:
    return {**{k: v for k, v in statement.items() if k not in names}, **more}


# --- what absorbs what ------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["*", A])
def test_a_possible_statement_absorbs_no_certain_one(resource: str) -> None:
    sure, possible = {**ALLOW, "Resource": resource}, {**ALLOW, "Resource": resource, **UNREADABLE}
    for statements in ((possible, sure), (sure, possible)):
        assert decide(*statements) == "ALLOW"
        denied = [{**s, "Effect": "Deny"} for s in statements]
        assert decide(ALLOW, *denied) == "EXPLICIT_DENY"
    assert decide(possible) == "UNDETERMINED"
    assert decide(ALLOW, {**possible, "Effect": "Deny"}) == "UNDETERMINED"


def test_statements_on_other_resources_stay_apart() -> None:
    for first, second in ((A, B), (B, A)):
        for resource in (A, B):
            assert decide({**ALLOW, "Resource": first}, {**ALLOW, "Resource": second},
                          resource=resource) == "ALLOW"
            assert decide(ALLOW, {**DENY, "Resource": first}, {**DENY, "Resource": second},
                          resource=resource) == "EXPLICIT_DENY"


def test_a_deny_without_any_allow_is_explicit() -> None:
    assert decide({**DENY, "Resource": A}) == "EXPLICIT_DENY"
    assert decide({**DENY, "Resource": A}, resource=B) == "IMPLICIT_DENY"
    assert decide({**DENY, **ON_KEY}, k_k="a") == "EXPLICIT_DENY"


def test_every_deny_of_a_list_counts() -> None:
    """EVAL: the last as much as the first."""
    denies = [{**DENY, "Resource": _BUCKET + name} for name in "cbda"]
    for name in "abcd":
        assert decide(ALLOW, *denies, resource=_BUCKET + name) == "EXPLICIT_DENY"
    assert decide(ALLOW, *denies, resource=_BUCKET + "e") == "ALLOW"


# --- conditions -------------------------------------------------------------------------------


def test_every_condition_of_a_statement_counts() -> None:
    """COND-2: on one key and on several, in either order."""
    for first, second in (("k:k", "k:l"), ("k:l", "k:k")):
        both = {**ALLOW, "Condition": {"StringEquals": {first: "a", second: "b"}}}
        for values, expected in (("ab", "ALLOW"), ("ac", "IMPLICIT_DENY"), ("cb", "IMPLICIT_DENY")):
            named: dict[str, Any] = dict(zip((first, second), values, strict=True))
            assert decide(both, **named) == expected
    same = {**ALLOW, "Condition": {"StringLike": {"k:k": "a*"}, "StringNotEquals": {"k:k": "ab"}}}
    for value, expected in (("a", "ALLOW"), ("ab", "IMPLICIT_DENY"), ("b", "IMPLICIT_DENY")):
        assert decide(same, k_k=value) == expected


def test_a_condition_on_an_unknown_key_is_only_possible() -> None:
    assert decide({**ALLOW, **ON_KEY}, unknown=["k:k"]) == "UNDETERMINED"
    assert decide(ALLOW, {**DENY, **ON_KEY}, unknown=["k:k"]) == "UNDETERMINED"
    assert decide({**ALLOW, **ON_KEY}, {**DENY, **ON_KEY}, k_k="a") == "EXPLICIT_DENY"
    assert decide({**DENY, **ON_KEY}, unknown=["k:k"]) == "IMPLICIT_DENY"


# --- what nobody can read ---------------------------------------------------------------------


def test_an_element_nobody_can_read_is_only_possible() -> None:
    """GRAM-0: action, resource, effect, condition; it neither grants nor vanishes."""
    for broken in (without(ALLOW, "Action", NotAction=[]), without(ALLOW, "Resource"),
                   {**ALLOW, "Effect": "allow"}, {**ALLOW, **UNREADABLE},
                   without(ALLOW, "Resource", NotResource=[])):
        assert decide(broken) == "UNDETERMINED"
        may_deny = broken["Effect"] != "Allow"
        assert decide(ALLOW, broken) == ("UNDETERMINED" if may_deny else "ALLOW")
    for broken in (without(DENY, "Action", NotAction=[]), without(DENY, "Resource"),
                   {**DENY, "Effect": "deny"}, {**DENY, **UNREADABLE}):
        assert decide(ALLOW, broken) == "UNDETERMINED"
        assert decide(ALLOW, broken, {**DENY, "Resource": A}) == "EXPLICIT_DENY"


def test_not_action_is_the_other_way_round() -> None:
    """ACT-5."""
    others = without(ALLOW, "Action", NotAction=["s3:Put", "ec2:*"])
    for action, expected in (("s3:Get", "ALLOW"), ("s3:Put", "IMPLICIT_DENY"),
                             ("ec2:Get", "IMPLICIT_DENY"), ("iam:Get", "ALLOW")):
        assert decide(others, action=action) == expected


def test_not_resource_is_the_other_way_round() -> None:
    """RES-9, RES-10: one pattern that matches is enough to exclude."""
    others = without(ALLOW, "Resource", NotResource=[A, _BUCKET + "b*"])
    for resource, expected in ((A, "IMPLICIT_DENY"), (_BUCKET + "bc", "IMPLICIT_DENY"),
                               (_BUCKET + "ab", "ALLOW"), ("*", "ALLOW")):
        assert decide(others, resource=resource) == expected
        assert decide(ALLOW, {**others, "Effect": "Deny"}, resource=resource) == (
            "EXPLICIT_DENY" if expected == "ALLOW" else "ALLOW")


def test_an_action_of_three_parts_is_no_action() -> None:
    """ACT-8."""
    table = compile_texts([json.dumps({"Statement": {**ALLOW, "Action": "*"}})], {})
    out = table.decide(action=["s3:Get", "s3:Get:x", "s3:a b"], resource="*")
    assert out.error.tolist() == [0, 1, 1]
    with pytest.raises(RequestError):
        table.check(action="s3:Get:x", resource="*")


# --- resources that are known only in part ----------------------------------------------------


def test_a_variable_decides_by_its_value() -> None:
    """VAR-9: and an unknown value leaves it open, for Resource and NotResource."""
    granted = {**ALLOW, "Resource": _BUCKET + "${k:l}"}
    assert decide(granted, k_l="a") == "ALLOW"
    assert decide(granted, k_l="b") == "IMPLICIT_DENY"
    assert decide(granted, unknown=["k:l"]) == "UNDETERMINED"
    excluded = without(ALLOW, "Resource", NotResource=_BUCKET + "${k:l}")
    assert decide(excluded, k_l="a") == "IMPLICIT_DENY"
    assert decide(excluded, k_l="b") == "ALLOW"
    assert decide(excluded, unknown=["k:l"]) == "UNDETERMINED"


def test_a_pattern_that_surely_matches_outweighs_an_unknown_one() -> None:
    patterns = [_BUCKET + "${k:l}", _BUCKET + "${k:m}"]
    for order in (patterns, patterns[::-1]):
        granted = {**ALLOW, "Resource": order}
        assert decide(granted, unknown=["k:l"], k_m="a") == "ALLOW"
        assert decide(granted, unknown=["k:l"], k_m="b") == "UNDETERMINED"
        excluded = without(ALLOW, "Resource", NotResource=order)
        assert decide(excluded, unknown=["k:l"], k_m="a") == "IMPLICIT_DENY"


def test_an_unknown_resource_leaves_every_pattern_open() -> None:
    assert decide({**ALLOW, "Resource": A}, resource=None) == "UNDETERMINED"
    assert decide(ALLOW, {**DENY, "Resource": A}, resource=None) == "UNDETERMINED"
    assert decide(ALLOW, {**DENY, "Resource": _BUCKET + "${k:l}"}, resource=None,
                  k_l="a") == "UNDETERMINED"
    assert decide(ALLOW, without(DENY, "Resource", NotResource=A), resource=None) \
        == "UNDETERMINED"
    assert decide(ALLOW, resource=None) == "ALLOW"


def test_what_a_variable_gives_is_remembered_by_all_it_depends_on() -> None:
    """One table, one batch: the same resource with several values, and the other way round."""
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {**ALLOW, "Resource": _BUCKET + "${k:l}"},
        {**ALLOW, "Action": "s3:Put", "Condition": {"StringEquals": {"k:k": "${k:l}"}}}]})
    table = compile_texts([text], {})
    requests = [
        found_case(text, action=action, resource=resource, options={},
                   context={"k:k": own, "k:l": other}).request
        for action in ("s3:Get", "s3:Put") for resource in (A, B) for own in "ab" for other in "ba"]
    out = table.decide(**columns(requests, ("k:k", "k:l")))
    expected = [r.resource == _BUCKET + str(r.context["k:l"]) if r.action == "s3:Get"
                else r.context["k:k"] == r.context["k:l"] for r in requests]
    assert (out.decision == DecisionCode.ALLOW).tolist() == expected
