"""The executable examples of the semantics (docs/spec/vectors.jsonl), every layer.

Every vector goes through the reference evaluator, `check`, `decide` and a saved-and-reopened
table, as written and after the transformations of EVAL-80 and EVAL-81 (VEC-4). The deciding layers
are compared too (EVAL-1).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from generator import Obj, Raw, Request, emit
from judging import columns, reopened

import iamtables
from iamtables.compiler import compile_layers
from iamtables.reference import LAYER_RULES, RULES, UNKNOWN, evaluate

_VECTORS = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
_TYPES: dict[str, Any] = {
    "identity": "identity", "resource": "resource", "boundary": "boundary", "session": "session",
    "scps": "scp", "rcps": "rcp", "vpce": "vpce", "endpoint": "vpce",
}  # fmt: skip
_ARGUMENTS = {"vpce": "endpoint"}
_RESULTS = {
    "ALLOW": "Allowed", "IMPLICIT_DENY": "ImplicitlyDenied", "EXPLICIT_DENY": "ExplicitlyDenied",
    "UNDETERMINED": "Undetermined",
}  # fmt: skip
_WHO = {
    "principal": "principal", "issuer_arn": "issuer_arn", "principal_type": "principal_type",
    "principal_account": "principal_account", "resource_account": "resource_account",
    "principal_is_management_account": "is_management_account",
}  # fmt: skip

Texts = dict[str, Any]
"""Layer -> JSON texts: None or one, a list, or a list for each level."""


def _in_policy(pairs: list[tuple[str, Any]]) -> bool:
    """Whether this object is part of a policy, and not one of the vector's own."""
    return not {key for key, _ in pairs} & {"identity", "policies"}


LINES = _VECTORS.read_text("ascii").splitlines()
VECTORS = [json.loads(line) for line in LINES]
TREES: dict[str, dict[str, Any]] = {
    tree["id"]: tree["policies"]
    for line in LINES
    for tree in [json.loads(
        line, parse_int=Raw, parse_float=Raw,
        object_pairs_hook=lambda pairs: Obj(pairs) if _in_policy(pairs) else dict(pairs))]
}
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])


def texts_of(vector: dict[str, Any], change: Callable[[Any], Any] = lambda tree: tree) -> Texts:
    """The policies as JSON text, numbers and duplicate keys as they are in the file."""

    def written(tree: Any) -> Any:
        if isinstance(tree, list) and not isinstance(tree, Obj):
            return tuple(map(written, tree))
        return None if tree is None else emit(change(tree))

    return {layer: written(tree) for layer, tree in TREES[vector["id"]].items()}


def parsed(texts: Any, layer: str, name: str) -> Any:
    if isinstance(texts, tuple):
        return [parsed(text, layer, f"{name}.{i}") for i, text in enumerate(texts)]
    return texts and iamtables.parse_policy(texts, name=name, policy_type=_TYPES[layer])


@cache
def table_of(
    texts: tuple[tuple[str, Any], ...], options: tuple[tuple[str, str], ...]
) -> iamtables.Table:
    layers = {_ARGUMENTS.get(layer, layer): parsed(t, layer, layer) for layer, t in texts}
    chosen = iamtables.Options.from_mapping({"invalid_statement": "never", **dict(options)})
    return compile_layers(**layers, options=chosen)


def compiled(vector: dict[str, Any], texts: Texts) -> iamtables.Table:
    return table_of(tuple(texts.items()), tuple(options_of(vector).items()))


def who_of(vector: dict[str, Any]) -> dict[str, Any]:
    """Who asks and whose the resource is, as arguments of `check` and `decide`."""
    given = vector["request"]
    return {
        argument: given[name] for name, argument in _WHO.items() if given.get(name) is not None
    }


def request_of(vector: dict[str, Any]) -> Request:
    given = vector["request"]
    return Request(given["action"], given["resource"], given["context"])


def options_of(vector: dict[str, Any]) -> dict[str, str]:
    return dict(vector.get("options", {}))


def check(vector: dict[str, Any], table: iamtables.Table, request: Request) -> iamtables.Decision:
    return table.check(
        action=request.action, resource=request.resource, context=dict(request.context),
        unknown=tuple(sorted(request.unknown)), **who_of(vector),
    )  # fmt: skip


def judged(vector: dict[str, Any], texts: Texts, context: dict[str, Any] | None = None) -> Any:
    """The reference evaluator's outcome."""

    def listed(given: Any) -> Any:
        return list(map(listed, given)) if isinstance(given, tuple) else given

    request = vector["request"]
    return evaluate({
        **vector,
        "policies": {layer: listed(given) for layer, given in texts.items()},
        "request": request if context is None else {**request, "context": context},
        "options": {"invalid_statement": "never", **options_of(vector)},
    })  # fmt: skip


