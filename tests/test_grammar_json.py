"""The JSON layer accepts what `json.loads` accepts, with true spans, and survives hostile text."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamtables.errors import LimitError, PolicySyntaxError
from iamtables.grammar.json_errors import _Problem, _scan
from iamtables.grammar.json_syntax import (
    MAX_DEPTH,
    JsonArray,
    JsonObject,
    JsonScalar,
    parse_json,
)
from iamtables.grammar.parser import MAX_CHARACTERS, parse_policy
from iamtables.grammar.tree import Text
from iamtables.source import Source

POLICY = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "A\\u00e9\\n", "Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"},
    {"Effect": "Deny", "NotAction": "iam:*", "Resource": ["*"],
     "Condition": {"NumericLessThan": {"s3:max-keys": [1.0, -2e3, 0]}, "Bool": {"a:b": true}}}
  ]
}"""


def plain(value):
    """The value that `json.loads` would give."""
    if isinstance(value, Text):
        return value.value
    if isinstance(value, JsonObject):
        return {name: plain(member) for name, (_, member) in value.members.items()}
    if isinstance(value, JsonArray):
        return [plain(item) for item in value.items]
    return json.loads(value.lexeme)


def refuse_constant(name):
    raise ValueError(name)


def loads(text):
    """`json.loads`, without the constants that are no JSON; None if the text is refused."""
    try:
        return [json.loads(text, parse_constant=refuse_constant)]
    except (ValueError, RecursionError):
        return None


def parsed(text):
    try:
        return [plain(parse_json(Source("x", text)).root)]
    except PolicySyntaxError:
        return None


def is_accepted_by_the_explainer(text):
    try:
        _scan(text)
    except _Problem:
        return False
    return True


def nodes(value):
    yield value
    if isinstance(value, JsonObject):
        for key, member in value.members.values():
            yield key
            yield from nodes(member)
    elif isinstance(value, JsonArray):
        for item in value.items:
            yield from nodes(item)


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.text(max_size=5), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
layouts = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 1, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (" ,\r\n", " : ")]),
        "ensure_ascii": st.booleans(),
    }
)


DAMAGE = "{}[],:\"\\ \n\t\r\x0b\x00\xa0\x7f0123456789.-+eEtrufalsn/'#"


@settings(deadline=None)
@given(documents, layouts)
def test_json_gives_the_values_that_json_loads_gives(value, layout):
    text = json.dumps(value, **layout)
    assert parsed(text) == [json.loads(text)]


@settings(deadline=None)
@given(documents, layouts, st.data())
def test_damaged_json_is_refused_exactly_when_json_loads_refuses_it(value, layout, data):
    text = json.dumps(value, **layout)
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 3)))
    inserted = data.draw(st.text(alphabet=DAMAGE, max_size=3))
    damaged = text[:at] + inserted + text[until:]
    assert parsed(damaged) == loads(damaged)


@given(st.text(alphabet='{}[],:" a\\u0.-1eE\n', max_size=14))
@settings(max_examples=500, deadline=None)
def test_short_texts_are_refused_exactly_when_json_loads_refuses_them(text):
    assert parsed(text) == loads(text)


@given(st.text(alphabet='{}[],:" a\\u0.-1eE\ntrue', max_size=14))
@settings(max_examples=500, deadline=None)
def test_the_explainer_finds_a_reason_for_every_text_that_the_parser_refuses(text):
    assert is_accepted_by_the_explainer(text) == (parsed(text) is not None)


@settings(deadline=None)
@given(documents, layouts)
def test_the_span_of_every_node_is_its_json(value, layout):
    text = json.dumps(value, **layout)
    for node in nodes(parse_json(Source("x", text)).root):
        token = text[node.span.start : node.span.end]
        assert json.loads(token) == plain(node)


def test_numbers_keep_their_lexeme():
    root = parse_json(Source("x", "[1.0, 1e1, -0, 10]")).root
    assert [item.lexeme for item in root.items] == ["1.0", "1e1", "-0", "10"]


def test_the_last_of_repeated_keys_stands_and_every_repetition_is_known():
    json_ = parse_json(Source("x", '{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "a": 4}'))
    assert plain(json_.root) == {"a": 4, "b": {"c": 2}}
    assert sorted((a.span.start, b.span.start) for a, b in json_.repeats) == [
        (1, 32),
        (15, 23),
        (32, 40),
    ]


