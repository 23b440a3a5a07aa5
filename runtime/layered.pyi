"""The batch loop when several policy layers meet: requests in, decision and layer out."""

import numpy as np
from numpy.typing import NDArray

from .column import BoundColumn
from .opened import OpenedEngine

class LayeredEngine(OpenedEngine):
    """Decides rows over a table with several layers."""

    def decide_layers(
        self,
        who: list[BoundColumn],
        management: NDArray[np.uint8] | None,
        actions: BoundColumn,
        resources: BoundColumn,
        owners: BoundColumn,
        others: NDArray[np.uint8] | None,
        keys: list[BoundColumn],
        is_derived: NDArray[np.uint8],
        decision: NDArray[np.uint8],
        layer: NDArray[np.uint8],
        statement: NDArray[np.int32],
        error: NDArray[np.uint8],
        start: int,
        stop: int,
    ) -> int:
        """Decide rows start..stop of bound columns; returns the number of rows with an error.

        who        : bound columns of principal, issuer, account and type
        management, others : uint8[n], or None
        keys       : bound columns in key order; is_derived[k] marks those whose values the engine
                     derives: constants of their own, or `set_instead` tells in which rows
        """

    def last_row(self) -> tuple[int, int, tuple[int, ...]] | None:
        """(must, may, facts) of the row decided last; None where no policy was asked.

        facts : asker, then same account, same partition, needs policy, trust and assumed root with
        bit 0 for "may be false" and bit 1 for "may be true", then is root, is bucket policy, has
        policy
        """
