"""`iamtables diff`: exact comparison of two sets of policies, or what is odd inside one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit
from .inputs import compilation_options, load_documents, parse_options

if TYPE_CHECKING:
    from ..compared import Verdict

_EXPECTATIONS = ("no-new-access", "no-lost-access", "equivalent")


def world_option(command: Any) -> Any:
    """Adds `--world`, which says what requests the answer is about."""
    return click.option(
        "--world", type=click.Choice(["rules", "catalogue"]), default="rules", show_default=True,
        help="Every request that the rules admit, or only the catalogue's actions on ARNs of "
             "their templates.")(command)


@click.command("diff", short_help="Compare policies exactly.")
@click.argument("old", metavar="OLD")
@click.argument("new", required=False, metavar="[NEW]")
@click.option("--expect", type=click.Choice(_EXPECTATIONS),
              help="End with exit code 1 unless this is so.")
@world_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@compilation_options
def command(old: str, new: str | None, expect: str | None, world: Any, as_json: bool,
            options: tuple[str, ...], strict: bool) -> None:
    """What NEW allows that OLD does not, and the other way round: in all cases, logged or not.

    OLD and NEW are files, directories, quoted patterns or `-`; the documents of each are taken as
    the identity policies of one principal. Every difference comes with a request that shows it,
    confirmed by a second evaluator; "nothing" is proved. With OLD alone: what is odd inside it.

    Exit codes: 0 done, or as expected; 1 not as expected, 4 undecided, 3 unusable input.
    """
    chosen = parse_options(options)
    before = load_documents([old], is_strict=strict)
    if new is None:
        if expect is not None:
            raise click.UsageError("--expect needs OLD and NEW")
        _look_inside(before, world, chosen, as_json)
        return
    from ..comparison import compare

    comparison = compare(before, load_documents([new], is_strict=strict), world=world,
                         options=chosen)
    if as_json:
        click.echo(json.dumps(comparison.to_dict() | {"expect": expect}, indent=2))
    else:
        from .differences import comparison_lines

        click.echo(f"world: {comparison.world_text}\n")
        for line in comparison_lines(comparison):
            click.echo(line)
    if expect is not None:
        verdict: Verdict = comparison.meets(expect)  # type: ignore[arg-type]
        if not as_json:
            click.echo(f"\n{expect}: {verdict}")
        sys.exit(_EXITS[verdict])
    if "undecided" in (comparison.gained.verdict, comparison.lost.verdict):
        sys.exit(Exit.UNDETERMINED)


_EXITS = {"yes": Exit.OK, "no": Exit.NEGATIVE, "undecided": Exit.UNDETERMINED}


def _look_inside(documents: Any, world: Any, options: Any, as_json: bool) -> None:
    from ..oddities import oddities

    found = oddities(documents, world=world, options=options)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        from .differences import oddity_lines

        for line in oddity_lines(found):
            click.echo(line)
    if found.undecided:
        sys.exit(Exit.UNDETERMINED)
