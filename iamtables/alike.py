"""Records of a cache that an audit decides and counts alike, of which one stands for all.

Each distinct question of a batch is decided once (`logs.stored`). Records with one kind of call,
one answer and one kind of requester then differ in nothing that is counted but their principals and
times, so a batch of one record for each, and how often it occurs for whom, adds up to the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .audit_counts import UNDECIDED
from .batches import Batch, Decided
from .logs.numbering import count_pairs, number_answers, number_keys, pairs_counted
from .repeats import Repeats
from .runtime.codes import Layer

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
    found = _pairs(stored, kinds, kind, _kinds_instead(
        stored, questions, first_question), is_wanted)
    repeats = Repeats(found.total, found.group, stored.principal().codes[found.whose],
                      found.count, found.place, found.of_record, rows.time)
    which = found.kind
    is_asked = which < answered
    question = np.where(is_asked, first_question[np.where(is_asked, which, 0)]
                        if answered else -1, -1)
    call = np.where(is_asked, questions.call[question] if answered else 0,
                    looked_up.first_call[np.where(is_asked, 0, which - answered)])
    batch = stored.bare(call.astype(np.int32), looked_up.first_caller[found.caller])
    groups, asked = np.flatnonzero(is_asked), question[is_asked]
    decision = np.full(len(which), UNDECIDED, dtype=np.uint8)
    statement = np.full(len(which), -1, dtype=np.int32)
    row = np.full(len(which), -1, dtype=np.int32)
    layer = np.full(len(which), Layer.NONE, dtype=np.uint8)
    decision[groups] = answers.decision[asked]
    statement[groups] = answers.statement[asked]
    layer[groups] = answers.layer[asked]
    member = answers.row[asked] - _starts(answers.batch)[asked]
    row[groups] = _starts(batch)[groups] + member
    depends_on = {group: reasons.texts[text] for group, text in zip(
        groups.tolist(), reason[asked].tolist(), strict=True) if text >= 0}
    return Alike(batch, decision, statement, row, depends_on, layer, repeats)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of a kind and a caller class that records have, and their groups: those of one kind
    whose callers are of one kind, too.

    place, count, whose, group : per pair, ascending: a number for it, how many records, the caller
                                 class, the group
    total, kind, caller        : per group, how many records, the kind, a caller class
    of_record                  : int32 per record, the number of its pair
    """

    place: NDArray[np.int64]
    count: NDArray[np.int64]
    whose: NDArray[np.integer[Any]]
    group: NDArray[np.int32]
    total: NDArray[np.int64]
    kind: NDArray[np.integer[Any]]
    caller: NDArray[np.integer[Any]]
    of_record: NDArray[np.int32]


def _pairs(stored: Stored, kinds: NDArray[np.int32], kind: NDArray[np.int32],
           instead: NDArray[np.int32], is_wanted: NDArray[np.bool_]) -> _Pairs:
    """The pairs of records of these kinds.

    kinds, kind : as `_kinds_of_records` has them
    instead     : per kind, that of unwanted callers
    """
    looked_up, caller = stored.looked_up, stored.rows.caller
    callers, size = len(looked_up.first_caller), len(instead) * len(looked_up.first_caller)
    if size <= 4 * len(kind) + LARGE_TABLE:
        of_record, counts = count_pairs(
            kinds, kind, looked_up.caller_class, caller, callers, size)
        return _Pairs(*pairs_counted(
            counts, np.arange(len(instead), dtype=np.int32), instead, is_wanted,
            looked_up.caller_kind, len(looked_up.first_class)), of_record)
    keys = kinds.take(kind) * np.int64(callers) + looked_up.caller_class.take(caller)
    of_record, first = number_keys(keys)
    of_kind = keys[first] // callers
    whose = keys[first] - of_kind * callers
    of_kind = np.where(is_wanted.take(whose), of_kind, instead.take(of_kind).astype(np.int64))
    group, first_pair = number_keys(of_kind * callers + looked_up.caller_kind.take(whose))
    count = np.bincount(of_record, minlength=len(first))
    return _Pairs(np.arange(len(first)), count, whose, group,
                  np.bincount(group, count, len(first_pair)).astype(np.int64),
                  of_kind[first_pair], whose[first_pair], of_record)


def _kinds_instead(stored: Stored, questions: Questions, first_question: NDArray[np.int32]
                   ) -> NDArray[np.int32]:
    """Per kind, that of calls of callers that are not asked about: that of their class, where the
    question, and so the kind, follows from the call whoever calls."""
    looked_up, answered = stored.looked_up, len(first_question)
    instead = np.arange(answered + len(looked_up.first_call), dtype=np.int32)
    if questions.of_call is not None:
        instead[:answered] = answered + looked_up.call_class.take(
            questions.call.take(first_question))
    return instead


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
    action = answers.batch.action.codes
    return number_answers(
        questions.call, stored.looked_up.call_class, answers.row, action, answers.statement,
        answers.decision, answers.layer, reason)


def _starts(batch: Batch) -> NDArray[np.int64]:
    """The first request of each record, where it has one."""
    if batch.requests == batch.records and bool((batch.group[1:] > batch.group[:-1]).all()):
        return np.arange(batch.records)
    return np.searchsorted(batch.group, np.arange(batch.records))
