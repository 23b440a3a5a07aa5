"""What the machine can do at best: the limits that benchmarks are quoted against.

    F_str   hash and compare every string of the row once
    F_id    stream four int32 columns of ids, gather a word from a table, write a byte
    F_row   the plainest loop that looks at whose the resource is and answers in full: gather a kind
            by the id of the resource, find the word of (principal, action, kind) by its place in
            a grid of two bytes each, write decision, layer and statement
    F_hash  hash and compare one string
    F_obj   look at every object of lists of strings once, and read all of its text
    F_texts the same, but hash each text and compare it with that of its code, which is known: the
            least that coding a list takes, without a table to find the code in

The kernel is compiled when first asked for (kernels.py). Its hash is the product's own, so that
a ratio tells what the structure around it costs. Each limit computes something that numpy or
plain Python computes as well; `Limits.verify` compares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from corpora import Coded
from kernels import load_kernel
from numpy.typing import NDArray

_SEED = 0x243F6A8885A308D3
_MASK = (1 << 64) - 1
_OTHER_KIND = 0.05
"""Share of resources with a policy of their own, or of another account."""
_KINDS = 2
_WORDS = 4_000
"""Distinct answers, as many as an engine over the benchmarks' principals has."""


class Limits:
    """The limits over the columns of a corpus. Each is a function without arguments to be timed.

    rows, texts : what one call of `ids` and `strings` is about, and of `hashes`
    """

    def __init__(self, columns: Mapping[str, Coded]) -> None:
        self.columns = columns
        self.rows = len(columns["action"].codes)
        self.kernel = load_kernel("limits_kernel")
        self._ids = [np.maximum(column.codes, 0) for column in list(columns.values())[:4]]
        principals = int(self._ids[0].max()) + 1
        self._table = np.random.default_rng(1).integers(
            0, 1 << 32, principals * (int(self._ids[1].max()) + 1), dtype=np.uint32)
        self._principals = principals
        self._out = np.zeros(self.rows, dtype=np.uint8)
        self._rows: _Rows | None = None
        self._strings: list[Texts] | None = None
        self._distinct: Texts | None = None

    def ids(self) -> NDArray[np.uint8]:
        """F_id x rows."""
        self.kernel.stream_ids(*self._ids, self._table, self._principals, self._out)
        return self._out

    def whole_rows(self) -> tuple[NDArray[Any], ...]:
        """F_row x rows: decision, layer and statement of each."""
        if self._rows is None:
            self._rows = _Rows(*self._ids[:3])
        return self._rows.look_up(self.kernel)

    def strings(self) -> list[tuple[int, int]]:
        """F_str x rows: each column in turn."""
        if self._strings is None:
            self._strings = [Texts(column.to_strings()) for column in self.columns.values()]
        return [texts.pass_over(self.kernel) for texts in self._strings]

    def hashes(self) -> tuple[int, int]:
        """F_hash x texts, over the distinct resources."""
        return self._texts_of_resources().pass_over(self.kernel)

    @staticmethod
    def least_seconds(texts: Texts, rounds: int = 7) -> float:
        """Seconds of a thread in which every text is hashed and compared once."""
        kernel, taken = load_kernel("limits_kernel"), []
        for _ in range(rounds):
            started = time.thread_time()
            texts.pass_over(kernel)
            taken.append(time.thread_time() - started)
        return min(taken)

    @property
    def texts(self) -> int:
        return self._texts_of_resources().count

    def _texts_of_resources(self) -> Texts:
        if self._distinct is None:
            self._distinct = Texts(pa.array(list(self.columns["resource"].values), pa.string()))
        return self._distinct

    def verify(self) -> None:
        """Compare what the kernels computed with numpy and plain Python. Raises AssertionError."""
        principal, action, resource, value = self._ids
        expected = (self._table[action.astype(np.int64) * self._principals + principal]
                    + resource.astype(np.uint32) + value.astype(np.uint32)).astype(np.uint8)
        assert np.array_equal(self.ids(), expected)
        self.whole_rows()
        assert self._rows is not None
        self._rows.verify(self.kernel)
        for (_, same), column in zip(self.strings(), self.columns.values(), strict=True):
            is_text = np.array([len(str(text)) > 0 for text in column.values] + [False])
            assert same == int(is_text[column.codes].sum())
        some = list(self.columns["resource"].values)[:200]
        folded = 0
        for text in some:
            folded ^= python_hash(str(text).encode(), _SEED)
        found, same = Texts(pa.array(some, pa.string())).pass_over(self.kernel)
        assert (found, same) == (folded, len(some))
        assert self.kernel.read_objects([*some, None]) == python_fold([*map(str, some), None])


