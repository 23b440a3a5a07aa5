"""Pieces that are taken apart ahead: the same columns, whatever happens to those that lie ahead."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from log_records import ACCOUNT, record
from test_logs_blocks import both, taken

from iamtables.errors import SourceError
from iamtables.logs import LogOptions, ahead, pieces, pipeline, read_logs, sources
from iamtables.logs import blocks as blocks_module

pytestmark = pytest.mark.skipif(
    not blocks_module.is_available(), reason="the extractor is not built")

if blocks_module.is_available():
    from iamtables.logs.extract import Extractor
    from iamtables.logs.scanner import Scanned, Scanner


class AtOnce(Executor):
    """Does what it is handed before it returns: as far ahead as a thread can ever be."""

    def __init__(self, threads: int, name: str) -> None:
        assert threads == 1

    def submit(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*given, **named))
        return future


class Later(Future[Any]):
    """Does what it is to do when the result is asked for."""

    def __init__(self, do: Callable[[], Any]) -> None:
        super().__init__()
        self._do = do

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.set_result(self._do())
        return super().result(timeout)


class AsLateAsCanBe(Executor):
    """As far behind as a thread can ever be: who waits for it helps as long as there is a way."""

    def __init__(self, threads: int, name: str) -> None:
        assert threads == 1

    def submit(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        return Later(partial(function, *given, **named))


@pytest.fixture(params=["a thread", "at once", "as late as can be"])
def _ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "at once":
        monkeypatch.setattr(ahead, "ThreadPoolExecutor", AtOnce)
    elif request.param == "as late as can be":
        monkeypatch.setattr(ahead, "ThreadPoolExecutor", AsLateAsCanBe)
    monkeypatch.setattr(pieces, "SMALL_BYTES", 0)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 2000)


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_bytes(gzip.compress(
        json.dumps({"Records": records}, ensure_ascii=False).encode(), mtime=0))
    return path


def own(number: int, count: int) -> list[dict[str, Any]]:
    """Records with plans, callers, errors, shapes and moulds that no other file has."""
    random = Random(number)
    services = ("iam", "ec2", "kms", "sqs", "ssm", "logs")
    return [record(
        services[(number + n) % len(services)], f"Get{number}{random.choice('abc')}",
        eventID=f"{1000 * number + n:036x}", errorCode=random.choice([None, f"E{number}"]),
        userIdentity={"type": "IAMUser", "userName": f"u{number}-{n % 3}", "accountId": ACCOUNT,
                      "arn": f"arn:aws:iam::{ACCOUNT}:user/u{number}-{n % 3}"},
        requestParameters={"name": f"n{number}-{n}"}) for n in range(count)] + [record(
            "s3", f"{name}Object", eventID=f"{1000 * number + 500 + n:036x}",
            requestParameters={"bucketName": "b"}, resources=[
                {"ARN": f"arn:aws:s3:::b/{number}/{n}"}, {"ARN": "arn:aws:s3:::b"}])
            for n, name in enumerate(("Get", "Put", "Head")[number % 3 :])]


def only_by_the_decoder(original: Any) -> Any:
    """`ReadAhead.pieces`, which the compiled reader is to ask for no file."""
    def asked(self: Any, file: Any) -> Any:
        assert self._pipeline is None
        return original(self, file)

    return asked


@pytest.mark.usefixtures("_ahead")
def test_tables_may_start_anew_while_pieces_lie_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{n:02}.json.gz", own(n, 5 + n % 4)) for n in range(20)]
    sizes = taken(monkeypatch)
    monkeypatch.setattr(ahead.ReadAhead, "pieces", only_by_the_decoder(ahead.ReadAhead.pieces))
    once = both(paths, None)
    again = both(paths, None, max_distinct=12, batch_records=7)
    assert again == once and len(once[0]) > 150
    assert len(sizes) == 40  # each came in pieces, and all of them were taken


@pytest.mark.usefixtures("_ahead")
def test_records_that_the_reader_decodes_stand_where_they_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = own(1, 40)
    for number in (3, 17, 18, 33):
        records[number]["userAgent"] = "\u00e9"
    path = write(tmp_path / "log.json.gz", records)
    monkeypatch.setattr(ahead.ReadAhead, "pieces", only_by_the_decoder(ahead.ReadAhead.pieces))
    rows, _ = both([path], ())
    assert [row[0] for row in rows] == [one["eventID"] for one in records]


@pytest.mark.usefixtures("_ahead")
@pytest.mark.parametrize("place", range(4))
def test_a_refused_file_ends_what_lies_ahead_and_no_more(tmp_path: Path, place: int) -> None:
    paths = [write(tmp_path / f"{n}.json.gz", own(n, 9)) for n in range(4)]
    data = paths[place].read_bytes()
    paths[place].write_bytes(data[:-6])
    rows, counts = both(paths, None)
    assert [name for name, _ in counts[5]] == [str(paths[place])]
    assert {row[7] for row in rows} >= {str(path) for n, path in enumerate(paths) if n != place}


@pytest.mark.usefixtures("_ahead")
def test_files_of_other_kinds_may_lie_between(tmp_path: Path) -> None:
    paths = []
    for number in range(9):
        paths.append(write(tmp_path / f"{number}.json.gz", own(number, 6)))
        if number % 3 == 1:
            paths[-1].write_bytes(gzip.compress(b"\n".join(
                json.dumps(one).encode() for one in own(number, 6))))
        elif number % 3 == 2:
            paths[-1].write_bytes(json.dumps({"Records": own(number, 6)}).encode())
    rows, _ = both(paths, ())
    assert {row[7] for row in rows} == {str(path) for path in paths}


@pytest.mark.usefixtures("_ahead")
def test_what_fails_ahead_is_told_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{n}.json.gz", own(n, 9)) for n in range(3)]
    original = pieces.Document.scan_piece

    def scan_piece(self: pieces.Document, *given: Any) -> None:
        if self._source.name == str(paths[1]):
            raise MemoryError
        original(self, *given)

    monkeypatch.setattr(pieces.Document, "scan_piece", scan_piece)
    reader = read_logs(paths, LogOptions(batch_records=1))
    assert {name for name in next(iter(reader)).files} == {str(paths[0])}
    with pytest.raises(MemoryError):
        list(reader)


def test_a_reader_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.json.gz", own(n, 30)) for n in range(30)]
    before = set(threading.enumerate())
    reader = read_logs(paths, LogOptions(batch_records=1))
    next(iter(reader))
    assert any("ahead" in thread.name for thread in set(threading.enumerate()) - before)
    reader._batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert reader._ahead is not None and reader._ahead._pipeline is not None
    assert reader._ahead._pipeline._document is None


@pytest.mark.usefixtures("_ahead")
@pytest.mark.parametrize("threads", [1, 2])
def test_buffers_are_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    seen: set[int] = set()
    original = pieces.Document.scan_piece

    def scan_piece(self: pieces.Document, scanner: Any, scanned: Any) -> None:
        seen.add(id(scanned))
        original(self, scanner, scanned)

    monkeypatch.setattr(pieces.Document, "scan_piece", scan_piece)
    paths = [write(tmp_path / f"{n}.json.gz", own(n, 40)) for n in range(5)]
    records = sum(batch.records for batch in read_logs(paths, LogOptions(threads=threads)))
    assert records > 200
    assert len(seen) == (pipeline.DEPTH if threads == 2 else 1)


def test_who_waits_for_a_piece_inflates_some_of_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "ThreadPoolExecutor", AsLateAsCanBe)
    monkeypatch.setattr(pieces, "SMALL_BYTES", 0)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 4000)
    helped: list[str] = []
    original = pieces.Document.inflate_ahead

    def inflate_ahead(self: pieces.Document) -> bool:
        done = original(self)
        helped.extend([self._source.name] * done)
        return done

    monkeypatch.setattr(pieces.Document, "inflate_ahead", inflate_ahead)
    paths = [write(tmp_path / f"{n}.json.gz", own(n, 40)) for n in range(4)]
    both(paths, ())
    assert {helped.count(str(path)) for path in paths} == {pieces.MAX_AHEAD}


def test_records_that_are_being_coded_stay_as_they_are() -> None:
    scanned, scanner, extractor = Scanned(), Scanner(1), Extractor(1)
    scanner.start()
    scanned.hold(json.dumps({"Records": own(1, 3)}).encode())
    assert scanner.scan(scanned, 100) > 3
    extractor.take(scanned)
    for change in (lambda: scanner.scan(scanned, 100), lambda: scanned.hold(b""),
                   lambda: scanner.room(scanned, 10),
                   lambda: scanner.put(scanned, np.zeros(10, dtype=np.uint8), 2, 8)):
        with pytest.raises(ValueError, match="being coded"):
            change()
    extractor.release()
    scanned.hold(b"")
    assert extractor.count == 0
    facts = np.zeros(1, dtype=np.uint8)
    with pytest.raises(ValueError, match="no records"):
        extractor.calls(facts, np.zeros((1, 2), dtype=np.int32), facts)


def test_a_piece_of_too_many_records_is_left_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_RECORDS", 10)
    paths = [write(tmp_path / f"{n}.json.gz", own(n, count)) for n, count in enumerate((3, 30, 4))]
    sizes = taken(monkeypatch)
    for small in (0, 1 << 17):
        monkeypatch.setattr(pieces, "SMALL_BYTES", small)
        both(paths)
    # the large one comes as a whole then, as text of which so many records are taken at a time
    assert len(sizes) == 6


def test_a_file_given_up_after_its_calls_were_numbered_leaves_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the file is new but a call, which the decoder refuses when it is to be mapped."""
    def denied(number: int) -> dict[str, Any]:
        return record("iam", "GetRole", eventID=f"{number:036x}", errorCode="AccessDenied",
                      errorMessage=f"User: u is not authorized to perform: iam:GetRole on resource:"
                                   f" arn:aws:iam::{ACCOUNT}:role/r{number % 10}",
                      requestParameters={"roleName": f"r{number % 10}"})

    paths = [write(tmp_path / f"{n}.json.gz", [denied(number) for number in numbers])
             for n, numbers in enumerate(([0, 10], [1], [2, 11, 20, 3]))]
    original, refused, states = blocks_module.decode_repaired, [], []

    def decode(decoder: Any, data: Any) -> Any:
        if b"role/r1" in bytes(data) and not refused:
            refused.append(bytes(data))
            raise msgspec.DecodeError("refused")
        return original(decoder, data)

    def has_all_rows(self: Any) -> bool:
        found = has_all(self)
        states.append((found, self.scanner.counts() == (
            len(self._plan_flags), len(self._callers), len(self._error_flags)),
            self._extractor.counts()[0] - len(self._calls),
            self._extractor.counts()[1] - len(self._shape_rows),
            self._moulds.mould_count - len(self._mould_rows)))
        return found

    has_all = blocks_module.BlockReader._has_all_rows
    monkeypatch.setattr(blocks_module, "decode_repaired", decode)
    monkeypatch.setattr(blocks_module.BlockReader, "_has_all_rows", has_all_rows)
    rows, _ = both(paths, ("aws:SourceIp",), threads=1)
    assert states == [(False, True, 1, 0, 0)]
    assert refused and [row[-1][0][1] for row in rows] == [
        f"arn:aws:iam::{ACCOUNT}:role/r{n}" for n in (0, 0, 1, 2, 1, 0, 3)]


def test_a_log_without_any_document_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"Records":[{]}'))
    with pytest.raises(SourceError):
        list(read_logs(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_among_files_is_opened_once_and_not_ahead(tmp_path: Path) -> None:
    """Whoever waits for a pipe has to be the one that an interrupt reaches."""
    write(tmp_path / "a.json.gz", own(1, 6))
    write(tmp_path / "c.json.gz", own(3, 6))
    pipe = tmp_path / "b.json"
    os.mkfifo(pipe)
    opened: list[str] = []
    original = sources._Local.open

    def opening(self: Any) -> Any:
        opened.append(f"{self.path.name} {threading.current_thread() is reader}")
        return original(self)

    def read() -> None:
        found.extend(batch.records for batch in read_logs([tmp_path], LogOptions(threads=2)))

    found: list[int] = []
    reader = threading.Thread(target=read, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources._Local, "open", opening)
        reader.start()
        with pipe.open("wb") as file:
            file.write(json.dumps({"Records": own(2, 6)}).encode())
        reader.join(20)
        assert not reader.is_alive()
    assert [one for one in opened if one.startswith("b.json")] == ["b.json True"]
    # a pipe changes while it is read, and is counted as that
    assert sum(found) == len(own(1, 6)) + len(own(3, 6))
