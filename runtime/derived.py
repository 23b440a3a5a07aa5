"""Condition keys that follow from who asks, what is asked for and through which endpoint (CTX-3).

The column "derive from principal / account" of section 4 of docs/spec/semantics.md, for one
request: `Facts` holds what is known about an organization, as plain data, and `derive` fills in
what the caller did not say. Three answers are told apart (CTX-4): a value, None (certainly absent)
and UNKNOWN (the key may be there, with a value nobody here knows). A key that is not in the answer
does not follow from anything. `prefix/*` stands for all keys of that prefix that are not named.

Nothing is guessed: the path of a role that the facts do not list, the tags that a session may have
brought along, and whether a service tells about the endpoint's owner are UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .conditions import UNKNOWN, Value
from .governing import governing_arns
from .literals import read_instant
from .values import scalar_text

Derived = dict[str, Value]


@dataclass(frozen=True, slots=True)
class PrincipalFacts:
    """An IAM user or role.

    unique_id         : `AIDA...`, `AROA...`; empty when not known
    tags              : None when not known
    has_session_tags  : a session of the role may carry tags of its own, which hide the role's
    """

    arn: str
    unique_id: str = ""
    tags: Mapping[str, str] | None = None
    has_session_tags: bool = True


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account; empty texts are not known."""

    id: str
    org_id: str = ""
    org_path: str = ""


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """A VPC endpoint; empty texts are not known."""

    id: str
    account: str = ""
    vpc: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known about an organization, for keys to be derived from.

    principals, accounts, endpoints : by ARN, id, id
    resource_tags   : by the resource's own ARN; a bucket's tags are not its objects'
    resource_owners : accounts of resources whose ARN does not tell, by governing ARN (a bucket)
    """

    principals: Mapping[str, PrincipalFacts] = field(default_factory=dict)
    accounts: Mapping[str, AccountFacts] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointFacts] = field(default_factory=dict)
    resource_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    resource_owners: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _roles(self) -> dict[tuple[str, str, str], str]:
        """(partition, account, name in lower case) -> ARN: role names are unique like that."""
        roles = {}
        for arn in self.principals:
            fields = arn.split(":", 5)
            if len(fields) == 6 and fields[5].startswith("role/"):
                roles[fields[1], fields[4], fields[5].rpartition("/")[2].lower()] = arn
        return roles

    def role_of(self, principal: str, issuer_arn: str = "") -> str:
        """ARN of the role behind a session, with its path; empty when not known (PRIN-4)."""
        fields = principal.split(":", 5)
        if len(fields) < 6:
            return ""
        if fields[5].startswith("role/"):
            return principal
        issuer = issuer_arn.split(":", 5)
        if len(issuer) == 6 and issuer[5].startswith("role/"):
            return issuer_arn
        name = fields[5].split("/")[1] if "/" in fields[5] else ""
        return self._roles.get((fields[1], fields[4], name.lower()), "")

    def owner_of(self, resource: str) -> str:
        """Account that owns a resource, by its ARN or its bucket; empty when not known (EVAL-3,
        without its assumption)."""
        fields = resource.split(":", 5)
        if len(fields) < 6:
            return ""
        if _is_account(fields[4]):
            return fields[4]
        for arn in governing_arns(resource):
            owner = self.resource_owners.get(arn)
            if owner:
                return owner
        return ""


def derive(
    facts: Facts,
    *,
    principal: str,
    kind: str,
    issuer_arn: str = "",
    resource: str | None = None,
    resource_account: str = "",
    context: Mapping[str, object] | None = None,
    unknown: Iterable[str] = (),
    has_endpoint_keys: bool | None = None,
) -> Derived:
    """The keys of one request that follow from the rest of it and are not given.

    kind              : of the requester, as `requester.RequesterKind` names it (`role session`)
    resource_account  : where the caller knows it; else the ARN's, else the bucket's owner's
    context, unknown  : what is given; a name or `prefix/*` given there is never derived
    has_endpoint_keys : the service sets the `aws:Vpce*` keys; None when nobody knows
    """
    given = _Given(context or {}, tuple(unknown))
    derived = principal_keys(facts, principal, kind, issuer_arn, given)
    if resource is not None or resource_account:
        derived |= resource_keys(facts, resource, resource_account)
    derived |= endpoint_keys(facts, given, has_endpoint_keys)
    derived |= call_keys(facts, given)
    return {name: value for name, value in derived.items() if not given.has(name)}


class _Given:
    """What the caller said: values and names of unknown keys, found without regard to case."""

    def __init__(self, context: Mapping[str, object], unknown: tuple[str, ...]) -> None:
        self.values: dict[str, Value] = {k.lower(): _value(v, k) for k, v in context.items()}
        self.values |= {name.lower(): UNKNOWN for name in unknown if not name.endswith("/*")}
        self.spellings = tuple(context)
        self.prefixes = tuple(
            name[:-1].lower() for name in (*unknown, *context) if name.endswith("/*")
        )

    def has(self, name: str) -> bool:
        lower = name.lower()
        return lower in self.values or lower.startswith(self.prefixes)

    def get(self, name: str) -> Value:
        """None when absent or not given; ask `has` first."""
        return self.values.get(name.lower())


def _value(value: object, key: str) -> Value:
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, list | tuple):
        if any(item is UNKNOWN for item in value):
            return UNKNOWN
        return tuple(text for item in value if (text := scalar_text(item, key)) is not None)
    return scalar_text(value, key)


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdigit()


# -- who asks ----------------------------------------------------------------------------------

_TYPES = {
    "root user": "Account",
    "user": "User",
    "federated user": "FederatedUser",
    "role session": "AssumedRole",
    "anonymous": "Anonymous",
}  # CTX-10

_PRINCIPAL_KEYS = (
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalType",
    "aws:userid",
    "aws:username",
    "aws:PrincipalTag/*",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
)


def principal_keys(
    facts: Facts, principal: str, kind: str, issuer_arn: str = "", given: _Given | None = None
) -> Derived:
    """The keys about the requester; the same for all its requests with the same `given`."""
    keys: Derived = dict.fromkeys(_PRINCIPAL_KEYS)
    if kind == "federated provider":  # EVAL-41: not signed, so none of them
        return keys
    if kind == "canonical user":  # an account that only S3 knows by this name
        return dict.fromkeys(_PRINCIPAL_KEYS, UNKNOWN)
    if kind == "anonymous":
        return keys | {
            "aws:PrincipalAccount": "anonymous",
            "aws:PrincipalType": "Anonymous",
            "aws:userid": "anonymous",
        }
    if kind == "service principal":
        # the list has regional names, too, and no requester tells all of them
        return (
            keys
            | dict.fromkeys(
                (
                    "aws:PrincipalArn",
                    "aws:PrincipalAccount",
                    "aws:PrincipalType",
                    "aws:userid",
                    "aws:PrincipalServiceNamesList",
                ),
                UNKNOWN,
            )
            | {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": principal}
        )
    fields = principal.split(":", 5)
    account, name = fields[4], fields[5]
    keys["aws:PrincipalAccount"] = account
    keys["aws:PrincipalIsAWSService"] = "false"
    keys["aws:PrincipalType"] = _TYPES[kind]
    keys["aws:PrincipalOrgID"], keys["aws:PrincipalOrgPaths"] = _organization(facts, account)
    if kind == "role session":
        keys |= _session(facts, principal, issuer_arn, given)
        return keys
    keys["aws:PrincipalArn"] = principal
    if kind == "user":
        user = facts.principals.get(principal)
        keys["aws:username"] = name.rpartition("/")[2]
        keys["aws:userid"] = user.unique_id if user is not None and user.unique_id else UNKNOWN
        keys |= _tags("aws:PrincipalTag/", None if user is None else user.tags)
    elif kind == "federated user":
        keys["aws:userid"] = f"{account}:{name.partition('/')[2]}"
        keys["aws:PrincipalTag/*"] = UNKNOWN  # GetFederationToken takes session tags
    else:
        keys["aws:userid"] = account
        if given is not None and given.get("aws:AssumedRoot") not in (None, "false"):
            keys["aws:userid"] = keys["aws:PrincipalType"] = UNKNOWN  # nobody says what they are
    return keys


def _session(facts: Facts, principal: str, issuer_arn: str, given: _Given | None) -> Derived:
    named = given.get("aws:PrincipalArn") if given is not None else None
    role = facts.role_of(principal, issuer_arn or (named if isinstance(named, str) else ""))
    known = facts.principals.get(role)
    keys: Derived = {"aws:PrincipalArn": role or UNKNOWN, "aws:userid": UNKNOWN}
    session = principal.split(":", 5)[5].split("/", 2)
    if known is not None and known.unique_id and session[0] == "assumed-role" and len(session) == 3:
        keys["aws:userid"] = f"{known.unique_id}:{session[2]}"
    tags = None if known is None or known.has_session_tags else known.tags
    return keys | _tags("aws:PrincipalTag/", tags)


def _tags(prefix: str, tags: Mapping[str, str] | None) -> Derived:
    if tags is None:
        return {f"{prefix}*": UNKNOWN}
    named: Derived = {f"{prefix}{key}": value for key, value in tags.items()}
    return named | {f"{prefix}*": None}


def _organization(facts: Facts, account: Value) -> tuple[Value, Value]:
    """Organization and paths of an account. One that is not listed may be in any or none."""
    if account is None:
        return None, None
    known = facts.accounts.get(account) if isinstance(account, str) else None
    if known is None:
        return UNKNOWN, UNKNOWN
    return known.org_id or UNKNOWN, (known.org_path,) if known.org_path else UNKNOWN


# -- what is asked for, and from where ---------------------------------------------------------


def resource_keys(facts: Facts, resource: str | None, resource_account: str = "") -> Derived:
    """The keys about the resource; None for one that is not known."""
    account = resource_account or (facts.owner_of(resource) if resource else "")
    organization, paths = _organization(facts, account or UNKNOWN)
    tags = facts.resource_tags.get(resource) if resource else None
    return {
        "aws:ResourceAccount": account or UNKNOWN,
        "aws:ResourceOrgID": organization,
        "aws:ResourceOrgPaths": paths,
        **_tags("aws:ResourceTag/", tags),
    }


_ENDPOINT_KEYS = (
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
)


def endpoint_keys(facts: Facts, given: _Given, has_endpoint_keys: bool | None) -> Derived:
    """The keys that follow from `aws:SourceVpce`, and from `aws:VpceAccount` where it is given."""
    keys: Derived = {}
    if given.has("aws:SourceVpce"):
        name = given.get("aws:SourceVpce")
        keys = dict.fromkeys(_ENDPOINT_KEYS, None if name is None else UNKNOWN)
        endpoint = facts.endpoints.get(name) if isinstance(name, str) else None
        if endpoint is not None:
            keys["aws:SourceVpc"] = endpoint.vpc or UNKNOWN
        if name is not None and has_endpoint_keys is False:
            keys |= dict.fromkeys(_ENDPOINT_KEYS[2:])
        elif endpoint is not None and has_endpoint_keys:
            keys["aws:VpceAccount"] = endpoint.account or UNKNOWN
    account = (
        given.get("aws:VpceAccount")
        if given.has("aws:VpceAccount")
        else (keys.get("aws:VpceAccount"))
    )
    if account is not None or given.has("aws:VpceAccount"):
        keys["aws:VpceOrgID"], keys["aws:VpceOrgPaths"] = _organization(facts, account)
    return keys


def call_keys(facts: Facts, given: _Given) -> Derived:
    """The keys that follow from other keys of the request."""
    keys: Derived = {}
    if given.has("aws:CurrentTime"):
        time = given.get("aws:CurrentTime")
        instant = read_instant(time) if isinstance(time, str) else None
        keys["aws:EpochTime"] = (
            None if time is None else UNKNOWN if instant is None else str(instant.seconds)
        )
    if given.has("aws:CalledVia"):
        chain = given.get("aws:CalledVia")
        chain = (chain,) if isinstance(chain, str) else chain
        for name, index in (("aws:CalledViaFirst", 0), ("aws:CalledViaLast", -1)):
            keys[name] = (chain[index] if chain else None) if isinstance(chain, tuple) else chain
    names = [name for name in given.values if name.startswith("aws:requesttag/")]
    if any(prefix.startswith("aws:requesttag/") for prefix in given.prefixes) or any(
        given.values[name] is UNKNOWN for name in names
    ):
        keys["aws:TagKeys"] = UNKNOWN
    elif names:
        set_ones = (n for n in given.spellings if n.lower() in names)
        keys["aws:TagKeys"] = tuple(
            n.partition("/")[2] for n in set_ones if given.values[n.lower()] is not None
        )
    return keys | _source_keys(facts, given)


def _source_keys(facts: Facts, given: _Given) -> Derived:
    keys: Derived = {}
    account: Value = None
    if given.has("aws:SourceAccount"):
        account = given.get("aws:SourceAccount")
    elif given.has("aws:SourceArn"):
        arn = given.get("aws:SourceArn")
        if arn is None:
            return {}
        account = (facts.owner_of(arn) if isinstance(arn, str) else "") or UNKNOWN
        keys["aws:SourceAccount"] = account
    else:
        return {}
    keys["aws:SourceOrgID"], keys["aws:SourceOrgPaths"] = _organization(facts, account)
    return keys
