"""One log under two sets of policies, side by side: which calls would change their decision.

Both audits see the same batches, so a record's two decisions meet here without a second reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..audit import DECISIONS, UNDECIDED, BatchResults
from ..logs.columns import packed
from ..runtime.codes import DecisionCode

_DENIALS = (DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY)


class Change(NamedTuple):
    """Records of one principal whose decision differs, by the request that would be denied.

    statement   : the statement that decides this request today
    today, then : decisions of the record
    """

    principal: str
    action: str
    statement: int
    today: str
    then: str


class StatementChanges(NamedTuple):
    """Records that one statement of today speaks for and the other policies deny.

    decisions : records by today's decision
    callers   : records by (principal's name, action), most first
    """

    statement: int
    decisions: Counter[str]
    callers: list[tuple[tuple[str, str], int]]


@dataclass(slots=True)
class Comparison:
    """Counts of records that the other policies would deny and today's do not."""

    denied: Counter[Change] = field(default_factory=Counter)
    kept: int = 0
    """Records that are decided alike."""
    other: int = 0
    """Records that change in any other way."""

    def add(self, today: BatchResults, then: BatchResults) -> None:
        """Compare the results of one batch."""
        both = (today.decision != UNDECIDED) & (then.decision != UNDECIDED)
        differs = both & (today.decision != then.decision)
        is_new_denial = differs & np.isin(then.decision, _DENIALS) & ~np.isin(
            today.decision, _DENIALS)
        self.kept += int((both & ~differs).sum())
        self.other += int((differs & ~is_new_denial).sum())
        at = np.flatnonzero(is_new_denial)
        if not len(at):
            return
        # of several requests of a record, the one that fails then is the one to show
        rows = then.row[at]
        batch = today.batch
        facts = [
            batch.principal.codes[rows], batch.action.codes[rows],
            today.request_statement[rows], today.decision[at], then.decision[at],
        ]
        _, first, counts = np.unique(packed(facts), return_index=True, return_counts=True)
        distinct = zip(*(column[first].tolist() for column in facts), strict=True)
        for (who, what, statement, now, before), count in zip(
                distinct, counts.tolist(), strict=True):
            self.denied[Change(
                str(batch.principal.values[who]), str(batch.action.values[what]), statement,
                DECISIONS[now], DECISIONS[before],
            )] += count

    def by_statement(self, name: Callable[[str], str]) -> list[StatementChanges]:
        """Denied records by the statement of today, largest first.

        name : shortens a principal; principals that get one name are counted together
        """
        decisions: dict[int, Counter[str]] = {}
        callers: dict[int, Counter[tuple[str, str]]] = {}
        for change, count in self.denied.items():
            decisions.setdefault(change.statement, Counter())[change.today] += count
            callers.setdefault(change.statement, Counter())[
                name(change.principal), change.action] += count
        order = sorted(decisions, key=lambda s: (-decisions[s].total(), s))
        return [
            StatementChanges(
                statement, decisions[statement],
                sorted(callers[statement].items(), key=lambda item: (-item[1], item[0])),
            )
            for statement in order
        ]
