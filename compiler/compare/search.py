"""Where one side allows and the other does not: regions, each with a request that shows it.

The order of work: what both sides have cancels out (`cover`); actions fall into classes of names
that the same statements match (`actions`); for each class and each statement that could be the
reason (the driver) a request is asked for that one side only lets through (`asking`). What is found
is tried once more with plausible actions and ARNs, for the reader's sake.

Nothing here is believed: the caller replays every request through the reference evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from ...runtime.codes import FLAG_NEVER
from .. import ir
from .actions import OTHER_SERVICE, ActionSets, Name
from .asking import Asker
from .budget import Budget, OutOfBudget
from .classes import ActionClasses, matcher
from .cover import Cover
from .findings import NOTHING, ActionPart, Answer, Findings, Group, Region, Witness
from .formula import Gate
from .linear import Steps, Union
from .meeting import Question
from .parts import action_part
from .resources import Within
from .world import World

_REFINED_PATTERNS = 64
"""Resource elements of more patterns are told of as a whole."""
_PLAUSIBLE_ACTIONS = 4
_GLANCE_STATES = 500
"""States that looking for a plausible request may cost, each time."""


class Search(Asker):
    """Goes over the classes of actions of one program in one world.

    cancels : whether what both sides have is left out first (a shortcut; for tests)
    """

    def __init__(
        self, program: ir.Program, world: World, budget: Budget, *, cancels: bool = True
    ) -> None:
        super().__init__(program, world, budget)
        self.cancels = cancels
        self._cover = Cover(program, self.meter)
        self._classes_of: dict[frozenset[int], ActionClasses] = {}
        self._all_sets = frozenset(s.action_set for s in program.statements)

    # --- directions

    def differences(self, question: Question, questions: int = 1) -> Findings:
        """Where `question.accepts` allows and `question.refuses` does not.

        questions : how many share the steps that are left, this one included; each may take a
                    quarter, since most need next to nothing
        """
        self.meter.allow(questions)
        question = self._reduced(question)
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        relevant = sorted({*accepts.allows, *accepts.denies, *refuses.allows, *refuses.denies,
                           *question.must_match, *question.must_miss})
        classes = self._action_classes(relevant)
        scopes = self._scopes(question, classes.sets)
        if not scopes:
            return Findings()
        groups, undecided = self._groups(relevant, classes, set().union(*scopes.values()))
        regions: list[Region] = []
        for driver in scopes:
            if not self.meter.is_spent:
                regions += self._regions(
                    replace(question, driver=driver), groups, scopes[driver], classes)
        if self.meter.is_spent:
            undecided.append(str(self.meter.error()))
        kept = tuple(regions[: self.budget.regions])
        return Findings(kept, len(regions) - len(kept), tuple(undecided))

    def any_difference(self, question: Question) -> Answer:
        """One request that `question.accepts` allows and `question.refuses` does not; as cheap as
        can be: as found, and nothing about where else."""
        self.meter.allow(1)
        question = self._reduced(question)
        accepts, refuses = question.accepts, question.refuses
        assert accepts is not None and refuses is not None
        relevant = sorted({*accepts.allows, *accepts.denies, *refuses.allows, *refuses.denies,
                           *question.must_match, *question.must_miss})
        classes = self._action_classes(relevant)
        scopes = self._scopes(question, classes.sets)
        if not scopes:
            return NOTHING
        groups, undecided = self._groups(relevant, classes, set().union(*scopes.values()))
        open_ = [*undecided]
        asked = {driver: replace(question, driver=driver) for driver in scopes}
        for group in groups:
            if self.meter.is_spent:
                return Answer(None, str(self.meter.error()))
            if not group.present.issuperset(question.must_match):
                continue
            for driver, scope in scopes.items():
                if driver in group.present and any(
                    self._is_in(name, scope, classes.sets) for name in group.names
                ):
                    answer = self._ask_at_once(asked[driver], group, self._within(group))
                    if answer.witness is not None:
                        return answer
                    if answer.undecided:
                        open_.append(answer.undecided)
        return Answer(None, open_[0]) if open_ else NOTHING

    def _reduced(self, question: Question) -> Question:
        """The question without what both sides have."""
        if not self.cancels or question.accepts is None or question.refuses is None:
            return question
        return replace(
            question, refuses=self._cover.reduced(question.accepts, question.refuses))

    def _action_classes(self, statements: Iterable[int]) -> ActionClasses:
        """Classes of actions fine enough for these statements."""
        ids = frozenset(self.program.statements[i].action_set for i in statements)
        if 2 * len(ids) > len(self._all_sets):
            ids = self._all_sets  # shared by all questions about nearly everything
        made = self._classes_of.get(ids)
        if made is None:
            sets = ActionSets(self.program, sorted(ids), self.budget, self.meter)
            made = self._classes_of[ids] = ActionClasses(
                self.program, self.world, sets, self.meter)
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
        classes = self._action_classes(ordered)
        services = classes.sets.services_of(
            self.program.statements[driver].action_set, None if pattern is None else (pattern,))
        groups, undecided = self._groups(ordered, classes, services)
        if pattern is not None:
            matches = matcher(self.program.action_patterns[pattern].text)
            groups = [
                Group(g.present, names, g.classes) for g in groups
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
                return self._dressed(asked, group, answer, None, classes)
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
        left = self._cover.uncovered(accepts, refuses.grant)
        denied: set[str] = set()
        for i in refuses.denies:
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

    def _groups(
        self, relevant: Sequence[int], classes: ActionClasses, services: set[str]
    ) -> tuple[list[Group], list[str]]:
        """Classes of actions of these services, by the statements that match them."""
        statements = self.program.statements
        always = frozenset(i for i in relevant if statements[i].action_set < 0)
        by_set: dict[int, list[int]] = {}
        for i in relevant:
            if statements[i].action_set >= 0 and not statements[i].flags & FLAG_NEVER:
                by_set.setdefault(statements[i].action_set, []).append(i)
        asked = sum(1 << set_id for set_id in by_set)
        present_of: dict[int, frozenset[int]] = {}
        groups: dict[tuple[frozenset[int], object], Group] = {}
        undecided: list[str] = []
        for service in classes.sets.services:
            if service not in services:
                continue
            try:
                found = classes.of(service)
            except OutOfBudget as error:
                undecided.append(str(error))
                continue
            self.meter.note(len(found))
            for key, names in found.items():
                mask = key[0] & asked
                present = present_of.get(mask)
                if present is None:
                    self.meter.note(len(by_set))
                    present = present_of[mask] = always.union(
                        *(by_set[s] for s in by_set if mask >> s & 1))
                at = (present, key[1])
                group = groups.get(at)
                if group is None:
                    group = groups[at] = Group(present)
                group.names += names
                group.classes.add(key)
        return list(groups.values()), undecided

    # --- regions of one driver

    def _regions(
        self, question: Question, groups: Sequence[Group], scope: set[str],
        classes: ActionClasses,
    ) -> list[Region]:
        driver = question.driver
        statement = self.program.statements[driver]
        hit: dict[object, list[tuple[Group, Answer, tuple[int, ...]]]] = {}
        for group in groups:
            if self.meter.is_spent:
                break  # which `differences` tells
            if driver not in group.present or not group.present.issuperset(question.must_match):
                continue
            if not any(self._is_in(name, scope, classes.sets) for name in group.names):
                continue
            within = self._within(group)
            answer = self._ask_plausibly(question, group, within)
            if answer.is_none:
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
                answer = self._dressed(question, group, answer, resources, classes)
            regions.append(Region(
                driver, self._actions(statement, [g for g, _, _ in found], classes),
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
        self, statement: ir.Statement, ours: Sequence[Group], classes: ActionClasses
    ) -> tuple[ActionPart, ...]:
        """The driver's action patterns that reach into the region; examples where in part."""
        if statement.action_set < 0:
            return (ActionPart(-1, True),)
        actions = self.program.action_sets[statement.action_set]
        inside = set().union(*(group.classes for group in ours))
        is_closed = self.world.is_closed
        if actions.negated:
            part = action_part(classes, -1, "*", inside, self.meter, is_closed=is_closed,
                               negated_bit=1 << statement.action_set)
            return () if part is None else (part,)
        parts = (
            action_part(classes, p, self.program.action_patterns[p].text, inside, self.meter,
                        is_closed=is_closed)
            for p in actions.pattern_ids)
        return tuple(part for part in parts if part is not None)

    # --- for the reader

    def _dressed(
        self, question: Question, group: Group, answer: Answer,
        resources: tuple[int, ...] | None, classes: ActionClasses,
    ) -> Answer:
        """The same finding with an action that exists and an ARN it could be asked for."""
        assert answer.witness is not None
        patterns = [
            self.program.resource_patterns[p]
            for p in (resources if resources is not None else self._driver_patterns(question))
        ]
        names = self._plausible_names(group, classes)
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

    def _plausible_names(self, group: Group, classes: ActionClasses) -> list[Name]:
        """Known actions of the class, a few: those that a policy spells out first."""
        if self.world.is_closed:
            return group.names[:_PLAUSIBLE_ACTIONS]
        spelled = (
            Name(name.service, known.partition(":")[2], name.mask) for name in group.names
            if (known := self.world.spelling(name.action)) is not None
        )
        found = list(islice(spelled, _PLAUSIBLE_ACTIONS))
        if found:
            return found
        services = dict.fromkeys(
            name.service if name.service in classes.sets.services else OTHER_SERVICE
            for name in group.names)
        listed = (
            name for service in services for name in classes.known(service)
            if (name.mask, None) in group.classes)
        return list(islice(listed, _PLAUSIBLE_ACTIONS))

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
