"""Where each field of a record lies, and whether the text is JSON: the innermost loop of reading.

Records of one log have the same fields in the same order, and few distinct identities. So the scan
expects what the records before had: the name of the next field, one of the two that followed last,
compared at once with its quotes and its colon; of a field that mostly has the same text, true,
false or null, that value; and for identities and TLS details the whole object, which is JSON as it
was before and ends where it did. What is not as expected is read; the memo changes the time, never
the result.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from iamtables.runtime.intern cimport (
    NO_ID, InternTable, intern_add, intern_free, intern_init,
)
from iamtables.runtime.prefetch cimport prefetch

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    #if defined(__SSE2__)
    static inline uint32_t iamt_equal(const uint8_t *p, const uint8_t *text) {
        return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(
            _mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)text)));
    }
    #endif
    /* Do the n bytes at p equal those at text? Both can be read up to the next multiple of 32. */
    static inline int iamt_same(const uint8_t *p, const uint8_t *text, uint32_t n) {
    #if defined(__SSE2__)
        for (; n > 32; n -= 32, p += 32, text += 32)
            if ((iamt_equal(p, text) & iamt_equal(p + 16, text + 16)) != 0xFFFF) return 0;
        if (n <= 16) return (~iamt_equal(p, text) & ((1u << n) - 1)) == 0;
        return (~(iamt_equal(p, text) | iamt_equal(p + 16, text + 16) << 16)
                & (uint32_t)((1ull << n) - 1)) == 0;
    #else
        return memcmp(p, text, n) == 0;
    #endif
    }
    /* Are the n bytes at p a text as a whole, plain and with a quote behind it? They can be read up
       to a multiple of 16 behind that quote. Nothing waits for where the text ends. */
    static inline int iamt_is_text(const uint8_t *p, uint32_t n) {
        if (p[n] != '"') return 0;
    #if defined(__SSE2__)
        for (; n > 16; n -= 16, p += 16)
            if (iamt_stops(p)) return 0;
        return (iamt_stops(p) & ((1u << n) - 1)) == 0;
    #else
        return iamt_string_stop(p, p + n) == p + n;
    #endif
    }
    static inline void iamt_clear(uint32_t *slices, size_t fields) {
    #if defined(__SSE2__)
        for (; fields >= 2; fields -= 2, slices += 4) {
            _mm_storeu_si128((__m128i *)slices, _mm_setzero_si128());
    #if defined(__GNUC__)
            __asm__("" : "+r"(slices));  /* no `rep stos`, which takes longer to begin */
    #endif
        }
    #endif
        for (; fields; fields--, slices += 2) slices[0] = slices[1] = 0;
    }
    /* Where a value is looked for: a sum of its words, each times an odd number of its own, so that
       none waits for another. */
    static inline uint64_t iamt_word_at(const uint8_t *p) {
        uint64_t word;
        memcpy(&word, p, 8);
        return word;
    }
    static inline uint64_t iamt_place(const uint8_t *p, size_t length) {
        uint64_t found = length * 0xD6E8FEB86659FD93ull, odd = 0x9E3779B97F4A7C15ull;
        size_t at;
        for (at = 0; at + 16 <= length && at < 160; at += 16) {
            found += iamt_word_at(p + at) * odd + iamt_word_at(p + at + 8) * (odd ^ 0xA5A5A5A4ull);
            odd += 0x3C6EF372FE94F82Aull;
        }
        if (length >= 16)
            found += iamt_word_at(p + length - 16) * odd
                     + iamt_word_at(p + length - 8) * (odd ^ 0xA5A5A5A4ull);
        else {
            uint64_t word = 0;
            memcpy(&word, p, length < 8 ? length : 8);
            found += word * odd;
        }
        found ^= found >> 32;
        return found * 0x9E3779B97F4A7C15ull >> 40;
    }
    """
    bint iamt_same(const uint8_t* p, const uint8_t* text, uint32_t n) noexcept nogil
    bint iamt_is_text(const uint8_t* p, uint32_t n) noexcept nogil
    void clear "iamt_clear"(uint32_t* slices, size_t fields) noexcept nogil
    uint64_t place_of "iamt_place"(const uint8_t* p, size_t length) noexcept nogil


cdef enum:
    MAX_DEPTH = 48
    MAX_MEMO_BYTES = 4096   # of a value that is remembered
    MEMO_PLACES = 16384
    MAX_WIDTH = 64          # of a text whose length is expected
    AHEAD = 320             # bytes that names and values are compared with at most
    FIRST_SCORE = 8         # of what is expected: it is given up after two that were not as the last

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
        p = string_stop(p, end)
        if p >= end:
            return NULL
        if p[0] == 34:
            return p + 1
        if p[0] >= 0x80:
            odd[0] = 1
            p += 1
            continue
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


