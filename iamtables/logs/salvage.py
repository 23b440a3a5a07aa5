"""Records out of text that the decoder refuses.

One escape that is no character (a user agent cut inside a surrogate pair, say) makes a delivery
file of thousands of records invalid JSON, and a half-written file ends inside a record. Neither may
hide the other records. The scanner here knows strings and brackets only: it finds where each item
of the `Records` array begins and ends, and leaves the judgement of each to the decoder. `repair`
replaces escapes that are no characters, because whoever sends a request chooses its user agent and
must not be able to hide the call with it. Both are linear in the text and meet refused text only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z|\\\Z)|[{}\[\]]', re.DOTALL)
_RECORDS = b'"Records"'
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|\\.", re.DOTALL)


def repair(data: bytes) -> bytes:
    """The JSON text with U+FFFD for surrogates that stand alone."""
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found.group(1) else found.group(), data)


@dataclass(frozen=True, slots=True)
class Salvage:
    """`items`: the complete items. `is_whole`: the document was closed properly after them."""

    items: list[bytes]
    is_whole: bool


def salvage_records(data: bytes) -> Salvage:
    """The items of the `Records` array at the top of a document."""
    items: list[bytes] = []
    depth = 0
    is_inside = False
    was_named = False
    start = -1
    for token in _TOKEN.finditer(data):
        text = token.group()
        if text in (b"{", b"["):
            depth += 1
            if depth == 2 and text == b"[" and was_named:
                is_inside = True
            elif depth == 3 and is_inside:
                start = token.start()
            was_named = False
        elif text in (b"}", b"]"):
            if depth == 3 and is_inside and start >= 0:
                items.append(data[start : token.end()])
                start = -1
            elif depth == 2:
                is_inside = False
            depth -= 1
            if depth <= 0:
                return Salvage(items, depth == 0)
        elif depth == 1:
            was_named = text == _RECORDS
    return Salvage(items, False)
