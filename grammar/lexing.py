"""Lark parsers whose lexer is one compiled regular expression.

`policy.lark`, `pattern.lark` and `arn.lark` define their terminals; this module turns them into one
alternation, ordered by priority, and loads a grammar once, when something is parsed for the first
time. Lark itself is imported only then: opening a compiled table must not pay for a parser.
A lexer yields any object that has a `type` (the name of its terminal), so most tokens are already
the node that the tree will hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Protocol

Terminals = tuple[tuple[str, str], ...]
"""Name and regular expression of a grammar's terminals, in the order in which they are tried."""


class LexFunction(Protocol):
    """Splits `data` into tokens, by the terminals of the grammar."""

    def __call__(self, terminals: Terminals, data: Any) -> Iterator[Any]: ...


@cache
def alternation(terminals: Terminals, *, before: str = "") -> re.Pattern[str]:
    """One expression with a named group per terminal; `before` is matched in front of each."""
    choices = "|".join(f"(?P<{name}>{regex})" for name, regex in terminals)
    return re.compile(f"{before}(?:{choices})")


class Mark:
    """A token without a value: punctuation, or the end of the input."""

    __slots__ = ("end", "start", "type")

    # Lark makes its own end token from the last one, and asks for these.
    start_pos = line = column = end_line = end_column = end_pos = None

    def __init__(self, type: str, start: int, end: int) -> None:
        self.type = type
        self.start = start
        self.end = end


@cache
def _grammar_text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def make_parser(grammar: str, lex: LexFunction, actions: object) -> Any:
    """The `lark.Lark` of the file `grammar`. Its rules call the methods of `actions` of their name,
    with the list of children, while parsing: no tree is built in between."""
    from lark import Lark
    from lark.lexer import Lexer

    class OneRegexLexer(Lexer):
        __future_interface__ = 0

        def __init__(self, configuration: Any) -> None:
            terminals = sorted(configuration.terminals, key=lambda t: -t.priority)
            self.terminals = tuple((t.name, t.pattern.to_regexp()) for t in terminals)

        def lex(self, data: Any) -> Iterator[Any]:  # type: ignore[override]
            return lex(self.terminals, data)

    return Lark(
        _grammar_text(grammar),
        parser="lalr",
        lexer=OneRegexLexer,
        transformer=actions,
        propagate_positions=False,
        maybe_placeholders=False,
    )
