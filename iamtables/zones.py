"""Zones: requests that the same policies of two organizations meet.

Which policies meet a request hangs on its resource (whose it is, which policy speaks for it), its
action where that has rules of its own, and the VPC endpoint it came through. A zone is a statement
that has to match (resources, actions) and some that must not.

What is known of both organizations is in zones that hold policies, or none for certain. All other
requests are in zones *beyond*: there a policy that neither snapshot holds may allow and deny
whatever it likes, only not differently in the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from .compiler import ir
from .grammar.tree import PolicyDocument
from .organization_sides import HeldSide, texts_of
from .runtime.codes import Token
from .runtime.governing import governing_arns
from .runtime.requesters import Requester, RequesterKind, split_arn

MAX_ENDPOINTS = 8
"""Endpoints with a policy; each doubles the zones' work. With more the answer is undecided."""
MAX_RESOURCE_POLICIES = 200

TRUST = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext")
"""On a role: what its trust policy has to allow (EVAL-40)."""
UNSIGNED = ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
"""Requests of federated providers (EVAL-41): no user and no role makes them."""
RETIRE = "kms:RetireGrant"
"""RCPs have no effect on it (EVAL-8)."""
EVERY_ARN = "arn:*:*:*:*:*"
ROLES = "arn:*:iam:*:*:role/*"
KEYS = "arn:*:kms:*:*:key/*"

_ALONE = {
    "s3": ("/*",), "sqs": (), "sns": (":*",), "lambda": (":*",), "secretsmanager": (), "ecr": (),
    "dynamodb": ("/index/*",), "kms": (), "elasticfilesystem": (), "backup": (),
}  # fmt: skip
"""Services whose resources carry their own policies, and what else such a policy speaks for."""


class Actions(Enum):
    """The actions of a zone."""

    USUAL = "usual"
    TRUST = "trust"
    RETIRE = "retire"


class Beyond(Enum):
    """What is not known of the requests of a zone."""

    NOTHING = ""
    POLICY = "a resource policy that neither snapshot holds"
    CHANGED = "resource policies of the two snapshots that differ"
    OWNER = "a resource of an account whose policies neither snapshot holds"


@dataclass(frozen=True, slots=True)
class Zone:
    """Requests that the same policies meet.

    inside, outside : resource patterns whose stars stay within a field of an ARN, but for the last
    carrier  : ARN of the resource whose policy speaks, in either organization; empty for none
    owner    : account of the resources; empty for any other than the principal's
    endpoint : id of the endpoint the requests come through; empty for none that is listed
    needs_policy : the resources need an Allow of their own policy (EVAL-40, EVAL-42)
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...] = ()
    carrier: str = ""
    owner: str = ""
    endpoint: str = ""
    needs_policy: bool = False
    actions: Actions = Actions.USUAL
    beyond: Beyond = Beyond.NOTHING
    what: str = ""
    """Of a zone beyond: its requests, in words."""
    speaks_of: tuple[str, ...] = ()
    """Beyond: actions of which a policy that is not known can speak."""
    has_other_endpoint: bool = False
    """Beyond: through an endpoint whose policy is not known."""
    has_session_policy: bool = False
    """Beyond: a session policy that is not known limits the session."""

    @property
    def is_role(self) -> bool:
        """Whether roles are to be assumed, or a role's policy speaks."""
        arn = split_arn(self.carrier)
        return self.actions is Actions.TRUST or (arn is not None and arn.is_role)


@dataclass(slots=True)
class Division:
    """All zones of two organizations, and what could not be divided.

    zones     : of what is known
    beyond    : of what is not
    left_out  : services whose policies may speak for other resources than their own
    undecided : too much of something
    """

    zones: list[Zone] = field(default_factory=list)
    beyond: list[Zone] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


NamesIt = Callable[[Sequence[PolicyDocument]], bool]
"""Whether some Allow of these trust policies may name the requester."""


