"""Where each field of a record lies, and whether the text is JSON: the innermost loop of reading.

Records of one log have the same fields in the same order, and few distinct identities. So the scan
expects what the records before had: the name of the next field, one of the two that followed last,
compared at once with its quotes and its colon; of a field that mostly has the same text, true,
false or null, that value; and for identities and TLS details the whole object, which is JSON as it
was before and ends where it did. What is not as expected is read; the memo changes the time, never
the result.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from iamtables.runtime.intern cimport (
    NO_ID, InternTable, intern_add, intern_free, intern_init,
)

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    /* The first quote, backslash or control character from p on; *high is set when a byte before
       it is not ASCII. */
    static inline const uint8_t *iamt_string_stop(const uint8_t *p, const uint8_t *end, int *high) {
    #if defined(__SSE2__)
        const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8(92);
        const __m128i space = _mm_set1_epi8(0x20);
        while (end - p >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)p);
            int wide = _mm_movemask_epi8(v);
            int stop = _mm_movemask_epi8(_mm_or_si128(
                _mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
            stop |= 0xFFFF & ~_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(v, space), v));
            if (stop) {
                int at = __builtin_ctz(stop);
                if (wide & ((1 << at) - 1)) *high = 1;
                return p + at;
            }
            if (wide) *high = 1;
            p += 16;
        }
    #endif
        while (p < end) {
            uint8_t c = *p;
            if (c == '"' || c == 92 || c < 0x20) return p;
            if (c & 0x80) *high = 1;
            p++;
        }
        return p;
    }
    /* Do the n <= 64 bytes at p, of which 64 can be read, equal those at text? */
    static inline int iamt_same(const uint8_t *p, const uint8_t *text, uint32_t n) {
    #if defined(__SSE2__)
        uint32_t at = 0;
        for (; at + 16 < n; at += 16) {
            if (_mm_movemask_epi8(_mm_cmpeq_epi8(
                    _mm_loadu_si128((const __m128i *)(p + at)),
                    _mm_loadu_si128((const __m128i *)(text + at)))) != 0xFFFF) return 0;
        }
        uint32_t same = _mm_movemask_epi8(_mm_cmpeq_epi8(
            _mm_loadu_si128((const __m128i *)(p + at)),
            _mm_loadu_si128((const __m128i *)(text + at))));
        return (~same & ((1u << (n - at)) - 1)) == 0;
    #else
        return memcmp(p, text, n) == 0;
    #endif
    }
    static inline uint64_t iamt_mixed(const uint8_t *p, uint64_t found) {
        uint64_t a, b;
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        found = (a ^ found) * 0x9E3779B97F4A7C15ull + (b ^ 0xD6E8FEB86659FD93ull) * (found | 1);
        return found ^ found >> 31;
    }
    """
    int iamt_same(const uint8_t* p, const uint8_t* text, uint32_t n) noexcept nogil
    uint64_t mixed "iamt_mixed"(const uint8_t* p, uint64_t found) noexcept nogil
    const uint8_t* iamt_string_stop(const uint8_t* p, const uint8_t* end, int* high) noexcept nogil


cdef enum:
    MAX_DEPTH = 48
    MAX_MEMO_BYTES = 4096   # of a value that is remembered
    MEMO_PLACES = 16384
    FIRST_SCORE = 8         # of a field's value: it is given up after two that were not as the last

FIELDS = (b"eventSource", b"eventName", b"eventID", b"eventTime", b"userIdentity", b"awsRegion",
          b"recipientAccountId", b"sourceIPAddress", b"userAgent", b"errorCode", b"errorMessage",
          b"requestParameters", b"resources", b"eventType", b"eventCategory", b"eventVersion",
          b"vpcEndpointId", b"vpcEndpointAccountId", b"tlsDetails", b"additionalEventData",
          b"@timestamp", b"addendum", b"eventContext")

# 1: any JSON value; 0: a string or null
cdef uint8_t IS_RAW[FIELD_COUNT]
cdef const uint8_t* NAMES[FIELD_COUNT]
cdef size_t NAME_LENGTH[FIELD_COUNT]
for _i, _name in enumerate(FIELDS):
    NAMES[_i] = <const uint8_t*><const char*>_name
    NAME_LENGTH[_i] = len(_name)
    IS_RAW[_i] = _i in (
        IDENTITY, PARAMETERS, RESOURCES, TLS, ADDITIONAL, ADDENDUM, EVENT_CONTEXT)


