"""What Spark's workers do, done here part by part: without Spark, and without Java."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from log_records import ACCOUNT, NAMES_POLICY, ROLE, record, write_names
from spark_logs import TAGS_POLICY, random_files, save_tables, write_far_apart, write_files

import iamtables
from iamtables.audit import Audit, keys_of, needs_request
from iamtables.demo.sample import write_sample
from iamtables.errors import SourceError
from iamtables.logs import LogOptions, Statistics, read_logs
from iamtables.logs.duplicates import account_hash
from iamtables.replaying import Replay, either_needs_request, keys_of_both
from iamtables.spark import elsewhere, reading, tasks
from iamtables.spark.artefact import Artefact
from iamtables.spark.parts import find_source

OPTIONS = LogOptions(batch_records=300, learn_names=False)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return save_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("logs")
    write_sample(root, records=2_000, seed=11)
    (root / "AWSLogs" / "zz-lines.json").write_text("\n".join(
        json.dumps(record("iam", "AttachRolePolicy", eventID=f"{i:032x}", requestParameters={
            "roleName": "app", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}))
        for i in range(5)))
    return root / "AWSLogs"


def run(task: Any, parts: Sequence[tuple[int, Sequence[str], Sequence[int] | None]],
        answers: Mapping[str, str | None] | None = None, corrected: Sequence[int] | None = None,
        before: Sequence[int] | None = None) -> pa.Table:
    """What a task hands out for parts, as it would after a journey to a worker."""
    travelled = pickle.loads(pickle.dumps(task))
    asked = asked_of(parts, answers, corrected, before)
    return pa.Table.from_batches(list(travelled(iter([asked]))))


def asked_of(parts: Sequence[tuple[int, Sequence[str], Sequence[int] | None]],
             answers: Mapping[str, str | None] | None = None,
             corrected: Sequence[int] | None = None, before: Sequence[int] | None = None
             ) -> pa.RecordBatch:
    """Parts as Spark hands them to a task."""
    numbers, files, seen = zip(*parts, strict=True)
    texts, hashes = pa.list_(pa.string()), pa.list_(pa.int64())
    return pa.RecordBatch.from_pydict({
        "part": pa.array(numbers, pa.int32()), "files": pa.array(files, texts),
        "seen": pa.array(seen, hashes), "corrected": pa.array([corrected] * len(parts), hashes),
        "before": pa.array([before] * len(parts), hashes),
        "answers": pa.array([None if answers is None else list(answers.items())] * len(parts),
                            pa.map_(pa.string(), pa.string()))})


def counts_of(rows: pa.Table) -> tasks.PartCounts:
    counts = None
    for data in rows["counts"].drop_null().to_pylist():
        counts = tasks.merge(counts, data)
    assert counts is not None
    return counts


@pytest.mark.parametrize("part_bytes", [1, 20_000, 1 << 30])
def test_parts_add_up_to_what_one_reader_counts(
    tables: tuple[Path, Path], logs: Path, part_bytes: int
) -> None:
    parts = find_source([logs]).parts(part_bytes, 1)
    asked = [(part.number, part.files, None) for part in parts]
    artefacts = [Artefact(str(path), False) for path in tables]
    settings = reading.Settings(True, OPTIONS, has_rows=False)
    table = iamtables.open_table(tables[1])
    local = Audit(table)
    reader = read_logs(logs, OPTIONS, keys_of(table), needs=needs_request(table))
    for batch in reader:
        local.add(batch)
    found = counts_of(run(tasks.AuditTask(artefacts[1], settings), asked))
    whole = Audit(table)
    whole.merge(found.audit)
    assert whole.summary() == local.summary()
    assert found.statistics == reader.statistics
    assert local.summary().reality is not None and local.summary().reality.contradictions

    both = [iamtables.open_table(path) for path in tables]
    one = Replay(*both, examples=7)
    for batch in read_logs(logs, OPTIONS, keys_of_both(*both), needs=either_needs_request(*both)):
        one.add(batch)
    flips = counts_of(run(tasks.ReplayTask(*artefacts, settings, 7), asked))
    merged = Replay(*both, examples=7)
    merged.merge(flips.audit)
    assert merged.result() == one.result()
    assert max(len(group.examples) for group in one.result().groups) == 7


def test_what_is_named_does_not_depend_on_where_batches_are_cut(
    tables: tuple[Path, Path], logs: Path
) -> None:
    both = [iamtables.open_table(path) for path in tables]
    results = []
    for size in (1, 77, 100_000):
        one = Replay(*both)
        options = LogOptions(learn_names=False, batch_records=size)
        for batch in read_logs(logs, options, keys_of_both(*both)):
            one.add(batch)
        results.append(one.result())
    assert results[0] == results[1] == results[2]


def test_workers_add_up_counts_before_the_driver(tables: tuple[Path, Path], logs: Path) -> None:
    parts = find_source([logs]).parts(1, 1)
    task = tasks.AuditTask(Artefact(str(tables[1]), False),
                           reading.Settings(True, OPTIONS, has_rows=False))
    rows = run(task, [(part.number, part.files, None) for part in parts])
    counted = rows.filter(pa.compute.is_valid(rows["counts"])).select(["part", "counts"])
    half = len(counted) // 2
    merged = [list(tasks.MergeTask()(iter(piece.to_batches())))
              for piece in (counted.slice(0, half), counted.slice(half))]
    assert [one[0]["part"].to_pylist() for one in merged] == [[0], [half]]
    again = None
    for one in merged:
        again = tasks.merge(again, one[0]["counts"][0].as_py())
    direct = counts_of(rows)
    table = iamtables.open_table(tables[1])
    summaries = []
    for counts in (again, direct):
        assert counts is not None
        audit = Audit(table)
        audit.merge(counts.audit)
        summaries.append((audit.summary(), counts.statistics))
    assert summaries[0] == summaries[1]
    assert list(tasks.MergeTask()(iter([]))) == []


def test_records_that_an_earlier_part_has_are_passed_over(
    tables: tuple[Path, Path], logs: Path
) -> None:
    task = tasks.AuditTask(Artefact(str(tables[1]), False), reading.Settings(True, OPTIONS))
    parts = find_source([logs]).parts(1, 1)
    files = parts[0].files
    first = run(task, [(0, files, None)])
    hashes = first["hash"].drop_null().to_pylist()
    assert len(hashes) == counts_of(first).statistics.records == len(set(hashes))
    half = run(task, [(0, files, hashes[::2])])
    statistics = counts_of(half).statistics
    assert statistics.duplicates == len(hashes[::2])
    assert half["hash"].drop_null().to_pylist() == hashes[1::2]
    ids = [one for one in half["event_id"].to_pylist() if one is not None]
    assert ids == [one for one in first["event_id"].to_pylist() if one is not None][1::2]


def test_names_that_other_parts_tell_make_a_part_what_it_is_to_one_reader(tmp_path: Path) -> None:
    files = write_names(tmp_path)
    iamtables.compile(iamtables.parse_policy(NAMES_POLICY)).save(tmp_path / "t.iamt")
    table = iamtables.open_table(tmp_path / "t.iamt")
    task = tasks.AuditTask(Artefact(str(tmp_path / "t.iamt"), False),
                           reading.Settings(True, LogOptions(), has_rows=False))
    first = run(task, [(number, [name], None) for number, name in enumerate(files)])
    said = first.filter(pa.compute.is_valid(first["question"])).select(
        ["part", "question", "answer", "is_asked"]).to_pylist()
    role = f"arn:aws:iam::{ACCOUNT}:role/"
    answered = {(one["part"], one["question"].rpartition("*")[2], one["answer"])
                for one in said if one["is_asked"]}
    assert {(0, "worker", None), (0, "twice", None), (0, "never", None),
            (0, "own", f"{role}a/own"), (2, "own", None)} <= answered
    learnt = {(one["part"], one["answer"]) for one in said if not one["is_asked"]}
    assert {(0, f"{role}a/own"), (1, ROLE), (1, f"{role}a/twice"), (2, f"{role}b/twice")} <= learnt

    told = {f"{role}*worker": ROLE, f"{role}*own": f"{role}a/own"}  # `twice` has two: none
    again = [run(task, [(0, files[:1], None)], told), run(task, [(1, files[1:2], None)]),
             run(task, [(2, files[2:], None)], told)]
    whole, apart, local = Audit(table), Audit(table), Audit(table)
    whole.merge(counts_of(pa.concat_tables(again)).audit)
    apart.merge(counts_of(first).audit)
    for batch in read_logs(files, None, keys_of(table), needs=needs_request(table)):
        local.add(batch)
    assert whole.summary() == local.summary()
    assert apart.summary() != local.summary()  # the names do make a difference


def told_to_each(rows: pa.Table, names: Sequence[str]) -> dict[int, dict[str, Any]]:
    """`elsewhere.told_elsewhere` for the rows of a first run, without Spark; IAM names apart."""
    facts = [(one["part"], pickle.loads(one["facts"])) for one in rows.select(
        ["part", "facts"]).to_pylist() if one["facts"] is not None]
    told: dict[int, dict[str, Any]] = {}

    def of(part: int) -> dict[str, Any]:
        return told.setdefault(part, {"seen": [], "corrected": [], "before": [], "answers": {}})

    corrections = elsewhere.Corrections.of(facts)
    first: dict[int, int] = {}
    hashes = rows.filter(pa.compute.is_valid(rows["hash"])).select(["part", "hash"]).to_pylist()
    for one in hashes:
        if one["hash"] in corrections.targets:
            of(one["part"])["corrected"].append(one["hash"])
        elif first.setdefault(one["hash"], one["part"]) < one["part"]:
            of(one["part"])["seen"].append(one["hash"])
    for part, seen, before in corrections.told:
        of(part)["seen"] += seen
        of(part)["before"] += before
    tags = dict(elsewhere.tags(facts, names))
    for one in rows.filter(pa.compute.is_valid(rows["question"])).select(
            ["part", "question", "answer"]).to_pylist():
        question = one["question"]
        if question in tags and tags[question] != one["answer"]:
            of(one["part"])["answers"][question] = tags[question]
    return told


def assert_parts_are_one_reader(table: iamtables.Table, path: Path, files: Sequence[str],
                                options: LogOptions) -> tuple[Any, Statistics, Any]:
    """The summary of parts of a file each, run twice where others make a difference, is that of
    one reader; gives it, its counts, and what a first run alone came to."""
    task = tasks.AuditTask(Artefact(str(path), False), reading.Settings(True, options))
    parts = [(number, [name], None) for number, name in enumerate(files)]
    rows = run(task, parts)
    told = told_to_each(rows, table.keys)
    pieces = [run(task, [(number, names, told[number].pop("seen"))], **told[number])
              if number in told else run(task, [(number, names, None)])
              for number, names, _ in parts]
    whole, first, local = Audit(table), Audit(table), Audit(table)
    found = counts_of(pa.concat_tables(pieces))
    whole.merge(found.audit)
    first.merge(counts_of(rows).audit)
    reader = read_logs(files, LogOptions(), keys_of(table))
    for batch in reader:
        local.add(batch)
    assert found.statistics == reader.statistics
    assert whole.summary() == local.summary()
    return local.summary(), reader.statistics, first.summary()


def test_corrections_and_sessions_of_other_parts_make_a_part_what_it_is_to_one_reader(
    tmp_path: Path
) -> None:
    files = write_far_apart(tmp_path)
    path = tmp_path / "t.iamt"
    iamtables.compile(iamtables.parse_policy(TAGS_POLICY)).save(path)
    table = iamtables.open_table(path)
    for batch_records in (1, 20_000):
        summary, statistics, first = assert_parts_are_one_reader(
            table, path, files, LogOptions(batch_records=batch_records))
        assert (statistics.replaced, statistics.corrections_late, statistics.duplicates) == (
            4, 2, 3)
        # by hand: ASIA1 and, since the tag goes on, ASIA2 and ASIA3 are red; ASIA2 is old
        assert summary.actions["iam:ListUsers"] == [0, 3, 0, 2]
        assert summary.actions["iam:ListRoles"] == [0, 0, 1, 0]
        assert first != summary


@pytest.mark.parametrize("seed", range(3))
def test_random_logs_in_parts_are_those_of_one_reader(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    path = tmp_path / "t.iamt"
    iamtables.compile(iamtables.parse_policy(TAGS_POLICY)).save(path)
    table = iamtables.open_table(path)
    seen = Counter[str]()
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        summary, statistics, first = assert_parts_are_one_reader(
            table, path, write_files(folder, random_files(random)),
            LogOptions(batch_records=random.choice([1, 3, 20_000])))
        seen += Counter({"other": first != summary, "replaced": statistics.replaced,
                         "late": statistics.corrections_late, "twice": statistics.duplicates})
    assert min(seen[name] for name in ("other", "replaced", "late", "twice")) >= 2, seen


def test_where_names_are_not_learnt_none_are_told(tmp_path: Path, tables: tuple[Path, Path]
                                                  ) -> None:
    files = write_names(tmp_path)
    task = tasks.AuditTask(Artefact(str(tables[1]), False), reading.Settings(True, OPTIONS))
    assert run(task, [(0, files, None)])["question"].null_count == len(
        run(task, [(0, files, None)]))


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from iamtables.logs.duplicates import account_hash as h; print(h('1'), h(None), h(''))"
    told = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={"PYTHONHASHSEED": seed}, timeout=60).stdout for seed in ("1", "2")]
    assert told[0] == told[1] == f"{account_hash('1')} {account_hash(None)} {account_hash('')}\n"
    assert len(set(told[0].split())) == 3


def test_bad_and_missing_files_are_listed(tables: tuple[Path, Path], logs: Path, tmp_path: Path
                                          ) -> None:
    task = tasks.AuditTask(Artefact(str(tables[1]), False), reading.Settings(True, OPTIONS))
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b'{"Records": [{"a": ')[:20])
    (tmp_path / "note.txt").write_text("no log")
    names = [str(tmp_path / name) for name in ("cut.json.gz", "gone.json.gz", "note.txt")]
    bad = counts_of(run(task, [(0, names, None)])).statistics
    assert {Path(name).name for name, _ in bad.failed} == {"cut.json.gz", "gone.json.gz"}
    assert [Path(name).name for name, _ in bad.skipped] == ["note.txt"]
    good = sorted(map(str, logs.rglob("*.json.gz")))[:1]
    mixed = counts_of(run(task, [(0, [*names[:2], *good], None), (1, names[2:], None)])).statistics
    assert (mixed.files_found, mixed.files_read) == (4, 1) and mixed.records
    mixed.check()
    whole = Statistics()
    whole.merge(bad)
    assert whole == bad and not whole.has_log


def test_rows_have_the_columns_of_a_local_audit(tables: tuple[Path, Path], logs: Path) -> None:
    from iamtables.replay_rows import flips_table
    from iamtables.results import results_table

    both = [iamtables.open_table(path) for path in tables]
    artefacts = [Artefact(str(path), False) for path in tables]
    batch = next(iter(read_logs(logs, OPTIONS)))
    settings = reading.Settings(True, OPTIONS)
    task: Any = tasks.AuditTask(artefacts[1], settings)
    expected = results_table(Audit(both[1]).add(batch), both[1].statements).schema.names
    assert list(task.columns) == [*expected, tasks.DAY]
    assert task.schema().startswith("part int, hash bigint, facts binary, counts binary, "
                                    "question string, answer string, is_asked boolean, "
                                    "`event_id` string, `time` timestamp, ")
    task = tasks.ReplayTask(*artefacts, settings, 3)
    expected = flips_table(Replay(*both).add(batch), *both).schema.names
    assert list(task.columns) == [*expected, tasks.DAY]


def test_parts_are_runs_of_files_in_order(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.json").write_bytes(b"x" * 100 * (number + 1))
    source = find_source([tmp_path])
    assert source.is_log
    for wanted, least in ((1, 1), (1_000, 1), (10**9, 4), (10**9, 1)):
        parts = source.parts(wanted, least)
        assert [name for part in parts for name in part.files] == [f.name for f in source.files]
        assert [part.number for part in parts] == list(range(len(parts)))
        assert all(len(part.files) == 1 or part.size_bytes <= wanted for part in parts)
        assert len(parts) >= least
    assert [len(part.files) for part in source.parts(1_000, 1)] == [4, 1, 1, 1, 1, 1]


def test_directories_of_parquet_are_tables_and_both_kinds_do_not_mix(
    logs: Path, tmp_path: Path
) -> None:
    (tmp_path / "t" / "day=1").mkdir(parents=True)
    (tmp_path / "t" / "_SUCCESS").write_text("")
    pq.write_table(pa.table({"action": ["a:B"]}), tmp_path / "t" / "day=1" / "x.parquet")
    source = find_source([tmp_path / "t"])
    assert not source.is_log and [Path(f.name).name for f in source.files] == ["x.parquet"]
    with pytest.raises(SourceError, match="is a table of requests"):
        find_source([tmp_path / "t", logs])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(SourceError, match="no column `action`"):
        find_source([tmp_path / "other.parquet"])


def test_without_pyspark_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["pyspark"] = None
import iamtables, iamtables.spark
for call in (lambda: iamtables.spark.audit(None, "t", "x"),
             lambda: iamtables.spark.replay(None, "t", "u", "x"),
             lambda: iamtables.spark.decide(None, "t")):
    try:
        call()
    except iamtables.MissingExtraError as error:
        print(error.extra, error.help)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          timeout=60)
    assert done.stdout == "spark install it with `pip install 'iamtables[spark]'`\n" * 3


OF_WORKERS = """
import pickle, sys

