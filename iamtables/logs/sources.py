"""Where log files are: local paths, and object stores through pyarrow's file systems.

A file is known by its name, size and time before it is opened: progress knows what is left, a
cache knows what it has, and a file that changes while it is read is found out. `s3://`, `gs://`,
`gcs://` and `abfs://` are object stores; pyarrow takes credentials from where the vendor's tools
have them. `--endpoint`, or `?endpoint_override=` in the address, leads to a compatible store.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import quote

from ..errors import SourceError

STORES = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "mock://")


class Opener(Protocol):
    """Opens a file and tells its state now."""

    def open(self) -> BinaryIO: ...

    def state(self) -> tuple[int, int]:
        """(size in bytes, time of the last change in ns). Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file as it was found."""

    name: str
    """The path or address, as messages and columns show it."""
    size_bytes: int
    changed_ns: int
    opener: Opener

    @property
    def suffix(self) -> str:
        """Lower-case suffix without compression: `.json`, `.parquet`, `.csv`."""
        return os.path.splitext(self.name.lower().removesuffix(".gz"))[1]

    def has_changed(self) -> bool:
        """Is it another file by now, or longer, or gone?"""
        try:
            return self.opener.state() != (self.size_bytes, self.changed_ns)
        except OSError:
            return True


@dataclass(frozen=True, slots=True)
class _Local:
    path: Path

    def open(self) -> BinaryIO:
        return self.path.open("rb")

    def state(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Stored:
    store: Any
    path: str

    def open(self) -> BinaryIO:
        return cast(BinaryIO, self.store.open_input_stream(self.path, compression=None))

    def state(self) -> tuple[int, int]:
        return _state(self.store.get_file_info(self.path))


def _state(info: Any) -> tuple[int, int]:
    if info.size is None:
        raise FileNotFoundError(info.path)
    return info.size, info.mtime_ns or 0


_DELIVERED = re.compile(r"_(\d{8}T\d{4})Z_[A-Za-z0-9]{16}\.json(?:\.gz)?$")
_MARGIN_S = 3600


def is_delivered_before(name: str, since: int | None) -> bool:
    """Was a delivery file written before `since`, so that all its records are older?

    The time in its name is that of the delivery; an hour is left for clocks (section 1.1).
    """
    if since is None or (found := _DELIVERED.search(name)) is None:
        return False
    try:
        moment = datetime.strptime(found.group(1), "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        return False
    return moment.timestamp() + _MARGIN_S < since


def is_stored(given: str | Path) -> bool:
    """Is this an address in an object store?"""
    return str(given).startswith(STORES)


def local_file(path: Path) -> LogFile:
    """A file whose state is taken now; one that cannot be looked at fails when it is opened."""
    opener = _Local(path)
    try:
        size, changed = opener.state()
    except OSError:
        size, changed = 0, 0
    return LogFile(str(path), size, changed, opener)


def find_files(paths: Sequence[str | Path], endpoint: str | None = None) -> list[LogFile]:
    """Files named by paths, directories (recursive), globs and addresses of object stores.

    Each once, in a defined order. `endpoint` is the URL of an S3-compatible store.
    Raises SourceError for a path that does not exist, a glob without matches, an empty directory,
    a store that cannot be listed.
    """
    found: dict[str, LogFile] = {}
    for given in paths:
        files = (_stored(str(given), endpoint) if is_stored(given)
                 else [local_file(path) for path in _local(given)])
        for file in files:
            found.setdefault(file.name, file)
    return list(found.values())


def _local(given: str | Path) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        inside = _walk(path)
        if not inside:
            raise SourceError(
                f"directory `{given}` holds no file", path=str(given),
                help="give a directory with CloudTrail files (`.json.gz`), a file or a glob")
        return inside
    if path.exists():
        return [path]
    if glob.has_magic(str(given)):
        matched = [Path(name) for name in sorted(glob.glob(str(given), recursive=True))]
        files = [file for match in matched
                 for file in (_walk(match) if match.is_dir() else [match])]
        if not files:
            raise SourceError(f"no file matches `{given}`", path=str(given),
                              help="quote the pattern; `**` descends into directories")
        return files
    raise SourceError(f"`{given}` does not exist", path=str(given),
                      help="give a CloudTrail file, a directory of such files, or a glob")


def _walk(directory: Path) -> list[Path]:
    files: list[Path] = []
    for folder, folders, names in os.walk(directory):
        folders.sort()
        files += (Path(folder) / name for name in sorted(names))
    return files


def _stored(address: str, endpoint: str | None) -> list[LogFile]:
    """One object, or all below a prefix, by key."""
    import pyarrow as pa
    from pyarrow import fs

    plain, _, query = address.partition("?")
    try:
        store, path = fs.FileSystem.from_uri(_with_endpoint(plain, query, endpoint))
        info = store.get_file_info(path.rstrip("/"))
        if info.type == fs.FileType.File:
            infos = [info]
        else:
            chosen = fs.FileSelector(path.rstrip("/"), recursive=True, allow_not_found=True)
            infos = [found for found in store.get_file_info(chosen)
                     if found.type == fs.FileType.File]
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"cannot list `{plain}`: {reason}", path=plain,
            help="check the address, the credentials and the region; an S3-compatible store "
                 "needs --endpoint") from error
    if not infos:
        raise SourceError(f"`{plain}` holds no object", path=plain,
                          help="give the prefix below which CloudTrail delivers")
    scheme = plain.partition("://")[0]
    return [
        LogFile(f"{scheme}://{found.path}", *_state(found), _Stored(store, found.path))
        for found in sorted(infos, key=lambda found: found.path)]


def _with_endpoint(plain: str, query: str, endpoint: str | None) -> str:
    parts = [query] if query else []
    if endpoint and plain.startswith("s3://") and "endpoint_override=" not in query:
        parts.append(f"endpoint_override={quote(endpoint, safe='')}")
        if endpoint.startswith("http://"):
            parts.append("scheme=http")
    return plain + ("?" + "&".join(parts) if parts else "")
