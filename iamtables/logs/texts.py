"""Many texts in one piece of memory: event IDs, which hardly ever are looked at one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

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
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

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
        text = self.data.tobytes()
        places = self.offsets.tolist()
        for begin, end in pairwise(places):
            yield text[begin:end].decode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: NDArray[Any]) -> Texts:
        """The texts at these places, or where a mask is true."""
        lengths = self.lengths()[rows]
        starts = self.offsets[:-1][rows]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Texts(self.data[places], offsets,
                     self._hashes[rows] if self._hashes is not None else None)

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
