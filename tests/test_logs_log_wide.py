"""What the segments of a cache have in common, and the kernels that number and count it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iamtables.contradictions import NEVER, Contradictions, Kind
from iamtables.logs.columns import ABSENT, packed
from iamtables.logs.log_wide import Patterns, TextDictionary
from iamtables.logs.names import Names, pattern_of
from iamtables.logs.numbering import count_pairs, number_keys, spans_of
from iamtables.logs.segment_columns import ColumnReader, write_table
from iamtables.logs.text_codes import TextCodes
from iamtables.logs.texts import Texts

TEXTS = ["arn:a", "", "arn:b", "arn:a", "\udc80", "ä", ""]


def test_texts_are_numbered_in_the_order_in_which_they_are_met() -> None:
    known, texts = TextCodes(7), Texts.of(TEXTS)
    assert known.codes(texts.data, texts.offsets).tolist() == [0, 1, 2, 0, 3, 4, 1]
    assert len(known) == 5
    again = texts.take(np.array([4, 0]))
    assert known.codes(again.data, again.offsets).tolist() == [3, 0]
    assert [known.code_of(text) for text in (b"arn:b", b"", b"arn:")] == [2, 1, -1]
    assert len(known) == 5


@pytest.mark.parametrize("offsets", [[0, 3], [-1, 1], [1, 0], [0, 1, 0]])
def test_offsets_of_other_texts_are_an_error(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets of other texts"):
        TextCodes(7).codes(np.frombuffer(b"ab", np.uint8), np.array(offsets, dtype=np.int64))


@pytest.mark.parametrize("seed", range(20))
def test_a_dictionary_of_texts_has_each_once_however_they_come(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = TextDictionary()
    values = found.values
    for _ in range(8):
        some = [f"text {number}" for number in random.integers(0, 40, random.integers(0, 12))]
        if random.random() < 0.5:
            codes = found.codes_of(Texts.of(some)).tolist()
        else:
            codes = [found.optional(text) if random.random() < 0.5 else found.any_code(text)
                     for text in some]
        assert [values[code] for code in codes] == some
        assert len(set(map(str, values))) == len(values) == len(found)
    # what is not looked for could be there twice
    assert not hasattr(found, "extend") and not hasattr(found, "fill")


@pytest.mark.parametrize("has_resolver", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_patterns_stand_for_what_names_tell_by_now(seed: int, has_resolver: bool) -> None:
    random = np.random.default_rng(seed)
    asked: list[str] = []

    def resolver(kind: str, account: str, name: str) -> str | None:
        asked.append(name)
        return f"arn:aws:iam::{account}:{kind}/known/{name}" if name in ("r1", "r2") else None

    names, patterns = Names(resolver if has_resolver else None), Patterns()
    segments: list[tuple[list[str], Any, Any]] = []
    for _ in range(12):
        for _ in range(int(random.integers(3))):
            path = ("", "a/", "b/")[int(random.integers(3))]
            names.learn(f"arn:aws:iam::123456789012:role/{path}r{random.integers(9)}")
        if random.random() < 0.5:
            spelled = [f"arn:aws:iam::123456789012:role/*r{number}"
                       for number in random.permutation(12)[:5]]
            segments.append((spelled, patterns.codes_of(Texts.of(spelled)), None))
        for at, (spelled, codes, before) in enumerate(segments):
            arns = patterns.arns_of(codes, names)
            told = [None if arn == ABSENT else patterns.texts_of(np.array([arn]))[0]
                    for arn in arns.tolist()]
            assert told == [names.arn(pattern) for pattern in spelled]
            if before is not None and not has_resolver:  # the same number for the same ARN
                assert [a == b for a, b in zip(arns, before[0], strict=True)] == [
                    a == b for a, b in zip(told, before[1], strict=True)]
            segments[at] = spelled, codes, (arns, told)
    needed = {pattern.rpartition("*")[2] for spelled, _, _ in segments for pattern in spelled}
    assert set(asked) <= needed


@pytest.mark.parametrize(("given", "are_resources"), [
    ("arn:aws:iam::111111111111:role/a/r", True), ("no ARN", False), (None, True)])
def test_what_a_resolver_gives_need_be_no_resource(given: str | None, are_resources: bool) -> None:
    patterns = Patterns()
    found = patterns.codes_of(Texts.of(["arn:aws:iam::111111111111:role/*r"]))
    assert patterns.arns_of(found, Names(lambda *named: given)).tolist() == [
        ABSENT if given is None else 0]
    assert patterns.are_resources == are_resources


@pytest.mark.parametrize("arn", [
    "arn:aws:iam::123456789012:role/path/to/N", "arn:aws:iam::123456789012:role/N",
    "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role",
    "arn:aws:iam::123456789012:other/N", "arn:aws:iam::12345678901:role/N",
    "arn:aws:iam::1234567890123:role/N", "arn:aws:iam::12345678:012:role/N",
    "arn:aws:iam::123456789012:role/a:b/c", "arn:aws:iam::", "arn:aws:iam::x:iam::123456789012:"])
def test_patterns_of_the_usual_partition_are_those_of_every_other(arn: str) -> None:
    """There is a faster way for the one."""
    other = pattern_of(arn.replace("arn:aws:", "arn:aws-cn:"))
    assert pattern_of(arn) == (other and other.replace("arn:aws-cn:", "arn:aws:"))


@pytest.mark.parametrize("scale", [1, 1000, 1 << 40])
@pytest.mark.parametrize("seed", range(5))
def test_near_and_distant_keys_are_numbered_alike(seed: int, scale: int) -> None:
    keys = np.random.default_rng(seed).integers(-50, 3000, 4000)
    numbers, first = number_keys(keys * scale)
    assert (keys[first][numbers] == keys).all()
    assert (np.diff(first) > 0).all() and len(first) == len(np.unique(keys))
    extreme = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0, 0])
    assert number_keys(extreme)[0].tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_counted_by_pairs_of_codes(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, width = int(random.integers(0, 400)), int(random.integers(1, 9))
    of_left, of_right = (random.integers(0, most, 30).astype(np.int32) for most in (12, width))
    left, right = (random.integers(0, 30, rows).astype(np.int32) for _ in range(2))
    keys, counts = count_pairs(of_left, left, of_right, right, width, 12 * width)
    expected = of_left[left].astype(np.int64) * width + of_right[right]
    assert (keys == expected).all()
    assert (counts == np.bincount(expected, minlength=12 * width)).all()


@pytest.mark.parametrize(("left", "right", "size"), [
    ([0, 2], [0, 0], 9), ([0, -1], [0, 0], 9), ([0, 1], [0, 9], 9), ([0, 1], [0], 9),
    ([0, 1], [0, 1], 4), ([0, 1], [0, 1], 0)])
def test_codes_of_no_table_are_not_counted(left: list[int], right: list[int], size: int) -> None:
    table = np.array([0, 2], dtype=np.int32)
    with pytest.raises(ValueError, match=r"a code of no table|different lengths"):
        count_pairs(table, np.array(left, np.int32), table, np.array(right, np.int32), 3, size)


@pytest.mark.parametrize("seed", range(20))
def test_groups_of_rows_have_the_span_of_their_times(seed: int) -> None:
    random = np.random.default_rng(seed)
    group = random.integers(-1, 6, 9).astype(np.int32)
    row = random.integers(0, 9, 60).astype(np.int32)
    time = random.integers(-1, 50, 60)
    earliest, latest = spans_of(group, row, time, 6)
    for number in range(6):
        times = time[(group[row] == number) & (time >= 0)].tolist()
        assert (earliest[number], latest[number]) == (
            min(times, default=np.iinfo(np.int64).max), max(times, default=-1))
    with pytest.raises(ValueError, match="a row of no group"):
        spans_of(group, row + np.int32(9), time, 6)
    with pytest.raises(ValueError, match="a row of no group"):
        spans_of(np.full(9, 6, dtype=np.int32), row, np.ones(60, dtype=np.int64), 6)
    with pytest.raises(ValueError, match="different lengths"):
        spans_of(group, row, time[1:], 6)


@pytest.mark.parametrize("spans", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_packed_numbers_are_equal_where_all_columns_are(seed: int, spans: bool) -> None:
    random = np.random.default_rng(seed)
    columns: list[Any] = [
        random.integers(-2, 3, 50).astype(np.int32), np.full(50, 7, dtype=np.int32),
        random.integers(0, 2, 50).astype(np.uint8), random.integers(0, 2, 50).astype(np.bool_)]
    if spans:
        columns += [random.choice([0, 1 << 61, -(1 << 62)], 50), random.choice([5, 1 << 50], 50)]
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    key = packed(columns)
    for a in range(50):
        assert [bool(same) for same in key == key[a]] == [row == rows[a] for row in rows]
    assert packed([np.zeros(0, dtype=np.int32)]).tolist() == []
    assert len(set(packed([np.full(3, 9)]).tolist())) == 1


@pytest.mark.parametrize("most", [3, 10, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_contradictions_that_wait_come_to_those_that_are_settled_at_once(
    seed: int, most: int
) -> None:
    def batches(settles: bool) -> tuple[Any, ...]:
        random, made = np.random.default_rng(seed), Contradictions()
        for _ in range(12):
            kinds = [Kind(0, None, None, 1, f"a:{number}", -1)
                     for number in random.permutation(6)[:3]]
            pairs = int(random.integers(0, 5))
            times = random.integers(0, 99, pairs)
            made.add(kinds, random.integers(0, 3, pairs), ["x", "y", "z"],
                     random.integers(-1, 3, pairs).astype(np.int32), random.integers(1, 9, pairs),
                     times, np.where(times == NEVER, -1, times + 1), most)
            if settles:
                assert len(made) <= most
        return list(made.ranked(range(99))()), made.dropped, made.kinds, len(made)

    waiting, settled = batches(False), batches(True)
    assert waiting == settled
    assert (waiting[1] > 0) == (most < 1000)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("least", [-2, 0, 1_700_000_000])
@pytest.mark.parametrize("span", [0, 255, 256, 65_535, 65_536, 2**31 - 10**9 * 2, 2**32 - 1, 2**32])
def test_numbers_are_stored_as_narrow_as_they_can_be(
    tmp_path: Path, kind: Any, least: int, span: int
) -> None:
    if least + span > np.iinfo(kind).max:
        pytest.skip("beyond its kind")
    column = np.array([least, least + span, least + span // 2], dtype=kind)
    for packing in ("none", "zstd"):
        layout = write_table(tmp_path / "x", {"a": column}, packing)
        assert ("a" in layout["columns"]) == (packing == "none")
        for columns in (layout["columns"], {}):
            found = ColumnReader(tmp_path, {"x": layout | {"columns": columns}}).numbers("x", ["a"])
            assert found["a"].dtype == kind and (found["a"] == column).all()
    width = next((2**at for at, bits in enumerate((8, 16, 32)) if span < 1 << bits), 8)
    assert ("a" in layout["narrow"]) == (width < np.dtype(kind).itemsize)
