"""Where output goes: data on stdout, talk on stderr, files whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from .exits import printable

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_A_PIPE = 200
_NARROWEST = 60


def make_console(*, is_talk: bool = False) -> Console:
    """A rich console on stdout, or on stderr for talk. A pipe gets wide lines and no colour."""
    from rich.console import Console

    stream = sys.stderr if is_talk else sys.stdout
    if stream.isatty():
        width = None
        if shutil.get_terminal_size().columns < _NARROWEST:
            width = _NARROWEST
    else:
        width = int(os.environ.get("COLUMNS", _WIDTH_OF_A_PIPE))
    return Console(file=stream, highlight=False, width=width, soft_wrap=False)


def shown(text: object) -> str:
    """Text from an input for a rich cell: no markup, nothing that steers a terminal."""
    from rich.markup import escape

    return escape(printable(str(text)))


@contextmanager
def making(what: str) -> Iterator[None]:
    """Say on a terminal what takes a moment."""
    if not sys.stderr.isatty():
        yield
        return
    with make_console(is_talk=True).status(what):
        yield


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on any failure.

    Raises SourceError when the directory cannot be written to.
    """
    target = Path(path)
    if target.is_dir():
        raise SourceError(f"`{target}` is a directory", path=str(target),
                          help="give the name of a file to write")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        # opened here so that a directory that is missing is found before the work begins
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise SourceError(f"cannot write `{target}`: {error.strerror}", path=str(target),
                          help="choose a directory that exists and may be written to") from error
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def directory_written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary directory beside `path`, renamed to it on success and removed on any failure.

    Raises SourceError when `path` holds something, or cannot be made.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()):
        raise SourceError(f"`{target}` is not empty", path=str(target),
                          help="give a directory that is new or empty")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise SourceError(f"cannot write to `{target}`: {error.strerror}", path=str(target),
                          help="choose a directory that may be written to") from error
