"""What is shipped: an sdist that builds without a network, and a wheel of it that works alone."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import iamtables

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

_BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""

_SOURCES = {
    "LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
    "pyproject.toml", "setup.py", "MANIFEST.in", "compiler/tables.py", "grammar/policy.lark",
    "grammar/pattern.lark", "grammar/arn.lark", "grammar/json_reader.pyx",
    "grammar/json_reader.pxd", "runtime/engine.pyx", "runtime/column.pxd",
    "runtime/words.pxd", "runtime/engine.pyi", "iamtables/py.typed",
    "iamtables/data/catalogue.json.gz", "iamtables/data/policies/AmazonBedrockReadOnly.json",
    "tests/test_vectors.py", "tests/cases/bedrock_full_access.toml", "tests/typing/client.py",
    "docs/spec/vectors.jsonl", "benchmarks/bench_decide.py", "tools/check_types.py",
}  # fmt: skip


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert iamtables.__version__ == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_folder_with_python_is_a_package_that_is_installed() -> None:
    settings = PROJECT["tool"]["setuptools"]
    found = {
        str(file.parent.relative_to(ROOT)).replace(os.sep, ".")
        for top in ("iamtables", "grammar", "compiler", "runtime")
        for file in (ROOT / top).rglob("__init__.py")
        if "__pycache__" not in file.parts
    }
    mapping = {home: name for name, home in settings["package-dir"].items()}

    def installed(name: str) -> str:
        folder, dot, below = name.partition(".")
        return mapping[folder] + dot + below

    assert set(map(installed, found)) == set(settings["packages"])


def test_arrows_between_the_folders_point_one_way() -> None:
    """grammar <- compiler -> runtime; the first and the last know nothing of the others."""
    allowed = {
        "grammar": {"grammar", "errors", "source"},
        "runtime": {"runtime", "errors", "options", "source"},
        "compiler": {"compiler", "grammar", "runtime", "errors", "options", "source"},
    }
    seen = 0
    for folder, targets in allowed.items():
        for file in (ROOT / folder).glob("*.py*"):
            if file.suffix not in (".py", ".pyi"):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level:
                    modules = [node.module or ""] if node.level == 2 else [folder]
                    if node.level == 2 and node.module is None:
                        modules = [name.name for name in node.names]
                elif isinstance(node, ast.ImportFrom):
                    modules = [node.module or ""]
                elif isinstance(node, ast.Import):
                    modules = [name.name for name in node.names]
                else:
                    continue
                for module in modules:
                    first = module.partition(".")[0]
                    is_ours = isinstance(node, ast.ImportFrom) and bool(node.level)
                    assert not is_ours or first in targets, f"{file.name} imports {module}"
                    assert is_ours or first != "iamtables", f"{file.name} imports {module}"
                    seen += is_ours
    assert seen > 100


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that has no way to the network and must succeed."""
    dead = "http://127.0.0.1:9"
    environment = {**os.environ, "PIP_NO_INDEX": "1", "http_proxy": dead, "https_proxy": dead}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sdist")
    skipped = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info", "*.so")
    shutil.copytree(ROOT, place / "source", ignore=skipped)
    name = run(sys.executable, "-c", _BUILD, "sdist", place, cwd=place / "source").split()[-1]
    return place / name


@pytest.fixture(scope="module")
def unpacked(sdist: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    return sdist.parent / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(unpacked: Path) -> Path:
    name = run(sys.executable, "-c", _BUILD, "wheel", unpacked.parent, cwd=unpacked).split()[-1]
    return unpacked.parent / name


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The python of a fresh environment that has the wheel, and borrows its dependencies."""
    home = wheel.parent / "environment"
    venv.create(home, with_pip=False, symlinks=os.name == "posix")
    scripts = home / ("bin" if os.name == "posix" else "Scripts")
    python = scripts / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=home)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home)
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    Path(site.strip(), "zz_borrowed.pth").write_text("\n".join(borrowed))
    return python


@pytest.mark.slow
def test_the_sdist_holds_the_sources_and_nothing_built(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= _SOURCES
    kernels = {path.stem for path in ROOT.glob("runtime/*.pyx")}
    assert {f"runtime/{kernel}.pyi" for kernel in kernels} <= names
    built = (".c", ".so", ".pyc", ".html", ".o")
    assert not [name for name in names if name.endswith(built) or "__pycache__" in name]


@pytest.mark.slow
def test_the_wheel_holds_what_runs_and_what_types_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    kernels = {path.stem for path in ROOT.glob("runtime/*.pyx")}
    for kernel in kernels:
        assert f"iamtables/runtime/{kernel}.pyi" in names
        assert any(name.startswith(f"iamtables/runtime/{kernel}.cpython") for name in names)
    declared = {f"iamtables/runtime/{path.name}" for path in ROOT.glob("runtime/*.pxd")}
    grammars = {f"iamtables/grammar/{path.name}" for path in ROOT.glob("grammar/*.lark")}
    assert declared | grammars | {"iamtables/py.typed"} <= names
    assert {Path(name).name for name in names} >= {"LICENSE", "NOTICE", "entry_points.txt"}
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"iamtables", f"iamtables-{iamtables.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".c", ".pyx", ".pyc"))]


@pytest.mark.slow
def test_the_installed_wheel_decides(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, "-c", "import iamtables; print(iamtables.__file__)", cwd=tmp_path)
    assert Path(shown.strip()).is_relative_to(installed.parent.parent)
    command = installed.parent / "iamtables"
    assert "audit" in run(command, "--help", cwd=tmp_path)
    policies = ROOT / "iamtables" / "data" / "policies"
    request = ("--action", "bedrock:ListGuardrails", "--resource", "*")
    policy = policies / "AmazonBedrockReadOnly.json"
    assert run(command, "check", policy, *request, cwd=tmp_path).startswith("ALLOW")
    run(command, "compile", policy, "-o", "t.iamt", cwd=tmp_path)
    assert "bedrock" in run(command, "inspect", "t.iamt", cwd=tmp_path).lower()


@pytest.mark.slow
def test_the_unpacked_sdist_passes_the_vectors_against_the_wheel(
    installed: Path, unpacked: Path, tmp_path: Path
) -> None:
    vectors = unpacked / "docs" / "spec" / "vectors.jsonl"
    shown = run(installed.parent / "iamtables", "test", vectors, cwd=tmp_path)
    assert "347" in shown
    pytest_options = ("-q", "-p", "no:cacheprovider", "--rootdir", unpacked)
    tests = (unpacked / "tests" / "test_vectors.py", unpacked / "tests" / "test_stubs.py")
    run(installed, "-m", "pytest", *pytest_options, *tests, cwd=tmp_path)


@pytest.mark.slow
def test_mypy_reads_the_types_of_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed (extra `test`)")
    program = tmp_path / "client.py"
    shutil.copyfile(ROOT / "tests" / "typing" / "client.py", program)
    shown = run(installed, "-m", "mypy", "--strict", program, cwd=tmp_path)
    assert "Success" in shown
