"""A source text and places in it. Shared by the stages that read text and those that explain it."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from .errors import Location

_ROW_LIMIT = 160


class Span(NamedTuple):
    """Half-open range of code-point offsets into a source text."""

    start: int
    end: int


class Source:
    """One text with a name (and the date its wrapper gave), able to say where an offset lies."""

    __slots__ = ("_starts", "date", "name", "text")

    def __init__(self, name: str, text: str, date: str = "") -> None:
        self.name = name
        self.text = text
        self.date = date
        self._starts: list[int] | None = None

    def locate(self, span: Span) -> Location:
        """Line, column and row of a span; a long row is clipped around it."""
        if self._starts is None:
            self._starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                self._starts.append(at + 1)
                at = self.text.find("\n", at + 1)
        line = bisect_right(self._starts, span.start)
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        row = self.text[start:end].rstrip("\r")
        column = span.start - start + 1
        length = max(1, min(span.end, end) - span.start)
        row_column = 0
        if len(row) > _ROW_LIMIT:
            cut = max(0, column - 1 - 40)
            row, row_column = row[cut : cut + _ROW_LIMIT], column - cut
        return Location(self.name, line, column, length, row, row_column)
