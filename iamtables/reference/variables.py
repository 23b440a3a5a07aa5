"""Policy variables: `${name}` and `${name, 'default'}` (VAR-1 to VAR-12).

Text is read into pieces first; only then is it split at colons or filled with values (VAR-12).
A piece that comes from a variable is ordinary characters, never a wildcard (VAR-3, VAR-5, VAR-9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .context import Context
from .foundations import UNKNOWN, note
from .globs import Character, Item, Question, Star, characters

SPECIAL = ("*", "?", "$")


class Variable(NamedTuple):
    """A variable that stands for the value of a context key."""

    name: str
    default: str | None


Piece = Item | Variable


def lex(
    text: str, *, has_variables: bool, has_wildcards: bool, rules: set[str] | None = None
) -> list[Piece]:
    """The pieces of a pattern or of a value (VAR-11).

    Without variables `${...}` is ordinary text whose `*` and `?` are wildcards like any other
    (VAR-2); without wildcards `*` and `?` are ordinary characters.
    """
    if not has_variables and "${" in text:
        note(rules, "VAR-2")
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        if has_variables and text.startswith("${", at):
            end = text.find("}", at)
            if end < 0:
                note(rules, "VAR-11")  # no `}`: the two characters are literal
                pieces += characters("${")
                at += 2
                continue
            pieces.append(_variable(text[at + 2 : end], rules))
            at = end + 1
            continue
        c = text[at]
        if has_wildcards and c == "*":
            pieces.append(Star())
        elif has_wildcards and c == "?":
            pieces.append(Question())
        else:
            pieces.append(Character(c))
        at += 1
    return pieces


def _variable(content: str, rules: set[str] | None) -> Piece:
    name, default = content, None
    start = content.find(", '")
    # The quote that closes the default is another one than the quote that opens it.
    if start >= 0 and content.endswith("'") and len(content) >= start + 4:
        name, default = content[:start], content[start + 3 : -1]
    if name != name.strip(" "):
        note(rules, "VAR-11")
    name = name.strip(" ")
    if name in SPECIAL:
        note(rules, "VAR-3")
        return Character(name)
    return Variable(name, default)


def unknown_keys(pieces: Sequence[Piece], context: Context) -> set[str]:
    """The keys, in lower case, that the variables name and whose value is unknown."""
    names = [p.name for p in pieces if isinstance(p, Variable) and ":" in p.name]  # VAR-11
    return {name.lower() for name in names if context.lookup(name) is UNKNOWN}


def substitute(
    pieces: Sequence[Piece], context: Context, rules: set[str] | None = None
) -> list[Item] | None:
    """The pieces with every variable replaced by its value; None if one is null (VAR-6)."""
    items: list[Item] = []
    for piece in pieces:
        if not isinstance(piece, Variable):
            items.append(piece)
            continue
        value = _value(piece.name, context, rules)
        if value is None and piece.default is not None:
            note(rules, "VAR-5")
            value = piece.default
        if value is None:
            note(rules, "VAR-6")
            return None
        if "*" in value or "?" in value:
            note(rules, "VAR-9")
        items += characters(value)
    return items


def _value(name: str, context: Context, rules: set[str] | None) -> str | None:
    """The value of a variable without its default; None if it has none."""
    if ":" not in name:
        note(rules, "VAR-11")  # a name that is not special and not a key
        return None
    value = context.lookup(name, rules)
    assert value is not UNKNOWN, "unknown variables are settled before substitution"
    note(rules, "VAR-4")
    if isinstance(value, list):
        note(rules, "VAR-8")
    if not isinstance(value, str):
        return None
    if value == "":
        note(rules, "VAR-7")
        return None
    return value


def text_of(items: Sequence[Item]) -> str:
    """The text of items that hold no wildcard."""
    texts = [item.character for item in items if isinstance(item, Character)]
    assert len(texts) == len(items)
    return "".join(texts)
