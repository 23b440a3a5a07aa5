"""Classes of actions: names that the same action elements match, and in a closed world that are
checked on the same ARNs.

What is worked out about names holds for every question that asks about the same action elements,
whatever the statements around them: organizations ask hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from .. import ir
from .actions import OTHER_SERVICE, ActionSets, Name, service_and_name
from .budget import Meter
from .linear import Union, glob_steps
from .world import World

ClassKey = tuple[int, Hashable]
"""Bitset of the action elements that match, and in a closed world what tells the ARNs that the
names are checked on from others."""
Classes = dict[ClassKey, list[Name]]

_NAME_STEPS = 3
"""What one name takes, in steps of the budget."""


class ActionClasses:
    """The names that stand for all actions, under some action elements and in one world."""

    def __init__(
        self, program: ir.Program, world: World, sets: ActionSets, meter: Meter
    ) -> None:
        self.sets = sets
        self._program = program
        self._world = world
        self._meter = meter
        self._classes: dict[str, Classes] = {}
        self._known: dict[str, list[Name]] = {}
        self._matching: dict[tuple[int, bool], Classes] = {}

    def of(self, service: str) -> Classes:
        """The names of a service, class by class. Raises OutOfBudget."""
        found = self._classes.get(service)
        if found is None:
            is_closed = self._world.is_closed
            names = self.known(service) if is_closed else self.sets.names(service)
            self._meter.note(_NAME_STEPS * len(names))
            found = self._classes[service] = self._classed(names)
        return found

    def known(self, service: str) -> list[Name]:
        """The world's actions of a service (of all unnamed services), as names."""
        found = self._known.get(service)
        if found is None:
            named = set(self.sets.services)
            services = [service] if service != OTHER_SERVICE else [
                s for s in self._world.services() if s not in named]
            found = []
            for one in services:
                for action in self._world.actions(one):
                    prefix, _, text = action.partition(":")
                    found.append(Name(prefix, text, self.sets.mask(action)))
            self._meter.note(_NAME_STEPS * len(found))
            self._known[service] = found
        return found

    def matching(self, pattern: int, *, known: bool) -> Classes:
        """The names that an action pattern matches (-1: all names), class by class.

        known : of the world's actions, else of the names that stand for all
        Raises OutOfBudget.
        """
        at = (pattern, known)
        found = self._matching.get(at)
        if found is None:
            text = self._program.action_patterns[pattern].text if pattern >= 0 else "*"
            service, _ = service_and_name(text)
            services: Iterable[str] = self.sets.services
            if service is not None:
                services = [service if service in self.sets.services else OTHER_SERVICE]
            matches = matcher(text)
            found = {}
            for one in services:
                listed = self._classed(self.known(one)) if known else self.of(one)
                for key, names in listed.items():
                    self._meter.note(len(names))
                    kept = [name for name in names if matches(name)]
                    if kept:
                        found.setdefault(key, []).extend(kept)
            self._matching[at] = found
        return found

    def _classed(self, names: Iterable[Name]) -> Classes:
        found: Classes = {}
        for name in names:
            found.setdefault((name.mask, self._resources_at(name)), []).append(name)
        return found

    def _resources_at(self, name: Name) -> Hashable:
        if not self._world.is_closed:
            return None
        templates = self._world.templates(name.action)
        return None if templates is None else templates.key


def matcher(pattern: str) -> Callable[[Name], bool]:
    """Whether a name is of an action pattern."""
    service, text = service_and_name(pattern)

    def is_of_service(name: Name) -> bool:
        return service is None or name.service.lower() == service

    if text == "*":
        return is_of_service
    if "*" not in text and "?" not in text:
        return lambda name: name.text.lower() == text and is_of_service(name)
    if "?" not in text and text.index("*") == len(text) - 1:
        head = text[:-1]
        return lambda name: name.text.lower().startswith(head) and is_of_service(name)
    union = Union([[glob_steps(text)]])
    return lambda name: is_of_service(name) and union.accepts(union.run(name.text.lower()), 0)
