from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .column cimport Ahead, ColumnData
from .intern cimport InternTable
from .lists cimport ListsEngine
from .pairs cimport PairTable
from .words cimport Words

cdef enum:
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

cdef extern from *:
    """
    #define IAMT_ACCOUNT_OF_REQUESTER 0xFFFFFFFFu
    #define IAMT_ACCOUNT_UNKNOWN 0xFFFFFFFEu
    """
    const uint32_t ACCOUNT_OF_REQUESTER "IAMT_ACCOUNT_OF_REQUESTER"
    const uint32_t ACCOUNT_UNKNOWN "IAMT_ACCOUNT_UNKNOWN"

cdef struct Requester:
    uint64_t given          # signals that hold without a policy
    uint64_t scp            # signals of its SCP levels
    uint32_t bundle         # NO_ID: it can make no request
    uint32_t rcps           # bundle of its own account's RCPs
    uint32_t asker
    uint32_t flags
    uint32_t account        # 0: none
    uint32_t partition      # 0: none

cdef struct Side:
    # Of a resource. `plain` and `trust` are bundles of what speaks for it: when it is no role, and
    # when a role is to be assumed.
    uint32_t plain
    uint32_t trust
    uint32_t rcps
    uint32_t flags
    uint32_t account        # or ACCOUNT_OF_REQUESTER, ACCOUNT_UNKNOWN
    uint32_t partition      # 0: of every partition

cdef enum:
    BLOCK = 256             # rows that take each step together

cdef struct Asked:
    # A block of rows, looked up; a resource may be NO_ID as yet (`_find_sides_of_texts`).
    uint32_t[256] action, requester, side, resource, endpoint

cdef class SidesEngine(ListsEngine):
    cdef const uint8_t* element_reads          # bit 0: aws:userid, bit 1: aws:PrincipalArn
    cdef uint32_t key_user_id, key_principal_arn, key_assumed_root, key_endpoint
    cdef bint has_endpoints                    # endpoint policies depend on aws:SourceVpce
    cdef Ahead ahead
    # names: principals, issuers, accounts, partitions, types
    cdef InternTable names
    cdef InternTable requester_table           # (principal, issuer, account, type, management)
    # by id of the principal, where all rows of a call say the same of the rest; NO_ID unseen
    cdef Words requester_of
    cdef uint32_t requester_rest[4]            # issuer, account, type, management
    cdef bint is_rest_constant
    cdef Words side_of                         # by resource id, where one account owns all
    cdef uint32_t side_owner
    cdef bint is_owner_constant
    cdef Words requesters                      # of Requester
    cdef Words requester_values                # rows of derived value ids, one per derived key
    cdef Words requester_row                   # by requester
    cdef dict requester_rows                   # a row as the planner gives it -> its number
    cdef PairTable side_pairs                  # (resource, owner) -> side, where owners differ
    cdef InternTable shapes                    # what ARNs begin with (shapes.pxd)
    cdef Words shape_state                     # by shape: SHAPE_*
    cdef InternTable exceptions                # ARNs with sides of their own (SHAPE_EXCEPTIONS)
    cdef PairTable shape_pairs                 # (shape, owner) -> side
    cdef Words sides                           # of Side
    cdef Words side_values                     # rows of derived value ids, one per derived key
    cdef Words side_row                        # by side
    cdef dict side_rows                        # a row as the planner gives it -> its number
    cdef InternTable kinds                     # distinct contents of Side
    cdef Words side_kind                       # by side; NO_ID: no resource (RES-12)
    cdef uint32_t invalid_side
    cdef Words endpoint_bundle                 # by value id of aws:SourceVpce; NO_ID unseen
    cdef Words endpoint_values
    cdef Words assumed                         # by value id of aws:AssumedRoot
    cdef list asking                           # what the planner said of each requester
    cdef PairTable plain_levels                # (element, requester) -> masks
    cdef InternTable level_table               # (element, requester, user id, principal ARN)
    cdef Words level_masks
    # keys whose values may follow from each side (CTX-3)
    cdef Words requester_key, side_key, endpoint_key
    cdef Words derived_from                    # by key: which of the three << 30 | place in it

    cdef int _start(self) except -1
    cdef int _put_row(self, Words* rows, Words* values, Words* keys, tuple derived,
                      dict known) except -1
    cdef uint32_t _derived_id(self, uint32_t key, value) except? 0
    cdef uint32_t _code(self, text) except? 0
    cdef object _name(self, uint32_t id)
    cdef int _fill_requester(self, const uint32_t* ids) noexcept with gil
    cdef int _fill_side(self, uint32_t resource, uint32_t account,
                        uint32_t shape) noexcept with gil
    cdef int _fill_shape(self, uint32_t shape) noexcept with gil
    cdef int _find_shape(self, const uint8_t* text, size_t length, size_t place,
                         uint32_t* found) noexcept nogil
    cdef int _fill_endpoint(self, uint32_t value) noexcept with gil
    cdef uint32_t _fill_levels(self, const uint32_t* asked) noexcept with gil
    cdef int _fill_assumed(self, uint32_t value) noexcept with gil
    cdef int _look_up(self, Asked* asked, ColumnData** who, const uint8_t* management,
                      ColumnData* actions, ColumnData* resources, ColumnData* owners,
                      ColumnData** keys, size_t start, size_t n) noexcept nogil
    cdef int _find_sides(self, Asked* asked, ColumnData* resources, ColumnData* owners,
                         size_t start, size_t n) noexcept nogil
    cdef int _find_shapes(self, Asked* asked, const uint32_t* owner, const size_t* lengths,
                          size_t count) noexcept nogil
    cdef int _find_sides_of_texts(self, Asked* asked, ColumnData* resources, ColumnData* owners,
                                  size_t start, size_t n) noexcept nogil
    cdef int _find_requesters(self, uint32_t* found, ColumnData** who, const uint8_t* management,
                              size_t start, size_t n) noexcept nogil
    cdef int _start_batch(self, ColumnData** who, const uint8_t* management,
                          ColumnData* owners) noexcept nogil
    cdef uint32_t _new_requester(self, ColumnData** who, const uint8_t* management,
                                 size_t i) noexcept nogil
    cdef uint32_t _side(self, uint32_t resource, ColumnData* owners, size_t i) noexcept nogil
    cdef uint32_t _new_side(self, uint32_t resource, uint32_t owner) noexcept nogil
    cdef uint32_t _side_of_none(self) noexcept nogil
    cdef int _find_endpoints(self, uint32_t* found, ColumnData** keys, size_t start,
                             size_t n) noexcept nogil
    cdef uint32_t _levels(self, uint32_t element, uint32_t requester, ColumnData** keys,
                          size_t i) noexcept nogil
    cdef uint32_t _assumed(self, ColumnData** keys, size_t i) noexcept nogil
    cdef int _add_derived(self, int which, uint32_t number) except -1
