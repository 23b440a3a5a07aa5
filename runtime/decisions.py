"""What a check and a batch return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .answer import Answer
from .codes import DecisionCode, Layer, RowError
from .model import StatementInfo

if TYPE_CHECKING:
    from .explain import Explanation
    from .table import Table


@dataclass(frozen=True, slots=True)
class Request:
    """One question. `resource` None is an unknown resource; `unknown` names keys or `prefix/*`.

    The fields from `issuer_arn` on are read where more than identity policies are in play. An empty
    `resource_account` is one that is not known; None is what the ARN says, else the requester's
    (EVAL-3).
    """

    principal: str | None
    action: str
    resource: str | None
    context: Mapping[str, object]
    unknown: tuple[str, ...] = ()
    issuer_arn: str | None = None
    principal_account: str | None = None
    principal_type: str | None = None
    resource_account: str | None = None
    is_management_account: bool = False
    also_allowed: bool = False


class Decision(Answer):
    """Answer to one request.

    decision : DecisionCode
    layer    : the layer that decided: the one that denies or grants, or whose Allow is missing;
               NONE while undetermined
    """

    __slots__ = ()

    @property
    def is_allowed(self) -> bool:
        return self.decision == DecisionCode.ALLOW

    @property
    def deciders(self) -> tuple[Layer, ...]:
        """All layers that decided, in the order of EVAL-1; none while undetermined."""
        if self._deciders is not None:
            return self._deciders()
        return () if self.layer is Layer.NONE else (self.layer,)

    @property
    def statement(self) -> StatementInfo | None:
        """A statement that decides: a certain Deny, else a certain Allow; for UNDETERMINED one that
        could settle it; None for an implicit denial."""
        return None if self._statement < 0 else self._table.statements[self._statement]

    @property
    def reason(self) -> tuple[str, ...]:
        """What would settle an UNDETERMINED decision: key names, `resource`, `statement`."""
        if self.decision != DecisionCode.UNDETERMINED:
            return ()
        return self.explain().reason

    def explain(self) -> Explanation:
        """Why: every statement that matters, and why the near misses missed."""
        from .explain import explain

        request = self._request
        return explain(self._table, request if isinstance(request, Request) else Request(*request))

    def __repr__(self) -> str:
        by = f" by {self.statement}" if self._statement >= 0 else ""
        return f"<Decision {self.decision.name}{by}>"


class Decisions:
    """Answers of a batch.

    decision  : uint8[n]   codes of `DecisionCode`
    statement : int32[n]   deciding statement id, -1 for none
    layer     : uint8[n]   codes of `Layer`: the layer that decided
    error     : uint8[n]   codes of `RowError`; a row with an error is UNDETERMINED
    """

    def __init__(
        self,
        table: Table,
        decision: NDArray[np.uint8],
        statement: NDArray[np.int32],
        error: NDArray[np.uint8],
        error_count: int,
        not_supplied: tuple[str, ...],
        request: Callable[[int], Request],
        layer: NDArray[np.uint8] | None = None,
    ) -> None:
        self._table = table
        self.decision = decision
        self.statement = statement
        self.error = error
        self.error_count = error_count
        self.not_supplied = not_supplied
        self._request = request
        self._layer = layer

    def __len__(self) -> int:
        return len(self.decision)

    @property
    def layer(self) -> NDArray[np.uint8]:
        """uint8[n]: the layer that decided each row; NONE while undetermined."""
        if self._layer is None:  # identity policies alone
            self._layer = np.full(len(self), int(Layer.IDENTITY), dtype=np.uint8)
            self._layer[self.decision == DecisionCode.UNDETERMINED] = int(Layer.NONE)
        return self._layer

    def request(self, row: int) -> Request:
        """The request of a row, as the table saw it."""
        return self._request(row)

    def explain(self, row: int) -> Explanation:
        from .explain import explain

        return explain(self._table, self._request(row))

    def reason(self, row: int) -> tuple[str, ...]:
        """What would settle an UNDETERMINED row: key names, `resource`, `statement`."""
        if self.error[row] == RowError.PRINCIPAL:
            return ("principal",)
        if self.decision[row] != DecisionCode.UNDETERMINED or self.error[row]:
            return ()
        return self.explain(row).reason

    def counts(self) -> dict[str, int]:
        """Rows by decision, and `errors` apart."""
        valid = self.decision[self.error == 0] if self.error_count else self.decision
        by_code = np.bincount(valid, minlength=len(DecisionCode)).tolist()
        counts = {code.name: by_code[code] for code in DecisionCode}
        counts["errors"] = self.error_count
        return counts

    def to_arrow(self) -> Any:
        """pyarrow.Table with `decision` (dictionary of names), `statement`, `layer`, `error`."""
        import pyarrow as pa

        names = pa.array([code.name for code in DecisionCode])
        statement = pa.array(self.statement, mask=self.statement < 0)
        return pa.table(
            {
                "decision": pa.DictionaryArray.from_arrays(
                    pa.array(self.decision.astype(np.int8)), names
                ),
                "statement": statement,
                "layer": pa.array(self.layer),
                "error": pa.array(self.error),
            }
        )

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)
