"""A delivery file as pieces of its inflated content, each gone before the next but one comes.

A file of 20,000 records inflates to some 30 MB. As a whole that is fresh memory, which costs a page
fault for every 4 kB, and it has left the processor's caches before it is scanned; inflating and
searching such files took 1.4 times as long as in pieces of 2 MiB.

This is the way of files without a flaw. Whatever is wrong with a file - damaged, too large, another
one by the end - raises Refused; then it is read again from its beginning, by the way that says what
is wrong and keeps what can be kept (`inflate`, `containers`).
"""

from __future__ import annotations

from typing import BinaryIO

from isal import isal_zlib

from .inflate import RATIO_FROM_BYTES
from .options import LogOptions
from .sources import LogFile

PIECE_BYTES = 2 << 20
_READ_BYTES = 512 << 10
_GZIP = b"\x1f\x8b"


class Refused(Exception):
    """The file has to be read in the way that is ready for everything."""


class Document:
    """A packed file that comes in pieces, one call of `next_piece` after the other.

    is_over : was the last piece that came the last one?
    """

    def __init__(self, source: LogFile, options: LogOptions) -> None:
        self._source = source
        self._left = min(options.max_file_bytes, options.max_document_bytes,
                         max(RATIO_FROM_BYTES, options.max_inflation * source.size_bytes))
        self._file: BinaryIO | None = None
        self._inflater = isal_zlib.decompressobj(wbits=31)
        self._packed = b""
        self.is_over = False

    def next_piece(self) -> bytes:
        """At most PIECE_BYTES; empty only at the end. Raises Refused."""
        try:
            if self._file is None:
                self._file = self._source.opener.open()
                self._packed = self._file.read(_READ_BYTES)
                if self._packed[:2] != _GZIP or self._source.suffix == ".csv":
                    raise Refused
            piece = self._inflate(self._file)
            self._left -= len(piece)
            if self._left < 0 or (self.is_over and self._source.has_changed()):
                raise Refused
        except (OSError, isal_zlib.error) as error:  # type: ignore[misc]
            raise Refused from error
        return piece

    def _inflate(self, file: BinaryIO) -> bytes:
        parts: list[bytes] = []
        size = 0
        while size < PIECE_BYTES:
            made = self._inflater.decompress(self._packed, PIECE_BYTES - size)
            parts.append(made)
            size += len(made)
            if self._inflater.eof:
                if self._inflater.unused_data or file.read(1):
                    raise Refused  # further members, or what is none
                self.is_over = True
                break
            self._packed = self._inflater.unconsumed_tail
            if size < PIECE_BYTES and not self._packed:
                self._packed = file.read(_READ_BYTES)
                if not self._packed:
                    raise Refused
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
