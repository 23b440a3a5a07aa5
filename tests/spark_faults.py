"""Tasks for Spark's workers that go wrong once, or tell about the process they run in."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from iamtables.spark.artefact import Artefact, opened
from iamtables.spark.reading import Elsewhere, Settings
from iamtables.spark.tasks import AuditTask


class DyingTask(AuditTask):
    """Kills its executor, with all of its processes, in the middle of one part; once."""

    def __init__(self, artefact: Artefact, settings: Settings, flag: str, part: int) -> None:
        super().__init__(artefact, settings)
        self._flag, self._part = flag, part

    def _run(self, number: int, files: Sequence[str], elsewhere: Elsewhere
             ) -> Iterator[pa.RecordBatch]:
        for at, rows in enumerate(super()._run(number, files, elsewhere)):
            yield rows
            if number == self._part and at == 1 and not Path(self._flag).exists():
                executor = parent_of(os.getppid())  # this process < its daemon < the executor
                Path(self._flag).write_text(f"{executor} {command_of(executor)}")
                os.kill(executor, signal.SIGKILL)
                signal.pause()  # until Spark's own end of orphans


def parent_of(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def command_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


class Telling:
    """Runs a function for `mapInArrow`, and tells of its process instead of the rows."""

    SCHEMA = "process int, modules array<string>, opened int, kept int, mapped boolean"

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in self._function(batches):
            pass
        maps = Path("/proc/self/maps").read_text()
        yield pa.RecordBatch.from_pydict({
            "process": pa.array([os.getpid()], pa.int32()),
            "modules": pa.array([sorted(sys.modules)], pa.list_(pa.string())),
            "opened": pa.array([opened.cache_info().misses], pa.int32()),
            "kept": pa.array([opened.cache_info().currsize], pa.int32()),
            "mapped": [".iamt" in maps]})
