"""A batch: the requests of some thousand records, as coded columns.

A record has zero, one or several requests (a *group*); all of a group must be allowed for the call
to be allowed. Request columns have `requests` rows, record columns `records` rows; `group` leads
from the former to the latter. Dictionaries belong to the reader (see `columns`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .classes import NAMED, NOT_NEEDED, RecordClass
from .columns import ABSENT, NOT_GIVEN, UNKNOWN, Coded, Dictionary, DistinctValues, Int32Array
from .event_context import Enrichment
from .names import Names, nameable
from .parameters import _Unknown
from .request_keys import of_family
from .sessions import Sessions
from .tables import CallerTable, CallTable
from .texts import Texts


@dataclass(frozen=True, slots=True)
class Batch:
    """See the module. Invariant: `group` never falls, and is below `records`."""

    requests: int
    group: Int32Array
    """Index, within the batch, of the record that a request belongs to."""
    action: Coded
    resource: Coded
    """Code -1: the resource is unknown."""
    principal: Coded
    """User, role or root ARN; service name for services; code -1 when it is not known."""
    resource_state: Coded
    """How the resource is known: given, param, message, star, self, template, named, pattern,
    not needed, unknown (`classes`)."""
    resource_pattern: Coded
    """What a resource that is known in part can be; code -1 for all others."""
    context: dict[str, Coded]
    """A column per asked key; none for a key that only an `eventContext` can tell, where none of
    the batch does: it is unknown."""

    records: int
    record_class: NDArray[np.uint8]
    record_reason: Coded
    is_complete: NDArray[np.bool_]
    """False: the call may need actions that are not among its requests, so it cannot be ALLOW."""
    event_id: Texts
    time: NDArray[np.int64]
    """Unix seconds; -1 when the record has no readable time."""
    event_source: Coded
    event_name: Coded
    error_code: Coded
    principal_type: Coded
    session: Coded
    region: Coded
    account: Coded
    """The account that received the record."""
    identity: NDArray[np.uint8]
    """Kind of requester, `Requester`."""
    outcome: NDArray[np.uint8]
    """`Outcome`: what the record says of its own authorization."""
    outcome_kind: Coded
    """Policy type that the error message names."""
    outcome_explicit: NDArray[np.uint8]
    """0 not said, 1 a missing allow, 2 an explicit deny."""
    files: list[str]
    file: Int32Array

    def some(self, records: NDArray[np.integer[Any]]) -> tuple[Batch, NDArray[np.int64]]:
        """(the records at these places, ascending, without context; the places of their requests)
        """
        place = np.full(self.records, -1, dtype=np.int32)
        place[records] = np.arange(len(records), dtype=np.int32)
        rows = np.flatnonzero(place.take(self.group) >= 0)
        columns: dict[str, Any] = {}
        for name in (column.name for column in fields(Batch)):
            column, at = getattr(self, name), rows if name in _OF_REQUESTS else records
            columns[name] = (
                Coded(column.codes.take(at), column.values) if isinstance(column, Coded)
                else column.take(at) if isinstance(column, np.ndarray | Texts) else column)
        return Batch(**columns | {
            "requests": len(rows), "records": len(records), "context": {},
            "group": place.take(self.group.take(rows))}), rows

    def check(self) -> None:
        """Assert the invariants."""
        for column in (self.action, self.resource, self.principal, self.resource_state,
                       self.resource_pattern,
                       *self.context.values()):
            assert len(column) == self.requests == len(self.group)
            column.check()
        for column in (self.record_reason, self.event_source, self.event_name, self.error_code,
                       self.principal_type, self.session, self.region, self.account,
                       self.outcome_kind):
            assert len(column) == self.records
            column.check()
        for values in (self.record_class, self.is_complete, self.time, self.identity, self.outcome,
                       self.outcome_explicit, self.file):
            assert len(values) == self.records
        assert len(self.event_id) == self.records
        assert bool((np.diff(self.group) >= 0).all())
        has_requests = np.bincount(self.group, minlength=self.records) > 0
        is_call = self.record_class <= RecordClass.PARTIAL
        assert bool((has_requests == is_call).all())


_OF_REQUESTS = frozenset({
    "group", "action", "resource", "principal", "resource_state", "resource_pattern"})


@dataclass(slots=True)
class Rows:
    """Records of a batch in the making: row numbers into the tables, and what is per record."""

    call: Int32Array
    caller: Int32Array
    time: NDArray[np.int64]
    event_id: Texts
    file: Int32Array
    corrects: dict[int, str] = field(default_factory=dict)
    """Row of a corrected record -> event ID of the record that it replaces."""
    enriched: dict[int, str] = field(default_factory=dict)
    """Row of an enriched record -> what its `eventContext` tells (`event_context`)."""

    def keep(self, mask: NDArray[np.bool_]) -> Rows:
        corrects, enriched = self.corrects, self.enriched
        if corrects or enriched:
            places = (np.cumsum(mask) - 1).tolist()
            is_kept = mask.tolist()
            corrects, enriched = ({places[row]: text for row, text in texts.items() if is_kept[row]}
                                  for texts in (corrects, enriched))
        return Rows(self.call[mask], self.caller[mask], self.time[mask],
                    self.event_id.take(mask), self.file[mask], corrects, enriched)

    def part(self, begin: int, end: int) -> Rows:
        """The rows from `begin` to `end`, which stay where they are."""
        part = slice(begin, end)
        corrects, enriched = ({row - begin: text for row, text in texts.items()
                               if begin <= row < end} for texts in (self.corrects, self.enriched))
        return Rows(self.call[part], self.caller[part], self.time[part],
                    self.event_id.take(np.arange(begin, end)), self.file[part], corrects, enriched)


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Where a context column comes from: `caller`, `request`, `family`, `session`, `time`, or
    `given` for one that nothing but an `eventContext` tells; and the index."""

    name: str
    kind: str
    index: int = 0
    service: str | None = None
    """Absent from requests of other services."""
    time_key: str = ""
    part: str = ""
    """Of a family, or of the tags of sessions: the lower-case name behind its prefix."""


