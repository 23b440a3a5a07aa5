"""Which 64-bit hashes were seen before: two open-addressing tables, the older of which is dropped
when the younger is full. One look at memory per hash, where sorted runs take one per step."""

import numpy as np

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from iamtables.runtime.pages cimport large_pages
from iamtables.runtime.prefetch cimport prefetch

cdef enum:
    FIRST_SLOTS = 1024
    AHEAD = 12          # hashes whose slots are on their way while one is looked up

cdef struct Table:
    uint64_t* slots     # 0: empty
    size_t mask
    size_t count


cdef inline size_t place_of(uint64_t hashed, uint64_t seed, size_t mask) noexcept nogil:
    return <size_t>(((hashed ^ seed) * <uint64_t>0x9E3779B97F4A7C15) >> 20) & mask


cdef inline bint is_in(const Table* table, uint64_t hashed, uint64_t seed) noexcept nogil:
    cdef size_t at = place_of(hashed, seed, table.mask)
    while table.slots[at] != 0:
        if table.slots[at] == hashed:
            return True
        at = (at + 1) & table.mask
    return False


cdef inline bint is_added(Table* table, uint64_t hashed, uint64_t seed) noexcept nogil:
    # put a hash, unless it is there
    cdef size_t at = place_of(hashed, seed, table.mask)
    while table.slots[at] != 0:
        if table.slots[at] == hashed:
            return False
        at = (at + 1) & table.mask
    table.slots[at] = hashed
    table.count += 1
    return True


cdef inline void put(Table* table, uint64_t hashed, uint64_t seed) noexcept nogil:
    cdef size_t at = place_of(hashed, seed, table.mask)
    while table.slots[at] != 0:
        at = (at + 1) & table.mask
    table.slots[at] = hashed
    table.count += 1


cdef class SeenHashes:
    """A bounded set; of more than `limit` hashes the oldest are forgotten first."""

    cdef Table young, old
    cdef uint64_t seed
    cdef size_t most
    cdef readonly object forgotten
    """How many hashes were forgotten."""

    def __cinit__(self, size_t limit, uint64_t seed):
        self.seed = seed
        self.most = limit // 2 if limit > 2 else 1
        self.forgotten = 0
        self.young.mask = self.old.mask = FIRST_SLOTS - 1
        self.young.slots = <uint64_t*>calloc(FIRST_SLOTS, sizeof(uint64_t))
        self.old.slots = <uint64_t*>calloc(FIRST_SLOTS, sizeof(uint64_t))
        if self.young.slots == NULL or self.old.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.young.slots)
        free(self.old.slots)

    def __len__(self):
        return self.young.count + self.old.count

    cdef int grow(self, size_t slots) noexcept nogil:
        # slots: a power of two, more than there are
        cdef Table wider
        cdef size_t at
        wider.mask = slots - 1
        wider.count = 0
        wider.slots = <uint64_t*>calloc(wider.mask + 1, sizeof(uint64_t))
        if wider.slots == NULL:
            return -1
        large_pages(wider.slots, (wider.mask + 1) * sizeof(uint64_t))
        for at in range(self.young.mask + 1 if self.young.count else 0):
            if self.young.slots[at] != 0:
                put(&wider, self.young.slots[at], self.seed)
        free(self.young.slots)
        self.young = wider
        return 0

    cdef int turn(self) noexcept nogil:
        # the young ones become the old ones
        cdef uint64_t* slots = <uint64_t*>calloc(FIRST_SLOTS, sizeof(uint64_t))
        if slots == NULL:
            return -1
        free(self.old.slots)
        self.old = self.young
        self.young.slots = slots
        self.young.mask = FIRST_SLOTS - 1
        self.young.count = 0
        return 0

    def reserve(self, size_t count):
        """Make room for this many hashes at once, of those that are kept."""
        cdef size_t slots = self.young.mask + 1
        cdef size_t most = min(count, self.most)
        while most * 4 > slots * 3:
            slots *= 2
        if slots > self.young.mask + 1 and self.grow(slots):
            raise MemoryError

    def add(self, const uint64_t[::1] hashes):
        """bool[n]: which of these are new (the first of equal ones); they are remembered.

        Releases the GIL.
        """
        cdef size_t n = hashes.shape[0], i, forgotten = 0
        cdef uint8_t[::1] is_new = np.zeros(n, dtype=np.uint8)
        cdef uint64_t hashed
        cdef int status = 0
        with nogil:
            for i in range(n):
                if i + AHEAD < n:
                    hashed = hashes[i + AHEAD] or 1
                    prefetch(self.young.slots + place_of(hashed, self.seed, self.young.mask))
                    if self.old.count:
                        prefetch(self.old.slots + place_of(hashed, self.seed, self.old.mask))
                hashed = hashes[i] or 1
                if self.old.count and is_in(&self.old, hashed, self.seed):
                    continue
                if (self.young.count < self.most
                        and (self.young.count + 1) * 4 <= (self.young.mask + 1) * 3):
                    is_new[i] = is_added(&self.young, hashed, self.seed)
                    continue
                if is_in(&self.young, hashed, self.seed):
                    continue
                is_new[i] = 1
                if self.young.count >= self.most:
                    forgotten += self.old.count
                    status = self.turn()
                else:
                    status = self.grow((self.young.mask + 1) * 2)
                if status:
                    break
                put(&self.young, hashed, self.seed)
        self.forgotten += forgotten
        if status:
            raise MemoryError
        return np.asarray(is_new).view(np.bool_)
