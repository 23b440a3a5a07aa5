"""Made-up organizations of any size, the same for the same seed: as directories and in code.

    python benchmarks/organizations.py DIR [--accounts 200] [--principals 20000] ...

`generate` draws a `World`: what AWS's tools would print of it. `write_organization` puts that into
the files of docs/organization.md, `build_organization` makes the `Organization` from it directly,
which a test holds against the loaded one. Actions and ARNs are those of the catalogue; the habits
are those of real accounts: a few AWS-managed policies everywhere, a few trust policies shared by
most roles, most policies attached to a handful of principals and a few to hundreds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from iamtables import (
    Account,
    Endpoint,
    Organization,
    PolicyDocument,
    PolicySet,
    Principal,
    ResourcePolicy,
    parse_policy,
)
from iamtables.catalogue import load_catalogue

Document = dict[str, Any]

ORG, ROOT, REGION = "o-exampleorg1", "r-ex01", "eu-west-1"
_SERVICES = (
    "s3",
    "ec2",
    "dynamodb",
    "sqs",
    "sns",
    "lambda",
    "kms",
    "secretsmanager",
    "logs",
    "ecr",
    "glue",
    "states",
    "ecs",
    "rds",
    "bedrock",
    "sagemaker",
    "cloudwatch",
    "events",
    "ssm",
    "cloudformation",
    "iam",
    "athena",
    "kinesis",
    "backup",
)
_WORDS = (
    "orders",
    "ranking",
    "search",
    "summary",
    "intake",
    "claims",
    "billing",
    "catalog",
    "audit",
)
_TRUSTED = ("lambda", "ec2", "ecs-tasks", "states", "glue", "events", "sagemaker")
_CONDITIONS: tuple[Document, ...] = (
    {"StringEquals": {"aws:PrincipalTag/team": ["orders", "search"]}},
    {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}},
    {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-00000000"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/platform/*"}},
)
_FULL_ACCESS = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Shape(NamedTuple):
    """How large. `policies` counts identity policies, managed and inline, and boundaries."""

    accounts: int = 200
    principals: int = 20_000
    policies: int = 5_000
    resource_policies: int = 2_000
    scps: int = 60
    rcps: int = 10
    seed: int = 3


FULL = Shape()
SMALL = Shape(accounts=6, principals=90, policies=80, resource_policies=30, scps=6, rcps=3)


@dataclass(frozen=True, slots=True)
class GeneratedAccount:
    """What the tools print of one account; `details` as get-account-authorization-details does."""

    id: str
    unit: str
    details: Document
    resources: dict[str, Document]
    endpoints: list[Document]


@dataclass(frozen=True, slots=True)
class World:
    """A made-up organization. attached: SCPs and RCPs of each root, unit and account, by id."""

    management: str
    units: tuple[str, ...]
    accounts: tuple[GeneratedAccount, ...]
    controls: dict[str, Document]
    attached_scps: dict[str, tuple[str, ...]]
    attached_rcps: dict[str, tuple[str, ...]]


def generate(shape: Shape = FULL) -> World:
    """The organization of a shape; the same for the same seed."""
    rng = random.Random(shape.seed)
    ids = [f"{100_000_000_000 + 7919 * (i + 1)}" for i in range(shape.accounts)]
    units = tuple(f"ou-ex01-{i:08d}" for i in range(max(1, shape.accounts // 20)))
    shared = [
        _managed(f"arn:aws:iam::aws:policy/Shared{i:03d}", _policy(rng, "*"))
        for i in range(max(1, shape.policies // 50))
    ]
    rest = shape.policies - len(shared)
    accounts = tuple(
        _account(
            rng,
            account,
            units[i % len(units)],
            shared,
            ids,
            principals=_share(shape.principals, i, shape.accounts),
            policies=_share(rest, i, shape.accounts),
            resources=_share(shape.resource_policies, i, shape.accounts),
        )
        for i, account in enumerate(ids)
    )
    scps = {f"p-scp{i:08d}": _scp(rng) for i in range(shape.scps)}
    rcps = {f"p-rcp{i:08d}": _rcp(rng) for i in range(shape.rcps)}
    targets = (ROOT, *units, *ids)
    return World(
        ids[0],
        units,
        accounts,
        scps | rcps,
        {t: ("p-FullAWSAccess", *_some(rng, scps, 2)) for t in targets},
        {t: ("p-RCPFullAWSAccess", *_some(rng, rcps, 1)) for t in targets},
    )


def _share(total: int, index: int, count: int) -> int:
    return total * (index + 1) // count - total * index // count


def _some(rng: random.Random, names: dict[str, Document], most: int) -> list[str]:
    return sorted(rng.sample(sorted(names), min(len(names), rng.randint(0, most))))


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, list[tuple[str, str]]]:
    """Service -> its actions with an ARN template of each (`*` where there is none)."""
    catalogue = load_catalogue()
    words: dict[str, list[tuple[str, str]]] = {service: [] for service in _SERVICES}
    for name in catalogue.actions():
        service = name.partition(":")[0]
        if service in words:
            words[service].append((name, (catalogue.arn_templates(name) or ("*",))[0]))
    return words


def _resource(rng: random.Random, template: str, account: str) -> str:
    fixed = {"Partition": "aws", "Region": rng.choice(("*", REGION)), "Account": account}
    return re.sub(
        r"\$\{([A-Za-z]+)\}",
        lambda v: (
            fixed.get(v[1]) or rng.choice(("*", f"{rng.choice(_WORDS)}-{rng.randrange(999)}*"))
        ),
        template,
    )


def _statement(rng: random.Random, account: str, effect: str) -> Document:
    actions = rng.sample(_vocabulary()[rng.choice(_SERVICES)], rng.randint(1, 8))
    names = [action for action, _ in actions]
    if rng.random() < 0.3:
        names[0] = re.sub(r":([A-Z][a-z]*).*", r":\1*", names[0])
    resources = sorted({_resource(rng, template, account) for _, template in actions[:3]})
    statement: Document = {
        "Effect": effect,
        "Action": names,
        "Resource": resources if rng.random() < 0.7 else "*",
    }
    if rng.random() < 0.25:
        statement["Condition"] = rng.choice(_CONDITIONS)
    return statement


def _policy(rng: random.Random, account: str) -> Document:
    effects = ["Allow"] * rng.randint(1, 4) + ["Deny"] * (rng.random() < 0.2)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": f"S{i}", **_statement(rng, account, effect)} for i, effect in enumerate(effects)
        ],
    }


def _scp(rng: random.Random) -> Document:
    return {"Version": "2012-10-17", "Statement": [_statement(rng, "*", "Deny")]}


def _rcp(rng: random.Random) -> Document:
    statement = _statement(rng, "*", "Deny")
    service = rng.choice(("s3", "sqs", "kms", "secretsmanager"))
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                **statement,
                "Principal": "*",
                "Action": f"{service}:*",
                "Resource": "*",
                "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": ORG}},
            }
        ],
    }


def _managed(arn: str, document: Document) -> Document:
    return {
        "PolicyName": arn.rpartition("/")[2],
        "PolicyId": f"ANPA{zlib.crc32(arn.encode()):010d}",
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": "v2",
        "AttachmentCount": 1,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": "2025-03-01T09:00:00+00:00",
        "UpdateDate": "2026-02-01T09:00:00+00:00",
        "PolicyVersionList": [
            {
                "Document": {"Version": "2012-10-17", "Statement": []},
                "VersionId": "v1",
                "IsDefaultVersion": False,
                "CreateDate": "2025-03-01T09:00:00+00:00",
            },
            {
                "Document": document,
                "VersionId": "v2",
                "IsDefaultVersion": True,
                "CreateDate": "2026-02-01T09:00:00+00:00",
            },
        ],
    }


def _trust(rng: random.Random, account: str, ids: list[str]) -> Document:
    kind = rng.random()
    statement: Document = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    if kind < 0.7:
        statement["Principal"] = {"Service": f"{rng.choice(_TRUSTED)}.amazonaws.com"}
    elif kind < 0.9:
        statement["Principal"] = {"AWS": f"arn:aws:iam::{rng.choice(ids)}:root"}
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": "7e2f"}}
    else:
        statement["Principal"] = {"Federated": f"arn:aws:iam::{account}:saml-provider/sso"}
        statement["Action"] = ["sts:AssumeRoleWithSAML", "sts:TagSession"]
    return {"Version": "2012-10-17", "Statement": [statement]}


def _account(
    rng: random.Random,
    account: str,
    unit: str,
    shared: list[Document],
    ids: list[str],
    *,
    principals: int,
    policies: int,
    resources: int,
) -> GeneratedAccount:
    inline_count = policies // 4
    own = [
        _managed(f"arn:aws:iam::{account}:policy/{rng.choice(_WORDS)}-{i}", _policy(rng, account))
        for i in range(policies - inline_count)
    ]
    inline = [
        {"PolicyName": f"inline-{i}", "PolicyDocument": _policy(rng, account)}
        for i in range(inline_count)
    ]
    used = rng.sample(shared, min(len(shared), 12))
    boundaries = own[:2]
    pool = [*own, *used]

    def attached(most: int) -> list[Document]:
        # a squared draw: the first policies are attached to hundreds, the last to a few
        chosen = {int(rng.random() ** 2 * len(pool)) for _ in range(rng.randint(0, most)) if pool}
        return [
            {"PolicyName": pool[i]["PolicyName"], "PolicyArn": pool[i]["Arn"]}
            for i in sorted(chosen)
        ]

    def common(kind: str, name: str, path: str, unique: str) -> Document:
        return {
            "Path": path,
            f"{kind}Name": name,
            f"{kind}Id": unique,
            "Arn": f"arn:aws:iam::{account}:{kind.lower()}{path}{name}",
            "CreateDate": "2026-01-15T08:30:00+00:00",
        }

    def more() -> Document:
        extra: Document = {
            "AttachedManagedPolicies": attached(4),
            "Tags": [{"Key": "team", "Value": rng.choice(_WORDS)}],
        }
        if boundaries and rng.random() < 0.2:
            extra["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": rng.choice(boundaries)["Arn"],
            }
        return extra

    groups = [
        common("Group", f"group-{i}", "/", f"AGPA{account}{i}")
        | {
            "GroupPolicyList": [inline.pop()] if inline and i == 0 else [],
            "AttachedManagedPolicies": attached(3),
        }
        for i in range(3)
    ]
    user_count = principals // 5
    users = [
        common("User", f"user-{i}", "/", f"AIDA{account[-8:]}{i:08d}")
        | {
            "UserPolicyList": [inline.pop()] if len(inline) > 1 and rng.random() < 0.1 else [],
            "GroupList": sorted(g["GroupName"] for g in rng.sample(groups, rng.randint(0, 2))),
        }
        | more()
        for i in range(user_count)
    ]
    roles = [
        common("Role", f"role-{i}", rng.choice(("/", "/platform/")), f"AROA{account[-8:]}{i:08d}")
        | {
            "AssumeRolePolicyDocument": _trust(rng, account, ids),
            "InstanceProfileList": [],
            "RolePolicyList": [inline.pop()] if inline else [],
        }
        | more()
        for i in range(principals - user_count)
    ]
    details = {
        "UserDetailList": users,
        "GroupDetailList": groups,
        "RoleDetailList": roles,
        "Policies": pool,
    }
    endpoint = {
        "VpcEndpointId": f"vpce-{account}",
        "VpcEndpointType": rng.choice(("Gateway", "Interface")),
        "VpcId": f"vpc-{account[-8:]}",
        "OwnerId": account,
        "PolicyDocument": json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        **_FULL_ACCESS,
                        "Principal": "*",
                        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG}},
                    }
                ],
            }
        ),
    }
    return GeneratedAccount(
        account,
        unit,
        details,
        dict(_resource_policy(rng, account, i, ids) for i in range(resources)),
        [endpoint],
    )


def _resource_policy(
    rng: random.Random, account: str, index: int, ids: list[str]
) -> tuple[str, Document]:
    service = rng.choice(("s3", "sqs", "sns", "kms", "secretsmanager", "lambda"))
    name = f"{rng.choice(_WORDS)}-{account}-{index}"
    place = f"arn:aws:{service}:{REGION}:{account}"
    arn = {
        "s3": f"arn:aws:s3:::{name}",
        "sqs": f"{place}:{name}",
        "sns": f"{place}:{name}",
        "kms": f"{place}:key/{index:08d}-{account}",
        "secretsmanager": f"{place}:secret:{name}",
        "lambda": f"{place}:function:{name}",
    }[service]
    other = rng.choice(ids)
    principal: Any = rng.choice(
        (
            {"AWS": f"arn:aws:iam::{other}:root"},
            {"AWS": f"arn:aws:iam::{other}:role/role-1"},
            {"Service": "cloudtrail.amazonaws.com"},
            "*",
        )
    )
    statements = [
        {
            "Effect": "Allow",
            "Principal": principal,
            "Action": f"{service}:*",
            "Resource": [arn, f"{arn}/*"] if service == "s3" else arn,
        }
    ]
    if principal == "*":
        statements[0]["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": ORG}}
    if service == "kms":
        statements.append(
            {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}
        )
    return arn, {"Version": "2012-10-17", "Statement": statements}


# -- as a directory ----------------------------------------------------------------------------


def write_organization(directory: str | Path, world: World) -> None:
    """The world as the files that AWS's tools would print, in `directory`."""
    for name, content in _files(world):
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=4))


