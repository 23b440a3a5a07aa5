"""Run mypy --strict on the packages as they install, then on programs that use them.

    python tools/check_types.py                           # the packages
    python tools/check_types.py tests/typing/client.py    # and a user's program against them
    python tools/check_types.py --stubtest                # the .pyi files against the built kernels

The folders of the repository are packages of `iamtables` only once they are installed, and a type
checker does not follow the finder of an editable install. So the files that a wheel would carry are
laid out in a temporary directory, from the mapping in pyproject.toml, and mypy looks there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lay_out(target: Path) -> None:
    """The packages of pyproject.toml with their sources and stubs, below `target`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders: dict[str, str] = settings["package-dir"]
    for package in settings["packages"]:
        mapped = max((name for name in folders if f"{package}.".startswith(f"{name}.")), key=len)
        source = ROOT / folders[mapped] / package.removeprefix(mapped)[1:].replace(".", "/")
        destination = target / package.replace(".", "/")
        destination.mkdir(parents=True)
        for pattern in ("*.py", "*.pyi", "py.typed"):
            for file in source.glob(pattern):
                shutil.copyfile(file, destination / file.name)


def kernels() -> list[str]:
    """Modules whose signature is a stub."""
    return [f"iamtables.runtime.{stub.stem}" for stub in sorted(ROOT.glob("runtime/*.pyi"))]


CYTHON_NAMES = r"iamtables\.runtime\.\w+\.__(reduce_cython|setstate_cython|pyx_capi|test)__"
"""What Cython adds to every module; a stub need not tell of it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("programs", nargs="*", type=Path, help="files that use the packages")
    parser.add_argument("--stubtest", action="store_true", help="compare stubs with the kernels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lay_out(Path(place, "packages"))
        environment = {**os.environ, "MYPYPATH": str(Path(place, "packages"))}

        def run(*command: str) -> int:
            # Not from the repository: there `iamtables` is a folder without its other packages.
            return subprocess.run(
                [sys.executable, "-m", *command], cwd=place, env=environment, check=False
            ).returncode

        settings = str(ROOT / "pyproject.toml")
        if arguments.stubtest:
            Path(place, "allowed").write_text(CYTHON_NAMES)
            return run("mypy.stubtest", "--mypy-config-file", settings, "--allowlist",
                       str(Path(place, "allowed")), "--ignore-unused-allowlist",
                       "--ignore-disjoint-bases", *kernels())  # fmt: skip
        mypy = ("mypy", "--strict", "--config-file", settings)
        status = run(*mypy, "-p", "iamtables")
        if arguments.programs and not status:
            status = run(*mypy, *(str(program.resolve()) for program in arguments.programs))
        return status


if __name__ == "__main__":
    sys.exit(main())
