"""Where one side allows and the other does not: regions, each with a request that shows it.

The order of work: what both sides have cancels out (`cover`); actions fall into classes of names
that the same statements match (`actions`); for each class and each statement that could be the
reason (the driver) one automaton over resources is searched for a place where conditions can be met
that let the request through on one side only (`meeting`, `resources`, `solver`). What is found is
tried once more with plausible actions and ARNs, for the reader's sake.

Nothing here is believed: the caller replays every request through the reference evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, product

from ...runtime.codes import FLAG_NEVER, FLAG_UNKNOWN
from .. import ir
from .actions import OTHER_SERVICE, ActionSets, Name, service_and_name
from .budget import Budget, Meter, OutOfBudget
from .cover import uncovered
from .formula import Gate
from .linear import Steps, Union, glob_steps
from .meeting import Containments, Meeting, Question
from .resources import EVERYWHERE, ResourceElements, States, Within, filled
from .solver import And, Goal, Holds, Model, Or, Solver
from .substitute import has_variables, substituted, variable_keys
from .values import Value, cells_of
from .world import World

_REFINED_PATTERNS = 64
"""Resource elements of more patterns are told of as a whole."""
_TRIED_PATTERNS = 8
_PLAUSIBLE_ACTIONS = 4
_GLANCE_STATES = 500
"""States that looking for a plausible request may cost, each time."""
_EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Witness:
    """A request: action, resource, and context by key as the policies spell it."""

    action: str
    resource: str
    context: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ActionPart:
    """One action pattern of a region; -1 stands for what a `NotAction` leaves.

    is_whole : all that the pattern matches is in the region
    examples : actions of the region, where it is not; `example_count` says of how many
    """

    pattern: int
    is_whole: bool
    examples: tuple[str, ...] = ()
    example_count: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """Requests that one side allows and the other does not, as far as one statement is the reason.

    statement : the statement that allows them (index in the program)
    resources : those of its resource patterns within which there is a difference; empty when it
                lists what is excluded, or has too many patterns to be looked at one by one
    present   : all statements of both sides whose action element matches the witness
    witness   : None when a difference could not be ruled out, and `undecided` says why
    """

    statement: int
    actions: tuple[ActionPart, ...]
    resources: tuple[int, ...]
    present: frozenset[int]
    witness: Witness | None
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one direction. Neither regions nor `undecided`: proved to be nothing.

    left_out  : how many more regions there are than the budget lets be told
    undecided : reasons that are not about one region
    """

    regions: tuple[Region, ...] = ()
    left_out: int = 0
    undecided: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    """Names that the same statements match (and, in a closed world, with the same templates)."""

    present: frozenset[int]
    names: list[Name] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """A request, or why there may be one; neither: proved that there is none."""

    witness: Witness | None = None
    undecided: str = ""

    @property
    def is_none(self) -> bool:
        return self.witness is None and not self.undecided


NOTHING = Answer()