cdef inline const uint8_t* skip_text(const uint8_t* p, const uint8_t* end, int* odd,
                                     int* escaped) noexcept nogil:
    # the same; nearly all are plain
    p = string_stop(p, end)
    return p + 1 if p < end and p[0] == 34 else skip_string(p, end, odd, escaped)


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


cdef const uint8_t* skip_atom(const uint8_t* p, const uint8_t* end) noexcept nogil:
    # true, false, null or a number
    if end - p >= 4 and memcmp(p, b"true", 4) == 0:
        return p + 4
    if end - p >= 4 and memcmp(p, b"null", 4) == 0:
        return p + 4
    if end - p >= 5 and memcmp(p, b"false", 5) == 0:
        return p + 5
    return skip_number(p, end)


cdef inline const uint8_t* skip_key(const uint8_t* p, const uint8_t* end, int* odd
                                    ) noexcept nogil:
    # a name and its colon
    cdef int escaped = 0
    p = skip_space(p, end)
    if p >= end or p[0] != 34:
        return NULL
    p = skip_text(p + 1, end, odd, &escaped)
    if p == NULL:
        return NULL
    p = skip_space(p, end)
    if p >= end or p[0] != 58:
        return NULL
    return p + 1


cdef const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, int* odd,
                               int* escaped) noexcept nogil:
    # behind one value; NULL when it is no JSON, or is nested too deeply to be told here
    cdef uint64_t is_object = 0  # of each value that is open, a bit; the innermost comes first
    cdef int depth = 0
    cdef uint8_t c
    while True:
        p = skip_space(p, end)
        if p >= end:
            return NULL
        c = p[0]
        if c == 34:
            p = skip_text(p + 1, end, odd, escaped)
            if p == NULL:
                return NULL
        elif c == 123 or c == 91:
            if depth == MAX_DEPTH:
                return NULL
            p = skip_space(p + 1, end)
            if p >= end:
                return NULL
            if p[0] == c + 2:  # `}` and `]` follow their openers by two
                p += 1
            else:
                depth += 1
                is_object = is_object << 1 | (c == 123)
                if c == 123:
                    p = skip_key(p, end, odd)
                    if p == NULL:
                        return NULL
                continue
        else:
            p = skip_atom(p, end)
            if p == NULL:
                return NULL
        while True:  # behind a value
            if depth == 0:
                return p
            p = skip_space(p, end)
            if p >= end:
                return NULL
            if p[0] == 44:
                p += 1
                if is_object & 1:
                    p = skip_key(p, end, odd)
                    if p == NULL:
                        return NULL
                break
            if p[0] != (125 if is_object & 1 else 93):
                return NULL
            p += 1
            depth -= 1
            is_object >>= 1


cdef inline int field_of(const uint8_t* name, size_t length) noexcept nogil:
    cdef int i
    for i in range(FIELD_COUNT):
        if NAME_LENGTH[i] == length and memcmp(NAMES[i], name, length) == 0:
            return i
    return -1


# -- kernels: records ----------------------------------------------------------------------------

cdef int memo_init(ScanMemo* memo, uint64_t seed) noexcept nogil:
    """An empty memo; -1 when memory is short (then it is safe to free)."""
    cdef size_t place
    memset(memo, 0, sizeof(ScanMemo))
    memo.mask = MEMO_PLACES - 1
    memo.key_count = 1
    for place in range(SHAPE_PLACES):
        memo.shapes[place].score = 4 * FIRST_SCORE
    memo.places = <uint32_t*>calloc(MEMO_PLACES, sizeof(uint32_t))
    if memo.places == NULL:
        return -1
    return intern_init(&memo.values, seed)


cdef void memo_free(ScanMemo* memo) noexcept nogil:
    free(memo.places)
    memo.places = NULL
    intern_free(&memo.values)


cdef const uint8_t* skip_known(const uint8_t* p, const uint8_t* end, ScanMemo* memo, int* odd,
                               uint32_t* id) noexcept nogil:
    # behind one value that is likely to be known; its id, 0 when it is none to be remembered
    # A value's place follows from its beginning, the end and the length up to its first `}`. Who
    # makes values of one place gains nothing but the time of reading them.
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
                    if at < memo.beside_count:
                        prefetch(memo.beside + at * memo.beside_bytes)
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


