from libc.stdint cimport uint32_t
from libc.stdlib cimport realloc

from .pages cimport large_pages

# A growing array of 32-bit words. Its owner frees `data`.
cdef struct Words:
    uint32_t* data
    size_t count
    size_t capacity

cdef inline int words_reserve(Words* words, size_t extra) noexcept nogil:
    """Room for `extra` more words; -1 when memory is short."""
    cdef size_t need = words.count + extra, capacity = words.capacity
    cdef void* moved
    if need <= capacity:
        return 0
    capacity = need * 2 if need * 2 > 256 else 256
    moved = realloc(words.data, capacity * sizeof(uint32_t))
    if moved == NULL:
        return -1
    large_pages(moved, capacity * sizeof(uint32_t))
    words.data = <uint32_t*>moved
    words.capacity = capacity
    return 0

cdef inline bint find_words(const Words* words, const uint32_t* at, size_t n,
                            uint32_t* found) noexcept nogil:
    """The words at n places; False where there is none, or its value is all ones.

    No branch hangs on data, so that the processor waits for many places at a time.
    """
    cdef uint32_t count = <uint32_t>words.count
    cdef size_t k
    cdef bint is_missing = False
    for k in range(n):
        is_missing |= at[k] >= count
    if is_missing:
        return False
    for k in range(n):
        found[k] = words.data[at[k]]
        is_missing |= found[k] == 0xFFFFFFFFU
    return not is_missing

cdef inline int words_fill(Words* words, size_t at, uint32_t value) noexcept nogil:
    """Let there be a word at `at`: new ones get `value`. -1 when memory is short."""
    while words.count <= at:
        if words_reserve(words, 1):
            return -1
        words.data[words.count] = value
        words.count += 1
    return 0
