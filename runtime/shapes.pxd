from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

# The beginnings of an ARN on which alone the side of its resource may hang (estates.Estate.is_uniform):
# its place, and its place with the first part of the resource.

cdef extern from *:
    """
    /* The high bit of each of eight bytes that is a colon. */
    static inline uint64_t iamt_colons(uint64_t word) {
        const uint64_t low = 0x7F7F7F7F7F7F7F7FULL;
        word ^= 0x0101010101010101ULL * ':';
        return ~(((word & low) + low) | word | low);
    }
    static inline int iamt_count(uint64_t colons) {
        return (int)((colons >> 7) * 0x0101010101010101ULL >> 56);
    }
    /* Where the number-th of the colons of eight bytes is, of which there are as many. */
    static inline size_t iamt_at(uint64_t colons, int number) {
    #if (defined(__GNUC__) || defined(__clang__)) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (--number > 0)
            colons &= colons - 1;
        return (size_t)__builtin_ctzll(colons) >> 3;
    #else
        uint8_t bytes[8];
        size_t at = 0;
        memcpy(bytes, &colons, 8);
        for (; at < 8; at++)
            if (bytes[at] && --number == 0)
                break;
        return at;
    #endif
    }
    """
    uint64_t colons_of "iamt_colons"(uint64_t word) noexcept nogil
    int count_of "iamt_count"(uint64_t colons) noexcept nogil
    size_t place_in "iamt_at"(uint64_t colons, int number) noexcept nogil

# Length of the fields up to the fifth colon, 0 where there are fewer: a text to be asked whole.
# Eight bytes at a time: the colons of an ARN are too near to each other for memchr.
cdef inline size_t place_length(const uint8_t* text, size_t length) noexcept nogil:
    cdef size_t at = 0
    cdef uint64_t word
    cdef int colons = 0, more
    while at + 8 <= length:
        memcpy(&word, text + at, 8)
        word = colons_of(word)
        more = count_of(word)
        if colons + more >= 5:
            return at + place_in(word, 5 - colons) + 1
        colons += more
        at += 8
    while at < length:
        colons += text[at] == c":"
        at += 1
        if colons == 5:
            return at
    return 0

# The same of a resource (RES-12), whose first field is `arn`; 0 for `*` and what is none.
cdef inline size_t place_of_resource(const uint8_t* text, size_t length) noexcept nogil:
    if length < 8 or memcmp(text, b"arn:", 4) != 0:
        return 0
    return place_length(text, length)

# Length of the place and what follows up to the first slash, with it: the bucket of an object, the
# kind of a role or a key. 0 where there is no slash.
cdef inline size_t kind_length(const uint8_t* text, size_t length, size_t place) noexcept nogil:
    cdef size_t at
    for at in range(place, length):
        if text[at] == c"/":
            return at + 1
    return 0
