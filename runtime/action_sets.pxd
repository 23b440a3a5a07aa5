from libc.stdint cimport uint8_t, uint32_t

from .globs cimport GlobSet

cdef class ActionSets:
    cdef GlobSet _globs
    cdef const uint32_t[::1] _start, _sets
    cdef const uint8_t[::1] _negated
