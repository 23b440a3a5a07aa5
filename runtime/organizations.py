"""An organization as an estate: who carries what, and what the snapshot does not tell.

Nothing is guessed. A principal, a policy or an account that should be in the snapshot and is not
makes the set *open*: it may allow and deny anything, and answers that hang on it are undetermined.
A layer that the snapshot does not hold at all is left out, or open where the organization says that
it counts as unknown.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from .codes import (
    ACCOUNT_EXPORTED,
    ACCOUNT_HAS_RCPS,
    ACCOUNT_HAS_SCPS,
    ACCOUNT_MANAGEMENT,
    NO_ID,
)
from .conditions import UNKNOWN, Value
from .derived import AccountFacts, EndpointFacts, Facts, PrincipalFacts, derive, principal_keys
from .derived import resource_keys as keys_of_resource
from .estates import (
    HAVE_KINDS,
    HAVE_SESSIONS,
    Bundle,
    EndpointSide,
    RequesterSide,
    ResourceSide,
    Row,
    given_without,
    may_be_uniform,
    resource_facts,
    scp_row,
)
from .governing import GOVERNED_FROM_ELSEWHERE, HAVE_RULES, governing_arns
from .model import TableModel
from .requesters import KIND_NAMES, WITH_IDENTITY, Requester, RequesterKind, split_arn
from .signals import LEVEL_SIGNALS, NO_SIGNAL, Signal

_MOST_EXCEPTIONS = 10_000
"""ARNs that the kernel keeps as exceptions to a shape."""

_MOST_OWNERS = 4096
"""Owners for which it is remembered what follows from them."""

_OPEN_IDENTITY = Row(-1, Signal.IDENTITY, Signal.DENY_IDENTITY, True)
_OPEN_BOUNDARY = Row(-1, Signal.BOUNDARY, Signal.DENY_BOUNDARY, True)
_OPEN_SESSION = Row(-1, Signal.SESSION, Signal.DENY_SESSION, True)
_OPEN_RESOURCE = Row(-1, LEVEL_SIGNALS, Signal.DENY_RESOURCE, True)
_OPEN_RCP = Row(-1, NO_SIGNAL, Signal.DENY_RCP, True)
_OPEN_ENDPOINT = Row(-1, Signal.VPCE, Signal.DENY_VPCE, True)

Gaps = tuple[str, ...]

FROM_REQUESTER = (
    "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username",
    "aws:principaltag/*", "aws:principalorgid", "aws:principalorgpaths",
    "aws:principalisawsservice", "aws:principalservicename", "aws:principalservicenameslist",
)  # fmt: skip
FROM_RESOURCE = (
    "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:resourcetag/*",
)  # fmt: skip
FROM_ENDPOINT = (
    "aws:sourcevpc", "aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths",
)  # fmt: skip

_V = TypeVar("_V")


class _OnDemand(Mapping[str, _V]):
    """Values that are made when asked for: of tens of thousands a process needs a few.

    Iteration gives all names, also those that turn out to have no value.
    """

    def __init__(self, names: Mapping[str, int], make: Callable[[str], _V | None]) -> None:
        self._names = names
        self._make = make
        self._made: dict[str, _V] = {}

    def __getitem__(self, name: str) -> _V:
        """Raises KeyError for a name without a value."""
        made = self._made.get(name)
        if made is None:
            made = self._make(name) if name in self._names else None
            if made is None:
                raise KeyError(name)
            self._made[name] = made
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Account:
    """A row of the account arrays."""

    def __init__(self, model: TableModel, number: int) -> None:
        flags = int(model["account_flags"][number])
        self.is_management = bool(flags & ACCOUNT_MANAGEMENT)
        self.is_exported = bool(flags & ACCOUNT_EXPORTED)
        self.scps = self._levels(model, "account_scp", number) if flags & ACCOUNT_HAS_SCPS else None
        self.rcps = self._levels(model, "account_rcp", number) if flags & ACCOUNT_HAS_RCPS else None

    @staticmethod
    def _levels(model: TableModel, name: str, number: int) -> tuple[int, ...]:
        start, stop = model[f"{name}_start"][number : number + 2].tolist()
        return tuple(model[name][start:stop].tolist())


class OrganizationEstate:
    """The sides of requests in an organization. Safe between threads: only memoises."""

    derived_from_requester: tuple[str, ...] = FROM_REQUESTER
    derived_from_resource: tuple[str, ...] = FROM_RESOURCE
    derived_from_endpoint: tuple[str, ...] = FROM_ENDPOINT

    def __init__(self, model: TableModel) -> None:
        self._model = model
        self._is_open = model["class_is_open"].tolist()
        self._missing = frozenset(model.frame["missing_layers"])
        self._counts_unknown = bool(model.frame["missing_unknown"])
        self._derived_from_owners: dict[str, Mapping[str, Value]] = {}
        self._accounts = {
            id: _Account(model, number) for number, id in enumerate(model.texts("account_id"))
        }

    # --- look-ups, made when first needed

    @cached_property
    def facts(self) -> Facts:
        """What condition keys are derived from (CTX-3)."""
        model = self._model
        accounts = {
            id: AccountFacts(id, org_id, org_path)
            for id, org_id, org_path in zip(
                model.texts("account_id"),
                model.texts("account_org_id"),
                model.texts("account_org_path"),
                strict=True,
            )
        }
        endpoints = {
            id: EndpointFacts(id, account, vpc)
            for id, account, vpc in zip(
                self._endpoints,
                model.texts("endpoint_account"),
                model.texts("endpoint_vpc"),
                strict=True,
            )
        }
        owners = {
            arn: account
            for arn, account in zip(self._governed, self._governed_accounts, strict=True)
            if account
        }
        return Facts(
            _OnDemand(self._principals, self._principal_facts), accounts, endpoints,
            _OnDemand(ChainMap(self._governed, self._principals), self._tags_of), owners,
        )  # fmt: skip

    def _principal_facts(self, arn: str) -> PrincipalFacts:
        number = self._principals[arn]
        unique_ids, tags = self._principal_texts
        has_session_tags = bool(self._model["principal_has_session_tags"][number])
        return PrincipalFacts(arn, unique_ids[number], _tags(tags[number]), has_session_tags)

    def _tags_of(self, arn: str) -> Mapping[str, str] | None:
        """Tags of a resource; of a user or a role those of the principal."""
        known = _tags(self._governed_tags[self._governed[arn]]) if arn in self._governed else None
        if known is None and arn in self._principals:
            return _tags(self._principal_texts[1][self._principals[arn]])
        return known

    @cached_property
    def _principal_texts(self) -> tuple[list[str], list[str]]:
        """Unique ids and tags, by number."""
        return self._model.texts("principal_unique_id"), self._model.texts("principal_tags")

    @cached_property
    def _governed_tags(self) -> list[str]:
        return self._model.texts("governed_tags")

    @cached_property
    def _account_gaps(self) -> Mapping[str, Gaps]:
        model = self._model
        return {
            id: _split(text)
            for id, text in zip(model.texts("account_id"), model.texts("account_gap"), strict=True)
        }

    @cached_property
    def _services(self) -> Mapping[str, frozenset[str] | None]:
        """Services whose resource policies an account's snapshot holds; None: all."""
        model = self._model
        return {
            id: None if text == "*" else frozenset(text.split())
            for id, text in zip(
                model.texts("account_id"), model.texts("account_services"), strict=True
            )
        }

    @cached_property
    def _principals(self) -> dict[str, int]:
        return {arn: number for number, arn in enumerate(self._model.texts("principal_arn"))}

    @cached_property
    def _named(self) -> Mapping[tuple[str, str, str, str], int]:
        """(partition, account, kind, name): names are unique per account whatever their case."""
        named = {}
        for arn_text, number in self._principals.items():
            arn = split_arn(arn_text)
            if arn is not None:
                kind = arn.resource.partition("/")[0]
                named[arn.partition, arn.account, kind, arn.name.lower()] = number
        return named

    @cached_property
    def _arns(self) -> list[str]:
        return self._model.texts("principal_arn")

    @cached_property
    def _governed(self) -> dict[str, int]:
        return {arn: number for number, arn in enumerate(self._model.texts("governed_id"))}

    @cached_property
    def _governed_accounts(self) -> list[str]:
        return self._model.texts("governed_account")

    @cached_property
    def _aliases(self) -> Mapping[str, str]:
        model = self._model
        return dict(zip(model.texts("alias_id"), model.texts("alias_key"), strict=True))

    @cached_property
    def _endpoints(self) -> Mapping[str, int]:
        return {id: number for number, id in enumerate(self._model.texts("endpoint_id"))}

    @cached_property
    def _class_gaps(self) -> list[str]:
        return self._model.texts("class_gap")

    # --- the requester's side

    def requester_side(self, requester: Requester, is_management: bool) -> RequesterSide:
        kind = requester.kind
        account = self._accounts.get(requester.account or "")
        rows: list[Row] = []
        gaps: list[str] = []
        has_boundary: bool | None = False
        number = self.principal_number(requester)
        if kind in WITH_IDENTITY:
            if number is None:
                rows += (_OPEN_IDENTITY, _OPEN_BOUNDARY)
                gaps += self._gaps_of_unlisted(requester)
                has_boundary = None
            else:
                identity = int(self._model["principal_identity"][number])
                rows.append(self._row(identity, Signal.IDENTITY, Signal.DENY_IDENTITY, gaps))
                boundary = int(self._model["principal_boundary"][number])
                has_boundary = boundary != NO_ID
                if has_boundary:
                    rows.append(
                        self._row(boundary, Signal.BOUNDARY, Signal.DENY_BOUNDARY, gaps)
                    )
        has_session = False
        if kind in HAVE_SESSIONS and (kind is not RequesterKind.SESSION or self._counts_unknown):
            # Nobody but the caller knows the policies passed to a session.
            has_session = True
            rows.append(_OPEN_SESSION)
            gaps.append(f"the session policies of `{requester.principal}`")
        levels: tuple[Row, ...] = ()
        is_member = kind in WITH_IDENTITY or kind is RequesterKind.ROOT
        is_service_linked = requester.is_service_linked
        if is_member and not is_management and not is_service_linked:
            levels = self._scp_rows(requester.account or "", account, gaps)
        return RequesterSide(
            requester,
            (*rows, *levels),
            given_without(kind, has_boundary is not False, has_session),
            len(levels),
            has_boundary=has_boundary,
            is_under_rcps=not is_service_linked,
            is_under_endpoints=kind is not RequesterKind.SERVICE,
            rcps=self._rcps(requester.account, gaps) if requester.account else (),
            gaps=tuple(gaps),
            derived=self._derived_from(requester, number),
        )

    def _derived_from(self, requester: Requester, number: int | None) -> Mapping[str, Value]:
        issuer = requester.issuer or ("" if number is None else self._arns[number])
        keys = principal_keys(
            self.facts, requester.principal, KIND_NAMES[requester.kind], issuer
        )
        if requester.kind is RequesterKind.ROOT:
            # Of AssumeRoot sessions nobody says what these are, and here it is not known.
            keys |= {"aws:userid": UNKNOWN, "aws:PrincipalType": UNKNOWN}
        return _lowered(keys)

    def principal_number(self, requester: Requester) -> int | None:
        """The user or role behind a requester, as far as the snapshot lists it."""
        arn = requester.arn
        if arn is None or requester.kind not in WITH_IDENTITY:
            return None
        if requester.kind is RequesterKind.USER or requester.is_bare_role:
            return self._principals.get(requester.principal)
        if requester.issuer is not None:
            return self._principals.get(requester.issuer)
        if requester.kind is RequesterKind.SESSION:  # PRIN-4
            name = requester.role_name.lower()
            return self._named.get((arn.partition, arn.account, "role", name))
        return self._named.get((arn.partition, arn.account, "user", arn.name.lower()))  # PRIN-5

    def _gaps_of_unlisted(self, requester: Requester) -> Gaps:
        account = self._accounts.get(requester.account or "")
        if account is None:
            return (f"the policies of `{requester.principal}`: account "
                    f"{requester.account} is not in the snapshot",)  # fmt: skip
        known = self._account_gaps[requester.account or ""]
        return known or (
            f"the policies of `{requester.principal}`: the export of account "
            f"{requester.account} does not list it",
        )

    def _scp_rows(self, id: str, account: _Account | None, gaps: list[str]) -> tuple[Row, ...]:
        if account is not None and account.is_management:  # EVAL-6
            return ()
        if account is not None and account.scps is not None:
            rows = []
            for level, class_id in enumerate(account.scps):
                row = scp_row(class_id, level, bool(self._is_open[class_id]))
                gaps += _split(self._class_gaps[class_id]) if row.is_open else ()
                rows.append(row)
            return tuple(rows)
        if "scp" in self._missing and not self._counts_unknown:
            return ()
        gaps.append(f"the service control policies of account {id}")
        return (scp_row(-1, 0, True),)

    # --- the resource's side

    def resource_side(self, resource: str | None, account: str | None) -> ResourceSide:
        gaps: list[str] = []
        speaks: Bundle
        trust: Bundle
        if resource is None:
            speaks = () if self._is_left_out("resource") else (_OPEN_RESOURCE,)
            trust = (_OPEN_RESOURCE,)
            gaps.append("the policy of the resource")
            return ResourceSide(
                False, account or "", None, False, False, speaks, trust, bool(speaks),
                self._rcps(account or "", gaps), tuple(gaps),
                _lowered(keys_of_resource(self.facts, None, account or "")),
            )  # fmt: skip
        arn, named = resource_facts(resource)
        governed = [
            self._governed[a]
            for a in governing_arns(resource, self._aliases)
            if a in self._governed
        ]
        owners = (account, named, *(self._governed_accounts[g] for g in governed))
        owner = next(filter(None, owners), account)  # empty: not known; None: the requester's
        is_role = arn is not None and arn.is_role
        is_key = arn is not None and arn.is_key
        if governed:
            classes = self._model["governed_class"][governed].tolist()
            speaks = tuple(
                self._row(c, LEVEL_SIGNALS, Signal.DENY_RESOURCE, gaps) for c in classes
            )
            trust = speaks
        else:
            trust = self._unlisted_policy(resource, owner, is_role or is_key, gaps)
            # A trust policy can only speak for assuming the role.
            speaks = () if is_role else trust
        return ResourceSide(
            True,
            owner,
            None if arn is None else arn.partition,
            is_key,
            is_role,
            speaks,
            trust,
            bool(trust),
            self._rcps(owner, gaps) if owner is not None else (),
            tuple(gaps),
            self._derived_from_resource(resource, owner or ""),
        )

    def _derived_from_resource(self, resource: str, owner: str) -> Mapping[str, Value]:
        """Of an owner's resources, those without tags of their own all have the same."""
        facts = self.facts
        if not owner or facts.resource_tags.get(resource) is not None:
            return _lowered(keys_of_resource(facts, resource, owner))
        derived = self._derived_from_owners.get(owner)
        if derived is None:
            if len(self._derived_from_owners) >= _MOST_OWNERS:
                self._derived_from_owners.clear()
            derived = _lowered(keys_of_resource(facts, resource, owner))
            self._derived_from_owners[owner] = derived
        return derived

    def exceptions_of(self, shape: str) -> Sequence[str] | None:
        """What is filed in the place of these ARNs, where nothing elsewhere speaks for them."""
        service = shape.split(":", 3)[2]
        if service in GOVERNED_FROM_ELSEWHERE or not may_be_uniform(shape):
            return None
        at = end = bisect_left(self._filed, shape)
        while end < len(self._filed) and self._filed[end].startswith(shape):
            end += 1
            # By a rule, what is filed may speak for any other ARN of its place.
            if end - at > _MOST_EXCEPTIONS or service in HAVE_RULES - HAVE_KINDS:
                return None
        return self._filed[at:end]

    @cached_property
    def _filed(self) -> list[str]:
        """ARNs of which the snapshot knows something, in order."""
        return sorted({*self._governed, *self._aliases, *self._principals})

    def _unlisted_policy(
        self, resource: str, owner: str | None, needs_policy: bool, gaps: list[str]
    ) -> Bundle:
        """What speaks for a resource that the snapshot has no policy of."""
        if resource == "*":
            return ()
        service = resource.split(":", 3)[2]
        if needs_policy:  # a role and a key always have one
            gaps.append(f"the policy of `{resource}`")
            return (_OPEN_RESOURCE,)
        if owner is None:
            return ()
        if owner not in self._accounts:
            where = f"account {owner} is not in the snapshot" if owner else "its owner is not known"
            gaps.append(f"the policy of `{resource}`: {where}")
            return (_OPEN_RESOURCE,)
        held = self._services[owner]
        if self._is_left_out("resource") or held is None or service in held:
            return ()  # it has none
        gaps.append(f"the policy of `{resource}`")
        return (_OPEN_RESOURCE,)

    def _rcps(self, owner: str, gaps: list[str]) -> Bundle:
        account = self._accounts.get(owner)
        if account is not None and account.is_management:  # EVAL-6
            return ()
        if account is not None and account.rcps is not None:
            rows = []
            for class_id in account.rcps:
                rows.append(self._row(class_id, NO_SIGNAL, Signal.DENY_RCP, gaps))
            return tuple(rows)
        if self._is_left_out("rcp"):
            return ()
        gaps.append(f"the resource control policies of account {owner or 'of the resource'}")
        return (_OPEN_RCP,)

    # --- the endpoint's side

    def endpoint_side(self, endpoint: Value) -> EndpointSide:
        derived = self._derived_from_endpoint(endpoint)
        if endpoint is None or endpoint == ():
            return EndpointSide((), (), derived)
        if isinstance(endpoint, tuple) and len(endpoint) == 1:
            endpoint = endpoint[0]
        number = self._endpoints.get(endpoint) if isinstance(endpoint, str) else None
        if number is None:
            if self._is_left_out("vpce"):
                return EndpointSide((), (), derived)
            gap = (f"the policy of endpoint `{endpoint}`" if isinstance(endpoint, str)
                   else "through which endpoint the request came")  # fmt: skip
            return EndpointSide((_OPEN_ENDPOINT,), (gap,), derived)
        gaps: list[str] = []
        class_id = int(self._model["endpoint_class"][number])
        row = self._row(class_id, Signal.VPCE, Signal.DENY_VPCE, gaps)
        return EndpointSide((row,), tuple(gaps), derived)

    def _derived_from_endpoint(self, endpoint: Value) -> Mapping[str, Value]:
        context: dict[str, object] = {"aws:SourceVpce": endpoint}
        keys = derive(self.facts, principal="", kind="federated provider", context=context)
        return {name: value for name, value in _lowered(keys).items() if name in FROM_ENDPOINT}

    # --- shared

    def _row(self, class_id: int, allow: int, deny: int, gaps: list[str]) -> Row:
        is_open = bool(self._is_open[class_id])
        if is_open:
            gaps += _split(self._class_gaps[class_id])
        return Row(class_id, allow, deny, is_open)

    def _is_left_out(self, layer: str) -> bool:
        return layer in self._missing and not self._counts_unknown


def _lowered(keys: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name.lower(): value for name, value in keys.items()}


def _split(text: str) -> Gaps:
    return tuple(text.split("\n")) if text else ()


def _tags(text: str) -> Mapping[str, str] | None:
    """Tags as stored; None when not known. Raises nothing: a table is checked when opened."""
    if not text:
        return None
    if text == "{}":
        return {}
    try:
        tags = json.loads(text)
    except ValueError:
        return None
    return {str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else None
