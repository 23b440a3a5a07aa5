"""All patterns of one kind as the flat arrays that `runtime.globs` walks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..runtime.codes import NO_ID
from .automaton import Automaton, automaton_of
from .encoding import decode_elements
from .filing import file_patterns

Arrays = dict[str, NDArray[np.generic]]

_AUTOMATON = 3
"""The kind of patterns that need an automaton (runtime/globs.pxd)."""


def compile_patterns(patterns: Sequence[bytes]) -> Arrays:
    """Arrays of a `GlobSet`; pattern i keeps the id i.

    byte, label, label_start, first_child, child_count, subs : the tries, by node
    end_start, end_pattern, end_kind, end_colons, end_grams  : patterns listed at a node
    piece, piece_start, program_start                        : pieces, by pattern
    automaton, word_count, mask, mask_start, symbol, symbol_start : automata

    patterns : encoded (compiler/encoding.py)
    """
    start = np.fromiter(accumulate(map(len, patterns), initial=0), np.uint32, len(patterns) + 1)
    return compile_joined(b"".join(patterns), start)


def compile_joined(encoded: bytes, start: NDArray[np.uint32]) -> Arrays:
    """`compile_patterns` of patterns that stand end to end.

    start : where each begins, and the last one ends
    """
    arrays = file_patterns(encoded, start)
    kind = arrays.pop("kind")
    return arrays | _automaton_arrays(encoded, start, np.flatnonzero(kind == _AUTOMATON).tolist())


def _automaton_arrays(
    encoded: bytes, start: NDArray[np.uint32], needed: Sequence[int]
) -> Arrays:
    """Automata of the patterns with the numbers `needed`."""
    ids = np.full(len(start) - 1, NO_ID, dtype=np.uint32)
    ids[needed] = np.arange(len(needed), dtype=np.uint32)
    word_count: list[int] = []
    masks: list[int] = []
    mask_start = [0]
    symbols: list[int] = []
    symbol_start = [0]
    for pattern in needed:
        letters = encoded[start[pattern] : start[pattern + 1]]
        automaton = automaton_of(list(decode_elements(letters)))
        word_count.append(automaton.word_count)
        for row in _rows(automaton):
            masks += [(row >> 64 * w) & (1 << 64) - 1 for w in range(automaton.word_count)]
        mask_start.append(len(masks))
        symbols += automaton.symbols
        symbol_start.append(len(symbols))
    return {
        "automaton": ids,
        "word_count": np.array(word_count, dtype=np.uint32),
        "mask": np.array(masks, dtype=np.uint64),
        "mask_start": np.array(mask_start, dtype=np.uint64),
        "symbol": np.array(symbols, dtype=np.uint32),
        "symbol_start": np.array(symbol_start, dtype=np.uint32),
    }


def _rows(automaton: Automaton) -> list[int]:
    """Mask rows in the order that runtime/globs.pyx expects."""
    accept = 1 << automaton.length
    return [
        automaton.wild,
        automaton.wild_colon,
        automaton.loop,
        automaton.loop_colon,
        accept,
        *automaton.symbols.values(),
    ]
