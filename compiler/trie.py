"""Prefix tries over literal heads, laid out as the flat arrays that `runtime.globs` walks.

The trie is path-compressed: an edge carries all bytes up to the next branch or to the end of some
pattern's head. Nodes are numbered breadth first, so the children of a node are consecutive and
every child has a higher number than its parent (which is how a loaded table is known to be free of
loops).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..runtime.codes import NO_ID
from .automaton import END_AUTOMATON, Automaton, Element, Program, compile_program
from .signature import required_words

Arrays = dict[str, NDArray[np.generic]]


class _Node:
    __slots__ = ("children", "ends", "label")

    def __init__(self, label: bytes) -> None:
        self.label = label
        self.children: dict[int, _Node] = {}
        self.ends: list[int] = []


def compile_patterns(patterns: Sequence[Sequence[Element]]) -> Arrays:
    """Arrays of a `GlobSet`; pattern i keeps the id i.

    label, label_start, first_child, child_count : the edges, by node
    end_start, end_pattern, end_kind, end_words  : patterns whose head ends at a node
    piece, piece_start, program_start            : pieces, by pattern
    automaton, word_count, mask, mask_start, symbol, symbol_start : automata
    """
    programs = [compile_program(elements) for elements in patterns]
    words = [required_words(elements[len(program.head.decode("utf-8", "surrogatepass")) :])
             for elements, program in zip(patterns, programs, strict=True)]
    return _trie_arrays(programs, words) | _piece_arrays(programs) | _automaton_arrays(programs)


def _insert(root: _Node, head: bytes, pattern: int) -> None:
    node = root
    at = 0
    while at < len(head):
        child = node.children.get(head[at])
        if child is None:
            child = _Node(head[at:])
            node.children[head[at]] = child
            node = child
            break
        shared = _common_length(child.label, head, at)
        if shared < len(child.label):
            upper = _Node(child.label[:shared])
            upper.children[child.label[shared]] = child
            child.label = child.label[shared:]
            node.children[head[at]] = upper
            child = upper
        node = child
        at += shared
    node.ends.append(pattern)


def _common_length(label: bytes, head: bytes, at: int) -> int:
    if head.startswith(label, at):
        return len(label)
    length = 0
    limit = min(len(label), len(head) - at)
    while length < limit and label[length] == head[at + length]:
        length += 1
    return length


def _trie_arrays(programs: Sequence[Program], words: Sequence[int]) -> Arrays:
    root = _Node(b"")
    for pattern, program in enumerate(programs):
        _insert(root, program.head, pattern)
    order = [root]
    first_child, child_count, end_start, end_pattern, end_kind = [], [], [0], [], []
    end_words: list[int] = []
    labels, label_start = bytearray(), [0]
    for node in order:
        first_child.append(len(order))
        child_count.append(len(node.children))
        order += [node.children[byte] for byte in sorted(node.children)]
        labels += node.label
        label_start.append(len(labels))
        end_pattern += node.ends
        end_kind += [programs[pattern].kind for pattern in node.ends]
        end_words += [words[pattern] for pattern in node.ends]
        end_start.append(len(end_pattern))
    return {
        "label": np.frombuffer(bytes(labels), dtype=np.uint8),
        "label_start": np.array(label_start, dtype=np.uint32),
        "first_child": np.array(first_child, dtype=np.uint32),
        "child_count": np.array(child_count, dtype=np.uint32),
        "end_start": np.array(end_start, dtype=np.uint32),
        "end_pattern": np.array(end_pattern, dtype=np.uint32),
        "end_kind": np.array(end_kind, dtype=np.uint8),
        "end_words": np.array(end_words, dtype=np.uint64),
    }


def _piece_arrays(programs: Sequence[Program]) -> Arrays:
    blob, starts, program_start = bytearray(), [0], [0]
    for program in programs:
        for piece in program.pieces:
            blob += piece
            starts.append(len(blob))
        program_start.append(len(starts) - 1)
    return {
        "piece": np.frombuffer(bytes(blob), dtype=np.uint8),
        "piece_start": np.array(starts, dtype=np.uint32),
        "program_start": np.array(program_start, dtype=np.uint32),
    }


def _automaton_arrays(programs: Sequence[Program]) -> Arrays:
    ids: list[int] = []
    word_count: list[int] = []
    masks: list[int] = []
    mask_start = [0]
    symbols: list[int] = []
    symbol_start = [0]
    for program in programs:
        automaton = program.automaton
        if program.kind != END_AUTOMATON or automaton is None:
            ids.append(NO_ID)
            continue
        ids.append(len(word_count))
        word_count.append(automaton.word_count)
        for row in _rows(automaton):
            masks += [(row >> 64 * w) & (1 << 64) - 1 for w in range(automaton.word_count)]
        mask_start.append(len(masks))
        symbols += automaton.symbols
        symbol_start.append(len(symbols))
    return {
        "automaton": np.array(ids, dtype=np.uint32),
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
