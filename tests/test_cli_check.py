"""`iamtables check`: decisions, exit codes, grounds with places, notes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import ACCOUNT, FULL_ACCESS, READ_ONLY, USER, allow, deny, iamtables, policy

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENDPOINT = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/e"


def check(*arguments):
    return iamtables("check", *arguments)


def test_an_allowed_request_names_the_statement_with_file_line_column_and_caret():
    finished = check(FULL_ACCESS, "--action", "bedrock:InvokeModel", "--resource", "*")
    assert finished.code == 0 and finished.err == ""
    lines = finished.out.splitlines()
    assert lines[0] == "ALLOW"
    assert "BedrockAll" in finished.out
    assert "AmazonBedrockFullAccess.json:8:9" in finished.out
    row = next(i for i, line in enumerate(lines) if '"bedrock:*"' in line)
    assert lines[row + 1].split("|")[1].strip().startswith("^^^")


def test_several_policies_are_asked_together():
    finished = check(FULL_ACCESS, READ_ONLY, "-a", "bedrock:GetAgent", "-r", "*", "--json")
    assert {t["statement"]["sid"] for t in finished.json()["traces"] if t["is_deciding"]} == {
        "BedrockAll", "AmazonBedrockReadOnly"}


def test_a_directory_of_policies_is_taken(tmp_path):
    policy(tmp_path, allow("s3:GetObject"), name="a.json")
    policy(tmp_path, deny("s3:*"), name="b.json")
    assert check(tmp_path, "-a", "s3:GetObject", "-r", "arn:aws:s3:::b/k").code == 1


def test_an_implicit_deny_says_which_condition_the_near_misses_missed():
    finished = check(FULL_ACCESS, "-a", "sagemaker:InvokeEndpoint", "-r", ENDPOINT,
                     "-c", "aws:CalledViaLast=athena.amazonaws.com",
                     "-c", "aws:ResourceTag/sagemaker-sdk:bedrock=compatible")
    assert finished.code == 1
    assert finished.out.startswith("IMPLICIT_DENY")
    assert "MarketplaceModelEndpointInvokingOperations" in finished.out
    assert "aws:CalledViaLast" in finished.out and "athena.amazonaws.com" in finished.out


def test_a_near_miss_of_the_resource_says_so():
    finished = check(FULL_ACCESS, "-a", "sagemaker:ListHubContents", "-r", ENDPOINT, "--json")
    (trace,) = finished.json()["traces"]
    assert [miss["element"] for miss in trace["misses"]] == ["resource"]


def test_an_action_that_no_statement_names_is_said_plainly():
    finished = check(FULL_ACCESS, "-a", "s3:GetObject", "-r", "arn:aws:s3:::b/k")
    assert finished.code == 1 and "names `s3:GetObject`" in finished.out


def test_an_explicit_deny_is_exit_code_1(tmp_path):
    path = policy(tmp_path, allow("s3:*"), deny("s3:DeleteObject", Sid="Keep"))
    finished = check(path, "-a", "s3:DeleteObject", "-r", "arn:aws:s3:::b/k")
    assert finished.code == 1 and finished.out.startswith("EXPLICIT_DENY")
    assert "Keep" in finished.out


@pytest.mark.parametrize(("arguments", "needs"), [
    (("-r", ENDPOINT, "-c", "aws:CalledViaLast=bedrock.amazonaws.com", "-u", "aws:ResourceTag/*"),
     "aws:ResourceTag/sagemaker-sdk:bedrock"),
    (("-c", "aws:CalledViaLast=bedrock.amazonaws.com",
      "-c", "aws:ResourceTag/sagemaker-sdk:bedrock=compatible"), "resource"),
])
def test_what_is_not_known_makes_it_undetermined_with_exit_code_4(arguments, needs):
    finished = check(FULL_ACCESS, "-a", "sagemaker:InvokeEndpoint", *arguments, "--json")
    assert finished.code == 4
    answer = finished.json()
    assert answer["decision"] == "UNDETERMINED" and answer["depends_on"] == [needs]


def test_a_repeated_context_key_is_a_list(tmp_path):
    path = policy(tmp_path, allow("s3:*", Condition={
        "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
        "Null": {"aws:TagKeys": "false"}}))
    arguments = (path, "-a", "s3:PutObject", "-r", "arn:aws:s3:::b/k")
    assert check(*arguments, "-c", "aws:TagKeys=a", "-c", "aws:tagkeys=b").code == 0
    assert check(*arguments, "-c", "aws:TagKeys=a", "-c", "aws:TagKeys=c").code == 1
    assert check(*arguments).code == 1


def test_a_value_may_hold_equals_signs_and_be_empty(tmp_path):
    path = policy(tmp_path, allow("s3:*", Condition={
        "StringEquals": {"aws:PrincipalTag/a": "x=y=z", "aws:PrincipalTag/b": ""}}))
    assert check(path, "-a", "s3:PutObject", "-r", "arn:aws:s3:::b/k",
                 "-c", "aws:PrincipalTag/a=x=y=z", "-c", "aws:PrincipalTag/b=").code == 0


def test_options_change_the_reading(tmp_path):
    path = policy(tmp_path, allow("s3:*", "arn:aws:s3:*:*:accesspoint/x"))
    arguments = (path, "-a", "s3:GetObject", "-r", "arn:aws:s3:::b/k:accesspoint/x")
    assert check(*arguments).code == 0
    assert check(*arguments, "--option", "resource_glob=segment").code == 1


@pytest.mark.parametrize(("action", "resource"), [
    ("s3", "*"), ("s3:Get Object", "*"), ("s3:GetObject", "bucket"), ("s3:GetObject", "arn:aws:s3"),
])
def test_a_malformed_request_is_an_input_error(action, resource):
    finished = check(FULL_ACCESS, "-a", action, "-r", resource)
    assert finished.code == 3 and "error[IT030]" in finished.err and finished.out == ""


def test_a_statement_that_can_grant_nothing_that_exists_is_noted_with_a_remedy():
    finished = check(FULL_ACCESS, "-a", "kms:DescribeKey", "-r", KEY)
    assert finished.code == 1
    note = finished.out[finished.out.index("note[IT601]"):]
    assert "can never match an ARN of `kms:DescribeKey`" in note
    assert "AmazonBedrockFullAccess.json:18:19" in note
    assert "the account field is empty" in note
    assert "write `arn:*:kms:*:*:key/*`" in note


def test_the_remedy_of_the_note_works(tmp_path):
    path = policy(tmp_path, allow("kms:DescribeKey", "arn:*:kms:*:*:key/*"))
    finished = check(path, "-a", "kms:DescribeKey", "-r", KEY)
    assert finished.code == 0 and "IT601" not in finished.out


def test_an_action_without_resources_beside_arns_is_noted(tmp_path):
    path = policy(tmp_path, allow("s3:ListAllMyBuckets", "arn:aws:s3:::b"))
    finished = check(path, "-a", "s3:ListAllMyBuckets", "-r", "*", "--json")
    (note,) = finished.json()["notes"]
    assert note["code"] == "IT601" and "checked on the resource `*`" in note["message"]


@pytest.mark.parametrize("statement", [
    allow("kms:*", "arn:aws:s3:::b"),                           # names no action in full
    allow("kms:DescribeKey", ["arn:aws:s3:::b", "*"]),          # one entry can match
    allow("made:Up", "arn:aws:s3:::b"),                         # not in the catalogue
    {"Effect": "Allow", "Action": "kms:DescribeKey", "NotResource": "arn:aws:s3:::b"},
])
def test_no_note_where_something_can_match(tmp_path, statement):
    path = policy(tmp_path, statement)
    for action in ("kms:DescribeKey", "made:Up"):
        assert check(path, "-a", action, "-r", KEY, "--json").json()["notes"] == []


def test_a_compiled_table_stands_for_its_policies(tmp_path):
    table = tmp_path / "t.iamt"
    assert iamtables("compile", FULL_ACCESS, "-o", table).code == 0
    finished = check(table, "-a", "bedrock:InvokeModel", "-r", "*", "-p", USER)
    assert finished.code == 0 and "AmazonBedrockFullAccess.json:8:9" in finished.out
    assert check(table, FULL_ACCESS, "-a", "s3:GetObject", "-r", "*").code == 2
    assert check(table, "-a", "s3:GetObject", "-r", "*", "--strict").code == 2


def test_a_policy_comes_from_standard_input(tmp_path):
    text = Path(policy(tmp_path, allow("s3:*"))).read_text()
    assert iamtables("check", "-", "-a", "s3:GetObject", "-r", "*", stdin=text).code == 0


def test_json_has_the_places_of_everything():
    answer = check(FULL_ACCESS, "-a", "bedrock:InvokeModel", "-r", "*", "-p", USER,
                   "-c", "aws:SourceIp=198.51.100.7", "--json").json()
    assert answer["request"] == {
        "principal": USER, "action": "bedrock:InvokeModel", "resource": "*",
        "context": {"aws:SourceIp": "198.51.100.7"}, "unknown": [],
    }
    assert answer["statement"]["sid"] == "BedrockAll"
    assert answer["statement"]["location"]["path"] == FULL_ACCESS
    assert answer["statement"]["location"]["line"] > 1
