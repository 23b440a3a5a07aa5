"""What single slices of a record say: listed ARNs, whether one is an S3 bucket or object, times.

The text has been checked by the scan. What is not understood at a glance is left to the reader.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from .scan cimport skip_space, string_stop

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
            stop = string_stop(name, end)
            if stop >= end or stop[0] != 34:
                return -1
            length = stop - name
            p = skip_space(stop + 1, end)
            if p >= end or p[0] != 58:
                return -1
            p = skip_space(p + 1, end)
            if p >= end or p[0] != 34:
                return -1
            stop = string_stop(p + 1, end)
            if stop >= end or stop[0] != 34:
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


cdef inline uint32_t digit(uint8_t c) noexcept nogil:
    # far more than 9 for what is none
    return <uint32_t>c - 48 if 48 <= c <= 57 else 100000


cdef inline int64_t of_day(const uint8_t* t) noexcept nogil:
    # `HH:MM:SS` as seconds; -1 for anything else
    cdef uint32_t hour = digit(t[0]) * 10 + digit(t[1])
    cdef uint32_t minute = digit(t[3]) * 10 + digit(t[4])
    cdef uint32_t second = digit(t[6]) * 10 + digit(t[7])
    if t[2] != 58 or t[5] != 58 or hour > 23 or minute > 59 or second > 59:
        return -1
    return hour * 3600 + minute * 60 + second


cdef int64_t day_of(const uint8_t* t) noexcept nogil:
    # `YYYY-MM-DD` as the second at which it begins; -1 for anything else, and for the last days of
    # a month: lengths of months are the reader's
    cdef uint32_t year = digit(t[0]) * 1000 + digit(t[1]) * 100 + digit(t[2]) * 10 + digit(t[3])
    cdef uint32_t month = digit(t[5]) * 10 + digit(t[6])
    cdef uint32_t day = digit(t[8]) * 10 + digit(t[9])
    cdef int64_t era_year
    if (t[4] != 45 or t[7] != 45 or year < 1970 or year > 9999 or not 1 <= month <= 12
            or not 1 <= day <= 28):
        return -1
    # days from civil, years counted from March
    era_year = <int64_t>year - (1 if month <= 2 else 0)
    return 86400 * (365 * era_year + era_year // 4 - era_year // 100 + era_year // 400
                    + (153 * (<int64_t>month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
                    - 719468)


cdef int64_t seconds_of(const uint8_t* t, size_t length, KnownDay* day) noexcept nogil:
    # `YYYY-MM-DDTHH:MM:SSZ`; -2 for anything else, which the reader looks at
    cdef int64_t begin, seconds
    if length != 20 or t[10] != 84 or t[19] != 90:
        return -2
    seconds = of_day(t + 11)
    if seconds < 0:
        return -2
    if memcmp(t, day.text, 8) != 0 or memcmp(t + 8, day.text + 8, 2) != 0:
        begin = day_of(t)
        if begin < 0:
            return -2
        memcpy(day.text, t, 10)
        day.begin = begin
    return day.begin + seconds


cdef uint64_t hash_of(const uint8_t* text, size_t length) noexcept nogil:
    # as Texts.hashes: by words of eight bytes, the last one filled up with zeros
    cdef uint64_t word, found = length
    while length > 8:
        memcpy(&word, text, 8)
        found = (found ^ word) * <uint64_t>0xD6E8FEB86659FD93
        found ^= found >> 29
        text += 8
        length -= 8
    word = 0
    if length == 4:  # as of a GUID
        memcpy(&word, text, 4)
    elif length:
        memcpy(&word, text, length)
    found = (found ^ word) * <uint64_t>0xD6E8FEB86659FD93
    return found ^ found >> 29
