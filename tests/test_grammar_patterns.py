"""Patterns, policy variables and ARN segments (GLOB-1, VAR-1 to VAR-12)."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamtables.grammar import parse_pattern, split_arn
from iamtables.grammar.tree import Question, Run, Star, Variable

STAR, QUESTION = Star(), Question()
USER = Variable("aws:username", None)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ()),
        ("abc", (Run("abc"),)),
        ("*", (STAR,)),
        ("a*b?c", (Run("a"), STAR, Run("b"), QUESTION, Run("c"))),
        ("**", (STAR, STAR)),
        ("[a-z]{1}.\\+^$", (Run("[a-z]{1}.\\+^$"),)),
        ("a\nb*", (Run("a\nb"), STAR)),
        ("${aws:username}", (USER,)),
        ("x${aws:username}y", (Run("x"), USER, Run("y"))),
        ("${ aws:username }", (USER,)),
        ("${aws:username, 'a'}", (Variable("aws:username", "a"),)),
        ("${aws:username , 'a'}", (Variable("aws:username", "a"),)),
        ("${aws:username, ''}", (Variable("aws:username", ""),)),
        ("${aws:username, 'a*, 'b'}", (Variable("aws:username", "a*, 'b"),)),
        ("${aws:username, '}", (Variable("aws:username, '", None),)),
        ("${aws:username,'a'}", (Variable("aws:username,'a'", None),)),
        ("${*}${?}${$}", (Run("*?$"),)),
        ("a${*}b", (Run("a*b"),)),
        ("${ * }", (Run("*"),)),
        ("${$}{aws:username}", (Run("${aws:username}"),)),
        ("$${aws:username}", (Run("$"), USER)),
        ("${", (Run("${"),)),
        ("a${b*", (Run("a${b"), STAR)),
        ("}${b*", (Run("}${b"), STAR)),
        ("${a${b}c}", (Variable("a${b", None), Run("c}"))),
        ("${}", (Variable("", None),)),
        ("${a}${b", (Variable("a", None), Run("${b"))),
    ],
)
def test_a_pattern_has_these_tokens(text, tokens):
    assert parse_pattern(text, variables=True) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("${aws:username}", (Run("${aws:username}"),)),
        ("${*}", (Run("${"), STAR, Run("}"))),
        ("a${x?}*", (Run("a${x"), QUESTION, Run("}"), STAR)),
    ],
)
def test_without_variables_only_wildcards_are_special(text, tokens):
    assert parse_pattern(text, variables=False) == tokens


def plain_tokens(text, variables):
    """The rules read aloud, character by character."""
    tokens = []

    def add(run):
        if tokens and isinstance(tokens[-1], Run):
            run = tokens.pop().text + run
        tokens.append(Run(run))

    at = 0
    while at < len(text):
        end = text.find("}", at) if variables and text.startswith("${", at) else -1
        if end >= 0:
            content, default = text[at + 2 : end], None
            quote = content.find(", '")
            if quote >= 0 and content.endswith("'") and len(content) > quote + 3:
                content, default = content[:quote], content[quote + 3 : -1]
            name = content.strip(" ")
            if name in ("*", "?", "$"):
                add(name)
            else:
                tokens.append(Variable(name, default))
            at = end + 1
            continue
        if text[at] == "*":
            tokens.append(STAR)
        elif text[at] == "?":
            tokens.append(QUESTION)
        else:
            add(text[at])
        at += 1
    return tuple(tokens)


@settings(deadline=None)
@given(st.text(alphabet="${}*?a:, '", max_size=20), st.booleans())
def test_tokens_are_those_of_the_rules_read_aloud(text, variables):
    assert parse_pattern(text, variables=variables) == plain_tokens(text, variables)


@settings(deadline=None)
@given(st.text(max_size=20), st.booleans())
def test_any_text_is_a_pattern_without_neighbouring_or_empty_runs(text, variables):
    tokens = parse_pattern(text, variables=variables)
    runs = [isinstance(token, Run) for token in tokens]
    assert not any(a and b for a, b in pairwise(runs))
    assert all(token.text for token in tokens if isinstance(token, Run))


@pytest.mark.parametrize(
    "text", ["${" * 100_000, "${" * 100_000 + "}", "*?" * 50_000, "$" * 100_000], ids=range(4)
)
def test_a_hostile_pattern_is_parsed_in_linear_time(text):
    start = time.process_time()
    parse_pattern(text, variables=True)
    assert time.process_time() - start < 5


# ARNs


def segments(text):
    return split_arn(parse_pattern(text, variables=True))


def test_an_arn_has_six_segments_and_the_last_keeps_its_colons():
    assert segments("arn:aws:logs:eu-west-1:*:log-group:a:*") == (
        (Run("arn"),),
        (Run("aws"),),
        (Run("logs"),),
        (Run("eu-west-1"),),
        (STAR,),
        (Run("log-group:a:"), STAR),
    )


def test_empty_segments_are_empty():
    assert segments("arn:aws:s3:::b") == (
        (Run("arn"),),
        (Run("aws"),),
        (Run("s3"),),
        (),
        (),
        (Run("b"),),
    )


def test_a_colon_inside_a_variable_never_separates():
    assert segments("arn:aws:sqs:*:${aws:PrincipalAccount}:q") == (
        (Run("arn"),),
        (Run("aws"),),
        (Run("sqs"),),
        (STAR,),
        (Variable("aws:PrincipalAccount", None),),
        (Run("q"),),
    )


def test_a_colon_of_a_default_never_separates():
    assert segments("a:${b:c, 'd:e'}:f") == ((Run("a"),), (Variable("b:c", "d:e"),), (Run("f"),))


@pytest.mark.parametrize(("text", "count"), [("", 1), ("*", 1), ("arn:", 2), ("arn:aws:s3", 3)])
def test_a_short_arn_has_the_segments_it_has(text, count):
    assert len(segments(text)) == count


@settings(deadline=None)
@given(st.text(alphabet="a:*?/", max_size=20))
def test_without_variables_segments_are_those_of_the_text(text):
    assert segments(text) == tuple(
        parse_pattern(piece, variables=False) for piece in text.split(":", 5)
    )
