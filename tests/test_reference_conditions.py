"""Condition entries in the reference, operator by operator, from the rule texts."""

from __future__ import annotations

import ipaddress
import random
import time
from decimal import Decimal
from typing import Any

import pytest
from test_reference_units import match

from iamtables.reference import RequestFault
from iamtables.reference.context import Context
from iamtables.reference.values import contains, read_address, read_network

KEY = "k:k"
ABSENT = None


def holds(operator: str, value: Any, policy: Any, **more: Any) -> str:
    """One entry on `k:k`; `more` may extend the context or set options."""
    context = {KEY: value, **more.pop("context", {})}
    return match({"Condition": {operator: {KEY: policy}}}, context=context, **more)


# ---------------------------------------------------------------------------------------------
# Shape: operators, keys, combination


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("StringEquals", "a", "yes"),
        ("stringequals", "a", "yes"),  # COND-7
        ("STRINGEQUALSIFEXISTS", ABSENT, "yes"),
        ("ForAnyValue:stringEqualsIfExists", ABSENT, "yes"),
        ("FORALLVALUES:StringEquals", ABSENT, "yes"),
        ("ForAnyValue:Null", "a", "no"),
        ("NullIfExists", "a", "unknown"),  # COND-6: any base except `Null`
        ("ForAllValues:ForAnyValue:StringEquals", "a", "unknown"),
        ("ForAllValue:StringEquals", "a", "unknown"),
        ("ForAllValues: StringEquals", "a", "unknown"),
        ("StringEqualsIfExistsIfExists", "a", "unknown"),
        ("IfExistsStringEquals", "a", "unknown"),
        ("StringEquals ", "a", "unknown"),
        ("StringMatches", "a", "unknown"),
        ("NotStringEquals", "a", "unknown"),
        ("BinaryNotEquals", "a", "unknown"),
        ("NotBool", "a", "unknown"),
        ("StringLi\u212ae", "a", "unknown"),  # only ASCII letters have a case here
        ("", "a", "unknown"),
    ],
)
def test_operator_names(operator: str, value: Any, expected: str) -> None:
    assert holds(operator, value, "a") == expected
    never = "no" if expected == "unknown" else expected
    assert holds(operator, value, "a", invalid_statement="never") == never


def test_operators_and_keys_are_all_to_hold() -> None:
    """COND-2, COND-9."""
    context = {"k:a": "1", "k:b": "2"}
    both = {"StringEquals": {"k:a": "1", "k:b": "2"}, "StringLike": {"k:a": "*"}}
    assert match({"Condition": both}, context=context) == "yes"
    assert match({"Condition": {**both, "Null": {"k:a": "true"}}}, context=context) == "no"
    twice = {"StringEquals": {"k:a": "1", "K:A": "2"}}
    assert match({"Condition": twice}, context=context) == "no"
    spelled = {"StringEquals": {"k:a": "1"}, "stringequals": {"k:a": "2"}}
    assert match({"Condition": spelled}, context=context) == "no"


def test_keys_compare_without_case() -> None:
    """COND-4, COND-5: the exact spelling, else the first in input order."""
    condition = {"StringEquals": {"aws:ResourceTag/EC2": "x"}}
    for context, expected in (
        ({"AWS:resourcetag/ec2": "x"}, "yes"),
        ({"aws:ResourceTag/ec2": "x", "aws:ResourceTag/Ec2": "y"}, "yes"),
        ({"aws:ResourceTag/Ec2": "y", "aws:ResourceTag/ec2": "x"}, "no"),
        ({"aws:ResourceTag/ec2": "y", "aws:ResourceTag/EC2": "x"}, "yes"),
        ({"aws:ResourceTag/EC2": None, "aws:ResourceTag/ec2": "x"}, "yes"),
        ({"aws:ResourceTag/EC": "x"}, "no"),
    ):
        assert match({"Condition": condition}, context=context) == expected


