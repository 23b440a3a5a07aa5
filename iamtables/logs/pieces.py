"""A delivery file as pieces of its inflated content, each gone before the next but one comes.

A file of 20,000 records inflates to some 30 MB. As a whole that is fresh memory, which costs a page
fault for every 4 kB, and it has left the processor's caches before it is scanned; inflating and
searching such files took 1.3 to 1.5 times as long as in pieces of 2 MiB.

This is the way of files without a flaw. Whatever is wrong with a file - damaged, too large, another
one by the end - raises Refused; then it is read again from its beginning, by the way that says what
is wrong and keeps what can be kept (`inflate`, `containers`).
"""

from __future__ import annotations

from typing import BinaryIO

from isal import igzip, isal_zlib

from .inflate import RATIO_FROM_BYTES
from .options import LogOptions
from .sources import LogFile

PIECE_BYTES = 2 << 20
SMALL_BYTES = 128 << 10
"""A file of at most this size is inflated at once, if that gives no more than a piece."""
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
        self._stream: igzip.IGzipFile | None = None
        self.is_over = False

    def next_piece(self) -> bytes:
        """At most PIECE_BYTES; empty only at the end. Raises Refused."""
        try:
            if self._file is None:
                if self._source.suffix == ".csv":
                    raise Refused
                self._file = self._source.opener.open()
            if self._source.size_bytes <= SMALL_BYTES:
                piece = self._at_once(self._file)
            else:
                if self._stream is None:
                    self._stream = igzip.IGzipFile(  # type: ignore[no-untyped-call]
                        fileobj=self._file, mode="rb")
                piece = self._stream.read1(PIECE_BYTES)  # inflates in place; `read` would copy
                self.is_over = not piece
            self._left -= len(piece)
            if self._left < 0 or (self.is_over and self._source.has_changed()):
                raise Refused
        except (OSError, EOFError, isal_zlib.error) as error:  # type: ignore[misc]
            raise Refused from error
        return piece

    def _at_once(self, file: BinaryIO) -> bytes:
        data = file.read(SMALL_BYTES + 1)
        if data[:2] != _GZIP:
            raise Refused
        inflater = isal_zlib.decompressobj(wbits=31)
        content: bytes = inflater.decompress(data, PIECE_BYTES)
        if not inflater.eof or inflater.unused_data:
            raise Refused
        self.is_over = True
        return content

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._file is not None:
            self._file.close()
