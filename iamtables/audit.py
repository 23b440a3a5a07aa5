"""Every record of a log decided under one table, and what that adds up to.

    audit = Audit(table)
    for batch in batches:                 # from `iamtables.logs` or `iamtables.request_tables`
        results = audit.add(batch)        # one entry per record, ready for an output writer
    audit.summary()

A batch holds requests (rows) and records; one record may need several requests. The decision of
a record is the strongest of its members, in the order explicit deny, implicit deny, undetermined,
allow: the call needs all of them, so one definite denial denies it. The deciding statement is that
of the first member with the decision. Under identity policies only records whose requester carries
them are decided, in an organization all whose requester is known; and of these the selected ones.
The others are counted by what they are, so that all counts add up.

Batches are decided in one session and then forgotten. What stays are counts per distinct
principal, action and statement, in bounded memory (`MAX_GROUPS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .alike import Alike, alike
from .asking import DECIDABLE, RESOURCE_ACCOUNT, asking_columns
from .audit_counts import UNDECIDED, Counts, Summary
from .batches import Batch, Decided
from .errors import ColumnError
from .kinds import by_kind
from .logs.batch import Batch as LogBatch
from .logs.classes import RecordClass, Requester
from .logs.columns import ABSENT, NOT_GIVEN, UNKNOWN, Coded, packed
from .logs.numbering import number_keys
from .reality import CHANGES
from .runtime.codes import DecisionCode, Layer
from .runtime.values import encode_text
from .tallies import MAX_GROUPS

if TYPE_CHECKING:
    from .logs.stored import Questions, Stored
    from .runtime import Decisions, Session, Table

FURTHER_ACTIONS = "further actions"
"""What an allowed record depends on when the call may need actions that the record hides."""
FURTHER_ACTIONS_ALONE: tuple[str, ...] = (FURTHER_ACTIONS,)

_MOST_REASONS = 4096
"""Requests whose reasons are remembered by their texts."""
_RANK = np.zeros(len(DecisionCode), dtype=np.int64)
_RANK[[DecisionCode.ALLOW, DecisionCode.UNDETERMINED, DecisionCode.IMPLICIT_DENY,
       DecisionCode.EXPLICIT_DENY]] = range(4)

_DEFINITE = (DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY)

Missing = Literal["absent", "unknown", "error"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests of a batch that were decided.

    rows      : int32, ascending, their places in the batch
    decisions : one per place in `rows`
    asking    : the columns of who asked and whose the resource is, one value per place in `rows`
    """

    rows: NDArray[np.int32]
    decisions: Decisions
    asking: Mapping[str, Coded]


class Reasons(NamedTuple):
    """What would settle undetermined records.

    records : int64, ascending
    which   : int64 per such record, its place in `texts`
    """

    records: NDArray[np.int64]
    which: NDArray[np.int64]
    texts: list[tuple[str, ...]]

    def by_record(self) -> dict[int, tuple[str, ...]]:
        """The texts of each record."""
        return dict(zip(self.records.tolist(), map(self.texts.__getitem__, self.which.tolist()),
                        strict=True))


@dataclass(frozen=True, slots=True)
class BatchResults(Decided):
    """What one batch came to.

    request_statement : int32 per request, the statement that decides it
    asked     : the requests that were decided; None where there was none to decide
    """

    request_statement: NDArray[np.int32]
    asked: Asked | None = None


class LateResults(BatchResults):
    """Results of a batch that were counted by its distinct questions; they are made for each record
    when somebody looks at them."""

    __slots__ = ("_decide",)
    _decide: Callable[[Batch], BatchResults]

    def __init__(self, batch: Batch, decide: Callable[[Batch], BatchResults]) -> None:
        object.__setattr__(self, "batch", batch)
        object.__setattr__(self, "_decide", decide)

    def __getattr__(self, name: str) -> Any:
        if name not in BatchResults.__dataclass_fields__:
            raise AttributeError(name)
        results = self._decide(self.batch)
        for column in fields(BatchResults):
            object.__setattr__(self, column.name, getattr(results, column.name))
        return object.__getattribute__(self, name)