class Resolved(Protocol):
    """What ARNs came to when their names were looked up."""

    @property
    def principal(self) -> Int32Array:
        """Per row of a table of callers."""

    @property
    def resource(self) -> Int32Array:
        """Per member of a table of calls, as the two that follow."""

    @property
    def state(self) -> Int32Array: ...

    @property
    def pattern(self) -> Int32Array: ...


@dataclass(frozen=True, slots=True)
class ResolvedRows:
    """`Resolved`, of the rows of a batch alone."""

    principal: Int32Array
    resource: Int32Array
    state: Int32Array
    pattern: Int32Array


class Columns:
    """The columns of a batch, by the names that they have there, each made when it is asked for.

    resolved : names of all rows of the tables, where they have been looked up before; else those of
               these rows are looked up, as they are known by now
    """

    def __init__(
        self, rows: Rows, files: list[str], callers: CallerTable, calls: CallTable,
        keys: list[KeyPlan], names: Names, sessions: Sessions, resolved: Resolved | None = None,
    ) -> None:
        self._rows, self.files = rows, files
        self._callers, self._calls, self._keys = callers, calls, keys
        self._sessions = sessions
        call = rows.call
        self.records = len(call)
        counts = calls.codes.take("member_count", call)
        self._member = calls.codes.take("first_member", call)
        """The row of each request in the table of members."""
        self.requests = self.records
        self._is_one_each = bool((counts == 1).all())
        if self._is_one_each:
            self.group = np.arange(self.records, dtype=np.int32)
        else:
            self.group = np.repeat(np.arange(self.records, dtype=np.int32), counts)
            ends = np.cumsum(counts, dtype=np.int64)
            self.requests = int(ends[-1])
            offset = np.arange(self.requests, dtype=np.int64) - np.repeat(ends - counts, counts)
            self._member = self._member[self.group] + offset.astype(np.int32)
        self._resolved = self._resolve(names) if resolved is None else None
        self._of_tables = resolved

    def batch(self) -> Batch:
        """All of them."""
        return Batch(**{column.name: getattr(self, column.name) for column in fields(Batch)})

    def _of_requests(self, column: Int32Array) -> Int32Array:
        """The values of the requests of each record."""
        return column if self._is_one_each else column[self.group]

    # -- requests -----------------------------------------------------------------------------

    def _resolve(self, names: Names) -> ResolvedRows:
        calls, callers, member, caller = (
            self._calls, self._callers, self._member, self._rows.caller)
        resource = calls.members.take("resource", member)
        state = calls.members.take("state", member)
        pattern = calls.members.take("pattern", member)
        _resolve(pattern, resource, calls.patterns, calls.resources, names)
        is_named = (pattern >= 0) & (resource >= 0)
        state[is_named] = calls.states.code(NAMED)
        pattern[is_named] = ABSENT
        principal = callers.codes.take("principal", caller)
        _resolve(callers.codes.take("pattern", caller), principal, callers.patterns,
                 callers.principals, names)
        return ResolvedRows(principal, resource, state, pattern)

    def _of_members(self, name: str) -> Int32Array:
        column: Int32Array
        if self._resolved is not None:
            column = getattr(self._resolved, name)
        else:
            column = getattr(self._of_tables, name).take(self._member)
        return column

    @cached_property
    def _principal(self) -> Int32Array:
        if self._resolved is not None:
            return self._resolved.principal
        assert self._of_tables is not None
        return self._of_tables.principal.take(self._rows.caller)

    @property
    def action(self) -> Coded:
        return Coded(self._calls.members.take("action", self._member), self._calls.actions.values)

    @cached_property
    def resource(self) -> Coded:
        return Coded(self._of_members("resource"), self._calls.resources.values)

    @property
    def principal(self) -> Coded:
        return Coded(self._of_requests(self._principal), self._callers.principals.values)

    @cached_property
    def resource_state(self) -> Coded:
        return Coded(self._of_members("state"), self._calls.states.values)

    @property
    def resource_pattern(self) -> Coded:
        return Coded(self._of_members("pattern"), self._calls.patterns.values)

    @property
    def context(self) -> dict[str, Coded]:
        rows, callers, calls = self._rows, self._callers, self._calls
        member, group = self._member, self.group
        caller_of = self._of_requests(rows.caller)
        enrichment = Enrichment(rows.enriched, self.records, group, self.resource
                                ) if rows.enriched and self._keys else None
        context: dict[str, Coded] = {}
        for key in self._keys:
            if key.kind == "request":
                context[key.name] = Coded(calls.key_codes.take(key.index, member),
                                          calls.key_values[key.index].values)
            elif key.kind == "family":
                context[key.name] = _family_column(
                    calls.key_codes.take(key.index, member), calls.key_values[key.index], key.part)
            elif key.kind == "caller":
                codes = callers.key_codes.take(key.index, caller_of)
                if key.service is not None:
                    service = calls.services.code(key.service)
                    codes[calls.members.take("service", member) != service] = ABSENT
                context[key.name] = Coded(codes, callers.key_values[key.index].values)
            elif key.kind == "session":
                context[key.name] = _session_column(
                    callers.codes.take("access_key", caller_of), callers.access_keys, key.part,
                    self._sessions)
            elif key.kind == "given":
                if enrichment is not None and enrichment.tells(key.name):
                    context[key.name] = Coded(
                        np.full(self.requests, NOT_GIVEN, dtype=np.int32), [])
            else:
                context[key.name] = _time_column(key.time_key, rows, callers, group)
        if enrichment is not None:
            context = {name: enrichment.over(name, column) for name, column in context.items()}
        return context

    # -- records ------------------------------------------------------------------------------

    @cached_property
    def _classes(self) -> tuple[NDArray[np.uint8], Int32Array]:
        is_known = np.ones(self.records, dtype=bool)
        not_needed = self._calls.states.code(NOT_NEEDED)
        is_known[self.group[
            (self.resource.codes < 0) & (self.resource_state.codes != not_needed)]] = False
        return _classes(self._rows, self._callers, self._calls, is_known, self._principal)

    @property
    def record_class(self) -> NDArray[np.uint8]:
        return self._classes[0]

    @property
    def record_reason(self) -> Coded:
        return Coded(self._classes[1], self._calls.reasons.values)

    @property
    def is_complete(self) -> NDArray[np.bool_]:
        return self._calls.codes.take("is_complete", self._rows.call).astype(np.bool_)

    @property
    def event_id(self) -> Texts:
        return self._rows.event_id

    @property
    def time(self) -> NDArray[np.int64]:
        return self._rows.time

    @property
    def event_source(self) -> Coded:
        return self._of_calls("source", "sources")

    @property
    def event_name(self) -> Coded:
        return self._of_calls("name", "names")

    @property
    def error_code(self) -> Coded:
        return self._of_calls("error", "errors")

    @property
    def principal_type(self) -> Coded:
        return self._of_callers("type", "types")

    @property
    def session(self) -> Coded:
        return self._of_callers("session", "sessions")

    @property
    def region(self) -> Coded:
        return self._of_callers("region", "regions")

    @property
    def account(self) -> Coded:
        return self._of_callers("account", "accounts")

    @property
    def identity(self) -> NDArray[np.uint8]:
        return self._callers.codes.take("requester", self._rows.caller).astype(np.uint8)

    @property
    def outcome(self) -> NDArray[np.uint8]:
        return self._calls.codes.take("outcome", self._rows.call).astype(np.uint8)

    @property
    def outcome_kind(self) -> Coded:
        return self._of_calls("kind", "kinds")

    @property
    def outcome_explicit(self) -> NDArray[np.uint8]:
        return self._calls.codes.take("explicit", self._rows.call).astype(np.uint8)

    @property
    def file(self) -> Int32Array:
        return self._rows.file

    def _of_calls(self, column: str, dictionary: str) -> Coded:
        return Coded(self._calls.codes.take(column, self._rows.call),
                     getattr(self._calls, dictionary).values)

    def _of_callers(self, column: str, dictionary: str) -> Coded:
        return Coded(self._callers.codes.take(column, self._rows.caller),
                     getattr(self._callers, dictionary).values)


