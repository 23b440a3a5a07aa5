"""SCPs and RCPs: which documents hang on each root, unit and account.

    scps/TARGET.json        aws organizations list-policies-for-target
                                --filter SERVICE_CONTROL_POLICY
    rcps/TARGET.json        the same, --filter RESOURCE_CONTROL_POLICY
    policies/POLICY.json    aws organizations describe-policy

FullAWSAccess and RCPFullAWSAccess are known without a description. A target without its file and a
policy without its description are gaps of that level.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

import msgspec

from ..compiler.organization import PolicySet
from ..errors import OrganizationError
from ..grammar.tree import PolicyDocument
from .documents import DocumentStore
from .files import json_files, read_file
from .tree import DIRECTORY, Tree

ControlType = Literal["scp", "rcp"]


class _Kind(NamedTuple):
    word: str
    aws_type: str
    directory: str
    full_access: str


KINDS: dict[ControlType, _Kind] = {
    "scp": _Kind("SCP", "SERVICE_CONTROL_POLICY", "scps", "p-FullAWSAccess"),
    "rcp": _Kind("RCP", "RESOURCE_CONTROL_POLICY", "rcps", "p-RCPFullAWSAccess"),
}


class _Attached(msgspec.Struct, rename="pascal"):
    id: str
    name: str = ""
    type: str = ""


class _Policies(msgspec.Struct, rename="pascal"):
    policies: list[_Attached]
    next_token: str | None = None


class _Described(msgspec.Struct, rename="pascal"):
    content: msgspec.Raw
    policy_summary: _Attached | None = None


class _Description(msgspec.Struct, rename="pascal"):
    policy: _Described


class Controls:
    """The policies of one kind. `is_held`: the snapshot has their listings."""

    def __init__(self, snapshot: str, kind: ControlType, tree: Tree, store: DocumentStore) -> None:
        self._kind = KINDS[kind]
        self._type: ControlType = kind
        self._tree = tree
        self._store = store
        self._descriptions = os.path.join(snapshot, DIRECTORY, "policies")
        self._documents: dict[str, PolicyDocument | None] = {}
        directory = os.path.join(snapshot, DIRECTORY, self._kind.directory)
        self._files = {
            os.path.basename(path).removesuffix(".json"): path for path in json_files(directory)
        }
        self._levels: dict[str, PolicySet] = {}
        self.is_held = bool(self._files)

    @property
    def is_disabled(self) -> bool:
        """The organization does not use this kind, so nothing hangs anywhere."""
        return (
            not self.is_held
            and self._tree.enabled is not None
            and (self._kind.aws_type not in self._tree.enabled)
        )

    def check_targets(self, accounts: frozenset[str]) -> None:
        """Raises OrganizationError for a listing whose target nobody knows: nothing reads it."""
        for target, path in self._files.items():
            if target not in self._tree.units and target not in accounts:
                raise OrganizationError(
                    f"`{path}` lists the {self._kind.word}s of `{target}`, which is no root, unit "
                    "or account of this snapshot",
                    path=path,
                    name=target,
                    help="a listing is named after its target; add the target's own listing, or "
                    "remove the file",
                )

    def levels(self, account: str) -> tuple[PolicySet, ...] | None:
        """One set per level from the root to the account; None when the layer is not held."""
        if self.is_disabled:
            return ()
        if not self.is_held:
            return None
        targets = self._tree.targets.get(account)
        if targets is None:
            gap = (
                f"{self._kind.word}s above account `{account}` (its place in the tree is not known)"
            )
            return (self._store.policy_set((), [gap]), self._level(account))
        return tuple(map(self._level, targets))

    def _level(self, target: str) -> PolicySet:
        if target not in self._levels:
            self._levels[target] = self._read_level(target)
        return self._levels[target]

    def _read_level(self, target: str) -> PolicySet:
        path = self._files.get(target)
        if path is None:
            return self._store.policy_set((), [f"{self._kind.word}s of `{target}`"])
        file = read_file(path)
        if file.is_blank:
            return self._store.policy_set(
                (), [f"{self._kind.word}s of `{target}` (`{path}` is empty)"]
            )
        command = f"aws organizations list-policies-for-target --filter {self._kind.aws_type}"
        listed = file.decode(_Policies, command)
        documents, gaps = [], []
        for policy in listed.policies:
            self._check_type(policy, path)
            document = self._document(policy.id)
            if document is None:
                named = f" ({policy.name})" if policy.name else ""
                gaps.append(
                    f"{self._kind.word} `{policy.id}`{named} of `{target}`: there is no "
                    f"`{os.path.join(self._descriptions, policy.id)}.json`"
                )
            else:
                documents.append(document)
        if listed.next_token is not None:
            gaps.append(f"more {self._kind.word}s of `{target}` (`{path}` is cut off)")
        return self._store.policy_set(documents, gaps)

    def _check_type(self, policy: _Attached, path: str) -> None:
        if policy.type and policy.type != self._kind.aws_type:
            raise OrganizationError(
                f"`{path}` holds `{policy.id}`, a {policy.type}",
                path=path,
                name=policy.id,
                help=f"list with `--filter {self._kind.aws_type}`",
            )

    def _document(self, policy: str) -> PolicyDocument | None:
        if policy not in self._documents:
            self._documents[policy] = self._read_document(policy)
        return self._documents[policy]

    def _read_document(self, policy: str) -> PolicyDocument | None:
        path = os.path.join(self._descriptions, f"{policy}.json")
        is_name = os.path.basename(path) == f"{policy}.json"  # never a path of its own making
        file = read_file(path) if is_name and os.path.isfile(path) else None
        if file is None or file.is_blank:
            is_known = policy == self._kind.full_access
            return self._store.full_access(self._type) if is_known else None
        described = file.decode(_Description, "aws organizations describe-policy").policy
        if described.policy_summary is not None:
            self._check_type(described.policy_summary, path)
            if described.policy_summary.id != policy:
                raise OrganizationError(
                    f"`{path}` describes `{described.policy_summary.id}`",
                    path=path,
                    name=policy,
                    help="a description is named after its policy",
                )
        return self._store.in_file(file, described.content, self._type, name="Policy.Content")
