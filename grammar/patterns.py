"""Patterns and ARN patterns as tokens, by `pattern.lark` and `arn.lark`.

A pattern is text with wildcards and, where the rules allow them, policy variables. Tokens are those
of `tree.py`; neighbouring runs are merged, so two spellings of the same pattern (`${*}` next to
text) give equal tokens. Texts without `${` skip the parser: they are cut at their wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from .lexing import Mark, Terminals, alternation, make_parser
from .memo import Memo
from .tree import PatternToken, Question, Run, Star, Variable

SEGMENT_COUNT = 6
"""`arn:partition:service:region:account:resource`."""

_SPECIAL = frozenset("*?$")
_STAR = Star()
_QUESTION = Question()


def parse_pattern(text: str, *, variables: bool) -> tuple[PatternToken, ...]:
    """The tokens of a pattern; `variables` says whether `${...}` is one (GRAM-11, VAR-1).

    Never fails: every text is a pattern. Linear in the length of `text`. `${*}`, `${?}` and `${$}`
    are resolved into runs (VAR-3); no two runs are neighbours.
    """
    return (_with_variables if variables and "${" in text else _plain)[text]


def split_arn(tokens: tuple[PatternToken, ...]) -> tuple[tuple[PatternToken, ...], ...]:
    """One to six segments of an ARN pattern; literal colons separate the first five (VAR-12)."""
    segments: tuple[tuple[PatternToken, ...], ...] = _arn_parser().parse(_ArnInput(tokens))
    return segments


def parse_variable(content: str) -> Run | Variable:
    """What `${content}` stands for (VAR-3, VAR-5, VAR-11)."""
    default = None
    at = content.find(", '")
    # The closing quote is another one than the opening quote: `${a, '}` has no default.
    if at >= 0 and len(content) > at + 3 and content.endswith("'"):
        content, default = content[:at], content[at + 3 : -1]
    name = content.strip(" ")
    return Run(name) if name in _SPECIAL else Variable(name, default)


class _PatternInput(NamedTuple):
    text: str


class _ArnInput(NamedTuple):
    tokens: tuple[PatternToken, ...]


class _Token:
    __slots__ = ("type", "value")
    start_pos = line = column = end_line = end_column = end_pos = None

    def __init__(self, type: str, value: PatternToken) -> None:
        self.type = type
        self.value = value


class _Actions:
    """What the rules of both grammars build."""

    @staticmethod
    def pattern(children: list[_Token]) -> tuple[PatternToken, ...]:
        merged: list[PatternToken] = []
        runs: list[str] = []
        for child in children:
            if child.type == "RUN":
                runs.append(child.value.text)  # type: ignore[union-attr]
                continue
            if runs:
                merged.append(Run("".join(runs)))
                runs = []
            merged.append(child.value)
        if runs:
            merged.append(Run("".join(runs)))
        return tuple(merged)

    @staticmethod
    def segment(children: list[_Token]) -> tuple[PatternToken, ...]:
        return tuple([child.value for child in children])

    @staticmethod
    def arn(children: list[Any]) -> tuple[tuple[PatternToken, ...], ...]:
        return tuple([child for child in children if not isinstance(child, Mark)])


_PLAIN = re.compile(r"[*?]|[^*?]++")
_WILD: dict[str, PatternToken] = {"*": _STAR, "?": _QUESTION}
_STAR_TOKEN = _Token("STAR", _STAR)
_QUESTION_TOKEN = _Token("QUESTION", _QUESTION)


def _lex_pattern(terminals: Terminals, data: _PatternInput) -> Iterator[_Token]:
    text = data.text
    # Behind the last `}` no variable can end, so `$` is ordinary there (VAR-11). Looking for the
    # missing `}` at every `${` would take quadratic time.
    active = text.rfind("}") + 1
    every = alternation(terminals)
    for match in chain(every.finditer(text, 0, active), _PLAIN.finditer(text, active)):
        part = match[0]
        if part == "*":
            yield _STAR_TOKEN
        elif part == "?":
            yield _QUESTION_TOKEN
        elif match.lastgroup == "VARIABLE":
            value = parse_variable(part[2:-1])
            yield _Token("RUN" if type(value) is Run else "VARIABLE", value)
        else:
            yield _Token("RUN", Run(part))


_TYPES = {Run: "RUN", Star: "STAR", Question: "QUESTION", Variable: "VARIABLE"}


def _lex_arn(terminals: Terminals, data: _ArnInput) -> Iterator[Any]:
    colons_left = SEGMENT_COUNT - 1
    for token in data.tokens:
        if type(token) is Run and colons_left and ":" in token.text:
            pieces = token.text.split(":", colons_left)
            colons_left -= len(pieces) - 1
            for i, piece in enumerate(pieces):
                if i:
                    yield Mark("COLON", 0, 0)
                if piece:
                    yield _Token("RUN", Run(piece))
        else:
            yield _Token(_TYPES[type(token)], token)


def _parse(text: str) -> tuple[PatternToken, ...]:
    tokens: tuple[PatternToken, ...] = _pattern_parser().parse(_PatternInput(text))
    return tokens


def _cut(text: str) -> tuple[PatternToken, ...]:
    return tuple([_WILD[part] if part in _WILD else Run(part) for part in _PLAIN.findall(text)])


_with_variables = Memo(_parse)
_plain = Memo(_cut)


@cache
def _pattern_parser() -> Any:
    return make_parser("pattern.lark", _lex_pattern, _Actions)


@cache
def _arn_parser() -> Any:
    return make_parser("arn.lark", _lex_arn, _Actions)
