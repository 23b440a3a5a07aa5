"""A snapshot directory -> `Organization` (docs/organization.md has the layout).

What the snapshot should hold and does not becomes a gap where it is missed; a layer that it does
not hold at all is named in `missing_layers`; what contradicts itself, or would be left out because
nothing reads it, is an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from ..compiler.organization import (
    Account,
    Endpoint,
    Organization,
    Principal,
    ResourcePolicy,
)
from ..errors import OrganizationError, RequestError
from ..grammar.parser import MODES
from ..grammar.tree import Mode
from .controls import Controls
from .details import read_details
from .documents import DocumentStore
from .endpoints import read_aliases, read_endpoints
from .files import listing, read_file
from .managed import ManagedPolicies
from .resources import ResourceDirectory, read_resources
from .tree import DIRECTORY, Tree, read_tree

MissingLayers = Literal["leave-out", "unknown"]

ACCOUNTS = "accounts"
RESOURCES = "resources"
AWS_MANAGED = "aws-managed"
DETAILS, ENDPOINTS, ALIASES = "authorization-details", "endpoints", "kms-aliases"
_TOP = frozenset({DIRECTORY, ACCOUNTS, RESOURCES, AWS_MANAGED})
_TREE = frozenset(
    {
        "organization.json",
        "roots.json",
        "accounts.json",
        "units",
        "accounts",
        "scps",
        "rcps",
        "policies",
    }
)


def load_organization(
    path: str | os.PathLike[str],
    *,
    missing_layers: MissingLayers = "leave-out",
    mode: Mode = "lenient",
) -> Organization:
    """The snapshot in the directory `path`.

    missing_layers : what a layer counts as that the snapshot does not hold at all (no SCPs, no
                     resource policies): `leave-out`, and answers name it, or `unknown`
    mode           : of the documents, as for `parse_policy`

    Raises OrganizationError for a snapshot that cannot be read or contradicts itself,
    PolicySyntaxError for a document that is not JSON, PolicySemanticError (strict), LimitError.
    """
    if missing_layers not in ("leave-out", "unknown"):
        raise RequestError(
            f"missing layers cannot be `{missing_layers}`",
            field="missing_layers",
            help="choose one of: leave-out, unknown",
        )
    if mode not in MODES:
        raise RequestError(
            f"there is no mode `{mode}`", field="mode", help=f"choose one of: {', '.join(MODES)}"
        )
    return _Loader(os.fspath(path), mode).load(missing_layers == "unknown")


@dataclass(slots=True)
class _Contents:
    """What the directories of the accounts held."""

    principals: list[Principal] = field(default_factory=list)
    policies: list[ResourcePolicy] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    services: dict[str, frozenset[str]] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)


def is_snapshot(path: str) -> bool:
    """Is it a directory laid out as a snapshot, rather than a directory of policies?"""
    return any(os.path.isdir(os.path.join(path, name)) for name in (DIRECTORY, ACCOUNTS))


class _Loader:
    def __init__(self, path: str, mode: Mode) -> None:
        self._path = path
        self._store = DocumentStore(mode)
        self._managed = ManagedPolicies(os.path.join(path, AWS_MANAGED), self._store)

    def load(self, is_missing_unknown: bool) -> Organization:
        if not os.path.isdir(self._path):
            raise OrganizationError(
                f"`{self._path}` is no directory",
                path=self._path,
                help="`iamtables init DIR` makes one, with the commands that fill it",
            )
        _refuse_strangers(self._path, _TOP)
        _refuse_strangers(os.path.join(self._path, DIRECTORY), _TREE)
        tree = read_tree(self._path)
        contents = self._read_accounts()
        if not contents.gaps and (tree is None or not tree.accounts):
            raise OrganizationError(
                f"`{self._path}` holds no accounts",
                path=self._path,
                help=f"there should be directories like `{ACCOUNTS}/111122223333`; the scripts "
                "that `iamtables init DIR` writes fill them",
            )
        top = read_resources(os.path.join(self._path, RESOURCES), "", self._store)
        self._add_resources(contents, top)
        accounts = self._accounts(tree, contents)
        _refuse_twice(contents)
        return Organization(
            accounts=accounts,
            principals=tuple(contents.principals),
            resource_policies=tuple(contents.policies),
            endpoints=tuple(contents.endpoints),
            missing_layers=self._missing(contents),
            missing_unknown=is_missing_unknown,
            kms_aliases=contents.aliases,
        )

    def _read_accounts(self) -> _Contents:
        contents = _Contents()
        directory = os.path.join(self._path, ACCOUNTS)
        for account in listing(directory):
            place = os.path.join(directory, account)
            if not os.path.isdir(place) or len(account) != 12 or not account.isdecimal():
                raise OrganizationError(
                    f"`{place}` is no directory of an account",
                    path=place,
                    name=account,
                    help="a directory is named after its account, twelve digits",
                )
            self._read_account(account, place, contents)
        return contents

    def _read_account(self, account: str, place: str, contents: _Contents) -> None:
        files: dict[str, list[str]] = {DETAILS: [], ENDPOINTS: [], ALIASES: []}
        for name in listing(place):
            kind = next((k for k in files if name.startswith(k) and name.endswith(".json")), None)
            if kind is not None:
                files[kind].append(os.path.join(place, name))
        _refuse_strangers(
            place, {RESOURCES, *(os.path.basename(p) for f in files.values() for p in f)}
        )
        details = read_details(
            account, map(read_file, files[DETAILS]), self._store, self._managed.document
        )
        contents.principals += details.principals
        contents.policies += details.trust_policies
        contents.gaps[account] = tuple(details.gaps)
        if files[DETAILS]:
            contents.layers |= {"identity", "boundary"}
        else:
            contents.gaps[account] = (f"export of account `{account}`",)
        resources = read_resources(os.path.join(place, RESOURCES), account, self._store)
        self._add_resources(contents, resources)
        contents.services[account] = resources.services
        if files[ENDPOINTS]:
            contents.layers.add("vpce")
        contents.endpoints += read_endpoints(map(read_file, files[ENDPOINTS]), account, self._store)
        contents.aliases.update(read_aliases(map(read_file, files[ALIASES]), account))

    def _add_resources(self, contents: _Contents, found: ResourceDirectory) -> None:
        contents.policies += found.policies
        if found.policies or found.services:
            contents.layers.add("resource")

    def _accounts(self, tree: Tree | None, contents: _Contents) -> tuple[Account, ...]:
        known = tree or Tree()
        ids = frozenset(contents.gaps) | known.accounts
        scps = Controls(self._path, "scp", known, self._store)
        rcps = Controls(self._path, "rcp", known, self._store)
        for layer, controls in (("scp", scps), ("rcp", rcps)):
            controls.check_targets(ids)
            if controls.is_held or controls.is_disabled:
                contents.layers.add(layer)
        accounts = []
        for account in sorted(ids):
            gaps = contents.gaps.get(account, (f"export of account `{account}`",))
            accounts.append(
                Account(
                    account,
                    is_management=account == known.management,
                    is_exported=not gaps,
                    scps=scps.levels(account),
                    rcps=rcps.levels(account),
                    org_id=known.org_id if account in known.accounts else "",
                    org_path=known.path(account),
                    gaps=gaps,
                    resource_services=contents.services.get(account, frozenset()),
                )
            )
        return tuple(accounts)

    def _missing(self, contents: _Contents) -> tuple[str, ...]:
        held = contents.layers
        layers = ("identity", "boundary", "session", "resource", "scp", "rcp", "vpce")
        return tuple(layer for layer in layers if layer not in held)


def _refuse_strangers(directory: str, known: frozenset[str] | set[str]) -> None:
    """A directory or JSON file that nothing reads is a layer that would silently be left out."""
    for name in listing(directory):
        path = os.path.join(directory, name)
        if name not in known and (name.endswith(".json") or os.path.isdir(path)):
            raise OrganizationError(
                f"`{path}` has no place in a snapshot",
                path=path,
                name=name,
                help=f"rename or remove it; here may be: {', '.join(sorted(known))}",
            )


def _refuse_twice(contents: _Contents) -> None:
    """No resource has two policies, no endpoint two places."""
    owners: dict[str, str] = {}
    for policy in contents.policies:
        if policy.arn in owners:
            raise OrganizationError(
                f"`{policy.arn}` has two policies in the snapshot",
                name=policy.arn,
                path=policy.policy.documents[0].source.name if policy.policy.documents else "",
                help="a role's trust policy is in its account's export; a resource belongs to the "
                "directory of one account",
            )
        owners[policy.arn] = policy.account
    places: set[str] = set()
    for endpoint in contents.endpoints:
        if endpoint.id in places:
            raise OrganizationError(
                f"endpoint `{endpoint.id}` is listed twice",
                name=endpoint.id,
                path=endpoint.policy.documents[0].source.name,
                help="keep one listing of each region",
            )
        places.add(endpoint.id)
