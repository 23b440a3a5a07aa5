"""Verification programs: what is left of a pattern after its literal head, made cheap to check.

A pattern becomes one of four kinds (runtime/globs.pyx runs them):

- exact: only its head;  prefix: its head and a `*`;
- pieces: every wildcard may match every character. The rest is cut at the stars; `*?` becomes
  `?*` first (GLOB-4), so that a piece in the middle starts with a literal byte;
- automaton: some wildcard must not match `:` (RES-4). The tokens become the states of an NFA that
  is simulated bit-parallel, so its size is linear in the pattern. A DFA could be exponential: `*a`
  and k times `?` needs 2^(k+1) states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..runtime.codes import Token

ANY_POINT = 0xFF
"""Stands for one code point inside the bytes of a piece; no UTF-8 text contains it."""

END_EXACT, END_PREFIX, END_PIECES, END_AUTOMATON = range(4)

Element = tuple[Token, int]
"""A token and, for a POINT, its code point."""

_STAR_ELEMENT = (Token.STAR, 0)


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled pattern. `pieces` are set for END_PIECES, `automaton` for END_AUTOMATON."""

    head: bytes
    kind: int
    pieces: tuple[bytes, ...] = ()
    automaton: Automaton | None = None


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


def compile_program(elements: Sequence[Element]) -> Program:
    """The program of a pattern without variables."""
    cut = 0
    while cut < len(elements) and elements[cut][0] is Token.POINT:
        cut += 1
    head = encode_points([point for _, point in elements[:cut]])
    rest = elements[cut:]
    if not rest:
        return Program(head, END_EXACT)
    if len(rest) == 1 and rest[0][0] is Token.STAR:
        return Program(head, END_PREFIX)
    if all(token in (Token.POINT, Token.ANY, Token.STAR) for token, _ in rest):
        return Program(head, END_PIECES, pieces=_pieces(rest))
    return Program(head, END_AUTOMATON, automaton=_automaton(rest))


def encode_points(points: Sequence[int]) -> bytes:
    """UTF-8, with lone surrogates encoded as the code points they are (GLOB-3)."""
    return "".join(map(chr, points)).encode("utf-8", "surrogatepass")


def _pieces(rest: Sequence[Element]) -> tuple[bytes, ...]:
    pieces: list[list[Element]] = [[]]
    for element in _canonical(rest):
        if element[0] is Token.STAR:
            pieces.append([])
        else:
            pieces[-1].append(element)
    return tuple(_piece_bytes(piece) for piece in pieces)


def _canonical(rest: Sequence[Element]) -> list[Element]:
    """Runs of wildcards as `?...?*` (GLOB-4)."""
    out: list[Element] = []
    has_star = False
    for element in rest:
        if element[0] is Token.STAR:
            has_star = True
        elif element[0] is Token.ANY:
            out.append(element)
        else:
            if has_star:
                out.append(_STAR_ELEMENT)
                has_star = False
            out.append(element)
    if has_star:
        out.append(_STAR_ELEMENT)
    return out


def _piece_bytes(piece: Sequence[Element]) -> bytes:
    out = bytearray()
    for token, point in piece:
        if token is Token.ANY:
            out.append(ANY_POINT)
        else:
            out += chr(point).encode("utf-8", "surrogatepass")
    return bytes(out)


def _automaton(rest: Sequence[Element]) -> Automaton:
    state = wild = wild_colon = loop = loop_colon = 0
    symbols: dict[int, int] = {}
    for token, point in rest:
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
