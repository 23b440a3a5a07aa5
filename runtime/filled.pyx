"""Patterns whose variables have been filled in, asked one resource after the other.

What a requester's values make of a set is asked of each resource that the set's other patterns leave
to it. Through Python's own loops, and an array for each text, that took ten times as long.
"""

import numpy as np

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from .globs cimport tokens_match

cdef enum:
    MOST_ON_STACK = 512     # code points of a text whose rows need no memory of their own


cdef class FilledPatterns:
    """Doorway: token sequences and what it means that one of them matches. Safe between threads."""

    def __init__(self, patterns, int otherwise):
        cdef size_t at = 0
        self._otherwise = otherwise
        self._count = len(patterns)
        self._kinds = np.zeros(sum(len(kinds) for kinds, _, _ in patterns) + 1, dtype=np.uint8)
        self._points = np.zeros(len(self._kinds), dtype=np.uint32)
        self._starts = np.zeros(self._count + 1, dtype=np.uint64)
        self._states = np.zeros(self._count + 1, dtype=np.uint8)
        for number, (kinds, points, state) in enumerate(patterns):
            if len(kinds) != len(points):
                raise ValueError("one point per token")
            np.asarray(self._kinds)[at:at + len(kinds)] = kinds
            np.asarray(self._points)[at:at + len(points)] = points
            at += len(kinds)
            self._starts[number + 1] = at
            self._states[number] = state

    def state(self, bytes resource):
        return self.find(resource, len(resource))

    cdef int find(self, const uint8_t* text, size_t n) except -1:
        """`state` of a text that lies in memory."""
        cdef uint32_t[3 * (MOST_ON_STACK + 1)] near
        cdef uint32_t* rows = near
        cdef size_t i
        cdef const uint32_t[::1] wide
        cdef int found
        cdef bint is_plain = True
        if n > MOST_ON_STACK:
            rows = <uint32_t*>malloc(3 * (n + 1) * sizeof(uint32_t))
            if rows == NULL:
                raise MemoryError
        try:
            for i in range(n):
                rows[i] = text[i]
                is_plain &= text[i] < 0x80
            if not is_plain:
                wide = np.frombuffer(code_points(text[:n]), dtype="<u4")
                n = wide.shape[0]  # a code point has a byte at least
                for i in range(n):
                    rows[i] = wide[i]
            found = self._match(rows, n, rows + n + 1, rows + 2 * (n + 1))
        finally:
            if rows != near:
                free(rows)
        return found

    cdef int _match(self, const uint32_t* text, size_t n, uint32_t* reach,
                    uint32_t* following) noexcept nogil:
        cdef size_t p, start
        for p in range(self._count):
            start = self._starts[p]
            if tokens_match(&self._kinds[0] + start, &self._points[0] + start,
                            self._starts[p + 1] - start, text, n, reach, following):
                return self._states[p]
        return self._otherwise


cdef bytes code_points(bytes text):
    """As `values.decode_text` reads them."""
    try:
        return text.decode("utf-8", "surrogatepass").encode("utf-32-le", "surrogatepass")
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode("utf-32-le", "surrogatepass")
