"""Where patterns are filed: tries over literal heads, below them tries over a second literal."""

import numpy as np
from numpy.typing import NDArray

def file_patterns(text: bytes, start: NDArray[np.uint32]) -> dict[str, NDArray[np.generic]]:
    """Arrays of a `GlobSet` but for its automata, and `kind` by pattern; pattern i keeps the id i.

    text, start : encoded patterns end to end, and where each begins, with the end of the last
    O(bytes). Raises ValueError unless `start` shares out the text.
    """
