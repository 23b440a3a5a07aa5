"""What single slices of a record say: listed ARNs, whether one is an S3 bucket or object, times.

The text has been checked by the scan. What is not understood at a glance is left to the reader.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from .scan cimport skip_space

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


cdef uint64_t hash_of(const uint8_t* text, size_t length) noexcept nogil:
    # as Texts.hashes: by words of eight bytes, the last one filled up with zeros
    cdef uint64_t word, found = length
    while True:
        word = 0
        memcpy(&word, text, length if length < 8 else 8)
        found = (found ^ word) * <uint64_t>0xD6E8FEB86659FD93
        found ^= found >> 29
        if length <= 8:
            return found
        text += 8
        length -= 8
