"""The request context: lookup of keys without case, and what is one value or many.

COND-4, COND-5, COND-10, COND-11, COND-13 and the catalogue of section 4 (CTX-1, CTX-2).
"""

from __future__ import annotations

from collections.abc import Mapping

from .foundations import UNKNOWN, RequestFault, Unknown, note
from .jsontext import scalar_text


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

# fmt: off
MULTIVALUED = frozenset({
    "aws:principalorgpaths", "aws:principalservicenameslist", "aws:vpceorgpaths",
    "aws:resourceorgpaths", "aws:tagkeys", "aws:calledvia", "aws:sourceorgpaths",
})

SINGLE_VALUED = frozenset({
    "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username",
    "aws:principalorgid", "aws:principalisawsservice", "aws:principalservicename",
    "aws:assumedroot", "aws:federatedprovider", "aws:tokenissuetime", "aws:multifactorauthpresent",
    "aws:multifactorauthage", "aws:sourceidentity", "aws:chatbotsourcearn",
    "aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4", "ec2:roledelivery",
    "ec2:sourceinstancearn", "lambda:sourcefunctionarn", "ssm:sourceinstancearn",
    "glue:roleassumedby", "glue:credentialissuingservice", "identitystore:userid", "aws:sourceip",
    "aws:vpcsourceip", "aws:sourcevpce", "aws:sourcevpc", "aws:sourcevpcarn", "aws:vpceaccount",
    "aws:vpceorgid", "aws:resourceaccount", "aws:resourceorgid", "aws:requestedregion",
    "aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:useragent", "aws:referer",
    "aws:viaawsservice", "aws:calledviafirst", "aws:calledvialast", "aws:sourcearn",
    "aws:sourceaccount", "aws:sourceorgid", "aws:sourceowner", "aws:viaawsmcpservice",
    "aws:calledviaawsmcp", "aws:ismcpserviceaction",
})
# fmt: on

SINGLE_VALUED_PREFIXES = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")  # CTX-11

Value = str | list[str] | _Missing | Unknown
"""One value, many values, MISSING or UNKNOWN."""


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
    text = scalar_text(value)
    if text is None:
        raise RequestFault(f"the value of `{key}` is not text, a number or a boolean")
    if not isinstance(value, str):
        note(rules, "COND-13")
    return text
