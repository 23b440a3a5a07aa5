"""What an enriched record tells in its `eventContext`: condition keys and tags as AWS had them.

Section 6 of docs/spec/cloudtrail.md. A customer chooses which keys and which tags go into it, so
one that is not there is what it is without it, and one that is there is given: it stands above
what follows from the rest of the record. Each distinct text is read once and kept in a normal
form, JSON again, which a batch and a cache carry by record; a column of a key is then changed by
distinct text. Parts of a wrong shape tell nothing; a value that is hidden, or given in two ways,
makes its key unknown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from .columns import ABSENT, NOT_GIVEN, UNKNOWN, Coded, Dictionary, Int32Array, packed
from .parameters import is_hidden, scalar
from .records import DECODE_ERRORS
from .request_keys import is_multivalued

_PRINCIPAL_TAG, _RESOURCE_TAG = "aws:principaltag/", "aws:resourcetag/"
_MAX_REMEMBERED_BYTES = 4096
_MAX_REMEMBERED = 4096
_NOT_TOLD, _OF_ONE = -3, -4
"""In a table of codes: the text does not tell the key, or for one of several requests only."""

_Given = str | list[str] | bool
"""In the normal form; False is a value that is not known."""


class _Normal(msgspec.Struct):
    keys: dict[str, _Given] = {}
    """By lower-case name; tags of the principal are among them."""
    tags: dict[str, dict[str, _Given]] = {}
    """ARN -> tags of that resource by lower-case name."""


_normal = msgspec.json.Decoder(_Normal)


class EventContexts:
    """Reads the `eventContext` of records; each distinct text once, as long as it is remembered."""

    def __init__(self, keys: Collection[str] | None) -> None:
        """keys : the names that matter, in any case; None for all"""
        self._keys = None if keys is None else frozenset(key.lower() for key in keys)
        self._known: dict[bytes, str] = {}

    def told(self, raw: bytes) -> str:
        """What the JSON text of an `eventContext` tells, in the normal form; empty for nothing."""
        found = self._known.get(raw)
        if found is None:
            found = self._read(raw)
            if len(raw) <= _MAX_REMEMBERED_BYTES:
                if len(self._known) >= _MAX_REMEMBERED:
                    self._known.clear()
                self._known[raw] = found
        return found

    def _read(self, raw: bytes) -> str:
        try:
            decoded = msgspec.json.decode(raw)
        except DECODE_ERRORS:
            return ""
        of_tags = _object(decoded).get("tagContext")
        told: dict[str, _Given] = {}
        for name, value in _object(_object(decoded).get("requestContext")).items():
            self._put(told, name.lower(), _value(name, value))
        for name, value in _object(_object(of_tags).get("principalTags")).items():
            self._put(told, _PRINCIPAL_TAG + name.lower(), _tag(value))
        tags: dict[str, dict[str, _Given]] = {}
        listed = _object(of_tags).get("resourceTags")
        for entry in listed if isinstance(listed, list) else ():
            arn = _object(entry).get("arn")
            if isinstance(arn, str) and arn.startswith("arn:") and not is_object_of_s3(arn):
                for name, value in _object(_object(entry).get("tags")).items():
                    if self._matters(_RESOURCE_TAG + name.lower()):
                        _add(tags.setdefault(arn, {}), name.lower(), _tag(value))
        tags = {arn: found for arn, found in tags.items() if found}
        if not told and not tags:
            return ""
        return json.dumps({"keys": told, "tags": tags}, ensure_ascii=False, sort_keys=True)

    def _put(self, told: dict[str, _Given], name: str, value: _Given | None) -> None:
        if self._matters(name):
            _add(told, name, value)

    def _matters(self, name: str) -> bool:
        return self._keys is None or name in self._keys


def is_object_of_s3(arn: str) -> bool:
    """An object in a bucket: its tags are `s3:ExistingObjectTag`, not `aws:ResourceTag`."""
    fields = arn.split(":", 5)
    return len(fields) == 6 and fields[2] == "s3" and not fields[3] and "/" in fields[5]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _value(name: str, value: object) -> _Given | None:
    """The value of a key of `requestContext`; None for null, which tells nothing."""
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    texts = [None if isinstance(item, list) else scalar(item) for item in items]
    shown = [text for text in texts if text is not None and not is_hidden(text)]
    if len(shown) < len(items):
        return False
    if is_multivalued(name):
        return shown or False
    return shown[0] if len(shown) == 1 else False


def _tag(value: object) -> _Given | None:
    if value is None:
        return None
    return value if isinstance(value, str) and not is_hidden(value) else False


def _add(told: dict[str, _Given], name: str, value: _Given | None) -> None:
    if value is not None:
        told[name] = value if told.get(name, value) == value else False


def check_told(text: str) -> None:
    """Raises ValueError for text that `EventContexts.told` did not make."""
    try:
        _normal.decode(text.encode("utf-8", "surrogatepass"))
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error


class Enrichment:
    """What the records of a batch tell beyond their other fields.

    told   : number of a record -> normal form
    group  : record of each request
    resource : of each request
    """

    def __init__(self, told: Mapping[int, str], records: int, group: Int32Array,
                 resource: Coded) -> None:
        numbers: dict[str, int] = {}
        of_record = np.full(records, -1, dtype=np.int32)
        for row, text in told.items():
            of_record[row] = numbers.setdefault(text, len(numbers))
        self._texts = [_normal.decode(text) for text in numbers]
        requests = of_record[group]
        rows = np.flatnonzero(requests >= 0)
        self._rows = rows
        self._text = requests[rows]
        self._resource = Coded(resource.codes[rows], resource.values)
        self._is_single = (np.bincount(group, minlength=records)[group] == 1)[rows]
        self._names = {name for text in self._texts for name in text.keys} | {
            _RESOURCE_TAG + name for text in self._texts for tags in text.tags.values()
            for name in tags}

    def tells(self, name: str) -> bool:
        """Is there anything of this key in any of the texts?"""
        return name.lower() in self._names

    def over(self, name: str, column: Coded) -> Coded:
        """The column of a key with what is given in place of what was derived."""
        if not self.tells(name):
            return column
        lower = name.lower()
        values = Dictionary()
        codes = self._of_keys(lower, values)
        if lower.startswith(_RESOURCE_TAG):
            by_tag = self._of_tags(lower.removeprefix(_RESOURCE_TAG), values)
            codes = np.where(by_tag != _NOT_TOLD, by_tag, codes)
        is_told = (codes != _NOT_TOLD) & (codes != _OF_ONE)
        mixed = column.codes.copy()
        of_one = self._rows[codes == _OF_ONE]
        mixed[of_one[mixed[of_one] == NOT_GIVEN]] = UNKNOWN
        if not is_told.any():
            return Coded(mixed, column.values)
        mixed[self._rows[is_told]] = ABSENT  # whatever stood there is not carried on
        used, inverse = np.unique(mixed, return_inverse=True)
        kept = used[used >= 0]
        places = np.where(used >= 0, np.cumsum(used >= 0) - 1, used).astype(np.int32)
        mixed = places[inverse.ravel()]
        given = codes[is_told]
        mixed[self._rows[is_told]] = np.where(given >= 0, given + len(kept), given)
        return Coded(mixed, [*(column.values[code] for code in kept.tolist()), *values.values])

    def _of_keys(self, name: str, values: Dictionary) -> Int32Array:
        """A code for each enriched request. Of several requests of a record, what belongs to one
        resource or one service cannot be told apart, so it is not taken: it may be this one's."""
        table = np.full(len(self._texts), _NOT_TOLD, dtype=np.int32)
        for number, text in enumerate(self._texts):
            if name in text.keys:
                table[number] = _code(values, text.keys[name])
        codes: Int32Array = table[self._text]
        if not name.startswith("aws:") or name.startswith("aws:resource"):
            codes[~self._is_single & (codes != _NOT_TOLD)] = _OF_ONE
        return codes

    def _of_tags(self, name: str, values: Dictionary) -> Int32Array:
        """A code for each enriched request, by its text and its resource."""
        _, first, which = np.unique(packed([self._text, self._resource.codes]), return_index=True,
                                    return_inverse=True)
        table = np.full(len(first), _NOT_TOLD, dtype=np.int32)
        for at, place in enumerate(first.tolist()):
            tags = self._texts[self._text[place]].tags
            arn = self._resource.value(place) if tags else None
            if arn is not None and name in (of_arn := tags.get(str(arn), {})):
                table[at] = _code(values, of_arn[name])
        codes: Int32Array = table[which.ravel()]
        return codes


def _code(values: Dictionary, value: _Given) -> int:
    return UNKNOWN if isinstance(value, bool) else values.code(value)
