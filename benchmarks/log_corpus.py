"""CloudTrail files from a seed: about 1.5 kB a record, gzip level 6, as many records as asked for.

A quarter of the records are S3 object calls with the resources that CloudTrail lists for them, most
of the objects different; a tenth are `sts:AssumeRole`; the rest is management traffic of many
services with names, ids and tags in their parameters. Sessions, instances and buckets are drawn
with skew. The shapes are those of the real sample logs; the shares are ours.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from random import Random

SEED = 20261126
_FILLER = ("Mozilla/5.0 (X11; Linux x86_64) Botocore/1.34.84 md/Botocore#1.34.84 ua/2.0 os/linux"
           "#5.10.210 md/arch#x86_64 lang/python#3.11.8 md/pyimpl#CPython cfg/retry-mode#standard")


@dataclass(frozen=True)
class LogCorpus:
    directory: Path
    files: tuple[Path, ...]
    records: int
    json_bytes: int


def _skewed(random: Random, count: int) -> int:
    return int(count * random.random() ** 3)


def _identity(random: Random) -> tuple[str, str]:
    number = _skewed(random, 4000)
    account = 100000000000 + number % 24
    role = f"service-{number % 97}"
    return str(account), (
        f'{{"type":"AssumedRole","principalId":"AROA{number % 97:017d}:worker-{number}",'
        f'"arn":"arn:aws:sts::{account}:assumed-role/{role}/worker-{number}",'
        f'"accountId":"{account}","accessKeyId":"ASIA{number:016d}","sessionContext":'
        f'{{"sessionIssuer":{{"type":"Role","principalId":"AROA{number % 97:017d}",'
        f'"arn":"arn:aws:iam::{account}:role/teams/{role}","accountId":"{account}",'
        f'"userName":"{role}"}},"webIdFederationData":{{}},"attributes":'
        f'{{"creationDate":"2026-03-{1 + number % 28:02d}T08:00:00Z",'
        f'"mfaAuthenticated":"false"}}}}}}')


_MANAGEMENT = (
    ("ec2", "DescribeInstances", '{"instancesSet":{"items":[{"instanceId":"i-%(id)017x"}]},'
     '"filterSet":{}}', "true"),
    ("ec2", "DescribeVolumes", '{"volumeSet":{"items":[{"volumeId":"vol-%(id)017x"}]},'
     '"filterSet":{}}', "true"),
    ("ec2", "CreateTags", '{"resourcesSet":{"items":[{"resourceId":"i-%(id)017x"}]},"tagSet":'
     '{"items":[{"key":"team","value":"t%(few)d"}]}}', "false"),
    ("logs", "CreateLogStream", '{"logGroupName":"/aws/lambda/f-%(few)d","logStreamName":'
     '"2026/03/02/[$LATEST]%(id)032x"}', "false"),
    ("kms", "Decrypt", '{"encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:eu-west-1:'
     '%(account)s:function:f-%(few)d"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}', "true"),
    ("ssm", "GetParameter", '{"name":"/app/%(few)d/key","withDecryption":true}', "true"),
    ("dynamodb", "DescribeTable", '{"tableName":"table-%(few)d"}', "true"),
    ("lambda", "GetFunction20150331v2", '{"functionName":"f-%(few)d"}', "true"),
    ("iam", "GetRole", '{"roleName":"service-%(few)d"}', "true"),
    ("cloudwatch", "PutMetricAlarm", '{"alarmName":"alarm-%(few)d","threshold":80}', "false"),
)


def record(random: Random, number: int) -> str:
    """One record as JSON."""
    account, identity = _identity(random)
    roll = random.random()
    resources = ""
    few = _skewed(random, 400)
    if roll < 0.25:
        name = random.choice(("GetObject", "GetObject", "GetObject", "PutObject"))
        bucket = f"company-data-{few % 60}"
        key = f"partition={few}/part-{random.getrandbits(48):012x}.parquet"
        source, event, only_reads = "s3", name, "true" if name == "GetObject" else "false"
        parameters = (f'{{"bucketName":"{bucket}","Host":"{bucket}.s3.eu-west-1.amazonaws.com",'
                      f'"key":"{key}"}}')
        resources = (f'"resources":[{{"type":"AWS::S3::Object",'
                     f'"ARN":"arn:aws:s3:::{bucket}/{key}"}}'
                     f',{{"accountId":"{account}","type":"AWS::S3::Bucket",'
                     f'"ARN":"arn:aws:s3:::{bucket}"}}],')
    elif roll < 0.35:
        source, event, only_reads = "sts", "AssumeRole", "true"
        role = f"arn:aws:iam::{account}:role/teams/service-{few % 97}"
        parameters = f'{{"roleArn":"{role}","roleSessionName":"worker-{_skewed(random, 4000)}"}}'
        resources = (f'"resources":[{{"accountId":"{account}","type":"AWS::IAM::Role",'
                     f'"ARN":"{role}"}}],')
    else:
        source, event, shape, only_reads = random.choice(_MANAGEMENT)
        parameters = shape % {"id": _skewed(random, 20_000), "few": few, "account": account}
    second = number % 86_400
    return (
        f'{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"2026-03-02T'
        f'{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z","eventSource":'
        f'"{source}.amazonaws.com","eventName":"{event}","awsRegion":"eu-west-1",'
        f'"sourceIPAddress":"10.1.{few % 250}.7","userAgent":"{_FILLER}","requestParameters":'
        f'{parameters},"responseElements":null,"requestID":"{random.getrandbits(128):032x}",'
        f'"eventID":"{random.getrandbits(32):08x}-{random.getrandbits(16):04x}-4000-8000-'
        f'{random.getrandbits(48):012x}","readOnly":{only_reads},{resources}'
        f'"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}",'
        f'"eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":'
        f'"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{source}.eu-west-1.amazonaws.com"}}}}')


def write_corpus(directory: Path, records: int, per_file: int, seed: int = SEED) -> LogCorpus:
    """Write the files of a corpus; the same bytes for the same numbers."""
    random = Random(seed)
    directory.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    size = 0
    for start in range(0, records, per_file):
        many = min(per_file, records - start)
        text = '{"Records":[' + ",".join(
            record(random, start + i) for i in range(many)) + "]}"
        size += len(text)
        path = directory / f"{start // per_file:06d}.json.gz"
        path.write_bytes(gzip.compress(text.encode(), 6, mtime=0))
        files.append(path)
    return LogCorpus(directory, tuple(files), records, size)
