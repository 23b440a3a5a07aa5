"""Calls whose parameters differ only in texts that the mapping cannot tell apart.

`Moulds.find` writes the parameters and the listed resources of a record as a *mould*: the JSON with
a slot in place of each plain text and each ARN, by its class (see value_classes.py, which says the
same in Python). Calls of one mould have the same requests but for the texts in the slots, so one of
them is mapped; `fill` numbers the distinct calls of a mould by the slots that matter, and `texts`
makes their resources. A text with an escape, a wildcard or another character that is not plain
stays as it is. The JSON was checked by the scan.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from iamtables.runtime.intern cimport (
    FIRST_ID, NO_ID, InternTable, intern_add, intern_bytes, intern_free, intern_init,
)

from .extract cimport Extractor
from .scan cimport (
    FIELD_COUNT, MESSAGE, PARAMETERS, RECIPIENT, REGION, RESOURCES, skip_space, skip_value,
)
from .slices cimport bucket_or_object

cdef enum:
    MAX_SLOTS = 24
    MAX_BYTES = 16384       # of parameters and resources that are taken
    MAX_LISTED = 1024       # known prefixes, words and suffixes
    HAS_SLASH = 1
    HAS_UPPER = 2
    HAS_OTHER = 4
    IS_KEY_ID = 8
    IS_ARN = 64
    NO_MOULD = -1
    WAITING = -2            # for the class of an ARN
    BY_MOULD = 64           # flags of a plan
    IS_BLIND = 128

cdef uint8_t IS_PLAIN[256]
cdef uint8_t FACTS_OF[256]
for _c in range(256):
    _ch = chr(_c)
    _name = _c < 128 and (_ch.isalnum() or _ch in "_-")
    IS_PLAIN[_c] = _name or _ch in ".=+,@/$[] "
    FACTS_OF[_c] = ((0 if _name else HAS_OTHER) | (HAS_SLASH if _ch == "/" else 0)
                    | (HAS_UPPER if "A" <= _ch <= "Z" else 0))

cdef struct Slot:
    uint32_t begin          # from the base of the record
    uint32_t length
    uint32_t arn            # id, of an ARN
    uint8_t facts
    uint8_t field


cdef inline bint is_hex(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= c <= 102


cdef bint is_key_id(const uint8_t* p, size_t length) noexcept nogil:
    # (mrk-)?8-4-4-4-12 lower-case hexadecimal digits, each `-` of the latter may be missing
    cdef int sizes[5]
    cdef size_t at = 0
    cdef int part, i
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4] = 8, 4, 4, 4, 12
    if length > 40 or length < 32:
        return False
    if memcmp(p, b"mrk-", 4) == 0:
        at = 4
    for part in range(5):
        for i in range(sizes[part]):
            if at == length or not is_hex(p[at]):
                return False
            at += 1
        if part < 4 and at < length and p[at] == 45:
            at += 1
    return at == length


cdef class Moulds:
    """The moulds of one reader, with the texts that fill them. Not to be shared between threads."""

    cdef InternTable mould_table, arn_table, filled_table
    cdef Slot* slots
    cdef size_t slot_count, slot_room
    cdef int64_t* first_slot
    cdef uint8_t* counts
    cdef size_t room
    cdef list listed
    cdef const uint8_t* prefix_at[MAX_LISTED]
    cdef size_t prefix_length[MAX_LISTED]
    cdef int prefix_count
    cdef const uint8_t* word_at[MAX_LISTED]
    cdef size_t word_length[MAX_LISTED]
    cdef int word_count
    cdef const uint8_t* suffix_at[MAX_LISTED]
    cdef size_t suffix_length[MAX_LISTED]
    cdef int suffix_count
    cdef const uint8_t* blind_at[MAX_LISTED]
    cdef size_t blind_length[MAX_LISTED]
    cdef int blind_count
    cdef uint8_t may_begin[256]     # the byte begins a prefix 1, a word 2
    cdef list programs
    cdef uint32_t* spans        # by mould, begin and end of its slots in `wanted`
    cdef uint8_t* wanted        # slots that matter
    cdef uint8_t* is_made
    cdef size_t program_count, program_room
    cdef uint8_t* out
    cdef size_t out_used

    def __cinit__(self, uint64_t seed, list prefixes not None, list words not None,
                  list suffixes not None, list blind not None):
        """prefixes : the longest first; all of these are bytes and not empty
        blind    : lower-case names whose values plans with the flag IS_BLIND 128 do not look at
        """
        cdef bytes text
        if max(len(prefixes), len(words), len(suffixes), len(blind)) > MAX_LISTED:
            raise ValueError("too many texts")
        self.out = <uint8_t*>malloc(2 * MAX_BYTES + 4096)
        if (self.out == NULL or intern_init(&self.mould_table, seed)
                or intern_init(&self.arn_table, seed) or intern_init(&self.filled_table, seed)):
            raise MemoryError
        self.listed = [list(prefixes), list(words), list(suffixes), list(blind)]
        memset(self.may_begin, 0, 256)
        self.programs = []
        for text in self.listed[0]:
            self.prefix_at[self.prefix_count] = <const uint8_t*><const char*>text
            self.prefix_length[self.prefix_count] = len(text)
            self.prefix_count += 1
            self.may_begin[text[0]] |= 1
        for text in self.listed[1]:
            self.word_at[self.word_count] = <const uint8_t*><const char*>text
            self.word_length[self.word_count] = len(text)
            self.word_count += 1
            self.may_begin[text[0]] |= 2
        for text in self.listed[2]:
            self.suffix_at[self.suffix_count] = <const uint8_t*><const char*>text
            self.suffix_length[self.suffix_count] = len(text)
            self.suffix_count += 1
        for text in self.listed[3]:
            self.blind_at[self.blind_count] = <const uint8_t*><const char*>text
            self.blind_length[self.blind_count] = len(text)
            self.blind_count += 1

    def __dealloc__(self):
        intern_free(&self.mould_table)
        intern_free(&self.arn_table)
        intern_free(&self.filled_table)
        free(self.slots)
        free(self.first_slot)
        free(self.counts)
        free(self.spans)
        free(self.wanted)
        free(self.is_made)
        free(self.out)

    @property
    def key_bytes(self):
        """Memory of the tables."""
        return (intern_bytes(&self.mould_table) + intern_bytes(&self.arn_table)
                + intern_bytes(&self.filled_table))

    def forget(self, uint64_t seed):
        """Drop all codes."""
        self.programs = []
        self.program_count = 0
        intern_free(&self.mould_table)
        intern_free(&self.arn_table)
        intern_free(&self.filled_table)
        if (intern_init(&self.mould_table, seed) or intern_init(&self.arn_table, seed)
                or intern_init(&self.filled_table, seed)):
            raise MemoryError

    # -- kernels ------------------------------------------------------------------------------

    cdef int split(self, const uint8_t* p, size_t length, uint8_t* facts) noexcept nogil:
        # which known prefix a text has (0 for none, else its number + 1) and the facts of the
        # rest; -1 for a text of its own class
        cdef int i, prefix = 0
        cdef size_t at, cut = 0
        cdef uint8_t seen = 0, plain = 1
        cdef uint8_t kinds = self.may_begin[p[0]]
        if kinds & 2:
            for i in range(self.word_count):
                if self.word_length[i] == length and memcmp(p, self.word_at[i], length) == 0:
                    return -1
        for i in range(self.suffix_count):
            if self.suffix_length[i] <= length and memcmp(
                    p + length - self.suffix_length[i], self.suffix_at[i],
                    self.suffix_length[i]) == 0:
                return -1
        if kinds & 1:
            for i in range(self.prefix_count):
                if self.prefix_length[i] <= length and memcmp(
                        p, self.prefix_at[i], self.prefix_length[i]) == 0:
                    prefix = i + 1
                    cut = self.prefix_length[i]
                    break
        if cut == length or p[cut] == 47:
            return -1
        for at in range(cut, length):
            plain &= IS_PLAIN[p[at]]
            seen |= FACTS_OF[p[at]]
        if not plain:
            return -1
        if length == 12 and cut == 0 and seen == 0:
            for at in range(12):
                if not 48 <= p[at] <= 57:
                    break
            else:
                return -1  # an account
        if cut == 0 and is_key_id(p, length):
            seen |= IS_KEY_ID
        facts[0] = seen
        return prefix

    cdef bint is_of_s3(self, const uint8_t* p, size_t length, uint8_t* token) noexcept nogil:
        # A listed bucket or object, by what it is and the class of its last piece: so many are met
        # once that their classes are not worth remembering.
        cdef uint8_t kind = bucket_or_object(p, length), facts = 0
        cdef size_t at, last = 13
        cdef int prefix
        if kind == 0:
            return False
        for at in range(13, length):
            if p[at] == 47 or p[at] == 58:
                last = at + 1
            elif not IS_PLAIN[p[at]]:
                return False
        if last == length:
            return False
        prefix = self.split(p + last, length - last, &facts)
        if prefix < 0:
            return False
        token[0], token[2], token[3] = 4, kind, facts
        token[4], token[5] = <uint8_t>(prefix & 255), <uint8_t>(prefix >> 8)
        return True

    cdef inline void emit(self, const void* data, size_t length) noexcept nogil:
        # `write` has proved that there is room: no more than twice the input and 4096 bytes
        memcpy(self.out + self.out_used, data, length)
        self.out_used += length

    cdef int slot(self, size_t first, const uint8_t* base, const uint8_t* p, size_t length,
                  uint32_t arn, uint8_t facts, uint8_t field) noexcept nogil:
        # a new slot; which of those before it has the same text, or its own number; -1: no room
        cdef size_t number = self.slot_count - first, i
        cdef Slot* made
        cdef const Slot* other
        cdef void* moved
        if number == MAX_SLOTS:
            return -1
        if self.slot_count == self.slot_room:
            moved = realloc(self.slots, (self.slot_room * 2 + 1024) * sizeof(Slot))
            if moved == NULL:
                return -1
            self.slots = <Slot*>moved
            self.slot_room = self.slot_room * 2 + 1024
        made = self.slots + self.slot_count
        made.begin, made.length = <uint32_t>(p - base), <uint32_t>length
        made.arn, made.facts, made.field = arn, facts, field
        self.slot_count += 1
        for i in range(number):
            other = self.slots + first + i
            if other.length == length and (other.facts & IS_ARN) == (facts & IS_ARN) and memcmp(
                    base + other.begin, p, length) == 0:
                return <int>i
        return <int>number

    cdef int write(self, size_t first, const uint8_t* base, const uint8_t* p, const uint8_t* end,
                   uint8_t field, bint is_blind, const int32_t* arn_classes,
                   size_t class_count) noexcept nogil:
        # Add the JSON from p to end to `out`. 0, NO_MOULD, or WAITING for the class of an ARN.
        cdef const uint8_t* stop
        cdef size_t length
        cdef uint8_t facts, token[8]
        cdef int prefix, same, waits = 0
        cdef uint32_t id
        cdef bint is_key
        cdef int odd, escaped
        while p < end:
            if p[0] == 32 or p[0] == 9 or p[0] == 10 or p[0] == 13:
                p += 1
                continue
            if p[0] != 34:
                self.out[self.out_used] = p[0]
                self.out_used += 1
                p += 1
                continue
            stop = <const uint8_t*>memchr(p + 1, 34, end - p - 1)
            if stop == NULL or memchr(p, 92, stop - p) != NULL:
                return NO_MOULD
            length = stop - p - 1
            stop = skip_space(stop + 1, end)
            is_key = stop < end and stop[0] == 58
            if is_key or length == 0:
                self.emit(p, length + 2)
                if is_key and is_blind and self.is_blind_name(p + 1, length):
                    odd = escaped = 0
                    stop = skip_value(stop + 1, end, &odd, &escaped)
                    if stop == NULL:
                        return NO_MOULD
                p = stop
                continue
            p += 1
            if field == RESOURCES and self.is_of_s3(p, length, token):
                same = self.slot(first, base, p, length, 0, IS_ARN, field)
                if same < 0:
                    return NO_MOULD
                token[1] = <uint8_t>same
                self.emit(token, 6)
            elif length >= 4 and memcmp(p, b"arn:", 4) == 0:
                id = intern_add(&self.arn_table, p, length)
                if id == NO_ID:
                    return NO_MOULD
                id -= FIRST_ID
                if id >= class_count:
                    waits = 1
                else:
                    same = self.slot(first, base, p, length, id, IS_ARN, field)
                    if same < 0:
                        return NO_MOULD
                    token[0], token[1] = 2, <uint8_t>same
                    memcpy(token + 2, arn_classes + id, 4)
                    self.emit(token, 6)
            else:
                prefix = self.split(p, length, &facts)
                if prefix < 0:
                    self.emit(p - 1, length + 2)
                else:
                    if prefix:
                        id = <uint32_t>self.prefix_length[prefix - 1]
                        p += id
                        length -= id
                    same = self.slot(first, base, p, length, 0, facts, field)
                    if same < 0:
                        return NO_MOULD
                    token[0], token[1], token[2] = 1, <uint8_t>same, facts
                    token[3], token[4] = <uint8_t>(prefix & 255), <uint8_t>(prefix >> 8)
                    self.emit(token, 5)
            p = stop
        return WAITING if waits else 0

    cdef bint is_blind_name(self, const uint8_t* p, size_t length) noexcept nogil:
        cdef int i
        cdef size_t at
        cdef uint8_t c
        for i in range(self.blind_count):
            if self.blind_length[i] != length:
                continue
            for at in range(length):
                c = p[at]
                if 65 <= c <= 90:
                    c += 32
                if c != self.blind_at[i][at]:
                    break
            else:
                return True
        return False

    cdef int32_t code(self, Extractor e, size_t i, const int32_t* plan, const int32_t* error,
                      const uint8_t* plan_flags, const int32_t* arn_classes, size_t class_count
                      ) noexcept nogil:
        cdef const uint32_t* slices = e.slices + i * 2 * FIELD_COUNT
        cdef const uint8_t* base = e.base
        cdef size_t first = self.slot_count
        cdef uint8_t flag = 3  # between the parts: no JSON has it
        cdef uint32_t id
        cdef int status, waits
        self.first_slot[i] = <int64_t>first
        self.counts[i] = 0
        self.out_used = 0
        self.emit(&plan[i], 4)
        self.emit(&error[i], 4)
        waits = self.write(
            first, base, base + slices[2 * PARAMETERS],
            base + slices[2 * PARAMETERS] + slices[2 * PARAMETERS + 1], PARAMETERS,
            (plan_flags[plan[i]] & IS_BLIND) != 0, arn_classes, class_count)
        if waits == NO_MOULD:
            self.slot_count = first
            return NO_MOULD
        if plan_flags[plan[i]] & 4:
            self.emit(&flag, 1)
            status = self.write(
                first, base, base + slices[2 * RESOURCES],
                base + slices[2 * RESOURCES] + slices[2 * RESOURCES + 1], RESOURCES,
                False, arn_classes, class_count)
            if status == NO_MOULD:
                self.slot_count = first
                return NO_MOULD
            waits = waits or status
            self.emit(&flag, 1)
            self.emit(base + slices[2 * REGION], slices[2 * REGION + 1])
            self.emit(&flag, 1)
            self.emit(base + slices[2 * RECIPIENT], slices[2 * RECIPIENT + 1])
        if waits:
            self.slot_count = first
            return WAITING
        self.counts[i] = <uint8_t>(self.slot_count - first)
        id = intern_add(&self.mould_table, self.out, self.out_used)
        if id == NO_ID:
            self.slot_count = first
            return NO_MOULD
        return <int32_t>(id - FIRST_ID)

    # -- doorways -----------------------------------------------------------------------------

    def find(self, Extractor e not None, const int32_t[::1] plan, const int32_t[::1] error,
             const uint8_t[::1] plan_flags, const int32_t[:, ::1] plan_needles,
             const uint8_t[::1] is_denial, const int32_t[::1] done, size_t max_bytes,
             const int32_t[::1] arn_classes, int32_t[::1] codes):
        """Mould of each record into codes: -1 none, -2 waits for ARNs; the records with new ones.

        Records of plans with the flag BY_MOULD 64 have one when none of the plan's needles is in
        their parameters and no message is worth reading.
        arn_classes : by id of an ARN; `new_arns` gives the others after this call
        codes       : int32[count], -2 for all; with those of the call before, only what still
                      waits is looked at
        """
        cdef size_t i, before, fresh = 0, size
        cdef const uint32_t* slices
        cdef const int32_t* classes = &arn_classes[0] if len(arn_classes) else NULL
        cdef int32_t[::1] first = np.empty(e.count, dtype=np.int32)
        cdef void* moved
        if not e.count:
            return np.asarray(first)
        if not len(plan) == len(error) == len(done) == len(codes) == e.count or len(
                plan_needles) != len(plan_flags):
            raise ValueError("codes of another scan")
        if (np.max(plan) >= len(plan_flags) or np.max(error) >= len(is_denial)
                or np.max(plan_needles, initial=0) > <int64_t>e.needle_count):
            raise ValueError("a code without its flags")
        if e.count > self.room:
            moved = realloc(self.first_slot, e.count * 2 * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError
            self.first_slot = <int64_t*>moved
            moved = realloc(self.counts, e.count * 2)
            if moved == NULL:
                raise MemoryError
            self.counts = <uint8_t*>moved
            self.room = e.count * 2
        if max_bytes > MAX_BYTES:
            max_bytes = MAX_BYTES
        with nogil:
            for i in range(e.count):
                if codes[i] != WAITING:
                    continue
                codes[i] = NO_MOULD
                if e.odd[i] or plan[i] < 0 or done[i] >= 0 or plan_flags[
                        plan[i]] & 80 != BY_MOULD:
                    continue
                slices = e.slices + i * 2 * FIELD_COUNT
                size = <size_t>slices[2 * PARAMETERS + 1] + slices[2 * RESOURCES + 1]
                if (size > max_bytes or slices[2 * PARAMETERS + 1] == 0
                        or e.base[slices[2 * PARAMETERS]] != 123
                        or slices[2 * REGION + 1] + slices[2 * RECIPIENT + 1] > 1024
                        or (slices[2 * MESSAGE + 1] and is_denial[error[i]] != 0)):
                    continue
                if e.has_needle(i, &plan_needles[plan[i], 0]):
                    continue
                before = self.mould_table.count
                codes[i] = self.code(e, i, &plan[0], &error[0], &plan_flags[0], classes,
                                     len(arn_classes))
                if self.mould_table.count != before:
                    first[fresh] = <int32_t>i
                    fresh += 1
        return np.asarray(first)[:fresh]

    def start(self):
        """Forget the slots of the records before. Call it once per scan, before `find`."""
        self.slot_count = 0

    def new_arns(self, size_t known):
        """The ARNs met so far, without the first `known` ones, as texts."""
        cdef list found = []
        cdef uint64_t begin
        cdef size_t id
        for id in range(known + FIRST_ID, self.arn_table.count):
            begin = self.arn_table.ends[id - 1]
            found.append((<const char*>self.arn_table.arena)[begin:self.arn_table.ends[id]]
                         .decode("ascii"))
        return found

    def slots_of(self, Extractor e not None, size_t i):
        """(begin, length, is it an ARN, of the parameters?) of each slot of a record with a mould.

        begin : from the beginning of the parameters, or of the resources
        """
        if i >= self.room or i >= e.count:
            raise IndexError(i)
        cdef const uint32_t* slices = e.slices + i * 2 * FIELD_COUNT
        return [(self.slots[k].begin - slices[2 * self.slots[k].field], self.slots[k].length,
                 bool(self.slots[k].facts & IS_ARN), self.slots[k].field == PARAMETERS)
                for k in range(self.first_slot[i], self.first_slot[i] + self.counts[i])]

    def add(self, bytes program, list others=[]):
        """What is known of the next mould: None, or how to make the text of its one resource.

        program : for each piece a byte, 255 for a text that follows behind two bytes of its
                  length, else the number of a slot
        others  : further programs, the slots of which matter, too
        """
        cdef set named = set() if program is None else set(slots_in(program))
        cdef list numbers
        for other in others:
            named.update(slots_in(other))
        numbers = sorted(named)
        cdef size_t used = self.spans[self.program_count] if self.program_count else 0
        cdef void* moved
        if self.program_count + 2 > self.program_room:
            moved = realloc(self.spans, (self.program_room * 2 + 256) * sizeof(uint32_t))
            if moved == NULL:
                raise MemoryError
            self.spans = <uint32_t*>moved
            moved = realloc(self.is_made, self.program_room * 2 + 256)
            if moved == NULL:
                raise MemoryError
            self.is_made = <uint8_t*>moved
            moved = realloc(self.wanted, (self.program_room * 2 + 256) * MAX_SLOTS)
            if moved == NULL:
                raise MemoryError
            self.wanted = <uint8_t*>moved
            self.program_room = self.program_room * 2 + 256
        if max(numbers, default=0) >= MAX_SLOTS:
            raise ValueError("no such slot")
        self.spans[self.program_count] = <uint32_t>used
        for number in numbers:
            self.wanted[used] = number
            used += 1
        self.is_made[self.program_count] = program is not None
        self.program_count += 1
        self.spans[self.program_count] = <uint32_t>used
        self.programs.append(program)

    def fill(self, Extractor e not None, const int32_t[::1] moulds):
        """(codes int32[count], records with a new one): mould and the texts that matter; -1: none.
        """
        cdef int32_t[::1] codes = np.empty(e.count, dtype=np.int32)
        cdef int32_t[::1] first = np.empty(e.count, dtype=np.int32)
        cdef size_t i, used, fresh = 0
        cdef uint32_t id, before, k
        cdef const Slot* slot
        cdef bint is_short = False
        if not e.count:
            return np.asarray(codes), np.asarray(first)
        if len(moulds) != e.count or np.max(moulds) >= <int64_t>self.program_count:
            raise ValueError("a mould without its program")
        with nogil:
            for i in range(e.count):
                codes[i] = -1
                if moulds[i] < 0 or not self.is_made[moulds[i]]:
                    continue
                memcpy(self.out, &moulds[i], 4)
                used = 4
                for k in range(self.spans[moulds[i]], self.spans[moulds[i] + 1]):
                    if self.wanted[k] >= self.counts[i]:
                        continue  # cannot be: all calls of a mould have the same slots
                    slot = self.slots + self.first_slot[i] + self.wanted[k]
                    memcpy(self.out + used, &slot.length, 4)
                    memcpy(self.out + used + 4, e.base + slot.begin, slot.length)
                    used += 4 + slot.length
                before = <uint32_t>self.filled_table.count
                id = intern_add(&self.filled_table, self.out, used)
                if id == NO_ID:
                    is_short = True
                    break
                if self.filled_table.count != before:
                    first[fresh] = <int32_t>i
                    fresh += 1
                codes[i] = <int32_t>(id - FIRST_ID)
        if is_short:
            raise MemoryError
        return np.asarray(codes), np.asarray(first)[:fresh]

    def texts(self, Extractor e not None, const int32_t[::1] records, const int32_t[::1] moulds):
        """The text that the program of its mould makes of each of these records."""
        cdef list made = []
        cdef int32_t i
        for i in records:
            made.append(self.made(e, i, self.programs[moulds[i]]))
        return made

    def text(self, Extractor e not None, size_t record, bytes program not None):
        """The text that a program makes of a record with a mould."""
        if record >= e.count or record >= self.room:
            raise IndexError(record)
        return self.made(e, record, program)

    cdef str made(self, Extractor e, size_t i, bytes program):
        cdef const uint8_t* p = <const uint8_t*><const char*>program
        cdef const uint8_t* end = p + len(program)
        cdef const Slot* slot
        cdef size_t used = 0, length
        while p < end:
            if p[0] == 255:
                length = p[1] + 256 * <size_t>p[2]
                if used + length > 2 * MAX_BYTES:
                    raise ValueError("a text that is too long")
                memcpy(self.out + used, p + 3, length)
                p += 3 + length
            else:
                if p[0] >= self.counts[i]:
                    raise IndexError(i)
                slot = self.slots + self.first_slot[i] + p[0]
                length = slot.length
                if used + length > 2 * MAX_BYTES:
                    raise ValueError("a text that is too long")
                memcpy(self.out + used, e.base + slot.begin, length)
                p += 1
            used += length
        return (<const char*>self.out)[:used].decode("ascii")


def slots_in(bytes program not None):
    """The slots that a program names, each once, in ascending order."""
    found = set()
    at = 0
    while at < len(program):
        if program[at] == 255:
            at += 3 + program[at + 1] + 256 * program[at + 2]
        else:
            found.add(program[at])
            at += 1
    return sorted(found)
