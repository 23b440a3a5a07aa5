"""A replay's result as a dictionary, as Markdown for a pull request, and as HTML for a notebook.

Names in logs and policies are whatever their authors chose. In Markdown every character that could
mean something stands as a character reference inside `<code>`, where neither a table, nor emphasis,
nor a mention, nor a link can begin; in HTML everything is escaped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from .flips import FLIPS, Change, Example, Group, Side
from .labels import statement_label
from .runtime.codes import DecisionCode, Layer

if TYPE_CHECKING:
    from .replaying import ReplayResult
    from .runtime import StatementInfo

MAX_MARKDOWN = 60_000
"""Characters of a report; a comment on GitHub may have 65,536."""
MAX_CELL = 400
"""Characters of a text in a report."""
_HTML_GROUPS = 20
"""Groups shown of each change in HTML."""

HEADINGS = {
    Change.NEWLY_DENIED: "newly denied",
    Change.NEWLY_ALLOWED: "newly allowed",
    Change.NEWLY_UNDETERMINED: "newly undetermined",
    Change.OTHER: "denied for another reason",
    Change.UNCHANGED: "unchanged",
}
DECISION_WORDS = {code: code.name.lower().replace("_", " ") for code in DecisionCode}


def time_text(time: int | None) -> str:
    """`2026-01-31T12:00:00Z`; `-` when a record has no time, or one that no calendar holds."""
    if time is None:
        return "-"
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "-"


def example_name(example: Example) -> str:
    """The event and its time, or the row."""
    if example.event_id is None:
        return example.place or "-"
    return f"{example.event_id} at {time_text(example.time)}"


def statement_text(side: Side, *, is_rest: bool = False) -> str:
    """The statement behind a decision with its place, or words for none."""
    if is_rest:
        return "various"
    if side.statement is None:
        if side.decision == DecisionCode.IMPLICIT_DENY:
            return "no statement allows it"
        return "no statement"
    text = f"{statement_label(side.statement)} ({side.statement.location})"
    if side.gate is not None and side.gate != side.statement:
        text += f", let through by {statement_label(side.gate)} ({side.gate.location})"
    return text


def left_out_text(result: ReplayResult) -> str:
    """A sentence where the Allow of a layer was not looked up for some groups; empty elsewhere."""
    count = result.gates_left_out
    if not count:
        return ""
    return (f"Of {count:,} group{'' if count == 1 else 's'} the Allow of the layer that let calls "
            "through was not looked up; the rows (`--output`) tell it of every record.")


def side_text(side: Side, *, has_layer: bool, is_rest: bool = False) -> str:
    """`allow: policy:Sid (file:line:column)`, with the layer that decided where there are more."""
    layer = ""
    if has_layer and side.layer is not Layer.NONE and not is_rest:
        layer = f" ({side.layer.name.lower()})"
    return f"{DECISION_WORDS[side.decision]}{layer}: {statement_text(side, is_rest=is_rest)}"


# --- dictionary

def as_dict(result: ReplayResult) -> dict[str, Any]:
    return {
        "records": result.records,
        "requests": result.requests,
        "decided": result.decided,
        "changes": dict(result.counts),
        "transitions": {name: dict(row) for name, row in result.transitions.items()},
        "not_decided": {"requester": dict(result.not_carrying),
                        "not_selected": result.not_selected,
                        "only_before": result.only_before, "only_after": result.only_after},
        "classes": dict(result.classes),
        "gates_left_out": result.gates_left_out,
        "groups": [_group_dict(group) for group in result.groups],
    }


def _group_dict(group: Group) -> dict[str, Any]:
    return {
        "change": group.change.label,
        "principal": group.principal,
        "action": group.action,
        "resources": list(group.resources),
        "before": _side_dict(group.before),
        "after": _side_dict(group.after),
        "depends_on": list(group.depends_on),
        "gate_left_out": group.gate_left_out,
        "records": group.records,
        "examples": [
            {"event_id": one.event_id,
             "time": None if one.time is None else time_text(one.time),
             "place": one.place, "resource": one.resource}
            for one in group.examples
        ],
    }


def _side_dict(side: Side) -> dict[str, Any]:
    return {
        "decision": side.decision.name,
        "layer": None if side.layer is Layer.NONE else side.layer.name.lower(),
        "statement": _statement_dict(side.statement),
        "gate": _statement_dict(side.gate),
    }


def _statement_dict(found: StatementInfo | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "name": statement_label(found), "policy": found.policy, "sid": found.sid,
        "effect": found.effect, "path": found.location.path, "line": found.location.line,
        "column": found.location.column,
    }


# --- Markdown

_LINK = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def markdown_text(text: str) -> str:
    """Text of an input as a cell of a Markdown table, in `<code>`; nothing in it is Markdown."""
    if len(text) > MAX_CELL:
        text = text[: MAX_CELL - 1] + "…"
    text = _LINK.sub(lambda found: f"&#{ord(found.group())};", _referenced(text))
    return f"<code>{text}</code>"


def _referenced(text: str) -> str:
    """Marks, controls and line ends as character references, or spelled out."""
    return "".join(
        c if c.isalnum() or c in " -:/.,()=+?" else
        f"&#{ord(c)};" if c.isprintable() else
        "&#92;" + c.encode("unicode_escape").decode("ascii")[1:]
        for c in text
    )


def as_markdown(result: ReplayResult, top: int) -> str:
    """Counts, then the groups of each change; what does not fit is counted."""
    lines = ["### Replay: what this change of policies does to recorded calls", ""]
    lines += [_verdict(result), "", "| | records |", "| --- | ---: |"]
    lines += [f"| {HEADINGS[change]} | {result.counts[change.label]:,} |" for change in Change]
    lines += [f"| not decided: {name} | {count:,} |" for name, count in not_decided(result)]
    room = MAX_MARKDOWN - sum(len(line) + 1 for line in lines) - 2_000
    for change in FLIPS:
        groups = result.groups_of(change)
        if not groups:
            continue
        made, used = [], 0
        for group in groups[:top]:
            row = _markdown_row(group, result.is_layered)
            if used + len(row) + 1 > room:
                break
            made.append(row)
            used += len(row) + 1
        room -= used
        lines += ["", f"#### {HEADINGS[change].capitalize()}: {_records(result, change)}", ""]
        if made:
            lines += ["| records | principal | action | resource | before | after | example |",
                      "| ---: | --- | --- | --- | --- | --- | --- |", *made]
        if len(made) < len(groups):
            rest = groups[len(made):]
            count = sum(group.records for group in rest)
            lines += ["", f"{len(rest):,} more groups with {count:,} records are not shown."]
    if result.gates_left_out:
        lines += ["", left_out_text(result)]
    return "\n".join(lines) + "\n"


def _verdict(result: ReplayResult) -> str:
    flipped = sum(result.counts[change.label] for change in FLIPS)
    if not flipped:
        return f"No call flips: {result.decided:,} records were decided on both sides."
    return f"**{flipped:,}** of {result.decided:,} records decided on both sides flip."


def _records(result: ReplayResult, change: Change) -> str:
    count, groups = result.counts[change.label], len(result.groups_of(change))
    return (f"{count:,} record{'' if count == 1 else 's'} in "
            f"{groups:,} group{'' if groups == 1 else 's'}")


def not_decided(result: ReplayResult) -> list[tuple[str, int]]:
    """Why calls were not compared, with the number of records."""
    found = [*result.not_carrying.items(), ("principal not selected", result.not_selected),
             ("decided before only", result.only_before),
             ("decided after only", result.only_after)]
    return [(name, count) for name, count in found if count]


def _markdown_row(group: Group, has_layer: bool) -> str:
    cells = [markdown_text(group.principal), markdown_text(group.action),
             "<br>".join(map(markdown_text, group.resources))]
    for side in (group.before, group.after):
        text = side_text(side, has_layer=has_layer, is_rest=group.is_rest)
        decision, _, statement = text.partition(": ")
        if side.statement is not None and not group.is_rest:
            statement = markdown_text(statement)
        cells.append(f"{decision}: {statement}")
    if group.depends_on:
        cells[-1] += "<br>depends on " + markdown_text(", ".join(group.depends_on))
    cells.append(markdown_text(example_name(group.examples[0])) if group.examples else "")
    return f"| {group.records:,} | {' | '.join(cells)} |"


# --- HTML

def as_html(result: ReplayResult) -> str:
    """Counts and the first groups of each change, for a notebook."""
    parts = ["<div><table><thead><tr><th></th><th>records</th></tr></thead><tbody>"]
    parts += [f"<tr><td>{HEADINGS[change]}</td><td>{result.counts[change.label]:,}</td></tr>"
              for change in Change]
    parts += [f"<tr><td>not decided: {escape(name)}</td><td>{count:,}</td></tr>"
              for name, count in not_decided(result)]
    parts.append("</tbody></table>")
    for change in FLIPS:
        groups = result.groups_of(change)
        if not groups:
            continue
        heads = ("records", "principal", "action", "resource", "before", "after", "example")
        parts.append(f"<h4>{HEADINGS[change]}: {_records(result, change)}</h4><table><thead><tr>")
        parts += [f"<th>{head}</th>" for head in heads]
        parts.append("</tr></thead><tbody>")
        parts += [_html_row(group, result.is_layered) for group in groups[:_HTML_GROUPS]]
        parts.append("</tbody></table>")
        if len(groups) > _HTML_GROUPS:
            parts.append(f"<p>{len(groups) - _HTML_GROUPS:,} more groups</p>")
    if result.gates_left_out:
        parts.append(f"<p>{escape(left_out_text(result))}</p>")
    return "".join([*parts, "</div>"])


def _html_row(group: Group, has_layer: bool) -> str:
    sides = [side_text(side, has_layer=has_layer, is_rest=group.is_rest)
             for side in (group.before, group.after)]
    if group.depends_on:
        sides[1] += f"; depends on {', '.join(group.depends_on)}"
    example = example_name(group.examples[0]) if group.examples else ""
    texts = [group.principal, group.action, "\n".join(group.resources), *sides, example]
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f"<tr><td>{group.records:,}</td>{cells}</tr>"
