"""The kinds of API calls in the demo's log: who makes them, how often, what the record holds.

A `Call` is a template. `%(name)s` in it is drawn from the pool of that name (world.py), once per
record, so the same value can stand in the parameters, in `resources` and in an error message.
`%(account)s`, `%(region)s`, `%(action)s` and `%(caller)s` come from the record itself. Shares are
weights, about per mille of the traffic, chosen to look like an account whose main business is model
inference: three calls in five are Bedrock's, one in eight SageMaker's, the rest is noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_INFERENCE = "app:80 developer:14 pipeline:5 instance:1"
_CONSOLE = "developer:70 engineer:30"
_PLATFORM = "engineer:85 developer:15"
_BUYERS = "engineer:55 developer:45"
_SCANNERS = "monitor:75 engineer:15 linked:10"

_TOO_MANY = "Too many requests, please wait before trying again."
_NOT_ALLOWED = (
    "User: %(caller)s is not authorized to perform: %(action)s{on_resource} because no "
    "identity-based policy allows the %(action)s action"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call. Empty templates leave their field out (parameters: `null`)."""

    source: str
    event: str
    share: float
    who: str
    """Personas with weights, or one of `service`, `root`, `anonymous`, `partner`, `saml`."""
    params: str = ""
    response: str = ""
    arn: str = ""
    """The resource the service checks; goes into denials."""
    resource_type: str = ""
    """When given, the record lists `arn` under `resources` with this type."""
    via: str = ""
    """The service that makes the call in the caller's name (`invokedBy`)."""
    is_read: bool = True
    is_data: bool = False
    denied: float = 0.0
    throttled: float = 0.0
    invalid: float = 0.0
    action: str = ""
    """IAM action, where it is not source and event name."""
    event_type: str = "AwsApiCall"
    extra: str = ""
    """More fields of the record, with a leading comma."""
    agent: str = ""


_MODEL = "arn:aws:bedrock:%(region)s::foundation-model/%(model)s"
_PROFILE = "arn:aws:bedrock:%(region)s:%(account)s:inference-profile/%(profile)s"
_KB = "arn:aws:bedrock:%(region)s:%(account)s:knowledge-base/%(knowledge_base)s"
_ALIAS = "arn:aws:bedrock:%(region)s:%(account)s:agent-alias/%(agent)s/TSTALIASID"
_JOB = "arn:aws:bedrock:%(region)s:%(account)s:model-invocation-job/%(job)s"
_GUARDRAIL = "arn:aws:bedrock:%(region)s:%(account)s:guardrail/%(guardrail)s"
_ENDPOINT = "arn:aws:sagemaker:%(region)s:%(account)s:endpoint/%(endpoint)s"
_MARKET = "arn:aws:sagemaker:%(region)s:%(account)s:endpoint/%(market)s"
_MARKET_CFG = "arn:aws:sagemaker:%(region)s:%(account)s:endpoint-config/%(market)s"
_MARKET_MODEL = "arn:aws:sagemaker:%(region)s:%(account)s:model/%(market)s"
_HUB = "arn:aws:sagemaker:%(region)s:aws:hub/SageMakerPublicHub"
_KEY = "arn:aws:kms:%(region)s:%(account)s:key/%(key)s"
_OBJECT = "arn:aws:s3:::%(bucket)s/%(object)s"
_BUCKET = "arn:aws:s3:::%(bucket)s"
_ROLE = "arn:aws:iam::%(account)s:role/"
_MARKET_TAGS = (
    '"tags":[{"key":"sagemaker-sdk:bedrock","value":"compatible"},'
    '{"key":"bedrock:marketplace-registration-status","value":"registered"},'
    '{"key":"sagemaker-studio:hub-content-arn","value":"arn:aws:sagemaker:%(region)s:aws:'
    'hub-content/SageMakerPublicHub/Model/%(hub_model)s/2.1.0"}]'
)
_S3_HOST = '"bucketName":"%(bucket)s","Host":"%(bucket)s.s3.%(region)s.amazonaws.com"'
_S3_EXTRA = (
    ',"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256",'
    '"bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":4832}'
)
_VIA_BEDROCK = "bedrock.amazonaws.com"

