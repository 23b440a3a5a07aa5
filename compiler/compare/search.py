"""Where one side allows and the other does not: regions, each with a request that shows it.

The order of work: what both sides have cancels out (`cover`); actions fall into classes of names
that the same statements match (`actions`); for each class and each statement that could be the
reason (the driver) a request is asked for that one side only lets through (`asking`). What is found
is tried once more with plausible actions and ARNs, for the reader's sake.

Nothing here is believed: the caller replays every request through the reference evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from ...runtime.codes import FLAG_NEVER
from .. import ir
from .actions import OTHER_SERVICE, ActionSets, Name, service_and_name
from .asking import Asker
from .budget import Budget, OutOfBudget
from .cover import uncovered
from .findings import NOTHING, ActionPart, Answer, Findings, Group, Region, Witness
from .formula import Gate
from .linear import Steps, Union, glob_steps
from .meeting import Question
from .resources import Within
from .world import World

_REFINED_PATTERNS = 64
"""Resource elements of more patterns are told of as a whole."""
_PLAUSIBLE_ACTIONS = 4
_GLANCE_STATES = 500
"""States that looking for a plausible request may cost, each time."""
_EXAMPLES = 8


class Search(Asker):
    """Goes over the classes of actions of one program in one world.

    cancels : whether what both sides have is left out first (a shortcut; for tests)
    """

    def __init__(
        self, program: ir.Program, world: World, budget: Budget, *, cancels: bool = True
    ) -> None:
        super().__init__(program, world, budget)
        self.cancels = cancels
        self._actions_of: dict[frozenset[int], ActionSets] = {}

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
                Group(g.present, names) for g in groups
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
    ) -> tuple[list[Group], list[str]]:
        """Classes of actions of these services, by the statements that match them."""
        statements = self.program.statements
        always = frozenset(i for i in relevant if statements[i].action_set < 0)
        by_set: dict[int, list[int]] = {}
        for i in relevant:
            if statements[i].action_set >= 0 and not statements[i].flags & FLAG_NEVER:
                by_set.setdefault(statements[i].action_set, []).append(i)
        present_of: dict[int, frozenset[int]] = {}
        groups: dict[tuple[frozenset[int], object], Group] = {}
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
                        group = groups[at] = Group(present)
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

    # --- regions of one driver

    def _regions(
        self, question: Question, groups: Sequence[Group], scope: set[str], sets: ActionSets
    ) -> list[Region]:
        driver = question.driver
        statement = self.program.statements[driver]
        hit: dict[object, list[tuple[Group, Answer, tuple[int, ...]]]] = {}
        clear: list[Group] = []
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
        self, question: Question, group: Group, within: Within, statement: ir.Statement
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
        self, statement: ir.Statement, ours: Sequence[Group], others: Sequence[Group],
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
        ours: Sequence[Group], sets: ActionSets,
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

    # --- for the reader

    def _dressed(
        self, question: Question, group: Group, answer: Answer,
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
        self, question: Question, group: Group, name: Name, within: Within
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

    def _plausible_names(self, group: Group, sets: ActionSets) -> list[Name]:
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
    hits: Iterable[list[tuple[Group, Answer, tuple[int, ...]]]], program: ir.Program,
    question: Question,
) -> list[list[tuple[Group, Answer, tuple[int, ...]]]]:
    """Hits with the same resources and the same statements of the other side become one region."""
    refuses = question.refuses
    theirs = frozenset() if refuses is None else frozenset({*refuses.allows, *refuses.denies})
    merged: dict[object, list[tuple[Group, Answer, tuple[int, ...]]]] = {}
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
