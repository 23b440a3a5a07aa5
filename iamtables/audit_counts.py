"""What the decisions of a log add up to: counts per batch in, a summary out, in bounded memory.

Distinct names are counted up to `MAX_GROUPS`; the rest goes to `OTHERS`. Counts of several audits
under one table can be merged, in whatever processes they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .batches import Batch, Decided
from .logs.classes import Outcome, RecordClass, Requester
from .logs.columns import packed
from .logs.numbering import number_keys
from .reality import Reality, RealityCheck
from .repeats import Repeats, counted, total
from .runtime.codes import DecisionCode, Layer
from .tallies import (
    ACTION_BITS,
    DECISIONS,
    MAX_GROUPS,
    OTHERS,
    PRINCIPAL_BITS,
    Group,
    Groups,
    Totals,
)

if TYPE_CHECKING:
    from .runtime import Table

MAX_DAYS = 20_000
_DAY_S = 86_400
_MANY_DAYS = 40_000
"""Days between two of a batch that are counted in one table; with more they are sorted."""
_NO_DAY = -1

REQUESTERS = {
    Requester.ROOT: "root user",
    Requester.SERVICE: "AWS service",
    Requester.ANONYMOUS: "anonymous",
    Requester.FEDERATED_PROVIDER: "federated provider",
    Requester.OTHER_ACCOUNT: "principal of another account",
    Requester.UNKNOWN: "unknown",
}
OUTCOMES = {Outcome.PASSED: "passed", Outcome.FAILED: "failed",
            Outcome.NO_INFORMATION: "no information"}

UNDECIDED = 255
"""Decision of a record that was not decided."""


@dataclass(slots=True)
class Summary:
    """Counts of records. `classes` adds up to `records`; `decided`, `not_carrying` and
    `not_selected` add up to the mapped and partial ones."""

    records: int = 0
    requests: int = 0
    decided: int = 0
    not_selected: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    reasons: list[tuple[str, str, int]] = field(default_factory=list)
    """(class, reason, records), most frequent first."""
    not_carrying: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    principals: dict[str, list[int]] = field(default_factory=dict)
    """Records by decision code, per principal; busiest first."""
    actions: dict[str, list[int]] = field(default_factory=dict)
    statements: dict[int, list[int]] = field(default_factory=dict)
    groups: Sequence[Group] = ()
    """(principal, action, statement id, decision, records), most frequent first."""
    depends_on: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    """What would settle undetermined records, with the number of records."""
    services: dict[str, list[int]] = field(default_factory=dict)
    layers: dict[str, list[int]] = field(default_factory=dict)
    """Records by decision code, per layer that decided; `-` while undetermined."""
    missing_layers: tuple[str, ...] = ()
    """Policy types that the snapshot of the organization does not hold at all."""
    days: dict[str, list[int]] = field(default_factory=dict)
    """Records by decision code, per day (UTC) in order; `-` for records without a time."""
    agreement: dict[str, dict[str, int]] = field(default_factory=dict)
    """Recorded outcome -> decision -> records."""
    reality: Reality | None = None
    """Where log and policies disagree; None for tables of requests."""
    not_supplied: tuple[str, ...] = ()
    """Context keys that the policies ask for and no record supplies."""


class Counts:
    """Running totals over batches."""

    def __init__(self, table: Table) -> None:
        self.missing_layers = table.missing_layers
        self.is_layered = table.is_layered
        self.layers = np.zeros((len(Layer), len(DecisionCode)), dtype=np.int64)
        self.records = self.requests = self.not_selected = 0
        self.classes = np.zeros(len(RecordClass), dtype=np.int64)
        self.reasons: Counter[tuple[int, str]] = Counter()
        self.not_carrying = np.zeros(len(Requester), dtype=np.int64)
        self.principals = Totals(PRINCIPAL_BITS)
        self.actions = Totals(ACTION_BITS)
        self.statements: dict[int, NDArray[np.int64]] = {}
        self.groups = Groups()
        self.depends_on: Counter[tuple[str, ...]] = Counter()
        self.agreement = np.zeros((len(Outcome), len(DecisionCode)), dtype=np.int64)
        self.days: dict[int, NDArray[np.int64]] = {}
        self.reality = RealityCheck()
        self.is_log = False
        self.not_supplied: tuple[str, ...] | None = None
        """Keys that no batch supplied; None before the first one."""

    def add_not_supplied(self, keys: tuple[str, ...] | None) -> None:
        """Keys that a batch did not supply: others may."""
        if self.not_supplied is None or keys is None:
            self.not_supplied = keys if self.not_supplied is None else self.not_supplied
        else:
            self.not_supplied = tuple(key for key in self.not_supplied if key in keys)

    def add(self, results: Decided, is_other: NDArray[np.bool_], is_unwanted: NDArray[np.bool_],
            repeats: Repeats | None = None, changes: Batch | None = None) -> None:
        """is_other : calls whose requester is not decided about
        is_unwanted : calls of principals that are not selected
        repeats     : the records that each stands for; None: itself
        changes     : where records stand for others, those that `RealityCheck.note_changes` needs
        """
        batch, decision, statement = results.batch, results.decision, results.statement
        row, layer = results.row, results.layer
        count = None if repeats is None else repeats.count
        self.records += batch.records if count is None else int(count.sum())
        self.requests += batch.requests if count is None else int(count[batch.group].sum())
        self.not_selected += total(is_unwanted, count)
        self.classes += counted(batch.record_class, count, None, len(RecordClass))
        self.not_carrying += counted(batch.identity, count, is_other, len(Requester))
        self._add_reasons(batch, count)
        if results.depends_on:
            for record, reasons in results.depends_on.items():
                self.depends_on[reasons] += 1 if count is None else int(count[record])
        self.reality.add(batch, decision, statement, row, repeats)
        if repeats is None:
            self.reality.note_changes(batch)
        elif changes is not None:
            self.reality.note_changes(changes)
        decided = np.flatnonzero(decision != UNDECIDED)
        if not len(decided):
            return
        code = decision[decided].astype(np.int64)
        if count is not None:
            count = count[decided]
        _count(self.agreement, batch.outcome[decided], code, count)
        _count(self.layers, layer[decided], code, count)
        times = getattr(batch, "time", None)
        if times is not None:
            self.is_log = True
            if repeats is not None:
                times = repeats.time
            first, last = int(times.min()), int(times.max())
            if first >= 0 and first // _DAY_S == last // _DAY_S:  # as files are delivered
                self._add_day(first // _DAY_S, counted(code, count).tolist())
            elif repeats is None:
                self._add_days(times[decided], code)
            else:
                of_record = repeats.spread(decision[repeats.kind])
                is_decided = of_record != UNDECIDED
                self._add_days(times[is_decided], of_record[is_decided])
        at, by = row[decided], statement[decided]
        what = self.actions.add(batch.action.values, batch.action.codes[at], code, count)
        totals = counted((by + 1).astype(np.int64) * len(DecisionCode) + code, count)
        pairs = np.flatnonzero(totals)
        for pair, many in zip((pairs - len(DecisionCode)).tolist(), totals[pairs].tolist(),
                              strict=True):
            _bump(self.statements, pair // len(DecisionCode), pair % len(DecisionCode), many)
        if repeats is None:
            who = self.principals.add(
                batch.principal.values, batch.principal.codes[at], code, count)
            self.groups.add(who, what, by, code, count)
            return
        of, place = repeats.pairs_of(decided)
        many = repeats.of_pair[of]
        who = self.principals.add(
            batch.principal.values, repeats.principal[of], code.take(place), many)
        self.groups.add_pairs(who, place, what, by, code, many)

    def _add_days(self, times: NDArray[np.int64], code: NDArray[Any]) -> None:
        days = np.where(times < 0, _NO_DAY, times // _DAY_S)
        first = int(days.min())
        if int(days.max()) - first < _MANY_DAYS:
            days -= first
            distinct = np.arange(first, first + int(days.max()) + 1)
        else:
            distinct, days = np.unique(days, return_inverse=True)
            days = days.ravel()
        counts = np.bincount(days * len(DecisionCode) + code,
                             minlength=len(distinct) * len(DecisionCode)).reshape(
                                 len(distinct), -1)
        for at in np.flatnonzero(counts.any(axis=1)).tolist():
            self._add_day(int(distinct[at]), counts[at].tolist())

    def _add_day(self, day: int, counts: list[int]) -> None:
        """counts : records by decision"""
        if day not in self.days and len(self.days) >= MAX_DAYS:
            day = _NO_DAY
        for decision, count in enumerate(counts):
            if count:
                _bump(self.days, day, decision, count)

    def _add_reasons(self, batch: Batch, count: NDArray[np.int64] | None) -> None:
        codes, values = batch.record_reason.codes, batch.record_reason.values
        told = codes >= 0
        if told.any():
            kinds, reasons = batch.record_class[told], codes[told]
            which, first = number_keys(packed([kinds, reasons]))
            counts = counted(which, None if count is None else count[told])
            for kind, code, many in zip(kinds[first].tolist(), reasons[first].tolist(),
                                        counts.tolist(), strict=True):
                self._add_reason((kind, str(values[code])), many)

    def _add_reason(self, reason: tuple[int, str], count: int) -> None:
        if reason not in self.reasons and len(self.reasons) >= MAX_GROUPS:
            reason = (reason[0], OTHERS)
        self.reasons[reason] += count

    def merge(self, other: Counts) -> None:
        """Add the counts of later batches."""
        for name in ("layers", "records", "requests", "not_selected", "classes", "not_carrying",
                     "agreement"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self._add_reason(reason, count)
        self.depends_on.update(other.depends_on)
        _add_totals(self.statements, other.statements)
        for day, counts in other.days.items():
            is_full = day not in self.days and len(self.days) >= MAX_DAYS
            _add_totals(self.days, {_NO_DAY if is_full else day: counts})
        self.groups.merge(other.groups, self.principals.merge(other.principals),
                          self.actions.merge(other.actions))
        self.reality.merge(other.reality)
        self.is_log |= other.is_log
        self.add_not_supplied(other.not_supplied)

    def summary(self) -> Summary:
        actions = self.actions.by_name()
        by_decision = sum(self.statements.values(), np.zeros(len(DecisionCode), dtype=np.int64))
        return Summary(
            records=self.records,
            requests=self.requests,
            decided=int(by_decision.sum()),
            not_selected=self.not_selected,
            classes={kind.label: int(self.classes[kind]) for kind in RecordClass},
            reasons=[(RecordClass(kind).label, text, count)
                     for (kind, text), count in _ranked(self.reasons)],
            not_carrying={name: int(self.not_carrying[kind]) for kind, name in REQUESTERS.items()
                          if self.not_carrying[kind]},
            decisions=dict(zip(DECISIONS, by_decision.tolist(), strict=True)),
            principals=self.principals.by_name(),
            actions=actions,
            statements=_busiest(self.statements),
            services=_busiest(_by_service(actions)),
            layers={
                "-" if layer is Layer.NONE else layer.name.lower(): self.layers[layer].tolist()
                for layer in Layer if self.is_layered and self.layers[layer].any()
            },
            missing_layers=self.missing_layers,
            days={_day_name(day): self.days[day].tolist() for day in sorted(self.days)},
            reality=self.reality.reality() if self.is_log else None,
            groups=self.groups.ranked(self.principals.names, self.actions.names),
            depends_on=_ranked(self.depends_on),
            agreement={
                name: dict(zip(DECISIONS, self.agreement[outcome].tolist(), strict=True))
                for outcome, name in OUTCOMES.items()
            },
            not_supplied=self.not_supplied or (),
        )


def _count(table: NDArray[np.int64], first: NDArray[Any], second: NDArray[Any],
           count: NDArray[np.int64] | None) -> None:
    """Add what each pair stands for to the table's entry of it."""
    pairs = first.astype(np.int64) * table.shape[1] + second
    table += counted(pairs, count, None, table.size).reshape(table.shape)


