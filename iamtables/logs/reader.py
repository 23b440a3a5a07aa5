"""`read_logs`: CloudTrail files in, batches of requests out.

The way of a record: container -> typed decode -> caller row and call row (each a dictionary
look-up; a miss runs the mapping) -> duplicates out -> one gather per column. Whatever a record
repeats of the records before it costs a hash. Parameters enter the key of a call only where the
call's plan can make use of them, so that reads of many objects of no consequence are one call.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue import Catalogue, load_catalogue
from ..errors import SourceError
from .ahead import ReadAhead
from .asked_keys import AskedKeys
from .batch import Batch, Rows, build
from .blocks import MAX_KEY_BYTES, Block, BlockReader, MouldCall, PlanFlags, is_available
from .cache import Cache, Writer, mapping_version
from .calls import Call, CallMapper, decode_resources
from .classes import GIVEN
from .columns import Int32Array
from .containers import decode_items, decode_lines, read_file
from .context import Caller
from .duplicates import Hashes
from .event_context import EventContexts
from .inflate import FileFailed, FileSkipped
from .moulding import Mould, Slots, learn
from .names import Names, Resolver
from .options import LogOptions
from .outgoing import Outgoing, Portion
from .pending import Chunk, Pending
from .plans import PlanRow, Plans, told_of
from .principals import principal_of
from .records import (
    BadRecord,
    Record,
    corrected_id,
    decode_additional,
    decode_identity,
    decode_tls,
    seconds,
    too_long,
)
from .serving import CachedFiles, stored_batch
from .sessions import Sessions
from .sifting import Sieve
from .sources import LogFile, find_files, is_delivered_before
from .statistics import Statistics
from .tables import CallerTable, CallTable, KeyChanges
from .templates import Where, partition_of
from .texts import Texts

if TYPE_CHECKING:
    from .scanner import Scanned


class LogReader:
    """Iterates over batches, once; `statistics` counts along."""

    def __init__(
        self, paths: Sequence[str | Path], options: LogOptions, keys: Sequence[str] | None,
        catalogue: Catalogue, resolver: Resolver | None = None,
        needs: Callable[[str], bool] | None = None, names: Names | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._given = [str(path) for path in paths]
        self._files = find_files(paths, options.endpoint)
        self.options = options
        self.catalogue = catalogue
        self.statistics = Statistics(
            files_found=len(self._files), bytes_found=sum(f.size_bytes for f in self._files))
        self._keys = AskedKeys(keys, catalogue)
        self._cache: Cache | None = None
        self._cached: CachedFiles | None = None
        self._writer: Writer | None = None
        self._unwritten = Pending()
        self._part = 0
        self._file: LogFile | None = None
        if options.cache is not None:
            self._cache = Cache(options.cache, f"{mapping_version()} {catalogue.date} "
                                f"{catalogue.source} {options.unlisted_actions} "
                                f"{options.max_record_bytes}")
            self._writer = Writer(self._cache)
            cached_keys = self._keys.of_cache(catalogue)
            self._keys = self._keys.of_everything(catalogue)
            needs = None  # a cache is for every policy
        self.keys: tuple[str, ...] = tuple(plan.name for plan in self._keys.plans)
        """The asked keys: the columns of `batch.context`, which leaves out those that nothing but
        an `eventContext` can tell and none of a batch does."""
        self._event_contexts = EventContexts(None if self._cache is not None else self.keys) if (
            self._cache is not None or self.keys) else None
        self._mapper = CallMapper(catalogue, options, tuple(self._keys.request))
        self._plans = Plans(self._mapper, self._keys, catalogue, needs,
                            learns_names=options.learn_names)
        self._names = names or Names(resolver, learns=options.learn_names)
        self._sieve = Sieve(options, self.statistics, self._mapper.actions.prefix_of)
        self._sessions = sessions or Sessions(tells=options.learn_names)
        if self._writer is not None:
            self._sessions.keeps = True
        self._outgoing = Outgoing(options.batch_records, self._names, self._sessions)
        if self._cache is not None:
            self._cached = CachedFiles(self._cache, cached_keys, self._files, options,
                                       self._outgoing, self.statistics)
        self._session_plans: set[int] = set()
        self._times: dict[str | None, int] = {}
        self._blocks = BlockReader(
            self._plan_of_block, self._map_caller, self._call_of_block, self._place_of,
            self._like, self._mould_of_block, self._add_mould, self._sessions.learn,
            self._session_plans, self._mapper.forms, self._keys.accounts,
            (self._keys.network, self._keys.agent, self._keys.tls, self._keys.additional),
            self._event_contexts.told if self._event_contexts is not None else None,
        ) if options.is_compiled and is_available() else None
        self._numbered_plans: dict[int, PlanRow] = {}
        self._ahead: ReadAhead | None = None
        self._start_tables()
        self._batches = self._iterate()

    def __iter__(self) -> Iterator[Batch]:
        return self._batches

    def pass_over(self, hashes: NDArray[np.uint64]) -> None:
        """Take records with these hashes (`duplicates.record_hashes`) for duplicates: somebody
        else has read them."""
        self._sieve.pass_over(hashes)

    def expect_corrections(self, elsewhere: Hashes, before: Hashes) -> None:
        """Leave out records that others correct which this reader does not see.

        elsewhere : hashes of records with a correction anywhere in the log
        before    : of those whose correction somebody else has read, so that another comes second
        """
        self._sieve.corrections.expect(elsewhere)
        self._sieve.corrections.take_over(before)

    def corrections(self) -> Hashes:
        """What was read that corrects other records (`Corrections.told`)."""
        return self._sieve.corrections.told()

    def _start_tables(self) -> None:
        self._callers = CallerTable(self._keys.caller, has_access_keys=self._keys.sessions)
        self._calls = CallTable(self._keys.request)
        self._caller_rows: dict[tuple[object, ...], int] = {}
        self._call_rows: dict[tuple[object, ...], int] = {}
        if self._ahead is not None:
            self._ahead.drop()
        if self._blocks is not None:
            self._blocks.forget()

    # -- files to batches ---------------------------------------------------------------------

    def _iterate(self) -> Iterator[Batch]:
        following = dict(zip(map(id, self._files), self._files[1:], strict=False))

        def next_of(file: LogFile) -> LogFile | None:
            found = following.get(id(file))
            while found is not None and is_delivered_before(found.name, self.options.since):
                found = following.get(id(found))
            is_cached = found is not None and self._cached is not None and (
                self._cached.holds(found))
            return None if is_cached else found

        if self.options.corrections_first and self.options.deduplicate:
            self._sieve.find_corrections(self._files, self._cache)
        if self._cached is not None:
            self._sieve.reserve(self._cached.records())
        self._ahead = ReadAhead(
            self.options, next_of, self._blocks.scanner if self._blocks is not None else None)
        try:
            yield from self._batches_of(self._ahead)
        finally:
            self._ahead.close()

    def _batches_of(self, ahead: ReadAhead) -> Iterator[Batch]:
        pending = Pending()
        at = 0
        while at < len(self._files):
            file = self._files[at]
            if is_delivered_before(file.name, self.options.since):
                self.statistics.files_outside += 1
                self.statistics.bytes_done += file.size_bytes
                at += 1
            elif self._cached is not None and self._cached.holds(file):
                self._put_off(pending)
                at = yield from self._cached.batches(at, self._hand_out)
            else:
                yield from self._read(file, pending, ahead)
                at += 1
        self._put_off(pending)
        yield from self._hand_out(self._outgoing.end())
        if self._writer is not None:
            self._writer.flush(self._callers, self._calls)
            self.statistics.cache_error = self._writer.error
        self.statistics.check()
        if not self.statistics.has_log:
            raise no_log(self._given, self.statistics)

    def _read(self, file: LogFile, pending: Pending, ahead: ReadAhead) -> Iterator[Batch]:
        """The records of a file into `pending`; batches as they become full."""
        name = file.name
        self._file, self._part = file, 0
        bad: Counter[str] = Counter()
        is_whole = False
        lists = self._lists(file, pending, bad, ahead)
        while True:
            is_collecting = gc.isenabled()
            gc.disable()
            try:
                records = next(lists, None)
                if records is not None:
                    if records:
                        self._take(records, name, pending, bad)
                    del records
                    more = True
                else:
                    self.statistics.files_read += 1
                    is_whole = True
                    more = False
            except FileSkipped as error:
                self.statistics.skipped.append((name, str(error)))
                more = False
            except FileFailed as error:
                self.statistics.failed.append((name, str(error)))
                more = False
            finally:
                if is_collecting:
                    gc.enable()
            if not more:
                self.statistics.bytes_done += file.size_bytes
            if self._writer is not None:
                self._unwritten.mark(self._sessions.take_new())
            if self._outgoing.records + len(pending) >= self.options.batch_records:
                self._put_off(pending)
                yield from self._hand_out(self._outgoing.end())
                self._renew_tables()
            if not more:
                break
        self.statistics.count_bad(name, bad)
        self._end_file(file, bad, is_whole)

    def _lists(self, file: LogFile, pending: Pending, bad: Counter[str], ahead: ReadAhead
               ) -> Iterator[list[Record]]:
        """As `read_file`, but without the records that the compiled extractor takes."""
        take = None
        if self._blocks is not None:
            if self._take_document(ahead.document(file), file, pending, bad):
                yield []
                return
            take = partial(self._take_block, file=file.name, pending=pending, bad=bad)
        yield from read_file(file, self.options, bad, take, ahead.pieces(file))

    def _put_off(self, pending: Pending) -> None:
        """Let the rows that were read wait for the end of their epoch."""
        if len(pending):
            self._outgoing.put(Portion(pending.rows(), pending.files, self._callers, self._calls,
                                       self._keys.plans))
            pending.clear()

    # -- cache --------------------------------------------------------------------------------

    def _end_file(self, file: LogFile, bad: Counter[str], is_whole: bool) -> None:
        if self._writer is None:
            return
        if is_whole and not file.has_changed():
            self._writer.add(self._unwritten, file, self._part, True, bad)
        else:
            self._writer.drop(file)
        self._unwritten.clear()
        if self._writer.is_due_with(0):
            self._writer.flush(self._callers, self._calls)

    def _renew_tables(self) -> None:
        """Start the tables anew when they are full, and write the rows that lead into them."""
        is_due = self._writer is not None and self._writer.is_due_with(len(self._unwritten))
        if not is_due and len(self._callers) + self._calls.size <= self.options.max_distinct and (
                self._blocks is None or not self._blocks.is_full):
            return
        if self._writer is not None:
            if len(self._unwritten) and self._file is not None:
                self._writer.add(self._unwritten, self._file, self._part, False, Counter())
                self._part += 1
                self._unwritten.clear()
            self._writer.flush(self._callers, self._calls)
        elif 2 * len(self._callers) <= self.options.max_distinct and (
                self._blocks is None or 2 * self._blocks.kept_bytes <= MAX_KEY_BYTES):
            self._calls = CallTable(self._keys.request)
            self._call_rows = {}
            if self._blocks is not None:
                self._blocks.forget_calls()
            return
        self._start_tables()

    def _hand_out(self, groups: Iterator[list[Portion]]) -> Iterator[Batch]:
        """Batches of the rows that are asked for and new, a batch per portion; counts along."""
        for portions in groups:
            kept = self._sieve.sifted(portions)
            for rows, portion in zip(kept, portions, strict=True):
                yield self._build(rows, portion)

    def _build(self, rows: Rows, portion: Portion) -> Batch:
        if portion.stored is not None:
            return stored_batch(rows, portion, portion.stored, self._names, self._sessions,
                                self.statistics)
        batch = build(rows, portion.files, portion.callers, portion.calls, portion.plans,
                      self._names, self._sessions)
        self.statistics.count_batch(batch)
        return batch

    # -- records to rows ----------------------------------------------------------------------

    def _take(
        self, records: list[Record], file: str, pending: Pending, bad: Counter[str]
    ) -> None:
        """The loop over records. Everything else in this package runs once per distinct value."""
        plans, caller_rows, call_rows = self._plans.rows, self._caller_rows, self._call_rows
        times, own_user = self._times, self._callers.own_user
        if len(times) > 200_000:
            times.clear()
        keys = self._keys
        wants_network, wants_agent = keys.network, keys.agent
        wants_tls, wants_additional = keys.tls, keys.additional
        chunk = Chunk()
        add_call, add_caller = chunk.call.append, chunk.caller.append
        add_time, add_id = chunk.time.append, chunk.event_id.append
        event_contexts = self._event_contexts
        for record in records:
            source, name = record.eventSource, record.eventName
            try:
                plan = plans.get((source, name, record.eventType, record.eventCategory))
                if plan is None:
                    plan = self._plans.of(record)
                corrects = corrected_id(record) if record.addendum else None
                version = record.eventVersion
                if version is not None and version[:2] != "1.":
                    raise BadRecord("`eventVersion` is not 1.x")
                caller_key = (
                    bytes(record.userIdentity), record.awsRegion, record.recipientAccountId,
                    (record.sourceIPAddress, record.vpcEndpointId, record.vpcEndpointAccountId)
                    if wants_network else None,
                    record.userAgent if wants_agent else None,
                    bytes(record.tlsDetails) if wants_tls else None,
                    bytes(record.additionalEventData) if wants_additional else None,
                )
                caller = caller_rows.get(caller_key)
                if caller is None:
                    caller = caller_rows[caller_key] = self._map_caller(record)
                message, parameters = told_of(record, plan)
                call_key = (
                    plan.number, record.errorCode, message, parameters,
                    bytes(record.resources) if plan.wants_resources else b"",
                    (record.awsRegion, record.recipientAccountId) if plan.wants_resources
                    else None,
                    own_user[caller] if plan.plan.is_about_self else None,
                )
                call = call_rows.get(call_key)
                if call is None:
                    call = call_rows[call_key] = self._map_call(
                        record, plan, message, parameters, caller)
            except BadRecord as problem:
                bad[str(problem)] += 1
                continue
            stamp = record.eventTime or record.timestamp
            time = times.get(stamp)
            if time is None:
                time = times[stamp] = seconds(stamp)
            if plan.begins_session:
                self._sessions.learn(record)
            if corrects:
                chunk.corrects[len(chunk.call)] = corrects
            if event_contexts is not None and record.eventContext and (
                    told := event_contexts.told(bytes(record.eventContext))):
                chunk.enriched[len(chunk.call)] = told
            add_call(call)
            add_caller(caller)
            add_time(time)
            add_id(record.eventID or "")
        self.statistics.records += len(chunk.call)
        self._add(pending, file, *chunk.arrays())

    def _take_block(
        self, data: bytes, is_lines: bool, file: str, pending: Pending, bad: Counter[str]
    ) -> bool:
        """A document or lines through the extractor; False when it leaves them to the decoder."""
        assert self._blocks is not None
        # rows that `_take` has yet to count would come too late: the bad ones are kept apart
        local: Counter[str] = Counter()
        block = self._blocks.take(data, is_lines, self.options.max_record_bytes, local)
        if block is None:
            return False
        bad.update(local)
        self._add_blocks(block, is_lines, file, pending, bad)
        return True

    def _take_document(
        self, pieces: Generator[Scanned, None, None], file: LogFile, pending: Pending,
        bad: Counter[str],
    ) -> bool:
        """A whole file through the extractor; False when it has to be read in another way."""
        assert self._blocks is not None
        local: Counter[str] = Counter()
        block = self._blocks.take_pieces(pieces, self.options.max_record_bytes, local)
        if block is None:
            return False
        bad.update(local)
        self._add_blocks(block, False, file.name, pending, bad)
        return True

    def _add_blocks(
        self, block: Block, is_lines: bool, file: str, pending: Pending, bad: Counter[str]
    ) -> None:
        begin = 0
        for number, text in block.odd:
            end = int(np.searchsorted(block.place, number))
            self._add_block(block, begin, end, file, pending)
            begin = end
            decode = decode_lines if is_lines else decode_items
            self._take(decode([text], bad, self.options), file, pending, bad)
        self._add_block(block, begin, len(block.place), file, pending)

    def _add_block(
        self, block: Block, begin: int, end: int, file: str, pending: Pending
    ) -> None:
        if begin == end:
            return
        part = slice(begin, end)
        is_whole = begin == 0 and end == len(block.place)
        ids = block.event_id if is_whole else block.event_id.take(np.arange(begin, end))
        enriched = block.enriched if is_whole else {
            row - begin: told for row, told in block.enriched.items() if begin <= row < end}
        self.statistics.records += end - begin
        self._add(pending, file, block.call[part], block.caller[part], block.time[part], ids, None,
                  enriched)

    def _add(self, pending: Pending, file: str, *rows: Any) -> None:
        pending.add(file, *rows)
        if self._writer is not None:
            self._unwritten.add(file, *rows)

    def _plan_of_block(self, record: Record, number: int) -> PlanFlags:
        """What the extractor has to know of the plan that it numbers so."""
        row = self._plans.of(record)
        self._numbered_plans[number] = row
        if row.begins_session:
            self._session_plans.add(number)
        return self._plans.flags(row)

    def _place_of(self, record: Record, row: int) -> int:
        """Which of the ARNs listed in a record is the one resource of the call in `row`."""
        calls, at = self._calls, np.array([row])
        if calls.codes.take("member_count", at)[0] != 1:
            return -1
        member = calls.codes.take("first_member", at)
        if calls.states.values[calls.members.take("state", member)[0]] != GIVEN:
            return -1
        resource = calls.resources.values[calls.members.take("resource", member)[0]]
        return list(decode_resources(bytes(record.resources))).index(str(resource))

    def _like(self, rows: Int32Array, texts: Texts, keys: KeyChanges) -> Int32Array:
        return self._calls.like(rows, texts, keys)

    def _add_mould(self, made: MouldCall) -> int:
        return self._calls.add(*made)

    def _call_of_block(self, record: Record, number: int, caller: int) -> int:
        plan = self._numbered_plans[number]
        message, parameters = told_of(record, plan)
        return self._map_call(record, plan, message, parameters, caller)

    def _map_caller(self, record: Record) -> int:
        raw = bytes(record.userIdentity)
        if len(raw) > self.options.max_record_bytes:
            raise BadRecord(too_long(self.options.max_record_bytes))
        keys = self._keys
        given = (raw, record.awsRegion, record.recipientAccountId), (
            record.sourceIPAddress, record.vpcEndpointId, record.vpcEndpointAccountId,
            record.userAgent, bytes(record.tlsDetails) if keys.tls else None,
            bytes(record.additionalEventData) if keys.additional else None)
        row = self._callers.again(*given)
        if row is not None:
            return row
        identity = decode_identity(raw)
        additional = (decode_additional(bytes(record.additionalEventData))
                      if keys.additional else None)
        caller = Caller(
            identity,
            principal_of(identity, record.recipientAccountId),
            record.sourceIPAddress,
            record.userAgent,
            record.awsRegion,
            record.vpcEndpointId,
            record.vpcEndpointAccountId,
            decode_tls(bytes(record.tlsDetails)) if keys.tls else None,
            additional.AuthenticationMethod if additional is not None else None,
            additional.SignatureVersion if additional is not None else None,
        )
        return self._callers.add(caller, record.recipientAccountId, *given)

    def _mould_of_block(
        self, record: Record, number: int, slots: Slots
    ) -> tuple[MouldCall | None, Mould]:
        """A call and how others of its mould differ from it; None when that is open."""
        row = self._numbered_plans[number]
        message, parameters = told_of(record, row)
        resources = bytes(record.resources) if row.wants_resources else b""
        mould = learn(
            lambda parameters, resources: self._mapper.map(
                self._call(record, row, message, parameters, resources, None)),
            parameters, resources, slots, self._mapper.forms, self._keys.accounts)
        if mould.program is None:
            return None, mould
        assert record.eventName is not None and record.eventSource is not None
        return (record.eventSource, record.eventName, record.errorCode, mould.call), mould

    def _call(
        self, record: Record, plan: PlanRow, message: str | None, parameters: bytes,
        resources: bytes, own_user: str | None,
    ) -> Call:
        assert record.eventName is not None
        return Call(
            plan.plan, record.eventName, record.errorCode, message, parameters, resources, own_user,
            Where(partition_of(record.awsRegion), record.awsRegion, record.recipientAccountId),
            plan.needs_resources)

    def _map_call(
        self, record: Record, plan: PlanRow, message: str | None, parameters: bytes, caller: int
    ) -> int:
        assert record.eventName is not None and record.eventSource is not None
        is_about_self = plan.plan.is_about_self and caller >= 0
        mapped = self._mapper.map(self._call(
            record, plan, message, parameters,
            bytes(record.resources) if plan.wants_resources else b"",
            self._callers.own_user[caller] if is_about_self else None))
        return self._calls.add(record.eventSource, record.eventName, record.errorCode, mapped)


def no_log(given: Sequence[str], statistics: Statistics) -> SourceError:
    """No file was a log: says so, with the first reasons."""
    unread = statistics.failed + statistics.skipped
    shown = "; ".join(f"`{name}`: {reason}" for name, reason in unread[:3])
    more = f"; and {len(unread) - 3} more" if len(unread) > 3 else ""
    named = "`, `".join(given[:3])
    return SourceError(
        f"no CloudTrail log in `{named}` ({shown}{more})", path=given[0] if given else "",
        help="give CloudTrail files: `.json.gz` as delivered, JSON, or one record per line")


def read_logs(
    paths: Sequence[str | Path] | str | Path,
    options: LogOptions | None = None,
    keys: Sequence[str] | None = None,
    catalogue: Catalogue | None = None,
    resolver: Resolver | None = None,
    needs: Callable[[str], bool] | None = None,
    names: Names | None = None,
    sessions: Sessions | None = None,
) -> LogReader:
    """A reader over CloudTrail files, directories (recursive) and globs.

    keys : the context keys to extract, as the policies name them; None for all that records tell
           (families such as `aws:RequestTag/...` only by name). Keys that no record of a batch
           tells are left out of its `context`: they are unknown.
    needs : does anything but the action decide about it? Resources and keys of other actions are
           not built, and such calls are mapped without. None: all are built
    resolver : full ARNs of roles, users and groups by account and name, from an inventory
    names : what is known of such names, and is told more, in place of the resolver's and the log's
    sessions : what is known of tags of sessions, and is told more
    Raises SourceError here for paths that do not exist, and at the end of the iteration when no
    file was a log. Single files that cannot be read are counted in `reader.statistics`.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return LogReader(given, options or LogOptions(), keys, catalogue or load_catalogue(),
                     resolver, needs, names, sessions)