def test_the_catalogue_says_what_is_multivalued() -> None:
    """COND-11, CTX-2."""
    context = Context(
        {"AWS:tagkeys": "a", "aws:UserName": ["ana"], "aws:PrincipalTag/x": ["v"], "k:l": ["v"],
         "k:s": "v", "aws:sourceip": []}
    )  # fmt: skip
    assert context.lookup("aws:TagKeys") == ["a"]
    assert context.lookup("aws:username") == "ana"
    assert context.lookup("aws:PrincipalTag/x") == "v"
    assert context.lookup("k:l") == ["v"]
    assert context.lookup("k:s") == "v"
    assert context.lookup("aws:SourceIp") == []
    for key in ("aws:username", "AWS:RequestTag/x", "aws:CalledViaLast"):
        with pytest.raises(RequestFault):
            Context({key: ["a", "b"]})


@pytest.mark.parametrize("value", [{}, [["a"]], [None], object(), float("nan"), float("inf")])
def test_a_context_value_is_text_a_number_a_boolean_or_a_list(value: Any) -> None:
    with pytest.raises(RequestFault):
        Context({"k:k": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (10, "10"), (-3, "-3"), (1.5, "1.5"),
     (Decimal("1.50"), "1.50")],
)  # fmt: skip
def test_numbers_and_booleans_of_the_context_are_text(value: Any, text: str) -> None:
    """COND-13, GRAM-5."""
    assert holds("StringEquals", value, text) == "yes"
    assert holds("ForAnyValue:StringEquals", [value], text) == "yes"


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("StringEquals", "a", "no"),  # COND-8
        ("StringNotEquals", "a", "yes"),
        ("NumericNotEquals", "x", "yes"),  # nothing is compared, so nothing fails
        ("Null", "a", "no"),
        ("Null", ABSENT, "no"),
        ("StringEquals", ABSENT, "no"),
        ("StringEqualsIfExists", ABSENT, "yes"),
        ("ForAnyValue:StringEquals", ["a"], "no"),
        ("ForAllValues:StringEquals", ["a"], "no"),
        ("ForAllValues:StringNotEquals", ["a"], "yes"),
        ("ForAllValues:StringEquals", [], "yes"),
    ],
)
def test_an_empty_list_of_policy_values(operator: str, value: Any, expected: str) -> None:
    assert holds(operator, value, []) == expected


# ---------------------------------------------------------------------------------------------
# Section 3.3: missing keys, sets, null data sets

NEGATED = (
    "StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "NumericNotEquals",
    "DateNotEquals", "NotIpAddress", "ArnNotEquals", "ArnNotLike",
)  # fmt: skip
POSITIVE = (
    "StringEquals", "StringEqualsIgnoreCase", "StringLike", "NumericEquals", "NumericLessThan",
    "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals",
    "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool",
    "BinaryEquals", "IpAddress", "ArnEquals", "ArnLike",
)  # fmt: skip


@pytest.mark.parametrize("operator", POSITIVE + NEGATED)
def test_missing_keys(operator: str) -> None:
    """COND-20 to COND-24; an empty list is a missing key to plain operators (COND-12)."""
    expected = "yes" if operator in NEGATED else "no"
    for value in (ABSENT, []):
        assert holds(operator, value, "x") == expected
        assert holds(f"{operator}IfExists", value, "x") == "yes"
        assert holds(f"ForAllValues:{operator}", value, "x") == "yes"
        assert holds(f"ForAllValues:{operator}IfExists", value, "x") == "yes"
        assert holds(f"ForAnyValue:{operator}", value, "x") == "no"
    assert holds(f"ForAnyValue:{operator}IfExists", ABSENT, "x") == "yes"
    assert holds(f"ForAnyValue:{operator}IfExists", [], "x") == "no"


@pytest.mark.parametrize("operator", POSITIVE + NEGATED)
def test_a_plain_operator_never_matches_a_multivalued_key(operator: str) -> None:
    """COND-26."""
    for value in (["x"], ["x", "y"], [""]):
        assert holds(operator, value, "x") == "no"
        assert holds(f"{operator}IfExists", value, "x") == "no"


def test_plain_operators_on_several_values_by_option() -> None:
    """COND-26: any value that matches."""
    option = {"multivalued_plain": "any"}
    assert holds("StringEquals", ["a", "b"], "b", **option) == "yes"
    assert holds("StringEquals", ["a", "b"], "c", **option) == "no"
    assert holds("StringNotEquals", ["a", "b"], "b", **option) == "yes"
    assert holds("StringNotEquals", ["b"], "b", **option) == "no"


