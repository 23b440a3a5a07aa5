"""The two Bedrock policies, statement by statement, as a person reads them (tests/cases/)."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from generator import Request
from judging import check, columns, compile_texts, deciders, decision_of, reference, reopened

import iamtables
from iamtables import DecisionCode

_CASES = Path(__file__).parent / "cases"
_FILES = ("bedrock_full_access.toml", "bedrock_read_only.toml")


def load(name: str) -> list[tuple[str, dict[str, Any]]]:
    """(policy file, case) of a case file."""
    content = tomllib.loads((_CASES / name).read_text("utf-8"))
    return [(content["policy"], case) for case in content["case"]]


CASES = [item for name in _FILES for item in load(name)]
IDS = [f"{policy.removesuffix('.json')}-{case['name']}" for policy, case in CASES]
each_case = pytest.mark.parametrize(("policy", "case"), CASES, ids=IDS)


@cache
def policy_text(name: str) -> str:
    return files("iamtables.data").joinpath("policies", name).read_text("utf-8")


@cache
def tables(policy: str, mode: str) -> tuple[iamtables.Table, iamtables.Table]:
    """A compiled table and the same after a round trip through a file."""
    table = compile_texts([policy_text(policy)], {"resource_glob": mode})
    return table, reopened(table)


def asked(case: dict[str, Any]) -> Request:
    request = case["request"]
    return Request(request["action"], request.get("resource"), request.get("context", {}),
                   frozenset(request.get("unknown", ())))


def mode_of(case: dict[str, Any]) -> str:
    mode: str = case.get("options", {}).get("resource_glob", "span")
    return mode


def sids(policy: str) -> list[str]:
    return [s["Sid"] for s in json.loads(policy_text(policy))["Statement"]]


@each_case
def test_the_reference_agrees_with_the_case(policy: str, case: dict[str, Any]) -> None:
    outcome = reference([policy_text(policy)], asked(case), {"resource_glob": mode_of(case)})
    assert decision_of(outcome).name == case["decision"]
    named = {sids(policy)[statement] for _, statement in deciders(outcome)}
    assert named == set(case["decided_by"])
    assert {r.lower() for r in outcome.reason} == {r.lower() for r in case.get("reason", ())}


@pytest.mark.parametrize("which", ["compiled", "reopened"])
@each_case
def test_a_table_checks_as_the_case_says(policy: str, case: dict[str, Any], which: str) -> None:
    table = tables(policy, mode_of(case))[which == "reopened"]
    decision = check(table, asked(case))
    assert decision.decision.name == case["decision"]
    assert decision.is_allowed == (case["decision"] == "ALLOW")
    if case["decided_by"]:
        assert decision.statement is not None
        assert decision.statement.sid in case["decided_by"]
    else:
        assert decision.statement is None
    assert {r.lower() for r in decision.reason} == {r.lower() for r in case.get("reason", ())}


@pytest.mark.parametrize("which", ["compiled", "reopened"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dictionary", [False, True], ids=["plain", "dictionary"])
@pytest.mark.parametrize("name", _FILES)
def test_all_cases_of_a_policy_decided_as_columns(
    name: str, which: str, threads: int, dictionary: bool
) -> None:
    for mode in ("span", "segment"):
        cases = [(policy, case) for policy, case in load(name) if mode_of(case) == mode]
        if not cases:
            continue
        table = tables(cases[0][0], mode)[which == "reopened"]
        requests = [asked(case) for _, case in cases]
        keys = sorted({k for r in requests for k in (*r.context, *r.unknown)}, key=str.lower)
        spelled = {k.lower(): k for k in keys}
        requests = [Request(r.action, r.resource,
                            {spelled[k.lower()]: v for k, v in r.context.items()},
                            frozenset(spelled[k.lower()] for k in r.unknown)) for r in requests]
        out = table.decide(**columns(requests, sorted(spelled.values()), dictionary=dictionary),
                           threads=threads)
        for row, (_, case) in enumerate(cases):
            assert DecisionCode(int(out.decision[row])).name == case["decision"], case["name"]
            statement = int(out.statement[row])
            sid = table.statements[statement].sid if statement >= 0 else None
            assert sid in case["decided_by"] if case["decided_by"] else sid is None, case["name"]
            reason = {r.lower() for r in out.reason(row)}
            assert reason == {r.lower() for r in case.get("reason", ())}, case["name"]


@pytest.mark.parametrize("name", _FILES)
def test_every_statement_has_cases_of_both_signs(name: str) -> None:
    """Each Sid decides something, and each action of it is also missed for another reason."""
    cases = load(name)
    policy = cases[0][0]
    decided = Counter(sid for _, case in cases for sid in case["decided_by"])
    missed = {case["request"]["action"].lower() for _, case in cases if not case["decided_by"]}
    for statement in json.loads(policy_text(policy))["Statement"]:
        assert decided[statement["Sid"]] >= 2, statement["Sid"]
        if statement["Resource"] != "*":
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            assert missed & {a.lower() for a in actions}, statement["Sid"]
