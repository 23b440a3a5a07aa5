"""Arrow data as columns: strings, views, dictionaries and lists are read where they lie.

The buffers may come from any producer, so nothing is believed: lengths are checked here, before a
kernel gets a pointer; codes and offsets are checked row by row where they are read, there and here.
Layouts that are converted first are validated by pyarrow. This is the only module of the runtime
that imports pyarrow, and it is imported when an Arrow thing is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import ColumnError
from .column import BoundColumn
from .columns import (
    CodedColumn,
    Column,
    Intern,
    NullColumn,
    TypedColumn,
    Value,
    code_out_of_range,
    codes_of,
    from_objects,
    packed,
)
from .values import PER_SECOND, decode_text

UInt8Array = NDArray[np.uint8]
_BYTE, _INT32, _INT64 = np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.int64)

_LARGE_STRING = pa.large_string().id

VIEW_BYTES = 16
INLINE_BYTES = 12
"""A text of up to so many bytes lies in its view."""


@dataclass(slots=True)
class Texts:
    """Strings in Arrow layout, borrowed.

    data     : the bytes of all texts
    offsets  : int32 or int64, one more than texts
    validity : bitmap whose bit `at` + i is 0 for a null, or None
    """

    data: UInt8Array
    offsets: NDArray[Any]
    validity: UInt8Array | None
    at: int
    name: str

    def text(self, row: int) -> str | None:
        if not is_set(self.validity, self.at + row):
            return None
        begin, end = int(self.offsets[row]), int(self.offsets[row + 1])
        if not 0 <= begin <= end <= len(self.data):
            raise broken(self.name, row)
        return decode_text(self.data[begin:end].tobytes())

    def check(self) -> None:
        """Raise ColumnError if the offsets of any text do not fit."""
        begin, end = self.offsets[:-1], self.offsets[1:]
        is_bad = (begin < 0) | (end < begin) | (end > len(self.data))
        for row in np.flatnonzero(is_bad):
            if is_set(self.validity, self.at + int(row)):
                raise broken(self.name, int(row))


class ArrowTexts(Column):
    """One text a row."""

    __slots__ = ("_array", "_name", "length")

    def __init__(self, array: Any, name: str) -> None:
        self._array = array
        self._name = name
        self.length: int = len(array)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        array = self._array
        bound = BoundColumn.arrow_strings(
            self.length, array.offset, array.buffers(), array.type.id == _LARGE_STRING,
            array.null_count != 0)
        if bound is not None:
            return bound
        t = self._texts()  # no rows, buffers that are not aligned, or broken ones
        return BoundColumn.strings(self.length, t.data, t.offsets, t.validity, t.at)

    def _texts(self) -> Texts:
        return _texts(self._array, self._name)

    def value(self, row: int) -> Value:
        return self._texts().text(row)

    def check(self) -> None:
        self._texts().check()


class ArrowViews(Column):
    """One text a row, short ones in their view and longer ones in a block of data."""

    __slots__ = ("_at", "_blocks", "_name", "_validity", "_views", "length")

    def __init__(
        self, views: UInt8Array, blocks: list[UInt8Array], validity: UInt8Array | None, at: int,
        name: str,
    ) -> None:
        self._views = views
        self._blocks = blocks
        self._validity = validity
        self._at = at
        self._name = name
        self.length: int = len(views) // VIEW_BYTES

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        return BoundColumn.views(self.length, self._views, self._blocks, self._validity, self._at)

    def value(self, row: int) -> Value:
        if not is_set(self._validity, self._at + row):
            return None
        view = self._views[row * VIEW_BYTES : (row + 1) * VIEW_BYTES].tobytes()
        size, block, begin = (int.from_bytes(view[i : i + 4], "little", signed=True)
                              for i in (0, 8, 12))
        if 0 <= size <= INLINE_BYTES:
            return decode_text(view[4 : 4 + size])
        is_inside = 0 <= block < len(self._blocks) and size > 0 and begin >= 0
        if not is_inside or begin + size > len(self._blocks[block]):
            raise broken(self._name, row)
        return decode_text(self._blocks[block][begin : begin + size].tobytes())

    def check(self) -> None:
        fields = self._views[: self.length * VIEW_BYTES].reshape(-1, VIEW_BYTES).view("<i4")
        size, block, begin = (fields[:, i].astype(np.int64) for i in (0, 2, 3))
        room = np.array([*map(len, self._blocks), -1], dtype=np.int64)
        is_there = (block >= 0) & (block < len(self._blocks))
        is_inside = (begin >= 0) & (begin + size <= room[np.where(is_there, block, -1)])
        for row in np.flatnonzero((size < 0) | ((size > INLINE_BYTES) & ~is_inside)):
            if is_set(self._validity, self._at + int(row)):
                raise broken(self._name, int(row))


class ArrowCodes(Column):
    """Codes into a dictionary of texts; those of nulls may be anything."""

    __slots__ = ("_at", "_codes", "_texts", "_validity", "length")
    is_lasting = True  # Arrow data never changes, and the buffers are kept alive

    def __init__(
        self, codes: NDArray[np.int32], texts: Texts, validity: UInt8Array | None, at: int
    ) -> None:
        self._codes = codes
        self._texts = texts
        self._validity = validity
        self._at = at
        self.length: int = len(codes)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        t = self._texts
        return BoundColumn.codes(
            self._codes, t.data, t.offsets, t.validity, t.at, self._validity, self._at, False
        )

    def value(self, row: int) -> Value:
        if not is_set(self._validity, self._at + row):
            return None
        code = int(self._codes[row])
        if not 0 <= code < len(self._texts.offsets) - 1:
            raise code_out_of_range(self._texts.name, row)
        return self._texts.text(code)

    def check(self) -> None:
        is_bad = (self._codes < 0) | (self._codes >= len(self._texts.offsets) - 1)
        for row in np.flatnonzero(is_bad):
            if is_set(self._validity, self._at + int(row)):
                raise code_out_of_range(self._texts.name, int(row))
        self._texts.check()


class ArrowLists(Column):
    """A list of texts a row; nulls in a list are left out."""

    __slots__ = ("_at", "_name", "_offsets", "_texts", "_validity", "length")

    def __init__(
        self, offsets: NDArray[Any], texts: Texts, validity: UInt8Array | None, at: int, name: str
    ) -> None:
        self._offsets = offsets
        self._texts = texts
        self._validity = validity
        self._at = at
        self._name = name
        self.length: int = len(offsets) - 1

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        t = self._texts
        return BoundColumn.lists(
            self.length, self._offsets, t.data, t.offsets, self._validity, self._at,
            t.validity, t.at,
        )  # fmt: skip

    def value(self, row: int) -> Value:
        if not is_set(self._validity, self._at + row):
            return None
        begin, end = int(self._offsets[row]), int(self._offsets[row + 1])
        if not 0 <= begin <= end < len(self._texts.offsets):
            raise broken(self._name, row)
        texts = (self._texts.text(element) for element in range(begin, end))
        return [text for text in texts if text is not None]

    def check(self) -> None:
        begin, end = self._offsets[:-1], self._offsets[1:]
        is_bad = (begin < 0) | (end < begin) | (end >= len(self._texts.offsets))
        for row in np.flatnonzero(is_bad):
            if is_set(self._validity, self._at + int(row)):
                raise broken(self._name, int(row))
        self._texts.check()


def is_set(validity: UInt8Array | None, bit: int) -> bool:
    """Is a row there? Without a bitmap all are."""
    return validity is None or bool(validity[bit >> 3] >> (bit & 7) & 1)


def broken(name: str, row: int | None = None) -> ColumnError:
    where = "" if row is None else f" in row {row}"
    return ColumnError(
        f"column `{name}` is broken{where}: its offsets do not fit its data",
        column=name,
        help="its producer made an invalid Arrow array",
    )


# --- from whatever speaks Arrow to columns ------------------------------------------------------


def from_arrow(given: Any, name: str) -> Column:
    """A column from anything with the Arrow PyCapsule interface. Raises ColumnError."""
    try:
        array = _combined(given)
        array.validate()
        return _column(array, name)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise ColumnError(
            f"column `{name}` cannot be read: {error}",
            column=name,
            help="give text, numbers, booleans, times, or lists of texts",
        ) from None


def table_columns(requests: Any) -> list[tuple[str, object]]:
    """Names and columns of a table, a batch, or a stream of batches."""
    try:
        table = requests if isinstance(requests, pa.Table) else pa.table(requests)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ColumnError(
            f"requests cannot be read: {error}", help="give a table with a column `action`"
        ) from None
    return [(name, table.column(i)) for i, name in enumerate(table.column_names)]


def _combined(given: Any) -> Any:
    """One pyarrow array. Several chunks are copied into one, and so validated in full."""
    if isinstance(given, pa.Array):
        return given
    chunked = given
    if not isinstance(given, pa.ChunkedArray):
        if hasattr(given, "__arrow_c_array__") or not hasattr(given, "__arrow_c_stream__"):
            given = pa.array(given)
            if isinstance(given, pa.Array):
                return given
        chunked = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array(given)
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    kind = chunked.type
    if chunked.num_chunks == 0:
        return pa.nulls(0, kind)
    chunked.validate(full=True)
    chunks = chunked.chunks
    if pa.types.is_dictionary(kind):
        return _one_dictionary(chunks)
    # Together they may hold more bytes than 32-bit offsets can tell apart.
    if pa.types.is_string(kind):
        chunks = [chunk.cast(pa.large_string()) for chunk in chunks]
    elif _is_list_of_text(kind):
        chunks = [chunk.cast(pa.large_list(pa.large_string())) for chunk in chunks]
    return pa.concat_arrays(chunks)


def _one_dictionary(chunks: list[Any]) -> Any:
    """Valid chunks as one array; each may have a dictionary of its own, with nulls in it.

    Arrow's own unification takes neither nulls nor views.
    """
    if not _is_text(chunks[0].type.value_type):
        return pa.concat_arrays([chunk.dictionary_decode() for chunk in chunks])
    texts = [chunk.dictionary.cast(pa.large_string()) for chunk in chunks]
    union = pa.concat_arrays(texts).dictionary_encode()
    indices = []
    at = 0
    for chunk in chunks:
        size = len(chunk.dictionary)
        indices.append(union.indices.slice(at, size).take(chunk.indices))
        at += size
    return pa.DictionaryArray.from_arrays(pa.concat_arrays(indices), union.dictionary)


def _column(array: Any, name: str) -> Column:
    kind = array.type
    in_place = _IN_PLACE.get(kind.id)
    if in_place is not None:
        return in_place(array, name)
    if isinstance(array, pa.ExtensionArray):
        return _column(array.storage, name)
    if pa.types.is_boolean(kind):
        codes = array.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        texts = packed([b"false", b"true"])
        return CodedColumn(np.ascontiguousarray(codes), texts, [False, True])
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return _typed(array.cast(pa.int64()), 0)
    if pa.types.is_timestamp(kind):
        return _typed(array.cast(pa.int64()), PER_SECOND[kind.unit])
    if _is_list_of_text(kind):
        if kind.value_type not in (pa.string(), pa.large_string()):
            array = _cast(_trimmed(array), pa.large_list(pa.large_string()))
        return _lists(array, name)
    if pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_union(kind):
        raise ColumnError(
            f"column `{name}` holds more than one value a row",
            column=name,
            help="give text, numbers, booleans, times, or lists of these",
        )
    return _objects(array, name)


def _nulls(array: Any, name: str) -> NullColumn:
    return NullColumn(len(array))


def _is_text(kind: Any) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _is_list_of_text(kind: Any) -> bool:
    """A list that is read in place, or that Arrow can make one of; others are read as objects."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    if pa.types.is_dictionary(inner):
        return inner.value_type in (pa.string(), pa.large_string())
    return _is_text(inner)