def needs_request(table: Table) -> Callable[[str], bool]:
    """Tells of an action whether these policies ask for more than action and principal.

    Where they do not, the cell of the action is one decision for every resource and context.
    """
    if table.is_layered:  # whose the resource is matters to every action
        return lambda action: True
    planner = table.planner
    class_ids = range(planner.facts.class_count)

    @cache
    def needs(action: str) -> bool:
        text = encode_text(action)
        return any(planner.cell(text, class_id)[2] is not None for class_id in class_ids)

    return needs


def decides_alone(table: Table) -> Callable[[str], bool]:
    """Tells of an action whether it makes a definite decision, whatever else a request says."""
    needs = needs_request(table)

    @cache
    def is_alone(action: str) -> bool:
        return not needs(action) and table.planner.cell(
            encode_text(action), 0)[0] in _DEFINITE

    return is_alone


def keys_of(table: Table) -> tuple[str, ...]:
    """The context keys worth reading from a log for a table."""
    if table.is_layered and RESOURCE_ACCOUNT not in table.keys:
        return (*table.keys, RESOURCE_ACCOUNT)
    return table.keys


def glob_matches(pattern: str, text: str) -> bool:
    """`*` and `?` over the whole text, in time linear in their product."""
    i = j = 0
    star = mark = -1
    while j < len(text):
        if i < len(pattern) and pattern[i] == "*":
            star, mark = i, j
            i += 1
        elif i < len(pattern) and pattern[i] in ("?", text[j]):
            i, j = i + 1, j + 1
        elif star >= 0:
            mark += 1
            i, j = star + 1, mark
        else:
            return False
    return not pattern[i:].strip("*")


