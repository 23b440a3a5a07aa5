"""What is odd inside one set of policies: statements that do nothing, or nothing of their own.

    never-matches       no request matches the statement
    covered             other Allow statements allow everything it allows
    granted-already     so they do for some of its action patterns
    always-denied       a Deny statement matches whatever the Allow statement matches
    deny-without-effect nothing that these policies would otherwise allow is denied by it

All are proved by the search of `compiler/compare/`. The policies are taken as all a principal has:
a Deny may well matter beside others. Requests shown are replayed through the reference evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .compared import Request, statement_dict
from .comparison import Policies, Replayed, listed, request_of
from .compiler.compare import Acceptor, Answer, Budget, Gate, Question, Search
from .compiler.lower import lower_documents
from .errors import Location
from .options import Options
from .runtime.codes import FLAG_NEVER, FLAG_UNKNOWN, Effect
from .runtime.model import StatementInfo
from .wording import entry_location, spelled, statement_info
from .worlds import WorldName, world

Kind = Literal[
    "never-matches", "covered", "granted-already", "always-denied", "deny-without-effect"]

_TEXTS: dict[Kind, str] = {
    "never-matches": "no request matches this statement",
    "covered": "other statements allow all that this one allows",
    "granted-already": "is allowed already, wherever this statement allows it",
    "always-denied": "whatever this statement matches is denied",
    "deny-without-effect": "denies nothing that these policies allow",
}


@dataclass(frozen=True, slots=True)
class Oddity:
    """One finding.

    action   : the action pattern it is about (`granted-already`), as written
    location : of the statement, or of that pattern
    others   : statements that are the reason
    witness  : a request that the statement matches; None where there is none
    """

    kind: Kind
    statement: StatementInfo
    location: Location
    action: str = ""
    others: tuple[StatementInfo, ...] = ()
    witness: Request | None = None

    @property
    def text(self) -> str:
        subject = f"`{self.action}` " if self.action else ""
        return f"{subject}{_TEXTS[self.kind]}"

    def to_dict(self) -> dict[str, Any]:
        place = self.location
        return {
            "kind": self.kind, "text": self.text, "statement": statement_dict(self.statement),
            "location": {"path": place.path, "line": place.line, "column": place.column,
                         "length": place.length},
            "action": self.action, "others": [statement_dict(s) for s in self.others],
            "witness": None if self.witness is None else self.witness.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Oddities:
    """Everything odd in some policies, in document order; and what could not be decided."""

    names: tuple[str, ...]
    world: str
    found: tuple[Oddity, ...]
    undecided: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"policies": list(self.names), "world": self.world,
                "oddities": [o.to_dict() for o in self.found], "undecided": list(self.undecided)}


def oddities(
    policies: Policies, *, world: WorldName = "rules", options: Options | None = None,
    budget: Budget | None = None,
) -> Oddities:  # fmt: skip
    """What is odd inside these policies. Arguments and errors as for `compare`."""
    return _Looking(listed(policies), world, options or Options(), budget or Budget()).run()


class _Looking:
    def __init__(
        self, documents: Sequence[Any], name: WorldName, options: Options, budget: Budget
    ) -> None:
        self.name = name
        self.documents = documents
        self.program = lower_documents(documents, options)
        self.search = Search(self.program, world(name), budget)
        self.side = Replayed(self.program, documents, range(len(documents)))
        self.undecided: list[str] = []
        statements = self.program.statements
        readable = [i for i, s in enumerate(statements)
                    if not s.flags & (FLAG_NEVER | FLAG_UNKNOWN)]
        self.allows = [i for i in readable if statements[i].effect is Effect.ALLOW]
        self.denies = [i for i in readable if statements[i].effect is Effect.DENY]

    def run(self) -> Oddities:
        found = [*self._dead(), *self._idle_denies(), *self._denied(), *self._covered()]
        found.sort(key=lambda o: (o.statement.id, o.location.line, o.location.column))
        return Oddities(
            tuple(d.source.name for d in self.documents), self.name, tuple(found),
            tuple(dict.fromkeys(self.undecided)))

    def _first(self, question: Question, number: int, pattern: int | None = None
               ) -> tuple[bool | None, Request | None]:
        """Whether there is such a request (None: not known), and the request, replayed."""
        answer: Answer = self.search.first(question, number, pattern)
        if answer.witness is not None:
            request = request_of(answer.witness)
            if self.side.matches(request, number):
                return True, request
            self._unclear(number, "internal error: the reference evaluator does not confirm a "
                                  "request; please report it")
            return None, None
        if answer.undecided:
            self._unclear(number, answer.undecided)
            return None, None
        return False, None

    def _unclear(self, number: int, reason: str) -> None:
        info = statement_info(self.program, number)
        self.undecided.append(f"{info.label} at {info.location}: {reason}")

    def _oddity(self, kind: Kind, number: int, others: Sequence[int] = (),
                witness: Request | None = None) -> Oddity:
        info = statement_info(self.program, number)
        return Oddity(kind, info, info.location,
                      others=tuple(statement_info(self.program, o) for o in others),
                      witness=witness)

    def _dead(self) -> Iterator[Oddity]:
        for number in (*self.allows, *self.denies):
            exists, _ = self._first(Question(None, None), number)
            if exists is False:
                yield self._oddity("never-matches", number)
                (self.allows if number in self.allows else self.denies).remove(number)

    def _denied(self) -> Iterator[Oddity]:
        for number in list(self.allows):
            question = Question(None, None, must_miss=tuple(self.denies))
            if self.denies and self._first(question, number)[0] is False:
                culprits = self._needed(
                    self.denies,
                    lambda some, n=number: self._first(
                        Question(None, None, must_miss=some), n)[0] is False)
                yield self._oddity("always-denied", number, culprits,
                                   self._first(Question(None, None), number)[1])
                self.allows.remove(number)

    def _idle_denies(self) -> Iterator[Oddity]:
        if not self.allows:
            return  # policies that only deny are made to stand beside others
        for number in self.denies:
            others = tuple(d for d in self.denies if d != number)
            side = Acceptor(Gate(tuple(self.allows)), others)
            if self._first(Question(side, None), number)[0] is False:
                yield self._oddity("deny-without-effect", number,
                                   witness=self._first(Question(None, None), number)[1])

    def _covered(self) -> Iterator[Oddity]:
        kept = list(self.allows)
        for number in reversed(self.allows):
            others = [a for a in kept if a != number]
            if not others:
                continue
            if self._is_covered(number, others):
                kept.remove(number)
                culprits = self._needed(
                    others, lambda some, n=number: self._is_covered(n, some))
                yield self._oddity("covered", number, culprits,
                                   self._first(Question(None, None), number)[1])
        for number in kept:
            yield from self._granted_already(number, [a for a in kept if a != number])

    def _is_covered(self, number: int, others: Sequence[int]) -> bool:
        side = Acceptor(Gate(tuple(others)))
        return self._first(Question(None, side), number)[0] is False

    def _granted_already(self, number: int, others: Sequence[int]) -> Iterator[Oddity]:
        statement = self.program.statements[number]
        patterns = self.program.action_sets[statement.action_set]
        if patterns.negated or not others:
            return
        granted = self._granted_by(number, others)
        alone = {o: self._granted_by(number, [o]) for o in others} if granted else {}
        for pattern in sorted(granted):
            entry = next(e for e in statement.action_entries if e.id == pattern)
            culprits = [o for o in others if pattern in alone[o]]
            exists, witness = self._first(Question(None, None), number, pattern)
            if exists is False:
                continue  # nothing to grant
            yield Oddity(
                "granted-already", statement_info(self.program, number),
                entry_location(self.program, statement, entry.span),
                spelled(self.program, statement, entry.span),
                tuple(statement_info(self.program, o) for o in culprits[:1] or others), witness)

    def _granted_by(self, number: int, others: Sequence[int]) -> set[int]:
        """Action patterns of a statement that add nothing to these others."""
        found = self.search.differences(
            Question(Acceptor(Gate((number,))), Acceptor(Gate(tuple(others)))))
        if found.undecided or found.left_out:
            return set()
        statement = self.program.statements[number]
        own = {part.pattern for region in found.regions for part in region.actions}
        return set(self.program.action_sets[statement.action_set].pattern_ids) - own

    @staticmethod
    def _needed(candidates: Sequence[int], suffices: Any) -> list[int]:
        """A part of the candidates that suffices and of which none can be spared."""
        for candidate in candidates:
            if suffices((candidate,)):
                return [candidate]
        kept = list(candidates)
        for candidate in candidates:
            fewer = [c for c in kept if c != candidate]
            if fewer and suffices(tuple(fewer)):
                kept = fewer
        return kept
