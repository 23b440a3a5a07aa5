"""How long does one request take?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from corpora import Corpus
from peers import MemoisedEvaluator

import iamtables

REQUESTS = 2_000
HOT = {
    "principal": "arn:aws:iam::111122223333:role/search-7",
    "action": "sagemaker:InvokeEndpoint",
    "resource": "arn:aws:sagemaker:us-east-1:111122223333:endpoint/search-endpoint-7",
    "context": {"aws:CalledViaLast": "bedrock.amazonaws.com",
                "aws:ResourceTag/sagemaker-sdk:bedrock": "compatible"},
}
"""Allowed by the last of three questions: action, resource, two conditions."""

Measure = Callable[..., Any]


@pytest.mark.benchmark(group="check, one request again and again")
def test_how_long_does_a_check_of_a_known_request_take(
    measure: Measure, corpus: Corpus, table: iamtables.Table
) -> None:
    decision = measure(
        lambda: table.check(**HOT), rows=1, facts=corpus.facts() | {"rows": 1}, unit="checks")
    assert decision.is_allowed
    assert decision.statement.sid == "MarketplaceModelEndpointInvokingOperations"


@pytest.mark.benchmark(group="check, one request again and again")
def test_how_long_does_memoised_python_take_for_a_known_request(
    measure: Measure, corpus: Corpus
) -> None:
    peer = MemoisedEvaluator(corpus.policies)
    context = lowered(HOT["context"])
    decision = measure(lambda: peer.decide(HOT["action"], HOT["resource"], context),
                       rows=1, facts=corpus.facts() | {"rows": 1}, unit="checks")
    assert decision == iamtables.DecisionCode.ALLOW


@pytest.mark.benchmark(group="check, thousands of requests in turn")
def test_how_long_do_checks_of_varied_requests_take(
    measure: Measure, corpus: Corpus, table: iamtables.Table
) -> None:
    requests = corpus.requests(REQUESTS)
    decisions = measure(
        lambda: [table.check(**request).decision for request in requests],
        rows=REQUESTS, facts=corpus.facts() | {"rows": REQUESTS}, unit="checks")
    assert decisions == corpus.expected[:REQUESTS].tolist()


@pytest.mark.benchmark(group="check, thousands of requests in turn")
def test_how_long_does_memoised_python_take_for_varied_requests(
    measure: Measure, corpus: Corpus
) -> None:
    peer = MemoisedEvaluator(corpus.policies)
    requests = [(request["action"], request["resource"], lowered(request["context"]))
                for request in corpus.requests(REQUESTS)]
    decisions = measure(
        lambda: [peer.decide(*request) for request in requests],
        rows=REQUESTS, facts=corpus.facts() | {"rows": REQUESTS}, unit="checks")
    assert decisions == corpus.expected[:REQUESTS].tolist()


def lowered(context: Any) -> dict[str, Any]:
    """A context as the peer wants it; this is not part of its time."""
    return {key.lower(): tuple(value) if isinstance(value, list) else value
            for key, value in context.items()}
