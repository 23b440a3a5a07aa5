from libc.stdint cimport uint16_t, uint32_t, uint64_t

from .pairs cimport PairTable

# What pairs of small numbers come to, found by their place. A cell takes two bytes: most pairs come to
# one of few words, which lie in a list of their own.
cdef struct Grid:
    uint16_t* cells         # row + 1 << bits | column + 1 -> number of its word, 0 for none yet
    size_t rows             # rows of cells, the first of them empty
    int bits                # log2 of the columns of cells, the first of them empty
    size_t limit            # most cells
    uint64_t* words         # by number, from 1
    size_t count, capacity
    PairTable numbers       # the halves of a word -> its number
    bint is_full            # a pair had no room: the grid is empty, and stays so until it is cleared

cdef int grid_init(Grid* grid, uint64_t seed, size_t limit) noexcept nogil
cdef void grid_free(Grid* grid) noexcept nogil
cdef void grid_clear(Grid* grid) noexcept nogil
cdef void grid_reserve(Grid* grid, size_t rows, size_t columns) noexcept nogil
cdef void grid_put(Grid* grid, uint32_t row, uint32_t column, uint64_t word) noexcept nogil
cdef size_t grid_bytes(const Grid* grid) noexcept nogil

cdef void grid_at(const Grid* grid, const uint32_t* places, size_t n,
                  uint16_t* numbers) noexcept nogil
cdef void grid_places(const Grid* grid, const uint32_t* rows, const uint32_t* columns, size_t n,
                      uint32_t* places) noexcept nogil
