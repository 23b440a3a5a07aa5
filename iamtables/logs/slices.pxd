from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_ARNS = 4

cdef int find_arns(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                   uint32_t* arns) noexcept nogil
cdef uint8_t bucket_or_object(const uint8_t* arn, size_t length) noexcept nogil
# The day that a time stamp had last: most of a log are of one.
cdef struct KnownDay:
    uint8_t text[10]        # `YYYY-MM-DD`; zeros: none yet
    int64_t begin           # Unix seconds

cdef int64_t seconds_of(const uint8_t* t, size_t length, KnownDay* day) noexcept nogil
cdef uint64_t hash_of(const uint8_t* text, size_t length) noexcept nogil
