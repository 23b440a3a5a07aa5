"""The decision over all policy types of a request: section 5 of the semantics.

The logic of section 5.11 is run twice: pessimistically, with allows that match for certain and
denies that could match, and optimistically, the other way round. Allowed when the first says so;
denied when the second does; undetermined otherwise. What depends on an unknown resource (is the
request in one account, does the resource need a policy of its own) is run for each possibility.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .actions import check_action
from .context import Context
from .evaluate import Outcome
from .foundations import UNKNOWN, RequestFault, complete_options, note
from .principals import LEVELS, Arn, Requester, is_role, read_arn, read_requester
from .resources import check_resource
from .statements import Request, StatementState, states_of

ORDER = ("scp", "rcp", "vpce", "resource", "identity", "boundary", "session", "root", "service")
"""EVAL-1, then the paths that are no policy type."""

WITH_IDENTITY = ("user", "session", "federated user")
TRUST_ACTIONS = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext")
FEDERATED_ACTIONS = ("sts:assumerolewithsaml", "sts:assumerolewithwebidentity")
BUCKET_POLICY_ACTIONS = ("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy")

_ACCOUNT_ID = re.compile(r"[0-9]{12}")


class Stage(NamedTuple):
    """Facts about a request that are not in any policy (5.2)."""

    same: bool
    """Requester and resource are of one account."""
    same_partition: bool
    must: bool
    """The resource needs a policy of its own that allows (EVAL-40, EVAL-42)."""
    trust: bool
    """A role is to be assumed (EVAL-40)."""
    assumed_root: bool
    """The root user acts through AssumeRoot (EVAL-52)."""


@dataclass
class Layers:
    """The statement states of each policy type that applies; None where none is set."""

    identity: list[StatementState] = field(default_factory=list)
    boundary: list[StatementState] | None = None
    session: list[StatementState] | None = None
    resource: list[StatementState] | None = None
    scps: list[list[StatementState]] = field(default_factory=list)
    rcps: list[StatementState] = field(default_factory=list)
    vpce: list[StatementState] | None = None

    def by_type(self) -> dict[str, list[StatementState]]:
        """All states of each type, levels put together."""
        return {
            "scp": list(itertools.chain(*self.scps)),
            "rcp": self.rcps,
            "vpce": self.vpce or [],
            "resource": self.resource or [],
            "identity": self.identity,
            "boundary": self.boundary or [],
            "session": self.session or [],
        }


def evaluate(case: dict[str, Any], *, rules: set[str] | None = None) -> Outcome:
    """What a whole case of section 8 comes to.

    case : `policies`, `request` and optional `options`, as in vectors.jsonl. The resource may be
           None and context values may be UNKNOWN. `invalid_statement` is `never` unless the
           options say otherwise (VEC-2).

    Raises DocumentFault, RequestFault and ValueError as `evaluate_identity` does.
    """
    return evaluate_layers(case, rules=rules)[0]


def evaluate_layers(
    case: dict[str, Any], *, rules: set[str] | None = None
) -> tuple[Outcome, Layers]:
    """The same, with the states of all statements; arguments and errors as for `evaluate`."""
    options = complete_options(case.get("options"), invalid_statement="never")
    policies, given = case["policies"], case["request"]
    action = check_action(given["action"], rules)
    resource = check_resource(given["resource"], rules)
    context = Context(given.get("context") or {}, rules)
    requester = read_requester(given, bool(policies.get("boundary")), rules)
    is_interface = given.get("endpoint_type") == "Interface"
    request = Request(action, resource, context, requester, is_interface)

    stages = _stages(given, request, rules)
    layers = _layers(policies, given, request, options, rules)
    if _always_allowed(requester, action.lower(), rules):
        return Outcome("ALLOW", ("service",)), layers
    outcomes = [_decide_stage(stage, layers, request, options, rules) for stage in stages]
    if len({outcome.decision for outcome in outcomes}) == 1 and outcomes[0].decision != (
        "UNDETERMINED"
    ):
        return outcomes[0], layers
    states = itertools.chain(*layers.by_type().values())
    # A statement that matches at one level of its principal may hang on a key at another.
    matches = (match for state in states for match in (state.match, *state.levels.values()))
    reason = set().union(*(match.reasons for match in matches if match.state == "unknown"))
    if len(stages) > 1:
        reason |= {"resource"} if resource is None else set()
        reason |= {"aws:assumedroot"} if len({s.assumed_root for s in stages}) > 1 else set()
    return Outcome("UNDETERMINED", reason=frozenset(reason)), layers


def _always_allowed(requester: Requester, action: str, rules: set[str] | None) -> bool:
    if action == "sts:getcalleridentity" and requester.kind not in ("anonymous", "provider"):
        note(rules, "EVAL-11")
        return True
    if action == "sts:getsessiontoken" and requester.kind in ("user", "root"):
        note(rules, "EVAL-12")
        return True
    return False


def _stages(given: dict[str, Any], request: Request, rules: set[str] | None) -> list[Stage]:
    """The facts of 5.2: one stage, or several where the resource or the session is unknown."""
    requester, action = request.signer, request.action.lower()
    note(rules, "EVAL-3")
    note(rules, "EVAL-4")
    if request.resource is None:
        account = given.get("resource_account")
        is_same = [account == requester.account] if account else [False, True]
        if requester.account is None:
            is_same = [False]
        partitions = [False, True]
        is_trust = [False, True] if action in TRUST_ACTIONS else [False]
        may_need_policy = action.startswith("kms:") or action in FEDERATED_ACTIONS
        needs_policy = [False, True] if may_need_policy else [False]
    else:
        resource = read_arn(request.resource)
        account = given.get("resource_account")
        if not account and resource is not None and _ACCOUNT_ID.fullmatch(resource.account):
            account = resource.account
        account = account or requester.account
        is_same = [requester.account is not None and account == requester.account]
        partitions = [_same_partition(requester, resource)]
        is_trust = [action in TRUST_ACTIONS and is_role(resource)]
        needs_policy = [_is_key(resource) or (action in FEDERATED_ACTIONS and is_role(resource))]
    is_assumed_root = [False]
    if requester.kind == "root":
        value = request.context.lookup("aws:AssumedRoot", rules)
        if value is UNKNOWN:
            is_assumed_root = [False, True]
        else:
            is_assumed_root = [isinstance(value, str) and value.lower() == "true"]
    return [
        Stage(same, partition, trust or must, trust, assumed_root)
        for same, partition, trust, must, assumed_root in itertools.product(
            is_same, partitions, is_trust, needs_policy, is_assumed_root
        )
    ]


def _same_partition(requester: Requester, resource: Arn | None) -> bool:
    if requester.account is None or requester.arn is None or resource is None:
        return True
    return requester.arn.partition == resource.partition


def _is_key(resource: Arn | None) -> bool:
    return (
        resource is not None and resource.service == "kms" and resource.resource.startswith("key/")
    )


def _layers(
    policies: dict[str, Any], given: dict[str, Any], request: Request, options: dict[str, str],
    rules: set[str] | None,
) -> Layers:  # fmt: skip
    """The policy types that apply to this request (EVAL-6)."""
    requester = request.signer
    layers = Layers()

    def states(documents: list[Any], policy_type: str) -> list[StatementState]:
        return states_of(documents, policy_type, request, options, rules)

    note(rules, "EVAL-6")
    if requester.kind in WITH_IDENTITY:
        layers.identity = states(policies.get("identity") or [], "identity")
        if policies.get("boundary"):
            layers.boundary = states(policies["boundary"], "boundary")
    if policies.get("session") and requester.kind in ("session", "federated user", "root"):
        layers.session = states(policies["session"], "session")
    if policies.get("resource") is not None:
        layers.resource = states([policies["resource"]], _resource_policy_type(request))
    if requester.is_service_linked:
        note(rules, "EVAL-10")
        note(rules, "EVAL-57")
    if given.get("principal_is_management_account"):
        note(rules, "EVAL-7")
    elif requester.kind in (*WITH_IDENTITY, "root") and not requester.is_service_linked:
        layers.scps = [states(level, "scp") for level in policies.get("scps") or []]
    if request.action.lower() == "kms:retiregrant":
        note(rules, "EVAL-8")
    elif policies.get("rcps") and not requester.is_service_linked:
        note(rules, "EVAL-18")  # only a Deny matters
        levels = policies["rcps"]
        layers.rcps = states(list(itertools.chain(*levels)), "rcp")
    endpoint = policies.get("vpce") or policies.get("endpoint")
    if endpoint and requester.kind != "service":
        note(rules, "EVAL-60")
        layers.vpce = states(endpoint, "vpce")
    return layers


def _resource_policy_type(request: Request) -> str:
    """The resource policy of a role is its trust policy."""
    if request.resource is None:
        assumes = request.action.lower() in TRUST_ACTIONS + FEDERATED_ACTIONS
        return "trust" if assumes else "resource"
    return "trust" if is_role(read_arn(request.resource)) else "resource"


def _decide_stage(
    stage: Stage, layers: Layers, request: Request, options: dict[str, str],
    rules: set[str] | None,
) -> Outcome:  # fmt: skip
    pessimistic = _decide(stage, layers, request, options, False, rules)
    if pessimistic.decision == "ALLOW":
        return pessimistic
    optimistic = _decide(stage, layers, request, options, True, rules)
    if optimistic.decision != "ALLOW":
        return optimistic
    return Outcome("UNDETERMINED")


def _allow(states: list[StatementState], optimistic: bool) -> bool:
    """Whether an Allow matches; optimistically, whether one could."""
    wanted = ("yes", "unknown") if optimistic else ("yes",)
    return any(s.effect in ("Allow", None) and s.state in wanted for s in states)


def _deny(states: list[StatementState], optimistic: bool) -> bool:
    """Whether a Deny could match; optimistically, whether one does."""
    wanted = ("yes",) if optimistic else ("yes", "unknown")
    return any(s.effect in ("Deny", None) and s.state in wanted for s in states)


def _allowed_levels(states: list[StatementState], optimistic: bool) -> set[str]:
    """The levels of the matching Allows of a resource policy (PRIN-1)."""
    wanted = ("yes", "unknown") if optimistic else ("yes",)
    return {
        level
        for level in LEVELS
        for s in states
        if s.effect in ("Allow", None) and s.levels[level].state in wanted
    }


def _decide(
    stage: Stage, layers: Layers, request: Request, options: dict[str, str], optimistic: bool,
    rules: set[str] | None,
) -> Outcome:  # fmt: skip
    """The pseudo-code of 5.11 for one of the two passes."""
    kind = request.signer.kind
    by_type = layers.by_type()
    if kind == "root" and not stage.assumed_root:
        del by_type["session"]  # EVAL-6: the root user itself has no session policies
    denies = [name for name, states in by_type.items() if _deny(states, optimistic)]
    is_owner = kind == "root" and stage.same
    if is_owner and request.action.lower() in BUCKET_POLICY_ACTIONS and "resource" in denies:
        note(rules, "EVAL-16")
        denies.remove("resource")
    if denies:
        note(rules, "EVAL-15")
        return Outcome("EXPLICIT_DENY", _ordered(denies))

    blocked: set[str] = set()
    if any(not _allow(level, optimistic) for level in layers.scps):
        note(rules, "EVAL-17")
        blocked.add("scp")
    if layers.vpce is not None and not _allow(layers.vpce, optimistic):
        note(rules, "EVAL-19")
        blocked.add("vpce")

    levels = _allowed_levels(layers.resource or [], optimistic)
    if stage.must and layers.resource is None:
        note(rules, "EVAL-44")
        if options["missing_required_policy"] == "account" and stage.same:
            levels = {"ACCOUNT"}
    if kind in WITH_IDENTITY:
        grants, missing = _grants_of_identity(
            stage, layers, request, levels, options, optimistic, rules
        )
    elif kind in ("root", "canonical user"):
        grants, missing = _grants_of_root(stage, layers, levels, optimistic, rules)
    else:
        grants, missing = _grants_of_others(kind, levels, rules)
    if not grants:
        note(rules, "EVAL-70")
        blocked |= missing
    if blocked:
        return Outcome("IMPLICIT_DENY", _ordered(blocked))
    return Outcome("ALLOW", _ordered(grants))


def _grants_of_identity(
    stage: Stage, layers: Layers, request: Request, levels: set[str], options: dict[str, str],
    optimistic: bool, rules: set[str] | None,
) -> tuple[set[str], set[str]]:  # fmt: skip
    """Granting paths of a user, role session or federated user, and the gates that are shut."""
    kind = request.signer.kind
    identity = _allow(layers.identity, optimistic)
    boundary = layers.boundary is None or _allow(layers.boundary, optimistic)
    if layers.session is not None:
        session = _allow(layers.session, optimistic)
    else:
        session = kind != "federated user"
        if not session:
            note(rules, "EVAL-21")
    gates = {"identity": identity, "boundary": boundary, "session": session}
    shut = {name for name, is_open in gates.items() if not is_open}

    if not stage.same:
        note(rules, "EVAL-30")
        if layers.resource is None:
            note(rules, "EVAL-33")
        if not stage.same_partition:
            note(rules, "EVAL-5")
        if not levels or not stage.same_partition:
            shut.add("resource")
        if shut:
            return set(), shut
        note(rules, "EVAL-71")
        return {"identity", "resource"}, set()

    lifts_boundary = not stage.trust or options["trust_boundary"] == "bypass"
    direct = bool(levels & {"DIRECT", "WILDCARD"}) and (boundary or lifts_boundary)
    role = "ROLE" in levels and boundary and session
    federated_user = "FEDUSER" in levels and boundary and session
    by_identity = not shut and (not stage.must or "ACCOUNT" in levels)
    for rule, is_used in (
        ("EVAL-20", by_identity),
        ("EVAL-22", direct and "DIRECT" in levels),
        ("EVAL-23", direct and "WILDCARD" in levels),
        ("EVAL-24", role),
        ("EVAL-25", "FEDUSER" in levels),
        ("EVAL-26", levels == {"ACCOUNT"}),
        ("EVAL-40", stage.trust),
        ("EVAL-42", stage.must and not stage.trust),
    ):
        if is_used:
            note(rules, rule)
    grants = set()
    if by_identity:
        grants.add("identity")
    if direct or role or federated_user:
        grants.add("resource")
    if len(grants) == 2:
        note(rules, "EVAL-71")
    if stage.must and not levels:
        return grants, {"resource"}
    return grants, shut or {"resource"}


def _grants_of_root(
    stage: Stage, layers: Layers, levels: set[str], optimistic: bool, rules: set[str] | None
) -> tuple[set[str], set[str]]:
    if stage.assumed_root:
        note(rules, "EVAL-52")  # a session policy is mandatory
        if layers.session is None or not _allow(layers.session, optimistic):
            return set(), {"session"}
    if stage.trust:
        note(rules, "EVAL-51")  # root cannot assume roles
        return set(), {"service"}
    if stage.same and not stage.must:
        note(rules, "EVAL-50")
        return {"root"}, set()
    note(rules, "EVAL-51" if stage.same else "EVAL-32")
    if not stage.same and not stage.same_partition:
        note(rules, "EVAL-5")
        return set(), {"resource"}
    return ({"resource"} if levels & {"DIRECT", "ACCOUNT", "WILDCARD"} else set()), {"resource"}


def _grants_of_others(
    kind: str, levels: set[str], rules: set[str] | None
) -> tuple[set[str], set[str]]:
    """A service principal, an anonymous caller or a federated provider."""
    if kind == "anonymous":
        note(rules, "EVAL-58")
        granting = levels & {"WILDCARD"}
    elif kind == "service":
        note(rules, "EVAL-55")
        granting = levels & {"DIRECT", "WILDCARD"}
    elif kind == "provider":
        note(rules, "EVAL-41")
        granting = levels & {"DIRECT", "WILDCARD"}
    else:
        raise RequestFault(f"a requester of kind {kind!r} cannot be decided")
    return ({"resource"} if granting else set()), {"resource"}


def _ordered(names: set[str] | list[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=ORDER.index))
