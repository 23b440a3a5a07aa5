"""Compiled files damaged on purpose, with a hash that fits again: refused or answered, never worse.

Run as a script, so that a crash or an endless loop is a dead process and not a dead test run:

    python tests/artefact_fuzz.py FIRST_SEED COUNT

Every mutation follows from its seed alone. The seed in progress is printed before it is tried; the
last line printed before a crash names the culprit.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from generator import make_world
from judging import check, columns, compile_texts
from numpy.typing import NDArray
from safetensors.numpy import save

import iamtables
from iamtables.runtime.artefact import content_hash
from iamtables.runtime.save import metadata_of

Arrays = dict[str, NDArray[Any]]

HANG_S = 20
"""One mutation takes milliseconds; after this long the process gives up with a traceback."""

_WORLDS = (3, 11, 42, 77, 123, 205)

_SINGLE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Trie", "Effect": "Allow", "Action": ["s3:Get*", "s3:G?tObj*", "s3:*a*b?c",
                                                      "ec2:*"],
         "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b?/a*c?d*", "arn:aws:s3:r*:?:b/?",
                      "arn:*:s3:::b/${aws:username}/*", "arn:aws:s3",
                      *(f"arn:aws:sqs:*:*:{n}/*" for n in ("q", "r", "qr", "?s/x", "t*:u")),
                      *(f"arn:aws:sqs:*:*:*{n}" for n in ("end", "and", "d", "?-x"))]},
        {"Effect": "Deny", "NotAction": "s3:*", "NotResource": ["arn:aws:ec2:*:*:i/é*", "*:b"],
         "Condition": {"StringLike": {"k:s": ["a*", "${k:t, 'd'}?"]},
                       "NumericLessThanIfExists": {"k:n": ["10", "1e1"]}}},
        {"Effect": "Allow", "Action": "*", "Resource": "*",
         "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["x", "y"]},
                       "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                       "DateGreaterThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"},
                       "ArnLike": {"aws:SourceArn": "arn:aws:s3:*:?:b"},
                       "Bool": {"aws:SecureTransport": "true"}, "Null": {"k:z": "false"},
                       "BinaryEquals": {"k:bin": "aGk="}}},
        {"Effect": "Maybe", "Action": "s3:Put*", "Resource": "arn:aws:s3:::\U0001f600*"},
    ],
}  # fmt: skip


class Base:
    """A table in good order, with the requests that are asked of its damaged copies."""

    def __init__(self, texts: list[str], options: dict[str, str], requests: list[Any],
                 keys: list[str]) -> None:
        self.table = compile_texts(texts, options)
        self.arrays: Arrays = dict(self.table.model.arrays)
        self.metadata = metadata_of(self.table.model)
        self.names = sorted(self.arrays)
        self.requests = requests
        self.keys = keys


@cache
def base(number: int) -> Base:
    if number == 0:
        world = make_world(5)
        context: dict[str, Any] = {
            "k:s": "abc", "k:t": "*", "k:n": "9.5", "aws:TagKeys": ["x"], "k:z": "1",
            "aws:CurrentTime": "2025-01-01T00:00:00Z", "aws:SourceArn": "arn:aws:s3:::b",
            "aws:SecureTransport": "true", "k:bin": "aGk=", "aws:username": "u",
            "aws:SourceIp": "10.1.1.1",
        }  # fmt: skip
        made = type(world.requests[0])
        texts = ("arn:aws:s3:::b/u/x", "arn:aws:s3:::bé/aXcYdZ", "arn:aws:s3:r1:2:b/q", "*", None,
                 "arn:aws:ec2:r:1:i/éa", "arn:::::", "arn:aws:s3:::\U0001f600\U0001f600")
        requests = [
            made(action, resource, context, unknown)
            for action in ("s3:GetObject", "s3:xaxxbxc", "ec2:Run", "s3:Put")
            for resource in texts
            for unknown in (frozenset(), frozenset({"aws:username", "k:n"}))
        ]
        return Base([json.dumps(_SINGLE), "{}"], {}, requests, sorted(context))
    world = make_world(_WORLDS[number - 1])
    return Base(world.texts(), world.options, world.requests[:24], list(world.keys))


def _damage(array: NDArray[Any], rng: Random) -> NDArray[Any]:
    """A copy with one value changed, or with its length changed."""
    array = array.copy()
    top = int(np.iinfo(array.dtype).max)
    kind = rng.random()
    if not len(array) or kind < 0.08:
        if len(array) and rng.random() < 0.5:
            return array[: rng.randrange(len(array))].copy()
        more = np.array([rng.choice((0, 1, top)) for _ in range(rng.randint(1, 3))], array.dtype)
        return np.concatenate([array, more])
    at = rng.randrange(len(array))
    old = int(array[at])
    new = rng.choice((
        0, 1, top, top - 1, old + 1, old - 1, old ^ 1 << rng.randrange(array.dtype.itemsize * 8),
        rng.randrange(256), rng.randrange(top), int(array[rng.randrange(len(array))]), len(array),
    ))  # fmt: skip
    array[at] = new & top
    return array


def damaged_file(base: Base, rng: Random, path: Path) -> str:
    """Write the table with one to three damages and a fitting hash; what was damaged, in words."""
    arrays = dict(base.arrays)
    touched = []
    for _ in range(1 if rng.random() < 0.7 else rng.randint(2, 3)):
        name = rng.choice(base.names)
        arrays[name] = _damage(arrays[name], rng)
        touched.append(name)
    metadata = dict(base.metadata)
    metadata["sha256"] = content_hash(arrays, metadata)
    path.write_bytes(save(arrays, metadata))
    return ", ".join(touched)


def ask_everything(table: iamtables.Table, base: Base) -> None:
    """Every public question. Errors of the package are answers too, anything else is not."""
    for request in base.requests[::3]:
        try:
            str(check(table, request).explain().render(verbose=True))
        except iamtables.IamtablesError:
            continue
    for dictionary in (False, True):
        try:
            decisions = table.decide(
                **columns(base.requests, base.keys, dictionary=dictionary), missing="unknown"
            )
        except iamtables.IamtablesError:
            continue
        for row in range(0, len(decisions), 5):
            try:
                str(decisions.explain(row))
                decisions.reason(row)
            except iamtables.IamtablesError:
                continue
    table.describe()
    assert len(table.sources) == len(base.table.sources)
    for statement in table.statements:
        str(statement)


def try_seed(seed: int, path: Path) -> str:
    """`refused` or `answered`. Any other exception than an ArtefactError on opening passes."""
    rng = Random(seed)
    one = base(rng.randrange(len(_WORLDS) + 1))
    touched = damaged_file(one, rng, path)
    print(seed, touched, flush=True)
    signal.alarm(HANG_S)
    try:
        table = iamtables.open_table(path)
    except iamtables.ArtefactError:
        return "refused"
    ask_everything(table, one)
    return "answered"


def main(first: int, count: int) -> None:
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            outcomes[try_seed(seed, Path(folder) / "t.iamt")] += 1
    print("outcomes", json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    faulthandler.register(signal.SIGALRM, chain=True)  # a traceback, then the end
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main(int(sys.argv[1]), int(sys.argv[2]))
