"""Reading `requestParameters`: hidden values, single values, tags.

CloudTrail blanks or cuts some values; such a value is unknown, which is neither a value nor absent.
Tags come in many shapes (a list of key/value objects under several spellings, a map, EC2's nested
sets). What looks like a tag but has none of these shapes makes the answer *unknown*, never empty.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from .records import DECODE_ERRORS, BadRecord, describe

MAX_DEPTH = 40
"""Of parameters that are looked through."""
_HIDDEN = frozenset({"HIDDEN_DUE_TO_SECURITY_REASONS", "HIDDEN_FOR_SECURITY_REASONS",
                     "sensitiveDataRemoved", "***"})
_ONLY_STARS = re.compile(r"\*{3,}")


class _Unknown:
    def __repr__(self) -> str:
        return "NOT_SHOWN"


NOT_SHOWN: Final = _Unknown()
"""Stands for a value, or a whole parameter object, that the record hides."""

Parameters = dict[str, Any] | None | _Unknown
"""The decoded object; None when the record has null; NOT_SHOWN when it was cut or blanked."""

_decoder = msgspec.json.Decoder()


def decode_parameters(raw: bytes) -> Parameters:
    """`requestParameters`, decoded. Raises BadRecord when it is neither object, string nor null."""
    if not raw or raw == b"null":
        return None
    try:
        decoded = _decoder.decode(raw)
    except DECODE_ERRORS as error:
        raise BadRecord(describe(error, "requestParameters")) from error
    if isinstance(decoded, dict):
        return decoded
    if isinstance(decoded, str):
        return NOT_SHOWN
    raise BadRecord("`requestParameters` has the wrong type")


def is_hidden(value: object) -> bool:
    """Is this a value that CloudTrail blanked or cut?"""
    return isinstance(value, str) and (
        value in _HIDDEN
        or value.endswith("...(truncated)")
        or value.endswith("…(truncated)")
        or _ONLY_STARS.fullmatch(value) is not None
    )


def has(parameters: dict[str, Any], name: str) -> bool:
    """Was a parameter of this name sent with some content?"""
    value = parameters.get(name)
    return value is not None and value != "" and value != [] and value != {}


def scalar(value: object) -> str | None:
    """A parameter as IAM compares it; one-element lists are S3's way to write a header."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else None


def lookup(parameters: Parameters, path: tuple[str, ...]) -> object:
    """The value at a path: None when it was not sent, NOT_SHOWN when the record hides it."""
    here: object = parameters
    for name in path:
        if here is None or here is NOT_SHOWN:
            return here
        if not isinstance(here, dict):
            return NOT_SHOWN
        if not here:
            return NOT_SHOWN if here is not parameters else None
        here = here.get(name)
    return NOT_SHOWN if is_hidden(here) else here


_TAG_HOLDERS = frozenset({"tags", "tag", "tagset", "taglist", "tagslist", "tagging", "tagsmap",
                          "tagspecificationset", "tagspecifications", "tagspecification",
                          "resourcetags", "bucket-tagging"})
_TAG_KEY_LISTS = frozenset({"tagkeys", "tagkeylist", "tagskeys"})
_NOT_TAGS = frozenset({"copytags", "copytagstosnapshot", "imagetag", "imagetags",
                       "imagetagmutability", "propagatetags", "includetags", "tagstatus",
                       "transitivetagkeys", "e-tag"})
_TAG_WORD = re.compile(r"(?:^|[a-z_-])Tag|^tag|-tag")
_KEY_NAMES = ("key", "Key", "tagKey", "TagKey")
_VALUE_NAMES = ("value", "Value", "tagValue", "TagValue")


def is_named_like_tags(key: str) -> bool:
    """Does a parameter hold tags, or something like them, by its name?"""
    lower = key.lower()
    return lower in _TAG_HOLDERS or lower in _TAG_KEY_LISTS or _TAG_WORD.search(key) is not None


def find_tags(parameters: dict[str, Any]) -> dict[str, str | None] | _Unknown:
    """Tags passed in a request: key -> value (None where only keys are passed); empty if none.

    NOT_SHOWN when something that looks like tags has a shape not known here.
    """
    tags: dict[str, str | None] = {}
    return tags if _collect(parameters, tags, 0) else NOT_SHOWN


def _collect(here: object, tags: dict[str, str | None], depth: int) -> bool:
    if depth > MAX_DEPTH:
        return False
    if isinstance(here, list):
        return all(_collect(item, tags, depth + 1) for item in here)
    if not isinstance(here, dict):
        return True
    for key, value in here.items():
        lower = key.lower()
        if lower in _TAG_HOLDERS:
            if not _take(value, tags, depth + 1):
                return False
        elif lower in _TAG_KEY_LISTS:
            items = value.get("items", value) if isinstance(value, dict) else value
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                return False
            for item in items:
                tags.setdefault(item, None)
        elif lower not in _NOT_TAGS and _TAG_WORD.search(key) and value:
            return False  # named like tags, but of no known shape
        elif not _collect(value, tags, depth + 1):
            return False
    return True


def _take(value: object, tags: dict[str, str | None], depth: int) -> bool:
    """Read the content of something named like tags."""
    if value is None or value == "" or value == []:
        return True
    if depth > MAX_DEPTH or is_hidden(value) or value == {}:
        return False
    if isinstance(value, list):
        return all(_take(item, tags, depth + 1) for item in value)
    if not isinstance(value, dict):
        return False
    key = next((value[name] for name in _KEY_NAMES if name in value), None)
    if isinstance(key, str):
        content = next((value[name] for name in _VALUE_NAMES if name in value), "")
        text = "" if content is None else scalar(content)
        if text is None or is_hidden(text) or is_hidden(key):
            return False
        tags[key] = text
        return True
    inner = [value[name] for name in value if name.lower() in _TAG_HOLDERS | {"items", "member"}]
    if inner:
        return all(_take(item, tags, depth + 1) for item in inner)
    if all(isinstance(item, str) for item in value.values()):
        if any(is_hidden(item) for item in value.values()):
            return False
        tags.update(value)
        return True
    return False