def build(
    rows: Rows, files: list[str], callers: CallerTable, calls: CallTable, keys: list[KeyPlan],
    names: Names, sessions: Sessions,
) -> Batch:
    """Gather all columns of a batch, with the names and sessions that are known by now."""
    return Columns(rows, files, callers, calls, keys, names, sessions).batch()


def _resolve(
    patterns: Int32Array, codes: Int32Array, texts: Dictionary, values: DistinctValues,
    names: Names,
) -> None:
    """Fill in, in place, the codes of ARNs whose pattern stands for a known name."""
    is_open = (patterns >= 0) & (codes < 0)
    if not is_open.any():
        return
    found = texts.resolved
    if not (isinstance(found, _Resolved) and found.is_of(values, names)):
        found = texts.resolved = _Resolved(values, names)
    codes[is_open] = found.take(texts, patterns[is_open])


class _Resolved:
    """The codes of the ARNs that the patterns of a dictionary stand for, as far as they were asked
    for. Each holds until its pattern comes to stand for something else."""

    def __init__(self, values: DistinctValues, names: Names) -> None:
        self._values, self._names, self._version = values, names, names.version
        self._codes = np.zeros(0, dtype=np.int32)
        self._is_known = np.zeros(0, dtype=bool)
        self._places: dict[str, list[int]] = {}
        """Where each pattern that was asked for stands: a dictionary may have it more than once."""

    def is_of(self, values: DistinctValues, names: Names) -> bool:
        return self._values is values and self._names is names

    def _forget_changed(self) -> None:
        for pattern in self._names.changed[self._version :]:
            for place in self._places.pop(pattern, ()):
                self._codes[place], self._is_known[place] = ABSENT, False
        self._version = self._names.version

    def take(self, texts: Dictionary, patterns: Int32Array) -> Int32Array:
        """The code for each of these patterns; ABSENT where it stands for nothing known."""
        more = len(texts) - len(self._codes)
        if more:
            self._codes = np.concatenate([self._codes, np.full(more, ABSENT, dtype=np.int32)])
            self._is_known = np.concatenate([self._is_known, np.zeros(more, dtype=bool)])
        self._forget_changed()
        is_asked = np.zeros(len(texts), dtype=bool)
        is_asked[patterns] = True
        asked = np.flatnonzero(is_asked & ~self._is_known)
        named = nameable(texts.values, asked)
        for (code, pattern), arn in zip(
                named, self._names.arns(pattern for _, pattern in named), strict=True):
            self._places.setdefault(pattern, []).append(code)
            if arn is not None:
                self._codes[code] = self._values.any_code(arn)
        self._is_known[asked] = True
        return self._codes[patterns]


