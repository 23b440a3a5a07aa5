"""`iamtables audit`: every call of a log, or every row of a table of requests, decided."""

from __future__ import annotations

import sys

import click

from .exits import Exit
from .inputs import (
    compilation_options,
    load_organization_table,
    load_table,
    organization_options,
)
from .log_options import assumed_values, chosen_logs, log_arguments


@click.command("audit", short_help="Decide every call of CloudTrail logs.")
@click.option("--policy", "policies", multiple=True, metavar="POLICY",
              help="An identity policy: a file, directory or pattern, or one compiled table. "
                   "Give it again for more.")
@click.option("--output", "-o", metavar="FILE",
              help="Write one row per record: .parquet, .ndjson or .csv.")
@click.option("--requests", metavar="FILE",
              help="Write the requests of the log with every key that it tells (.parquet): "
                   "`audit` and `replay` take the file in place of the log.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="Form of the summary.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1),
              help="Lines in each part of the text summary.")
@log_arguments
@organization_options
@compilation_options
def command(logs: tuple[str, ...], policies: tuple[str, ...], principals: tuple[str, ...],
            since: str | None, until: str | None, accounts: tuple[str, ...],
            services: tuple[str, ...], endpoint: str | None, cache: str | None,
            corrections_first: bool, max_record_bytes: int | None, threads: int,
            unlisted_actions: bool, assume: tuple[str, ...], missing: str | None,
            output: str | None, requests: str | None, form: str, top: int,
            organization: str | None, missing_layers: str, options: tuple[str, ...],
            strict: bool) -> None:
    """Decide every record under identity policies, or in an organization, and sum up.

    LOGS are CloudTrail files (.json.gz as delivered, JSON, one record per line, exports, results of
    Athena and Lake queries, Security Lake), directories, patterns or s3:// and other addresses; or
    tables of requests: Parquet, CSV or NDJSON with the columns principal, action,
    resource and one for each context key; or what --requests has written.

    What the records do not tell is unknown, and a decision that depends on it is UNDETERMINED.
    Under identity policies, calls whose requester carries none (root, services, anonymous callers,
    other accounts) are counted, not decided. In an organization they are decided, too, and the
    summary tells which layer decided.

    Exit codes: 0 done (whatever was decided), 3 unusable input, also a part of it: files that were
    not read to their end, records that could not be read. All the rest is counted all the same.
    """
    from ..audit import keys_of, needs_request
    from ..request_columns import all_keys
    from ..results import output_kind
    from .auditing import open_input, run_audit, warn_of_failed
    from .outputs import make_console
    from .summaries import print_summary, summary_as_json

    kind = output_kind(output) if output is not None else None
    if (organization is None) == (not policies):
        raise click.UsageError("give --policy, or --org")
    if organization is not None:
        table = load_organization_table(organization, missing_layers, options, is_strict=strict)
    else:
        table, _ = load_table(policies, options, is_strict=strict)
    assumed = assumed_values(assume, table.keys)
    chosen = chosen_logs(since, until, accounts, services, endpoint, unlisted_actions, cache,
                         corrections_first, max_record_bytes, threads)
    if requests is not None and output_kind(requests) != "parquet":
        raise click.UsageError(f"--requests writes Parquet, not `{requests}`")
    keys = keys_of(table)
    # rows that are written show the resource also where no policy asks for it
    source = open_input(logs, keys if requests is None else all_keys(keys), chosen,
                        needs_request(table) if output is None and requests is None else None)
    if requests is not None and source.reader is None:
        raise click.UsageError("--requests takes the requests out of a log; "
                               f"`{logs[0]}` has them already")
    run = run_audit(table, source, principals=principals, assume=assumed,
                    missing=missing, output=output, output_kind=kind, requests=requests)
    if form == "json":
        click.echo(summary_as_json(run))
    else:
        print_summary(make_console(), run, top)
    warn_of_failed(run.reading)
    if output is not None:
        click.echo(f"wrote {output}: {run.summary.records:,} rows", err=True)
    if requests is not None:
        click.echo(f"wrote {requests}: the requests of {run.summary.records:,} records", err=True)
    if not run.reading.is_whole:
        sys.exit(Exit.INPUT)
