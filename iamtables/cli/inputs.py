"""Arguments that several verbs share: policies, options of a compilation, `key=value` pairs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .exits import printable

if TYPE_CHECKING:
    from ..compiler.organization import Organization
    from ..grammar.tree import PolicyDocument, PolicyType
    from ..options import Options
    from ..runtime import Table

Command = TypeVar("Command", bound=Callable[..., Any])

TABLE_SUFFIX = ".iamt"

MOST_FINDINGS = 50
"""Findings in the documents of an organization that are told in full."""


def compilation_options(command: Command) -> Command:
    """Adds `--strict` and `--option`, which say how policies are read."""
    for decorate in (
        click.option("--strict", is_flag=True,
                     help="Refuse what AWS would refuse to store, instead of going past it."),
        click.option("--option", "options", multiple=True, metavar="NAME=VALUE",
                     help="A choice that the semantics leave open, e.g. resource_glob=segment."),
    ):
        command = decorate(command)
    return command


def parse_pair(text: str, option: str) -> tuple[str, str]:
    """`key=value` -> (key, value); the value may hold `=` and may be empty."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise click.UsageError(f"{option} needs KEY=VALUE, not `{text}`")
    return key.strip(), value


_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_time(text: str | None, option: str) -> int | None:
    """Unix seconds of a date, a time (UTC unless it says otherwise), or `7d` ago."""
    if text is None:
        return None
    if (ago := _AGO.fullmatch(text)) is not None:
        return int(time.time()) - int(ago.group(1)) * _UNIT_S[ago.group(2)]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"{option} needs a time such as 2026-01-31, 2026-01-31T12:00:00Z or 7d, not `{text}`"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def parse_options(pairs: Iterable[str], **defaults: str) -> Options:
    """`--option` values over defaults, checked."""
    from ..errors import RequestError
    from ..options import Options

    values = defaults | dict(parse_pair(pair, "--option") for pair in pairs)
    try:
        return Options.from_mapping(values)
    except RequestError as error:
        raise click.UsageError(f"{error.message} ({error.help})") from error


def parse_context(pairs: Iterable[str], option: str = "--context") -> dict[str, str | list[str]]:
    """`key=value` pairs to a request context; a key given again becomes a list (COND-11)."""
    context: dict[str, str | list[str]] = {}
    spelling: dict[str, str] = {}
    for pair in pairs:
        key, value = parse_pair(pair, option)
        key = spelling.setdefault(key.lower(), key)
        present = context.get(key)
        if present is None:
            context[key] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            context[key] = [present, value]
    return context


def organization_options(command: Command) -> Command:
    """Adds `--org` and `--missing-layers`."""
    return click.option("--org", "organization", metavar="DIR",
                        help="An organization: a directory as `iamtables init` lays it out.")(
        missing_layers_option(command))


def missing_layers_option(command: Command) -> Command:
    """Adds `--missing-layers`."""
    return click.option(
        "--missing-layers", type=click.Choice(["leave-out", "unknown"]), default="leave-out",
        show_default=True,
        help="What a policy type counts as that the snapshot does not hold at all.")(command)


def read_organization(directory: str, missing_layers: str, *, is_strict: bool) -> Organization:
    """The organization of a directory; `missing_layers` as `--missing-layers` has it.

    What was gone past in its documents is told on stderr, as `load_documents` does.
    """
    from ..organization import load_organization

    counts: Any = missing_layers
    organization = load_organization(
        directory, missing_layers=counts, mode="strict" if is_strict else "lenient")
    _tell_findings(organization.documents(), most=MOST_FINDINGS)
    return organization


def load_organization_table(directory: str, missing_layers: str, options: Sequence[str], *,
                            is_strict: bool) -> Table:
    """A table of the organization of a directory."""
    from ..compiler import compile as compile_policies

    chosen = parse_options(options)
    organization = read_organization(directory, missing_layers, is_strict=is_strict)
    return compile_policies(organization, options=chosen)


def load_documents(policies: Sequence[str], *, is_strict: bool, has_notes: bool = False,
                   policy_type: PolicyType = "identity") -> list[PolicyDocument]:
    """Documents of files, directories, globs or `-`; what was gone past is told on stderr.

    has_notes : tell notes, too, which are about style and change nothing
    """
    from ..grammar import load_policy

    mode: Any = "strict" if is_strict else "lenient"
    documents: list[PolicyDocument] = []
    for policy in policies:
        for document in load_policy(policy, mode=mode, policy_type=policy_type):
            documents.append(document)
            _tell_findings([document], has_notes=has_notes)
    return documents


def _tell_findings(documents: Iterable[PolicyDocument], *, has_notes: bool = False,
                   most: int | None = None) -> None:
    """Findings on stderr, the same one once; beyond `most` only their number."""
    found = {
        diagnostic.render(): None
        for document in documents
        for diagnostic in document.diagnostics
        if has_notes or diagnostic.severity != "note"
    }
    for text in islice(found, most):
        click.echo(printable(text) + "\n", err=True)
    if most is not None and len(found) > most:
        click.echo(f"… and {len(found) - most:,} more findings in the documents\n", err=True)


def load_table(policies: Sequence[str], options: Sequence[str], *, is_strict: bool,
               has_notes: bool = False) -> tuple[Table, list[PolicyDocument]]:
    """A table from policies, or from one compiled file; with the documents it was made from."""
    compiled = [name for name in policies if name.endswith(TABLE_SUFFIX)]
    if compiled:
        if len(policies) > 1:
            raise click.UsageError(f"`{compiled[0]}` is a compiled table and must come alone")
        if options or is_strict:
            raise click.UsageError("--option and --strict belong to `iamtables compile`; "
                                   f"`{compiled[0]}` is compiled already")
        from .. import open_table

        return open_table(Path(compiled[0])), []
    from ..compiler import compile as compile_policies

    chosen = parse_options(options)
    documents = load_documents(policies, is_strict=is_strict, has_notes=has_notes)
    return compile_policies(documents, options=chosen), documents


def load_side(names: Sequence[str], missing_layers: str, options: Sequence[str], *,
              is_strict: bool) -> Table:
    """A table from policies, a compiled file, or the directory of an organization."""
    from ..organization import is_snapshot

    snapshots = [name for name in names if is_snapshot(name)]
    if not snapshots:
        return load_table(names, options, is_strict=is_strict)[0]
    if len(names) > 1:
        raise click.UsageError(f"`{snapshots[0]}` is an organization and must come alone")
    return load_organization_table(snapshots[0], missing_layers, options, is_strict=is_strict)
