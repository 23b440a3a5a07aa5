"""Records counted by name and by group, against the same said with dictionaries."""

from __future__ import annotations

import pickle
from collections import Counter
from random import Random

import numpy as np
import pytest

from iamtables import tallies
from iamtables.runtime.codes import DecisionCode
from iamtables.tallies import DECISIONS, OTHERS, Group, Groups, Numbers, Totals, places_in_order


def counted(seed: int, batches: int) -> tuple[Groups, Counter[tuple[int, int, int, int]]]:
    random, groups = Random(seed), Groups()
    expected: Counter[tuple[int, int, int, int]] = Counter()
    for _ in range(batches):
        rows = [(random.randrange(1, 6), random.randrange(1, 4), random.randrange(-1, 3),
                 random.randrange(len(DecisionCode))) for _ in range(random.randrange(30))]
        count = None if random.random() < 0.5 else [random.randrange(1, 4) for _ in rows]
        columns = [np.array([row[at] for row in rows], dtype=np.int64) for at in range(4)]
        groups.add(columns[0], columns[1], columns[2].astype(np.int32), columns[3],
                   None if count is None else np.array(count, dtype=np.int64))
        for row, many in zip(rows, count or [1] * len(rows), strict=True):
            expected[row] += many
    return groups, expected


PRINCIPALS, ACTIONS = [OTHERS, "p9", "p1", "p5", "p3", "p7"], [OTHERS, "s:B", "s:A", "s:C"]


def ranked(expected: Counter[tuple[int, int, int, int]]) -> list[Group]:
    named = [(PRINCIPALS[who], ACTIONS[what], statement, code, count)
             for (who, what, statement, code), count in expected.items()]
    named.sort(key=lambda group: (-group[4], *group[:4]))
    return [(who, what, statement, DECISIONS[code], count)
            for who, what, statement, code, count in named]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_ranked_by_records_and_then_by_what_they_are(seed: int) -> None:
    groups, expected = counted(seed, 12)
    found = groups.ranked(PRINCIPALS, ACTIONS)
    wanted = ranked(expected)
    assert len(found) == len(wanted) and list(found) == wanted and found[:3] == wanted[:3]
    assert found == wanted and wanted == found and found != wanted[1:] and found != 7
    assert found[-1] == wanted[-1] and repr(found) == repr(wanted)
    assert pickle.loads(pickle.dumps(groups.ranked(PRINCIPALS, ACTIONS))) == wanted
    other, more = counted(seed + 100, 5)
    before = list(found)
    groups.merge(other, np.arange(len(PRINCIPALS)), np.arange(len(ACTIONS)))
    assert list(groups.ranked(PRINCIPALS, ACTIONS)) == ranked(expected + more)
    assert list(found) == before  # what was given out stays as it was


def test_no_groups_are_an_empty_sequence() -> None:
    assert Groups().ranked([OTHERS], [OTHERS]) == () and not Groups().ranked([], [])


def test_groups_beyond_the_bound_are_one_for_each_decision(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "MAX_GROUPS", 4)
    groups, expected = counted(3, 20)
    found = list(groups.ranked(PRINCIPALS, ACTIONS))
    assert len(found) <= 4 + len(DecisionCode) < len(expected)
    assert any(group[0] == OTHERS for group in found)
    assert sum(group[4] for group in found) == sum(expected.values())


def test_totals_by_name_have_the_busiest_first() -> None:
    totals = Totals(17)
    totals.add(["b", "a", "c"], np.array([0, 1, 2, 2, -1], dtype=np.int32),
               np.array([0, 1, 1, 2, 1]), None)
    assert list(totals.by_name().items()) == [
        ("c", [0, 1, 1, 0]), ("-", [0, 1, 0, 0]), ("a", [0, 1, 0, 0]), ("b", [1, 0, 0, 0])]


def test_names_beyond_a_limit_share_a_number_and_others_keep_theirs() -> None:
    numbers, values = Numbers(), ["x", "y", "z"]
    assert numbers.of(values, np.array([1, -1, 1]), 2, 99).tolist() == [1, 0, 1]
    assert numbers.of(values, np.array([2, 1, -1]), 2, 99).tolist() == [99, 1, 0]
    assert numbers.of(["z", "y"], np.array([0, 1]), 3, 99).tolist() == [2, 1]
    assert numbers.names == ["-", "y", "z"]
    assert places_in_order(["b", "a", "c"]).tolist() == [1, 0, 2]
