"""Exact comparison against enumeration: generated pairs, every request of their small world.

"No difference" is wrong if any request of the world is one; a witness is wrong if the reference
evaluator does not say so. Undecided is never wrong, but has to stay rare, and has to have a reason:
a policy variable, or a key compared as two types.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from small_policies import ACTIONS, RESOURCES, Family, Judge, family

import iamtables
from iamtables import Options
from iamtables.compiler.compare import Budget, EveryRequest, Question, Search, Witness, identity
from iamtables.compiler.lower import lower_documents
from iamtables.reference import evaluate_identity

FAMILY_SIZE = 24
FAMILY_COUNT = 92
PAIR_COUNT = FAMILY_COUNT * FAMILY_SIZE * (FAMILY_SIZE - 1)
REPLAYED = 8
"""Every eighth witness is replayed here (`compare` replays them all; test_compare.py says so)."""
DETAILED = 60
"""For every sixtieth pair all regions are asked for, not only whether there is one."""


def test_the_pairs_are_as_many_as_promised() -> None:
    assert PAIR_COUNT >= 50_000


def test_the_judge_decides_as_the_whole_reference_evaluator_does() -> None:
    rng = Random(7)
    decided = Counter()
    for seed in range(0, FAMILY_COUNT, 3):
        made = family(seed, size=FAMILY_SIZE)
        judge = Judge(made)
        for policy in rng.sample(made.policies, 3):
            allowed = judge.allowed(policy)
            bits = [rng.randrange(len(ACTIONS) * len(RESOURCES) * len(made.contexts))
                    for _ in range(12)]
            if allowed:
                bits.append(allowed.bit_length() - 1)
            for bit in bits:
                action, resource, context = made.request(bit)
                outcome = evaluate_identity([policy], action=action, resource=resource,
                                            context=context, options=made.options)
                assert (outcome.decision == "ALLOW") == bool(allowed >> bit & 1), (seed, policy)
                decided[outcome.decision] += 1
    assert decided["ALLOW"] > 100 and decided["IMPLICIT_DENY"] > 100


@pytest.mark.parametrize("cancels", [True, False], ids=["shortcuts", "no shortcuts"])
def test_answers_agree_with_the_enumeration_of_all_requests(cancels: bool) -> None:
    """All families with the shortcuts, every sixth once more without them."""
    answers: Counter[str] = Counter()
    reasons: Counter[tuple[bool, bool]] = Counter()
    for seed in range(0, FAMILY_COUNT, 1 if cancels else 6):
        made = family(seed, size=FAMILY_SIZE)
        for answer in _check_family(made, cancels):
            answers[answer] += 1
            if answer == "undecided":
                reasons[made.has_variables, made.is_mixed] += 1
    assert sum(answers.values()) == (PAIR_COUNT if cancels else 16 * 24 * 23)
    assert answers["undecided"] <= sum(answers.values()) // 200
    assert not reasons[False, False], "undecided without a variable or a key of two types"
    assert min(answers["yes"], answers["no"]) > sum(answers.values()) // 10


def _check_family(made: Family, cancels: bool) -> list[str]:
    judge = Judge(made)
    allowed = [judge.allowed(policy) for policy in made.policies]
    documents = [iamtables.parse_policy(text, name=f"p{i}") for i, text in enumerate(made.texts)]
    program = lower_documents(documents, Options.from_mapping(made.options))
    search = Search(program, EveryRequest(), Budget(), cancels=cancels)
    sides = [identity(program, [i]) for i in range(len(documents))]
    replayed: dict[Any, str] = {}
    out = []
    number = 0
    for i, accepting in enumerate(made.policies):
        for j, refusing in enumerate(made.policies):
            if i == j:
                continue
            number += 1
            question = Question(sides[i], sides[j])
            if number % DETAILED:
                answer = search.any_difference(question)
                witnesses = [answer.witness] if answer.witness else []
                is_undecided = bool(answer.undecided)
            else:
                found = search.differences(question)
                witnesses = [r.witness for r in found.regions if r.witness is not None]
                is_undecided = bool(found.undecided or any(r.undecided for r in found.regions))
            difference = allowed[i] & ~allowed[j]
            if difference and not is_undecided:
                assert witnesses, _report(made, i, j, difference)
            for witness in witnesses if number % REPLAYED == 0 or not number % DETAILED else []:
                for policy, is_allowed in ((accepting, True), (refusing, False)):
                    decision = _decision(made, policy, witness, replayed)
                    assert (decision == "ALLOW") is is_allowed, (made.seed, i, j, witness, decision)
            out.append("yes" if witnesses else "undecided" if is_undecided else "no")
    return out


def _decision(made: Family, policy: Any, witness: Witness, known: dict[Any, str]) -> str:
    at = (id(policy), witness.action, witness.resource, repr(witness.context))
    if at not in known:
        context = {k: list(v) if isinstance(v, tuple) else v for k, v in witness.context.items()}
        known[at] = evaluate_identity(
            [policy], action=witness.action, resource=witness.resource, context=context,
            options=made.options).decision
    return known[at]


def _report(made: Family, i: int, j: int, difference: int) -> str:
    request = made.request((difference & -difference).bit_length() - 1)
    return (f"missed in family {made.seed}: {request} with {made.options}\n"
            f"allowed by {made.texts[i]}\nnot by {made.texts[j]}")
