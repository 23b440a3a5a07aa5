"""The signature of words drops no pattern that matches, and most of those that do not."""

from __future__ import annotations

from random import Random

import pytest
from test_hostile_patterns import is_match

from iamtables.compiler.signature import required_words, word_bit
from iamtables.compiler.trie import compile_patterns
from iamtables.runtime.codes import Token
from iamtables.runtime.globs import GlobSet

_PARTS = (":", "/", "a", "b", "é", "\U0001f511", ":role", "/user", ":end", "::", "s3", "-")
_WILD = {"*": Token.STAR, "?": Token.ANY}


def elements(pattern: str) -> list[tuple[Token, int]]:
    return [(_WILD[c], 0) if c in _WILD else (Token.POINT, ord(c)) for c in pattern]


def globs(patterns: list[str]) -> GlobSet:
    arrays = compile_patterns([elements(p) for p in patterns])
    return GlobSet({"x/" + name: array for name, array in arrays.items()}, "x/")


def filled(pattern: str, random: Random) -> str:
    """A text that the pattern matches, or nearly."""
    out = []
    for char in pattern:
        if char == "*":
            out.append("".join(random.choices(_PARTS, k=random.randrange(8))))
        elif char == "?":
            out.append(random.choice(":/aé"))
        elif random.random() < 0.005:
            out.append(random.choice(":/a"))
        else:
            out.append(char)
    return "".join(out)


@pytest.mark.parametrize("seed", range(40))
def test_a_pattern_that_matches_is_never_dropped(seed: int) -> None:
    random = Random(seed)
    patterns = list(dict.fromkeys(
        "".join(random.choices((*_PARTS, "*", "?", "*"), k=random.randrange(2, 24)))
        for _ in range(25)))
    table = globs(patterns)
    matched = 0
    for _ in range(120):
        text = filled(random.choice(patterns), random)
        text += "x" * random.choice((0, 0, 3, 60)) if random.random() < 0.2 else ""
        expected = [i for i, pattern in enumerate(patterns) if is_match(pattern, text)]
        assert table.matches(text.encode()) == expected, text
        matched += len(expected)
    assert matched > 80


@pytest.mark.parametrize("length", (*range(12), *range(54, 76), *range(120, 134)))
def test_a_word_is_found_wherever_it_stands(length: int) -> None:
    """Also across the borders of eight and of 64 bytes, and as the last four bytes."""
    table = globs(["*:end*", "*/end", "*:endx*"])
    assert table.matches(b"y" * length + b":end") == [0]
    assert table.matches(b"y" * length + b"/end") == [1]
    assert table.matches(b"y" * length + b":endx/en") == [0, 2]
    assert table.matches(b"y" * length + b":en") == []


def test_words_are_what_a_pattern_asks_for_behind_its_head() -> None:
    assert required_words(elements("*:role/abc*")) == (
        1 << word_bit(b":rol") | 1 << word_bit(b"/abc"))
    assert required_words(elements("*:ro?e/ab*c/*")) == 0


def test_what_the_text_lacks_is_not_verified() -> None:
    kinds = [f"thing{k}" for k in "abcdefghijklmnop"]
    table = globs([f"arn:aws:s3:*:*:{k[::-1]}/*" for k in kinds])
    before = table.candidates
    assert table.matches(b"arn:aws:s3:eu-west-1:111122223333:agniht/x") == [0]
    assert table.candidates - before <= 3
