"""Which resource elements match which resources: one automaton for the elements that meet.

The resource is `*`, or an ARN with at least five colons (RES-12), or an ARN of given templates. For
one text every element is in one of the states below; a search over the automaton looks for a text
whose states make a goal reachable. States of the automaton are cut where the goal is out of reach
whatever follows: elements that are still open may then be taken either way, whichever suits the
goal.

A pattern with policy variables is an element of its own, over-approximated by a star in place of
each variable: where even that does not match it does not; where it does, whether it matches is an
atom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ...runtime.codes import Token
from .. import ir
from .budget import Budget, Meter, OutOfBudget
from .linear import STAR, STAR_BUT_COLON, Steps, Union, glyph_steps, text_steps

ARN_SHAPE: Steps = (
    *text_steps("arn:"),
    *(4 * (STAR_BUT_COLON, text_steps(":")[0])),
    STAR,
)
"""RES-12: `arn:` and at least five colons in all."""

MATCHED, MISSED, UNDECIDED = 1, 0, 2


class ElementState(NamedTuple):
    """How the listed patterns of one element stand for a text, or for all that begin with it.

    status : MATCHED, MISSED, or UNDECIDED: more text may decide either way
    atoms  : ids of patterns with variables that may match (status MISSED or UNDECIDED)
    """

    status: int
    atoms: tuple[int, ...] = ()


States = tuple[ElementState, ...]
"""One for each element of the question, in order."""

_MATCHED, _MISSED = ElementState(MATCHED), ElementState(MISSED)


@dataclass(frozen=True, slots=True)
class Within:
    """Restricts the resources that are looked at.

    languages : automata whose union holds them (None: all ARNs)
    has_star  : whether the resource `*` is among them
    pattern   : a pattern they must match as well, or None
    """

    languages: tuple[Steps, ...] | None = None
    has_star: bool = True
    pattern: ir.ResourcePattern | None = None


EVERYWHERE = Within()


class ResourceElements:
    """Resource elements of a program, as they meet in one question."""

    def __init__(
        self, program: ir.Program, set_ids: Sequence[int], within: Within, budget: Budget,
        meter: Meter,
    ) -> None:  # fmt: skip
        self.set_ids = tuple(set_ids)
        self.within = within
        self._budget = budget
        self._meter = meter
        units: list[list[Steps]] = []
        self._plan: list[tuple[bool, int, tuple[tuple[int, int], ...]]] = []
        for set_id in self.set_ids:
            patterns = [
                (i, program.resource_patterns[i])
                for i in (program.resource_sets[set_id].pattern_ids if set_id >= 0 else ())
            ]
            is_all = set_id < 0 or any(p.is_all for _, p in patterns)
            fixed = [_steps(p) for _, p in patterns if not p.variables]
            unit = -1
            if fixed and not is_all:
                unit = len(units)
                units.append(fixed)
            atoms: list[tuple[int, int]] = []
            for pattern_id, pattern in patterns:
                if pattern.variables and not is_all:
                    atoms.append((len(units), pattern_id))
                    units.append([_steps(pattern)])
            self._plan.append((is_all, unit, tuple(atoms)))
        self._required = len(units)
        languages = within.languages
        units.append([ARN_SHAPE] if languages is None else list(languages))
        if within.pattern is not None:
            units.append([_steps(within.pattern)])
        self._required_bits = (1 << len(units)) - (1 << self._required)
        self._units = units
        self._made: Union | None = None

    @property
    def _union(self) -> Union:
        if self._made is None:
            self._meter.spend(sum(len(steps) for unit in self._units for steps in unit))
            self._made = Union(self._units)
        return self._made

    def of_star(self) -> States | None:
        """States for the resource `*` (RES-1, RES-2); None when it is not looked at."""
        within = self.within
        if not within.has_star or (within.pattern is not None and not within.pattern.is_all):
            return None
        return tuple(_MATCHED if is_all else _MISSED for is_all, _, _ in self._plan)

    @property
    def _unread(self) -> States:
        """States before any text is read, as far as can be told without an automaton."""
        return tuple(
            _MATCHED if is_all
            else ElementState(UNDECIDED, tuple(p for _, p in atoms)) if unit >= 0 or atoms
            else _MISSED
            for is_all, unit, atoms in self._plan)

    def of_arn(self, arn: str) -> States | None:
        """States for an ARN; None when it is not looked at."""
        union = self._union
        accepted = union.accepted(union.run(arn))
        if accepted & self._required_bits != self._required_bits:
            return None
        return self._exact(accepted)

    def _exact(self, accepted: int) -> States:
        states: list[ElementState] = []
        for is_all, unit, atoms in self._plan:
            if is_all or (unit >= 0 and accepted >> unit & 1):
                states.append(_MATCHED)
            else:
                hit = tuple(p for u, p in atoms if accepted >> u & 1)
                states.append(ElementState(MISSED, hit) if hit else _MISSED)
        return tuple(states)

    def _bounds(self, done: int, live: int) -> States:
        states: list[ElementState] = []
        for is_all, unit, atoms in self._plan:
            if is_all or (unit >= 0 and done >> unit & 1):
                states.append(_MATCHED)
            else:
                hit = tuple(p for u, p in atoms if live >> u & 1)
                open_ = unit >= 0 and live >> unit & 1
                if open_ or hit:
                    states.append(ElementState(UNDECIDED, hit))
                else:
                    states.append(_MISSED)
        return tuple(states)

    def search(
        self, is_reached: Callable[[States], bool], may_be_reached: Callable[[States], bool],
        limit: int | None = None,
    ) -> str | None:
        """A shortest resource whose states reach a goal; None when there is none.

        may_be_reached : on states with UNDECIDED elements, never False where some decision of them
                         reaches the goal
        limit          : states that may be visited, when not as many as the budget says

        Raises OutOfBudget.
        """
        star = self.of_star()
        if star is not None and is_reached(star):
            return "*"
        if not may_be_reached(self._unread):
            return None
        union = self._union
        origin: dict[int, tuple[int, int]] = {union.start: (-1, 0)}
        queue = [union.start]
        verdicts: dict[tuple[int, int], bool] = {}
        reached: dict[int, bool] = {}
        required = self._required_bits
        if limit is None:
            limit = self._budget.resource_states
        spend = self._meter.spend
        for state in queue:
            made = union.edges
            edges = union.successors(state)
            spend(len(edges) + (union.edges - made) * union.edge_cost)
            for point, target, accepted, live, done in edges:
                if live & required != required or target in origin:
                    continue
                verdict = verdicts.get((done, live))
                if verdict is None:
                    verdict = may_be_reached(self._bounds(done, live))
                    verdicts[done, live] = verdict
                if not verdict:
                    continue
                origin[target] = (state, point)
                if accepted & required == required:
                    found = reached.get(accepted)
                    if found is None:
                        found = reached[accepted] = is_reached(self._exact(accepted))
                    if found:
                        return _spelled(origin, target)
                queue.append(target)
            if len(origin) > limit:
                raise OutOfBudget("resource_states", limit, "the resource patterns")
        return None


def _spelled(origin: dict[int, tuple[int, int]], state: int) -> str:
    """The text that led to a state."""
    points: list[int] = []
    while origin[state][0] >= 0:
        state, point = origin[state]
        points.append(point)
    return "".join(map(chr, reversed(points)))


@lru_cache(maxsize=1 << 16)
def _steps(pattern: ir.ResourcePattern) -> Steps:
    return glyph_steps(pattern.glyphs)


@lru_cache(maxsize=1 << 14)
def filled(pattern: ir.ResourcePattern) -> tuple[str, ...]:
    """Plausible ARNs that a pattern without variables matches, if it is not all stars.

    Fields that are one star get what such fields usually hold.
    """
    if pattern.is_all:
        return ()
    text = []
    colons = 0
    glyphs = pattern.glyphs
    for at, glyph in enumerate(glyphs):
        if glyph.token is Token.POINT:
            colons += glyph.point == ord(":")
            text.append(chr(glyph.point))
        elif glyph.token in (Token.ANY, Token.ANY_BUT_COLON) or glyph.token is Token.VARIABLE:
            text.append("x")
        else:
            is_field = (
                at > 0 and glyphs[at - 1].point == ord(":")
                and (at + 1 == len(glyphs) or glyphs[at + 1].point == ord(":"))
            )  # fmt: skip
            text.append(_FIELDS.get(colons, "example") if is_field else "example")
    arn = "".join(text)
    fields = arn.split(":")
    missing = 6 - len(fields)
    if missing > 0 and glyphs[-1].token is Token.STAR:
        arn += "".join(f":{_FIELDS[i]}" for i in range(len(fields), 6))
    bare = "".join(
        chr(g.point) for g in glyphs if g.token is Token.POINT
    ) if all(g.token in (Token.POINT, Token.STAR, Token.STAR_BUT_COLON) for g in glyphs) else arn
    return tuple(dict.fromkeys((arn, bare)))


_FIELDS = {1: "aws", 2: "s3", 3: "us-east-1", 4: "111122223333", 5: "example"}
