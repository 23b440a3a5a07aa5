"""Files of a snapshot: read whole within a limit, decoded to typed structures, errors with names.

An export of a large account is tens of megabytes of JSON, most of it policies that many principals
share. msgspec decodes the frame and leaves every policy as the bytes it is written in; `Piece` says
where in the file those lie, so that the parser can read them with their true lines and columns.
"""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from ..errors import LimitError, OrganizationError, PolicySyntaxError
from ..grammar.json_errors import describe_json_error
from ..source import Source

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Bytes of one file. The export of an account with 5,000 roles takes some tens of megabytes."""
MAX_DIRECTORY_FILES = 1_000_000
"""Files of one directory."""
_MAX_EXPLAINED_BYTES = 16 * 1024 * 1024
"""Files up to here are read again to say why they are no JSON."""
_BLOCK = 4096
_NUMBER = re.compile(r"(\d+)")
_PATH = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")

T = TypeVar("T")


class Piece(NamedTuple):
    """A value inside a file: its text as written, and where it starts there (1-based)."""

    text: bytes
    line: int
    column: int


class SnapshotFile:
    """The bytes of one file, able to say where a decoded part lies in them."""

    __slots__ = ("_address", "_before", "_lines", "data", "path")

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data.removeprefix(b"\xef\xbb\xbf")
        self._address = np.frombuffer(self.data or b"\0", np.uint8).ctypes.data
        self._lines: list[int] | None = None
        self._before: np.ndarray[Any, np.dtype[np.int64]] | None = None

    @property
    def is_blank(self) -> bool:
        """Nothing is in it, as when a command failed whose output was to go here."""
        return not self.data.strip()

    def decode(self, kind: type[T], command: str) -> T:
        """The content as `kind`, which is what `command` prints.

        Raises PolicySyntaxError for what is not JSON, OrganizationError for JSON of another shape.
        """
        try:
            decoded: T = self._decode(kind, command)
            return decoded
        except msgspec.ValidationError as error:
            whole = self._decode(object, command)  # what is not JSON at all is told as that
            raise self._of_another_shape(str(error), whole, command) from None

    def _decode(self, kind: Any, command: str) -> Any:
        try:
            return msgspec.json.decode(self.data, type=kind)
        except msgspec.ValidationError:
            raise
        except RecursionError:
            raise LimitError(
                f"`{self.path}` nests too deeply",
                limit="recursion limit",
                allowed=sys.getrecursionlimit(),
                help=f"it should hold what `{command}` prints; check for repeated brackets",
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._no_json(str(error), command) from None

    def piece(self, raw: msgspec.Raw) -> Piece:
        """Where a part that was decoded as `Raw` lies. Amortised O(log lines)."""
        # `Raw` is a view of the bytes it was decoded from, so its address tells its offset.
        start = np.frombuffer(raw, np.uint8).ctypes.data - self._address
        text = bytes(raw)
        assert self.data[start : start + len(text)] == text
        if self._lines is None:
            breaks = np.flatnonzero(np.frombuffer(self.data, np.uint8) == 10)
            self._lines = [0, *(breaks + 1).tolist()]
        line = bisect_right(self._lines, start)
        row = self._lines[line - 1]
        return Piece(text, line, self._characters_before(start) - self._characters_before(row) + 1)

    def _characters_before(self, offset: int) -> int:
        """Code points in front of a byte offset, counted in blocks once."""
        if self._before is None:
            if self.data.isascii():
                self._before = np.zeros(0, np.int64)
            else:
                starts = (np.frombuffer(self.data, np.uint8) & 0xC0) != 0x80
                counts = np.add.reduceat(starts, np.arange(0, len(starts), _BLOCK), dtype=np.int64)
                self._before = np.concatenate(([0], np.cumsum(counts)))
        if not self._before.size:
            return offset
        block = offset // _BLOCK
        rest = np.frombuffer(self.data[block * _BLOCK : offset], np.uint8)
        return int(self._before[block]) + int(np.count_nonzero((rest & 0xC0) != 0x80))

    def _no_json(self, reason: str, command: str) -> PolicySyntaxError | OrganizationError:
        if self.is_blank:
            return OrganizationError(
                f"`{self.path}` is empty",
                path=self.path,
                help=f"run `{command}` again and look at what it says",
            )
        text = self.data.decode("utf-8", errors="replace")
        if len(self.data) <= _MAX_EXPLAINED_BYTES:
            try:
                self.data.decode("utf-8")
            except UnicodeDecodeError as error:
                reason = f"byte 0x{self.data[error.start]:02x} at offset {error.start} is not UTF-8"
            else:
                return PolicySyntaxError([describe_json_error(Source(self.path, text))])
        return OrganizationError(
            f"`{self.path}` is not JSON: {reason[:1].lower()}{reason[1:]}",
            path=self.path,
            help=f"it should hold what `{command}` prints; the file may be cut off",
        )

    def _of_another_shape(self, reason: str, whole: Any, command: str) -> OrganizationError:
        what, _, place = reason.partition(" - at ")
        what = what[:1].lower() + what[1:]
        path = place.strip("`")
        name = _name_at(whole, path)
        where = f" at `{path.lstrip('$.')}`" if path.lstrip("$.") else ""
        of = f" of `{name}`" if name else ""
        return OrganizationError(
            f"`{self.path}` is not what `{command}` prints: {what}{where}{of}",
            path=self.path,
            name=name,
            help=f"write the output of `{command}` to this file",
        )


def _name_at(value: Any, path: str) -> str:
    """The name of the innermost thing on `path` that has one."""
    name = ""
    for key, index in _PATH.findall(path):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and index.isdigit() and int(index) < len(value):
            value = value[int(index)]
        else:
            break
        if isinstance(value, dict):
            found = [value[k] for k in ("Arn", "PolicyName", "Id") if k in value]
            name = next((n for n in found if isinstance(n, str)), name)
    return name


def read_file(path: str) -> SnapshotFile:
    """Raises OrganizationError for what cannot be read, LimitError beyond MAX_FILE_BYTES."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise LimitError(
                    f"`{path}` is longer than {MAX_FILE_BYTES} bytes",
                    limit="MAX_FILE_BYTES",
                    allowed=MAX_FILE_BYTES,
                    given=size,
                    help="split the export into pages with `--max-items`",
                )
            return SnapshotFile(path, stream.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: OSError) -> OrganizationError:
    reason = (error.strerror or str(error)).lower()
    return OrganizationError(
        f"cannot read `{path}`: {reason}", path=path, help="check the path and its permissions"
    )


def listing(directory: str) -> tuple[str, ...]:
    """Names in a directory, in their natural order (`page-2` before `page-10`), hidden ones left
    out; empty when there is no such directory."""
    try:
        names = [name for name in os.listdir(directory) if not name.startswith(".")]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(directory, error) from error
    if len(names) > MAX_DIRECTORY_FILES:
        raise LimitError(
            f"`{directory}` holds more than {MAX_DIRECTORY_FILES} files",
            limit="MAX_DIRECTORY_FILES",
            allowed=MAX_DIRECTORY_FILES,
            given=len(names),
        )
    return tuple(sorted(names, key=natural_key))


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts runs of digits by their value."""
    parts = [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in _NUMBER.split(name)
        if part
    ]
    return parts, name


def json_files(directory: str) -> Iterator[str]:
    """Paths of the files of a directory that end in `.json`, in their natural order."""
    for name in listing(directory):
        path = os.path.join(directory, name)
        if name.endswith(".json") and os.path.isfile(path):
            yield path
