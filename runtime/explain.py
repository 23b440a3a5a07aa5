"""Why a request is decided as it is: the unreduced statements, element by element.

The kernels drop what cannot change an answer (absorbed statements, later alternatives); this walk
forgets nothing. It asks the same sets and predicates as the engine, one statement at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..errors import Location, RequestError
from .codes import FLAG_NEVER, FLAG_UNKNOWN, NO_ID, DecisionCode, Layer, State
from .conditions import UNKNOWN, Predicate, Value
from .decisions import Request
from .estates import derived_value
from .keys import is_key_named
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

    element: Literal["principal", "action", "resource", "condition", "statement"]
    location: Location
    text: str
    state: StateName
    needs: tuple[str, ...] = ()
    """What would settle an unknown one: context keys, `resource`, `principal`, `statement`."""


@dataclass(frozen=True, slots=True)
class StatementTrace:
    """How one statement met the request."""

    statement: StatementInfo
    state: StateName
    is_deciding: bool
    misses: tuple[Miss, ...]
    matched: Location | None = None
    """Where the action entry that matched was written."""
    layer: Layer = Layer.IDENTITY
    """The layer in which it was asked."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its grounds. `traces` holds the statements whose action matches or could.

    layer   : the layer that decided; NONE while undetermined
    deciders : all layers that decided (EVAL-1): of an implicit denial those whose Allow is missing
    gaps    : what belongs to the layers and is not in the snapshot
    missing_layers : policy types that the snapshot does not hold at all
    """

    decision: DecisionCode
    request: Request
    traces: tuple[StatementTrace, ...]
    reason: tuple[str, ...]
    statement_count: int
    layer: Layer = Layer.IDENTITY
    deciders: tuple[Layer, ...] = ()
    gaps: tuple[str, ...] = ()
    missing_layers: tuple[str, ...] = ()
    has_layers: bool = False
    """More than identity policies were asked."""
    missing_unknown: bool = False
    """The missing layers count as unknown; otherwise they are left out."""
    otherwise: tuple[DecisionCode, tuple[Layer, ...]] | None = None
    """Of an explicit denial: decision and deciders if no Deny matched."""

    @property
    def deciding(self) -> tuple[StatementTrace, ...]:
        """Each once, also where several levels of a layer hold it."""
        found = {(t.statement.id, t.layer): t for t in self.traces if t.is_deciding}
        return tuple(found.values())

    def render(self, verbose: bool = False) -> str:
        """Text for a terminal. verbose: the near misses too when the request is allowed."""
        from .explain_text import render

        return "\n".join(render(self, verbose))

    def __str__(self) -> str:
        return self.render()


def explain(table: Table, request: Request) -> Explanation:
    """Every statement whose action matches or could match, element by element.

    Raises RequestError for a malformed action or resource.
    """
    if table.is_layered:
        from .layered_explain import explain_layers

        return explain_layers(table, request)
    check_request(request)
    asked = Asked(table, request)
    candidates = set(table.planner.candidates(request.action, 0))
    traces = [asked.trace(s) for s in range(len(table.statements)) if s in candidates]
    decision = _decide(traces)
    traces = [_mark(trace, decision) for trace in traces]
    reason: tuple[str, ...] = ()
    if decision is DecisionCode.UNDETERMINED:
        reason = tuple(dict.fromkeys(reasons_of(traces)))
    layer = Layer.NONE if decision is DecisionCode.UNDETERMINED else Layer.IDENTITY
    deciders = () if layer is Layer.NONE else (layer,)
    return Explanation(
        decision, request, tuple(traces), reason, len(table.statements), layer, deciders
    )


def check_request(request: Request) -> None:
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
    return replace(trace, is_deciding=deciding)


def reasons_of(traces: list[StatementTrace]) -> Iterator[str]:
    for trace in traces:
        if trace.state == "unknown":
            for miss in trace.misses:
                yield from miss.needs


class Asked:
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
        if is_key_named(name, self._request.unknown):
            return UNKNOWN
        context = self._request.context
        value = context[name] if name in context else folded.get(name.lower())
        if value is UNKNOWN:
            return UNKNOWN
        data = encode_value(value, name)
        return None if data is None else decode_value(data, kind, name)

    def derive(self, values: Mapping[str, Value]) -> None:
        """Values of keys, by lower-case name, where the request gives none (CTX-3)."""
        given = {name.lower() for name in self._request.context}
        for number, key in enumerate(self._model.keys):
            name = key.name.lower()
            is_derived = name in values or f"{name.partition('/')[0]}/*" in values
            if is_derived and name not in given and self._values[number] is not UNKNOWN:
                self._values[number] = derived_value(values, name)

    def value_of(self, name: str) -> Value:
        """Value of a key spelled exactly so; None where the table does not ask for it."""
        for number, key in enumerate(self._model.keys):
            if key.name == name:
                return self._values[number]
        return None

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
