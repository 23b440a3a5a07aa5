"""`iamtables history`: versions of a policy, and what each of them added and took away."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from .diff import world_option
from .exits import Exit
from .inputs import compilation_options, parse_options


@click.command("history", short_help="Retell the versions of a policy.")
@click.argument("directory", metavar="DIR")
@world_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@compilation_options
def command(directory: str, world: Any, as_json: bool, options: tuple[str, ...],
            strict: bool) -> None:
    """What each version of a policy added and removed, with requests that show it.

    DIR holds files `NAME.vN.json`, of one policy or several. Versions that no file holds are named,
    and the step across them spans them. For each step: whether permissions were removed, in the
    exact sense.

    Exit codes: 0 no permission was ever removed, 1 some were, 4 undecided, 3 unusable input.
    """
    from ..history import history, load_versions

    chosen = parse_options(options)
    policies = load_versions(directory, mode="strict" if strict else "lenient")
    told = [history(name, versions, world=world, options=chosen)
            for name, versions in policies.items()]
    if as_json:
        click.echo(json.dumps({"policies": [h.to_dict() for h in told]}, indent=2))
    else:
        from .differences import history_lines

        for number, one in enumerate(told):
            if number:
                click.echo("")
            for line in history_lines(one):
                click.echo(line)
    promises = {one.promise for one in told}
    if "broken" in promises:
        sys.exit(Exit.NEGATIVE)
    if "undecided" in promises:
        sys.exit(Exit.UNDETERMINED)
