"""`iamtables bench`: how fast this machine decides under these policies."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from .inputs import compilation_options


@click.command("bench", short_help="Measure how fast policies are decided on this machine.")
@click.argument("policies", metavar="[POLICY]...", nargs=-1)
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1_000),
              help="Requests in a batch, drawn near what the policies name.")
@click.option("--records", default=50_000, show_default=True, type=click.IntRange(1_000),
              help="Records in the generated log.")
@click.option("--seed", default=1, show_default=True, help="Decides every request and record.")
@click.option("--json", "is_json", is_flag=True, help="Print the figures as JSON.")
@compilation_options
def command(policies: Sequence[str], rows: int, records: int, seed: int, is_json: bool,
            strict: bool, options: Sequence[str]) -> None:
    """Measure how fast this machine decides under identity policies.

    Three questions apart: ids to decisions (columns of codes, whose values are known), strings to
    decisions, and raw CloudTrail files to decisions; and one request at a time. Requests are drawn
    near what the policies name. Without POLICY the two managed policies for Amazon Bedrock are
    taken. Every round is compared with the first. Times are those of one thread on a processor.

    Exit codes: 0 done, 2 usage, 3 unusable input.
    """
    from .. import __version__
    from ..benching import measure_checks, measure_columns, measure_logs
    from ..compiler import compile as compile_policies
    from ..data import BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY, policy_path
    from ..requests_near import draw_requests
    from .inputs import load_documents, parse_options
    from .outputs import make_console, making

    names = policies or [str(policy_path(BEDROCK_FULL_ACCESS)), str(policy_path(BEDROCK_READ_ONLY))]
    chosen = parse_options(options)
    documents = load_documents(names, is_strict=strict)
    table = compile_policies(documents, options=chosen)
    columns = draw_requests(documents, rows, seed)
    with making("measuring"):
        found = [*measure_columns(table, columns), *measure_checks(table, columns),
                 measure_logs(table, records, seed)]  # fmt: skip
    counts = table.decide({name: _first(column) for name, column in columns.items()}).counts()
    facts = {
        "version": __version__,
        "statements": len(table.statements),
        "rows": rows,
        "actions": len(columns["action"].values),
        "resources": len(columns["resource"].values),
        "keys": len(columns) - 2,
        "records": records,
    }
    if is_json:
        figures = [{"question": m.question, "unit": m.unit, "per_second": m.per_second, "ns": m.ns}
                   for m in found]
        click.echo(json.dumps({**facts, "sample": counts, "measured": figures}, indent=2))
        return
    from .summaries import grid

    console = make_console()
    console.print(f"{facts['statements']:,} statements; {rows:,} requests of {facts['actions']:,} "
                  f"actions on {facts['resources']:,} resources, {facts['keys']:,} condition keys")
    shown = grid("", "a second", "each")
    for m in found:
        each = f"{m.ns:,.1f} ns" if m.ns < 1_000 else f"{m.ns / 1_000:,.2f} µs"
        shown.add_row(m.question, f"{m.per_second:,.0f} {m.unit}", each)
    console.print(shown)


def _first(column: object) -> object:
    """The first rows of a column, for the mix of decisions."""
    from ..requests_near import Coded
    from ..runtime import DictionaryColumn

    assert isinstance(column, Coded)
    return DictionaryColumn(column.codes[:10_000], list(column.values))
