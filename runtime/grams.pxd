from libc.stdint cimport uint8_t, uint64_t

# The four-byte words of a text as a set of 64 bits: what a pattern asks for, every text that it
# matches has. Compiler and kernel share these lines, so that they cannot disagree.
cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    static inline uint64_t iamt_grams(const uint8_t *text, size_t length) {
        uint64_t found = 0;
        uint32_t word = 0;
        size_t at;
        if (length < 4) return 0;
        word = (uint32_t)text[0] << 8 | (uint32_t)text[1] << 16 | (uint32_t)text[2] << 24;
        for (at = 3; at < length; at++) {
            word = word >> 8 | (uint32_t)text[at] << 24;
            found |= 1ull << (word * 0x9E3779B1u >> 26);
        }
        return found;
    }
    """
    # One bit for each of the words at 0, 1, 2 ... of the text.
    uint64_t grams_of "iamt_grams" (const uint8_t* text, size_t length) noexcept nogil
