"""Why a request is decided as it is when several layers meet, statement by statement.

The kernel's answer is worked out again here, slowly and over unreduced statements: the signals of
every layer and the facts that no policy holds, judged by runtime/verdicts.py. A test holds the two
against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from .codes import DecisionCode, Layer
from .conditions import UNKNOWN
from .decisions import Request
from .estates import Bundle, RequesterSide, ResourceSide, Row
from .evaluation import asker_of
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
from .verdicts import Claim, Facts, Verdict, judge

if TYPE_CHECKING:
    from .table import Table

_NO: Claim = (False,)
_EITHER: Claim = (False, True)
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
        self._flags, _ = planner.action_facts[encode_text(request.action),]
        self._must = self._may = sum(1 << signal for signal in self._side.given)
        self._gaps: list[str] = []
        self._level_needs: list[str] = []
        self._traces: list[StatementTrace] = []

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
            self._must |= 1 << Signal.VPCE
            self._may |= 1 << Signal.VPCE

    def _bundle(self, rows: Bundle) -> None:
        for row in rows:
            if row.class_id >= 0:
                for statement in self._planner.candidates(self._request.action, row.class_id):
                    self._statement(row, statement)
            if row.is_open:
                self._may |= _signals(row.deny, 31) | _signals(row.allow, 31)

    def _statement(self, row: Row, statement: int) -> None:
        trace = self._asked.trace(statement)
        levels = Levels(31, 31)
        element = self._planner.principal_of(statement)
        if element is not None:
            levels = self._levels(element)
            if levels.must == 0:
                trace = self._with_principal(trace, statement, levels)
        effect = self._table.statements[statement].effect
        if levels.may != levels.must and trace.state != "no" and effect != "Deny":
            self._level_needs += self._principal_needs()  # it may grant more than it does
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
            self._may |= _signals(target, levels_may)
            if certain:
                self._must |= _signals(target, levels_must)

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
        needs = self._principal_needs()
        text = "whether the principal is among these is not known"
        miss = Miss("principal", location, text, "unknown", needs)
        state = "no" if trace.state == "no" else "unknown"
        return replace(trace, state=state, misses=(miss, *trace.misses))  # type: ignore[arg-type]

    def _principal_needs(self) -> tuple[str, ...]:
        """What would tell whether a principal element names the requester (PRIN-4, PRIN-10)."""
        keys = ("aws:userid", "aws:PrincipalArn")
        unknown = tuple(name for name in keys if self._asked.value_of(name) is UNKNOWN)
        return unknown or ("principal",)

    # --- the verdict

    def _facts(self) -> Facts:
        requester, resource, flags = self._side.requester, self._resource, self._flags
        account = requester.account
        is_trust: Claim = (bool(flags & ACTION_TRUST) and resource.is_role,)
        needs_policy: Claim = (
            resource.is_key or (bool(flags & ACTION_FEDERATED) and resource.is_role),
        )
        partition: Claim = (
            account is None or requester.arn is None or resource.partition is None
            or requester.arn.partition == resource.partition,
        )  # fmt: skip
        if not resource.is_known:
            is_trust = _EITHER if flags & ACTION_TRUST else _NO
            needs_policy = _EITHER if flags & (ACTION_KMS | ACTION_FEDERATED) else _NO
            partition = _EITHER
        same: Claim = _NO
        if account is not None:
            is_same = resource.account is None or resource.account == account
            same = _EITHER if resource.account == "" else (is_same,)
        is_root = requester.kind is RequesterKind.ROOT
        assumed: Claim = _NO
        if is_root:
            states = self._planner.assumed_root(self._asked.value_of("aws:AssumedRoot"))
            assumed = tuple(claim for claim, bit in ((False, 1), (True, 2)) if states & bit)
        return Facts(
            asker_of(requester.kind), same, partition, needs_policy, is_trust, assumed, is_root,
            bool(flags & ACTION_BUCKET_POLICY), resource.has_policy, self._request.also_allowed,
            self._side.scp_levels,
        )  # fmt: skip

    def explanation(self) -> Explanation:
        kind = self._side.requester.kind
        is_caller = self._flags & ACTION_CALLER and kind not in (
            RequesterKind.ANONYMOUS, RequesterKind.PROVIDER,
        )  # fmt: skip
        is_token = self._flags & ACTION_TOKEN and kind in (RequesterKind.USER, RequesterKind.ROOT)
        if is_caller or is_token:
            return self._answer(Verdict(DecisionCode.ALLOW, Layer.SERVICE, (Layer.SERVICE,)))
        self._gather()
        facts = self._facts()
        verdict = judge(self._must, self._may, facts, self._planner.rules)
        if verdict.decision is DecisionCode.UNDETERMINED:
            return self._answer(verdict, tuple(self._reasons(facts)))
        if verdict.decision is DecisionCode.EXPLICIT_DENY:
            silenced = ~sum(1 << signal for signal in DENIES.values())
            rest = judge(self._must & silenced, self._may & silenced, facts, self._planner.rules)
            return self._answer(verdict, otherwise=rest)
        return self._answer(verdict)

    def _reasons(self, facts: Facts) -> Iterator[str]:
        found = dict.fromkeys(reasons_of(self._traces))
        found |= dict.fromkeys(self._level_needs)
        found |= dict.fromkeys(self._gaps)
        if not self._resource.is_known:
            found["resource"] = None
        elif len(facts.is_same_account) > 1:
            found["the account of the resource"] = None
        if len(facts.is_assumed_root) > 1:
            found["aws:AssumedRoot"] = None
        yield from found

    def _answer(
        self, verdict: Verdict, reason: tuple[str, ...] = (), otherwise: Verdict | None = None
    ) -> Explanation:
        decision = verdict.decision
        return Explanation(
            decision,
            self._request,
            tuple(replace(t, is_deciding=self._decides(t, verdict)) for t in self._traces),
            reason,
            len(self._table.statements),
            verdict.layer,
            verdict.deciders,
            tuple(dict.fromkeys(self._gaps)),
            self._table.missing_layers,
            has_layers=True,
            missing_unknown=bool(self._table.model.frame["missing_unknown"]),
            otherwise=None if otherwise is None else (otherwise.decision, otherwise.deciders),
        )

    @staticmethod
    def _decides(trace: StatementTrace, verdict: Verdict) -> bool:
        """Of an Allow every layer's statements that match: each layer's had to."""
        effect, state = trace.statement.effect, trace.state
        if verdict.decision is DecisionCode.EXPLICIT_DENY:
            return effect == "Deny" and state == "yes" and trace.layer in verdict.deciders
        if verdict.decision is DecisionCode.ALLOW:
            return effect == "Allow" and state == "yes"
        return verdict.decision is DecisionCode.UNDETERMINED and state == "unknown"


def _signals(target: int, levels: int) -> int:
    """The signals that an entry gives at these levels, as bits."""
    if target == NO_SIGNAL:
        return 0
    if target == LEVEL_SIGNALS:
        return sum(1 << signal for bit, signal in enumerate(LEVELS) if levels >> bit & 1)
    return 1 << target if levels else 0
