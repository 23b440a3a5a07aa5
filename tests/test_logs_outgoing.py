"""Names, sessions and corrections are known to the same records from a cache as from the logs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from command_line import allow, iamtables, policy
from log_records import ACCOUNT, ROLE, ROLE_IDENTITY, USER_IDENTITY, record, write

from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.logs import cache as cache_module
from iamtables.logs.columns import ABSENT

TEAM = "aws:PrincipalTag/team"


def asks(number: int, name: str = "worker", **fields: Any) -> dict[str, Any]:
    return record("iam", "GetRole", requestParameters={"roleName": name},
                  eventID=f"{number:036d}", **fields)


def tells(number: int) -> dict[str, Any]:
    """A call by the role, whose session names it with its path."""
    return record("s3", "ListBuckets", userIdentity=ROLE_IDENTITY, eventID=f"{number:036d}")


def makes(number: int, name: str, path: str) -> dict[str, Any]:
    return record("iam", "CreateRole", requestParameters={"roleName": name, "path": path},
                  eventID=f"{number:036d}")


def answers(reader: LogReader) -> tuple[list[tuple[Any, ...]], tuple[Any, ...]]:
    """What each record comes to, by event ID; the counts."""
    found: list[tuple[Any, ...]] = []
    for batch in reader:
        batch.check()
        requests: list[list[Any]] = [[] for _ in range(batch.records)]
        for row, group in enumerate(batch.group.tolist()):
            requests[group].append((
                batch.action.value(row), batch.resource.value(row), batch.principal.value(row),
                batch.resource_state.value(row),
                *((name, ... if column.codes[row] < ABSENT else column.value(row))
                  for name, column in batch.context.items())))
        found += [(event_id, batch.files[batch.file[number]], int(batch.record_class[number]),
                   requests[number]) for number, event_id in enumerate(batch.event_id)]
    statistics = reader.statistics
    statistics.check()
    return found, (statistics.records, statistics.classes, statistics.reasons, statistics.replaced,
                   statistics.corrections_late, statistics.duplicates, statistics.bad,
                   statistics.files_read, statistics.bytes_done)


def read(paths: Sequence[Path], cache: Path | None = None, keys: Sequence[str] = (TEAM,),
         **options: Any) -> LogReader:
    return read_logs(paths, LogOptions(cache=None if cache is None else str(cache), **options),
                     keys)


def resources(reader: LogReader, name: str = "GetRole") -> list[Any]:
    """Of the calls of one name, in order."""
    found = []
    for batch in reader:
        names = batch.event_name.to_list()
        found += [batch.resource.value(row) for row, group in enumerate(batch.group.tolist())
                  if names[group] == name]
    return found


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_name_told_late_stays_unknown_to_the_records_of_earlier_batches(
    tmp_path: Path, is_compiled: bool
) -> None:
    logs = [write(tmp_path / "1.json", *(asks(number) for number in range(3))),
            write(tmp_path / "2.json", asks(3), tells(4)),
            write(tmp_path / "3.json", asks(5), makes(6, "worker", "/other/")),
            write(tmp_path / "4.json", asks(7))]
    options: dict[str, Any] = {"batch_records": 2, "is_compiled": is_compiled}
    # in the third file two ARNs contend for the name: from there on it is open for good
    expected = [None] * 3 + [ROLE] + [None, None]
    assert resources(read(logs, **options)) == expected
    for _ in range(2):
        assert resources(read(logs, tmp_path / "cache", **options)) == expected
    assert resources(read(logs, tmp_path / "cache", batch_records=5)) == [ROLE] * 4 + [None] * 2
    assert resources(read(logs, batch_records=5)) == [ROLE] * 4 + [None] * 2
    # names that only files of the cache tell which nobody asked for, nobody learns
    assert resources(read(logs[:1], tmp_path / "cache")) == [None] * 3
    assert resources(read(logs[:2], tmp_path / "cache")) == [ROLE] * 4


def generated(folder: Path, seed: int) -> list[Path]:
    """Files with all that becomes known late: names, names of two ARNs, sessions, corrections."""
    random = Random(seed)
    number = 0
    logs = []
    for file in range(random.randrange(3, 9)):
        made: list[Any] = []
        for _ in range(random.choice([0, 1, 5, 30])):
            number += 1
            name, key = f"r{random.randrange(12)}", f"ASIA{random.randrange(12)}"
            session = {**ROLE_IDENTITY, "accessKeyId": key}
            without = {**session, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/s",
                       "sessionContext": {}}
            kind = random.random()
            if kind < 0.3:
                made.append(asks(number, name, userIdentity=random.choice(
                    [USER_IDENTITY, session, without])))
            elif kind < 0.4:
                made.append(makes(number, name, random.choice(["/", "/", "/a/"])))
            elif kind < 0.5:
                made.append(record("s3", "ListBuckets", eventID=f"{number:036d}", userIdentity={
                    **session, "sessionContext": {"sessionIssuer": {
                        "type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}}}))
            elif kind < 0.6:
                made.append(record(
                    "sts", "AssumeRole", eventID=f"{number:036d}",
                    userIdentity=random.choice([USER_IDENTITY, {
                        **session, "accessKeyId": f"ASIA{random.randrange(12)}"}]),
                    requestParameters={
                        "roleArn": ROLE, "tags": [{"key": "team", "value": f"t{number}"}],
                        "transitiveTagKeys": ["team"]},
                    responseElements={"credentials": {"accessKeyId": key}}))
            elif kind < 0.7:
                made.append(asks(number, name, addendum={
                    "reason": "UPDATED_DATA",
                    "originalEventID": f"{random.randrange(1, number + 1):036d}"}))
            elif kind < 0.75:
                made.append({"eventSource": 5})
            elif kind < 0.8:
                made.append(asks(random.randrange(1, number + 1), name))  # often a duplicate
            else:
                made.append(record("iam", "ListUsers", userIdentity=session,
                                   eventID=f"{number:036d}"))
        logs.append(write(folder / f"{file}.json", *made))
    if not number:
        write(logs[0], record("iam", "ListUsers", eventID=f"{0:036d}"))
    return logs


@pytest.mark.parametrize("seed", range(8))
def test_a_cache_gives_each_record_what_the_logs_give_it(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    monkeypatch.setattr(cache_module, "SEGMENT_RECORDS", random.choice([1, 20, 200_000]))
    logs, cache = generated(tmp_path, seed), tmp_path / "cache"
    sizes = [random.choice([1, 7, 25, 60, 20_000]) for _ in range(3)]
    options = {"max_distinct": random.choice([5, 40, 300_000]),
               "is_compiled": random.random() < 0.3}
    assert answers(read(logs, cache, batch_records=sizes[0], **options)) == answers(
        read(logs, batch_records=sizes[0], **options))
    for size in sizes:
        again = read(logs, cache, batch_records=size)
        assert answers(again) == answers(read(logs, batch_records=size))
        assert again.statistics.files_cached == len(logs)
    # another order, and some of the files, which are of a few segments each
    for _ in range(3):
        some = random.sample(logs, random.randrange(1, len(logs) + 1))
        size = random.choice(sizes)
        assert answers(read(some, cache, batch_records=size)) == answers(
            read(some, batch_records=size))
    # some from the cache, some from the logs
    shutil.rmtree(cache)
    answers(read(random.sample(logs, len(logs) // 2), cache, batch_records=sizes[1]))
    found = read(logs, cache, batch_records=sizes[2])
    assert answers(found) == answers(read(logs, batch_records=sizes[2]))
    assert found.statistics.files_cached == len(logs) // 2


def test_what_makes_no_difference_does_not_cut_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [write(tmp_path / f"{number}.json",
                  record("iam", "ListUsers", eventID=f"{2 * number:036d}"),
                  makes(2 * number + 1, f"r{number}", "/a/")) for number in range(20)]
    cache = tmp_path / "cache"
    list(read(logs, cache, batch_records=4))
    assert [batch.records for batch in read(logs, cache, batch_records=4)] == [40]
    assert [batch.records for batch in read(logs, cache, batch_records=6)] == [36, 4]
    assert [batch.records for batch in read(logs, batch_records=4)] == [4] * 10


def test_an_epoch_that_ends_in_another_segment_does_not_cut_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments of 4 records and epochs of 3 (files have one): only what is told cuts."""
    monkeypatch.setattr(cache_module, "SEGMENT_RECORDS", 4)
    logs = [write(tmp_path / f"{number:02d}.json",
                  record("iam", "ListUsers", eventID=f"{number:036d}")) for number in range(12)]
    cache = tmp_path / "cache"
    list(read(logs, cache, batch_records=3))
    assert [batch.records for batch in read(logs, cache, batch_records=3)] == [4, 4, 4]
    # the seventh record, of the epoch of the sixth, tells of a name that none before it asks for
    write(logs[6], makes(6, "r", "/a/"))
    shutil.rmtree(cache)
    list(read(logs, cache, batch_records=3))
    assert [batch.records for batch in read(logs, cache, batch_records=3)] == [4, 4, 4]
    # one that the first of the segment before asks for, whose epoch was over
    write(logs[3], asks(3, "r"))
    write(logs[4], asks(4, "r"))
    write(logs[8], makes(8, "r", "/a/"))
    write(logs[6], record("iam", "ListUsers", eventID=f"{6:036d}"))
    shutil.rmtree(cache)
    first = answers(read(logs, cache, batch_records=3))
    assert first == answers(read(logs, batch_records=3)) == answers(
        read(logs, cache, batch_records=3))


