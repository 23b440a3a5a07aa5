"""Resource patterns and sets of patterns, numbered as they come: equal ones get one number."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .glyphs import Variable

class PatternTable:
    """Resource patterns by number, with the reach of every wildcard settled (RES-4)."""

    def __init__(
        self, variables_of: dict[str, tuple[bytes, tuple[Variable, ...]] | None], spans: bool
    ) -> None:
        """
        variables_of : of a text with variables, its tokens encoded and the variables among them, or
                       None where it matches nothing; a missing text is lowered when asked for
        spans        : whether a `*` that ends one of the first five segments may match across
                       colons
        """

    def number(self, text: str, has_variables: bool, is_carried: bool) -> int:
        """Number of a text, the next one if its pattern is new; -1: it matches nothing.

        is_carried : the policy speaks for the resource that carries it (RES-7)
        """

    def arrays(
        self,
    ) -> tuple[
        bytes,
        NDArray[np.uint32],
        NDArray[np.uint8],
        NDArray[np.uint8],
        NDArray[np.uint32],
        dict[int, tuple[Variable, ...]],
    ]:
        """(encoded patterns end to end, where each begins and the last one ends, is_all, texts end
        to end, where each begins, variables by number of those that have any)"""

class SetTable:
    """Sets of patterns by number: `Action` and `Resource` elements, or their negations."""

    def number(self, negated: bool, ids: Sequence[int]) -> int:
        """Number of the set of these patterns, in order, each once; -1 is none of them."""

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint32]]:
        """(negated, where the patterns of each begin and those of the last one end, all
        patterns)"""
