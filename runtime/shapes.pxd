from libc.stdint cimport uint8_t
from libc.string cimport memcmp

# The beginning of an ARN on which alone the side of its resource hangs, where nothing in the table
# is filed under it (estates.Estate.is_uniform): the fields up to the fifth colon, and of an object
# of S3 the bucket with its slash. 0 for a text that has to be asked whole.
cdef inline size_t shape_length(const uint8_t* text, size_t length) noexcept nogil:
    cdef size_t at, colons = 0, start = 0, service = 0, place = 0
    for at in range(length):
        if text[at] == c":":
            colons += 1
            if colons == 2:
                service = at + 1
            elif colons == 3:
                place = at + 1
            elif colons == 5:
                start = at + 1
                break
    if start == 0:
        return 0
    if place - service != 3 or memcmp(text + service, b"s3:", 3) or start - place != 2:
        return start
    for at in range(start, length):
        if text[at] == c"/":
            return at + 1
    return 0
