"""What one organization holds of a principal, for `compare(old, new, principal=...)`.

Everything a snapshot lacks and the comparison asks for is noted as a gap, and makes it undecided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .compiler.organization import Endpoint, Organization, PolicySet, ResourcePolicy
from .grammar.tree import PolicyDocument
from .runtime.derived import AccountFacts, Facts, PrincipalFacts, principal_keys
from .runtime.requesters import KIND_NAMES, Requester, split_arn

if TYPE_CHECKING:
    from .zones import Zone


class HeldSide:
    """The layers that one organization holds for one requester."""

    def __init__(self, organization: Organization, requester: Requester) -> None:
        self.organization = organization
        self.gaps: list[str] = []
        self.accounts = {a.id: a for a in organization.accounts}
        self.resources: dict[str, ResourcePolicy] = {
            r.arn: r for r in organization.resource_policies}
        self.endpoints: dict[str, Endpoint] = {e.id: e for e in organization.endpoints}
        found = [p for p in organization.principals if p.arn == requester.principal]
        self.principal = found[0] if found else None
        account = self.accounts.get(requester.account or "")
        if self.principal is None:
            if account is None or not account.is_exported or account.gaps:
                self.gaps.append(f"the policies of `{requester.principal}`")
        else:
            self.gaps += self.principal.identity.gaps
            self.gaps += self.principal.boundary.gaps if self.principal.boundary else ()
        self.identity = self.principal.identity.documents if self.principal else ()
        boundary = self.principal.boundary if self.principal else None
        self.boundary = None if boundary is None else boundary.documents
        self.scps: tuple[tuple[PolicyDocument, ...], ...] = ()
        if account is None:
            self.gaps.append(f"account {requester.account}")
        elif not account.is_management:
            if account.scps is None and self._counts("scp"):
                self.gaps.append(f"the service control policies of account {account.id}")
            self.scps = tuple(self._held(level) for level in account.scps or ())
        self.facts = Facts(
            {p.arn: PrincipalFacts(p.arn, p.unique_id, p.tags) for p in found},
            {a.id: AccountFacts(a.id, a.org_id, a.org_path) for a in organization.accounts})
        self.keys = principal_keys(
            self.facts, requester.principal, KIND_NAMES[requester.kind], requester.principal)

    def _counts(self, layer: str) -> bool:
        """Whether the layer counts as unknown where it is not held."""
        return (self.organization.missing_unknown
                or layer not in self.organization.missing_layers)

    def _held(self, policies: PolicySet) -> tuple[PolicyDocument, ...]:
        self.gaps += policies.gaps
        return policies.documents

    def rcps(self, zone: Zone) -> tuple[PolicyDocument, ...]:
        """The resource control policies of a zone's resources; none where they have no effect."""
        if zone.actions.value == "retire" or not zone.owner:
            return ()
        account = self.accounts.get(zone.owner)
        if account is None or account.is_management or account.rcps is None:
            if self._counts("rcp") and not (account is not None and account.is_management):
                self.gaps.append(f"the resource control policies of account {zone.owner}")
            return ()
        return tuple(d for level in account.rcps for d in self._held(level))

    @property
    def has_rcps(self) -> bool:
        return any(level.documents for a in self.accounts.values() for level in a.rcps or ())

    def speaking(self, zone: Zone) -> tuple[PolicyDocument, ...] | None:
        """The resource policy of a zone; None where it has none."""
        if not zone.carrier:
            return None
        held = self.resources.get(zone.carrier)
        if held is None:
            self._miss_policy(zone)
            return None
        if len(held.policy.documents) > 1:
            self.gaps.append(f"which of the policies of `{held.arn}` is meant")
        return self._held(held.policy)

    def _miss_policy(self, zone: Zone) -> None:
        """A policy that the other organization holds: has the resource none, or is it not here?"""
        account = self.accounts.get(zone.owner)
        if zone.is_role:  # an account's export holds all of its roles
            if account is None or not account.is_exported or account.gaps:
                self.gaps.append(f"the trust policy of `{zone.carrier}`")
            return
        if not self._counts("resource"):
            return
        services = None if account is None else account.resource_services
        if account is None or (
            services is not None and zone.carrier.split(":")[2] not in services
        ):  # fmt: skip
            self.gaps.append(f"the policy of `{zone.carrier}`")

    def services_of(self, account: str) -> frozenset[str] | None:
        """Services whose resource policies are held of an account; None: all of them."""
        held = self.accounts.get(account)
        if held is None:
            return frozenset()
        return held.resource_services if self._counts("resource") else None

    @property
    def tells_endpoints(self) -> bool:
        """Whether an endpoint that is not listed has a policy that is not known."""
        return self._counts("vpce")

    def endpoint(self, zone: Zone) -> tuple[PolicyDocument, ...] | None:
        """The policy of a zone's endpoint; None without one."""
        held = self.endpoints.get(zone.endpoint)
        if held is None and zone.endpoint and self.tells_endpoints:
            self.gaps.append(f"the policy of endpoint `{zone.endpoint}`")
        return None if held is None else self._held(held.policy)

    def is_interface(self, zone: Zone) -> bool:
        """Whether a zone's endpoint is no gateway (EVAL-61)."""
        held = self.endpoints.get(zone.endpoint)
        return held is not None and not held.is_gateway

    def owner_of(self, arn: str) -> str:
        """The owner of a resource with a policy; empty where this organization does not tell."""
        if arn not in self.resources:
            return ""
        parsed = split_arn(arn)
        return (parsed.account if parsed else "") or self.resources[arn].account


def texts_of(documents: Iterable[PolicyDocument]) -> tuple[str, ...]:
    """The documents as written: equal texts are equal policies."""
    return tuple(d.source.text[d.span.start : d.span.end] for d in documents)
