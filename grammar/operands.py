"""Can a condition value be read as its operator's type? (COND-27 and sections 3.5 to 3.11)

The parser only warns about such a value; what it does to a request is decided by the evaluators.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EPOCH = re.compile(r"-?[0-9]+")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-]([0-9]{2}):([0-9]{2})))?)?"
)
_PREFIX = re.compile(r"[0-9]{1,3}")
_FIRST_EPOCH = -62_135_596_800
_LAST_EPOCH = 253_402_300_799


def is_number(text: str) -> bool:
    """COND-36."""
    return _NUMBER.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """COND-41, COND-42, COND-44."""
    if _EPOCH.fullmatch(text):
        digits = text.lstrip("-0") or "0"
        sign = -1 if text.startswith("-") else 1
        return len(digits) <= 12 and _FIRST_EPOCH <= sign * int(digits) <= _LAST_EPOCH
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second, zone_hour, zone_minute = (
        None if group is None else int(group) for group in match.groups()
    )
    assert year is not None and month is not None
    try:
        datetime(year, month, 1 if day is None else day, hour or 0, minute or 0, second or 0)
    except ValueError:
        return False
    return (zone_hour or 0) <= 23 and (zone_minute or 0) <= 59


def is_boolean(text: str) -> bool:
    """COND-45, COND-48."""
    return text.lower() in ("true", "false")


def is_base64(text: str) -> bool:
    """COND-50: standard alphabet, padded, no stray bits."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        return False


def is_ip_range(text: str) -> bool:
    """COND-55, COND-58: an address, or an address and a prefix length."""
    address, slash, prefix = text.partition("/")
    if "%" in address or (slash and _PREFIX.fullmatch(prefix) is None):
        return False
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not slash or int(prefix) <= ip.max_prefixlen


OPERAND_CHECKS: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "Numeric": (is_number, "a number", "write a number such as `10` or `0.5`"),
    "Date": (
        is_date,
        "a date",
        "write `2030-01-31T00:00:00Z`, with its time zone, or epoch seconds",
    ),
    "Bool": (is_boolean, "`true` or `false`", "write `true` or `false`"),
    "Null": (
        is_boolean,
        "`true` or `false`",
        "write `true` for an absent key, `false` for one that is present",
    ),
    "Binary": (is_base64, "base64 text", "encode the bytes in base64, with padding"),
    "Ip": (
        is_ip_range,
        "an IP address range",
        "write an address or a range such as `198.51.100.0/24`",
    ),
}
"""By family: the check, what it asks for, and the remedy."""


@cache
def family_of(base: str) -> str:
    """`String`, `Numeric`, `Date`, `Bool`, `Null`, `Binary`, `Ip` or `Arn`."""
    for family in ("String", "Arn", "Numeric", "Date", "Bool", "Null", "Binary"):
        if base.startswith(family):
            return family
    return "Ip"
