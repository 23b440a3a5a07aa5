"""The decision of a row: a cell by action and class, then the statements that are still open."""

import numpy as np
from numpy.typing import NDArray

from .column import BoundColumn
from .globs import GlobSet
from .plan import EngineFacts, Planner

class Engine:
    """Caches and kernels over one table's arrays.

    `planner` answers the slow questions (runtime/plan.py): `cell(action, class)`,
    `predicate(test, value)`, `dependent(test, values)`.
    """

    def __init__(self, planner: Planner, globs: GlobSet, facts: EngineFacts) -> None:
        """facts: the derived arrays of plan.EngineFacts."""

    def decide(
        self,
        classes: BoundColumn,
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

    def action_id(self, text: bytes) -> int:
        """Id of an action, new or known; valid until `clear`."""

    def resource_id(self, text: bytes) -> int:
        """Id of a resource, new or known; valid until `clear`."""

    def key_id(self, key: int, text: bytes) -> int:
        """Value id of an encoded value of key number `key`."""

    def used_bytes(self) -> int:
        """Memory of the growing caches, in bytes."""

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
