"""Slices and codes of CloudTrail records, without a Python object per record.

`Extractor.scan` walks a document or lines once, checks the JSON, and keeps where each field of each
record lies. `plans`, `callers`, `errors` and `calls` then number the distinct combinations that
the mapping depends on, and say at which records new ones first occur: only those are decoded, by
the library-based reader, and mapped. What the scanner does not handle itself (text that is not
ASCII, empty strings, wrong types, a field twice, nesting without end) makes a record *odd*: it is
left to that reader. A document that is not JSON, or no delivery file, is refused as a whole.
"""

import numpy as np

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

from iamtables.runtime.intern cimport (
    FIRST_ID, NO_ID, InternTable, intern_add, intern_bytes, intern_free, intern_init,
)

cdef extern from *:
    """
    #include <stdint.h>
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
    """
    const uint8_t* iamt_string_stop(const uint8_t* p, const uint8_t* end, int* high) noexcept nogil


cdef enum:
    SOURCE, NAME, ID, TIME, IDENTITY, REGION, RECIPIENT, ADDRESS, AGENT, ERROR, MESSAGE
    PARAMETERS, RESOURCES, TYPE, CATEGORY, VERSION, VPCE, VPCE_ACCOUNT, TLS, ADDITIONAL, STAMP
    FIELD_COUNT
    MAX_DEPTH = 48
    MAX_NEEDLES = 4096
    MAX_ARNS = 4

FIELDS = (b"eventSource", b"eventName", b"eventID", b"eventTime", b"userIdentity", b"awsRegion",
          b"recipientAccountId", b"sourceIPAddress", b"userAgent", b"errorCode", b"errorMessage",
          b"requestParameters", b"resources", b"eventType", b"eventCategory", b"eventVersion",
          b"vpcEndpointId", b"vpcEndpointAccountId", b"tlsDetails", b"additionalEventData",
          b"@timestamp")

# 1: any JSON value; 0: a string or null
cdef uint8_t IS_RAW[FIELD_COUNT]
cdef const uint8_t* NAMES[FIELD_COUNT]
cdef size_t NAME_LENGTH[FIELD_COUNT]
for _i, _name in enumerate(FIELDS):
    NAMES[_i] = <const uint8_t*><const char*>_name
    NAME_LENGTH[_i] = len(_name)
    IS_RAW[_i] = _i in (IDENTITY, PARAMETERS, RESOURCES, TLS, ADDITIONAL)

# First segments of other S3 resources: a bucket of such a name is not told from them here.
RESERVED = (b"accesspoint", b"access-grants", b"async-request", b"job", b"storage-lens",
            b"storage-lens-group")
cdef enum:
    RESERVED_COUNT = 6
cdef const uint8_t* RESERVED_AT[RESERVED_COUNT]
cdef size_t RESERVED_LENGTH[RESERVED_COUNT]
for _i, _name in enumerate(RESERVED):
    RESERVED_AT[_i] = <const uint8_t*><const char*>_name
    RESERVED_LENGTH[_i] = len(_name)

cdef const uint8_t* OPAQUE = b"Encoded authorization failure message"


# -- kernels: JSON ------------------------------------------------------------------------------

