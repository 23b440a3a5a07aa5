"""Condition keys that follow from what was asked: parameters, tags, the action itself.

A key counts as absent when the request certainly did not carry it: it belongs to another service,
the catalogue does not list it for the action, or the parameters are shown and do not have it.
Parameters that the record hides, or that are null although the call was not passed, leave it
unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..catalogue import Catalogue
from .context import KeyValue, key_table
from .parameters import (
    NOT_SHOWN,
    Parameters,
    _Unknown,
    find_tags,
    is_hidden,
    lookup,
    scalar,
)

_REQUEST_TAG = "aws:requesttag/"
_ENCRYPTION_CONTEXT = "kms:encryptioncontext:"


@dataclass(frozen=True, slots=True)
class Asked:
    """One member of a call: the input of every function here."""

    action: str
    resource: str | None
    event_name: str
    event_service: str
    """Service prefix of the call; that of `action` is another for `iam:PassRole`."""
    parameters: Parameters
    has_passed: bool
    recipient: str | None
    pattern: str | None
    """What is known of a resource that is known in part."""
    resource_account: str | None
    """`accountId` of the chosen resource in `resources[]`."""

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]

    def missing(self) -> KeyValue:
        """State of a key that the parameters do not hold."""
        if self.parameters is None:
            return None if self.has_passed else NOT_SHOWN
        return NOT_SHOWN if self.parameters is NOT_SHOWN else None


@dataclass(frozen=True, slots=True)
class RequestKey:
    spelling: str
    read: Callable[[Asked], KeyValue]
    services: frozenset[str] | None
    """Services of the actions it can be in the context of; None: any."""
    needs_parameters: bool = True


def request_key(key: str, catalogue: Catalogue) -> RequestKey | None:
    """The reader of a key, by its lower-case name; None when records do not tell it."""
    if key.startswith(_REQUEST_TAG) and len(key) > len(_REQUEST_TAG):
        return RequestKey(key, _request_tag(key.removeprefix(_REQUEST_TAG), catalogue), None)
    if key.startswith(_ENCRYPTION_CONTEXT) and len(key) > len(_ENCRYPTION_CONTEXT):
        name = key.removeprefix(_ENCRYPTION_CONTEXT)
        return RequestKey(key, _encryption_context(name), frozenset({"kms"}))
    if key in _FIXED:
        spelling, read, services, needs_parameters = _FIXED[key]
        if read is _tag_keys:
            read = _tag_keys_of(catalogue)
        return RequestKey(spelling, read, services, needs_parameters)
    for spelling, rule in key_table()["parameters"].items():
        if spelling.lower() == key:
            service = frozenset({key.partition(":")[0]})
            return RequestKey(spelling, _parameter(spelling, rule, catalogue), service)
    return None


_LISTS = frozenset({
    "aws:tagkeys", "aws:calledvia", "kms:encryptioncontextkeys", "aws:principalorgpaths",
    "aws:principalservicenameslist", "aws:resourceorgpaths", "aws:sourceorgpaths",
    "aws:vpceorgpaths"})


def is_multivalued(key: str) -> bool:
    """Are the values of a key lists (S[] in section 4 of docs/spec/semantics.md)?"""
    return key.lower() in _LISTS or key.lower() in _listed_parameters()


@cache
def _listed_parameters() -> frozenset[str]:
    return frozenset(name.lower() for name, rule in key_table()["parameters"].items()
                     if rule.get("is_list"))


FAMILIES = {"aws:requesttag/": "aws:RequestTag/*", "kms:encryptioncontext:":
            "kms:EncryptionContext:*"}
"""Prefixes of keys with a name of the caller's choice -> the column that holds all of them."""


def family_key(spelling: str, catalogue: Catalogue) -> RequestKey:
    """All keys of a family in one value: JSON of name -> [text], null (absent), false (hidden)."""

    def tags(asked: Asked) -> KeyValue:
        found = _tags_of(asked, catalogue)
        if isinstance(found, _Unknown):
            return NOT_SHOWN
        return _packed({key: None if text is None else [text] for key, text in found.items()})

    def pairs(asked: Asked) -> KeyValue:
        found = _encryption_pairs(asked)
        if not isinstance(found, dict):
            return found
        return _packed({
            key: None if value is None else False if is_hidden(value)
            else None if (text := scalar(value)) is None else [text]
            for key, value in found.items()})

    if spelling == FAMILIES[_REQUEST_TAG]:
        return RequestKey(spelling, tags, None)
    return RequestKey(spelling, pairs, frozenset({"kms"}))


def _packed(found: dict[str, Any]) -> str | None:
    return json.dumps(found) if found else None


def of_family(packed: str, name: str) -> KeyValue:
    """The value of the key `name` (lower case) in a value of `family_key`."""
    value = next((value for key, value in json.loads(packed).items() if key.lower() == name), None)
    return NOT_SHOWN if value is False else None if value is None else str(value[0])


def all_request_keys() -> tuple[str, ...]:
    """Every key with one fixed name (the families by tag or context key are asked by name)."""
    return tuple(name.lower() for name in key_table()["parameters"]) + tuple(_FIXED)