INFERENCE: Final = (
    Call("bedrock", "InvokeModel", 175, _INFERENCE, '{"modelId":"%(model)s"}', arn=_MODEL,
         denied=0.002, throttled=0.02, invalid=0.004,
         extra=',"additionalEventData":{"inputTokens":812,"outputTokens":240}'),
    Call("bedrock", "InvokeModel", 50, _INFERENCE, f'{{"modelId":"{_PROFILE}"}}', arn=_PROFILE,
         throttled=0.01,
         extra=',"additionalEventData":{"inferenceRegion":"us-west-2"}'),
    Call("bedrock", "InvokeModelWithResponseStream", 80, _INFERENCE, '{"modelId":"%(model)s"}',
         arn=_MODEL, denied=0.002, throttled=0.02),
    Call("bedrock", "Converse", 95, _INFERENCE, '{"modelId":"%(model)s"}', arn=_MODEL,
         action="bedrock:InvokeModel", throttled=0.015),
    Call("bedrock", "ConverseStream", 65, _INFERENCE, f'{{"modelId":"{_PROFILE}"}}', arn=_PROFILE,
         action="bedrock:InvokeModelWithResponseStream", throttled=0.01),
    Call("bedrock", "InvokeAgent", 14, _INFERENCE, '{"agentId":"%(agent)s","agentAliasId":'
         '"TSTALIASID","sessionId":"%(job)s","inputText":"HIDDEN_DUE_TO_SECURITY_REASONS"}',
         arn=_ALIAS, resource_type="AWS::Bedrock::AgentAlias", is_data=True, denied=0.01),
    Call("bedrock", "Retrieve", 26, "app:90 developer:10",
         '{"knowledgeBaseId":"%(knowledge_base)s","retrievalQuery":'
         '"HIDDEN_DUE_TO_SECURITY_REASONS"}',
         arn=_KB, resource_type="AWS::Bedrock::KnowledgeBase", is_data=True, denied=0.006),
    Call("bedrock", "ApplyGuardrail", 18, _INFERENCE,
         '{"guardrailIdentifier":"%(guardrail)s","guardrailVersion":"DRAFT"}', arn=_GUARDRAIL),
)

BEDROCK_CONTROL: Final = (
    Call("bedrock", "ListFoundationModels", 22, _CONSOLE + " monitor:20", arn="*"),
    Call("bedrock", "GetFoundationModel", 14, _CONSOLE, '{"modelIdentifier":"%(model)s"}'),
    Call("bedrock", "ListInferenceProfiles", 9, _CONSOLE, '{"maxResults":100}', arn="*"),
    Call("bedrock", "GetInferenceProfile", 8, _CONSOLE + " app:60",
         f'{{"inferenceProfileIdentifier":"{_PROFILE}"}}', arn=_PROFILE),
    Call("bedrock", "ListGuardrails", 5, _CONSOLE, arn="*"),
    Call("bedrock", "GetGuardrail", 7, _CONSOLE, '{"guardrailIdentifier":"%(guardrail)s"}',
         arn=_GUARDRAIL),
    Call("bedrock", "ListCustomModels", 4, _CONSOLE, arn="*"),
    Call("bedrock", "GetModelInvocationLoggingConfiguration", 4, _CONSOLE + " monitor:30", arn="*"),
    Call("bedrock", "ListMarketplaceModelEndpoints", 6, _BUYERS, arn="*"),
    Call("bedrock", "GetMarketplaceModelEndpoint", 6, _BUYERS,
         f'{{"endpointArn":"{_MARKET}"}}', arn=_MARKET),
    Call("bedrock", "CreateMarketplaceModelEndpoint", 1, _BUYERS,
         '{"endpointName":"%(market)s","acceptEula":true,"modelSourceIdentifier":'
         '"arn:aws:sagemaker:%(region)s:aws:hub-content/SageMakerPublicHub/Model/%(hub_model)s",'
         '"endpointConfig":{"sageMaker":{"initialInstanceCount":1,"instanceType":"ml.g5.2xlarge",'
         f'"executionRole":"{_ROLE}%(sagemaker_role)s"}}}}}}',
         response=f'{{"marketplaceModelEndpoint":{{"endpointArn":"{_MARKET}"}}}}',
         is_read=False, denied=0.05),
    Call("bedrock", "CreateModelInvocationJob", 3, "pipeline:80 developer:20",
         f'{{"jobName":"%(job)s","roleArn":"{_ROLE}%(bedrock_role)s","modelId":"%(model)s",'
         '"inputDataConfig":{"s3InputDataConfig":{"s3Uri":"s3://%(bucket)s/in/"}}}',
         response=f'{{"jobArn":"{_JOB}"}}', is_read=False, denied=0.02),
    Call("bedrock", "GetModelInvocationJob", 9, "pipeline:80 developer:20",
         f'{{"jobIdentifier":"{_JOB}"}}', arn=_JOB),
    Call("bedrock", "CreateModelCustomizationJob", 1, _PLATFORM,
         f'{{"jobName":"%(job)s","customModelName":"tuned-%(job)s","roleArn":"{_ROLE}'
         '%(bedrock_role)s","baseModelIdentifier":"%(model)s"}',
         response='{"jobArn":"arn:aws:bedrock:%(region)s:%(account)s:model-customization-job/'
         '%(job)s"}', is_read=False, denied=0.08),
    Call("bedrock", "CreateAgent", 1, _PLATFORM,
         f'{{"agentName":"%(job)s","agentResourceRoleArn":"{_ROLE}%(bedrock_role)s"}}',
         response='{"agent":{"agentId":"%(agent)s"}}', is_read=False),
    Call("bedrock", "StartIngestionJob", 3, "pipeline:90 developer:10",
         '{"knowledgeBaseId":"%(knowledge_base)s","dataSourceId":"S3DOCS0001"}', arn=_KB,
         response='{"ingestionJob":{"status":"STARTING"}}', is_read=False),
)

