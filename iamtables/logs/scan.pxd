from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport InternTable

# The fields of a record that matter, in the order of `scan.FIELDS`.
cdef enum:
    SOURCE, NAME, ID, TIME, IDENTITY, REGION, RECIPIENT, ADDRESS, AGENT, ERROR, MESSAGE
    PARAMETERS, RESOURCES, TYPE, CATEGORY, VERSION, VPCE, VPCE_ACCOUNT, TLS, ADDITIONAL, STAMP
    ADDENDUM, EVENT_CONTEXT, FIELD_COUNT
    MEMO_KEYS = 64

cdef struct KeyToken:
    uint8_t text[64]        # `"eventName":` with its quotes and its colon
    uint8_t value[64]       # what it had last: a text, true, false or null
    uint32_t length
    int32_t field           # -1: a field that does not matter
    uint32_t value_length   # 0: no value is expected
    int32_t score           # how well the value is foretold; at 0 it is given up
    uint32_t after[2]       # the tokens that followed last; 0: none

cdef struct ScanMemo:
    KeyToken keys[MEMO_KEYS]    # the first stands for the beginning of a record
    uint32_t key_count
    InternTable values          # identities and TLS details, each once
    uint32_t* places            # by hash of a value's beginning: the value that was there last, or 0
    size_t mask

cdef const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, int* odd,
                               int* escaped) noexcept nogil
cdef int memo_init(ScanMemo* memo, uint64_t seed) noexcept nogil
cdef void memo_free(ScanMemo* memo) noexcept nogil
cdef const uint8_t* scan_record(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                                ScanMemo* memo, uint32_t* slices, uint32_t* identity,
                                int* is_odd) noexcept nogil

cdef inline const uint8_t* skip_space(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p


cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    /* Where the m > 0 bytes of a needle begin in n bytes, or NULL: places at which its first and its
       last byte stand are found for 16 at a time. */
    static inline const uint8_t *iamt_find(const uint8_t *p, size_t n, const uint8_t *needle,
                                           size_t m) {
        if (n < m) return NULL;
        const uint8_t *last = p + (n - m);   /* where it can begin at the latest */
    #if defined(__SSE2__)
        const __m128i a = _mm_set1_epi8((char)needle[0]), z = _mm_set1_epi8((char)needle[m - 1]);
        while (last - p >= 15) {
            uint32_t both = _mm_movemask_epi8(_mm_and_si128(
                _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), a),
                _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + m - 1)), z)));
            while (both) {
                const uint8_t *at = p + __builtin_ctz(both);
                if (memcmp(at, needle, m) == 0) return at;
                both &= both - 1;
            }
            p += 16;
        }
    #endif
        for (; p <= last; p++)
            if (*p == needle[0] && memcmp(p, needle, m) == 0) return p;
        return NULL;
    }
    """
    const uint8_t* find "iamt_find"(const uint8_t* text, size_t length, const uint8_t* needle,
                                    size_t needle_length) noexcept nogil
