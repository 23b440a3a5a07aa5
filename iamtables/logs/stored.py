"""Batches of a cache: records that lead into whole tables of distinct calls and callers.

A record of a cache is a few numbers. Its columns are gathered only when somebody looks at them
(`StoredBatch`), which counting does not: what an audit decides are the distinct *questions* of a
batch, and what it counts are records that are alike, of which one stands for all (`alike`).

A question is what a decision can depend upon: the call, and of the caller as much as policies ask
for. Keys that differ from record to record, such as the time of the call, make no questions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import Batch, Columns, KeyPlan, Resolved, Rows
from .classes import NAMED, NOT_NEEDED, Outcome, RecordClass
from .columns import ABSENT, Coded, Int32Array, packed
from .names import Names
from .numbering import (
    count_pairs,
    firsts_alike,
    number_flagged,
    number_keys,
    numbered_where,
    occurring,
)
from .sessions import Sessions
from .tables import StoredCallers, StoredCalls
from .texts import GrowingTexts, Texts

_NO_IDS = Texts.of([])


class StoredTables:
    """The tables of a segment, all of whose rows are in use, and what follows from them."""

    def __init__(self, callers: StoredCallers, calls: StoredCalls, records: int) -> None:
        """records : how many the segment has, which use every call"""
        self.callers, self.calls, self.records = callers, calls, records
        self._looked_up: tuple[int, LookedUp] | None = None
        self._arns = self._named = np.full(len(calls.nameable), ABSENT, dtype=np.int32)
        """What the patterns stood for when they were looked up last, and `resources_of` then."""

    @cached_property
    def nameable(self) -> tuple[NDArray[np.int64], Int32Array]:
        """(the members of calls whose resource may be told by a name, ascending, their patterns)"""
        members = self.calls.members
        at = np.flatnonzero(members.whole("resource") < 0)
        pattern = members.whole("pattern")[at]
        may_stand = (pattern >= 0) & (pattern < len(self.calls.nameable))
        return at[may_stand], pattern[may_stand]

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """Per member of the calls: does it need a resource and has none?"""
        calls = self.calls
        needs = calls.members.of_kinds("state") != calls.states.code(NOT_NEEDED)
        found: NDArray[np.bool_] = needs.take(calls.members.kind)
        return found & (calls.members.whole("resource") < 0)

    @cached_property
    def _open(self) -> tuple[frozenset[str], frozenset[int]]:
        """(patterns of callers, numbers of those of calls): those that may stand for a name."""
        return (frozenset(map(str, self.callers.patterns.values)),
                frozenset(self.calls.nameable.tolist()))

    def are_open(self, patterns: Collection[str]) -> bool:
        """Is one of these patterns among those that may stand for a name?"""
        of_callers, of_calls = self._open
        return not of_callers.isdisjoint(patterns) or not of_calls.isdisjoint(
            map(self.calls.patterns_of_log.code_of, patterns))

    def looked_up(self, names: Names) -> LookedUp:
        """With the names that are known by now."""
        known = self._looked_up
        if known is None or self.are_open(frozenset(names.changed[known[0] :])):
            found = LookedUp.of(self, names)
        else:
            found = known[1]
        self._looked_up = names.version, found
        return found

    def resources_of(self, names: Names) -> Int32Array:
        """The codes of the resources that patterns stand for which may stand for a name; ABSENT
        where none is known.

        ARNs are added to the resources without a search whether they were there.
        """
        patterns = self.calls.patterns_of_log
        arns = patterns.arns_of(self.calls.nameable, names)
        differ = np.flatnonzero(arns != self._arns)
        if len(differ):
            codes = self._named.copy()
            codes[differ] = ABSENT
            told = differ[arns[differ] >= 0]
            resources = self.calls.resources
            first = resources.extend(patterns.texts_of(arns[told]))
            if isinstance(resources.values, GrowingTexts) and not patterns.are_resources:
                resources.values.are_resources = False
            codes[told] = np.arange(first, first + len(told), dtype=np.int32)
            self._arns, self._named = arns, codes
        return self._named

    def principals_of(self, names: Names) -> Int32Array:
        """The codes of the principals that the patterns of callers stand for; ABSENT where none is
        known."""
        callers = self.callers
        return np.array([callers.principals.optional(arn) for arn in names.arns(
            map(str, callers.patterns.values))], dtype=np.int32)


class StoredResolved:
    """`Resolved`, of whole tables of a cache.

    at : the members of calls whose resource was told by a name
    """

    def __init__(self, calls: StoredCalls, principal: Int32Array, resource: Int32Array,
                 at: NDArray[np.int64]) -> None:
        self.principal, self.resource = principal, resource
        self._calls, self._at = calls, at

    @cached_property
    def state(self) -> Int32Array:
        return self._changed("state", self._calls.states.code(NAMED))

    @cached_property
    def pattern(self) -> Int32Array:
        return self._changed("pattern", ABSENT)

    def _changed(self, column: str, told: int) -> Int32Array:
        found = self._calls.members.whole(column).copy()
        found[self._at] = told
        return found


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Tables whose names were looked up.

    call_class   : int32 per call; calls of a class are alike but for what they are about: source,
                   name, error, outcome, class, and whether all their resources are known
    first_call   : int32 per class, a call of it
    caller_class : int32 per caller; callers of a class are one principal to those who count
    first_caller : int32 per class, a caller of it
    caller_kind  : int32 per class of callers; those of a kind differ in their principal only
    first_class  : int32 per kind, a class of it
    """

    resolved: Resolved
    call_class: Int32Array
    first_call: Int32Array
    caller_class: Int32Array
    first_caller: Int32Array
    caller_kind: Int32Array
    first_class: Int32Array

    @classmethod
    def of(cls, tables: StoredTables, names: Names) -> LookedUp:
        callers, calls = tables.callers, tables.calls
        of_callers = callers.codes.whole
        resource, unknown = calls.members.whole("resource"), tables.unknown
        at, stands_for = tables.nameable
        codes = tables.resources_of(names).take(stands_for)
        is_told = codes >= 0
        at = at[is_told]
        if len(at):
            resource, unknown = resource.copy(), unknown.copy()
            resource[at], unknown[at] = codes[is_told], False
        principal, of_role = of_callers("principal"), of_callers("pattern")
        is_role = np.flatnonzero((of_role >= 0) & (principal < 0))
        if len(is_role):
            principal = principal.copy()
            principal[is_role] = tables.principals_of(names)[of_role[is_role]]
        if not calls.is_one_each:
            calls_unknown = np.zeros(len(calls), dtype=bool)
            calls_unknown[np.searchsorted(calls.codes.whole("first_member"),
                                          np.flatnonzero(unknown), "right") - 1] = True
            unknown = calls_unknown
        call_class, first_call = number_flagged(calls.codes.kind, unknown, calls.codes.kinds)
        told = [of_callers("requester"), of_callers("problem"), of_role >= 0, principal >= 0]
        caller_class, first_caller = number_keys(packed([principal, *told]))
        caller_kind, first_class = number_keys(packed([column[first_caller] for column in told]))
        return cls(StoredResolved(calls, principal, resource, at), call_class, first_call,
                   caller_class, first_caller, caller_kind, first_class)


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be decided about some records.

    batch     : a record per question
    call      : int32 per question, its call
    of_call   : int32 per call, its question, for each record of it that is asked about, whoever
                calls; -1 for none. None where it matters who calls
    of_record : int32 per record that is asked about, its question; None where it follows from the
                call
    records   : the places of these records, where `of_record` is given; None for all
    """

    batch: Batch
    call: Int32Array
    of_call: Int32Array | None
    of_record: Int32Array | None = None
    records: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """The records of a batch as numbers, with all that their columns are made of."""

    rows: Rows
    files: list[str]
    tables: StoredTables
    looked_up: LookedUp
    plans: list[KeyPlan]
    names: Names
    sessions: Sessions

    def some(self, records: NDArray[np.int64]) -> Batch:
        """The records at these places, ascending."""
        mask = np.zeros(len(self.rows.call), dtype=bool)
        mask[records] = True
        return self._batch(self.rows.keep(mask), self.plans)

    def bare(self, call: Int32Array, caller: Int32Array) -> Batch:
        """Records of these calls and callers without context, event IDs, times and files."""
        nothing = np.zeros(len(call), dtype=np.int32)
        return self._batch(Rows(call, caller, nothing.astype(np.int64), _NO_IDS, nothing), [])

    def columns(self, rows: Rows, plans: list[KeyPlan]) -> Columns:
        """Of rows into these tables."""
        tables = self.tables
        return Columns(rows, self.files, tables.callers, tables.calls, plans, self.names,
                       self.sessions, self.looked_up.resolved)

    def _batch(self, rows: Rows, plans: list[KeyPlan]) -> Batch:
        return LateBatch(self.columns(rows, plans))

    # -- what is alike --------------------------------------------------------------------------

    def combinations(self) -> tuple[Batch, NDArray[np.int64]]:
        """(a bare batch with a record per combination of a class of calls and a kind of callers,
        how many records have it)"""
        found = self.looked_up
        kinds = max(len(found.first_class), 1)
        _, counts = count_pairs(
            found.call_class, self.rows.call, found.caller_kind.take(found.caller_class),
            self.rows.caller, kinds, kinds * len(found.first_call))
        used = np.flatnonzero(counts != 0)
        call = found.first_call[used // kinds]
        caller = found.first_caller[found.first_class[used % kinds]]
        return self.bare(call, caller), counts[used].astype(np.int64)

    def is_call(self) -> NDArray[np.bool_]:
        """Per class of calls: do they make requests?"""
        return self._of_calls("record_class") <= RecordClass.PARTIAL

    def passed(self, names: Collection[str]) -> NDArray[np.int64] | None:
        """The records of calls with these names that passed, ascending."""
        values = self.tables.calls.names.values
        is_one = np.array([str(name) in names for name in values], dtype=bool)
        if not is_one.any():
            return None
        of_class = is_one[self._of_calls("name")] & (
            self._of_calls("outcome") == Outcome.PASSED)
        return np.flatnonzero(of_class[self.looked_up.call_class].take(self.rows.call))

    def _of_calls(self, column: str) -> Int32Array:
        """A column that all calls of a class have in common, per class."""
        return self.tables.calls.codes.take(column, self.looked_up.first_call)

    def requester(self) -> Int32Array:
        """`Requester` per caller class."""
        return self.tables.callers.codes.take("requester", self.looked_up.first_caller)

    def principal(self) -> Coded:
        """Per caller class."""
        found = self.looked_up
        return Coded(found.resolved.principal[found.first_caller],
                     self.tables.callers.principals.values)

    # -- what is asked --------------------------------------------------------------------------

    def asked_records(self, is_wanted: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """The places of the calls of wanted requesters; None when that is all of them.

        is_wanted : per caller class
        """
        is_call, found = self.is_call(), self.looked_up
        if is_wanted.all() and is_call.all():
            return None
        return np.flatnonzero(is_wanted.take(found.caller_class).take(self.rows.caller)
                              & is_call.take(found.call_class).take(self.rows.call))

    def questions(self, keys: Collection[str], is_alone: Callable[[str], bool], *,
                  by_requester: bool, is_wanted: NDArray[np.bool_]) -> Questions | None:
        """The distinct questions of the calls of wanted requesters; None where each record is one
        of its own.

        keys         : lower-case names of the context keys that policies ask for
        is_alone     : does an action make the decision, whatever the resource, whoever asks?
        by_requester : does it matter who asks, apart from what keys tell?
        is_wanted    : per caller class
        """
        plans = [plan for plan in self.plans if plan.name.lower() in keys]
        if any(plan.kind == "time" for plan in plans) or (plans and self.rows.enriched):
            return None
        asker = self._asker(plans, by_requester)
        like = self._stand_ins(is_alone)
        of_call: Int32Array | None
        if asker is None:
            is_asked = self._asked_calls(is_wanted)
            if is_asked is None and like is None:
                calls = of_call = np.arange(len(self.tables.calls), dtype=np.int32)
            else:
                of_call, calls = numbered_where(
                    np.ones(len(self.tables.calls), dtype=np.bool_) if is_asked is None
                    else is_asked, like)
            callers = np.zeros(len(calls), dtype=np.int32)
            of_record = records = None
        else:
            call, caller = self.rows.call, self.rows.caller
            records = self.asked_records(is_wanted)
            if records is not None:
                call, caller = call[records], caller[records]
            if like is not None:
                call = like.take(call)
            of_record, first = number_keys(call.astype(np.int64) << 32 | asker.take(caller))
            calls, callers, of_call = call[first], caller[first], None
        nothing = np.zeros(len(calls), dtype=np.int32)
        rows = Rows(calls, callers, nothing.astype(np.int64), _NO_IDS, nothing)
        return Questions(self._batch(rows, plans), calls, of_call, of_record, records)

    def _asked_calls(self, is_wanted: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Per call: does one of the records ask about it, that of a wanted requester? None where
        that is true of all calls."""
        is_call, found = self.is_call(), self.looked_up
        if 0 < len(self.rows.call) == self.tables.records and is_wanted.all() and is_call.all():
            return None
        return occurring(is_call.take(found.call_class), self.rows.call,
                         is_wanted.take(found.caller_class), self.rows.caller)

    def _stand_ins(self, is_alone: Callable[[str], bool]) -> Int32Array | None:
        """For each call the one that is asked about in its place; None where that is itself.

        Calls of one request whose action makes the decision are alike where they are of one class.
        """
        calls = self.tables.calls
        alone = np.array([is_alone(str(action)) for action in calls.actions.values], dtype=bool)
        of_kind = alone[calls.members.of_kinds("action")]
        if not of_kind.any():
            return None
        kind = calls.members.kind
        if not calls.is_one_each:
            kind = np.append(kind, 0).astype(np.int32).take(calls.codes.whole("first_member"))
            kind[calls.codes.whole("member_count") != 1] = -1
        return firsts_alike(kind, of_kind, self.looked_up.call_class,
                            len(self.looked_up.first_call))

    def _asker(self, plans: list[KeyPlan], by_requester: bool) -> NDArray[np.int64] | None:
        """Numbers that tell callers apart as far as it matters; None where it does not."""
        callers = self.tables.callers
        every = np.arange(len(callers))
        columns: list[NDArray[Any]] = [
            callers.key_codes.take(plan.index, every) for plan in plans if plan.kind == "caller"]
        if any(plan.kind == "session" for plan in plans):
            columns.append(callers.codes.take("access_key", every))
        if by_requester:
            columns += (self.looked_up.resolved.principal, *(
                callers.codes.take(name, every) for name in ("session", "type", "requester")))
        return number_keys(packed(columns))[0].astype(np.int64) if columns else None


class LateBatch(Batch):
    """A batch whose columns are made when they are looked at first."""

    __slots__ = ("_columns",)
    _columns: Columns

    def __init__(self, columns: Columns) -> None:
        object.__setattr__(self, "_columns", columns)

    def __getattr__(self, name: str) -> Any:
        """A column that is not there yet."""
        if name not in Batch.__dataclass_fields__:
            raise AttributeError(name)
        column = getattr(self._columns, name)
        object.__setattr__(self, name, column)
        return column


class StoredBatch(LateBatch):
    """A batch of a cache.

    stored : its records as numbers
    """

    __slots__ = ("stored",)
    stored: Stored

    def __init__(self, stored: Stored, requests: int) -> None:
        for name, value in (("stored", stored), ("requests", requests),
                            ("records", len(stored.rows.call)), ("files", stored.files)):
            object.__setattr__(self, name, value)
        if any(plan.kind == "session" for plan in stored.plans):
            # what sessions are tagged with, others may tell later
            object.__setattr__(self, "context", self._columns.context)

    def __getattr__(self, name: str) -> Any:
        if name == "_columns":
            columns = self.stored.columns(self.stored.rows, self.stored.plans)
            object.__setattr__(self, name, columns)
            return columns
        return super().__getattr__(name)
