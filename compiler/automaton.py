"""Bit-parallel automata of patterns in which some wildcard must not match `:` (RES-4).

The tokens behind the literal head become the states of an NFA, so its size is linear in the
pattern. A DFA could be exponential: `*a` and k times `?` needs 2^(k+1) states. Patterns whose
wildcards may all match every character need none: `runtime/globs.pyx` searches their pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..runtime.codes import Token
from .encoding import Element


@dataclass(frozen=True, slots=True)
class Automaton:
    """Bit-parallel NFA: state i = i tokens matched, state 0 starts, state `length` accepts.

    Invariant: bit i of `wild` or of a symbol's row is set only for 1 <= i <= length, bit i of
    `loop` only for 0 <= i <= length; rows ending in `_colon` are subsets of the plain ones.
    """

    length: int
    wild: int
    wild_colon: int
    loop: int
    loop_colon: int
    symbols: dict[int, int] = field(default_factory=dict)

    @property
    def word_count(self) -> int:
        return self.length // 64 + 1

    def check(self) -> None:
        limit = 1 << (self.length + 1)
        for row in (self.wild, self.loop, *self.symbols.values()):
            assert 0 <= row < limit
        assert not self.wild & 1
        assert self.wild_colon & ~self.wild == 0
        assert self.loop_colon & ~self.loop == 0


def automaton_of(elements: Sequence[Element]) -> Automaton:
    """The automaton of a pattern without variables, from its first wildcard on."""
    cut = 0
    while elements[cut][0] is Token.POINT:
        cut += 1
    state = wild = wild_colon = loop = loop_colon = 0
    symbols: dict[int, int] = {}
    for token, point in elements[cut:]:
        if token is Token.STAR:
            loop |= 1 << state
            loop_colon |= 1 << state
        elif token is Token.STAR_BUT_COLON:
            loop |= 1 << state
        else:
            state += 1
            if token is Token.POINT:
                symbols[point] = symbols.get(point, 0) | 1 << state
            else:
                wild |= 1 << state
                if token is Token.ANY:
                    wild_colon |= 1 << state
    return Automaton(state, wild, wild_colon, loop, loop_colon, dict(sorted(symbols.items())))
