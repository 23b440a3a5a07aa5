"""`iamtables demo`: the main job on a generated log, with nothing else installed or configured."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..demo import DEFAULT_RECORDS, DEFAULT_SEED

if TYPE_CHECKING:
    from rich.console import Console

    from ..audit import BatchResults
    from ..runtime import Table
    from .auditing import Run

_TOP = 12
_TOP_CALLERS = 4


@click.command("demo", short_help="Audit a generated log under the Bedrock policies.")
@click.option("--records", default=DEFAULT_RECORDS, show_default=True, type=click.IntRange(1),
              help="Records in the generated log.")
@click.option("--seed", default=DEFAULT_SEED, show_default=True, help="Decides every byte of it.")
@click.option("--keep", metavar="DIR", help="Write the log to this directory and leave it there.")
def command(records: int, seed: int, keep: str | None) -> None:
    """Generate a CloudTrail log and audit it under the managed policies for Amazon Bedrock.

    First AmazonBedrockFullAccess and AmazonBedrockReadOnly as they are today, then the same log
    under AmazonBedrockFullAccess as it stood before December 4th, 2024. Needs no AWS account.
    """
    from .auditing import open_input, run_audit
    from .outputs import directory_written_whole, make_console

    console = make_console()
    started = time.perf_counter()
    with ExitStack() as stack:
        if keep is not None:
            directory = keep
            with directory_written_whole(keep) as temporary:
                _generate(console, temporary, records, seed)
        else:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="iamtables-"))
            _generate(console, Path(directory), records, seed)
        today, then = _tables()
        second = _SecondAudit(today, then)
        run = run_audit(today, open_input([directory], (*today.keys, *then.keys)),
                        on_results=second.add)
        _print_today(console, run)
        _print_then(console, run, second)
    console.print(f"\n[dim]all in {time.perf_counter() - started:.1f} s[/]")
    if keep is not None:
        console.print(f"[dim]the log is in {keep}; try: iamtables audit --policy POLICY {keep}[/]")


def _generate(console: Console, directory: Path, records: int, seed: int) -> None:
    from ..demo.sample import write_sample
    from .outputs import making

    started = time.perf_counter()
    with making(f"writing a log of {records:,} records"):
        sample = write_sample(directory, records=records, seed=seed)
    elapsed = time.perf_counter() - started
    console.print(f"[bold]A made-up company's CloudTrail log[/] (seed {seed}): "
                  f"{sample.records:,} records in {sample.files} files, "
                  f"{sample.json_bytes / 1e6:,.0f} MB of JSON, "
                  f"{sample.gzip_bytes / 1e6:,.0f} MB as delivered, written in {elapsed:.1f} s")


def _tables() -> tuple[Table, Table]:
    """Today's two policies, and FullAccess as it was."""
    from ..compiler import compile as compile_policies
    from ..data import (
        BEDROCK_FULL_ACCESS,
        BEDROCK_FULL_ACCESS_BEFORE,
        BEDROCK_READ_ONLY,
        policy_path,
    )
    from ..grammar import load_policy

    def table(*names: str) -> Table:
        return compile_policies([
            document for name in names for document in load_policy(policy_path(name))
        ])

    return table(BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY), table(BEDROCK_FULL_ACCESS_BEFORE)


class _SecondAudit:
    """The other policies decide each batch as soon as today's have."""

    def __init__(self, today: Table, then: Table) -> None:
        from ..audit import Audit
        from ..flips import Flips

        self._audit = Audit(then)
        self.flips = Flips(today, then, examples=0)
        self.decide_s = 0.0

    def add(self, today: BatchResults) -> None:
        started = time.perf_counter()
        then = self._audit.decide(today.batch)
        self.decide_s += time.perf_counter() - started
        self.flips.add(today, then)

    @property
    def decisions(self) -> dict[str, int]:
        from ..tallies import DECISIONS

        return dict(zip(DECISIONS, self.flips.totals.transitions.sum(axis=0).tolist(), strict=True))


def _print_today(console: Console, run: Run) -> None:
    from .summaries import print_breakdowns, print_head

    console.print("\n[bold]1. Under today's policies[/], attached to every user and role")
    print_head(console, run)
    print_breakdowns(console, run, _TOP, has_principals=False, has_actions=False)


def _print_then(console: Console, run: Run, second: _SecondAudit) -> None:
    from ..demo.comparison import denied_by_statement
    from ..flips import Change
    from .outputs import shown
    from .summaries import HEADS, STYLES, grid, section

    console.print("\n[bold]2. The same log under AmazonBedrockFullAccess as it stood before "
                  "December 4th, 2024[/]")
    console.print("Its four statements that are not about the Marketplace, alone, attached to "
                  "every user and role.")
    decided = grid("", "today", "then")
    for name, count in second.decisions.items():
        now = run.summary.decisions[name]
        if now or count:
            decided.add_row(f"[{STYLES[name]}]{HEADS[name]}[/]", f"{now:,}", f"{count:,}")
    section(console, "decisions", decided)

    total = second.flips.counts()[Change.NEWLY_DENIED.label]
    who = grid("today's statement, and callers", "", "denied then", texts=(0, 1))
    who.columns[0].no_wrap = True
    for statement, decisions, changes in denied_by_statement(second.flips.groups(), _name):
        states = ", ".join(f"[{STYLES[name]}]{HEADS[name]}[/]" for name in sorted(decisions))
        who.add_row(f"[bold]{shown(statement)}[/]", f"today: {states}",
                    f"[bold]{decisions.total():,}[/]")
        for (name, action), count in changes[:_TOP_CALLERS]:
            who.add_row(f"  {name}", action, f"{count:,}")
        if len(changes) > _TOP_CALLERS:
            rest = changes[_TOP_CALLERS:]
            who.add_row(f"  [dim]{len(rest):,} more[/]", "",
                        f"[dim]{sum(count for _, count in rest):,}[/]")
    section(console, f"who would be denied what: {total:,} calls that are not denied today", who)
    console.print("[dim]Denied implicitly: no statement of the older policy speaks for them. "
                  "Undetermined: tags of the resource, or its name, are not in the log.[/]")

    rows = 2 * run.summary.requests
    seconds = run.decide_s + second.decide_s
    console.print(
        f"\n{run.summary.records / run.elapsed_s:,.0f} records/s read, mapped and decided twice; "
        f"{rows / seconds:,.0f} decisions/s where they are made ({rows:,} in {seconds:.2f} s)"
    )


def _name(principal: str) -> str:
    """The role or user without account, path, and the suffix that IAM Identity Center adds."""
    name = principal.rpartition("/")[2]
    stem, _, suffix = name.rpartition("_")
    return stem if stem.startswith("AWSReservedSSO_") and len(suffix) == 16 else name
