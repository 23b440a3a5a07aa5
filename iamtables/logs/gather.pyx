"""Some of many texts that lie in one piece of memory, put end to end."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy


def gathered(const uint8_t[::1] data not None, const int64_t[::1] offsets not None,
             const int64_t[::1] rows not None):
    """(uint8[...], int64[n + 1]): the texts at these places end to end, and where each begins.

    Text i is data[offsets[i] : offsets[i + 1]]. Raises IndexError for a place without a text, and
    ValueError for offsets that fall or lead out of the data. Releases the GIL.
    """
    cdef size_t n = rows.shape[0], i
    cdef int64_t count = offsets.shape[0] - 1, used = 0, begin, length
    cdef int64_t[::1] starts = np.empty(n + 1, dtype=np.int64)
    cdef bint is_outside = False, is_broken = False
    starts[0] = 0
    with nogil:
        for i in range(n):
            if rows[i] < 0 or rows[i] >= count:
                is_outside = True
                break
            begin, length = offsets[rows[i]], offsets[rows[i] + 1] - offsets[rows[i]]
            if begin < 0 or length < 0 or begin + length > data.shape[0]:
                is_broken = True
                break
            used += length
            starts[i + 1] = used
    if is_outside:
        raise IndexError("no such text")
    if is_broken:
        raise ValueError("offsets of other texts")
    made = np.empty(used, dtype=np.uint8)
    cdef uint8_t[::1] out = made
    if used:
        with nogil:
            for i in range(n):
                length = starts[i + 1] - starts[i]
                if length:
                    memcpy(&out[starts[i]], &data[offsets[rows[i]]], length)
    return made, np.asarray(starts)
