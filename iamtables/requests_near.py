"""Requests drawn near what policies name: the material of `iamtables bench`.

Actions come from the entries of the statements, through the catalogue, and some that no statement
names; resources are the patterns with their wildcards filled in; keys take the values of the
conditions, others, or none. Everything follows from a seed. Draws are skewed as real traffic is:
few actions and resources make most of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .catalogue import Catalogue, load_catalogue
from .grammar.tree import PolicyDocument

ROWS_PER_RESOURCE = 20
MOST_ACTIONS = 400
"""Distinct actions of a batch; an account's traffic rarely has more."""
_OTHER_ACTIONS = ("s3:GetObject", "logs:PutLogEvents", "sts:AssumeRole", "kms:Decrypt",
                  "ec2:DescribeInstances", "dynamodb:GetItem", "lambda:InvokeFunction")
_OTHER_RESOURCES = ("arn:aws:s3:::*/2026/part-*.parquet",
                    "arn:aws:logs:*:*:log-group:/aws/lambda/*",
                    "arn:aws:dynamodb:*:*:table/*")
_WORDS = ("orders", "search", "ranking", "claims", "chat", "intake", "billing", "us-east-1", "team")
_HOLE = re.compile(r"\$\{[^}]*\}|\*|\?")


@dataclass(frozen=True, slots=True)
class Coded:
    """A column: codes int32[n] into values; -1 is a null."""

    codes: NDArray[np.int32]
    values: Sequence[str]


def draw_requests(documents: Iterable[PolicyDocument], rows: int, seed: int,
                  catalogue: Catalogue | None = None) -> dict[str, Coded]:
    """Columns `action`, `resource` and one for each key that a condition asks for.

    rows : number of requests; one in ROWS_PER_RESOURCE names a resource of its own
    """
    draw = np.random.default_rng(seed)
    statements = [statement for document in documents for statement in document.statements]
    patterns = [entry.value for statement in statements if statement.action is not None
                and not statement.action.negated for entry in statement.action.entries]
    actions = _actions(patterns, catalogue or load_catalogue(), draw)
    named = [entry.value for statement in statements if statement.resource is not None
             and not statement.resource.negated for entry in statement.resource.entries]
    values: dict[str, dict[str, None]] = {}
    spelling: dict[str, str] = {}
    for statement in statements:
        for entry in statement.conditions:
            key = spelling.setdefault(entry.key.value.lower(), entry.key.value)
            values.setdefault(key, {}).update((_filled(v.value, draw), None) for v in entry.values)
    resources = _resources(named, max(1, rows // ROWS_PER_RESOURCE), draw)
    columns = {"action": _skewed(actions, rows, draw), "resource": _skewed(resources, rows, draw)}
    for key, known in values.items():
        texts = [*known, "another value"]
        codes = draw.integers(-len(texts), len(texts), rows)  # about half are null
        columns[key] = Coded(np.maximum(codes, -1).astype(np.int32), texts)
    return columns


def _actions(patterns: Sequence[str], catalogue: Catalogue, draw: np.random.Generator
             ) -> list[str]:  # fmt: skip
    found: dict[str, None] = {}
    for pattern in dict.fromkeys(patterns):
        service, _, name = pattern.partition(":")
        if "*" in service:
            names = list(_OTHER_ACTIONS)
        elif _HOLE.search(name):
            is_match = re.compile(_HOLE.sub(_regex_of, re.sub(r"([.+^()\[\]|\\])", r"\\\1", name)),
                                  re.IGNORECASE).fullmatch
            names = [a for a in catalogue.actions_of(service) if is_match(a.partition(":")[2])]
        else:
            names = [pattern]
        found.update((n, None) for n in names)
    listed = list(found)
    if len(listed) > MOST_ACTIONS:
        listed = [listed[i] for i in draw.permutation(len(listed))[:MOST_ACTIONS]]
    return list(dict.fromkeys([*listed, *_OTHER_ACTIONS]))


def _regex_of(hole: re.Match[str]) -> str:
    return ".*" if hole[0] == "*" else "."


def _resources(named: Sequence[str], count: int, draw: np.random.Generator) -> list[str]:
    patterns = [p for p in dict.fromkeys(named) if p.startswith("arn:") and _HOLE.search(p)]
    exact = [p for p in dict.fromkeys(named) if not _HOLE.search(p)]
    patterns += _OTHER_RESOURCES
    found: dict[str, None] = dict.fromkeys(["*", *exact][:count])
    for number in range(4 * count):
        if len(found) >= count:
            break
        found[_filled(patterns[number % len(patterns)], draw, number)] = None
    return list(found)


def _filled(pattern: str, draw: np.random.Generator, number: int | None = None) -> str:
    def text(hole: re.Match[str]) -> str:
        if hole[0] == "?":
            return "x"
        word = _WORDS[int(draw.integers(len(_WORDS)))]
        return word if number is None else f"{word}-{number}"

    return _HOLE.sub(text, pattern)


def _skewed(values: Sequence[str], rows: int, draw: np.random.Generator) -> Coded:
    """Zipf-like: the k-th value is drawn about 1/k as often as the first; each at least once."""
    weight = 1.0 / np.arange(1, len(values) + 1) ** 0.8
    codes = draw.choice(len(values), rows, p=weight / weight.sum()).astype(np.int32)
    if rows >= len(values):
        codes[draw.permutation(rows)[: len(values)]] = np.arange(len(values), dtype=np.int32)
    return Coded(codes, [values[i] for i in draw.permutation(len(values))])
