"""Columns of a segment of a cache in Parquet files, written so that they are read fast.

A column that is neither packed nor encoded nor has nulls lies in one piece at the end of its part
of the file. Where that is was found out, and compared, when the file was written (`Layout`). So its
bytes are read as they lie, which takes a third of the time of decoding. Other readers of Parquet
see files like any other.

Numbers are kept above the least of their column, in as many bytes as the largest takes, as binary
values of that width: one byte read less saves more than widening them costs.

Each such piece has a checksum, and so have the pages of the other columns: whatever happened to a
file, what is read is what was written, or an error. Nothing is mapped into memory: a file that is
cut short under the eyes of its reader would end the process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import signature
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

Layout = dict[str, Any]
"""`bytes`: size of the file; `columns`: by name, where its values begin, of which kind they are,
how many numbers, or bytes of one value, there are, and their CRC-32; `narrow`: by name, of which
kind the numbers of a column of binary values are, and the least of them."""

Bounds = tuple[int, int]
"""The least number that there may be, and one more than the largest."""

_KINDS: dict[str, Any] = {
    "int32": np.int32, "int64": np.int64, "uint64": np.uint64, "binary": np.uint8,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32}
_NARROW = {f"fixed_size_binary[{width}]": f"uint{8 * width}" for width in (1, 2, 4)}
_WIDE: dict[str, Any] = {"int32": np.int32, "int64": np.int64}
_PAGE_BYTES = 1 << 30


def write_table(path: Path, columns: Mapping[str, Any], packed: str | Mapping[str, str] = "none"
                ) -> Layout:
    """Write the columns; where those are that can be read in place.

    columns : arrays of Arrow, or what `to_arrow` takes, of which signed numbers are narrowed
    packed : `none` for what every audit reads, `zstd` for what only some ask for; of all columns,
             or by column
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    narrow: dict[str, tuple[str, int]] = {}
    arrays = []
    for name, column in columns.items():
        if isinstance(column, pa.Array):
            arrays.append(column)
            continue
        narrowed, least = _narrowed(column)
        if narrowed is not column:
            narrow[name] = column.dtype.name, least
        arrays.append(to_arrow(narrowed) if narrowed is column else _binary(narrowed))
    schema = pa.schema([pa.field(name, array.type, nullable=False)
                        for name, array in zip(columns, arrays, strict=True)])
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path,
                   compression=packed if isinstance(packed, str) else dict(packed),
                   use_dictionary=False, write_statistics=False, data_page_size=_PAGE_BYTES,
                   row_group_size=max(len(arrays[0]), 1), write_page_checksum=True, **_one_page())
    return {"bytes": path.stat().st_size, "narrow": narrow,
            "columns": _found(path, dict(zip(columns, arrays, strict=True)))}


def _narrowed(column: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """(the numbers above the least of them, as narrow as they can be; the least), or (the column
    itself, 0)."""
    if column.dtype.name not in _WIDE or not len(column):
        return column, 0
    least = int(column.min())
    span = int(column.max()) - least
    for kind in (np.uint8, np.uint16, np.uint32):
        if span <= np.iinfo(kind).max and np.dtype(kind).itemsize < column.dtype.itemsize:
            return (column.astype(np.int64) - least).astype(kind), least
    return column, 0


def _widened(numbers: NDArray[Any], kind: str, least: int) -> NDArray[Any]:
    """What `_narrowed` was given. Raises KeyError or OverflowError for what that never makes."""
    wide = _WIDE[kind]
    return numbers.astype(wide) if not least else np.add(numbers, wide(least), dtype=wide)


def _binary(numbers: NDArray[Any]) -> Any:
    """An array of Arrow of numbers as binary values, least byte first."""
    import pyarrow as pa

    kind = numbers.dtype.newbyteorder("<")
    return pa.Array.from_buffers(pa.binary(kind.itemsize), len(numbers), [
        None, pa.py_buffer(np.ascontiguousarray(numbers, dtype=kind))])


def to_arrow(column: NDArray[Any]) -> Any:
    """Numbers or bools as an array; bytes (uint8) as an array of one value.

    Not `pyarrow.array`, which imports pandas where that is installed: that takes more memory than
    a segment, and as long as some.
    """
    import pyarrow as pa

    column = np.ascontiguousarray(column)
    if column.dtype == np.uint8:
        ends = np.array([0, len(column)], dtype=np.int32)
        return pa.Array.from_buffers(
            pa.binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(column)])
    if column.dtype == np.bool_:
        return pa.Array.from_buffers(pa.bool_(), len(column), [
            None, pa.py_buffer(np.packbits(column, bitorder="little"))])
    kinds = {np.dtype(np.int32): pa.int32(), np.dtype(np.int64): pa.int64(),
             np.dtype(np.uint64): pa.uint64()}
    return pa.Array.from_buffers(kinds[column.dtype], len(column), [
        None, pa.py_buffer(column)])


