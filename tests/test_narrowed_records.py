"""What an engine keeps of records, rows of resources and states: the same answers, from memory.

Rows are decided twice: by an engine that keeps nothing beyond its records, entry by entry, and by
one that narrows a record when it first leaves a row open. Decision, layer, statement and error of
each row must be the same. That they are right is what the differential test is for, half of whose
worlds are decided by what is kept.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import layer_tables as tables
import numpy as np
import pyarrow as pa
import pytest
from layer_generator import make_layer_world, texts_of
from numpy.typing import NDArray

import iamtables as it
from iamtables import DecisionCode
from iamtables.runtime.column import BoundColumn

A = "111122223333"
ROLE = f"arn:aws:iam::{A}:role/r"
NEVER = 2**31


def document(*statements: dict[str, Any], kind: Any = "identity") -> it.PolicyDocument:
    return it.parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
                           policy_type=kind)


def statement(action: str, resource: str | list[str], effect: str = "Allow",
              **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": action, "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


def both_ways(table: Any, asked: dict[str, Any], passes: int = 2) -> tuple[Any, dict[str, int]]:
    """What is decided, and the counts of the engine that keeps all; asserts that both agree."""
    with table.session() as plain, table.session() as keeping:
        plain._engine(0).met_before = NEVER
        keeping._engine(0).met_before = 0
        expected = plain.decide(**asked)
        for _ in range(passes):
            found = keeping.decide(**asked)
            for name in ("decision", "layer", "statement", "error"):
                assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
        counts = keeping.counts()
        assert plain.counts()["narrowed"] == plain.counts()["states"] == 0
    return expected, counts


def test_rows_of_generated_worlds_are_decided_alike() -> None:
    """Every policy type, many kinds of requester, unknown keys; statements, too."""
    narrowed = states = 0
    for seed in range(7_100, 7_130):
        world = make_layer_world(seed, 300)
        table = tables.compile_policies(texts_of(world.policies), world.options, world.is_trust)
        asked = tables.columns(world.requests, world.keys, dictionary=seed % 2 == 0)
        _, counts = both_ways(table, asked)
        narrowed += counts["narrowed"]
        states += counts["states"]
    assert narrowed > 500
    assert states > 50


def test_a_row_is_narrowed_once_and_its_conditions_are_asked_for_their_states() -> None:
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", "arn:aws:s3:::a/*"),
        statement("s3:GetObject", "arn:aws:s3:::b/*", StringLike={"s3:prefix": "x*"}),
        statement("s3:GetObject", "arn:aws:s3:::b/secret*", "Deny",
                  Bool={"aws:SecureTransport": "false"}))])
    resources = [f"arn:aws:s3:::{text}" for text in ("a/1", "a/2", "b/1", "b/2", "b/secret", "c/1")]
    rows = [(resource, prefix, secure) for resource in resources
            for prefix in (*(f"x{i}" for i in range(40)), *(f"y{i}" for i in range(40)), None)
            for secure in ("true", "false")]
    Random(5).shuffle(rows)
    texts, prefixes, secures = map(list, zip(*rows, strict=True))
    out, counts = both_ways(table, {
        "principal": ROLE, "action": "s3:GetObject", "resource": texts, "resource_account": A,
        "context": {"s3:prefix": prefixes, "aws:SecureTransport": secures}})
    for (resource, prefix, secure), code in zip(rows, out.decision.tolist(), strict=True):
        allowed = "::a/" in resource or ("::b/" in resource and (prefix or "").startswith("x"))
        denied = "::b/secret" in resource and secure == "false"
        assert code == (DecisionCode.EXPLICIT_DENY if denied else
                        DecisionCode.ALLOW if allowed else DecisionCode.IMPLICIT_DENY)
    assert counts["records"] == 1
    assert counts["narrowed"] == 4  # of a, b, b/secret and c, whatever their objects are
    assert counts["states"] == 2 + 4  # of one condition and of two, whatever their values are


@pytest.mark.parametrize("count", [14, 15, 16, 40])
def test_more_conditions_than_a_word_of_states_holds(count: int) -> None:
    """Fifteen states fit; a record with more is settled by its entries."""
    table = it.compile_layers(identity=[document(*(
        statement("s3:GetObject", "*", StringEquals={f"aws:RequestTag/k{i}": "1"})
        for i in range(count)))])
    rng = Random(count)
    rows = [[rng.random() < 0.05 for _ in range(count)] for _ in range(400)]
    rows += [[True] * count, [False] * count]
    out, counts = both_ways(table, {
        "principal": ROLE, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/1",
        "resource_account": A,
        "context": {f"aws:RequestTag/k{i}": ["1" if row[i] else "0" for row in rows]
                    for i in range(count)}})
    assert (out.decision == DecisionCode.ALLOW).tolist() == [any(row) for row in rows]
    assert (counts["states"] > 0) == (count <= 15)


def test_what_is_allowed_by_other_means_is_not_what_others_are_told() -> None:
    """`also_allowed` is of a row; rows without it put the same question."""
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    rows = [(resource, also) for resource in ("arn:aws:s3:::a/1", "arn:aws:s3:::b/1")
            for also in (False, True)] * 5
    texts, also = map(list, zip(*rows, strict=True))
    out, counts = both_ways(table, {
        "principal": ROLE, "action": "s3:GetObject", "resource": texts, "resource_account": A,
        "also_allowed": also})
    allowed = ["::a/" in text or flag for text, flag in rows]
    assert (out.decision == DecisionCode.ALLOW).tolist() == allowed
    assert counts["narrowed"] == 2


def test_variables_are_filled_in_for_each_requester_and_resource() -> None:
    """A pattern with a variable that may match is held against the row, not against its kind."""
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"),
        statement("s3:GetObject", "arn:aws:s3:::home/*", "Deny",
                  StringEquals={"s3:prefix": "${aws:PrincipalTag/team}"}))])
    rows = [(f"arn:aws:s3:::home/{of}/1", team, prefix) for of in ("red", "blue")
            for team in ("red", "blue", None) for prefix in ("red", "blue", "green")] * 3
    texts, teams, prefixes = map(list, zip(*rows, strict=True))
    out, counts = both_ways(table, {
        "principal": ROLE, "action": "s3:GetObject", "resource": texts, "resource_account": A,
        "context": {"aws:PrincipalTag/team": teams, "s3:prefix": prefixes}})
    for (resource, team, prefix), code in zip(rows, out.decision.tolist(), strict=True):
        denied, allowed = prefix == team, f"/{team}/" in resource
        assert code == (DecisionCode.EXPLICIT_DENY if denied else
                        DecisionCode.ALLOW if allowed else DecisionCode.IMPLICIT_DENY)
    assert counts["states"] == 0


def test_a_condition_with_variables_has_no_state_of_its_own() -> None:
    """Its key has another condition, whose states are another's."""
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", "*", StringEquals={"s3:prefix": "${aws:PrincipalTag/team}"}),
        statement("s3:PutObject", "*", StringEquals={"s3:prefix": "green"}))])
    rows = [(action, team, prefix) for action in ("s3:PutObject", "s3:GetObject")
            for team in ("red", "green") for prefix in ("red", "green")] * 3
    actions, teams, prefixes = map(list, zip(*rows, strict=True))
    out, counts = both_ways(table, {
        "principal": ROLE, "action": actions, "resource": "arn:aws:s3:::b/1", "resource_account": A,
        "context": {"aws:PrincipalTag/team": teams, "s3:prefix": prefixes}})
    allowed = [prefix == (team if action == "s3:GetObject" else "green")
               for action, team, prefix in rows]
    assert (out.decision == DecisionCode.ALLOW).tolist() == allowed
    assert counts["states"] == 2  # of the plain condition


