"""Stages of the product, called as its kernels call them, so that each can be timed alone."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.globs cimport GlobSet
from iamtables.runtime.intern cimport (
    FIRST_ID,
    NO_ID,
    InternTable,
    intern_add,
    intern_free,
    intern_init,
)


def intern_texts(const uint8_t[::1] data, const int32_t[::1] offsets, uint32_t[::1] ids,
                 uint64_t seed):
    """Number the texts of a column in the order of first use into `ids`; how many are distinct."""
    cdef size_t row, rows = ids.shape[0], count
    cdef uint32_t found = 0
    cdef InternTable table
    if intern_init(&table, seed):
        raise MemoryError
    with nogil:
        for row in range(rows):
            found = intern_add(&table, &data[0] + offsets[row], offsets[row + 1] - offsets[row])
            if found == NO_ID:
                break
            ids[row] = found - FIRST_ID
        count = table.count - FIRST_ID
        intern_free(&table)
    if found == NO_ID:
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
