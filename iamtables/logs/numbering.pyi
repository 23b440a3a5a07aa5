"""Distinct keys numbered in the order of their first row; see numbering.pyx."""

import numpy as np
from numpy.typing import NDArray

def number_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
