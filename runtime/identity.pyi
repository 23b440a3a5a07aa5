"""The batch loop under identity policies: columns of requests in, one decision byte per row out."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from .column import BoundColumn
from .engine import Engine
from .globs import GlobSet
from .plan import Planner
from .plan_facts import EngineFacts

@final
class IdentityEngine(Engine):
    """Decides rows over a table that holds identity policies only.

    Of `planner` it also asks `cell(action, 0)`: all of the table is one class of principals.
    """

    def __init__(self, planner: Planner, globs: GlobSet, facts: EngineFacts) -> None:
        """facts: the derived arrays of plan_facts.EngineFacts."""

    def decide(
        self,
        actions: BoundColumn,
        resources: BoundColumn,
        keys: list[BoundColumn],
        decision: NDArray[np.uint8],
        statement: NDArray[np.int32],
        error: NDArray[np.uint8],
        start: int,
        stop: int,
    ) -> int:
        """Decide rows start..stop of bound columns into the outputs; returns rows with an error.

        Every column has at least `stop` rows, keys come in key order; `error` comes zeroed.
        """

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
