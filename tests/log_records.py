"""Tiny CloudTrail records and what the reader makes of them, for the log tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iamtables.logs import Batch, LogOptions, RecordClass, Requester, read_logs

ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/dev/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app/worker"

USER_IDENTITY: dict[str, Any] = {
    "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": USER, "accountId": ACCOUNT,
    "accessKeyId": "AKIAEXAMPLE", "userName": "alice",
}
ROLE_IDENTITY: dict[str, Any] = {
    "type": "AssumedRole", "principalId": "AROAEXAMPLE:s1",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1", "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {"type": "Role", "arn": ROLE, "accountId": ACCOUNT, "userName": "worker"},
        "attributes": {"creationDate": "2026-01-02T03:00:00Z", "mfaAuthenticated": "false"},
    },
}
SERVICE_IDENTITY: dict[str, Any] = {"type": "AWSService", "invokedBy": "config.amazonaws.com"}


def record(service: str, name: str, **fields: Any) -> dict[str, Any]:
    """A record of one call; `fields` replace or add fields, a field given as ... is left out."""
    made: dict[str, Any] = {
        "eventVersion": "1.11", "userIdentity": USER_IDENTITY,
        "eventTime": "2026-01-02T03:04:05Z", "eventSource": f"{service}.amazonaws.com",
        "eventName": name, "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2", "requestParameters": {}, "responseElements": None,
        "eventID": "", "eventType": "AwsApiCall", "recipientAccountId": ACCOUNT,
    }
    made.update(fields)
    return {key: value for key, value in made.items() if value is not ...}


@dataclass(frozen=True)
class Seen:
    """What became of one record."""

    record_class: RecordClass
    reason: str | None
    requests: list[tuple[str, str | None, str]]
    """(action, resource, resource state) of each request."""
    principal: str | None
    requester: Requester
    outcome: int
    kind: str | None
    explicit: int
    is_complete: bool
    time: int
    context: list[dict[str, Any]]
    """Per request: key -> value, None (absent) or ... (unknown)."""
    batch: Batch

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.requests]

    @property
    def resources(self) -> list[str | None]:
        return [resource for _, resource, _ in self.requests]


def write(path: Path, *records: object) -> Path:
    path.write_text(json.dumps({"Records": list(records)}))
    return path


def read_one(
    tmp_path: Path, made: dict[str, Any], keys: Sequence[str] | None = (),
    options: LogOptions | None = None,
) -> Seen:
    """Read a single record."""
    batch = next(iter(read_logs([write(tmp_path / "one.json", made)], options, keys)))
    batch.check()
    assert batch.records == 1
    rows = range(batch.requests)
    principals = {batch.principal.value(row) for row in rows} or {None}
    context = [
        {key: ... if column.codes[row] == -2 else column.value(row)
         for key, column in batch.context.items() if column.codes[row] != -3}  # not given
        for row in rows
    ]
    return Seen(
        RecordClass(int(batch.record_class[0])),
        batch.record_reason.value(0),  # type: ignore[arg-type]
        [(str(batch.action.value(row)), batch.resource.value(row),  # type: ignore[misc]
          str(batch.resource_state.value(row))) for row in rows],
        principals.pop(),  # type: ignore[arg-type]
        Requester(int(batch.identity[0])),
        int(batch.outcome[0]),
        batch.outcome_kind.value(0),  # type: ignore[arg-type]
        int(batch.outcome_explicit[0]),
        bool(batch.is_complete[0]),
        int(batch.time[0]),
        context,
        batch,
    )


NAMES_POLICY = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::*:role/app/*"},
    {"Effect": "Allow", "Action": "iam:GetRole", "Resource": "arn:aws:iam::*:role/a/*"}]}"""
"""A policy for which the paths of roles matter."""


def write_names(folder: Path) -> list[str]:
    """Three files: the first asks for roles by their bare names, the others tell their paths, two
    of them different ones for one role."""
    def asks(name: str, number: int) -> dict[str, Any]:
        return record("iam", "GetRole", requestParameters={"roleName": name},
                      eventID=f"{number:036d}")

    def makes(name: str, path: str, number: int) -> dict[str, Any]:
        return record("iam", "CreateRole", requestParameters={"roleName": name, "path": path},
                      eventID=f"{number:036d}")

    told = record("s3", "ListBuckets", userIdentity=ROLE_IDENTITY, eventID=f"{9:036d}")
    content = (
        [asks("worker", 1), asks("twice", 2), asks("never", 3), makes("own", "/a/", 4),
         asks("own", 5)],
        [told, makes("twice", "/a/", 6)],
        [makes("twice", "/b/", 7), asks("own", 8)])
    names = [str(folder / f"{number}.json") for number in range(len(content))]
    for name, records in zip(names, content, strict=True):
        Path(name).write_text(json.dumps({"Records": records}))
    return names
