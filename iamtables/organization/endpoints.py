"""What else an account's directory holds: VPC endpoints and the aliases of KMS keys, by region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ..compiler.organization import Endpoint
from ..errors import OrganizationError
from .documents import DocumentStore
from .files import SnapshotFile

ENDPOINTS_COMMAND = "aws ec2 describe-vpc-endpoints"
ALIASES_COMMAND = "aws kms list-aliases"


class _Endpoint(msgspec.Struct, rename="pascal"):
    vpc_endpoint_id: str
    vpc_endpoint_type: str = "Gateway"
    vpc_id: str = ""
    owner_id: str = ""
    policy_document: msgspec.Raw = msgspec.Raw(b"")


class _Endpoints(msgspec.Struct, rename="pascal"):
    vpc_endpoints: list[_Endpoint]


class _Alias(msgspec.Struct, rename="pascal"):
    alias_arn: str
    target_key_id: str = ""


class _Aliases(msgspec.Struct, rename="pascal"):
    aliases: list[_Alias]


def read_endpoints(
    files: Iterable[SnapshotFile], account: str, store: DocumentStore
) -> Iterator[Endpoint]:
    """The endpoints of an account. One whose policy is not shown has the default one, which allows
    everything (EVAL-19); a type that is not shown counts as gateway (EVAL-61)."""
    for file in files:
        if file.is_blank:
            continue  # an endpoint that is not listed is unknown anyway
        for endpoint in file.decode(_Endpoints, ENDPOINTS_COMMAND).vpc_endpoints:
            raw = endpoint.policy_document
            if bytes(raw) in (b"", b"null", b'""'):
                document = store.full_access("vpce")
            else:
                document = store.in_file(file, raw, "vpce", name=endpoint.vpc_endpoint_id)
            yield Endpoint(
                endpoint.vpc_endpoint_id,
                store.policy_set([document]),
                endpoint.owner_id or account,
                endpoint.vpc_id,
                endpoint.vpc_endpoint_type == "Gateway",
            )


def read_aliases(files: Iterable[SnapshotFile], account: str) -> Iterator[tuple[str, str]]:
    """ARN of an alias, ARN of its key. Aliases that AWS keeps ready without a key are left out."""
    for file in files:
        if file.is_blank:
            continue
        for alias in file.decode(_Aliases, ALIASES_COMMAND).aliases:
            fields = alias.alias_arn.split(":", 5)
            if len(fields) < 6 or fields[4] != account or not fields[5].startswith("alias/"):
                raise OrganizationError(
                    f"`{file.path}` lists `{alias.alias_arn}`, which is no alias of account "
                    f"`{account}`",
                    path=file.path,
                    name=alias.alias_arn,
                    help=f"write the output of `{ALIASES_COMMAND}` there",
                )
            if alias.target_key_id:
                place = alias.alias_arn[: -len(fields[5])]
                yield alias.alias_arn, f"{place}key/{alias.target_key_id}"
