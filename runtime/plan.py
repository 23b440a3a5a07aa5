"""What the engine asks once per distinct thing: the cell of an action, a predicate on a value.

A cell answers (action, principal class): a constant decision, or a list of the statements that the
resource and the conditions still decide. Lists are reduced, exactly and for both readings of
unknowns: an entry is absorbed only by one that matches at least as surely whatever the request.
Denies stay even where no Allow is left, because an explicit and an implicit denial differ.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import codes
from .action_sets import ActionSets
from .codes import CELL_UNKNOWN, CELL_YES, NO_ID, DecisionCode, Effect, RowError, State
from .conditions import UNKNOWN, Predicate, Value
from .equalities import Equalities
from .filled import FilledPatterns
from .globs import GlobSet
from .kept import Kept, is_keepable
from .model import TableModel
from .plan_facts import constant_sets_of, dependents_of, engine_facts, inverse_of
from .resources import ResourceSets
from .values import decode_text, decode_value, encode_text

SET_ANY = 0xFFFFFFFF
SET_UNREADABLE = 0xFFFFFFFE
ENTRY_UNKNOWN = 0x10000
_SUBSET_LIMIT = 4
_MOST_STATES = 1 << 23
"""Bytes of the states of conditions that a table keeps, and of what is kept with them."""
_MOST_FILLED = 4096
"""Tests with variables that a table keeps, filled in: few requesters ask for many things."""
_MOST_CELLS, _LONGEST_CELL = 1024, 128
"""Cells that a table keeps, and the words of the longest of them: each session asks for those of
its actions again, and an audit twice."""

UInt32Array = NDArray[np.uint32]
UInt8Array = NDArray[np.uint8]


class Entry(NamedTuple):
    """A statement as a list holds it. `set_id` may be SET_ANY or SET_UNREADABLE."""

    statement: int
    set_id: int
    is_unknown: bool
    tests: tuple[int, ...]


Cell = tuple[int, int, tuple[int, ...] | None]
"""(constant decision | error << 8, deciding statement, words); words None for a constant."""


def is_action(text: str) -> bool:
    """ACT-8: `service:Name`, one colon, both sides non-empty, no white space."""
    service, colon, name = text.partition(":")
    return bool(service and colon and name and ":" not in name and text.split() == [text])


class Planner:
    """Shared, read-only (but for memoisation) answers over one table. Safe between threads."""

    def __init__(self, model: TableModel) -> None:
        self.model = model
        self.actions = GlobSet(model.arrays, "action/")
        self.sets = ResourceSets(model)
        self._seed = os.urandom(8)
        self._action_sets = ActionSets(
            self.actions,
            *inverse_of(model["action_set_start"], model["action_set_pattern"],
                        len(model["action/automaton"])),
            model["action_set_negated"],
        )  # fmt: skip
        action_set = model["statement_action_set"].astype(np.int64)
        action_set[action_set == NO_ID] = len(model["action_set_negated"])
        self._statement_action_set = action_set
        self._never = (model["statement_flags"] & codes.FLAG_NEVER) != 0
        self._entries: dict[int, Entry | None] = {}
        self._predicates: dict[int, Predicate] = {}
        self._dependents = dependents_of(model)
        self.facts = engine_facts(model, self._dependents)
        self._equalities = Equalities(model, self.facts)
        widest = max(self.facts.slot_counts, default=0)
        self.states: Kept[tuple[int, object], bytearray] = Kept(
            self._first_states, _MOST_STATES // (256 + widest)
        )
        """(key, encoded value, None or UNKNOWN) -> states of its predicates, by slot, as engines
        have them; 255 where none was asked for that equality does not tell."""
        self._filled: Kept[tuple[object, ...], int | FilledPatterns] = Kept(
            self._fill, _MOST_FILLED
        )
        self._cells: dict[tuple[bytes | None, int], Cell] = {}

    # --- asked by the engine

    def seed(self) -> bytes:
        """Key of the hash tables of every engine over this table."""
        return self._seed

    def cell(self, text: bytes | None, class_id: int) -> Cell:
        """What an action comes to for a principal class; kept, as long as it is short."""
        asked = text, class_id
        found = self._cells.get(asked)
        if found is None:
            found = self._make_cell(text, class_id)
            if is_keepable(asked) and len(found[2] or ()) <= _LONGEST_CELL:
                if len(self._cells) >= _MOST_CELLS:
                    self._cells.clear()
                self._cells[asked] = found
        return found

    def _make_cell(self, text: bytes | None, class_id: int) -> Cell:
        action = None if text is None else decode_text(text)
        if action is None or not is_action(action):
            return int(DecisionCode.UNDETERMINED) | int(RowError.ACTION) << 8, -1, None
        denies: list[Entry] = []
        allows: list[Entry] = []
        for statement in self.candidates(action, class_id):
            entry = self._entry(statement)
            if entry is None:
                continue
            effect = self.model["statement_effect"][statement]
            if effect != Effect.ALLOW:
                denies.append(entry)
            if effect != Effect.DENY:
                allows.append(entry)
        return _cell(reduce_entries(denies), reduce_entries(allows))

    def predicate(self, test: int, value: Value) -> int:
        return int(self.predicate_of(test).evaluate(value, {}))

    def filled(self, dependent: int, values: tuple[object, ...]) -> int | FilledPatterns:
        """State of a test on several columns; for a resource set what says it of each resource, of
        which only patterns with variables are left to verify.

        values : encoded, None or UNKNOWN, in the order of `facts.dependent_key`
        """
        return self._filled[dependent, *values]

    def _fill(self, dependent: int, *values: object) -> int | FilledPatterns:
        """A test on several columns with their values put in: its state, unless the resource has
        part in it."""
        tests, sets, keys_of = self._dependents
        keys = keys_of[dependent]
        if dependent >= len(tests):
            number = sets[dependent - len(tests)]
            return self.sets.filled(number, self._by_key(keys[1:], values))
        by_key = self._by_key(keys, values)
        predicate = self.predicate_of(tests[dependent])
        return int(predicate.evaluate(by_key[predicate.key_id], by_key))

    def _by_key(self, keys: Sequence[int], values: Sequence[object]) -> dict[int, Value]:
        return {
            key: self.decode_value(key, value) if isinstance(value, bytes) else value  # type: ignore[misc]
            for key, value in zip(keys, values, strict=True)
        }

    def _first_states(self, key: int, value: object) -> bytearray:
        decoded = self.decode_value(key, value) if isinstance(value, bytes) else value
        return self._equalities.states(key, decoded)  # type: ignore[arg-type]

    def absent_or_unknown(self, is_unknown: bool) -> Value:
        return UNKNOWN if is_unknown else None

    def decode_value(self, key: int, data: bytes) -> str | tuple[str, ...]:
        return decode_value(data, self.model.keys[key].kind, self.model.keys[key].name)

    @cached_property
    def constant_sets(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool[sets] each: a set is YES, or NO, for all resources (ResourceSets.constant_state)."""
        return constant_sets_of(self.model)

    @cached_property
    def unknown_row(self) -> UInt32Array:
        """Row of the unknown resource: every set it matches surely or could match."""
        always, never = self.constant_sets
        sets = np.flatnonzero(~never).astype(np.uint32)
        cells = np.where(always[sets], CELL_YES, CELL_UNKNOWN)
        return (sets << 2 | cells).astype(np.uint32)

    def tests_of_key(self, key: int) -> list[int] | None:
        """Predicates on a key, by slot; None when a test with variables reads the key as well."""
        if key in self.facts.dependent_key:
            return None
        facts = self.facts
        is_own = (facts.test_key == key) & (facts.test_dependent == NO_ID)
        return [int(t) for t in np.flatnonzero(is_own)]

    # --- shared with explanations

    def action_set_states(self, action: str) -> NDArray[np.bool_]:
        """Which action sets match; one more entry, True, stands for an unreadable element."""
        count = len(self.model["action_set_negated"]) + 1
        states = np.unpackbits(self.action_set_bits(action), count=count, bitorder="little")
        return states.astype(bool)

    def action_set_bits(self, action: str) -> UInt8Array:
        """`action_set_states`, a bit each, lowest first."""
        return self._action_sets.states(encode_text(action.translate(ASCII_LOWER)))

    def candidates(self, action: str, class_id: int) -> list[int]:
        """Statements of a principal class whose action matches or could match, in order."""
        start, stop = self.model["class_start"][class_id : class_id + 2]
        statements = self.model["class_statement"][start:stop]
        states = self.action_set_states(action)[self._statement_action_set[statements]]
        return [int(s) for s in statements[states & ~self._never[statements]]]

    def predicate_of(self, test: int) -> Predicate:
        known = self._predicates.get(test)
        if known is None:
            model = self.model
            start, stop = model["predicate_value_start"][test : test + 2]
            known = self._predicates[test] = Predicate(
                int(model["predicate_set_operator"][test]),
                int(model["predicate_base"][test]),
                bool(model["predicate_if_exists"][test]),
                int(model["predicate_key"][test]),
                [model.glyphs(int(q)) for q in model["predicate_value"][start:stop]],
                model.variables,
                model.options,
            )
        return known

    # --- construction

    def _entry(self, statement: int) -> Entry | None:
        """How a statement stands in lists; None when it can never match."""
        if statement in self._entries:
            return self._entries[statement]
        model = self.model
        start, stop = model["statement_predicate_start"][statement : statement + 2]
        tests = tuple(sorted({int(t) for t in model["statement_predicate"][start:stop]}))
        is_unknown = bool(model["statement_flags"][statement] & codes.FLAG_UNKNOWN)
        set_id = int(model["statement_resource_set"][statement])
        entry: Entry | None
        if set_id == NO_ID:
            entry = Entry(statement, SET_UNREADABLE, is_unknown, tests)
        else:
            always = self.sets.constant_state(set_id)
            if always is State.NO:
                entry = None
            else:
                set_id = SET_ANY if always is State.YES else set_id
                entry = Entry(statement, set_id, is_unknown, tests)
        self._entries[statement] = entry
        return entry


