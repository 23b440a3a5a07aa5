"""JSON is read by a compiled loop over Lark's tables; Lark itself is the judge of it.

The judge drives the same grammar with Lark's own loop, with a lexer that is the alternation of the
terminals as `policy.lark` writes them. Nothing of grammar/json_reader.pyx is used in it.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from random import Random
from typing import Any

import pytest
from lark import Lark, Token, Tree
from lark.exceptions import LarkError
from lark.lexer import Lexer
from shared_data import shared_directory

import iamtables
from iamtables.data import BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY, policy_path
from iamtables.grammar.json_reader import (
    MAX_DEPTH,
    RULES,
    TERMINALS,
    JsonArray,
    JsonObject,
    JsonScalar,
    NotJson,
    ParseTable,
    Text,
    TooDeep,
    read_json,
)
from iamtables.grammar.lexing import lalr_tables

SPACE = re.compile(r"[ \t\n\r]*")


class Deep(Exception):
    """One bracket too much, at the offset that is the argument."""


class GrammarLexer(Lexer):
    """The terminals of the grammar as they are written, the highest priority first."""

    __future_interface__ = 0

    def __init__(self, configuration: Any) -> None:
        listed = sorted(configuration.terminals, key=lambda terminal: -terminal.priority)
        self.terminals = [(t.name, re.compile(t.pattern.to_regexp())) for t in listed]

    def lex(self, text: str) -> Iterator[Token]:  # type: ignore[override]
        at = depth = 0
        while (at := SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]
            found = ((name, regex.match(text, at)) for name, regex in self.terminals)
            name, match = next(((n, m) for n, m in found if m), ("", None))
            if match is None:
                raise LarkError(f"no terminal at {at}")
            depth += name in ("FIRST_KEY", "LBRACE", "LBRACKET")
            if depth + (name == "VALUE" and text[at] == "[") > MAX_DEPTH:
                raise Deep(at)
            depth -= name in ("RBRACE", "RBRACKET")
            yield Token(name, match[0], at, end_pos=match.end())
            at = match.end()
        yield Token("END", "", at, end_pos=at)


@cache
def lark() -> Lark:
    grammar = resources.files("iamtables.grammar").joinpath("policy.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer=GrammarLexer, maybe_placeholders=False)


QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def string_in(token: Token, match: re.Match[str]) -> tuple[Any, ...]:
    assert token.start_pos is not None
    return ("text", json.loads(match[0]), token.start_pos + match.start(),
            token.start_pos + match.end())


def plain_tree(node: Any, repeats: list[Any]) -> tuple[Any, ...]:
    """A tree of Lark's as plain tuples, with the offsets of its nodes."""
    if isinstance(node, Token):
        if node[0] == '"':
            return ("text", json.loads(node), node.start_pos, node.end_pos)
        if node[0] == "[":
            items = [string_in(node, match) for match in QUOTED.finditer(node)]
            return ("array", items, True, node.start_pos, node.end_pos)
        return ("scalar", str(node), node.start_pos, node.end_pos)
    if node.data in ("empty_object", "empty_array"):
        start, end = node.children[0].start_pos, node.children[1].end_pos
        return (("object", {}, start, end) if node.data == "empty_object"
                else ("array", [], True, start, end))
    parts: list[Tree[Any]] = [node.children[0]]
    end = node.children[1].end_pos
    while parts[-1].data in ("next_member", "next_item"):
        parts.append(parts[-1].children[0])
    parts.reverse()
    start = parts[0].children[0].start_pos
    if node.data == "array":
        return ("array", [plain_tree(p.children[-1], repeats) for p in parts], False, start, end)
    members: dict[str, Any] = {}
    for part in parts:
        written = part.children[-2]
        match = QUOTED.search(written)
        assert match is not None
        key = string_in(written, match)
        value = plain_tree(part.children[-1], repeats)
        if key[1] in members:
            repeats.append((members[key[1]][0], key))
        members[key[1]] = key, value
    return ("object", members, start, end)


def judged(text: str) -> Any:
    """What Lark says: the tree and the repeated keys, or what is wrong."""
    repeats: list[Any] = []
    try:
        tree = lark().parse(text)  # type: ignore[arg-type]
    except LarkError:
        return "no JSON"
    except Deep as error:
        return "too deep", error.args[0]
    return plain_tree(tree.children[0], repeats), sorted(repeats)


def plain(node: Any) -> tuple[Any, ...]:
    if isinstance(node, Text):
        return ("text", node.value, node.start, node.end)
    if isinstance(node, JsonScalar):
        return ("scalar", node.lexeme, node.start, node.end)
    if isinstance(node, JsonArray):
        return ("array", [plain(item) for item in node.items], node.is_text, node.start, node.end)
    assert isinstance(node, JsonObject)
    members = {name: (plain(key), plain(value)) for name, (key, value) in node.members.items()}
    return ("object", members, node.start, node.end)


@cache
def table() -> ParseTable:
    return ParseTable(*lalr_tables("policy.lark"))


def read(text: str) -> Any:
    repeats: list[tuple[Text, Text]] = []
    try:
        root = read_json(text, table(), repeats)
    except NotJson:
        return "no JSON"
    except TooDeep as error:
        return "too deep", error.args[0]
    return plain(root), sorted((plain(first), plain(again)) for first, again in repeats)


