"""The tables against the reference evaluator on generated worlds, a few hundred thousand cases.

Worlds come from generator.py by seed. Of every world all requests are decided in bulk, and a
sample once more by `check`, through a saved and reopened table, with two threads and with
dictionary columns. Where the reference is determined the table must be equal and name a
statement of the reference's set. Where it is not, a determined table must be right for
completions of the unknowns drawn at random (all of them: test_unknowns.py), and an undetermined
row must name what settles it.

`pytest --cases N` (or IAMTABLES_CASES) sets the number of cases, `--seed` the first world.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from random import Random
from typing import Any

import numpy as np
import pytest
from generator import Request, World, completions, make_world
from judging import (
    NAMES,
    Case,
    check,
    columns,
    compile_texts,
    complaint,
    decision_of,
    place,
    reference,
    reopened,
    report,
    verdict,
)

from iamtables import DecisionCode, RequestError
from iamtables.reference import RULES, RequestFault

PER_WORLD = 512
CHECKS = 32
"""Requests of a sampled world that are also asked alone."""
EVERY = 4
"""One world in so many is also checked, reopened, threaded and dictionary-encoded."""

NOT_GENERATED = {
    "GRAM-1": "text that is not JSON, or not an object, is an error in both modes; test_grammar",
    "COND-5": "a key in two spellings at once is refused by `decide`; test_vectors",
}
"""Rules of the reference that no generated case can reach, with the reason."""


@dataclass
class Tally:
    """What a run saw: decisions, rules, and the first cases that went wrong."""

    decisions: Counter[str] = field(default_factory=Counter)
    rules: set[str] = field(default_factory=set)
    checked: int = 0
    settled: int = 0
    refused: int = 0
    """Requests that may not be asked (ACT-8, RES-12), flagged by both."""
    sharper: int = 0
    """Rows the table determines although the reference does not."""
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.decisions += other.decisions
        self.rules |= other.rules
        self.checked += other.checked
        self.settled += other.settled
        self.refused += other.refused
        self.sharper += other.sharper
        self.failures += other.failures


def case_of(world: World, request: Request) -> Case:
    return Case(tuple(world.policies), world.options, request)


def try_world(seed: int, tally: Tally) -> None:
    """Decide one world in every way and note what disagrees."""
    world = make_world(seed, PER_WORLD)
    texts = world.texts()
    is_sample = seed % EVERY == 0
    rules = tally.rules if is_sample else None
    table = compile_texts(texts, world.options)
    places = [place(info) for info in table.statements]
    out = table.decide(**columns(world.requests, world.keys))
    decided = out.decision.tolist()
    statements = [places[i] if i >= 0 else None for i in out.statement.tolist()]
    rng = Random(seed)
    for row, request in enumerate(world.requests):
        try:
            outcome = reference(texts, request, world.options, rules)
        except RequestFault:
            tally.refused += 1
            flags = (out.error[row] > 0, decided[row], statements[row])
            if flags != (True, DecisionCode.UNDETERMINED, None):
                wrong = f"the reference refuses the request, the table says {flags}"
                tally.failures.append(describe(world, request, wrong))
                return
            continue
        expected = decision_of(outcome)
        tally.decisions[expected.name] += 1
        wrong = complaint(outcome, decided[row], statements[row])
        if wrong is None and expected is DecisionCode.UNDETERMINED:
            if decided[row] != expected:
                tally.sharper += 1
                wrong = check_completions(world, texts, request, decided[row], rng)
            elif rng.random() < 0.05:
                tally.settled += 1
                wrong = check_reason(world, table, request, out.reason(row), rng)
        if wrong is not None:
            tally.failures.append(describe(world, request, wrong))
            return
    if is_sample:
        try_other_ways(world, texts, table, out, tally)


def try_other_ways(world: World, texts: list[str], table: Any, out: Any, tally: Tally) -> None:
    """The other entrances of the API give the same answers as the plain one."""
    again = reopened(table)
    encoded = columns(world.requests, world.keys, dictionary=True)
    plain = columns(world.requests, world.keys)
    for name, other in (
        ("reopened", again.decide(**plain)),
        ("two threads", table.decide(**plain, threads=2)),
        ("dictionary columns", table.decide(**encoded)),
        ("reopened with dictionary columns and threads", again.decide(**encoded, threads=2)),
    ):
        for what in ("decision", "statement"):
            differ = np.flatnonzero(getattr(other, what) != getattr(out, what))
            if differ.size:
                row = int(differ[0])
                wrong = (f"{name}: {what} {getattr(other, what)[row]}, "
                         f"plainly {getattr(out, what)[row]}")
                tally.failures.append(describe(world, world.requests[row], wrong))
                return
    for row, request in enumerate(world.requests[:CHECKS]):
        if out.error[row]:
            continue
        tally.checked += 1
        for asked in (table, again):
            decision = check(asked, request)
            outcome = reference(texts, request, world.options)
            wrong = complaint(outcome, decision.decision, place(decision.statement))
            if wrong is None and decision.decision != out.decision[row]:
                wrong = f"check says {decision.decision.name}, decide {NAMES[out.decision[row]]}"
            if wrong is None and set(decision.reason) != set(out.reason(row)):
                wrong = f"check names {decision.reason} as reason, decide {out.reason(row)}"
            if wrong is not None:
                tally.failures.append(describe(world, request, wrong))
                return


def check_completions(world: World, texts: list[str], request: Request, decided: int,
                      rng: Random) -> str | None:
    """A table that knows more than the reference must be right however the unknowns turn out."""
    for known in completions(world, request, rng, 12):
        decision = decision_of(reference(texts, known, world.options))
        fine = {decided, DecisionCode.UNDETERMINED}  # the latter: an unreadable statement
        if decided == DecisionCode.IMPLICIT_DENY:
            fine.add(DecisionCode.EXPLICIT_DENY)  # denied anyway; a Deny may add to it
        if decision not in fine:
            return (f"the table says {NAMES[decided]} although {known} would be "
                    f"{decision.name}")
    return None


def check_reason(world: World, table: Any, request: Request, reason: tuple[str, ...],
                 rng: Random) -> str | None:
    """Making known what an undetermined row names settles it (unless text is unreadable)."""
    if not reason:
        return "UNDETERMINED without a reason"
    names = {name.lower() for name in reason}
    possible = {key.lower() for key in request.unknown} | {"statement"}
    if request.resource is None:
        possible.add("resource")
    if not names <= possible:
        return f"the reason {reason} names what is not unknown"
    if "statement" in names:
        return None
    for known in completions(world, request, rng, 3):
        named = {key for key in request.unknown if key.lower() in names}
        context = {**request.context, **{k: v for k, v in known.context.items() if k in named}}
        partly = replace(
            request, context=context, unknown=request.unknown - named,
            resource=known.resource if "resource" in names else request.resource)
        decision = check(table, partly)
        if decision.decision is DecisionCode.UNDETERMINED:
            return f"{reason} made known as in {partly} leaves the row UNDETERMINED"
    return None


def describe(world: World, request: Request, wrong: str) -> str:
    """The failure cut down, or as it stands where it needs its neighbours to go wrong."""
    case = case_of(world, request)
    try:
        alone = verdict(case)
    except Exception as error:
        alone = None
        wrong += f" (asked alone: {error!r})"
    if alone is None:
        return (f"seed {world.seed}: {wrong}\n(only among its neighbours)\n"
                + "\n".join(case.texts()) + f"\n{world.options}\n{request}")
    return f"seed {world.seed}: {report(case)}"


def run(seeds: range) -> Tally:
    """Worlds of these seeds; stops after a few failures."""
    tally = Tally()
    for seed in seeds:
        try:
            try_world(seed, tally)
        except Exception as error:
            tally.failures.append(f"seed {seed}: {type(error).__name__}: {error}")
        if len(tally.failures) >= 3:
            break
    return tally


@pytest.fixture(scope="module")
def tally(case_count: int, first_seed: int, say: Callable[[str], None]) -> Tally:
    """All worlds of this run, on two processes."""
    worlds = -(-case_count // PER_WORLD)
    parts = max(2, worlds // 100)
    chunks = [range(first_seed + part, first_seed + worlds, parts) for part in range(parts)]
    total = Tally()
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for part in pool.map(run, chunks):
            total.add(part)
            if len(total.failures) >= 3:
                pool.shutdown(cancel_futures=True)
                break
    count = total.decisions.total()
    lines = [f"{count:,} cases in {worlds:,} worlds, seeds from {first_seed}"]
    lines += [f"  {name:<14}{total.decisions[name]:>10,}  {total.decisions[name] / count:6.1%}"
              for name in NAMES]
    lines.append(f"  {total.refused:,} refused, {total.checked:,} by check, {total.settled:,} "
                 f"reasons settled, {total.sharper:,} sharper than the reference")
    say("\n".join(lines))
    return total


def test_tables_decide_as_the_reference_does(tally: Tally) -> None:
    assert not tally.failures, "\n\n".join(tally.failures)


def test_each_decision_is_at_least_a_tenth_of_the_generated_cases(tally: Tally) -> None:
    if tally.failures:
        pytest.skip("the run stopped at a failure")
    total = tally.decisions.total()
    shares = {name: tally.decisions[name] / total for name in NAMES}
    assert min(shares.values()) >= 0.1, shares


def test_every_rule_of_the_reference_is_exercised(tally: Tally) -> None:
    if tally.failures:
        pytest.skip("the run stopped at a failure")
    if tally.decisions.total() < 90_000:
        pytest.skip("a short run; rare rules need about a hundred thousand cases")
    missing = sorted(RULES - tally.rules - set(NOT_GENERATED))
    assert not missing, f"no generated case exercised {', '.join(missing)}"
    assert not tally.rules & set(NOT_GENERATED), "a rule listed as not generated was exercised"


def test_the_same_seed_makes_the_same_world() -> None:
    first, second = make_world(7, 32), make_world(7, 32)
    assert first.texts() == second.texts()
    assert first.requests == second.requests
    assert first.options == second.options


MALFORMED_ACTIONS = ("", "s3", "s3:", ":Get", "s3:Get:x", "s3:Get Object", " s3:Get", "s3:Get\n",
                     ":", "*", "s3::Get", "s3\t:Get")
MALFORMED_RESOURCES = ("", "arn", "arn:", "arn:aws:s3::", "s3:::bucket", "**", "?", " *", "x",
                       "ARN:aws:s3:::b", "arn:aws:s3:b", "AR:::::", " arn:aws:s3:::b")
ALLOW_ALL = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'


@pytest.mark.parametrize("action", MALFORMED_ACTIONS)
def test_a_malformed_action_is_an_error_and_never_a_decision(action: str) -> None:
    """ACT-8: a row is flagged, a single request is refused, by both evaluators."""
    table = compile_texts([ALLOW_ALL], {})
    out = table.decide(action=["s3:Get", action], resource="*")
    assert out.error.tolist() == [0, 1]
    assert out.decision.tolist() == [DecisionCode.ALLOW, DecisionCode.UNDETERMINED]
    with pytest.raises(RequestError):
        table.check(action=action, resource="*")
    with pytest.raises(RequestFault):
        reference([ALLOW_ALL], Request(action, "*", {}), {})


@pytest.mark.parametrize("resource", MALFORMED_RESOURCES)
def test_a_malformed_resource_is_an_error_and_never_a_decision(resource: str) -> None:
    """RES-12: as for actions."""
    table = compile_texts([ALLOW_ALL], {})
    out = table.decide(action="s3:Get", resource=["*", resource])
    assert out.error.tolist() == [0, 2]
    assert out.decision.tolist() == [DecisionCode.ALLOW, DecisionCode.UNDETERMINED]
    with pytest.raises(RequestError):
        table.check(action="s3:Get", resource=resource)
    with pytest.raises(RequestFault):
        reference([ALLOW_ALL], Request("s3:Get", resource, {}), {})
