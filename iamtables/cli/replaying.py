"""Running a replay for a verb, and its report for people and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..flips import FLIPS, Change, Group
from ..replay_report import (
    HEADINGS,
    example_name,
    left_out_text,
    not_decided,
    side_text,
)
from ..replaying import Replay, ReplayResult
from .auditing import Input, Reading, missing_of, progress, reading_of
from .exits import printable
from .outputs import shown
from .summaries import count_of, grid, print_reading, rate_of, reading_as_json, section

if TYPE_CHECKING:
    from rich.console import Console

    from ..runtime import Table

_STYLES = {Change.NEWLY_DENIED: "red", Change.NEWLY_ALLOWED: "green",
           Change.NEWLY_UNDETERMINED: "yellow", Change.OTHER: "dim", Change.UNCHANGED: "dim"}


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """A finished replay."""

    before: Table
    after: Table
    input: Input
    principals: tuple[str, ...]
    result: ReplayResult
    elapsed_s: float
    reading: Reading

    @property
    def flipped(self) -> int:
        """Records that flip."""
        return sum(self.result.counts[change.label] for change in FLIPS)


def run_replay(before: Table, after: Table, source: Input, *, principals: Sequence[str] = (),
               assume: Mapping[str, str | list[str]] | None = None, missing: str | None = None,
               output: str | None = None, output_kind: str | None = None, top: int = 10
               ) -> ReplayRun:
    """Decide all batches of an input under both tables; write `output` whole or not at all.

    output_kind : `md` for the report, else as `results.output_kind` tells
    top         : groups of each change in a report
    """
    replay = Replay(before, after, principals=principals, assume=assume,
                    missing=missing_of(source, missing))
    started = time.perf_counter()
    with ExitStack() as stack:
        temporary: Path | None = None
        if output is not None:
            from .outputs import written_whole

            temporary = stack.enter_context(written_whole(output))
        writer: Any = None
        if temporary is not None and output_kind != "md":
            from ..replay_rows import flips_table
            from ..results import open_table_writer

            writer = stack.enter_context(open_table_writer(
                temporary, output_kind or "ndjson",
                lambda flips: flips_table(flips, before, after)))
        with progress("replaying", source) as tick:
            for batch in source.batches():
                flips = replay.add(batch)
                if writer is not None:
                    writer.write(flips)
                tick(batch.records)
        result = replay.result()
        if temporary is not None and output_kind == "md":
            temporary.write_text(result.to_markdown(top=top), encoding="utf-8",
                                 errors="backslashreplace")
    elapsed = time.perf_counter() - started
    return ReplayRun(before, after, source, tuple(principals), result, elapsed,
                     reading_of(source))


def replay_as_json(run: ReplayRun) -> str:
    """Everything that a replay knows, as one JSON object."""
    return json.dumps({
        "before": _sources(run.before),
        "after": _sources(run.after),
        "principals": list(run.principals) or ["*"],
        **run.result.to_dict(),
        **reading_as_json(run.reading),
        "elapsed_s": round(run.elapsed_s, 3),
    }, indent=2)


def _sources(table: Table) -> list[dict[str, str]]:
    return [{"name": source.name, "sha256": source.sha256} for source in table.sources]


def print_replay(console: Console, run: ReplayRun, top: int) -> None:
    """Totals, then newly denied, newly allowed and newly undetermined groups."""
    result = run.result
    for name, table in (("before", run.before), ("after", run.after)):
        console.print(f"[bold]{name}[/]: {shown(_policies(table))}")
        if table.missing_layers:
            left_out = ", ".join(f"{layer} policies" for layer in table.missing_layers)
            console.print(f"[dim]left out, since the snapshot holds none: {left_out}[/]")
    what = "record" if run.input.is_log else "row"
    console.print(
        f"{count_of(result.records, what)} of {count_of(run.reading.files_read, 'file')} in "
        f"{run.elapsed_s:.1f} s ({rate_of(result.records, run.elapsed_s)} {what}s/s, decided "
        "twice)")
    print_reading(console, run.reading)
    totals = grid("", "records")
    for change in Change:
        count = result.counts[change.label]
        totals.add_row(f"[{_STYLES[change]}]{HEADINGS[change]}[/]", f"{count:,}")
    section(console, "changes", totals)
    rest = [f"{count:,} {name}" for name, count in not_decided(result)]
    if rest:
        console.print(f"[dim]not compared: {', '.join(rest)}[/]")
    for change in FLIPS:
        groups = result.groups_of(change)
        if groups:
            _print_groups(console, change, groups, top, result)
    if result.gates_left_out:
        console.print(f"\n[dim]{left_out_text(result)}[/]")


def _policies(table: Table) -> str:
    if table.is_layered:
        return f"{len(table.sources):,} policies of several layers"
    return ", ".join(Path(source.name).name for source in table.sources) or "no policy"


def _print_groups(console: Console, change: Change, groups: Sequence[Group], top: int,
                  result: ReplayResult) -> None:
    count = result.counts[change.label]
    console.print()
    console.print(f"[bold {_STYLES[change]}]{HEADINGS[change]}[/]: {count_of(count, 'record')} in "
                  f"{count_of(len(groups), 'group')}")
    for group in groups[:top]:
        _print_group(console, group, result.is_layered)
    if len(groups) > top:
        rest = groups[top:]
        console.print(f"\n[dim]{count_of(len(rest), 'more group')} with "
                      f"{count_of(sum(group.records for group in rest), 'record')}[/]")


def _print_group(console: Console, group: Group, has_layer: bool) -> None:
    def line(text: str, style: str = "") -> None:
        console.print(printable(text).replace("\n", "\\n"), style=style or None, markup=False,
                      soft_wrap=True)

    console.print()
    resources = ", ".join(group.resources)
    line(f"{group.records:>7,}  {group.principal}")
    line(f"         {group.action} on {resources}")
    for name, side in (("before", group.before), ("after", group.after)):
        text = side_text(side, has_layer=has_layer, is_rest=group.is_rest)
        if name == "after" and group.depends_on:
            text += f"; depends on {', '.join(group.depends_on)}"
        line(f"         {name + ':':<8}{text}")
    for example in group.examples:
        line(f"         {example_name(example)}, {example.resource}", "dim")
