"""Condition operators by name: `[ForAllValues:|ForAnyValue:]Base[IfExists]` (COND-6, COND-7)."""

from __future__ import annotations

from typing import NamedTuple

from .foundations import ascii_lower, note

BASES = (
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
    "StringLike", "StringNotLike",
    "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
    "NumericGreaterThan", "NumericGreaterThanEquals",
    "DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool", "Null", "BinaryEquals", "IpAddress", "NotIpAddress",
    "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike",
)  # fmt: skip

POSITIVE_OF = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
"""The negated operators (COND-21) and what they negate."""


class Operator(NamedTuple):
    """A condition operator in its exact spelling."""

    set_operator: str
    """`ForAllValues`, `ForAnyValue` or empty."""
    base: str
    if_exists: bool

    @property
    def is_negated(self) -> bool:
        return self.base in POSITIVE_OF

    @property
    def has_variables(self) -> bool:
        """Whether variables are recognised in its values (VAR-1)."""
        return self.base.startswith(("String", "Arn")) or self.base == "Bool"

    @property
    def has_wildcards(self) -> bool:
        """Whether `*` and `?` are wildcards in its values (COND-30, COND-60)."""
        return self.base in ("StringLike", "StringNotLike") or self.base.startswith("Arn")


def read_operator(name: str, rules: set[str] | None = None) -> Operator | None:
    """The operator of this name, whatever its letter case; None if there is none (COND-7)."""
    lower = ascii_lower(name)
    set_operator = ""
    for prefix in ("ForAllValues", "ForAnyValue"):
        if lower.startswith(ascii_lower(prefix) + ":"):
            set_operator = prefix
            lower = lower[len(prefix) + 1 :]
            break  # one prefix, not two
    for base in BASES:
        for suffix in ("", "IfExists"):
            if base == "Null" and suffix:
                continue  # COND-6: any base except `Null`
            if lower == ascii_lower(base + suffix):
                exact = (set_operator + ":" if set_operator else "") + base + suffix
                note(rules, "COND-6" if name == exact else "COND-7")
                return Operator(set_operator, base, suffix != "")
    note(rules, "COND-7")
    return None
