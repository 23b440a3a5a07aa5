"""A policy as the reference evaluator takes it, cut down to what one action concerns.

The judge of `compare` reads every policy anew for every request. A statement whose action element,
as the reference evaluator itself reads it, does not match can match no request for this action
(STMT-1), and of an element that matches, the entries that do are enough (ACT-5). So it is given no
more than these.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .compiler import ir
from .grammar.tree import PolicyDocument
from .reference.actions import entry_matches
from .reference.documents import Statement, read_document
from .reference.jsontext import load

_entry_matches = lru_cache(maxsize=1 << 15)(entry_matches)
"""One action entry and an action, as the reference evaluator sees them; policies share most."""


Place = tuple[int, int]
"""Of a statement: its document in the program, and its index there."""


def numbers_by_place(program: ir.Program) -> dict[Place, int]:
    """Where each statement of a program stands -> its number."""
    return {(s.document, s.index): i for i, s in enumerate(program.statements)}


class ConcernedPolicy:
    """One document of a program; read when it is first asked for."""

    def __init__(
        self, document: PolicyDocument, number: int, statements: Mapping[Place, int]
    ) -> None:
        """number     : of the document in the program
        statements : `numbers_by_place` of the program
        """
        self._document = document
        self._number = number
        self._numbers = statements
        self._policy: dict[str, Any] = {}
        self._read: list[tuple[Statement, Any, int]] | None = None
        """As the reference evaluator reads it, as written, its number in the program."""
        self._of_action: dict[str, tuple[dict[str, Any], list[int]]] = {}

    def of(self, action: str) -> tuple[dict[str, Any], list[int]]:
        """What the action concerns, as JSON, and the numbers of its statements in the program; -1
        for the one statement that stands for a policy that cannot be read."""
        known = self._of_action.get(action)
        if known is None:
            known = self._of_action[action] = self._reduced(action)
        return known

    def _statements(self) -> list[tuple[Statement, Any, int]] | None:
        """None where nothing can be left out: there is no list of statements."""
        if self._read is None:
            span = self._document.span
            self._policy = load(self._document.source.text[span.start : span.end])
            bodies = self._policy.get("Statement")
            if self._document.is_unreadable or not isinstance(bodies, list | Mapping):
                return None
            bodies = bodies if isinstance(bodies, list) else [bodies]
            self._read = [
                (read, bodies[read.index], self._numbers.get((self._number, read.index), -1))
                for read in read_document(self._policy, self._document.policy_type)
            ]
        return self._read

    def _reduced(self, action: str) -> tuple[dict[str, Any], list[int]]:
        statements = self._statements()
        if statements is None:
            return self._policy, [-1]
        kept: list[Any] = []
        numbers: list[int] = []
        for read, body, number in statements:
            if read.action is not None and "action" not in read.unreadable:
                matching = [e for e in read.action.entries if _entry_matches(e, action)]
                if bool(matching) is read.action.negated:  # ACT-5
                    continue
                if not read.action.negated and not read.faults:
                    body = {**body, "Action": matching}
            kept.append(body)
            numbers.append(number)
        return {**self._policy, "Statement": kept}, numbers
