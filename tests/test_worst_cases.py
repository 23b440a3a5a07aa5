"""What a hostile sender of requests can do to caches: nothing. Counted and bounded, never timed.

Hostile policies are in test_hostile_patterns.py. Here the texts of the requests are the attack:
all of them different, so that every cache would grow for ever, or made so that a hash without a
key would put all of them into one place.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables
from iamtables import DecisionCode
from iamtables.runtime import session as sessions

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from limits import python_hash

CHUNK = 512
BUDGET = 120_000
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:Get*7", "Resource": "arn:aws:s3:::b/*/7*",
     "Condition": {"StringLike": {"k:one": "*7*", "k:two": "v*"}}},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*/77*"}]})


def distinct_columns(start: int, rows: int) -> dict[str, list[str]]:
    """No text occurs twice, in any column."""
    numbers = range(start, start + rows)
    return {"principal": [f"arn:aws:iam::111122223333:role/r{i}" for i in numbers],
            "action": [f"s3:Get{i}" for i in numbers],
            "resource": [f"arn:aws:s3:::b/{i}/{i * 31 % 1000}" for i in numbers],
            "k:one": [f"a{i}" for i in numbers], "k:two": [f"v{i}" for i in numbers]}


def expected_of(start: int, rows: int) -> list[int]:
    out = []
    for i in range(start, start + rows):
        last = str(i * 31 % 1000)
        if last.startswith("77"):
            out.append(DecisionCode.EXPLICIT_DENY)
        elif str(i).endswith("7") and last.startswith("7"):
            out.append(DecisionCode.ALLOW)
        else:
            out.append(DecisionCode.IMPLICIT_DENY)
    return out


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> iamtables.Table:
    monkeypatch.setattr(sessions, "CHUNK_ROWS", CHUNK)
    return iamtables.compile(iamtables.parse_policy(POLICY))


@pytest.mark.parametrize("layout", ["strings", "lists", "dictionaries"])
def test_distinct_values_in_every_column_stay_within_the_budget(
    table: iamtables.Table, layout: str
) -> None:
    """Memory passes the budget by what one chunk adds at most, and answers do not change."""
    with table.session() as free:
        free.decide(distinct_columns(0, CHUNK))
        of_a_chunk = free._engine(0).used_bytes()
    assert of_a_chunk < BUDGET * 4
    highest = 0
    decided: list[int] = []
    with table.session(budget_bytes=BUDGET) as session:
        for start in range(0, 16 * CHUNK, 4 * CHUNK):
            columns: dict[str, Any] = distinct_columns(start, 4 * CHUNK)
            if layout != "lists":
                columns = {name: pa.array(texts) for name, texts in columns.items()}
            if layout == "dictionaries":
                columns = {name: texts.dictionary_encode() for name, texts in columns.items()}
            decided += session.decide(columns).decision.tolist()
            highest = max(highest, session._engine(0).used_bytes())
    assert decided == expected_of(0, 16 * CHUNK)
    assert set(decided) == {0, 1, 2}
    assert highest <= BUDGET + 2 * of_a_chunk  # arrays grow by doubling
    with table.session() as unbounded:
        unbounded.decide(distinct_columns(0, 16 * CHUNK))
        assert unbounded._engine(0).used_bytes() > highest


def test_distinct_values_in_every_column_of_a_layered_table_stay_within_the_budget(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CHUNK_ROWS", CHUNK)
    table = iamtables.compile_layers(
        identity=[iamtables.parse_policy(POLICY)], scps=[[iamtables.parse_policy(
            json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"}]}), policy_type="scp")]])
    with table.session() as free:
        free.decide(distinct_columns(0, CHUNK), resource_account="111122223333")
        of_a_chunk = free._engine(0).used_bytes()
    decided, highest = [], 0
    with table.session(budget_bytes=BUDGET) as session:
        for start in range(0, 4_096, 1_024):
            decided += session.decide(distinct_columns(start, 1_024),
                                      resource_account="111122223333").decision.tolist()
            highest = max(highest, session._engine(0).used_bytes())
    assert decided == expected_of(0, 4_096)
    assert highest <= BUDGET + 2 * of_a_chunk


def collisions(seed: int, count: int) -> list[bytes]:
    """Texts with one and the same hash under a known key: a factor is made zero by the first eight
    bytes, and with it goes all that the second eight could say."""
    first = (0x9E3779B97F4A7C15 ^ seed).to_bytes(8, "little")
    rng = Random(1)
    return [first + rng.randbytes(8) + b"the same for all" for _ in range(count)]


def test_texts_that_collide_under_one_key_do_not_under_another() -> None:
    """So whoever does not know the key, which is drawn for each table, cannot make them."""
    known = 0x1234567890ABCDEF
    texts = collisions(known, 2_000)
    assert len(set(texts)) == 2_000
    assert len({python_hash(text, known) for text in texts}) == 1
    for seed in (0, 1, known ^ 1, known + 1, 0xFEDCBA0987654321):
        hashes = [python_hash(text, seed) for text in texts]
        assert len(set(hashes)) == 2_000
        assert longest_probe(hashes) < 40


def longest_probe(hashes: list[int]) -> int:
    """Steps of the unluckiest text in a table half full, as runtime/intern.pyx probes."""
    size = 1 << (2 * len(hashes) - 1).bit_length()
    taken = np.zeros(size, dtype=bool)
    longest = 0
    for hashed in hashes:
        at, steps = hashed & size - 1, 0
        while taken[at]:
            at, steps = (at + 1) & size - 1, steps + 1
        taken[at] = True
        longest = max(longest, steps)
    return longest


def alike(count: int) -> Iterator[tuple[str, list[bytes]]]:
    """Families of texts that weak hashes put close together."""
    yield "numbers", [b"arn:aws:s3:::b/%08d" % i for i in range(count)]
    yield "lengths", [b"a" * i for i in range(count)]
    yield "zeros", [bytes(8 + i) for i in range(count)]
    yield "one bit", [(1 << i).to_bytes(count // 8 + 1, "little") for i in range(count)]
    yield "swapped", [b"%016d%016d" % (i, count - i) for i in range(count)]
    yield "heads", [b"%d/" % i + b"x" * 2_000 for i in range(count)]


def test_texts_that_are_nearly_alike_are_spread() -> None:
    for seed in (0, 7, 0xFEDCBA0987654321):
        for name, texts in alike(500):
            hashes = [python_hash(text, seed) for text in texts]
            assert len(set(hashes)) == len(texts), name
            assert longest_probe(hashes) < 60, name


def test_every_table_draws_its_key() -> None:
    document = iamtables.parse_policy(POLICY)
    keys = {iamtables.compile(document).planner.seed() for _ in range(8)}
    assert len(keys) == 8 and {len(key) for key in keys} == {8}


def test_texts_that_collide_under_a_guessed_key_are_still_told_apart() -> None:
    """Bytes are compared whatever the hash says; here also texts that are no UTF-8."""
    texts = [b"arn:aws:s3:::b/" + text for text in collisions(0, 5_000)]
    sizes = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    column = pa.Array.from_buffers(
        pa.string(), len(texts), [None, pa.py_buffer(sizes), pa.py_buffer(b"".join(texts))])
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/*the same for all"}]})
    table = iamtables.compile(iamtables.parse_policy(policy))
    with table.session() as session:
        for _ in range(2):
            decided = session.decide(action="s3:GetObject", resource=column)
            assert (decided.decision == DecisionCode.ALLOW).all()
        assert session.counts()["resources"] == len(set(texts))


@pytest.mark.slow
def test_a_million_distinct_values_in_every_column_do_not_grow_the_process() -> None:
    """Measured on a process of its own, with columns made batch by batch."""
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_worst_cases import *
table = iamtables.compile(iamtables.parse_policy(POLICY))
peaks = []
with table.session(budget_bytes=32 << 20) as session:
    for start in range(0, 1_000_000, 50_000):
        decided = session.decide(distinct_columns(start, 50_000)).decision.tolist()
        assert decided == expected_of(start, 50_000)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[9], peaks[-1])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    half, whole = map(int, done.stdout.split())
    assert whole - half < 64 << 10  # kilobytes
