"""`compare(old, new, principal=...)`: two organizations, for one principal, over every layer.

Which policies meet a request hangs on its resource (whose it is, which policy speaks for it) and
on the VPC endpoint it came through. So requests are divided into *zones* in which that is the same
throughout, and in each zone a side is one formula (section 5.11 of the semantics, EVAL-15 ff.): the
gates of identity policies, boundary and SCP levels, the ways through a resource policy, all Denies.
A zone enters the search as two statements: one that has to match (its resources, the endpoint, and
what is known of the requester) and one that must not (resources that other zones hold).

Every request that is found is replayed through the layered reference evaluator, always. What the
answer is about, and what it leaves out, is `Comparison.scope`; docs/design/comparison.md has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .compared import Comparison, Difference, Direction, Request, Side
from .comparison import request_of
from .compiler import ir
from .compiler.compare import (
    Acceptor,
    AllOf,
    AnyOf,
    Budget,
    Gate,
    Grant,
    Question,
    Region,
    Search,
    Witness,
)
from .compiler.compare.formula import denies, gate
from .compiler.lower import lower_documents
from .compiler.organization import Organization, PolicySet, ResourcePolicy
from .errors import RequestError
from .grammar import parse_policy
from .grammar.tree import PolicyDocument
from .options import Options
from .reference.jsontext import load
from .reference.layers import evaluate
from .runtime.codes import DecisionCode, Token
from .runtime.conditions import UNKNOWN, Value
from .runtime.derived import AccountFacts, Facts, PrincipalFacts, principal_keys
from .runtime.governing import governing_arns
from .runtime.principals import ACCOUNT, DIRECT, ROLE, WILDCARD, Asked, levels_of
from .runtime.requesters import KIND_NAMES, Requester, RequesterKind, read_requester, split_arn
from .wording import action_texts, condition_texts, resource_texts, statement_info
from .worlds import WorldName, world

MAX_ENDPOINTS = 8
"""Endpoints with a policy; each doubles the zones' work. With more the answer is undecided."""
MAX_RESOURCE_POLICIES = 200

_ALONE = {
    "s3": ("/*",), "sqs": (), "sns": (":*",), "lambda": (":*",), "secretsmanager": (), "ecr": (),
    "dynamodb": ("/index/*",), "kms": (), "elasticfilesystem": (), "backup": (),
}  # fmt: skip
"""Services whose resources carry their own policies, and what else such a policy speaks for."""

_SPECIAL = ("sts:*", "kms:RetireGrant", "s3:GetBucketPolicy", "s3:PutBucketPolicy",
            "s3:DeleteBucketPolicy")  # fmt: skip
"""Actions with rules of their own (EVAL-8, EVAL-11, EVAL-12, EVAL-16, EVAL-40), left out."""


def compare_organizations(
    old: Organization, new: Organization, principal: str, *, name: WorldName,
    options: Options, budget: Budget | None,
) -> Comparison:  # fmt: skip
    """What `principal` may do in `new` and not in `old`, and the other way round.

    Raises RequestError for a principal that is neither a user nor a role, or that neither
    organization holds.
    """
    requester = read_requester(principal)
    is_role = requester.kind is RequesterKind.SESSION and requester.is_bare_role
    if requester.kind is not RequesterKind.USER and not is_role:
        raise RequestError(
            f"`{principal}` is no user and no role", field="principal",
            help="give the ARN of an IAM user or role; a role stands for its sessions",
        )  # fmt: skip
    if requester.is_service_linked:
        raise RequestError(
            f"`{principal}` is a service-linked role", field="principal",
            help="its permissions are the service's own; SCPs and RCPs do not apply to it",
        )  # fmt: skip
    if not any(p.arn == principal for side in (old, new) for p in side.principals):
        raise RequestError(
            f"neither organization holds `{principal}`", field="principal",
            help="give the ARN with its path, as the snapshot has it",
        )  # fmt: skip
    return _Comparing(old, new, requester, name, options, budget or Budget()).run()


