"""Has deciding become more work? Counted in instructions, so that no clock and no neighbour
matters.

    python benchmarks/work.py             compare with benchmarks/work.json; exit code 1 beyond 3 %
    python benchmarks/work.py --record    write it anew, after a change that is meant

Each query runs under `valgrind --tool=callgrind` twice, deciding once and REPEATS times more; the
difference is its work, without Python's start and without what the first time learns (for a cold
query, that is the work). Counters of the engine (classes, lists, candidates
verified) have to be the same to the last one. The keys of hash tables are fixed here, so counts
are the same from run to run but for a fraction of a per cent; another compiler, libc or numpy
counts otherwise, which is why versions are recorded and told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
RECORDED = HERE / "work.json"
TOLERANCE = 0.03
ROWS = 10_000
REPEATS = 60
"""Python's start varies by a million or two instructions, which this makes small."""
QUERIES = ("two policies, ids, warm", "two policies, strings, cold",
           "forty principals, ids, warm")


def prepare(folder: Path) -> None:
    """Tables and columns as files, so that counted processes do little else than decide."""
    sys.path.insert(0, str(HERE))
    from corpora import Corpus, ManagedPolicies
    from principals import ACCOUNT, PrincipalCorpus

    import iamtables

    corpus = Corpus(ROWS)
    iamtables.compile([iamtables.parse_policy(text) for text in corpus.policies]).save(
        folder / "two.iamt")
    people = PrincipalCorpus(ManagedPolicies.load(40), ROWS, distinct=1_000, principals=40)
    people.table.save(folder / "many.iamt")
    for name, columns in (("two", corpus.columns), ("many", people.columns)):
        np.savez(folder / f"{name}.npz", **{key: c.codes for key, c in columns.items()})
        (folder / f"{name}.json").write_text(json.dumps(
            {key: list(c.values) for key, c in columns.items()}))
    (folder / "given.json").write_text(json.dumps(
        {name: value for name, value in people.coded.items() if value in (None, ACCOUNT)}))


def run_query(folder: Path, number: int, times: int) -> dict[str, int]:
    """Decide `times` times after what has to be made first; the counters of the engine."""
    import iamtables.runtime.plan as plan

    plan.os = _FixedKeys  # type: ignore[attr-defined]
    import iamtables

    name = "two" if number < 2 else "many"
    table = iamtables.open_table(folder / f"{name}.iamt", verify=False)
    codes = np.load(folder / f"{name}.npz")
    values = json.loads((folder / f"{name}.json").read_text())
    columns: dict[str, Any] = {
        key: iamtables.DictionaryColumn(codes[key], texts) for key, texts in values.items()}
    if number == 1:
        columns = {key: _strings(codes[key], texts) for key, texts in values.items()}
    elif number == 2:
        columns |= json.loads((folder / "given.json").read_text())
    with table.session() as session:
        session.decide(columns)
        for _ in range(times):
            if number == 1:
                with table.session() as fresh:
                    fresh.decide(columns)
            else:
                session.decide(columns)
        return session.counts()


def _strings(codes: NDArray[np.int32], values: list[Any]) -> Any:
    import pyarrow as pa

    return pa.array([None if code < 0 else values[code] for code in codes.tolist()])


class _FixedKeys:
    @staticmethod
    def urandom(size: int) -> bytes:
        return bytes(range(1, size + 1))


def counted(folder: Path, number: int, times: int) -> tuple[int, dict[str, int]]:
    """(instructions of a whole process, counters)."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable,
         str(Path(__file__).absolute()), "--query", str(number), "--times", str(times),
         "--folder", str(folder)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"the query could not be counted:\n{done.stderr[-2000:]}")
    return int(found[1]), json.loads(done.stdout)


def measure() -> dict[str, Any]:
    queries: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="iamtables-") as name:
        folder = Path(name)
        prepare(folder)
        for number, query in enumerate(QUERIES):
            once, counters = counted(folder, number, 1)
            often, _ = counted(folder, number, 1 + REPEATS)
            queries[query] = {"instructions_per_row": round((often - once) / REPEATS / ROWS, 2),
                              "counters": counters}
            print(f"{query}: {queries[query]['instructions_per_row']:,.1f} instructions per row",
                  flush=True)
    return {"rows": ROWS, "versions": versions(), "queries": queries}


def versions() -> dict[str, str]:
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False)
    return {"python": platform.python_version(), "numpy": version("numpy"),
            "pyarrow": version("pyarrow"), "libc": " ".join(platform.libc_ver()),
            "compiler": compiler.stdout.partition("\n")[0], "machine": platform.machine()}


def compare(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is worse than recorded, or better by so much that it should be recorded."""
    complaints = []
    for name, before in recorded["queries"].items():
        after = found["queries"][name]
        ratio = after["instructions_per_row"] / before["instructions_per_row"]
        if ratio > 1 + TOLERANCE:
            complaints.append(f"{name}: {ratio - 1:+.1%} instructions per row")
        elif ratio < 1 - TOLERANCE:
            complaints.append(f"{name}: {ratio - 1:+.1%} instructions per row; record it anew")
        complaints += [
            f"{name}: {counter} {before['counters'].get(counter)} -> {value}"
            for counter, value in after["counters"].items()
            if value != before["counters"].get(counter)]
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--query", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.query is not None:
        print(json.dumps(run_query(options.folder, options.query, options.times)))
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is not installed", file=sys.stderr)
        return 2
    found = measure()
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=2) + "\n")
        return 0
    recorded = json.loads(RECORDED.read_text())
    if recorded["versions"] != found["versions"]:
        print(f"recorded with other versions: {recorded['versions']}", file=sys.stderr)
    complaints = compare(recorded, found)
    print("\n".join(complaints) or "as recorded")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
