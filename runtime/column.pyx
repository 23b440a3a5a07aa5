"""Columns as the kernels see them: one struct, read lazily, row by row.

A row's value becomes an id only when a decision needs it. Dictionary columns intern each dictionary
value at most once. A list of texts is one value: the bytes 0xFF, then per element a four-byte length
and the text; no UTF-8 text starts with 0xFF, so lists and scalars never meet in an interner.

Bad offsets in a foreign buffer never read outside of it: the row reads as absent and the column
is reported (`column_text` returns -1).
"""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from .intern cimport intern_many

cdef enum:
    TEXT_OK = 0
    TEXT_NULL = 1
    TEXT_BAD = -1
    NO_TEXT_CODES = 2       # -1 and -2 have slots before those of the dictionary
    VIEW_SIZE = 16
    INLINE_SIZE = 12        # a text of up to so many bytes lies in its view


cdef int column_text(Strings* s, size_t row, const uint8_t** text, size_t* length) noexcept nogil:
    """Text of one row: 0, 1 for a null, -1 when the offsets do not fit the data."""
    cdef uint64_t begin, end
    if s.validity != NULL and not bit_is_set(s.validity, s.validity_offset + row):
        return TEXT_NULL
    if s.views != NULL:
        return view_text(s, row, text, length)
    if s.offsets32 != NULL:
        begin = <uint64_t>s.offsets32[row]
        end = <uint64_t>s.offsets32[row + 1]
    else:
        begin = <uint64_t>s.offsets64[row]
        end = <uint64_t>s.offsets64[row + 1]
    if begin > end or end > s.data_size:  # a negative offset is a huge one here
        return TEXT_BAD
    text[0] = s.data + begin
    length[0] = <size_t>(end - begin)
    return TEXT_OK


cdef int view_text(Strings* s, size_t row, const uint8_t** text, size_t* length) noexcept nogil:
    """Text of one view, -1 when it leads out of its block, or into none."""
    cdef const uint8_t* view = s.views + row * VIEW_SIZE
    cdef int32_t size, block, begin
    memcpy(&size, view, 4)  # a foreign buffer need not be aligned
    if size < 0:
        return TEXT_BAD
    length[0] = <size_t>size
    if size <= INLINE_SIZE:
        text[0] = view + 4
        return TEXT_OK
    memcpy(&block, view + 8, 4)
    memcpy(&begin, view + 12, 4)
    if block < 0 or begin < 0 or <size_t>block >= s.block_count:
        return TEXT_BAD
    if <uint64_t>begin + <uint64_t>size > s.block_sizes[block]:
        return TEXT_BAD
    text[0] = s.blocks[block] + begin
    return TEXT_OK


cdef uint32_t intern_text(ColumnData* c, InternTable* table, size_t row) noexcept nogil:
    cdef const uint8_t* text = NULL
    cdef size_t length = 0
    cdef int status = column_text(&c.strings, row, &text, &length)
    if status == TEXT_OK:
        return intern_add(table, text, length)
    return ABSENT_ID if status == TEXT_NULL else NO_ID


cdef uint32_t intern_list(ColumnData* c, InternTable* table, size_t row) noexcept nogil:
    cdef uint64_t begin, end, e
    cdef const uint8_t* text = NULL
    cdef size_t length = 0, used = 1, need
    cdef uint32_t size
    cdef int status
    cdef void* moved
    if c.list32 != NULL:
        begin = <uint64_t>c.list32[row]
        end = <uint64_t>c.list32[row + 1]
    else:
        begin = <uint64_t>c.list64[row]
        end = <uint64_t>c.list64[row + 1]
    if begin > end or end > c.element_count:
        return NO_ID
    for e in range(begin, end):
        status = column_text(&c.strings, <size_t>e, &text, &length)
        if status == TEXT_NULL:
            continue
        if status != TEXT_OK or length > <size_t>0xFFFFFFF0U:
            return NO_ID
        need = used + 4 + length
        if need > c.scratch_size:
            moved = realloc(c.scratch, need * 2)
            if moved == NULL:
                return NO_ID
            c.scratch = <uint8_t*>moved
            c.scratch_size = need * 2
        size = <uint32_t>length
        memcpy(c.scratch + used, &size, 4)
        if length:
            memcpy(c.scratch + used + 4, text, length)
        used = need
    c.scratch[0] = 0xFF
    return intern_add(table, c.scratch, used)


