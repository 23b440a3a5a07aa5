from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef class FilledPatterns:
    cdef int _otherwise
    cdef size_t _count
    cdef uint8_t[::1] _kinds
    cdef uint32_t[::1] _points
    cdef uint64_t[::1] _starts          # [patterns + 1]
    cdef uint8_t[::1] _states           # [patterns]
    cdef int find(self, const uint8_t* text, size_t n) except -1
    cdef int _match(self, const uint32_t* text, size_t n, uint32_t* reach,
                    uint32_t* following) noexcept nogil
