"""Where the documents of a compilation stand: sets of policies, and who or what carries them.

A *class* is a distinct set of documents in one place: the identity policies of a principal, a
boundary, one level of SCPs, the policy of a resource. Equal sets are one class, so 20,000
principals with 5,000 distinct sets cost 5,000. A class with gaps is open: documents that belong to
it are not in the snapshot, so beside what its statements say anything may be allowed or denied
there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..grammar import parse_policy
from ..grammar.tree import PolicyDocument, PolicyType
from ..runtime.codes import (
    ACCOUNT_EXPORTED,
    ACCOUNT_HAS_RCPS,
    ACCOUNT_HAS_SCPS,
    ACCOUNT_MANAGEMENT,
    Role,
)
from ..source import Source
from .organization import Organization, PolicySet
from .session_tags import may_tag_session

FrameKind = str
"""`identity`: identity policies of everyone, nothing else; `layers`: sets of policies that meet
every request; `organization`: who carries what."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    id: str
    flags: int
    scps: tuple[int, ...]
    rcps: tuple[int, ...]
    org_id: str
    org_path: str
    gaps: tuple[str, ...]
    services: str
    """Services whose resource policies are held, or `*`."""


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    arn: str
    unique_id: str
    identity: int
    boundary: int
    """-1: none is set."""
    tags: str
    """JSON object, or empty when not known."""
    has_session_tags: bool
    """Its sessions may carry tags of their own."""


@dataclass(frozen=True, slots=True)
class CarrierRow:
    """A resource or an endpoint with its policy; `place` is the VPC of an endpoint."""

    id: str
    class_id: int
    account: str
    tags: str = ""
    place: str = ""


@dataclass(slots=True)
class Frame:
    """Documents in order, classes of them by number, and who carries the classes."""

    kind: FrameKind = "identity"
    documents: list[PolicyDocument] = field(default_factory=list)
    classes: list[tuple[tuple[int, ...], tuple[str, ...]]] = field(default_factory=list)
    """(numbers of documents, gaps)"""
    places: list[tuple[Role, int]] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    principals: list[PrincipalRow] = field(default_factory=list)
    resource_policies: list[CarrierRow] = field(default_factory=list)
    endpoints: list[CarrierRow] = field(default_factory=list)
    aliases: tuple[tuple[str, str], ...] = ()
    """(ARN of a KMS alias, ARN of its key)"""
    interface_endpoints: set[int] = field(default_factory=set)
    missing_layers: tuple[str, ...] = ()
    missing_unknown: bool = False

    @property
    def meta(self) -> dict[str, object]:
        """What of a frame is no array."""
        return {
            "kind": self.kind,
            "missing_layers": list(self.missing_layers),
            "missing_unknown": self.missing_unknown,
        }

    @property
    def keys(self) -> tuple[str, ...]:
        """Context keys that the evaluation itself asks for (EVAL-52, and which endpoint)."""
        if self.kind == "identity":
            return ()
        keys = ("aws:AssumedRoot",)
        counts_unknown = self.missing_unknown and "vpce" in self.missing_layers
        return (*keys, "aws:SourceVpce") if self.endpoints or counts_unknown else keys


class _Builder:
    def __init__(self, kind: FrameKind) -> None:
        self.frame = Frame(kind)
        self._documents: dict[int, int] = {}
        self._classes: dict[tuple[tuple[int, ...], tuple[str, ...]], int] = {}

    def document(self, document: PolicyDocument) -> int:
        number = self._documents.get(id(document))
        if number is None:
            number = self._documents[id(document)] = len(self.frame.documents)
            self.frame.documents.append(document)
        return number

    def class_of(self, documents: Iterable[PolicyDocument], gaps: Sequence[str] = ()) -> int:
        numbers = tuple(dict.fromkeys(map(self.document, documents)))
        key = (numbers, tuple(gaps))
        class_id = self._classes.get(key)
        if class_id is None:
            class_id = self._classes[key] = len(self.frame.classes)
            self.frame.classes.append(key)
        return class_id

    def set_class(self, policies: PolicySet) -> int:
        return self.class_of(policies.documents, policies.gaps)


def identity_frame(documents: Sequence[PolicyDocument]) -> Frame:
    """Identity policies of everyone; no other layer (one class of all documents, in order)."""
    frame = Frame()
    frame.documents.extend(documents)
    frame.classes.append((tuple(range(len(documents))), ()))
    return frame


