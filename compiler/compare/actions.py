"""Which statements' action elements match which actions: classes of actions, service by service.

An action is `service:name` with one colon, neither part empty and no white space in it (ACT-8);
both are compared without ASCII case (ACT-1). The service part of a pattern is a literal or exactly
`*` (ACT-3), so the question falls apart into one question about names for each service that some
pattern names, and one for all other services together.

For one service, names are words, and every element is a bit of a mask. Patterns that are literal or
`head*` need no automaton: a name is told apart only by being one of the literals or by the longest
head it begins with, so each literal and each head with something new after it stand for all names.
Other patterns are walked as an automaton.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import ir
from .budget import Budget, Meter, OutOfBudget
from .linear import Union, glob_steps

OTHER_SERVICE = ""
"""Stands for every service that no pattern names."""

_FRESH = "xabcdefghijklmnopqrstuvwyz0123456789-_"


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a service that stands for its class.

    mask : bitset over action set ids: the elements that match it
    """

    service: str
    text: str
    mask: int

    @property
    def action(self) -> str:
        return f"{self.service}:{self.text}"


@dataclass(slots=True)
class _Service:
    """Name patterns of one service, each with the sets it belongs to."""

    literals: dict[str, int] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    globs: dict[str, int] = field(default_factory=dict)
    head_sizes: set[int] = field(default_factory=set)

    def add(self, text: str, bit: int) -> None:
        if "?" not in text and "*" not in text:
            self.literals[text] = self.literals.get(text, 0) | bit
        elif "?" not in text and text.index("*") == len(text) - 1:
            self.heads[text[:-1]] = self.heads.get(text[:-1], 0) | bit
            self.head_sizes.add(len(text) - 1)
        else:
            self.globs[text] = self.globs.get(text, 0) | bit


