"""What a side of a comparison accepts, as a boolean formula over statements.

A side allows a request when its *grant* holds and none of its Deny statements matches. The grant is
monotone: gates (some Allow statement of one layer matches) under AND and OR. Identity policies are
one gate; a boundary, a session policy or each level of SCPs is one more gate under AND, and a way
through a resource policy is one more branch under OR. Statements are named by their index in the
program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ...runtime.codes import FLAG_NEVER, Effect
from .. import ir


class Remembered:
    """Hashed once: formulas are keys of what is remembered about them, and may be long.

    A dataclass that compares has to name `__hash__` itself, or it is given another one.
    """

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        fields: tuple[str, ...] = self.__match_args__  # type: ignore[attr-defined]
        return hash(tuple([getattr(self, name) for name in fields]))


@dataclass(frozen=True)
class Gate(Remembered):
    """Open when one of these Allow statements matches."""

    statements: tuple[int, ...]
    __hash__ = Remembered.__hash__


@dataclass(frozen=True)
class AllOf(Remembered):
    """teller : the part whose statements tell of a request; None: the one with the fewest"""

    parts: tuple[Grant, ...]
    teller: int | None = None
    __hash__ = Remembered.__hash__


@dataclass(frozen=True)
class AnyOf(Remembered):
    parts: tuple[Grant, ...]
    __hash__ = Remembered.__hash__


Grant = Gate | AllOf | AnyOf


@dataclass(frozen=True)
class Acceptor(Remembered):
    """One side: allows when `grant` holds and none of `denies` matches."""

    grant: Grant
    denies: tuple[int, ...] = ()
    __hash__ = Remembered.__hash__

    @cached_property
    def allows(self) -> tuple[int, ...]:
        """All Allow statements of the grant, ascending."""
        return tuple(sorted(set(_statements(self.grant))))

    @cached_property
    def drivers(self) -> tuple[int, ...]:
        """Allow statements of which at least one matches every request that the grant lets through.

        Of layers under AND the one with the fewest statements is enough.
        """
        return tuple(sorted(set(_cover(self.grant))))


def _statements(grant: Grant) -> Iterable[int]:
    if isinstance(grant, Gate):
        yield from grant.statements
    else:
        for part in grant.parts:
            yield from _statements(part)


def _cover(grant: Grant) -> list[int]:
    if isinstance(grant, Gate):
        return list(grant.statements)
    covers = [_cover(part) for part in grant.parts]
    if isinstance(grant, AllOf):
        if not covers:
            raise ValueError("a grant without any gate has no statement that could be told of")
        return min(covers, key=len) if grant.teller is None else covers[grant.teller]
    return [statement for cover in covers for statement in cover]


def gate(program: ir.Program, documents: Iterable[int]) -> Gate:
    """The gate of the Allow statements of these documents."""
    wanted = set(documents)
    return Gate(tuple(
        i for i, s in enumerate(program.statements)
        if s.document in wanted and s.effect is not Effect.DENY and not s.flags & FLAG_NEVER
    ))


def denies(program: ir.Program, documents: Iterable[int]) -> tuple[int, ...]:
    """The Deny statements of these documents."""
    wanted = set(documents)
    return tuple(
        i for i, s in enumerate(program.statements)
        if s.document in wanted and s.effect is not Effect.ALLOW and not s.flags & FLAG_NEVER
    )


def identity(program: ir.Program, documents: Iterable[int]) -> Acceptor:
    """Identity policies of one principal, alone."""
    listed = list(documents)
    return Acceptor(gate(program, listed), denies(program, listed))
