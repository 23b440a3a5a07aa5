"""Principal elements against requesters: the levels at which one names the other (PRIN-1).

A result is two masks over the five levels, in the order of signals.LEVELS: `must`, the levels that
match for certain, and `may`, those that could, because an id or a role's ARN hides in a context key
that is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .codes import (
    PRINCIPAL_GATEWAY,
    PRINCIPAL_NEGATED,
    PRINCIPAL_SHIELDED,
    PRINCIPAL_UNREADABLE,
    PrincipalKind,
)
from .conditions import UNKNOWN, Value
from .requesters import Arn, Requester, RequesterKind, split_arn

DIRECT, WILDCARD, ROLE, FEDUSER, ACCOUNT = (1 << level for level in range(5))
ALL_LEVELS = 31

_UNIQUE_ID = re.compile(r"(?:AIDA|AROA)[A-Z0-9]+")


def is_unique_id(text: str) -> bool:
    """Is it what a deleted user or role leaves behind (PRIN-10)?"""
    return _UNIQUE_ID.fullmatch(text) is not None


_ID_PREFIX = {RequesterKind.USER: ("AIDA", DIRECT), RequesterKind.SESSION: ("AROA", ROLE)}
_CHAINS = {
    RequesterKind.USER: (ACCOUNT, DIRECT),
    RequesterKind.FEDERATED_USER: (ACCOUNT, DIRECT),
    RequesterKind.SESSION: (ACCOUNT, ROLE, DIRECT),
    RequesterKind.ROOT: (ACCOUNT,),
    RequesterKind.ANONYMOUS: (WILDCARD,),
}


class Levels(NamedTuple):
    must: int
    may: int


NOBODY = Levels(0, 0)


class PrincipalElement(NamedTuple):
    """`Principal` or `NotPrincipal`; `flags` are the PRINCIPAL_ flags of codes."""

    flags: int
    entries: tuple[tuple[PrincipalKind, str], ...]


class Asked(NamedTuple):
    """What a principal element looks at: the requester, and two keys of the context."""

    requester: Requester
    has_boundary: bool | None
    user_id: Value
    """`aws:userid` (PRIN-10)."""
    principal_arn: Value
    """`aws:PrincipalArn` (PRIN-4)."""


def levels_of(element: PrincipalElement, asked: Asked, whole_chain: bool) -> Levels:
    """The levels at which the element matches the requester.

    whole_chain : option `notprincipal="chain"` (PRIN-11)
    """
    if element.flags & PRINCIPAL_UNREADABLE:
        return Levels(0, ALL_LEVELS)
    if not element.flags & PRINCIPAL_NEGATED:
        return _any(element.entries, asked, bool(element.flags & PRINCIPAL_GATEWAY))
    if element.flags & PRINCIPAL_SHIELDED and asked.has_boundary:
        return Levels(WILDCARD, WILDCARD)  # PRIN-12: whatever is listed
    if whole_chain:
        excepted = _chain(_any(element.entries, asked, False), asked.requester)
    else:
        found = _any(element.entries, asked, bool(element.flags & PRINCIPAL_GATEWAY))
        excepted = Levels(int(found.must != 0), int(found.may != 0))
    must, may = 0 if excepted.may else WILDCARD, 0 if excepted.must else WILDCARD
    if element.flags & PRINCIPAL_SHIELDED and asked.has_boundary is None:
        may = WILDCARD
    return Levels(must, may)


def _any(
    entries: Sequence[tuple[PrincipalKind, str]], asked: Asked, is_gateway: bool
) -> Levels:
    must = may = 0
    for kind, text in entries:
        found = _entry(kind, text, asked, is_gateway)
        must |= found.must
        may |= found.may
    return Levels(must, may)


def _chain(found: Levels, requester: Requester) -> Levels:
    """PRIN-11 under `chain`: account, role where there is one, and the requester itself."""
    links = _CHAINS.get(requester.kind, (DIRECT,))
    if requester.kind is RequesterKind.SESSION and requester.is_bare_role:
        links = (ACCOUNT, ROLE)
    whole = sum(links)

    def is_excepted(levels: int) -> int:
        return int(bool(levels & WILDCARD) or levels & whole == whole)

    return Levels(is_excepted(found.must), is_excepted(found.may))


def _certain(level: int, claim: bool) -> Levels:
    return Levels(level, level) if claim else NOBODY


def _entry(kind: PrincipalKind, text: str, asked: Asked, is_gateway: bool) -> Levels:
    requester = asked.requester
    if kind is PrincipalKind.AWS and text == "*":  # PRIN-7
        return Levels(WILDCARD, WILDCARD)
    if requester.kind is RequesterKind.ANONYMOUS or "*" in text or "?" in text:
        return NOBODY  # PRIN-8; GRAM-32, GRAM-33
    if kind is PrincipalKind.SERVICE:  # PRIN-9
        is_it = requester.kind is RequesterKind.SERVICE and text == requester.principal
        return _certain(DIRECT, is_it)
    if kind is PrincipalKind.FEDERATED:
        is_it = requester.kind is RequesterKind.PROVIDER and text == requester.principal
        return _certain(DIRECT, is_it)
    if kind is PrincipalKind.CANONICAL_USER:
        if requester.kind is RequesterKind.CANONICAL_USER:
            return _certain(DIRECT, text == requester.principal)
        # The id stands for an account, and does not tell for which.
        return NOBODY if requester.account is None else Levels(0, DIRECT)
    if requester.account is None or requester.arn is None:
        return NOBODY
    return _aws(text, asked, is_gateway)


def _aws(text: str, asked: Asked, is_gateway: bool) -> Levels:
    requester = asked.requester
    assert requester.arn is not None
    if len(text) == 12 and text.isascii() and text.isdigit():
        return _account(text == requester.account, False, requester, is_gateway)
    if is_unique_id(text):
        return _unique_id(text, asked)
    entry = split_arn(text)
    if entry is None:
        return NOBODY
    if entry.service == "iam" and entry.resource == "root":
        is_account = (entry.partition, entry.account) == (
            requester.arn.partition,
            requester.account,
        )
        return _account(is_account, text == requester.principal, requester, is_gateway)
    if entry.resource.startswith("group/"):  # GRAM-34
        return NOBODY
    if entry.is_role and requester.kind is RequesterKind.SESSION:
        return _role(text, asked)
    if entry.is_user and requester.kind is RequesterKind.FEDERATED_USER:
        return _certain(FEDUSER, _is_federating(text, requester))
    return _certain(DIRECT, text == requester.principal)  # PRIN-3


def _account(
    is_account: bool, is_root_arn: bool, requester: Requester, is_gateway: bool
) -> Levels:
    is_root = requester.kind is RequesterKind.ROOT
    if is_gateway:  # EVAL-61
        return _certain(DIRECT, is_account and is_root)
    levels = ACCOUNT if is_account else 0  # PRIN-6
    levels |= DIRECT if is_root_arn and is_root else 0
    return Levels(levels, levels)


def _unique_id(text: str, asked: Asked) -> Levels:
    """PRIN-10."""
    prefix, level = _ID_PREFIX.get(asked.requester.kind, ("-", 0))
    if not text.startswith(prefix):
        return NOBODY
    if asked.user_id is UNKNOWN:
        return Levels(0, level)
    value = asked.user_id
    return _certain(level, isinstance(value, str) and value.partition(":")[0] == text)


def _role(text: str, asked: Asked) -> Levels:
    """PRIN-4: does the session belong to the role?"""
    requester = asked.requester
    if requester.is_bare_role:
        return _certain(ROLE, text == requester.principal)
    issuer = split_arn(requester.issuer or "")
    if issuer is not None and issuer.is_role:
        return _certain(ROLE, text == requester.issuer)
    if asked.principal_arn is UNKNOWN:
        return Levels(0, ROLE)
    if isinstance(asked.principal_arn, str):
        named = split_arn(asked.principal_arn)
        if named is not None and named.is_role:
            return _certain(ROLE, text == asked.principal_arn)
    entry = split_arn(text)
    assert entry is not None
    return _certain(
        ROLE, _is_of_account(entry, requester) and entry.name.lower() == requester.role_name.lower()
    )


def _is_federating(text: str, requester: Requester) -> bool:
    """PRIN-5: is this the IAM user behind the federated user?"""
    if requester.issuer is not None:
        return text == requester.issuer
    entry = split_arn(text)
    assert entry is not None and requester.arn is not None
    return _is_of_account(entry, requester) and entry.name == requester.arn.name


def _is_of_account(entry: Arn, requester: Requester) -> bool:
    assert requester.arn is not None
    return (entry.partition, entry.account) == (requester.arn.partition, requester.account)
