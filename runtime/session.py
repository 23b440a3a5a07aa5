"""A session: an engine per thread with caches that live across batches, and checks before them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ColumnError, RequestError
from .batch import (
    INSTEAD_ABSENT,
    INSTEAD_DERIVED,
    INSTEAD_UNKNOWN,
    Batch,
    Layout,
    Outputs,
    RowReader,
    collect,
    mask_of,
    of_keys,
    output_of,
)
from .codes import DecisionCode, RowError
from .column import BoundColumn
from .columns import UNKNOWN_ID, Column, TypedColumn, common_length
from .conditions import UNKNOWN
from .decisions import Decision, Decisions, Request
from .dictionaries import KnownDictionaries
from .engine import Engine
from .globs import GlobSet
from .identity import IdentityEngine
from .keys import is_key_named
from .single import Checker, Checks, KeyReader
from .typed import typed_truth
from .values import encode_text, encode_value

if TYPE_CHECKING:
    from .table import Table

CHUNK_ROWS = 1 << 18
"""Rows between two looks at the memory budget."""

SHARES = 8
"""Chunks that each of several threads gets if all are equally fast."""

DEFAULT_BUDGET = 1 << 30
"""Bytes of caches per engine, above which what was learnt from data is dropped and learnt anew."""

_ABSENT = BoundColumn.constant(sys.maxsize, 0)
"""Nothing in every row of any batch. Kernels write to the constants of derived keys alone."""

_MAX_LAYOUTS = 64
"""Sets of column names whose meaning a session remembers."""


class Session(Checks):
    """Decides with caches that stay warm. A context manager, not safe to share between threads.

    budget_bytes : memory of the caches of one engine; a batch may pass it by one chunk
    """

    _asking: tuple[str, ...] = ("principal",)
    """Columns of who asks that are read, whatever keys the policies ask for."""

    def __init__(self, table: Table, *, budget_bytes: int = DEFAULT_BUDGET) -> None:
        self._table = table
        self._asked = frozenset(key.name.lower() for key in table.model.keys)
        self._read = self._asked.union(self._asking)
        self._names = [key.name for key in table.model.keys]
        self._layouts: dict[tuple[tuple[str, ...], tuple[str, ...]], Layout] = {}
        self._budget = budget_bytes
        self._engines: list[Engine] = []
        self._dictionaries: dict[Engine, KnownDictionaries] = {}
        self._one = _OneRow()
        self._derivable: frozenset[int] = frozenset()
        """Numbers of keys whose values follow from who asks, or whose the resource is."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop all caches."""
        self.forget_checks()
        self._dictionaries.clear()
        self._engines.clear()

    def counts(self) -> dict[str, int]:
        """Distinct actions, resources, resource classes and lists seen, summed over threads."""
        total: dict[str, int] = {}
        for engine in self._engines:
            for name, count in engine.counts().items():
                total[name] = total.get(name, 0) + count
        return total

    def _engine(self, number: int) -> Engine:
        while len(self._engines) <= number:
            planner = self._table.planner
            globs = GlobSet(self._table.model.arrays, "resource/")
            self._engines.append(IdentityEngine(planner, globs, planner.facts))
        return self._engines[number]

    # --- columns

    def decide(
        self,
        requests: object = None,
        *,
        principal: object = None,
        action: object = None,
        resource: object = None,
        context: Mapping[str, object] | None = None,
        unknown: Mapping[str, object] | None = None,
        not_given: Mapping[str, object] | None = None,
        missing: str = "absent",
        out: NDArray[np.uint8] | None = None,
        threads: int = 1,
        **asking: object,
    ) -> Decisions:
        """One decision per row; see `Table.decide`."""
        named = {"principal": principal, "action": action, "resource": resource, **asking}
        columns = collect(requests, named, context, self._read)
        n = common_length(columns)
        if missing not in ("absent", "unknown", "error"):
            raise ColumnError(f"`missing` cannot be `{missing}`",
                              help="choose absent, unknown or error")  # fmt: skip
        keys, masks, not_supplied = self._keys(
            columns, of_keys(unknown, "unknown", self._asked), n, missing)
        if unknown or not_given:
            self._leave_out(of_keys(not_given, "not_given", self._asked), keys, masks, n, missing)
        outputs = self._outputs(output_of(out, n), n)
        batch = Batch(columns, keys, masks, n, outputs)
        errors = self._run(batch, threads)
        rows = RowReader(batch, self._names, self._derivable)
        return Decisions(
            self._table, outputs.decision, outputs.statement, outputs.error, errors, not_supplied,
            rows.request, outputs.layer,
        )  # fmt: skip

    def _outputs(self, decision: NDArray[np.uint8], n: int) -> Outputs:
        return Outputs(decision, np.empty(n, dtype=np.int32), np.zeros(n, dtype=np.uint8), None)

    def _keys(
        self,
        columns: dict[str, Column],
        unknown: Mapping[str, object],
        n: int,
        missing: str,
    ) -> tuple[list[Column | None], list[NDArray[np.uint8] | None], tuple[str, ...]]:
        """Column and unknown mask of every key the table asks for, in key order."""
        layout = self._layout(tuple(columns), tuple(unknown))
        chosen = [None if name is None else columns[name] for name, _ in layout.keys]
        if missing == "absent" and not unknown:  # most often
            return chosen, [None] * len(chosen), layout.absent
        masks: list[NDArray[np.uint8] | None] = []
        not_supplied: list[str] = []
        nobody_knows: NDArray[np.uint8] | None = None
        for number, column in enumerate(chosen):
            unknowns = layout.keys[number][1]
            mask = mask_of(unknown, unknowns, n) if unknowns else None
            if column is None and mask is None and number not in self._derivable:
                key = self._table.model.keys[number].name
                not_supplied.append(key)
                if missing == "unknown":
                    if nobody_knows is None:
                        nobody_knows = np.ones(n, dtype=np.uint8)
                    mask = nobody_knows
                elif missing == "error":
                    raise ColumnError(
                        f"the policies ask for key `{key}`, which is not given",
                        column=key,
                        help="give the column, name it in `unknown`, or choose another `missing`",
                    )
            masks.append(mask)
        return chosen, masks, tuple(not_supplied)

    def _leave_out(
        self,
        not_given: Mapping[str, object],
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        n: int,
        missing: str,
    ) -> None:
        """Put into `masks` what stands where nobody gives a key that is given in other rows."""
        for number, key in enumerate(self._table.model.keys):
            mask = masks[number]
            if keys[number] is not None:
                names = [name for name in not_given if is_key_named(key.name, (name,))]
                rows = mask_of(not_given, names, n, "not_given")
                if rows is None:
                    continue
            elif mask is not None:
                rows = np.ones(n, dtype=np.uint8)
            else:
                continue  # given nowhere
            left = rows != 0 if mask is None else (rows != 0) & (mask == 0)
            if not left.any():
                continue
            instead = INSTEAD_DERIVED
            if number not in self._derivable:
                if missing == "error":
                    raise ColumnError(
                        f"the policies ask for key `{key.name}`, which is not given in every row",
                        column=key.name, help="give it, or choose another `missing`")  # fmt: skip
                instead = INSTEAD_UNKNOWN if missing == "unknown" else INSTEAD_ABSENT
            masks[number] = np.where(left, instead, 0 if mask is None else mask).astype(np.uint8)

    def _layout(self, names: tuple[str, ...], unknown: tuple[str, ...]) -> Layout:
        """What these names of columns and unknown keys mean; engines ask again for every batch."""
        layout = self._layouts.get((names, unknown))
        if layout is None:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[names, unknown] = Layout.of(
                names, unknown, self._names, self._derivable)
        return layout

    def _run(self, batch: Batch, threads: int) -> int:
        """Decide all rows; how many have an error. Each thread takes the next chunk when it is done
        with one, since cores are seldom equally fast."""
        threads = max(1, min(threads, batch.n))
        size = CHUNK_ROWS if threads == 1 else min(CHUNK_ROWS, -(-batch.n // (threads * SHARES)))
        chunks = [(start, min(batch.n, start + size)) for start in range(0, batch.n, size or 1)]
        chunks.reverse()
        if threads == 1:
            return self._run_chunks(self._engine(0), batch, chunks)
        engines = [self._engine(number) for number in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda engine: self._run_chunks(engine, batch, chunks), engines))

    def _run_chunks(self, engine: Engine, batch: Batch, chunks: list[tuple[int, int]]) -> int:
        """Decide chunks, taken from the end of the list, until none is left."""
        known = self._dictionaries.get(engine)
        if known is None:
            known = self._dictionaries[engine] = KnownDictionaries(engine, self._budget // 8)
        bound: tuple[Any, ...] | None = None
        errors = 0
        try:
            while chunks:
                try:
                    chunk = chunks.pop()
                except IndexError:  # another thread was faster
                    break
                if engine.used_bytes() > self._budget:
                    engine.clear()
                    bound = None
                if bound is None:
                    bound = self._bind(engine, known, batch)
                errors += self._decide_chunk(engine, bound, batch.outputs, *chunk)
        except BaseException as error:
            chunks.clear()
            known.forget()  # what was being learnt is half there
            if isinstance(error, MemoryError):
                for column in batch.columns.values():
                    column.check()
            raise
        finally:
            known.forget_rows()
        return errors

    def _decide_chunk(
        self, engine: Engine, bound: tuple[Any, ...], outputs: Outputs, start: int, stop: int
    ) -> int:
        assert isinstance(engine, IdentityEngine)
        arguments: tuple[Any, ...] = (
            *bound, outputs.decision, outputs.statement, outputs.error, start, stop
        )  # fmt: skip
        return engine.decide(*arguments)

    def _bind(self, engine: Engine, known: KnownDictionaries, batch: Batch) -> tuple[Any, ...]:
        """The arguments of the engine, as far as they are columns."""
        columns, n = batch.columns, batch.n
        return (
            known.bind("action", columns["action"], n, engine.action_id),
            known.bind("resource", columns["resource"], n, engine.resource_id),
            self._bind_keys(engine, known, batch),
        )

    def _bind_keys(
        self, engine: Engine, known: KnownDictionaries, batch: Batch
    ) -> list[BoundColumn]:
        bound = []
        for number, (column, mask) in enumerate(zip(batch.keys, batch.masks, strict=True)):
            if column is None:
                if mask is None and number not in self._derivable:
                    bound.append(_ABSENT)
                    continue
                is_unknown = mask is not None and bool((mask == INSTEAD_UNKNOWN).all())
                one = BoundColumn.constant(batch.n, UNKNOWN_ID if is_unknown else 0)
                if mask is not None and not is_unknown:
                    one.set_instead(mask)
            else:
                one = self._bind_key(engine, known, number, column, batch.n, mask)
            bound.append(one)
        return bound

    def _bind_key(
        self,
        engine: Engine,
        known: KnownDictionaries,
        number: int,
        column: Column,
        n: int,
        mask: NDArray[np.uint8] | None,
    ) -> BoundColumn:
        planner = self._table.planner
        is_plain = mask is None or int(mask.max(initial=0)) <= INSTEAD_UNKNOWN
        if isinstance(column, TypedColumn) and is_plain:
            tests = planner.tests_of_key(number)
            if tests is not None:
                truths = [typed_truth(planner.predicate_of(t), column) for t in tests]
                arrays = [truth for truth in truths if truth is not None]
                if len(arrays) == len(tests):
                    if mask is not None:
                        for array in arrays:
                            array[mask != 0] = 2
                    return BoundColumn.truth(n, arrays)
        bound = known.bind(number, column, n, lambda data: engine.key_id(number, data))
        if mask is not None:
            bound.set_instead(mask)
        return bound

    # --- one request

    def _check_row(self, request: Request) -> Decision:
        """Decide a request as a column of one row, and say what is wrong with it."""
        engine = self._engine(0)
        if engine.used_bytes() > self._budget:
            engine.clear()
        try:
            action_id = engine.action_id(encode_text(request.action))
            resource_id = UNKNOWN_ID if request.resource is None else (
                engine.resource_id(encode_text(request.resource))
            )
        except (AttributeError, TypeError):
            raise RequestError("action and resource must be text", field="action") from None
        return self._check_one(engine, action_id, resource_id, request)

    def _make_checker(self) -> KeyReader:
        engine = self._engine(0)
        assert isinstance(engine, IdentityEngine)
        return Checker(engine, self._table, Decision, self._budget)

    def _check_one(
        self, engine: Engine, action_id: int, resource_id: int, request: Request
    ) -> Decision:
        assert isinstance(engine, IdentityEngine)
        one = self._one
        one.error[0] = 0
        engine.decide(
            BoundColumn.constant(1, action_id),
            BoundColumn.constant(1, resource_id),
            self._key_constants(engine, request),
            one.decision,
            one.statement,
            one.error,
            0,
            1,
        )
        if one.error[0]:
            raise request_fault(RowError(int(one.error[0])), request)
        return Decision(
            self._table, DecisionCode(int(one.decision[0])), int(one.statement[0]), request,
            None, None,
        )  # fmt: skip

    def _key_constants(self, engine: Engine, request: Request) -> list[BoundColumn]:
        """Every key of the table as a column of one row."""
        keys = self._table.model.keys
        context, names = request.context, request.unknown
        if not keys or not (context or names):
            return [self._one.absent] * len(keys)
        folded = _folded(context) if context else {}
        columns = []
        for number, key in enumerate(keys):
            id = 0
            if names and is_key_named(key.name, names):
                id = UNKNOWN_ID
            elif folded:
                value = context[key.name] if key.name in context else (
                    folded.get(key.name.lower())
                )
                if value is UNKNOWN:
                    id = UNKNOWN_ID
                elif value is not None:
                    data = encode_value(value, key.name)
                    id = 0 if data is None else engine.key_id(number, data)
            columns.append(BoundColumn.constant(1, id))
        return columns


class _OneRow:
    """Outputs of a single check, reused."""

    def __init__(self) -> None:
        self.absent = BoundColumn.constant(1, 0)
        self.decision = np.zeros(1, dtype=np.uint8)
        self.statement = np.zeros(1, dtype=np.int32)
        self.error = np.zeros(1, dtype=np.uint8)
        self.layer = np.zeros(1, dtype=np.uint8)


def request_fault(error: RowError, request: Request) -> RequestError:
    """Why a request of one row got no decision."""
    if error is RowError.ACTION:
        return RequestError(
            f"`{request.action}` is not an action",
            field="action",
            help="write `service:Name`, for example `s3:GetObject`",
        )
    return RequestError(
        f"`{request.resource}` is not a resource",
        field="resource",
        help="give an ARN (`arn:partition:service:region:account:resource`) or `*`",
    )


def _folded(context: Mapping[str, object]) -> dict[str, object]:
    """Context by lower-cased key; of keys that differ only in case the first counts (COND-5)."""
    folded: dict[str, object] = {}
    for name, value in context.items():
        folded.setdefault(name.lower(), value)
    return folded
