"""A session: an engine per thread with caches that live across batches, and checks before them."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ColumnError, RequestError
from .codes import DecisionCode, RowError
from .column import BoundColumn
from .columns import (
    NULL,
    UNKNOWN_ID,
    Column,
    TypedColumn,
    UnreadColumn,
    common_length,
    make_column,
    row_mask,
    table_columns,
)
from .conditions import UNKNOWN
from .decisions import Decision, Decisions, Request
from .dictionaries import KnownDictionaries
from .engine import Engine
from .globs import GlobSet
from .identity import IdentityEngine
from .single import Checker
from .typed import typed_truth
from .values import encode_text, encode_value

if TYPE_CHECKING:
    from .layered_single import LayeredChecker
    from .table import Table

CHUNK_ROWS = 1 << 18
"""Rows between two looks at the memory budget."""

DEFAULT_BUDGET = 1 << 30
"""Bytes of caches per engine, above which what was learnt from data is dropped and learnt anew."""

ASKING = (
    "principal", "issuer_arn", "principal_account", "principal_type", "resource_account",
    "is_management_account", "also_allowed",
)  # fmt: skip
"""Columns that say who asks and whose the resource is."""

_NOT_KEYS = frozenset({*ASKING, "action", "resource"})

INSTEAD_NOTHING, INSTEAD_UNKNOWN, INSTEAD_ABSENT, INSTEAD_DERIVED = range(4)
"""What stands in a row instead of a column's value (runtime/column.pxd)."""

_ABSENT = BoundColumn.constant(sys.maxsize, 0)
"""Nothing in every row of any batch. Kernels write to the constants of derived keys alone."""

_MAX_LAYOUTS = 64
"""Sets of column names whose meaning a session remembers."""