@pytest.mark.parametrize(
    ("operator", "value", "null", "ordinary"),
    [
        ("Null", "", "yes", "no"),
        ("Null", [""], "yes", "no"),
        ("Null", [], "yes", "yes"),
        ("Null", ABSENT, "yes", "yes"),
        ("Null", ["", ""], "no", "no"),
        ("Null", ["", "a"], "no", "no"),
        ("Null", " ", "no", "no"),
        ("ForAllValues:StringEquals", "", "yes", "no"),
        ("ForAllValues:StringEquals", [""], "yes", "no"),
        ("ForAllValues:StringEquals", ["", ""], "no", "no"),
        ("ForAnyValue:StringNotEquals", "", "no", "yes"),
        ("ForAnyValue:StringNotEquals", [""], "no", "yes"),
        ("ForAnyValue:StringEqualsIfExists", [""], "no", "no"),
        ("StringNotEquals", "", "yes", "yes"),  # plain: an ordinary string
    ],
)
def test_null_data_sets(operator: str, value: Any, null: str, ordinary: str) -> None:
    """COND-12."""
    assert holds(operator, value, "true") == null
    assert holds(operator, value, "true", null_empty_string="value") == ordinary


def test_plain_operators_see_the_empty_string() -> None:
    assert holds("StringEquals", "", ["", "home/"]) == "yes"
    assert holds("StringLike", "", "*") == "yes"
    assert holds("StringLike", "", "?") == "no"


@pytest.mark.parametrize(
    ("operator", "value", "policy", "expected"),
    [
        ("ForAnyValue:StringEquals", ["a", "z"], ["a", "b"], "yes"),
        ("ForAllValues:StringEquals", ["a", "z"], ["a", "b"], "no"),
        ("ForAllValues:StringEquals", ["a", "a"], ["a", "b"], "yes"),
        ("ForAnyValue:StringNotEquals", ["a", "z"], ["a", "b"], "yes"),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], "no"),
        ("ForAllValues:StringNotEquals", ["y", "z"], ["a", "b"], "yes"),
        ("ForAllValues:StringNotEquals", ["a", "z"], ["a", "b"], "no"),
        ("ForAnyValue:NumericNotEquals", ["x", "2"], ["1"], "yes"),  # errors stay with their value
        ("ForAllValues:NumericNotEquals", ["x", "2"], ["1"], "no"),
        ("ForAnyValue:StringEquals", "a", ["a"], "yes"),  # COND-28
        ("ForAllValues:StringEquals", "b", ["a"], "no"),
    ],
)
def test_set_operators(operator: str, value: Any, policy: Any, expected: str) -> None:
    """COND-25."""
    assert holds(operator, value, policy) == expected


@pytest.mark.parametrize(
    ("operator", "good", "bad"),
    [
        ("NumericNotEquals", "1", "one"),
        ("DateNotEquals", "2026-01-01", "soon"),
        ("NotIpAddress", "10.0.0.1", "host"),
        ("ArnNotEquals", "arn:a:b:c:d:e", "arn"),
        ("ArnNotLike", "arn:a:b:c:d:e", "*"),
    ],
)
def test_a_type_error_makes_a_negated_operator_false(operator: str, good: str, bad: str) -> None:
    """COND-27; a positive one just skips it."""
    other = {"NumericNotEquals": "2", "DateNotEquals": "2026-01-02", "NotIpAddress": "10.0.0.2"}
    differing = other.get(operator, "arn:a:b:c:d:f")
    positive = operator.replace("Not", "")
    assert holds(operator, good, differing) == "yes"
    assert holds(operator, good, [differing, bad]) == "no"
    assert holds(operator, bad, differing) == "no"
    assert holds(operator, bad, []) == "yes"
    assert holds(positive, good, [bad, good]) == "yes"
    assert holds(positive, bad, [bad, good]) == "no"


