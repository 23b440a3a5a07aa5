"""docs/diagnostics.md is true: each code has a section, a policy with it and one without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iamtables.errors import PolicyError
from iamtables.grammar import parse_policy
from iamtables.grammar.findings import CATALOGUE, MAX_DIAGNOSTICS

PAGE = Path(__file__).parent.parent / "docs" / "diagnostics.md"
_SECTION = re.compile(r"^### (IT\d{3}) (\w+)\n\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_SNIPPET = re.compile(r"^```(\w+) (fails|passes) ?(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

SECTIONS = {code: (name, body) for code, name, body in _SECTION.findall(PAGE.read_text("utf-8"))}
SNIPPETS = [
    pytest.param(code, *snippet, id=f"{code}-{snippet[1]}")
    for code, (_, body) in SECTIONS.items()
    for snippet in _SNIPPET.findall(body)
]


def read_snippet(language: str, text: str) -> str | bytes:
    if language == "hex":
        return bytes.fromhex(text)
    if language == "repeat":
        actions = ", ".join([text.strip()] * (MAX_DIAGNOSTICS + 1))
        return f'{{"Statement": {{"Effect": "Allow", "Action": [{actions}], "Resource": "*"}}}}'
    return text


def codes_of(text: str | bytes, policy_type: str) -> set[str]:
    try:
        document = parse_policy(text, policy_type=policy_type)
    except PolicyError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}
    return {diagnostic.code for diagnostic in document.diagnostics}


def test_every_code_has_a_section_with_its_name():
    assert {code: name for code, (name, _) in SECTIONS.items()} == {
        finding.code: finding.name for finding in CATALOGUE
    }


def test_codes_are_unique():
    assert len({finding.code for finding in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("finding", CATALOGUE, ids=lambda finding: finding.code)
def test_the_page_states_severity_and_rule(finding):
    _, body = SECTIONS[finding.code]
    assert body.startswith(finding.severity)
    assert finding.rule in body.split("```", 1)[0]


@pytest.mark.parametrize("finding", CATALOGUE, ids=lambda finding: finding.code)
def test_every_section_has_one_failing_and_one_passing_policy(finding):
    kinds = [kind for _, kind, _, _ in _SNIPPET.findall(SECTIONS[finding.code][1])]
    assert kinds == ["fails", "passes"]


@pytest.mark.parametrize(("code", "language", "kind", "policy_type", "text"), SNIPPETS)
def test_the_failing_policy_has_the_code_and_the_passing_one_has_not(
    code, language, kind, policy_type, text
):
    codes = codes_of(read_snippet(language, text), policy_type or "identity")
    assert (code in codes) == (kind == "fails")


@pytest.mark.parametrize(
    ("code", "language", "kind", "policy_type", "text"),
    [snippet for snippet in SNIPPETS if snippet.values[2] == "fails"],
)
def test_errors_and_only_errors_make_strict_mode_refuse(code, language, kind, policy_type, text):
    content = read_snippet(language, text)
    try:
        document = parse_policy(content, policy_type=policy_type or "identity")
        found = document.diagnostics
    except PolicyError as error:
        found = error.diagnostics
    has_errors = any(diagnostic.severity == "error" for diagnostic in found)
    try:
        parse_policy(content, mode="strict", policy_type=policy_type or "identity")
        is_refused = False
    except PolicyError:
        is_refused = True
    assert is_refused == has_errors


@pytest.mark.parametrize(
    ("code", "language", "kind", "policy_type", "text"),
    [snippet for snippet in SNIPPETS if snippet.values[2] == "fails"],
)
def test_a_message_is_one_lower_case_sentence_with_a_remedy(
    code, language, kind, policy_type, text
):
    content = read_snippet(language, text)
    try:
        found = parse_policy(content, policy_type=policy_type or "identity").diagnostics
    except PolicyError as error:
        found = error.diagnostics
    (diagnostic, *_) = [d for d in found if d.code == code]
    assert "\n" not in diagnostic.message
    assert not diagnostic.message.endswith(".")
    assert diagnostic.message[0] in "`0123456789" or not diagnostic.message[:2].istitle()
    assert diagnostic.help or code == "IT104"
