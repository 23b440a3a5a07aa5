"""Statements of the syntax tree to columns: the loop of lowering, which may run a hundred thousand
times. What a text means is decided in lower.py, once, and looked up here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grammar.tree import StatementNode
from ..runtime.codes import Effect, Layer
from .interned import PatternTable, SetTable

NAMES: tuple[str, ...]
BYTES: tuple[str, ...]

class StatementColumns:
    """Columns of statements (runtime/schema.py), as they are lowered."""

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The columns by name, `statement_sid` among them."""

class StatementLowering:
    """Lowers the statements of documents of one policy type and version."""

    def __init__(
        self,
        to: StatementColumns,
        layer: Layer,
        policy_type: str,
        has_variables: bool,
        is_carried: bool,
        fault_flags: int,
        actions: dict[str, int],
        resources: PatternTable,
        predicates: dict[Any, int],
        action_sets: SetTable,
        resource_sets: SetTable,
        principal: Callable[[int, StatementNode, Effect], int] | None,
    ) -> None:
        """
        to                  : the columns to which statements are added
        is_carried          : the policies speak for the resource that carries them
        fault_flags         : flags of a statement that could not be understood
        actions, predicates : ids by text, or by the parts of a condition entry; a missing one is
                              lowered when it is asked for
        principal           : (document, node, effect) -> id of the principal element; None where
                              the policy type has none
        """

    def lower(self, number: int, nodes: Iterable[StatementNode]) -> None:
        """Add the statements of a document with this number."""

    def lower_unreadable(self, number: int, span: tuple[int, int], principal: int) -> None:
        """Add a statement for a document whose `Statement` could not be read: it may say
        anything.

        principal : id of its principal element; -1: none
        """
