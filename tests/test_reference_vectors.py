"""Every vector of the specification, as written and after the transformations that change nothing.

docs/spec/vectors.jsonl holds the cases; EVAL-80 to EVAL-84 say what may be rearranged.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iamtables.reference import LAYER_RULES, RULES, evaluate, evaluate_identity

VECTORS_FILE = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
VECTORS = [json.loads(line) for line in VECTORS_FILE.read_text(encoding="utf-8").splitlines()]
BY_ID = {vector["id"]: vector for vector in VECTORS}
ORDER = ("scp", "rcp", "vpce", "resource", "identity", "boundary", "session", "root", "service")

POSITIVE = ("Action", "Resource", "Principal")

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])


def documents(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every policy document of a case."""
    policies = case["policies"]
    for name in ("identity", "boundary", "session", "vpce"):
        yield from policies.get(name) or []
    for name in ("scps", "rcps"):
        for level in policies.get(name) or []:
            yield from level
    if policies.get("resource") is not None:
        yield policies["resource"]


def statements_of(document: dict[str, Any]) -> list[Any]:
    listed = document["Statement"]
    return listed if isinstance(listed, list) else [listed]


def rewritten(case: dict[str, Any], change: Callable[[list[Any]], list[Any]]) -> dict[str, Any]:
    """The case with the list of statements of every document replaced."""
    case = copy.deepcopy(case)
    for document in documents(case):
        document["Statement"] = change(statements_of(document))
    return case


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same JSON value with every list and every object in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(element, rng)) for key, element in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        elements = [shuffled(element, rng) for element in value]
        rng.shuffle(elements)
        return elements
    return value


def split(statement: Any) -> list[Any]:
    """Single-valued statements that say the same: positive lists only (EVAL-81)."""
    if not isinstance(statement, dict) or "Effect" not in statement:
        return [statement]
    for name in POSITIVE:
        value = statement.get(name)
        if name == "Principal" and isinstance(value, dict):
            pairs = [
                (kind, entry)
                for kind, listed in value.items()
                for entry in (listed if isinstance(listed, list) else [listed])
            ]
            if len(pairs) > 1:
                return [
                    part
                    for kind, entry in pairs
                    for part in split({**statement, name: {kind: entry}})
                ]
        if isinstance(value, list) and len(value) > 1:
            return [part for entry in value for part in split({**statement, name: entry})]
    for operator, keys in (statement.get("Condition") or {}).items():
        if "Not" in operator or operator.startswith("ForAllValues"):
            continue
        for key, values in keys.items():
            if isinstance(values, list) and len(values) > 1:
                parts = []
                for value in values:
                    condition = copy.deepcopy(statement["Condition"])
                    condition[operator][key] = value
                    parts += split({**statement, "Condition": condition})
                return parts
    return [statement]


@each_vector
def test_a_vector_has_the_outcome_it_expects(vector: dict[str, Any]) -> None:
    outcome = evaluate(vector)
    assert outcome.result == vector["expect"], vector["why"]
    assert outcome.reason == frozenset()


@each_vector
def test_deciders_are_named_in_order_and_fit_the_outcome(vector: dict[str, Any]) -> None:
    outcome = evaluate(vector)
    assert outcome.deciders
    assert sorted(outcome.deciders, key=ORDER.index) == list(outcome.deciders)
    granting = {"identity", "resource", "root", "service"}
    if vector["expect"] == "Allowed":
        assert set(outcome.deciders) <= granting
    elif vector["expect"] == "ExplicitlyDenied":
        assert set(outcome.deciders) <= set(ORDER) - {"root", "service"}
    else:
        assert "root" not in outcome.deciders


@each_vector
def test_order_changes_nothing(vector: dict[str, Any]) -> None:
    """EVAL-80, GRAM-3: documents, statements, list values, keys, levels too."""
    rng = random.Random(vector["id"])
    for _ in range(3):
        case = {**vector, "policies": shuffled(vector["policies"], rng)}
        outcome = evaluate(case)
        assert (outcome.result, outcome.deciders) == (
            vector["expect"],
            evaluate(vector).deciders,
        )


@each_vector
def test_documents_as_text_decide_like_documents_as_objects(vector: dict[str, Any]) -> None:
    policies = vector["policies"]
    as_text = {
        "resource": policies.get("resource") and json.dumps(policies["resource"]),
        **{
            name: [json.dumps(document) for document in policies.get(name) or []]
            for name in ("identity", "boundary", "session", "vpce")
        },
        **{
            name: [[json.dumps(document) for document in level] for level in policies[name]]
            for name in ("scps", "rcps")
        },
    }
    assert evaluate({**vector, "policies": as_text}) == evaluate(vector)


@each_vector
def test_splitting_positive_lists_changes_nothing(vector: dict[str, Any]) -> None:
    """EVAL-81."""
    case = rewritten(vector, lambda listed: [part for body in listed for part in split(body)])
    assert evaluate(case).result == vector["expect"]


@each_vector
def test_brackets_around_one_value_change_nothing(vector: dict[str, Any]) -> None:
    """GRAM-4."""

    def with_brackets(body: Any) -> Any:
        body = copy.deepcopy(body)
        for name in ("Action", "NotAction", "Resource", "NotResource"):
            if isinstance(body.get(name), str):
                body[name] = [body[name]]
        for keys in (body.get("Condition") or {}).values():
            for key, value in keys.items():
                keys[key] = value if isinstance(value, list) else [value]
        return body

    case = rewritten(vector, lambda listed: [with_brackets(body) for body in listed])
    assert evaluate(case).result == vector["expect"]


