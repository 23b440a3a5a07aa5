from libc.stdint cimport uint32_t

from .pairs cimport PairSlot, PairTable
from .records cimport RecordsEngine

cdef enum:
    MET_BEFORE = 2
    MOST_TESTS = 15                 # whose states fit a word, which is never NO_ID

    # What else a slot of an open narrowed record says, when tests without variables are all that it
    # hangs on: how many, and above which word of `records` they begin, or the one test itself; or 0.
    HANG_SHIFT = 28
    HANG_MASK = 0xFFFFFFF
    MOST_NARROWED = 1 << 20         # narrowed records and states, above which they are dropped

cdef extern from *:
    """
    #define IAMT_DEPENDENT_STATE 0x80000000u
    """
    # Above the number of what has variables, among the tests whose states a record hangs on.
    const uint32_t DEPENDENT_STATE "IAMT_DEPENDENT_STATE"

cdef class NarrowedEngine(RecordsEngine):
    cdef public uint32_t met_before         # rows that a record leaves open before it is narrowed
    cdef PairTable narrowed                 # (record, row of a resource) -> as `record_slots`
    cdef PairTable by_states                # (narrowed record, states) -> OUTCOME, statement

    cdef bint _is_full(self) noexcept nogil
    cdef PairSlot* _narrow(self, uint32_t record, uint32_t resource_row) noexcept nogil
    cdef int _load(self, uint32_t record) noexcept nogil
    cdef int _draft_left(self, uint32_t record, uint32_t resource_row, bint* is_open) noexcept nogil
    cdef int _draft_states(self) noexcept nogil
    cdef int _draft_state(self, uint32_t test) noexcept nogil
    cdef uint32_t _hang(self, uint32_t at) noexcept nogil