def give_back_memory() -> None:
    """What writing took and nobody uses any more: Arrow's, and the C library's."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    pa.system_memory_pool().release_unused()


@cache
def _one_page() -> dict[str, int]:
    """What else keeps a column in one page: newer versions of Arrow count its rows, too."""
    import pyarrow.parquet as pq

    return ({"max_rows_per_page": _PAGE_BYTES}
            if "max_rows_per_page" in signature(pq.write_table).parameters else {})


def _found(path: Path, arrays: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Where the values of the columns lie that are in one piece."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    if metadata.num_row_groups != 1:
        return {}
    found: dict[str, list[Any]] = {}
    with FileIO(f"{path}") as file:
        for number, (name, array) in enumerate(arrays.items()):
            kind = _NARROW.get(str(array.type), str(array.type))
            chunk = metadata.row_group(0).column(number)
            if kind not in _KINDS or chunk.compression != "UNCOMPRESSED":
                continue
            if kind == "binary" and len(array) != 1:
                continue
            values = bytes_of(array) if kind == "binary" else numbers_of(array)
            begin = chunk.data_page_offset + chunk.total_compressed_size - values.nbytes
            checksum = isal_zlib.crc32(values)
            try:
                _read_at(file, begin, np.empty_like(values), checksum)
            except ValueError:
                continue
            found[name] = [begin, kind, len(values), checksum]
    return found


class ColumnReader:
    """Columns of the files of a segment.

    Raises OSError, Arrow's errors, KeyError, TypeError or ValueError where a file is not as it was
    written.
    """

    def __init__(self, directory: Path, layouts: Mapping[str, Layout]) -> None:
        self._directory, self._layouts = f"{directory}", layouts

    def check(self, file: str) -> None:
        """Is the file there, and as large as it was?"""
        if os.stat(f"{self._directory}/{file}").st_size != self._layouts[file]["bytes"]:
            raise ValueError("another file")

    def numbers(self, file: str, names: Sequence[str], bounds: Mapping[str, Bounds] | None = None
                ) -> dict[str, Any]:
        """int32, int64 or uint64 of each column; bools where it holds such.

        bounds : of columns of codes and rows; ValueError where a number is not within them
        """
        found = self._read(file, names, numbers_of, {})
        narrow = self._layouts[file]["narrow"]
        for name, values in found.items():
            least = 0
            if name in narrow:
                kind, least = narrow[name]
                found[name] = _widened(values, kind, least)
            if bounds is not None and name in bounds and len(values):
                low, high = bounds[name]
                if least + int(values.max()) >= high or (
                        least if values.dtype.kind == "u" else least + int(values.min())) < low:
                    raise ValueError("a code of another table")
        return found

    def bytes_of(self, file: str, names: Sequence[str], room: Mapping[str, int] | None = None
                 ) -> dict[str, NDArray[np.uint8]]:
        """The one value of each column.

        room : how many bytes more there may be in its memory, behind the value
        """
        return self._read(file, names, bytes_of, room or {})

    def _read(self, file: str, names: Sequence[str], decoded: Any, room: Mapping[str, int]
              ) -> dict[str, Any]:
        layout = self._layouts[file]
        size, places = layout["bytes"], layout["columns"]
        path = f"{self._directory}/{file}"
        found: dict[str, Any] = {}
        with FileIO(path) as source:
            if os.fstat(source.fileno()).st_size != size:
                raise ValueError("another file")
            for name in names:
                if name in places:
                    begin, kind, count, checksum = places[name]
                    kind = _KINDS[kind]
                    values = np.empty(_checked(begin, count, kind, size) + room.get(name, 0),
                                      dtype=kind)[:count]
                    _read_at(source, begin, values, checksum)
                    found[name] = values
        others = [name for name in names if name not in found]
        if others:
            table = read_table(Path(path), others)
            found |= {name: decoded(array_of(table.column(name))) for name in others}
        return found


def _checked(begin: int, count: int, kind: Any, size: int) -> int:
    """The count, if so many values can be in a file of this size. Raises ValueError."""
    if begin < 0 or count < 0 or begin + count * np.dtype(kind).itemsize > size:
        raise ValueError("a column beyond the file")
    return count


def _read_at(file: FileIO, begin: int, values: NDArray[Any], checksum: int) -> None:
    """Fill an array. Raises OSError, and ValueError where the file has other bytes."""
    if begin < 0:
        raise ValueError("a column beyond the file")
    file.seek(begin)
    left = values.view(np.uint8).data
    while len(left):
        read = file.readinto(left)
        if not read:
            raise ValueError("the file was cut short")
        left = left[read:]
    if isal_zlib.crc32(values) != checksum:
        raise ValueError("a column was damaged")


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Raises OSError and Arrow's errors."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=columns, use_threads=False)


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
            pa.uint64(): np.uint64, pa.binary(1): np.uint8, pa.binary(2): np.uint16,
            pa.binary(4): np.uint32}.get(array.type)
    if kind is None:
        raise ValueError("a column of another kind")
    if not len(array):
        return np.empty(0, dtype=kind)
    return np.frombuffer(array.buffers()[1], dtype=kind, count=len(array),
                         offset=array.offset * np.dtype(kind).itemsize)


def bytes_of(array: Any) -> NDArray[np.uint8]:
    """The one value of an array, in place. Raises ValueError."""
    import pyarrow as pa

    if len(array) != 1 or array.null_count or array.type != pa.binary():
        raise ValueError("texts are missing")
    buffer = array[0].as_buffer()
    return np.frombuffer(buffer, dtype=np.uint8) if buffer.size else np.empty(0, dtype=np.uint8)
