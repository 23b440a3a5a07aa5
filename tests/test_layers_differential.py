"""The layered tables against the reference evaluator on generated worlds of every policy type.

Worlds come from layer_generator.py by seed: policies of all types, and requests of many kinds of
requester asked in one batch. Where the reference is determined the table must decide the same and
name one of its deciders and one of its matching statements. Where it is not, a determined table
must be right for every completion of the unknowns. A sample of worlds is asked again by `check`,
through a saved and reopened table, with two threads, and with dictionary columns.

`pytest --cases N` (or IAMTABLES_CASES) sets the number of cases, `--seed` the first world. Without
`iamtables.compile_layers` the reference is run alone, for the mix of cases and its rules.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import repeat
from multiprocessing import get_context
from random import Random
from typing import Any

import layer_tables as tables
import pyarrow as pa
import pytest
from layer_generator import CHOICES, LayerRequest, LayerWorld, make_layer_world, texts_of
from layer_judging import LayerCase, check_completions, complaint, report, verdict
from layer_reference import Judgement, Reference, case_of
from layer_tables import Answer

from iamtables import RequestError
from iamtables.reference import LAYER_RULES, RequestFault, evaluate

PER_WORLD = 500
LONG_RUN, PER_WORLD_OF_A_LONG_RUN = 1_000_000, 1000
"""A world costs more than its requests, so a long run asks more of each."""
CHECKS = 30
"""Requests of a sampled world that are also asked alone."""
EVERY = 6
"""One world in so many is also checked, reopened, threaded and dictionary-encoded."""
NAMES = ("IMPLICIT_DENY", "ALLOW", "EXPLICIT_DENY", "UNDETERMINED")


@dataclass
class Tally:
    """What a run saw: decisions, deciders, kinds, rules, and the first cases that went wrong."""

    decisions: Counter[str] = field(default_factory=Counter)
    deciders: Counter[str] = field(default_factory=Counter)
    options: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: set[str] = field(default_factory=set)
    refused: int = 0
    """Requests that may not be asked (ACT-8, RES-12, PRIN-2), flagged by both."""
    checked: int = 0
    sharper: int = 0
    """Rows the table determines although the reference does not."""
    settled: int = 0
    placed: int = 0
    """Rows that were found by the codes of dictionaries (tables.decide_by_place)."""
    seconds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("decisions", "deciders", "options", "seconds"):
            getattr(self, name).update(getattr(other, name))
        self.rules |= other.rules
        self.refused += other.refused
        self.checked += other.checked
        self.sharper += other.sharper
        self.settled += other.settled
        self.placed += other.placed
        self.failures += other.failures


class Trial:
    """One world, decided by both evaluators."""

    def __init__(self, seed: int, tally: Tally, per_world: int = PER_WORLD) -> None:
        start = time.perf_counter()
        self.world = make_layer_world(seed, per_world)
        self.texts = texts_of(self.world.policies)
        self.reference = Reference(self.texts, self.world.options)
        self.tally = tally
        self.judgements: list[Judgement | None] = []
        tally.options.update(self.world.options.items())
        tally.seconds["generator"] += time.perf_counter() - start

    def judge(self) -> None:
        """The reference's word on every request; None for one that may not be asked."""
        start = time.perf_counter()
        tally = self.tally
        for request in self.world.requests:
            try:
                judgement = self.reference.judge(request, tally.rules)
            except RequestFault:
                tally.refused += 1
                self.judgements.append(None)
                continue
            tally.decisions[judgement.outcome.decision] += 1
            tally.deciders.update(judgement.outcome.deciders)
            self.judgements.append(judgement)
        tally.seconds["reference"] += time.perf_counter() - start

    def compare(self, is_sample: bool) -> None:
        """The table's word, in one batch; for a sample in every way there is."""
        start = time.perf_counter()
        world = self.world
        table = tables.compile_policies(self.texts, world.options, world.is_trust)
        arrow = pa.string() if world.seed % 2 else None  # lists are coded, these texts are not
        if world.seed % 8 == 3:
            answers, placed = tables.decide_by_place(table, world.requests, world.keys)
            self.tally.placed += placed
        else:
            answers = tables.decide(table, world.requests, world.keys, arrow=arrow,
                                    is_known=world.seed % 4 > 1)
        self.tally.seconds["tables"] += time.perf_counter() - start
        for request, judgement, answer in zip(
            world.requests, self.judgements, answers, strict=True
        ):
            wrong = self.complaint(request, judgement, answer)
            if wrong is not None:
                self.fail(request, wrong)
                return
        if is_sample:
            self.compare_other_ways(table, answers)

    def complaint(self, request: LayerRequest, judgement: Judgement | None,
                  answer: Answer) -> str | None:
        if judgement is None:
            if not answer.error or answer.decision != "UNDETERMINED" or answer.statement:
                return f"the reference refuses the request, the table says {answer}"
            return None
        wrong = complaint(judgement, self.texts, request, answer)
        if wrong is None and answer.decision != judgement.outcome.decision:
            self.tally.sharper += 1
            wrong = check_completions(self.reference, self.world, request, judgement,
                                      answer.decision)
        return wrong

    def compare_other_ways(self, table: Any, plain: list[Answer]) -> None:
        world = self.world
        again = tables.reopened(table)
        for name, asked, more in (
            ("reopened", again, {}),
            ("lists", table, {}),
            ("texts of Arrow", table, {"arrow": pa.large_string()}),
            ("views of Arrow, two threads", again, {"arrow": pa.string_view(), "threads": 2}),
            ("two threads", table, {"threads": 2}),
            ("dictionary columns", table, {"dictionary": True}),
            ("keys not given", table, {"leaves_out": True}),
            ("keys not given, dictionary columns", table, {"leaves_out": True, "dictionary": True}),
            ("reopened, dictionary columns that are known", again,
             {"dictionary": True, "is_known": True}),
        ):
            other = tables.decide(asked, world.requests, world.keys, **more)
            for request, answer, expected in zip(world.requests, other, plain, strict=True):
                if answer != expected:
                    self.fail(request, f"{name}: {answer}, plainly {expected}")
                    return
        rng = Random(world.seed)
        for row in rng.sample(range(len(world.requests)), CHECKS):
            request, judgement = world.requests[row], self.judgements[row]
            for asked in (table, again):
                wrong = self.complaint_of_check(asked, request, judgement, plain[row], rng)
                if wrong is not None:
                    self.fail(request, f"check: {wrong}")
                    return

    def complaint_of_check(self, table: Any, request: LayerRequest, judgement: Judgement | None,
                           plain: Answer, rng: Random) -> str | None:
        self.tally.checked += 1
        try:
            answer = tables.check(table, request)
        except RequestError:
            return None if judgement is None else "refused, the reference decides"
        wrong = self.complaint(request, judgement, answer)
        if wrong is None and answer != plain:
            wrong = f"{answer}, decide says {plain}"
        if wrong is None and answer.decision == "UNDETERMINED":
            wrong = self.complaint_of_reason(table, request, answer.reason, rng)
        return wrong

    def complaint_of_reason(self, table: Any, request: LayerRequest, reason: tuple[str, ...],
                            rng: Random) -> str | None:
        """Making known what an undetermined row names settles it, if it can be made known."""
        names = {name.lower() for name in reason}
        if names & {"statement", "principal"}:
            return None
        world = self.world
        self.tally.settled += 1
        for _ in range(2):
            context, unknown = dict(request.context), set(request.unknown)
            for key in sorted(k for k in request.unknown if k.lower() in names):
                unknown.discard(key)
                value = rng.choice(world.values[key])
                if value is not None:
                    context[key] = value
            resource = request.resource
            if "resource" in names:
                resource = rng.choice(world.resources)
            partly = replace(request, context=context, unknown=frozenset(unknown),
                             resource=resource)
            try:
                left = tables.check(table, partly)
            except RequestError:
                continue  # a resource that nobody can ask about
            if left.decision == "UNDETERMINED" and not {
                n.lower() for n in left.reason} & {"statement", "principal"}:
                return f"{reason} made known as in {partly} leaves it open: {left}"
        return None

    def fail(self, request: LayerRequest, wrong: str) -> None:
        """The case cut down, or as it stands where it needs its neighbours to go wrong."""
        world = self.world
        case = LayerCase(world.policies, world.options, request)
        try:
            alone = verdict(case)
        except Exception as error:
            alone = None
            wrong += f" (asked alone: {error!r})"
        text = report(case) if alone else f"(only among its neighbours)\n{case.line()}"
        self.tally.failures.append(f"seed {world.seed}: {wrong}\n{text}")


