"""Build of the Cython kernels; everything declarative is in pyproject.toml.

The folders `grammar/`, `compiler/` and `runtime/` install as `iamtables.grammar`,
`iamtables.compiler` and `iamtables.runtime`; the extractor lies in `iamtables/logs/`.
Cython resolves a relative cimport by package path, so the `.pxd` files are mirrored below `build/`
under that path first.
IAMTABLES_CHECKED=1 builds the kernels with bounds checks on (the same tests must pass).
"""

import filecmp
import os
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).parent
CHECKED = os.environ.get("IAMTABLES_CHECKED") == "1"
JOBS = os.cpu_count() or 1


def mirror_declarations() -> str:
    root = HERE / "build" / "declarations"
    for name, folder in (("grammar", HERE / "grammar"), ("compiler", HERE / "compiler"),
                         ("runtime", HERE / "runtime"), ("logs", HERE / "iamtables" / "logs")):
        package = root / "iamtables" / name
        package.mkdir(parents=True, exist_ok=True)
        for directory in (package.parent, package):
            (directory / "__init__.py").touch()
        declarations = {source.name: source for source in folder.glob("*.pxd")}
        for mirrored in package.glob("*.pxd"):
            if mirrored.name not in declarations:
                mirrored.unlink()
        for file, source in declarations.items():
            mirrored = package / file
            if not mirrored.exists() or not filecmp.cmp(source, mirrored, shallow=False):
                shutil.copyfile(source, mirrored)  # a new date would rebuild every kernel
    return str(root)


def extensions() -> list[Extension]:
    flags = ["-O3", "-g0"] if os.name == "posix" else []
    return [
        Extension(f"iamtables.{package}.{source.stem}", [f"{folder}/{source.name}"],
                  extra_compile_args=flags)
        for package, folder in (
            ("grammar", "grammar"), ("compiler", "compiler"), ("runtime", "runtime"),
            ("logs", "iamtables/logs"))
        for source in sorted((HERE / folder).glob("*.pyx"))
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=[mirror_declarations()],
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "embedsignature": True,
        },
        force=CHECKED,
        nthreads=JOBS if sys.platform == "linux" else 0,
    ),
    options={"build_ext": {"parallel": JOBS}},
)
