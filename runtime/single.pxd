from libc.stdint cimport uint8_t, uint32_t

from .column cimport ColumnData
from .engine cimport Engine
from .intern cimport InternTable

cdef enum:
    COLUMN_COUNT = 7        # of constants that are no key: what a checker needs besides

# A growing array of bytes. Its owner frees `data`.
cdef struct Bytes:
    uint8_t* data
    size_t count
    size_t capacity

cdef class KeyReader:
    cdef Engine engine
    cdef object table
    cdef type kind              # of the answers: decisions.Decision
    cdef list names             # of the keys, as the policies spell them
    cdef dict numbers           # key in lower case -> numbers of the keys of that name (COND-4)
    cdef dict spellings         # key as a caller spells it -> [number << 2 | how], or None
    cdef size_t budget, count
    cdef ColumnData* columns    # one of each key, then `others`
    cdef ColumnData** keys
    cdef ColumnData* others
    cdef uint8_t* given         # how a key was spelled in the context at hand
    cdef Bytes text             # where a list is written before it is interned

    cdef int _begin(self, dict context) except -1
    cdef int _read(self, dict context) except -1
    cdef list _keys_of(self, key)
    cdef uint32_t _value_id(self, size_t number, value) except? 0
    cdef bint _put_list(self, list values) except -1
    cdef uint32_t _id(self, InternTable* table, str text) except? 0
    cdef uint32_t _added(self, uint32_t id) except? 0