def test_keys_that_follow_from_who_asks_are_those_of_the_row() -> None:
    """CTX-3: in a block of rows of several requesters, none of whom gives the key."""
    shared = it.PolicySet((document(statement(
        "s3:GetObject", "arn:aws:s3:::a/*", StringEquals={"aws:PrincipalArn": ROLE})),))
    arns = [f"arn:aws:iam::{A}:role/{name}" for name in ("q", "r", "s")]
    table = it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=tuple(it.Principal(arn, identity=shared) for arn in arns)))
    principals = [arns[i % 3] for i in range(30)]
    out, counts = both_ways(table, {
        "principal": principals, "action": "s3:GetObject", "resource": "arn:aws:s3:::a/1",
        "resource_account": A})
    assert (out.decision == DecisionCode.ALLOW).tolist() == [p == ROLE for p in principals]
    assert counts["states"] == 2  # of one condition, whoever asks


def test_what_was_kept_goes_with_the_records_that_it_is_of() -> None:
    """Records that are dropped leave their numbers to others."""
    world = make_layer_world(7_200, 400)
    table = tables.compile_policies(texts_of(world.policies), world.options, world.is_trust)
    with table.session() as plain, table.session() as keeping:
        plain._engine(0).met_before = NEVER
        keeping._engine(0).met_before = 0
        keeping._engine(0).record_limit = 500
        fewest = most = 0
        for _ in range(3):
            for start in range(0, 400, 8):
                asked = tables.columns(world.requests[start:start + 8], world.keys)
                expected, found = plain.decide(**asked), keeping.decide(**asked)
                assert found.decision.tolist() == expected.decision.tolist()
                assert found.statement.tolist() == expected.statement.tolist()
                counts = keeping.counts()
                most = max(most, counts["narrowed"])
                fewest += counts["narrowed"] < most
        assert most > 5
        assert fewest > 5, "nothing was dropped"


