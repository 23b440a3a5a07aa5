"""Context values: from what callers write to the bytes that interners keep, and back.

A scalar is its text in UTF-8. A list is the byte 0xFF, then per element a four-byte length and the
text (runtime/column.pyx writes the same form). Lone surrogates stay the code points they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from ..errors import ColumnError, RequestError
from .codes import KeyKind

LIST_MARK = b"\xff"


def encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def scalar_text(value: object, key: str) -> str | None:
    """Text of one context value (GRAM-5, COND-13); None for a null.

    Raises RequestError for a value that has no text form in a request context.
    """
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "item") and not isinstance(value, str):  # a numpy scalar
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    raise RequestError(
        f"context key `{key}` cannot hold a value of type `{type(value).__name__}`",
        field="context",
        help="give text, a number, a boolean, a time, or a list of these",
    )


def encode_value(value: object, key: str) -> bytes | None:
    """Bytes of a scalar or a list; None when absent. Nulls inside a list are left out."""
    if isinstance(value, str):
        return encode_text(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        texts = [t for t in (scalar_text(v, key) for v in value) if t is not None]
        return encode_list(texts)
    text = scalar_text(value, key)
    return None if text is None else encode_text(text)


def encode_list(texts: Iterable[str]) -> bytes:
    out = bytearray(LIST_MARK)
    for text in texts:
        data = encode_text(text)
        out += len(data).to_bytes(4, "little")
        out += data
    return bytes(out)


def decode_value(data: bytes, kind: int, key: str) -> str | tuple[str, ...]:
    """A value as predicates see it, shaped by the declared kind of its key (COND-11)."""
    if data[:1] != LIST_MARK:
        text = decode_text(data)
        return (text,) if kind == KeyKind.MULTI else text
    texts: list[str] = []
    at = 1
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        texts.append(decode_text(data[at + 4 : at + 4 + size]))
        at += 4 + size
    if kind == KeyKind.SINGLE:
        if len(texts) > 1:
            raise ColumnError(
                f"key `{key}` is single-valued and was given {len(texts)} values",
                column=key,
                help="give one value per request (COND-11)",
            )
        if texts:
            return texts[0]
    return tuple(texts)
