"""One statement against one request: the Kleene and of its elements (STMT-1).

What a faulty statement matches is decided here (docs/design/three-valued.md): with
`invalid_statement="unknown"` the parts that cannot be read are unknown and the others count as
they are; with `"never"` it matches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .actions import action_matches
from .conditions import entry_matches
from .context import Context
from .documents import Statement, read_document
from .foundations import NO, UNREADABLE, YES, Match, all_of, any_of, note
from .principals import LEVELS, Requester, levels_of, not_principal_matches
from .resources import resource_matches


@dataclass(frozen=True)
class Request:
    """A checked request; `requester` is None in the identity layer, which does not ask for it."""

    action: str
    resource: str | None
    context: Context
    requester: Requester | None = None
    has_interface_endpoint: bool = False
    """Its endpoint is known to be no gateway (EVAL-61)."""

    @property
    def signer(self) -> Requester:
        """The requester of a request that has one."""
        assert self.requester is not None
        return self.requester


@dataclass(frozen=True)
class StatementState:
    """How one statement matches, and how each of its elements does."""

    policy_index: int
    statement_index: int
    effect: str | None
    """None if it cannot be read: the statement may allow and may deny."""
    match: Match
    elements: dict[str, Match] = field(default_factory=dict)
    """By name: `action`, `resource`, `condition`; `principal` where the policy type has one;
    `effect` and `statement` where they hold a fault."""
    levels: dict[str, Match] = field(default_factory=dict)
    """The match of the statement at each level of its principal (PRIN-1)."""

    @property
    def state(self) -> str:
        return self.match.state

    @property
    def element_states(self) -> dict[str, str]:
        return {name: match.state for name, match in self.elements.items()}


def states_of(
    policies: Sequence[object], policy_type: str, request: Request, options: dict[str, str],
    rules: set[str] | None = None,
) -> list[StatementState]:  # fmt: skip
    """The state of every statement of these policies, in order.

    Raises DocumentFault if one of them is not a JSON object.
    """
    states = []
    for policy_index, policy in enumerate(policies):
        for statement in read_document(policy, policy_type, rules):
            states.append(_state(statement, policy_index, request, options, rules))
    return states


def _state(
    statement: Statement, policy_index: int, request: Request, options: dict[str, str],
    rules: set[str] | None,
) -> StatementState:  # fmt: skip
    note(rules, "STMT-1")
    elements = {
        "action": _action(statement, request, rules),
        "resource": _resource(statement, request, options, rules),
        "condition": _condition(statement, request, options, rules),
    }
    for part in ("effect", "statement"):
        if part in statement.faults:
            elements[part] = UNREADABLE
    without_principal = all_of(elements.values())
    levels: dict[str, Match] = {}
    if request.requester is not None and statement.policy_type in (
        "resource", "trust", "rcp", "vpce",
    ):  # fmt: skip
        levels = _principal_levels(statement, request, options, rules)
        elements["principal"] = any_of(levels.values())
    match = all_of(elements.values())
    if statement.faults and options["invalid_statement"] == "never":
        note(rules, "GRAM-0")
        match = without_principal = NO
    return StatementState(
        policy_index,
        statement.index,
        statement.effect,
        match,
        elements,
        {level: all_of([without_principal, found]) for level, found in levels.items()},
    )


def _action(statement: Statement, request: Request, rules: set[str] | None) -> Match:
    element = statement.action
    if element is None or "action" in statement.unreadable:
        return UNREADABLE
    return action_matches(element.negated, element.entries, request.action, rules)


def _resource(
    statement: Statement, request: Request, options: dict[str, str], rules: set[str] | None
) -> Match:
    if "resource" in statement.unreadable:
        return UNREADABLE
    element = statement.resource
    if element is None:
        if "statement" not in statement.faults:
            note(rules, "RES-11")  # GRAM-40: missing where it may be
        return YES  # or not allowed, and then a fault of the statement
    return resource_matches(
        element.negated, element.entries, statement.policy_type, statement.has_variables,
        request.resource, request.context, options, rules,
    )  # fmt: skip


def _condition(
    statement: Statement, request: Request, options: dict[str, str], rules: set[str] | None
) -> Match:
    if "condition" in statement.unreadable:
        return UNREADABLE
    note(rules, "COND-2")  # operators and keys are all to hold
    return all_of(
        [
            UNREADABLE
            if entry is None
            else entry_matches(entry, statement.has_variables, request.context, options, rules)
            for entry in statement.conditions
        ]
    )


def _principal_levels(
    statement: Statement, request: Request, options: dict[str, str], rules: set[str] | None
) -> dict[str, Match]:
    """The levels of `Principal`; `NotPrincipal` reaches all it does not except (PRIN-13)."""
    nothing = dict.fromkeys(LEVELS, NO)
    if "principal" in statement.unreadable:
        return dict.fromkeys(LEVELS, UNREADABLE)
    element = statement.principal
    if element is None:
        return {**nothing, "WILDCARD": YES}  # not readable here: a fault of the statement
    policy_type = statement.policy_type
    if policy_type == "vpce" and request.has_interface_endpoint:
        policy_type = "resource"  # EVAL-61 is about gateways; else read like one (EVAL-60)
    if not element.negated:
        levels = levels_of(element, request.signer, request.context, policy_type, rules)
        if statement.effect == "Deny":
            note(rules, "PRIN-14")  # any level counts
        return levels
    match = not_principal_matches(
        element, statement.effect, request.signer, request.context, policy_type, options, rules,
    )  # fmt: skip
    if statement.effect == "Allow":
        note(rules, "PRIN-13")
    return {**nothing, "WILDCARD": match}
