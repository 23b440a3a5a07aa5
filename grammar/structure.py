"""JSON nodes -> policy document: the elements of documents and statements (sections 1.1 to 1.5).

Everything that is wrong with a document is reported in one go. What lenient mode makes of it is
recorded beside the element it spoils (GRAM-0, docs/design/three-valued.md): `faults` of a
statement, `void` entries, `is_faulty` of the document. The mode itself makes no difference here.
"""

from __future__ import annotations

import re

from ..errors import LimitError
from ..source import Source, Span
from .elements import report_spanning, report_type
from .findings import (
    CHARACTER_RANGE,
    ELEMENT_NOT_ALLOWED,
    STATEMENT_EMPTY,
    STATEMENT_MISSING,
    STATEMENT_TYPE,
    VERSION_REQUIRED,
    VERSION_VALUE,
    Findings,
    quoted,
)
from .json_syntax import JsonArray, JsonObject, JsonValue, described
from .statements import StatementReader, check_names
from .tree import (
    PolicyDocument,
    PolicyType,
    StatementNode,
    Text,
    Version,
)
from .vocabulary import (
    DOCUMENT_ELEMENTS,
    IAM_TYPES,
    NEEDS_VERSION,
    NOT_ALLOWED,
    TYPE_NAMES,
)

MAX_STATEMENTS = 10_000
"""Statements of one document; the largest that AWS stores has room for a few hundred."""

_OUTSIDE_LATIN1 = re.compile(r"[^\t\n\r\x20-\xff]")


def read_document(
    source: Source, root: JsonObject, policy_type: PolicyType, findings: Findings
) -> PolicyDocument:
    """The policy in `root`, with what is in `findings` and what is added to them here as its
    diagnostics. Raises LimitError for more than MAX_STATEMENTS statements."""
    members = root.members
    check_names(root, DOCUMENT_ELEMENTS, "a policy", findings)  # ignored (GRAM-6)
    if policy_type in IAM_TYPES:
        _check_characters(source, root.span, findings)
    if "Id" in members:
        _check_id(members["Id"], policy_type, findings)
    version, is_faulty = _read_version(root, policy_type, findings)
    statements: tuple[StatementNode, ...] = ()
    values = _statement_values(root, findings)
    is_unreadable = values is None
    if values is None:
        is_faulty = True
    elif len(values) > MAX_STATEMENTS:
        raise LimitError(
            f"`{source.name}` has more than {MAX_STATEMENTS} statements",
            limit="MAX_STATEMENTS",
            allowed=MAX_STATEMENTS,
            given=len(values),
            help="AWS stores no policy of this size; split it",
        )
    else:
        reader = StatementReader(policy_type, version == "2012-10-17", len(values), findings)
        statements = tuple([reader.read(i, value) for i, value in enumerate(values)])
        report_spanning(reader.spanning, findings)
    return PolicyDocument(
        source,
        root.span,
        policy_type,
        version,
        statements,
        findings.diagnostics(),
        is_faulty,
        is_unreadable,
    )


def _check_characters(source: Source, span: Span, findings: Findings) -> None:
    if source.text.isascii():  # what JSON allows of ASCII, IAM stores
        return
    match = _OUTSIDE_LATIN1.search(source.text, span.start, span.end)
    if match is not None:
        findings.add(
            CHARACTER_RANGE,
            Span(*match.span()),
            f"IAM does not store the character U+{ord(match[0]):04X}",
            help="use characters up to U+00FF",
        )


def _check_id(member: tuple[Text, JsonValue], policy_type: PolicyType, findings: Findings) -> None:
    key, value = member
    if "Id" in NOT_ALLOWED[policy_type]:
        findings.add(
            ELEMENT_NOT_ALLOWED,
            key.span,
            f"`Id` is not allowed in {TYPE_NAMES[policy_type]}",
            help="remove it",
        )
    if not isinstance(value, Text):
        report_type(value, "`Id`", "a string", findings)


def _read_version(
    root: JsonObject, policy_type: PolicyType, findings: Findings
) -> tuple[Version, bool]:
    """The version (GRAM-10), and whether it is a fault of the document."""
    is_required = policy_type in NEEDS_VERSION
    if "Version" not in root.members:
        if not is_required:
            return "2008-10-17", False
        findings.add(
            VERSION_REQUIRED,
            Span(root.start, root.start + 1),
            f"{TYPE_NAMES[policy_type]} needs a `Version`; it is read as `2012-10-17`",
            help='add `"Version": "2012-10-17"`',
        )
        return "2012-10-17", False
    _, value = root.members["Version"]
    if isinstance(value, Text):
        if value.value == "2012-10-17":
            return "2012-10-17", False
        if value.value == "2008-10-17":
            if is_required:
                findings.add(
                    VERSION_REQUIRED,
                    value.span,
                    f"the version of {TYPE_NAMES[policy_type]} must be `2012-10-17`",
                    help='write `"Version": "2012-10-17"`',
                )
            return "2008-10-17", is_required
        message = f"{quoted(value.value)} is no version of the policy language"
    else:
        message = f"`Version` must be a string, not {described(value)}"
    findings.add(VERSION_VALUE, value.span, message, help='write `"Version": "2012-10-17"`')
    return "2012-10-17", True


def _statement_values(root: JsonObject, findings: Findings) -> list[JsonValue] | None:
    """The entries of `Statement`; None after reporting if it cannot be read (GRAM-13)."""
    if "Statement" not in root.members:
        help = 'add `"Statement": [...]`'
        if "PolicyVersion" in root.members or "PolicyDocument" in root.members:
            help = "this is the output of an AWS command; load it as a file, which unwraps it"
        elif "DefaultVersionId" in root.members:
            help = "this describes a policy; `aws iam get-policy-version` prints its document"
        findings.add(
            STATEMENT_MISSING,
            Span(root.start, root.start + 1),
            "the policy has no `Statement`",
            help=help,
        )
        return None
    _, value = root.members["Statement"]
    if isinstance(value, JsonObject):
        return [value]
    if isinstance(value, JsonArray):
        if not value.items:
            findings.add(
                STATEMENT_EMPTY,
                value.span,
                "the policy has no statements",
                help="add a statement; AWS stores no empty policy",
            )
        return value.items
    findings.add(
        STATEMENT_TYPE,
        value.span,
        f"`Statement` must be an object or an array of objects, not {described(value)}",
        help='write `"Statement": [{"Effect": ...}]`',
    )
    return None