def answers(vector: dict[str, Any], texts: Texts) -> dict[str, str]:
    """What every entrance of the tables says, by its name."""
    table = compiled(vector, texts)
    request = request_of(vector)
    keys = list(request.context)
    out = {}
    for name, asked in (("compiled", table), ("reopened", reopened(table))):
        out[f"{name} check"] = _RESULTS[check(vector, asked, request).decision.name]
        if len({key.lower() for key in keys}) < len(keys):
            continue  # columns refuse a key in two spellings (COND-5 concerns one request)
        for dictionary in (False, True):
            decided = asked.decide(
                **columns([request] * 4, keys, dictionary=dictionary), **who_of(vector)
            )
            for row, code in enumerate(decided.decision.tolist()):
                result = _RESULTS[iamtables.DecisionCode(code).name]
                out[f"{name} decide {'dictionary' * dictionary} {row}"] = result
    return out


def test_all_the_vectors_are_here() -> None:
    assert len(VECTORS) >= 347
    assert len({v["id"] for v in VECTORS}) == len(VECTORS)
    layers = {layer for v in VECTORS for layer, given in v["policies"].items() if given}
    assert layers >= {"identity", "resource", "boundary", "session", "scps", "rcps"}
    assert {v["rule"] for v in VECTORS} - RULES - LAYER_RULES <= {
        v["rule"] for v in VECTORS if v["rule"].startswith(("TRAP", "GRAM", "COND", "RES", "EVAL"))}


@each_vector
def test_the_reference_decides_as_the_vector_expects(vector: dict[str, Any]) -> None:
    assert judged(vector, texts_of(vector)).result == vector["expect"], vector["why"]


@each_vector
def test_tables_decide_as_the_vector_expects(vector: dict[str, Any]) -> None:
    found = answers(vector, texts_of(vector))
    wrong = {name: result for name, result in found.items() if result != vector["expect"]}
    assert not wrong, vector["why"]


@each_vector
def test_tables_name_the_deciding_layers_as_the_reference_does(vector: dict[str, Any]) -> None:
    texts = texts_of(vector)
    expected = judged(vector, texts).deciders
    table = compiled(vector, texts)
    decision = check(vector, table, request_of(vector))
    assert tuple(layer.name.lower() for layer in decision.deciders) == expected
    assert decision.layer.name.lower() in expected
    explained = decision.explain()
    assert (explained.decision, explained.deciders) == (decision.decision, decision.deciders)


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
    texts = texts_of(vector, lambda tree: shuffled(tree, rng))
    for layer in ("identity", "boundary", "session"):
        texts[layer] = tuple(rng.sample(texts[layer], len(texts[layer])))
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
    texts = texts_of(vector, split)
    assert set(answers(vector, texts).values()) == {vector["expect"]}


def _flat(texts: Any) -> list[str]:
    if isinstance(texts, tuple):
        return [text for inner in texts for text in _flat(inner)]
    return [] if texts is None else [texts]


STRICT_RULES = ("GRAM-6", "GRAM-21", "GRAM-23", "GRAM-32", "COND-7")
STRICT_IDS = ("gram-40-1", "act-3-2")
STRICT = [v for v in VECTORS if v["rule"] in STRICT_RULES or v["id"] in STRICT_IDS]


@pytest.mark.parametrize("vector", STRICT, ids=[v["id"] for v in STRICT])
def test_strict_mode_refuses_what_aws_would_not_store(vector: dict[str, Any]) -> None:
    """VEC-2: an error in strict mode, in lenient mode a diagnostic."""
    refused = 0
    for layer, texts in texts_of(vector).items():
        for text in _flat(texts):
            try:
                iamtables.parse_policy(text, mode="strict", policy_type=_TYPES[layer])
            except iamtables.PolicySemanticError as error:
                refused += 1
                assert error.diagnostics
                assert all(d.code.startswith("IT") and d.location for d in error.diagnostics)
                lenient = iamtables.parse_policy(text, policy_type=_TYPES[layer])
                assert lenient.diagnostics
    assert refused >= 1


def test_there_are_vectors_that_strict_mode_refuses() -> None:
    assert {v["id"] for v in STRICT} >= {*STRICT_IDS, "gram-6-1", "gram-21-1", "gram-23-1"}


@each_vector
def test_a_key_made_unknown_never_gives_another_certain_answer(vector: dict[str, Any]) -> None:
    """Soundness on the vectors: with one key unknown the answer is the same, open, or a denial."""
    texts = texts_of(vector)
    table = compiled(vector, texts)
    request = request_of(vector)
    known = check(vector, table, request).decision.name
    for key in request.context:
        if sum(k.lower() == key.lower() for k in request.context) > 1:
            continue
        rest = {k: v for k, v in request.context.items() if k != key}
        asked = Request(request.action, request.resource, rest, frozenset({key}))
        got = check(vector, table, asked).decision.name
        fine = {known, "UNDETERMINED"}
        if known == "EXPLICIT_DENY":
            fine.add("IMPLICIT_DENY")
        assert got in fine, key
        expected = judged(vector, texts, {**rest, key: UNKNOWN}).result
        if expected != "Undetermined":
            assert _RESULTS[got] == expected, key
