"""A session that remembers what dictionary values came to answers as one that never saw them."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables
from iamtables import DictionaryColumn
from iamtables.runtime import columns as columns_module
from iamtables.runtime.column import BoundColumn
from iamtables.runtime.dictionaries import MOST_EACH

ACCOUNT, OTHER = "111122223333", "444455556666"
CALLERS = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("a", "b")]
IDENTITY = [
    {"Effect": "Allow", "Action": ["s3:Get*", "s3:Put*"],
     "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::${k:s}/*"]},
    {"Effect": "Deny", "Action": "s3:GetSecret", "Resource": "*",
     "Condition": {"StringLike": {"k:s": ["x*", "\u00e9"]}}},
    {"Effect": "Allow", "Action": "s3:List", "Resource": "*",
     "Condition": {"Null": {"k:s": "true"}}},
    {"Effect": "Allow", "Action": "s3:Any", "Resource": "arn:aws:s3:::c/?",
     "Condition": {"ForAnyValue:StringEquals": {"k:m": ["x", "y"]}}},
]
SHARED = [{"Effect": "Allow", "Principal": "*", "Action": "s3:Get*",
           "Resource": "arn:aws:s3:::c/*"}]


def policy(statements: list[Any], kind: Any = "identity") -> iamtables.PolicyDocument:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return iamtables.parse_policy(text, policy_type=kind)


ALONE = iamtables.compile(policy(IDENTITY))
LAYERED = iamtables.compile_layers(
    identity=[policy(IDENTITY)], resource=policy(SHARED, "resource"))
TABLES = {"identity": ALONE, "layered": LAYERED}

ACTIONS = ["s3:GetObject", "s3:GetSecret", "s3:List", "s3:PutObject", "s3:Any", "ec2:Run", "bad"]
RESOURCES = ["arn:aws:s3:::b/1", "arn:aws:s3:::c/1", "arn:aws:s3:::c/22", "arn:aws:s3:::x/1", "*",
             "arn:aws:s3:::y/1", "no arn", "arn:aws:s3:::b/\u00e9"]
VALUES = ["x", "y", "xx", "", "\u00e9", "b", "z"]


def dictionary(form: str, codes: np.ndarray[Any, Any], values: list[str]) -> Any:
    """Codes and their values as a caller may hold them; -1 is a null."""
    if form == "arrow":
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32(), mask=codes < 0), pa.array(values, pa.string()))
    if form == "large":
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int64(), mask=codes < 0), pa.array(values, pa.large_string()))
    if form == "sliced":  # the dictionary is a part of a longer one
        longer = pa.array(["before", *values, "behind"], pa.string())
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32(), mask=codes < 0), longer.slice(1, len(values)))
    if form == "nulls":  # in the dictionary
        given = pa.array([*values, None], pa.string())
        return pa.DictionaryArray.from_arrays(
            pa.array(np.where(codes < 0, len(values), codes), pa.int32()), given)
    if form == "codes":
        return DictionaryColumn(codes, values)
    if form == "tuple":
        return DictionaryColumn(codes, tuple(values))
    return [None if code < 0 else values[code] for code in codes]


FORMS = ("arrow", "large", "sliced", "nulls", "codes", "tuple", "list")


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("seed", range(6))
def test_batches_with_all_kinds_of_dictionaries_decide_as_alone(kind: str, seed: int) -> None:
    """Dictionaries come again, change at one value, are put in another order and grow."""
    table, random = TABLES[kind], Random(seed)
    rng = np.random.default_rng(seed)
    pools = {"action": list(ACTIONS), "resource": list(RESOURCES), "k:s": list(VALUES)}
    n = 90
    with table.session() as session:
        for _ in range(25):
            name = random.choice([*pools])
            values = pools[name]
            change = random.randrange(6)
            if change == 0:
                random.shuffle(values)
            elif change == 1:
                values[random.randrange(len(values))] = random.choice(
                    {"action": ACTIONS, "resource": RESOURCES, "k:s": VALUES}[name])
            elif change == 2:
                values.append(values[0] + "1")
            columns = {
                key: dictionary(random.choice(FORMS), rng.integers(-1 if key != "action" else 0,
                                                                   len(pool), n), pool)
                for key, pool in pools.items()}
            columns["k:m"] = DictionaryColumn(rng.integers(-2, 3, n).astype(np.int32),
                                              [["x", "z"], "y", []])
            unknown = {"k:s": rng.random(n) < 0.3} if random.random() < 0.3 else None
            if kind == "layered":
                columns["principal"] = dictionary("codes", rng.integers(0, 2, n), CALLERS)
                columns["resource_account"] = random.choice(
                    [ACCOUNT, OTHER, None, dictionary("arrow", rng.integers(-1, 2, n),
                                                      [ACCOUNT, OTHER])])
            found = session.decide(columns, unknown=unknown)
            alone = table.decide(columns, unknown=unknown)
            assert found.decision.tolist() == alone.decision.tolist()
            assert found.error.tolist() == alone.error.tolist()
            assert found.statement.tolist() == alone.statement.tolist()


def asked(form: str, resources: list[str], rows: int = 600) -> dict[str, Any]:
    """A question about every resource in turn that `ALONE` answers by the resource."""
    codes = (np.arange(rows) % len(resources)).astype(np.int32)
    return {"action": "s3:GetObject", "resource": dictionary(form, codes, resources)}


PATHS = [f"arn:aws:s3:::{'bc'[i % 2]}/{i}" for i in range(300)]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_values_are_not_classified_again(form: str) -> None:
    with ALONE.session() as session:
        first = session.decide(asked(form, PATHS)).decision
        learnt = session.counts()["verified_candidates"]
        assert learnt >= len(PATHS)
        second = session.decide(asked(form, list(PATHS))).decision  # other objects, other buffers
        assert session.counts()["verified_candidates"] == learnt
        session.decide(asked(form, PATHS[::-1]))
        assert session.counts()["verified_candidates"] > learnt
    assert first.tolist() == second.tolist() == [1, 0] * 300


@pytest.mark.parametrize("form", ["codes", "list"])
def test_a_list_that_changed_in_place_is_read_again(form: str) -> None:
    values = list(PATHS)
    with ALONE.session() as session:
        for turn in range(4):
            found = session.decide(asked(form, values)).decision
            expected = [int(values[row % 300][13] == "b") for row in range(600)]
            assert found.tolist() == expected
            values[turn] = values[turn].translate({ord("b"): "c", ord("c"): "b"})
            # one letter, in the last place of all that are compared
            values[-1] = values[-1][:13] + "bc"[turn % 2] + values[-1][14:]


def test_memory_of_the_caller_that_changed_in_place_is_read_again() -> None:
    text = np.frombuffer(bytearray("".join(PATHS[:2]).encode()), dtype=np.uint8)
    size = len(PATHS[0])

    class Values:
        data = text
        offsets = np.array([0, size, 2 * size], dtype=np.int64)

        def __len__(self) -> int:
            return 2

    column = SimpleNamespace(codes=np.array([0, 1] * 50, dtype=np.int32), values=Values())
    with ALONE.session() as session:
        for _ in range(2):
            found = session.decide(action="s3:GetObject", resource=column).decision
            assert found.tolist() == [1, 0] * 50
        at = PATHS[0].index(":b/") + 1
        text[at], text[size + at] = ord("c"), ord("b")
        found = session.decide(action="s3:GetObject", resource=column).decision
        assert found.tolist() == [0, 1] * 50


@pytest.fixture
def short_collections() -> Iterator[None]:
    """What the whole run has made so far takes the collector longer than all that a test makes."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("short_collections")
