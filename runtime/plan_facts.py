"""Arrays derived from a table for the kernels, made of its arrays as a whole.

Nothing here looks at one statement, test or set after the other, since the first session of a table
that was just opened waits for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .codes import CELL_VERIFY, CELL_YES, NO_ID, Token
from .model import TableModel

UInt32Array = NDArray[np.uint32]
UInt8Array = NDArray[np.uint8]


class EngineFacts(NamedTuple):
    """Arrays derived from a table for the kernels; built once per table, shared by its engines."""

    class_count: int
    key_count: int
    pattern_set_start: UInt32Array
    pattern_set: UInt32Array
    pattern_has_variable: UInt8Array
    set_start: UInt32Array
    set_pattern: UInt32Array
    set_negated: UInt8Array
    set_default: UInt8Array
    negated_sets: UInt32Array
    set_dependent: UInt32Array
    test_key: UInt32Array
    test_slot: UInt32Array
    test_dependent: UInt32Array
    dependent_start: UInt32Array
    dependent_key: UInt32Array
    slot_counts: tuple[int, ...]


class Dependents(NamedTuple):
    """Tests on several columns: first predicates, then resource sets."""

    tests: list[int]
    sets: list[int]
    keys: list[list[int]]
    """Of each, ascending; a set begins with NO_ID, which stands for the resource."""


class Inverse(NamedTuple):
    """For each item, the lists that hold it: `lists[start[item]:start[item + 1]]`, ascending."""

    start: UInt32Array
    lists: UInt32Array


def order_of(item: NDArray[Any], item_count: int) -> NDArray[np.int64]:
    """Stable order of numbers below `item_count`."""
    small = item.astype(np.uint16) if item_count <= 1 << 16 else item  # sorted in linear time
    return np.argsort(small, kind="stable")


def inverse_of(start: UInt32Array, item: NDArray[Any], item_count: int) -> Inverse:
    """Lists of items (`item[start[i]:start[i + 1]]`), turned round."""
    number = np.repeat(np.arange(len(start) - 1, dtype=np.uint32), np.diff(start))
    order = order_of(item, item_count)
    starts = np.zeros(item_count + 1, dtype=np.uint32)
    np.cumsum(np.bincount(item, minlength=item_count), out=starts[1:])
    return Inverse(starts, np.ascontiguousarray(number[order]))


def runs_of(start: UInt32Array, item: UInt32Array) -> tuple[UInt32Array, UInt32Array]:
    """Lists of numbers (`item[start[i]:start[i + 1]]`) as runs of consecutive ones.

    Returns (uint32[lists + 1], where the runs of each list begin; uint32[2 * runs], the first of
    each and the one behind its last).
    """
    is_first = np.ones(len(item), dtype=bool)
    is_first[1:] = item[1:] != item[:-1] + 1
    is_first[start[:-1][start[:-1] < len(item)]] = True
    at = np.flatnonzero(is_first)
    run = np.empty((len(at), 2), dtype=np.uint32)
    run[:, 0] = item[at]
    run[:, 1] = item[at] + np.diff(at, append=len(item))
    return np.searchsorted(at, start).astype(np.uint32), run.ravel()


def any_of(flags: NDArray[np.bool_], start: UInt32Array, item: UInt32Array) -> NDArray[np.bool_]:
    """bool[lists]: is an item of each list flagged?"""
    before = np.zeros(len(item) + 1, dtype=np.int64)
    np.cumsum(flags[item], out=before[1:])
    return before[start[1:]] > before[start[:-1]]


def constant_sets_of(model: TableModel) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool[sets] each: resource sets that match every resource, and that match none."""
    start, pattern = model["resource_set_start"], model["resource_set_pattern"]
    negated = model["resource_set_negated"] != 0
    is_all = any_of(model["resource_is_all"] != 0, start, pattern)
    is_empty = start[1:] == start[:-1]  # every entry was void (RES-8)
    return np.where(negated, is_empty, is_all), np.where(negated, is_all, is_empty)


