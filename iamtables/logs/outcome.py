"""What a record tells about its own authorization: passed, failed, or nothing.

Section 7 of docs/spec/cloudtrail.md. Error codes are matched by the patterns of
`data/cloudtrail-outcomes.json`, the first list that matches wins. The message of a denied call
names the action and resource that IAM really checked, and since 2021 the type of the policy that
decided.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from .classes import Outcome

WEAKLY = "error after authorization"
"""Kind of an outcome that a service normally, not always, reaches only after authorization."""


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    outcome: Outcome
    kind: str | None = None
    """Policy type that the message names as the cause; WEAKLY for a weak pass."""
    is_explicit: bool | None = None
    """Explicit deny (True), missing allow (False), not said (None)."""
    action: str | None = None
    resource: str | None = None


_NOTHING = RecordedOutcome(Outcome.NO_INFORMATION)
_PASSED = RecordedOutcome(Outcome.PASSED)


@cache
def _table() -> dict[str, Any]:
    text = (files("iamtables.data") / "cloudtrail-outcomes.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in _table()[name]))


def _bare(error_code: str) -> str:
    return error_code.removeprefix("Client.").removeprefix("Server.")


@lru_cache(maxsize=4096)
def is_denial(error_code: str) -> bool:
    """Is this an error code of a failed authorization, so that its message is worth reading?"""
    return _pattern("failed").fullmatch(_bare(error_code)) is not None


def strip_opaque(message: str) -> str:
    """The message without EC2's encoded part, which differs in every record."""
    return message.partition("Encoded authorization failure message")[0].rstrip()


_REFUSED = re.compile(
    r"not authorized to perform: (?P<action>[A-Za-z0-9-]+:[A-Za-z0-9]+)"
    r"(?: on resource: (?P<resource>.*?))?"
    r"(?=(?P<tail> because no | with an explicit deny | because the )|[\s.]*$)", re.DOTALL)
_IMPLICIT = re.compile(r"because no ([A-Za-z -]+?) allows")
_EXPLICIT = re.compile(r"with an explicit deny in an? ([A-Za-z -]+)")


def read_outcome(error_code: str | None, message: str | None) -> RecordedOutcome:
    """The outcome of one call. `message` may already be without its opaque part."""
    if not error_code:
        return _NOTHING if message else _PASSED
    bare = _bare(error_code)
    if bare in _table()["passed"]:
        return _PASSED
    if is_denial(error_code):
        return _failed(bare, strip_opaque(message or ""))
    if _pattern("no_information").fullmatch(bare):
        return _NOTHING
    if _pattern("passed_weakly").fullmatch(bare):
        return RecordedOutcome(Outcome.PASSED, WEAKLY)
    return _NOTHING


def _failed(bare: str, message: str) -> RecordedOutcome:
    kind: str | None = _table()["kind_by_error"].get(bare)
    is_explicit: bool | None = None
    if (found := _EXPLICIT.search(message)) is not None:
        kind, is_explicit = _policy_type(found.group(1)), True
    elif (found := _IMPLICIT.search(message)) is not None:
        kind, is_explicit = _policy_type(found.group(1)), False
    refused = _REFUSED.search(message)
    action = resource = None
    if refused is not None:
        action = refused.group("action")
        resource = (refused.group("resource") or "").strip() or None
    return RecordedOutcome(Outcome.FAILED, kind, is_explicit, action, resource)


def _policy_type(words: str) -> str:
    lower = words.strip().lower()
    for name in _table()["policy_types"]:
        if lower.startswith(name.lower()):
            return str(name)
    return lower
