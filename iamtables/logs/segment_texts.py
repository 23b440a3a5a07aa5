"""The texts of a segment of a cache: what the codes of its tables stand for.

All texts of a part lie end to end in one value of a Parquet file of one row, with their lengths in
another: that is read many times as fast as a value for each. Parts are read apart: what every audit
looks at, the resources, the names of sessions, the values of context keys, and their access keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Dictionary, Int32Array
from .gather import is_ascii, put_offsets
from .segment_columns import ColumnReader, Layout, write_table
from .texts import GrowingTexts, Texts

FILE = "texts.parquet"
OFTEN, RESOURCES, SESSION_NAMES, KEYS, ACCESS_KEYS = (
    "often", "resources", "sessions", "keys", "access_keys")
PACKED = {OFTEN: "none", RESOURCES: "none", SESSION_NAMES: "none", KEYS: "zstd",
          ACCESS_KEYS: "zstd"}
"""How the texts of each part are packed: those that every audit reads lie as they are."""
_ROOM_BYTES, _ROOM_TEXTS = 256 << 10, 4096
"""Room behind the resources, for those whose names the log tells: without it they are copied."""
_WIDTHS = {width: np.dtype(f"<u{width}") for width in (1, 2, 4)}
"""Lengths take as many bytes as that of the longest text."""
_LENGTHS, _LISTS = "_lengths", "_lists"


class TextWriter:
    """Distinct texts of every dictionary that a segment uses, renumbered."""

    def __init__(self) -> None:
        self._texts: dict[str, list[Texts]] = {part: [] for part in PACKED}
        self._are_lists: list[bool] = []
        """Of the values of keys."""
        self.counts: dict[str, list[tuple[str, int]]] = {part: [] for part in PACKED}
        """Of each part its dictionaries, with their number of texts."""

    def renumber(self, part: str, name: str, codes: Int32Array, values: Dictionary) -> Int32Array:
        """Put the texts of these codes into a part; their codes there."""
        codes, kept = renumbered(codes)
        texts = values.values
        self.put(part, name, texts.take(np.array(kept, dtype=np.int64)) if isinstance(
            texts, GrowingTexts) else [texts[code] for code in kept])
        return codes

    def put(self, part: str, name: str, texts: Texts | Sequence[str | list[str]]) -> None:
        if part == KEYS:
            self._are_lists += (isinstance(text, list) for text in texts)
        self._texts[part].append(texts if isinstance(texts, Texts) else Texts.of(
            json.dumps(text) if isinstance(text, list) else text for text in texts))
        self.counts[part].append((name, len(texts)))

    def texts_of(self, part: str) -> Texts:
        """All texts of a part."""
        found = self._texts[part]
        return Texts.joined(found) if found else Texts.of([])

    def write(self, path: Path) -> Layout:
        columns: dict[str, Any] = {}
        for part in self._texts:
            texts = self.texts_of(part)
            columns[part] = texts.data[: texts.offsets[-1]]
            lengths = texts.lengths()
            kind = next(kind for kind in _WIDTHS.values()
                        if int(lengths.max(initial=0)) <= np.iinfo(kind).max)
            columns[part + _LENGTHS] = lengths.astype(kind).view(np.uint8)
        columns[KEYS + _LISTS] = np.array(self._are_lists, np.uint8)
        return write_table(path / FILE, columns, {
            name: packed for part, packed in PACKED.items()
            for name in (part, part + _LENGTHS)} | {KEYS + _LISTS: PACKED[KEYS]})


def renumbered(codes: Int32Array) -> tuple[Int32Array, list[int]]:
    """(codes from 0 on in place of those that are used, negative ones as they are; which these
    are)"""
    used, inverse = np.unique(codes, return_inverse=True)
    numbers = np.where(used >= 0, np.cumsum(used >= 0) - 1, used).astype(np.int32)
    found: Int32Array = numbers[inverse.ravel()]
    return found, used[used >= 0].tolist()


class TextReader:
    """Texts of a segment by dictionary. Raises ValueError or KeyError for what no segment has."""

    def __init__(self, columns: ColumnReader, counts: Mapping[str, Iterable[tuple[str, int]]],
                 parts: Sequence[str]) -> None:
        """parts : those to read"""
        self._places: dict[str, tuple[str, int, int]] = {}
        """Dictionary -> (its part, its first text there, how many)"""
        sizes = {}
        for part in PACKED:
            start = 0
            for name, count in counts[part]:
                if count < 0:
                    raise ValueError("a text is missing")
                self._places[name] = part, start, start + count
                start += count
            sizes[part] = start
        self._parts: dict[str, Texts] = {}
        self._lists: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        names = [name for part in parts for name in (part, part + _LENGTHS)]
        if KEYS in parts:
            names.append(KEYS + _LISTS)
        found = columns.bytes_of(FILE, names, {RESOURCES: _ROOM_BYTES})
        for part in parts:
            data = found[part]
            lengths = _lengths_of(found[part + _LENGTHS], sizes[part])
            room = np.empty(len(lengths) + 1 + (_ROOM_TEXTS if part == RESOURCES else 0), np.int64)
            offsets = room[: len(lengths) + 1]
            put_offsets(lengths, offsets)
            if int(offsets[-1]) != len(data):
                raise ValueError("texts of other lengths")
            _check_texts(data, offsets)
            self._parts[part] = Texts(data, offsets)
        if KEYS in parts:
            self._lists = found[KEYS + _LISTS]
            if len(self._lists) != sizes[KEYS]:
                raise ValueError("texts of other lengths")

    def count(self, name: str) -> int:
        """How many texts a dictionary has."""
        _, start, end = self._places[name]
        return end - start

    def has(self, name: str) -> bool:
        """Was the part read in which a dictionary is?"""
        return self._places[name][0] in self._parts

    def in_place(self, name: str) -> GrowingTexts:
        """The texts as they lie, of which none is a list; resources have room behind them, which
        is given once."""
        part = self._places[name][0]
        if part == RESOURCES and self.count(name) == len(self._parts[part]):
            return GrowingTexts.with_room(self._parts[part])
        return GrowingTexts(self.as_they_lie(name))

    def of(self, name: str) -> list[Any]:
        """The texts, and lists of texts, as Python has them."""
        texts: list[Any] = list(self.as_they_lie(name))
        part, start, end = self._places[name]
        if part == KEYS:  # of which always all are asked for
            for index in np.flatnonzero(self._lists[start:end]).tolist():
                texts[index] = json.loads(texts[index])
        return texts

    def as_they_lie(self, name: str, first: int | None = None) -> Texts:
        """The texts of a dictionary of which none is a list; all, or some at the beginning."""
        part, start, end = self._places[name]
        if first is not None:
            if not 0 <= first <= end - start:
                raise ValueError("a text is missing")
            end = start + first
        whole = self._parts[part]
        offsets = whole.offsets[start : end + 1]
        return Texts(whole.data[offsets[0] : offsets[-1]], offsets - offsets[0])


def _lengths_of(data: NDArray[np.uint8], count: int) -> NDArray[Any]:
    """Raises ValueError where these are no lengths of so many texts."""
    width, rest = divmod(len(data), count) if count else (1, len(data))
    if rest or width not in _WIDTHS:
        raise ValueError("texts of other lengths")
    return data.view(_WIDTHS[width])


def _check_texts(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """Raises ValueError for texts that are no UTF-8 (surrogates are)."""
    if is_ascii(data):
        return
    data.tobytes().decode("utf-8", "surrogatepass")
    begins = data[offsets[:-1][offsets[:-1] < len(data)]]
    if ((begins & 0xC0) == 0x80).any():
        raise ValueError("a part of a character")
