"""Context values of a request that is written as JSON: text, with every digit kept.

The semantics compare texts and exact numbers (GRAM-5, COND-36), so a JSON number must not pass
through binary floating point: values are taken as raw slices of the line.
"""

from __future__ import annotations

import msgspec

from .errors import RequestError


def scalar_text(raw: bytes, name: str) -> str:
    """A JSON scalar as text: strings decoded, numbers and booleans as written (GRAM-5)."""
    first = raw[:1]
    if first == b'"':
        return msgspec.json.decode(raw, type=str)
    if first in (b"[", b"{", b"n", b""):
        raise RequestError(f"the value of `{name}` is not text, a number or a boolean",
                           field=name, help="give a scalar or a list of scalars")
    return raw.decode("ascii")


def context_value(raw: bytes, name: str) -> str | list[str] | None:
    """A JSON context value: a scalar, a list of scalars, or null for an absent key (COND-13)."""
    if raw[:1] == b"[":
        return [scalar_text(bytes(element), name)
                for element in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    return None if raw == b"null" else scalar_text(raw, name)
