"""`iamtables sql`: questions to the output of an audit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import FULL_ACCESS, iamtables

from iamtables.demo.sample import write_sample

pytest.importorskip("duckdb", reason="DuckDB is not installed")


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("decided")
    write_sample(root, records=2_000, seed=5)
    output = root / "decisions.parquet"
    finished = iamtables("audit", "--policy", FULL_ACCESS, "--output", output, root / "AWSLogs")
    assert finished.code == 0, finished.err
    return output


def test_sql_counts_what_the_audit_wrote(decided: Path) -> None:
    finished = iamtables(
        "sql", "SELECT decision, count(*) AS n FROM rows GROUP BY ALL ORDER BY n DESC", decided,
        "--format", "json")
    assert finished.code == 0, finished.err
    counts = pq.read_table(decided)["decision"].value_counts().to_pylist()
    assert {row["decision"]: row["n"] for row in finished.lines()} == {
        one["values"]: one["counts"] for one in counts}
    text = iamtables("sql", "SELECT max(time) AS latest, count(*) AS n FROM rows", decided)
    assert text.code == 0 and text.out.splitlines()[0].split() == ["latest", "n"]
    assert text.out.splitlines()[1].rstrip().endswith("2,000")


def test_sql_decides_the_rows_under_a_table(decided: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.iamt"
    assert iamtables("compile", FULL_ACCESS, "-o", table).code == 0
    query = ("SELECT decision AS was, iam_decide(principal, action, resource)::VARCHAR AS is_now, "
             "count(*) AS n FROM rows WHERE decision IS NOT NULL GROUP BY ALL")
    finished = iamtables("sql", query, decided, "--table", table, "--format", "json")
    assert finished.code == 0, finished.err
    found = finished.lines()
    assert sum(row["n"] for row in found if row["was"] == row["is_now"]) > 500
    assert not any(row["was"] == "ALLOW" and row["is_now"] == "EXPLICIT_DENY" for row in found)


def test_sql_over_a_partitioned_directory_and_several_files(tmp_path: Path) -> None:
    for day, number in (("2026-01-01", 1), ("2026-01-02", 2)):
        (tmp_path / "out" / f"day={day}").mkdir(parents=True)
        pq.write_table(pa.table({"n": [number]}), tmp_path / "out" / f"day={day}" / "a.parquet")
    whole = iamtables("sql", "SELECT n, day::VARCHAR AS day FROM rows ORDER BY n",
                      tmp_path / "out", "--format", "json")
    assert whole.lines() == [{"n": 1, "day": "2026-01-01"}, {"n": 2, "day": "2026-01-02"}]
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    summed = iamtables("sql", "SELECT sum(n)::INT AS n FROM rows", *files, "--format", "json")
    assert summed.lines() == [{"n": 3}]


@pytest.mark.parametrize("query", [
    "SELECT nothing FROM rows",
    "SELEC 1",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM '{secret}'",
    "COPY (SELECT 1) TO '{secret}.out'",
    "SET enable_external_access = true",
    "SELECT iam_decide('p', 'a:B', '*')",
])
def test_queries_that_make_no_sense_or_reach_beyond_the_files(
    decided: Path, tmp_path: Path, query: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("hush\n1\n")
    finished = iamtables("sql", query.format(secret=secret), decided)
    assert finished.code == 2 and "hush" not in finished.out + finished.err
    assert "Traceback" not in finished.err
    assert not (tmp_path / "secret.csv.out").exists()


def test_files_that_are_not_there_or_no_parquet(tmp_path: Path) -> None:
    missing = iamtables("sql", "SELECT 1", tmp_path / "none.parquet")
    assert missing.code == 3 and "does not exist" in missing.err
    (tmp_path / "x.parquet").write_text("no")
    damaged = iamtables("sql", "SELECT 1", tmp_path / "x.parquet")
    assert damaged.code == 3 and "cannot be read as Parquet" in damaged.err


def test_without_duckdb_the_extra_is_named(decided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    finished = iamtables("sql", "SELECT 1", decided)
    assert finished.code == 3 and "pip install 'iamtables[duckdb]'" in finished.err
    assert json.dumps(finished.out) == '""'