def _files(world: World) -> Iterator[tuple[str, Any]]:
    organization = "organization"
    yield (
        f"{organization}/organization.json",
        {"Organization": {"Id": ORG, "FeatureSet": "ALL", "MasterAccountId": world.management}},
    )
    yield (
        f"{organization}/roots.json",
        {
            "Roots": [
                {
                    "Id": ROOT,
                    "Arn": f"arn:aws:organizations::{world.management}:root/{ORG}/{ROOT}",
                    "Name": "Root",
                    "PolicyTypes": [
                        {"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"},
                        {"Type": "RESOURCE_CONTROL_POLICY", "Status": "ENABLED"},
                    ],
                }
            ]
        },
    )
    yield (
        f"{organization}/units/{ROOT}.json",
        {"OrganizationalUnits": [{"Id": unit, "Name": unit[-4:]} for unit in world.units]},
    )
    for unit in world.units:
        yield (
            f"{organization}/accounts/{unit}.json",
            {
                "Accounts": [
                    {"Id": a.id, "Name": f"account {a.id}", "Status": "ACTIVE"}
                    for a in world.accounts
                    if a.unit == unit
                ]
            },
        )
    for kind, directory, attached in (
        ("SERVICE_CONTROL_POLICY", "scps", world.attached_scps),
        ("RESOURCE_CONTROL_POLICY", "rcps", world.attached_rcps),
    ):
        for target, policies in attached.items():
            yield (
                f"{organization}/{directory}/{target}.json",
                {
                    "Policies": [
                        {"Id": p, "Name": p[2:], "Type": kind, "AwsManaged": "FullAWSAccess" in p}
                        for p in policies
                    ]
                },
            )
    for policy, document in world.controls.items():
        yield (
            f"{organization}/policies/{policy}.json",
            {
                "Policy": {
                    "PolicySummary": {"Id": policy, "Name": policy[2:]},
                    "Content": json.dumps(document),
                }
            },
        )
    for account in world.accounts:
        place = f"accounts/{account.id}"
        yield f"{place}/authorization-details.json", account.details
        yield f"{place}/endpoints-{REGION}.json", {"VpcEndpoints": account.endpoints}
        for arn, document in account.resources.items():
            service = arn.split(":")[2]
            yield (
                f"{place}/resources/{service}/{quote(arn, safe='')}.json",
                {"Policy": json.dumps(document)},
            )


