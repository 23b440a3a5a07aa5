"""The list of planted faults stays true: each still fits the code and names a test that exists.

That the test named catches the fault is shown by `tools/plant_faults.py`, which takes an hour.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_ROOT = Path(__file__).parent.parent
_SCRIPT = _ROOT / "tools" / "plant_faults.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plant_faults", _SCRIPT)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANTING = _script()
FAULTS = PLANTING.read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_changes_the_code_as_it_stands(fault: Any) -> None:
    """A text that is no longer found is a fault that is no longer tested for."""
    text = (_ROOT / fault.file).read_text("utf-8")
    assert fault.planted(text) != text


def test_the_areas_of_the_pipeline_are_all_there() -> None:
    files = {fault.file for fault in FAULTS}
    assert {"compiler/lower.py", "compiler/passes.py", "compiler/trie.py", "compiler/filing.pyx",
            "compiler/automaton.py", "runtime/conditions.py", "runtime/globs.pyx",
            "runtime/classify.pyx", "runtime/engine.pyx", "runtime/column.pyx"} <= files
    assert {f"{area}.toml" for area in PLANTING.AREAS} == {
        path.name for path in PLANTING.LISTS.glob("*.toml")}


def test_the_list_shown_names_an_existing_test_for_every_fault() -> None:
    caught = PLANTING.caught_before()
    assert list(caught) == [fault.name for fault in FAULTS]
    for name, test in caught.items():
        path, _, function = test.partition("::")
        assert f"def {function}(" in (_ROOT / path).read_text("utf-8"), name