def _trimmed(array: Any) -> Any:
    """Lists with the elements of their rows alone: a slice shares those of all rows.

    `validate` has compared the first and the last offset with the elements.
    """
    count = array.offsets[-1].as_py() - array.offsets[0].as_py() if len(array) else 0
    return array if count == len(array.values) else pa.concat_arrays([array])


def _cast(array: Any, kind: Any) -> Any:
    array.validate(full=True)
    return array.cast(kind)


def _objects(array: Any, name: str) -> Column:
    array.validate(full=True)
    return from_objects(array.to_pylist(), name)


def _typed(array: Any, per_second: int) -> TypedColumn:
    valid = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        array = array.fill_null(0)
    values = np.ascontiguousarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)
    return TypedColumn(values, valid, per_second)


def _dictionary(array: Any, name: str) -> Column:
    values = array.dictionary
    if not _is_text(values.type):
        array.validate(full=True)
        return _column(array.dictionary_decode(), name)
    if values.type == pa.string_view():
        values = _cast(values, pa.large_string())
    indices = array.indices
    buffers = indices.buffers()
    validity, at = _bitmap(indices, buffers[0], name)
    dtype = np.dtype(str(indices.type))
    codes = _values(buffers[1], dtype, indices.offset, len(indices), name)
    return ArrowCodes(codes_of(codes), _texts(values, name), validity, at)


