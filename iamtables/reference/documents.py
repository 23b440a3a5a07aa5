"""Policy documents, read leniently: what each statement says and which parts cannot be read.

Section 1 of the semantics. A document starts as JSON text and ends as `Statement`s. A fault is
recorded on the part of the statement that it spoils and never stops the reading (GRAM-0); what a
faulty statement then matches is decided in `statements.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .foundations import note
from .jsontext import load, scalar_text
from .operators import Operator, read_operator
from .resources import entry_is_invalid

POLICY_TYPES = ("identity", "boundary", "session", "resource", "trust", "scp", "rcp", "vpce")
WITH_PRINCIPAL = ("resource", "trust", "rcp", "vpce")
WITHOUT_RESOURCE = ("resource", "trust", "vpce")
"""Types in which a missing `Resource` is what the policy is attached to (GRAM-40)."""

STATEMENT_ELEMENTS = (
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
    "NotResource", "Condition",
)  # fmt: skip
DOCUMENT_ELEMENTS = ("Version", "Id", "Statement")
PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


@dataclass
class Element:
    """A list-valued element: `Action` or, negated, `NotAction`; and so on."""

    negated: bool
    entries: list[Any]


@dataclass
class ConditionEntry:
    """One operator, key and list of values."""

    operator: Operator
    key: str
    values: list[str]


@dataclass
class Statement:
    """One statement. An element that is missing or cannot be read is None."""

    policy_type: str
    index: int
    has_variables: bool
    effect: str | None = None
    principal: Element | None = None
    """Entries are pairs: a key of the principal map and a value."""
    action: Element | None = None
    resource: Element | None = None
    conditions: list[ConditionEntry | None] = field(default_factory=list)
    """None stands for an entry that cannot be read."""
    faults: set[str] = field(default_factory=set)
    """Parts that hold a fault: `effect`, `action`, `resource`, `principal`, `condition`, or
    `statement` for a fault of the statement as a whole."""
    unreadable: set[str] = field(default_factory=set)
    """The parts of `faults` of which nothing is known. A condition with one unreadable entry is
    faulty, but its other entries still count."""

    def spoil(self, part: str) -> None:
        """Record that nothing is known about this part."""
        self.faults.add(part)
        self.unreadable.add(part)


def read_document(
    policy: object, policy_type: str, rules: set[str] | None = None
) -> list[Statement]:
    """The statements of one policy, in order; faults are on them.

    Raises DocumentFault if the policy is not JSON or its top level is not an object.
    """
    document = load(policy, rules)
    for name in document:
        if name not in DOCUMENT_ELEMENTS:
            note(rules, "GRAM-6")  # an unknown element is ignored
    if "Id" in document:
        note(rules, "GRAM-12")
    version = _version(document, policy_type, rules)
    if "Statement" not in document or not isinstance(document["Statement"], Mapping | list):
        note(rules, "GRAM-13")
        note(rules, "GRAM-0")
        return [_unreadable_statement(policy_type, 0)]
    listed = document["Statement"]
    if isinstance(listed, Mapping):
        note(rules, "GRAM-4")
        listed = [listed]
    if not listed:
        note(rules, "GRAM-13")  # grants and denies nothing
    statements = []
    for index, body in enumerate(listed):
        if isinstance(body, Mapping):
            statement = _read_statement(body, policy_type, index, version == "2012-10-17", rules)
        else:
            note(rules, "GRAM-0")
            statement = _unreadable_statement(policy_type, index)
        if version is None:
            # Whether `${...}` is a variable is not known.
            note(rules, "GRAM-0")
            statement.spoil("resource")
            statement.spoil("condition")
        if policy_type == "rcp" and statement.effect == "Allow":
            note(rules, "EVAL-18")  # GRAM-40: ignored, faulty or not
            continue
        statements.append(statement)
    return statements


def _version(document: dict[str, Any], policy_type: str, rules: set[str] | None) -> str | None:
    """`2012-10-17` or `2008-10-17`; None for a value that is neither, or not allowed here."""
    is_required = policy_type in ("scp", "rcp")
    if "Version" not in document:
        note(rules, "GRAM-40" if is_required else "GRAM-10")
        return "2012-10-17" if is_required else "2008-10-17"
    version = document["Version"]
    if version == "2012-10-17":
        return "2012-10-17"
    if version == "2008-10-17" and not is_required:
        note(rules, "GRAM-11")
        return "2008-10-17"
    note(rules, "GRAM-40" if version == "2008-10-17" else "GRAM-10")
    return None


def _unreadable_statement(policy_type: str, index: int) -> Statement:
    statement = Statement(policy_type, index, has_variables=False)
    for part in ("effect", "principal", "action", "resource", "condition"):
        statement.spoil(part)
    return statement


def _read_statement(
    body: Mapping[str, Any],
    policy_type: str,
    index: int,
    has_variables: bool,
    rules: set[str] | None,
) -> Statement:
    statement = Statement(policy_type, index, has_variables)
    known = {name.lower() for name in STATEMENT_ELEMENTS}
    for name in body:
        if name in STATEMENT_ELEMENTS:
            continue
        note(rules, "GRAM-6")
        if isinstance(name, str) and name.lower() in known:
            statement.spoil("statement")  # a restriction may hide in it
    if "Sid" in body:
        note(rules, "GRAM-20")  # never affects evaluation

    if body.get("Effect") in ("Allow", "Deny"):
        statement.effect = body["Effect"]
    else:
        note(rules, "GRAM-21")
        statement.spoil("effect")
    _read_principal(statement, body, rules)
    _read_action(statement, body, rules)
    _read_resource(statement, body, rules)
    if "Condition" in body:
        _read_condition(statement, body["Condition"], rules)
    if statement.faults:
        note(rules, "GRAM-0")
    return statement


def _strings(value: object, rules: set[str] | None) -> list[str] | None:
    """A string or a list of strings as a list (GRAM-4); None for anything else."""
    if isinstance(value, str):
        note(rules, "GRAM-4")
        return [value]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return list(value)
    return None


def _read_list(
    statement: Statement, body: Mapping[str, Any], name: str, part: str, rules: set[str] | None
) -> Element | None:
    """`Action` or `NotAction`, `Resource` or `NotResource`; None if faulty or missing."""
    negated_name = f"Not{name}"
    if name in body and negated_name in body:
        note(rules, "GRAM-22")
        statement.spoil(part)
        return None
    negated = negated_name in body
    entries = _strings(body[negated_name if negated else name], rules)
    if entries is None:
        note(rules, "GRAM-0")
        statement.spoil(part)
        return None
    if not entries:
        note(rules, "GRAM-23")
        if negated:
            statement.spoil(part)
            return None
    return Element(negated, entries)


def _read_action(statement: Statement, body: Mapping[str, Any], rules: set[str] | None) -> None:
    if "NotAction" in body and statement.policy_type == "rcp":
        note(rules, "GRAM-42")
        statement.spoil("statement")
        statement.spoil("action")
        return
    if "Action" not in body and "NotAction" not in body:
        note(rules, "GRAM-22")
        statement.spoil("action")
        return
    statement.action = _read_list(statement, body, "Action", "action", rules)


def _read_resource(statement: Statement, body: Mapping[str, Any], rules: set[str] | None) -> None:
    is_present = "Resource" in body or "NotResource" in body
    if is_present and statement.policy_type == "trust":
        note(rules, "GRAM-40")
        statement.spoil("statement")
        return
    if not is_present:
        if statement.policy_type not in WITHOUT_RESOURCE:
            note(rules, "GRAM-22")
            note(rules, "GRAM-40")
            statement.spoil("resource")
        return
    element = _read_list(statement, body, "Resource", "resource", rules)
    statement.resource = element
    if element is not None and any(
        entry_is_invalid(entry, statement.policy_type, statement.has_variables, rules)
        for entry in element.entries
    ):
        statement.spoil("resource")


def _read_principal(statement: Statement, body: Mapping[str, Any], rules: set[str] | None) -> None:
    has_principal, has_not_principal = "Principal" in body, "NotPrincipal" in body
    policy_type = statement.policy_type
    if policy_type not in WITH_PRINCIPAL:
        if has_principal or has_not_principal:
            note(rules, "GRAM-40")
            statement.spoil("statement")
        return
    if has_not_principal and policy_type in ("trust", "rcp"):
        note(rules, "GRAM-40")
        statement.spoil("statement")
        return
    if has_principal == has_not_principal:
        note(rules, "GRAM-22" if has_principal else "GRAM-40")
        statement.spoil("principal")
        return
    entries = _principal_entries(body["Principal" if has_principal else "NotPrincipal"], rules)
    if entries is None:
        note(rules, "GRAM-30")
        statement.spoil("principal")
        return
    if not entries:
        note(rules, "GRAM-23")
        if has_not_principal:
            statement.spoil("principal")
            return
    if policy_type == "rcp" and body["Principal"] != "*":
        note(rules, "GRAM-42")  # the string itself
        statement.spoil("statement")
        return
    statement.principal = Element(has_not_principal, entries)


def _principal_entries(value: object, rules: set[str] | None) -> list[tuple[str, str]] | None:
    """Pairs of a principal kind and a value (GRAM-30); None if the value cannot be read."""
    if value == "*":
        return [("AWS", "*")]
    if not isinstance(value, Mapping):
        return None
    entries: list[tuple[str, str]] = []
    for kind, listed in value.items():
        texts = _strings(listed, rules)
        if kind not in PRINCIPAL_KINDS or texts is None:
            return None
        entries += [(kind, text) for text in texts]
    return entries


def _read_condition(statement: Statement, condition: object, rules: set[str] | None) -> None:
    if not isinstance(condition, Mapping):
        note(rules, "GRAM-0")
        statement.spoil("condition")
        return
    if not condition:
        note(rules, "GRAM-24")
    for name, keys in condition.items():
        operator = read_operator(name, rules)
        if operator is None or not isinstance(keys, Mapping):
            note(rules, "GRAM-0")
            statement.faults.add("condition")
            statement.conditions.append(None)
            continue
        if len({key.lower() for key in keys}) < len(keys):
            note(rules, "COND-9")  # two conditions, not one
        for key, value in keys.items():
            values = _condition_values(value, rules)
            if values is None:
                note(rules, "GRAM-0")
                statement.faults.add("condition")
                statement.conditions.append(None)
            else:
                statement.conditions.append(ConditionEntry(operator, key, values))


def _condition_values(value: object, rules: set[str] | None) -> list[str] | None:
    if not isinstance(value, list):
        note(rules, "GRAM-4")
        value = [value]
    texts: list[str] = []
    for element in value:
        text = scalar_text(element)
        if text is None:
            return None
        if not isinstance(element, str):
            note(rules, "GRAM-5")
        texts.append(text)
    return texts
