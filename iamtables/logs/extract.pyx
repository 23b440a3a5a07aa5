"""The calls of a log, numbered without a Python object per record.

The records of a piece that a `Scanner` took apart are lent to an `Extractor`, which numbers the
distinct calls: by shape and resource (`shaped`), by mould (`moulds`), or by all that their mapping
depends on (`calls`). It says at which records new ones first occur: only those are decoded, by the
library-based reader, and mapped. `keep` adds the records to the rows of the text.
"""

import numpy as np

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcmp, memcpy

from iamtables.runtime.intern cimport (
    FIRST_ID, NO_ID, InternTable, intern_add, intern_bytes, intern_free, intern_init, intern_many,
)

from .scan cimport (
    FIELD_COUNT, ID, MESSAGE, PARAMETERS, RECIPIENT, REGION, RESOURCES, find,
)
from .scanner cimport Scanned
from .slices cimport MAX_ARNS, bucket_or_object, find_arns

cdef enum:
    GIVEN_AT_ONCE = 32

cdef const uint8_t* OPAQUE = b"Encoded authorization failure message"


cdef bint has_twice(const uint8_t* base, const uint32_t* arns, int count) noexcept nogil:
    cdef int a, b
    for a in range(count):
        for b in range(a):
            if arns[2 * a + 1] == arns[2 * b + 1] and memcmp(
                    base + arns[2 * a], base + arns[2 * b], arns[2 * a + 1]) == 0:
                return True
    return False


cdef bint all_below(const int32_t* codes, size_t count, int64_t bound) noexcept nogil:
    cdef size_t i
    cdef bint found = True
    for i in range(count):
        found &= codes[i] < bound
    return found


# -- owner and doorways -------------------------------------------------------------------------

