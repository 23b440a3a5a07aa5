"""Patterns as linear automata, and the lazily determinised union of many of them.

A pattern is a row of steps; a step reads one character of a set, once or any number of times. All
patterns of a question share one row of bits, so that a state of the determinised automaton is one
integer and a transition a handful of operations on integers. Only the characters that some live
step treats unlike the rest are followed one by one; all others are one class (`Union.letters`).

Patterns are grouped into *units* (a `Resource` element, the values of one condition entry): what
matters is whether some pattern of the unit accepts. Two exact reductions keep the states few:

- once a `*` that may match anything is reached, what lies before it in its pattern says nothing new;
- once a pattern of a unit accepts whatever follows, the unit is done and its patterns are dropped.

Invariant: a dropped position never makes a unit accept that the remaining ones would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...runtime.codes import Token
from .. import ir

COLON = ord(":")
_PLAIN = tuple(map(ord, "xabcdefghijklmnopqrstuvwyz0123456789-_"))


class Step(NamedTuple):
    """Reads one character of `members` (or of their complement), once or any number of times."""

    members: frozenset[int]
    is_complement: bool = False
    repeats: bool = False

    def reads(self, point: int) -> bool:
        return (point in self.members) is not self.is_complement


Steps = tuple[Step, ...]

_NONE: frozenset[int] = frozenset()
_ONLY_COLON = frozenset({COLON})
ANY = Step(_NONE, True)
ANY_BUT_COLON = Step(_ONLY_COLON, True)
STAR = Step(_NONE, True, True)
STAR_BUT_COLON = Step(_ONLY_COLON, True, True)
_STEP_OF = {
    Token.ANY: ANY,
    Token.ANY_BUT_COLON: ANY_BUT_COLON,
    Token.STAR: STAR,
    Token.STAR_BUT_COLON: STAR_BUT_COLON,
    Token.VARIABLE: STAR,  # a superset: any text stands for it
}
_literals: dict[int, Step] = {}


def literal(point: int) -> Step:
    """The step that reads this code point."""
    step = _literals.get(point)
    if step is None:
        step = _literals[point] = Step(frozenset({point}))
    return step


def text_steps(text: str) -> Steps:
    return tuple([literal(ord(c)) for c in text])


def glob_steps(text: str) -> Steps:
    """An action pattern: `*` and `?` are wildcards that match anything."""
    return tuple([STAR if c == "*" else ANY if c == "?" else literal(ord(c)) for c in text])


def glyph_steps(glyphs: ir.Glyphs) -> Steps:
    """A lowered pattern; a variable stands for any text."""
    return tuple([
        literal(g.point) if g.token is Token.POINT else _STEP_OF[g.token] for g in glyphs
    ])


def _plainness(point: int) -> tuple[bool, bool, int]:
    """Sorts letters and digits first."""
    character = chr(point) if point < 0x110000 else ""
    return not character.isalnum(), point > 0x7F, point


class Edge(NamedTuple):
    """A way to another state.

    point                : the character to read
    accepted, live, done : bitsets of units there: those that match the text, those that match it or
                           could after more of it, those that match whatever follows
    """

    point: int
    target: int
    accepted: int
    live: int
    done: int


class Union:
    """Units of patterns, determinised as far as somebody walks.

    States are integers: the low bits are positions of patterns, the high ones say which units are
    done. `accepts` and `may_accept` read a state.
    """

    def __init__(self, units: Sequence[Iterable[Steps]]) -> None:
        owners: dict[Steps, int] = {}
        for number, unit in enumerate(units):
            for steps in unit:
                owners[steps] = owners.get(steps, 0) | 1 << number
        self.unit_count = len(units)
        self._final = [0] * len(units)
        self._live = [0] * len(units)
        repeat = 0
        start = 0
        base = 0
        reads: dict[int, int] = {}
        complements: list[tuple[int, frozenset[int]]] = []
        before: dict[int, int] = {}
        forever: dict[int, int] = {}
        self._pattern_bits: list[tuple[int, int]] = []
        for steps, owner in owners.items():
            for at, step in enumerate(steps, base):
                bit = 1 << at
                if step.repeats:
                    repeat |= bit
                if step.is_complement:
                    complements.append((bit, step.members))
                    if step.repeats and not step.members:
                        if at > base:
                            before[bit] = bit - (1 << base)
                        if at == base + len(steps) - 1:
                            forever[bit] = owner
                else:
                    for point in step.members:
                        reads[point] = reads.get(point, 0) | bit
            size = len(steps) + 1
            bits = ((1 << size) - 1) << base
            self._pattern_bits.append((bits, owner))
            final = 1 << (base + len(steps))
            for number in _numbers(owner):
                self._final[number] |= final
                self._live[number] |= bits
            start |= 1 << base
            base += size
        self._done_shift = base
        mentioned = set(reads)
        for _, members in complements:
            mentioned |= members
        others = 0
        for bit, members in complements:
            others |= bit
            for point in mentioned - members:
                reads[point] = reads.get(point, 0) | bit
        self._reads = {point: reads.get(point, 0) for point in sorted(mentioned)}
        self._others = others
        # characters that all patterns read alike are one letter; the plainest stands for them
        letters = {mask: point for point, mask in sorted(
            self._reads.items(), key=lambda item: _plainness(item[0]), reverse=True)}
        self._differs = [(point, mask ^ others) for mask, point in letters.items()
                         if mask != others]
        self._repeat = repeat
        self._once = ~repeat
        self._before = before
        self._dominators = sum(before)
        self._forever = forever
        self._forever_bits = sum(forever)
        self._drops: dict[int, int] = {}
        self._done: dict[int, tuple[int, int]] = {}
        self._successors: dict[int, tuple[Edge, ...]] = {}
        self._done_mask = ((1 << len(units)) - 1) << base
        self._other_point = self._choose_other(mentioned)
        self.start = self._settled(self._closed(start))

    @staticmethod
    def _choose_other(mentioned: set[int]) -> int:
        """A code point that no step mentions, the plainest."""
        for point in _PLAIN:
            if point not in mentioned:
                return point
        point = 0x100
        while point in mentioned or chr(point).isspace() or chr(point).lower() != chr(point):
            point += 1
        return point

    # --- walking

    def next(self, state: int, point: int) -> int:
        """The state after one more character."""
        done = state & self._done_mask
        hit = state & self._reads.get(point, self._others)
        out = self._closed((hit & self._repeat) | (hit & self._once) << 1)
        return self._settled(out | done)

    def successors(self, state: int) -> tuple[Edge, ...]:
        """All edges from a state, one for each letter that matters; remembered."""
        known = self._successors.get(state)
        if known is None:
            edges = []
            seen = set()
            for point in self.letters(state):
                target = self.next(state, point)
                if target not in seen:
                    seen.add(target)
                    edges.append(Edge(
                        point, target, self.accepted(target), self.live(target),
                        target >> self._done_shift,
                    ))  # fmt: skip
            known = self._successors[state] = tuple(edges)
        return known

    def _closed(self, state: int) -> int:
        repeat = self._repeat
        passed = (state & repeat) << 1
        while passed & ~state:
            state |= passed
            passed = (passed & repeat) << 1
        return state

    def _settled(self, state: int) -> int:
        seen = state & self._dominators
        if seen:
            drop = self._drops.get(seen)
            if drop is None:
                drop = 0
                for bit, lower in self._before.items():
                    if seen & bit:
                        drop |= lower
                self._drops[seen] = drop
            state &= ~drop
        seen = state & (self._forever_bits | self._done_mask)
        if seen:
            known = self._done.get(seen)
            if known is None:
                known = self._done[seen] = self._finished(seen)
            state = state & known[1] | known[0]
        return state

    def _finished(self, seen: int) -> tuple[int, int]:
        """Done units as high bits, and the mask of positions that still say something."""
        done = seen >> self._done_shift
        for bit, owner in self._forever.items():
            if seen & bit:
                done |= owner
        kept = ~0
        for bits, owner in self._pattern_bits:
            if owner & ~done == 0:
                kept &= ~bits
        return done << self._done_shift, kept

    def letters(self, state: int) -> list[int]:
        """The code points to follow from a state: those that matter, and one for all others."""
        letters = [point for point, mask in self._differs if state & mask]
        letters.append(self._other_letter(state))
        return letters

    def _other_letter(self, state: int) -> int:
        """A code point that this state reads like an unmentioned one; a plain one if there is."""
        for point in _PLAIN:
            mask = self._reads.get(point)
            if mask is None or not state & (mask ^ self._others):
                return point
        return self._other_point

    def run(self, text: str) -> int:
        state = self.start
        for c in text:
            state = self.next(state, ord(c))
        return state

    # --- reading

    def accepts(self, state: int, unit: int) -> bool:
        """Whether the unit matches the text that led here."""
        return bool(state & self._final[unit] or state >> self._done_shift & 1 << unit)

    def accepted(self, state: int) -> int:
        """Bitset of the units that match the text that led here."""
        found = state >> self._done_shift
        for number, final in enumerate(self._final):
            if state & final:
                found |= 1 << number
        return found

    def done(self, state: int) -> int:
        """Bitset of the units that match whatever follows."""
        return state >> self._done_shift

    def live(self, state: int) -> int:
        """Bitset of the units that match here or could after more text."""
        found = state >> self._done_shift
        for number, bits in enumerate(self._live):
            if state & bits:
                found |= 1 << number
        return found


def _numbers(bits: int) -> Iterator[int]:
    """Numbers of the bits that are set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def bit_numbers(bits: int) -> tuple[int, ...]:
    return tuple(_numbers(bits))