class ActionSets:
    """The action elements of a program, ready to be asked service by service."""

    def __init__(
        self, program: ir.Program, set_ids: Iterable[int], budget: Budget, meter: Meter
    ) -> None:
        self._program = program
        self._meter = meter
        self._budget = budget
        self.negated = 0
        self._services: dict[str, _Service] = {}
        self._everywhere: list[tuple[str, int]] = []
        self.universal = 0
        """Sets that name no service: `*`, `*:name`, or what is listed is excluded."""
        for set_id in set_ids:
            if set_id < 0:
                continue
            bit = 1 << set_id
            pattern_set = program.action_sets[set_id]
            if pattern_set.negated:
                self.negated |= bit
                self.universal |= bit
            for pattern_id in pattern_set.pattern_ids:
                service, name = service_and_name(program.action_patterns[pattern_id].text)
                if service is None:
                    self._everywhere.append((name, bit))
                    self.universal |= bit
                else:
                    self._services.setdefault(service, _Service()).add(name, bit)
        for name, bit in self._everywhere:
            for at in self._services.values():
                at.add(name, bit)
        other = _Service()
        for name, bit in self._everywhere:
            other.add(name, bit)
        self._other = other
        self._names: dict[str, list[Name]] = {}
        self._unions: dict[str, tuple[Union, list[int]]] = {}

    @property
    def services(self) -> tuple[str, ...]:
        """The services that patterns name, and `OTHER_SERVICE`."""
        return (*self._services, OTHER_SERVICE)

    def services_of(self, set_id: int, pattern_ids: Iterable[int] | None = None) -> set[str]:
        """Services in which these patterns of a set (all of them when None) can match a name."""
        if set_id < 0:
            return set(self.services)
        pattern_set = self._program.action_sets[set_id]
        if pattern_set.negated:
            return set(self.services)
        found: set[str] = set()
        for pattern_id in pattern_set.pattern_ids if pattern_ids is None else pattern_ids:
            service, _ = service_and_name(self._program.action_patterns[pattern_id].text)
            if service is None:
                return set(self.services)
            found.add(service)
        return found

    def mask(self, action: str) -> int:
        """Bitset of the elements that match an action."""
        service, _, name = action.translate(_LOWER).partition(":")
        return self._mask(service if service in self._services else OTHER_SERVICE, name)

    def names(self, service: str) -> list[Name]:
        """Names that stand for every class of names of a service. Raises OutOfBudget.

        Each literal is among them, and for each `head*` a name that only it begins.
        """
        known = self._names.get(service)
        if known is None:
            at = self._services.get(service, self._other)
            texts = list(at.literals)
            texts += [head + _fresh_suffix(head, at) for head in at.heads]
            texts.append(_fresh_suffix("", at))
            if at.globs:
                texts += [glob.replace("*", "x").replace("?", "x") for glob in at.globs]
                texts += self._walk(service)
            shown = service or self._unnamed_service()
            known = self._names[service] = [
                Name(shown, text, self._mask(service, text))
                for text in dict.fromkeys(texts) if _is_name(text)
            ]
        return known

    def _unnamed_service(self) -> str:
        name = "example"
        while name in self._services:
            name += "x"
        return name

    def _mask(self, service: str, name: str) -> int:
        at = self._services.get(service, self._other)
        found = at.literals.get(name, 0)
        for size in at.head_sizes:
            if size <= len(name):
                found |= at.heads.get(name[:size], 0)
        if at.globs:
            union, bits_of = self._union(service)
            self._meter.note(len(bits_of) + 4 * len(name))
            accepted = union.accepted(union.run(name))
            for unit, bits in enumerate(bits_of):
                if accepted >> unit & 1:
                    found |= bits
        return found ^ self.negated

    def _union(self, service: str) -> tuple[Union, list[int]]:
        """An automaton of the patterns that are neither literal nor `head*`."""
        made = self._unions.get(service)
        if made is None:
            globs = self._services.get(service, self._other).globs
            made = (Union([[glob_steps(glob)] for glob in globs]), list(globs.values()))
            self._unions[service] = made
        return made

    def _walk(self, service: str) -> list[str]:
        """A name for every class of names, where an automaton has to tell."""
        at = self._services.get(service, self._other)
        patterns: dict[int, list[str]] = {}
        for table, suffix in ((at.literals, ""), (at.heads, "*"), (at.globs, "")):
            for text, bits in table.items():
                patterns.setdefault(bits, []).append(text + suffix)
        bits_of = _by_set(patterns)
        union = Union([[glob_steps(t) for t in texts] for texts in bits_of.values()])
        found: dict[int, str] = {}
        queue: list[tuple[int, str]] = [(union.start, "")]
        visited = {union.start}
        for state, text in queue:
            if text:
                found.setdefault(union.accepted(state), text)
            if len(visited) > self._budget.action_states:
                raise OutOfBudget("action_states", self._budget.action_states,
                                  f"the action patterns of `{service or '*'}`")
            if text and union.is_settled(state):
                continue
            letters = union.letters(state)
            self._meter.spend(len(letters) * union.edge_cost)
            for point in letters:
                if point == ord(":") or chr(point).isspace():
                    continue
                target = union.next(state, point)
                if target not in visited or not text:
                    visited.add(target)
                    queue.append((target, text + chr(point)))
        return list(found.values())


_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def service_and_name(pattern: str) -> tuple[str | None, str]:
    """Service and name part of a lowered action pattern; no service when it is any (ACT-3)."""
    service, colon, name = pattern.partition(":")
    if not colon:
        return None, "*"
    return (None if service == "*" else service), name


def _by_set(patterns: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
    """Set bit -> all its patterns, from patterns by the sets they are shared between."""
    found: dict[int, list[str]] = {}
    for bits, texts in patterns.items():
        while bits:
            low = bits & -bits
            found.setdefault(low, []).extend(texts)
            bits ^= low
    return found


def _fresh_suffix(head: str, at: _Service) -> str:
    """A character after `head` with which no other pattern of this service goes on."""
    size = len(head)
    taken = {
        text[size] for table in (at.literals, at.heads, at.globs) for text in table
        if len(text) > size and text.startswith(head)
    }
    for character in _FRESH:
        if character not in taken:
            return character
    point = 0x100
    while chr(point) in taken or not _is_name(chr(point)):
        point += 1
    return chr(point)


def _is_name(text: str) -> bool:
    """Whether a text can be the name part of an action (ACT-8)."""
    return bool(text) and ":" not in text and not any(c.isspace() for c in text)
