"""The decision of the identity layer alone: one principal's policies, same account.

From docs/design/three-valued.md:

    deny  = the strongest match of any Deny      (no < unknown < yes)
    allow = the strongest match of any Allow

    deny  yes                       EXPLICIT_DENY
    allow yes, deny no              ALLOW
    allow no,  deny no or unknown   IMPLICIT_DENY
    otherwise                       UNDETERMINED
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .actions import check_action
from .context import Context
from .foundations import any_of, complete_options, note
from .resources import check_resource
from .statements import Request, StatementState, states_of

RESULTS = {
    "ALLOW": "Allowed",
    "IMPLICIT_DENY": "ImplicitlyDenied",
    "EXPLICIT_DENY": "ExplicitlyDenied",
    "UNDETERMINED": "Undetermined",
}


class Statements(NamedTuple):
    """Statements that matched, as pairs of policy index and statement index.

    A statement whose effect cannot be read is among the unknown of both kinds.
    """

    matched_allow: list[tuple[int, int]]
    matched_deny: list[tuple[int, int]]
    unknown_allow: list[tuple[int, int]]
    unknown_deny: list[tuple[int, int]]


@dataclass(frozen=True)
class Outcome:
    """What was decided, by which statements or policy types, and what an unknown depends on."""

    decision: str
    """`ALLOW`, `IMPLICIT_DENY`, `EXPLICIT_DENY` or `UNDETERMINED`."""
    deciders: tuple[str, ...] = ()
    """Policy types in the order of EVAL-1; none for an undetermined outcome."""
    reason: frozenset[str] = frozenset()
    """Of an undetermined outcome: unknown keys in lower case, `resource`, `statement`."""
    statements: Statements = field(default_factory=lambda: Statements([], [], [], []))
    """Of the identity layer alone."""

    @property
    def result(self) -> str:
        """The decision in the words of EVAL-1."""
        return RESULTS[self.decision]

    @property
    def matched_allow(self) -> list[tuple[int, int]]:
        return self.statements.matched_allow

    @property
    def matched_deny(self) -> list[tuple[int, int]]:
        return self.statements.matched_deny

    @property
    def unknown_allow(self) -> list[tuple[int, int]]:
        return self.statements.unknown_allow

    @property
    def unknown_deny(self) -> list[tuple[int, int]]:
        return self.statements.unknown_deny


def evaluate_identity(
    policies: Sequence[object], *, action: str, resource: str | None,
    context: Mapping[str, object], principal: str | None = None,
    options: dict[str, str] | None = None, rules: set[str] | None = None,
) -> Outcome:  # fmt: skip
    """What these identity policies decide.

    policies  : JSON texts, or objects parsed from JSON
    principal : not asked; whoever it is, the policies are attached to it
    resource  : None if unknown
    context   : values are text, numbers, booleans, lists of these, None (absent) or UNKNOWN
    rules     : collects the ids of the rules that decided something

    Raises DocumentFault for a policy that is not a JSON object, RequestFault for a request that
    the rules exclude (ACT-8, RES-12, COND-11), ValueError for an option that does not exist.
    """
    states = statement_states(
        policies, action=action, resource=resource, context=context, options=options, rules=rules
    )
    return outcome_of(states, rules)


def outcome_of(states: Sequence[StatementState], rules: set[str] | None = None) -> Outcome:
    """What statements in these states decide."""
    allows = [state for state in states if state.effect in ("Allow", None)]
    denies = [state for state in states if state.effect in ("Deny", None)]
    note(rules, "STMT-2")
    allow = any_of([state.match for state in allows]).state
    deny = any_of([state.match for state in denies]).state
    note(rules, "EVAL-2")
    if deny == "yes":
        decision = "EXPLICIT_DENY"
    elif allow == "yes" and deny == "no":
        decision = "ALLOW"
    elif allow == "no":
        decision = "IMPLICIT_DENY"
    else:
        decision = "UNDETERMINED"
    reason: frozenset[str] = frozenset()
    if decision == "UNDETERMINED":
        reason = frozenset().union(*(s.match.reasons for s in states if s.state == "unknown"))
    return Outcome(
        decision,
        () if decision == "UNDETERMINED" else ("identity",),
        reason,
        Statements(
            _places(allows, "yes"),
            _places(denies, "yes"),
            _places(allows, "unknown"),
            _places(denies, "unknown"),
        ),
    )


def statement_states(
    policies: Sequence[object], *, action: str, resource: str | None,
    context: Mapping[str, object], options: dict[str, str] | None = None,
    policy_type: str = "identity", rules: set[str] | None = None,
) -> list[StatementState]:  # fmt: skip
    """How every statement, and every element of it, matches; principals are not asked.

    Arguments and errors as for `evaluate_identity`.
    """
    request = Request(
        check_action(action, rules), check_resource(resource, rules), Context(context, rules)
    )
    return states_of(policies, policy_type, request, complete_options(options), rules)


def _places(states: Sequence[StatementState], state: str) -> list[tuple[int, int]]:
    return [(s.policy_index, s.statement_index) for s in states if s.state == state]
