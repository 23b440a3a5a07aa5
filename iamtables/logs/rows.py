"""Records from rows: results of Athena and CloudTrail Lake queries, Security Lake (OCSF).

Sections 1.6 to 1.8 of docs/spec/cloudtrail.md. Columns are told by their names without case and
`_`; a row becomes the record it was made from as far as its columns tell. What a query engine
printed as `{key=value}` cannot be read back: as parameters it is hidden (unknown), as an identity
the file is refused, with the remedy.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec
from msgspec import Raw

from .inflate import FileFailed, FileSkipped
from .options import LogOptions
from .records import DECODE_ERRORS, EMPTY, BadRecord, Record, too_long
from .sources import LogFile

_BATCH_ROWS = 10_000
_NOT_A_RECORD = "not a CloudTrail record"
_HIDDEN = Raw(b'"not recorded"')
"""A string in place of the parameters: they are unknown, not absent."""
_RECAST = "cast it in the query (`json_format(cast(useridentity as json))`)"

_TEXTS = ("eventSource", "eventName", "eventID", "eventTime", "awsRegion", "recipientAccountId",
          "sourceIPAddress", "userAgent", "errorCode", "errorMessage", "eventType",
          "eventCategory", "eventVersion", "vpcEndpointId", "vpcEndpointAccountId")
_RAWS = ("tlsDetails", "additionalEventData", "addendum", "responseElements", "eventContext")
_FIELDS = {name.lower(): name for name in (
    *_TEXTS, *_RAWS, "userIdentity", "requestParameters", "resources")}
_NESTED = {name.lower(): name for name in (
    "principalId", "accountId", "accessKeyId", "userName", "invokedBy", "identityProvider",
    "sessionContext", "sessionIssuer", "attributes", "mfaAuthenticated", "creationDate",
    "webIdFederationData", "federatedProvider", "sourceIdentity", "ec2RoleDelivery",
    "assumedRoot", "onBehalfOf", "userId", "identityStoreArn", "tlsVersion", "cipherSuite",
    "clientProvidedHostHeader", "ARNPrefix", "originalEventID", "updatedFields", "credentials",
    "requestContext", "tagContext", "principalTags", "resourceTags")}

encode = msgspec.json.Encoder(enc_hook=str).encode
Row = dict[str, Any]


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def is_event_table(names: list[str]) -> bool:
    """Do these columns hold CloudTrail events, as they are or as OCSF?"""
    folded = {_folded(name) for name in names}
    return {"eventname", "eventsource"} <= folded or {"api", "actor"} <= folded


def is_csv(file: LogFile, head: bytes) -> bool:
    """A CSV result with columns of events."""
    if file.suffix != ".csv":
        return False
    line = head.lstrip().partition(b"\n")[0].decode("utf-8", "replace")
    return is_event_table(next(csv.reader([line]), []))


def read_csv(
    head: bytes, pieces: Iterator[bytes], options: LogOptions, bad: Counter[str]
) -> Iterator[list[Record]]:
    """Rows of a CSV result. Raises FileSkipped, FileFailed."""
    csv.field_size_limit(min(options.max_document_bytes, 2**31 - 1))
    reader = csv.reader(_lines(chain((head,), pieces), options))
    try:
        names = next(reader, [])
        take = _event_of([name.strip() for name in names], is_text=True)
        records: list[Record] = []
        is_first = True
        for row in reader:
            if len(row) != len(names):
                bad["a row with another number of columns"] += 1
                continue
            _add(records, take, dict(zip(names, row, strict=True)), bad,
                 options.max_record_bytes, is_first=is_first)
            is_first = False
            if len(records) >= _BATCH_ROWS:
                yield records
                records = []
        yield records
    except csv.Error as error:
        raise FileFailed(f"not valid CSV: {error}") from error


def _lines(pieces: Iterator[bytes], options: LogOptions) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        rest += piece
        if len(rest) > options.max_document_bytes:
            raise FileFailed(f"a line of more than {options.max_document_bytes:,} bytes "
                             "(max_document_bytes)")
        block, newline, rest = rest.rpartition(b"\n")
        yield from io.StringIO((block + newline).decode("utf-8", "replace"), newline="")
    if rest:
        yield rest.decode("utf-8", "replace")


def read_parquet(
    file: LogFile, options: LogOptions, bad: Counter[str]
) -> Iterator[list[Record]]:
    """Rows of a Parquet file. Raises FileSkipped, FileFailed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.opener.open() as stream:
            source = stream if stream.seekable() else pa.BufferReader(stream.read())
            parquet = pq.ParquetFile(source)
            names = list(parquet.schema_arrow.names)
            if not is_event_table(names):
                raise FileSkipped("Parquet without columns of CloudTrail events")
            take = _taker(names)
            is_first = True
            for batch in parquet.iter_batches(_BATCH_ROWS):
                records: list[Record] = []
                for row in batch.to_pylist():
                    _add(records, take, row, bad, options.max_record_bytes, is_first=is_first)
                    is_first = False
                yield records
            if is_first:
                yield []
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFailed(f"cannot be read as Parquet: {reason}") from error
    if file.has_changed():
        raise FileFailed("changed while it was read")


