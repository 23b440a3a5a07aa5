"""Who made the call: the principal whose policies apply, and the kind of requester.

Section 5 of docs/spec/cloudtrail.md. A role session is decided by its role, whose ARN (with path)
is that of the session issuer; the session ARN has lost the path, so the role is never rebuilt from
it.
"""

from __future__ import annotations

import msgspec

from .classes import Requester
from .records import UserIdentity

_SERVICE_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal")
ANONYMOUS_ACCOUNT = "ANONYMOUS_PRINCIPAL"
INTERNAL = "AWS Internal"
CONSOLE = "signin.amazonaws.com"


class Principal(msgspec.Struct, frozen=True, gc=False):
    requester: Requester
    arn: str | None
    """Whose policies apply: user, role or root ARN; service name or identity provider; or None."""
    session: str | None = None
    """Name of the role session or the federated user."""
    problem: str | None = None
    """Why the principal is not known, when it is needed and is not."""


def is_service(name: str | None) -> bool:
    """Is this the DNS name of an AWS service (and neither a console nor an address)?"""
    return name is not None and name.endswith(_SERVICE_SUFFIXES) and " " not in name


def principal_of(identity: UserIdentity | None, recipient: str | None) -> Principal:
    """The principal behind a `userIdentity`, for a record that account `recipient` received."""
    if identity is None:
        return Principal(Requester.UNKNOWN, None, problem="`userIdentity` is missing")
    found = _within_account(identity)
    if (
        found.requester in (Requester.ROLE_OR_USER, Requester.ROOT)
        and recipient and identity.accountId and identity.accountId != recipient
    ):
        return Principal(Requester.OTHER_ACCOUNT, found.arn, found.session, found.problem)
    return found


def _within_account(identity: UserIdentity) -> Principal:
    kind, arn = identity.type, identity.arn
    if identity.accountId == ANONYMOUS_ACCOUNT:
        return Principal(Requester.ANONYMOUS, None)
    if kind == "AWSService" or (not arn and is_service(identity.invokedBy)):
        if identity.invokedBy:
            return Principal(Requester.SERVICE, identity.invokedBy)
        return Principal(Requester.SERVICE, None, problem="the calling service is not named")
    if kind == "Root":
        return Principal(Requester.ROOT, arn or None,
                         problem=None if arn else "`userIdentity.arn` is missing")
    if kind in ("IAMUser", "Role"):
        return Principal(Requester.ROLE_OR_USER, arn or None,
                         problem=None if arn else "`userIdentity.arn` is missing")
    if kind in ("AssumedRole", "FederatedUser"):
        return _session(identity)
    if kind in ("SAMLUser", "WebIdentityUser"):
        return Principal(Requester.FEDERATED_PROVIDER, identity.identityProvider or None)
    if kind == "AWSAccount":
        return Principal(Requester.OTHER_ACCOUNT, arn or None,
                         problem="the caller is named by its account only")
    return Principal(Requester.UNKNOWN, None,
                     problem=f"callers of type `{kind}` have no IAM principal" if kind
                     else "`userIdentity.type` is missing")


def _session(identity: UserIdentity) -> Principal:
    arn = identity.arn or ""
    name = arn.rpartition("/")[2] if "/" in arn else None
    context = identity.sessionContext
    issuer = context.sessionIssuer if context is not None else None
    if issuer is None or not issuer.arn:
        return Principal(Requester.ROLE_OR_USER, None, name,
                         "the session does not name its role (no `sessionIssuer`)")
    is_root = issuer.type == "Root" or issuer.arn.endswith(":root")
    return Principal(Requester.ROOT if is_root else Requester.ROLE_OR_USER, issuer.arn, name)
