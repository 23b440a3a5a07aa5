"""The arguments by which verbs choose logs, or tables of requests, and how they read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .inputs import parse_context, parse_time

if TYPE_CHECKING:
    from ..logs import LogOptions

Command = TypeVar("Command", bound=Callable[..., Any])


def log_arguments(command: Command) -> Command:
    """Adds LOGS and the options that select records and fill in what they do not tell."""
    for decorate in (
        click.option("--missing", type=click.Choice(["unknown", "absent", "error"]),
                     help="What a context key is that is given nowhere. Default: unknown for "
                          "logs, absent for tables of requests."),
        click.option("--assume", multiple=True, metavar="KEY=VALUE",
                     help="The value of a context key where the records do not tell it."),
        click.option("--unlisted-actions", is_flag=True,
                     help="Take action names at their word where the catalogue does not list "
                          "them."),
        click.option("--cache", metavar="DIR",
                     help="Keep the request columns of the logs here, and take those of "
                          "unchanged files from here: much faster the next time."),
        click.option("--corrections-first", is_flag=True,
                     help="Look through all logs for corrected records (with an addendum) "
                          "beforehand, so that each replaces its original wherever that is."),
        click.option("--max-record-bytes", type=click.IntRange(min=1), metavar="N",
                     help="Leave out and report records longer than this. Default: 1048576 "
                          "(1 MiB, the most that CloudTrail writes)."),
        click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True,
                     metavar="N", help="With 2 the logs are inflated and taken apart in a second "
                     "thread; more changes nothing."),
        click.option("--endpoint", metavar="URL",
                     help="An S3-compatible store, for s3:// addresses."),
        click.option("--service", "services", multiple=True, metavar="PREFIX",
                     help="Keep calls of this service, e.g. s3. Give it again for more."),
        click.option("--account", "accounts", multiple=True, metavar="ID",
                     help="Keep records that this account received. Give it again for more."),
        click.option("--until", metavar="TIME", help="Leave out records from this time on."),
        click.option("--since", metavar="TIME", help="Leave out records before this time: "
                     "2026-01-31, 2026-01-31T12:00:00Z, or 7d, 36h for as long ago."),
        click.option("--principal", "principals", multiple=True, metavar="GLOB",
                     help="Principals to decide for, e.g. 'arn:aws:iam::*:role/app-*'. Under "
                          "policies these have the policies. Default: everyone."),
        click.argument("logs", nargs=-1, required=True, metavar="LOGS..."),
    ):
        command = decorate(command)
    return command


def chosen_logs(since: str | None, until: str | None, accounts: Iterable[str],
                services: Iterable[str], endpoint: str | None, unlisted_actions: bool,
                cache: str | None, corrections_first: bool, max_record_bytes: int | None,
                threads: int) -> LogOptions:
    """The options of the log reader."""
    from ..logs import LogOptions

    chosen = LogOptions(
        since=parse_time(since, "--since"), until=parse_time(until, "--until"),
        accounts=frozenset(accounts), services=frozenset(name.lower() for name in services),
        endpoint=endpoint, cache=cache, unlisted_actions=unlisted_actions,
        corrections_first=corrections_first, threads=threads)
    return chosen if max_record_bytes is None else replace(
        chosen, max_record_bytes=max_record_bytes)


def assumed_values(pairs: Iterable[str], keys: Iterable[str]) -> Mapping[str, str | list[str]]:
    """Values of `--assume`; a note on stderr for each key that no policy asks for."""
    assumed = parse_context(pairs, "--assume")
    asked = {key.lower() for key in keys}
    for key in assumed:
        if key.lower() not in asked:
            click.echo(f"note: no policy asks for `{key}`; assuming it changes nothing", err=True)
    return assumed
