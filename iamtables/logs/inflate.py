"""Bytes of a log file, inflated when it is gzip, in bounded pieces.

The content decides and not the name: gzip is known by its first two bytes. A file can consist of
several gzip members (concatenated deliveries). Truncated or damaged input raises FileFailed after
the pieces that could be read; inflating more than the limit raises it too, so a gzip bomb costs one
file and never the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from .options import LogOptions

_READ_BYTES = 1 << 20
PIECE_BYTES = 8 << 20


class FileSkipped(Exception):
    """The file is not a log; the argument is the reason."""


class FileFailed(Exception):
    """The file is a log, or should be, but cannot be read (to the end); the argument says why."""


def inflated(path: Path, options: LogOptions) -> Iterator[bytes]:
    """The content in pieces of at most PIECE_BYTES. Raises FileFailed."""
    total = 0
    try:
        with path.open("rb") as file:
            head = file.read(_READ_BYTES)
            pieces = _gunzip(head, file) if head[:2] == b"\x1f\x8b" else _plain(head, file)
            for piece in pieces:
                total += len(piece)
                if total > options.max_file_bytes:
                    raise FileFailed(
                        f"more than {options.max_file_bytes:,} bytes inflated (max_file_bytes)"
                    )
                yield piece
    except OSError as error:
        raise FileFailed(f"cannot be read: {error.strerror or error}") from error


def _plain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    while head:
        yield head
        head = file.read(_READ_BYTES)


def _gunzip(data: bytes, file: BinaryIO) -> Iterator[bytes]:
    inflater = isal_zlib.decompressobj(wbits=31)
    while True:
        try:
            piece = inflater.decompress(data, PIECE_BYTES)
        except isal_zlib.error as error:  # type: ignore[misc]
            raise FileFailed("damaged gzip data") from error
        if piece:
            yield piece
        if inflater.eof:
            data = inflater.unused_data or file.read(_READ_BYTES)
            if not data.strip(b"\x00"):
                return
            if data[:2] != b"\x1f\x8b":
                raise FileFailed("data after the end of the gzip stream")
            inflater = isal_zlib.decompressobj(wbits=31)
            continue
        data = inflater.unconsumed_tail
        if not data and len(piece) < PIECE_BYTES:
            data = file.read(_READ_BYTES)
            if not data:
                raise FileFailed("the gzip stream ends early")
