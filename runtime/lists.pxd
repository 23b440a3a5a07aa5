from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .engine cimport Engine
from .intern cimport InternTable
from .pairs cimport PairTable
from .words cimport Words

cdef enum:
    # Signals that are no bit of their own: the numbers of runtime/signals.py.
    NO_SIGNAL = 64
    LEVEL_SIGNALS = 65

    # What an action is (layered_plan.ACTION_ flags).
    ACTION_TRUST = 1
    ACTION_FEDERATED = 2
    ACTION_KMS = 4
    ACTION_BUCKET_POLICY = 8
    ACTION_NO_RCP = 16
    ACTION_CALLER = 32
    ACTION_TOKEN = 64
    ACTION_ERROR = 0x8000

cdef extern from *:
    """
    #define IAMT_SET_NEVER 0xFFFFFFFDu
    """
    const uint32_t SET_NEVER "IAMT_SET_NEVER"          # statement: its resources match nothing

cdef class ListsEngine(Engine):
    cdef const uint32_t* class_start
    cdef const uint32_t* run_start             # by class: its statements, in runs
    cdef const uint32_t* run                   # of consecutive ones: the first, and the one behind
    cdef const uint32_t* set_start             # by action set: its statements
    cdef const uint32_t* set_statement
    cdef size_t set_count
    cdef const uint8_t* statement_effect
    cdef const uint8_t* statement_flags
    cdef const uint32_t* statement_resource    # resource set, SET_ANY or SET_UNREADABLE
    cdef const uint32_t* statement_principal
    cdef const uint32_t* statement_test_start
    cdef const uint32_t* statement_test
    cdef size_t state_words                    # of the states of all statements under one action
    cdef Words bundle_start                    # rows of a bundle: class, allow, deny, is_open
    cdef Words bundle_row
    cdef Words bundle_is_own                   # by bundle: one requester has it, and it is short
    cdef dict bundles
    cdef Words action_flag                     # by action id; NO_ID unseen
    cdef Words action_states                   # by action id: offset of its states / state_words
    cdef uint64_t* states                      # one bit per (action, statement)
    cdef size_t states_used, states_size
    cdef InternTable list_table
    cdef Words list_start                      # by list id
    cdef PairTable cells                       # (action, bundle) -> list offset
    cdef Words build

    cdef int _start_lists(self) except -1
    cdef uint32_t _bundle(self, tuple rows, bint is_shared=*) except? 0
    cdef int _fill_action(self, uint32_t action) noexcept with gil
    cdef int _mark_statements(self, const uint8_t[::1] sets, uint64_t* states) except -1
    cdef uint32_t _action_flags(self, uint32_t action) noexcept nogil
    cdef uint32_t _list(self, uint32_t action, uint32_t bundle) noexcept nogil
    cdef int _write_list(self, uint32_t action, uint32_t bundle) noexcept nogil
    cdef void _near_list(self, uint32_t action, uint32_t bundle) noexcept nogil
    cdef uint32_t _build_list(self, uint32_t action, uint32_t bundle) noexcept nogil
    cdef int _put_statement(self, uint32_t statement, uint32_t allow, uint32_t deny,
                            size_t head) noexcept nogil
    cdef int _put_entry(self, uint32_t statement, uint32_t target, uint32_t is_unknown,
                        size_t head) noexcept nogil
    cdef int _put_open(self, uint32_t allow, uint32_t deny) noexcept nogil