# -- kernels: JSON ------------------------------------------------------------------------------

cdef inline bint is_hex(uint8_t c) noexcept nogil:
    return (48 <= c <= 57) or (65 <= c <= 70) or (97 <= c <= 102)


cdef const uint8_t* skip_string(const uint8_t* p, const uint8_t* end, int* odd,
                                int* escaped) noexcept nogil:
    # p is behind the opening quote; returns behind the closing one, NULL when it is no JSON
    cdef uint8_t c
    while True:
        p = iamt_string_stop(p, end, odd)
        if p >= end:
            return NULL
        if p[0] == 34:
            return p + 1
        if p[0] != 92 or end - p < 2:
            return NULL
        escaped[0] = 1
        c = p[1]
        if c == 117:  # \u
            if end - p < 6 or not (is_hex(p[2]) and is_hex(p[3]) and is_hex(p[4])
                                   and is_hex(p[5])):
                return NULL
            if (p[2] == 100 or p[2] == 68) and p[3] >= 56:
                odd[0] = 1  # a surrogate: whether it has its other half, the reader checks
            p += 6
        elif (c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 110 or c == 114
              or c == 116):
            p += 2
        else:
            return NULL


cdef const uint8_t* skip_number(const uint8_t* p, const uint8_t* end) noexcept nogil:
    if p < end and p[0] == 45:
        p += 1
    if p >= end:
        return NULL
    if p[0] == 48:
        p += 1
    elif 49 <= p[0] <= 57:
        while p < end and 48 <= p[0] <= 57:
            p += 1
    else:
        return NULL
    if p < end and p[0] == 46:
        p += 1
        if p >= end or not 48 <= p[0] <= 57:
            return NULL
        while p < end and 48 <= p[0] <= 57:
            p += 1
    if p < end and (p[0] == 101 or p[0] == 69):
        p += 1
        if p < end and (p[0] == 43 or p[0] == 45):
            p += 1
        if p >= end or not 48 <= p[0] <= 57:
            return NULL
        while p < end and 48 <= p[0] <= 57:
            p += 1
    return p


cdef inline const uint8_t* skip_word(const uint8_t* p, const uint8_t* end, const char* word,
                                     size_t length) noexcept nogil:
    if <size_t>(end - p) < length or memcmp(p, word, length) != 0:
        return NULL
    return p + length


cdef const uint8_t* skip_key(const uint8_t* p, const uint8_t* end, int* odd) noexcept nogil:
    # a name and its colon
    cdef int escaped = 0
    p = skip_space(p, end)
    if p >= end or p[0] != 34:
        return NULL
    p = skip_string(p + 1, end, odd, &escaped)
    if p == NULL:
        return NULL
    p = skip_space(p, end)
    if p >= end or p[0] != 58:
        return NULL
    return p + 1


cdef const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, int* odd,
                               int* escaped) noexcept nogil:
    # behind one value; NULL when it is no JSON, or is nested too deeply to be told here
    cdef uint8_t stack[MAX_DEPTH]
    cdef int depth = 0
    cdef uint8_t c
    while True:
        p = skip_space(p, end)
        if p >= end:
            return NULL
        c = p[0]
        if c == 34:
            p = skip_string(p + 1, end, odd, escaped)
        elif c == 123 or c == 91:
            if depth == MAX_DEPTH:
                return NULL
            stack[depth] = c
            depth += 1
            p = skip_space(p + 1, end)
            if p >= end:
                return NULL
            if p[0] == c + 2:  # `}` and `]` follow their openers by two
                p += 1
                depth -= 1
            else:
                if c == 123:
                    p = skip_key(p, end, odd)
                    if p == NULL:
                        return NULL
                continue
        elif c == 116:
            p = skip_word(p, end, "true", 4)
        elif c == 102:
            p = skip_word(p, end, "false", 5)
        elif c == 110:
            p = skip_word(p, end, "null", 4)
        else:
            p = skip_number(p, end)
        if p == NULL:
            return NULL
        while True:  # behind a value
            if depth == 0:
                return p
            p = skip_space(p, end)
            if p >= end:
                return NULL
            c = stack[depth - 1]
            if p[0] == c + 2:
                p += 1
                depth -= 1
                continue
            if p[0] != 44:
                return NULL
            p += 1
            if c == 123:
                p = skip_key(p, end, odd)
                if p == NULL:
                    return NULL
            break


