"""Stages of the product, called as its kernels call them, so that each can be timed alone."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.column cimport MOST_AHEAD, Ahead
from iamtables.runtime.globs cimport GlobSet
from iamtables.runtime.intern cimport (
    FIRST_ID,
    InternTable,
    intern_free,
    intern_init,
    intern_many,
)


def intern_texts(const uint8_t[::1] data, const int32_t[::1] offsets, uint32_t[::1] ids,
                 uint64_t seed):
    """Number the texts of a column in the order of first use into `ids`; how many are distinct.

    In blocks, as runtime/column.pyx numbers a column of strings.
    """
    cdef size_t row, rows = ids.shape[0], count, n, k
    cdef int failed = 0
    cdef InternTable table
    cdef Ahead ahead
    if intern_init(&table, seed):
        raise MemoryError
    with nogil:
        row = 0
        while row < rows:
            n = rows - row if rows - row < MOST_AHEAD else MOST_AHEAD
            for k in range(n):
                ahead.texts[k] = &data[0] + offsets[row + k]
                ahead.lengths[k] = offsets[row + k + 1] - offsets[row + k]
            failed = intern_many(&table, ahead.texts, ahead.lengths, ahead.hashes, n, &ids[row])
            if failed:
                break
            row += n
        for row in range(rows):
            ids[row] -= FIRST_ID
        count = table.count - FIRST_ID
        intern_free(&table)
    if failed:
        raise MemoryError
    return count


def match_texts(GlobSet globs, const uint8_t[::1] data, const int32_t[::1] offsets,
                uint32_t[::1] counts):
    """How many patterns match each text, into `counts`."""
    cdef size_t row, rows = counts.shape[0]
    with nogil:
        for row in range(rows):
            counts[row] = <uint32_t>globs.match(&data[0] + offsets[row],
                                                offsets[row + 1] - offsets[row])
