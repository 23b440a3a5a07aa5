"""The content of what is read next, inflated while this is being decided.

Inflating releases the GIL, so a second processor does it meanwhile. Of a document one piece is read
ahead, of another file one file and no more, and of a large one only its beginning, so memory stays
bounded; what comes out, and in which order, is the same as without.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from .inflate import inflated
from .options import LogOptions
from .pieces import Document, Refused
from .sources import LogFile

MIN_BYTES = 128 << 10
"""Handing over a smaller file takes longer than inflating it."""
MAX_AHEAD_BYTES = 64 << 20

Pieces = Iterator[bytes]
_Begun = tuple[Document, "Future[bytes]"]


class ReadAhead:
    """Hands out the pieces of files; starts on the next file when one is handed out."""

    def __init__(self, options: LogOptions, next_of: Callable[[LogFile], LogFile | None]) -> None:
        """next_of : the file that will be asked for next, as far as can be told"""
        self._options = options
        self._next_of = next_of
        self._pool = ThreadPoolExecutor(1, "iamtables-inflate") if options.threads > 1 else None
        self._begun: tuple[LogFile, Future[tuple[list[bytes], Pieces]]] | None = None
        self._begun_document: tuple[LogFile, _Begun] | None = None

    # -- documents ----------------------------------------------------------------------------

    def document(self, file: LogFile) -> Generator[bytes, None, None]:
        """The pieces of a file that may be a document.

        Raises Refused, at any time: then `pieces` has to be asked.
        """
        begun, self._begun_document = self._begun_document, None
        if begun is not None and begun[0] is not file:
            _end(begun[1])
            begun = None
        if self._begun is not None and self._begun[0] is file:
            raise Refused  # the file before was no such document
        if self._pool is None or (begun is None and file.size_bytes < MIN_BYTES):
            return self._read(file)
        return self._read_ahead(
            file, self._pool, begun[1] if begun is not None else self._begin(file, self._pool))

    def _read(self, file: LogFile) -> Generator[bytes, None, None]:
        document = Document(file, self._options)
        try:
            while not document.is_over:
                yield document.next_piece()
        finally:
            document.close()

    def _read_ahead(self, file: LogFile, pool: ThreadPoolExecutor, begun: _Begun
                    ) -> Generator[bytes, None, None]:
        document, future = begun
        try:
            while True:
                piece = future.result()
                if document.is_over:
                    break
                future = pool.submit(document.next_piece)
                yield piece
            following = self._next_of(file)
            if following is not None and following.size_bytes >= MIN_BYTES:
                self._begun_document = following, self._begin(following, pool)
            yield piece
        finally:
            _end((document, future))

    def _begin(self, file: LogFile, pool: ThreadPoolExecutor) -> _Begun:
        document = Document(file, self._options)
        return document, pool.submit(document.next_piece)

    # -- other files --------------------------------------------------------------------------

    def pieces(self, file: LogFile) -> Pieces:
        """What `inflated` gives for a file."""
        begun, self._begun = self._begun, None
        if self._pool is None:
            return inflated(file, self._options)
        if begun is None or begun[0] is not file:
            self._begin_next(file)
            return inflated(file, self._options)
        return self._taken(file, begun[1])

    def _taken(self, file: LogFile, future: Future[tuple[list[bytes], Pieces]]) -> Pieces:
        made, rest = future.result()
        self._begin_next(file)
        while made:
            yield made.pop(0)
        yield from rest

    def _begin_next(self, file: LogFile) -> None:
        following = self._next_of(file)
        if self._pool is not None and following is not None and (
                following.size_bytes >= MIN_BYTES):
            self._begun = following, self._pool.submit(_begin, following, self._options)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._begun_document is not None:
            self._begun_document[1][0].close()


def _end(begun: _Begun) -> None:
    """Nobody wants the piece that is being read."""
    document, future = begun
    with suppress(Refused):
        future.result()
    document.close()


def _begin(file: LogFile, options: LogOptions) -> tuple[list[bytes], Pieces]:
    """The first pieces, and what gives the others; an error comes where it would have come."""
    pieces = inflated(file, options)
    made: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            made.append(piece)
            size += len(piece)
            if size > MAX_AHEAD_BYTES:
                return made, pieces
    except Exception as error:
        return made, _raising(error)
    return made, iter(())


def _raising(error: Exception) -> Pieces:
    raise error
    yield b""
