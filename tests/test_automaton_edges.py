"""Tries and automata at their edges: shared heads, long automata, symbols of every width.

An early `?` or `*` is bound by colons (RES-4), so everything after it becomes a bit-parallel
automaton; generated worlds have short ones only. The judge is the reference evaluator, and a
person for the text that must match.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest
from generator import Request
from judging import compile_texts, decision_of, reference, reopened

from iamtables import DecisionCode


def granted(pattern: str, resources: Iterable[str], mode: str = "span") -> list[str]:
    """The resources that an Allow on `pattern` allows, once tables and reference agree."""
    asked = list(resources)
    text = json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "s3:Get", "Resource": pattern}})
    options = {"resource_glob": mode}
    table = compile_texts([text], options)
    expected = [decision_of(reference([text], Request("s3:Get", resource, {}), options))
                for resource in asked]
    for entrance in (table, reopened(table)):
        out = entrance.decide(action="s3:Get", resource=asked)
        assert out.decision.tolist() == expected, pattern
    return [r for r, e in zip(asked, expected, strict=True) if e is DecisionCode.ALLOW]


@pytest.mark.parametrize("length", [*range(56, 68), 120, 124, 128, 190, 1000])
def test_automata_longer_than_a_word(length: int) -> None:
    """State 64 and its like: the first bit of the next word."""
    name = ("abcdefg" * 200)[:length]
    right = [f"arn:aws:s3:::{name}", f"arn:aws:sn:::{name}"]
    wrong = [f"arn:aws:s:::{name}", f"arn:aws:s3:::{name[:-1]}", f"arn:aws:s3:::{name}a",
             f"arn:aws:s3:::{name[:-1]}x", f"arn:aws:s3:::x{name[1:]}", f"arn:aws:s::::{name}"]
    assert granted(f"arn:aws:s?:::{name}", right + wrong) == right


@pytest.mark.parametrize("length", [*range(56, 68), 124, 128])
def test_wildcards_near_the_end_of_a_word(length: int) -> None:
    name = ("abcdefg" * 20)[:length]
    starred = [f"arn:aws:s3:::{name}z", f"arn:aws:s3:::{name}:b:z", f"arn:aws:sxy:::{name}zz"]
    refused = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name[:-1]}z", f"arn:aws:s3:x::{name}z"]
    assert granted(f"arn:aws:s*:::{name}*z", starred + refused) == starred
    one = [f"arn:aws:s3:::{name}xz", f"arn:aws:s3:::{name}:z", f"arn:aws:s3:::{name}éz"]
    assert granted(f"arn:aws:s?:::{name}?z", one + starred + refused) == one


POINTS = ("é", "߿", "ࠀ", "耀", "語", "\ufffd", "😀", "\U0010fffd", "\x7f", "ÿ", "\u0080")


@pytest.mark.parametrize("point", POINTS)
def test_symbols_of_every_width(point: str) -> None:
    """GLOB-3: a symbol is a code point, and only this one."""
    others = [p for p in POINTS if p != point]
    others += [chr(ord(point) ^ bit) for bit in (1, 0x40, 0x100, 0x1000, 0x8000)
               if not 0xD800 <= ord(point) ^ bit < 0xE000 and chr(ord(point) ^ bit) not in ":*?"]
    named = [f"arn:aws:s3:::{p}" for p in [point, *others]]
    assert granted(f"arn:aws:s?:::{point}", named) == named[:1]
    between = [f"arn:aws:s3:::a{p}b" for p in [point, *others]]
    assert granted(f"arn:aws:s?:::a{point}b", between) == between[:1]


@pytest.mark.parametrize("point", POINTS)
def test_a_question_mark_takes_one_code_point(point: str) -> None:
    """GLOB-3: in an automaton, and (the last pattern) in a piece."""
    right = [f"arn:aws:s3:::{point}b", "arn:aws:s3:::ab"]
    wrong = [f"arn:aws:s3:::{point}{point}b", f"arn:aws:s3:::{point}", "arn:aws:s3:::b"]
    assert granted("arn:aws:s?:::?b", right + wrong) == right
    assert granted("arn:aws:s3:::?b", right + wrong) == right


def test_many_symbols_are_told_apart() -> None:
    """The symbols of one automaton are searched by halves."""
    letters = "zyxwvutsrqponmlkjihgfedcba9876543210é語😀"
    right = [f"arn:aws:s3:::{letters}"]
    wrong = [f"arn:aws:s3:::{letters[:i]}{'#' if c != '#' else '-'}{letters[i + 1:]}"
             for i, c in enumerate(letters)]
    assert granted(f"arn:aws:s?:::{letters}", right + wrong) == right


@pytest.mark.parametrize("mode", ["span", "segment"])
def test_bound_and_free_wildcards_in_one_automaton(mode: str) -> None:
    """RES-4: the bound one stops at a colon, a later one of the sixth field does not."""
    right = ["arn:aws:s3:::ab", "arn:aws:s3:::a:x:b", "arn:aws:sxx3:::a::b", "arn:aws:s3:::acb"]
    wrong = ["arn:aws:s:3:::ab", "arn:aws:sx:x3:::ab", "arn:aws:s3:::a:x:", "arn:aws:t3:::ab"]
    assert granted("arn:aws:s*3:::a*b", right + wrong, mode) == right
    one = ["arn:aws:s3:::a:b", "arn:aws:s3:::acb"]
    assert granted("arn:aws:s*3:::a?b", right[:3] + wrong + one, mode) == one


def test_a_piece_is_not_found_beyond_the_text_that_is_left() -> None:
    """GLOB-2: the last piece must not overlap a middle one, nor the head."""
    assert granted("arn:aws:s3:::*ab*ba", ["arn:aws:s3:::aba", "arn:aws:s3:::abba",
                                           "arn:aws:s3:::ababa"]) == [
        "arn:aws:s3:::abba", "arn:aws:s3:::ababa"]
    assert granted("arn:aws:s3:::*a?c*cd", ["arn:aws:s3:::abcd", "arn:aws:s3:::abccd",
                                            "arn:aws:s3:::acccd"]) == [
        "arn:aws:s3:::abccd", "arn:aws:s3:::acccd"]
    assert granted("arn:aws:s3:::?a*a", ["arn:aws:s3:::xa", "arn:aws:s3:::xaa"]) == [
        "arn:aws:s3:::xaa"]


def test_runs_of_wildcards_and_other_letters_in_pieces() -> None:
    """GLOB-3, GLOB-4: `*?` is `?*`, and a piece is searched by its bytes, all of them."""
    for pattern in ("a*?b*c", "a?*b*c"):
        right = ["arn:aws:s3:::axbc", "arn:aws:s3:::axybzc", "arn:aws:s3:::aébc"]
        wrong = ["arn:aws:s3:::abc", "arn:aws:s3:::axb", "arn:aws:s3:::axcb"]
        assert granted(f"arn:aws:s3:::{pattern}", right + wrong) == right
    right = ["arn:aws:s3:::xé語", "arn:aws:s3:::éé耀a語", "arn:aws:s3:::xéê語"]
    wrong = ["arn:aws:s3:::xê語", "arn:aws:s3:::xé誟", "arn:aws:s3:::é語", "arn:aws:s3:::x\u0169語"]
    assert granted("arn:aws:s3:::?é*語", right + wrong) == right


HEADS = ("", "a", "ab", "abc", "abd", "abcd", "b", "bé", "bê", "bè", "abcé")


def test_patterns_that_share_their_heads_are_told_apart() -> None:
    """Edges of the trie part inside characters too; several patterns may end at one node."""
    patterns = [head + rest for head in HEADS for rest in ("", "*", "?", "*c", "?*")]
    statements = [{"Effect": "Allow", "Action": f"s3:A{i}", "Resource": f"arn:aws:s3:::{pattern}"}
                  for i, pattern in enumerate(patterns)]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    names = [head + end for head in HEADS for end in ("", "c", "xc", "é")]
    asked = [(f"s3:A{i}", f"arn:aws:s3:::{name}") for i in range(len(patterns)) for name in names]
    expected = [re.fullmatch(pattern.replace("*", ".*").replace("?", "."), name) is not None
                for pattern in patterns for name in names]
    out = compile_texts([text], {}).decide(action=[a for a, _ in asked],
                                           resource=[r for _, r in asked])
    wrong = [pair for pair, got, right in zip(asked, out.decision.tolist(), expected, strict=True)
             if (got == DecisionCode.ALLOW) is not right]
    assert not wrong
