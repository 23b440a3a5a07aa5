"""Reading the compiled file: named arrays in a safetensors container, mapped into memory.

The container is a length, a JSON header with dtype, shape and offsets of each array, and the bytes.
The arrays share all bytes out among them without a gap, so that none can be altered unnoticed.
It is read here over `numpy.memmap`: a worker needs nothing but numpy and pays for no copy.
Nothing in it is ever executed. Files are written by `runtime/save.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

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
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ArtefactError(
            f"cannot read `{name}`: {why}", path=name,
            help="give the path of a file that `iamtables compile` wrote",
        ) from None  # fmt: skip
    try:
        header = json.loads(header_bytes)
    except (ValueError, RecursionError):
        raise _foreign(name, "its header is not JSON") from None
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT_NAME:
        raise _foreign(name, "it holds something else")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(name, "__metadata__")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ArtefactError(
            f"format version {metadata.get('format_version')} cannot be read by this release, "
            f"which reads version {FORMAT_VERSION}",
            path=name, part="format_version", help="compile the policies again",
        )  # fmt: skip
    if strange := header.keys() - RULES.keys():
        raise _damaged(name, min(strange))
    spans = {key: _span(header.get(key), key, name) for key in RULES}
    _check_cover(spans, size - 8 - header_size, name)
    if header_bytes.rstrip(b" ")[-1:] != b"}":
        raise _damaged(name, "__metadata__")
    try:
        # a plain array over the map, which slices in a third of the time
        whole = np.asarray(np.memmap(path, dtype=np.uint8, mode="r", offset=8 + header_size))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"cannot map `{name}`: {error}", path=name) from None
    return {key: _view(whole, span) for key, span in spans.items()}, metadata


class _Span(NamedTuple):
    begin: int
    end: int
    dtype: np.dtype[Any]


def _span(entry: Any, key: str, name: str) -> _Span:
    """Where an array lies. Raises ArtefactError when its header entry makes no sense."""
    try:
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        (length,) = entry["shape"]
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise _damaged(name, key) from None
    if type(length) is not int or type(begin) is not int or type(end) is not int:
        raise _damaged(name, key)
    if not 0 <= begin <= end or end - begin != length * dtype.itemsize:
        raise _damaged(name, key)
    return _Span(begin, end, dtype)


def _check_cover(spans: dict[str, _Span], size: int, name: str) -> None:
    """Every byte of the data belongs to exactly one array."""
    at = 0
    for begin, end, key in sorted((s.begin, s.end, key) for key, s in spans.items()):
        if begin != at:
            raise _damaged(name, key)
        at = end
    if at != size:
        raise _damaged(name, "data")


def _view(whole: NDArray[np.uint8], span: _Span) -> NDArray[Any]:
    part = whole[span.begin : span.end]
    if span.begin % span.dtype.itemsize:
        part = part.copy()
    return part.view(span.dtype)


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
