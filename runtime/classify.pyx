"""Resources to classes: which resource sets each distinct text matches, found out once.

A text goes through all patterns together (`globs`), and the sets of the patterns that match make its
row: set ids with what the match is worth. What matched together before has its row already; an
organization holds thousands of sets, and `*` is in most of them. Rows are hash-consed, because
millions of resources fall into a few thousand classes; they are sparse, because a bit matrix of
classes times sets has no bound but the number of strings.
"""

import cython

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from .column cimport (
    COLUMN_CODES,
    COLUMN_CONSTANT,
    COLUMN_STRINGS,
    RESOURCES_MIXED,
    RESOURCES_VALID,
    Ahead,
    ColumnData,
    bit_is_set,
    column_ids,
    column_text,
    column_value,
    intern_ahead,
    is_code,
)
from .globs cimport GlobSet
from .heads cimport PatternHeads
from .intern cimport (
    ABSENT_ID,
    FIRST_ID,
    NO_ID,
    UNKNOWN_ID,
    InternTable,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_free,
    intern_init,
)
from .shapes cimport place_of_resource
from .words cimport Words, words_fill, words_reserve

cdef enum:
    MOST_TRIED = 24         # patterns that are tried one by one


cdef bint is_resource(const uint8_t* text, size_t length) noexcept nogil:
    """RES-12: `*`, or `arn:` and at least five colons in all."""
    return place_of_resource(text, length) != 0 or (length == 1 and text[0] == c"*")


