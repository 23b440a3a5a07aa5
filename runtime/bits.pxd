from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    /* Number of the lowest bit that is set; there is one. */
    static inline unsigned iamt_lowest_bit(uint64_t word) {
    #if defined(__GNUC__) || defined(__clang__)
        return (unsigned)__builtin_ctzll(word);
    #else
        unsigned bit = 0;
        while (!(word >> bit & 1))
            bit++;
        return bit;
    #endif
    }
    """
    unsigned int lowest_bit "iamt_lowest_bit"(uint64_t word) noexcept nogil
