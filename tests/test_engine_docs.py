"""The examples of docs/engines.md run, in their order, each engine in a test of its own."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SPARK = "```python spark\n"
"""Run by tests/test_spark.py, which has a cluster."""


def blocks(text: str, fence: str = "```python\n") -> list[str]:
    return re.findall(re.escape(fence) + r"(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(("engine", "count"), [
    ("Arrow", 1), ("DuckDB", 1), ("Polars", 1), ("pandas", 1)])
def test_the_examples_of_an_engine_run(
    engine: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = engine.lower()
    if module != "arrow" and importlib.util.find_spec(module) is None:
        pytest.skip(f"{engine} is not installed")
    (tmp_path / "iamtables").symlink_to(ROOT / "iamtables")
    monkeypatch.chdir(tmp_path)
    start, found = blocks(PAGE.partition("## Arrow")[0]), blocks(SECTIONS[engine])
    assert len(start) == 1 and len(found) == count
    names: dict[str, Any] = {}
    exec(compile("\n".join(start + found), "engines.md", "exec"), names)
    assert names["expected"][2] == "UNDETERMINED"


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    import shlex

    import pyarrow as pa
    import pyarrow.parquet as pq

    from iamtables.cli.main import cli

    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"decision": ["ALLOW", "ALLOW"]}), "decisions.parquet")
    commands = re.findall(r"^    (iamtables .+)$", PAGE, re.MULTILINE)
    assert len(commands) == 1
    result = CliRunner().invoke(cli, shlex.split(commands[0])[1:])
    assert result.exit_code == 0 and result.output.splitlines()[1].split() == ["ALLOW", "2"]


def test_every_section_is_run_and_links_lead_to_files() -> None:
    assert set(SECTIONS) == {"Arrow", "DuckDB", "Polars", "pandas", "Spark"}
    assert len(blocks(SECTIONS["Spark"], SPARK)) == 3 and not blocks(SECTIONS["Spark"])
    for page in ("engines.md", "scale.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / "docs" / target).is_file(), target
