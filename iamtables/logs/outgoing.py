"""Rows on their way out, and when what they tell of names and sessions becomes known.

Some records tell what others leave open: the path of a role, the tags of a session. Reading logs,
whatever the records of a batch and of those before it tell is known when the batch is built. Rows
from a cache come in other pieces, so such batches are counted off here as *epochs*: one ends where
reading the logs would hand out a batch. A row is built when the records of its own epoch have told
what they know, and those of the next have not, wherever it comes from. Portions of a cache run on
over epochs as long as nothing that is told in between could make a difference to them.
"""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .batch import KeyPlan, Rows
from .classes import Outcome
from .columns import Int32Array
from .names import Names
from .sessions import Session, Sessions
from .stored import StoredTables
from .tables import CallerTable, CallTable

_NO_ROW = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that lead into these tables."""

    rows: Rows
    files: list[str]
    callers: CallerTable
    calls: CallTable
    plans: list[KeyPlan]
    stored: StoredTables | None = None
    """The tables once more, where they are of a cache: whole, and the same to all its portions."""

    def __len__(self) -> int:
        return len(self.rows.call)

    def part(self, begin: int, end: int) -> Portion:
        if begin == 0 and end == len(self):
            return self
        return replace(self, rows=self.rows.part(begin, end))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A portion of a cache.

    ends     : rows at which reading the logs would have looked whether a batch is full
    sessions : (row, the sessions that began there)
    """

    portion: Portion
    ends: Sequence[int]
    sessions: Sequence[tuple[int, Mapping[str, Session]]]


class Outgoing:
    """Keeps the portions of the epoch that goes on. Bounded by the records of an epoch."""

    def __init__(self, batch_records: int, names: Names, sessions: Sessions) -> None:
        self._batch_records = batch_records
        self._names, self._sessions = names, sessions
        self._waiting: list[Portion] = []
        self._held: tuple[Portion, int] | None = None
        """A portion of a cache, and how many of its rows are of epochs that are over: it goes out
        whole, unless what the rest of its last epoch tells makes a difference to those."""
        self.records = 0
        """Of the epoch so far."""
        self._callers: CallerTable | None = None
        self._known_callers = np.zeros(0, dtype=bool)
        """By row of that table: were there records of this caller?"""
        self._principals: Sequence[str | list[str]] = ()
        self._told_principals = np.zeros(0, dtype=bool)
        """By code of those: has a cache told of this principal?"""

    def put(self, portion: Portion) -> None:
        """Rows of this epoch, as they were read."""
        if portion.callers is not self._callers:
            self._callers, self._known_callers = portion.callers, np.zeros(0, dtype=bool)
        for _, arn in told_by(portion, self._new_callers(portion)):
            self._names.learn(arn)
        self._waiting.append(portion)
        self.records += len(portion)

    def _new_callers(self, portion: Portion) -> Int32Array:
        """The callers of the rows that were in no row of the same table before: names that were
        learnt need not be learnt again."""
        more = len(portion.callers) - len(self._known_callers)
        self._known_callers = np.concatenate([self._known_callers, np.zeros(more, dtype=bool)])
        occurs = np.zeros(len(portion.callers), dtype=bool)
        occurs[portion.rows.caller] = True
        new = np.flatnonzero(occurs & ~self._known_callers).astype(np.int32)
        self._known_callers[new] = True
        return new

    def _telling_callers(self, portion: Portion) -> Int32Array:
        """The callers of a cache whose principals were in no segment before."""
        values = portion.callers.principals.values
        if values is not self._principals:
            self._principals, self._told_principals = values, np.zeros(0, dtype=bool)
        more = len(values) - len(self._told_principals)
        self._told_principals = np.concatenate([self._told_principals, np.zeros(more, dtype=bool)])
        assert portion.stored is not None
        principal = portion.stored.callers.codes.whole("principal")
        new = np.flatnonzero(principal >= 0)
        new = new[~self._told_principals[principal[new]]]
        if len(new):
            occurs = np.zeros(len(principal), dtype=bool)
            occurs[portion.rows.caller] = True
            new = new[occurs[new]]
            self._told_principals[principal[new]] = True
        return new.astype(np.int32)

    def end(self) -> Iterator[list[Portion]]:
        """The epoch is over: all that waits, if anything does. Of portions that are given together
        corrections and duplicates are found as in one."""
        waiting, self._waiting, self.records = self._waiting, [], 0
        if waiting:
            yield waiting

    def release(self) -> Iterator[list[Portion]]:
        """What of the last portion of a cache is of epochs that are over: before anything else is
        learnt but from a cache."""
        if self._held is not None:
            (portion, over), self._held = self._held, None
            yield [portion.part(0, over)]
            self._waiting.append(portion.part(over, len(portion)))

    def put_loaded(self, loaded: Loaded) -> Iterator[list[Portion]]:
        """Rows of this epoch and of those after it; gives what can be handed out, which has to be
        built before more is asked for. In the end `release` gives what was held back."""
        portion = loaded.portion
        with uncollected():
            told = _Told(loaded, told_by(portion, self._telling_callers(portion)), self._names,
                         self._sessions)
        ends = self._epochs(loaded.ends)
        if self._held is not None and (
                not ends or told.matters(0, ends[0], self._held[0].stored)):
            yield from self.release()
        begin = at = 0
        for end in (*ends, len(portion)):
            if begin < at and told.matters(at, end, portion.stored):
                yield [portion.part(begin, at)]
                begin = at
            told.learn(at, end)
            if self._held is not None:
                whole, self._held = self._held[0], None
                yield [whole]
            if self._waiting and end in ends[:1]:
                if portion.rows.corrects or any(part.rows.corrects for part in self._waiting):
                    self._waiting.append(portion.part(begin, end))
                    begin = end
                yield from self.end()
            at = end
        last = ends[-1] if ends else 0
        self.records = len(portion) - last + (0 if ends else self.records)
        if begin < last < len(portion) and not portion.rows.corrects:
            self._held = portion.part(begin, len(portion)), last - begin
            return
        if begin < last:
            yield [portion.part(begin, last)]
            begin = last
        if begin < len(portion):
            self._waiting.append(portion.part(begin, len(portion)))

    def _epochs(self, ends: Sequence[int]) -> list[int]:
        """At which of these rows an epoch ends."""
        found: list[int] = []
        count, before = self.records, 0
        for end in ends:
            count += end - before
            before = end
            if count >= self._batch_records:
                found.append(end)
                count = 0
        return found


