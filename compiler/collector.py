"""The cyclic garbage collector, out of the way while a burst of objects is made.

Reading and lowering policies makes hundreds of thousands of objects that all stay, and no cycles.
The collector walks them again and again as their number grows: half the time of compiling a hundred
thousand statements. What is made meanwhile is looked at afterwards.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_bursts = 0
"""Bursts that are under way, in all threads."""
_was_enabled = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """Runs its body without automatic collections, in this thread and in all others.

    Nests, in one thread and across threads: the collector runs again when the last body has ended,
    however it ended, and only if it ran before the first one.
    """
    global _bursts, _was_enabled
    with _lock:
        if _bursts == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _bursts += 1
    try:
        yield
    finally:
        with _lock:
            _bursts -= 1
            if _bursts == 0 and _was_enabled:
                gc.enable()
