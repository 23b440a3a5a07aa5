"""A user's program as a type checker sees it; never run, checked by tests/test_typing.py.

Every public name is used. `assert_type` pins what a call returns, an `ignore` with its code pins
what must be refused (`warn_unused_ignores` reports one that is no longer needed).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import iamtables as it
import iamtables.duckdb
import iamtables.polars
import iamtables.spark
from iamtables.audit import Audit, BatchResults
from iamtables.logs import Batch as LogBatch
from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.request_columns import Columns, all_keys, read_columns
from iamtables.runtime import (
    UNKNOWN,
    Effect,
    Layer,
    Miss,
    Request,
    RowError,
    SourceInfo,
    State,
    StatementInfo,
    StatementTrace,
)


def from_text_to_table(text: str) -> it.Table:
    document = it.parse_policy(text, name="p.json", mode="strict", policy_type="identity")
    assert_type(document, it.PolicyDocument)
    assert_type(document.diagnostics, tuple[it.Diagnostic, ...])
    loaded = it.load_policy(Path("policies"), mode="lenient")
    assert_type(loaded, tuple[it.PolicyDocument, ...])
    options = it.Options(invalid_statement="never", resource_glob="segment")
    it.Options(resource_glob="regex")  # type: ignore[arg-type]
    it.parse_policy(text, mode="sloppy")  # type: ignore[arg-type]
    it.compile(text)  # type: ignore[arg-type]
    assert_type(it.compile(document), it.Table)
    table = it.compile([document, *loaded], options=options)
    table.save(Path("t.iamt"))
    return table


def about_a_table(path: str) -> None:
    table = it.open_table(path, verify=False)
    assert_type(table, it.Table)
    assert_type(table.keys, tuple[str, ...])
    assert_type(table.statements, Sequence[StatementInfo])
    assert_type(table.statements[0].location, it.Location)
    assert_type(table.sources, tuple[SourceInfo, ...])
    assert_type(table.sha256, str)
    assert_type(table.describe(), dict[str, Any])


def one_request(table: it.Table) -> bool:
    decision = table.check(
        action="s3:GetObject",
        resource=None,
        principal="arn:aws:iam::111122223333:role/r",
        context={"aws:SourceIp": "198.51.100.7", "aws:TagKeys": ["a", "b"], "k": UNKNOWN},
        unknown=["aws:ResourceTag/*"],
    )
    assert_type(decision, it.Decision)
    assert_type(decision.decision, it.DecisionCode)
    assert_type(decision.statement, StatementInfo | None)
    assert_type(decision.reason, tuple[str, ...])
    table.check(action="s3:GetObject")  # type: ignore[call-arg]
    return assert_type(decision.is_allowed, bool)


def why(table: it.Table, decision: it.Decision) -> str:
    explanation = decision.explain()
    assert_type(explanation, it.Explanation)
    assert_type(explanation.request, Request)
    assert_type(explanation.traces, tuple[StatementTrace, ...])
    assert_type(explanation.traces[0].misses, tuple[Miss, ...])
    again = table.explain_request(action="s3:GetObject", resource="*")
    assert_type(again, it.Explanation)
    return explanation.render(verbose=True)


def columns(table: it.Table, codes: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    resources = it.DictionaryColumn(codes, ["*", "arn:aws:s3:::bucket/key"])
    decisions = table.decide(
        principal=None,
        action=["s3:GetObject", "s3:PutObject"],
        resource=resources,
        context={"aws:MultiFactorAuthAge": np.array([1, 2]), "aws:TagKeys": [["a"], None]},
        unknown={"aws:ResourceTag/*": True},
        not_given={"aws:PrincipalTag/*": np.zeros(2, dtype=bool)},
        missing="unknown",
        out=out,
        threads=2,
    )
    assert_type(decisions, it.Decisions)
    assert_type(decisions.decision, NDArray[np.uint8])
    assert_type(decisions.statement, NDArray[np.int32])
    assert_type(decisions.layer, NDArray[np.uint8])
    assert_type(decisions.error, NDArray[np.uint8])
    assert_type(decisions.not_supplied, tuple[str, ...])
    assert_type(decisions.reason(0), tuple[str, ...])
    assert_type(decisions.counts(), dict[str, int])
    assert_type(table.explain(decisions, 0), it.Explanation)
    with table.session(budget_bytes=1 << 20) as session:
        assert_type(session, it.Session)
        assert_type(session.decide(action="s3:GetObject", resource=resources), it.Decisions)
        assert_type(session.check(action="s3:GetObject", resource="*"), it.Decision)
    table.session(budget=1)  # type: ignore[call-arg]


def several_layers(document: it.PolicyDocument, directory: Path) -> it.Decision:
    """An organization built in code or loaded; layers without one; one question."""
    policies = it.PolicySet((document,), gaps=("a managed policy",))
    built = it.Organization(
        accounts=(it.Account("111122223333", scps=(policies,)),),
        principals=(it.Principal("arn:aws:iam::111122223333:role/app", identity=policies),),
        resource_policies=(it.ResourcePolicy("arn:aws:s3:::b", policies),),
        endpoints=(it.Endpoint("vpce-1", policies),),
    )
    try:
        assert_type(it.load_organization(directory, missing_layers="unknown"), it.Organization)
    except it.OrganizationError as error:
        assert_type(error.message, str)
    assert_type(it.compile(built), it.Table)
    assert_type(it.compile_layers(identity=[document], scps=[[document]]), it.Table)
    decision = it.evaluate({"principal": "anonymous", "action": "s3:GetObject"}, identity=["{}"])
    assert_type(decision.layer, it.Layer)
    assert_type(decision.deciders, tuple[it.Layer, ...])
    return decision


def changes(old: it.PolicyDocument, new: it.PolicyDocument, logs: Any) -> str:
    comparison = it.compare(old, new, world="catalogue", budget=it.Budget())
    assert_type(comparison, it.Comparison)
    it.compare(old, new, world="galaxy")  # type: ignore[arg-type]
    found: Sequence[it.Difference] = comparison.gained.differences
    result = it.replay(it.compile(old), it.compile(new), logs)
    assert_type(result, it.ReplayResult)
    assert_type(result.newly_denied, int)
    return f"{found} {assert_type(result.to_markdown(), str)}"


def in_engines(table: it.Table, connection: Any, session: Any) -> int:
    iamtables.duckdb.register(connection, table, context=["aws:SourceIp"], missing="unknown")
    iamtables.duckdb.register(connection, table, missing="perhaps")  # type: ignore[arg-type]
    iamtables.polars.decide(table, action="a", context={"aws:SourceIp": "ip"})
    audit = iamtables.spark.audit(session, "t.iamt", Path("AWSLogs"), output="decisions")
    assert_type(audit.statistics.failed, list[tuple[str, str]])
    replay = iamtables.spark.replay(session, "old.iamt", "new.iamt", ["AWSLogs"])
    assert_type(replay.result, it.ReplayResult)
    return assert_type(audit.summary.records, int)


def from_logs(table: it.Table, paths: list[Path]) -> int:
    """Logs with every option of reading, their requests as columns, and an audit of these."""
    options = LogOptions(
        since=0, until=None, accounts=frozenset({"111122223333"}), services=frozenset({"s3"}),
        unlisted_actions=True, cache="cache", is_compiled=True, threads=2, endpoint=None,
        deduplicate=True, corrections_first=True, learn_names=True, batch_records=20_000,
        max_document_bytes=1 << 29, max_file_bytes=1 << 36, max_inflation=300,
        max_record_bytes=1 << 20, max_remembered_ids=1000, max_distinct=1000)
    LogOptions(max_record_bytes="1 MiB")  # type: ignore[arg-type]
    options.since = 1  # type: ignore[misc]
    keys = all_keys(table.keys)
    assert_type(keys, list[str])
    reader = read_logs(paths, options, keys)
    assert_type(reader, LogReader)
    assert_type(reader.keys, tuple[str, ...])
    columns = Columns(reader.keys)
    for batch in reader:
        assert_type(batch, LogBatch)
        assert_type(batch.context["aws:SourceIp"].value(0), str | list[str] | None)
        columns.table(batch)
    assert_type(reader.statistics.replaced, int)
    assert_type(reader.statistics.corrections_late, int)
    assert_type(reader.statistics.bad_reasons()["not valid JSON"], int)
    audit = Audit(table, missing="unknown", assume={"aws:PrincipalOrgID": "o-1"})
    Audit(table, missing="perhaps")  # type: ignore[arg-type]
    for rows in read_columns("requests.parquet", table.keys):
        assert_type(audit.add(rows), BatchResults)
    return assert_type(audit.summary().records, int)


def codes_are_enumerations(row: int) -> tuple[it.DecisionCode, Effect, Layer, RowError, State]:
    return it.DecisionCode(row), Effect.ALLOW, Layer.IDENTITY, RowError.ACTION, State.UNKNOWN


def every_error_carries_data(error: it.IamtablesError) -> str:
    assert_type(error.code, str)
    assert_type(error.help, str)
    if isinstance(error, it.PolicyError):
        assert_type(error.diagnostics, tuple[it.Diagnostic, ...])
    elif isinstance(error, it.SourceError):
        return assert_type(error.path, str)
    elif isinstance(error, it.LimitError):
        return f"{assert_type(error.limit, str)} {assert_type(error.allowed, int)}"
    elif isinstance(error, it.RequestError):
        return assert_type(error.field, str)
    elif isinstance(error, it.ColumnError):
        return assert_type(error.column, str)
    elif isinstance(error, it.MissingExtraError):
        return assert_type(error.extra, str)
    elif isinstance(error, it.ArtefactError):
        return assert_type(error.part, str)
    kinds: tuple[type[it.PolicyError], ...] = (it.PolicySyntaxError, it.PolicySemanticError)
    return str(kinds)


def a_misspelt_name_is_an_error() -> None:
    it.complie  # type: ignore[attr-defined]  # noqa: B018
