"""JSON nodes -> policy document: the elements of documents and statements (sections 1.1 to 1.5).

Everything that is wrong with a document is reported in one go. What lenient mode makes of it is
recorded beside the element it spoils (GRAM-0, docs/design/three-valued.md): `faults` of a
statement, `void` entries, `is_faulty` of the document. The mode itself makes no difference here.
"""

from __future__ import annotations

import re

from ..errors import LimitError
from ..source import Source, Span
from .conditions import read_condition
from .elements import read_action, read_resource, report_spanning, report_type
from .findings import (
    CHARACTER_RANGE,
    EFFECT_MISSING,
    EFFECT_VALUE,
    ELEMENT_MISSING,
    ELEMENT_NOT_ALLOWED,
    ELEMENT_PAIR,
    NOTPRINCIPAL_ALLOW,
    RCP_ALLOW,
    RCP_PRINCIPAL,
    SID_FORM,
    SID_REPEATED,
    STATEMENT_EMPTY,
    STATEMENT_MISSING,
    STATEMENT_TYPE,
    UNKNOWN_ELEMENT,
    VERSION_REQUIRED,
    VERSION_VALUE,
    Findings,
    quoted,
)
from .json_syntax import JsonArray, JsonObject, JsonValue, described
from .principals import read_principal
from .suggestions import closest
from .tree import (
    Fault,
    PolicyDocument,
    PolicyType,
    StatementNode,
    Text,
    Version,
)
from .vocabulary import (
    DOCUMENT_ELEMENTS,
    IAM_TYPES,
    NEEDS_PRINCIPAL,
    NEEDS_RESOURCE,
    NEEDS_VERSION,
    NOT_ALLOWED,
    STATEMENT_ELEMENTS,
    TYPE_NAMES,
)

MAX_STATEMENTS = 10_000
"""Statements of one document; the largest that AWS stores has room for a few hundred."""

_SID = re.compile(r"[A-Za-z0-9]*")
_OUTSIDE_LATIN1 = re.compile(r"[^\t\n\r\x20-\xff]")
_PAIRS: tuple[tuple[str, Fault], ...] = (
    ("Principal", "principal"),
    ("Action", "action"),
    ("Resource", "resource"),
)


def read_document(
    source: Source, root: JsonObject, policy_type: PolicyType, findings: Findings
) -> PolicyDocument:
    """The policy in `root`. Its diagnostics are left in `findings`, to which the caller may have
    more to add. Raises LimitError for more than MAX_STATEMENTS statements."""
    members = root.members
    look_alikes = _check_names(root, DOCUMENT_ELEMENTS, "a policy", findings)
    if policy_type in IAM_TYPES:
        _check_characters(source, root.span, findings)
    if "Id" in members:
        _check_id(members["Id"], policy_type, findings)
    version, is_faulty = _read_version(root, policy_type, findings)
    is_faulty = is_faulty or bool(look_alikes & {"version", "statement"})
    statements: tuple[StatementNode, ...] = ()
    values = _statement_values(root, findings)
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
        reader = _StatementReader(policy_type, version == "2012-10-17", len(values), findings)
        statements = tuple([reader.read(i, value) for i, value in enumerate(values)])
        report_spanning(reader.spanning, findings)
    return PolicyDocument(source, root.span, policy_type, version, statements, (), is_faulty)


def _check_names(
    node: JsonObject, known: frozenset[str], owner: str, findings: Findings
) -> set[str]:
    """Reports unknown elements; the lower-case names of those that look like a known one."""
    look_alikes = set()
    lowered = {k.lower(): k for k in known}
    for name in node.members.keys() - known:
        key, _ = node.members[name]
        spelling = lowered.get(name.lower())
        if spelling is not None:
            look_alikes.add(name.lower())
            findings.add(
                UNKNOWN_ELEMENT,
                key.span,
                f"{quoted(name)} is no element of {owner}, but looks like `{spelling}`",
                help=f"element names are case-sensitive; write `{spelling}`",
            )
            continue
        best = closest(name, known)
        findings.add(
            UNKNOWN_ELEMENT,
            key.span,
            f"{quoted(name)} is no element of {owner}",
            help=f"did you mean `{best}`?" if best else "remove it",
        )
    return look_alikes


def _check_characters(source: Source, span: Span, findings: Findings) -> None:
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


