"""The README does what it says: its Python runs, its commands run, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (iamtables .+)$", README, re.MULTILINE)


def test_the_python_of_the_readme_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "iamtables").symlink_to(ROOT / "iamtables")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    exec(compile("\n".join(blocks), "README.md", "exec"), {})
    assert "UNDETERMINED: it depends on" in capsys.readouterr().out


def test_the_commands_of_the_readme_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iamtables.cli.main import cli
    from iamtables.demo.sample import write_sample

    for folder in ("iamtables", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    write_sample(tmp_path, records=500, seed=1)
    assert (tmp_path / "AWSLogs").is_dir()
    assert len(COMMANDS) == 5
    for line in COMMANDS:
        words = [w for word in shlex.split(line)[1:] for w in _expanded(word, tmp_path)]
        result = CliRunner().invoke(cli, words)
        expected = 1 if words[0] == "check" else 0  # the key cannot be described, as the page says
        assert result.exit_code == expected, f"{line}\n{result.output}"
    assert (tmp_path / "decisions.parquet").stat().st_size > 0


def _expanded(word: str, base: Path) -> list[str]:
    if "*" not in word:
        return [word]
    return sorted(str(path.relative_to(base)) for path in base.glob(word))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_to_files(target: str) -> None:
    assert (ROOT / target).is_file()
