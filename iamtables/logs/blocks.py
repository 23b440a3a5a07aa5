"""Documents and blocks of lines through the compiled extractor.

The extractor numbers distinct plans, callers and calls and names the records at which new ones
occur; these records are decoded by the same decoder, and mapped by the same functions, as in the
library-based reader, which is the judge of this one and takes every block and every record that the
extractor leaves alone. Both must give the same columns.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arns import NOTHING_BELOW
from .calls import MappedCall
from .columns import Int32Array
from .containers import decode_repaired
from .moulding import ArnClasses, Mould, Slots
from .outcome import is_denial
from .pieces import Refused
from .records import DECODE_ERRORS, BadRecord, Record, RecordDecoder, seconds
from .resources import ResourceForms
from .tables import KeyChanges
from .texts import Texts
from .value_classes import SUFFIXES, prefixes, words

try:
    from .extract import Extractor
    from .moulds import Moulds
    from .scanner import Scanned, Scanner
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


MouldCall = tuple[str, str, str | None, MappedCall]
"""(event source, event name, error code, mapping) of the call that a mould was learnt from"""
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

    def row(self, code: int) -> int:
        """-1 for the code -1."""
        return int(self._data[code]) if code >= 0 else -1


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


class BlockReader:
    """One extractor with the rows behind its codes.

    plan_of   : (record, plan number) -> what its plan needs; raises BadRecord. Numbers begin
                again at 0 after `forget_all`
    caller_of : record -> row of the caller table; raises BadRecord
    call_of   : (record, plan number, caller row) -> row of the call table; raises BadRecord
    place_of  : (record, row) -> which of the record's ARNs is the one resource of a row, or -1
    like      : (rows, texts, keys) -> new rows that differ from these in their one resource, or in
                its pattern, and in these keys
    begun     : called with each record of the plans numbered in `sessions`
    sessions  : plans whose calls begin sessions
    mould_of  : (record, plan number, slots) -> (call, mould), None for one that is refused; raises
                BadRecord
    add_call  : adds a call to the call table
    tells_accounts : as for ArnClasses
    told      : text of an `eventContext` -> what it tells; None when no key is asked for
    """

    def __init__(
        self, plan_of: Callable[[Record, int], PlanFlags], caller_of: Callable[[Record], int],
        call_of: Callable[[Record, int, int], int], place_of: Callable[[Record, int], int],
        like: Callable[[Int32Array, Texts, KeyChanges], Int32Array],
        mould_of: Callable[[Record, int, Slots], tuple[MouldCall | None, Mould]],
        add_call: Callable[[MouldCall], int],
        begun: Callable[[Record], None], sessions: set[int],
        forms: ResourceForms, tells_accounts: bool, needs: tuple[bool, bool, bool, bool],
        told: Callable[[bytes], str] | None,
    ) -> None:
        self._plan_of, self._caller_of, self._call_of = plan_of, caller_of, call_of
        self._place_of, self._like = place_of, like
        self._begun, self._sessions = begun, sessions
        self._beginning: list[Record] = []
        self._told = told
        self._mould_of, self._add_call = mould_of, add_call
        self._forms, self._tells_accounts = forms, tells_accounts
        self.scanner = Scanner(secrets.randbits(64), *needs)
        """For whoever scans ahead."""
        self._scanner_bytes = 0
        self._text = Scanned()
        self._extractor = Extractor(secrets.randbits(64))
        self._moulds = Moulds(
            secrets.randbits(64), [text.encode() for text in prefixes()],
            sorted(text.encode() for text in words()), [text.encode() for text in SUFFIXES],
            sorted(name.encode() for name in NOTHING_BELOW))
        self._start_plans()

    def _start_plans(self) -> None:
        self._plan_flags: list[int] = []
        self._has_moulds = False
        """Has a plan the flag BY_MOULD, or had it?"""
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
        self._arn_classes = ArnClasses(self._forms, self._tells_accounts)
        self._arn_numbers = Rows32()
        self._mould_calls: list[MouldCall | None] = []
        self._mould_keys: list[tuple[tuple[int, bytes | tuple[bytes, ...]], ...]] = []
        self._moulds_of_plan: Counter[int] = Counter()
        self._forget_calls()

    def _forget_calls(self) -> None:
        self._calls, self._given, self._filled = Rows32(), Rows32(), Rows32()
        self._shape_rows, self._mould_rows = Rows32(), Rows32()
        self._shape_places: list[int] = []

    def forget(self) -> None:
        """The reader's tables start anew: so do the codes that lead into them. Nobody may scan
        meanwhile, and nothing that was scanned before is to be coded."""
        plans, _, errors = self.scanner.counts()
        if (plans, errors) != (len(self._plan_flags), len(self._error_flags)):
            self.forget_all()  # some were scanned and never coded
            return
        self.scanner.forget(secrets.randbits(64))
        self._extractor.forget(secrets.randbits(64))
        self._moulds.forget(secrets.randbits(64))
        self._forget_rows()

    def forget_calls(self) -> None:
        """The same where only the table of calls starts anew; moulds stay."""
        self._extractor.forget(secrets.randbits(64))
        self._moulds.forget_calls(secrets.randbits(64))
        self._forget_calls()
        for made in self._mould_calls:
            self._mould_rows.add(-1 if made is None else self._add_call(made))

    def forget_all(self) -> None:
        self.scanner.forget_plans(secrets.randbits(64))
        self._extractor.forget(secrets.randbits(64))
        self._moulds.forget(secrets.randbits(64))
        self._start_plans()

    @property
    def kept_bytes(self) -> int:
        """Memory of the dictionaries that outlast `forget_calls`."""
        return self._scanner_bytes + self._moulds.lasting_bytes

    @property
    def is_full(self) -> bool:
        return self._scanner_bytes + self._extractor.key_bytes + (
            self._moulds.key_bytes) > MAX_KEY_BYTES

    def take(self, data: bytes, is_lines: bool, max_record_bytes: int, bad: Counter[str]
             ) -> Block | None:
        """The rows of a block; None when the reader has to take it. `bad` counts what is left out.
        """
        block = self.take_pieces(self._scanned(data, is_lines), max_record_bytes, bad)
        return None if block is not None and is_lines and not block.count else block

    def _scanned(self, data: bytes, is_lines: bool) -> Generator[Scanned, None, None]:
        """A text as a whole, so many records at a time."""
        self.scanner.start(is_lines)
        self._text.hold(data)
        while self.scanner.scan(self._text, _SCAN_RECORDS) or self._text.is_refused:
            yield self._text
        self._text.hold(b"")

    def take_pieces(self, pieces: Generator[Scanned, None, None], max_record_bytes: int,
                    bad: Counter[str]) -> Block | None:
        """The rows of a document that comes in pieces, each valid until the next is asked for. None
        when the reader has to take it, from its beginning."""
        self._beginning = []
        self._odd: list[tuple[int, bytes]] = []
        self._enriched: dict[int, str] = {}
        self._extractor.start()
        count: int | None = 0
        try:
            with closing(pieces):
                count = self._coded(pieces, max_record_bytes, bad)
        except (Unsure, Refused):
            count = None
        if count is None:  # and nobody scans any more
            if not self._has_all_rows():
                self.forget_all()
            return None
        for record in self._beginning:
            self._begun(record)
        self._add_alike()
        call, caller, place, time, data, offsets, hashes = self._extractor.rows(
            self._given.all(), self._filled.all())
        return Block(call, caller, time, Texts(data, offsets, hashes), place, self._odd,
                     self._enriched, count)

    def _coded(self, pieces: Iterable[Scanned], max_record_bytes: int, bad: Counter[str]) -> int:
        """Code all records; how many. Raises Unsure."""
        number = 0
        for scanned in pieces:
            self._scanner_bytes = scanned.table_bytes
            if scanned.is_refused or 2 * scanned.odd_count > scanned.count or (
                    scanned.longest > max_record_bytes):
                raise Unsure
            if scanned.count:
                self._extractor.take(scanned)
                try:
                    self._code(scanned, bad, max_record_bytes, number)
                finally:
                    self._extractor.release()
            number += scanned.count
        return number

    def _has_all_rows(self) -> bool:
        """Do all codes have what they stand for? Not when a scan ended before it was coded."""
        return (*self.scanner.counts(), *self._extractor.counts(), self._moulds.mould_count) == (
            len(self._plan_flags), len(self._callers), len(self._error_flags), len(self._calls),
            len(self._shape_rows), len(self._mould_rows))

    def _add_alike(self) -> None:
        """Rows for the calls that differ from others of their shape or mould in texts alone."""
        begin = len(self._given)
        if self._extractor.given_count > begin:
            shapes, data, offsets = self._extractor.given(begin)
            self._given.extend(
                self._like(self._shape_rows.all()[shapes], Texts(data, offsets), {}))
        begin = len(self._filled)
        if self._moulds.filled_count > begin:
            moulds = self._moulds.moulds_of(begin)
            self._filled.extend(self._like(
                self._mould_rows.all()[moulds], Texts(*self._moulds.texts(begin)),
                self._keys_of(moulds, begin)))

    def _record(self, scanned: Scanned, index: int) -> Record:
        try:
            return decode_repaired(RecordDecoder, scanned.record(index))
        except DECODE_ERRORS as error:
            raise Unsure from error

    def _code(
        self, scanned: Scanned, bad: Counter[str], max_record_bytes: int, number: int
    ) -> None:
        """Records that were taken, the first of which has this number in the text."""
        extractor, count = self._extractor, scanned.count
        for index in scanned.new_plans().tolist():
            self._made_facts = None
            self._add_plan(self._record(scanned, index))
        if self._sessions:
            for index in np.flatnonzero(
                    np.isin(scanned.plans(), list(self._sessions))).tolist():
                self._beginning.append(self._record(scanned, index))
        for index in scanned.new_callers().tolist():
            record = self._record(scanned, index)
            try:
                self._callers.add(self._caller_of(record))
            except BadRecord as problem:
                self._callers.add(-1, str(problem))
        for index in scanned.new_errors().tolist():
            self._made_facts = None
            code = self._record(scanned, index).errorCode
            self._error_flags.append(
                NO_ERROR if not code else DENIAL if is_denial(code) else 0)
        at = 0
        while (at := extractor.shaped(
                at, *self._facts(), np.array(self._shape_places, dtype=np.int8))) < count:
            self._learn_shape(scanned, at)
        self._find_moulds(scanned, max_record_bytes)
        for index in extractor.calls(*self._facts()).tolist():
            try:
                self._calls.add(self._mapped(scanned, index))
            except BadRecord as problem:
                self._calls.add(-1, str(problem))
        left_out, opened = extractor.keep(self._callers.all(), self._calls.all(), number)
        if opened:
            for row, stamp in extractor.open_times():
                extractor.set_time(row, seconds(stamp.decode("utf-8", "replace")))
        if left_out:
            odd = scanned.odd_records()
            self._odd += [(number + index, scanned.record(index))
                          for index in np.flatnonzero(odd).tolist()]
            if left_out > scanned.odd_count:
                self._count_bad(scanned, odd, bad)
        if self._told is not None:
            self._tell_enriched(scanned, self._told)

    def _tell_enriched(self, scanned: Scanned, told_by: Callable[[bytes], str]) -> None:
        """What the `eventContext` of records tells, where there is one and somebody asks."""
        indices = scanned.enriched().tolist()
        places = self._extractor.row_places() if indices else None
        for index in indices:
            told = told_by(scanned.event_context(index))
            if told and places is not None and places[index] >= 0:
                self._enriched[int(places[index])] = told

    def _facts(self) -> Facts:
        """Flags and needles of plans, flags of errors, as arrays; made anew when there are more."""
        if self._made_facts is None:
            self._made_facts = (np.array(self._plan_flags or [0], dtype=np.uint8),
                                np.array(self._plan_needles or [(0, 0)], dtype=np.int32),
                                np.array(self._error_flags or [0], dtype=np.uint8))
        return self._made_facts

    def _mapped(self, scanned: Scanned, index: int) -> int:
        """The row of a call that is mapped. Raises BadRecord."""
        return self._call_of(self._record(scanned, index), scanned.plan(index),
                             self._callers.row(scanned.caller(index)))

    def _learn_shape(self, scanned: Scanned, index: int) -> None:
        """Calls on buckets and objects: one mapping per shape, then only the resource differs."""
        try:
            row = self._mapped(scanned, index)
            place = self._place_of(self._record(scanned, index), row)
        except BadRecord:
            row, place = -1, -1
        self._shape_rows.add(row)
        self._shape_places.append(place)

    def _find_moulds(self, scanned: Scanned, max_bytes: int) -> None:
        """Calls that differ in texts the mapping cannot tell apart: one mapping per mould."""
        if not self._has_moulds:
            return
        extractor, moulds, facts = self._extractor, self._moulds, self._facts()
        at = 0
        while (at := moulds.moulded(
                extractor, at, *facts, max_bytes, self._arn_numbers.all())) < scanned.count:
            new = moulds.new_arns(len(self._arn_numbers))
            if new:
                self._arn_numbers.extend(
                    np.array([self._arn_classes.number(arn) for arn in new], dtype=np.int32))
            else:
                self._learn(scanned, at)
        self._weigh_moulds()

    def _learn(self, scanned: Scanned, index: int) -> None:
        plan = scanned.plan(index)
        self._moulds_of_plan[plan] += 1
        try:
            made, mould = self._mould_of(
                self._record(scanned, index), plan, self._moulds.slots_of(self._extractor, index))
        except BadRecord:
            made, mould = None, None
        self._mould_calls.append(made)
        self._mould_rows.add(-1 if made is None else self._add_call(made))
        if mould is None:
            self._mould_keys.append(())
            self._moulds.add(None)
            return
        self._mould_keys.append(mould.keys)
        self._moulds.add(mould.program, [
            program for _, made_of in mould.keys
            for program in ((made_of,) if isinstance(made_of, bytes) else made_of)])

    def _keys_of(self, moulds: Int32Array, begin: int) -> KeyChanges:
        """The values of keys that differ among calls of a mould, for the calls from a number on."""
        changes: KeyChanges = {}
        if not any(self._mould_keys):
            return changes
        text = self._moulds.text
        for place, mould in enumerate(moulds.tolist()):
            for key, made in self._mould_keys[mould]:
                places, values = changes.setdefault(key, ([], []))
                places.append(place)
                values.append(text(begin + place, made) if isinstance(made, bytes)
                              else [text(begin + place, one) for one in made])
        return changes

    def _weigh_moulds(self) -> None:
        """Plans whose calls hardly share a mould go without (names of the caller's choice)."""
        for number, count in self._moulds_of_plan.items():
            if count > _MIN_MOULDS and self._plan_flags[number] & BY_MOULD and (
                    self._moulds.calls_of(number) < 4 * count):
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
        self._has_moulds |= found.flags & BY_MOULD != 0
        self._plan_needles.append(place)

    def _count_bad(self, scanned: Scanned, odd: NDArray[np.bool_], bad: Counter[str]) -> None:
        """The first reason of each record, in the order in which the reader finds them."""
        is_kept = self._extractor.row_places() >= 0
        for index in np.flatnonzero(~is_kept & ~odd).tolist():
            reason = (self._plan_reasons.get(scanned.plan(index))
                      or self._callers.reasons.get(scanned.caller(index))
                      or self._calls.reasons.get(self._extractor.call(index)))
            assert reason is not None
            bad[reason] += 1
