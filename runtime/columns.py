"""Whatever callers hold requests in, made into columns that kernels can read.

Nothing is copied where the layout already fits: Arrow strings, dictionaries and lists are read in
place (runtime/arrow.py, imported when an Arrow thing is given); integer and time columns become
predicate bytes by vectorised comparison; Python objects are coded once per distinct text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ColumnError, RequestError
from .column import BoundColumn
from .conditions import UNKNOWN
from .objects import code_texts, pack_texts
from .values import (
    PER_SECOND,
    encode_list,
    encode_text,
    encode_value,
    instant_text,
    is_null,
    scalar_text,
    texts_of,
)

ABSENT_ID = 0
UNKNOWN_ID = 1

Intern = Callable[[bytes], int]
Value = object


@dataclass(frozen=True, slots=True)
class DictionaryColumn:
    """Integer codes with their dictionary.

    codes  : int32[n], index into `values`; -1 is null (absent; for the resource: unknown), -2 is
             unknown
    values : texts, or lists of texts (which make a context key multivalued)
    """

    codes: NDArray[np.int32]
    values: Sequence[str | Sequence[str]]


class Column:
    """One input column before it is bound to a session. `length` None: a scalar for all rows."""

    length: int | None = None
    is_lasting: bool = False
    """Is it made of codes, into a dictionary of texts in memory that nobody writes to any more?"""

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        raise NotImplementedError

    def value(self, row: int) -> Value:
        """The value of a row as a caller would write it; None: a null, UNKNOWN: coded so."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise ColumnError if borrowed buffers contradict themselves."""


@dataclass(slots=True)
class ScalarColumn(Column):
    """One value for all rows; data None is a null, or `UNKNOWN`."""

    data: bytes | None
    original: Value
    length: int | None = None

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        if self.data is not None:
            return BoundColumn.constant(n, intern(self.data))
        return BoundColumn.constant(n, UNKNOWN_ID if self.original is UNKNOWN else ABSENT_ID)

    def value(self, row: int) -> Value:
        return self.original


NULL = ScalarColumn(None, None)


@dataclass(slots=True)
class NullColumn(Column):
    """Nothing but nulls."""

    length: int

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        return BoundColumn.constant(n, ABSENT_ID)

    def value(self, row: int) -> Value:
        return None


class UnreadColumn(Column):
    """A column that no policy asks for: its values may be anything, only its length counts."""

    def __init__(self, given: Any) -> None:
        if type(given).__module__ == _PYARROW and hasattr(given, "null_count"):  # the usual case
            self.length = len(given)
            return
        rows = given.codes if isinstance(given, DictionaryColumn) or _is_coded(given) else given
        is_column = isinstance(rows, Sized) and not isinstance(rows, str | bytes | Mapping)
        self.length = len(rows) if is_column and getattr(rows, "ndim", 1) != 0 else None


