"""The kernels by which an audit of a cache finds what is alike, against plain Python."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from iamtables.logs.gather import are_resources, is_ascii, put_offsets
from iamtables.logs.numbering import (
    firsts_alike,
    number_answers,
    number_flagged,
    numbered_where,
    occurring,
    pairs_counted,
)
from iamtables.logs.resources import is_request_resource
from iamtables.logs.segment_columns import ColumnReader, write_table
from iamtables.logs.texts import Texts

SEEDS = pytest.mark.parametrize("seed", range(12))


def codes(random: np.random.Generator, below: int, count: int) -> np.ndarray:
    return random.integers(0, below, count).astype(np.int32)


def in_order(keys: list[object]) -> tuple[list[int], list[int]]:
    """(the number of each key, where each number comes first)"""
    known: dict[object, int] = {}
    numbers = [known.setdefault(key, len(known)) for key in keys]
    return numbers, [numbers.index(number) for number in range(len(known))]


@SEEDS
def test_codes_occur_in_rows_for_which_both_tables_are_true(seed: int) -> None:
    random = np.random.default_rng(seed)
    of_left, of_right = random.random(30) < 0.6, random.random(9) < 0.6
    left, right = codes(random, 30, 50 * (seed % 3)), codes(random, 9, 50 * (seed % 3))
    found = occurring(of_left, left, of_right, right)
    assert found.dtype == np.bool_
    assert np.flatnonzero(found).tolist() == sorted({
        one for one, other in zip(left.tolist(), right.tolist(), strict=True)
        if of_left[one] and of_right[other]})


@SEEDS
def test_kinds_are_numbered_by_their_flag(seed: int) -> None:
    random = np.random.default_rng(seed)
    kind, flag = codes(random, 7, 60 * (seed > 0)), random.random(60 * (seed > 0)) < 0.4
    numbers, first = number_flagged(kind, flag, 7)
    assert (numbers.tolist(), first.tolist()) == in_order(
        list(zip(kind.tolist(), flag.tolist(), strict=True)))


@SEEDS
@pytest.mark.parametrize("groups", [5, 100_000])
def test_the_first_of_those_alike_stands_for_them(seed: int, groups: int) -> None:
    random = np.random.default_rng(seed)
    kind, group = codes(random, 6, 80) - np.int32(1), codes(random, 5, 80)
    is_open = random.random(5) < 0.5
    rows = list(zip(kind.tolist(), group.tolist(), strict=True))
    assert firsts_alike(kind, is_open, group, groups).tolist() == [
        rows.index(row) if row[0] >= 0 and is_open[row[0]] else at for at, row in enumerate(rows)]


@SEEDS
def test_used_places_are_numbered_by_what_they_are_like(seed: int) -> None:
    random = np.random.default_rng(seed)
    is_used, like = random.random(40) < 0.5, codes(random, 40, 40)
    for given in (like, None):
        of = np.arange(40) if given is None else like
        numbers, places = numbered_where(is_used, given)
        kept = sorted({int(of[at]) for at in np.flatnonzero(is_used)})
        assert places.tolist() == kept
        assert numbers.tolist() == [
            kept.index(int(of[at])) if is_used[at] else -1 for at in range(40)]


@SEEDS
def test_answers_are_told_apart_by_all_that_is_counted(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 120 * (seed > 0)
    of_call, of_row = codes(random, 3, 50), codes(random, 2, 60)
    call, row = codes(random, 50, count), codes(random, 61, count) - np.int32(1)
    statement = codes(random, 3, count) - np.int32(1)
    decision = codes(random, 4, count).astype(np.uint8)
    layer = codes(random, 2, count).astype(np.uint8)
    reason = codes(random, 2, count).astype(np.int64) - 1
    numbers, first = number_answers(call, of_call, row, of_row, statement, decision, layer, reason)
    assert (numbers.tolist(), first.tolist()) == in_order([
        (of_call[one], of_row[at] if at >= 0 else -1, *more) for one, at, *more in zip(
            call.tolist(), row.tolist(), statement.tolist(), decision.tolist(), layer.tolist(),
            reason.tolist(), strict=True)])


@SEEDS
def test_counted_pairs_come_in_groups(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = (codes(random, 9, 7 * 11) * (random.random(77) < 0.6)).astype(np.int32)
    of_left, instead = codes(random, 5, 7), codes(random, 9, 7)
    is_right, of_right = random.random(11) < 0.5, codes(random, 3, 11)
    place, count, right, group, total, left_of, right_of = pairs_counted(
        counts, of_left, instead, is_right, of_right, 3)
    assert place.tolist() == np.flatnonzero(counts).tolist()
    assert count.tolist() == counts[place].tolist() and (right == place % 11).all()
    lefts = [int((of_left if is_right[at % 11] else instead)[at // 11]) for at in place.tolist()]
    keys = list(zip(lefts, of_right[right].tolist(), strict=True))
    numbers, first = in_order(list(keys))
    assert group.tolist() == numbers
    assert left_of.tolist() == [lefts[at] for at in first]
    assert right_of.tolist() == [int(right[at]) for at in first]
    sums: Counter[int] = Counter()
    for number, many in zip(numbers, count.tolist(), strict=True):
        sums[number] += many
    assert total.tolist() == [sums[number] for number in range(len(total))]


def test_codes_that_lead_nowhere_are_an_error() -> None:
    one, two = np.zeros(1, dtype=np.int32), np.array([2], dtype=np.int32)
    minus, true = np.array([-1], dtype=np.int32), np.ones(2, dtype=np.bool_)
    small, none = np.zeros(1, dtype=np.uint8), np.full(1, -1, dtype=np.int64)
    empty = np.zeros(0, dtype=np.int32)
    for bad in (two, minus):
        with pytest.raises(ValueError, match="no table"):
            occurring(true, bad, true, one)
        with pytest.raises(ValueError, match="no table"):
            occurring(true, one, true, bad)
        with pytest.raises(ValueError, match="there is not"):
            number_flagged(bad, true[:1], 2)
        with pytest.raises(ValueError, match="no table"):
            firsts_alike(one, true, bad, 2)
        with pytest.raises(ValueError, match="no such place"):
            numbered_where(true[:1], bad)
        with pytest.raises(ValueError, match="no table"):
            number_answers(bad, one, one, one, one, small, small, none)
    with pytest.raises(ValueError, match="no table"):
        firsts_alike(two, true, one, 2)
    with pytest.raises(ValueError, match="no table"):
        number_answers(one, one, two, one, one, small, small, none)
    with pytest.raises(ValueError, match="no table"):
        number_answers(one, one, one, one, one - np.int32(2), small, small, none)
    with pytest.raises(ValueError, match="no table"):
        occurring(true[:0], one, true, one)
    for tables in ((one, one, one, true[:1], two, 2), (one, minus, one, true[:1], one, 1),
                   (one, one, minus, true[:1], one, 1), (one, one, one, true[:1], one, 1 << 31)):
        with pytest.raises(ValueError, match="beyond its bound"):
            pairs_counted(*tables)
    with pytest.raises(ValueError, match="other sizes"):
        pairs_counted(two[:0], one, one, true[:1], one, 1)
    for call in (lambda: occurring(true, one, true, empty),
                 lambda: number_flagged(one, true, 2),
                 lambda: firsts_alike(one, true, empty, 2),
                 lambda: numbered_where(true, one),
                 lambda: number_answers(one, one, empty, one, one, small, small, none)):
        with pytest.raises(ValueError, match="different lengths"):
            call()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_offsets_follow_from_lengths(kind: type) -> None:
    lengths = np.array([3, 0, 250, 1], dtype=kind)
    offsets = np.full(5, 7, dtype=np.int64)
    put_offsets(lengths, offsets)
    assert offsets.tolist() == [0, 3, 3, 253, 254]
    with pytest.raises(ValueError, match="another number"):
        put_offsets(lengths, offsets[:4])


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 4095, 4128, 9000])
def test_a_byte_of_no_ascii_is_found_wherever_it_is(size: int) -> None:
    data = np.full(size, 0x7F, dtype=np.uint8)
    assert is_ascii(data)
    for at in {0, size // 2, size - 1} if size else ():
        data[at] = 0x80
        assert not is_ascii(data)
        data[at] = 0x7F


def test_texts_are_resources_by_the_same_rule_everywhere() -> None:
    texts = ["*", "arn:::::", "arn::::", "", "**", "arn:aws:s3:::a", "Arn:aws:s3:::a", "arn",
             "arn:aws:s3::a", "x:::::", "arn:aws:iam::1:role/a:b", "arn:ä:::::"]
    for text in texts:
        one = Texts.of([text])
        assert are_resources(one.data, one.offsets) == is_request_resource(text), text
    good = Texts.of([text for text in texts if is_request_resource(text)])
    assert are_resources(good.data, good.offsets)
    both = Texts.of([*good, "x"])
    assert not are_resources(both.data, both.offsets)
    for offsets in ([0, 99], [-1, 1], [1, 0]):
        with pytest.raises(ValueError, match="offsets of other texts"):
            are_resources(good.data, np.array(offsets, dtype=np.int64)[: len(offsets)]
                          if offsets[1] != 99 else np.array([0, 10**6], dtype=np.int64))


@pytest.mark.parametrize("packing", ["none", "zstd"])
@pytest.mark.parametrize("numbers", [[-2, 0, 5], [0, 70_000], [3, 2**31 - 1]])
def test_numbers_beyond_their_bounds_are_found_out_as_they_are_read(
    tmp_path: Path, packing: str, numbers: list[int]
) -> None:
    layout = write_table(tmp_path / "x", {"a": np.array(numbers, dtype=np.int32)}, packing)
    reader = ColumnReader(tmp_path, {"x": layout})
    low, high = min(numbers), max(numbers) + 1
    assert reader.numbers("x", ["a"], {"a": (low, high)})["a"].tolist() == numbers
    for bounds in ((low + 1, high), (low, high - 1)):
        with pytest.raises(ValueError, match="another table"):
            reader.numbers("x", ["a"], {"a": bounds})
