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

cdef inline int words_fill(Words* words, size_t at, uint32_t value) noexcept nogil:
    """Let there be a word at `at`: new ones get `value`. -1 when memory is short."""
    while words.count <= at:
        if words_reserve(words, 1):
            return -1
        words.data[words.count] = value
        words.count += 1
    return 0