class Search:
    """Answers questions about one program in one world.

    cancels : whether what both sides have is left out first (a shortcut; for tests)
    """

    def __init__(
        self, program: ir.Program, world: World, budget: Budget, *, cancels: bool = True
    ) -> None:
        self.program = program
        self.world = world
        self.budget = budget
        self.cancels = cancels
        self.meter = Meter(budget.total_steps)
        self._containments = Containments(program, self.meter)
        self._supersets = Solver(
            program, program.options, budget, self.meter, is_superset=True)
        self._substituted: dict[tuple[tuple[str, Value], ...], tuple[ir.Program, Solver]] = {}
        self._elements: dict[object, ResourceElements] = {}
        self._actions_of: dict[frozenset[int], ActionSets] = {}
        self._clear: dict[object, bool] = {}
        self._meetings: dict[object, Meeting] = {}

    # --- directions

    def differences(self, question: Question, questions: int = 1) -> Findings:
        """Where `question.accepts` allows and `question.refuses` does not.

        questions : how many share the steps that are left, this one included
        """
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        self.meter.allow(questions)
        relevant = sorted({*accepts.allows, *accepts.denies, *refuses.allows, *refuses.denies,
                           *question.must_match, *question.must_miss})
        sets = self._action_sets(relevant)
        scopes = self._scopes(question, sets)
        if not scopes:
            return Findings()
        groups, undecided = self._groups(relevant, sets, set().union(*scopes.values()))
        regions: list[Region] = []
        for driver in scopes:
            if not self.meter.is_spent:
                regions += self._regions(
                    replace(question, driver=driver), groups, scopes[driver], sets)
        if self.meter.is_spent:
            undecided.append(str(self.meter.error()))
        kept = tuple(regions[: self.budget.regions])
        return Findings(kept, len(regions) - len(kept), tuple(undecided))

    def any_difference(self, question: Question) -> Answer:
        """One request that `question.accepts` allows and `question.refuses` does not; as cheap as
        can be: as found, and nothing about where else."""
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        self.meter.allow(1)
        relevant = sorted({*accepts.allows, *accepts.denies, *refuses.allows, *refuses.denies,
                           *question.must_match, *question.must_miss})
        sets = self._action_sets(relevant)
        scopes = self._scopes(question, sets)
        if not scopes:
            return NOTHING
        groups, undecided = self._groups(relevant, sets, set().union(*scopes.values()))
        open_ = [*undecided]
        for group in groups:
            if self.meter.is_spent:
                return Answer(None, str(self.meter.error()))
            for driver, scope in scopes.items():
                if driver in group.present and any(
                    self._is_in(name, scope, sets) for name in group.names
                ):
                    answer = self._ask(
                        replace(question, driver=driver), group, self._within(group))
                    if answer.witness is not None:
                        return answer
                    if answer.undecided:
                        open_.append(answer.undecided)
        return Answer(None, open_[0]) if open_ else NOTHING

    def _action_sets(self, statements: Iterable[int]) -> ActionSets:
        ids = frozenset(self.program.statements[i].action_set for i in statements)
        made = self._actions_of.get(ids)
        if made is None:
            made = self._actions_of[ids] = ActionSets(
                self.program, sorted(ids), self.budget, self.meter)
        return made

    def first(self, question: Question, driver: int, pattern: int | None = None) -> Answer:
        """One request that the driver matches and that answers the question, if there is one.

        pattern : look only at actions that this action pattern of the driver matches
        """
        self.meter.allow(1)
        relevant = {driver, *question.must_match, *question.must_miss}
        for side in (question.accepts, question.refuses):
            if side is not None:
                relevant |= {*side.allows, *side.denies}
        ordered = sorted(relevant)
        sets = self._action_sets(ordered)
        services = sets.services_of(
            self.program.statements[driver].action_set, None if pattern is None else (pattern,))
        groups, undecided = self._groups(ordered, sets, services)
        if pattern is not None:
            matches = _matcher(self.program.action_patterns[pattern].text)
            groups = [
                _Group(g.present, names) for g in groups
                if (names := [name for name in g.names if matches(name)])
            ]
        asked = replace(question, driver=driver)
        open_ = [*undecided]
        for group in groups:
            if driver not in group.present:
                continue
            if self.meter.is_spent:
                return Answer(None, str(self.meter.error()))
            answer = self._ask_plausibly(asked, group, self._within(group))
            if answer.witness is not None:
                return self._dressed(asked, group, answer, None, sets)
            if answer.undecided:
                open_.append(answer.undecided)
        return Answer(None, open_[0]) if open_ else NOTHING

    def _scopes(self, question: Question, sets: ActionSets) -> dict[int, set[str]]:
        """Driver -> the services in which it may be the reason of a difference."""
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        statements = self.program.statements
        if not self.cancels:
            return {
                i: sets.services_of(statements[i].action_set) for i in accepts.drivers
            }
        left, lone = uncovered(self.program, accepts, refuses, self.meter)
        denied: set[str] = set()
        for i in lone:
            denied |= sets.services_of(statements[i].action_set)
        scopes: dict[int, set[str]] = {}
        for i in accepts.drivers:
            scope: set[str] = set()
            if i in left:
                scope |= sets.services_of(statements[i].action_set, left[i])
            if denied:
                scope |= denied & sets.services_of(statements[i].action_set)
            if scope:
                scopes[i] = scope
        return scopes

    # --- classes of actions

    def _groups(
        self, relevant: Sequence[int], sets: ActionSets, services: set[str]
    ) -> tuple[list[_Group], list[str]]:
        """Classes of actions of these services, by the statements that match them."""
        statements = self.program.statements
        always = frozenset(i for i in relevant if statements[i].action_set < 0)
        by_set: dict[int, list[int]] = {}
        for i in relevant:
            if statements[i].action_set >= 0 and not statements[i].flags & FLAG_NEVER:
                by_set.setdefault(statements[i].action_set, []).append(i)
        present_of: dict[int, frozenset[int]] = {}
        groups: dict[tuple[frozenset[int], object], _Group] = {}
        undecided: list[str] = []
        for service in sets.services:
            if service not in services:
                continue
            try:
                for name in self._names(service, sets):
                    present = present_of.get(name.mask)
                    if present is None:
                        present = present_of[name.mask] = always.union(
                            *(by_set[s] for s in by_set if name.mask >> s & 1))
                    at = (present, self._resources_at(name))
                    group = groups.get(at)
                    if group is None:
                        group = groups[at] = _Group(present)
                    group.names.append(name)
            except OutOfBudget as error:
                undecided.append(str(error))
        return list(groups.values()), undecided

    def _names(self, service: str, sets: ActionSets) -> Iterable[Name]:
        if not self.world.is_closed:
            return sets.names(service)
        return self._known_names(service, sets)

    def _known_names(self, service: str, sets: ActionSets) -> Iterator[Name]:
        """The world's actions of a service (of all unnamed services), as names."""
        named = set(sets.services)
        services = [service] if service != OTHER_SERVICE else [
            s for s in self.world.services() if s not in named]
        for known in services:
            for action in self.world.actions(known):
                prefix, _, text = action.partition(":")
                yield Name(prefix, text, sets.mask(action))

    def _resources_at(self, name: Name) -> object:
        """What tells names of one class apart: in a closed world, the ARNs they are checked on."""
        if not self.world.is_closed:
            return None
        templates = self.world.templates(name.action)
        return None if templates is None else (tuple(templates.languages), templates.has_star)

    def _within(self, group: _Group) -> Within:
        if not self.world.is_closed:
            return EVERYWHERE
        templates = self.world.templates(group.names[0].action)
        assert templates is not None
        return Within(tuple(templates.languages), templates.has_star)

    # --- regions of one driver

    def _regions(
        self, question: Question, groups: Sequence[_Group], scope: set[str], sets: ActionSets
    ) -> list[Region]:
        driver = question.driver
        statement = self.program.statements[driver]
        hit: dict[object, list[tuple[_Group, Answer, tuple[int, ...]]]] = {}
        clear: list[_Group] = []
        for group in groups:
            if self.meter.is_spent:
                break  # which `differences` tells
            if driver not in group.present:
                continue
            if not any(self._is_in(name, scope, sets) for name in group.names):
                continue
            within = self._within(group)
            answer = self._ask_plausibly(question, group, within)
            if answer.is_none:
                clear.append(group)
                continue
            resources: tuple[int, ...] = ()
            if answer.witness is not None:
                resources = self._refined(question, group, within, statement)
            at = (resources, answer.undecided, frozenset(group.present))
            hit.setdefault(at, []).append((group, answer, resources))
        regions = []
        for found in _merged(hit.values(), self.program, question):
            group, answer, resources = found[0]
            if answer.witness is not None:
                answer = self._dressed(question, group, answer, resources, sets)
            others = [g for g in clear] + [
                g for rest in hit.values() for g, _, _ in rest
                if all(g is not mine for mine, _, _ in found)]
            regions.append(Region(
                driver, self._actions(statement, [g for g, _, _ in found], others, sets),
                resources, group.present, answer.witness, answer.undecided,
            ))  # fmt: skip
        return regions

    def _is_in(self, name: Name, scope: set[str], sets: ActionSets) -> bool:
        if name.service in scope:
            return True
        return OTHER_SERVICE in scope and name.service not in sets.services

    def _refined(
        self, question: Question, group: _Group, within: Within, statement: ir.Statement
    ) -> tuple[int, ...]:
        """The driver's resource patterns within which there is a difference."""
        if statement.resource_set < 0:
            return ()
        resource_set = self.program.resource_sets[statement.resource_set]
        if resource_set.negated or len(resource_set.pattern_ids) > _REFINED_PATTERNS:
            return ()
        if len(resource_set.pattern_ids) == 1:
            return resource_set.pattern_ids
        if not within.languages and not self._is_opposed(question, group.present):
            return resource_set.pattern_ids
        kept = []
        for pattern_id in resource_set.pattern_ids:
            pattern = self.program.resource_patterns[pattern_id]
            inside = replace(within, pattern=pattern)
            if not self._ask_plausibly(question, group, inside).is_none:
                kept.append(pattern_id)
        return tuple(kept)

    @staticmethod
    def _is_opposed(question: Question, present: frozenset[int]) -> bool:
        """Whether some statement could keep the driver's requests from being differences."""
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        if not isinstance(accepts.grant, Gate) or not isinstance(refuses.grant, Gate):
            return True
        return not present.isdisjoint(refuses.allows) or not present.isdisjoint(accepts.denies)

    def _actions(
        self, statement: ir.Statement, ours: Sequence[_Group], others: Sequence[_Group],
        sets: ActionSets,
    ) -> tuple[ActionPart, ...]:
        """The driver's action patterns that reach into the region; examples where in part."""
        if statement.action_set < 0:
            return (ActionPart(-1, True),)
        actions = self.program.action_sets[statement.action_set]
        inside = [name for group in ours for name in group.names]
        outside = [name for group in others for name in group.names]
        if actions.negated:
            return (self._part(-1, inside, outside, ours, sets),)
        parts = []
        for pattern_id in actions.pattern_ids:
            matches = _matcher(self.program.action_patterns[pattern_id].text)
            mine = [name for name in inside if matches(name)]
            if mine:
                theirs = [name for name in outside if matches(name)]
                parts.append(self._part(pattern_id, mine, theirs, ours, sets))
        return tuple(parts)

    def _part(
        self, pattern_id: int, mine: Sequence[Name], theirs: Sequence[Name],
        ours: Sequence[_Group], sets: ActionSets,
    ) -> ActionPart:
        if not theirs:
            return ActionPart(pattern_id, True)
        matches = (
            _matcher(self.program.action_patterns[pattern_id].text) if pattern_id >= 0
            else lambda name: True
        )
        masks = {name.mask for group in ours for name in group.names}
        known: list[str] = []
        if not self.world.is_closed:
            for service in dict.fromkeys(name.service for name in mine):
                known += [
                    name.action for name in self._known_names(service, sets)
                    if name.mask in masks and matches(name)]
        shown = known or list(dict.fromkeys(name.action for name in mine))
        return ActionPart(pattern_id, False, tuple(shown[:_EXAMPLES]), len(shown))

    # --- one question at one class of actions

    def _ask(self, question: Question, group: _Group, within: Within) -> Answer:
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

    def _ask_plausibly(self, question: Question, group: _Group, within: Within) -> Answer:
        """The same. In a closed world the open one is asked first, where many classes of actions
        share an answer, and ordinary ARNs before all, since there are fewer."""
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
        self, question: Question, group: _Group, pattern: ir.ResourcePattern | None
    ) -> bool:
        """Whether no resource at all answers the question: then none of a closed world does."""
        at = (question, group.present, pattern)
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
        at = (set_ids, within)
        elements = self._elements.get(at)
        if elements is None:
            elements = ResourceElements(program, set_ids, within, self.budget, self.meter)
            self._elements[at] = elements
        return elements

    def _concrete(
        self, question: Question, group: _Group, within: Within, name: Name
    ) -> Answer | None:
        """A request for certain, with values for policy variables; None when none is found."""
        try:
            return self._with_values(question, group, within, name)
        except OutOfBudget:
            return None

    def _with_values(
        self, question: Question, group: _Group, within: Within, name: Name
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

    # --- for the reader

    def _dressed(
        self, question: Question, group: _Group, answer: Answer,
        resources: tuple[int, ...] | None, sets: ActionSets,
    ) -> Answer:
        """The same finding with an action that exists and an ARN it could be asked for."""
        assert answer.witness is not None
        patterns = [
            self.program.resource_patterns[p]
            for p in (resources if resources is not None else self._driver_patterns(question))
        ]
        names = self._plausible_names(group, sets)
        for name in names:
            if self._is_plausible(name, answer.witness.resource):
                return Answer(replace(answer.witness, action=name.action))
        for name in names:
            for within in self._plausible_places(name, patterns):
                better = self._at_a_glance(question, group, name, within)
                if better is not None:
                    return better
        witness = answer.witness
        if names and not self.world.is_closed:
            witness = replace(witness, action=names[0].action)
        return Answer(witness)

    def _is_plausible(self, name: Name, resource: str) -> bool:
        """Whether the action is usually checked on such a resource."""
        templates = self.world.templates(name.action)
        if templates is None:
            return False
        if resource == "*":
            return templates.has_star
        typical = tuple(templates.typical)
        union = _typical(typical) if typical else None
        return union is not None and union.accepts(union.run(resource), 0)

    def _at_a_glance(
        self, question: Question, group: _Group, name: Name, within: Within
    ) -> Answer | None:
        """A request with this action within these resources, if one is found at once."""
        try:
            found = self._find(self.program, self._supersets, question, group.present, within,
                               limit=_GLANCE_STATES)
        except OutOfBudget:
            return None
        if found is None or not self._is_certain(found[1], found[2], group.present):
            return None
        return Answer(Witness(name.action, found[0], found[1].context))

    def _driver_patterns(self, question: Question) -> tuple[int, ...]:
        set_id = self.program.statements[question.driver].resource_set
        if set_id < 0 or self.program.resource_sets[set_id].negated:
            return ()
        return self.program.resource_sets[set_id].pattern_ids

    def _plausible_names(self, group: _Group, sets: ActionSets) -> list[Name]:
        """Known actions of the class, a few: those that a policy spells out first."""
        if self.world.is_closed:
            return group.names[:_PLAUSIBLE_ACTIONS]
        spelled = [
            Name(name.service, known.partition(":")[2], name.mask) for name in group.names
            if (known := self.world.spelling(name.action)) is not None
        ]
        if spelled:
            return spelled[:_PLAUSIBLE_ACTIONS]
        masks = {name.mask for name in group.names}
        out: list[Name] = []
        for service in dict.fromkeys(name.service for name in group.names):
            at = service if service in sets.services else OTHER_SERVICE
            out += islice(
                (n for n in self._known_names(at, sets) if n.mask in masks),
                _PLAUSIBLE_ACTIONS - len(out))
            if len(out) >= _PLAUSIBLE_ACTIONS:
                break
        return out

    def _plausible_places(
        self, name: Name, patterns: Sequence[ir.ResourcePattern]
    ) -> Iterator[Within]:
        """Resources the action is usually checked on, within the driver's patterns first."""
        templates = self.world.templates(name.action)
        if templates is None:
            return
        inner: Sequence[ir.ResourcePattern | None] = [
            p for p in patterns[:_PLAUSIBLE_ACTIONS] if not p.is_all] or [None]
        for pattern in inner:
            if templates.typical or templates.has_star:
                yield Within(
                    tuple(templates.typical), templates.has_star and pattern is None, pattern)


def _merged(
    hits: Iterable[list[tuple[_Group, Answer, tuple[int, ...]]]], program: ir.Program,
    question: Question,
) -> list[list[tuple[_Group, Answer, tuple[int, ...]]]]:
    """Hits with the same resources and the same statements of the other side become one region."""
    refuses = question.refuses
    theirs = frozenset() if refuses is None else frozenset({*refuses.allows, *refuses.denies})
    merged: dict[object, list[tuple[_Group, Answer, tuple[int, ...]]]] = {}
    for found in hits:
        group, answer, resources = found[0]
        at = (resources, answer.undecided, answer.witness is None, group.present & theirs)
        merged.setdefault(at, []).extend(found)
    return list(merged.values())


@lru_cache(maxsize=1024)
def _typical(languages: tuple[Steps, ...]) -> Union:
    return Union([languages])


def _matcher(pattern: str) -> Callable[[Name], bool]:
    """Whether a name is of an action pattern."""
    service, text = service_and_name(pattern)
    if "*" not in text and "?" not in text:
        return lambda name: (
            name.text.lower() == text and (service is None or name.service.lower() == service))
    union = Union([[glob_steps(text)]])

    def matches(name: Name) -> bool:
        if service is not None and name.service.lower() != service:
            return False
        return union.accepts(union.run(name.text.lower()), 0)

    return matches


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
