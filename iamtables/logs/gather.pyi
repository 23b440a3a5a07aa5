"""Some of many texts that lie in one piece of memory; see gather.pyx."""

import numpy as np
from numpy.typing import NDArray

def gathered(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
def put_offsets(
    lengths: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32],
    offsets: NDArray[np.int64],
) -> None: ...
def is_ascii(data: NDArray[np.uint8]) -> bool: ...
def are_resources(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> bool: ...
