"""`iamtables bench`: what it draws is near the policies, and what it measures is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import iamtables

import iamtables as tables
from iamtables import benching
from iamtables.benching import Disagreement, measure_checks, measure_columns
from iamtables.data import BEDROCK_FULL_ACCESS, policy_path
from iamtables.requests_near import MOST_ACTIONS, draw_requests


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "_ROUNDS_S", 0.0)


DOCUMENTS = [tables.parse_policy(policy_path(BEDROCK_FULL_ACCESS).read_text())]


def test_requests_are_drawn_near_the_policies() -> None:
    """Each action, resource pattern and key value of the policies occurs, and others do."""
    columns = draw_requests(DOCUMENTS, 20_000, 3)
    assert {len(c.codes) for c in columns.values()} == {20_000}
    actions = set(columns["action"].values)
    assert {"bedrock:InvokeModel", "sagemaker:CreateEndpoint", "s3:GetObject"} <= actions
    used = {columns["resource"].values[code] for code in columns["resource"].codes}
    assert len(used) == 1_000
    assert any(r.startswith("arn:aws:sagemaker:") and ":endpoint/" in r for r in used)
    assert not any("${" in r or ("*" in r and r != "*") for r in used)
    asked = {key.lower() for key in tables.compile(DOCUMENTS).keys}
    assert {name.lower() for name in columns} - {"action", "resource"} == asked
    tag = columns["aws:ResourceTag/sagemaker-sdk:bedrock"]
    assert {tag.values[code] for code in tag.codes if code >= 0} >= {"compatible", "another value"}
    assert 0.3 < (tag.codes < 0).mean() < 0.7
    decided = tables.compile(DOCUMENTS).decide(
        {name: tables.DictionaryColumn(c.codes, list(c.values)) for name, c in columns.items()})
    assert decided.error_count == 0
    assert decided.counts()["ALLOW"] > 500 and decided.counts()["IMPLICIT_DENY"] > 500


def test_a_seed_decides_every_request() -> None:
    one, same, other = (draw_requests(DOCUMENTS, 2_000, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[n].codes, same[n].codes) for n in one)
    assert [list(c.values) for c in one.values()] == [list(c.values) for c in same.values()]
    assert not np.array_equal(one["resource"].codes, other["resource"].codes)


def test_a_policy_for_everything_asks_for_a_bounded_number_of_actions() -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["*", "ec2:*", "s3:?et*", "iam:Get*"], "Resource": "*"}]})
    columns = draw_requests([tables.parse_policy(text)], 2_000, 1)
    assert 300 < len(columns["action"].values) <= MOST_ACTIONS + 10
    assert len(set(columns["resource"].values)) == 100


def test_the_verb_prints_the_three_questions_apart(tmp_path: Path) -> None:
    done = iamtables("bench", "--rows", 2_000, "--records", 1_000, "--json")
    assert done.code == 0, done.err
    found = done.json()
    assert [m["question"] for m in found["measured"]] == [
        "ids to decisions, values known", "strings to decisions, values new",
        "strings to decisions, values known", "one check, the same request again",
        "one check, varied requests", "raw logs to decisions",
    ]  # fmt: skip
    for m in found["measured"]:
        assert m["per_second"] > 0 and m["ns"] == pytest.approx(1e9 / m["per_second"])
    assert found["rows"] == 2_000 and found["resources"] == 100 and found["statements"] == 16
    assert found["sample"]["ALLOW"] > 0
    policy = tmp_path / "p.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}}))
    shown = iamtables("bench", policy, "--rows", 1_000, "--records", 1_000)
    assert shown.code == 0 and "1 statements; 1,000 requests" in shown.out
    assert "raw logs to decisions" in shown.out


def test_answers_that_differ_end_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = draw_requests(DOCUMENTS, 2_000, 1)
    table = tables.compile(DOCUMENTS)
    plain = tables.Table.decide
    asked: list[Any] = []

    def sometimes_wrong(self: tables.Table, *args: Any, **more: Any) -> Any:
        out = plain(self, *args, **more)
        asked.append(out)
        if len(asked) == 2:
            out.decision[7] ^= 1
        return out

    monkeypatch.setattr(tables.Table, "decide", sometimes_wrong)
    with pytest.raises(Disagreement, match="strings to decisions, values new"):
        measure_columns(table, columns)
    never = table.check(action="s3:GetObject", resource="*")
    monkeypatch.setattr(tables.Table, "check", lambda self, **_: never)
    with pytest.raises(Disagreement, match="check and decide"):
        measure_checks(table, columns)
