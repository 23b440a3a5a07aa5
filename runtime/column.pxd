from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from .intern cimport ABSENT_ID, FIRST_ID, NO_ID, UNKNOWN_ID, InternTable, intern_add

cdef enum ColumnKind:
    COLUMN_CONSTANT = 0     # one value id for all rows
    COLUMN_STRINGS = 1      # text per row
    COLUMN_CODES = 2        # int32 code per row into a dictionary of texts or of value ids
    COLUMN_LISTS = 3        # a list of texts per row
    COLUMN_TRUTH = 4        # predicate bytes per row, computed beforehand from typed values

# What stands in a row instead of the column's own value.
cdef enum:
    INSTEAD_NOTHING = 0
    INSTEAD_UNKNOWN = 1
    INSTEAD_ABSENT = 2
    INSTEAD_DERIVED = 3     # what `derived` holds, which the engine puts there

# Strings in Arrow layout. Offsets are checked row by row: buffers may come from anywhere.
# A view is 16 bytes: an int32 length, then up to 12 bytes of text, or of a longer one four bytes,
# an int32 number of a block of data and an int32 offset in it.
cdef struct Strings:
    const uint8_t* data
    uint64_t data_size
    const int32_t* offsets32
    const int64_t* offsets64    # one of the two is NULL, with views both
    const uint8_t* views        # or NULL
    const uint8_t** blocks      # of views
    uint64_t* block_sizes
    size_t block_count
    const uint8_t* validity     # bitmap or NULL
    size_t validity_offset

cdef struct ColumnData:
    ColumnKind kind
    uint32_t constant
    uint32_t derived            # in rows with INSTEAD_DERIVED
    Strings strings             # STRINGS: the rows; CODES: the dictionary; LISTS: the elements
    size_t row_offset           # first row in `strings` (STRINGS) or in the list offsets
    const int32_t* codes        # CODES: below dictionary_count
    int32_t lowest_code         # -2 where code -1 is absent and -2 unknown, 0 where neither may be
    uint32_t code_span          # how many codes there are from the lowest on
    size_t dictionary_count
    uint32_t* remap             # code -> value id or NO_ID yet; [-1] is absent, [-2] unknown
    const uint8_t* validity     # CODES and LISTS: bitmap of the rows or NULL
    size_t validity_offset
    const int32_t* list32       # LISTS: offsets of the rows into the elements
    const int64_t* list64
    uint64_t element_count
    const uint8_t* instead      # one byte per row, INSTEAD_*, or NULL
    const uint8_t** truth       # TRUTH: one array of rows per predicate slot of the key
    uint8_t** states            # CODES: per predicate slot, code -> state, or NULL; -1, -2 as remap
    size_t state_slots
    uint64_t* by_code           # CODES: eight bytes of the engine's for each code, or NULL
    uint16_t* places            # CODES: code -> where an answer is looked for, 0 for not known, or NULL
    uint8_t* scratch            # LISTS: where a list is encoded before it is interned
    size_t scratch_size
    int resource_check          # RESOURCES_*: what is known of RES-12 for the whole column

cdef enum:
    RESOURCES_UNCHECKED = 0
    RESOURCES_VALID = 1
    RESOURCES_MIXED = 2

cdef int column_text(Strings* s, size_t row, const uint8_t** text, size_t* length) noexcept nogil
cdef uint16_t* column_places(ColumnData* c) noexcept nogil
cdef const int32_t* block_codes(const ColumnData* c, size_t start, size_t n,
                                int32_t* scratch) noexcept nogil
cdef uint8_t* column_states(ColumnData* c, size_t slot, size_t slots,
                            uint8_t unseen) noexcept nogil
cdef uint32_t column_intern(ColumnData* c, InternTable* table, size_t row) noexcept nogil

cdef enum:
    MOST_AHEAD = 256        # rows whose texts are interned together

cdef struct Ahead:
    # Texts that are to be interned together, and whose ids they are.
    const uint8_t* texts[256]
    size_t lengths[256]
    uint32_t rows[256]
    uint64_t hashes[256]    # scratch, as `found`
    uint32_t found[256]

cdef extern from *:
    """
    #define IAMT_NO_TEXTS ((size_t)-1)
    """
    const size_t NO_TEXTS "IAMT_NO_TEXTS"

cdef size_t column_texts(ColumnData* c, size_t start, size_t n, uint32_t* ids,
                         Ahead* ahead) noexcept nogil
cdef int intern_ahead(Ahead* ahead, InternTable* table, size_t n, uint32_t* ids) noexcept nogil
cdef bint codes_fit(const int32_t* codes, size_t n, int32_t lowest, uint32_t span) noexcept nogil
cdef int column_ids(ColumnData* c, InternTable* table, size_t start, size_t n, uint32_t* ids,
                    Ahead* ahead) noexcept nogil

cdef inline bint bit_is_set(const uint8_t* bitmap, size_t at) noexcept nogil:
    return (bitmap[at >> 3] >> (at & 7)) & 1

cdef inline bint is_code(const ColumnData* c, int32_t code) noexcept nogil:
    return <uint32_t>code - <uint32_t>c.lowest_code < c.code_span

# The value id of a row; NO_ID when offsets or codes do not fit their data, or memory is short. The
# usual case, a dictionary value seen before, is inlined into the kernels.
cdef inline uint32_t column_value(ColumnData* c, InternTable* table, size_t row) noexcept nogil:
    cdef int32_t code, is_there = 1
    cdef uint32_t id
    if c.kind == COLUMN_CODES and c.instead == NULL:
        code = c.codes[row]
        if c.validity != NULL:
            is_there = bit_is_set(c.validity, c.validity_offset + row)
        # Whether a row is null is nothing a branch predictor could know: its code becomes -1.
        if is_code(c, code) | (is_there == 0):
            id = c.remap[code | (is_there - 1)]
            if id != NO_ID:
                return id
    elif c.kind == COLUMN_CONSTANT and c.instead == NULL:
        return c.constant
    return column_intern(c, table, row)

cdef class BoundColumn:
    cdef ColumnData c
    cdef readonly size_t length
    cdef tuple _keep
    cdef int _set_strings(self, data, offsets, validity, size_t validity_offset) except -1
    cdef int _adopt_grown(self, BoundColumn before, size_t known) except -1
