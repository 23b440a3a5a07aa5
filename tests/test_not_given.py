"""Keys that only some rows give: `not_given` of `decide`, and `unknown` without a column.

A row in which a key is not given is as if the key had no column: it follows from who asks (CTX-3)
where it can, as in `check`, and elsewhere it is what `missing` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables
from iamtables import ColumnError, DictionaryColumn, Organization

ANA = "arn:aws:iam::111122223333:user/ana"
EVE = "arn:aws:iam::111122223333:user/eve"
TEAM = "aws:PrincipalTag/team"
POLICY = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
   "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}},
  {"Effect": "Deny", "Action": "*", "Resource": "*",
   "Condition": {"StringEquals": {"s3:prefix": "secret"}}}]}"""
ROWS: list[tuple[str | None, bool, bool]] = [  # value, is not given, is unknown
    ("blue", False, False), ("red", False, False), (None, False, False),
    ("red", True, False), (None, True, False), ("red", False, True), ("red", True, True),
]  # fmt: skip
EXPECTED = ["ALLOW", "IMPLICIT_DENY", "IMPLICIT_DENY", "ALLOW", "ALLOW", "UNDETERMINED",
            "UNDETERMINED"]
"""With ana's own tag, which is blue, where nobody gives one."""


KINDS = ("list", "arrow", "codes", "dictionary", "scalar")


@pytest.fixture(scope="module")
def layered() -> iamtables.Table:
    account = "111122223333"
    policies = iamtables.PolicySet((iamtables.parse_policy(POLICY, name="p.json"),))
    return iamtables.compile(Organization(
        accounts=(iamtables.Account(account, scps=(), rcps=(), org_id="o-1"),),
        principals=(
            iamtables.Principal(ANA, identity=policies, tags={"team": "blue"}),
            iamtables.Principal(EVE, identity=policies, tags={"team": "red"}),
        ),
    ))  # fmt: skip


@pytest.fixture(scope="module")
def flat() -> iamtables.Table:
    return iamtables.compile([iamtables.parse_policy(POLICY, name="p.json")])


def column(kind: str, values: list[str | None]) -> Any:
    if kind == "list":
        return values
    if kind == "arrow":
        return pa.array(values, pa.string())
    if kind == "dictionary":
        return pa.array(values, pa.string()).dictionary_encode()
    codes = np.array([-1 if v is None else ["blue", "red"].index(v) for v in values], np.int32)
    return DictionaryColumn(codes, ["blue", "red"])


def names(decisions: Any) -> list[str]:
    return [iamtables.DecisionCode(code).name for code in decisions.decision.tolist()]


def asked(kind: str, who: str = ANA, **more: Any) -> dict[str, Any]:
    value = "red" if kind == "scalar" else column(kind, [row[0] for row in ROWS])
    return {
        "principal": who, "action": ["s3:GetObject"] * len(ROWS), "resource": "arn:aws:s3:::b/k",
        "context": {TEAM: value, "s3:prefix": "-"},
        "not_given": {TEAM: np.array([row[1] for row in ROWS])},
        "unknown": {TEAM: np.array([row[2] for row in ROWS])}, **more,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_key_follows_from_the_requester_where_it_is_not_given(
    layered: iamtables.Table, kind: str, threads: int
) -> None:
    expected = EXPECTED
    if kind == "scalar":
        expected = ["IMPLICIT_DENY"] * 3 + EXPECTED[3:]
    assert names(layered.decide(**asked(kind, threads=threads))) == expected
    for_eve = ["IMPLICIT_DENY" if name == "ALLOW" and ROWS[row][1] else name
               for row, name in enumerate(expected)]
    assert names(layered.decide(**asked(kind, EVE, threads=threads))) == for_eve


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("missing", "left"), [("absent", "IMPLICIT_DENY"), ("unknown", "UNDETERMINED")])
def test_a_key_that_follows_from_nothing_is_what_missing_says(
    flat: iamtables.Table, kind: str, missing: str, left: str
) -> None:
    expected = [left if row[1] and not row[2] else name
                for row, name in zip(ROWS, EXPECTED, strict=True)]
    if kind == "scalar":
        expected[:3] = ["IMPLICIT_DENY"] * 3
    assert names(flat.decide(**asked(kind, missing=missing))) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_explained_as_it_was_decided(layered: iamtables.Table, kind: str) -> None:
    decisions = layered.decide(**asked(kind))
    for row in range(len(ROWS)):
        assert decisions.explain(row).decision == decisions.decision[row]
    assert decisions.request(3).context == {"s3:prefix": "-"} and decisions.request(3).unknown == ()
    assert decisions.request(5).unknown == (TEAM,)