MARKETPLACE: Final = (
    Call("sagemaker", "ListTags", 20, _BUYERS, f'{{"resourceArn":"{_MARKET}"}}',
         arn=_MARKET, via=_VIA_BEDROCK),
    Call("sagemaker", "ListTags", 6, _BUYERS, f'{{"resourceArn":"{_MARKET_MODEL}"}}',
         arn=_MARKET_MODEL, via=_VIA_BEDROCK),
    Call("sagemaker", "DescribeEndpoint", 20, _BUYERS, '{"endpointName":"%(market)s"}',
         arn=_MARKET, via=_VIA_BEDROCK),
    Call("sagemaker", "DescribeEndpointConfig", 6, _BUYERS,
         '{"endpointConfigName":"%(market)s"}', arn=_MARKET_CFG, via=_VIA_BEDROCK),
    Call("sagemaker", "DescribeModel", 6, _BUYERS, '{"modelName":"%(market)s"}',
         arn=_MARKET_MODEL, via=_VIA_BEDROCK),
    Call("sagemaker", "InvokeEndpoint", 16, "app:85 developer:15",
         '{"endpointName":"%(market)s","contentType":"application/json"}', arn=_MARKET,
         resource_type="AWS::SageMaker::Endpoint", via=_VIA_BEDROCK, is_data=True, denied=0.01),
    Call("sagemaker", "InvokeEndpointWithResponseStream", 5, "app:85 developer:15",
         '{"endpointName":"%(market)s","contentType":"application/json"}', arn=_MARKET,
         resource_type="AWS::SageMaker::Endpoint", via=_VIA_BEDROCK, is_data=True),
    Call("sagemaker", "CreateModel", 2, _BUYERS,
         f'{{"modelName":"%(market)s","executionRoleArn":"{_ROLE}%(sagemaker_role)s"}}',
         response=f'{{"modelArn":"{_MARKET_MODEL}"}}', arn=_MARKET_MODEL, via=_VIA_BEDROCK,
         is_read=False),
    Call("sagemaker", "CreateEndpointConfig", 2, _BUYERS,
         '{"endpointConfigName":"%(market)s","productionVariants":[{"variantName":"AllTraffic",'
         '"modelName":"%(market)s","initialInstanceCount":1,"instanceType":"ml.g5.2xlarge"}]}',
         response=f'{{"endpointConfigArn":"{_MARKET_CFG}"}}', arn=_MARKET_CFG, via=_VIA_BEDROCK,
         is_read=False),
    Call("sagemaker", "CreateEndpoint", 2, _BUYERS,
         '{"endpointName":"%(market)s","endpointConfigName":"%(market)s"}',
         response=f'{{"endpointArn":"{_MARKET}"}}', arn=_MARKET, via=_VIA_BEDROCK,
         is_read=False, denied=0.04),
    Call("sagemaker", "UpdateEndpoint", 1, _BUYERS,
         '{"endpointName":"%(market)s","endpointConfigName":"%(market)s"}',
         response=f'{{"endpointArn":"{_MARKET}"}}', arn=_MARKET, via=_VIA_BEDROCK,
         is_read=False),
    Call("sagemaker", "DeleteEndpoint", 1, _BUYERS, '{"endpointName":"%(market)s"}',
         arn=_MARKET, via=_VIA_BEDROCK, is_read=False),
    Call("sagemaker", "AddTags", 4, _BUYERS,
         f'{{"resourceArn":"{_MARKET}",{_MARKET_TAGS}}}', response='{"tags":[]}', arn=_MARKET,
         via=_VIA_BEDROCK, is_read=False),
    Call("sagemaker", "DeleteTags", 1, _BUYERS,
         f'{{"resourceArn":"{_MARKET}","tagKeys":["bedrock:marketplace-registration-status"]}}',
         arn=_MARKET, via=_VIA_BEDROCK, is_read=False),
    Call("sagemaker", "ListHubContents", 7, _CONSOLE,
         f'{{"hubName":"{_HUB}","hubContentType":"Model"}}', arn=_HUB),
    Call("sagemaker", "DescribeHubContent", 7, _CONSOLE,
         f'{{"hubName":"{_HUB}","hubContentType":"Model","hubContentName":"%(hub_model)s"}}',
         arn="arn:aws:sagemaker:%(region)s:aws:hub-content/SageMakerPublicHub/Model/%(hub_model)s"),
    Call("sagemaker", "DescribeEndpoint", 9, _SCANNERS, '{"endpointName":"%(endpoint)s"}',
         arn=_ENDPOINT, denied=0.03),
    Call("sagemaker", "ListEndpoints", 4, _SCANNERS, '{"maxResults":100}', arn="*"),
    Call("sagemaker", "ListTags", 3, _SCANNERS, f'{{"resourceArn":"{_ENDPOINT}"}}', arn=_ENDPOINT),
    Call("sagemaker", "InvokeEndpoint", 10, "pipeline:60 app:40",
         '{"endpointName":"%(endpoint)s","contentType":"text/csv"}', arn=_ENDPOINT,
         resource_type="AWS::SageMaker::Endpoint", is_data=True, denied=0.02),
    Call("sagemaker", "AddTags", 1, "engineer:70 developer:30",
         f'{{"resourceArn":"{_ENDPOINT}","tags":[{{"key":"team","value":"fraud"}}]}}',
         response='{"tags":[]}', arn=_ENDPOINT, is_read=False),
    Call("sagemaker", "CreateTrainingJob", 1, "pipeline:60 developer:40",
         f'{{"trainingJobName":"%(job)s","roleArn":"{_ROLE}%(sagemaker_role)s",'
         '"resourceConfig":{"instanceType":"ml.g5.xlarge","instanceCount":1,"volumeSizeInGB":50}}',
         response='{"trainingJobArn":"arn:aws:sagemaker:%(region)s:%(account)s:training-job/'
         '%(job)s"}', arn="arn:aws:sagemaker:%(region)s:%(account)s:training-job/%(job)s",
         is_read=False, denied=0.05),
)

