"""What does each stage cost by itself: numbering texts, and matching them against patterns?

The stages are called as the product's kernels call them (stages_kernel.pyx) and held against what
else could be taken: pyarrow's dictionary encoder, Hyperscan. Answers are compared with theirs.
"""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpora import ManagedPolicies
from goals import Goal, InTurns, Judge
from kernels import load_kernel
from limits import Limits, Texts
from principals import PrincipalCorpus

import iamtables
from iamtables.compiler import lower_frame
from iamtables.compiler.encoding import decode_elements, encode_elements
from iamtables.compiler.frames import layers_frame
from iamtables.compiler.trie import compile_joined, compile_patterns
from iamtables.runtime.codes import Token
from iamtables.runtime.globs import GlobSet

_SEED = 0x13198A2E03707344


@pytest.mark.parametrize("distinct", [400, 50_000, 1_000_000])
@pytest.mark.benchmark(group="stages: interning")
def test_interning_against_pyarrow(
    in_turns: InTurns, judge: Judge, is_timed: bool, distinct: int
) -> None:
    rows = 1_000_000 if is_timed else 5_000
    distinct = min(distinct, rows)
    rng = np.random.default_rng(3)
    codes = rng.integers(0, distinct, rows) if distinct < rows else rng.permutation(rows)
    texts = [f"arn:aws:s3:::company-data-{i % 7}/2026/{i:08d}/part-{i * 7919 % 9973:05d}.parquet"
             for i in range(distinct)]
    column = pa.array(texts).take(pa.array(codes))
    arrow = Texts(column)
    ids = np.zeros(rows, dtype=np.uint32)
    kernel = load_kernel("stages_kernel")
    turns = in_turns(lambda: kernel.intern_texts(arrow.data, arrow.offsets, ids, _SEED),
                     column.dictionary_encode, facts={"rows": rows, "distinct": distinct})
    encoded = column.dictionary_encode()
    assert turns.result == len(encoded.dictionary)
    assert np.array_equal(ids, encoded.indices.to_numpy())
    floor = Limits.least_seconds(arrow) if is_timed else 1.0
    judge(f"interning {distinct:,} distinct of {rows:,}: times as fast as pyarrow",
          1 / turns.ratio, Goal(2.5, "x", is_floor=True) if distinct >= 50_000 else None)
    judge("  of that, against hashing and comparing", turns.question_s / floor)


@pytest.fixture(scope="module")
def patterns(managed: ManagedPolicies) -> Any:
    """The distinct resource patterns of the managed policies, as the compiler has them."""
    documents = [iamtables.parse_policy(text, name=name) for name, text in managed.texts.items()]
    program = lower_frame(layers_frame(identity=documents))
    return [p for p in program.resource_patterns if not p.is_all]


def superset_globs(patterns: Any) -> list[bytes]:
    """Encoded patterns, a variable standing for any text."""
    star = encode_elements([(Token.STAR, 0)])
    return [p.encoded.replace(encode_elements([(Token.VARIABLE, 0)]), star) for p in patterns]


def glob_set(patterns: Any) -> GlobSet:
    arrays = compile_patterns(superset_globs(patterns))
    return GlobSet({f"resource/{name}": array for name, array in arrays.items()}, "resource/")


