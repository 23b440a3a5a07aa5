"""What is distinct in a layered table: requesters, sides of resources, endpoints.

A request has two sides. Its requester carries a bundle of policy sets (identity, boundary, session,
SCP levels), its resource another (its policy, RCPs), the endpoint it came through a third. Each is
asked of Python once, through a `_fill_*` door, and is a number from then on. Resources in whose
place nothing is filed share their side, so that a million objects of a bucket ask once.
runtime/layered.pyx runs over rows with what is found here.

Invariant: numbers are given in order, so a table of words is filled up to the number asked for. When
a door fails, everything learnt is dropped (`clear`).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from .classify cimport is_resource
from .column cimport (
    COLUMN_CODES,
    COLUMN_CONSTANT,
    COLUMN_STRINGS,
    NO_TEXTS,
    Ahead,
    ColumnData,
    codes_fit,
    column_ids,
    column_text,
    column_texts,
    column_value,
    intern_ahead,
)
from .globs cimport GlobSet
from .intern cimport (
    ABSENT_ID,
    FIRST_ID,
    NO_ID,
    UNKNOWN_ID,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_find,
    intern_free,
    intern_init,
    intern_many,
)
from .lists cimport ListsEngine
from .pairs cimport pairs_bytes, pairs_clear, pairs_free, pairs_get, pairs_init, pairs_put
from .prefetch cimport prefetch
from .shapes cimport kind_length, place_of_resource
from .words cimport Words, find_words, words_fill, words_reserve

cdef enum:
    REQUESTER_WORDS = sizeof(Requester) // sizeof(uint32_t)
    SIDE_WORDS = sizeof(Side) // sizeof(uint32_t)

# What is known of the resources that begin with a shape.
cdef enum:
    SHAPE_ASKED = 0         # each has to be asked for
    SHAPE_UNIFORM = 1       # they have one side
    SHAPE_EXCEPTIONS = 2    # they have one side, but for those in `exceptions`


cdef class SidesEngine(ListsEngine):
    """Caches of what is distinct in the requests of a layered table.

    `planner` (runtime/layered_plan.py) answers, once per distinct thing, `requesters`, `side`,
    `shapes`, `endpoint`, `levels` and `assumed_root`.
    """

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        cdef uint64_t seed
        ListsEngine.__init__(self, planner, globs, facts, layers)
        self.element_reads = <const uint8_t*><size_t>layers.element_reads.ctypes.data
        self.key_user_id = layers.key_user_id
        self.key_principal_arn = layers.key_principal_arn
        self.key_assumed_root = layers.key_assumed_root
        self.key_endpoint = layers.key_endpoint
        self.has_endpoints = layers.has_endpoints
        self.requester_rows = {}
        self.side_rows = {}
        self.asking = []
        seed = int.from_bytes(planner.seed(), "little")
        if (intern_init(&self.names, seed + 101)
                or intern_init(&self.requester_table, seed + 102)
                or pairs_init(&self.side_pairs, seed + 103)
                or intern_init(&self.level_table, seed + 106)
                or pairs_init(&self.plain_levels, seed + 107)
                or intern_init(&self.shapes, seed + 108)
                or intern_init(&self.exceptions, seed + 111)
                or pairs_init(&self.shape_pairs, seed + 109)
                or intern_init(&self.kinds, seed + 110)):
            raise MemoryError
        if words_fill(&self.derived_from, self.key_count, NO_ID):
            raise MemoryError
        self._start()

    def __dealloc__(self):
        intern_free(&self.names)
        intern_free(&self.requester_table)
        pairs_free(&self.side_pairs)
        intern_free(&self.shapes)
        intern_free(&self.exceptions)
        pairs_free(&self.shape_pairs)
        intern_free(&self.kinds)
        intern_free(&self.level_table)
        pairs_free(&self.plain_levels)
        free(self.requester_of.data)
        free(self.side_of.data)
        free(self.shape_state.data)
        free(self.side_kind.data)
        free(self.derived_from.data)
        free(self.requesters.data)
        free(self.requester_values.data)
        free(self.sides.data)
        free(self.side_values.data)
        free(self.requester_row.data)
        free(self.side_row.data)
        free(self.endpoint_bundle.data)
        free(self.endpoint_values.data)
        free(self.assumed.data)
        free(self.level_masks.data)
        free(self.requester_key.data)
        free(self.side_key.data)
        free(self.endpoint_key.data)

    cdef int _start(self) except -1:
        """Empty caches."""
        self.requester_of.count = self.side_of.count = 0
        self.shape_state.count = self.side_kind.count = 0
        self.invalid_side = NO_ID
        self.is_rest_constant = self.is_owner_constant = False
        self.requesters.count = self.requester_values.count = 0
        self.sides.count = self.side_values.count = 0
        self.endpoint_bundle.count = self.endpoint_values.count = self.assumed.count = 0
        self.level_masks.count = 0
        self.requester_row.count = self.side_row.count = 0
        self.requester_rows.clear()
        self.side_rows.clear()
        self.asking.clear()
        return 0

    # --- doors to Python: one call per distinct thing, errors are kept and raised after the loop

    cdef int _put_row(self, Words* rows, Words* values, Words* keys, tuple derived,
                      dict known) except -1:
        """Number of a row of derived values, as value ids of their keys, appended to `rows`.

        known : rows of these keys that were met before -> their number
        """
        cdef size_t j
        number = known.get(derived)
        if words_reserve(rows, 1) or words_reserve(values, keys.count):
            raise MemoryError
        if number is None:
            number = len(known)
            for j in range(keys.count):
                values.data[values.count + j] = self._derived_id(keys.data[j], derived[j])
            values.count += keys.count
            known[derived] = number
        rows.data[rows.count] = number
        rows.count += 1
        return 0

    cdef uint32_t _derived_id(self, uint32_t key, value) except? 0:
        if value is None:
            return ABSENT_ID
        return self._interned(&self.key_tables[key], value) if isinstance(value, bytes) else (
            UNKNOWN_ID)

    cdef uint32_t _code(self, text) except? 0:
        """Number of an account or a partition; 0 for none."""
        return 0 if text is None else self._interned(&self.names, text)

    cdef object _name(self, uint32_t id):
        return None if id < FIRST_ID else self._text(&self.names, id)

    cdef int _fill_requester(self, const uint32_t* ids) noexcept with gil:
        """The requester that was just interned is appended."""
        cdef Requester* one
        try:
            found = self.planner.requesters[
                self._name(ids[0]), self._name(ids[1]), self._name(ids[2]), self._name(ids[3]),
                bool(ids[4])]
            if words_reserve(&self.requesters, REQUESTER_WORDS):
                raise MemoryError
            one = <Requester*>(self.requesters.data + self.requesters.count)
            if found is None:
                memset(one, 0xFF, sizeof(Requester))
                derived = (None,) * self.requester_key.count
            else:
                one.bundle = self._bundle(found.rows, False)
                one.rcps = self._bundle(found.rcps)
                one.asker = found.asker
                one.flags = found.flags
                one.account = self._code(found.account)
                one.partition = self._code(found.partition)
                one.given = found.given
                one.scp = found.scp
                derived = found.derived
            self.requesters.count += REQUESTER_WORDS
            self.asking.append(found)
            self._put_row(&self.requester_row, &self.requester_values, &self.requester_key, derived,
                          self.requester_rows)
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_side(self, uint32_t resource, uint32_t account,
                        uint32_t shape) noexcept with gil:
        """The side of a resource and its owner is appended.

        shape : what has that side with it, or NO_ID
        """
        cdef Side* one
        cdef uint32_t kind
        try:
            text = None
            if resource >= FIRST_ID:
                text = self._text(&self.resources.texts, resource)
            found = self.planner.side(
                text, self._name(account), account == UNKNOWN_ID,
                None if shape == NO_ID else self._text(&self.shapes, shape))
            if words_reserve(&self.sides, SIDE_WORDS) or words_reserve(&self.side_kind, 1):
                raise MemoryError
            one = <Side*>(self.sides.data + self.sides.count)
            one.plain = self._bundle(found.plain)
            one.trust = self._bundle(found.trust)
            one.rcps = self._bundle(found.rcps)
            one.flags = found.flags
            one.account = ACCOUNT_OF_REQUESTER
            if found.account is not None:
                one.account = self._code(found.account) if found.account else ACCOUNT_UNKNOWN
            one.partition = self._code(found.partition)
            kind = intern_add(&self.kinds, <const uint8_t*>one, sizeof(Side))
            if kind == NO_ID:
                raise MemoryError
            self.sides.count += SIDE_WORDS
            self._put_row(&self.side_row, &self.side_values, &self.side_key, found.derived,
                          self.side_rows)
            self.side_kind.data[self.side_kind.count] = kind - FIRST_ID
            self.side_kind.count += 1
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_shape(self, uint32_t shape) noexcept with gil:
        """Whether all resources that begin with a shape have one side, and but for which."""
        cdef bytes text
        cdef const char* start
        try:
            exceptions = self.planner.shapes[self._text(&self.shapes, shape),]
            if words_fill(&self.shape_state, shape, NO_ID):
                raise MemoryError
            self.shape_state.data[shape] = SHAPE_ASKED if exceptions is None else SHAPE_UNIFORM
            if exceptions:
                self.shape_state.data[shape] = SHAPE_EXCEPTIONS
                for text in exceptions:
                    start = text
                    if intern_add(&self.exceptions, <const uint8_t*>start, len(text)) == NO_ID:
                        raise MemoryError
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _fill_endpoint(self, uint32_t value) noexcept with gil:
        cdef object form = None
        cdef size_t j
        try:
            if self.key_endpoint != NO_ID:
                form = self._value(self.key_endpoint, value)
            rows, derived = self.planner.endpoint(form)
            while self.endpoint_bundle.count <= value:
                if (words_reserve(&self.endpoint_bundle, 1)
                        or words_reserve(&self.endpoint_values, self.endpoint_key.count)):
                    raise MemoryError
                self.endpoint_bundle.data[self.endpoint_bundle.count] = NO_ID
                self.endpoint_bundle.count += 1
                self.endpoint_values.count += self.endpoint_key.count
            for j in range(self.endpoint_key.count):
                self.endpoint_values.data[value * self.endpoint_key.count + j] = self._derived_id(
                    self.endpoint_key.data[j], derived[j])
            self.endpoint_bundle.data[value] = self._bundle(rows)
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef uint32_t _fill_levels(self, const uint32_t* asked) noexcept with gil:
        cdef uint32_t masks
        try:
            user_id = principal_arn = None
            if self.element_reads[asked[0]] & 1:
                user_id = self._value(self.key_user_id, asked[2])
            if self.element_reads[asked[0]] & 2:
                principal_arn = self._value(self.key_principal_arn, asked[3])
            masks = self.planner.levels(asked[0], self.asking[asked[1]], user_id, principal_arn)
            return masks
        except BaseException as error:
            self.error = error
            self.failed = True
            return NO_ID

    cdef int _fill_assumed(self, uint32_t value) noexcept with gil:
        try:
            state = self.planner.assumed_root(self._value(self.key_assumed_root, value))
            if words_fill(&self.assumed, value, 0):
                raise MemoryError
            self.assumed.data[value] = state
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    # --- look-ups of a row; all set `failed` and answer NO_ID when something goes wrong

    cdef int _look_up(self, Asked* asked, ColumnData** who, const uint8_t* management,
                      ColumnData* actions, ColumnData* resources, ColumnData* owners,
                      ColumnData** keys, size_t start, size_t n) noexcept nogil:
        """Everything that rows start..start + n name, as numbers; a column at a time."""
        if column_ids(actions, &self.action_table, start, n, asked.action, &self.ahead):
            self.failed = True
            return -1
        if (self._find_sides(asked, resources, owners, start, n)
                or self._find_requesters(asked.requester, who, management, start, n)):
            return -1
        return self._find_endpoints(asked.endpoint, keys, start, n)

    cdef int _find_sides(self, Asked* asked, ColumnData* resources, ColumnData* owners,
                         size_t start, size_t n) noexcept nogil:
        """Where one account owns all, sides are kept in the high halves of `by_code`."""
        if resources.kind == COLUMN_STRINGS and resources.instead == NULL:
            return self._find_sides_of_texts(asked, resources, owners, start, n)
        cdef const int32_t* codes = resources.codes + start
        cdef bint is_kept = self.is_owner_constant and is_plain(resources)
        cdef size_t k
        if (is_kept and resources.by_code != NULL
                and codes_fit(codes, n, 0, <uint32_t>resources.dictionary_count)
                and find_kept(asked, resources.by_code, codes, n)):
            return 0
        if self.resources.resource_ids(resources, start, n, asked.resource, &self.ahead):
            self.failed = True
            return -1
        for k in range(n):
            asked.side[k] = self._side(asked.resource[k], owners, start + k)
            if asked.side[k] == NO_ID:
                return -1
            if is_kept and resources.by_code != NULL and codes[k] >= 0:
                resources.by_code[codes[k]] = (
                    <uint64_t>asked.side[k] << 32 | asked.resource[k])
        return 0

    cdef int _find_sides_of_texts(self, Asked* asked, ColumnData* resources, ColumnData* owners,
                                  size_t start, size_t n) noexcept nogil:
        """Most rows are decided by what their resource begins with. Only where that does not tell
        its side is the text interned here; the others have NO_ID for a resource as yet."""
        cdef Ahead* ahead = &self.ahead
        cdef const uint8_t* text = NULL
        cdef size_t[256] lengths
        cdef uint32_t[256] owner
        cdef size_t k, left, length, place, count
        cdef uint32_t row
        count = column_texts(resources, start, n, asked.resource, ahead)
        for k in range(n):
            owner[k] = column_value(owners, &self.names, start + k)
            asked.side[k] = NO_ID
            if count == NO_TEXTS or owner[k] == NO_ID:
                self.failed = True
                return -1
            if asked.resource[k] == ABSENT_ID:
                asked.resource[k] = UNKNOWN_ID
        left = 0
        for k in range(count):
            row, text, length = ahead.rows[k], ahead.texts[k], ahead.lengths[k]
            asked.resource[row] = NO_ID
            lengths[row] = length
            place = place_of_resource(text, length)
            ahead.texts[left] = text
            ahead.lengths[left] = place
            ahead.rows[left] = row
            left += place != 0
            if place == 0 and not is_resource(text, length):
                asked.side[row] = self._side_of_none()
        count = left
        if self._find_shapes(asked, owner, lengths, count):
            self.failed = True
            return -1
        count = 0
        for k in range(n):
            if asked.side[k] == NO_ID and asked.resource[k] == NO_ID:
                column_text(&resources.strings, start + k + resources.row_offset,
                            &ahead.texts[count], &ahead.lengths[count])
                ahead.rows[count] = <uint32_t>k
                count += 1
        if intern_ahead(ahead, &self.resources.texts, count, asked.resource):
            self.failed = True
            return -1
        for k in range(n):
            if asked.side[k] == NO_ID:
                asked.side[k] = self._side(asked.resource[k], owners, start + k)
                if asked.side[k] == NO_ID:
                    return -1
        return 0

    cdef int _find_shapes(self, Asked* asked, const uint32_t* owner, const size_t* lengths,
                          size_t count) noexcept nogil:
        """Sides of rows that what their resource begins with tells, as `_find_shape` finds it; the
        others stay NO_ID.

        lengths : of the resources, by row. The first `count` texts of `ahead` are resources with the
        lengths of their places
        """
        cdef Ahead* ahead = &self.ahead
        cdef uint32_t shape, row, state
        cdef size_t k, left
        cdef int turn
        for turn in range(2):
            if intern_many(&self.shapes, ahead.texts, ahead.lengths, ahead.hashes, count,
                           ahead.found):
                return -1
            left = 0
            for k in range(count):
                shape, row = ahead.found[k], ahead.rows[k]
                state = NO_ID
                if shape < self.shape_state.count:
                    state = self.shape_state.data[shape]
                if state == NO_ID:
                    if self._fill_shape(shape):
                        return -1
                    state = self.shape_state.data[shape]
                if state == SHAPE_UNIFORM or (
                        state == SHAPE_EXCEPTIONS
                        and intern_find(&self.exceptions, ahead.texts[k], lengths[row]) == NO_ID):
                    asked.side[row] = pairs_get(&self.shape_pairs, shape, owner[row])
                elif state != SHAPE_EXCEPTIONS:
                    ahead.texts[left] = ahead.texts[k]
                    ahead.lengths[left] = kind_length(ahead.texts[k], lengths[row],
                                                      ahead.lengths[k])
                    ahead.rows[left] = row
                    left += ahead.lengths[left] != 0
            count = left
        return 0

    cdef int _find_requesters(self, uint32_t* found, ColumnData** who, const uint8_t* management,
                              size_t start, size_t n) noexcept nogil:
        cdef uint32_t[256] asked
        cdef size_t k
        cdef uint32_t principal
        if not self.is_rest_constant:
            for k in range(n):
                found[k] = self._new_requester(who, management, start + k)
                if found[k] == NO_ID:
                    return -1
            return 0
        if column_ids(who[0], &self.names, start, n, asked, &self.ahead):
            self.failed = True
            return -1
        if find_words(&self.requester_of, asked, n, found):
            return 0
        for k in range(n):
            principal = asked[k]
            if words_fill(&self.requester_of, principal, NO_ID):
                self.failed = True
                return -1
            found[k] = self.requester_of.data[principal]
            if found[k] == NO_ID:
                found[k] = self._new_requester(who, management, start + k)
                if found[k] == NO_ID:
                    return -1
                self.requester_of.data[principal] = found[k]
        return 0

    cdef int _start_batch(self, ColumnData** who, const uint8_t* management,
                          ColumnData* owners) noexcept nogil:
        """What all rows of a call have in common."""
        cdef uint32_t[4] rest
        cdef int j
        rest[3] = 0
        self.is_rest_constant = management == NULL
        for j in range(3):
            self.is_rest_constant = (self.is_rest_constant and who[j + 1].kind == COLUMN_CONSTANT
                                     and who[j + 1].instead == NULL)
            rest[j] = who[j + 1].constant
        if self.is_rest_constant and memcmp(rest, self.requester_rest, sizeof(rest)) != 0:
            memcpy(self.requester_rest, rest, sizeof(rest))
            self.requester_of.count = 0
        self.is_owner_constant = owners.kind == COLUMN_CONSTANT and owners.instead == NULL
        if self.is_owner_constant and owners.constant != self.side_owner:
            self.side_owner = owners.constant
            self.side_of.count = 0
        return 0

    cdef uint32_t _new_requester(self, ColumnData** who, const uint8_t* management,
                                 size_t i) noexcept nogil:
        """Number of the requester of row i, by all that may tell requesters apart; NO_ID on failure."""
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
        if number * REQUESTER_WORDS >= self.requesters.count and self._fill_requester(ids):
            return NO_ID
        return number

    cdef uint32_t _side(self, uint32_t resource, ColumnData* owners, size_t i) noexcept nogil:
        """Number of the side of a resource, whose owner row i tells; NO_ID on failure."""
        cdef uint32_t owner = column_value(owners, &self.names, i), number
        if owner == NO_ID:
            self.failed = True
            return NO_ID
        if not self.is_owner_constant:
            number = pairs_get(&self.side_pairs, resource, owner)
            return number if number != NO_ID else self._new_side(resource, owner)
        if words_fill(&self.side_of, resource, NO_ID):
            self.failed = True
            return NO_ID
        number = self.side_of.data[resource]
        if number == NO_ID:
            number = self.side_of.data[resource] = self._new_side(resource, owner)
        return number

    cdef uint32_t _new_side(self, uint32_t resource, uint32_t owner) noexcept nogil:
        """`_side` by resource and owner. What is no resource (RES-12) has a side without a kind."""
        cdef uint32_t shape = NO_ID, number = NO_ID
        cdef const uint8_t* text
        cdef size_t start, length
        if resource >= FIRST_ID:
            start = <size_t>self.resources.texts.ends[resource - 1]
            text = self.resources.texts.arena + start
            length = <size_t>self.resources.texts.ends[resource] - start
            if not is_resource(text, length):
                return self._side_of_none()
            if self._find_shape(text, length, place_of_resource(text, length), &shape):
                return NO_ID
        if shape != NO_ID:
            number = pairs_get(&self.shape_pairs, shape, owner)
        if number == NO_ID:
            number = <uint32_t>self.side_kind.count
            if self._fill_side(resource, owner, shape):
                return NO_ID
            if shape != NO_ID and pairs_put(&self.shape_pairs, shape, owner, number):
                self.failed = True
                return NO_ID
        if not self.is_owner_constant and pairs_put(&self.side_pairs, resource, owner, number):
            self.failed = True
            return NO_ID
        return number

    cdef int _find_shape(self, const uint8_t* text, size_t length, size_t place,
                         uint32_t* found) noexcept nogil:
        """What a resource begins with, as short as tells its side; NO_ID if nothing does.

        place : length of its place; 0 for a text without one, which has no shape
        """
        cdef size_t size = place
        cdef uint32_t shape
        cdef int turn
        found[0] = NO_ID
        for turn in range(2):
            if turn and size:
                size = kind_length(text, length, place)
            if size == 0:
                return 0
            shape = intern_add(&self.shapes, text, size)
            if shape == NO_ID:
                self.failed = True
                return -1
            if (shape >= self.shape_state.count or self.shape_state.data[shape] == NO_ID
                    ) and self._fill_shape(shape):
                return -1
            if self.shape_state.data[shape] == SHAPE_EXCEPTIONS:
                if intern_find(&self.exceptions, text, length) == NO_ID:
                    found[0] = shape
                return 0
            if self.shape_state.data[shape] == SHAPE_UNIFORM:
                found[0] = shape
                return 0
        return 0

    cdef uint32_t _side_of_none(self) noexcept nogil:
        if self.invalid_side == NO_ID:
            if (words_reserve(&self.sides, SIDE_WORDS) or words_reserve(&self.side_kind, 1)
                    or words_reserve(&self.side_row, 1)):
                self.failed = True
                return NO_ID
            self.invalid_side = <uint32_t>self.side_kind.count
            memset(self.sides.data + self.sides.count, 0, sizeof(Side))
            self.sides.count += SIDE_WORDS
            self.side_row.data[self.side_row.count] = 0
            self.side_row.count += 1
            self.side_kind.data[self.side_kind.count] = NO_ID
            self.side_kind.count += 1
        return self.invalid_side

    cdef int _find_endpoints(self, uint32_t* found, ColumnData** keys, size_t start,
                             size_t n) noexcept nogil:
        """Value ids of `aws:SourceVpce`, whose bundles are known then."""
        cdef uint32_t[256] bundle
        cdef size_t k
        if not self.has_endpoints:
            for k in range(n):
                found[k] = ABSENT_ID
            return self._fill_endpoint(ABSENT_ID) if self.endpoint_bundle.count == 0 else 0
        if column_ids(keys[self.key_endpoint], &self.key_tables[self.key_endpoint], start, n,
                      found, &self.ahead):
            self.failed = True
            return -1
        if find_words(&self.endpoint_bundle, found, n, bundle):
            return 0
        for k in range(n):
            if found[k] < self.endpoint_bundle.count and (
                    self.endpoint_bundle.data[found[k]] != NO_ID):
                continue
            if self._fill_endpoint(found[k]):
                return -1
        return 0

    cdef uint32_t _levels(self, uint32_t element, uint32_t requester, ColumnData** keys,
                          size_t i) noexcept nogil:
        """Levels at which a principal element matches: must | may << 8; NO_ID on failure."""
        cdef uint32_t[4] asked
        cdef uint32_t memo, masks
        if not self.element_reads[element]:
            masks = pairs_get(&self.plain_levels, element, requester)
            if masks != NO_ID:
                return masks
        asked[0] = element
        asked[1] = requester
        asked[2] = asked[3] = 0
        if not self.element_reads[element]:
            masks = self._fill_levels(asked)
            if masks == NO_ID or pairs_put(&self.plain_levels, element, requester, masks):
                self.failed = True
                return NO_ID
            return masks
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
        if words_fill(&self.level_masks, memo, NO_ID):
            self.failed = True
            return NO_ID
        masks = self.level_masks.data[memo]
        if masks == NO_ID:
            masks = self.level_masks.data[memo] = self._fill_levels(asked)
        return masks

    cdef uint32_t _assumed(self, ColumnData** keys, size_t i) noexcept nogil:
        """EVAL-52: may the root user of row i be one of AssumeRoot? Bit 0: may not, bit 1: may."""
        cdef uint32_t value
        if self.key_assumed_root == NO_ID:
            return 1
        value = column_value(keys[self.key_assumed_root], &self.key_tables[self.key_assumed_root], i)
        if value == NO_ID:
            self.failed = True
            return NO_ID
        if value >= self.assumed.count or self.assumed.data[value] == 0:
            if self._fill_assumed(value):
                return NO_ID
        return self.assumed.data[value]

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
        self.derived_from.data[number] = <uint32_t>which << 30 | <uint32_t>words.count
        words.data[words.count] = number
        words.count += 1
        return 0

    def name_id(self, bytes text):
        """Id of a principal, an issuer, an account or a type."""
        return self._interned(&self.names, text)

    cdef size_t _used(self) noexcept nogil:
        cdef size_t words = (
            self.requesters.capacity + self.requester_values.capacity + self.sides.capacity
            + self.side_values.capacity + self.endpoint_bundle.capacity
            + self.endpoint_values.capacity + self.assumed.capacity + self.level_masks.capacity
            + self.requester_of.capacity + self.side_of.capacity + self.shape_state.capacity
            + self.side_kind.capacity + self.requester_row.capacity + self.side_row.capacity)
        return (ListsEngine._used(self) + 4 * words + intern_bytes(&self.names)
                + intern_bytes(&self.requester_table) + pairs_bytes(&self.side_pairs)
                + intern_bytes(&self.shapes) + pairs_bytes(&self.shape_pairs)
                + intern_bytes(&self.exceptions) + intern_bytes(&self.kinds)
                + intern_bytes(&self.level_table) + pairs_bytes(&self.plain_levels))

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        ListsEngine.clear(self)
        intern_clear(&self.names)
        intern_clear(&self.requester_table)
        pairs_clear(&self.side_pairs)
        intern_clear(&self.shapes)
        intern_clear(&self.exceptions)
        pairs_clear(&self.shape_pairs)
        intern_clear(&self.kinds)
        intern_clear(&self.level_table)
        pairs_clear(&self.plain_levels)
        self._start()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            **ListsEngine.counts(self),
            "requesters": self.requesters.count // REQUESTER_WORDS,
            "sides": self.side_kind.count,
        }


cdef inline bint find_kept(Asked* asked, const uint64_t* known, const int32_t* codes,
                           size_t n) noexcept nogil:
    """Sides and resources of codes that were all met before; False where one was not."""
    cdef size_t k
    cdef bint is_missing = False
    for k in range(n):
        asked.side[k] = <uint32_t>(known[codes[k]] >> 32)
        asked.resource[k] = <uint32_t>known[codes[k]]
        is_missing |= asked.side[k] == NO_ID
    return not is_missing


cdef inline bint is_plain(const ColumnData* column) noexcept nogil:
    """Codes alone say what a row holds."""
    return column.kind == COLUMN_CODES and column.instead == NULL and column.validity == NULL
