"""What a comparison found: objects, and their forms as text, dictionaries, Arrow and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .errors import Location
from .runtime.codes import DecisionCode
from .runtime.model import StatementInfo

if TYPE_CHECKING:
    import pyarrow as pa

Verdict = Literal["yes", "no", "undecided"]
Expectation = Literal["no-new-access", "no-lost-access", "equivalent"]
EXPECTATIONS: tuple[Expectation, ...] = ("no-new-access", "no-lost-access", "equivalent")

_WORLDS = {
    "rules": "every request that the rules admit",
    "catalogue": "actions of the service catalogue on ARNs of their templates",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A concrete request. `context` maps keys to a text, or a list for several values."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"action": self.action, "resource": self.resource, "context": dict(self.context)}

    def __str__(self) -> str:
        asked = f"{self.action} on {self.resource}"
        if not self.context:
            return asked
        pairs = (f"{key} = {_shown(value)}" for key, value in self.context.items())
        return f"{asked} with {', '.join(pairs)}"


def _shown(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return value if value and value == value.strip() and "," not in value else f'"{value}"'


class Ground(NamedTuple):
    """A statement that speaks for or against a request, and the layer it belongs to.

    layer : `identity`, `boundary`, `scp`, `rcp`, `resource` or `vpce` (EVAL-1)
    """

    layer: str
    statement: StatementInfo

    def __str__(self) -> str:
        return f"{self.statement.label} ({self.statement.location})"

    def to_dict(self) -> dict[str, Any]:
        return {"layer": self.layer, **statement_dict(self.statement)}


@dataclass(frozen=True, slots=True)
class Difference:
    """Requests that one side allows and the other does not, as far as one statement is the reason.

    statement   : the Allow statement that matches them
    actions     : its action patterns that reach into the region; those that do in part say so
    resources   : its resource patterns within which there is a difference
    conditions  : its conditions; all have to hold
    allowed_by  : Allow statements of the one side that match the witness, layer by layer
    denied_by   : Deny statements of the other side that match it
    near_misses : Allow statements of the other side that miss it by their condition alone, in the
                  layers that do not allow it
    witness     : a request of the region, confirmed by the reference evaluator
    decision    : the other side's decision about it
    deciders    : of organizations, the layers behind that decision (EVAL-1)
    """

    statement: StatementInfo
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]
    allowed_by: tuple[Ground, ...]
    denied_by: tuple[Ground, ...]
    near_misses: tuple[Ground, ...]
    witness: Request
    decision: DecisionCode
    deciders: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "statement": statement_dict(self.statement),
            "actions": list(self.actions),
            "resources": list(self.resources),
            "conditions": list(self.conditions),
            "allowed_by": [g.to_dict() for g in self.allowed_by],
            "denied_by": [g.to_dict() for g in self.denied_by],
            "near_misses": [g.to_dict() for g in self.near_misses],
            "witness": self.witness.to_dict(),
            "decision": self.decision.name,
            "deciders": list(self.deciders),
        }

    @property
    def grounds(self) -> str:
        """The statements by which the one side allows it, in a few words."""
        return f"allowed by {_told(self.allowed_by, bool(self.deciders))}"

    @property
    def reason(self) -> str:
        """Why the other side does not allow it, in a few words."""
        is_layered = bool(self.deciders)
        if self.denied_by:
            return f"denied by {_told(self.denied_by, is_layered)}"
        if is_layered:
            near = _told(self.near_misses, True)
            return f"allowed by no {_layer_names(self.deciders)}" + (
                f"; the condition is not met of {near}" if near else "")
        if self.near_misses:
            return f"the condition is not met of {_told(self.near_misses, False)}"
        return "no statement allows it"


_TOLD = 4
"""Statements of a layer that are named in a text; `to_dict` has all."""

_LAYER_WORDS = {
    "identity": "identity policy", "boundary": "permissions boundary",
    "scp": "service control policy", "rcp": "resource control policy",
    "resource": "resource policy", "vpce": "endpoint policy",
}  # fmt: skip


def _layer_names(layers: Iterable[str]) -> str:
    return " and no ".join(_LAYER_WORDS.get(layer, layer) for layer in layers)


def _told(grounds: Sequence[Ground], is_layered: bool) -> str:
    """Statements with their places; of several layers, layer by layer."""
    layers: dict[str, list[str]] = {}
    for ground in grounds:
        layers.setdefault(ground.layer, []).append(str(ground))
    parts = []
    for layer, places in layers.items():
        text = ", ".join(places[:_TOLD]) + (
            f" and {len(places) - _TOLD} more" if len(places) > _TOLD else "")
        parts.append(f"{_LAYER_WORDS.get(layer, layer)} {text}" if is_layered else text)
    return "; ".join(parts)


def statement_dict(statement: StatementInfo) -> dict[str, Any]:
    place: Location = statement.location
    return {
        "policy": statement.policy, "index": statement.index, "sid": statement.sid,
        "effect": statement.effect,
        "location": {"path": place.path, "line": place.line, "column": place.column,
                     "length": place.length},
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Direction:
    """What one side allows and the other does not.

    differences : each with a confirmed request
    undecided   : what could not be decided, and why
    left_out    : how many more differences there are than the budget lets be told
    """

    differences: tuple[Difference, ...] = ()
    undecided: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def verdict(self) -> Verdict:
        """`yes`: there is a difference; `no`: proved that there is none; `undecided`."""
        if self.differences:
            return "yes"
        return "undecided" if self.undecided else "no"

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "differences": [d.to_dict() for d in self.differences],
            "undecided": list(self.undecided),
            "left_out": self.left_out,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """The names of the documents of one side."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.names) or "(nothing)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `new` allows that `old` does not (`gained`), and the other way round (`lost`).

    world          : `rules` or `catalogue`: which requests the answer is about
    catalogue_date : day of the snapshot of the service catalogue
    principal      : of two organizations, whose requests; empty for documents
    scope          : of two organizations, what the answer is about, in sentences
    """

    old: Side
    new: Side
    world: str
    catalogue_date: str
    gained: Direction
    lost: Direction
    principal: str = ""
    scope: tuple[str, ...] = ()

    @property
    def equivalent(self) -> Verdict:
        """`yes`: proved that both allow the same requests; `no`: there is a difference."""
        verdicts = {self.gained.verdict, self.lost.verdict}
        if "yes" in verdicts:
            return "no"
        return "undecided" if "undecided" in verdicts else "yes"

    def meets(self, expectation: Expectation) -> Verdict:
        """Whether an expectation is met: `yes`, `no` or `undecided`."""
        if expectation == "equivalent":
            return self.equivalent
        direction = self.gained if expectation == "no-new-access" else self.lost
        swapped: dict[Verdict, Verdict] = {"yes": "no", "no": "yes", "undecided": "undecided"}
        return swapped[direction.verdict]

    @property
    def world_text(self) -> str:
        return _WORLDS[self.world]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "old": list(self.old.names), "new": list(self.new.names), "world": self.world,
            "catalogue_date": self.catalogue_date, "equivalent": self.equivalent,
            "gained": self.gained.to_dict(), "lost": self.lost.to_dict(),
            "principal": self.principal, "scope": list(self.scope),
        }  # fmt: skip

    def to_arrow(self) -> pa.Table:
        """One row per difference."""
        import pyarrow as pa

        rows = [
            {
                "change": change, "policy": d.statement.policy, "sid": d.statement.sid,
                "line": d.statement.location.line, "column": d.statement.location.column,
                "actions": list(d.actions), "resources": list(d.resources),
                "conditions": list(d.conditions), "grounds": d.grounds, "reason": d.reason,
                "decision": d.decision.name, "witness_action": d.witness.action,
                "witness_resource": d.witness.resource,
                "witness_context": [
                    {"key": key, "values": value if isinstance(value, list) else [value],
                     "is_list": isinstance(value, list)}
                    for key, value in d.witness.context.items()],
            }
            for change, d in self._changes()
        ]  # fmt: skip
        texts = pa.list_(pa.string())
        context = pa.list_(pa.struct([
            ("key", pa.string()), ("values", texts), ("is_list", pa.bool_())]))
        return pa.Table.from_pylist(rows, pa.schema([
            ("change", pa.string()), ("policy", pa.string()), ("sid", pa.string()),
            ("line", pa.int32()), ("column", pa.int32()), ("actions", texts),
            ("resources", texts), ("conditions", texts), ("grounds", pa.string()),
            ("reason", pa.string()), ("decision", pa.string()), ("witness_action", pa.string()),
            ("witness_resource", pa.string()), ("witness_context", context),
        ]))  # fmt: skip

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _changes(self) -> Iterator[tuple[str, Difference]]:
        for change, direction in (("gained", self.gained), ("lost", self.lost)):
            for difference in direction.differences:
                yield change, difference

    def _repr_html_(self) -> str:
        head = (f"<p><b>{escape(str(self.old))}</b> &rarr; <b>{escape(str(self.new))}</b>: "
                f"{escape(self.world_text)}</p>")
        body = "".join(
            f"<tr><td>{change}</td><td>{escape(d.statement.label)}<br>"
            f"<small>{escape(str(d.statement.location))}</small></td>"
            f"<td>{_cell(d.actions)}</td><td>{_cell(d.resources)}</td>"
            f"<td>{_cell(d.conditions)}</td><td>{escape(d.grounds)}</td>"
            f"<td>{escape(d.reason)}</td>"
            f"<td>{escape(str(d.witness))}</td></tr>"
            for change, d in self._changes()
        )
        names = ("change", "statement", "actions", "resources", "conditions", "one side",
                 "other side", "witness")
        table = (f"<table><tr>{''.join(f'<th>{n}</th>' for n in names)}</tr>{body}</table>"
                 if body else "")
        verdicts = "".join(
            f"<p>{change}: {_VERDICT_TEXT[direction.verdict]}</p>"
            f"{''.join(f'<p>undecided: {escape(u)}</p>' for u in direction.undecided)}"
            for change, direction in (("gained", self.gained), ("lost", self.lost)))
        return head + verdicts + table


_VERDICT_TEXT = {"yes": "see below", "no": "nothing (proved)", "undecided": "undecided"}


def _cell(texts: tuple[str, ...]) -> str:
    return "<br>".join(map(escape, texts))
