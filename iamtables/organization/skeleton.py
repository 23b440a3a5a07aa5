"""The empty layout of a snapshot with the commands that fill it (`iamtables init`)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from .load import ACCOUNTS, AWS_MANAGED
from .tree import DIRECTORY

README = "README.md"
SCRIPTS = ("fill-organization.sh", "fill-account.sh")


def write_skeleton(directory: str | Path) -> None:
    """Directories, a README and two scripts in `directory`, which is there and empty."""
    place = Path(directory)
    for name in (DIRECTORY, ACCOUNTS, AWS_MANAGED):
        (place / name).mkdir()
    data = files("iamtables.data") / "organization"
    for name in (README, *SCRIPTS):
        path = place / name
        path.write_bytes((data / name).read_bytes())
        if name in SCRIPTS:
            path.chmod(0o755)
