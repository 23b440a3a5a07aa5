"""Why a request is decided as it is: the unreduced statements, element by element.

The kernels drop what cannot change an answer (absorbed statements, later alternatives); this walk
forgets nothing. It asks the same sets and predicates as the engine, one statement at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import Location, RequestError, render_location
from .codes import FLAG_NEVER, FLAG_UNKNOWN, NO_ID, DecisionCode, State
from .conditions import UNKNOWN, Predicate, Value
from .decisions import Request
from .model import StatementInfo
from .plan import is_action
from .values import decode_value, encode_value

if TYPE_CHECKING:
    from .table import Table

StateName = Literal["no", "yes", "unknown"]
_NAMES: dict[State, StateName] = {State.NO: "no", State.YES: "yes", State.UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True)
class Miss:
    """An element that does not match, or cannot be known to."""

    element: Literal["action", "resource", "condition", "statement"]
    location: Location
    text: str
    state: StateName
    needs: tuple[str, ...] = ()
    """What would settle an unknown one: context keys, `resource`, `statement`."""


@dataclass(frozen=True, slots=True)
class StatementTrace:
    """How one statement met the request."""

    statement: StatementInfo
    state: StateName
    is_deciding: bool
    misses: tuple[Miss, ...]
    matched: Location | None = None
    """Where the action entry that matched was written."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its grounds. `traces` holds the statements whose action matches or could."""

    decision: DecisionCode
    request: Request
    traces: tuple[StatementTrace, ...]
    reason: tuple[str, ...]
    statement_count: int

    @property
    def deciding(self) -> tuple[StatementTrace, ...]:
        return tuple(t for t in self.traces if t.is_deciding)

    def render(self, verbose: bool = False) -> str:
        """Text for a terminal. verbose: the near misses too when the request is allowed."""
        return "\n".join(_render(self, verbose))

    def __str__(self) -> str:
        return self.render()


def explain(table: Table, request: Request) -> Explanation:
    """Every statement whose action matches or could match, element by element.

    Raises RequestError for a malformed action or resource.
    """
    _check(request)
    asked = _Asked(table, request)
    candidates = set(table.planner.candidates(request.action, 0))
    traces = [asked.trace(s) for s in range(len(table.statements)) if s in candidates]
    decision = _decide(traces)
    traces = [_mark(trace, decision) for trace in traces]
    reason: tuple[str, ...] = ()
    if decision is DecisionCode.UNDETERMINED:
        reason = tuple(dict.fromkeys(_reasons(traces)))
    return Explanation(decision, request, tuple(traces), reason, len(table.statements))


def _check(request: Request) -> None:
    if not is_action(request.action):
        raise RequestError(f"`{request.action}` is not an action", field="action",
                           help="write `service:Name`, for example `s3:GetObject`")  # fmt: skip
    resource = request.resource
    is_arn = resource is not None and resource.startswith("arn:") and resource.count(":") >= 5
    if resource is not None and resource != "*" and not is_arn:
        raise RequestError(f"`{resource}` is not a resource", field="resource",
                           help="give an ARN with five colons, or `*`")  # fmt: skip


def _decide(traces: list[StatementTrace]) -> DecisionCode:
    """docs/design/three-valued.md, section "Decision"."""
    deny = {t.state for t in traces if t.statement.effect != "Allow"}
    allow = {t.state for t in traces if t.statement.effect != "Deny"}
    if "yes" in deny:
        return DecisionCode.EXPLICIT_DENY
    if "yes" in allow and "unknown" not in deny:
        return DecisionCode.ALLOW
    if "yes" not in allow and "unknown" not in allow:
        return DecisionCode.IMPLICIT_DENY
    return DecisionCode.UNDETERMINED


def _mark(trace: StatementTrace, decision: DecisionCode) -> StatementTrace:
    effect = trace.statement.effect
    deciding = {
        DecisionCode.EXPLICIT_DENY: effect == "Deny" and trace.state == "yes",
        DecisionCode.ALLOW: effect == "Allow" and trace.state == "yes",
        DecisionCode.IMPLICIT_DENY: False,
        DecisionCode.UNDETERMINED: trace.state == "unknown",
    }[decision]
    return StatementTrace(trace.statement, trace.state, deciding, trace.misses, trace.matched)


def _reasons(traces: list[StatementTrace]) -> Iterator[str]:
    for trace in traces:
        if trace.state == "unknown":
            for miss in trace.misses:
                yield from miss.needs


