"""`aws iam get-account-authorization-details` -> principals and trust policies of one account.

The output may be in several files (pages, or one per `--filter`), documents may be objects or
URL-encoded strings. A managed policy is its default version. What is named and not there becomes a
gap of the principals that need it; a page that says that more follows, with none after it, leaves
the account open: principals that are not listed may exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, UnsetType

from ..compiler.organization import PolicySet, Principal, ResourcePolicy
from ..errors import OrganizationError
from ..grammar.tree import PolicyDocument, PolicyType
from .documents import DocumentStore
from .files import SnapshotFile

COMMAND = "aws iam get-account-authorization-details"

ManagedDocument = Callable[[str, PolicyType], PolicyDocument | None]
"""The document of a managed policy that the export does not hold, by ARN."""


_NOTHING = msgspec.Raw(b"null")


class _Inline(msgspec.Struct, rename="pascal"):
    policy_name: str
    policy_document: msgspec.Raw


class _Attached(msgspec.Struct, rename="pascal"):
    policy_arn: str


class _Boundary(msgspec.Struct, rename="pascal"):
    permissions_boundary_arn: str


class _Tag(msgspec.Struct, rename="pascal"):
    key: str
    value: str = ""


class _User(msgspec.Struct, rename="pascal"):
    arn: str
    user_name: str
    user_id: str = ""
    user_policy_list: list[_Inline] = []
    group_list: list[str] | None = None
    attached_managed_policies: list[_Attached] | None = None
    permissions_boundary: _Boundary | None = None
    tags: list[_Tag] | None = None


class _Group(msgspec.Struct, rename="pascal"):
    arn: str
    group_name: str
    group_policy_list: list[_Inline] = []
    attached_managed_policies: list[_Attached] | None = None


class _Role(msgspec.Struct, rename="pascal"):
    arn: str
    role_name: str
    role_id: str = ""
    assume_role_policy_document: msgspec.Raw = _NOTHING
    role_policy_list: list[_Inline] = []
    attached_managed_policies: list[_Attached] | None = None
    permissions_boundary: _Boundary | None = None
    tags: list[_Tag] | None = None


class _Version(msgspec.Struct, rename="pascal"):
    version_id: str
    is_default_version: bool = False
    document: msgspec.Raw = _NOTHING
    create_date: str = ""


class _Policy(msgspec.Struct, rename="pascal"):
    arn: str
    default_version_id: str = ""
    policy_version_list: list[_Version] = []


class _Page(msgspec.Struct, rename="pascal"):
    user_detail_list: list[_User] | UnsetType = UNSET
    group_detail_list: list[_Group] | UnsetType = UNSET
    role_detail_list: list[_Role] | UnsetType = UNSET
    policies: list[_Policy] | UnsetType = UNSET
    is_truncated: bool = False
    next_token: str | None = None

    @property
    def is_cut_off(self) -> bool:
        return self.is_truncated or self.next_token is not None


@dataclass(slots=True)
class AccountDetails:
    """Principals of an account; `gaps` says why there may be more."""

    principals: list[Principal] = field(default_factory=list)
    trust_policies: list[ResourcePolicy] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def read_details(
    account: str, files: Iterable[SnapshotFile], store: DocumentStore, managed: ManagedDocument
) -> AccountDetails:
    """What the files of one account say, in the order in which they continue each other.

    Raises OrganizationError, with file and name, for what contradicts itself.
    """
    return _Reader(account, store, managed).read(files)


class _Reader:
    def __init__(self, account: str, store: DocumentStore, managed: ManagedDocument) -> None:
        self._account = account
        self._store = store
        self._managed = managed
        self._policies: dict[str, tuple[SnapshotFile, _Policy]] = {}
        self._documents: dict[tuple[str, PolicyType], PolicyDocument | None] = {}
        self._groups: dict[str, tuple[list[PolicyDocument], list[str]]] = {}
        self._seen: dict[str, str] = {}
        self._cut_off = ""

    def read(self, files: Iterable[SnapshotFile]) -> AccountDetails:
        details = AccountDetails()
        pages: list[tuple[SnapshotFile, _Page]] = []
        for file in files:
            if file.is_blank:
                details.gaps.append(f"export of account `{self._account}` (`{file.path}` is empty)")
                continue
            page = file.decode(_Page, COMMAND)
            if (
                page.user_detail_list is UNSET
                and page.group_detail_list is UNSET
                and page.role_detail_list is UNSET
                and page.policies is UNSET
            ):
                raise OrganizationError(
                    f"`{file.path}` holds no users, roles, groups or policies",
                    path=file.path,
                    name=self._account,
                    help=f"write the output of `{COMMAND}` there",
                )
            pages.append((file, page))
        if pages and pages[-1][1].is_cut_off:
            self._cut_off = pages[-1][0].path
            details.gaps.append(
                f"rest of the export of account `{self._account}` (`{self._cut_off}` is truncated)"
            )
        for kind, name in (("user_detail_list", "users"), ("role_detail_list", "roles")):
            if pages and all(getattr(page, kind) is UNSET for _, page in pages):
                details.gaps.append(f"{name} of account `{self._account}` (not in its export)")
        for file, page in pages:
            self._add_policies(file, page)
        for file, page in pages:
            for group in page.group_detail_list or ():
                self._add_group(file, group)
        for file, page in pages:
            for user in page.user_detail_list or ():
                details.principals.append(self._user(file, user))
            for role in page.role_detail_list or ():
                details.principals.append(self._role(file, role))
                details.trust_policies.append(self._trust(file, role))
        return details

    def _add_policies(self, file: SnapshotFile, page: _Page) -> None:
        for policy in page.policies or ():
            earlier = self._policies.setdefault(policy.arn, (file, policy))
            if earlier[1] is not policy and earlier[1].default_version_id != (
                policy.default_version_id
            ):
                raise OrganizationError(
                    f"`{file.path}` and `{earlier[0].path}` hold different default versions of "
                    f"`{policy.arn}`",
                    path=file.path,
                    name=policy.arn,
                    help="the files are of different days; export the account again",
                )

    def _add_group(self, file: SnapshotFile, group: _Group) -> None:
        self._claim(file, group.arn, "group/", group.group_name)
        documents, gaps = [], list[str]()
        for inline in group.group_policy_list:
            documents.append(self._inline(file, group.arn, inline))
        self._attach(group.attached_managed_policies, group.arn, "identity", documents, gaps)
        self._groups[group.group_name] = documents, gaps

    def _user(self, file: SnapshotFile, user: _User) -> Principal:
        self._claim(file, user.arn, "user/", user.user_name)
        documents = [self._inline(file, user.arn, inline) for inline in user.user_policy_list]
        gaps: list[str] = []
        self._attach(user.attached_managed_policies, user.arn, "identity", documents, gaps)
        if user.group_list is None:
            gaps.append(f"groups of `{user.arn}` (not in its export)")
        for name in user.group_list or ():
            group = self._groups.get(name)
            if group is None:
                gaps.append(f"group `{name}` of `{user.arn}`{self._why()}")
            else:
                documents += group[0]
                gaps += group[1]
        return Principal(
            user.arn,
            user.user_id,
            self._store.policy_set(documents, gaps),
            self._boundary(user.permissions_boundary, user.arn),
            _tags(user.tags),
        )

    def _role(self, file: SnapshotFile, role: _Role) -> Principal:
        self._claim(file, role.arn, "role/", role.role_name)
        documents = [self._inline(file, role.arn, inline) for inline in role.role_policy_list]
        gaps: list[str] = []
        self._attach(role.attached_managed_policies, role.arn, "identity", documents, gaps)
        return Principal(
            role.arn,
            role.role_id,
            self._store.policy_set(documents, gaps),
            self._boundary(role.permissions_boundary, role.arn),
            _tags(role.tags),
        )

    def _trust(self, file: SnapshotFile, role: _Role) -> ResourcePolicy:
        raw = role.assume_role_policy_document
        if _is_nothing(raw):
            policy = self._store.policy_set((), [f"trust policy of `{role.arn}`"])
        else:
            name = f"{_short(role.arn)}/AssumeRolePolicyDocument"
            policy = self._store.policy_set([self._store.in_file(file, raw, "trust", name=name)])
        return ResourcePolicy(role.arn, policy, self._account, _tags(role.tags))

    def _inline(self, file: SnapshotFile, arn: str, inline: _Inline) -> PolicyDocument:
        name = f"{_short(arn)}/{inline.policy_name}"
        return self._store.in_file(file, inline.policy_document, "identity", name=name)

    def _boundary(self, boundary: _Boundary | None, arn: str) -> PolicySet | None:
        if boundary is None:
            return None
        documents: list[PolicyDocument] = []
        gaps: list[str] = []
        self._attach(
            [_Attached(boundary.permissions_boundary_arn)], arn, "boundary", documents, gaps
        )
        return self._store.policy_set(documents, gaps)

    def _attach(
        self,
        attached: Iterable[_Attached] | None,
        holder: str,
        policy_type: PolicyType,
        documents: list[PolicyDocument],
        gaps: list[str],
    ) -> None:
        if attached is None:  # AWS prints an empty list; inline policies it leaves out
            gaps.append(f"managed policies of `{holder}` (not in its export)")
        for policy in attached or ():
            document = self._managed_document(policy.policy_arn, policy_type)
            if document is not None:
                documents.append(document)
                continue
            what = "permissions boundary" if policy_type == "boundary" else "managed policy"
            gaps.append(f"{what} `{policy.policy_arn}` of `{holder}`{self._why()}")

    def _managed_document(self, arn: str, policy_type: PolicyType) -> PolicyDocument | None:
        key = arn, policy_type
        if key not in self._documents:
            self._documents[key] = self._find_managed(arn, policy_type)
        return self._documents[key]

    def _find_managed(self, arn: str, policy_type: PolicyType) -> PolicyDocument | None:
        found = self._policies.get(arn)
        if found is None:
            return self._managed(arn, policy_type)
        file, policy = found
        for version in policy.policy_version_list:
            is_default = (
                version.version_id == policy.default_version_id
                if policy.default_version_id
                else version.is_default_version
            )
            if is_default and not _is_nothing(version.document):
                document = self._store.in_file(
                    file,
                    version.document,
                    policy_type,
                    name=f"{_short(arn)}/{version.version_id}",
                    date=version.create_date,
                )
                return self._store.shared(arn, document)
        return self._managed(arn, policy_type)

    def _claim(self, file: SnapshotFile, arn: str, kind: str, name: str) -> None:
        """Checks that `arn` is one of this account and that no other file has it."""
        fields = arn.split(":", 5)
        if (
            len(fields) < 6
            or fields[0] != "arn"
            or fields[2] != "iam"
            or not fields[5].startswith(kind)
            or fields[5].rpartition("/")[2] != name
        ):
            raise OrganizationError(
                f"`{file.path}` lists `{arn}`, which is no ARN of a {kind[:-1]} `{name}`",
                path=file.path,
                name=arn,
                help=f"write the output of `{COMMAND}` there",
            )
        if fields[4] != self._account:
            raise OrganizationError(
                f"`{file.path}` is in the directory of account `{self._account}` and lists `{arn}`",
                path=file.path,
                name=arn,
                help=f"move it to the directory of account `{fields[4]}`",
            )
        earlier = self._seen.get(arn)
        if earlier is not None:
            where = "twice" if earlier == file.path else f"again; `{earlier}` has it, too"
            raise OrganizationError(
                f"`{file.path}` lists `{arn}` {where}",
                path=file.path,
                name=arn,
                help="remove files of an earlier export",
            )
        self._seen[arn] = file.path

    def _why(self) -> str:
        return f" (`{self._cut_off}` is truncated)" if self._cut_off else ""


def _is_nothing(raw: msgspec.Raw) -> bool:
    return bytes(raw) == bytes(_NOTHING)


def _tags(tags: list[_Tag] | None) -> dict[str, str] | None:
    return None if tags is None else {tag.key: tag.value for tag in tags}


def _short(arn: str) -> str:
    """`role/app` of an ARN."""
    return arn.split(":", 5)[-1]