cdef inline uint32_t instead_of(ColumnData* c, size_t row) noexcept nogil:
    if c.instead[row] == INSTEAD_DERIVED:
        return c.derived
    return ABSENT_ID if c.instead[row] == INSTEAD_ABSENT else UNKNOWN_ID


cdef uint32_t column_intern(ColumnData* c, InternTable* table, size_t row) noexcept nogil:
    """Value id of a row in every case, interning its text when it is new."""
    cdef int32_t code
    cdef uint32_t id
    if c.instead != NULL and c.instead[row]:
        return instead_of(c, row)
    if c.kind == COLUMN_CONSTANT:
        return c.constant
    if c.kind == COLUMN_CODES:
        if c.validity != NULL and not bit_is_set(c.validity, c.validity_offset + row):
            return ABSENT_ID
        code = c.codes[row]
        if not is_code(c, code):
            return NO_ID
        id = c.remap[code]
        if id == NO_ID:
            id = intern_text(c, table, <size_t>code)
            c.remap[code] = id
        return id
    if c.kind == COLUMN_STRINGS:
        return intern_text(c, table, row + c.row_offset)
    if c.validity != NULL and not bit_is_set(c.validity, c.validity_offset + row):
        return ABSENT_ID
    return intern_list(c, table, row + c.row_offset)


cdef bint codes_fit(const int32_t* codes, size_t n, int32_t lowest, uint32_t span) noexcept nogil:
    """Are n codes all among the `span` ones from the lowest on?"""
    cdef size_t k
    cdef uint32_t at, wrong = 0, last = span - 1
    if span - 1 > <uint32_t>INT32_MAX:  # none, or more than signs tell apart
        for k in range(n):
            wrong |= <uint32_t>codes[k] - <uint32_t>lowest >= span
        return wrong == 0
    # By signs alone, which vectors of every processor compare.
    for k in range(n):
        at = <uint32_t>codes[k] - <uint32_t>lowest
        wrong |= at | (last - at)
    return wrong <= <uint32_t>INT32_MAX


cdef const int32_t* block_codes(const ColumnData* c, size_t start, size_t n,
                                int32_t* scratch) noexcept nogil:
    """Codes of n rows, at most MOST_AHEAD, -1 for nulls; NULL where one is no code.

    scratch : where they are written if there may be nulls
    """
    cdef const int32_t* codes = c.codes + start
    cdef size_t k, at = c.validity_offset + start
    cdef int32_t is_there
    cdef bint is_bad = False
    if c.validity == NULL:
        return codes if codes_fit(codes, n, c.lowest_code, c.code_span) else NULL
    for k in range(n):
        is_there = bit_is_set(c.validity, at + k)
        is_bad |= is_there & (not is_code(c, codes[k]))
        scratch[k] = codes[k] | (is_there - 1)
    return NULL if is_bad else scratch


cdef bint known_ids(const ColumnData* c, size_t start, size_t n, uint32_t* ids) noexcept nogil:
    """Value ids of rows whose codes were all met before; False where one was not.

    No branch hangs on data, so the processor waits for many rows at a time.
    """
    cdef int32_t[256] scratch
    cdef const int32_t* codes = block_codes(c, start, n, scratch)
    cdef const uint32_t* remap = c.remap
    cdef uint32_t missing = 0
    cdef size_t k
    if codes == NULL:
        return False
    for k in range(n):
        ids[k] = remap[codes[k]]
        missing |= ids[k] == NO_ID
    return not missing


cdef int intern_ahead(Ahead* ahead, InternTable* table, size_t n, uint32_t* ids) noexcept nogil:
    """Ids of the first n texts of `ahead`, written where their rows are; -1 when one has none."""
    cdef size_t k
    if intern_many(table, ahead.texts, ahead.lengths, ahead.hashes, n, ahead.found):
        return -1
    for k in range(n):
        ids[ahead.rows[k]] = ahead.found[k]
    return 0


