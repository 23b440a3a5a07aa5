"""A record with an addendum replaces the record that it corrects, and is counted once."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import allow, iamtables, policy
from log_records import record, write

from iamtables.logs import LogOptions, LogReader, read_logs
from iamtables.logs.corrections import Corrections
from iamtables.logs.seen import SeenHashes


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def call(name: str, number: int, **fields: Any) -> dict[str, Any]:
    return record("iam", name, eventID=event_id(number), **fields)


def correction(name: str, number: int, of: int | None, **addendum: Any) -> dict[str, Any]:
    told = {"reason": "UPDATED_DATA", "updatedFields": "errorCode"} | addendum
    if of is not None:
        told["originalEventID"] = event_id(of)
    return call(name, number, addendum=told)


def read(paths: list[Path], **options: Any) -> tuple[list[str], LogReader]:
    reader = read_logs(paths, LogOptions(**options), keys=[])
    names = [str(name) for batch in reader for name in batch.event_name.to_list()]
    reader.statistics.check()
    return names, reader


def counts(reader: LogReader) -> tuple[int, int, int]:
    found = reader.statistics
    return found.replaced, found.corrections_late, found.duplicates


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def is_compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


ORIGINAL, OTHER = call("ListRoles", 1), call("ListUsers", 2)


@pytest.mark.parametrize("made", [
    correction("ListGroups", 3, of=1),
    correction("ListGroups", 1, of=None),           # CloudTrail names the ID only if it differs
    correction("ListGroups", 3, of=1, reason="SERVICE_OUTAGE"),
])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_correction_replaces_its_original_wherever_it_stands(
    tmp_path: Path, made: dict[str, Any], is_before: bool, is_compiled: bool
) -> None:
    pair = [made, ORIGINAL] if is_before else [ORIGINAL, made]
    names, reader = read([write(tmp_path / "log.json", pair[0], OTHER, pair[1], OTHER)],
                         is_compiled=is_compiled)
    assert sorted(names) == ["ListGroups", "ListUsers"]
    assert counts(reader) == (1, 0, 1)
    assert reader.statistics.records == 4


@pytest.mark.parametrize("addendum", [
    None, {"reason": "DELIVERY_DELAY"}, {"reason": "SERVICE_OUTAGE"},
    {"reason": "UPDATED_DATA", "originalEventID": "7"},   # no GUID: proves nothing
])
def test_a_late_delivery_corrects_nothing(
    tmp_path: Path, addendum: Any, is_compiled: bool
) -> None:
    names, reader = read([write(
        tmp_path / "log.json", ORIGINAL, call("ListGroups", 3, addendum=addendum))],
        is_compiled=is_compiled)
    assert names == ["ListRoles", "ListGroups"]
    assert counts(reader) == (0, 0, 0)


def test_the_account_belongs_to_what_is_replaced(tmp_path: Path, is_compiled: bool) -> None:
    elsewhere = call("ListRoles", 1, recipientAccountId="999988887777")
    names, reader = read([write(
        tmp_path / "log.json", elsewhere, correction("ListGroups", 3, of=1))],
        is_compiled=is_compiled)
    assert names == ["ListRoles", "ListGroups"]
    assert counts(reader) == (0, 0, 0)


def test_a_correction_of_what_was_handed_out_is_left_out_and_told(
    tmp_path: Path, is_compiled: bool
) -> None:
    logs = [write(tmp_path / "1.json", ORIGINAL, OTHER),
            write(tmp_path / "2.json", correction("ListGroups", 3, of=1),
                  correction("ListGroups", 2, of=None), call("GetUser", 4))]
    names, reader = read(logs, batch_records=1, is_compiled=is_compiled)
    assert names == ["ListRoles", "ListUsers", "GetUser"]
    assert counts(reader) == (0, 2, 0)


def test_corrections_that_are_looked_for_first_replace_in_any_order(
    tmp_path: Path, is_compiled: bool
) -> None:
    calls = [call("ListRoles", number) for number in range(30)]
    fixes = [correction("ListGroups", 100 + number if number % 2 else number,
                        of=number if number % 2 else None) for number in range(0, 30, 3)]
    expected = ["ListGroups"] * 10 + ["ListRoles"] * 20
    for seed in range(5):
        mixed = [*calls, *fixes, *fixes[:4]]
        Random(seed).shuffle(mixed)
        logs = [write(tmp_path / f"{number}.json", *mixed[number::4]) for number in range(4)]
        names, reader = read(logs, batch_records=1 + seed, corrections_first=True,
                             is_compiled=is_compiled)
        assert sorted(names) == expected
        assert counts(reader) == (10, 0, 4)


def test_corrections_are_found_first_in_lines_and_in_a_cache(
    tmp_path: Path, is_compiled: bool
) -> None:
    log, fixes = tmp_path / "1.ndjson", tmp_path / "2.ndjson"
    log.write_text(json.dumps(ORIGINAL) + "\n" + json.dumps(OTHER) + "\n")
    fixes.write_text(json.dumps(OTHER) + "\n" + json.dumps(
        correction("ListGroups", 3, of=1)) + "\n")
    cache = str(tmp_path / "cache")
    for expected in (0, 2):
        names, reader = read([log, fixes], corrections_first=True, cache=cache, batch_records=1,
                             is_compiled=is_compiled)
        assert names == ["ListUsers", "ListGroups"]
        assert counts(reader) == (1, 0, 1)
        assert reader.statistics.files_cached == expected
    # both are of one segment, and so of one batch: then it is not too late
    names, reader = read([log, fixes], cache=cache, is_compiled=is_compiled)
    assert (names, counts(reader)) == (["ListUsers", "ListGroups"], (1, 0, 1))
    # of a part of the segment, the rows are others
    names, reader = read([fixes], cache=cache, is_compiled=is_compiled)
    assert (names, counts(reader)) == (["ListUsers", "ListGroups"], (0, 0, 0))


def test_without_the_search_for_duplicates_both_are_kept(
    tmp_path: Path, is_compiled: bool
) -> None:
    names, _ = read(
        [write(tmp_path / "log.json", ORIGINAL, correction("ListGroups", 3, of=1))],
        deduplicate=False, corrections_first=True, is_compiled=is_compiled)
    assert names == ["ListRoles", "ListGroups"]


@pytest.mark.parametrize("addendum", [7, ["x"], {"originalEventID": 5}])
def test_an_addendum_of_the_wrong_type_costs_its_record(
    tmp_path: Path, addendum: Any, is_compiled: bool
) -> None:
    names, reader = read([write(tmp_path / "log.json", OTHER, call("ListGroups", 3,
                                                                   addendum=addendum))],
                         is_compiled=is_compiled)
    assert names == ["ListUsers"]
    (reason,) = reader.statistics.bad_reasons()
    assert reason.startswith("`addendum") and reason.endswith("has the wrong type")


def test_the_command_tells_what_came_too_late_and_how_to_find_it(tmp_path: Path) -> None:
    rules = policy(tmp_path, allow("iam:*"))
    many = [call("ListUsers", 1000 + number) for number in range(20_000)]
    write(tmp_path / "1.json", ORIGINAL, *many)
    write(tmp_path / "2.json", correction("ListGroups", 3, of=1))
    logs = (tmp_path / "1.json", tmp_path / "2.json")
    done = iamtables("audit", "--policy", rules, "--format", "json", *logs)
    assert done.code == 0
    assert "1 corrected records came after the records they replace" in done.err
    assert (done.json()["replaced"], done.json()["corrections_late"]) == (0, 1)
    assert "iam:ListRoles" in done.out
    done = iamtables("audit", "--policy", rules, "--format", "json", "--corrections-first", *logs)
    assert "corrected records" not in done.err
    assert (done.json()["replaced"], done.json()["corrections_late"]) == (1, 0)
    assert "iam:ListRoles" not in done.out


def test_targets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamtables.logs.corrections._MAX_TARGETS", 2)
    found, seen = Corrections(), SeenHashes(100, 1)
    hashes = np.array([11, 12, 13], dtype=np.uint64)
    found.sift(hashes, np.ones(3, dtype=bool), {0: 1, 1: 2, 2: 3}, seen)
    assert len(found) == 2
    again = found.sift(np.array([1, 2, 3], dtype=np.uint64), np.ones(3, dtype=bool), {}, seen)
    # what is no longer known to be replaced is a duplicate: left out all the same
    assert (again.keep.any(), again.replaced, again.duplicates) == (False, 2, 1)
