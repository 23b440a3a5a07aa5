"""Documents and blocks of lines through the compiled extractor.

The extractor numbers distinct plans, callers and calls and names the records at which new ones
occur; these records are decoded by the same decoder, and mapped by the same functions, as in the
library-based reader, which is the judge of this one and takes every block and every record that the
extractor leaves alone. Both must give the same columns.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from .arns import NOTHING_BELOW
from .columns import Int32Array
from .containers import decode_repaired
from .moulding import ArnClasses, Mould, Slots
from .outcome import is_denial
from .records import DECODE_ERRORS, BadRecord, Record, RecordDecoder, seconds
from .resources import ResourceForms
from .tables import KeyChanges
from .texts import Texts
from .value_classes import SUFFIXES, prefixes, words

try:
    from .extract import Extractor
    from .moulds import Moulds
except ImportError:  # not built: everything goes through the library-based reader
    Extractor = None  # type: ignore[assignment,misc]

PARAMETERS_SOME, PARAMETERS_ALL, RESOURCES, SELF, BAD, BY_SHAPE, BY_MOULD, IS_BLIND = (
    1, 2, 4, 8, 16, 32, 64, 128)
NO_ERROR, DENIAL = 2, 1
MAX_KEY_BYTES = 48 << 20
"""Memory of the extractor's dictionaries before they are started anew."""
_MAX_NEEDLES = 4096
_SCAN_RECORDS = 4000
"""Coded at a time: what the scan has read is still near the processor."""
_MIN_MOULDS = 256
"""From this many moulds of a plan on, they must pay: at least four calls for each."""


def is_available() -> bool:
    """Is the extractor built?"""
    return Extractor is not None


Facts = tuple[NDArray[np.uint8], Int32Array, NDArray[np.uint8]]
"""(flags of plans, their needles, flags of errors)"""


class Unsure(Exception):
    """The decoder refuses what the extractor took: the reader has to take the whole block."""


@dataclass(frozen=True, slots=True)
class PlanFlags:
    """How a plan's calls are told apart; see Extractor.calls."""

    flags: int
    needles: tuple[bytes, ...] = ()
    reason: str | None = None
    """With BAD: why records of the plan cannot be used."""


class Rows32:
    """Rows by code: a growing int32 array; -1 with a reason for codes that cannot be used."""

    __slots__ = ("_data", "_size", "reasons")

    def __init__(self) -> None:
        self._data = np.empty(1024, dtype=np.int32)
        self._size = 0
        self.reasons: dict[int, str] = {}

    def add(self, row: int, reason: str | None = None) -> None:
        if self._size == len(self._data):
            self._data = np.concatenate([self._data, np.empty_like(self._data)])
        self._data[self._size] = row
        if reason is not None:
            self.reasons[self._size] = reason
        self._size += 1

    def extend(self, rows: Int32Array) -> None:
        need = self._size + len(rows)
        if need > len(self._data):
            self._data = np.concatenate([self._data, np.empty(need, dtype=np.int32)])
        self._data[self._size : need] = rows
        self._size = need

    def __len__(self) -> int:
        return self._size

    def all(self) -> Int32Array:
        return self._data[: self._size]

    def take(self, codes: Int32Array) -> Int32Array:
        """-1 for the code -1."""
        found = self._data[np.maximum(codes, 0)] if self._size else np.full_like(codes, -1)
        return np.where(codes < 0, np.int32(-1), found)


