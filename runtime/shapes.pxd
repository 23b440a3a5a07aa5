from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

# The beginnings of an ARN on which alone the side of its resource may hang (estates.Estate.is_uniform):
# its place, and its place with the first part of the resource.

cdef extern from *:
    """
    static inline int iamt_colons(uint64_t word) {
        const uint64_t low = 0x7F7F7F7F7F7F7F7FULL, each = 0x0101010101010101ULL;
        word ^= each * ':';
        /* The high bit of each byte that is zero now, then their number in the top byte. */
        word = ~(((word & low) + low) | word | low);
        return (int)((word >> 7) * each >> 56);
    }
    """
    # Colons among eight bytes.
    int colons_of "iamt_colons"(uint64_t word) noexcept nogil

# Length of the fields up to the fifth colon, 0 where there are fewer: a text to be asked whole.
# Eight bytes at a time: the colons of an ARN are too near to each other for memchr.
cdef inline size_t place_length(const uint8_t* text, size_t length) noexcept nogil:
    cdef size_t at = 0
    cdef uint64_t word
    cdef int colons = 0, more
    while at + 8 <= length:
        memcpy(&word, text + at, 8)
        more = colons_of(word)
        if colons + more >= 5:
            break
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
