"""How long does exact comparison take, parsing excluded?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from corpora import ManagedPolicies

import iamtables
from iamtables.data import BEDROCK_FULL_ACCESS, BEDROCK_FULL_ACCESS_BEFORE, policy_path

Measure = Callable[..., Any]


def parsed(text: str, name: str = "policy") -> iamtables.PolicyDocument:
    return iamtables.parse_policy(text, name=name)


@pytest.fixture(scope="module")
def read_only() -> str:
    texts = ManagedPolicies.load(1).texts
    return texts["ReadOnlyAccess"]


@pytest.mark.benchmark(group="compare, versions")
def test_how_long_does_a_version_with_new_statements_take(measure: Measure) -> None:
    """AmazonBedrockFullAccess before and after 2024-12-04: eight statements are new."""
    old = parsed(policy_path(BEDROCK_FULL_ACCESS_BEFORE).read_text())
    new = parsed(policy_path(BEDROCK_FULL_ACCESS).read_text())
    found = measure(lambda: iamtables.compare(old, new), rows=1, unit="comparisons", facts={})
    assert (found.gained.verdict, found.lost.verdict) == ("yes", "no")


@pytest.mark.benchmark(group="compare, versions")
def test_how_long_does_a_version_with_one_more_action_take(measure: Measure) -> None:
    text = policy_path(BEDROCK_FULL_ACCESS).read_text()
    wider = text.replace('"iam:ListRoles"', '"iam:ListRoles", "iam:GetRole"')
    old, new = parsed(text), parsed(wider)
    found = measure(lambda: iamtables.compare(old, new), rows=1, unit="comparisons", facts={})
    assert (found.gained.verdict, found.lost.verdict) == ("yes", "no")
    assert found.gained.differences[0].actions == ("iam:GetRole",)


@pytest.mark.benchmark(group="compare, versions")
def test_how_long_does_the_proof_take_that_nothing_changed(measure: Measure) -> None:
    text = policy_path(BEDROCK_FULL_ACCESS).read_text()
    old, new = parsed(text), parsed(text)
    found = measure(lambda: iamtables.compare(old, new), rows=1, unit="comparisons", facts={})
    assert found.equivalent == "yes"


@pytest.mark.benchmark(group="compare, ReadOnlyAccess")
def test_how_long_does_a_changed_read_only_access_take(measure: Measure, read_only: str) -> None:
    """One action more, one action less, both ways."""
    changed = json.loads(read_only)
    actions = changed["Statement"][0]["Action"]
    removed = next(a for a in actions if "*" not in a)
    actions.remove(removed)
    actions.append("example:Probe")
    old, new = parsed(read_only), parsed(json.dumps(changed))
    found = measure(lambda: iamtables.compare(old, new), rows=1, unit="comparisons",
                    facts={"text_bytes": len(read_only)}, rounds=3)
    assert [d.actions for d in found.gained.differences] == [("example:Probe",)]
    assert found.lost.verdict in ("yes", "no") and not found.lost.undecided


@pytest.mark.benchmark(group="compare, worst cases")
def test_how_long_do_two_thousand_patterns_a_side_take(measure: Measure, is_timed: bool) -> None:
    count = 2000 if is_timed else 200
    lists = [[f"arn:aws:s3:::bucket-{i}/*" for i in range(count)][::step] for step in (1, -1)]
    lists[1] = lists[1][: count // 2]

    def side(resources: list[str]) -> iamtables.PolicyDocument:
        return parsed(json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}]}))

    old, new = side(lists[0]), side(lists[1])
    found = measure(lambda: iamtables.compare(old, new), rows=1, unit="comparisons",
                    facts={"patterns": count}, rounds=2)
    assert (found.gained.verdict, found.lost.verdict) == ("no", "yes")
