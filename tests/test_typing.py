"""What a type checker tells users: the packages are clean, a program of theirs is understood."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import iamtables
from iamtables import runtime

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "tests" / "typing" / "client.py"

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed (extra `test`)"
)


def check_types(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_types.py"), *arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@needs_mypy
def test_the_packages_and_a_users_program_are_clean_under_mypy_strict() -> None:
    done = check_types(str(CLIENT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Success: no issues found") == 2


@pytest.mark.slow
@needs_mypy
def test_stubtest_finds_the_stubs_as_the_kernels_are() -> None:
    done = check_types("--stubtest")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_users_program_uses_every_public_name() -> None:
    tree = ast.parse(CLIENT.read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and node.value.id == "it"
    }  # fmt: skip
    imported = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "iamtables.runtime"
        for name in node.names
    }
    assert set(iamtables.__all__) <= used
    assert set(runtime.__all__) <= used | imported


def test_what_is_exported_is_what_a_type_checker_is_told() -> None:
    """`iamtables` resolves names when they are used; its imports for type checkers say the same."""
    tree = ast.parse((ROOT / "iamtables" / "__init__.py").read_text())
    told = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            told |= {name.name: f".{node.module}" for name in node.names}
    assert told == iamtables._HOME
    assert set(iamtables.__all__) == told.keys()
    for name in iamtables.__all__:
        assert getattr(iamtables, name) is not None
    with pytest.raises(AttributeError, match="complie"):
        _ = iamtables.complie
