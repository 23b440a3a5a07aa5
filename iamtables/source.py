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
    """One text with a name (and the date its wrapper gave), able to say where an offset lies.

    The text may be a piece of the file `name`: it begins there at `line` and `column`.
    """

    __slots__ = ("_starts", "column", "date", "line", "name", "text")

    def __init__(
        self, name: str, text: str, date: str = "", *, line: int = 1, column: int = 1
    ) -> None:
        self.name = name
        self.text = text
        self.date = date
        self.line = line
        self.column = column
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
        if line == 1 and self.column > 1:  # what stands before the piece on its line is not here
            row_column = row_column or column
            column += self.column - 1
        return Location(self.name, line + self.line - 1, column, length, row, row_column)
