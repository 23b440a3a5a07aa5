"""The content of the next file, inflated while this one is being decided.

Inflating releases the GIL, so a second processor does it meanwhile. One file is read ahead and no
more, and of a large one only its beginning, so memory stays bounded; what comes out, and in which
order, is the same as without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from .inflate import inflated
from .options import LogOptions
from .sources import LogFile

MIN_BYTES = 128 << 10
"""Handing over a smaller file takes longer than inflating it."""
MAX_AHEAD_BYTES = 64 << 20

Pieces = Iterator[bytes]


class ReadAhead:
    """Hands out the pieces of files; starts on the next file when one is handed out."""

    def __init__(self, options: LogOptions, next_of: Callable[[LogFile], LogFile | None]) -> None:
        """next_of : the file that will be asked for next, as far as can be told"""
        self._options = options
        self._next_of = next_of
        self._pool = ThreadPoolExecutor(1, "iamtables-inflate") if options.threads > 1 else None
        self._begun: tuple[LogFile, Future[tuple[list[bytes], Pieces]]] | None = None

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
