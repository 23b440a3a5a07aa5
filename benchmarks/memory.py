"""How much memory does a stream of batches take? A hundred million rows, five million resources.

    python benchmarks/memory.py [--rows 100000000] [--distinct 5000000] [--budget 1073741824]

Batches of a million rows are made, decided in one session and counted; every answer is compared
with what the numbers say that the texts are made from. Prints the peak resident memory as it
grows. Takes minutes, so it is no part of `pytest benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import iamtables
from iamtables.runtime.session import DEFAULT_BUDGET

BATCH = 1_000_000
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::company-*/team-1*/object-*",
     "Condition": {"StringEquals": {"aws:RequestedRegion": ["region-0", "region-1"]}}},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::company-*/team-*/object-77*"}]})


def texts(*parts: object) -> pa.Array:
    """Texts of a column, joined part by part; arrays of numbers become text."""
    columns = [pa.array(part).cast(pa.string()) if isinstance(part, np.ndarray) else pa.scalar(part)
               for part in parts]
    return pc.binary_join_element_wise(*columns, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--distinct", type=int, default=5_000_000)
    parser.add_argument("--budget", type=int, default=DEFAULT_BUDGET)
    options = parser.parse_args()
    table = iamtables.compile(iamtables.parse_policy(POLICY))
    rng = np.random.default_rng(31)
    seconds = 0.0
    with table.session(budget_bytes=options.budget) as session:
        for start in range(0, options.rows, BATCH):
            rows = min(BATCH, options.rows - start)
            number = rng.integers(0, options.distinct, rows)
            region = rng.integers(0, 5, rows)
            action = rng.integers(0, 2, rows)
            columns = {
                "action": pa.array(["s3:GetObject", "s3:PutObject"]).take(pa.array(action)),
                "resource": texts("arn:aws:s3:::company-", number % 7, "/team-", number % 1000,
                                  "/object-", number),
                "aws:RequestedRegion": texts("region-", region)}
            began = time.thread_time()
            decision = session.decide(columns).decision
            seconds += time.thread_time() - began
            shown = np.char.startswith(number.astype("U8"), "77")
            team = np.char.startswith((number % 1000).astype("U3"), "1")
            expected = np.where(shown, 2, np.where(team & (region < 2) & (action == 0), 1, 0))
            assert np.array_equal(decision, expected)
            done = start + rows
            if done % (10 * BATCH) == 0 or done == options.rows:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
                print(f"{done:>12,} rows  {session.counts()['resources']:>10,} resources"
                      f"{peak:>8,} MB at most{seconds * 1e9 / done:>10,.0f} ns per row", flush=True)


if __name__ == "__main__":
    main()
