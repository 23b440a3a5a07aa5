"""What a program has many of, as arrays: statements, resource patterns, sets of patterns.

Lowering fills arrays and tables are made of arrays, so neither needs an object for each. Who looks
at single ones (comparison, rendering, passes) gets named tuples of ir.py, made when asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..runtime.codes import NO_ID, Effect, Layer
from ..runtime.values import decode_text
from ..source import Span
from .glyphs import Variable
from .ir import Entry, PatternSet, ResourcePattern, Statement

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]


class _Made(Sequence[T], Generic[T]):
    """A sequence whose items are made when they are first asked for, and kept."""

    def __init__(self, count: int) -> None:
        self._made: list[T | None] = [None] * count

    @abstractmethod
    def _make(self, at: int) -> T: ...

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        if isinstance(at, slice):
            return tuple([self[i] for i in range(*at.indices(len(self)))])
        found = self._made[at]
        if found is None:
            found = self._made[at] = self._make(at % len(self._made))
        return found


class Statements(_Made[Statement]):
    """The statements of a program.

    arrays : columns by name, as in runtime/schema.py
    """

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(len(arrays["statement_document"]))
        self.arrays = arrays

    def replaced(self, **arrays: NDArray[Any]) -> Statements:
        """The same statements with other columns."""
        return Statements({**self.arrays, **arrays})

    @cached_property
    def _columns(self) -> dict[str, list[int]]:
        return {name: array.tolist() for name, array in self.arrays.items()
                if name != "statement_sid"}

    def _make(self, at: int) -> Statement:
        columns = self._columns

        def number(name: str) -> int:
            found = columns[f"statement_{name}"][at]
            return -1 if found == NO_ID else found

        def entries(kind: str) -> tuple[Entry, ...]:
            start, stop = columns[f"{kind}_entry_start"][at : at + 2]
            ids = columns[f"{kind}_entry_id"][start:stop]
            places = columns[f"{kind}_entry_span"][2 * start : 2 * stop]
            return tuple([
                Entry(-1 if i == NO_ID else i, Span(a, b))
                for i, a, b in zip(ids, places[::2], places[1::2], strict=True)
            ])

        start, stop = columns["statement_predicate_start"][at : at + 2]
        letters, end = columns["statement_sid_start"][at : at + 2]
        offsets = columns["statement_span"][10 * at : 10 * at + 10]
        span, effect, action, resource, principal = map(Span, offsets[::2], offsets[1::2])
        return Statement(
            number("document"),
            number("index"),
            Layer(number("layer")),
            Effect(number("effect")),
            decode_text(self.arrays["statement_sid"][letters:end].tobytes()),
            number("action_set"),
            number("resource_set"),
            number("principal"),
            tuple(columns["statement_predicate"][start:stop]),
            number("flags"),
            span,
            effect,
            action,
            resource,
            principal,
            entries("action"),
            entries("resource"),
            entries("predicate"),
        )


class ResourcePatterns(_Made[ResourcePattern]):
    """The resource patterns of a program.

    encoded, start             : end to end, where each begins and the last one ends
    is_all                     : uint8[n]
    spelled, spelled_start     : their texts, likewise
    variables                  : by number, of those that have any
    """

    def __init__(
        self,
        encoded: bytes,
        start: NDArray[np.uint32],
        is_all: NDArray[np.uint8],
        spelled: NDArray[np.uint8],
        spelled_start: NDArray[np.uint32],
        variables: Mapping[int, tuple[Variable, ...]],
    ) -> None:
        super().__init__(len(is_all))
        self.encoded = encoded
        self.start = start
        self.is_all = is_all
        self.spelled = spelled
        self.spelled_start = spelled_start
        self.variables = variables

    @cached_property
    def _offsets(self) -> tuple[list[int], list[int]]:
        return self.start.tolist(), self.spelled_start.tolist()

    def _make(self, at: int) -> ResourcePattern:
        starts, spelled = self._offsets
        return ResourcePattern(
            self.encoded[starts[at] : starts[at + 1]],
            self.variables.get(at, ()),
            bool(self.is_all[at]),
            decode_text(self.spelled[spelled[at] : spelled[at + 1]].tobytes()),
        )


class PatternSets(_Made[PatternSet]):
    """The action or resource sets of a program.

    negated        : uint8[n]
    start, pattern : where the patterns of each begin, those of the last one end; their ids
    """

    def __init__(
        self, negated: NDArray[np.uint8], start: NDArray[np.uint32], pattern: NDArray[np.uint32]
    ) -> None:
        super().__init__(len(negated))
        self.negated = negated
        self.start = start
        self.pattern = pattern

    def patterns_of(self, number: int) -> tuple[int, ...]:
        return tuple(self.pattern[self.start[number] : self.start[number + 1]].tolist())

    def _make(self, at: int) -> PatternSet:
        return PatternSet(bool(self.negated[at]), self.patterns_of(at))

    def of_several(self) -> list[int]:
        """Numbers of the sets of more than one pattern."""
        return np.flatnonzero(np.diff(self.start) > 1).tolist()

    def with_patterns(self, kept: Mapping[int, Sequence[int]]) -> PatternSets:
        """The same sets, but these of these patterns only."""
        sizes = np.diff(self.start)
        fewer = {i: patterns for i, patterns in kept.items() if len(patterns) < sizes[i]}
        if not fewer:
            return self
        parts, begin = [], 0
        for number, patterns in sorted(fewer.items()):
            parts.append(self.pattern[begin : self.start[number]])
            parts.append(np.array(patterns, dtype=np.uint32))
            begin = int(self.start[number + 1])
            sizes[number] = len(patterns)
        start = np.zeros(len(self.start), dtype=np.uint32)
        np.cumsum(sizes, out=start[1:])
        return PatternSets(self.negated, start, np.concatenate([*parts, self.pattern[begin:]]))

    def holding(self, wanted: set[int]) -> NDArray[np.bool_]:
        """bool[n]: which sets hold one of the wanted patterns."""
        found = np.zeros(len(self), dtype=np.bool_)
        if wanted:
            chosen = np.zeros(int(self.pattern.max(initial=max(wanted))) + 1, dtype=np.bool_)
            chosen[list(wanted)] = True
            found[np.repeat(np.arange(len(self)), np.diff(self.start))[chosen[self.pattern]]] = True
        return found