def _bump(totals: dict[Any, NDArray[np.int64]], name: Any, decision: int, count: int) -> None:
    counts = totals.get(name)
    if counts is None:
        if len(totals) >= MAX_GROUPS:
            name = OTHERS if isinstance(name, str) else -1
        counts = totals.setdefault(name, np.zeros(len(DecisionCode), dtype=np.int64))
    counts[decision] += count


def _add_totals(totals: dict[Any, NDArray[np.int64]], more: Mapping[Any, NDArray[np.int64]]
                ) -> None:
    for name, counts in more.items():
        for decision, count in enumerate(counts.tolist()):
            if count:
                _bump(totals, name, decision, count)


def _by_service(actions: dict[str, list[int]]) -> dict[str, NDArray[np.int64]]:
    totals: dict[str, NDArray[np.int64]] = {}
    for action, counts in actions.items():
        name = action.partition(":")[0]
        totals[name] = totals.get(name, 0) + np.array(counts)
    return totals


def _day_name(day: int) -> str:
    if day == _NO_DAY:
        return "-"
    return str(np.datetime64(day, "D"))


def _ranked(counter: Counter[Any]) -> list[tuple[Any, int]]:
    """Most frequent first, then by name, so that the order is defined."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _busiest(totals: dict[Any, NDArray[np.int64]]) -> dict[Any, list[int]]:
    ordered = sorted(totals.items(), key=lambda item: (-int(item[1].sum()), item[0]))
    return {name: counts.tolist() for name, counts in ordered}
