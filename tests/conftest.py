"""Options of a test run, and the helper modules beside the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases", type=int, default=int(os.environ.get("IAMTABLES_CASES", "200000")),
        help="generated (policy, request) cases of the differential test (or IAMTABLES_CASES)")
    parser.addoption(
        "--seed", type=int, default=int(os.environ.get("IAMTABLES_SEED", "1")),
        help="first seed of the generated cases (or IAMTABLES_SEED)")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="runs only with --slow"))


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Prints to the terminal, also when the test passes."""
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        if reporter is not None and capture is not None:
            with capture.global_and_fixture_disabled():
                reporter.write_line(f"\n{text}")

    return say


@pytest.fixture(scope="session")
def case_count(pytestconfig: pytest.Config) -> int:
    """How many generated cases this run decides."""
    return int(pytestconfig.getoption("--cases"))


@pytest.fixture(scope="session")
def first_seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--seed"))
