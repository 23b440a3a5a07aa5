"""Unknown keys, unknown resources and unreadable statements in the reference.

docs/design/three-valued.md, table by table; then small worlds in which every completion of the
unknowns is tried.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import random
from functools import partial
from typing import Any

import pytest
from test_reference_units import ACTION, ANY, OBJECT, document, match

from iamtables.reference import UNKNOWN, evaluate, evaluate_identity, statement_states

KEY = "k:k"


def outcome(*statements: Any, **request: Any) -> Any:
    given = {"action": ACTION, "resource": OBJECT, "context": {}, **request}
    return evaluate_identity([document(*statements)], **given)


def test_unknown_is_one_value() -> None:
    assert repr(UNKNOWN) == "UNKNOWN"
    assert copy.deepcopy({"a": [UNKNOWN]})["a"][0] is UNKNOWN
    assert pickle.loads(pickle.dumps(UNKNOWN)) is UNKNOWN


# ---------------------------------------------------------------------------------------------
# Elements


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"Resource": "*"}, "yes"),
        ({"Resource": ["arn:aws:s3:::b", "**"]}, "yes"),
        ({"Resource": "arn:aws:s3:::b"}, "unknown"),
        ({"Resource": "arn:*"}, "unknown"),
        ({"Resource": ["x", "arn:aws:s3:::b"]}, "unknown"),
        ({"Resource": []}, "no"),
        ({"Resource": ["x", "s3:*", "?*"]}, "no"),  # void by RES-8
        ({"Resource": "arn:aws:s3:::${aws:none}"}, "unknown"),
        ({"Resource": "arn:aws:${aws:none}:::b"}, "unknown"),
        ({"NotResource": "*"}, "no"),
        ({"NotResource": ["arn:aws:s3:::b", "*"]}, "no"),
        ({"NotResource": "arn:aws:s3:::b"}, "unknown"),
        ({"NotResource": ["x", "?*"]}, "yes"),
    ],
)
def test_an_unknown_resource(element: dict[str, Any], expected: str) -> None:
    assert match(element, resource=None) == expected
    early = "aws:${" in str(element)
    literal = match(element, resource=None, resource_early_vars="literal")
    assert literal == ("no" if early else expected)  # VAR-10: void under that option


def test_short_arns_of_attached_policies_are_void_for_an_unknown_resource_too() -> None:
    """RES-7."""
    for policy_type, expected in (("resource", "no"), ("vpce", "no"), ("identity", "unknown")):
        statement = {"Resource": "arn:aws:sqs", **({"Principal": "*"} if expected == "no" else {})}
        assert match(statement, resource=None, policy_type=policy_type) == expected
    assert match({"Principal": "*", "Resource": []}, resource=None, policy_type="resource") == "no"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["arn:aws:s3:::depot/${k:k}"], "unknown"),
        (["arn:aws:s3:::elsewhere/${k:k}"], "no"),  # not even with `*` in its place
        (["arn:aws:s3:::d${k:k}/in/${k:k}"], "unknown"),
        (["arn:aws:sqs:*${k:k}"], "no"),
        (["arn:aws:${k:k}:depot/in/*"], "unknown"),  # its text may hold colons
        (["arn:aws:s3:::depot/${k:k, 'd'}"], "unknown"),
        (["arn:aws:s3:::${aws:none}${k:k}"], "unknown"),
        (["arn:aws:s3:::depot/${k:k}", "*"], "yes"),
        (["arn:aws:s3:::depot/${k:k}", "arn:aws:s3:::depot/*"], "yes"),
        (["arn:aws:s3:::depot/${k:k}", "arn:aws:s3:::b"], "unknown"),
        (["${k:k}"], "no"),  # void by RES-8
        (["arn:aws:s3:::depot/${K:K}"], "unknown"),
        (["arn:aws:s3:::depot/${$}{k:k}"], "no"),
        (["arn:aws:s3:::${plain}"], "no"),  # VAR-11: no key, so null and not unknown
        (["arn:aws:s3:::${plain, 'depot'}/in/a.txt"], "yes"),
    ],
)
def test_an_unknown_variable_in_a_resource(patterns: list[str], expected: str) -> None:
    context = {KEY: UNKNOWN, "plain": UNKNOWN}
    assert match({"Resource": patterns}, context=context) == expected
    negated = {"yes": "no", "no": "yes"}.get(expected, expected)
    assert match({"NotResource": patterns}, context=context) == negated
    assert match({"Resource": patterns}, context=context, version="2008-10-17") != "unknown"


def test_a_null_variable_that_spoils_must_not_go_unnoticed() -> None:
    """RES-2, VAR-6: with `nomatch`, what the pattern cannot match is not all that counts."""
    for resource, pattern in (
        ("*", "arn:aws:s3:::${k:k}"),
        (OBJECT, "arn:aws:s3:::elsewhere/${k:k}"),
    ):
        given = {"resource": resource, "context": {KEY: UNKNOWN}}
        for option in ("match", "nomatch"):
            assert match({"Resource": pattern}, null_notresource=option, **given) == "no"
        assert match({"NotResource": pattern}, **given) == "yes"
        assert match({"NotResource": pattern}, null_notresource="nomatch", **given) == "unknown"


@pytest.mark.parametrize(
    "operator",
    ["StringEquals", "StringNotEquals", "StringLikeIfExists", "Null", "ForAllValues:StringEquals",
     "ForAnyValue:StringNotEqualsIfExists", "NumericLessThan", "Bool", "ArnNotLike",
     "NotIpAddress"],
)  # fmt: skip
def test_a_condition_on_an_unknown_key_is_unknown(operator: str) -> None:
    for values in ("true", ["true", "x"], "*" if operator != "Null" else "false"):
        condition = {operator: {KEY: values}}
        assert match({"Condition": condition}, context={KEY: UNKNOWN}) == "unknown"
        assert match({"Condition": condition}, context={"K:K": UNKNOWN}) == "unknown"
        assert match({"Condition": condition}, context={KEY: ["a", UNKNOWN]}) == "unknown"
        assert match({"Condition": condition}, context={"k:other": UNKNOWN}) != "unknown"


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("Null", ["true", "FALSE"], "yes"),
        ("Null", ["true", "True"], "unknown"),
        ("Null", [], "no"),
        ("Null", "x", "no"),
        ("ForAllValues:Null", ["true", "false"], "yes"),
        ("StringEquals", [], "no"),
        ("Bool", [], "no"),
        ("ForAnyValue:StringEquals", [], "no"),
        ("StringEqualsIfExists", [], "unknown"),
        ("ForAllValues:StringEquals", [], "unknown"),
        ("StringNotEquals", [], "unknown"),  # false for several values (COND-26)
    ],
)
def test_entries_that_are_the_same_for_every_value_of_an_unknown_key(
    operator: str, values: Any, expected: str
) -> None:
    condition = {operator: {KEY: values}}
    assert match({"Condition": condition}, context={KEY: UNKNOWN}) == expected
    if expected != "unknown":
        for value in DOMAIN:
            assert match({"Condition": condition}, context={KEY: value}) == expected


def test_a_condition_is_unknown_when_a_variable_of_its_values_is() -> None:
    context = {KEY: "a", "k:v": UNKNOWN}
    for operator, values, expected in (
        ("StringEquals", "${k:v}", "unknown"),
        ("StringEquals", ["a", "${k:v}"], "unknown"),  # the whole entry, not value by value
        ("StringEquals", "${K:V, 'a'}", "unknown"),
        ("ArnLike", "${k:v}", "unknown"),
        ("Bool", "${k:v}", "unknown"),
        ("NumericEquals", "${k:v}", "no"),  # literal text there (VAR-1)
        ("StringEquals", "${k:v", "no"),
        ("StringEquals", "${*}", "no"),
    ):
        condition = {operator: {KEY: values}}
        assert match({"Condition": condition}, context=context) == expected
        old = match({"Condition": condition}, context=context, version="2008-10-17")
        assert old != "unknown"
    absent = {"Condition": {"StringEquals": {"k:none": "${k:v}"}}}
    assert match(absent, context=context) == "unknown"


def test_one_no_is_enough_whatever_is_unknown_beside_it() -> None:
    """Kleene's and, in every order of the elements and entries."""
    entries = [
        ("StringEquals", {"k:a": "x"}),  # no
        ("StringLike", {"k:u": "*"}),  # unknown
        ("Oops", {"k:a": "x"}),  # unknown
        ("StringNotEquals", {"k:a": "x"}),  # yes
    ]
    context = {"k:a": "y", "k:u": UNKNOWN}
    for length in range(5):
        for chosen in itertools.permutations(entries, length):
            names = {operator for operator, _ in chosen}
            if "StringEquals" in names:
                expected = "no"
            elif names & {"Oops", "StringLike"}:
                expected = "unknown"
            else:
                expected = "yes"
            assert match({"Condition": dict(chosen)}, context=context) == expected
    for element in ({"Action": "ec2:*"}, {"Resource": "arn:aws:s3:::b"}):
        statement = {**element, "Condition": dict(entries[1:])}
        assert match(statement, context=context) == "no"


