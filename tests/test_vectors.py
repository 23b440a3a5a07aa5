"""The executable examples of the semantics (docs/spec/vectors.jsonl), identity policies only.

Every vector goes through the reference evaluator, `check`, `decide` and a saved-and-reopened
table, as written and after the transformations of EVAL-80 and EVAL-81 (VEC-4). What the identity
policies answer is then put into the frame of the requester (section 5), since a few vectors have
a root user, a foreign account or a KMS key.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from generator import Obj, Raw, Request, emit
from judging import check, columns, compile_texts, reopened

import iamtables
from iamtables.reference import LAYER_RULES, RULES, UNKNOWN, evaluate
from iamtables.requester import conclude, frames

_VECTORS = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
_LAYERS = ("boundary", "session", "scps", "rcps", "vpce", "resource")


def _is_identity_only(vector: dict[str, Any]) -> bool:
    return not any(vector["policies"].get(layer) for layer in _LAYERS)


def _in_policy(pairs: list[tuple[str, Any]]) -> bool:
    """Whether this object is part of a policy, and not one of the vector's own."""
    return not {key for key, _ in pairs} & {"identity", "policies"}


VECTORS = [vector for line in _VECTORS.read_text("ascii").splitlines()
           if _is_identity_only(vector := json.loads(line))]
TREES = {
    tree["id"]: tree["policies"]["identity"]
    for line in _VECTORS.read_text("ascii").splitlines()
    for tree in [json.loads(
        line, parse_int=Raw, parse_float=Raw,
        object_pairs_hook=lambda pairs: Obj(pairs) if _in_policy(pairs) else dict(pairs))]
}
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])


def policies_of(vector: dict[str, Any]) -> list[str]:
    """The policies as JSON text, numbers and duplicate keys as they are in the file."""
    return [emit(tree) for tree in TREES[vector["id"]]]


@cache
def table_of(texts: tuple[str, ...], options: tuple[tuple[str, str], ...]) -> iamtables.Table:
    return compile_texts(texts, {"invalid_statement": "never", **dict(options)})


def result_of(vector: dict[str, Any], identity: int) -> str:
    """The outcome of the request, given what the identity policies decide."""
    given = vector["request"]
    possible = frames(principal=given["principal"], action=given["action"],
                      resource=given["resource"], resource_account=given.get("resource_account"),
                      principal_type=given.get("principal_type"))
    return conclude(possible, identity).result


def request_of(vector: dict[str, Any]) -> Request:
    given = vector["request"]
    return Request(given["action"], given["resource"], given["context"])


def options_of(vector: dict[str, Any]) -> dict[str, str]:
    return dict(vector.get("options", {}))


def answers(vector: dict[str, Any], texts: list[str]) -> dict[str, str]:
    """What every entrance of the tables says, by its name."""
    table = table_of(tuple(texts), tuple(options_of(vector).items()))
    request = request_of(vector)
    keys = list(request.context)
    out = {}
    for name, asked in (("compiled", table), ("reopened", reopened(table))):
        out[f"{name} check"] = result_of(vector, check(asked, request).decision)
        if len({key.lower() for key in keys}) < len(keys):
            continue  # columns refuse a key in two spellings (COND-5 concerns one request)
        for dictionary in (False, True):
            decided = asked.decide(**columns([request] * 4, keys, dictionary=dictionary))
            for row, code in enumerate(decided.decision.tolist()):
                out[f"{name} decide {'dictionary' * dictionary} {row}"] = result_of(vector, code)
    return out


def test_the_vectors_of_identity_policies_are_all_here() -> None:
    assert len(VECTORS) >= 215
    assert len({v["id"] for v in VECTORS}) == len(VECTORS)
    assert {v["rule"] for v in VECTORS} - RULES - LAYER_RULES <= {
        v["rule"] for v in VECTORS if v["rule"].startswith(("TRAP", "GRAM", "COND", "RES", "EVAL"))}


@each_vector
def test_the_reference_decides_as_the_vector_expects(vector: dict[str, Any]) -> None:
    case = {**vector, "policies": {**vector["policies"], "identity": policies_of(vector)},
            "options": {"invalid_statement": "never", **options_of(vector)}}
    assert evaluate(case).result == vector["expect"], vector["why"]


@each_vector
def test_tables_decide_as_the_vector_expects(vector: dict[str, Any]) -> None:
    found = answers(vector, policies_of(vector))
    wrong = {name: result for name, result in found.items() if result != vector["expect"]}
    assert not wrong, vector["why"]


