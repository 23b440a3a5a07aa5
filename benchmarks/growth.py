"""How does the cost of a row grow with statements, principals and distinct resources?

    python benchmarks/growth.py [--rows N] [--most COUNT] [--out PICTURE] [--data JSON]

Measures, prints a line for each point, and draws them with matplotlib (which nothing else here
needs). Times are those of this thread on a processor, least of several rounds, a session that
knows the values unless it says cold. With `--draw JSON` a picture is drawn from points
measured before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from bench_statements import compiled, synthetic, synthetic_rows  # noqa: E402

import iamtables  # noqa: E402
from iamtables import Account, DictionaryColumn, Organization, PolicySet, Principal  # noqa: E402

ROUNDS = 5
ACCOUNT = "111122223333"
STATEMENTS = (10, 100, 1_000, 10_000, 100_000)
PRINCIPALS = (1, 10, 100, 1_000, 10_000, 50_000)
RESOURCES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)


class Point(NamedTuple):
    """ns of a row where there are `count` of them."""

    series: str
    count: int
    ns: float


def least_ns(decide: Callable[[], Any], rows: int, rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        started = time.thread_time()
        decide()
        taken.append(time.thread_time() - started)
    return min(taken) * 1e9 / rows


def known_ns(table: iamtables.Table, columns: dict[str, Any], rows: int) -> float:
    """ns per row in a session that has seen the rows before."""
    with table.session(budget_bytes=4 << 30) as session:
        decided = session.decide(columns)
        assert decided.error_count == 0 and len(np.unique(decided.decision)) >= 2
        return least_ns(lambda: session.decide(columns), rows)


def by_statements(rows: int, counts: tuple[int, ...]) -> Iterator[Point]:
    for count in counts:
        table, columns = compiled(synthetic(count)), synthetic_rows(count, rows)
        yield Point("statements", count, known_ns(table, columns, rows))


def by_principals(rows: int, counts: tuple[int, ...]) -> Iterator[Point]:
    """Twenty policies of ten statements each; a principal has one to four of them."""
    statements = synthetic(200)
    documents = [iamtables.parse_policy(json.dumps(
        {"Version": "2012-10-17", "Statement": statements[at:at + 10]}), name=f"p{at}")
        for at in range(0, 200, 10)]
    columns: dict[str, Any] = dict(synthetic_rows(200, rows))
    columns["resource_account"] = ACCOUNT
    rng = np.random.default_rng(23)
    for count in counts:
        arns = [f"arn:aws:iam::{ACCOUNT}:role/r{i}" for i in range(count)]
        table = iamtables.compile(Organization(
            accounts=(Account(ACCOUNT),),
            principals=tuple(
                Principal(arn, identity=PolicySet(tuple(
                    documents[k % 20] for k in range(i * 7, i * 7 + 1 + i % 4))))
                for i, arn in enumerate(arns)),
            missing_layers=("session", "boundary", "resource", "scp", "rcp", "vpce")))
        columns["principal"] = DictionaryColumn(
            rng.integers(0, count, rows).astype(np.int32), arns)
        yield Point("principals", count, known_ns(table, columns, rows))


def by_resources(rows: int, counts: tuple[int, ...]) -> Iterator[Point]:
    """Strings, so that each text is hashed and compared; cold ones are matched as well."""
    import pyarrow as pa

    table = compiled(synthetic(1_000))
    for count in counts:
        columns: dict[str, Any] = dict(synthetic_rows(1_000, max(rows, count)))
        codes = columns["resource"].codes
        codes = np.random.default_rng(29).permutation(len(codes)) % count
        services = ("s3", "ec2", "sqs", "sns", "kms", "ecs", "rds", "logs", "glue", "iam")
        texts = pa.array([f"arn:aws:{services[i % 10]}:eu-west-1:{ACCOUNT}:kind{i % 1_000}/x-{i}"
                          for i in range(count)])
        columns["action"] = DictionaryColumn(
            (columns["action"].codes % 400).astype(np.int32), list(columns["action"].values))
        columns["resource"] = texts.take(pa.array(codes))
        n = len(codes)
        yield Point("distinct resources, cold", count,
                    least_ns(lambda: table.decide(columns), n, 2))  # noqa: B023
        yield Point("distinct resources, known", count, known_ns(table, columns, n))


def draw(points: list[Point], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), constrained_layout=True)
    groups = (("statements",), ("principals",),
              ("distinct resources, cold", "distinct resources, known"))
    for axis, names in zip(axes, groups, strict=True):
        for name in names:
            some = sorted(p for p in points if p.series == name)
            axis.plot([p.count for p in some], [p.ns for p in some], marker="o",
                      label=name.partition(", ")[2] or None)
        axis.set_xscale("log")
        axis.set_xlabel(names[0].partition(",")[0])
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(frameon=False)
    axes[0].set_ylabel("ns per row")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--most", type=int, default=5_000_000, help="largest count of anything")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "growth.svg")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draw", type=Path)
    options = parser.parse_args()
    if options.draw is not None:
        draw([Point(*p) for p in json.loads(options.draw.read_text())], options.out)
        return
    rows, points = options.rows, []
    for measure, counts in ((by_statements, STATEMENTS), (by_principals, PRINCIPALS),
                            (by_resources, RESOURCES)):
        for point in measure(rows, tuple(count for count in counts if count <= options.most)):
            print(f"{point.series:<28}{point.count:>10,}{point.ns:>12,.1f} ns per row", flush=True)
            points.append(point)
            if options.data is not None:
                options.data.write_text(json.dumps(points))
    draw(points, options.out)


if __name__ == "__main__":
    main()
