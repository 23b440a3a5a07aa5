"""The shape of a batch as an audit takes it, whoever made it (a log reader, or a table of
requests), and of what its records came to.

Members are only read, so that frozen classes fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Batch(Protocol):
    """Requests and the records they belong to, as the log readers hand them out.

    group       : the record of each request
    identity    : 0 when the requester carries identity policies (logs.classes.Requester)
    is_complete : False when the call may need actions that are not among its requests
    outcome     : what the record says of its own authorization (logs.classes.Outcome)
    """

    @property
    def requests(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def group(self) -> NDArray[np.int32]: ...
    @property
    def action(self) -> Any: ...
    @property
    def resource(self) -> Any: ...
    @property
    def principal(self) -> Any: ...
    @property
    def context(self) -> Mapping[str, Any]: ...
    @property
    def record_class(self) -> NDArray[np.uint8]: ...
    @property
    def record_reason(self) -> Any: ...
    @property
    def is_complete(self) -> NDArray[np.bool_]: ...
    @property
    def identity(self) -> NDArray[np.uint8]: ...
    @property
    def outcome(self) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class Decided:
    """What the records of a batch came to.

    decision  : uint8 per record, UNDECIDED where it was not decided
    statement : int32 per record, the deciding statement, -1 for none
    row       : int32 per record, the deciding request, -1 for none
    depends_on: for each undetermined record, what would settle it
    layer     : uint8 per record, the layer that decided it (runtime.codes.Layer)
    """

    batch: Batch
    decision: NDArray[np.uint8]
    statement: NDArray[np.int32]
    row: NDArray[np.int32]
    depends_on: Mapping[int, tuple[str, ...]]
    layer: NDArray[np.uint8]
