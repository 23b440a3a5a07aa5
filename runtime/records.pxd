from libc.stdint cimport int32_t, uint32_t, uint64_t

from .grids cimport Grid
from .intern cimport InternTable
from .outcomes cimport Facts, OutcomesEngine, Signals
from .pairs cimport PairSlot, PairTable
from .sides cimport Requester, Side
from .words cimport Words

cdef enum:
    ENTRY_WORDS = 5                 # statement, signal, levels, resource set, tests | flags

    # The value of a record's slot: its offset in `records`, and above that what it comes to.
    OUTCOME_SHIFT = 26
    OFFSET_MASK = 0x3FFFFFE         # a record begins at an even word
    SLOT_SETS = 1                   # as RECORD_SETS, so that a row need not read its record
    OUTCOME_OPEN = 0x3F             # hangs on the row
    OUTCOME_ERROR = 0x3B            # the requester can make no request (PRIN-2)

    # What settling a row by its record takes.
    RECORD_SETS = 1                 # the resource has to be classified
    RECORD_ROOT = 2                 # EVAL-52: which root user asks hangs on the row
    RECORD_SERVICE = 4              # EVAL-11, EVAL-12: no policy is asked
    RECORD_DEPENDS = 8              # among its tests are patterns or conditions with variables

    MOST_RECORD_WORDS = 1 << 24     # 64 MiB
    MOST_QUESTIONS = 1 << 22
    MOST_ANSWERS = 1 << 22          # cells, 8 MiB

    # Questions that are found by their place: of so many crossings, under so many actions. The first
    # place of each action, and those of the action that is absent, stay empty.
    NEAR_BITS = 5
    NEAR_CROSSINGS = (1 << NEAR_BITS) - 1
    NEAR_ACTIONS = 1 << 12

cdef extern from *:
    """
    #define IAMT_LEVELS_KNOWN 0x80000000u
    """
    # Third word of an entry of a record: this and its levels, must | may << 8; or, below, the
    # principal element that has to be held against the row.
    const uint32_t LEVELS_KNOWN "IAMT_LEVELS_KNOWN"

cdef struct Request:
    # Who puts a question, and of what: any one of the sides and endpoints that it stands for.
    uint32_t action, requester, side, endpoint

cdef struct Record:
    # Followed by `known_count` Known, `derived_count` Derived, `test_count` words that number the
    # tests of a narrowed record (runtime/narrowed.pyx), and the words of the entries.
    uint64_t must, may, scp
    Facts facts                     # but for `assumed` and `is_other`, which hang on the row
    uint32_t flags
    uint32_t known_count, derived_count
    uint32_t needed_count           # the entries that decide come first
    uint32_t entry_count
    uint32_t test_count
    uint32_t meetings               # rows that it left open, as far as that matters
    uint32_t unused                 # a record is whole 64-bit words

cdef struct Known:
    # A signal that is given before any entry is looked at, and the statements behind it.
    uint32_t signal
    int32_t by_must, by_may

cdef struct Derived:
    # A key that entries read and that may follow from a side (CTX-3): SidesEngine.derived_from.
    uint32_t key, source

cdef inline size_t near_place(uint32_t action, uint32_t crossing) noexcept nogil:
    return (<size_t>action << NEAR_BITS) + crossing + 1

cdef inline Derived* derived_of(Record* record) noexcept nogil:
    return <Derived*>(<Known*>(record + 1) + record.known_count)

cdef inline uint32_t* tests_of(Record* record) noexcept nogil:
    return <uint32_t*>(derived_of(record) + record.derived_count)

cdef inline uint32_t* entries_of(Record* record) noexcept nogil:
    return tests_of(record) + record.test_count

cdef class RecordsEngine(OutcomesEngine):
    cdef PairTable crossings                # (kind of side, endpoint bundle) -> crossing
    cdef PairTable questions                # (action, crossing) -> question
    cdef Words near                         # near_place -> question + 1, 0 where there is none
    # (requester, question) -> OUTCOME | offset, statement; most are in `answers` alone
    cdef PairTable record_slots
    cdef PairSlot loose_slot                # of a record that is kept in no table
    cdef size_t records_made                # since records were last forgotten
    cdef Grid answers                       # the same by place: slot.value | slot.extra << 32
    cdef Words records                      # of Record and what follows
    cdef InternTable record_table           # distinct records, as they were before any row met them
    cdef Words record_at                    # id in `record_table` -> offset
    cdef public size_t record_limit         # words of records, above which they are dropped
    cdef Words draft                        # entries while a record is made
    cdef Words draft_keys                   # of Derived
    cdef Words draft_tests
    cdef Signals base
    cdef uint64_t given                     # signals of `base` that no statement gave

    cdef int _forget_records(self) noexcept nogil
    cdef uint32_t _question(self, uint32_t action, uint32_t crossing) noexcept nogil
    cdef uint32_t _number(self, PairTable* numbers, uint32_t a, uint32_t b) noexcept nogil
    cdef Requester* _asking(self, uint32_t requester) noexcept nogil
    cdef Side* _asked(self, uint32_t side) noexcept nogil
    cdef PairSlot* _make_record(self, const Request* at, uint32_t question,
                                PairTable* slots) noexcept nogil
    cdef int _draft_entries(self, const Request* at) noexcept nogil
    cdef int _draft_bundle(self, uint32_t action, uint32_t bundle,
                           uint32_t requester) noexcept nogil
    cdef int _prune(self, bint is_root, size_t* needed) noexcept nogil
    cdef int _note_keys(self, const uint32_t* entry) noexcept nogil
    cdef int _note_key(self, uint32_t key) noexcept nogil
    cdef PairSlot* _put_record(self, PairTable* slots, uint32_t a, uint32_t b, Record* head,
                               size_t needed, uint32_t outcome, int32_t statement) noexcept nogil
    cdef uint32_t _shared_record(self, size_t size) noexcept nogil
    cdef void _facts(self, Facts* facts, uint32_t what, Requester* asking,
                     Side* asked) noexcept nogil
