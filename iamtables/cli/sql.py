"""`iamtables sql`: questions to what an audit or a replay wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import printable
from .outputs import shown

if TYPE_CHECKING:
    from ..runtime import Table

_FETCHED = 1000


@click.command("sql", short_help="Answer SQL over the Parquet output of an audit.")
@click.argument("query", metavar="QUERY")
@click.argument("files", nargs=-1, required=True, metavar="PARQUET...")
@click.option("--table", "artefact", metavar="TABLE.iamt",
              help="A compiled table: the query can call iam_decide(principal, action, resource "
                   "[, context [, unknown]]).")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="A table, or one JSON object per line.")
def command(query: str, files: tuple[str, ...], artefact: str | None, form: str) -> None:
    """Answer QUERY, in which the PARQUET files (or directories of them) are the table `rows`.

    iamtables sql "select principal, count(*) from rows where decision = 'EXPLICIT_DENY' group by 1"
    decisions.parquet

    The query can read these files and nothing else. Needs DuckDB: pip install 'iamtables[duckdb]'.

    Exit codes: 0 answered, 2 a query that makes no sense, 3 unusable input.
    """
    from ..extras import engine

    duckdb = engine("duckdb", "DuckDB")
    table: Table | None = None
    if artefact is not None:
        from ..runtime import open_table

        table = open_table(artefact)
    connection = duckdb.connect()
    connection.register("rows", _dataset(files))
    # what a query may name is what was given: no other file, no address, no extension
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    if table is not None:
        from ..duckdb import register

        register(connection, table)
    try:
        answer = connection.execute(query)
        names = [column[0] for column in answer.description or ()]
        if form == "json":
            while rows := answer.fetchmany(_FETCHED):
                for row in rows:
                    click.echo(json.dumps(dict(zip(names, row, strict=True)), default=str))
        else:
            _print(names, answer.fetchall())
    except duckdb.Error as error:
        raise click.UsageError(printable(str(error))) from None


def _dataset(files: tuple[str, ...]) -> Any:
    """The files as one Arrow dataset; directories may be partitioned as `name=value`."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    from ..errors import SourceError

    for name in files:
        if not Path(name).exists():
            raise SourceError(f"`{name}` does not exist", path=name,
                              help="give Parquet files, as `audit --output` writes them")
    try:
        parts = [ds.dataset(name, format="parquet", partitioning="hive") for name in files]
        return parts[0] if len(parts) == 1 else ds.dataset(parts)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"`{files[0]}` cannot be read as Parquet: "
                          f"{str(error).splitlines()[0]}", path=files[0],
                          help="check that the files are whole and alike") from None


def _print(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.table import Table as Grid

    from .outputs import make_console

    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(names):
        is_number = all(isinstance(row[at], int | float) or row[at] is None for row in rows)
        grid.add_column(shown(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*("-" if value is None else f"{value:,}" if isinstance(value, int)
                       and not isinstance(value, bool) else shown(value) for value in row))
    make_console().print(grid)
