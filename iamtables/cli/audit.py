"""`iamtables audit`: every call of a log, or every row of a table of requests, decided."""

from __future__ import annotations

import sys

import click

from .exits import Exit, printable
from .inputs import compilation_options, load_table, parse_context, parse_time


@click.command("audit", short_help="Decide every call of CloudTrail logs.")
@click.argument("logs", nargs=-1, required=True, metavar="LOGS...")
@click.option("--policy", "policies", multiple=True, required=True, metavar="POLICY",
              help="An identity policy: a file, directory or pattern, or one compiled table. "
                   "Give it again for more.")
@click.option("--principal", "principals", multiple=True, metavar="GLOB",
              help="Principals that have these policies, e.g. 'arn:aws:iam::*:role/app-*'. "
                   "Default: everyone.")
@click.option("--since", metavar="TIME", help="Leave out records before this time: "
              "2026-01-31, 2026-01-31T12:00:00Z, or 7d, 36h for as long ago.")
@click.option("--until", metavar="TIME", help="Leave out records from this time on.")
@click.option("--account", "accounts", multiple=True, metavar="ID",
              help="Keep records that this account received. Give it again for more.")
@click.option("--service", "services", multiple=True, metavar="PREFIX",
              help="Keep calls of this service, e.g. s3. Give it again for more.")
@click.option("--endpoint", metavar="URL", help="An S3-compatible store, for s3:// addresses.")
@click.option("--cache", metavar="DIR", help="Keep the request columns of the logs here, and take "
              "those of unchanged files from here: much faster the next time.")
@click.option("--unlisted-actions", is_flag=True,
              help="Take action names at their word where the catalogue does not list them.")
@click.option("--assume", multiple=True, metavar="KEY=VALUE",
              help="The value of a context key where the records do not tell it.")
@click.option("--missing", type=click.Choice(["unknown", "absent", "error"]),
              help="What a context key is that is given nowhere. Default: unknown for logs, "
                   "absent for tables of requests.")
@click.option("--output", "-o", metavar="FILE",
              help="Write one row per record: .parquet, .ndjson or .csv.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="Form of the summary.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1),
              help="Lines in each part of the text summary.")
@compilation_options
def command(logs: tuple[str, ...], policies: tuple[str, ...], principals: tuple[str, ...],
            since: str | None, until: str | None, accounts: tuple[str, ...],
            services: tuple[str, ...], endpoint: str | None, cache: str | None,
            unlisted_actions: bool, assume: tuple[str, ...], missing: str | None,
            output: str | None, form: str, top: int,
            options: tuple[str, ...], strict: bool) -> None:
    """Decide every record under identity policies and sum up.

    LOGS are CloudTrail files (.json.gz as delivered, JSON, one record per line, exports, results of
    Athena and Lake queries, Security Lake), directories, patterns or s3:// and other addresses; or
    tables of requests: Parquet, CSV or NDJSON with the columns principal, action,
    resource and one for each context key.

    What the records do not tell is unknown, and a decision that depends on it is UNDETERMINED.
    Calls whose requester carries no identity policy (root, services, anonymous callers, other
    accounts) are counted, not decided.

    Exit codes: 0 done (whatever was decided), 3 unusable input, also a part of it: files that were
    not read to their end, records that could not be read. All the rest is counted all the same.
    """
    from ..audit import needs_request
    from ..logs import LogOptions
    from ..results import output_kind
    from .auditing import open_input, run_audit
    from .outputs import make_console
    from .summaries import print_summary, summary_as_json

    kind = output_kind(output) if output is not None else None
    assumed = parse_context(assume, "--assume")
    table, _ = load_table(policies, options, is_strict=strict)
    asked = {key.lower() for key in table.keys}
    for key in assumed:
        if key.lower() not in asked:
            click.echo(f"note: no policy asks for `{key}`; assuming it changes nothing", err=True)
    chosen = LogOptions(
        since=parse_time(since, "--since"), until=parse_time(until, "--until"),
        accounts=frozenset(accounts), services=frozenset(name.lower() for name in services),
        endpoint=endpoint, cache=cache, unlisted_actions=unlisted_actions)
    # rows that are written show the resource also where no policy asks for it
    source = open_input(logs, table.keys, chosen,
                        needs_request(table) if output is None else None)
    run = run_audit(table, source, principals=principals, assume=assumed,
                    missing=missing, output=output, output_kind=kind)
    if form == "json":
        click.echo(summary_as_json(run))
    else:
        print_summary(make_console(), run, top)
    if run.cache_error is not None:
        click.echo(printable(f"warning: the cache is not complete: {run.cache_error}"), err=True)
    for name, reason in run.failed_files[:20]:
        click.echo(printable(f"warning: `{name}` was not read to its end: {reason}"), err=True)
    if output is not None:
        click.echo(f"wrote {output}: {run.summary.records:,} rows", err=True)
    for reason, count in list(run.bad_records.items())[:20]:
        click.echo(printable(f"warning: {count:,} records were not read: {reason}"), err=True)
    if run.failed_files or run.bad_records:
        sys.exit(Exit.INPUT)
