"""Who signs a request (PRIN-2), read once per distinct principal."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ..errors import RequestError

WEB_IDENTITY_HOSTS = frozenset(
    {
        "cognito-identity.amazonaws.com",
        "www.amazon.com",
        "graph.facebook.com",
        "accounts.google.com",
    }
)
_SERVICE_ENDS = (".amazonaws.com", ".amazonaws.com.cn", ".amazon.com")


class RequesterKind(IntEnum):
    USER = 0
    SESSION = 1
    """Of a role; a bare role ARN stands for any session of it (section 5.6)."""
    FEDERATED_USER = 2
    ROOT = 3
    SERVICE = 4
    PROVIDER = 5
    """A federated identity provider, in trust policies."""
    ANONYMOUS = 6
    CANONICAL_USER = 7


KIND_NAMES = {
    RequesterKind.USER: "user",
    RequesterKind.SESSION: "role session",
    RequesterKind.FEDERATED_USER: "federated user",
    RequesterKind.ROOT: "root user",
    RequesterKind.SERVICE: "service principal",
    RequesterKind.PROVIDER: "federated provider",
    RequesterKind.ANONYMOUS: "anonymous",
    RequesterKind.CANONICAL_USER: "canonical user",
}
"""What each is called, in derived keys and in answers."""

WITH_IDENTITY = frozenset(
    {RequesterKind.USER, RequesterKind.SESSION, RequesterKind.FEDERATED_USER}
)
"""Requesters that identity policies can be attached to (EVAL-6)."""

_OF_RESOURCE = {
    "user": RequesterKind.USER,
    "role": RequesterKind.SESSION,
    "assumed-role": RequesterKind.SESSION,
    "federated-user": RequesterKind.FEDERATED_USER,
    "saml-provider": RequesterKind.PROVIDER,
    "oidc-provider": RequesterKind.PROVIDER,
}

_DECLARED = {
    "Service": RequesterKind.SERVICE,
    "Federated": RequesterKind.PROVIDER,
    "Anonymous": RequesterKind.ANONYMOUS,
    "CanonicalUser": RequesterKind.CANONICAL_USER,
}


class Arn(NamedTuple):
    """The fields of an ARN that say whose it is."""

    partition: str
    service: str
    account: str
    resource: str

    @property
    def name(self) -> str:
        """What stands behind the path."""
        return self.resource.rpartition("/")[2]

    @property
    def is_role(self) -> bool:
        return self.service == "iam" and self.resource.startswith("role/")

    @property
    def is_user(self) -> bool:
        return self.service == "iam" and self.resource.startswith("user/")

    @property
    def is_key(self) -> bool:
        """A KMS key, which needs a policy of its own (EVAL-42)."""
        return self.service == "kms" and self.resource.startswith("key/")


def split_arn(text: str) -> Arn | None:
    """The fields of an ARN; None for text that is none."""
    fields = text.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return None
    return Arn(fields[1], fields[2], fields[4], fields[5])


class Requester(NamedTuple):
    """account : None for requesters that belong to none (EVAL-4)."""

    principal: str
    kind: RequesterKind
    arn: Arn | None = None
    account: str | None = None
    issuer: str | None = None
    """ARN of the role, with its path, or of the IAM user behind a session."""

    @property
    def is_bare_role(self) -> bool:
        return self.arn is not None and self.arn.is_role

    @property
    def role_name(self) -> str:
        """ROLE of `assumed-role/ROLE/SESSION`."""
        assert self.arn is not None
        return self.arn.resource.split("/")[1]

    @property
    def is_service_linked(self) -> bool:
        """A session of a service-linked role: by its path, else by its name (EVAL-10)."""
        if self.kind is not RequesterKind.SESSION:
            return False
        issuer = split_arn(self.issuer or (self.principal if self.is_bare_role else ""))
        if issuer is not None and issuer.is_role:
            return issuer.resource.startswith("role/aws-service-role/")
        return self.role_name.startswith("AWSServiceRoleFor")


def read_requester(
    principal: str,
    *,
    principal_type: str | None = None,
    principal_account: str | None = None,
    issuer_arn: str | None = None,
) -> Requester:
    """The requester behind a principal (PRIN-2).

    principal_type    : `AWS`, `Service`, `Federated`, `CanonicalUser` or `Anonymous` overrides
    principal_account : overrides the account of the ARN

    Raises RequestError for a principal that can make no request.
    """
    arn = split_arn(principal)
    kind = _kind(principal, arn, principal_type)
    if kind is None:
        raise RequestError(
            f"`{principal}` is not a principal that can make a request", field="principal",
            help="give the ARN of a user, a role, a session or a root user, a service principal "
                 "such as `ec2.amazonaws.com`, or `anonymous`",
        )  # fmt: skip
    account = None
    if kind in WITH_IDENTITY or kind is RequesterKind.ROOT:
        account = principal_account or (arn.account if arn else None)
    return Requester(principal, kind, arn, account, issuer_arn)


def _kind(principal: str, arn: Arn | None, principal_type: str | None) -> RequesterKind | None:
    if principal_type in _DECLARED:
        return _DECLARED[principal_type]
    if principal_type not in (None, "AWS"):
        raise RequestError(
            f"there is no principal type `{principal_type}`", field="principal_type",
            help=f"choose one of: AWS, {', '.join(_DECLARED)}",
        )  # fmt: skip
    if arn is not None and arn.service in ("iam", "sts"):
        if arn.resource == "root":
            return RequesterKind.ROOT
        head, slash, name = arn.resource.partition("/")
        return _OF_RESOURCE.get(head) if slash and name else None
    if principal_type is None:
        if principal in ("anonymous", "*"):
            return RequesterKind.ANONYMOUS
        if principal in WEB_IDENTITY_HOSTS:
            return RequesterKind.PROVIDER
        if principal.endswith(_SERVICE_ENDS):
            return RequesterKind.SERVICE
    return None