def _texts(array: Any, name: str) -> Texts:
    buffers = array.buffers()
    data = buffers[2] if len(buffers) > 2 else None
    size = 0 if data is None else data.size
    validity, at = _bitmap(array, buffers[0], name)
    return Texts(
        _values(data, _BYTE, 0, size, name), _offsets(array, buffers[1], name), validity, at, name
    )


def _views(array: Any, name: str) -> ArrowViews:
    buffers = array.buffers()
    validity, at = _bitmap(array, buffers[0], name)
    views = _values(buffers[1], _BYTE, array.offset * VIEW_BYTES, len(array) * VIEW_BYTES, name)
    blocks = [_values(block, _BYTE, 0, 0 if block is None else block.size, name)
              for block in buffers[2:]]
    return ArrowViews(views, blocks, validity, at, name)


def _lists(array: Any, name: str) -> ArrowLists:
    buffers = array.buffers()
    validity, at = _bitmap(array, buffers[0], name)
    return ArrowLists(
        _offsets(array, buffers[1], name), _texts(array.values, name), validity, at, name)


def _offsets(array: Any, buffer: Any, name: str) -> NDArray[Any]:
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_list(array.type)
    dtype = _INT64 if is_large else _INT32
    if len(array) == 0 or buffer is None:
        return np.zeros(1, dtype=dtype)  # the one offset of an empty array may be left out
    return _values(buffer, dtype, array.offset, len(array) + 1, name)


def _bitmap(array: Any, buffer: Any, name: str) -> tuple[UInt8Array | None, int]:
    if buffer is None or array.null_count == 0:
        return None, 0
    size = (array.offset + len(array) + 7) // 8
    return _values(buffer, _BYTE, 0, size, name), array.offset


def _values(
    buffer: Any, dtype: np.dtype[Any], start: int, count: int, name: str
) -> NDArray[Any]:
    """Values of a fixed width in a buffer that is long enough for them."""
    if count == 0:
        return np.zeros(0, dtype=dtype)
    if buffer is None or (start + count) * dtype.itemsize > buffer.size:
        raise broken(name)
    array = np.frombuffer(buffer, dtype=dtype, count=count, offset=start * dtype.itemsize)
    return array if array.flags.aligned else array.copy()


_IN_PLACE: dict[int, Callable[[Any, str], Column]] = {
    pa.string().id: ArrowTexts,
    pa.large_string().id: ArrowTexts,
    pa.string_view().id: _views,
    pa.dictionary(pa.int32(), pa.string()).id: _dictionary,
    pa.null().id: _nulls,
}
"""Readers of layouts that are told by the number of their type alone."""
