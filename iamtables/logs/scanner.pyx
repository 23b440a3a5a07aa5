"""Records of a log taken apart: slices and codes, without a Python object per record.

A `Scanner` walks a document or lines once, checks the JSON, and keeps in a `Scanned` where each
field of each record lies. It numbers the distinct plans, callers and errors, and says at which
records new ones first occur: only those are decoded, by the library-based reader, and mapped. What
it does not handle itself (text that is not ASCII, empty strings, wrong types, a field twice,
nesting without end) makes a record *odd*: it is left to that reader. A document that is not JSON,
or no delivery file, is refused as a whole.

Nothing here depends on what was mapped before, so a piece can be scanned in another thread while
those before it are coded (`extract`) and decided.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

from iamtables.runtime.intern cimport (
    FIRST_ID, NO_ID, InternTable, intern_add, intern_bytes, intern_free, intern_init,
)

from .scan cimport (
    ADDITIONAL, ADDRESS, AGENT, CATEGORY, ERROR, EVENT_CONTEXT, FIELD_COUNT, ID, IDENTITY, NAME,
    RECIPIENT, REGION, SOURCE, STAMP, TIME, TLS, TYPE, VPCE, VPCE_ACCOUNT,
    ScanMemo, ends_of, memo_free, memo_init, same_short, scan_record, skip_space,
)
from .slices cimport hash_of, seconds_of

cdef extern from *:
    int __builtin_ctz(uint32_t) noexcept nogil

cdef enum:
    SIMPLE_CALLER = 1 << IDENTITY | 1 << REGION | 1 << RECIPIENT
    PLAN_FIELDS = 1 << SOURCE | 1 << NAME | 1 << TYPE | 1 << CATEGORY

cdef int PLAN_FIELD[4]
PLAN_FIELD[0], PLAN_FIELD[1], PLAN_FIELD[2], PLAN_FIELD[3] = SOURCE, NAME, TYPE, CATEGORY

NOTHING = np.empty(0, dtype=np.int32)
NOTHING.flags.writeable = False


cdef class Scanned:
    """The records of one piece of text, filled by a `Scanner`; made for being filled again."""

    def __dealloc__(self):
        cdef int kind
        for kind in range(3):
            free(self.codes[kind])
            free(self.fresh[kind])
        free(self.slices)
        free(self.bounds)
        free(self.identities)
        free(self.seconds)
        free(self.id_hash)
        free(self.id_text)
        free(self.odd)

    cdef int grow(self, size_t records) noexcept nogil:
        cdef size_t room = records * 2 if records * 2 > 1024 else 1024
        cdef int kind
        cdef void* moved
        moved = realloc(self.slices, room * 2 * FIELD_COUNT * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.slices = <uint32_t*>moved
        moved = realloc(self.bounds, room * 2 * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.bounds = <uint32_t*>moved
        moved = realloc(self.identities, room * sizeof(uint32_t))
        if moved == NULL:
            return -1
        self.identities = <uint32_t*>moved
        moved = realloc(self.seconds, room * sizeof(int64_t))
        if moved == NULL:
            return -1
        self.seconds = <int64_t*>moved
        moved = realloc(self.id_hash, room * sizeof(uint64_t))
        if moved == NULL:
            return -1
        self.id_hash = <uint64_t*>moved
        for kind in range(3):
            moved = realloc(self.codes[kind], room * sizeof(int32_t))
            if moved == NULL:
                return -1
            self.codes[kind] = <int32_t*>moved
            moved = realloc(self.fresh[kind], room * sizeof(int32_t))
            if moved == NULL:
                return -1
            self.fresh[kind] = <int32_t*>moved
        moved = realloc(self.odd, room)
        if moved == NULL:
            return -1
        self.odd = <uint8_t*>moved
        self.room = room
        return 0

    cdef void begin(self) noexcept:
        self.count = self.odd_count = self.longest = self.id_used = 0
        self.fresh_count[0] = self.fresh_count[1] = self.fresh_count[2] = 0
        self.is_refused = False

    def hold(self, bytes data not None):
        """Take a text as it is, a document or lines; `Scanner.scan` takes it apart."""
        if self.is_lent:
            raise ValueError("records that are being coded")
        self.begin()
        self.text = data
        self.base = self.at = <const uint8_t*><const char*>data
        self.end = self.base + len(data)

    def odd_records(self):
        """bool[count]: records that the reader has to decode itself."""
        return np.frombuffer(<bytes>(<char*>self.odd)[:self.count], dtype=np.uint8).astype(bool)

    def record(self, size_t index):
        """The JSON text of a record."""
        if index >= self.count:
            raise IndexError(index)
        return (<char*>self.base)[self.bounds[2 * index]:self.bounds[2 * index + 1]]

    cdef new_codes(self, int kind):
        return (np.asarray(<int32_t[:self.fresh_count[kind]]>self.fresh[kind]).copy()
                if self.fresh_count[kind] else NOTHING)

    def new_plans(self):
        """The records with a new plan, int32[n]: source, name, event type and category."""
        return self.new_codes(0)

    def new_callers(self):
        """The same for what is known of the caller."""
        return self.new_codes(1)

    def new_errors(self):
        """The same for the error code; no error is a code, too."""
        return self.new_codes(2)

    def plan(self, size_t index):
        """The code of the plan of a record, -1 for an odd one."""
        if index >= self.count:
            raise IndexError(index)
        return self.codes[0][index]

    def caller(self, size_t index):
        """The same for the caller."""
        if index >= self.count:
            raise IndexError(index)
        return self.codes[1][index]

    def plans(self):
        """int32[count]: the plan of each record, -1 for odd ones."""
        return (np.asarray(<int32_t[:self.count]>self.codes[0]).copy() if self.count else NOTHING)

    def time_text(self, size_t index):
        """The time stamp of a record as it is written."""
        cdef const uint32_t* slices
        cdef int field
        if index >= self.count:
            raise IndexError(index)
        slices = self.slices + index * 2 * FIELD_COUNT
        field = TIME if slices[2 * TIME + 1] else STAMP
        return (<char*>self.base)[slices[2 * field]:slices[2 * field] + slices[2 * field + 1]]

    cdef size_t find_enriched(self, int32_t* found) noexcept nogil:
        cdef const uint32_t* slice
        cdef size_t i, count = 0
        for i in range(self.count):
            slice = self.slices + (i * FIELD_COUNT + EVENT_CONTEXT) * 2
            if slice[1] and self.base[slice[0]] == 123 and not self.odd[i]:
                found[count] = <int32_t>i
                count += 1
        return count

    def enriched(self):
        """int32[n]: the records, odd ones left out, whose `eventContext` is an object."""
        cdef int32_t[::1] found = np.empty(self.count or 1, dtype=np.int32)
        cdef size_t count
        with nogil:
            count = self.find_enriched(&found[0])
        return np.asarray(found)[:count]

    def event_context(self, size_t index):
        """The JSON text of the `eventContext` of a record, empty for none."""
        cdef const uint32_t* slice
        if index >= self.count:
            raise IndexError(index)
        slice = self.slices + (index * FIELD_COUNT + EVENT_CONTEXT) * 2
        return (<char*>self.base)[slice[0]:slice[0] + slice[1]]


cdef class Scanner:
    """What records tell apart, of one reader. One thread at a time may scan.

    Codes count from 0 in order of first appearance, and stay valid until `forget`.
    """

    def __cinit__(self, uint64_t seed, bint network=False, bint agent=False, bint tls=False,
                  bint additional=False):
        """The flags add fields to those that tell callers apart."""
        self.caller_fields = SIMPLE_CALLER
        if network:
            self.caller_fields |= 1 << ADDRESS | 1 << VPCE | 1 << VPCE_ACCOUNT
        if agent:
            self.caller_fields |= 1 << AGENT
        if tls:
            self.caller_fields |= 1 << TLS
        if additional:
            self.caller_fields |= 1 << ADDITIONAL
        self.no_error = -1
        self.is_done = True
        self.forget_known_plans()
        if (intern_init(&self.plan_table, seed) or intern_init(&self.caller_table, seed)
                or intern_init(&self.long_texts, seed)
                or intern_init(&self.error_table, seed) or memo_init(&self.memo, seed)):
            raise MemoryError

    def __dealloc__(self):
        intern_free(&self.plan_table)
        intern_free(&self.caller_table)
        intern_free(&self.long_texts)
        intern_free(&self.error_table)
        memo_free(&self.memo)
        free(self.known_callers)
        free(self.scratch)
        free(self.rest)

    def counts(self):
        """How many plans, callers and errors have a code."""
        return (self.plan_table.count - FIRST_ID, self.caller_table.count - FIRST_ID,
                self.error_table.count - FIRST_ID)

    def start(self, bint is_lines=False):
        """Begin with a document, or with lines."""
        self.is_lines = is_lines
        self.is_inside = self.is_closed = self.is_done = False
        self.rest_used = 0

    def scan(self, Scanned s not None, size_t most):
        """Take the next records of a text apart that is held as a whole, `most` at a time.

        Returns their number: 0 when there are no more. The text is no delivery file, or no JSON,
        when `is_refused` is set; then some codes were given to nobody: they must be forgotten.
        Releases the GIL.
        """
        self.is_last = True
        self.run(s, most)
        return s.count

    def room(self, Scanned s not None, size_t size):
        """uint8[size], to be written to: where the next piece of a document goes, behind the record
        that the piece before broke off."""
        cdef uint8_t[::1] own
        if s.is_lent:
            raise ValueError("records that are being coded")
        if s.own is None or <size_t>len(s.own) < self.rest_used + size:
            s.own = np.empty(self.rest_used + size + (self.rest_used + size) // 16, dtype=np.uint8)
        own = s.own
        s.start = 0
        if self.rest_used:
            memcpy(&own[0], self.rest, self.rest_used)
        return s.own[self.rest_used : self.rest_used + size]

    def put(self, Scanned s not None, room not None, size_t begin, size_t size):
        """Take the next piece of a document where it lies, in room[begin : begin + size]; the
        record that the piece before broke off goes before it. Gives what is free for others then,
        uint8[...] or None."""
        cdef uint8_t[::1] own = room
        if begin > <size_t>len(own) or size > len(own) - begin:
            raise IndexError(size)
        if self.rest_used > begin:  # no room before it
            self.room(s, size)[:] = room[begin : begin + size]
            return room
        if s.is_lent:
            raise ValueError("records that are being coded")
        spare, s.own = s.own, room
        s.start = begin - self.rest_used
        if self.rest_used:
            memcpy(&own[s.start], self.rest, self.rest_used)
        return spare

    def scan_piece(self, Scanned s not None, size_t added, bint is_last, size_t most):
        """Take apart a piece of a document, of which `added` bytes lie in its `room` or where they
        were `put`; see `scan`. With more than `most` records it is refused."""
        cdef const uint8_t[::1] own = s.own
        if s.start + self.rest_used + added > <size_t>len(own):
            raise IndexError(added)
        s.text = s.own
        s.base = s.at = &own[0] + s.start if own.shape[0] else NULL
        s.end = s.base + self.rest_used + added
        self.is_last = is_last
        self.run(s, most + 1)
        if s.count > most:
            self.is_done = s.is_refused = True
        if not s.is_refused:
            self.keep_rest(s)

    cdef int keep_rest(self, Scanned s) except -1:
        cdef void* moved
        self.rest_used = s.end - s.at
        if self.rest_used > s.longest:
            s.longest = self.rest_used
        if self.rest_used > self.rest_size:
            moved = realloc(self.rest, 2 * self.rest_used)
            if moved == NULL:
                raise MemoryError
            self.rest = <uint8_t*>moved
            self.rest_size = 2 * self.rest_used
        if self.rest_used:
            memcpy(self.rest, s.at, self.rest_used)
        return 0

    cdef int run(self, Scanned s, size_t most) except -1:
        cdef int64_t found = 0
        if s.is_lent:
            raise ValueError("records that are being coded")
        s.begin()
        if not self.is_done and s.base != NULL:
            if s.end - s.base >= 0xFFFFFFF0u:
                found = -1
            else:
                with nogil:
                    found = (self.scan_lines(s, most) if self.is_lines
                             else self.scan_document(s, most))
            if found == -2:
                raise MemoryError
            if found < 0:
                self.is_done = s.is_refused = True
                s.count = 0
        s.plan_count = self.plan_table.count - FIRST_ID
        s.error_count = self.error_table.count - FIRST_ID
        s.table_bytes = (
            intern_bytes(&self.caller_table) + intern_bytes(&self.plan_table)
            + intern_bytes(&self.long_texts)
            + intern_bytes(&self.memo.values) + self.known_caller_room * sizeof(KnownCaller))
        return 0

    cdef const uint8_t* take_apart(self, Scanned s, const uint8_t* p, const uint8_t* end
                                   ) noexcept nogil:
        # behind the record at p, which counts from `accept` on; NULL when it is no JSON
        cdef int odd = 0
        cdef size_t i = s.count
        cdef const uint8_t* behind = scan_record(
            s.base, p, end, &self.memo, s.slices + i * 2 * FIELD_COUNT,
            s.identities + i, &odd)
        if behind != NULL:
            s.bounds[2 * i] = <uint32_t>(p - s.base)
            s.bounds[2 * i + 1] = <uint32_t>(behind - s.base)
            s.odd[i] = odd
            s.odd_count += odd
            if <size_t>(behind - p) > s.longest:
                s.longest = behind - p
        return behind

    cdef int64_t accept(self, Scanned s) noexcept nogil:
        s.count += 1
        return self.code_one(s, s.count - 1)

    cdef int code_one(self, Scanned s, size_t i) noexcept nogil:
        # the codes of a record, and its time and event ID, while its text is still near
        cdef const uint32_t* slices = s.slices + i * 2 * FIELD_COUNT
        cdef uint32_t length = slices[2 * ID + 1]
        cdef void* moved
        if s.odd[i]:
            s.codes[0][i] = s.codes[1][i] = s.codes[2][i] = -1
        else:
            if self.code_plan(s, i) or self.code_caller(s, i):
                return -2
            if slices[2 * ERROR + 1] == 0 and self.no_error >= 0:
                s.codes[2][i] = self.no_error
            else:
                if self.code(&self.error_table, 1 << ERROR, 2, s, i):
                    return -2
                if slices[2 * ERROR + 1] == 0:
                    self.no_error = s.codes[2][i]
        if slices[2 * TIME + 1]:
            s.seconds[i] = seconds_of(s.base + slices[2 * TIME], slices[2 * TIME + 1], &self.day)
        elif slices[2 * STAMP + 1]:
            s.seconds[i] = seconds_of(s.base + slices[2 * STAMP], slices[2 * STAMP + 1],
                                      &self.day)
        else:
            s.seconds[i] = -1
        if s.id_used + length > s.id_room:
            moved = realloc(s.id_text, 2 * (s.id_used + length) + 65536)
            if moved == NULL:
                return -2
            s.id_text = <uint8_t*>moved
            s.id_room = 2 * (s.id_used + length) + 65536
        memcpy(s.id_text + s.id_used, s.base + slices[2 * ID], length)
        s.id_used += length
        s.id_hash[i] = hash_of(s.base + slices[2 * ID], length)
        return 0

    cdef void forget_known_plans(self) noexcept nogil:
        cdef int place
        for place in range(PLAN_PLACES):
            self.known_plans[place].code = -1

    cdef int code_plan(self, Scanned s, size_t i) noexcept nogil:
        cdef const uint32_t* slices = s.slices + i * 2 * FIELD_COUNT
        cdef const uint32_t* slice
        cdef KnownPlan* known
        cdef bint is_known
        cdef int k
        known = self.known_plans + (
            (ends_of(s.base + slices[2 * NAME], slices[2 * NAME + 1])
             + ends_of(s.base + slices[2 * SOURCE], slices[2 * SOURCE + 1]))
            * <uint64_t>0x9E3779B97F4A7C15 >> 32) % PLAN_PLACES
        is_known = known.code >= 0
        for k in range(4):
            slice = slices + 2 * PLAN_FIELD[k]
            is_known = is_known and slice[1] == known.lengths[k] and same_short(
                known.texts + PLAN_TEXT * k, s.base + slice[0], slice[1])
        if is_known:
            s.codes[0][i] = known.code
            return 0
        if self.code(&self.plan_table, PLAN_FIELDS, 0, s, i):
            return -1
        for k in range(4):
            if slices[2 * PLAN_FIELD[k] + 1] > PLAN_TEXT:
                return 0
        known.code = s.codes[0][i]
        for k in range(4):
            slice = slices + 2 * PLAN_FIELD[k]
            known.lengths[k] = <uint8_t>slice[1]
            memcpy(known.texts + PLAN_TEXT * k, s.base + slice[0], slice[1])
        return 0

    cdef int code_caller(self, Scanned s, size_t i) noexcept nogil:
        cdef uint32_t identity = s.identities[i]
        cdef const uint32_t* region = s.slices + (i * FIELD_COUNT + REGION) * 2
        cdef const uint32_t* account = s.slices + (i * FIELD_COUNT + RECIPIENT) * 2
        cdef KnownCaller* known
        cdef void* moved
        cdef size_t k, room
        if (self.caller_fields != SIMPLE_CALLER or region[1] > 255 or account[1] > 255
                or region[1] + account[1] > 42):
            return self.code(&self.caller_table, self.caller_fields, 1, s, i)
        if identity >= self.known_caller_room:
            room = 2 * <size_t>identity + 256
            moved = realloc(self.known_callers, room * sizeof(KnownCaller))
            if moved == NULL:
                return -1
            self.known_callers = <KnownCaller*>moved
            for k in range(self.known_caller_room, room):
                self.known_callers[k].code = -1
            self.known_caller_room = room
            self.memo.beside = <const uint8_t*>moved
            self.memo.beside_bytes, self.memo.beside_count = sizeof(KnownCaller), room
        known = self.known_callers + identity
        if (known.code >= 0 and known.region_length == region[1]
                and known.account_length == account[1]
                and same_short(known.texts, s.base + region[0], region[1])
                and same_short(known.texts + region[1], s.base + account[0], account[1])):
            s.codes[1][i] = known.code
            return 0
        if self.code(&self.caller_table, self.caller_fields, 1, s, i):
            return -1
        known.code = s.codes[1][i]
        known.region_length, known.account_length = <uint8_t>region[1], <uint8_t>account[1]
        memcpy(known.texts, s.base + region[0], region[1])
        memcpy(known.texts + region[1], s.base + account[0], account[1])
        return 0

    cdef int code(self, InternTable* table, uint32_t fields, int kind, Scanned s, size_t i
                  ) noexcept nogil:
        # number what these fields hold; a new number is noted with its record
        cdef const uint32_t* slice
        cdef size_t used = 0, need = 4
        cdef int field
        cdef uint32_t id, left = fields
        cdef size_t before = table.count
        while left:
            field = __builtin_ctz(left)
            left &= left - 1
            if field == IDENTITY:
                need += 4
                if self.ensure(need):
                    return -1
                memcpy(self.scratch + used, s.identities + i, 4)
                used += 4
                continue
            slice = s.slices + (i * FIELD_COUNT + field) * 2
            if field == AGENT or field == TLS:  # long, and beside many an identity
                id = intern_add(&self.long_texts, s.base + slice[0], slice[1])
                need += 4
                if id == NO_ID or self.ensure(need):
                    return -1
                memcpy(self.scratch + used, &id, 4)
                used += 4
            else:
                need += 4 + slice[1]
                if self.ensure(need):
                    return -1
                memcpy(self.scratch + used, slice + 1, 4)
                memcpy(self.scratch + used + 4, s.base + slice[0], slice[1])
                used += 4 + slice[1]
        id = intern_add(table, self.scratch, used)
        if id == NO_ID:
            return -1
        if table.count != before:
            s.fresh[kind][s.fresh_count[kind]] = <int32_t>i
            s.fresh_count[kind] += 1
        s.codes[kind][i] = <int32_t>(id - FIRST_ID)
        return 0

    cdef int64_t scan_document(self, Scanned s, size_t most) noexcept nogil:
        cdef const uint8_t* p = s.at
        cdef const uint8_t* end = s.end
        cdef int64_t status
        if not self.is_inside:
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
            self.is_inside = True
            if p < end and p[0] == 93:
                s.at = p + 1
                self.is_closed = True
                return self.end_document(s)
        elif self.is_closed:
            return self.end_document(s)
        while s.count < most:
            p = skip_space(p, end)
            s.at = p  # from here on it is read again when the piece ends before the record
            if p >= end:
                break
            if p[0] != 123:
                return -1
            if s.count == s.room and s.grow(s.count + 1):
                return -2
            p = self.take_apart(s, p, end)
            if p == NULL:
                break
            p = skip_space(p, end)
            if p >= end:
                break
            if p[0] != 44 and p[0] != 93:
                return -1
            status = self.accept(s)
            if status:
                return status
            s.at = p + 1
            if p[0] == 93:
                self.is_closed = True
                return self.end_document(s)
            p += 1
        else:
            return <int64_t>s.count
        return -1 if self.is_last else <int64_t>s.count

    cdef int64_t end_document(self, Scanned s) noexcept nogil:
        cdef const uint8_t* p
        if not self.is_last:
            return <int64_t>s.count
        self.is_done = True
        p = skip_space(s.at, s.end)
        if p >= s.end or p[0] != 125:
            return -1
        return <int64_t>s.count if skip_space(p + 1, s.end) == s.end else -1

    cdef int64_t scan_lines(self, Scanned s, size_t most) noexcept nogil:
        cdef const uint8_t* p = s.at
        cdef const uint8_t* stop
        cdef const uint8_t* behind
        cdef int64_t status
        while p < s.end and s.count < most:
            stop = <const uint8_t*>memchr(p, 10, s.end - p)
            if stop == NULL:
                stop = s.end
            behind = skip_space(p, stop)
            if behind < stop:
                if behind[0] != 123:
                    return -1
                if s.count == s.room and s.grow(s.count + 1):
                    return -2
                behind = self.take_apart(s, behind, stop)
                if behind == NULL:
                    return -1
                status = self.accept(s)
                if status:
                    return status
                if skip_space(behind, stop) != stop:
                    return -1
            p = stop + 1
        s.at = p
        self.is_done = p >= s.end
        return <int64_t>s.count

    cdef int ensure(self, size_t size) noexcept nogil:
        cdef void* moved
        if size > self.scratch_size:
            moved = realloc(self.scratch, size * 2)
            if moved == NULL:
                return -1
            self.scratch = <uint8_t*>moved
            self.scratch_size = size * 2
        return 0

    def forget(self, uint64_t seed):
        """Drop all codes but those of plans and errors."""
        free(self.known_callers)
        self.known_callers = NULL
        self.known_caller_room = 0
        intern_free(&self.caller_table)
        intern_free(&self.long_texts)
        memo_free(&self.memo)
        if (memo_init(&self.memo, seed) or intern_init(&self.caller_table, seed)
                or intern_init(&self.long_texts, seed)):
            raise MemoryError

    def forget_plans(self, uint64_t seed):
        """Drop all codes."""
        self.no_error = -1
        self.forget_known_plans()
        intern_free(&self.plan_table)
        intern_free(&self.error_table)
        if intern_init(&self.plan_table, seed) or intern_init(&self.error_table, seed):
            raise MemoryError
        self.forget(seed)
