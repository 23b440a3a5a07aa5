"""JSON text -> JSON nodes with spans, by `policy.lark`.

`parse_json` accepts exactly what RFC 8259 accepts and keeps what `json.loads` throws away: where
everything stands, which keys occur twice, and how a number was written (GRAM-5). Nothing here
knows IAM; `structure.py` gives the nodes their meaning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

from ..errors import LimitError, PolicySyntaxError
from ..source import Source, Span
from .json_errors import describe_json_error
from .lexing import Mark, Terminals, alternation, make_parser
from .tree import Text

MAX_DEPTH = 64
"""Levels of nesting; a policy needs six, the output of an AWS tool around it a few more."""


class JsonObject:
    """An object: its members by name. For a repeated key the last one stands (GRAM-2)."""

    __slots__ = ("end", "members", "repeats", "start")

    def __init__(self, start: int, repeats: list[tuple[Text, Text]]) -> None:
        self.start = start
        self.end = start
        self.members: dict[str, tuple[Text, JsonValue]] = {}
        self.repeats = repeats

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class JsonArray:
    """An array. `is_text` claims that every item is a `Text`."""

    __slots__ = ("end", "is_text", "items", "start")
    type: ClassVar[str] = "VALUE"

    def __init__(self, start: int, end: int, items: list[Any], is_text: bool) -> None:
        self.start = start
        self.end = end
        self.items = items
        self.is_text = is_text

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class JsonScalar:
    """A number, `true`, `false` or `null`, as written."""

    __slots__ = ("lexeme", "span")
    type: ClassVar[str] = "VALUE"

    def __init__(self, lexeme: str, span: Span) -> None:
        self.lexeme = lexeme
        self.span = span


JsonValue = JsonObject | JsonArray | JsonScalar | Text
JsonKind = Literal["object", "array", "string", "number", "boolean", "null"]


class Json(NamedTuple):
    """A parsed text."""

    root: JsonValue
    repeats: list[tuple[Text, Text]]
    """Keys that occur again in their object: (an earlier one, the next one)."""


def kind_of(value: JsonValue) -> JsonKind:
    """The JSON word for what `value` is."""
    if isinstance(value, Text):
        return "string"
    if isinstance(value, JsonObject):
        return "object"
    if isinstance(value, JsonArray):
        return "array"
    if value.lexeme == "null":
        return "null"
    return "boolean" if value.lexeme in ("true", "false") else "number"


def described(value: JsonValue) -> str:
    """What `value` is, with its article: `an array`, `null`."""
    kind = kind_of(value)
    return kind if kind == "null" else f"{'an' if kind in ('array', 'object') else 'a'} {kind}"


def parse_json(source: Source) -> Json:
    """The nodes of `source.text`. Linear in its length; never recurses.

    Raises PolicySyntaxError with one diagnostic if the text is not JSON, LimitError if it nests
    deeper than MAX_DEPTH.
    """
    from lark.exceptions import LarkError

    repeats: list[tuple[Text, Text]] = []
    try:
        root: JsonValue = _parser().parse(_Input(source, repeats))
    except (_NoToken, LarkError):
        raise PolicySyntaxError([describe_json_error(source)]) from None
    return Json(root, repeats)


class _NoToken(Exception):
    """No terminal starts here."""


class _Input(NamedTuple):
    source: Source
    repeats: list[tuple[Text, Text]]


class _Key:
    __slots__ = ("repeats", "start", "text", "type")

    def __init__(self, type: str, text: Text, start: int, repeats: Any) -> None:
        self.type = type
        self.text = text
        self.start = start
        self.repeats = repeats


class _Actions:
    """What the rules of `policy.lark` build."""

    @staticmethod
    def start(children: list[Any]) -> JsonValue:
        value: JsonValue = children[0]
        return value

    @staticmethod
    def empty_object(children: list[Any]) -> JsonObject:
        node = JsonObject(children[0].start, [])
        node.end = children[1].end
        return node

    @staticmethod
    def first_member(children: list[Any]) -> JsonObject:
        key, value = children
        node = JsonObject(key.start, key.repeats)
        node.members[key.text.value] = (key.text, value)
        return node

    @staticmethod
    def next_member(children: list[Any]) -> JsonObject:
        node: JsonObject
        node, key, value = children
        name = key.text.value
        if name in node.members:
            node.repeats.append((node.members[name][0], key.text))
        node.members[name] = (key.text, value)
        return node

    @staticmethod
    def object(children: list[Any]) -> JsonObject:
        node: JsonObject = children[0]
        node.end = children[1].end
        return node

    @staticmethod
    def empty_array(children: list[Any]) -> JsonArray:
        return JsonArray(children[0].start, children[1].end, [], True)

    @staticmethod
    def first_item(children: list[Any]) -> JsonArray:
        return JsonArray(children[0].start, 0, [children[1]], False)

    @staticmethod
    def next_item(children: list[Any]) -> JsonArray:
        node: JsonArray = children[0]
        node.items.append(children[2])
        return node

    @staticmethod
    def array(children: list[Any]) -> JsonArray:
        node: JsonArray = children[0]
        node.end = children[1].end
        return node


_ITEM = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
"""A string inside an array of strings that has already matched VALUE."""


def _text(text: str, start: int, end: int) -> Text:
    if "\\" in text[start:end]:
        value: str = json.loads(text[start:end])
        return Text(value, Span(start, end))
    return Text(text[start + 1 : end - 1], Span(start, end))


def _too_deep(source: Source, at: int) -> LimitError:
    return LimitError(
        f"`{source.locate(Span(at, at + 1))}` nests deeper than {MAX_DEPTH} levels",
        limit="MAX_DEPTH",
        allowed=MAX_DEPTH,
        given=MAX_DEPTH + 1,
        help="no policy needs more than six levels; check for repeated brackets",
    )


def _lex(terminals: Terminals, data: _Input) -> Iterator[Any]:
    source, repeats = data
    text = source.text
    position = depth = 0
    # `match`, not `finditer`: a search would try every later place for a start, and white space in
    # front of no token would take quadratic time.
    scanner: Any = alternation(terminals, before=r"[ \t\n\r]*+")
    for match in iter(scanner.scanner(text).match, None):
        kind: Any = match.lastgroup
        start, position = match.span(kind)
        if kind == "NEXT_KEY" or kind == "FIRST_KEY":
            if kind == "FIRST_KEY":
                depth += 1
                if depth > MAX_DEPTH:
                    raise _too_deep(source, start)
            key = _text(text, text.index('"', start), text.rindex('"', start, position) + 1)
            yield _Key(kind, key, start, repeats)
        elif kind == "VALUE":
            first = text[start]
            if first == '"':
                yield _text(text, start, position)
            elif first == "[":
                if depth >= MAX_DEPTH:
                    raise _too_deep(source, start)
                spans = [m.span() for m in _ITEM.finditer(text, start + 1, position)]
                yield JsonArray(start, position, [_text(text, a, b) for a, b in spans], True)
            else:
                yield JsonScalar(text[start:position], Span(start, position))
        else:
            if kind == "LBRACE" or kind == "LBRACKET":
                depth += 1
                if depth > MAX_DEPTH:
                    raise _too_deep(source, start)
            elif kind != "COMMA":
                depth -= 1
            yield Mark(kind, start, position)
    if text[position:].strip(" \t\n\r"):
        raise _NoToken
    yield Mark("END", position, position)


@cache
def _parser() -> Any:
    return make_parser("policy.lark", _lex, _Actions)
