"""Pairs of small organizations against the enumeration of their requests.

The judge is the layered reference evaluator, given the policies of each layer by the generator and
not by the code under test. "No difference" must hold for every request; where there is one the
answer is a difference (or undecided, seldom).
"""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest
from layer_reference import Reference
from test_organizations_decide import ANA, APP, A, B, held

import iamtables as it
from iamtables.reference.layers import evaluate

OWN, FOREIGN = "arn:aws:s3:::own", "arn:aws:sqs:eu-west-1:444455556666:q"
KEY, FOREIGN_KEY = "arn:aws:kms:eu-west-1:111122223333:key/k", "arn:aws:kms:a:444455556666:key/k"
ROLE, FOREIGN_ROLE = "arn:aws:iam::111122223333:role/r", "arn:aws:iam::444455556666:role/r"
REQUESTS = (
    *itertools.product(
        ("s3:GetObject", "s3:PutObject", "sqs:SendMessage"),
        (OWN, f"{OWN}/x", f"{OWN}/y", "arn:aws:s3:::c/x", "arn:aws:sqs:eu-west-1:111122223333:q",
         FOREIGN, "*", KEY)),
    *itertools.product(("kms:Decrypt", "kms:RetireGrant"),
                       (KEY, FOREIGN_KEY, "arn:aws:kms:eu-west-1:111122223333:alias/a", "*")),
    *itertools.product(("sts:AssumeRole", "sts:GetCallerIdentity", "iam:GetRole"),
                       (ROLE, FOREIGN_ROLE, "*")),
    ("sts:AssumeRole", f"{OWN}/x"), ("sts:GetSessionToken", "*"),
)  # fmt: skip
CONTEXTS = tuple(
    {key: value for key, value in (("s3:k", k), ("aws:SourceVpce", e)) if value is not None}
    for k, e in itertools.product((None, "1", "2"), (None, "vpce-1", "vpce-2", "")))
KEYS = ("aws:PrincipalArn", "aws:PrincipalAccount", "aws:ResourceAccount")
PAIRS, SIZE = 100, 20
CARRIERS = {"own": (OWN, A), "foreign": (FOREIGN, B), "key": (KEY, A), "foreign key":
            (FOREIGN_KEY, B), "trust": (ROLE, A), "foreign trust": (FOREIGN_ROLE, B)}  # fmt: skip
"""Layer -> the resource whose policy it is, and its owner."""
LAYERS = ("identity", "boundary", "scp0", "scp1", "rcp", "vpce", *CARRIERS)
NEEDY = (KEY, FOREIGN_KEY, ROLE, FOREIGN_ROLE)
"""What a snapshot without their policy does not hold."""


def a_condition(random: Random) -> Any:
    key, values = random.choice((
        ("s3:k", ("1", "2")), ("aws:SourceVpce", ("vpce-1", "vpce-2")),
        ("aws:PrincipalArn", (ANA, APP)), ("aws:PrincipalAccount", (A, B)),
        ("aws:ResourceAccount", (A, B))))
    operator = random.choice(("StringEquals", "StringNotEquals", "StringEqualsIfExists", "Null"))
    return {operator: {key: random.choice(("true", "false")) if operator == "Null"
                       else random.choice(values)}}


