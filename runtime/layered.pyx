"""The batch loop when several policy layers meet: columns of requests in, decision and layer out.

Who asks, what for and through what is looked up (runtime/sides.pyx), and so is what that question
of that requester comes to (runtime/records.pyx). Most rows end there; the others are settled by
what else they hang on (runtime/opened.pyx).

In a large organization every one of these look-ups misses the caches of the processor. So a block of
rows takes each step together, and each step asks early for what the next will read.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .column cimport BoundColumn, ColumnData
from .engine cimport ERROR_ACTION, ERROR_PRINCIPAL, ERROR_RESOURCE, UNDETERMINED
from .grids cimport Grid, grid_at, grid_places, grid_put
from .intern cimport ABSENT_ID, NO_ID
from .lists cimport ACTION_ERROR
from .opened cimport Batch, OpenedEngine, Row, put_word, word_of
from .outcomes cimport Facts
from .pairs cimport PairSlot, PairTable, pair_of, pair_slot, pairs_find, pairs_get
from .prefetch cimport prefetch
from .records cimport (
    MOST_QUESTIONS,
    NEAR_CROSSINGS,
    OFFSET_MASK,
    OUTCOME_ERROR,
    OUTCOME_OPEN,
    OUTCOME_SHIFT,
    SLOT_SETS,
    Request,
    near_place,
)
from .sides cimport BLOCK, Asked
from .words cimport Words


cdef enum:
    SMALL_SHIFT = 3         # a grid with an eighth of the cells that it may have is small


cdef class LayeredEngine(OpenedEngine):
    """Decides rows over a table with several layers."""

    # --- the steps of a block

    cdef int _find_questions(self, Batch* batch, size_t start, size_t n) noexcept nogil:
        """What rows start..start + n name, and their questions, as far as they are valid."""
        cdef Asked* asked = &self.asked
        cdef PairTable slots
        cdef Words near
        cdef uint32_t crossing, question
        cdef size_t k, at
        if self._look_up(asked, batch.who, batch.management, batch.actions, batch.resources,
                         batch.owners, batch.keys, start, n):
            return -1
        if not self.has_endpoints and self.answers.is_full == 0 and self._near_questions(n):
            return 0
        slots = self.record_slots
        near = self.near
        for k in range(n):
            crossing = self.side_kind.data[asked.side[k]]
            if self.has_endpoints and crossing != NO_ID:
                crossing = self._number(&self.crossings, crossing,
                                        self.endpoint_bundle.data[asked.endpoint[k]])
            question = NO_ID
            at = near_place(asked.action[k], crossing)
            if crossing < NEAR_CROSSINGS and at < near.count:
                question = near.data[at] - 1
            elif crossing != NO_ID:
                question = pairs_get(&self.questions, asked.action[k], crossing)
            if question == NO_ID:
                question = self._new_question(batch, asked.action[k], crossing, start + k)
                if self.failed:
                    return -1
                near = self.near
            self.question[k] = question
            if self.answers.is_full:
                prefetch(pair_slot(&slots, pair_of(asked.requester[k], question)))
        return 0

    cdef bint _near_questions(self, size_t n) noexcept nogil:
        """Questions of the first n rows of the block, if all are found by their place: then no branch
        hangs on data, and the processor waits for many rows at a time."""
        cdef const uint32_t* kinds = self.side_kind.data
        cdef const uint32_t* near = self.near.data
        cdef size_t count = self.near.count, at, k
        cdef uint32_t crossing
        cdef bint is_near, is_missing = count == 0
        if is_missing:
            return False
        for k in range(n):
            crossing = kinds[self.asked.side[k]]
            at = near_place(self.asked.action[k], crossing)
            is_near = (crossing < NEAR_CROSSINGS) & (at < count)
            self.question[k] = near[at * <size_t>is_near] - 1  # the first place is empty
            is_missing |= self.question[k] == NO_ID
        return not is_missing

    cdef uint32_t _new_question(self, Batch* batch, uint32_t action, uint32_t crossing,
                                size_t i) noexcept nogil:
        """Number of a question that is put for the first time; NO_ID if row i is an error."""
        cdef uint32_t flags = self._action_flags(action)
        if self.failed:
            return NO_ID
        if flags & ACTION_ERROR:
            batch.error[i] = ERROR_ACTION
        elif crossing == NO_ID:
            batch.error[i] = ERROR_RESOURCE
        else:
            return self._question(action, crossing)
        return NO_ID

    cdef size_t _find_records(self, Batch* batch, size_t start, size_t n, bint is_settled,
                              size_t* taken) noexcept nogil:
        """Write what records are sure of; the number of rows that are left.

        is_settled : a sure outcome is enough; otherwise every row is settled by its record
        taken      : rows that were looked at, fewer than n when records have outgrown their limit
        """
        # Copies, since a byte written to an output might be anything's for all the compiler knows.
        cdef PairTable slots = self.record_slots
        cdef Grid answers = self.answers
        cdef Batch out = batch[0]
        cdef Row* row = self.rows
        cdef size_t k, left, stop = n
        cdef uint64_t word
        cdef uint32_t outcome
        cdef bint is_left, is_by_place = is_settled and out.others == NULL
        cdef PairSlot* slot
        cdef uint16_t[256] numbers
        cdef uint8_t[256] open
        cdef uint32_t[256] places, records
        if not is_by_place:
            memset(numbers, 0, sizeof(numbers))
        else:
            grid_places(&answers, self.asked.requester, self.question, n, places)
            if (self._write_answers(batch, start, n, places, open, records, &left)
                    or (self._meet_missing(n, places)
                        and self._write_answers(batch, start, n, places, open, records, &left))):
                taken[0] = n
                self._open_rows(start, open, records, left)
                self._name_rows(left)
                return left
            if self.failed:
                return 0
            slots = self.record_slots
            answers = self.answers  # whose cells may have moved
            grid_places(&answers, self.asked.requester, self.question, n, places)
            grid_at(&answers, places, n, numbers)
        for k in range(n):
            if k == stop:
                break
            if numbers[k]:
                word = answers.words[numbers[k]]
            else:
                if self.question[k] == NO_ID:
                    out.decision[start + k] = UNDETERMINED
                    out.layer[start + k] = 0
                    out.statement[start + k] = -1
                    batch.errors += 1
                    continue
                slot = pairs_find(&slots, pair_of(self.asked.requester[k], self.question[k]))
                if slot.value == NO_ID:
                    slot = self._meet(k, &self.record_slots)
                    if slot == NULL:
                        return 0
                    slots = self.record_slots
                    if self.records.count > self.record_limit:
                        stop = k + 1
                word = word_of(slot)
                if slot.value >> OUTCOME_SHIFT == OUTCOME_ERROR:
                    put_word(&out, start + k, word)
                    out.error[start + k] = ERROR_PRINCIPAL
                    out.layer[start + k] = 0
                    batch.errors += 1
                    continue
                if is_by_place and not answers.is_full:
                    self._keep_answer(k, word)
                    answers = self.answers
            put_word(&out, start + k, word)
            outcome = <uint32_t>word >> OUTCOME_SHIFT
            # Whether a row is open is nothing a branch predictor could know.
            row.i = start + k
            row.k = k
            row.record = <uint32_t>word & OFFSET_MASK
            row.is_classified = <uint32_t>word & SLOT_SETS
            is_left = outcome == OUTCOME_OPEN
            if not is_settled or (out.others != NULL and out.others[start + k]):
                is_left = True
            row += is_left
        taken[0] = stop
        left = row - self.rows
        self._name_rows(left)
        return left

    cdef bint _write_answers(self, Batch* batch, size_t start, size_t n, const uint32_t* places,
                             uint8_t* open, uint32_t* records, size_t* left) noexcept nogil:
        """Write the answers in n cells of the grid; False where a cell is empty, and all rows of the
        block have still to be written.

        open, records : which rows they leave open, and the low halves of the words that do; `left`
                        of them
        """
        cdef Batch out = batch[0]
        cdef const uint64_t* words = self.answers.words
        cdef const uint16_t* cells = self.answers.cells
        cdef size_t k, count = 0
        cdef bint is_missing = cells == NULL or words == NULL
        cdef uint64_t word
        if is_missing:
            return False
        for k in range(n):
            is_missing |= cells[places[k]] == 0
            word = words[cells[places[k]]]
            put_word(&out, start + k, word)
            # Whether a row is open is nothing a branch predictor could know.
            open[count] = <uint8_t>k
            records[count] = <uint32_t>word
            count += <uint32_t>word >> OUTCOME_SHIFT == OUTCOME_OPEN
        left[0] = count
        return not is_missing

    cdef bint _find_by_codes(self, Batch* batch, size_t start, size_t n,
                             size_t* left) noexcept nogil:
        """Write what dictionary codes lead to by their place; False where a code of rows
        start..start + n does not, and all of them have still to be written.

        left : the rows that their answers leave open
        """
        cdef ColumnData* principals = batch.who[0]
        cdef uint32_t[256] places, records, hangs
        cdef uint8_t[256] open
        cdef size_t k, count
        if (not self._find_cells(batch.actions, principals, batch.resources, start, n, places)
                or not self._write_answers(batch, start, n, places, open, records, &count)):
            return False
        self.placed_rows += n
        count = self._drop_narrowed(batch, start, open, records, hangs, count)
        if self.is_narrowed:
            count = self._settle_plain(batch, start, open, records, hangs, count)
        self._open_rows(start, open, records, count)
        for k in range(count):
            prefetch(self.records.data + self.rows[k].record)
            prefetch(self.records.data + self.rows[k].record + 16)
            self.asked.endpoint[open[k]] = ABSENT_ID
            if self._look_up_open(principals, batch.resources, batch.owners, start, open[k]):
                break
        self._name_rows(count)
        left[0] = count
        return True

    cdef void _keep_answer(self, size_t k, uint64_t word) noexcept nogil:
        """Let what row k of the block comes to be found by its place. A record is read only where it
        leaves something open: many that do not are one word."""
        if <uint32_t>word >> OUTCOME_SHIFT != OUTCOME_OPEN:
            word &= ~<uint64_t>(OFFSET_MASK | SLOT_SETS)
        grid_put(&self.answers, self.asked.requester[k], self.question[k], word)

    cdef bint _meet_missing(self, size_t n, uint32_t* places) noexcept nogil:
        """Find the answers of the first n rows of the block whose cells are empty, so that all can be
        written in one go; False where a row has to be looked at by itself.

        While their grid is small, answers are kept nowhere else: should it give up, they are found
        out again.

        places : of the cells, which hold no longer where this is False
        """
        cdef uint16_t[256] numbers
        cdef PairSlot* slot
        cdef uint32_t requester, question, place
        cdef uint16_t number
        cdef size_t k
        grid_at(&self.answers, places, n, numbers)
        for k in range(n):
            requester = self.asked.requester[k]
            if numbers[k] == 0 and self.question[k] != NO_ID and (
                    self._asking(requester).bundle != NO_ID):
                self._near_list(self.asked.action[k], self._asking(requester).bundle)
        for k in range(n):
            if numbers[k]:
                continue
            requester, question = self.asked.requester[k], self.question[k]
            grid_places(&self.answers, &requester, &question, 1, &place)
            grid_at(&self.answers, &place, 1, &number)
            if number:
                continue
            if (question == NO_ID or self.answers.is_full
                    or self._asking(requester).bundle == NO_ID
                    or self.records.count > self.record_limit):
                return False
            slot = NULL
            if self.answers.rows << self.answers.bits > self.answers.limit >> SMALL_SHIFT:
                slot = pairs_find(&self.record_slots, pair_of(requester, question))
                if slot.value == NO_ID:
                    slot = self._meet(k, &self.record_slots)
            else:
                slot = self._meet(k, NULL)
            if slot == NULL:
                return False
            self._keep_answer(k, word_of(slot))
        grid_places(&self.answers, self.asked.requester, self.question, n, places)
        return True

    cdef PairSlot* _meet(self, size_t k, PairTable* slots) noexcept nogil:
        """Slot of the record of row k of the block, which is made (`_make_record`); NULL on failure."""
        cdef Request at
        at.action = self.asked.action[k]
        at.requester = self.asked.requester[k]
        at.side = self.asked.side[k]
        at.endpoint = self.asked.endpoint[k]
        return self._make_record(&at, self.question[k], slots)

    cdef int _decide_block(self, Batch* batch, size_t start, size_t stop) noexcept nogil:
        """Rows start..stop, at most BLOCK. A block of one row leaves behind what `last_row` says."""
        cdef bint is_one = stop - start == 1
        cdef size_t taken, left, k
        self.last_is_service = False
        while start < stop:
            if self._is_full() or self.questions.count > MOST_QUESTIONS:
                self._forget_records()
            taken = stop - start
            self.is_narrowed = False
            if not batch.is_by_code or not self._find_by_codes(batch, start, taken, &left):
                if self._find_questions(batch, start, stop - start):
                    return -1
                left = self._find_records(batch, start, stop - start, not is_one, &taken)
                if batch.is_by_code and not self.failed and self._keep_places(
                        batch.actions, batch.who[0], batch.resources, start, taken):
                    self.failed = True
            if self.failed:
                return -1
            if self._find_resources(batch, left, is_one):
                self.failed = True
                return -1
            if is_one:
                for k in range(left):
                    if self._settle(batch, self.rows + k, True):
                        return -1
            else:
                if not self.is_narrowed:
                    left = self._find_narrowed(batch, left)
                for k in range(left):
                    self._fetch(batch, self.rows + k)
                if self.failed or self._settle_by_states(batch, left):
                    return -1
            start += taken
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
                     derives: constants of their own, or `set_instead` tells in which rows
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
                batch.is_by_code = (stop - start > 1 and batch.others == NULL
                                    and self._start_places(&actions.c, asking[0], &resources.c))
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