ASCII_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}
"""ACT-1: only ASCII letters fold."""


def reduce_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Entries no other entry absorbs, in order.

    A absorbs B when A's resource set is everything or B's own, A's conditions are among B's, and A
    is only possible (`is_unknown`) if B is: then A matches at least as surely as B, whatever the
    request.
    """
    present: dict[tuple[int, bool, tuple[int, ...]], int] = {}
    for position, entry in enumerate(entries):
        present.setdefault(entry[1:], position)
    return [
        entry
        for position, entry in enumerate(entries)
        if present[entry[1:]] == position and not _is_absorbed(entry, present)
    ]


def _is_absorbed(
    entry: Entry, present: dict[tuple[int, bool, tuple[int, ...]], int]
) -> bool:
    sizes = range(len(entry.tests) + 1) if len(entry.tests) <= _SUBSET_LIMIT else (0,)
    for size in sizes:
        for tests in combinations(entry.tests, size):
            for set_id in {SET_ANY, entry.set_id}:
                for is_unknown in {False, entry.is_unknown}:
                    other = (set_id, is_unknown, tests)
                    if other != entry[1:] and other in present:
                        return True
    return False


def _cell(denies: list[Entry], allows: list[Entry]) -> Cell:
    for entry in denies:
        if entry[1:] == (SET_ANY, False, ()):
            return int(DecisionCode.EXPLICIT_DENY), entry.statement, None
    if not denies:
        if not allows:
            return int(DecisionCode.IMPLICIT_DENY), -1, None
        for entry in allows:
            if entry[1:] == (SET_ANY, False, ()):
                return int(DecisionCode.ALLOW), entry.statement, None
    words = [len(denies), len(allows)]
    for entry in (*denies, *allows):
        flags = ENTRY_UNKNOWN if entry.is_unknown else 0
        words += (entry.statement, entry.set_id, flags | len(entry.tests), *entry.tests)
    return 0, -1, tuple(words)
