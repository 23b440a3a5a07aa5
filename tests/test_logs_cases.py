"""Real CloudTrail records against requests that were reasoned by hand (tests/cases)."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared_data

from iamtables.logs import LogOptions, RecordClass, read_logs

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases" / "cloudtrail_requests.toml").read_text())["record"]


@cache
def mapped(source: str) -> dict[str, tuple[str, list[list[str]]]]:
    """eventID -> class and requests, of every record of a source."""
    found: dict[str, tuple[str, list[list[str]]]] = {}
    for batch in read_logs([shared_data("cloudtrail", source)], LogOptions(deduplicate=False),
                           keys=[]):
        requests = defaultdict(list)
        for row, record in enumerate(batch.group.tolist()):
            request = [str(batch.action.value(row))]
            if (resource := batch.resource.value(row)) is not None:
                request.append(str(resource))
            elif (pattern := batch.resource_pattern.value(row)) is not None:
                request += [str(pattern), "in part"]
            requests[record].append(request)
        for record, event_id in enumerate(batch.event_id):
            found[event_id] = (RecordClass(batch.record_class[record]).label, requests[record])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['source']}-{case['event_id']}")
def test_a_real_record_asks_for_what_the_specification_says(case: dict[str, Any]) -> None:
    record_class, requests = mapped(case["source"])[case["event_id"]]
    assert record_class == case["class"]
    assert sorted(requests) == sorted(case["requests"])


def test_the_cases_cover_many_services_and_every_class() -> None:
    services = {request[0].partition(":")[0] for case in CASES for request in case["requests"]}
    assert len(CASES) >= 80
    assert len(services) >= 25
    assert {case["class"] for case in CASES} == {kind.label for kind in RecordClass}
