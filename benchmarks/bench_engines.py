"""What do query engines add to deciding their columns?

Each engine answers the same requests as `table.decide` on the engine's own columns (what it gives
out through the Arrow PyCapsule interface), in turns, in one run: the figure is the ratio of the
fastest rounds, in time on processors of all threads (an engine's own included, as in the column
`best, CPU`). Beside DuckDB with two columns stands the same query with a function that does
nothing: what it costs is DuckDB's own. Every answer is compared, row by row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpora import Corpus

import iamtables

Tell = Callable[[str], None]
Measure = Callable[..., Any]
NAMES = [code.name for code in iamtables.DecisionCode]
ROUNDS = 7
VECTOR = 2_048
"""Rows that DuckDB hands over at a time."""
PARTS = ("principal", "action", "resource")


@pytest.fixture
def ratio(measure: Measure, is_timed: bool, tell: Tell, corpus: Corpus,
          request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs engine and `decide` in turns; the result of the engine.

    nothing : the engine with a function that does nothing; its ratio is a line of its own
    """

    def run(engine: Callable[[], Any], decide: Callable[[], Any], expected: Any = None,
            nothing: Callable[[], Any] | None = None) -> Any:
        assert np.array_equal(decide().decision,
                              corpus.expected if expected is None else expected)
        if is_timed:
            asked = [one for one in (engine, decide, nothing) if one is not None]
            best = dict.fromkeys(asked, np.inf)
            for _ in range(ROUNDS):
                for one in asked:
                    started = time.process_time()  # all threads; neighbours disturb it less
                    one()
                    best[one] = min(best[one], time.process_time() - started)
            lines = {request.node.name: engine}
            if nothing is not None:
                lines["  the engine with a function that does nothing"] = nothing
            for name, one in lines.items():
                tell(f"{name:<75}{best[one] / best[decide]:>14.2f}  times `decide` "
                     f"({best[decide] * 1e3:,.0f} ms)")
        return measure(engine, rows=corpus.rows, facts=corpus.facts(), rounds=3, all_threads=True)

    return run


def request_table(corpus: Corpus, layout: str) -> pa.Table:
    """The corpus as one Arrow table; lists of texts have no dictionary."""
    given = pa.table(dict(corpus.strings))
    if layout == "dictionaries":
        for at, column in enumerate(given.columns):
            if pa.types.is_string(column.type):
                given = given.set_column(at, given.column_names[at], column.dictionary_encode())
    return given


def keys_of(given: pa.Table) -> Mapping[str, str]:
    return {name: name for name in given.column_names if name not in PARTS}


@pytest.mark.parametrize("form", ["struct", "columns"])
@pytest.mark.parametrize("layout", ["strings", "dictionaries"])
@pytest.mark.benchmark(group="engines")
def test_what_does_duckdb_add(ratio: Any, corpus: Corpus, table: iamtables.Table, layout: str,
                              form: str) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    import iamtables.duckdb

    given = request_table(corpus, layout)
    keys = list(keys_of(given))
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("given", given)
    connection.execute("CREATE TABLE calls AS SELECT * FROM given")
    quoted = [f'"{key}"' for key in keys]
    context = ", ".join(quoted)
    if form == "struct":
        context = "{" + ", ".join(f"'{k}': {q}" for k, q in zip(keys, quoted, strict=True)) + "}"
    principal = "principal" if "principal" in given.column_names else "NULL"
    query = f"SELECT iam_decide({principal}, action, resource, {context}) AS d FROM calls"

    def engine() -> Any:
        # a new function: its caches are as empty as those of `table.decide`
        iamtables.duckdb.register(connection, table, context=keys if form == "columns" else None)
        return connection.sql(query).to_arrow_table()["d"]

    found = ratio(engine, lambda: table.decide(connection.sql("FROM calls")))
    assert decided(found) == corpus.expected.tolist()


@pytest.mark.benchmark(group="engines")
def test_what_does_duckdb_add_without_a_context(ratio: Any, corpus: Corpus, table: iamtables.Table
                                                ) -> None:
    """The least there is to decide, so that handing over weighs most."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    import iamtables.duckdb

    given = request_table(corpus, "strings").select(["action", "resource"])
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("given", given)
    connection.execute("CREATE TABLE calls AS SELECT * FROM given")

    def engine() -> Any:
        iamtables.duckdb.register(connection, table)
        return connection.sql(
            "SELECT iam_decide(NULL, action, resource) AS d FROM calls").to_arrow_table()["d"]

    names = pa.array(NAMES)
    vector = pa.DictionaryArray.from_arrays(pa.array(np.zeros(VECTOR, dtype=np.int8)), names)
    vector_rows = Counter[int]()

    def same_answer(_principal: Any, action: Any, _resource: Any) -> Any:
        vector_rows[len(action)] += 1
        return vector if len(action) == VECTOR else vector.slice(0, len(action))

    connection.create_function("nothing", same_answer, None,
                               "ENUM(" + ", ".join(f"'{name}'" for name in NAMES) + ")",
                               type="arrow", null_handling="special")

    def nothing() -> Any:
        return connection.sql(
            "SELECT nothing(NULL, action, resource) AS d FROM calls").to_arrow_table()["d"]

    assert nothing().value_counts().to_pylist() == [{"values": NAMES[0], "counts": corpus.rows}]
    assert max(vector_rows) == VECTOR and vector_rows.total() >= corpus.rows / VECTOR
    expected = table.decide(given).decision
    found = ratio(engine, lambda: table.decide(connection.sql("FROM calls")), expected, nothing)
    assert decided(found) == expected.tolist()


@pytest.mark.parametrize("layout", ["strings", "dictionaries"])
@pytest.mark.parametrize("mode", ["eager", "streaming"])
@pytest.mark.benchmark(group="engines")
def test_what_does_polars_add(ratio: Any, corpus: Corpus, table: iamtables.Table, mode: str,
                              layout: str) -> None:
    pl = pytest.importorskip("polars", reason="Polars is not installed")
    import iamtables.polars

    given = request_table(corpus, layout)
    frame = pl.DataFrame(given)

    def engine() -> Any:
        expression = iamtables.polars.decide(
            table, action="action", resource="resource", context=keys_of(given))
        if mode == "eager":
            return frame.select(expression)["decision"]
        return frame.lazy().select(expression).collect(engine="streaming")["decision"]

    found = ratio(engine, lambda: table.decide(frame))
    assert np.array_equal(found.to_physical().to_numpy(), corpus.expected)


@pytest.mark.parametrize("layout", ["strings", "dictionaries"])
@pytest.mark.benchmark(group="engines")
def test_what_does_pandas_add(ratio: Any, corpus: Corpus, table: iamtables.Table, layout: str
                              ) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    import iamtables.pandas

    frame = request_table(corpus, layout).to_pandas()
    found = ratio(lambda: iamtables.pandas.decide(frame, table), lambda: table.decide(frame))
    assert np.array_equal(found.cat.codes, corpus.expected)


def decided(column: Any) -> list[int]:
    """Codes of decisions that come by name."""
    numbers = {name: number for number, name in enumerate(NAMES)}
    return [numbers[name] for name in column.cast(pa.string()).to_pylist()]
