"""What a record comes to once the resource is known, and then what its conditions come to.

The row of a resource (runtime/classify.pyx) says which sets it is in; many resources share one. The
entries of a record that such a row leaves are a *narrowed* record. Where they ask nothing else of
a request, it is an outcome. Where conditions, and patterns with variables, are all that is left, the
outcome hangs on their states alone, and is kept for each combination that is met.

So a row that its record leaves open costs a look-up for its resource, and one more if conditions
are left. Entries keep their order and are left out only where they would give no signal, so a row
names the same statement as if each entry had been held against it.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .classify cimport CELL_UNKNOWN, CELL_VERIFY
from .engine cimport ENTRY_UNKNOWN, SET_ANY, SET_UNREADABLE, find_item
from .globs cimport GlobSet
from .intern cimport NO_ID
from .outcomes cimport LEVEL_MASK, add_entry
from .pairs cimport PairSlot, pairs_bytes, pairs_clear, pairs_free, pairs_init, pairs_place
from .records cimport (
    ENTRY_WORDS,
    LEVELS_KNOWN,
    OFFSET_MASK,
    OUTCOME_OPEN,
    OUTCOME_SHIFT,
    RECORD_DEPENDS,
    RECORD_ROOT,
    Known,
    Record,
    RecordsEngine,
    entries_of,
    tests_of,
)
from .lists cimport LEVEL_SIGNALS
from .words cimport words_reserve


cdef class NarrowedEngine(RecordsEngine):
    """Knows what records come to for the resources and states of conditions met so far."""

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        cdef uint64_t seed
        RecordsEngine.__init__(self, planner, globs, facts, layers)
        self.met_before = MET_BEFORE
        seed = int.from_bytes(planner.seed(), "little")
        if pairs_init(&self.narrowed, seed + 301) or pairs_init(&self.by_states, seed + 302):
            raise MemoryError

    def __dealloc__(self):
        pairs_free(&self.narrowed)
        pairs_free(&self.by_states)

    cdef int _forget_records(self) noexcept nogil:
        pairs_clear(&self.narrowed)
        pairs_clear(&self.by_states)
        return RecordsEngine._forget_records(self)

    cdef bint _is_full(self) noexcept nogil:
        return (self.records.count > self.record_limit
                or self.narrowed.count + self.by_states.count > MOST_NARROWED)

    cdef PairSlot* _narrow(self, uint32_t record, uint32_t resource_row) noexcept nogil:
        """Slot of a record narrowed by the row of a resource; NULL on failure.

        resource_row : offset of the row; any, where no entry names resources
        """
        cdef Record head = (<Record*>(self.records.data + record))[0]
        cdef const uint32_t* entry
        cdef PairSlot* slot
        cdef int32_t statement = -1
        cdef uint32_t outcome
        cdef size_t at = 0
        cdef bint is_open = False
        self._load(record)
        if self._draft_left(record, resource_row, &is_open):
            return NULL
        if is_open or head.flags & RECORD_ROOT:
            head.flags &= RECORD_ROOT
            head.known_count = head.derived_count = head.test_count = 0
            head.needed_count = head.entry_count = head.meetings = 0
            if (self._note_key(self.key_assumed_root) if head.flags & RECORD_ROOT
                    else self._draft_states()):
                return NULL
            for at in range(self.draft_tests.count):
                if self.draft_tests.data[at] & DEPENDENT_STATE:
                    head.flags |= RECORD_DEPENDS
            slot = self._put_record(&self.narrowed, record, resource_row, &head, self.draft.count,
                                    OUTCOME_OPEN, 0)
            if slot != NULL:
                slot.extra = self._hang(slot.value & OFFSET_MASK)
            return slot
        while at < self.draft.count:
            entry = self.draft.data + at
            add_entry(&self.base, entry[1], entry[2],
                      entry[3] == SET_ANY and not entry[4] & ENTRY_UNKNOWN, <int32_t>entry[0])
            at += ENTRY_WORDS
        outcome = self._outcome(&self.base, &head.facts, head.scp, &statement)
        if self.failed:
            return NULL
        slot = pairs_place(&self.narrowed, record, resource_row, outcome << OUTCOME_SHIFT)
        if slot == NULL:
            self.failed = True
            return NULL
        slot.extra = <uint32_t>statement
        return slot

    cdef int _load(self, uint32_t record) noexcept nogil:
        """Make the signals of a record those of the draft."""
        cdef const Record* head = <const Record*>(self.records.data + record)
        cdef const Known* known = <const Known*>(head + 1)
        cdef size_t k
        self.base.must = head.must
        self.base.may = self.given = head.may
        for k in range(head.known_count):
            self.given &= ~(<uint64_t>1 << known[k].signal)
            self.base.by_must[known[k].signal] = known[k].by_must
            self.base.by_may[known[k].signal] = known[k].by_may
        self.draft.count = self.draft_keys.count = self.draft_tests.count = 0
        return 0

    cdef int _draft_left(self, uint32_t record, uint32_t resource_row,
                         bint* is_open) noexcept nogil:
        """Draft the entries that decide and that a resource leaves; `is_open` where the request has
        still to be asked for one of them."""
        cdef Record* head = <Record*>(self.records.data + record)
        cdef const uint32_t* entry = entries_of(head)
        cdef const uint32_t* row = self.resources.items.data + resource_row
        cdef uint32_t* words
        cdef uint64_t sure = 0
        cdef uint32_t target, resources, item
        cdef size_t e, size
        for e in range(head.needed_count):
            target = entry[1]
            resources = entry[3]
            size = ENTRY_WORDS + (entry[4] & 0xFFFF)
            if resources != SET_ANY and resources != SET_UNREADABLE:
                item = find_item(row, resources)
                if item == CELL_UNKNOWN:
                    resources = SET_UNREADABLE
                elif item != CELL_VERIFY:
                    resources = SET_ANY
            else:
                item = CELL_UNKNOWN
            if item and (target == LEVEL_SIGNALS or not sure >> target & 1):
                if words_reserve(&self.draft, size):
                    self.failed = True
                    return -1
                words = self.draft.data + self.draft.count
                memcpy(words, entry, size * sizeof(uint32_t))
                words[3] = resources
                self.draft.count += size
                if (size > ENTRY_WORDS or not entry[2] & LEVELS_KNOWN
                        or (resources != SET_ANY and resources != SET_UNREADABLE)):
                    is_open[0] = True
                elif (target != LEVEL_SIGNALS and entry[2] & LEVEL_MASK and resources == SET_ANY
                        and not entry[4] & ENTRY_UNKNOWN):
                    sure |= <uint64_t>1 << target
            entry += size
        return 0

    cdef int _draft_states(self) noexcept nogil:
        """Number what the draft asks of a request, if its states are all that it hangs on."""
        cdef const uint32_t* words = self.draft.data
        cdef size_t at = 0, t
        cdef uint32_t test, resources
        while at < self.draft.count:
            resources = words[at + 3]
            if not words[at + 2] & LEVELS_KNOWN:
                self.draft_tests.count = 0
                return 0
            if resources != SET_ANY and resources != SET_UNREADABLE and self._draft_state(
                    self.set_dependent[resources] | DEPENDENT_STATE):
                return -1
            for t in range(words[at + 4] & 0xFFFF):
                test = words[at + ENTRY_WORDS + t]
                if self.test_dependent[test] != NO_ID:
                    test = self.test_dependent[test] | DEPENDENT_STATE
                if self._draft_state(test):
                    return -1
            at += ENTRY_WORDS + (words[at + 4] & 0xFFFF)
        if self.draft_tests.count > MOST_TESTS:
            self.draft_tests.count = 0
        return 0

    cdef int _draft_state(self, uint32_t test) noexcept nogil:
        cdef size_t k
        for k in range(self.draft_tests.count):
            if self.draft_tests.data[k] == test:
                return 0
        if words_reserve(&self.draft_tests, 1):
            self.failed = True
            return -1
        self.draft_tests.data[self.draft_tests.count] = test
        self.draft_tests.count += 1
        return 0

    cdef uint32_t _hang(self, uint32_t at) noexcept nogil:
        """What the slot of the narrowed record at a word says of its tests."""
        cdef Record* head = <Record*>(self.records.data + at)
        cdef const uint32_t* tests = tests_of(head)
        cdef size_t begin = tests[0] if head.test_count == 1 else tests - self.records.data
        if (head.test_count == 0 or head.flags & (RECORD_DEPENDS | RECORD_ROOT)
                or head.derived_count or begin > HANG_MASK):
            return 0
        return <uint32_t>(head.test_count << HANG_SHIFT | begin)

    # --- doorway

    cdef size_t _used(self) noexcept nogil:
        return (RecordsEngine._used(self) + pairs_bytes(&self.narrowed)
                + pairs_bytes(&self.by_states))

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            **RecordsEngine.counts(self),
            "narrowed": self.narrowed.count,
            "states": self.by_states.count,
        }
