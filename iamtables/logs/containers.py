"""From a path to lists of records, whatever the file wraps them in.

Recognition goes by content (docs/spec/cloudtrail.md, section 1): the delivery file with its
`Records` list, newline-delimited records, EventBridge envelopes, LookupEvents output, CloudWatch
exports (objects, or lines `timestamp {record}`), SNS and SQS wrappers. A file that is none of
these is skipped with its reason; a record that cannot be decoded is counted under its reason and
costs only itself. A document is decoded at once, lines are read in pieces, so memory is bounded
either way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TypeVar

import msgspec
from msgspec import Raw

from .inflate import PIECE_BYTES, FileFailed, FileSkipped, inflated
from .options import LogOptions
from .records import (
    DECODE_ERRORS,
    BadRecord,
    DeliveryDecoder,
    Envelope,
    EnvelopeDecoder,
    RawListDecoder,
    Record,
    RecordDecoder,
    StringDecoder,
    UnreadDecoder,
    corrected_id,
    describe,
    too_long,
)
from .rows import is_csv, read_csv, read_parquet
from .salvage import repair, salvage_records
from .sources import LogFile

_R = TypeVar("_R")
_MAX_WRAPPERS = 5
_PROBE_LINES = 1000
_CHUNK_RECORDS = 50_000
_NOT_A_RECORD = "not a CloudTrail record"
_ADDENDUM = b"addendum"
_STAMPED = re.compile(rb"[^{]{4,80}?[ \t](\{.*)", re.DOTALL)
_MAGIC = {
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2 data",
    b"Obj\x01": "Avro",
}


TakeBlock = Callable[[bytes, bool], bool]
"""(text, is it lines) -> did the compiled extractor take all of it? Else it is decoded here."""


def read_file(
    file: LogFile, options: LogOptions, bad: Counter[str], take: TakeBlock | None = None,
    pieces: Iterator[bytes] | None = None,
) -> Iterator[list[Record]]:
    """Lists of decoded records; `bad` counts those left out.

    take   : is offered documents and blocks of lines first; what it takes gives an empty list
    pieces : what `inflated` gives for the file, when that has been begun
    Raises FileSkipped before the first list, FileFailed at any time.
    """
    if pieces is None:
        pieces = inflated(file, options)
    head = _head(pieces)
    if head[:4] == b"PAR1":
        yield from read_parquet(file, options, bad)
    elif is_csv(file, head):
        yield from read_csv(head, pieces, options, bad)
    elif _is_lines(head):
        yield from _read_lines(head, pieces, options, bad, take)
    else:
        yield from _read_document(head, pieces, options, bad, take)


def corrections_in(file: LogFile, options: LogOptions) -> tuple[list[str], list[str | None]]:
    """(event ID, receiving account) of every record of a file that another one in it corrects.

    What is wrong with the file is found out when it is read.
    """
    replaced: list[str] = []
    accounts: list[str | None] = []
    tail = b""
    try:
        for piece in inflated(file, options):
            if _ADDENDUM in tail + piece[: len(_ADDENDUM)] or _ADDENDUM in piece:
                break
            tail = piece[-len(_ADDENDUM) :]
        else:
            return replaced, accounts
        for records in read_file(file, options, Counter()):
            for record in records:
                with suppress(BadRecord):
                    if record.addendum and (found := corrected_id(record)):
                        replaced.append(found)
                        accounts.append(record.recipientAccountId)
    except (FileSkipped, FileFailed):
        pass
    return replaced, accounts


def _head(pieces: Iterator[bytes]) -> bytes:
    """Enough of the content to tell lines from a document: the start of a second line, if any."""
    head = next(pieces, b"").removeprefix(b"\xef\xbb\xbf")
    while len(head) < PIECE_BYTES and not head.lstrip().partition(b"\n")[2].strip():
        more = next(pieces, None)
        if more is None:
            break
        head += more
    if not head.strip():
        raise FileSkipped("empty file")
    return head


def _is_lines(head: bytes) -> bool:
    """Does the file hold one JSON object per line, and not one document? Raises FileSkipped."""
    text = head.lstrip()
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            raise FileSkipped(f"{name}: a format this reader does not take")
    first, newline, rest = text.partition(b"\n")
    if text[:1] == b"{":
        if not newline:
            return False
        try:
            msgspec.json.decode(first, type=Raw)
        except DECODE_ERRORS:
            return False
        return bool(rest.strip())
    if text[:1] == b"[":
        return False
    if (stamped := _STAMPED.fullmatch(first)) is not None:
        try:
            msgspec.json.decode(stamped.group(1), type=Raw)
            return True
        except DECODE_ERRORS:
            pass
    raise FileSkipped("not JSON")


def _read_document(
    head: bytes, pieces: Iterator[bytes], options: LogOptions, bad: Counter[str],
    take: TakeBlock | None,
) -> Iterator[list[Record]]:
    parts: list[bytes] = []
    size = 0
    for piece in chain((head,), pieces):
        parts.append(piece)
        size += len(piece)
        if size > options.max_document_bytes:
            raise FileFailed(
                f"a JSON document of more than {options.max_document_bytes:,} bytes "
                "(max_document_bytes)"
            )
    data = b"".join(parts) if len(parts) > 1 else head
    parts.clear()
    if take is not None and take(data, False):
        yield []
        return
    try:
        if len(data) > options.max_record_bytes:
            texts = UnreadDecoder.decode(data).Records
            if any(len(text) > options.max_record_bytes for text in texts):
                yield from _chunks(decode_items(texts, bad, options))
                return
            del texts
        records = DeliveryDecoder.decode(data).Records
    except DECODE_ERRORS:
        pass
    else:
        del data
        yield from _chunks(records)
        return
    # Not the usual file, or one record of it is faulty: take it apart, record by record.
    if data.lstrip()[:1] == b"[":
        raws = _raw_list(data)
        local: Counter[str] = Counter()
        found = list(_unwrap_all(raws, local, options))
        if not found and raws:
            raise FileSkipped("a JSON array without any CloudTrail record")
        bad.update(local)
        yield from _chunks(found)
        return
    try:
        envelope = EnvelopeDecoder.decode(data)
    except msgspec.ValidationError as error:
        raise FileSkipped(f"not a CloudTrail file: {describe(error)}") from error
    except DECODE_ERRORS as error:
        salvage = salvage_records(data)
        if not salvage.items:
            raise FileFailed(describe(error)) from error
        yield from _chunks(decode_items(salvage.items, bad, options))
        if not salvage.is_whole:
            raise FileFailed(describe(error)) from error
        return
    unwrapped = _unwrap(envelope, bad, options)
    if unwrapped is None:
        raise FileSkipped(_why_not(envelope))
    yield from _chunks(unwrapped)


def _chunks(records: list[Record]) -> Iterator[list[Record]]:
    """At least one list, even for a file without records: the file was read."""
    if len(records) <= _CHUNK_RECORDS:
        yield records
    else:
        for start in range(0, len(records), _CHUNK_RECORDS):
            yield records[start : start + _CHUNK_RECORDS]


def _raw_list(data: bytes | Raw) -> list[Raw]:
    try:
        return RawListDecoder.decode(data)
    except DECODE_ERRORS as error:
        raise FileFailed(describe(error)) from error


def _read_lines(
    head: bytes, pieces: Iterator[bytes], options: LogOptions, bad: Counter[str],
    take: TakeBlock | None,
) -> Iterator[list[Record]]:
    """Newline-delimited JSON. A file whose first lines hold no record at all is skipped."""
    local: Counter[str] = Counter()
    recognised = False
    line_count = 0
    rest = b""
    try:
        for piece in _with_end(head, pieces):
            rest += piece or b"\n"
            block, newline, rest = rest.rpartition(b"\n")
            if not newline:
                if len(rest) > options.max_document_bytes:
                    raise FileFailed(
                        f"a line of more than {options.max_document_bytes:,} bytes "
                        "(max_document_bytes)"
                    )
                continue
            if take is not None and take(block, True):
                recognised = True
                yield []
                continue
            lines = [line for line in block.split(b"\n") if line and not line.isspace()]
            line_count += len(lines)
            records = decode_lines(lines, local, options)
            if records:
                recognised = True
                yield records
            if not recognised and line_count >= _PROBE_LINES:
                break
        if not recognised:
            local.clear()
            raise FileSkipped("no line holds a CloudTrail record")
    finally:
        bad.update(local)


def _with_end(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, then b"" so that a last line without a line break is taken too."""
    yield head
    failed: FileFailed | None = None
    try:
        yield from pieces
    except FileFailed as error:
        failed = error  # what came before is used, then the failure is reported
    yield b""
    if failed is not None:
        raise failed


