from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport InternTable

from .scan cimport ScanMemo
from .slices cimport KnownDay

cdef enum:
    PLAN_PLACES = 64
    PLAN_TEXT = 48

# A plan that was met: most records have one of a few.
cdef struct KnownPlan:
    int32_t code            # -1: nothing yet
    uint8_t lengths[4]
    uint8_t texts[4 * PLAN_TEXT]    # source, name, event type and category

# What an identity had last beside it: most have one region and one account.
cdef struct KnownCaller:
    int32_t code            # -1: nothing yet
    uint8_t region_length
    uint8_t account_length
    uint8_t texts[42]       # region and receiving account, end to end

# Records of one piece of text; the attributes are those of scanner.pyx.
cdef class Scanned:
    cdef object text                # bytes, or `own`
    cdef object own                 # room for texts that are inflated in place
    cdef size_t start               # where in it the text begins
    cdef const uint8_t* base        # of the text: all slices count from here
    cdef const uint8_t* at          # where the next scan begins
    cdef const uint8_t* end
    cdef readonly size_t count      # records
    cdef readonly size_t odd_count  # so many of them are odd
    cdef readonly size_t longest    # length of the longest, or of one that goes on, in bytes
    cdef readonly bint is_refused   # the text is no delivery file, or no JSON
    cdef readonly size_t plan_count, error_count    # codes given so far, in all pieces
    cdef readonly size_t table_bytes                # memory of the scanner's tables by now
    cdef bint is_lent               # somebody codes the records: they must stay as they are
    cdef uint32_t* slices           # of each record, begin and length of FIELD_COUNT fields
    cdef uint32_t* bounds           # of each record, its own begin and end
    cdef uint32_t* identities       # of each record, the id of its identity in the memo; 0: none
    cdef int32_t* codes[3]          # of each record: its plan, its caller, its error
    cdef int32_t* fresh[3]          # the records at which new codes were given
    cdef size_t fresh_count[3]
    cdef int64_t* seconds           # of each record, its time
    cdef uint64_t* id_hash          # of each record, of its event ID
    cdef uint8_t* id_text           # event IDs end to end
    cdef size_t id_used, id_room
    cdef uint8_t* odd
    cdef size_t room

    cdef int grow(self, size_t records) noexcept nogil
    cdef void begin(self) noexcept
    cdef new_codes(self, int kind)
    cdef size_t find_enriched(self, int32_t* found) noexcept nogil

# What one log has shown so far, and where in its text the scan is; the attributes are those of
# scanner.pyx.
cdef class Scanner:
    cdef InternTable plan_table, caller_table, error_table
    cdef InternTable long_texts     # agents and TLS details
    cdef ScanMemo memo
    cdef KnownCaller* known_callers # by id of the identity in the memo
    cdef size_t known_caller_room
    cdef KnownPlan known_plans[PLAN_PLACES]     # by hash of source and name
    cdef KnownDay day
    cdef uint32_t caller_fields     # what tells callers apart
    cdef int32_t no_error           # the code of no error; -1 while it has none
    cdef uint8_t* scratch
    cdef size_t scratch_size
    cdef uint8_t* rest              # a record that the last piece broke off
    cdef size_t rest_used, rest_size
    cdef bint is_lines, is_inside, is_closed, is_done
    cdef bint is_last               # nothing comes behind the text

    cdef const uint8_t* take_apart(self, Scanned s, const uint8_t* p, const uint8_t* end
                                   ) noexcept nogil
    cdef int64_t accept(self, Scanned s) noexcept nogil
    cdef int64_t scan_document(self, Scanned s, size_t most) noexcept nogil
    cdef int64_t end_document(self, Scanned s) noexcept nogil
    cdef int64_t scan_lines(self, Scanned s, size_t most) noexcept nogil
    cdef int run(self, Scanned s, size_t most) except -1
    cdef int keep_rest(self, Scanned s) except -1
    cdef int ensure(self, size_t size) noexcept nogil
    cdef int code_one(self, Scanned s, size_t i) noexcept nogil
    cdef void forget_known_plans(self) noexcept nogil
    cdef int code_plan(self, Scanned s, size_t i) noexcept nogil
    cdef int code_caller(self, Scanned s, size_t i) noexcept nogil
    cdef int code(self, InternTable* table, uint32_t fields, int kind, Scanned s, size_t i
                  ) noexcept nogil
