"""Whole cases as data: the vectors of the specification, and cases/layers.jsonl, through all doors.

`cases/layers.jsonl` has the form of the vectors (section 8), with `deciders`; the request may hold
`unknown`, a list of context keys, and a null resource. It covers the rules of sections 2.5 and 5
that have no vector, and the combinations of layers under unknowns.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import layer_tables as tables
import pyarrow as pa
import pytest
from command_line import iamtables as run_command
from layer_judging import LayerCase, complaint, read_case
from layer_reference import Reference, judge

import iamtables

_HERE = Path(__file__).parent
_VECTORS = _HERE.parent / "docs" / "spec" / "vectors.jsonl"
_CASES = _HERE / "cases" / "layers.jsonl"

LINES = [line for file in (_VECTORS, _CASES) for line in file.read_text("ascii").splitlines()]
EXPECTED = {v["id"]: v for v in map(json.loads, LINES)}
CASES = dict(zip(EXPECTED, map(read_case, LINES), strict=True))
each_case = pytest.mark.parametrize("name", list(CASES))
needs_tables = pytest.mark.skipif(not tables.HAS_TABLES, reason="no layered tables")

SPECIFIED = {f"PRIN-{n}" for n in range(1, 15)} | {
    f"EVAL-{n}" for n in (*range(2, 9), 10, 11, 12, *range(15, 27), *range(30, 34), *range(40, 45),
                          50, 51, 52, *range(55, 59), 60, 61, 62, 70, 71)}
"""Rules of sections 2.5 and 5 that decide a case. Not here: EVAL-1 and 27 are the form of every
answer; EVAL-9 and 34 say which policies a snapshot supplies, EVAL-45 is the hook below, EVAL-72 to
84 are properties (test_layers_properties.py)."""


def options_of(case: LayerCase) -> dict[str, str]:
    """VEC-2: statements that cannot be read match nothing unless the case says otherwise."""
    return {"invalid_statement": "never", **case.options}


def test_every_rule_of_principals_and_evaluation_has_a_case() -> None:
    assert {case["rule"] for case in EXPECTED.values()} >= SPECIFIED
    assert len(CASES) == len(LINES) >= 500
    assert all(case["why"] for case in EXPECTED.values())


@each_case
def test_the_reference_decides_as_the_case_expects(name: str) -> None:
    case, expected = CASES[name], EXPECTED[name]
    outcome = judge(case.texts, case.request, options_of(case)).outcome
    assert outcome.result == expected["expect"], expected["why"]
    if "deciders" in expected:
        assert list(outcome.deciders) == expected["deciders"], expected["why"]


def _has_two_spellings(case: LayerCase) -> bool:
    """COND-5 is about one request; columns refuse a key in two spellings."""
    return len({key.lower() for key in case.request.context}) < len(case.request.context)


@needs_tables
@each_case
def test_tables_decide_as_the_case_expects(name: str) -> None:
    """By `check` and by `decide`, as compiled and reopened: decision, layer and statement."""
    case = CASES[name]
    texts, request = case.texts, case.request
    keys = sorted({*request.context, *request.unknown})
    table = tables.compile_policies(texts, options_of(case), case.is_trust)
    with Reference(texts, options_of(case)) as reference:
        judgement = reference.judge(request)
    answers = []
    for asked in (table, tables.reopened(table)):
        answers.append(tables.check(asked, request))
        if not _has_two_spellings(case):
            ways: tuple[dict[str, Any], ...] = (
                {}, {"is_known": True}, {"dictionary": True}, {"arrow": pa.string()})
            for more in ways:
                answers += tables.decide(asked, [request] * 3, keys, **more)
    for answer in answers:
        assert answer.decision == judgement.outcome.decision, EXPECTED[name]["why"]
        assert complaint(judgement, texts, request, answer) is None, EXPECTED[name]["why"]


@needs_tables
def test_requests_of_many_cases_share_a_batch() -> None:
    """Cases with the same policies and options, decided together, answer as they do alone."""
    together: dict[str, list[str]] = {}
    for name, case in CASES.items():
        key = json.dumps([case.texts, case.options, case.is_trust])
        if not _has_two_spellings(case):
            together.setdefault(key, []).append(name)
    shared = [names for names in together.values() if len(names) > 1]
    assert sum(map(len, shared)) >= 60
    for names in shared:
        first = CASES[names[0]]
        requests = [CASES[name].request for name in names]
        keys = sorted({key for r in requests for key in (*r.context, *r.unknown)})
        if len({key.lower() for key in keys}) < len(keys):
            continue
        table = tables.compile_policies(first.texts, options_of(first), first.is_trust)
        for name, answer in zip(names, tables.decide(table, requests, keys), strict=True):
            judgement = judge(first.texts, CASES[name].request, options_of(first))
            assert answer.decision == judgement.outcome.decision, name
            assert complaint(judgement, first.texts, CASES[name].request, answer) is None, name


@needs_tables
@each_case
def test_evaluate_answers_one_question_without_a_table(name: str) -> None:
    case = CASES[name]
    request, texts = case.request, case.texts
    asked: dict[str, Any] = {
        "principal": request.principal, "action": request.action, "resource": request.resource,
        "context": dict(request.context), "resource_account": request.resource_account,
        "issuer_arn": request.issuer_arn, "principal_account": request.principal_account,
        "principal_type": request.principal_type,
        "principal_is_management_account": request.is_management_account,
    }  # fmt: skip
    asked = {k: v for k, v in asked.items() if v is not None or k == "resource"}
    if request.unknown:
        asked["unknown"] = sorted(request.unknown)
    decision = iamtables.evaluate(  # type: ignore[attr-defined]
        asked, **tables.parsed(texts, case.is_trust),
        options=iamtables.Options.from_mapping(options_of(case)))
    outcome = judge(texts, request, options_of(case)).outcome
    assert decision.decision.name == outcome.decision, EXPECTED[name]["why"]
    if outcome.deciders:
        assert decision.layer.name.lower() in outcome.deciders


ENGINES = ("auto", "reference", *(("tables",) if tables.HAS_TABLES else ()))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_decides_whole_cases(engine: str, tmp_path: Path) -> None:
    """`iamtables test`, for the cases that its format can say (no unknowns)."""
    sayable = [line for line, name in zip(LINES, CASES, strict=True)
               if not CASES[name].request.unknown and CASES[name].request.resource is not None
               and EXPECTED[name]["expect"] != "Undetermined"]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(sayable))
    finished = run_command("test", "--engine", engine, path)
    assert finished.code == 0, finished.out
    assert f"{len(sayable)} passed" in finished.out


@needs_tables
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.request.unknown
                                  and c.request.resource is not None
                                  and EXPECTED[n]["expect"] != "Undetermined"])
def test_other_means_lift_a_missing_grant_and_nothing_else(name: str) -> None:
    """EVAL-45: the caller says that something outside the policies grants the request. A Deny and
    a gate that grants nothing (SCP, endpoint policy) stay what they are."""
    case, expected = CASES[name], EXPECTED[name]
    request = case.request
    table = tables.compile_policies(case.texts, options_of(case), case.is_trust)
    outcome = judge(case.texts, request, options_of(case)).outcome
    is_shut = expected["expect"] == "ExplicitlyDenied" or bool(
        {"scp", "vpce"} & set(outcome.deciders))
    wanted = outcome.decision if is_shut else "ALLOW"
    assert tables.check(table, request, also_allowed=True).decision == wanted
    keys = sorted(request.context)
    if not _has_two_spellings(case):
        rows = tables.decide(table, [request] * 2, keys, also_allowed=[True, False])
        assert [row.decision for row in rows] == [wanted, outcome.decision]
