"""Records of a log that are counted alike, of which one stands for all.

Records of one kind differ in nothing that is counted but their principals and times. There are few
kinds, so that all that is counted of a batch is counted of these (`Counts.add`, as for a batch of a
cache), and of the pairs of a kind and a principal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .alike import Alike
from .logs.batch import Batch
from .logs.columns import packed
from .logs.numbering import number_keys
from .repeats import Repeats

if TYPE_CHECKING:
    from .audit import BatchResults, Reasons

_NO_ROW = -4
"""Code of an action and a principal of a record without a deciding request; no other code is."""


def by_kind(results: BatchResults, batch: Batch, reasons: Reasons) -> Alike:
    """Group the records of a batch, of which there is at least one, by what is counted of them.

    reasons : what the undetermined ones depend on
    """
    row = results.row
    reason = np.full(batch.records, -1, dtype=np.int64)
    reason[reasons.records] = reasons.which
    columns: list[NDArray[np.integer[Any]]] = [
        batch.record_class, batch.record_reason.codes, batch.identity, batch.outcome,
        batch.outcome_kind.codes, batch.outcome_explicit, batch.error_code.codes,
        results.decision, results.statement, results.layer, _of_row(batch.action.codes, row),
        reason]
    if batch.requests != batch.records or not bool((batch.group[1:] > batch.group[:-1]).all()):
        columns.append(np.bincount(batch.group, minlength=batch.records))
    kind, first = number_keys(packed(columns))
    principal = _of_row(batch.principal.codes, row)
    pair, first_pair = number_keys(
        kind.astype(np.int64) * (len(batch.principal.values) - _NO_ROW) + (principal - _NO_ROW))
    repeats = Repeats(
        np.bincount(kind, minlength=len(first)), kind[first_pair], principal[first_pair],
        np.bincount(pair, minlength=len(first_pair)), np.arange(len(first_pair)), pair, batch.time)
    some, rows = batch.some(first)
    at = row[first]
    return Alike(
        some, results.decision[first], results.statement[first],
        np.where(at < 0, -1, np.searchsorted(rows, at)).astype(np.int32),
        {place: reasons.texts[which] for place, which in enumerate(reason[first].tolist())
         if which >= 0}, results.layer[first], repeats)


def _of_row(codes: NDArray[np.int32], row: NDArray[np.int32]) -> NDArray[np.int32]:
    """The code of the deciding request of each record."""
    if not len(row) or int(row.min()) >= 0:
        return codes.take(row)
    found = np.full(len(row), _NO_ROW, dtype=np.int32)
    has_row = row >= 0
    found[has_row] = codes[row[has_row]]
    return found
