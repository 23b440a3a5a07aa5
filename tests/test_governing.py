"""Which policies speak for a resource, service by service."""

from __future__ import annotations

import subprocess
import sys

import pytest

from iamtables.runtime.governing import GOVERNED, governing_arns

HERE = "eu-west-1:111122223333"

CASES = {
    "s3 object": ("arn:aws:s3:::logs/2026/11/a:b?.gz", ["arn:aws:s3:::logs"]),
    "s3 object with a line break": ("arn:aws:s3:::logs/a\nb", ["arn:aws:s3:::logs"]),
    "s3 object in China": ("arn:aws-cn:s3:::logs/a", ["arn:aws-cn:s3:::logs"]),
    "s3 bucket": ("arn:aws:s3:::logs", ["arn:aws:s3:::logs"]),
    "s3 bucket called accesspoint": ("arn:aws:s3:::accesspoint/x/y", ["arn:aws:s3:::accesspoint"]),
    "s3 access point": (f"arn:aws:s3:{HERE}:accesspoint/ap", [f"arn:aws:s3:{HERE}:accesspoint/ap"]),
    "s3 object through an access point": (
        f"arn:aws:s3:{HERE}:accesspoint/ap/object/a/b",
        [f"arn:aws:s3:{HERE}:accesspoint/ap"],
    ),
    "s3 object through a multi-region access point": (
        "arn:aws:s3::111122223333:accesspoint/x.mrap/object/a",
        ["arn:aws:s3::111122223333:accesspoint/x.mrap"],
    ),
    "s3 access grant": (
        f"arn:aws:s3:{HERE}:access-grants/default/grant/1",
        [f"arn:aws:s3:{HERE}:access-grants/default"],
    ),
    "s3 object lambda": (
        f"arn:aws:s3-object-lambda:{HERE}:accesspoint/ol/object/a",
        [f"arn:aws:s3-object-lambda:{HERE}:accesspoint/ol"],
    ),
    "s3 on outposts": (
        f"arn:aws:s3-outposts:{HERE}:outpost/op-1/bucket/b/object/k",
        [f"arn:aws:s3-outposts:{HERE}:outpost/op-1/bucket/b"],
    ),
    "directory bucket": (
        f"arn:aws:s3express:{HERE}:bucket/b--x-s3",
        [f"arn:aws:s3express:{HERE}:bucket/b--x-s3"],
    ),
    "s3 table": (
        f"arn:aws:s3tables:{HERE}:bucket/b/table/t",
        [f"arn:aws:s3tables:{HERE}:bucket/b/table/t", f"arn:aws:s3tables:{HERE}:bucket/b"],
    ),
    "s3 vector index": (
        f"arn:aws:s3vectors:{HERE}:bucket/b/index/i",
        [f"arn:aws:s3vectors:{HERE}:bucket/b"],
    ),
    "lambda function": (f"arn:aws:lambda:{HERE}:function:f", [f"arn:aws:lambda:{HERE}:function:f"]),
    "lambda alias": (
        f"arn:aws:lambda:{HERE}:function:f:live",
        [f"arn:aws:lambda:{HERE}:function:f:live", f"arn:aws:lambda:{HERE}:function:f"],
    ),
    "lambda version": (
        f"arn:aws:lambda:{HERE}:function:f:7",
        [f"arn:aws:lambda:{HERE}:function:f:7", f"arn:aws:lambda:{HERE}:function:f"],
    ),
    "lambda layer version": (
        f"arn:aws:lambda:{HERE}:layer:l:3",
        [f"arn:aws:lambda:{HERE}:layer:l:3"],
    ),
    "dynamodb table": (f"arn:aws:dynamodb:{HERE}:table/t", [f"arn:aws:dynamodb:{HERE}:table/t"]),
    "dynamodb index": (
        f"arn:aws:dynamodb:{HERE}:table/t/index/i",
        [f"arn:aws:dynamodb:{HERE}:table/t"],
    ),
    "dynamodb stream": (
        f"arn:aws:dynamodb:{HERE}:table/t/stream/2026-01-01T00:00:00.000",
        [f"arn:aws:dynamodb:{HERE}:table/t/stream/2026-01-01T00:00:00.000"],
    ),
    "kms key": (f"arn:aws:kms:{HERE}:key/1", [f"arn:aws:kms:{HERE}:key/1"]),
    "kms alias without knowledge": (
        f"arn:aws:kms:{HERE}:alias/a/b",
        [f"arn:aws:kms:{HERE}:alias/a/b"],
    ),
    "sns topic": (f"arn:aws:sns:{HERE}:t", [f"arn:aws:sns:{HERE}:t"]),
    "sns subscription": (f"arn:aws:sns:{HERE}:t.fifo:0a1b-2c", [f"arn:aws:sns:{HERE}:t.fifo"]),
    "sqs queue": (f"arn:aws:sqs:{HERE}:q", [f"arn:aws:sqs:{HERE}:q"]),
    "secret": (
        f"arn:aws:secretsmanager:{HERE}:secret:a/b-Ab12Cd",
        [f"arn:aws:secretsmanager:{HERE}:secret:a/b-Ab12Cd"],
    ),
    "ecr repository": (
        f"arn:aws:ecr:{HERE}:repository/a/b",
        [f"arn:aws:ecr:{HERE}:repository/a/b"],
    ),
    "opensearch index": (
        f"arn:aws:es:{HERE}:domain/d/logs/_search",
        [f"arn:aws:es:{HERE}:domain/d"],
    ),
    "opensearch domain": (f"arn:aws:es:{HERE}:domain/d", [f"arn:aws:es:{HERE}:domain/d"]),
    "api gateway call": (
        f"arn:aws:execute-api:{HERE}:abc/prod/GET/pets",
        [f"arn:aws:execute-api:{HERE}:abc", "arn:aws:apigateway:eu-west-1::/restapis/abc"],
    ),
    "api gateway": (
        "arn:aws:apigateway:eu-west-1::/restapis/abc/stages/prod",
        ["arn:aws:apigateway:eu-west-1::/restapis/abc"],
    ),
    "efs file system": (
        f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-1",
        [f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-1"],
    ),
    "backup vault": (
        f"arn:aws:backup:{HERE}:backup-vault:v",
        [f"arn:aws:backup:{HERE}:backup-vault:v"],
    ),
    "glue table": (f"arn:aws:glue:{HERE}:table/db/t", [f"arn:aws:glue:{HERE}:catalog"]),
    "glue database": (f"arn:aws:glue:{HERE}:database/db", [f"arn:aws:glue:{HERE}:catalog"]),
    "glue catalog": (f"arn:aws:glue:{HERE}:catalog", [f"arn:aws:glue:{HERE}:catalog"]),
    "glue job": (f"arn:aws:glue:{HERE}:job/j", [f"arn:aws:glue:{HERE}:job/j"]),
    "log group": (
        f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f",
        [
            f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f",
            f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f:*",
            f"arn:aws:logs:{HERE}:*",
        ],
    ),
    "log stream": (
        f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f:log-stream:2026/11/[1]x",
        [
            f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f",
            f"arn:aws:logs:{HERE}:log-group:/aws/lambda/f:*",
            f"arn:aws:logs:{HERE}:*",
        ],
    ),
    "log destination": (
        f"arn:aws:logs:{HERE}:destination:d",
        [f"arn:aws:logs:{HERE}:destination:d"],
    ),
    "x-ray group": (
        f"arn:aws:xray:{HERE}:group/g/1",
        [f"arn:aws:xray:{HERE}:group/g/1", f"arn:aws:xray:{HERE}:*"],
    ),
    "event rule": (f"arn:aws:events:{HERE}:rule/r", [f"arn:aws:events:{HERE}:event-bus/default"]),
    "event rule of a bus": (
        f"arn:aws:events:{HERE}:rule/bus/r",
        [f"arn:aws:events:{HERE}:event-bus/bus"],
    ),
    "schema": (
        f"arn:aws:schemas:{HERE}:schema/reg/a.b@c",
        [f"arn:aws:schemas:{HERE}:registry/reg"],
    ),
    "codeartifact package": (
        f"arn:aws:codeartifact:{HERE}:package/d/r/npm//p",
        [f"arn:aws:codeartifact:{HERE}:repository/d/r"],
    ),
    "certificate": (
        f"arn:aws:acm-pca:{HERE}:certificate-authority/ca/certificate/1",
        [f"arn:aws:acm-pca:{HERE}:certificate-authority/ca"],
    ),
    "kafka topic": (f"arn:aws:kafka:{HERE}:topic/c/u-1/t", [f"arn:aws:kafka:{HERE}:cluster/c/u-1"]),
    "lattice path": (
        f"arn:aws:vpc-lattice:{HERE}:service/svc-1/a/b",
        [f"arn:aws:vpc-lattice:{HERE}:service/svc-1"],
    ),
    "role": ("arn:aws:iam::111122223333:role/a/b", ["arn:aws:iam::111122223333:role/a/b"]),
    "service without rules": (f"arn:aws:zzz:{HERE}:a/b:c", [f"arn:aws:zzz:{HERE}:a/b:c"]),
    "all resources": ("*", []),
    "no ARN": ("arn:aws:s3:bucket/key", []),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_resource_is_governed_by(kind):
    resource, expected = CASES[kind]
    assert list(governing_arns(resource)) == expected


def test_every_service_of_the_table_has_a_case():
    listed = {line.split()[0] for line in GOVERNED.splitlines() if line and line[0] != "#"}
    tried = {arn.split(":")[2] for arn, _ in CASES.values() if arn.count(":") >= 5}
    assert listed <= tried


def test_the_key_of_an_alias_governs_where_it_is_known():
    alias, key = f"arn:aws:kms:{HERE}:alias/a", f"arn:aws:kms:{HERE}:key/1"
    assert governing_arns(alias, {alias: key}) == (key,)
    assert governing_arns(f"{alias}2", {alias: key}) == (f"{alias}2",)


def test_a_name_full_of_wildcards_and_percent_signs_stays_as_it_is():
    resource = "arn:aws:s3:::b%s%(x)s/%s*?"
    assert governing_arns(resource) == ("arn:aws:s3:::b%s%(x)s",)


def test_the_module_needs_neither_numpy_nor_a_parser():
    program = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('g', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m);"
        "sys.exit(any(n in sys.modules for n in ('numpy', 'lark')))"
    )
    path = sys.modules["iamtables.runtime.governing"].__file__
    assert subprocess.run([sys.executable, "-c", program, path]).returncode == 0
