"""How many patterns are verified for a text: counted, over ARNs made from the managed policies.

Second literals and the filters before verification (runtime/globs.pyx) are there for this figure.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
from test_managed_policies import fill, listed, managed

import iamtables
from iamtables.runtime.globs import GlobSet

MOST_ON_AVERAGE = 5.0
TEXTS = 10_000


def instances(patterns: list[str], count: int, rng: Random) -> list[str]:
    """Different texts that the patterns match, three in ten with a character changed."""
    found: dict[str, None] = {}
    while len(found) < count:
        text = fill(rng.choice(patterns), rng, {})
        if rng.random() < 0.3:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice("xyz/:") + text[at + 1:]
        found[text] = None
    return list(found)


def test_few_patterns_are_verified_for_an_arn() -> None:
    patterns = sorted({
        pattern for text in managed().values() for statement in statements(text)
        for pattern in listed(statement.get("Resource", [])) if pattern.startswith("arn:")})
    assert len(patterns) > 2_000
    document = {"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "*", "Resource": patterns}}
    table = iamtables.compile(iamtables.parse_policy(json.dumps(document)))
    globs = GlobSet(table.model.arrays, "resource/")
    counts = []
    matched = 0
    for text in instances(patterns, TEXTS, Random(1)):
        before = globs.candidates
        matched += bool(globs.matches(text.encode()))
        counts.append(globs.candidates - before)
    assert matched > TEXTS // 2
    assert np.mean(counts) <= MOST_ON_AVERAGE


def statements(text: str) -> list[dict[str, Any]]:
    found = json.loads(text)["Statement"]
    return found if isinstance(found, list) else [found]