def divide(old: HeldSide, new: HeldSide, requester: Requester, names_it: NamesIt,
           *, account_if_missing: bool) -> Division:
    """The zones of a requester's requests.

    account_if_missing : a policy that is required and missing counts as one for the account
    """
    made = Division()
    sides = old, new
    account = requester.account or ""
    own = (f"arn:*:*:*:{account}:*", "arn:*:*:*::*", "arn:*:*:*:aws:*")
    carriers = sorted(a for a in {*old.resources, *new.resources} if not _is_role(a))
    if len(carriers) > MAX_RESOURCE_POLICIES:
        made.undecided.append(f"more than {MAX_RESOURCE_POLICIES} resource policies")
    alone: list[str] = []
    keys: list[str] = []
    others: dict[str, list[str]] = {}
    for arn in carriers[:MAX_RESOURCE_POLICIES]:
        parsed = split_arn(arn)
        owner = _owner(arn, sides)
        if parsed is None or parsed.service not in _ALONE or governing_arns(arn) != (arn,) or (
            set(arn) & set("*?$") or not owner
        ):
            if parsed is not None:
                others.setdefault(parsed.service, []).append(arn)
                if parsed.service == "apigateway":
                    others.setdefault("execute-api", []).append(arn)
            continue
        if parsed.is_key:
            keys.append(arn)
        alone += [arn, f"{arn}/*", f"{arn}:*"]
        if parsed.partition == requester.principal.split(":")[1]:  # else EVAL-5
            inside = (arn, *(arn + tail for tail in _ALONE[parsed.service]))
            made.zones.append(Zone(inside, (), arn, owner, needs_policy=parsed.is_key))
    roles = _role_zones(sides, requester, names_it, account_if_missing)
    if len(roles) > MAX_RESOURCE_POLICIES:
        made.undecided.append(f"more than {MAX_RESOURCE_POLICIES} roles that name the principal")
    made.zones += roles[:MAX_RESOURCE_POLICIES]
    aliases = {s: s.organization.kms_aliases for s in sides}
    mapped = sorted({alias for known in aliases.values() for alias in known})
    apart = (*alone, *mapped, *(z.carrier for z in roles if z.actions is Actions.USUAL))
    left = tuple(f"arn:*:{service}:*:*:*" for service in sorted(others))
    made.zones[:0] = [
        Zone(own, (KEYS, *left, *apart), owner=account),
        Zone(("*",), (EVERY_ARN,), owner=account),
    ]
    made.left_out = sorted(others)
    made.beyond = [
        *(Zone((f"arn:*:{service}:*:*:*",), tuple(alone), owner=account,
               beyond=_sameness(arns, sides), what=f"resources of `{service}`",
               speaks_of=_actions_of(service))
          for service, arns in sorted(others.items())),
        Zone((KEYS,), tuple(keys), owner=account, needs_policy=True, beyond=Beyond.POLICY,
             what="KMS keys whose policy is not held", speaks_of=("kms:*",)),
        *_strangers(sides, account, apart),
    ]
    if mapped:
        keys_of = [k for known in aliases.values() for k in known.values()]
        same = Beyond.CHANGED if aliases[old] != aliases[new] else _sameness(keys_of, sides)
        made.beyond.append(Zone(tuple(mapped), (), owner=account, beyond=same,
                                what="KMS aliases", speaks_of=("kms:*",)))
    covered = _services(sides, account)
    if covered is not None:
        made.beyond.append(Zone(
            own, (KEYS, *left, *apart, *(f"arn:*:{s}:*:*:*" for s in sorted(covered))),
            owner=account, beyond=Beyond.POLICY,
            what="resources of services whose policies are not held", speaks_of=("*",)))
    _multiply(made, sides, requester)
    return made


def _multiply(made: Division, sides: tuple[HeldSide, HeldSide], requester: Requester) -> None:
    """Each zone once more where an action or an endpoint makes a difference."""
    endpoints = sorted({*sides[0].endpoints, *sides[1].endpoints})
    if len(endpoints) > MAX_ENDPOINTS:
        made.undecided.append(f"more than {MAX_ENDPOINTS} VPC endpoints")
    for zones in (made.zones, made.beyond):
        if any(side.has_rcps for side in sides):
            zones += [replace(z, actions=Actions.RETIRE) for z in zones
                      if z.actions is Actions.USUAL and (not z.carrier or ":kms:" in z.carrier)]
        zones += [replace(z, endpoint=e) for e in endpoints[:MAX_ENDPOINTS] for z in zones]
    if any(side.tells_endpoints for side in sides):
        made.beyond += [
            replace(z, has_other_endpoint=True, what="requests through endpoints that are not held")
            for z in (*made.zones, *made.beyond) if not z.endpoint]
    if requester.kind is RequesterKind.SESSION:
        made.beyond += [
            replace(z, has_session_policy=True, what="sessions with session policies")
            for z in (*made.zones, *made.beyond)]


def _role_zones(
    sides: tuple[HeldSide, HeldSide], requester: Requester, names_it: NamesIt,
    account_if_missing: bool,
) -> list[Zone]:  # fmt: skip
    """Roles of which some trust policy may name the requester: no other one can be assumed."""
    zones: list[Zone] = []
    for arn in sorted(a for a in {*sides[0].resources, *sides[1].resources} if _is_role(a)):
        held = [s.resources[arn].policy for s in sides if arn in s.resources]
        documents = [d for policies in held for d in policies.documents]
        is_whole = not any(policies.gaps for policies in held)
        is_closed = len(held) == 2 or not account_if_missing  # nothing stands for a missing one
        if is_whole and is_closed and not names_it(documents):
            continue
        owner = split_arn(arn).account  # type: ignore[union-attr]
        if arn.split(":")[1] != requester.principal.split(":")[1]:
            continue  # EVAL-5
        zones.append(Zone((arn,), (), arn, owner, needs_policy=True, actions=Actions.TRUST))
        if any(_says_more(d) for d in documents):
            zones.append(Zone((arn,), (), arn, owner))
    return zones


