"""`iamtables inspect`: what a compiled table holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import printable
from .outputs import shown

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("inspect", short_help="Show what a compiled table holds.")
@click.argument("table", metavar="TABLE.iamt")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(table: str, as_json: bool) -> None:
    """Show format, hash, sources, counts, sizes and context keys of a compiled table.

    The file is verified first: one that is truncated, altered or foreign is refused.

    Exit codes: 0 shown, 3 unusable input.
    """
    from .. import open_table

    described = open_table(Path(table)).describe()
    if as_json:
        import json

        click.echo(json.dumps(described, indent=2, default=str))
        return
    from .outputs import make_console

    console = make_console()
    for part in _sections(described):
        console.print(part)


def _sections(described: Mapping[str, Any]) -> list[RenderableType]:
    """One block per entry: plain values together first, then mappings and lists by name."""
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    def grid() -> Grid:
        made = Grid.grid(padding=(0, 2))
        made.add_column(style="bold", no_wrap=True)
        made.add_column(overflow="fold")
        return made

    facts = grid()
    blocks: list[RenderableType] = [facts]
    for name, value in described.items():
        title = name.replace("_", " ")
        if isinstance(value, Mapping):
            rows = Grid.grid(padding=(0, 2))
            rows.add_column()
            rows.add_column(justify="right" if _all_numbers(value.values()) else "left",
                            overflow="fold")
            for key, item in value.items():
                rows.add_row(str(key).replace("_", " "), _shown(item))
            blocks += [Text(f"\n{title}", style="bold"), Padding(rows, (0, 0, 0, 2), expand=False)]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            rows = Grid(box=None, pad_edge=False, header_style="dim")
            for key in value[0]:
                rows.add_column(str(key).replace("_", " "), overflow="fold")
            for item in value:
                rows.add_row(*(_shown(item.get(key)) for key in value[0]))
            blocks += [Text(f"\n{title}", style="bold"), Padding(rows, (0, 0, 0, 2), expand=False)]
        elif isinstance(value, list | tuple):
            blocks += [Text(f"\n{title}", style="bold"),
                       Padding(Text(printable("\n".join(map(str, value))) or "none"), (0, 0, 0, 2),
                               expand=False)]
        else:
            facts.add_row(title, _shown(value))
    return blocks


def _all_numbers(values: Any) -> bool:
    return all(isinstance(value, int) for value in values)


def _shown(value: object) -> str:
    """A value as a cell."""
    if value is None or value == "":
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return shown(", ".join(map(str, value)) or "-")
    return shown(value)