cdef size_t column_texts(ColumnData* c, size_t start, size_t n, uint32_t* ids,
                         Ahead* ahead) noexcept nogil:
    """Put the texts of rows start..start + n of a column of strings ahead, at most MOST_AHEAD; their
    number, NO_TEXTS where a row's offsets do not fit.

    ids : of the rows without a text, which are absent or have something else instead; those of the
          others are any
    """
    cdef Strings* s = &c.strings
    cdef const int32_t* offsets = s.offsets32 + start + c.row_offset
    cdef size_t k, count = 0, at = s.validity_offset + start + c.row_offset
    cdef uint64_t begin, end
    cdef int status
    cdef bint is_bad = False, is_there = True
    if s.offsets32 == NULL or c.instead != NULL:
        for k in range(n):
            ids[k] = ABSENT_ID
            if c.instead != NULL and c.instead[start + k]:
                ids[k] = instead_of(c, start + k)
                continue
            status = column_text(s, start + k + c.row_offset, &ahead.texts[count],
                                 &ahead.lengths[count])
            if status == TEXT_BAD:
                return NO_TEXTS
            ahead.rows[count] = <uint32_t>k
            count += status == TEXT_OK
        return count
    for k in range(n):  # which rows are null is nothing a branch predictor could know
        begin = <uint64_t>offsets[k]
        end = <uint64_t>offsets[k + 1]
        if s.validity != NULL:
            is_there = bit_is_set(s.validity, at + k)
        is_bad |= is_there & ((begin > end) | (end > s.data_size))
        ids[k] = ABSENT_ID
        ahead.texts[count] = s.data + begin
        ahead.lengths[count] = <size_t>(end - begin)
        ahead.rows[count] = <uint32_t>k
        count += is_there
    return NO_TEXTS if is_bad else count


cdef int column_ids(ColumnData* c, InternTable* table, size_t start, size_t n, uint32_t* ids,
                    Ahead* ahead) noexcept nogil:
    """Value ids of rows start..start + n, at most MOST_AHEAD; -1 when a row has none."""
    cdef size_t k, count
    if c.kind != COLUMN_STRINGS:
        if c.kind == COLUMN_CODES and c.instead == NULL and known_ids(c, start, n, ids):
            return 0
        for k in range(n):
            ids[k] = column_value(c, table, start + k)
            if ids[k] == NO_ID:
                return -1
        return 0
    count = column_texts(c, start, n, ids, ahead)
    return -1 if count == NO_TEXTS else intern_ahead(ahead, table, count, ids)


cdef uint16_t* column_places(ColumnData* c) noexcept nogil:
    """Where a column of codes keeps a number for each code, -1 and -2 too, 0 in the beginning; NULL
    when memory is short."""
    cdef uint16_t* slots
    if c.places == NULL:
        slots = <uint16_t*>calloc(NO_TEXT_CODES + c.dictionary_count, sizeof(uint16_t))
        if slots == NULL:
            return NULL
        c.places = slots + NO_TEXT_CODES
    return c.places


cdef uint8_t* column_states(ColumnData* c, size_t slot, size_t slots,
                            uint8_t unseen) noexcept nogil:
    """States of a predicate by code, `unseen` in the beginning; NULL when memory is short."""
    cdef size_t size = NO_TEXT_CODES + c.dictionary_count
    if c.states == NULL:
        c.states = <uint8_t**>calloc(slots, sizeof(void*))
        if c.states == NULL:
            return NULL
        c.state_slots = slots
    if c.states[slot] == NULL:
        c.states[slot] = <uint8_t*>malloc(size)
        if c.states[slot] == NULL:
            return NULL
        memset(c.states[slot], unseen, size)
    return c.states[slot] + NO_TEXT_CODES


