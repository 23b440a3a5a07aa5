"""Goals of the statements that meet at one class of actions.

For a class of actions the statements that match it are known. What is left of a statement is its
resource element and its conditions. `Meeting` turns the states of the resource elements into a goal
for the solver: this side accepts, that side does not.

Invariant: with UNDECIDED elements the goal is implied by the goal of every way to decide them, so a
goal without a model cuts off everything that follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...runtime.codes import FLAG_UNKNOWN, Effect, Token
from .. import ir
from .budget import Meter
from .formula import Acceptor, AllOf, Gate, Grant, Remembered
from .linear import STAR, STAR_BUT_COLON, Step, Steps, Union, literal
from .resources import MATCHED, UNDECIDED, ElementState, States
from .solver import FALSE, TRUE, Goal, Holds, Is, all_of, any_of, negation


@dataclass(frozen=True)
class Question(Remembered):
    """Where does `accepts` allow and `refuses` not, on requests that the driver matches too?

    driver : a statement that has to match (-1: none)
    must_match, must_miss : further statements that have to match, or must not
    """

    accepts: Acceptor | None
    refuses: Acceptor | None
    driver: int = -1
    must_match: tuple[int, ...] = ()
    must_miss: tuple[int, ...] = ()
    __hash__ = Remembered.__hash__


class Meeting:
    """A question at the statements that match one class of actions.

    is_superset : an unreadable statement is an atom; otherwise it never matches for sure, and never
                  misses for sure where its readable elements match
    """

    def __init__(
        self, program: ir.Program, present: frozenset[int], question: Question,
        containments: Containments, meter: Meter, *, is_superset: bool,
    ) -> None:
        self._program = program
        self._question = question
        self._containments = containments
        self._meter = meter
        self._is_superset = is_superset
        self._present = present
        self.set_ids = tuple(sorted({program.statements[i].resource_set for i in present}))
        self._position = {set_id: at for at, set_id in enumerate(self.set_ids)}
        self._conditions: dict[int, Goal] = {}
        self._spoils = program.options.null_notresource == "nomatch"
        self._goals: dict[States, Goal] = {}

    def goal(self, states: States) -> Goal:
        """What has to hold of the context where the resource elements stand so."""
        known = self._goals.get(states)
        if known is None:
            self._meter.spend(2 * len(self._present) + len(states))
            known = self._goals[states] = self._goal(states)
        return known

    def _goal(self, states: States) -> Goal:
        question = self._question
        parts: list[Goal] = []
        if question.driver >= 0:
            parts.append(self._match(question.driver, states))
            if parts[-1] == FALSE:
                return FALSE
        if not self._present.issuperset(question.must_match):
            return FALSE
        parts += [self._match(i, states) for i in question.must_match]
        parts += [self._miss(i, states) for i in question.must_miss if i in self._present]
        if question.accepts is not None:
            parts.append(self._accepts(question.accepts, states))
        if question.refuses is not None:
            parts.append(self._refuses(question.refuses, states))
        goal = all_of(parts)
        if goal in (TRUE, FALSE):
            return goal
        implied = self._containments.implied({p for s in states for p in s.atoms})
        return all_of([goal, *implied]) if implied else goal

    def _accepts(self, side: Acceptor, states: States) -> Goal:
        return all_of([
            self._grants(side.grant, states),
            *(self._miss(i, states) for i in side.denies if i in self._present),
        ])

    def _refuses(self, side: Acceptor, states: States) -> Goal:
        return any_of([
            self._withholds(side.grant, states),
            *(self._match(i, states) for i in side.denies if i in self._present),
        ])

    def _grants(self, grant: Grant, states: States) -> Goal:
        if isinstance(grant, Gate):
            # the driver matches already: no need to look for another statement of its gate
            if self._question.driver in grant.statements:
                return TRUE
            return any_of(self._match(i, states) for i in grant.statements if i in self._present)
        parts = (self._grants(part, states) for part in grant.parts)
        return all_of(parts) if isinstance(grant, AllOf) else any_of(parts)

    def _withholds(self, grant: Grant, states: States) -> Goal:
        if isinstance(grant, Gate):
            return all_of(self._miss(i, states) for i in grant.statements if i in self._present)
        parts = (self._withholds(part, states) for part in grant.parts)
        return any_of(parts) if isinstance(grant, AllOf) else all_of(parts)

    # --- one statement

    def _condition(self, number: int) -> Goal:
        known = self._conditions.get(number)
        if known is None:
            ids = self._program.statements[number].predicate_ids
            known = self._conditions[number] = all_of(Holds(p, True) for p in ids)
        return known

    def _match(self, number: int, states: States) -> Goal:
        """Implied wherever the statement matches (equivalent where nothing is UNDECIDED)."""
        statement = self._program.statements[number]
        resource = self._resource(statement, states, may=True)
        if resource == FALSE:
            return FALSE
        parts = [resource, self._condition(number)]
        if statement.flags & FLAG_UNKNOWN:
            if not self._is_superset:
                return FALSE
            if statement.effect is not Effect.UNREADABLE:
                parts.append(Is(self._unreadable(statement), True))
        return all_of(parts)

    def _miss(self, number: int, states: States) -> Goal:
        """Implied wherever the statement does not match."""
        statement = self._program.statements[number]
        resource = negation(self._resource(statement, states, may=False))
        if resource == TRUE:
            return TRUE
        parts = [resource, negation(self._condition(number))]
        if statement.flags & FLAG_UNKNOWN and self._is_superset:
            if statement.effect is Effect.UNREADABLE:
                return TRUE
            parts.append(Is(self._unreadable(statement), False))
        return any_of(parts)

    def _resource(self, statement: ir.Statement, states: States, *, may: bool) -> Goal:
        """The resource element as a goal; UNDECIDED counts as `may`."""
        set_id = statement.resource_set
        if set_id < 0:
            return TRUE
        state: ElementState = states[self._position[set_id]]
        is_negated = self._program.resource_sets[set_id].negated
        goal: Goal
        if state.status == UNDECIDED:
            goal = TRUE if may else FALSE
        else:
            listed: Goal
            if state.status == MATCHED:
                listed = TRUE
            else:
                listed = any_of(Is(("pattern", p), True) for p in state.atoms)
            goal = negation(listed) if is_negated else listed
        if is_negated and self._spoils and self._has_variables(set_id):
            goal = all_of([goal, Is(("null", set_id), False)])
        return goal

    def _has_variables(self, set_id: int) -> bool:
        patterns = self._program.resource_patterns
        return any(patterns[p].variables for p in self._program.resource_sets[set_id].pattern_ids)

    def _unreadable(self, statement: ir.Statement) -> tuple[object, ...]:
        """An atom that statements with the same text and effect share."""
        document = self._program.documents[statement.document]
        text = document.source.text[statement.span.start : statement.span.end]
        return ("statement", document.version, text, statement.effect)


class Containments:
    """Which patterns with variables match whenever another one does, whatever the values are.

    A variable is a letter of its own that `*` may match where it may match colons, and `?` may not:
    then a text of the one pattern over that alphabet is one of the other, for any value of it.
    """

    _LIMIT = 2_000
    _FIRST = 0x110000

    def __init__(self, program: ir.Program, meter: Meter) -> None:
        self._program = program
        self._meter = meter
        letters: dict[ir.Variable, int] = {}
        for pattern in program.resource_patterns:
            for variable in pattern.variables:
                letters.setdefault(variable, self._FIRST + len(letters))
        self._letters = letters
        self._all = frozenset(letters.values())
        self._known: dict[tuple[int, int], bool] = {}

    def implied(self, patterns: Iterable[int]) -> list[Goal]:
        """Clauses: if the first matches so does the second."""
        listed = sorted(patterns)
        self._meter.spend(len(listed) ** 2)
        return [
            any_of([Is(("pattern", a), False), Is(("pattern", b), True)])
            for a in listed for b in listed if a != b and self._is_contained(a, b)
        ]

    def _is_contained(self, a: int, b: int) -> bool:
        known = self._known.get((a, b))
        if known is None:
            known = self._known[a, b] = self._may_be_contained(a, b) and self._search(a, b)
        return known

    def _may_be_contained(self, a: int, b: int) -> bool:
        """False where the one does not even begin as the other has to."""
        patterns = self._program.resource_patterns
        ours = patterns[a].glyphs
        for at, glyph in enumerate(patterns[b].glyphs):
            if glyph.token not in (Token.POINT, Token.VARIABLE):
                return True
            if at >= len(ours) or ours[at] != glyph:
                return False
        return True

    def _search(self, a: int, b: int) -> bool:
        self._meter.spend(500)
        union = Union([[self._steps(a)], [self._steps(b)]])
        queue = [union.start]
        visited = {union.start}
        for state in queue:
            if union.accepted(state) & 3 == 1 or len(visited) > self._LIMIT:
                return False
            letters = union.letters(state)
            self._meter.spend(len(letters) * union.edge_cost)
            for point in letters:
                target = union.next(state, point)
                if target not in visited and union.live(target) & 1 and not union.done(target) & 2:
                    visited.add(target)
                    queue.append(target)
        return True

    def _steps(self, pattern_id: int) -> Steps:
        colon = frozenset({ord(":")})
        steps: dict[Token, Step] = {
            Token.ANY: Step(self._all, True),
            Token.ANY_BUT_COLON: Step(self._all | colon, True),
            Token.STAR: STAR,
            Token.STAR_BUT_COLON: Step(self._all | STAR_BUT_COLON.members, True, True),
        }
        return tuple([
            literal(g.point) if g.token is Token.POINT
            else literal(self._letters[g.variable]) if g.variable is not None
            else steps[g.token]
            for g in self._program.resource_patterns[pattern_id].glyphs
        ])
