"""Options of a test run, and the helper modules beside the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for its workers, and tables would wrap


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases", type=int, default=int(os.environ.get("IAMTABLES_CASES", "0")),
        help="generated (policy, request) cases of each differential test (or IAMTABLES_CASES); "
             "else as many as exercise every rule")
    parser.addoption(
        "--seed", type=int, default=int(os.environ.get("IAMTABLES_SEED", "1")),
        help="first seed of the generated cases (or IAMTABLES_SEED)")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")


_LONGEST = ("test_differential.py", "test_unknowns.py", "test_managed_policies.py",
            "test_layers_differential.py", "test_compare_small_worlds.py", "test_artefact.py")
"""Files that take half of a run: begun last, they would keep one processor waiting for minutes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="runs only with --slow"))


_SAID = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """What a run counted, printed at its end, also when the test passes."""
    return pytestconfig.stash.setdefault(_SAID, []).append


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of pytest-xdist: in a worker
    if output is not None:
        output["said"] = session.config.stash.get(_SAID, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker of pytest-xdist hands over what its tests said."""
    said = getattr(node, "workeroutput", {}).get("said", [])
    node.config.stash.setdefault(_SAID, []).extend(said)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for text in config.stash.get(_SAID, []):
        terminalreporter.write_line(f"\n{text}")


@pytest.fixture(scope="session")
def case_count(pytestconfig: pytest.Config) -> int:
    """How many generated cases of identity policies this run decides."""
    return int(pytestconfig.getoption("--cases")) or 200_000


@pytest.fixture(scope="session")
def layered_case_count(pytestconfig: pytest.Config) -> int:
    """How many of several layers; the reference takes twice as long for one."""
    return int(pytestconfig.getoption("--cases")) or 80_000


@pytest.fixture(scope="session")
def first_seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--seed"))
