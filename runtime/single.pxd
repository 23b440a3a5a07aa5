from cpython.object cimport PyObject
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

# A text that stood at some place, which somebody holds, and what it is: a key of a context is
# number << 2 | how, or NO_KEY, MANY_KEYS; another text is its id.
cdef struct Place:
    PyObject* key
    uint32_t code

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
    cdef uint8_t* given         # how a key was spelled in the request at hand
    cdef uint8_t* is_derived    # keys that follow from the sides, since nobody gives them
    cdef uint8_t* named         # `given` and `is_derived` before the context is read
    cdef uint8_t* derivable
    cdef list derivable_keys    # numbers of keys that may follow
    cdef uint32_t* touched      # keys whose constant is not what `named` says
    cdef size_t touched_count
    cdef tuple unknown          # the names that `named` is about
    cdef dict names_known       # such names -> numbers of the keys
    cdef Place* layout          # of the contexts that were read last
    cdef list places            # its keys
    cdef Place met[7]           # texts of `others` in the check before, held by `met_texts`
    cdef list met_texts
    cdef size_t generation      # of the engine, when they were met
    cdef Bytes text             # where a list is written before it is interned

    cdef object _ask(self, principal, action, resource, context, unknown, issuer_arn,
                     principal_account, principal_type, resource_account, is_management_account,
                     also_allowed)
    cdef int _begin(self, dict context, tuple unknown) except -1
    cdef int _name(self, tuple unknown) except -1
    cdef int _read(self, dict context) except -1
    cdef uint32_t _learn(self, size_t at, key) except? 0
    cdef int _put(self, uint32_t code, value) except -1
    cdef list _keys_of(self, key)
    cdef uint32_t _value_id(self, size_t number, value) except? 0
    cdef bint _put_list(self, list values) except -1
    cdef uint32_t _id(self, InternTable* table, str text) except? 0
    cdef bint _put_text(self, size_t at, InternTable* table, text) except -1
    cdef uint32_t _added(self, uint32_t id) except? 0

cdef bint are_plain(action, resource, context, unknown) except -1
