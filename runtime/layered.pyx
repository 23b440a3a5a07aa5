"""The batch loop when several policy layers meet: columns of requests in, decision and layer out.

What a row's requester, resource, endpoint and action come to is looked up (runtime/sides.pyx). The
row then gathers the signals of its lists in two words, `must` and `may`; denies are read off them,
and what is left is one look into the truth table of the rules (runtime/evaluation.py) for each way in
which a fact that is not known may turn out.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .column cimport BoundColumn, ColumnData
from .engine cimport (
    ALLOW,
    ERROR_ACTION,
    ERROR_PRINCIPAL,
    ERROR_RESOURCE,
    EXPLICIT_DENY,
    NO,
    UNDETERMINED,
    YES,
)
from .globs cimport GlobSet
from .intern cimport NO_ID
from .sides cimport (
    ACCOUNT_OF_REQUESTER,
    ACCOUNT_UNKNOWN,
    ACTION_BUCKET_POLICY,
    ACTION_CALLER,
    ACTION_ERROR,
    ACTION_FEDERATED,
    ACTION_KMS,
    ACTION_NO_RCP,
    ACTION_TOKEN,
    ACTION_TRUST,
    LEVEL_SIGNALS,
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
    SidesEngine,
)

cdef enum:
    # Signals: the numbers of runtime/signals.py.
    DENY_RESOURCE = 3
    DENY_SESSION = 6
    DENY_COUNT = 7
    DENIES = 0x7F
    IDENTITY = 8                    # the first of nine that evaluation.Allows starts with
    VPCE = 11
    DIRECT = 12                     # the first of five levels of a resource policy
    ACCOUNT = 16
    LEVEL_COUNT = 5
    LEVEL_MASK = 0x1F

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

    LAYER_RESOURCE = 4              # codes.Layer
    LAYER_IDENTITY = 5
    LAYER_SERVICE = 9

    # How a fact may turn out: bit 0 false, bit 1 true.
    IS_FALSE = 1
    IS_TRUE = 2
    IS_EITHER = 3


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


cdef struct Row:
    # One request, looked up.
    size_t i
    uint32_t action, requester, resource_row
    ColumnData* resources
    ColumnData** keys


cdef class LayeredEngine(SidesEngine):
    """Decides rows over a table with several layers.

    Of `planner` it also asks `truth_row`, once per kind of requester and stage.
    """

    cdef uint8_t* truth_table               # ASKER_COUNT * STAGE_COUNT rows
    cdef uint8_t truth_known[256]
    cdef bint assumes_account               # option missing_required_policy="account"
    # what the last row came to, for checks of one request
    cdef Signals last_signals
    cdef Facts last_facts
    cdef bint last_is_service

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        SidesEngine.__init__(self, planner, globs, facts, layers)
        self.assumes_account = layers.assumes_account
        self.truth_table = <uint8_t*>malloc(ASKER_COUNT * STAGE_COUNT * ROW_LENGTH)
        if self.truth_table == NULL:
            raise MemoryError
        memset(self.truth_known, 0, sizeof(self.truth_known))

    def __dealloc__(self):
        free(self.truth_table)

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

    # --- signals of a row

    cdef int _gather(self, Signals* signals, uint32_t bundle, Row* row) noexcept nogil:
        """Signals of the entries that the row's action leaves of a bundle."""
        cdef const uint32_t* entry
        cdef const uint32_t* following
        cdef uint32_t words, target, levels, must, may
        cdef size_t e, count
        cdef uint8_t state
        cdef int bit
        if bundle == 0:
            return 0
        words = self._list(row.action, bundle)
        if words == NO_ID:
            return -1
        count = self.pool.data[words]
        following = self.pool.data + words + 1
        for e in range(count):
            entry = following
            following += 5 + (entry[4] & 0xFFFF)
            target = entry[1]
            if target != LEVEL_SIGNALS and signals.must >> target & 1:
                continue
            levels = LEVEL_MASK | LEVEL_MASK << 8
            if entry[2] != NO_ID:
                levels = self._levels(entry[2], row.requester, row.keys, row.i)
                if levels == NO_ID:
                    return -1
                if levels >> 8 == 0:
                    continue
            state = self._entry(entry + 2, row.resources,
                                self.resources.items.data + row.resource_row, row.keys, row.i)
            if self.failed:
                return -1
            if state == NO:
                continue
            must = levels & LEVEL_MASK if state == YES else 0
            may = levels >> 8
            if target != LEVEL_SIGNALS:
                add_signal(signals, target, must != 0, True, <int32_t>entry[0])
            else:
                for bit in range(LEVEL_COUNT):
                    add_signal(signals, DIRECT + bit, must >> bit & 1, may >> bit & 1,
                               <int32_t>entry[0])
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
            hidden |= <uint64_t>1 << DENY_RESOURCE
        if facts.is_root and not stage & STAGE_ASSUMED:  # root has no session policies (EVAL-6)
            hidden |= <uint64_t>1 << DENY_SESSION
        must &= ~hidden
        may &= ~hidden
        if (self.assumes_account and not facts.has_policy and stage & STAGE_MUST
                and stage & STAGE_SAME):  # EVAL-44
            must |= <uint64_t>1 << ACCOUNT
            may |= <uint64_t>1 << ACCOUNT
        statement[0] = -1
        if not may & DENIES:
            found = row[allow_index(must, scp)]
            if found & 3 == ALLOW:
                statement[0] = self._granting(signals, found >> 2)
                return found
        if must & DENIES:  # EVAL-15
            for bit in range(DENY_COUNT):
                if must >> bit & 1:
                    statement[0] = signals.by_must[bit]
                    return EXPLICIT_DENY | (bit + 1) << 2
        found = row[allow_index(may, scp)]
        return UNDETERMINED if found & 3 == ALLOW else found

    cdef int32_t _granting(self, Signals* signals, uint32_t layer) noexcept nogil:
        """A statement behind an Allow; -1 where no statement grants."""
        cdef int bit
        if layer == LAYER_IDENTITY and signals.must >> IDENTITY & 1:
            return signals.by_must[IDENTITY]
        if layer == LAYER_RESOURCE:
            for bit in range(DIRECT, DIRECT + LEVEL_COUNT):
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

    cdef uint32_t _decide_row(self, ColumnData** who, const uint8_t* management,
                              ColumnData* actions, ColumnData* resources, ColumnData* owners,
                              const uint8_t* others, ColumnData** keys, const uint8_t* is_derived,
                              size_t i, int32_t* statement, uint8_t* error) noexcept nogil:
        """Decision | layer << 2 of row i; NO_ID on failure."""
        cdef uint32_t what, side, endpoint, found
        cdef Requester* asking
        cdef Signals signals
        cdef Facts facts
        cdef Row row
        statement[0] = -1
        self.last_is_service = False
        row.i = i
        row.resources = resources
        row.keys = keys
        row.action = self._action(actions, i)
        if row.action == NO_ID:
            return NO_ID
        what = self.action_flag.data[row.action]
        if what & ACTION_ERROR:
            error[0] = ERROR_ACTION
            return UNDETERMINED
        row.resource_row = self.resources.row(resources, i)
        if row.resource_row == NO_ID:
            self.failed = True
            return NO_ID
        if row.resource_row == self.resources.invalid_row:
            error[0] = ERROR_RESOURCE
            return UNDETERMINED
        row.requester = self._requester(who, management, i)
        if row.requester == NO_ID:
            return NO_ID
        asking = <Requester*>self.requesters.data + row.requester
        if asking.bundle == NO_ID:
            error[0] = ERROR_PRINCIPAL
            return UNDETERMINED
        if (what & ACTION_CALLER and asking.flags & REQUESTER_CALLER) or (
                what & ACTION_TOKEN and asking.flags & REQUESTER_TOKEN):  # EVAL-11, EVAL-12
            self.last_is_service = True
            return ALLOW | LAYER_SERVICE << 2
        side = self._side(resources, owners, row.resource_row, i)
        if side == NO_ID:
            return NO_ID
        self._set_derived(keys, &self.requester_key,
                          self.requester_values.data + row.requester * self.requester_key.count,
                          is_derived)
        self._set_derived(keys, &self.side_key, self.side_values.data + side * self.side_key.count,
                          is_derived)
        endpoint = self._endpoint(keys, i)
        if endpoint == NO_ID:
            return NO_ID
        self._set_derived(keys, &self.endpoint_key,
                          self.endpoint_values.data + endpoint * self.endpoint_key.count,
                          is_derived)
        signals.must = signals.may = asking.given
        if self._gather_sides(&signals, what, asking, <Side*>self.sides.data + side,
                              self.endpoint_bundle.data[endpoint], &row):
            return NO_ID
        if self._facts(&facts, what, asking, <Side*>self.sides.data + side, &row):
            return NO_ID
        facts.is_other = others != NULL and others[i]
        self.last_signals.must = signals.must
        self.last_signals.may = signals.may
        self.last_facts = facts
        found = self._outcome(&signals, &facts, asking.scp, statement)
        return NO_ID if self.failed else found

    cdef int _gather_sides(self, Signals* signals, uint32_t what, Requester* asking, Side* asked,
                           uint32_t endpoint, Row* row) noexcept nogil:
        """Signals of every policy that meets the request (EVAL-6 to EVAL-10)."""
        if self._gather(signals, asking.bundle, row):
            return -1
        if self._gather(signals, asked.trust if what & (ACTION_TRUST | ACTION_FEDERATED)
                        else asked.plain, row):
            return -1
        if asking.flags & REQUESTER_UNDER_RCPS and not what & ACTION_NO_RCP:
            if self._gather(signals, asked.rcps, row):
                return -1
            if asked.account == ACCOUNT_OF_REQUESTER and self._gather(signals, asking.rcps, row):
                return -1
        if asking.flags & REQUESTER_UNDER_ENDPOINTS and endpoint != 0:
            return self._gather(signals, endpoint, row)
        signals.must |= <uint64_t>1 << VPCE
        signals.may |= <uint64_t>1 << VPCE
        return 0

    cdef int _facts(self, Facts* facts, uint32_t what, Requester* asking, Side* asked,
                    Row* row) noexcept nogil:
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
        facts.assumed = IS_FALSE
        if facts.is_root:
            facts.assumed = self._assumed(row.keys, row.i)
            if facts.assumed == NO_ID:
                return -1
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


cdef inline void add_signal(Signals* signals, uint32_t signal, bint must, bint may,
                            int32_t statement) noexcept nogil:
    if must and not signals.must >> signal & 1:
        signals.must |= <uint64_t>1 << signal
        signals.by_must[signal] = statement
    if may and not signals.may >> signal & 1:
        signals.may |= <uint64_t>1 << signal
        signals.by_may[signal] = statement


cdef inline uint32_t allow_index(uint64_t signals, uint64_t scp) noexcept nogil:
    """Number of evaluation.Allows: nine signals, and whether every SCP level allows."""
    return <uint32_t>(signals >> IDENTITY & 0x1FF) | (0x200 if signals & scp == scp else 0)
