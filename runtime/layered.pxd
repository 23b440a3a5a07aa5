from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from .column cimport ColumnData
from .outcomes cimport Facts, Signals
from .pairs cimport PairSlot
from .placed cimport PlacedEngine
from .records cimport Record

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

cdef class LayeredEngine(PlacedEngine):
    cdef Fleeting fleeting
    cdef public size_t fleeting_left        # resources that need not be interned
    cdef uint32_t question[256]             # NO_ID: the row is an error
    cdef Row* rows                          # BLOCK of them
    cdef bint is_narrowed                   # they name narrowed records already
    # what the last row came to, for checks of one request
    cdef Signals last_signals
    cdef Facts last_facts
    cdef bint last_is_service

    cdef int _gather(self, Signals* signals, const uint32_t* following, size_t count,
                     Batch* batch, Row* row) noexcept nogil
    cdef void _fetch(self, Batch* batch, const Row* row) noexcept nogil
    cdef const uint32_t* _derived_value(self, const Row* row, uint32_t source) noexcept nogil
    cdef void _derive(self, Batch* batch, Row* row, Record* record) noexcept nogil
    cdef int _settle(self, Batch* batch, Row* row, bint is_all) noexcept nogil
    cdef int _find_questions(self, Batch* batch, size_t start, size_t n) noexcept nogil
    cdef bint _near_questions(self, size_t n) noexcept nogil
    cdef uint32_t _new_question(self, Batch* batch, uint32_t action, uint32_t crossing,
                                size_t i) noexcept nogil
    cdef void _keep_answer(self, size_t k, uint64_t word) noexcept nogil
    cdef PairSlot* _meet(self, size_t k) noexcept nogil
    cdef size_t _find_records(self, Batch* batch, size_t start, size_t n, bint is_settled,
                              size_t* taken) noexcept nogil
    cdef size_t _write_answers(self, Batch* batch, size_t start, size_t n, const uint16_t* numbers,
                               uint8_t* open, uint32_t* records) noexcept nogil
    cdef void _open_rows(self, size_t start, const uint8_t* open, const uint32_t* records,
                         size_t n) noexcept nogil
    cdef void _name_rows(self, size_t n) noexcept nogil
    cdef bint _find_by_codes(self, Batch* batch, size_t start, size_t n,
                             size_t* left) noexcept nogil
    cdef size_t _drop_narrowed(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                               size_t n) noexcept nogil
    cdef bint _drop_rows(self, Batch* batch, size_t n, size_t* left) noexcept nogil
    cdef void _keep_row(self, ColumnData* resources, const Row* row) noexcept nogil
    cdef int _find_resources(self, Batch* batch, size_t n, bint is_one) noexcept nogil
    cdef uint32_t _row_where_it_lies(self, Batch* batch, const Row* row) noexcept nogil
    cdef size_t _find_narrowed(self, Batch* batch, size_t n) noexcept nogil
    cdef int _settle_by_states(self, Batch* batch, size_t n) noexcept nogil
    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil
