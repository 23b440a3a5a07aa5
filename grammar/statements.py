"""JSON nodes -> statements: their elements, one by one and taken together (sections 1.3 to 1.5).

A statement that violates a rule is still read as far as it goes: what is wrong with it ends up in
its `faults`, and its other elements still say which requests it can concern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from ..source import Span
from .conditions import read_condition
from .elements import read_action, read_resource, report_type
from .findings import (
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
    STATEMENT_TYPE,
    UNKNOWN_ELEMENT,
    Findings,
    quoted,
)
from .json_syntax import JsonObject, JsonValue, described
from .principals import read_principal
from .tree import (
    NO_FAULTS,
    ActionElement,
    ConditionEntry,
    Effect,
    Fault,
    PolicyType,
    PrincipalElement,
    ResourceElement,
    StatementNode,
    Text,
)
from .vocabulary import (
    IAM_TYPES,
    NEEDS_PRINCIPAL,
    NEEDS_RESOURCE,
    NOT_ALLOWED,
    STATEMENT_ELEMENTS,
    TYPE_NAMES,
)

Element = TypeVar("Element", ActionElement, ResourceElement, PrincipalElement)

_EFFECTS: dict[str, Effect] = {"Allow": "Allow", "Deny": "Deny"}
_SID = re.compile(r"[A-Za-z0-9]*")
_PAIRS: tuple[tuple[str, Fault], ...] = (
    ("Principal", "principal"),
    ("Action", "action"),
    ("Resource", "resource"),
)


def check_names(
    node: JsonObject, known: frozenset[str], owner: str, findings: Findings
) -> set[str]:
    """Reports unknown elements; the lower-case names of those that look like a known one."""
    look_alikes: set[str] = set()
    if node.members.keys() <= known:
        return look_alikes
    lowered = {k.lower(): k for k in known}
    for name, (key, _) in node.members.items():
        if name in known:
            continue
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
        best = findings.suggest(name, known)
        findings.add(
            UNKNOWN_ELEMENT,
            key.span,
            f"{quoted(name)} is no element of {owner}",
            help=f"did you mean `{best}`?" if best else "remove it",
        )
    return look_alikes


class StatementReader:
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
        if members.keys() - STATEMENT_ELEMENTS and check_names(
            value, STATEMENT_ELEMENTS, "a statement", self.findings
        ):
            faults.add("statement")
        self._check_elements(value, faults)
        sid = self._read_sid(members["Sid"][1]) if "Sid" in members else None
        effect, effect_span = self._read_effect(value, faults)

        action = self._read_pair(members, "Action", "action", faults, self._read_action)
        resource = self._read_pair(members, "Resource", "resource", faults, self._read_resource)
        principal = self._read_pair(members, "Principal", "principal", faults, self._read_principal)
        conditions: tuple[ConditionEntry, ...] = ()
        condition_span = None
        if "Condition" in members:
            condition = members["Condition"][1]
            condition_span = condition.start, condition.end
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
            (value.start, value.end),
            sid,
            effect,
            effect_span,
            action,
            resource,
            principal,
            conditions,
            condition_span,
            frozenset(faults) if faults else NO_FAULTS,
        )

    def _read_pair(
        self,
        members: dict[str, tuple[Text, JsonValue]],
        name: str,
        fault: Fault,
        faults: set[Fault],
        read: Callable[[str, JsonValue], Element | None],
    ) -> Element | None:
        """The element `name` or its negation. Both are looked at, but a pair gives neither."""
        found = [read(n, members[n][1]) for n in (name, f"Not{name}") if n in members]
        if not found or fault in faults:
            return None
        if found[0] is None:
            faults.add(fault)
        return found[0]

    def _read_action(self, name: str, value: JsonValue) -> ActionElement | None:
        return read_action(name, value, self.policy_type, self.findings)

    def _read_resource(self, name: str, value: JsonValue) -> ResourceElement | None:
        return read_resource(
            name, value, self.policy_type, self.variables, self.findings, self.spanning
        )

    def _read_principal(self, name: str, value: JsonValue) -> PrincipalElement | None:
        return read_principal(name, value, self.findings)

    def _check_elements(self, node: JsonObject, faults: set[Fault]) -> None:
        """GRAM-22 and GRAM-40: pairs, elements that are not allowed, elements that are missing."""
        members = node.members
        policy_type = self.policy_type
        not_allowed = NOT_ALLOWED[policy_type]
        for name in members:
            if name not in not_allowed:
                continue
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

    def _read_effect(
        self, node: JsonObject, faults: set[Fault]
    ) -> tuple[Effect | None, tuple[int, int] | None]:
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
        effect = _EFFECTS.get(value.value) if isinstance(value, Text) else None
        if effect is not None:
            if effect == "Allow" and self.policy_type == "rcp" and not self._is_full_access(node):
                self.findings.add(
                    RCP_ALLOW,
                    value.span,
                    "a resource control policy cannot allow, so the statement is ignored",
                    help="write `Deny`, or remove the statement",
                )
            return effect, (value.start, value.end)
        help = "write `Allow` or `Deny`"
        message = f"`Effect` must be a string, not {described(value)}"
        if isinstance(value, Text):
            message = f"{quoted(value.value)} is no effect"
            if value.value.capitalize() in _EFFECTS:
                help = f"the effect is case-sensitive; write `{value.value.capitalize()}`"
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
