"""A snapshot taken from an imitation of AWS that knows nothing of us: the shapes are not ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from snapshots import Snapshot, document, trust

from iamtables import load_organization

moto = pytest.importorskip("moto")
boto3 = pytest.importorskip("boto3")

REGION = "eu-west-1"


@pytest.fixture
def cloud(monkeypatch):
    """Makes clients of an empty account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "none")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)


def printed(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as the command line prints it."""
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=str))


def actions(policies):
    return sorted(
        a.value for d in policies.documents for s in d.statements for a in s.action.entries
    )


def test_an_account_is_what_its_iam_says(cloud, tmp_path):
    iam, account = cloud("iam"), cloud("sts").get_caller_identity()["Account"]
    text = json.dumps
    managed = iam.create_policy(PolicyName="reader", PolicyDocument=text(document("old:Get*")))
    arn = managed["Policy"]["Arn"]
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=text(document("new:Get*")), SetAsDefault=True
    )
    limits = iam.create_policy(
        PolicyName="limits", Path="/edge/", PolicyDocument=text(document("edge:*"))
    )["Policy"]["Arn"]
    iam.create_group(GroupName="dev")
    iam.put_group_policy(GroupName="dev", PolicyName="g", PolicyDocument=text(document("group:*")))
    iam.create_user(UserName="ana", Path="/staff/", Tags=[{"Key": "team", "Value": "blue"}])
    iam.put_user_policy(UserName="ana", PolicyName="u", PolicyDocument=text(document("user:*")))
    iam.attach_user_policy(UserName="ana", PolicyArn=arn)
    iam.add_user_to_group(GroupName="dev", UserName="ana")
    iam.create_role(
        RoleName="app",
        Path="/service/",
        AssumeRolePolicyDocument=text(trust()),
        PermissionsBoundary=limits,
    )
    iam.put_role_policy(RoleName="app", PolicyName="r", PolicyDocument=text(document("role:*")))
    iam.attach_role_policy(RoleName="app", PolicyArn=arn)

    snapshot = Snapshot(tmp_path / "org")
    pages = iam.get_paginator("get_account_authorization_details").paginate(
        PaginationConfig={"PageSize": 3}
    )
    for number, page in enumerate(pages, 1):
        snapshot.put(f"accounts/{account}/authorization-details-{number}.json", printed(page))
    organization = load_organization(snapshot.path)

    of_account = organization.accounts[0]
    assert of_account.id == account and of_account.is_exported
    ana, app = sorted(organization.principals, key=lambda p: p.arn.rpartition("/")[2])
    assert ana.arn == f"arn:aws:iam::{account}:user/staff/ana" and ana.unique_id
    assert actions(ana.identity) == ["group:*", "new:Get*", "user:*"]
    assert ana.tags == {"team": "blue"} and ana.boundary is None
    assert app.arn == f"arn:aws:iam::{account}:role/service/app"
    assert app.unique_id.startswith("AROA")
    assert actions(app.identity) == ["new:Get*", "role:*"] and actions(app.boundary) == ["edge:*"]
    assert [(r.arn, actions(r.policy)) for r in organization.resource_policies] == [
        (app.arn, ["sts:AssumeRole"])
    ]
    assert not any(s.gaps for s in (ana.identity, app.identity, app.boundary))


def test_a_tree_is_what_organizations_says(cloud, tmp_path):
    client = cloud("organizations")
    client.create_organization(FeatureSet="ALL")
    root = client.list_roots()["Roots"][0]["Id"]
    client.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    outer = client.create_organizational_unit(ParentId=root, Name="outer")["OrganizationalUnit"][
        "Id"
    ]
    inner = client.create_organizational_unit(ParentId=outer, Name="i")["OrganizationalUnit"]["Id"]
    member = client.create_account(Email="a@example.com", AccountName="m")["CreateAccountStatus"]
    account = member["AccountId"]
    client.move_account(AccountId=account, SourceParentId=root, DestinationParentId=inner)
    guard = client.create_policy(
        Name="guard",
        Description="",
        Type="SERVICE_CONTROL_POLICY",
        Content=json.dumps(document("ec2:*", "Deny")),
    )["Policy"]["PolicySummary"]["Id"]
    client.attach_policy(PolicyId=guard, TargetId=outer)

    snapshot = Snapshot(tmp_path / "org")
    place = "organization"
    snapshot.put(f"{place}/organization.json", printed(client.describe_organization()))
    snapshot.put(f"{place}/roots.json", printed(client.list_roots()))
    targets = [account]
    for parent in (root, outer, inner):
        targets.append(parent)
        units = client.list_organizational_units_for_parent(ParentId=parent)
        accounts = client.list_accounts_for_parent(ParentId=parent)
        snapshot.put(f"{place}/units/{parent}.json", printed(units))
        snapshot.put(f"{place}/accounts/{parent}.json", printed(accounts))
        targets += [a["Id"] for a in accounts["Accounts"]]
    for target in targets:
        listed = client.list_policies_for_target(TargetId=target, Filter="SERVICE_CONTROL_POLICY")
        snapshot.put(f"{place}/scps/{target}.json", printed(listed))
    snapshot.put(f"{place}/policies/{guard}.json", printed(client.describe_policy(PolicyId=guard)))

    organization = load_organization(snapshot.path)
    found = {a.id: a for a in organization.accounts}
    organization_id = client.describe_organization()["Organization"]["Id"]
    assert found[account].org_path == f"{organization_id}/{root}/{outer}/{inner}/"
    levels = [actions(level) for level in found[account].scps]
    assert len(levels) == 4 and levels[1] == ["*", "ec2:*"] and levels[2] == ["*"]
    assert not any(level.gaps for level in found[account].scps)
    assert [a.id for a in organization.accounts if a.is_management] == [
        client.describe_organization()["Organization"]["MasterAccountId"]
    ]


def test_resource_policies_are_what_the_services_say(cloud, tmp_path):
    account = cloud("sts").get_caller_identity()["Account"]
    snapshot = Snapshot(tmp_path / "org")

    def text(action, **more):
        return json.dumps(document(action, Principal="*", **more))

    def keep(arn, answer):
        snapshot.put(
            f"accounts/{account}/resources/{arn.split(':')[2]}/{quote(arn, safe='')}.json",
            printed(answer),
        )

    s3 = cloud("s3")
    s3.create_bucket(
        Bucket="archive-of-logs", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    s3.put_bucket_policy(Bucket="archive-of-logs", Policy=text("s3:Get*"))
    keep("arn:aws:s3:::archive-of-logs", s3.get_bucket_policy(Bucket="archive-of-logs"))
    sqs = cloud("sqs")
    url = sqs.create_queue(QueueName="jobs", Attributes={"Policy": text("sqs:Send*")})["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "QueueArn"])
    keep(answer["Attributes"]["QueueArn"], answer)
    sns = cloud("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=text("sns:Pub*")
    )
    keep(topic, sns.get_topic_attributes(TopicArn=topic))
    kms = cloud("kms")
    key = kms.create_key(Policy=text("kms:*"))["KeyMetadata"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key["KeyId"])
    keep(key["Arn"], kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default"))
    snapshot.put(f"accounts/{account}/kms-aliases.json", printed(kms.list_aliases()))
    secrets = cloud("secretsmanager")
    secret = secrets.create_secret(Name="a/b", SecretString="x")["ARN"]
    keep(secret, secrets.get_resource_policy(SecretId=secret))
    ec2 = cloud("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", PolicyDocument=text("s3:Get*")
    )
    snapshot.put(
        f"accounts/{account}/endpoints-{REGION}.json", printed(ec2.describe_vpc_endpoints())
    )

    organization = load_organization(snapshot.path)
    found = {r.arn: r.policy for r in organization.resource_policies}
    assert actions(found["arn:aws:s3:::archive-of-logs"]) == ["s3:Get*"]
    assert actions(found[f"arn:aws:sqs:{REGION}:{account}:jobs"]) == ["sqs:Send*"]
    assert actions(found[topic]) == ["sns:Pub*"] and actions(found[key["Arn"]]) == ["kms:*"]
    assert found[secret].documents == () and found[secret].gaps == ()
    assert organization.kms_aliases[f"arn:aws:kms:{REGION}:{account}:alias/a"] == key["Arn"]
    (only,) = organization.endpoints
    assert (only.id, only.vpc, only.is_gateway) == (
        endpoint["VpcEndpoint"]["VpcEndpointId"],
        vpc,
        True,
    )
    assert actions(only.policy) == ["s3:Get*"]
    assert not any(policy.gaps for policy in found.values())
