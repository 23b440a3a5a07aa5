"""Tags of role sessions, as the record of the call that began the session tells them.

`sts:AssumeRole` is given tags and answers with an access key, which all calls of the session carry
(docs/spec/cloudtrail.md, section 5). A session tag stands above a tag of the role with the same
name, so its value is certain; about other names the record says nothing, since the role may have
them. Transitive tags go on to the sessions that are begun out of a session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .parameters import decode_parameters, is_hidden
from .records import DECODE_ERRORS, BadRecord, Record

BEGIN = frozenset({"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
                   "sts:GetFederationToken"})
"""Actions of calls that begin sessions."""
_MAX_SESSIONS = 500_000
_MAX_CHAIN = 20
_MAX_TAGS = 50


class _Credentials(msgspec.Struct):
    accessKeyId: str | None = None


class _Response(msgspec.Struct):
    credentials: _Credentials | None = None


class _Identity(msgspec.Struct):
    accessKeyId: str | None = None


_response = msgspec.json.Decoder(_Response | None)
_identity = msgspec.json.Decoder(_Identity | None)


_kept = msgspec.json.Decoder(dict[str, tuple[dict[str, str], frozenset[str], str | None]])


@dataclass(frozen=True, slots=True)
class Session:
    tags: Mapping[str, str]
    """By lower-case name."""
    transitive: frozenset[str]
    parent: str | None
    """Access key of the session that this one was begun from."""


def is_temporary(access_key: str | None) -> bool:
    return access_key is not None and access_key.startswith("ASIA")


class Sessions:
    """Tags by access key; bounded."""

    def __init__(self, *, tells: bool = True, keeps: bool = False) -> None:
        """tells : False for one that learns, for a cache, and knows no tag
        keeps : remember what was learnt until `take_new`
        """
        self._tells = tells
        self.keeps = keeps
        self._known: dict[str, Session] = {}
        self._new: dict[str, Session] = {}

    def learn(self, record: Record) -> None:
        """Take note of the session that a call began; of other calls, nothing."""
        if record.errorCode:
            return
        try:
            response = _response.decode(record.responseElements or b"null")
            identity = _identity.decode(record.userIdentity or b"null")
            parameters = decode_parameters(bytes(record.requestParameters))
        except (*DECODE_ERRORS, BadRecord):
            return
        key = response.credentials.accessKeyId if response and response.credentials else None
        parent = identity.accessKeyId if identity is not None else None
        if key is None or not is_temporary(key) or not isinstance(parameters, dict):
            return
        session = Session(_tags(parameters), _names(parameters.get("transitiveTagKeys")),
                          parent if is_temporary(parent) else None)
        if session.tags or session.parent is not None:
            self._put(key, session)
            if self.keeps and len(self._new) < _MAX_SESSIONS:
                self._new.setdefault(key, session)

    @property
    def is_full(self) -> bool:
        return len(self._known) >= _MAX_SESSIONS

    @property
    def has_tags(self) -> bool:
        return any(session.tags for session in self._known.values())

    def access_keys(self) -> list[str]:
        """Of sessions about which something is known."""
        return list(self._known)

    def _put(self, key: str, session: Session) -> None:
        if key not in self._known and len(self._known) < _MAX_SESSIONS:
            self._known[key] = session

    def tag(self, access_key: str, name: str) -> str | None:
        """The value of a session's tag by its lower-case name; None when it is not known."""
        session = self._known.get(access_key) if self._tells else None
        for depth in range(_MAX_CHAIN):
            if session is None:
                return None
            if name in session.tags:
                return session.tags[name] if not depth or name in session.transitive else None
            session = self._known.get(session.parent) if session.parent is not None else None
        return None

    def take_new(self) -> str:
        """JSON of what was learnt since the last time, for `restore`; empty for nothing."""
        if not self._new:
            return ""
        new, self._new = self._new, {}
        return json.dumps({
            key: [dict(session.tags), sorted(session.transitive), session.parent]
            for key, session in new.items()})

    def restore(self, kept: str | Mapping[str, Session]) -> None:
        """Learn what `take_new` gave, as text or as `parsed`. Raises ValueError as that does."""
        for key, session in (parsed(kept) if isinstance(kept, str) else kept).items():
            self._put(key, session)

    def are_new(self, kept: Mapping[str, Session]) -> bool:
        """Would `restore` learn anything?"""
        return any(key not in self._known for key in kept)


def parsed(text: str) -> dict[str, Session]:
    """Sessions by access key. Raises ValueError for text that `take_new` did not make."""
    try:
        found = _kept.decode(text)
    except DECODE_ERRORS as error:
        raise ValueError(str(error)) from error
    return {key: Session(*kept) for key, kept in found.items()}


def _tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    """`tags` as a list of key and value, or `principalTags` as an object; shown ones only."""
    found: dict[str, str] = {}
    listed = parameters.get("tags")
    for item in listed[:_MAX_TAGS] if isinstance(listed, list) else ():
        if isinstance(item, dict):
            _add(found, item.get("key"), item.get("value"))
    mapped = parameters.get("principalTags")
    for name, value in list(mapped.items())[:_MAX_TAGS] if isinstance(mapped, dict) else ():
        _add(found, name, value)
    return found


def _add(found: dict[str, str], name: object, value: object) -> None:
    if isinstance(name, str) and isinstance(value, str) and not is_hidden(value):
        found[name.lower()] = value


def _names(listed: object) -> frozenset[str]:
    return frozenset(name.lower() for name in listed if isinstance(name, str)) if isinstance(
        listed, list) else frozenset()
