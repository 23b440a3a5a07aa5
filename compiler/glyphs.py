"""Compiled patterns: code points, wildcards with their reach, and variables.

A pattern is kept as bytes (compiler/encoding.py), its variables beside them: made, hashed and
compared a hundred thousand times, where its glyphs are looked at one by one only by who compares
policies or prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

from ..runtime.codes import Token
from .encoding import decode_elements, encode_element


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key, 'default'}`. `key_id` -1: a name that is no key, which is always null (VAR-11)."""

    key_id: int
    default: str | None


@dataclass(frozen=True, slots=True)
class Glyph:
    """One element of a compiled pattern: a code point, a wildcard, or a variable."""

    token: Token
    point: int = 0
    """Code point of a `POINT`."""
    variable: Variable | None = None


class Glyphs(Sequence[Glyph]):
    """A sequence of glyphs.

    encoded   : as compiler/encoding.py has it, a byte of its own for every variable
    variables : one for each of these bytes, in order
    """

    __slots__ = ("encoded", "variables")

    def __init__(self, encoded: bytes, variables: tuple[Variable, ...] = ()) -> None:
        self.encoded = encoded
        self.variables = variables

    @classmethod
    def of(cls, glyphs: Iterable[Glyph]) -> Glyphs:
        listed = list(glyphs)
        return cls(
            b"".join([encode_element((g.token, g.point)) for g in listed]),
            tuple([g.variable for g in listed if g.variable is not None]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Glyphs):
            return NotImplemented
        return self.encoded == other.encoded and self.variables == other.variables

    def __hash__(self) -> int:
        return hash((self.encoded, self.variables)) if self.variables else hash(self.encoded)

    def __iter__(self) -> Iterator[Glyph]:
        variables = iter(self.variables)
        for token, point in decode_elements(self.encoded):
            if token is Token.VARIABLE:
                yield Glyph(token, 0, next(variables))
            else:
                yield _glyph(token, point)

    def __len__(self) -> int:
        return sum(1 for _ in decode_elements(self.encoded))

    @overload
    def __getitem__(self, at: int) -> Glyph: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Glyph, ...]: ...
    def __getitem__(self, at: int | slice) -> Glyph | tuple[Glyph, ...]:
        return tuple(self)[at]

    def __repr__(self) -> str:
        return f"Glyphs({self.encoded!r}, {self.variables!r})"


@lru_cache(maxsize=1 << 12)
def _glyph(token: Token, point: int) -> Glyph:
    return Glyph(token, point)
