"""What the benchmarks ask: request columns for the two Bedrock policies, and managed policies.

The requests are drawn from a seed, with the skew of real logs: few actions, few principals, many
resources, all Zipf-like. Where they end is not left to chance: a corpus counts, with the evaluator
of `peers.py`, how many of its rows are decided by the action alone, how many reach the resource and
how many a condition, and refuses to exist below the floors.

Rows are independent of each other. Real logs come in bursts, which branch predictors and caches
like better, so this order is the harder one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from peers import MemoisedEvaluator, Reach

from iamtables import DictionaryColumn
from iamtables.data import BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY, policy_path

SEED = 20241204
PRINCIPALS = 400
ROWS_PER_RESOURCE = 20
"""1,000,000 rows name 50,000 distinct resources."""
SAMPLE = 20_000
RESOURCE_FLOOR = 0.25
CONDITION_FLOOR = 0.10

_ACCOUNTS = ("111122223333", "444455556666", "777788889999")
_REGIONS = ("us-east-1", "us-west-2", "eu-central-1")
_WORDS = ("orders", "ranking", "search", "summary", "chat", "intake", "claims", "review", "billing",
          "catalog", "forecast", "routing")

_RESOURCES: dict[str, tuple[float, str]] = {
    "*": (0.0, "*"),
    "model": (0.0008, "arn:aws:bedrock:{region}::foundation-model/vendor.{word}-v{n}:0"),
    "profile": (0.004, "arn:aws:bedrock:{region}:{account}:inference-profile/{word}-{n}"),
    "object": (0.33, "arn:aws:s3:::{word}-{account}-{region}/2025/{n:06d}/part-{n:05d}.parquet"),
    "item": (0.03, "arn:aws:dynamodb:{region}:{account}:table/{word}-{n}"),
    "role": (0.03, "arn:aws:iam::{account}:role/service/{word}-{n}"),
    "bedrock-role": (0.02, "arn:aws:iam::{account}:role/service-role/AmazonBedrock-{word}-{n}"),
    "sagemaker-role": (0.01, "arn:aws:iam::{account}:role/SageMaker{word}ForBedrock{n}"),
    "key": (0.04, "arn:aws:kms:{region}:{account}:key/{n:08x}-5f3c-4d2a-9b1e-{n:012x}"),
    "log": (0.10, "arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{word}-{n}:log-stream:x"),
    "function": (0.05, "arn:aws:lambda:{region}:{account}:function:{word}-{n}"),
    "endpoint": (0.28, "arn:aws:sagemaker:{region}:{account}:endpoint/{word}-endpoint-{n}"),
    "config": (0.03, "arn:aws:sagemaker:{region}:{account}:endpoint-config/{word}-{n}"),
    "sagemaker-model": (0.04, "arn:aws:sagemaker:{region}:{account}:model/{word}-{n}"),
    "component": (0.03, "arn:aws:sagemaker:{region}:{account}:inference-component/{word}-{n}"),
    "hub-content": (0.004, "arn:aws:sagemaker:{region}:aws:hub-content/SageMakerPublicHub/Model/"
                    "{word}-{n}/1.0.{n}"),
    "hub": (0.0002, "arn:aws:sagemaker:{region}:aws:hub/SageMakerPublicHub{n}"),
}
"""Kind of resource -> share of the distinct resources, and what one looks like."""

_ACTIONS: tuple[tuple[str, float, str], ...] = (
    # decided by the action alone
    ("bedrock:InvokeModel", 170, "model"),
    ("bedrock:InvokeModelWithResponseStream", 80, "model"),
    ("s3:GetObject", 140, "object"),
    ("s3:PutObject", 45, "object"),
    ("logs:PutLogEvents", 60, "log"),
    ("sts:AssumeRole", 40, "role"),
    ("dynamodb:GetItem", 35, "item"),
    ("dynamodb:Query", 20, "item"),
    ("lambda:InvokeFunction", 30, "function"),
    ("kms:Decrypt", 30, "key"),
    ("bedrock:Converse", 20, "profile"),
    ("bedrock:GetInferenceProfile", 10, "profile"),
    ("bedrock:ListFoundationModels", 8, "*"),
    ("ec2:DescribeVpcs", 8, "*"),
    ("ec2:DescribeSubnets", 8, "*"),
    ("ec2:DescribeSecurityGroups", 6, "*"),
    ("ec2:DescribeInstances", 6, "*"),
    ("iam:ListRoles", 5, "*"),
    # the resource decides, or a condition after it
    ("sagemaker:InvokeEndpoint", 105, "endpoint"),
    ("sagemaker:InvokeEndpointWithResponseStream", 20, "endpoint"),
    ("sagemaker:DescribeEndpoint", 30, "endpoint"),
    ("sagemaker:DescribeEndpointConfig", 8, "config"),
    ("sagemaker:DescribeModel", 10, "sagemaker-model"),
    ("sagemaker:DescribeInferenceComponent", 20, "component"),
    ("sagemaker:ListEndpoints", 12, "*"),
    ("sagemaker:ListTags", 12, "endpoint"),
    ("sagemaker:AddTags", 7, "endpoint"),
    ("sagemaker:DeleteTags", 3, "endpoint"),
    ("sagemaker:CreateModel", 4, "sagemaker-model"),
    ("sagemaker:CreateEndpoint", 3, "endpoint"),
    ("sagemaker:UpdateEndpoint", 2, "endpoint"),
    ("sagemaker:DescribeHubContent", 9, "hub-content"),
    ("sagemaker:ListHubContents", 3, "hub"),
    ("kms:DescribeKey", 25, "key"),
    ("iam:PassRole", 6, "bedrock-role"),
    ("iam:PassRole", 3, "sagemaker-role"),
    ("iam:PassRole", 6, "role"),
)
"""Action, weight, kind of its resources."""

_NULL = None
_SERVICES = ("bedrock.amazonaws.com", "cloudformation.amazonaws.com", "athena.amazonaws.com")
_HUB_CONTENT = "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/{}"
_KEYS: dict[str, tuple[tuple[object, float], ...]] = {
    "aws:CalledViaLast": ((_NULL, 50), *zip(_SERVICES, (40, 6, 4), strict=True)),
    "aws:ResourceTag/sagemaker-sdk:bedrock": ((_NULL, 50), ("compatible", 42), ("legacy", 8)),
    "aws:ResourceTag/bedrock:marketplace-registration-status": (
        (_NULL, 55), ("registered", 38), ("pending", 7)),
    "aws:ResourceTag/sagemaker-studio:hub-content-arn": (
        (_NULL, 60), *((_HUB_CONTENT.format(word), 3) for word in _WORDS)),
    "aws:RequestTag/sagemaker-sdk:bedrock": ((_NULL, 50), ("compatible", 50)),
    "aws:RequestTag/bedrock:marketplace-registration-status": (
        (_NULL, 50), ("registered", 45), ("pending", 5)),
    "aws:RequestTag/sagemaker-studio:hub-content-arn": (
        (_NULL, 50), *((_HUB_CONTENT.format(word), 4) for word in _WORDS)),
    "aws:TagKeys": (
        (_NULL, 55), (("sagemaker-sdk:bedrock",), 20),
        (("sagemaker-sdk:bedrock", "bedrock:marketplace-registration-status"), 15),
        (("team", "sagemaker-sdk:bedrock"), 10)),
    "iam:PassedToService": (
        (_NULL, 70), ("bedrock.amazonaws.com", 20), ("sagemaker.amazonaws.com", 5),
        ("ec2.amazonaws.com", 5)),
    "aws:SourceIp": tuple((f"10.{i // 250}.{i % 250}.7", 1000 / (i + 1)) for i in range(2000)),
}
"""Context key -> values with weights. The policies do not ask for the last one."""


@dataclass(frozen=True, slots=True)
class Coded:
    """codes : int32[n] into values; -1 is a null"""

    codes: NDArray[np.int32]
    values: Sequence[object]

    def to_strings(self) -> pa.Array:
        """Plain Arrow strings, or lists of strings."""
        is_list = bool(self.values) and isinstance(self.values[0], tuple)
        kind = pa.list_(pa.string()) if is_list else pa.string()
        codes = pa.array(self.codes, mask=self.codes < 0)
        return pa.array(self.values, kind).take(codes)


class Corpus:
    """Columns of requests for the two Bedrock policies, in several layouts.

    reach  : share of the rows of a sample decided by action, resource and condition
    sha256 : of all codes and values
    """

    def __init__(self, rows: int, seed: int = SEED) -> None:
        self.rows = rows
        self.seed = seed
        self.columns = _draw(rows, np.random.default_rng(seed))
        self.policies = tuple(
            policy_path(name).read_text() for name in (BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY))
        used = np.bincount(self.columns["resource"].codes)
        self.distinct_resources = int((used > 0).sum())
        self.distinct_principals = len(np.unique(self.columns["principal"].codes))
        self.reach = self._measured_reach()
        assert self.distinct_resources == rows // ROWS_PER_RESOURCE
        assert 1 - self.reach["action"] >= RESOURCE_FLOOR, self.reach
        assert self.reach["condition"] >= CONDITION_FLOOR, self.reach
        half_null = [k for k, c in self.columns.items() if 0.4 < (c.codes < 0).mean() < 0.6]
        assert len(half_null) >= 4, half_null

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(_KEYS)

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for name, column in self.columns.items():
            digest.update(json.dumps([name, list(column.values)]).encode())
            digest.update(column.codes.astype("<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def strings(self) -> dict[str, pa.Array]:
        """Plain Arrow string columns (a list column for the multivalued key)."""
        return {name: column.to_strings() for name, column in self.columns.items()}

    @cached_property
    def dictionaries(self) -> dict[str, object]:
        """Arrow dictionary columns, dictionaries in order of first use as an encoder leaves them.

        Arrow has no encoder for lists, so the multivalued key is a `DictionaryColumn`.
        """
        encoded: dict[str, object] = {}
        for name, column in self.strings.items():
            if pa.types.is_list(column.type):
                coded = self.columns[name]
                encoded[name] = DictionaryColumn(coded.codes, [list(v) for v in coded.values])
            else:
                encoded[name] = column.dictionary_encode()
        return encoded

    @cached_property
    def coded(self) -> dict[str, DictionaryColumn]:
        """`DictionaryColumn` for every column: nulls are codes, not bitmaps."""
        return {
            name: DictionaryColumn(
                c.codes, [list(v) if isinstance(v, tuple) else v for v in c.values])
            for name, c in self.columns.items()
        }

    def lists(self, rows: int) -> dict[str, list[object]]:
        """The first rows as Python lists, which is what plain Python is fastest with."""
        return {
            name: [None if code < 0 else column.values[code] for code in column.codes[:rows]]
            for name, column in self.columns.items()
        }

    @cached_property
    def expected(self) -> NDArray[np.uint8]:
        """The decision of every row, from the pure-Python evaluator."""
        peer = MemoisedEvaluator(self.policies)
        return np.array(peer.decide_rows(self.lists(self.rows)), dtype=np.uint8)

    def _measured_reach(self) -> dict[str, float]:
        peer = MemoisedEvaluator(self.policies)
        sample = self.lists(min(self.rows, SAMPLE))
        reached = [peer.reach(request) for request in _requests(sample)]
        return {stage.name.lower(): reached.count(stage) / len(reached) for stage in Reach}

    def requests(self, rows: int) -> list[dict[str, object]]:
        """The first rows as keyword arguments of `check`; absent keys are left out."""
        return [
            {name: request.pop(name) for name in ("principal", "action", "resource")}
            | {"context": {key: list(value) if isinstance(value, tuple) else value
                           for key, value in request.items() if value is not None}}
            for request in _requests(self.lists(rows))
        ]

    def facts(self) -> dict[str, object]:
        """What a report needs to name this corpus."""
        return {
            "corpus_sha256": self.sha256, "corpus_seed": self.seed, "rows": self.rows,
            "distinct_resources": self.distinct_resources,
            "distinct_principals": self.distinct_principals,
            "reach": {name: round(share, 4) for name, share in self.reach.items()},
        }


def _requests(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _draw(rows: int, rng: np.random.Generator) -> dict[str, Coded]:
    names = list(dict.fromkeys(action for action, _, _ in _ACTIONS))
    call = _pick(rng, [weight for _, weight, _ in _ACTIONS], rows)
    action = np.array([names.index(action) for action, _, _ in _ACTIONS], dtype=np.int32)[call]
    principals = [
        f"arn:aws:iam::{_ACCOUNTS[i % 3]}:role/{_WORDS[i % 12]}-{i}" for i in range(PRINCIPALS)]
    resource, texts = _draw_resources(rows, call, rng)
    columns = {
        "principal": Coded(_zipf(rng, PRINCIPALS, rows, 1.0), principals),
        "action": Coded(action, names),
        "resource": Coded(resource, texts),
    }
    for key, pool in _KEYS.items():
        drawn = _pick(rng, [weight for _, weight in pool], rows)
        values = [value for value, _ in pool if value is not None]
        columns[key] = Coded(drawn - np.int32(pool[0][0] is None), values)
    return columns


def _draw_resources(rows: int, call: NDArray[np.int32], rng: np.random.Generator
                    ) -> tuple[NDArray[np.int32], list[str]]:
    """Zipf-like within each kind; every resource is named by at least one row."""
    distinct = rows // ROWS_PER_RESOURCE
    total = sum(share for share, _ in _RESOURCES.values())
    sizes = {k: max(1, round(distinct * s / total)) for k, (s, _) in _RESOURCES.items()}
    sizes["object"] += distinct - sum(sizes.values())
    kinds = np.array([list(_RESOURCES).index(kind) for _, _, kind in _ACTIONS])[call]
    codes = np.empty(rows, dtype=np.int32)
    texts: list[str] = []
    for number, (kind, (_, template)) in enumerate(_RESOURCES.items()):
        at = np.flatnonzero(kinds == number)
        size = sizes[kind]
        chosen = _zipf(rng, size, len(at), 0.9)
        order = np.argsort(rng.random(len(at)))[:size]
        chosen[order] = np.arange(len(order), dtype=np.int32)
        codes[at] = chosen + len(texts)
        texts += [
            template.format(region=_REGIONS[i % 3], account=_ACCOUNTS[i // 3 % 3],
                            word=_WORDS[i % 12], n=i)
            for i in range(size)
        ]
    return codes, texts


def _pick(rng: np.random.Generator, weights: Sequence[float], rows: int) -> NDArray[np.int32]:
    bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
    drawn = np.searchsorted(bounds, rng.random(rows) * bounds[-1], side="right")
    return np.minimum(drawn, len(weights) - 1).astype(np.int32)


def _zipf(rng: np.random.Generator, size: int, rows: int, power: float) -> NDArray[np.int32]:
    """Numbers below `size`, number i with a weight of (i + 1) ** -power, in a shuffled order."""
    drawn = _pick(rng, np.arange(1, size + 1, dtype=np.float64) ** -power, rows)
    return np.argsort(rng.random(size)).astype(np.int32)[drawn]


@dataclass(frozen=True, slots=True)
class ManagedPolicies:
    """AWS managed policies as the moto package carries them: name -> JSON text."""

    texts: Mapping[str, str]

    @classmethod
    def load(cls, step: int = 1) -> ManagedPolicies:
        """Every step-th of them, by name."""
        from moto.iam.aws_managed_policies import aws_managed_policies_data

        data = json.loads(aws_managed_policies_data)
        names = sorted(data)[::step]
        return cls({name: json.dumps(data[name]["Document"]) for name in names})

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(sorted(self.texts.items())).encode()).hexdigest()

    @property
    def text_bytes(self) -> int:
        return sum(len(text.encode()) for text in self.texts.values())

    def statement_count(self, name: str) -> int:
        statements = json.loads(self.texts[name])["Statement"]
        return len(statements) if isinstance(statements, list) else 1