def _classes(
    rows: Rows, callers: CallerTable, calls: CallTable, is_known: NDArray[np.bool_],
    principal: Int32Array,
) -> tuple[NDArray[np.uint8], Int32Array]:
    """Class and reason: a call that is mapped is partial when its caller is not known.

    is_known : per record, whether all its resources are known, names looked up
    """
    record_class = calls.codes.take("record_class", rows.call).astype(np.uint8)
    reason = calls.codes.take("reason", rows.call)
    is_complete = calls.codes.take("is_complete", rows.call).astype(np.bool_)
    is_resolved = is_known & is_complete & (record_class == RecordClass.PARTIAL)
    record_class[is_resolved] = RecordClass.MAPPED
    reason[is_resolved] = ABSENT
    problem = callers.codes.take("problem", rows.caller)
    has_role = (callers.codes.take("pattern", rows.caller) >= 0) & (principal >= 0)
    is_caller_unknown = (problem >= 0) & ~has_role & (record_class == RecordClass.MAPPED)
    if is_caller_unknown.any():
        record_class[is_caller_unknown] = RecordClass.PARTIAL
        codes = np.array([calls.reasons.code(str(text)) for text in callers.problems.values],
                         dtype=np.int32)
        reason[is_caller_unknown] = codes[problem[is_caller_unknown]]
    return record_class, reason


