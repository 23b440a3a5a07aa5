"""Reading the compiled file: named arrays in a safetensors container, mapped into memory.

The container is a length, a JSON header with dtype, shape and offsets of each array, and the bytes.
It is read here over `numpy.memmap`, so that a worker needs nothing but numpy and pays for no copy.
Nothing in it is ever executed. Files are written by `runtime/save.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtefactError
from .codes import FORMAT_NAME, FORMAT_VERSION
from .schema import RULES, check_arrays

_DTYPES = {"U8": np.uint8, "U32": np.uint32, "U64": np.uint64}
_HEADER_LIMIT = 1 << 20
"""Longest header that is read, in bytes; a table has about a hundred arrays."""

Arrays = dict[str, NDArray[Any]]


def content_hash(arrays: Arrays, metadata: dict[str, str]) -> str:
    """SHA-256 over the metadata and every array, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(metadata):
        if name != "sha256":
            digest.update(json.dumps([name, metadata[name]]).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\0{name}\0{array.dtype.str}\0{len(array)}\0".encode())
        digest.update(array.data if array.nbytes else b"")
    return digest.hexdigest()


def read_artefact(path: str | os.PathLike[str], verify: bool) -> tuple[Arrays, dict[str, str]]:
    """Arrays (read-only views of the mapped file) and metadata.

    verify : check the content hash and every id and offset. Without it the file must come from a
             place that is trusted, and have been verified there.
    Raises ArtefactError.
    """
    name = str(path)
    arrays, metadata = _map(Path(path), name)
    if verify:
        if content_hash(arrays, metadata) != metadata.get("sha256"):
            raise ArtefactError(
                "the content does not fit its hash", path=name, part="sha256",
                help="the file was altered or damaged; compile the policies again",
            )  # fmt: skip
        check_arrays(arrays, name)
    return arrays, metadata


def _map(path: Path, name: str) -> tuple[Arrays, dict[str, str]]:
    try:
        size = path.stat().st_size
        if size < 8:
            raise _foreign(name, "it is too short")
        with path.open("rb") as file:
            header_size = int.from_bytes(file.read(8), "little")
            if header_size > min(_HEADER_LIMIT, size - 8):
                raise _foreign(name, "its header does not fit the file")
            header_bytes = file.read(header_size)
    except OSError as error:
        raise ArtefactError(
            f"cannot read `{name}`: {error.strerror or error}", path=name,
            help="give the path of a file that `iamtables compile` wrote",
        ) from None  # fmt: skip
    try:
        header = json.loads(header_bytes)
    except (ValueError, RecursionError):
        raise _foreign(name, "its header is not JSON") from None
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT_NAME:
        raise _foreign(name, "it holds something else")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ArtefactError(
            f"format version {metadata.get('format_version')} cannot be read by this release, "
            f"which reads version {FORMAT_VERSION}",
            path=name, part="format_version", help="compile the policies again",
        )  # fmt: skip
    start = 8 + header_size
    whole = (
        np.memmap(path, dtype=np.uint8, mode="r", offset=start)
        if size > start
        else np.zeros(0, dtype=np.uint8)
    )
    return {key: _view(whole, key, header.get(key), name) for key in RULES}, metadata


def _view(whole: NDArray[np.uint8], key: str, entry: Any, name: str) -> NDArray[Any]:
    try:
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        (length,) = entry["shape"]
        begin, end = entry["data_offsets"]
        numbers = (length, begin, end)
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
            raise TypeError
    except (KeyError, TypeError, ValueError):
        raise _damaged(name, key) from None
    if not 0 <= begin <= end <= len(whole) or end - begin != length * dtype.itemsize:
        raise _damaged(name, key)
    part = np.asarray(whole[begin:end])
    if begin % dtype.itemsize:
        part = part.copy()
    return part.view(dtype)


def _damaged(name: str, part: str) -> ArtefactError:
    return ArtefactError(
        f"table part `{part}` is missing, truncated or of another type", path=name, part=part,
        help="the file is damaged; compile the policies again",
    )  # fmt: skip


def _foreign(name: str, why: str) -> ArtefactError:
    return ArtefactError(
        f"`{name}` is no compiled table: {why}", path=name,
        help="give a file that `iamtables compile` wrote",
    )  # fmt: skip
