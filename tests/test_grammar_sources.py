"""Where policies come from: files, directories, patterns, standard input, output of AWS tools."""

from __future__ import annotations

import io
import json
import os
import sys
from urllib.parse import quote

import pytest

from iamtables.errors import LimitError, PolicySemanticError, PolicySyntaxError, SourceError
from iamtables.grammar import MAX_CHARACTERS, load_policy

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::ä/*"}],
}
TEXT = json.dumps(POLICY, indent=2, ensure_ascii=False)


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="p.json"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


def load_one(path, **options):
    (document,) = load_policy(path, **options)
    return document


def assert_spans_are_true(document):
    """The entries of the one statement stand in the source where their spans say."""
    (statement,) = document.statements
    for entry in (*statement.action.entries, *statement.resource.entries):
        assert json.loads(document.source.text[slice(*entry.span)]) == entry.value
    assert document.source.text[slice(*document.span)].startswith("{")


def test_a_file_gives_one_policy_named_after_it(write):
    path = write(TEXT)
    document = load_one(path)
    assert document.source.name == path
    assert_spans_are_true(document)


def test_a_path_object_is_as_good_as_a_string(tmp_path, write):
    write(TEXT)
    assert len(load_policy(tmp_path / "p.json")) == 1


def test_a_directory_gives_its_json_files_by_name(tmp_path, write):
    for name in ("b.json", "a.json", "c.txt"):
        write(TEXT, name)
    (tmp_path / "d.json").mkdir()
    assert [os.path.basename(d.source.name) for d in load_policy(tmp_path)] == ["a.json", "b.json"]


def test_a_glob_pattern_gives_the_files_it_matches_by_name(tmp_path, write):
    for name in ("b1.json", "a1.json", "a2.txt"):
        write(TEXT, name)
    names = [os.path.basename(d.source.name) for d in load_policy(str(tmp_path / "?1.*"))]
    assert names == ["a1.json", "b1.json"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(write):
    assert load_one(write(TEXT, "a[1].json")).statements


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    document = load_one("-")
    assert document.source.name == "<stdin>"
    assert_spans_are_true(document)


def test_policy_type_and_mode_reach_the_parser(write):
    path = write('{"Statement": []}')
    assert load_one(path, policy_type="scp").policy_type == "scp"
    with pytest.raises(PolicySemanticError):
        load_policy(path, mode="strict")


# Wrappers


@pytest.mark.parametrize(
    "wrapper",
    [
        {"PolicyVersion": {"Document": POLICY, "VersionId": "v1", "CreateDate": "2024-01-31"}},
        {"UserName": "ana", "PolicyName": "p", "PolicyDocument": POLICY},
        {"Document": POLICY},
        {"Policy": POLICY},
        {"Role": {"RoleName": "r", "AssumeRolePolicyDocument": POLICY}},
    ],
    ids=lambda wrapper: next(iter(wrapper)),
)
def test_an_inline_document_keeps_the_whole_file_as_its_source(write, wrapper):
    content = json.dumps(wrapper, indent=2)
    path = write(content)
    document = load_one(path)
    assert (document.source.name, document.source.text) == (path, content)
    assert json.loads(content[slice(*document.span)]) == POLICY
    assert_spans_are_true(document)


@pytest.mark.parametrize(
    ("wrapper", "place"),
    [
        ({"Policy": TEXT}, "Policy"),
        ({"Policy": {"PolicySummary": {}, "Content": TEXT}}, "Policy.Content"),
        ({"PolicyVersion": {"Document": quote(TEXT)}}, "PolicyVersion.Document"),
        ({"PolicyDocument": quote(TEXT, safe="")}, "PolicyDocument"),
        ({"Attributes": {"Policy": TEXT}}, "Attributes.Policy"),
        ({"ResourcePolicy": TEXT}, "ResourcePolicy"),
        ({"policyText": TEXT}, "policyText"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_embedded_document_has_a_source_named_after_its_place(write, wrapper, place):
    path = write(json.dumps(wrapper))
    document = load_one(path)
    assert (document.source.name, document.source.text) == (f"{path}#{place}", TEXT)
    assert_spans_are_true(document)


@pytest.mark.parametrize(
    "content", [quote(TEXT), " \n" + quote(TEXT, safe=""), quote(" \n" + TEXT)]
)
def test_a_url_encoded_file_is_decoded(write, content):
    path = write(content)
    document = load_one(path)
    assert document.source.name == f"{path}#decoded"
    assert document.source.text.strip() == TEXT
    assert_spans_are_true(document)


def test_a_file_with_the_policy_in_a_json_string_is_decoded(write):
    assert_spans_are_true(load_one(write(json.dumps(TEXT))))


@pytest.mark.parametrize("key", ["CreateDate", "UpdateDate"])
@pytest.mark.parametrize("document", [POLICY, TEXT, quote(TEXT)])
def test_the_date_of_the_wrapper_is_the_date_of_the_source(write, key, document):
    content = json.dumps({"PolicyVersion": {"Document": document, key: "2024-01-31T00:00:00Z"}})
    assert load_one(write(content)).source.date == "2024-01-31T00:00:00Z"


def test_errors_of_an_embedded_document_point_into_it(write):
    path = write(json.dumps({"Policy": '{\n "Statement": [],\n}'}))
    with pytest.raises(PolicySyntaxError) as caught:
        load_policy(path)
    (diagnostic,) = caught.value.diagnostics
    assert str(diagnostic.location) == f"{path}#Policy:2:17"


def test_a_policy_with_a_wrapper_name_beside_its_statements_is_a_policy(write):
    document = load_one(write(json.dumps({**POLICY, "Document": {"Statement": []}})))
    assert len(document.statements) == 1


def test_two_wrapped_policies_under_one_key_are_refused(write):
    with pytest.raises(PolicySyntaxError, match="two policies"):
        load_policy(write('{"Policy": {"Statement": []}, "Policy": {"Statement": []}}'))


def test_a_repeated_key_outside_the_policy_is_no_finding_of_it(write):
    path = write(f'{{"Policy": {TEXT}, "Name": 1, "Name": 2}}')
    assert not [d for d in load_one(path).diagnostics if d.name == "DUP_KEY"]


@pytest.mark.parametrize("inner", ["[]", "null", "5"])
def test_a_wrapper_without_a_policy_in_it_is_refused(write, inner):
    with pytest.raises(PolicySyntaxError, match=r"`PolicyVersion\.Document` must hold a policy"):
        load_policy(write(f'{{"PolicyVersion": {{"Document": {inner}}}}}'))


def test_the_description_of_a_policy_says_where_its_document_is(write):
    path = write('{"Policy": {"PolicyName": "p", "DefaultVersionId": "v1"}}')
    assert "get-policy-version" in load_one(path).diagnostics[0].help


def test_wrappers_in_wrappers_end(write):
    content: object = POLICY
    for _ in range(40):
        content = {"Policy": content}
    document = load_one(write(json.dumps(content)))
    assert document.is_faulty


# Nothing to read


@pytest.mark.parametrize("content", ["", " \n\t", b"\xef\xbb\xbf"])
def test_an_empty_file_is_named_with_a_remedy(write, content):
    path = write(content)
    with pytest.raises(SourceError, match="is empty") as caught:
        load_policy(path)
    assert caught.value.path == path and caught.value.help


def test_a_missing_file_is_named_with_a_remedy(tmp_path):
    path = str(tmp_path / "p.json")
    with pytest.raises(SourceError, match="no such file") as caught:
        load_policy(path)
    assert caught.value.path == path and "spelling" in caught.value.help


def test_a_missing_directory_is_said_to_be_missing(tmp_path):
    with pytest.raises(SourceError, match="there is no directory"):
        load_policy(tmp_path / "d" / "p.json")


def test_a_directory_without_policies_is_named_with_a_remedy(tmp_path, write):
    write(TEXT, "a.txt")
    with pytest.raises(SourceError, match="holds no policies") as caught:
        load_policy(tmp_path)
    assert ".json" in caught.value.help


def test_a_pattern_without_files_is_named_with_a_remedy(tmp_path):
    with pytest.raises(SourceError, match="no file matches"):
        load_policy(str(tmp_path / "*.json"))


def test_invalid_json_in_a_directory_names_the_file_and_the_remedy(tmp_path, write):
    write(TEXT, "a.json")
    path = write("[1]", "b.json")
    with pytest.raises(PolicySyntaxError) as caught:
        load_policy(tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.location.path == path
    assert "glob pattern" in diagnostic.help


def test_a_path_with_a_nul_is_a_source_error():
    with pytest.raises(SourceError):
        load_policy("a\0b")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named_with_a_remedy(write):
    path = write(TEXT)
    os.chmod(path, 0)
    with pytest.raises(SourceError, match="permission"):
        load_policy(path)


def test_a_huge_file_is_a_limit_error_without_reading_it(tmp_path):
    path = tmp_path / "p.json"
    with open(path, "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(LimitError) as caught:
        load_policy(path)
    assert caught.value.allowed == MAX_CHARACTERS


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs an endless file")
def test_an_endless_file_is_a_limit_error():
    with pytest.raises(LimitError):
        load_policy("/dev/zero")