def test_a_null_variable_is_no_type_error() -> None:
    """COND-29, VAR-6."""
    null = "${aws:none}"
    assert holds("StringEquals", "a", [null, "a"]) == "yes"
    assert holds("StringEquals", "a", null) == "no"
    assert holds("StringNotEquals", "a", null) == "yes"
    assert holds("StringNotEquals", "a", [null, "a"]) == "no"
    assert holds("StringNotLike", "a", f"*{null}*") == "yes"
    assert holds("ArnNotEquals", "arn:a:b:c:d:e", f"arn:a:b:c:d:{null}") == "yes"
    assert holds("ArnNotEquals", "garbage", null) == "yes"
    assert holds("ArnNotEquals", "garbage", [null, "arn:a:b:c:d:e"]) == "no"
    assert holds("Bool", "true", [null, "true"]) == "yes"
    assert holds("ForAllValues:StringNotEquals", ["a"], null) == "yes"


# ---------------------------------------------------------------------------------------------
# Strings


@pytest.mark.parametrize(
    ("operator", "value", "policy", "expected"),
    [
        ("StringEquals", "a", "a", "yes"),
        ("StringEquals", "A", "a", "no"),
        ("StringEquals", "a", "*", "no"),
        ("StringEquals", "*", "*", "yes"),
        ("StringEquals", "10", "10.0", "no"),  # TRAP-13
        ("StringEquals", "e\u0301", "\u00e9", "no"),
        ("StringEquals", "a*", "a${*}", "yes"),  # COND-32
        ("StringEquals", "a$?", "a${$}${?}", "yes"),
        ("StringEqualsIgnoreCase", "\u00c9t\u00c9", "\u00e9T\u00e9", "yes"),  # COND-31
        ("StringEqualsIgnoreCase", "stra\u00dfe", "STRASSE", "no"),  # lower(), not casefold()
        ("StringEqualsIgnoreCase", "a*", "A*", "yes"),
        ("StringNotEqualsIgnoreCase", "a", "A", "no"),
        ("StringLike", "a\nb", "a?b", "yes"),
        ("StringLike", "ab", "A*", "no"),
        ("StringLike", "a.b", "a[.]b", "no"),
        ("StringLike", "a\\b", "a\\b", "yes"),
        ("StringLike", "\U0001f600", "?", "yes"),
        ("StringLike", "x", "*?*?*", "no"),
        ("StringLike", "a*", "a${*}", "yes"),
        ("StringLike", "ab", "a${*}", "no"),
        ("StringLike", "arn:a:b:c:d:e", "arn:*:e", "yes"),
        ("StringNotLike", "ab", ["x*", "y*"], "yes"),
        ("StringNotLike", "ab", ["x*", "a*"], "no"),
    ],
)
def test_strings(operator: str, value: str, policy: Any, expected: str) -> None:
    assert holds(operator, value, policy) == expected


def test_variables_in_values() -> None:
    """VAR-1: in String, Arn and Bool operators; literal text in the others."""
    context = {"k:v": "a*", "k:n": "10", "k:t": "TRUE", "k:arn": "arn:aws:sns:us:1:t"}
    for operator, value, policy, expected in (
        ("StringEquals", "a*", "${k:v}", "yes"),
        ("StringLike", "a*", "${k:v}", "yes"),  # VAR-9
        ("StringLike", "ab", "${k:v}", "no"),
        ("StringLike", "xa*y", "*${K:V}*", "yes"),
        ("StringEqualsIgnoreCase", "A*", "${k:v}", "yes"),
        ("StringEquals", "d", "${k:none, 'd'}", "yes"),
        ("StringEquals", "${k:v", "${k:v", "yes"),
        ("Bool", "true", "${k:t}", "yes"),
        ("Bool", "true", "${k:n}", "no"),
        ("ArnEquals", "arn:aws:sns:us:1:t", "${k:arn}", "yes"),  # COND-62
        ("ArnLike", "arn:aws:sns:us:10:t", "arn:aws:sns:*:${k:n}:*", "yes"),
        ("ArnNotLike", "arn:aws:sns:us:10:t", "arn:aws:sns:*:${k:n}:*", "no"),
        ("NumericEquals", "10", "${k:n}", "no"),
        ("NumericNotEquals", "11", "${k:n}", "no"),  # a type error
        ("NumericEquals", "10", "${k:none, '10'}", "no"),
        ("DateEquals", "10", "${k:n}", "no"),
        ("IpAddress", "10.0.0.1", "${k:n}", "no"),
        ("BinaryEquals", "aaaa", "${k:v}", "no"),
        ("Null", "x", "${k:none, 'false'}", "no"),
    ):
        assert holds(operator, value, policy, context=context) == expected, (operator, policy)
    old = {"version": "2008-10-17", "context": context}
    assert holds("StringEquals", "a*", "${k:v}", **old) == "no"
    assert holds("StringEquals", "${k:v}", "${k:v}", **old) == "yes"
    assert holds("StringLike", "${anything}", "${*}", **old) == "yes"


