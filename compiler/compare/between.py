"""Texts of numbers, instants and addresses that lie between, below and above given ones.

A predicate on an ordered type can change its answer only at its own operands. So one value at each
operand and one inside each gap between them stand for all values of the type.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from ...runtime.literals import (
    Instant,
    Network,
    Number,
    read_instant,
    read_number,
)

_PLAIN_EXPONENT = 40
"""Numbers below 10**40 with as many digits are handled as fractions, which gives plain texts."""


def number_samples(texts: Iterable[str]) -> list[str]:
    """Texts of numbers: the given ones, one in each gap, one below and one above all."""
    found: dict[Number, str] = {}
    for text in texts:
        number = read_number(text)
        if number is not None:
            found.setdefault(number, text)
    ordered = sorted(found)
    out = [found[number] for number in ordered]
    if not ordered:
        return ["1"]
    gaps = [_beyond(ordered[0], -1), _beyond(ordered[-1], 1)]
    gaps += [_middle(a, b) for a, b in pairwise(ordered)]
    return out + gaps


def _is_plain(number: Number) -> bool:
    return abs(number.exponent) <= _PLAIN_EXPONENT and len(number.digits) <= _PLAIN_EXPONENT


def _fraction(number: Number) -> Fraction:
    """The value of a plain number."""
    if number.sign == 0:
        return Fraction(0)
    negative = number.sign < 0
    digits, exponent = number.digits, number.exponent
    if negative:
        digits, exponent = digits[:-1].translate(_COMPLEMENT), -exponent
    size = Fraction(int(digits)) * Fraction(10) ** (exponent - len(digits))
    return -size if negative else size


_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def _beyond(number: Number, direction: int) -> str:
    """A number below (-1) or above (1)."""
    if _is_plain(number):
        value = _fraction(number)
        floor = value.numerator // value.denominator
        return str(floor + 1 if direction > 0 else -(-value.numerator // value.denominator) - 1)
    if number.sign == direction:  # away from zero
        magnitude = number.exponent if direction > 0 else -number.exponent
        return f"{'-' if direction < 0 else ''}1e{magnitude + 1}"
    return "1" if direction > 0 else "-1"


def _middle(low: Number, high: Number) -> str:
    """A number strictly between, as plain as there is."""
    if _is_plain(low) and _is_plain(high):
        return decimal_between(_fraction(low), _fraction(high))
    if low.sign < 0 < high.sign:
        return "0"
    if low.sign == 0 or high.sign == 0:
        bound = high if low.sign == 0 else low
        exponent = bound.exponent if bound.sign > 0 else -bound.exponent
        return f"{'-' if bound.sign < 0 else ''}1e{exponent - 2}"
    if low.sign < 0:
        digits, exponent = _after(_magnitude(high), _magnitude(low))
        return f"-0.{digits}e{exponent}"
    digits, exponent = _after(_magnitude(low), _magnitude(high))
    return f"0.{digits}e{exponent}"


def _magnitude(number: Number) -> tuple[int, str]:
    if number.sign < 0:
        return -number.exponent, number.digits[:-1].translate(_COMPLEMENT)
    return number.exponent, number.digits


def _after(small: tuple[int, str], large: tuple[int, str]) -> tuple[str, int]:
    """Digits and exponent of 0.DIGITS * 10**EXPONENT strictly between two such positive numbers.

    The digits of the smaller one, padded to the length of both, then a 5: less than one unit in the
    last place more, so below the larger one. No power of ten is computed.
    """
    exponent, digits = small
    size = max(len(digits), len(large[1]))
    return digits.ljust(size, "0") + "5", exponent


def decimal_between(low: Fraction, high: Fraction) -> str:
    """The decimal with the fewest places strictly between, near the middle."""
    places = 0
    while True:
        scale = 10**places
        first = low.numerator * scale // low.denominator + 1
        last = -(-high.numerator * scale // high.denominator) - 1
        if first <= last:
            return _decimal(first + (last - first) // 2, places)
        places += 1


def _decimal(scaled: int, places: int) -> str:
    if places == 0:
        return str(scaled)
    sign, digits = ("-", str(-scaled)) if scaled < 0 else ("", str(scaled))
    digits = digits.rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


_FIRST_SECOND = -62135596800
"""0001-01-01T00:00:00Z"""
_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z"""
_ZONE = 23 * 3600 + 59 * 60
"""The largest offset from UTC that can be written."""


