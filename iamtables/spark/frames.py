"""Requests that Spark already has: decided where they are.

    iamtables.spark.decide(frame, "org.iamt", context={"aws:SourceIp": "ip"})

`Decide` is the function behind it, for `DataFrame.mapInArrow` or `applyInArrow` calls of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine_columns import Decider, Missing, key_names, named_decisions
from ..errors import ColumnError
from ..extras import engine
from ..labels import statement_label
from ..runtime import open_table
from .artefact import Artefact

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

ADDED = ("decision", "statement")


class Decide:
    """A function for `mapInArrow`: batches in, the same with `decision` and `statement` out.

    The statement is `policy:Sid`, null where none decides.
    """

    def __init__(self, artefact: Artefact, *, action: str = "action",
                 resource: str | None = "resource", principal: str | None = None,
                 context: Mapping[str, str] | str | None = None, unknown: str | None = None,
                 missing: Missing = "absent", unknown_keys: Iterable[str] = ()) -> None:
        """action, resource, principal : names of columns; no resource: it is unknown
        context : key -> name of its column, or the name of a column of structs or maps
        unknown : a column of lists of keys, or `prefix/*`, that are not known in a row
        missing : what a key is that is not given: absent, unknown, error
        unknown_keys : keys, or `prefix/*`, that are unknown in every row
        """
        self._artefact = artefact
        self._parts = {"action": action, "resource": resource, "principal": principal}
        self._context = dict(context) if isinstance(context, Mapping) else context
        self._unknown = unknown
        self._missing = missing
        self._unknown_keys = key_names(unknown_keys, "unknown keys")

    def names(self) -> list[str]:
        """The columns that are read."""
        named = [name for name in (*self._parts.values(), self._unknown) if name is not None]
        if isinstance(self._context, dict):
            return [*named, *self._context.values()]
        return named if self._context is None else [*named, self._context]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        table = self._artefact.table()
        decider = Decider(table, missing=self._missing, unknown=self._unknown_keys)
        labels = pa.array([statement_label(one) for one in table.statements], pa.string())
        for batch in batches:
            def column(name: str | None, batch: Any = batch) -> Any:
                return None if name is None else batch.column(name)

            context: Any = column(self._context) if not isinstance(self._context, dict) else {
                key: batch.column(name) for key, name in self._context.items()}
            answers = decider.decide(**{part: column(name) for part, name in self._parts.items()},
                                     context=context, unknown=column(self._unknown))
            by = np.asarray(answers.statement)
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, named_decisions(answers).cast(pa.string()),
                 labels.take(pa.array(by, mask=by < 0))],
                names=[*batch.schema.names, *ADDED])


def decide(frame: DataFrame, artefact: str | Path, *, action: str = "action",
           resource: str | None = "resource", principal: str | None = None,
           context: Mapping[str, str] | str | None = None, unknown: str | None = None,
           missing: Missing = "absent", unknown_keys: Iterable[str] = (),
           is_shared: bool = False) -> DataFrame:
    """The frame with two more columns, `decision` and `statement`.

    artefact : a compiled table; it is shipped with the job, unless `is_shared` says that its path
               is the same on every worker
    The rest is as in `Decide`. Raises ColumnError for a column that the frame does not have, or
    that would be written over.
    """
    engine("pyspark", "PySpark")
    from pyspark.sql.types import StringType, StructType

    from .jobs import shipped

    function = Decide(
        shipped(frame.sparkSession, artefact, open_table(artefact), is_shared=is_shared),
        action=action, resource=resource, principal=principal, context=context, unknown=unknown,
        missing=missing, unknown_keys=unknown_keys)
    for name in function.names():
        if name not in frame.columns:
            raise ColumnError(f"the frame has no column `{name}`", column=name,
                              help="name a column of the frame")
    for name in ADDED:
        if name in frame.columns:
            raise ColumnError(f"the frame has a column `{name}`", column=name,
                              help="rename it; the answer is written to it")
    schema = StructType(list(frame.schema.fields))
    for name in ADDED:
        schema = schema.add(name, StringType())
    return frame.mapInArrow(function, schema)