@dataclass(frozen=True, slots=True)
class _Zone:
    """Requests that the same policies meet.

    inside, outside : resource patterns whose stars stay within a field of an ARN, but for the last
    carrier  : ARN of the resource whose policy speaks, in either organization; empty for none
    owner    : account of the resources
    endpoint : id of the endpoint the requests come through; empty for none that is listed
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    carrier: str
    owner: str
    endpoint: str
    needs_policy: bool


class _Sided:
    """What one organization holds of a principal."""

    def __init__(self, organization: Organization, requester: Requester) -> None:
        self.organization = organization
        self.gaps: list[str] = []
        self.documents: list[PolicyDocument] = []
        self.accounts = {a.id: a for a in organization.accounts}
        self.resources: dict[str, ResourcePolicy] = {
            r.arn: r for r in organization.resource_policies}
        self.endpoints = {e.id: e for e in organization.endpoints}
        found = [p for p in organization.principals if p.arn == requester.principal]
        self.principal = found[0] if found else None
        account = self.accounts.get(requester.account or "")
        if self.principal is None:
            if account is None or not account.is_exported or account.gaps:
                self.gaps.append(f"the policies of `{requester.principal}`")
        else:
            self.gaps += self.principal.identity.gaps
            self.gaps += self.principal.boundary.gaps if self.principal.boundary else ()
        self.identity = self.principal.identity.documents if self.principal else ()
        boundary = self.principal.boundary if self.principal else None
        self.boundary = None if boundary is None else boundary.documents
        self.scps: tuple[tuple[PolicyDocument, ...], ...] = ()
        if account is None:
            self.gaps.append(f"account {requester.account}")
        elif not account.is_management:
            if account.scps is None and self._counts("scp"):
                self.gaps.append(f"the service control policies of account {account.id}")
            self.scps = tuple(self._held(level) for level in account.scps or ())
        self.facts = Facts(
            {p.arn: PrincipalFacts(p.arn, p.unique_id, p.tags) for p in found},
            {a.id: AccountFacts(a.id, a.org_id, a.org_path) for a in organization.accounts})
        self.keys = principal_keys(
            self.facts, requester.principal, KIND_NAMES[requester.kind], requester.principal)

    def _counts(self, layer: str) -> bool:
        """Whether the layer counts as unknown where it is not held."""
        return (self.organization.missing_unknown
                or layer not in self.organization.missing_layers)

    def _held(self, policies: PolicySet) -> tuple[PolicyDocument, ...]:
        self.gaps += policies.gaps
        return policies.documents

    def rcps(self, owner: str) -> tuple[PolicyDocument, ...]:
        account = self.accounts.get(owner)
        if account is None or account.is_management or account.rcps is None:
            if self._counts("rcp") and not (account is not None and account.is_management):
                self.gaps.append(f"the resource control policies of account {owner}")
            return ()
        return tuple(d for level in account.rcps for d in self._held(level))

    def speaking(self, zone: _Zone) -> tuple[PolicyDocument, ...] | None:
        held = self.resources.get(zone.carrier)
        if held is None:
            self._miss_policy(zone)
            return None
        if len(held.policy.documents) > 1:
            self.gaps.append(f"which of the policies of `{held.arn}` is meant")
        return self._held(held.policy)

    def _miss_policy(self, zone: _Zone) -> None:
        """A policy that the other organization holds: has the resource none, or is it not here?"""
        if not zone.carrier or not self._counts("resource"):
            return
        account = self.accounts.get(zone.owner)
        services = None if account is None else account.resource_services
        if account is None or (
            services is not None and zone.carrier.split(":")[2] not in services
        ):  # fmt: skip
            self.gaps.append(f"the policy of `{zone.carrier}`")

    @property
    def tells_endpoints(self) -> bool:
        """Whether an endpoint that is not listed has a policy that is not known."""
        return self._counts("vpce")

    def endpoint(self, zone: _Zone) -> tuple[PolicyDocument, ...] | None:
        held = self.endpoints.get(zone.endpoint)
        if held is None and zone.endpoint and self.tells_endpoints:
            self.gaps.append(f"the policy of endpoint `{zone.endpoint}`")
        return None if held is None else self._held(held.policy)


class _Comparing:
    def __init__(
        self, old: Organization, new: Organization, requester: Requester, name: WorldName,
        options: Options, budget: Budget,
    ) -> None:  # fmt: skip
        self.requester = requester
        self.account = requester.account or ""
        self.options = options
        self.name = name
        self.world = world(name)
        self.left_out: list[str] = []
        self.open: list[str] = []
        self.old, self.new = _Sided(old, requester), _Sided(new, requester)
        self.zones = self._zones()
        self.documents: list[PolicyDocument] = []
        self.number_of: dict[int, int] = {}
        self._collect()
        held = len(self.documents)
        pins = [self._pin(zone) for zone in self.zones]
        self.program = self._lowered(held, pins)
        self.search = Search(self.program, self.world, budget)

    # --- zones

    def _zones(self) -> list[_Zone]:
        """The zone of plain resources, and one for each resource policy; per endpoint."""
        arns = sorted({*self.old.resources, *self.new.resources})
        zones: list[_Zone] = []
        outside = ["arn:*:kms:*:*:*"]
        if len(arns) > MAX_RESOURCE_POLICIES:
            self.open.append(f"more than {MAX_RESOURCE_POLICIES} resource policies")
        others: set[str] = set()
        for arn in arns[:MAX_RESOURCE_POLICIES]:
            parsed = split_arn(arn)
            owner = self._owner(arn)
            if parsed is None or parsed.service not in _ALONE or governing_arns(arn) != (arn,) or (
                set(arn) & set("*?$") or not owner
            ):
                if parsed is not None and not parsed.is_role:
                    service = parsed.service
                    others |= {service, "execute-api"} if service == "apigateway" else {service}
                continue
            inside = (arn, *(arn + tail for tail in _ALONE[parsed.service]))
            outside += [arn, f"{arn}/*", f"{arn}:*"]
            if parsed.partition != self.requester.principal.split(":")[1]:
                continue  # EVAL-5
            zones.append(_Zone(inside, (), arn, owner, "", parsed.is_key))
        for service in sorted(others):
            outside.append(f"arn:*:{service}:*:*:*")
            self.left_out.append(
                f"resources of `{service}`, where a policy may speak for other resources")
        plain = ("*", f"arn:*:*:*:{self.account}:*", "arn:*:*:*::*", "arn:*:*:*:aws:*")
        zones.insert(0, _Zone(plain, tuple(outside), "", self.account, "", False))
        endpoints = sorted({*self.old.endpoints, *self.new.endpoints})
        if len(endpoints) > MAX_ENDPOINTS:
            self.open.append(f"more than {MAX_ENDPOINTS} VPC endpoints")
        return zones + [replace(z, endpoint=e) for e in endpoints[:MAX_ENDPOINTS] for z in zones]

    def _owner(self, arn: str) -> str:
        """The owner, as far as both organizations that list it agree."""
        named = arn.split(":", 5)[4]
        owners = {named or s.resources[arn].account for s in (self.old, self.new)
                  if arn in s.resources}
        return owners.pop() if len(owners) == 1 else ""

    def _collect(self) -> None:
        for side in (self.old, self.new):
            lists: list[Iterable[PolicyDocument]] = [side.identity, side.boundary or (),
                                                     *side.scps]
            for zone in self.zones:
                lists += [side.speaking(zone) or (), side.endpoint(zone) or (),
                          side.rcps(zone.owner)]
            for documents in lists:
                for document in documents:
                    if id(document) not in self.number_of:
                        self.number_of[id(document)] = len(self.documents)
                        self.documents.append(document)
        for side, label in ((self.old, "old"), (self.new, "new")):
            self.open += [f"not in the {label} snapshot: {gap}" for gap in dict.fromkeys(side.gaps)]

    def _pin(self, zone: _Zone) -> dict[str, Any]:
        """Conditions that hold of every request of a zone: what is known of the requester."""
        names = {key.name.lower(): key.name
                 for key in lower_documents(self.documents, self.options).keys}
        pins: dict[str, dict[str, Any]] = {}
        owned = [s.accounts[zone.owner] for s in (self.old, self.new) if zone.owner in s.accounts]
        for lower, name in names.items():
            value = self._known(self.old.keys, lower), self._known(self.new.keys, lower)
            if lower == "aws:resourceaccount":
                value = (zone.owner, zone.owner)
            elif lower in ("aws:resourceorgid", "aws:resourceorgpaths"):
                found: set[Value] = {
                    (a.org_id if lower.endswith("id") else (a.org_path,)) for a in owned}
                if len(found) != 1 or found & {"", ("",)}:
                    continue
                value = (found.copy().pop(),) * 2
            if value[0] != value[1]:
                if zone is self.zones[0]:
                    self.open.append(f"`{name}` of the principal is not the same in both")
                continue
            _pin(pins, name, value[0])
        if zone.endpoint:
            pins.setdefault("StringEquals", {})["aws:SourceVpce"] = zone.endpoint
        elif self.old.tells_endpoints or self.new.tells_endpoints:
            if "aws:sourcevpce" in names:
                pins.setdefault("Null", {})["aws:SourceVpce"] = "true"
        else:
            listed = sorted({*self.old.endpoints, *self.new.endpoints})
            if listed:
                pins.setdefault("ForAllValues:StringNotEquals", {})["aws:SourceVpce"] = listed
        return pins

    @staticmethod
    def _known(keys: Mapping[str, Value], name: str) -> Any:
        """The value of a key of the requester; UNKNOWN where it may be anything."""
        lowered = {key.lower(): value for key, value in keys.items()}
        if name in lowered:
            return lowered[name]
        family = f"{name.partition('/')[0]}/*"
        return lowered.get(family, UNKNOWN)

    def _lowered(self, held: int, pins: Sequence[Mapping[str, Any]]) -> ir.Program:
        """All documents, and for each zone the statement that has to match and its opposite."""
        added: list[PolicyDocument] = []
        for pin in pins:
            inside: dict[str, Any] = {"Effect": "Allow", "NotAction": list(_SPECIAL),
                                      "Resource": "*"}
            if pin:
                inside["Condition"] = pin
            outside = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            added += [parse_policy(json.dumps(
                {"Version": "2012-10-17", "Statement": s}), name="zone") for s in (inside, outside)]
        program = lower_documents([*self.documents, *added], self.options)
        patterns = list(program.resource_patterns)
        sets = list(program.resource_sets)
        statements = list(program.statements)
        self._inside: list[int] = []
        self._outside: list[int] = []
        for at, statement in enumerate(program.statements):
            if statement.document < held:
                continue
            zone = self.zones[(statement.document - held) // 2]
            is_inside = (statement.document - held) % 2 == 0
            (self._inside if is_inside else self._outside).append(at)
            ids = []
            for text in zone.inside if is_inside else zone.outside:
                ids.append(len(patterns))
                patterns.append(_pattern(text))
            sets.append(ir.PatternSet(False, tuple(ids)))
            statements[at] = replace(statement, resource_set=len(sets) - 1)
        return replace(program, resource_patterns=tuple(patterns), resource_sets=tuple(sets),
                       statements=tuple(statements))

    # --- sides

    def _acceptor(self, side: _Sided, zone: _Zone) -> Acceptor:
        def numbers(documents: Iterable[PolicyDocument]) -> list[int]:
            return [self.number_of[id(d)] for d in documents]

        program = self.program
        identity = gate(program, numbers(side.identity))
        gates: list[Grant] = [identity]
        boundary: list[Grant] = []
        if side.boundary is not None:
            boundary = [gate(program, numbers(side.boundary))]
        gates += boundary
        denied = [*side.identity, *(side.boundary or ())]
        around: list[Grant] = [gate(program, numbers(level)) for level in side.scps]
        denied += [d for level in side.scps for d in level]
        denying = set(denies(program, numbers(denied)))
        denying |= set(self._named(denies(program, numbers(side.rcps(zone.owner))), side, 31))
        endpoint = side.endpoint(zone)
        if endpoint is not None:
            listed = numbers(endpoint)
            around.append(Gate(self._named(gate(program, listed).statements, side, 31)))
            denying |= set(self._named(denies(program, listed), side, 31))
        speaking = side.speaking(zone)
        allowing: tuple[int, ...] = ()
        if speaking is not None:
            allowing = gate(program, numbers(speaking)).statements
            denying |= set(self._named(denies(program, numbers(speaking)), side, 31))

        def at(levels: int) -> Gate:
            return Gate(self._named(allowing, side, levels))

        own: Grant = AllOf(tuple(gates), 0)
        if zone.owner != self.account:  # EVAL-30
            grant: Grant = AllOf((*gates, at(31)), 0)
        else:
            is_taken = not speaking and self.options.missing_required_policy == "account"
            if zone.needs_policy and not is_taken:  # EVAL-42, EVAL-44
                own = AllOf((*gates, at(ACCOUNT)), 0)
            grant = AnyOf((own, at(DIRECT | WILDCARD), AllOf((at(ROLE), *boundary), 0)))
            if not allowing:
                grant = own
        return Acceptor(AllOf((grant, *around), 0), tuple(sorted(denying)))

    def _named(self, statements: Iterable[int], side: _Sided, levels: int) -> tuple[int, ...]:
        """The statements whose principal element names the requester at one of the levels."""
        found = []
        for number in statements:
            element = self.program.statements[number].principal
            if element < 0:
                found.append(number)
                continue
            made = self.program.principals[element]
            has_boundary = side.boundary is not None
            keys = side.keys
            named = levels_of(
                _element(made),
                Asked(self.requester, has_boundary, keys["aws:userid"], keys["aws:PrincipalArn"]),
                self.options.notprincipal == "chain")
            if named.must != named.may:
                info = statement_info(self.program, number)
                self.open.append(f"whether {info.location} names the principal")
            if named.must & levels:
                found.append(number)
        return tuple(found)

    # --- answers

    def run(self) -> Comparison:
        gained, lost = [], []
        for at, zone in enumerate(self.zones):
            old, new = self._acceptor(self.old, zone), self._acceptor(self.new, zone)
            gained.append(self._direction(at, new, old, self.new, self.old))
            lost.append(self._direction(at, old, new, self.old, self.new))
        return Comparison(
            Side(("old organization",)), Side(("new organization",)), self.name, self.world.date,
            gained=self._joined(gained), lost=self._joined(lost),
            principal=self.requester.principal, scope=self._scope(),
        )  # fmt: skip

    def _scope(self) -> tuple[str, ...]:
        return (
            "requests without session policies",
            "on resources of the principal's own account (an ARN without an account counts as "
            "such), and of other accounts where a snapshot holds the resource's policy; where "
            "neither snapshot holds a policy, the resource is taken to have none",
            "through no VPC endpoint, or one whose policy a snapshot holds"
            + ("" if self.old.tells_endpoints or self.new.tells_endpoints
               else " (others are taken to have none)"),
            "KMS keys only where a snapshot holds their policy",
            f"not the actions with rules of their own: {', '.join(_SPECIAL)}",
            *(f"not {text}" for text in self.left_out),
        )

    def _joined(self, directions: Sequence[Direction]) -> Direction:
        undecided = [*self.open, *(u for d in directions for u in d.undecided)]
        return Direction(
            tuple(x for d in directions for x in d.differences), tuple(dict.fromkeys(undecided)),
            sum(d.left_out for d in directions))

    def _direction(
        self, at: int, accepts: Acceptor, refuses: Acceptor, allowing: _Sided, denying: _Sided
    ) -> Direction:
        question = Question(accepts, refuses, must_match=(self._inside[at],),
                            must_miss=(self._outside[at],))
        found = self.search.differences(question)
        differences: list[Difference] = []
        undecided = [*found.undecided]
        for region in found.regions:
            if region.witness is None:
                info = statement_info(self.program, region.statement)
                undecided.append(f"{info.label} at {info.location}: {region.undecided}")
                continue
            shown = self._difference(region, region.witness, self.zones[at], allowing, denying)
            (undecided if isinstance(shown, str) else differences).append(shown)  # type: ignore
        return Direction(tuple(differences), tuple(undecided), found.left_out)

    def _difference(
        self, region: Region, witness: Witness, zone: _Zone, allowing: _Sided, denying: _Sided
    ) -> Difference | str:
        """The region with its request, replayed through every layer; else why not."""
        request = request_of(witness)
        allowed = self._replay(request, zone, allowing)
        denied = self._replay(request, zone, denying)
        info = statement_info(self.program, region.statement)
        if allowed.decision != "ALLOW" or denied.decision not in (
            "IMPLICIT_DENY", "EXPLICIT_DENY",
        ):  # fmt: skip
            return (f"the layered reference evaluator does not confirm a difference at "
                    f"{info.location}: {request} is {allowed.decision} and {denied.decision}")
        number = self.program.statements[region.statement].document
        return Difference(
            info, action_texts(self.program, region), resource_texts(self.program, region),
            condition_texts(self.documents[number], self.program.statements[region.statement]),
            (), (), request, DecisionCode[denied.decision], tuple(denied.deciders),
        )  # fmt: skip

    def _replay(self, request: Request, zone: _Zone, side: _Sided) -> Any:
        """The decision of the layered reference evaluator (section 8 of the semantics)."""
        speaking = side.speaking(zone)
        endpoint = side.endpoint(zone)
        policies = {
            "identity": _bodies(side.identity),
            "boundary": None if side.boundary is None else _bodies(side.boundary),
            "scps": [_bodies(level) for level in side.scps],
            "rcps": [_bodies(side.rcps(zone.owner))],
            "resource": None if not speaking else _bodies(speaking)[0],
            "vpce": None if endpoint is None else _bodies(endpoint),
        }
        return evaluate({
            "policies": policies, "options": self.options.to_mapping(),
            "request": {
                "principal": self.requester.principal, "action": request.action,
                "resource": request.resource, "resource_account": zone.owner,
                "context": dict(request.context),
            },
        })  # fmt: skip


def _pin(pins: dict[str, dict[str, Any]], name: str, value: Any) -> None:
    """One key with one value, absent, or anything when not known."""
    if value is UNKNOWN:
        return
    if value is None:
        pins.setdefault("Null", {})[name] = "true"
    elif isinstance(value, tuple):
        for operator in ("ForAllValues:StringEquals", "ForAnyValue:StringEquals"):
            pins.setdefault(operator, {})[name] = list(value)
    else:
        pins.setdefault("StringEquals", {})[name] = value


def _pattern(text: str) -> ir.ResourcePattern:
    """A pattern whose stars stay within their field of an ARN, but for the last field."""
    glyphs: list[ir.Glyph] = []
    colons = 0
    for c in text:
        if c == "*" and text != "*":
            glyphs.append(ir.Glyph(Token.STAR if colons >= 5 else Token.STAR_BUT_COLON))
        else:
            glyphs.append(ir.Glyph(Token.POINT, ord(c)))
            colons += c == ":"
    return ir.ResourcePattern(tuple(glyphs), False, text)


def _element(made: ir.PrincipalElement) -> Any:
    from .runtime.principals import PrincipalElement

    return PrincipalElement(made.flags, made.entries)


def _bodies(documents: Sequence[PolicyDocument]) -> list[Any]:
    return [load(d.source.text[d.span.start : d.span.end]) for d in documents]


__all__ = ["compare_organizations"]