# ---------------------------------------------------------------------------------------------
# The decision


def deny(state: str) -> list[Any]:
    condition = {"unknown": {"StringEquals": {KEY: "x"}}, "no": {"Null": {"k:a": "false"}}}
    return [{**ANY, "Effect": "Deny", "Condition": condition.get(state, {})}]


def allow(state: str) -> list[Any]:
    return [{**deny(state)[0], "Effect": "Allow"}]


@pytest.mark.parametrize(
    ("denies", "allows", "decision"),
    [
        ("yes", "yes", "EXPLICIT_DENY"),
        ("yes", "unknown", "EXPLICIT_DENY"),
        ("yes", "no", "EXPLICIT_DENY"),
        ("no", "yes", "ALLOW"),
        ("no", "no", "IMPLICIT_DENY"),
        ("unknown", "no", "IMPLICIT_DENY"),
        ("no", "unknown", "UNDETERMINED"),
        ("unknown", "yes", "UNDETERMINED"),
        ("unknown", "unknown", "UNDETERMINED"),
    ],
)
def test_the_decision_table(denies: str, allows: str, decision: str) -> None:
    context = {KEY: UNKNOWN}
    for statements in (
        deny(denies) + allow(allows),
        allow(allows) + deny(denies),
        deny("no") + deny(denies) + allow("no") + allow(allows),
    ):
        found = outcome(*statements, context=context)
        assert found.decision == decision
        assert bool(found.reason) == (decision == "UNDETERMINED")
        separate = evaluate_identity(
            [document(s) for s in statements], action=ACTION, resource=OBJECT, context=context
        )
        assert (separate.decision, separate.reason) == (found.decision, found.reason)


