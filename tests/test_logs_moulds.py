"""Calls mapped by mould are mapped as each of them would be, whatever stands in their slots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from log_records import ACCOUNT, record
from test_logs_blocks import content

from iamtables.catalogue import load_catalogue
from iamtables.logs import LogOptions, moulding, read_logs
from iamtables.logs.extract import Extractor
from iamtables.logs.moulds import Moulds, slots_in
from iamtables.logs.resources import ResourceForms
from iamtables.logs.scanner import Scanned, Scanner
from iamtables.logs.templates import TemplateBuilder
from iamtables.logs.value_classes import (
    SUFFIXES,
    arn_class,
    class_of,
    marked,
    marked_arn,
    prefixes,
    words,
)

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
TEXTS = [
    "a", "b", "name-1", "name-2", "Name", "NAME2", "a.b", "a/b", "/a", "/a/b", "//a", "a/", "/",
    "x y", "a=b", "a+b", "a@b.c", "a,b", "$LATEST", "[x]", "i-1", "i-2", "i-", "vpc-1", "vpce-1",
    "sg-1", "AWS-Run", "AWSx", "aws", "awsx", "amazon-1", "AmazonX", "alias/k", "alias/", KEY,
    KEY.replace("-", ""), f"mrk-{KEY.replace('-', '')}", KEY.upper(), "default", "Default", ACCOUNT,
    "12345678901", "image", "snapshot", "Parameter", "bucket-s3alias", "b--ol-s3", "b--x-s3",
    "sensitiveDataRemoved", "***", "x...(truncated)", "*", "a*", "a?", "f:1", f"{ACCOUNT}:f",
    f"{ACCOUNT}:function:f", "f:$LATEST", "https://sqs.eu-west-1.amazonaws.com/111122223333/q",
    "/hostedzone/Z1", "/hostedzone/", "q7zq1y", "Q7ZQ", "\u00e9", "a\\b", 'a"b', "", " ", "-", "1",
]
ARNS = [
    f"arn:aws:iam::{ACCOUNT}:role/r", f"arn:aws:iam::{ACCOUNT}:role/p/r",
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/a.amazonaws.com/b", "arn:aws:iam::aws:policy/P",
    f"arn:aws:iam::{ACCOUNT}:user/u", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY}",
    f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/k", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f",
    f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:g:1", "arn:aws:s3:::b", "arn:aws:s3:::b/k",
    "arn:aws:s3:::b/k/l", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-1", "arn:aws:x", "arn:",
    f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-1", f"arn:aws:sns:eu-west-1:{ACCOUNT}:t",
    f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/t",
    f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/t/index/i",
    f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/c/s", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/c",
    f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:g:*",
    "arn:aws:bedrock:eu-west-1::foundation-model/m",
    f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:inference-profile/p",
    f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:t", f"arn:aws:sns:eu-west-1:{ACCOUNT}:t...(truncated)",
]


KEYS = ("aws:ResourceAccount", "kms:EncryptionContext:a", "s3:prefix", "sts:RoleSessionName")


def moulds_of(parameters: list[dict[str, Any]]) -> list[int]:
    """The mould of a call with each of these parameters, all of one plan that wants them."""
    extractor, pieces, scanner = Extractor(1), Scanned(), Scanner(1)
    scanner.start()
    pieces.hold(json.dumps({"Records": [
        record("x", "Y", requestParameters=one, eventID="1") for one in parameters]}).encode())
    assert scanner.scan(pieces, 10_000) == len(parameters)
    extractor.start()
    extractor.take(pieces)
    made = Moulds(2, [text.encode() for text in prefixes()],
                  sorted(text.encode() for text in words()),
                  [text.encode() for text in SUFFIXES], [b"comment"])
    facts = (np.array([64 | 128 | 2], dtype=np.uint8), np.zeros((1, 2), dtype=np.int32),
             np.array([2], dtype=np.uint8))
    forms = ResourceForms(load_catalogue())
    numbers: dict[object, int] = {}
    classes = np.empty(0, dtype=np.int32)
    found = {}
    at = 0
    while (at := made.moulded(extractor, at, *facts, 1 << 20, classes)) < len(parameters):
        if len(made.new_arns(0)) > len(classes):
            classes = np.array([
                numbers.setdefault(arn_class(arn, forms) or arn, len(numbers))
                for arn in made.new_arns(0)], dtype=np.int32)
            continue
        assert made.mould_count == len(found) + 1  # a new one, and we are at its first record
        found[at] = len(found)
        made.add(bytes([0]) if made.slots_of(extractor, at) else b"")
    extractor.calls(*facts)
    extractor.keep(np.zeros(1, dtype=np.int32),
                   np.full(len(parameters), -1, dtype=np.int32), 0)
    assert made.calls_of(0) == int((extractor.row_places() >= 0).sum())
    rows = extractor.rows(np.empty(0, dtype=np.int32), made.moulds_of(0))
    codes = np.full(len(parameters), -1)
    codes[rows[2]] = rows[0]
    for first, mould in found.items():
        assert codes[first] == mould
    return [int(code) for code in codes]


def test_texts_share_a_mould_when_they_are_of_one_class() -> None:
    plain = [text for text in TEXTS if text.isascii() and not set(text) & set('\\"')]
    moulds = moulds_of([{"name": text} for text in plain])
    for text, mould in zip(plain, moulds, strict=True):
        for other, its in zip(plain, moulds, strict=True):
            are_alike = text == other or (
                class_of(text) is not None and class_of(text) == class_of(other))
            assert (mould == its) == are_alike, (text, other)
    assert len(set(moulds)) < len(plain)


def test_arns_share_a_mould_when_they_are_of_one_class() -> None:
    forms = ResourceForms(load_catalogue())
    moulds = moulds_of([{"name": arn} for arn in ARNS])
    for arn, mould in zip(ARNS, moulds, strict=True):
        for other, its in zip(ARNS, moulds, strict=True):
            are_alike = arn == other or (
                arn_class(arn, forms) is not None
                and arn_class(arn, forms) == arn_class(other, forms))
            assert (mould == its) == are_alike, (arn, other)
    roles = [arn_class(f"arn:aws:iam::{account}:role/p/{name}", forms)
             for account, name in ((ACCOUNT, "a"), ("999999999999", "b"))]
    assert roles[0] == roles[1] is not None


def test_what_differs_in_more_than_plain_texts_has_another_mould() -> None:
    same = moulds_of([{"a": "x", "b": ["y", "z"], "comment": 1}, {"a": "p", "b": ["q", "r"],
                                                                  "comment": {"c": "arn:a"}}])
    assert same[0] == same[1] >= 0
    moulds = moulds_of([
        {"a": "x", "b": "y"}, {"a": "x", "b": "x"}, {"a": "x"}, {"b": "y", "a": "x"},
        {"a": "x", "b": ["y"]}, {"a": "x", "b": None}, {"a": "x", "b": ""}, {"a": "x", "b": 1},
        {"a": "x", "b": 2}, {"a": "x", "B": "y"}, {"a": "x", "b": {"c": "y"}}, {"a": "x", "b": {}}])
    assert len(set(moulds)) == len(moulds)
    assert -1 not in moulds


def test_escapes_and_many_texts_have_no_mould() -> None:
    assert moulds_of([{"a": "x\\y"}, {"a": 'x"y'}, {"a": ["x"] * 30}, {"a": "x"}])[:3] == [-1] * 3


@pytest.mark.parametrize("text", [*TEXTS, "prefix/of/a/path.txt", "AWS.Upper", "i-0abc/x"])
def test_a_marker_is_of_the_class_of_the_text_it_stands_for(text: str) -> None:
    made = marked(text, "q7zq", 3)
    if class_of(text) is None:
        assert made is None
    elif made is not None:
        prefix = class_of(text)[0]  # type: ignore[index]
        assert class_of(prefix + made) == class_of(text)
        assert made != text
    else:
        pytest.fail(f"{text!r} could not be marked")


@pytest.mark.parametrize("arn", ARNS)
def test_a_marked_arn_is_of_the_same_class(arn: str) -> None:
    forms = ResourceForms(load_catalogue())
    made = marked_arn(arn, "q7zq", 3, forms)
    if made is not None:
        assert arn_class(made, forms) == arn_class(arn, forms) is not None
        assert made.split(":")[4] != arn.split(":")[4] or not arn.split(":")[4]


@pytest.mark.parametrize("most", [moulding.MOST_NAMES, 3])
@pytest.mark.parametrize("tells_accounts", [False, True])
def test_arns_are_numbered_by_class_in_whatever_account(
    monkeypatch: pytest.MonkeyPatch, most: int, tells_accounts: bool
) -> None:
    """The class of an ARN is found once for all accounts, and forgotten when too many are known."""
    monkeypatch.setattr(moulding, "MOST_NAMES", most)
    accounts = ("111122223333", "444455556666", "aws", "", "11112222333", "*")
    rest = ("role/app", "role/path/other", "role/App", "user/app", "role/a b", "role/AWSReserved",
            "table/orders", "function:run", "secret:one", "secret:two", "policy/x", "key/alias")
    arns = [f"arn:{partition}:{service}:{region}:{account}:{resource}"
            for resource in rest for account in accounts
            for region in ("", "eu-west-1", "eu-south-2")
            for service in ("iam", "dynamodb", "lambda", "secretsmanager", "kms", "organizations")
            for partition in ("aws", "aws-cn")]
    Random(3).shuffle(arns)
    forms = ResourceForms(load_catalogue())
    classes = moulding.ArnClasses(forms, tells_accounts)
    number_of: dict[object, int] = {}
    for arn in [*arns, *arns]:
        found: object = arn_class(arn, forms)
        if found is not None and tells_accounts:
            found = found, arn.split(":")[4]
        number = classes.number(arn)
        assert number_of.setdefault(arn if found is None else found, number) == number, arn
    assert len(set(number_of.values())) == len(number_of) > 100


def test_a_program_names_its_slots() -> None:
    assert slots_in(b"\xff\x02\x00\x01\x02\x07\x03\x07") == [3, 7]


# -- against the reader that maps every call ------------------------------------------------------


def values(random: Random) -> Iterator[Any]:
    """What may stand under a name, most often texts that are plain."""
    while True:
        roll = random.random()
        if roll < 0.45:
            yield f"{random.choice(['', 'i-', 'vpc-', '/', 'aws', 'N'])}n{random.randrange(40)}"
        elif roll < 0.7:
            yield random.choice(TEXTS)
        elif roll < 0.85:
            yield random.choice(ARNS)
        elif roll < 0.95:
            yield [random.choice(TEXTS) for _ in range(random.randrange(3))]
        else:
            yield random.choice([None, 1, True, {}, {"items": [{"resourceId": "i-7"}]}])


OTHER_NAMES = ["tags", "roleArn", "policyArn", "comment", "path", "encryptionContext", "prefix",
               "roleSessionName", "externalId", "userName", "x-amz-acl", "bucketName", "key"]


def calls(random: Random, count: int) -> list[dict[str, Any]]:
    """Records of many actions, whose parameters have the names that are looked for in them."""
    catalogue = load_catalogue()
    builder = TemplateBuilder()
    actions = [action for name in sorted(catalogue.actions())
               if (action := catalogue.action(name)) is not None and action.resource_types]
    chosen = random.sample(actions, 60)
    made = []
    value = values(random)
    names = {action.spelling: sorted(builder.names_of(action) - {"", "@keys"}) for action in chosen}
    for number in range(count):
        action = random.choice(chosen)
        asked = names[action.spelling]
        picked = random.sample(asked, min(len(asked), random.randrange(1, 4)))
        parameters = {name: next(value) for name in picked}
        if random.random() < 0.1:
            parameters = {picked[0]: {"items": [parameters, {random.choice(asked): next(value)}]}}
        if random.random() < 0.2:
            parameters |= {random.choice(OTHER_NAMES): next(value)}
        listed = [{"ARN": random.choice(ARNS), "accountId": ACCOUNT}
                  for _ in range(random.choice([0, 0, 0, 1, 2]))]
        fields: dict[str, Any] = {"resources": listed} if listed else {}
        if random.random() < 0.1:
            fields |= {"errorCode": random.choice(["AccessDenied", "NoSuchKey"]),
                       "errorMessage": random.choice(["", "no"])}
        service, _, name = action.spelling.partition(":")
        made.append(record(service, name, requestParameters=parameters,
                           eventID=f"{number:032x}abcd", **fields))
    return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("keys", [(), ("aws:TagKeys", "aws:RequestTag/a"), None, KEYS])
def test_calls_by_mould_are_mapped_as_one_by_one(
    tmp_path: Path, seed: int, keys: tuple[str, ...] | None
) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": calls(Random(seed), 2000)}), "utf-8")
    fast = read_logs([path], LogOptions(), keys)
    mine = content(fast)
    its = content(read_logs([path], LogOptions(is_compiled=False), keys))
    assert mine[1] == its[1]
    for one, other in zip(mine[0], its[0], strict=True):
        assert one == other
    assert fast._blocks is not None
    assert len(fast._blocks._filled) > 100  # most of what could go by mould did
