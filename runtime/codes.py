"""Numbers that stand for words in tables and kernels. Artefacts store them: they never change."""

from __future__ import annotations

from enum import IntEnum

FORMAT_NAME = "iamtables"
FORMAT_VERSION = 4


class DecisionCode(IntEnum):
    """One byte per row. Zero is a denial, so an unfilled buffer never allows."""

    IMPLICIT_DENY = 0
    ALLOW = 1
    EXPLICIT_DENY = 2
    UNDETERMINED = 3


class State(IntEnum):
    """How a statement, or an element of it, matches a request (Kleene)."""

    NO = 0
    YES = 1
    UNKNOWN = 2


class Effect(IntEnum):
    ALLOW = 0
    DENY = 1
    UNREADABLE = 2
    """May be either; never matches more than UNKNOWN."""


class Layer(IntEnum):
    """Policy type a statement belongs to, in the order in which deciders are listed (EVAL-1)."""

    NONE = 0
    SCP = 1
    RCP = 2
    VPCE = 3
    RESOURCE = 4
    IDENTITY = 5
    BOUNDARY = 6
    SESSION = 7
    ROOT = 8
    """The root user of the account may what no policy denies (EVAL-50); no policy type."""
    SERVICE = 9
    """Operations that no policy governs (EVAL-11, EVAL-12), and what root never may (EVAL-51)."""
    OTHER = 10
    """The caller said that other means allow it (EVAL-45)."""


class Role(IntEnum):
    """Where a table that is no organization's holds a set of policies."""

    IDENTITY = 0
    BOUNDARY = 1
    SESSION = 2
    RESOURCE = 3
    """The policy of a resource that is no role."""
    TRUST = 4
    """The same document read as the trust policy of a role."""
    SCP = 5
    """One level, in order from the root of the organization."""
    RCP = 6
    VPCE = 7


class PrincipalKind(IntEnum):
    """Keys of a `Principal` map (GRAM-30)."""

    AWS = 0
    SERVICE = 1
    FEDERATED = 2
    CANONICAL_USER = 3


class RowError(IntEnum):
    """Why a row of a batch got no decision."""

    NONE = 0
    ACTION = 1
    """Not `service:Name` (ACT-8)."""
    RESOURCE = 2
    """Neither `*` nor an ARN with five colons (RES-12)."""
    PRINCIPAL = 3
    """Not given, or none that can make a request (PRIN-2)."""


class Token(IntEnum):
    """Elements of a compiled pattern. The first five are what `globs.match_tokens` reads."""

    POINT = 0
    ANY = 1
    ANY_BUT_COLON = 2
    STAR = 3
    STAR_BUT_COLON = 4
    VARIABLE = 5
    """Replaced by the value of a key; the argument is an index into the variable table."""


WILD_BYTE = 0xF8
"""A wildcard in an encoded pattern is one byte, this plus its token; UTF-8 has no such bytes."""


class SetOperator(IntEnum):
    PLAIN = 0
    FOR_ALL_VALUES = 1
    FOR_ANY_VALUE = 2


class KeyKind(IntEnum):
    """COND-11: a key of the catalogue has a declared kind, for others the caller's form decides."""

    FREE = 0
    SINGLE = 1
    MULTI = 2


BASES: tuple[str, ...] = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
)
"""Operators by code."""

BASE_CODE = {name: code for code, name in enumerate(BASES)}

NEGATED_BASES = frozenset(name for name in BASES if "Not" in name)

GLOB_BASES = frozenset(
    {"StringLike", "StringNotLike", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}
)
"""Operators whose values may hold wildcards."""

VARIABLE_BASES = GLOB_BASES | {
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "Bool",
}
"""Operators whose values may hold policy variables (VAR-1)."""

NO_ID = 0xFFFFFFFF
"""Stands for "none" in arrays of ids."""

# Statement flags.
FLAG_UNKNOWN = 1
"""Some part could not be understood: the statement never matches more than UNKNOWN."""
FLAG_NEVER = 2
"""The statement can match no request; kept for explanations only."""

# Flags of a principal element.
PRINCIPAL_NEGATED = 1
"""`NotPrincipal`."""
PRINCIPAL_SHIELDED = 2
"""A `NotPrincipal` of a Deny that hits whoever has a boundary (PRIN-12)."""
PRINCIPAL_GATEWAY = 4
"""Account entries mean the root user alone (EVAL-61)."""
PRINCIPAL_UNREADABLE = 8
"""The element could not be understood."""

# Account flags.
ACCOUNT_MANAGEMENT = 1
ACCOUNT_EXPORTED = 2
"""Its users and roles are in the snapshot."""
ACCOUNT_HAS_SCPS = 4
ACCOUNT_HAS_RCPS = 8

# What a row of a resource class says of a resource set.
CELL_YES = 1
CELL_UNKNOWN = 2
CELL_VERIFY = 3
"""A pattern with variables could match: ask its dependent test."""
