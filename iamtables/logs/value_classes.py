"""What the mapping can tell of a text among the parameters, short of the text itself.

The mapping of a call asks few things of a value: whether it begins like an ARN or an id, is one of
certain words, has a slash. Two calls whose parameters differ only in values of which it can tell
nothing apart have the same requests, but for these texts (`moulding`). This module says which those
are; `moulds.pyx` does the same per record. Everything in `templates`, `places`, `resources`, `arns`
and `parameters` that looks at a value must be covered here:

- an *own* text is of its own class: a word that rules ask for, a hidden or cut value, an account
  id, a text that ends in a suffix with a meaning, one with characters that are not plain;
- any other is a known prefix (the longest; it tells all the others it begins with) and a rest of
  plain characters, of which four facts are told: FACTS;
- an ARN's class has its partition, service and region, the forms of resources it belongs to, the
  head of its resource, and the class of its last piece.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

from .parameters import _HIDDEN
from .resources import ResourceForms
from .templates import _KEY_ID, _table

HAS_SLASH, HAS_UPPER, HAS_OTHER, IS_KEY_ID = 1, 2, 4, 8
"""FACTS of a rest; HAS_OTHER: a character other than letters, digits, `_` and `-`."""

PLAIN = re.compile(r"[A-Za-z0-9_.=+,@/$\[\] -]+")
_NAME_ONLY = re.compile(r"[A-Za-z0-9_-]+")
ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_HEAD = re.compile(r"[^/:]*[/:]?")
_FIXED_PREFIXES = ("AWS", "Amazon", "amazon", "aws", "alias/", "/hostedzone/", "/")
"""Of the shapes in `templates`."""
SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "/")


def _texts(table: Any) -> Iterator[str]:
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        for value in table.values():
            yield from _texts(value)
    elif isinstance(table, list):
        for value in table:
            yield from _texts(value)


@cache
def prefixes() -> tuple[str, ...]:
    """Beginnings that say something, the longest first."""
    of_types = {str(rule["prefix"]) for rule in _table()["types"].values() if rule.get("prefix")}
    return tuple(sorted(of_types | set(_FIXED_PREFIXES), key=lambda text: (-len(text), text)))


@cache
def words() -> frozenset[str]:
    """Whole values that rules ask for, and values that hide one."""
    asked = {text.rpartition("=")[2] for text in _texts(_table()["types"]) if "=" in text}
    kinds = {str(kind) for kinds in _table()["without_account"].values() for kind in kinds}
    return frozenset(asked | kinds | _HIDDEN)


def split(text: str) -> tuple[str, str] | None:
    """(known prefix, rest) of a text; None for one of its own class."""
    if text in words() or text.endswith(SUFFIXES) or ACCOUNT.fullmatch(text):
        return None
    found = _parts().fullmatch(text)
    return None if found is None else (found.group(1) or "", found.group(2))


@cache
def _parts() -> re.Pattern[str]:
    """The longest known prefix and the rest; possessive, since no shorter prefix may do."""
    known = "|".join(map(re.escape, prefixes()))
    return re.compile(f"({known})?+((?!/){PLAIN.pattern})")


def facts(text: str, rest: str) -> int:
    return (HAS_SLASH * ("/" in rest) | HAS_UPPER * (rest != rest.lower())
            | HAS_OTHER * (_NAME_ONLY.fullmatch(rest) is None)
            | IS_KEY_ID * (_KEY_ID.fullmatch(text) is not None))


def class_of(text: str) -> tuple[str, int] | None:
    """(known prefix, facts); None for a text of its own class."""
    found = split(text)
    return None if found is None else (found[0], facts(text, found[1]))


def marked(text: str, marker: str, number: int) -> str | None:
    """Another text of the same class, with a rest that is found nowhere else; None when none is.
    """
    found = split(text)
    if found is None:
        return None
    prefix, rest = found
    known = facts(text, rest)
    if known & IS_KEY_ID:
        made = f"{number:08x}-{number:04x}-4fed-8cba-{marker.encode().hex()[:12]:0>12}"
    else:
        made = (f"{marker.upper() if known & HAS_UPPER else marker}{number}"
                + (".x" if known & HAS_OTHER and not known & HAS_SLASH else "")
                + ("/x" if known & HAS_SLASH else "") + "y")
    return made if class_of(prefix + made) == (prefix, known) else None


def arn_class(arn: str, forms: ResourceForms) -> Hashable | None:
    """What the mapping can tell of an ARN; None when it is of its own class."""
    fields = arn.split(":", 5)
    if len(fields) < 6 or not PLAIN.fullmatch(arn.replace(":", "")):
        return None
    last = re.split("[/:]", fields[5])[-1]
    of_last = class_of(last)
    if of_last is None or (fields[4] and not ACCOUNT.fullmatch(fields[4])):
        return None
    head = _HEAD.match(fields[5])
    assert head is not None
    return (*fields[1:4], head.group() if head.group() != fields[5] else "", forms.forms_of(arn),
            bool(fields[4]), *of_last)


def marked_arn(
    arn: str, marker: str, number: int, forms: ResourceForms, *, keeps_account: bool = False
) -> str | None:
    """Another ARN of the same class, with another account and another last piece."""
    if arn_class(arn, forms) is None:
        return None
    fields = arn.split(":", 5)
    last = re.split("[/:]", fields[5])[-1]
    found = split(last)
    made = marked(last, marker, number)
    if found is None or made is None:
        return None
    account = f"{900000000000 + number}" if fields[4] and not keeps_account else fields[4]
    resource = fields[5][: len(fields[5]) - len(last)] + found[0] + made
    other = ":".join((*fields[:4], account, resource))
    return other if arn_class(other, forms) == arn_class(arn, forms) else None
