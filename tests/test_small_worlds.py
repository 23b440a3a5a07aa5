"""Every pattern of a small alphabet against every string: nothing is left to luck.

One policy holds a statement per pattern, told apart by the action (or, where the action is the
pattern, by the resource), so that one `decide` call answers patterns x strings and all patterns
share their tries and automata. A sample of patterns is compiled alone as well, since a lone
pattern may take another path. The judges are brute force, written from the rules here.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import iamtables
from iamtables import DecisionCode

_ARN = "arn:aws:s3:::"


def words(alphabet: str, longest: int) -> list[str]:
    """All strings over an alphabet up to a length, the empty one included."""
    return ["".join(w) for n in range(longest + 1) for w in product(alphabet, repeat=n)]


@lru_cache(maxsize=1 << 20)
def glob(pattern: str, text: str) -> bool:
    """GLOB-1 and 2 by definition: `*` any run of characters, `?` one of them."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return glob(pattern[1:], text) or (text != "" and glob(pattern, text[1:]))
    return text != "" and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def is_resource_match(pattern: str, text: str, *, spans: bool) -> bool:
    """RES-4 and RES-7 by definition, for a pattern and an ARN that begin with `arn:`.

    Each wildcard of the pattern is first given its reach: `*` and `?` of the first five fields
    stay inside a field, save a `*` that ends its field (where fields end anywhere but after the
    fifth colon); those of the sixth field go anywhere.
    """
    return _reach(_with_reach(pattern, spans), text)


@cache
def _with_reach(pattern: str, spans: bool) -> tuple[tuple[str, bool], ...]:
    """The characters of a pattern, each with whether it may go beyond its field."""
    fields = pattern.split(":", 5)
    if len(fields) < 6 and not fields[-1].endswith("*"):
        fields += ["*"] * (6 - len(fields))
    tokens: list[tuple[str, bool]] = []
    for at, part in enumerate(fields):
        is_last = at == len(fields) - 1
        for index, char in enumerate(part):
            ends = char == "*" and index == len(part) - 1
            free = at == 5 or (ends and (spans or is_last))
            tokens.append((char, free))
        if not is_last:
            tokens.append((":", True))
    return tuple(tokens)


def _reach(tokens: tuple[tuple[str, bool], ...], text: str) -> bool:
    """Whether the tokens, taken one by one, can end where the text does."""
    ends = {0}
    for char, free in tokens:
        nearest, ends = ends, set()
        for start in nearest:
            here = start
            if char == "*":
                ends.add(here)
                while here < len(text) and (free or text[here] != ":"):
                    here += 1
                    ends.add(here)
            elif here < len(text) and (
                (free or text[here] != ":") if char == "?" else text[here] == char
            ):
                ends.add(here + 1)
        if not ends:
            return False
    return len(text) in ends


def compiled(statements: list[dict[str, Any]], **options: str) -> iamtables.Table:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    chosen = iamtables.Options.from_mapping(options)
    return iamtables.compile(iamtables.parse_policy(document), options=chosen)


def assert_all(got: Any, expected: list[bool], rows: list[tuple[str, str]]) -> None:
    """Allowed exactly where expected; shows the first few rows that differ."""
    allowed = np.asarray(got) == DecisionCode.ALLOW
    wrong = np.flatnonzero(allowed != np.asarray(expected))
    shown = [(*rows[i], "should match" if expected[i] else "should not match")
             for i in sorted(wrong.tolist(), key=lambda i: sum(map(len, rows[i])))[:20]]
    assert not shown, f"{len(wrong)} of {len(rows)} differ, the shortest: {shown}"
    assert set(np.unique(np.asarray(got))) <= {DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY}


PATTERNS = words("ab*?", 5)
STRINGS = words("ab", 6)


