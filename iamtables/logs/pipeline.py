"""Documents, inflated and taken apart while earlier pieces are coded and decided.

Half of the work on a record depends on nothing but its text: inflating, scanning, numbering who
asks. With two threads a second one does it, up to `DEPTH` pieces ahead and into the next files. All
of it releases the GIL, but for some calls a piece. Pieces come in order, and the same as with one
thread; their buffers are used again, so memory is bounded by their number. Who would have to wait
for a piece inflates some of the next file instead, so that both have as much to do.

The thread is handed one piece after the other and hardly waits for anybody: when nobody asks for
more, it ends. A document that is refused stops it until `drop`; what it took apart beyond that is
not used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .options import LogOptions
from .pieces import Document, Refused
from .sources import LogFile

if TYPE_CHECKING:
    from .scanner import Scanned, Scanner

DEPTH = 10
"""Buffers: with few, the second thread waits while a batch is decided and counted, and is waited
for while a file is coded, which takes half as long as taking it apart."""


class _Step(NamedTuple):
    """What became of a piece."""

    scanned: Scanned
    is_over: bool
    """Was it the last one of its file?"""
    error: BaseException | None = None


class Pipeline:
    """Hands out the pieces of documents, in order."""

    def __init__(self, options: LogOptions, next_of: Callable[[LogFile], LogFile | None],
                 scanner: Scanner, pool: Executor | None) -> None:
        """next_of : the file that will be asked for next, as far as can be told
        pool    : of one thread; None: everything is done when it is asked for
        """
        from .scanner import Scanned

        self._options, self._next_of = options, next_of
        self._scanner, self._pool = scanner, pool
        self._buffers = [Scanned() for _ in range(1 if pool is None else DEPTH)]
        self._spare = deque(self._buffers)
        self._rooms: list[NDArray[np.uint8]] = []
        """Memory for what is inflated ahead of the thread."""
        self._coming: deque[Future[_Step]] = deque()
        self._documents: deque[Document] = deque()
        """To be begun; the thread takes them from the left."""
        self._asked: deque[LogFile] = deque()
        """The same as they will be asked for."""
        self._document: Document | None = None
        self._is_end = False
        """No further file can be told."""
        self._is_stopped = False

    def document(self, file: LogFile) -> Generator[Scanned, None, None]:
        """The pieces of a file that may be a document, each valid until the next is asked for.

        Raises Refused, at any time: then the file has to be read in another way.
        """
        if not file.size_bytes:
            self.drop()
            raise Refused  # a pipe, say: a thread that waits for one could not be interrupted
        if self._asked and self._asked[0] is file:
            self._asked.popleft()
        else:
            self.drop()
            self._documents.append(self._made(file))
        is_over = False
        try:
            while not is_over:
                scanned, is_over, error = self._next(file)
                if error is not None:
                    raise error
                yield scanned
                self._spare.append(scanned)
        except BaseException:
            self.drop()
            raise

    def _next(self, file: LogFile) -> _Step:
        if self._pool is None:
            return self._step(self._spare.popleft())
        self._hand_over(file, self._pool)
        coming = self._coming.popleft()
        while not coming.done() and self._help():
            pass
        step = coming.result()
        self._hand_over(file, self._pool)
        return step

    def _help(self) -> bool:
        """Instead of waiting: inflate a piece of the file that the thread begins next."""
        try:
            document = self._documents[0]
        except IndexError:
            return False
        return document.inflate_ahead()

    def _made(self, file: LogFile) -> Document:
        return Document(file, self._options, self._rooms)

    def _hand_over(self, file: LogFile, pool: Executor) -> None:
        """Let spare buffers be filled."""
        while self._spare:
            if not self._is_end and len(self._documents) <= len(self._coming):
                # each piece may be the first one of a file
                following = self._next_of(self._asked[-1] if self._asked else file)
                if following is None or not following.size_bytes:
                    self._is_end = True
                else:
                    self._asked.append(following)
                    self._documents.append(self._made(following))
            self._coming.append(pool.submit(self._step, self._spare.popleft()))

    def _step(self, scanned: Scanned) -> _Step:
        """Fill a buffer with the next piece."""
        if self._is_stopped or (self._document is None and not self._documents):
            return _Step(scanned, True)
        try:
            if self._document is None:
                self._document = self._documents.popleft()
            self._document.scan_piece(self._scanner, scanned)
            is_over = self._document.is_over
            self._is_stopped = scanned.is_refused
            if is_over:
                self._close_document()
        except BaseException as error:
            self._is_stopped = True
            return _Step(scanned, True, error)
        return _Step(scanned, is_over)

    def _close_document(self) -> None:
        document, self._document = self._document, None
        if document is not None:
            document.close()

    def drop(self) -> None:
        """Forget what was taken apart ahead. Some codes may have been given to nobody then."""
        self._is_stopped = True
        for future in self._coming:
            if not future.cancel():
                future.result()
        self._close_document()
        self._coming.clear()
        while self._documents:
            self._documents.popleft().close()
        self._asked.clear()
        self._spare = deque(self._buffers)
        self._is_end = self._is_stopped = False
