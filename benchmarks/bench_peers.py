"""How much faster than what one would use instead? Side by side, on the same columns.

Every peer's answers are compared with ours, row by row. What a peer cannot know (unknown facts,
variables, malformed requests) is kept out of its rows, to its advantage; each test says what
else is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpora import Corpus, ManagedPolicies
from expert_numpy import ExpertNumpy
from goals import Goal, InTurns, Judge
from peers import MemoisedEvaluator
from principals import ACCOUNT, GIVEN, PrincipalCorpus, known_to_peers
from translations import to_cedar, to_sql

import iamtables

Measure = Callable[..., Any]


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


@pytest.mark.benchmark(group="peers: others")
def test_one_expression_in_duckdb(
    in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table
) -> None:
    """A native table, strings, one thread; actions in lower case already."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    given = pa.table(dict(corpus.strings))
    lowered = pa.compute.utf8_lower(given["action"])
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("given", given.set_column(1, "action", lowered))
    connection.execute("CREATE TABLE calls AS SELECT * FROM given")
    query = f"SELECT {to_sql(corpus.policies, ['aws:TagKeys'])}::UTINYINT AS d FROM calls"
    turns = in_turns(lambda: connection.sql(query).to_arrow_table()["d"],
                     lambda: table.decide(corpus.strings), facts=corpus.facts(), rounds=3)
    assert np.array_equal(turns.result.to_numpy(), corpus.expected)
    judge("two Bedrock policies, strings, cold: times as fast as CASE with GLOB in DuckDB",
          turns.ratio)


@pytest.mark.benchmark(group="peers: others")
def test_memoised_python(
    in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table
) -> None:
    """It has seen the rows before, as our session has."""
    rows = min(corpus.rows, 100_000)
    columns = corpus.lists(rows)
    peer = MemoisedEvaluator(corpus.policies)
    with table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: peer.decide_rows(columns), lambda: session.decide(columns),
                         facts=corpus.facts())
    assert turns.result == corpus.expected[:rows].tolist()
    judge("two Bedrock policies, lists, warm: times as fast as memoised plain Python", turns.ratio)


@pytest.mark.benchmark(group="peers: others")
def test_motos_evaluator(
    in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table
) -> None:
    """It knows no conditions: rows are left out that reach one."""
    access = pytest.importorskip("moto.iam.access_control", reason="moto is not installed")
    peer = MemoisedEvaluator(corpus.policies)
    requests = [r for r in corpus.requests(2_000) if peer.reach(r).name != "CONDITION"][:500]
    policies = [access.IAMPolicy(text) for text in corpus.policies]
    allowed = access.PermissionResult.PERMITTED

    def moto() -> list[bool]:
        return [any(p.is_action_permitted(r["action"], r["resource"]) is allowed
                    for p in policies) for r in requests]

    def ours() -> list[bool]:
        return [table.check(**request).is_allowed for request in requests]

    turns = in_turns(moto, ours, facts={"requests": len(requests)}, rounds=3)
    assert turns.result == ours()
    assert 0 < sum(turns.result) < len(requests)
    judge("two Bedrock policies, one check after the other: times as fast as moto", turns.ratio)


@pytest.mark.benchmark(group="peers: others")
def test_cedar(in_turns: InTurns, judge: Judge, corpus: Corpus, table: iamtables.Table) -> None:
    """Policies translated and parsed beforehand, requests as one batch; ours one by one."""
    cedarpy = pytest.importorskip("cedarpy", reason="cedarpy is not installed")
    requests = corpus.requests(500)
    policies = cedarpy.PolicySet.from_str(to_cedar(corpus.policies))
    asked = [{"principal": 'Role::"r"', "action": 'Action::"a"', "resource": 'Thing::"t"',
              "context": r["context"] | {"action": r["action"].lower(), "resource": r["resource"]}}
             for r in requests]

    def cedar() -> list[bool]:
        return [answer.allowed for answer in cedarpy.is_authorized_batch(asked, policies, [])]

    def ours() -> list[Any]:
        return [table.check(**request).is_allowed for request in requests]

    turns = in_turns(cedar, ours, facts={"requests": len(requests)}, rounds=3)
    assert turns.result == ours()
    assert 0 < sum(turns.result) < len(requests)
    judge("two Bedrock policies, one check after the other: times as fast as Cedar", turns.ratio)


@pytest.mark.benchmark(group="peers: others")
def test_iam_simulate(
    measure: Measure, judge: Judge, corpus: Corpus, table: iamtables.Table, is_timed: bool
) -> None:
    """In Node.js, `npm install --prefix benchmarks @cloud-copilot/iam-simulate`. It refuses actions
    that its list does not have: those rows are left out. Its fastest round against ours."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    requests = corpus.requests(500 if is_timed else 50)
    asked = [{"action": r["action"], "resource": r["resource"], "context": r["context"]}
             for r in requests]
    given = {"policies": corpus.policies, "principal": f"arn:aws:iam::{ACCOUNT}:role/r",
             "account": ACCOUNT, "requests": asked, "rounds": 3}
    ran = subprocess.run(
        ["node", str(Path(__file__).with_name("iam_simulate.cjs"))], input=json.dumps(given),
        capture_output=True, text=True, check=False, timeout=300)
    if "MODULE_NOT_FOUND" in ran.stderr:
        pytest.skip("@cloud-copilot/iam-simulate is not installed")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)

    def ours() -> list[bool]:
        return [table.check(**request).is_allowed for request in requests]

    best = np.inf
    for _ in range(5):
        started = time.thread_time()
        ours()
        best = min(best, time.thread_time() - started)
    decided = measure(ours, rows=len(requests), facts=corpus.facts(), unit="requests")
    known = [at for at, answer in enumerate(found["answers"]) if answer != "error"]
    assert len(known) > 0.9 * len(requests)
    assert ([found["answers"][at] == "Allowed" for at in known] == [decided[at] for at in known])
    judge("two Bedrock policies, one check after the other: times as fast as iam-simulate",
          found["seconds"] / best)
