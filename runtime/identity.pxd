from libc.stdint cimport int32_t, uint8_t, uint32_t

from .column cimport ColumnData
from .engine cimport Engine
from .intern cimport InternTable
from .pairs cimport PairSlot, PairTable
from .words cimport Words

cdef extern from *:
    """
    #define IAMT_CONSTANT 0x80000000u
    #define IAMT_PLAIN 0x80000003u
    #define IAMT_SHORT 0xFFFFFFFFu
    """
    const uint32_t CELL_CONSTANT "IAMT_CONSTANT"       # constant | error << 8 | decision
    const uint32_t SHORT "IAMT_SHORT"                  # a list that is tried as it is
    const uint32_t CELL_PLAIN "IAMT_PLAIN"             # the last constant without an error

cdef enum:
    BLOCK = 2048
    AHEAD = 24              # rows between the prefetch of a code and its use
    OPEN = 255              # decision of a row that its list has not settled yet

cdef struct Cell:
    uint32_t list           # CELL_CONSTANT | ..., the number of a list, or NO_ID: not asked yet
    int32_t statement       # that decides, where the cell is constant

cdef struct Block:
    # Rows that no cell decides, as offsets from the first row of the block. `row` and `resource` are
    # in order of their lists after `_order`; `active` and `kept` are positions in them.
    uint32_t[2048] found
    uint32_t[2048] list
    uint32_t[2048] classed
    uint32_t[2048] groups   # lists that occur, in order of first use
    uint32_t[2048] row
    uint32_t[2048] resource
    int32_t[2048] deny_may  # first statement that may match, or -1
    int32_t[2048] allow_may
    uint32_t[2048] active   # rows of a group that are not settled
    uint32_t[2048] kept     # those among them on which the statement at hand matches, or may
    uint8_t[2048] state     # how surely, by place in `kept`

cdef struct Batch:
    # Bound columns and outputs of one call.
    ColumnData* actions
    ColumnData* resources
    ColumnData** keys
    uint8_t* decision
    int32_t* statement
    uint8_t* error
    size_t start            # first row of the block
    size_t errors
    bint check_resources    # whether RES-12 has to be asked of rows that their action decides
    Cell* cells             # by the codes of `actions`, or NULL

cdef class IdentityEngine(Engine):
    cdef Cell* cells                # by action id
    cdef size_t cell_rows
    cdef dict lists                 # words of a list -> its number (hash-consing)
    cdef Words list_start           # number of a list -> its words in `pool`
    cdef Words list_rows            # rows of a list in the block at hand; zero between blocks
    # Long lists (shortlists.pyx).
    cdef Words list_index           # number of a list -> its place in `indexes`, or SHORT
    cdef Words indexes
    cdef PairTable shortlists       # long list, row of a resource -> a list, or constant and statement
    cdef InternTable short_words    # words of shortlists
    cdef Words short_number         # id in `short_words` -> number of the list
    cdef Words chosen, shortened    # scratch
    cdef Block* block

    cdef int _fill_cell(self, uint32_t action) noexcept with gil
    cdef uint32_t _add_list(self, const uint32_t* words, size_t count, bint is_short) noexcept nogil
    cdef size_t _shorten(self, Batch* batch, size_t n) noexcept nogil
    cdef PairSlot* _shortlist(self, uint32_t list, uint32_t row) noexcept nogil
    cdef int _grow_cells(self, size_t action) noexcept nogil
    cdef uint32_t _cell_of(self, Batch* batch, size_t i, Cell* cell) noexcept nogil
    cdef size_t _find(self, Batch* batch, size_t stop) noexcept nogil
    cdef size_t _find_codes(self, Batch* batch, size_t stop) noexcept nogil
    cdef Cell* _cells_by_code(self, Batch* batch) noexcept nogil
    cdef void _check(self, Batch* batch, size_t i, uint8_t error) noexcept nogil
    cdef void _refuse(self, Batch* batch, size_t i) noexcept nogil
    cdef size_t _classify(self, Batch* batch, size_t n) noexcept nogil
    cdef size_t _order(self, size_t n) noexcept nogil
    cdef void _decide_group(self, Batch* batch, const uint32_t* words, size_t first,
                            size_t n) noexcept nogil
    cdef void _deny(self, Batch* batch, size_t n, int32_t by) noexcept nogil
    cdef void _allow(self, Batch* batch, size_t n, int32_t by) noexcept nogil
    cdef size_t _matching(self, Batch* batch, const uint32_t* entry, size_t n) noexcept nogil
    cdef size_t _keep(self, Batch* batch, uint32_t test, size_t n) noexcept nogil
    cdef size_t _keep_codes(self, Batch* batch, uint32_t test, ColumnData* column,
                            size_t n) noexcept nogil
    cdef void _decide_block(self, Batch* batch, size_t stop) noexcept nogil
