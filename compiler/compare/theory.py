"""One condition key during a search: which of its cells are still possible.

A state is what the literals assumed so far leave over. Whole values are a bitset of cells. A list
of several values is a matter of its own: a `ForAllValues` that holds bounds what the list may
contain, one that does not hold needs a member; `ForAnyValue` the other way round. So a list is a
bitset of elements that may be in it and some bitsets of which it needs one each; no subset is ever
enumerated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...options import Options
from ...runtime.codes import SetOperator
from .. import ir
from .values import Cells, Value


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a key may still be.

    cells    : bitset of whole values
    elements : bitset of what a list may hold; 0 when it cannot be such a list
    needs    : bitsets; a list holds a member of each
    """

    cells: int
    elements: int
    needs: tuple[int, ...] = ()

    @property
    def is_possible(self) -> bool:
        return bool(self.cells or self.elements)


class KeyTheory:
    """The cells of one key, and how literals narrow them."""

    def __init__(
        self, cells: Cells, predicate_ids: Sequence[int], predicates: Sequence[ir.Predicate],
        options: Options, *, is_superset: bool,
    ) -> None:
        self._local = {p: i for i, p in enumerate(predicate_ids)}
        self.inexact = cells.inexact
        self._cells = [c for c in cells.cells if is_superset or not c.is_abstract]
        self._elements = [e for e in cells.elements if is_superset or not e.is_abstract]
        self._plain_any = options.multivalued_plain == "any"
        self._operators = [predicates[p].set_operator for p in predicate_ids]
        self._is_null = [predicates[p].base == "Null" for p in predicate_ids]
        count = len(predicate_ids)
        self._cell_masks = _masks_by_predicate(count, ((c.yes, c.no) for c in self._cells))
        self._element_masks = _masks_by_predicate(count, ((e.yes, e.no) for e in self._elements))
        self.absent = sum(1 << i for i, c in enumerate(self._cells) if c.sample is None)
        self.start = KeyState((1 << len(self._cells)) - 1, (1 << len(self._elements)) - 1)

    def assume(self, state: KeyState, predicate: int, truth: bool) -> KeyState | None:
        """The state after one literal; None when nothing is left."""
        local = self._local[predicate]
        cells = state.cells & self._cell_masks[local][0 if truth else 1]
        elements, needs = state.elements, state.needs
        if elements:
            elements, needs = self._narrowed(state, local, truth)
        if not cells and not elements:
            return None
        return KeyState(cells, elements, needs)

    def _narrowed(self, state: KeyState, local: int, truth: bool) -> tuple[int, tuple[int, ...]]:
        """The list part of a state after one literal; 0 elements when no list is left."""
        yes, no = self._element_masks[local]
        operator = self._operators[local]
        if operator is SetOperator.PLAIN and (self._is_null[local] or not self._plain_any):
            # the same for every list: never a match (COND-26), or never null
            return (state.elements & (yes if truth else no)), state.needs
        if (operator is SetOperator.FOR_ALL_VALUES) is truth:
            elements = state.elements & (yes if truth else no)
            needs = state.needs
        else:
            elements = state.elements
            needs = (*state.needs, yes if truth else no)
        if not elements or any(not need & elements for need in needs):
            return 0, ()
        return elements, needs

    def present(self, state: KeyState) -> KeyState | None:
        """The state without absence."""
        narrowed = KeyState(state.cells & ~self.absent, state.elements, state.needs)
        return narrowed if narrowed.is_possible else None

    def only_absent(self, state: KeyState) -> KeyState | None:
        cells = state.cells & self.absent
        return KeyState(cells, 0) if cells else None

    def value(self, state: KeyState) -> tuple[Value, bool]:
        """The plainest value left, and whether it is a real one (not abstract)."""
        for number, cell in enumerate(self._cells):
            if state.cells >> number & 1 and not cell.is_abstract and cell.sample != ():
                return cell.sample, True
        if state.elements:
            chosen: dict[int, None] = {}
            for need in state.needs or (state.elements,):
                fitting = need & state.elements
                if not any(fitting >> c & 1 for c in chosen):
                    chosen[(fitting & -fitting).bit_length() - 1] = None
            members = [self._elements[c] for c in chosen]
            texts = tuple(m.sample for m in members)
            if texts == ("",):
                texts = ("", "")  # a list of one empty text is another cell (COND-12)
            if not any(m.is_abstract for m in members):
                return texts, True
        if state.cells:
            cell = self._cells[(state.cells & -state.cells).bit_length() - 1]
            return cell.sample, not cell.is_abstract
        return None, False


def _masks_by_predicate(
    count: int, answers: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """For each predicate the bitset of cells where it may hold, and of those where it may not."""
    masks = [[0, 0] for _ in range(count)]
    for number, (yes, no) in enumerate(answers):
        bit = 1 << number
        for local in range(count):
            if yes >> local & 1:
                masks[local][0] |= bit
            if no >> local & 1:
                masks[local][1] |= bit
    return [(yes, no) for yes, no in masks]
