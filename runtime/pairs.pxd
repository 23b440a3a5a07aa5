from libc.stdint cimport uint32_t, uint64_t

from .intern cimport NO_ID

# Pairs of ids to a word, in one array: a look-up touches one cache line, which can be fetched ahead.
cdef struct PairSlot:
    uint64_t pair
    uint32_t value          # NO_ID: the slot is empty
    uint32_t extra          # of the owner's; 0 in a new slot

cdef struct PairTable:
    PairSlot* slots
    size_t mask             # slot count - 1; slot count is a power of two
    size_t count
    uint64_t seed
    int shift               # 64 - log2(slot count)

cdef int pairs_init(PairTable* table, uint64_t seed) noexcept nogil
cdef void pairs_free(PairTable* table) noexcept nogil
cdef void pairs_clear(PairTable* table) noexcept nogil
cdef PairSlot* pairs_place(PairTable* table, uint32_t a, uint32_t b, uint32_t value) noexcept nogil
cdef int pairs_put(PairTable* table, uint32_t a, uint32_t b, uint32_t value) noexcept nogil

cdef inline uint64_t pair_of(uint32_t a, uint32_t b) noexcept nogil:
    return <uint64_t>a << 32 | b

cdef inline PairSlot* pair_slot(const PairTable* table, uint64_t pair) noexcept nogil:
    """Where the search for a pair begins."""
    return table.slots + ((pair ^ table.seed) * <uint64_t>0x9E3779B97F4A7C15 >> table.shift)

cdef inline PairSlot* pairs_find(const PairTable* table, uint64_t pair) noexcept nogil:
    """The slot of a pair; an empty one, whose value is NO_ID, for a pair that has none."""
    cdef PairSlot* slot = pair_slot(table, pair)
    while slot.value != NO_ID and slot.pair != pair:
        slot += 1
        if slot > table.slots + table.mask:
            slot = table.slots
    return slot

cdef inline uint32_t pairs_get(const PairTable* table, uint32_t a, uint32_t b) noexcept nogil:
    """The word of a pair, NO_ID for a pair that has none."""
    return pairs_find(table, pair_of(a, b)).value

cdef inline size_t pairs_bytes(const PairTable* table) noexcept nogil:
    return (table.mask + 1) * sizeof(PairSlot)
