"""What a terminal shows while logs are read: records, their rate, how far it is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import FULL_ACCESS
from log_records import record, write

from iamtables.cli import auditing
from iamtables.logs import LogOptions, read_logs

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def logs(directory: Path, files: int) -> Path:
    directory.mkdir()
    for number in range(files):
        write(directory / f"{number}.json", *(
            record("bedrock", "ListGuardrails", eventID=f"{number:016x}{place:020x}")
            for place in range(50)))
    return directory


def on_terminal(*arguments: str) -> str:
    """What `iamtables ARGUMENTS` writes to a terminal that is its standard error."""
    leader, follower = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "iamtables.cli.main", *arguments], stdout=subprocess.DEVNULL,
            stderr=follower, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        ) as process:
            os.close(follower)
            seen = b""
            while True:
                try:
                    piece = os.read(leader, 65536)
                except OSError:  # the last one has closed it
                    break
                if not piece:
                    break
                seen += piece
        assert process.returncode == 0, seen
    finally:
        os.close(leader)
    return _STEERING.sub("", seen.decode("utf-8", "replace"))


def test_a_terminal_sees_records_their_rate_and_what_is_left(tmp_path: Path) -> None:
    seen = on_terminal("audit", "--policy", FULL_ACCESS, str(logs(tmp_path / "logs", 3)))
    assert "auditing" in seen
    assert re.search(r"150 records, [\d,]+/s", seen), seen
    assert re.search(r"\d:\d\d:\d\d left", seen), seen


def test_progress_goes_by_the_bytes_of_files_and_ends_at_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = read_logs([logs(tmp_path / "logs", 4)], LogOptions(batch_records=1), keys=[])
    source = auditing.Input(("logs",), reader)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done: list[float] = []
    with auditing.progress("auditing", source) as tick:
        for batch in reader:
            tick(batch.records)
            done.append(reader.statistics.bytes_done / reader.statistics.bytes_found)
    assert done == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.01)  # the file in hand is not done
    assert reader.statistics.bytes_done == reader.statistics.bytes_found


def test_a_pipe_sees_no_progress(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "iamtables.cli.main", "audit", "--policy", FULL_ACCESS,
         str(logs(tmp_path / "logs", 1))], capture_output=True, text=True, check=True)
    assert "records," not in finished.stderr
