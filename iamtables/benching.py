"""How fast this machine decides under given policies: ids, strings, one request, raw logs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from .requests_near import Coded
from .runtime import DictionaryColumn, Table

_ROUNDS_S = 1.5
"""A question is asked again until this much time has gone by; the best time counts."""
_FEWEST = 3  # rounds, whatever they take
_CHECKS = 2_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of a bench.

    per_second : answers in a second, of the fastest round, by one thread's time on a processor
    """

    question: str
    unit: str
    per_second: float

    @property
    def ns(self) -> float:
        """Nanoseconds an answer takes."""
        return 1e9 / self.per_second


class Disagreement(AssertionError):
    """Two ways of asking gave different answers: a defect of ours, never of the policies."""


def measure_columns(table: Table, columns: Mapping[str, Coded]) -> list[Measured]:
    """Ids and strings to decisions. Raises Disagreement when a round answers otherwise."""
    rows = len(columns["action"].codes)
    coded = {name: DictionaryColumn(c.codes, list(c.values)) for name, c in columns.items()}
    strings = {name: _strings(c) for name, c in columns.items()}
    expected = table.decide(coded).decision
    found = []
    with table.session() as session:
        session.decide(coded)
        found.append(_columns("ids to decisions, values known", rows, expected,
                              lambda: session.decide(coded)))
        found.append(_columns("strings to decisions, values new", rows, expected,
                              lambda: table.decide(strings)))
        session.decide(strings)
        found.append(_columns("strings to decisions, values known", rows, expected,
                              lambda: session.decide(strings)))
    return found


def measure_checks(table: Table, columns: Mapping[str, Coded]) -> list[Measured]:
    """One request after the other, the same again and varied ones."""
    count = min(_CHECKS, len(columns["action"].codes))
    requests = [_request(columns, row) for row in range(count)]
    expected = table.decide({n: DictionaryColumn(c.codes[:count], list(c.values))
                             for n, c in columns.items()}).decision

    def varied() -> Any:
        return [table.check(**request).decision for request in requests]

    def same() -> Any:
        return [table.check(**requests[0]).decision for _ in requests]

    if not np.array_equal(varied(), expected):
        raise Disagreement("check and decide differ")
    return [
        Measured("one check, the same request again", "checks", count / _fastest(same)),
        Measured("one check, varied requests", "checks", count / _fastest(varied)),
    ]


def measure_logs(table: Table, records: int, seed: int) -> Measured:
    """Raw CloudTrail files to decisions: a generated log, inflated, mapped, decided, summed up."""
    from .audit import Audit, needs_request
    from .batches import Batch
    from .demo.sample import write_sample
    from .logs import read_logs

    with tempfile.TemporaryDirectory(prefix="iamtables-") as directory:
        write_sample(Path(directory), records=records, seed=seed)
        totals: list[int] = []

        def audit() -> None:
            run = Audit(table)
            reader = read_logs([directory], None, list(table.keys), needs=needs_request(table))
            for batch in reader:
                run.add(cast(Batch, batch))
            totals.append(run.summary().records)

        seconds = _fastest(audit)
    if set(totals) != {records}:
        raise Disagreement(f"of {records} records {totals} were counted")
    return Measured("raw logs to decisions", "records", records / seconds)


def _columns(question: str, rows: int, expected: Any, decide: Callable[[], Any]) -> Measured:
    def run() -> None:
        if not np.array_equal(decide().decision, expected):
            raise Disagreement(f"{question}: a round answered otherwise")

    return Measured(question, "rows", rows / _fastest(run))


def _fastest(run: Callable[[], Any]) -> float:
    """Least seconds of this thread on a processor, of at least three rounds."""
    best, began, rounds = float("inf"), time.perf_counter(), 0
    while rounds < _FEWEST or time.perf_counter() - began < _ROUNDS_S:
        started = time.thread_time()
        run()
        best = min(best, time.thread_time() - started)
        rounds += 1
    return best


def _strings(column: Coded) -> pa.Array:
    codes = pa.array(column.codes, mask=column.codes < 0)
    return pa.array(list(column.values), pa.string()).take(codes)


def _request(columns: Mapping[str, Coded], row: int) -> dict[str, Any]:
    one: dict[str, Any] = {"context": {}}
    for name, column in columns.items():
        code = int(column.codes[row])
        if name in ("action", "resource"):
            one[name] = column.values[code]
        elif code >= 0:
            one["context"][name] = column.values[code]
    return one
