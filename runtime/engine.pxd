from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .classify cimport ResourceClasses
from .column cimport COLUMN_TRUTH, ColumnData, column_value
from .intern cimport InternTable
from .pairs cimport PairTable
from .words cimport Words

cdef enum:
    # States as two bits, may and must: Kleene's "and" is `&`. They are not codes.State.
    NO = 0
    UNKNOWN = 1
    YES = 3
    UNSEEN = 255            # not computed yet

    IMPLICIT_DENY = 0
    ALLOW = 1
    EXPLICIT_DENY = 2
    UNDETERMINED = 3

    ENTRY_UNKNOWN = 0x10000 # entry word: test count | this flag

    ERROR_ACTION = 1
    ERROR_RESOURCE = 2
    ERROR_PRINCIPAL = 3

cdef extern from *:
    """
    #define IAMT_SET_ANY 0xFFFFFFFFu
    #define IAMT_SET_UNREADABLE 0xFFFFFFFEu
    """
    const uint32_t SET_ANY "IAMT_SET_ANY"              # entry: matches every resource
    const uint32_t SET_UNREADABLE "IAMT_SET_UNREADABLE"

cdef struct Truth:
    # One byte per (value id, predicate slot), value-major; UNSEEN until computed.
    uint8_t* bytes
    size_t rows
    size_t slots

cdef inline uint8_t kleene(uint8_t state) noexcept nogil:
    """A codes.State in two bits."""
    return YES if state == 1 else state >> 1

cdef inline uint32_t find_item(const uint32_t* row, uint32_t set_id) noexcept nogil:
    """What the row of a resource says of a set, 0 for nothing. Rows are short, or else sorted."""
    cdef size_t n = row[0], low = 1, high = n + 1, middle
    cdef uint32_t found = 0
    if n <= 8:
        for low in range(1, n + 1):  # without a branch on data
            found |= row[low] & (3 if row[low] >> 2 == set_id else 0)
        return found
    while low < high:
        middle = (low + high) >> 1
        if row[middle] >> 2 < set_id:
            low = middle + 1
        else:
            high = middle
    return row[low] & 3 if low <= n and row[low] >> 2 == set_id else 0

cdef class Engine:
    cdef object planner
    cdef ResourceClasses resources
    cdef tuple keep
    cdef size_t key_count, dependent_count
    cdef const uint32_t* set_dependent          # dependent test that verifies a set, or NO_ID
    # tests: unary ones first come from `test_key`/`test_slot`, dependent ones have test_dependent
    cdef const uint32_t* test_key
    cdef const uint32_t* test_slot
    cdef const uint32_t* test_dependent         # NO_ID for a unary test
    cdef const uint32_t* dependent_start        # columns a dependent test reads: key ids,
    cdef const uint32_t* dependent_key          # or NO_ID for the resource
    # caches
    cdef InternTable action_table
    cdef InternTable* key_tables
    cdef Truth* truth
    cdef PairTable* memo_pairs                  # of dependent tests on one or two values: its state
    cdef InternTable* memo_tables               # of the others: its number in `memo_truth`
    cdef Truth* memo_truth
    # (dependent, value ids) -> planner.filled, so that a resource is not asked for through Python
    cdef dict filled
    cdef Words pool                             # statement lists
    cdef Words memo_scratch
    cdef uint64_t memo_seed
    cdef object error
    cdef bint failed
    cdef readonly size_t generation             # how often `clear` was called

    cdef uint8_t _fill_unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept with gil
    cdef uint8_t _fill_dependent(self, uint32_t dependent) noexcept with gil
    cdef bytes _text(self, InternTable* table, uint32_t id)
    cdef object _encoded(self, uint32_t key, uint32_t id)
    cdef object _value(self, uint32_t key, uint32_t id)
    cdef uint8_t _dependent_pair(self, uint32_t dependent, uint32_t a, uint32_t b) noexcept nogil
    cdef uint8_t _dependent(self, uint32_t dependent, ColumnData* resources, ColumnData** keys,
                            size_t i) noexcept nogil
    cdef uint8_t _test(self, uint32_t test, ColumnData** keys, size_t i) noexcept nogil
    cdef uint8_t _unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept nogil
    cdef uint8_t _item(self, uint32_t item, uint32_t set_id, ColumnData* resources,
                       ColumnData** keys, size_t i) noexcept nogil
    cdef uint8_t _entry(self, const uint32_t* entry, ColumnData* resources, const uint32_t* row,
                        ColumnData** keys, size_t i) noexcept nogil
    cdef int _raise(self) except -1
    cdef uint32_t _interned(self, InternTable* table, bytes text) except? 0
    cdef size_t _used(self) noexcept nogil

cdef inline uint8_t known_state(Engine engine, uint32_t test, ColumnData** keys,
                                size_t i) noexcept nogil:
    """State of a test without variables in row i, UNSEEN where its value is met for the first time
    or where it has no value to be found by."""
    cdef uint32_t key = engine.test_key[test], value
    cdef ColumnData* column = keys[key]
    if column.kind == COLUMN_TRUTH:
        return UNSEEN
    value = column_value(column, &engine.key_tables[key], i)
    if value >= engine.truth[key].rows:
        return UNSEEN
    return engine.truth[key].bytes[value * engine.truth[key].slots + engine.test_slot[test]]
