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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .contradictions import NEVER, Contradictions, Kind
from .logs.classes import Outcome, Requester
from .logs.columns import packed
from .logs.names import pattern_of
from .logs.numbering import number_keys
from .logs.outcome import WEAKLY
from .repeats import Repeats, total
from .runtime.codes import DecisionCode
from .tallies import LateList

MAX_KINDS = 50_000
"""Distinct contradictions kept; further ones are counted in `dropped`."""
PROPAGATION_S = 60
"""A change of policies may take this long to be seen everywhere."""
IDENTITY = "identity-based policy"
NOT_NAMED = "not named"

CHANGES = (
    "AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy", "DetachRolePolicy",
    "DetachUserPolicy", "DetachGroupPolicy", "PutRolePolicy", "PutUserPolicy", "PutGroupPolicy",
    "DeleteRolePolicy", "DeleteUserPolicy", "DeleteGroupPolicy", "CreateRole", "CreateUser",
    "DeleteRole", "DeleteUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "AddUserToGroup",
    "RemoveUserFromGroup",
)
_MAX_CHANGED = 100_000


class Contradiction(NamedTuple):
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

    contradictions: Sequence[Contradiction]
    """Made when one is looked at: there may be many."""
    dropped: int
    explained: int
    """Records that failed by a policy type that was not loaded while these policies allow."""
    agreeing: int
    failed_by: dict[str, dict[str, int]]



