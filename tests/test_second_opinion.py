"""A second opinion on the reference: the open-source simulator `@cloud-copilot/iam-simulate`.

Opt-in: `pytest --slow` with Node.js and IAMTABLES_SIMULATOR naming a folder outside the repository,
into which npm installs the simulator when it is not there. Generated cases that the simulator can
express are put to both; each difference must be one that section 6.2 of the semantics lists.
Options are those that leave the fewest differences (`resource_glob="segment"`, DIV-5).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generator import Obj
from layer_generator import LayerMaker, LayerRequest, LayerWorld, texts_of
from layer_judging import LayerCase
from layer_reference import Reference

from iamtables.reference import RequestFault
from iamtables.reference.context import catalogue_kind
from iamtables.reference.principals import is_role, read_arn

VERSION = "0.1.173"
"""The version that section 6.2 was checked against."""
PACKAGE = "@cloud-copilot/iam-simulate"
WORLDS, PER_WORLD = 400, 25
OPTIONS = {"resource_glob": "segment", "null_notresource": "nomatch"}
DRIVER = Path(__file__).parent / "second_opinion.mjs"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("IAMTABLES_SIMULATOR"),
                       reason="IAMTABLES_SIMULATOR names no folder for the simulator"),
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is missing"),
]


@pytest.fixture(scope="module")
def simulator() -> Path:
    """The folder with the simulator, installed if it is not there."""
    folder = Path(os.environ["IAMTABLES_SIMULATOR"])
    manifest = folder / "node_modules" / PACKAGE / "package.json"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund",
                        f"{PACKAGE}@{VERSION}"], check=True, capture_output=True, timeout=600)
    assert json.loads(manifest.read_text("utf-8"))["version"] == VERSION
    return folder


# --- cases that the simulator can express -----------------------------------------------------

class PlainMaker(LayerMaker):
    """Worlds without faults, unknowns and options, of requesters that the simulator knows."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.fault_rate = self.base.fault_rate = 0.0
        self.base.chars = "ab"
        self.base.keys = [key for key in self.base.keys if key.kind == "S" and key.name.isascii()]
        self.base.words = ["a", "b", "ab", "ba"]
        if seed % 8:  # variables differ in seven ways (DIV-1, 6 to 9), which would hide the rest
            self.base.variable = lambda: "a"  # type: ignore[method-assign]
        kinds = self.rng.choices(
            ("user", "session", "federated user", "root", "service", "anonymous",
             "linked by name"), (8, 8, 2, 1, 2, 1.5, 0.5), k=5)
        self.cast = [self.requester(kind) for kind in kinds]

    def odd_entry(self) -> tuple[str, str]:
        return "AWS", "*"

    def statement(self, layer: str) -> Obj:
        """In an RCP the string `*` itself, since anything else is a fault (GRAM-42)."""
        pairs = super().statement(layer)
        if layer != "rcps":
            return pairs
        return Obj((k, "*" if k == "Principal" else v) for k, v in pairs)


FULL_ACCESS = Obj([("Version", "2012-10-17"), ("Statement", [Obj([
    ("Effect", "Allow"), ("Principal", "*"), ("Action", "*"), ("Resource", "*")])])])
"""`RCPFullAWSAccess`, which the simulator wants to see at every level (EVAL-18)."""


def cases() -> Iterator[LayerCase]:
    for seed in range(20_000, 20_000 + WORLDS):
        maker = PlainMaker(seed)
        if not maker.base.keys:
            continue
        world: LayerWorld = maker.world(PER_WORLD)
        if re.search(r"[\[ ]-?[0-9]+[.eE]", json.dumps(texts_of(world.policies))):
            continue  # the driver would lose how a number is written (GRAM-5)
        policies = {**world.policies, "session": world.policies["session"][:1],
                    "rcps": [[FULL_ACCESS, *level] for level in world.policies["rcps"]]}
        for request in world.requests:
            if _is_expressible(request):
                applicable = {**policies, **_not_asked(request.principal)}
                yield LayerCase(applicable, OPTIONS, _without_unknowns(request))


def _not_asked(principal: str) -> dict[str, Any]:
    """Types that do not apply to a requester (EVAL-6), emptied: the simulator leaves them out only
    if its caller does."""
    arn = read_arn(principal)
    if arn is None:
        nothing: dict[str, Any] = {key: [] for key in ("identity", "boundary", "session", "scps")}
        return nothing if principal == "anonymous" else {**nothing, "vpce": []}
    if arn.resource == "root":
        return {key: [] for key in ("identity", "boundary")}
    return {"session": []} if arn.resource.startswith("user/") else {}


def _is_expressible(request: LayerRequest) -> bool:
    """Resource `*` is for the simulator's outer layer, which knows what each action may name."""
    return (request.resource not in (None, "*") and request.principal_type in (None, "AWS")
            and request.principal != "*" and request.principal_account is None
            and not request.principal.endswith((".cn", ".amazon.com"))  # services, to the simulator
            and request.issuer_arn is None and not request.is_management_account)


def _without_unknowns(request: LayerRequest) -> LayerRequest:
    """The request as the simulator is asked: nothing unknown, its owner stated (EVAL-3), and no
    aws:PrincipalArn, which tells a session's role here (PRIN-4) and not there."""
    owner = request.resource_account
    if owner is None:
        resource, requester = read_arn(request.resource or ""), read_arn(request.principal)
        owner = resource.account if resource and len(resource.account) == 12 else ""
        owner = owner or (requester.account if requester else "999999999999")
    context: dict[str, Any] = {}
    for key, value in request.context.items():
        if key == "aws:PrincipalArn":
            continue
        is_single = isinstance(value, list) and len(value) == 1 and catalogue_kind(key) == "one"
        plain = value[0] if isinstance(value, list) and is_single else value  # COND-11
        context[key] = plain if isinstance(plain, list) else _text(plain)
    return replace(request, unknown=frozenset(), resource_account=owner, context=context)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- the differences of section 6.2 -----------------------------------------------------------

