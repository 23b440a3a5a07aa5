"""How much faster than what one would use instead? Side by side, on the same columns.

Every peer's answers are compared with ours, row by row. What a peer cannot know (unknown facts,
variables, malformed requests) is kept out of its rows, to its advantage; each test says what
else is.
"""

from __future__ import annotations

import numpy as np
import pytest
from corpora import Corpus, ManagedPolicies
from expert_numpy import ExpertNumpy
from goals import Goal, InTurns, Judge
from principals import GIVEN, PrincipalCorpus, known_to_peers

import iamtables


@pytest.fixture(scope="module")
def plain(managed: ManagedPolicies, workforce: PrincipalCorpus) -> PrincipalCorpus:
    """As `workforce`, of policies that every peer knows all of."""
    return PrincipalCorpus(known_to_peers(managed), workforce.rows,
                           distinct=max(1, workforce.rows // 20), principals=len(workforce.arns))


@pytest.mark.benchmark(group="peers: numpy")
def test_the_experts_numpy_under_two_policies(
    in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table
) -> None:
    peer = ExpertNumpy([corpus.policies], corpus.columns)
    columns = corpus.coded
    with table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: peer.decide(corpus.columns), lambda: session.decide(columns),
                         facts=corpus.facts())
        assert np.array_equal(session.decide(columns).decision, turns.result)
    assert np.array_equal(turns.result, corpus.expected)
    judge("two Bedrock policies: times as fast as the expert's numpy", turns.ratio,
          Goal(6, "x", is_floor=True))
    judge("  the expert's numpy, ns per row", turns.question_s * 1e9 / corpus.rows)


@pytest.mark.benchmark(group="peers: numpy")
def test_the_experts_numpy_under_the_policies_of_many(
    in_turns: InTurns, judge: Judge, plain: PrincipalCorpus
) -> None:
    """Rows about KMS keys, whose own policies count, are compared where ours are determined."""
    constants = {key.lower(): value for key, value in GIVEN.items()}
    peer = ExpertNumpy(plain.told, plain.columns, constants)
    columns = plain.coded
    with plain.table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: peer.decide(plain.columns), lambda: session.decide(columns),
                         facts=plain.facts())
        ours = session.decide(columns).decision
    is_key = np.array([":key/" in str(text) for text in plain.columns["resource"].values])
    is_plain = ~is_key[plain.columns["resource"].codes]
    assert is_plain.mean() > 0.8
    assert np.array_equal(ours[is_plain], turns.result[is_plain])
    judge(f"{len(plain.arns)} principals: times as fast as the expert's numpy", turns.ratio,
          Goal(10, "x", is_floor=True))
    judge("  the expert's numpy, ns per row", turns.question_s * 1e9 / plain.rows)
