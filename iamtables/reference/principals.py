"""Requesters, and the levels at which `Principal` matches them (PRIN-1 to PRIN-14).

A level says how a policy names the requester, because a grant to an account is worth less than
one to a user (EVAL-20 ff.). Each level is matched three-valuedly: an id or a role ARN can hide in
a context key that nobody knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from .context import Context
from .documents import Element
from .foundations import (
    NO,
    UNKNOWN,
    YES,
    Match,
    RequestFault,
    all_of,
    any_of,
    match_of,
    negation,
    note,
    unknown,
)

LEVELS = ("DIRECT", "WILDCARD", "ROLE", "FEDUSER", "ACCOUNT")

WEB_IDENTITY_HOSTS = (
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
)

SERVICE_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".amazon.com")

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_UNIQUE_ID = re.compile(r"(?:AIDA|AROA)[A-Z0-9]+")


class Arn(NamedTuple):
    """The fields of an ARN that name a principal."""

    partition: str
    service: str
    account: str
    resource: str

    @property
    def last(self) -> str:
        """The name behind the path."""
        return self.resource.rsplit("/", 1)[-1]


def read_arn(text: str) -> Arn | None:
    """The fields of an ARN; None for other text."""
    fields = text.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return None
    return Arn(fields[1], fields[2], fields[4], fields[5])


def is_role(arn: Arn | None) -> bool:
    """Whether this is the ARN of an IAM role."""
    return arn is not None and arn.service == "iam" and arn.resource.startswith("role/")


def is_user(arn: Arn | None) -> bool:
    """Whether this is the ARN of an IAM user."""
    return arn is not None and arn.service == "iam" and arn.resource.startswith("user/")


@dataclass(frozen=True)
class Requester:
    """The principal that signs a request."""

    principal: str
    kind: str
    """`user`, `session` (of a role), `federated user`, `root`, `service`, `provider`,
    `anonymous` or `canonical user`."""
    arn: Arn | None = None
    account: str | None = None
    issuer_arn: str | None = None
    has_boundary: bool = False

    @property
    def signing_arn(self) -> Arn:
        """The ARN of a requester that has one."""
        assert self.arn is not None
        return self.arn

    @property
    def is_bare_role(self) -> bool:
        """Whether a role ARN stands for any session of it."""
        return is_role(self.arn)

    @property
    def session_role_name(self) -> str:
        """ROLE in `assumed-role/ROLE/SESSION`."""
        return self.signing_arn.resource.split("/")[1]

    @property
    def is_service_linked(self) -> bool:
        """A session of a service-linked role, by its path, else by its name (EVAL-10)."""
        if self.kind != "session":
            return False
        issuer = read_arn(self.issuer_arn or (self.principal if self.is_bare_role else ""))
        if issuer is not None and is_role(issuer):
            return issuer.resource.startswith("role/aws-service-role/")
        return self.session_role_name.startswith("AWSServiceRoleFor")


def read_requester(
    request: dict[str, Any], has_boundary: bool, rules: set[str] | None = None
) -> Requester:
    """The requester of a request (PRIN-2). Raises RequestFault for one that nobody could be."""
    principal = request.get("principal")
    if not isinstance(principal, str):
        raise RequestFault(f"principal {principal!r} is not text")
    note(rules, "PRIN-2")
    arn = read_arn(principal)
    kind = _kind(principal, arn, request.get("principal_type"))
    account = None
    if kind in ("user", "session", "federated user", "root"):
        account = request.get("principal_account") or (arn.account if arn else None)
    return Requester(
        principal, kind, arn, account, request.get("issuer_arn"),
        has_boundary and kind in ("user", "session", "federated user"),
    )  # fmt: skip


def _kind(principal: str, arn: Arn | None, principal_type: str | None) -> str:
    declared = {
        "Service": "service",
        "Federated": "provider",
        "Anonymous": "anonymous",
        "CanonicalUser": "canonical user",
    }
    if principal_type in declared:
        return declared[principal_type]
    if principal_type not in (None, "AWS"):
        raise RequestFault(f"principal type {principal_type!r} does not exist")
    if arn is not None and arn.service in ("iam", "sts"):
        if arn.resource == "root":
            return "root"
        kinds = {
            "user": "user",
            "role": "session",
            "assumed-role": "session",
            "federated-user": "federated user",
            "saml-provider": "provider",
            "oidc-provider": "provider",
        }
        head, slash, name = arn.resource.partition("/")
        if head in kinds and slash and name:
            return kinds[head]
    elif principal_type is None:
        if principal in ("anonymous", "*"):
            return "anonymous"
        if principal in WEB_IDENTITY_HOSTS:
            return "provider"
        if principal.endswith(SERVICE_SUFFIXES):
            return "service"
    raise RequestFault(f"principal {principal!r} is not one that can send a request")


def levels_of(
    element: Element, requester: Requester, context: Context, policy_type: str,
    rules: set[str] | None = None,
) -> dict[str, Match]:  # fmt: skip
    """How a `Principal` element matches the requester at each level."""
    note(rules, "PRIN-1")
    if len(element.entries) > 1:
        note(rules, "GRAM-30")  # kinds and values are alternatives
    found = [
        _entry_levels(kind, text, requester, context, policy_type == "vpce", rules)
        for kind, text in element.entries
    ]
    return {level: any_of([levels.get(level, NO) for levels in found]) for level in LEVELS}


def not_principal_matches(
    element: Element, effect: str | None, requester: Requester, context: Context,
    policy_type: str, options: dict[str, str], rules: set[str] | None = None,
) -> Match:  # fmt: skip
    """How a `NotPrincipal` element matches the requester (PRIN-11, PRIN-12)."""
    if effect == "Deny" and requester.has_boundary and policy_type in ("resource", "vpce"):
        note(rules, "PRIN-12")  # whatever is listed
        return YES
    note(rules, "PRIN-11")
    if options["notprincipal"] == "any":
        levels = levels_of(element, requester, context, policy_type, rules)
        return negation(any_of(levels.values()))
    levels = levels_of(element, requester, context, "resource", rules)
    chain = {
        "user": ("ACCOUNT", "DIRECT"),
        "session": ("ACCOUNT", "ROLE") if requester.is_bare_role else ("ACCOUNT", "ROLE", "DIRECT"),
        "federated user": ("ACCOUNT", "DIRECT"),
        "root": ("ACCOUNT",),
        "anonymous": ("WILDCARD",),
    }.get(requester.kind, ("DIRECT",))
    whole_chain = all_of([levels[level] for level in chain])
    return negation(any_of([levels["WILDCARD"], whole_chain]))


def _entry_levels(
    kind: str, text: str, requester: Requester, context: Context, is_endpoint: bool,
    rules: set[str] | None,
) -> dict[str, Match]:  # fmt: skip
    """The levels at which one entry of a principal map may match; none means no."""
    if kind == "AWS" and text == "*":
        note(rules, "PRIN-7")
        return {"WILDCARD": YES}  # everyone, anonymous callers and services too
    if "*" in text or "?" in text:
        note(rules, "GRAM-33" if kind in ("Service", "Federated") else "GRAM-32")
        return {}
    if requester.kind == "anonymous":
        note(rules, "PRIN-8")
        return {}
    if kind == "Service":
        note(rules, "PRIN-9")
        return {"DIRECT": match_of(requester.kind == "service" and text == requester.principal)}
    if kind == "Federated":
        note(rules, "GRAM-33")
        return {"DIRECT": match_of(requester.kind == "provider" and text == requester.principal)}
    if kind == "CanonicalUser":
        note(rules, "GRAM-33")
        return {"DIRECT": _canonical_user(text, requester)}
    if requester.account is None:
        return {}
    note(rules, "GRAM-31")
    return _aws_levels(text, requester, context, is_endpoint, rules)


def _canonical_user(text: str, requester: Requester) -> Match:
    """A canonical id stands for an account that the id does not tell."""
    if requester.kind == "canonical user":
        return match_of(text == requester.principal)
    return NO if requester.account is None else unknown({"principal"})


def _aws_levels(
    text: str, requester: Requester, context: Context, is_endpoint: bool,
    rules: set[str] | None,
) -> dict[str, Match]:  # fmt: skip
    if _ACCOUNT_ID.fullmatch(text):
        is_account = text == requester.account
        return _account_levels(is_account, False, requester, is_endpoint, rules)
    if _UNIQUE_ID.fullmatch(text):
        return _unique_id_levels(text, requester, context, rules)
    entry = read_arn(text)
    if entry is None:
        note(rules, "GRAM-31")
        return {}
    note(rules, "PRIN-3")  # letters keep their case, partitions are equal
    if entry.service == "iam" and entry.resource == "root":
        is_account = (entry.partition, entry.account) == (
            requester.signing_arn.partition,
            requester.account,
        )
        return _account_levels(is_account, text == requester.principal, requester, is_endpoint,
                               rules)  # fmt: skip
    if entry.resource.startswith("group/"):
        note(rules, "GRAM-34")
        return {}
    if is_role(entry) and requester.kind == "session":
        return {"ROLE": _is_role_of_session(text, entry, requester, context, rules)}
    if is_user(entry) and requester.kind == "federated user":
        return {"FEDUSER": match_of(_is_user_of_federation(text, entry, requester, rules))}
    return {"DIRECT": match_of(text == requester.principal)}


def _account_levels(
    is_account: bool, is_root_arn: bool, requester: Requester, is_endpoint: bool,
    rules: set[str] | None,
) -> dict[str, Match]:  # fmt: skip
    if is_endpoint:
        note(rules, "EVAL-61")  # the root user, not the whole account
        return {"DIRECT": match_of(is_account and requester.kind == "root")}
    note(rules, "PRIN-6")
    is_direct = is_root_arn and requester.kind == "root"
    return {"ACCOUNT": match_of(is_account), "DIRECT": match_of(is_direct)}


def _unique_id_levels(
    text: str, requester: Requester, context: Context, rules: set[str] | None
) -> dict[str, Match]:
    note(rules, "PRIN-10")
    level = {"user": "DIRECT", "session": "ROLE"}.get(requester.kind)
    prefix = {"user": "AIDA", "session": "AROA"}.get(requester.kind, "")
    if level is None or not text.startswith(prefix):
        return {}
    value = context.lookup("aws:userid", rules)
    if value is UNKNOWN:
        return {level: unknown({"aws:userid"})}
    return {level: match_of(isinstance(value, str) and value.split(":")[0] == text)}


def _is_role_of_session(
    text: str, entry: Arn, requester: Requester, context: Context, rules: set[str] | None
) -> Match:
    note(rules, "PRIN-4")
    if requester.is_bare_role:
        return match_of(text == requester.principal)
    issuer, named = requester.issuer_arn, context.lookup("aws:PrincipalArn", rules)
    if issuer is not None and is_role(read_arn(issuer)):
        return match_of(text == issuer)
    if named is UNKNOWN:
        return unknown({"aws:principalarn"})
    if isinstance(named, str) and is_role(read_arn(named)):
        return match_of(text == named)
    same_account = (entry.partition, entry.account) == (
        requester.signing_arn.partition,
        requester.account,
    )
    same_name = entry.last.lower() == requester.session_role_name.lower()
    return match_of(same_account and same_name)


def _is_user_of_federation(
    text: str, entry: Arn, requester: Requester, rules: set[str] | None
) -> bool:
    note(rules, "PRIN-5")
    if requester.issuer_arn is not None:
        return text == requester.issuer_arn
    same_account = (entry.partition, entry.account) == (
        requester.signing_arn.partition,
        requester.account,
    )
    return same_account and entry.last == requester.signing_arn.last
