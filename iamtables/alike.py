"""Records of a cache that an audit decides and counts alike, of which one stands for all.

Each distinct question of a batch is decided once (`logs.stored`). Records with one kind of call,
one answer and one kind of requester then differ in nothing that is counted but their principals and
times, so a batch of one record for each, and how often it occurs for whom, adds up to the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .audit_counts import UNDECIDED
from .batches import Batch, Decided
from .logs.columns import packed
from .logs.numbering import count_pairs, number_keys
from .repeats import Repeats
from .runtime.codes import DecisionCode, Layer

if TYPE_CHECKING:
    from .audit import BatchResults, Reasons
    from .logs.stored import Questions, Stored

LARGE_TABLE = 100_000
"""Pairs of a kind and a requester that are counted in a table of all of them, also where records
are few."""


@dataclass(frozen=True, slots=True)
class Alike(Decided):
    """What records that stand for others came to.

    repeats : the records that each stands for
    """

    repeats: Repeats


def alike(stored: Stored, is_wanted: NDArray[np.bool_], questions: Questions,
          answers: BatchResults, reasons: Reasons) -> Alike:
    """Group the records of a batch by what is counted of them.

    is_wanted : per caller class, is it among those that the questions are about?
    answers : of the questions
    reasons : what the undetermined ones depend on
    """
    looked_up, rows = stored.looked_up, stored.rows
    reason = np.full(len(questions.call), -1, dtype=np.int64)
    reason[reasons.records] = reasons.which
    of_question, first_question = _answer_kinds(stored, questions, answers, reason)
    answered = len(first_question)
    kinds, kind = _kinds_of_records(stored, questions, of_question, answered)
    callers = len(looked_up.first_caller)
    size = (answered + len(looked_up.first_call)) * callers
    if size > 4 * len(kind) + LARGE_TABLE:
        keys = kinds.take(kind) * np.int64(callers) + looked_up.caller_class.take(rows.caller)
        key, first = number_keys(keys)
        place, pair_key = np.arange(len(first)), keys[first]
        of_pair = np.bincount(key, minlength=len(first))
    else:
        key, counts = count_pairs(kinds, kind, looked_up.caller_class, rows.caller, callers, size)
        place = pair_key = np.flatnonzero(counts != 0)
        of_pair = counts[place].astype(np.int64)
    of_kind = pair_key // callers
    whose = pair_key - of_kind * callers
    if questions.of_call is not None and not is_wanted.all():
        is_other = (of_kind < answered) & ~is_wanted.take(whose)
        of_kind[is_other] = answered + looked_up.call_class.take(
            questions.call.take(first_question.take(of_kind[is_other])))
    kind, first = number_keys(of_kind * callers + looked_up.caller_kind.take(whose))
    repeats = Repeats(np.bincount(kind, of_pair, len(first)).astype(np.int64), kind,
                      stored.principal().codes[whose], of_pair, place, key, rows.time)
    which = of_kind[first]
    is_asked = which < answered
    question = np.where(is_asked, first_question[np.where(is_asked, which, 0)]
                        if answered else -1, -1)
    call = np.where(is_asked, questions.call[question] if answered else 0,
                    looked_up.first_call[np.where(is_asked, 0, which - answered)])
    batch = stored.bare(call.astype(np.int32), looked_up.first_caller[whose[first]])
    groups, asked = np.flatnonzero(is_asked), question[is_asked]
    decision = np.full(len(first), UNDECIDED, dtype=np.uint8)
    statement = np.full(len(first), -1, dtype=np.int32)
    row = np.full(len(first), -1, dtype=np.int32)
    layer = np.full(len(first), Layer.NONE, dtype=np.uint8)
    decision[groups] = answers.decision[asked]
    statement[groups] = answers.statement[asked]
    layer[groups] = answers.layer[asked]
    member = answers.row[asked] - _starts(answers.batch)[asked]
    row[groups] = _starts(batch)[groups] + member
    depends_on = {group: reasons.texts[text] for group, text in zip(
        groups.tolist(), reason[asked].tolist(), strict=True) if text >= 0}
    return Alike(batch, decision, statement, row, depends_on, layer, repeats)


def _kinds_of_records(stored: Stored, questions: Questions, of_question: NDArray[np.int32],
                      answered: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(kinds, int32 per record, its place among these): that of the answer, if it is asked about,
    else, behind these, that of the class of its call.

    Where the question follows from the call, so does the kind, whoever calls.
    """
    looked_up, rows = stored.looked_up, stored.rows
    if questions.of_call is not None:
        is_asked = questions.of_call >= 0
        if is_asked.all():
            return of_question.take(questions.of_call), rows.call
        kinds = looked_up.call_class + np.int32(answered)
        kinds[is_asked] = of_question.take(questions.of_call[is_asked])
        return kinds, rows.call
    assert questions.of_record is not None
    if questions.records is None:
        return of_question, questions.of_record
    kind = looked_up.call_class.take(rows.call) + np.int32(answered)
    kind[questions.records] = of_question.take(questions.of_record)
    return np.arange(answered + len(looked_up.first_call), dtype=np.int32), kind


def _answer_kinds(stored: Stored, questions: Questions, answers: BatchResults,
                  reason: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(the kind of each question, told apart by class of call and by answer; a question of each
    kind)"""
    if not len(questions.call):
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
    looked_up = stored.looked_up
    actions, statements = len(answers.batch.action.values), int(answers.statement.max()) + 2
    columns: list[tuple[NDArray[np.integer[Any]], int]] = [
        (looked_up.call_class.take(questions.call), len(looked_up.first_call)),
        (answers.batch.action.codes.take(answers.row), actions),
        (answers.statement + np.int32(1), statements),
        (answers.decision, len(DecisionCode)), (answers.layer, len(Layer))]
    if len(reason) and int(reason.max()) >= 0:
        columns.append((reason + 1, int(reason.max()) + 2))
    if prod(size for _, size in columns) >= 1 << 31:
        return number_keys(packed([column for column, _ in columns]))
    key = columns[0][0].astype(np.int32)
    for column, size in columns[1:]:
        key *= np.int32(size)
        key += column.astype(np.int32, copy=False)
    return number_keys(key.astype(np.int64))


def _starts(batch: Batch) -> NDArray[np.int64]:
    """The first request of each record, where it has one."""
    if batch.requests == batch.records and bool((batch.group[1:] > batch.group[:-1]).all()):
        return np.arange(batch.records)
    return np.searchsorted(batch.group, np.arange(batch.records))
