"""Real CloudTrail records: every source is read, every record is in one class, counts add up."""

from __future__ import annotations

from collections import Counter

import pytest
from shared_data import shared_data

from iamtables.logs import LogOptions, RecordClass, read_logs

RECORDS = {"invictus": 2900, "otrf": 103, "grycap": 142, "plaso": 6, "panther": 354,
           "custodian": 24, "trailscraper": 2}
"""Records per source as its README counts them (without the CSV, which is not a log)."""


@pytest.mark.parametrize("source", RECORDS)
def test_every_record_of_a_source_is_in_exactly_one_class(source: str) -> None:
    reader = read_logs([shared_data("cloudtrail", source)], LogOptions(deduplicate=False))
    classes: Counter[int] = Counter()
    for batch in reader:
        batch.check()
        classes.update(batch.record_class.tolist())
    statistics = reader.statistics
    statistics.check()
    assert statistics.records == RECORDS[source]
    assert statistics.bad_records == 0
    assert statistics.failed == []
    assert sum(classes.values()) == sum(statistics.classes.values()) == RECORDS[source]
    shares = ", ".join(f"{kind.label} {statistics.classes[kind] / statistics.records:.1%}"
                       for kind in RecordClass)
    print(f"{source}: {statistics.records} records, {statistics.requests} requests: {shares}")


@pytest.mark.parametrize(("source", "duplicates"), [("invictus", 0), ("grycap", 0),
                                                    ("custodian", 2), ("trailscraper", 0)])
def test_repeated_events_are_counted_and_left_out(source: str, duplicates: int) -> None:
    reader = read_logs([shared_data("cloudtrail", source)])
    kept = sum(batch.records for batch in reader)
    assert reader.statistics.duplicates == duplicates
    assert kept == RECORDS[source] - duplicates


def test_a_source_read_twice_is_all_duplicates_the_second_time() -> None:
    folder = shared_data("cloudtrail", "invictus")
    once = read_logs([folder], LogOptions(batch_records=100))
    list(once)
    # the same files under a second path, so that they are really read again
    again = read_logs([folder, f"{folder}/../invictus/*"], LogOptions(batch_records=100))
    list(again)
    assert again.statistics.files_found == 2 * once.statistics.files_found
    assert again.statistics.duplicates == RECORDS["invictus"]
    assert again.statistics.classes == once.statistics.classes


def test_classes_of_the_largest_source() -> None:
    reader = read_logs([shared_data("cloudtrail", "invictus")], keys=[])
    list(reader)
    classes = reader.statistics.classes
    assert classes[RecordClass.NOT_A_CALL] == 45  # 42 service events, 3 sign-ins
    assert classes[RecordClass.UNMAPPED] == 4  # one console-internal name
    assert classes[RecordClass.NO_ACTION] == 15  # sts:GetCallerIdentity
    assert classes[RecordClass.MAPPED] > 2000


@pytest.mark.parametrize(("source", "share"), [
    ("invictus", 0.90), ("grycap", 0.85), ("otrf", 0.95), ("plaso", 0.5), ("trailscraper", 1.0)])
def test_the_share_of_fully_determined_requests(source: str, share: float) -> None:
    reader = read_logs([shared_data("cloudtrail", source)], keys=[])
    for _ in reader:
        pass
    classes = reader.statistics.classes
    calls = classes[RecordClass.MAPPED] + classes[RecordClass.PARTIAL]
    determined = classes[RecordClass.MAPPED] / calls
    print(f"{source}: {determined:.1%} of {calls} calls, "
          f"{classes[RecordClass.MAPPED] / sum(classes.values()):.1%} of all records")
    assert determined >= share
    if source == "invictus":  # of all records, calls or not
        assert classes[RecordClass.MAPPED] / sum(classes.values()) >= share


def test_denied_assume_role_has_its_role_from_the_message() -> None:
    found = 0
    for batch in read_logs([shared_data("cloudtrail", "invictus")], keys=[]):
        names, errors = batch.event_name.to_list(), batch.error_code.to_list()
        for request, record in enumerate(batch.group.tolist()):
            if names[record] == "AssumeRole" and errors[record] == "AccessDenied":
                found += 1
                assert batch.action.value(request) == "sts:AssumeRole"
                role = str(batch.resource.value(request))
                assert role.startswith("arn:aws:iam::123837392027:role/")
                assert batch.resource_state.value(request) == "message"
                assert batch.record_class[record] == RecordClass.MAPPED
                assert batch.outcome[record] == 2
    assert found == 13


def test_throttled_calls_and_opaque_ec2_denials_are_never_guessed() -> None:
    throttled = opaque = 0
    for batch in read_logs([shared_data("cloudtrail", "invictus")], keys=[]):
        for record, error in enumerate(batch.error_code.to_list()):
            if error == "ThrottlingException":
                throttled += 1
                assert batch.outcome[record] == 0
            if error == "Client.UnauthorizedOperation":
                opaque += 1
                assert batch.outcome[record] == 2
                assert batch.outcome_kind.value(record) is None
    assert throttled == 102
    assert opaque == 44


def test_times_come_from_the_time_stamp_where_the_event_time_is_missing() -> None:
    for batch in read_logs([shared_data("cloudtrail", "otrf")], keys=[]):
        assert (batch.time > 1_599_000_000).all()


def test_the_csv_with_python_dictionaries_is_refused_politely() -> None:
    reader = read_logs([shared_data("cloudtrail", "otrf")])
    list(reader)
    assert [reason for name, reason in reader.statistics.skipped if "HoneyBucket" in name] == [
        "not JSON"]


def test_the_whole_folder_is_read_at_once() -> None:
    reader = read_logs([shared_data("cloudtrail")], LogOptions(deduplicate=False))
    assert sum(batch.records for batch in reader) == sum(RECORDS.values())
    assert reader.statistics.failed == []
    assert reader.statistics.bad_records == 0


def test_every_request_is_one_that_can_be_asked() -> None:
    for batch in read_logs([shared_data("cloudtrail")]):
        for action in set(batch.action.to_list()):
            assert isinstance(action, str) and action.count(":") == 1 and " " not in action
        for resource in set(map(str, batch.resource.to_list())) - {"None"}:
            assert resource == "*" or (resource.startswith("arn:") and resource.count(":") >= 5)
