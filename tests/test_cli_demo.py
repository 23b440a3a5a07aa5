"""`iamtables demo`: the main job with nothing configured, and the story it tells."""

from __future__ import annotations

import re

import pytest
from command_line import BEFORE, FULL_ACCESS, iamtables


@pytest.fixture(scope="module")
def demo():
    finished = iamtables("demo", "--records", 12_000)
    assert finished.code == 0 and finished.err == ""
    return finished.out


def test_it_says_what_is_attached_to_whom(demo):
    assert "Under today's policies, attached to every user and role" in demo
    assert "AmazonBedrockFullAccess.json, AmazonBedrockReadOnly.json" in demo
    assert "as it stood before December 4th, 2024" in demo
    assert "attached to every user and role" in demo.partition("2. The same log")[2]


def test_it_shows_who_would_be_denied_what_by_which_statement(demo):
    table = demo.partition("who would be denied what")[2]
    for shown in ("AllowMarketplaceModelsListing", "MarketplaceModelEndpointInvokingOperations",
                  "ml-platform-admin", "AWSReservedSSO_MLDeveloper ", "sagemaker:ListHubContents"):
        assert shown in table


def test_it_gives_rates(demo):
    assert re.search(r"[\d,]+ records/s read, mapped and decided twice; [\d,]+ decisions/s", demo)


def test_its_counts_are_those_of_two_audits(tmp_path, demo):
    kept = tmp_path / "log"
    assert iamtables("demo", "--records", 12_000, "--keep", kept).code == 0
    for policy in (FULL_ACCESS, BEFORE):
        summary = iamtables("audit", "--policy", policy, kept, "--format", "json").json()
        assert summary["records"] == 12_000
        count = summary["decisions"]["IMPLICIT_DENY"]
        assert re.search(rf"implicit deny .*\b{count:,}\b", demo)


def test_a_kept_log_goes_to_a_new_or_empty_directory(tmp_path):
    (tmp_path / "something").write_text("")
    finished = iamtables("demo", "--records", 10, "--keep", tmp_path)
    assert finished.code == 3 and "is not empty" in finished.err
    (tmp_path / "something").unlink()
    assert iamtables("demo", "--records", 10, "--keep", tmp_path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["AWSLogs"]


def test_nothing_is_kept_of_a_log_that_could_not_be_finished(tmp_path, monkeypatch):
    from iamtables.demo import sample

    def interrupted(path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "_compress", interrupted)
    finished = iamtables("demo", "--records", 100, "--keep", tmp_path / "log")
    assert finished.code == 130 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("records", [1, 40])
def test_small_logs_work(records):
    assert iamtables("demo", "--records", records).code == 0
