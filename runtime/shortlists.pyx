"""Long lists of statements, cut down to what one class of resources leaves of them.

A thousand statements that name a bucket each are a thousand entries of one list, of which a resource
matches one or none. An index of the list by resource set finds these without a look at the others;
what is found is a list of its own, in the same order and with the same answers for that class.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport qsort

from .classify cimport CELL_YES, sort_words
from .engine cimport SET_ANY, SET_UNREADABLE
from .intern cimport NO_ID
from .words cimport Words, words_reserve


cdef inline size_t entry_words(const uint32_t* entry) noexcept nogil:
    """Statement, resource set, flags | test count, tests."""
    return 3 + (entry[2] & 0xFFFF)


cdef int by_value(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t*>a)[0], y = (<const uint64_t*>b)[0]
    return (x > y) - (x < y)


cdef inline uint64_t* index_longs(const uint32_t* index) noexcept nogil:
    return <uint64_t*>(index + 4 + index[1] // 2 * 2)


cdef int index_list(Words* indexes, const uint32_t* words) noexcept nogil:
    """Append the index of a list; -1 when memory is short.

    bound count, free count, where the allows begin, offsets of the entries for any resource; then, at
    an even place, set and offset of each of the others as one long, ascending.
    """
    cdef size_t entries = words[0] + words[1], e, at = 2, bound = 0, unbound = 0
    cdef uint32_t* index
    cdef uint64_t* longs
    for e in range(entries):
        bound += words[at + 1] != SET_ANY and words[at + 1] != SET_UNREADABLE
        at += entry_words(words + at)
    if words_reserve(indexes, 2 * entries + 4):
        return -1
    index = indexes.data + indexes.count
    index[0] = <uint32_t>bound
    index[1] = <uint32_t>(entries - bound)
    index[2] = NO_ID
    longs = index_longs(index)
    at = 2
    bound = 0
    for e in range(entries):
        if e == words[0]:
            index[2] = <uint32_t>at
        if words[at + 1] != SET_ANY and words[at + 1] != SET_UNREADABLE:
            longs[bound] = <uint64_t>words[at + 1] << 32 | at
            bound += 1
        else:
            index[3 + unbound] = <uint32_t>at
            unbound += 1
        at += entry_words(words + at)
    qsort(longs, bound, sizeof(uint64_t), by_value)
    indexes.count += 2 * entries + 4
    return 0


cdef int choose(Words* chosen, size_t offset, uint32_t state) noexcept nogil:
    if words_reserve(chosen, 1):
        return -1
    chosen.data[chosen.count] = <uint32_t>(offset << 2) | state
    chosen.count += 1
    return 0


cdef int shorten_list(const uint32_t* words, const uint32_t* index, const uint32_t* row,
                      Words* chosen, Words* out) noexcept nogil:
    """Put into `out` what a resource's row leaves of a list: 1, or 0 if that is not much shorter.

    A set that the row matches for certain becomes SET_ANY.
    -1 when memory is short. `chosen` is room to work in.
    """
    cdef const uint64_t* longs = index_longs(index)
    cdef size_t entries = words[0] + words[1], bound = index[0], i, low, high, middle, at
    cdef size_t denies = 0, most = entries // 2, size = 2
    cdef uint64_t set_id
    cdef uint32_t state
    cdef const uint32_t* entry
    chosen.count = out.count = 0
    if index[1] > most:
        return 0
    for i in range(index[1]):
        if choose(chosen, index[3 + i], 0):
            return -1
    for i in range(1, row[0] + 1):
        set_id = row[i] >> 2
        low = 0
        high = bound
        while low < high:
            middle = (low + high) >> 1
            if longs[middle] >> 32 < set_id:
                low = middle + 1
            else:
                high = middle
        while low < bound and longs[low] >> 32 == set_id:
            if choose(chosen, <uint32_t>longs[low], row[i] & 3):
                return -1
            low += 1
        if chosen.count > most:
            return 0
    sort_words(chosen.data, chosen.count)
    for i in range(chosen.count):
        size += entry_words(words + (chosen.data[i] >> 2))
    if size > SHORTLIST_WORDS:
        return 0
    if words_reserve(out, size):
        return -1
    at = 2
    for i in range(chosen.count):
        state = chosen.data[i] & 3
        entry = words + (chosen.data[i] >> 2)
        denies += chosen.data[i] >> 2 < index[2]
        for low in range(entry_words(entry)):
            out.data[at + low] = entry[low]
        if state == CELL_YES:
            out.data[at + 1] = SET_ANY
        at += entry_words(entry)
    out.data[0] = <uint32_t>denies
    out.data[1] = <uint32_t>(chosen.count - denies)
    out.count = size
    return 1