@dataclass(frozen=True, slots=True)
class Block:
    """The records of a block that are no odd ones, and where the odd ones stand among them."""

    call: Int32Array
    caller: Int32Array
    time: NDArray[np.int64]
    event_id: Texts
    place: Int32Array
    """Number of each record in the block."""
    odd: list[tuple[int, bytes]]
    """(number, text) of the records that the reader has to decode."""
    enriched: dict[int, str]
    """Row of an enriched record -> what its `eventContext` tells."""
    count: int
    """Records, those included that are left out."""

    @classmethod
    def joined(cls, blocks: Sequence[Block]) -> Block:
        if len(blocks) == 1:
            return blocks[0]
        if not blocks:
            empty = np.zeros(0, dtype=np.int32)
            return cls(empty, empty, np.zeros(0, dtype=np.int64), Texts.of([]), empty, [], {}, 0)
        starts = accumulate((len(block.call) for block in blocks), initial=0)
        return cls(
            np.concatenate([block.call for block in blocks]),
            np.concatenate([block.caller for block in blocks]),
            np.concatenate([block.time for block in blocks]),
            Texts.joined([block.event_id for block in blocks]),
            np.concatenate([block.place for block in blocks]),
            [pair for block in blocks for pair in block.odd],
            {start + row: told for start, block in zip(starts, blocks, strict=False)
             for row, told in block.enriched.items()},
            sum(block.count for block in blocks))


