"""Dictionary codes to answers by their place, in one loop and without a branch.

What is asked of a row before its conditions is told by three codes: the action's, the principal's and
the resource's. Each dictionary column keeps what its values come to on the way to a cell of the grid of
answers (runtime/grids.pyx): an action where its questions are, a resource its kind of side, a
principal its row of cells. 0 is what is not known yet, and leads to a cell that is always empty; so a
row whose answer is not there has the number 0, and its block is looked up step by step.

What the processor waits for is the cell; so cells are asked for in one loop and read in another, and it
waits for many rows at a time (docs/performance.md).
"""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t

from .column cimport COLUMN_CODES, ColumnData, block_codes, column_places
from .globs cimport GlobSet
from .grids cimport grid_reserve
from .intern cimport NO_ID
from .prefetch cimport prefetch
from .records cimport NEAR_ACTIONS, NEAR_BITS, NEAR_CROSSINGS, near_place
from .words cimport words_fill

cdef enum:
    MOST_PLACES = 0xFFFF        # a place takes two bytes


cdef class PlacedEngine(NarrowedEngine):
    """Knows where the answers of dictionary values are."""

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        NarrowedEngine.__init__(self, planner, globs, facts, layers)
        self.most_placed = MOST_PLACES

    cdef bint _start_places(self, ColumnData* actions, ColumnData* principals,
                            ColumnData* resources) noexcept nogil:
        """May rows of a call be found by their codes? All else that tells requesters, sides or
        questions apart has to be the same in every row."""
        return (
            self.is_rest_constant and self.is_owner_constant and not self.has_endpoints
            and has_codes(actions) and has_codes(principals) and has_codes(resources)
            and column_places(actions) != NULL and column_places(principals) != NULL
            and column_places(resources) != NULL)

    cdef bint _find_cells(self, const ColumnData* actions, const ColumnData* principals,
                          const ColumnData* resources, size_t start, size_t n,
                          uint32_t* found) noexcept nogil:
        """Places of the cells where the answers of rows start..start + n would be, which are asked
        for early; False where there are none as yet."""
        cdef const uint16_t* of_action = actions.places
        cdef const uint16_t* of_principal = principals.places
        cdef const uint16_t* of_resource = resources.places
        cdef const uint16_t* cells = self.answers.cells
        cdef const uint32_t* near = self.near.data
        cdef const int32_t* action = block_codes(actions, start, n, self.action_scratch)
        cdef const int32_t* principal = block_codes(principals, start, n, self.principal_scratch)
        cdef const int32_t* resource = block_codes(resources, start, n, self.resource_scratch)
        cdef int bits = self.answers.bits
        cdef size_t k
        # Places hold as long as a column does, cells and questions until they are forgotten.
        if (action == NULL or principal == NULL or resource == NULL or near == NULL
                or self.most_requesters >= self.answers.rows or self.questions.count >> bits):
            return False
        for k in range(n):
            found[k] = ((<uint32_t>of_principal[principal[k]] << bits)
                        + near[(<size_t>of_action[action[k]] << NEAR_BITS) + of_resource[resource[k]]])
            prefetch(cells + found[k])
        self.principal_codes = principal
        self.resource_codes = resource
        return True

    cdef int _keep_places(self, const ColumnData* actions, const ColumnData* principals,
                          const ColumnData* resources, size_t start, size_t n) noexcept nogil:
        """Note what was found of rows start..start + n, which are the block at hand."""
        cdef const int32_t* action = block_codes(actions, start, n, self.action_scratch)
        cdef const int32_t* principal = block_codes(principals, start, n, self.principal_scratch)
        cdef const int32_t* resource = block_codes(resources, start, n, self.resource_scratch)
        cdef size_t k
        cdef uint32_t number
        if action == NULL or principal == NULL or resource == NULL:
            return 0
        for k in range(n):
            number = self.asked.action[k]
            if number < NEAR_ACTIONS:
                if words_fill(&self.near, near_place(number, NEAR_CROSSINGS - 1), 0):
                    return -1
                actions.places[action[k]] = <uint16_t>number
            number = self.side_kind.data[self.asked.side[k]]
            if number < NEAR_CROSSINGS:
                resources.places[resource[k]] = <uint16_t>(number + 1)
            number = self.asked.requester[k]
            if number < self.most_placed:
                principals.places[principal[k]] = <uint16_t>(number + 1)
                if number >= self.most_requesters:
                    self.most_requesters = number + 1
        grid_reserve(&self.answers, self.most_requesters, self.questions.count)
        return 0

    cdef int _look_up_open(self, const ColumnData* principals, ColumnData* resources,
                           ColumnData* owners, size_t start, size_t k) noexcept nogil:
        """What row k of a block whose answers are known names, as `_look_up` does for all."""
        cdef int32_t code = self.resource_codes[k]
        cdef uint64_t known = ~<uint64_t>0
        if code >= 0 and resources.by_code != NULL:
            known = resources.by_code[code]
        self.asked.requester[k] = principals.places[self.principal_codes[k]] - <uint32_t>1
        self.asked.resource[k] = <uint32_t>known
        self.asked.side[k] = <uint32_t>(known >> 32)
        if self.asked.resource[k] == NO_ID or self.asked.side[k] == NO_ID:
            self.asked.resource[k] = self.resources.resource_id(resources, start + k)
            if self.asked.resource[k] == NO_ID:
                self.failed = True
                return -1
            self.asked.side[k] = self._side(self.asked.resource[k], owners, start + k)
        return -1 if self.asked.side[k] == NO_ID else 0

    # --- doorway

    @property
    def place_limit(self):
        """Most requesters that are found by the codes of their names, at most 65,535."""
        return self.most_placed

    @place_limit.setter
    def place_limit(self, size_t requesters):
        self.most_placed = requesters if requesters < MOST_PLACES else MOST_PLACES

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        NarrowedEngine.clear(self)
        self.most_requesters = self.placed_rows = 0

    def counts(self):
        """Numbers of distinct things seen so far; `placed`: rows found by their codes alone."""
        return {**NarrowedEngine.counts(self), "placed": self.placed_rows}


cdef inline bint has_codes(const ColumnData* column) noexcept nogil:
    """Does a code alone say what a row holds?"""
    return column.kind == COLUMN_CODES and column.instead == NULL
