"""Is there a context that makes these conditions hold and those not?

A goal is a formula of ANDs and ORs over literals: a predicate that holds or does not, an atom
(something opaque: a statement that cannot be read, a resource pattern with a policy variable) that
does or does not. Predicates of different keys are independent of each other, so a search that
assumes literals one by one, propagates what follows and branches over the shortest OR is complete:
when it finds nothing, there is no such context.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...options import Options
from .. import ir
from .budget import Budget, Meter, OutOfBudget
from .theory import KeyState, KeyTheory
from .values import Value, cells_of, pinned_cells


@dataclass(frozen=True, slots=True)
class Holds:
    """A literal over a predicate of the program."""

    predicate: int
    truth: bool


@dataclass(frozen=True, slots=True)
class Is:
    """A literal over an atom."""

    atom: Hashable
    truth: bool


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Goal, ...]


Goal = Holds | Is | And | Or
TRUE = And(())
FALSE = Or(())


def all_of(parts: Iterable[Goal]) -> Goal:
    """The conjunction, flattened."""
    kept: list[Goal] = []
    for part in parts:
        if part == FALSE:
            return FALSE
        if isinstance(part, And):
            kept += part.parts
        else:
            kept.append(part)
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def any_of(parts: Iterable[Goal]) -> Goal:
    """The disjunction, flattened."""
    kept: list[Goal] = []
    for part in parts:
        if part == TRUE:
            return TRUE
        if isinstance(part, Or):
            kept += part.parts
        else:
            kept.append(part)
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


@dataclass(frozen=True, slots=True)
class Model:
    """A way to reach a goal.

    context : key as the policies spell it -> value; absent keys are left out
    is_real : every value is a real one; False where only an abstract cell was left
    """

    context: Mapping[str, Value]
    is_real: bool


class _State:
    """Literals assumed so far."""

    __slots__ = ("atoms", "keys", "literals")

    def __init__(self) -> None:
        self.keys: dict[int, KeyState] = {}
        self.literals: dict[int, bool] = {}
        self.atoms: dict[Hashable, bool] = {}

    def copy(self) -> _State:
        other = _State.__new__(_State)
        other.keys = self.keys.copy()
        other.literals = self.literals.copy()
        other.atoms = self.atoms.copy()
        return other


class Solver:
    """Answers goals about the predicates of one program.

    is_superset : abstract cells count as possible, so "none" is proved and a model may not be real
    pins        : lower-case key -> its value, where that is given
    """

    def __init__(
        self, program: ir.Program, options: Options, budget: Budget, meter: Meter, *,
        is_superset: bool,
        pins: Mapping[str, Value] | None = None,
    ) -> None:
        self.program = program
        self.options = options
        self.budget = budget
        self.meter = meter
        self.is_superset = is_superset
        self.pins = dict(pins or {})
        self._theories: dict[int, KeyTheory] = {}
        self._theory_of_question: dict[tuple[int, tuple[int, ...]], KeyTheory] = {}
        self._solved: dict[Goal, Model | None] = {}
        groups: dict[str, list[int]] = {}
        for key_id, key in enumerate(program.keys):
            groups.setdefault(key.name.lower(), []).append(key_id)
        self._variants = {
            key_id: tuple(ids) for ids in groups.values() if len(ids) > 1 for key_id in ids
        }

    def solve(self, goal: Goal) -> Model | None:
        """A model of the goal, or None when there is none. Raises OutOfBudget."""
        if goal not in self._solved:
            self._solved[goal] = self._solve(goal)
        return self._solved[goal]

    def inexact(self, goal: Goal) -> tuple[str, ...]:
        """Why an answer about this goal may not be exact: nothing, as a rule."""
        self._prepare(goal)
        reasons = dict.fromkeys(t.inexact for t in self._theories.values() if t.inexact)
        return tuple(reasons)

    def _prepare(self, goal: Goal) -> None:
        """Theories of the keys that the goal's predicates ask about."""
        by_key: dict[int, set[int]] = {}
        for predicate in _predicates(goal):
            by_key.setdefault(self.program.predicates[predicate].key_id, set()).add(predicate)
        for key_id in list(by_key):
            for variant in self._variants.get(key_id, ()):
                by_key.setdefault(variant, set())
        self._theories = {
            key_id: self._theory(key_id, tuple(sorted(ids))) for key_id, ids in by_key.items()
        }

    def _theory(self, key_id: int, ids: tuple[int, ...]) -> KeyTheory:
        at = (key_id, ids)
        theory = self._theory_of_question.get(at)
        if theory is None:
            key = self.program.keys[key_id]
            predicates = [self.program.predicates[i] for i in ids]
            lowered = key.name.lower()
            if lowered in self.pins:
                cells = pinned_cells(predicates, self.options, self.pins[lowered])
            else:
                cells = cells_of(key, predicates, self.options, self.budget, self.meter)
            theory = KeyTheory(
                cells, ids, self.program.predicates, self.options, is_superset=self.is_superset
            )
            self._theory_of_question[at] = theory
        return theory

    def _solve(self, goal: Goal) -> Model | None:
        if goal == TRUE:
            return Model({}, True)
        if goal == FALSE:
            return None
        self._prepare(goal)
        self._nodes = 0
        found = self._search(_State(), [goal])
        return None if found is None else self._model(found)

    def _model(self, state: _State) -> Model:
        context: dict[str, Value] = {}
        is_real = not state.atoms
        for key_id, theory in self._theories.items():
            value, real = theory.value(state.keys.get(key_id, theory.start))
            is_real = is_real and real
            if value is not None:
                context[self.program.keys[key_id].name] = value
        return Model(context, is_real)

    # --- search

    def _search(self, state: _State, goals: list[Goal]) -> _State | None:
        """Depth first, without recursion: as deep as there are conditions."""
        todo: list[tuple[_State, Goal | None, list[Goal]]] = [(state, None, goals)]
        while todo:
            before, part, rest = todo.pop()
            self._nodes += 1
            if self._nodes > self.budget.condition_nodes:
                raise OutOfBudget("condition_nodes", self.budget.condition_nodes, "the conditions")
            self.meter.spend(8 + len(before.keys) // 8)
            state = before.copy()
            pending = self._propagated(state, rest if part is None else [part, *rest])
            if pending is None:
                continue
            if not pending:
                found = self._with_consistent_variants(state)
                if found is not None:
                    return found
                continue
            shortest = min(pending, key=lambda g: len(g.parts))
            others: list[Goal] = [g for g in pending if g is not shortest]
            todo += [(state, part, others) for part in reversed(shortest.parts)]
        return None

    def _propagated(self, state: _State, goals: Iterable[Goal]) -> list[Or] | None:
        """Assumes what follows from the goals; what is left to choose, None for a contradiction."""
        pending: list[Or] = []
        todo = list(goals)
        assumed = 0
        while True:
            while todo:
                goal = todo.pop()
                assumed += 1
                if isinstance(goal, And):
                    todo += goal.parts
                elif isinstance(goal, Or):
                    pending.append(goal)
                elif not self._assume(state, goal):
                    return None
            open_goals: list[Or] = []
            self.meter.spend(8 * assumed + 10 * sum(len(goal.parts) for goal in pending))
            assumed = 0
            for goal in pending:
                parts = [p for p in goal.parts if self._is_possible(state, p)]
                if any(self._is_entailed(state, p) for p in parts):
                    continue
                if not parts:
                    return None
                if len(parts) == 1:
                    todo.append(parts[0])
                else:
                    open_goals.append(Or(tuple(parts)))
            pending = open_goals
            if not todo:
                return pending

    def _key_state(self, state: _State, key_id: int) -> KeyState:
        found = state.keys.get(key_id)
        return self._theories[key_id].start if found is None else found

    def _assume(self, state: _State, literal: Holds | Is) -> bool:
        if isinstance(literal, Is):
            return state.atoms.setdefault(literal.atom, literal.truth) is literal.truth
        known = state.literals.setdefault(literal.predicate, literal.truth)
        if known is not literal.truth:
            return False
        key_id = self.program.predicates[literal.predicate].key_id
        theory = self._theories[key_id]
        narrowed = theory.assume(
            self._key_state(state, key_id), literal.predicate, literal.truth
        )
        if narrowed is None:
            return False
        state.keys[key_id] = narrowed
        return True

    def _is_possible(self, state: _State, goal: Goal) -> bool:
        """False only if the goal contradicts what is assumed."""
        if isinstance(goal, Is):
            return state.atoms.get(goal.atom, goal.truth) is goal.truth
        if isinstance(goal, Holds):
            if state.literals.get(goal.predicate, goal.truth) is not goal.truth:
                return False
            key_id = self.program.predicates[goal.predicate].key_id
            start = self._key_state(state, key_id)
            return self._theories[key_id].assume(start, goal.predicate, goal.truth) is not None
        check = all if isinstance(goal, And) else any
        return check(self._is_possible(state, part) for part in goal.parts)

    def _is_entailed(self, state: _State, goal: Goal) -> bool:
        """True only if the goal follows from what is assumed."""
        if isinstance(goal, Is):
            return state.atoms.get(goal.atom) is goal.truth
        if isinstance(goal, Holds):
            if goal.predicate in state.literals:
                return state.literals[goal.predicate] is goal.truth
            key_id = self.program.predicates[goal.predicate].key_id
            start = self._key_state(state, key_id)
            return self._theories[key_id].assume(start, goal.predicate, not goal.truth) is None
        check = all if isinstance(goal, And) else any
        return check(self._is_entailed(state, part) for part in goal.parts)

    def _with_consistent_variants(self, state: _State) -> _State | None:
        """COND-5: of keys that differ only in case, all have a value or none has.

        With all spelled out in the context each has the value of its own spelling, so beyond that
        they are independent.
        """
        seen: set[tuple[int, ...]] = set()
        for key_id in self._theories:
            variants = self._variants.get(key_id)
            if variants is None or variants in seen:
                continue
            seen.add(variants)
            states = {v: self._key_state(state, v) for v in variants}
            for narrow in (KeyTheory.only_absent, KeyTheory.present):
                narrowed = {v: narrow(self._theories[v], s) for v, s in states.items()}
                if all(s is not None for s in narrowed.values()):
                    state.keys |= {v: s for v, s in narrowed.items() if s is not None}
                    break
            else:
                return None
        return state


def _predicates(goal: Goal) -> set[int]:
    found: set[int] = set()
    todo: list[Goal] = [goal]
    while todo:
        part = todo.pop()
        if isinstance(part, Holds):
            found.add(part.predicate)
        elif isinstance(part, And | Or):
            todo += part.parts
    return found


def negation(goal: Goal) -> Goal:
    """The goal that holds exactly where this one does not."""
    if isinstance(goal, Holds):
        return Holds(goal.predicate, not goal.truth)
    if isinstance(goal, Is):
        return Is(goal.atom, not goal.truth)
    parts: Sequence[Goal] = [negation(part) for part in goal.parts]
    return any_of(parts) if isinstance(goal, And) else all_of(parts)
