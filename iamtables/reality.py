"""The log's own outcome beside our decision: where both are determined and disagree.

Section 7 of docs/spec/cloudtrail.md. A record that passed although these policies deny it, or
failed although they allow it, is a *contradiction*: a stale snapshot of policies, a policy that is
missing from it, or a defect of ours. A failure that AWS ascribes to a policy type that was not
loaded contradicts nothing. Contradictions are counted by what they have in common, in bounded
memory, with the likeliest cause: changes of the principal's policies that the log itself shows are
looked for first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .logs.classes import Outcome, Requester
from .logs.columns import packed
from .logs.names import pattern_of
from .logs.outcome import WEAKLY
from .runtime.codes import DecisionCode

MAX_KINDS = 50_000
"""Distinct contradictions kept; further ones are counted in `dropped`."""
PROPAGATION_S = 60
"""A change of policies may take this long to be seen everywhere."""
IDENTITY = "identity-based policy"
NOT_NAMED = "not named"

_CHANGES = (
    "AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy", "DetachRolePolicy",
    "DetachUserPolicy", "DetachGroupPolicy", "PutRolePolicy", "PutUserPolicy", "PutGroupPolicy",
    "DeleteRolePolicy", "DeleteUserPolicy", "DeleteGroupPolicy", "CreateRole", "CreateUser",
    "DeleteRole", "DeleteUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "AddUserToGroup",
    "RemoveUserFromGroup",
)
_MAX_CHANGED = 100_000


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Records that have recorded outcome, decision, principal, action and statement in common."""

    recorded: str
    """`passed` or `failed`."""
    layer: str | None
    """Policy type that AWS names for the failure."""
    error: str | None
    decision: str
    principal: str
    action: str
    statement: int
    """Our deciding statement, -1 for none."""
    records: int
    first: int
    last: int
    """Unix seconds, -1 when the records have no time."""
    likely_cause: str


@dataclass(slots=True)
class Reality:
    """What all records so far came to.

    failed_by : policy type named by AWS -> decision -> records that failed
    """

    contradictions: list[Contradiction]
    dropped: int
    explained: int
    """Records that failed by a policy type that was not loaded while these policies allow."""
    agreeing: int
    failed_by: dict[str, dict[str, int]]


_Key = tuple[int, str | None, str | None, int, str, str, int]


class _Tally:
    """Records with their first and last time by the codes of a contradiction, while the batches
    bring the same dictionaries.

    columns : the coded columns, whose dictionaries are held in `values`
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self.values = [column.values for column in columns]
        self._parts: list[_Counted] = []
        self._size = self._merged = 0

    def is_of(self, columns: Sequence[Any]) -> bool:
        return all(column.values is values
                   for column, values in zip(columns, self.values, strict=True))

    def __len__(self) -> int:
        """At least as many as there are different ones."""
        return self._size

    def add(self, codes: Sequence[NDArray[Any]], times: NDArray[np.int64]) -> None:
        """One record for each place of the codes; times: Unix seconds, -1 for none."""
        self._put(_together((
            np.stack(codes).astype(np.int64), np.ones(len(times), dtype=np.int64),
            np.where(times < 0, _NO_TIME, times), times)))
        if self._size > 2 * self._merged + _MERGED_FROM:
            self.merge()

    def _put(self, part: _Counted) -> None:
        self._parts.append(part)
        self._size += len(part[1])

    def merge(self) -> None:
        """Put equal ones together: then the length is their number."""
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            codes, counts, first, last = zip(*parts, strict=True)
            self._put(_together((np.concatenate(codes, axis=1), np.concatenate(counts),
                                 np.concatenate(first), np.concatenate(last))))
        self._merged = self._size

    def counted(self) -> Iterator[tuple[list[int], int, int, int]]:
        """(codes, records, first, last time) of each contradiction."""
        self.merge()
        for codes, *numbers in self._parts:
            yield from zip(codes.T.tolist(), *(part.tolist() for part in numbers), strict=True)


_Counted = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""(codes [7, n], records, first, last time)"""
_MERGED_FROM = 20_000
_NO_TIME = np.iinfo(np.int64).max


