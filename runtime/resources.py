"""Resource sets against one resource, patterns with policy variables included.

The trie settles what it can: a pattern with variables is filed there as a superset glob, each
variable standing for `*`. A hit on such a pattern is verified here with the request's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .codes import NO_ID, State, Token
from .conditions import Value
from .filled import FilledPatterns
from .globs import GlobSet, match_tokens
from .model import TableModel

_MOST_RESOLVED = 4096
"""Patterns with the values of their variables that are kept: few requesters ask for many things."""


Tokens = tuple[NDArray[np.uint8], NDArray[np.uint32]]
"""Kinds and code points of a pattern, as `globs.match_tokens` takes them."""

_EVERYTHING: Tokens = (np.array([Token.STAR], dtype=np.uint8), np.zeros(1, dtype=np.uint32))


class ResourceSets:
    """All `Resource` and `NotResource` elements of a table. Safe between threads."""

    def __init__(self, model: TableModel) -> None:
        self._model = model
        self._globs = GlobSet(model.arrays, "resource/")
        self._is_all = model["resource_is_all"] != 0
        self._sequence = model["resource_sequence"]
        self._spoils = model.options.null_notresource == "nomatch"
        self._has_variable = (self._sequence != NO_ID).tolist()
        self._resolved = lru_cache(maxsize=_MOST_RESOLVED)(self._resolve)
        self._patterns: dict[int, list[int]] = {}

    def patterns(self, s: int) -> list[int]:
        known = self._patterns.get(s)
        if known is None:
            start, stop = self._model["resource_set_start"][s : s + 2]
            known = self._patterns[s] = self._model["resource_set_pattern"][start:stop].tolist()
        return known

    def is_negated(self, s: int) -> bool:
        return bool(self._model["resource_set_negated"][s])

    def has_variables(self, s: int) -> bool:
        return any(self._has_variable[p] for p in self.patterns(s))

    def variable_keys(self, s: int) -> list[int]:
        """Ids of the keys that the set's variables name, ascending."""
        keys: set[int] = set()
        for p in self.patterns(s):
            if self._sequence[p] != NO_ID:
                for token, variable in self._model.glyphs(int(self._sequence[p])):
                    if token == Token.VARIABLE and self._model.variables.key_ids[variable] >= 0:
                        keys.add(self._model.variables.key_ids[variable])
        return sorted(keys)

    def constant_state(self, s: int) -> State | None:
        """YES or NO when the set gives that for every resource, known or not; else None."""
        patterns = self.patterns(s)
        if any(self._is_all[p] for p in patterns):
            return State.NO if self.is_negated(s) else State.YES
        if not patterns:  # every entry was void (RES-8): nothing matches, nothing is excluded
            return State.YES if self.is_negated(s) else State.NO
        return None

    def unknown_state(self, s: int) -> State:
        """State for a resource that is not known."""
        constant = self.constant_state(s)
        return State.UNKNOWN if constant is None else constant

    def state(self, s: int, resource: str, values: Mapping[int, Value]) -> State:
        """State of a set for a known resource; `values` holds the set's variable keys."""
        matched = set(self._globs.matches(resource.encode("utf-8", "surrogatepass")))
        state = State.NO
        is_spoilt = False
        spoils = self._spoils and self.is_negated(s)
        for p in self.patterns(s):
            if not self._has_variable[p]:
                if p in matched:
                    state = State.YES
                continue
            if p not in matched and not spoils:  # NO whatever its variables are
                continue
            one = self.variable_pattern_state(p, resource, values, p in matched or spoils)
            if one is None:
                is_spoilt = True
            elif one is State.YES or (one is State.UNKNOWN and state is State.NO):
                state = one
        if not self.is_negated(s):
            return state
        if is_spoilt and spoils:
            return State.NO  # VAR-6, option null_notresource
        return _NOT[state]

    def filled(self, s: int, values: Mapping[int, Value]) -> FilledPatterns:
        """The patterns with variables of a set, with `values` filled in: says what `state` says of
        each known resource that no other pattern of the set matches.
        """
        is_negated = self.is_negated(s)
        spoils = self._spoils and is_negated
        certain, possible = [], []
        for p in self.patterns(s):
            if not self._has_variable[p]:
                continue
            one = self._resolved(p, tuple(values.items()))
            if isinstance(one, tuple):
                certain.append((*one, State.NO if is_negated else State.YES))
            elif one is not None:
                possible.append((*(_EVERYTHING if spoils else self._superset(p)), State.UNKNOWN))
            elif spoils:  # VAR-6, option null_notresource
                return FilledPatterns([], State.NO)
        return FilledPatterns(certain + possible, State.YES if is_negated else State.NO)

    def _superset(self, p: int) -> Tokens:
        """What the trie has of a pattern with variables: each of them stands for `*`."""
        glyphs = self._model.glyphs(int(self._sequence[p]))
        kinds = [Token.STAR if token == Token.VARIABLE else token for token, _ in glyphs]
        return (np.array(kinds, dtype=np.uint8),
                np.array([argument for _, argument in glyphs], dtype=np.uint32))

    def matched(self, resource: str) -> frozenset[int]:
        """Patterns that match a known resource, or could once their variables are known."""
        return frozenset(self._globs.matches(resource.encode("utf-8", "surrogatepass")))

    def pattern_state(self, p: int, resource: str, values: Mapping[int, Value]) -> State:
        """State of one pattern for a known resource (explanations)."""
        hit = p in self._globs.matches(resource.encode("utf-8", "surrogatepass"))
        if self._sequence[p] == NO_ID:
            return State.YES if hit else State.NO
        return self.variable_pattern_state(p, resource, values, hit) or State.NO

    def variable_pattern_state(
        self, p: int, resource: str, values: Mapping[int, Value], is_candidate: bool
    ) -> State | None:
        """None when a variable is null: the entry matches no resource (VAR-6).

        is_candidate : the superset glob matches, or a null variable must not go unnoticed
        """
        resolved = self._resolved(p, tuple(values.items()))
        if resolved is None:
            return None
        if not is_candidate:
            return State.NO
        if isinstance(resolved, State):
            return resolved
        return State.YES if match_tokens(*resolved, resource) else State.NO

    def _resolve(
        self, p: int, values: tuple[tuple[int, Value], ...]
    ) -> Tokens | State | None:
        """Tokens and code points of a pattern with its variables filled in; UNKNOWN, or None when
        one is null (VAR-6).
        """
        glyphs = self._model.glyphs(int(self._sequence[p]))
        resolved = self._model.variables.substitute(glyphs, dict(values))
        if resolved is None:
            return None
        if not isinstance(resolved, list):
            return State.UNKNOWN
        return (np.array([token for token, _ in resolved], dtype=np.uint8),
                np.array([argument for _, argument in resolved], dtype=np.uint32))


_NOT = {State.NO: State.YES, State.YES: State.NO, State.UNKNOWN: State.UNKNOWN}
