"""`Principal` and `NotPrincipal`: their entries, and what is wrong with them (section 1.4)."""

from __future__ import annotations

import re
from typing import get_args

from ..source import Span
from .elements import read_strings, report_type
from .findings import (
    EMPTY_LIST,
    EMPTY_NOT_LIST,
    NOTPRINCIPAL_CHAIN,
    PRINCIPAL_FORM,
    PRINCIPAL_GROUP,
    PRINCIPAL_PARTIAL_WILDCARD,
    PRINCIPAL_VALUE,
    Findings,
    quoted,
)
from .json_syntax import JsonObject, JsonValue
from .tree import PrincipalElement, PrincipalEntry, PrincipalKind, Text
from .vocabulary import WEB_IDENTITY_HOSTS

_KINDS = frozenset(get_args(PrincipalKind))
_AWS = re.compile(
    r"[0-9]{12}|A[A-Z0-9]{15,127}"
    r"|arn:[^:]+:iam::[^:]+:(?:root|(?:user|role)/.+)"
    r"|arn:[^:]+:sts::[^:]+:(?:assumed-role/[^/]+/.+|federated-user/.+)",
    re.DOTALL,
)
_GROUP = re.compile(r"arn:[^:]*:iam:[^:]*:[^:]*:group/", re.DOTALL)
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\.(?:amazonaws\.com(?:\.cn)?|amazon\.com)")
_FEDERATED = re.compile(r"arn:[^:]+:iam::[^:]+:(?:saml|oidc)-provider/.+", re.DOTALL)
_CANONICAL = re.compile(r"[0-9A-Fa-f]{64}")
_REMEDIES: dict[PrincipalKind, str] = {
    "AWS": "write an account id, or the ARN of a user, a role or a session",
    "Service": "write a service principal such as `ec2.amazonaws.com`",
    "Federated": "write the ARN of an identity provider, or a web identity host",
    "CanonicalUser": "write the 64 hexadecimal digits of the canonical id",
}


def read_principal(name: str, value: JsonValue, findings: Findings) -> PrincipalElement | None:
    """`Principal` or `NotPrincipal`; None if it is faulty, which has been reported."""
    if isinstance(value, Text):
        if value.value != "*":
            findings.add(
                PRINCIPAL_FORM,
                value.span,
                f"`{name}` is {quoted(value.value)}, but the only string it can be is `*`",
                help='name a principal with its kind: `{"AWS": "111122223333"}`',
            )
            return None
        return PrincipalElement(name == "NotPrincipal", value.span, (PrincipalEntry("AWS", value),))
    if not isinstance(value, JsonObject):
        report_type(value, f"`{name}`", '`"*"` or an object', findings)
        return None
    entries: list[PrincipalEntry] = []
    is_faulty = False
    for kind, (key, texts) in value.members.items():
        if kind not in _KINDS:
            findings.add(
                PRINCIPAL_FORM,
                key.span,
                f"{quoted(kind)} is no kind of principal",
                help="write `AWS`, `Service`, `Federated` or `CanonicalUser`",
            )
            is_faulty = True
            continue
        strings = read_strings(texts, f"{name}.{kind}", findings)
        if strings is None:
            is_faulty = True
            continue
        for text in strings:
            entries.append(_entry(kind, text, findings))  # type: ignore[arg-type]
    if is_faulty:
        return None
    element = PrincipalElement(name == "NotPrincipal", value.span, tuple(entries))
    if not entries and _check_empty(name, value.span, findings):
        return None
    if element.negated:
        _check_chain(element, findings)
    return element


def _check_empty(name: str, span: Span, findings: Findings) -> bool:
    if name == "NotPrincipal":
        findings.add(
            EMPTY_NOT_LIST,
            span,
            "`NotPrincipal` is empty, so it would except nobody",
            help='write `"Principal": "*"` if everybody is meant',
        )
        return True
    findings.add(
        EMPTY_LIST,
        span,
        "`Principal` is empty, so the statement matches nobody",
        help='list the principals, or write `"*"` for everybody',
    )
    return False


def _entry(kind: PrincipalKind, text: Text, findings: Findings) -> PrincipalEntry:
    value = text.value
    if kind == "AWS" and value == "*":
        return PrincipalEntry(kind, text)
    if "*" in value or "?" in value:
        findings.add(
            PRINCIPAL_PARTIAL_WILDCARD,
            text.span,
            f"principal {quoted(value)} holds a wildcard, so it matches nobody",
            help='list the principals, or write `"AWS": "*"` with a condition on '
            "`aws:PrincipalArn`",
        )
        return PrincipalEntry(kind, text, is_void=True)
    if kind == "AWS" and _GROUP.match(value):
        findings.add(
            PRINCIPAL_GROUP,
            text.span,
            f"{quoted(value)} is a user group, and groups cannot be principals",
            help="list the users, or let them assume a role and name that",
        )
        return PrincipalEntry(kind, text, is_void=True)
    is_known = {
        "AWS": _AWS.fullmatch(value),
        "Service": _SERVICE.fullmatch(value),
        "Federated": value in WEB_IDENTITY_HOSTS or _FEDERATED.fullmatch(value),
        "CanonicalUser": _CANONICAL.fullmatch(value),
    }[kind]
    if not is_known:
        findings.add(
            PRINCIPAL_VALUE,
            text.span,
            f"{quoted(value)} is no principal of kind `{kind}`",
            help=_REMEDIES[kind],
        )
    return PrincipalEntry(kind, text)


def _is_role(fields: list[str]) -> bool:
    """Whether the six fields of an ARN name an IAM role."""
    return len(fields) == 6 and fields[2] == "iam" and fields[5].startswith("role/")


def _check_chain(element: PrincipalElement, findings: Findings) -> None:
    """PRIN-11: whoever is excepted needs the account, and a session its role, excepted too."""
    split = [entry.text.value.split(":", 5) for entry in element.entries if entry.kind == "AWS"]
    accounts = {fields[0] for fields in split if len(fields) == 1}
    accounts |= {fields[4] for fields in split if fields[5:] == ["root"]}
    roles = {(*fields[:5], fields[5].rsplit("/", 1)[1]) for fields in split if _is_role(fields)}
    for entry in element.entries:
        fields = entry.text.value.split(":", 5)
        if entry.kind != "AWS" or entry.is_void or len(fields) < 6 or fields[5] == "root":
            continue
        missing = [] if fields[4] in accounts else [f"account {quoted(fields[4])}"]
        if fields[5].startswith("assumed-role/"):
            role = fields[5].split("/")[1]
            if ("arn", fields[1], "iam", "", fields[4], role) not in roles:
                missing.append(f"role {quoted(role)}")
        if missing:
            findings.add(
                NOTPRINCIPAL_CHAIN,
                entry.text.span,
                f"{quoted(entry.text.value)} is excepted without its {' and its '.join(missing)}",
                help="AWS may check them apart; list the account's root ARN, and the role "
                "of a session, as well",
            )
