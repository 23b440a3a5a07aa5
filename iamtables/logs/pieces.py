"""A delivery file as pieces of its inflated content, each taken apart as soon as it is there.

A file of 20,000 records inflates to some 30 MB. As a whole that is fresh memory, which costs a page
fault for every 4 kB, and it has left the processor's caches before it is scanned; inflating and
searching such files took 1.3 to 1.5 times as long as in pieces of 2 MiB. The memory of a piece is
used again (`pipeline`).

This is the way of files without a flaw. Whatever is wrong with a file - damaged, too large, another
one by the end - raises Refused; then it is read again from its beginning, by the way that says what
is wrong and keeps what can be kept (`inflate`, `containers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from .inflate import RATIO_FROM_BYTES
from .options import LogOptions
from .sources import LogFile

if TYPE_CHECKING:
    from .scanner import Scanned, Scanner

PIECE_BYTES = 2 << 20
SMALL_BYTES = 128 << 10
"""A file of at most this size is inflated at once, if that gives no more than a piece."""
MAX_RECORDS = 1 << 15
"""Of a piece; records of a log are not that short."""
_GZIP = b"\x1f\x8b"


class Refused(Exception):
    """The file has to be read in the way that is ready for everything."""


class Document:
    """A packed file that is taken apart piece by piece.

    is_over : was the last piece that was taken apart the last one?
    """

    def __init__(self, source: LogFile, options: LogOptions) -> None:
        self._source = source
        self._left = min(options.max_file_bytes, options.max_document_bytes,
                         max(RATIO_FROM_BYTES, options.max_inflation * source.size_bytes))
        self._file: BinaryIO | None = None
        self._stream: igzip.IGzipFile | None = None
        self.is_over = False

    def scan_piece(self, scanner: Scanner, scanned: Scanned) -> None:
        """Inflate PIECE_BYTES and take them apart, into `scanned`. Raises Refused."""
        size = 0
        content: bytes | None = None
        try:
            if self._file is None:
                if self._source.suffix == ".csv":
                    raise Refused
                self._file = self._source.opener.open()
                scanner.start()
            if self._source.size_bytes <= SMALL_BYTES:
                content = self._at_once(self._file)
                size = len(content)
            else:
                size = self._inflate(self._file, scanner.room(scanned, PIECE_BYTES))
            self._left -= size
            if self._left < 0 or (self.is_over and self._source.has_changed()):
                raise Refused
        except (OSError, EOFError, isal_zlib.error) as error:  # type: ignore[misc]
            raise Refused from error
        if content is None:
            scanner.scan_piece(scanned, size, self.is_over, MAX_RECORDS)
        else:
            scanned.hold(content)
            if scanner.scan(scanned, MAX_RECORDS) == MAX_RECORDS:
                raise Refused

    def _inflate(self, file: BinaryIO, room: NDArray[np.uint8]) -> int:
        """Fill the room, or what the file has left; how many bytes."""
        if self._stream is None:
            self._stream = igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
            # its buffer inflates in place, where the stream itself would copy
            self._buffer = getattr(self._stream, "_buffer", self._stream)
        size, view = 0, room.data
        while size < len(view):
            more = self._buffer.readinto1(view[size:])
            if not more:
                self.is_over = True
                break
            size += more
        return size

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
