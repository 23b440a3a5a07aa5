"""Many texts in one piece of memory: event IDs, which hardly ever are looked at one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .gather import gathered

_K = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(29)


class Texts(Sequence[str]):
    """An immutable sequence of texts.

    data    : uint8, UTF-8, end to end
    offsets : int64[n + 1]
    """

    __slots__ = ("_hashes", "data", "offsets")

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64],
                 hashes: NDArray[np.uint64] | None = None) -> None:
        """hashes : what `hashes` would give, when that is known"""
        self.data = data
        self.offsets = offsets
        self._hashes = hashes

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        listed = list(texts)
        joined = "".join(listed)
        if joined.isascii():
            data, sizes = joined.encode("ascii"), list(map(len, listed))
        else:
            encoded = [text.encode("utf-8", "surrogatepass") for text in listed]
            data, sizes = b"".join(encoded), list(map(len, encoded))
        offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return cls(np.frombuffer(data, dtype=np.uint8), offsets)

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(int(part.offsets[-1]) for part in parts)])
        offsets = [part.offsets[:-1] + start
                   for part, start in zip(parts, starts.tolist(), strict=False)]
        known = [part._hashes for part in parts if part._hashes is not None]
        return cls(np.concatenate([part.data[: part.offsets[-1]] for part in parts])
                   if parts else np.zeros(0, dtype=np.uint8),
                   np.concatenate([*offsets, starts[-1:]]).astype(np.int64),
                   np.concatenate(known) if parts and len(known) == len(parts) else None)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes().decode(
            "utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        data = self.data.tobytes()
        places = pairwise(self.offsets.tolist())
        if data.isascii():
            text = data.decode("ascii")
            return iter([text[begin:end] for begin, end in places])
        return iter([data[begin:end].decode("utf-8", "surrogatepass") for begin, end in places])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: NDArray[Any]) -> Texts:
        """The texts at these places, or where a mask is true."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        return Texts(*gathered(self.data, self.offsets, places),
                     self._hashes[rows] if self._hashes is not None else None)

    def are_at_least(self, length: int) -> NDArray[np.bool_]:
        """Which have this many bytes or more."""
        return self.lengths() >= length

    def hashes(self) -> NDArray[np.uint64]:
        """64 bits of each text, the same in every process; not for text that an adversary makes."""
        if self._hashes is not None:
            return self._hashes.copy()
        lengths = self.lengths()
        out = np.zeros(len(lengths), dtype=np.uint64)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            words = -(-length // 8) or 1
            padded = np.zeros((len(rows), words * 8), dtype=np.uint8)
            if length:
                places = self.offsets[rows][:, None] + np.arange(length)
                padded[:, :length] = self.data[places]
            hashed = np.full(len(rows), length, dtype=np.uint64)
            for word in padded.view("<u8").T:
                hashed = (hashed ^ word) * _K
                hashed ^= hashed >> _SHIFT
            out[rows] = hashed
        return out

    def to_arrow(self) -> Any:
        import pyarrow as pa

        return pa.LargeStringArray.from_buffers(
            len(self), pa.py_buffer(np.ascontiguousarray(self.offsets)),
            pa.py_buffer(np.ascontiguousarray(self.data))).cast(pa.string())


class StoredTexts(Texts):
    """Event IDs that stay where they are until one is looked at.

    load    : gives them all
    record_hashes : what tells their records apart (`duplicates.record_hashes`)
    is_long : which are at least `min_length` long
    rows    : of these only those at the places, in this order; None for all
    """

    __slots__ = ("_is_long", "_load", "_made", "_min_length", "_rows", "record_hashes")

    def __init__(self, load: Callable[[], Texts], record_hashes: NDArray[np.uint64],
                 is_long: NDArray[np.bool_], min_length: int,
                 rows: NDArray[np.int64] | None = None) -> None:
        self._load = load
        self._hashes = None
        self.record_hashes = record_hashes
        self._is_long = is_long
        self._min_length = min_length
        self._rows = rows
        self._made: Texts | None = None

    def _all(self) -> Texts:
        if self._made is None:
            loaded = self._load()
            self._made = loaded if self._rows is None else loaded.take(self._rows)
        return self._made

    @property
    def data(self) -> NDArray[np.uint8]:  # type: ignore[override]
        return self._all().data

    @property
    def offsets(self) -> NDArray[np.int64]:  # type: ignore[override]
        return self._all().offsets

    def __len__(self) -> int:
        return len(self._is_long)

    def are_at_least(self, length: int) -> NDArray[np.bool_]:
        return self._is_long if length == self._min_length else super().are_at_least(length)

    def take(self, rows: NDArray[Any]) -> Texts:
        places = np.arange(len(self)) if self._rows is None else self._rows
        return StoredTexts(self._load, self.record_hashes[rows], self._is_long[rows],
                           self._min_length, places[rows])


class GrowingTexts(Sequence[str]):
    """Texts in one piece of memory that grows at its end; those in it stay as they are.

    are_resources : is each of them known to be a resource (`gather.are_resources`)?
    """

    __slots__ = ("_count", "_data", "_more", "_offsets", "are_resources")

    def __init__(self, texts: Texts | None = None) -> None:
        self._offsets = texts.offsets if texts is not None else np.zeros(1, dtype=np.int64)
        # cut off: where there is no room, what is added goes into other memory
        self._data = (texts.data[: self._offsets[-1]] if texts is not None
                      else np.zeros(0, dtype=np.uint8))
        self._count = len(self._offsets) - 1
        """Texts in the memory; the others wait in `_more`."""
        self._more: list[str] = []
        self.are_resources = False

    @classmethod
    def with_room(cls, texts: Texts) -> GrowingTexts:
        """With what lies behind the texts and their offsets in memory of their own: nobody else
        may take it."""
        made = cls(texts)
        for name, array in (("_data", texts.data), ("_offsets", texts.offsets)):
            if isinstance(array.base, np.ndarray) and array.base.flags.owndata:
                setattr(made, name, array.base)
        return made

    def append(self, text: str) -> None:
        self._more.append(text)

    def extend(self, texts: Iterable[str]) -> None:
        if isinstance(texts, Texts):
            self._settle()
            self._add(texts)
        else:
            self._more.extend(texts)

    def _settle(self) -> None:
        if self._more:
            self._add(Texts.of(self._more))
            self._more = []

    def _add(self, texts: Texts) -> None:
        if not len(texts):
            return
        used = int(self._offsets[self._count])
        end, count = used + int(texts.offsets[-1]), self._count + len(texts)
        if end > len(self._data):
            self._data = _grown(self._data, used, end + end // 2)
        if count >= len(self._offsets):
            self._offsets = _grown(self._offsets, self._count + 1, count + count // 2 + 16)
        if end > used:
            self._data[used:end] = texts.data[: texts.offsets[-1]]
        self._offsets[self._count + 1 : count + 1] = texts.offsets[1:] + used
        self._count = count

    @property
    def data(self) -> NDArray[np.uint8]:
        self._settle()
        return self._data[: self._offsets[self._count]]

    @property
    def offsets(self) -> NDArray[np.int64]:
        self._settle()
        return self._offsets[: self._count + 1]

    def take(self, rows: NDArray[Any]) -> Texts:
        return Texts(self.data, self.offsets).take(rows)

    def __len__(self) -> int:
        return self._count + len(self._more)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return Texts(self.data, self.offsets)[index]
        if index < 0:
            index += len(self)
        if index >= self._count:
            return self._more[index - self._count]
        return Texts(self._data, self._offsets[: self._count + 1])[index]

    def __iter__(self) -> Iterator[str]:
        return iter(Texts(self.data, self.offsets))


def _grown(array: NDArray[Any], used: int, room: int) -> NDArray[Any]:
    grown = np.empty(room, dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