def instant_samples(texts: Iterable[str]) -> list[str]:
    """Texts of instants: the given ones, one in each gap that holds one, one before, one after.

    Outside the years 1 to 9999 (in some time zone) only whole seconds can be written (COND-41,
    COND-42), so a gap there may hold no instant at all.
    """
    found: dict[Instant, str] = {}
    for text in texts:
        instant = read_instant(text)
        if instant is not None:
            found.setdefault(instant, text)
    ordered = sorted(found)
    out = [found[instant] for instant in ordered]
    if not ordered:
        return ["2026-01-01T00:00:00Z"]
    first, last = ordered[0], ordered[-1]
    # The instant before `s.f` is second s itself when there is a fraction, else second s - 1.
    out.append(_instant(first.seconds if first.fraction else first.seconds - 1, ""))
    out.append(_instant(last.seconds + 1, ""))
    for a, b in pairwise(ordered):
        middle = _middle_instant(a, b)
        if middle is not None:
            out.append(middle)
    return out


def _middle_instant(low: Instant, high: Instant) -> str | None:
    if high.seconds - low.seconds >= 2:
        return _instant(low.seconds + (high.seconds - low.seconds) // 2, "")
    if high.seconds > low.seconds and high.fraction:
        return _instant(high.seconds, "")
    if not _FIRST_SECOND - _ZONE <= low.seconds <= _LAST_SECOND + _ZONE:
        return None
    ceiling = high.fraction if high.seconds == low.seconds else ""
    size = max(len(low.fraction), len(ceiling))
    return _instant(low.seconds, low.fraction.ljust(size, "0") + "5")


def _instant(seconds: int, fraction: str) -> str:
    zone, shift = "Z", 0
    if seconds < _FIRST_SECOND:
        zone, shift = "+23:59", _ZONE
    elif seconds > _LAST_SECOND:
        zone, shift = "-23:59", -_ZONE
    local = seconds + shift
    if (shift and not fraction) or not _FIRST_SECOND <= local <= _LAST_SECOND:
        return str(seconds)
    moment = datetime.datetime(1, 1, 1) + datetime.timedelta(seconds=local - _FIRST_SECOND)
    return f"{moment.isoformat()}{'.' + fraction if fraction else ''}{zone}"


def address_samples(networks: Iterable[Network]) -> list[str]:
    """One address of every set that these networks tell apart, in both families.

    Every network is an interval; the first address of each elementary interval is taken, inside
    the networks first.
    """
    starts: dict[int, set[int]] = {4: {0}, 6: {0}}
    inside: dict[int, set[int]] = {4: set(), 6: set()}
    for network in networks:
        width = 32 if network.family == 4 else 128
        size = (1 << width) - network.mask
        starts[network.family].add(network.bits)
        inside[network.family].add(network.bits)
        if network.bits + size < 1 << width:
            starts[network.family].add(network.bits + size)
    out: list[str] = []
    for family in (4, 6):
        for bits in sorted(starts[family], key=lambda b: (b not in inside[family], b)):
            out.append(_address(family, bits, starts[family]))
    return out


def _address(family: int, bits: int, starts: set[int]) -> str:
    """The address, or its successor where that belongs to the same interval and is a host's."""
    width = 32 if family == 4 else 128
    if bits + 1 not in starts and bits + 1 < 1 << width and bits & 1 == 0:
        bits += 1
    return str(ipaddress.IPv4Address(bits) if family == 4 else ipaddress.IPv6Address(bits))
