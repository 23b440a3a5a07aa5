"""The batch loop when several policy layers meet: columns of requests in, decision and layer out.

What a row's requester, resource, endpoint and action come to is looked up (runtime/sides.pyx). The
row then gathers the signals of its lists in two words, `must` and `may`; denies are read off them,
and what is left is one look into the truth table of the rules (runtime/evaluation.py) for each way in
which a fact that is not known may turn out.

In a large organization every one of these look-ups misses the caches of the processor. So a block of
rows takes each step together, and each step asks early for what the next will read.
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
    prefetch,
)
from .globs cimport GlobSet
from .intern cimport NO_ID
from .pairs cimport pair_of, pair_slot
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
    BLOCK = 128             # rows that take each step together
    LIST_COUNT = 5          # requester, resource, RCPs of either side, endpoint
    ASKER_COUNT = 4

    LAYER_RESOURCE = 4              # codes.Layer
    LAYER_IDENTITY = 5
    LAYER_SERVICE = 9

    # How a fact may turn out: bit 0 false, bit 1 true.
    IS_FALSE = 1
    IS_TRUE = 2
    IS_EITHER = 3


cdef class LayeredEngine(SidesEngine):
    """Decides rows over a table with several layers.

    Of `planner` it also asks `truth_row`, once per kind of requester and stage.
    """

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        SidesEngine.__init__(self, planner, globs, facts, layers)
        self.assumes_account = layers.assumes_account
        self.truth_table = <uint8_t*>malloc(ASKER_COUNT * STAGE_COUNT * ROW_LENGTH)
        self.rows = <Row*>malloc(BLOCK * sizeof(Row))
        if self.truth_table == NULL or self.rows == NULL:
            raise MemoryError
        memset(self.truth_known, 0, sizeof(self.truth_known))

    def __dealloc__(self):
        free(self.truth_table)
        free(self.rows)

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

    cdef int _gather(self, Signals* signals, uint32_t words, Batch* batch,
                     Row* row) noexcept nogil:
        """Signals of the entries of a list."""
        cdef const uint32_t* entry
        cdef const uint32_t* following
        cdef uint32_t target, levels, must, may
        cdef size_t e, count = self.pool.data[words]
        cdef uint8_t state
        cdef int bit
        following = self.pool.data + words + 1
        for e in range(count):
            entry = following
            following += 5 + (entry[4] & 0xFFFF)
            target = entry[1]
            if target != LEVEL_SIGNALS and signals.must >> target & 1:
                continue
            levels = LEVEL_MASK | LEVEL_MASK << 8
            if entry[2] != NO_ID:
                levels = self._levels(entry[2], row.requester, batch.keys, row.i)
                if levels == NO_ID:
                    return -1
                if levels >> 8 == 0:
                    continue
            state = self._entry(entry + 2, batch.resources,
                                self.resources.items.data + row.resource_row, batch.keys, row.i)
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

    # --- the steps of a block

    cdef int _look_up(self, Batch* batch, Row* row) noexcept nogil:
        """Who and what: everything that a row names, as numbers."""
        cdef Requester* asking
        row.found = UNDETERMINED
        row.is_service = False
        batch.statement[row.i] = -1
        row.action = self._action(batch.actions, row.i)
        if row.action == NO_ID:
            return -1
        row.what = self.action_flag.data[row.action]
        if row.what & ACTION_ERROR:
            batch.error[row.i] = ERROR_ACTION
            return 0
        row.resource_row = self.resources.row(batch.resources, row.i)
        if row.resource_row == NO_ID:
            self.failed = True
            return -1
        if row.resource_row == self.resources.invalid_row:
            batch.error[row.i] = ERROR_RESOURCE
            return 0
        row.requester = self._requester(batch.who, batch.management, row.i)
        if row.requester == NO_ID:
            return -1
        row.side = self._side(batch.resources, batch.owners, row.resource_row, row.i)
        row.endpoint = self._endpoint(batch.keys, row.i)
        if row.side == NO_ID or row.endpoint == NO_ID:
            return -1
        row.found = NO_ID
        asking = self._asking(row)
        prefetch(asking)
        prefetch(<uint8_t*>asking + sizeof(Requester) - 1)
        prefetch(self._asked(row))
        prefetch(self.requester_values.data + row.requester * self.requester_key.count)
        return 0

    cdef Requester* _asking(self, Row* row) noexcept nogil:
        return <Requester*>self.requesters.data + row.requester

    cdef Side* _asked(self, Row* row) noexcept nogil:
        return <Side*>self.sides.data + row.side

    cdef void _meet(self, Batch* batch, Row* row) noexcept nogil:
        """Which bundles of policies meet the request (EVAL-6 to EVAL-10)."""
        cdef Requester* asking = self._asking(row)
        cdef Side* asked = self._asked(row)
        cdef size_t k
        if asking.bundle == NO_ID:
            batch.error[row.i] = ERROR_PRINCIPAL
            row.found = UNDETERMINED
            return
        if (row.what & ACTION_CALLER and asking.flags & REQUESTER_CALLER) or (
                row.what & ACTION_TOKEN and asking.flags & REQUESTER_TOKEN):  # EVAL-11, EVAL-12
            row.is_service = True
            row.found = ALLOW | LAYER_SERVICE << 2
            return
        row.list_count = 0
        self._add_bundle(row, asking.bundle)
        self._add_bundle(row, asked.trust if row.what & (ACTION_TRUST | ACTION_FEDERATED)
                         else asked.plain)
        if asking.flags & REQUESTER_UNDER_RCPS and not row.what & ACTION_NO_RCP:
            self._add_bundle(row, asked.rcps)
            if asked.account == ACCOUNT_OF_REQUESTER:
                self._add_bundle(row, asking.rcps)
        row.is_endpoint_open = True
        if asking.flags & REQUESTER_UNDER_ENDPOINTS and self.endpoint_bundle.data[row.endpoint]:
            row.is_endpoint_open = False
            self._add_bundle(row, self.endpoint_bundle.data[row.endpoint])
        for k in range(row.list_count):
            prefetch(pair_slot(&self.cells, pair_of(row.action, row.bundles[k])))

    cdef void _add_bundle(self, Row* row, uint32_t bundle) noexcept nogil:
        row.bundles[row.list_count] = bundle
        row.list_count += bundle != 0

    cdef int _find_lists(self, Row* row) noexcept nogil:
        """The statements that the action leaves of each bundle."""
        cdef size_t k
        for k in range(row.list_count):
            row.lists[k] = self._list(row.action, row.bundles[k])
            if row.lists[k] == NO_ID:
                return -1
            prefetch(self.pool.data + row.lists[k])
        return 0

    cdef int _settle(self, Batch* batch, Row* row) noexcept nogil:
        """Decide a row by its lists."""
        cdef Requester* asking = self._asking(row)
        cdef Signals signals
        cdef Facts facts
        cdef size_t k
        self._set_derived(batch.keys, &self.requester_key,
                          self.requester_values.data + row.requester * self.requester_key.count,
                          batch.is_derived)
        self._set_derived(batch.keys, &self.side_key,
                          self.side_values.data + row.side * self.side_key.count,
                          batch.is_derived)
        self._set_derived(batch.keys, &self.endpoint_key,
                          self.endpoint_values.data + row.endpoint * self.endpoint_key.count,
                          batch.is_derived)
        signals.must = signals.may = asking.given
        if row.is_endpoint_open:
            signals.must |= <uint64_t>1 << VPCE
            signals.may |= <uint64_t>1 << VPCE
        for k in range(row.list_count):
            if self._gather(&signals, row.lists[k], batch, row):
                return -1
        if self._facts(&facts, batch, row):
            return -1
        self.last_signals.must = signals.must
        self.last_signals.may = signals.may
        self.last_facts = facts
        row.found = self._outcome(&signals, &facts, asking.scp, &batch.statement[row.i])
        return -1 if self.failed else 0

    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil:
        """Rows start..stop, at most BLOCK."""
        cdef size_t n = stop - start, k
        cdef Row* rows = self.rows
        for k in range(n):
            rows[k].i = start + k
            if self._look_up(batch, &rows[k]):
                return -1
        for k in range(n):
            if rows[k].found == NO_ID:
                self._meet(batch, &rows[k])
        for k in range(n):
            if rows[k].found == NO_ID and self._find_lists(&rows[k]):
                return -1
        for k in range(n):
            if rows[k].found == NO_ID and self._settle(batch, &rows[k]):
                return -1
            batch.decision[start + k] = rows[k].found & 3
            batch.layer[start + k] = <uint8_t>(rows[k].found >> 2)
            batch.errors += batch.error[start + k] != 0
        self.last_is_service = rows[n - 1].is_service
        return 0

    cdef int _facts(self, Facts* facts, Batch* batch, Row* row) noexcept nogil:
        """What is in no policy (EVAL-3 to EVAL-5, EVAL-16, EVAL-40 to EVAL-44, EVAL-52)."""
        cdef uint32_t what = row.what
        cdef Requester* asking = self._asking(row)
        cdef Side* asked = self._asked(row)
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
            facts.assumed = self._assumed(batch.keys, row.i)
            if facts.assumed == NO_ID:
                return -1
        facts.is_other = batch.others != NULL and batch.others[row.i]
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
