"""`iamtables`: the command and its verbs.

A verb's module is imported when the verb runs, so that `iamtables --help` and usage errors cost
no more than click. Help texts of the verbs are therefore listed here.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

import click

VERBS = {
    "check": "Decide one request and say why.",
    "audit": "Decide every call of CloudTrail logs, or of tables of requests.",
    "replay": "Show which calls of a log a change of policies denies or allows.",
    "diff": "Compare two sets of policies exactly, or find what is odd inside one.",
    "history": "Retell the versions of a policy: what each added and removed.",
    "test": "Run policy unit tests, or answer cases in bulk.",
    "compile": "Compile policies to a decision table, or show a stage of it.",
    "inspect": "Show what a compiled table holds.",
    "sql": "Answer SQL over the Parquet output of an audit.",
    "init": "Make a directory for a snapshot of an organization.",
    "bench": "Measure how fast policies are decided on this machine.",
    "demo": "Audit a generated log under the Bedrock managed policies.",
}


class _Verbs(click.Group):
    """Finds verbs by module name; lists them without importing anything."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            from .exits import OutputClosed

            raise OutputClosed from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"iamtables {__version__}")
        ctx.exit()


@click.command(
    cls=_Verbs, name="iamtables", context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 allowed or fine, 1 denied or failed, 2 usage, 3 unusable input, "
           "4 undetermined. Every command has its own --help.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False,
              callback=_print_version, help="Show the version and exit.")
def cli() -> None:
    """AWS IAM policies compiled to decision tables: check one request, audit logs by the column."""


def main() -> NoReturn:
    """Entry point of the `iamtables` command."""
    from .exits import run

    run(cli)


if __name__ == "__main__":
    main()
