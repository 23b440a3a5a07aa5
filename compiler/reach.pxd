from libc.stdint cimport uint8_t

cdef enum:
    COLONS = 5          # of an ARN; behind the last one everything may be matched

cdef size_t settle(const uint8_t* text, size_t size, uint8_t star, uint8_t any, bint spans,
                   uint8_t* out) noexcept nogil
