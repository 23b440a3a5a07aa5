"""pandas: decisions for the rows of a DataFrame.

    frame["decision"] = iamtables.pandas.decide(frame, table, context={"aws:SourceIp": "ip"})
    frame["decision"] = frame.iam.decide(table, context={"aws:SourceIp": "ip"})    # the same

Categorical columns stay dictionaries on the way: a category is looked at once, not once a row.
The accessor `iam` is there once this module is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .engine_columns import NAMES, Decider, Missing, key_names
from .errors import ColumnError
from .extras import engine

if TYPE_CHECKING:
    import pandas as pd

    from .runtime import Table

_pandas = engine("pandas", "pandas")

_PARTS = ("principal", "action", "resource")


def decide(frame: pd.DataFrame, table: Table, *, action: Any = "action", resource: Any = "resource",
           principal: Any = "principal",
           context: Mapping[str, Any] | Sequence[str] | None = None, unknown: Any = None,
           missing: Missing = "absent", unknown_keys: Iterable[str] = ()) -> pd.Series:
    """A categorical Series of the four decisions, with the index of `frame`.

    action, resource, principal : names of columns, or Series, arrays or lists with a value a row
              (by place: an index is not looked at); the columns `resource` and `principal` may be
              missing (unknown, and no principal)
    context : key -> column (its name, or values); or names of columns that are called like their
              keys. None: the columns whose names are keys that the table asks for
    unknown : a column of lists of keys, or `prefix/*`, that are not known in a row
    missing : what a key is that is not given: absent, unknown, error
    unknown_keys : keys, or `prefix/*`, that are unknown in every row

    A null is absent, of the resource: unknown. Raises ColumnError for a column that is not there
    or cannot be read.
    """
    given = dict(zip(_PARTS, (principal, action, resource), strict=True))
    columns = {
        name: _column(frame, value) for name, value in given.items()
        if name == "action" or not (isinstance(value, str) and value == name and
                                    name not in frame.columns)}
    if context is None:
        asked = {key.lower() for key in table.keys}
        context = [name for name in frame.columns
                   if isinstance(name, str) and name.lower() in asked]
    keys = context if isinstance(context, Mapping) else {
        name: name for name in key_names(context, "keys of the context")}
    masks: Any = None
    if unknown is not None:
        import pyarrow as pa

        lists = [key_names(one, "unknown keys of a row") if isinstance(one, Iterable) else None
                 for one in _column(frame, unknown)]
        masks = pa.array(lists, pa.list_(pa.string()))
    decider = Decider(table, missing=missing, unknown=unknown_keys)
    answers = decider.decide(
        principal=columns.get("principal"), action=columns["action"],
        resource=columns.get("resource"),
        context={key: _column(frame, value) for key, value in keys.items()}, unknown=masks)
    codes = answers.decision
    if len(codes) != len(frame):  # nothing but scalars
        codes = codes.repeat(len(frame))
    return _pandas.Series(_pandas.Categorical.from_codes(codes, categories=list(NAMES)),
                          index=frame.index, name="decision")


def _column(frame: Any, given: Any) -> Any:
    """A column by its name, or the values that were given in its place."""
    if not isinstance(given, str):
        return given
    if given not in frame.columns:
        raise ColumnError(f"the frame has no column `{given}`", column=given,
                          help="name a column of the frame, or give the values")
    return frame[given]


@_pandas.api.extensions.register_dataframe_accessor("iam")
class IamAccessor:
    """`frame.iam`: decisions for the rows of a frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def decide(self, table: Table, **columns: Any) -> pd.Series:
        """See `iamtables.pandas.decide`."""
        return decide(self._frame, table, **columns)
