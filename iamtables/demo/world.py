"""The made-up company of the demo: accounts, people and programs, and the things they use.

Everything is invented (account ids are the ones AWS documentation uses) and drawn from a seed.
The shape follows real logs: few accounts, few principals, a handful of them making most calls,
many resources. A `Persona` is a kind of requester; every persona has several principals, and a
principal has several sessions, whose `userIdentity` is serialised once and used many times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

PLATFORM: Final = "111122223333"
APPS: Final = "444455556666"
DATA: Final = "777788889999"
PARTNER: Final = "999988887777"
"""An account of another company that reads a shared bucket and uses a shared key."""

CELLS: Final = (
    (APPS, "us-east-1", 44),
    (APPS, "eu-west-1", 20),
    (PLATFORM, "us-east-1", 18),
    (PLATFORM, "eu-west-1", 8),
    (DATA, "us-east-1", 10),
)
"""(account, region, share of the traffic)."""

_LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

_BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
_BOTO = (
    "Boto3/1.35.92 md/Botocore#1.35.92 ua/2.0 os/linux#5.10.230-223.885.amzn2.x86_64 "
    "md/arch#x86_64 lang/python#3.12.8 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.35.92"
)
_JAVA = (
    "aws-sdk-java/2.29.45 md/io#async md/http#NettyNio ua/2.1 os/Linux#5.10.230 lang/java#21.0.5 "
    "md/OpenJDK_64-Bit_Server_VM#21.0.5+11-LTS md/vendor#Amazon.com_Inc. exec-env/AWS_ECS_FARGATE"
)
_TERRAFORM = (
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.3 (+https://www.terraform.io) "
    "terraform-provider-aws/5.82.2 (+https://www.terraform.io) "
    "aws-sdk-go-v2/1.32.7 ua/2.1 os/linux lang/go#1.23.3 md/GOARCH#amd64 md/GOOS#linux"
)
_CLI = (
    "aws-cli/2.22.26 md/awscrt#0.23.4 ua/2.0 os/macos#24.2.0 md/arch#arm64 lang/python#3.12.8 "
    "md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off"
)


@dataclass(frozen=True, slots=True)
class Principal:
    """One IAM user or role. `sessions` is how many sessions a role has at a time."""

    name: str
    path: str = "/"
    kind: str = "role"
    sessions: int = 4
    session_names: tuple[str, ...] = ()
    has_mfa: bool = False


@dataclass(frozen=True, slots=True)
class Persona:
    """A kind of requester: its principals (most active first), user agents and addresses."""

    principals: tuple[Principal, ...]
    agents: tuple[str, ...]
    network: str
    """First three octets of the addresses it calls from."""
    addresses: int = 4


_STAFF = tuple(
    f"{name}@example.com"
    for name in ("ana", "bo", "carla", "dmitri", "emre", "fatima", "goran", "hye-jin", "ines", "jo")
)
_SSO = "/aws-reserved/sso.amazonaws.com/us-east-1/"

PERSONAS: Final[dict[str, Persona]] = {
    "app": Persona(
        (
            Principal("chat-backend-task", "/service-role/", sessions=14),
            Principal("support-bot-task", "/service-role/", sessions=8),
            Principal("search-rag-task", "/service-role/", sessions=6),
            Principal("doc-summary-lambda", "/service-role/", sessions=12,
                      session_names=("doc-summary", "doc-summary-retry")),
            Principal("translate-batch", sessions=2),
        ),
        (_JAVA, _BOTO, _BOTO + " exec-env/AWS_Lambda_python3.12"), "203.0.113", 3,
    ),
    "developer": Persona(
        (
            Principal("AWSReservedSSO_MLDeveloper_0f3a9c51d7e2b684", _SSO, sessions=10,
                      session_names=_STAFF),
            Principal("AWSReservedSSO_DataScientist_7b1d20e8a94c3f56", _SSO, sessions=7,
                      session_names=_STAFF[3:]),
            Principal("legacy-notebook", kind="user"),
        ),
        (_BROWSER, _BOTO, _CLI), "198.51.100", 24,
    ),
    "engineer": Persona(
        (
            Principal("ml-platform-admin", sessions=4, session_names=_STAFF[:4], has_mfa=True),
            Principal("terraform-apply", "/automation/", sessions=2),
            Principal("ci-deploy", "/automation/", kind="user"),
        ),
        (_TERRAFORM, _CLI, _BROWSER), "192.0.2", 6,
    ),
    "monitor": Persona(
        (
            Principal("observability-readonly", "/vendors/", sessions=2),
            Principal("cost-explorer-export", sessions=1),
        ),
        ("Datadog", _BOTO), "203.0.113", 9,
    ),
    "pipeline": Persona(
        (
            Principal("etl-nightly", "/service-role/", sessions=6),
            Principal("glue-crawler", "/service-role/", sessions=3),
            Principal("feature-store-loader", sessions=2),
        ),
        (_JAVA, _BOTO), "203.0.113", 12,
    ),
    "instance": Persona(
        (Principal("build-agent", kind="instance", sessions=12),),
        (_BOTO, _CLI), "192.0.2", 20,
    ),
    "linked": Persona(
        (
            Principal("AWSServiceRoleForAutoScaling",
                      "/aws-service-role/autoscaling.amazonaws.com/", sessions=1,
                      session_names=("AutoScaling",)),
            Principal("AWSServiceRoleForConfig", "/aws-service-role/config.amazonaws.com/",
                      sessions=1, session_names=("AWSConfig-Describe",)),
        ),
        ("autoscaling.amazonaws.com",), "", 1,
    ),
}

POOLS: Final[dict[str, tuple[str, ...]]] = {
    "model": (
        "anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic.claude-3-5-haiku-20241022-v1:0",
        "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0", "amazon.titan-embed-text-v2:0",
        "meta.llama3-1-70b-instruct-v1:0", "cohere.embed-multilingual-v3",
        "mistral.mistral-large-2407-v1:0", "amazon.titan-image-generator-v2:0",
        "anthropic.claude-3-haiku-20240307-v1:0",
    ),
    "bedrock_role": (
        "service-role/AmazonBedrockBatchInference-nightly", "AmazonBedrockCustomization",
        "service-role/AmazonBedrockExecutionRoleForKnowledgeBase_q7kd2",
        "service-role/AmazonBedrockExecutionRoleForAgents_9XW1M2", "batch-inference",
    ),
    "sagemaker_role": (
        "service-role/AmazonSageMakerExecutionRoleForBedrockMarketplace-20241211",
        "SageMakerEndpointsForBedrock",
        "service-role/AmazonSageMaker-ExecutionRole-20230914T101512",
    ),
    "lambda_role": ("service-role/doc-summary-lambda", "service-role/image-resize", "webhook-exec"),
    "hub_model": (
        "meta-textgeneration-llama-3-1-8b", "huggingface-llm-falcon-11b",
        "model-txt2img-stabilityai", "huggingface-textembedding-gte-large",
        "deepseek-llm-r1-distill-llama-8b",
    ),
    "guardrail": tuple(f"gr{n}k{n * 7 % 10}x2mw{n}" for n in range(6)),
    "function": tuple(
        f"{stem}-{n}" for n in range(9) for stem in ("doc-summary", "webhook", "resize")
    ),
    "table": ("chat-sessions", "prompts", "feature-flags", "tenants", "usage-by-day"),
    "service": (
        "config.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com",
        "cloudtrail.amazonaws.com", "bedrock.amazonaws.com", "sagemaker.amazonaws.com",
        "delivery.logs.amazonaws.com",
    ),
    "stack": ("chat-prod", "chat-staging", "rag-prod", "network", "observability"),
    "endpoint": tuple(
        f"{stem}-{n:02d}" for n in range(40) for stem in ("fraud-score", "rerank", "churn")
    ),
    "market": tuple(
        f"marketplace-{stem}-{n:02d}"
        for n in range(30) for stem in ("llama", "falcon", "r1-distill")
    ),
}
"""Names by kind, the most used first; a draw is skewed towards the front."""


def made_pools(rng: Random) -> dict[str, tuple[str, ...]]:
    """`POOLS` and the kinds that have thousands of members."""

    def text(alphabet: str, length: int) -> str:
        return "".join(rng.choices(alphabet, k=length))

    def uuid() -> str:
        digits = f"{rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    buckets = tuple(
        f"example-{stem}-{suffix}"
        for suffix in ("prod", "staging", "use1", "euw1")
        for stem in ("documents", "chat-transcripts", "training-data", "model-artifacts", "logs")
    )
    return POOLS | {
        "bucket": buckets,
        "object": tuple(
            f"{rng.choice(('in', 'out', 'tenants', 'raw'))}/{2023 + n % 3}/{text(_LOWER, 6)}/"
            f"{text(_LOWER, 12)}.{rng.choice(('json', 'pdf', 'parquet', 'txt'))}"
            for n in range(20_000)
        ),
        "key": tuple(uuid() for _ in range(60)),
        "agent": tuple(text(_UPPER, 10) for _ in range(12)),
        "knowledge_base": tuple(text(_UPPER, 10) for _ in range(9)),
        "job": tuple(text(_LOWER, 12) for _ in range(400)),
        "profile": tuple(f"us.{model}" for model in POOLS["model"][:4]),
        "instance_id": tuple(f"i-0{rng.getrandbits(64):016x}" for _ in range(500)),
        "secret": tuple(f"{stem}-{text(_LOWER + 'ABCDEF', 6)}" for stem in
                        ("prod/chat/db", "prod/rag/opensearch", "ci/registry", "vendor/token")),
        "log_group": tuple(f"/aws/lambda/{name}" for name in POOLS["function"]),
        "parameter": tuple(f"/{env}/{name}/{text(_LOWER, 5)}" for env in ("prod", "staging")
                           for name in ("chat", "rag", "search") for _ in range(20)),
    }


@dataclass(frozen=True, slots=True)
class Identity:
    """A session (or an access key) ready to be written into records."""

    json: str
    """The `userIdentity` object."""
    via_json: str
    """The same with room for `invokedBy`: `%s` stands for the service."""
    arn: str
    address: str
    agent: str


def _session_name(principal: Principal, rng: Random) -> str:
    if principal.kind == "instance":
        return f"i-0{rng.getrandbits(64):016x}"
    if principal.session_names:
        return rng.choice(principal.session_names)
    if principal.name.endswith("-task"):
        return f"{rng.getrandbits(128):032x}"
    return f"botocore-session-{rng.randrange(1_734_000_000, 1_739_000_000)}"


def _unique_id(prefix: str, account: str, name: str) -> str:
    """The same principal has the same unique id in every session and on every day."""
    return prefix + "".join(Random(f"{prefix}{account}{name}").choices(_UPPER, k=17))


def make_identity(persona: Persona, principal: Principal, account: str, started: datetime,
                  rng: Random) -> Identity:
    """One session of a principal that began at `started` (an access key, for a user)."""
    name = principal.name
    address = (f"{persona.network}.{10 + rng.randrange(persona.addresses)}" if persona.network
               else "autoscaling.amazonaws.com")
    if principal.kind == "user":
        unique = _unique_id("AIDA", account, name)
        arn = f"arn:aws:iam::{account}:user{principal.path}{name}"
        key = "AKIA" + "".join(Random(f"{account}{name}").choices(_UPPER, k=16))
        body = (f'"type":"IAMUser","principalId":"{unique}","arn":"{arn}","accountId":"{account}",'
                f'"accessKeyId":"{key}","userName":"{name}"')
    else:
        unique = _unique_id("AROA", account, name)
        session = _session_name(principal, rng)
        arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
        key = "ASIA" + "".join(rng.choices(_UPPER, k=16))
        mfa = "true" if principal.has_mfa else "false"
        delivery = ',"ec2RoleDelivery":"2.0"' if principal.kind == "instance" else ""
        body = (
            f'"type":"AssumedRole","principalId":"{unique}:{session}","arn":"{arn}",'
            f'"accountId":"{account}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":'
            f'{{"type":"Role","principalId":"{unique}",'
            f'"arn":"arn:aws:iam::{account}:role{principal.path}{name}","accountId":"{account}",'
            f'"userName":"{name}"}},"webIdFederationData":{{}},"attributes":{{"creationDate":'
            f'"{started:%Y-%m-%dT%H:%M:%SZ}","mfaAuthenticated":"{mfa}"}}{delivery}}}'
        )
    return Identity(f"{{{body}}}", f'{{{body},"invokedBy":"%s"}}', arn, address,
                    rng.choice(persona.agents))


def make_sessions(account: str, midnight: datetime, block: int, rng: Random
                  ) -> dict[str, list[Identity]]:
    """Sessions of every persona during one six-hour block of a day, the busiest first."""
    opened = midnight + timedelta(hours=6 * block)
    return {
        name: [
            make_identity(persona, principal, account,
                          opened - timedelta(seconds=rng.randrange(60, 3000)), rng)
            for principal in persona.principals
            for _ in range(1 if principal.kind == "user" else principal.sessions)
        ]
        for name, persona in PERSONAS.items()
    }
