"""Patterns whose variables have been filled in, asked one resource after the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class FilledPatterns:
    """Doorway: token sequences and what it means that one of them matches. Safe between threads."""

    @property
    def is_uncertain(self) -> bool:
        """A variable is not known, so that `state` says nothing."""

    def __init__(
        self,
        patterns: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint32]]],
        unmatched: int,
        matched: int,
        is_uncertain: bool,
    ) -> None:
        """patterns: kinds and points of each, as `globs.match_tokens` takes them."""

    def state(self, resource: bytes) -> int:
        """`matched` if a pattern matches the whole of a resource in UTF-8, else `unmatched`.

        O(tokens x text) at worst, no backtracking.
        """