def decode_lines(lines: list[bytes], bad: Counter[str], options: LogOptions) -> list[Record]:
    records: list[Record] = []
    limit = options.max_record_bytes
    for line in lines:
        if line[:1] != b"{":
            stamped = _STAMPED.fullmatch(line.strip())
            line = stamped.group(1) if stamped is not None else line
        try:
            envelope = decode_repaired(EnvelopeDecoder, line)
        except DECODE_ERRORS as error:
            bad[describe(error)] += 1
            continue
        if envelope.eventName is not None and envelope.eventSource is not None:
            if len(line) > limit:
                bad[too_long(limit)] += 1
            else:
                records.append(envelope)
            continue
        unwrapped = _unwrap(envelope, bad, options)
        if unwrapped is None:
            bad[_NOT_A_RECORD] += 1
        else:
            records += unwrapped
    return records


def _unwrap_all(
    raws: list[Raw], bad: Counter[str], options: LogOptions, depth: int = 0
) -> Iterator[Record]:
    for raw in raws:
        try:
            envelope = decode_repaired(EnvelopeDecoder, raw)
            unwrapped = _unwrap(envelope, bad, options, depth + 1)
        except DECODE_ERRORS as error:
            bad[describe(error)] += 1
            continue
        if unwrapped is None:
            bad[_NOT_A_RECORD] += 1
        elif unwrapped == [envelope] and len(raw) > options.max_record_bytes:
            bad[too_long(options.max_record_bytes)] += 1
        else:
            yield from unwrapped


