"""Predicates over integer and time columns, vectorised and exact, without making texts.

`request < 9.5` over integers is `request < 10`: every numeric or date predicate becomes comparisons
with whole numbers of the column's unit, so no value is rounded.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .codes import SetOperator, State, Token
from .columns import TypedColumn
from .conditions import Predicate
from .literals import read_instant, read_number

_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
"""0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z."""

_EXPONENT_LIMIT = 400
"""Powers of ten that are turned into fractions; beyond, the text path decides."""


def typed_truth(predicate: Predicate, column: TypedColumn) -> NDArray[np.uint8] | None:
    """uint8[n] of State codes, or None when this predicate must look at texts."""
    base = predicate.base
    plain = predicate.set_operator == SetOperator.PLAIN
    if not plain or not base.startswith(("Numeric", "Date")) or predicate.variable_keys:
        return None
    scale = column.per_second
    if base.startswith("Numeric") == bool(scale):
        return None
    operands: list[Fraction] = []
    has_error = False
    for glyphs in predicate.values:
        if any(token != Token.POINT for token, _ in glyphs):
            return None
        text = "".join(chr(point) for _, point in glyphs)
        try:
            operand = _fraction(text, scale, base)
        except _TooLongError:
            return None
        if operand is None:
            has_error = True
        else:
            operands.append(operand)
    matched = np.zeros(len(column.values), dtype=bool)
    for operand in operands:
        matched |= _compare(column.values, operand, base)
    if predicate.negated:
        matched = ~matched if not has_error else np.zeros_like(matched)
    if scale and predicate.values:
        # No W3C form has these years, so their text is a type error under both signs (COND-27).
        matched &= ~_clipped(column.values, _FIRST_SECOND * scale - 1, "le")
        matched &= _clipped(column.values, _LAST_SECOND * scale + scale - 1, "le")
    truth = matched.astype(np.uint8)
    if column.valid is not None:
        absent = predicate.evaluate(None, {})
        truth[~column.valid] = int(State.YES if absent is State.YES else State.NO)
    return truth


class _TooLongError(Exception):
    """An operand that is left to the text path."""


def _fraction(text: str, scale: int, base: str) -> Fraction | None:
    """The operand in units of the column; None for a type error."""
    if base.startswith("Date"):
        instant = read_instant(text)
        if instant is None:
            return None
        whole = Fraction(instant.seconds)
        if instant.fraction:
            if len(instant.fraction) > _EXPONENT_LIMIT:
                raise _TooLongError
            whole += Fraction(int(instant.fraction), 10 ** len(instant.fraction))
        return whole * (scale or 1)
    number = read_number(text)
    if number is None:
        return None
    if abs(number.exponent) > _EXPONENT_LIMIT or len(number.digits) > _EXPONENT_LIMIT:
        raise _TooLongError
    return number.fraction()


def _compare(values: NDArray[np.int64], operand: Fraction, base: str) -> NDArray[np.bool_]:
    name = base.removeprefix("Numeric").removeprefix("Date")
    floor = operand.numerator // operand.denominator
    is_whole = operand.denominator == 1
    if name in ("Equals", "NotEquals"):
        return _clipped(values, floor, "eq") if is_whole else np.zeros(len(values), dtype=bool)
    if name == "LessThan":
        return _clipped(values, floor - 1 if is_whole else floor, "le")
    if name == "LessThanEquals":
        return _clipped(values, floor, "le")
    if name == "GreaterThan":
        return ~_clipped(values, floor, "le")
    return ~_clipped(values, floor - 1 if is_whole else floor, "le")


def _clipped(values: NDArray[np.int64], bound: int, how: str) -> NDArray[np.bool_]:
    """`values == bound` or `values <= bound` for a bound of any size."""
    if -(1 << 63) <= bound < 1 << 63:
        limit = np.int64(bound)
        return values == limit if how == "eq" else values <= limit
    inside = how == "le" and bound > 0
    return np.full(len(values), inside, dtype=bool)
