"""Rows found by the codes of dictionaries alone (runtime/placed.pyx): what a code leads to is
forgotten, or not taken over, where anything else of a request says otherwise.

Who asks, what for and of what are dictionary columns; `placed` counts the rows that were found by
their codes, so that each test knows which way its rows went.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables as it
from iamtables import DecisionCode, DictionaryColumn

A, B = "111122223333", "444455556666"
ROLES = tuple(f"arn:aws:iam::{A}:role/path{n}/same" for n in range(40))
ACTIONS = tuple(f"s3:{verb}{what}" for verb in ("Get", "Put", "Delete")
                for what in ("Object", "ObjectAcl", "Tags", "Lock", "Legal", "Cors"))
PATHS = tuple(f"arn:aws:s3:::{bucket}/{n}" for bucket in ("open", "mine", "shut") for n in range(8))
ALLOW, DENY, IMPLICIT = (
    DecisionCode.ALLOW, DecisionCode.EXPLICIT_DENY, DecisionCode.IMPLICIT_DENY)


def document(*statements: dict[str, Any], kind: Any = "identity") -> it.PolicyDocument:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return it.parse_policy(text, policy_type=kind)


def held(*statements: dict[str, Any], kind: Any = "identity") -> it.PolicySet:
    return it.PolicySet((document(*statements, kind=kind),))


def may(role: int, action: int) -> bool:
    return action % (role % 5 + 1) == 0


@pytest.fixture(scope="module")
def table() -> Any:
    """What a role may do hangs on the action, on the resource in `mine` and, for every third role,
    on a condition; `shut` denies; everything is of account A."""
    principals = []
    for n, role in enumerate(ROLES):
        statement: dict[str, Any] = {
            "Effect": "Allow", "Action": [a for k, a in enumerate(ACTIONS) if may(n, k)],
            "Resource": ["arn:aws:s3:::open/*", "arn:aws:s3:::shut/*",
                         *(f"arn:aws:s3:::mine/{k}" for k in range(8) if (n + k) % 2 == 0)]}
        if n % 3 == 0:
            statement["Condition"] = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        principals.append(it.Principal(role, identity=held(statement)))
    return it.compile(it.Organization(
        accounts=(it.Account(A), it.Account(B)),
        missing_layers=("session", "scp", "rcp", "vpce"), principals=tuple(principals),
        resource_policies=(it.ResourcePolicy("arn:aws:s3:::shut", held(
            {"Effect": "Deny", "Principal": "*", "Action": "s3:Put*",
             "Resource": "arn:aws:s3:::shut/*"}, kind="resource"), A),)))


def expected(role: int | None, action: int, path: int, region: str) -> DecisionCode:
    if role is None:
        return DecisionCode.UNDETERMINED
    if PATHS[path].startswith("arn:aws:s3:::shut") and ACTIONS[action].startswith("s3:Put"):
        return DENY
    is_there = not PATHS[path].startswith("arn:aws:s3:::mine") or (role + path % 8) % 2 == 0
    if not may(role, action) or not is_there or (role % 3 == 0 and region != "eu-west-1"):
        return IMPLICIT
    return ALLOW


class Rows:
    """Rows drawn from a seed, as columns of codes and as what they come to."""

    def __init__(self, seed: int, n: int = 3_000, roles: int = len(ROLES)) -> None:
        rng = np.random.default_rng(seed)
        self.role = rng.integers(0, roles, n).astype(np.int32)
        self.action = rng.integers(0, len(ACTIONS), n).astype(np.int32)
        self.path = rng.integers(0, len(PATHS), n).astype(np.int32)
        self.region = ["eu-west-1" if hit else "us-east-1" for hit in rng.random(n) < 0.5]

    @property
    def expected(self) -> list[DecisionCode]:
        return [expected(*row) for row in zip(
            self.role.tolist(), self.action.tolist(), self.path.tolist(), self.region,
            strict=True)]

    def columns(self, form: str = "codes") -> dict[str, Any]:
        given = {"principal": (self.role, ROLES), "action": (self.action, ACTIONS),
                 "resource": (self.path, PATHS)}
        return {name: dictionary(form, codes, values) for name, (codes, values) in given.items()}


def dictionary(form: str, codes: Any, values: tuple[str, ...]) -> Any:
    if form == "codes":
        return DictionaryColumn(codes, values)
    given = pa.array(codes, pa.int32(), mask=codes < 0)
    if form == "arrow":
        return pa.DictionaryArray.from_arrays(given, pa.array(values))
    return [None if code < 0 else values[code] for code in codes.tolist()]


def ask(session: Any, rows: Rows, form: str = "codes", **more: Any) -> Any:
    return session.decide(**{**rows.columns(form), "resource_account": A,
                             "context": {"aws:RequestedRegion": rows.region}, **more})


@pytest.mark.parametrize("form", ["codes", "arrow", "lists"])
def test_known_codes_are_found_by_their_place(table: Any, form: str) -> None:
    with table.session() as session:
        for turn in (0, 1, 2, 2):
            rows = Rows(turn)
            before = session.counts().get("placed", 0)
            out = ask(session, rows, form)
            assert out.decision.tolist() == rows.expected
            plain = table.decide(**{**rows.columns("lists"), "resource_account": A,
                                    "context": {"aws:RequestedRegion": rows.region}})
            assert out.statement.tolist() == plain.statement.tolist()
            assert out.layer.tolist() == plain.layer.tolist()
        assert session.counts()["placed"] - before == len(rows.role)


def test_rows_without_a_value_are_not_those_of_another(table: Any) -> None:
    """A principal that is null is an error, a resource that is null is any."""
    rows = Rows(11)
    is_null = np.random.default_rng(1).random((2, len(rows.role))) < 0.002
    rows.role[is_null[0]] = -1
    rows.path[is_null[1]] = -1
    for form in ("codes", "arrow"):
        with table.session() as session:
            for _ in range(3):
                out = ask(session, rows, form)
                assert (out.error != 0).tolist() == is_null[0].tolist()
                alone = table.decide(**{**rows.columns("lists"), "resource_account": A,
                                        "context": {"aws:RequestedRegion": rows.region}})
                assert out.decision.tolist() == alone.decision.tolist()
                assert DecisionCode.UNDETERMINED in out.decision[is_null[1] & ~is_null[0]]
            assert session.counts()["placed"] > 0  # of blocks without an error


def test_whose_a_resource_is_has_part_in_its_place(table: Any) -> None:
    rows = Rows(3)
    with table.session() as session:
        for owner in (A, B, A, B, B):
            out = ask(session, rows, resource_account=owner)
            assert (out.decision == ALLOW).tolist() == [
                owner == A and one == ALLOW for one in rows.expected]
        assert session.counts()["placed"] >= 2 * len(rows.role)


def test_what_else_is_said_of_who_asks_has_part_in_the_place_of_a_principal(table: Any) -> None:
    """One session of another role each time: who it is, the issuer says."""
    rows = Rows(4, roles=1)
    session_arn = f"arn:aws:sts::{A}:assumed-role/same/me"
    with table.session() as session:
        for role in (0, 1, 2, 1, 0, 0):
            rows.role[:] = role
            out = ask(session, rows, issuer_arn=ROLES[role], principal=DictionaryColumn(
                np.zeros(len(rows.role), np.int32), (session_arn,)))
            assert out.decision.tolist() == rows.expected
        assert session.counts()["placed"] >= 2 * len(rows.role)


def test_rows_that_more_is_said_of_go_another_way(table: Any) -> None:
    """A column of owners, of management accounts, or of what others allow; so many rows that all
    that may be learnt of any code is."""
    rows = Rows(5, n=50_000)
    flags = np.zeros(len(rows.role), bool)
    owners = DictionaryColumn(np.arange(len(rows.role), dtype=np.int32) % 2, (A, B))
    flags[::3] = True
    with table.session() as session:
        ask(session, rows)
        ask(session, rows)
        placed = session.counts()["placed"]
        assert placed
        for _ in range(3):
            out = ask(session, rows, resource_account=owners)
            assert (out.decision == ALLOW).tolist() == [
                row % 2 == 0 and one == ALLOW for row, one in enumerate(rows.expected)]
        out = ask(session, rows, also_allowed=flags)
        alone = table.decide(**rows.columns(), resource_account=A, also_allowed=flags,
                             context={"aws:RequestedRegion": rows.region})
        assert out.decision.tolist() == alone.decision.tolist()
        ask(session, rows, is_management_account=flags)
        assert session.counts()["placed"] == placed
        assert ask(session, rows).decision.tolist() == rows.expected
        assert session.counts()["placed"] > placed


@pytest.mark.parametrize("setting", [{"record_limit": 1_500}, {"answer_limit": 1_024},
                                     {"answer_limit": 2_048}, {"met_before": 0},
                                     {"met_before": 1 << 30}])
def test_places_outlive_what_they_lead_to(table: Any, setting: dict[str, int]) -> None:
    """Records and questions that are dropped leave their numbers to others."""
    with table.session() as session:
        for name, value in setting.items():
            setattr(session._engine(0), name, value)
        for turn in range(12):
            rows = Rows(turn, n=400)
            assert ask(session, rows).decision.tolist() == rows.expected


def test_dictionaries_that_grow_keep_their_places(table: Any) -> None:
    with table.session() as session:
        for size in (3, 9, 20, 40, 40):
            rows = Rows(size, roles=size)
            out = ask(session, rows, principal=DictionaryColumn(rows.role, ROLES[:size]))
            assert out.decision.tolist() == rows.expected
        assert session.counts()["placed"] >= len(rows.role)


def test_a_value_that_is_added_changes_the_places_of_none(table: Any) -> None:
    rows = Rows(10)
    with table.session() as session:
        ask(session, rows)
        for more in ((), ("x",), ("x", "y")):
            before = session.counts()["placed"]
            out = ask(session, rows, principal=DictionaryColumn(rows.role, ROLES + more),
                      resource=DictionaryColumn(rows.path, PATHS + more),
                      action=DictionaryColumn(rows.action, ACTIONS + more))
            assert out.decision.tolist() == rows.expected
            assert session.counts()["placed"] - before == len(rows.role)


def test_dropped_caches_take_the_places_with_them(table: Any) -> None:
    rows = Rows(6)
    for budget in (1, 100_000, 400_000):
        with table.session(budget_bytes=budget) as session:
            for _ in range(4):
                assert ask(session, rows).decision.tolist() == rows.expected


def test_codes_beyond_a_dictionary_are_refused_not_read(table: Any) -> None:
    rows = Rows(7)
    with table.session() as session:
        for _ in range(2):
            ask(session, rows)
        for name, codes in (("principal", rows.role), ("action", rows.action),
                            ("resource", rows.path)):
            wrong = codes.copy()
            wrong[-1] = 1_000_000
            with pytest.raises(it.ColumnError):
                ask(session, rows, **{name: DictionaryColumn(
                    wrong, {"principal": ROLES, "action": ACTIONS, "resource": PATHS}[name])})
        assert ask(session, rows).decision.tolist() == rows.expected


def test_more_requesters_than_have_a_place(table: Any) -> None:
    """A place takes two bytes; requesters beyond that go another way."""
    rows, few = Rows(8), Rows(9, roles=25)
    with table.session() as session:
        assert session._engine(0).place_limit == 0xFFFF
        session._engine(0).place_limit = 1 << 20
        assert session._engine(0).place_limit == 0xFFFF
        session._engine(0).place_limit = 25
        ask(session, few)
        for _ in range(3):
            assert ask(session, rows).decision.tolist() == rows.expected
        placed = session.counts()["placed"]
        assert placed < len(rows.role) // 10
        assert ask(session, few).decision.tolist() == few.expected
        assert session.counts()["placed"] > placed


def test_dropped_questions_take_the_places_of_their_actions_with_them(table: Any) -> None:
    """Six actions in turn, which outgrow the records together, but not alone."""
    with table.session() as session:
        session._engine(0).record_limit = 600
        for turn in range(12):
            rows = Rows(turn, n=1_500, roles=4)
            rows.action = (rows.action % 6 + 6 * (turn // 3 % 3)).astype(np.int32)
            assert ask(session, rows).decision.tolist() == rows.expected
        assert session.counts()["questions"] < 36  # two kinds of resources for each action
        assert session.counts()["placed"] > 10_000


TEAMS = ("red", "blue", "green")
KEPT = tuple(f"arn:aws:s3:::{place}/{n}" for place in (
    "one", "two", "three", "named", *(f"home/{team}" for team in TEAMS)) for n in range(6))


def kept_for(role: int, path: str, team: str | None, prefix: str | None, region: str) -> bool:
    """What `table_of_values` allows."""
    place = path.removeprefix("arn:aws:s3:::").rsplit("/", 1)[0]
    if place == "one":
        return prefix == "red"
    if place == "two":
        return prefix == "blue" and region == "eu-west-1"
    if place == "three":
        return prefix == "blue" and region == "eu-west-1" and prefix != team
    if place == "named":
        return "/path1" in ROLES[role]
    return role % 2 == 0 and place == f"home/{team}" and region == "eu-west-1"


@pytest.fixture(scope="module")
def table_of_values() -> Any:
    """`one`, `two` and `three` hang on so many conditions, of which one has a variable; `named` on
    who asks, as nobody tells but the principal itself; `home` on a condition and a pattern with
    a variable."""
    all_may = document(
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::one/*",
         "Condition": {"StringEquals": {"s3:prefix": "red"}}},
        {"Effect": "Allow", "Action": "s3:GetObject",
         "Resource": ["arn:aws:s3:::two/*", "arn:aws:s3:::three/*"],
         "Condition": {"StringEquals": {"s3:prefix": "blue", "aws:RequestedRegion": "eu-west-1"}}},
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::three/*",
         "Condition": {"StringEquals": {"s3:prefix": "${aws:PrincipalTag/team}"}}},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::named/*",
         "Condition": {"StringLike": {"aws:PrincipalArn": "*/path1*"}}})
    home = document({"Effect": "Allow", "Action": "s3:GetObject",
                     "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*",
                     "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}})
    return it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce", "resource"),
        principals=tuple(it.Principal(role, identity=it.PolicySet((all_may, home)[:2 - n % 2]))
                         for n, role in enumerate(ROLES))))


@pytest.mark.parametrize("form", ["codes", "arrow", "lists"])
def test_open_rows_are_settled_by_the_states_of_their_values(
    table_of_values: Any, form: str
) -> None:
    """Of conditions and patterns with variables, too, whose states hang on values alone."""
    rng, n = np.random.default_rng(11), 3_000
    with table_of_values.session() as session:
        for _ in range(4):
            role = rng.integers(0, len(ROLES), n).astype(np.int32)
            path = rng.integers(0, len(KEPT), n).astype(np.int32)
            drawn = rng.integers(0, len(TEAMS) + 1, (2, n)).tolist()
            teams, prefixes = ([(*TEAMS, None)[code] for code in codes] for codes in drawn)
            regions = ["eu-west-1" if hit else "us-east-1" for hit in rng.random(n) < 0.5]
            out = session.decide(
                principal=dictionary(form, role, ROLES), resource=dictionary(form, path, KEPT),
                action=dictionary(form, np.zeros(n, np.int32), ("s3:GetObject",)),
                resource_account=A, context={
                    "aws:PrincipalTag/team": teams, "s3:prefix": prefixes,
                    "aws:RequestedRegion": regions})
            assert (out.decision == ALLOW).tolist() == [
                kept_for(r, KEPT[at], *said) for r, at, *said in zip(
                    role.tolist(), path.tolist(), teams, prefixes, regions, strict=True)]
        counts = session.counts()
    assert counts["placed"] >= n
    # Of one condition two combinations, of two four, and so on; not one for each value.
    assert 2 + 4 + 2 < counts["states"] <= 2 + 4 + 8 + 2 + 4


@pytest.mark.parametrize("bad", [0, 100, 255])
def test_a_row_without_a_question_among_new_ones(table: Any, bad: int) -> None:
    """A block brings actions, for which the grid of answers grows, and a row that is an error: the
    others are looked up again where their cells lie by then."""
    rows = Rows(5, 256)
    actions = [ACTIONS[code] for code in rows.action.tolist()]
    actions[bad] = "no action at all"
    with table.session() as session:
        first = Rows(6, 2_000)
        first.action %= 2
        assert ask(session, first).decision.tolist() == first.expected
        for _ in range(2):
            out = ask(session, rows, action=actions)
            assert out.error_count == 1
            assert out.error[bad] != 0
            found, wanted = out.decision.tolist(), rows.expected
            assert found[:bad] + found[bad + 1:] == wanted[:bad] + wanted[bad + 1:]
