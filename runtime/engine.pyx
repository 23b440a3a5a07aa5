"""What every engine knows: actions, resources and values as numbers, and the states of predicates.

The loops over rows are built on it: `identity` under identity policies alone, `layered` under every
layer. They run without the GIL. What is computed once per distinct thing in Python (a predicate on a
new value) is fetched through the `_fill_*` doors, which take the GIL.

An engine belongs to one thread. Its caches grow with what it has seen and are dropped between chunks
when they pass a budget; the tables it reads are immutable and shared.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from .classify cimport CELL_UNKNOWN, CELL_VERIFY, ResourceClasses
from .column cimport COLUMN_TRUTH, ColumnData, column_value
from .filled cimport FilledPatterns
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
from .pairs cimport (
    PairTable,
    pairs_bytes,
    pairs_clear,
    pairs_free,
    pairs_get,
    pairs_init,
    pairs_put,
)
from .words cimport Words, words_reserve

cdef enum:
    MOST_FILLED = 1024      # tests on several values that are kept with their values filled in
    MOST_PAIRED = 2         # values that a test reads; most read who asks, and of what


cdef inline bint is_paired(const uint32_t* start, size_t dependent) noexcept nogil:
    return start[dependent + 1] - start[dependent] <= MOST_PAIRED


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

    `planner` answers the slow questions (runtime/plan.py): `predicate(test, value)` and
    `filled(dependent, values)`.
    """

    def __cinit__(self):
        self.failed = False

    def __init__(self, planner, GlobSet globs, facts):
        """facts: the derived arrays of plan_facts.EngineFacts."""
        cdef size_t k
        cdef uint64_t seed
        self.planner = planner
        self.keep = tuple(facts)
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
        self.key_tables = <InternTable*>calloc(self.key_count + 1, sizeof(InternTable))
        self.truth = <Truth*>calloc(self.key_count + 1, sizeof(Truth))
        self.memo_tables = <InternTable*>calloc(self.dependent_count + 1, sizeof(InternTable))
        self.memo_truth = <Truth*>calloc(self.dependent_count + 1, sizeof(Truth))
        self.memo_pairs = <PairTable*>calloc(self.dependent_count + 1, sizeof(PairTable))
        self.memo_seed = seed + 7919
        self.filled = {}
        if (self.key_tables == NULL or self.truth == NULL or self.memo_tables == NULL
                or self.memo_truth == NULL or self.memo_pairs == NULL
                or intern_init(&self.action_table, seed)):
            raise MemoryError
        for k in range(self.key_count):
            self.truth[k].slots = facts.slot_counts[k]
            if intern_init(&self.key_tables[k], seed + 3 + k):
                raise MemoryError
        for k in range(self.dependent_count):
            self.memo_truth[k].slots = 1
            if not is_paired(self.dependent_start, k) and intern_init(&self.memo_tables[k],
                                                                     self.memo_seed + k):
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
        if self.memo_tables != NULL and self.memo_truth != NULL and self.memo_pairs != NULL:
            for k in range(self.dependent_count):
                intern_free(&self.memo_tables[k])
                free(self.memo_truth[k].bytes)
                pairs_free(&self.memo_pairs[k])
        free(self.memo_pairs)
        free(self.key_tables)
        free(self.truth)
        free(self.memo_tables)
        free(self.memo_truth)
        free(self.pool.data)
        free(self.memo_scratch.data)

    # --- doors to Python: one call per distinct thing, errors are kept and raised after the loop

    cdef uint8_t _fill_unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept with gil:
        """What the table knows of a value is taken over with the state that is asked for: one
        statement seldom asks alone."""
        cdef uint8_t state = UNKNOWN
        cdef Truth* truth = &self.truth[key]
        cdef size_t slot = self.test_slot[test], k
        cdef bytearray kept
        cdef uint8_t* known
        cdef uint8_t* row
        try:
            kept = self.planner.states[key, self._encoded(key, value)]
            known = <uint8_t*><char*>kept
            if known[slot] == UNSEEN:
                known[slot] = kleene(self.planner.predicate(test, self._value(key, value)))
            if truth_reserve(truth, value):
                raise MemoryError
            row = truth.bytes + value * truth.slots
            for k in range(truth.slots):
                if row[k] == UNSEEN:
                    row[k] = known[k]
            state = row[slot]
        except BaseException as error:
            self.error = error
            self.failed = True
        return state

    cdef uint8_t _fill_dependent(self, uint32_t dependent) noexcept with gil:
        """State of a test on the values in `memo_scratch`."""
        cdef uint8_t state = UNKNOWN
        cdef size_t i, begin, start = self.dependent_start[dependent]
        cdef size_t count = self.dependent_start[dependent + 1] - start
        cdef size_t first = count and self.dependent_key[start] == NO_ID
        cdef uint32_t resource
        cdef tuple asked
        try:
            asked = (dependent, *[self.memo_scratch.data[i] for i in range(first, count)])
            found = self.filled.get(asked)
            if found is None:
                found = self.planner.filled(dependent, tuple([
                    self._encoded(self.dependent_key[start + i], self.memo_scratch.data[i])
                    for i in range(first, count)]))
                if len(self.filled) >= MOST_FILLED:
                    self.filled.clear()
                self.filled[asked] = found
            if isinstance(found, FilledPatterns):
                resource = self.memo_scratch.data[0]
                begin = <size_t>self.resources.texts.ends[resource - 1]
                found = (<FilledPatterns>found).find(
                    self.resources.texts.arena + begin,
                    <size_t>self.resources.texts.ends[resource] - begin)
            state = kleene(found)
        except BaseException as error:
            self.error = error
            self.failed = True
        return state

    cdef bytes _text(self, InternTable* table, uint32_t id):
        cdef size_t start = <size_t>table.ends[id - 1]
        return table.arena[start:<size_t>table.ends[id]]

    cdef object _encoded(self, uint32_t key, uint32_t id):
        """What a value id stands for: None, UNKNOWN, or the bytes."""
        if id < FIRST_ID:
            return self.planner.absent_or_unknown(id == UNKNOWN_ID)
        return self._text(&self.key_tables[key], id)

    cdef object _value(self, uint32_t key, uint32_t id):
        """Python form of a value id: None, UNKNOWN, or what plan.decode_value makes of the bytes."""
        value = self._encoded(key, id)
        return self.planner.decode_value(key, value) if id >= FIRST_ID else value

    # --- kernels

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
        if n <= MOST_PAIRED:
            return self._dependent_pair(dependent, self.memo_scratch.data[0],
                                        self.memo_scratch.data[1] if n == 2 else NO_ID)
        memo = intern_add(&self.memo_tables[dependent], <const uint8_t*>self.memo_scratch.data,
                          n * sizeof(uint32_t))
        if memo == NO_ID or truth_reserve(&self.memo_truth[dependent], memo):
            self.failed = True
            return UNKNOWN
        state = self.memo_truth[dependent].bytes[memo]
        if state == UNSEEN:
            state = self._fill_dependent(dependent)
            if not self.failed:
                self.memo_truth[dependent].bytes[memo] = state
        return state

    cdef uint8_t _dependent_pair(self, uint32_t dependent, uint32_t a, uint32_t b) noexcept nogil:
        cdef PairTable* pairs = &self.memo_pairs[dependent]
        cdef uint32_t known
        cdef uint8_t state
        if pairs.slots == NULL and pairs_init(pairs, self.memo_seed + dependent):
            self.failed = True
            return UNKNOWN
        known = pairs_get(pairs, a, b)
        if known != NO_ID:
            return <uint8_t>known
        state = self._fill_dependent(dependent)
        if not self.failed and pairs_put(pairs, a, b, state):
            self.failed = True
        return state

    cdef uint8_t _test(self, uint32_t test, ColumnData** keys, size_t i) noexcept nogil:
        """State of a condition in row i."""
        cdef uint32_t key, value
        cdef ColumnData* column
        if self.test_dependent[test] != NO_ID:
            return self._dependent(self.test_dependent[test], NULL, keys, i)
        key = self.test_key[test]
        column = keys[key]
        if column.kind == COLUMN_TRUTH:
            return kleene(column.truth[self.test_slot[test]][i])
        value = column_value(column, &self.key_tables[key], i)
        if value == NO_ID:
            self.failed = True
            return UNKNOWN
        return self._unary(test, key, value)

    cdef uint8_t _unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept nogil:
        """State of a test without variables on a value."""
        cdef uint8_t state
        if value < self.truth[key].rows:
            state = self.truth[key].bytes[value * self.truth[key].slots + self.test_slot[test]]
            if state != UNSEEN:
                return state
        return self._fill_unary(test, key, value)

    cdef uint8_t _item(self, uint32_t item, uint32_t set_id, ColumnData* resources,
                       ColumnData** keys, size_t i) noexcept nogil:
        """State of a resource set that the row of a resource holds an item of."""
        if item == CELL_VERIFY:
            return self._dependent(self.set_dependent[set_id], resources, keys, i)
        return UNKNOWN if item == CELL_UNKNOWN else YES

    cdef uint8_t _entry(self, const uint32_t* entry, ColumnData* resources, const uint32_t* row,
                        ColumnData** keys, size_t i) noexcept nogil:
        """Kleene and of one statement's resource set and conditions; the action matched already."""
        cdef uint32_t s = entry[1], item
        cdef uint8_t state = UNKNOWN if entry[2] & ENTRY_UNKNOWN else YES
        cdef size_t t
        if s == SET_UNREADABLE:
            state = UNKNOWN
        elif s != SET_ANY:
            item = find_item(row, s)
            if item:
                state &= self._item(item, s, resources, keys, i)
            else:
                return NO
        for t in range(entry[2] & 0xFFFF):
            if state == NO:
                return NO
            state &= self._test(entry[3 + t], keys, i)
        return state

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
            if is_paired(self.dependent_start, k):
                total += pairs_bytes(&self.memo_pairs[k]) if self.memo_pairs[k].slots != NULL else 0
            else:
                total += intern_bytes(&self.memo_tables[k]) + self.memo_truth[k].rows
        return total + 4 * self.pool.capacity

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        cdef size_t k
        self.generation += 1
        intern_clear(&self.action_table)
        for k in range(self.key_count):
            intern_clear(&self.key_tables[k])
            if self.truth[k].bytes != NULL:
                memset(self.truth[k].bytes, UNSEEN, self.truth[k].rows * self.truth[k].slots)
        for k in range(self.dependent_count):
            if self.memo_pairs[k].slots != NULL:
                pairs_clear(&self.memo_pairs[k])
            if not is_paired(self.dependent_start, k):
                intern_clear(&self.memo_tables[k])
            if self.memo_truth[k].bytes != NULL:
                memset(self.memo_truth[k].bytes, UNSEEN, self.memo_truth[k].rows)
        self.filled.clear()
        self.pool.count = 0
        self.resources.forget()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            "actions": self.action_table.count - FIRST_ID,
            **self.resources.counts(),
        }