cdef bint same_texts(const Strings* a, const Strings* b, size_t count) noexcept nogil:
    """Are the first `count` texts of both, in one piece each, the same and in the same order?

    Offsets that do not fit are no texts, and nothing but the same place says they are the same.
    """
    cdef size_t i
    cdef int64_t begin, end
    if (a.validity == NULL) != (b.validity == NULL) or a.views != NULL or b.views != NULL:
        return False
    if (a.offsets32 == NULL) != (b.offsets32 == NULL):
        return False
    if (a.data == b.data and a.data_size == b.data_size and a.offsets32 == b.offsets32
            and a.offsets64 == b.offsets64 and a.validity == b.validity
            and a.validity_offset == b.validity_offset):
        return True
    if a.validity != NULL:
        for i in range(count):
            if (bit_is_set(a.validity, a.validity_offset + i)
                    != bit_is_set(b.validity, b.validity_offset + i)):
                return False
    if a.offsets32 != NULL:
        if memcmp(a.offsets32, b.offsets32, (count + 1) * sizeof(int32_t)) != 0:
            return False
        begin, end = a.offsets32[0], a.offsets32[count]
    else:
        if memcmp(a.offsets64, b.offsets64, (count + 1) * sizeof(int64_t)) != 0:
            return False
        begin, end = a.offsets64[0], a.offsets64[count]
    if (begin < 0 or end < begin or <uint64_t>end > a.data_size or <uint64_t>end > b.data_size
            or (a.data_size != b.data_size and not are_rising(a, count))):
        return False
    return end == begin or memcmp(a.data + begin, b.data + begin, <size_t>(end - begin)) == 0


cdef bint are_rising(const Strings* s, size_t count) noexcept nogil:
    """Does each of `count` texts end where the next begins, or before it?"""
    cdef size_t i
    if s.offsets32 != NULL:
        for i in range(count):
            if s.offsets32[i] > s.offsets32[i + 1]:
                return False
        return True
    for i in range(count):
        if s.offsets64[i] > s.offsets64[i + 1]:
            return False
    return True


cdef const void* address_of(object array) except? NULL:
    """Data pointer of a C-contiguous numpy array (or NULL for None), which the caller keeps."""
    cdef Py_buffer view
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    cdef const void* address = view.buf
    PyBuffer_Release(&view)
    return address


cdef const void* bytes_of(object buffer, size_t* size) except? NULL:
    """Where the bytes of a buffer lie that the caller keeps, and how many they are."""
    cdef Py_buffer view
    size[0] = 0
    if buffer is None:
        return NULL
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    cdef const void* address = view.buf
    size[0] = <size_t>view.len
    PyBuffer_Release(&view)
    return address