def test_statements_are_listed_by_state() -> None:
    found = outcome(
        *allow("yes"), *deny("unknown"), *allow("unknown"), *deny("no"), {**ANY, "Effect": "?"},
        context={KEY: UNKNOWN},
    )  # fmt: skip
    assert found.matched_allow == found.statements.matched_allow == [(0, 0)]
    assert found.matched_deny == []
    assert found.unknown_allow == [(0, 2), (0, 4)]
    assert found.unknown_deny == [(0, 1), (0, 4)]
    assert found.result == "Undetermined"
    assert found.deciders == ()


def test_the_reason_names_all_that_is_unknown_in_the_statements() -> None:
    condition = {"StringEquals": {"K:Own": "${K:Var}${aws:none}"}, "Null": {"k:known": "false"}}
    statement = {**ANY, "Resource": "arn:aws:s3:::${k:res}", "Condition": condition}
    context = {"k:own": UNKNOWN, "k:VAR": UNKNOWN, "k:res": UNKNOWN, "k:known": "x",
               "k:elsewhere": UNKNOWN}  # fmt: skip
    assert outcome(statement, context=context).reason == {"k:own", "k:var", "k:res"}
    found = outcome(statement, context=context, resource=None)
    assert found.reason == {"k:own", "k:var", "k:res", "resource"}
    faulty = {**ANY, "Effect": "Deny", "Condition": {"Oops": {}}}
    found = outcome(statement, faulty, context=context)
    assert found.reason == {"k:own", "k:var", "k:res", "statement"}
    # A statement that does not match has no part in it.
    other = {**statement, "Action": "ec2:*"}
    assert outcome(ANY, other, context=context).reason == frozenset()


def test_element_states_say_what_is_unknown() -> None:
    statement = {
        "Effect": "Permit", "Action": "ec2:*", "Resource": "arn:aws:s3:::b", "Principal": "*",
        "Condition": {"StringEquals": {KEY: "x"}},
    }  # fmt: skip
    (state,) = statement_states(
        [document(statement)], action=ACTION, resource=None, context={KEY: UNKNOWN}
    )
    assert state.element_states == {
        "effect": "unknown",
        "statement": "unknown",
        "action": "no",
        "resource": "unknown",
        "condition": "unknown",
    }
    assert state.state == "no"
    assert state.effect is None


