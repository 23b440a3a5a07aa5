"""Tags of a session are known where the log has the call that began it, and else unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import allow, iamtables, policy
from log_records import ROLE, ROLE_IDENTITY, USER_IDENTITY, record, write

from iamtables.logs import LogOptions, read_logs
from iamtables.logs.columns import ABSENT
from iamtables.logs.sessions import Sessions

TEAM = "aws:PrincipalTag/team"


def identity(key: str) -> dict[str, Any]:
    return {**ROLE_IDENTITY, "accessKeyId": key}


def assume(key: str, by: dict[str, Any] = USER_IDENTITY, name: str = "AssumeRole",
           fields: Any = None, **parameters: Any) -> dict[str, Any]:
    return record("sts", name, userIdentity=by, **{
        "requestParameters": {"roleArn": ROLE, "roleSessionName": "s1", **parameters},
        "responseElements": {"credentials": {"accessKeyId": key, "expiration": "x"}},
    } | (fields or {}))


def call(key: str | None) -> dict[str, Any]:
    return record("iam", "ListUsers", userIdentity=USER_IDENTITY if key is None else identity(key))


def tagged(*pairs: str) -> list[dict[str, str]]:
    return [dict(zip(("key", "value"), pair.split("="), strict=True)) for pair in pairs]


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def is_compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def values(paths: list[Path], key: str = TEAM, **options: Any) -> list[str | None]:
    """Of every call that is no AssumeRole: the value, None for absent; `?` for unknown."""
    found: list[str | None] = []
    for batch in read_logs(paths, LogOptions(**options), [key]):
        column = batch.context[key]
        names = batch.event_name.to_list()
        found += ["?" if column.codes[row] < ABSENT else column.value(row)  # type: ignore[misc]
                  for row, group in enumerate(batch.group.tolist()) if names[group] == "ListUsers"]
    return found


@pytest.mark.parametrize(("begun", "expected"), [
    (assume("ASIA1", tags=tagged("Team=red", "x=y")), "red"),
    (assume("ASIA1", tags=tagged("x=y")), "?"),        # the role may have the tag
    (assume("ASIA2", tags=tagged("team=red")), "?"),   # another session
    (assume("ASIA1", tags=tagged("team=***")), "?"),
    (assume("ASIA1", tags=tagged("team=red"), fields={"errorCode": "AccessDenied"}), "?"),
    (assume("ASIA1", tags="HIDDEN_DUE_TO_SECURITY_REASONS"), "?"),
    (assume("ASIA1", fields={"requestParameters": "HIDDEN"}), "?"),
    (assume("ASIA1", tags=tagged("team=red"), fields={"responseElements": None}), "?"),
    (assume("ASIA1", tags=tagged("team=red"), fields={"responseElements": {"credentials": 7}}),
     "?"),
    (assume("ASIA1", name="AssumeRoleWithSAML", principalTags={"TEAM": "blue"}), "blue"),
    (assume("ASIA1", name="GetFederationToken", tags=tagged("team=red")), "red"),
    (record("iam", "ListRoles", responseElements={"credentials": {"accessKeyId": "ASIA1"}},
            requestParameters={"tags": tagged("team=red")}), "?"),
])
def test_the_call_that_begins_a_session_tells_its_tags(
    tmp_path: Path, begun: dict[str, Any], expected: str, is_compiled: bool
) -> None:
    log = write(tmp_path / "log.json", begun, call("ASIA1"), call(None))
    assert values([log], is_compiled=is_compiled) == [expected, "?"]


@pytest.mark.parametrize(("transitive", "expected"), [
    (["team"], ["red", "red", "red", "green", "?"]),
    (["TEAM", "other"], ["red", "red", "red", "green", "?"]),
    (["other"], ["red", "?", "?", "green", "?"]), (None, ["red", "?", "?", "green", "?"]),
])
def test_transitive_tags_go_down_the_chain_of_roles(
    tmp_path: Path, transitive: list[str] | None, expected: list[str], is_compiled: bool
) -> None:
    first = {"tags": tagged("team=red")} | (
        {} if transitive is None else {"transitiveTagKeys": transitive})
    log = write(
        tmp_path / "log.json",
        # out of order: the second session is met before the first
        assume("ASIA3", by=identity("ASIA2")), assume("ASIA2", by=identity("ASIA1")),
        assume("ASIA1", **first), assume("ASIA4", by=identity("ASIA1"), tags=tagged("team=green")),
        # what is not passed on by its own call goes no further
        assume("ASIA5", by=identity("ASIA4")),
        *map(call, ("ASIA1", "ASIA2", "ASIA3", "ASIA4", "ASIA5")))
    assert values([log], is_compiled=is_compiled) == expected


def test_a_session_that_begins_out_of_itself_ends() -> None:
    found = Sessions()
    found.restore('{"ASIA1": [{}, [], "ASIA2"], "ASIA2": [{}, [], "ASIA1"]}')
    assert found.tag("ASIA1", "team") is None


def test_sessions_are_kept_in_a_cache(tmp_path: Path, is_compiled: bool) -> None:
    log = write(tmp_path / "log.json", assume("ASIA1", tags=tagged("team=red")), call("ASIA1"))
    later = write(tmp_path / "later.json", call("ASIA1"), call("ASIA9"))
    cache = str(tmp_path / "cache")
    assert values([log], cache=cache, is_compiled=is_compiled) == ["red"]
    assert values([log], learn_names=False, is_compiled=is_compiled) == ["?"]
    assert values([log], learn_names=False, cache=cache) == ["?"]
    expected = ["red", "red", "?"]
    # one file from the cache and one from the log, then both from the cache, then another key
    for _ in range(2):
        assert values([log, later], cache=cache, is_compiled=is_compiled) == expected
    assert values([log, later], "aws:PrincipalTag/other", cache=cache) == ["?"] * 3
    for segment in Path(cache).glob("*.segment"):
        (segment / "sessions.json").write_text('{"ASIA1": 7}')
    assert values([log, later], cache=cache, is_compiled=is_compiled) == expected


def test_sessions_that_the_caller_collects_are_kept_in_a_cache(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", assume("ASIA1", tags=tagged("team=red")), call("ASIA1"))
    cache, found = str(tmp_path / "cache"), Sessions()
    assert list(read_logs([log], LogOptions(cache=cache), [TEAM], sessions=found))
    assert found.tag("ASIA1", "team") == "red"
    assert values([log], cache=cache) == ["red"]


def test_nothing_is_learnt_that_no_policy_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(self: Sessions, record: object) -> None:
        raise AssertionError("learnt")

    monkeypatch.setattr(Sessions, "learn", learn)
    log = write(tmp_path / "log.json", assume("ASIA1", tags=tagged("team=red")), call("ASIA1"))
    for compiled in (True, False):
        reader = read_logs([log], LogOptions(is_compiled=compiled), ["aws:PrincipalArn"])
        assert sum(batch.records for batch in reader) == 2


def test_an_audit_decides_by_the_tag_of_the_session(tmp_path: Path) -> None:
    """`aws:PrincipalTag/team` = red settles the one, and not what is not known."""
    rules = policy(tmp_path, allow("iam:ListUsers", Condition={
        "StringEquals": {TEAM: "red"}}), allow("sts:*"))
    log = write(tmp_path / "log.json", assume("ASIA1", tags=tagged("team=red")),
                assume("ASIA2", tags=tagged("team=blue")), call("ASIA1"), call("ASIA2"),
                call("ASIA3"))
    done = iamtables("audit", "--policy", rules, "--format", "json", log)
    assert done.code == 0, done.err
    assert json.loads(done.out)["decisions"] == {
        "ALLOW": 3, "IMPLICIT_DENY": 1, "EXPLICIT_DENY": 0, "UNDETERMINED": 1}
    # what the log does not tell is as --missing says; what it tells stays
    done = iamtables("audit", "--policy", rules, "--missing", "absent", "--format", "json", log)
    assert json.loads(done.out)["decisions"] == {
        "ALLOW": 3, "IMPLICIT_DENY": 2, "EXPLICIT_DENY": 0, "UNDETERMINED": 0}
    done = iamtables("audit", "--policy", rules, "--assume", f"{TEAM}=red", "--format", "json", log)
    assert json.loads(done.out)["decisions"]["ALLOW"] == 4
