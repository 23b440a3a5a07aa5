from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .opened cimport Batch, OpenedEngine
from .pairs cimport PairSlot, PairTable

cdef class LayeredEngine(OpenedEngine):
    cdef uint32_t question[256]             # NO_ID: the row is an error

    cdef int _find_questions(self, Batch* batch, size_t start, size_t n) noexcept nogil
    cdef bint _near_questions(self, size_t n) noexcept nogil
    cdef uint32_t _new_question(self, Batch* batch, uint32_t action, uint32_t crossing,
                                size_t i) noexcept nogil
    cdef void _keep_answer(self, size_t k, uint64_t word) noexcept nogil
    cdef bint _meet_missing(self, size_t n, uint32_t* places) noexcept nogil
    cdef PairSlot* _meet(self, size_t k, PairTable* slots) noexcept nogil
    cdef size_t _find_records(self, Batch* batch, size_t start, size_t n, bint is_settled,
                              size_t* taken) noexcept nogil
    cdef bint _write_answers(self, Batch* batch, size_t start, size_t n, const uint32_t* places,
                             uint8_t* open, uint32_t* records, size_t* left) noexcept nogil
    cdef bint _find_by_codes(self, Batch* batch, size_t start, size_t n,
                             size_t* left) noexcept nogil
    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil
