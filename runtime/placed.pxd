from libc.stdint cimport int32_t, uint32_t

from .column cimport ColumnData
from .narrowed cimport NarrowedEngine
from .sides cimport Asked

cdef class PlacedEngine(NarrowedEngine):
    cdef Asked asked                        # of the block at hand
    cdef size_t most_placed                 # requesters below this number have a place
    cdef size_t most_requesters             # number of the last requester that has a place, plus one
    cdef size_t placed_rows                 # that were found by their codes
    # codes of the block at hand, and where they lie that may be null
    cdef const int32_t* principal_codes
    cdef const int32_t* resource_codes
    cdef int32_t[256] action_scratch, principal_scratch, resource_scratch

    cdef bint _start_places(self, ColumnData* actions, ColumnData* principals,
                            ColumnData* resources) noexcept nogil
    cdef bint _find_cells(self, const ColumnData* actions, const ColumnData* principals,
                          const ColumnData* resources, size_t start, size_t n,
                          uint32_t* found) noexcept nogil
    cdef int _keep_places(self, const ColumnData* actions, const ColumnData* principals,
                          const ColumnData* resources, size_t start, size_t n) noexcept nogil
    cdef int _look_up_open(self, const ColumnData* principals, ColumnData* resources,
                           ColumnData* owners, size_t start, size_t k) noexcept nogil
