"""Polars: decisions as an expression, in eager, lazy and streaming queries.

    frame.lazy().with_columns(
        decision=iamtables.polars.decide(table, action="action", resource="resource",
                                         context={"aws:SourceIp": pl.col("ip")}))

The expression is elementwise: the streaming engine and the optimizer may cut the rows as they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .engine_columns import NAMES, Decider, Missing, one_array
from .extras import engine
from .polars_categories import GrowingDictionary

if TYPE_CHECKING:
    import polars as pl

    from .runtime import Table


def decide(table: Table, *, action: str | pl.Expr, resource: str | pl.Expr | None = None,
           principal: str | pl.Expr | None = None,
           context: Mapping[str, str | pl.Expr] | str | pl.Expr | None = None,
           unknown: str | pl.Expr | None = None, missing: Missing = "absent",
           unknown_keys: Iterable[str] = ()) -> pl.Expr:
    """An expression of the four decisions, `pl.Enum`.

    action, resource, principal : names of columns, or expressions of text or categories; no
              resource: it is unknown
    context : key -> column, or one column of structs with a field for each key. A null is absent
    unknown : a column of lists of keys, or `prefix/*`, that are not known in a row
    missing : what a key is that the query does not give: absent, unknown, error
    unknown_keys : keys, or `prefix/*`, that are unknown in every row

    Raises MissingExtraError when Polars is not installed. The query raises ColumnError for columns
    that cannot be read.
    """
    polars = engine("polars", "Polars")
    named: list[tuple[str, Any]] = [("action", action)]
    named += [(name, part) for name, part in (
        ("resource", resource), ("principal", principal), ("unknown", unknown)) if part is not None]
    keys: list[str] | None = None
    if isinstance(context, Mapping):
        keys = list(context)
        named += [(f"context {key}", part) for key, part in context.items()]
    elif context is not None:
        named.append(("context", context))
    decider = Decider(table, missing=missing, unknown=unknown_keys)
    decisions = polars.Enum(list(NAMES))
    dictionaries = {field: GrowingDictionary() for field, _ in named}

    def readable(field: str, column: pl.Series) -> Any:
        """The column, with the dictionary of this query if it is of categories."""
        if isinstance(column.dtype, polars.Categorical | polars.Enum):
            return dictionaries[field].encode(column)
        return column

    def decide_rows(rows: pl.Series) -> pl.Series:
        fields = rows.struct.unnest()  # at once: a query of its own for each takes 0.1 ms
        columns = {field: readable(field, fields[field]) for field, _ in named}
        given: Any = columns.get("context")
        if keys is not None:
            given = {key: columns[f"context {key}"] for key in keys}
        elif given is not None:
            given = one_array(given)
        masks = columns.get("unknown")
        answers = decider.decide(
            principal=columns.get("principal"), action=columns["action"],
            resource=columns.get("resource"), context=given,
            unknown=None if masks is None else one_array(masks))
        return polars.Series(rows.name, answers.decision).cat.to(decisions)

    struct = polars.struct(**{field: polars.col(part) if isinstance(part, str) else part
                              for field, part in named})
    return struct.map_batches(decide_rows, return_dtype=decisions, is_elementwise=True).alias(
        "decision")
