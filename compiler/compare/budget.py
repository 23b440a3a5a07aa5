"""How much work a question may cost before the honest answer is *undecided*."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one comparison, each by name. Reaching one never gives a wrong answer."""

    resource_states: int = 50_000
    """States of the resource automaton, for each set of statements that meet."""
    action_states: int = 20_000
    """States of the automaton over the action names of one service."""
    value_states: int = 5_000
    """States of the automaton over the values of one condition key."""
    value_samples: int = 4_000
    """Sample values of one condition key (cells)."""
    condition_nodes: int = 20_000
    """Nodes of one search for a context that satisfies and violates the right conditions."""
    total_steps: int = 12_000_000
    """Steps of the whole comparison, of whatever kind: each takes about a microsecond. The first
    direction may take half of them, the second what is left."""
    substitutions: int = 24
    """Assignments of values to policy variables that are tried for a witness."""
    regions: int = 200
    """Differences that are described one by one; more are counted."""


_LARGEST_SHARES = 4


class Meter:
    """Counts the steps of a whole comparison.

    Everything whose cost grows with the policies spends from one meter: edges of automata by the
    patterns they carry, predicates asked about samples, goals by their statements, parts of a
    condition search. So no way to nest them takes longer than the budget says.
    """

    __slots__ = ("_allowed", "_limit", "_share", "spent")

    def __init__(self, limit: int) -> None:
        self.spent = 0
        self._limit = self._allowed = self._share = limit

    def allow(self, questions: int) -> None:
        """From here on the first of so many questions that share what is left. Of many most are
        easy, so none is held to less than a quarter."""
        self._share = max(0, self._limit - self.spent) // min(questions, _LARGEST_SHARES)
        self._allowed = self.spent + self._share

    @property
    def is_spent(self) -> bool:
        return self.spent > self._allowed

    @property
    def is_low(self) -> bool:
        """Whether more than a quarter of what is allowed is gone: no time for shortcuts."""
        return 4 * (self._allowed - self.spent) < 3 * self._share

    def note(self, steps: int) -> None:
        """Count steps of work that is not to be broken off."""
        self.spent += steps

    def spend(self, steps: int) -> None:
        """Count steps before they are taken. Raises OutOfBudget where there are not so many left:
        they are not to be taken then, and do not count.
        """
        if self.spent + steps > self._allowed:
            self.spent = max(self.spent, self._allowed + 1)
            raise self.error()
        self.spent += steps

    def error(self) -> OutOfBudget:
        return OutOfBudget("total_steps", self._share, "this question")


class OutOfBudget(Exception):
    """A limit was reached; `limit` is its name, `what` the thing that was too large."""

    def __init__(self, limit: str, allowed: int, what: str) -> None:
        super().__init__(f"{what} needs more than {allowed} {limit.replace('_', ' ')}")
        self.limit = limit
        self.allowed = allowed
        self.what = what
