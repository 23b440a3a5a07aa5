"""Statements of the syntax tree to statements of the IR: the loop of lowering, which may run a
hundred thousand times. What a text means is decided in lower.py, once, and looked up here.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ..grammar.tree import StatementNode
from ..runtime.codes import Effect, Layer
from . import ir

class StatementLowering:
    """Lowers the statements of documents of one policy type and version.

    actions, resources, predicates : ids by text, or by the parts of a condition entry; a missing
                                     one is lowered when it is asked for
    action_sets, resource_sets     : ids of `ir.PatternSet`s, to which new ones are added
    principal                      : (document, node, effect) -> id of the principal element; None
                                     where the policy type has none
    """

    def __init__(
        self,
        layer: Layer,
        policy_type: str,
        fault_flags: int,
        actions: dict[str, int],
        resources: dict[str, int],
        predicates: dict[Any, int],
        action_sets: dict[ir.PatternSet, int],
        resource_sets: dict[ir.PatternSet, int],
        principal: Callable[[int, StatementNode, Effect], int] | None,
    ) -> None:
        """fault_flags : flags of a statement that could not be understood"""

    def lower(self, number: int, nodes: Iterable[StatementNode]) -> list[ir.Statement]:
        """An `ir.Statement` for each statement of a document with this number."""
