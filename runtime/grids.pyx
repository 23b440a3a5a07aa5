"""Pairs of small numbers to words, by their place: no hash, nothing to compare, no probing.

A hash table of 63,000 pairs takes 2 MB and a comparison that no branch predictor can know the outcome
of; their grid, of 500 rows and 512 columns, half a megabyte and a load. It is worth having while
it is small: when rows times columns pass the limit, or words are too many for two bytes, the grid gives
up, and whoever asks looks in the table that it stands before.

The first row of cells and the first column stay empty: whoever does not know a number yet looks there,
and finds nothing without being asked whether it knew.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from .intern cimport NO_ID
from .pages cimport large_pages
from .pairs cimport pairs_bytes, pairs_clear, pairs_free, pairs_get, pairs_init, pairs_put
from .prefetch cimport prefetch

cdef enum:
    FIRST_ROWS = 16
    FIRST_BITS = 4
    MOST_WORDS = 0xFFFF     # their numbers fit a cell


cdef int grid_init(Grid* grid, uint64_t seed, size_t limit) noexcept nogil:
    """Empty grid of at most `limit` cells; -1 when memory is short."""
    memset(grid, 0, sizeof(Grid))
    grid.limit = limit
    grid.count = 1
    return pairs_init(&grid.numbers, seed)


cdef void grid_free(Grid* grid) noexcept nogil:
    free(grid.cells)
    free(grid.words)
    pairs_free(&grid.numbers)
    memset(grid, 0, sizeof(Grid))


cdef void grid_clear(Grid* grid) noexcept nogil:
    """Forget every pair."""
    give_up(grid)
    grid.is_full = False


cdef size_t grid_bytes(const Grid* grid) noexcept nogil:
    return (grid.rows << grid.bits) * 2 + grid.capacity * 8 + pairs_bytes(&grid.numbers)


cdef void give_up(Grid* grid) noexcept nogil:
    free(grid.cells)
    grid.cells = NULL
    grid.rows = 0
    grid.bits = 0
    grid.count = 1
    pairs_clear(&grid.numbers)
    grid.is_full = True


cdef int make_room(Grid* grid, size_t row, size_t column) noexcept nogil:
    """Let there be a cell at a place; -1 where there may be none."""
    cdef size_t rows = grid.rows if grid.rows else FIRST_ROWS, at
    cdef int bits = grid.bits if grid.rows else FIRST_BITS
    cdef uint16_t* cells
    while rows <= row:
        rows *= 2
    while column >> bits:
        bits += 1
    if rows << bits > grid.limit:
        return -1
    if rows == grid.rows and bits == grid.bits:
        return 0
    cells = <uint16_t*>calloc(rows << bits, sizeof(uint16_t))
    if cells == NULL:
        return -1
    large_pages(cells, (rows << bits) * sizeof(uint16_t))
    for at in range(grid.rows):
        memcpy(cells + (at << bits), grid.cells + (at << grid.bits),
               sizeof(uint16_t) << grid.bits)
    free(grid.cells)
    grid.cells = cells
    grid.rows = rows
    grid.bits = bits
    return 0


cdef uint32_t number_of(Grid* grid, uint64_t word) noexcept nogil:
    """Number of a word, the next one for a new word; 0 where it may have none."""
    cdef uint32_t high = <uint32_t>(word >> 32), low = <uint32_t>word
    cdef uint32_t number = pairs_get(&grid.numbers, high, low)
    cdef size_t capacity
    cdef void* moved
    if number != NO_ID:
        return number
    if grid.count > MOST_WORDS:
        return 0
    if grid.count >= grid.capacity:
        capacity = grid.capacity * 2 if grid.capacity else 64
        moved = realloc(grid.words, capacity * sizeof(uint64_t))
        if moved == NULL:
            return 0
        grid.words = <uint64_t*>moved
        grid.words[0] = 0
        grid.capacity = capacity
    number = <uint32_t>grid.count
    if pairs_put(&grid.numbers, high, low, number):
        return 0
    grid.words[number] = word
    grid.count += 1
    return number


cdef void grid_reserve(Grid* grid, size_t rows, size_t columns) noexcept nogil:
    """Let there be cells for all pairs of so many. Where there is no room the grid gives up."""
    if not grid.is_full and make_room(grid, rows, columns):
        give_up(grid)


cdef void grid_put(Grid* grid, uint32_t row, uint32_t column, uint64_t word) noexcept nogil:
    """Keep the word of a pair. Where there is no room the grid gives up, and keeps nothing."""
    cdef uint32_t number
    grid_reserve(grid, <size_t>row + 1, <size_t>column + 1)
    if grid.is_full:
        return
    number = number_of(grid, word)
    if number == 0:
        give_up(grid)
        return
    grid.cells[(<size_t>row + 1 << grid.bits) + column + 1] = <uint16_t>number


cdef void grid_at(const Grid* grid, const uint32_t* places, size_t n,
                  uint16_t* numbers) noexcept nogil:
    """Numbers of the words in n cells, 0 where one is empty."""
    cdef const uint16_t* cells = grid.cells
    cdef size_t k
    if cells == NULL:
        memset(numbers, 0, n * sizeof(uint16_t))
        return
    for k in range(n):
        numbers[k] = cells[places[k]]


cdef void grid_places(const Grid* grid, const uint32_t* rows, const uint32_t* columns, size_t n,
                      uint32_t* places) noexcept nogil:
    """Cells of n pairs, which are asked for early; the first, which is always empty, for pairs that
    have none or a number that is NO_ID.

    No branch hangs on data, so that the processor waits for many pairs at a time.
    """
    cdef size_t k
    cdef uint32_t row, column
    cdef int bits = grid.bits
    for k in range(n):
        row = rows[k] + 1
        column = columns[k] + 1
        places[k] = (row << bits | column) * <uint32_t>((column >> bits == 0) & (row < grid.rows))
        prefetch(grid.cells + places[k])
