"""Calls whose parameters differ only in texts that the mapping cannot tell apart.

`Moulds.moulded` writes the parameters and the listed resources of a record as a *mould*: the JSON
with a slot in place of each plain text and each ARN, by its class (see value_classes.py, which says
the same in Python). Calls of one mould have the same requests but for the texts in the slots, so
one of them is mapped; the others are told apart by the slots that matter, and `texts` makes their
resources. A text with an escape, a wildcard or another character that is not plain stays as it is.
The JSON was checked by the scan.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from iamtables.runtime.intern cimport (
    FIRST_ID, NO_ID, InternTable, intern_add, intern_bytes, intern_free, intern_init, intern_many,
)

from .extract cimport Extractor
from .scan cimport (
    FIELD_COUNT, MESSAGE, PARAMETERS, RECIPIENT, REGION, RESOURCES, same_short, skip_space,
    skip_value, string_stop,
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
    NOT_PLAIN = 128
    IS_ARN = 64
    NO_MOULD = -1
    WAITING = -2            # for the class of an ARN
    FILLED_AT_ONCE = 32
    BY_MOULD = 64           # flags of a plan
    IS_BLIND = 128

cdef uint8_t FACTS_OF[256]   # of a character
for _c in range(256):
    _ch = chr(_c)
    _name = _c < 128 and (_ch.isalnum() or _ch in "_-")
    FACTS_OF[_c] = ((0 if _name else HAS_OTHER) | (HAS_SLASH if _ch == "/" else 0)
                    | (0 if _name or _ch in ".=+,@/$[] " else NOT_PLAIN)
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
    cdef size_t waiting         # the record at which the last `moulded` stopped
    cdef uint64_t* uses         # by plan, records that had a mould
    cdef size_t use_room
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
    cdef uint64_t blind_lengths     # bits; the last one stands for all that are longer
    cdef uint16_t words_from[257]   # by first byte, of what is put in order by it
    cdef uint16_t prefixes_from[257]
    cdef uint16_t prefix_order[MAX_LISTED]
    cdef uint8_t may_end[256]       # the byte ends a suffix
    cdef list programs
    cdef uint32_t* spans        # by mould, begin and end of its slots in `wanted`
    cdef uint8_t* wanted        # slots that matter
    cdef uint8_t* is_made
    cdef size_t program_count, program_room
    cdef uint8_t* out
    cdef size_t out_used
    cdef uint8_t* keys          # of calls that are looked up together, end to end
    cdef size_t key_room
    cdef size_t key_count
    cdef size_t key_starts[FILLED_AT_ONCE + 1]
    cdef size_t key_records[FILLED_AT_ONCE]

    def __cinit__(self, uint64_t seed, list prefixes not None, list words not None,
                  list suffixes not None, list blind not None):
        """prefixes : the longest first; all of these are bytes and not empty
        blind    : lower-case names whose values plans with the flag IS_BLIND 128 do not look at
        """
        cdef bytes text
        cdef size_t placed = 0
        cdef int byte
        if max(len(prefixes), len(words), len(suffixes), len(blind)) > MAX_LISTED:
            raise ValueError("too many texts")
        self.out = <uint8_t*>malloc(2 * MAX_BYTES + 4096)
        if (self.out == NULL or intern_init(&self.mould_table, seed)
                or intern_init(&self.arn_table, seed) or intern_init(&self.filled_table, seed)):
            raise MemoryError
        self.listed = [list(prefixes), list(words), list(suffixes), list(blind)]
        memset(self.may_end, 0, 256)
        self.programs = []
        for text in self.listed[0]:
            self.prefix_at[self.prefix_count] = <const uint8_t*><const char*>text
            self.prefix_length[self.prefix_count] = len(text)
            self.prefix_count += 1
        for byte in range(256):
            self.prefixes_from[byte] = <uint16_t>placed
            for place, text in enumerate(self.listed[0]):
                if text[0] == byte:
                    self.prefix_order[placed] = place
                    placed += 1
        self.prefixes_from[256] = <uint16_t>placed
        self.listed[1].sort()
        for text in self.listed[1]:
            self.word_at[self.word_count] = <const uint8_t*><const char*>text
            self.word_length[self.word_count] = len(text)
            self.word_count += 1
            self.words_from[text[0] + 1] = <uint16_t>self.word_count
        for byte in range(256):
            self.words_from[byte + 1] = max(self.words_from[byte], self.words_from[byte + 1])
        for text in self.listed[2]:
            self.suffix_at[self.suffix_count] = <const uint8_t*><const char*>text
            self.suffix_length[self.suffix_count] = len(text)
            self.suffix_count += 1
            self.may_end[text[len(text) - 1]] = 1
        for text in self.listed[3]:
            self.blind_at[self.blind_count] = <const uint8_t*><const char*>text
            self.blind_length[self.blind_count] = len(text)
            self.blind_lengths |= <uint64_t>1 << min(len(text), 63)
            self.blind_count += 1

    def __dealloc__(self):
        intern_free(&self.mould_table)
        intern_free(&self.arn_table)
        intern_free(&self.filled_table)
        free(self.slots)
        free(self.uses)
        free(self.spans)
        free(self.wanted)
        free(self.is_made)
        free(self.out)
        free(self.keys)

    @property
    def key_bytes(self):
        """Memory of the tables."""
        return (intern_bytes(&self.mould_table) + intern_bytes(&self.arn_table)
                + intern_bytes(&self.filled_table))

    @property
    def lasting_bytes(self):
        """Memory of those that outlast `forget_calls`."""
        return intern_bytes(&self.mould_table) + intern_bytes(&self.arn_table)

    def forget(self, uint64_t seed):
        """Drop all codes."""
        self.programs = []
        self.program_count = self.waiting = 0
        if self.use_room:
            memset(self.uses, 0, self.use_room * sizeof(uint64_t))
        intern_free(&self.mould_table)
        intern_free(&self.arn_table)
        intern_free(&self.filled_table)
        if (intern_init(&self.mould_table, seed) or intern_init(&self.arn_table, seed)
                or intern_init(&self.filled_table, seed)):
            raise MemoryError

    def forget_calls(self, uint64_t seed):
        """Drop the numbers of calls; those of moulds stay."""
        intern_free(&self.filled_table)
        if intern_init(&self.filled_table, seed):
            raise MemoryError

    # -- kernels ------------------------------------------------------------------------------

    cdef int split(self, const uint8_t* p, size_t length, uint8_t* facts) noexcept nogil:
        # which known prefix a text has (0 for none, else its number + 1) and the facts of the
        # rest; -1 for a text of its own class
        cdef int i, k, prefix = 0
        cdef size_t at, cut = 0
        cdef uint8_t seen = 0
        for i in range(self.words_from[p[0]], self.words_from[p[0] + 1]):
            if self.word_length[i] == length and same_short(p, self.word_at[i], length):
                return -1
        if self.may_end[p[length - 1]]:
            for i in range(self.suffix_count):
                if self.suffix_length[i] <= length and memcmp(
                        p + length - self.suffix_length[i], self.suffix_at[i],
                        self.suffix_length[i]) == 0:
                    return -1
        for k in range(self.prefixes_from[p[0]], self.prefixes_from[p[0] + 1]):
            i = self.prefix_order[k]
            if self.prefix_length[i] <= length and same_short(
                    p, self.prefix_at[i], self.prefix_length[i]):
                prefix = i + 1
                cut = self.prefix_length[i]
                break
        if cut == length or p[cut] == 47:
            return -1
        for at in range(cut, length):
            seen |= FACTS_OF[p[at]]
        if seen & NOT_PLAIN:
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
            elif FACTS_OF[p[at]] & NOT_PLAIN:
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

    cdef int slot(self, const uint8_t* base, const uint8_t* p, size_t length, uint32_t arn,
                  uint8_t facts, uint8_t field) noexcept nogil:
        # a new slot; which of those before it has the same text, or its own number; -1: no room
        cdef size_t number = self.slot_count, i
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
            other = self.slots + i
            if other.length == length and (other.facts & IS_ARN) == (facts & IS_ARN) and memcmp(
                    base + other.begin, p, length) == 0:
                return <int>i
        return <int>number

    cdef int write(self, const uint8_t* base, const uint8_t* p, const uint8_t* end, uint8_t field,
                   bint is_blind, const int32_t* arn_classes, size_t class_count) noexcept nogil:
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
            stop = string_stop(p + 1, end)
            if stop >= end or stop[0] != 34:
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
                same = self.slot(base, p, length, 0, IS_ARN, field)
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
                    same = self.slot(base, p, length, id, IS_ARN, field)
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
                    same = self.slot(base, p, length, 0, facts, field)
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
        if not self.blind_lengths >> (length if length < 63 else 63) & 1:
            return False
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
                      uint8_t flags, const int32_t* arn_classes, size_t class_count
                      ) noexcept nogil:
        # the mould of a record, whose slots are there then; NO_MOULD, or WAITING for ARNs' classes
        cdef const uint32_t* slices = e.slices + i * 2 * FIELD_COUNT
        cdef const uint8_t* base = e.base
        cdef uint8_t flag = 3  # between the parts: no JSON has it
        cdef uint32_t id
        cdef int status, waits
        self.out_used = 0
        self.emit(plan, 4)
        self.emit(error, 4)
        waits = self.write(
            base, base + slices[2 * PARAMETERS],
            base + slices[2 * PARAMETERS] + slices[2 * PARAMETERS + 1], PARAMETERS,
            (flags & IS_BLIND) != 0, arn_classes, class_count)
        if waits == NO_MOULD:
            return NO_MOULD
        if flags & 4:
            self.emit(&flag, 1)
            status = self.write(
                base, base + slices[2 * RESOURCES],
                base + slices[2 * RESOURCES] + slices[2 * RESOURCES + 1], RESOURCES,
                False, arn_classes, class_count)
            if status == NO_MOULD:
                return NO_MOULD
            waits = waits or status
            self.emit(&flag, 1)
            self.emit(base + slices[2 * REGION], slices[2 * REGION + 1])
            self.emit(&flag, 1)
            self.emit(base + slices[2 * RECIPIENT], slices[2 * RECIPIENT + 1])
        if waits:
            return WAITING
        id = intern_add(&self.mould_table, self.out, self.out_used)
        return NO_MOULD if id == NO_ID else <int32_t>(id - FIRST_ID)

    # -- doorways -----------------------------------------------------------------------------

    def moulded(self, Extractor e not None, size_t begin, const uint8_t[::1] plan_flags,
                const int32_t[:, ::1] plan_needles, const uint8_t[::1] is_denial,
                size_t max_bytes, const int32_t[::1] arn_classes):
        """Number the calls of moulds from record `begin` on, by the texts that matter.

        Records of plans with the flag BY_MOULD 64 have a mould when none of the plan's needles is
        in their parameters, no message is worth reading and `shaped` has not taken them.
        arn_classes : by id of an ARN
        Returns the first record that cannot be numbered yet, from which to go on when it can, or
        `count`. Either `new_arns` gives ARNs without a class, or its mould is not known: then
        `slots_of` and `add` are to be called. Releases the GIL.
        """
        cdef int64_t stopped
        e.check_facts(plan_flags, plan_needles, is_denial)
        if begin >= e.count:
            return e.count
        if self.grow_uses(len(plan_flags)):
            raise MemoryError
        with nogil:
            stopped = self.number(
                e, begin, &plan_flags[0], &plan_needles[0, 0], &is_denial[0],
                max_bytes if max_bytes < MAX_BYTES else MAX_BYTES,
                &arn_classes[0] if arn_classes.shape[0] else NULL, arn_classes.shape[0])
        if stopped < 0:
            raise MemoryError
        return stopped

    cdef int grow_uses(self, size_t plans) noexcept nogil:
        cdef void* moved
        if plans > self.use_room:
            moved = realloc(self.uses, 2 * plans * sizeof(uint64_t))
            if moved == NULL:
                return -1
            self.uses = <uint64_t*>moved
            memset(self.uses + self.use_room, 0, (2 * plans - self.use_room) * sizeof(uint64_t))
            self.use_room = 2 * plans
        return 0

    cdef int64_t number(
        self, Extractor e, size_t begin, const uint8_t* plan_flags, const int32_t* plan_needles,
        const uint8_t* is_denial, size_t max_bytes, const int32_t* arn_classes, size_t class_count
    ) noexcept nogil:
        cdef size_t i
        cdef int32_t plan, mould
        cdef const uint32_t* slices
        self.key_count = 0
        for i in range(begin, e.count):
            plan = e.codes[0][i]
            if e.odd[i] or plan < 0 or e.known[i] >= 0 or plan_flags[plan] & 80 != BY_MOULD:
                continue
            slices = e.slices + i * 2 * FIELD_COUNT
            if (<size_t>slices[2 * PARAMETERS + 1] + slices[2 * RESOURCES + 1] > max_bytes
                    or slices[2 * PARAMETERS + 1] == 0
                    or e.base[slices[2 * PARAMETERS]] != 123
                    or slices[2 * REGION + 1] + slices[2 * RECIPIENT + 1] > 1024
                    or (slices[2 * MESSAGE + 1] and is_denial[e.codes[2][i]] != 0)):
                continue
            if e.has_needle(i, plan_needles + 2 * plan):
                continue
            self.slot_count = 0
            mould = self.code(e, i, &e.codes[0][i], &e.codes[2][i], plan_flags[plan], arn_classes,
                              class_count)
            if mould == WAITING or mould >= <int64_t>self.program_count:
                self.waiting = i
                return -1 if self.fill(e) else <int64_t>i
            if mould == NO_MOULD:
                continue
            self.uses[plan] += 1
            if self.is_made[mould] and (self.put_key(e, i, mould) or (
                    self.key_count == FILLED_AT_ONCE and self.fill(e))):
                return -1
        self.waiting = e.count
        return -1 if self.fill(e) else <int64_t>e.count

    cdef int put_key(self, Extractor e, size_t i, int32_t mould) noexcept nogil:
        # the key of a call: its mould and the texts of the slots that matter
        cdef size_t used = self.key_starts[self.key_count] if self.key_count else 0, need
        cdef uint32_t k
        cdef const Slot* slot
        cdef void* moved
        need = used + 4
        for k in range(self.spans[mould], self.spans[mould + 1]):
            if self.wanted[k] >= self.slot_count:
                return -1  # cannot be: all calls of a mould have the same slots
            need += 4 + self.slots[self.wanted[k]].length
        if need > self.key_room:
            moved = realloc(self.keys, 2 * need + 4096)
            if moved == NULL:
                return -1
            self.keys = <uint8_t*>moved
            self.key_room = 2 * need + 4096
        memcpy(self.keys + used, &mould, 4)
        self.key_starts[self.key_count] = used
        used += 4
        for k in range(self.spans[mould], self.spans[mould + 1]):
            slot = self.slots + self.wanted[k]
            memcpy(self.keys + used, &slot.length, 4)
            memcpy(self.keys + used + 4, e.base + slot.begin, slot.length)
            used += 4 + slot.length
        self.key_records[self.key_count] = i
        self.key_count += 1
        self.key_starts[self.key_count] = used
        return 0

    cdef int fill(self, Extractor e) noexcept nogil:
        # Number the calls whose keys were put together: in a large table each waits for memory.
        cdef const uint8_t* texts[FILLED_AT_ONCE]
        cdef size_t lengths[FILLED_AT_ONCE]
        cdef uint64_t hashes[FILLED_AT_ONCE]
        cdef uint32_t ids[FILLED_AT_ONCE]
        cdef size_t k
        for k in range(self.key_count):
            texts[k] = self.keys + self.key_starts[k]
            lengths[k] = self.key_starts[k + 1] - self.key_starts[k]
        if self.key_count and intern_many(&self.filled_table, texts, lengths, hashes,
                                          self.key_count, ids):
            return -1
        for k in range(self.key_count):
            e.known[self.key_records[k]] = <int32_t>(ids[k] - FIRST_ID) << 1 | 1
        self.key_count = 0
        return 0

    def calls_of(self, size_t plan):
        """How many records of a plan had a mould so far."""
        return self.uses[plan] if plan < self.use_room else 0

    @property
    def mould_count(self):
        return self.mould_table.count - FIRST_ID

    @property
    def filled_count(self):
        """How many calls `moulded` has told apart."""
        return self.filled_table.count - FIRST_ID

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
        """(begin, length, is it an ARN, of the parameters?) of each slot of the record at which
        `moulded` has stopped.

        begin : from the beginning of the parameters, or of the resources
        """
        if i != self.waiting or i >= e.count:
            raise IndexError(i)
        cdef const uint32_t* slices = e.slices + i * 2 * FIELD_COUNT
        cdef size_t k
        return [(self.slots[k].begin - slices[2 * self.slots[k].field], self.slots[k].length,
                 bool(self.slots[k].facts & IS_ARN), self.slots[k].field == PARAMETERS)
                for k in range(self.slot_count)]

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

    def moulds_of(self, size_t begin):
        """int32[n]: the moulds of the calls that `moulded` numbered, from number `begin` on."""
        cdef size_t n = self.filled_table.count - FIRST_ID, k
        if begin > n:
            raise IndexError(begin)
        cdef int32_t[::1] moulds = np.empty(n - begin, dtype=np.int32)
        for k in range(begin, n):
            memcpy(&moulds[k - begin],
                   self.filled_table.arena + self.filled_table.ends[k + FIRST_ID - 1], 4)
        return np.asarray(moulds)

    def texts(self, size_t begin):
        """(uint8[...], int64[n + 1]): what the program of its mould makes of each call from number
        `begin` on, end to end, and where each begins."""
        cdef size_t n = self.filled_table.count - FIRST_ID, k, used = 0, length
        cdef bytearray made = bytearray()
        if begin > n:
            raise IndexError(begin)
        cdef int64_t[::1] offsets = np.zeros(n - begin + 1, dtype=np.int64)
        cdef int32_t mould
        for k in range(begin, n):
            memcpy(&mould, self.filled_table.arena + self.filled_table.ends[k + FIRST_ID - 1], 4)
            length = self.make(k, self.programs[mould])
            if used + length > <size_t>len(made):
                made.extend(bytes(len(made) + length + 4096))
            memcpy(<char*>made + used, self.out, length)
            used += length
            offsets[k - begin + 1] = used
        return np.frombuffer(made, dtype=np.uint8, count=used), np.asarray(offsets)

    def text(self, size_t call, bytes program not None):
        """The text that a program makes of a call that `moulded` numbered."""
        if call >= self.filled_table.count - FIRST_ID:
            raise IndexError(call)
        cdef size_t length = self.make(call, program)
        return (<const char*>self.out)[:length].decode("ascii")

    cdef size_t make(self, size_t call, bytes program) except? 0:
        # the text in `out`; its length
        cdef const uint8_t* p = <const uint8_t*><const char*>program
        cdef const uint8_t* end = p + len(program)
        cdef const uint8_t* at
        cdef size_t used = 0
        cdef uint32_t length, k, number
        cdef int32_t mould
        cdef const uint8_t* entry = (
            self.filled_table.arena + self.filled_table.ends[call + FIRST_ID - 1])
        memcpy(&mould, entry, 4)
        while p < end:
            if p[0] == 255:
                length = p[1] + 256 * <uint32_t>p[2]
                at = p + 3
                p += 3 + length
            else:
                at = entry + 4
                for k in range(self.spans[mould], self.spans[mould + 1]):
                    memcpy(&length, at, 4)
                    at += 4
                    if self.wanted[k] == p[0]:
                        break
                    at += length
                else:
                    raise IndexError(p[0])
                p += 1
            if used + length > 2 * MAX_BYTES:
                raise ValueError("a text that is too long")
            memcpy(self.out + used, at, length)
            used += length
        return used


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
