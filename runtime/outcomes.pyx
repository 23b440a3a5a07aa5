"""From signals to a decision: what the gathered Allows and Denies of a request come to.

Denies are read off the signals; what is left is one look into the truth table of the rules
(runtime/evaluation.py) for each way in which a fact that is not known may turn out.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .engine cimport ALLOW, EXPLICIT_DENY, UNDETERMINED
from .globs cimport GlobSet
from .intern cimport NO_ID
from .sides cimport SidesEngine


cdef class OutcomesEngine(SidesEngine):
    """Knows the truth table.

    Of `planner` it also asks `truth_row`, once per kind of requester and stage.
    """

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


cdef inline uint32_t allow_index(uint64_t signals, uint64_t scp) noexcept nogil:
    """Number of evaluation.Allows: nine signals, and whether every SCP level allows."""
    return <uint32_t>(signals >> IDENTITY & 0x1FF) | (0x200 if signals & scp == scp else 0)
