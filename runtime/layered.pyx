"""The batch loop when several policy layers meet: columns of requests in, decision and layer out.

A request has two sides. Its requester carries a bundle of policy sets (identity, boundary, session,
SCP levels), its resource another (its policy, RCPs), the endpoint it came through a third. For each
(action, bundle) the statements that the action leaves are one list, built once, whose entries name
the signal they give (runtime/signals.py). A row gathers the signals of its lists in two words, `must`
and `may`; denies are read off them, and what is left is one look into the truth table of the rules
(runtime/evaluation.py) for each way in which a fact that is not known may turn out.

What is distinct is asked of Python once: who a requester is, what speaks for a resource, what an
action is. As everywhere, an engine belongs to one thread and its caches are dropped over a budget.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from .column cimport COLUMN_CODES, COLUMN_CONSTANT, BoundColumn, ColumnData, column_value
from .engine cimport (
    ALLOW,
    ENTRY_UNKNOWN,
    ERROR_ACTION,
    ERROR_PRINCIPAL,
    ERROR_RESOURCE,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    NO,
    SET_ANY,
    SET_UNREADABLE,
    UNDETERMINED,
    UNKNOWN,
    YES,
    Engine,
)
from .classify cimport ROW_UNKNOWN
from .globs cimport GlobSet
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
from .words cimport Words, words_reserve

cdef enum:
    # Signals: the numbers of runtime/signals.py.
    DENY_RESOURCE = 3
    DENY_SESSION = 6
    DENY_COUNT = 7
    FIRST_ALLOW = 8
    FIRST_LEVEL = 12
    LEVEL_ACCOUNT = 16
    FIRST_SCP = 20
    NO_SIGNAL = 64
    LEVEL_SIGNALS = 65

    # What an action is (plan.ACTION_ flags).
    ACTION_TRUST = 1
    ACTION_FEDERATED = 2
    ACTION_KMS = 4
    ACTION_BUCKET_POLICY = 8
    ACTION_NO_RCP = 16
    ACTION_CALLER = 32
    ACTION_TOKEN = 64

    # What a requester is (layered_plan.REQUESTER_ flags).
    REQUESTER_ROOT = 1
    REQUESTER_CALLER = 2            # may ask who it is, whatever the policies (EVAL-11)
    REQUESTER_TOKEN = 4             # EVAL-12
    REQUESTER_UNDER_RCPS = 8
    REQUESTER_UNDER_ENDPOINTS = 16

    # What a resource is (layered_plan.RESOURCE_ flags).
    RESOURCE_KNOWN = 1
    RESOURCE_KEY = 2
    RESOURCE_ROLE = 4
    RESOURCE_HAS_POLICY = 8

    # Bits of a stage number: fields of evaluation.Stage.
    STAGE_SAME = 1
    STAGE_PARTITION = 2
    STAGE_MUST = 4
    STAGE_TRUST = 8
    STAGE_ASSUMED = 16
    STAGE_OTHER = 32
    STAGE_COUNT = 64

    ROW_LENGTH = 1024
    ASKER_COUNT = 4

    LAYER_NONE = 0
    LAYER_IDENTITY = 5
    LAYER_SERVICE = 9

    # Which outcomes a fact may have: bit 0 false, bit 1 true.
    IS_FALSE = 1
    IS_TRUE = 2
    IS_EITHER = 3

    REQUESTER_WIDTH = 6             # words per requester
    SIDE_WIDTH = 6                  # words per resource side

cdef extern from *:
    """
    #define IAMT_ACCOUNT_OF_REQUESTER 0xFFFFFFFFu
    #define IAMT_ACCOUNT_UNKNOWN 0xFFFFFFFEu
    #define IAMT_SET_NEVER 0xFFFFFFFDu
    """
    const uint32_t ACCOUNT_OF_REQUESTER "IAMT_ACCOUNT_OF_REQUESTER"
    const uint32_t ACCOUNT_UNKNOWN "IAMT_ACCOUNT_UNKNOWN"
    const uint32_t SET_NEVER "IAMT_SET_NEVER"          # statement: its resources match nothing


cdef struct Signals:
    uint64_t must
    uint64_t may
    int32_t by_must[64]     # a statement behind each signal; read only where its bit is set
    int32_t by_may[64]


cdef struct Facts:
    # What of a row is not in a policy, each as IS_FALSE, IS_TRUE or IS_EITHER.
    uint32_t same, partition, must, trust, assumed
    bint is_root, is_bucket_policy, has_policy, is_other
    uint32_t asker


cdef class LayeredEngine(Engine):
    """Caches and kernels over a table with several layers.

    `planner` (runtime/layered_plan.py) answers, once per distinct thing, `requester`, `side`,
    `endpoint`, `action_facts`, `levels`, `assumed_root` and `truth_row`.
    """

    cdef const uint32_t* class_start
    cdef const uint32_t* class_statement
    cdef const uint8_t* statement_effect
    cdef const uint8_t* statement_flags
    cdef const uint32_t* statement_action      # action set, or the one past the last
    cdef const uint32_t* statement_resource    # resource set, SET_ANY or SET_UNREADABLE
    cdef const uint32_t* statement_principal
    cdef const uint32_t* statement_test_start
    cdef const uint32_t* statement_test
    cdef const uint8_t* element_reads          # bit 0: aws:userid, bit 1: aws:PrincipalArn
    cdef size_t action_set_count
    cdef uint32_t key_user_id, key_principal_arn, key_assumed_root, key_endpoint
    cdef bint assumes_account                  # option missing_required_policy="account"
    cdef bint has_endpoints                    # endpoint policies depend on aws:SourceVpce
    # names: principals, issuers, accounts, types
    cdef InternTable names
    cdef InternTable requester_table           # (principal, issuer, account, type, management)
    cdef Words requesters                      # REQUESTER_WIDTH words each, from FIRST_ID on
    cdef Words requester_given                 # two words each: signals given, low and high
    cdef Words requester_scp                   # two words each: signals of its SCP levels
    cdef Words requester_values                # derived value ids, one per derived key
    cdef InternTable side_table                # (resource, account)
    cdef Words sides
    cdef Words side_values
    cdef Words endpoint_bundle                 # by value id of aws:SourceVpce; NO_ID unseen
    cdef Words endpoint_values
    cdef Words assumed                         # by value id of aws:AssumedRoot
    cdef Words bundle_start                    # rows of a bundle: class, allow, deny, is_open
    cdef Words bundle_row
    cdef dict bundles
    cdef list asking                           # what the planner said of each requester
    cdef Words action_flag                     # by action id; NO_ID unseen
    cdef Words action_states                   # by action id: offset of its states / set count
    cdef uint8_t* states                       # one byte per (action, set)
    cdef size_t states_used, states_size
    cdef InternTable list_table
    cdef Words list_start                      # by list id
    cdef InternTable cell_table                # (action, bundle)
    cdef Words cell_list                       # list offset by cell id
    cdef Words build
    cdef InternTable level_table               # (element, requester, user id, principal ARN)
    cdef Words level_masks
    cdef uint8_t* truth_table                  # ASKER_COUNT * STAGE_COUNT rows
    cdef uint8_t truth_known[256]
    # derived keys: key number, and which side they follow from
    cdef tuple derived
    cdef Words requester_key, side_key, endpoint_key
    # what the last row came to, for checks of one request
    cdef Signals last_signals
    cdef Facts last_facts
    cdef bint last_is_service

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        cdef uint64_t seed
        Engine.__init__(self, planner, globs, facts)
        self.keep = (*self.keep, layers)
        self.class_start = <const uint32_t*><size_t>layers.class_start.ctypes.data
        self.class_statement = <const uint32_t*><size_t>layers.class_statement.ctypes.data
        self.statement_effect = <const uint8_t*><size_t>layers.statement_effect.ctypes.data
        self.statement_flags = <const uint8_t*><size_t>layers.statement_flags.ctypes.data
        self.statement_action = <const uint32_t*><size_t>layers.statement_action.ctypes.data
        self.statement_resource = <const uint32_t*><size_t>layers.statement_resource.ctypes.data
        self.statement_principal = <const uint32_t*><size_t>layers.statement_principal.ctypes.data
        self.statement_test_start = <const uint32_t*><size_t>layers.statement_test_start.ctypes.data
        self.statement_test = <const uint32_t*><size_t>layers.statement_test.ctypes.data
        self.element_reads = <const uint8_t*><size_t>layers.element_reads.ctypes.data
        self.action_set_count = layers.action_set_count
        self.key_user_id = layers.key_user_id
        self.key_principal_arn = layers.key_principal_arn
        self.key_assumed_root = layers.key_assumed_root
        self.key_endpoint = layers.key_endpoint
        self.assumes_account = layers.assumes_account
        self.has_endpoints = layers.has_endpoints
        self.bundles = {}
        self.asking = []
        seed = int.from_bytes(planner.seed(), "little")
        self.truth_table = <uint8_t*>malloc(ASKER_COUNT * STAGE_COUNT * ROW_LENGTH)
        if (self.truth_table == NULL
                or intern_init(&self.names, seed + 101)
                or intern_init(&self.requester_table, seed + 102)
                or intern_init(&self.side_table, seed + 103)
                or intern_init(&self.list_table, seed + 104)
                or intern_init(&self.cell_table, seed + 105)
                or intern_init(&self.level_table, seed + 106)):
            raise MemoryError
        memset(self.truth_known, 0, sizeof(self.truth_known))
        self._start()

    def __dealloc__(self):
        intern_free(&self.names)
        intern_free(&self.requester_table)
        intern_free(&self.side_table)
        intern_free(&self.list_table)
        intern_free(&self.cell_table)
        intern_free(&self.level_table)
        free(self.requesters.data)
        free(self.requester_given.data)
        free(self.requester_scp.data)
        free(self.requester_values.data)
        free(self.sides.data)
        free(self.side_values.data)
        free(self.endpoint_bundle.data)
        free(self.endpoint_values.data)
        free(self.assumed.data)
        free(self.bundle_start.data)
        free(self.bundle_row.data)
        free(self.action_flag.data)
        free(self.action_states.data)
        free(self.states)
        free(self.list_start.data)
        free(self.cell_list.data)
        free(self.build.data)
        free(self.level_masks.data)
        free(self.truth_table)
        free(self.requester_key.data)
        free(self.side_key.data)
        free(self.endpoint_key.data)

    cdef int _start(self) except -1:
        """Empty caches. Bundle 0 holds nothing."""
        self.requesters.count = self.requester_given.count = self.requester_scp.count = 0
        self.requester_values.count = self.sides.count = self.side_values.count = 0
        self.endpoint_bundle.count = self.endpoint_values.count = self.assumed.count = 0
        self.bundle_start.count = self.bundle_row.count = 0
        self.action_flag.count = self.action_states.count = 0
        self.states_used = 0
        self.list_start.count = self.cell_list.count = self.level_masks.count = 0
        self.pool.count = 0
        self.bundles.clear()
        self.asking.clear()
        if words_reserve(&self.bundle_start, 1):
            raise MemoryError
        self.bundle_start.data[0] = 0
        self.bundle_start.count = 1
        self._bundle(())
        return 0

    # --- doors to Python: one call per distinct thing, errors are kept and raised after the loop

    cdef uint32_t _bundle(self, tuple rows) except? 0:
        """Id of a bundle of (class, allow, deny, is_open) rows."""
        cdef uint32_t word
        known = self.bundles.get(rows)
        if known is not None:
            return known
        known = len(self.bundles)
        if words_reserve(&self.bundle_row, 4 * len(rows)) or words_reserve(&self.bundle_start, 1):
            raise MemoryError
        for row in rows:
            for value in row:
                word = NO_ID if value < 0 else <uint32_t>value
                self.bundle_row.data[self.bundle_row.count] = word
                self.bundle_row.count += 1
        self.bundle_start.data[self.bundle_start.count] = <uint32_t>self.bundle_row.count
        self.bundle_start.count += 1
        self.bundles[rows] = known
        return known

    cdef int _put_values(self, Words* words, Words* keys, values) except -1:
        """Derived values of a thing, as value ids of their keys."""
        cdef size_t j
        if words_reserve(words, keys.count):
            raise MemoryError
        for j in range(keys.count):
            value = values[j]
            if value is None:
                words.data[words.count] = ABSENT_ID
            elif isinstance(value, bytes):
                words.data[words.count] = self._interned(&self.key_tables[keys.data[j]], value)
            else:
                words.data[words.count] = UNKNOWN_ID
            words.count += 1
        return 0

    cdef object _name(self, uint32_t id):
        return None if id < FIRST_ID else self._text(&self.names, id)

    cdef int _fill_requester(self, const uint32_t* ids) noexcept with gil:
        """The requester that was just interned; its words are appended."""
        cdef uint64_t given, scp
        cdef size_t at
        try:
            found = self.planner.requester(
                self._name(ids[0]), self._name(ids[1]), self._name(ids[2]), self._name(ids[3]),
                bool(ids[4]))
            if (words_reserve(&self.requesters, REQUESTER_WIDTH)
                    or words_reserve(&self.requester_given, 2)
                    or words_reserve(&self.requester_scp, 2)):
                raise MemoryError
            at = self.requesters.count
            if found is None:  # none that can make a request
                memset(self.requesters.data + at, 0xFF, REQUESTER_WIDTH * sizeof(uint32_t))
                given = scp = 0
                values = (None,) * self.requester_key.count
            else:
                self.requesters.data[at] = self._bundle(found.rows)
                self.requesters.data[at + 1] = found.asker
                self.requesters.data[at + 2] = found.flags
                self.requesters.data[at + 3] = found.account
                self.requesters.data[at + 4] = found.partition
                self.requesters.data[at + 5] = self._bundle(found.rcps)
                given = found.given
                scp = found.scp
                values = found.derived
            self.requesters.count += REQUESTER_WIDTH
            self.asking.append(found)
            self.requester_given.data[self.requester_given.count] = <uint32_t>given
            self.requester_given.data[self.requester_given.count + 1] = <uint32_t>(given >> 32)
            self.requester_given.count += 2
            self.requester_scp.data[self.requester_scp.count] = <uint32_t>scp
            self.requester_scp.data[self.requester_scp.count + 1] = <uint32_t>(scp >> 32)
            self.requester_scp.count += 2
            self._put_values(&self.requester_values, &self.requester_key, values)
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_side(self, uint32_t resource, uint32_t account) noexcept with gil:
        cdef size_t at
        try:
            text = None
            if resource >= FIRST_ID:
                text = self._text(&self.resources.texts, resource)
            found = self.planner.side(text, self._name(account), account == UNKNOWN_ID)
            if words_reserve(&self.sides, SIDE_WIDTH):
                raise MemoryError
            at = self.sides.count
            self.sides.data[at] = self._bundle(found.plain)
            self.sides.data[at + 1] = self._bundle(found.trust)
            self.sides.data[at + 2] = self._bundle(found.rcps)
            self.sides.data[at + 3] = found.flags
            self.sides.data[at + 4] = found.account
            self.sides.data[at + 5] = found.partition
            self.sides.count += SIDE_WIDTH
            self._put_values(&self.side_values, &self.side_key, found.derived)
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_endpoint(self, uint32_t value) noexcept with gil:
        cdef object form = None
        cdef Words one
        cdef size_t j
        try:
            if self.key_endpoint != NO_ID:
                form = self._value(self.key_endpoint, value)
            rows, values = self.planner.endpoint(form)
            while self.endpoint_bundle.count <= value:
                if (words_reserve(&self.endpoint_bundle, 1)
                        or words_reserve(&self.endpoint_values, self.endpoint_key.count)):
                    raise MemoryError
                self.endpoint_bundle.data[self.endpoint_bundle.count] = NO_ID
                self.endpoint_bundle.count += 1
                self.endpoint_values.count += self.endpoint_key.count
            one.data = self.endpoint_values.data + value * self.endpoint_key.count
            one.count = 0
            one.capacity = self.endpoint_key.count
            self._put_values(&one, &self.endpoint_key, values)
            self.endpoint_bundle.data[value] = self._bundle(rows)
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_action(self, uint32_t action) noexcept with gil:
        cdef const uint8_t[::1] found
        cdef size_t size
        cdef void* moved
        try:
            text = None
            if action >= FIRST_ID:
                text = self._text(&self.action_table, action)
            flags, states = self.planner.action_facts(text)
            while self.action_flag.count <= action:
                if words_reserve(&self.action_flag, 1) or words_reserve(&self.action_states, 1):
                    raise MemoryError
                self.action_flag.data[self.action_flag.count] = NO_ID
                self.action_flag.count += 1
                self.action_states.data[self.action_states.count] = 0
                self.action_states.count += 1
            if states is not None:
                found = states
                size = self.action_set_count + 1
                if self.states_used + size > self.states_size:
                    moved = realloc(self.states, 2 * (self.states_used + size))
                    if moved == NULL:
                        raise MemoryError
                    self.states = <uint8_t*>moved
                    self.states_size = 2 * (self.states_used + size)
                memcpy(self.states + self.states_used, &found[0], size)
                self.action_states.data[action] = <uint32_t>(self.states_used // size)
                self.states_used += size
            self.action_flag.data[action] = flags
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_levels(self, uint32_t memo, const uint32_t* asked) noexcept with gil:
        cdef uint32_t masks
        try:
            user_id = principal_arn = None
            if self.element_reads[asked[0]] & 1:
                user_id = self._value(self.key_user_id, asked[2])
            if self.element_reads[asked[0]] & 2:
                principal_arn = self._value(self.key_principal_arn, asked[3])
            masks = self.planner.levels(asked[0], self.asking[asked[1]], user_id, principal_arn)
            while self.level_masks.count <= memo:
                if words_reserve(&self.level_masks, 1):
                    raise MemoryError
                self.level_masks.data[self.level_masks.count] = NO_ID
                self.level_masks.count += 1
            self.level_masks.data[memo] = masks
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_assumed(self, uint32_t value) noexcept with gil:
        try:
            state = self.planner.assumed_root(self._value(self.key_assumed_root, value))
            while self.assumed.count <= value:
                if words_reserve(&self.assumed, 1):
                    raise MemoryError
                self.assumed.data[self.assumed.count] = 0
                self.assumed.count += 1
            self.assumed.data[value] = state
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_truth(self, uint32_t asker, uint32_t stage) noexcept with gil:
        cdef const uint8_t[::1] row
        try:
            row = self.planner.truth_row(asker, stage)
            memcpy(self.truth_table + (asker * STAGE_COUNT + stage) * ROW_LENGTH, &row[0],
                   ROW_LENGTH)
            self.truth_known[asker * STAGE_COUNT + stage] = 1
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    # --- lists: what an action leaves of a bundle

    cdef uint32_t _list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        """Offset of the list of (action, bundle) in the pool; NO_ID on failure."""
        cdef uint32_t[2] pair
        cdef uint32_t cell
        pair[0] = action
        pair[1] = bundle
        cell = intern_add(&self.cell_table, <const uint8_t*>pair, sizeof(pair))
        if cell == NO_ID:
            self.failed = True
            return NO_ID
        cell -= FIRST_ID
        if cell < self.cell_list.count:
            return self.cell_list.data[cell]
        return self._build_list(action, bundle)

    cdef uint32_t _build_list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        cdef const uint8_t* states
        cdef const uint32_t* row
        cdef size_t r, s, size
        cdef uint32_t list_id, statement, head
        self.build.count = 0
        if words_reserve(&self.build, 1):
            self.failed = True
            return NO_ID
        self.build.data[0] = 0
        self.build.count = 1
        states = self.states + <size_t>self.action_states.data[action] * (self.action_set_count + 1)
        for r in range(self.bundle_start.data[bundle], self.bundle_start.data[bundle + 1], 4):
            row = self.bundle_row.data + r
            head = self.build.count
            if row[0] != NO_ID:
                for s in range(self.class_start[row[0]], self.class_start[row[0] + 1]):
                    statement = self.class_statement[s]
                    if states[self.statement_action[statement]]:
                        self._put_statement(statement, row[1], row[2], head)
            if row[3]:
                self._put_open(row[1], row[2])
            if self.failed:
                return NO_ID
        size = self.build.count * sizeof(uint32_t)
        list_id = intern_add(&self.list_table, <const uint8_t*>self.build.data, size)
        if list_id == NO_ID or words_reserve(&self.cell_list, 1):
            self.failed = True
            return NO_ID
        list_id -= FIRST_ID
        if list_id == self.list_start.count:
            if (words_reserve(&self.list_start, 1) or words_reserve(&self.pool, self.build.count)
                    or self.pool.count + self.build.count >= <size_t>0xFFFFFFF0U):
                self.failed = True
                return NO_ID
            self.list_start.data[list_id] = <uint32_t>self.pool.count
            self.list_start.count += 1
            memcpy(self.pool.data + self.pool.count, self.build.data, size)
            self.pool.count += self.build.count
        self.cell_list.data[self.cell_list.count] = self.list_start.data[list_id]
        self.cell_list.count += 1
        return self.list_start.data[list_id]

    cdef int _put_statement(self, uint32_t statement, uint32_t allow, uint32_t deny,
                            size_t head) noexcept nogil:
        """Entries of one statement whose action matches or could (FLAG_UNKNOWN 1, FLAG_NEVER 2)."""
        cdef uint32_t flags = self.statement_flags[statement]
        cdef uint32_t effect = self.statement_effect[statement]
        if flags & 2 or self.statement_resource[statement] == SET_NEVER:
            return 0
        if effect != 0:
            self._put_entry(statement, deny, flags & 1, head)
        if effect != 1 and allow != NO_SIGNAL:
            self._put_entry(statement, allow, flags & 1, head)
        return 0

    cdef int _put_entry(self, uint32_t statement, uint32_t target, uint32_t is_unknown,
                        size_t head) noexcept nogil:
        cdef size_t start = self.statement_test_start[statement], at = head, i
        cdef size_t tests = self.statement_test_start[statement + 1] - start
        cdef uint32_t* words
        cdef uint32_t principal = self.statement_principal[statement]
        cdef uint32_t resource = self.statement_resource[statement]
        while at < self.build.count:
            # An entry that matches everything leaves nothing to others of its signal.
            words = self.build.data + at
            if (words[1] == target and words[2] == NO_ID and words[3] == SET_ANY
                    and words[4] == 0 and target != LEVEL_SIGNALS):
                return 0
            at += 5 + (words[4] & 0xFFFF)
        if words_reserve(&self.build, 5 + tests):
            self.failed = True
            return -1
        words = self.build.data + self.build.count
        words[0] = statement
        words[1] = target
        words[2] = principal
        words[3] = resource
        words[4] = <uint32_t>tests | (ENTRY_UNKNOWN if is_unknown else 0)
        for i in range(tests):
            words[5 + i] = self.statement_test[start + i]
        self.build.count += 5 + tests
        self.build.data[0] += 1
        return 0

    cdef int _put_open(self, uint32_t allow, uint32_t deny) noexcept nogil:
        """A set of which something is not known may allow and deny anything."""
        cdef uint32_t* words
        cdef uint32_t target
        cdef int k
        for k in range(2):
            target = deny if k == 0 else allow
            if target == NO_SIGNAL:
                continue
            if words_reserve(&self.build, 5):
                self.failed = True
                return -1
            words = self.build.data + self.build.count
            words[0] = NO_ID
            words[1] = target
            words[2] = NO_ID
            words[3] = SET_ANY
            words[4] = ENTRY_UNKNOWN
            self.build.count += 5
            self.build.data[0] += 1
        return 0

    # --- signals of a row

    cdef uint32_t _levels(self, uint32_t element, uint32_t requester, ColumnData** keys,
                          size_t i) noexcept nogil:
        """Levels at which a principal element matches: must | may << 8; NO_ID on failure."""
        cdef uint32_t[4] asked
        cdef uint32_t memo
        asked[0] = element
        asked[1] = requester
        asked[2] = asked[3] = 0
        if self.element_reads[element] & 1:
            asked[2] = column_value(keys[self.key_user_id], &self.key_tables[self.key_user_id], i)
        if self.element_reads[element] & 2:
            asked[3] = column_value(keys[self.key_principal_arn],
                                    &self.key_tables[self.key_principal_arn], i)
        memo = intern_add(&self.level_table, <const uint8_t*>asked, sizeof(asked))
        if memo == NO_ID or asked[2] == NO_ID or asked[3] == NO_ID:
            self.failed = True
            return NO_ID
        memo -= FIRST_ID
        if memo >= self.level_masks.count or self.level_masks.data[memo] == NO_ID:
            if self._fill_levels(memo, asked):
                return NO_ID
        return self.level_masks.data[memo]

    cdef int _gather(self, Signals* signals, const uint32_t* words, uint32_t requester,
                     ColumnData* resources, const uint32_t* row, ColumnData** keys,
                     size_t i) noexcept nogil:
        """Signals of the entries of one list."""
        cdef size_t e, count = words[0]
        cdef const uint32_t* entry = words + 1
        cdef uint32_t target, levels, must, may
        cdef uint8_t state
        cdef int bit
        for e in range(count):
            target = entry[1]
            levels = 31 | 31 << 8
            if target != LEVEL_SIGNALS and signals.must >> target & 1:
                entry += 5 + (entry[4] & 0xFFFF)
                continue
            if entry[2] != NO_ID:
                levels = self._levels(entry[2], requester, keys, i)
                if levels == NO_ID:
                    return -1
                if levels >> 8 == 0:
                    entry += 5 + (entry[4] & 0xFFFF)
                    continue
            state = self._entry(entry + 2, resources, row, keys, i)
            if self.failed:
                return -1
            if state != NO:
                must = levels & 31 if state == YES else 0
                may = levels >> 8
                if target != LEVEL_SIGNALS:
                    if must and not signals.must >> target & 1:
                        signals.must |= <uint64_t>1 << target
                        signals.by_must[target] = <int32_t>entry[0]
                    if not signals.may >> target & 1:
                        signals.may |= <uint64_t>1 << target
                        signals.by_may[target] = <int32_t>entry[0]
                else:
                    for bit in range(5):
                        target = FIRST_LEVEL + bit
                        if must >> bit & 1 and not signals.must >> target & 1:
                            signals.must |= <uint64_t>1 << target
                            signals.by_must[target] = <int32_t>entry[0]
                        if may >> bit & 1 and not signals.may >> target & 1:
                            signals.may |= <uint64_t>1 << target
                            signals.by_may[target] = <int32_t>entry[0]
            entry += 5 + (entry[4] & 0xFFFF)
        return 0

    # --- the outcome of a row

    cdef uint32_t _outcome(self, Signals* signals, Facts* facts, uint64_t scp,
                           int32_t* statement) noexcept nogil:
        """Decision | layer << 2 over every way in which unknown facts may turn out (section 3)."""
        cdef uint32_t stage, found, outcome = NO_ID
        cdef int same, partition, must, trust, assumed
        cdef int32_t by = -1, first_by = -1
        for same in range(2):
            if not facts.same >> same & 1:
                continue
            for partition in range(2):
                if not facts.partition >> partition & 1:
                    continue
                for must in range(2):
                    if not facts.must >> must & 1:
                        continue
                    for trust in range(2):
                        if not facts.trust >> trust & 1:
                            continue
                        for assumed in range(2):
                            if not facts.assumed >> assumed & 1:
                                continue
                            stage = (same | partition << 1 | (must | trust) << 2 | trust << 3
                                     | assumed << 4 | (STAGE_OTHER if facts.is_other else 0))
                            found = self._of_stage(signals, facts, scp, stage, &by)
                            if outcome == NO_ID:
                                outcome = found
                                first_by = by
                            elif (outcome ^ found) & 3:
                                outcome = UNDETERMINED
                            if outcome & 3 == UNDETERMINED or found == NO_ID:
                                statement[0] = self._settling(signals)
                                return UNDETERMINED
        statement[0] = first_by
        return outcome

    cdef uint32_t _of_stage(self, Signals* signals, Facts* facts, uint64_t scp, uint32_t stage,
                            int32_t* statement) noexcept nogil:
        cdef uint64_t must = signals.must, may = signals.may, hidden = 0
        cdef uint32_t at = facts.asker * STAGE_COUNT + stage, found, bit
        cdef uint8_t* row
        if not self.truth_known[at] and self._fill_truth(facts.asker, stage):
            return NO_ID
        row = self.truth_table + at * ROW_LENGTH
        if facts.is_root and stage & STAGE_SAME and facts.is_bucket_policy:  # EVAL-16
            hidden |= 1 << DENY_RESOURCE
        if facts.is_root and not stage & STAGE_ASSUMED:  # root has no session policies (EVAL-6)
            hidden |= 1 << DENY_SESSION
        must &= ~hidden
        may &= ~hidden
        if (self.assumes_account and not facts.has_policy and stage & STAGE_MUST
                and stage & STAGE_SAME):  # EVAL-44
            must |= <uint64_t>1 << LEVEL_ACCOUNT
            may |= <uint64_t>1 << LEVEL_ACCOUNT
        statement[0] = -1
        if not may & 0x7F:
            found = row[allow_index(must, scp)]
            if found & 3 == ALLOW:
                statement[0] = self._granting(signals, found >> 2)
                return found
        if must & 0x7F:  # EVAL-15
            for bit in range(DENY_COUNT):
                if must >> bit & 1:
                    statement[0] = signals.by_must[bit]
                    return EXPLICIT_DENY | (bit + 1) << 2
        found = row[allow_index(may, scp)]
        return UNDETERMINED if found & 3 == ALLOW else found

    cdef int32_t _granting(self, Signals* signals, uint32_t layer) noexcept nogil:
        """A statement behind an Allow; -1 where no statement grants."""
        cdef int bit
        if layer == LAYER_IDENTITY and signals.must >> FIRST_ALLOW & 1:
            return signals.by_must[FIRST_ALLOW]
        if layer == 4:
            for bit in range(FIRST_LEVEL, LEVEL_ACCOUNT + 1):
                if signals.must >> bit & 1:
                    return signals.by_must[bit]
        return -1

    cdef int32_t _settling(self, Signals* signals) noexcept nogil:
        """A statement whose match is not known; -1 where only facts are not known."""
        cdef uint64_t open = signals.may & ~signals.must
        cdef int bit
        for bit in range(64):
            if open >> bit & 1 and signals.by_may[bit] != <int32_t>NO_ID:
                return signals.by_may[bit]
        return -1

    # --- rows

    cdef uint32_t _requester(self, ColumnData** who, const uint8_t* management,
                             size_t i) noexcept nogil:
        """Number of the requester of row i; NO_ID on failure."""
        cdef uint32_t[5] ids
        cdef uint32_t number
        cdef int j
        for j in range(4):
            ids[j] = column_value(who[j], &self.names, i)
            if ids[j] == NO_ID:
                self.failed = True
                return NO_ID
        ids[4] = management[i] if management != NULL else 0
        number = intern_add(&self.requester_table, <const uint8_t*>ids, sizeof(ids))
        if number == NO_ID:
            self.failed = True
            return NO_ID
        number -= FIRST_ID
        if number * REQUESTER_WIDTH >= self.requesters.count and self._fill_requester(ids):
            return NO_ID
        return number

    cdef uint32_t _side(self, ColumnData* resources, ColumnData* owners, uint32_t row,
                        size_t i) noexcept nogil:
        cdef uint32_t[2] ids
        cdef uint32_t number
        ids[0] = UNKNOWN_ID
        if row != ROW_UNKNOWN:
            ids[0] = self.resources.resource_id(resources, i)
        ids[1] = column_value(owners, &self.names, i)
        if ids[0] == NO_ID or ids[1] == NO_ID:
            self.failed = True
            return NO_ID
        number = intern_add(&self.side_table, <const uint8_t*>ids, sizeof(ids))
        if number == NO_ID:
            self.failed = True
            return NO_ID
        number -= FIRST_ID
        if number * SIDE_WIDTH >= self.sides.count and self._fill_side(ids[0], ids[1]):
            return NO_ID
        return number

    cdef int _set_derived(self, ColumnData** keys, Words* which, const uint32_t* values,
                          const uint8_t* is_derived) noexcept nogil:
        cdef size_t j
        for j in range(which.count):
            if is_derived[which.data[j]]:
                keys[which.data[j]].constant = values[j]
        return 0

    cdef uint32_t _decide_row(self, ColumnData** who, const uint8_t* management,
                              ColumnData* actions, ColumnData* resources, ColumnData* owners,
                              const uint8_t* others, ColumnData** keys, const uint8_t* is_derived,
                              size_t i, int32_t* statement, uint8_t* error) noexcept nogil:
        """Decision | layer << 2 of row i; NO_ID on failure."""
        cdef uint32_t action, requester, side, flags, what, row, value, list_id, account, owner
        cdef const uint32_t* asking
        cdef const uint32_t* asked
        cdef Signals signals
        cdef Facts facts
        cdef uint64_t scp
        cdef bint is_known
        statement[0] = -1
        self.last_is_service = False
        action = column_value(actions, &self.action_table, i)
        if action == NO_ID:
            self.failed = True
            return NO_ID
        if action >= self.action_flag.count or self.action_flag.data[action] == NO_ID:
            if self._fill_action(action):
                return NO_ID
        what = self.action_flag.data[action]
        if what & 0x8000:
            error[0] = ERROR_ACTION
            return UNDETERMINED
        row = self.resources.row(resources, i)
        if row == NO_ID:
            self.failed = True
            return NO_ID
        if row == self.resources.invalid_row:
            error[0] = ERROR_RESOURCE
            return UNDETERMINED
        requester = self._requester(who, management, i)
        if requester == NO_ID:
            return NO_ID
        asking = self.requesters.data + requester * REQUESTER_WIDTH
        if asking[0] == NO_ID:
            error[0] = ERROR_PRINCIPAL
            return UNDETERMINED
        flags = asking[2]
        if (what & ACTION_CALLER and flags & REQUESTER_CALLER) or (
                what & ACTION_TOKEN and flags & REQUESTER_TOKEN):  # EVAL-11, EVAL-12
            self.last_is_service = True
            return ALLOW | LAYER_SERVICE << 2
        side = self._side(resources, owners, row, i)
        if side == NO_ID:
            return NO_ID
        asking = self.requesters.data + requester * REQUESTER_WIDTH
        asked = self.sides.data + side * SIDE_WIDTH

        self._set_derived(keys, &self.requester_key,
                          self.requester_values.data + requester * self.requester_key.count,
                          is_derived)
        self._set_derived(keys, &self.side_key, self.side_values.data + side * self.side_key.count,
                          is_derived)
        signals.must = signals.may = (
            <uint64_t>self.requester_given.data[2 * requester]
            | <uint64_t>self.requester_given.data[2 * requester + 1] << 32)
        scp = (<uint64_t>self.requester_scp.data[2 * requester]
               | <uint64_t>self.requester_scp.data[2 * requester + 1] << 32)
        value = ABSENT_ID
        if self.has_endpoints:
            value = column_value(keys[self.key_endpoint], &self.key_tables[self.key_endpoint], i)
            if value == NO_ID:
                self.failed = True
                return NO_ID
        if value >= self.endpoint_bundle.count or self.endpoint_bundle.data[value] == NO_ID:
            if self._fill_endpoint(value):
                return NO_ID
        self._set_derived(keys, &self.endpoint_key,
                          self.endpoint_values.data + value * self.endpoint_key.count, is_derived)
        if (not flags & REQUESTER_UNDER_ENDPOINTS or self.endpoint_bundle.data[value] == 0):
            signals.must |= 1 << 11
            signals.may |= 1 << 11
            value = 0
        else:
            value = self.endpoint_bundle.data[value]
        if self._gather_bundle(&signals, action, asking[0], requester, resources, row, keys, i):
            return NO_ID
        if self._gather_bundle(&signals, action,
                               asked[1] if what & (ACTION_TRUST | ACTION_FEDERATED) else asked[0],
                               requester, resources, row, keys, i):
            return NO_ID
        if flags & REQUESTER_UNDER_RCPS and not what & ACTION_NO_RCP:
            if self._gather_bundle(&signals, action, asked[2], requester, resources, row, keys, i):
                return NO_ID
            if asked[4] == ACCOUNT_OF_REQUESTER and self._gather_bundle(
                    &signals, action, asking[5], requester, resources, row, keys, i):
                return NO_ID
        if self._gather_bundle(&signals, action, value, requester, resources, row, keys, i):
            return NO_ID

        account = asking[3]
        owner = asked[4]
        is_known = asked[3] & RESOURCE_KNOWN
        if account == 0:
            facts.same = IS_FALSE
        elif owner == ACCOUNT_UNKNOWN:
            facts.same = IS_EITHER
        elif owner == ACCOUNT_OF_REQUESTER:
            facts.same = IS_TRUE
        else:
            facts.same = IS_TRUE if owner == account else IS_FALSE
        if not is_known:
            facts.partition = IS_EITHER
            facts.trust = IS_EITHER if what & ACTION_TRUST else IS_FALSE
            facts.must = IS_EITHER if what & (ACTION_KMS | ACTION_FEDERATED) else IS_FALSE
        else:
            facts.partition = IS_TRUE
            if account and asking[4] and asked[5] and asking[4] != asked[5]:
                facts.partition = IS_FALSE
            facts.trust = (IS_TRUE if what & ACTION_TRUST and asked[3] & RESOURCE_ROLE
                           else IS_FALSE)
            facts.must = (IS_TRUE if asked[3] & RESOURCE_KEY
                          or (what & ACTION_FEDERATED and asked[3] & RESOURCE_ROLE) else IS_FALSE)
        facts.asker = asking[1]
        facts.is_root = flags & REQUESTER_ROOT
        facts.is_bucket_policy = what & ACTION_BUCKET_POLICY
        facts.has_policy = asked[3] & RESOURCE_HAS_POLICY
        facts.is_other = others != NULL and others[i]
        facts.assumed = IS_FALSE
        if facts.is_root and self.key_assumed_root != NO_ID:
            value = column_value(keys[self.key_assumed_root],
                                 &self.key_tables[self.key_assumed_root], i)
            if value == NO_ID:
                self.failed = True
                return NO_ID
            if value >= self.assumed.count or self.assumed.data[value] == 0:
                if self._fill_assumed(value):
                    return NO_ID
            facts.assumed = self.assumed.data[value]
        self.last_signals.must = signals.must
        self.last_signals.may = signals.may
        self.last_facts = facts
        value = self._outcome(&signals, &facts, scp, statement)
        return NO_ID if self.failed else value

    cdef int _gather_bundle(self, Signals* signals, uint32_t action, uint32_t bundle,
                            uint32_t requester, ColumnData* resources, uint32_t row,
                            ColumnData** keys, size_t i) noexcept nogil:
        cdef uint32_t words
        if bundle == 0:
            return 0
        words = self._list(action, bundle)
        if words == NO_ID:
            return -1
        return self._gather(signals, self.pool.data + words, requester, resources,
                            self.resources.items.data + row, keys, i)

    # --- doorway

    def derive(self, requester_keys, side_keys, endpoint_keys):
        """Numbers of the keys whose values may be derived from each side (CTX-3)."""
        for words_of, numbers in ((0, requester_keys), (1, side_keys), (2, endpoint_keys)):
            for number in numbers:
                self._add_derived(words_of, number)

    cdef int _add_derived(self, int which, uint32_t number) except -1:
        cdef Words* words = (&self.requester_key if which == 0
                             else &self.side_key if which == 1 else &self.endpoint_key)
        if number >= self.key_count:
            raise IndexError(number)
        if words_reserve(words, 1):
            raise MemoryError
        words.data[words.count] = number
        words.count += 1
        return 0

    def decide_layers(self, list who, management, BoundColumn actions, BoundColumn resources,
                      BoundColumn owners, others, list keys, const uint8_t[::1] is_derived,
                      uint8_t[::1] decision, uint8_t[::1] layer, int32_t[::1] statement,
                      uint8_t[::1] error, size_t start, size_t stop):
        """Decide rows start..stop of bound columns; returns the number of rows with an error.

        who        : bound columns of principal, issuer, account and type
        management, others : uint8[n], or None
        keys       : bound columns in key order; is_derived[k] marks those whose values the engine
                     derives, which are constants of their own
        """
        cdef size_t n = len(keys), k, i, errors = 0
        cdef ColumnData** columns
        cdef ColumnData* asking[4]
        cdef const uint8_t[::1] flags
        cdef const uint8_t* is_management = NULL
        cdef const uint8_t* is_other = NULL
        cdef uint32_t found
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
        if management is not None:
            flags = management
            if <size_t>flags.shape[0] < stop:
                raise ValueError("a column is too short")
            is_management = &flags[0] if flags.shape[0] else NULL
        if others is not None:
            flags = others
            if <size_t>flags.shape[0] < stop:
                raise ValueError("a column is too short")
            is_other = &flags[0] if flags.shape[0] else NULL
        if stop <= start:
            return 0
        columns = <ColumnData**>malloc((n + 1) * sizeof(void*))
        if columns == NULL:
            raise MemoryError
        for k in range(n):
            columns[k] = &(<BoundColumn>keys[k]).c
        for k in range(4):
            asking[k] = &(<BoundColumn>who[k]).c
        self.failed = False
        self.error = None
        try:
            with nogil:
                for i in range(start, stop):
                    found = self._decide_row(asking, is_management, &actions.c, &resources.c,
                                             &owners.c, is_other, columns,
                                             &is_derived[0] if n else NULL, i,
                                             &statement[i], &error[i])
                    if self.failed:
                        break
                    decision[i] = found & 3
                    layer[i] = <uint8_t>(found >> 2)
                    errors += error[i] != 0
        finally:
            free(columns)
        if self.failed:
            self.clear()  # what was being learnt is half there
            self._raise()
        return errors

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

    def name_id(self, bytes text):
        """Id of a principal, an issuer, an account or a type."""
        return self._interned(&self.names, text)

    cdef size_t _used(self) noexcept nogil:
        cdef size_t words = (
            self.requesters.capacity + self.requester_given.capacity + self.requester_scp.capacity
            + self.requester_values.capacity + self.sides.capacity + self.side_values.capacity
            + self.endpoint_bundle.capacity + self.endpoint_values.capacity + self.assumed.capacity
            + self.bundle_start.capacity + self.bundle_row.capacity + self.action_flag.capacity
            + self.action_states.capacity + self.list_start.capacity + self.cell_list.capacity
            + self.level_masks.capacity)
        return (Engine._used(self) + 4 * words + self.states_size + intern_bytes(&self.names)
                + intern_bytes(&self.requester_table) + intern_bytes(&self.side_table)
                + intern_bytes(&self.list_table) + intern_bytes(&self.cell_table)
                + intern_bytes(&self.level_table))

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        Engine.clear(self)
        intern_clear(&self.names)
        intern_clear(&self.requester_table)
        intern_clear(&self.side_table)
        intern_clear(&self.list_table)
        intern_clear(&self.cell_table)
        intern_clear(&self.level_table)
        self._start()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            **Engine.counts(self),
            "lists": self.list_start.count,
            "requesters": self.requesters.count // REQUESTER_WIDTH,
            "cells": self.cell_list.count,
        }


cdef inline uint32_t allow_index(uint64_t signals, uint64_t scp) noexcept nogil:
    """Number of evaluation.Allows: nine signals, and whether every SCP level allows."""
    return <uint32_t>(signals >> FIRST_ALLOW & 0x1FF) | (0x200 if signals & scp == scp else 0)