def _together(counted: _Counted) -> _Counted:
    """Equal codes once."""
    codes, counts, first, last = counted
    if not len(counts):
        return counted
    key = packed(list(codes))
    order = np.argsort(key)
    key = key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    return (codes[:, order[starts]], np.add.reduceat(counts[order], starts),
            np.minimum.reduceat(first[order], starts), np.maximum.reduceat(last[order], starts))


def _text(values: Sequence[Any], code: int) -> str | None:
    return str(values[code]) if code >= 0 else None


class RealityCheck:
    """Takes batch after batch.

    loaded : the policy types that took part in our decisions, in the words of AWS's messages
    """

    def __init__(self, loaded: Iterable[str] = (IDENTITY,)) -> None:
        self._loaded = frozenset(loaded)
        self._found: dict[_Key, list[int]] = {}
        self._tally: _Tally | None = None
        """What has yet to be counted by names."""
        self._changes: dict[str, list[int]] = {}
        self._failed_by: Counter[tuple[str, int]] = Counter()
        self._dropped = self._explained = self._agreeing = 0

    def add(self, batch: Any, decision: NDArray[np.uint8], statement: NDArray[np.int32],
            row: NDArray[np.int32]) -> None:
        """decision, statement, row : per record, as an audit has them (255: not decided)."""
        if not hasattr(batch, "outcome_kind"):
            return
        self._note_changes(batch)
        is_decided = (row >= 0) & (batch.identity == Requester.ROLE_OR_USER)
        is_allowed = decision == DecisionCode.ALLOW
        is_denied = (decision == DecisionCode.IMPLICIT_DENY) | (
            decision == DecisionCode.EXPLICIT_DENY)
        passed, failed = batch.outcome == Outcome.PASSED, batch.outcome == Outcome.FAILED
        kinds = batch.outcome_kind
        names = [str(value) for value in kinds.values]
        is_loaded = np.array([*(name in self._loaded for name in names), True], dtype=bool)
        of_loaded = is_loaded[np.where(kinds.codes < 0, len(names), kinds.codes)]
        self._count_failures(np.flatnonzero(is_decided & failed), kinds, names, decision)
        other_layer = is_decided & failed & is_allowed & ~of_loaded
        self._explained += int(other_layer.sum())
        is_identity = np.array([*(name == IDENTITY for name in names), False], dtype=bool)[
            np.where(kinds.codes < 0, len(names), kinds.codes)]
        other_kind = failed & is_identity & (
            ((batch.outcome_explicit == 2) & (decision == DecisionCode.IMPLICIT_DENY))
            | ((batch.outcome_explicit == 1) & (decision == DecisionCode.EXPLICIT_DENY)))
        wrong = is_decided & ~other_layer & (
            (passed & is_denied) | (failed & is_allowed) | other_kind)
        self._agreeing += int((is_decided & ~wrong & (
            (passed & is_allowed) | (failed & is_denied))).sum())
        self._keep(batch, np.flatnonzero(wrong), decision, statement, row)

    def _count_failures(self, records: NDArray[np.int64], kinds: Any, names: list[str],
                        decision: NDArray[np.uint8]) -> None:
        pairs = (kinds.codes[records].astype(np.int64) + 1) * len(DecisionCode) + decision[records]
        for pair, count in zip(*(part.tolist() for part in np.unique(
                pairs, return_counts=True)), strict=True):
            kind, code = divmod(pair, len(DecisionCode))
            self._failed_by[names[kind - 1] if kind else NOT_NAMED, code] += count

    def _keep(self, batch: Any, records: NDArray[np.int64], decision: NDArray[np.uint8],
              statement: NDArray[np.int32], row: NDArray[np.int32]) -> None:
        if not len(records):
            return
        at, times = row[records], batch.time[records]
        columns = (batch.outcome_kind, batch.error_code, batch.principal, batch.action)
        codes = [batch.outcome[records], decision[records], batch.outcome_kind.codes[records],
                 batch.error_code.codes[records], batch.principal.codes[at],
                 batch.action.codes[at], statement[records]]
        if self._tally is None or not self._tally.is_of(columns):
            self._settle()
            self._tally = _Tally(columns)
        self._tally.add(codes, times)
        if len(self._tally) >= MAX_KINDS:
            self._tally.merge()
            if len(self._tally) >= MAX_KINDS:
                self._settle()

    def _settle(self) -> None:
        """Take over what was counted by codes."""
        tally, self._tally = self._tally, None
        if tally is None:
            return
        layers, errors, principals, actions = tally.values
        for (outcome, code, layer, error, who, what, by), count, low, high in tally.counted():
            self._count((outcome, _text(layers, layer), _text(errors, error), code,
                         _text(principals, who) or "-", _text(actions, what) or "-", by),
                        count, *((low, high) if high >= 0 else (-1, -1)))

    def _count(self, key: _Key, count: int, low: int, high: int) -> None:
        """low, high : the first and the last time, -1 for none"""
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_KINDS:
                self._dropped += count
                return
            self._found[key] = [count, low, high]
        else:
            found[0] += count
            if high >= 0:
                found[1] = low if found[1] < 0 else min(found[1], low)
                found[2] = max(found[2], high)

    def merge(self, other: RealityCheck) -> None:
        """Add what another check found in later batches."""
        self._settle()
        other._settle()
        for key, (count, low, high) in other._found.items():
            self._count(key, count, low, high)
        for name, times in other._changes.items():
            if name in self._changes or len(self._changes) < _MAX_CHANGED:
                self._changes.setdefault(name, []).extend(times)
        self._failed_by.update(other._failed_by)
        self._dropped += other._dropped
        self._explained += other._explained
        self._agreeing += other._agreeing

    def _note_changes(self, batch: Any) -> None:
        """Times at which the log shows a change of somebody's policies."""
        values = batch.event_name.values
        is_change = np.array([*(str(name) in _CHANGES for name in values), False], dtype=bool)
        if not is_change.any():
            return
        codes = batch.event_name.codes
        rows = np.flatnonzero(is_change[codes[batch.group]]
                              & (batch.outcome[batch.group] == Outcome.PASSED))
        for at in rows.tolist():
            who = _optional(batch.resource, at) or _optional(batch.resource_pattern, at)
            time = int(batch.time[batch.group[at]])
            if who is None or time < 0:
                continue
            name = pattern_of(who) or who
            if name in self._changes or len(self._changes) < _MAX_CHANGED:
                self._changes.setdefault(name, []).append(time)

    def reality(self) -> Reality:
        """All contradictions, those of most records first."""
        self._settle()
        made = [
            Contradiction(
                "passed" if outcome == Outcome.PASSED else "failed",
                None if layer == WEAKLY else layer, error, DecisionCode(code).name, principal,
                action, statement, count, first, last,
                self._cause(outcome, layer, error, code, principal, first, last))
            for (outcome, layer, error, code, principal, action, statement), (count, first, last)
            in self._found.items()]
        made.sort(key=lambda one: (-one.records, one.principal, one.action, one.decision,
                                   one.recorded, one.layer or "", one.error or "", one.statement))
        failed_by: dict[str, dict[str, int]] = {}
        for (layer, code), count in sorted(self._failed_by.items()):
            failed_by.setdefault(layer, {})[DecisionCode(code).name] = count
        return Reality(made, self._dropped, self._explained, self._agreeing, failed_by)

    def _cause(self, outcome: int, layer: str | None, error: str | None, code: int,
               principal: str, first: int, last: int) -> str:
        changes: Sequence[int] = ()
        if self._changes:
            changes = self._changes.get(pattern_of(principal) or principal, ())
        if any(0 <= first - change <= PROPAGATION_S for change in changes):
            return "within a minute of a change of the principal's policies"
        if any(change > first for change in changes):
            return "the log shows a later change of the principal's policies"
        if layer == WEAKLY:
            return f"`{error}` proves only weakly that the call was authorized"
        if outcome == Outcome.PASSED:
            return ("a policy of the resource, or one that is missing here, allowed it"
                    if code == DecisionCode.IMPLICIT_DENY
                    else "the policies were others at that time")
        if layer is None:
            return "denied by a policy that AWS does not name, or by none"
        return "the policies were others at that time"


def _optional(column: Any, row: int) -> str | None:
    found = column.value(row)
    return None if found is None else str(found)
