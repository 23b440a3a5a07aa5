"""The request context: lookup of keys without case, and what is one value or many.

COND-4, COND-5, COND-10, COND-11, COND-13 and the catalogue of section 4 (CTX-1, CTX-2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from .foundations import UNKNOWN, RequestFault, note
from .jsontext import scalar_text


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

MULTIVALUED = frozenset(
    key.lower()
    for key in """
    aws:PrincipalOrgPaths aws:PrincipalServiceNamesList aws:VpceOrgPaths aws:ResourceOrgPaths
    aws:TagKeys aws:CalledVia aws:SourceOrgPaths
    """.split()
)

SINGLE_VALUED = frozenset(
    key.lower()
    for key in """
    aws:PrincipalArn aws:PrincipalAccount aws:PrincipalType aws:userid aws:username
    aws:PrincipalOrgID aws:PrincipalIsAWSService aws:PrincipalServiceName aws:AssumedRoot
    aws:FederatedProvider aws:TokenIssueTime aws:MultiFactorAuthPresent aws:MultiFactorAuthAge
    aws:SourceIdentity aws:ChatbotSourceArn aws:Ec2InstanceSourceVpc
    aws:Ec2InstanceSourcePrivateIPv4 ec2:RoleDelivery ec2:SourceInstanceArn
    lambda:SourceFunctionArn ssm:SourceInstanceArn glue:RoleAssumedBy
    glue:CredentialIssuingService identitystore:UserId aws:SourceIp aws:VpcSourceIp
    aws:SourceVpce aws:SourceVpc aws:SourceVpcArn aws:VpceAccount aws:VpceOrgID
    aws:ResourceAccount aws:ResourceOrgID aws:RequestedRegion aws:CurrentTime aws:EpochTime
    aws:SecureTransport aws:UserAgent aws:referer aws:ViaAWSService aws:CalledViaFirst
    aws:CalledViaLast aws:SourceArn aws:SourceAccount aws:SourceOrgID aws:SourceOwner
    aws:ViaAWSMCPService aws:CalledViaAWSMCP aws:IsMcpServiceAction
    """.split()
)

SINGLE_VALUED_PREFIXES = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")  # CTX-11

Value = object
"""A str (one value), a list of str (many), MISSING or UNKNOWN."""


def catalogue_kind(key: str) -> str:
    """`many` or `one` for a key of the catalogue, `` for any other (CTX-2)."""
    lower = key.lower()
    if lower in MULTIVALUED:
        return "many"
    if lower in SINGLE_VALUED or lower.startswith(SINGLE_VALUED_PREFIXES):
        return "one"
    return ""


class Context:
    """The keys of one request with normalised values.

    Raises RequestFault if a value is not text, a number, a boolean or a list of these, or if a
    key that the catalogue calls single-valued has several values (COND-11).
    """

    def __init__(self, values: Mapping[str, object], rules: set[str] | None = None) -> None:
        self._values: dict[str, Value] = {}
        for key, value in values.items():
            if not isinstance(key, str):
                raise RequestFault(f"context key {key!r} is not text")
            normal = _normal_value(key, value, rules)
            if normal is not MISSING:
                self._values[key] = normal

    def lookup(self, name: str, rules: set[str] | None = None) -> Value:
        """The value of a key, found without regard to case (COND-4)."""
        if name in self._values:
            if sum(key.lower() == name.lower() for key in self._values) > 1:
                note(rules, "COND-5")  # of several spellings, the exact one
            return self._values[name]
        spellings = [key for key in self._values if key.lower() == name.lower()]
        if not spellings:
            return MISSING
        note(rules, "COND-4")
        if len(spellings) > 1:
            note(rules, "COND-5")  # else the first in input order
        return self._values[spellings[0]]


def _normal_value(key: str, value: object, rules: set[str] | None) -> Value:
    if value is UNKNOWN:
        return UNKNOWN
    if value is None:
        note(rules, "COND-13")
        return MISSING
    kind = catalogue_kind(key)
    if isinstance(value, list | tuple):
        if any(element is UNKNOWN for element in value):
            return UNKNOWN
        values = [_normal_scalar(key, element, rules) for element in value]
        if kind == "one" and len(values) > 1:
            note(rules, "COND-11")
            raise RequestFault(f"`{key}` has one value, not {len(values)}")
        if kind == "one" and len(values) == 1:
            note(rules, "COND-11")
            return values[0]
        return values
    scalar = _normal_scalar(key, value, rules)
    if kind == "many":
        note(rules, "COND-11")
        return [scalar]
    return scalar


def _normal_scalar(key: str, value: object, rules: set[str] | None) -> str:
    is_finite = not isinstance(value, float | Decimal) or math.isfinite(value)
    text = scalar_text(value) if is_finite else None
    if text is None:
        raise RequestFault(f"the value of `{key}` is not text, a number or a boolean")
    if not isinstance(value, str):
        note(rules, "COND-13")
    return text
