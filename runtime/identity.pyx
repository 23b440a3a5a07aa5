"""The batch loop under identity policies: columns of requests in, one decision byte per row out.

Per block of rows, in the order in which questions become expensive: the action gives a cell, three
quarters of which are constants on real traffic; rows that are left pay for their resource, once per
distinct text. They are then put together by statement list, and each statement of a list is tried
on all of its rows at once, a condition only on the rows that the ones before it have left. So every
inner loop runs down one column, and none of them branches on data (measured against a loop that
took row after row: docs/performance.md).
"""

import cython

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from .column cimport (
    COLUMN_CODES,
    COLUMN_CONSTANT,
    RESOURCES_UNCHECKED,
    RESOURCES_VALID,
    BoundColumn,
    ColumnData,
    bit_is_set,
    column_states,
    column_value,
    is_code,
)
from .classify cimport CELL_VERIFY
from .engine cimport (
    ALLOW,
    ENTRY_UNKNOWN,
    ERROR_RESOURCE,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    NO,
    SET_ANY,
    SET_UNREADABLE,
    UNDETERMINED,
    UNKNOWN,
    UNSEEN,
    YES,
    Engine,
    find_item,
    kleene,
)
from .globs cimport GlobSet
from .intern cimport (
    FIRST_ID,
    NO_ID,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_free,
    intern_init,
)
from .pairs cimport (
    PairSlot,
    pair_of,
    pair_slot,
    pairs_bytes,
    pairs_clear,
    pairs_find,
    pairs_free,
    pairs_init,
    pairs_place,
)
from .prefetch cimport prefetch
from .shortlists cimport LONG, index_list, shorten_list
from .words cimport words_fill, words_reserve


