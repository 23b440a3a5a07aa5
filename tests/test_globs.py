"""The tries find every pattern that matches, once, and leave few over that do not.

Patterns are made to collide where the tries part: the same heads, second literals that begin or end
alike, ends that are ends of others, `:` and `/` on every border. The judge is plain Python over the
set of positions that a pattern can reach (GLOB-1 to 4, RES-4).
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from iamtables.compiler.encoding import decode_elements, encode_elements
from iamtables.compiler.filing import file_patterns
from iamtables.compiler.trie import compile_patterns
from iamtables.runtime.codes import Token
from iamtables.runtime.globs import GlobSet
from iamtables.runtime.heads import PatternHeads

# In these tests `#` is a `*` and `%` a `?` that must not match `:` (RES-4).
_WILD = {"*": Token.STAR, "?": Token.ANY, "#": Token.STAR_BUT_COLON, "%": Token.ANY_BUT_COLON}


def elements(pattern: str) -> list[tuple[Token, int]]:
    return [(_WILD[c], 0) if c in _WILD else (Token.POINT, ord(c)) for c in pattern]


def globs(patterns: list[str]) -> GlobSet:
    arrays = compile_patterns([encode_elements(elements(p)) for p in patterns])
    return GlobSet({"x/" + name: array for name, array in arrays.items()}, "x/")


def is_match(pattern: str, text: str) -> bool:
    reached = {0}
    for token in pattern:
        if token == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        elif token == "#":
            for at in range(len(text)):
                if at in reached and text[at] != ":":
                    reached.add(at + 1)
        elif token == "?":
            reached = {at + 1 for at in reached if at < len(text)}
        elif token == "%":
            reached = {at + 1 for at in reached if at < len(text) and text[at] != ":"}
        else:
            reached = {at + 1 for at in reached if text.startswith(token, at)}
    return len(text) in reached


def test_the_judge_knows_the_rules() -> None:
    for pattern, text, expected in (
        ("", "", True), ("", "a", False), ("*", "", True), ("a*b", "acb", True),
        ("a*b", "abc", False), ("?", "", False), ("*?", "a", True), ("*a??", "ab", False),
        ("a#b", "a/b", True), ("a#b", "a:b", False), ("#", "", True), ("a%b", "a:b", False),
        ("a%b", "acb", True), ("*:#b", "a:c:b", True), ("#:*", "a:b:c", True),
    ):
        assert is_match(pattern, text) is expected, (pattern, text)


_PARTS = (":", "/", "::", ":/", "a", "b", "ab", "é", "\U0001f511", ":role", ":role/", "/user",
          "/role/x", ":role/aws", "role", "-", "0123456789" * 4)
_WILD_PARTS = ("*", "*", "*:*", "*:*:*", "*/*", "?", "**", "*?", "#", "%")


def random_pattern(random: Random, heads: list[str], tails: list[str]) -> str:
    """A head and an end that others have, too, and what is seldom shared between them."""
    middle = "".join(random.choices((*_PARTS, *_WILD_PARTS), k=random.randrange(7)))
    star = random.choice(("*", "*", "*:*", "*:*:*", "?", "#"))
    return random.choice(heads) + star + middle + random.choice(tails)


def filled(pattern: str, random: Random) -> str:
    """A text that the pattern matches, or nearly."""
    out = []
    for char in pattern:
        if char in "*#":
            out.append("".join(random.choices(_PARTS, k=random.choice((0, 0, 1, 1, 2, 4)))))
        elif char in "?%":
            out.append(random.choice("/aé"))
        elif random.random() < 0.01:
            out.append(random.choice(("", ":", "/", "a")))
        else:
            out.append(char)
    return "".join(out)


@pytest.mark.parametrize("seed", range(50))
def test_every_pattern_that_matches_is_found_once(seed: int) -> None:
    random = Random(seed)
    heads = ["", "a", "a:", "a:b"][: random.randint(1, 4)]
    tails = ["", "", "*", "*", "/", ":a", "/b*", "é", "/role/x", ":role/*", ":role"]
    patterns = list(dict.fromkeys(
        random_pattern(random, heads, tails) for _ in range(random.choice((3, 12, 40, 80)))))
    table = globs(patterns)
    heads_of = PatternHeads(table)
    matched = 0
    for _ in range(40):
        text = filled(random.choice(patterns), random)
        if random.random() < 0.2:
            text += random.choice((":", "/x", "x" * 70, ":a" * 40, "/" * 65))
        expected = [i for i, pattern in enumerate(patterns) if is_match(pattern, text)]
        assert table.matches(text.encode()) == expected, text
        alone = [i for i in range(len(patterns)) if heads_of.matches(i, text.encode())]
        assert alone == expected, text
        matched += len(expected)
    assert matched > 15


def test_a_pattern_by_itself_is_held_against_the_whole_text() -> None:
    """Heads that end within the labels of others, and what is all head or all wildcards."""
    patterns = ["", "*", "a", "a*", "abc", "abcd*", "abd", "b?", "*:x", "a*:x", "abc*/y*", "a#c"]
    heads = PatternHeads(globs(patterns))
    for text in ("", "a", "ab", "abc", "abcd", "abcde", "abd", "b", "bé", "bc", ":x", "a:x", "ab:x",
                 "abc/y", "abc/yz", "abcx/y", "a:c"):
        for number, pattern in enumerate(patterns):
            assert heads.matches(number, text.encode()) is is_match(pattern, text), (pattern, text)
    with pytest.raises(IndexError):
        heads.matches(len(patterns), b"a")


def kinds(count: int) -> list[str]:
    return [f"thing{k:05d}"[::-1] for k in range(count)]


@pytest.mark.parametrize("length", (*range(12), *range(54, 76), *range(120, 134)))
def test_a_second_literal_is_found_wherever_it_stands(length: int) -> None:
    """Also across the borders of eight and of 64 bytes, and where it ends the text."""
    others = [f"*:{name}*" for name in kinds(6)]
    table = globs(["*:end*", "*/end", "*:endx*", "*/e?d*", *others])
    assert table.matches(b"y" * length + b":end") == [0]
    assert table.matches(b"y" * length + b"/end") == [1, 3]
    assert table.matches(b":" * length + b":endx/en") == [0, 2]
    assert table.matches(b"y" * length + b":en") == []


def test_a_literal_that_stands_twice_is_reported_once() -> None:
    table = globs(["a*:x*", "a*:x*y*", "a*:xz*", "a*/x", "a*:*:x*", "a*:*:*:x*"])
    assert table.matches(b"a:x:x:x") == [0, 4, 5]
    assert table.matches(b"a:x:x") == [0, 4]
    assert table.matches(b"a:x:xy") == [0, 1, 4]
    assert table.matches(b"a:xz:xz/x") == [0, 2, 3, 4]


def test_colons_before_a_second_literal_are_counted() -> None:
    """`:*` before it asks for a colon each, which none of the literal's own may stand for."""
    table = globs(["a*:k*", "a*:*:k*", "a*:*:*:k*", "a*:*:*:*:k/b*", "a*::k*"])
    assert table.matches(b"a:k") == [0]
    assert table.matches(b"a::k") == [0, 1, 4]
    assert table.matches(b"a:::k/b") == [0, 1, 2, 4]
    assert table.matches(b"a:x:x:x:k/b") == [0, 1, 2, 3]
    assert table.matches(b"a:k:k") == [0, 1]
    assert table.matches(b"a/k:") == []