# ---------------------------------------------------------------------------------------------
# Small worlds: every completion of the unknowns

DOMAIN: tuple[Any, ...] = (None, "", "a", "b", "*", ["a"], ["a", "b"], [], [""])
RESOURCES = ("*", "arn:aws:s3:::a", "arn:aws:s3:::b", "arn:aws:s3:::*", "arn:aws:sqs:r:1:q:a")


def random_statement(rng: random.Random) -> dict[str, Any]:
    values = ["a", "b", "*", "", "${k:k}", "${k:l, 'a'}", "${*}", "x${k:none}"]
    operators = [
        "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists",
        "Null", "ForAllValues:StringEquals", "ForAnyValue:StringNotEquals", "NumericNotEquals",
        "ForAnyValue:StringLikeIfExists", "Oops",
    ]  # fmt: skip
    condition = {
        rng.choice(operators): {
            rng.choice(["k:k", "K:L"]): [rng.choice(values) for _ in range(rng.randint(0, 2))]
        }
        for _ in range(rng.choice([0, 1, 1, 2]))
    }
    if rng.random() < 0.2:
        condition = {"Null": {KEY: rng.choice(["true", "false"])}}
    patterns = [
        "*", "arn:aws:s3:::a", "arn:aws:s3:::${k:k}", "arn:aws:s3:::${k:l, 'b'}", "x", "arn:aws:s*",
    ]  # fmt: skip
    name = rng.choice(["Resource", "Resource", "NotResource"])
    return {
        "Effect": rng.choice(["Allow", "Deny"]),
        "Action": rng.choice(["*", "s3:*", "ec2:*"]),
        name: [rng.choice(patterns) for _ in range(rng.randint(1, 2))],
        "Condition": condition,
    }


