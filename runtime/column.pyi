"""Columns as the kernels see them: one struct, read lazily, row by row.

The constructors take buffers as they are. `runtime.columns` answers for lengths, dtypes and
contiguity; offsets and codes are checked row by row, when they are read. Arrays are borrowed and
kept alive by the column. A validity bitmap has one bit per row, least significant first, and an
offset in bits.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Offsets: TypeAlias = NDArray[np.int32] | NDArray[np.int64]

class BoundColumn:
    """A column bound to one session: borrowed buffers, and ids of that session's interners."""

    @property
    def length(self) -> int:
        """Rows of the column."""

    @property
    def constant_id(self) -> int | None:
        """The value id of all rows; None where the column has another form."""

    @property
    def dictionary_bytes(self) -> int:
        """Memory of a dictionary and of what may be learnt of its values; 0 in other columns."""

    def adopt(self, before: BoundColumn) -> bool:
        """Take over what was learnt of the same dictionary, or of one that has grown at its end
        since; False if `before` has another one.

        What was learnt has to be of this engine, this use of the column, and no earlier `clear`.
        `before` cannot be used again. Both must be as they were bound, whatever owns their memory.
        """

    def forget_rows(self) -> None:
        """Let go of the rows and keep the dictionary, for `adopt`."""

    def note_resources(self) -> None:
        """Each value of the dictionary is known to be a resource (RES-12): it is not looked at."""

    def set_instead(self, mask: _Bytes) -> None:
        """mask: uint8[n], for each row 0, or what stands in it instead: 1 unknown, 2 absent, 3 what
        the engine derives.
        """

    @staticmethod
    def constant(length: int, value_id: int) -> BoundColumn:
        """The same value in every row; `value_id` comes from the engine (0 absent, 1 unknown)."""

    @staticmethod
    def strings(
        length: int,
        data: _Bytes | None,
        offsets: _Offsets,
        validity: _Bytes | None = None,
        validity_offset: int = 0,
    ) -> BoundColumn:
        """data uint8[], offsets int32/int64[length + 1], validity bitmap uint8[] or None."""

    @staticmethod
    def arrow_strings(
        length: int,
        offset: int,
        buffers: list[Any],
        is_large: bool,
        has_nulls: bool,
    ) -> BoundColumn | None:
        """Texts from row `offset` on in Arrow's buffers (validity, offsets, data), without an array
        of numpy for each, which takes longer than a thousand texts.

        None where a buffer is too short for these rows, or its offsets are not aligned.
        """

    @staticmethod
    def views(
        length: int,
        views: _Bytes,
        blocks: list[_Bytes],
        validity: _Bytes | None = None,
        validity_offset: int = 0,
    ) -> BoundColumn:
        """views uint8[16 * length], blocks a list of uint8[], validity bitmap uint8[] or None."""

    @staticmethod
    def codes(
        codes: NDArray[np.int32],
        data: _Bytes | None,
        offsets: _Offsets,
        dictionary_validity: _Bytes | None = None,
        dictionary_validity_offset: int = 0,
        validity: _Bytes | None = None,
        validity_offset: int = 0,
        has_signs: bool = True,
    ) -> BoundColumn:
        """codes int32[n] into a dictionary of texts; with `has_signs` -1 is a null, -2 unknown."""

    @staticmethod
    def lists(
        length: int,
        list_offsets: _Offsets,
        data: _Bytes | None,
        offsets: _Offsets,
        validity: _Bytes | None = None,
        validity_offset: int = 0,
        element_validity: _Bytes | None = None,
        element_validity_offset: int = 0,
    ) -> BoundColumn:
        """list_offsets int32/int64[length + 1] into elements given as strings."""

    @staticmethod
    def truth(length: int, arrays: Sequence[_Bytes]) -> BoundColumn:
        """arrays: one uint8[length] of State codes per predicate of the key, by slot."""
