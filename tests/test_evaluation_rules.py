"""The truth table of the rules, by enumeration; and what it comes to, against the reference.

The table is made from `evaluation.outcome`, so equality with it shows that rows are filled and
indexed as the kernel reads them. Whether the rules are those of section 5 is asked of the reference
evaluator, through whole evaluations whose policies switch every signal on and off.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

import iamtables
from iamtables.compiler import compile_layers
from iamtables.reference import evaluate
from iamtables.runtime import layered_plan
from iamtables.runtime.codes import DecisionCode, Layer
from iamtables.runtime.evaluation import (
    ROW_LENGTH,
    STAGE_COUNT,
    Allows,
    Asker,
    Stage,
    outcome,
    truth_row,
)
from iamtables.runtime.signals import DENIES, LEVEL_SIGNALS, LEVELS, NO_SIGNAL, Signal

RUNTIME = Path(__file__).parent.parent / "runtime"
A, B = "111122223333", "444455556666"

# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_boundary_bypassed", [False, True])
@pytest.mark.parametrize("asker", Asker)
def test_every_entry_of_the_table_is_what_the_rules_say(
    asker: Asker, is_boundary_bypassed: bool
) -> None:
    for stage in range(STAGE_COUNT):
        facts = [bool(stage >> bit & 1) for bit in range(6)]
        row = truth_row(asker, stage, is_boundary_bypassed=is_boundary_bypassed).tolist()
        assert len(row) == ROW_LENGTH == 1 << 10
        for number, entry in enumerate(row):
            allows = Allows(*(bool(number >> bit & 1) for bit in range(10)))
            decision, layer = outcome(
                asker, Stage(*facts), allows, is_boundary_bypassed=is_boundary_bypassed
            )
            assert (entry & 3, entry >> 2) == (decision, layer)


@pytest.mark.parametrize("asker", Asker)
def test_more_allows_never_turn_an_allow_into_a_denial(asker: Asker) -> None:
    """EVAL-72, on which the two passes of three-valued evaluation rest."""
    for stage in range(STAGE_COUNT):
        row = truth_row(asker, stage, is_boundary_bypassed=False)
        for bit in range(10):
            for number in range(ROW_LENGTH):
                if row[number] & 3 == DecisionCode.ALLOW:
                    assert row[number | 1 << bit] & 3 == DecisionCode.ALLOW


@pytest.mark.parametrize("asker", Asker)
def test_other_means_replace_the_paths_and_no_other_gate(asker: Asker) -> None:
    """EVAL-45: what does not depend on a path (SCPs, endpoint policies) still denies."""
    for stage in range(STAGE_COUNT // 2):
        alone = truth_row(asker, stage, is_boundary_bypassed=False)
        helped = truth_row(asker, stage | STAGE_COUNT // 2, is_boundary_bypassed=False)
        for number in range(ROW_LENGTH):
            allows = Allows.of(number)
            if alone[number] & 3 == DecisionCode.ALLOW:
                assert helped[number] == alone[number]
            elif allows.scp and allows.vpce:
                assert helped[number] == Layer.OTHER << 2 | DecisionCode.ALLOW
            else:
                first = Layer.VPCE if allows.scp else Layer.SCP
                assert helped[number] == first << 2 | DecisionCode.IMPLICIT_DENY


# --- the kernel's numbers -----------------------------------------------------------------------


def numbers_of(*names: str) -> dict[str, int]:
    """Constants in the `cdef enum` blocks of kernel sources."""
    found: dict[str, int] = {}
    for name in names:
        for block in re.findall(r"cdef enum:\n((?:(?: {4}.*)?\n)+)", (RUNTIME / name).read_text()):
            for constant, value in re.findall(r"^ {4}(\w+) = (0x[0-9A-F]+|\d+)\b", block, re.M):
                found[constant] = int(value, 0)
    return found


def test_the_kernel_has_the_numbers_of_the_signals() -> None:
    kernel = numbers_of("outcomes.pxd", "lists.pxd", "sides.pxd")
    for name in ("DENY_RESOURCE", "DENY_SESSION", "IDENTITY", "VPCE", "DIRECT", "ACCOUNT"):
        assert kernel[name] == Signal[name], name
    assert kernel["DENIES"] == sum(1 << signal for signal in DENIES.values())
    assert kernel["DENY_COUNT"] == len(DENIES)
    assert kernel["LEVEL_COUNT"] == len(LEVELS)
    assert kernel["LEVEL_MASK"] == (1 << len(LEVELS)) - 1
    assert list(LEVELS) == list(range(kernel["DIRECT"], kernel["DIRECT"] + len(LEVELS)))
    assert (kernel["NO_SIGNAL"], kernel["LEVEL_SIGNALS"]) == (NO_SIGNAL, LEVEL_SIGNALS)
    # a deny's layer is its signal and one (EVAL-1), and Allows is read off as nine bits in a row
    assert [(signal + 1, layer) for layer, signal in DENIES.items()] == [
        (int(layer), layer) for layer in DENIES
    ]
    in_order = (Signal.IDENTITY, Signal.BOUNDARY, Signal.SESSION, Signal.VPCE, *LEVELS)
    assert list(in_order) == list(range(kernel["IDENTITY"], kernel["IDENTITY"] + 9))
    assert Allows._fields == (*(s.name.lower() for s in in_order), "scp")


def test_the_kernel_has_the_numbers_of_stages_layers_and_flags() -> None:
    kernel = numbers_of("outcomes.pxd", "lists.pxd", "sides.pxd")
    stages = ("SAME", "PARTITION", "MUST", "TRUST", "ASSUMED", "OTHER")
    assert [kernel[f"STAGE_{name}"] for name in stages] == [1 << bit for bit in range(6)]
    assert kernel["STAGE_COUNT"] == STAGE_COUNT and kernel["ROW_LENGTH"] == ROW_LENGTH
    assert kernel["ASKER_COUNT"] == len(Asker)
    for layer in ("RESOURCE", "IDENTITY", "SERVICE"):
        assert kernel[f"LAYER_{layer}"] == Layer[layer]
    flags = {name: value for name, value in kernel.items()
             if name.startswith(("ACTION_", "REQUESTER_", "RESOURCE_"))}  # fmt: skip
    assert len(flags) == 17
    assert flags == {name: getattr(layered_plan, name) for name in flags}


# --- the rules, against the reference -----------------------------------------------------------

USER = f"arn:aws:iam::{A}:user/ana"
ROLE = f"arn:aws:iam::{A}:role/app"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/s1"
FEDERATED = f"arn:aws:sts::{A}:federated-user/bob"
ROOT = f"arn:aws:iam::{A}:root"
SAML = f"arn:aws:iam::{A}:saml-provider/sso"
CANONICAL = "ab" * 32
LINKED = f"arn:aws:sts::{A}:assumed-role/AWSServiceRoleForECS/x"
REQUESTERS: list[dict[str, Any]] = [
    {"principal": USER}, {"principal": ROLE}, {"principal": SESSION, "issuer_arn": ROLE},
    {"principal": FEDERATED, "issuer_arn": USER}, {"principal": ROOT}, {"principal": SAML},
    {"principal": "ec2.amazonaws.com"}, {"principal": "anonymous"}, {"principal": LINKED},
    {"principal": CANONICAL, "principal_type": "CanonicalUser"},
    {"principal": USER, "principal_is_management_account": True},
]  # fmt: skip
QUESTIONS = [
    ("s3:GetObject", "arn:aws:s3:::depot/k", None),
    ("s3:GetObject", "arn:aws:s3:::depot/k", B),
    ("s3:PutBucketPolicy", "arn:aws:s3:::depot", A),
    ("s3:GetObject", "arn:aws-cn:s3:::depot/k", B),
    ("s3:GetObject", None, None),
    ("kms:Decrypt", f"arn:aws:kms:eu-west-1:{A}:key/1", None),
    ("kms:Decrypt", f"arn:aws:kms:eu-west-1:{B}:key/1", None),
    ("kms:RetireGrant", f"arn:aws:kms:eu-west-1:{A}:key/1", None),
    ("kms:Decrypt", None, None),
    ("sts:AssumeRole", f"arn:aws:iam::{A}:role/other", None),
    ("sts:AssumeRole", f"arn:aws-cn:iam::{B}:role/other", None),
    ("sts:AssumeRole", None, None),
    ("sts:AssumeRoleWithSAML", f"arn:aws:iam::{A}:role/other", None),
    ("sts:GetCallerIdentity", "*", None),
]
PRINCIPALS: list[Any] = [
    "*", {"AWS": USER}, {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": FEDERATED}, {"AWS": A},
    {"AWS": ROOT}, {"AWS": f"arn:aws:iam::{B}:root"}, {"Service": "ec2.amazonaws.com"},
    {"Federated": SAML}, {"CanonicalUser": CANONICAL},
]  # fmt: skip
_RESULTS = {
    "ALLOW": "Allowed", "IMPLICIT_DENY": "ImplicitlyDenied", "EXPLICIT_DENY": "ExplicitlyDenied",
    "UNDETERMINED": "Undetermined",
}  # fmt: skip
WHEN = {"StringEquals": {"aws:x": "1"}}


def statement(effect: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "*", "Resource": "*"} | more


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


NOTHING = policy(statement("Allow", Action="none:Such"))
ALL = policy(statement("Allow"))
PERHAPS = policy(statement("Allow", Condition=WHEN))
NEVER = policy(statement("Allow"), statement("Deny"))
UNLESS = policy(statement("Allow"), statement("Deny", Condition=WHEN))
SETS = (ALL, ALL, ALL, NOTHING, NOTHING, PERHAPS, NEVER, UNLESS)


@cache
def parsed(text: str, policy_type: Any) -> iamtables.PolicyDocument:
    return iamtables.parse_policy(text, policy_type=policy_type)


def drawn(rng: Random) -> dict[str, Any]:
    """Policies of every layer; each signal is on in some draws and off in others."""

    def some(odds: float) -> list[str]:
        return [rng.choice(SETS)] if rng.random() < odds else []

    def resource_policy() -> str:
        made = [
            statement(rng.choice(("Allow",) * 7 + ("Deny",)), Principal=who,
                      **({"Condition": WHEN} if rng.random() < 0.15 else {}))
            for who in rng.sample(PRINCIPALS, rng.randint(0, 3))
        ]  # fmt: skip
        return policy(*made) if made else policy(statement("Deny", Action="none:X", Principal="*"))

    def to_everyone(text: str) -> str:
        document = json.loads(text)
        for one in document["Statement"]:
            one["Principal"] = "*"
        return json.dumps(document)

    rcps = [to_everyone(text) for text in some(0.3)]
    return {
        "identity": some(0.85),
        "boundary": some(0.4),
        "session": some(0.45),
        "resource": resource_policy() if rng.random() < 0.8 else None,
        "scps": [some(1.0) for _ in range(rng.choice((0, 0, 1, 2, 3)))],
        "rcps": [rcps] if rcps else [],
        "vpce": [to_everyone(text) for text in some(0.3)],
    }


def compiled(given: dict[str, Any], options: dict[str, str]) -> iamtables.Table:
    def all_of(texts: list[str], policy_type: str) -> list[iamtables.PolicyDocument]:
        return [parsed(text, policy_type) for text in texts]

    return compile_layers(
        identity=all_of(given["identity"], "identity"),
        boundary=all_of(given["boundary"], "boundary"),
        session=all_of(given["session"], "session"),
        resource=given["resource"] and parsed(given["resource"], "resource"),
        scps=[all_of(level, "scp") for level in given["scps"]],
        rcps=[all_of(level, "rcp") for level in given["rcps"]],
        endpoint=all_of(given["vpce"], "vpce"),
        options=iamtables.Options.from_mapping({"invalid_statement": "never"} | options),
    )


OPTIONS = [
    {}, {"trust_boundary": "bypass"}, {"missing_required_policy": "account"},
    {"notprincipal": "chain"},
]  # fmt: skip


def test_the_rules_are_those_of_the_reference() -> None:
    rng = Random(5)
    seen: set[tuple[str, int, int]] = set()
    for _ in range(130):
        given, options = drawn(rng), rng.choice(OPTIONS)
        session = compiled(given, options).session()
        for who, (action, resource, owner) in rng.sample(list(product(REQUESTERS, QUESTIONS)), 40):
            context = {"aws:AssumedRoot": rng.choice(("true", "false"))}
            request = {**who, "action": action, "resource": resource, "resource_account": owner,
                       "context": context}  # fmt: skip
            if rng.random() < 0.5:
                context["aws:x"] = rng.choice(("1", "2"))
            else:
                request["unknown"] = ["aws:x"]
            judged = evaluate({"policies": given, "options": options, "request": request | {
                "context": context | dict.fromkeys(request.get("unknown", ()), _unknown())}})
            arguments = {k: v for k, v in request.items() if not k.startswith("principal_is")}
            arguments["is_management_account"] = "principal_is_management_account" in who
            answer = session.check(**arguments)
            found = (_RESULTS[answer.decision.name], [x.name.lower() for x in answer.deciders])
            case = {"policies": given, "request": request, "options": options}
            assert (found[0], case) == (judged.result, case)
            if judged.result != "Undetermined" and "unknown" not in request and resource:
                assert (found[1], case) == (list(judged.deciders), case)
            seen |= _seen(session)
    wanted = {("asker", int(asker), 1) for asker in Asker}
    wanted |= {(fact, 0, claim) for fact in ("same", "partition", "must", "trust", "assumed")
               for claim in (1, 2)}  # fmt: skip
    wanted |= {("signal", int(s), on) for s in (*DENIES.values(), Signal.IDENTITY, Signal.BOUNDARY,
               Signal.SESSION, Signal.VPCE, *LEVELS, Signal.SCP) for on in (0, 1)}  # fmt: skip
    assert not wanted - seen


def _unknown() -> Any:
    from iamtables.reference import UNKNOWN

    return UNKNOWN


def _seen(session: Any) -> set[tuple[str, int, int]]:
    """What the row that was decided last exercised."""
    row = session._engines[0].last_row()
    if row is None:
        return set()
    must, _, (asker, *claims, _root, _bucket, _has) = row
    seen = {("asker", asker, 1)}
    seen |= {(name, 0, claim) for name, claim in zip(
        ("same", "partition", "must", "trust", "assumed"), claims, strict=True)}  # fmt: skip
    return seen | {("signal", bit, must >> bit & 1) for bit in range(32)}
