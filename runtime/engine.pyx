"""The batch loop: columns of requests in, one decision byte per row out.

Per block of rows, in the order in which questions become expensive: the action gives a cell, three
quarters of which are constants on real traffic; rows that are left pay for their resource, once per
distinct text; rows still left pay for the condition keys their surviving entries ask for. All of it
runs without the GIL. What is computed once per distinct thing in Python (the cell of a new action,
a predicate on a new value) is fetched through the `_fill_*` doors, which take the GIL.

An engine belongs to one thread. Its caches grow with what it has seen and are dropped between chunks
when they pass a budget; the tables it reads are immutable and shared.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from .classify cimport CELL_UNKNOWN, CELL_VERIFY, ResourceClasses
from .column cimport (
    COLUMN_CODES,
    COLUMN_CONSTANT,
    COLUMN_TRUTH,
    RESOURCES_UNCHECKED,
    RESOURCES_VALID,
    BoundColumn,
    ColumnData,
    column_value,
)
from .globs cimport GlobSet
from .intern cimport (
    FIRST_ID,
    NO_ID,
    UNKNOWN_ID,
    InternTable,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_free,
    intern_init,
)
from .words cimport Words, words_reserve

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define IAMT_PREFETCH(address) __builtin_prefetch(address)
    #else
    #define IAMT_PREFETCH(address) ((void)(address))
    #endif
    #define IAMT_CONSTANT 0x80000000u
    """
    void prefetch "IAMT_PREFETCH" (const void* address) noexcept nogil
    const uint32_t CELL_CONSTANT "IAMT_CONSTANT"       # cell: constant | error << 8 | decision


cdef int truth_reserve(Truth* truth, size_t row) noexcept nogil:
    cdef size_t rows = truth.rows
    cdef void* moved
    if row < rows:
        return 0
    rows = (row + 1) * 2 if row > 32 else 64
    moved = realloc(truth.bytes, rows * truth.slots)
    if moved == NULL:
        return -1
    truth.bytes = <uint8_t*>moved
    memset(truth.bytes + truth.rows * truth.slots, UNSEEN, (rows - truth.rows) * truth.slots)
    truth.rows = rows
    return 0


