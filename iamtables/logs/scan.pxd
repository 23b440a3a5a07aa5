from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from iamtables.runtime.intern cimport InternTable

# The fields of a record that matter, in the order of `scan.FIELDS`.
cdef enum:
    SOURCE, NAME, ID, TIME, IDENTITY, REGION, RECIPIENT, ADDRESS, AGENT, ERROR, MESSAGE
    PARAMETERS, RESOURCES, TYPE, CATEGORY, VERSION, VPCE, VPCE_ACCOUNT, TLS, ADDITIONAL, STAMP
    ADDENDUM, EVENT_CONTEXT, FIELD_COUNT
    MEMO_KEYS = 64
    MAX_RUN_BYTES = 320
    MAX_RUN_FIELDS = 8
    SHAPE_PLACES = 128
    MAX_SHAPE_BYTES = 256
    MAX_SHAPE_PARTS = 16

cdef struct KeyToken

cdef struct RunField:
    int32_t field
    uint32_t begin          # of the value that counts, from the beginning of the run
    uint32_t length         # 0: null

# What came between two values that differ: commas, names, and the values that were expected.
cdef struct KeyRun:
    KeyToken* token         # of the name that it ends with; NULL: it ends the record
    uint32_t length         # 0: no run
    uint32_t count
    uint32_t hits           # since it was last looked at
    RunField fields[MAX_RUN_FIELDS]
    uint8_t text[MAX_RUN_BYTES]

cdef struct KeyToken:
    KeyRun* likely          # the one of the runs that came last; NULL: there is none
    uint32_t length
    int32_t field           # -1: a field that does not matter
    uint32_t value_length   # 0: no value is expected
    int32_t score           # how well the value is foretold; at 0 it is given up
    uint32_t width          # of the text, where that is expected; 0: it is not
    int32_t width_score     # the same for the width
    uint32_t after[2]       # the tokens that followed last; 0: none
    uint8_t text[64]        # `"eventName":` with its quotes and its colon
    uint8_t value[192]      # what it had last: a text, true, false or null
    KeyRun runs[2]          # what came behind its value

# An object or a list as it was last, but for its texts.
cdef struct ValueShape:
    uint8_t text[MAX_SHAPE_BYTES + 32]  # what stands around the texts, with their quotes
    uint16_t ends[MAX_SHAPE_PARTS]
    uint32_t count          # of these parts; 0: none
    int32_t score           # how well values are foretold; at 0 it is given up

cdef struct ScanMemo:
    KeyToken keys[MEMO_KEYS]    # the first stands for the beginning of a record
    uint32_t key_count
    ValueShape shapes[SHAPE_PLACES]     # by hash of the field and the name of the event
    InternTable values          # identities and TLS details, each once
    uint32_t* places            # by hash of a value's beginning: the value that was there last, or 0
    size_t mask
    const uint8_t* beside       # what somebody keeps of each value, by its id; NULL: nothing
    size_t beside_bytes         # of each
    size_t beside_count

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
    #if defined(__SSE2__)
    /* Which of 16 bytes end a plain run of a text: quotes, backslashes, control characters, and
       bytes that are no ASCII, which are negative and so below a space, too. */
    static inline uint32_t iamt_stops(const uint8_t *p) {
        const __m128i v = _mm_loadu_si128((const __m128i *)p);
        return (uint32_t)_mm_movemask_epi8(_mm_or_si128(
            _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
            _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                         _mm_cmpeq_epi8(v, _mm_set1_epi8(92)))));
    }
    #endif
    /* The first quote, backslash, control character or byte that is not ASCII from p on. Most texts
       end within 32 bytes: one step, whatever their length, so that it can be foretold. */
    static inline const uint8_t *iamt_string_stop(const uint8_t *p, const uint8_t *end) {
    #if defined(__SSE2__)
        while (end - p >= 32) {
            const uint32_t stops = iamt_stops(p) | iamt_stops(p + 16) << 16;
            if (stops) return p + __builtin_ctz(stops);
            p += 32;
        }
    #endif
        while (p < end && *p != '"' && *p != 92 && *p >= 0x20 && *p < 0x80) p++;
        return p;
    }
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
    static inline uint64_t iamt_eight(const uint8_t *p) { uint64_t w; memcpy(&w, p, 8); return w; }
    /* Short texts of equal length: no call. */
    static inline int iamt_same_short(const uint8_t *a, const uint8_t *b, size_t n) {
        if (n >= 8) {
            uint64_t differ = iamt_eight(a + n - 8) ^ iamt_eight(b + n - 8);
            for (; n > 8; n -= 8, a += 8, b += 8) differ |= iamt_eight(a) ^ iamt_eight(b);
            return differ == 0;
        }
        while (n--) if (a[n] != b[n]) return 0;
        return 1;
    }
    /* A number for a place in a memo, by how a short text begins and ends. */
    static inline uint64_t iamt_ends(const uint8_t *p, size_t n) {
        uint64_t found = n;
        if (n >= 8) return (found ^ iamt_eight(p) * 0x9E3779B97F4A7C15ull
                            ^ iamt_eight(p + n - 8) * 0xD6E8FEB86659FD93ull) >> 32;
        while (n--) found = found * 31 + p[n];
        return found;
    }
    """
    const uint8_t* string_stop "iamt_string_stop"(const uint8_t* p, const uint8_t* end) noexcept nogil
    bint same_short "iamt_same_short"(const uint8_t* a, const uint8_t* b, size_t n) noexcept nogil
    uint64_t ends_of "iamt_ends"(const uint8_t* p, size_t n) noexcept nogil
    const uint8_t* find "iamt_find"(const uint8_t* text, size_t length, const uint8_t* needle,
                                    size_t needle_length) noexcept nogil
