"""Strings to small integers: the one place where whole strings are hashed and compared.

Open addressing with a 32-bit tag and a 32-bit id in one 64-bit slot, strings in an arena. The tag is
the upper half of the hash and says where a string belongs, too, so that a table grows by one pass over
its slots, without its strings; what the tag tells apart is less by that, which costs a comparison of
bytes once in thousands of probes. The hash
is keyed per table, and bytes are always compared, so nobody who chooses resource names can make two
of them one, or make the table slow on purpose (measured alternatives: an unkeyed 64-bit hash alone is
forgeable; CRC and AES hashes gain 3 ns a string but are weaker or need newer processors).

Ids grow from 2: 0 stands for a null (absent) and 1 for an unknown value everywhere in the runtime.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from .pages cimport large_pages
from .prefetch cimport prefetch

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Multiply-fold hash: 16 bytes a step, each pair of words multiplied to 128 bits and folded. */
    static inline uint64_t iamt_fold(uint64_t a, uint64_t b) {
    #ifdef __SIZEOF_INT128__
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    #else
        uint64_t ah = a >> 32, al = (uint32_t)a, bh = b >> 32, bl = (uint32_t)b;
        uint64_t mid = ah * bl + (al * bl >> 32), low = (uint32_t)mid + al * bh;
        return (a * b) ^ (ah * bh + (mid >> 32) + (low >> 32));
    #endif
    }
    static inline uint64_t iamt_word(const uint8_t *p) { uint64_t w; memcpy(&w, p, 8); return w; }
    static inline uint32_t iamt_half(const uint8_t *p) { uint32_t w; memcpy(&w, p, 4); return w; }
    static inline uint64_t iamt_hash(const uint8_t *p, size_t n, uint64_t seed) {
        const uint64_t k1 = 0x9E3779B97F4A7C15ull, k2 = 0xD6E8FEB86659FD93ull;
        const uint8_t *end = p + n;
        uint64_t h = seed ^ iamt_fold(n ^ k1, k2), a = 0, b = 0;
        for (; end - p > 16; p += 16)
            h = iamt_fold(iamt_word(p) ^ k1 ^ seed, iamt_word(p + 8) ^ h);
        /* The last 16 bytes, or all: words that overlap, where copying what is left would wait for it. */
        if (n >= 8) { a = iamt_word(n >= 16 ? end - 16 : p); b = iamt_word(end - 8); }
        else if (n >= 4) { a = iamt_half(p); b = iamt_half(end - 4); }
        else if (n > 0) { a = p[0] | (uint64_t)p[n >> 1] << 8 | (uint64_t)p[n - 1] << 16; }
        return iamt_fold(a ^ k2 ^ seed, iamt_fold(b ^ h, k1) ^ k1 ^ (h >> 29));
    }
    /* Texts of equal length that a tag says are the same, as they nearly always are: no call, and no
       branch for each word. */
    static inline int iamt_same(const uint8_t *a, const uint8_t *b, size_t n) {
        uint64_t differ = 0;
        if (n >= 8) {
            differ = iamt_word(a + n - 8) ^ iamt_word(b + n - 8);
            for (; n > 8; n -= 8, a += 8, b += 8)
                differ |= iamt_word(a) ^ iamt_word(b);
            return differ == 0;
        }
        if (n >= 4) {
            differ = (iamt_half(a) ^ iamt_half(b)) | (iamt_half(a + n - 4) ^ iamt_half(b + n - 4));
            return differ == 0;
        }
        while (n--) differ |= (uint64_t)(a[n] ^ b[n]);
        return differ == 0;
    }
    """
    uint64_t iamt_hash(const uint8_t* text, size_t length, uint64_t seed) noexcept nogil
    bint iamt_same(const uint8_t* a, const uint8_t* b, size_t length) noexcept nogil

cdef enum:
    NEAR_SLOTS = 2048       # a table of up to so many lies in the nearest cache, more or less


cdef int intern_init(InternTable* table, uint64_t seed) noexcept nogil:
    """Empty table; -1 when memory is short (then every pointer is safe to free)."""
    memset(table, 0, sizeof(InternTable))
    table.seed = seed
    table.mask = 63
    table.capacity = 32
    table.arena_size = 1024
    table.slots = <uint64_t*>calloc(table.mask + 1, sizeof(uint64_t))
    table.ends = <uint64_t*>malloc(table.capacity * sizeof(uint64_t))
    table.arena = <uint8_t*>malloc(table.arena_size)
    if table.slots == NULL or table.ends == NULL or table.arena == NULL:
        intern_free(table)
        return -1
    table.ends[0] = table.ends[1] = 0
    table.count = FIRST_ID
    return 0


cdef void intern_free(InternTable* table) noexcept nogil:
    free(table.slots)
    free(table.ends)
    free(table.arena)
    memset(table, 0, sizeof(InternTable))


cdef void intern_clear(InternTable* table) noexcept nogil:
    """Forget every string, keep the memory."""
    memset(table.slots, 0, (table.mask + 1) * sizeof(uint64_t))
    table.count = FIRST_ID
    table.arena_used = 0


cdef size_t intern_bytes(InternTable* table) noexcept nogil:
    return (table.mask + 1) * 8 + table.capacity * 8 + table.arena_size