class Difference:
    """One case on which the two disagree."""

    def __init__(self, case: LayerCase, here: str, deciders: tuple[str, ...], there: str) -> None:
        self.case, self.here, self.deciders, self.there = case, here, deciders, there
        self.request = case.request
        self.texts = [json.dumps(json.loads(text)) for layer in texts_of(case.policies).values()
                      for text in _flat(layer)]
        self.action = case.request.action.lower()

    def has(self, *parts: str) -> bool:
        """Whether one policy holds all these texts."""
        return any(all(part.lower() in text.lower() for part in parts) for text in self.texts)

    @property
    def kind(self) -> str:
        arn = read_arn(self.request.principal)
        return "" if arn is None else arn.resource.split("/")[0]

    @property
    def is_trust(self) -> bool:
        return self.action.startswith("sts:") and is_role(read_arn(self.request.resource or ""))


def _flat(layer: Any) -> Iterator[str]:
    if isinstance(layer, str):
        yield layer
    for part in layer if isinstance(layer, list) else ():
        yield from _flat(part)


def _is_unversioned(d: Difference) -> bool:
    return any("${" in text and json.loads(text).get("Version") != "2012-10-17"
               for text in d.texts)


def _crosses_partitions(d: Difference) -> bool:
    mine, its = read_arn(d.request.principal), read_arn(d.request.resource or "")
    return mine is not None and its is not None and mine.partition != its.partition


_EMPTY = ("", [""], [])

DIVERGENCES: dict[str, Callable[[Difference], bool]] = {
    "DIV-1": _is_unversioned,
    "DIV-4": lambda d: d.there == "Allowed" and _differs_by_case(d),
    "DIV-6": lambda d: d.has("NotResource", "${"),
    "DIV-7": lambda d: d.has("Not", "${") and d.has("Condition"),
    "DIV-8": lambda d: d.has("Resource", "${"),
    "DIV-10": lambda d: d.has("ForAnyValue:", "IfExists"),
    "DIV-11": lambda d: any(v in _EMPTY for v in d.request.context.values())
    and (d.has("Null") or d.has("ForA")),
    "DIV-15": lambda d: d.kind == "federated-user" and not d.case.policies["session"],
    "DIV-16": lambda d: bool(d.case.policies["session"]) and d.here == "Allowed"
    and d.deciders == ("resource",) and d.there == "ImplicitlyDenied",
    "DIV-17": lambda d: "AWSServiceRoleFor" in d.request.principal,
    "DIV-18": lambda d: d.action == "kms:retiregrant" and bool(d.case.policies["rcps"]),
    "DIV-19": lambda d: d.is_trust and d.case.policies["resource"] is None,
    "DIV-20": lambda d: d.action == "sts:getsessiontoken",
    "DIV-21": lambda d: d.kind == "root",
    "DIV-22": lambda d: _crosses_partitions(d) and d.there == "Allowed",
    "DIV-23": lambda d: d.has('"AIDA') or d.has('"AROA'),
    "DIV-24": lambda d: d.has('"NotAction": []'),
    "DIV-25": lambda d: d.is_trust and bool(d.case.policies["boundary"]) and
    "boundary" in d.deciders and d.there == "Allowed",
    "DIV-26": lambda d: d.has("Not", ": []"),
    "DIV-27": lambda d: d.has('"*:*"'),
}


def _differs_by_case(d: Difference) -> bool:
    head = ":".join((d.request.resource or "").split(":")[:5])
    return any(head.lower() in text.lower() and head not in text for text in d.texts)


def test_every_difference_to_the_simulator_is_one_that_is_listed(
    simulator: Path, say: Callable[[str], None]
) -> None:
    asked: list[LayerCase] = []
    expected: list[Any] = []
    for case in cases():
        with Reference(case.texts, case.options) as reference:
            try:
                outcome = reference.judge(case.request).outcome
            except RequestFault:
                continue
        if outcome.decision != "UNDETERMINED":
            asked.append(case)
            expected.append(outcome)
    lines = "".join(case.line() + "\n" for case in asked)
    done = subprocess.run(["node", str(DRIVER), str(simulator)], input=lines, text=True,
                          capture_output=True, timeout=1200, check=True, encoding="utf-8")
    answers = done.stdout.splitlines()
    assert len(answers) == len(asked) > 5000

    found: Counter[str] = Counter()
    results: Counter[str] = Counter()
    unexplained: list[str] = []
    for case, outcome, answer in zip(asked, expected, answers, strict=True):
        results[outcome.result] += 1
        if answer.startswith("error:"):
            found["refused"] += 1
        elif answer == outcome.result:
            found["equal"] += 1
        else:
            difference = Difference(case, outcome.result, outcome.deciders, answer)
            name = next((n for n, fits in DIVERGENCES.items() if fits(difference)), "")
            found[name or "unexplained"] += 1
            if not name:
                unexplained.append(f"here {outcome.result} by {outcome.deciders}, there {answer}\n"
                                   f"{case.line()}")
    say(f"{len(asked):,} cases {dict(results)}: {dict(found.most_common())}")
    assert found["refused"] < len(asked) / 20
    assert not unexplained, f"{len(unexplained)}:\n" + "\n".join(unexplained[:10])
    assert found["equal"] > len(asked) * 0.8