def run(seeds: range, per_world: int, most_failures: int = 3) -> Tally:
    """Worlds of these seeds; stops after a few failures."""
    tally = Tally()
    for seed in seeds:
        try:
            trial = Trial(seed, tally, per_world)
            with trial.reference:
                trial.judge()
                if tables.HAS_TABLES:
                    trial.compare(seed % EVERY == 0)
        except Exception as error:
            tally.failures.append(f"seed {seed}: {type(error).__name__}: {error}")
        if len(tally.failures) >= most_failures:
            break
    return tally


def _table_of(tally: Tally, worlds: int) -> list[str]:
    count = tally.decisions.total()
    lines = [f"{count:,} cases in {worlds:,} worlds of every policy type"]
    lines += [f"  {name:<14}{tally.decisions[name]:>10,}  {tally.decisions[name] / count:6.1%}"
              for name in NAMES]
    lines.append("  deciders  " + "  ".join(
        f"{name} {n / count:.1%}" for name, n in tally.deciders.most_common()))
    of_layers = len(tally.rules & LAYER_RULES)
    lines.append(f"  rules     {of_layers} of {len(LAYER_RULES)} of the layers, "
                 f"{len(tally.rules)} in all")
    lines.append(f"  {tally.refused:,} refused, {tally.checked:,} by check, {tally.settled:,} "
                 f"reasons settled, {tally.sharper:,} sharper than the reference, "
                 f"{tally.placed:,} by place")
    lines.append("  seconds   " + "  ".join(f"{k} {v:.1f}" for k, v in tally.seconds.items()))
    return lines