# ---------------------------------------------------------------------------------------------
# Numbers


@pytest.mark.parametrize(
    ("left", "right"),
    [("10", "10.0"), ("010", "10"), ("1e1", "10"), ("+10", "10"), ("1E+1", "10"), ("10.", "10"),
     (".5", "0.5"), ("-0", "0"), ("0e999999999", "0"), ("-.0", "0"), ("1000e-2", "10"),
     ("1e400", "10e399"), ("1e999999999", "0.1e1000000000"), ("0.1", "1e-1"),
     ("9007199254740993", "9007199254740993.0"), ("1e" + "0" * 5000 + "1", "10"),
     ("1e" + "9" * 5000, "10e" + "9" * 4999 + "8")],
)  # fmt: skip
def test_numbers_that_are_equal(left: str, right: str) -> None:
    """COND-36: exact decimals."""
    started = time.perf_counter()
    assert holds("NumericEquals", left, right) == "yes"
    assert holds("NumericNotEquals", left, right) == "no"
    assert holds("NumericLessThan", left, right) == "no"
    assert holds("NumericGreaterThan", left, right) == "no"
    assert holds("NumericLessThanEquals", left, right) == "yes"
    assert holds("NumericGreaterThanEquals", left, right) == "yes"
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("less", "more"),
    [("9", "10"), ("-10", "-9"), ("-1", "0"), ("0", "1e-999999999"), ("-1e-999999999", "0"),
     ("9007199254740992", "9007199254740993"), ("1e399", "1e400"), ("-1e400", "-1e399"),
     ("1e308", "1e999999999"), ("0.1", "0.10000000000000000000000000001"), ("-2", "1"),
     ("9.99", "10.0"), ("1e-400", "2e-400"), ("-12", "-1.2"), ("1.2", "12")],
)  # fmt: skip
def test_numbers_that_are_less(less: str, more: str) -> None:
    """COND-35: the request value is the left side."""
    assert holds("NumericLessThan", less, more) == "yes"
    assert holds("NumericLessThanEquals", less, more) == "yes"
    assert holds("NumericLessThan", more, less) == "no"
    assert holds("NumericLessThanEquals", more, less) == "no"
    assert holds("NumericGreaterThan", more, less) == "yes"
    assert holds("NumericGreaterThanEquals", more, less) == "yes"
    assert holds("NumericGreaterThan", less, more) == "no"
    assert holds("NumericEquals", less, more) == "no"
    assert holds("NumericNotEquals", less, more) == "yes"


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "10abc", "1e", "e1", ".", "+", "-", "--1", "0x10", "1_000", "1,5",
     "NaN", "Infinity", "1e1.5", "\u0661", "1e\u0661", "true"],
)  # fmt: skip
def test_text_that_is_no_number(text: str) -> None:
    """COND-37."""
    for value, policy in ((text, "1"), ("1", text), (text, text)):
        assert holds("NumericEquals", value, policy) == "no"
        assert holds("NumericNotEquals", value, policy) == "no"


def test_numbers_agree_with_exact_decimals() -> None:
    rng = random.Random(5)
    texts = []
    for _ in range(60):
        digits = "".join(rng.choice("0123459") for _ in range(rng.randint(1, 5)))
        at = rng.randint(0, len(digits))
        exponent = rng.choice(["", "e2", "E-3", "e+10", "e0"])
        texts.append(rng.choice(["", "-", "+"]) + digits[:at] + "." + digits[at:] + exponent)
    for left in texts:
        for right in texts[:20]:
            expected = "yes" if Decimal(left) < Decimal(right) else "no"
            assert holds("NumericLessThan", left, right) == expected, (left, right)


# ---------------------------------------------------------------------------------------------
# Dates


