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

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

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
MAX_AHEAD = 4
"""Pieces of a file that are inflated before they are asked for."""
MAX_RECORDS = 1 << 15
"""Of a piece; records of a log are not that short."""
_GZIP = b"\x1f\x8b"


class Refused(Exception):
    """The file has to be read in the way that is ready for everything."""


class _Inflated(NamedTuple):
    """A piece that was inflated before it was asked for: room[begin : begin + size]."""

    room: NDArray[np.uint8]
    begin: int
    size: int
    is_last: bool
    error: BaseException | None = None


class Document:
    """A packed file that is taken apart piece by piece.

    is_over : was the last piece that was taken apart the last one?

    One thread takes it apart; another may inflate pieces ahead at the same time.
    """

    def __init__(self, source: LogFile, options: LogOptions,
                 rooms: list[NDArray[np.uint8]] | None = None) -> None:
        """rooms : memory to inflate pieces ahead in, taken from here and given back"""
        self._source = source
        self._left = min(options.max_file_bytes, options.max_document_bytes,
                         max(RATIO_FROM_BYTES, options.max_inflation * source.size_bytes))
        self._rooms = [] if rooms is None else rooms
        self._file: BinaryIO | None = None
        self._stream: igzip.IGzipFile | None = None
        self._inflating = Lock()
        self._ahead: deque[_Inflated] = deque()
        self._is_inflated = False
        """Is nothing left to be inflated?"""
        self._is_begun = False
        self.is_over = False

    def scan_piece(self, scanner: Scanner, scanned: Scanned) -> None:
        """Inflate PIECE_BYTES and take them apart, into `scanned`. Raises Refused."""
        content: bytes | None = None
        if not self._is_begun:
            scanner.start()
            self._is_begun = True
        try:
            with self._inflating:
                if self._ahead:
                    size = self._take(scanner, scanned, self._ahead.popleft())
                else:
                    file = self._opened()
                    if self._source.size_bytes <= SMALL_BYTES:
                        content = self._at_once(file)
                        size = len(content)
                    else:
                        size = self._inflate(file, scanner.room(scanned, PIECE_BYTES))
                    self.is_over = self._is_inflated
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

    def inflate_ahead(self) -> bool:
        """Inflate the next piece; False: there is none, or it is none of this thread's business."""
        if self._source.size_bytes <= SMALL_BYTES or not self._inflating.acquire(blocking=False):
            return False
        try:
            if self._is_inflated or len(self._ahead) == MAX_AHEAD:
                return False
            begin, size = PIECE_BYTES // 16, 0
            room = self._rooms.pop() if self._rooms else np.empty(0, dtype=np.uint8)
            if len(room) < begin + PIECE_BYTES:
                room = np.empty(begin + PIECE_BYTES, dtype=np.uint8)
            error: Exception | None = None
            try:
                size = self._inflate(self._opened(), room[begin : begin + PIECE_BYTES])
            except Exception as problem:  # it comes when the piece is asked for
                error, self._is_inflated = problem, True
            self._ahead.append(_Inflated(room, begin, size, self._is_inflated, error))
            return True
        finally:
            self._inflating.release()

    def _take(self, scanner: Scanner, scanned: Scanned, piece: _Inflated) -> int:
        if piece.error is not None:
            raise piece.error
        spare = scanner.put(scanned, piece.room, piece.begin, piece.size)
        if spare is not None and len(self._rooms) < MAX_AHEAD:
            self._rooms.append(spare)
        self.is_over = piece.is_last
        return piece.size

    def _opened(self) -> BinaryIO:
        if self._file is None:
            if self._source.suffix == ".csv":
                raise Refused
            self._file = self._source.opener.open()
        return self._file

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
                self._is_inflated = True
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
        self._is_inflated = True
        return content

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._file is not None:
            self._file.close()
