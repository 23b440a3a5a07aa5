"""The decision table: what `compile` returns and `open_table` reads back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtefactError, RequestError
from .artefact import content_hash, read_artefact
from .decisions import Decision, Decisions, Request
from .model import SourceInfo, StatementInfo, TableModel
from .plan import Planner
from .session import DEFAULT_BUDGET, Session
from .single import KeyReader, SharedChecks

if TYPE_CHECKING:
    from .explain import Explanation


class _Statements(Sequence[StatementInfo]):
    """Statements by id, decoded when asked for."""

    def __init__(self, model: TableModel) -> None:
        self._model = model

    def __len__(self) -> int:
        return self._model.statement_count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._model.statement(int(index) % len(self))

    def __iter__(self) -> Iterator[StatementInfo]:
        return (self[i] for i in range(len(self)))


class Table(SharedChecks):
    """Compiled policies. Immutable, safe to share between threads; made by `iamtables.compile`."""

    def __init__(self, model: TableModel) -> None:
        self.model = model
        self._local = threading.local()

    @cached_property
    def planner(self) -> Planner:
        """Answers to what kernels ask once per distinct thing."""
        if self.is_layered:
            from .layered_plan import LayeredPlanner

            return LayeredPlanner(self.model)
        return Planner(self.model)

    @property
    def is_layered(self) -> bool:
        """Does it hold more than identity policies of everyone?"""
        return bool(self.model.frame["kind"] != "identity")

    @property
    def missing_layers(self) -> tuple[str, ...]:
        """Policy types that the snapshot behind the table does not hold at all."""
        return tuple(self.model.frame["missing_layers"])

    @property
    def keys(self) -> tuple[str, ...]:
        """The context keys these policies ask for, each once, as first spelled (COND-4)."""
        first: dict[str, str] = {}
        for key in self.model.keys:
            first.setdefault(key.name.lower(), key.name)
        return tuple(first.values())

    @cached_property
    def statements(self) -> Sequence[StatementInfo]:
        return _Statements(self.model)

    @property
    def sources(self) -> tuple[SourceInfo, ...]:
        return self.model.sources

    def session(self, *, budget_bytes: int = DEFAULT_BUDGET) -> Session:
        """Caches that live across batches: `with table.session() as s: s.decide(...)`.

        budget_bytes : memory of the caches of one engine; a batch may pass it by one chunk
        """
        if self.is_layered:
            from .layered_session import LayeredSession

            return LayeredSession(self, budget_bytes=budget_bytes)
        return Session(self, budget_bytes=budget_bytes)

    def _make_checker(self) -> KeyReader:
        return self._own_session()._make_checker()

    def _check_row(self, request: Request) -> Decision:
        return self._own_session()._check_row(request)

    def _own_session(self) -> Session:
        """The session of the thread that calls."""
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self.session(budget_bytes=64 << 20)
        return session

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
        issuer_arn: object = None,
        principal_account: object = None,
        principal_type: object = None,
        resource_account: object = None,
        is_management_account: object = None,
        also_allowed: object = None,
    ) -> Decisions:
        """Decide columns of requests, one decision byte per row.

        principal, action, resource : a scalar, or a column of n texts; a null resource is unknown
        context  : key -> scalar or column; a null is absent, a list makes the key multivalued
        unknown  : key or `prefix/*` -> True, or bool[n]
        not_given : key or `prefix/*` -> bool[n]: rows that count as if the key had no column
        missing  : what a key is that the policies ask for and nobody gives: absent, unknown, error
        requests : an Arrow table, batch or stream, or a mapping, that holds the columns by name
        out      : uint8[n] to fill instead of a new array
        threads  : chunks of rows decided side by side

        The others are as in `check`, scalars or columns; an Arrow table may hold them by name. A
        null `resource_account` is what the ARN says.

        Columns are numpy arrays, lists, pandas Series, `DictionaryColumn`, or anything with the
        Arrow PyCapsule interface. Raises ColumnError when columns do not fit together.
        """
        with self.session() as session:
            return session.decide(
                requests, principal=principal, action=action, resource=resource, context=context,
                unknown=unknown, not_given=not_given, missing=missing, out=out, threads=threads,
                issuer_arn=issuer_arn, principal_account=principal_account,
                principal_type=principal_type, resource_account=resource_account,
                is_management_account=is_management_account, also_allowed=also_allowed,
            )  # fmt: skip

    def explain(self, decisions: Decisions, row: int) -> Explanation:
        """Why a row of a batch was decided as it was."""
        return decisions.explain(row)

    def explain_request(
        self,
        *,
        action: str,
        resource: str | None,
        principal: str | None = None,
        context: Mapping[str, object] | None = None,
        unknown: Iterable[str] = (),
        issuer_arn: str | None = None,
        principal_account: str | None = None,
        principal_type: str | None = None,
        resource_account: str | None = None,
        is_management_account: bool = False,
        also_allowed: bool = False,
    ) -> Explanation:
        """Why one request is decided as it is; arguments as in `check`."""
        from .explain import explain

        return explain(
            self,
            Request(
                principal, action, resource, context or {}, tuple(unknown), issuer_arn,
                principal_account, principal_type, resource_account, is_management_account,
                also_allowed,
            ),
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as one memory-mappable file."""
        from .save import save_artefact

        save_artefact(self.model, path)

    @cached_property
    def sha256(self) -> str:
        """Content hash: equal for equal policies, options and format."""
        from .save import metadata_of

        return content_hash(dict(self.model.arrays), metadata_of(self.model))

    def describe(self) -> dict[str, Any]:
        """What the table holds: counts, sizes in bytes by part, sources, options, keys; and of
        several layers, who carries them.
        """
        from .describe import describe

        return describe(self)


def open_table(path: str | os.PathLike[str], *, verify: bool = True) -> Table:
    """Open a compiled file, mapped into memory.

    verify : check the hash, every id and every offset (about a gigabyte per second). False opens in
             about a millisecond, for a file that was verified before.
    Raises ArtefactError for a truncated, altered or foreign file.
    """
    arrays, metadata = read_artefact(path, verify)
    try:
        options = json.loads(metadata["options"])
        if not isinstance(options, dict):
            raise TypeError
        return Table(TableModel(arrays, {"options": options, "frame": _frame(metadata["frame"])}))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, RequestError):
        raise ArtefactError(
            "the options or the frame of the table cannot be read", path=str(path), part="options",
            help="compile the policies again",
        ) from None  # fmt: skip


def _frame(text: str) -> dict[str, Any]:
    frame = json.loads(text)
    if frame["kind"] not in ("identity", "layers", "organization"):
        raise ValueError
    if not isinstance(frame["missing_unknown"], bool) or not all(
        isinstance(layer, str) for layer in frame["missing_layers"]
    ):
        raise TypeError
    return dict(frame)
