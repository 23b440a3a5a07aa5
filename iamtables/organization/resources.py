"""Resource policies: one file per resource, named after its ARN, as the service's tool prints it.

    resources/s3/arn%3Aaws%3As3%3A%3A%3Alogs.json       percent-encoded ARN
    resources/index.json                                ARN -> file, where names are no help

A directory `resources/SERVICE/` also says that the policies of this service were taken: one of its
resources without a file has none. A file that says that there is no policy (`{}`, an empty
`Policy`) is knowledge; an empty file is what a failed command leaves behind, and becomes a gap.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from ..compiler.organization import PolicySet, ResourcePolicy
from ..errors import OrganizationError
from ..grammar.sources import WRAPPERS
from .documents import DocumentStore
from .files import SnapshotFile, json_files, listing, read_file

INDEX = "index.json"
_LISTS = ("resourcePolicies", "ResourcePolicies")
_DOCUMENTS = ("policyDocument", "PolicyDocument")
_NO_POLICY = frozenset({"ARN", "Name", "ResponseMetadata"})
"""What `aws secretsmanager get-resource-policy` prints of a secret without one."""


class _Entry(msgspec.Struct):
    file: str
    account: str = ""
    tags: dict[str, str] | None = None


class _Resource(NamedTuple):
    arn: str
    path: str
    account: str
    tags: Mapping[str, str] | None = None


class ResourceDirectory(NamedTuple):
    """What a `resources/` directory holds; `services` are those whose directory is there."""

    policies: tuple[ResourcePolicy, ...]
    services: frozenset[str]


def read_resources(directory: str, account: str, store: DocumentStore) -> ResourceDirectory:
    """The policies in `directory`, whose resources `account` owns (empty: the ARN or index says).

    Raises OrganizationError for names that are no ARNs, that contradict their place, or that occur
    twice; what the parser raises for a file that holds no JSON.
    """
    found: dict[str, _Resource] = {}
    services = set()
    for name in listing(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            services.add(name)
    for resource in _resources(directory, sorted(services), account):
        earlier = found.setdefault(resource.arn, resource)
        if earlier is not resource:
            raise OrganizationError(
                f"`{resource.path}` and `{earlier.path}` are both the policy of `{resource.arn}`",
                path=resource.path,
                name=resource.arn,
                help="keep one of them",
            )
    return ResourceDirectory(
        tuple(ResourcePolicy(r.arn, _read(r, store), r.account, r.tags) for r in found.values()),
        frozenset(services),
    )


def _resources(directory: str, services: list[str], account: str) -> Iterator[_Resource]:
    indexed: set[str] = set()
    index = os.path.join(directory, INDEX)
    if os.path.isfile(index):
        for resource in _indexed(index, directory, account):
            indexed.add(resource.path)
            yield resource
    for service in ("", *services):
        for path in json_files(os.path.join(directory, service) if service else directory):
            if path in indexed or path == index:
                continue
            arn = unquote(os.path.basename(path).removesuffix(".json"))
            resource = _checked(arn, path, account)
            if service and arn.split(":", 3)[2] != service:
                raise OrganizationError(
                    f"`{path}` is in the directory of `{service}` and named for `{arn}`",
                    path=path,
                    name=arn,
                    help="a directory is named like the third field of its ARNs",
                )
            yield resource


def _indexed(index: str, directory: str, account: str) -> Iterator[_Resource]:
    entries = read_file(index).decode(dict[str, str | _Entry], "an index of resource policies")
    for arn, value in entries.items():
        entry = _Entry(value) if isinstance(value, str) else value
        path = os.path.normpath(os.path.join(directory, entry.file))
        if (
            os.path.isabs(entry.file)
            or entry.file.startswith("~")
            or not path.startswith(os.path.normpath(directory) + os.sep)
        ):
            raise OrganizationError(
                f"`{index}` names `{entry.file}`, which is outside `{directory}`",
                path=index,
                name=arn,
                help="an index names files of its own directory",
            )
        if not os.path.isfile(path):
            raise OrganizationError(
                f"`{index}` names `{entry.file}` for `{arn}`, and there is no such file",
                path=index,
                name=arn,
                help="names are relative to the directory of the index",
            )
        yield _checked(arn, path, entry.account or account)._replace(tags=entry.tags)


def _checked(arn: str, path: str, account: str) -> _Resource:
    fields = arn.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn" or not fields[2] or not fields[5]:
        raise OrganizationError(
            f"`{path}` is the policy of `{arn}`, which is no ARN",
            path=path,
            name=arn,
            help="name the file after the resource's ARN, `:` as `%3A` and `/` as `%2F`",
        )
    if account and fields[4].isdigit() and fields[4] != account:
        raise OrganizationError(
            f"`{path}` is the policy of `{arn}`, which is not of account `{account}`",
            path=path,
            name=arn,
            help=f"move it to the directory of account `{fields[4]}`",
        )
    return _Resource(arn, path, account or (fields[4] if fields[4].isdigit() else ""))


def _read(resource: _Resource, store: DocumentStore) -> PolicySet:
    file = read_file(resource.path)
    if file.is_blank:
        return store.policy_set((), [f"policy of `{resource.arn}` (`{resource.path}` is empty)"])
    value = _peek(file)
    if _says_none(value):
        return store.policy_set(())
    if isinstance(value, dict):
        policies = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
        if policies is not None:
            return _read_list(resource, policies, store)
    return store.policy_set([store.in_text(file.data, "resource", name=file.path)])


def _read_list(resource: _Resource, policies: list[Any], store: DocumentStore) -> PolicySet:
    """The policies of an account, of which CloudWatch Logs and X-Ray know several."""
    documents, gaps = [], []
    for position, policy in enumerate(policies):
        held = policy if isinstance(policy, dict) else {}
        name = held.get("policyName") or held.get("PolicyName") or str(position)
        text = next((held[key] for key in _DOCUMENTS if isinstance(held.get(key), str)), None)
        if text is None:
            gaps.append(f"policy `{name}` of `{resource.arn}` (not in `{resource.path}`)")
        else:
            documents.append(store.in_text(text, "resource", name=f"{resource.path}#{name}"))
    return store.policy_set(documents, gaps)


def _peek(file: SnapshotFile) -> object:
    """The content, where that can be had; the parser explains what is wrong with it otherwise."""
    try:
        return msgspec.json.decode(file.data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _says_none(value: object) -> bool:
    """Whether the output of a tool says that there is no policy."""
    if not isinstance(value, dict) or "Statement" in value:
        return False
    if any(isinstance(value.get(key), list) for key in _LISTS):
        return not any(value.get(key) for key in _LISTS)
    wrapper = next((key for key in WRAPPERS if key in value), None)
    if wrapper is None:
        return value.keys() <= _NO_POLICY
    inner = value[wrapper]
    if inner in (None, "", {}):
        return True
    if wrapper in ("Attributes", "DomainStatus"):
        return isinstance(inner, dict) and (
            not any(key in inner for key in WRAPPERS) or _says_none(inner)
        )
    return _says_none(inner)
