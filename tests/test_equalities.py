"""Tests on equality answered together (runtime/equalities.py): for each value of a key what the
predicate of each test says (runtime/conditions.py), or nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import iamtables as it
from iamtables.options import Options
from iamtables.runtime.codes import NO_ID
from iamtables.runtime.conditions import UNKNOWN
from iamtables.runtime.equalities import UNSEEN
from iamtables.runtime.values import encode_list, encode_text

OPERATORS = ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike",
             "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "NumericEquals", "Bool", "Null",
             "ArnLike", "IpAddress")
VALUES: tuple[Any, ...] = (
    "a", "A", "b", "a*", "?", "${*}", "${aws:username}", ["a", "b"], ["a", "x*"], "", "true", "1",
    "é", "arn:aws:iam::111122223333:role/r", "10.0.0.1")
SINGLE, MULTIPLE = "aws:RequestTag/k", "aws:TagKeys"
STATE = {0: 0, 1: 3, 2: 1}
"""Of `planner.predicate`, as engines have them."""


def table_of(multivalued_plain: str) -> Any:
    statements = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
         "Condition": {f"{set_operator}{operator}{suffix}": {key: value}}}
        for key in (SINGLE, MULTIPLE) for operator in OPERATORS for suffix in ("", "IfExists")
        for set_operator in ("", "ForAnyValue:", "ForAllValues:") for value in VALUES
        if not (operator == "Null" and (suffix or value not in ("true",)))]
    document = it.parse_policy(
        json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return it.compile(document, options=Options(multivalued_plain=multivalued_plain))


@pytest.mark.parametrize("multivalued_plain", ["any", "never"])
def test_what_equality_tells_is_what_predicates_say(multivalued_plain: str) -> None:
    planner = table_of(multivalued_plain).planner
    facts, told = planner.facts, 0
    texts = ["a", "A", "b", "a*", "?", "*", "x1", "", "true", "1", "é", "none of them",
             "arn:aws:iam::111122223333:role/r", "10.0.0.1"]
    values: list[Any] = [None, UNKNOWN, *texts, *((text,) for text in texts), (), ("a", "none")]
    for key in range(facts.key_count):
        tests = [test for test in np.flatnonzero(facts.test_key == key).tolist()
                 if facts.test_dependent[test] == NO_ID]
        assert [int(facts.test_slot[test]) for test in tests] == list(range(len(tests)))
        for value in values:
            if isinstance(value, tuple) and len(value) != 1 and (
                    planner.model.keys[key].name.lower() != MULTIPLE.lower()):
                continue
            encoded = (encode_text(value) if isinstance(value, str)
                       else encode_list(value) if isinstance(value, tuple) else value)
            states = planner.states[key, encoded]
            if isinstance(encoded, bytes):
                value = planner.decode_value(key, encoded)
            assert len(states) == len(tests)
            for state, test in zip(states, tests, strict=True):
                if state != UNSEEN:
                    assert state == STATE[planner.predicate(test, value)], (value, test)
                    told += 1
    assert told > 10_000
