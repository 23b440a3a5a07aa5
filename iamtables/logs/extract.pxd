from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from iamtables.runtime.intern cimport InternTable

from .scan cimport ScanMemo

cdef enum:
    MAX_NEEDLES = 4096

# Buffers and code tables of one reader; the attributes are those of extract.pyx.
cdef class Extractor:
    cdef InternTable plan_table, caller_table, error_table, call_table, shape_table, given_table
    cdef ScanMemo memo
    cdef uint32_t* arns             # of each record, begin and length of MAX_ARNS listed ARNs
    cdef uint32_t* slices           # of each record, begin and length of FIELD_COUNT fields
    cdef uint32_t* bounds           # of each record, its own begin and end
    cdef const uint8_t** bases      # of each record, the text that all these count from
    cdef uint32_t* identities       # of each record, the id of its identity in the memo; 0: none
    cdef uint8_t* odd
    cdef size_t room
    cdef uint8_t* scratch
    cdef size_t scratch_size
    cdef list texts
    cdef readonly size_t count      # records of the last scan and of those that were added to it
    cdef list needles
    cdef const uint8_t* needle_at[MAX_NEEDLES]
    cdef size_t needle_length[MAX_NEEDLES]
    cdef size_t needle_count

    cdef int grow(self, size_t records) noexcept nogil
    cdef int64_t scan_one(self, const uint8_t* base, const uint8_t** at, const uint8_t* end
                          ) noexcept nogil
    cdef int64_t scan_document(self, const uint8_t* base, const uint8_t* end) noexcept nogil
    cdef int64_t scan_lines(self, const uint8_t* base, const uint8_t* end) noexcept nogil
    cdef int ensure(self, size_t size) noexcept nogil
    cdef size_t put(self, size_t used, size_t i, int field) noexcept nogil
    cdef int64_t code_fields(self, InternTable* table, uint32_t fields, int32_t* codes,
                             int32_t* first) noexcept nogil
    cdef code(self, InternTable* table, uint32_t fields)
    cdef int64_t code_shapes(
        self, const int32_t* plan, const int32_t* error, const uint8_t* plan_flags,
        const int32_t* plan_needles, const uint8_t* is_denial, int32_t* codes, int32_t* first
    ) noexcept nogil
    cdef int64_t code_calls(
        self, const int32_t* plan, const int32_t* caller, const int32_t* error,
        const uint8_t* plan_flags, const int32_t* plan_needles, const uint8_t* is_denial,
        const int32_t* done, int32_t* codes, int32_t* first
    ) noexcept nogil
    cdef bint has_needle(self, size_t i, const int32_t* span) noexcept nogil
