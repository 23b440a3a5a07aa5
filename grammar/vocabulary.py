"""The words of the policy language: elements, who may use them, operators, multivalued keys.

Tables only, straight from sections 1.5, 3 and 4 of `docs/spec/semantics.md`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .tree import PolicyType

POLICY_TYPES: tuple[PolicyType, ...] = (
    "identity",
    "boundary",
    "session",
    "resource",
    "trust",
    "scp",
    "rcp",
    "vpce",
)
IAM_TYPES: frozenset[PolicyType] = frozenset({"identity", "boundary", "session", "trust"})
"""Types that IAM itself stores, with its rules for characters and Sids (GRAM-1, GRAM-20)."""
TYPE_NAMES: dict[PolicyType, str] = {
    "identity": "an identity policy",
    "boundary": "a permissions boundary",
    "session": "a session policy",
    "resource": "a resource policy",
    "trust": "a trust policy",
    "scp": "a service control policy",
    "rcp": "a resource control policy",
    "vpce": "a VPC endpoint policy",
}

DOCUMENT_ELEMENTS = frozenset({"Version", "Id", "Statement"})
STATEMENT_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)

_PRINCIPALS = frozenset({"Principal", "NotPrincipal"})
_RESOURCES = frozenset({"Resource", "NotResource"})
NOT_ALLOWED: dict[PolicyType, frozenset[str]] = {
    "identity": _PRINCIPALS | {"Id"},
    "boundary": _PRINCIPALS | {"Id"},
    "session": _PRINCIPALS | {"Id"},
    "resource": frozenset(),
    "trust": _RESOURCES | {"NotPrincipal"},
    "scp": _PRINCIPALS | {"Id"},
    "rcp": frozenset({"NotPrincipal", "NotAction", "Id"}),
    "vpce": frozenset(),
}
"""Elements with a dash in the table of GRAM-40."""
NEEDS_PRINCIPAL: frozenset[PolicyType] = frozenset({"resource", "trust", "rcp", "vpce"})
NEEDS_RESOURCE: frozenset[PolicyType] = frozenset(
    {"identity", "boundary", "session", "scp", "rcp", "vpce"}
)
NEEDS_VERSION: frozenset[PolicyType] = frozenset({"scp", "rcp"})

SetOperator = Literal["", "ForAllValues", "ForAnyValue"]


class Operator(NamedTuple):
    """A condition operator, taken apart (COND-6)."""

    set_operator: SetOperator
    base: str
    if_exists: bool


BASES = (
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


def _operators() -> dict[str, Operator]:
    sets: tuple[SetOperator, ...] = ("", "ForAllValues", "ForAnyValue")
    return {
        f"{set_operator}:{base}{suffix}".lstrip(":"): Operator(set_operator, base, bool(suffix))
        for base in BASES
        for set_operator in sets
        for suffix in (("",) if base == "Null" else ("", "IfExists"))
    }


OPERATORS: dict[str, Operator] = _operators()
"""Every operator by its exact spelling."""
SPELLINGS: dict[str, str] = {name.lower(): name for name in OPERATORS}
"""The exact spelling by the lower-case one (COND-7)."""

MULTIVALUED_KEYS = frozenset(
    {
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:vpceorgpaths",
        "aws:resourceorgpaths",
        "aws:tagkeys",
        "aws:calledvia",
        "aws:sourceorgpaths",
    }
)
"""Lower-case names of the multivalued keys of section 4."""

UNTYPED_SERVICES = frozenset(
    {
        "aws-marketplace",
        "codecommit",
        "codepipeline",
        "execute-api",
        "mapcredits",
        "mgh",
        "neptune-db",
        "s3",
        "servicequotas",
        "sns",
        "sqs",
        "ssm-sap",
    }
)
"""Services with ARNs whose sixth field starts with a name and not with a type word (RES-6);
from the service-authorization data of AWS."""

WEB_IDENTITY_HOSTS = frozenset(
    {
        "cognito-identity.amazonaws.com",
        "www.amazon.com",
        "graph.facebook.com",
        "accounts.google.com",
    }
)