Take = Callable[[Row], Record]


def _taker(names: list[str]) -> Take:
    folded = {_folded(name) for name in names}
    return _event_of(names, is_text=False) if "eventname" in folded else _of_ocsf


def _add(
    records: list[Record], take: Take, row: Row, bad: Counter[str], max_record_bytes: int, *,
    is_first: bool,
) -> None:
    try:
        record = take(row)
        if sum(map(len, (record.userIdentity, record.requestParameters, record.resources,
                         record.additionalEventData, record.eventContext))) > max_record_bytes:
            raise BadRecord(too_long(max_record_bytes))
        records.append(record)
    except _NotJson as error:
        if is_first:
            raise FileSkipped(f"`{error}` is not JSON: {_RECAST}") from None
        bad[f"`{error}` is not JSON"] += 1
    except BadRecord as error:
        bad[str(error)] += 1


class _NotJson(Exception):
    """The argument is the column."""


def _event_of(names: list[str], *, is_text: bool) -> Take:
    """Rows with CloudTrail's own columns, whatever their case; `useridentity.arn` counts too."""
    columns: dict[str, str] = {}
    nested: list[tuple[str, tuple[str, ...]]] = []
    for name in names:
        field = _FIELDS.get(_folded(name))
        if field is not None:
            columns.setdefault(field, name)
        else:
            path = tuple(name.lower().replace("__", ".").split("."))
            if len(path) > 1 and path[0] == "useridentity":
                nested.append((name, path[1:]))

    def take(row: Row) -> Record:
        values: dict[str, Any] = {}
        for field in _TEXTS:
            if (column := columns.get(field)) is not None:
                values[field] = _text(row[column], is_text)
        for field in _RAWS:
            if (column := columns.get(field)) is not None:
                value = row[column]
                if field == "eventContext":
                    value = _without_maps(value)
                values[field] = _json(value, column, is_text, EMPTY)
        identity = row[columns["userIdentity"]] if "userIdentity" in columns else None
        if nested:
            identity = dict(identity) if isinstance(identity, dict) else {}
            for column, path in nested:
                _put(identity, path, _text(row[column], is_text))
        column = columns.get("userIdentity", "useridentity")
        values["userIdentity"] = _json(identity, column, is_text, None)
        column = columns.get("requestParameters", "")
        values["requestParameters"] = (
            _json(row[column], column, is_text, _HIDDEN) if column else _HIDDEN)
        if (column := columns.get("resources")) is not None:
            values["resources"] = _json(row[column], column, is_text, EMPTY)
        return _checked(values)

    return take


def _checked(values: dict[str, Any]) -> Record:
    if not values.get("eventName") or not values.get("eventSource"):
        raise BadRecord(_NOT_A_RECORD)
    return Record(**values)