@cython.final
cdef class IdentityEngine(Engine):
    """Decides rows over a table that holds identity policies only.

    Of `planner` it also asks `cell(action, 0)`: all of the table is one class of principals.
    """

    def __init__(self, planner, GlobSet globs, facts):
        """facts: the derived arrays of plan_facts.EngineFacts."""
        cdef uint64_t seed
        Engine.__init__(self, planner, globs, facts)
        seed = int.from_bytes(planner.seed(), "little")
        self.lists = {}
        self.block = <Block*>malloc(sizeof(Block))
        if (self.block == NULL or pairs_init(&self.shortlists, seed + 4_001)
                or intern_init(&self.short_words, seed + 4_003)):
            raise MemoryError

    def __dealloc__(self):
        free(self.cells)
        free(self.list_start.data)
        free(self.list_rows.data)
        free(self.block)
        free(self.list_index.data)
        free(self.indexes.data)
        pairs_free(&self.shortlists)
        intern_free(&self.short_words)
        free(self.short_number.data)
        free(self.chosen.data)
        free(self.shortened.data)

    # --- cells

    cdef int _fill_cell(self, uint32_t action) noexcept with gil:
        cdef Cell* cell = self.cells + action
        cdef uint32_t count, i, number
        try:
            text = None
            if action >= FIRST_ID:
                text = self._text(&self.action_table, action)
            constant, statement, words = self.planner.cell(text, 0)
            if words is None:
                number = CELL_CONSTANT | <uint32_t>constant
            elif words in self.lists:
                number = self.lists[words]
            else:
                count = <uint32_t>len(words)
                self.shortened.count = 0
                if words_reserve(&self.shortened, count):
                    raise MemoryError
                for i in range(count):
                    self.shortened.data[i] = words[i]
                number = self._add_list(self.shortened.data, count, False)
                if number == NO_ID:
                    raise MemoryError
                self.lists[words] = number
            cell.statement = statement
            cell.list = number
        except BaseException as error:
            self.error = error
            self.failed = True
        return 0

    cdef uint32_t _add_list(self, const uint32_t* words, size_t count, bint is_short) noexcept nogil:
        """Number of a new list; NO_ID when memory is short."""
        cdef size_t number = self.list_start.count, i
        if (words_reserve(&self.pool, count) or words_reserve(&self.list_start, 1)
                or words_reserve(&self.list_rows, 1) or words_reserve(&self.list_index, 1)
                or number >= CELL_CONSTANT or self.pool.count + count >= NO_ID):
            return NO_ID
        for i in range(count):
            self.pool.data[self.pool.count + i] = words[i]
        self.list_start.data[number] = <uint32_t>self.pool.count
        self.list_rows.data[number] = 0
        self.list_index.data[number] = SHORT
        if not is_short and words[0] + words[1] > LONG and count < 1 << 30:
            self.list_index.data[number] = <uint32_t>self.indexes.count
            if self.indexes.count + 2 * count >= SHORT or index_list(&self.indexes, words):
                return NO_ID
        self.list_start.count = self.list_rows.count = self.list_index.count = number + 1
        self.pool.count += count
        return <uint32_t>number

    cdef int _grow_cells(self, size_t action) noexcept nogil:
        cdef size_t rows = self.cell_rows * 2
        cdef void* moved
        if rows <= action:
            rows = action + 64
        moved = realloc(self.cells, rows * sizeof(Cell))
        if moved == NULL:
            return -1
        self.cells = <Cell*>moved
        memset(self.cells + self.cell_rows, 0xFF,
               (rows - self.cell_rows) * sizeof(Cell))
        self.cell_rows = rows
        return 0

    # --- the steps of a block

    cdef uint32_t _cell_of(self, Batch* batch, size_t i, Cell* cell) noexcept nogil:
        """The cell of row i, asked for when it is new; its `list`, NO_ID on failure."""
        cdef uint32_t action = column_value(batch.actions, &self.action_table, i)
        if action == NO_ID or (action >= self.cell_rows and self._grow_cells(action)):
            self.failed = True
            return NO_ID
        if self.cells[action].list == NO_ID:
            self._fill_cell(action)
        cell[0] = self.cells[action]
        return NO_ID if self.failed else cell.list

    cdef size_t _find(self, Batch* batch, size_t stop) noexcept nogil:
        """Write what cells decide; the number of rows found that none does."""
        cdef Block* block = self.block
        cdef size_t i, n = 0, start = batch.start
        cdef Cell cell
        if batch.cells != NULL:
            return self._find_codes(batch, stop)
        for i in range(start, stop):
            if self._cell_of(batch, i, &cell) == NO_ID:
                return 0
            block.found[n] = <uint32_t>(i - start)
            block.list[n] = cell.list
            n += cell.list < CELL_CONSTANT
            batch.decision[i] = cell.list & 3
            batch.statement[i] = cell.statement
            if cell.list >= CELL_CONSTANT and (batch.check_resources or cell.list & 0xFF00):
                self._check(batch, i, cell.list >> 8 & 0xFF)
                if self.failed:
                    return 0
        return n

    cdef size_t _find_codes(self, Batch* batch, size_t stop) noexcept nogil:
        """`_find` by the codes of a dictionary, where RES-12 holds for every row."""
        # Locals: a byte written to `decision` could alias every field, so none would stay in a register.
        cdef const int32_t* codes = batch.actions.codes
        cdef Cell* cells = batch.cells
        cdef uint32_t* found = self.block.found
        cdef uint32_t* lists = self.block.list
        cdef uint8_t* decision = batch.decision
        cdef int32_t* statement = batch.statement
        cdef size_t i, n = 0, start = batch.start, code_count = batch.actions.dictionary_count
        cdef uint32_t code
        cdef Cell cell
        for i in range(start, stop):
            code = <uint32_t>codes[i]
            if code < code_count:
                cell = cells[code]
            if code >= code_count or cell.list > CELL_PLAIN:
                if self._cell_of(batch, i, &cell) == NO_ID:
                    return 0
                if code < code_count:
                    cells[code] = cell
                if cell.list > CELL_PLAIN:
                    self._check(batch, i, cell.list >> 8 & 0xFF)
            found[n] = <uint32_t>(i - start)
            lists[n] = cell.list
            n += cell.list < CELL_CONSTANT
            decision[i] = cell.list & 3
            statement[i] = cell.statement
        return n

    cdef Cell* _cells_by_code(self, Batch* batch) noexcept nogil:
        """Where `_find_codes` remembers cells, kept with the column; NULL where it cannot be used."""
        cdef ColumnData* actions = batch.actions
        if (batch.check_resources or actions.kind != COLUMN_CODES or actions.instead != NULL
                or actions.validity != NULL):
            return NULL
        if actions.by_code == NULL:
            actions.by_code = <uint64_t*>malloc(actions.dictionary_count * sizeof(Cell) + 1)
            if actions.by_code == NULL:
                return NULL
            memset(actions.by_code, 0xFF, actions.dictionary_count * sizeof(Cell))
        return <Cell*>actions.by_code

    cdef void _check(self, Batch* batch, size_t i, uint8_t error) noexcept nogil:
        """RES-12 for a row that its action decides, unless the action is an error itself."""
        cdef int valid
        if error:
            batch.error[i] = error
            batch.errors += 1
            return
        valid = self.resources.is_valid(batch.resources, i)
        if valid < 0:
            self.failed = True
        elif not valid:
            self._refuse(batch, i)

    cdef void _refuse(self, Batch* batch, size_t i) noexcept nogil:
        """A row whose resource is none."""
        batch.decision[i] = UNDETERMINED
        batch.statement[i] = -1
        batch.error[i] = ERROR_RESOURCE
        batch.errors += 1

    cdef size_t _classify(self, Batch* batch, size_t n) noexcept nogil:
        """Rows of the resources of the n rows found; the number of rows that are left."""
        cdef Block* block = self.block
        cdef ColumnData* resources = batch.resources
        cdef const int32_t* codes = resources.codes
        cdef const uint32_t* remap = resources.remap
        cdef size_t j, i, left = 0, start = batch.start, code_count = 0
        cdef uint32_t classed, code, invalid = self.resources.invalid_row
        if (resources.kind == COLUMN_CODES and resources.instead == NULL
                and resources.validity == NULL):
            code_count = resources.dictionary_count
            for j in range(n):
                code = <uint32_t>codes[start + block.found[j]]
                if code < code_count:
                    prefetch(remap + code)
        for j in range(n):
            i = start + block.found[j]
            code = <uint32_t>codes[i] if code_count else 0
            classed = remap[code] if code < code_count else NO_ID
            if classed == NO_ID:
                classed = self.resources.row(resources, i)
                if classed == NO_ID:
                    self.failed = True
                    return 0
            if classed == invalid:
                self._refuse(batch, i)
                continue
            block.found[left] = block.found[j]
            block.list[left] = block.list[j]
            block.classed[left] = classed
            left += 1
        return left

    cdef size_t _shorten(self, Batch* batch, size_t n) noexcept nogil:
        """Give rows with a long list what their resource leaves of it; the number of rows left.

        Those that this decides are written.
        """
        cdef Block* block = self.block
        cdef const uint32_t* index = self.list_index.data
        cdef PairSlot* slot
        cdef size_t j, left = 0
        cdef uint32_t list
        if self.indexes.count == 0:
            return n
        for j in range(n):
            if index[block.list[j]] != SHORT:
                prefetch(pair_slot(&self.shortlists, pair_of(block.list[j], block.classed[j])))
        for j in range(n):
            list = block.list[j]
            if self.list_index.data[list] != SHORT:
                slot = pairs_find(&self.shortlists, pair_of(list, block.classed[j]))
                if slot.value == NO_ID:
                    slot = self._shortlist(list, block.classed[j])
                    if slot == NULL:
                        self.failed = True
                        return 0
                list = slot.value
                if list >= CELL_CONSTANT:
                    batch.decision[batch.start + block.found[j]] = list & 3
                    batch.statement[batch.start + block.found[j]] = <int32_t>slot.extra
                    continue
            block.found[left] = block.found[j]
            block.list[left] = list
            block.classed[left] = block.classed[j]
            left += 1
        return left

    cdef PairSlot* _shortlist(self, uint32_t list, uint32_t row) noexcept nogil:
        """What a resource's row leaves of a long list, from now on in `shortlists`; NULL on failure.

        The list itself where that is not much shorter; a constant with its statement where the first
        entry matches all requests, or no entry is left.
        """
        cdef uint32_t* words
        cdef uint32_t value = list, id, by = NO_ID
        cdef PairSlot* slot
        cdef int status = shorten_list(
            self.pool.data + self.list_start.data[list], self.indexes.data + self.list_index.data[list],
            self.resources.items.data + row, &self.chosen, &self.shortened)
        if status < 0:
            return NULL
        words = self.shortened.data
        if status and words[0] + words[1] == 0:
            value = CELL_CONSTANT | IMPLICIT_DENY
        elif status and words[3] == SET_ANY and words[4] == 0:
            value = CELL_CONSTANT | (EXPLICIT_DENY if words[0] else ALLOW)
            by = words[2]
        elif status:
            id = intern_add(&self.short_words, <const uint8_t*>words,
                            self.shortened.count * sizeof(uint32_t))
            if id == NO_ID or words_fill(&self.short_number, id, NO_ID):
                return NULL
            if self.short_number.data[id] == NO_ID:
                self.short_number.data[id] = self._add_list(words, self.shortened.count, True)
            value = self.short_number.data[id]
        if value == NO_ID:
            return NULL
        slot = pairs_place(&self.shortlists, list, row, value)
        if slot != NULL:
            slot.extra = by
        return slot

    cdef size_t _order(self, size_t n) noexcept nogil:
        """Put the rows found together by list; the number of lists.

        `list_rows` holds then, of each list in `groups`, where its rows end.
        """
        cdef Block* block = self.block
        cdef uint32_t* rows = self.list_rows.data
        cdef size_t j, groups = 0
        cdef uint32_t list, count, at = 0
        for j in range(n):
            list = block.list[j]
            block.groups[groups] = list
            groups += rows[list] == 0
            rows[list] += 1
        for j in range(groups):
            list = block.groups[j]
            count = rows[list]
            rows[list] = at
            at += count
        for j in range(n):
            list = block.list[j]
            at = rows[list]
            rows[list] = at + 1
            block.row[at] = block.found[j]
            block.resource[at] = block.classed[j]
        return groups

    # --- a list of statements, on the rows it is for

    cdef void _decide_group(self, Batch* batch, const uint32_t* words, size_t first,
                            size_t n) noexcept nogil:
        """Decide n rows from place `first` by a list: deny count, allow count, entries, denies first."""
        cdef Block* block = self.block
        cdef size_t k, e, left = n, kept, row, entries = words[0] + words[1]
        cdef const uint32_t* entry = words + 2
        cdef uint8_t* decision = batch.decision + batch.start
        cdef int32_t* statement = batch.statement + batch.start
        cdef uint32_t at
        for k in range(n):
            at = <uint32_t>(first + k)
            block.active[k] = at
            block.deny_may[at] = block.allow_may[at] = -1
            decision[block.row[at]] = OPEN
        for e in range(entries):
            kept = self._matching(batch, entry, left)
            if self.failed:
                return
            if e < words[0]:
                self._deny(batch, kept, <int32_t>entry[0])
            else:
                self._allow(batch, kept, <int32_t>entry[0])
            if kept and e + 1 < entries:
                kept = left
                left = 0
                for k in range(kept):
                    at = block.active[k]
                    block.active[left] = at
                    left += decision[block.row[at]] == OPEN
                if left == 0:
                    return
            entry += 3 + (entry[2] & 0xFFFF)
        for k in range(left):
            at = block.active[k]
            row = block.row[at]
            if decision[row] == OPEN:
                decision[row] = IMPLICIT_DENY if block.allow_may[at] < 0 else UNDETERMINED
                statement[row] = block.allow_may[at]

    cdef void _deny(self, Batch* batch, size_t n, int32_t by) noexcept nogil:
        """What a Deny does to the rows kept."""
        cdef Block* block = self.block
        cdef uint8_t* decision = batch.decision + batch.start
        cdef int32_t* statement = batch.statement + batch.start
        cdef size_t k
        cdef uint32_t at
        for k in range(n):
            at = block.kept[k]
            if block.state[k] == YES:
                decision[block.row[at]] = EXPLICIT_DENY
                statement[block.row[at]] = by
            elif block.deny_may[at] < 0:
                block.deny_may[at] = by

    cdef void _allow(self, Batch* batch, size_t n, int32_t by) noexcept nogil:
        """What an Allow does to the rows kept: a Deny that may match leaves open what would be sure."""
        cdef Block* block = self.block
        cdef uint8_t* decision = batch.decision + batch.start
        cdef int32_t* statement = batch.statement + batch.start
        cdef size_t k
        cdef uint32_t at
        for k in range(n):
            at = block.kept[k]
            if block.state[k] == YES:
                decision[block.row[at]] = ALLOW if block.deny_may[at] < 0 else UNDETERMINED
                statement[block.row[at]] = by if block.deny_may[at] < 0 else block.deny_may[at]
            elif block.allow_may[at] < 0:
                block.allow_may[at] = by

    cdef size_t _matching(self, Batch* batch, const uint32_t* entry, size_t n) noexcept nogil:
        """Keep those of the n active rows that a statement's resources and conditions match, or may."""
        cdef Block* block = self.block
        cdef const uint32_t* items = self.resources.items.data
        cdef uint32_t set_id = entry[1], at, item
        cdef uint8_t base = UNKNOWN if entry[2] & ENTRY_UNKNOWN else YES, state
        cdef size_t k, t, kept = 0
        if set_id == SET_ANY or set_id == SET_UNREADABLE:
            if set_id == SET_UNREADABLE:
                base = UNKNOWN
            for k in range(n):
                block.kept[k] = block.active[k]
                block.state[k] = base
            kept = n
        else:
            for k in range(n):
                at = block.active[k]
                item = find_item(items + block.resource[at], set_id)
                state = kleene(<uint8_t>item)
                if item == CELL_VERIFY:
                    state = self._item(item, set_id, batch.resources, batch.keys,
                                       batch.start + block.row[at])
                    if self.failed:
                        return 0
                block.kept[kept] = at
                block.state[kept] = state & base
                kept += state != NO
        for t in range(entry[2] & 0xFFFF):
            if kept == 0:
                break
            kept = self._keep(batch, entry[3 + t], kept)
        return kept

    cdef size_t _keep(self, Batch* batch, uint32_t test, size_t n) noexcept nogil:
        """Keep those of the n rows kept so far on which a condition holds, or may."""
        cdef Block* block = self.block
        cdef uint32_t key = self.test_key[test], at
        cdef ColumnData* column = batch.keys[key]
        cdef size_t k, row, kept = 0
        cdef uint8_t state
        if self.test_dependent[test] == NO_ID and column.instead == NULL:
            if column.kind == COLUMN_CODES:
                return self._keep_codes(batch, test, column, n)
            if column.kind == COLUMN_CONSTANT:
                state = self._unary(test, key, column.constant)
                for k in range(n):
                    block.state[k] &= state
                return n if state != NO else 0
        for k in range(n):
            at = block.kept[k]
            state = block.state[k] & self._test(test, batch.keys, batch.start + block.row[at])
            if self.failed:
                return 0
            block.kept[kept] = at
            block.state[kept] = state
            kept += state != NO
        return kept

    cdef size_t _keep_codes(self, Batch* batch, uint32_t test, ColumnData* column,
                            size_t n) noexcept nogil:
        """`_keep` by the codes of a dictionary: one byte of state for each code, asked once."""
        cdef Block* block = self.block
        cdef size_t k, i, kept = 0, start = batch.start
        cdef uint32_t at
        cdef int32_t code, is_there = 1
        cdef uint8_t state
        cdef const int32_t* codes = column.codes
        cdef const uint8_t* validity = column.validity
        cdef size_t offset = column.validity_offset
        cdef uint8_t* states = column_states(column, self.test_slot[test],
                                             self.truth[self.test_key[test]].slots, UNSEEN)
        if states == NULL:
            self.failed = True
            return 0
        for k in range(n):
            prefetch(codes + start + block.row[block.kept[k + AHEAD if k + AHEAD < n else k]])
            at = block.kept[k]
            i = start + block.row[at]
            code = codes[i]
            if validity != NULL:
                is_there = bit_is_set(validity, offset + i)
            if not (is_code(column, code) | (is_there == 0)):
                self.failed = True
                return 0
            # Whether a row is null is nothing a branch predictor could know: its code becomes -1.
            code |= is_there - 1
            state = states[code]
            if state == UNSEEN:
                state = states[code] = self._test(test, batch.keys, i)
                if self.failed:
                    return 0
            state &= block.state[k]
            block.kept[kept] = at
            block.state[kept] = state
            kept += state != NO
        return kept

    # --- doorway

    cdef void _decide_block(self, Batch* batch, size_t stop) noexcept nogil:
        """Rows batch.start..stop, at most BLOCK."""
        cdef size_t n = self._find(batch, stop), groups, j
        cdef uint32_t list, begin = 0, end
        if self.failed or n == 0:
            return
        n = self._classify(batch, n)
        if not self.failed:
            n = self._shorten(batch, n)
        if self.failed:
            return
        groups = self._order(n)
        for j in range(groups):
            list = self.block.groups[j]
            end = self.list_rows.data[list]
            self.list_rows.data[list] = 0
            if not self.failed:
                self._decide_group(batch, self.pool.data + self.list_start.data[list], begin,
                                   end - begin)
            begin = end

    def decide(self, BoundColumn actions, BoundColumn resources, list keys,
               uint8_t[::1] decision, int32_t[::1] statement, uint8_t[::1] error,
               size_t start, size_t stop):
        """Decide rows start..stop of bound columns into the outputs; returns rows with an error.

        Every column has at least `stop` rows, keys come in key order; `error` comes zeroed.
        """
        cdef size_t n = len(keys), k
        cdef Batch batch
        if n != self.key_count:
            raise ValueError("one column per key")
        if (stop > <size_t>decision.shape[0] or stop > <size_t>statement.shape[0]
                or stop > <size_t>error.shape[0]):
            raise ValueError("outputs are too short")
        for column in (actions, resources, *keys):
            if (<BoundColumn>column).length < stop:
                raise ValueError("a column is too short")
        if stop <= start:
            return 0
        batch.keys = <ColumnData**>malloc((n + 1) * sizeof(void*))
        if batch.keys == NULL:
            raise MemoryError
        for k in range(n):
            batch.keys[k] = &(<BoundColumn>keys[k]).c
        batch.actions = &actions.c
        batch.resources = &resources.c
        batch.decision = &decision[0]
        batch.statement = &statement[0]
        batch.error = &error[0]
        batch.errors = 0
        self.failed = False
        self.error = None
        try:
            with nogil:
                if resources.c.resource_check == RESOURCES_UNCHECKED:
                    resources.c.resource_check = self.resources.check_column(&resources.c)
                batch.check_resources = resources.c.resource_check != RESOURCES_VALID
                batch.cells = self._cells_by_code(&batch)
                while start < stop and not self.failed:
                    batch.start = start
                    start = start + BLOCK if stop - start > BLOCK else stop
                    self._decide_block(&batch, start)
        finally:
            free(batch.keys)
        if self.failed:
            self._raise()
        return batch.errors

    cdef size_t _used(self) noexcept nogil:
        return (Engine._used(self) + self.cell_rows * sizeof(Cell)
                + pairs_bytes(&self.shortlists) + intern_bytes(&self.short_words)
                + 4 * (self.list_start.capacity + self.list_rows.capacity + self.list_index.capacity
                       + self.indexes.capacity + self.short_number.capacity))

    def clear(self):
        Engine.clear(self)
        if self.cells != NULL:
            memset(self.cells, 0xFF, self.cell_rows * sizeof(Cell))
        self.list_start.count = self.list_rows.count = self.list_index.count = 0
        self.indexes.count = self.short_number.count = 0
        pairs_clear(&self.shortlists)
        intern_clear(&self.short_words)
        self.lists.clear()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return Engine.counts(self) | {"lists": len(self.lists)}
