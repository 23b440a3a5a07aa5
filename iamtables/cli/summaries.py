"""An audit's summary, for people (rich tables) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..labels import statement_label
from ..runtime.codes import DecisionCode
from ..tallies import DECISIONS
from .exits import printable
from .outputs import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

    from ..runtime import Table
    from .auditing import Reading, Run

STYLES = {"ALLOW": "green", "IMPLICIT_DENY": "red", "EXPLICIT_DENY": "bold red",
          "UNDETERMINED": "yellow"}
_SHOWN = (DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY,
          DecisionCode.UNDETERMINED)
HEADS = {"ALLOW": "allow", "IMPLICIT_DENY": "implicit deny", "EXPLICIT_DENY": "explicit deny",
          "UNDETERMINED": "undetermined"}
_CLASS_MEANING = {
    "mapped": "action, resource and principal known",
    "partial": "something is not recorded",
    "no-action": "needs no permission",
    "not-a-call": "sign-ins, service events",
    "unmapped": "no known IAM action",
}


def label_of(table: Table, statement: int) -> str:
    """A statement by policy and Sid; words for none."""
    if statement < 0:
        return "(no statement allows it)"
    return statement_label(table.statements[statement])


def section(console: Console, title: str, body: Grid) -> None:
    """A part of a summary: a title, and the table under it."""
    console.print()
    console.print(f"[bold]{title}[/]")
    console.print(body)


def grid(*heads: str, texts: Sequence[int] = (0,)) -> Grid:
    """A table without lines. `texts` are the columns of text; the others hold numbers."""
    from rich.table import Table as Grid

    made = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim",
                show_header=any(heads))
    for index, head in enumerate(heads):
        is_text = index in texts
        made.add_column(head, justify="left" if is_text else "right", overflow="fold",
                        no_wrap=not is_text)
    return made


def print_summary(console: Console, run: Run, top: int) -> None:
    """The whole summary, most important first."""
    print_head(console, run)
    if run.summary.decided:
        print_breakdowns(console, run, top)
        _print_days(console, run, top)
        _print_open(console, run, top)
        _print_agreement(console, run)
        _print_contradictions(console, run, top)
    _print_reasons(console, run, top)


def print_breakdowns(console: Console, run: Run, top: int, *, has_principals: bool = True,
                     has_actions: bool = True) -> None:
    """Decisions by principal, action and statement."""
    summary = run.summary
    if has_principals:
        section(console, "by principal", _breakdown(summary.principals, top))
    if has_actions:
        section(console, "by action", _breakdown(summary.actions, top))
        if len(summary.services) > 1:
            section(console, "by service", _breakdown(summary.services, top))
    if summary.layers:
        section(console, "by layer that decided", _breakdown(summary.layers, top))
    by_label: dict[str, list[int]] = {}
    for statement, counts in summary.statements.items():
        # two files of one name may hold statements of one name
        label = label_of(run.table, statement)
        by_label[label] = [a + b for a, b in zip(counts, by_label.get(label, [0] * len(counts)),
                                                 strict=True)]
    section(console, "by statement", _breakdown(by_label, top))


def print_head(console: Console, run: Run) -> None:
    """What was audited, the classes of its records, and the decisions."""
    from rich.text import Text

    summary, reading = run.summary, run.reading
    names = (printable(Path(source.name).name) for source in run.table.sources)
    policies = ", ".join(names) or "no policy"
    whom = " or ".join(f"`{printable(p)}`" for p in run.principals) or "every principal"
    if run.table.is_layered:
        count = len(run.table.sources)
        title = f"{count:,} polic{'y' if count == 1 else 'ies'} of an organization"
        console.print(Text.assemble((title, "bold"), f", {whom}"))
        if summary.missing_layers:
            left_out = ", ".join(f"{layer} policies" for layer in summary.missing_layers)
            console.print(f"[dim]left out, since the snapshot holds none: {left_out}[/]")
    else:
        console.print(Text.assemble((policies, "bold"), f" as identity policies of {whom}"))
    is_log = run.input.is_log
    what = "record" if is_log else "row"
    console.print(
        f"{count_of(summary.records, what)} of {count_of(reading.files_read, 'file')} in "
        f"{run.elapsed_s:.1f} s ({rate_of(summary.records, run.elapsed_s)} {what}s/s)"
    )
    if is_log:
        classes = grid("", "records", "", texts=(0, 2))
        for name, count in summary.classes.items():
            if count or name in ("mapped", "partial"):
                classes.add_row(name, f"{count:,}", f"[dim]{_CLASS_MEANING[name]}[/]")
        section(console, "records", classes)
        print_reading(console, reading)
    decided = grid("", "records", "")
    for code in _SHOWN:
        count = summary.decisions[code.name]
        if count or code is DecisionCode.ALLOW:
            share = f"{100 * count / summary.decided:.1f} %" if summary.decided else ""
            decided.add_row(f"[{STYLES[code.name]}]{HEADS[code.name]}[/]", f"{count:,}", share)
    section(console, "decisions", decided)
    rest = [f"{count:,} {name}" for name, count in summary.not_carrying.items()]
    if rest:
        console.print(f"[dim]not decided, no identity policies: {', '.join(rest)}[/]")
    if summary.not_selected:
        console.print(f"[dim]not decided, other principals: {summary.not_selected:,}[/]")


def print_reading(console: Console, reading: Reading) -> None:
    """What of the input was left out."""
    for text, count in (("duplicates left out", reading.duplicates),
                        ("records left out, replaced by a corrected one", reading.replaced),
                        ("corrected records left out, too late", reading.corrections_late),
                        ("records that could not be read", sum(reading.bad_records.values())),
                        ("files that are no logs", len(reading.skipped_files)),
                        ("files not read to their end", len(reading.failed_files))):
        if count:
            console.print(f"[dim]{count:,} {text}[/]")


def reading_as_json(reading: Reading) -> dict[str, Any]:
    """What became of the files and records of an input."""
    return {
        "files": {"read": reading.files_read, "skipped": list(map(list, reading.skipped_files)),
                  "failed": list(map(list, reading.failed_files))},
        "duplicates": reading.duplicates,
        "replaced": reading.replaced,
        "corrections_late": reading.corrections_late,
        "bad_records": dict(reading.bad_records),
    }


def _breakdown(totals: Mapping[Any, Sequence[int]], top: int) -> Grid:
    used = [code for code in _SHOWN if any(counts[code] for counts in totals.values())]
    made = grid("", *(HEADS[code.name] for code in used))
    for name, counts in list(totals.items())[:top]:
        made.add_row(shown(name), *(
            f"[{STYLES[code.name]}]{counts[code]:,}[/]" if counts[code] else "[dim]-[/]"
            for code in used
        ))
    if len(totals) > top:
        rest = list(totals.values())[top:]
        made.add_row(f"[dim]{len(rest):,} more[/]", *(
            f"[dim]{sum(counts[code] for counts in rest):,}[/]" for code in used
        ))
    return made


def _print_open(console: Console, run: Run, top: int) -> None:
    """What would settle the undetermined records."""
    found = run.summary.depends_on
    if not found:
        return
    made = grid("", "records")
    for keys, count in found[:top]:
        made.add_row(shown(", ".join(keys)), f"{count:,}")
    if len(found) > top:
        made.add_row(f"[dim]{len(found) - top:,} more[/]",
                     f"[dim]{sum(count for _, count in found[top:]):,}[/]")
    section(console, "undetermined until these are known", made)


def _print_agreement(console: Console, run: Run) -> None:
    """The recorded outcome beside the decision: the free reality check."""
    if run.input.reader is None:
        return
    rows = {name: counts for name, counts in run.summary.agreement.items() if sum(counts.values())}
    used = [code for code in _SHOWN if any(counts[code.name] for counts in rows.values())]
    made = grid("", *(HEADS[code.name] for code in used))
    for name, counts in rows.items():
        made.add_row(name, *(f"{counts[code.name]:,}" for code in used))
    section(console, "what the log says happened, and what these policies alone say", made)


def _print_days(console: Console, run: Run, top: int) -> None:
    """Decisions over time: the last days."""
    days = run.summary.days
    if len(days) > 1:
        section(console, "by day", _breakdown(dict(list(days.items())[-top:]), top))


def _print_contradictions(console: Console, run: Run, top: int) -> None:
    """Records on which log and policies disagree, with the likely cause."""
    reality = run.summary.reality
    if reality is None:
        return
    named = {layer: counts for layer, counts in reality.failed_by.items() if sum(counts.values())}
    if named:
        used = [code for code in _SHOWN if any(code.name in c for c in named.values())]
        made = grid("", *(HEADS[code.name] for code in used))
        for layer, counts in named.items():
            made.add_row(shown(layer), *(f"{counts.get(code.name, 0):,}" for code in used))
        section(console, "what failed, by the policy type that AWS names", made)
    found = reality.contradictions
    if not found:
        return
    made = grid("principal", "action", "log", "here", "records", "likely cause",
                texts=(0, 1, 2, 3, 5))
    for one in found[:top]:
        log = one.recorded if one.layer is None else f"{one.recorded}: {one.layer}"
        made.add_row(shown(one.principal), shown(one.action), shown(log), HEADS[one.decision],
                     f"{one.records:,}", shown(one.likely_cause))
    if len(found) > top or reality.dropped:
        rest = sum(one.records for one in found[top:]) + reality.dropped
        made.add_row(f"[dim]{len(found) - top:,} more[/]", "", "", "", f"[dim]{rest:,}[/]", "")
    section(console, "contradictions between the log and these policies", made)
    if reality.explained:
        console.print(f"[dim]{reality.explained:,} more failed by policy types that are not "
                      "loaded[/]")


def _print_reasons(console: Console, run: Run, top: int) -> None:
    reasons = run.summary.reasons
    if not reasons:
        return
    made = grid("", "records")
    for name, reason, count in reasons[:top]:
        made.add_row(shown(f"{name}: {reason}"), f"{count:,}")
    if len(reasons) > top:
        made.add_row(f"[dim]{len(reasons) - top:,} more reasons[/]",
                     f"[dim]{sum(count for *_, count in reasons[top:]):,}[/]")
    section(console, "not fully mapped, by reason", made)


def count_of(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate_of(number: int, seconds: float) -> str:
    return f"{number / seconds:,.0f}" if seconds > 0 else "-"


def _by_code(counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(DECISIONS, counts, strict=True))


def _named(totals: Iterable[tuple[str, Sequence[int]]]) -> list[dict[str, Any]]:
    return [{"name": name, **_by_code(counts)} for name, counts in totals]


def summary_as_json(run: Run) -> str:
    """Everything the summary knows, as one JSON object."""
    summary = run.summary
    labels = {statement: label_of(run.table, statement) for statement in summary.statements}
    return json.dumps({
        "policies": [{"name": source.name, "sha256": source.sha256}
                     for source in run.table.sources],
        "principals": list(run.principals) or ["*"],
        "records": summary.records,
        "requests": summary.requests,
        "decided": summary.decided,
        "decisions": summary.decisions,
        "not_decided": {"requester": summary.not_carrying, "not_selected": summary.not_selected},
        "classes": summary.classes,
        "reasons": [{"class": name, "reason": reason, "records": count}
                    for name, reason, count in summary.reasons],
        "by_principal": _named(summary.principals.items()),
        "by_action": _named(summary.actions.items()),
        "by_service": _named(summary.services.items()),
        "by_layer": _named(summary.layers.items()),
        "missing_layers": list(summary.missing_layers),
        "by_day": _named(summary.days.items()),
        "by_statement": [
            {"id": statement if statement >= 0 else None, "name": labels[statement],
             **_by_code(counts)}
            for statement, counts in summary.statements.items()
        ],
        "groups": [
            {"principal": who, "action": what, "statement": label_of(run.table, statement),
             "decision": decision, "records": count}
            for who, what, statement, decision, count in summary.groups
        ],
        "depends_on": [{"on": list(keys), "records": count} for keys, count in summary.depends_on],
        "agreement": summary.agreement,
        "reality": _reality_as_json(run),
        "not_supplied": list(summary.not_supplied),
        **reading_as_json(run.reading),
        "elapsed_s": round(run.elapsed_s, 3),
    }, indent=2)


def _reality_as_json(run: Run) -> dict[str, Any] | None:
    reality = run.summary.reality
    if reality is None:
        return None
    return {
        "agreeing": reality.agreeing,
        "explained_by_other_layers": reality.explained,
        "failed_by": reality.failed_by,
        "dropped": reality.dropped,
        "contradictions": [
            {"recorded": one.recorded, "layer": one.layer, "error": one.error,
             "decision": one.decision, "principal": one.principal, "action": one.action,
             "statement": label_of(run.table, one.statement), "records": one.records,
             "first": one.first, "last": one.last, "likely_cause": one.likely_cause}
            for one in reality.contradictions],
    }