def test_keys_that_follow_from_the_endpoint_are_those_of_the_row() -> None:
    """CTX-3: endpoints with the same policy put the same question, from networks of their own."""
    anyone = it.PolicySet((document(statement("*", "*") | {"Principal": "*"}, kind="vpce"),))
    table = it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp"),
        principals=(it.Principal(ROLE, identity=it.PolicySet((document(statement(
            "s3:GetObject", "*", StringEquals={"aws:SourceVpc": "vpc-2"})),))),),
        endpoints=(it.Endpoint("vpce-0aaa", anyone, A, "vpc-1"),
                   it.Endpoint("vpce-0bbb", anyone, A, "vpc-2"))))
    through = [("vpce-0aaa", "vpce-0bbb")[i % 2] for i in range(600)]
    out, counts = both_ways(table, {
        "principal": ROLE, "action": "s3:GetObject", "resource": "arn:aws:s3:::a/1",
        "resource_account": A, "context": {"aws:SourceVpce": through}})
    allowed = [one == "vpce-0bbb" for one in through]
    assert (out.decision == DecisionCode.ALLOW).tolist() == allowed
    assert counts["narrowed"] == 1
    assert counts["states"] == 2


@pytest.mark.parametrize("limit", [0, 40, 2**24])
def test_rows_that_cannot_ask_are_counted_once_when_records_are_dropped(limit: int) -> None:
    """A record that says so may be the one that outgrows the limit, in the middle of a block."""
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    principals = [f"arn:aws:iam::{A}:role/r{i}" if i % 3 else f"no principal {i}"
                  for i in range(600)]
    actions = ["s3:GetObject" if i % 5 else "no action" for i in range(600)]
    with table.session() as session:
        session._engine(0).record_limit = limit
        for _ in range(2):
            out = session.decide(principal=principals, action=actions, resource_account=A,
                                 resource="arn:aws:s3:::a/1")
            is_wrong = [i % 3 == 0 or i % 5 == 0 for i in range(600)]
            assert (out.error != 0).tolist() == is_wrong
            assert out.error_count == sum(is_wrong)
            assert (out.decision == DecisionCode.ALLOW).tolist() == [not one for one in is_wrong]
            assert not out.layer[out.error != 0].any()


