"""Why a text is not JSON: one diagnostic with the place, the reason and a remedy.

The parser only says that a text is wrong. This module reads the text again, slowly, token by
token with the state machine of RFC 8259, and explains the first place where it goes astray in
words of its author's habits: comments, trailing commas, single quotes, Python constants.
It runs only for texts that have been refused, and needs no recursion.
"""

from __future__ import annotations

import re

from ..errors import Diagnostic
from ..source import Source, Span
from .findings import NOT_JSON, quoted

_SPACE = re.compile(r"[ \t\n\r]*+")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_SCALAR = re.compile(
    r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+|true|false|null)"
    r"(?![0-9A-Za-z_.+-])"
)
_WORD = re.compile(r"[0-9A-Za-z_.+-]+")
_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}


class _Problem(Exception):
    def __init__(self, start: int, end: int, message: str, help: str) -> None:
        super().__init__(message)
        self.span = Span(start, max(end, start + 1))
        self.message = message
        self.help = help


def describe_json_error(source: Source) -> Diagnostic:
    """The diagnostic of a text that the parser refused."""
    try:
        _scan(source.text)
    except _Problem as problem:
        return NOT_JSON.at(source, problem.span, problem.message, help=problem.help)
    return NOT_JSON.at(source, Span(0, 1), "the text is not JSON")


def _scan(text: str) -> None:
    """Walks over the text and raises `_Problem` at the first place that is not JSON."""
    closers: list[tuple[str, int]] = []
    at = _skip(text, 0)
    if at == len(text):
        raise _Problem(0, 0, "the document is empty", "a policy starts with `{`")
    expects_value = True
    while True:
        if expects_value:
            if text[at : at + 1] in ("{", "["):
                closer = "}" if text[at] == "{" else "]"
                opened, at = at, _skip(text, at + 1)
                if text[at : at + 1] == closer:
                    at += 1
                else:
                    closers.append((closer, opened))
                    if closer == "}":
                        at = _key(text, at, closers)
                    continue
            else:
                at = _scalar(text, at, closers)
            expects_value = False
        at = _skip(text, at)
        if not closers:
            if at < len(text):
                raise _Problem(
                    at,
                    at + 1,
                    "there is text after the end of the document",
                    "a file holds one JSON document; remove what follows it",
                )
            return
        closer, _ = closers[-1]
        found = text[at : at + 1]
        if found == closer:
            closers.pop()
            at += 1
        elif found == ",":
            comma, at = at, _skip(text, at + 1)
            if text[at : at + 1] in ("}", "]"):
                raise _Problem(
                    comma,
                    comma + 1,
                    f"a comma stands before `{text[at]}`",
                    "remove the trailing comma",
                )
            if closer == "}":
                at = _key(text, at, closers)
            expects_value = True
        elif found == "":
            raise _unclosed(text, closers)
        else:
            raise _unexpected(text, at, f"`,` or `{closer}`")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _key(text: str, at: int, closers: list[tuple[str, int]]) -> int:
    """The offset of the value after the key at `at`."""
    if at == len(text):
        raise _unclosed(text, closers)
    if text[at] != '"':
        raise _unexpected(text, at, "a key in double quotes")
    at = _skip(text, _string(text, at))
    if at == len(text):
        raise _unclosed(text, closers)
    if text[at] != ":":
        raise _unexpected(text, at, "`:` after the key")
    return _skip(text, at + 1)


def _scalar(text: str, at: int, closers: list[tuple[str, int]]) -> int:
    if at == len(text):
        raise _unclosed(text, closers)
    if text[at] == '"':
        return _string(text, at)
    match = _SCALAR.match(text, at)
    if match is None:
        raise _unexpected(text, at, "a value")
    return match.end()


def _string(text: str, at: int) -> int:
    match = _STRING.match(text, at)
    assert match is not None
    end = match.end()
    found = text[end : end + 1]
    if found == '"':
        return end + 1
    if found == "":
        raise _Problem(
            at,
            end,
            "the text ends inside a string",
            "close the string with a double quote; the file may be cut off",
        )
    if found == "\\":
        length = 6 if text[end + 1 : end + 2] == "u" else 2
        raise _Problem(
            end,
            end + length,
            f"{quoted(text[end : end + length])} is no escape that JSON knows",
            "write a backslash itself as `\\\\`",
        )
    if found in "\r\n":
        raise _Problem(
            at,
            end,
            "a string does not end on its line",
            "close it with a double quote, or write a line break as `\\n`",
        )
    raise _Problem(
        end,
        end + 1,
        f"a string holds the control character U+{ord(found):04X}",
        f"write it as `\\u{ord(found):04x}`, or remove it",
    )


def _unclosed(text: str, closers: list[tuple[str, int]]) -> _Problem:
    end = len(text)
    if not closers:
        return _Problem(
            end - 1, end, "the text ends before the document does", "the file may be cut off"
        )
    closer, opened = closers[-1]
    return _Problem(
        opened,
        opened + 1,
        f"the text ends before the `{closer}` that closes this `{text[opened]}`",
        f"add the missing `{closer}`; the file may be cut off",
    )


def _unexpected(text: str, at: int, wanted: str) -> _Problem:
    if at == len(text):
        return _Problem(
            at - 1, at, f"expected {wanted}, found the end of the text", "the file may be cut off"
        )
    found = text[at]
    word = _WORD.match(text, at)
    end = word.end() if word else at + 1
    help = f"write {wanted} here"
    if text.startswith(("//", "/*", "#"), at):
        return _Problem(at, at + 1, "JSON has no comments", "remove the comment")
    if found in "'`\u2018\u2019\u201c\u201d":
        help = 'use plain double quotes, `"`'
    elif found == '"':
        wanted_comma = "," in wanted
        help = "put a comma between the two values" if wanted_comma else help
    elif word and word[0] in _WORDS:
        help = f"JSON writes `{_WORDS[word[0]]}`"
    elif word and (word[0] in ("NaN", "Infinity", "-Infinity")):
        help = "JSON has no such number; write it as a string"
    elif word and wanted == "a value":
        help = "a number has no leading zeros and no bare point; quote anything else"
    elif found in "{[" and "," in wanted:
        help = "put a comma between the two values"
    return _Problem(at, end, f"expected {wanted}, found {quoted(text[at:end])}", help)
