"""When benchmarks are timed, what they run on, and how rates are reported.

    pytest               the whole suite: every benchmark runs once, on small corpora, untimed
    pytest benchmarks    timed, on the full corpora (also `pytest --benchmark-enable`)

IAMTABLES_BENCHMARK_ROWS sets the rows of the request corpora (that of many principals: when timed).
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from corpora import Corpus, ManagedPolicies  # noqa: E402
from goals import Goal, InTurns, Judge, Turns  # noqa: E402
from limits import Limits  # noqa: E402
from principals import PrincipalCorpus  # noqa: E402

import iamtables  # noqa: E402

FULL_ROWS, SMALL_ROWS = 1_000_000, 50_000
_RATES = pytest.StashKey[list[str]]()
_GOALS = pytest.StashKey[list[str]]()


def _is_timed(config: pytest.Config) -> bool:
    """Timing is for those who ask for it: by naming benchmarks, or by an option."""
    if config.getoption("benchmark_disable") or config.getoption("benchmark_skip"):
        return False
    if config.getoption("benchmark_enable") or config.getoption("benchmark_only"):
        return True
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        return False
    named = (Path(arg.partition("::")[0]).absolute() for arg in config.args)
    return all(path == HERE or HERE in path.parents for path in named)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """What is timed has the machine to itself."""
    return 0 if _is_timed(config) else None


@pytest.fixture(scope="session")
def is_timed(pytestconfig: pytest.Config) -> bool:
    return _is_timed(pytestconfig)


@pytest.fixture
def benchmark(benchmark: Any, is_timed: bool) -> Any:
    """pytest-benchmark's own, switched off unless this run is timed."""
    benchmark.disabled = benchmark.disabled or not is_timed
    return benchmark


@pytest.fixture(scope="session")
def corpus(is_timed: bool) -> Corpus:
    """Requests for the two Bedrock policies."""
    return Corpus(_rows() or (FULL_ROWS if is_timed else SMALL_ROWS))


def _rows() -> int:
    return int(os.environ.get("IAMTABLES_BENCHMARK_ROWS", 0))


@pytest.fixture(scope="session")
def table(corpus: Corpus) -> iamtables.Table:
    """The two Bedrock policies, compiled."""
    return iamtables.compile([iamtables.parse_policy(text) for text in corpus.policies])


@pytest.fixture(scope="session")
def managed(is_timed: bool) -> ManagedPolicies:
    """All managed policies that moto carries; every twentieth in an untimed run."""
    return ManagedPolicies.load(1 if is_timed else 20)


