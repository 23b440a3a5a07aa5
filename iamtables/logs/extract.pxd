from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport InternTable

from .scanner cimport Scanned

cdef enum:
    MAX_NEEDLES = 4096

# A record that goes out. call: a row, or -2 less what `Extractor.known` has of it
cdef struct KeptRow:
    int64_t seconds
    uint64_t id_hash
    int32_t call
    int32_t caller
    int32_t place           # number of the record in the text
    uint32_t id_length

# Code tables of one reader, and the rows of a text; the attributes are those of extract.pyx.
cdef class Extractor:
    cdef InternTable call_table, shape_table, given_table
    cdef Scanned scanned            # the records that were taken; what follows belongs to them
    cdef const uint8_t* base
    cdef const uint32_t* slices
    cdef const uint8_t* odd
    cdef const int32_t* codes[3]
    cdef const int64_t* seconds
    cdef const uint64_t* id_hash
    cdef readonly size_t count      # of these records
    cdef uint32_t* arns             # of each record, begin and length of MAX_ARNS listed ARNs
    cdef int32_t* per_record[3]
    cdef int32_t* known             # of each record, twice the number that `shaped` gave its call,
                                    # or one more than twice that of a mould; -1: neither
    cdef int32_t* call_of           # of each record, the code of the call, where neither has it
    cdef int32_t* place             # of each record, its row; -1 for none
    cdef size_t room
    cdef KeptRow* kept_rows         # of the text so far
    cdef size_t kept, kept_room
    cdef uint8_t* id_text           # event IDs of what was kept, end to end
    cdef size_t id_kept, id_room
    cdef uint8_t* scratch
    cdef size_t scratch_size
    cdef list needles
    cdef const uint8_t* needle_at[MAX_NEEDLES]
    cdef size_t needle_length[MAX_NEEDLES]
    cdef size_t needle_count

    cdef int grow(self, size_t records) noexcept nogil
    cdef int ensure(self, size_t size) noexcept nogil
    cdef size_t put(self, size_t used, size_t i, int field) noexcept nogil
    cdef int check_facts(self, const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
                         const uint8_t[::1] is_denial) except -1
    cdef int64_t shape_of(self, size_t i, const uint8_t* plan_flags, const int32_t* plan_needles,
                          const uint8_t* is_denial) noexcept nogil
    cdef int64_t number_given(
        self, size_t begin, const uint8_t* plan_flags, const int32_t* plan_needles,
        const uint8_t* is_denial, const int8_t* places, size_t place_count) noexcept nogil
    cdef int grow_kept(self, size_t rows, size_t id_bytes) noexcept nogil
    cdef int64_t keep_all(self, const int32_t* caller_rows, const int32_t* call_rows,
                          int32_t number, size_t* left_out) noexcept nogil
    cdef int64_t code_calls(
        self, const int32_t* plan, const int32_t* caller, const int32_t* error,
        const uint8_t* plan_flags, const int32_t* plan_needles, const uint8_t* is_denial,
        const int32_t* done, int32_t* codes, int32_t* first
    ) noexcept nogil
    cdef bint has_needle(self, size_t i, const int32_t* span) noexcept nogil
