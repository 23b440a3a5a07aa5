"""Arrays that are made as a whole (runtime/plan_facts.py), against loops over one item after the
other; and the action sets of an action against the patterns of each."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

import iamtables as it
from iamtables.runtime.plan_facts import any_of, inverse_of, order_of, runs_of


def lists_of(rng: np.random.Generator, count: int, items: int) -> list[list[int]]:
    """Lists of ascending numbers, some of them empty, with runs."""
    return [sorted(set(rng.integers(0, items, rng.integers(0, items + 1)).tolist()))
            for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_lists_as_arrays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = 1 + seed
    lists = lists_of(rng, int(rng.integers(1, 12)), items)
    start = np.cumsum([0, *map(len, lists)]).astype(np.uint32)
    item = np.array([i for one in lists for i in one], dtype=np.uint32)

    inverse = inverse_of(start, item, items)
    assert [inverse.lists[inverse.start[i]:inverse.start[i + 1]].tolist()
            for i in range(items)] == [[n for n, one in enumerate(lists) if i in one]
                                       for i in range(items)]

    run_start, run = runs_of(start, item)
    for n, one in enumerate(lists):
        runs = run.reshape(-1, 2)[run_start[n]:run_start[n + 1]].tolist()
        assert [i for first, behind in runs for i in range(first, behind)] == one
        assert all(a[1] < b[0] for a, b in itertools.pairwise(runs))

    flags = rng.random(items) < 0.3
    assert any_of(flags, start, item).tolist() == [bool(flags[one].any()) for one in lists]

    numbers = rng.integers(0, items, 50)
    assert order_of(numbers, items).tolist() == sorted(range(50), key=numbers.tolist().__getitem__)


def test_the_action_sets_of_an_action() -> None:
    """Of more sets than a byte and a word have bits; NotAction turns them round."""
    verbs = ["Get", "Put", "List", "Delete"]
    patterns = [[f"s3:{verb}*", f"ec2:{verb}{n}"] for n in range(40) for verb in verbs]
    statements = [{"Effect": "Allow", ("NotAction" if n % 3 == 0 else "Action"): some,
                   "Resource": "*"} for n, some in enumerate(patterns)]
    table = it.compile(it.parse_policy(
        json.dumps({"Version": "2012-10-17", "Statement": statements})))
    planner = table.planner
    sets = planner._statement_action_set.tolist()
    for action in ("s3:GetObject", "S3:putobject", "ec2:Get7", "ec2:List39", "iam:PassRole"):
        states = planner.action_set_states(action)
        for n, some in enumerate(patterns):
            matches = any(re.fullmatch(p.replace("*", ".*"), action, re.IGNORECASE) for p in some)
            assert bool(states[sets[n]]) == (matches != (n % 3 == 0)), (action, n)
