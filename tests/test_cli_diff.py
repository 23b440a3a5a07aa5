"""`iamtables diff` and `iamtables history`: answers, expectations, exit codes, forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import BEFORE, FULL_ACCESS, allow, deny, iamtables, policy


def versions(directory: Path, **numbered: Any) -> Path:
    for name, statements in numbered.items():
        policy(directory, *statements, name=f"Team.{name}.json")
    return directory


def test_a_difference_is_told_with_place_condition_and_witness() -> None:
    finished = iamtables("diff", BEFORE, FULL_ACCESS)
    assert finished.code == 0 and finished.err == ""
    assert finished.out.startswith("world: every request that the rules admit\n")
    assert "newly allowed: " in finished.out
    assert "AmazonBedrockFullAccess.json:" in finished.out
    assert "StringEquals aws:CalledViaLast: bedrock.amazonaws.com" in finished.out
    assert "no longer allowed: nothing (proved)" in finished.out


@pytest.mark.parametrize(("expect", "old", "new", "code"), [
    ("no-new-access", BEFORE, FULL_ACCESS, 1),
    ("no-lost-access", BEFORE, FULL_ACCESS, 0),
    ("equivalent", BEFORE, FULL_ACCESS, 1),
    ("no-new-access", FULL_ACCESS, BEFORE, 0),
    ("no-lost-access", FULL_ACCESS, BEFORE, 1),
    ("equivalent", FULL_ACCESS, FULL_ACCESS, 0),
])
def test_an_expectation_decides_the_exit_code(expect: str, old: str, new: str, code: int) -> None:
    assert iamtables("diff", old, new, "--expect", expect).code == code


def test_an_undecided_expectation_ends_with_4(tmp_path: Path) -> None:
    faulty = deny("s3:*", Condition={"StringSeemsLike": {"k:v": "a"}})
    old = policy(tmp_path, allow("s3:*"), faulty, name="old.json")
    new = policy(tmp_path, allow("s3:*"), name="new.json")
    assert iamtables("diff", old, new, "--expect", "no-new-access").code == 4
    assert iamtables("diff", old, new).code == 4
    assert iamtables("diff", old, new, "--expect", "no-lost-access").code == 0


def test_the_world_of_the_catalogue_knows_that_a_pattern_matches_no_key(tmp_path: Path) -> None:
    old = policy(tmp_path, allow("s3:GetObject"), name="old.json")
    new = policy(tmp_path, allow("s3:GetObject"), allow("kms:DescribeKey", "arn:*:kms:*:::*"),
                 name="new.json")
    assert iamtables("diff", old, new, "--expect", "equivalent").code == 1
    finished = iamtables("diff", old, new, "--expect", "equivalent", "--world", "catalogue")
    assert finished.code == 0 and "service catalogue" in finished.out


def test_json_holds_the_whole_comparison() -> None:
    data = iamtables("diff", BEFORE, FULL_ACCESS, "--json", "--expect", "equivalent").json()
    assert (data["equivalent"], data["expect"], data["world"]) == ("no", "equivalent", "rules")
    first = data["gained"]["differences"][0]
    assert first["statement"]["location"]["line"] > 1
    assert set(first["witness"]) == {"action", "resource", "context"}


def test_directories_are_taken_as_one_side(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    policy(tmp_path / "old", allow(["s3:GetObject", "s3:PutObject"]), name="a.json")
    policy(tmp_path / "new", allow("s3:GetObject"), name="a.json")
    policy(tmp_path / "new", allow("s3:PutObject"), name="b.json")
    assert iamtables("diff", tmp_path / "old", tmp_path / "new", "--expect", "equivalent").code == 0


def test_one_policy_alone_is_looked_into(tmp_path: Path) -> None:
    place = policy(
        tmp_path,
        allow(["s3:Get*", "s3:PutObject"], "arn:aws:s3:::b/*", Sid="Wide"),
        allow("s3:GetObject", "arn:aws:s3:::b/x*", Sid="Covered"),
        allow(["s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::b/y", Sid="Half"),
        deny("ec2:*", Sid="Ec2"),
        allow("ec2:RunInstances", Sid="Denied"),
        deny("kms:*", Sid="Idle"),
        allow("iam:*", Sid="Dead", Condition={
            "StringEquals": {"k:a": "x"}, "StringNotEquals": {"k:a": ["x", "y"]}}),
    )
    found = iamtables("diff", place, "--json").json()["oddities"]
    told = {(o["statement"]["sid"], o["kind"], o["action"]): o for o in found}
    assert set(told) == {
        ("Covered", "covered", ""), ("Half", "granted-already", "s3:PutObject"),
        ("Denied", "always-denied", ""), ("Idle", "deny-without-effect", ""),
        ("Dead", "never-matches", "")}
    assert told["Covered", "covered", ""]["others"][0]["sid"] == "Wide"
    assert told["Denied", "always-denied", ""]["others"][0]["sid"] == "Ec2"
    assert told["Covered", "covered", ""]["witness"]["action"] == "s3:GetObject"
    assert told["Dead", "never-matches", ""]["witness"] is None
    half = told["Half", "granted-already", "s3:PutObject"]
    row = Path(place).read_text().splitlines()[half["location"]["line"] - 1]
    assert "s3:PutObject" in row
    text = iamtables("diff", place)
    assert text.code == 0 and "Covered: other statements allow all" in text.out


def test_a_policy_without_oddities_says_so(tmp_path: Path) -> None:
    assert iamtables("diff", policy(tmp_path, allow("s3:Get*"))).out == "no oddities\n"


def test_an_expectation_needs_two_sides() -> None:
    assert iamtables("diff", FULL_ACCESS, "--expect", "equivalent").code == 2


def test_a_history_tells_what_each_version_added_and_removed(tmp_path: Path) -> None:
    versions(tmp_path, v1=[allow("s3:GetObject")],
             v2=[allow(["s3:GetObject", "s3:PutObject"])], v5=[allow("s3:PutObject")])
    finished = iamtables("history", tmp_path)
    assert finished.code == 1
    assert "v1 -> v2: no permission was removed (proved)" in finished.out
    assert "v2 -> v5 (no file holds v3, v4; this step spans them): PERMISSIONS WERE REMOVED" in (
        finished.out)
    (told,) = iamtables("history", tmp_path, "--json").json()["policies"]
    assert told["promise"] == "broken" and told["versions"] == [1, 2, 5]
    assert [s["promise"] for s in told["steps"]] == ["held", "broken"]


def test_a_history_takes_dates_from_wrappers_and_from_an_index(tmp_path: Path) -> None:
    versions(tmp_path, v1=[allow("s3:GetObject")], v2=[allow("s3:*")])
    (tmp_path / "index.json").write_text(json.dumps(
        [{"file": "Team.v2.json", "created": "2026-01-02T03:04:05Z"}, 7]))
    finished = iamtables("history", tmp_path)
    assert finished.code == 0 and "v1 -> v2, 2026-01-02: " in finished.out


@pytest.mark.parametrize("files", [{}, {"policy.json": "{}"}])
def test_a_directory_without_versions_is_one_clear_error(tmp_path: Path, files: Any) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    finished = iamtables("history", tmp_path)
    assert finished.code == 3 and "holds no versions" in finished.err
