"""Lists of Python texts to codes and a dictionary: each object is looked at once, its text once.

Nothing here runs code of the caller and the GIL is held throughout. Anything but texts and nulls is
left to runtime/columns.py.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def code_texts(
    given: list[Any], unknown: object
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64], list[str]] | None:
    """(codes, data, offsets, originals) of texts, nulls and the `unknown` marker; None for others.

    codes     : int32[n], -1 for None and NaN, -2 for the marker
    data      : uint8[], the distinct texts in UTF-8 in order of appearance, surrogates as they are
    offsets   : int64[distinct + 1] into `data`
    originals : the first object of each distinct text
    """

def pack_texts(given: list[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """(data, offsets) of texts end to end, as in `code_texts`; None when one is no text."""

def are_same(one: list[Any], other: list[Any]) -> bool:
    """Do two lists hold the same objects, in the same order? They are compared by identity."""
