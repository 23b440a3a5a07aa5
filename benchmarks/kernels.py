"""Compiled helpers of the benchmarks: built when first asked for, never part of the package.

Cython, which building the package needs anyway, makes them in `build/benchmarks`, once for each
state of their sources, of the kernels' declarations and of Python. `product_hash.h` is cut from
the interner. They may import the declarations of the product's kernels, as those do from each
other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
_RUNTIME = HERE.parent / "runtime"


@cache
def load_kernel(name: str) -> ModuleType:
    """The module of `benchmarks/NAME.pyx`, built unless this very source was built before."""
    source = (HERE / f"{name}.pyx").read_text()
    header = _product_hash()
    declarations = sorted(_RUNTIME.glob("*.pxd"))
    parts = [source, header, sys.version, *(file.read_text() for file in declarations)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder = HERE.parent / "build" / "benchmarks" / key
    built = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name_of_scratch:
            scratch = Path(name_of_scratch)  # others may build the same at the same time
            package = scratch / "declarations" / "iamtables" / "runtime"
            package.mkdir(parents=True)
            for directory in (package.parent, package):
                (directory / "__init__.py").touch()
            for file in declarations:
                shutil.copyfile(file, package / file.name)
            (scratch / "product_hash.h").write_text(header)
            (scratch / f"{name}.pyx").write_text(source)
            _build(scratch, name)
            (scratch / built.name).replace(built)
    spec = importlib.util.spec_from_file_location(name, built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _product_hash() -> str:
    """The C of the interner's hash, without the Cython around it."""
    found = re.search(r'cdef extern from \*:\n    """\n(.*?)\n    """\n    uint64_t iamt_hash',
                      (_RUNTIME / "intern.pyx").read_text(), re.DOTALL)
    if found is None:
        raise RuntimeError("runtime/intern.pyx has no C block that declares `iamt_hash`")
    return found[1] + "\n"


def _build(folder: Path, name: str) -> None:
    from Cython.Build import cythonize
    from setuptools import Extension
    from setuptools.dist import Distribution

    extension = Extension(name, [str(folder / f"{name}.pyx")], include_dirs=[str(folder)],
                          extra_compile_args=["-O3", "-g0"])
    made = cythonize([extension], quiet=True, include_path=[str(folder / "declarations")],
                     compiler_directives={"language_level": 3, "boundscheck": False,
                                          "wraparound": False, "initializedcheck": False})
    command = Distribution({"ext_modules": made}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder), str(folder / "temp")
    command.ensure_finalized()
    command.run()