@each_vector
def test_every_action_is_listed_or_not_listed(vector: dict[str, Any]) -> None:
    """EVAL-82: an Allow of `Action: [a]` and one of `NotAction: [a]` are one of `Action: "*"`."""

    def both(body: Any) -> list[Any]:
        if body.get("Effect") != "Allow" or body.get("Action") != "*":
            return [body]
        other = {key: value for key, value in body.items() if key != "Action"}
        return [{**body, "Action": ["s3:Get*"]}, {**other, "NotAction": ["s3:Get*"]}]

    case = copy.deepcopy(vector)
    for name in ("identity", "boundary", "session"):
        for document in case["policies"].get(name) or []:
            document["Statement"] = [p for body in statements_of(document) for p in both(body)]
    outcome = evaluate(case)
    assert (outcome.result, outcome.deciders) == (vector["expect"], evaluate(vector).deciders)


def with_resource_policy(case: dict[str, Any], policy: Any) -> dict[str, Any]:
    return {**case, "policies": {**case["policies"], "resource": policy}}


def needs_resource_policy(vector: dict[str, Any]) -> bool:
    """Across accounts (EVAL-33), to assume a role or to use a key."""
    rules: set[str] = set()
    evaluate(with_resource_policy(vector, None), rules=rules)
    return bool(rules & {"EVAL-33", "EVAL-40", "EVAL-41", "EVAL-42", "EVAL-44"})


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if not needs_resource_policy(v)], ids=lambda v: v["id"]
)
def test_an_empty_resource_policy_is_like_none(vector: dict[str, Any]) -> None:
    """EVAL-83, in the same account, where the resource needs no policy of its own."""
    empty = {"Version": "2012-10-17", "Statement": []}
    assert evaluate(with_resource_policy(vector, empty)) == evaluate(
        with_resource_policy(vector, None)
    )


@each_vector
def test_span_mode_matches_whatever_segment_mode_matches(vector: dict[str, Any]) -> None:
    """EVAL-84 on the Allows of the identity layer: more matches, never fewer."""
    request, policies = vector["request"], vector["policies"]["identity"]
    given = {name: request[name] for name in ("action", "resource", "context")}
    options = {"invalid_statement": "never"}
    span, segment = (
        evaluate_identity(policies, **given, options={**options, "resource_glob": mode})
        for mode in ("span", "segment")
    )
    assert set(segment.matched_allow) <= set(span.matched_allow) or any(
        "NotResource" in body for document in policies for body in statements_of(document)
    )


@each_vector
def test_adding_a_deny_of_everything_denies_all_but_the_unconditional(
    vector: dict[str, Any],
) -> None:
    """EVAL-72: a Deny never opens anything."""
    case = copy.deepcopy(vector)
    deny = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*"}}
    deny["Statement"]["Resource"] = "*"  # type: ignore[index]
    case["policies"]["identity"] = [*(case["policies"]["identity"] or []), deny]
    before, after = evaluate(vector), evaluate(case)
    if before.result != "Allowed":
        assert after.result != "Allowed"
    elif "service" not in before.deciders and "identity" in before.deciders:
        assert after.result == "ExplicitlyDenied"


def test_the_deciders_of_single_vectors() -> None:
    """EVAL-1, EVAL-70, EVAL-71, by hand."""
    expected = {
        "eval-2-1": ("identity",),
        "eval-20-2": ("boundary",),
        "eval-20-5": ("session",),
        "eval-20-6": ("identity",),
        "eval-21-1": ("session",),
        "eval-22-2": ("boundary",),
        "eval-24-1": ("resource",),
        "eval-24-2": ("identity", "boundary"),
        "eval-26-2": ("identity",),
        "eval-30-1": ("resource", "identity"),
        "eval-30-3": ("identity",),
        "eval-33-1": ("resource",),
        "eval-5-1": ("resource",),
        "eval-17-2": ("scp",),
        "eval-17-5": ("identity",),
        "eval-18-2": ("rcp",),
        "eval-19-2": ("vpce",),
        "eval-40-4": ("resource",),
        "eval-42-1": ("resource",),
        "eval-44-1": ("resource",),
        "eval-50-1": ("root",),
        "eval-51-1": ("resource",),
        "eval-58-1": ("resource",),
        "eval-11-1": ("service",),
        "eval-12-1": ("service",),
        "prin-14-1": ("resource",),
        "eval-15-2": ("session",),
    }
    found = {name: evaluate(BY_ID[name]).deciders for name in expected}
    assert found == expected


def test_the_endpoint_policy_may_be_called_endpoint() -> None:
    for name in ("eval-19-2", "eval-19-3", "eval-61-1"):
        case = copy.deepcopy(BY_ID[name])
        case["policies"]["endpoint"] = case["policies"].pop("vpce")
        assert evaluate(case) == evaluate(BY_ID[name])


def test_vectors_use_only_declared_rules() -> None:
    """A rule that is recorded but not declared raises KeyError; here: the sets are disjoint."""
    assert not RULES & LAYER_RULES
    used: set[str] = set()
    for vector in VECTORS:
        evaluate(vector, rules=used)
    assert used <= RULES | LAYER_RULES
    # What is left needs requests or documents that no vector holds; test_reference_units has them.
    assert len((RULES | LAYER_RULES) - used) < 30
