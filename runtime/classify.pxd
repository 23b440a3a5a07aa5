from libc.stdint cimport uint8_t, uint32_t

from .column cimport Ahead, ColumnData
from .globs cimport GlobSet
from .heads cimport PatternHeads
from .intern cimport InternTable
from .words cimport Words

cdef enum:
    CELL_YES = 1            # row items: set id << 2 | one of these
    CELL_UNKNOWN = 2
    CELL_VERIFY = 3
    ROW_UNKNOWN = 0         # row of an unknown resource: offset 0 of `items`
    LAST_FOUND = 8          # patterns of the matches that are remembered

cdef void sort_words(uint32_t* words, size_t n) noexcept nogil
cdef bint is_resource(const uint8_t* text, size_t length) noexcept nogil

cdef class ResourceClasses:
    cdef GlobSet globs
    cdef tuple keep
    cdef object planner
    cdef size_t set_count
    # resource pattern -> sets, and facts about sets
    cdef const uint32_t* pattern_set_start
    cdef const uint32_t* pattern_set
    cdef const uint8_t* pattern_has_variable
    cdef const uint8_t* set_negated
    cdef const uint8_t* set_default     # negated set that no pattern hits: YES or VERIFY
    cdef const uint32_t* negated_sets
    cdef size_t negated_count
    cdef const uint32_t* set_start      # patterns of each set
    cdef const uint32_t* set_pattern
    cdef PatternHeads heads
    # caches
    cdef InternTable texts              # resources seen as texts, and those that were verified
    cdef InternTable matches            # what matched together, as pattern ids
    cdef Words match_row                # id in `matches` -> row
    cdef uint32_t[LAST_FOUND] last_found  # what matched together the last time, if it was not much
    cdef size_t last_count              # how many that were; more than there is room for: nothing
    cdef uint32_t last_row
    cdef InternTable rows               # distinct rows, by their words
    cdef Words items                    # a row: count, then items ascending by set id
    cdef Words row_start                # id in `rows` -> row
    cdef Words text_row                 # id in `texts` -> row, NO_ID until classified
    cdef uint32_t invalid_row           # row of a text that is no resource (RES-12)
    cdef uint8_t* set_state             # scratch of classify, all zero between calls
    cdef Words scratch

    cdef int start_rows(self) except -1
    cdef uint32_t classify(self, const uint8_t* text, size_t length) noexcept nogil
    cdef uint32_t classify_whole(self, const uint8_t* text, size_t length) noexcept nogil
    cdef uint32_t classify_for(self, const uint32_t* sets, size_t count, const uint8_t* text,
                               size_t length) noexcept nogil
    cdef uint32_t known_matches(self, const uint32_t* found, size_t count) noexcept nogil
    cdef uint32_t row_of_matches(self, const uint32_t* found, size_t count) noexcept nogil
    cdef uint32_t row_of_id(self, uint32_t resource) noexcept nogil
    cdef uint32_t row(self, ColumnData* column, size_t i) noexcept nogil
    cdef uint32_t resource_id(self, ColumnData* column, size_t i) noexcept nogil
    cdef int resource_ids(self, ColumnData* column, size_t start, size_t n, uint32_t* ids,
                          Ahead* ahead) noexcept nogil
    cdef int is_valid(self, ColumnData* column, size_t i) noexcept nogil
    cdef int check_column(self, ColumnData* column) noexcept nogil
    cdef size_t used(self) noexcept nogil
    cdef int forget(self) except -1