cdef uint32_t expect(ScanMemo* memo, KeyToken* before, const uint8_t* begin, const uint8_t* end,
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
            before = memo.keys
        k = memo.key_count
        memo.key_count += 1
        token = memo.keys + k
        memcpy(token.text, begin, length)
        token.length = <uint32_t>length
        token.field = field
        token.score = token.width_score = FIRST_SCORE
    if before.after[0] != k:
        before.after[1] = before.after[0]
        before.after[0] = k
    return k


cdef inline void note_value(KeyToken* token, const uint8_t* start, size_t length, bint is_plain
                            ) noexcept nogil:
    # A value that was read because none was expected, or another. Where values differ all the time,
    # those may be of one length.
    if token.score > 0:
        if token.value_length:
            token.score -= 4
        token.value_length = 0
        if is_plain and length <= sizeof(token.value) and token.score > 0 and (
                start[0] == 34 or start[0] == 116 or start[0] == 102 or start[0] == 110):
            memcpy(token.value, start, length)
            token.value_length = <uint32_t>length
    elif token.width_score > 0:
        if token.width:
            token.width_score -= 4
        token.width = 0
        if is_plain and start[0] == 34 and length <= MAX_WIDTH + 2 and token.width_score > 0:
            token.width = <uint32_t>length - 2


cdef void note_shape(ValueShape* shape, const uint8_t* p, const uint8_t* end) noexcept nogil:
    # what stands around the texts of a value, which is JSON without escapes
    cdef const uint8_t* stop
    cdef const uint8_t* begin = p   # of the part
    cdef const uint8_t* text        # behind an opening quote
    cdef size_t used = 0
    cdef uint32_t count = 0
    shape.count = 0
    while True:
        while p < end and p[0] != 34:
            p += 1
        if p < end:
            text = p + 1
            stop = string_stop(text, end)
            if stop >= end:
                return
            p = skip_space(stop + 1, end)
            if p < end and p[0] == 58:
                continue  # a name
        else:
            text = stop = end
        if count == MAX_SHAPE_PARTS or used + (text - begin) > MAX_SHAPE_BYTES:
            return
        memcpy(shape.text + used, begin, text - begin)
        used += text - begin
        shape.ends[count] = <uint16_t>used
        count += 1
        if text == end:
            break
        begin = stop
    shape.count = count


cdef const uint8_t* skip_shaped(const uint8_t* start, const uint8_t* end, ValueShape* shape,
                                int* odd, int* escaped) noexcept nogil:
    # behind an object or a list that is likely to be as the one before it, but for its texts
    cdef const uint8_t* p = start
    cdef uint32_t k, begin = 0
    cdef int is_odd = 0
    for k in range(shape.count):
        if k:
            p = string_stop(p, end)  # what is no quote is not as expected
        if end - p <= AHEAD or not iamt_same(p, shape.text + begin, shape.ends[k] - begin):
            break
        p += shape.ends[k] - begin
        begin = shape.ends[k]
    else:
        if shape.count:
            shape.score += shape.score < 64
            return p
    p = skip_value(start, end, &is_odd, escaped)
    if p != NULL and shape.score > 0 and not is_odd and not escaped[0]:
        shape.score -= 1 + (shape.count != 0)
        if shape.score > 0:
            note_shape(shape, start, p)
        else:
            shape.count = 0
    odd[0] |= is_odd
    return p


cdef inline void credit(KeyToken* token, uint32_t hits) noexcept nogil:
    # so often a value was as expected, in a run
    token.score = 64 if hits >= <uint32_t>(64 - token.score) else token.score + <int32_t>hits


cdef inline KeyRun* other_run(KeyToken* head) noexcept nogil:
    # than the likely one
    return head.runs + (head.likely == head.runs)


cdef void note_run(KeyToken* head, const uint8_t* begin, const uint8_t* end, KeyToken* token,
                   const RunField* fields, uint32_t count) noexcept nogil:
    # what came between the value of one token and that of another, to be compared as a whole
    cdef KeyRun* run = other_run(head)
    if end - begin > MAX_RUN_BYTES:
        return
    head.likely = run
    memcpy(run.text, begin, end - begin)
    memcpy(run.fields, fields, count * sizeof(RunField))
    run.length, run.token, run.count, run.hits = <uint32_t>(end - begin), token, count, 0


cdef const uint8_t* scan_record(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                                ScanMemo* memo, uint32_t* slices, uint32_t* identity,
                                int* is_odd) noexcept nogil:
    """Take the record at p, which is at `{`, apart; behind its `}`, or NULL when it is no JSON.

    slices takes begin and length of every field; identity the id of the identity in the memo's
    values, 0 for a record without one.
    """
    cdef int field, odd = 0, escaped
    cdef uint32_t token_id, other, k, count = 0, hits = 0
    cdef KeyToken* token = memo.keys
    cdef KeyToken* head = memo.keys     # the token behind whose value the run begins
    cdef KeyRun* run
    cdef const uint8_t* run_begin
    cdef const uint8_t* start
    cdef const uint8_t* begin
    cdef RunField fields[MAX_RUN_FIELDS]    # of the run, as far as it goes by now
    cdef bint is_head = True            # does a run begin here?
    cdef bint is_run_new = False        # is the run longer than those behind its head?
    cdef bint is_far                    # from the end: what is expected may be compared
    cdef bint is_expected
    clear(slices, FIELD_COUNT)
    identity[0] = 0
    p = skip_space(p + 1, end)
    if p < end and p[0] == 125:
        is_odd[0] = 1
        return p + 1
    run_begin = p
    while True:  # p is behind a value, or behind the opening brace
        run = NULL
        if is_head and end - p > AHEAD and head.likely != NULL:
            run = head.likely
            if not iamt_same(p, run.text, run.length):
                hits += run.hits
                run.hits = 0
                run = other_run(head)
                if run.length == 0 or not iamt_same(p, run.text, run.length):
                    run = NULL
                else:
                    head.likely = run
        if run != NULL:
            run.hits += 1
            for k in range(run.count):
                field = run.fields[k].field
                if slices[2 * field + 1] != 0:
                    odd = 1
                if run.fields[k].length:
                    slices[2 * field] = <uint32_t>(p - base) + run.fields[k].begin
                    slices[2 * field + 1] = run.fields[k].length
            p += run.length
            token = run.token
            if token == NULL:
                break
            field = token.field
            start = p
            is_far = end - p > AHEAD
            is_run_new = False
        else:
            p = skip_space(p, end)
            if not is_head or head != memo.keys:
                if p >= end:
                    return NULL
                if p[0] == 125:
                    p += 1
                    if is_run_new and not odd:
                        note_run(head, run_begin, p, NULL, fields, count)
                    break
                if p[0] != 44:
                    return NULL
                p = skip_space(p + 1, end)
            if is_head:
                is_run_new = end - p > AHEAD
                count = 0
            token_id = token.after[0]
            other = token.after[1]
            is_far = end - p > AHEAD
            if is_far and token_id and iamt_same(
                    p, memo.keys[token_id].text, memo.keys[token_id].length):
                token = memo.keys + token_id
                field = token.field
                p += token.length
            elif is_far and other and iamt_same(p, memo.keys[other].text, memo.keys[other].length):
                token.after[1] = token_id
                token.after[0] = other
                token = memo.keys + other
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
                token = memo.keys + (0 if odd else expect(memo, token, begin - 1, p, field))
            start = skip_space(p, end)
            is_far = end - start > AHEAD
        escaped = 0
        is_expected = False
        if field == IDENTITY:
            p = skip_known(start, end, memo, &odd, identity)
        elif is_far and token.value_length and iamt_same(start, token.value, token.value_length):
            p = start + token.value_length  # such a value closes itself
            is_expected = True
            credit(token, hits + 1)
        elif is_far and token.width and start[0] == 34 and iamt_is_text(start + 1, token.width):
            p = start + 2 + token.width
            token.width_score += token.width_score < 64
        else:
            if start >= end:
                return NULL
            if start[0] == 34:
                p = skip_text(start + 1, end, &odd, &escaped)
            elif start[0] == 123 or start[0] == 91:
                p = skip_shaped(start, end, memo.shapes + (
                    TLS if field == TLS else (<size_t>field + ends_of(
                        base + slices[2 * NAME], slices[2 * NAME + 1])) % SHAPE_PLACES),
                    &odd, &escaped)
            else:
                p = skip_atom(start, end)
            if p != NULL and token != memo.keys:
                if token.value_length:
                    credit(token, hits)
                note_value(token, start, p - start, not odd and not escaped)
        if p == NULL:
            return NULL
        if is_expected and run != NULL:  # the run goes on: it will be noted as a longer one
            is_run_new = True
            count = run.count
            memcpy(fields, run.fields, count * sizeof(RunField))
        if not is_expected:
            if is_run_new and token != memo.keys and not odd:
                note_run(head, run_begin, start, token, fields, count)
            is_run_new = False
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
        if is_expected:
            is_head = False
            if field >= 0:
                if count == MAX_RUN_FIELDS:
                    is_run_new = False
                else:
                    fields[count].field = field
                    fields[count].begin = slices[2 * field] - <uint32_t>(run_begin - base)
                    fields[count].length = slices[2 * field + 1]
                    count += 1
        else:
            is_head = token != memo.keys
            head = token
            run_begin = p
            hits = 0
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
    return p
