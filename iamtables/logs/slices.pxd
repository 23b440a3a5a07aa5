from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_ARNS = 4

cdef int find_arns(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                   uint32_t* arns) noexcept nogil
cdef uint8_t bucket_or_object(const uint8_t* arn, size_t length) noexcept nogil
cdef int64_t seconds_of(const uint8_t* t, size_t length) noexcept nogil
cdef uint64_t hash_of(const uint8_t* text, size_t length) noexcept nogil
