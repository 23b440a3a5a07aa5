"""`iamtables compile` and `iamtables inspect`: files written whole, refused when damaged, shown."""

from __future__ import annotations

import os

import pytest
from command_line import BEFORE, FULL_ACCESS, READ_ONLY, allow, iamtables, policy


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.iamt"
    finished = iamtables("compile", FULL_ACCESS, READ_ONLY, "-o", path)
    assert finished.code == 0 and finished.out == "" and "2 policies, 16 statements" in finished.err
    return path


def test_compiling_the_same_input_gives_the_same_hash(tmp_path, table):
    def content_hash(*policies):
        path = tmp_path / "again.iamt"
        assert iamtables("compile", *policies, "-o", path).code == 0
        return iamtables("inspect", path, "--json").json()["sha256"]

    expected = iamtables("inspect", table, "--json").json()["sha256"]
    assert content_hash(FULL_ACCESS, READ_ONLY) == expected
    assert content_hash(READ_ONLY, FULL_ACCESS) != expected
    assert content_hash(BEFORE) != expected


def test_inspect_shows_format_sources_counts_sizes_and_keys(table):
    finished = iamtables("inspect", table)
    assert finished.code == 0 and finished.err == ""
    for shown in ("format", "sha256", "AmazonBedrockFullAccess.json", "AmazonBedrockReadOnly.json",
                  "statements", "trie nodes", "automaton states", "predicates", "bytes",
                  "aws:CalledViaLast", "aws:TagKeys"):
        assert shown in finished.out
    assert all(line == line.rstrip() or len(line) < 200 for line in finished.out.splitlines())


def test_inspect_as_json_is_what_the_table_describes(table):
    described = iamtables("inspect", table, "--json").json()
    assert described["counts"]["statements"] == 16
    assert {"format_version", "sha256", "sources", "keys", "bytes"} <= set(described)


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:100], lambda data: data[:-1],
    lambda data: data[: len(data) // 2] + b"\xff" + data[len(data) // 2 + 1 :],
    lambda data: b"PK" + data[2:], lambda data: b'{"Version": "2012-10-17"}',
])
def test_a_damaged_table_is_refused_with_one_message(tmp_path, table, damage):
    path = tmp_path / "bad.iamt"
    path.write_bytes(damage(table.read_bytes()))
    for finished in (iamtables("inspect", path),
                     iamtables("check", path, "-a", "s3:GetObject", "-r", "*")):
        assert (finished.code, finished.out) == (3, "")
        assert finished.err.count("error[IT050]") == 1 and "Traceback" not in finished.err


def test_a_missing_table_is_an_input_error(tmp_path):
    finished = iamtables("inspect", tmp_path / "none.iamt")
    assert finished.code == 3 and finished.err.startswith("error[IT0")


def test_options_are_compiled_in(tmp_path):
    path = tmp_path / "t.iamt"
    iamtables("compile", FULL_ACCESS, "-o", path, "--option", "resource_glob=segment")
    assert iamtables("inspect", path, "--json").json()["options"]["resource_glob"] == "segment"


def test_nothing_is_left_when_compiling_fails(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    out = tmp_path / "out"
    out.mkdir()
    assert iamtables("compile", bad, "-o", out / "t.iamt").code == 3
    assert os.listdir(out) == []


def test_an_existing_table_survives_a_failed_compilation(tmp_path, table):
    before = table.read_bytes()
    bad = policy(tmp_path, {"Effect": "Perhaps"})
    assert iamtables("compile", bad, "--strict", "-o", table).code == 3
    assert table.read_bytes() == before


@pytest.mark.parametrize("place", ["missing/t.iamt", "."])
def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path, place):
    finished = iamtables("compile", FULL_ACCESS, "-o", tmp_path / place)
    assert finished.code == 3 and "error[IT010]" in finished.err and "help:" in finished.err


@pytest.mark.parametrize(("stage", "shown"), [
    ("tree", "BedrockAll"), ("ir", "bedrock:*"), ("tables", "trie"),
])
def test_every_stage_has_a_text_form(stage, shown):
    finished = iamtables("compile", FULL_ACCESS, "--emit", stage)
    assert finished.code == 0 and shown.lower() in finished.out.lower()
    assert finished.out == iamtables("compile", FULL_ACCESS, "--emit", stage).out


def test_a_stage_and_a_table_can_be_asked_for_together(tmp_path):
    path = tmp_path / "t.iamt"
    finished = iamtables("compile", policy(tmp_path, allow("s3:*")), "--emit", "ir", "-o", path)
    assert finished.code == 0 and "s3:*" in finished.out and path.exists()