class Audit:
    """Decides batches under a table and keeps count."""

    def __init__(self, table: Table, *, principals: Sequence[str] = (),
                 missing: Missing = "unknown",
                 assume: Mapping[str, str | list[str]] | None = None) -> None:
        """principals : patterns of principal ARNs to decide for; none means everyone
        missing    : what a key is that no record supplies
        assume     : values for keys where the records do not tell; never over a value they give
        """
        self._table = table
        self._session: Session = table.session()
        self._patterns = tuple(principals)
        self._selected: dict[str, bool] = {}
        self._missing = missing
        self._assume = {key.lower(): value for key, value in (assume or {}).items()}
        self._keys = frozenset(key.lower() for key in keys_of(table))
        self._is_alone = decides_alone(table)
        self._counts = Counts(table)
        kinds = DECIDABLE if table.is_layered else {Requester.ROLE_OR_USER}
        self._decidable = np.array([kind in kinds for kind in Requester])
        # reasons by codes, valid while the batches bring the same dictionaries
        self._reasons: dict[tuple[int, ...], tuple[str, ...]] = {}
        self._dictionaries: list[Any] = []
        self._reasons_of: dict[str, tuple[str, ...]] = {}
        """By request, spelled out: segments of a cache bring other dictionaries, but mostly the
        same open requests."""

    def add(self, batch: Batch) -> BatchResults:
        """Decide a batch and count it; the results are in the order of its records."""
        stored = getattr(batch, "stored", None)
        if stored is not None and self._add_alike(stored):
            return LateResults(batch, self._decide_fully)
        results, reasons = self._decide_with_reasons(batch)
        if isinstance(batch, LogBatch) and batch.records:
            self._count(by_kind(results, batch, reasons), results.asked, batch)
        else:
            self._count(results, results.asked)
        return results

    def _decide_fully(self, batch: Batch) -> BatchResults:
        return self._decide_with_reasons(batch)[0]

    def _decide_with_reasons(self, batch: Batch) -> tuple[BatchResults, Reasons]:
        results = self.decide(batch)
        reasons = self.reasons(results, results.decision == DecisionCode.UNDETERMINED)
        return replace(results, depends_on=reasons.by_record()), reasons

    def _count(self, results: BatchResults | Alike, asked: Asked | None,
               changes: Batch | None = None) -> None:
        batch = results.batch
        is_call = batch.record_class <= RecordClass.PARTIAL
        carries = self.is_decidable(batch)
        is_left_out = carries & (results.decision == UNDECIDED)
        if asked is not None:
            self._counts.add_not_supplied(asked.decisions.not_supplied)
        self._counts.add(results, is_call & ~carries, is_left_out,
                         results.repeats if isinstance(results, Alike) else None, changes)

    def _add_alike(self, stored: Stored) -> bool:
        """Decide each distinct question of a batch of a cache once, and count; False when each of
        its records is a question of its own."""
        asked = self.ask(stored)
        if asked is None:
            return False
        wanted, questions, answers = asked
        changed = stored.passed(CHANGES)
        reasons = self.reasons(answers, np.ones(len(answers.decision), dtype=np.bool_))
        self._count(alike(stored, wanted, questions, answers, reasons), answers.asked,
                    None if changed is None else stored.some(changed))
        return True

    def ask(self, stored: Stored
            ) -> tuple[NDArray[np.bool_], Questions, BatchResults] | None:
        """(per caller class, is it decided about? the distinct questions of a batch; the answers);
        None when each record is a question of its own, or is to be an error of its own."""
        if self._missing == "error":
            return None
        wanted = self._wanted(stored)
        questions = stored.questions(
            self._keys, self._is_alone, by_requester=self._table.is_layered, is_wanted=wanted)
        if questions is None:
            return None
        answers = self._decide_some(
            questions.batch, np.ones(questions.batch.records, dtype=np.bool_))
        return wanted, questions, answers

    def decide(self, batch: Batch) -> BatchResults:
        """Decide a batch and count nothing; `depends_on` is left empty."""
        return self._decide_some(batch, self._is_selected(batch, self.is_decidable(batch)))

    def _decide_some(self, batch: Batch, selected: NDArray[np.bool_]) -> BatchResults:
        rows = (np.arange(batch.requests, dtype=np.int32) if selected.all() else
                np.flatnonzero(selected[batch.group]).astype(np.int32))
        asked = self._decide(batch, rows) if len(rows) else None
        if asked is not None and len(rows) == batch.requests == batch.records and _is_one_each(
                batch.group):
            decisions = asked.decisions
            row, decision, statement, layer = (
                rows, decisions.decision.copy(), decisions.statement, decisions.layer.copy())
            by_request = statement
        else:
            by_request = np.full(batch.requests, -1, dtype=np.int32)
            decision = np.full(batch.records, UNDECIDED, dtype=np.uint8)
            statement = np.full(batch.records, -1, dtype=np.int32)
            row = np.full(batch.records, -1, dtype=np.int32)
            layer = np.zeros(batch.records, dtype=np.uint8)
            if asked is not None:
                decisions = asked.decisions
                by_request[rows] = decisions.statement
                records, places = _strongest_members(batch.group[rows], decisions.decision)
                row[records] = rows[places]
                decision[records] = decisions.decision[places]
                statement[records] = decisions.statement[places]
                layer[records] = decisions.layer[places]
        if asked is not None:
            is_open = (decision == DecisionCode.ALLOW) & ~batch.is_complete
            decision[is_open] = DecisionCode.UNDETERMINED
            layer[is_open] = Layer.NONE
        return BatchResults(batch, decision, statement, row, {}, layer, by_request, asked)

    def decisions(self, stored: Stored) -> NDArray[np.uint8] | None:
        """uint8 per record of a batch of a cache, as `decide` has them; None as `ask`."""
        asked = self.ask(stored)
        if asked is None:
            return None
        wanted, questions, answers = asked
        records, of_record = questions.records, questions.of_record
        if questions.of_call is not None:
            records, call = stored.asked_records(wanted), stored.rows.call
            of_record = questions.of_call.take(call if records is None else call[records])
        assert of_record is not None
        found = answers.decision.take(of_record)
        if records is not None:
            told = found
            found = np.full(len(stored.rows.call), UNDECIDED, dtype=np.uint8)
            found[records] = told
        return found

    def is_decidable(self, batch: Batch) -> NDArray[np.bool_]:
        """Which records are calls of a requester that the table can decide about."""
        is_call = batch.record_class <= RecordClass.PARTIAL
        found: NDArray[np.bool_] = is_call & self._decidable[batch.identity]
        return found

    def summary(self) -> Summary:
        """What all batches so far add up to."""
        return self._counts.summary()

    @property
    def counts(self) -> Counts:
        """What all batches so far add up to, for `merge` of another audit, in another process."""
        return self._counts

    def merge(self, counts: Counts) -> None:
        """Add what another audit under the same table counted."""
        self._counts.merge(counts)

    def _is_selected(self, batch: Batch, carries: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Records to decide: with requests, and a requester that carries policies and is wanted."""
        has_rows = np.zeros(batch.records, dtype=bool)
        has_rows[batch.group] = True
        if not self._patterns:
            return carries & has_rows
        by_record = np.zeros(batch.records, dtype=bool)
        by_record[batch.group] = self._is_named(batch.principal)
        return carries & has_rows & by_record

    def _is_named(self, principal: Coded) -> NDArray[np.bool_]:
        """Which of these one of the patterns matches."""
        codes, values = principal.codes, principal.values
        wanted = np.zeros(len(values) + 1, dtype=bool)  # the last place is for code -1
        for code in np.unique(codes[codes >= 0]).tolist():
            name = str(values[code])
            if name not in self._selected:
                self._selected[name] = any(glob_matches(p, name) for p in self._patterns)
            wanted[code] = self._selected[name]
        found: NDArray[np.bool_] = wanted[np.where(codes < 0, len(values), codes)]
        return found

    def _wanted(self, stored: Stored) -> NDArray[np.bool_]:
        """Per caller class: does it carry policies, and is it selected?"""
        wanted: NDArray[np.bool_] = self._decidable[stored.requester()]
        return wanted & self._is_named(stored.principal()) if self._patterns else wanted

    def _decide(self, batch: Batch, rows: NDArray[np.int32]) -> Asked:
        supplied = {key.lower(): column for key, column in batch.context.items()}
        context: dict[str, Any] = {}
        not_given: dict[str, NDArray[np.bool_]] = {}
        asking = {"principal": _take(batch.principal, rows)}
        if self._table.is_layered:
            asking = asking_columns(batch, rows)
            supplied.pop(RESOURCE_ACCOUNT.lower(), None)  # follows from `resource_account`
        for key in self._table.keys:
            column = supplied.get(key.lower())
            value = self._assume.get(key.lower())
            if column is not None and not is_told(column):
                column = None
            if column is None and value is not None:
                context[key] = value if isinstance(value, str) else Coded(
                    np.zeros(len(rows), dtype=np.int32), [value])
            elif column is not None:
                taken = _take(column, rows)
                if value is None:
                    taken, left = _split_not_given(taken)
                    if left is not None:
                        not_given[key] = left
                context[key] = taken if value is None else _fill_unknown(taken, value)
        try:
            decisions = self._session.decide(
                action=_take(batch.action, rows), resource=_take(batch.resource, rows),
                context=context, not_given=not_given, missing=self._missing, **asking,
            )
        except ColumnError as error:
            if self._missing == "error":
                raise ColumnError(error.message, column=error.column,
                                  help="supply the key with --assume, or choose another --missing"
                                  ) from error
            raise
        return Asked(rows, decisions, asking)

    def depends_on(self, results: BatchResults, wanted: NDArray[np.bool_]
                   ) -> dict[int, tuple[str, ...]]:
        """What would settle the wanted ones of the undetermined records; asked once per distinct
        request."""
        return self.reasons(results, wanted).by_record()

    def reasons(self, results: BatchResults, wanted: NDArray[np.bool_]) -> Reasons:
        """The same, with each text once."""
        records = np.flatnonzero(wanted & (results.decision == DecisionCode.UNDETERMINED))
        which = np.zeros(len(records), dtype=np.int64)
        if results.asked is None or not len(records):
            return Reasons(records, which, [FURTHER_ACTIONS_ALONE])
        batch, (rows, decisions) = results.batch, (results.asked.rows, results.asked.decisions)
        places: NDArray[np.integer[Any]] = results.row[records]
        if len(rows) < batch.requests:
            places = np.searchsorted(rows, places)
        is_open = decisions.decision[places] == DecisionCode.UNDETERMINED
        asked = places[is_open]
        texts: list[tuple[str, ...]] = [FURTHER_ACTIONS_ALONE]
        if not len(asked):
            return Reasons(records, which, texts)
        columns = [batch.action, batch.resource, *batch.context.values()]
        dictionaries = [getattr(column, "values", column) for column in columns]
        is_known = len(dictionaries) == len(self._dictionaries) and all(
            a is b for a, b in zip(dictionaries, self._dictionaries, strict=True))
        if not is_known or len(self._reasons) > MAX_GROUPS:
            self._reasons, self._dictionaries = {}, dictionaries
        codes = [numbered(column, rows[asked]) for column in columns]
        if self._table.is_layered:  # the columns of who asks are made anew for each batch
            self._reasons = {}
            codes += [column.codes[asked].astype(np.int64)
                      for column in results.asked.asking.values()]
        inverse, first = number_keys(packed(codes))
        numbers: dict[tuple[str, ...], int] = {texts[0]: 0}
        of_first = []
        for at, key in zip(first.tolist(), zip(*(c[first].tolist() for c in codes), strict=True),
                           strict=True):
            reason = self._reasons.get(key)
            if reason is None:
                reason = self._reasons[key] = self._reason(decisions, int(asked[at]))
            of_first.append(numbers.setdefault(reason, len(numbers)))
        which[is_open] = np.array(of_first, dtype=np.int64)[inverse]
        return Reasons(records, which, list(numbers))

    def _reason(self, decisions: Decisions, row: int) -> tuple[str, ...]:
        """What would settle a row; it follows from its request, unless that has an error."""
        if decisions.error[row]:
            return tuple(sorted(decisions.reason(row)))
        request = decisions.request(row)
        if not self._table.is_layered:  # then who asks is told by keys alone
            request = replace(request, principal=None)
        spelled = repr(request)
        reason = self._reasons_of.get(spelled)
        if reason is None:
            if len(self._reasons_of) >= _MOST_REASONS:
                self._reasons_of.clear()
            reason = self._reasons_of[spelled] = tuple(sorted(decisions.reason(row)))
        return reason


def is_told(column: Any) -> bool:
    """Does any row tell of the key of a column?"""
    return not hasattr(column, "codes") or not (column.codes == NOT_GIVEN).all()


def numbered(column: Any, rows: NDArray[np.int32]) -> NDArray[Any]:
    """Numbers that tell the values of a column apart, for these rows."""
    if hasattr(column, "codes"):
        codes: NDArray[Any] = column.codes[rows]
        return codes
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(repr(value), len(numbers))
                     for value in column.take(rows).to_pylist()], dtype=np.int64)


def _is_one_each(group: NDArray[np.int32]) -> bool:
    """Has each record one request? `group` is as long as there are records."""
    return bool((group == np.arange(len(group), dtype=np.int32)).all())


def _strongest_members(group: NDArray[np.int32], decision: NDArray[np.uint8]
                       ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(records, place of the deciding request of each): the first of the strongest decision."""
    count = len(group)
    if (group[1:] > group[:-1]).all():  # as mostly: one request each
        return group.astype(np.int64), np.arange(count)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    # one number that orders by strength, then by place with the earlier one larger
    strength = _RANK[decision[order]] * count + (count - 1 - np.arange(count))
    best = np.maximum.reduceat(strength, starts)
    return ordered[starts].astype(np.int64), order[count - 1 - best % count]


def _take(column: Any, rows: NDArray[np.int32]) -> Any:
    """The rows of a column; a dictionary much larger than the batch is cut down to what is used,
    unless it is one that need not be looked through."""
    if not hasattr(column, "codes"):
        return column.take(rows)
    codes = column.codes if len(rows) == len(column.codes) else column.codes[rows]
    if len(column.values) <= 2 * len(codes) or getattr(column.values, "are_resources", False):
        return Coded(codes, column.values)
    # values of the codes from 0 on that occur, behind places for those that stand for no value
    least = -NOT_GIVEN
    occurs = np.zeros(len(column.values) + least, dtype=bool)
    occurs[codes + least] = True
    kept = np.flatnonzero(occurs[least:])
    places = np.empty(len(occurs), dtype=np.int32)
    places[:least] = np.arange(-least, 0)
    places[kept + least] = np.arange(len(kept))
    take = getattr(column.values, "take", None)
    return Coded(places[codes + least], [column.values[code] for code in kept.tolist()]
                 if take is None else take(kept))


def _split_not_given(column: Any) -> tuple[Any, NDArray[np.bool_] | None]:
    """A column without codes of NOT_GIVEN, and the rows that had it, if any."""
    if not hasattr(column, "codes"):
        return column, None
    left = column.codes == NOT_GIVEN
    if not left.any():
        return column, None
    return Coded(np.where(left, ABSENT, column.codes).astype(np.int32), column.values), left


def _fill_unknown(column: Any, value: str | list[str]) -> Any:
    """The assumed value where a row does not tell."""
    if not hasattr(column, "codes"):
        return column
    codes = np.where(column.codes <= UNKNOWN, len(column.values), column.codes).astype(np.int32)
    return Coded(codes, [*column.values, value])
