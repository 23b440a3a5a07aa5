"""A compiled table as named arrays, with the few views that Python code needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

from ..errors import Location
from ..options import Options
from ..source import Source, Span
from .codes import NO_ID, Effect, KeyKind
from .conditions import Glyph, VariableTable
from .values import decode_text


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A context key the policies ask for, as they spell it."""

    name: str
    kind: KeyKind


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A document the table was compiled from. `date` is what its wrapper gave, or empty."""

    name: str
    date: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StatementInfo:
    """A statement and where it stands. `effect` is `?` when it could not be read."""

    id: int
    policy: str
    index: int
    sid: str
    effect: str
    location: Location
    is_in_collection: bool = False
    """Its policy is one of several in a file, so that the file's name does not tell which."""

    @property
    def label(self) -> str:
        """`Sid`, or `statement N` (1-based) where there is none."""
        return self.sid or f"statement {self.index + 1}"

    def __str__(self) -> str:
        return f"{self.effect} {self.label} ({self.location})"


_EFFECT_NAMES = {Effect.ALLOW: "Allow", Effect.DENY: "Deny", Effect.UNREADABLE: "?"}


class TableModel:
    """Arrays of runtime/schema.py under names, and their decoded small parts. Immutable."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        self.arrays = arrays
        self.meta = meta
        self.options = Options.from_mapping(dict(meta["options"]))
        self.frame: Mapping[str, Any] = meta["frame"]
        """`kind`: identity, layers or organization; `missing_layers`, `missing_unknown`."""
        self.glyphs = lru_cache(maxsize=None)(self._glyphs)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def texts(self, name: str) -> list[str]:
        data = self.arrays[name].tobytes()
        starts = self.arrays[f"{name}_start"].tolist()
        return [decode_text(data[a:b]) for a, b in pairwise(starts)]

    @cached_property
    def keys(self) -> tuple[KeyInfo, ...]:
        kind_of = {int(kind): kind for kind in KeyKind}
        kinds = map(kind_of.__getitem__, self.arrays["key_kind"].tolist())
        return tuple(map(KeyInfo, self.texts("key_name"), kinds))

    @cached_property
    def variables(self) -> VariableTable:
        keys = [-1 if k == NO_ID else k for k in self.arrays["variable_key"].tolist()]
        given = self.arrays["variable_has_default"].tolist()
        defaults = self.texts("variable_default")
        return VariableTable(keys, [d if g else None for d, g in zip(defaults, given, strict=True)])

    def _glyphs(self, sequence: int) -> tuple[Glyph, ...]:
        starts, tokens, arguments = self._all_glyphs
        start, stop = starts[sequence : sequence + 2]
        return tuple(zip(tokens[start:stop], arguments[start:stop], strict=True))

    @cached_property
    def _all_glyphs(self) -> tuple[list[int], list[int], list[int]]:
        """Starts of sequences, tokens and arguments."""
        arrays = self.arrays
        return (arrays["sequence_start"].tolist(), arrays["glyph_token"].tolist(),
                arrays["glyph_argument"].tolist())

    @cached_property
    def sources(self) -> tuple[SourceInfo, ...]:
        return tuple(
            map(
                SourceInfo,
                self.texts("source_name"),
                self.texts("source_date"),
                self.texts("source_version"),
                self.texts("source_sha256"),
            )
        )

    @cached_property
    def source_texts(self) -> tuple[Source, ...]:
        arrays = self.arrays
        return tuple(
            Source(name, text, line=line, column=column)
            for name, text, line, column in zip(
                self.texts("source_name"),
                self.texts("source_text"),
                arrays["source_line"].tolist(),
                arrays["source_column"].tolist(),
                strict=True,
            )
        )

    @cached_property
    def sids(self) -> list[str]:
        return self.texts("statement_sid")

    @property
    def statement_count(self) -> int:
        return len(self.arrays["statement_effect"])

    @lru_cache(maxsize=4096)  # noqa: B019 - a model lives as long as its table
    def statement(self, statement: int) -> StatementInfo:
        document = int(self.arrays["statement_document"][statement])
        source = self.source_texts[document]
        return StatementInfo(
            id=statement,
            policy=self.sources[document].name,
            index=int(self.arrays["statement_index"][statement]),
            sid=self.sids[statement],
            effect=_EFFECT_NAMES[Effect(int(self.arrays["statement_effect"][statement]))],
            location=self.locate(statement, self.part_span(statement, 0)),
            is_in_collection=source.line > 1 or source.column > 1,
        )

    def part_span(self, statement: int, part: int) -> Span:
        """Span of a statement (part 0), its effect (1), action (2), resource (3), principal (4)."""
        start, stop = self.arrays["statement_span"][statement * 10 + part * 2 :][:2].tolist()
        return Span(start, stop)

    def locate(self, statement: int, span: Span) -> Location:
        document = int(self.arrays["statement_document"][statement])
        return self.source_texts[document].locate(span)

    def entries(self, kind: str, statement: int) -> list[tuple[int, Span]]:
        """Entries of `action`, `resource` or `predicate`: (id or -1 when void, span)."""
        start, stop = self.arrays[f"{kind}_entry_start"][statement : statement + 2].tolist()
        ids = self.arrays[f"{kind}_entry_id"][start:stop].tolist()
        spans = self.arrays[f"{kind}_entry_span"][2 * start : 2 * stop].reshape(-1, 2).tolist()
        return [
            (-1 if i == NO_ID else i, Span(a, b)) for i, (a, b) in zip(ids, spans, strict=True)
        ]

