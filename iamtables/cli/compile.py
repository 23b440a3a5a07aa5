"""`iamtables compile`: a compiled table, or the text of a stage for people who debug."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import (
    compilation_options,
    load_documents,
    organization_options,
    parse_options,
    read_organization,
)

if TYPE_CHECKING:
    from ..runtime import Table


@click.command("compile", short_help="Compile policies to a decision table.")
@click.argument("policies", nargs=-1, metavar="[POLICY]...")
@click.option("--output", "-o", metavar="FILE.iamt", help="Where to write the table.")
@click.option("--emit", type=click.Choice(["tree", "ir", "tables"]),
              help="Print a stage as text: the syntax tree, the intermediate form, the tables.")
@organization_options
@compilation_options
def command(policies: tuple[str, ...], output: str | None, emit: str | None,
            organization: str | None, missing_layers: str, options: tuple[str, ...],
            strict: bool) -> None:
    """Compile identity policies, or an organization with all its layers, to one decision table.

    The table is a file that `check`, `audit` and `inspect` take in place of policies, that other
    processes map into memory, and whose bytes are the same for the same input.

    Exit codes: 0 done, 3 unusable input.
    """
    if output is None and emit is None:
        raise click.UsageError("nothing to do: give --output FILE.iamt or --emit STAGE")
    if (organization is None) == (not policies):
        raise click.UsageError("give policies, or --org")
    if organization is not None:
        if emit == "tree":
            raise click.UsageError("--emit tree takes policies; of an organization, ir or tables")
        found = read_organization(organization, missing_layers, is_strict=strict)
        chosen = parse_options(options)
        if emit == "ir":
            from ..compiler import lower_frame
            from ..compiler.frames import organization_frame
            from ..compiler.render import emit_ir

            click.echo(emit_ir(lower_frame(organization_frame(found), chosen)))
            if output is None:
                return
        from ..compiler import compile as compile_policies

        _finish(compile_policies(found, options=chosen), output, emit)
        return
    chosen = parse_options(options)
    documents = load_documents(policies, is_strict=strict)
    if emit == "tree":
        from ..compiler.render import emit_tree

        click.echo(emit_tree(documents))
        if output is None:
            return
    if emit == "ir":
        from ..compiler.lower import lower_documents
        from ..compiler.passes import optimize
        from ..compiler.render import emit_ir

        click.echo(emit_ir(optimize(lower_documents(documents, chosen))))
        if output is None:
            return
    from ..compiler import compile as compile_policies

    _finish(compile_policies(documents, options=chosen), output, emit)


def _finish(table: Table, output: str | None, emit: str | None) -> None:
    if emit == "tables":
        from ..compiler.render import emit_tables

        click.echo(emit_tables(table))
    if output is not None:
        from .outputs import written_whole

        with written_whole(output) as temporary:
            table.save(temporary)
        size = Path(output).stat().st_size
        click.echo(f"wrote {output}: {len(table.sources)} policies, {len(table.statements)} "
                   f"statements, {size:,} bytes", err=True)
