"""Codes of texts that lie in one piece of memory, without a Python string for each of them."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport (
    FIRST_ID,
    NO_ID,
    InternTable,
    intern_add,
    intern_find,
    intern_free,
    intern_init,
)

cdef const uint8_t* NOTHING = b""


cdef class TextCodes:
    """Numbers texts from 0 on, in the order in which they are met."""

    cdef InternTable table

    def __cinit__(self, uint64_t seed):
        if intern_init(&self.table, seed):
            raise MemoryError

    def __dealloc__(self):
        intern_free(&self.table)

    def __len__(self):
        return self.table.count - FIRST_ID

    def codes(self, const uint8_t[::1] data not None, const int64_t[::1] offsets not None):
        """int32[n]: the code of each text; new ones get the codes that follow.

        Text i is data[offsets[i] : offsets[i + 1]]. Raises ValueError for offsets that fall or lead
        out of the data, MemoryError for more than 2**31 texts; what came before is numbered then.
        Releases the GIL.
        """
        cdef size_t n = offsets.shape[0] - 1 if offsets.shape[0] else 0, i
        cdef const uint8_t* texts = &data[0] if data.shape[0] else NOTHING
        cdef int64_t begin, end
        cdef uint32_t id
        cdef bint is_broken = False, is_full = False
        cdef int32_t[::1] found = np.empty(n, dtype=np.int32)
        with nogil:
            for i in range(n):
                begin, end = offsets[i], offsets[i + 1]
                if begin < 0 or end < begin or end > data.shape[0]:
                    is_broken = True
                    break
                id = intern_add(&self.table, texts + begin, <size_t>(end - begin))
                if id == NO_ID or id - FIRST_ID > <uint32_t>0x7FFFFFFF:
                    is_full = True
                    break
                found[i] = <int32_t>(id - FIRST_ID)
        if is_broken:
            raise ValueError("offsets of other texts")
        if is_full:
            raise MemoryError
        return np.asarray(found)

    def code_of(self, bytes text not None):
        """The code of a text (UTF-8); -1 when it has none."""
        cdef const uint8_t* begin = text
        cdef uint32_t id = intern_find(&self.table, begin, len(text))
        return -1 if id == NO_ID else <int32_t>(id - FIRST_ID)
