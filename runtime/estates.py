"""Which policies meet a request: asked once per distinct requester, resource and endpoint.

An estate turns a requester into the sets of policies on its side, and a resource into those on the
other (EVAL-3 to EVAL-10). There are two: policies that meet every request (`LayersEstate`), and an
organization (runtime/organizations.py), which knows who carries what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ..errors import LimitError
from .codes import Role
from .conditions import Value
from .model import TableModel
from .requesters import WITH_IDENTITY, Arn, Requester, RequesterKind, split_arn
from .signals import LEVEL_SIGNALS, MAX_SCP_LEVELS, NO_SIGNAL, Signal


class Row(NamedTuple):
    """One set of policies that meets a request.

    class_id : -1 for a set of which nothing is known
    allow    : the signal its Allows give; NO_SIGNAL or LEVEL_SIGNALS
    deny     : the signal its Denies give
    is_open  : something of it is not known, so it may allow and deny anything
    """

    class_id: int
    allow: int
    deny: int
    is_open: bool


Bundle = tuple[Row, ...]
_NOTHING: Mapping[str, Value] = MappingProxyType({})


class RequesterSide(NamedTuple):
    """A requester and the policies on its side.

    given   : signals that hold without a policy, because the layer is not set
    gaps    : what of its policies is not known, in words
    derived : values of context keys that follow from the requester, by lower-case key (CTX-3);
              `prefix/*` stands for the keys of that prefix that are not named
    """

    requester: Requester
    bundle: Bundle
    given: frozenset[int]
    scp_levels: int
    has_boundary: bool | None = False
    """None: not known (PRIN-12)."""
    is_under_rcps: bool = True
    is_under_endpoints: bool = True
    rcps: Bundle = ()
    """RCPs of its account, for resources that are assumed to be in it (EVAL-3)."""
    gaps: tuple[str, ...] = ()
    derived: Mapping[str, Value] = _NOTHING


class ResourceSide(NamedTuple):
    """A resource and the policies on its side.

    account : owner; None: the requester's (EVAL-3's assumption); empty: not known
    partition : None for `*`, which is of every partition
    plain, trust : what speaks for it when it is no role, and when a role is to be assumed; they
                   differ only while the resource is not known
    """

    is_known: bool
    account: str | None
    partition: str | None
    is_key: bool
    is_role: bool
    plain: Bundle
    trust: Bundle
    has_policy: bool
    """False: it has no policy of its own, for certain (EVAL-33, EVAL-44)."""
    rcps: Bundle = ()
    gaps: tuple[str, ...] = ()
    derived: Mapping[str, Value] = _NOTHING


class EndpointSide(NamedTuple):
    bundle: Bundle
    """Empty: no endpoint policy applies."""
    gaps: tuple[str, ...] = ()
    derived: Mapping[str, Value] = _NOTHING


class Estate(Protocol):
    """Safe between threads."""

    derived_from_requester: tuple[str, ...]
    """Lower-case keys that `RequesterSide.derived` holds, when the caller gives none."""
    derived_from_resource: tuple[str, ...]
    derived_from_endpoint: tuple[str, ...]

    def requester_side(self, requester: Requester, is_management: bool) -> RequesterSide: ...

    def resource_side(self, resource: str | None, account: str | None) -> ResourceSide: ...

    def exceptions_of(self, shape: str) -> Sequence[str] | None:
        """`resource_side` says the same of all resources that begin with `shape`, but for these.

        shape : an ARN up to its fifth colon (a place), or up to the first `/` behind it

        None where each has to be asked for.
        """
        ...

    def endpoint_side(self, endpoint: Value) -> EndpointSide:
        """endpoint : value of `aws:SourceVpce`"""
        ...


HAVE_SESSIONS = frozenset(
    {RequesterKind.SESSION, RequesterKind.FEDERATED_USER, RequesterKind.ROOT}
)
"""Requesters to whom session policies can have been passed (EVAL-6, EVAL-52)."""


def scp_row(class_id: int, level: int, is_open: bool) -> Row:
    """Raises LimitError for more levels than there are signals."""
    if level >= MAX_SCP_LEVELS:
        raise LimitError(
            f"an account has more than {MAX_SCP_LEVELS} levels of service control policies",
            limit="MAX_SCP_LEVELS", allowed=MAX_SCP_LEVELS, given=level + 1,
            help="AWS nests five levels of organizational units; check the snapshot",
        )  # fmt: skip
    return Row(class_id, Signal.SCP + level, Signal.DENY_SCP, is_open)


def given_without(kind: RequesterKind, has_boundary: bool, has_session: bool) -> frozenset[int]:
    """Signals of layers that are not set (5.6): open gates, but for EVAL-21 and EVAL-52."""
    given = set()
    if not has_boundary:
        given.add(int(Signal.BOUNDARY))
    needs_session = kind in (RequesterKind.FEDERATED_USER, RequesterKind.ROOT)
    if not has_session and not needs_session:
        given.add(int(Signal.SESSION))
    return frozenset(given)


def derived_value(derived: Mapping[str, Value], name: str) -> Value:
    """Value of a key, in lower case; a family of keys answers for those it does not name."""
    if name in derived:
        return derived[name]
    return derived.get(f"{name.partition('/')[0]}/*")


def resource_facts(resource: str) -> tuple[Arn | None, str | None]:
    """The ARN of a resource, and the account it names (EVAL-3)."""
    arn = split_arn(resource)
    if arn is None:
        return None, None
    account = arn.account
    is_account = len(account) == 12 and account.isascii() and account.isdigit()
    return arn, account if is_account else None


HAVE_KINDS = frozenset({"iam", "kms"})
"""Services of whose resources some are decided by rules of their own (EVAL-40, EVAL-42)."""


def may_be_uniform(shape: str) -> bool:
    """Whether the shape tells the kind of its resources, and the place of what governs them.

    Behind a place only those of IAM and KMS, which govern themselves, and of S3 objects do.
    """
    _, _, service, *place, kind = shape.split(":", 5)
    if not kind:
        return service not in HAVE_KINDS
    return service in HAVE_KINDS or (service == "s3" and place == ["", ""])


class LayersEstate:
    """Policies that meet every request to which their type applies (EVAL-6)."""

    derived_from_requester: tuple[str, ...] = ()
    derived_from_resource: tuple[str, ...] = ()
    derived_from_endpoint: tuple[str, ...] = ()

    def __init__(self, model: TableModel) -> None:
        is_open = model["class_is_open"] != 0
        self._at: dict[Role, list[tuple[int, bool]]] = {role: [] for role in Role}
        for role, class_id in zip(
            model["place_role"].tolist(), model["place_class"].tolist(), strict=True
        ):
            self._at[Role(role)].append((class_id, bool(is_open[class_id])))

    def _rows(self, role: Role, allow: int, deny: int) -> Bundle:
        return tuple(Row(class_id, allow, deny, is_open) for class_id, is_open in self._at[role])

    def requester_side(self, requester: Requester, is_management: bool) -> RequesterSide:
        kind = requester.kind
        rows: list[Row] = []
        has_boundary = has_session = False
        if kind in WITH_IDENTITY:
            rows += self._rows(Role.IDENTITY, Signal.IDENTITY, Signal.DENY_IDENTITY)
            boundary = self._rows(Role.BOUNDARY, Signal.BOUNDARY, Signal.DENY_BOUNDARY)
            has_boundary = bool(boundary)
            rows += boundary
        if kind in HAVE_SESSIONS:
            session = self._rows(Role.SESSION, Signal.SESSION, Signal.DENY_SESSION)
            has_session = bool(session)
            rows += session
        levels: list[tuple[int, bool]] = []
        is_member = kind in WITH_IDENTITY or kind is RequesterKind.ROOT
        if is_member and not is_management and not requester.is_service_linked:  # EVAL-7, EVAL-57
            levels = self._at[Role.SCP]
        rows += [scp_row(c, level, is_open) for level, (c, is_open) in enumerate(levels)]
        return RequesterSide(
            requester,
            tuple(rows),
            given_without(kind, has_boundary, has_session),
            len(levels),
            has_boundary=has_boundary,
            is_under_rcps=not requester.is_service_linked,
            is_under_endpoints=kind is not RequesterKind.SERVICE,
        )

    def resource_side(self, resource: str | None, account: str | None) -> ResourceSide:
        plain = self._rows(Role.RESOURCE, LEVEL_SIGNALS, Signal.DENY_RESOURCE)
        trust = self._rows(Role.TRUST, LEVEL_SIGNALS, Signal.DENY_RESOURCE)
        rcps = self._rows(Role.RCP, NO_SIGNAL, Signal.DENY_RCP)
        if resource is None:
            return ResourceSide(
                False, account or "", None, False, False, plain, trust, bool(plain), rcps
            )
        arn, named = resource_facts(resource)
        is_role = arn is not None and arn.is_role
        speaks = trust if is_role else plain
        return ResourceSide(
            True,
            account or named or account,
            None if arn is None else arn.partition,
            arn is not None and arn.is_key,
            is_role,
            speaks,
            speaks,
            bool(speaks),
            rcps,
        )

    def exceptions_of(self, shape: str) -> Sequence[str] | None:
        return () if may_be_uniform(shape) else None

    def endpoint_side(self, endpoint: Value) -> EndpointSide:
        return EndpointSide(self._rows(Role.VPCE, Signal.VPCE, Signal.DENY_VPCE))
