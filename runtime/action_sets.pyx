"""Which action sets an action is in, asked once per distinct action.

A set is the patterns of an `Action` or a `NotAction`. Thousands of them share patterns, so they are
marked by pattern: what the tries find is turned into a bit for each set.
"""

import numpy as np

from libc.stdint cimport uint8_t, uint32_t

from .globs cimport GlobSet


cdef class ActionSets:
    """Doorway. Safe between threads that hold the GIL."""

    def __init__(self, GlobSet globs, const uint32_t[::1] start, const uint32_t[::1] sets,
                 negated):
        if <size_t>start.shape[0] != globs.g.pattern_count + 1:
            raise ValueError("one row per pattern")
        self._globs = globs
        self._start = start
        self._sets = sets
        marks = np.zeros((len(negated) + 8) // 8 * 8, dtype=np.uint8)
        marks[:len(negated)] = negated
        marks[len(negated)] = 1
        self._negated = np.packbits(marks != 0, bitorder="little")

    def states(self, bytes text):
        cdef size_t count = self._globs.match(text, len(text)), i, j
        cdef uint32_t pattern, number
        hit = np.zeros(self._negated.shape[0], dtype=np.uint8)
        cdef uint8_t[::1] bits = hit
        for i in range(count):
            pattern = self._globs.found[i]
            for j in range(self._start[pattern], self._start[pattern + 1]):
                number = self._sets[j]
                bits[number >> 3] |= <uint8_t>(1 << (number & 7))
        for i in range(<size_t>bits.shape[0]):
            bits[i] ^= self._negated[i]
        return hit
