"""Patterns against ARN templates: witnesses are real, and "never" is never said too early."""

import itertools
import json
import re

import pytest

from iamtables.catalogue import load_catalogue
from iamtables.data import policy_path
from iamtables.reachability import explain_misfit, reach

KMS = ("arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",)


def templates(action):
    return load_catalogue().arn_templates(action)


def fits(arn, template):
    """Whether an ARN belongs to a template, by an expression written for this test."""
    parts = re.split(r"(\$\{\w+\})", template)
    fields = "".join(p for p in parts if not p.startswith("$"))
    assert fields.count(":") >= 5
    expression, colons = "", 0
    for part in parts:
        if part.startswith("$"):
            expression += ("[^:]+" if colons < 4 else "([0-9]{12}|aws)" if colons == 4 else ".+")
        else:
            colons += part.count(":")
            expression += re.escape(part)
    return re.fullmatch(expression, arn, re.DOTALL) is not None


def test_the_key_statement_of_bedrock_full_access_can_match_no_key():
    answer = reach("arn:*:kms:*:::*", templates("kms:DescribeKey"))
    assert not answer.is_possible and answer.state_count > 100
    misfit = explain_misfit("arn:*:kms:*:::*", templates("kms:DescribeKey"))
    assert misfit.reason == "the account field is empty"
    assert misfit.suggestion == "arn:*:kms:*:*:key/*"
    assert reach(misfit.suggestion, templates("kms:DescribeKey")).is_possible


@pytest.mark.parametrize(
    ("pattern", "action"),
    [
        ("*", "kms:DescribeKey"),
        ("**", "s3:GetObject"),
        ("arn:*", "kms:DescribeKey"),
        ("arn:aws:kms", "kms:DescribeKey"),                    # RES-7: padded
        ("arn:aws:kms:*", "kms:DescribeKey"),                  # RES-4: the star spans colons
        ("arn:*:kms:*:*:key/*", "kms:DescribeKey"),
        ("arn:aws:kms:eu-west-?:111122223333:key/????", "kms:DescribeKey"),
        ("arn:aws:s3:::b/*", "s3:GetObject"),
        ("arn:aws:s3:::${aws:PrincipalAccount}/x", "s3:GetObject"),
        ("arn:aws:iam::*:role/*AmazonBedrock*", "iam:PassRole"),
        ("arn:aws:sagemaker:*:aws:hub/SageMakerPublicHub", "sagemaker:ListHubContents"),
        ("arn:aws:ssm:*::parameter/aws/service/*", "ssm:GetParameter"),
        ("*", "s3:ListAllMyBuckets"),
    ],
)
def test_a_pattern_that_can_match_gets_a_witness(pattern, action):
    answer = reach(pattern, templates(action))
    assert answer.is_possible
    if templates(action):
        assert any(fits(answer.witness, template) for template in templates(action))


@pytest.mark.parametrize(
    ("pattern", "action"),
    [
        ("arn:aws:s3:::b", "s3:GetObject"),
        ("arn:aws:sqs:*:*:q", "s3:GetObject"),
        ("s3://b/*", "s3:GetObject"),                          # RES-8
        ("${aws:x}", "s3:GetObject"),                          # RES-8
        ("", "s3:GetObject"),
        ("arn:aws:kms:us-east-1:12345678901:key/*", "kms:DescribeKey"),   # eleven digits
        ("arn:aws:kms:us-east-1:111122223333:alias/x", "kms:DescribeKey"),
        ("arn:aws:kms:us-?ast:1:*:key/*", "kms:DescribeKey"),
        ("arn:aws:s3:::x", "s3:ListAllMyBuckets"),             # RES-2
        ("arn:*:kms:*:*:key/a:b", "kms:DescribeKey"),          # a key id has no colon
    ],
)
def test_a_pattern_that_cannot_match_gets_none(pattern, action):
    assert not reach(pattern, templates(action)).is_possible


def test_variables_are_literal_text_in_documents_without_them():
    assert not reach("arn:aws:kms:*:*:key/${x}", KMS, has_variables=False).is_possible
    assert reach("arn:aws:kms:*:*:key/${x}", KMS).is_possible
    assert reach("arn:aws:s3:::b/${*}", templates("s3:GetObject")).witness == "arn:aws:s3:::b/*"


def test_a_small_world_agrees_with_brute_force():
    template = "arn:p:s:r:aws:${X}"
    names = ["".join(t) for n in (1, 2) for t in itertools.product("a:", repeat=n)]
    texts = [f"arn:p:s:r:aws:{name}" for name in names]

    def matches(pattern, text):  # RES-4 for patterns of at least six segments
        expression, colons = "", 0
        for at, c in enumerate(pattern):
            inside = "." if colons >= 5 else "[^:]"
            if c == "*":
                end = pattern[at + 1 : at + 2] in (":", "")
                expression += "(?:.*)" if end else inside + "*"
            elif c == "?":
                expression += inside
            else:
                colons += c == ":"
                expression += re.escape(c)
        return re.fullmatch(expression, text, re.DOTALL) is not None

    seen = set()
    for tail in itertools.product("a:*?", repeat=2):
        for middle in ("p:s:r:aws:", "*:aws:", "p:*:r:a?s:", "p:s:r*:*:", "p:s:r::"):
            pattern = "arn:" + middle + "".join(tail)
            if pattern.count(":") < 5:
                continue
            expected = any(matches(pattern, text) for text in texts)
            answer = reach(pattern, (template,))
            # names longer than two characters may match where none of the short ones does
            assert answer.is_possible or not expected
            if answer.is_possible:
                assert matches(pattern, answer.witness) and fits(answer.witness, template)
            seen.add((expected, answer.is_possible))
    assert {(True, True), (False, False)} <= seen


def test_every_other_statement_of_the_bedrock_policies_can_match_something():
    unreachable = set()
    for name in ("AmazonBedrockFullAccess", "AmazonBedrockReadOnly"):
        for statement in json.loads(policy_path(name).read_text())["Statement"]:
            resources = statement["Resource"]
            resources = [resources] if isinstance(resources, str) else resources
            if not any(reach(resource, templates(action)).is_possible
                       for action in statement["Action"] if "*" not in action
                       for resource in resources) and "bedrock:*" not in statement["Action"] and (
                           statement["Sid"] != "AmazonBedrockReadOnly"):
                unreachable.add((name, statement["Sid"]))
    assert unreachable == {("AmazonBedrockFullAccess", "DescribeKey")}
