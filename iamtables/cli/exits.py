"""Exit codes, and the one place where an exception becomes a message and a code.

A verb raises `IamtablesError` for input it cannot use, `click.UsageError` for a command that makes
no sense, and returns normally with `sys.exit(code)` for an answer. Nothing else is expected;
anything else is a defect and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

import click

from ..errors import IamtablesError, SourceError


class Exit(IntEnum):
    """Exit codes, documented in docs/cli.md."""

    OK = 0
    """Allowed, all cases passed, the work is done."""
    NEGATIVE = 1
    """The answer is negative: denied, or a case failed."""
    USAGE = 2
    """The command line makes no sense."""
    INPUT = 3
    """A policy, log, case or artefact cannot be read or used."""
    UNDETERMINED = 4
    """What is not known could change the answer."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class OutputClosed(Exception):
    """The reader of stdout went away. (click would end a BrokenPipeError with exit code 1, which
    here means a denial.)"""


def printable(text: str) -> str:
    """Text from an input as it may be shown: what could steer a terminal is spelled out.

    Line ends and tabs stay; other control characters, lone surrogates (of file names that are not
    UTF-8) and the like become `\\x1b` or `\\ud800`.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def run(command: Callable[..., object]) -> NoReturn:
    """Run a click command to the end of the process."""
    try:
        code = command(prog_name="iamtables", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else Exit.OK)
    except IamtablesError as error:
        click.echo(printable(str(error)), err=True)
        sys.exit(Exit.INPUT)
    except click.UsageError as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.INPUT)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; nothing partial was left behind", err=True)
        sys.exit(Exit.INTERRUPTED)
    except (OutputClosed, BrokenPipeError):
        # the reader went away (`| head`); keep the interpreter from complaining at shutdown
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.BROKEN_PIPE)
    except OSError as error:  # a disk that is full, a stream that is closed
        where = f" `{error.filename}`" if error.filename else ""
        click.echo(printable(f"error[{SourceError.code}]: {error.strerror or error}{where}"),
                   err=True)
        sys.exit(Exit.INPUT)