cdef int grow_slots(InternTable* table) noexcept nogil:
    cdef size_t size = (table.mask + 1) * 2, mask = size - 1, at, old
    cdef uint64_t slot
    cdef uint64_t* slots
    if mask > <size_t>0xFFFFFFFF:
        return -1
    slots = <uint64_t*>calloc(size, sizeof(uint64_t))
    if slots == NULL:
        return -1
    large_pages(slots, size * sizeof(uint64_t))
    for old in range(table.mask + 1):
        slot = table.slots[old]
        if slot != 0:
            at = (slot >> 32) & mask
            while slots[at] != 0:
                at = (at + 1) & mask
            slots[at] = slot
    free(table.slots)
    table.slots = slots
    table.mask = mask
    return 0


cdef uint32_t intern_find(InternTable* table, const uint8_t* text, size_t length) noexcept nogil:
    """Id of a string already in the table, else NO_ID."""
    cdef uint64_t hashed = iamt_hash(text, length, table.seed)
    cdef uint64_t tag = hashed & <uint64_t>0xFFFFFFFF00000000
    cdef size_t at = hashed >> 32 & table.mask, start
    cdef uint64_t slot
    cdef uint32_t id
    while True:
        slot = table.slots[at]
        if slot == 0:
            return NO_ID
        if (slot & <uint64_t>0xFFFFFFFF00000000) == tag:
            id = <uint32_t>slot
            start = <size_t>table.ends[id - 1]
            if table.ends[id] - start == length and iamt_same(table.arena + start, text, length):
                return id
        at = (at + 1) & table.mask


cdef uint32_t intern_add(InternTable* table, const uint8_t* text, size_t length) noexcept nogil:
    """Id of a string, adding it when new. NO_ID when memory or the id space is exhausted."""
    return intern_hashed(table, text, length, iamt_hash(text, length, table.seed))


cdef uint32_t intern_hashed(InternTable* table, const uint8_t* text, size_t length,
                            uint64_t hashed) noexcept nogil:
    """`intern_add` of a string whose hash under the table's seed is known."""
    cdef uint64_t tag = hashed & <uint64_t>0xFFFFFFFF00000000
    cdef size_t at = hashed >> 32 & table.mask, start, need
    cdef uint64_t slot
    cdef uint32_t id
    cdef void* moved
    while True:
        slot = table.slots[at]
        if slot == 0:
            break
        if (slot & <uint64_t>0xFFFFFFFF00000000) == tag:
            id = <uint32_t>slot
            start = <size_t>table.ends[id - 1]
            if table.ends[id] - start == length and iamt_same(table.arena + start, text, length):
                return id
        at = (at + 1) & table.mask
    if table.count >= <size_t>0xFFFFFFF0:
        return NO_ID
    if table.count == table.capacity:
        moved = realloc(table.ends, table.capacity * 2 * sizeof(uint64_t))
        if moved == NULL:
            return NO_ID
        table.ends = <uint64_t*>moved
        table.capacity *= 2
        large_pages(moved, table.capacity * sizeof(uint64_t))
    need = table.arena_used + length
    if need > table.arena_size:
        if need < table.arena_size * 2:
            need = table.arena_size * 2
        moved = realloc(table.arena, need)
        if moved == NULL:
            return NO_ID
        table.arena = <uint8_t*>moved
        table.arena_size = need
        large_pages(moved, need)
    id = <uint32_t>table.count
    if length:
        memcpy(table.arena + table.arena_used, text, length)
    table.arena_used += length
    table.ends[id] = table.arena_used
    table.slots[at] = tag | id
    table.count += 1
    if (table.count * (4 if table.mask < NEAR_SLOTS else 2) > table.mask
            and grow_slots(table) != 0):
        # The table still works, only fuller; it must never run out of empty slots.
        if table.count + 2 > table.mask:
            return NO_ID
    return id


cdef int intern_many(InternTable* table, const uint8_t** texts, const size_t* lengths,
                     uint64_t* hashes, size_t n, uint32_t* ids) noexcept nogil:
    """Ids of n strings, as `intern_add` would give them one by one; -1 when one has no id.

    hashes : n words of scratch

    In a large table a string costs three misses of the cache in a row: slot, end, bytes. There all
    strings take each of these steps before any takes the next, so that the misses overlap.
    """
    cdef size_t k, start
    cdef uint64_t slot
    cdef uint32_t id
    for k in range(n):
        hashes[k] = iamt_hash(texts[k], lengths[k], table.seed)
        prefetch(table.slots + (hashes[k] >> 32 & table.mask))
    if table.mask >= NEAR_SLOTS:
        for k in range(n):
            slot = table.slots[hashes[k] >> 32 & table.mask]
            if slot >> 32 == hashes[k] >> 32 and <uint32_t>slot:
                prefetch(table.ends + (<uint32_t>slot - 1))
        for k in range(n):
            slot = table.slots[hashes[k] >> 32 & table.mask]
            id = <uint32_t>slot
            if slot >> 32 == hashes[k] >> 32 and id:
                prefetch(table.arena + table.ends[id - 1])
                prefetch(table.arena + table.ends[id - 1] + 64)
    for k in range(n):
        slot = table.slots[hashes[k] >> 32 & table.mask]
        id = <uint32_t>slot
        if slot >> 32 == hashes[k] >> 32 and id:
            start = <size_t>table.ends[id - 1]
            if (table.ends[id] - start == lengths[k]
                    and iamt_same(table.arena + start, texts[k], lengths[k])):
                ids[k] = id
                continue
        ids[k] = intern_hashed(table, texts[k], lengths[k], hashes[k])
        if ids[k] == NO_ID:
            return -1
    return 0