class _StatementReader:
    """Reads the statements of one document."""

    def __init__(
        self, policy_type: PolicyType, variables: bool, count: int, findings: Findings
    ) -> None:
        self.policy_type = policy_type
        self.variables = variables
        self.count = count
        self.findings = findings
        self.sids: dict[str, Text] = {}
        self.spanning: list[Text] = []

    def read(self, index: int, value: JsonValue) -> StatementNode:
        """The statement `value`. Not an object: nothing about it is known."""
        if not isinstance(value, JsonObject):
            self.findings.add(
                STATEMENT_TYPE,
                value.span,
                f"a statement must be an object, not {described(value)}",
                help='write `{"Effect": ..., "Action": ..., "Resource": ...}`',
            )
            unknown: frozenset[Fault] = frozenset({"effect", "action", "resource", "condition"})
            return StatementNode(
                index, value.span, None, None, None, None, None, None, (), None, unknown
            )
        members = value.members
        faults: set[Fault] = set()
        if members.keys() - STATEMENT_ELEMENTS and _check_names(
            value, STATEMENT_ELEMENTS, "a statement", self.findings
        ):
            faults.add("statement")
        self._check_elements(value, faults)
        sid = self._read_sid(members["Sid"][1]) if "Sid" in members else None
        effect, effect_span = self._read_effect(value, faults)

        action = resource = principal = None
        if "action" not in faults:
            name = "Action" if "Action" in members else "NotAction"
            action = read_action(name, members[name][1], self.policy_type, self.findings)
            if action is None:
                faults.add("action")
        if "resource" not in faults:
            name = "Resource" if "Resource" in members else "NotResource"
            if name in members:
                resource = read_resource(
                    name,
                    members[name][1],
                    self.policy_type,
                    self.variables,
                    self.findings,
                    self.spanning,
                )
                if resource is None:
                    faults.add("resource")
        if "principal" not in faults:
            name = "Principal" if "Principal" in members else "NotPrincipal"
            if name in members:
                principal = read_principal(name, members[name][1], self.findings)
                if principal is None:
                    faults.add("principal")
        conditions, condition_span = (), None
        if "Condition" in members:
            condition = members["Condition"][1]
            condition_span = condition.span
            conditions, is_faulty = read_condition(condition, self.variables, self.findings)
            if is_faulty:
                faults.add("condition")

        if effect == "Allow" and principal is not None and principal.negated:
            self.findings.add(
                NOTPRINCIPAL_ALLOW,
                members["NotPrincipal"][0].span,
                "`NotPrincipal` with `Allow` grants to everybody else, anonymous callers included",
                help="list the principals in `Principal`",
            )
        return StatementNode(
            index,
            value.span,
            sid,
            effect,
            effect_span,
            action,
            resource,
            principal,
            conditions,
            condition_span,
            frozenset(faults),
        )

    def _check_elements(self, node: JsonObject, faults: set[Fault]) -> None:
        """GRAM-22 and GRAM-40: pairs, elements that are not allowed, elements that are missing."""
        members = node.members
        policy_type = self.policy_type
        not_allowed = NOT_ALLOWED[policy_type]
        for name in members.keys() & not_allowed:
            self.findings.add(
                ELEMENT_NOT_ALLOWED,
                members[name][0].span,
                f"`{name}` is not allowed in {TYPE_NAMES[policy_type]}",
                help=_ALLOWED_INSTEAD.get((policy_type, name), "remove it"),
            )
            faults.add("statement")
        for name, fault in _PAIRS:
            negated = f"Not{name}"
            if name in members and negated in members:
                self.findings.add(
                    ELEMENT_PAIR,
                    members[negated][0].span,
                    f"the statement has both `{name}` and `{negated}`",
                    help="keep one of them; two statements can hold both",
                )
                faults.add(fault)
            elif name not in members and negated not in members:
                self._check_missing(node, name, fault, faults)
        if policy_type == "rcp" and "Principal" in members:
            value = members["Principal"][1]
            if isinstance(value, JsonObject):
                self.findings.add(
                    RCP_PRINCIPAL,
                    value.span,
                    "the principal of a resource control policy must be `*`",
                    help='write `"Principal": "*"` and name principals in a '
                    "condition on `aws:PrincipalArn`",
                )
                faults.add("statement")

    def _check_missing(self, node: JsonObject, name: str, fault: Fault, faults: set[Fault]) -> None:
        policy_type = self.policy_type
        if name == "Principal" and policy_type not in NEEDS_PRINCIPAL:
            return
        if name == "Resource" and policy_type not in NEEDS_RESOURCE:
            return
        allowed = [n for n in (name, f"Not{name}") if n not in NOT_ALLOWED[policy_type]]
        self.findings.add(
            ELEMENT_MISSING,
            Span(node.start, node.start + 1),
            f"a statement of {TYPE_NAMES[policy_type]} needs "
            f"{' or '.join(f'`{n}`' for n in allowed)}",
            help=_MISSING_HELP[name],
        )
        # GRAM-40: without `Resource` an endpoint policy means whatever it is attached to.
        if not (name == "Resource" and policy_type == "vpce"):
            faults.add(fault)

    def _read_sid(self, value: JsonValue) -> Text | None:
        if not isinstance(value, Text):
            report_type(value, "`Sid`", "a string", self.findings)
            return None
        if self.policy_type in IAM_TYPES:
            sid = value.value
            if not _SID.fullmatch(sid):
                self.findings.add(
                    SID_FORM,
                    value.span,
                    f"statement id {quoted(sid)} holds other characters than letters and digits",
                    help="use A-Z, a-z and 0-9 only",
                )
            if sid and sid in self.sids:
                first = self.findings.source.locate(self.sids[sid].span)
                self.findings.add(
                    SID_REPEATED,
                    value.span,
                    f"statement id {quoted(sid)} occurs twice",
                    help=f"rename it; the first one is on line {first.line}",
                )
            self.sids.setdefault(sid, value)
        return value

    def _read_effect(self, node: JsonObject, faults: set[Fault]) -> tuple[str | None, Span | None]:
        if "Effect" not in node.members:
            self.findings.add(
                EFFECT_MISSING,
                Span(node.start, node.start + 1),
                "the statement has no `Effect`",
                help='add `"Effect": "Allow"` or `"Effect": "Deny"`',
            )
            faults.add("effect")
            return None, None
        _, value = node.members["Effect"]
        if isinstance(value, Text) and value.value in ("Allow", "Deny"):
            if (
                value.value == "Allow"
                and self.policy_type == "rcp"
                and not self._is_full_access(node)
            ):
                self.findings.add(
                    RCP_ALLOW,
                    value.span,
                    "a resource control policy cannot allow, so the statement is ignored",
                    help="write `Deny`, or remove the statement",
                )
            return value.value, value.span
        if isinstance(value, Text):
            spelling = value.value.capitalize()
            help = "write `Allow` or `Deny`"
            if spelling in ("Allow", "Deny"):
                help = f"the effect is case-sensitive; write `{spelling}`"
            message = f"{quoted(value.value)} is no effect"
        else:
            message, help = (
                f"`Effect` must be a string, not {described(value)}",
                "write `Allow` or `Deny`",
            )
        self.findings.add(EFFECT_VALUE, value.span, message, help=help)
        faults.add("effect")
        return None, value.span

    def _is_full_access(self, node: JsonObject) -> bool:
        """Whether this is the one statement of the policy `RCPFullAWSAccess`."""
        wanted = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
        given = {name: value for name, (_, value) in node.members.items() if name != "Sid"}
        return (
            self.count == 1
            and given.keys() == wanted.keys()
            and all(
                isinstance(value, Text) and value.value == wanted[name]
                for name, value in given.items()
            )
        )


_MISSING_HELP = {
    "Principal": 'say who: `"Principal": {"AWS": "111122223333"}`',
    "Action": 'say what: `"Action": "service:Name"`',
    "Resource": 'say on what: `"Resource": "*"` or an ARN',
}
_ALLOWED_INSTEAD: dict[tuple[PolicyType, str], str] = {
    ("identity", "Principal"): "remove it: the policy speaks for whoever it is attached to",
    ("boundary", "Principal"): "remove it: the policy speaks for whoever it is attached to",
    ("session", "Principal"): "remove it: the policy speaks for the session",
    ("trust", "Resource"): "remove it: the resource is the role itself",
    ("trust", "NotPrincipal"): "list the principals in `Principal`",
    ("scp", "Principal"): "remove it, and name principals in a condition on `aws:PrincipalArn`",
    ("rcp", "NotAction"): "list the actions in `Action`",
    ("rcp", "NotPrincipal"): 'write `"Principal": "*"` and name principals in a condition',
}
