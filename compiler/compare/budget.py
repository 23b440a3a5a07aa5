"""How much work a question may cost before the honest answer is *undecided*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one comparison, each by name. Reaching one never gives a wrong answer."""

    resource_states: int = 50_000
    """States of the resource automaton, for each set of statements that meet."""
    action_states: int = 50_000
    """States of the automaton over the action names of one service."""
    value_states: int = 5_000
    """States of the automaton over the values of one condition key."""
    value_samples: int = 4_000
    """Sample values of one condition key (cells)."""
    condition_nodes: int = 20_000
    """Nodes of one search for a context that satisfies and violates the right conditions."""
    total_states: int = 1_000_000
    """States of all resource automata of one direction together."""
    substitutions: int = 24
    """Assignments of values to policy variables that are tried for a witness."""
    regions: int = 200
    """Differences that are described one by one; more are counted."""


class OutOfBudget(Exception):
    """A limit was reached; `limit` is its name, `what` the thing that was too large."""

    def __init__(self, limit: str, allowed: int, what: str) -> None:
        super().__init__(f"{what} needs more than {allowed} {limit.replace('_', ' ')}")
        self.limit = limit
        self.allowed = allowed
        self.what = what