class RealityCheck:
    """Takes batch after batch.

    loaded : the policy types that took part in our decisions, in the words of AWS's messages
    """

    def __init__(self, loaded: Iterable[str] = (IDENTITY,)) -> None:
        self._loaded = frozenset(loaded)
        self._found = Contradictions()
        self._changes: dict[str, list[int]] = {}
        self._failed_by: Counter[tuple[str, int]] = Counter()
        self._explained = self._agreeing = 0

    def add(self, batch: Any, decision: NDArray[np.uint8], statement: NDArray[np.int32],
            row: NDArray[np.int32], repeats: Repeats | None = None) -> None:
        """decision, statement, row : per record, as an audit has them (255: not decided)
        repeats : what each record stands for; None: for itself
        """
        if not hasattr(batch, "outcome_kind"):
            return
        count = None if repeats is None else repeats.count
        is_decided = (row >= 0) & (batch.identity == Requester.ROLE_OR_USER)
        is_allowed = decision == DecisionCode.ALLOW
        is_denied = (decision == DecisionCode.IMPLICIT_DENY) | (
            decision == DecisionCode.EXPLICIT_DENY)
        passed, failed = batch.outcome == Outcome.PASSED, batch.outcome == Outcome.FAILED
        kinds = batch.outcome_kind
        names = [str(value) for value in kinds.values]
        is_loaded = np.array([*(name in self._loaded for name in names), True], dtype=bool)
        of_loaded = is_loaded[np.where(kinds.codes < 0, len(names), kinds.codes)]
        self._count_failures(np.flatnonzero(is_decided & failed), kinds, names, decision, count)
        other_layer = is_decided & failed & is_allowed & ~of_loaded
        self._explained += total(other_layer, count)
        is_identity = np.array([*(name == IDENTITY for name in names), False], dtype=bool)[
            np.where(kinds.codes < 0, len(names), kinds.codes)]
        other_kind = failed & is_identity & (
            ((batch.outcome_explicit == 2) & (decision == DecisionCode.IMPLICIT_DENY))
            | ((batch.outcome_explicit == 1) & (decision == DecisionCode.EXPLICIT_DENY)))
        wrong = is_decided & ~other_layer & (
            (passed & is_denied) | (failed & is_allowed) | other_kind)
        self._agreeing += total(is_decided & ~wrong & (
            (passed & is_allowed) | (failed & is_denied)), count)
        self._keep(batch, np.flatnonzero(wrong), decision, statement, row, repeats)

    def _count_failures(self, records: NDArray[np.int64], kinds: Any, names: list[str],
                        decision: NDArray[np.uint8], count: NDArray[np.int64] | None) -> None:
        pairs = (kinds.codes[records].astype(np.int64) + 1) * len(DecisionCode) + decision[records]
        which, first = number_keys(pairs)
        counts = np.bincount(which, None if count is None else count[records])
        for pair, many in zip(pairs[first].tolist(), counts.tolist(), strict=True):
            kind, code = divmod(pair, len(DecisionCode))
            self._failed_by[names[kind - 1] if kind else NOT_NAMED, code] += int(many)

    def _keep(self, batch: Any, records: NDArray[np.int64], decision: NDArray[np.uint8],
              statement: NDArray[np.int32], row: NDArray[np.int32], repeats: Repeats | None
              ) -> None:
        if not len(records):
            return
        many = None
        if repeats is None:
            principal = batch.principal.codes[row[records]]
            high = batch.time[records]
            low = np.where(high < 0, NEVER, high)
        else:
            pairs, place = repeats.pairs_of(records)
            records, principal, many = (
                records[place], repeats.principal[pairs], repeats.of_pair[pairs])
            low, high = repeats.spans(pairs)
        which, first = number_keys(packed([
            batch.outcome[records], batch.outcome_kind.codes[records],
            batch.error_code.codes[records], decision[records],
            batch.action.codes[row[records]], statement[records]]))
        record = records[first]
        self._found.add(
            [Kind(outcome, _text(batch.outcome_kind, record), _text(batch.error_code, record), code,
                  _text(batch.action, row[record]) or "-", by)
             for record, outcome, code, by in zip(
                 record.tolist(), batch.outcome[record].tolist(), decision[record].tolist(),
                 statement[record].tolist(), strict=True)],
            which, batch.principal.values, principal,
            np.ones(len(which), dtype=np.int64) if many is None else many, low, high, MAX_KINDS)

    def merge(self, other: RealityCheck) -> None:
        """Add what another check found in later batches."""
        self._found.merge(other._found, MAX_KINDS)
        for name, times in other._changes.items():
            if name in self._changes or len(self._changes) < _MAX_CHANGED:
                self._changes.setdefault(name, []).extend(times)
        self._failed_by.update(other._failed_by)
        self._explained += other._explained
        self._agreeing += other._agreeing

    def note_changes(self, batch: Any) -> None:
        """Take note of the times at which a batch shows a change of somebody's policies: its
        records of `CHANGES` that passed."""
        if not hasattr(batch, "outcome_kind"):
            return
        values = batch.event_name.values
        is_change = np.array([*(str(name) in CHANGES for name in values), False], dtype=bool)
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
        kinds = self._found.kinds
        changes = {name: tuple(times) for name, times in self._changes.items()}

        @cache
        def changes_of(principal: str) -> Sequence[int]:
            """When the log shows changes of a principal's policies."""
            return changes.get(pattern_of(principal) or principal, ()) if changes else ()

        told = [("passed" if kind.outcome == Outcome.PASSED else "failed",
                 None if kind.layer == WEAKLY else kind.layer, kind.error,
                 DecisionCode(kind.decision).name) for kind in kinds]
        usual = list(map(_usual_cause, kinds))
        order = [(kind.action, decision, recorded, layer or "", error or "", kind.statement)
                 for kind, (recorded, layer, error, decision) in zip(kinds, told, strict=True)]
        found, size = self._found.ranked(order), len(self._found)

        def make() -> list[Contradiction]:
            return [
                Contradiction(*told[at], principal, kinds[at].action, kinds[at].statement, count,
                              first, last, _change(changes_of(principal), first) or usual[at])
                for at, principal, count, first, last in found()]

        failed_by: dict[str, dict[str, int]] = {}
        for (layer, code), count in sorted(self._failed_by.items()):
            failed_by.setdefault(layer, {})[DecisionCode(code).name] = count
        return Reality(LateList(make, lambda: size), self._found.dropped, self._explained,
                       self._agreeing, failed_by)


def _change(changes: Sequence[int], first: int) -> str | None:
    """What changes of a principal's policies at these times explain."""
    if not changes:
        return None
    if any(0 <= first - change <= PROPAGATION_S for change in changes):
        return "within a minute of a change of the principal's policies"
    if any(change > first for change in changes):
        return "the log shows a later change of the principal's policies"
    return None


def _usual_cause(kind: Kind) -> str:
    """The likeliest cause of contradictions of a kind, where the log shows no other."""
    if kind.layer == WEAKLY:
        return f"`{kind.error}` proves only weakly that the call was authorized"
    if kind.outcome == Outcome.PASSED:
        return ("a policy of the resource, or one that is missing here, allowed it"
                if kind.decision == DecisionCode.IMPLICIT_DENY
                else "the policies were others at that time")
    if kind.layer is None:
        return "denied by a policy that AWS does not name, or by none"
    return "the policies were others at that time"


def _optional(column: Any, row: int) -> str | None:
    found = column.value(row)
    return None if found is None else str(found)


def _text(column: Any, row: int) -> str | None:
    code = int(column.codes[row])
    return str(column.values[code]) if code >= 0 else None
