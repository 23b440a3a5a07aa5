"""Documents, actions, resources and variables in the reference, case by case from the rule texts.

The helpers here serve the other test_reference files too: `match` gives the state of one
statement, with everything the case does not speak of matching.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from iamtables.reference import (
    DocumentFault,
    RequestFault,
    evaluate_identity,
    statement_states,
)

ACTION = "s3:GetObject"
OBJECT = "arn:aws:s3:::depot/in/a.txt"
ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: Any, version: str | None = "2012-10-17") -> dict[str, Any]:
    head = {} if version is None else {"Version": version}
    return {**head, "Statement": list(statements)}


def match(
    statement: dict[str, Any] | None = None, *, action: str = ACTION,
    resource: str | None = OBJECT, context: dict[str, Any] | None = None,
    version: str | None = "2012-10-17", policy_type: str = "identity",
    rules: set[str] | None = None, **options: str,
) -> str:  # fmt: skip
    """The state of one statement: an Allow on everything with these elements changed."""
    statement = dict(statement or {})
    body: dict[str, Any] = {"Effect": "Allow"}
    if not {"Action", "NotAction"} & set(statement):
        body["Action"] = "*"
    if not {"Resource", "NotResource"} & set(statement):
        body["Resource"] = "*"
    (state,) = statement_states(
        [document({**body, **statement}, version=version)], action=action, resource=resource,
        context=context or {}, options=options, policy_type=policy_type, rules=rules,
    )  # fmt: skip
    return state.state


def decide(*policies: Any, **request: Any) -> str:
    given = {"action": ACTION, "resource": OBJECT, "context": {}, **request}
    return evaluate_identity(list(policies), **given).decision


def resource_match(pattern: str, resource: str, **more: Any) -> str:
    return match({"Resource": pattern}, resource=resource, **more)


# ---------------------------------------------------------------------------------------------
# JSON and documents


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', "null", "1", '{"Statement": NaN}', '{"Statement": -Infinity}',
     '{"Statement": []} x', "{'Statement': []}", '{"Statement": [],}', "[" * 100_000,
     '{"Statement":' + "[" * 100_000 + "]" * 100_000 + "}", '{"a":' * 100_000],
)  # fmt: skip
def test_text_that_is_not_a_json_object_is_refused(text: str) -> None:
    """GRAM-0, GRAM-1: an error in both modes."""
    with pytest.raises(DocumentFault):
        decide(text)


@pytest.mark.parametrize("policy", [None, 1, ["x"], [document(ANY)]])
def test_a_parsed_policy_is_an_object(policy: Any) -> None:
    with pytest.raises(DocumentFault):
        decide(policy)


def test_the_last_of_two_equal_keys_wins() -> None:
    """GRAM-2, inside conditions as well."""
    statement = '{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"'
    assert decide('{"Version":"2012-10-17","Statement":' + statement + "}}") == "ALLOW"
    condition = ',"Condition":{"Bool":{"k":"true"},"Bool":{"k":"false"}}}'
    text = '{"Version":"2012-10-17","Statement":' + statement + condition + "}"
    assert decide(text, context={"k": "false"}) == "ALLOW"
    assert decide(text, context={"k": "true"}) == "IMPLICIT_DENY"


@pytest.mark.parametrize(
    ("lexeme", "text"),
    [("10", "10"), ("1.0", "1.0"), ("1e1", "1e1"), ("-0", "-0"), ("1E+2", "1E+2"), ("true", "true"),
     ("false", "false"), ("12345678901234567890123", "12345678901234567890123"),
     ("0.10", "0.10")],
)  # fmt: skip
def test_numbers_keep_their_lexeme(lexeme: str, text: str) -> None:
    """GRAM-5."""
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",'
        f'"Condition":{{"StringEquals":{{"k":{lexeme}}}}}}}}}'
    )
    assert decide(policy, context={"k": text}) == "ALLOW"
    assert decide(policy, context={"k": text + "0"}) == "IMPLICIT_DENY"


def test_a_number_of_any_length_is_read() -> None:
    digits = "7" * 10_000
    policy = json.dumps(document({**ANY, "Condition": {"StringEquals": {"k": "@"}}}))
    assert decide(policy.replace('"@"', digits), context={"k": digits}) == "ALLOW"
    parsed = document({**ANY, "Condition": {"NumericEquals": {"k": 10**5000}}})
    assert decide(parsed, context={"k": "1e5000"}) == "ALLOW"


@pytest.mark.parametrize(
    ("changes", "unknown", "never"),
    [
        ({"condition": {}}, "unknown", "no"),  # GRAM-6: a restriction may hide in it
        ({"EFFECT": "Deny"}, "unknown", "no"),
        ({"Comment": "x"}, "yes", "yes"),
        ({"Sid": 7}, "yes", "yes"),  # GRAM-20: never affects evaluation
        ({"Effect": "allow"}, "unknown", "no"),  # GRAM-21
        ({"Effect": None}, "unknown", "no"),
        ({"Action": "*", "NotAction": "ec2:*"}, "unknown", "no"),  # GRAM-22
        ({"Resource": "*", "NotResource": []}, "unknown", "no"),
        ({"Principal": "*"}, "unknown", "no"),  # GRAM-40
        ({"NotPrincipal": "*"}, "unknown", "no"),
        ({"Action": 1}, "unknown", "no"),
        ({"Action": ["s3:*", 1]}, "unknown", "no"),
        ({"Action": None}, "unknown", "no"),
        ({"Resource": {}}, "unknown", "no"),
        ({"Action": []}, "no", "no"),  # GRAM-23
        ({"Resource": []}, "no", "no"),
        ({"NotAction": []}, "unknown", "no"),
        ({"NotResource": []}, "unknown", "no"),
        ({"Condition": {}}, "yes", "yes"),  # GRAM-24
        ({"Condition": {"StringEquals": {}}}, "yes", "yes"),
        ({"Condition": None}, "unknown", "no"),
        ({"Condition": []}, "unknown", "no"),
        ({"Condition": {"StringEquals": "x"}}, "unknown", "no"),
        ({"Condition": {"StringEquals": {"k": None}}}, "unknown", "no"),
        ({"Condition": {"StringEquals": {"k": {"a": "b"}}}}, "unknown", "no"),
        ({"Condition": {"StringNotEquals": {"k": [["x"]]}}}, "unknown", "no"),
        ({"Condition": {"Frobnicate": {"k": "x"}}}, "unknown", "no"),  # COND-7
        ({"Condition": {"Frobnicate": {}}}, "unknown", "no"),
    ],
)
def test_a_faulty_statement_matches_unknownly_or_never(
    changes: dict[str, Any], unknown: str, never: str
) -> None:
    assert match(changes) == unknown
    assert match(changes, invalid_statement="never") == never


@pytest.mark.parametrize("missing", ["Effect", "Action", "Resource"])
def test_a_missing_element_is_a_fault(missing: str) -> None:
    body = {name: value for name, value in ANY.items() if name != missing}
    assert decide(document(body)) == "UNDETERMINED"
    assert decide(document(body), options={"invalid_statement": "never"}) == "IMPLICIT_DENY"


@pytest.mark.parametrize(
    "policy",
    [{}, {"Version": "2012-10-17"}, {"Statement": None}, {"Statement": "x"}, {"Statement": 1},
     {"statement": [ANY]}, {"Statement": ["x"]}, {"Statement": [[ANY]]}],
)  # fmt: skip
def test_a_statement_that_cannot_be_read_may_do_anything(policy: Any) -> None:
    """GRAM-13; three-valued.md: unknown effect, action, resource and condition."""
    outcome = evaluate_identity([policy], action=ACTION, resource=OBJECT, context={})
    assert outcome.decision == "UNDETERMINED"
    assert outcome.reason == {"statement"}
    assert outcome.unknown_allow == outcome.unknown_deny == [(0, 0)]
    assert decide(policy, options={"invalid_statement": "never"}) == "IMPLICIT_DENY"


def test_an_unreadable_statement_leaves_its_neighbours_alone() -> None:
    assert decide({"Version": "2012-10-17", "Statement": ["x", ANY]}) == "UNDETERMINED"
    deny = {**ANY, "Effect": "Deny"}
    assert decide({"Version": "2012-10-17", "Statement": ["x", deny]}) == "EXPLICIT_DENY"


def test_an_empty_list_of_statements_says_nothing() -> None:
    """GRAM-13."""
    assert decide(document()) == "IMPLICIT_DENY"
    assert decide(document(), document(ANY)) == "ALLOW"


@pytest.mark.parametrize("version", ["2012-10-18", "", 2012, None, ["2012-10-17"]])
def test_a_bad_version_spoils_resource_and_condition(version: Any) -> None:
    """GRAM-10; three-valued.md: whether `${...}` is a variable is not known."""
    policy = {"Version": version, "Statement": {**ANY, "Action": "s3:*"}}
    assert decide(policy) == "UNDETERMINED"
    assert decide(policy, action="ec2:RunInstances") == "IMPLICIT_DENY"
    (state,) = statement_states([policy], action=ACTION, resource=OBJECT, context={})
    assert state.element_states == {
        "action": "yes",
        "resource": "unknown",
        "condition": "unknown",
    }


def test_element_names_of_a_document_are_case_sensitive() -> None:
    """GRAM-6: an unknown element of a document is ignored, so this one has no Version."""
    policy = {"version": "2012-10-17", "Id": 3, "Statement": {**ANY, "Resource": "arn:aws:s3:::$*"}}
    assert decide(policy, resource="arn:aws:s3:::${aws:x}") == "ALLOW"


def test_a_fault_elsewhere_leaves_other_actions_alone() -> None:
    """three-valued.md: a Deny on `s3:*` with an unknown operator leaves `ec2:` requests alone."""
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Oops": {"k": "v"}}}
    policies = (document(ANY), document(deny))
    assert decide(*policies) == "UNDETERMINED"
    assert decide(*policies, action="ec2:RunInstances") == "ALLOW"
    readable = {**deny, "Condition": {"Oops": {"k": "v"}, "StringEquals": {"k": "v"}}}
    assert decide(document(ANY), document(readable), context={"k": "w"}) == "ALLOW"


def test_an_unreadable_effect_counts_as_both_but_never_as_more_than_unknown() -> None:
    faulty = document({**ANY, "Effect": "Permit"})
    assert decide(faulty) == "UNDETERMINED"
    assert decide(faulty, document(ANY)) == "UNDETERMINED"
    assert decide(faulty, document({**ANY, "Effect": "Deny"})) == "EXPLICIT_DENY"


# ---------------------------------------------------------------------------------------------
# Actions


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "s3:GetObject", "yes"),
        ("**", "s3:GetObject", "yes"),
        ("*:*", "s3:GetObject", "yes"),
        ("**:Get*", "s3:GetObject", "yes"),
        ("*:Get*", "ec2:RunInstances", "no"),
        ("S3:gETobject", "s3:GetObject", "yes"),
        ("s3:get*", "S3:GETOBJECT", "yes"),
        ("s3:Get?bject", "s3:GetObject", "yes"),
        ("s3:*Object*", "s3:GetObject", "yes"),
        ("s3:GetObject?", "s3:GetObject", "no"),
        ("s3:*?", "s3:G", "yes"),
        ("s3:??*", "s3:G", "no"),
        ("s3*", "s3:GetObject", "no"),  # ACT-3: no colon
        ("?", "s3:GetObject", "no"),
        ("s*:GetObject", "s3:GetObject", "no"),
        ("s?:GetObject", "s3:GetObject", "no"),
        ("?:GetObject", "s:GetObject", "no"),
        ("*3:GetObject", "s3:GetObject", "no"),
        (":GetObject", "s3:GetObject", "no"),
        ("s3:", "s3:GetObject", "no"),
        ("", "s3:GetObject", "no"),
        (" s3:GetObject", "s3:GetObject", "no"),  # ACT-4
        ("s3:GetObject\n", "s3:GetObject", "no"),
        ("s3:Get *", "s3:GetObject", "no"),
        ("s3:a:b", "s3:a", "no"),
        ("s3:[G]etObject", "s3:GetObject", "no"),  # GLOB-1
        ("s3:${*}", "s3:GetObject", "no"),  # ACT-7
        ("s3:Get${x}", "s3:Get${x}", "yes"),
        ("s3:${*}", "s3:${aws.x}", "yes"),  # ordinary text around a wildcard
        ("s3:Get*", "s3:Get*", "yes"),  # ACT-8: ordinary in the request
        ("s3:GetO", "s3:Get*", "no"),
        ("\u212abc:x", "kbc:x", "no"),  # ACT-1: ASCII case only
        ("s3:\u0130", "s3:i\u0307", "no"),
        ("s3:?", "s3:\U0001f600", "yes"),  # GLOB-3
    ],
)
def test_action_patterns(pattern: str, action: str, expected: str) -> None:
    assert match({"Action": pattern}, action=action) == expected
    negated = {"yes": "no", "no": "yes"}[expected]
    assert match({"NotAction": pattern}, action=action) == negated  # ACT-3, ACT-5


def test_not_action_reaches_other_services() -> None:
    """ACT-6."""
    assert match({"NotAction": ["iam:*", "sts:*"]}) == "yes"
    assert match({"NotAction": ["iam:*", "s3:Get*"]}) == "no"


@pytest.mark.parametrize(
    "action", ["", "s3", ":", "s3:", ":x", "s3:a:b", "s3:Get Object", "s3:x\t", "s3:\u00a0x", "*"]
)
def test_a_request_action_is_service_and_name(action: str) -> None:
    """ACT-8: a request error, never a silent deny."""
    with pytest.raises(RequestFault):
        decide(document(ANY), action=action)


# ---------------------------------------------------------------------------------------------
# Resources


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("*", OBJECT, "yes"),
        ("**", "*", "yes"),
        ("*", "*", "yes"),
        ("arn:*", "*", "no"),  # RES-2
        ("arn:aws:s3:::*", "*", "no"),
        ("arn:*", OBJECT, "yes"),
        ("*?", OBJECT, "no"),  # RES-8
        ("?", "*", "no"),
        ("", "*", "no"),
        ("s3:::depot/*", OBJECT, "no"),
        ("ARN:aws:s3:::depot/*", OBJECT, "no"),
        (" arn:aws:s3:::depot/*", OBJECT, "no"),
        ("a*", OBJECT, "no"),
        ("arn?aws:s3:::depot/*", OBJECT, "no"),
        ("arn:aws:s3:::DEPOT/*", OBJECT, "no"),  # RES-5
        ("arn:aws:S3:::depot/*", OBJECT, "no"),
        ("arn:aws:s3:::depot/*", "arn:aws:s3:::depot/a:b", "yes"),  # sixth field
        ("arn:aws:s3:::depot/?", "arn:aws:s3:::depot/:", "yes"),
        ("arn:aws:s3:::depot/[a-z]*", OBJECT, "no"),
        ("arn:aws:s3:::b*", "arn:aws:s3:::b", "yes"),  # TRAP-18
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", "no"),
        ("arn:aws:s3:::b/??", "arn:aws:s3:::b/e\u0301", "yes"),  # GLOB-3: no normalisation
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/e\u0301", "no"),
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/\U0001f600", "yes"),
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/\ud83d", "yes"),  # a lone surrogate is a code point
        ("arn:aws:s3:::b/*z", "arn:aws:s3:::b/x\r\ny\nz", "yes"),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/*", "yes"),  # RES-12
        ("arn:aws:s3:::b/x", "arn:aws:s3:::b/?", "no"),
        ("arn:aws:sqs:*:111122223333:*", "arn:aws:sqs:us-east-1:111122223333:q", "yes"),
        ("arn:aws:sqs:us-?ast-*:*:q", "arn:aws:sqs:us-east-1:111122223333:q", "yes"),
    ],
)
def test_resource_patterns(pattern: str, resource: str, expected: str) -> None:
    for mode in ("span", "segment"):
        assert resource_match(pattern, resource, resource_glob=mode) == expected
    negated = {"yes": "no", "no": "yes"}[expected]
    assert match({"NotResource": pattern}, resource=resource) == negated  # RES-9, RES-10


QUEUE = "arn:aws:sqs:us-east-1:111122223333:jobs"


@pytest.mark.parametrize(
    ("pattern", "resource", "span", "segment"),
    [
        # The consequences that RES-4 lists.
        ("arn:aws:s3:*", "arn:aws:s3:::b/k", "yes", "yes"),
        ("arn:aws:dynamodb:*:table/prod-*",
         "arn:aws:dynamodb:us-east-1:111122223333:table/prod-x", "yes", "no"),
        ("arn:aws:logs:us-?ast-1:*", "arn:aws:logs:us-east-1:111122223333:g", "yes", "yes"),
        ("arn:aws:logs:us-?ast-1:1:g", "arn:aws:logs:us-:ast-1:1:g:x", "no", "no"),
        ("arn:aws:s3:*:*:accesspoint/x", "arn:aws:s3:::b/k:accesspoint/x", "yes", "no"),
        # A star inside a segment never crosses.
        ("arn:aws:s*t-1:111122223333:jobs", QUEUE, "no", "no"),
        ("arn:aws:sqs?us-east-1:111122223333:jobs", QUEUE, "no", "no"),
        ("arn:aws:sqs:us-*1:jobs", QUEUE, "no", "no"),
        # A star that ends a segment may cross any number of colons, or none.
        ("arn:*:1:jobs:*", QUEUE, "no", "no"),
        ("arn:*:111122223333:jobs*", QUEUE, "yes", "no"),
        ("arn:*:sqs:us-east-1:111122223333:jobs", QUEUE, "yes", "yes"),
        # Without a trailing star a short pattern is padded (RES-7) before anything crosses.
        ("arn:*:jobs", QUEUE, "no", "no"),
        ("arn:*:jobs", "arn:aws:sqs:r:1:jobs:x:y:z", "yes", "no"),
        ("arn:aws:sqs:us-*:111122223333:jobs", QUEUE, "yes", "yes"),
        ("arn:aws:sqs:*:*:*", "arn:aws:sqs:a:b:c:d:e", "yes", "yes"),
        ("arn:aws:sqs:*:b:c", "arn:aws:sqs:x:y:b:c", "yes", "no"),
        ("arn:aws:sqs:x*:b:c", "arn:aws:sqs:y:x:b:c", "no", "no"),
        # The very last character of the segment, as written.
        ("arn:aws:sqs:**:b:c", "arn:aws:sqs:x:y:b:c", "yes", "no"),
        ("arn:aws:sqs:?*:b:c", "arn:aws:sqs:x:y:b:c", "yes", "no"),
        ("arn:aws:sqs:*?:b:c", "arn:aws:sqs:x:y:b:c", "no", "no"),
        # `${*}` is a character and ends no segment.
        ("arn:aws:sqs:${*}:b:c", "arn:aws:sqs:x:y:b:c", "no", "no"),
        ("arn:aws:sqs:*${*}:b:c", "arn:aws:sqs:x:*:b:c", "no", "no"),
        # The sixth field is free in both modes.
        ("arn:aws:lambda:*:*:function:f", "arn:aws:lambda:r:1:function:f", "yes", "yes"),
        ("arn:aws:lambda:r:1:*:f", "arn:aws:lambda:r:1:function:g:f", "yes", "yes"),
        ("arn:aws:lambda:r:1:?:f", "arn:aws:lambda:r:1:::f", "yes", "yes"),
    ],
)  # fmt: skip
def test_only_a_star_that_ends_its_segment_crosses_colons(
    pattern: str, resource: str, span: str, segment: str
) -> None:
    """RES-3, RES-4."""
    assert resource_match(pattern, resource) == span
    assert resource_match(pattern, resource, resource_glob="segment") == segment


@pytest.mark.parametrize(
    ("pattern", "identity", "attached", "scp", "rcp"),
    [
        ("arn:aws:sqs", "yes", "no", "unknown", "unknown"),
        ("arn:aws:sqs:us-east-1", "yes", "no", "unknown", "unknown"),
        ("arn:aws:sqs:us-east-1:111122223333", "yes", "no", "unknown", "unknown"),
        ("arn:aws:sqs:eu-west-1", "no", "no", "unknown", "unknown"),
        ("arn:", "no", "no", "unknown", "unknown"),
        ("arn:*:sqs", "yes", "yes", "unknown", "unknown"),
        ("arn:aw?:sqs", "yes", "no", "unknown", "unknown"),
        ("arn:aws:sqs:*", "yes", "yes", "yes", "unknown"),
        ("arn:aws:s*", "yes", "yes", "yes", "unknown"),
        ("arn:aws:sqs:${*}", "no", "no", "unknown", "unknown"),
        ("arn:aws:sqs:*:*:*", "yes", "yes", "yes", "yes"),
    ],
)
def test_short_arns(pattern: str, identity: str, attached: str, scp: str, rcp: str) -> None:
    """RES-7 by policy type."""
    for policy_type in ("identity", "boundary", "session"):
        assert resource_match(pattern, QUEUE, policy_type=policy_type) == identity
    for policy_type in ("resource", "vpce"):
        statement = {"Resource": pattern, "Principal": "*"}
        assert match(statement, resource=QUEUE, policy_type=policy_type) == attached
    assert resource_match(pattern, QUEUE, policy_type="scp") == scp
    statement = {"Resource": pattern, "Principal": "*", "Effect": "Deny"}
    assert match(statement, resource=QUEUE, policy_type="rcp") == rcp


def test_segments_are_counted_before_substitution() -> None:
    """RES-7, VAR-12: colons of a value do not make a short ARN long."""
    context = {"aws:PrincipalTag/rest": ":us:1:q"}
    pattern = "arn:aws:sqs${aws:PrincipalTag/rest}"
    assert resource_match(pattern, "arn:aws:sqs:us:1:q", context=context) == "no"
    assert resource_match(pattern, "arn:aws:sqs:us:1:q:x:y:z", context=context) == "yes"


@pytest.mark.parametrize("resource", ["", "**", "arn:aws:s3", "arn:a:b:c:d", "s3:::b", "ARN:::::"])
def test_a_request_resource_is_a_star_or_an_arn(resource: str) -> None:
    """RES-12."""
    with pytest.raises(RequestFault):
        decide(document(ANY), resource=resource)


# ---------------------------------------------------------------------------------------------
# Variables


def bucket_match(pattern: str, name: str, **more: Any) -> str:
    """The pattern and the name stand in the sixth field."""
    return resource_match(f"arn:aws:s3:::{pattern}", f"arn:aws:s3:::{name}", **more)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("${aws:username}", "ana", "yes"),
        ("${AWS:UserName}", "ana", "yes"),  # VAR-4
        ("${ aws:username }", "ana", "yes"),  # VAR-11
        ("x${aws:username}y${aws:username}", "xanayana", "yes"),
        ("${aws:username, 'bob'}", "ana", "yes"),
        ("${aws:none, 'bob'}", "bob", "yes"),  # VAR-5
        ("${aws:none, 'b'o'b'}", "b'o'b", "yes"),
        ("${aws:none, 'a', 'b'}", "a', 'b", "yes"),
        ("${aws:none, ''}", "", "yes"),
        ("x${aws:none, '*'}", "x*", "yes"),  # the default is literal
        ("x${aws:none, '*'}", "xy", "no"),
        ("${aws:none , 'bob'}", "bob", "yes"),
        ("${aws:none,'bob'}", "bob", "no"),  # not comma + space
        ('${aws:none, "bob"}', "bob", "no"),
        ("${aws:none, 'bob}", "bob", "no"),
        ("${aws:none, '}", "", "no"),  # one quote cannot open and close
        ("${aws:none}", "", "no"),  # VAR-6
        ("${aws:none}*", "x", "no"),
        ("${aws:empty}", "", "no"),  # VAR-7
        ("${aws:empty, 'd'}", "d", "yes"),
        ("${aws:TagKeys}", "a", "no"),  # VAR-8
        ("${aws:TagKeys, 'd'}", "d", "yes"),
        ("${aws:star}", "*", "yes"),  # VAR-9
        ("${aws:star}", "x", "no"),
        ("${aws:star}*", "*x", "yes"),
        ("${username}", "ana", "no"),  # VAR-11: no colon, no key
        ("${username, 'd'}", "d", "yes"),
        ("${}", "", "no"),
        ("${}", "${}", "no"),
        ("${aws:username", "${aws:username", "yes"),  # no `}`: literal
        ("${aws:user*", "${aws:username", "yes"),
        ("$aws", "$aws", "yes"),
        ("$${aws:username}", "$ana", "yes"),
        ("${$}{aws:username}", "${aws:username}", "yes"),  # VAR-3
        ("${*}", "*", "yes"),
        ("${*}", "x", "no"),
        ("${?}", "?", "yes"),
        ("${ ? }", "?", "yes"),
        ("${${aws:username}}", "ana}", "no"),  # no nesting: the name is `${aws:username`
    ],
)
def test_variables_of_a_resource(pattern: str, name: str, expected: str) -> None:
    context = {
        "aws:username": "ana",
        "aws:empty": "",
        "aws:TagKeys": ["a"],
        "aws:star": "*",
        "username": "ana",
    }
    assert bucket_match(pattern, name, context=context) == expected


def test_without_the_2012_version_everything_is_literal() -> None:
    """VAR-2, GRAM-11: wildcards inside a would-be variable are wildcards."""
    context = {"aws:username": "ana"}
    for version in ("2008-10-17", None):
        given = {"version": version, "context": context}
        assert bucket_match("${aws:username}", "ana", **given) == "no"
        assert bucket_match("${aws:username}", "${aws:username}", **given) == "yes"
        assert bucket_match("${*}", "*", **given) == "no"
        assert bucket_match("${*}", "${anything}", **given) == "yes"
        assert bucket_match("${?}", "${?}", **given) == "yes"
        early = "arn:aws:sqs:${aws:region}:*:q"  # its colon is a colon
        assert resource_match(early, "arn:aws:sqs:${aws:region}:q", **given) == "no"
        assert resource_match(early, "arn:aws:sqs:${aws:region}:1:q", **given) == "yes"


@pytest.mark.parametrize(("option", "expected"), [("match", "yes"), ("nomatch", "no")])
def test_a_null_variable_in_not_resource(option: str, expected: str) -> None:
    """VAR-6, DIV-6."""
    listed = ["arn:aws:s3:::vault/*", "arn:aws:s3:::${aws:none}"]
    assert match({"NotResource": listed}, null_notresource=option) == expected
    assert match({"NotResource": listed[:1]}, null_notresource=option) == "yes"
    assert match({"NotResource": "arn:aws:s3:::*"}, null_notresource=option) == "no"


def test_variables_in_early_segments() -> None:
    """VAR-10."""
    account = {"aws:PrincipalAccount": "111122223333"}
    pattern = "arn:aws:sqs:*:${aws:PrincipalAccount}:jobs"
    for mode in ("span", "segment"):
        given = {"context": account, "resource_glob": mode}
        assert resource_match(pattern, QUEUE, **given) == "yes"
        assert resource_match(pattern, QUEUE, resource_early_vars="literal", **given) == "no"
    late = "arn:aws:sqs:*:*:${aws:PrincipalAccount}"
    assert (
        resource_match(
            late, "arn:aws:sqs:r:1:111122223333", context=account, resource_early_vars="literal"
        )
        == "yes"
    )
    # An entry that starts with a variable matches nothing, whatever its value (RES-8).
    whole = {"aws:PrincipalTag/arn": OBJECT}
    assert resource_match("${aws:PrincipalTag/arn}", OBJECT, context=whole) == "no"


def test_a_substituted_colon_makes_no_segment() -> None:
    """VAR-10: the star before it does not end its segment; the text still compares."""
    context = {"aws:PrincipalTag/t": ":x"}
    pattern = "arn:aws:sqs:*${aws:PrincipalTag/t}:q:z"
    assert resource_match(pattern, "arn:aws:sqs:us:x:q:z", context=context) == "yes"
    assert resource_match(pattern, "arn:aws:sqs:u:s:x:q:z", context=context) == "no"


# ---------------------------------------------------------------------------------------------
# Cost, options


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "a*" * 60 + "b", "?*" * 60, "*" * 300 + "b"])
def test_globs_do_not_blow_up(pattern: str) -> None:
    """GLOB-5."""
    started = time.perf_counter()
    assert bucket_match(pattern, "a" * 400) == ("yes" if pattern.startswith("?") else "no")
    assert time.perf_counter() - started < 5


def test_an_option_that_does_not_exist_is_refused() -> None:
    for options in ({"resource_globs": "span"}, {"resource_glob": "spam"}):
        with pytest.raises(ValueError, match="resource_glob"):
            decide(document(ANY), options=options)
