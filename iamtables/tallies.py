"""Records counted by names, and by what they have in common, in bounded memory.

`Totals` counts by one name, `Groups` by principal, action, statement and decision at once. Names
are numbered when they are met first; what comes beyond the bound shares `OTHERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from .logs.numbering import number_keys
from .repeats import counted
from .runtime.codes import DecisionCode

MAX_GROUPS = 200_000
"""Distinct (principal, action, statement, decision) counted by name; the rest goes to `OTHERS`."""
OTHERS = "(others)"
DECISIONS = tuple(code.name for code in DecisionCode)

PRINCIPAL_BITS, ACTION_BITS = 18, 17
_STATEMENT_BITS, _DECISION_BITS = 26, 2
_REST_BITS = ACTION_BITS + _STATEMENT_BITS + _DECISION_BITS
"""Of what a group is, but for its principal."""

Group = tuple[str, str, int, str, int]
"""(principal, action, statement id or -1, decision, records)"""


class Numbers:
    """Numbers of names, whatever dictionary brings them."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = list(names)
        self._numbers: dict[str, int] = {}
        self._values: object = None
        self._by_code = np.zeros(0, dtype=np.int64)
        """The number of each code of these values, two places on; -1 while nobody asked."""

    def number(self, name: str, limit: int) -> int | None:
        """The number of a name; None for a new one where there are `limit` already."""
        number = self._numbers.get(name)
        if number is None and len(self.names) < limit:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number

    def of(self, values: Sequence[Any], codes: NDArray[np.integer[Any]], limit: int, beyond: int
           ) -> NDArray[np.int64]:
        """The number of each row's name; code -1, and -2, is the name `-`.

        limit, beyond : where there are as many names, new ones get this number
        """
        if values is not self._values:
            self._values, self._by_code = values, np.zeros(0, dtype=np.int64)
        shifted = codes + 2  # -2 and -1 are codes, too
        more = len(values) + 2 - len(self._by_code)
        if more > 0:
            self._by_code = np.concatenate([self._by_code, np.full(more, -1, dtype=np.int64)])
        found: NDArray[np.int64] = self._by_code.take(shifted)
        if len(found) and int(found.min()) < 0:
            is_new = np.zeros(len(self._by_code), dtype=bool)
            is_new[shifted[found < 0]] = True
            places = np.flatnonzero(is_new)
            names = [str(values[place - 2]) if place > 1 else "-" for place in places.tolist()]
            self._by_code[places] = self._all_numbers(names, limit, beyond)
            found = self._by_code.take(shifted)
        return found

    def _all_numbers(self, names: Sequence[str], limit: int, beyond: int) -> list[int]:
        """`number` of each, `beyond` for None: without a call for each of thousands of names."""
        known = self._numbers
        new = [name for name in dict.fromkeys(names) if name not in known]
        first = len(self.names)
        new = new[: max(limit - first, 0)]
        known.update(zip(new, range(first, first + len(new)), strict=True))
        self.names += new
        return [known.get(name, beyond) for name in names]


