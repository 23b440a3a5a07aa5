"""Context values: from what callers write to the bytes that interners keep, and back.

A scalar is its text in UTF-8. A list is the byte 0xFF, then per element a four-byte length and the
text (runtime/column.pyx writes the same form). Lone surrogates stay the code points they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

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


PER_SECOND = {
    "s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18,
}  # fmt: skip
"""Units in which numpy and Arrow count instants."""


def instant_text(value: int, per_second: int) -> str:
    """W3C form, in UTC, of an instant given in parts of a second since 1970 (COND-41).

    Outside the years 1 to 9999 there is no such form; the text is then a type error (COND-27).
    """
    seconds, rest = divmod(value, per_second)
    text = str(np.datetime64(seconds, "s"))
    digits = f"{rest:0{len(str(per_second)) - 1}d}".rstrip("0") if rest else ""
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def is_null(value: object) -> bool:
    """None, or what numpy and pandas put in its place."""
    if value is None:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, float | datetime | np.floating | np.datetime64):
        return bool(value != value)  # NaN, NaT
    return type(value).__name__ == "NAType"  # pandas.NA, which answers no comparison


def scalar_text(value: object, key: str) -> str | None:
    """Text of one context value (GRAM-5, COND-13); None for a null.

    Raises RequestError for a value that has no text form in a request context.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, np.datetime64):
        return _numpy_instant(value, key)
    if isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError:  # thousands of digits: more than Python writes out
            raise _no_text(value, key) from None
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        try:
            text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
        except OverflowError:
            raise _no_text(value, key) from None
        return (text.rstrip("0") if "." in text else text) + "Z"
    if isinstance(value, date):
        return value.isoformat()
    raise _no_text(value, key)


def _numpy_instant(value: np.datetime64, key: str) -> str | None:
    if np.isnat(value):
        return None
    unit, step = np.datetime_data(value.dtype)
    if unit in PER_SECOND and step == 1:
        return instant_text(int(value.astype(np.int64)), PER_SECOND[unit])
    unit = unit if unit in PER_SECOND else "s"
    exact = value.astype(f"datetime64[{unit}]")
    if exact.astype(value.dtype) != value:
        raise _no_text(value, key)
    return instant_text(int(exact.astype(np.int64)), PER_SECOND[unit])


def _no_text(value: object, key: str) -> RequestError:
    return RequestError(
        f"`{key}` cannot hold a value of type `{type(value).__name__}`",
        field="context",
        help="give text, a number, a boolean, a time, or a list of these",
    )


def texts_of(value: object, key: str) -> str | tuple[str, ...] | None:
    """Text of a scalar, texts of a list; None when absent. Nulls inside a list are left out."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.ndim else value[()]
    if isinstance(value, Iterable) and not isinstance(value, _NO_LISTS):
        texts = (scalar_text(v, key) for v in value)
        return tuple(text for text in texts if text is not None)
    return scalar_text(value, key)


_NO_LISTS = (str, bytes, bytearray, memoryview, Mapping)


def encode_value(value: object, key: str) -> bytes | None:
    """Bytes of a scalar or a list; None when absent."""
    if isinstance(value, str):
        return encode_text(value)
    texts = texts_of(value, key)
    if texts is None:
        return None
    return encode_text(texts) if isinstance(texts, str) else encode_list(texts)


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