def _unwrap(
    envelope: Envelope, bad: Counter[str], options: LogOptions, depth: int = 0
) -> list[Record] | None:
    """The records inside a wrapper; None when it is no known wrapper."""
    if depth > _MAX_WRAPPERS:
        return None
    if envelope.eventName is not None and envelope.eventSource is not None:
        return [envelope]
    if envelope.Records:
        return _records_list(envelope.Records, bad, options)
    for inner in (envelope.Events, envelope.logEvents, envelope.Messages):
        if inner:
            try:
                raws = RawListDecoder.decode(inner)
            except DECODE_ERRORS:
                return None
            return list(_unwrap_all([_text(raw) for raw in raws], bad, options, depth))
    for inner in (envelope.CloudTrailEvent, envelope.Message, envelope.Body, envelope.body,
                  envelope.detail):
        if inner:
            return _unwrap_inner(inner, bad, options, depth)
    return None


def _records_list(
    raw: Raw, bad: Counter[str], options: LogOptions
) -> list[Record] | None:
    """The items of `Records`, one by one: a faulty one costs only itself."""
    try:
        raws = RawListDecoder.decode(raw)
    except DECODE_ERRORS:
        return None
    return decode_items(raws, bad, options)


def decode_items(
    raws: Sequence[bytes | Raw], bad: Counter[str], options: LogOptions
) -> list[Record]:
    records: list[Record] = []
    for item in raws:
        try:
            if len(item) > options.max_record_bytes:
                raise BadRecord(too_long(options.max_record_bytes))
            records.append(decode_repaired(RecordDecoder, item))
        except BadRecord as error:
            bad[str(error)] += 1
        except DECODE_ERRORS as error:
            bad[describe(error)] += 1
    return records


def _unwrap_inner(
    inner: Raw, bad: Counter[str], options: LogOptions, depth: int
) -> list[Record] | None:
    """One wrapped object, or a string that holds the JSON of one."""
    content: bytes | Raw = inner
    if bytes(memoryview(inner)[:1]) == b'"':
        try:
            content = StringDecoder.decode(inner).encode("utf-8", "surrogatepass")
        except DECODE_ERRORS:
            return None
    try:
        envelope = decode_repaired(EnvelopeDecoder, content)
    except DECODE_ERRORS as error:
        bad[describe(error)] += 1
        return []
    unwrapped = _unwrap(envelope, bad, options, depth + 1)
    if unwrapped == [envelope] and len(memoryview(content)) > options.max_record_bytes:
        bad[too_long(options.max_record_bytes)] += 1
        return []
    return unwrapped


def decode_repaired(decoder: msgspec.json.Decoder[_R], data: bytes | Raw) -> _R:
    """Decode one record or wrapper; escapes that are no characters are replaced."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return decoder.decode(repair(bytes(data)))


class _Message(msgspec.Struct):
    message: str | None = None


def _text(raw: Raw) -> Raw:
    """The JSON text in the member `message` of an export item; the item itself when it has none."""
    try:
        message = msgspec.json.decode(raw, type=_Message).message
    except DECODE_ERRORS:
        return raw
    return raw if message is None else Raw(message.encode("utf-8", "surrogatepass"))


def _why_not(envelope: Envelope) -> str:
    if envelope.logFiles or envelope.digestEndTime:
        return "a CloudTrail digest file"
    if envelope.configurationItems:
        return "an AWS Config file"
    if envelope.s3ObjectKey:
        return "a delivery notification without the records"
    return "JSON without a `Records` list"