class Totals:
    """Records by decision for each name; names beyond a bound share `OTHERS`, number 0."""

    def __init__(self, bits: int) -> None:
        self._names = Numbers([OTHERS])
        self._limit = min(1 << bits, MAX_GROUPS)
        self._counts = np.zeros((1024, len(DecisionCode)), dtype=np.int64)

    @property
    def names(self) -> list[str]:
        """By number."""
        return self._names.names

    def add(self, values: Sequence[Any], codes: NDArray[np.int32], decision: NDArray[np.int64],
            count: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Count rows; the number of each row's name. Code -1 is the name `-`.

        count : how many each row stands for; None: for itself
        """
        found = self._names.of(values, codes, self._limit, 0)
        self._grow()
        flat = self._counts.reshape(-1)
        flat += counted(found * len(DecisionCode) + decision, count, None, len(flat))
        return found

    def merge(self, other: Totals) -> NDArray[np.int64]:
        """Add the counts of others; the number here of each of their names."""
        numbers = np.array([0, *(self._names.number(name, self._limit) or 0
                                 for name in other.names[1:])], dtype=np.int64)
        self._grow()
        np.add.at(self._counts, numbers, other._counts[: len(numbers)])
        return numbers

    def _grow(self) -> None:
        if len(self.names) > len(self._counts):
            grown = np.zeros((2 * len(self.names), len(DecisionCode)), dtype=np.int64)
            grown[: len(self._counts)] = self._counts
            self._counts = grown

    def by_name(self) -> dict[str, list[int]]:
        """Records by decision code of each name that has any; the busiest first, then by name."""
        totals = self._counts[: len(self.names)].sum(axis=1)
        order = np.lexsort((places_in_order(self.names), -totals))
        order = order[: np.count_nonzero(totals)]
        return dict(zip(map(self.names.__getitem__, order.tolist()),
                        self._counts[order].tolist(), strict=True))


class Groups:
    """Records by principal, action, statement and decision, packed into one number each.

    Past the bound only the busiest groups keep their names; the others are one per decision.
    """

    def __init__(self) -> None:
        self._keys: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.int64]] = []
        self._size = 0

    def add(self, who: NDArray[np.int64], what: NDArray[np.int64], statement: NDArray[np.int32],
            decision: NDArray[np.int64], count: NDArray[np.int64] | None) -> None:
        """Count rows.

        who, what : numbers of their principals and actions
        count     : how many each row stands for; None: for itself
        """
        key = _pack(who, what, statement.astype(np.int64) + 1, decision)
        if count is None:
            numbers, first = number_keys(key)
            key, count = key[first], np.bincount(numbers)
        self._append(key, count)

    def add_pairs(self, who: NDArray[np.int64], group: NDArray[np.int32],
                  what: NDArray[np.int64], statement: NDArray[np.int32],
                  decision: NDArray[np.int64], count: NDArray[np.int64]) -> None:
        """Count rows of groups that have all in common but their principals.

        who, group, count : of each row, its principal's number, its group, how many it stands for
        """
        rest = _pack(np.zeros(1, dtype=np.int64), what, statement.astype(np.int64) + 1, decision)
        key = who << _REST_BITS
        key |= rest.take(group)
        self._append(key, count)

    def merge(self, other: Groups, who: NDArray[np.int64], what: NDArray[np.int64]) -> None:
        """Add the groups of others.

        who, what : the number here of each of their principals and actions
        """
        if not other._keys:
            return
        other._merge()
        principals, actions, statement, decision = _unpack(other._keys[0])
        self._append(_pack(who[principals], what[actions], statement, decision), other._counts[0])

    def _append(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._keys.append(keys)
        self._counts.append(counts)
        self._size += len(keys)
        if self._size > 4 * MAX_GROUPS:
            self._merge()

    def _merge(self) -> None:
        keys, counts = _busiest(self._keys, self._counts)
        self._keys, self._counts, self._size = [keys], [counts], len(keys)

    def ranked(self, principals: Sequence[str], actions: Sequence[str]) -> RankedGroups:
        """What was counted so far.

        principals, actions : the names of these numbers
        """
        if not self._keys:
            nothing = (np.zeros(0, dtype=np.int64),)
            return RankedGroups(nothing, nothing, (), ())
        return RankedGroups(tuple(self._keys), tuple(self._counts), tuple(principals),
                            tuple(actions))


_Item = TypeVar("_Item")


class LateList(Sequence[_Item]):
    """A list that is made when somebody looks at one of its items; equal to any sequence of the
    same ones."""

    __slots__ = ("_made", "_make", "_size")

    def __init__(self, make: Callable[[], list[_Item]], size: Callable[[], int]) -> None:
        """make : gives `size` items"""
        self._make, self._size = make, size
        self._made: list[_Item] | None = None

    def _all(self) -> list[_Item]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return self._size()

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | list[_Item]:
        return self._all()[index]

    def __iter__(self) -> Iterator[_Item]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return self._all() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> Any:
        return list, (self._all(),)


class RankedGroups(LateList[Group]):
    """Groups, those of most records first, then by principal, action, statement and decision.

    There may be many and few ask for them: they are put in order when one is looked at.
    """

    __slots__ = ()

    def __init__(self, keys: Sequence[NDArray[np.int64]], counts: Sequence[NDArray[np.int64]],
                 principals: Sequence[str], actions: Sequence[str]) -> None:
        """keys, counts : of groups, of which some may be there more than once"""

        @cache
        def merged() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            return _busiest(keys, counts)

        super().__init__(lambda: _ranked(*merged(), principals, actions),
                         lambda: len(merged()[0]))


def _busiest(all_keys: Sequence[NDArray[np.int64]], all_counts: Sequence[NDArray[np.int64]]
             ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each distinct key with its records, those beyond the bound as one key per decision."""
    keys, counts = _added(np.concatenate(all_keys), np.concatenate(all_counts))
    if len(keys) > MAX_GROUPS:
        order = np.lexsort((keys, -counts))
        kept, rest = order[:MAX_GROUPS], order[MAX_GROUPS:]
        others = keys[rest] & ((1 << _DECISION_BITS) - 1)  # of OTHERS, without a statement
        keys, counts = _added(np.concatenate([keys[kept], others]),
                              np.concatenate([counts[kept], counts[rest]]))
    return keys, counts


def _ranked(keys: NDArray[np.int64], counts: NDArray[np.int64], principals: Sequence[str],
            actions: Sequence[str]) -> list[Group]:
    who, what, statement, decision = _unpack(keys)
    order = np.lexsort((
        _pack(places_in_order(principals)[who], places_in_order(actions)[what], statement,
              decision), -counts))
    return list(zip(
        map(principals.__getitem__, who[order].tolist()),
        map(actions.__getitem__, what[order].tolist()),
        (statement[order] - 1).tolist(),
        map(DECISIONS.__getitem__, decision[order].tolist()),
        counts[order].tolist(), strict=True))


def _pack(who: NDArray[np.int64], what: NDArray[np.int64], statement: NDArray[np.int64],
          decision: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number, ordered by these. statement : its id, one on, so that none is 0"""
    return ((who << ACTION_BITS | what) << _STATEMENT_BITS | statement
            ) << _DECISION_BITS | decision


def _unpack(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """(who, what, statement, decision)"""
    rest = keys >> _DECISION_BITS
    pairs = rest >> _STATEMENT_BITS
    return (pairs >> ACTION_BITS, pairs & ((1 << ACTION_BITS) - 1),
            rest & ((1 << _STATEMENT_BITS) - 1), keys & ((1 << _DECISION_BITS) - 1))


def _added(keys: NDArray[np.int64], counts: NDArray[np.int64]
           ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(each distinct key, the sum of its counts)"""
    numbers, first = number_keys(keys)
    return keys[first], np.bincount(numbers, counts, len(first)).astype(np.int64)


def places_in_order(values: Sequence[Any]) -> NDArray[np.int64]:
    """Where each value stands among all of them in order."""
    places = np.empty(len(values), dtype=np.int64)
    places[sorted(range(len(values)), key=values.__getitem__)] = np.arange(len(values))
    return places
