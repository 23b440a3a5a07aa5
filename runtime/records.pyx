"""What who, whose and what come to before anything else of a request is known.

A *question* is an action, a kind of side and a bundle of endpoint policies. For each requester that
puts it there is one *record*: the signals that hold whatever the rest of the request says, the
facts, and the entries that are left, which hang on the resource, on conditions, or on keys that
name the requester. Where none is left the record is its outcome, and a row costs one look-up.
Questions are few and stay near; records are many, and finding one is one miss of the cache.

Records are made when first met. They can be made again, so they are dropped when they outgrow their
limit, also in the middle of a block, and nothing else is forgotten with them.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from .engine cimport ALLOW, ENTRY_UNKNOWN, SET_ANY, SET_UNREADABLE
from .globs cimport GlobSet
from .intern cimport (
    ABSENT_ID,
    FIRST_ID,
    NO_ID,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_free,
    intern_init,
)
from .grids cimport grid_bytes, grid_clear, grid_free, grid_init
from .lists cimport (
    ACTION_BUCKET_POLICY,
    ACTION_CALLER,
    ACTION_FEDERATED,
    ACTION_KMS,
    ACTION_NO_RCP,
    ACTION_TOKEN,
    ACTION_TRUST,
    LEVEL_SIGNALS,
)
from .outcomes cimport (
    DENY_COUNT,
    DIRECT,
    IS_EITHER,
    IS_FALSE,
    IS_TRUE,
    LAYER_SERVICE,
    LEVEL_MASK,
    VPCE,
    Facts,
    OutcomesEngine,
    add_entry,
)
from .pairs cimport (
    PairSlot,
    PairTable,
    pairs_bytes,
    pairs_clear,
    pairs_free,
    pairs_get,
    pairs_init,
    pairs_place,
    pairs_put,
)
from .sides cimport (
    ACCOUNT_OF_REQUESTER,
    ACCOUNT_UNKNOWN,
    REQUESTER_CALLER,
    REQUESTER_ROOT,
    REQUESTER_TOKEN,
    REQUESTER_UNDER_ENDPOINTS,
    REQUESTER_UNDER_RCPS,
    RESOURCE_HAS_POLICY,
    RESOURCE_KEY,
    RESOURCE_KNOWN,
    RESOURCE_ROLE,
    Requester,
    Side,
)
from .words cimport Words, words_fill, words_reserve

cdef enum:
    RECORD_WORDS = sizeof(Record) // sizeof(uint32_t)
    KNOWN_WORDS = sizeof(Known) // sizeof(uint32_t)
    DERIVED_WORDS = sizeof(Derived) // sizeof(uint32_t)


cdef class RecordsEngine(OutcomesEngine):
    """Knows what the questions put so far come to."""

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        cdef uint64_t seed
        OutcomesEngine.__init__(self, planner, globs, facts, layers)
        self.record_limit = MOST_RECORD_WORDS
        seed = int.from_bytes(planner.seed(), "little")
        if (pairs_init(&self.crossings, seed + 201) or pairs_init(&self.questions, seed + 202)
                or pairs_init(&self.record_slots, seed + 203)
                or intern_init(&self.record_table, seed + 205)
                or grid_init(&self.answers, seed + 204, MOST_ANSWERS)):
            raise MemoryError

    def __dealloc__(self):
        pairs_free(&self.crossings)
        pairs_free(&self.questions)
        pairs_free(&self.record_slots)
        intern_free(&self.record_table)
        grid_free(&self.answers)
        free(self.record_at.data)
        free(self.near.data)
        free(self.records.data)
        free(self.draft.data)
        free(self.draft_keys.data)
        free(self.draft_tests.data)

    cdef int _forget_records(self) noexcept nogil:
        """Drop all records, which are made again when they are met."""
        pairs_clear(&self.crossings)
        pairs_clear(&self.questions)
        pairs_clear(&self.record_slots)
        grid_clear(&self.answers)
        if self.near.count:
            memset(self.near.data, 0, self.near.count * sizeof(uint32_t))
        intern_clear(&self.record_table)
        self.records.count = self.record_at.count = self.records_made = 0
        return 0

    cdef Requester* _asking(self, uint32_t requester) noexcept nogil:
        return <Requester*>self.requesters.data + requester

    cdef Side* _asked(self, uint32_t side) noexcept nogil:
        return <Side*>self.sides.data + side

    # --- questions

    cdef uint32_t _number(self, PairTable* numbers, uint32_t a, uint32_t b) noexcept nogil:
        """Number of a pair, the next one for a new pair; NO_ID on failure."""
        cdef uint32_t number = pairs_get(numbers, a, b)
        if number == NO_ID:
            number = <uint32_t>numbers.count
            if pairs_put(numbers, a, b, number):
                self.failed = True
                return NO_ID
        return number

    cdef uint32_t _question(self, uint32_t action, uint32_t crossing) noexcept nogil:
        """Number of the question for an action of a crossing; NO_ID on failure."""
        cdef uint32_t number = self._number(&self.questions, action, crossing)
        if (number != NO_ID and action < NEAR_ACTIONS and crossing < NEAR_CROSSINGS
                and action != ABSENT_ID):
            if words_fill(&self.near, near_place(action, NEAR_CROSSINGS - 1), 0):
                self.failed = True
                return NO_ID
            self.near.data[near_place(action, crossing)] = number + 1
        return number

    # --- records

    cdef PairSlot* _make_record(self, const Request* at, uint32_t question,
                                PairTable* slots) noexcept nogil:
        """Slot of the record of a requester's question; NULL on failure.

        slots : where it is kept; NULL where it is not: then its slot holds until the next is made,
                and leads to the record only where the record leaves something open
        """
        cdef Requester* asking = self._asking(at.requester)
        cdef uint32_t what = self.action_flag.data[at.action], outcome
        cdef int32_t statement = -1
        cdef size_t needed = 0
        cdef Record head
        self.records_made += 1
        memset(&head, 0, sizeof(Record))
        self.draft.count = self.draft_keys.count = self.draft_tests.count = 0
        self.base.must = self.base.may = self.given = 0
        if asking.bundle == NO_ID:
            return self._put_record(slots, at.requester, question, &head, 0,
                                    OUTCOME_ERROR, -1)
        if (what & ACTION_CALLER and asking.flags & REQUESTER_CALLER) or (
                what & ACTION_TOKEN and asking.flags & REQUESTER_TOKEN):  # EVAL-11, EVAL-12
            head.flags = RECORD_SERVICE
            return self._put_record(slots, at.requester, question, &head, 0,
                                    ALLOW | LAYER_SERVICE << 2, -1)
        self.base.must = self.base.may = self.given = asking.given
        if self._draft_entries(at):
            return NULL
        asking = self._asking(at.requester)  # a requester's levels may have been learnt
        self._facts(&head.facts, what, asking, self._asked(at.side))
        head.scp = asking.scp
        head.flags = RECORD_ROOT if head.facts.is_root else 0
        if self._prune(head.facts.is_root, &needed):
            return NULL
        outcome = OUTCOME_OPEN
        if needed == 0 and not head.facts.is_root:
            head.facts.assumed = IS_FALSE
            outcome = self._outcome(&self.base, &head.facts, head.scp, &statement)
            if self.failed:
                return NULL
        elif head.facts.is_root and self._note_key(self.key_assumed_root):
            return NULL
        if slots == NULL and outcome != OUTCOME_OPEN:  # nobody will read more of it
            self.loose_slot.value = outcome << OUTCOME_SHIFT
            self.loose_slot.extra = <uint32_t>statement
            return &self.loose_slot
        return self._put_record(slots, at.requester, question, &head, needed, outcome,
                                statement)

    cdef int _draft_entries(self, const Request* at) noexcept nogil:
        """The bundles of policies that meet the request (EVAL-6 to EVAL-10), in order."""
        cdef Requester asking = self._asking(at.requester)[0]
        cdef Side asked = self._asked(at.side)[0]
        cdef uint32_t what = self.action_flag.data[at.action], through = 0
        if asking.flags & REQUESTER_UNDER_ENDPOINTS:
            through = self.endpoint_bundle.data[at.endpoint]
        if not through:  # no endpoint policy stands in the way
            self.given |= <uint64_t>1 << VPCE
            self.base.must |= <uint64_t>1 << VPCE
            self.base.may |= <uint64_t>1 << VPCE
        if self._draft_bundle(at.action, asking.bundle, at.requester):
            return -1
        if self._draft_bundle(at.action, asked.trust if what & (ACTION_TRUST | ACTION_FEDERATED)
                              else asked.plain, at.requester):
            return -1
        if asking.flags & REQUESTER_UNDER_RCPS and not what & ACTION_NO_RCP:
            if self._draft_bundle(at.action, asked.rcps, at.requester):
                return -1
            if (asked.account == ACCOUNT_OF_REQUESTER
                    and self._draft_bundle(at.action, asking.rcps, at.requester)):
                return -1
        return self._draft_bundle(at.action, through, at.requester)

    cdef int _draft_bundle(self, uint32_t action, uint32_t bundle,
                           uint32_t requester) noexcept nogil:
        """Take what is certain of a bundle into `base`, and the rest into `draft`."""
        cdef Words* lists = &self.pool
        cdef const uint32_t* entry
        cdef uint32_t list = 0, levels, size
        cdef size_t e, at
        cdef bint is_sure
        if bundle == 0:
            return 0
        if self.bundle_is_own.data[bundle]:  # its list is not asked for again
            lists = &self.build
            if self._write_list(action, bundle):
                return -1
        else:
            list = self._list(action, bundle)
            if list == NO_ID:
                return -1
        at = list + 1
        for e in range(lists.data[list]):
            entry = lists.data + at
            size = ENTRY_WORDS + (entry[4] & 0xFFFF)
            at += size
            levels = LEVELS_KNOWN | LEVEL_MASK | LEVEL_MASK << 8
            if entry[2] != NO_ID and self.element_reads[entry[2]]:
                levels = entry[2]
            elif entry[2] != NO_ID:
                levels = self._levels(entry[2], requester, NULL, 0)
                if levels == NO_ID:
                    return -1
                if levels >> 8 == 0:
                    continue
                levels |= LEVELS_KNOWN
            if (levels & LEVELS_KNOWN and entry[4] & 0xFFFF == 0
                    and (entry[3] == SET_ANY or entry[3] == SET_UNREADABLE)):
                is_sure = entry[3] == SET_ANY and not entry[4] & ENTRY_UNKNOWN
                add_entry(&self.base, entry[1], levels, is_sure, <int32_t>entry[0])
                continue
            if words_reserve(&self.draft, size):
                self.failed = True
                return -1
            memcpy(self.draft.data + self.draft.count, entry, size * sizeof(uint32_t))
            self.draft.data[self.draft.count + 2] = levels
            self.draft.count += size
        return 0

    cdef int _prune(self, bint is_root, size_t* needed) noexcept nogil:
        """Drop entries whose signal is given; the words of those that decide come first, `needed`.

        Under a Deny that is certain only a Deny of an earlier layer decides (EVAL-15), except for
        root, of whom some Denies are hidden (EVAL-6, EVAL-16). The other entries stay behind them
        for who wants to know all that decided (EVAL-1).
        """
        cdef uint32_t* words
        cdef uint32_t target, size, deny = 64
        cdef size_t at, kept = 0, count = self.draft.count
        cdef int bit
        cdef bint is_idle, is_behind
        self.build.count = 0
        if words_reserve(&self.build, count):
            self.failed = True
            return -1
        words = self.build.data
        if count:
            memcpy(words, self.draft.data, count * sizeof(uint32_t))
        if not is_root:
            for bit in range(DENY_COUNT):
                if deny == 64 and self.base.must >> bit & 1:
                    deny = bit
        for is_behind in range(2):
            at = 0
            while at < count:
                target = words[at + 1]
                size = ENTRY_WORDS + (words[at + 4] & 0xFFFF)
                if target != LEVEL_SIGNALS:
                    is_idle = self.base.must >> target & 1
                else:
                    is_idle = (words[at + 2] & LEVELS_KNOWN and not
                               words[at + 2] >> 8 & LEVEL_MASK & ~(self.base.must >> DIRECT))
                if not is_idle and is_behind == (deny != 64 and target >= deny):
                    memcpy(self.draft.data + kept, words + at, size * sizeof(uint32_t))
                    kept += size
                at += size
            if not is_behind:
                needed[0] = kept
        self.draft.count = kept
        return 0

    cdef int _note_keys(self, const uint32_t* entry) noexcept nogil:
        """Let the keys that an entry reads be derived where they are not given."""
        cdef uint32_t test, dependent
        cdef size_t t, d
        if not entry[2] & LEVELS_KNOWN:
            if self._note_key(self.key_user_id) or self._note_key(self.key_principal_arn):
                return -1
        for t in range((entry[4] & 0xFFFF) + 1):
            if t == entry[4] & 0xFFFF:  # a resource set whose patterns hold variables
                if entry[3] == SET_ANY or entry[3] == SET_UNREADABLE:
                    break
                dependent = self.set_dependent[entry[3]]
            else:
                test = entry[5 + t]
                dependent = self.test_dependent[test]
                if dependent == NO_ID and self._note_key(self.test_key[test]):
                    return -1
            if dependent == NO_ID:
                continue
            for d in range(self.dependent_start[dependent], self.dependent_start[dependent + 1]):
                if self._note_key(self.dependent_key[d]):
                    return -1
        return 0

    cdef int _note_key(self, uint32_t key) noexcept nogil:
        cdef Derived* keys = <Derived*>self.draft_keys.data
        cdef size_t k
        if key == NO_ID or self.derived_from.data[key] == NO_ID:
            return 0
        for k in range(self.draft_keys.count // DERIVED_WORDS):
            if keys[k].key == key:
                return 0
        if words_reserve(&self.draft_keys, DERIVED_WORDS):
            self.failed = True
            return -1
        keys = <Derived*>self.draft_keys.data + self.draft_keys.count // DERIVED_WORDS
        keys.key = key
        keys.source = self.derived_from.data[key]
        self.draft_keys.count += DERIVED_WORDS
        return 0

    cdef PairSlot* _put_record(self, PairTable* slots, uint32_t a, uint32_t b, Record* head,
                               size_t needed, uint32_t outcome, int32_t statement) noexcept nogil:
        """Append what was drafted; the slot of the record in `slots` under a and b, NULL on failure.

        slots  : as for `_make_record`
        needed : words of the entries that decide
        """
        cdef size_t at = 0, size
        cdef uint32_t value
        cdef uint64_t rest = self.base.may & ~self.given
        cdef Known* known
        cdef PairSlot* slot
        cdef int bit
        head.must = self.base.must
        head.may = self.base.may
        while at < self.draft.count:
            head.entry_count += 1
            head.needed_count += at < needed
            if self.draft.data[at + 3] != SET_ANY and self.draft.data[at + 3] != SET_UNREADABLE:
                head.flags |= RECORD_SETS
            if self._note_keys(self.draft.data + at):
                return NULL
            at += ENTRY_WORDS + (self.draft.data[at + 4] & 0xFFFF)
        while rest:
            head.known_count += 1
            rest &= rest - 1
        head.derived_count = <uint32_t>(self.draft_keys.count // DERIVED_WORDS)
        head.test_count = <uint32_t>self.draft_tests.count
        size = (RECORD_WORDS + KNOWN_WORDS * head.known_count + self.draft_keys.count
                + self.draft_tests.count + self.draft.count)
        size += size & 1  # a record begins where a 64-bit word may
        if words_reserve(&self.records, size) or self.records.count + size >= OFFSET_MASK:
            self.failed = True
            return NULL
        memcpy(self.records.data + self.records.count, head, sizeof(Record))
        at = self.records.count + RECORD_WORDS
        known = <Known*>(self.records.data + at)
        for bit in range(64):
            if (self.base.may & ~self.given) >> bit & 1:
                known.signal = bit
                known.by_must = self.base.by_must[bit] if self.base.must >> bit & 1 else -1
                known.by_may = self.base.by_may[bit]
                known += 1
        at += KNOWN_WORDS * head.known_count
        if self.draft_keys.count:
            memcpy(self.records.data + at, self.draft_keys.data,
                   self.draft_keys.count * sizeof(uint32_t))
        at += self.draft_keys.count
        if self.draft_tests.count:
            memcpy(self.records.data + at, self.draft_tests.data,
                   self.draft_tests.count * sizeof(uint32_t))
        at += self.draft_tests.count
        if self.draft.count:
            memcpy(self.records.data + at, self.draft.data, self.draft.count * sizeof(uint32_t))
        at += self.draft.count
        if at < self.records.count + size:
            self.records.data[at] = 0
        at = self._shared_record(size)
        value = (<uint32_t>at | outcome << OUTCOME_SHIFT
                 | (SLOT_SETS if head.flags & RECORD_SETS else 0))
        slot = &self.loose_slot
        if slots != NULL:
            slot = pairs_place(slots, a, b, value)
        if at == NO_ID or slot == NULL:
            self.failed = True
            return NULL
        slot.value = value
        slot.extra = <uint32_t>statement
        return slot

    cdef uint32_t _shared_record(self, size_t size) noexcept nogil:
        """Offset of the record that is written at the end of `records`, which stays there only if none
        is like it: most of what requesters may do comes to the same. NO_ID when memory is short."""
        cdef uint32_t id = intern_add(
            &self.record_table, <const uint8_t*>(self.records.data + self.records.count),
            size * sizeof(uint32_t))
        if id == NO_ID or words_reserve(&self.record_at, 1):
            return NO_ID
        id -= FIRST_ID
        if id == self.record_at.count:
            self.record_at.data[id] = <uint32_t>self.records.count
            self.record_at.count += 1
            self.records.count += size
        return self.record_at.data[id]

    cdef void _facts(self, Facts* facts, uint32_t what, Requester* asking,
                     Side* asked) noexcept nogil:
        """What is in no policy (EVAL-3 to EVAL-5, EVAL-16, EVAL-40 to EVAL-44, EVAL-52)."""
        if asking.account == 0:
            facts.same = IS_FALSE
        elif asked.account == ACCOUNT_UNKNOWN:
            facts.same = IS_EITHER
        elif asked.account == ACCOUNT_OF_REQUESTER or asked.account == asking.account:
            facts.same = IS_TRUE
        else:
            facts.same = IS_FALSE
        if not asked.flags & RESOURCE_KNOWN:
            facts.partition = IS_EITHER
            facts.trust = IS_EITHER if what & ACTION_TRUST else IS_FALSE
            facts.must = IS_EITHER if what & (ACTION_KMS | ACTION_FEDERATED) else IS_FALSE
        else:
            facts.partition = IS_TRUE
            if (asking.account and asking.partition and asked.partition
                    and asking.partition != asked.partition):
                facts.partition = IS_FALSE
            facts.trust = IS_FALSE
            facts.must = IS_TRUE if asked.flags & RESOURCE_KEY else IS_FALSE
            if asked.flags & RESOURCE_ROLE:
                facts.trust = IS_TRUE if what & ACTION_TRUST else IS_FALSE
                if what & ACTION_FEDERATED:
                    facts.must = IS_TRUE
        facts.asker = asking.asker
        facts.is_root = asking.flags & REQUESTER_ROOT
        facts.is_bucket_policy = what & ACTION_BUCKET_POLICY
        facts.has_policy = asked.flags & RESOURCE_HAS_POLICY
        facts.is_other = False
        facts.assumed = IS_FALSE

    # --- doorway

    cdef size_t _used(self) noexcept nogil:
        return (OutcomesEngine._used(self) + grid_bytes(&self.answers)
                + pairs_bytes(&self.crossings)
                + pairs_bytes(&self.questions) + pairs_bytes(&self.record_slots)
                + intern_bytes(&self.record_table)
                + 4 * (self.records.capacity + self.record_at.capacity + self.near.capacity))

    @property
    def answer_limit(self):
        """Most pairs of requester and question whose answers are found by their place."""
        return self.answers.limit

    @answer_limit.setter
    def answer_limit(self, size_t cells):
        self.answers.limit = cells

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        OutcomesEngine.clear(self)
        self._forget_records()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            **OutcomesEngine.counts(self),
            "questions": self.questions.count,
            "records": self.records_made,
            "answers": self.answers.count - 1,
        }