def test_memory_that_a_dictionary_had_is_not_mistaken_for_it() -> None:
    """Buffers that a session learnt from stay where they are, so no other one can come there."""
    with ALONE.session() as session:
        before: int | None = None
        for turn in range(200):
            letters = "bc" if turn % 3 else "cb"
            paths = [f"arn:aws:s3:::{letters[i % 2]}/{i}" for i in range(300)]
            columns = asked("arrow", paths)
            address = columns["resource"].dictionary.buffers()[2].address
            assert address != before
            found = session.decide(columns).decision
            assert found.tolist() == ([1, 0] if turn % 3 else [0, 1]) * 300
            before = address if address != before else before
            del columns
            gc.collect()


def test_whose_a_resource_is_has_part_in_what_is_learnt_of_it() -> None:
    column = dictionary("arrow", np.zeros(50, dtype=np.int32), ["arn:aws:s3:::b/1"])
    with LAYERED.session() as session:
        for owner, decision in ((ACCOUNT, 1), (OTHER, 0), (ACCOUNT, 1), (OTHER, 0), (OTHER, 0)):
            found = session.decide(action="s3:GetObject", resource=column, principal=CALLERS[0],
                                   resource_account=owner).decision
            assert found.tolist() == [decision] * 50


@pytest.mark.parametrize("form", ["arrow", "codes"])
def test_an_error_comes_again_with_the_value_it_comes_from(form: str) -> None:
    """COND-11: `k:t` takes one value; a list of two is found out when it is asked for."""
    table = iamtables.compile(policy([
        {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*",
         "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}]))
    column = DictionaryColumn(np.array([0, 1] * 20, dtype=np.int32),
                              ["2026-01-01T00:00:00Z", ["2026-01-01T00:00:00Z", "b"]])
    actions = dictionary(form, np.zeros(40, dtype=np.int32), ["s3:GetObject"])
    with table.session() as session:
        for _ in range(3):
            with pytest.raises(iamtables.ColumnError, match="single-valued"):
                session.decide({"action": actions, "resource": "*", "aws:CurrentTime": column})


@pytest.mark.parametrize("kind", TABLES)
def test_dropped_caches_take_with_them_what_was_learnt_from_them(kind: str) -> None:
    """A `check` may drop the caches between two batches, and a batch between two of its chunks."""
    table = TABLES[kind]
    columns = asked("arrow", PATHS) | {"principal": CALLERS[0], "resource_account": ACCOUNT}
    expected = table.decide(columns).decision.tolist()
    assert set(expected) == {0, 1} or kind == "layered"
    for budget in (1, 20_000, 60_000, 200_000):
        with table.session(budget_bytes=budget) as session:
            for turn in range(6):
                assert session.decide(columns).decision.tolist() == expected
                for one in range(turn * 40):
                    session.check(action=f"s3:Get{one}", resource=f"arn:aws:s3:::x/{one}/{turn}",
                                  principal=CALLERS[0])


def test_few_dictionaries_are_kept_and_none_after_closing() -> None:
    before = pa.total_allocated_bytes()
    session = ALONE.session()
    for turn in range(10):
        session.decide(asked("arrow", [f"arn:aws:s3:::b/{turn}/{'x' * 2000}/{i}"
                                       for i in range(500)]))  # a megabyte each
    gc.collect()
    assert pa.total_allocated_bytes() - before < (MOST_EACH + 1) * 1_100_000
    session.close()
    gc.collect()
    assert pa.total_allocated_bytes() - before < 200_000


def test_dictionaries_beyond_the_budget_are_not_kept() -> None:
    before = pa.total_allocated_bytes()
    with ALONE.session(budget_bytes=4_000_000) as session:  # an eighth is for dictionaries
        paths = [f"arn:aws:s3:::b/{'x' * 2000}/{i}" for i in range(500)]
        assert session.decide(asked("arrow", paths)).decision.tolist() == [1] * 600
        gc.collect()
        assert pa.total_allocated_bytes() - before < 200_000


def test_the_rows_of_a_batch_are_not_kept() -> None:
    codes = np.zeros(1000, dtype=np.int32)
    count = sys.getrefcount(codes)
    with ALONE.session() as session:
        session.decide(action="s3:GetObject", resource=DictionaryColumn(codes, PATHS))
        gc.collect()
        assert sys.getrefcount(codes) == count


def test_each_thread_learns_for_itself() -> None:
    columns = asked("arrow", PATHS, 5000)
    expected = ALONE.decide(columns).decision.tolist()
    with ALONE.session() as session:
        for threads in (2, 1, 3, 2):
            assert session.decide(columns, threads=threads).decision.tolist() == expected


def bound(texts: list[bytes], valid: list[bool] | None = None, *, dtype: Any = np.int64
          ) -> BoundColumn:
    offsets = np.cumsum([0, *map(len, texts)]).astype(dtype)
    bits = None if valid is None else np.packbits(valid, bitorder="little")
    return BoundColumn.codes(np.zeros(3, dtype=np.int32),
                             np.frombuffer(b"".join(texts), dtype=np.uint8), offsets, bits)


def test_a_dictionary_is_the_same_by_its_texts_alone() -> None:
    texts = [b"a", b"bc", b"", b"d\x00"]
    assert bound(texts).adopt(bound(list(texts)))
    assert bound(texts, dtype=np.int32).adopt(bound(texts, dtype=np.int32))
    assert bound(texts, [True, False, True, True]).adopt(bound(texts, [True, False, True, True]))
    others = ([b"a", b"bd", b"", b"d\x00"], [b"ab", b"c", b"", b"d\x00"], [b"a", b"b"],
              [b"a", b"bc", b"", b"d\x01"], [b"a", b"bc", b"", b"d"], [*texts, b""])
    for other in others:
        assert not bound(texts).adopt(bound(other))
    assert not bound(texts, [True, False, True, True]).adopt(bound(texts, [True] * 4))
    assert not bound(texts, [True] * 4).adopt(bound(texts))
    assert not bound(texts).adopt(bound(texts, dtype=np.int32))
    assert not bound(texts).adopt(BoundColumn.constant(3, 2))
    one = bound(texts)
    assert not one.adopt(one)


def test_a_dictionary_that_has_grown_takes_over_what_it_began_with() -> None:
    texts = [b"a", b"bc", b"", b"d\x00"]
    for dtype in (np.int32, np.int64):
        assert bound([*texts, b"e"], dtype=dtype).adopt(bound(texts, dtype=dtype))
    assert bound(texts).adopt(bound([]))
    assert bound([*texts, b""], [True, False, True, True, False]).adopt(
        bound(texts, [True, False, True, True]))
    assert not bound([*texts, b"e"], [True] * 5).adopt(bound(texts, [True, False, True, True]))
    assert not bound([b"A", *texts[1:], b"e"]).adopt(bound(texts))
    assert not bound([b"ab", b"c", b"", b"d\x00", b"e"]).adopt(bound(texts))
    # a text between others that ends behind them fits the data of one and not of the other
    jumping = np.array([0, 6, 2], dtype=np.int64)
    made = [BoundColumn.codes(np.zeros(3, dtype=np.int32), np.frombuffer(data, dtype=np.uint8),
                              offsets)
            for data, offsets in ((b"abcd", jumping), (b"abcdefgh", np.append(jumping, 3)))]
    assert not made[1].adopt(made[0])


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("form", ["arrow", "large", "codes"])
def test_what_is_new_in_a_grown_dictionary_is_learnt_and_nothing_else(kind: str, form: str
                                                                      ) -> None:
    table, caller = TABLES[kind], {"principal": CALLERS[0]} if kind == "layered" else {}
    learnt = []
    with table.session() as session:
        for known in (100, 150, 300, 200):  # the last one is shorter: learnt anew
            columns = {**asked(form, PATHS[:known]), **caller}
            found = session.decide(columns)
            assert found.decision.tolist() == table.decide(columns).decision.tolist()
            assert found.statement.tolist() == table.decide(columns).statement.tolist()
            learnt.append(session.counts()["verified_candidates"])
    if kind == "identity":  # `c/?` is a candidate for every other text besides
        assert [later - before for before, later in
                zip([0, *learnt[:3]], learnt, strict=False)] == [150, 75, 225, 300]


def test_states_of_a_grown_dictionary_are_those_of_its_texts() -> None:
    rows = np.arange(600) % 7
    with ALONE.session() as session:
        for known in (1, 3, 7):
            columns = {"action": "s3:GetSecret", "resource": "arn:aws:s3:::b/1",
                       "k:s": dictionary("arrow", (rows % known).astype(np.int32), VALUES[:known])}
            found = session.decide(columns).decision.tolist()
            assert found == [2 if VALUES[code].startswith("x") or VALUES[code] == "\u00e9" else 1
                             for code in rows % known]


def test_a_column_whose_knowledge_was_taken_is_of_no_use() -> None:
    first, second = bound([b"a", b"b"]), bound([b"a", b"b"])
    assert second.adopt(first)
    assert first.length == 0 and not bound([b"a", b"b"]).adopt(first)
    second.forget_rows()
    second.forget_rows()
    assert second.length == 0 and bound([b"a", b"b"]).adopt(second)


def test_offsets_that_do_not_fit_are_never_the_same() -> None:
    data = np.frombuffer(b"abcd", dtype=np.uint8)
    for offsets in ([0, 2, 9], [-4, 2, 4], [3, 2, 1]):
        made = [BoundColumn.codes(np.zeros(3, dtype=np.int32), data.copy(),
                                  np.array(offsets, dtype=np.int64)) for _ in range(2)]
        assert not made[0].adopt(made[1])


def test_a_list_of_the_same_texts_is_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared are the objects: another list of them is the same, others are encoded."""
    encoded: list[int] = []
    pack = columns_module.pack_texts
    monkeypatch.setattr(columns_module, "pack_texts",
                        lambda texts: encoded.append(len(texts)) or pack(texts))
    values = list(PATHS)
    copies = [text[:1] + text[1:] for text in values]
    assert copies == values and copies[0] is not values[0]
    with ALONE.session() as session:
        for given, size in ((values, 1), (values, 1), (list(values), 1), (copies, 2), (copies, 2),
                            (values, 3), (values[:-1], 4)):
            found = session.decide(asked("codes", given)).decision
            assert found.tolist() == [int(given[row % len(given)][13] == "b") for row in range(600)]
            assert len(encoded) == size


def test_lists_in_a_dictionary_may_change_in_place() -> None:
    """A value that is a list of texts is another value when it changes, though the same object."""
    table = iamtables.compile(policy([
        {"Effect": "Allow", "Action": "*", "Resource": "*",
         "Condition": {"ForAnyValue:StringEquals": {"k:m": "x"}}}]))
    values: list[Any] = ["y", ["y", "z"]]
    with table.session() as session:
        for change in ("y", "x", "x", "w"):
            values[1][0] = change
            found = session.decide(action="s3:GetObject", resource="*", context={
                "k:m": DictionaryColumn(np.array([0, 1], dtype=np.int32), values)}).decision
            assert found.tolist() == [0, int(change == "x")]