def _family_column(codes: Int32Array, packed: Dictionary, part: str) -> Coded:
    """One key out of the column that holds all keys of its family."""
    found = Dictionary()
    table = np.full(len(packed) + 1, ABSENT, dtype=np.int32)
    for code in np.unique(codes[codes >= 0]).tolist():
        value = of_family(str(packed.values[code]), part)
        table[code] = (UNKNOWN if isinstance(value, _Unknown) else ABSENT if value is None
                       else found.code(value))
    return Coded(np.where(codes >= 0, table[np.maximum(codes, 0)], codes).astype(np.int32),
                 found.values)


def _session_column(
    codes: Int32Array, access_keys: Dictionary, name: str, sessions: Sessions
) -> Coded:
    """A tag of the session that a call was made in; not given where its beginning does not tell."""
    found = Dictionary()
    table = np.full(len(access_keys) + 1, NOT_GIVEN, dtype=np.int32)  # the last is for code -1
    for code in np.unique(codes[codes >= 0]).tolist():
        value = sessions.tag(str(access_keys.values[code]), name)
        if value is not None:
            table[code] = found.code(value)
    return Coded(table[codes], found.values)


def _time_column(
    key: str, rows: Rows, callers: CallerTable, group: Int32Array
) -> Coded:
    """A key that follows from the time: its values hardly repeat, so the batch has its own list."""
    seconds = rows.time
    if key == "aws:multifactorauthage":
        created = callers.take_created(rows.caller)
        mfa = callers.codes.take("mfa", rows.caller)
        age = seconds - created
        is_known = (mfa == 1) & (seconds >= 0) & (created >= 0) & (age >= 0)
        numbers, state = age, np.where(mfa == ABSENT, ABSENT, UNKNOWN)
    else:
        is_known = seconds >= 0
        numbers, state = seconds, np.full(len(seconds), UNKNOWN)
    distinct, inverse = np.unique(numbers[is_known], return_inverse=True)
    codes = state.astype(np.int32)
    codes[is_known] = inverse.astype(np.int32)
    values: list[str | list[str]]
    if key == "aws:currenttime":
        values = [datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                  for second in distinct.tolist()]
    else:
        values = [str(number) for number in distinct.tolist()]
    return Coded(codes[group], values)
