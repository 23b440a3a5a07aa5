"""The content of what is read next, made ready while this is being decided.

Inflating and scanning release the GIL, so a second processor does it meanwhile: of documents some
pieces ahead (`pipeline`); of another file one file and no more, and of a large one only its
beginning. So memory stays bounded; what comes out, and in which order, is the same as without.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from .inflate import inflated
from .options import LogOptions
from .pieces import Refused
from .pipeline import Pipeline
from .sources import LogFile

if TYPE_CHECKING:
    from .scanner import Scanned, Scanner

MIN_BYTES = 128 << 10
"""Handing over a smaller file takes longer than inflating it."""
MAX_AHEAD_BYTES = 64 << 20

Pieces = Iterator[bytes]


class ReadAhead:
    """Hands out the pieces of files; starts on the next file when one is handed out."""

    def __init__(self, options: LogOptions, next_of: Callable[[LogFile], LogFile | None],
                 scanner: Scanner | None) -> None:
        """next_of : the file that will be asked for next, as far as can be told
        scanner : what takes documents apart; None: nobody will ask for any
        """
        self._options = options
        self._next_of = next_of
        self._pool = ThreadPoolExecutor(1, "iamtables-ahead") if options.threads > 1 else None
        self._begun: tuple[LogFile, Future[tuple[list[bytes], Pieces]]] | None = None
        self._pipeline = None if scanner is None else Pipeline(
            options, next_of, scanner, self._pool)

    def document(self, file: LogFile) -> Generator[Scanned, None, None]:
        """The pieces of a file that may be a document, each valid until the next is asked for.

        Raises Refused, at any time: then `pieces` has to be asked.
        """
        assert self._pipeline is not None
        if self._begun is not None and self._begun[0] is file:
            raise Refused  # the file before was no such document
        yield from self._pipeline.document(file)

    def drop(self) -> None:
        """Forget what was taken apart ahead; it is done again when it is asked for."""
        if self._pipeline is not None:
            self._pipeline.drop()

    def pieces(self, file: LogFile) -> Pieces:
        """What `inflated` gives for a file that is no such document."""
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
        self.drop()
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
