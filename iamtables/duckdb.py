"""DuckDB: `iam_decide` as a vectorised SQL function.

    iamtables.duckdb.register(connection, table)
    connection.sql('''
        SELECT principal, iam_decide(principal, action, resource, {'aws:SourceIp': ip}) AS decision
        FROM calls WHERE decision <> 'ALLOW' ''')

    iam_decide(principal, action, resource [, context [, unknown]])
        context : a struct (`{'aws:SourceIp': ip}`) or a map (`MAP {'aws:SourceIp': ip}`); with
                  `register(..., context=[...])` one argument for each named key instead
        unknown : a list of keys, or `prefix/*`, that are not known in this row

The value is an ENUM of the four decisions. A null is absent, of the resource: unknown. DuckDB hands
over 2,048 rows at a time; what was learnt from them stays until the connection is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .engine_columns import (
    NAMES,
    Decider,
    Missing,
    context_names,
    key_names,
    named_decisions,
)
from .errors import ColumnError
from .extras import engine

if TYPE_CHECKING:
    import duckdb

    from .runtime import Table

_FIXED = 3
"""Arguments before the context."""


def register(connection: duckdb.DuckDBPyConnection, table: Table, *, name: str = "iam_decide",
             context: Sequence[str] | None = None, missing: Missing = "absent",
             unknown: Iterable[str] = ()) -> None:
    """Give SQL on this connection the function `name`, which decides under `table`.

    context : keys whose values are arguments of their own, in this order; None: one argument, a
              struct or a map
    missing : what a key is that the query does not give: absent, unknown, error
    unknown : keys, or `prefix/*`, that are unknown in every row

    A function of that name that was registered before is replaced; one of DuckDB's own stays, and
    goes first. Raises MissingExtraError when DuckDB is not installed, ColumnError for keys that
    cannot be. In a query, columns that cannot be read raise duckdb.Error with the
    text of the ColumnError.
    """
    duck = engine("duckdb", "DuckDB")
    function = _Function(Decider(table, missing=missing, unknown=unknown), name,
                         None if context is None else context_names(
                             key_names(context, "keys of the context")))

    def iam_decide(*arguments: Any) -> Any:  # DuckDB looks at the signature
        return function(arguments)

    with suppress(duck.InvalidInputException):  # there was none
        connection.remove_function(name)
    decisions = ", ".join(f"'{decision}'" for decision in NAMES)
    connection.create_function(name, iam_decide, None, f"ENUM({decisions})", type="arrow",
                               null_handling="special")


class _Function:
    """Arguments of a call, sorted by what they are."""

    def __init__(self, decider: Decider, name: str, keys: tuple[str, ...] | None) -> None:
        self._decider = decider
        self._name = name
        self._keys = keys
        self._most = _FIXED + (1 if keys is None else len(keys)) + 1
        self._least = _FIXED if keys is None else self._most - 1

    def __call__(self, arguments: Sequence[Any]) -> Any:
        if not self._least <= len(arguments) <= self._most:
            form = "[, context [, unknown]]" if self._keys is None else "".join(
                f", <{key}>" for key in self._keys) + " [, unknown]"
            raise ColumnError(f"`{self._name}` got {len(arguments)} arguments",
                              help=f"call {self._name}(principal, action, resource{form})")
        principal, action, resource = arguments[:_FIXED]
        unknown = arguments[-1] if len(arguments) == self._most else None
        context: Any = arguments[_FIXED] if len(arguments) > _FIXED else None
        if self._keys is not None:
            context = dict(zip(self._keys, arguments[_FIXED:], strict=False))
        return named_decisions(self._decider.decide(
            principal=principal, action=action, resource=resource, context=context,
            unknown=unknown))
