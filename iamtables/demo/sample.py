"""A CloudTrail log of any size, generated from a seed, in the layout CloudTrail delivers.

    DIRECTORY/AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHMMZ_16CHARACTERS.json.gz

Each file is `{"Records":[...]}` on one line, gzip-compressed. The same seed and count give the
same bytes: every file has a random generator of its own, gzip headers carry no time, and the
compressor is zlib at one fixed level. Compressing (which releases the GIL) runs beside the writing
of the next file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random

from . import DEFAULT_RECORDS, DEFAULT_SEED
from .records import compile_calls
from .world import CELLS, made_pools, make_sessions

_FIRST_DAY = datetime(2025, 1, 6, tzinfo=UTC)
_RECORDS_PER_DAY = 50_000
_LARGEST_FILE = 12_000
_HOURLY = (18, 14, 12, 11, 12, 15, 22, 38, 62, 88, 100, 98, 84, 90, 99, 97, 88, 74, 58, 46, 40, 36,
           30, 24)
"""Traffic by hour of the day (UTC)."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LEVEL = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written. `json_bytes` counts the records before compression."""

    directory: Path
    records: int
    files: int
    json_bytes: int
    gzip_bytes: int


@dataclass(frozen=True, slots=True)
class _File:
    account: str
    region: str
    day: int
    part: int
    parts: int
    records: int


def _plan(records: int) -> list[_File]:
    """Which file holds how many records; the counts add up to `records`."""
    days = max(1, round(records / _RECORDS_PER_DAY))
    total = sum(share for *_, share in CELLS) * days
    planned: list[_File] = []
    given = reached = 0
    for day in range(days):
        for account, region, share in CELLS:
            reached += share
            count = records * reached // total - given
            given += count
            parts = -(-count // _LARGEST_FILE)
            for part in range(parts):
                size = count * (part + 1) // parts - count * part // parts
                planned.append(_File(account, region, day, part, parts, size))
    return planned


def _times(rng: Random, file: _File) -> list[str]:
    """Event times within the file's part of its day: nearly in order, as records are delivered."""
    first, last = 24 * file.part // file.parts, 24 * (file.part + 1) // file.parts
    hours = list(range(first, max(last, first + 1)))
    bounds = list(accumulate(_HOURLY[hour] for hour in hours))
    seconds = sorted(3600 * hour + rng.randrange(3600)
                     for hour in rng.choices(hours, cum_weights=bounds, k=file.records))
    for _ in range(file.records // 20):
        i = rng.randrange(file.records)
        j = min(file.records - 1, i + rng.randrange(30))
        seconds[i], seconds[j] = seconds[j], seconds[i]
    date = (_FIRST_DAY + timedelta(days=file.day)).strftime("%Y-%m-%d")
    return [f"{date}T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z" for s in seconds]


def _file_text(file: _File, seed: int, pools: dict[str, tuple[str, ...]]) -> str:
    rng = Random(f"{seed}/{file.account}/{file.region}/{file.day}/{file.part}/{file.parts}")
    writers, bounds = compile_calls(file.account, file.region, pools)
    midnight = _FIRST_DAY + timedelta(days=file.day)
    blocks = [make_sessions(file.account, midnight, block, rng) for block in range(4)]
    times = _times(rng, file)
    digits = rng.randbytes(32 * file.records).hex()
    lines = [
        writer(rng, blocks[int(time[11:13]) // 6], time, digits[64 * i : 64 * i + 64])
        for i, (writer, time) in enumerate(
            zip(rng.choices(writers, cum_weights=bounds, k=file.records), times, strict=True)
        )
    ]
    return '{"Records":[' + ",".join(lines) + "]}"


def _file_path(directory: Path, file: _File, seed: int) -> Path:
    day = _FIRST_DAY + timedelta(days=file.day)
    delivered = day + timedelta(hours=24 * (file.part + 1) // file.parts, minutes=5)
    name = Random(f"name/{seed}/{file}")
    suffix = "".join(name.choices(_ALPHABET, k=16))
    return (
        directory / "AWSLogs" / file.account / "CloudTrail" / file.region / f"{delivered:%Y/%m/%d}"
        / f"{file.account}_CloudTrail_{file.region}_{delivered:%Y%m%dT%H%MZ}_{suffix}.json.gz"
    )


def _compress(path: Path, data: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    # wbits 31 is a gzip frame whose header has no file name and time zero
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    packed = engine.compress(data) + engine.flush()
    path.write_bytes(packed)
    return len(packed)


def write_sample(directory: str | Path, *, records: int = DEFAULT_RECORDS, seed: int = DEFAULT_SEED,
                 progress: Callable[[int], None] | None = None) -> Sample:
    """Write a log of `records` records below `directory`; the same seed gives the same bytes.

    progress : called with the number of records in each file once it is complete

    About 25 µs and 1.2 kB (0.2 kB on disk) per record.
    """
    root = Path(directory)
    plan = _plan(max(0, records))
    pools = made_pools(Random(f"pools/{seed}"))
    json_bytes = 0
    pending: list[Future[int]] = []
    with ThreadPoolExecutor(1) as worker:
        for file in plan:
            data = _file_text(file, seed, pools).encode("ascii")
            json_bytes += len(data)
            while sum(not task.done() for task in pending) > 2:
                next(task for task in pending if not task.done()).result()
            pending.append(worker.submit(_compress, _file_path(root, file, seed), data))
            if progress is not None:
                progress(file.records)
        gzip_bytes = sum(task.result() for task in pending)
    return Sample(root, sum(file.records for file in plan), len(plan), json_bytes, gzip_bytes)

