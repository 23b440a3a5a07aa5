"""ARN values among the request parameters, and whether their places tell what they are.

Parameters hold ARNs that the call is not about: in tags, environment variables, policy texts,
descriptions, free maps. A request on such an ARN would be a false denial, so the names above a
value decide. Below tags and texts it is *nothing*. Under a parameter whose name asks for a resource
(`topicArn`, `secretId`, `cluster` for a cluster's ARN) it is *clear*. Anything else is *unclear*:
never a request of its own, but a reason to say that a resource may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .parameters import MAX_DEPTH, has, is_hidden, is_named_like_tags

NOTHING_BELOW = frozenset({
    "filter", "filters", "filterset", "nexttoken", "marker", "statement", "metadata", "variables",
    "encryptioncontext", "parametervalue", "comment", "message", "payload", "userdata",
    "clienttoken",
})
_NOTHING_ENDS = ("description", "tagging", "metadata")
_TEXT_HOLDERS = frozenset({"environment", "env"})
_FREE_MAPS = frozenset({"parameters", "arguments", "defaultarguments", "hyperparameters",
                        "properties", "connectionproperties", "options", "inputs", "value",
                        "values"})
_FREE_ENDS = ("labels", "attributes")
_RESOURCE_ENDS = ("arn", "arns", "id", "ids", "identifier", "identifiers", "name",
                  "names", "resource", "resources", "role", "roles")
_TRANSPARENT = frozenset({"items", "item", "member"})
_TYPE = re.compile(r"([A-Za-z0-9_-]+)[/:]")


@dataclass(frozen=True, slots=True)
class _Name:
    """What a parameter's name says."""

    lower: str
    is_nothing: bool
    """No resource stands here or below."""
    is_nothing_nested: bool
    """The same where the value is an object or a list; a plain value may be one."""
    is_free: bool
    """Names below are the caller's choice."""
    asks_for_resource: bool
    is_grantee: bool
    """A role here is given access; it is not passed to a service."""


@lru_cache(maxsize=4096)
def _name(key: str) -> _Name:
    lower = key.lower()
    return _Name(
        lower,
        lower in NOTHING_BELOW or lower.endswith(_NOTHING_ENDS) or is_named_like_tags(key),
        "policy" in lower or "policies" in lower or lower in _TEXT_HOLDERS
        or "environmentvariable" in lower or "environmentsecret" in lower,
        lower in _FREE_MAPS or lower.endswith(_FREE_ENDS),
        lower.removesuffix("list").endswith(_RESOURCE_ENDS),
        "principal" in lower or "grantee" in lower,
    )


_TOP = _name("")


@dataclass(slots=True)
class FoundArn:
    """An ARN and the best of its places: is one clear, and may one pass on a role?"""

    arn: str
    is_clear: bool = False
    may_pass: bool = False


def find_arns(parameters: dict[str, Any]) -> list[FoundArn]:
    """Every value that starts like an ARN and stands where a resource may; each once, in order."""
    found: dict[str, FoundArn] = {}
    stack: list[tuple[object, _Name, bool, int]] = [(parameters, _TOP, False, 0)]
    while stack:
        here, name, is_free, depth = stack.pop()
        if isinstance(here, str):
            if here.startswith("arn:") and not is_hidden(here):
                entry = found.get(here)
                if entry is None:
                    entry = found[here] = FoundArn(here)
                if not is_free and (name.asks_for_resource or _names_type(name, here)):
                    entry.is_clear = True
                    entry.may_pass |= not name.is_grantee
        elif depth >= MAX_DEPTH:
            continue
        elif isinstance(here, list):
            stack.extend([(value, name, is_free, depth + 1) for value in reversed(here)])
        elif isinstance(here, dict):
            for key, value in reversed(here.items()):
                own = _name(key)
                is_nested = isinstance(value, dict | list)
                if own.is_nothing or (own.is_nothing_nested and is_nested):
                    continue
                stack.append((value, name if own.lower in _TRANSPARENT else own,
                              is_free or own.is_free, depth + 1))
    return list(found.values())


def _names_type(name: _Name, arn: str) -> bool:
    """`jobQueues` for `arn:...:job-queue/q`: the parameter is named for the type of resource."""
    kind = _TYPE.match(arn.split(":", 5)[-1])
    if kind is None:
        return False
    plain = kind.group(1).replace("-", "").replace("_", "").lower().removesuffix("s")
    return bool(plain) and name.lower.removesuffix("s").endswith(plain)


def names_role(parameters: dict[str, Any]) -> bool:
    """Is a role, or an instance profile, named without its ARN?"""
    stack: list[object] = [parameters]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack.extend(here)
        elif isinstance(here, dict):
            for key, value in here.items():
                own = _name(key)
                if own.is_nothing or (own.is_nothing_nested and isinstance(value, dict | list)):
                    continue
                if own.lower.endswith("instanceprofile") and has(here, key):
                    return True
                if (own.lower.endswith(("role", "rolearn", "rolename"))
                        and isinstance(value, str) and value):
                    return True
                stack.append(value)
    return False
