from libc.stdint cimport uint8_t, uint32_t

from .globs cimport GlobSet

cdef struct Head:
    # Of a pattern: the literal text before its first wildcard, and what it is besides (globs.END_*).
    uint32_t start
    uint32_t size
    uint8_t kind

cdef struct Paths:
    # Of each node of the tries, while heads are read off.
    size_t* depth                   # bytes of what leads to it from the root
    uint32_t* parent
    uint32_t* owner                 # the node itself, or that of the head its trie is below
    uint32_t* start                 # of an owner, where its head is written; 0: nowhere

cdef class PatternHeads:
    cdef GlobSet globs
    cdef Head* heads                # by pattern; NULL until `find`
    cdef uint8_t* text

    cdef int find(self) noexcept nogil
    cdef int _write(self, Paths* paths) noexcept nogil
    cdef bint matches_one(self, uint32_t pattern, const uint8_t* text,
                          size_t length) noexcept nogil
