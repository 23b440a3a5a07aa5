from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .lists cimport LEVEL_SIGNALS
from .sides cimport SidesEngine

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

cdef inline void add_signal(Signals* signals, uint32_t signal, bint must, bint may,
                            int32_t statement) noexcept nogil:
    if must and not signals.must >> signal & 1:
        signals.must |= <uint64_t>1 << signal
        signals.by_must[signal] = statement
    if may and not signals.may >> signal & 1:
        signals.may |= <uint64_t>1 << signal
        signals.by_may[signal] = statement

cdef inline void add_entry(Signals* signals, uint32_t target, uint32_t levels, bint is_sure,
                           int32_t statement) noexcept nogil:
    """What an entry gives that matches, or that may match.

    levels : must | may << 8, the levels of a resource policy at which it matches
    """
    cdef int bit
    if target != LEVEL_SIGNALS:
        add_signal(signals, target, is_sure and levels & LEVEL_MASK, True, statement)
        return
    for bit in range(LEVEL_COUNT):
        add_signal(signals, DIRECT + bit, is_sure and levels >> bit & 1, levels >> 8 >> bit & 1,
                   statement)

cdef class OutcomesEngine(SidesEngine):
    cdef uint8_t* truth_table               # ASKER_COUNT * STAGE_COUNT rows
    cdef uint8_t truth_known[256]
    cdef bint assumes_account               # option missing_required_policy="account"

    cdef int _fill_truth(self, uint32_t asker, uint32_t stage) noexcept with gil
    cdef uint32_t _outcome(self, Signals* signals, Facts* facts, uint64_t scp,
                           int32_t* statement) noexcept nogil
    cdef uint32_t _of_stage(self, Signals* signals, Facts* facts, uint64_t scp, uint32_t stage,
                            int32_t* statement) noexcept nogil
    cdef int32_t _granting(self, Signals* signals, uint32_t layer) noexcept nogil
    cdef int32_t _settling(self, Signals* signals) noexcept nogil
