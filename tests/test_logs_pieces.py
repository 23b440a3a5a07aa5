"""Delivery files in pieces: wherever they break off, the columns are those of the whole file."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from log_records import ACCOUNT, record
from test_logs_blocks import content, taken

from iamtables.errors import SourceError
from iamtables.logs import LogOptions, inflate, pieces, read_logs
from iamtables.logs import blocks as blocks_module
from iamtables.logs.sources import find_files

pytestmark = pytest.mark.skipif(
    not blocks_module.is_available(), reason="the extractor is not built")

@pytest.fixture(autouse=True)
def _no_file_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALL_BYTES", 0)


KEYS = ("aws:SourceIp", "aws:PrincipalTag/team", "aws:RequestTag/team")


def document(count: int = 40, before: str = "", behind: str = "") -> bytes:
    """Records of every kind that the extractor treats in its own way."""
    texts = []
    for number in range(count):
        made = record("s3", "GetObject", eventID=f"{number:036x}", resources=[
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b/{number % 7}"},
            {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"}],
            requestParameters={"bucketName": "b", "key": str(number % 7)})
        if number % 5 == 1:
            made = record("iam", "CreateRole", eventID=f"{number:036x}", requestParameters={
                "roleName": f"r{number}", "tags": [{"key": "team", "value": "\u00e9"}]})
        if number % 5 == 2:
            made = record("sts", "AssumeRole", eventID=f"{number:036x}", requestParameters={
                "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "roleSessionName": "s",
                "tags": [{"key": "team", "value": "t"}]}, responseElements={
                    "credentials": {"accessKeyId": f"ASIA{number}"}})
        if number % 11 == 3:
            made["eventName"] = ""  # a bad record
        texts.append(before + json.dumps(made, ensure_ascii=number % 2 == 0) + behind)
    return ('{"Records":[' + ",".join(texts) + "]}").encode()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, mtime=0))
    return path


def read(path: Path | list[Path], **options: Any) -> Any:
    return content(read_logs(path, LogOptions(**options), KEYS))


@pytest.mark.parametrize("size", [14, 100, 101, 257, 1000, 1 << 20])
@pytest.mark.parametrize("space", ["", " \n"])
def test_a_document_may_break_off_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, space: str
) -> None:
    path = write(tmp_path / "log.json.gz", document(40, space, space))
    expected = read(path, is_compiled=False)
    sizes = taken(monkeypatch)
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    assert read(path) == expected
    assert sum(sizes) > 30


def test_every_place_to_break_off_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = document(3)
    path = write(tmp_path / "log.json.gz", data)
    expected = read(path, is_compiled=False)
    sizes = taken(monkeypatch)
    for size in range(12, len(data) + 2, 7):
        monkeypatch.setattr(pieces, "PIECE_BYTES", size)
        assert read(path) == expected
    assert len(sizes) >= (len(data) - 12) // 7


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_many_files_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    from iamtables.logs import ahead

    monkeypatch.setattr(ahead, "MIN_BYTES", 200)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 3000)
    plain = b"\n".join(json.dumps(record("iam", "ListUsers", eventID=f"{n:036x}")).encode()
                       for n in range(900, 930))
    paths = [write(tmp_path / f"{n}.json.gz", data) for n, data in enumerate((
        document(30), document(50), plain, plain, document(20), document(1), document(60)))]
    monkeypatch.chdir(tmp_path)
    assert read(paths, threads=threads) == read(paths, is_compiled=False)


@pytest.mark.parametrize("size", [64, 1000, 10_000])
def test_pieces_that_were_inflated_ahead_are_those_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from iamtables.logs.scanner import Scanned, Scanner

    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    data = document(60)
    (source,) = find_files([write(tmp_path / "log.json.gz", data)])
    rooms: list[Any] = []
    ahead = 0
    for seed in range(8):
        random, scanner, scanned = Random(seed), Scanner(seed), Scanned()
        asked = pieces.Document(source, LogOptions(), rooms)
        records: list[bytes] = []
        while not asked.is_over:
            while random.random() < 0.6 and asked.inflate_ahead():
                ahead += 1
            asked.scan_piece(scanner, scanned)
            assert not scanned.is_refused
            records += map(scanned.record, range(scanned.count))
        asked.close()
        assert b'{"Records":[' + b",".join(records) + b"]}" == data
        assert len(rooms) <= pieces.MAX_AHEAD
        assert not asked.inflate_ahead()
    assert ahead > 8


def test_what_goes_wrong_ahead_is_told_when_the_piece_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iamtables.logs.scanner import Scanned, Scanner

    monkeypatch.setattr(pieces, "PIECE_BYTES", 5000)
    path = tmp_path / "log.json.gz"
    path.write_bytes(gzip.compress(document(60), mtime=0)[:-4])
    (source,) = find_files([path])
    asked, scanner, scanned = pieces.Document(source, LogOptions()), Scanner(1), Scanned()
    ahead = 0
    while asked.inflate_ahead():
        ahead += 1
    assert ahead > 2
    for _ in range(ahead - 1):
        asked.scan_piece(scanner, scanned)
        assert scanned.count > 0
        while asked.inflate_ahead():
            ahead += 1
    with pytest.raises(pieces.Refused):
        while True:
            asked.scan_piece(scanner, scanned)


def damaged(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: change(gzip.compress(data, mtime=0))


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "cut off": damaged(lambda packed: packed[: len(packed) * 2 // 3]),
    "without its check": damaged(lambda packed: packed[:-4]),
    "another check": damaged(lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:]),
    "bytes behind": damaged(lambda packed: packed + b"more"),
    "zeros behind": damaged(lambda packed: packed + bytes(64)),
    "two members": lambda data: gzip.compress(data[:2000]) + gzip.compress(data[2000:]),
    "half a document": lambda data: gzip.compress(data[: len(data) // 2]),
    "two documents": lambda data: gzip.compress(data + data),
    "text behind": lambda data: gzip.compress(data + b" x"),
    "no end": lambda data: gzip.compress(data[:-1]),
    "no JSON inside": lambda data: gzip.compress(data.replace(b'"eventName"', b'"eventName', 7)),
    "another envelope": lambda data: gzip.compress(b'{"x":1,' + data[1:]),
    "nothing": lambda data: gzip.compress(b""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("size", [700, 1 << 20])
@pytest.mark.parametrize("small", [0, 1 << 17])
def test_a_faulty_file_is_read_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, size: int, small: int
) -> None:
    monkeypatch.setattr(pieces, "SMALL_BYTES", small)
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    good = write(tmp_path / "0.json.gz", document(5))
    path = tmp_path / "1.json.gz"
    path.write_bytes(FAULTS[fault](document(40)))
    assert read([good, path]) == read([good, path], is_compiled=False)


def test_a_failed_file_tells_nothing_of_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 500)
    begins = record("sts", "AssumeRole", eventID="1" * 36, requestParameters={
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "roleSessionName": "s",
        "tags": [{"key": "team", "value": "t"}]},
        responseElements={"credentials": {"accessKeyId": "ASIAX"}})
    path = tmp_path / "log.json.gz"
    packed = gzip.compress(('{"Records":[' + ",".join([json.dumps(begins)] * 30) + "]}").encode())
    path.write_bytes(packed[:-8])
    reader = read_logs(path, LogOptions(), KEYS)
    learnt: list[Any] = []
    monkeypatch.setattr(reader._blocks, "_begun", learnt.append)
    with pytest.raises(SourceError):
        list(reader)
    assert learnt == []
    path.write_bytes(packed)
    reader = read_logs(path, LogOptions(deduplicate=False), KEYS)
    monkeypatch.setattr(reader._blocks, "_begun", learnt.append)
    list(reader)
    assert len(learnt) == 30


def test_a_file_that_changes_while_it_is_read_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write(tmp_path / "0.json.gz", document(5))
    path = write(tmp_path / "1.json.gz", document(40))
    original = pieces.Document.scan_piece

    def scan_piece(self: pieces.Document, *given: Any) -> None:
        if self._source.name == str(path):
            os.utime(path, (1, 1))
        original(self, *given)

    monkeypatch.setattr(pieces.Document, "scan_piece", scan_piece)
    reader = read_logs([good, path], LogOptions())
    records = sum(batch.records for batch in reader)
    assert records == 4  # and one without a name
    assert reader.statistics.failed == [(str(path), "changed while it was read")]


@pytest.mark.parametrize("limit", ["max_file_bytes", "max_document_bytes", "max_inflation"])
def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)
    for module in (pieces, inflate):
        monkeypatch.setattr(module, "RATIO_FROM_BYTES", 1000)
    good = write(tmp_path / "0.json.gz", document(1))
    path = write(tmp_path / "1.json.gz", document(40))
    options = {limit: 2 if limit == "max_inflation" else 5000}
    sizes = taken(monkeypatch)
    read([good, path], **options)
    assert sum(sizes) == 1
    assert read([good, path], **options) == read([good, path], is_compiled=False, **options)


def test_small_files_are_pieces_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALL_BYTES", 1 << 17)
    paths = [write(tmp_path / f"{n}.json.gz", document(n)) for n in (1, 7, 30)]
    expected = read(paths, is_compiled=False)
    sizes = taken(monkeypatch)
    assert read(paths) == expected
    assert len(sizes) == 3


def test_a_record_over_the_limit_is_left_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)
    records = [record("iam", "ListUsers", eventID=f"{n:036x}",
                      requestParameters={"x": "y" * (9000 if n == 3 else 3)}) for n in range(6)]
    path = write(tmp_path / "log.json.gz", json.dumps({"Records": records}).encode())
    assert read(path, max_record_bytes=4000) == read(path, max_record_bytes=4000,
                                                     is_compiled=False)
