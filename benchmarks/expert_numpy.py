"""What an expert writes in numpy: bit masks over dictionary codes, conditions included.

Statements are bits. A principal with an action has a word of the statements that match both, and
so has a principal with a class of resources (resources that the same patterns match), and with
each value of each key. Pairs of principal and action that leave no choice are answered by one
gather; for the other rows the words are gathered and ANDed, and a row is decided by whether an
Allow or a Deny is left. Nothing is looped over but keys and, for principals with more than 64
statements, words.

What it stands on (which pattern matches which value) comes from the plain Python of peers.py and
is found out once per distinct value, before anything is timed: `decide` starts from codes whose
masks are known, where a session of ours finds out that it knows them. It knows no unknowns, finds
no malformed requests, tells no statement, and refuses policies that peers.py refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from corpora import Coded
from numpy.typing import NDArray
from peers import ALLOW, EXPLICIT_DENY, IMPLICIT_DENY, Statement, listed

OPEN = 3
_WORD = 64


class ExpertNumpy:
    """Decides columns of codes under the policies of each principal.

    policies : of each principal, in the order of the values of the column `principal`, JSON texts;
               one list for everyone where `columns` is to be read without its principals
    columns  : whose values are known from here on
    given    : key in lower case -> value of keys without a column; all others are absent
    """

    def __init__(self, policies: Sequence[Sequence[str]], columns: Mapping[str, Coded],
                 given: Mapping[str, str] | None = None) -> None:
        known: dict[str, list[Statement]] = {}
        for text in (text for texts in policies for text in texts):
            if text not in known:
                known[text] = [Statement(s) for s in listed(json.loads(text)["Statement"])]
        keys = {name.lower(): name for name in columns
                if name not in ("principal", "action", "resource")}
        constants = {key: value for key, value in (given or {}).items() if key not in keys}
        held = {id(s): _holds(s, keys, constants) for some in known.values() for s in some}
        of_principal = [[s for text in texts for s in known[text] if held[id(s)]]
                        for texts in policies]
        self.people = len(policies)
        self.words = max(1, max(-(-len(some) // _WORD) for some in of_principal))
        self._action_masks(of_principal, columns["action"].values)
        self._resource_masks(of_principal, columns["resource"].values)
        self._key_masks(of_principal, {key: columns[name] for key, name in keys.items()})
        self._decide_pairs(of_principal, columns["action"].values)

    def _masks(self, of_principal: Sequence[Sequence[Statement]],
               columns: Mapping[int, NDArray[np.bool_]], width: int) -> list[NDArray[np.uint64]]:
        """Words [principal x width] by number of word; columns: id of statement -> bool[width]."""
        out = [np.zeros((self.people, width), dtype=np.uint64) for _ in range(self.words)]
        for person, statements in enumerate(of_principal):
            for bit, statement in enumerate(statements):
                row = columns[id(statement)].astype(np.uint64) << np.uint64(bit % _WORD)
                out[bit // _WORD][person] |= row
        return out

    def _action_masks(self, of_principal: Sequence[Sequence[Statement]],
                      actions: Sequence[Any]) -> None:
        known = {id(s): np.array([s.matches_action(str(a)) for a in actions])
                 for some in of_principal for s in some}
        self._matched = known
        self.by_action = [m.ravel() for m in self._masks(of_principal, known, len(actions))]
        self.actions = len(actions)
        self.denies = [m.ravel() for m in self._masks(
            of_principal, {id(s): np.array([s.decision == EXPLICIT_DENY])
                           for some in of_principal for s in some}, 1)]

    def _resource_masks(self, of_principal: Sequence[Sequence[Statement]],
                        resources: Sequence[Any]) -> None:
        different: dict[Any, int] = {}
        numbers = {id(s): different.setdefault(s.resource_matcher, len(different))
                   for some in of_principal for s in some}
        hits = np.zeros((len(resources), len(different)), dtype=np.uint8)
        for matches, number in different.items():
            hits[:, number] = [matches(str(r)) for r in resources]
        classes, member = np.unique(np.packbits(hits, axis=1), axis=0, return_inverse=True)
        self.class_of = member.astype(np.int32).ravel()
        self.classes = len(classes)
        bits = np.unpackbits(classes, axis=1, count=len(different)).astype(bool)
        known = {id(s): bits[:, numbers[id(s)]] != s.resource_is_not
                 for some in of_principal for s in some}
        self.by_resource = [m.ravel() for m in self._masks(of_principal, known, self.classes)]

    def _key_masks(self, of_principal: Sequence[Sequence[Statement]],
                   columns: Mapping[str, Coded]) -> None:
        """By value code + 1, so that a null is the first; only keys that a statement asks for."""
        self.by_key: list[tuple[str, int, list[NDArray[np.uint64]]]] = []
        for key, column in columns.items():
            values = [None, *column.values]
            known = {}
            is_asked = False
            for some in of_principal:
                for statement in some:
                    tests = [test for name, _, test in statement.tests if name == key]
                    is_asked |= bool(tests)
                    if id(statement) not in known:
                        known[id(statement)] = np.array(
                            [all(test(value) for test in tests) for value in values])
            if is_asked:
                masks = [m.ravel() for m in self._masks(of_principal, known, len(values))]
                self.by_key.append((key, len(values), masks))

    def _decide_pairs(self, of_principal: Sequence[Sequence[Statement]],
                      actions: Sequence[Any]) -> None:
        """What (principal, action) decides: one of the decisions, or OPEN."""
        keys = {key for key, _, _ in self.by_key}
        pairs = np.full((self.people, len(actions)), IMPLICIT_DENY, dtype=np.uint8)
        for person, statements in enumerate(of_principal):
            allow, deny, sure_allow, sure_deny = np.zeros((4, len(actions)), dtype=bool)
            for s in statements:
                matched = self._matched[id(s)]
                is_sure = s.is_for_any_resource and not any(k in keys for k, _, _ in s.tests)
                if s.decision == ALLOW:
                    allow |= matched
                    sure_allow |= matched & is_sure
                else:
                    deny |= matched
                    sure_deny |= matched & is_sure
            pairs[person, allow | deny] = OPEN
            pairs[person, sure_allow & ~deny] = ALLOW
            pairs[person, sure_deny] = EXPLICIT_DENY
        self.pairs = pairs.ravel()

    def decide(self, columns: Mapping[str, Coded]) -> NDArray[np.uint8]:
        """Decision of every row: 0 implicit deny, 1 allow, 2 explicit deny."""
        action = columns["action"].codes
        is_one = self.people == 1
        pair = action if is_one else columns["principal"].codes * np.int32(self.actions) + action
        decision = self.pairs[pair]
        rows = np.flatnonzero(decision == OPEN)
        person: Any = 0 if is_one else columns["principal"].codes[rows]
        resource = self.class_of[columns["resource"].codes[rows]]
        left = [masks[pair[rows]] & by_class[person * self.classes + resource]
                for masks, by_class in zip(self.by_action, self.by_resource, strict=True)]
        spelled = {name.lower(): column for name, column in columns.items()}
        for key, width, masks in self.by_key:
            place = person * width + (spelled[key].codes[rows] + 1)
            for word, mask in zip(left, masks, strict=True):
                word &= mask[place]
        denied = np.zeros(len(rows), dtype=bool)
        allowed = np.zeros(len(rows), dtype=bool)
        for word, denies in zip(left, self.denies, strict=True):
            of_deny = denies[person]
            denied |= (word & of_deny) != 0
            allowed |= (word & ~of_deny) != 0
        decision[rows] = np.where(denied, EXPLICIT_DENY, np.where(allowed, ALLOW, IMPLICIT_DENY))
        return decision


def _holds(statement: Statement, keys: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether what it asks of keys without a column holds."""
    return all(test(given.get(key)) for key, _, test in statement.tests if key not in keys)
