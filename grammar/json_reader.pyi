"""JSON text -> nodes: a scanner, and a loop over the tables that Lark makes of `policy.lark`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..source import Span

TERMINALS: tuple[str, ...]
RULES: tuple[str, ...]
MAX_DEPTH: int

class NotJson(Exception):
    """No token starts where one must, or one that the grammar does not allow there."""

class TooDeep(Exception):
    """Nested deeper than MAX_DEPTH; the argument is the offset of the bracket too much."""

class Text:
    """A string, number or boolean of the document: its value as text (GRAM-5) and its span.

    The span covers the token as written, quotes included.
    """

    @property
    def value(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def span(self) -> Span: ...
    def __init__(self, value: str, span: tuple[int, int]) -> None:
        """span : a `Span`, or its two offsets"""

class JsonScalar:
    """A number, `true`, `false` or `null`, as written."""

    @property
    def lexeme(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def span(self) -> Span: ...

class JsonArray:
    """An array. `is_text` claims that every item is a `Text`."""

    @property
    def items(self) -> list[Any]: ...
    @property
    def is_text(self) -> bool: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def span(self) -> Span: ...

class JsonObject:
    """An object: (key, value) by name. For a repeated key the last one stands (GRAM-2)."""

    @property
    def members(self) -> dict[str, tuple[Text, Any]]: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def span(self) -> Span: ...

class ParseTable:
    """LALR tables of `policy.lark`: what to do at a terminal, where to go after a rule."""

    def __init__(
        self,
        actions: Sequence[Mapping[str, tuple[str, int]]],
        gotos: Sequence[Mapping[int, int]],
        rules: Sequence[tuple[str, int]],
        start: int,
        accept: int,
    ) -> None:
        """
        actions : by state, of each terminal that may come: ("shift", state) or ("reduce", rule)
        gotos   : by state, of each rule that may end there: the state after its left side
        rules   : (name in RULES, length of the right side)
        """

def read_json(text: str, table: ParseTable, repeats: list[tuple[Text, Text]]) -> Any:
    """The node of a text. Keys that occur again in their object are appended to `repeats`, as (an
    earlier one, the next one). Linear in the length of the text; never recurses.

    Raises NotJson, and TooDeep beyond MAX_DEPTH, whichever is met first.
    """
