"""The texts of a segment of a cache: what the codes of its tables stand for.

All texts of a part lie end to end in one value of a Parquet file of one row, with their lengths in
another: that is read many times as fast as a value for each. Parts are read apart: what every audit
looks at, the resources, the values of context keys, and what hardly anybody asks for. The last are
read when somebody looks at one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .columns import Dictionary, Int32Array
from .segment_columns import ColumnReader, Layout, write_table
from .texts import GrowingTexts, Texts

FILE = "texts.parquet"
OFTEN, RESOURCES, KEYS, SELDOM = "often", "resources", "keys", "seldom"
PACKED = {OFTEN: "none", RESOURCES: "none", KEYS: "zstd", SELDOM: "zstd"}
"""How the texts of each part are packed: those that every audit reads lie as they are."""
_LENGTHS, _LISTS = "_lengths", "_lists"
_NO_TEXT = 0xF8
"""From here on, bytes are in no UTF-8."""


class TextWriter:
    """Distinct texts of every dictionary that a segment uses, renumbered."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str | list[str]]] = {part: [] for part in PACKED}
        self.counts: dict[str, list[tuple[str, int]]] = {part: [] for part in PACKED}
        """Of each part its dictionaries, with their number of texts."""

    def renumber(self, part: str, name: str, codes: Int32Array, values: Dictionary) -> Int32Array:
        """Put the texts of these codes into a part; their codes there."""
        codes, kept = renumbered(codes)
        self.put(part, name, [values.values[code] for code in kept])
        return codes

    def put(self, part: str, name: str, texts: Sequence[str | list[str]]) -> None:
        self._texts[part] += texts
        self.counts[part].append((name, len(texts)))

    def write(self, path: Path) -> Layout:
        columns: dict[str, Any] = {}
        for part, found in self._texts.items():
            texts = Texts.of(json.dumps(text) if isinstance(text, list) else text
                             for text in found)
            columns[part] = texts.data.tobytes()
            columns[part + _LENGTHS] = texts.lengths().astype("<i4").tobytes()
        columns[KEYS + _LISTS] = np.array(
            [isinstance(text, list) for text in self._texts[KEYS]], np.uint8).tobytes()
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

    def __init__(self, path: Path, columns: ColumnReader,
                 counts: Mapping[str, Iterable[tuple[str, int]]], parts: Iterable[str]) -> None:
        """parts : those to read"""
        self._path, self._columns = path / FILE, columns
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
        self._sizes = sizes
        self._parts: dict[str, Texts] = {}
        self._lists: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self._read(list(parts))

    def _read(self, parts: list[str]) -> None:
        names = [name for part in parts for name in (part, part + _LENGTHS)]
        if KEYS in parts:
            names.append(KEYS + _LISTS)
        found = self._columns.bytes_of(FILE, names)
        for part in parts:
            data = found[part]
            sizes = np.frombuffer(found[part + _LENGTHS].tobytes(), dtype="<i4")
            offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
            np.cumsum(sizes, out=offsets[1:])
            if ((sizes < 0).any() or int(offsets[-1]) != len(data)
                    or len(sizes) != self._sizes[part]):
                raise ValueError("texts of other lengths")
            if len(data) and int(data.max()) >= _NO_TEXT:
                raise ValueError("no text")
            self._parts[part] = Texts(data, offsets)
        if KEYS in parts:
            self._lists = found[KEYS + _LISTS]
            if len(self._lists) != self._sizes[KEYS]:
                raise ValueError("texts of other lengths")

    def count(self, name: str) -> int:
        """How many texts a dictionary has."""
        _, start, end = self._places[name]
        return end - start

    def in_place(self, name: str) -> GrowingTexts:
        """The texts as they lie, read when one is looked at if they were not; none is a list."""
        part, start, end = self._places[name]
        if part in self._parts:
            return GrowingTexts(self._slice(name))
        return GrowingTexts(count=end - start, load=lambda: self._late(name))

    def of(self, name: str, first: int | None = None) -> list[Any]:
        """The texts, and lists of texts, as Python has them; all, or some at the beginning."""
        texts: list[Any] = list(self._slice(name, first))
        part, start, end = self._places[name]
        if part == KEYS:  # of which always all are asked for
            for index in np.flatnonzero(self._lists[start:end]).tolist():
                texts[index] = json.loads(texts[index])
        return texts

    def _slice(self, name: str, first: int | None = None) -> Texts:
        part, start, end = self._places[name]
        if first is not None:
            if not 0 <= first <= end - start:
                raise ValueError("a text is missing")
            end = start + first
        whole = self._parts[part]
        offsets = whole.offsets[start : end + 1]
        return Texts(whole.data[offsets[0] : offsets[-1]], offsets - offsets[0])

    def _late(self, name: str) -> Texts:
        import pyarrow as pa

        part = self._places[name][0]
        try:
            if part not in self._parts:
                self._read([part])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise unreadable(self._path, error) from error
        return self._slice(name)


def unreadable(path: Path, error: Exception) -> SourceError:
    """What turned out not to be readable after records of the segment had been handed out."""
    return SourceError(f"cannot read `{path}`: {error}", path=str(path),
                       help="remove the cache; the logs will be read again")