@pytest.fixture(scope="module")
def tally(layered_case_count: int, first_seed: int, say: Callable[[str], None]) -> Tally:
    """All worlds of this run, on two processes."""
    per_world = PER_WORLD if layered_case_count < LONG_RUN else PER_WORLD_OF_A_LONG_RUN
    worlds = -(-layered_case_count // per_world)
    parts = max(2, worlds // 100)
    chunks = [range(first_seed + part, first_seed + worlds, parts) for part in range(parts)]
    total = Tally()
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for part in pool.map(run, chunks, repeat(per_world)):
            total.add(part)
            if len(total.failures) >= 3:
                pool.shutdown(cancel_futures=True)
                break
    say("\n".join(_table_of(total, worlds)))
    return total


def test_tables_decide_as_the_reference_does(tally: Tally) -> None:
    assert not tally.failures, "\n\n".join(tally.failures)


def test_each_decision_is_at_least_a_tenth_of_the_generated_cases(tally: Tally) -> None:
    if tally.failures:
        pytest.skip("the run stopped at a failure")
    total = tally.decisions.total()
    shares = {name: tally.decisions[name] / total for name in NAMES}
    assert min(shares.values()) >= 0.1, shares


def test_the_shortest_way_is_exercised(tally: Tally) -> None:
    if tally.failures or not tables.HAS_TABLES:
        pytest.skip("the run stopped at a failure, or has no tables")
    assert tally.placed > tally.decisions.total() // 40


def test_every_decider_and_every_option_is_exercised(tally: Tally) -> None:
    if tally.failures:
        pytest.skip("the run stopped at a failure")
    deciders = {"scp", "rcp", "vpce", "resource", "identity", "boundary", "session", "root",
                "service"}
    assert set(tally.deciders) == deciders
    wanted = {(name, value) for name, values in CHOICES.items() for value in values}
    wanted |= {("invalid_statement", "unknown"), ("invalid_statement", "never")}
    assert wanted <= set(tally.options)


def test_every_rule_of_the_layers_is_exercised(tally: Tally) -> None:
    if tally.failures:
        pytest.skip("the run stopped at a failure")
    if tally.decisions.total() < 50_000:
        pytest.skip("a short run; rare rules need tens of thousands of cases")
    missing = sorted(LAYER_RULES - tally.rules)
    assert not missing, f"no generated case exercised {', '.join(missing)}"


def test_remembering_changes_nothing() -> None:
    """What layer_reference.py remembers is what the plain reference says, rules included."""
    for seed in range(12):
        world = make_layer_world(seed, 24)
        texts = texts_of(world.policies)
        with Reference(texts, world.options) as reference:
            remembered = [_outcome_of(reference, request) for request in world.requests]
        for request, (outcome, rules) in zip(world.requests, remembered, strict=True):
            plain: set[str] = set()
            try:
                expected: Any = evaluate(case_of(texts, request, world.options), rules=plain)
            except RequestFault:
                expected = None
            assert outcome == expected, (seed, request)
            if outcome is not None:
                assert rules == plain, (seed, request, rules ^ plain)


def _outcome_of(reference: Reference, request: LayerRequest) -> tuple[Any, set[str]]:
    rules: set[str] = set()
    try:
        return reference.judge(request, rules).outcome, rules
    except RequestFault:
        return None, rules


def test_the_same_seed_makes_the_same_world() -> None:
    first, second = make_layer_world(7, 32), make_layer_world(7, 32)
    assert texts_of(first.policies) == texts_of(second.policies)
    assert first.requests == second.requests
    assert first.options == second.options


def test_a_case_survives_its_line() -> None:
    """What a failure prints can be read back as the same case."""
    from layer_judging import read_case

    for seed in range(40):
        world: LayerWorld = make_layer_world(seed, 4)
        for request in world.requests:
            case = LayerCase(world.policies, world.options, request)
            again = read_case(case.line())
            assert again.texts == case.texts
            assert (again.options, again.request) == (case.options, case.request)