cdef inline int field_of(const uint8_t* name, size_t length) noexcept nogil:
    cdef int i
    for i in range(FIELD_COUNT):
        if NAME_LENGTH[i] == length and memcmp(NAMES[i], name, length) == 0:
            return i
    return -1


# -- kernels: records ----------------------------------------------------------------------------

cdef int memo_init(ScanMemo* memo, uint64_t seed) noexcept nogil:
    """An empty memo; -1 when memory is short (then it is safe to free)."""
    memset(memo, 0, sizeof(ScanMemo))
    memo.mask = MEMO_PLACES - 1
    memo.key_count = 1
    memo.places = <uint32_t*>calloc(MEMO_PLACES, sizeof(uint32_t))
    if memo.places == NULL:
        return -1
    return intern_init(&memo.values, seed)


cdef void memo_free(ScanMemo* memo) noexcept nogil:
    free(memo.places)
    memo.places = NULL
    intern_free(&memo.values)


cdef inline uint64_t place_of(const uint8_t* p, size_t length) noexcept nogil:
    # By the beginning, the end and the length of a value up to its first `}`. Who makes values of
    # one place gains nothing but the time of reading them.
    cdef uint64_t word = 0, found = length
    cdef size_t at = 0
    while at + 16 <= length and at < 160:
        found = mixed(p + at, found)
        at += 16
    if length >= 16:
        return mixed(p + length - 16, found)
    memcpy(&word, p, length if length < 8 else 8)
    return (found ^ word) * <uint64_t>0x9E3779B97F4A7C15 >> 20


cdef const uint8_t* skip_known(const uint8_t* p, const uint8_t* end, ScanMemo* memo, int* odd,
                               uint32_t* id) noexcept nogil:
    # behind one value that is likely to be known; its id, 0 when it is none to be remembered
    cdef const uint8_t* start = p
    cdef const uint8_t* stop
    cdef const uint8_t* known
    cdef size_t length, place = 0
    cdef uint32_t at
    cdef int escaped = 0, is_odd = 0
    id[0] = 0
    if p < end and p[0] == 123:
        length = <size_t>(end - p) if <size_t>(end - p) < MAX_MEMO_BYTES else MAX_MEMO_BYTES
        stop = <const uint8_t*>memchr(p, 125, length)
        if stop != NULL:
            place = place_of(p, stop - p) & memo.mask
            at = memo.places[place]
            if at:
                known = memo.values.arena + memo.values.ends[at - 1]
                length = <size_t>(memo.values.ends[at] - memo.values.ends[at - 1])
                if length <= <size_t>(end - p) and memcmp(p, known, length) == 0:
                    id[0] = at  # an object closes itself: as long as it is the same, so is its end
                    return p + length
    p = skip_value(start, end, &is_odd, &escaped)
    if p == NULL:
        return NULL
    if is_odd:
        odd[0] = 1
        return p
    at = intern_add(&memo.values, start, p - start)
    if at != NO_ID:
        id[0] = at
        if start[0] == 123 and p - start <= MAX_MEMO_BYTES:
            length = p - start
            stop = <const uint8_t*>memchr(start, 125, length)
            memo.places[place_of(start, stop - start) & memo.mask] = at
    return p


cdef uint32_t expect(ScanMemo* memo, uint32_t before, const uint8_t* begin, const uint8_t* end,
                     int field) noexcept nogil:
    # the token of a name, which comes behind another from now on; 0 for a name that is too long
    cdef uint32_t k
    cdef KeyToken* token
    cdef size_t length = end - begin
    if length > 64:
        return 0
    for k in range(1, memo.key_count):
        if memo.keys[k].length == length and memcmp(memo.keys[k].text, begin, length) == 0:
            break
    else:
        if memo.key_count == MEMO_KEYS:  # no log has so many names: begin anew
            memset(memo.keys, 0, sizeof(memo.keys))
            memo.key_count = 1
            before = 0
        k = memo.key_count
        memo.key_count += 1
        token = memo.keys + k
        memcpy(token.text, begin, length)
        token.length = <uint32_t>length
        token.field = field
        token.score = FIRST_SCORE
    token = memo.keys + before
    token.after[1] = token.after[0]
    token.after[0] = k
    return k