NOISE: Final = (
    Call("kms", "DescribeKey", 9, "developer:40 engineer:40 monitor:20", f'{{"keyId":"{_KEY}"}}',
         arn=_KEY, resource_type="AWS::KMS::Key", denied=0.04),
    Call("kms", "Decrypt", 22, "app:60 pipeline:40",
         '{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:s3:arn":'
         f'"{_BUCKET}"}}}}', arn=_KEY, resource_type="AWS::KMS::Key", via="s3.amazonaws.com"),
    Call("kms", "GenerateDataKey", 10, "pipeline:100",
         f'{{"keyId":"{_KEY}","keySpec":"AES_256","encryptionContext":{{"aws:s3:arn":'
         f'"{_BUCKET}"}}}}',
         arn=_KEY, resource_type="AWS::KMS::Key", via="s3.amazonaws.com"),
    Call("kms", "Decrypt", 2, "partner", '{"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}', arn=_KEY,
         resource_type="AWS::KMS::Key"),
    Call("kms", "ListAliases", 3, _CONSOLE, '{"limit":100}', arn="*"),
    Call("ec2", "DescribeVpcs", 7, _CONSOLE + " monitor:60",
         '{"vpcSet":{},"filterSet":{}}', arn="*"),
    Call("ec2", "DescribeSubnets", 7, _CONSOLE + " monitor:60",
         '{"subnetSet":{},"filterSet":{}}', arn="*"),
    Call("ec2", "DescribeSecurityGroups", 7, _CONSOLE + " monitor:60",
         '{"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}', arn="*"),
    Call("ec2", "DescribeInstances", 16, _SCANNERS,
         '{"instancesSet":{"items":[{"instanceId":"%(instance_id)s"}]},"filterSet":{}}', arn="*",
         throttled=0.02),
    Call("ec2", "DescribeNetworkInterfaces", 6, _SCANNERS, '{"networkInterfaceIdSet":{}}', arn="*"),
    Call("ec2", "TerminateInstances", 1, "linked:80 engineer:20",
         '{"instancesSet":{"items":[{"instanceId":"%(instance_id)s"}]}}',
         arn="arn:aws:ec2:%(region)s:%(account)s:instance/%(instance_id)s", is_read=False),
    Call("iam", "ListRoles", 6, _CONSOLE + " monitor:20", '{"maxItems":1000}', arn="*"),
    Call("iam", "GetRole", 5, "engineer:100", '{"roleName":"terraform-apply"}',
         arn=f"{_ROLE}terraform-apply"),
    Call("iam", "ListUsers", 0.3, "root", arn="*"),
    Call("sts", "AssumeRole", 14, "app:45 engineer:25 pipeline:30",
         f'{{"roleArn":"{_ROLE}%(lambda_role)s","roleSessionName":"run-%(job)s",'
         '"durationSeconds":3600}', response='{"credentials":{"accessKeyId":"ASIAEXAMPLEEXAMPLE00",'
         '"expiration":"Jan 10, 2025, 1:04:10 PM"}}', arn=f"{_ROLE}%(lambda_role)s",
         resource_type="AWS::IAM::Role", denied=0.01),
    Call("sts", "AssumeRole", 13, "service",
         f'{{"roleArn":"{_ROLE}%(lambda_role)s","roleSessionName":"%(job)s"}}',
         arn=f"{_ROLE}%(lambda_role)s", resource_type="AWS::IAM::Role"),
    Call("sts", "AssumeRoleWithSAML", 2, "saml",
         f'{{"roleArn":"{_ROLE}federated-analyst","roleSessionName":"ana@example.com",'
         '"principalArn":"arn:aws:iam::%(account)s:saml-provider/idp"}',
         arn=f"{_ROLE}federated-analyst", resource_type="AWS::IAM::Role"),
    Call("sts", "GetCallerIdentity", 11, "engineer:40 instance:40 pipeline:20"),
    Call("s3", "GetObject", 42, "pipeline:55 app:45", f'{{{_S3_HOST},"key":"%(object)s"}}',
         arn=_OBJECT, resource_type="AWS::S3::Object", is_data=True, denied=0.01, extra=_S3_EXTRA),
    Call("s3", "PutObject", 14, "pipeline:80 app:20",
         f'{{{_S3_HOST},"key":"%(object)s","x-amz-server-side-encryption":"aws:kms"}}',
         arn=_OBJECT, resource_type="AWS::S3::Object", is_data=True, is_read=False,
         extra=_S3_EXTRA),
    Call("s3", "ListObjects", 9, "pipeline:80 developer:20",
         f'{{{_S3_HOST},"list-type":"2","prefix":"raw/"}}', arn=_BUCKET,
         resource_type="AWS::S3::Bucket", is_data=True, action="s3:ListBucket", extra=_S3_EXTRA),
    Call("s3", "GetObject", 3, "anonymous", f'{{{_S3_HOST},"key":"%(object)s"}}', arn=_OBJECT,
         resource_type="AWS::S3::Object", is_data=True, denied=0.5),
    Call("s3", "GetObject", 2, "partner", f'{{{_S3_HOST},"key":"%(object)s"}}', arn=_OBJECT,
         resource_type="AWS::S3::Object", is_data=True, extra=_S3_EXTRA),
    Call("s3", "GetBucketAcl", 5, "service", f'{{{_S3_HOST},"acl":""}}', arn=_BUCKET,
         resource_type="AWS::S3::Bucket"),
    Call("s3", "ListBuckets", 3, _CONSOLE, '{"Host":"s3.us-east-1.amazonaws.com"}', arn="*",
         action="s3:ListAllMyBuckets"),
    Call("s3", "GetStorageLensDashboardDataInternal", 0.5, "developer:100"),
    Call("logs", "CreateLogStream", 10, "app:70 pipeline:30",
         '{"logGroupName":"%(log_group)s","logStreamName":"2025/01/10/[$LATEST]%(job)s"}',
         is_read=False),
    Call("logs", "DescribeLogGroups", 4, _SCANNERS, '{"limit":50}', arn="*"),
    Call("lambda", "GetFunction20150331v2", 4, "engineer:60 monitor:40",
         '{"functionName":"arn:aws:lambda:%(region)s:%(account)s:function:%(function)s"}',
         arn="arn:aws:lambda:%(region)s:%(account)s:function:%(function)s"),
    Call("lambda", "CreateFunction20150331", 0.5, "engineer:100",
         f'{{"functionName":"%(function)s","runtime":"python3.12","role":"{_ROLE}%(lambda_role)s",'
         '"handler":"app.handler"}',
         response='{"functionName":"%(function)s"}', is_read=False, denied=0.1),
    Call("dynamodb", "DescribeTable", 4, _SCANNERS, '{"tableName":"%(table)s"}',
         arn="arn:aws:dynamodb:%(region)s:%(account)s:table/%(table)s",
         resource_type="AWS::DynamoDB::Table"),
    Call("secretsmanager", "GetSecretValue", 7, "app:60 pipeline:40",
         '{"secretId":"arn:aws:secretsmanager:%(region)s:%(account)s:secret:%(secret)s"}',
         arn="arn:aws:secretsmanager:%(region)s:%(account)s:secret:%(secret)s"),
    Call("ssm", "GetParameter", 6, "app:60 instance:40",
         '{"name":"%(parameter)s","withDecryption":true}',
         arn="arn:aws:ssm:%(region)s:%(account)s:parameter%(parameter)s", resource_type="-"),
    Call("monitoring", "GetMetricData", 5, "monitor:100", '{"maxDatapoints":100800}', arn="*",
         action="cloudwatch:GetMetricData", throttled=0.05),
    Call("cloudformation", "DescribeStacks", 4, "engineer:60 monitor:40",
         '{"stackName":"%(stack)s"}'),
    Call("ecs", "DescribeServices", 3, "monitor:100",
         '{"cluster":"prod","services":["chat-backend"]}'),
    Call("signin", "ConsoleLogin", 1.5, "developer:90 engineer:10",
         response='{"ConsoleLogin":"Success"}', event_type="AwsConsoleSignIn", is_read=False,
         extra=',"additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home",'
         '"MobileVersion":"No","MFAUsed":"Yes"}'),
    Call("ec2", "BidEvictedEvent", 1, "event", event_type="AwsServiceEvent", is_read=False,
         extra=',"serviceEventDetails":{"instanceIdSet":["%(instance_id)s"]}'),
    Call("kms", "RotateKey", 0.5, "event", event_type="AwsServiceEvent", is_read=False,
         extra=',"serviceEventDetails":{"keyId":"%(key)s"}'),
    Call("billingconsole", "GetAccountInformation", 0.2, "root"),
    Call("access-analyzer", "ListFindings", 1, _SCANNERS, '{"analyzerArn":'
         '"arn:aws:access-analyzer:%(region)s:%(account)s:analyzer/account"}',
         arn="arn:aws:access-analyzer:%(region)s:%(account)s:analyzer/account"),
)

CALLS: Final = INFERENCE + BEDROCK_CONTROL + MARKETPLACE + NOISE

ERRORS: Final = {
    "denied": ("AccessDenied", _NOT_ALLOWED),
    "throttled": ("ThrottlingException", _TOO_MANY),
    "invalid": ("ValidationException", "Malformed input request, please reformat your input "
                "and try again."),
}
"""Error code and message by the name of the rate in `Call`."""