def test_string_like_agrees_with_the_definition_of_a_glob() -> None:
    table = compiled([
        {"Effect": "Allow", "Action": f"s3:P{i}", "Resource": "*",
         "Condition": {"StringLike": {"k:v": pattern}}}
        for i, pattern in enumerate(PATTERNS)])
    rows = [(p, s) for p in PATTERNS for s in STRINGS]
    actions = [f"s3:P{i}" for i in range(len(PATTERNS)) for _ in STRINGS]
    got = table.decide(action=actions, resource="*", context={"k:v": STRINGS * len(PATTERNS)})
    assert_all(got.decision, [glob(p, s) for p, s in rows], rows)


def test_the_sixth_field_of_a_resource_agrees_with_the_definition_of_a_glob() -> None:
    table = compiled([{"Effect": "Allow", "Action": f"s3:P{i}", "Resource": _ARN + pattern}
                      for i, pattern in enumerate(PATTERNS)])
    rows = [(p, s) for p in PATTERNS for s in STRINGS]
    actions = [f"s3:P{i}" for i in range(len(PATTERNS)) for _ in STRINGS]
    got = table.decide(action=actions, resource=[_ARN + s for s in STRINGS] * len(PATTERNS))
    assert_all(got.decision, [glob(p, s) for p, s in rows], rows)


def test_an_action_name_agrees_with_the_definition_of_a_glob() -> None:
    patterns, names = PATTERNS[1:], STRINGS[1:]
    table = compiled([{"Effect": "Allow", "Action": f"s3:{pattern}", "Resource": f"{_ARN}{i}"}
                      for i, pattern in enumerate(patterns)])
    rows = [(p, s) for p in patterns for s in names]
    resources = [f"{_ARN}{i}" for i in range(len(patterns)) for _ in names]
    got = table.decide(action=[f"s3:{s}" for s in names] * len(patterns), resource=resources)
    assert_all(got.decision, [glob(p, s) for p, s in rows], rows)


@pytest.mark.parametrize("element", ["StringLike", "Resource", "Action"])
def test_a_pattern_compiled_alone_agrees_with_the_definition_of_a_glob(element: str) -> None:
    rows, expected, got = [], [], []
    for pattern in PATTERNS[1::13]:
        statement: dict[str, Any] = {"Effect": "Allow", "Action": "s3:a", "Resource": "*"}
        columns: dict[str, Any] = {"action": "s3:a", "resource": "*"}
        if element == "StringLike":
            statement["Condition"] = {"StringLike": {"k:v": pattern}}
            columns["context"] = {"k:v": STRINGS[1:]}
        elif element == "Resource":
            statement["Resource"] = _ARN + pattern
            columns["resource"] = [_ARN + s for s in STRINGS[1:]]
        else:
            statement["Action"] = f"s3:{pattern}"
            columns["action"] = [f"s3:{s}" for s in STRINGS[1:]]
        got.append(compiled([statement]).decide(**columns).decision.copy())
        rows += [(pattern, s) for s in STRINGS[1:]]
        expected += [glob(pattern, s) for s in STRINGS[1:]]
    assert_all(np.concatenate(got), expected, rows)


@pytest.mark.parametrize("code_point", ["é", "€", "😀", "\u0301", "\ufffd", "\U0010ffff"])
def test_a_question_mark_is_one_code_point_wherever_it_stands(code_point: str) -> None:
    """GLOB-3: the same small world with `b` outside ASCII, in patterns and in strings."""
    patterns = [p.replace("b", code_point) for p in words("ab*?", 3)]
    strings = [s.replace("b", code_point) for s in words("ab", 4)]
    table = compiled([
        {"Effect": "Allow", "Action": f"s3:P{i}", "Resource": _ARN + pattern,
         "Condition": {"StringLike": {"k:v": pattern}}} for i, pattern in enumerate(patterns)])
    rows = [(p, s) for p in patterns for s in strings]
    actions = [f"s3:P{i}" for i in range(len(patterns)) for _ in strings]
    columns = strings * len(patterns)
    expected = [glob(p, s) for p, s in rows]
    got = table.decide(action=actions, resource=[_ARN + s for s in columns],
                       context={"k:v": columns})
    assert_all(got.decision, expected, rows)
    alone = compiled([{"Effect": "Allow", "Action": f"s3:P{i}", "Resource": _ARN + pattern}
                      for i, pattern in enumerate(patterns)])
    got = alone.decide(action=actions, resource=[_ARN + s for s in columns])
    assert_all(got.decision, expected, rows)