def dependents_of(model: TableModel) -> Dependents:
    """Tests whose values, and sets whose patterns, hold variables that stand for keys."""
    sequence = model["resource_sequence"]
    key_of = model["variable_key"]
    is_variable = model["glyph_token"] == Token.VARIABLE
    has_key = is_variable.copy()
    has_key[is_variable] = key_of[model["glyph_argument"][is_variable]] != NO_ID
    starts = model["sequence_start"]
    with_key = any_of(has_key, starts, np.arange(len(has_key), dtype=np.uint32))

    def keys_in(sequences: UInt32Array) -> set[int]:
        found: set[int] = set()
        for q in sequences:
            at = np.arange(starts[q], starts[q + 1])
            found.update(key_of[model["glyph_argument"][at[has_key[at]]]].tolist())
        return found

    tests, keys = [], []
    start = model["predicate_value_start"]
    for test in np.flatnonzero(any_of(with_key, start, model["predicate_value"])).tolist():
        found = keys_in(model["predicate_value"][start[test] : start[test + 1]])
        tests.append(test)
        keys.append(sorted(found | {int(model["predicate_key"][test])}))
    start, pattern = model["resource_set_start"], model["resource_set_pattern"]
    sets = np.flatnonzero(any_of(sequence != NO_ID, start, pattern)).tolist()
    for s in sets:
        sequences = sequence[pattern[start[s] : start[s + 1]]]
        keys.append([NO_ID, *sorted(keys_in(sequences[sequences != NO_ID]))])
    return Dependents(tests, sets, keys)


def engine_facts(model: TableModel, dependents: Dependents) -> EngineFacts:
    key_count = len(model["key_kind"])
    test_key = np.ascontiguousarray(model["predicate_key"])
    test_dependent = np.full(len(test_key), NO_ID, dtype=np.uint32)
    test_dependent[dependents.tests] = np.arange(len(dependents.tests))
    unary = np.flatnonzero(test_dependent == NO_ID)
    slot_counts = np.bincount(test_key[unary], minlength=key_count)
    by_key = unary[order_of(test_key[unary], key_count)]
    first = np.cumsum(slot_counts) - slot_counts
    test_slot = np.zeros(len(test_key), dtype=np.uint32)
    test_slot[by_key] = np.arange(len(by_key)) - first[test_key[by_key]]
    negated = np.ascontiguousarray(model["resource_set_negated"])
    set_dependent = np.full(len(negated), NO_ID, dtype=np.uint32)
    set_dependent[dependents.sets] = len(dependents.tests) + np.arange(len(dependents.sets))
    default = np.full(len(negated), CELL_YES, dtype=np.uint8)
    if model.options.null_notresource == "nomatch":  # a null variable spoils the set
        default[dependents.sets] = CELL_VERIFY
    sequence = model["resource_sequence"]
    pattern_sets = inverse_of(
        model["resource_set_start"], model["resource_set_pattern"], len(sequence)
    )
    dependent_start = np.zeros(len(dependents.keys) + 1, dtype=np.uint32)
    np.cumsum([len(row) for row in dependents.keys], out=dependent_start[1:])
    return EngineFacts(
        class_count=len(model["class_start"]) - 1,
        key_count=key_count,
        pattern_set_start=pattern_sets.start,
        pattern_set=pattern_sets.lists,
        pattern_has_variable=(sequence != NO_ID).astype(np.uint8),
        set_start=model["resource_set_start"],
        set_pattern=model["resource_set_pattern"],
        set_negated=negated,
        set_default=default,
        negated_sets=np.flatnonzero(negated).astype(np.uint32),
        set_dependent=set_dependent,
        test_key=test_key,
        test_slot=test_slot,
        test_dependent=test_dependent,
        dependent_start=dependent_start,
        dependent_key=np.array([k for row in dependents.keys for k in row], dtype=np.uint32),
        slot_counts=tuple(slot_counts.tolist()),
    )
