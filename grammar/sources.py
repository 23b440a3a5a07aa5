"""Policies from places: files, directories, glob patterns, standard input, output of AWS tools.

A tool wraps the document: `aws iam get-policy-version` prints {"PolicyVersion": {"Document": ...}},
`aws s3api get-bucket-policy` prints {"Policy": "<JSON in a string>"}. Spans stay true: a document
that lies in the file as JSON keeps the whole file as its source, one that lies there as a string
gets a source of its own, the decoded text, named after the place: `file.json#Policy`.
"""

from __future__ import annotations

import glob
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import Diagnostic, PolicySyntaxError, SourceError
from ..source import Source
from .findings import DUP_KEY, NOT_AN_OBJECT, quoted
from .json_syntax import Json, JsonObject, JsonValue, described, parse_json
from .parser import MAX_CHARACTERS, decode, read_policy, too_long
from .tree import Mode, PolicyDocument, PolicyType, Text

STANDARD_INPUT = "-"
MAX_WRAPPERS = 8
"""Wrappers around one document; AWS tools use two or three."""

WRAPPERS = (
    "PolicyVersion",
    "PolicyDocument",
    "Document",
    "Policy",
    "Content",
    "AssumeRolePolicyDocument",
    "Role",
    "ResourcePolicy",
    "policyText",
    "Attributes",
    "PolicyInJson",
    "DomainStatus",
    "AccessPolicies",
    "policy",
    "document",
)
"""Members under which the output of AWS tools holds a policy, the likeliest first."""
_DATES = ("CreateDate", "UpdateDate")
_URL_ENCODED = re.compile(r"(?:\s|%(?:20|09|0[aAdD]))*%7[bB]")


def load_policy(
    path: str | os.PathLike[str], *, mode: Mode = "lenient", policy_type: PolicyType = "identity"
) -> tuple[PolicyDocument, ...]:
    """The policies at `path`: a file, a directory (its `*.json`, by name), a glob pattern, or `-`
    for standard input. Documents are unwrapped from what AWS tools print.

    Raises SourceError if there is nothing to read, and what `parse_policy` raises for a document.
    """
    place = os.fspath(path)
    if place == STANDARD_INPUT:
        files: list[str] = [STANDARD_INPUT]
    elif os.path.isdir(place):
        files = _directory(place)
    elif not os.path.lexists(place) and glob.has_magic(place):
        files = sorted(p for p in glob.iglob(place, recursive=True) if os.path.isfile(p))
        if not files:
            raise SourceError(
                f"no file matches {quoted(place)}",
                path=place,
                help="quote the pattern so that the shell leaves it alone",
            )
    else:
        files = [place]
    return tuple([_load_file(file, mode, policy_type, place) for file in files])


def load_text(
    text: str | bytes,
    *,
    name: str = "<policy>",
    mode: Mode = "lenient",
    policy_type: PolicyType = "identity",
    date: str = "",
) -> PolicyDocument:
    """The policy in `text`, which may be wrapped or URL-encoded like the content of a file."""
    document = decode(text, name)
    if not document.strip(" \t\r\n"):
        raise SourceError(
            f"{quoted(name)} is empty",
            path=name,
            help="check how it was written; a policy starts with `{`",
        )
    found = _unwrap(_read(name, document, date))
    return read_policy(found.source, found.json, found.value, mode=mode, policy_type=policy_type)


def _directory(place: str) -> list[str]:
    try:
        names = sorted(os.listdir(place))
    except OSError as error:
        raise _unreadable(place, error) from error
    files = [os.path.join(place, n) for n in names if n.endswith(".json")]
    files = [file for file in files if os.path.isfile(file)]
    if not files:
        raise SourceError(
            f"directory {quoted(place)} holds no policies",
            path=place,
            help="policies are read from its files that end in `.json`",
        )
    return files