def test_keys_are_compared_after_decoding():
    assert len(parse_json(Source("x", '{"a": 1, "\\u0061": 2}')).repeats) == 1


def test_a_lone_surrogate_escape_is_text():
    assert parse_json(Source("x", '"\\ud800"')).root.value == "\ud800"


def test_a_surrogate_pair_is_one_character():
    assert parse_json(Source("x", '"\\ud83d\\ude00"')).root.value == "\U0001f600"


def test_nul_is_allowed_as_an_escape_only():
    assert parse_json(Source("x", '"\\u0000"')).root.value == "\0"
    with pytest.raises(PolicySyntaxError):
        parse_json(Source("x", '"\0"'))


def test_scalars_say_what_they_are():
    root = parse_json(Source("x", "[null, true, 1, []]")).root
    assert all(isinstance(item, JsonScalar) for item in root.items[:3])
    assert [item.lexeme for item in root.items[:3]] == ["null", "true", "1"]


# One diagnostic, with place and remedy


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "help"),
    [
        ("", 1, 1, "the document is empty", "starts with"),
        (" \n ", 1, 1, "the document is empty", "starts with"),
        ('{"a": 1,}', 1, 8, "a comma stands before `}`", "trailing comma"),
        ('{"a": [1,\n]}', 1, 9, "a comma stands before `]`", "trailing comma"),
        ('{\n  // note\n  "a": 1}', 2, 3, "JSON has no comments", "remove"),
        ('{"a": 1} /* x */', 1, 10, "text after the end", "one JSON document"),
        ("{'a': 1}", 1, 2, "expected a key in double quotes, found `'`", "double quotes"),
        ('{"a": \u201cx\u201d}', 1, 7, "expected a value", "plain double quotes"),
        ('{"a" 1}', 1, 6, "expected `:` after the key, found `1`", "`:`"),
        ('{"a": 1 "b": 2}', 1, 9, 'expected `,` or `}`, found `"`', "comma"),
        ('{"a": True}', 1, 7, "expected a value, found `True`", "`true`"),
        ('{"a": None}', 1, 7, "expected a value, found `None`", "`null`"),
        ('{"a": NaN}', 1, 7, "expected a value, found `NaN`", "string"),
        ('{"a": 010}', 1, 7, "expected a value, found `010`", "leading zeros"),
        ('{"a": s3}', 1, 7, "expected a value, found `s3`", "quote"),
        ('{"a": "b', 1, 7, "the text ends inside a string", "cut off"),
        ('{"a": "b\n"}', 1, 7, "a string does not end on its line", "`\\n`"),
        ('{"a": "\\d"}', 1, 8, "`\\d` is no escape", "`\\\\`"),
        ('{"a": "\t"}', 1, 8, "control character U+0009", "\\u0009"),
        ('{"a": [{"b": 1}', 1, 7, "the text ends before the `]`", "missing `]`"),
        ('{"a": ', 1, 1, "the text ends before the `}`", "missing `}`"),
        ("{} {}", 1, 4, "text after the end", "one JSON document"),
        ('["a" "b"]', 1, 6, "expected `,` or `]`", "comma"),
    ],
)
def test_text_that_is_not_json_gives_one_diagnostic_with_place_and_remedy(
    text, line, column, message, help
):
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy(text)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.location.line, diagnostic.location.column) == (line, column)
    assert message in diagnostic.message
    assert help in diagnostic.help


def test_a_syntax_error_prints_row_caret_and_remedy():
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy('{\n  "a": 1,\n}', name="p.json")
    assert str(caught.value) == (
        "error[IT101]: a comma stands before `}`\n"
        " --> p.json:2:9\n"
        "  |\n"
        '2 |   "a": 1,\n'
        "  |         ^\n"
        "help: remove the trailing comma"
    )


def test_a_printed_row_holds_nothing_that_a_terminal_would_act_on():
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy('{"\x1b[31m\u202e": 1 x}')
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null"])
@pytest.mark.parametrize("mode", ["strict", "lenient"])
def test_a_top_level_that_is_no_object_is_refused_in_both_modes(text, mode):
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy(text, mode=mode)
    assert [d.code for d in caught.value.diagnostics] == ["IT103"]


# Bytes


def test_bytes_are_read_as_utf8():
    assert (
        parse_policy(b'{"Statement": []}'.replace(b"[]", '[{"Sid": "ä"}]'.encode()))
        .statements[0]
        .sid.value
        == "ä"
    )


