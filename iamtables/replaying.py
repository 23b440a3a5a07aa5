"""What a change of policies does to real calls: a log decided under the old and the new ones.

    result = replay(before, after, read_logs(["AWSLogs/"]))
    result.newly_denied, result.groups[0]

The log is read, mapped and its texts are interned once; each batch is decided under both tables and
forgotten. `flips` says which records flip and how they are summed up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .audit import Audit, Missing, keys_of, needs_request
from .audit_counts import REQUESTERS, UNDECIDED
from .batches import Batch
from .flips import BatchFlips, Change, Flips, Group, Totals
from .logs.classes import RecordClass, Requester
from .request_tables import RequestBatch, is_request_source, request_batches
from .runtime.values import encode_text
from .tallies import DECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from .logs.stored import Stored
    from .runtime import Table


def keys_of_both(before: Table, after: Table) -> tuple[str, ...]:
    """The context keys worth reading from a log for two tables."""
    first: dict[str, str] = {}
    for key in (*keys_of(before), *keys_of(after)):
        first.setdefault(key.lower(), key)
    return tuple(first.values())


def either_needs_request(before: Table, after: Table) -> Callable[[str], bool]:
    """Tells of an action whether its resource and context are worth reading.

    They are when one of the tables asks for them, and when action and principal alone make the two
    differ: then the resource is part of the report.
    """
    needs, needs_after = needs_request(before), needs_request(after)

    @cache
    def either(action: str) -> bool:
        if needs(action) or needs_after(action):
            return True
        text = encode_text(action)
        constants = {table.planner.cell(text, 0)[0] for table in (before, after)}
        return len(constants) > 1

    return either


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Counts of records, and the flips in groups.

    transitions  : decision before -> decision after -> records decided on both sides
    only_before, only_after : records whose requester only one side can decide about (identity
                   policies against an organization)
    not_carrying : records whose requester neither side can decide about, by kind
    not_selected : records of principals that were left out
    classes      : all records by class (logs.classes.RecordClass)
    """

    records: int
    requests: int
    decided: int
    transitions: Mapping[str, Mapping[str, int]]
    counts: Mapping[str, int]
    """Records by change, of those decided on both sides."""
    groups: tuple[Group, ...]
    only_before: int = 0
    only_after: int = 0
    not_carrying: Mapping[str, int] = field(default_factory=dict)
    not_selected: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    is_layered: bool = False
    """One side at least has more layers than identity policies."""

    @property
    def newly_denied(self) -> int:
        """Records that were not denied and are."""
        return self.counts[Change.NEWLY_DENIED.label]

    @property
    def newly_allowed(self) -> int:
        """Records that are allowed and were not."""
        return self.counts[Change.NEWLY_ALLOWED.label]

    @property
    def newly_undetermined(self) -> int:
        """Records that were determined and are not."""
        return self.counts[Change.NEWLY_UNDETERMINED.label]

    @property
    def unchanged(self) -> int:
        return self.counts[Change.UNCHANGED.label]

    @property
    def other_changes(self) -> int:
        """Denials that became the other kind of denial."""
        return self.counts[Change.OTHER.label]

    @property
    def gates_left_out(self) -> int:
        """Groups whose gate was not looked up (`Group.gate_left_out`)."""
        return sum(group.gate_left_out for group in self.groups)

    def groups_of(self, change: Change) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.change is change)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can write it."""
        from .replay_report import as_dict

        return as_dict(self)

    def to_arrow(self) -> pa.Table:
        """One row per group."""
        from .replay_rows import groups_table

        return groups_table(self)

    def to_markdown(self, *, top: int = 20) -> str:
        """A report of bounded length that fits a comment on a pull request.

        top : groups shown of each change
        """
        from .replay_report import as_markdown

        return as_markdown(self, top)

    def _repr_html_(self) -> str:
        from .replay_report import as_html

        return as_html(self)


@dataclass(slots=True)
class ReplayCounts:
    """What a replay counted, without its tables: it can travel between processes.

    classes      : int64 per record class
    not_carrying : int64 per kind of requester
    """

    flips: Totals
    records: int = 0
    requests: int = 0
    not_selected: int = 0
    classes: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(RecordClass), dtype=np.int64))
    not_carrying: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(Requester), dtype=np.int64))

    def merge(self, later: ReplayCounts) -> None:
        """Add what was counted in later batches."""
        self.records += later.records
        self.requests += later.requests
        self.not_selected += later.not_selected
        self.classes += later.classes
        self.not_carrying += later.not_carrying
        self.flips.merge(later.flips)


class Replay:
    """Decides batches under two tables and keeps count of what differs."""

    def __init__(self, before: Table, after: Table, *, principals: Sequence[str] = (),
                 missing: Missing = "unknown",
                 assume: Mapping[str, str | list[str]] | None = None, examples: int = 3) -> None:
        """principals, missing, assume : as in `Audit`, for both sides
        examples : records named for each group of flips
        """
        self.tables = before, after
        self._audits = tuple(
            Audit(table, principals=principals, missing=missing, assume=assume)
            for table in self.tables)
        self._flips = Flips(before, after, examples=examples)
        self.counts = ReplayCounts(self._flips.totals)

    def add(self, batch: Batch) -> BatchFlips:
        """Decide a batch on both sides; its flips, with the results of each side.

        The results are those of `flips.before.batch`: of a batch of a cache, its records that flip.
        """
        old, new = self._audits
        stored = getattr(batch, "stored", None)
        if stored is not None and (flips := self._add_stored(stored)) is not None:
            return flips
        before, after = old.decide(batch), new.decide(batch)
        counts = self.counts
        counts.records += batch.records
        counts.requests += batch.requests
        counts.classes += np.bincount(batch.record_class, minlength=len(RecordClass))
        is_call = batch.record_class <= RecordClass.PARTIAL
        can = old.is_decidable(batch) | new.is_decidable(batch)
        is_decided = (before.decision != UNDECIDED) | (after.decision != UNDECIDED)
        counts.not_carrying += np.bincount(batch.identity[is_call & ~can],
                                           minlength=len(Requester))
        counts.not_selected += int((can & ~is_decided).sum())
        return self._flips.add(before, after, lambda mask: new.depends_on(after, mask))

    def _add_stored(self, stored: Stored) -> BatchFlips | None:
        """Decide the distinct questions of a batch of a cache on both sides, and each record only
        where it flips; None when each is a question of its own."""
        old, new = self._audits
        records = len(stored.rows.call)
        decisions = []
        for audit in self._audits:
            decision = audit.decisions(stored)
            if decision is None:
                return None
            decisions.append(decision)
        before, after = decisions
        kinds, count = stored.combinations()
        counts = self.counts
        counts.records += records
        counts.requests += int(count[kinds.group].sum())
        counts.classes += _weighted(kinds.record_class, count, len(RecordClass))
        is_call = kinds.record_class <= RecordClass.PARTIAL
        can = old.is_decidable(kinds) | new.is_decidable(kinds)
        is_other = is_call & ~can
        counts.not_carrying += _weighted(kinds.identity[is_other], count[is_other], len(Requester))
        is_decided = (before != UNDECIDED) | (after != UNDECIDED)
        counts.not_selected += int(count[can].sum()) - int(np.count_nonzero(is_decided))
        part = stored.some(self._flips.add_others(before, after))
        of_new = new.decide(part)
        return self._flips.add(old.decide(part), of_new, lambda mask: new.depends_on(of_new, mask))

    def merge(self, counts: ReplayCounts) -> None:
        """Add what another replay of the same tables counted in later batches."""
        self.counts.merge(counts)

    def result(self) -> ReplayResult:
        """What all batches so far add up to."""
        counts, totals = self.counts, self._flips.totals
        return ReplayResult(
            records=counts.records,
            requests=counts.requests,
            decided=int(totals.transitions.sum()),
            transitions={
                name: dict(zip(DECISIONS, row, strict=True))
                for name, row in zip(DECISIONS, totals.transitions.tolist(), strict=True)
            },
            counts=self._flips.counts(),
            groups=tuple(self._flips.groups()),
            only_before=totals.only_before,
            only_after=totals.only_after,
            not_carrying={name: int(counts.not_carrying[kind])
                          for kind, name in REQUESTERS.items() if counts.not_carrying[kind]},
            not_selected=counts.not_selected,
            classes={kind.label: int(counts.classes[kind]) for kind in RecordClass},
            is_layered=any(table.is_layered for table in self.tables),
        )


def _weighted(codes: NDArray[np.uint8], count: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.bincount(codes, count, size).astype(np.int64)


def replay(before: Table, after: Table, requests: Any, *, principals: Sequence[str] = (),
           missing: Missing | None = None,
           assume: Mapping[str, str | list[str]] | None = None, examples: int = 3) -> ReplayResult:
    """Which calls change their decision when `before` is replaced by `after`.

    requests : the batches of `iamtables.logs.read_logs`, or requests in a form that
               `Table.decide` takes as a whole: an Arrow table or stream, or a mapping of columns
    missing  : what a key is that no record supplies. None: unknown for logs, absent for tables
    The rest is as in `Audit`. Give `read_logs` the keys of both tables (`keys_of_both`), or none,
    which reads all that records tell.

    Raises ColumnError for columns that do not fit together, and what the reader raises.
    """
    batches: Iterable[Any]
    if is_request_source(requests):
        batches = request_batches(requests, keys_of_both(before, after))
    else:
        batches = requests
    batches = iter(batches)
    first = next(batches, None)
    chosen = missing or ("absent" if isinstance(first, RequestBatch) else "unknown")
    run = Replay(before, after, principals=principals, missing=chosen, assume=assume,
                 examples=examples)
    for batch in chain(() if first is None else (first,), batches):
        run.add(cast(Batch, batch))
    return run.result()
