"""The fields of a CloudTrail record that matter here, and how they are decoded.

Decoding is typed: `msgspec` skips what is not named below, and leaves the large nested parts as
raw slices, to be decoded once per distinct value. A record of the wrong shape must cost only
itself: the caller falls back to one record at a time, and `describe` turns the decoder's complaint
into the short reason under which the record is counted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

EMPTY = Raw()


class Record(msgspec.Struct, gc=False):
    """One event. Both a missing field and a null give the default."""

    eventSource: str | None = None
    eventName: str | None = None
    eventID: str | None = None
    eventTime: str | None = None
    userIdentity: Raw = EMPTY
    awsRegion: str | None = None
    recipientAccountId: str | None = None
    sourceIPAddress: str | None = None
    userAgent: str | None = None
    errorCode: str | None = None
    errorMessage: str | None = None
    requestParameters: Raw = EMPTY
    resources: Raw = EMPTY
    eventType: str | None = None
    eventCategory: str | None = None
    eventVersion: str | None = None
    vpcEndpointId: str | None = None
    vpcEndpointAccountId: str | None = None
    tlsDetails: Raw = EMPTY
    additionalEventData: Raw = EMPTY
    timestamp: str | None = msgspec.field(name="@timestamp", default=None)
    addendum: Raw = EMPTY
    responseElements: Raw = EMPTY
    eventContext: Raw = EMPTY


class Envelope(Record, gc=False):
    """A record, or one of the wrappers that hold records (docs/spec/cloudtrail.md, section 1)."""

    Records: Raw = EMPTY
    Events: Raw = EMPTY
    logEvents: Raw = EMPTY
    detail: Raw = EMPTY
    CloudTrailEvent: Raw = EMPTY
    Message: Raw = EMPTY
    Body: Raw = EMPTY
    body: Raw = EMPTY
    Messages: Raw = EMPTY
    logFiles: Raw = EMPTY
    digestEndTime: Raw = EMPTY
    configurationItems: Raw = EMPTY
    s3ObjectKey: Raw = EMPTY


class Delivery(msgspec.Struct):
    """The usual file."""

    Records: list[Record]


class Unread(msgspec.Struct):
    """The usual file, its records as text."""

    Records: list[Raw]


class Attributes(msgspec.Struct, gc=False):
    mfaAuthenticated: str | bool | None = None
    creationDate: str | None = None


class SessionIssuer(msgspec.Struct, gc=False):
    type: str | None = None
    arn: str | None = None


class WebIdentity(msgspec.Struct, gc=False):
    federatedProvider: str | None = None


class SessionContext(msgspec.Struct, gc=False):
    attributes: Attributes | None = None
    sessionIssuer: SessionIssuer | None = None
    webIdFederationData: WebIdentity | None = None
    sourceIdentity: str | None = None
    ec2RoleDelivery: str | None = None
    assumedRoot: str | bool | None = None


class OnBehalfOf(msgspec.Struct, gc=False):
    userId: str | None = None


class UserIdentity(msgspec.Struct, gc=False):
    type: str | None = None
    principalId: str | None = None
    arn: str | None = None
    accountId: str | None = None
    accessKeyId: str | None = None
    userName: str | None = None
    invokedBy: str | None = None
    identityProvider: str | None = None
    sessionContext: SessionContext | None = None
    onBehalfOf: OnBehalfOf | None = None


class TlsDetails(msgspec.Struct, gc=False):
    tlsVersion: str | None = None


class AdditionalData(msgspec.Struct, gc=False):
    AuthenticationMethod: str | None = None
    SignatureVersion: str | None = None


class Addendum(msgspec.Struct, gc=False):
    reason: str | None = None
    originalEventID: str | None = None


RecordDecoder = msgspec.json.Decoder(Record)
EnvelopeDecoder = msgspec.json.Decoder(Envelope)
DeliveryDecoder = msgspec.json.Decoder(Delivery)
UnreadDecoder = msgspec.json.Decoder(Unread)
RawListDecoder = msgspec.json.Decoder(list[Raw])
StringDecoder = msgspec.json.Decoder(str)
_identity = msgspec.json.Decoder(UserIdentity | None)
_tls = msgspec.json.Decoder(TlsDetails | None)
_additional = msgspec.json.Decoder(AdditionalData | None)
_addendum = msgspec.json.Decoder(Addendum | None)

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Everything the decoder can raise on hostile bytes."""


class BadRecord(Exception):
    """A record that cannot be used; the argument is the reason it is counted under."""


def too_long(max_record_bytes: int) -> str:
    """The reason under which a record beyond the limit is counted."""
    return f"longer than {max_record_bytes:,} bytes (max_record_bytes)"


_PLACE = re.compile(r" - at `\$((?:\.\w+|\[[^]]*\]|\.@\w+)*)`")


def describe(error: Exception, prefix: str = "") -> str:
    """A short, countable reason: which field is wrong, or how the JSON is broken."""
    if isinstance(error, msgspec.ValidationError):
        place = _PLACE.search(str(error))
        path = re.sub(r"\[[^]]*\]", "", place.group(1)) if place else ""
        path = path.removeprefix(".Records").strip(".")
        name = ".".join(part for part in (prefix, path) if part)
        return f"`{name}` has the wrong type" if name else "not a JSON object"
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not valid UTF-8"
    return "JSON ends early" if "truncated" in str(error) else "not valid JSON"


def _typed(decoder: msgspec.json.Decoder[Any], raw: bytes, name: str) -> Any:
    if not raw:
        return None
    try:
        return decoder.decode(raw)
    except DECODE_ERRORS as error:
        raise BadRecord(describe(error, name)) from error


def decode_identity(raw: bytes) -> UserIdentity | None:
    """`userIdentity`; None when missing or null. Raises BadRecord."""
    found: UserIdentity | None = _typed(_identity, raw, "userIdentity")
    return found


def decode_tls(raw: bytes) -> TlsDetails | None:
    found: TlsDetails | None = _typed(_tls, raw, "tlsDetails")
    return found


def decode_additional(raw: bytes) -> AdditionalData | None:
    found: AdditionalData | None = _typed(_additional, raw, "additionalEventData")
    return found


def corrected_id(record: Record) -> str | None:
    """The event ID of the record that this one replaces; None when it replaces none.

    CloudTrail names it where it is not that of the record itself. Raises BadRecord.
    """
    found: Addendum | None = _typed(_addendum, bytes(record.addendum), "addendum")
    if found is None:
        return None
    return found.originalEventID or (
        record.eventID if found.reason == "UPDATED_DATA" else None)


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)"
    r"(?:\.\d+)?(?:Z|\+00:00| UTC)?", re.ASCII
)


@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    """Unix time of the start of a day `YYYY-MM-DD`; -1 when there is no such day."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return -1


@lru_cache(maxsize=4096)
def seconds(text: str | None) -> int:
    """Unix time of a record's UTC time stamp; -1 when there is none or it cannot be read."""
    if text is None or (match := _TIME.fullmatch(text)) is None:
        return -1
    day, hour, minute, second = match.groups()
    start = _day(day)
    return -1 if start < 0 else start + int(hour) * 3600 + int(minute) * 60 + int(second)
