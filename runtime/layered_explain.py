"""Why a request is decided as it is when several layers meet: layer by layer, statement by statement.

The kernel's answer is worked out again here, slowly and over unreduced statements: the signals of
every layer, the stages that unknown facts leave open, and the rules of runtime/evaluation.py asked of
both readings of unknowns. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from .codes import DecisionCode, Layer
from .conditions import UNKNOWN
from .decisions import Request
from .estates import Bundle, RequesterSide, ResourceSide, Row
from .evaluation import Allows, Asker, Stage, asker_of, grant, outcome
from .explain import Asked, Explanation, Miss, StatementTrace, check_request, reasons_of
from .layered_plan import (
    ACTION_BUCKET_POLICY,
    ACTION_CALLER,
    ACTION_FEDERATED,
    ACTION_KMS,
    ACTION_NO_RCP,
    ACTION_TOKEN,
    ACTION_TRUST,
    LayeredPlanner,
)
from .principals import Asked as AskedPrincipal
from .principals import Levels
from .requesters import RequesterKind
from .signals import DENIES, LEVEL_SIGNALS, LEVELS, NO_SIGNAL, Signal
from .values import encode_text

if TYPE_CHECKING:
    from .table import Table

_DENY_LAYER = {int(signal): layer for layer, signal in DENIES.items()}


def explain_layers(table: Table, request: Request) -> Explanation:
    """Every statement of the layers that apply, whose action matches or could.

    Raises RequestError for a malformed action or resource, and for no or an impossible principal.
    """
    check_request(request)
    return _Question(table, request).explanation()


class _Question:
    """One request over a layered table."""

    def __init__(self, table: Table, request: Request) -> None:
        planner = table.planner
        assert isinstance(planner, LayeredPlanner)
        self._table = table
        self._planner = planner
        self._request = request
        self._asked = Asked(table, request)
        if request.principal is None:
            # The kernel's own words for it.
            table.session().check(action=request.action, resource=request.resource)
            raise AssertionError
        self._side: RequesterSide = planner.requester_side(
            request.principal, request.issuer_arn, request.principal_account,
            request.principal_type, request.is_management_account,
        )  # fmt: skip
        self._resource: ResourceSide = planner.estate.resource_side(
            request.resource, request.resource_account
        )
        self._asked.derive(self._side.derived)
        self._asked.derive(self._resource.derived)
        self._endpoint = planner.estate.endpoint_side(self._asked.value_of("aws:SourceVpce"))
        self._asked.derive(self._endpoint.derived)
        self._flags, _ = planner.action_facts(encode_text(request.action))
        self._must: set[int] = set(self._side.given)
        self._may: set[int] = set(self._side.given)
        self._gaps: list[str] = []
        self._traces: list[StatementTrace] = []
        self._scp_levels = self._side.scp_levels

    # --- signals

    def _gather(self) -> None:
        side, resource = self._side, self._resource
        self._bundle(side.bundle)
        self._gaps += side.gaps
        is_trust = self._flags & (ACTION_TRUST | ACTION_FEDERATED)
        self._bundle(resource.trust if is_trust else resource.plain)
        self._gaps += resource.gaps
        if side.is_under_rcps and not self._flags & ACTION_NO_RCP:
            self._bundle(resource.rcps)
            if resource.account is None:
                self._bundle(side.rcps)
        if side.is_under_endpoints and self._endpoint.bundle:
            self._bundle(self._endpoint.bundle)
            self._gaps += self._endpoint.gaps
        else:
            self._must.add(Signal.VPCE)
            self._may.add(Signal.VPCE)

    def _bundle(self, rows: Bundle) -> None:
        for row in rows:
            if row.class_id >= 0:
                for statement in self._planner.candidates(self._request.action, row.class_id):
                    self._statement(row, statement)
            if row.is_open:
                self._may.add(row.deny)
                self._may.update(_signals(row.allow, 31))

    def _statement(self, row: Row, statement: int) -> None:
        trace = self._asked.trace(statement)
        levels = Levels(31, 31)
        element = self._planner.principal_of(statement)
        if element is not None:
            levels = self._levels(element)
            if levels.must == 0:
                trace = self._with_principal(trace, statement, levels)
        effect = self._table.statements[statement].effect
        layer = _DENY_LAYER[row.deny]
        self._traces.append(replace(trace, layer=layer))
        if trace.state == "no":
            return
        certain = trace.state == "yes"  # and then some level matches for certain
        for target, wanted in ((row.deny, "Allow"), (row.allow, "Deny")):
            if effect == wanted:
                continue
            if target != LEVEL_SIGNALS:
                levels_must, levels_may = 31 if levels.must else 0, 31
            else:
                levels_must, levels_may = levels
            self._may.update(_signals(target, levels_may))
            if certain:
                self._must.update(_signals(target, levels_must))

    def _levels(self, element: int) -> Levels:
        return self._planner.levels_of(
            element,
            AskedPrincipal(
                self._side.requester,
                self._side.has_boundary,
                self._asked.value_of("aws:userid"),
                self._asked.value_of("aws:PrincipalArn"),
            ),
        )

    def _with_principal(
        self, trace: StatementTrace, statement: int, levels: Levels
    ) -> StatementTrace:
        model = self._table.model
        location = model.locate(statement, model.part_span(statement, 4))
        if levels.may == 0:
            text = f"`{self._request.principal}` is not among the principals"
            miss = Miss("principal", location, text, "no")
            return replace(trace, state="no", misses=(miss, *trace.misses))
        needs = tuple(
            name
            for name in ("aws:userid", "aws:PrincipalArn")
            if self._asked.value_of(name) is UNKNOWN
        ) or ("principal",)
        text = "whether the principal is among these is not known"
        miss = Miss("principal", location, text, "unknown", needs)
        state = "no" if trace.state == "no" else "unknown"
        return replace(trace, state=state, misses=(miss, *trace.misses))  # type: ignore[arg-type]

    # --- facts

    def _stages(self) -> list[Stage]:
        account, resource = self._side.requester.account, self._resource
        if account is None:
            same = [False]
        elif resource.account == "":
            same = [False, True]
        else:
            same = [resource.account is None or resource.account == account]
        trust_action = bool(self._flags & ACTION_TRUST)
        if resource.is_known:
            arn = self._side.requester.arn
            is_one = (
                account is None or arn is None or not resource.partition
                or arn.partition == resource.partition
            )  # fmt: skip
            partitions = [is_one]
            trusts = [trust_action and resource.is_role]
            musts = [
                resource.is_key or bool(self._flags & ACTION_FEDERATED) and resource.is_role
            ]
        else:
            partitions = [False, True]
            trusts = [False, True] if trust_action else [False]
            musts = [False, True] if self._flags & (ACTION_KMS | ACTION_FEDERATED) else [False]
        assumed = [False]
        if self._side.requester.kind is RequesterKind.ROOT:
            states = self._planner.assumed_root(self._asked.value_of("aws:AssumedRoot"))
            assumed = [claim for claim, bit in ((False, 1), (True, 2)) if states & bit]
        return [
            Stage(a, b, must or trust, trust, root, self._request.also_allowed)
            for a, b, must, trust, root in product(same, partitions, musts, trusts, assumed)
        ]

    # --- the outcome

    def explanation(self) -> Explanation:
        asker = asker_of(self._side.requester.kind)
        kind = self._side.requester.kind
        is_caller = self._flags & ACTION_CALLER and kind not in (
            RequesterKind.ANONYMOUS, RequesterKind.PROVIDER,
        )  # fmt: skip
        is_token = self._flags & ACTION_TOKEN and kind in (RequesterKind.USER, RequesterKind.ROOT)
        if is_caller or is_token:
            return self._answer(DecisionCode.ALLOW, Layer.SERVICE, [])
        self._gather()
        stages = self._stages()
        outcomes = [self._of_stage(asker, stage) for stage in stages]
        decisions = {decision for decision, _ in outcomes}
        if len(decisions) == 1 and DecisionCode.UNDETERMINED not in decisions:
            return self._answer(*outcomes[0], self._blocked(asker, stages[0]))
        return self._answer(
            DecisionCode.UNDETERMINED, Layer.NONE, [], tuple(self._reasons(stages))
        )

    def _of_stage(self, asker: Asker, stage: Stage) -> tuple[DecisionCode, Layer]:
        must, may = self._seen(stage)
        if not any(signal in may for signal in _DENY_LAYER):
            found = self._rules(asker, stage, must)
            if found[0] is DecisionCode.ALLOW:
                return found
        for signal in sorted(_DENY_LAYER):
            if signal in must:
                return DecisionCode.EXPLICIT_DENY, _DENY_LAYER[signal]
        found = self._rules(asker, stage, may)
        if found[0] is DecisionCode.ALLOW:
            return DecisionCode.UNDETERMINED, Layer.NONE
        return found

    def _seen(self, stage: Stage) -> tuple[set[int], set[int]]:
        """Signals that count in a stage (EVAL-6, EVAL-16, EVAL-44)."""
        hidden: set[int] = set()
        if self._side.requester.kind is RequesterKind.ROOT:
            if stage.is_same_account and self._flags & ACTION_BUCKET_POLICY:
                hidden.add(Signal.DENY_RESOURCE)
            if not stage.is_assumed_root:
                hidden.add(Signal.DENY_SESSION)
        given: set[int] = set()
        is_assumed = self._table.model.options.missing_required_policy == "account"
        if is_assumed and not self._resource.has_policy and stage.needs_policy:
            given = {Signal.ACCOUNT} if stage.is_same_account else set()
        return (self._must | given) - hidden, (self._may | given) - hidden

    def _allows(self, signals: set[int]) -> Allows:
        gates = (Signal.IDENTITY, Signal.BOUNDARY, Signal.SESSION, Signal.VPCE, *LEVELS)
        scp = all(Signal.SCP + level in signals for level in range(self._scp_levels))
        return Allows(*(signal in signals for signal in gates), scp)

    def _rules(self, asker: Asker, stage: Stage, signals: set[int]) -> tuple[DecisionCode, Layer]:
        is_bypassed = self._table.model.options.trust_boundary == "bypass"
        return outcome(asker, stage, self._allows(signals), is_boundary_bypassed=is_bypassed)

    def _blocked(self, asker: Asker, stage: Stage) -> list[Layer]:
        """Layers whose Allow is missing, for a person to see all of them at once."""
        _, may = self._seen(stage)
        allows = self._allows(may)
        is_bypassed = self._table.model.options.trust_boundary == "bypass"
        granted, missing = grant(asker, stage, allows, is_boundary_bypassed=is_bypassed)
        blocked = list(missing) if granted is None else []
        blocked += [] if allows.scp else [Layer.SCP]
        blocked += [] if allows.vpce else [Layer.VPCE]
        return sorted(set(blocked))

    def _reasons(self, stages: list[Stage]) -> Iterator[str]:
        found = dict.fromkeys(reasons_of(self._traces))
        found |= dict.fromkeys(self._gaps)
        if not self._resource.is_known:
            found["resource"] = None
        elif len({stage.is_same_account for stage in stages}) > 1:
            found["the account of the resource"] = None
        if len({stage.is_assumed_root for stage in stages}) > 1:
            found["aws:AssumedRoot"] = None
        yield from found

    def _answer(
        self,
        decision: DecisionCode,
        layer: Layer,
        blocked: list[Layer],
        reason: tuple[str, ...] = (),
    ) -> Explanation:
        traces = tuple(replace(t, is_deciding=self._decides(t, decision)) for t in self._traces)
        return Explanation(
            decision, self._request, traces, reason, len(self._table.statements), layer,
            tuple(blocked) if decision is DecisionCode.IMPLICIT_DENY else (),
            tuple(dict.fromkeys(self._gaps)), self._table.missing_layers, True,
        )  # fmt: skip

    @staticmethod
    def _decides(trace: StatementTrace, decision: DecisionCode) -> bool:
        effect = trace.statement.effect
        return {
            DecisionCode.EXPLICIT_DENY: effect == "Deny" and trace.state == "yes",
            DecisionCode.ALLOW: effect == "Allow" and trace.state == "yes",
            DecisionCode.IMPLICIT_DENY: False,
            DecisionCode.UNDETERMINED: trace.state == "unknown",
        }[decision]


def _signals(target: int, levels: int) -> list[int]:
    if target == NO_SIGNAL:
        return []
    if target == LEVEL_SIGNALS:
        return [int(signal) for bit, signal in enumerate(LEVELS) if levels >> bit & 1]
    return [target] if levels else []