def completions(resource: str | None, context: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Every request that this one may turn out to be."""
    unknown = [key for key, value in context.items() if value is UNKNOWN]
    return [
        (one, {**context, **dict(zip(unknown, values, strict=True))})
        for one in (RESOURCES if resource is None else [resource])
        for values in itertools.product(DOMAIN, repeat=len(unknown))
    ]


def ask_about(policy: Any, options: dict[str, str], resource: Any, context: Any) -> Any:
    return evaluate_identity(
        [policy], action=ACTION, resource=resource, context=context, options=options
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_determined_answer_is_right_for_every_completion(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        policy = document(*[random_statement(rng) for _ in range(rng.randint(1, 3))])
        resource = rng.choice([None, *RESOURCES])
        context = {key: rng.choice([UNKNOWN, UNKNOWN, *DOMAIN]) for key in ("k:k", "k:l")}
        options = {
            "null_notresource": rng.choice(["match", "nomatch"]),
            "resource_early_vars": rng.choice(["substitute", "literal"]),
        }

        ask = partial(ask_about, policy, options)
        found = ask(resource, context)
        possible = {ask(*completion).decision for completion in completions(resource, context)}
        if found.decision == "IMPLICIT_DENY":
            assert possible <= {"IMPLICIT_DENY", "EXPLICIT_DENY"}
        elif found.decision != "UNDETERMINED":
            assert possible == {found.decision}
        if found.decision == "UNDETERMINED" and "statement" not in found.reason:
            assert found.reason
            assert "UNDETERMINED" not in possible
            # Whatever the other unknowns are, the reason made known settles the row.
            named = {k: "a" if k in found.reason else v for k, v in context.items()}
            one = "arn:aws:s3:::a" if "resource" in found.reason else resource
            assert ask(one, named).decision != "UNDETERMINED"


# ---------------------------------------------------------------------------------------------
# All layers

CASE: dict[str, Any] = {
    "policies": {"identity": [document(ANY)], "resource": None, "boundary": [], "session": [],
                 "scps": [], "rcps": []},
    "request": {"principal": "arn:aws:iam::111122223333:user/ana", "action": ACTION,
                "resource": OBJECT, "resource_account": "111122223333",
                "context": {KEY: UNKNOWN}},
}  # fmt: skip


def with_policies(**policies: Any) -> dict[str, Any]:
    return {**CASE, "policies": {**CASE["policies"], **policies}}


def test_the_two_passes_over_all_layers() -> None:
    """Allowed if the pessimistic pass says so, denied if the optimistic one does."""
    maybe_allow, maybe_deny = document(*allow("unknown")), document(*deny("unknown"))
    for policies, result, deciders in (
        ({}, "Allowed", ("identity",)),
        ({"scps": [[maybe_allow]]}, "Undetermined", ()),
        ({"scps": [[document(ANY)], [maybe_allow]]}, "Undetermined", ()),
        ({"scps": [[document(ANY), maybe_deny]]}, "Undetermined", ()),
        ({"scps": [[document(ANY), maybe_deny], []]}, "ImplicitlyDenied", ("scp",)),
        ({"boundary": [maybe_allow]}, "Undetermined", ()),
        ({"boundary": [maybe_deny]}, "ImplicitlyDenied", ("boundary",)),
        ({"identity": [maybe_allow]}, "Undetermined", ()),
        ({"identity": [maybe_deny]}, "ImplicitlyDenied", ("identity",)),
        ({"identity": [maybe_deny, document(*deny("yes"))]}, "ExplicitlyDenied", ("identity",)),
    ):
        found = evaluate(with_policies(**policies))
        assert (found.result, found.deciders) == (result, deciders)
        assert found.reason == ({KEY} if result == "Undetermined" else set())


def test_statements_nobody_can_read_in_a_layer() -> None:
    faulty = document({**ANY, "Effect": "Deny", "Condition": {"Oops": {}}})
    for invalid, result in (("never", "Allowed"), ("unknown", "Undetermined")):
        case = {**with_policies(scps=[[document(ANY), faulty]])}
        case["options"] = {"invalid_statement": invalid}
        assert evaluate(case).result == result
    assert evaluate(with_policies(scps=[[document(ANY), faulty]])).result == "Allowed"  # VEC-2


def test_an_unknown_resource_in_all_layers() -> None:
    """What depends on the resource is tried both ways: one account or two, a key or none."""
    request = {**CASE["request"], "resource": None, "context": {}}
    del request["resource_account"]
    found = evaluate({**CASE, "request": request})
    assert found.result == "Undetermined"  # across accounts a resource policy is needed
    assert found.reason == {"resource"}
    own = {**request, "resource_account": "111122223333"}
    assert evaluate({**CASE, "request": own}).result == "Allowed"
    decrypt = {**own, "action": "kms:Decrypt"}
    assert evaluate({**CASE, "request": decrypt}).result == "Undetermined"
    assume = {**own, "action": "sts:AssumeRole"}
    assert evaluate({**CASE, "request": assume}).result == "Undetermined"
    nothing = {**with_policies(identity=[]), "request": decrypt}
    assert evaluate(nothing).result == "ImplicitlyDenied"
    denied = {**with_policies(scps=[[document(*deny("yes"))]]), "request": request}
    assert evaluate(denied).result == "ExplicitlyDenied"


def test_unknown_keys_that_say_who_the_requester_is() -> None:
    """PRIN-4, PRIN-10, EVAL-52."""
    session = "arn:aws:sts::111122223333:assumed-role/Deploy/run-7"
    grant = document({**ANY, "Principal": {"AWS": "arn:aws:iam::111122223333:role/ci/Deploy"}})
    case = with_policies(identity=[], resource=grant)
    request = {**CASE["request"], "principal": session, "context": {}}
    assert evaluate({**case, "request": request}).result == "Allowed"
    hidden = {**request, "context": {"aws:PrincipalArn": UNKNOWN}}
    found = evaluate({**case, "request": hidden})
    assert (found.result, found.reason) == ("Undetermined", {"aws:principalarn"})
    issued = {**hidden, "issuer_arn": "arn:aws:iam::111122223333:role/ci/Deploy"}
    assert evaluate({**case, "request": issued}).result == "Allowed"

    by_id = document({**ANY, "Effect": "Deny", "Principal": {"AWS": "AROAEXAMPLE"}})
    request = {**request, "context": {"aws:userid": UNKNOWN}}
    found = evaluate({**with_policies(resource=by_id), "request": request})
    assert (found.result, found.reason) == ("Undetermined", {"aws:userid"})

    root = {**request, "principal": "arn:aws:iam::111122223333:root",
            "context": {"aws:AssumedRoot": UNKNOWN}}  # fmt: skip
    found = evaluate({**with_policies(), "request": root})
    assert (found.result, found.reason) == ("Undetermined", {"aws:assumedroot"})
