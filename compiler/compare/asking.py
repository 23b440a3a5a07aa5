"""One question at one class of actions: a request that answers it, none, or why neither.

One automaton over resources is searched for a place where conditions can be met that answer the
question (`meeting`, `resources`, `solver`). Where policy variables or unreadable statements leave a
model uncertain, values are tried for the variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product

from ...runtime.codes import FLAG_NEVER, FLAG_UNKNOWN
from .. import ir
from .actions import Name
from .budget import Budget, Meter, OutOfBudget
from .findings import NOTHING, Answer, Group, Witness
from .linear import shortest
from .meeting import Containments, Meeting, Question
from .resources import EVERYWHERE, ResourceElements, States, Within, filled
from .solver import And, Goal, Holds, Model, Or, Solver
from .substitute import has_variables, substituted, variable_keys
from .values import Value, cells_of
from .world import World

_TRIED_PATTERNS = 8


class Asker:
    """Answers questions about one program in one world; remembers what it has worked out."""

    def __init__(self, program: ir.Program, world: World, budget: Budget) -> None:
        self.program = program
        self.world = world
        self.budget = budget
        self.meter = Meter(budget.total_steps)
        self._containments = Containments(program, self.meter)
        self._supersets = Solver(
            program, program.options, budget, self.meter, is_superset=True)
        self._substituted: dict[tuple[tuple[str, Value], ...], tuple[ir.Program, Solver]] = {}
        self._elements: dict[tuple[object, ...], ResourceElements] = {}
        self._clear: dict[object, bool] = {}
        self._meetings: dict[object, Meeting] = {}

    def _within(self, group: Group) -> Within:
        if not self.world.is_closed:
            return EVERYWHERE
        templates = self.world.templates(group.names[0].action)
        assert templates is not None
        return Within(tuple(templates.languages), templates.has_star)

    def _ask(self, question: Question, group: Group, within: Within) -> Answer:
        """A request of the class that answers the question, nothing, or why neither."""
        name = group.names[0]
        if self.meter.is_spent:
            return Answer(None, str(self.meter.error()))
        try:
            found = self._find(self.program, self._supersets, question, group.present, within)
        except OutOfBudget as error:
            if self.meter.is_spent:
                return Answer(None, str(error))
            return self._concrete(question, group, within, name) or Answer(None, str(error))
        if found is None:
            return NOTHING
        resource, model, goal = found
        if self._is_certain(model, goal, group.present):
            return Answer(Witness(name.action, resource, model.context))
        answer = self._concrete(question, group, within, name)
        return answer or Answer(None, self._why(goal, group.present))

    def _ask_at_once(self, question: Question, group: Group, within: Within) -> Answer:
        """The same. In a closed world the open one is asked first, where many classes of actions
        share an answer."""
        if self.world.is_closed and self._is_clear_everywhere(question, group, within.pattern):
            return NOTHING
        return self._ask(question, group, within)

    def _ask_plausibly(self, question: Question, group: Group, within: Within) -> Answer:
        """The same, and in a closed world on ordinary ARNs before all, since there are fewer."""
        if self.world.is_closed:
            if self._is_clear_everywhere(question, group, within.pattern):
                return NOTHING
            templates = self.world.templates(group.names[0].action)
            assert templates is not None
            answer = self._ask(
                question, group, replace(within, languages=tuple(templates.typical)))
            if answer.witness is not None:
                return answer
        return self._ask(question, group, within)

    def _is_clear_everywhere(
        self, question: Question, group: Group, pattern: ir.ResourcePattern | None
    ) -> bool:
        """Whether no resource at all answers the question: then none of a closed world does."""
        at = (question, group.present, id(pattern))  # the program's, which outlives this
        known = self._clear.get(at)
        if known is None:
            answer = self._ask(question, group, Within(pattern=pattern))
            known = self._clear[at] = answer.is_none
        return known

    def _is_certain(self, model: Model, goal: Goal, present: frozenset[int]) -> bool:
        if not model.is_real or any(
            self.program.statements[i].flags & FLAG_UNKNOWN for i in present
        ):
            return False
        return not any(self.program.predicates[p].variables for p in _asked(goal))

    def _find(
        self, program: ir.Program, solver: Solver, question: Question, present: frozenset[int],
        within: Within, *, limit: int | None = None,
    ) -> tuple[str, Model, Goal] | None:
        """A resource and a context, in a program read as the solver reads it.

        limit : states of the automaton, where fewer are allowed than the budget says
        """
        meeting = self._meeting(program, solver, question, present)
        elements = self._elements_of(program, meeting.set_ids, within)

        def may_be_reached(states: States) -> bool:
            return solver.solve(meeting.goal(states)) is not None

        def at(resource: str) -> tuple[str, Model, Goal] | None:
            states = elements.of_star() if resource == "*" else elements.of_arn(resource)
            if states is None:
                return None
            goal = meeting.goal(states)
            model = solver.solve(goal)
            return None if model is None else (resource, model, goal)

        for candidate in self._candidates(program, question, within):
            found = at(candidate)
            if found is not None:
                return found
        resource = elements.search(may_be_reached, may_be_reached, limit)
        if resource is None:
            return None
        found = at(resource)
        assert found is not None
        return found

    def _meeting(
        self, program: ir.Program, solver: Solver, question: Question, present: frozenset[int]
    ) -> Meeting:
        if program is not self.program:
            return Meeting(program, present, question, self._containments, self.meter,
                           is_superset=solver.is_superset)
        at = (question, present, solver.is_superset)
        meeting = self._meetings.get(at)
        if meeting is None:
            meeting = self._meetings[at] = Meeting(
                program, present, question, self._containments, self.meter,
                is_superset=solver.is_superset)
        return meeting

    def _candidates(
        self, program: ir.Program, question: Question, within: Within
    ) -> Iterator[str]:
        """Resources to try before the automaton is walked."""
        if within.languages is not None:
            if within.pattern is None:
                yield from map(shortest, within.languages[:_TRIED_PATTERNS])
            return
        if within.pattern is not None:
            yield from filled(within.pattern)
            return
        yield "*"
        if question.driver >= 0:
            set_id = program.statements[question.driver].resource_set
            if set_id >= 0 and not program.resource_sets[set_id].negated:
                for pattern_id in program.resource_sets[set_id].pattern_ids[:_TRIED_PATTERNS]:
                    yield from filled(program.resource_patterns[pattern_id])

    def _elements_of(
        self, program: ir.Program, set_ids: tuple[int, ...], within: Within
    ) -> ResourceElements:
        """The resource elements, whose automaton remembers where it was walked."""
        if program is not self.program:
            return ResourceElements(program, set_ids, within, self.budget, self.meter)
        # by identity: both are made once, and long; the elements keep them
        at = (set_ids, id(within.languages), within.has_star, id(within.pattern))
        elements = self._elements.get(at)
        if elements is None:
            elements = ResourceElements(program, set_ids, within, self.budget, self.meter)
            self._elements[at] = elements
        return elements

    def _concrete(
        self, question: Question, group: Group, within: Within, name: Name
    ) -> Answer | None:
        """A request for certain, with values for policy variables; None when none is found."""
        try:
            return self._with_values(question, group, within, name)
        except OutOfBudget:
            return None

    def _with_values(
        self, question: Question, group: Group, within: Within, name: Name
    ) -> Answer | None:
        for pins in islice(self._pins(group.present), self.budget.substitutions):
            at = tuple(sorted(pins.items()))
            made = self._substituted.get(at)
            if made is None:
                program = substituted(self.program, pins)
                made = program, Solver(
                    program, program.options, self.budget, self.meter, is_superset=False,
                    pins=pins)
                self._substituted[at] = made
            program, solver = made
            present = frozenset(
                i for i in group.present if not program.statements[i].flags & FLAG_NEVER)
            if question.driver >= 0 and question.driver not in present:
                continue
            inside = within
            if within.pattern is not None and within.pattern.variables:
                index = self.program.resource_patterns.index(within.pattern)
                filled_in = program.resource_patterns[index]
                if filled_in.variables:
                    continue
                inside = replace(within, pattern=filled_in)
            try:
                found = self._find(program, solver, question, present, inside)
            except OutOfBudget:
                if self.meter.is_spent:
                    return None
                continue
            if found is not None and found[1].is_real:
                context = dict(found[1].context)
                spelled = {key.lower() for key in context}
                for key in self.program.keys:
                    value = pins.get(key.name.lower())
                    if value is not None and key.name.lower() not in spelled:
                        context[key.name] = value
                        spelled.add(key.name.lower())
                return Answer(Witness(name.action, found[0], context))
        return None

    def _pins(self, present: frozenset[int]) -> Iterator[dict[str, Value]]:
        """Values for the keys that variables name: fresh, none, those the policies know."""
        if not has_variables(self.program, present):
            yield {}
            return
        keys = variable_keys(self.program, present)
        choices: list[list[Value]] = []
        for number, key in enumerate(keys):
            found: dict[Value, None] = {f"example{number or ''}": None, None: None}
            for key_id, at in enumerate(self.program.keys):
                if at.name.lower() != key:
                    continue
                predicates = [
                    self.program.predicates[p] for i in present
                    for p in self.program.statements[i].predicate_ids
                    if self.program.predicates[p].key_id == key_id
                ]
                cells = cells_of(
                    at, predicates, self.program.options, self.budget, self.meter)
                found |= dict.fromkeys(c.sample for c in cells.cells if not c.is_abstract)
            choices.append(list(found))
        first = min((len(c) for c in choices), default=0)
        for number in range(first):  # all keys alike, then every combination
            yield {key: choice[number] for key, choice in zip(keys, choices, strict=True)}
        for values in product(*choices):
            yield dict(zip(keys, values, strict=True))

    def _why(self, goal: Goal, present: frozenset[int]) -> str:
        """What a difference that could not be decided hangs on."""
        statements = [self.program.statements[i] for i in sorted(present)]
        for statement in statements:
            if statement.flags & FLAG_UNKNOWN:
                document = self.program.documents[statement.document]
                place = document.source.locate(statement.span)
                return f"the statement at {place} cannot be understood"
        if has_variables(self.program, present):
            keys = variable_keys(self.program, present)
            return f"policy variables ({', '.join(f'${{{k}}}' for k in keys) or '${...}'})"
        reasons = self._supersets.inexact(goal)
        return "; ".join(reasons) or "values of several kinds"


def _asked(goal: Goal) -> set[int]:
    found: set[int] = set()
    todo = [goal]
    while todo:
        part = todo.pop()
        if isinstance(part, Holds):
            found.add(part.predicate)
        elif isinstance(part, And | Or):
            todo += part.parts
    return found