class Session:
    """Decides with caches that stay warm. A context manager, not safe to share between threads.

    budget_bytes : memory of the caches of one engine; a batch may pass it by one chunk
    """

    _asking: tuple[str, ...] = ("principal",)
    """Columns of who asks that are read, whatever keys the policies ask for."""

    def __init__(self, table: Table, *, budget_bytes: int = DEFAULT_BUDGET) -> None:
        self._table = table
        self._asked = frozenset(key.name.lower() for key in table.model.keys)
        self._read = self._asked.union(self._asking)
        self._layouts: dict[tuple[tuple[str, ...], tuple[str, ...]], Layout] = {}
        self._budget = budget_bytes
        self._engines: list[Engine] = []
        self._dictionaries: dict[Engine, KnownDictionaries] = {}
        self._checker: Checker | LayeredChecker | None = None
        self._one = _OneRow()
        self._derivable: frozenset[int] = frozenset()
        """Numbers of keys whose values follow from who asks, or whose the resource is."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop all caches."""
        self._checker = None
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
            columns, _of_keys(unknown, "unknown", self._asked), n, missing)
        if unknown or not_given:
            self._leave_out(_of_keys(not_given, "not_given", self._asked), keys, masks, n, missing)
        outputs = self._outputs(_output(out, n), n)

        def run(number: int, start: int, stop: int) -> int:
            return self._run(self._engine(number), columns, keys, masks, n, outputs, start, stop)

        shares = _shares(n, threads)
        if len(shares) == 1:
            errors = run(0, *shares[0])
        else:
            numbers = range(len(shares))
            for number in numbers:
                self._engine(number)
            with ThreadPoolExecutor(len(shares)) as pool:
                errors = sum(pool.map(run, numbers, *zip(*shares, strict=True)))
        request = _RowReader(self._table, columns, keys, masks, self._derivable)
        return Decisions(
            self._table, outputs.decision, outputs.statement, outputs.error, errors, not_supplied,
            request.request, outputs.layer,
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
            mask = _mask_of(unknown, unknowns, n) if unknowns else None
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
                names = [name for name in not_given if _is_unknown((name,), key.name)]
                rows = _mask_of(not_given, names, n, "not_given")
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
                names, unknown, [key.name for key in self._table.model.keys], self._derivable)
        return layout

    def _run(
        self,
        engine: Engine,
        columns: dict[str, Column],
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        n: int,
        outputs: Outputs,
        start: int,
        stop: int,
    ) -> int:
        known = self._dictionaries.get(engine)
        if known is None:
            known = self._dictionaries[engine] = KnownDictionaries(engine, self._budget // 8)
        try:
            return self._run_chunks(engine, known, columns, keys, masks, n, outputs, start, stop)
        except BaseException:
            known.forget()  # what was being learnt is half there
            raise
        finally:
            known.forget_rows()

    def _run_chunks(
        self,
        engine: Engine,
        known: KnownDictionaries,
        columns: dict[str, Column],
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        n: int,
        outputs: Outputs,
        start: int,
        stop: int,
    ) -> int:
        bound: tuple[Any, ...] | None = None
        errors = 0
        while start < stop:
            if engine.used_bytes() > self._budget:
                engine.clear()
                bound = None
            if bound is None:
                bound = self._bind(engine, known, columns, keys, masks, n)
            end = min(stop, start + CHUNK_ROWS)
            try:
                errors += self._decide_chunk(engine, bound, outputs, start, end)
            except MemoryError:
                for column in columns.values():
                    column.check()
                raise
            start = end
        return errors

    def _decide_chunk(
        self, engine: Engine, bound: tuple[Any, ...], outputs: Outputs, start: int, stop: int
    ) -> int:
        assert isinstance(engine, IdentityEngine)
        arguments: tuple[Any, ...] = (
            *bound, outputs.decision, outputs.statement, outputs.error, start, stop
        )  # fmt: skip
        return engine.decide(*arguments)

    def _bind(
        self,
        engine: Engine,
        known: KnownDictionaries,
        columns: dict[str, Column],
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        n: int,
    ) -> tuple[Any, ...]:
        """The arguments of the engine, as far as they are columns."""
        return (
            known.bind("action", columns["action"], n, engine.action_id),
            known.bind("resource", columns["resource"], n, engine.resource_id),
            self._bind_keys(engine, known, keys, masks, n),
        )

    def _bind_keys(
        self,
        engine: Engine,
        known: KnownDictionaries,
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        n: int,
    ) -> list[BoundColumn]:
        bound = []
        for number, (column, mask) in enumerate(zip(keys, masks, strict=True)):
            if column is None:
                if mask is None and number not in self._derivable:
                    bound.append(_ABSENT)
                    continue
                is_unknown = mask is not None and bool((mask == INSTEAD_UNKNOWN).all())
                one = BoundColumn.constant(n, UNKNOWN_ID if is_unknown else 0)
                if mask is not None and not is_unknown:
                    one.set_instead(mask)
            else:
                one = self._bind_key(engine, known, number, column, n, mask)
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

    def check(
        self,
        *,
        action: str,
        resource: str | None,
        principal: str | None = None,
        context: Mapping[str, object] | None = None,
        unknown: Iterable[str] = (),
        **asking: Any,
    ) -> Decision:
        """Decide one request; see `Table.check`."""
        if not asking and not unknown:
            decided = self.checker.check(principal, action, resource, context)
            if decided is not None:
                return decided
        engine = self._engine(0)
        if engine.used_bytes() > self._budget:
            engine.clear()
        request = Request(principal, action, resource, context or {}, tuple(unknown), **asking)
        try:
            action_id = engine.action_id(encode_text(action))
            resource_id = UNKNOWN_ID if resource is None else (
                engine.resource_id(encode_text(resource))
            )
        except (AttributeError, TypeError):
            raise RequestError("action and resource must be text", field="action") from None
        return self._check_one(engine, action_id, resource_id, request)

    @property
    def checker(self) -> Checker | LayeredChecker:
        """Answers the usual question, of one row and without an array."""
        if self._checker is None:
            self._checker = self._make_checker()
        return self._checker

    def _make_checker(self) -> Checker | LayeredChecker:
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
            if names and _is_unknown(names, key.name):
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


class Layout(NamedTuple):
    """What the columns of a batch are to a table, by their names alone.

    keys   : for each key of the table its column, or None, and the names that make it unknown
    absent : keys that no column gives, and that follow from none
    """

    keys: tuple[tuple[str | None, tuple[str, ...]], ...]
    absent: tuple[str, ...]

    @classmethod
    def of(
        cls, names: Iterable[str], unknown: Sequence[str], keys: Sequence[str],
        derivable: Container[int],
    ) -> Layout:
        """Raises ColumnError for a key that two columns give."""
        lowered: dict[str, str] = {}
        twice: dict[str, list[str]] = {}
        for name in names:
            if name not in _NOT_KEYS:
                first = lowered.setdefault(name.lower(), name)
                if first is not name:
                    twice.setdefault(first, [first]).append(name)
        for first, spellings in twice.items():
            given = ", ".join(f"`{name}`" for name in spellings)
            raise ColumnError(
                f"key `{first}` is given twice: {given}",
                column=first,
                help="keys compare without case (COND-4); give one column",
            )
        found = [lowered.get(key.lower()) for key in keys]
        return cls(
            tuple((column, tuple(one for one in unknown if _is_unknown((one,), key)))
                  for column, key in zip(found, keys, strict=True)),
            tuple(key for number, key in enumerate(keys)
                  if found[number] is None and number not in derivable))


class Outputs(NamedTuple):
    """Arrays that a batch fills: uint8[n], int32[n], uint8[n], and uint8[n] or None."""

    decision: NDArray[np.uint8]
    statement: NDArray[np.int32]
    error: NDArray[np.uint8]
    layer: NDArray[np.uint8] | None


class _OneRow:
    """Outputs of a single check, reused."""

    def __init__(self) -> None:
        self.absent = BoundColumn.constant(1, 0)
        self.decision = np.zeros(1, dtype=np.uint8)
        self.statement = np.zeros(1, dtype=np.int32)
        self.error = np.zeros(1, dtype=np.uint8)
        self.layer = np.zeros(1, dtype=np.uint8)


class _RowReader:
    """The request of one row again, for explanations."""

    def __init__(
        self,
        table: Table,
        columns: dict[str, Column],
        keys: list[Column | None],
        masks: list[NDArray[np.uint8] | None],
        derivable: Container[int],
    ) -> None:
        self._table = table
        self._columns = columns
        self._keys = keys
        self._masks = masks
        self._derivable = derivable

    def request(self, row: int) -> Request:
        def value_of(name: str) -> object:
            column = self._columns.get(name)
            return None if column is None or isinstance(column, UnreadColumn) else column.value(row)

        def text(name: str) -> str | None:
            value = value_of(name)
            if value is UNKNOWN and name == "resource_account":
                return ""  # not known, and not assumed either
            return value if isinstance(value, str) else None

        def is_set(name: str) -> bool:
            return value_of(name) is True

        context: dict[str, object] = {}
        unknown = []
        for number, key in enumerate(self._table.model.keys):
            column, mask = self._keys[number], self._masks[number]
            value = None if column is None else column.value(row)
            instead = INSTEAD_NOTHING if mask is None else mask[row]
            if instead not in (INSTEAD_NOTHING, INSTEAD_UNKNOWN):
                continue
            if value is UNKNOWN or instead == INSTEAD_UNKNOWN:
                unknown.append(key.name)
            elif value is not None or (column is not None and number in self._derivable):
                context[key.name] = value  # a null is given: nothing is derived in its place
        return Request(
            text("principal"), text("action") or "", text("resource"), context, tuple(unknown),
            text("issuer_arn"), text("principal_account"), text("principal_type"),
            text("resource_account"), is_set("is_management_account"), is_set("also_allowed"),
        )  # fmt: skip


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


def _is_unknown(names: Iterable[str], key: str) -> bool:
    lowered = key.lower()
    return any(
        lowered.startswith(name[:-1].lower()) if name.endswith("*") else lowered == name.lower()
        for name in names
    )


def _mask_of(
    rows: Mapping[str, object], names: Iterable[str], n: int, parameter: str = "unknown"
) -> NDArray[np.uint8] | None:
    """uint8[n]: the rows that one of these names; None when there are none."""
    given = [m for name in names if (m := row_mask(rows[name], n, name, parameter)) is not None]
    if not given:
        return None
    return np.bitwise_or.reduce(given) if len(given) > 1 else given[0]


def collect(
    requests: object,
    named: Mapping[str, object],
    context: Mapping[str, object] | None,
    asked: frozenset[str],
) -> dict[str, Column]:
    """Columns by name. What `asked` (lower case) does not name is not read, only counted."""
    pairs = [] if requests is None else table_columns(requests)
    pairs += [(name, value) for name, value in named.items() if value is not None]
    if context is not None and not isinstance(context, Mapping):
        raise ColumnError("`context` is no mapping of keys to columns",
                          help="give a dict: key -> column")  # fmt: skip
    pairs += (context or {}).items()
    given: dict[str, object] = {}
    for name, value in pairs:
        if name in given:
            raise ColumnError(f"column `{name}` is given twice", column=name)
        given[name] = value
    if "action" not in given:
        raise ColumnError("there is no column `action`", column="action",
                          help="give `action`, and `resource` unless it is unknown")  # fmt: skip
    columns = {
        name: make_column(value, name)
        if name in ("action", "resource") or name.lower() in asked
        else UnreadColumn(value)
        for name, value in given.items()
    }
    for name in ("principal", "resource"):
        columns.setdefault(name, NULL)
    return columns


def _of_keys(
    rows: Mapping[str, object] | None, parameter: str, asked: frozenset[str]
) -> Mapping[str, object]:
    if rows is not None and not isinstance(rows, Mapping):
        raise ColumnError(f"`{parameter}` is no mapping of keys to True or bool[n]",
                          help="give a dict: key -> True")  # fmt: skip
    for name in rows or {}:
        if name in _NOT_KEYS and name not in asked:
            raise ColumnError(
                f"`{parameter}` names `{name}`, which is no context key", column=name,
                help="a null in the column `resource` is an unknown resource",
            )  # fmt: skip
    return rows or {}


def _output(out: NDArray[np.uint8] | None, n: int) -> NDArray[np.uint8]:
    if out is None:
        return np.zeros(n, dtype=np.uint8)
    fits = isinstance(out, np.ndarray) and out.dtype == np.uint8 and out.shape == (n,)
    if not fits or not out.flags.c_contiguous:
        raise ColumnError(f"`out` is not a contiguous uint8[{n}]", column="out")
    if not out.flags.writeable:
        raise ColumnError("`out` is read-only", column="out")
    return out


def _shares(n: int, threads: int) -> list[tuple[int, int]]:
    """Rows of each thread, from and to; one share of nothing where there are none."""
    if threads <= 1 or n <= 1:
        return [(0, n)]
    step = -(-n // threads)
    return [(start, min(n, start + step)) for start in range(0, n, step)]


