"""What the specification says of evaluation as a whole, as properties: EVAL-72 and 80 to 84.

Each property is tried on generated worlds of every policy type, by the reference evaluator and, in
batches, by the tables. A change of the policies is made on the trees of layer_generator.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import layer_tables as tables
import pytest
from generator import Obj
from layer_generator import (
    LEVELS,
    LISTS,
    LayerMaker,
    LayerRequest,
    LayerWorld,
    documents,
    make_layer_world,
    texts_of,
)
from layer_reference import Reference
from test_vectors import shuffled, split

from iamtables.reference import RequestFault

SEEDS = range(9_000, 9_060)
REQUESTS = 20
RANK = {"IMPLICIT_DENY": 0, "EXPLICIT_DENY": 0, "UNDETERMINED": 1, "ALLOW": 2}
"""How far a request gets. A Deny never takes it further, an Allow never back (EVAL-72)."""

Policies = dict[str, Any]
Engine = Callable[[LayerWorld, Policies, dict[str, str]], list[str]]


def by_reference(world: LayerWorld, policies: Policies, options: dict[str, str]) -> list[str]:
    with Reference(texts_of(policies), options) as reference:
        return [reference.judge(request).outcome.decision for request in world.requests]


def by_tables(world: LayerWorld, policies: Policies, options: dict[str, str]) -> list[str]:
    table = tables.compile_policies(texts_of(policies), options, world.is_trust)
    return [answer.decision for answer in tables.decide(table, world.requests, world.keys)]


engines = pytest.mark.parametrize("decide", [by_reference, pytest.param(
    by_tables, marks=pytest.mark.skipif(not tables.HAS_TABLES, reason="no layered tables"))])


@pytest.fixture(scope="module")
def worlds() -> list[LayerWorld]:
    """Worlds with the requests that may be asked."""
    out = []
    for seed in SEEDS:
        world = make_layer_world(seed, REQUESTS)
        with Reference(texts_of(world.policies), world.options) as reference:
            world.requests = [r for r in world.requests if _can_be_asked(reference, r)]
        out.append(world)
    return out


def _can_be_asked(reference: Reference, request: LayerRequest) -> bool:
    try:
        reference.judge(request)
    except RequestFault:
        return False
    return True


def changed(policies: Policies, change: Callable[[str, Any], Any]) -> Policies:
    """The policies with every document changed by `change(layer, tree)`."""
    out = dict(policies)
    for layer in LISTS:
        out[layer] = [change(layer, tree) for tree in policies[layer]]
    for layer in LEVELS:
        out[layer] = [[change(layer, tree) for tree in level] for level in policies[layer]]
    if policies["resource"] is not None:
        out["resource"] = change("resource", policies["resource"])
    return out


def statements_changed(tree: Obj, change: Callable[[list[Any]], list[Any]]) -> Obj:
    """The document with its list of statements changed, unless nobody can read it."""
    return Obj(
        (name, change([value] if isinstance(value, Obj) else value))
        if name == "Statement" and isinstance(value, list) else (name, value)
        for name, value in tree)


def test_the_worlds_have_all_decisions(worlds: list[LayerWorld]) -> None:
    found = [d for world in worlds for d in by_reference(world, world.policies, world.options)]
    assert len(found) > 1000
    assert all(found.count(decision) > 50 for decision in RANK)


# --- EVAL-72 ----------------------------------------------------------------------------------

def _with_statement(world: LayerWorld, effect: str, rng: Random) -> tuple[str, Policies]:
    """One statement more in one document that is there: (layer, policies)."""
    maker = LayerMaker(world.seed)
    maker.fault_rate = maker.base.fault_rate = 0.0
    names = [name for name, _ in documents(world.policies)
             if effect == "Deny" or not name.startswith("rcps")]
    if not names:
        return "", world.policies
    chosen = rng.choice(names)
    layer = chosen.split(".")[0]
    maker.denies[layer] = 1.0 if effect == "Deny" else 0.0
    statement = maker.statement(layer)
    trees = iter(documents(world.policies))
    order = {id(tree): name for name, tree in trees}

    def add(_: str, tree: Any) -> Any:
        if order[id(tree)] != chosen:
            return tree
        return statements_changed(tree, lambda listed: [*listed, statement])

    return layer, changed(world.policies, add)


@engines
@pytest.mark.parametrize("effect", ["Deny", "Allow"])
def test_a_deny_takes_nobody_further_and_an_allow_nobody_back(
    decide: Engine, effect: str, worlds: list[LayerWorld]
) -> None:
    """EVAL-72, in each type that is there; with unknowns, undetermined lies in between."""
    moved = 0
    for world in worlds:
        rng = Random(world.seed)
        before = decide(world, world.policies, world.options)
        for _ in range(2):
            layer, policies = _with_statement(world, effect, rng)
            after = decide(world, policies, world.options)
            for request, old, new in zip(world.requests, before, after, strict=True):
                step = RANK[new] - RANK[old]
                assert step <= 0 if effect == "Deny" else step >= 0, (world.seed, layer, request)
                moved += step != 0
    assert moved > 10


ALLOW_NOTHING = Obj([("Version", "2012-10-17"), ("Statement", [])])


@engines
@pytest.mark.parametrize("layer", ["boundary", "session", "scps", "vpce"])
def test_a_type_that_was_not_there_may_take_access_away(
    decide: Engine, layer: str, worlds: list[LayerWorld]
) -> None:
    """The exception of EVAL-72: absence of these types means that they do not apply."""
    lost = 0
    for world in worlds:
        without = {**world.policies, layer: []}
        with_one = {**without, layer: [[ALLOW_NOTHING]] if layer in LEVELS else [ALLOW_NOTHING]}
        for old, new in zip(decide(world, without, world.options),
                            decide(world, with_one, world.options), strict=True):
            if layer != "session":  # a federated user gains nothing either: EVAL-21
                assert RANK[new] <= RANK[old]
            lost += RANK[new] < RANK[old]
    assert lost > 10


# --- EVAL-80 to EVAL-83 -----------------------------------------------------------------------

@engines
def test_order_changes_nothing(decide: Engine, worlds: list[LayerWorld]) -> None:
    """EVAL-80: documents, statements, list values and keys in another order."""
    for world in worlds:
        rng = Random(world.seed)
        policies = changed(world.policies, lambda _, tree, rng=rng: shuffled(tree, rng))
        for layer in LISTS:
            rng.shuffle(policies[layer])
        for level in (*policies["scps"], *policies["rcps"]):
            rng.shuffle(level)
        rng.shuffle(policies["scps"])
        assert decide(world, policies, world.options) == decide(
            world, world.policies, world.options), world.seed


def _split_principals(statements: list[Any]) -> list[Any]:
    """Each statement once per entry of its positive principal map."""
    out = []
    for statement in statements:
        parts = dict(statement) if isinstance(statement, Obj) else {}
        principal = parts.get("Principal")
        whole = isinstance(principal, Obj) and len(parts) == len(statement) and all(
            isinstance(v, str) or (v and all(isinstance(x, str) for x in v)) for _, v in principal)
        if not whole or not principal or len(dict(principal)) < len(principal):
            out.append(statement)
            continue
        entries = [(kind, one) for kind, value in principal
                   for one in ([value] if isinstance(value, str) else value)]
        out += [Obj((k, Obj([entry]) if k == "Principal" else v) for k, v in statement)
                for entry in entries]
    return out


@engines
def test_splitting_positive_lists_changes_nothing(decide: Engine, worlds: list[LayerWorld]) -> None:
    """EVAL-81: once per action, resource and principal."""
    grown = 0
    for world in worlds:
        policies = changed(world.policies, lambda _, tree: statements_changed(
            split(tree), _split_principals))
        grown += len(str(policies)) > len(str(world.policies))
        assert decide(world, policies, world.options) == decide(
            world, world.policies, world.options), world.seed
    assert grown > 20


@engines
def test_an_action_and_all_others_are_all_actions(decide: Engine, worlds: list[LayerWorld]) -> None:
    """EVAL-82: `Action: a` and `NotAction: a`, two Allows, are `Action: *`."""
    applied = 0
    for world in worlds:
        action = world.requests[0].action

        def halves(statements: list[Any], action: str = action) -> list[Any]:
            nonlocal applied
            out = []
            for statement in statements:
                pairs = list(statement) if isinstance(statement, Obj) else []
                names = [name for name, _ in pairs]
                if ("Action", "*") not in pairs or ("Effect", "Allow") not in pairs or \
                        len(set(names)) < len(names) or "NotAction" in names:
                    out.append(statement)
                    continue
                applied += 1
                rest = [(k, v) for k, v in pairs if k != "Action"]
                out += [Obj([("Action", [action]), *rest]), Obj([("NotAction", [action]), *rest])]
            return out

        policies = changed(world.policies, lambda layer, tree, halves=halves: tree
                           if layer == "rcps" else statements_changed(tree, halves))
        assert decide(world, policies, world.options) == decide(
            world, world.policies, world.options), world.seed
    assert applied > 30


def _needs_a_policy(request: LayerRequest) -> bool:
    """Whether the resource may need a policy of its own (EVAL-40, EVAL-42)."""
    return request.action.lower().startswith(("kms:", "sts:")) or request.resource is None or \
        ":key/" in request.resource or ":role/" in request.resource


@engines
def test_an_empty_resource_policy_is_none(decide: Engine, worlds: list[LayerWorld]) -> None:
    """EVAL-83, unless the resource needs a policy of its own."""
    compared = 0
    for world in worlds:
        asked = replace(world, requests=[r for r in world.requests if not _needs_a_policy(r)])
        if not asked.requests:
            continue
        compared += len(asked.requests)
        empty = {**world.policies, "resource": ALLOW_NOTHING}
        none = {**world.policies, "resource": None}
        assert decide(asked, empty, world.options) == decide(asked, none, world.options)
    assert compared > 300


# --- EVAL-84 ----------------------------------------------------------------------------------

@engines
def test_span_reaches_at_least_as_far_as_segment(decide: Engine) -> None:
    """EVAL-84, for Allows with `Resource`, in every type at once."""
    apart = reached = 0
    for seed in range(9_000, 9_150):
        maker = LayerMaker(seed)
        maker.base.keys = maker.base.keys[:1]
        pattern = maker.base.resource_pattern()
        if "${" in pattern:
            continue
        document = Obj([("Version", "2012-10-17"), ("Statement", [Obj([
            ("Effect", "Allow"), ("Action", "*"), ("Resource", [pattern])])])])
        rng = maker.rng
        arns = [maker.base.fill(pattern, {}) for _ in range(12)] + maker.arns
        arns += [arn.replace(":", rng.choice((":", ":x:")), rng.randint(1, 4)) for arn in arns]
        requests = [
            LayerRequest("arn:aws:iam::111122223333:user/ana", "x:Get", arn,
                         resource_account="111122223333")
            for arn in arns if arn.startswith("arn:") and arn.count(":") >= 5
            and ":role/" not in arn and ":kms:" not in arn]
        policies = {"identity": [document], "boundary": [document], "session": [],
                    "scps": [[document]], "rcps": [], "vpce": [], "resource": None}
        if not pattern.endswith("*") and pattern.startswith("arn:") and pattern.count(":") < 5:
            policies["scps"] = []  # RES-7: a short pattern is a fault in an SCP
        world = LayerWorld(seed, policies, {}, requests, False)
        if not requests:
            continue
        span, segment = (decide(world, policies, {"resource_glob": mode})
                         for mode in ("span", "segment"))
        for request, wide, narrow in zip(requests, span, segment, strict=True):
            assert RANK[wide] >= RANK[narrow], (pattern, request.resource)
            if request.resource.count(":") <= pattern.count(":"):
                assert wide == narrow, (pattern, request.resource)  # RES-4a
            apart += wide != narrow
            reached += narrow == "ALLOW"
    assert apart > 0
    assert reached > 100
