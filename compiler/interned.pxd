from libc.stdint cimport uint8_t, uint32_t

from ..runtime.intern cimport InternTable
from ..runtime.words cimport Words

# A growing array of bytes. Its owner frees `data`.
cdef struct Letters:
    uint8_t* data
    size_t count
    size_t capacity

cdef int put_letters(Letters* letters, const void* more, size_t size) except -1
cdef int put_text(Letters* letters, Words* starts, str text) except -1
cdef int put_word(Words* words, uint32_t word) except -1
cdef object array_of(const Words* words)
cdef object bytes_array_of(const Letters* letters)

cdef class PatternTable:
    cdef InternTable table
    cdef object variables_of
    cdef bint spans
    cdef Letters settled        # room for one pattern
    cdef Letters is_all
    cdef Letters spelled
    cdef Words spelled_start
    cdef dict variables
    cdef dict lists
    cdef uint32_t number_of(self, str text, bint has_variables, bint is_carried) except? 0xFFFFFFFE

cdef class SetTable:
    cdef InternTable table
    cdef Words row
    cdef Words seen
    cdef uint32_t turn
    cdef uint32_t number_of(self, bint negated, const uint32_t* ids, size_t n) except? 0xFFFFFFFE