def _load_file(file: str, mode: Mode, policy_type: PolicyType, place: str) -> PolicyDocument:
    name = "<stdin>" if file == STANDARD_INPUT else file
    try:
        content = _read_bytes(file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    try:
        return load_text(content, name=name, mode=mode, policy_type=policy_type)
    except PolicySyntaxError as error:
        if file == place:
            raise
        raise PolicySyntaxError([_with_remedy(d, place) for d in error.diagnostics]) from None


def _with_remedy(diagnostic: Diagnostic, place: str) -> Diagnostic:
    hint = "a file that is no policy can be left out with a glob pattern"
    return replace(diagnostic, help=f"{diagnostic.help}; {hint}" if diagnostic.help else hint)


def _read_bytes(file: str) -> bytes:
    """The content of a file, of which no more is read than a document may have."""
    limit = 4 * MAX_CHARACTERS + 1
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(limit)
    with open(file, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size >= limit:
            raise too_long(file, size)
        return stream.read(limit)


def _unreadable(file: str, error: OSError | ValueError) -> SourceError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    help = "check the path"
    if isinstance(error, FileNotFoundError):
        parent = Path(file).parent
        help = (
            "check the spelling"
            if parent.is_dir()
            else f"there is no directory {quoted(str(parent))} either"
        )
    elif isinstance(error, PermissionError):
        help = "check the permissions of the file"
    return SourceError(f"cannot read {quoted(file)}: {reason}", path=file, help=help)


class _Found(NamedTuple):
    """A value of a parsed source, and the path to it from the top."""

    source: Source
    json: Json
    value: JsonValue
    path: str


def _read(name: str, text: str, date: str) -> _Found:
    """`text` as JSON, URL-decoded first if it is encoded."""
    if _URL_ENCODED.match(text):
        name = name if "#" in name else f"{name}#decoded"
        text = decode(unquote_to_bytes(text.strip()), name)
    if text.startswith('{\\"'):  # API Gateway escapes the text once more
        text = _unescaped(text)
    source = Source(name, text, date)
    parsed = parse_json(source)
    return _Found(source, parsed, parsed.root, "")


def _unescaped(text: str) -> str:
    try:
        inner = json.loads(f'"{text}"')
    except ValueError:
        return text
    assert isinstance(inner, str)
    return inner


def _unwrap(found: _Found) -> _Found:
    """The value that is the policy document, inside whatever wrappers there are."""
    for _ in range(MAX_WRAPPERS):
        value = found.value
        if isinstance(value, Text):
            found = _embedded(found, value)
            continue
        if not isinstance(value, JsonObject) or "Statement" in value.members:
            return found
        wrapped = [name for name in WRAPPERS if name in value.members]
        if not wrapped:
            return found
        name = wrapped[0]
        key, inner = value.members[name]
        source = found.source
        if any(again is key for _, again in found.json.repeats):
            raise PolicySyntaxError(
                [
                    DUP_KEY.at(
                        source,
                        key.span,
                        f"key {quoted(name)} occurs twice, so there are two policies",
                        help="keep the one that is meant",
                    )
                ]
            )
        source.date = _date(value) or source.date
        found = _Found(source, found.json, inner, f"{found.path}.{name}".lstrip("."))
        if not isinstance(inner, JsonObject | Text):
            raise PolicySyntaxError(
                [
                    NOT_AN_OBJECT.at(
                        source,
                        inner.span,
                        f"`{found.path}` must hold a policy, not {described(inner)}",
                        help="a policy is an object with a `Statement`",
                    )
                ]
            )
    return found


def _embedded(found: _Found, text: Text) -> _Found:
    """The document in a JSON string: a source of its own."""
    name = f"{found.source.name}#{found.path or 'decoded'}"
    return _read(name, text.value, found.source.date)


def _date(wrapper: JsonObject) -> str:
    for name in _DATES:
        if name in wrapper.members:
            value = wrapper.members[name][1]
            if isinstance(value, Text):
                return value.value
    return ""
