"""Distinct keys numbered, and rows counted by pairs of codes; see numbering.pyx."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def number_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def extent(column: NDArray[np.integer[Any]]) -> tuple[int, int]: ...
def append_digit(
    keys: NDArray[np.int64], column: NDArray[np.integer[Any]], least: int, span: int
) -> None: ...
def count_pairs(
    of_left: NDArray[np.int32],
    left: NDArray[np.int32],
    of_right: NDArray[np.int32],
    right: NDArray[np.int32],
    width: int,
    size: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def occurring(
    of_left: NDArray[np.bool_],
    left: NDArray[np.int32],
    of_right: NDArray[np.bool_],
    right: NDArray[np.int32],
) -> NDArray[np.bool_]: ...
def number_answers(
    call: NDArray[np.int32],
    of_call: NDArray[np.int32],
    row: NDArray[np.int32],
    of_row: NDArray[np.int32],
    statement: NDArray[np.int32],
    decision: NDArray[np.uint8],
    layer: NDArray[np.uint8],
    reason: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def pairs_counted(
    counts: NDArray[np.int32],
    of_left: NDArray[np.int32],
    instead: NDArray[np.int32],
    is_right: NDArray[np.bool_],
    of_right: NDArray[np.int32],
    rights: int,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
]: ...
def numbered_where(
    is_used: NDArray[np.bool_], like: NDArray[np.int32] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def number_flagged(
    kind: NDArray[np.int32], is_flagged: NDArray[np.bool_], kinds: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def firsts_alike(
    kind: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    group: NDArray[np.int32],
    groups: int,
) -> NDArray[np.int32]: ...
def spans_of(
    group: NDArray[np.int32], row: NDArray[np.int32], time: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
