"""How much of a record makes a difference to calls like it, under the policies that were loaded.

Records of one event source, name, type and category have one plan (`actions`). What no policy asks
for is not read: the parameters count as a whole, only when something stands in them, or not at all;
so do the listed resources. The compiled extractor is told the same by flags (`flags`), with which
calls it may tell apart by their shape or their mould.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..catalogue import Catalogue
from .actions import Plan, looks_at_values
from .arns import NOTHING_BELOW
from .asked_keys import AskedKeys
from .blocks import (
    BY_MOULD,
    BY_SHAPE,
    IS_BLIND,
    PARAMETERS_ALL,
    PARAMETERS_SOME,
    RESOURCES,
    SELF,
    PlanFlags,
)
from .calls import CallMapper
from .outcome import is_denial, strip_opaque
from .records import BadRecord, Record
from .sessions import BEGIN

_MAX_PLANS = 100_000
_NO_PARAMETERS, _SOME_PARAMETERS, _ALL_PARAMETERS = range(3)


@dataclass(slots=True)
class PlanRow:
    """A plan with what the loop asks of it."""

    number: int
    plan: Plan
    parameters: int
    """How much of the parameters makes a difference."""
    needles: tuple[bytes, ...]
    """With _SOME_PARAMETERS: they matter when one of these is in them."""
    wants_resources: bool
    needs_resources: bool
    """Does a policy ask for more of its calls than the action?"""
    begins_session: bool
    """Is it worth knowing what its calls tell of the sessions that they begin?"""


class Plans:
    """The plans of a log.

    rows : by event source, name, type and category
    """

    def __init__(self, mapper: CallMapper, keys: AskedKeys, catalogue: Catalogue,
                 needs: Callable[[str], bool] | None, *, learns_names: bool) -> None:
        """needs : as for `read_logs`
        learns_names : what records tell of new names matters
        """
        self._mapper, self._keys, self._catalogue = mapper, keys, catalogue
        self._needs, self._learns_names = needs, learns_names
        self.rows: dict[tuple[str | None, ...], PlanRow] = {}
        self._count = 0

    def of(self, record: Record) -> PlanRow:
        """What matters of the calls of a record that is the first of its kind. Raises BadRecord."""
        source, name = record.eventSource, record.eventName
        if not source or not name:
            raise BadRecord(f"`{'eventName' if source else 'eventSource'}` is missing")
        if len(source) + len(name) > 1024:
            raise BadRecord("`eventName` is too long")
        plan = self._mapper.actions.plan(source, name, record.eventType, record.eventCategory)
        if len(self.rows) > _MAX_PLANS:
            self.rows.clear()
        is_needed = self._is_needed(plan)
        mode, needles = self._parameters_for(plan, is_needed)
        self._count += 1
        row = PlanRow(self._count, plan, mode, needles,
                       is_needed and self._has_resource_types(plan), is_needed,
                       self._keys.sessions and any(
                           step.action in BEGIN for step in plan.steps))
        self.rows[source, name, record.eventType, record.eventCategory] = row
        return row

    def _has_resource_types(self, plan: Plan) -> bool:
        if plan.verdict is not None:
            return False
        if plan.rule is not None or plan.tagging_action is not None:
            return True
        return any(
            (action := self._catalogue.action(step.action)) is not None and action.resource_types
            for step in plan.steps)

    def _is_needed(self, plan: Plan) -> bool:
        """Can a policy ask for the resource or the context of a call of this plan, or does the
        resource tell a name?"""
        rule = plan.rule or {}
        if self._learns_names and any(
                step.action.startswith("iam:Create") for step in plan.steps):
            return True
        if self._needs is None or not plan.steps or not set(rule) <= {"actions", "when"}:
            return True
        actions = [step.action for step in plan.steps]
        for condition in rule.get("when", ()):
            actions += self._mapper.actions.named(
                plan.service, condition.get("instead") or condition.get("also", []))
        if plan.tagging_action is not None:
            actions.append(plan.tagging_action)
        return any(map(self._needs, actions))

    def _parameters_for(self, plan: Plan, is_needed: bool) -> tuple[int, tuple[bytes, ...]]:
        """How much of the parameters can make a difference to calls of this plan."""
        if plan.verdict is not None:
            return _NO_PARAMETERS, ()
        if is_needed and self._keys.want_parameters_of(plan.service):
            return _ALL_PARAMETERS, ()
        needles: list[bytes] = []
        if plan.rule is not None:
            if "when" not in plan.rule and "actions" not in plan.rule:
                return _ALL_PARAMETERS, ()
            needles += (f'"{name}"'.encode() for condition in plan.rule.get("when", ())
                        for name in condition["has"])
        if is_needed and (
                any(step.tail for step in plan.steps) or self._has_resource_types(plan)):
            return _ALL_PARAMETERS, ()
        if plan.passes_role:
            needles.append(b"arn:")
        if plan.passes_role:
            if self._keys.want_parameters_of("iam"):
                return _ALL_PARAMETERS, ()
            needles += (b"ole", b"rofile")
        if plan.tagging_action is not None or plan.may_tag or (is_needed and self._keys.tags):
            needles.append(b"ag")
        if is_needed and plan.is_about_self:
            needles.append(b"serName")
        if plan.service in ("s3", "s3express"):
            needles.append(b"--x-s3")
        return (_SOME_PARAMETERS if needles else _NO_PARAMETERS), tuple(needles)

    def flags(self, row: PlanRow) -> PlanFlags:
        """The same for the compiled extractor."""
        flags = {_NO_PARAMETERS: 0, _SOME_PARAMETERS: PARAMETERS_SOME,
                 _ALL_PARAMETERS: PARAMETERS_ALL}[row.parameters]
        flags |= RESOURCES if row.wants_resources else 0
        flags |= SELF if row.plan.is_about_self else 0
        if row.parameters == _ALL_PARAMETERS and self._is_by_shape(row.plan):
            return PlanFlags(flags | BY_SHAPE, self._rule_needles(row.plan))
        if row.parameters == _ALL_PARAMETERS and self._is_by_mould(row.plan):
            if not self._keys.want_parameters_of(row.plan.service) and (
                    self._mapper.is_blind_below(row.plan, NOTHING_BELOW)):
                flags |= IS_BLIND
            return PlanFlags(flags | BY_MOULD, (b"ag",) if self._keys.tags else ())
        return PlanFlags(flags, row.needles)

    def _is_by_shape(self, plan: Plan) -> bool:
        """S3 calls whose requests depend on nothing but the listed buckets and objects."""
        return (
            plan.service == "s3" and len(plan.steps) == 1 and not plan.steps[0].tail
            and (plan.rule is None or set(plan.rule) <= {"actions", "when"})
            and not (plan.are_resources_unknown or plan.is_about_self or plan.may_tag
                     or plan.passes_role or plan.tagging_action is not None)
            and not any(key.services is None or "s3" in key.services
                        for key in self._keys.request))

    def _is_by_mould(self, plan: Plan) -> bool:
        """Calls whose values are looked at in no other way than `value_classes` says."""
        return (
            plan.verdict is None and not any(step.tail for step in plan.steps)
            and (plan.rule is None or (
                set(plan.rule) <= {"actions", "when"} and not looks_at_values(plan.rule)))
            and not (plan.are_resources_unknown or plan.is_about_self)
            and not any(step.action.startswith("iam:Create") for step in plan.steps))

    def _rule_needles(self, plan: Plan) -> tuple[bytes, ...]:
        """What in the parameters would change the actions of an S3 call."""
        conditions = plan.rule.get("when", ()) if plan.rule is not None else ()
        return (b"--x-s3", *(f'"{name}"'.encode() for condition in conditions
                             for name in condition["has"]))


def told_of(record: Record, plan: PlanRow) -> tuple[str | None, bytes]:
    """The message and the parameters of a record as far as they make a difference to its plan."""
    message = None
    if record.errorCode:
        if record.errorMessage and is_denial(record.errorCode):
            message = strip_opaque(record.errorMessage)
    elif record.errorMessage:
        message = "?"  # an error without its code: no outcome
    if not plan.parameters:
        return message, b""
    parameters = bytes(record.requestParameters)
    if plan.parameters == _SOME_PARAMETERS and parameters[:1] == b"{" and not any(
            needle in parameters for needle in plan.needles):
        return message, b"{}"
    return message, parameters
