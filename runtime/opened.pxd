from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .column cimport ColumnData
from .outcomes cimport Facts, Signals
from .pairs cimport PairSlot
from .placed cimport PlacedEngine
from .records cimport OUTCOME_SHIFT, Record

cdef struct Row:
    # A row that its record leaves open.
    size_t i
    size_t k                # of its block
    uint32_t requester, side, endpoint, resource
    uint32_t record         # its offset
    bint is_classified      # it asks for sets of resources
    uint32_t resource_row
    uint32_t states         # of the tests that it hangs on; NO_ID: it hangs on more

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
    bint is_by_code         # answers are looked for by the codes of dictionaries first

cdef struct Fleeting:
    # Resources interned since the last look, how many of them were new, and for how many it was
    # last found that they need not be interned.
    size_t looked, new, span

cdef inline uint64_t word_of(const PairSlot* slot) noexcept nogil:
    return slot.value | <uint64_t>slot.extra << 32

cdef inline void put_word(Batch* batch, size_t i, uint64_t word) noexcept nogil:
    batch.decision[i] = word >> OUTCOME_SHIFT & 3
    batch.layer[i] = <uint8_t>(<uint32_t>word >> OUTCOME_SHIFT + 2)
    batch.statement[i] = <int32_t>(word >> 32)

cdef inline void put_outcome(Batch* batch, size_t i, const PairSlot* slot) noexcept nogil:
    put_word(batch, i, word_of(slot))

cdef class OpenedEngine(PlacedEngine):
    cdef Fleeting fleeting
    cdef public size_t fleeting_left        # resources that need not be interned
    cdef Row* rows                          # BLOCK of them
    cdef bint is_narrowed                   # they name narrowed records already
    cdef uint32_t one_test                  # that a row hangs on
    # what the last row came to, for checks of one request
    cdef Signals last_signals
    cdef Facts last_facts
    cdef bint last_is_service

    cdef void _open_rows(self, size_t start, const uint8_t* open, const uint32_t* records,
                         size_t n) noexcept nogil
    cdef void _name_rows(self, size_t n) noexcept nogil
    cdef int _gather(self, Signals* signals, const uint32_t* following, size_t count,
                     Batch* batch, Row* row) noexcept nogil
    cdef void _fetch(self, Batch* batch, const Row* row) noexcept nogil
    cdef const uint32_t* _derived_value(self, const Row* row, uint32_t source) noexcept nogil
    cdef void _derive(self, Batch* batch, Row* row, Record* record) noexcept nogil
    cdef int _settle(self, Batch* batch, Row* row, bint is_all) noexcept nogil
    cdef size_t _drop_narrowed(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                               uint32_t* hangs, size_t n) noexcept nogil
    cdef int _find_resources(self, Batch* batch, size_t n, bint is_one) noexcept nogil
    cdef uint32_t _row_where_it_lies(self, Batch* batch, const Row* row) noexcept nogil
    cdef size_t _find_narrowed(self, Batch* batch, size_t n) noexcept nogil
    cdef bint _drop_rows(self, Batch* batch, size_t n, size_t* left) noexcept nogil
    cdef void _keep_row(self, ColumnData* resources, const Row* row) noexcept nogil
    cdef size_t _settle_plain(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                              const uint32_t* hangs, size_t n) noexcept nogil
    cdef const uint32_t* _tests(self, const uint32_t* hang) noexcept nogil
    cdef void _fetch_codes(self, Batch* batch, size_t i, uint32_t hang) noexcept nogil
    cdef uint32_t _states(self, Batch* batch, size_t i, const uint32_t* tests,
                          size_t count) noexcept nogil
    cdef int _settle_by_states(self, Batch* batch, size_t n) noexcept nogil
