"""Edges of lowering and of the passes that generated worlds rarely or never reach.

Every case has two judges: the decision a person read out of the rule named, and the reference
evaluator (`verdict`, which asks the tables every way the public API offers).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from judging import check, compile_texts, decision_of, found_case, reference, verdict

from iamtables import DecisionCode

_BUCKET = "arn:aws:s3:::"


def policy(*, version: str = "2012-10-17", **elements: Any) -> str:
    statement = {"Effect": "Allow", "Action": "s3:Get", "Resource": "*", **elements}
    for name in ("Action", "Resource"):
        if f"Not{name}" in elements:
            del statement[name]
    return json.dumps({"Version": version, "Statement": [statement]})


def decide(*policies: str, action: str = "s3:Get", resource: str = _BUCKET + "a",
           options: dict[str, str] | None = None, **context: Any) -> str:
    """The decision, once tables and reference agree; `k_l` stands for the key `k:l`."""
    case = found_case(*policies, action=action, resource=resource, options=options or {},
                      context={key.replace("_", ":"): value for key, value in context.items()})
    assert verdict(case) is None, case.paste()
    return str(decision_of(reference(case.texts(), case.request, case.options)).name)


# --- where variables mean something -----------------------------------------------------------


@pytest.mark.parametrize(("operator", "value"), [
    ("NumericEquals", "10"), ("NumericLessThanEquals", "10"),
    ("DateEquals", "2026-01-01T00:00:00Z"), ("IpAddress", "10.0.0.1"), ("BinaryEquals", "YWJj"),
])
def test_values_of_operators_without_variables_are_literal(operator: str, value: str) -> None:
    """VAR-1: `${k:l}` is text there, and no number, date, address or base64."""
    literal = policy(Condition={operator: {"k:k": "${k:l}"}})
    assert decide(literal, k_k=value, k_l=value) == "IMPLICIT_DENY"
    defaulted = policy(Condition={operator: {"k:k": f"${{k:l, '{value}'}}"}})
    assert decide(defaulted, k_k=value) == "IMPLICIT_DENY"
    plain = policy(Condition={operator: {"k:k": value}})
    assert decide(plain, k_k=value) == "ALLOW"


@pytest.mark.parametrize("operator", [
    "NumericNotEquals", "DateNotEquals", "NotIpAddress",
])
def test_a_variable_is_a_type_error_under_a_negated_operator_without_variables(
    operator: str
) -> None:
    """VAR-1, COND-27: the literal `${k:l}` fails closed; an unset variable would not (COND-29)."""
    value = {"NumericNotEquals": "10", "DateNotEquals": "2026-01-01", "NotIpAddress": "10.0.0.1"}
    literal = policy(Condition={operator: {"k:k": "${k:l}"}})
    assert decide(literal, k_k=value[operator]) == "IMPLICIT_DENY"


def test_null_takes_no_variable() -> None:
    """VAR-1: `${k:l}` is neither `true` nor `false`, whatever the key says."""
    literal = policy(Condition={"Null": {"k:k": "${k:l}"}})
    assert decide(literal, k_l="true") == "IMPLICIT_DENY"
    assert decide(literal, k_k="a", k_l="false") == "IMPLICIT_DENY"


@pytest.mark.parametrize("versions", [("2008-10-17", "2012-10-17"), ("2012-10-17", "2008-10-17")])
def test_the_same_resource_text_in_documents_of_both_versions(versions: tuple[str, str]) -> None:
    """VAR-2: `${k:l}` is a variable in one document and text in the other, in either order."""
    effects = {"2012-10-17": "Allow", "2008-10-17": "Deny"}
    both = [policy(version=version, Effect=effects[version], Resource=_BUCKET + "${k:l}")
            for version in versions]
    assert decide(*both, resource=_BUCKET + "a", k_l="a") == "ALLOW"
    assert decide(*both, resource=_BUCKET + "b", k_l="a") == "IMPLICIT_DENY"
    assert decide(*both, resource=_BUCKET + "${k:l}", k_l="a") == "EXPLICIT_DENY"


@pytest.mark.parametrize("versions", [("2008-10-17", "2012-10-17"), ("2012-10-17", "2008-10-17")])
def test_the_same_condition_in_documents_of_both_versions(versions: tuple[str, str]) -> None:
    """VAR-2, as above, in a condition."""
    effects = {"2012-10-17": "Allow", "2008-10-17": "Deny"}
    both = [policy(version=version, Effect=effects[version],
                   Condition={"StringEquals": {"k:k": "${k:l}"}}) for version in versions]
    assert decide(*both, k_k="a", k_l="a") == "ALLOW"
    assert decide(*both, k_k="${k:l}", k_l="a") == "EXPLICIT_DENY"


def test_a_name_without_a_colon_is_no_key() -> None:
    """VAR-11: it is null, even if the context has a key of that name."""
    assert decide(policy(Resource=_BUCKET + "${abc}"), abc="a") == "IMPLICIT_DENY"
    assert decide(policy(Resource=_BUCKET + "${abc, 'a'}"), abc="b") == "ALLOW"


def test_the_option_takes_away_variables_before_the_sixth_field_only() -> None:
    """VAR-10."""
    literal = {"resource_early_vars": "literal"}
    late, early = policy(Resource=_BUCKET + "${k:l}"), policy(Resource="arn:aws:s3::${k:l}:a")
    for options in ({}, literal):
        assert decide(late, options=options, k_l="a") == "ALLOW"
    assert decide(early, resource="arn:aws:s3::1:a", k_l="1") == "ALLOW"
    assert decide(early, resource="arn:aws:s3::1:a", options=literal, k_l="1") == "IMPLICIT_DENY"


def test_wildcards_of_string_equals_are_characters() -> None:
    """COND-30: with and without variables beside them."""
    for value in ("a*", "a?", "a*${k:l}"):
        equal = policy(Condition={"StringEquals": {"k:k": value}})
        assert decide(equal, k_k="ab", k_l="") == "IMPLICIT_DENY"
        assert decide(equal, k_k="abc", k_l="c") == "IMPLICIT_DENY"
    assert decide(policy(Condition={"StringEquals": {"k:k": "a*"}}), k_k="a*") == "ALLOW"
    assert decide(policy(Condition={"StringEquals": {"k:k": "a*${k:l}"}}), k_k="a*c",
                  k_l="c") == "ALLOW"


# --- actions and resources --------------------------------------------------------------------


def test_actions_fold_ascii_and_nothing_else() -> None:
    """ACT-1: the sign of Kelvin is not a k, on either side."""
    for written in ("S3:GET", "s3:gEt", "S3:g*"):
        assert decide(policy(Action=written)) == "ALLOW"
    kelvin = "s3:\u212aey"
    assert decide(policy(Action=kelvin), action="s3:key") == "IMPLICIT_DENY"
    assert decide(policy(Action="s3:Key"), action=kelvin) == "IMPLICIT_DENY"
    assert decide(policy(Action=kelvin), action=kelvin) == "ALLOW"
    assert decide(policy(Action="s3:\xc9"), action="s3:\xe9") == "IMPLICIT_DENY"


@pytest.mark.parametrize("entry", ["s*:Get", "s3*", "?3:Get", "s3 :Get", ":Get", "s3:"])
def test_an_action_of_no_valid_form_matches_nothing(entry: str) -> None:
    """ACT-3, ACT-4, GRAM-0: nor does it exclude anything, and its neighbours still count."""
    assert decide(policy(Action=entry)) == "IMPLICIT_DENY"
    assert decide(policy(Action=[entry, "s3:Get"])) == "ALLOW"
    assert decide(policy(), policy(Effect="Deny", NotAction=entry)) == "EXPLICIT_DENY"
    assert decide(policy(), policy(Effect="Deny", NotAction=[entry, "s3:Get"])) == "ALLOW"


@pytest.mark.parametrize("entry", ["a*", "*:s3:::a", "ar*", "?rn:aws:s3:::a"])
def test_a_resource_that_is_no_arn_matches_and_excludes_nothing(entry: str) -> None:
    """RES-8, GRAM-0."""
    assert decide(policy(Resource=entry)) == "IMPLICIT_DENY"
    assert decide(policy(Resource=[entry, _BUCKET + "a"])) == "ALLOW"
    assert decide(policy(NotResource=entry)) == "ALLOW"
    assert decide(policy(), policy(Effect="Deny", NotResource=entry)) == "EXPLICIT_DENY"
    assert decide(policy(), policy(Effect="Deny", NotResource=[entry, _BUCKET + "a"])) == "ALLOW"


@pytest.mark.parametrize(("pattern", "mode", "right", "wrong"), [
    ("arn:aws:s*3:::a", "span", ["arn:aws:s3:::a", "arn:aws:sx3:::a"], ["arn:aws:s:3:::a"]),
    ("arn:aws:iam::*:role/x", "span", ["arn:aws:iam::1:role/x", "arn:aws:iam::1:2:role/x"],
     ["arn:aws:iam::1:role/y"]),
    ("arn:aws:iam::*:role/x", "segment", ["arn:aws:iam::1:role/x"],
     ["arn:aws:iam::1:2:role/x"]),
    ("arn:aws:s3:::a?b", "span", ["arn:aws:s3:::a:b", "arn:aws:s3:::acb"], ["arn:aws:s3:::ab"]),
    ("arn:aws:s3:::a*b", "span", ["arn:aws:s3:::a:b", "arn:aws:s3:::ab"], ["arn:aws:s3:::a:"]),
    ("arn:aws:s3:::a*b", "segment", ["arn:aws:s3:::a:b", "arn:aws:s3:::ab"], ["arn:aws:s3:::a:"]),
    ("arn:aws:s?:::a", "span", ["arn:aws:s3:::a"], ["arn:aws:s::::a", "arn:aws:s:::a"]),
    ("arn:aws:s3::", "span", ["arn:aws:s3:::a", "arn:aws:s3:::"], ["arn:aws:s3:x::a"]),
    ("arn:aws:s3::1", "segment", ["arn:aws:s3::1:a", "arn:aws:s3::1:a:b"], ["arn:aws:s3::2:a"]),
    ("arn:aws:s3", "segment", ["arn:aws:s3:::a", "arn:aws:s3:r:1:a:b"], ["arn:aws:s4:::a"]),
])
def test_how_far_a_wildcard_of_a_resource_reaches(
    pattern: str, mode: str, right: list[str], wrong: list[str]
) -> None:
    """RES-4, RES-7."""
    granted = policy(Resource=pattern)
    for resources, expected in ((right, "ALLOW"), (wrong, "IMPLICIT_DENY")):
        for resource in resources:
            assert decide(granted, resource=resource, options={"resource_glob": mode}) \
                == expected, resource


# --- what the passes may drop -----------------------------------------------------------------


def test_patterns_that_others_contain_leave_these_in_place() -> None:
    """A prefix drops what it is a prefix of, whole, and never itself or its neighbours."""
    actions = policy(Action=["s3:Ge*", "s3:Get*", "s3:Put"])
    for action, expected in (("s3:Gex", "ALLOW"), ("s3:Get", "ALLOW"), ("s3:Put", "ALLOW"),
                             ("s3:Gx", "IMPLICIT_DENY")):
        assert decide(actions, action=action) == expected
    resources = policy(Resource=[_BUCKET + end for end in ("ab*", "acd", "abc", "a?x*")])
    for end, expected in (("ab", "ALLOW"), ("acd", "ALLOW"), ("abcd", "ALLOW"), ("axx", "ALLOW"),
                          ("ac", "IMPLICIT_DENY"), ("a", "IMPLICIT_DENY")):
        assert decide(resources, resource=_BUCKET + end) == expected


def test_a_null_condition_with_one_value_is_no_constant() -> None:
    """COND-46 and on: `true` asks for an absent key, `false` for one that is there."""
    for wanted, absent, present in (("true", "ALLOW", "IMPLICIT_DENY"),
                                    ("false", "IMPLICIT_DENY", "ALLOW")):
        null = policy(Condition={"Null": {"k:k": wanted}})
        assert decide(null) == absent
        assert decide(null, k_k="a") == present


def test_a_null_variable_spoils_notresource_beside_a_pattern_that_contains_it() -> None:
    """VAR-6: under the option the narrower pattern still counts, though the wider says as much."""
    excluded = policy(NotResource=[_BUCKET + "a*", _BUCKET + "a${k:l}"])
    spoilt = {"null_notresource": "nomatch"}
    assert decide(excluded, resource=_BUCKET + "b") == "ALLOW"
    assert decide(excluded, resource=_BUCKET + "b", options=spoilt) == "IMPLICIT_DENY"
    assert decide(excluded, resource=_BUCKET + "b", options=spoilt, k_l="c") == "ALLOW"
    assert decide(excluded, resource=_BUCKET + "ac", options=spoilt, k_l="c") == "IMPLICIT_DENY"


def test_a_null_variable_does_not_spoil_resource_beside_a_pattern_that_contains_it() -> None:
    """VAR-6: the option is about NotResource; in `Resource` the entry just matches nothing."""
    granted = policy(Resource=[_BUCKET + "a*", _BUCKET + "a${k:l}"])
    for options in ({}, {"null_notresource": "nomatch"}):
        assert decide(granted, resource=_BUCKET + "ab", options=options) == "ALLOW"
        assert decide(granted, resource=_BUCKET + "b", options=options) == "IMPLICIT_DENY"


NEGATED = ("StringNotEquals", "StringNotLike", "NumericNotEquals", "DateNotEquals",
           "NotIpAddress", "ArnNotEquals")


@pytest.mark.parametrize("base", NEGATED)
def test_no_policy_value_under_for_any_value_with_a_negated_operator(base: str) -> None:
    """COND-8, COND-25: some request value equals none of nothing, if there is one at all."""
    empty = policy(Condition={f"ForAnyValue:{base}": {"k:k": []}})
    assert decide(empty, k_k=["a"]) == "ALLOW"
    assert decide(empty, k_k="a") == "ALLOW"
    assert decide(empty, k_k=[]) == "IMPLICIT_DENY"
    assert decide(empty) == "IMPLICIT_DENY"


@pytest.mark.parametrize(("operator", "present", "absent"), [
    ("StringEquals", "IMPLICIT_DENY", "IMPLICIT_DENY"),
    ("StringNotEquals", "ALLOW", "ALLOW"),
    ("StringEqualsIfExists", "IMPLICIT_DENY", "ALLOW"),
    ("StringNotEqualsIfExists", "ALLOW", "ALLOW"),
    ("ForAnyValue:StringEquals", "IMPLICIT_DENY", "IMPLICIT_DENY"),
    ("ForAnyValue:StringEqualsIfExists", "IMPLICIT_DENY", "ALLOW"),
    ("ForAnyValue:StringNotEqualsIfExists", "ALLOW", "ALLOW"),
    ("ForAllValues:StringEquals", "IMPLICIT_DENY", "ALLOW"),
    ("ForAllValues:StringNotEquals", "ALLOW", "ALLOW"),
])
def test_no_policy_value_under_every_other_kind_of_operator(
    operator: str, present: str, absent: str
) -> None:
    """COND-8: nothing equals one of nothing; an absent key is as COND-20 to COND-24 say."""
    empty = policy(Condition={operator: {"k:k": []}})
    assert decide(empty, k_k="a") == present
    assert decide(empty) == absent


def test_a_null_condition_with_both_values_holds_though_its_key_is_unknown() -> None:
    """COND-8, three-valued: the one constant that is true; a single value leaves it open."""
    for values, expected in ((["true", "false"], DecisionCode.ALLOW),
                             (["TRUE", "False"], DecisionCode.ALLOW),
                             (["true"], DecisionCode.UNDETERMINED),
                             (["maybe"], DecisionCode.IMPLICIT_DENY)):
        text = policy(Condition={"Null": {"k:k": values}})
        case = found_case(text, action="s3:Get", resource="*", options={}, context={},
                          unknown=["k:k"])
        assert verdict(case) is None, case.paste()
        assert check(compile_texts([text], {}), case.request).decision == expected, values
