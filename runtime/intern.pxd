from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

# Ids 0 and 1 are reserved in every interner: a null (absent) and an unknown value.
cdef enum:
    ABSENT_ID = 0
    UNKNOWN_ID = 1
    FIRST_ID = 2

cdef extern from *:
    """
    #define IAMT_NO_ID 0xFFFFFFFFu
    """
    const uint32_t NO_ID "IAMT_NO_ID"

cdef struct InternTable:
    uint64_t* slots         # tag (high 32 bits) | id; 0 is an empty slot
    size_t mask             # slot count - 1; slot count is a power of two
    uint8_t* arena          # the strings, end to end
    size_t arena_used
    size_t arena_size
    uint64_t* ends          # ends[id] = end of string `id` in the arena; ends[1] = 0
    size_t count            # ids in use, the two reserved ones included
    size_t capacity         # of `ends`
    uint64_t seed

cdef int intern_init(InternTable* table, uint64_t seed) noexcept nogil
cdef void intern_free(InternTable* table) noexcept nogil
cdef void intern_clear(InternTable* table) noexcept nogil
cdef uint32_t intern_add(InternTable* table, const uint8_t* text, size_t length) noexcept nogil
cdef uint32_t intern_hashed(InternTable* table, const uint8_t* text, size_t length,
                            uint64_t hashed) noexcept nogil
cdef int intern_many(InternTable* table, const uint8_t** texts, const size_t* lengths,
                     uint64_t* hashes, size_t n, uint32_t* ids) noexcept nogil
cdef uint32_t intern_find(InternTable* table, const uint8_t* text, size_t length) noexcept nogil
cdef size_t intern_bytes(InternTable* table) noexcept nogil
