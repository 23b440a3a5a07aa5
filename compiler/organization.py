"""Who has which policies: an organization as the compiler takes it, built in code or loaded.

Absent and unknown are told apart here too. A layer that is not set (`None`, an empty tuple) does
not apply. A `PolicySet` with gaps lacks a document that should be there: its statements count, and
beside them the layer may allow or deny anything, so answers that hang on it are undetermined and
name the gap. `iamtables.organization` loads one from a directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..grammar.tree import PolicyDocument


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Documents of one policy type at one place.

    gaps : what belongs here and is not in the snapshot, one noun phrase each
           (for example "managed policy `arn:aws:iam::aws:policy/X` of `arn:...:role/app`")
    """

    documents: tuple[PolicyDocument, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """An IAM user or role with its policies.

    arn       : with its path, `arn:P:iam::ACCOUNT:user/...` or `...:role/...`
    unique_id : `AIDA...` or `AROA...`; empty when not known (PRIN-10)
    identity  : inline and managed policies, those of the user's groups included
    boundary  : the permissions boundary; None when none is set
    tags      : None when not known
    """

    arn: str
    unique_id: str = ""
    identity: PolicySet = PolicySet()
    boundary: PolicySet | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the snapshot.

    is_exported : its users and roles are in the snapshot; of others nothing is known
    scps, rcps  : one PolicySet per level, from the organization root to the account; None: the
                  snapshot does not hold the layer (EVAL-17, EVAL-18)
    org_id      : `o-...`, org_path `o-.../r-.../ou-.../`; empty when not known
    gaps        : why principals that are not listed may exist all the same, one noun phrase each;
                  never empty when `is_exported` is False and the snapshot was loaded
    resource_services : services whose resource policies the snapshot holds (`s3`, `kms`): one of
                  their resources without a policy has none; None: of every service
    """

    id: str
    is_management: bool = False
    is_exported: bool = True
    scps: tuple[PolicySet, ...] | None = None
    rcps: tuple[PolicySet, ...] | None = None
    org_id: str = ""
    org_path: str = ""
    gaps: tuple[str, ...] = ()
    resource_services: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """The policy of one resource: bucket, queue, key, function, role (its trust policy) ...

    arn     : ARN of the resource that carries the policy (a bucket, not its objects)
    account : owner, where the ARN does not tell; empty when not known
    tags    : of the resource; None when not known
    """

    arn: str
    policy: PolicySet
    account: str = ""
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A VPC endpoint and its policy (EVAL-60, EVAL-61). `id` is `vpce-...`."""

    id: str
    policy: PolicySet
    account: str = ""
    vpc: str = ""
    is_gateway: bool = True


LAYERS = ("identity", "boundary", "session", "resource", "scp", "rcp", "vpce")
"""Policy types a snapshot may hold or not."""


@dataclass(frozen=True, slots=True)
class Organization:
    """A snapshot of policies, ready to be compiled.

    missing_layers  : policy types of LAYERS that the snapshot does not hold at all
    missing_unknown : they count as unknown; otherwise they are left out, and answers name them
    kms_aliases     : ARN of an alias -> ARN of its key (for `runtime.governing`)
    """

    accounts: tuple[Account, ...] = ()
    principals: tuple[Principal, ...] = ()
    resource_policies: tuple[ResourcePolicy, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    missing_layers: tuple[str, ...] = ("session",)
    missing_unknown: bool = False
    kms_aliases: Mapping[str, str] = field(default_factory=dict)

    def documents(self) -> tuple[PolicyDocument, ...]:
        """Every document of the snapshot, each object once."""
        found: dict[int, PolicyDocument] = {}
        for policies in self._policy_sets():
            found.update((id(document), document) for document in policies.documents)
        return tuple(found.values())

    def _policy_sets(self) -> Iterator[PolicySet]:
        for account in self.accounts:
            yield from account.scps or ()
            yield from account.rcps or ()
        for principal in self.principals:
            yield principal.identity
            if principal.boundary is not None:
                yield principal.boundary
        yield from (resource.policy for resource in self.resource_policies)
        yield from (endpoint.policy for endpoint in self.endpoints)