function, asked = pickle.loads(sys.stdin.buffer.read())
rows = sum(batch.num_rows for batch in function(iter([asked])))
heavy = ("lark", "click", "rich", "safetensors", "pyspark", "duckdb", "polars")
ours = ("grammar", "compiler", "reference", "organization", "cli")
print(rows, [name for name in sys.modules if name.split(".")[0] in heavy
             or name.startswith("iamtables.") and name.split(".")[1] in ours])
print(*sorted(name for name in sys.modules if name.startswith("iamtables.")))
"""


def loaded_by_a_worker(function: Any, asked: pa.RecordBatch) -> set[str]:
    """The modules of iamtables in a new process that ran a function for `mapInArrow` as Spark's
    workers do; asserts that it gave rows and that no parser and no compiler was imported."""
    done = subprocess.run([sys.executable, "-c", OF_WORKERS], capture_output=True, check=True,
                          input=pickle.dumps((function, asked)), timeout=120)
    first, loaded = done.stdout.decode().splitlines()
    rows, _, wrong = first.partition(" ")
    assert int(rows) and wrong == "[]", first
    return set(loaded.split())


def test_workers_import_neither_a_parser_nor_the_compiler(
    tables: tuple[Path, Path], logs: Path
) -> None:
    from iamtables.spark import Decide

    asked = pa.RecordBatch.from_pydict({
        "action": pa.array(["bedrock:InvokeModel"]), "resource": pa.array(["*"])})
    before, after = (Artefact(str(path), False) for path in tables)
    loaded = loaded_by_a_worker(Decide(after), asked)
    allowed = {"engine_columns", "errors", "extras", "labels", "options", "runtime",
               "source", "spark"}
    assert {name.split(".")[1] for name in loaded} <= allowed, loaded
    assert {name for name in loaded if name.startswith("iamtables.spark.")} == {
        "iamtables.spark.artefact", "iamtables.spark.frames"}

    settings = reading.Settings(True, OPTIONS)
    files = find_source([logs]).parts(1 << 30, 1)[0].files
    part = asked_of([(0, files, None)])
    for task in (tasks.AuditTask(after, settings), tasks.ReplayTask(before, after, settings, 3)):
        loaded = loaded_by_a_worker(task, part)
        assert {"iamtables.runtime", "iamtables.logs", "iamtables.spark.tasks"} <= loaded


def test_a_worker_decides_frames_in_batches(tables: tuple[Path, Path]) -> None:
    from iamtables.spark import Decide

    function = Decide(Artefact(str(tables[1]), False), context={"iam:PassedToService": "s"},
                      unknown="u", principal="p")
    assert sorted(function.names()) == ["action", "p", "resource", "s", "u"]
    role = "arn:aws:iam::111122223333:role/AmazonBedrockJobs"
    batch = pa.RecordBatch.from_pydict({
        "action": pa.array(["iam:PassRole", "iam:PassRole", None]), "n": pa.array([1, 2, 3]),
        "resource": [role] * 3, "p": pa.nulls(3, pa.string()),
        "s": pa.array(["bedrock.amazonaws.com", None, None]),
        "u": pa.array([None, ["iam:*"], None], pa.list_(pa.string()))})
    out = list(pickle.loads(pickle.dumps(function))(iter([batch, batch.slice(1)])))
    assert [one["decision"].to_pylist() for one in out] == [
        ["ALLOW", "UNDETERMINED", "UNDETERMINED"], ["UNDETERMINED"] * 2]
    assert out[0]["statement"].to_pylist()[0] == "AmazonBedrockFullAccess:PassRoleToBedrock"
    assert out[0]["n"].equals(batch["n"]) and np.all(out[1].num_rows == 2)
