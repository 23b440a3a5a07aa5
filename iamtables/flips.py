"""Calls that two sets of policies decide differently, told apart by kind and summed up in groups.

    flips = Flips(before_table, after_table)
    flips.add(before_results, after_results)     # of one batch, from two audits
    flips.groups()

A record flips when its decision becomes a denial (newly denied), ALLOW (newly allowed) or
UNDETERMINED (newly undetermined). A denial that becomes the other kind of denial is counted only.

A record of several requests is shown by the member that makes the difference: the one that is
denied afterwards, or no longer is, or else the one that keeps the record undetermined. On each side
stands the statement that decides about this member. With an implicit denial after an allow, this
is the Allow that spoke for the call before, and nothing after. Calls of a group share the resource
entry of the statement that is responsible: a Deny where one denies, else the Allow of the new side,
else of the old.

Memory is bounded: `MAX_GROUPS` groups, each with some examples of clipped texts. So is the time
for gates, the Allows of a layer that let a call through: `MAX_GATES` groups are given theirs, and
groups beyond say that they were not. The rows of a replay (`replay_rows`) all have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .audit import BatchResults
from .audit_counts import UNDECIDED
from .gates import find_gate, is_gated
from .logs.columns import packed
from .responsible import MatchedEntries, resource_type
from .runtime.codes import DecisionCode, Layer
from .tallies import OTHERS

if TYPE_CHECKING:
    from .batches import Batch
    from .runtime import StatementInfo, Table

MAX_GROUPS = 20_000
"""Groups told apart; flips beyond go to one group per change, named `OTHERS`."""
MAX_EXAMPLES = 100
"""Examples kept of a group, at most."""
MAX_RESOURCES = 3
"""Resources named where no entry of a policy stands for them; of more, the type is told."""
MAX_GATES = 1_000
"""Groups for which the Allow of a layer that is missing on one side is looked up on the other."""
MAX_TEXT = 2048
"""Characters kept of a text from a log (the longest ARN that AWS accepts)."""
NOT_KNOWN = "(not known)"
"""Stands for a resource, principal or action that the record does not tell."""


class Change(IntEnum):
    """What became of a record, in the order in which it is told."""

    NEWLY_DENIED = 0
    NEWLY_ALLOWED = 1
    NEWLY_UNDETERMINED = 2
    OTHER = 3
    """An implicit denial became an explicit one, or the other way round."""
    UNCHANGED = 4

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


FLIPS = (Change.NEWLY_DENIED, Change.NEWLY_ALLOWED, Change.NEWLY_UNDETERMINED)
NOT_COMPARED = 255
"""Change of a record that not both sides decided."""

_DENIALS = (DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY)


def change_of(before: DecisionCode, after: DecisionCode) -> Change:
    """What a pair of decisions means."""
    if before == after:
        return Change.UNCHANGED
    if after in _DENIALS:
        return Change.OTHER if before in _DENIALS else Change.NEWLY_DENIED
    return Change.NEWLY_ALLOWED if after == DecisionCode.ALLOW else Change.NEWLY_UNDETERMINED


_CHANGES = np.full((256, 256), NOT_COMPARED, dtype=np.uint8)
for _before in DecisionCode:
    for _after in DecisionCode:
        _CHANGES[_before, _after] = change_of(_before, _after)


class Side(NamedTuple):
    """How one set of policies decides.

    layer     : the layer that decided; NONE while undetermined, IDENTITY for identity policies
    statement : the one that speaks for or against the member that is shown; None: none does
    gate      : where this side allows and the other denies implicitly in a layer such as the
                service control policies: an Allow of that layer for the first example, which the
                other side lacks. Looked up for MAX_GATES groups (`Group.gate_left_out`).
    """

    decision: DecisionCode
    layer: Layer
    statement: StatementInfo | None
    gate: StatementInfo | None = None


class Example(NamedTuple):
    """A record of a log by event id and time, or a row of a table of requests by its place."""

    event_id: str | None
    time: int | None
    """Unix seconds."""
    place: str | None
    """`file:row`, for tables of requests."""
    resource: str


@dataclass(frozen=True, slots=True)
class Group:
    """Records of one principal and action that flip alike, for the same statements.

    resources  : one entry as a policy writes it, up to MAX_RESOURCES resources, or one type
    depends_on : what would settle the examples, where they are newly undetermined
    gate_left_out : there may be a `Side.gate`, which was not looked up (MAX_GATES)
    """

    change: Change
    principal: str
    action: str
    resources: tuple[str, ...]
    before: Side
    after: Side
    records: int
    examples: tuple[Example, ...]
    depends_on: tuple[str, ...] = ()
    gate_left_out: bool = False

    @property
    def is_rest(self) -> bool:
        """Holds what was beyond MAX_GROUPS."""
        return self.principal == OTHERS


@dataclass(frozen=True, slots=True)
class BatchFlips:
    """The flips of one batch, `before.batch`.

    change    : uint8 per record of the batch, `Change`, or NOT_COMPARED
    records   : int64[n], the records that flip, ascending
    row       : int32[n], the request of each that makes the difference
    depends_on: what would settle those that became undetermined
    """

    before: BatchResults
    after: BatchResults
    change: NDArray[np.uint8]
    records: NDArray[np.int64]
    row: NDArray[np.int32]
    depends_on: Mapping[int, tuple[str, ...]]


def changes(before: BatchResults, after: BatchResults) -> NDArray[np.uint8]:
    """`Change` of each record, NOT_COMPARED where it was not decided on both sides."""
    found: NDArray[np.uint8] = _CHANGES[before.decision, after.decision]
    return found


def shown_rows(before: BatchResults, after: BatchResults, records: NDArray[np.int64]
               ) -> NDArray[np.int32]:
    """The request of each flipped record that makes the difference."""
    is_denied_after = np.isin(after.decision[records], _DENIALS)
    was_denied = np.isin(before.decision[records], _DENIALS)
    is_allowed = after.decision[records] == DecisionCode.ALLOW
    # Who was denied and no longer is, and who was undetermined and is allowed, had one member
    # that stood in the way before. All others have one that does now.
    is_old = ~is_denied_after & (was_denied | is_allowed)
    rows: NDArray[np.int32] = np.where(is_old, before.row[records], after.row[records])
    return rows


@dataclass(slots=True)
class _Tally:
    records: int = 0
    examples: list[Example] = field(default_factory=list)
    resources: dict[str, None] = field(default_factory=dict)
    depends_on: list[tuple[str, ...]] = field(default_factory=list)
    """Of each example."""
    gate: StatementInfo | None = None
    gate_left_out: bool = False
    """It was not looked up."""


class _Key(NamedTuple):
    """`place`: an entry of a policy when `is_entry`, else the type of the resources."""

    change: int
    principal: str
    action: str
    place: str
    is_entry: bool
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    """(decision, layer, statement) of each side."""


@dataclass(slots=True)
class Totals:
    """What flips add up to, without their tables: it can travel between processes.

    limit       : examples kept of a group
    transitions : records by decision before and after
    only_before, only_after : records whose requester only one side can decide about
    """

    limit: int
    groups: dict[_Key, _Tally] = field(default_factory=dict)
    transitions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(
        (len(DecisionCode), len(DecisionCode)), dtype=np.int64))
    only_before: int = 0
    only_after: int = 0

    def new_group(self, key: _Key) -> tuple[_Key, _Tally]:
        """A group, or the one for all that are beyond the bound, and its key."""
        if len(self.groups) >= MAX_GROUPS:
            key = _Key(key.change, OTHERS, OTHERS, OTHERS, True, (key.before[0], 0, -1),
                       (key.after[0], 0, -1))
        return key, self.groups.setdefault(key, _Tally())

    def merge(self, later: Totals) -> None:
        """Add what the same tables made of later batches."""
        self.transitions += later.transitions
        self.only_before += later.only_before
        self.only_after += later.only_after
        for key, other in later.groups.items():
            tally = self.groups.get(key)
            if tally is None:
                key, tally = self.new_group(key)
                if key.principal != OTHERS:
                    tally.gate, tally.gate_left_out = other.gate, other.gate_left_out
            elif tally.gate_left_out:
                tally.gate, tally.gate_left_out = other.gate, other.gate_left_out
            tally.records += other.records
            room = max(0, self.limit - len(tally.examples))
            tally.examples += other.examples[:room]
            tally.depends_on += other.depends_on[:room]
            for resource in other.resources:
                if not key.is_entry and len(tally.resources) <= MAX_RESOURCES:
                    tally.resources.setdefault(resource)


class Flips:
    """Counts and groups of what two tables decide differently."""

    def __init__(self, before: Table, after: Table, *, examples: int = 3) -> None:
        """examples : how many records are named for each group, up to MAX_EXAMPLES"""
        self._tables = before, after
        self._entries = MatchedEntries(before), MatchedEntries(after)
        self._gates = 0
        self.totals = Totals(max(0, min(examples, MAX_EXAMPLES)))

    def add(self, before: BatchResults, after: BatchResults,
            settle: Callable[[NDArray[np.bool_]], Mapping[int, tuple[str, ...]]] | None = None
            ) -> BatchFlips:
        """Compare the results of one batch, and count.

        settle : tells what would settle the records of a mask (`Audit.depends_on` of the new side)
        """
        change = changes(before, after)
        compared = change != NOT_COMPARED
        totals = self.totals
        np.add.at(totals.transitions, (before.decision[compared], after.decision[compared]), 1)
        totals.only_before += int((~compared & (before.decision != UNDECIDED)).sum())
        totals.only_after += int((~compared & (after.decision != UNDECIDED)).sum())
        records = np.flatnonzero(change <= FLIPS[-1])
        is_open = change == Change.NEWLY_UNDETERMINED
        depends_on = settle(is_open) if settle is not None and is_open.any() else {}
        flips = BatchFlips(before, after, change, records, shown_rows(before, after, records),
                           depends_on)
        if len(records):
            self._count(flips)
        return flips

    def add_others(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Count the records of a batch that do not flip, by their decisions; the places of those
        that do, for `add`."""
        pairs = np.bincount(before.astype(np.int64) << 8 | after, minlength=1 << 16).reshape(
            256, 256)
        size, is_flip = len(DecisionCode), FLIPS[-1] >= _CHANGES
        totals = self.totals
        totals.transitions += np.where(is_flip, 0, pairs)[:size, :size]
        totals.only_before += int(pairs[:size, UNDECIDED].sum())
        totals.only_after += int(pairs[UNDECIDED, :size].sum())
        if not pairs[is_flip].any():
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(is_flip[before, after])

    def _count(self, flips: BatchFlips) -> None:
        """Take the flips of a batch into the groups."""
        batch = flips.before.batch
        facts = self._facts(flips)
        keys = packed(facts)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
        stops = np.r_[starts[1:], len(order)]
        heads = [column[order[starts]].tolist() for column in facts]
        runs = list(zip(starts.tolist(), stops.tolist(), zip(*heads, strict=True), strict=True))
        # In the order of the log: what is named must not depend on where batches are cut.
        runs.sort(key=lambda run: int(order[run[0]]))
        named: dict[_Key, list[tuple[int, str]]] = {}
        for start, stop, head in runs:
            self._count_alike(batch, flips, order[start:stop], head, named)
        for key, candidates in named.items():
            tally = self.totals.groups[key]
            candidates.sort()
            for record, shown in candidates[: self.totals.limit - len(tally.examples)]:
                tally.examples.append(_example(batch, record, shown))
                tally.depends_on.append(
                    tuple(map(clipped, flips.depends_on.get(record, ()))))

    def _facts(self, flips: BatchFlips) -> list[NDArray[Any]]:
        records, rows, batch = flips.records, flips.row, flips.before.batch
        facts: list[NDArray[Any]] = [
            flips.change[records], batch.principal.codes[rows], batch.action.codes[rows],
            batch.resource.codes[rows],
        ]
        pattern = getattr(batch, "resource_pattern", None)  # tables of requests have none
        facts.append(facts[-1] if pattern is None else pattern.codes[rows])
        for side in (flips.before, flips.after):
            facts += [side.decision[records], side.layer[records], side.request_statement[rows]]
        return facts

    def _count_alike(self, batch: Batch, flips: BatchFlips, places: NDArray[np.int64],
                     head: Sequence[int], named: dict[_Key, list[tuple[int, str]]]) -> None:
        """Count records that are equal in all facts. `places` lead into `flips.records`.

        named : takes (record, resource) of those that may become examples of their group
        """
        change, who, what, which, part = head[:5]
        before, after = (head[5], head[6], head[7]), (head[8], head[9], head[10])
        resource = _text(batch.resource, which)
        shown = resource
        if resource is None and hasattr(batch, "resource_pattern"):
            shown = _text(batch.resource_pattern, part)  # what is known of it
        place = self._entry(before, after, resource)
        key = _Key(
            change, clipped(_text(batch.principal, who) or NOT_KNOWN),
            clipped(_text(batch.action, what) or NOT_KNOWN),
            clipped(place if place is not None else
                    NOT_KNOWN if shown is None else resource_type(shown)),
            place is not None, before, after,
        )
        totals = self.totals
        tally = totals.groups.get(key)
        if tally is None:
            key, tally = totals.new_group(key)
            if key.principal != OTHERS:
                self._find_gate(tally, flips, int(flips.row[places[0]]), before, after)
        tally.records += len(places)
        shown = clipped(shown or NOT_KNOWN)
        if not key.is_entry and len(tally.resources) <= MAX_RESOURCES:
            tally.resources.setdefault(shown)
        room = self.totals.limit - len(tally.examples)
        if room > 0:
            records = flips.records[places[:room]].tolist()
            named.setdefault(key, []).extend((record, shown) for record in records)

    def _find_gate(self, tally: _Tally, flips: BatchFlips, row: int,
                   before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
        """The Allow that one side has, in the layer that denies implicitly on the other."""
        sides = list(zip(self._tables, (flips.before, flips.after), (before, after), strict=True))
        if before[0] != DecisionCode.ALLOW:
            sides.reverse()
        (allows, allowing, allow), (denies, denying, deny) = sides
        if not is_gated(allow[:2], deny[:2]):
            return
        tally.gate_left_out = self._gates >= MAX_GATES
        if not tally.gate_left_out:
            self._gates += 1
            tally.gate = find_gate(allows, allowing, denies, denying, row, Layer(deny[1]))

    def _entry(self, before: tuple[int, int, int], after: tuple[int, int, int],
               resource: str | None) -> str | None:
        """The resource entry of the statement that is responsible."""
        sides = [(self._entries[1], after), (self._entries[0], before)]
        sides.sort(key=lambda side: side[1][0] != DecisionCode.EXPLICIT_DENY)
        for entries, (_, _, statement) in sides:
            if statement >= 0:
                return entries.of(statement, resource)
        return None

    def counts(self) -> dict[str, int]:
        """Records by change."""
        totals = dict.fromkeys((change.label for change in Change), 0)
        transitions = self.totals.transitions
        for before in DecisionCode:
            for after in DecisionCode:
                totals[change_of(before, after).label] += int(transitions[before, after])
        return totals

    def groups(self) -> Iterator[Group]:
        """Newly denied first; within a change the largest first, then by name."""
        ordered = sorted(self.totals.groups.items(),
                         key=lambda item: (item[0].change, -item[1].records, item[0]))
        for key, tally in ordered:
            resources: tuple[str, ...] = (key.place,)
            if not key.is_entry and len(tally.resources) <= MAX_RESOURCES:
                resources = tuple(tally.resources)
            yield Group(
                Change(key.change), key.principal, key.action, resources,
                self._side(0, key.before, tally.gate), self._side(1, key.after, tally.gate),
                tally.records,
                tuple(tally.examples),
                tuple(dict.fromkeys(reason for one in tally.depends_on for reason in one)),
                tally.gate_left_out,
            )

    def _side(self, which: int, key: tuple[int, int, int], gate: StatementInfo | None) -> Side:
        decision, layer, statement = key
        return Side(DecisionCode(decision), Layer(layer),
                    self._tables[which].statements[statement] if statement >= 0 else None,
                    gate if decision == DecisionCode.ALLOW else None)


def clipped(text: str) -> str:
    """The text, up to MAX_TEXT characters."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _text(column: Any, code: int) -> str | None:
    return str(column.values[code]) if code >= 0 else None


def _example(batch: Any, record: int, resource: str) -> Example:
    if hasattr(batch, "event_id"):
        time = int(batch.time[record])
        return Example(clipped(batch.event_id[record]), time if time >= 0 else None, None, resource)
    if hasattr(batch, "path"):
        return Example(None, None, f"{batch.path}:{batch.start + record + 1}", resource)
    return Example(None, None, None, resource)
