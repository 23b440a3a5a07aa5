"""Exact comparison: which requests one side allows and the other does not.

    lower_documents -> identity(...) -> Search(...).differences(Question(...))

docs/design/comparison.md gives the reasons.
"""

from __future__ import annotations

from .budget import Budget, OutOfBudget
from .findings import ActionPart, Answer, Findings, Region, Witness
from .formula import Acceptor, AllOf, AnyOf, Gate, Grant, identity
from .linear import Step, Steps
from .meeting import Question
from .search import Search
from .world import EveryRequest, Templates, World

__all__ = [
    "Acceptor",
    "ActionPart",
    "AllOf",
    "Answer",
    "AnyOf",
    "Budget",
    "EveryRequest",
    "Findings",
    "Gate",
    "Grant",
    "OutOfBudget",
    "Question",
    "Region",
    "Search",
    "Step",
    "Steps",
    "Templates",
    "Witness",
    "World",
    "identity",
]