@cache
def policies() -> tuple[str, ...]:
    """Real texts: the two packaged ones, every fifth managed policy, and other versions of ours."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    data = json.loads(aws_managed_policies_data)
    texts = [policy_path(name).read_text("utf-8")
             for name in (BEDROCK_FULL_ACCESS, BEDROCK_READ_ONLY)]
    texts += [json.dumps(data[name]["Document"], indent=i % 4 or None)
              for i, name in enumerate(sorted(data)[::5])]
    more = shared_directory() / "data" / "bedrock_versions"
    return (*texts, *(path.read_text("utf-8") for path in sorted(more.rglob("*.json"))))


def test_real_policies_give_the_trees_that_lark_gives() -> None:
    assert len(policies()) > 300
    for text in policies():
        answer = read(text)
        assert answer == judged(text)
        assert answer != "no JSON"


PIECES = (
    "{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n", "\t", "0", "-", ".", "e", "E", "+", "1",
    "null", "true", "false", "tru", '"a"', '"b"', '"a":', '"a" :', '["x"]', '["x", "y"]', '"\\n"',
    '"\\u00e9"',
    '"\\ud83d\\ude00"', '"\\ud800"', '"\\x"', '"\\u12"', "\x00", "\x1f", "\x7f", "\u00e9", "\u4e00",
    "\U0001f600", "\ufeff", "//", "'", "NaN", "1e5", "-0", "01", "1.", ".5",
)


def damaged(text: str, rng: Random) -> str:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        until = min(len(text), at + rng.choice((0, 0, 1, 1, 5, 40)))
        inserted = rng.choice(("", rng.choice(PIECES), rng.choice(PIECES), text[at:until] * 2))
        text = text[:at] + inserted + text[until:]
    return text


def test_damaged_policies_give_the_trees_and_errors_that_lark_gives() -> None:
    rng = Random(1)
    short = [text for text in policies() if len(text) < 2_500]
    refused = 0
    for _ in range(1_500):
        text = damaged(rng.choice(short), rng)
        answer = read(text)
        assert answer == judged(text), text
        refused += answer == "no JSON"
    assert 300 < refused < 1_400


def test_made_up_texts_give_the_trees_and_errors_that_lark_gives() -> None:
    rng = Random(2)
    accepted = 0
    for _ in range(15_000):
        text = "".join(rng.choices(PIECES, k=rng.randint(0, 9)))
        if rng.random() < 0.7:
            text = rng.choice(('{"k": %s}', "[%s]", '{"a":1,"a":%s}', '["x", %s]', "%s ")) % text
        answer = read(text)
        assert answer == judged(text), text
        accepted += answer != "no JSON"
    assert accepted > 500


@pytest.mark.parametrize(("opening", "closing"), [
    ("[", "]"), ('["a", ', "]"), ("[1, 2, ", "]"), ('{"a": ', "}"), ('{"a": 1, "b": ', "}"),
    ('{"a": [1, ', "]}"), ('[{"a": "b", "c": ', "}]"),
])
@pytest.mark.parametrize("inner", ["1", "[]", "{}", '["x"]', '{"x": 1}'])
def test_nesting_ends_where_the_judge_says(opening: str, closing: str, inner: str) -> None:
    texts = [opening * n + inner + closing * n for n in (1, 20, 31, 32, 33, 62, 63, 64, 65, 66)]
    answers = [read(text) for text in texts]
    assert answers == [judged(text) for text in texts]
    assert isinstance(answers[1][0], tuple) and answers[-1][0] == "too deep"


def test_a_flood_of_brackets_is_too_deep_whatever_follows() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 64 + "}", "[" * 65 + "}"):
        assert read(text) == judged(text)


def test_the_reader_knows_every_rule_and_terminal_of_the_grammar() -> None:
    tables = lalr_tables("policy.lark")
    assert {name for name, _ in tables.rules} == set(RULES)
    assert {name for row in tables.actions for name in row} == set(TERMINALS)


def test_a_grammar_that_outgrew_the_tables_is_refused() -> None:
    tables = lalr_tables("policy.lark")
    with pytest.raises(ValueError, match="outgrown"):
        ParseTable(tables.actions * 9, tables.gotos * 9, tables.rules, 0, 0)
    with pytest.raises(ValueError, match="outgrown"):
        ParseTable(tables.actions, tables.gotos, tables.rules * 9, 0, 0)
    with pytest.raises(ValueError, match="not in"):
        ParseTable(tables.actions, tables.gotos, [("new_rule", 1)], 0, 0)


def test_a_text_is_a_value() -> None:
    statement = iamtables.parse_policy(policies()[0]).statements[0]
    assert statement.action is not None
    text = statement.action.entries[0]
    same = Text(text.value, text.span)
    assert same == text and hash(same) == hash(text) and same is not text
    assert pickle.loads(pickle.dumps(text)) == text
    assert repr(text) == f"Text(value={text.value!r}, span={text.span!r})"
    assert text != Text(text.value + "x", text.span)
    assert text != Text(text.value, (text.start + 1, text.end))
    assert text != Text(text.value, (text.start, text.end + 1))
    assert text != text.value
    for name in ("value", "start", "end"):
        with pytest.raises(AttributeError):
            setattr(text, name, getattr(text, name))
