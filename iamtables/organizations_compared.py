"""`compare(old, new, principal=...)`: two organizations, for one principal, over every layer.

Which policies meet a request hangs on its resource (whose it is, which policy speaks for it) and
on the VPC endpoint it came through. So requests are divided into *zones* in which that is the same
throughout, and in each zone a side is one formula (section 5.11 of the semantics, EVAL-15 ff.): the
gates of identity policies, boundary and SCP levels, the ways through a resource policy, all Denies.
A zone (`zones`) enters the search as statements: one that has to match (its actions and resources,
the endpoint, and what is known of the requester) and others that must not.

Where nothing changed within the zones that are known, the zones beyond are asked, too: what is
unknown there is a condition that may hold or not, for both sides alike. A difference that is
possible there makes the answer undecided, so "nothing" is never claimed of more than was shown.

Every request that is found is replayed through the layered reference evaluator, always. What the
answer is about, and what it leaves out, is `Comparison.scope`; docs/design/comparison.md has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from .compared import Comparison, Difference, Direction, Request, Side
from .comparison import STEPS_PER_STATEMENT, Stated, grounds, near_misses, request_of
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
from .compiler.organization import Organization
from .concerned import ConcernedPolicy, numbers_by_place
from .errors import RequestError
from .grammar import parse_policy
from .grammar.tree import PolicyDocument
from .options import Options
from .organization_sides import HeldSide
from .reference.evaluate import Outcome
from .reference.layers import evaluate_layers
from .runtime.codes import DecisionCode, Effect
from .runtime.conditions import UNKNOWN, Value
from .runtime.principals import (
    ACCOUNT,
    ALL_LEVELS,
    DIRECT,
    ROLE,
    WILDCARD,
    Asked,
    Levels,
    PrincipalElement,
    levels_of,
)
from .runtime.requesters import Requester, RequesterKind, read_requester
from .wording import action_texts, condition_texts, resource_texts, statement_info
from .worlds import WorldName, world
from .zones import RETIRE, ROLES, TRUST, UNSIGNED, Actions, Beyond, Zone, divide, zone_pattern

_ATOMS = ("direct", "role", "account", "deny", "session", "endpoint")
"""What a policy that is not known may do; each a key that is in no policy."""
_BEYOND_SHOWN = 5


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
    if requester.kind is RequesterKind.PROVIDER:
        raise RequestError(
            f"`{principal}` is an identity provider", field="principal",
            help="organizations compare for users and roles; whom a provider may bring into a role "
                 "stands in the role's trust policy, which `check` and `replay` decide",
        )  # fmt: skip
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
        self.old, self.new = HeldSide(old, requester), HeldSide(new, requester)
        self.division = divide(
            self.old, self.new, requester, self._names_it,
            account_if_missing=options.missing_required_policy == "account")
        self.open = list(self.division.undecided)
        self.zones = [*self.division.zones, *self.division.beyond]
        self.documents: list[PolicyDocument] = []
        self.number_of: dict[int, int] = {}
        self._interfaces: set[int] = set()
        self._collect()
        self.program = self._lowered()
        statements = numbers_by_place(self.program)
        self._concerned = {
            i: ConcernedPolicy(self.documents[n], n, statements)
            for i, n in self.number_of.items()}
        self.search = Search(self.program, self.world, budget)

    def _names_it(self, documents: Sequence[PolicyDocument]) -> bool:
        program = lower_documents(documents, self.options)
        for statement in program.statements:
            if statement.effect is Effect.DENY:
                continue
            if statement.principal < 0 or any(
                self._levels(program.principals[statement.principal], side).may
                for side in (self.old, self.new)
            ):
                return True
        return False

    def _collect(self) -> None:
        for side, label in ((self.old, "old"), (self.new, "new")):
            lists: list[Iterable[PolicyDocument]] = [side.identity, side.boundary or (),
                                                     *side.scps]
            for zone in self.zones:
                endpoint = side.endpoint(zone) or ()
                if zone.beyond is Beyond.NOTHING:
                    lists += [side.speaking(zone) or ()]
                lists += [endpoint, side.rcps(zone)]
                for document in endpoint if side.is_interface(zone) else ():
                    self._interfaces.add(id(document))
            for documents in lists:
                for document in documents:
                    if id(document) not in self.number_of:
                        self.number_of[id(document)] = len(self.documents)
                        self.documents.append(document)
            self.open += [f"not in the {label} snapshot: {gap}" for gap in dict.fromkeys(side.gaps)]

    # --- what is known of a zone's requests

    def _pin(self, zone: Zone, names: Mapping[str, str]) -> dict[str, Any]:
        """Conditions that hold of every request of a zone: what is known of the requester."""
        pins: dict[str, dict[str, Any]] = {}
        owned = [s.accounts[zone.owner] for s in (self.old, self.new) if zone.owner in s.accounts]
        for lower, name in names.items():
            value = self._known(self.old.keys, lower), self._known(self.new.keys, lower)
            if lower == "aws:resourceaccount" and zone.owner:
                value = (zone.owner, zone.owner)
            elif lower in ("aws:resourceorgid", "aws:resourceorgpaths"):
                found: set[Value] = {
                    (a.org_id if lower.endswith("id") else (a.org_path,)) for a in owned}
                if len(found) != 1 or found & {"", ("",)}:
                    continue
                value = (found.copy().pop(),) * 2
            if value[0] != value[1]:
                reason = f"`{name}` of the principal is not the same in both"
                if reason not in self.open:
                    self.open.append(reason)
                continue
            _pin(pins, name, value[0])
        listed = sorted({*self.old.endpoints, *self.new.endpoints})
        if zone.has_other_endpoint:
            pins.setdefault("StringLike", {})["aws:SourceVpce"] = "*"
            if listed:
                pins.setdefault("StringNotEquals", {})["aws:SourceVpce"] = listed
        elif zone.endpoint:
            pins.setdefault("StringEquals", {})["aws:SourceVpce"] = zone.endpoint
        elif self.old.tells_endpoints or self.new.tells_endpoints:
            if "aws:sourcevpce" in names:  # EVAL-63: the empty text is an endpoint, too
                pins.setdefault("Null", {})["aws:SourceVpce"] = "true"
                pins.setdefault("StringNotEquals", {})["aws:SourceVpce"] = ""
        elif listed:
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

    # --- the program

    def _lowered(self) -> ir.Program:
        """All documents; a statement for each zone that has to match, and others that must not;
        one for each thing that a policy which is not known may do."""
        names = {key.name.lower(): key.name
                 for key in lower_documents(self.documents, self.options).keys}
        made: list[tuple[dict[str, Any], tuple[str, ...] | None]] = []

        def add(statement: dict[str, Any], resources: tuple[str, ...] | None = None) -> int:
            made.append(({"Effect": "Allow", "Resource": "*", **statement}, resources))
            return len(made) - 1

        always = ["sts:GetCallerIdentity", *UNSIGNED]  # EVAL-11, EVAL-12, EVAL-41
        if self.requester.kind is RequesterKind.USER:
            always.append("sts:GetSessionToken")
        self._must: list[int] = []
        self._miss: list[tuple[int, ...]] = []
        assuming = add({"Action": [*TRUST]}, (ROLES,))
        retiring = add({"Action": RETIRE})
        is_special = self.old.has_rcps or self.new.has_rcps
        for zone in self.zones:
            inside: dict[str, Any] = {"NotAction": always}
            if zone.actions is not Actions.USUAL:
                inside = {"Action": RETIRE if zone.actions is Actions.RETIRE else [*TRUST]}
            pin = self._pin(zone, names)
            self._must.append(add(inside | ({"Condition": pin} if pin else {}), zone.inside))
            miss = [add({"Action": "*"}, zone.outside)] if zone.outside else []
            if zone.actions is Actions.USUAL:
                miss += [assuming, *((retiring,) if is_special else ())]
            self._miss.append(tuple(miss))
        atoms: dict[tuple[str, str, tuple[str, ...]], int] = {}
        spoken = dict.fromkeys((("*",), *(z.speaks_of for z in self.division.beyond)))
        for name, side, actions in product(_ATOMS, ("old", "new"), filter(None, spoken)):
            effect = "Deny" if name == "deny" else "Allow"
            atoms[name, side, actions] = add({
                "Action": list(actions), "Effect": effect,
                "Condition": {"StringEquals": {f"iamtables:{name}-{side}": "x"}}})
        held = len(self.documents)
        added = parse_policy(json.dumps(
            {"Version": "2012-10-17", "Statement": [s for s, _ in made]}), name="zones")
        program = lower_documents(
            [*self.documents, added], self.options,
            interface_endpoints={self.number_of[i] for i in self._interfaces})
        first = next(i for i, s in enumerate(program.statements) if s.document == held)
        patterns = {p.text: i for i, p in enumerate(program.resource_patterns) if p.text == "*"}
        listed, sets = list(program.resource_patterns), list(program.resource_sets)
        statements = list(program.statements)
        for at, (_, resources) in enumerate(made):
            if resources is None:
                continue
            for text in resources:
                if text not in patterns:
                    patterns[text] = len(listed)
                    listed.append(zone_pattern(text))
            sets.append(ir.PatternSet(False, tuple(patterns[text] for text in resources)))
            statements[first + at] = statements[first + at]._replace(
                resource_set=len(sets) - 1)
        self._must = [first + i for i in self._must]
        self._miss = [tuple(first + i for i in numbers) for numbers in self._miss]
        self._atoms = {name: first + i for name, i in atoms.items()}
        return replace(program, resource_patterns=tuple(listed), resource_sets=tuple(sets),
                       statements=tuple(statements))

    # --- sides

    def _acceptor(self, side: HeldSide, zone: Zone) -> Acceptor:
        """The formula of section 5.11 for a zone."""
        def numbers(documents: Iterable[PolicyDocument]) -> list[int]:
            return [self.number_of[id(d)] for d in documents]

        def atom(name: str) -> int:
            # where policies differ, what they do is not the same for both sides
            is_own = zone.beyond is Beyond.CHANGED and side is self.new
            actions = ("*",) if name in ("session", "endpoint") else zone.speaks_of
            return self._atoms[name, "new" if is_own else "old", actions]

        program = self.program
        boundary: list[Grant] = []
        if side.boundary is not None:
            boundary = [gate(program, numbers(side.boundary))]
        session: list[Grant] = []
        denied = [*side.identity, *(side.boundary or ())]
        around: list[Grant] = [gate(program, numbers(level)) for level in side.scps]
        denied += [d for level in side.scps for d in level]
        denying = set(denies(program, numbers(denied)))
        denying |= set(self._named(
            denies(program, numbers(side.rcps(zone))), side, ALL_LEVELS))
        if zone.has_session_policy:
            session = [Gate((atom("session"),))]
        if zone.has_other_endpoint:
            around.append(Gate((atom("endpoint"),)))
        endpoint = side.endpoint(zone)
        if endpoint is not None:
            listed = numbers(endpoint)
            around.append(Gate(self._named(gate(program, listed).statements, side, ALL_LEVELS)))
            denying |= set(self._named(denies(program, listed), side, ALL_LEVELS))
        direct, role, account, is_silent = self._speaking(side, zone, atom, denying)
        gates = (gate(program, numbers(side.identity)), *boundary, *session)
        own: Grant = AllOf(gates, 0)
        if zone.owner != self.account:  # EVAL-30
            everybody = Gate((*direct.statements, *role.statements, *account.statements))
            grant: Grant = AllOf((*gates, everybody), 0)
        else:
            is_taken = is_silent and self.options.missing_required_policy == "account"
            if zone.needs_policy and not is_taken:  # EVAL-42, EVAL-44
                own = AllOf((*gates, account), 0)
            named: Grant = direct
            if zone.actions is Actions.TRUST and self.options.trust_boundary != "bypass":
                named = AllOf((direct, *boundary), 0)  # EVAL-40
            grant = own
            if direct.statements or role.statements:
                grant = AnyOf((own, named, AllOf((role, *boundary, *session), 0)))
        return Acceptor(AllOf((grant, *around), 0), tuple(sorted(denying)))

    def _speaking(
        self, side: HeldSide, zone: Zone, atom: Any, denying: set[int]
    ) -> tuple[Gate, Gate, Gate, bool]:
        """The Allows of the resource policy by level, and whether there is none. Adds its Denies.

        A policy beyond what is known may allow at each level and deny.
        """
        if zone.beyond in (Beyond.POLICY, Beyond.CHANGED, Beyond.OWNER):
            denying.add(atom("deny"))
            direct, role, account = (Gate((atom(n),)) for n in ("direct", "role", "account"))
            return direct, role, account, False
        documents = side.speaking(zone)
        if documents is None:
            return Gate(()), Gate(()), Gate(()), True
        numbers = [self.number_of[id(d)] for d in documents]
        denying |= set(self._named(denies(self.program, numbers), side, ALL_LEVELS))
        allowing = gate(self.program, numbers).statements
        direct, role, account = (
            Gate(self._named(allowing, side, levels))
            for levels in (DIRECT | WILDCARD, ROLE, ACCOUNT))
        return direct, role, account, not documents

    def _levels(self, element: ir.PrincipalElement, side: HeldSide) -> Levels:
        keys = side.keys
        return levels_of(
            PrincipalElement(element.flags, element.entries),
            Asked(self.requester, side.boundary is not None, keys["aws:userid"],
                  keys["aws:PrincipalArn"]),
            self.options.notprincipal == "chain")

    def _named(self, statements: Iterable[int], side: HeldSide, levels: int) -> tuple[int, ...]:
        """The statements whose principal element names the requester at one of the levels."""
        found = []
        for number in statements:
            element = self.program.statements[number].principal
            if element < 0:
                found.append(number)
                continue
            named = self._levels(self.program.principals[element], side)
            if named.must != named.may:
                info = statement_info(self.program, number)
                reason = f"whether {info.location} names the principal"
                if reason not in self.open:
                    self.open.append(reason)
            if named.must & levels:
                found.append(number)
        return tuple(found)

    # --- answers

    def run(self) -> Comparison:
        gained, lost = [], []
        count = len(self.division.zones)
        questions = 2 * count + 2
        for at in range(count):
            zone = self.zones[at]
            old, new = self._acceptor(self.old, zone), self._acceptor(self.new, zone)
            gained.append(self._direction(at, new, old, self.new, self.old, questions - 2 * at))
            lost.append(self._direction(at, old, new, self.old, self.new, questions - 2 * at - 1))
        sides = self.old, self.new
        return Comparison(
            Side(("old organization",)), Side(("new organization",)), self.name, self.world.date,
            gained=self._joined(gained, sides[::-1]), lost=self._joined(lost, sides),
            principal=self.requester.principal, scope=self._scope(),
        )  # fmt: skip

    def _scope(self) -> tuple[str, ...]:
        tells = self.old.tells_endpoints or self.new.tells_endpoints
        return (
            "differences are looked for on resources of the principal's own account (an ARN "
            "without an account counts as such), and of other accounts where a snapshot holds the "
            "resource's policy; assuming a role included",
            "where neither snapshot holds a policy of a resource of a service whose policies are "
            "held, the resource is taken to have none; a role or key that only one snapshot holds "
            "does not exist in the other",
            "through no VPC endpoint, or one whose policy a snapshot holds"
            + ("" if tells else " (others are taken to have none)"),
            "tags of resources and sessions, and all else that a snapshot does not tell, may be "
            "anything",
            "session policies, KMS keys and roles whose policy is not held, resources of other "
            "accounts"
            + (", endpoints whose policy is not held" if tells else "")
            + "".join(f", resources of `{s}` (a policy there may speak for others)"
                      for s in self.division.left_out)
            + ": no request is shown; \"nothing\" is proved for them, too, if what is not "
              "known is the same in both, else it is undecided",
            f"not {' and '.join(UNSIGNED)}: identity providers make these requests, not users or "
            "roles, so who comes into a role through a provider is not compared",
        )

    def _joined(
        self, directions: Sequence[Direction], sides: tuple[HeldSide, HeldSide]
    ) -> Direction:
        undecided = [*self.open, *(u for d in directions for u in d.undecided)]
        differences = _distinct(x for d in directions for x in d.differences)
        if not differences and not undecided:
            undecided = list(self._beyond(*sides))
        return Direction(differences, tuple(dict.fromkeys(undecided)),
                         sum(d.left_out for d in directions))

    def _beyond(self, allowing: HeldSide, denying: HeldSide) -> Iterator[str]:
        """Why there may be a difference where policies are not known."""
        told: set[str] = set()
        for at in range(len(self.division.zones), len(self.zones)):
            zone = self.zones[at]
            if zone.what in told or len(told) >= _BEYOND_SHOWN:
                continue
            answer = self.search.any_difference(Question(
                self._acceptor(allowing, zone), self._acceptor(denying, zone),
                must_match=(self._must[at],), must_miss=self._miss[at]))
            if answer.is_none:
                continue
            told.add(zone.what)
            example = answer.undecided
            if answer.witness is not None:
                example = f"for example {answer.witness.action}"
            yield f"beyond what the snapshots tell: {zone.what} ({example})"

    def _direction(
        self, at: int, accepts: Acceptor, refuses: Acceptor, allowing: HeldSide,
        denying: HeldSide, questions: int,
    ) -> Direction:  # fmt: skip
        question = Question(accepts, refuses, must_match=(self._must[at],),
                            must_miss=self._miss[at])
        found = self.search.differences(question, questions)
        differences: list[Difference] = []
        undecided = [*found.undecided]
        left_out = found.left_out
        for region in found.regions:
            if region.witness is None:
                info = statement_info(self.program, region.statement)
                undecided.append(f"{info.label} at {info.location}: {region.undecided}")
                continue
            if differences and self.search.meter.is_spent:
                left_out += 1
                continue
            shown = self._difference(region, region.witness, self.zones[at], allowing, denying)
            if isinstance(shown, str):
                undecided.append(shown)
            else:
                differences.append(shown)
        return Direction(tuple(differences), tuple(undecided), left_out)

    def _difference(
        self, region: Region, witness: Witness, zone: Zone, allowing: HeldSide, denying: HeldSide
    ) -> Difference | str:
        """The region with its request, replayed through every layer; else why not."""
        request = request_of(witness)
        allowed, accepting = self._replay(request, zone, allowing)
        denied, refusing = self._replay(request, zone, denying)
        info = statement_info(self.program, region.statement)
        if allowed.decision != "ALLOW" or denied.decision not in (
            "IMPLICIT_DENY", "EXPLICIT_DENY",
        ):  # fmt: skip
            return (f"the layered reference evaluator does not confirm a difference at "
                    f"{info.location}: {request} is {allowed.decision} and {denied.decision}")
        number = self.program.statements[region.statement].document
        near = near_misses(self.program, refusing)
        return Difference(
            info, action_texts(self.program, region), resource_texts(self.program, region),
            condition_texts(self.documents[number], self.program.statements[region.statement]),
            grounds(self.program, accepting, "Allow"), grounds(self.program, refusing, "Deny"),
            tuple(g for g in near if g.layer in denied.deciders),
            request, DecisionCode[denied.decision], tuple(denied.deciders),
        )  # fmt: skip

    def _replay(
        self, request: Request, zone: Zone, side: HeldSide
    ) -> tuple[Outcome, list[Stated]]:
        """What the layered reference evaluator decides (section 8 of the semantics), and the
        statements it looked at."""
        speaking = side.speaking(zone)
        endpoint = side.endpoint(zone)
        held: dict[str, Sequence[Sequence[PolicyDocument]]] = {
            "identity": [side.identity], "boundary": [side.boundary or ()], "scp": side.scps,
            "rcp": [side.rcps(zone)], "resource": [(speaking or ())[:1]], "vpce": [endpoint or ()],
        }
        asked = {layer: [[self._concerned[id(d)].of(request.action) for d in documents]
                         for documents in lists] for layer, lists in held.items()}
        told = {layer: [[policy for policy, _ in level] for level in lists]
                for layer, lists in asked.items()}
        self.search.meter.note(STEPS_PER_STATEMENT * sum(
            1 + len(numbers) for lists in asked.values() for level in lists
            for _, numbers in level))
        outcome, layers = evaluate_layers({
            "policies": {
                "identity": told["identity"][0],
                "boundary": None if side.boundary is None else told["boundary"][0],
                "scps": told["scp"], "rcps": told["rcp"],
                "resource": told["resource"][0][0] if speaking else None,
                "vpce": None if endpoint is None else told["vpce"][0],
            },
            "options": self.options.to_mapping(),
            "request": {
                "principal": self.requester.principal, "action": request.action,
                "resource": request.resource, "resource_account": zone.owner,
                "endpoint_type": "Interface" if side.is_interface(zone) else "Gateway",
                "context": dict(request.context),
            },
        })  # fmt: skip
        states = {
            "identity": [layers.identity], "boundary": [layers.boundary or []],
            "scp": layers.scps, "rcp": [layers.rcps], "resource": [layers.resource or []],
            "vpce": [layers.vpce or []],
        }  # fmt: skip
        return outcome, [
            Stated(layer, state, level[state.policy_index][1][state.statement_index])
            for layer, lists in states.items()
            for level, found in zip(asked[layer], lists, strict=False) for state in found]


def _distinct(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Of what several zones tell in the same words the first."""
    found: dict[object, Difference] = {}
    for one in differences:
        words = (one.statement.id, one.actions, one.resources, one.conditions, one.decision,
                 one.grounds, one.reason)
        found.setdefault(words, one)
    return tuple(found.values())


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


__all__ = ["compare_organizations"]