@pytest.mark.parametrize(
    ("left", "right"),
    [("2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00"), ("2020-01-01", "2020-01-01T00:00Z"),
     ("2020-01", "2020-01-01T00:00:00Z"), ("2020-01-01t00:00:00z", "2020-01-01T00:00:00Z"),
     ("2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00Z"), ("0", "1970-01-01"),
     ("2024", "1970-01-01T00:33:44Z"), ("-1", "1969-12-31T23:59:59Z"), ("007", "7"), ("-0", "0"),
     ("1577836800", "2020-01-01T00:00:00Z"), ("2020-01-01T00:00:00-00:00", "2020-01-01"),
     ("2019-12-31T12:30:00-11:30", "2020-01-01"), ("2020-02-29", "1582934400"),
     ("2020-01-01T00:00:00.10Z", "2020-01-01T00:00:00.1Z"), ("0001-01-01", "-62135596800"),
     ("9999-12-31T23:59:59Z", "253402300799")],
)  # fmt: skip
def test_dates_that_are_equal(left: str, right: str) -> None:
    """COND-41 to COND-43."""
    for one, other in ((left, right), (right, left)):
        assert holds("DateEquals", one, other) == "yes"
        assert holds("DateNotEquals", one, other) == "no"
        assert holds("DateLessThan", one, other) == "no"
        assert holds("DateGreaterThanEquals", one, other) == "yes"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000001Z"), ("2020-01-01", "2020-02"),
     ("2020-01-01T00:00:00+00:01", "2020-01-01"), ("-5", "-4"), ("9", "10"),
     ("2020-01-01T00:00:00.09Z", "2020-01-01T00:00:00.1Z"), ("2024", "2023-01-01"),
     ("1969-12-31T23:59:59.5Z", "0"), ("-1", "1969-12-31T23:59:59.5Z")],
)  # fmt: skip
def test_dates_in_order(earlier: str, later: str) -> None:
    """COND-40."""
    assert holds("DateLessThan", earlier, later) == "yes"
    assert holds("DateGreaterThan", later, earlier) == "yes"
    assert holds("DateLessThanEquals", later, earlier) == "no"
    assert holds("DateEquals", earlier, later) == "no"
    assert holds("DateNotEquals", earlier, later) == "yes"


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2020-1-1", "2020-13", "2020-00-01", "2019-02-29", "2020-04-31", "0000-01-01",
     "10000-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00", "2020-01-01T00Z",
     "2020-01-01 00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T23:60:00Z",
     "2016-12-31T23:59:60Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00.5Z",
     "2020-01-01T00:00:00+0100", "2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00+00:60",
     "2020-01-01Z", "+5", "1.5", " 5", "5\n", "2020-01-01T00:00:00+01", "\u0661"],
)  # fmt: skip
def test_text_that_is_no_date(text: str) -> None:
    """COND-41, COND-44."""
    for value, policy in ((text, "2020-01-01"), ("2020-01-01", text), (text, text)):
        assert holds("DateEquals", value, policy) == "no"
        assert holds("DateNotEquals", value, policy) == "no"
        assert holds("DateLessThanEquals", value, policy) == "no"


def test_an_epoch_of_any_length_is_read() -> None:
    assert holds("DateLessThan", "9" * 10_000, "1" + "0" * 10_000) == "yes"


# ---------------------------------------------------------------------------------------------
# Booleans, bytes, addresses


