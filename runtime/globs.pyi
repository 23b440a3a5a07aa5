"""All patterns of one kind against one string: tries that leave few over, then verification."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY_NAMES: tuple[str, ...]
"""The arrays of a `GlobSet`, by name without their prefix; `runtime.schema` has their rules."""

class GlobSet:
    """Doorway: patterns 0..n-1 compiled to arrays (compiler/trie.py), asked one string at a time.

    The arrays are borrowed and must have passed `runtime.schema` checks: ids are not checked again.
    Not safe to share between threads: match results are written to buffers of the object.
    """

    @property
    def candidates(self) -> int:
        """Patterns that the tries could not settle and that were verified, so far."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], prefix: str) -> None:
        """arrays: those of `ARRAY_NAMES`, named with `prefix` before them."""

    def matches(self, text: bytes) -> list[int]:
        """Ids of the patterns that match `text` (UTF-8), as an ascending list."""

def match_tokens(kinds: NDArray[np.uint8], points: NDArray[np.uint32], text: str) -> bool:
    """Whole-string match of a token sequence that exists only for one request.

    kinds, points : TOKEN_* codes and, for TOKEN_POINT, the code point. Used where a policy variable
    has been replaced by its value. O(tokens x text) at worst, no backtracking.
    """
