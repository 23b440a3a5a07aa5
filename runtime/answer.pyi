"""What a check of one request returns, made without a call of Python."""

from collections.abc import Callable, Mapping

from .codes import DecisionCode, Layer
from .decisions import Request
from .table import Table

class Answer:
    """Decision and layer of one request, and what an explanation needs.

    decision : DecisionCode
    layer    : the layer that decided: the one that denies or grants, or whose Allow is missing;
               NONE while undetermined

    The request is kept as it was asked, and made a `Request` when an explanation needs it.
    """

    @property
    def decision(self) -> DecisionCode: ...
    @property
    def layer(self) -> Layer: ...
    @property
    def _table(self) -> Table: ...
    @property
    def _request(
        self,
    ) -> Request | tuple[str | None, str, str | None, Mapping[str, object]]: ...
    @property
    def _deciders(self) -> Callable[[], tuple[Layer, ...]] | None: ...
    @property
    def _statement(self) -> int: ...
    def __init__(
        self,
        table: Table,
        decision: DecisionCode,
        statement: int,
        request: Request | tuple[str | None, str, str | None, Mapping[str, object]],
        layer: Layer | None,
        deciders: Callable[[], tuple[Layer, ...]] | None,
    ) -> None:
        """statement : its number, -1 for none
        layer     : None for the identity layer
        request   : a Request, or its first fields
        deciders  : gives the layers that decided, when asked; None where `layer` is the only one
        """
