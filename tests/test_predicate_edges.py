"""Predicates at their edges: one line per operator, value and request value.

Two judges: the answer in the line, which a person read out of the rule, and the reference.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from generator import Request
from judging import check, compile_texts, decision_of, reference

from iamtables import DecisionCode

ABSENT = None
V6 = "2001:db8::1"


def holds(operator: str, wanted: Any, given: Any, **context: str) -> bool:
    """Whether an Allow under this condition allows, once tables and reference agree."""
    text = json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "s3:Get", "Resource": "*",
        "Condition": {operator: {"k:k": wanted}}}})
    values: dict[str, Any] = {key.replace("_", ":"): value for key, value in context.items()}
    if given is not ABSENT:
        values["k:k"] = given
    request = Request("s3:Get", "*", values)
    decision = DecisionCode(check(compile_texts([text], {}), request).decision)
    assert decision == decision_of(reference([text], request, {}))
    return decision is DecisionCode.ALLOW


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), [
    # COND-20 to COND-22: an absent key
    ("StringEquals", "a", ABSENT, False), ("StringNotEquals", "a", ABSENT, True),
    ("StringEqualsIfExists", "a", ABSENT, True), ("StringEqualsIfExists", "a", "b", False),
    ("NumericNotEquals", "1", ABSENT, True), ("NotIpAddress", "10.0.0.0/8", ABSENT, True),
    # COND-12, COND-23 to COND-26: null data sets and lists
    ("ForAllValues:StringEquals", "a", ABSENT, True), ("ForAllValues:StringEquals", "a", [], True),
    ("ForAllValues:StringEquals", "a", ["a", "b"], False),
    ("ForAllValues:StringEquals", "a", [""], True), ("ForAllValues:StringEquals", "a", "", True),
    ("ForAnyValue:StringNotEquals", "a", ABSENT, False),
    ("ForAnyValue:StringNotEquals", "a", [""], False),
    ("ForAnyValue:StringNotEquals", "a", "", False), ("ForAnyValue:StringEquals", "", "", False),
    ("ForAnyValue:StringNotEquals", "a", ["a", "b"], True),
    ("ForAnyValue:StringEqualsIfExists", "a", ABSENT, True),
    ("ForAnyValue:StringEqualsIfExists", "a", [], False),
    ("ForAnyValue:StringEqualsIfExists", "a", [""], False),
    ("Null", "true", [""], True), ("Null", "true", "", True), ("Null", "true", ["", ""], False),
    ("StringEquals", "a", ["a"], False), ("StringNotEquals", "b", ["a"], False),
    ("StringLike", "*", ["a", "b"], False),
    # COND-27: what is not of its type
    ("NumericNotEquals", "1", "x", False), ("NumericNotEquals", ["1", "x"], "2", False),
    ("NumericNotEquals", "1", "2", True), ("NumericEquals", ["x", "2"], "2", True),
    ("DateNotEquals", "2026-01-01", "x", False), ("NotIpAddress", "x", "10.0.0.1", False),
    ("NotIpAddress", "10.0.0.0/8", "x", False), ("ArnNotLike", "x", "arn:aws:s3:::a", False),
    ("ArnNotLike", "arn:aws:s3:::a", "x", False),
    # COND-35, COND-36: order and exactness of numbers
    ("NumericLessThanEquals", "10", "10", True), ("NumericLessThan", "10", "10", False),
    ("NumericGreaterThan", "10", "10", False), ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericGreaterThan", "10", "11", True), ("NumericLessThan", "10", "9", True),
    ("NumericEquals", "10", "1e1", True), ("NumericEquals", "0.1", "1e-1", True),
    ("NumericEquals", "010", "10.0", True), ("NumericLessThan", "1e2", "99", True),
    ("NumericLessThan", "-1.5", "-1.55", True), ("NumericLessThan", "-1.55", "-1.5", False),
    ("NumericLessThan", "-1", "-10", True), ("NumericLessThan", "10", "9.99", True),
    ("NumericEquals", "9007199254740993", "9007199254740992", False),
    # COND-41 to COND-44: instants
    ("DateEquals", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", False),
    ("DateEquals", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.50Z", True),
    ("DateLessThan", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.25Z", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2025-12-31T21:30:00-02:30", True),
    ("DateEquals", "2026-01-01T00:01:00Z", "2026-01-01T00:00:60Z", False),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:60Z", False),
    ("DateEquals", "1767225600", "2026-01-01", True),
    # COND-45, COND-50
    ("Bool", "true", "True", True), ("Bool", "TRUE", "true", True),
    ("Bool", "true", "false", False),
    ("BinaryEquals", "YQ==", "YQ==", True), ("BinaryEquals", "YQ==", "YR==", False),
    ("BinaryEquals", "YR==", "YR==", False), ("BinaryEquals", "YQ==", "YQ", False),
    # COND-55 to COND-58: addresses
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True), ("IpAddress", "10.0.0.0/8", "11.0.0.1", False),
    ("IpAddress", "10.0.0.1/32", "10.0.0.1", True), ("IpAddress", "10.0.0.1/33", "10.0.0.1", False),
    ("IpAddress", "10.0.0.0/31", "10.0.0.2", False), ("IpAddress", "10.0.0.9/24", "10.0.0.1", True),
    ("IpAddress", "0.0.0.0/0", "1.2.3.4", True), ("IpAddress", f"{V6}/128", V6, True),
    ("IpAddress", "2001:db8::/32", V6, True), ("IpAddress", "2001:db9::/32", V6, False),
    ("IpAddress", "::/0", "10.0.0.1", False), ("IpAddress", "0.0.0.0/0", V6, False),
    ("IpAddress", "::a00:1", "10.0.0.1", False), ("NotIpAddress", "::/0", "10.0.0.1", True),
    # COND-61 to COND-63: ARNs
    ("ArnLike", "arn:aws:s3:::a*", "arn:aws:s3:::a:b:c", True),
    ("ArnLike", "arn:aws:s3:::a?b", "arn:aws:s3:::a:b", True),
    ("ArnLike", "arn:aws:s*:::a", "arn:aws:s3:::a", True),
    ("ArnLike", "arn:aws:s*:::a", "arn:aws:s3:x:::a", False),
    ("ArnLike", "arn:aws:s?:::a", "arn:aws:s::::a", False),
    ("ArnLike", "arn:*", "arn:aws:s3:::a", False),
    ("ArnNotLike", "arn:aws:s3:::a", "arn:a:b:c:d", False),
    ("ArnNotLike", "arn:aws:s3:::a", "arn:aws:s3:::b", True),
    ("ArnEquals", "arn:aws:s3:::*", "arn:aws:s3:::a", True),
])
def test_a_condition_holds(operator: str, wanted: Any, given: Any, expected: bool) -> None:
    assert holds(operator, wanted, given) is expected


@pytest.mark.parametrize(("operator", "wanted", "given", "variable", "expected"), [
    # VAR-5 to VAR-9, COND-29: null, empty, default, literal
    ("StringEquals", "a${k:l}", "a", ABSENT, False), ("StringEquals", "a${k:l}", "a", "", False),
    ("StringNotEquals", "a${k:l}", "a", ABSENT, True),
    ("StringNotEquals", "a${k:l}", "a", "", True),
    ("StringEquals", "a${k:l, 'b'}", "ab", ABSENT, True),
    ("StringEquals", "a${k:l, 'b'}", "ab", "", True),
    ("StringEquals", "a${k:l, 'b'}", "ab", "c", False),
    ("StringEquals", "a${k:l, ''}", "a", ABSENT, True),
    ("StringLike", "${k:l}*", "*b", "*", True), ("StringLike", "${k:l}*", "ab", "*", False),
    ("StringLike", "${k:l}?", "ab", "a", True), ("StringLike", "${k:l}?", "a", "a", False),
    ("StringLike", "?${k:l}", "a", "a", False), ("StringLike", "a${k:l}", "aab", "b", False),
    # COND-62: an ARN from a variable, and wildcards beside one
    ("ArnLike", "${k:l}", "arn:aws:s3:::a", "arn:aws:s3:::a", True),
    ("ArnLike", "arn:aws:s*:::${k:l}", "arn:aws:s3:x:::a", "a", False),
    ("ArnLike", "arn:aws:s?:::${k:l}", "arn:aws:s::::a", "a", False),
    ("ArnLike", "arn:aws:s*:::${k:l}*", "arn:aws:s3:::a:b", "a", True),
])
def test_a_condition_with_a_variable_holds(
    operator: str, wanted: str, given: str, variable: str | None, expected: bool
) -> None:
    context = {} if variable is ABSENT else {"k_l": variable}
    assert holds(operator, wanted, given, **context) is expected


def test_a_text_for_a_multivalued_key_is_a_list_of_one() -> None:
    """COND-11, COND-26: the catalogue says that `aws:TagKeys` holds several values."""
    for operator, expected in (("StringEquals", DecisionCode.IMPLICIT_DENY),
                               ("ForAnyValue:StringEquals", DecisionCode.ALLOW)):
        text = json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:Get", "Resource": "*",
            "Condition": {operator: {"aws:TagKeys": "a"}}}})
        request = Request("s3:Get", "*", {"aws:TagKeys": "a"})
        assert check(compile_texts([text], {}), request).decision == expected
        assert decision_of(reference([text], request, {})) == expected


def test_a_boolean_of_the_context_is_lower_case_text() -> None:
    """GRAM-5."""
    assert holds("StringEquals", "true", True)
    assert holds("StringEquals", "false", False)
    assert holds("StringEquals", "10", 10)


def test_of_two_spellings_of_a_key_the_policys_counts() -> None:
    """COND-5: whatever the order in which the context names them."""
    for names in (("K:K", "k:k"), ("k:k", "K:K")):
        text = json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:Get", "Resource": "*",
            "Condition": {"StringEquals": {"k:k": "a"}}}})
        table = compile_texts([text], {})
        for value, expected in (("a", True), ("b", False)):
            context = {name: value if name == "k:k" else "x" for name in names}
            assert table.check(action="s3:Get", resource="*",
                               context=context).is_allowed is expected