@pytest.fixture(scope="session")
def workforce(is_timed: bool, managed: ManagedPolicies) -> PrincipalCorpus:
    """Five hundred principals under managed policies."""
    rows = _rows() or FULL_ROWS if is_timed else 4_000
    return PrincipalCorpus(managed, rows, distinct=rows // 20, principals=500 if is_timed else 40)


@pytest.fixture(scope="session")
def limits(workforce: PrincipalCorpus) -> Limits:
    """Limits over the columns of `workforce`, their answers compared."""
    made = Limits(workforce.columns)
    made.verify()
    return made


@pytest.fixture(scope="session")
def machine() -> dict[str, Any]:
    """Where the numbers were taken and with which versions."""
    packages = ("iamtables", "numpy", "pyarrow", "lark", "msgspec", "isal", "pytest-benchmark")
    return {
        "machine": {"processor": _processor(), "cpu_count": os.cpu_count(),
                    "system": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }


Measure = Callable[..., Any]


@pytest.fixture
def measure(benchmark: Any, machine: dict[str, Any], request: pytest.FixtureRequest) -> Measure:
    """`measure(function, rows=…, facts=…)` runs the function under the benchmark and returns its
    result; `extra_info` gets the rates.

    rows   : how many answers one run gives
    facts  : what to know about the corpus
    rounds : number of rounds instead of pytest-benchmark's choice
    unit   : what an answer is about

    all_threads : the time on processors is that of all threads, also those of an engine

    The rate of wall time is that of the fastest round (and of the median). `rows_per_cpu_second`
    counts the time of this thread on a processor, which neighbours on the machine disturb less; it
    is left out when we start more threads.
    """

    def run(function: Callable[[], Any], *, rows: int, facts: Mapping[str, Any],
            rounds: int | None = None, unit: str = "rows", threads: int = 1,
            all_threads: bool = False) -> Any:
        cpu_s: list[float] = []
        clock = time.process_time if all_threads else time.thread_time

        def timed() -> Any:
            started = clock()
            result = function()
            cpu_s.append(clock() - started)
            return result

        benchmark.extra_info |= dict(facts) | machine
        if rounds is None:
            result = benchmark(timed)
        else:
            result = benchmark.pedantic(timed, rounds=rounds, warmup_rounds=1)
        if benchmark.stats is not None:
            stats = benchmark.stats.stats
            rates = {f"{unit}_per_second": rows / stats.min,
                     f"{unit}_per_second_median": rows / stats.median}
            if threads == 1:
                rates[f"{unit}_per_cpu_second"] = rows / max(min(cpu_s), 1e-9)
            benchmark.extra_info |= rates
            shown = "".join(f"{rate:>14,.0f}" for rate in rates.values())
            request.config.stash.setdefault(_RATES, []).append(
                f"{request.node.name:<75}{shown:<42}  {unit}/s")
        return result

    return run


@pytest.fixture
def in_turns(benchmark: Any, machine: dict[str, Any], is_timed: bool) -> InTurns:
    """`in_turns(question, other, facts=...)` runs both, one after the other, `rounds` times.

    Neighbours on the machine then disturb both. Times are this thread's on a processor, or those
    of the clock on the wall with `is_wall`. Untimed, each runs once and times are one second.
    """

    def run(question: Callable[[], Any], other: Callable[[], Any] | None = None, *,
            facts: Mapping[str, Any], rounds: int = 7, is_wall: bool = False) -> Turns:
        clock = time.perf_counter if is_wall else time.thread_time
        taken: dict[str, list[float]] = {"question": [], "other": []}

        def timed(name: str, function: Callable[[], Any]) -> Any:
            started = clock()
            result = function()
            taken[name].append(max(clock() - started, 1e-9))
            return result

        def turn() -> None:
            if other is not None:
                timed("other", other)

        benchmark.extra_info |= dict(facts) | machine
        result = benchmark.pedantic(
            lambda: timed("question", question), rounds=rounds, setup=turn)
        if not is_timed:
            return Turns(result, 1.0, 1.0)
        return Turns(result, min(taken["question"]), min(taken["other"], default=1.0))

    return run


@pytest.fixture
def judge(benchmark: Any, is_timed: bool, request: pytest.FixtureRequest) -> Judge:
    """`judge("what", figure, Goal(...))` puts a figure beside its goal: in `extra_info`, and in the
    table at the end of the run. A goal that is missed fails no benchmark: machines differ."""

    def put(what: str, figure: float, goal: Goal | None = None) -> None:
        if not is_timed:
            return
        verdict = "" if goal is None else "met" if goal.is_met(figure) else "MISSED"
        benchmark.extra_info.setdefault("goals", []).append(
            {"question": what, "figure": figure, "goal": str(goal or ""), "verdict": verdict})
        request.config.stash.setdefault(_GOALS, []).append(
            f"{what:<78}{figure:>12,.2f}  {goal or ''!s:<30}{verdict}")

    return put


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the rates at the end of the run."""
    return request.config.stash.setdefault(_RATES, []).append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rates = config.stash.get(_RATES, [])
    if rates:
        terminalreporter.section("rates")
        terminalreporter.write_line(
            f"{'':<75}{'best':>14}{'median':>14}{'best, CPU':>14}")
        for line in rates:
            terminalreporter.write_line(line)
    goals = config.stash.get(_GOALS, [])
    if goals:
        terminalreporter.section("goals")
        terminalreporter.write_line(f"{'':<78}{'measured':>12}  {'goal':<30}")
        for line in goals:
            terminalreporter.write_line(line)


def _processor() -> str:
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return name
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else name