def a_statement(random: Random, layer: str) -> dict[str, Any]:
    effect = "Deny" if layer == "rcp" or random.random() < 0.25 else "Allow"
    action = random.choice(("*", "*", "s3:*", "s3:Get*", "s3:PutObject", "sqs:*", "kms:*",
                            "kms:RetireGrant", "sts:AssumeRole", "sts:*"))
    patterns = ("*", "*", f"{OWN}/*", f"{OWN}/x", OWN, "arn:aws:s3:::*", "arn:aws:sqs:*",
                "arn:aws:kms:*", "arn:aws:iam::*:role/r")
    if layer in CARRIERS:
        patterns = ("*", f"{OWN}/*") if layer == "own" else ("*", CARRIERS[layer][0])
        if "trust" in layer:
            action = random.choice(("sts:AssumeRole", "sts:AssumeRole", "sts:*", "iam:*", "*"))
        elif "key" in layer:
            action = random.choice(("kms:*", "kms:Decrypt", "*"))
    made: dict[str, Any] = {
        "Effect": effect, random.choice(("Action", "Action", "NotAction")): action,
        "Resource": random.choice(patterns)}
    if layer in ("identity", "boundary") and random.random() < 0.2:
        made["NotResource"] = made.pop("Resource")
    if layer in ("rcp", "vpce", *CARRIERS):
        made["Principal"] = random.choice(
            ("*", {"AWS": ANA}, {"AWS": A}, {"AWS": APP}, {"AWS": [B, ANA]}))
        if layer == "rcp":
            made["Principal"] = "*"
            made["Action"] = made.pop("NotAction", None) or made["Action"]
        if "trust" in layer:
            made["Action"] = made.pop("NotAction", None) or made["Action"]
            del made["Resource"]
    if random.random() < 0.4:
        made["Condition"] = a_condition(random)
    return made


def a_policy(random: Random, layer: str) -> dict[str, Any]:
    listed = [a_statement(random, layer) for _ in range(random.choice((1, 1, 2)))]
    if layer in ("identity", "boundary", "scp0", "scp1", "vpce") and random.random() < 0.5:
        wide: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        listed.insert(0, wide | ({"Principal": "*"} if layer == "vpce" else {}))
    return {"Version": "2012-10-17", "Statement": listed}


def a_world(random: Random) -> dict[str, Any]:
    chance = {"identity": 1.0, "scp0": 1.0, "scp1": 0.6, "own": 0.6, "key": 0.6, "trust": 0.6}
    return {layer: a_policy(random, layer) if random.random() < chance.get(layer, 0.4) else None
            for layer in LAYERS}


def changed(random: Random, world: dict[str, Any]) -> dict[str, Any]:
    layer = random.choice(LAYERS)
    if random.random() < 0.3:
        layer = random.choice(("key", "trust", "vpce", "rcp"))
    can_go = layer not in ("identity", "scp0") and random.random() < 0.3
    return world | {layer: None if can_go else a_policy(random, layer)}


def an_organization(world: dict[str, Any], who: str) -> it.Organization:
    def made(layer: str, policy_type: Any) -> it.PolicySet:
        text = json.dumps(world[layer])
        return held(it.parse_policy(text, name=layer, policy_type=policy_type))

    scps = tuple(made(layer, "scp") for layer in ("scp0", "scp1") if world[layer])
    rcps = (made("rcp", "rcp"),) if world["rcp"] else ()
    is_gateway = world.get("gateway", True)
    return it.Organization(
        accounts=(it.Account(A, scps=scps, rcps=rcps, org_id="o-1", org_path="o-1/r-1/"),
                  it.Account(B, scps=scps, rcps=(), org_id="o-1", org_path="o-1/r-1/")),
        principals=(it.Principal(
            who, identity=made("identity", "identity"), tags={},
            boundary=made("boundary", "boundary") if world["boundary"] else None),),
        resource_policies=tuple(
            it.ResourcePolicy(arn, made(layer, "trust" if "trust" in layer else "resource"), owner)
            for layer, (arn, owner) in CARRIERS.items() if world[layer]),
        missing_layers=("session",) if world["vpce"] else ("session", "vpce"),
        endpoints=(it.Endpoint("vpce-1", made("vpce", "vpce"), A, "v", is_gateway),)
        if world["vpce"] else (),
    )  # fmt: skip