def _says_more(document: PolicyDocument) -> bool:
    """Whether a trust policy speaks for more than assuming the role."""
    named = {action.lower() for action in (*TRUST, *UNSIGNED)}
    return document.is_unreadable or any(
        s.action is None or s.action.negated
        or any(entry.value.lower() not in named for entry in s.action.entries)
        for s in document.statements)


def _strangers(
    sides: tuple[HeldSide, HeldSide], account: str, apart: Sequence[str]
) -> Iterator[Zone]:
    """Resources of other accounts, and roles of the own one, about which nothing is known.

    An account that both snapshots hold whole has no roles but those that are listed, and no
    resource policies of the services that are held.
    """
    known = [f"arn:*:*:*:{a}:*" for a in (account, "", "aws")]
    for other in {*sides[0].accounts} & {*sides[1].accounts} - {account}:
        services = _services(sides, other)
        known += [f"arn:*:*:*:{other}:*"] if services is None else [
            f"arn:*:{service}:*:{other}:*" for service in sorted(services)]
    rcps = [{a.id: [texts_of(level.documents) for level in a.rcps or ()]
             for a in side.accounts.values() if a.id != account} for side in sides]
    beyond = Beyond.OWNER if rcps[0] == rcps[1] else Beyond.CHANGED
    yield Zone((EVERY_ARN,), (*known, *apart, ROLES, KEYS), beyond=beyond,
               what="resources of other accounts", speaks_of=("*",))
    yield Zone((KEYS,), (*known[:3], *apart), beyond=beyond,
               what="KMS keys of other accounts", speaks_of=("kms:*",))
    listed = [a for a in {*sides[0].resources, *sides[1].resources} if _is_role(a)]
    whole = [a for a in {*sides[0].accounts} & {*sides[1].accounts}
             if all(s.accounts[a].is_exported and not s.accounts[a].gaps for s in sides)]
    roles = (*listed, *(f"arn:*:iam:*:{a}:role/*" for a in whole))
    if account not in whole:
        yield Zone((f"arn:*:iam:*:{account}:role/*",), tuple(listed), owner=account,
                   needs_policy=True, actions=Actions.TRUST, beyond=Beyond.POLICY,
                   what="roles whose trust policy is not held", speaks_of=("sts:*",))
    yield Zone((ROLES,), (*roles, f"arn:*:iam:*:{account}:role/*"), actions=Actions.TRUST,
               beyond=beyond, what="roles of accounts that are not held",
               speaks_of=("sts:*",))


def _actions_of(service: str) -> tuple[str, ...]:
    """Actions of which the policies of a service's resources speak."""
    return ("execute-api:*",) if service in ("apigateway", "execute-api") else (f"{service}:*",)


def _services(sides: tuple[HeldSide, HeldSide], account: str) -> frozenset[str] | None:
    """Services whose resource policies both snapshots hold of an account; None: all."""
    held: frozenset[str] | None = None
    for side in sides:
        found = side.services_of(account)
        if found is not None:
            held = found if held is None else held & found
    return held


def _sameness(arns: Iterable[str], sides: tuple[HeldSide, HeldSide]) -> Beyond:
    """Whether policies that are left out are at least the same in both."""
    for arn in arns:
        texts = [texts_of(s.resources[arn].policy.documents) if arn in s.resources else None
                 for s in sides]
        if texts[0] != texts[1]:
            return Beyond.CHANGED
    return Beyond.POLICY


def _owner(arn: str, sides: tuple[HeldSide, HeldSide]) -> str:
    """The owner, as far as both organizations that list it agree."""
    owners = {s.owner_of(arn) for s in sides if arn in s.resources}
    return owners.pop() if len(owners) == 1 else ""


def _is_role(arn: str) -> bool:
    parsed = split_arn(arn)
    return parsed is not None and parsed.is_role


def zone_pattern(text: str) -> ir.ResourcePattern:
    """A pattern whose stars stay within their field of an ARN, but for the last field; `*` alone is
    everything."""
    glyphs: list[ir.Glyph] = []
    colons = 0
    for c in text:
        if c == "*" and text != "*":
            glyphs.append(ir.Glyph(Token.STAR if colons >= 5 else Token.STAR_BUT_COLON))
        elif c == "*":
            glyphs.append(ir.Glyph(Token.STAR))
        else:
            glyphs.append(ir.Glyph(Token.POINT, ord(c)))
            colons += c == ":"
    return ir.ResourcePattern(ir.Glyphs.of(glyphs).encoded, is_all=text == "*", text=text)
