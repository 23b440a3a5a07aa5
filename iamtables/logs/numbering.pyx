"""Distinct keys numbered in the order of their first row, rows counted by pairs of codes, and what
else an audit of a cache finds out about all records of a batch at once.

Keys that lie near each other have a table of all there could be, others an open-addressing table.
Keys are made of codes and not chosen by whoever writes a log, so a multiplication is hash enough.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef enum:
    FIRST_BITS = 10
    MANY_BITS = 16      # up to here a table grows by more, since what it holds is moved each time
    SPREAD = 4          # keys that spread over so many times their number have a table of all of them
    LEAST = 4096

cdef struct Slot:
    int64_t key
    int64_t number      # -1: empty

cdef struct Numbers:
    Slot* slots
    size_t mask
    int shift
    size_t count


cdef int make(Numbers* table, int bits) noexcept nogil:
    cdef size_t size = (<size_t>1 << bits) * sizeof(Slot)
    table.slots = <Slot*>malloc(size)
    if table.slots == NULL:
        return -1
    memset(table.slots, 0xFF, size)
    table.mask = (<size_t>1 << bits) - 1
    table.shift = 64 - bits
    table.count = 0
    return 0


cdef inline Slot* find(const Numbers* table, int64_t key) noexcept nogil:
    # the slot of a key, or the empty one where it belongs
    cdef size_t at = <size_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> table.shift)
    while table.slots[at].number >= 0 and table.slots[at].key != key:
        at = (at + 1) & table.mask
    return table.slots + at


cdef int grow(Numbers* table) noexcept nogil:
    cdef Numbers wider
    cdef size_t at
    cdef int bits = 64 - table.shift
    if make(&wider, bits + (3 if bits < MANY_BITS else 1)):
        return -1
    for at in range(table.mask + 1):
        if table.slots[at].number >= 0:
            find(&wider, table.slots[at].key)[0] = table.slots[at]
    wider.count = table.count
    free(table.slots)
    table[0] = wider
    return 0


cdef int number_near(const int64_t* keys, size_t n, int64_t least, size_t span, int32_t* numbers,
                     int32_t* first, size_t* count) noexcept nogil:
    # Guard has proved: every key is within `least` and `least` + `span`; n fits int32.
    cdef int32_t* found = <int32_t*>malloc(span * sizeof(int32_t))
    cdef size_t i, many = 0
    cdef int32_t* number
    if found == NULL:
        return -1
    memset(found, 0xFF, span * sizeof(int32_t))
    for i in range(n):
        number = found + <size_t>(<uint64_t>keys[i] - <uint64_t>least)
        if number[0] < 0:
            number[0] = <int32_t>many
            first[many] = <int32_t>i
            many += 1
        numbers[i] = number[0]
    count[0] = many
    free(found)
    return 0


cdef int number_rows(const int64_t* keys, size_t n, int32_t* numbers, int32_t* first,
                     size_t* count) noexcept nogil:
    # Guard has proved: n fits int32; `numbers` and `first` have room for n.
    cdef Numbers table
    cdef Slot* slot
    cdef size_t i
    cdef int status = 0
    cdef int64_t least = keys[0], most = keys[0]
    for i in range(n):
        least = min(least, keys[i])
        most = max(most, keys[i])
    if <uint64_t>most - <uint64_t>least < <uint64_t>(SPREAD * n + LEAST):
        return number_near(keys, n, least, <size_t>(<uint64_t>most - <uint64_t>least) + 1, numbers,
                           first, count)
    if make(&table, FIRST_BITS):
        return -1
    for i in range(n):
        if i and keys[i] == keys[i - 1]:
            numbers[i] = numbers[i - 1]
            continue
        slot = find(&table, keys[i])
        if slot.number < 0:
            if 2 * (table.count + 1) > table.mask:
                status = grow(&table)
                if status:
                    break
                slot = find(&table, keys[i])
            slot.key = keys[i]
            slot.number = <int64_t>table.count
            first[table.count] = <int32_t>i
            table.count += 1
        numbers[i] = <int32_t>slot.number
    count[0] = table.count
    free(table.slots)
    return status


def number_keys(const int64_t[::1] keys):
    """(int32[n], int32[m]): the number of each key, and the row where each number comes first.

    Numbers begin at 0 and follow the order of first appearance. O(n); releases the GIL.
    Raises ValueError for 2**31 keys or more.
    """
    cdef size_t n = keys.shape[0], count = 0
    cdef int status
    if n >= <size_t>1 << 31:
        raise ValueError("too many keys")
    cdef int32_t[::1] numbers = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] first = np.empty(n, dtype=np.int32)
    if not n:
        return np.asarray(numbers), np.asarray(first)
    with nogil:
        status = number_rows(&keys[0], n, &numbers[0], &first[0], &count)
    if status:
        raise MemoryError
    return np.asarray(numbers), np.asarray(first)[:count].copy()


cdef int count_rows(const int32_t* of_left, size_t lefts, const int32_t* left,
                    const int32_t* of_right, size_t rights, const int32_t* right, size_t n,
                    int64_t width, size_t size, int32_t* keys, int32_t* counts) noexcept nogil:
    # Guard has proved: `keys` has room for n, `counts` for `size`, which fits int32. -1 where a code
    # leads out of its table, or its number out of `counts`.
    cdef size_t i
    cdef int64_t key
    for i in range(n):
        if <uint32_t>left[i] >= lefts or <uint32_t>right[i] >= rights:
            return -1
        key = of_left[left[i]] * width + of_right[right[i]]
        if <uint64_t>key >= size:
            return -1
        keys[i] = <int32_t>key
        counts[key] += 1
    return 0


ctypedef fused Code:
    uint8_t
    int32_t
    int64_t


cdef void find_extent(const Code* column, size_t n, int64_t* least, int64_t* most) noexcept nogil:
    cdef Code low = column[0], high = column[0]
    cdef size_t i
    for i in range(n):
        low = column[i] if column[i] < low else low
        high = column[i] if column[i] > high else high
    least[0], most[0] = low, high


cdef void add_digits(uint64_t* keys, const Code* column, size_t n, int64_t least, uint64_t span
                     ) noexcept nogil:
    cdef size_t i
    for i in range(n):
        keys[i] = keys[i] * span + (<uint64_t>column[i] - <uint64_t>least)


def extent(const Code[::1] column not None):
    """(least, most) of a column of codes. Raises ValueError for an empty one; releases the GIL."""
    cdef int64_t least, most
    if not column.shape[0]:
        raise ValueError("no codes")
    with nogil:
        find_extent(&column[0], column.shape[0], &least, &most)
    return least, most


def append_digit(int64_t[::1] keys not None, const Code[::1] column not None, int64_t least,
                 int64_t span):
    """Make each key `key * span + (code - least)`, modulo 2**64.

    Raises ValueError for columns of different lengths. Releases the GIL.
    """
    if column.shape[0] != keys.shape[0]:
        raise ValueError("columns of different lengths")
    if keys.shape[0]:
        with nogil:
            add_digits(<uint64_t*>&keys[0], &column[0], keys.shape[0], least, <uint64_t>span)


def count_pairs(const int32_t[::1] of_left not None, const int32_t[::1] left not None,
                const int32_t[::1] of_right not None, const int32_t[::1] right not None,
                size_t width, size_t size):
    """(int32[n], int32[size]): of each row of_left[left] * width + of_right[right], and how many
    rows have each of these.

    Two gathers, a product, a sum and a count in one pass, where numpy takes five and as many arrays.
    Raises ValueError where `left` and `right` are of different lengths, a code leads out of its
    table, or a number is not below `size`. Releases the GIL.
    """
    cdef size_t n = left.shape[0], lefts = of_left.shape[0], rights = of_right.shape[0]
    cdef int status = 0
    if (<size_t>right.shape[0] != n or n >= <size_t>1 << 31 or size >= <size_t>1 << 31
            or width >= <size_t>1 << 31):
        raise ValueError("columns of different lengths")
    cdef int32_t[::1] keys = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] counts = np.zeros(size, dtype=np.int32)
    if n:
        if not lefts or not rights or not size:
            raise ValueError("a code of no table")
        with nogil:
            status = count_rows(&of_left[0], lefts, &left[0], &of_right[0], rights, &right[0], n,
                                <int64_t>width, size, &keys[0], &counts[0])
        if status:
            raise ValueError("a code of no table")
    return np.asarray(keys), np.asarray(counts)


cdef int mark_rows(const uint8_t* of_left, size_t lefts, const int32_t* left, const uint8_t* of_right,
                   size_t rights, const int32_t* right, size_t n, uint8_t* found) noexcept nogil:
    # Guard has proved: `found` has room for `lefts`, `right` for n. -1 where a code leads out of its
    # table.
    cdef size_t i
    for i in range(n):
        if <uint32_t>left[i] >= lefts or <uint32_t>right[i] >= rights:
            return -1
        found[left[i]] |= of_left[left[i]] & of_right[right[i]]
    return 0


def occurring(of_left not None, const int32_t[::1] left not None, of_right not None,
              const int32_t[::1] right not None):
    """bool[len(of_left)]: which codes there are in `left`, in rows for which both tables are true.

    of_left, of_right : bool per code
    Raises ValueError where `left` and `right` are of different lengths, or a code leads out of its
    table. Releases the GIL.
    """
    cdef const uint8_t[::1] lefts = np.ascontiguousarray(of_left, dtype=np.bool_).view(np.uint8)
    cdef const uint8_t[::1] rights = np.ascontiguousarray(of_right, dtype=np.bool_).view(np.uint8)
    cdef size_t n = left.shape[0]
    cdef int status = 0
    if <size_t>right.shape[0] != n:
        raise ValueError("columns of different lengths")
    cdef uint8_t[::1] found = np.zeros(lefts.shape[0], dtype=np.uint8)
    if n:
        if not lefts.shape[0] or not rights.shape[0]:
            raise ValueError("a code of no table")
        with nogil:
            status = mark_rows(&lefts[0], lefts.shape[0], &left[0], &rights[0], rights.shape[0],
                               &right[0], n, &found[0])
        if status:
            raise ValueError("a code of no table")
    return np.asarray(found).view(np.bool_)


def number_answers(const int32_t[::1] call not None, const int32_t[::1] of_call not None,
                   const int32_t[::1] row not None, const int32_t[::1] of_row not None,
                   const int32_t[::1] statement not None, const uint8_t[::1] decision not None,
                   const uint8_t[::1] layer not None, const int64_t[::1] reason not None):
    """(int32[n], int32[m]): the number of what each question came to, and the question where each
    number comes first. Numbers begin at 0 and follow the order of first appearance.

    Of questions with one number all these are equal: of_call[call], of_row[row], and the others.
    row, reason : -1 for none
    Raises ValueError for columns of different lengths, for a code that leads out of its table, or
    where there could be more than 2**62 different ones. Releases the GIL.
    """
    cdef size_t n = call.shape[0], calls = of_call.shape[0], rows = of_row.shape[0], i, count = 0
    cdef int32_t classes = 0, actions = -1, statements = -1, least = 0, action
    cdef uint8_t decisions = 0, layers = 0
    cdef int64_t reasons = -1, lowest = -1, key
    cdef double most
    cdef int status = 0
    cdef bint is_bad = False
    if (<size_t>row.shape[0] != n or <size_t>statement.shape[0] != n
            or <size_t>decision.shape[0] != n or <size_t>layer.shape[0] != n
            or <size_t>reason.shape[0] != n or n >= <size_t>1 << 31):
        raise ValueError("columns of different lengths")
    cdef int32_t[::1] numbers = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] first = np.empty(n, dtype=np.int32)
    cdef int64_t[::1] keys = np.empty(n, dtype=np.int64)
    if not n:
        return np.asarray(numbers), np.asarray(first)
    with nogil:  # loops of one thing each: the processor takes many rows of them at once
        for i in range(calls):
            classes = max(classes, of_call[i])
            least = min(least, of_call[i])
        for i in range(rows):
            actions = max(actions, of_row[i])
            least = min(least, of_row[i])
        is_bad = least < 0
        least = -1
        for i in range(n):
            is_bad |= <uint32_t>call[i] >= calls
        for i in range(n):
            is_bad |= (row[i] < -1) | (row[i] >= <int64_t>rows)
        for i in range(n):
            statements = max(statements, statement[i])
            least = min(least, statement[i])
        for i in range(n):
            decisions = max(decisions, decision[i])
            layers = max(layers, layer[i])
        for i in range(n):
            reasons = max(reasons, reason[i])
            lowest = min(lowest, reason[i])
        is_bad |= (least < -1) | (lowest < -1)
        most = (<double>classes + 1) * (<double>actions + 2) * (<double>statements + 2)
        is_bad |= most * (<double>reasons + 2) * 65536 >= 4.0e18
        if not is_bad:
            for i in range(n):
                action = of_row[row[i]] if row[i] >= 0 else -1
                key = <int64_t>of_call[call[i]] * (<int64_t>actions + 2) + action + 1
                key = key * (<int64_t>statements + 2) + statement[i] + 1
                key = key * (reasons + 2) + reason[i] + 1
                keys[i] = (key * (<int64_t>decisions + 1) + decision[i]) * (
                    <int64_t>layers + 1) + layer[i]
            status = number_rows(&keys[0], n, &numbers[0], &first[0], &count)
    if is_bad:
        raise ValueError("a code of no table")
    if status:
        raise MemoryError
    return np.asarray(numbers), np.asarray(first)[:count].copy()


def pairs_counted(const int32_t[::1] counts not None, const int32_t[::1] of_left not None,
                  const int32_t[::1] instead not None, is_right not None,
                  const int32_t[::1] of_right not None, size_t rights):
    """What a table of counts holds, a row of it for each left code, and as many columns as there are
    right codes: (int64[p]: the places with a count; int64[p]: these counts; int32[p]: their right
    codes; int32[p]: the group of each; int64[g]: the sum of the counts of each group; int32[g]: its
    left number; int32[g]: one of its right codes). Groups begin at 0 and follow the order of first
    appearance; those of one left number and one number of a right code are one.

    of_left  : the left number of each left code
    instead  : that of pairs whose right code is not true in `is_right`
    of_right : the number of each right code, below `rights`
    Raises ValueError where a table has another size, or a number is not below its bound. Releases
    the GIL.
    """
    cdef const uint8_t[::1] is_one = np.ascontiguousarray(is_right, dtype=np.bool_).view(np.uint8)
    cdef size_t lefts = of_left.shape[0], width = of_right.shape[0], i, j, at = 0, k = 0, most = 0
    cdef size_t pairs = 0, found = 0
    cdef int32_t number
    cdef bint is_bad = False
    if (<size_t>instead.shape[0] != lefts or <size_t>is_one.shape[0] != width
            or <size_t>counts.shape[0] != lefts * width):
        raise ValueError("tables of other sizes")
    with nogil:
        for i in range(lefts):
            is_bad |= (of_left[i] < 0) | (instead[i] < 0)
            most = max(most, <size_t>max(of_left[i], instead[i]) + 1)
        for j in range(width):
            is_bad |= <uint32_t>of_right[j] >= rights
        for i in range(lefts * width):
            pairs += counts[i] != 0
    if is_bad or most * rights >= <size_t>1 << 31:
        raise ValueError("a number beyond its bound")
    cdef int32_t[::1] known = np.full(most * rights, -1, dtype=np.int32)
    # with room for one more, which is written where there is no count: no branch hangs on counts
    cdef int64_t[::1] place = np.empty(pairs + 1, dtype=np.int64)
    cdef int32_t[::1] right = np.empty(pairs + 1, dtype=np.int32)
    cdef int32_t[::1] left = np.empty(pairs + 1, dtype=np.int32)
    cdef int64_t[::1] of_pair = np.empty(pairs, dtype=np.int64)
    cdef int32_t[::1] group = np.empty(pairs, dtype=np.int32)
    cdef size_t room = min(pairs, most * rights)
    cdef int64_t[::1] sums = np.zeros(room, dtype=np.int64)
    cdef int32_t[::1] left_of = np.empty(room, dtype=np.int32)
    cdef int32_t[::1] right_of = np.empty(room, dtype=np.int32)
    with nogil:
        for i in range(lefts):
            for j in range(width):
                place[k] = <int64_t>at
                left[k] = <int32_t>i
                right[k] = <int32_t>j
                k += counts[at] != 0
                at += 1
        for i in range(pairs):
            j = <size_t>right[i]
            number = of_left[left[i]] if is_one[j] else instead[left[i]]
            k = <size_t>number * rights + <size_t>of_right[j]
            if known[k] < 0:
                known[k] = <int32_t>found
                left_of[found] = number
                right_of[found] = <int32_t>j
                found += 1
            group[i] = known[k]
            of_pair[i] = counts[place[i]]
            sums[known[k]] += of_pair[i]
    return (np.asarray(place)[:pairs], np.asarray(of_pair), np.asarray(right)[:pairs],
            np.asarray(group),
            np.asarray(sums)[:found], np.asarray(left_of)[:found], np.asarray(right_of)[:found])


def numbered_where(is_used not None, like=None):
    """(int32[n], int32[m]): of each place that is used, the number of the place that it is like,
    else -1; the places that have a number, ascending.

    is_used : bool[n]
    like    : int32[n], the place that each is like; None: itself
    Raises ValueError for columns of different lengths, and for a place that is not below n.
    Releases the GIL.
    """
    cdef const uint8_t[::1] used = np.ascontiguousarray(is_used, dtype=np.bool_).view(np.uint8)
    cdef size_t n = used.shape[0], i, count = 0
    cdef const int32_t[::1] others = np.arange(n, dtype=np.int32) if like is None else like
    cdef int32_t[::1] numbers = np.full(n, -1, dtype=np.int32)
    cdef int32_t[::1] of_place = np.full(n, -1, dtype=np.int32)
    cdef int32_t[::1] places = np.empty(n, dtype=np.int32)
    cdef bint is_outside = False
    if <size_t>others.shape[0] != n or n >= <size_t>1 << 31:
        raise ValueError("columns of different lengths")
    with nogil:
        for i in range(n):
            if not used[i]:
                continue
            if <uint32_t>others[i] >= n:
                is_outside = True
                break
            of_place[others[i]] = 0
        if not is_outside:
            for i in range(n):
                if of_place[i] == 0:
                    of_place[i] = <int32_t>count
                    places[count] = <int32_t>i
                    count += 1
            for i in range(n):
                if used[i]:
                    numbers[i] = of_place[others[i]]
    if is_outside:
        raise ValueError("no such place")
    return np.asarray(numbers), np.asarray(places)[:count].copy()


def number_flagged(const int32_t[::1] kind not None, is_flagged not None, size_t kinds):
    """(int32[n], int32[m]): the number of the kind of each row, told apart by its flag, and the row
    where each number comes first. Numbers begin at 0 and follow the order of first appearance.

    Raises ValueError for columns of different lengths, and for a kind that is not below `kinds`.
    Releases the GIL.
    """
    cdef const uint8_t[::1] flags = np.ascontiguousarray(is_flagged, dtype=np.bool_).view(np.uint8)
    cdef size_t n = kind.shape[0], i, at, count = 0
    cdef bint is_outside = False
    if <size_t>flags.shape[0] != n or n >= <size_t>1 << 31 or kinds >= <size_t>1 << 31:
        raise ValueError("columns of different lengths")
    cdef int32_t[::1] known = np.full(2 * kinds, -1, dtype=np.int32)
    cdef int32_t[::1] numbers = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] first = np.empty(min(n, 2 * kinds), dtype=np.int32)
    with nogil:
        for i in range(n):
            if <uint32_t>kind[i] >= kinds:
                is_outside = True
                break
            at = 2 * <size_t>kind[i] + (flags[i] != 0)
            if known[at] < 0:
                known[at] = <int32_t>count
                first[count] = <int32_t>i
                count += 1
            numbers[i] = known[at]
    if is_outside:
        raise ValueError("a kind that there is not")
    return np.asarray(numbers), np.asarray(first)[:count].copy()


def firsts_alike(const int32_t[::1] kind not None, is_open not None,
                 const int32_t[::1] group not None, size_t groups):
    """int32[n]: of each row the first one of the same kind and group, if its kind is open, else the
    row itself.

    kind    : negative for none
    is_open : bool per kind
    Raises ValueError for columns of different lengths, and for a kind or a group that there is not.
    Releases the GIL.
    """
    cdef const uint8_t[::1] opened = np.ascontiguousarray(is_open, dtype=np.bool_).view(np.uint8)
    cdef size_t n = kind.shape[0], kinds = opened.shape[0], i, at
    cdef bint is_outside = False
    if <size_t>group.shape[0] != n or n >= <size_t>1 << 31:
        raise ValueError("columns of different lengths")
    cdef int32_t[::1] like = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] first
    if kinds * groups > SPREAD * n + LEAST:
        # too many to have a table of all of them
        numbers, firsts = number_keys(
            np.asarray(kind).astype(np.int64) * <int64_t>groups + np.asarray(group))
        alike = np.where(np.append(np.asarray(opened) != 0, False)[np.asarray(kind)],
                         firsts[numbers], np.arange(n)).astype(np.int32)
        return alike
    first = np.full(kinds * groups, -1, dtype=np.int32)
    with nogil:
        for i in range(n):
            like[i] = <int32_t>i
            if kind[i] < 0:
                continue
            if <uint32_t>kind[i] >= kinds or <uint32_t>group[i] >= groups:
                is_outside = True
                break
            if not opened[kind[i]]:
                continue
            at = <size_t>kind[i] * groups + <size_t>group[i]
            if first[at] < 0:
                first[at] = <int32_t>i
            like[i] = first[at]
    if is_outside:
        raise ValueError("a code of no table")
    return np.asarray(like)


cdef int find_spans(const int32_t* group, size_t groups, const int32_t* row, const int64_t* time,
                    size_t n, int64_t* earliest, int64_t* latest, size_t spans) noexcept nogil:
    # Guard has proved: `row` and `time` have n. -1 where a row is of no group, or this of no span.
    cdef size_t i
    cdef int32_t at
    for i in range(n):
        if <uint32_t>row[i] >= groups:
            return -1
        at = group[row[i]]
        if at < 0 or time[i] < 0:
            continue
        if <size_t>at >= spans:
            return -1
        if time[i] < earliest[at]:
            earliest[at] = time[i]
        if time[i] > latest[at]:
            latest[at] = time[i]
    return 0


def spans_of(const int32_t[::1] group not None, const int32_t[::1] row not None,
             const int64_t[::1] time not None, size_t count):
    """(int64[count], int64[count]): the earliest and the latest time of each group of rows; the
    largest number there is, and -1, where no row of it has a time.

    group : of each value of `row`; negative where it is of none
    time  : negative for none
    Raises ValueError for columns of different lengths, for a row without a group, and for a group
    that is not below `count`. Releases the GIL.
    """
    cdef size_t n = row.shape[0], groups = group.shape[0]
    cdef int status = 0
    if <size_t>time.shape[0] != n:
        raise ValueError("columns of different lengths")
    cdef int64_t[::1] earliest = np.full(count, np.iinfo(np.int64).max)
    cdef int64_t[::1] latest = np.full(count, -1, dtype=np.int64)
    if n:
        if not groups:
            raise ValueError("a row of no group")
        if count:
            with nogil:
                status = find_spans(&group[0], groups, &row[0], &time[0], n, &earliest[0],
                                    &latest[0], count)
        if status:
            raise ValueError("a row of no group")
    return np.asarray(earliest), np.asarray(latest)
