"""When benchmarks are timed, what they run on, and how rates are reported.

    pytest               the whole suite: every benchmark runs once, on small corpora, untimed
    pytest benchmarks    timed, on the full corpora (also `pytest --benchmark-enable`)

IAMTABLES_BENCHMARK_ROWS sets the rows of the request corpus in both cases.
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

import iamtables  # noqa: E402

FULL_ROWS, SMALL_ROWS = 1_000_000, 50_000
_RATES = pytest.StashKey[list[str]]()


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
    rows = os.environ.get("IAMTABLES_BENCHMARK_ROWS")
    return Corpus(int(rows) if rows else FULL_ROWS if is_timed else SMALL_ROWS)


@pytest.fixture(scope="session")
def table(corpus: Corpus) -> iamtables.Table:
    """The two Bedrock policies, compiled."""
    return iamtables.compile([iamtables.parse_policy(text) for text in corpus.policies])


@pytest.fixture(scope="session")
def managed(is_timed: bool) -> ManagedPolicies:
    """All managed policies that moto carries; every twentieth in an untimed run."""
    return ManagedPolicies.load(1 if is_timed else 20)


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

    The rate of wall time is that of the fastest round (and of the median). `rows_per_cpu_second`
    counts the time of this thread on a processor, which neighbours on the machine disturb less; it
    is left out when there are more threads.
    """

    def run(function: Callable[[], Any], *, rows: int, facts: Mapping[str, Any],
            rounds: int | None = None, unit: str = "rows", threads: int = 1) -> Any:
        cpu_s: list[float] = []

        def timed() -> Any:
            started = time.thread_time()
            result = function()
            cpu_s.append(time.thread_time() - started)
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


def _processor() -> str:
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return name
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else name
