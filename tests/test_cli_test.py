"""`iamtables test`: pass and fail, answers in bulk, engines, and lines that are no cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import ACCOUNT, USER, allow, deny, iamtables

from iamtables.cli import cases

VECTORS = Path(__file__).parent.parent / "docs" / "spec" / "vectors.jsonl"
OTHER_LAYERS = ("resource", "boundary", "session", "scps", "rcps", "vpce")
OBJECT = "arn:aws:s3:::depot/in/a.txt"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def case(*identity, name="c", context=None, expect=None, options=None, request=None, **layers):
    made = {
        "id": name,
        "policies": {"identity": list(identity)} | layers,
        "request": {"principal": USER, "action": "s3:GetObject", "resource": OBJECT,
                    "resource_account": ACCOUNT, "context": context or {}} | (request or {}),
    }
    if expect:
        made["expect"] = expect
    if options:
        made["options"] = options
    return made


def emit(*cases, engine="auto"):
    text = "\n".join(c if isinstance(c, str) else json.dumps(c) for c in cases)
    return iamtables("test", "--emit", "--engine", engine, "-", stdin=text)


def result(made, engine="auto"):
    (line,) = emit(made, engine=engine).lines()
    return line.get("result") or line["error"]


def test_every_vector_passes():
    finished = iamtables("test", VECTORS)
    assert finished.code == 0
    assert finished.out.strip().endswith("347 cases: 347 passed")


@pytest.mark.parametrize("engine", ["tables", "reference"])
def test_identity_only_vectors_pass_through_each_engine(tmp_path, engine):
    lines = [line for line in VECTORS.read_text().splitlines()
             if not any(json.loads(line)["policies"].get(layer) for layer in OTHER_LAYERS)]
    path = tmp_path / "identity.jsonl"
    path.write_text("\n".join(lines))
    finished = iamtables("test", "--engine", engine, path)
    assert finished.code == 0 and f"{len(lines)} passed" in finished.out
    assert len(lines) > 200


def test_the_engines_emit_the_same_answers_for_every_vector():
    """The deciders too (EVAL-1)."""
    answers = {engine: {line["id"]: line for line in
                        iamtables("test", "--emit", "--engine", engine, VECTORS).lines()}
               for engine in ("auto", "reference")}
    assert answers["auto"] == answers["reference"]


def test_a_failing_case_shows_what_was_expected_and_why(tmp_path):
    path = tmp_path / "c.jsonl"
    made = case(document(allow()), name="reads", expect="ImplicitlyDenied")
    path.write_text(json.dumps(made | {"why": "because"}) + "\n")
    finished = iamtables("test", path)
    assert finished.code == 1
    assert "FAIL" in finished.out and "reads" in finished.out and f"{path}:1" in finished.out
    assert "expected ImplicitlyDenied, got Allowed by identity" in finished.out
    assert "why: because" in finished.out and "1 failed" in finished.out


def test_a_passing_case_is_listed_when_asked(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(case(document(allow()), name="reads", expect="Allowed")))
    assert "reads" not in iamtables("test", path).out
    assert "pass  reads  Allowed by identity" in iamtables("test", "-v", path).out


def test_cases_without_expect_are_answered_and_counted(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(case(document(allow()))))
    finished = iamtables("test", path)
    assert finished.code == 0 and "1 without `expect`" in finished.out


def test_emit_has_one_line_for_each_case_and_judges_nothing():
    finished = emit(case(document(allow()), name="a", expect="ImplicitlyDenied"),
                    case(name="b"), case(document(deny()), name=3))
    assert finished.code == 0
    assert finished.lines() == [
        {"id": "a", "result": "Allowed", "deciders": ["identity"]},
        {"id": "b", "result": "ImplicitlyDenied", "deciders": ["identity"]},
        {"id": 3, "result": "ExplicitlyDenied", "deciders": ["identity"]},
    ]


def test_lines_that_are_no_cases_are_named_and_the_others_still_run():
    finished = emit(case(document(allow()), name="a"), "", "nonsense", '{"id": "x"}', "[]",
                    case(document(allow()), name="z"))
    assert finished.code == 3
    lines = finished.lines()
    assert [line["id"] for line in lines] == ["a", None, "x", None, "z"]
    assert [("error" in line) for line in lines] == [False, True, True, True, False]
    assert lines[1]["error"].startswith("<stdin>:3: not JSON")
    assert "policies" in lines[2]["error"] and lines[2]["error"].startswith("<stdin>:4")


def test_a_report_names_unusable_lines_on_stderr(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text("{}\n" + json.dumps(case(document(allow()), expect="Allowed")))
    finished = iamtables("test", path)
    assert finished.code == 3
    assert f"{path}:1: not a case" in finished.err and "help:" in finished.err
    assert "1 passed, 1 unusable" in finished.out


@pytest.mark.parametrize("made", [
    case("text"), case(3), case([]), case(document(allow()), request={"action": "s3"}),
    case(document(allow()), request={"principal": "nobody"}),
    case(document(allow()), request={"resource": "bucket"}),
    case(document(allow()), context={"aws:x": {"a": 1}}),
    case(document(allow()), context={"aws:x": [None]}),
    case(document(allow()), context={"aws:username": ["a", "b"]}),
    case(document(allow()), options={"resource_glob": "other"}),
    case(document(allow()), options={"unheard_of": "1"}),
    case(document(allow()), expect="Maybe"),
])
@pytest.mark.parametrize("engine", ["tables", "reference"])
def test_a_case_that_cannot_be_decided_is_an_error_in_both_engines(made, engine):
    finished = emit(made, engine=engine)
    assert finished.code == 3
    (line,) = finished.lines()
    assert line["error"].startswith("<stdin>:1: ") and "result" not in line
    assert "Traceback" not in finished.err


@pytest.mark.parametrize("name", ["vpce", "endpoint"])
def test_the_endpoint_policy_has_two_spellings(name):
    policy = [document({"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject",
                        "Resource": "*"})]
    assert result(case(document(allow()), **{name: policy})) == "ImplicitlyDenied"


def test_every_engine_decides_every_layer():
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    for layers, expected in (
        ({"boundary": [document(allow())]}, "Allowed"),
        ({"boundary": [document()]}, "ImplicitlyDenied"),
        ({"scps": [[document(allow())], [document(denied)]]}, "ExplicitlyDenied"),
        ({"vpce": [document(denied | {"Principal": "*"})]}, "ExplicitlyDenied"),
    ):
        for engine in ("auto", "tables", "reference"):
            assert result(case(document(allow()), **layers), engine) == expected, (layers, engine)


def test_faulty_statements_never_match_unless_a_case_says_otherwise():
    spoiled = document(allow(), {"Effect": "Deny", "Action": "*", "Resource": "*",
                                 "Condition": {"Unheard": {"aws:x": "1"}}})
    for engine in ("tables", "reference"):
        assert result(case(spoiled), engine) == "Allowed"
        assert result(case(spoiled, options={"invalid_statement": "unknown"}), engine) == (
            "Undetermined")


def test_keys_that_occur_twice_reach_the_parser():
    text = json.dumps(case("HERE")).replace(
        '"HERE"', '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Effect":"Allow",'
                  '"Action":"*","Resource":"*"}]}')
    for engine in ("tables", "reference"):
        (line,) = emit(text, engine=engine).lines()
        assert line["result"] == "Allowed"


@pytest.mark.parametrize(("value", "written"), [
    ("1.10", "1.10"), ("1e1", "1e1"), ("true", "true"), ("12345678901234567890.5", None),
])
def test_numbers_in_the_context_keep_their_digits(value, written):
    statement = allow(Condition={"StringEquals": {"aws:x": written or value}})
    text = json.dumps(case(document(statement), context={"aws:x": "HERE"})).replace('"HERE"', value)
    for engine in ("tables", "reference"):
        (line,) = emit(text, engine=engine).lines()
        assert line["result"] == "Allowed"


def test_unknown_keys_and_resources_give_undetermined():
    statement = allow(Condition={"StringEquals": {"aws:x": "1"}})
    for engine in ("tables", "reference"):
        assert result(case(document(statement), request={"unknown": ["aws:X"]}), engine) == (
            "Undetermined")
        assert result(case(document(allow(resource="arn:aws:s3:::depot/*")),
                           request={"resource": None}), engine) == "Undetermined"


def test_context_keys_that_differ_in_case_only_are_decided_by_the_reference():
    statement = allow(Condition={"StringEquals": {"aws:ResourceTag/ec2": "b"}})
    made = case(document(statement), context={"aws:ResourceTag/EC2": "a",
                                              "aws:ResourceTag/ec2": "b"})
    assert result(made) == result(made, "reference") == "Allowed"


def test_several_files_and_a_missing_one(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(json.dumps(case(document(allow()), expect="Allowed")) + "\n")
    assert "2 cases: 2 passed" in iamtables("test", tmp_path / "a", tmp_path / "b").out
    finished = iamtables("test", tmp_path / "none.jsonl")
    assert finished.code == 3 and "error[IT010]" in finished.err


def test_repeated_policies_are_compiled_once(monkeypatch):
    compiled = []
    original = cases._compiled

    def counted(policies, options):
        compiled.append(policies)
        return original(policies, options)

    monkeypatch.setattr(cases, "_compiled", counted)
    lines = [line.encode() for line in VECTORS.read_text().splitlines()[:100]]
    runner = cases.CaseRunner()
    answers = [runner.answer(cases.read_case(line, "")) for line in lines * 3]
    assert [a.result for a in answers] == [json.loads(line)["expect"] for line in lines] * 3
    assert {a.engine for a in answers} <= {"tables", "reference"}
    assert 0 < len(compiled) <= 100
