"""`iamtables init`: an empty snapshot of an organization, with the commands that fill it."""

from __future__ import annotations

import click


@click.command("init", short_help="Make a directory for a snapshot of an organization.")
@click.argument("directory", metavar="DIR")
def command(directory: str) -> None:
    """Make DIR, where the policies of an organization are collected.

    It gets a README with the layout and two scripts that fill it with the AWS CLI: one for the
    organization, one for an account. Nothing is overwritten: DIR has to be new or empty.

    Exit codes: 0 done, 3 unusable input.
    """
    from ..organization.skeleton import README, SCRIPTS, write_skeleton
    from .outputs import directory_written_whole

    with directory_written_whole(directory) as temporary:
        write_skeleton(temporary)
    click.echo(f"made {directory}; next, in that directory:", err=True)
    for script in SCRIPTS:
        click.echo(f"  ./{script} --profile PROFILE", err=True)
    click.echo(f"{README} there says what they do and what can be added by hand", err=True)
