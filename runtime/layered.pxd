from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .column cimport ColumnData
from .sides cimport Requester, Side, SidesEngine

cdef struct Signals:
    uint64_t must
    uint64_t may
    int32_t by_must[64]     # a statement behind each signal; read only where its bit is set
    int32_t by_may[64]


cdef struct Facts:
    # What of a row is not in a policy, each as IS_FALSE, IS_TRUE or IS_EITHER.
    uint32_t same, partition, must, trust, assumed
    bint is_root, is_bucket_policy, has_policy, is_other
    uint32_t asker


cdef struct Row:
    # One request, looked up. `found` is its decision | layer << 2, or NO_ID while it is open.
    size_t i
    uint32_t found
    uint32_t action, what, requester, side, endpoint, resource_row
    uint32_t list_count
    uint32_t[5] bundles     # those that meet the request (EVAL-6 to EVAL-10)
    uint32_t[5] lists
    bint is_endpoint_open   # no endpoint policy stands in the way
    bint is_service         # EVAL-11, EVAL-12

cdef struct Batch:
    # Bound columns and outputs of one call.
    ColumnData** who
    const uint8_t* management
    ColumnData* actions
    ColumnData* resources
    ColumnData* owners
    const uint8_t* others
    ColumnData** keys
    const uint8_t* is_derived
    uint8_t* decision
    uint8_t* layer
    int32_t* statement
    uint8_t* error
    size_t errors

cdef class LayeredEngine(SidesEngine):
    cdef uint8_t* truth_table               # ASKER_COUNT * STAGE_COUNT rows
    cdef uint8_t truth_known[256]
    cdef bint assumes_account               # option missing_required_policy="account"
    cdef Row* rows                          # BLOCK of them
    # what the last row came to, for checks of one request
    cdef Signals last_signals
    cdef Facts last_facts
    cdef bint last_is_service

    cdef int _fill_truth(self, uint32_t asker, uint32_t stage) noexcept with gil
    cdef int _gather(self, Signals* signals, uint32_t words, Batch* batch,
                     Row* row) noexcept nogil
    cdef uint32_t _outcome(self, Signals* signals, Facts* facts, uint64_t scp,
                           int32_t* statement) noexcept nogil
    cdef uint32_t _of_stage(self, Signals* signals, Facts* facts, uint64_t scp, uint32_t stage,
                            int32_t* statement) noexcept nogil
    cdef int32_t _granting(self, Signals* signals, uint32_t layer) noexcept nogil
    cdef int32_t _settling(self, Signals* signals) noexcept nogil
    cdef int _look_up(self, Batch* batch, Row* row) noexcept nogil
    cdef Requester* _asking(self, Row* row) noexcept nogil
    cdef Side* _asked(self, Row* row) noexcept nogil
    cdef void _meet(self, Batch* batch, Row* row) noexcept nogil
    cdef void _add_bundle(self, Row* row, uint32_t bundle) noexcept nogil
    cdef int _find_lists(self, Row* row) noexcept nogil
    cdef int _settle(self, Batch* batch, Row* row) noexcept nogil
    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil
    cdef int _facts(self, Facts* facts, Batch* batch, Row* row) noexcept nogil