cdef class BoundColumn:
    """A column bound to one session: borrowed buffers, and ids of that session's interners."""

    def __cinit__(self):
        memset(&self.c, 0, sizeof(ColumnData))
        self._keep = ()

    def __dealloc__(self):
        cdef size_t slot
        if self.c.remap != NULL:
            free(self.c.remap - NO_TEXT_CODES)
        free(self.c.strings.blocks)
        free(self.c.strings.block_sizes)
        if self.c.states != NULL:
            for slot in range(self.c.state_slots):
                free(self.c.states[slot])
        free(self.c.states)
        free(self.c.by_code)
        if self.c.places != NULL:
            free(self.c.places - NO_TEXT_CODES)
        free(self.c.truth)
        free(self.c.scratch)

    cdef int _set_strings(self, data, offsets, validity, size_t validity_offset) except -1:
        cdef Strings* s = &self.c.strings
        s.data = <const uint8_t*>address_of(data)
        s.data_size = 0 if data is None else data.nbytes
        if offsets.dtype == np.int32:
            s.offsets32 = <const int32_t*>address_of(offsets)
        else:
            s.offsets64 = <const int64_t*>address_of(offsets)
        s.validity = <const uint8_t*>address_of(validity)
        s.validity_offset = validity_offset
        self._keep += (data, offsets, validity)
        return 0

    def set_instead(self, mask):
        """mask: uint8[n], for each row 0, or what stands in it instead: 1 unknown, 2 absent, 3 what
        the engine derives.
        """
        self.c.instead = <const uint8_t*>address_of(mask)
        self._keep += (mask,)

    def note_resources(self):
        """Each value of the dictionary is known to be a resource (RES-12): it is not looked at."""
        if self.c.kind == COLUMN_CODES:
            self.c.resource_check = RESOURCES_VALID

    @property
    def constant_id(self):
        """The value id of all rows; None where the column has another form."""
        return self.c.constant if self.c.kind == COLUMN_CONSTANT else None

    @property
    def dictionary_bytes(self):
        """Memory of a dictionary and of what may be learnt of its values; 0 in other columns."""
        if self.c.kind != COLUMN_CODES:
            return 0
        return self.c.strings.data_size + (32 + self.c.state_slots) * self.c.dictionary_count

    def adopt(self, BoundColumn before):
        """Take over what was learnt of the same dictionary, or of one that has grown at its end
        since; False if `before` has another one.

        What was learnt has to be of this engine, this use of the column, and no earlier `clear`.
        `before` cannot be used again. Both must be as they were bound, whatever owns their memory.
        """
        cdef size_t known = before.c.dictionary_count
        if (self is before or self.c.kind != COLUMN_CODES or before.c.kind != COLUMN_CODES
                or known > self.c.dictionary_count
                or not same_texts(&self.c.strings, &before.c.strings, known)):
            return False
        if known == self.c.dictionary_count:
            self.c.remap, before.c.remap = before.c.remap, self.c.remap
            self.c.states, before.c.states = before.c.states, self.c.states
            self.c.state_slots, before.c.state_slots = before.c.state_slots, self.c.state_slots
            self.c.by_code, before.c.by_code = before.c.by_code, self.c.by_code
            self.c.places, before.c.places = before.c.places, self.c.places
            self.c.resource_check = before.c.resource_check
        else:
            self._adopt_grown(before, known)
        before.c.kind = COLUMN_CONSTANT
        before.length = 0
        return True

    cdef int _adopt_grown(self, BoundColumn before, size_t known) except -1:
        """What holds for each text alone; states are found again from the ids."""
        memcpy(self.c.remap, before.c.remap, known * sizeof(uint32_t))
        if before.c.by_code != NULL:
            self.c.by_code = <uint64_t*>malloc(self.c.dictionary_count * sizeof(uint64_t) + 1)
            if self.c.by_code == NULL:
                raise MemoryError
            memcpy(self.c.by_code, before.c.by_code, known * sizeof(uint64_t))
            memset(self.c.by_code + known, 0xFF,
                   (self.c.dictionary_count - known) * sizeof(uint64_t))
        if before.c.places != NULL:
            if column_places(&self.c) == NULL:
                raise MemoryError
            memcpy(self.c.places - NO_TEXT_CODES, before.c.places - NO_TEXT_CODES,
                   (NO_TEXT_CODES + known) * sizeof(uint16_t))
        if before.c.resource_check == RESOURCES_MIXED:
            self.c.resource_check = RESOURCES_MIXED
        return 0

    def forget_rows(self):
        """Let go of the rows and keep the dictionary, for `adopt`."""
        self.length = 0
        if self.c.kind == COLUMN_CODES and self.c.codes != NULL:
            self.c.codes = NULL
            self.c.validity = self.c.instead = NULL
            self._keep = self._keep[2:5]  # data, offsets and validity of the dictionary

    @staticmethod
    def constant(size_t length, uint32_t value_id):
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        column.length = length
        column.c.kind = COLUMN_CONSTANT
        column.c.constant = value_id
        return column

    @staticmethod
    def strings(size_t length, data, offsets, validity=None, size_t validity_offset=0):
        """data uint8[], offsets int32/int64[length + 1], validity bitmap uint8[] or None."""
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        column.length = length
        column.c.kind = COLUMN_STRINGS
        column._set_strings(data, offsets, validity, validity_offset)
        return column

    @staticmethod
    def arrow_strings(size_t length, size_t offset, list buffers, bint is_large, bint has_nulls):
        """Texts from row `offset` on in Arrow's buffers (validity, offsets, data), without an array
        of numpy for each, which takes longer than a thousand texts.

        None where a buffer is too short for these rows, or its offsets are not aligned.
        """
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        cdef Strings* s = &column.c.strings
        cdef size_t width = sizeof(int64_t) if is_large else sizeof(int32_t)
        cdef size_t size = 0
        cdef const uint8_t* offsets = <const uint8_t*>bytes_of(buffers[1], &size)
        cdef size_t bounds = size // width
        if length >= bounds or offset > bounds - 1 - length or <size_t>offsets % width:
            return None
        if is_large:
            s.offsets64 = <const int64_t*>offsets + offset
        else:
            s.offsets32 = <const int32_t*>offsets + offset
        if has_nulls:
            s.validity = <const uint8_t*>bytes_of(buffers[0], &size)
            s.validity_offset = offset
            if (offset + length + 7) // 8 > size:
                return None
        s.data = <const uint8_t*>bytes_of(buffers[2], &size)
        s.data_size = size
        column.length = length
        column.c.kind = COLUMN_STRINGS
        column._keep = (buffers,)
        return column

    @staticmethod
    def views(size_t length, views, blocks, validity=None, size_t validity_offset=0):
        """views uint8[16 * length], blocks a list of uint8[], validity bitmap uint8[] or None."""
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        cdef Strings* s = &column.c.strings
        cdef size_t i
        column.length = length
        column.c.kind = COLUMN_STRINGS
        column._keep = (views, *blocks, validity)
        s.views = <const uint8_t*>address_of(views)
        s.validity = <const uint8_t*>address_of(validity)
        s.validity_offset = validity_offset
        s.block_count = len(blocks)
        s.blocks = <const uint8_t**>calloc(s.block_count + 1, sizeof(void*))
        s.block_sizes = <uint64_t*>calloc(s.block_count + 1, sizeof(uint64_t))
        if s.blocks == NULL or s.block_sizes == NULL:
            raise MemoryError
        for i, block in enumerate(blocks):
            s.blocks[i] = <const uint8_t*>address_of(block)
            s.block_sizes[i] = block.nbytes
        return column

    @staticmethod
    def codes(codes, data, offsets, dictionary_validity=None, size_t dictionary_validity_offset=0,
              validity=None, size_t validity_offset=0, bint has_signs=True):
        """codes int32[n] into a dictionary of texts; with `has_signs` -1 is a null, -2 unknown."""
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        cdef size_t count = len(offsets) - 1
        cdef uint32_t* slots
        column.length = len(codes)
        column.c.kind = COLUMN_CODES
        column.c.codes = <const int32_t*>address_of(codes)
        column.c.validity = <const uint8_t*>address_of(validity)
        column.c.validity_offset = validity_offset
        column._keep = (codes, validity)
        column._set_strings(data, offsets, dictionary_validity, dictionary_validity_offset)
        column.c.dictionary_count = count
        column.c.lowest_code = -NO_TEXT_CODES if has_signs else 0
        column.c.code_span = (<uint32_t>min(count, <size_t>INT32_MAX + 1)
                              - <uint32_t>column.c.lowest_code)
        slots = <uint32_t*>malloc((NO_TEXT_CODES + count) * sizeof(uint32_t))
        if slots == NULL:
            raise MemoryError
        column.c.remap = slots + NO_TEXT_CODES
        column.c.remap[-1] = ABSENT_ID
        column.c.remap[-2] = UNKNOWN_ID
        memset(column.c.remap, 0xFF, count * sizeof(uint32_t))
        return column

    @staticmethod
    def lists(size_t length, list_offsets, data, offsets, validity=None, size_t validity_offset=0,
              element_validity=None, size_t element_validity_offset=0):
        """list_offsets int32/int64[length + 1] into elements given as strings."""
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        column.length = length
        column.c.kind = COLUMN_LISTS
        column._keep = (list_offsets, validity)
        if list_offsets.dtype == np.int32:
            column.c.list32 = <const int32_t*>address_of(list_offsets)
        else:
            column.c.list64 = <const int64_t*>address_of(list_offsets)
        column.c.element_count = len(offsets) - 1
        column.c.validity = <const uint8_t*>address_of(validity)
        column.c.validity_offset = validity_offset
        column._set_strings(data, offsets, element_validity, element_validity_offset)
        column.c.scratch_size = 256
        column.c.scratch = <uint8_t*>malloc(256)
        if column.c.scratch == NULL:
            raise MemoryError
        return column

    @staticmethod
    def truth(size_t length, arrays):
        """arrays: one uint8[length] of State codes per predicate of the key, by slot."""
        cdef BoundColumn column = BoundColumn.__new__(BoundColumn)
        cdef size_t i
        column.length = length
        column.c.kind = COLUMN_TRUTH
        column._keep = tuple(arrays)
        column.c.truth = <const uint8_t**>calloc(len(arrays) + 1, sizeof(void*))
        if column.c.truth == NULL:
            raise MemoryError
        for i, array in enumerate(arrays):
            column.c.truth[i] = <const uint8_t*>address_of(array)
        return column
