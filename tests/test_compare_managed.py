"""Exact comparison of real policies: Bedrock versions, and managed policies that moto carries.

"No difference" is challenged with requests drawn near the patterns of both policies; every policy
is equivalent to itself, also without the shortcut that would make that trivial.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise, permutations
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from shared_data import shared_data
from test_managed_policies import managed

import iamtables
from iamtables import DecisionCode, Options
from iamtables.compiler.compare import Budget, EveryRequest, Question, Search, Witness, identity
from iamtables.compiler.lower import lower_documents
from iamtables.grammar.tree import PolicyDocument
from iamtables.history import history, load_versions
from iamtables.reference import evaluate_identity
from iamtables.requests_near import draw_requests
from iamtables.runtime import DictionaryColumn

SAMPLED_REQUESTS = 10_000
PAIRED_POLICIES = 60
PAIRS = 6
SELF_EVERY = 12


def searched(*texts: str, cancels: bool = True) -> tuple[Search, list[Any]]:
    documents = [iamtables.parse_policy(t, name=f"p{i}") for i, t in enumerate(texts)]
    program = lower_documents(documents, Options())
    return (Search(program, EveryRequest(), Budget(), cancels=cancels),
            [identity(program, [i]) for i in range(len(documents))])


def test_every_managed_policy_is_equivalent_to_itself() -> None:
    for name, text in managed().items():
        search, (ours, same) = searched(text, text)
        assert search.any_difference(Question(ours, same)).is_none, name


def test_managed_policies_are_equivalent_to_themselves_without_the_shortcut() -> None:
    for name, text in list(managed().items())[::SELF_EVERY]:
        search, (ours, same) = searched(text, text, cancels=False)
        answer = search.any_difference(Question(ours, same))
        assert answer.is_none, (name, answer)


def test_all_pairs_of_sixty_managed_policies_are_decided_and_survive_sampling() -> None:
    """Every answer is a witness that the reference confirms (of every tenth), or a "no" that
    sampled requests do not refute."""
    names = Random(60).sample(list(managed()), PAIRED_POLICIES)
    texts = [managed()[n] for n in names]
    search, sides = searched(*texts)
    verdicts = {"yes": 0, "no": 0}
    for i, j in permutations(range(PAIRED_POLICIES), 2):
        answer = search.any_difference(Question(sides[i], sides[j]))
        assert not answer.undecided, (names[i], names[j], answer.undecided)
        verdicts["no" if answer.is_none else "yes"] += 1
        if answer.is_none:
            assert challenged(texts[i], texts[j]).refutes is None, (names[i], names[j])
        elif sum(verdicts.values()) % 10 == 0:
            assert answer.witness is not None
            _assert_confirmed(answer.witness, texts[i], texts[j])
    assert min(verdicts.values()) > 5


def _assert_confirmed(witness: Witness, accepts: str, refuses: str) -> None:
    context = {k: list(v) if isinstance(v, tuple) else v for k, v in witness.context.items()}
    decisions = [
        evaluate_identity([text], action=witness.action, resource=witness.resource,
                          context=context).decision for text in (accepts, refuses)]
    assert decisions[0] == "ALLOW" != decisions[1], witness


@pytest.mark.parametrize("seed", range(PAIRS))
def test_pairs_of_managed_policies_are_told_in_full(seed: int) -> None:
    first, second = Random(seed).sample(list(managed()), 2)
    comparison = iamtables.compare(
        *(iamtables.parse_policy(managed()[n], name=n) for n in (first, second)))
    for direction in (comparison.gained, comparison.lost):
        assert not direction.undecided
        assert direction.differences


class Challenge(NamedTuple):
    """Requests drawn near two policies: how many, how many the first allows, and one that the
    first allows and the second does not."""

    requests: int
    allowed: int
    refutes: dict[str, str | None] | None


@lru_cache(maxsize=128)
def document_of(text: str) -> PolicyDocument:
    return iamtables.parse_policy(text)


@lru_cache(maxsize=128)
def table_of(text: str) -> iamtables.Table:
    return iamtables.compile(document_of(text))


def challenged(accepts: str, refuses: str, count: int = SAMPLED_REQUESTS) -> Challenge:
    """Decide `count` requests by both tables, half of them near each policy's patterns."""
    drawn = allowed = 0
    refutes = None
    for seed, near in enumerate((accepts, refuses)):
        columns = draw_requests([document_of(near)], count // 2, seed)
        coded = {n: DictionaryColumn(c.codes, list(c.values)) for n, c in columns.items()}
        ours, theirs = (
            table_of(text).decide(
                action=coded["action"], resource=coded["resource"],
                context={n: c for n, c in coded.items() if n not in ("action", "resource")},
            ).decision == DecisionCode.ALLOW for text in (accepts, refuses))  # fmt: skip
        drawn, allowed = drawn + len(ours), allowed + int(ours.sum())
        wrong = np.flatnonzero(ours & ~theirs)
        if len(wrong):
            refutes = {name: column.values[code] if (code := column.codes[wrong[0]]) >= 0 else None
                       for name, column in columns.items()}
    return Challenge(drawn, allowed, refutes)


@pytest.mark.parametrize("policy", ["AmazonBedrockFullAccess", "AmazonBedrockReadOnly"])
def test_no_difference_between_consecutive_versions_survives_sampled_requests(policy: str) -> None:
    """Every "no" in either direction, and the sample is such that it refutes what is wrong."""
    documents = [v.document for v in load_versions(shared_data("bedrock_versions"))[policy]]
    refuted = proved = 0
    for old, new in pairwise(documents):
        found = iamtables.compare(old, new)
        texts = new.source.text, old.source.text
        for direction, pair in ((found.gained, texts), (found.lost, texts[::-1])):
            challenge = challenged(*pair)
            assert challenge.requests >= SAMPLED_REQUESTS and challenge.allowed > 100
            if direction.verdict == "no":
                proved += 1
                assert challenge.refutes is None, (old.source.name, new.source.name)
            else:
                refuted += challenge.refutes is not None
    assert proved >= len(documents) - 1  # nothing was ever taken away
    assert refuted, "the sample finds none of the differences that are there"


def test_no_difference_between_versions_survives_sampled_requests() -> None:
    """A statement that is covered allows nothing new: 10,000 requests agree."""
    text = managed()["AmazonSageMakerFullAccess"]
    wider = json.loads(text)
    extra = json.loads(json.dumps(wider["Statement"][0]))
    extra["Action"] = [a for a in extra["Action"] if isinstance(a, str)][:1]
    wider["Statement"].append(extra)
    new = json.dumps(wider)
    comparison = iamtables.compare(iamtables.parse_policy(text), iamtables.parse_policy(new))
    assert comparison.equivalent == "yes"
    assert challenged(new, text).refutes is None


def test_the_versions_of_the_bedrock_policies_never_took_a_permission_away() -> None:
    told = {name: history(name, versions)
            for name, versions in load_versions(shared_data("bedrock_versions")).items()}
    full, read = told["AmazonBedrockFullAccess"], told["AmazonBedrockReadOnly"]
    assert full.promise == read.promise == "held"
    assert [(s.old.number, s.new.number, s.missing) for s in full.steps] == [
        (1, 2, ()), (2, 3, ()), (3, 4, ()), (4, 7, (5, 6)), (7, 10, (8, 9))]
    added = {(h.name[13:], s.new.number): {a.split(" ")[0] for d in s.comparison.gained.differences
                                           for a in d.actions}
             for h in told.values() for s in h.steps}
    # the change log of the policies' page: Marketplace (2024-12-04), guardrails, evaluation and
    # batch inference (2024-08-21), inference profiles (2024-08-27), model import (2024-10-18)
    assert {"sagemaker:CreateEndpoint", "sagemaker:InvokeEndpoint"} <= added["FullAccess", 2]
    assert added["FullAccess", 4] == {"bedrock-mantle:*"}
    assert {"bedrock:GetGuardrail", "bedrock:GetEvaluationJob",
            "bedrock:ListModelInvocationJobs"} <= added["ReadOnly", 2]
    assert added["ReadOnly", 3] == {"bedrock:GetInferenceProfile", "bedrock:ListInferenceProfiles"}
    assert "bedrock:GetImportedModel" in added["ReadOnly", 4]
    assert {"bedrock:Get*", "sagemaker:DescribeEndpoint"} <= added["ReadOnly", 5]
    for name in (("FullAccess", 7), ("FullAccess", 10), ("ReadOnly", 6), ("ReadOnly", 7)):
        assert not added[name]


@pytest.mark.parametrize("policy", ["AmazonBedrockFullAccess", "AmazonBedrockReadOnly"])
def test_consecutive_versions_agree_without_the_shortcut_in_both_directions(policy: str) -> None:
    versions = load_versions(shared_data("bedrock_versions"))[policy]
    texts = [v.document.source.text for v in versions]
    for old, new in pairwise(texts):
        fast = iamtables.compare(iamtables.parse_policy(old), iamtables.parse_policy(new))
        search, (before, after) = searched(old, new, cancels=False)
        gained = search.differences(Question(after, before))
        lost = search.differences(Question(before, after))
        assert bool(gained.regions) == (fast.gained.verdict == "yes")
        assert bool(lost.regions) == (fast.lost.verdict == "yes")
        for region in gained.regions:
            witness = region.witness
            assert witness is not None
            _assert_confirmed(witness, new, old)