def _lists(catalogue: Catalogue, action: str, key: str) -> bool:
    found = catalogue.action(action)
    return found is None or any(listed.lower() == key for listed in found.condition_keys)


def _parameter(
    spelling: str, rule: dict[str, object], catalogue: Catalogue
) -> Callable[[Asked], KeyValue]:
    key = spelling.lower()
    service = key.partition(":")[0]
    path = tuple(map(str, rule["path"]))  # type: ignore[call-overload]
    actions = frozenset(rule.get("actions", ()))  # type: ignore[call-overload]
    is_list = bool(rule.get("is_list"))
    is_certain = rule.get("when_missing") != "unknown"

    def read(asked: Asked) -> KeyValue:
        if asked.service != service:
            return None
        if actions and asked.action not in actions:
            return NOT_SHOWN if _lists(catalogue, asked.action, key) else None
        if not actions and not _lists(catalogue, asked.action, key):
            return None
        value = lookup(asked.parameters, path)
        if value is None:
            return asked.missing() if is_certain else NOT_SHOWN
        if is_list:
            items = value if isinstance(value, list) else [value]
            texts = [scalar(item) for item in items]
            return [t for t in texts if t is not None] if None not in texts else NOT_SHOWN
        text = scalar(value)
        return NOT_SHOWN if text is None or is_hidden(text) else text

    return read


def _tags_of(asked: Asked, catalogue: Catalogue) -> dict[str, str | None] | _Unknown:
    if isinstance(asked.parameters, dict):
        return find_tags(asked.parameters)
    if asked.missing() is None:
        return {}
    listed = catalogue.action(asked.action)
    if listed is not None and not any(
        key.lower().startswith(_REQUEST_TAG) or key.lower() == "aws:tagkeys"
        for key in listed.condition_keys
    ):
        return {}
    return NOT_SHOWN


def _request_tag(name: str, catalogue: Catalogue) -> Callable[[Asked], KeyValue]:
    def read(asked: Asked) -> KeyValue:
        tags = _tags_of(asked, catalogue)
        if isinstance(tags, _Unknown):
            return NOT_SHOWN
        return next((value for key, value in tags.items() if key.lower() == name), None)

    return read


def _tag_keys(asked: Asked) -> KeyValue:
    raise AssertionError("bound to a catalogue by _tag_keys_of")


def _tag_keys_of(catalogue: Catalogue) -> Callable[[Asked], KeyValue]:
    def read(asked: Asked) -> KeyValue:
        tags = _tags_of(asked, catalogue)
        return tags if isinstance(tags, _Unknown) else (list(tags) or None)

    return read


def _encryption_context(name: str) -> Callable[[Asked], KeyValue]:
    def read(asked: Asked) -> KeyValue:
        pairs = _encryption_pairs(asked)
        if not isinstance(pairs, dict):
            return pairs
        value = next((value for key, value in pairs.items() if key.lower() == name), None)
        return None if value is None else NOT_SHOWN if is_hidden(value) else scalar(value)

    return read


def _encryption_keys(asked: Asked) -> KeyValue:
    pairs = _encryption_pairs(asked)
    return (list(pairs) or None) if isinstance(pairs, dict) else pairs


def _encryption_pairs(asked: Asked) -> dict[str, object] | _Unknown | None:
    if asked.service != "kms":
        return None
    found = lookup(asked.parameters, ("encryptionContext",))
    if found is None:
        missing = asked.missing()
        return NOT_SHOWN if missing is not None else None
    return found if isinstance(found, dict) else NOT_SHOWN


def _passed_to_service(asked: Asked) -> KeyValue:
    if asked.action != "iam:PassRole":
        return None
    if asked.event_service == "iam":
        return NOT_SHOWN
    return key_table()["passed_to_service"].get(asked.event_service, NOT_SHOWN)  # type: ignore[no-any-return]


def _create_action(asked: Asked) -> KeyValue:
    if asked.action != "ec2:CreateTags":
        return None
    return None if asked.event_name == "CreateTags" else asked.event_name


def _resource_account(asked: Asked) -> KeyValue:
    if asked.resource_account:
        return asked.resource_account
    fields = (asked.resource or asked.pattern or "").split(":")
    account = fields[4] if len(fields) > 5 else ""
    return account if len(account) == 12 and account.isdigit() else NOT_SHOWN


_EC2 = frozenset({"ec2"})
_FIXED: dict[
    str, tuple[str, Callable[[Asked], KeyValue], frozenset[str] | None, bool]
] = {
    "aws:tagkeys": ("aws:TagKeys", _tag_keys, None, True),
    "kms:encryptioncontextkeys": (
        "kms:EncryptionContextKeys", _encryption_keys, frozenset({"kms"}), True),
    "iam:passedtoservice": ("iam:PassedToService", _passed_to_service, frozenset({"iam"}), False),
    "ec2:createaction": ("ec2:CreateAction", _create_action, _EC2, False),
    "aws:resourceaccount": ("aws:ResourceAccount", _resource_account, None, False),
}