# -- in code -----------------------------------------------------------------------------------


def build_organization(world: World) -> Organization:
    """The same organization, made of parsed documents without any file."""
    parsed: dict[tuple[str, str], PolicyDocument] = {}

    def parse(name: str, policy_type: Any, document: Document | str) -> PolicyDocument:
        key = name, policy_type
        if key not in parsed:
            text = document if isinstance(document, str) else json.dumps(document)
            parsed[key] = parse_policy(text, name=name, policy_type=policy_type)
        return parsed[key]

    principals: list[Principal] = []
    policies: list[ResourcePolicy] = []
    endpoints: list[Endpoint] = []
    for account in world.accounts:
        for principal, trust in _principals(account, parse):
            principals.append(principal)
            if trust is not None:
                policies.append(trust)
        for arn, document in account.resources.items():
            policies.append(
                ResourcePolicy(arn, PolicySet((parse(arn, "resource", document),)), account.id)
            )
        for endpoint in account.endpoints:
            name = endpoint["VpcEndpointId"]
            document = parse(name, "vpce", endpoint["PolicyDocument"])
            endpoints.append(
                Endpoint(
                    name,
                    PolicySet((document,)),
                    account.id,
                    endpoint["VpcId"],
                    endpoint["VpcEndpointType"] == "Gateway",
                )
            )
    return Organization(
        accounts=tuple(_accounts(world, parse)),
        principals=tuple(principals),
        resource_policies=tuple(policies),
        endpoints=tuple(endpoints),
        missing_layers=("session",),
    )


