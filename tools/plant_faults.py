"""Plant single faults in a copy of the code, one at a time, and see that the tests catch each.

    python tools/plant_faults.py                        # all of them; about an hour
    python tools/plant_faults.py --list
    python tools/plant_faults.py --only star-leaves-its-segment --keep
    python tools/plant_faults.py --area passes --area tries
    python tools/plant_faults.py --markdown docs/faults.md

The faults are in `tools/faults/*.toml`, one file per area. A fault replaces one text that must
occur in its file as often as stated. The repository is copied to a temporary directory and never
changed; a touched kernel is rebuilt alone. The tests of the copy run against the copy, up to the
first failure: the test that caught the fault before (docs/faults.md), the tests of the area, then
rounds from fast to slow. The fault is taken back, and the test that failed must pass: only then is
the fault caught.

Exit code 1: a fault survived (a test is missing), its text was not found, the faulty code does not
even build, or the test fails without the fault too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
LISTS = Path(__file__).resolve().parent / "faults"
SHOWN = ROOT / "docs" / "faults.md"
FOLDERS = ("compiler", "grammar", "runtime")
"""Folders of the repository that are packages of `iamtables`."""

KERNEL_FOLDERS = ("grammar", "compiler", "runtime", "iamtables/logs")
"""Folders whose kernels are built and may be planted with faults."""

AREAS = (
    "patterns",
    "lowering",
    "passes",
    "tries",
    "automata",
    "plan",
    "resources",
    "columns",
    "predicates",
    "kernel_globs",
    "kernel_classify",
    "kernel_engine",
    "kernel_identity",
    "kernel_column",
    "layers",
    "kernel_records",
    "kernel_single",
    "kernel_narrowed",
    "kernel_placed",
    "kernel_logs",
    "engines",
)
"""Files of faults, in the order in which a policy and a request meet them."""

_NOT_COPIED = shutil.ignore_patterns(
    ".*", "build", "dist", "__pycache__", "*.egg-info", "*.c", "*.html"
)

ROUNDS: tuple[tuple[str, ...], ...] = (
    (
        "tests/test_*_edges.py",
        "tests/test_bedrock_cases.py",
        "tests/test_vectors.py",
        "tests/test_grammar_patterns.py",
        "tests/test_cli_check.py",
    ),
    ("tests/test_differential.py",),
    ("tests/test_small_worlds.py", "tests/test_hostile_patterns.py"),
    ("tests/test_unknowns.py", "tests/test_managed_policies.py"),
)
"""Tests; a fault that one round lets pass meets the next."""

CASES = 20_000
"""Generated cases of the differential test."""

TIME_LIMIT = 600
"""Seconds a round may take; a fault that makes the tests hang is caught by that."""


class Trouble(Exception):
    """Why nothing can be said about a fault."""


@dataclass(frozen=True)
class Fault:
    """`old`, which occurs `count` times in the file, becomes `new` everywhere."""

    name: str
    file: str
    breaks: str
    old: str
    new: str
    area: str
    near: tuple[str, ...]
    """The tests of the area, which are asked first."""
    count: int = 1

    def planted(self, text: str) -> str:
        """The faulty text of the file. Raises Trouble when the fault no longer fits."""
        found = text.count(self.old)
        if found != self.count:
            raise Trouble(f"{self.file}: text found {found} times, not {self.count}")
        return text.replace(self.old, self.new)


def read_faults(folder: Path = LISTS) -> tuple[Fault, ...]:
    """Every fault of every area; no two have the same name."""
    faults: list[Fault] = []
    for stem in AREAS:
        content = tomllib.loads((folder / f"{stem}.toml").read_text("utf-8"))
        area, near = content["area"], tuple(content["tests"])
        faults += [Fault(**entry, area=area, near=near) for entry in content["fault"]]
    assert len({fault.name for fault in faults}) == len(faults), "two faults have one name"
    return tuple(faults)


def caught_before(shown: Path = SHOWN) -> dict[str, str]:
    """Which test caught a fault when the list was last written, by the fault's name."""
    if not shown.exists():
        return {}
    row = r"^\| `([\w-]+)` \|.*\| `(tests/[^`]+)` \|$"
    return dict(re.findall(row, shown.read_text("utf-8"), re.MULTILINE))


# --- planting one fault


@dataclass(frozen=True)
class Result:
    """`test` is the first that failed; empty unless the fault was caught."""

    fault: Fault
    test: str
    trouble: str
    seconds: float


