"""Logs and compiled tables for the tests of Spark, with it and without."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from command_line import BEFORE, FULL_ACCESS, READ_ONLY
from log_records import ACCOUNT, ROLE, ROLE_IDENTITY, USER_IDENTITY, record

import iamtables


def save_tables(folder: Path) -> tuple[Path, Path]:
    """Compiled tables: the Bedrock policies as they were, and as they are."""
    for name, policies in (("after", (FULL_ACCESS, READ_ONLY)), ("before", (BEFORE,))):
        documents = [one for path in policies for one in iamtables.load_policy(path)]
        iamtables.compile(documents).save(folder / f"{name}.iamt")
    return folder / "before.iamt", folder / "after.iamt"


TAGS_POLICY = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iam:List*", "Resource": "*",
     "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}},
    {"Effect": "Deny", "Action": "iam:ListRoles", "Resource": "*",
     "Condition": {"StringEquals": {"aws:PrincipalTag/Stage": "old"}}},
    {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}"""
"""A policy for which the tags of sessions matter."""


def identity(key: str | None) -> dict[str, Any]:
    return USER_IDENTITY if key is None else {**ROLE_IDENTITY, "accessKeyId": key}


def event_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def call(number: int, key: str | None = None, name: str = "ListUsers", **fields: Any
         ) -> dict[str, Any]:
    return record("iam", name, eventID=event_id(number), userIdentity=identity(key), **fields)


def correction(number: int, of: int | None, name: str = "ListGroups") -> dict[str, Any]:
    """Names the record that it replaces unless that has the same ID."""
    told = {"reason": "UPDATED_DATA", "updatedFields": "errorCode"} | (
        {} if of is None else {"originalEventID": event_id(of)})
    return call(number, None, name, addendum=told)


def begins(number: int, key: str, by: str | None, tags: dict[str, str], transitive: Sequence[str]
           ) -> dict[str, Any]:
    """`by` begins the session `key`."""
    return record(
        "sts", "AssumeRole", eventID=event_id(number), userIdentity=identity(by),
        requestParameters={
            "roleArn": ROLE, "roleSessionName": "s1", "transitiveTagKeys": list(transitive),
            "tags": [{"key": name, "value": value} for name, value in tags.items()]},
        responseElements={"credentials": {"accessKeyId": key, "expiration": "x"}})


def write_far_apart(folder: Path) -> list[str]:
    """Files whose records make a difference to those of others: corrections before and after what
    they correct, twice, and of each other; sessions that later files begin, out of others."""
    content = (
        [call(1), call(2), call(3, "ASIA1"), call(4, "ASIA2"), call(5, "ASIA2", "ListRoles"),
         call(6, "ASIA9")],
        [begins(7, "ASIA2", "ASIA1", {"stage": "old"}, []), correction(8, of=1), call(1)],
        [begins(9, "ASIA1", None, {"Team": "red"}, ["team"]), correction(10, of=1), call(1),
         correction(8, of=1)],
        [correction(11, of=None), call(12, "ASIA3"), correction(13, of=10)],
        [correction(11, of=None), call(11), call(2), begins(14, "ASIA3", "ASIA2", {}, [])],
    )
    return write_files(folder, content)


def write_files(folder: Path, content: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    names = [str(folder / f"{number}.json") for number in range(len(content))]
    for name, records in zip(names, content, strict=True):
        Path(name).write_text(json.dumps({"Records": records}))
    return names


def random_files(random: Random) -> list[list[dict[str, Any]]]:
    """A log of few IDs and few sessions, so that everything meets everything."""
    def one() -> dict[str, Any]:
        number = random.randrange(12)
        key = random.choice([None, "ASIA1", "ASIA2", "ASIA3", "ASIA4"])
        match random.randrange(6):
            case 0:
                # IDs of their own: which of a record and a correction with its ID counts is open
                return correction(100 + number, of=random.choice([*range(12), 100, 101]))
            case 1:
                return correction(number, of=None)
            case 2:
                tags = random.choice([{}, {"Team": "red"}, {"team": "blue", "stage": "old"}])
                # the same session is begun by one call only
                begun = random.randrange(1, 5)
                return begins(200 + begun, f"ASIA{begun}", f"ASIA{begun - 1}" if begun > 1 else
                              None, tags, random.choice([[], ["team"], ["team", "stage"]]))
            case _:
                return call(number, key, random.choice(["ListUsers", "ListRoles"]))

    return [[one() for _ in range(random.randrange(1, 7))] for _ in range(random.randrange(1, 6))]


__all__ = ["ACCOUNT", "TAGS_POLICY", "call", "correction", "event_id", "random_files",
           "save_tables", "write_far_apart", "write_files"]
