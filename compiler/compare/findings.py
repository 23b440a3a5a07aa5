"""What a search finds: requests, regions, answers; and the classes of actions it goes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .actions import Name
from .classes import ClassKey
from .values import Value


@dataclass(frozen=True, slots=True)
class Witness:
    """A request: action, resource, and context by key as the policies spell it."""

    action: str
    resource: str
    context: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ActionPart:
    """One action pattern of a region; -1 stands for what a `NotAction` leaves.

    is_whole : all that the pattern matches is in the region
    examples : actions of the region, where it is not, or words for all of some services;
               `example_count` says of how many
    """

    pattern: int
    is_whole: bool
    examples: tuple[str, ...] = ()
    example_count: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """Requests that one side allows and the other does not, as far as one statement is the reason.

    statement : the statement that allows them (index in the program)
    resources : those of its resource patterns within which there is a difference; empty when it
                lists what is excluded, or has too many patterns to be looked at one by one
    present   : all statements of both sides whose action element matches the witness
    witness   : None when a difference could not be ruled out, and `undecided` says why
    """

    statement: int
    actions: tuple[ActionPart, ...]
    resources: tuple[int, ...]
    present: frozenset[int]
    witness: Witness | None
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one direction. Neither regions nor `undecided`: proved to be nothing.

    left_out  : how many more regions there are than the budget lets be told
    undecided : reasons that are not about one region
    """

    regions: tuple[Region, ...] = ()
    left_out: int = 0
    undecided: tuple[str, ...] = ()


@dataclass(slots=True)
class Group:
    """Names that the same statements match (and, in a closed world, with the same templates).

    classes : the classes of `ActionClasses` that they are
    """

    present: frozenset[int]
    names: list[Name] = field(default_factory=list)
    classes: set[ClassKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Answer:
    """A request, or why there may be one; neither: proved that there is none."""

    witness: Witness | None = None
    undecided: str = ""

    @property
    def is_none(self) -> bool:
        return self.witness is None and not self.undecided


NOTHING = Answer()