cdef class Extractor:
    """Buffers and code tables of one reader. Not to be shared between threads.

    Codes count from 0 in order of first appearance, and stay valid until `forget`.
    """

    def __cinit__(self, uint64_t seed):
        if (intern_init(&self.call_table, seed) or intern_init(&self.shape_table, seed)
                or intern_init(&self.given_table, seed)):
            raise MemoryError
        self.needles = []

    def __dealloc__(self):
        cdef int kind
        intern_free(&self.call_table)
        intern_free(&self.shape_table)
        intern_free(&self.given_table)
        for kind in range(3):
            free(self.per_record[kind])
        free(self.arns)
        free(self.kept_rows)
        free(self.id_text)
        free(self.scratch)

    @property
    def key_bytes(self):
        """Memory of the code tables."""
        return intern_bytes(&self.call_table) + intern_bytes(&self.given_table)

    def start(self):
        """Begin with a text: no row is kept yet."""
        self.release()
        self.kept = self.id_kept = 0

    def take(self, Scanned scanned not None):
        """Code these records; they are lent until `release`, or until others are taken."""
        cdef size_t i
        self.release()
        if scanned.count > self.room and self.grow(scanned.count):
            raise MemoryError
        self.scanned = scanned
        self.base, self.slices, self.odd = scanned.base, scanned.slices, scanned.odd
        self.seconds, self.id_hash = scanned.seconds, scanned.id_hash
        self.codes[0], self.codes[1], self.codes[2] = (
            scanned.codes[0], scanned.codes[1], scanned.codes[2])
        self.count = scanned.count
        for i in range(self.count):
            self.known[i] = -1
        scanned.is_lent = True

    def release(self):
        """Give the records back."""
        if self.scanned is not None:
            self.scanned.is_lent = False
            self.scanned = None
        self.count = 0

    cdef int grow(self, size_t records) noexcept nogil:
        cdef size_t room = records * 2 if records * 2 > 1024 else 1024
        cdef int kind
        cdef void* moved = realloc(self.arns, room * 2 * MAX_ARNS * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.arns = <uint32_t*>moved
        for kind in range(3):
            moved = realloc(self.per_record[kind], room * sizeof(int32_t))
            if moved == NULL:
                return -1
            self.per_record[kind] = <int32_t*>moved
        self.known, self.call_of, self.place = (
            self.per_record[0], self.per_record[1], self.per_record[2])
        self.room = room
        return 0

    def counts(self):
        """How many calls and shapes have a code."""
        return self.call_table.count - FIRST_ID, self.shape_table.count - FIRST_ID

    cdef int ensure(self, size_t size) noexcept nogil:
        cdef void* moved
        if size > self.scratch_size:
            moved = realloc(self.scratch, size * 2)
            if moved == NULL:
                return -1
            self.scratch = <uint8_t*>moved
            self.scratch_size = size * 2
        return 0

    cdef size_t put(self, size_t used, size_t i, int field) noexcept nogil:
        # length and content of a field; the caller has ensured room
        cdef const uint32_t* slice = self.slices + (i * FIELD_COUNT + field) * 2
        cdef uint32_t length = slice[1]
        memcpy(self.scratch + used, &length, 4)
        memcpy(self.scratch + used + 4, self.base + slice[0], length)
        return used + 4 + length

    def call(self, size_t index):
        """The code that `calls` gave a record, -1 for one that was left out."""
        if index >= self.count:
            raise IndexError(index)
        return self.call_of[index]

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

    cdef bint has_needle(self, size_t i, const int32_t* span) noexcept nogil:
        # is one of the needles from span[0] to before span[1] in the parameters?
        cdef const uint32_t* slice = self.slices + (i * FIELD_COUNT + PARAMETERS) * 2
        cdef int32_t needle
        for needle in range(span[0], span[1]):
            if find(self.base + slice[0], slice[1], self.needle_at[needle],
                    self.needle_length[needle]) != NULL:
                return True
        return False

    cdef int check_facts(self, const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
                         const uint8_t[::1] is_denial) except -1:
        # every code of the records has its flags
        if self.scanned is None:
            raise ValueError("no records")
        if len(plan_needles) != len(plan_flags) or len(plan_flags) < self.scanned.plan_count:
            raise ValueError("a plan without its flags")
        if len(is_denial) < self.scanned.error_count:
            raise ValueError("an error without its flags")
        if len(plan_needles) and not all_below(&plan_needles[0, 0], 2 * len(plan_needles),
                                               <int64_t>self.needle_count + 1):
            raise ValueError("a plan without its needles")
        return 0

    def shaped(self, size_t begin, const uint8_t[::1] plan_flags,
               const int32_t[:, ::1] plan_needles, const uint8_t[::1] is_denial,
               const int8_t[::1] places):
        """Number the calls on buckets and objects from record `begin` on, by shape and resource.

        Records of plans with the flag BY_SHAPE 32 have a shape when their resources are buckets and
        objects, none of the plan's needles is in their parameters, and no message is worth reading:
        then all of one shape have the same requests but for the resource.
        places : by shape, which of the ARNs is the resource; -1 for shapes to go without
        Returns the first record whose shape has no place yet, from which to go on when it has one;
        `count` when all are numbered. Releases the GIL.
        """
        cdef int64_t stopped
        self.check_facts(plan_flags, plan_needles, is_denial)
        if len(places) and np.max(places) >= MAX_ARNS:
            raise ValueError("a shape without its place")
        if begin >= self.count:
            return self.count
        with nogil:
            stopped = self.number_given(
                begin, &plan_flags[0], &plan_needles[0, 0], &is_denial[0],
                &places[0] if places.shape[0] else NULL, places.shape[0])
        if stopped < 0:
            raise MemoryError
        return stopped

    cdef int64_t shape_of(self, size_t i, const uint8_t* plan_flags, const int32_t* plan_needles,
                          const uint8_t* is_denial) noexcept nogil:
        # the shape of a record, whose ARNs are found then; -1: none, -2: memory is short
        cdef int32_t plan = self.codes[0][i], error = self.codes[2][i]
        cdef const uint32_t* slices = self.slices + i * 2 * FIELD_COUNT
        cdef uint32_t* arns = self.arns + i * 2 * MAX_ARNS
        cdef int k, count
        cdef uint32_t id
        cdef uint8_t kind = 1, key[16 + MAX_ARNS]
        if self.odd[i] or plan < 0 or plan_flags[plan] & 48 != 32:
            return -1
        if slices[2 * MESSAGE + 1] and is_denial[error] == 1:
            return -1
        if slices[2 * PARAMETERS + 1] == 0 or self.base[slices[2 * PARAMETERS]] != 123:
            return -1
        count = find_arns(self.base, self.base + slices[2 * RESOURCES],
                          self.base + slices[2 * RESOURCES] + slices[2 * RESOURCES + 1], arns)
        if count < 1:
            return -1
        for k in range(count):
            kind = bucket_or_object(self.base + arns[2 * k], arns[2 * k + 1])
            if kind == 0:
                return -1
            key[9 + k] = kind
        if count > 1 and has_twice(self.base, arns, count):
            return -1
        if self.has_needle(i, plan_needles + 2 * plan):
            return -1
        memcpy(key, &plan, 4)
        memcpy(key + 4, &error, 4)
        key[8] = slices[2 * MESSAGE + 1] != 0 and is_denial[error] == 2
        id = intern_add(&self.shape_table, key, 9 + count)
        return -2 if id == NO_ID else <int64_t>(id - FIRST_ID)

    cdef int64_t number_given(
        self, size_t begin, const uint8_t* plan_flags, const int32_t* plan_needles,
        const uint8_t* is_denial, const int8_t* places, size_t place_count) noexcept nogil:
        # Keys are put together for GIVEN_AT_ONCE records and looked up together: in a large table
        # each would wait for memory.
        cdef size_t i, used = 0, waiting = 0, k
        cdef size_t starts[GIVEN_AT_ONCE], lengths[GIVEN_AT_ONCE], records[GIVEN_AT_ONCE]
        cdef uint64_t hashes[GIVEN_AT_ONCE]
        cdef const uint8_t* texts[GIVEN_AT_ONCE]
        cdef uint32_t ids[GIVEN_AT_ONCE]
        cdef int64_t shape
        cdef int32_t code
        cdef const uint32_t* arn
        i = begin
        while True:
            shape = -1
            if i < self.count:
                shape = self.shape_of(i, plan_flags, plan_needles, is_denial)
                if shape == -2:
                    return -1
            if waiting == GIVEN_AT_ONCE or i >= self.count or shape >= <int64_t>place_count:
                for k in range(waiting):
                    texts[k] = self.scratch + starts[k]
                if waiting and intern_many(&self.given_table, texts, lengths, hashes, waiting, ids):
                    return -1
                for k in range(waiting):
                    self.known[records[k]] = <int32_t>(ids[k] - FIRST_ID) << 1
                waiting = used = 0
                if i >= self.count or shape >= <int64_t>place_count:
                    return <int64_t>i
            if shape >= 0 and places[shape] >= 0:
                arn = self.arns + i * 2 * MAX_ARNS + 2 * places[shape]
                if self.ensure(used + 4 + arn[1]):
                    return -1
                code = <int32_t>shape
                memcpy(self.scratch + used, &code, 4)
                memcpy(self.scratch + used + 4, self.base + arn[0], arn[1])
                starts[waiting], lengths[waiting], records[waiting] = used, 4 + arn[1], i
                used += 4 + arn[1]
                waiting += 1
            i += 1

    @property
    def given_count(self):
        """How many calls `shaped` has told apart."""
        return self.given_table.count - FIRST_ID

    def given(self, size_t begin):
        """(shapes int32[n], uint8[...], int64[n + 1]) of the calls from number `begin` on: their
        resources end to end, and where each begins."""
        cdef size_t n = self.given_table.count - FIRST_ID
        cdef size_t k, start, used = 0, length
        if begin > n:
            raise IndexError(begin)
        n -= begin
        cdef int32_t[::1] shapes = np.empty(n, dtype=np.int32)
        cdef int64_t[::1] offsets = np.zeros(n + 1, dtype=np.int64)
        cdef const uint64_t* ends = self.given_table.ends + begin + FIRST_ID
        cdef uint8_t[::1] data = np.empty(
            self.given_table.arena_used - ends[-1] - 4 * n, dtype=np.uint8)
        for k in range(n):
            start = <size_t>ends[<ptrdiff_t>k - 1]
            length = <size_t>ends[k] - start - 4
            memcpy(&shapes[k], self.given_table.arena + start, 4)
            if length:
                memcpy(&data[used], self.given_table.arena + start + 4, length)
            used += length
            offsets[k + 1] = used
        return np.asarray(shapes), np.asarray(data), np.asarray(offsets)

    def calls(self, const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
              const uint8_t[::1] is_denial):
        """Number the calls that neither `shaped` nor a mould has: by what their mapping depends on
        beside the caller. Gives the records with a new one, int32[n].

        plan_flags   : by plan, PARAMETERS_SOME 1, PARAMETERS_ALL 2, RESOURCES 4, SELF 8, BAD 16
        plan_needles : by plan, [first, behind) into the needles
        is_denial    : by error code, 1 when the message is worth reading, 2 for no error
        """
        cdef int64_t fresh
        self.check_facts(plan_flags, plan_needles, is_denial)
        cdef int32_t[::1] first = np.empty(self.count, dtype=np.int32)
        if not self.count:
            return np.asarray(first)
        with nogil:
            fresh = self.code_calls(self.codes[0], self.codes[1], self.codes[2], &plan_flags[0],
                                    &plan_needles[0, 0], &is_denial[0], self.known, self.call_of,
                                    &first[0])
        if fresh < 0:
            raise MemoryError
        return np.asarray(first)[:fresh]

    cdef int64_t code_calls(
        self, const int32_t* plan, const int32_t* caller, const int32_t* error,
        const uint8_t* plan_flags, const int32_t* plan_needles, const uint8_t* is_denial,
        const int32_t* done, int32_t* codes, int32_t* first
    ) noexcept nogil:
        cdef size_t i, used, fresh = 0
        cdef int32_t whose
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
                is_shown = (is_shown or slices[2 * PARAMETERS + 1] == 0
                            or self.base[slices[2 * PARAMETERS]] != 123
                            or self.has_needle(i, plan_needles + 2 * plan[i]))
            self.scratch[used] = is_shown
            used += 1
            if is_shown:
                used = self.put(used, i, PARAMETERS)
            if flags & 4:
                used = self.put(used, i, RESOURCES)
                used = self.put(used, i, REGION)
                used = self.put(used, i, RECIPIENT)
            before = <uint32_t>self.call_table.count
            id = intern_add(&self.call_table, self.scratch, used)
            if id == NO_ID:
                return -1
            if self.call_table.count != before:
                first[fresh] = <int32_t>i
                fresh += 1
            codes[i] = <int32_t>(id - FIRST_ID)
        return <int64_t>fresh

    def keep(self, const int32_t[::1] caller_rows, const int32_t[::1] call_rows, int32_t number):
        """Add the records taken to the rows of the text: call, caller, time and event ID.

        caller_rows, call_rows : by code, -1 for what cannot be used: such a record is left out
        number : of the first record, in the whole text
        Returns how many were left out, odd ones included, and how many rows have a time stamp that
        the reader has to look at (`open_times`).
        """
        cdef size_t left_out = 0, i
        cdef int64_t opened
        if not all_below(self.codes[1], self.count, len(caller_rows)) or (
                len(call_rows) < self.call_table.count - FIRST_ID):
            raise ValueError("a code without its row")
        if not self.count:
            return 0, 0
        if self.grow_kept(self.kept + self.count, self.id_kept + self.scanned.id_used):
            raise MemoryError
        with nogil:
            opened = self.keep_all(&caller_rows[0] if caller_rows.shape[0] else NULL,
                                   &call_rows[0] if call_rows.shape[0] else NULL, number,
                                   &left_out)
        return left_out, opened

    cdef int grow_kept(self, size_t rows, size_t id_bytes) noexcept nogil:
        cdef size_t room
        cdef void* moved
        if rows > self.kept_room:
            room = rows + rows // 2 + 1024
            moved = realloc(self.kept_rows, room * sizeof(KeptRow))
            if moved == NULL:
                return -1
            self.kept_rows = <KeptRow*>moved
            self.kept_room = room
        if id_bytes > self.id_room:
            room = id_bytes + id_bytes // 2 + 65536
            moved = realloc(self.id_text, room)
            if moved == NULL:
                return -1
            self.id_text = <uint8_t*>moved
            self.id_room = room
        return 0

    cdef int64_t keep_all(self, const int32_t* caller_rows, const int32_t* call_rows,
                          int32_t number, size_t* left_out) noexcept nogil:
        cdef size_t i, length
        cdef int32_t caller, call
        cdef int64_t opened = 0
        cdef KeptRow* row
        cdef const uint8_t* text = self.scanned.id_text
        for i in range(self.count):
            length = self.slices[i * 2 * FIELD_COUNT + 2 * ID + 1]
            caller = call = -1
            if not self.odd[i]:
                if self.codes[1][i] >= 0:
                    caller = caller_rows[self.codes[1][i]]
                if self.known[i] >= 0:
                    call = -2 - self.known[i]
                elif self.call_of[i] >= 0:
                    call = call_rows[self.call_of[i]]
            self.place[i] = -1
            if caller < 0 or call == -1:
                left_out[0] += 1
            else:
                memcpy(self.id_text + self.id_kept, text, length)
                self.id_kept += length
                row = self.kept_rows + self.kept
                row.call, row.caller, row.place = call, caller, number + <int32_t>i
                row.id_length = <uint32_t>length
                row.seconds, row.id_hash = self.seconds[i], self.id_hash[i]
                opened += row.seconds == -2
                self.place[i] = <int32_t>self.kept
                self.kept += 1
            text += length
        return opened

    def row_places(self):
        """int32[count]: the row that `keep` made of each record taken, -1 for none."""
        return (np.asarray(<int32_t[:self.count]>self.place).copy() if self.count
                else np.empty(0, dtype=np.int32))

    def open_times(self):
        """The rows of the last `keep` whose time stamp is of another form, with the stamp."""
        return [(self.place[i], self.scanned.time_text(i)) for i in range(self.count)
                if self.place[i] >= 0 and self.kept_rows[self.place[i]].seconds == -2]

    def set_time(self, size_t row, int64_t seconds):
        if row >= self.kept:
            raise IndexError(row)
        self.kept_rows[row].seconds = seconds

    def rows(self, const int32_t[::1] given_rows, const int32_t[::1] filled_rows):
        """What was kept of the text: (call, caller, place int32[n], seconds int64[n], event IDs end
        to end uint8[...], where each begins int64[n + 1], their hashes uint64[n] (`texts`)).

        given_rows, filled_rows : the rows of the calls that `shaped` and `Moulds.moulded` numbered
        """
        cdef size_t n = self.kept, i
        cdef int32_t[::1] call = np.empty(n, dtype=np.int32)
        cdef int32_t[::1] caller = np.empty(n, dtype=np.int32)
        cdef int32_t[::1] place = np.empty(n, dtype=np.int32)
        cdef int64_t[::1] seconds = np.empty(n, dtype=np.int64)
        cdef int64_t[::1] offsets = np.zeros(n + 1, dtype=np.int64)
        cdef uint64_t[::1] hashes = np.empty(n, dtype=np.uint64)
        cdef int64_t at
        cdef int64_t most[2]
        cdef const int32_t* tables[2]
        cdef const KeptRow* row
        cdef bint is_short = False
        tables[0] = &given_rows[0] if len(given_rows) else NULL
        tables[1] = &filled_rows[0] if len(filled_rows) else NULL
        most[0], most[1] = len(given_rows), len(filled_rows)
        with nogil:
            for i in range(n):
                row = self.kept_rows + i
                if row.call >= 0:
                    call[i] = row.call
                else:
                    at = -2 - <int64_t>row.call
                    if at >> 1 >= most[at & 1]:
                        is_short = True
                        break
                    call[i] = tables[at & 1][at >> 1]
                caller[i], place[i], seconds[i] = row.caller, row.place, row.seconds
                hashes[i] = row.id_hash
                offsets[i + 1] = offsets[i] + row.id_length
        if is_short:
            raise ValueError("a code without its row")
        ids = np.empty(self.id_kept, dtype=np.uint8)
        cdef uint8_t[::1] text = ids
        if self.id_kept:
            memcpy(&text[0], self.id_text, self.id_kept)
        return (np.asarray(call), np.asarray(caller), np.asarray(place), np.asarray(seconds), ids,
                np.asarray(offsets), np.asarray(hashes))

    def forget(self, uint64_t seed):
        """Drop the codes of calls and of what `shaped` numbered."""
        intern_free(&self.call_table)
        intern_free(&self.shape_table)
        intern_free(&self.given_table)
        if (intern_init(&self.call_table, seed) or intern_init(&self.shape_table, seed)
                or intern_init(&self.given_table, seed)):
            raise MemoryError
