"""`iamtables replay`: which calls of a log a change of policies denies, allows or leaves open."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .exits import Exit
from .inputs import compilation_options, load_side, missing_layers_option
from .log_options import assumed_values, chosen_logs, log_arguments

_FLIPS = ("newly-denied", "newly-allowed", "newly-undetermined")
_REPORT_SUFFIXES = (".md", ".markdown")


def _parse_fail_on(text: str | None) -> frozenset[str]:
    wanted = frozenset(part.strip() for part in (text or "").split(",") if part.strip())
    for name in sorted(wanted.difference(_FLIPS)):
        raise click.UsageError(f"--fail-on knows {', '.join(_FLIPS)}, not `{name}`")
    return wanted


@click.command("replay", short_help="Show which calls of a log a change of policies flips.")
@click.option("--before", "before", multiple=True, required=True, metavar="OLD",
              help="Policies as they are: a file, directory or pattern, one compiled table, or "
                   "one organization. Give it again for more policies.")
@click.option("--after", "after", multiple=True, required=True, metavar="NEW",
              help="Policies as they would be.")
@click.option("--fail-on", metavar="CHANGES",
              help="End with exit code 1 when there is one of these, e.g. "
                   "newly-denied,newly-allowed (or newly-undetermined).")
@click.option("--output", "-o", metavar="FILE",
              help="Write one row per flipped record (.parquet, .ndjson or .csv), or the report "
                   "as Markdown (.md).")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="Form of the report on standard output.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1),
              help="Groups shown of each change, in text and Markdown.")
@log_arguments
@missing_layers_option
@compilation_options
def command(before: tuple[str, ...], after: tuple[str, ...], fail_on: str | None,
            output: str | None, form: str, top: int, logs: tuple[str, ...],
            principals: tuple[str, ...], since: str | None, until: str | None,
            accounts: tuple[str, ...], services: tuple[str, ...], endpoint: str | None,
            cache: str | None, corrections_first: bool, max_record_bytes: int | None, threads: int,
            unlisted_actions: bool, assume: tuple[str, ...], missing: str | None,
            missing_layers: str, options: tuple[str, ...], strict: bool) -> None:
    """Decide every record of LOGS under OLD and under NEW, and show what differs.

    Newly denied calls come first, then newly allowed, then newly undetermined ones, grouped by
    principal, action, resource and the statements that are responsible. LOGS are as in `audit`:
    CloudTrail files, directories, patterns, addresses, or tables of requests.

    Exit codes: 0 done, 1 a change that --fail-on names, 3 unusable input.
    """
    from ..replaying import either_needs_request, keys_of_both
    from ..results import output_kind
    from .auditing import open_input, warn_of_failed
    from .outputs import make_console
    from .replaying import print_replay, replay_as_json, run_replay

    wanted = _parse_fail_on(fail_on)
    is_report = output is not None and Path(output).suffix.lower() in _REPORT_SUFFIXES
    kind = "md" if is_report else output_kind(output) if output is not None else None
    tables = [load_side(names, missing_layers, options, is_strict=strict)
              for names in (before, after)]
    keys = keys_of_both(*tables)
    assumed = assumed_values(assume, keys)
    chosen = chosen_logs(since, until, accounts, services, endpoint, unlisted_actions, cache,
                         corrections_first, max_record_bytes, threads)
    source = open_input(logs, keys, chosen, either_needs_request(*tables))
    run = run_replay(tables[0], tables[1], source, principals=principals, assume=assumed,
                     missing=missing, output=output, output_kind=kind, top=top)
    if form == "json":
        click.echo(replay_as_json(run))
    else:
        print_replay(make_console(), run, top)
    warn_of_failed(run.reading)
    if output is not None:
        what = "the report" if is_report else f"{run.flipped:,} rows"
        click.echo(f"wrote {output}: {what}", err=True)
    if any(run.result.counts[name] for name in wanted):
        sys.exit(Exit.NEGATIVE)
    if not run.reading.is_whole:
        sys.exit(Exit.INPUT)
