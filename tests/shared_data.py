"""Where the shared sample data is: beside the repository, or in the directory IAMTABLES_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_directory() -> Path:
    """The shared directory, whether or not it exists."""
    given = os.environ.get("IAMTABLES_SHARED")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared"


def shared_data(*parts: str) -> Path:
    """A path below the shared data; skips the calling test when it is not there."""
    path = shared_directory().joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"no shared sample data at {path} (set IAMTABLES_SHARED to its directory)")
    return path
