"""An explanation as text for a terminal: the outcome, what decided, what missed, what helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import render_location
from .codes import DecisionCode, Layer

if TYPE_CHECKING:
    from .explain import Explanation, StatementTrace

_LAYER_NAMES = {
    Layer.SCP: "the service control policies",
    Layer.RCP: "the resource control policies",
    Layer.VPCE: "the endpoint policy",
    Layer.RESOURCE: "the resource's policy",
    Layer.IDENTITY: "the identity policies",
    Layer.BOUNDARY: "the permissions boundary",
    Layer.SESSION: "the session policies",
    Layer.ROOT: "the root user's own rights",
    Layer.SERVICE: "the service itself",
    Layer.OTHER: "other means",
}
_MISSING_NAMES = {
    "identity": "identity policies",
    "boundary": "permissions boundaries",
    "session": "session policies",
    "resource": "resource policies",
    "scp": "service control policies",
    "rcp": "resource control policies",
    "vpce": "endpoint policies",
}
"""Policy types as a snapshot holds them or not."""
_KINDS = {"resource", "statement", "principal"}
"""Reasons that are words of ours; others with a colon and no space are names of keys."""


def render(explanation: Explanation, verbose: bool) -> Iterator[str]:
    """Lines. verbose: the near misses too when the request is allowed."""
    yield _headline(explanation)
    for trace in explanation.deciding:
        yield ""
        yield _title(trace, explanation.has_layers)
        location = trace.matched or trace.statement.location
        yield render_location(location, "the action matches here")
        for miss in trace.misses:
            yield render_location(miss.location, miss.text)
    yield from _near_misses(explanation, verbose)
    yield from _silent_layers(explanation)
    if explanation.has_layers:
        yield from _without_effect(explanation)
        yield from _remedy(explanation)
    if explanation.gaps:
        yield ""
        yield "not in the snapshot: " + "; ".join(explanation.gaps)
    if explanation.missing_layers:
        counted = "counted as unknown" if explanation.missing_unknown else "left out"
        names = ", ".join(_MISSING_NAMES.get(name, name) for name in explanation.missing_layers)
        yield ""
        yield f"{counted}, since the snapshot holds none: {names}"


def _headline(explanation: Explanation) -> str:
    decision, layer = explanation.decision, explanation.layer
    name = decision.name
    if decision is DecisionCode.UNDETERMINED:
        listed = ", ".join(
            f"`{r}`" if r not in _KINDS and " " not in r else r for r in explanation.reason
        )
        return f"{name}: it depends on {listed}" if listed else name
    if decision is DecisionCode.IMPLICIT_DENY:
        if not explanation.has_layers:
            return f"{name}: no statement allows it"
        if explanation.deciders == (Layer.SERVICE,):
            return f"{name}: a root user cannot assume roles"
        return f"{name}: no Allow in {_listed(explanation.deciders)}"
    if layer is Layer.IDENTITY and not explanation.has_layers:
        return name
    deciders = explanation.deciders or (layer,)
    return f"{name} by {_listed(deciders)}"


def _listed(layers: Iterable[Layer]) -> str:
    return " and ".join(_LAYER_NAMES[layer] for layer in layers)


def _near_misses(explanation: Explanation, verbose: bool) -> Iterator[str]:
    """Statements whose action matches and that fail by another element."""
    decision = explanation.decision
    near = [t for t in explanation.traces if not t.is_deciding]
    if explanation.has_layers:
        near = [t for t in near if t.misses]
        if decision is DecisionCode.IMPLICIT_DENY and not verbose:
            near = [t for t in near if t.layer in explanation.deciders
                    and t.statement.effect != "Deny"]  # fmt: skip
    if not near or (decision is DecisionCode.ALLOW and not verbose):
        return
    yield ""
    yield "near misses (the action matches):"
    for trace in near:
        yield ""
        yield _title(trace, explanation.has_layers)
        for miss in trace.misses:
            yield render_location(miss.location, miss.text)


def _silent_layers(explanation: Explanation) -> Iterator[str]:
    """Where no statement names the action although an Allow was needed."""
    action = explanation.request.action
    if not explanation.has_layers:
        if not explanation.traces:
            yield f"none of the {explanation.statement_count} statements names `{action}`"
        return
    if explanation.decision is not DecisionCode.IMPLICIT_DENY:
        return
    spoken = {t.layer for t in explanation.traces if t.statement.effect != "Deny"}
    silent = [layer for layer in explanation.deciders if layer not in spoken]
    for layer in silent:
        if layer is not Layer.SERVICE:
            yield ""
            yield f"in {_LAYER_NAMES[layer]} no Allow names `{action}`"


def _without_effect(explanation: Explanation) -> Iterator[str]:
    """What allows it in layers whose Allow is not enough, a line each."""
    if explanation.decision not in (DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY):
        return
    rest = {
        (t.statement.id, t.layer): t
        for t in explanation.traces
        if t.state == "yes" and not t.is_deciding
    }
    if not rest:
        return
    yield ""
    yield "matching, but not enough:"
    for trace in rest.values():
        yield f"  {_title(trace, True)} --> {trace.matched or trace.statement.location}"


def _remedy(explanation: Explanation) -> Iterator[str]:
    """What would have to change."""
    request = explanation.request
    if explanation.decision is DecisionCode.EXPLICIT_DENY and explanation.otherwise is not None:
        decision, layers = explanation.otherwise
        then = {
            DecisionCode.ALLOW: f"allowed by {_listed(layers)}",
            DecisionCode.IMPLICIT_DENY: f"denied still: no Allow in {_listed(layers)}",
            DecisionCode.UNDETERMINED: "undetermined",
        }[decision]
        yield ""
        yield f"to change it: no Deny may match; it would then be {then}"
    if explanation.decision is DecisionCode.IMPLICIT_DENY:
        wanted = [layer for layer in explanation.deciders if layer is not Layer.SERVICE]
        if wanted:
            on = f" on `{request.resource}`" if request.resource is not None else ""
            who = f" for `{request.principal}`" if Layer.RESOURCE in wanted else ""
            yield ""
            yield (f"to change it: an Allow of `{request.action}`{on}{who} "
                   f"in {_listed(wanted)}")  # fmt: skip


def _title(trace: StatementTrace, has_layers: bool) -> str:
    where = f" in {_LAYER_NAMES[trace.layer]}" if has_layers else ""
    return f"{trace.statement.effect} {trace.statement.label}{where}"
