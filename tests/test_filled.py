"""Resource sets with their variables filled in, against the rule they stand for."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from iamtables.runtime.codes import Token
from iamtables.runtime.filled import FilledPatterns
from iamtables.runtime.globs import match_tokens
from iamtables.runtime.resources import Tokens
from iamtables.runtime.values import decode_text

_WILD = {"*": Token.STAR, "?": Token.ANY, "#": Token.STAR_BUT_COLON, "%": Token.ANY_BUT_COLON}


def tokens(pattern: str) -> Tokens:
    return (np.array([_WILD.get(c, Token.POINT) for c in pattern], dtype=np.uint8),
            np.array([0 if c in _WILD else ord(c) for c in pattern], dtype=np.uint32))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_pattern_that_matches_says_the_state(seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        patterns = ["".join(random.choice("aab:é*?#%") for _ in range(random.randint(0, 7)))
                    for _ in range(random.randint(0, 4))]
        states = [random.randint(0, 2) for _ in patterns]
        filled = FilledPatterns(
            [(*tokens(p), state) for p, state in zip(patterns, states, strict=True)], 3)
        text = "".join(random.choice("aab:é") for _ in range(random.randint(0, 9)))
        matching = [s for p, s in zip(patterns, states, strict=True)
                    if match_tokens(*tokens(p), text)]
        expected = matching[0] if matching else 3
        assert filled.state(text.encode()) == expected, (patterns, text)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 5000])
def test_texts_of_any_length(length: int) -> None:
    filled = FilledPatterns([(*tokens("a*z"), 1)], 0)
    assert filled.state(b"a" + b"x" * length + b"z") == 1
    assert filled.state(b"a" + b"x" * length) == 0
    assert filled.state(("a" + "é" * length + "z").encode()) == 1


@pytest.mark.parametrize("text", [b"a\xff", b"a\xed\xa0\x80", b"\xc3", "a\u20ac".encode()])
def test_texts_that_are_not_plain_are_read_as_elsewhere(text: bytes) -> None:
    for pattern in ("a?", "a??", "a*", "?", "??"):
        expected = match_tokens(*tokens(pattern), decode_text(text))
        assert FilledPatterns([(*tokens(pattern), 1)], 0).state(text) == expected, pattern


def test_a_pattern_has_a_point_for_each_token() -> None:
    with pytest.raises(ValueError, match="one point per token"):
        FilledPatterns([(tokens("ab")[0], tokens("a")[1], 1)], 0)
