"""How long does one request take?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from corpora import Corpus
from goals import Goal, InTurns, Judge
from peers import MemoisedEvaluator
from principals import PrincipalCorpus

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


@pytest.mark.parametrize(("state", "bound"), [("hot", 1.0), ("varied", 2.0)])
@pytest.mark.parametrize("policies", ["two policies", "500 principals",
                                      "500 principals, told what is absent"])
@pytest.mark.benchmark(group="goals: check")
def test_a_check_with_a_context(
    in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table,
    workforce: PrincipalCorpus, policies: str, state: str, bound: float
) -> None:
    """In turns with a call of nothing with the same keywords: the least that Python takes.

    Five hundred principals are asked twice: with the keys that a request has, and with some 230
    keys besides, told to be absent. Both name the owner of the resource.
    """
    if policies == "two policies":
        requests, expected = corpus.requests(REQUESTS), corpus.expected[:REQUESTS].tolist()
    else:
        table = workforce.table
        requests = requests_of(workforce, REQUESTS)
        if "told" not in policies:
            requests = [request | {"context": {key: value for key, value in
                                               request["context"].items() if value is not None}}
                        for request in requests]
        expected = decided_as_columns(table, requests)
    if state == "hot":
        at = next(i for i, request in enumerate(requests) if len(request["context"]) > 1)
        requests, expected = [requests[at]] * len(requests), [expected[at]] * len(requests)

    def nothing(*, principal: str, action: str, resource: str, context: dict[str, Any],
                resource_account: str | None = None) -> None:
        pass

    with table.session() as session:
        check = session.check
        turns = in_turns(lambda: [check(**request).decision for request in requests],
                         lambda: [nothing(**request) for request in requests],
                         facts={"requests": len(requests)})
    assert turns.result == expected
    judge(f"check with a context, {policies}, {state}, us",
          turns.question_s * 1e6 / len(requests), Goal(bound, "us"))
    judge("  a call of nothing with the same keywords, us", turns.other_s * 1e6 / len(requests))


def requests_of(corpus: PrincipalCorpus, rows: int) -> list[dict[str, Any]]:
    """The first rows as keyword arguments of `check`; what is absent is given where it matters."""
    columns = corpus.lists(min(rows, corpus.rows))
    given = {name: column for name, column in columns.items() if isinstance(column, list)}
    rest = {name: value for name, value in columns.items() if name not in given}
    owner = rest.pop("resource_account")
    found = []
    for row in zip(*given.values(), strict=True):
        asked = dict(zip(given, row, strict=True))
        parts = {name: asked.pop(name) for name in ("principal", "action", "resource")}
        found.append(parts | {"resource_account": owner, "context": asked | rest})
    return found


def decided_as_columns(table: iamtables.Table, requests: list[dict[str, Any]]) -> list[int]:
    """What `decide` says of these requests."""
    keys = {key: None for request in requests for key in request["context"]}
    names = [name for name in requests[0] if name != "context"]
    contexts = [request["context"] for request in requests]
    return table.decide(
        {name: [request[name] for request in requests] for name in names},
        context={key: [one.get(key) for one in contexts] for key in keys},
        not_given={key: np.array([key not in one for one in contexts]) for key in keys},
    ).decision.tolist()


def lowered(context: Any) -> dict[str, Any]:
    """A context as the peer wants it; this is not part of its time."""
    return {key.lower(): tuple(value) if isinstance(value, list) else value
            for key, value in context.items()}
