"""Numbers, instants, addresses and base64 of condition values, exactly (COND-35 to COND-58).

Every reader returns None for text that is not of its type: a type error (COND-27). Values compare
with `<` and `==` and may be put in sets.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

LITERAL_LIMIT = 1 << 16
"""Longest text read as a number or an instant, in characters; longer text is a type error."""

_NUMBER = re.compile(r"([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?", re.ASCII)
_EPOCH = re.compile(r"-?\d+", re.ASCII)
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(?:([Zz])|([+-])(\d\d):(\d\d)))?)?)?",
    re.ASCII,
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class Number(NamedTuple):
    """An exact decimal of any size: sign, then magnitude by exponent and digits.

    Ordered as a tuple: for negative numbers the exponent is negated and the digits complemented, so
    that no power of ten is ever computed (`1e999999999` costs nothing).
    """

    sign: int
    exponent: int
    digits: str

    def fraction(self) -> Fraction:
        """The same number; costs as much memory as its exponent is large."""
        if self.sign < 0:
            digits, point = self.digits[:-1].translate(_COMPLEMENT), -self.exponent
        else:
            digits, point = self.digits or "0", self.exponent
        return self.sign * Fraction(int(digits)) * Fraction(10) ** (point - len(digits))


_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def read_number(text: str) -> Number | None:
    """COND-36: exact decimal; `10`, `10.0`, `010` and `1e1` are equal."""
    if len(text) > LITERAL_LIMIT:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, bare, exponent = match.groups()
    before, after = (whole, fraction or "") if whole is not None else ("", bare)
    digits = (before + after).lstrip("0")
    point = len(before) - (len(before + after) - len(digits)) + _integer(exponent or "0")
    digits = digits.rstrip("0")
    if not digits:
        return Number(0, 0, "")
    if sign == "-":
        # The terminator sorts a longer run of digits (a larger magnitude) first.
        return Number(-1, -point, digits.translate(_COMPLEMENT) + ":")
    return Number(1, point, digits)


def _integer(text: str) -> int:
    """Exact, also past the number of digits that `int` takes from text."""
    return int(text) if len(text) <= 4000 else int(Decimal(text))


class Instant(NamedTuple):
    """Seconds since 1970 and the digits of the fraction, without trailing zeros."""

    seconds: int
    fraction: str


def read_instant(text: str) -> Instant | None:
    """COND-41, COND-42: W3C date-time forms, or epoch seconds."""
    if len(text) > LITERAL_LIMIT:
        return None
    if _EPOCH.fullmatch(text):
        return Instant(_integer(text), "")
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zulu, sign, ahead, behind = match.groups()
    del zulu
    try:
        ordinal = date(int(year), int(month or 1), int(day or 1)).toordinal()
    except ValueError:
        return None
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        return None
    offset = 0
    if sign:
        if int(ahead) > 23 or int(behind) > 59:
            return None
        offset = (int(ahead) * 60 + int(behind)) * (60 if sign == "+" else -60)
    seconds = (ordinal - _EPOCH_DAY) * 86400 + h * 3600 + m * 60 + s - offset
    return Instant(seconds, (fraction or "").rstrip("0"))


def read_bool(text: str) -> bool | None:
    """COND-45: `true` or `false` in any case of letters."""
    lowered = text.lower()
    return True if lowered == "true" else False if lowered == "false" else None


def read_binary(text: str) -> bytes | None:
    """COND-50: base64, standard alphabet, padded, without stray trailing bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Network(NamedTuple):
    """A CIDR block: family, prefix mask and masked bits (COND-55, COND-56)."""

    family: int
    mask: int
    bits: int


def read_address(text: str) -> tuple[int, int] | None:
    """Family and bits of an IP literal; zone ids and leading zeros are type errors (COND-58)."""
    if "%" in text or "/" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.version, int(address)


_PREFIX = re.compile(r"\d{1,3}", re.ASCII)


def read_network(text: str) -> Network | None:
    """A CIDR block, or a single address; host bits are ignored."""
    host, slash, prefix = text.partition("/")
    address = read_address(host)
    if address is None:
        return None
    family, bits = address
    width = 32 if family == 4 else 128
    length = width
    if slash:
        if not _PREFIX.fullmatch(prefix) or int(prefix) > width:
            return None
        length = int(prefix)
    mask = ((1 << length) - 1) << (width - length)
    return Network(family, mask, bits & mask)
