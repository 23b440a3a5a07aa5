"""Some of many texts that lie in one piece of memory; see gather.pyx."""

import numpy as np
from numpy.typing import NDArray

def gathered(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
