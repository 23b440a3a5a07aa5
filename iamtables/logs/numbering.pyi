"""Distinct keys numbered, and rows counted by pairs of codes; see numbering.pyx."""

import numpy as np
from numpy.typing import NDArray

def number_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def count_pairs(
    of_left: NDArray[np.int32],
    left: NDArray[np.int32],
    of_right: NDArray[np.int32],
    right: NDArray[np.int32],
    width: int,
    size: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def spans_of(
    group: NDArray[np.int32], row: NDArray[np.int32], time: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
