"""Roots, organizational units and accounts: where each account hangs, and from which root.

    organization.json       aws organizations describe-organization
    roots.json              aws organizations list-roots
    units/PARENT.json       aws organizations list-organizational-units-for-parent
    accounts/PARENT.json    aws organizations list-accounts-for-parent
    accounts.json           aws organizations list-accounts          (instead, or as well)

A listing that was cut off, a unit below itself, a parent that nobody lists and an account in two
places are errors: whatever hung on them would be decided under the wrong policies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ..errors import LimitError, OrganizationError
from .files import json_files, read_file

MAX_LEVELS = 64
"""Levels from the root to an account. AWS allows seven."""

DIRECTORY = "organization"
_ROOTS = "roots.json"
_DESCRIPTION = "organization.json"
_ACCOUNTS = "accounts.json"
_ORGANIZATIONS = "aws organizations"


class _Described(msgspec.Struct, rename="pascal"):
    id: str = ""
    master_account_id: str = ""
    management_account_id: str = ""


class _Description(msgspec.Struct, rename="pascal"):
    organization: _Described


class _PolicyType(msgspec.Struct, rename="pascal"):
    type: str
    status: str = ""


class _Root(msgspec.Struct, rename="pascal"):
    id: str
    arn: str = ""
    policy_types: list[_PolicyType] | None = None


class _Roots(msgspec.Struct, rename="pascal"):
    roots: list[_Root]
    next_token: str | None = None


class _Unit(msgspec.Struct, rename="pascal"):
    id: str


class _Units(msgspec.Struct, rename="pascal"):
    organizational_units: list[_Unit]
    next_token: str | None = None


class _Listed(msgspec.Struct, rename="pascal"):
    id: str


class _Accounts(msgspec.Struct, rename="pascal"):
    accounts: list[_Listed]
    next_token: str | None = None


@dataclass(slots=True)
class Tree:
    """An organization's tree.

    org_id, management : empty when not known
    targets            : the ids from the root to each account whose place is known, itself last
    accounts           : every account that is listed, its place known or not
    units              : ids of roots and units
    enabled            : policy types in force, as `list-roots` prints them; None: not shown
    """

    org_id: str = ""
    management: str = ""
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    enabled: frozenset[str] | None = None

    def path(self, account: str) -> str:
        """`o-.../r-.../ou-.../` of an account, as `aws:PrincipalOrgPaths` has it; empty when not
        known."""
        targets = self.targets.get(account)
        if targets is None or not self.org_id:
            return ""
        return "/".join((self.org_id, *targets[:-1], ""))


def read_tree(snapshot: str) -> Tree | None:
    """The tree in a snapshot's directory; None when it holds none.

    Raises OrganizationError, naming file and id, for a tree that is none.
    """
    directory = os.path.join(snapshot, DIRECTORY)
    if not os.path.isdir(directory):
        return None
    tree = Tree()
    _describe(tree, os.path.join(directory, _DESCRIPTION))
    roots = _read_roots(tree, os.path.join(directory, _ROOTS))
    parents = _Parents(roots)
    for parent, path in _listings(directory, "units"):
        units = read_file(path).decode(
            _Units, f"{_ORGANIZATIONS} list-organizational-units-for-parent"
        )
        _refuse_cut_off(path, units.next_token)
        for unit in units.organizational_units:
            parents.add(unit.id, parent, path)
    for parent, path in _listings(directory, "accounts"):
        listed = read_file(path).decode(_Accounts, f"{_ORGANIZATIONS} list-accounts-for-parent")
        _refuse_cut_off(path, listed.next_token)
        for account in listed.accounts:
            parents.add(_account_id(account.id, path), parent, path)
            tree.accounts.add(account.id)
    flat = os.path.join(directory, _ACCOUNTS)
    if os.path.isfile(flat):
        everyone = read_file(flat).decode(_Accounts, f"{_ORGANIZATIONS} list-accounts")
        _refuse_cut_off(flat, everyone.next_token)
        ids = [_account_id(account.id, flat) for account in everyone.accounts]
        for twice in {i for i in ids if ids.count(i) > 1} if len(set(ids)) < len(ids) else ():
            raise OrganizationError(
                f"`{flat}` lists account `{twice}` twice",
                path=flat,
                name=twice,
                help="keep one of them",
            )
        tree.accounts.update(ids)
    for child in parents.files:
        if child in tree.accounts:
            tree.targets[child] = parents.path_to(child)
        else:
            tree.units.update(parents.path_to(child))
    tree.units.update(roots)
    for parent, path in [*_listings(directory, "units"), *_listings(directory, "accounts")]:
        if parent not in tree.units:
            raise parents.unknown_parent(parent, path)
    return tree


class _Parents:
    """Who hangs below whom, and which file says so."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots
        self._parents: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def add(self, child: str, parent: str, path: str) -> None:
        if child in self._parents:
            earlier = self.files[child]
            where = "twice" if earlier == path else f"as well as `{earlier}`"
            what = "account" if child.isdigit() else "unit"
            raise OrganizationError(
                f"`{path}` lists {what} `{child}` {where}",
                path=path,
                name=child,
                help="it has one parent; the listings may be of different days",
            )
        if child in self._roots:
            raise OrganizationError(
                f"`{path}` lists the root `{child}` below `{parent}`",
                path=path,
                name=child,
                help="write the listing again",
            )
        self._parents[child] = parent
        self.files[child] = path

    def path_to(self, child: str) -> tuple[str, ...]:
        """From the root to `child`."""
        chain = [child]
        while chain[-1] not in self._roots:
            parent = self._parents.get(chain[-1])
            if parent is None:
                raise self.unknown_parent(chain[-1], self.files[chain[-2]])
            chain.append(parent)
            path = self.files[chain[-2]]
            if parent in chain[:-1]:
                loop = " -> ".join(chain[chain.index(parent) :][:8][::-1])
                raise OrganizationError(
                    f"`{path}` makes the tree a loop: {loop}",
                    path=path,
                    name=parent,
                    help="a unit cannot be below itself; write the listings of `units/` again",
                )
            if len(chain) > MAX_LEVELS:
                raise LimitError(
                    f"`{path}` lists `{child}` more than {MAX_LEVELS} levels below a root",
                    limit="MAX_LEVELS",
                    allowed=MAX_LEVELS,
                    help="units nest five deep; write the listings of `units/` again",
                )
        return tuple(reversed(chain))

    @staticmethod
    def unknown_parent(parent: str, path: str) -> OrganizationError:
        return OrganizationError(
            f"`{path}` lists what is below `{parent}`, which is neither a root nor a unit that a "
            "file of `units/` lists",
            path=path,
            name=parent,
            help="add the listing of its parent, or remove the file",
        )


