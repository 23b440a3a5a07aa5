"""The rows that their records leave open, settled.

Most rows of a block are what their record says. The others are held against their resource first:
what a record comes to for the row of a resource is looked up (runtime/narrowed.pyx). What hangs on
conditions then is settled once for each combination of their states, and the rest entry by entry:
their signals are gathered in two words, `must` and `may`, from which the outcome is read off
(runtime/outcomes.pyx).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .classify cimport ROW_UNKNOWN
from .column cimport Ahead, ColumnData, Strings, bit_is_set, column_text
from .engine cimport NO, SET_ANY, SET_UNREADABLE, UNSEEN, YES, known_state
from .globs cimport GlobSet
from .intern cimport NO_ID, intern_many
from .lists cimport LEVEL_SIGNALS
from .outcomes cimport Signals, add_entry
from .pairs cimport PairSlot, PairTable, pair_of, pair_slot, pairs_find, pairs_place
from .narrowed cimport DEPENDENT_STATE, HANG_MASK, HANG_SHIFT
from .placed cimport PlacedEngine
from .prefetch cimport prefetch
from .records cimport (
    ENTRY_WORDS,
    LEVELS_KNOWN,
    OFFSET_MASK,
    OUTCOME_OPEN,
    OUTCOME_SHIFT,
    RECORD_DEPENDS,
    RECORD_ROOT,
    RECORD_SERVICE,
    RECORD_SETS,
    SLOT_SETS,
    Derived,
    Known,
    Record,
    derived_of,
    entries_of,
    tests_of,
)
from .sides cimport BLOCK

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


cdef class OpenedEngine(PlacedEngine):
    """Settles rows that hang on more than who asks, what for, and whose the resource is."""

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
            if not tests_of(record)[k] & DEPENDENT_STATE:
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

    cdef size_t _drop_narrowed(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                               uint32_t* hangs, size_t n) noexcept nogil:
        """Write what n rows of a block come to by the class of their resource; those that are left,
        first, with their narrowed records. Where one has none yet, all are left with the record that
        they had.

        open, records : which rows they are, and the low halves of the words that leave them open
        hangs         : what they hang on (`NarrowedEngine._hang`), if they are narrowed
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
            hangs[left] = slot.extra
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

    cdef size_t _settle_plain(self, Batch* batch, size_t start, uint8_t* open, uint32_t* records,
                              const uint32_t* hangs, size_t n) noexcept nogil:
        """Write what those of n narrowed rows come to that hang on tests without variables alone, and
        whose states their records have met; the others are left, first.

        Nothing of who asks and of what is read for it, nor the records themselves.
        """
        cdef PairTable slots = self.by_states
        cdef uint64_t[256] pairs
        cdef size_t k, left = 0
        cdef uint32_t states
        cdef PairSlot* slot
        for k in range(n):
            self._fetch_codes(batch, start + open[k], hangs[k])
        for k in range(n):
            states = NO_ID
            if hangs[k]:
                states = self._states(batch, start + open[k], self._tests(&hangs[k]),
                                      hangs[k] >> HANG_SHIFT)
            pairs[k] = pair_of(records[k] & OFFSET_MASK, states)
            prefetch(pair_slot(&slots, pairs[k]))
        if self.failed:
            return n
        for k in range(n):
            if hangs[k]:
                slot = pairs_find(&slots, pairs[k])
                if slot.value != NO_ID:
                    put_outcome(batch, start + open[k], slot)
                    continue
            open[left] = open[k]
            records[left] = records[k]
            left += 1
        return left

    cdef inline const uint32_t* _tests(self, const uint32_t* hang) noexcept nogil:
        """The tests that a row hangs on; one alone stands in the word itself."""
        if hang[0] >> HANG_SHIFT == 1:
            self.one_test = hang[0] & HANG_MASK
            return &self.one_test
        return self.records.data + (hang[0] & HANG_MASK)

    cdef inline void _fetch_codes(self, Batch* batch, size_t i, uint32_t hang) noexcept nogil:
        cdef const uint32_t* tests = self._tests(&hang)
        cdef const int32_t* codes
        cdef size_t t
        for t in range(hang >> HANG_SHIFT):
            codes = batch.keys[self.test_key[tests[t]]].codes
            if codes != NULL:
                prefetch(codes + i)

    cdef inline uint32_t _states(self, Batch* batch, size_t i, const uint32_t* tests,
                                 size_t count) noexcept nogil:
        """States of tests in row i, two bits each."""
        cdef uint32_t states = 0
        cdef uint8_t state
        cdef size_t t
        for t in range(count):
            if tests[t] & DEPENDENT_STATE:
                state = self._dependent(tests[t] & ~DEPENDENT_STATE, batch.resources, batch.keys, i)
            else:
                state = known_state(self, tests[t], batch.keys, i)
                if state == UNSEEN:
                    state = self._test(tests[t], batch.keys, i)
            states = states << 2 | state
        return states

    cdef int _settle_by_states(self, Batch* batch, size_t n) noexcept nogil:
        """Settle the first n of `rows`, what hangs on states alone once for each combination."""
        cdef size_t k
        cdef PairSlot* slot
        cdef Record* record
        cdef Row* row
        for k in range(n):
            row = self.rows + k
            record = <Record*>(self.records.data + row.record)
            row.states = NO_ID
            # Entry by entry, what has variables is asked only where nothing before it decides. New
            # texts would make that dear; dictionaries ask once for each value.
            if record.test_count == 0 or (
                    record.flags & RECORD_DEPENDS and not batch.is_by_code):
                continue
            self._derive(batch, row, record)
            row.states = self._states(batch, row.i, tests_of(record), record.test_count)
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