class Copy:
    """A copy of the repository in a directory of its own, with its kernels built."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "code"
        shutil.copytree(ROOT, self.root, ignore=_NOT_COPIED, dirs_exist_ok=True)
        self._link_packages()
        if not self._has_current_kernels():
            for stale in self._kernels("*.so"):
                stale.unlink()
            self.build(self._kernels("*.pyx"))

    def _kernels(self, pattern: str) -> list[Path]:
        """Files of the folders with kernels."""
        return sorted(p for folder in KERNEL_FOLDERS for p in (self.root / folder).glob(pattern))

    def _link_packages(self) -> None:
        """A folder for PYTHONPATH, which comes before any installed package of the same name."""
        package = self.place / "path" / "iamtables"
        package.mkdir(parents=True)
        for entry in (self.root / "iamtables").iterdir():
            (package / entry.name).symlink_to(entry)
        for folder in FOLDERS:
            (package / folder).symlink_to(self.root / folder)

    def _has_current_kernels(self) -> bool:
        """Whether an editable install had built every kernel after its last change."""
        sources = self._kernels("*.pyx")
        changed = max(p.stat().st_mtime for p in [*sources, *self._kernels("*.pxd")])
        built = [p.with_name(f"{p.stem}{EXTENSION_SUFFIXES[0]}") for p in sources]
        return all(p.exists() and p.stat().st_mtime > changed for p in built)

    def build(self, sources: Sequence[Path]) -> None:
        """Compile these kernels, and nothing else, into the copy."""
        bench = self.place / "bench"
        shutil.rmtree(bench, ignore_errors=True)
        for folder in KERNEL_FOLDERS:
            (bench / folder).mkdir(parents=True)
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
            if (self.root / name).exists():
                shutil.copy(self.root / name, bench)
        script = bench / "setup.py"  # answers are judged here, not speed
        script.write_text(script.read_text("utf-8").replace("-O3", "-O0"), "utf-8")
        for source in (*sources, *self._kernels("*.pxd")):
            shutil.copy(source, bench / source.parent.relative_to(self.root))
        subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "out"],
            cwd=bench, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        for folder in KERNEL_FOLDERS:
            for built in (bench / "out" / "iamtables" / Path(folder).name).glob("*.so"):
                shutil.copy(built, self.root / folder)

    def plant(self, fault: Fault) -> None:
        """Put the fault into the copy, which stays sound if that raises Trouble."""
        path = self.root / fault.file
        faulty = fault.planted(path.read_text("utf-8"))
        shutil.copy(path, self.place / path.name)
        path.write_text(faulty, "utf-8")
        if path.suffix != ".pyx":
            return
        self._set_aside(path)
        try:
            self.build([path])
        except subprocess.CalledProcessError as error:
            self.restore(fault)
            said = error.stdout.decode(errors="replace")[-2000:]
            raise Trouble(f"does not build: {said}") from None

    def restore(self, fault: Fault) -> None:
        path = self.root / fault.file
        shutil.move(self.place / path.name, path)
        for kept in self.place.glob("*.so"):
            shutil.move(kept, path.parent / kept.name)

    def _set_aside(self, source: Path) -> None:
        for built in source.parent.glob(f"{source.stem}.*.so"):
            shutil.move(built, self.place / built.name)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(self.place / "path"),
            "PYTHONSAFEPATH": "1",  # the working directory has a folder `iamtables` as well
            "PYTHONDONTWRITEBYTECODE": "1",
            "IAMTABLES_SHARED": os.environ.get("IAMTABLES_SHARED") or str(ROOT.parent / "shared"),
        }

    def run_tests(self, tests: Sequence[str]) -> tuple[int | None, str]:
        """Exit code of pytest (None when it ran out of time) and what it wrote."""
        expanded: list[str] = []
        for test in tests:
            found = sorted(str(p.relative_to(self.root)) for p in self.root.glob(test))
            expanded += found if "*" in test else [test]
        flags = ["-x", "-q", "-n", "0", "--tb=line", "-p", "no:cacheprovider"]
        flags += ["--cases", str(CASES)]
        command = [sys.executable, "-m", "pytest", *flags, *expanded]
        process = subprocess.Popen(
            command, cwd=self.root, env=self._environment(), text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output
        return process.returncode, output

    def imports_itself(self) -> bool:
        """Whether the tests see the code of the copy, and no installed or editable package."""
        script = (
            "import iamtables.compiler as c, iamtables.errors as i, iamtables.grammar as g\n"
            "from iamtables.runtime import engine as e, plan as p\n"
            "print(*(module.__file__ for module in (c, i, g, e, p)), sep='\\n')"
        )
        seen = subprocess.run(
            [sys.executable, "-c", script], cwd=self.root, env=self._environment(),
            text=True, capture_output=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        return len(seen) == 5 and all(Path(path).is_relative_to(self.place) for path in seen)


def failing_test(output: str) -> str:
    """File and name of the first test that failed, or in which the interpreter died."""
    match = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", output, re.MULTILINE)
    if match:
        return match[1]
    crash = re.search(r'File ".*?/(tests/\w+\.py)", line \d+ in (test_\w+)', output)
    return f"{crash[1]}::{crash[2]}" if crash else ""


def catching(copy: Copy, rounds: Sequence[Sequence[str]]) -> Sequence[str]:
    """The first test of these rounds that fails; the whole round if it hangs; else nothing."""
    for tests in rounds:
        code, output = copy.run_tests(tests)
        if code == 0:
            continue
        if code is None:
            return tests
        test = failing_test(output)
        if not test or code > 1:
            raise Trouble(f"pytest ended with {code}: {output[-2000:]}")
        return (test,)
    return ()


class Judge:
    """Plants faults and takes them back, in as many copies as there are jobs."""

    def __init__(self, place: Path, jobs: int) -> None:
        self._copies: SimpleQueue[Copy] = SimpleQueue()
        self._jobs = jobs
        self._before = caught_before()
        self._sound: set[str] = set()
        """Tests that were seen to pass without a fault."""
        for number in range(jobs):
            copy = Copy(place / str(number))
            if not copy.imports_itself():
                raise SystemExit("the tests would not see the copy: is PYTHONPATH ignored?")
            self._copies.put(copy)

    def judge(self, faults: Sequence[Fault]) -> Iterator[Result]:
        """A result for every fault, in the order given."""
        with ThreadPoolExecutor(self._jobs) as pool:
            yield from pool.map(self._judge_one, faults)

    def _judge_one(self, fault: Fault) -> Result:
        copy = self._copies.get()
        started = time.monotonic()
        test = trouble = ""
        try:
            test = self._test_catching(copy, fault)
            trouble = "" if test else "survived"
        except Trouble as error:
            trouble = str(error)
        finally:
            self._copies.put(copy)
        return Result(fault, test, trouble, time.monotonic() - started)

    def _test_catching(self, copy: Copy, fault: Fault) -> str:
        """Plant, test, take back, and see that the test was right to fail."""
        known = self._before.get(fault.name, "")
        is_there = known and (copy.root / known.partition("::")[0]).exists()
        copy.plant(fault)
        try:
            tests = catching(copy, [*([(known,)] if is_there else []), fault.near, *ROUNDS])
        finally:
            copy.restore(fault)
        name = " ".join(tests)
        if tests and name not in self._sound:
            if copy.run_tests(tests)[0] != 0:
                raise Trouble(f"{name} fails without the fault too")
            self._sound.add(name)
        return name


# --- the command


def chosen_faults(names: Sequence[str], areas: Sequence[str]) -> list[Fault]:
    faults = read_faults()
    unknown = set(names) - {f.name for f in faults} | set(areas) - {f.area for f in faults}
    if unknown:
        raise SystemExit(f"no such fault or area: {', '.join(sorted(unknown))} (see --list)")
    everything = not names and not areas
    return [f for f in faults if everything or f.name in names or f.area in areas]


def markdown(faults: Sequence[Fault], verdicts: Mapping[str, str]) -> str:
    """The list as a page; `verdicts` names the test that caught a fault, by the fault's name."""
    lines = [
        "# Planted faults",
        "",
        "Written by `python tools/plant_faults.py --markdown docs/faults.md`, which puts one fault",
        "after the other into a copy of the code. The test named failed with the fault and passes",
        "without it. The changed texts are in `tools/faults/`.",
    ]
    area = ""
    for fault in faults:
        if fault.area != area:
            area = fault.area
            lines += ["", f"## {area.capitalize()}", ""]
            lines += ["| fault | file | what it breaks | caught by |", "|---|---|---|---|"]
        breaks = fault.breaks.replace("|", "\\|")
        test = verdicts.get(fault.name)
        caught = f"`{test}`" if test else "**nothing**"
        lines.append(f"| `{fault.name}` | `{fault.file}` | {breaks} | {caught} |")
    count = sum(bool(verdicts.get(fault.name)) for fault in faults)
    lines += ["", f"{count} of {len(faults)} caught.", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="this fault (may be repeated)")  # fmt: skip
    parser.add_argument("--area", action="append", default=[], metavar="AREA",
                        help="the faults of this area (may be repeated)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    parser.add_argument("--keep", action="store_true", help="keep the copies, and say where")
    parser.add_argument("--markdown", type=Path, metavar="FILE",
                        help="write the list there; other faults keep their line")  # fmt: skip
    options = parser.parse_args()
    faults = chosen_faults(options.only, options.area)
    if options.list:
        for fault in faults:
            print(f"{fault.name:<34} {fault.file:<22} {fault.breaks}")
        return 0
    verdicts = caught_before(options.markdown) if options.markdown else {}
    caught = 0
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        for result in Judge(place, max(1, options.jobs)).judge(faults):
            name, test = result.fault.name, result.test
            said = f"caught by {test}" if test else result.trouble.upper()
            print(f"{name:<34} {result.seconds:5.0f} s  {said}", flush=True)
            caught += bool(test)
            verdicts[name] = test
            if options.markdown:
                options.markdown.write_text(markdown(read_faults(), verdicts), "utf-8")
    finally:
        if options.keep:
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    print(f"{caught} of {len(faults)} faults caught")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