def layers_frame(
    *,
    identity: Sequence[PolicyDocument] = (),
    resource: PolicyDocument | None = None,
    boundary: Sequence[PolicyDocument] = (),
    session: Sequence[PolicyDocument] = (),
    scps: Sequence[Sequence[PolicyDocument]] = (),
    rcps: Sequence[Sequence[PolicyDocument]] = (),
    endpoint: Sequence[PolicyDocument] = (),
) -> Frame:
    """Sets of policies that meet every request to which their type applies (EVAL-6)."""
    builder = _Builder("layers")
    places = builder.frame.places
    places.append((Role.IDENTITY, builder.class_of(identity)))
    if boundary:
        places.append((Role.BOUNDARY, builder.class_of(boundary)))
    if session:
        places.append((Role.SESSION, builder.class_of(session)))
    if resource is not None:
        places.append((Role.RESOURCE, builder.class_of([_read_as(resource, "resource")])))
        places.append((Role.TRUST, builder.class_of([_read_as(resource, "trust")])))
    places.extend((Role.SCP, builder.class_of(level)) for level in scps)
    if rcps:
        places.append((Role.RCP, builder.class_of(d for level in rcps for d in level)))
    if endpoint:
        places.append((Role.VPCE, builder.class_of(endpoint)))
    return builder.frame


def _read_as(document: PolicyDocument, policy_type: PolicyType) -> PolicyDocument:
    """The resource policy of a role is its trust policy, and other rules hold for it (GRAM-40)."""
    if document.policy_type == policy_type:
        return document
    source = document.source
    # A wrapper around the document is blanked out, so that every place keeps its line and column.
    before, after = source.text[: document.span.start], source.text[document.span.end :]
    inner = source.text[document.span.start : document.span.end]
    text = _NOT_A_BREAK.sub(" ", before) + inner + _NOT_A_BREAK.sub(" ", after)
    return replace(
        parse_policy(text, name=source.name, policy_type=policy_type, date=source.date),
        source=Source(source.name, text, source.date, line=source.line, column=source.column),
    )


_NOT_A_BREAK = re.compile(r"[^\r\n]")


def organization_frame(organization: Organization) -> Frame:
    """An organization, with equal sets of policies made one."""
    builder = _Builder("organization")
    frame = builder.frame
    frame.missing_layers = organization.missing_layers
    frame.missing_unknown = organization.missing_unknown
    frame.aliases = tuple(sorted(organization.kms_aliases.items()))
    for account in organization.accounts:
        flags = ACCOUNT_MANAGEMENT if account.is_management else 0
        flags |= ACCOUNT_EXPORTED if account.is_exported else 0
        flags |= ACCOUNT_HAS_SCPS if account.scps is not None else 0
        flags |= ACCOUNT_HAS_RCPS if account.rcps is not None else 0
        frame.accounts.append(
            AccountRow(
                account.id,
                flags,
                tuple(map(builder.set_class, account.scps or ())),
                tuple(map(builder.set_class, account.rcps or ())),
                account.org_id,
                account.org_path,
                account.gaps,
                "*" if account.resource_services is None
                else " ".join(sorted(account.resource_services)),
            )
        )
    trusts = {policy.arn: policy.policy for policy in organization.resource_policies}
    for principal in organization.principals:
        boundary = -1 if principal.boundary is None else builder.set_class(principal.boundary)
        frame.principals.append(
            PrincipalRow(
                principal.arn,
                principal.unique_id,
                builder.set_class(principal.identity),
                boundary,
                _tags(principal.tags),
                principal.arn not in trusts or may_tag_session(trusts[principal.arn]),
            )
        )
    for carrier in organization.resource_policies:
        frame.resource_policies.append(
            CarrierRow(carrier.arn, builder.set_class(carrier.policy), carrier.account,
                       _tags(carrier.tags))
        )  # fmt: skip
    for endpoint in organization.endpoints:
        frame.endpoints.append(
            CarrierRow(endpoint.id, builder.set_class(endpoint.policy), endpoint.account,
                       place=endpoint.vpc)
        )  # fmt: skip
        if not endpoint.is_gateway:
            frame.interface_endpoints.update(map(builder.document, endpoint.policy.documents))
    return frame


def _tags(tags: Mapping[str, str] | None) -> str:
    return "" if tags is None else json.dumps(dict(tags), sort_keys=True)
