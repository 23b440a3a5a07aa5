"""Bytes of a log file, inflated when it is gzip, in bounded pieces.

The content decides and not the name: gzip is known by its first two bytes. A file can consist of
several gzip members (concatenated deliveries). Truncated or damaged input raises FileFailed after
the pieces that could be read; so does inflating past the limits of size and ratio, so that a gzip
bomb costs one file and never the memory, and a file that is another one by the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

from .options import LogOptions
from .sources import LogFile

_READ_BYTES = 1 << 20
PIECE_BYTES = 8 << 20
_WHOLE_BYTES = 64 << 20
"""A file of at most this size, packed and inflated, may come as one piece."""
RATIO_FROM_BYTES = 64 << 20
"""Below this a file may inflate as it likes."""


class FileSkipped(Exception):
    """The file is not a log; the argument is the reason."""


class FileFailed(Exception):
    """The file is a log, or should be, but cannot be read (to the end); the argument says why."""


def inflated(source: LogFile, options: LogOptions) -> Iterator[bytes]:
    """The content in pieces of at most _WHOLE_BYTES. Raises FileFailed."""
    total = 0
    try:
        with source.opener.open() as file:
            head = file.read(_READ_BYTES)
            is_packed = head[:2] == b"\x1f\x8b"
            if is_packed and len(head) == _READ_BYTES and source.size_bytes <= _WHOLE_BYTES:
                head += file.read(_WHOLE_BYTES)
            pieces = _gunzip(head, file) if is_packed else _plain(head, file)
            for piece in pieces:
                total += len(piece)
                if total > options.max_file_bytes:
                    raise FileFailed(
                        f"more than {options.max_file_bytes:,} bytes inflated (max_file_bytes)"
                    )
                if is_packed and total > max(
                    RATIO_FROM_BYTES, options.max_inflation * source.size_bytes
                ):
                    raise FileFailed(
                        f"inflates to more than {options.max_inflation} times its size "
                        "(max_inflation)")
                yield piece
    except OSError as error:
        raise FileFailed(f"cannot be read: {error.strerror or error}") from error
    if source.has_changed():
        raise FileFailed("changed while it was read")


def _plain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    while head:
        yield head
        head = file.read(_READ_BYTES)


def _gunzip(data: bytes, file: BinaryIO) -> Iterator[bytes]:
    inflater = isal_zlib.decompressobj(wbits=31)
    # A file that is whole says at its end how long its content is: one piece, and no copies of it.
    size = int.from_bytes(data[-4:], "little") + 1
    most = size if PIECE_BYTES < size <= _WHOLE_BYTES else PIECE_BYTES
    while True:
        try:
            piece = inflater.decompress(data, most)
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
        if not data and len(piece) < most:
            data = file.read(_READ_BYTES)
            if not data:
                raise FileFailed("the gzip stream ends early")