cdef inline const uint8_t* skip_space(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p


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


cdef const uint8_t* scan_record(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                                uint32_t* slices, int* is_odd) noexcept nogil:
    # p is at `{`; slices takes begin and length of every field; returns behind `}` or NULL
    cdef int i, field, odd = 0, escaped
    cdef const uint8_t* start
    cdef const uint8_t* begin
    for i in range(2 * FIELD_COUNT):
        slices[i] = 0
    p = skip_space(p + 1, end)
    if p < end and p[0] == 125:
        is_odd[0] = 1
        return p + 1
    while True:
        p = skip_space(p, end)
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
        start = skip_space(p + 1, end)
        escaped = 0
        p = skip_value(start, end, &odd, &escaped)
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
    if odd:
        is_odd[0] = 1
    return p + 1


cdef inline const uint8_t* find(const uint8_t* text, size_t length, const uint8_t* needle,
                                size_t needle_length) noexcept nogil:
    cdef const uint8_t* end = text + length
    cdef const uint8_t* at
    while <size_t>(end - text) >= needle_length:
        at = <const uint8_t*>memchr(text, needle[0], (end - text) - needle_length + 1)
        if at == NULL:
            return NULL
        if memcmp(at, needle, needle_length) == 0:
            return at
        text = at + 1
    return NULL


cdef int find_arns(const uint8_t* base, const uint8_t* p, const uint8_t* end,
                   uint32_t* arns) noexcept nogil:
    # begin and length of the ARN of each entry of `resources[]`, at most MAX_ARNS; -1 when an entry
    # has another shape than names with texts. The text is JSON, which has been checked
    cdef int count = 0
    cdef const uint8_t* name
    cdef const uint8_t* stop
    cdef size_t length
    cdef bint has_arn
    if p >= end or p[0] != 91:
        return -1
    p = skip_space(p + 1, end)
    while p < end and p[0] == 123:
        if count == MAX_ARNS:
            return -1
        has_arn = False
        p = skip_space(p + 1, end)
        while p < end and p[0] == 34:
            name = p + 1
            stop = <const uint8_t*>memchr(name, 34, end - name)
            if stop == NULL or memchr(name, 92, stop - name) != NULL:
                return -1
            length = stop - name
            p = skip_space(stop + 1, end)
            if p >= end or p[0] != 58:
                return -1
            p = skip_space(p + 1, end)
            if p >= end or p[0] != 34:
                return -1
            stop = <const uint8_t*>memchr(p + 1, 34, end - p - 1)
            if stop == NULL or memchr(p, 92, stop - p) != NULL:
                return -1
            if length == 3 and (memcmp(name, "ARN", 3) == 0 or memcmp(name, "arn", 3) == 0):
                if has_arn:
                    return -1
                has_arn = True
                arns[2 * count] = <uint32_t>(p + 1 - base)
                arns[2 * count + 1] = <uint32_t>(stop - p - 1)
            p = skip_space(stop + 1, end)
            if p < end and p[0] == 44:
                p = skip_space(p + 1, end)
        if p >= end or p[0] != 125:
            return -1
        count += has_arn
        p = skip_space(p + 1, end)
        if p < end and p[0] == 44:
            p = skip_space(p + 1, end)
    return count


cdef uint8_t bucket_or_object(const uint8_t* arn, size_t length) noexcept nogil:
    # `B` or `O` for what can only be the ARN of a bucket or of an object, else 0
    cdef const uint8_t* slash
    cdef int i
    if length < 14 or memcmp(arn, "arn:aws:s3:::", 13) != 0 or arn[length - 1] == 41:
        return 0  # `...(truncated)` is no ARN
    slash = <const uint8_t*>memchr(arn + 13, 47, length - 13)
    if slash == NULL:
        return 66
    for i in range(RESERVED_COUNT):
        if <size_t>(slash - arn - 13) == RESERVED_LENGTH[i] and memcmp(
                arn + 13, RESERVED_AT[i], RESERVED_LENGTH[i]) == 0:
            return 0
    if slash == arn + 13 or slash == arn + length - 1:
        return 0
    return 79


cdef inline int digit(uint8_t c) noexcept nogil:
    return c - 48 if 48 <= c <= 57 else -100000


cdef int64_t seconds_of(const uint8_t* t, size_t length) noexcept nogil:
    # `YYYY-MM-DDTHH:MM:SSZ`; -2 for anything else, which the reader looks at
    cdef int year, month, day, hour, minute, second
    cdef int64_t era_year, days
    cdef int month_days[12]
    if (length != 20 or t[4] != 45 or t[7] != 45 or t[10] != 84 or t[13] != 58 or t[16] != 58
            or t[19] != 90):
        return -2
    year = digit(t[0]) * 1000 + digit(t[1]) * 100 + digit(t[2]) * 10 + digit(t[3])
    month = digit(t[5]) * 10 + digit(t[6])
    day = digit(t[8]) * 10 + digit(t[9])
    hour = digit(t[11]) * 10 + digit(t[12])
    minute = digit(t[14]) * 10 + digit(t[15])
    second = digit(t[17]) * 10 + digit(t[18])
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= 28 or hour < 0 or hour > 23 \
            or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -2  # also the last days of a month: lengths of months are the reader's
    # days from civil, years counted from March
    era_year = year - (1 if month <= 2 else 0)
    days = (365 * era_year + era_year // 4 - era_year // 100 + era_year // 400
            + (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1 - 719468)
    return days * 86400 + hour * 3600 + minute * 60 + second


# -- owner and doorways -------------------------------------------------------------------------

cdef class Extractor:
    """Buffers and code tables of one reader. Not to be shared between threads.

    Codes count from 0 in order of first appearance, and stay valid until `forget`.
    """

    cdef InternTable plan_table, caller_table, error_table, call_table, shape_table, given_table
    cdef uint32_t* arns
    cdef uint32_t* slices
    cdef uint32_t* bounds
    cdef uint8_t* odd
    cdef size_t room
    cdef uint8_t* scratch
    cdef size_t scratch_size
    cdef object data
    cdef const uint8_t* base
    cdef readonly size_t count
    """Records of the last scan."""
    cdef uint32_t caller_mask
    cdef list needles
    cdef const uint8_t* needle_at[MAX_NEEDLES]
    cdef size_t needle_length[MAX_NEEDLES]
    cdef size_t needle_count

    def __cinit__(self, uint64_t seed):
        self.plan_table.slots = self.caller_table.slots = NULL
        if (intern_init(&self.plan_table, seed) or intern_init(&self.caller_table, seed)
                or intern_init(&self.error_table, seed) or intern_init(&self.call_table, seed)
                or intern_init(&self.shape_table, seed) or intern_init(&self.given_table, seed)):
            raise MemoryError
        self.needles = []

    def __dealloc__(self):
        intern_free(&self.plan_table)
        intern_free(&self.caller_table)
        intern_free(&self.error_table)
        intern_free(&self.call_table)
        intern_free(&self.shape_table)
        intern_free(&self.given_table)
        free(self.arns)
        free(self.slices)
        free(self.bounds)
        free(self.odd)
        free(self.scratch)

    @property
    def key_bytes(self):
        """Memory of the code tables."""
        return (intern_bytes(&self.caller_table) + intern_bytes(&self.call_table)
                + intern_bytes(&self.plan_table) + intern_bytes(&self.given_table))

    cdef int grow(self, size_t records) noexcept nogil:
        cdef size_t room = records * 2 if records * 2 > 1024 else 1024
        cdef void* moved
        moved = realloc(self.slices, room * 2 * FIELD_COUNT * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.slices = <uint32_t*>moved
        moved = realloc(self.bounds, room * 2 * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.bounds = <uint32_t*>moved
        moved = realloc(self.arns, room * 2 * MAX_ARNS * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.arns = <uint32_t*>moved
        moved = realloc(self.odd, room)
        if moved == NULL:
            return -1
        self.odd = <uint8_t*>moved
        self.room = room
        return 0

    def scan(self, bytes data not None, bint is_lines):
        """Take the records of a document, or of lines, apart. Returns their number, or -1.

        -1: the text is no delivery file, or no JSON; the reader has to look at it.
        The slices are valid until the next scan. Releases the GIL.
        """
        cdef const uint8_t* base = <const uint8_t*><const char*>data
        cdef size_t size = len(data)
        cdef int64_t found
        if size >= 0xFFFFFFF0u:
            return -1
        self.data = data
        self.base = base
        self.count = 0
        with nogil:
            found = (self.scan_lines(base, base + size) if is_lines
                     else self.scan_document(base, base + size))
        if found == -2:
            raise MemoryError
        return found

    cdef int64_t scan_one(self, const uint8_t** at, const uint8_t* end) noexcept nogil:
        cdef int odd = 0
        cdef size_t i = self.count
        cdef const uint8_t* p
        if i == self.room and self.grow(i + 1):
            return -2
        p = scan_record(self.base, at[0], end, self.slices + i * 2 * FIELD_COUNT, &odd)
        if p == NULL:
            return -1
        self.bounds[2 * i] = <uint32_t>(at[0] - self.base)
        self.bounds[2 * i + 1] = <uint32_t>(p - self.base)
        self.odd[i] = odd
        self.count = i + 1
        at[0] = p
        return 0

    cdef int64_t scan_document(self, const uint8_t* p, const uint8_t* end) noexcept nogil:
        cdef int64_t status
        p = skip_space(p, end)
        if p >= end or p[0] != 123:
            return -1
        p = skip_space(p + 1, end)
        if end - p < 9 or memcmp(p, b'"Records"', 9) != 0:
            return -1
        p = skip_space(p + 9, end)
        if p >= end or p[0] != 58:
            return -1
        p = skip_space(p + 1, end)
        if p >= end or p[0] != 91:
            return -1
        p = skip_space(p + 1, end)
        if p < end and p[0] == 93:
            p += 1
        else:
            while True:
                p = skip_space(p, end)
                if p >= end or p[0] != 123:
                    return -1
                status = self.scan_one(&p, end)
                if status:
                    return status
                p = skip_space(p, end)
                if p >= end:
                    return -1
                if p[0] == 93:
                    p += 1
                    break
                if p[0] != 44:
                    return -1
                p += 1
        p = skip_space(p, end)
        if p >= end or p[0] != 125:
            return -1
        p = skip_space(p + 1, end)
        return <int64_t>self.count if p == end else -1

    cdef int64_t scan_lines(self, const uint8_t* p, const uint8_t* end) noexcept nogil:
        cdef const uint8_t* stop
        cdef const uint8_t* behind
        cdef int64_t status
        while p < end:
            stop = <const uint8_t*>memchr(p, 10, end - p)
            if stop == NULL:
                stop = end
            behind = skip_space(p, stop)
            if behind < stop:
                if behind[0] != 123:
                    return -1
                status = self.scan_one(&behind, stop)
                if status:
                    return status
                if skip_space(behind, stop) != stop:
                    return -1
            p = stop + 1
        return <int64_t>self.count

    def odd_records(self):
        """bool[count]: records that the reader has to decode itself."""
        return np.frombuffer(<bytes>(<char*>self.odd)[:self.count], dtype=np.uint8).astype(bool)

    def record(self, size_t index):
        """The JSON text of a record."""
        if index >= self.count:
            raise IndexError(index)
        return (<char*>self.base)[self.bounds[2 * index]:self.bounds[2 * index + 1]]

    def longest(self):
        """Length of the longest record in bytes."""
        cdef size_t i, longest = 0
        for i in range(self.count):
            if self.bounds[2 * i + 1] - self.bounds[2 * i] > longest:
                longest = self.bounds[2 * i + 1] - self.bounds[2 * i]
        return longest

    cdef int ensure(self, size_t size) noexcept nogil:
        cdef void* moved
        if size > self.scratch_size:
            moved = realloc(self.scratch, size * 2)
            if moved == NULL:
                return -1
            self.scratch = <uint8_t*>moved
            self.scratch_size = size * 2
        return 0

    cdef inline size_t put(self, size_t used, const uint32_t* slices, int field) noexcept nogil:
        # length and content of a field; the caller has ensured room
        cdef uint32_t length = slices[2 * field + 1]
        memcpy(self.scratch + used, &length, 4)
        memcpy(self.scratch + used + 4, self.base + slices[2 * field], length)
        return used + 4 + length

    cdef int64_t code_fields(self, InternTable* table, uint32_t fields, int32_t* codes,
                             int32_t* first) noexcept nogil:
        cdef size_t i, used, need
        cdef size_t fresh = 0
        cdef int field
        cdef uint32_t id, before
        cdef const uint32_t* slices
        for i in range(self.count):
            if self.odd[i]:
                codes[i] = -1
                continue
            slices = self.slices + i * 2 * FIELD_COUNT
            need = 0
            for field in range(FIELD_COUNT):
                if fields >> field & 1:
                    need += 4 + slices[2 * field + 1]
            if self.ensure(need):
                return -1
            used = 0
            for field in range(FIELD_COUNT):
                if fields >> field & 1:
                    used = self.put(used, slices, field)
            before = <uint32_t>table.count
            id = intern_add(table, self.scratch, used)
            if id == NO_ID:
                return -1
            if table.count != before:
                first[fresh] = <int32_t>i
                fresh += 1
            codes[i] = <int32_t>(id - FIRST_ID)
        return <int64_t>fresh

    cdef code(self, InternTable* table, uint32_t fields):
        cdef int32_t[::1] codes = np.empty(self.count, dtype=np.int32)
        cdef int32_t[::1] first = np.empty(self.count, dtype=np.int32)
        cdef int64_t fresh
        if not self.count:
            return np.asarray(codes), np.asarray(first)
        with nogil:
            fresh = self.code_fields(table, fields, &codes[0], &first[0])
        if fresh < 0:
            raise MemoryError
        return np.asarray(codes), np.asarray(first)[:fresh]

    def plans(self):
        """(codes int32[count], records with a new one): source, name, event type and category."""
        return self.code(&self.plan_table, 1 << SOURCE | 1 << NAME | 1 << TYPE | 1 << CATEGORY)

    def callers(self, bint network, bint agent, bint tls, bint additional):
        """The same for what is known of the caller; the flags add the fields that keys need."""
        cdef uint32_t fields = 1 << IDENTITY | 1 << REGION | 1 << RECIPIENT
        if network:
            fields |= 1 << ADDRESS | 1 << VPCE | 1 << VPCE_ACCOUNT
        if agent:
            fields |= 1 << AGENT
        if tls:
            fields |= 1 << TLS
        if additional:
            fields |= 1 << ADDITIONAL
        return self.code(&self.caller_table, fields)

    def errors(self):
        """The same for the error code; no error is a code, too."""
        return self.code(&self.error_table, 1 << ERROR)

    def set_needles(self, list needles not None):
        """All needles that plans refer to by number: at most MAX_NEEDLES, each not empty."""
        cdef size_t i
        if len(needles) > MAX_NEEDLES:
            raise ValueError("too many needles")
        self.needles = list(needles)
        self.needle_count = len(needles)
        for i in range(self.needle_count):
            self.needle_at[i] = <const uint8_t*><const char*>(<bytes>self.needles[i])
            self.needle_length[i] = len(self.needles[i])

    def shapes(self, const int32_t[::1] plan, const int32_t[::1] error,
               const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
               const uint8_t[::1] is_denial):
        """(codes int32[count], records with a new one); -1 for records without a shape.

        Records of plans with the flag BY_SHAPE 32 have one when their resources are buckets and
        objects, none of the plan's needles is in their parameters, and no message is worth reading:
        then all of one shape have the same requests but for the resource.
        """
        cdef int32_t[::1] codes = np.empty(self.count, dtype=np.int32)
        cdef int32_t[::1] first = np.empty(self.count, dtype=np.int32)
        cdef int64_t fresh
        if not self.count:
            return np.asarray(codes), np.asarray(first)
        if (len(plan) != self.count or len(error) != self.count
                or len(plan_needles) != len(plan_flags)):
            raise ValueError("codes of another scan")
        if (np.max(plan) >= len(plan_flags) or np.max(error) >= len(is_denial)
                or np.max(plan_needles, initial=0) > <int64_t>self.needle_count):
            raise ValueError("a code without its flags")
        with nogil:
            fresh = self.code_shapes(&plan[0], &error[0], &plan_flags[0], &plan_needles[0, 0],
                                     &is_denial[0], &codes[0], &first[0])
        if fresh < 0:
            raise MemoryError
        return np.asarray(codes), np.asarray(first)[:fresh]

    cdef int64_t code_shapes(
        self, const int32_t* plan, const int32_t* error, const uint8_t* plan_flags,
        const int32_t* plan_needles, const uint8_t* is_denial, int32_t* codes, int32_t* first
    ) noexcept nogil:
        cdef size_t i, fresh = 0
        cdef int k, count
        cdef int32_t needle
        cdef uint32_t id, before
        cdef uint8_t kind
        cdef const uint32_t* slices
        cdef uint32_t* arns
        if self.ensure(16 + MAX_ARNS):
            return -1
        for i in range(self.count):
            codes[i] = -1
            if self.odd[i] or plan[i] < 0 or plan_flags[plan[i]] & 48 != 32:
                continue
            slices = self.slices + i * 2 * FIELD_COUNT
            if slices[2 * MESSAGE + 1] and is_denial[error[i]] == 1:
                continue
            if slices[2 * PARAMETERS + 1] == 0 or self.base[slices[2 * PARAMETERS]] != 123:
                continue
            arns = self.arns + i * 2 * MAX_ARNS
            count = find_arns(self.base, self.base + slices[2 * RESOURCES],
                              self.base + slices[2 * RESOURCES] + slices[2 * RESOURCES + 1], arns)
            if count < 1:
                continue
            kind = 1
            for k in range(count):
                kind = bucket_or_object(self.base + arns[2 * k], arns[2 * k + 1])
                if kind == 0:
                    break
                self.scratch[9 + k] = kind
            if kind == 0 or (count > 1 and self.has_twice(arns, count)):
                continue
            kind = 1
            for needle in range(plan_needles[2 * plan[i]], plan_needles[2 * plan[i] + 1]):
                if find(self.base + slices[2 * PARAMETERS], slices[2 * PARAMETERS + 1],
                        self.needle_at[needle], self.needle_length[needle]) != NULL:
                    kind = 0
                    break
            if kind == 0:
                continue
            memcpy(self.scratch, &plan[i], 4)
            memcpy(self.scratch + 4, &error[i], 4)
            self.scratch[8] = slices[2 * MESSAGE + 1] != 0 and is_denial[error[i]] == 2
            before = <uint32_t>self.shape_table.count
            id = intern_add(&self.shape_table, self.scratch, 9 + count)
            if id == NO_ID:
                return -1
            if self.shape_table.count != before:
                first[fresh] = <int32_t>i
                fresh += 1
            codes[i] = <int32_t>(id - FIRST_ID)
        return <int64_t>fresh

    cdef bint has_twice(self, const uint32_t* arns, int count) noexcept nogil:
        cdef int a, b
        for a in range(count):
            for b in range(a):
                if arns[2 * a + 1] == arns[2 * b + 1] and memcmp(
                        self.base + arns[2 * a], self.base + arns[2 * b], arns[2 * a + 1]) == 0:
                    return True
        return False

    def given(self, const int32_t[::1] shape, const int8_t[::1] place):
        """(codes int32[count], records with a new one): shape and its one resource; -1 without.

        place : by shape, which of the ARNs is the resource; -1 for shapes to go without
        """
        cdef int32_t[::1] codes = np.full(self.count, -1, dtype=np.int32)
        cdef int32_t[::1] first = np.empty(self.count, dtype=np.int32)
        cdef size_t i, fresh = 0
        cdef uint32_t id, before, length
        cdef const uint32_t* arn
        cdef bint is_short = False
        if not self.count:
            return np.asarray(codes), np.asarray(first)
        if len(shape) != self.count or np.max(shape) >= len(place) or (
                len(place) and np.max(place) >= MAX_ARNS):
            raise ValueError("a shape without its place")
        with nogil:
            for i in range(self.count):
                if shape[i] < 0 or place[shape[i]] < 0:
                    continue
                arn = self.arns + i * 2 * MAX_ARNS + 2 * place[shape[i]]
                length = arn[1]
                if self.ensure(4 + length):
                    is_short = True
                    break
                memcpy(self.scratch, &shape[i], 4)
                memcpy(self.scratch + 4, self.base + arn[0], length)
                before = <uint32_t>self.given_table.count
                id = intern_add(&self.given_table, self.scratch, 4 + length)
                if id == NO_ID:
                    is_short = True
                    break
                if self.given_table.count != before:
                    first[fresh] = <int32_t>i
                    fresh += 1
                codes[i] = <int32_t>(id - FIRST_ID)
        if is_short:
            raise MemoryError
        return np.asarray(codes), np.asarray(first)[:fresh]

    def arn_texts(self, const int32_t[::1] records, const int32_t[::1] shape,
                  const int8_t[::1] place):
        """The resources of records, as texts."""
        cdef list texts = []
        cdef const uint32_t* arn
        cdef int32_t i
        for i in records:
            if not 0 <= i < <int64_t>self.count or shape[i] < 0 or place[shape[i]] < 0:
                raise IndexError(i)
            arn = self.arns + <size_t>i * 2 * MAX_ARNS + 2 * place[shape[i]]
            texts.append((<const char*>self.base)[arn[0]:arn[0] + arn[1]].decode("ascii"))
        return texts

    def calls(self, const int32_t[::1] plan, const int32_t[::1] caller, const int32_t[::1] error,
              const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
              const uint8_t[::1] is_denial, const int32_t[::1] done):
        """The same for calls: what the mapping of a record depends on beside its caller.

        plan_flags   : by plan, PARAMETERS_SOME 1, PARAMETERS_ALL 2, RESOURCES 4, SELF 8, BAD 16
        plan_needles : by plan, [first, behind) into the needles
        is_denial    : by error code, 1 when the message is worth reading, 2 for no error
        done         : the codes of `given`: records that have one are left out
        """
        cdef int32_t[::1] codes = np.empty(self.count, dtype=np.int32)
        cdef int32_t[::1] first = np.empty(self.count, dtype=np.int32)
        cdef int64_t fresh
        if not self.count:
            return np.asarray(codes), np.asarray(first)
        if (len(done) != self.count or len(plan) != self.count or len(caller) != self.count or len(error) != self.count
                or len(plan_needles) != len(plan_flags)):
            raise ValueError("codes of another scan")
        if (np.max(plan) >= len(plan_flags) or np.max(error) >= len(is_denial)
                or np.max(plan_needles, initial=0) > <int64_t>self.needle_count):
            raise ValueError("a code without its flags")
        with nogil:
            fresh = self.code_calls(&plan[0], &caller[0], &error[0], &plan_flags[0],
                                    &plan_needles[0, 0], &is_denial[0], &done[0], &codes[0],
                                    &first[0])
        if fresh < 0:
            raise MemoryError
        return np.asarray(codes), np.asarray(first)[:fresh]

    cdef int64_t code_calls(
        self, const int32_t* plan, const int32_t* caller, const int32_t* error,
        const uint8_t* plan_flags, const int32_t* plan_needles, const uint8_t* is_denial,
        const int32_t* done, int32_t* codes, int32_t* first
    ) noexcept nogil:
        cdef size_t i, used, fresh = 0
        cdef int32_t needle, whose
        cdef uint32_t id, before, length
        cdef uint8_t flags
        cdef bint is_shown
        cdef const uint32_t* slices
        cdef const uint8_t* message
        cdef const uint8_t* stop
        for i in range(self.count):
            if (self.odd[i] or plan[i] < 0 or caller[i] < 0 or done[i] >= 0
                    or plan_flags[plan[i]] & 16):
                codes[i] = -1
                continue
            slices = self.slices + i * 2 * FIELD_COUNT
            flags = plan_flags[plan[i]]
            if self.ensure(64 + <size_t>slices[2 * MESSAGE + 1] + slices[2 * PARAMETERS + 1]
                           + slices[2 * RESOURCES + 1] + slices[2 * REGION + 1]
                           + slices[2 * RECIPIENT + 1]):
                return -1
            memcpy(self.scratch, &plan[i], 4)
            memcpy(self.scratch + 4, &error[i], 4)
            whose = caller[i] if flags & 8 else -1
            memcpy(self.scratch + 8, &whose, 4)
            used = 12
            length = 0
            if slices[2 * MESSAGE + 1]:
                if is_denial[error[i]] == 1:
                    message = self.base + slices[2 * MESSAGE]
                    length = slices[2 * MESSAGE + 1]
                    stop = find(message, length, OPAQUE, 37)
                    if stop != NULL:
                        length = <uint32_t>(stop - message)
                    memcpy(self.scratch + used + 4, message, length)
                elif is_denial[error[i]] == 2:
                    length = 1
                    self.scratch[used + 4] = 63
            memcpy(self.scratch + used, &length, 4)
            used += 4 + length
            is_shown = (flags & 2) != 0
            if flags & 1:
                if slices[2 * PARAMETERS + 1] == 0 or self.base[slices[2 * PARAMETERS]] != 123:
                    is_shown = True
                for needle in range(plan_needles[2 * plan[i]], plan_needles[2 * plan[i] + 1]):
                    if is_shown:
                        break
                    is_shown = find(self.base + slices[2 * PARAMETERS],
                                    slices[2 * PARAMETERS + 1], self.needle_at[needle],
                                    self.needle_length[needle]) != NULL
            self.scratch[used] = is_shown
            used += 1
            if is_shown:
                used = self.put(used, slices, PARAMETERS)
            if flags & 4:
                used = self.put(used, slices, RESOURCES)
                used = self.put(used, slices, REGION)
                used = self.put(used, slices, RECIPIENT)
            before = <uint32_t>self.call_table.count
            id = intern_add(&self.call_table, self.scratch, used)
            if id == NO_ID:
                return -1
            if self.call_table.count != before:
                first[fresh] = <int32_t>i
                fresh += 1
            codes[i] = <int32_t>(id - FIRST_ID)
        return <int64_t>fresh

    def times(self):
        """int64[count]: Unix seconds; -2 where the reader has to look at the text."""
        cdef int64_t[::1] out = np.empty(self.count, dtype=np.int64)
        cdef size_t i
        cdef const uint32_t* slices
        if not self.count:
            return np.asarray(out)
        with nogil:
            for i in range(self.count):
                slices = self.slices + i * 2 * FIELD_COUNT
                if slices[2 * TIME + 1]:
                    out[i] = seconds_of(self.base + slices[2 * TIME], slices[2 * TIME + 1])
                elif slices[2 * STAMP + 1]:
                    out[i] = seconds_of(self.base + slices[2 * STAMP], slices[2 * STAMP + 1])
                else:
                    out[i] = -1
        return np.asarray(out)

    def time_text(self, size_t index):
        """The time stamp of a record as it is written."""
        cdef const uint32_t* slices
        cdef int field
        if index >= self.count:
            raise IndexError(index)
        slices = self.slices + index * 2 * FIELD_COUNT
        field = TIME if slices[2 * TIME + 1] else STAMP
        return (<char*>self.base)[slices[2 * field]:slices[2 * field] + slices[2 * field + 1]]

    def ids(self):
        """(bytes, int64[count + 1]): all event IDs end to end, and where each begins."""
        cdef int64_t[::1] offsets = np.zeros(self.count + 1, dtype=np.int64)
        cdef size_t i
        cdef int64_t total = 0
        cdef const uint32_t* slices
        for i in range(self.count):
            total += self.slices[i * 2 * FIELD_COUNT + 2 * ID + 1]
            offsets[i + 1] = total
        cdef uint8_t[::1] out = np.empty(max(total, 1), dtype=np.uint8)
        with nogil:
            for i in range(self.count):
                slices = self.slices + i * 2 * FIELD_COUNT
                memcpy(&out[0] + offsets[i], self.base + slices[2 * ID], slices[2 * ID + 1])
        return np.asarray(out)[:total], np.asarray(offsets)

    def forget(self, uint64_t seed):
        """Drop all codes but those of plans and errors."""
        intern_free(&self.caller_table)
        intern_free(&self.call_table)
        intern_free(&self.shape_table)
        intern_free(&self.given_table)
        if (intern_init(&self.caller_table, seed) or intern_init(&self.call_table, seed)
                or intern_init(&self.shape_table, seed) or intern_init(&self.given_table, seed)):
            raise MemoryError

    def forget_plans(self, uint64_t seed):
        """Drop all codes."""
        intern_free(&self.plan_table)
        intern_free(&self.error_table)
        if intern_init(&self.plan_table, seed) or intern_init(&self.error_table, seed):
            raise MemoryError
        self.forget(seed)
