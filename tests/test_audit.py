"""The core of an audit: members combined, records selected, counts that add up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from command_line import ACCOUNT, FULL_ACCESS, READ_ONLY, USER, allow, deny, policy
from fake_batch import FakeBatch

import iamtables as it
from iamtables import DecisionCode, tallies
from iamtables.audit import FURTHER_ACTIONS, Audit, glob_matches, packed
from iamtables.audit_counts import UNDECIDED
from iamtables.demo.sample import write_sample
from iamtables.logs import RecordClass, Requester, read_logs
from iamtables.logs.columns import Coded
from iamtables.tallies import OTHERS

A, N, E, U = (DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY,
              DecisionCode.UNDETERMINED)
NAMES = {A: "s3:Allowed", N: "s3:Implicit", E: "s3:Denied", U: "s3:Unknown"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = policy(
        tmp_path_factory.mktemp("p"), allow(NAMES[A], Sid="Yes"), deny(NAMES[E], Sid="No"),
        allow(NAMES[U], Sid="Maybe", Condition={"StringEquals": {"aws:ResourceTag/x": "1"}}))
    return it.compile(it.load_policy(path))


@pytest.mark.parametrize("members", [
    members for n in (1, 2, 3) for members in itertools.product((A, N, E, U), repeat=n)
])
def test_the_strongest_member_decides_and_the_first_of_them_is_named(table, members):
    order = [A, U, N, E]
    strongest = max(members, key=order.index)
    results = Audit(table).add(FakeBatch([[NAMES[m] for m in members]]))
    assert results.decision.tolist() == [strongest]
    assert results.row.tolist() == [members.index(strongest)]
    sid = {A: "Yes", E: "No", U: "Maybe", N: None}[strongest]
    statement = int(results.statement[0])
    assert (table.statements[statement].sid if statement >= 0 else None) == sid


def test_records_without_order_or_neighbours_are_combined_by_group(table):
    batch = FakeBatch([[NAMES[A]], [NAMES[A], NAMES[E]], [NAMES[U], NAMES[A]]])
    shuffled = np.array([3, 0, 4, 2, 1])
    batch.group = batch.group[shuffled]
    batch.action = Coded(batch.action.codes[shuffled], batch.action.values)
    assert Audit(table).add(batch).decision.tolist() == [A, E, U]


def test_an_allowed_record_that_may_need_further_actions_is_undetermined(table):
    batch = FakeBatch([[NAMES[A]], [NAMES[N]], [NAMES[A]]], is_complete=[False, False, True])
    results = Audit(table).add(batch)
    assert results.decision.tolist() == [U, N, A]
    assert results.depends_on == {0: (FURTHER_ACTIONS,)}


def test_what_would_settle_an_undetermined_record_is_named(table):
    audit = Audit(table)
    results = audit.add(FakeBatch([[NAMES[U]], [NAMES[A]], [NAMES[U]]]))
    assert results.depends_on == dict.fromkeys((0, 2), ("aws:ResourceTag/x",))
    assert audit.summary().depends_on == [(("aws:ResourceTag/x",), 2)]
    assert audit.summary().not_supplied == ("aws:ResourceTag/x",)


@pytest.mark.parametrize(("missing", "expected"), [("unknown", U), ("absent", N)])
def test_missing_says_what_a_key_is_that_nobody_gives(table, missing, expected):
    results = Audit(table, missing=missing).add(FakeBatch([[NAMES[U]]]))
    assert results.decision.tolist() == [expected]


def test_missing_error_names_the_key_and_a_remedy(table):
    with pytest.raises(it.ColumnError, match="aws:ResourceTag/x") as caught:
        Audit(table, missing="error").add(FakeBatch([[NAMES[U]]]))
    assert "--assume" in caught.value.help


def test_assumed_values_fill_what_is_unknown_and_nothing_else(table):
    column = Coded(np.array([0, -1, -2], dtype=np.int32), ["2"])
    batch = FakeBatch([[NAMES[U]]] * 3, context={"aws:resourcetag/X": column})
    assert Audit(table).add(batch).decision.tolist() == [N, N, U]
    assumed = Audit(table, assume={"AWS:ResourceTag/x": "1"})
    assert assumed.add(batch).decision.tolist() == [N, N, A]
    assert assumed.add(FakeBatch([[NAMES[U]]])).decision.tolist() == [A]


def test_only_selected_principals_are_decided(table):
    whose = [f"arn:aws:iam::{ACCOUNT}:{name}" for name in ("user/ana", "role/app-1", "role/x")]
    audit = Audit(table, principals=["*:role/app-?", "*/ana"])
    results = audit.add(FakeBatch([[NAMES[A]]] * 3, principals=whose))
    assert results.decision.tolist() == [A, A, UNDECIDED]
    assert audit.summary().not_selected == 1


def test_requesters_without_identity_policies_are_counted_apart(table):
    kinds = [int(kind) for kind in Requester]
    audit = Audit(table)
    results = audit.add(FakeBatch([[NAMES[A]]] * len(kinds), identity=kinds))
    assert results.decision.tolist() == [A] + [UNDECIDED] * (len(kinds) - 1)
    assert sum(audit.summary().not_carrying.values()) == len(kinds) - 1


def test_records_that_are_no_calls_are_classed_and_not_decided(table):
    classes = [int(kind) for kind in RecordClass]
    members = [[NAMES[A]] if kind <= RecordClass.PARTIAL else [] for kind in classes]
    audit = Audit(table)
    results = audit.add(FakeBatch(members, record_class=classes))
    assert (results.decision != UNDECIDED).tolist() == [True, True, False, False, False]
    assert audit.summary().classes == dict.fromkeys(
        ("mapped", "partial", "no-action", "not-a-call", "unmapped"), 1)


def test_an_empty_batch_and_no_batch_at_all_are_fine(table):
    audit = Audit(table)
    audit.add(FakeBatch([]))
    summary = audit.summary()
    assert summary.records == summary.decided == 0 and sum(summary.decisions.values()) == 0


def test_names_beyond_the_limit_are_counted_together(table, monkeypatch):
    monkeypatch.setattr(tallies, "MAX_GROUPS", 3)
    audit = Audit(table)
    audit.add(FakeBatch([[NAMES[A]]] * 10, principals=[f"{USER}{i}" for i in range(10)]))
    summary = audit.summary()
    assert sum(count for *_, count in summary.groups) == 10 == summary.decided
    assert summary.groups[0][0] == OTHERS and OTHERS in summary.principals


@pytest.mark.parametrize(("pattern", "text", "expected"), [
    ("*", "", True), ("", "", True), ("", "a", False), ("a*b*c", "a--b--c", True),
    ("a*b", "a--c", False), ("?", "ab", False), ("[ab]", "a", False), ("[ab]", "[ab]", True),
    ("*:role/app-*", "arn:aws:iam::1:role/app-x", True), ("a" + "*a" * 40, "a" * 39, False),
])
def test_globs_match_the_whole_text(pattern, text, expected):
    assert glob_matches(pattern, text) is expected


def test_packed_rows_are_equal_exactly_when_all_columns_are():
    rng = np.random.default_rng(1)
    columns = [rng.integers(-2, 5, 400), rng.integers(0, 2**40, 400) // 2**38 * 2**38,
               rng.integers(-1, 2**31 - 1, 400) // 2**30]
    keys = packed([np.asarray(c) for c in columns])
    rows = list(zip(*(c.tolist() for c in columns), strict=True))
    assert len(set(keys.tolist())) == len(set(rows))
    assert len(set(zip(keys.tolist(), rows, strict=True))) == len(set(rows))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    root = tmp_path_factory.mktemp("log")
    write_sample(root, records=6_000, seed=11)
    table = it.compile([*it.load_policy(FULL_ACCESS), *it.load_policy(READ_ONLY)])
    return table, list(read_logs([root], keys=table.keys))


def test_all_counts_of_a_log_add_up(sampled):
    table, batches = sampled
    audit = Audit(table)
    undecided = sum(int((audit.add(batch).decision == UNDECIDED).sum()) for batch in batches)
    summary = audit.summary()
    calls = summary.classes["mapped"] + summary.classes["partial"]
    assert sum(summary.classes.values()) == summary.records == 6_000
    assert summary.decided + sum(summary.not_carrying.values()) + summary.not_selected == calls
    assert summary.records - undecided == summary.decided
    for totals in (summary.principals, summary.actions, summary.statements):
        assert sum(map(sum, totals.values())) == summary.decided
    assert sum(count for *_, count in summary.groups) == summary.decided
    assert sum(sum(row.values()) for row in summary.agreement.values()) == summary.decided
    assert sum(count for _, count in summary.depends_on) == summary.decisions["UNDETERMINED"]


def test_a_log_is_decided_as_its_requests_are_one_by_one(sampled):
    """Every distinct request of the log through `check`, combined here in the obvious way."""
    table, batches = sampled
    audit = Audit(table)
    order = [A, U, N, E]
    for batch in batches:
        results = audit.add(batch)
        by_record = {}
        for row in range(batch.requests):
            context, unknown = {}, []
            for key in table.keys:
                column = batch.context.get(key)
                if column is None or column.codes[row] == -2:
                    unknown.append(key)
                else:
                    context[key] = column.value(row)
            decision = table.check(
                action=batch.action.value(row), resource=batch.resource.value(row),
                context=context, unknown=unknown).decision
            by_record.setdefault(int(batch.group[row]), []).append(decision)
        for record, decisions in by_record.items():
            if results.decision[record] == UNDECIDED:
                assert batch.identity[record] != Requester.ROLE_OR_USER
                continue
            expected = max(decisions, key=order.index)
            if expected == A and not batch.is_complete[record]:
                expected = U
            assert results.decision[record] == expected