class _Asked:
    """One request, its context decoded as predicates see it."""

    def __init__(self, table: Table, request: Request) -> None:
        self._table = table
        self._model = table.model
        self._request = request
        self._values: dict[int, Value] = {}
        folded: dict[str, object] = {}
        for name, value in request.context.items():
            folded.setdefault(name.lower(), value)
        for number, key in enumerate(self._model.keys):
            self._values[number] = self._key_value(key.name, key.kind, folded)

    def _key_value(self, name: str, kind: int, folded: Mapping[str, object]) -> Value:
        from .session import _is_unknown

        if _is_unknown(self._request.unknown, name):
            return UNKNOWN
        context = self._request.context
        value = context[name] if name in context else folded.get(name.lower())
        if value is UNKNOWN:
            return UNKNOWN
        data = encode_value(value, name)
        return None if data is None else decode_value(data, kind, name)

    def trace(self, statement: int) -> StatementTrace:
        model = self._model
        flags = int(model["statement_flags"][statement])
        misses = [*self._resource_misses(statement), *self._condition_misses(statement)]
        info = model.statement(statement)
        if flags & FLAG_UNKNOWN:
            misses.append(
                Miss("statement", info.location, "the statement could not be understood",
                     "unknown", ("statement",))
            )
        states = {miss.state for miss in misses}
        state: StateName = "no" if "no" in states else "unknown" if states else "yes"
        if flags & FLAG_NEVER:
            state = "no"
        return StatementTrace(info, state, False, tuple(misses), self._matched_action(statement))

    def _matched_action(self, statement: int) -> Location | None:
        planner = self._table.planner
        from .plan import ASCII_LOWER
        from .values import encode_text

        action = self._request.action.translate(ASCII_LOWER)
        hits = set(planner.actions.matches(encode_text(action)))
        for pattern, span in self._model.entries("action", statement):
            if pattern in hits:
                return self._model.locate(statement, span)
        if int(self._model["statement_action_set"][statement]) == NO_ID:
            return None
        return self._model.locate(statement, self._model.part_span(statement, 2))

    def _resource_misses(self, statement: int) -> Iterator[Miss]:
        set_id = int(self._model["statement_resource_set"][statement])
        if set_id == NO_ID:
            return
        resource = self._request.resource
        sets = self._table.planner.sets
        state = sets.unknown_state(set_id) if resource is None else (
            sets.state(set_id, resource, self._values)
        )
        if state is State.YES:
            return
        span = self._model.part_span(statement, 3)
        entries = self._model.entries("resource", statement)
        if len(entries) == 1:
            span = entries[0][1]
        unknown_keys = tuple(
            self._model.keys[k].name
            for k in sets.variable_keys(set_id)
            if self._values[k] is UNKNOWN
        )
        needs = unknown_keys if resource is not None else ("resource", *unknown_keys)
        text = "the resource is not known" if resource is None else (
            self._resource_text(set_id, resource, len(entries), unknown_keys)
        )
        yield Miss("resource", self._model.locate(statement, span), text, _NAMES[state],
                   needs if state is State.UNKNOWN else ())  # fmt: skip

    def _resource_text(
        self, set_id: int, resource: str, entry_count: int, unknown_keys: tuple[str, ...]
    ) -> str:
        if unknown_keys:
            return f"the pattern needs {_listed(unknown_keys)}, which is not known"
        if self._table.planner.sets.is_negated(set_id):
            return f"`{resource}` is excepted"
        if resource == "*":
            return "a request on `*` is matched by the pattern `*` alone"
        which = "this pattern" if entry_count == 1 else f"any of these {entry_count} patterns"
        return f"`{resource}` does not match {which}"

    def _condition_misses(self, statement: int) -> Iterator[Miss]:
        for test, span in self._model.entries("predicate", statement):
            predicate = self._table.planner.predicate_of(test)
            own = self._values[predicate.key_id]
            state = predicate.evaluate(own, self._values)
            if state is State.YES:
                continue
            unknown = tuple(
                self._model.keys[k].name
                for k in dict.fromkeys((predicate.key_id, *predicate.variable_keys))
                if self._values[k] is UNKNOWN
            )
            name = self._model.keys[predicate.key_id].name
            text = _condition_text(predicate, name, own, unknown)
            yield Miss("condition", self._model.locate(statement, span), text, _NAMES[state],
                       unknown if state is State.UNKNOWN else ())  # fmt: skip


def _condition_text(
    predicate: Predicate, name: str, own: Value, unknown: tuple[str, ...]
) -> str:
    if unknown:
        return f"`{predicate.name}` needs {_listed(unknown)}, which is not known"
    if own is None:
        return f"`{predicate.name}` on `{name}` is not met: the request has no such key"
    shown = f"`{own}`" if isinstance(own, str) else "[" + ", ".join(f"`{v}`" for v in own) + "]"  # type: ignore[union-attr]
    return f"`{predicate.name}` on `{name}` is not met: the request has {shown}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_HEADLINES = {
    DecisionCode.ALLOW: "ALLOW",
    DecisionCode.EXPLICIT_DENY: "EXPLICIT_DENY",
    DecisionCode.IMPLICIT_DENY: "IMPLICIT_DENY: no statement allows it",
    DecisionCode.UNDETERMINED: "UNDETERMINED",
}


def _render(explanation: Explanation, verbose: bool) -> Iterator[str]:
    headline = _HEADLINES[explanation.decision]
    if explanation.reason:
        headline += ": it depends on " + ", ".join(
            r if r in ("resource", "statement") else f"`{r}`" for r in explanation.reason
        )
    yield headline
    for trace in explanation.deciding:
        yield ""
        yield _title(trace)
        location = trace.matched or trace.statement.location
        yield render_location(location, "the action matches here")
        for miss in trace.misses:
            yield render_location(miss.location, miss.text)
    near = [t for t in explanation.traces if not t.is_deciding]
    if near and (verbose or explanation.decision != DecisionCode.ALLOW):
        yield ""
        yield "near misses (the action matches):"
        for trace in near:
            yield ""
            yield _title(trace)
            for miss in trace.misses:
                yield render_location(miss.location, miss.text)
    if not explanation.traces:
        count, action = explanation.statement_count, explanation.request.action
        yield f"none of the {count} statements names `{action}`"


def _title(trace: StatementTrace) -> str:
    return f"{trace.statement.effect} {trace.statement.label}"