def test_a_creation_tells_its_name_whatever_the_policies_ask_for(tmp_path: Path) -> None:
    """The audits agree: by the log alone, by the first pass over a cache, and from the cache."""
    log = write(tmp_path / "log.json", makes(1, "late", "/app/"), asks(2, "late"))
    rules = policy(tmp_path, allow("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/app/*"))
    found = []
    for more in ((), ("--cache", tmp_path / "cache"), ("--cache", tmp_path / "cache")):
        done = iamtables("audit", "--policy", rules, "--format", "json", *more, log)
        assert done.code == 0, done.err
        found.append(done.json()["decisions"])
    assert found == [{"ALLOW": 1, "IMPLICIT_DENY": 1, "EXPLICIT_DENY": 0, "UNDETERMINED": 0}] * 3


@pytest.mark.parametrize("ends", [[5], [2, 1], [-3, 2]])
def test_marks_outside_of_a_part_are_found_out(tmp_path: Path, ends: list[int]) -> None:
    import json

    log = write(tmp_path / "log.json", asks(1), asks(2))
    list(read([log], tmp_path / "cache"))
    segment, = (tmp_path / "cache").glob("*.segment")
    about = json.loads((segment / "about.json").read_text())
    about["files"][0]["ends"] = ends
    (segment / "about.json").write_text(json.dumps(about))
    again = read([log], tmp_path / "cache")
    assert resources(again) == [None, None]
    assert again.statistics.files_cached == 0