cdef inline void note_value(KeyToken* token, const uint8_t* start, size_t length, bint is_plain
                            ) noexcept nogil:
    # a value that was read because none was expected, or another
    if token.score <= 0:
        return
    if token.value_length:
        token.score -= 4
    token.value_length = 0
    if is_plain and length <= 64 and token.score > 0 and (
            start[0] == 34 or start[0] == 116 or start[0] == 102 or start[0] == 110):
        memcpy(token.value, start, length)
        token.value_length = <uint32_t>length


cdef const uint8_t* scan_record(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                                ScanMemo* memo, uint32_t* slices, uint32_t* identity,
                                int* is_odd) noexcept nogil:
    """Take the record at p, which is at `{`, apart; behind its `}`, or NULL when it is no JSON.

    slices takes begin and length of every field; identity the id of the identity in the memo's
    values, 0 for a record without one.
    """
    cdef int field, odd = 0, escaped
    cdef uint32_t known, token_id = 0, before
    cdef KeyToken* token
    cdef const uint8_t* start
    cdef const uint8_t* begin
    memset(slices, 0, 2 * FIELD_COUNT * sizeof(uint32_t))
    identity[0] = 0
    p = skip_space(p + 1, end)
    if p < end and p[0] == 125:
        is_odd[0] = 1
        return p + 1
    while True:
        p = skip_space(p, end)
        before = token_id
        token = memo.keys + before
        token_id = token.after[0]
        if token_id and end - p > 64 and iamt_same(
                p, memo.keys[token_id].text, memo.keys[token_id].length):
            token = memo.keys + token_id
            field = token.field
            p += token.length
        elif token.after[1] and end - p > 64 and iamt_same(
                p, memo.keys[token.after[1]].text, memo.keys[token.after[1]].length):
            token_id = token.after[1]
            token.after[1] = token.after[0]
            token.after[0] = token_id
            token = memo.keys + token_id
            field = token.field
            p += token.length
        else:
            if p >= end or p[0] != 34:
                return NULL
            begin = p + 1
            escaped = 0
            p = skip_string(begin, end, &odd, &escaped)
            if p == NULL:
                return NULL
            field = field_of(begin, p - 1 - begin)
            if escaped:
                odd = 1  # a name may be spelled with escapes
            p = skip_space(p, end)
            if p >= end or p[0] != 58:
                return NULL
            p += 1
            token_id = 0 if odd else expect(memo, before, begin - 1, p, field)
            token = memo.keys + token_id
        start = skip_space(p, end)
        escaped = 0
        if field == IDENTITY or field == TLS:
            p = skip_known(start, end, memo, &odd, &known)
            if field == IDENTITY:
                identity[0] = known
        elif token.value_length and end - start > 64 and iamt_same(
                start, token.value, token.value_length):
            p = start + token.value_length  # such a value closes itself
            token.score += token.score < 64
        else:
            if start < end and start[0] == 34:
                p = skip_string(start + 1, end, &odd, &escaped)
            else:
                p = skip_value(start, end, &odd, &escaped)
            if p != NULL and token_id:
                note_value(token, start, p - start, not odd and not escaped)
        if p == NULL:
            return NULL
        if field >= 0:
            if slices[2 * field + 1] != 0:
                odd = 1
            if IS_RAW[field]:
                slices[2 * field] = <uint32_t>(start - base)
                slices[2 * field + 1] = <uint32_t>(p - start)
            elif start[0] == 34:
                slices[2 * field] = <uint32_t>(start + 1 - base)
                slices[2 * field + 1] = <uint32_t>(p - start - 2)
                if p - start == 2 or (escaped and (field == TIME or field == ID
                                                   or field == STAMP or field == VERSION)):
                    odd = 1
            elif start[0] != 110:
                odd = 1
        p = skip_space(p, end)
        if p >= end:
            return NULL
        if p[0] == 125:
            break
        if p[0] != 44:
            return NULL
        p += 1
    if slices[2 * SOURCE + 1] == 0 or slices[2 * NAME + 1] == 0:
        odd = 1
    if slices[2 * VERSION + 1] != 0 and (
            slices[2 * VERSION + 1] < 2 or memcmp(base + slices[2 * VERSION], b"1.", 2) != 0):
        odd = 1
    if slices[2 * IDENTITY + 1] != 0 and identity[0] == 0:
        odd = 1
    if slices[2 * ADDENDUM + 1] != 0 and base[slices[2 * ADDENDUM]] != 110:
        odd = 1  # a corrected record: what it corrects, the reader finds out
    if odd:
        is_odd[0] = 1
    return p + 1
