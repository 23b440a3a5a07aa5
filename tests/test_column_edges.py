"""Columns at their edges: numbers and times compared without texts, slices, lists, dropped caches.

The judge of a column is `check`, row by row; for numbers and times Python's own
exact arithmetic as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from judging import compile_texts

import iamtables
from iamtables import DecisionCode, DictionaryColumn, Session

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": eq, "NotEquals": ne, "LessThan": lt, "LessThanEquals": le, "GreaterThan": gt,
    "GreaterThanEquals": ge,
}
_BUCKET = "arn:aws:s3:::"


def table_of(*statements: dict[str, Any]) -> iamtables.Table:
    whole = [{"Effect": "Allow", "Action": "s3:Get", "Resource": "*", **s} for s in statements]
    return compile_texts([json.dumps({"Version": "2012-10-17", "Statement": whole})], {})


def on(operator: str, value: Any) -> iamtables.Table:
    return table_of({"Condition": {operator: {"k:k": value}}})


def allowed(table: iamtables.Table, column: Any, values: Sequence[Any]) -> list[bool]:
    """Which rows of a column of key `k:k` are allowed, once `check` says the same of `values`."""
    out = table.decide(action="s3:Get", resource="*", context={"k:k": column})
    rows: list[bool] = (out.decision == DecisionCode.ALLOW).tolist()
    assert rows == [table.check(action="s3:Get", resource="*", context={"k:k": v}).is_allowed
                    for v in values]
    return rows


# --- numbers and times ------------------------------------------------------------------------

WHOLE = (-(1 << 63), -(1 << 63) + 1, -11, -10, -9, -2, -1, 0, 1, 9, 10, 11, (1 << 63) - 1)
OPERANDS = ("10", "9.5", "-9.5", "-0.5", "0", "1e1", "-10", str(1 << 63), str(-(1 << 63)),
            str(-(1 << 63) - 1), "1e30", "-1e30", str((1 << 63) - 1))


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("operand", OPERANDS)
def test_integers_compare_as_exact_numbers(name: str, operand: str) -> None:
    """COND-35, COND-36; an absent number is as COND-20 and COND-21 say."""
    column = pa.array([*WHOLE, None], pa.int64())
    rows = allowed(on(f"Numeric{name}", operand), column, [*WHOLE, None])
    assert rows == [*(ORDER[name](n, Fraction(operand)) for n in WHOLE), name == "NotEquals"]


INSTANT = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
NEAR = [INSTANT + timedelta(milliseconds=ms) for ms in (-86_400_000, -1000, -1, 0, 1, 500, 1000)]


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_compare_as_exact_instants(name: str, unit: str) -> None:
    """COND-42, COND-43: in every unit, against seconds, fractions and a time zone."""
    column = pa.array(NEAR, pa.timestamp(unit, "UTC"))
    for text, operand in (("2026-03-01T12:30:15Z", INSTANT),
                          ("2026-03-01T13:30:15+01:00", INSTANT),
                          ("2026-03-01T12:30:15.0005Z", INSTANT + timedelta(microseconds=500)),
                          ("2026-03-01T12:30:15.5Z", INSTANT + timedelta(milliseconds=500))):
        rows = allowed(on(f"Date{name}", text), column, NEAR)
        assert rows == [ORDER[name](moment, operand) for moment in NEAR], text


def test_an_unknown_number_leaves_the_row_open() -> None:
    """CTX-4: whether or not the value that lies below the mask would hold."""
    out = on("NumericLessThan", "10").decide(
        action="s3:Get", resource="*", context={"k:k": np.array([1, 1, 20, 20])},
        unknown={"k:k": np.array([False, True, False, True])})
    assert out.decision.tolist() == [DecisionCode.ALLOW, DecisionCode.UNDETERMINED,
                                     DecisionCode.IMPLICIT_DENY, DecisionCode.UNDETERMINED]


# --- texts and lists --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(),
                                                                                pa.string())])
def test_a_slice_of_an_arrow_column_keeps_its_own_nulls(kind: pa.DataType) -> None:
    values = ["a", None, "b", None, None, "a", "", "a", None, "b", "a", None, "a"]
    whole = pa.array(values, kind)
    for start in range(len(values)):
        for table in (on("StringEquals", "a"), on("StringNotEquals", "a"), on("Null", "true")):
            allowed(table, whole.slice(start), values[start:])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("start", [0, 1, 7, 8, 300])
def test_a_slice_keeps_its_own_nulls_where_blocks_are_read_at_once(
    kind: pa.DataType, start: int
) -> None:
    """Under several layers; nulls of an action are errors, those of a resource leave rows open."""
    table = iamtables.compile_layers(identity=[iamtables.parse_policy(json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}]}))])
    places = [None if i % 7 == 3 else f"arn:aws:s3:::{'ab'[i % 3 == 1]}/{i}" for i in range(900)]
    actions = [None if i % 11 == 5 else "s3:GetObject" for i in range(900)]
    out = table.decide(
        principal="arn:aws:iam::111122223333:role/r", resource_account="111122223333",
        action=pa.array(actions, kind).slice(start), resource=pa.array(places, kind).slice(start))
    asked = list(zip(actions, places, strict=True))[start:]
    assert (out.error != 0).tolist() == [action is None for action, _ in asked]
    assert (out.decision == DecisionCode.ALLOW).tolist() == [
        action is not None and place is not None and place.startswith("arn:aws:s3:::a/")
        for action, place in asked]
    assert (out.decision == DecisionCode.UNDETERMINED).tolist() == [
        action is None or place is None for action, place in asked]


@pytest.mark.parametrize("width", [4, 8])
def test_arrow_buffers_are_taken_as_they_are_only_where_they_hold_all_rows(width: int) -> None:
    from iamtables.runtime.column import BoundColumn

    def taken(length: int, offset: int, *, missing: int = 0, shift: int = 0, bits: int = 2) -> bool:
        offsets = b"-" * shift + np.arange(10, dtype=f"i{width}").tobytes()
        buffers = [pa.py_buffer(b"\xff" * bits), pa.py_buffer(
            np.frombuffer(offsets, dtype=np.uint8)[shift : len(offsets) - missing]),
            pa.py_buffer(b"x" * 9)]
        bound = BoundColumn.arrow_strings(length, offset, buffers, width == 8, True)
        assert bound is None or bound.length == length
        return bound is not None

    # ten offsets are nine texts
    assert taken(9, 0) and taken(1, 8) and taken(0, 9) and taken(3, 3)
    assert not (taken(10, 0) or taken(2, 8) or taken(1, 9) or taken(0, 10) or taken(9, 1))
    assert not (taken(2**63, 0) or taken(1, 2**63) or taken(2**63, 2**63) or taken(0, 2**64 - 1))
    assert not taken(9, 0, missing=1) and taken(8, 0, missing=1)
    assert not taken(9, 0, bits=1) and taken(8, 0, bits=1) and not taken(1, 8, bits=1)
    assert not taken(9, 0, shift=1) and not taken(9, 0, shift=width // 2)


def test_offsets_at_any_address_are_read() -> None:
    values = ["a", None, "b", "", "a"]
    whole = pa.array(values)
    validity, offsets, data = whole.buffers()
    moved = pa.py_buffer(b"-" + offsets.to_pybytes()).slice(1)
    array = pa.Array.from_buffers(pa.string(), len(values), [validity, moved, data])
    for start in range(len(values)):
        allowed(on("StringEquals", "a"), array.slice(start), values[start:])


LISTS: tuple[Any, ...] = (
    None, [], [""], ["a"], ["x" * 255], ["x" * 256], ["x" * 257, "a"], ["a", "x" * 300],
    ["x" * 256 + "a"], ["a", "b"], ["x" * 70_000, "a"], None, ["b"],
)


@pytest.mark.parametrize("operator", [
    "ForAnyValue:StringEquals", "ForAnyValue:StringEqualsIfExists", "ForAllValues:StringEquals",
    "ForAnyValue:StringNotEquals", "ForAllValues:StringNotEqualsIfExists", "Null", "StringEquals",
])
def test_lists_are_read_as_they_are(operator: str) -> None:
    """COND-23 to COND-25: null is no empty list, and every element is taken whole."""
    for value in ("true",) if operator == "Null" else ("a", "x" * 256, "x" * 257):
        table = on(operator, value)
        rows = allowed(table, pa.array(LISTS, pa.list_(pa.string())), LISTS)
        for start in (1, 5):
            assert allowed(table, pa.array(LISTS, pa.list_(pa.string())).slice(start),
                           LISTS[start:]) == rows[start:]
        assert rows[0] is ("IfExists" in operator or operator in ("ForAllValues:StringEquals",
                                                                  "Null"))


def test_codes_below_zero_are_null_and_unknown() -> None:
    """CTX-4: -1 is absent, -2 is unknown; they part under a negated operator."""
    column = DictionaryColumn(np.array([0, -1, -2, 1], np.int32), ["a", "b"])
    out = on("StringNotEquals", "a").decide(action="s3:Get", resource="*", context={"k:k": column})
    assert out.decision.tolist() == [DecisionCode.IMPLICIT_DENY, DecisionCode.ALLOW,
                                     DecisionCode.UNDETERMINED, DecisionCode.ALLOW]


# --- resources --------------------------------------------------------------------------------

BROKEN = ("arn:aws:s3::", "arn:aws:s3", "", "**", "arn:aws:s3:a:b", "ARN:aws:s3:::a")


def test_a_broken_resource_is_noticed_in_every_form_of_column() -> None:
    """RES-12: also where the action decides alone, and among the values of a dictionary."""
    resources = ["*", *BROKEN, _BUCKET + "a"]
    codes = np.arange(len(resources), dtype=np.int32)
    expected = [0, *[2] * len(BROKEN), 0]
    for statement in ({}, {"Resource": _BUCKET + "a"}):
        table = table_of(statement)
        for column in (resources, DictionaryColumn(codes, resources), pa.array(resources)):
            out = table.decide(action="s3:Get", resource=column)
            assert out.error.tolist() == expected
            assert (out.decision[1:-1] == DecisionCode.UNDETERMINED).all()
            assert out.decision[-1] == DecisionCode.ALLOW


@pytest.mark.parametrize("count", [31, 32, 33, 34, 50, 100])
def test_a_resource_may_match_many_sets(count: int) -> None:
    """Rows are sorted by two methods, and searched by halves: no set is lost."""
    order = [7 * i % count for i in range(count)] if count % 7 else list(range(count))
    table = table_of(*({"Action": f"s3:A{i}", "Resource": [_BUCKET + "a*", f"{_BUCKET}{i}"]}
                       for i in order))
    actions = [f"s3:A{i}" for i in range(count)]
    for resource, everything in ((_BUCKET + "ab", True), (_BUCKET + "b", False)):
        out = table.decide(action=actions, resource=resource)
        assert (out.decision == DecisionCode.ALLOW).all() == everything
        assert (out.decision == DecisionCode.IMPLICIT_DENY).all() != everything


# --- caches -----------------------------------------------------------------------------------


def test_answers_stay_right_when_caches_are_dropped() -> None:
    """A session over its budget forgets; the ids it then gives out mean other things."""
    table = table_of(
        {"Action": "s3:G*", "Condition": {"StringEquals": {"k:k": ["a", "c"]}}},
        {"Action": "s3:Put", "Resource": [_BUCKET + "${k:k}", _BUCKET + "d*"]},
        {"Effect": "Deny", "Action": "s3:P*", "Resource": _BUCKET + "b",
         "Condition": {"StringNotLike": {"k:k": "${k:l}*"}}},
    )
    batches = [
        (["s3:Get", "s3:Put"], ["a", "b"]), (["s3:Put", "s3:Get"], ["b", "a"]),
        (["s3:Pull", "s3:Put", "s3:Get"], ["c", "b", "d"]), (["s3:Get", "s3:Got"], ["d", "c"]),
    ]
    requests = [[(action, _BUCKET + resource, {"k:k": first, "k:l": second})
                 for action in actions for resource in names for first in names
                 for second in reversed(names)] for actions, names in batches]
    seen = set()
    with Session(table, budget_bytes=0) as session:
        for batch in requests * 2:
            out = session.decide(
                action=[a for a, _, _ in batch], resource=[r for _, r, _ in batch],
                context={key: [c[key] for _, _, c in batch] for key in ("k:k", "k:l")})
            right = [table.check(action=a, resource=r, context=c).decision for a, r, c in batch]
            assert out.decision.tolist() == right
            seen |= set(right)
            for (action, resource, context), expected in zip(batch, right, strict=True):
                again = session.check(action=action, resource=resource, context=context)
                assert again.decision == expected
    assert seen == {DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY}


# --- rows of many lists in one block ----------------------------------------------------------


def test_rows_of_many_lists_come_back_in_their_places() -> None:
    """The engine puts rows together by list; 5,000 rows are three of its blocks."""
    rng = np.random.default_rng(5)
    actions = [f"s3:Get{k}" for k in range(7)] + ["sqs:Send"]
    table = table_of(
        {"Action": "s3:Get0"},
        *({"Action": f"s3:Get{k}", "Resource": f"{_BUCKET}b{k % 3}/*",
           "Condition": {"StringEquals": {"k:k": [str(k), "x"]}}} for k in range(1, 7)),
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"{_BUCKET}b2/secret*"},
        {"Effect": "Deny", "Action": "s3:Get3", "Condition": {"StringEquals": {"k:k": "x"}}},
    )
    resources = [f"{_BUCKET}b{k}/{name}" for k in range(4) for name in ("a", "secret")]
    values = [*map(str, range(7)), "x"]
    codes = {name: rng.integers(low, len(texts), 5000).astype(np.int32)
             for name, low, texts in (("action", 0, actions), ("resource", 0, resources),
                                      ("k:k", -2, values))}
    coded = {"action": DictionaryColumn(codes["action"], actions),
             "resource": DictionaryColumn(codes["resource"], resources),
             "k:k": DictionaryColumn(codes["k:k"], values)}
    out = table.decide(coded)
    known: dict[tuple[int, int, int], tuple[int, int]] = {}
    for row, asked in enumerate(zip(*codes.values(), strict=True)):
        if asked not in known:
            a, r, k = asked
            one = table.check(action=actions[a], resource=resources[r],
                              context={"k:k": values[k]} if k >= 0 else {},
                              unknown=["k:k"] if k == -2 else [])
            by = -1 if one.statement is None else table.statements.index(one.statement)
            known[asked] = one.decision, by
        assert (out.decision[row], out.statement[row]) == known[asked], asked
    assert set(out.counts()) >= {"ALLOW", "IMPLICIT_DENY", "EXPLICIT_DENY", "UNDETERMINED"}
    assert min(out.counts()[d.name] for d in DecisionCode) > 50
