"""JSON text -> JSON nodes with spans, by `policy.lark`.

`parse_json` accepts exactly what RFC 8259 accepts and keeps what `json.loads` throws away: where
everything stands, which keys occur twice, and how a number was written (GRAM-5). Nothing here
knows IAM; `structure.py` gives the nodes their meaning.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

from ..errors import LimitError, PolicySyntaxError
from ..source import Source, Span
from .json_errors import describe_json_error
from .json_reader import (
    MAX_DEPTH,
    JsonArray,
    JsonObject,
    JsonScalar,
    NotJson,
    ParseTable,
    Text,
    TooDeep,
    read_json,
)
from .lexing import lalr_tables

__all__ = [
    "MAX_DEPTH",
    "Json",
    "JsonArray",
    "JsonKind",
    "JsonObject",
    "JsonScalar",
    "JsonValue",
    "Text",
    "described",
    "kind_of",
    "parse_json",
]

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
    repeats: list[tuple[Text, Text]] = []
    try:
        root: JsonValue = read_json(source.text, _table(), repeats)
    except NotJson:
        raise PolicySyntaxError([describe_json_error(source)]) from None
    except TooDeep as error:
        raise _too_deep(source, error.args[0]) from None
    return Json(root, repeats)


def _too_deep(source: Source, at: int) -> LimitError:
    return LimitError(
        f"`{source.locate(Span(at, at + 1))}` nests deeper than {MAX_DEPTH} levels",
        limit="MAX_DEPTH",
        allowed=MAX_DEPTH,
        given=MAX_DEPTH + 1,
        help="no policy needs more than six levels; check for repeated brackets",
    )


@cache
def _table() -> ParseTable:
    return ParseTable(*lalr_tables("policy.lark"))
