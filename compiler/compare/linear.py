"""Patterns as linear automata, and the lazily determinised union of many of them.

A pattern is a row of steps; a step reads one character of a set, once or any number of times. All
patterns of a question share one row of bits, so that a state of the determinised automaton is one
integer and a transition a handful of operations on integers. Only the characters that some live
step treats unlike the rest are followed one by one; all others are one class (`Union.letters`).

Patterns are grouped into *units* (a `Resource` element, the values of one condition entry): what
matters is whether some pattern of the unit accepts. Two exact reductions keep the states few:

- once a `*` that may match anything is reached, what lies before it says nothing new;
- once a pattern of a unit accepts whatever follows, the unit is done and its patterns are dropped.

Invariant: a dropped position never makes a unit accept that the remaining ones would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
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


@lru_cache(maxsize=1 << 14)
def shortest(steps: Steps) -> str:
    """The plainest of the shortest texts that a pattern matches."""
    return "".join(
        chr(min(step.members, key=_plainness)) if not step.is_complement
        else next(chr(p) for p in chain(_PLAIN, range(0x100, 0x110000)) if p not in step.members)
        for step in steps if not step.repeats)


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

    A state is one integer: low bits are positions of tails (what follows the literal head of a
    pattern), then a bit for each unit that is done, then the node of the trie of heads (0: none).
    Heads need no bits, since a text is at one node of a trie at most.
    """

    def __init__(self, units: Sequence[Iterable[Steps]]) -> None:
        owners: dict[Steps, int] = {}
        for number, unit in enumerate(units):
            for steps in unit:
                owners[steps] = owners.get(steps, 0) | 1 << number
        self._heads: list[dict[int, int]] = [{}, {}]
        self._below = [0, 0]
        """Units with a pattern whose head goes on below a node."""
        self._entered = [0, 0]
        """Tail positions where heads end."""
        self._tail_bits: dict[int, int] = {}
        """Units -> positions of the tails that belong to exactly these."""
        self._final_owner: dict[int, int] = {}
        self._live_bits = [0] * len(units)
        self._forever: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._repeat = 0
        reads: dict[int, int] = {}
        complements: list[tuple[int, frozenset[int]]] = []
        base = 0
        for steps, owner in owners.items():
            head = 0
            while head < len(steps) and _is_literal(steps[head]):
                head += 1
            node = self._descend(steps[:head], owner)
            tail = steps[head:]
            self._add_tail(tail, owner, base, reads, complements)
            self._entered[node] |= 1 << base
            base += len(tail) + 1
        self._done_shift = base
        self._node_shift = base + len(units)
        self._tail_mask = (1 << base) - 1
        self._done_mask = ((1 << len(units)) - 1) << base
        self._finals = sum(self._final_owner)
        self._dominators = sum(self._before)
        self._forever_bits = sum(self._forever)
        self.edge_cost = 4 + len(units) // 8 + base // 256
        """Steps of one transition, roughly: it looks at all units and all positions."""
        self.edges = 0
        """Edges made so far (`successors`)."""
        self._drops: dict[int, int] = {}
        self._done: dict[int, tuple[int, int]] = {}
        self._successors: dict[int, tuple[Edge, ...]] = {}
        self._read_by_class(reads, complements)
        self._entered = [self._closed(bits) for bits in self._entered]
        self.start = self._settled(self._entered[1], 0, 1)

    def _descend(self, head: Steps, owner: int) -> int:
        """The node of a head in the trie, made where it is missing."""
        node = 1
        for step in head:
            (point,) = step.members
            self._below[node] |= owner
            following = self._heads[node].get(point)
            if following is None:
                following = self._heads[node][point] = len(self._heads)
                self._heads.append({})
                self._below.append(0)
                self._entered.append(0)
            node = following
        return node

    def _add_tail(
        self, tail: Steps, owner: int, base: int, reads: dict[int, int],
        complements: list[tuple[int, frozenset[int]]],
    ) -> None:
        for at, step in enumerate(tail, base):
            bit = 1 << at
            if step.repeats:
                self._repeat |= bit
            if not step.is_complement:
                for point in step.members:
                    reads[point] = reads.get(point, 0) | bit
                continue
            complements.append((bit, step.members))
            if step.repeats and not step.members:
                if at > base:
                    self._before[bit] = bit - (1 << base)
                if at == base + len(tail) - 1:
                    self._forever[bit] = owner
        bits = ((1 << (len(tail) + 1)) - 1) << base
        self._tail_bits[owner] = self._tail_bits.get(owner, 0) | bits
        self._final_owner[1 << (base + len(tail))] = owner
        for number in _numbers(owner):
            self._live_bits[number] |= bits

    def _read_by_class(
        self, reads: dict[int, int], complements: list[tuple[int, frozenset[int]]]
    ) -> None:
        """For each character that a tail mentions, the positions that read it."""
        mentioned = set(reads)
        for _, members in complements:
            mentioned |= members
        others = 0
        for bit, members in complements:
            others |= bit
            for point in mentioned - members:
                reads[point] = reads.get(point, 0) | bit
        self._once = ~self._repeat
        self._others = others
        self._reads = {point: reads.get(point, 0) for point in mentioned}
        # characters that all tails read alike are one letter; the plainest stands for them
        letters = {mask: point for point, mask in sorted(
            self._reads.items(), key=lambda item: _plainness(item[0]), reverse=True)}
        self._differs = [
            (point, mask ^ others) for mask, point in letters.items() if mask != others]
        self._fresh = 0x100
        while (
            self._fresh in mentioned or any(self._fresh in node for node in self._heads)
            or chr(self._fresh).isspace() or chr(self._fresh).lower() != chr(self._fresh)
        ):
            self._fresh += 1

    # --- walking

    def next(self, state: int, point: int) -> int:
        """The state after one more character."""
        node = state >> self._node_shift
        hit = state & self._reads.get(point, self._others)
        out = self._closed((hit & self._repeat) | (hit & self._once) << 1)
        if node:
            node = self._heads[node].get(point, 0)
            out |= self._entered[node]
        return self._settled(out, state & self._done_mask, node)

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
                        self.done(target),
                    ))  # fmt: skip
            known = self._successors[state] = tuple(edges)
            self.edges += len(edges)
        return known

    def _closed(self, bits: int) -> int:
        repeat = self._repeat
        passed = (bits & repeat) << 1
        while passed & ~bits:
            bits |= passed
            passed = (passed & repeat) << 1
        return bits

    def _settled(self, bits: int, done: int, node: int) -> int:
        """The state of these parts, after both reductions."""
        seen = bits & self._dominators
        if seen:
            drop = self._drops.get(seen)
            if drop is None:
                drop = 0
                for bit in bits_of(seen):
                    drop |= self._before[bit]
                self._drops[seen] = drop
            bits &= ~drop
        seen = bits & self._forever_bits | done
        if seen:
            known = self._done.get(seen)
            if known is None:
                known = self._done[seen] = self._finished(seen)
            done = known[0]
            bits &= known[1]
            if node and not self._below[node] & ~(done >> self._done_shift):
                node = 0
        if node and not self._heads[node]:
            node = 0
        return bits | done | node << self._node_shift

    def _finished(self, seen: int) -> tuple[int, int]:
        """Done units as high bits, and the mask of tail positions that still say something."""
        done = seen >> self._done_shift
        for bit in bits_of(seen & self._forever_bits):
            done |= self._forever[bit]
        kept = self._tail_mask
        for owner, bits in self._tail_bits.items():
            if owner & ~done == 0:
                kept &= ~bits
        return done << self._done_shift, kept

    def letters(self, state: int) -> list[int]:
        """The code points to follow from a state: those that matter, and one for all others."""
        letters = [point for point, mask in self._differs if state & mask]
        node = state >> self._node_shift
        if node:
            heads = self._heads[node]
            # the letter that stands for a class of the tails must not be one that heads know
            letters = [
                point if point not in heads else other
                for point in letters
                if (other := self._same_class(point, heads)) >= 0
            ]
            letters += heads
        letters.append(self._other_letter(state, node))
        return letters

    def _same_class(self, point: int, heads: dict[int, int]) -> int:
        """A character that the tails read like this one and the heads do not know; -1 if none."""
        if point not in heads:
            return point
        mask = self._reads[point]
        for other, read in self._reads.items():
            if read == mask and other not in heads:
                return other
        return -1

    def _other_letter(self, state: int, node: int) -> int:
        """A code point that this state reads like an unmentioned one; a plain one if there is."""
        heads = self._heads[node]
        for point in _PLAIN:
            if point not in heads:
                mask = self._reads.get(point)
                if mask is None or not state & (mask ^ self._others):
                    return point
        return self._fresh

    def run(self, text: str) -> int:
        state = self.start
        for c in text:
            state = self.next(state, ord(c))
        return state

    # --- reading

    def accepts(self, state: int, unit: int) -> bool:
        """Whether the unit matches the text that led here."""
        return bool(self.accepted(state) >> unit & 1)

    def accepted(self, state: int) -> int:
        """Bitset of the units that match the text that led here."""
        found = (state & self._done_mask) >> self._done_shift
        final = state & self._finals
        while final:
            low = final & -final
            found |= self._final_owner[low]
            final ^= low
        return found

    def done(self, state: int) -> int:
        """Bitset of the units that match whatever follows."""
        return (state & self._done_mask) >> self._done_shift

    def live(self, state: int) -> int:
        """Bitset of the units that match here or could after more text."""
        found = (state & self._done_mask) >> self._done_shift | self._below[
            state >> self._node_shift]
        bits = state & self._tail_mask
        if bits:
            for number, live in enumerate(self._live_bits):
                if bits & live:
                    found |= 1 << number
        return found

    def is_settled(self, state: int) -> bool:
        """Whether more text changes nothing: every unit is done, or out of reach."""
        return not state & self._tail_mask and not state >> self._node_shift


def _is_literal(step: Step) -> bool:
    return len(step.members) == 1 and not step.is_complement and not step.repeats


def _numbers(bits: int) -> Iterator[int]:
    """Numbers of the bits that are set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def bits_of(bits: int) -> Iterator[int]:
    """The bits that are set, each as a number of its own, ascending."""
    while bits:
        low = bits & -bits
        yield low
        bits ^= low