cdef class Engine:
    """Caches and kernels over one table's arrays.

    `planner` answers the slow questions (runtime/plan.py): `cell(action, class)`,
    `predicate(test, value)`, `dependent(test, values)`.
    """

    def __cinit__(self):
        self.failed = False

    def __init__(self, planner, GlobSet globs, facts):
        """facts: the derived arrays of plan.EngineFacts."""
        cdef size_t k
        cdef uint64_t seed
        self.planner = planner
        self.keep = tuple(facts)
        self.class_count = facts.class_count
        self.key_count = facts.key_count
        self.dependent_count = len(facts.dependent_start) - 1
        self.set_dependent = <const uint32_t*><size_t>facts.set_dependent.ctypes.data
        self.test_key = <const uint32_t*><size_t>facts.test_key.ctypes.data
        self.test_slot = <const uint32_t*><size_t>facts.test_slot.ctypes.data
        self.test_dependent = <const uint32_t*><size_t>facts.test_dependent.ctypes.data
        self.dependent_start = <const uint32_t*><size_t>facts.dependent_start.ctypes.data
        self.dependent_key = <const uint32_t*><size_t>facts.dependent_key.ctypes.data
        seed = int.from_bytes(planner.seed(), "little")
        self.resources = ResourceClasses(planner, globs, facts, seed + 1)
        self.lists = {}
        self.key_tables = <InternTable*>calloc(self.key_count + 1, sizeof(InternTable))
        self.truth = <Truth*>calloc(self.key_count + 1, sizeof(Truth))
        self.memo_tables = <InternTable*>calloc(self.dependent_count + 1, sizeof(InternTable))
        self.memo_truth = <Truth*>calloc(self.dependent_count + 1, sizeof(Truth))
        if (self.key_tables == NULL or self.truth == NULL or self.memo_tables == NULL
                or self.memo_truth == NULL or intern_init(&self.action_table, seed)):
            raise MemoryError
        for k in range(self.key_count):
            self.truth[k].slots = facts.slot_counts[k]
            if intern_init(&self.key_tables[k], seed + 3 + k):
                raise MemoryError
        for k in range(self.dependent_count):
            self.memo_truth[k].slots = 1
            if intern_init(&self.memo_tables[k], seed + 7919 + k):
                raise MemoryError
        if (words_reserve(&self.memo_scratch, len(facts.dependent_key) + 1)
                or words_reserve(&self.pool, 16)):
            raise MemoryError

    def __dealloc__(self):
        cdef size_t k
        intern_free(&self.action_table)
        if self.key_tables != NULL and self.truth != NULL:
            for k in range(self.key_count):
                intern_free(&self.key_tables[k])
                free(self.truth[k].bytes)
        if self.memo_tables != NULL and self.memo_truth != NULL:
            for k in range(self.dependent_count):
                intern_free(&self.memo_tables[k])
                free(self.memo_truth[k].bytes)
        free(self.key_tables)
        free(self.truth)
        free(self.memo_tables)
        free(self.memo_truth)
        free(self.cells)
        free(self.cell_statement)
        free(self.pool.data)
        free(self.memo_scratch.data)

    # --- doors to Python: one call per distinct thing, errors are kept and raised after the loop

    cdef uint32_t _fill_cell(self, uint32_t action, size_t class_id) noexcept with gil:
        cdef size_t at = action * self.class_count + class_id, i
        cdef uint32_t cell = CELL_CONSTANT | UNDETERMINED
        cdef uint32_t count
        try:
            text = None
            if action >= FIRST_ID:
                text = self._text(&self.action_table, action)
            constant, statement, words = self.planner.cell(text, class_id)
            if words is None:
                cell = CELL_CONSTANT | <uint32_t>constant
            else:
                known = self.lists.get(words)
                if known is None:
                    count = <uint32_t>len(words)
                    if words_reserve(&self.pool, count) or self.pool.count + count >= CELL_CONSTANT:
                        raise MemoryError
                    known = self.pool.count
                    for i in range(count):
                        self.pool.data[self.pool.count + i] = words[i]
                    self.pool.count += count
                    self.lists[words] = known
                cell = known
            self.cells[at] = cell
            self.cell_statement[at] = statement
        except BaseException as error:
            self.error = error
            self.failed = True
        return cell

    cdef uint8_t _fill_unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept with gil:
        cdef uint8_t state = UNKNOWN
        try:
            state = self.planner.predicate(test, self._value(key, value))
            if truth_reserve(&self.truth[key], value):
                raise MemoryError
            self.truth[key].bytes[value * self.truth[key].slots + self.test_slot[test]] = state
        except BaseException as error:
            self.error = error
            self.failed = True
        return state

    cdef uint8_t _fill_dependent(self, uint32_t dependent, uint32_t memo) noexcept with gil:
        cdef uint8_t state = UNKNOWN
        cdef size_t i, start = self.dependent_start[dependent]
        cdef uint32_t key
        try:
            values = []
            for i in range(self.dependent_start[dependent + 1] - start):
                key = self.dependent_key[start + i]
                if key == NO_ID:
                    values.append(self._text(&self.resources.texts, self.memo_scratch.data[i]))
                else:
                    values.append(self._value(key, self.memo_scratch.data[i]))
            state = self.planner.dependent(dependent, values)
            if truth_reserve(&self.memo_truth[dependent], memo):
                raise MemoryError
            self.memo_truth[dependent].bytes[memo] = state
        except BaseException as error:
            self.error = error
            self.failed = True
        return state

    cdef bytes _text(self, InternTable* table, uint32_t id):
        cdef size_t start = <size_t>table.ends[id - 1]
        return table.arena[start:<size_t>table.ends[id]]

    cdef object _value(self, uint32_t key, uint32_t id):
        """Python form of a value id: None, UNKNOWN, or what plan.decode_value makes of the bytes."""
        if id < FIRST_ID:
            return self.planner.absent_or_unknown(id == UNKNOWN_ID)
        return self.planner.decode_value(key, self._text(&self.key_tables[key], id))

    # --- kernels

    cdef int _grow_cells(self, size_t action) noexcept nogil:
        cdef size_t rows = self.cell_rows * 2
        cdef void* moved
        if rows <= action:
            rows = action + 64
        moved = realloc(self.cells, rows * self.class_count * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.cells = <uint32_t*>moved
        moved = realloc(self.cell_statement, rows * self.class_count * sizeof(int32_t))
        if moved == NULL:
            return -1
        self.cell_statement = <int32_t*>moved
        memset(self.cells + self.cell_rows * self.class_count, 0xFF,
               (rows - self.cell_rows) * self.class_count * sizeof(uint32_t))
        self.cell_rows = rows
        return 0

    cdef uint8_t _dependent(self, uint32_t dependent, ColumnData* resources, ColumnData** keys,
                            size_t i) noexcept nogil:
        cdef size_t start = self.dependent_start[dependent], j
        cdef size_t n = self.dependent_start[dependent + 1] - start
        cdef uint32_t key, id, memo
        cdef uint8_t state
        for j in range(n):
            key = self.dependent_key[start + j]
            if key == NO_ID:
                id = self.resources.resource_id(resources, i)
            else:
                id = column_value(keys[key], &self.key_tables[key], i)
            if id == NO_ID:
                self.failed = True
                return UNKNOWN
            self.memo_scratch.data[j] = id
        memo = intern_add(&self.memo_tables[dependent], <const uint8_t*>self.memo_scratch.data,
                          n * sizeof(uint32_t))
        if memo == NO_ID:
            self.failed = True
            return UNKNOWN
        if memo < self.memo_truth[dependent].rows:
            state = self.memo_truth[dependent].bytes[memo]
            if state != UNSEEN:
                return state
        return self._fill_dependent(dependent, memo)

    cdef uint8_t _test(self, uint32_t test, ColumnData** keys, size_t i) noexcept nogil:
        cdef uint32_t key, value
        cdef uint8_t state
        cdef ColumnData* column
        if self.test_dependent[test] != NO_ID:
            return self._dependent(self.test_dependent[test], NULL, keys, i)
        key = self.test_key[test]
        column = keys[key]
        if column.kind == COLUMN_TRUTH:
            return column.truth[self.test_slot[test]][i]
        value = column_value(column, &self.key_tables[key], i)
        if value == NO_ID:
            self.failed = True
            return UNKNOWN
        if value < self.truth[key].rows:
            state = self.truth[key].bytes[value * self.truth[key].slots + self.test_slot[test]]
            if state != UNSEEN:
                return state
        return self._fill_unary(test, key, value)

    cdef uint8_t _entry(self, const uint32_t* entry, ColumnData* resources, const uint32_t* row,
                        ColumnData** keys, size_t i) noexcept nogil:
        """Kleene and of one statement's resource set and conditions; the action matched already."""
        cdef uint32_t s = entry[1], item, n
        cdef uint8_t state = UNKNOWN if entry[2] & ENTRY_UNKNOWN else YES, part
        cdef size_t low, high, middle, t
        if s == SET_UNREADABLE:
            state = UNKNOWN
        elif s != SET_ANY:
            n = row[0]
            low = 1
            high = n + 1
            while low < high:
                middle = (low + high) >> 1
                if row[middle] >> 2 < s:
                    low = middle + 1
                else:
                    high = middle
            if low > n or row[low] >> 2 != s:
                return NO
            item = row[low] & 3
            if item == CELL_VERIFY:
                part = self._dependent(self.set_dependent[s], resources, keys, i)
                if part == NO:
                    return NO
                if part == UNKNOWN:
                    state = UNKNOWN
            elif item == CELL_UNKNOWN:
                state = UNKNOWN
        for t in range(entry[2] & 0xFFFF):
            part = self._test(entry[3 + t], keys, i)
            if part == NO:
                return NO
            if part == UNKNOWN:
                state = UNKNOWN
        return state

    cdef uint8_t _decide_list(self, const uint32_t* words, ColumnData* resources,
                              const uint32_t* row,
                              ColumnData** keys, size_t i, int32_t* statement) noexcept nogil:
        """Decision over a statement list: deny count, allow count, then entries, denies first."""
        cdef size_t denies = words[0], allows = words[1], e
        cdef const uint32_t* entry = words + 2
        cdef int32_t deny_may = -1, allow_must = -1, allow_may = -1
        cdef uint8_t state
        for e in range(denies):
            state = self._entry(entry, resources, row, keys, i)
            if state == YES:
                statement[0] = <int32_t>entry[0]
                return EXPLICIT_DENY
            if state == UNKNOWN and deny_may < 0:
                deny_may = <int32_t>entry[0]
            entry += 3 + (entry[2] & 0xFFFF)
        for e in range(allows):
            state = self._entry(entry, resources, row, keys, i)
            if state == YES:
                allow_must = <int32_t>entry[0]
                break
            if state == UNKNOWN and allow_may < 0:
                allow_may = <int32_t>entry[0]
            entry += 3 + (entry[2] & 0xFFFF)
        if allow_must >= 0:
            if deny_may < 0:
                statement[0] = allow_must
                return ALLOW
            statement[0] = deny_may
            return UNDETERMINED
        if allow_may >= 0:
            statement[0] = allow_may
            return UNDETERMINED
        statement[0] = -1
        return IMPLICIT_DENY

    cdef size_t _block(self, size_t start, size_t stop, ColumnData* classes, ColumnData* actions,
                       ColumnData* resources, bint check_resources, ColumnData** keys,
                       uint8_t* decision, int32_t* statement, uint8_t* error) noexcept nogil:
        """Rows start..stop (at most BLOCK). Returns the number of rows with an error.

        `error` comes zeroed. First pass: cells, constants written, the others compacted without a
        branch that data could mispredict. Second pass: those others.
        """
        cdef uint32_t[BLOCK] undecided
        cdef uint32_t[BLOCK] lists
        cdef size_t i, j, n = 0, errors = 0, at, class_count = self.class_count
        cdef uint32_t action, cell, row, class_id
        cdef int32_t by = -1
        cdef int valid
        # Locals: a byte written to `decision` could alias every field, so none would stay in a register.
        cdef const int32_t* codes = actions.codes
        cdef const uint32_t* remap = actions.remap
        cdef size_t code_count = 0
        cdef const uint32_t* cells = self.cells
        cdef const int32_t* cell_statement = self.cell_statement
        cdef size_t code, cell_rows = self.cell_rows
        if actions.kind == COLUMN_CODES and actions.unknown == NULL and actions.validity == NULL:
            code_count = actions.dictionary_count
        for i in range(start, stop):
            code = <uint32_t>codes[i] if code_count else 0
            action = remap[code] if code < code_count else NO_ID
            if action == NO_ID:
                action = column_value(actions, &self.action_table, i)
            if action >= cell_rows:
                if action == NO_ID or self._grow_cells(action):
                    self.failed = True
                    return errors
                cells = self.cells
                cell_statement = self.cell_statement
                cell_rows = self.cell_rows
            class_id = classes.constant if classes.kind == COLUMN_CONSTANT else <uint32_t>classes.codes[i]
            at = action * class_count + class_id
            cell = cells[at]
            if cell == NO_ID:
                cell = self._fill_cell(action, class_id)
                if self.failed:
                    return errors
            undecided[n] = <uint32_t>(i - start)
            lists[n] = cell
            n += cell < CELL_CONSTANT
            decision[i] = cell & 3
            statement[i] = cell_statement[at]
            if cell >= CELL_CONSTANT and (check_resources or cell & 0xFF00):
                error[i] = cell >> 8 & 0xFF
                if not error[i]:
                    valid = self.resources.is_valid(resources, i)
                    if valid < 0:
                        self.failed = True
                        return errors
                    if not valid:
                        decision[i] = UNDETERMINED
                        statement[i] = -1
                        error[i] = ERROR_RESOURCE
                errors += error[i] != 0
        if resources.kind == COLUMN_CODES:
            for j in range(n):
                action = <uint32_t>resources.codes[start + undecided[j]]
                if action < resources.dictionary_count:
                    prefetch(resources.remap + action)
        for j in range(n):
            i = start + undecided[j]
            row = self.resources.row(resources, i)
            if row == NO_ID:
                self.failed = True
                return errors
            if row == self.resources.invalid_row:
                decision[i] = UNDETERMINED
                statement[i] = -1
                error[i] = ERROR_RESOURCE
                errors += 1
                continue
            decision[i] = self._decide_list(self.pool.data + lists[j], resources,
                                            self.resources.items.data + row, keys, i, &by)
            statement[i] = by
            if self.failed:
                return errors
        return errors

    # --- doorway

    def decide(self, BoundColumn classes, BoundColumn actions, BoundColumn resources, list keys,
               uint8_t[::1] decision, int32_t[::1] statement, uint8_t[::1] error,
               size_t start, size_t stop):
        """Decide rows start..stop of bound columns into the outputs; returns rows with an error.

        Every column has at least `stop` rows, keys come in key order; `error` comes zeroed.
        """
        cdef size_t n = len(keys), k, at = start, end, errors = 0
        cdef ColumnData** columns
        cdef bint check
        if n != self.key_count:
            raise ValueError("one column per key")
        if stop > <size_t>decision.shape[0] or stop > <size_t>statement.shape[0] or stop > <size_t>error.shape[0]:
            raise ValueError("outputs are too short")
        for column in (classes, actions, resources, *keys):
            if (<BoundColumn>column).length < stop:
                raise ValueError("a column is too short")
        columns = <ColumnData**>malloc((n + 1) * sizeof(void*))
        if columns == NULL:
            raise MemoryError
        for k in range(n):
            columns[k] = &(<BoundColumn>keys[k]).c
        self.failed = False
        self.error = None
        try:
            with nogil:
                if resources.c.resource_check == RESOURCES_UNCHECKED and stop > start:
                    resources.c.resource_check = self.resources.check_column(&resources.c)
                check = resources.c.resource_check != RESOURCES_VALID
                while at < stop and not self.failed:
                    end = at + BLOCK if stop - at > BLOCK else stop
                    errors += self._block(at, end, &classes.c, &actions.c, &resources.c, check,
                                          columns, &decision[0], &statement[0], &error[0])
                    at = end
        finally:
            free(columns)
        if self.failed:
            self._raise()
        return errors

    cdef int _raise(self) except -1:
        """What went wrong in a loop that runs without the GIL."""
        if self.error is not None:
            raised, self.error = self.error, None
            raise raised
        raise MemoryError("out of memory, or a column's offsets do not fit its data")

    def action_id(self, bytes text):
        return self._interned(&self.action_table, text)

    def resource_id(self, bytes text):
        return self._interned(&self.resources.texts, text)

    def key_id(self, size_t key, bytes text):
        """Value id of an encoded value of key number `key`."""
        if key >= self.key_count:
            raise IndexError(key)
        return self._interned(&self.key_tables[key], text)

    cdef uint32_t _interned(self, InternTable* table, bytes text) except? 0:
        cdef uint32_t id = intern_add(table, text, len(text))
        if id == NO_ID:
            raise MemoryError
        return id

    def used_bytes(self):
        """Memory of the growing caches, in bytes."""
        return self._used()

    cdef size_t _used(self) noexcept nogil:
        cdef size_t k
        cdef size_t total = intern_bytes(&self.action_table) + self.resources.used()
        for k in range(self.key_count):
            total += intern_bytes(&self.key_tables[k]) + self.truth[k].rows * self.truth[k].slots
        for k in range(self.dependent_count):
            total += intern_bytes(&self.memo_tables[k]) + self.memo_truth[k].rows
        return total + 4 * self.pool.capacity + 8 * self.cell_rows * self.class_count

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        cdef size_t k
        intern_clear(&self.action_table)
        for k in range(self.key_count):
            intern_clear(&self.key_tables[k])
            if self.truth[k].bytes != NULL:
                memset(self.truth[k].bytes, UNSEEN, self.truth[k].rows * self.truth[k].slots)
        for k in range(self.dependent_count):
            intern_clear(&self.memo_tables[k])
            if self.memo_truth[k].bytes != NULL:
                memset(self.memo_truth[k].bytes, UNSEEN, self.memo_truth[k].rows)
        if self.cells != NULL:
            memset(self.cells, 0xFF, self.cell_rows * self.class_count * sizeof(uint32_t))
        self.pool.count = 0
        self.lists.clear()
        self.resources.forget()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            "actions": self.action_table.count - FIRST_ID,
            "lists": len(self.lists),
            **self.resources.counts(),
        }

