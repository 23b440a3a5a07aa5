from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .classify cimport ResourceClasses
from .column cimport ColumnData
from .intern cimport InternTable
from .words cimport Words

cdef enum:
    NO = 0
    YES = 1
    UNKNOWN = 2
    UNSEEN = 255            # truth byte not computed yet

    IMPLICIT_DENY = 0
    ALLOW = 1
    EXPLICIT_DENY = 2
    UNDETERMINED = 3

    ENTRY_UNKNOWN = 0x10000 # entry word: test count | this flag
    BLOCK = 1024

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

cdef class Engine:
    cdef object planner
    cdef ResourceClasses resources
    cdef tuple keep
    cdef size_t class_count, key_count, dependent_count
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
    cdef InternTable* memo_tables
    cdef Truth* memo_truth
    cdef uint32_t* cells                        # [action id][class]
    cdef int32_t* cell_statement
    cdef size_t cell_rows
    cdef Words pool                             # statement lists
    cdef Words memo_scratch
    cdef dict lists                             # list words -> pool offset (hash-consing)
    cdef object error
    cdef bint failed

    cdef uint32_t _fill_cell(self, uint32_t action, size_t class_id) noexcept with gil
    cdef uint8_t _fill_unary(self, uint32_t test, uint32_t key, uint32_t value) noexcept with gil
    cdef uint8_t _fill_dependent(self, uint32_t dependent, uint32_t memo) noexcept with gil
    cdef bytes _text(self, InternTable* table, uint32_t id)
    cdef object _value(self, uint32_t key, uint32_t id)
    cdef int _grow_cells(self, size_t action) noexcept nogil
    cdef uint8_t _dependent(self, uint32_t dependent, ColumnData* resources, ColumnData** keys,
                            size_t i) noexcept nogil
    cdef uint8_t _test(self, uint32_t test, ColumnData** keys, size_t i) noexcept nogil
    cdef uint8_t _entry(self, const uint32_t* entry, ColumnData* resources, const uint32_t* row,
                        ColumnData** keys, size_t i) noexcept nogil
    cdef uint8_t _decide_list(self, const uint32_t* words, ColumnData* resources,
                              const uint32_t* row, ColumnData** keys, size_t i,
                              int32_t* statement) noexcept nogil
    cdef size_t _block(self, size_t start, size_t stop, ColumnData* classes, ColumnData* actions,
                       ColumnData* resources, bint check_resources, ColumnData** keys,
                       uint8_t* decision, int32_t* statement, uint8_t* error) noexcept nogil
    cdef int _raise(self) except -1
    cdef uint32_t _interned(self, InternTable* table, bytes text) except? 0
    cdef size_t _used(self) noexcept nogil
