"""Columns of a segment of a cache in Parquet files, written so that they are read fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_table(path: Path, columns: Mapping[str, Any], packed: str | Mapping[str, str] = "lz4",
                encodings: Mapping[str, str] | None = None) -> None:
    """packed    : `lz4` for small tables that every audit reads, `none` for its numbers and texts,
                `zstd` for what only some ask for; of all columns or by column
    encodings : by column; as they are in memory for the others
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [column if isinstance(column, pa.Array) else pa.array(column)
              for column in columns.values()]
    schema = pa.schema([pa.field(name, array.type, nullable=False)  # which reads twice as fast
                        for name, array in zip(columns, arrays, strict=True)])
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path,
                   compression=packed if isinstance(packed, str) else dict(packed),
                   use_dictionary=False, write_statistics=False,
                   column_encoding=dict(encodings) if encodings else None)


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Raises OSError and Arrow's errors."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=columns, use_threads=False)


def read_numbers(path: Path, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns, as `numbers_of`."""
    table = read_table(path, columns)
    return {name: numbers_of(array_of(table.column(name)))
            for name in columns or table.column_names}


def array_of(column: Any) -> Any:
    """A column in one piece, in place where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbers_of(array: Any) -> NDArray[Any]:
    """The numbers of an array, or its bools, in place where they can stay. Raises ValueError.

    Not its `to_numpy`, which imports pandas where that is installed: that takes longer than a
    segment.
    """
    import pyarrow as pa

    if array.null_count:
        raise ValueError("a number is missing")
    if array.type == pa.bool_():
        return numbers_of(array.cast(pa.uint8())).astype(np.bool_)
    kind = {pa.uint8(): np.uint8, pa.int32(): np.int32, pa.int64(): np.int64,
            pa.uint64(): np.uint64}.get(array.type)
    if kind is None:
        raise ValueError("a column of another kind")
    if not len(array):
        return np.empty(0, dtype=kind)
    return np.frombuffer(array.buffers()[1], dtype=kind, count=len(array),
                         offset=array.offset * np.dtype(kind).itemsize)
