"""Categorical columns of Polars as Arrow dictionaries that only ever grow.

Polars shares one set of categories between columns and queries, and gives a column out with a
dictionary made for it: in a streaming query a new one for each morsel, hashed value by value. Here
a column keeps the texts that it has met, in the order it met them; a morsel costs a look-up per
row, and texts only where they are new. What a session learnt of the texts then stays known.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

_UNMET = -1


class GrowingDictionary:
    """The texts of one categorical column, morsel by morsel; threads may share it.

    Holds four bytes for each category that Polars has, and the texts that this column met. What
    is held of Polars keeps its categories alive, so that a number never gets another text.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: pl.Series | None = None
        self._places = np.empty(0, dtype=np.int32)
        self._texts: Any = None

    def encode(self, column: pl.Series) -> Any:
        """A pyarrow dictionary array of the rows of `column`, which is categorical."""
        import pyarrow as pa

        numbers = column.to_physical()
        highest = numbers.max()
        rows = numbers.to_arrow()
        validity, data = rows.buffers()
        # a bitmap can only be cut between bytes: the codes begin where it does
        start = rows.offset % 8
        if validity is not None:
            validity = validity.slice(rows.offset // 8)
        given = np.frombuffer(data, dtype=rows.type.to_pandas_dtype(), count=len(rows),
                              offset=rows.offset * rows.type.bit_width // 8)
        codes = np.zeros(start + len(rows), dtype=np.int32)
        there = None
        if rows.null_count:
            there = np.unpackbits(np.frombuffer(validity, np.uint8), count=len(codes),
                                  bitorder="little")[start:].view(bool)
        with self._lock:
            self._find(column, given, there, -1 if highest is None else int(highest),
                       codes[start:])
            return pa.DictionaryArray.from_buffers(
                pa.dictionary(pa.int32(), pa.large_string()), len(rows),
                [validity, pa.py_buffer(codes)], self._texts, null_count=rows.null_count,
                offset=start)

    def _find(self, column: pl.Series, numbers: Any, there: Any, highest: int, codes: Any) -> None:
        """Codes into `_texts` for Polars's numbers; new texts are added.

        there : bool[n], or None; what lies below a null gets any code, or none
        """
        import polars as pl
        import pyarrow as pa

        if self._alive is None or self._alive.dtype != column.dtype:
            self._alive = column.clear()
            self._places = np.full(1, _UNMET, dtype=np.int32)
            self._texts = pa.array([], pa.large_string())
        if highest >= len(self._places):
            more = np.full(max(highest + 1 - len(self._places), len(self._places)), _UNMET,
                           dtype=np.int32)
            self._places = np.concatenate([self._places, more])
        np.take(self._places, numbers, out=codes, mode="clip")
        unmet = codes == _UNMET
        if there is not None:
            unmet &= there
        if unmet.any():
            new = column.filter(pl.Series(unmet)).unique()
            texts = new.cast(pl.String).to_arrow().cast(pa.large_string())
            self._places[new.to_physical().to_numpy()] = np.arange(
                len(self._texts), len(self._texts) + len(texts), dtype=np.int32)
            self._texts = pa.concat_arrays([self._texts, texts])
            np.take(self._places, numbers, out=codes, mode="clip")
