"""Hand-checked records, section by section of docs/spec/cloudtrail.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from log_records import (
    ACCOUNT,
    ROLE,
    ROLE_IDENTITY,
    SERVICE_IDENTITY,
    USER,
    read_one,
    record,
    write,
)

from iamtables.logs import LogOptions, RecordClass, Requester, read_logs

MAPPED, PARTIAL, NO_ACTION, NOT_A_CALL, UNMAPPED = RecordClass


# -- section 2: is it a call at all? -----------------------------------------------------------


@pytest.mark.parametrize(("event_type", "category", "source", "name", "expected"), [
    ("AwsServiceEvent", None, "kms", "RotateKey", NOT_A_CALL),
    ("AwsConsoleSignIn", None, "signin", "ConsoleLogin", NOT_A_CALL),
    ("AwsApiCall", None, "signin", "SwitchRole", NOT_A_CALL),
    ("AwsCloudTrailInsight", "Insight", "ec2", "RunInstances", NOT_A_CALL),
    ("AwsApiCall", "Aggregated", "s3", "GetObject", NOT_A_CALL),
    ("AwsConsoleAction", None, "billingconsole", "GetAlternateContact", UNMAPPED),
    ("AwsConsoleAction", None, "iam", "ListUsers", MAPPED),
    ("AwsApiCall", None, "s3", "GetStorageLensDashboardDataInternal", UNMAPPED),
    ("AwsApiCall", None, "iam", "NotCreateUser", UNMAPPED),
    ("AwsApiCall", None, "nosuchservice", "ListThings", UNMAPPED),
    ("SomethingNew", None, "iam", "ListUsers", UNMAPPED),
    (..., None, "iam", "ListUsers", MAPPED),
])
def test_what_is_a_call(tmp_path: Path, event_type: Any, category: str | None, source: str,
                        name: str, expected: RecordClass) -> None:
    seen = read_one(tmp_path, record(source, name, eventType=event_type, eventCategory=category))
    assert seen.record_class == expected
    assert bool(seen.requests) == (expected <= PARTIAL)
    assert bool(seen.reason) == (expected != MAPPED)


def test_a_call_denied_at_the_endpoint_names_the_endpoint_policy(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record(
        "kms", "ListKeys", eventType="AwsVpceEvent", eventCategory="NetworkActivity",
        errorCode="VpceAccessDenied", errorMessage="The request was denied"))
    assert (seen.actions, seen.outcome, seen.kind) == (["kms:ListKeys"], 2, "VPC endpoint policy")


# -- section 3.1: event source -> prefix --------------------------------------------------------


@pytest.mark.parametrize(("source", "name", "action"), [
    ("monitoring", "DescribeAlarms", "cloudwatch:DescribeAlarms"),
    ("email", "ListIdentities", "ses:ListIdentities"),
    ("tagging", "GetResources", "tag:GetResources"),
    ("streams.dynamodb", "ListStreams", "dynamodb:ListStreams"),
    ("models-v2-lex", "ListBots", "lex:ListBots"),
    ("servicecatalog-appregistry", "ListApplications", "servicecatalog:ListApplications"),
    ("iam", "ListUsers", "iam:ListUsers"),
])
def test_event_sources_lead_to_prefixes(tmp_path: Path, source: str, name: str,
                                        action: str) -> None:
    assert read_one(tmp_path, record(source, name)).actions == [action]


@pytest.mark.parametrize("suffix", ["amazonaws.com", "amazonaws.com.cn", "c2s.ic.gov"])
def test_partitions_have_their_own_suffix(tmp_path: Path, suffix: str) -> None:
    made = record("ec2", "DescribeVpcs", eventSource=f"ec2.{suffix}")
    assert read_one(tmp_path, made).actions == ["ec2:DescribeVpcs"]


def test_the_spelling_is_the_catalogues(tmp_path: Path) -> None:
    assert read_one(tmp_path, record("iam", "listusers")).actions == ["iam:ListUsers"]


# -- section 3.2: event name -> actions ---------------------------------------------------------


@pytest.mark.parametrize(("service", "name", "parameters", "actions"), [
    ("lambda", "ListFunctions20150331", {}, ["lambda:ListFunctions"]),
    ("lambda", "GetFunctionConfiguration20150331v2", {}, ["lambda:GetFunctionConfiguration"]),
    ("lambda", "Invoke", {}, ["lambda:InvokeFunction"]),
    ("lambda", "InvokeExecution", {}, ["lambda:InvokeFunctionUrl"]),
    ("cloudfront", "UpdateDistribution2016_11_25", {}, ["cloudfront:UpdateDistribution"]),
    ("cloudfront", "ListDistributions2020_05_31", {}, ["cloudfront:ListDistributions"]),
    ("elasticbeanstalk", "DescribeEnvironments", {}, ["elasticbeanstalk:DescribeEnvironments"]),
    ("access-analyzer", "ListFindings", {}, ["access-analyzer:ListFindings"]),
    ("s3", "ListBuckets", {}, ["s3:ListAllMyBuckets"]),
    ("s3", "ListObjectsV2", {}, ["s3:ListBucket"]),
    ("s3", "HeadBucket", {}, ["s3:ListBucket"]),
    ("s3", "ListObjectVersions", {}, ["s3:ListBucketVersions"]),
    ("s3", "ListParts", {}, ["s3:ListMultipartUploadParts"]),
    ("s3", "HeadObject", {"key": "k"}, ["s3:GetObject"]),
    ("s3", "HeadObject", {"key": "k", "versionId": "3"}, ["s3:GetObjectVersion"]),
    ("s3", "GetObject", {"key": "k"}, ["s3:GetObject"]),
    ("s3", "GetObject", {"key": "k", "versionId": "3"}, ["s3:GetObjectVersion"]),
    ("s3", "GetObjectTagging", {"versionId": "3"}, ["s3:GetObjectVersionTagging"]),
    ("s3", "GetObjectAcl", {"versionId": "3"}, ["s3:GetObjectVersionAcl"]),
    ("s3", "GetObjectAttributes", {}, ["s3:GetObject", "s3:GetObjectAttributes"]),
    ("s3", "DeleteObject", {"versionId": "3"}, ["s3:DeleteObjectVersion"]),
    ("s3", "DeleteObjects", {}, ["s3:DeleteObject"]),
    ("s3", "CreateMultipartUpload", {}, ["s3:PutObject"]),
    ("s3", "UploadPart", {}, ["s3:PutObject"]),
    ("s3", "CompleteMultipartUpload", {}, ["s3:PutObject"]),
    ("s3", "SelectObjectContent", {}, ["s3:GetObject"]),
    ("s3", "PutObject", {"x-amz-acl": "private"}, ["s3:PutObject", "s3:PutObjectAcl"]),
    ("s3", "PutObject", {"x-amz-tagging": "a=b"}, ["s3:PutObject", "s3:PutObjectTagging"]),
    ("s3", "PutObject", {"x-amz-object-lock-mode": "GOVERNANCE"},
     ["s3:PutObject", "s3:PutObjectRetention"]),
    ("s3", "CopyObject", {"x-amz-acl": "private"},
     ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"]),
    ("s3", "CopyObject", {"x-amz-copy-source": "a/b?versionId=3"},
     ["s3:GetObjectVersion", "s3:PutObject"]),
    ("s3", "CopyObject", {"x-amz-copy-source": "a/b", "x-amz-tagging": "a=b",
                          "x-amz-object-lock-mode": "GOVERNANCE",
                          "x-amz-object-lock-legal-hold": "ON"},
     ["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention",
      "s3:PutObjectLegalHold"]),
    ("s3", "UploadPartCopy", {"x-amz-copy-source": "a/b?versionId=3"},
     ["s3:GetObjectVersion", "s3:PutObject"]),
    ("s3", "CreateMultipartUpload", {"x-amz-tagging": "a=b", "x-amz-acl": "private"},
     ["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"]),
    ("s3", "DeleteObject", {"key": "k", "x-amz-bypass-governance-retention": "true"},
     ["s3:DeleteObject", "s3:BypassGovernanceRetention"]),
    ("s3", "DeleteObjects", {"x-amz-bypass-governance-retention": "true"},
     ["s3:DeleteObject", "s3:BypassGovernanceRetention"]),
    ("s3", "CreateBucket", {"bucketName": "b"}, ["s3:CreateBucket"]),
    ("s3", "CreateBucket", {"bucketName": "b", "x-amz-acl": "private"}, ["s3:CreateBucket"]),
    ("s3", "CreateBucket", {"bucketName": "b", "x-amz-acl": ["public-read"]},
     ["s3:CreateBucket", "s3:PutBucketAcl"]),
    ("s3", "CreateBucket", {"bucketName": "b", "x-amz-object-ownership": "ObjectWriter",
                            "x-amz-bucket-object-lock-enabled": "true"},
     ["s3:CreateBucket", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning",
      "s3:PutBucketOwnershipControls"]),
    ("s3", "GetBucketLifecycle", {}, ["s3:GetLifecycleConfiguration"]),
    ("s3", "DeleteBucketLifecycle", {}, ["s3:PutLifecycleConfiguration"]),
    ("s3", "DeleteBucketEncryption", {}, ["s3:PutEncryptionConfiguration"]),
    ("s3", "DeleteBucketReplication", {}, ["s3:PutReplicationConfiguration"]),
    ("s3", "DeleteBucketCors", {}, ["s3:PutBucketCORS"]),
    ("s3", "DeleteBucketTagging", {}, ["s3:PutBucketTagging"]),
    ("s3", "ListBucketInventoryConfigurations", {}, ["s3:GetInventoryConfiguration"]),
    ("s3", "DeleteBucketMetricsConfiguration", {}, ["s3:PutMetricsConfiguration"]),
    ("s3", "GetBucketAccelerateConfiguration", {}, ["s3:GetAccelerateConfiguration"]),
    ("s3", "GetPublicAccessBlock", {"bucketName": "b"}, ["s3:GetBucketPublicAccessBlock"]),
    ("s3", "DeletePublicAccessBlock", {"accountId": "1"}, ["s3:PutAccountPublicAccessBlock"]),
    ("s3", "DeleteBucketPublicAccessBlock", {}, ["s3:PutBucketPublicAccessBlock"]),
    ("s3", "GetObjectLockConfiguration", {}, ["s3:GetBucketObjectLockConfiguration"]),
    ("s3", "DeleteBucketOwnershipControls", {}, ["s3:PutBucketOwnershipControls"]),
    ("s3", "GetBucketVersioning", {}, ["s3:GetBucketVersioning"]),
    ("s3", "GetObject", {"bucketName": "b--euw1-az1--x-s3", "key": "k"},
     ["s3express:CreateSession"]),
    ("apigateway", "CreateStage", {}, ["apigateway:POST"]),
    ("apigateway", "UpdateRestApi", {}, ["apigateway:PATCH"]),
    ("apigateway", "PutRestApi", {}, ["apigateway:PUT"]),
    ("apigateway", "GetRestApis", {}, ["apigateway:GET"]),
    ("apigateway", "FlushStageCache", {}, ["apigateway:DELETE"]),
    ("dynamodb", "TransactGetItems", {}, ["dynamodb:GetItem"]),
    ("dynamodb", "TransactWriteItems",
     {"transactItems": [{"put": {}}, {"delete": {}}, {"put": {}}]},
     ["dynamodb:PutItem", "dynamodb:DeleteItem"]),
    ("dynamodb", "ExecuteStatement", {"statement": "select * from t"},
     ["dynamodb:PartiQLSelect"]),
    ("dynamodb", "BatchExecuteStatement", {"statements": [
        {"statement": "INSERT INTO Music VALUE {}"}, {"statement": "delete from Music"}]},
     ["dynamodb:PartiQLInsert", "dynamodb:PartiQLDelete"]),
    ("dynamodb", "ExecuteTransaction", {"transactStatements": [
        {"statement": 'update "Music" set a=1'}]}, ["dynamodb:PartiQLUpdate"]),
    ("verifiedpermissions", "BatchIsAuthorized", {}, ["verifiedpermissions:IsAuthorized"]),
    ("verifiedpermissions", "BatchGetPolicy", {}, ["verifiedpermissions:GetPolicy"]),
    ("deadline", "BatchGetJob", {}, ["deadline:GetJob"]),
    ("glue", "BatchGetJobs", {}, ["glue:BatchGetJobs"]),
    ("omics", "BatchDeleteReadSet", {}, ["omics:BatchDeleteReadSet"]),
    ("neptune-db", "ExecuteGremlinExplainQuery", {}, ["neptune-db:ReadDataViaQuery"]),
    ("cloudfront", "CreateStreamingDistributionWithTags2020_05_31", {},
     ["cloudfront:CreateStreamingDistribution", "cloudfront:TagResource"]),
    ("sqs", "SendMessageBatch", {}, ["sqs:SendMessage"]),
    ("sns", "PublishBatch", {}, ["sns:Publish"]),
    ("kms", "ReEncrypt", {}, ["kms:ReEncryptFrom", "kms:ReEncryptTo"]),
    ("bedrock-runtime", "Converse", {}, ["bedrock:InvokeModel"]),
    ("bedrock", "ConverseStream", {}, ["bedrock:InvokeModelWithResponseStream"]),
    ("budgets", "DescribeBudgets", {}, ["budgets:ViewBudget"]),
    ("budgets", "CreateBudget", {}, ["budgets:ModifyBudget"]),
    ("cassandra", "UpdateTable", {}, ["cassandra:Alter"]),
    ("timestream", "Query", {}, ["timestream:Select"]),
    ("cloudfront", "CreateDistributionWithTags2020_05_31", {},
     ["cloudfront:CreateDistribution", "cloudfront:TagResource"]),
    ("sts", "AssumeRole", {"roleArn": ROLE}, ["sts:AssumeRole"]),
    ("sts", "AssumeRole", {"roleArn": ROLE, "tags": [{"key": "a", "value": "b"}]},
     ["sts:AssumeRole", "sts:TagSession"]),
    ("sts", "AssumeRole", {"roleArn": ROLE, "sourceIdentity": "x"},
     ["sts:AssumeRole", "sts:SetSourceIdentity"]),
    ("ec2", "CreateVpc", {"tagSpecificationSet": {"items": [
        {"resourceType": "vpc", "tags": [{"key": "a", "value": "b"}]}]}},
     ["ec2:CreateVpc", "ec2:CreateTags"]),
    ("iam", "CreateRole", {"roleName": "r", "tags": [{"key": "a", "value": "b"}]},
     ["iam:CreateRole", "iam:TagRole"]),
    ("lambda", "CreateFunction20150331", {"role": ROLE}, ["lambda:CreateFunction", "iam:PassRole"]),
])
def test_event_names_lead_to_actions(tmp_path: Path, service: str, name: str,
                                     parameters: dict[str, Any], actions: list[str]) -> None:
    seen = read_one(tmp_path, record(service, name, requestParameters=parameters))
    assert list(dict.fromkeys(seen.actions)) == actions


@pytest.mark.parametrize("name", ["ListFindingsV2", "ListDomainNamesV2"])
def test_a_version_in_a_name_is_not_a_date(tmp_path: Path, name: str) -> None:
    assert read_one(tmp_path, record("iam", name)).record_class == UNMAPPED


@pytest.mark.parametrize("parameters", [
    {"statement": "HIDDEN_DUE_TO_SECURITY_REASONS"}, {"statement": "***"}, {}, None,
])
def test_a_hidden_statement_leaves_the_call_unmapped(tmp_path: Path, parameters: Any) -> None:
    seen = read_one(tmp_path, record("dynamodb", "ExecuteStatement", requestParameters=parameters))
    assert seen.record_class == UNMAPPED
    assert seen.reason == "what `dynamodb:ExecuteStatement` did is not recorded"


def test_unlisted_actions_are_taken_only_when_asked(tmp_path: Path) -> None:
    made = record("iam", "BrandNewCall")
    assert read_one(tmp_path, made).record_class == UNMAPPED
    seen = read_one(tmp_path, made, options=LogOptions(unlisted_actions=True))
    assert seen.requests == [("iam:BrandNewCall", None, "unknown")]
    assert seen.record_class == PARTIAL


# -- section 3.3: no IAM action -----------------------------------------------------------------


@pytest.mark.parametrize(("service", "name"), [
    ("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("dynamodb", "DescribeEndpoints"),
    ("cognito-idp", "InitiateAuth"), ("cognito-identity", "GetId"), ("sso", "GetRoleCredentials"),
    ("sso-oauth", "CreateToken"),
])
def test_calls_that_need_no_permission(tmp_path: Path, service: str, name: str) -> None:
    seen = read_one(tmp_path, record(service, name))
    assert seen.record_class == NO_ACTION
    assert seen.requests == []


# -- section 4: resources -----------------------------------------------------------------------

OBJECT = {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::data/a/b.txt"}
BUCKET = {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::data", "accountId": ACCOUNT}


@pytest.mark.parametrize(("name", "resource"), [
    ("GetObject", "arn:aws:s3:::data/a/b.txt"),
    ("ListObjects", "arn:aws:s3:::data"),
    ("GetBucketPolicy", "arn:aws:s3:::data"),
])
def test_the_templates_of_the_action_choose_among_the_resources(
    tmp_path: Path, name: str, resource: str
) -> None:
    seen = read_one(tmp_path, record("s3", name, resources=[OBJECT, BUCKET]))
    assert seen.resources == [resource]
    assert seen.requests[0][2] == "given"
    assert seen.record_class == MAPPED


def test_an_action_without_resource_types_is_checked_on_the_star(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("s3", "ListBuckets", resources=[BUCKET]))
    assert seen.requests == [("s3:ListAllMyBuckets", "*", "star")]
    assert seen.record_class == MAPPED


def test_entries_without_a_type_or_in_lower_case_count_too(tmp_path: Path) -> None:
    parameter = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/a/b"
    for entry in ({"ARN": parameter, "accountId": ACCOUNT}, {"arn": parameter}):
        seen = read_one(tmp_path, record("ssm", "GetParameter", resources=[entry]))
        assert seen.resources == [parameter]


def test_a_prefix_is_not_a_resource(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("s3", "ListObjects", resources=[
        {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::data/"}, BUCKET]))
    assert seen.resources == ["arn:aws:s3:::data"]


def test_several_resources_of_one_call_are_several_requests(tmp_path: Path) -> None:
    topics = [f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/{name}" for name in "abc"]
    seen = read_one(tmp_path, record("ssm", "GetParameters",
                                     resources=[{"ARN": arn} for arn in topics]))
    assert seen.resources == topics
    assert seen.batch.group.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("service", "name", "parameter", "resource"), [
    ("sns", "Publish", "topicArn", f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms"),
    ("sts", "AssumeRole", "roleArn", ROLE),
    ("secretsmanager", "GetSecretValue", "secretId",
     f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:db-a1b2c3"),
    ("lambda", "GetFunction20150331v2", "functionName",
     f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"),
    ("states", "DescribeStateMachine", "stateMachineArn",
     f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:m"),
])
def test_an_arn_among_the_parameters_that_fits_is_the_resource(
    tmp_path: Path, service: str, name: str, parameter: str, resource: str
) -> None:
    seen = read_one(tmp_path, record(service, name, requestParameters={parameter: resource}))
    assert seen.requests[0][1:] == (resource, "param")
    assert seen.record_class == MAPPED


R = f"eu-west-1:{ACCOUNT}"


@pytest.mark.parametrize(("service", "name", "parameters", "pattern"), [
    ("iam", "AttachRolePolicy", {"roleName": "r", "policyArn": "arn:aws:iam::aws:policy/P"},
     f"arn:aws:iam::{ACCOUNT}:role/*r"),
    ("iam", "GetRole", {"roleName": "worker"}, f"arn:aws:iam::{ACCOUNT}:role/*worker"),
    ("iam", "GetRole", {"roleName": "***"}, f"arn:aws:iam::{ACCOUNT}:role/*"),
    ("iam", "CreateAccessKey", {"userName": "ann"}, f"arn:aws:iam::{ACCOUNT}:user/*ann"),
    ("s3", "PutBucketPolicy", {"bucketPolicy": {"policy": "arn:aws:s3:::data"}}, "arn:aws:s3:::*"),
    ("s3", "PutBucketPolicy", {"bucketPolicy": {"Statement": [{"Resource": "arn:aws:s3:::data"}]}},
     "arn:aws:s3:::*"),
    ("secretsmanager", "GetSecretValue", {"secretId": "db"},
     f"arn:aws:secretsmanager:{R}:secret:db-??????"),
    ("kms", "DescribeKey", {"keyId": "alias/app"}, f"arn:aws:kms:{R}:key/*"),
    ("ec2", "CreateVpc", {"cidrBlock": "10.0.0.0/16"}, f"arn:aws:ec2:{R}:vpc/*"),
    ("ec2", "DeleteVpc", {"vpcId": "subnet-1"}, f"arn:aws:ec2:{R}:vpc/*"),
    ("lambda", "DeleteFunction20150331", {"functionName": "f", "qualifier": "3"},
     f"arn:aws:lambda:{R}:function:f*"),
    ("lambda", "DeleteFunction20150331", {"functionName": "f:live"},
     f"arn:aws:lambda:{R}:function:f*"),
    ("rds", "DeleteDBSnapshot", {"dBSnapshotIdentifier": "Nightly"},
     f"arn:aws:rds:{R}:snapshot:*"),
    ("logs", "DeleteLogGroup", {"logGroupName": "/app"}, f"arn:aws:logs:{R}:log-group:/app*"),
    ("ssm", "GetDocument", {"name": "AWS-RunShellScript"},
     "arn:aws:ssm:eu-west-1:*:document/AWS-RunShellScript"),
    ("iam", "GetRole", None, f"arn:aws:iam::{ACCOUNT}:role/*"),
])
def test_what_is_known_in_part_is_a_pattern_and_never_a_resource(
    tmp_path: Path, service: str, name: str, parameters: Any, pattern: str
) -> None:
    seen = read_one(tmp_path, record(service, name, requestParameters=parameters))
    assert seen.resources == [None]
    assert seen.requests[0][2] == "pattern"
    assert seen.batch.resource_pattern.to_list() == [pattern]
    assert (seen.record_class, seen.reason) == (PARTIAL, "the resource is known in part")


def test_the_alias_of_an_access_point_stands_for_another_resource(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("s3", "GetBucketAcl", requestParameters={
        "bucketName": "point-abc-s3alias"}))
    assert seen.requests == [("s3:GetBucketAcl", None, "unknown")]
    assert seen.batch.resource_pattern.to_list() == [None]


def test_other_arns_of_a_call_with_optional_types_leave_nothing_known(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("rds", "DescribeDBInstances", requestParameters={
        "filters": [{"name": "x", "values": [f"arn:aws:rds:{R}:db:d"]}]}))
    assert seen.requests == [("rds:DescribeDBInstances", None, "unknown")]
    assert seen.batch.resource_pattern.to_list() == [None]
    assert (seen.record_class, seen.reason) == (PARTIAL, "the resource is not recorded")


@pytest.mark.parametrize(("service", "name", "parameters", "resources"), [
    ("ec2", "StopInstances", {"instancesSet": {"items": [
        {"instanceId": "i-1"}, {"instanceId": "i-2"}]}},
     [f"arn:aws:ec2:{R}:instance/i-1", f"arn:aws:ec2:{R}:instance/i-2"]),
    ("ec2", "DeleteNatGateway", {"DeleteNatGatewayRequest": {"NatGatewayId": "nat-1"}},
     [f"arn:aws:ec2:{R}:natgateway/nat-1"]),
    ("ec2", "DeleteFlowLogs", {"DeleteFlowLogsRequest": {
        "FlowLogId": {"tag": 1, "content": "fl-1"}}}, [f"arn:aws:ec2:{R}:vpc-flow-log/fl-1"]),
    ("ec2", "DeregisterImage", {"imageId": "ami-1"}, ["arn:aws:ec2:eu-west-1::image/ami-1"]),
    ("rds", "DeleteDBSnapshot", {"dBSnapshotIdentifier": "s"}, [f"arn:aws:rds:{R}:snapshot:s"]),
    ("rds", "CopyDBSnapshot", {"sourceDBSnapshotIdentifier": f"arn:aws:rds:{R}:snapshot:a",
                               "targetDBSnapshotIdentifier": "b"},
     [f"arn:aws:rds:{R}:snapshot:a", f"arn:aws:rds:{R}:snapshot:b"]),
    ("ssm", "GetParameter", {"name": "/a/b"}, [f"arn:aws:ssm:{R}:parameter/a/b"]),
    ("ssm", "GetParameter", {"name": "plain:3"}, [f"arn:aws:ssm:{R}:parameter/plain"]),
    ("ssm", "ListTagsForResource", {"resourceType": "Document", "resourceId": "Own"},
     [f"arn:aws:ssm:{R}:document/Own"]),
    ("ssm", "UpdateInstanceInformation", {"instanceId": "mi-1"},
     [f"arn:aws:ssm:{R}:managed-instance/mi-1"]),
    ("sqs", "SendMessage",
     {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/444455556666/jobs"},
     ["arn:aws:sqs:eu-west-1:444455556666:jobs"]),
    ("lambda", "GetFunction20150331v2", {"functionName": "444455556666:function:f"},
     ["arn:aws:lambda:eu-west-1:444455556666:function:f"]),
    ("dynamodb", "BatchGetItem", {"requestItems": {"a": {}, "b": {}}},
     [f"arn:aws:dynamodb:{R}:table/a", f"arn:aws:dynamodb:{R}:table/b"]),
    ("s3", "GetObject", {"bucketName": "b", "key": "a/*"}, ["arn:aws:s3:::b/a/*"]),
    ("eks", "DescribeCluster", {"name": "c"}, [f"arn:aws:eks:{R}:cluster/c"]),
    ("route53", "GetHostedZone", {"id": "/hostedzone/Z1"}, ["arn:aws:route53:::hostedzone/Z1"]),
    ("events", "DeleteRule", {"name": "r"}, [f"arn:aws:events:{R}:rule/r"]),
    ("events", "DeleteRule", {"name": "r", "eventBusName": "bus"},
     [f"arn:aws:events:{R}:rule/bus/r"]),
    ("iam", "CreateUser", {"userName": "ann", "path": "/dev/"},
     [f"arn:aws:iam::{ACCOUNT}:user/dev/ann"]),
    ("iam", "CreateUser", {"userName": "ann"}, [f"arn:aws:iam::{ACCOUNT}:user/ann"]),
    ("cloudwatch", "DeleteAlarms", {"alarmNames": ["High CPU"]},
     [f"arn:aws:cloudwatch:{R}:alarm:High CPU"]),
    ("apigateway", "GetStage", {"restApiId": "x", "stageName": "prod"},
     ["arn:aws:apigateway:eu-west-1::/restapis/x/stages/prod"]),
])
def test_templates_are_filled_with_names(
    tmp_path: Path, service: str, name: str, parameters: Any, resources: list[str]
) -> None:
    seen = read_one(tmp_path, record(service, name, requestParameters=parameters))
    assert sorted(map(str, seen.resources)) == sorted(resources)
    assert {state for _, _, state in seen.requests} <= {"template", "param"}
    assert seen.record_class == MAPPED


@pytest.mark.parametrize(("region", "partition"), [
    ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b")])
def test_the_partition_of_a_built_arn_is_that_of_the_region(
    tmp_path: Path, region: str, partition: str
) -> None:
    seen = read_one(tmp_path, record("ec2", "DeleteVpc", awsRegion=region,
                                     requestParameters={"vpcId": "vpc-1"}))
    assert seen.resources == [f"arn:{partition}:ec2:{region}:{ACCOUNT}:vpc/vpc-1"]


def test_without_the_receiving_account_an_arn_stays_a_pattern(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("ec2", "DeleteVpc", recipientAccountId=...,
                                     requestParameters={"vpcId": "vpc-1"}))
    assert seen.batch.resource_pattern.to_list() == ["arn:aws:ec2:eu-west-1:*:vpc/vpc-1"]
    assert seen.record_class == PARTIAL


def test_a_creation_tags_the_thing_it_makes(tmp_path: Path) -> None:
    tags = {"items": [{"resourceType": "subnet", "tags": [{"key": "a", "value": "b"}]}]}
    seen = read_one(tmp_path, record("ec2", "CreateSubnet", requestParameters={
        "vpcId": "vpc-1", "tagSpecificationSet": tags}))
    patterns = seen.batch.resource_pattern.to_list()
    tagged = [patterns[i] for i, action in enumerate(seen.actions) if action == "ec2:CreateTags"]
    assert tagged == [f"arn:aws:ec2:{R}:subnet/*"]
    seen = read_one(tmp_path, record("rds", "CreateDBSnapshot", requestParameters={
        "dBInstanceIdentifier": "d", "dBSnapshotIdentifier": "s",
        "tags": [{"key": "a", "value": "b"}]}))
    assert ("rds:AddTagsToResource", None, "unknown") in seen.requests


def test_names_come_from_other_records_until_these_disagree(tmp_path: Path) -> None:
    made = [
        record("iam", "GetRole", requestParameters={"roleName": "worker"}, eventID="1" * 36),
        record("s3", "ListBuckets", userIdentity=ROLE_IDENTITY, eventID="2" * 36),
    ]
    batch = next(iter(read_logs([write(tmp_path / "a.json", *made)], keys=[])))
    assert batch.resource.value(0) == ROLE
    assert batch.resource_state.value(0) == "named"
    assert batch.record_class[0] == MAPPED
    other = record("iam", "CreateRole", eventID="3" * 36,
                   requestParameters={"roleName": "worker", "path": "/elsewhere/"})
    batch = next(iter(read_logs([write(tmp_path / "b.json", *made, other)], keys=[])))
    assert batch.resource.value(0) is None
    assert batch.record_class[0] == PARTIAL
    options = LogOptions(learn_names=False)
    batch = next(iter(read_logs([tmp_path / "a.json"], options, keys=[])))
    assert batch.resource_pattern.value(0) == f"arn:aws:iam::{ACCOUNT}:role/*worker"


def test_an_inventory_gives_paths_of_roles_of_sessions_and_of_resources(tmp_path: Path) -> None:
    session = {**ROLE_IDENTITY, "sessionContext": {"sessionIssuer": {}}}
    made = record("iam", "GetRole", userIdentity=session, requestParameters={"roleName": "worker"})
    asked = []

    def resolver(kind: str, account: str, name: str) -> str | None:
        asked.append((kind, account, name))
        return ROLE if (kind, account, name) == ("role", ACCOUNT, "worker") else None

    path = write(tmp_path / "a.json", made)
    batch = next(iter(read_logs([path], keys=[], resolver=resolver)))
    assert (batch.principal.value(0), batch.resource.value(0)) == (ROLE, ROLE)
    assert batch.record_class[0] == MAPPED
    assert asked
    batch = next(iter(read_logs([path], keys=[], resolver=lambda *_: None)))
    assert (batch.principal.value(0), batch.resource.value(0)) == (None, None)
    assert batch.record_class[0] == PARTIAL


ENDPOINT = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/e"
HUB_CONTENT = "arn:aws:sagemaker:eu-west-1:aws:hub-content/SageMakerPublicHub/Model/m/2.1.0"


@pytest.mark.parametrize("extra", [
    {"tags": [{"key": "sagemaker-studio:hub-content-arn", "value": HUB_CONTENT}]},
    {"tags": [{"Key": "a", "Value": HUB_CONTENT}, {"tagKey": "b", "tagValue": HUB_CONTENT}]},
    {"tags": {"modelArn": HUB_CONTENT}},
    {"tagSet": {"items": [{"key": "a", "value": HUB_CONTENT}]}},
    {"tagSpecificationSet": {"items": [{"tags": [{"key": "a", "value": HUB_CONTENT}]}]}},
    {"tagging": {"tagSet": {"tag": {"key": "a", "value": HUB_CONTENT}}}},
    {"TagList": [{"Key": "a", "Value": HUB_CONTENT}]},
    {"tagsToAdd": [{"resourceArn": HUB_CONTENT}]},
    {"tagKeys": [HUB_CONTENT]},
    {"description": HUB_CONTENT},
    {"metadata": {"sourceArn": HUB_CONTENT}},
    {"environment": {"MODEL_ARN": HUB_CONTENT}},
    {"runtimeEnvironmentVariables": {"MODEL_ARN": HUB_CONTENT}},
    {"containers": [{"environment": [{"name": "MODEL_ARN", "value": HUB_CONTENT}]}]},
    {"environment": {"variables": {"modelArn": HUB_CONTENT}}},
    {"environmentVariablesOverride": [{"name": "m", "value": HUB_CONTENT}]},
    {"assumeRolePolicyDocument": {"statement": [{"resource": [HUB_CONTENT]}]}},
    {"encryptionContext": {"aws:sagemaker:arn": HUB_CONTENT}},
    {"parameters": [{"parameterKey": "m", "parameterValue": HUB_CONTENT}]},
    {"filters": [{"name": "arn", "values": [HUB_CONTENT]}]},
])
def test_an_arn_in_tags_or_text_is_no_resource(tmp_path: Path, extra: dict[str, Any]) -> None:
    seen = read_one(tmp_path, record("sagemaker", "AddTags",
                                     requestParameters={"resourceArn": ENDPOINT, **extra}))
    assert seen.requests == [("sagemaker:AddTags", ENDPOINT, "param")]
    assert seen.record_class == MAPPED
    alone = read_one(tmp_path, record("sagemaker", "AddTags", requestParameters=extra))
    assert alone.resources == [None]


@pytest.mark.parametrize("extra", [
    {"destination": HUB_CONTENT},
    {"value": HUB_CONTENT},
    {"attributes": {"modelArn": HUB_CONTENT}},
    {"hyperParameters": {"model_arn": HUB_CONTENT}},
    {"dockerLabels": {"model.arn": HUB_CONTENT}},
    {"parameters": {"ModelArn": [HUB_CONTENT]}},
    {"options": {"note": {"arn": HUB_CONTENT}}},
])
def test_an_arn_in_an_unclear_place_leaves_the_call_partial(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    seen = read_one(tmp_path, record("sagemaker", "AddTags",
                                     requestParameters={"resourceArn": ENDPOINT, **extra}))
    assert seen.requests == [("sagemaker:AddTags", ENDPOINT, "param"),
                             ("sagemaker:AddTags", None, "unknown")]
    alone = read_one(tmp_path, record("sagemaker", "AddTags", requestParameters=extra))
    assert alone.resources == [None]


def test_an_arn_in_an_unclear_place_changes_nothing_about_a_type_that_is_named(
    tmp_path: Path,
) -> None:
    other = ENDPOINT + "2"
    seen = read_one(tmp_path, record("sagemaker", "AddTags", requestParameters={
        "resourceArn": ENDPOINT, "destination": other}))
    assert seen.resources == [ENDPOINT]
    seen = read_one(tmp_path, record("sagemaker", "AddTags", requestParameters={
        "resourceArn": ENDPOINT, "more": {"resourceArn": other}, "destination": other}))
    assert seen.resources == [ENDPOINT, other]  # once in a clear place is enough


@pytest.mark.parametrize(("service", "name", "parameters", "resource"), [
    ("ecs", "DescribeClusters", {"clusters": ["C"]}, "arn:aws:ecs:eu-west-1:1:cluster/c"),
    ("ecs", "RunTask", {"taskDefinition": "C"}, "arn:aws:ecs:eu-west-1:1:task-definition/c:1"),
    ("cloudtrail", "GetTrailStatus", {"name": "C"}, "arn:aws:cloudtrail:eu-west-1:1:trail/c"),
    ("cloudtrail", "GetEventDataStore", {"eventDataStore": "C"},
     "arn:aws:cloudtrail:eu-west-1:1:eventdatastore/c"),
    ("cloudtrail", "ListTags", {"resourceIdList": ["C"]}, "arn:aws:cloudtrail:eu-west-1:1:trail/c"),
    ("lambda", "ListTags20170331", {"resource": "C"}, "arn:aws:lambda:eu-west-1:1:function:c"),
    ("rds", "AddTagsToResource", {"resourceName": "C"}, "arn:aws:rds:eu-west-1:1:db:c"),
    ("elasticloadbalancing", "DeleteTargetGroup", {"targetGroupArn": "C"},
     "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/c/1"),
    ("batch", "UpdateJobQueue", {"jobQueue": "C"}, "arn:aws:batch:eu-west-1:1:job-queue/c"),
])
def test_plausible_parameters_hold_resources(
    tmp_path: Path, service: str, name: str, parameters: dict[str, Any], resource: str
) -> None:
    filled = {key: [resource] if isinstance(value, list) else resource
              for key, value in parameters.items()}
    seen = read_one(tmp_path, record(service, name, requestParameters=filled))
    assert seen.requests[0][1:] == (resource, "param")


def test_a_required_type_that_is_missing_is_an_unknown_member(tmp_path: Path) -> None:
    vpc = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-1"
    seen = read_one(tmp_path, record("ec2", "AssociateDhcpOptions", resources=[{"ARN": vpc}]))
    assert seen.resources == [vpc, None]
    assert seen.batch.resource_pattern.value(1) == f"arn:aws:ec2:{R}:dhcp-options/*"
    assert (seen.record_class, seen.reason) == (PARTIAL, "a further resource is known in part")


def test_batches_of_keys_have_unknown_resources(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("s3", "DeleteObjects", resources=[BUCKET, OBJECT]))
    assert seen.requests == [("s3:DeleteObject", None, "unknown")]
    assert seen.record_class == PARTIAL


def test_a_copy_has_its_source_and_its_target(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record(
        "s3", "CopyObject",
        requestParameters={"bucketName": "to", "key": "k/2", "x-amz-copy-source": "/from/k%201"},
        resources=[{"ARN": "arn:aws:s3:::to/k/2"}, {"ARN": "arn:aws:s3:::from/k 1"},
                   {"ARN": "arn:aws:s3:::to"}, {"ARN": "arn:aws:s3:::from"}]))
    assert [request[:2] for request in seen.requests] == [
        ("s3:GetObject", "arn:aws:s3:::from/k 1"), ("s3:PutObject", "arn:aws:s3:::to/k/2")]
    # the tags of the source are copied, too: it is not recorded whether there are any
    assert (seen.record_class, seen.is_complete) == (PARTIAL, False)
    assert seen.reason == "whether the source has tags, which are copied, is not recorded"


@pytest.mark.parametrize(("headers", "expected"), [
    ({"x-amz-tagging-directive": "COPY"}, PARTIAL),
    ({"x-amz-tagging-directive": "REPLACE"}, MAPPED),
    ({"x-amz-tagging-directive": ["REPLACE"], "x-amz-acl": "private"}, MAPPED),
])
def test_a_copy_that_replaces_the_tags_needs_none_of_the_source(
    tmp_path: Path, headers: dict[str, Any], expected: RecordClass
) -> None:
    seen = read_one(tmp_path, record("s3", "CopyObject", requestParameters={
        "bucketName": "to", "key": "k", "x-amz-copy-source": "from/j?versionId=3", **headers}))
    assert seen.record_class == expected
    assert seen.is_complete == (expected == MAPPED)
    assert [request[:2] for request in seen.requests[:2]] == [
        ("s3:GetObjectVersion", "arn:aws:s3:::from/j"), ("s3:PutObject", "arn:aws:s3:::to/k")]


def table(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:dynamodb:eu-west-1:{account}:table/{name}"


def test_each_item_of_a_transaction_asks_for_its_own_table(tmp_path: Path) -> None:
    foreign = table("Shared", "999988887777")
    seen = read_one(tmp_path, record("dynamodb", "TransactWriteItems", requestParameters={
        "transactItems": [
            {"put": {"tableName": "Orders", "item": {}}}, {"delete": {"tableName": "Stock"}},
            {"put": {"tableName": "Orders"}}, {"update": {"tableName": foreign}},
            {"conditionCheck": {"tableName": "Orders"}}, {"put": {"tableName": "Stock"}}]}))
    assert sorted(request[:2] for request in seen.requests) == [
        ("dynamodb:ConditionCheckItem", table("Orders")),
        ("dynamodb:DeleteItem", table("Stock")),
        ("dynamodb:PutItem", table("Orders")), ("dynamodb:PutItem", table("Stock")),
        ("dynamodb:UpdateItem", foreign)]
    assert (seen.record_class, seen.is_complete) == (MAPPED, True)


@pytest.mark.parametrize(("items", "listed", "expected"), [
    # the tables that are listed say whose they are
    ([("put", "Orders"), ("delete", "Stock")],
     [table("Orders", "999988887777"), table("Stock")],
     [("dynamodb:DeleteItem", table("Stock")),
      ("dynamodb:PutItem", table("Orders", "999988887777"))]),
    # an item that hides its table is on the only one there is, else it is not known
    ([("put", "HIDDEN_DUE_TO_SECURITY_REASONS")], [table("Stock")],
     [("dynamodb:PutItem", table("Stock"))]),
    ([("put", None), ("delete", "Stock")], [table("Stock"), table("Orders")],
     [("dynamodb:DeleteItem", table("Stock")), ("dynamodb:PutItem", None)]),
])
def test_listed_tables_go_to_the_items_that_name_them(
    tmp_path: Path, items: list[tuple[str, str | None]], listed: list[str],
    expected: list[tuple[str, str | None]]
) -> None:
    seen = read_one(tmp_path, record(
        "dynamodb", "TransactWriteItems", resources=[{"ARN": arn} for arn in listed],
        requestParameters={"transactItems": [
            {kind: {"tableName": name} if name else {}} for kind, name in items]}))
    assert sorted(request[:2] for request in seen.requests) == expected
    assert seen.record_class == (MAPPED if None not in seen.resources else PARTIAL)


def test_a_transaction_reads_each_of_its_tables_and_batches_name_theirs(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("dynamodb", "TransactGetItems", requestParameters={
        "transactItems": [{"get": {"tableName": "A1x"}}, {"get": {"tableName": "B1x"}}]}))
    assert [request[:2] for request in seen.requests] == [
        ("dynamodb:GetItem", table("A1x")), ("dynamodb:GetItem", table("B1x"))]
    seen = read_one(tmp_path, record("dynamodb", "BatchWriteItem", requestParameters={
        "requestItems": {"A1x": [{}], "B1x": [{}]}}))
    assert [request[:2] for request in seen.requests] == [
        ("dynamodb:BatchWriteItem", table("A1x")), ("dynamodb:BatchWriteItem", table("B1x"))]


@pytest.mark.parametrize(("statements", "expected"), [
    (['SELECT "from" FROM "Music" WHERE a = \'x from Other\'', "DELETE FROM Old.x"],
     [("dynamodb:PartiQLDelete", None), ("dynamodb:PartiQLSelect", table("Music"))]),
    (['select * from "Music"."byArtist"'], [("dynamodb:PartiQLSelect", None)]),
    (["insert into Music value {}", "select * from Music", "insert into Art value {}"],
     [("dynamodb:PartiQLInsert", table("Art")), ("dynamodb:PartiQLInsert", table("Music")),
      ("dynamodb:PartiQLSelect", table("Music"))]),
])
def test_statements_tell_their_tables(
    tmp_path: Path, statements: list[str], expected: list[tuple[str, str | None]]
) -> None:
    seen = read_one(tmp_path, record("dynamodb", "BatchExecuteStatement", requestParameters={
        "statements": [{"statement": text} for text in statements]}))
    assert sorted((request[:2] for request in seen.requests),
                  key=lambda pair: (pair[0], pair[1] or "")) == expected


def test_a_statement_that_is_hidden_leaves_the_others_incomplete(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("dynamodb", "ExecuteTransaction", requestParameters={
        "transactStatements": [{"statement": "select * from Music"}, {"statement": "***"}]}))
    assert [request[:2] for request in seen.requests] == [
        ("dynamodb:PartiQLSelect", table("Music"))]
    assert (seen.record_class, seen.is_complete) == (PARTIAL, False)
    assert seen.reason == "other actions of the call are not recorded"


def test_re_encryption_tells_its_two_keys_apart(tmp_path: Path) -> None:
    keys = [f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{n}" for n in ("aaa", "bbb")]
    seen = read_one(tmp_path, record(
        "kms", "ReEncrypt", requestParameters={"sourceKeyId": "bbb", "destinationKeyId": keys[0]},
        resources=[{"ARN": arn} for arn in keys]))
    assert [request[:2] for request in seen.requests] == [
        ("kms:ReEncryptFrom", keys[1]), ("kms:ReEncryptTo", keys[0])]


@pytest.mark.parametrize("parameters", [None, {}, {"marker": "x"}])
def test_a_call_about_oneself_is_on_the_own_user(tmp_path: Path, parameters: Any) -> None:
    seen = read_one(tmp_path, record("iam", "GetUser", requestParameters=parameters))
    assert seen.requests == [("iam:GetUser", USER, "self")]


@pytest.mark.parametrize("fields", [
    {"requestParameters": {"userName": "bob"}},
    {"requestParameters": None, "errorCode": "ThrottlingException"},
    {"requestParameters": None, "userIdentity": ROLE_IDENTITY},
])
def test_what_is_not_about_oneself(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert read_one(tmp_path, record("iam", "ListAccessKeys", **fields)).resources == [None]


def test_alternatives_among_required_types_need_only_one(tmp_path: Path) -> None:
    model = "arn:aws:bedrock:eu-west-1::foundation-model/m"
    seen = read_one(tmp_path, record("bedrock", "InvokeModel", resources=[{"ARN": model}]))
    assert (seen.resources, seen.record_class) == ([model], MAPPED)


def test_an_inference_profile_stands_for_models_that_are_not_recorded(tmp_path: Path) -> None:
    profile = f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:inference-profile/eu.m"
    seen = read_one(tmp_path, record("bedrock", "InvokeModel",
                                     requestParameters={"modelId": profile}))
    assert seen.resources == [profile, None]
    assert seen.record_class == PARTIAL


def test_a_role_passed_by_arn_is_a_request_of_its_own(tmp_path: Path) -> None:
    function = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"
    seen = read_one(tmp_path, record(
        "lambda", "CreateFunction20150331",
        requestParameters={"functionName": function, "role": ROLE}), keys=["iam:PassedToService"])
    assert seen.requests == [("lambda:CreateFunction", function, "param"),
                             ("iam:PassRole", ROLE, "param")]
    assert [context["iam:PassedToService"] for context in seen.context] == [
        None, "lambda.amazonaws.com"]
    assert seen.record_class == MAPPED


OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"


@pytest.mark.parametrize("extra", [
    {"environment": {"variables": {"ROLE_ARN": OTHER_ROLE, "ROLE": OTHER_ROLE}}},
    {"tags": {"role": OTHER_ROLE}},
    {"description": OTHER_ROLE},
])
def test_a_role_in_tags_or_environment_is_not_passed(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    seen = read_one(tmp_path, record("lambda", "CreateFunction20150331",
                                     requestParameters={"role": ROLE, **extra}))
    assert [request[:2] for request in seen.requests if request[0] == "iam:PassRole"] == [
        ("iam:PassRole", ROLE)]
    seen = read_one(tmp_path, record("lambda", "CreateFunction20150331", requestParameters={
        "layers": [], **{key: value for key, value in extra.items() if key != "tags"}}))
    assert seen.actions == ["lambda:CreateFunction"]
    assert seen.is_complete


@pytest.mark.parametrize("extra", [
    {"attributes": {"roleArn": OTHER_ROLE}}, {"principal": OTHER_ROLE}, {"notes": [OTHER_ROLE]},
    {"principalArn": OTHER_ROLE},
])
def test_a_role_in_an_unclear_place_leaves_the_call_incomplete(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    seen = read_one(tmp_path, record("lambda", "CreateFunction20150331",
                                     requestParameters={"role": ROLE, **extra}))
    assert OTHER_ROLE not in seen.resources
    assert not seen.is_complete


def test_a_role_behind_an_instance_profile_leaves_the_call_incomplete(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("ec2", "RunInstances", requestParameters={
        "iamInstanceProfile": {"name": "web"}}))
    assert not seen.is_complete
    assert seen.record_class == PARTIAL


def test_tags_of_a_service_whose_tagging_action_is_not_known(tmp_path: Path) -> None:
    repository = f"arn:aws:codecommit:eu-west-1:{ACCOUNT}:r"
    made = record("codecommit", "CreateRepository", resources=[{"ARN": repository}],
                  requestParameters={"tags": {"a": "b"}})
    seen = read_one(tmp_path, made)
    assert (seen.record_class, seen.is_complete) == (PARTIAL, False)
    made["requestParameters"] = {"tags": {}}  # emptied: whether there were tags is not known
    assert read_one(tmp_path, made).record_class == PARTIAL
    made["requestParameters"] = {"repositoryName": "r"}
    assert read_one(tmp_path, made).record_class == MAPPED


# -- section 5: principals ----------------------------------------------------------------------


def identity(kind: str | None, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "accountId": ACCOUNT, **fields}


ROOT = f"arn:aws:iam::{ACCOUNT}:root"
FEDERATED = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"


@pytest.mark.parametrize(("who", "principal", "requester", "expected"), [
    (identity("Root", arn=ROOT), ROOT, Requester.ROOT, MAPPED),
    (identity("IAMUser", arn=USER), USER, Requester.ROLE_OR_USER, MAPPED),
    (identity("IAMUser"), None, Requester.ROLE_OR_USER, PARTIAL),
    (ROLE_IDENTITY, ROLE, Requester.ROLE_OR_USER, MAPPED),
    ({**ROLE_IDENTITY, "sessionContext": {"sessionIssuer": {}}}, None,
     Requester.ROLE_OR_USER, PARTIAL),
    ({**ROLE_IDENTITY, "sessionContext": None}, None, Requester.ROLE_OR_USER, PARTIAL),
    (identity("Role", arn=ROLE), ROLE, Requester.ROLE_OR_USER, MAPPED),
    (identity("FederatedUser", arn=FEDERATED,
              sessionContext={"sessionIssuer": {"type": "IAMUser", "arn": USER}}),
     USER, Requester.ROLE_OR_USER, MAPPED),
    (identity("FederatedUser", arn=FEDERATED,
              sessionContext={"sessionIssuer": {"type": "Root", "arn": ROOT}}),
     ROOT, Requester.ROOT, MAPPED),
    (identity("SAMLUser", identityProvider="arn:aws:iam::1:saml-provider/p"),
     "arn:aws:iam::1:saml-provider/p", Requester.FEDERATED_PROVIDER, MAPPED),
    (identity("WebIdentityUser", identityProvider="accounts.google.com"), "accounts.google.com",
     Requester.FEDERATED_PROVIDER, MAPPED),
    (identity("IdentityCenterUser", onBehalfOf={"userId": "u"}), None, Requester.UNKNOWN, PARTIAL),
    (identity("Directory"), None, Requester.UNKNOWN, PARTIAL),
    (identity("AWSAccount", principalId="AIDAOTHER"), None, Requester.OTHER_ACCOUNT, PARTIAL),
    ({"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, None,
     Requester.ANONYMOUS, MAPPED),
    (SERVICE_IDENTITY, "config.amazonaws.com", Requester.SERVICE, MAPPED),
    ({"accountId": ACCOUNT, "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com",
     Requester.SERVICE, MAPPED),
    (identity("Root", arn=ROOT, invokedBy="autoscaling.amazonaws.com"), ROOT, Requester.ROOT,
     MAPPED),
    ({**identity("IAMUser", arn="arn:aws:iam::999999999999:user/x"), "accountId": "999999999999"},
     "arn:aws:iam::999999999999:user/x", Requester.OTHER_ACCOUNT, MAPPED),
    (identity("Unknown"), None, Requester.UNKNOWN, PARTIAL),
    ({}, None, Requester.UNKNOWN, PARTIAL),
    (None, None, Requester.UNKNOWN, PARTIAL),
])
def test_the_principal_whose_policies_apply(
    tmp_path: Path, who: Any, principal: str | None, requester: Requester, expected: RecordClass
) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers", userIdentity=who))
    assert (seen.principal, seen.requester, seen.record_class) == (principal, requester, expected)
    assert (seen.reason is None) == (expected == MAPPED)


def test_the_session_name_is_kept(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers", userIdentity=ROLE_IDENTITY))
    assert seen.batch.session.value(0) == "s1"
    assert seen.batch.principal_type.value(0) == "AssumedRole"


# -- section 7: the recorded outcome ------------------------------------------------------------


@pytest.mark.parametrize(("error", "outcome"), [
    (None, 1), ("", 1), ("Client.DryRunOperation", 1),
    ("AccessDenied", 2), ("AccessDeniedException", 2), ("AuthorizationError", 2),
    ("UnauthorizedOperation", 2), ("Client.UnauthorizedOperation", 2), ("403", 2),
    ("KMS.AccessDeniedException", 2),
    ("ThrottlingException", 0), ("SlowDown", 0), ("ExpiredTokenException", 0),
    ("ValidationException", 0), ("InvalidAccessException", 0), ("RequestExpired", 0),
    ("InvalidParameterValue", 0), ("SomethingElse", 0),
    ("NoSuchBucketPolicy", 1), ("TrailNotFoundException", 1), ("EntityAlreadyExists", 1),
    ("BucketNotEmpty", 1), ("Client.VpcLimitExceeded", 1),
])
def test_error_codes(tmp_path: Path, error: str | None, outcome: int) -> None:
    assert read_one(tmp_path, record("iam", "ListUsers", errorCode=error)).outcome == outcome


def refusal(action: str, resource: str, tail: str) -> str:
    return f"User: {USER} is not authorized to perform: {action} on resource: {resource}{tail}"


@pytest.mark.parametrize(("tail", "kind", "explicit"), [
    ("", None, 0),
    (" because no identity-based policy allows the sts:AssumeRole action",
     "identity-based policy", 1),
    (" because no resource-based policy allows the sts:AssumeRole action",
     "resource-based policy", 1),
    (" because no permissions boundary allows the sts:AssumeRole action",
     "permissions boundary", 1),
    (" because no session policy allows the sts:AssumeRole action", "session policy", 1),
    (" because no VPC endpoint policy allows the sts:AssumeRole action",
     "VPC endpoint policy", 1),
    (" with an explicit deny in a service control policy", "service control policy", 2),
    (" with an explicit deny in a resource control policy", "resource control policy", 2),
    (" with an explicit deny in an identity-based policy", "identity-based policy", 2),
    (" with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/p",
     "identity-based policy", 2),
])
def test_the_message_of_a_denied_call(
    tmp_path: Path, tail: str, kind: str | None, explicit: int
) -> None:
    seen = read_one(tmp_path, record(
        "sts", "AssumeRole", requestParameters=None, errorCode="AccessDenied",
        errorMessage=refusal("sts:AssumeRole", ROLE, tail)))
    assert seen.requests == [("sts:AssumeRole", ROLE, "message")]
    assert (seen.record_class, seen.outcome) == (MAPPED, 2)
    assert (seen.kind, seen.explicit) == (kind, explicit)


def test_the_message_overrides_the_parameters(tmp_path: Path) -> None:
    checked = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/*"
    seen = read_one(tmp_path, record(
        "ec2", "GetPasswordData", requestParameters={"instanceId": "i-1"},
        errorCode="Client.UnauthorizedOperation",
        errorMessage="You are not authorized to perform this operation. " + refusal(
            "ec2:GetPasswordData", checked, " because no identity-based policy allows the "
            "ec2:GetPasswordData action. Encoded authorization failure message: abcDEF")))
    assert seen.requests == [("ec2:GetPasswordData", checked, "message")]
    assert seen.kind == "identity-based policy"


def test_a_message_about_another_action_adds_that_request(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record(
        "ec2", "RunInstances", requestParameters=None, errorCode="Client.UnauthorizedOperation",
        errorMessage=refusal("iam:PassRole", ROLE, "")))
    assert seen.requests == [("iam:PassRole", ROLE, "message"),
                             *[("ec2:RunInstances", None, "pattern")] * 5]
    assert seen.record_class == PARTIAL


def test_an_action_that_the_catalogue_does_not_list_is_not_taken_from_a_message(
    tmp_path: Path,
) -> None:
    seen = read_one(tmp_path, record("iam", "ListUsers", errorCode="AccessDenied",
                                     errorMessage=refusal("iam:Invented", ROLE, "")))
    assert seen.requests == [("iam:ListUsers", "*", "star")]


def test_an_opaque_denial_says_nothing_but_failed(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record(
        "ec2", "GetPasswordData", requestParameters={"instanceId": "i-1"},
        errorCode="Client.UnauthorizedOperation",
        errorMessage="You are not authorized to perform this operation. "
        "Encoded authorization failure message: YRSia3Jn2Eru9Rq67"))
    # the parameters name the resource; who denied the call stays unknown
    assert seen.resources == [f"arn:aws:ec2:{R}:instance/i-1"]
    assert (seen.outcome, seen.kind, seen.explicit) == (2, None, 0)


def test_a_denial_whose_message_is_about_no_policy(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("ce", "GetCostAndUsage", errorCode="AccessDenied",
                                     errorMessage="User not enabled for cost explorer access"))
    assert (seen.outcome, seen.kind) == (2, None)


def test_a_throttled_call_without_parameters_is_partial(tmp_path: Path) -> None:
    seen = read_one(tmp_path, record("iam", "GetRole", requestParameters=None,
                                     errorCode="ThrottlingException", errorMessage="Rate exceeded"))
    assert (seen.record_class, seen.outcome, seen.resources) == (PARTIAL, 0, [None])
