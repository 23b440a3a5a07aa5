"""A figure beside its goal, a question beside its limit: what fixtures of conftest.py hand out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a figure. `unit` says what the figure is: `x F_id`, `ns/row`, `M rows/s`."""

    bound: float
    unit: str
    is_floor: bool = False

    def is_met(self, figure: float) -> bool:
        return figure >= self.bound if self.is_floor else figure <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.is_floor else '<='} {self.bound:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Turns:
    """Least seconds of a question and of what it is held against, in turns, and its answer."""

    result: Any
    question_s: float
    other_s: float

    @property
    def ratio(self) -> float:
        return self.question_s / self.other_s


InTurns = Callable[..., Turns]
Judge = Callable[..., None]