def test_more_colons_than_a_byte_counts() -> None:
    long = "a" + "*:" * 300 + "*:k*"
    table = globs([long, "a*:k*", "a*:l*", "a*:m*", "a*:n*"])
    assert table.matches(b"a" + b":" * 300 + b":k") == [0, 1]
    assert table.matches(b"a" + b":" * 299 + b":k") == [1]


def test_an_end_does_not_reach_into_the_head() -> None:
    table = globs(["ab:c*b:c", "ab:c*:c", "ab:c*c", "ab:c*xc", "ab:c?*c"])
    assert table.matches(b"ab:c") == []
    assert table.matches(b"ab:cc") == [2]
    assert table.matches(b"ab:c:c") == [1, 2, 4]
    assert table.matches(b"ab:cb:c") == [0, 1, 2, 4]


def test_literals_longer_than_a_key_are_compared_to_their_ends() -> None:
    long = "/" + "k" * 40
    table = globs([f"a*{long}x*", f"a*{long}y*", f"a*{long}", f"a*{long}z", f"a*{long}*"])
    assert table.matches(f"a{long}x".encode()) == [0, 4]
    assert table.matches(f"a:{long}z".encode()) == [3, 4]
    assert table.matches(f"a{long}".encode()) == [2, 4]
    assert table.matches(f"a{long[:-1]}".encode()) == []


def test_what_the_text_does_not_reach_is_not_verified() -> None:
    """Ten thousand patterns behind one head: the work does not grow with them."""
    verified = {}
    for count in (100, 10_000):
        patterns = [f"arn:aws:s3:*:*:{name}/?*" for name in kinds(count)]
        patterns += [f"arn:aws:s3:*{name}" for name in kinds(count)]
        table = globs(patterns)
        name = kinds(count)[count // 2]
        assert table.matches(f"arn:aws:s3:eu:1:{name}/x".encode()) == [count // 2]
        assert table.matches(f"arn:aws:s3:eu:1:{name}".encode()) == [count + count // 2]
        verified[count] = table.candidates
    assert verified[10_000] == verified[100] <= 2


def test_a_text_of_separators_is_bounded_by_separators_times_keys() -> None:
    """Each of 2,048 colons starts a walk of 300 keys that are colons themselves, all in vain."""
    patterns = ["a*" + ":" * n + f"x{n}?*" for n in range(1, 301)]
    table = globs(patterns)
    assert table.matches(b"a" + b":" * 2_048) == []
    assert table.candidates == 0
    assert table.matches(b"a" + b":" * 2_048 + b"x7yy") == [6]
    assert table.candidates <= len(patterns)


def test_patterns_are_encoded_and_decoded() -> None:
    for pattern in ("", "a", "*", "a*b?", "#%é\U0001f511*", "\ud800*"):
        assert list(decode_elements(encode_elements(elements(pattern)))) == elements(pattern)


def test_offsets_that_do_not_share_out_the_text_are_refused() -> None:
    for start in ([], [0], [1, 3], [0, 2], [0, 4], [0, 3, 2, 3]):
        with pytest.raises(ValueError, match="share out"):
            file_patterns(b"abc", np.array(start, dtype=np.uint32))