@pytest.mark.parametrize(
    ("operator", "value", "policy", "expected"),
    [
        ("Bool", "TRUE", "true", "yes"),  # COND-45
        ("Bool", True, True, "yes"),
        ("Bool", "true", ["false", "true"], "yes"),
        ("Bool", "false", "true", "no"),
        ("Bool", "1", "true", "no"),
        ("Bool", "1", "1", "no"),
        ("Bool", " true", "true", "no"),
        ("BoolIfExists", ABSENT, "false", "yes"),
        ("Bool", ABSENT, "false", "no"),  # COND-46
        ("Null", ABSENT, "TRUE", "yes"),  # COND-48
        ("Null", "x", "False", "yes"),
        ("Null", "x", ["true", "false"], "yes"),
        ("Null", "x", "no", "no"),
        ("Null", ABSENT, True, "yes"),
        ("ForAllValues:Null", ABSENT, "false", "no"),
        ("ForAnyValue:Null", ["a"], "false", "yes"),
        ("BinaryEquals", "QUI=", "QUI=", "yes"),  # COND-50
        ("BinaryEquals", "", "", "yes"),
        ("BinaryEquals", "QUJD", "QUJE", "no"),
        ("BinaryEquals", "QUI", "QUI", "no"),  # padding required
        ("BinaryEquals", "QUJ=", "QUJ=", "no"),  # stray trailing bits
        ("BinaryEquals", "QQ==", "QQ==", "yes"),
        ("BinaryEquals", "QR==", "QR==", "no"),
        ("BinaryEquals", "-_-_", "-_-_", "no"),  # another alphabet
        ("BinaryEquals", "QUI=\n", "QUI=", "no"),
        ("BinaryEquals", "QU I", "QU I", "no"),
        ("BinaryEquals", "QUI=QUI=", "QUI=QUI=", "no"),
        ("BinaryEquals", "\u00e9AAA", "\u00e9AAA", "no"),
    ],
)
def test_booleans_nulls_and_bytes(operator: str, value: Any, policy: Any, expected: str) -> None:
    assert holds(operator, value, policy) == expected


@pytest.mark.parametrize(
    ("value", "policy", "expected"),
    [
        ("203.0.113.77", "203.0.113.0/24", True),
        ("203.0.114.1", "203.0.113.0/24", False),
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "0.0.0.0/0", True),
        ("203.0.113.9", "203.0.113.99/24", True),  # COND-56
        ("203.0.113.9", "203.0.113.9/32", True),
        ("203.0.113.9", "::/0", False),  # COND-57
        ("2001:db8::1", "0.0.0.0/0", False),
        ("2001:db8:0:0:0:0:0:1", "2001:DB8::1", True),
        ("2001:db8:1234:5::1", "2001:db8:1234::/48", True),
        ("2001:db8:1235::1", "2001:db8:1234::/48", False),
        ("::ffff:10.0.0.1", "10.0.0.0/8", False),  # mapped addresses are IPv6
        ("10.0.0.1", "::ffff:10.0.0.0/104", False),
        ("::ffff:10.0.0.1", "::ffff:a00:0/104", True),
        ("::", "::/128", True),
        ("1::", "1:0:0:0:0:0:0:0", True),
    ],
)
def test_addresses(value: str, policy: str, expected: bool) -> None:
    """COND-55 to COND-57."""
    assert holds("IpAddress", value, policy) == ("yes" if expected else "no")
    assert holds("NotIpAddress", value, policy) == ("no" if expected else "yes")


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0", "10.0.0.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.01", "10.0.0.1 ", "host",
     "fe80::1%eth0", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::",
     "1:2:3:4:5:6:7:8::", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "::10.0.0.01", "10.0.0.1::",
     "1:2:3:4:5:6:7:1.2.3.4", "g::", "10.0.0.\u0661", "cloudformation.amazonaws.com"],
)  # fmt: skip
def test_text_that_is_no_address(text: str) -> None:
    """COND-58: a type error on either side."""
    for value, policy in ((text, "10.0.0.0/8"), ("10.0.0.1", text), ("10.0.0.1", f"{text}/8")):
        assert holds("IpAddress", value, policy) == "no"
        assert holds("NotIpAddress", value, policy) == "no"


@pytest.mark.parametrize("prefix", ["/", "/33", "/-1", "/+8", "/8/8", "/255.0.0.0", "/ 8", "/x"])
def test_text_that_is_no_prefix(prefix: str) -> None:
    assert holds("NotIpAddress", "10.0.0.1", f"11.0.0.0{prefix}") == "no"
    assert holds("NotIpAddress", "10.0.0.1/32", "11.0.0.0/8") == "no"  # a range is no address


