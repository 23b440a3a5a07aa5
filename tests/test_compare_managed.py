"""Exact comparison of real policies: Bedrock versions, and managed policies that moto carries.

"No difference" is challenged with requests drawn near the patterns of both policies; every policy
is equivalent to itself, also without the shortcut that would make that trivial.
"""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from random import Random
from typing import Any

import pytest
from shared_data import shared_data
from test_managed_policies import managed, requests_for

import iamtables
from iamtables import Options
from iamtables.compiler.compare import Budget, EveryRequest, Question, Search, Witness, identity
from iamtables.compiler.lower import lower_documents
from iamtables.history import history, load_versions
from iamtables.reference import evaluate_identity

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
            assert _counterexample(texts[i], texts[j], 200) is None, (names[i], names[j])
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


def _counterexample(accepts: Any, refuses: Any, count: int) -> Any:
    """A sampled request that the one allows and the other does not."""
    requests = requests_for(accepts, "near accepts", count // 2)
    requests += requests_for(refuses, "near refuses", count - count // 2)
    tables = [iamtables.compile(iamtables.parse_policy(t)) for t in (accepts, refuses)]
    for request in requests:
        if request.resource is None:
            continue
        ours, theirs = (
            table.check(action=request.action, resource=request.resource,
                        context=request.context).is_allowed for table in tables)
        if ours and not theirs:
            return request
    return None


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
    assert _counterexample(new, text, SAMPLED_REQUESTS) is None


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
