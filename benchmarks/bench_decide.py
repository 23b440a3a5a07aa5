"""How fast are columns of requests decided under the two Bedrock policies?

Cold is `table.decide`: every cache is empty. Warm is a session that has seen the rows before; its
interners know every text, and what belongs to a dictionary is still found out anew for each call.
Every run is compared, row by row, with the evaluator of `peers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from corpora import Corpus
from peers import MemoisedEvaluator

import iamtables

PEER_ROWS = 100_000
LAYOUTS = ("strings", "dictionaries", "coded")
"""Plain Arrow strings, Arrow dictionaries, `DictionaryColumn`."""

Measure = Callable[..., Any]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.benchmark(group="decide, cold")
def test_how_fast_does_a_table_decide_rows(
    measure: Measure, corpus: Corpus, table: iamtables.Table, layout: str
) -> None:
    columns = getattr(corpus, layout)
    decisions = measure(lambda: table.decide(columns), rows=corpus.rows, facts=corpus.facts())
    assert np.array_equal(decisions.decision, corpus.expected)
    assert decisions.error_count == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.benchmark(group="decide, warm")
def test_how_fast_does_a_session_decide_rows_it_knows(
    measure: Measure, corpus: Corpus, table: iamtables.Table, layout: str
) -> None:
    columns = getattr(corpus, layout)
    with table.session() as session:
        session.decide(columns)
        decisions = measure(
            lambda: session.decide(columns), rows=corpus.rows, facts=corpus.facts())
        assert np.array_equal(decisions.decision, corpus.expected)


@pytest.mark.benchmark(group="decide, warm")
def test_how_fast_does_a_session_fill_a_given_array_from_dictionaries(
    measure: Measure, corpus: Corpus, table: iamtables.Table
) -> None:
    out = np.zeros(corpus.rows, dtype=np.uint8)
    with table.session() as session:
        session.decide(corpus.dictionaries)
        measure(lambda: session.decide(corpus.dictionaries, out=out),
                rows=corpus.rows, facts=corpus.facts())
    assert np.array_equal(out, corpus.expected)


@pytest.mark.parametrize("layout", ("strings", "dictionaries"))
@pytest.mark.benchmark(group="decide, two threads")
def test_how_fast_do_two_threads_decide_rows(
    measure: Measure, corpus: Corpus, table: iamtables.Table, layout: str
) -> None:
    columns = getattr(corpus, layout)
    decisions = measure(
        lambda: table.decide(columns, threads=2), rows=corpus.rows, facts=corpus.facts(),
        threads=2)
    assert np.array_equal(decisions.decision, corpus.expected)


@pytest.mark.parametrize("layout", ("strings", "dictionaries"))
@pytest.mark.benchmark(group="decide, no row decided by its action")
def test_how_fast_are_rows_decided_that_all_need_their_resource(
    measure: Measure, corpus: Corpus, table: iamtables.Table, layout: str
) -> None:
    columns, expected = needing_resources(corpus, layout)
    facts = corpus.facts() | {"rows": len(expected)}
    decisions = measure(lambda: table.decide(columns), rows=len(expected), facts=facts)
    assert np.array_equal(decisions.decision, expected)


@pytest.mark.benchmark(group="decide, cold")
def test_how_fast_does_memoised_python_decide_rows(
    measure: Measure, corpus: Corpus, table: iamtables.Table
) -> None:
    columns = corpus.lists(min(corpus.rows, PEER_ROWS))
    rows = len(columns["action"])
    decisions = measure(
        lambda: MemoisedEvaluator(corpus.policies).decide_rows(columns),
        rows=rows, facts=corpus.facts() | {"rows": rows})
    assert np.array_equal(table.decide(columns).decision, decisions)


@pytest.mark.benchmark(group="decide, warm")
def test_how_fast_does_memoised_python_decide_rows_it_knows(
    measure: Measure, corpus: Corpus, table: iamtables.Table
) -> None:
    columns = corpus.lists(min(corpus.rows, PEER_ROWS))
    rows = len(columns["action"])
    peer = MemoisedEvaluator(corpus.policies)
    peer.decide_rows(columns)
    decisions = measure(lambda: peer.decide_rows(columns), rows=rows,
                        facts=corpus.facts() | {"rows": rows})
    assert np.array_equal(table.decide(columns).decision, decisions)


def needing_resources(corpus: Corpus, layout: str) -> tuple[Mapping[str, Any], Any]:
    """The rows that no action decides, in a layout, and their decisions."""
    peer = MemoisedEvaluator(corpus.policies)
    actions = corpus.columns["action"]
    is_open = np.array([not peer.is_decided_by_action(str(name)) for name in actions.values])
    rows = np.flatnonzero(is_open[actions.codes])
    return {name: column.take(rows) for name, column in getattr(corpus, layout).items()
            if name != "aws:TagKeys"} | {
        "aws:TagKeys": corpus.columns["aws:TagKeys"].to_strings().take(rows)
    }, corpus.expected[rows]
