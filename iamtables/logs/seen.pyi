"""Which 64-bit hashes were seen before; see seen.pyx."""

import numpy as np
from numpy.typing import NDArray

class SeenHashes:
    forgotten: int
    def __init__(self, limit: int, seed: int) -> None: ...
    def __len__(self) -> int: ...
    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]: ...
