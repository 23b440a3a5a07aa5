"""Arrow arrays whose offsets, codes and bitmaps lie: refused or answered, never worse.

Run as a script, so that a crash is a dead process: `python tests/column_fuzz.py FIRST_SEED COUNT`.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

import iamtables

_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/${k:s}*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*",
         "Condition": {"ForAnyValue:StringLike": {"k:m": ["a?", "*b"]}}},
    ],
}  # fmt: skip

_TEXT = b"arn:aws:s3:::b/axs3:GetObjectaab\xff\xed\xa0\x80"


def _bits(rng: Random, n: int) -> Any:
    return pa.py_buffer(rng.randbytes(n // 8 + 1)) if rng.random() < 0.4 else None


def _offsets(rng: Random, n: int, top: int, dtype: type) -> Any:
    """Mostly ascending, with a lie or two in the middle; the ends are what Arrow checks."""
    values = np.sort(np.array([rng.randint(0, top) for _ in range(n + 1)], dtype=dtype))
    for _ in range(rng.choice((0, 1, 1, 2))):
        info = np.iinfo(dtype)
        values[rng.randrange(len(values))] = rng.choice(
            (-1, info.min, info.max, top + 1, top - 1, 0, rng.randint(-9, top + 9)))
    return pa.py_buffer(values.tobytes())


def _strings(rng: Random, n: int) -> Any:
    kind, dtype = rng.choice(((pa.string(), np.int32), (pa.large_string(), np.int64)))
    buffers = [_bits(rng, n), _offsets(rng, n, len(_TEXT), dtype), pa.py_buffer(_TEXT)]
    return pa.Array.from_buffers(kind, n, buffers)


def _array(rng: Random, n: int) -> Any:
    """An array of n + 3 rows, cut to n of them."""
    kind = rng.randrange(3)
    if kind == 0:
        array = _strings(rng, n + 3)
    elif kind == 1:
        dtype = rng.choice((np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64))
        top = rng.choice((6, 6, 6, int(np.iinfo(dtype).max)))
        low = rng.choice((0, 0, max(-3, int(np.iinfo(dtype).min))))
        codes = np.array([rng.randint(low, top) for _ in range(n + 3)], dtype=dtype)
        null = np.array([rng.random() < 0.2 for _ in range(n + 3)])
        words = _strings(rng, 7)
        array = pa.DictionaryArray.from_arrays(pa.array(codes, mask=null), words, safe=False)
    else:
        words = _strings(rng, 12)
        kind_, dtype = rng.choice(((pa.list_, np.int32), (pa.large_list, np.int64)))
        array = pa.Array.from_buffers(
            kind_(words.type), n + 3, [_bits(rng, n + 3), _offsets(rng, n + 3, 12, dtype)],
            children=[words],
        )  # fmt: skip
    return array.slice(rng.randint(0, 3), n)


def try_seed(table: iamtables.Table, seed: int) -> str:
    rng = Random(seed)
    n = 20
    asked: dict[str, Any] = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/ax",
                             "k:s": "a", "k:m": ["ab"] * n}  # fmt: skip
    try:
        for name in rng.sample(sorted(asked), rng.randint(1, 2)):
            asked[name] = _array(rng, n)
    except (pa.ArrowException, ValueError):
        return "no array"
    named = {name: asked.pop(name) for name in ("action", "resource")}
    try:
        decisions = table.decide(**named, context=asked, threads=rng.choice((1, 2)))
    except iamtables.ColumnError:
        return "refused"
    for row in range(n):
        try:
            str(decisions.explain(row))
        except iamtables.IamtablesError:
            continue
    return "answered"


def main(first: int, count: int) -> None:
    table = iamtables.compile(iamtables.parse_policy(json.dumps(_POLICY)))
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + count):
        print(seed, flush=True)
        faulthandler.dump_traceback_later(20, exit=True)
        outcomes[try_seed(table, seed)] += 1
        faulthandler.cancel_dump_traceback_later()
    print("outcomes", json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]))