def _principals(
    account: GeneratedAccount, parse: Callable[..., PolicyDocument]
) -> Iterator[tuple[Principal, ResourcePolicy | None]]:
    versions = {
        p["Arn"]: next(v["Document"] for v in p["PolicyVersionList"] if v["IsDefaultVersion"])
        for p in account.details["Policies"]
    }

    def documents(holder: Document, inline: str) -> list[PolicyDocument]:
        own = [
            parse(f"{holder['Arn']}/{p['PolicyName']}", "identity", p["PolicyDocument"])
            for p in holder[inline]
        ]
        return own + [
            parse(p["PolicyArn"], "identity", versions[p["PolicyArn"]])
            for p in holder["AttachedManagedPolicies"]
        ]

    def principal(holder: Document, unique: str, identity: list[PolicyDocument]) -> Principal:
        boundary = holder.get("PermissionsBoundary")
        limit = None
        if boundary is not None:
            arn = boundary["PermissionsBoundaryArn"]
            limit = PolicySet((parse(arn, "boundary", versions[arn]),))
        return Principal(
            holder["Arn"],
            unique,
            PolicySet(tuple({id(d): d for d in identity}.values())),
            limit,
            {tag["Key"]: tag["Value"] for tag in holder["Tags"]},
        )

    groups = {
        g["GroupName"]: documents(g, "GroupPolicyList") for g in account.details["GroupDetailList"]
    }
    for user in account.details["UserDetailList"]:
        identity = documents(user, "UserPolicyList")
        for name in user["GroupList"]:
            identity += groups[name]
        yield principal(user, user["UserId"], identity), None
    for role in account.details["RoleDetailList"]:
        arn = role["Arn"]
        made = principal(role, role["RoleId"], documents(role, "RolePolicyList"))
        trust = parse(f"{arn}/trust", "trust", role["AssumeRolePolicyDocument"])
        yield made, ResourcePolicy(arn, PolicySet((trust,)), account.id, made.tags)


