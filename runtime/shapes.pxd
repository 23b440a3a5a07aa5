from libc.stdint cimport uint8_t

# The beginnings of an ARN on which alone the side of its resource may hang (estates.Estate.is_uniform):
# its place, and its place with the first part of the resource.

# Length of the fields up to the fifth colon, 0 for a text that has to be asked whole.
cdef inline size_t place_length(const uint8_t* text, size_t length) noexcept nogil:
    cdef size_t at, colons = 0
    for at in range(length):
        if text[at] == c":":
            colons += 1
            if colons == 5:
                return at + 1
    return 0

# Length of the place and what follows up to the first slash, with it: the bucket of an object, the
# kind of a role or a key. 0 where there is no slash.
cdef inline size_t kind_length(const uint8_t* text, size_t length, size_t place) noexcept nogil:
    cdef size_t at
    for at in range(place, length):
        if text[at] == c"/":
            return at + 1
    return 0