def test_addresses_agree_with_the_standard_library() -> None:
    rng = random.Random(7)
    pieces = ["0", "1", "00", "ffff", "a", "10", "255", "256", "1.2.3.4", "0.0.0.0", ""]
    for _ in range(20_000):
        joint = rng.choice([":", ":", "::", "."])
        text = joint.join(rng.choice(pieces) for _ in range(rng.randint(1, 9)))
        if rng.random() < 0.4:
            text = text.replace(":", "::", 1)
        try:
            expected: Any = ipaddress.ip_address(text)
        except ValueError:
            expected = None
        found = read_address(text)
        if expected is None:
            assert found is None, text
            continue
        assert found == (expected.max_prefixlen, int(expected), expected.max_prefixlen), text
        prefix = rng.randint(0, expected.max_prefixlen)
        network = ipaddress.ip_network(f"{text}/{prefix}", strict=False)
        ours = read_network(f"{text}/{prefix}")
        assert ours is not None
        other = read_address(str(network.broadcast_address))
        assert other is not None
        assert contains(ours, other)
        if prefix:
            outside = expected.__class__(int(expected) ^ (1 << (expected.max_prefixlen - prefix)))
            away = read_address(str(outside))
            assert away is not None
            assert not contains(ours, away)


# ---------------------------------------------------------------------------------------------
# ARNs

TOPIC = "arn:aws:sns:us-east-1:111122223333:topic-a"


@pytest.mark.parametrize(
    ("value", "policy", "expected"),
    [
        (TOPIC, TOPIC, "yes"),
        (TOPIC, "arn:aws:sns:*:*:*", "yes"),
        (TOPIC, "arn:*:sns:us-?ast-1:1111*:topic-?", "yes"),
        (TOPIC, "arn:aws:sns:*:*:Topic-a", "no"),
        (TOPIC, "arn:aws:sns:*:topic-a", "error"),  # five components, COND-63
        (TOPIC, "arn:aws:sns:*", "error"),
        (TOPIC, "*", "error"),
        (TOPIC, "*:*:*:*:*:*", "error"),
        (TOPIC, "?rn:aws:sns:*:*:*", "error"),
        (TOPIC, "arn:aws:sns:*:*topic-a:*", "no"),  # COND-61
        ("arn:aws:s:r:1:a:b:c", "arn:aws:s:r:1:*c", "yes"),
        ("arn:aws:s:r:1:a:b:c", "arn:aws:s:*:b:c", "no"),
        ("arn:aws:s:r:1:a:b:c", "arn:aws:s:*:a:b:c", "no"),
        ("arn:aws:s:r:1:a:b:c", "arn:aws:s:r:1:a?b:c", "yes"),
        ("arn:aws:s:r:1:", "arn:aws:s:r:1:*", "yes"),
        ("arn:aws:s:r:1:", "arn:aws:s:r:1:", "yes"),
        ("arn:aws:s:r:1", "arn:aws:s:r:1:*", "error"),
        ("AWS:aws:s:r:1:x", "arn:aws:s:r:1:x", "error"),
        ("arn:aws:iam::1:role/Deploy", "arn:aws:sts::1:assumed-role/Deploy/run", "no"),  # COND-64
        (TOPIC, "arn:aws:sns:us-east-1:111122223333:${*}", "no"),
        ("arn:aws:s:r:1:*", "arn:aws:s:r:1:${*}", "yes"),
    ],
)
def test_arns(value: str, policy: str, expected: str) -> None:
    """COND-60 to COND-63: `Equals` is `Like`."""
    positive = "yes" if expected == "yes" else "no"
    negated = "yes" if expected == "no" else "no"
    for operator in ("ArnEquals", "ArnLike"):
        assert holds(operator, value, policy) == positive
    for operator in ("ArnNotEquals", "ArnNotLike"):
        assert holds(operator, value, policy) == negated


def test_arns_made_of_variables() -> None:
    """COND-62: split at the first five colons, of the text or of a value."""
    context = {"k:head": "arn:aws:sns", "k:star": "topic-*", "k:rest": "1:x:y:z"}
    for value, policy, expected in (
        ("arn:aws:sns:us:1:t", "${k:head}:us:1:t", "yes"),
        ("arn:aws:sns:us:1:t", "${k:head}:*:*:*", "yes"),
        ("arn:aws:sns:us:1:x:y:z", "arn:aws:sns:*:${k:rest}", "yes"),
        ("arn:aws:sns:us:1:topic-a", "arn:aws:sns:us:1:${k:star}", "no"),
        ("arn:aws:sns:us:1:topic-*", "arn:aws:sns:us:1:${k:star}", "yes"),
        ("arn:aws:sns:us:1:t", "arn:aws:sns:us:1:${k:none, 't'}", "yes"),
    ):
        assert holds("ArnLike", value, policy, context=context) == expected, policy
