"""What the scan expects of a record, by those before it, changes the time and never the result."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from log_records import ACCOUNT, ROLE_IDENTITY, record
from test_logs_blocks import both

from iamtables.logs import blocks as blocks_module

pytestmark = pytest.mark.skipif(
    not blocks_module.is_available(), reason="the extractor is not built")

KEYS = ("aws:SourceIp", "aws:UserAgent", "aws:RequestTag/team", "s3:prefix")
TEXTS = ["", "x", "é", "\\", '"', "\n", "\x7f", "a" * 14, "a" * 15, "a" * 16, "a" * 31, "a" * 32,
         "a" * 33, "a" * 64, "a" * 65, "a" * 190, "a" * 200, "a" * 400, "2026-01-02T03:04:05Z",
         "2026-01-03T23:59:60Z", "2026-02-29T00:00:00Z", "2.0", "true", "eu-west-2"]
VALUES: list[Any] = [None, True, False, 0, -1.5, [], {}, {"a": "b"}, ["a", {"b": "c"}], [[]]]


def usual(random: Random) -> str:
    """A record as those of most logs: fields in one order, some always the same."""
    number = random.randrange(6)
    key = f"part-{'k' * random.choice([3, 20, 40])}"
    fields: dict[str, Any] = {
        "userIdentity": ROLE_IDENTITY, "userAgent": "Botocore/1.34.84 " + "cfg/retry#" * 14,
        "eventTime": f"2026-01-0{random.choice([2, 2, 3])}T03:04:{number:02}Z",
        "sourceIPAddress": f"198.51.100.{random.randrange(256)}", "errorCode": None,
        "requestID": f"{random.getrandbits(128):032x}", "readOnly": random.random() < 0.5,
        "requestParameters": {"bucketName": f"b{number}", "Host": f"b{number}.s3", "key": key},
        "tlsDetails": {"tlsVersion": "TLSv1.3", "clientProvidedHostHeader": f"b{number}.s3"}}
    if random.random() < 0.5:
        fields["resources"] = [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b{number}/{key}"},
                               {"accountId": ACCOUNT, "ARN": f"arn:aws:s3:::b{number}"}]
    made = record("s3", random.choice(["GetObject", "PutObject"]), **fields)
    made |= {"eventID": f"{random.getrandbits(128):032x}abcd", "eventCategory": "Data"}
    return json.dumps(made, separators=(",", ":"), ensure_ascii=random.random() < 0.5)


def changed(random: Random, text: str) -> str:
    """The same but for one thing; JSON, unless it is not."""
    made: dict[str, Any] = json.loads(text)
    field = random.choice(list(made))
    roll = random.randrange(12)
    if roll == 0:
        made[field] = random.choice(TEXTS)
    elif roll == 1:
        made[field] = random.choice(VALUES)
    elif roll == 2:
        del made[field]
    elif roll == 3:
        made = {name: made[name] for name in random.sample(list(made), len(made))}
    elif roll == 4:
        items = list(made.items())
        items.insert(random.randrange(len(items)), (random.choice(["new", "x" * 70]), "y"))
        made = dict(items)
    elif roll == 5:
        made["requestParameters"] = random.choice([
            {"bucketName": random.choice(TEXTS), "Host": "h", "key": random.choice(TEXTS)},
            {"bucketName": "b", "Host": "h", "key": "k", "more": ["x"] * random.randrange(20)},
            {"bucketName": {"Host": ["h"]}, "key": 7}, {"bucketName": "b", "Host": None}])
    made_text = json.dumps(made, separators=(",", ":"), ensure_ascii=random.random() < 0.5)
    if roll == 6:  # a name twice; of the two the last one counts, null or not
        field = random.choice([field, "errorCode"])
        once = f'"{field}":' + random.choice(['"2026-01-02",', "null,"])
        at = made_text.index(f'"{field}":') if random.random() < 0.5 else 1
        made_text = made_text[:at] + once + made_text[at:]
    elif roll == 7:
        made_text = made_text.replace(",", random.choice([" ,", ",\n", ", \t"]), 3)
    elif roll == 8:
        made_text = made_text.replace(":", random.choice([" :", ": ", ":\r\n"]))
    elif roll == 9:
        place = random.randrange(1, len(made_text) - 1)
        made_text = (made_text[:place] + random.choice([*'"\\{}[],:\x00 é', ""])
                     + made_text[place + random.randrange(2):])
    elif roll == 10:  # a comma too few, or too many
        made_text = made_text.replace(f',"{field}"', random.choice([f' "{field}"', f',,"{field}"']))
    elif roll == 11:
        made_text = made_text.replace('"event', '"\\u0065vent', 1)
    return made_text


def document(random: Random, changes: int) -> str:
    """Usual records with some that are not, in the midst of them and at the end."""
    texts = [usual(random) for _ in range(12)]
    for _ in range(changes):
        texts.append(changed(random, usual(random)))
        texts += [usual(random) for _ in range(random.choice([0, 0, 1, 3]))]
    return '{"Records":[' + random.choice([",", ", ", "\n,"]).join(texts) + "]}"


@pytest.mark.parametrize("seed", range(40))
def test_one_record_that_is_not_as_those_before_it(tmp_path: Path, seed: int) -> None:
    """Each document on its own is refused or taken, whatever the others are."""
    random = Random(seed)
    (tmp_path / "0.json").write_text(document(random, 0))
    for number in range(1, 9):
        (tmp_path / f"{number}.json").write_text(
            document(random, 1), encoding="utf-8", errors="surrogatepass")
    both([tmp_path], random.choice([KEYS, ()]))


@pytest.mark.parametrize("seed", range(20))
def test_many_records_that_are_not_as_those_before_them(tmp_path: Path, seed: int) -> None:
    random = Random(1000 + seed)
    (tmp_path / "0.json").write_text(document(random, 0))
    (tmp_path / "1.json").write_text(
        document(random, 40), encoding="utf-8", errors="surrogatepass")
    both([tmp_path], random.choice([KEYS, ()]))


def test_fields_twice_and_names_with_escapes_are_left_to_the_reader() -> None:
    from iamtables.logs.scanner import Scanned, Scanner

    random = Random(5)
    texts = [usual(random) for _ in range(15)]
    texts[5] = texts[5].replace('"eventType"', '"\\u0065ventType"')
    texts[12] = '{"errorCode":"AccessDenied",' + texts[12][1:]  # and null behind it
    scanner, scanned = Scanner(1), Scanned()
    scanner.start()
    scanned.hold(('{"Records":[' + ",".join(texts) + "]}").encode())
    assert scanner.scan(scanned, 100) == 15
    assert scanned.odd_records().tolist() == [number in (5, 12) for number in range(15)]
