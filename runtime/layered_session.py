"""Sessions over tables with several layers: who asks and whose the resource is are columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestError
from .batch import ASKING, INSTEAD_DERIVED, Batch, Outputs
from .codes import DecisionCode, Layer, RowError
from .column import BoundColumn
from .columns import UNKNOWN_ID, Column, ScalarColumn
from .conditions import UNKNOWN
from .decisions import Decision, Request
from .dictionaries import KnownDictionaries
from .engine import Engine
from .globs import GlobSet
from .keys import is_key_named
from .layered import LayeredEngine
from .layered_single import LayeredChecker
from .session import DEFAULT_BUDGET, Session, request_fault
from .values import encode_text

if TYPE_CHECKING:
    from .layered_plan import LayeredPlanner
    from .table import Table

_WHO = ("principal", "issuer_arn", "principal_account", "principal_type")
_NULL = ScalarColumn(None, None)


class LayeredSession(Session):
    """Decides over all layers. A context manager, not safe to share between threads."""

    _asking = ASKING

    def __init__(self, table: Table, *, budget_bytes: int = DEFAULT_BUDGET) -> None:
        super().__init__(table, budget_bytes=budget_bytes)
        planner: LayeredPlanner = table.planner  # type: ignore[assignment]
        self._planner = planner
        self._derivable = frozenset(
            (*planner.requester_keys, *planner.resource_keys, *planner.endpoint_keys)
        )

    def _engine(self, number: int) -> Engine:
        while len(self._engines) <= number:
            planner = self._planner
            globs = GlobSet(self._table.model.arrays, "resource/")
            engine = LayeredEngine(planner, globs, planner.facts, planner.layer_facts)
            engine.derive(planner.requester_keys, planner.resource_keys, planner.endpoint_keys)
            self._engines.append(engine)
        return self._engines[number]

    # --- columns

    def _outputs(self, decision: NDArray[np.uint8], n: int) -> Outputs:
        return Outputs(
            decision,
            np.empty(n, dtype=np.int32),
            np.zeros(n, dtype=np.uint8),
            np.empty(n, dtype=np.uint8),
        )

    def _bind(self, engine: Engine, known: KnownDictionaries, batch: Batch) -> tuple[Any, ...]:
        assert isinstance(engine, LayeredEngine)
        is_derived = np.array(
            [
                k in self._derivable and (
                    (batch.keys[k] is None and mask is None)
                    or (mask is not None and bool((mask == INSTEAD_DERIVED).any()))
                )
                for k, mask in enumerate(batch.masks)
            ],
            dtype=np.uint8,
        )
        columns, n = batch.columns, batch.n
        owner = known.bind("resource_account", columns.get("resource_account", _NULL), n,
                           engine.name_id)  # fmt: skip
        rest = [known.bind(name, columns.get(name, _NULL), n, engine.name_id) for name in _WHO[1:]]
        # What else is said of who asks has part in what is learnt of the principal (placed.pyx).
        said = tuple(column.constant_id for column in rest)
        return (
            [known.bind(_WHO[0], columns.get(_WHO[0], _NULL), n, engine.name_id, said), *rest],
            _flags(columns.get("is_management_account"), n),
            known.bind("action", columns["action"], n, engine.action_id),
            # Whose a resource is has part in what is learnt of it (sides.pyx).
            known.bind("resource", columns["resource"], n, engine.resource_id, owner.constant_id),
            owner,
            _flags(columns.get("also_allowed"), n),
            self._bind_keys(engine, known, batch),
            is_derived,
        )

    def _decide_chunk(
        self, engine: Engine, bound: tuple[Any, ...], outputs: Outputs, start: int, stop: int
    ) -> int:
        assert isinstance(engine, LayeredEngine)
        arguments: tuple[Any, ...] = (
            *bound, outputs.decision, outputs.layer, outputs.statement, outputs.error, start, stop
        )  # fmt: skip
        return engine.decide_layers(*arguments)

    # --- one request

    def _make_checker(self) -> LayeredChecker:
        engine = self._engine(0)
        assert isinstance(engine, LayeredEngine)
        return LayeredChecker(
            engine, self._table, Decision, self._deciders, self._derivable, self._budget)

    def _deciders(
        self,
        row: tuple[int, int, tuple[int, ...]] | None,
        asked: tuple[str | None, str, str | None, Mapping[str, object]],
    ) -> tuple[Layer, ...]:
        return self._planner.deciders(row, Request(*asked))

    def _check_one(
        self, engine: Engine, action_id: int, resource_id: int, request: Request
    ) -> Decision:
        assert isinstance(engine, LayeredEngine)
        who = [_name(engine, getattr(request, name), name) for name in _WHO]
        owner = _name(engine, request.resource_account, "resource_account")
        keys, is_derived = self._one_key_each(engine, request)
        one = self._one
        one.error[0] = 0
        engine.decide_layers(
            who,
            np.array([request.is_management_account], dtype=np.uint8),
            BoundColumn.constant(1, action_id),
            BoundColumn.constant(1, resource_id),
            owner,
            np.array([request.also_allowed], dtype=np.uint8),
            keys,
            is_derived,
            one.decision,
            one.layer,
            one.statement,
            one.error,
            0,
            1,
        )
        if one.error[0] == RowError.PRINCIPAL:
            raise self._principal_fault(request)
        if one.error[0]:
            raise request_fault(RowError(int(one.error[0])), request)
        return Decision(
            self._table, DecisionCode(int(one.decision[0])), int(one.statement[0]), request,
            Layer(int(one.layer[0])), partial(self._planner.deciders, engine.last_row(), request),
        )  # fmt: skip

    def _one_key_each(
        self, engine: Engine, request: Request
    ) -> tuple[list[BoundColumn], NDArray[np.uint8]]:
        keys = self._key_constants(engine, request)
        is_derived = np.zeros(len(keys), dtype=np.uint8)
        given = {name.lower() for name in request.context}
        for number in self._derivable:
            name = self._names[number].lower()
            if name not in given and not is_key_named(name, request.unknown):
                is_derived[number] = 1
                keys[number] = BoundColumn.constant(1, 0)
        return keys, is_derived

    def _principal_fault(self, request: Request) -> RequestError:
        if request.principal is None:
            return RequestError(
                "who asks is not given", field="principal",
                help="with more than identity policies in play, name the principal",
            )  # fmt: skip
        try:
            self._planner.requester_side(
                request.principal, request.issuer_arn, request.principal_account,
                request.principal_type, request.is_management_account,
            )  # fmt: skip
        except RequestError as error:
            return error
        return RequestError(f"`{request.principal}` cannot ask", field="principal")


def _name(engine: LayeredEngine, text: object, field: str) -> BoundColumn:
    if text is None:
        return BoundColumn.constant(1, 0)
    if text is UNKNOWN:
        return BoundColumn.constant(1, UNKNOWN_ID)
    if not isinstance(text, str):
        raise RequestError(f"`{field}` must be text", field=field)
    return BoundColumn.constant(1, engine.name_id(encode_text(text)))


def _flags(column: Column | None, n: int) -> NDArray[np.uint8] | None:
    """uint8[n] of a column of booleans; None when no row is set. Nulls are not set."""
    if column is None:
        return None
    if column.length is None:
        return np.ones(n, dtype=np.uint8) if column.value(0) is True else None
    return np.array([column.value(row) is True for row in range(n)], dtype=np.uint8)
