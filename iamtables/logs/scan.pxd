from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from iamtables.runtime.intern cimport InternTable

# The fields of a record that matter, in the order of `scan.FIELDS`.
cdef enum:
    SOURCE, NAME, ID, TIME, IDENTITY, REGION, RECIPIENT, ADDRESS, AGENT, ERROR, MESSAGE
    PARAMETERS, RESOURCES, TYPE, CATEGORY, VERSION, VPCE, VPCE_ACCOUNT, TLS, ADDITIONAL, STAMP
    ADDENDUM, EVENT_CONTEXT, FIELD_COUNT
    MEMO_KEYS = 64

cdef struct KeyToken:
    uint8_t text[64]        # `"eventName":` with its quotes and its colon
    uint32_t length         # 0: nothing is expected here
    int32_t field           # -1: a field that does not matter

cdef struct ScanMemo:
    KeyToken keys[MEMO_KEYS]    # what stood at each place of the last record that differed
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


cdef inline const uint8_t* find(const uint8_t* text, size_t length, const uint8_t* needle,
                                size_t needle_length) noexcept nogil:
    cdef const uint8_t* end = text + length
    cdef const uint8_t* at
    cdef size_t skip = needle_length > 1 and needle[0] == 34  # quotes are everywhere
    while <size_t>(end - text) >= needle_length:
        at = <const uint8_t*>memchr(text + skip, needle[skip], (end - text) - needle_length + 1)
        if at == NULL:
            return NULL
        at -= skip
        if memcmp(at, needle, needle_length) == 0:
            return at
        text = at + 1
    return NULL
