"""Whatever callers hold requests in, made into columns that kernels can read.

Nothing is copied where the layout already fits: Arrow strings, dictionaries and lists are read in
place; integer and time columns become predicate bytes by vectorised comparison; Python objects are
coded once per distinct object. pyarrow is imported only when an Arrow thing is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ColumnError
from .column import BoundColumn
from .values import encode_text, encode_value, scalar_text

ABSENT_ID = 0
UNKNOWN_ID = 1

Intern = Callable[[bytes], int]
Value = object


@dataclass(frozen=True, slots=True)
class DictionaryColumn:
    """Integer codes with their dictionary.

    codes  : int32[n], index into `values`; -1 null (absent; for the resource: unknown), -2 unknown
    values : texts, or lists of texts (which make a context key multivalued)
    """

    codes: NDArray[np.int32]
    values: Sequence[str | Sequence[str]]


class Column:
    """One input column before it is bound to a session. `length` None: a scalar for all rows."""

    length: int | None = None

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        raise NotImplementedError

    def value(self, row: int) -> Value:
        """The value of a row as a caller would write it; None: a null, UNKNOWN: coded so."""
        raise NotImplementedError


@dataclass(slots=True)
class ScalarColumn(Column):
    """One value for all rows; data None is a null."""

    data: bytes | None
    original: Value
    length: int | None = None

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        return BoundColumn.constant(n, ABSENT_ID if self.data is None else intern(self.data))

    def value(self, row: int) -> Value:
        return self.original


@dataclass(slots=True)
class CodedColumn(Column):
    """Codes into encoded values."""

    codes: NDArray[np.int32]
    encoded: list[bytes]
    originals: Sequence[Value]

    @property
    def length(self) -> int:  # type: ignore[override]
        return len(self.codes)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        data = np.frombuffer(b"".join(self.encoded), dtype=np.uint8)
        offsets = np.zeros(len(self.encoded) + 1, dtype=np.int64)
        np.cumsum([len(e) for e in self.encoded], out=offsets[1:])
        return BoundColumn.codes(self.codes, data, offsets)

    def value(self, row: int) -> Value:
        code = int(self.codes[row])
        if code == -2:
            from .conditions import UNKNOWN

            return UNKNOWN
        return None if code < 0 else self.originals[code]


@dataclass(slots=True)
class ArrowColumn(Column):
    """A pyarrow array of strings, of a dictionary of strings, or of lists of strings."""

    array: Any

    @property
    def length(self) -> int:  # type: ignore[override]
        return len(self.array)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        import pyarrow as pa

        array = self.array
        if pa.types.is_dictionary(array.type):
            return self._bind_dictionary()
        if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            offsets = _offsets(array, pa.types.is_large_list(array.type))
            data, inner, validity, at = _string_buffers(array.values)
            rows, row_offset = _bitmap(array)
            return BoundColumn.lists(
                len(array), offsets, data, inner, rows, row_offset, validity, at
            )
        data, offsets, validity, at = _string_buffers(array)
        return BoundColumn.strings(len(array), data, offsets, validity, at)

    def _bind_dictionary(self) -> BoundColumn:
        array = self.array
        indices = array.indices
        buffer = indices.buffers()[1]
        if buffer is None:
            codes = np.zeros(len(indices), dtype=np.int32)
        else:
            width = np.dtype(str(indices.type))
            codes = np.frombuffer(buffer, dtype=width)[array.offset : array.offset + len(array)]
            codes = np.ascontiguousarray(codes, dtype=np.int32)
        rows, row_offset = _bitmap(indices)
        data, offsets, validity, at = _string_buffers(array.dictionary)
        return BoundColumn.codes(codes, data, offsets, validity, at, rows, row_offset)

    def value(self, row: int) -> Value:
        value = self.array[row].as_py()
        return [v for v in value if v is not None] if isinstance(value, list) else value


@dataclass(slots=True)
class TypedColumn(Column):
    """Integers, or times as whole `per_second` parts of a second; compared without text.

    values : int64[n];  valid : bool[n] or None
    """

    values: NDArray[np.int64]
    valid: NDArray[np.bool_] | None
    per_second: int
    """0 for plain integers."""

    @property
    def length(self) -> int:  # type: ignore[override]
        return len(self.values)

    def texts(self) -> CodedColumn:
        """The same column as texts, for predicates that compare text."""
        distinct, codes = np.unique(self.values, return_inverse=True)
        coded = codes.astype(np.int32)
        if self.valid is not None:
            coded[~self.valid] = -1
        originals = [self._text(int(v)) for v in distinct]
        return CodedColumn(coded, [encode_text(t) for t in originals], originals)

    def _text(self, value: int) -> str:
        if not self.per_second:
            return str(value)
        seconds, rest = divmod(value, self.per_second)
        text = str(np.datetime64(seconds, "s"))
        digits = f"{rest:0{len(str(self.per_second)) - 1}d}".rstrip("0") if rest else ""
        return f"{text}.{digits}Z" if digits else f"{text}Z"

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        return self.texts().bind(n, intern)

    def value(self, row: int) -> Value:
        if self.valid is not None and not self.valid[row]:
            return None
        return self._text(int(self.values[row]))


def _offsets(array: Any, is_large: bool) -> NDArray[Any]:
    buffer = array.buffers()[1]
    dtype = np.int64 if is_large else np.int32
    if buffer is None:
        return np.zeros(1, dtype=dtype)
    whole = np.frombuffer(buffer, dtype=dtype)
    return whole[array.offset : array.offset + len(array) + 1]


def _bitmap(array: Any) -> tuple[NDArray[np.uint8] | None, int]:
    buffer = array.buffers()[0]
    if buffer is None or array.null_count == 0:
        return None, 0
    return np.frombuffer(buffer, dtype=np.uint8), array.offset


def _string_buffers(
    array: Any,
) -> tuple[NDArray[np.uint8] | None, NDArray[Any], NDArray[np.uint8] | None, int]:
    import pyarrow as pa

    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    data = array.buffers()[2] if len(array.buffers()) > 2 else None
    validity, at = _bitmap(array)
    bytes_ = None if data is None else np.frombuffer(data, dtype=np.uint8)
    return bytes_, _offsets(array, large), validity, at


_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def make_column(given: object, name: str) -> Column:
    """A column from whatever the caller gave. Raises ColumnError when it cannot be read."""
    if isinstance(given, Column):
        return given
    if given is None or isinstance(given, str | bytes):
        if isinstance(given, bytes):
            raise ColumnError(f"column `{name}` is bytes; give text", column=name)
        return ScalarColumn(None if given is None else encode_text(given), given)
    codes, values = getattr(given, "codes", None), getattr(given, "values", None)
    if isinstance(codes, np.ndarray) and values is not None and not callable(values):
        return _from_codes(codes, values, name)
    if hasattr(given, "__arrow_c_array__") or hasattr(given, "__arrow_c_stream__"):
        return _from_arrow(given, name)
    if hasattr(given, "array") and hasattr(given, "to_numpy"):  # a pandas Series
        return _from_pandas(given, name)
    if isinstance(given, np.ndarray):
        return _from_numpy(given, name)
    if isinstance(given, Sequence):
        return _from_objects(given, name)
    text = scalar_text(given, name)
    return ScalarColumn(None if text is None else encode_text(text), given)


def _from_codes(codes: NDArray[Any], values: Sequence[Any], name: str) -> Column:
    if codes.ndim != 1 or codes.dtype.kind not in "iu":
        raise ColumnError(f"codes of column `{name}` are not integers", column=name)
    if len(codes) and (int(codes.max()) >= len(values) or int(codes.min()) < -2):
        raise ColumnError(f"a code of column `{name}` is out of range", column=name)
    encoded = []
    for value in values:
        data = encode_value(value, name)
        if data is None:
            raise ColumnError(
                f"the dictionary of column `{name}` holds a null",
                column=name,
                help="use code -1 for a null and -2 for an unknown value",
            )
        encoded.append(data)
    return CodedColumn(np.ascontiguousarray(codes, dtype=np.int32), encoded, values)


def _from_pandas(given: Any, name: str) -> Column:
    inner = given.array
    if hasattr(inner, "codes") and hasattr(inner, "categories"):
        codes = np.asarray(inner.codes, dtype=np.int32)
        return _from_codes(codes, inner.categories.tolist(), name)
    return _from_numpy(given.to_numpy(), name)


def _from_numpy(given: NDArray[Any], name: str) -> Column:
    if given.ndim == 0:
        return make_column(given.item(), name)
    if given.ndim != 1:
        raise ColumnError(f"column `{name}` has {given.ndim} dimensions", column=name,
                          help="give one value per row")
    kind = given.dtype.kind
    if kind == "b":
        return CodedColumn(given.astype(np.int32), [b"false", b"true"], [False, True])
    if kind in "iu" and (kind == "i" or given.dtype.itemsize < 8):
        return TypedColumn(np.ascontiguousarray(given, dtype=np.int64), None, 0)
    if kind == "M":
        unit = np.datetime_data(given.dtype)[0]
        if unit not in _UNITS:
            given, unit = given.astype("datetime64[s]"), "s"
        valid = ~np.isnat(given)
        values = np.where(valid, given.astype(np.int64), 0)
        return TypedColumn(values, None if valid.all() else valid, _UNITS[unit])
    return _from_objects(given.tolist(), name)


def _from_objects(given: Sequence[Any], name: str) -> Column:
    """Python objects: one dictionary lookup a row, one encoding per distinct value."""
    from .conditions import UNKNOWN

    codes = np.empty(len(given), dtype=np.int32)
    seen: dict[object, int] = {}
    encoded: list[bytes] = []
    originals: list[Any] = []
    for row, value in enumerate(given):
        if value is None or value != value or value is UNKNOWN:
            codes[row] = -2 if value is UNKNOWN else -1
            continue
        token: object = value
        if not isinstance(value, str):
            token = (type(value), tuple(value) if isinstance(value, list | tuple | set) else value)
            if isinstance(value, np.ndarray):
                token = (list, tuple(value.tolist()))
                value = value.tolist()
        code = seen.get(token)
        if code is None:
            data = encode_value(value, name)
            assert data is not None
            code = seen[token] = len(encoded)
            encoded.append(data)
            originals.append(value)
        codes[row] = code
    return CodedColumn(codes, encoded, originals)


def _from_arrow(given: Any, name: str) -> Column:
    import pyarrow as pa

    if isinstance(given, pa.Array):
        array = given
    elif hasattr(given, "__arrow_c_array__"):
        array = pa.array(given)
    else:
        chunked = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array(given)
        array = chunked.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks)
    return _from_arrow_array(array, name)


def _from_arrow_array(array: Any, name: str) -> Column:
    import pyarrow as pa

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _from_arrow_array(array.storage, name)
    if pa.types.is_dictionary(kind):
        values = array.dictionary
        if _is_text(values.type):
            if values.type == pa.string_view():
                values = values.cast(pa.large_string())
                array = pa.DictionaryArray.from_arrays(array.indices, values)
            return ArrowColumn(array)
        return _from_arrow_array(array.dictionary_decode(), name)
    if kind == pa.string_view():
        return ArrowColumn(array.cast(pa.large_string()))
    if _is_text(kind):
        return ArrowColumn(array)
    if pa.types.is_null(kind):
        return CodedColumn(np.full(len(array), -1, dtype=np.int32), [], [])
    if pa.types.is_boolean(kind):
        codes = array.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        return CodedColumn(np.ascontiguousarray(codes), [b"false", b"true"], [False, True])
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return _typed(array.cast(pa.int64()), 0)
    if pa.types.is_timestamp(kind):
        return _typed(array.cast(pa.int64()), _UNITS[kind.unit])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        if pa.types.is_string(inner) or pa.types.is_large_string(inner):
            return ArrowColumn(array)
        if _is_text(inner) or pa.types.is_dictionary(inner) or pa.types.is_null(inner):
            target = pa.large_list(pa.large_string())
            return ArrowColumn(array.cast(target))
    return _from_objects(array.to_pylist(), name)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    )


def _typed(array: Any, per_second: int) -> TypedColumn:
    valid = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        array = array.fill_null(0)
    values = np.ascontiguousarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)
    return TypedColumn(values, valid, per_second)


def unknown_mask(given: object, n: int, name: str) -> NDArray[np.uint8] | None:
    """uint8[n] from True or bool[n]; None when no row is unknown."""
    if given is True:
        return np.ones(n, dtype=np.uint8)
    if given is False or given is None:
        return None
    mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != (n,):
        raise ColumnError(
            f"`unknown` of `{name}` is neither True nor bool[{n}]", column=name
        )
    return np.ascontiguousarray(mask, dtype=np.uint8)


def common_length(columns: Mapping[str, Column]) -> int:
    """The number of rows; scalars broadcast. Raises ColumnError when lengths differ."""
    lengths = {name: c.length for name, c in columns.items() if c.length is not None}
    if not lengths:
        return 1
    n = max(lengths.values())
    for name, length in lengths.items():
        if length != n:
            raise ColumnError(
                f"column `{name}` has {length} rows, another has {n}",
                column=name,
                help="give columns of one length, or a scalar",
            )
    return n


def table_columns(requests: object) -> dict[str, object]:
    """Columns of an Arrow table, batch or stream, or of a mapping, by name."""
    if isinstance(requests, Mapping):
        return dict(requests)
    import pyarrow as pa

    if hasattr(requests, "__arrow_c_stream__") or hasattr(requests, "__arrow_c_array__"):
        table = requests if isinstance(requests, pa.Table) else pa.table(requests)
        return {name: table.column(i) for i, name in enumerate(table.column_names)}
    raise ColumnError(
        f"cannot read requests from `{type(requests).__name__}`",
        help="give an Arrow table, a mapping of columns, or columns by name",
    )