ARN_PATTERNS = ["arn:" + p for p in words("a:*?", 6)]
ARNS = ["arn:" + s for s in words("a:", 7) if s.count(":") >= 4]
LONGER_ARNS = ["arn:" + s for s in ("::::::", "a:a:a:a:a:a", "a:::a::a:", "aa:a::aa:a:aa",
                                    "a:a:a:a:aa:aa", ":a:::aa:::a", "aaa:::::::aaa")]


@pytest.mark.parametrize("mode", ["span", "segment"])
def test_resource_patterns_with_colons_agree_with_res_4_and_res_7(mode: str) -> None:
    arns = ARNS + LONGER_ARNS
    table = compiled([{"Effect": "Allow", "Action": f"s3:P{i}", "Resource": pattern}
                      for i, pattern in enumerate(ARN_PATTERNS)], resource_glob=mode)
    rows = [(p, s) for p in ARN_PATTERNS for s in arns]
    actions = [f"s3:P{i}" for i in range(len(ARN_PATTERNS)) for _ in arns]
    got = table.decide(action=actions, resource=arns * len(ARN_PATTERNS))
    expected = [is_resource_match(p, s, spans=mode == "span") for p, s in rows]
    assert_all(got.decision, expected, rows)


@pytest.mark.parametrize("mode", ["span", "segment"])
def test_a_resource_pattern_compiled_alone_agrees_with_res_4_and_res_7(mode: str) -> None:
    rows, expected, got = [], [], []
    for pattern in ARN_PATTERNS[::53]:
        table = compiled([{"Effect": "Allow", "Action": "*", "Resource": pattern}],
                         resource_glob=mode)
        got.append(table.decide(action="s3:a", resource=ARNS).decision.copy())
        rows += [(pattern, s) for s in ARNS]
        expected += [is_resource_match(pattern, s, spans=mode == "span") for s in ARNS]
    assert_all(np.concatenate(got), expected, rows)


def test_the_two_resource_modes_differ_somewhere_in_the_small_world() -> None:
    """Without this the two tests above could pass on one mode alone."""
    differing = [p for p in ARN_PATTERNS[::7] for s in ARNS
                 if is_resource_match(p, s, spans=True) != is_resource_match(p, s, spans=False)]
    assert len(differing) > 100
    for pattern, arn, spans, stays in (
        ("arn:*:a::a:", "arn:a:a:a::a:", True, False),
        ("arn:a*:::a:*", "arn:a:a:::a:", True, False),
        ("arn:?*:a::a:", "arn:a:a:a::a:", True, False),
        ("arn:*?:a::a:", "arn:a:a:a::a:", False, False),
        ("arn:aws:s3:*", "arn:aws:s3:::b/k", True, True),
        ("arn:aws:logs:us-?ast-1:*:x", "arn:aws:logs:us-:ast-1::x", False, False),
        ("arn:aws:sqs", "arn:aws:sqs:r:1:q:q", True, True),
    ):
        assert is_resource_match(pattern, arn, spans=True) is spans
        assert is_resource_match(pattern, arn, spans=False) is stays


def test_only_stars_match_a_request_without_resource() -> None:
    """RES-1, RES-2: no pattern that begins with `arn:` covers the request resource `*`."""
    others = ["*", "**", "***", "*?", "?*", "?", "", "arn", "arn*", "*:*:*:*:*:*", "a*", "*a"]
    patterns = ARN_PATTERNS[::5] + others
    table = compiled([{"Effect": "Allow", "Action": f"s3:P{i}", "Resource": pattern}
                      for i, pattern in enumerate(patterns)])
    got = table.decide(action=[f"s3:P{i}" for i in range(len(patterns))], resource="*")
    assert_all(got.decision, [p != "" and set(p) == {"*"} for p in patterns],
               [(p, "*") for p in patterns])
