"""The types of condition operators: numbers, instants, booleans, bytes, networks (3.5 to 3.10).

Each `read_...` gives a value to compare, or None for text that is not of the type; such a
comparison is an error (COND-27). Only ASCII digits are digits.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from typing import NamedTuple

from .foundations import note

# ---------------------------------------------------------------------------------------------
# Numbers


class Number(NamedTuple):
    """sign * 0.DIGITS * 10**magnitude, DIGITS without zeros at either end; zero has sign 0.

    The exponent is never applied, so `1e999999999` costs no more than `10`.
    """

    sign: int
    magnitude: int
    digits: str


_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?)([0-9]+))?")


def read_number(text: str, rules: set[str] | None = None) -> Number | None:
    """An exact decimal number (COND-36)."""
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        note(rules, "COND-37")
        return None
    note(rules, "COND-36")
    sign, whole, fraction, bare_fraction, exponent_sign, exponent = parts.groups()
    whole = whole or ""
    fraction = fraction or bare_fraction or ""
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if not digits:
        return Number(0, 0, "")
    power = _integer(exponent or "0")
    if exponent_sign == "-":
        power = -power
    return Number(-1 if sign == "-" else 1, len(whole) - leading_zeros + power, digits)


def _integer(digits: str) -> int:
    """The number that decimal digits spell, however many they are."""
    number = 0
    for at in range(0, len(digits), 4000):  # int() refuses longer texts
        chunk = digits[at : at + 4000]
        number = number * 10 ** len(chunk) + int(chunk)
    return number


def compare_numbers(left: Number, right: Number) -> int:
    """-1, 0 or 1 as `left` is less than, equal to or greater than `right`."""
    if left.sign != right.sign:
        return -1 if left.sign < right.sign else 1
    size = _compare((left.magnitude, left.digits), (right.magnitude, right.digits))
    return size * left.sign


def _compare(left: tuple[int, str], right: tuple[int, str]) -> int:
    return -1 if left < right else 1 if left > right else 0


# ---------------------------------------------------------------------------------------------
# Instants


class Instant(NamedTuple):
    """Seconds since 1970-01-01T00:00:00Z, and the digits of the fraction after them."""

    second: int
    fraction: str


_EPOCH = re.compile(r"(-?)([0-9]+)")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def read_instant(text: str, rules: set[str] | None = None) -> Instant | None:
    """A date, a date with time, or epoch seconds (COND-41, COND-42)."""
    epoch = _EPOCH.fullmatch(text)
    if epoch is not None:
        note(rules, "COND-42")  # digits are epoch seconds, four of them too
        sign, digits = epoch.groups()
        return Instant(-_integer(digits) if sign else _integer(digits), "")
    note(rules, "COND-41")
    date = _DATE.fullmatch(text)
    if date is not None:
        # Reduced forms mean the first instant, in UTC.
        year, month, day = date.groups(default="01")
        midnight = _midnight(year, month, day, rules)
        return None if midnight is None else Instant(midnight, "")
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = parts.groups(
        default=""
    )
    midnight = _midnight(year, month, day, rules)
    if midnight is None:
        return None
    clock = [int(field or "0") for field in (hour, minute, second, zone_hour, zone_minute)]
    if any(number >= limit for number, limit in zip(clock, (24, 60, 60, 24, 60), strict=True)):
        note(rules, "COND-44")  # a leap second too
        return None
    offset = clock[3] * 3600 + clock[4] * 60
    instant = midnight + clock[0] * 3600 + clock[1] * 60 + clock[2]
    instant += offset if sign == "-" else -offset
    return Instant(instant, fraction.rstrip("0"))


def _midnight(year: str, month: str, day: str, rules: set[str] | None) -> int | None:
    try:
        date = datetime.date(int(year), int(month), int(day))
    except ValueError:
        note(rules, "COND-44")
        return None
    return (date.toordinal() - datetime.date(1970, 1, 1).toordinal()) * 86400


def compare_instants(left: Instant, right: Instant) -> int:
    """-1, 0 or 1 as `left` is before, at or after `right` (COND-43)."""
    return _compare(left, right)


# ---------------------------------------------------------------------------------------------
# Booleans and bytes


def read_boolean(text: str) -> bool | None:
    """`true` or `false`, in letters of any case (COND-45)."""
    return {"true": True, "false": False}.get(text.lower())


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def read_bytes(text: str) -> bytes | None:
    """Canonical base64 in the standard alphabet, padded (COND-50)."""
    if _BASE64.fullmatch(text) is None:
        return None
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return decoded if base64.b64encode(decoded).decode("ascii") == text else None


# ---------------------------------------------------------------------------------------------
# Addresses


class Network(NamedTuple):
    """All addresses of `bits` bits that share their first `prefix` bits with `address`."""

    bits: int
    address: int
    prefix: int


_OCTET = re.compile(r"0|[1-9][0-9]{0,2}")
_GROUP = re.compile(r"[0-9A-Fa-f]{1,4}")
_PREFIX = re.compile(r"[0-9]{1,3}")


def read_address(text: str) -> Network | None:
    """One IPv4 or IPv6 address (COND-55, COND-58)."""
    ipv4 = _ipv4(text)
    if ipv4 is not None:
        return Network(32, ipv4, 32)
    ipv6 = _ipv6(text)
    return None if ipv6 is None else Network(128, ipv6, 128)


def read_network(text: str) -> Network | None:
    """A CIDR range, or a single address (COND-55)."""
    address_text, slash, prefix_text = text.partition("/")
    single = read_address(address_text)
    if single is None or not slash:
        return single
    if _PREFIX.fullmatch(prefix_text) is None or int(prefix_text) > single.bits:
        return None
    return Network(single.bits, single.address, int(prefix_text))


def contains(network: Network, address: Network) -> bool:
    """Whether the address lies in the network; never across families (COND-56, COND-57)."""
    if network.bits != address.bits:
        return False
    host_bits = network.bits - network.prefix
    return network.address >> host_bits == address.address >> host_bits


def _ipv4(text: str) -> int | None:
    octets = text.split(".")
    if len(octets) != 4 or any(_OCTET.fullmatch(octet) is None for octet in octets):
        return None
    if any(int(octet) > 255 for octet in octets):
        return None
    number = 0
    for octet in octets:
        number = number * 256 + int(octet)
    return number


def _ipv6(text: str) -> int | None:
    head, double_colon, tail = text.partition("::")
    if "::" in tail or tail.startswith(":") or head.endswith(":"):
        return None
    left = _groups(head, is_end=not double_colon)
    right = _groups(tail, is_end=True)
    if left is None or right is None:
        return None
    missing = 8 - len(left) - len(right)
    if double_colon:
        if missing < 1:  # `::` stands for at least one group
            return None
    elif missing != 0:
        return None
    number = 0
    for group in left + [0] * missing + right:
        number = number * 0x10000 + group
    return number


def _groups(text: str, is_end: bool) -> list[int] | None:
    """Groups of 16 bits; at the end of an address the last two may be written as IPv4."""
    if text == "":
        return []
    groups: list[int] = []
    fields = text.split(":")
    for position, field in enumerate(fields):
        if _GROUP.fullmatch(field) is not None:
            groups.append(int(field, 16))
            continue
        embedded = _ipv4(field) if is_end and position == len(fields) - 1 else None
        if embedded is None:
            return None
        groups += [embedded >> 16, embedded & 0xFFFF]
    return groups