def _put(holder: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *outer, last = path
    for name in outer:
        inner = holder.get(name)
        if not isinstance(inner, dict):
            inner = holder[name] = {}
        holder = inner
    holder[last] = value


def _text(value: object, is_text: bool) -> str | None:
    if value is None or (is_text and value == ""):
        return None
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _json(value: object, column: str, is_text: bool, instead: Raw | None) -> Raw:
    """The value as JSON. What is no JSON gives `instead`, or raises _NotJson when that is None."""
    if value is None or (is_text and value == ""):
        return EMPTY
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        if value.lstrip()[:1] not in ("{", "[", '"', "n"):
            return _not_json(column, instead)
        try:
            msgspec.json.decode(data)
        except DECODE_ERRORS:
            return _not_json(column, instead)
        return Raw(_recased(data)) if column.islower() and column != "requestparameters" \
            else Raw(data)
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return _not_json(column, instead)  # an Arrow map: nested values have become text
    if isinstance(value, dict | list):
        return Raw(encode(_recase(value)))
    return _not_json(column, instead)


def _without_maps(value: Any) -> Any:
    """Arrow maps, lists of pairs in Python, as objects."""
    if isinstance(value, dict):
        return {name: _without_maps(inner) for name, inner in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and isinstance(item[0], str) for item in value):
            return {name: _without_maps(inner) for name, inner in value}
        return [_without_maps(item) for item in value]
    return value


def _not_json(column: str, instead: Raw | None) -> Raw:
    if instead is None:
        raise _NotJson(column)
    return instead


def _recased(data: bytes) -> bytes:
    return encode(_recase(msgspec.json.decode(data)))


def _recase(value: Any) -> Any:
    """Names as CloudTrail writes them, where a table has them in lower case."""
    if isinstance(value, dict):
        return {_NESTED.get(key.lower(), key) if key.islower() else key: _recase(inner)
                for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_recase(item) for item in value]
    return value


# -- OCSF ---------------------------------------------------------------------------------------


def _at(row: Any, *paths: str) -> Any:
    """What stands at the first of the paths that holds something; names differ by version."""
    for path in paths:
        here = row
        for name in path.split("."):
            here = here.get(name) if isinstance(here, dict) else None
            if here is None:
                break
        if here is not None and here != "":
            return here
    return None


def _stamp(milliseconds: object) -> str | None:
    if isinstance(milliseconds, datetime):
        return _text(milliseconds, is_text=False)
    if not isinstance(milliseconds, int | float):
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_ocsf(row: Row) -> Record:
    """API activity (class 6003) and what else comes from CloudTrail."""
    unmapped = row.get("unmapped")
    extra = dict(unmapped) if isinstance(unmapped, list | dict) else {}
    issuer = _at(row, "actor.session.issuer")
    created = _stamp(_at(row, "actor.session.created_time"))
    mfa = _at(row, "actor.session.is_mfa", "actor.session.mfa")
    session: dict[str, Any] = {}
    if issuer is not None:
        kind = "Root" if str(issuer).endswith(":root") else "Role" if ":role/" in str(issuer) \
            else "IAMUser"
        session["sessionIssuer"] = {"type": kind, "arn": str(issuer)}
    if mfa is not None or created is not None:
        session["attributes"] = {
            "mfaAuthenticated": None if mfa is None else str(mfa).lower(),
            "creationDate": created}
    account = _at(row, "actor.user.account.uid", "actor.user.account_uid")
    identity = {
        "type": _at(row, "actor.user.type", "actor.idp.name"),
        "principalId": _at(row, "actor.user.uid_alt"),
        "arn": _at(row, "actor.user.uid", "actor.user.uuid"),
        "accountId": account,
        "accessKeyId": _at(row, "actor.user.credential_uid"),
        "userName": _at(row, "actor.user.name"),
        "invokedBy": _at(row, "actor.invoked_by"),
        "sessionContext": session or None,
    }
    if identity["arn"] is not None and not str(identity["arn"]).startswith("arn:"):
        identity["arn"] = None
    resources = [
        {"ARN": resource["uid"],
         "accountId": _at(resource, "owner.account.uid", "owner.account_uid", "account_uid")}
        for resource in row.get("resources") or ()
        if isinstance(resource, dict) and isinstance(resource.get("uid"), str)]
    data = _at(row, "api.request.data") or extra.get("requestParameters")
    values = {
        "eventName": _at(row, "api.operation"),
        "eventSource": _at(row, "api.service.name"),
        "eventID": _at(row, "metadata.uid"),
        "eventTime": _stamp(row.get("time")) or _at(row, "time_dt"),
        "awsRegion": _at(row, "cloud.region"),
        "recipientAccountId": extra.get("recipientAccountId") or _at(
            row, "cloud.account.uid", "cloud.account_uid", "accountid"),
        "sourceIPAddress": _at(row, "src_endpoint.ip", "src_endpoint.domain"),
        "vpcEndpointId": _at(row, "src_endpoint.uid"),
        "userAgent": _at(row, "http_request.user_agent"),
        "errorCode": _at(row, "api.response.error"),
        "errorMessage": _at(row, "api.response.message"),
        "eventType": extra.get("eventType") or _at(row, "metadata.event_code"),
        "eventCategory": extra.get("eventCategory"),
        "eventVersion": _at(row, "metadata.product.version"),
    }
    made: dict[str, Any] = {name: _text(value, is_text=False) for name, value in values.items()}
    made["userIdentity"] = Raw(encode(identity))
    made["resources"] = Raw(encode(resources)) if resources else EMPTY
    made["requestParameters"] = _json(data, "", False, _HIDDEN) if data is not None else _HIDDEN
    if made["requestParameters"] == EMPTY:
        made["requestParameters"] = _HIDDEN
    return _checked(made)

