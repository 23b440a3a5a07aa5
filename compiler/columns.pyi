"""The statements of a program as columns, without a list of Python objects for each.

A compilation of a hundred thousand statements spends its time here and in lowering.
"""

import numpy as np
from numpy.typing import NDArray

from . import ir

WORDS: tuple[tuple[str, int], ...]
BYTES: tuple[tuple[str, int], ...]
ENTRIES: tuple[str, ...]

def statement_columns(statements: tuple[ir.Statement, ...]) -> dict[str, NDArray[np.generic]]:
    """Arrays of `ir.Statement`s by name (runtime/schema.py), but for their texts.

    Raises ValueError for entries without a place each, OverflowError for a number beyond 32 bits.
    """
