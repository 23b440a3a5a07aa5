"""Python objects become the codes and texts that a loop over them gives, whatever path they take.

The loop below shares nothing with the kernel (runtime/objects.pyx): one dictionary, one text at a
time, straight from the meaning of a column.
"""

from __future__ import annotations

import decimal
import gc
import itertools
import sys
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest

import iamtables
from iamtables.runtime import UNKNOWN
from iamtables.runtime.columns import CodedColumn, from_objects
from iamtables.runtime.objects import code_texts, pack_texts

AWKWARD = (
    "", "\x00", "a\x00", "a\x00b", "a", "\u00e9", "\u0080", "\u00ff", "\u0100", "\uffff",
    "\U0001f600", "\ud800", "\udfff", "a\ud800", "\ud83d\ude00", "*",
    "arn:aws:s3:::b/" + "x" * 3000, "\u00e9" * 2000,
)  # fmt: skip


class Word(str):
    """A text of a class that compares and encodes as nothing else does."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def encode(self, *_: Any) -> bytes:  # type: ignore[override]
        raise AssertionError("code of the caller ran")


def plain(given: Sequence[Any]) -> tuple[list[int], list[bytes]]:
    """Codes and distinct texts, in order of appearance."""
    codes, texts = [], []
    known: dict[bytes, int] = {}
    for value in given:
        if value is UNKNOWN or value is None or (not isinstance(value, str) and value != value):
            codes.append(-2 if value is UNKNOWN else -1)
            continue
        text = str.encode(value, "utf-8", "surrogatepass")
        if text not in known:
            known[text] = len(texts)
            texts.append(text)
        codes.append(known[text])
    return codes, texts


def read(column: CodedColumn) -> tuple[list[int], list[bytes]]:
    data, offsets = column.encoded.data.tobytes(), column.encoded.offsets.tolist()
    assert offsets[0] == 0 and offsets[-1] == len(data)
    return column.codes.tolist(), [data[a:b] for a, b in itertools.pairwise(offsets)]


def assert_as_plain(given: list[Any]) -> None:
    column = from_objects(given, "x")
    assert isinstance(column, CodedColumn)
    codes, texts = plain(given)
    assert read(column) == (codes, texts)
    assert code_texts(given, UNKNOWN) is not None  # by the kernel, not by the loop behind it
    for row in {0, len(given) // 2, len(given) - 1} if given else ():
        value = column.value(row)
        if codes[row] < 0:
            assert value is (UNKNOWN if codes[row] == -2 else None)
        else:
            assert str.__eq__(value, given[row])  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 5000])
def test_texts_become_codes_in_order_of_appearance(rows: int) -> None:
    random = Random(rows)
    pool = [*AWKWARD, *(f"arn:aws:s3:::bucket/{i}" for i in range(40))]
    some = [None, float("nan"), UNKNOWN]
    given = [random.choice(pool) if random.random() < 0.7 else random.choice(some)
             for _ in range(rows)]
    assert_as_plain(given)
    # objects that say the same and are others
    assert_as_plain(["".join(list(v)) if isinstance(v, str) else v for v in given])


@pytest.mark.parametrize("distinct", [3000, 9000, 30_000])
def test_more_texts_than_addresses_are_remembered(distinct: int) -> None:
    random = Random(distinct)
    pool = [f"service:{i}" * (1 + i % 3) for i in range(distinct)]
    assert_as_plain([random.choice(pool) if random.random() < 0.9 else None for _ in range(40_000)])
    assert_as_plain(pool)
    assert_as_plain(pool + pool[::-1])


def nearly_alike(count: int) -> Iterator[list[str]]:
    """Texts of one length that only a comparison of all their bytes tells apart: among so many,
    some have the same 32 bits of hash that say where they belong, under any key."""
    letters = [chr(letter) for letter in range(32, 127)]
    words = ["".join(word) for word in itertools.product(letters, repeat=3)]
    for form in ("same{}", "{}same", "{} and the same end", "the same beginning {}",
                 f"{'the same at both ends':30}{{}}{'the same at both ends':>30}"):
        yield [form.format(word) for word in Random(3).sample(words, count)]


def test_texts_with_the_same_tag_are_compared_whole() -> None:
    for texts in nearly_alike(300_000):
        coded = code_texts(texts, UNKNOWN)
        assert coded is not None
        codes, _, offsets, originals = coded
        assert len(offsets) - 1 == len(originals) == len(texts)
        assert [originals[code] for code in codes] == texts


def test_texts_of_other_classes_are_what_they_say() -> None:
    given = [Word("a"), "a", Word("b"), np.str_("a"), np.str_("\u00e9"), "\u00e9", Word(""),
             ""] * 50
    assert read(from_objects(given, "x")) == (  # type: ignore[arg-type]
        [0, 0, 1, 0, 2, 2, 3, 3] * 50, [b"a", b"b", "\u00e9".encode(), b""])


@pytest.mark.parametrize("count", [0, 1, 500])
def test_texts_lie_end_to_end(count: int) -> None:
    random = Random(count)
    given: list[Any] = [random.choice([*AWKWARD, Word("b"), np.str_("c")]) for _ in range(count)]
    encoded = [str.encode(text, "utf-8", "surrogatepass") for text in given]
    found = pack_texts(given)
    assert found is not None
    assert found[0].tobytes() == b"".join(encoded)
    assert found[1].tolist() == [0, *itertools.accumulate(map(len, encoded))]
    for other in (None, 5, ["a"], UNKNOWN):
        assert pack_texts([*given, other]) is None


def test_callers_objects_are_left_as_they_were() -> None:
    text = "".join(["arn:aws:s3:::b/", "\u00e9" * 500])
    fresh = "".join(list("arn:aws:s3:::b/x"))
    size, count = sys.getsizeof(text), sys.getrefcount(fresh)
    column = from_objects([text, fresh, fresh], "x")
    assert sys.getsizeof(text) == size  # no UTF-8 left behind
    assert sys.getrefcount(fresh) == count + 1  # the column's
    del column
    assert sys.getrefcount(fresh) == count


def test_a_column_outlives_the_objects_it_was_made_of() -> None:
    given = ["".join(["arn:aws:s3:::b/", str(i), "\u00e9" * (i % 2)]) for i in range(3000)]
    column = from_objects(given, "x")
    given.clear()
    gc.collect()
    other = ["".join(["other", str(i)]) for i in range(6000)]  # where the first ones were
    assert column.value(7) == "arn:aws:s3:::b/7\u00e9" and column.value(8) == "arn:aws:s3:::b/8"
    assert read(column)[1][2999] == "arn:aws:s3:::b/2999\u00e9".encode()  # type: ignore[arg-type]
    assert len(other) == 6000


@pytest.mark.parametrize("other", [
    5, True, 1.5, decimal.Decimal("1.0"), decimal.Decimal("nan"), np.float64("nan"), np.int64(3),
    np.datetime64("NaT"), ["a", "b"], ("a",), [], np.array(["a", "b"]),
])  # fmt: skip
@pytest.mark.parametrize("at", [0, 300, 599])
def test_other_values_are_read_one_by_one(other: Any, at: int) -> None:
    texts: list[Any] = ["a", "5", None, "true", UNKNOWN, "1.0"] * 100
    without = read(from_objects(texts, "x"))  # type: ignore[arg-type]
    given = [*texts[:at], other, *texts[at:]]
    assert code_texts(given, UNKNOWN) is None
    column = from_objects(given, "x")
    codes, encoded = read(column)  # type: ignore[arg-type]
    expected = {"5": b"5", "True": b"true", "1.5": b"1.5", "1.0": b"1.0", "3": b"3"}
    if codes[at] == -1:
        assert str(other).lower() in ("nan", "nat")
    elif isinstance(other, list | tuple | np.ndarray):
        assert encoded[codes[at]][:1] == b"\xff"
    else:
        assert encoded[codes[at]] == expected[str(other)]
    rest = codes[:at] + codes[at + 1 :]
    assert [c if c < 0 else encoded[c] for c in rest] == [
        c if c < 0 else without[1][c] for c in without[0]]


def test_what_is_no_value_is_refused_with_its_type() -> None:
    for other in (object(), b"x", {"a": 1}):
        with pytest.raises(iamtables.RequestError, match=f"type `{type(other).__name__}`"):
            from_objects(["a"] * 400 + [other], "k:s")


def test_sequences_of_every_kind_are_read() -> None:
    class Rows(Sequence[Any]):
        def __getitem__(self, at: Any) -> Any:
            return ("x", None, "y")[at]

        def __len__(self) -> int:
            return 3

    for given in (("x", None, "y"), Rows(), np.array(["x", None, "y"], dtype=object).tolist()):
        assert read(from_objects(given, "x")) == ([0, -1, 1], [b"x", b"y"])  # type: ignore[arg-type]


def test_a_changed_list_is_seen_by_a_session() -> None:
    document = iamtables.parse_policy(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",'
        ' "Resource": "arn:aws:s3:::b/*"}]}')
    with iamtables.compile(document).session() as session:
        resources = ["arn:aws:s3:::b/x"] * 600
        first = session.decide(action="s3:GetObject", resource=resources).decision
        assert first.tolist() == [1] * 600
        for row in range(0, 600, 7):
            resources[row] = "arn:aws:s3:::c/x"
        second = session.decide(action="s3:GetObject", resource=resources).decision
        assert second.tolist() == [0 if row % 7 == 0 else 1 for row in range(600)]
