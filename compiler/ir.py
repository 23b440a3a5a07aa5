"""The intermediate representation: statements over interned patterns, sets, keys and predicates.

Everything is frozen and hash-consed: equal patterns, equal sets and equal predicates exist once per
program and are named by their index. Spans live on the statements, so nothing shared forgets where
it was written. What there are many of is kept as arrays (compiler/parts.py), and a named tuple for
who looks at one. `compiler.render.emit_ir` prints the stable text form that tests
compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..options import Options
from ..runtime.codes import Effect, KeyKind, Layer, PrincipalKind, SetOperator
from ..source import Source, Span
from .glyphs import Glyph, Glyphs, Variable

__all__ = [
    "ActionPattern",
    "Document",
    "Entry",
    "Glyph",
    "Glyphs",
    "Key",
    "PatternSet",
    "Predicate",
    "PrincipalElement",
    "Program",
    "ResourcePattern",
    "Statement",
    "Variable",
]


class ActionPattern(NamedTuple):
    """A glob over the lower-cased `service:name` (ACT-1, ACT-2); canonical, so `a**b` is `a*b`."""

    text: str


class ResourcePattern(NamedTuple):
    """A resource pattern with the reach of each wildcard decided (RES-4).

    encoded, variables : its glyphs (compiler/glyphs.py)
    text               : as a policy spells it, the first one if several mean the same

    Invariant: `is_all` holds exactly for patterns of stars only, which alone match `*` (RES-1).
    """

    encoded: bytes
    variables: tuple[Variable, ...] = ()
    is_all: bool = False
    text: str = ""

    @property
    def glyphs(self) -> Glyphs:
        return Glyphs(self.encoded, self.variables)


class PatternSet(NamedTuple):
    """An `Action` or `Resource` element: matches when a pattern does, or when none does."""

    negated: bool
    pattern_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A condition key as a policy spells it.

    Keys compare without case (COND-4), but where a context holds several that differ only in case
    the exactly spelled one counts (COND-5), so two spellings stay two keys here.
    """

    name: str
    kind: KeyKind


@dataclass(frozen=True, slots=True)
class Predicate:
    """One operator x key x values entry (COND-1). `constant` is set by a pass that decided it."""

    set_operator: SetOperator
    base: str
    if_exists: bool
    key_id: int
    values: tuple[Glyphs, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable for value in self.values for variable in value.variables)


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """A `Principal` or `NotPrincipal`. `flags` are the PRINCIPAL_ flags of runtime/codes.py.

    entries : alternatives; those that match nobody are left out
    """

    flags: int
    entries: tuple[tuple[PrincipalKind, str], ...]


class Entry(NamedTuple):
    """Where one action, resource or predicate of a statement was written; id -1: a void entry."""

    id: int
    span: Span


class Statement(NamedTuple):
    """One statement. A set id of -1 means that the element could not be read."""

    document: int
    index: int  # type: ignore[assignment]  # not the method of tuples
    layer: Layer
    effect: Effect
    sid: str
    action_set: int
    resource_set: int
    principal: int
    """Id of its principal element; -1 where its policy type has none."""
    predicate_ids: tuple[int, ...]
    flags: int
    span: Span
    effect_span: Span
    action_span: Span
    resource_span: Span
    principal_span: Span
    action_entries: tuple[Entry, ...] = ()
    resource_entries: tuple[Entry, ...] = ()
    predicate_entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A source of statements. `diagnostic_count` is what the parser and the passes found."""

    source: Source
    version: str
    diagnostic_count: int


@dataclass(frozen=True, slots=True)
class Program:
    """A whole compilation. Lowering gives the sequences of compiler/parts.py."""

    options: Options
    documents: tuple[Document, ...]
    keys: tuple[Key, ...]
    action_patterns: tuple[ActionPattern, ...]
    resource_patterns: Sequence[ResourcePattern]
    action_sets: Sequence[PatternSet]
    resource_sets: Sequence[PatternSet]
    predicates: tuple[Predicate, ...]
    principals: tuple[PrincipalElement, ...]
    statements: Sequence[Statement]
