"""What does a second set of policies cost, when a log is decided under both in one go?

The log is the demo's. An audit under today's Bedrock policies and a replay of the older one against
them run in turns in one process; told is the ratio of their fastest rounds, on the clock and in
time on a processor. The answers are held against two separate audits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import SEED

import iamtables
from iamtables.audit import Audit, keys_of, needs_request
from iamtables.audit_counts import UNDECIDED, Summary
from iamtables.data import BEDROCK_FULL_ACCESS_BEFORE, policy_path
from iamtables.demo.sample import Sample, write_sample
from iamtables.logs import read_logs
from iamtables.replaying import Replay, ReplayResult, either_needs_request, keys_of_both

ROUNDS = 5


@pytest.fixture(scope="module")
def log(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    directory = tmp_path_factory.mktemp("log")
    return write_sample(directory, records=40_000 if is_timed else 4_000, seed=SEED)


@pytest.fixture(scope="module")
def older() -> iamtables.Table:
    return iamtables.compile(iamtables.load_policy(policy_path(BEDROCK_FULL_ACCESS_BEFORE)))


@pytest.mark.benchmark(group="replay of a log")
def test_how_much_longer_than_an_audit_does_a_replay_take(
    measure: Callable[..., Any], benchmark: Any, tell: Callable[[str], None], is_timed: bool,
    table: iamtables.Table, older: iamtables.Table, log: Sample,
) -> None:
    def audit_log() -> Summary:
        audit = Audit(table)
        for batch in read_logs([str(log.directory)], keys=keys_of(table),
                               needs=needs_request(table)):
            audit.add(batch)
        return audit.summary()

    def replay_log() -> ReplayResult:
        replay = Replay(older, table)
        for batch in read_logs([str(log.directory)], keys=keys_of_both(older, table),
                               needs=either_needs_request(older, table)):
            replay.add(batch)
        return replay.result()

    result: ReplayResult = measure(replay_log, rows=log.records, facts={
        "corpus_seed": SEED, "records": log.records, "files": log.files}, rounds=3,
        unit="records")
    if is_timed:
        walls, processors = _in_turns((audit_log, replay_log))
        benchmark.extra_info |= {"replay_to_audit": walls, "replay_to_audit_cpu": processors}
        tell(f"a replay takes {walls:.2f} x one audit ({processors:.2f} x on the processor)")
    _assert_as_two_audits(log.directory, older, table, result)
    assert result.newly_allowed and result.newly_undetermined and not result.newly_denied


def _in_turns(functions: tuple[Callable[[], object], Callable[[], object]]) -> tuple[float, float]:
    """The second's fastest round over the first's: wall time, and time of this thread."""
    walls, processors = np.full((2, 2, ROUNDS), np.inf)
    for turn in range(ROUNDS):
        for which, function in enumerate(functions):
            wall, processor = time.perf_counter(), time.thread_time()
            function()
            walls[which, turn] = time.perf_counter() - wall
            processors[which, turn] = time.thread_time() - processor
    return (float(walls[1].min() / walls[0].min()),
            float(processors[1].min() / processors[0].min()))


def _assert_as_two_audits(directory: Path, before: iamtables.Table, after: iamtables.Table,
                          result: ReplayResult) -> None:
    sides = []
    for table in (before, after):
        audit = Audit(table)
        sides.append(np.concatenate([
            audit.add(batch).decision
            for batch in read_logs([str(directory)], keys=keys_of(table))]))
    pairs = Counter(zip(*(side.tolist() for side in sides), strict=True))
    told = {
        (iamtables.DecisionCode[was], iamtables.DecisionCode[now]): count
        for was, row in result.transitions.items() for now, count in row.items() if count
    }
    assert told == {pair: n for pair, n in pairs.items() if UNDECIDED not in pair}