def allowed(world: dict[str, Any], who: str, action: str, resource: str, context: Any) -> bool:
    owner = B if f":{B}:" in resource else A
    named = next((layer for layer, (arn, _) in CARRIERS.items()
                  if resource == arn or resource.startswith(f"{arn}/")), "")
    through = world["vpce"] and context.get("aws:SourceVpce") == "vpce-1"
    return evaluate({
        "policies": {
            "identity": [world["identity"]],
            "boundary": [world["boundary"]] if world["boundary"] else None,
            "scps": [[world[s]] for s in ("scp0", "scp1") if world[s]],
            "rcps": [[world["rcp"]]] if world["rcp"] and owner == A else [],
            "resource": world[named] if named else None,
            "vpce": [world["vpce"]] if through else None,
        },
        "request": {
            "principal": who, "action": action, "resource": resource, "resource_account": owner,
            "endpoint_type": "Gateway" if world.get("gateway", True) else "Interface",
            "context": {"aws:PrincipalArn": who, "aws:PrincipalAccount": A,
                        "aws:ResourceAccount": owner, **context},
        },
    }).decision == "ALLOW"  # fmt: skip


def differences(old: dict[str, Any], new: dict[str, Any], who: str) -> dict[str, Any]:
    """One request gained and one lost, if any; the whole world is enumerated."""
    found: dict[str, Any] = {}
    with Reference({}, {}):  # remembers, within these two worlds, what the reference returned
        return _differences(_texts(old), _texts(new), who, found)


def _texts(world: dict[str, Any]) -> dict[str, Any]:
    return {layer: json.dumps(made) if isinstance(made, dict) else made
            for layer, made in world.items()}


def _differences(
    old: dict[str, Any], new: dict[str, Any], who: str, found: dict[str, Any]
) -> dict[str, Any]:
    unheld = {arn for layer, (arn, _) in CARRIERS.items() if not old[layer] and not new[layer]}
    for asked in ((*request, context) for request in REQUESTS for context in CONTEXTS):
        if asked[1] in unheld and asked[1] in (FOREIGN, *NEEDY):
            continue
        if (old["vpce"] or new["vpce"]) and asked[2].get("aws:SourceVpce", "vpce-1") != "vpce-1":
            continue  # an endpoint whose policy is not known: out of scope
        before, after = allowed(old, who, *asked), allowed(new, who, *asked)
        if before != after:
            found.setdefault("gained" if after else "lost", asked)
            if len(found) == 2:
                break
    return found


@pytest.mark.parametrize("seed", range(PAIRS // SIZE))
def test_pairs_against_the_enumeration(seed: int) -> None:
    random = Random(f"organizations {seed}")
    undecided = shown = 0
    for _ in range(SIZE):
        who = random.choice((ANA, APP))
        old = a_world(random) | {"gateway": random.random() < 0.5}
        new = changed(random, old)
        sides = an_organization(old, who), an_organization(new, who)
        compared = it.compare(*sides, principal=who)
        truth = differences(old, new, who)
        tables = it.compile(sides[0]), it.compile(sides[1])
        for change, direction in (("gained", compared.gained), ("lost", compared.lost)):
            undecided += direction.verdict == "undecided"
            shown += len(direction.differences)
            if change in truth:
                assert direction.verdict != "no", (who, old, new, change, truth[change])
            for difference in direction.differences[:2]:
                asked = {"principal": who, "action": difference.witness.action,
                         "resource": difference.witness.resource,
                         "context": dict(difference.witness.context)}
                unheld = {arn for layer, (arn, _) in CARRIERS.items()
                          if not old[layer] or not new[layer]}
                if difference.witness.resource in unheld & {*NEEDY}:
                    continue  # the tables do not know whether it exists without a policy
                answers = [table.check(**asked).decision for table in tables]
                answers = answers[::-1] if change == "gained" else answers
                assert answers == [it.DecisionCode.ALLOW, difference.decision], (difference, old)
            assert "does not confirm" not in str(direction.undecided), (who, old, new, direction)
    assert shown and undecided <= SIZE // 10
