"""What identity policies can decide about a request, given who makes it.

Identity policies are one layer of seven. Whether they are asked at all, and whether their Allow is
enough, depends on the kind of requester and on whose resource it is: a root user carries none, a
service principal neither, a foreign account's resource needs its own policy, a KMS key always
does. `frame` answers this for the case that no other policy is given (section 5 of
docs/spec/semantics.md, rule numbers beside the code): either the outcome is settled, or the
identity policies are asked and `Gate.combine` says what their answer amounts to.

An unknown answer stays unknown only where it matters: a closed gate denies whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Literal

from .errors import RequestError
from .runtime.codes import DecisionCode

Result = Literal["Allowed", "ImplicitlyDenied", "ExplicitlyDenied", "Undetermined"]

_GATE_ORDER = ("resource", "identity", "boundary", "session")
_WEB_IDENTITY_HOSTS = frozenset({
    "cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com", "accounts.google.com",
})
_TRUST_ACTIONS = frozenset({
    "sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext",
})
_FEDERATED_ACTIONS = frozenset({"sts:assumerolewithsaml", "sts:assumerolewithwebidentity"})


class RequesterKind(Enum):
    """Kinds of requester that the rules tell apart."""

    USER = "user"
    ROLE_SESSION = "role session"
    """An assumed-role session, or a bare role ARN standing for any session of it (5.6)."""
    FEDERATED_USER = "federated user"
    ROOT = "root user"
    SERVICE = "service principal"
    ANONYMOUS = "anonymous"
    FEDERATED_PROVIDER = "federated provider"
    CANONICAL_USER = "canonical user"


_CARRIES_IDENTITY_POLICIES = frozenset({
    RequesterKind.USER, RequesterKind.ROLE_SESSION, RequesterKind.FEDERATED_USER,
})  # EVAL-6


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks. `account` is empty for requesters that belong to none (EVAL-4)."""

    kind: RequesterKind
    account: str = ""
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a request and the policy types that decided it (EVAL-1)."""

    result: Result
    deciders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """Ask the identity policies, then `combine`.

    closed_by     : layers whose missing Allow denies whatever the identity policies allow
    names_identity: whether a missing identity Allow is reported beside them (EVAL-70)
    """

    closed_by: tuple[str, ...] = ()
    names_identity: bool = True

    def combine(self, identity: int) -> Outcome:
        """The outcome, given the decision code of the identity policies."""
        if identity == DecisionCode.EXPLICIT_DENY:                           # EVAL-15
            return Outcome("ExplicitlyDenied", ("identity",))
        missing = set(self.closed_by)
        if identity == DecisionCode.IMPLICIT_DENY and self.names_identity:
            missing.add("identity")
        if missing:
            return Outcome("ImplicitlyDenied", tuple(g for g in _GATE_ORDER if g in missing))
        if identity == DecisionCode.UNDETERMINED:
            return Outcome("Undetermined", ())
        return Outcome("Allowed", ("identity",))                             # EVAL-20


def requester(principal: str, principal_type: str | None = None) -> Requester:
    """Classify a principal (PRIN-2). Raises RequestError for one that is none of the kinds."""
    fields = principal.split(":", 5)
    is_arn = len(fields) == 6 and fields[0] == "arn"
    if principal_type is None:
        if principal in ("anonymous", "*"):
            principal_type = "Anonymous"
        elif is_arn and fields[2] in ("iam", "sts"):
            provider = fields[5].startswith(("saml-provider/", "oidc-provider/"))
            principal_type = "Federated" if provider else "AWS"
        elif principal in _WEB_IDENTITY_HOSTS:
            principal_type = "Federated"
        elif principal.endswith((".amazonaws.com", ".amazonaws.com.cn", ".amazon.com")):
            principal_type = "Service"
    match principal_type:
        case "Anonymous":
            return Requester(RequesterKind.ANONYMOUS)
        case "Service":
            return Requester(RequesterKind.SERVICE)
        case "Federated":
            return Requester(RequesterKind.FEDERATED_PROVIDER)
        case "CanonicalUser":
            return Requester(RequesterKind.CANONICAL_USER)
        case "AWS" if is_arn:
            kind = _arn_kind(fields[5])
            if kind is not None:
                return Requester(kind, fields[4], fields[1])
    raise RequestError(
        f"`{principal}` is not a principal that can make a request", field="principal",
        help="give the ARN of a user, a role, a session or a root user, a service principal such "
             "as `ec2.amazonaws.com`, or `anonymous`",
    )


def _arn_kind(resource: str) -> RequesterKind | None:
    if resource == "root":
        return RequesterKind.ROOT
    for prefix, kind in (
        ("user/", RequesterKind.USER),
        ("role/", RequesterKind.ROLE_SESSION),
        ("assumed-role/", RequesterKind.ROLE_SESSION),
        ("federated-user/", RequesterKind.FEDERATED_USER),
    ):
        if resource.startswith(prefix) and len(resource) > len(prefix):
            return kind
    return None


def owner_account(resource: str, given: str | None, principal_account: str) -> str:
    """The account that owns the resource (EVAL-3)."""
    if given:
        return given
    fields = resource.split(":", 5)
    if len(fields) == 6 and len(fields[4]) == 12 and fields[4].isascii() and fields[4].isdigit():
        return fields[4]
    return principal_account


def _is_role(resource: str) -> bool:
    fields = resource.split(":", 5)
    return len(fields) == 6 and fields[2] == "iam" and fields[5].startswith("role/")


def _is_kms_key(resource: str) -> bool:
    fields = resource.split(":", 5)
    return len(fields) == 6 and fields[2] == "kms" and fields[5].startswith("key/")


def frames(*, principal: str, action: str, resource: str | None,
           principal_type: str | None = None, principal_account: str | None = None,
           resource_account: str | None = None, has_assumed_root: bool | None = False,
           ) -> tuple[Outcome | Gate, ...]:
    """What is settled about a request, or the gate through which identity policies decide it.

    No resource, boundary, session, SCP, RCP or endpoint policy is in play. One frame when all is
    known; an unknown resource (None) has one for each account and kind of resource it may be.
    has_assumed_root : a root principal is an `AssumeRoot` session; None when that is not known
    """
    who = requester(principal, principal_type)
    kind, verb = who.kind, action.lower()
    account = (principal_account or who.account) if who.account else ""

    is_authenticated = kind not in (RequesterKind.ANONYMOUS, RequesterKind.FEDERATED_PROVIDER)
    if verb == "sts:getcalleridentity" and is_authenticated:                 # EVAL-11
        return (Outcome("Allowed", ("service",)),)
    if verb == "sts:getsessiontoken" and kind in (RequesterKind.USER, RequesterKind.ROOT):
        return (Outcome("Allowed", ("service",)),)                           # EVAL-12

    if resource is not None:
        owner = owner_account(resource, resource_account, account)           # EVAL-3
        same = [bool(account) and account == owner]                          # EVAL-4
        is_trust = [verb in _TRUST_ACTIONS and _is_role(resource)]           # EVAL-40
        is_protected = [_is_kms_key(resource)                                # EVAL-42
                        or (verb in _FEDERATED_ACTIONS and _is_role(resource))]
    else:
        is_open = bool(account) and not resource_account
        same = [False, True] if is_open else [bool(account) and account == resource_account]
        is_trust = [False, True] if verb in _TRUST_ACTIONS else [False]
        may_be_protected = verb.startswith("kms:") or verb in _FEDERATED_ACTIONS
        is_protected = [False, True] if may_be_protected else [False]
    assumed = [False, True] if has_assumed_root is None else [has_assumed_root]
    return tuple(dict.fromkeys(
        _frame(kind, *facts) for facts in product(same, is_trust, is_protected, assumed)
    ))


def _frame(kind: RequesterKind, same_account: bool, is_trust: bool, is_protected: bool,
           has_assumed_root: bool) -> Outcome | Gate:
    if kind is RequesterKind.ROOT:
        if has_assumed_root:
            return Outcome("ImplicitlyDenied", ("session",))                 # EVAL-52
        if is_trust:
            return Outcome("ImplicitlyDenied", ("service",))                 # EVAL-51
        if same_account and not is_protected:
            return Outcome("Allowed", ("root",))                             # EVAL-50
        return Outcome("ImplicitlyDenied", ("resource",))                    # EVAL-32, EVAL-51
    if kind not in _CARRIES_IDENTITY_POLICIES:
        return Outcome("ImplicitlyDenied", ("resource",))                    # EVAL-55, 58, 41

    session = ("session",) if kind is RequesterKind.FEDERATED_USER else ()   # EVAL-21
    if not same_account:                                                     # EVAL-5, EVAL-33
        return Gate(("resource", *session))
    if is_trust or is_protected:                                             # EVAL-44
        return Gate(("resource",), names_identity=False)
    return Gate(session)


def conclude(possible: Sequence[Outcome | Gate], identity: int) -> Outcome:
    """The outcome over all frames of a request, given the decision of the identity policies."""
    outcomes = [
        frame if isinstance(frame, Outcome) else frame.combine(identity) for frame in possible
    ]
    if len({outcome.result for outcome in outcomes}) == 1:
        return outcomes[0]
    return Outcome("Undetermined", ())
