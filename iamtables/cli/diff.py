"""`iamtables diff`: exact comparison of two sets of policies, or what is odd inside one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit
from .inputs import compilation_options, load_documents, parse_options, read_organization

if TYPE_CHECKING:
    from ..compared import Comparison, Verdict

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
@click.option("--principal", metavar="ARN",
              help="OLD and NEW are organizations; compare what this user or role may do.")
@click.option("--missing-layers", type=click.Choice(["leave-out", "unknown"]),
              default="leave-out", show_default=True,
              help="What a layer counts as that a snapshot does not hold.")
@world_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@compilation_options
def command(old: str, new: str | None, expect: str | None, principal: str | None,
            missing_layers: str, world: Any, as_json: bool, options: tuple[str, ...],
            strict: bool) -> None:
    """What NEW allows that OLD does not, and the other way round: in all cases, logged or not.

    OLD and NEW are files, directories, quoted patterns or `-`; the documents of each are taken as
    the identity policies of one principal. Every difference comes with a request that shows it,
    confirmed by a second evaluator; "nothing" is proved. With OLD alone: what is odd inside it.

    With --principal OLD and NEW are directories of organizations, and every layer counts: identity
    policies, boundary, SCPs, RCPs, resource, trust and endpoint policies. The answer says on which
    requests differences are looked for; where what no snapshot holds could make one, it is
    undecided.

    Exit codes: 0 done, or as expected; 1 not as expected, 4 undecided, 3 unusable input.
    """
    chosen = parse_options(options)
    if principal is not None:
        if new is None:
            raise click.UsageError("--principal needs OLD and NEW")
        from ..comparison import compare

        _show(compare(read_organization(old, missing_layers, is_strict=strict),
                      read_organization(new, missing_layers, is_strict=strict),
                      world=world, options=chosen, principal=principal), expect, as_json)
        return
    before = load_documents([old], is_strict=strict)
    if new is None:
        if expect is not None:
            raise click.UsageError("--expect needs OLD and NEW")
        _look_inside(before, world, chosen, as_json)
        return
    from ..comparison import compare

    _show(compare(before, load_documents([new], is_strict=strict), world=world, options=chosen),
          expect, as_json)


def _show(comparison: Comparison, expect: str | None, as_json: bool) -> None:
    """The comparison printed; ends the process where the exit code is not 0."""
    if as_json:
        click.echo(json.dumps(comparison.to_dict() | {"expect": expect}, indent=2))
    else:
        from .differences import comparison_lines

        click.echo(f"world: {comparison.world_text}")
        if comparison.principal:
            click.echo(f"requests of {comparison.principal}:")
            for sentence in comparison.scope:
                click.echo(f"  - {sentence}")
        click.echo("")
        for line in comparison_lines(comparison):
            click.echo(line)
    if expect is not None:
        verdict: Verdict = comparison.meets(expect)  # type: ignore[arg-type]
        if not as_json:
            within = ", as far as is stated above" if comparison.principal else ""
            click.echo(f"\n{expect}: {verdict}{within}")
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
