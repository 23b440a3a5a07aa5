"""The shape of a batch as an audit takes it, whoever made it: a log reader, or a table of requests.

Members are only read, so that frozen classes fit.
"""

from __future__ import annotations

from collections.abc import Mapping
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