class Packed(NamedTuple):
    """Encoded values end to end; value i is data[offsets[i] : offsets[i + 1]]."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]


def packed(encoded: Sequence[bytes]) -> Packed:
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    return Packed(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)


@dataclass(slots=True)
class CodedColumn(Column):
    """Codes into encoded values; -1 is a null, -2 unknown. They are checked where they are read."""

    codes: NDArray[np.int32]
    encoded: Packed | None
    """None until they are needed: a list that was met before need not be encoded again."""
    originals: Sequence[Value]
    name: str = ""
    """Needed only where the codes come from a caller."""
    is_lasting: bool = False
    are_resources: bool = False
    """Is each value known to be a resource? Only makers of columns know."""

    @property
    def length(self) -> int:  # type: ignore[override]
        return len(self.codes)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        if self.encoded is None:
            try:
                self.encoded = _packed_values(self.originals, self.name)
            except RequestError as error:
                raise _of_column(error, self.name) from None
        bound = BoundColumn.codes(self.codes, *self.encoded)
        if self.are_resources:
            bound.note_resources()
        return bound

    def value(self, row: int) -> Value:
        code = int(self.codes[row])
        if code in (-1, -2):
            return None if code == -1 else UNKNOWN
        if not 0 <= code < len(self.originals):
            raise code_out_of_range(self.name, row)
        return self.originals[code]

    def check(self) -> None:
        for row in np.flatnonzero((self.codes < -2) | (self.codes >= len(self.originals))):
            raise code_out_of_range(self.name, int(row))


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
        return CodedColumn(coded, packed([encode_text(t) for t in originals]), originals)

    def _text(self, value: int) -> str:
        return instant_text(value, self.per_second) if self.per_second else str(value)

    def bind(self, n: int, intern: Intern) -> BoundColumn:
        return self.texts().bind(n, intern)

    def value(self, row: int) -> Value:
        if self.valid is not None and not self.valid[row]:
            return None
        return self._text(int(self.values[row]))


_ARROW = ("__arrow_c_array__", "__arrow_c_stream__", "__arrow_array__")
_PYARROW = "pyarrow.lib"
"""Where the classes of its arrays are, single or in chunks."""


def make_column(given: object, name: str) -> Column:
    """A column from whatever the caller gave. Raises ColumnError when it cannot be read."""
    try:
        return _make(given, name)
    except RequestError as error:
        raise _of_column(error, name) from None


def _of_column(error: RequestError, name: str) -> ColumnError:
    return ColumnError(error.message, column=name, help=error.help)


def _make(given: Any, name: str) -> Column:
    if isinstance(given, Column):
        return given
    if isinstance(given, str):
        return ScalarColumn(encode_text(given), given)
    if type(given).__module__ == _PYARROW and hasattr(given, "null_count"):  # the usual case
        return _from_arrow()(given, name)
    if given is UNKNOWN or is_null(given):
        return ScalarColumn(None, UNKNOWN if given is UNKNOWN else None)
    if hasattr(given, "categories") and hasattr(given, "codes"):  # a pandas Categorical
        return _from_codes(np.asarray(given.codes), given.categories.tolist(), name)
    if isinstance(given, DictionaryColumn) or _is_coded(given):
        return _from_codes(np.asarray(given.codes), given.values, name)
    if hasattr(given, "array") and str(getattr(given, "dtype", "")) == "object":
        return _from_series_of_objects(given, name)
    if any(hasattr(given, way) for way in _ARROW):
        return _from_arrow()(given, name)
    if hasattr(given, "array") and hasattr(given, "to_numpy"):  # a pandas Series or Index
        return _make(given.array, name)
    if hasattr(given, "dtype") and hasattr(given, "to_numpy"):  # an array of pandas
        return _make(given.to_numpy(), name)
    if isinstance(given, np.ndarray):
        return _from_numpy(given, name)
    if hasattr(given, "as_py"):  # a pyarrow scalar
        return _make(given.as_py(), name)
    if isinstance(given, Sequence) and not isinstance(given, bytes | bytearray | memoryview):
        return from_objects(given, name)
    text = scalar_text(given, name)
    return ScalarColumn(None if text is None else encode_text(text), given)


@cache
def _from_arrow() -> Callable[[Any, str], Column]:
    from .arrow import from_arrow

    return from_arrow


def _from_series_of_objects(given: Any, name: str) -> Column:
    """Text and lists of text by way of Arrow, which takes no mixed objects, one by one."""
    if hasattr(given, "__arrow_c_stream__"):
        with suppress(ColumnError):
            return _from_arrow()(given, name)
    return _make(given.to_numpy(), name)


def _is_coded(given: Any) -> bool:
    """Does it look like a DictionaryColumn? Column makers may have a class of their own."""
    codes, values = getattr(given, "codes", None), getattr(given, "values", None)
    return isinstance(codes, np.ndarray) and values is not None and not callable(values)


def _from_codes(codes: NDArray[Any], values: Sequence[Any], name: str) -> Column:
    if codes.ndim != 1 or codes.dtype.kind not in "iu":
        raise ColumnError(f"codes of column `{name}` are not integers", column=name)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise ColumnError(f"the dictionary of column `{name}` is no list of values", column=name)
    if (already := _packed_already(values)) is not None:  # memory of the caller's
        return CodedColumn(codes_of(codes), already, values, name,
                           are_resources=getattr(values, "are_resources", False))
    return CodedColumn(codes_of(codes), None, values, name, True)


def _packed_already(values: object) -> Packed | None:
    """The values of a column maker that keeps them as `Packed` has them."""
    data, offsets = getattr(values, "data", None), getattr(values, "offsets", None)
    if (isinstance(data, np.ndarray) and isinstance(offsets, np.ndarray)
            and data.dtype == np.uint8 and offsets.dtype == np.int64 and len(offsets)
            and int(offsets[0]) == 0 and int(offsets[-1]) <= len(data)
            and bool((offsets[1:] >= offsets[:-1]).all())):
        return Packed(np.ascontiguousarray(data), np.ascontiguousarray(offsets))
    return None


def _packed_values(values: Sequence[Any], name: str) -> Packed:
    if (found := pack_texts(values if type(values) is list else list(values))) is not None:
        return Packed(*found)
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
    return packed(encoded)


def codes_of(codes: NDArray[Any]) -> NDArray[np.int32]:
    """int32[n], contiguous; an integer that does not fit becomes -3, which no dictionary has."""
    narrow = np.ascontiguousarray(codes, dtype=np.int32)
    if not np.can_cast(codes.dtype, np.int32):
        narrow[narrow != codes] = -3
    return narrow


def code_out_of_range(name: str, row: int) -> ColumnError:
    return ColumnError(f"a code of column `{name}` is out of range in row {row}", column=name)


def _from_numpy(given: NDArray[Any], name: str) -> Column:
    if given.ndim == 0:
        return _make(given[()], name)
    if given.ndim != 1:
        raise ColumnError(f"column `{name}` has {given.ndim} dimensions", column=name,
                          help="give one value per row")  # fmt: skip
    if isinstance(given, np.ma.MaskedArray):
        return _masked(_from_numpy(given.data, name), np.ma.getmaskarray(given))
    kind = given.dtype.kind
    if kind == "b":
        return CodedColumn(given.astype(np.int32), packed([b"false", b"true"]), [False, True])
    if kind in "iu" and (kind == "i" or given.dtype.itemsize < 8):
        return TypedColumn(np.ascontiguousarray(given, dtype=np.int64), None, 0)
    if kind == "M":
        return _from_times(given, name)
    if kind in "SVm":
        raise ColumnError(
            f"column `{name}` of dtype `{given.dtype}` cannot be read", column=name,
            help="give text, numbers, booleans or times",
        )  # fmt: skip
    return from_objects(given.tolist(), name)


def _masked(column: Column, mask: NDArray[np.bool_]) -> Column:
    """The column with nulls where the mask is True."""
    if isinstance(column, TypedColumn):
        valid = ~mask if column.valid is None else column.valid & ~mask
        return TypedColumn(column.values, valid, column.per_second)
    assert isinstance(column, CodedColumn)
    return CodedColumn(np.where(mask, np.int32(-1), column.codes), column.encoded, column.originals)


def _from_times(given: NDArray[Any], name: str) -> TypedColumn:
    unit, step = np.datetime_data(given.dtype)
    valid = ~np.isnat(given)
    if unit not in PER_SECOND or step != 1:
        unit = unit if unit in PER_SECOND else "s"
        try:
            exact = given.astype(f"datetime64[{unit}]")
            fits = bool(np.all(exact.astype(given.dtype)[valid] == given[valid]))
        except OverflowError:
            fits = False
        if not fits:
            raise ColumnError(f"column `{name}` holds a time that is out of range", column=name)
        given = exact
    values = np.where(valid, given.astype(np.int64), 0)
    return TypedColumn(values, None if valid.all() else valid, PER_SECOND[unit])


def from_objects(given: Sequence[Any], name: str) -> Column:
    """Python objects: coded by a kernel where all are texts or nulls, else one after the other."""
    given = given if type(given) is list else list(given)
    if (found := code_texts(given, UNKNOWN)) is not None:
        codes, data, offsets, texts = found
        return CodedColumn(codes, Packed(data, offsets), texts, name, True)
    return _coded_one_by_one(given, name)


def _coded_one_by_one(given: Sequence[Any], name: str) -> Column:
    """Mixed objects: one dictionary lookup a row, one encoding per distinct value."""
    codes = np.empty(len(given), dtype=np.int32)
    seen: dict[object, int] = {}
    encoded: list[bytes] = []
    originals: list[Any] = []
    for row, value in enumerate(given):
        token = value
        if not isinstance(value, str):
            # By text and not by value: `1 == True == Decimal("1.0")`, but their texts differ.
            token = None if is_null(value) or value is UNKNOWN else texts_of(value, name)
            if token is None:
                codes[row] = -2 if value is UNKNOWN else -1
                continue
        code = seen.get(token)
        if code is None:
            code = seen[token] = len(encoded)
            encoded.append(encode_text(token) if isinstance(token, str) else encode_list(token))
            originals.append(value)
        codes[row] = code
    return CodedColumn(codes, packed(encoded), originals)


def row_mask(
    given: object, n: int, name: str, parameter: str = "unknown"
) -> NDArray[np.uint8] | None:
    """uint8[n] from True or bool[n], given for a key; None for no row."""
    if given is True:
        return np.ones(n, dtype=np.uint8)
    if given is False or given is None:
        return None
    mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != (n,):
        raise ColumnError(
            f"`{parameter}` of `{name}` is neither True nor bool[{n}]", column=name
        )
    return np.ascontiguousarray(mask, dtype=np.uint8)


def common_length(columns: Mapping[str, Column]) -> int:
    """The number of rows; scalars broadcast. Raises ColumnError when lengths differ."""
    lengths = [length for c in columns.values() if (length := c.length) is not None]
    if not lengths:
        return 1
    n = max(lengths)
    if min(lengths) == n:
        return n
    for name, column in columns.items():
        if (length := column.length) is not None and length != n:
            raise ColumnError(
                f"column `{name}` has {length} rows, another has {n}",
                column=name,
                help="give columns of one length, or a scalar",
            )
    return n


def table_columns(requests: object) -> list[tuple[str, object]]:
    """Names and columns of an Arrow table, batch or stream, or of a mapping."""
    if isinstance(requests, Mapping):
        return list(requests.items())
    if hasattr(requests, "__arrow_c_stream__") or hasattr(requests, "__arrow_c_array__"):
        from .arrow import table_columns as arrow_columns

        return arrow_columns(requests)
    raise ColumnError(
        f"cannot read requests from `{type(requests).__name__}`",
        help="give an Arrow table, a mapping of columns, or columns by name",
    )