def _listings(directory: str, kind: str) -> Iterator[tuple[str, str]]:
    """The parent and the path of each listing."""
    for path in json_files(os.path.join(directory, kind)):
        yield os.path.basename(path).removesuffix(".json"), path


def _describe(tree: Tree, path: str) -> None:
    if os.path.isfile(path):
        described = (
            read_file(path)
            .decode(_Description, f"{_ORGANIZATIONS} describe-organization")
            .organization
        )
        tree.org_id = described.id
        tree.management = described.management_account_id or described.master_account_id


def _read_roots(tree: Tree, path: str) -> tuple[str, ...]:
    if not os.path.isfile(path):
        return ()
    listed = read_file(path).decode(_Roots, f"{_ORGANIZATIONS} list-roots")
    _refuse_cut_off(path, listed.next_token)
    shown = [root.policy_types for root in listed.roots if root.policy_types is not None]
    if shown and len(shown) == len(listed.roots):
        tree.enabled = frozenset(
            kind.type for kinds in shown for kind in kinds if kind.status == "ENABLED"
        )
    for root in listed.roots:  # arn:aws:organizations::MANAGEMENT:root/o-.../r-...
        fields = root.arn.split(":", 5)
        names = fields[-1].split("/")
        if len(fields) == 6 and len(names) == 3 and names[0] == "root":
            for known, told in ((tree.management, fields[4]), (tree.org_id, names[1])):
                if known and known != told:
                    raise OrganizationError(
                        f"`{path}` is of `{told}`, `{_DESCRIPTION}` beside it of `{known}`",
                        path=path,
                        name=root.id,
                        help="take both of the same organization",
                    )
            tree.management, tree.org_id = fields[4], names[1]
    return tuple(root.id for root in listed.roots)


def _account_id(text: str, path: str) -> str:
    if len(text) == 12 and text.isascii() and text.isdigit():
        return text
    raise OrganizationError(
        f"`{path}` lists `{text}`, which is no account id",
        path=path,
        name=text,
        help="an account id has twelve digits",
    )


def _refuse_cut_off(path: str, next_token: str | None) -> None:
    if next_token is not None:
        raise OrganizationError(
            f"`{path}` is cut off: it names a `NextToken`",
            path=path,
            help="run the command again without `--max-items` and `--no-paginate`",
        )
