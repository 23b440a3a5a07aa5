"""Patterns as bytes, for the tries: UTF-8, and one byte per wildcard that UTF-8 never holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..runtime.codes import WILD_BYTE, Token

Element = tuple[Token, int]
"""A token and, for a POINT, its code point."""

_STAR, _ANY = bytes([WILD_BYTE + Token.STAR]), bytes([WILD_BYTE + Token.ANY])


def encode_glob(text: str) -> bytes:
    """A glob whose every `*` and `?` is a wildcard and may match every character (GLOB-1)."""
    return as_glob(encode_point_text(text))


def as_glob(encoded: bytes) -> bytes:
    """Encoded texts, every `*` and `?` a wildcard; no longer than they were."""
    return encoded.replace(b"*", _STAR).replace(b"?", _ANY)


def encode_elements(elements: Iterable[Element]) -> bytes:
    """A pattern without variables."""
    return b"".join(map(encode_element, elements))


def encode_element(element: Element) -> bytes:
    token, point = element
    return encode_point_text(chr(point)) if token is Token.POINT else bytes([WILD_BYTE + token])


def encode_point_text(text: str) -> bytes:
    """UTF-8, with lone surrogates encoded as the code points they are (GLOB-3)."""
    return text.encode("utf-8", "surrogatepass")


def decode_elements(encoded: bytes) -> Iterator[Element]:
    """What `encode_elements` was given."""
    begin = 0
    for at, byte in enumerate(encoded):
        if byte > WILD_BYTE:
            yield from _points(encoded[begin:at])
            yield Token(byte - WILD_BYTE), 0
            begin = at + 1
    yield from _points(encoded[begin:])


def _points(literal: bytes) -> Iterator[Element]:
    for character in literal.decode("utf-8", "surrogatepass"):
        yield Token.POINT, ord(character)