def shuffled(node: Any, rng: Random) -> Any:
    """EVAL-80: the same policy with lists and keys in another order."""
    if isinstance(node, Obj):
        pairs = [(key, shuffled(value, rng)) for key, value in node]
        if len({key for key, _ in pairs}) == len(pairs):
            rng.shuffle(pairs)  # of a key given twice the last counts (GRAM-2)
        return Obj(pairs)
    if isinstance(node, list):
        values = [shuffled(value, rng) for value in node]
        rng.shuffle(values)
        return values
    return node


@each_vector
def test_the_order_of_a_policy_changes_nothing(vector: dict[str, Any]) -> None:
    rng = Random(vector["id"])
    texts = [emit(shuffled(tree, rng)) for tree in TREES[vector["id"]]]
    rng.shuffle(texts)
    assert set(answers(vector, texts).values()) == {vector["expect"]}


def split(tree: Obj) -> Obj:
    """EVAL-81: each statement once per action and resource, where both are positive lists."""
    out: list[Any] = []
    pairs = list(tree)
    for at, (name, value) in enumerate(pairs):
        if name != "Statement":
            continue
        for statement in [value] if isinstance(value, Obj) else value:
            parts = dict(statement) if isinstance(statement, Obj) else {}
            actions, resources = parts.get("Action"), parts.get("Resource")
            if len(parts) < len(statement) or not all(
                isinstance(x, list) and len(x) > 0 for x in (actions, resources)):
                out.append(statement)
                continue
            out += [Obj([(k, action if k == "Action" else resource if k == "Resource" else v)
                         for k, v in statement])
                    for action in actions for resource in resources]
        pairs[at] = (name, out)
    return Obj(pairs)


@each_vector
def test_splitting_positive_lists_into_statements_changes_nothing(vector: dict[str, Any]) -> None:
    texts = [emit(split(tree)) for tree in TREES[vector["id"]]]
    assert set(answers(vector, texts).values()) == {vector["expect"]}


STRICT_RULES = ("GRAM-6", "GRAM-21", "GRAM-23", "GRAM-32", "COND-7")
STRICT_IDS = ("gram-40-1", "act-3-2")
STRICT = [v for v in VECTORS if v["rule"] in STRICT_RULES or v["id"] in STRICT_IDS]


@pytest.mark.parametrize("vector", STRICT, ids=[v["id"] for v in STRICT])
def test_strict_mode_refuses_what_aws_would_not_store(vector: dict[str, Any]) -> None:
    """VEC-2: an error in strict mode, in lenient mode a diagnostic."""
    refused = 0
    for text in policies_of(vector):
        try:
            iamtables.parse_policy(text, mode="strict")
        except iamtables.PolicySemanticError as error:
            refused += 1
            assert error.diagnostics
            assert all(d.code.startswith("IT") and d.location for d in error.diagnostics)
            assert iamtables.parse_policy(text, mode="lenient").diagnostics
    assert refused >= 1


def test_there_are_vectors_that_strict_mode_refuses() -> None:
    assert {v["id"] for v in STRICT} >= {*STRICT_IDS, "gram-6-1", "gram-21-1", "gram-23-1"}


@each_vector
def test_a_key_made_unknown_never_gives_another_certain_answer(vector: dict[str, Any]) -> None:
    """Soundness on the vectors: with one key unknown the answer is the same, open, or a denial."""
    texts = policies_of(vector)
    table = table_of(tuple(texts), tuple(options_of(vector).items()))
    request = request_of(vector)
    known = check(table, request).decision.name
    for key in request.context:
        if sum(k.lower() == key.lower() for k in request.context) > 1:
            continue
        rest = {k: v for k, v in request.context.items() if k != key}
        got = check(table, Request(request.action, request.resource, rest, frozenset({key})))
        fine = {known, "UNDETERMINED"}
        if known == "EXPLICIT_DENY":
            fine.add("IMPLICIT_DENY")
        assert got.decision.name in fine, key
        case = {**vector, "policies": {**vector["policies"], "identity": texts},
                "options": {"invalid_statement": "never", **options_of(vector)},
                "request": {**vector["request"], "context": {**rest, key: UNKNOWN}}}
        expected = evaluate(case).result
        if expected != "Undetermined":
            assert result_of(vector, got.decision) == expected, key
