"""Calls that differ only in texts that the mapping cannot tell apart; see moulds.pyx."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .extract import Extractor

_Codes = NDArray[np.int32]

class Moulds:
    def __init__(
        self, seed: int, prefixes: list[bytes], words: list[bytes], suffixes: list[bytes]
    ) -> None: ...
    @property
    def key_bytes(self) -> int: ...
    def forget(self, seed: int) -> None: ...
    def start(self) -> None: ...
    def find(
        self, e: Extractor, plan: _Codes, error: _Codes, plan_flags: NDArray[np.uint8],
        plan_needles: _Codes, is_denial: NDArray[np.uint8], done: _Codes, max_bytes: int,
        arn_classes: _Codes, codes: _Codes,
    ) -> _Codes: ...
    def new_arns(self, known: int) -> list[str]: ...
    def slots_of(self, e: Extractor, i: int) -> list[tuple[int, int, bool, bool]]: ...
    def fill(
        self, e: Extractor, moulds: _Codes, programs: Sequence[bytes | None]
    ) -> tuple[_Codes, _Codes]: ...
    def texts(
        self, e: Extractor, records: _Codes, moulds: _Codes, programs: Sequence[bytes | None]
    ) -> list[str]: ...

def slots_in(program: bytes) -> list[int]: ...