def test_missing_error_wants_every_row(flat: iamtables.Table, layered: iamtables.Table) -> None:
    with pytest.raises(ColumnError, match="not given in every row") as caught:
        flat.decide(**asked("list", missing="error"))
    assert caught.value.column == TEAM
    request = asked("list", missing="error")
    request["context"]["aws:AssumedRoot"] = None
    assert names(layered.decide(**request)) == EXPECTED


@pytest.mark.parametrize("missing", ["absent", "unknown"])
def test_unknown_in_some_rows_says_nothing_of_the_others(
    flat: iamtables.Table, layered: iamtables.Table, missing: str
) -> None:
    rows = np.array([True, False])
    request = {"principal": ANA, "action": ["s3:GetObject"] * 2, "resource": "arn:aws:s3:::b/k",
               "unknown": {TEAM: rows}, "missing": missing, "context": {"s3:prefix": "-"}}
    assert names(layered.decide(**request)) == ["UNDETERMINED", "ALLOW"]
    left = "IMPLICIT_DENY" if missing == "absent" else "UNDETERMINED"
    assert names(flat.decide(**request)) == ["UNDETERMINED", left]


def test_a_wildcard_names_a_family_of_keys(layered: iamtables.Table) -> None:
    request = asked("list", unknown=None)
    request["not_given"] = {"AWS:principaltag/*": np.array([True] * len(ROWS))}
    assert names(layered.decide(**request)) == ["ALLOW"] * len(ROWS)


@pytest.mark.parametrize(
    "wrong", [{TEAM: np.zeros(3, bool)}, {TEAM: [1]}, {"action": True}, [TEAM]])
def test_a_wrong_mask_is_refused(flat: iamtables.Table, wrong: Any) -> None:
    with pytest.raises(ColumnError, match="`not_given`"):
        flat.decide(action=["s3:GetObject"] * 2, resource="*", context={TEAM: ["blue", "red"]},
                    not_given=wrong)


def allowing(condition: str) -> str:
    return f"""{{"Version": "2012-10-17", "Statement": {{
      "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}}}"""


NUMBERS = allowing('{"NumericLessThanEquals": {"s3:max-keys": "10"}}')
LISTS = allowing('{"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}')


@pytest.mark.parametrize(("policy", "key", "values", "absent"), [
    (NUMBERS, "s3:max-keys", np.array([5, 50, 5, 50]), "IMPLICIT_DENY"),
    (NUMBERS, "s3:max-keys", pa.array([5, 50, 5, 50]), "IMPLICIT_DENY"),
    (LISTS, "aws:TagKeys", [["a"], ["c"], ["a"], ["c"]], "ALLOW"),
    (LISTS, "aws:TagKeys", pa.array([["a"], ["c"], ["a"], ["c"]]), "ALLOW"),
])  # fmt: skip
@pytest.mark.parametrize("missing", ["absent", "unknown"])
def test_numbers_and_lists_are_left_out_as_texts_are(
    policy: str, key: str, values: Any, absent: str, missing: str
) -> None:
    table = iamtables.compile([iamtables.parse_policy(policy, name="p.json")])
    decisions = table.decide(
        action=["s3:ListBucket"] * 4, resource="*", context={key: values}, missing=missing,
        not_given={key: np.array([False, False, True, True])})
    left = absent if missing == "absent" else "UNDETERMINED"
    assert names(decisions) == ["ALLOW", "IMPLICIT_DENY", left, left]
    assert [decisions.explain(row).decision for row in range(4)] == decisions.decision.tolist()


def test_a_session_that_knows_a_dictionary_takes_each_batch_for_itself(
    layered: iamtables.Table,
) -> None:
    """What is kept of a dictionary says nothing of the rows, nor of what stands instead of them."""
    with layered.session() as session:
        for _ in range(2):
            given = asked("codes", unknown=None, not_given=None)
            assert names(session.decide(**given))[:4] == [
                "ALLOW", "IMPLICIT_DENY", "IMPLICIT_DENY", "IMPLICIT_DENY"]
            assert names(session.decide(**asked("codes"))) == EXPECTED
            for_eve = names(session.decide(**asked("codes", EVE)))
            assert for_eve[3:5] == ["IMPLICIT_DENY"] * 2 and for_eve[0] == "ALLOW"
