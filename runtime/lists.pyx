"""Statements of a layered table: for each (action, bundle) those that the action leaves.

A bundle is the policy sets that one side of a request brings (runtime/sides.pyx). Its list is built once,
in `pool`: a number of entries, each of which names the signal that it gives (runtime/signals.py), the
statement, and what is left to ask of principal, resource and conditions.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from .bits cimport lowest_bit
from .engine cimport ENTRY_UNKNOWN, SET_ANY, Engine
from .globs cimport GlobSet
from .intern cimport (
    FIRST_ID,
    NO_ID,
    intern_add,
    intern_bytes,
    intern_clear,
    intern_free,
    intern_init,
)
from .pairs cimport pairs_bytes, pairs_clear, pairs_free, pairs_get, pairs_init, pairs_put
from .prefetch cimport prefetch
from .words cimport words_fill, words_reserve


cdef enum:
    MOST_OWN_STATEMENTS = 256   # of a bundle whose lists are written again rather than looked up


cdef class ListsEngine(Engine):
    """What actions leave of bundles. `planner` answers `action_facts` once per action."""

    def __init__(self, planner, GlobSet globs, facts, layers):
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
        cdef uint64_t seed
        Engine.__init__(self, planner, globs, facts)
        self.keep = (*self.keep, layers)
        self.class_start = <const uint32_t*><size_t>layers.class_start.ctypes.data
        self.run_start = <const uint32_t*><size_t>layers.run_start.ctypes.data
        self.run = <const uint32_t*><size_t>layers.run.ctypes.data
        self.set_start = <const uint32_t*><size_t>layers.set_start.ctypes.data
        self.set_statement = <const uint32_t*><size_t>layers.set_statement.ctypes.data
        self.set_count = len(layers.set_start) - 1
        self.statement_effect = <const uint8_t*><size_t>layers.statement_effect.ctypes.data
        self.statement_flags = <const uint8_t*><size_t>layers.statement_flags.ctypes.data
        self.statement_resource = <const uint32_t*><size_t>layers.statement_resource.ctypes.data
        self.statement_principal = <const uint32_t*><size_t>layers.statement_principal.ctypes.data
        self.statement_test_start = <const uint32_t*><size_t>layers.statement_test_start.ctypes.data
        self.statement_test = <const uint32_t*><size_t>layers.statement_test.ctypes.data
        self.state_words = (len(layers.statement_effect) + 64) // 64
        self.bundles = {}
        seed = int.from_bytes(planner.seed(), "little")
        if intern_init(&self.list_table, seed + 104) or pairs_init(&self.cells, seed + 105):
            raise MemoryError
        self._start_lists()

    def __dealloc__(self):
        intern_free(&self.list_table)
        pairs_free(&self.cells)
        free(self.bundle_start.data)
        free(self.bundle_row.data)
        free(self.bundle_is_own.data)
        free(self.action_flag.data)
        free(self.action_states.data)
        free(self.states)
        free(self.list_start.data)
        free(self.build.data)

    cdef int _start_lists(self) except -1:
        """Empty caches. Bundle 0 holds nothing."""
        self.bundle_start.count = self.bundle_row.count = self.bundle_is_own.count = 0
        self.action_flag.count = self.action_states.count = 0
        self.states_used = 0
        self.list_start.count = 0
        self.pool.count = 0
        self.bundles.clear()
        if words_reserve(&self.bundle_start, 1):
            raise MemoryError
        self.bundle_start.data[0] = 0
        self.bundle_start.count = 1
        self._bundle(())
        return 0

    cdef uint32_t _bundle(self, tuple rows, bint is_shared=True) except? 0:
        """Id of a bundle of (class, allow, deny, is_open) rows.

        is_shared : not of one requester alone, as far as is known
        """
        cdef uint32_t word
        cdef size_t statements = 0
        known = self.bundles.get(rows)
        if known is not None:
            self.bundle_is_own.data[<size_t>known] = False
            return known
        known = len(self.bundles)
        if (words_reserve(&self.bundle_row, 4 * len(rows)) or words_reserve(&self.bundle_start, 1)
                or words_reserve(&self.bundle_is_own, 1)):
            raise MemoryError
        for row in rows:
            if row[0] >= 0:
                statements += self.class_start[<size_t>row[0] + 1] - self.class_start[<size_t>row[0]]
            for value in row:
                word = NO_ID if value < 0 else <uint32_t>value
                self.bundle_row.data[self.bundle_row.count] = word
                self.bundle_row.count += 1
        self.bundle_start.data[self.bundle_start.count] = <uint32_t>self.bundle_row.count
        self.bundle_start.count += 1
        self.bundle_is_own.data[self.bundle_is_own.count] = (
            not is_shared and statements <= MOST_OWN_STATEMENTS)
        self.bundle_is_own.count += 1
        self.bundles[rows] = known
        return known

    cdef int _fill_action(self, uint32_t action) noexcept with gil:
        cdef size_t size
        cdef void* moved
        try:
            text = None
            if action >= FIRST_ID:
                text = self._text(&self.action_table, action)
            flags, states = self.planner.action_facts[text,]
            if (words_fill(&self.action_flag, action, NO_ID)
                    or words_fill(&self.action_states, action, 0)):
                raise MemoryError
            if states is not None:
                size = self.state_words
                if self.states_used + size > self.states_size:
                    moved = realloc(self.states, 2 * (self.states_used + size) * sizeof(uint64_t))
                    if moved == NULL:
                        raise MemoryError
                    self.states = <uint64_t*>moved
                    self.states_size = 2 * (self.states_used + size)
                self._mark_statements(states, self.states + self.states_used)
                self.action_states.data[action] = <uint32_t>(self.states_used // size)
                self.states_used += size
            self.action_flag.data[action] = flags
            return 0
        except BaseException as error:
            self.error = error
            self.failed = True
            return -1

    cdef int _mark_statements(self, const uint8_t[::1] sets, uint64_t* states) except -1:
        """Set the bits of the statements whose action set matches or could."""
        cdef size_t number, at
        cdef uint32_t statement
        memset(states, 0, self.state_words * sizeof(uint64_t))
        for number in range(self.set_count):
            if number & 7 == 0 and sets[number >> 3] == 0:
                continue
            if sets[number >> 3] >> (number & 7) & 1:
                for at in range(self.set_start[number], self.set_start[number + 1]):
                    statement = self.set_statement[at]
                    states[statement >> 6] |= <uint64_t>1 << (statement & 63)
        return 0

    cdef uint32_t _action_flags(self, uint32_t action) noexcept nogil:
        """What an action is; NO_ID on failure."""
        if (action >= self.action_flag.count or self.action_flag.data[action] == NO_ID
                ) and self._fill_action(action):
            return NO_ID
        return self.action_flag.data[action]

    cdef uint32_t _list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        """Offset of the list of (action, bundle) in the pool; NO_ID on failure."""
        cdef uint32_t words = pairs_get(&self.cells, action, bundle)
        return words if words != NO_ID else self._build_list(action, bundle)

    cdef int _write_list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        """The list of (action, bundle), into `build`."""
        cdef const uint64_t* states
        cdef const uint32_t* row
        cdef size_t r, run, at, stop, size
        cdef uint64_t word
        cdef uint32_t head
        self.build.count = 0
        if words_reserve(&self.build, 1):
            self.failed = True
            return -1
        self.build.data[0] = 0
        self.build.count = 1
        states = self.states + <size_t>self.action_states.data[action] * self.state_words
        for r in range(self.bundle_start.data[bundle], self.bundle_start.data[bundle + 1], 4):
            row = self.bundle_row.data + r
            head = self.build.count
            if row[0] != NO_ID:
                for run in range(self.run_start[row[0]], self.run_start[row[0] + 1]):
                    at, stop = self.run[2 * run], self.run[2 * run + 1]
                    while at < stop:
                        size = min(64 - (at & 63), stop - at)
                        word = states[at >> 6] >> (at & 63)
                        if size < 64:
                            word &= ((<uint64_t>1 << size) - 1)
                        while word:
                            self._put_statement(<uint32_t>at + lowest_bit(word), row[1], row[2],
                                                head)
                            word &= word - 1
                        at += size
            if row[3]:
                self._put_open(row[1], row[2])
            if self.failed:
                return -1
        return 0

    cdef void _near_list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        """Ask early for what `_write_list` will read."""
        cdef const uint64_t* states
        cdef size_t r, run
        cdef uint32_t row
        if not self.bundle_is_own.data[bundle]:
            return
        states = self.states + <size_t>self.action_states.data[action] * self.state_words
        for r in range(self.bundle_start.data[bundle], self.bundle_start.data[bundle + 1], 4):
            row = self.bundle_row.data[r]
            if row != NO_ID:
                for run in range(self.run_start[row], self.run_start[row + 1]):
                    prefetch(states + (self.run[2 * run] >> 6))

    cdef uint32_t _build_list(self, uint32_t action, uint32_t bundle) noexcept nogil:
        cdef size_t size
        cdef uint32_t list_id
        if self._write_list(action, bundle):
            return NO_ID
        size = self.build.count * sizeof(uint32_t)
        list_id = intern_add(&self.list_table, <const uint8_t*>self.build.data, size)
        if list_id == NO_ID:
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
        if pairs_put(&self.cells, action, bundle, self.list_start.data[list_id]):
            self.failed = True
            return NO_ID
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

    # --- doorway

    cdef size_t _used(self) noexcept nogil:
        cdef size_t words = (
            self.bundle_start.capacity + self.bundle_row.capacity + self.bundle_is_own.capacity
            + self.action_flag.capacity + self.action_states.capacity + self.list_start.capacity)
        return (Engine._used(self) + 4 * words + 8 * self.states_size
                + intern_bytes(&self.list_table) + pairs_bytes(&self.cells))

    def clear(self):
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them again."""
        Engine.clear(self)
        intern_clear(&self.list_table)
        pairs_clear(&self.cells)
        self._start_lists()

    def counts(self):
        """Numbers of distinct things seen so far."""
        return {
            **Engine.counts(self),
            "lists": self.list_start.count,
            "cells": self.cells.count,
        }
