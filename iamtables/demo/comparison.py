"""Newly denied calls by the statement that speaks for them today, as the demo tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..flips import Change, Group


class StatementChanges(NamedTuple):
    """Records that one statement of today speaks for and the other policies deny.

    statement : its Sid or number; words for none
    decisions : records by today's decision
    callers   : records by (principal's name, action), most first
    """

    statement: str
    decisions: Counter[str]
    callers: list[tuple[tuple[str, str], int]]


def denied_by_statement(groups: Iterable[Group], name: Callable[[str], str]
                        ) -> list[StatementChanges]:
    """The newly denied ones of the groups by the statement of today, largest first.

    name : shortens a principal; principals that get one name are counted together
    """
    decisions: dict[str, Counter[str]] = {}
    callers: dict[str, Counter[tuple[str, str]]] = {}
    for group in groups:
        if group.change is not Change.NEWLY_DENIED:
            continue
        statement = group.before.statement
        label = "(no statement)" if statement is None else statement.label
        decisions.setdefault(label, Counter())[group.before.decision.name] += group.records
        callers.setdefault(label, Counter())[name(group.principal), group.action] += group.records
    order = sorted(decisions, key=lambda label: (-decisions[label].total(), label))
    return [
        StatementChanges(label, decisions[label],
                         sorted(callers[label].items(), key=lambda item: (-item[1], item[0])))
        for label in order
    ]
