from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport InternTable

from .scan cimport ScanMemo

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

# What an identity had last beside it: most have one region and one account.
cdef struct KnownCaller:
    int32_t code            # -1: nothing yet
    uint8_t region_length
    uint8_t account_length
    uint8_t texts[42]       # region and receiving account, end to end

# Buffers and code tables of one reader; the attributes are those of extract.pyx.
cdef class Extractor:
    cdef InternTable plan_table, caller_table, error_table, call_table, shape_table, given_table
    cdef ScanMemo memo
    cdef uint32_t* arns             # of each record, begin and length of MAX_ARNS listed ARNs
    cdef uint32_t* slices           # of each record, begin and length of FIELD_COUNT fields
    cdef uint32_t* bounds           # of each record, its own begin and end
    cdef uint32_t* identities       # of each record, the id of its identity in the memo; 0: none
    cdef KnownCaller* known_callers # by id of the identity in the memo
    cdef size_t known_caller_room
    cdef uint32_t caller_fields     # what tells callers apart
    cdef int32_t* codes[3]          # of each record: its plan, its caller, its error
    cdef int32_t* fresh[3]          # the records at which new codes were given
    cdef size_t fresh_count[3]
    cdef int32_t* per_record[3]
    cdef int32_t* known             # of each record, twice the number that `shaped` gave its call,
                                    # or one more than twice that of a mould; -1: neither
    cdef int32_t* call_of           # of each record, the code of the call, where neither has it
    cdef int32_t* place             # of each record, its row; -1 for none
    cdef int32_t no_error           # the code of no error; -1 while it has none
    cdef KeptRow* kept_rows         # of the text so far
    cdef size_t kept, kept_room
    cdef int64_t* seconds           # of each record, its time
    cdef uint64_t* id_hash          # of each record, of its event ID
    cdef uint8_t* id_text           # event IDs end to end: of what was kept, then of the scan
    cdef size_t id_used, id_room, id_kept
    cdef uint8_t* odd
    cdef size_t room
    cdef uint8_t* scratch
    cdef size_t scratch_size
    cdef bytes text                 # a document, lines, or a piece of a document
    cdef const uint8_t* base        # of the text: all slices count from here
    cdef const uint8_t* at          # where the next scan begins
    cdef const uint8_t* end
    cdef bint is_lines, is_inside, is_closed, is_done
    cdef bint is_last               # nothing comes behind the text
    cdef readonly size_t count      # records of the last scan
    cdef readonly size_t odd_count  # so many of them are odd
    cdef readonly size_t longest    # length of the longest, or of one that goes on, in bytes
    cdef list needles
    cdef const uint8_t* needle_at[MAX_NEEDLES]
    cdef size_t needle_length[MAX_NEEDLES]
    cdef size_t needle_count

    cdef int grow(self, size_t records) noexcept nogil
    cdef void begin(self, bint is_lines) noexcept
    cdef const uint8_t* take_apart(self, const uint8_t* p, const uint8_t* end) noexcept nogil
    cdef int64_t accept(self) noexcept nogil
    cdef int64_t scan_document(self, size_t most) noexcept nogil
    cdef int64_t end_document(self) noexcept nogil
    cdef int64_t scan_lines(self, size_t most) noexcept nogil
    cdef int ensure(self, size_t size) noexcept nogil
    cdef size_t put(self, size_t used, size_t i, int field) noexcept nogil
    cdef int code_one(self, size_t i) noexcept nogil
    cdef int code_caller(self, size_t i) noexcept nogil
    cdef int code(self, InternTable* table, uint32_t fields, int kind, size_t i) noexcept nogil
    cdef new_codes(self, int kind)
    cdef int check_facts(self, const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
                         const uint8_t[::1] is_denial) except -1
    cdef int64_t shape_of(self, size_t i, const uint8_t* plan_flags, const int32_t* plan_needles,
                          const uint8_t* is_denial) noexcept nogil
    cdef int64_t number_given(
        self, size_t begin, const uint8_t* plan_flags, const int32_t* plan_needles,
        const uint8_t* is_denial, const int8_t* places, size_t place_count) noexcept nogil
    cdef int grow_kept(self, size_t rows) noexcept nogil
    cdef int64_t keep_all(self, const int32_t* caller_rows, const int32_t* call_rows,
                          int32_t number, size_t* left_out) noexcept nogil
    cdef int64_t code_calls(
        self, const int32_t* plan, const int32_t* caller, const int32_t* error,
        const uint8_t* plan_flags, const int32_t* plan_needles, const uint8_t* is_denial,
        const int32_t* done, int32_t* codes, int32_t* first
    ) noexcept nogil
    cdef size_t find_enriched(self, int32_t* found) noexcept nogil
    cdef bint has_needle(self, size_t i, const int32_t* span) noexcept nogil
