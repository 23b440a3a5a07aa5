"""Pairs of ids to a word: what a row asks for most often, found in one cache line.

Ids are given by the engine and not chosen by whoever writes the data, so the pair itself is compared
and a multiplication is hash enough; the seed keeps the order of slots from being foreseen.
Nothing here is called from Python; other kernels use it through `pairs.pxd`.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .pages cimport large_pages

cdef enum:
    FIRST_BITS = 8


cdef PairSlot* empty_slots(size_t count) noexcept nogil:
    cdef PairSlot* slots = <PairSlot*>malloc(count * sizeof(PairSlot))
    if slots != NULL:
        large_pages(slots, count * sizeof(PairSlot))
        memset(slots, 0xFF, count * sizeof(PairSlot))
    return slots


cdef int pairs_init(PairTable* table, uint64_t seed) noexcept nogil:
    """Empty table; -1 when memory is short (then it is safe to free)."""
    table.mask = (1 << FIRST_BITS) - 1
    table.shift = 64 - FIRST_BITS
    table.count = 0
    table.seed = seed
    table.slots = empty_slots(table.mask + 1)
    return -1 if table.slots == NULL else 0


cdef void pairs_free(PairTable* table) noexcept nogil:
    free(table.slots)
    table.slots = NULL


cdef void pairs_clear(PairTable* table) noexcept nogil:
    """Forget every pair, keep the memory."""
    memset(table.slots, 0xFF, (table.mask + 1) * sizeof(PairSlot))
    table.count = 0


cdef int grow(PairTable* table) noexcept nogil:
    cdef PairSlot* old = table.slots
    cdef PairSlot* slot
    cdef size_t count = table.mask + 1, k
    cdef PairSlot* slots = empty_slots(2 * count)
    if slots == NULL:
        return -1
    table.slots = slots
    table.mask = 2 * count - 1
    table.shift -= 1
    for k in range(count):
        if old[k].value != NO_ID:
            slot = pairs_find(table, old[k].pair)
            slot[0] = old[k]
    free(old)
    return 0


cdef PairSlot* pairs_place(PairTable* table, uint32_t a, uint32_t b, uint32_t value) noexcept nogil:
    """Give a pair its word, which is not NO_ID; its slot, NULL when memory is short.

    The slot stays where it is until the next pair is placed.
    """
    cdef PairSlot* slot
    if 2 * table.count > table.mask and grow(table):
        return NULL
    slot = pairs_find(table, pair_of(a, b))
    if slot.value == NO_ID:
        table.count += 1
        slot.extra = 0
    slot.pair = pair_of(a, b)
    slot.value = value
    return slot


cdef int pairs_put(PairTable* table, uint32_t a, uint32_t b, uint32_t value) noexcept nogil:
    """`pairs_place` for who has no use of the slot; -1 when memory is short."""
    return -1 if pairs_place(table, a, b, value) == NULL else 0
