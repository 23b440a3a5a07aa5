"""What a session found out about the values of dictionary columns, kept from batch to batch.

A batch learns of each dictionary value what it comes to: an id, the row of a resource, the state
of a condition. The next batch often brings the same dictionary, as a stream does and a service that
asks about one table again and again. Then it takes over what the last one learnt.

Whether a dictionary is the same is never guessed. Its texts are compared with those it was learnt
from, unless they lie at the same place, and those are still there: their buffers are held. A list
of texts is the same if it holds the same objects: texts do not change, and these are held too. Only
columns whose buffers nobody writes to are kept (`Column.is_lasting`): Arrow's, which never change,
and those that were made here from lists and codes. So a changed list is another dictionary, and an
address that was freed and given out again cannot be met.

What was learnt holds for one engine, one use of a column, and until the engine drops its caches.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from .column import BoundColumn
from .columns import CodedColumn, Column, Intern, Packed
from .engine import Engine
from .objects import are_same

MOST_EACH = 2
"""Dictionaries kept of each column."""


class _Listed(NamedTuple):
    """A list of texts as it was, and as it was encoded."""

    texts: list[str]
    encoded: Packed


class _Kept(NamedTuple):
    with_what: Hashable
    column: BoundColumn
    size: int
    listed: _Listed | None


class KnownDictionaries:
    """Dictionary columns that one engine has met, the latest of each.

    limit_bytes : memory of the dictionaries and of what was learnt of them, apart from the engine's
                  caches; the columns unused for longest are let go first
    """

    def __init__(self, engine: Engine, limit_bytes: int) -> None:
        self._engine = engine
        self._limit = limit_bytes
        self._generation = engine.generation
        self._kept: dict[Hashable, list[_Kept]] = {}
        self._bytes = 0

    def bind(
        self, use: Hashable, column: Column, n: int, intern: Intern, with_what: Hashable = None
    ) -> BoundColumn:
        """The column bound to the engine, with what is known of its dictionary.

        use       : the role of the column, whose ids and states are its own
        with_what : what else was learnt from; only the same counts as known
        """
        if not column.is_lasting:
            return column.bind(n, intern)
        if self._generation != self._engine.generation:
            self.forget()
        kept = self._kept.pop(use, [])
        texts = _unread_list(column)
        listed = None if texts is None else _find_list(texts, kept)
        if listed is not None:
            column.encoded = listed.encoded  # type: ignore[attr-defined]
        bound = column.bind(n, intern)
        if texts is not None and listed is None and all(type(text) is str for text in texts):
            listed = _Listed(list(texts), column.encoded)  # type: ignore[attr-defined]
        for at, before in enumerate(kept):
            if before.with_what == with_what and bound.adopt(before.column):
                del kept[at]
                self._bytes -= before.size
                break
        size = bound.dictionary_bytes
        if size <= self._limit:
            kept.append(_Kept(with_what, bound, size, listed))
            self._bytes += size
        if len(kept) > MOST_EACH:
            self._bytes -= kept.pop(0).size
        self._kept[use] = kept
        while self._bytes > self._limit:
            self._let_go()
        return bound

    def _let_go(self) -> None:
        """Drop the dictionaries of the column that was met longest ago."""
        use = next(iter(self._kept))
        self._bytes -= sum(kept.size for kept in self._kept.pop(use))

    def forget_rows(self) -> None:
        """Let go of the rows of the batch; the dictionaries stay."""
        for kept in self._kept.values():
            for one in kept:
                one.column.forget_rows()

    def forget(self) -> None:
        """Drop everything."""
        self._generation = self._engine.generation
        self._kept.clear()
        self._bytes = 0


def _unread_list(column: Column) -> list[Any] | None:
    """The dictionary of a column, if it is a list of which nothing has been read yet."""
    if isinstance(column, CodedColumn) and column.encoded is None and (
            type(column.originals) is list):
        return column.originals
    return None


def _find_list(texts: list[Any], kept: list[_Kept]) -> _Listed | None:
    for before in kept:
        if before.listed is not None and are_same(before.listed.texts, texts):
            return before.listed
    return None