class BlockReader:
    """One extractor with the rows behind its codes.

    plan_of   : (record, plan number) -> what its plan needs; raises BadRecord. Numbers begin
                again at 0 after `forget_all`
    caller_of : record -> row of the caller table; raises BadRecord
    call_of   : (record, plan number, caller row) -> row of the call table; raises BadRecord
    place_of  : (record, row) -> which of the record's ARNs is the one resource of a row, or -1
    like      : (rows, texts) -> new rows that differ from these in their one resource, or in its
                pattern
    begun     : called with each record of the plans numbered in `sessions`
    sessions  : plans whose calls begin sessions
    mould_of  : (record, plan number, slots) -> (row, mould), -1 for one that is refused; raises
                BadRecord
    tells_accounts : as for ArnClasses
    told      : text of an `eventContext` -> what it tells; None when no key is asked for
    """

    def __init__(
        self, plan_of: Callable[[Record, int], PlanFlags], caller_of: Callable[[Record], int],
        call_of: Callable[[Record, int, int], int], place_of: Callable[[Record, int], int],
        like: Callable[[Int32Array, list[str], KeyChanges], Int32Array],
        mould_of: Callable[[Record, int, Slots], tuple[int, Mould]],
        begun: Callable[[Record], None], sessions: set[int],
        forms: ResourceForms, tells_accounts: bool, needs: tuple[bool, bool, bool, bool],
        told: Callable[[bytes], str] | None,
    ) -> None:
        self._plan_of, self._caller_of, self._call_of = plan_of, caller_of, call_of
        self._place_of, self._like = place_of, like
        self._begun, self._sessions = begun, sessions
        self._beginning: list[Record] = []
        self._told = told
        self._mould_of, self._forms, self._tells_accounts = mould_of, forms, tells_accounts
        self._extractor = Extractor(secrets.randbits(64), *needs)
        self._moulds = Moulds(
            secrets.randbits(64), [text.encode() for text in prefixes()],
            sorted(text.encode() for text in words()), [text.encode() for text in SUFFIXES],
            sorted(name.encode() for name in NOTHING_BELOW))
        self._start_plans()

    def _start_plans(self) -> None:
        self._plan_flags: list[int] = []
        self._sessions.clear()
        self._made_facts: Facts | None = None
        self._plan_needles: list[tuple[int, int]] = []
        self._plan_reasons: dict[int, str] = {}
        self._needles: list[bytes] = []
        self._needle_places: dict[tuple[bytes, ...], tuple[int, int]] = {}
        self._error_flags: list[int] = []
        self._calls_of_plan: Counter[int] = Counter()
        self._forget_rows()

    def _forget_rows(self) -> None:
        self._callers = Rows32()
        self._calls = Rows32()
        self._given = Rows32()
        self._shape_rows: list[int] = []
        self._shape_places: list[int] = []
        self._arn_classes = ArnClasses(self._forms, self._tells_accounts)
        self._arn_numbers = Rows32()
        self._filled = Rows32()
        self._mould_rows: list[int] = []
        self._mould_keys: list[tuple[tuple[int, bytes | tuple[bytes, ...]], ...]] = []
        self._moulds_of_plan: Counter[int] = Counter()

    def forget(self) -> None:
        """The reader's tables start anew: so do the codes that lead into them."""
        self._extractor.forget(secrets.randbits(64))
        self._moulds.forget(secrets.randbits(64))
        self._forget_rows()

    def forget_all(self) -> None:
        self._extractor.forget_plans(secrets.randbits(64))
        self._moulds.forget(secrets.randbits(64))
        self._start_plans()

    @property
    def is_full(self) -> bool:
        return bool(self._extractor.key_bytes + self._moulds.key_bytes > MAX_KEY_BYTES)

    def take(self, data: bytes, is_lines: bool, max_record_bytes: int, bad: Counter[str]
             ) -> Block | None:
        """The rows of a block; None when the reader has to take it. `bad` counts what is left out.
        """
        self._extractor.start(data, is_lines)
        block = self._joined(self._scanned(max_record_bytes, bad))
        return None if block is not None and is_lines and not block.count else block

    def take_pieces(self, pieces: Iterable[bytes], max_record_bytes: int, bad: Counter[str]
                    ) -> Block | None:
        """The rows of a document that comes in pieces. None when the reader has to take it, from
        its beginning."""
        return self._joined(self._scanned_pieces(pieces, max_record_bytes, bad))

    def _joined(self, blocks: Iterator[Block]) -> Block | None:
        self._beginning = []
        try:
            block = Block.joined(list(blocks))
        except Unsure:
            if self._extractor.has_given_codes:
                self.forget_all()
            return None
        for record in self._beginning:
            self._begun(record)
        return block

    def _scanned_pieces(
        self, pieces: Iterable[bytes], max_record_bytes: int, bad: Counter[str]
    ) -> Iterator[Block]:
        extractor = self._extractor
        extractor.start_pieces()
        rest, number = b"", 0
        for piece in pieces:
            if len(rest) > max_record_bytes:
                raise Unsure
            data = rest + piece if rest else piece
            extractor.feed(data, False)
            for block in self._scanned(max_record_bytes, bad, number):
                number += block.count
                yield block
            rest = data[len(data) - extractor.left() :]
        extractor.feed(rest, True)
        yield from self._scanned(max_record_bytes, bad, number)

    def _scanned(self, max_record_bytes: int, bad: Counter[str], number: int = 0
                 ) -> Iterator[Block]:
        """Raises Unsure."""
        extractor = self._extractor
        while count := extractor.scan(_SCAN_RECORDS):
            if count < 0:
                raise Unsure
            odd = extractor.odd_records()
            if 2 * int(np.count_nonzero(odd)) > count or extractor.longest() > max_record_bytes:
                raise Unsure
            yield self._code(odd, bad, max_record_bytes, number)
            number += count

    def _record(self, index: int) -> Record:
        try:
            return decode_repaired(RecordDecoder, self._extractor.record(index))
        except DECODE_ERRORS as error:
            raise Unsure from error

    def _code(
        self, odd: NDArray[np.bool_], bad: Counter[str], max_record_bytes: int, number: int
    ) -> Block:
        """The records of the last scan, the first of which has this number in the block."""
        extractor = self._extractor
        plan, fresh = extractor.plans()
        for index in fresh.tolist():
            self._made_facts = None
            self._add_plan(self._record(index))
        if self._sessions:
            for index in np.flatnonzero(np.isin(plan, list(self._sessions)) & ~odd).tolist():
                self._beginning.append(self._record(index))
        caller, fresh = extractor.callers()
        for index in fresh.tolist():
            record = self._record(index)
            try:
                self._callers.add(self._caller_of(record))
            except BadRecord as problem:
                self._callers.add(-1, str(problem))
        error, fresh = extractor.errors()
        for index in fresh.tolist():
            self._made_facts = None
            code = self._record(index).errorCode
            self._error_flags.append(
                NO_ERROR if not code else DENIAL if is_denial(code) else 0)
        facts = self._facts()
        caller_rows = self._callers.take(caller)
        given = self._by_shape(plan, error, caller_rows, facts)
        filled = self._by_mould(plan, error, facts, given, max_record_bytes)
        known = np.where(given >= 0, self._given.take(given), self._filled.take(filled))
        call, fresh = extractor.calls(plan, caller, error, *facts, known)
        for index in fresh.tolist():
            try:
                self._calls.add(self._call_of(
                    self._record(index), int(plan[index]), int(caller_rows[index])))
            except BadRecord as problem:
                self._calls.add(-1, str(problem))
        call_rows = np.where(known >= 0, known, self._calls.take(call))
        keep = (call_rows >= 0) & (caller_rows >= 0)
        if not keep.all():
            self._count_bad(~keep & ~odd, plan, caller, call, bad)
        time = extractor.times()
        for index in np.flatnonzero((time == -2) & keep).tolist():
            time[index] = seconds(extractor.time_text(index).decode("utf-8", "replace"))
        ids = Texts(*extractor.ids())
        enriched = self._enriched()
        if keep.all():
            return Block(call_rows, caller_rows, time, ids,
                         np.arange(number, number + len(keep), dtype=np.int32), [], enriched,
                         len(keep))
        if enriched:
            places = (np.cumsum(keep) - 1).tolist()
            enriched = {places[row]: told for row, told in enriched.items() if keep[row]}
        return Block(
            call_rows[keep], caller_rows[keep], time[keep], ids.take(keep),
            (np.flatnonzero(keep) + number).astype(np.int32),
            [(number + index, extractor.record(index)) for index in np.flatnonzero(odd).tolist()],
            enriched, len(keep))

    def _enriched(self) -> dict[int, str]:
        """What the `eventContext` of records tells, where there is one and somebody asks."""
        if self._told is None:
            return {}
        extractor = self._extractor
        return {index: told for index in extractor.enriched().tolist()
                if (told := self._told(extractor.event_context(index)))}

    def _facts(self) -> Facts:
        """Flags and needles of plans, flags of errors, as arrays; made anew when there are more."""
        if self._made_facts is None:
            self._made_facts = (np.array(self._plan_flags or [0], dtype=np.uint8),
                                np.array(self._plan_needles or [(0, 0)], dtype=np.int32),
                                np.array(self._error_flags or [0], dtype=np.uint8))
        return self._made_facts

    def _by_shape(
        self, plan: Int32Array, error: Int32Array, caller_rows: Int32Array, facts: Facts
    ) -> Int32Array:
        """Calls on buckets and objects: one mapping per shape, then only the resource differs."""
        extractor = self._extractor
        shape, fresh = extractor.shapes(plan, error, *facts)
        for index in fresh.tolist():
            record = self._record(index)
            try:
                row = self._call_of(record, int(plan[index]), int(caller_rows[index]))
                place = self._place_of(record, row)
            except BadRecord:
                row, place = -1, -1
            self._shape_rows.append(row)
            self._shape_places.append(place)
        places = np.array(self._shape_places, dtype=np.int8)
        given: Int32Array
        given, fresh = extractor.given(shape, places)
        if len(fresh):
            rows = np.array(self._shape_rows, dtype=np.int32)[shape[fresh]]
            self._given.extend(self._like(rows, extractor.arn_texts(fresh, shape, places), {}))
        return given

    def _by_mould(
        self, plan: Int32Array, error: Int32Array, facts: Facts, done: Int32Array, max_bytes: int
    ) -> Int32Array:
        """Calls that differ in texts the mapping cannot tell apart: one mapping per mould."""
        extractor, moulds = self._extractor, self._moulds
        flags = facts[0]
        if not (flags & BY_MOULD).any():
            return np.full(len(plan), -1, dtype=np.int32)
        codes = np.full(len(plan), -2, dtype=np.int32)
        moulds.start()
        for _ in range(2):  # in the first round the ARNs are met, in the second all have classes
            fresh = moulds.find(extractor, plan, error, *facts, done, max_bytes,
                                self._arn_numbers.all(), codes)
            for index in fresh.tolist():
                self._learn(index, int(plan[index]))
            new = moulds.new_arns(len(self._arn_numbers))
            if not new:
                break
            self._arn_numbers.extend(
                np.array([self._arn_classes.number(arn) for arn in new], dtype=np.int32))
        filled, fresh = moulds.fill(extractor, codes)
        if len(fresh):
            rows = np.array(self._mould_rows, dtype=np.int32)[codes[fresh]]
            self._filled.extend(self._like(
                rows, moulds.texts(extractor, fresh, codes), self._keys_of(fresh, codes)))
        self._weigh_moulds(plan, codes)
        return filled

    def _learn(self, index: int, plan: int) -> None:
        self._moulds_of_plan[plan] += 1
        try:
            row, mould = self._mould_of(
                self._record(index), plan, self._moulds.slots_of(self._extractor, index))
        except BadRecord:
            self._mould_rows.append(-1)
            self._mould_keys.append(())
            self._moulds.add(None)
            return
        self._mould_rows.append(row)
        self._mould_keys.append(mould.keys)
        self._moulds.add(mould.program, [
            program for _, made in mould.keys
            for program in ((made,) if isinstance(made, bytes) else made)])

    def _keys_of(self, records: Int32Array, moulds: Int32Array) -> KeyChanges:
        """The values of keys that differ among calls of a mould, for these records."""
        changes: KeyChanges = {}
        extractor, text = self._extractor, self._moulds.text
        for place, record in enumerate(records.tolist()):
            for key, made in self._mould_keys[moulds[record]]:
                places, values = changes.setdefault(key, ([], []))
                places.append(place)
                values.append(text(extractor, record, made) if isinstance(made, bytes)
                              else [text(extractor, record, one) for one in made])
        return changes

    def _weigh_moulds(self, plan: Int32Array, codes: Int32Array) -> None:
        """Plans whose calls hardly share a mould go without (names of the caller's choice)."""
        many = [number for number, count in self._moulds_of_plan.items()
                if count > _MIN_MOULDS and self._plan_flags[number] & BY_MOULD]
        if not many:
            return
        used = np.bincount(plan[codes >= 0], minlength=len(self._plan_flags))
        for number in many:
            self._calls_of_plan[number] += int(used[number])
            if self._calls_of_plan[number] < 4 * self._moulds_of_plan[number]:
                self._plan_flags[number] &= ~BY_MOULD
                self._made_facts = None

    def _add_plan(self, record: Record) -> None:
        try:
            found = self._plan_of(record, len(self._plan_flags))
        except BadRecord as problem:
            found = PlanFlags(BAD, (), str(problem))
        if found.reason is not None:
            self._plan_reasons[len(self._plan_flags)] = found.reason
        place = self._needle_places.get(found.needles)
        if place is None:
            begin = len(self._needles)
            if begin + len(found.needles) > _MAX_NEEDLES:
                raise Unsure
            self._needles += found.needles
            place = self._needle_places[found.needles] = (begin, len(self._needles))
            self._extractor.set_needles(self._needles)
        self._plan_flags.append(found.flags)
        self._plan_needles.append(place)

    def _count_bad(
        self, rows: NDArray[np.bool_], plan: Int32Array, caller: Int32Array, call: Int32Array,
        bad: Counter[str],
    ) -> None:
        """The first reason of each record, in the order in which the reader finds them."""
        for index in np.flatnonzero(rows).tolist():
            reason = (self._plan_reasons.get(int(plan[index]))
                      or self._callers.reasons.get(int(caller[index]))
                      or self._calls.reasons.get(int(call[index])))
            assert reason is not None
            bad[reason] += 1