class _Rows:
    """Rows of ids whose answers are drawn from a seed, and the grid that numbers these."""

    def __init__(self, principal: NDArray[np.int32], action: NDArray[np.int32],
                 resource: NDArray[np.int32]) -> None:
        rng = np.random.default_rng(2)
        self.ids = (principal, action, resource)
        self.kind = (rng.random(int(resource.max()) + 1) < _OTHER_KIND).astype(np.uint8)
        self.principals = int(principal.max()) + 1
        pairs = (int(action.max()) + 1) * _KINDS * self.principals
        self.cells = rng.integers(0, _WORDS, pairs).astype(np.uint16)
        self.words = rng.integers(0, 1 << 62, _WORDS, dtype=np.uint64)
        rows = len(principal)
        self.out = (np.zeros(rows, np.uint8), np.zeros(rows, np.uint8), np.zeros(rows, np.int32))

    def look_up(self, kernel: ModuleType) -> tuple[NDArray[Any], ...]:
        kernel.look_up_rows(*self.ids, self.kind, _KINDS, self.cells, self.principals, self.words,
                            *self.out)
        return self.out

    def verify(self, kernel: ModuleType) -> None:
        principal, action, resource = self.ids
        word = self.words[self.cells[
            (action.astype(np.int64) * _KINDS + self.kind[resource]) * self.principals + principal]]
        expected = (word & np.uint64(3), word >> np.uint64(2) & np.uint64(15),
                    word >> np.uint64(32))
        for found, wanted in zip(self.look_up(kernel), expected, strict=True):
            assert np.array_equal(found, wanted.astype(found.dtype))


class Texts:
    """An Arrow column as the kernel takes it, and a copy of its text at another place."""

    def __init__(self, column: pa.Array) -> None:
        _, offsets, data = column.buffers()
        self.count = len(column)
        self.offsets = np.frombuffer(offsets, dtype=np.int32)[:self.count + 1]
        self.data = np.frombuffer(data, dtype=np.uint8)
        self.copy = self.data.copy()

    def pass_over(self, kernel: ModuleType) -> tuple[int, int]:
        found: tuple[int, int] = kernel.hash_and_compare(
            self.data, self.copy, self.offsets, _SEED)
        return found


def read_lists(columns: Sequence[list[Any]]) -> Callable[[], list[tuple[int, int]]]:
    """F_obj x rows: reads every object of lists of strings and None, and all of its text."""
    reader = load_kernel("limits_kernel")
    return lambda: [reader.read_objects(column) for column in columns]


def match_lists(columns: Sequence[list[Any]], coded: Sequence[Coded]
                ) -> Callable[[], list[tuple[int, int]]]:
    """F_texts x rows: hashes every text of the lists and compares it with that of its code."""
    kernel, given = load_kernel("limits_kernel"), []
    for column, known in zip(columns, coded, strict=True):
        texts = Texts(pa.array([str(value) for value in known.values], pa.string()))
        given.append((column, known.codes[:len(column)].astype(np.int32), texts.data, texts.offsets,
                      _SEED))
    return lambda: [kernel.hash_objects(*one) for one in given]


def python_fold(texts: Sequence[str | None]) -> tuple[int, int]:
    """What `read_objects` computes, in plain Python."""
    folded = 0
    some = [text.encode() for text in texts if text is not None]
    for text in some:
        for at in range(0, len(text), 8):
            folded ^= int.from_bytes(text[at:at + 8], "little")
    return len(some), folded


def python_hash(text: bytes, seed: int) -> int:
    """runtime/intern.pyx's hash, written down again in plain Python."""
    k1, k2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93

    def fold(a: int, b: int) -> int:
        product = a * b
        return (product ^ product >> 64) & _MASK

    def word(at: bytes) -> int:
        return int.from_bytes(at, "little")

    h, n = seed ^ fold(len(text) ^ k1, k2), len(text)
    for at in range(0, max(n - 1, 0) // 16 * 16, 16):
        h = fold(word(text[at:at + 8]) ^ k1 ^ seed, word(text[at + 8:at + 16]) ^ h)
    a, b = 0, 0
    if n >= 8:
        a, b = word(text[max(n - 16, 0):][:8]), word(text[-8:])
    elif n >= 4:
        a, b = word(text[:4]), word(text[-4:])
    elif n:
        a = text[0] | text[n >> 1] << 8 | text[-1] << 16
    return fold(a ^ k2 ^ seed, fold(b ^ h, k1) ^ k1 ^ (h >> 29))
