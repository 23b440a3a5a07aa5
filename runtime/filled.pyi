"""Patterns whose variables have been filled in, asked one resource after the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class FilledPatterns:
    """Doorway: token sequences and what it means that one of them matches. Safe between threads."""

    def __init__(
        self,
        patterns: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint32], int]],
        otherwise: int,
    ) -> None:
        """patterns: kinds and points of each, as `globs.match_tokens` takes them, and a state."""

    def state(self, resource: bytes) -> int:
        """The state of the first pattern that matches the whole of a resource in UTF-8, else
        `otherwise`. O(tokens x text) at worst, no backtracking.
        """