@cython.final
cdef class ResourceClasses:
    """Rows of the resources seen so far. Belongs to one engine, and so to one thread."""

    def __init__(self, planner, GlobSet globs, facts, uint64_t seed):
        """facts: plan_facts.EngineFacts, whose arrays are borrowed."""
        self.planner = planner
        self.globs = globs
        self.keep = tuple(facts)
        self.set_count = len(facts.set_negated)
        self.negated_count = len(facts.negated_sets)
        self.pattern_set_start = <const uint32_t*><size_t>facts.pattern_set_start.ctypes.data
        self.pattern_set = <const uint32_t*><size_t>facts.pattern_set.ctypes.data
        self.pattern_has_variable = <const uint8_t*><size_t>facts.pattern_has_variable.ctypes.data
        self.set_negated = <const uint8_t*><size_t>facts.set_negated.ctypes.data
        self.set_default = <const uint8_t*><size_t>facts.set_default.ctypes.data
        self.negated_sets = <const uint32_t*><size_t>facts.negated_sets.ctypes.data
        self.set_start = <const uint32_t*><size_t>facts.set_start.ctypes.data
        self.set_pattern = <const uint32_t*><size_t>facts.set_pattern.ctypes.data
        self.heads = PatternHeads(globs)
        self.set_state = <uint8_t*>calloc(self.set_count + 1, 1)
        if (self.set_state == NULL or intern_init(&self.texts, seed)
                or intern_init(&self.rows, seed + 1)
                or intern_init(&self.matches, seed + 2)
                or words_reserve(&self.scratch, 2 * self.set_count + 2)):
            raise MemoryError
        self.start_rows()

    def __dealloc__(self):
        intern_free(&self.texts)
        intern_free(&self.rows)
        intern_free(&self.matches)
        free(self.match_row.data)
        free(self.items.data)
        free(self.row_start.data)
        free(self.text_row.data)
        free(self.scratch.data)
        free(self.set_state)

    cdef int start_rows(self) except -1:
        """The rows of an unknown and of an invalid resource exist before any text was seen."""
        cdef const uint32_t[::1] items = self.planner.unknown_row
        cdef size_t i, n = items.shape[0]
        self.row_start.count = self.items.count = self.text_row.count = self.match_row.count = 0
        self.last_count = LAST_FOUND + 1
        if (words_reserve(&self.row_start, FIRST_ID) or words_reserve(&self.items, n + 2)
                or words_reserve(&self.text_row, FIRST_ID)):
            raise MemoryError
        self.row_start.count = FIRST_ID
        self.items.data[ROW_UNKNOWN] = <uint32_t>n
        for i in range(n):
            self.items.data[1 + i] = items[i]
        self.invalid_row = <uint32_t>(n + 1)
        self.items.data[n + 1] = 0
        self.items.count = n + 2
        self.text_row.data[ABSENT_ID] = self.text_row.data[UNKNOWN_ID] = ROW_UNKNOWN
        self.text_row.count = FIRST_ID
        return 0

    cdef uint32_t classify(self, const uint8_t* text, size_t length) noexcept nogil:
        """Row of a valid resource: which sets it matches. NO_ID when memory is short."""
        cdef size_t count = self.globs.match(text, length)
        return self.known_matches(self.globs.found, count)

    cdef uint32_t classify_whole(self, const uint8_t* text, size_t length) noexcept nogil:
        """`classify` of a text that may be anything."""
        return self.classify(text, length) if is_resource(text, length) else self.invalid_row

    cdef uint32_t classify_for(self, const uint32_t* sets, size_t count, const uint8_t* text,
                               size_t length) noexcept nogil:
        """`classify`, but the row need be true of these sets alone, and the text may be anything."""
        cdef uint32_t[MOST_TRIED] found
        cdef size_t s, j, tried = 0, hits = 0
        if not is_resource(text, length):
            return self.invalid_row
        for s in range(count):
            tried += self.set_start[sets[s] + 1] - self.set_start[sets[s]]
        if tried > MOST_TRIED:  # all together are no dearer
            return self.classify(text, length)
        if self.heads.find():
            return NO_ID
        for s in range(count):
            for j in range(self.set_start[sets[s]], self.set_start[sets[s] + 1]):
                if self.heads.matches_one(self.set_pattern[j], text, length):
                    found[hits] = self.set_pattern[j]
                    hits += 1
        return self.known_matches(found, hits)

    cdef uint32_t known_matches(self, const uint32_t* found, size_t count) noexcept nogil:
        """`row_of_matches`, worked out once."""
        cdef uint32_t row, known
        if (count == self.last_count
                and memcmp(found, self.last_found, count * sizeof(uint32_t)) == 0):
            return self.last_row
        known = intern_add(&self.matches, <const uint8_t*>found, count * sizeof(uint32_t))
        if known == NO_ID:
            return NO_ID
        known -= FIRST_ID
        if words_fill(&self.match_row, known, NO_ID):
            return NO_ID
        row = self.match_row.data[known]
        if row == NO_ID:
            row = self.match_row.data[known] = self.row_of_matches(found, count)
        if row != NO_ID and count <= LAST_FOUND:
            memcpy(self.last_found, found, count * sizeof(uint32_t))
            self.last_count, self.last_row = count, row
        return row

    cdef uint32_t row_of_matches(self, const uint32_t* found, size_t count) noexcept nogil:
        """Row of what the patterns `found` match."""
        cdef size_t i, j, n = 0, touched
        cdef uint32_t pattern, s, row, item
        cdef uint32_t* items = self.scratch.data
        cdef uint32_t* sets = items + self.set_count + 1
        cdef uint8_t state
        touched = 0
        for i in range(count):
            pattern = found[i]
            for j in range(self.pattern_set_start[pattern], self.pattern_set_start[pattern + 1]):
                s = self.pattern_set[j]
                if self.set_state[s] == 0:
                    sets[touched] = s
                    touched += 1
                if not self.pattern_has_variable[pattern]:
                    self.set_state[s] = CELL_YES
                elif self.set_state[s] == 0:
                    self.set_state[s] = CELL_VERIFY
        for i in range(touched):
            s = sets[i]
            if not self.set_negated[s]:
                items[n] = s << 2 | self.set_state[s]
                n += 1
        for i in range(self.negated_count):
            s = self.negated_sets[i]
            state = self.set_state[s]
            if state != CELL_YES:
                items[n] = s << 2 | (state if state else self.set_default[s])
                n += 1
        for i in range(touched):
            self.set_state[sets[i]] = 0
        sort_words(items, n)
        row = intern_add(&self.rows, <const uint8_t*>items, n * sizeof(uint32_t))
        if row == NO_ID:
            return NO_ID
        if row == self.row_start.count:
            if (words_reserve(&self.row_start, 1) or words_reserve(&self.items, n + 1)
                    or self.items.count + n >= <size_t>0xFFFFFFF0U):
                return NO_ID
            self.row_start.data[row] = <uint32_t>self.items.count
            self.row_start.count += 1
            self.items.data[self.items.count] = <uint32_t>n
            memcpy(self.items.data + self.items.count + 1, items, n * sizeof(uint32_t))
            self.items.count += n + 1
        return self.row_start.data[row]

    cdef uint32_t row_of_id(self, uint32_t resource) noexcept nogil:
        """Row of an interned resource, classified once."""
        cdef const uint8_t* text
        cdef size_t start, length
        if words_fill(&self.text_row, resource, NO_ID):
            return NO_ID
        if self.text_row.data[resource] == NO_ID:
            start = <size_t>self.texts.ends[resource - 1]
            text = self.texts.arena + start
            length = <size_t>self.texts.ends[resource] - start
            self.text_row.data[resource] = self.classify_whole(text, length)
        return self.text_row.data[resource]

    cdef uint32_t row(self, ColumnData* column, size_t i) noexcept nogil:
        """Row of the resource of row i; NO_ID on failure.

        A dictionary value is classified where it lies: its text is interned only if a pattern with
        variables has to be verified (`resource_id`).
        """
        cdef const uint8_t* text = NULL
        cdef size_t length = 0
        cdef int32_t code
        cdef uint32_t resource, row
        cdef int status
        if column.kind == COLUMN_CODES:
            if ((column.instead != NULL and column.instead[i])
                    or (column.validity != NULL
                        and not bit_is_set(column.validity, column.validity_offset + i))):
                return ROW_UNKNOWN
            code = column.codes[i]
            if not is_code(column, code):
                return NO_ID
            if code < 0:
                return ROW_UNKNOWN
            row = column.remap[code]
            if row == NO_ID:
                status = column_text(&column.strings, <size_t>code, &text, &length)
                if status < 0:
                    return NO_ID
                if status:
                    row = ROW_UNKNOWN
                elif column.resource_check == RESOURCES_VALID or is_resource(text, length):
                    row = self.classify(text, length)
                else:
                    row = self.invalid_row
                column.remap[code] = row
            return row
        resource = column_value(column, &self.texts, i)
        return NO_ID if resource == NO_ID else self.row_of_id(resource)

    cdef uint32_t resource_id(self, ColumnData* column, size_t i) noexcept nogil:
        """Id of the resource of row i, UNKNOWN_ID where it is not known; NO_ID on failure.

        With a column of codes ids are kept in the low halves of `by_code`.
        """
        cdef const uint8_t* text = NULL
        cdef size_t length = 0, size = column.dictionary_count * sizeof(uint64_t)
        cdef uint64_t* known
        cdef uint32_t id
        cdef int32_t code
        cdef int status
        if column.kind != COLUMN_CODES:
            id = column_value(column, &self.texts, i)
            return UNKNOWN_ID if id == ABSENT_ID else id
        if ((column.instead != NULL and column.instead[i])
                or (column.validity != NULL
                    and not bit_is_set(column.validity, column.validity_offset + i))):
            return UNKNOWN_ID
        code = column.codes[i]
        if not is_code(column, code):
            return NO_ID
        if code < 0:
            return UNKNOWN_ID
        if column.by_code == NULL:
            column.by_code = <uint64_t*>malloc(size + 1)
            if column.by_code == NULL:
                return NO_ID
            memset(column.by_code, 0xFF, size)
        known = column.by_code + code
        if <uint32_t>known[0] == NO_ID:
            status = column_text(&column.strings, <size_t>code, &text, &length)
            if status < 0:
                return NO_ID
            id = UNKNOWN_ID if status else intern_add(&self.texts, text, length)
            known[0] = known[0] >> 32 << 32 | id
        return <uint32_t>known[0]

    cdef int resource_ids(self, ColumnData* column, size_t start, size_t n, uint32_t* ids,
                          Ahead* ahead) noexcept nogil:
        """`resource_id` of rows start..start + n, at most MOST_AHEAD; -1 on failure."""
        cdef size_t k, count = 0
        cdef int32_t code
        cdef int status
        if column.kind == COLUMN_STRINGS:
            if column_ids(column, &self.texts, start, n, ids, ahead):
                return -1
            for k in range(n):
                if ids[k] == ABSENT_ID:
                    ids[k] = UNKNOWN_ID
            return 0
        for k in range(n):
            code = column.codes[start + k] if column.kind == COLUMN_CODES else -1
            if (code >= 0 and is_code(column, code) and column.by_code != NULL
                    and column.instead == NULL and column.validity == NULL
                    and <uint32_t>column.by_code[code] == NO_ID):
                status = column_text(&column.strings, <size_t>code, &ahead.texts[count],
                                     &ahead.lengths[count])
                if status == 0:
                    ahead.rows[count] = <uint32_t>k
                    count += 1
                    continue
            ids[k] = self.resource_id(column, start + k)
            if ids[k] == NO_ID:
                return -1
        if intern_ahead(ahead, &self.texts, count, ids):
            return -1
        for k in range(count):
            code = column.codes[start + ahead.rows[k]]
            column.by_code[code] = column.by_code[code] >> 32 << 32 | ahead.found[k]
        return 0

    cdef int is_valid(self, ColumnData* column, size_t i) noexcept nogil:
        """RES-12 for a row whose decision does not depend on the resource; -1 on failure."""
        cdef const uint8_t* text = NULL
        cdef size_t length = 0
        cdef int status
        cdef uint32_t row
        if column.kind == COLUMN_STRINGS:
            if column.instead != NULL and column.instead[i]:
                return True
            status = column_text(&column.strings, i + column.row_offset, &text, &length)
            return -1 if status < 0 else status != 0 or is_resource(text, length)
        row = self.row(column, i)
        return -1 if row == NO_ID else row != self.invalid_row

    cdef int check_column(self, ColumnData* column) noexcept nogil:
        """What RES-12 says of a whole column: a look at each dictionary value, or at the one value."""
        cdef const uint8_t* text = NULL
        cdef size_t length = 0, code
        if column.kind == COLUMN_CONSTANT:
            return RESOURCES_VALID if self.is_valid(column, 0) == 1 else RESOURCES_MIXED
        if column.kind != COLUMN_CODES:
            return RESOURCES_MIXED
        for code in range(column.dictionary_count):
            if (column_text(&column.strings, code, &text, &length) == 0
                    and not is_resource(text, length)):
                return RESOURCES_MIXED
        return RESOURCES_VALID

    cdef size_t used(self) noexcept nogil:
        """Memory of the caches, in bytes."""
        return (intern_bytes(&self.texts) + intern_bytes(&self.rows) + intern_bytes(&self.matches)
                + 4 * (self.match_row.capacity + self.items.capacity + self.row_start.capacity + self.text_row.capacity))

    cdef int forget(self) except -1:
        """Drop every text and row."""
        intern_clear(&self.texts)
        intern_clear(&self.rows)
        intern_clear(&self.matches)
        self.start_rows()
        return 0

    def counts(self):
        """Distinct texts and rows, and candidates verified by the globs."""
        return {
            "resources": self.texts.count - FIRST_ID,
            "resource_classes": self.row_start.count - FIRST_ID,
            "verified_candidates": self.globs.candidates,
        }


cdef void sort_words(uint32_t* words, size_t n) noexcept nogil:
    """Ascending, in place. Rows hold a handful of items; heap sort keeps long ones from going wild."""
    cdef size_t i, j
    cdef uint32_t held
    if n > 32:
        heap_sort(words, n)
        return
    for i in range(1, n):
        held = words[i]
        j = i
        while j > 0 and words[j - 1] > held:
            words[j] = words[j - 1]
            j -= 1
        words[j] = held


cdef void heap_sort(uint32_t* words, size_t n) noexcept nogil:
    cdef size_t start = n // 2, end = n, root, child
    cdef uint32_t held
    while end > 1:
        if start > 0:
            start -= 1
            held = words[start]
        else:
            end -= 1
            held = words[end]
            words[end] = words[0]
        root = start
        child = root * 2 + 1
        while child < end:
            if child + 1 < end and words[child + 1] > words[child]:
                child += 1
            if words[child] <= held:
                break
            words[root] = words[child]
            root = child
            child = root * 2 + 1
        words[root] = held