@pytest.mark.parametrize("code", [2, 99, -3, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("column", ["principal", "action", "resource"])
def test_codes_beyond_their_dictionary_are_never_looked_up(column: str, code: int) -> None:
    """Whoever binds columns looks at the codes; the kernel does not rely on it."""
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    values = {"principal": [ROLE, ROLE + "2"], "action": ["s3:GetObject", "s3:PutObject"],
              "resource": ["arn:aws:s3:::a/1", "arn:aws:s3:::b/1"]}
    with table.session() as session:
        engine: Any = session._engine(0)
        keys = len(session._names)

        def bound(name: str, wrong: bool) -> BoundColumn:
            texts = [text.encode() for text in values[name]]
            codes = np.array([0, 1] * 50, dtype=np.int32)
            codes[77] = code if wrong else 0
            return BoundColumn.codes(
                codes, np.frombuffer(b"".join(texts), np.uint8),
                np.cumsum([0, *map(len, texts)]).astype(np.int32))

        def decide(wrong: str | None) -> NDArray[np.uint8]:
            columns = {name: bound(name, name == wrong) for name in values}
            if wrong is not None:
                assert columns[wrong].adopt(known[wrong])
            known.update(columns)
            out = [np.zeros(100, kind) for kind in (np.uint8, np.uint8, np.int32, np.uint8)]
            nothing = BoundColumn.constant(100, 0)
            engine.decide_layers([columns["principal"], nothing, nothing, nothing], None,
                                 columns["action"], columns["resource"], nothing, None,
                                 [nothing] * keys, np.zeros(keys, np.uint8), *out, 0, 100)
            return out[0]

        known: dict[str, BoundColumn] = {}
        assert decide(None).tolist().count(DecisionCode.ALLOW) == 51
        with pytest.raises(MemoryError, match="do not fit"):
            decide(column)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize(("at", "end"), [
    (78, 10**6), (78, 2**31 - 1), (78, -1), (100, 10**4), (100, -(2**31))])
@pytest.mark.parametrize("column", ["principal", "action", "resource"])
def test_texts_beyond_their_data_are_never_read(
    column: str, at: int, end: int, width: int
) -> None:
    """Offsets of a foreign buffer may say anything, the last of them too."""
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    values = {"principal": ROLE, "action": "s3:GetObject", "resource": "arn:aws:s3:::a/1"}
    with table.session() as session:
        engine: Any = session._engine(0)
        keys = len(session._names)

        def bound(name: str, wrong: bool) -> BoundColumn:
            text = values[name].encode()
            offsets = np.arange(101, dtype=f"i{width}") * len(text)
            if wrong:
                offsets[at] = end
            return BoundColumn.strings(100, np.frombuffer(text * 100, np.uint8), offsets)

        def decide(wrong: str | None) -> NDArray[np.uint8]:
            columns = {name: bound(name, name == wrong) for name in values}
            out = [np.zeros(100, kind) for kind in (np.uint8, np.uint8, np.int32, np.uint8)]
            nothing = BoundColumn.constant(100, 0)
            engine.decide_layers([columns["principal"], nothing, nothing, nothing], None,
                                 columns["action"], columns["resource"], nothing, None,
                                 [nothing] * keys, np.zeros(keys, np.uint8), *out, 0, 100)
            return out[0]

        assert decide(None).tolist() == [DecisionCode.ALLOW] * 100
        with pytest.raises(MemoryError, match="do not fit"):
            decide(column)


def test_records_are_narrowed_from_the_third_row_that_they_leave_open() -> None:
    """What is met once or twice costs no more than it did."""
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    asked = {"principal": ROLE, "action": "s3:GetObject", "resource_account": A}
    with table.session() as session:
        session.decide(resource=["arn:aws:s3:::a/1", "arn:aws:s3:::b/1"], **asked)
        assert session.counts()["narrowed"] == 0
        session.decide(resource=["arn:aws:s3:::a/1", "arn:aws:s3:::a/2"], **asked)
        assert session.counts()["narrowed"] == 1


FLEETING = 2**62


def test_fleeting_resources_are_decided_as_those_that_are_kept() -> None:
    """Held against the patterns that a record asks for, and not interned. Sides are found by a
    first pass: for them every resource of a block is interned."""
    looked_at = 0
    for seed in range(7_300, 7_330):
        world = make_layer_world(seed, 300)
        table = tables.compile_policies(texts_of(world.policies), world.options, world.is_trust)
        asked = tables.columns(world.requests, world.keys)
        asked["resource"] = pa.array(asked["resource"], pa.string())
        for met_before in (0, NEVER):
            with table.session() as kept, table.session() as fleeting:
                for session in (kept, fleeting):
                    session._engine(0).met_before = met_before
                fleeting._engine(0).fleeting_left = FLEETING
                expected = kept.decide(**asked)
                for _ in range(2):
                    found = fleeting.decide(**asked)
                    for name in ("decision", "layer", "statement", "error"):
                        assert getattr(found, name).tolist() == getattr(
                            expected, name).tolist(), name
                looked_at += FLEETING - fleeting._engine(0).fleeting_left
    assert looked_at > 2_000


def test_a_row_of_some_sets_is_not_taken_for_one_of_all() -> None:
    """What one record asks of a resource says nothing to another, whatever came first."""
    table = it.compile_layers(identity=[document(
        statement("s3:GetObject", ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]),
        statement("s3:PutObject", "arn:aws:s3:::b/*"),
        {"Effect": "Allow", "Action": "s3:DeleteObject", "NotResource": "arn:aws:s3:::b/*"},
        *(statement("s3:ListBucket", [f"arn:aws:s3:::{'c' * n}{k}/*" for k in range(9)])
          for n in range(1, 19)))])
    rows = [(action, f"arn:aws:s3:::{bucket}/1") for bucket in ("a", "b", "c", "ccc7", "c9", "*x")
            for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")] * 4
    actions, resources = map(list, zip(*rows, strict=True))
    allowed = {"s3:GetObject": ("::a/", "::b/"), "s3:PutObject": ("::b/",), "s3:ListBucket": (
        "::ccc7/",)}
    for met_before in (0, 2, NEVER):
        with table.session() as session:
            engine = session._engine(0)
            engine.met_before, engine.fleeting_left = met_before, FLEETING
            session.decide(principal=ROLE, action="s3:Any", resource_account=A,
                           resource=pa.array([f"{text}23" for text in resources]))
            before = session.counts()["resources"]
            out = session.decide(principal=ROLE, action=actions, resource=pa.array(resources),
                                 resource_account=A)
            assert session.counts()["resources"] == before
        assert (out.decision == DecisionCode.ALLOW).tolist() == [
            any(part in resource for part in allowed[action]) if action in allowed
            else "::b/" not in resource for action, resource in rows]


def test_resources_are_interned_unless_hardly_any_comes_twice() -> None:
    table = it.compile_layers(identity=[document(statement("s3:GetObject", "arn:aws:s3:::a/*"))])
    for distinct, least, most in ((40_000, 4_096, 20_000), (10_000, 10_000, 10_000)):
        with table.session() as session:
            resources = [f"arn:aws:s3:::{'ab'[n % 2]}/{n % distinct}" for n in range(80_000)]
            out = session.decide(principal=ROLE, action="s3:GetObject", resource_account=A,
                                 resource=pa.array(resources))
            assert (out.decision == DecisionCode.ALLOW).tolist() == [
                "::a/" in text for text in resources]
            assert least <= session.counts()["resources"] <= most
            checked = session.check(principal=ROLE, action="s3:GetObject", resource_account=A,
                                    resource="arn:aws:s3:::a/new")
            assert checked.decision == DecisionCode.ALLOW


def test_requesters_of_whom_the_same_is_left_open_share_a_record() -> None:
    arns = [f"arn:aws:iam::{A}:role/r{n}" for n in range(6)]
    some = [it.PolicySet((document(statement("s3:GetObject", f"arn:aws:s3:::{name}/*")),))
            for name in "ab"]
    table = it.compile(it.Organization(
        accounts=(it.Account(A),), missing_layers=("session", "scp", "rcp", "vpce"),
        principals=tuple(it.Principal(arn, identity=some[n % 2]) for n, arn in enumerate(arns))))
    rows = [(n, f"arn:aws:s3:::{name}/1") for n in range(6) for name in "abc"] * 5
    out, counts = both_ways(table, {
        "principal": [arns[n] for n, _ in rows], "action": "s3:GetObject",
        "resource": [text for _, text in rows], "resource_account": A})
    assert (out.decision == DecisionCode.ALLOW).tolist() == [
        f"::{'ab'[n % 2]}/" in text for n, text in rows]
    assert counts["records"] == 6
    assert counts["narrowed"] == 6  # two records for three resources
