"""How long from policy text to a table, and from a file to a table?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import Corpus, ManagedPolicies
from goals import Goal, InTurns, Judge
from peers import MemoisedEvaluator

import iamtables

REQUESTS: tuple[dict[str, Any], ...] = (
    {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"},
    {"action": "ec2:DescribeVpcs", "resource": "*",
     "context": {"aws:RequestedRegion": "eu-west-1"}},
    {"action": "iam:PassRole", "resource": "arn:aws:iam::111122223333:role/AmazonBedrock-x",
     "context": {"iam:PassedToService": "bedrock.amazonaws.com"}},
)

Measure = Callable[..., Any]


@pytest.mark.benchmark(group="compile, AmazonBedrockFullAccess")
def test_how_long_does_amazon_bedrock_full_access_take(measure: Measure, corpus: Corpus) -> None:
    text = corpus.policies[0]
    table = measure(lambda: iamtables.compile(iamtables.parse_policy(text)), rows=1,
                    facts={"text_bytes": len(text)}, unit="policies")
    assert len(table.statements) == 12
    assert table.check(action="iam:ListRoles", resource="*").is_allowed


@pytest.mark.benchmark(group="compile, AmazonBedrockFullAccess")
def test_how_long_does_memoised_python_take_to_read_it(measure: Measure, corpus: Corpus) -> None:
    text = corpus.policies[0]
    peer = measure(lambda: MemoisedEvaluator([text]), rows=1, facts={"text_bytes": len(text)},
                   unit="policies")
    assert peer.decide("iam:ListRoles", "*", {}) == iamtables.DecisionCode.ALLOW


@pytest.mark.benchmark(group="compile, managed policies")
def test_how_long_do_all_managed_policies_take_one_by_one(
    measure: Measure, managed: ManagedPolicies
) -> None:
    def compile_each() -> dict[str, iamtables.Table]:
        return {name: iamtables.compile(iamtables.parse_policy(text, name=name))
                for name, text in managed.texts.items()}

    tables = measure(compile_each, rows=len(managed.texts), facts=facts_of(managed), rounds=2,
                     unit="policies")
    for name, table in tables.items():
        assert len(table.statements) == managed.statement_count(name), name


@pytest.mark.benchmark(group="compile, managed policies")
def test_how_long_do_all_managed_policies_take_as_one_table(
    measure: Measure, managed: ManagedPolicies
) -> None:
    table = measure(lambda: compile_all(managed), rows=len(managed.texts),
                    facts=facts_of(managed), rounds=2, unit="policies")
    assert len(table.sources) == len(managed.texts)
    assert len(table.statements) == sum(map(managed.statement_count, managed.texts))


@pytest.mark.parametrize("verify", (True, False), ids=("verified", "trusted"))
@pytest.mark.benchmark(group="open a compiled file")
def test_how_long_does_opening_all_managed_policies_take(
    measure: Measure, managed: ManagedPolicies, managed_table: iamtables.Table,
    managed_file: Path, verify: bool
) -> None:
    table = measure(
        lambda: iamtables.open_table(managed_file, verify=verify), rows=1,
        facts=facts_of(managed) | {"file_bytes": managed_file.stat().st_size}, unit="files")
    assert len(table.sources) == len(managed.texts)
    for request in REQUESTS:
        decision = table.check(**request)
        expected = managed_table.check(**request)
        assert (decision.decision, decision.statement) == (expected.decision, expected.statement)


@pytest.mark.benchmark(group="goals: compile")
def test_from_text_to_a_table(
    in_turns: InTurns, judge: Judge, corpus: Corpus, managed: ManagedPolicies, is_timed: bool
) -> None:
    """All managed policies into one table, and one policy, both from text."""
    turns = in_turns(lambda: compile_all(managed),
                     lambda: iamtables.compile(iamtables.parse_policy(corpus.policies[0])),
                     facts=facts_of(managed), rounds=3 if is_timed else 1)
    assert len(turns.result.sources) == len(managed.texts)
    judge(f"{len(managed.texts):,} managed policies, text to table, s", turns.question_s,
          Goal(1, "s"))
    judge("AmazonBedrockFullAccess, text to table, ms", turns.other_s * 1e3, Goal(3, "ms"))


@pytest.mark.benchmark(group="goals: compile")
def test_opening_a_table(
    in_turns: InTurns, judge: Judge, managed: ManagedPolicies, managed_file: Path,
    managed_table: iamtables.Table
) -> None:
    turns = in_turns(lambda: iamtables.open_table(managed_file, verify=False),
                     lambda: iamtables.open_table(managed_file), facts=facts_of(managed))
    assert turns.result.sha256 == managed_table.sha256
    size = managed_file.stat().st_size
    judge(f"opening a table of {size / 1e6:.1f} MB with verify=False, ms", turns.question_s * 1e3,
          Goal(2, "ms"))
    judge("verification, GB/s", size / 1e9 / turns.other_s, Goal(0.5, "GB/s", is_floor=True))


@pytest.fixture(scope="module")
def managed_table(managed: ManagedPolicies) -> iamtables.Table:
    return compile_all(managed)


@pytest.fixture(scope="module")
def managed_file(
    managed_table: iamtables.Table, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("tables") / "managed.iamt"
    managed_table.save(path)
    return path


def compile_all(managed: ManagedPolicies) -> iamtables.Table:
    return iamtables.compile([
        iamtables.parse_policy(text, name=name) for name, text in managed.texts.items()])


def facts_of(managed: ManagedPolicies) -> dict[str, Any]:
    return {"corpus_sha256": managed.sha256, "policies": len(managed.texts),
            "text_bytes": managed.text_bytes}