@pytest.mark.parametrize("text", ["\ufeff" + POLICY, ("\ufeff" + POLICY).encode()])
def test_a_byte_order_mark_is_skipped(text):
    document = parse_policy(text)
    assert document.source.text == POLICY
    assert document.span.start == 0


def test_invalid_utf8_is_one_error_that_points_at_the_byte():
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy(b'{\n"\xc3\xa4": "\xff"}')
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "IT102"
    assert "byte 0xff at offset 9" in diagnostic.message
    assert (diagnostic.location.line, diagnostic.location.column) == (2, 7)


def test_utf16_is_recognised():
    with pytest.raises(PolicySyntaxError, match="UTF-16"):
        parse_policy(POLICY.encode("utf-16"))


# Hostile text


def test_a_policy_cut_off_anywhere_gives_one_clean_error():
    for end in range(len(POLICY) - 1):
        with pytest.raises(PolicySyntaxError) as caught:
            parse_policy(POLICY[:end])
        assert len(caught.value.diagnostics) == 1


def test_a_policy_with_any_character_replaced_never_fails_otherwise():
    for at in range(len(POLICY)):
        for character in '"{]\\\0':
            text = POLICY[:at] + character + POLICY[at + 1 :]
            assert parsed(text) == loads(text)


def nested(depth, opener, closer, core="1"):
    return opener * depth + core + closer * depth


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_up_to_the_limit_is_accepted(opener, closer):
    levels = opener.count("[") + opener.count("{")
    text = nested(MAX_DEPTH // levels, opener, closer)
    assert parsed(text) == loads(text) is not None


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("excess", [1, 100_000])
def test_nesting_beyond_the_limit_is_a_limit_error(opener, closer, excess):
    levels = opener.count("[") + opener.count("{")
    text = nested(MAX_DEPTH // levels + excess, opener, closer)
    with pytest.raises(LimitError) as caught:
        parse_policy(text)
    assert caught.value.limit == "MAX_DEPTH"
    assert "x.json" not in str(caught.value) and "<policy>:1:" in str(caught.value)


def test_an_array_of_strings_counts_as_a_level():
    with pytest.raises(LimitError):
        parse_json(Source("x", nested(MAX_DEPTH, "[", "]", '["a"]')))


def test_unclosed_nesting_does_not_recurse():
    with pytest.raises((LimitError, PolicySyntaxError)):
        parse_policy("[" * 100_000)


def test_a_document_of_the_largest_size_is_parsed():
    text = '{"Statement": []}'
    document = parse_policy(text + " " * (MAX_CHARACTERS - len(text)))
    assert not document.statements and not document.is_unreadable


@pytest.mark.parametrize("convert", [str, str.encode])
def test_a_larger_document_is_a_limit_error_at_once(convert):
    text = convert('{"Statement": [' + " " * 50_000_000)
    start = time.perf_counter()
    with pytest.raises(LimitError) as caught:
        parse_policy(text)
    assert time.perf_counter() - start < 0.1
    assert (caught.value.limit, caught.value.allowed) == ("MAX_CHARACTERS", MAX_CHARACTERS)


def test_wide_characters_count_once_each():
    text = '{"Statement": [], "Id": "%s"}'
    parse_policy((text % ("\U0001f600" * 600_000)).encode())


@pytest.mark.parametrize(
    "text",
    [
        '"' + "a" * 500_000,
        '"' + "\\" * 500_001,
        "[" + '"a",' * 200_000 + "1",
        '["' + 'a","' * 200_000,
        "[" + "1," * 200_000,
        '{"a":' + '"\\u0061' * 100_000,
        "-" * 500_000,
        "1" * 500_000 + "x",
        " " * 500_000 + "x",
        '{"a":[' + ' "x" ,' * 100_000 + "}",
    ],
    ids=range(10),
)
def test_a_broken_text_is_refused_in_linear_time(text):
    # Quadratic time would be minutes, so the bound leaves room for slow machines.
    start = time.process_time()
    with pytest.raises(PolicySyntaxError):
        parse_policy(text)
    assert time.process_time() - start < 10


def test_importing_the_grammar_does_not_import_lark():
    import subprocess
    import sys

    code = (
        "import sys; from iamtables.grammar import parse_policy, load_policy;"
        "assert 'lark' not in sys.modules; parse_policy('{}'); assert 'lark' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
