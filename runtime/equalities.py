"""Tests on equality, all those of a key answered at once for each of its values.

Most conditions ask whether a value is one of a few texts. What `conditions.Predicate` would be
asked for each of them, one after the other, is here one look-up of the text: a row of states where
none of the texts is met is copied, and those that the text meets are turned round.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from .codes import BASE_CODE, BASES, NEGATED_BASES, NO_ID, SetOperator, Token
from .conditions import Value
from .model import TableModel
from .plan_facts import EngineFacts, order_of

UNSEEN = 0xFF
_NO, _YES = 0, 3
"""States as engines have them."""

_EQUAL = frozenset({"StringEquals", "StringNotEquals", "StringLike", "StringNotLike"})
"""Operators that compare a value with texts, as far as these hold no wildcards."""
_IS_EQUAL = np.array([base in _EQUAL for base in BASES])
_IS_NEGATED = np.array([base in NEGATED_BASES for base in BASES])


class Equalities:
    """The states of a key's tests that equality tells, by slot. Safe between threads."""

    def __init__(self, model: TableModel, facts: EngineFacts) -> None:
        self._traits = _Traits(model)
        unary = np.flatnonzero(facts.test_dependent == NO_ID)
        by_key = unary[order_of(facts.test_key[unary], facts.key_count)]
        self._by_key = by_key.tolist()
        self._absent = self._traits.absent[by_key].tobytes()
        self._start = [0, *accumulate(facts.slot_counts)]
        self._keys: dict[int, _Key] = {}

    def states(self, key: int, value: Value) -> bytearray:
        """What each test says of a value of a key; UNSEEN where a predicate has to be asked."""
        start, stop = self._start[key], self._start[key + 1]
        if value is None:
            return bytearray(self._absent[start:stop])
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = _Key(self._traits, self._by_key[start:stop])
        return known.states(value)


class _Key:
    """Tests of one key, in the order of their slots."""

    def __init__(self, traits: _Traits, tests: Sequence[int]) -> None:
        self._unmet = bytearray([UNSEEN]) * len(tests)
        self._unmet_of_list = bytearray([UNSEEN]) * len(tests)
        self._meets: dict[str, list[int]] = {}
        for slot, test in enumerate(tests):
            values = traits.texts_of(test)
            if values is None:
                continue
            unmet = self._unmet[slot] = _YES if traits.is_negated[test] else _NO
            if not traits.is_plain[test] or traits.is_plain_any:  # COND-26
                self._unmet_of_list[slot] = unmet
            for text in values:
                self._meets.setdefault(text, []).append(slot)

    def states(self, value: Value) -> bytearray:
        text = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        if not isinstance(text, str) or text == "":  # which may count as null (COND-12)
            return bytearray([UNSEEN]) * len(self._unmet)
        unmet = self._unmet if text is value else self._unmet_of_list
        states = bytearray(unmet)
        for slot in self._meets.get(text, ()):
            if unmet[slot] != UNSEEN:
                states[slot] = unmet[slot] ^ _YES
        return states


class _Traits:
    """What predicates are made of, by test.

    absent : uint8[tests], the state where the key is absent; UNSEEN where a predicate has to tell
    """

    def __init__(self, model: TableModel) -> None:
        base, set_operator = model["predicate_base"], model["predicate_set_operator"]
        is_negated = _IS_NEGATED[base]
        is_plain = set_operator == SetOperator.PLAIN
        holds = (set_operator == SetOperator.FOR_ALL_VALUES) | (model["predicate_if_exists"] != 0)
        holds |= is_plain & is_negated  # COND-20 to COND-24
        self.absent = np.where(holds, _YES, _NO).astype(np.uint8)
        self.absent[base == BASE_CODE["Null"]] = UNSEEN
        self.is_negated = is_negated.tolist()
        self.is_plain = is_plain.tolist()
        self._is_equal = _IS_EQUAL[base].tolist()
        self.is_plain_any = model.options.multivalued_plain == "any"
        self._value_start = model["predicate_value_start"].tolist()
        self._value = model["predicate_value"].tolist()
        self._sequence_start = model["sequence_start"].tolist()
        is_point = model["glyph_token"] == Token.POINT
        points = np.where(is_point, model["glyph_argument"], 0).astype("<u4")
        self._text = points.tobytes().decode("utf-32-le", "surrogatepass")
        before = np.zeros(len(is_point) + 1, dtype=np.int64)
        np.cumsum(~is_point, out=before[1:])
        start = model["sequence_start"]
        self._is_text = (before[start[1:]] == before[start[:-1]]).tolist()

    def texts_of(self, test: int) -> list[str] | None:
        """Distinct values of a test; None where it compares otherwise, or one holds wildcards or
        variables.
        """
        if not self._is_equal[test]:
            return None
        texts: dict[str, None] = {}
        for sequence in self._value[self._value_start[test] : self._value_start[test + 1]]:
            if not self._is_text[sequence]:
                return None
            begin, end = self._sequence_start[sequence : sequence + 2]
            texts[self._text[begin:end]] = None
        return list(texts)
