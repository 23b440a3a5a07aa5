"""The batch loop when several policy layers meet: columns of requests in, decision and layer out.

Who asks, what for and through what is looked up (runtime/sides.pyx), and so is what that question
of that requester comes to (runtime/records.pyx). Most rows end there. The others gather the signals of the
entries that are left in two words, `must` and `may`, from which the outcome is read off
(runtime/outcomes.pyx).

In a large organization every one of these look-ups misses the caches of the processor. So a block of
rows takes each step together, and each step asks early for what the next will read.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .classify cimport ROW_UNKNOWN
from .column cimport Ahead, BoundColumn, ColumnData, Strings, bit_is_set, column_text
from .engine cimport (
    ERROR_ACTION,
    ERROR_PRINCIPAL,
    ERROR_RESOURCE,
    NO,
    SET_ANY,
    SET_UNREADABLE,
    UNDETERMINED,
    UNSEEN,
    YES,
    known_state,
)
from .globs cimport GlobSet
from .grids cimport Grid, grid_at, grid_numbers, grid_put
from .intern cimport ABSENT_ID, NO_ID, intern_many
from .lists cimport ACTION_ERROR, LEVEL_SIGNALS
from .outcomes cimport Signals, add_entry
from .pairs cimport (
    PairSlot,
    PairTable,
    pair_of,
    pair_slot,
    pairs_find,
    pairs_get,
    pairs_place,
)
from .placed cimport PlacedEngine
from .prefetch cimport prefetch
from .records cimport (
    ENTRY_WORDS,
    LEVELS_KNOWN,
    MOST_QUESTIONS,
    NEAR_CROSSINGS,
    OFFSET_MASK,
    OUTCOME_ERROR,
    OUTCOME_OPEN,
    OUTCOME_SHIFT,
    RECORD_ROOT,
    RECORD_SERVICE,
    RECORD_SETS,
    SLOT_SETS,
    Derived,
    Known,
    Record,
    Request,
    derived_of,
    entries_of,
    near_place,
    tests_of,
)
from .sides cimport BLOCK, Asked
from .words cimport Words


cdef inline void put_outcome(Batch* batch, size_t i, const PairSlot* slot) noexcept nogil:
    put_word(batch, i, word_of(slot))


cdef inline uint64_t word_of(const PairSlot* slot) noexcept nogil:
    return slot.value | <uint64_t>slot.extra << 32


cdef inline void put_word(Batch* batch, size_t i, uint64_t word) noexcept nogil:
    batch.decision[i] = word >> OUTCOME_SHIFT & 3
    batch.layer[i] = <uint8_t>(<uint32_t>word >> OUTCOME_SHIFT + 2)
    batch.statement[i] = <int32_t>(word >> 32)


cdef enum:
    MOST_SETS = 16          # of a record, that a resource is held against by itself

    LOOKED_AT = 4096        # resources interned between two looks at how many of them were new
    MOST_FLEETING = 1 << 16


cdef inline size_t note_fleeting(Fleeting* f, size_t count, size_t new) noexcept nogil:
    """`count` resources were interned, `new` of them had not been met before; the number of the next
    ones that need not be interned.

    Where hardly any is met twice, neither copies nor all that a resource matches would be asked for
    again. The more often that is found, the more are not interned.
    """
    f.looked += count
    f.new += new
    if f.looked < LOOKED_AT:
        return 0
    f.span = min(2 * f.span + LOOKED_AT, <size_t>MOST_FLEETING) if (
        f.new > f.looked - f.looked // 4) else 0
    f.looked = f.new = 0
    return f.span


cdef class LayeredEngine(PlacedEngine):
    """Decides rows over a table with several layers."""

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        PlacedEngine.__init__(self, planner, globs, facts, layers)
        self.rows = <Row*>malloc(BLOCK * sizeof(Row))
        if self.rows == NULL:
            raise MemoryError
        memset(&self.last_facts, 0, sizeof(self.last_facts))
        memset(&self.fleeting, 0, sizeof(self.fleeting))

    def __dealloc__(self):
        free(self.rows)

    # --- a row that its record leaves open

    cdef int _gather(self, Signals* signals, const uint32_t* following, size_t count,
                     Batch* batch, Row* row) noexcept nogil:
        """Signals of the entries of a record."""
        cdef const uint32_t* entry
        cdef const uint32_t* items = self.resources.items.data + row.resource_row
        cdef uint32_t target, levels
        cdef size_t e
        cdef uint8_t state
        for e in range(count):
            entry = following
            following += 5 + (entry[4] & 0xFFFF)
            target = entry[1]
            if target != LEVEL_SIGNALS and signals.must >> target & 1:
                continue
            levels = entry[2]
            if not levels & LEVELS_KNOWN:
                levels = self._levels(levels, row.requester, batch.keys, row.i)
                if levels == NO_ID:
                    return -1
                if levels >> 8 == 0:
                    continue
            state = self._entry(entry + 2, batch.resources, items, batch.keys, row.i)
            if self.failed:
                return -1
            if state == NO:
                continue
            add_entry(signals, target, levels, state == YES, <int32_t>entry[0])
        return 0

    cdef void _fetch(self, Batch* batch, const Row* row) noexcept nogil:
        """Ask for what settling a row will read behind its record."""
        cdef Record* record = <Record*>(self.records.data + row.record)
        cdef const Derived* derived = derived_of(record)
        cdef const int32_t* codes
        cdef size_t k
        for k in range(record.derived_count):
            prefetch(self._derived_value(row, derived[k].source))
        for k in range(record.test_count):
            codes = batch.keys[self.test_key[tests_of(record)[k]]].codes
            if codes != NULL:
                prefetch(codes + row.i)

    cdef inline const uint32_t* _derived_value(self, const Row* row,
                                               uint32_t source) noexcept nogil:
        """Where the value of a key is that follows from a side: SidesEngine.derived_from."""
        cdef size_t at = source & 0x3FFFFFFF
        if source >> 30 == 0:
            return (self.requester_values.data
                    + self.requester_row.data[row.requester] * self.requester_key.count + at)
        if source >> 30 == 1:
            return (self.side_values.data
                    + self.side_row.data[row.side] * self.side_key.count + at)
        return self.endpoint_values.data + row.endpoint * self.endpoint_key.count + at

    cdef void _derive(self, Batch* batch, Row* row, Record* record) noexcept nogil:
        """Values that follow from a side, put where the caller gave none (CTX-3)."""
        cdef const Derived* derived = derived_of(record)
        cdef ColumnData* column
        cdef uint32_t value
        cdef size_t k
        for k in range(record.derived_count):
            if batch.is_derived[derived[k].key]:
                column = batch.keys[derived[k].key]
                value = self._derived_value(row, derived[k].source)[0]
                if column.instead != NULL:  # in some rows
                    column.derived = value
                else:
                    column.constant = value

    cdef int _settle(self, Batch* batch, Row* row, bint is_all) noexcept nogil:
        """Decide a row by its record; with `is_all` find out all that decided (EVAL-1)."""
        cdef Record* record = <Record*>(self.records.data + row.record)
        cdef Known* known = <Known*>(record + 1)
        cdef Signals* signals = &self.last_signals
        cdef uint32_t outcome
        cdef size_t k
        self.last_is_service = record.flags & RECORD_SERVICE
        if self.last_is_service:  # no policy is asked, nor can other means add anything
            return 0
        signals.must = record.must
        signals.may = record.may
        for k in range(record.known_count):
            signals.by_must[known[k].signal] = known[k].by_must
            signals.by_may[known[k].signal] = known[k].by_may
        self._derive(batch, row, record)
        if not record.flags & RECORD_SETS:
            row.resource_row = 0
        elif row.resource != NO_ID:  # otherwise `_find_narrowed` found its row
            row.resource_row = self.resources.row_of_id(row.resource)
            if row.resource_row == NO_ID:
                self.failed = True
                return -1
        if self._gather(signals, entries_of(record),
                        record.entry_count if is_all else record.needed_count, batch, row):
            return -1
        self.last_facts = record.facts
        if record.flags & RECORD_ROOT:
            self.last_facts.assumed = self._assumed(batch.keys, row.i)
            if self.last_facts.assumed == NO_ID:
                return -1
        self.last_facts.is_other = batch.others != NULL and batch.others[row.i]
        outcome = self._outcome(signals, &self.last_facts, record.scp, &batch.statement[row.i])
        batch.decision[row.i] = outcome & 3
        batch.layer[row.i] = <uint8_t>(outcome >> 2)
        return -1 if self.failed else 0

    # --- the steps of a block

    cdef int _find_questions(self, Batch* batch, size_t start, size_t n) noexcept nogil:
        """What rows start..start + n name, and their questions, as far as they are valid."""
        cdef Asked* asked = &self.asked
        cdef PairTable slots
        cdef Words near
        cdef uint32_t crossing, question
        cdef size_t k, at
        if self._look_up(asked, batch.who, batch.management, batch.actions, batch.resources,
                         batch.owners, batch.keys, start, n):
            return -1
        if not self.has_endpoints and self.answers.is_full == 0 and self._near_questions(n):
            return 0
        slots = self.record_slots
        near = self.near
        for k in range(n):
            crossing = self.side_kind.data[asked.side[k]]
            if self.has_endpoints and crossing != NO_ID:
                crossing = self._number(&self.crossings, crossing,
                                        self.endpoint_bundle.data[asked.endpoint[k]])
            question = NO_ID
            at = near_place(asked.action[k], crossing)
            if crossing < NEAR_CROSSINGS and at < near.count:
                question = near.data[at] - 1
            elif crossing != NO_ID:
                question = pairs_get(&self.questions, asked.action[k], crossing)
            if question == NO_ID:
                question = self._new_question(batch, asked.action[k], crossing, start + k)
                if self.failed:
                    return -1
                near = self.near
            self.question[k] = question
            if self.answers.is_full:
                prefetch(pair_slot(&slots, pair_of(asked.requester[k], question)))
        return 0

    cdef bint _near_questions(self, size_t n) noexcept nogil:
        """Questions of the first n rows of the block, if all are found by their place: then no branch
        hangs on data, and the processor waits for many rows at a time."""
        cdef const uint32_t* kinds = self.side_kind.data
        cdef const uint32_t* near = self.near.data
        cdef size_t count = self.near.count, at, k
        cdef uint32_t crossing
        cdef bint is_near, is_missing = count == 0
        if is_missing:
            return False
        for k in range(n):
            crossing = kinds[self.asked.side[k]]
            at = near_place(self.asked.action[k], crossing)
            is_near = (crossing < NEAR_CROSSINGS) & (at < count)
            self.question[k] = near[at * <size_t>is_near] - 1  # the first place is empty
            is_missing |= self.question[k] == NO_ID
        return not is_missing

    cdef uint32_t _new_question(self, Batch* batch, uint32_t action, uint32_t crossing,
                                size_t i) noexcept nogil:
        """Number of a question that is put for the first time; NO_ID if row i is an error."""
        cdef uint32_t flags = self._action_flags(action)
        if self.failed:
            return NO_ID
        if flags & ACTION_ERROR:
            batch.error[i] = ERROR_ACTION
        elif crossing == NO_ID:
            batch.error[i] = ERROR_RESOURCE
        else:
            return self._question(action, crossing)
        return NO_ID

    cdef size_t _find_records(self, Batch* batch, size_t start, size_t n, bint is_settled,
                              size_t* taken) noexcept nogil:
        """Write what records are sure of; the number of rows that are left.

        is_settled : a sure outcome is enough; otherwise every row is settled by its record
        taken      : rows that were looked at, fewer than n when records have outgrown their limit
        """
        # Copies, since a byte written to an output might be anything's for all the compiler knows.
        cdef PairTable slots = self.record_slots
        cdef Grid answers = self.answers
        cdef Batch out = batch[0]
        cdef Row* row = self.rows
        cdef size_t k, left, stop = n
        cdef uint64_t word
        cdef uint32_t outcome
        cdef bint is_left, is_by_place = is_settled and out.others == NULL
        cdef PairSlot* slot
        cdef uint16_t[256] numbers
        cdef uint8_t[256] open
        cdef uint32_t[256] records
        if not is_by_place:
            memset(numbers, 0, sizeof(numbers))
        elif grid_numbers(&answers, self.asked.requester, self.question, n, numbers):
            taken[0] = n
            left = self._write_answers(batch, start, n, numbers, open, records)
            self._open_rows(start, open, records, left)
            self._name_rows(left)
            return left
        for k in range(n):
            if k == stop:
                break
            if numbers[k]:
                word = answers.words[numbers[k]]
            else:
                if self.question[k] == NO_ID:
                    out.decision[start + k] = UNDETERMINED
                    out.layer[start + k] = 0
                    out.statement[start + k] = -1
                    batch.errors += 1
                    continue
                slot = pairs_find(&slots, pair_of(self.asked.requester[k], self.question[k]))
                if slot.value == NO_ID:
                    slot = self._meet(k)
                    if slot == NULL:
                        return 0
                    slots = self.record_slots
                    if self.records.count > self.record_limit:
                        stop = k + 1
                word = word_of(slot)
                if slot.value >> OUTCOME_SHIFT == OUTCOME_ERROR:
                    put_word(&out, start + k, word)
                    out.error[start + k] = ERROR_PRINCIPAL
                    out.layer[start + k] = 0
                    batch.errors += 1
                    continue
                if is_by_place and not answers.is_full:
                    self._keep_answer(k, word)
                    answers = self.answers
            put_word(&out, start + k, word)
            outcome = <uint32_t>word >> OUTCOME_SHIFT
            # Whether a row is open is nothing a branch predictor could know.
            row.i = start + k
            row.k = k
            row.record = <uint32_t>word & OFFSET_MASK
            row.is_classified = <uint32_t>word & SLOT_SETS
            is_left = outcome == OUTCOME_OPEN
            if not is_settled or (out.others != NULL and out.others[start + k]):
                is_left = True
            row += is_left
        taken[0] = stop
        left = row - self.rows
        self._name_rows(left)
        return left

    cdef size_t _write_answers(self, Batch* batch, size_t start, size_t n, const uint16_t* numbers,
                               uint8_t* open, uint32_t* records) noexcept nogil:
        """Write the answers of these numbers; how many rows they leave open.

        open, records : which rows these are, and the low halves of the words that leave them open
        """
        cdef Batch out = batch[0]
        cdef const uint64_t* words = self.answers.words
        cdef size_t k, count = 0
        cdef uint64_t word
        for k in range(n):
            word = words[numbers[k]]
            put_word(&out, start + k, word)
            # Whether a row is open is nothing a branch predictor could know.
            open[count] = <uint8_t>k
            records[count] = <uint32_t>word
            count += <uint32_t>word >> OUTCOME_SHIFT == OUTCOME_OPEN
        return count

    cdef void _open_rows(self, size_t start, const uint8_t* open, const uint32_t* records,
                         size_t n) noexcept nogil:
        """Make the rows that `_write_answers` left the first n of `rows`."""
        cdef Row* row
        cdef size_t k
        for k in range(n):
            row = self.rows + k
            row.k = open[k]
            row.i = start + open[k]
            row.record = records[k] & OFFSET_MASK
            row.is_classified = records[k] & SLOT_SETS

    cdef void _name_rows(self, size_t n) noexcept nogil:
        """Let the first n of `rows` say what was looked up of them."""
        cdef Row* row
        cdef size_t k
        for k in range(n):
            row = self.rows + k
            row.requester = self.asked.requester[row.k]
            row.side = self.asked.side[row.k]
            row.endpoint = self.asked.endpoint[row.k]
            row.resource = self.asked.resource[row.k]

    cdef bint _find_by_codes(self, Batch* batch, size_t start, size_t n,
                             size_t* left) noexcept nogil:
        """Write what dictionary codes lead to by their place; False, and nothing is written, where a
        code of rows start..start + n does not.

        left : the rows that their answers leave open
        """
        cdef ColumnData* principals = batch.who[0]
        cdef uint32_t[256] places, records
        cdef uint16_t[256] numbers
        cdef uint8_t[256] open
        cdef size_t k, count
        if (not self._find_cells(batch.actions, principals, batch.resources, start, n, places)
                or not grid_at(&self.answers, places, n, numbers)):
            return False
        self.placed_rows += n
        count = self._write_answers(batch, start, n, numbers, open, records)
        count = self._drop_narrowed(batch, start, open, records, count)
        self._open_rows(start, open, records, count)
        for k in range(count):
            prefetch(self.records.data + self.rows[k].record)
            prefetch(self.records.data + self.rows[k].record + 16)
            self.asked.endpoint[open[k]] = ABSENT_ID
            if self._look_up_open(principals, batch.resources, batch.owners, start, open[k]):
                break
        self._name_rows(count)
        left[0] = count
        return True

    cdef void _keep_answer(self, size_t k, uint64_t word) noexcept nogil:
        """Let what row k of the block comes to be found by its place. A record is read only where it
        leaves something open: many that do not are one word."""
        if <uint32_t>word >> OUTCOME_SHIFT != OUTCOME_OPEN:
            word &= ~<uint64_t>(OFFSET_MASK | SLOT_SETS)
        grid_put(&self.answers, self.asked.requester[k], self.question[k], word)

    cdef PairSlot* _meet(self, size_t k) noexcept nogil:
        """Slot of the record of row k of the block, which is made; NULL on failure."""
        cdef Request at
        at.action = self.asked.action[k]
        at.requester = self.asked.requester[k]
        at.side = self.asked.side[k]
        at.endpoint = self.asked.endpoint[k]
        return self._make_record(&at, self.question[k])

    cdef size_t _drop_narrowed(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                               size_t n) noexcept nogil:
        """Write what n rows of a block come to by the class of their resource; those that are left,
        first, with their narrowed records. Where one has none yet, all are left with the record that
        they had.

        open, records : which rows they are, and the low halves of the words that leave them open
        """
        cdef Batch out = batch[0]
        cdef PairTable slots = self.narrowed
        cdef const uint32_t* rows = batch.resources.remap
        cdef const int32_t* codes = self.resource_codes
        cdef uint64_t[256] pairs
        cdef uint8_t[256] kept
        cdef uint32_t[256] narrowed
        cdef size_t k, left = 0
        cdef uint32_t row
        cdef bint is_unmet = False
        cdef PairSlot* slot
        for k in range(n):
            row = ROW_UNKNOWN
            if codes[open[k]] >= 0 and records[k] & SLOT_SETS:
                row = rows[codes[open[k]]]
            pairs[k] = pair_of(records[k] & OFFSET_MASK, row)
            prefetch(pair_slot(&slots, pairs[k]))
        for k in range(n):
            slot = pairs_find(&slots, pairs[k])
            put_outcome(&out, start + open[k], slot)
            kept[left] = open[k]
            narrowed[left] = slot.value
            is_unmet |= slot.value == NO_ID
            left += slot.value >> OUTCOME_SHIFT == OUTCOME_OPEN
        self.is_narrowed = not is_unmet
        if is_unmet:
            return n
        memcpy(open, kept, left * sizeof(uint8_t))
        memcpy(records, narrowed, left * sizeof(uint32_t))
        return left

    cdef int _find_resources(self, Batch* batch, size_t n, bint is_one) noexcept nogil:
        """Intern the resources that the first n of `rows` read and that nothing has asked for, unless
        they are fleeting: `_find_narrowed` looks at those where they lie."""
        cdef const ColumnData* column = batch.resources
        cdef Ahead* ahead = &self.ahead
        cdef const Row* row
        cdef size_t k, known, count = 0
        for k in range(n):
            row = self.rows + k
            if row.resource == NO_ID and row.is_classified:
                if column_text(<Strings*>&column.strings, row.i + column.row_offset,
                               &ahead.texts[count], &ahead.lengths[count]):
                    return -1
                ahead.rows[count] = <uint32_t>k
                count += 1
        if self.fleeting_left and not is_one:
            self.fleeting_left -= min(count, self.fleeting_left)
            return 0
        known = self.resources.texts.count
        if intern_many(&self.resources.texts, ahead.texts, ahead.lengths, ahead.hashes, count,
                       ahead.found):
            return -1
        self.fleeting_left = note_fleeting(&self.fleeting, count,
                                           self.resources.texts.count - known)
        for k in range(count):
            self.rows[ahead.rows[k]].resource = ahead.found[k]
        return 0

    cdef uint32_t _row_where_it_lies(self, Batch* batch, const Row* row) noexcept nogil:
        """Row of a resource that has no number, as far as the record of row `row` asks for it; NO_ID
        on failure."""
        cdef const Record* record = <const Record*>(self.records.data + row.record)
        cdef const uint32_t* entry = entries_of(<Record*>record)
        cdef const uint8_t* text = NULL
        cdef uint32_t[MOST_SETS] sets
        cdef size_t length = 0, count = 0, e, s
        if column_text(<Strings*>&batch.resources.strings, row.i + batch.resources.row_offset, &text,
                       &length):
            return NO_ID
        for e in range(record.needed_count):
            if entry[3] != SET_ANY and entry[3] != SET_UNREADABLE:
                for s in range(count):
                    if sets[s] == entry[3]:
                        break
                else:
                    if count == MOST_SETS:
                        return self.resources.classify_whole(text, length)
                    sets[count] = entry[3]
                    count += 1
            entry += ENTRY_WORDS + (entry[4] & 0xFFFF)
        return self.resources.classify_for(sets, count, text, length)

    cdef size_t _find_narrowed(self, Batch* batch, size_t n) noexcept nogil:
        """Write what the first n of `rows` come to by their resource; those that are left, first."""
        cdef PairTable slots = self.narrowed
        cdef size_t k, left = 0
        cdef PairSlot* slot
        cdef Record* record
        cdef Row* row
        for k in range(n):
            row = self.rows + k
            row.resource_row = 0
            if row.is_classified:
                row.resource_row = NO_ID
                if row.resource < self.resources.text_row.count:
                    row.resource_row = self.resources.text_row.data[row.resource]
                elif row.resource == NO_ID:
                    row.resource_row = self._row_where_it_lies(batch, row)
                    if row.resource_row == NO_ID:
                        self.failed = True
                        return 0
                if row.resource_row == NO_ID:
                    row.resource_row = self.resources.row_of_id(row.resource)
                if row.resource_row == NO_ID:
                    self.failed = True
                    return 0
                if batch.is_by_code:
                    self._keep_row(batch.resources, row)
            prefetch(pair_slot(&slots, pair_of(row.record, row.resource_row)))
        if batch.others == NULL and self._drop_rows(batch, n, &left):
            return left
        left = 0
        for k in range(n):
            row = self.rows + k
            if batch.others == NULL or not batch.others[row.i]:
                slot = pairs_find(&slots, pair_of(row.record, row.resource_row))
                if slot.value == NO_ID:
                    record = <Record*>(self.records.data + row.record)
                    record.meetings += 1
                    slot = NULL
                    if record.meetings > self.met_before and not self._is_full():
                        slot = self._narrow(row.record, row.resource_row)
                        if slot == NULL:
                            return 0
                        slots = self.narrowed
                if slot != NULL and slot.value >> OUTCOME_SHIFT != OUTCOME_OPEN:
                    put_outcome(batch, row.i, slot)
                    continue
                if slot != NULL:
                    row.record = slot.value & OFFSET_MASK
            prefetch(self.records.data + row.record)
            prefetch(self.records.data + row.record + 16)
            prefetch(self.requester_row.data + row.requester)
            self.rows[left] = row[0]
            left += 1
        return left

    cdef bint _drop_rows(self, Batch* batch, size_t n, size_t* left) noexcept nogil:
        """`_find_narrowed` where all records have met the rows of their resources before, so that no
        branch hangs on data; False, and nothing has happened, where one has not."""
        cdef Batch out = batch[0]
        cdef PairTable slots = self.narrowed
        cdef PairSlot* found[256]
        cdef size_t k, kept = 0
        cdef bint is_unmet = False
        cdef Row* row
        for k in range(n):
            found[k] = pairs_find(&slots, pair_of(self.rows[k].record, self.rows[k].resource_row))
            is_unmet |= found[k].value == NO_ID
        if is_unmet:
            return False
        for k in range(n):
            row = self.rows + k
            put_outcome(&out, row.i, found[k])
            row.record = found[k].value & OFFSET_MASK
            self.rows[kept] = row[0]
            kept += found[k].value >> OUTCOME_SHIFT == OUTCOME_OPEN
        for k in range(kept):
            row = self.rows + k
            prefetch(self.records.data + row.record)
            prefetch(self.records.data + row.record + 16)
            prefetch(self.requester_row.data + row.requester)
        left[0] = kept
        return True

    cdef void _keep_row(self, ColumnData* resources, const Row* row) noexcept nogil:
        """Let the row of a resource be found by its code."""
        cdef int32_t code = resources.codes[row.i]
        cdef bint is_there = True
        if resources.validity != NULL:
            is_there = bit_is_set(resources.validity, resources.validity_offset + row.i)
        if is_there and code >= 0:
            resources.remap[code] = row.resource_row

    cdef int _settle_by_states(self, Batch* batch, size_t n) noexcept nogil:
        """Settle the first n of `rows`, what hangs on states alone once for each combination."""
        cdef const uint32_t* tests
        cdef size_t k, t
        cdef uint8_t state
        cdef PairSlot* slot
        cdef Record* record
        cdef Row* row
        for k in range(n):
            row = self.rows + k
            record = <Record*>(self.records.data + row.record)
            row.states = NO_ID
            if record.test_count == 0:
                continue
            self._derive(batch, row, record)
            row.states = 0
            tests = tests_of(record)
            for t in range(record.test_count):
                state = known_state(self, tests[t], batch.keys, row.i)
                if state == UNSEEN:
                    state = self._test(tests[t], batch.keys, row.i)
                row.states = row.states << 2 | state
            if self.failed:
                return -1
            prefetch(pair_slot(&self.by_states, pair_of(row.record, row.states)))
        for k in range(n):
            row = self.rows + k
            slot = NULL
            if row.states != NO_ID:
                slot = pairs_find(&self.by_states, pair_of(row.record, row.states))
                if slot.value != NO_ID:
                    put_outcome(batch, row.i, slot)
                    continue
            if self._settle(batch, row, False):
                return -1
            if slot != NULL:
                slot = pairs_place(&self.by_states, row.record, row.states, (
                    batch.decision[row.i] | <uint32_t>batch.layer[row.i] << 2) << OUTCOME_SHIFT)
                if slot == NULL:
                    self.failed = True
                    return -1
                slot.extra = <uint32_t>batch.statement[row.i]
        return 0

    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil:
        """Rows start..stop, at most BLOCK. A block of one row leaves behind what `last_row` says."""
        cdef bint is_one = stop - start == 1
        cdef size_t taken, left, k
        self.last_is_service = False
        while start < stop:
            if self._is_full() or self.questions.count > MOST_QUESTIONS:
                self._forget_records()
            taken = stop - start
            self.is_narrowed = False
            if not batch.is_by_code or not self._find_by_codes(batch, start, taken, &left):
                if self._find_questions(batch, start, stop - start):
                    return -1
                left = self._find_records(batch, start, stop - start, not is_one, &taken)
                if batch.is_by_code and not self.failed and self._keep_places(
                        batch.actions, batch.who[0], batch.resources, start, taken):
                    self.failed = True
            if self.failed:
                return -1
            if self._find_resources(batch, left, is_one):
                self.failed = True
                return -1
            if is_one:
                for k in range(left):
                    if self._settle(batch, self.rows + k, True):
                        return -1
            else:
                if not self.is_narrowed:
                    left = self._find_narrowed(batch, left)
                for k in range(left):
                    self._fetch(batch, self.rows + k)
                if self.failed or self._settle_by_states(batch, left):
                    return -1
            start += taken
        return 0

    # --- doorway

    def decide_layers(self, list who, management, BoundColumn actions, BoundColumn resources,
                      BoundColumn owners, others, list keys, const uint8_t[::1] is_derived,
                      uint8_t[::1] decision, uint8_t[::1] layer, int32_t[::1] statement,
                      uint8_t[::1] error, size_t start, size_t stop):
        """Decide rows start..stop of bound columns; returns the number of rows with an error.

        who        : bound columns of principal, issuer, account and type
        management, others : uint8[n], or None
        keys       : bound columns in key order; is_derived[k] marks those whose values the engine
                     derives: constants of their own, or `set_instead` tells in which rows
        """
        cdef size_t n = len(keys), k, end
        cdef ColumnData* asking[4]
        cdef const uint8_t[::1] flags
        cdef Batch batch
        if n != self.key_count or <size_t>is_derived.shape[0] != n:
            raise ValueError("one column per key")
        if len(who) != 4:
            raise ValueError("four columns say who asks")
        if (<size_t>decision.shape[0] < stop or <size_t>layer.shape[0] < stop
                or <size_t>statement.shape[0] < stop or <size_t>error.shape[0] < stop):
            raise ValueError("outputs are too short")
        for column in (*who, actions, resources, owners, *keys):
            if (<BoundColumn>column).length < stop:
                raise ValueError("a column is too short")
        batch.management = batch.others = NULL
        if management is not None:
            flags = management
            if <size_t>flags.shape[0] < stop:
                raise ValueError("a column is too short")
            batch.management = &flags[0] if flags.shape[0] else NULL
        if others is not None:
            flags = others
            if <size_t>flags.shape[0] < stop:
                raise ValueError("a column is too short")
            batch.others = &flags[0] if flags.shape[0] else NULL
        if stop <= start:
            return 0
        batch.keys = <ColumnData**>malloc((n + 1) * sizeof(void*))
        if batch.keys == NULL:
            raise MemoryError
        for k in range(n):
            batch.keys[k] = &(<BoundColumn>keys[k]).c
        for k in range(4):
            asking[k] = &(<BoundColumn>who[k]).c
        batch.who = asking
        batch.actions = &actions.c
        batch.resources = &resources.c
        batch.owners = &owners.c
        batch.is_derived = &is_derived[0] if n else NULL
        batch.decision = &decision[0]
        batch.layer = &layer[0]
        batch.statement = &statement[0]
        batch.error = &error[0]
        batch.errors = 0
        self.failed = False
        self.error = None
        try:
            with nogil:
                self._start_batch(asking, batch.management, &owners.c)
                batch.is_by_code = (stop - start > 1 and batch.others == NULL
                                    and self._start_places(&actions.c, asking[0], &resources.c))
                while start < stop:
                    end = start + BLOCK if stop - start > BLOCK else stop
                    if self._decide_block(&batch, start, end):
                        self.failed = True
                        break
                    start = end
        finally:
            free(batch.keys)
        if self.failed:
            self.clear()  # what was being learnt is half there
            self._raise()
        return batch.errors

    def last_row(self):
        """(must, may, facts) of the row decided last; None where no policy was asked.

        facts : asker, then same account, same partition, needs policy, trust and assumed root with
        bit 0 for "may be false" and bit 1 for "may be true", then is root, is bucket policy, has
        policy
        """
        cdef Facts* f = &self.last_facts
        if self.last_is_service:
            return None
        return self.last_signals.must, self.last_signals.may, (
            f.asker, f.same, f.partition, f.must, f.trust, f.assumed, bool(f.is_root),
            bool(f.is_bucket_policy), bool(f.has_policy))