class _Told:
    """What the rows of a portion tell that is not known yet, by row."""

    def __init__(self, loaded: Loaded, told: list[tuple[int, str]], names: Names,
                 sessions: Sessions) -> None:
        """told : by row, the ARNs that may be new"""
        self._portion, self._sessions_of = loaded.portion, loaded.sessions
        self._names, self._sessions = names, sessions
        self._arns = sorted(names.news(told))
        self._rows = [row for row, _, _ in self._arns]
        self._asks_sessions = any(plan.kind == "session" for plan in loaded.portion.plans)
        self._corrects = loaded.portion.rows.corrects

    def matters(self, begin: int, end: int, before: StoredTables | None) -> bool:
        """Would what these rows tell change anything of the rows before them, which are of these
        tables?"""
        if any(begin <= row < end for row in self._corrects):
            return True  # what has been handed out, they cannot replace
        if self._asks_sessions and any(
                self._sessions.are_new(found) for row, found in self._sessions_of
                if begin <= row < end):
            return True
        patterns = {pattern for _, pattern, arn in self._within(begin, end)
                    if self._names.is_news(pattern, arn)}
        assert before is not None
        return bool(patterns) and before.are_open(patterns)

    def _within(self, begin: int, end: int) -> list[tuple[int, str, str]]:
        return self._arns[bisect_left(self._rows, begin) : bisect_left(self._rows, end)]

    def learn(self, begin: int, end: int) -> None:
        self._names.learn_all(self._within(begin, end))
        is_last = end == len(self._portion)
        for row, found in self._sessions_of:
            if begin <= row < end or (is_last and row >= end):
                self._sessions.restore(found)


def told_by(portion: Portion, of_callers: Int32Array) -> list[tuple[int, str]]:
    """(first row, ARN) of what the records tell of names: who calls, and what was created.

    of_callers : the callers that tell, each of some row
    """
    rows, callers, calls = portion.rows, portion.callers, portion.calls
    count = len(rows.call)
    found: dict[str, int] = {}
    if len(of_callers):
        first = _first_rows(rows.caller, len(callers))
        _note(found, callers.codes.take("principal", of_callers), first[of_callers],
              callers.principals.values)
    is_creation = np.array(
        [*(str(action).startswith("iam:Create") for action in calls.actions.values), False])
    if is_creation.any():
        first = _first_rows(rows.call, len(calls))
        used = np.flatnonzero(first < count)
        used = used[calls.codes.take("outcome", used) == Outcome.PASSED]
        counts = calls.codes.take("member_count", used)
        ends = np.cumsum(counts, dtype=np.int64)
        member = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
            calls.codes.take("first_member", used) - (ends - counts), counts)
        at = np.repeat(first[used], counts)
        makes = is_creation[calls.members.take("action", member)]
        _note(found, calls.members.take("resource", member[makes]), at[makes],
              calls.resources.values)
    return [(row, arn) for arn, row in found.items()]


def _first_rows(codes: Int32Array, size: int) -> NDArray[np.int64]:
    """Where each code occurs first; beyond the end where it does not."""
    first = np.full(size, len(codes), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def _note(found: dict[str, int], codes: Int32Array, rows: NDArray[np.int64],
          values: Sequence[str | list[str]]) -> None:
    """The first row of each distinct value."""
    first = np.full(len(values), _NO_ROW)
    is_told = codes >= 0
    np.minimum.at(first, codes[is_told], rows[is_told])
    used = np.flatnonzero(first < _NO_ROW)
    used = used[np.argsort(-first[used], kind="stable")]  # the first row of equal texts comes last
    later = found.copy()
    found |= zip([str(values[code]) for code in used.tolist()], first[used].tolist(), strict=True)
    found |= {arn: row for arn, row in later.items() if row < found[arn]}


@contextmanager
def uncollected() -> Iterator[None]:
    """Without a search for garbage: thousands of texts are made at once, and none of it is."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()
