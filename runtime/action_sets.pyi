"""Which action sets an action is in, asked once per distinct action."""

import numpy as np
from numpy.typing import NDArray

from .globs import GlobSet

class ActionSets:
    """Doorway. Safe between threads that hold the GIL."""

    def __init__(
        self,
        globs: GlobSet,
        start: NDArray[np.uint32],
        sets: NDArray[np.uint32],
        negated: NDArray[np.uint8],
    ) -> None:
        """start, sets: the sets that hold each pattern, as `plan_facts.inverse_of` gives them."""

    def states(self, text: bytes) -> NDArray[np.uint8]:
        """A bit for each set, lowest first: does it match an action in lower case? One more bit is
        always set and stands for an element that cannot be read.
        """