def _accounts(world: World, parse: Callable[..., PolicyDocument]) -> Iterator[Account]:
    full = {
        "p-FullAWSAccess": {"Version": "2012-10-17", "Statement": [_FULL_ACCESS]},
        "p-RCPFullAWSAccess": {
            "Version": "2012-10-17",
            "Statement": [{**_FULL_ACCESS, "Principal": "*"}],
        },
    }

    def level(policy_type: str, policies: tuple[str, ...]) -> PolicySet:
        return PolicySet(
            tuple(
                parse(p, policy_type, full[p] if p in full else world.controls[p]) for p in policies
            )
        )

    for account in sorted(world.accounts, key=lambda a: a.id):
        targets = (ROOT, account.unit, account.id)
        yield Account(
            account.id,
            is_management=account.id == world.management,
            scps=tuple(level("scp", world.attached_scps[t]) for t in targets),
            rcps=tuple(level("rcp", world.attached_rcps[t]) for t in targets),
            org_id=ORG,
            org_path=f"{ORG}/{ROOT}/{account.unit}/",
            resource_services=frozenset(arn.split(":")[2] for arn in account.resources),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    for name, default in Shape()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    given = vars(parser.parse_args())
    directory = given.pop("directory")
    write_organization(directory, generate(Shape(**given)))


if __name__ == "__main__":
    main()
