"""What an `Organization` knows about requesters, resources and endpoints, for condition keys."""

from __future__ import annotations

import re

from ..compiler.organization import Organization, PolicySet
from ..grammar.tree import StatementNode
from ..runtime.derived import AccountFacts, EndpointFacts, Facts, PrincipalFacts

_TAG_SESSION = "sts:tagsession"


def facts_of(organization: Organization) -> Facts:
    """The facts of an organization, ready for `runtime.derived.derive`. O(its size)."""
    policies = {policy.arn: policy for policy in organization.resource_policies}
    principals = {}
    for principal in organization.principals:
        trust = policies.get(principal.arn)
        principals[principal.arn] = PrincipalFacts(
            principal.arn,
            principal.unique_id,
            principal.tags,
            trust is None or may_tag_session(trust.policy),
        )
    tags = {p.arn: p.tags for p in organization.principals if p.tags is not None}
    tags |= {p.arn: p.tags for p in organization.resource_policies if p.tags is not None}
    return Facts(
        principals=principals,
        accounts={a.id: AccountFacts(a.id, a.org_id, a.org_path) for a in organization.accounts},
        endpoints={e.id: EndpointFacts(e.id, e.account, e.vpc) for e in organization.endpoints},
        resource_tags=tags,
        resource_owners={p.arn: p.account for p in organization.resource_policies if p.account},
    )


def may_tag_session(trust: PolicySet) -> bool:
    """Whether sessions of a role may carry tags: without an Allow of `sts:TagSession` in its trust
    policy nobody can give them any (EVAL-40)."""
    return bool(trust.gaps) or any(
        document.is_faulty or document.is_unreadable or any(map(_may_allow, document.statements))
        for document in trust.documents
    )


def _may_allow(statement: StatementNode) -> bool:
    if statement.effect == "Deny":
        return False
    action = statement.action
    if action is None or statement.faults & {"action", "statement"}:
        return True
    names = any(
        index not in action.void and _matches(entry.value.lower())
        for index, entry in enumerate(action.entries)
    )
    return names != action.negated


def _matches(pattern: str) -> bool:
    """Whether an action pattern matches `sts:TagSession` (ACT-1). The text is short and runs of
    stars are one, so that backtracking has nowhere to go."""
    regex = "".join(
        ".*" if part.startswith("*") else "." if part == "?" else re.escape(part)
        for part in re.findall(r"\*+|\?|[^*?]+", pattern)
    )
    return re.fullmatch(regex, _TAG_SESSION) is not None