@pytest.mark.benchmark(group="stages: patterns")
def test_a_distinct_arn_against_every_pattern(
    in_turns: InTurns, judge: Judge, limits: Limits, workforce: PrincipalCorpus, patterns: Any
) -> None:
    texts = list(workforce.columns["resource"].values)
    arrow = Texts(pa.array(texts, pa.string()))
    counts = np.zeros(len(texts), dtype=np.uint32)
    kernel, globs = load_kernel("stages_kernel"), glob_set(patterns)
    kernel.match_texts(globs, arrow.data, arrow.offsets, counts)
    verified = globs.candidates / len(texts)
    turns = in_turns(lambda: kernel.match_texts(globs, arrow.data, arrow.offsets, counts),
                     limits.hashes, facts={"patterns": len(patterns)} | workforce.facts())
    slow = [re.compile(regex_of(p), re.DOTALL) for p in patterns]
    for at in range(0, len(texts), max(1, len(texts) // 100)):
        assert counts[at] == sum(bool(one.fullmatch(str(texts[at]))) for one in slow), texts[at]
    judge(f"one distinct ARN against {len(patterns):,} resource patterns", turns.ratio,
          Goal(20, "x F_hash"))
    judge("  of that, ns", turns.question_s * 1e9 / len(texts))
    judge("  candidates verified per ARN", verified, Goal(5, ""))


@pytest.mark.benchmark(group="stages: patterns")
def test_building_every_pattern(in_turns: InTurns, judge: Judge, patterns: Any) -> None:
    """From patterns that stand end to end, as lowering leaves them, against a list of them."""
    listed = superset_globs(patterns)
    joined = b"".join(listed)
    start = np.cumsum([0, *map(len, listed)]).astype(np.uint32)
    turns = in_turns(lambda: compile_joined(joined, start), lambda: compile_patterns(listed),
                     facts={"patterns": len(patterns)})
    assert len(turns.result["automaton"]) == len(patterns)
    judge(f"building {len(patterns):,} resource patterns, ms", turns.question_s * 1e3,
          Goal(2, "ms"))


@pytest.mark.benchmark(group="stages: patterns")
def test_patterns_against_hyperscan(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, patterns: Any, is_timed: bool
) -> None:
    """Through Hyperscan's Python binding: what its calls and call-backs cost is taken off.

    Of each text the number of patterns is compared.
    """
    hyperscan = pytest.importorskip("hyperscan", reason="Hyperscan is not installed")
    texts = [str(text).encode() for text in workforce.columns["resource"].values][:20_000]
    expressions = [f"^{regex_of(p)}$".encode() for p in patterns]
    started = time.thread_time()
    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
    database = hyperscan.Database()
    database.compile(expressions=expressions, ids=list(range(len(expressions))),
                     elements=len(expressions), flags=[flags] * len(expressions))
    built_s = time.thread_time() - started
    found: list[int] = []

    def on_match(*_: Any) -> None:
        found[-1] += 1

    def scan() -> list[int]:
        found.clear()
        for text in texts:
            found.append(0)
            database.scan(text, match_event_handler=on_match)
        return found

    nothing = hyperscan.Database()
    nothing.compile(expressions=[b"^\\x00+$"], ids=[0], elements=1, flags=[flags])

    def empty() -> None:
        for text in texts:
            nothing.scan(text, match_event_handler=on_match)
        for _ in range(sum(found)):
            found[-1] += 0

    arrow = Texts(pa.array([text.decode() for text in texts], pa.string()))
    counts = np.zeros(len(texts), dtype=np.uint32)
    kernel, globs = load_kernel("stages_kernel"), glob_set(patterns)

    def ours() -> None:
        kernel.match_texts(globs, arrow.data, arrow.offsets, counts)

    turns = in_turns(scan, ours, facts={"patterns": len(patterns)}, rounds=5)
    assert counts.tolist() == turns.result
    if is_timed:
        calls = min(_seconds(empty) for _ in range(5))
        judge("matching, times as fast as Hyperscan", (turns.question_s - calls) / turns.other_s,
              Goal(3, "x", is_floor=True))
        judge("  Hyperscan's build, ms", built_s * 1e3)


def _seconds(function: Any) -> float:
    started = time.thread_time()
    function()
    return time.thread_time() - started


def regex_of(pattern: Any) -> str:
    """The language of a pattern in the words of the rules (RES-4, GLOB-3)."""
    wild = {"STAR": ".*", "STAR_BUT_COLON": "[^:]*", "ANY": ".", "ANY_BUT_COLON": "[^:]"}
    return "".join(
        wild.get(token.name) or re.sub(r"([^A-Za-z0-9_])", r"\\\1", chr(point))
        for token, point in decode_elements(superset_globs([pattern])[0]))
