"""Exact comparison: answers that can be checked by thought, and what can not be switched off."""

from __future__ import annotations

import json
from typing import Any

import pytest

import iamtables as it
import iamtables.comparison
from iamtables.compiler.compare import (
    Acceptor,
    AllOf,
    AnyOf,
    Budget,
    EveryRequest,
    Gate,
    Question,
    Search,
    Witness,
    identity,
)
from iamtables.compiler.lower import lower_documents
from iamtables.reference import evaluate_identity, statement_states


def policy(*statements: dict[str, Any], name: str = "p", version: str = "2012-10-17"
           ) -> it.PolicyDocument:
    return it.parse_policy(
        json.dumps({"Version": version, "Statement": list(statements)}, indent=1), name=name)


def allow(action: Any = "s3:GetObject", resource: Any = "*", condition: Any = None,
          **more: Any) -> dict[str, Any]:
    body = {"Effect": "Allow", "Action": action, "Resource": resource} | more
    return {k: v for k, v in body.items() if v is not None} | (
        {"Condition": condition} if condition else {})


def deny(action: Any = "s3:GetObject", resource: Any = "*", condition: Any = None,
         **more: Any) -> dict[str, Any]:
    return allow(action, resource, condition, **more) | {"Effect": "Deny"}


def when(**conditions: Any) -> dict[str, Any]:
    """allow() under one operator."""
    return allow(condition=conditions)


def compare(old: Any, new: Any, **more: Any) -> it.Comparison:
    old = old if isinstance(old, it.PolicyDocument) else policy(*_list(old), name="old")
    new = new if isinstance(new, it.PolicyDocument) else policy(*_list(new), name="new")
    return it.compare(old, new, **more)


def _list(statements: Any) -> list[Any]:
    return statements if isinstance(statements, list) else [statements]


K = "k:v"

SAME = {
    "two values and two statements": (
        [when(StringEquals={K: ["a", "b"]})],
        [when(StringEquals={K: "a"}), when(StringEquals={K: "b"})]),
    "a network and its halves": (
        [when(IpAddress={"aws:SourceIp": "10.0.0.0/8"})],
        [when(IpAddress={"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/9"]})]),
    "host bits of a network": (
        [when(IpAddress={"aws:SourceIp": "10.1.2.3/8"})],
        [when(IpAddress={"aws:SourceIp": "10.0.0.0/8"})]),
    "10 and 1e1": (
        [when(NumericLessThan={K: "10"})], [when(NumericLessThan={K: "1e1"})]),
    "an instant in two zones": (
        [when(DateLessThan={K: "2024-01-01T00:00:00Z"})],
        [when(DateLessThan={K: "2024-01-01T01:00:00+01:00"})]),
    "an instant and its epoch seconds": (
        [when(DateEquals={K: "2024-01-01"})], [when(DateEquals={K: "1704067200"})]),
    "true in two spellings": (
        [when(Bool={K: "true"})], [when(Bool={K: "TRUE"})]),
    "a pattern without wildcard and equality": (
        [when(StringLike={K: "abc"})], [when(StringEquals={K: "abc"})]),
    "an excluded action and its complement": (
        [allow(None, NotAction=["s3:GetObject"]), allow("s3:GetObject")], [allow("*")]),
    "an excluded resource and its complement": (
        [allow("s3:*", None, NotResource=["arn:aws:s3:::b/*"]),
         allow("s3:*", "arn:aws:s3:::b/*")], [allow("s3:*")]),
    "a condition and its complement": (
        [when(StringEquals={"aws:username": "a"}), when(StringNotEquals={"aws:username": "a"})],
        [allow()]),
    "presence, absence, and nothing asked": (
        [when(Null={K: "true"}), when(Null={K: "false"})], [allow()]),
    "case of actions": ([allow("s3:getobject")], [allow("S3:GetObject")]),
    "wildcards in a row": ([allow("s3:Get**")], [allow("s3:Get*")]),
    "a question mark before or after a star": ([allow("s3:Get*?")], [allow("s3:Get?*")]),
    "a deny and what it leaves": (
        [allow("s3:*"), deny("s3:GetObject", condition={"Null": {K: "true"}})],
        [allow("s3:*", condition={"Null": {K: "false"}}),
         allow(None, NotAction=["s3:GetObject"], Resource="*"),
         deny(None, NotAction=["s3:*"])]),
    "fewer than and at most, of whole cells": (
        [when(NumericLessThanEquals={K: "10"})],
        [when(NumericLessThan={K: "10"}), when(NumericEquals={K: "10.0"})]),
    "a single-valued key under a set operator": (
        [when(**{"ForAnyValue:StringEquals": {"aws:username": "a"}})],
        [when(StringEquals={"aws:username": "a"})]),
    "every value among two is none outside": (
        [when(**{"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}})],
        [allow(), deny(condition={
            "ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a", "b"]}})]),
    "a short ARN and its stars": (
        [allow("sqs:*", "arn:aws:sqs")], [allow("sqs:*", "arn:aws:sqs:*:*:*")]),
    "the empty condition": ([allow(Condition={})], [allow()]),
    "statement order": ([allow("a:b"), deny("a:*", "arn:aws:a:::x")],
                        [deny("a:*", "arn:aws:a:::x"), allow("a:b")]),
    "the same variable": (
        [allow(resource="arn:aws:s3:::home/${aws:username}/*")],
        [allow(resource=["arn:aws:s3:::home/${aws:username}/*",
                         "arn:aws:s3:::home/${aws:username}/x"])]),
}


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_is_equivalent_however_it_is_written(name: str) -> None:
    old, new = SAME[name]
    comparison = compare(old, new)
    assert comparison.equivalent == "yes", comparison.to_dict()
    assert compare(new, old).equivalent == "yes"


LOOKALIKES = {
    "less than 10 and at most 9.5": (
        [when(NumericLessThanEquals={K: "9.5"})], [when(NumericLessThan={K: "10"})],
        lambda value: 9.5 < float(value) < 10),
    "text and number": (
        [when(StringEquals={K: "10"})], [when(StringEquals={K: ["10", "10.0"]})],
        lambda value: value == "10.0"),
    "a star is a character under StringEquals": (
        [when(StringEquals={K: "a*"})], [when(StringLike={K: "a*"})],
        lambda value: value.startswith("a") and value != "a*"),
    "one address less": (
        [when(IpAddress={"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/10"]})],
        [when(IpAddress={"aws:SourceIp": "10.0.0.0/8"})],
        lambda value: value.startswith("10.")),
    "a second earlier": (
        [when(DateLessThan={K: "2024-01-01T00:00:00Z"})],
        [when(DateLessThanEquals={K: "2024-01-01T00:00:00Z"})],
        lambda value: value == "2024-01-01T00:00:00Z"),
    "absence": (
        [when(StringNotEquals={K: "a"}, Null={K: "false"})], [when(StringNotEquals={K: "a"})],
        lambda value: value in (None, [], "")),
    "the empty string under a set operator": (
        [when(**{"ForAllValues:StringEquals": {K: "a"}}, Null={K: "false"})],
        [when(**{"ForAllValues:StringEquals": {K: "a"}})],
        lambda value: value in (None, "", [], [""])),
    "all values and some value": (
        [when(**{"ForAllValues:StringEquals": {"aws:TagKeys": "a"}},
              Null={"aws:TagKeys": "false"})],
        [when(**{"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}})],
        lambda value: "a" in value and len(value) > 1),
    "case of a value": (
        [when(StringEquals={K: "a"})], [when(StringEqualsIgnoreCase={K: "a"})],
        lambda value: value == "A"),
    "a number beyond binary floating point": (
        [when(NumericLessThan={K: "9007199254740993"})],
        [when(NumericLessThanEquals={K: "9007199254740993"})],
        lambda value: value == "9007199254740993"),
    "numbers nobody can write out": (
        [when(NumericLessThanEquals={K: "1e1000000"})],
        [when(NumericLessThan={K: "2e1000000"})],
        lambda value: "e1000001" in value),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_looks_alike_differs_with_a_witness(name: str) -> None:
    old, new, is_right = LOOKALIKES[name]
    comparison = compare(old, new)
    assert (comparison.gained.verdict, comparison.lost.verdict) == ("yes", "no")
    (difference,) = comparison.gained.differences
    key = "aws:TagKeys" if "TagKeys" in json.dumps(new) else K
    if "SourceIp" in json.dumps(new):
        key = "aws:SourceIp"
    assert is_right(difference.witness.context.get(key)), difference.witness
    assert_replays(old, new, difference)


def assert_replays(old: list[Any], new: list[Any], difference: it.Difference) -> None:
    """The witness is allowed by `new` and not by `old`, says the reference evaluator."""
    for statements, expected in ((new, True), (old, False)):
        outcome = evaluate_identity(
            [{"Version": "2012-10-17", "Statement": statements}],
            action=difference.witness.action, resource=difference.witness.resource,
            context=difference.witness.context)
        assert (outcome.decision == "ALLOW") is expected


def test_a_difference_names_what_was_written_and_where() -> None:
    old = policy(allow(["s3:GetObject"], "arn:aws:s3:::b/*"), name="old.json")
    new = policy(
        allow(["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::b/*", "arn:aws:s3:::c/*"],
              Sid="Objects"), name="new.json")
    put, get = sorted(compare(old, new).gained.differences, key=lambda d: d.actions,
                      reverse=True)
    assert put.actions == ("s3:PutObject",)
    assert put.resources == ("arn:aws:s3:::b/*", "arn:aws:s3:::c/*")
    assert get.actions == ("s3:GetObject",) and get.resources == ("arn:aws:s3:::c/*",)
    assert str(get.statement.location).startswith("new.json:4:")
    assert get.witness.action == "s3:GetObject"
    assert get.witness.resource.startswith("arn:aws:s3:::c/")
    assert get.reason == "no statement allows it"


def test_a_pattern_that_is_new_only_in_part_says_so() -> None:
    comparison = compare(allow("s3:GetObject*"), allow("s3:GetO*"))
    (difference,) = comparison.gained.differences
    assert difference.actions[0].startswith("s3:GetO* (in part: ")
    assert "GetObjectAcl" not in difference.actions[0]


def test_a_pattern_of_all_services_says_in_which_it_is_new() -> None:
    everything = allow("*")
    found = compare(everything, [everything, deny("s3:*")])
    assert [d.actions for d in found.lost.differences] == [("* (in part: s3:*)",)]
    found = compare([everything, deny(["s3:*", "ec2:RunInstances"])], [allow(["s3:*", "ec2:*"])])
    assert [d.actions for d in found.gained.differences] == [
        ("s3:*", "ec2:* (in part: ec2:RunInstances)")]
    assert [d.actions for d in found.lost.differences] == [
        ("* (in part: any service but ec2, s3)",)]
    found = compare(allow(None, NotAction="iam:*"), allow("s3:*"))
    assert [d.actions for d in found.lost.differences] == [
        ("all but iam:* (in part: any service but s3)",)]


def test_no_statements_at_all_are_compared() -> None:
    found = compare([], allow())
    assert (found.gained.verdict, found.lost.verdict) == ("yes", "no")
    assert found.gained.differences[0].reason == "no statement allows it"
    assert compare([], []).equivalent == "yes"


def test_a_lifted_deny_is_new_access_and_is_named() -> None:
    comparison = compare([allow("s3:*"), deny("s3:DeleteObject", Sid="Keep")], [allow("s3:*")])
    (difference,) = comparison.gained.differences
    assert [g.statement.sid for g in difference.denied_by] == ["Keep"]
    assert [g.layer for g in difference.allowed_by] == ["identity"]
    assert str(difference.allowed_by[0].statement.location).startswith("new:4:")
    assert difference.grounds == f"allowed by {difference.allowed_by[0]}"
    assert difference.decision is it.DecisionCode.EXPLICIT_DENY
    assert difference.witness.action == "s3:DeleteObject"
    assert comparison.lost.verdict == "no"


def test_a_loosened_condition_names_the_near_miss() -> None:
    comparison = compare(when(StringEquals={K: "a"}), when(StringEquals={K: ["a", "b"]}))
    (difference,) = comparison.gained.differences
    assert len(difference.near_misses) == 1
    assert difference.reason.startswith("the condition is not met of")


def test_spellings_of_a_key_are_two_keys_that_are_absent_together() -> None:
    """COND-5: with `aws:PrincipalTag/A` present, `.../a` has a value, too."""
    upper, lower = "aws:PrincipalTag/A", "aws:PrincipalTag/a"
    comparison = compare(
        when(Null={upper: "true"}), when(Null={upper: "true", lower: "true"}))
    assert comparison.equivalent == "no"
    (difference,) = comparison.lost.differences
    assert set(difference.witness.context) == {upper, lower} or not difference.witness.context
    assert_replays([when(Null={upper: "true", lower: "true"})], [when(Null={upper: "true"})],
                   difference)
    assert compare(
        when(StringEquals={upper: "x"}, Null={lower: "true"}), deny("a:b")).lost.verdict == (
        "yes"), "the exact spelling may be empty while the other one is not"


# --- what cannot be switched off


class _Liar(Search):
    """Finds a difference that is none."""

    def differences(self, question: Question, questions: int = 1) -> Any:
        found = super().differences(question, questions)
        regions = [
            iamtables.compiler.compare.Region(
                question.accepts.allows[0], (), (), frozenset(),
                Witness("s3:GetObject", "*", {}))
        ] if question.accepts and question.accepts.allows else []
        return iamtables.compiler.compare.Findings((*found.regions, *regions))


def test_a_witness_that_the_reference_refuses_is_never_shown(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iamtables.comparison, "Search", _Liar)
    comparison = compare(allow(), allow())
    for direction in (comparison.gained, comparison.lost):
        assert direction.differences == ()
        assert direction.verdict == "undecided"
        assert "internal error" in direction.undecided[0]
    assert comparison.equivalent == "undecided"
    assert comparison.meets("no-new-access") == "undecided"


def test_every_witness_is_replayed_and_there_is_no_way_around_it(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = []

    def spy(policies: Any, **request: Any) -> Any:
        replayed.append((request["action"], request["resource"]))
        return statement_states(policies, **request)

    monkeypatch.setattr(iamtables.comparison, "statement_states", spy)
    comparison = compare([allow("s3:*")], [allow("s3:Get*"), allow("ec2:*"), deny("ec2:Stop*")])
    shown = [d.witness for d in (*comparison.gained.differences, *comparison.lost.differences)]
    assert shown
    for witness in shown:
        assert replayed.count((witness.action, witness.resource)) >= 2  # once for each side


# --- what is not known


def test_a_statement_that_cannot_be_read_makes_what_hangs_on_it_undecided() -> None:
    faulty = allow("s3:*") | {"Condition": {"StringSeemsLike": {K: "a"}}}
    comparison = compare([faulty, allow("ec2:RunInstances")], [allow("s3:*"), allow("ec2:*")])
    assert comparison.gained.verdict == "yes"  # ec2, whatever the statement says
    assert all(d.witness.action.startswith("ec2:") for d in comparison.gained.differences)
    assert "cannot be understood" in comparison.gained.undecided[0]
    assert comparison.lost.verdict == "no"


def test_the_same_unreadable_statement_on_both_sides_is_no_difference() -> None:
    faulty = allow("s3:*") | {"Condition": {"StringSeemsLike": {K: "a"}}}
    assert compare([faulty], [faulty]).equivalent == "yes"
    comparison = compare([faulty], [faulty, allow("s3:GetObject")])
    assert (comparison.gained.verdict, comparison.lost.verdict) == ("undecided", "no")


def test_an_unreadable_deny_neither_vanishes_nor_decides() -> None:
    faulty = deny("s3:*") | {"Condition": {"StringSeemsLike": {K: "a"}}}
    comparison = compare([allow("s3:*"), faulty], [allow("s3:*")])
    assert (comparison.gained.verdict, comparison.lost.verdict) == ("undecided", "no")


def test_variables_are_compared_as_they_stand_and_by_value() -> None:
    home = "arn:aws:s3:::home/${aws:username}/*"
    comparison = compare(allow(resource=home), allow(resource=[home, "arn:aws:s3:::home/bob/*"]))
    (difference,) = comparison.gained.differences
    assert difference.witness.resource.startswith("arn:aws:s3:::home/bob/")
    assert comparison.lost.verdict == "no"
    wider = compare(allow(resource="arn:aws:s3:::home/${aws:username}/a*"), allow(resource=home))
    assert (wider.gained.verdict, wider.lost.verdict) == ("yes", "no")
    covered = compare(allow(resource="arn:aws:s3:::home/*"), allow(resource=home))
    assert (covered.gained.verdict, covered.lost.verdict) == ("no", "yes")


def test_what_hangs_on_a_variable_is_undecided_and_says_on_which() -> None:
    old = [when(StringEquals={K: "${aws:username}"})]
    new = [when(StringLike={K: "${aws:username}"})]
    comparison = compare(old, new)
    for direction in (comparison.gained, comparison.lost):
        assert direction.verdict in ("no", "undecided")
        assert all("aws:username" in reason for reason in direction.undecided)


def test_a_key_of_two_types_is_undecided_where_the_types_would_have_to_meet() -> None:
    both = when(StringLike={K: "1*"}, NumericEquals={K: "10"}, StringNotEquals={K: "10"})
    comparison = compare([deny("a:b")], [both])
    if comparison.gained.verdict == "yes":
        assert_replays([deny("a:b")], [both], comparison.gained.differences[0])
    else:
        assert comparison.gained.verdict == "undecided"
        assert "compared as Numeric and as text" in comparison.gained.undecided[0]


# --- worlds


def test_a_pattern_that_no_key_has_is_a_difference_only_where_every_request_counts() -> None:
    old, new = [deny("a:b")], [allow("kms:DescribeKey", "arn:*:kms:*:::*")]
    assert compare(old, new).gained.verdict == "yes"
    assert compare(old, new, world="catalogue").equivalent == "yes"


@pytest.mark.parametrize("world", ["rules", "catalogue"])
def test_witnesses_belong_to_their_world(world: str) -> None:
    comparison = compare([allow("s3:GetObject")], [allow("s3:*", "arn:aws:s3:::b*")], world=world)
    assert comparison.world == world and comparison.gained.verdict == "yes"
    witness = comparison.gained.differences[0].witness
    assert witness.action.startswith("s3:") and witness.resource.startswith("arn:aws:s3:::b")


def test_no_difference_among_all_requests_is_none_in_the_catalogue() -> None:
    for old, new in list(SAME.values())[::3]:
        assert compare(old, new, world="catalogue").equivalent == "yes"


def test_actions_that_no_catalogue_lists_are_outside_its_world() -> None:
    old, new = [deny("a:b")], [allow("s3:Gett*")]
    assert compare(old, new).gained.verdict == "yes"
    assert compare(old, new, world="catalogue").gained.verdict == "no"


def test_a_world_that_does_not_exist_is_refused() -> None:
    with pytest.raises(it.IamtablesError, match="no world"):
        compare(allow(), allow(), world="flat")


# --- options


def test_options_change_the_answer_where_the_semantics_leave_it_open() -> None:
    old = [allow(resource="arn:aws:dynamodb:us-east-1:111122223333:table/prod-x")]
    new = [allow(resource="arn:aws:dynamodb:*:table/prod-*")]
    spans = compare(old, new)
    stays = compare(old, new, options=it.Options(resource_glob="segment"))
    assert spans.gained.verdict == "yes" and spans.lost.verdict == "no"
    assert stays.lost.verdict == "yes"
    name = "aws:username"
    empty = ([when(Null={name: "false"})],
             [when(Null={name: "false"}, StringNotEquals={name: ""})])
    assert compare(*empty).lost.verdict == "no"
    assert compare(*empty, options=it.Options(null_empty_string="value")).lost.verdict == "yes"


# --- more than one layer


def _layers(*policies: list[dict[str, Any]]) -> tuple[Search, list[Acceptor]]:
    documents = [policy(*p, name=f"p{i}") for i, p in enumerate(policies)]
    program = lower_documents(documents, it.Options())
    sides = [identity(program, [i]) for i in range(len(documents))]
    return Search(program, EveryRequest(), Budget()), sides


def test_a_boundary_is_one_more_gate() -> None:
    search, (ours, boundary, narrow) = _layers(
        [allow("s3:*")], [allow(["s3:Get*", "ec2:*"]), deny("s3:GetBucket*")], [allow("s3:Get*")])
    bounded = Acceptor(AllOf((ours.grant, boundary.grant)), boundary.denies)
    assert search.any_difference(Question(bounded, ours)).is_none
    lost = search.any_difference(Question(ours, bounded))
    assert lost.witness is not None and not lost.witness.action.startswith("s3:getx")
    gained = search.any_difference(Question(bounded, narrow))
    assert gained.is_none, "the boundary lets through only what begins with Get"
    assert search.any_difference(Question(narrow, bounded)).witness is not None


def test_a_resource_policy_is_one_more_way() -> None:
    search, (ours, other, both) = _layers(
        [allow("s3:GetObject")], [allow("s3:PutObject")], [allow(["s3:GetObject", "s3:PutObject"])])
    either = Acceptor(AnyOf((ours.grant, other.grant)))
    assert search.any_difference(Question(either, both)).is_none
    assert search.any_difference(Question(both, either)).is_none
    assert search.any_difference(Question(either, ours)).witness is not None


def test_levels_of_a_hierarchy_have_to_agree_for_the_same_request() -> None:
    search, (ours, level, other) = _layers(
        [allow("s3:*")], [allow("*", condition={"StringEquals": {K: "a"}})],
        [allow("*", condition={"StringEquals": {K: ["b", "c"]}})])
    none = Acceptor(AllOf((ours.grant, level.grant, other.grant)))
    nothing = Acceptor(Gate(()))
    assert search.any_difference(Question(none, nothing)).is_none
    one = Acceptor(AllOf((ours.grant, level.grant)))
    found = search.any_difference(Question(one, nothing))
    assert found.witness is not None and found.witness.context[K] == "a"


# --- budgets and worst cases


def test_a_budget_that_runs_out_is_named_and_never_a_no() -> None:
    old = [allow("s3:Go", f"arn:aws:s3:::*{c}*{c}x*") for c in "abcdefghij"]
    new = [allow("s3:Go", [f"arn:aws:s3:::*{c}*{c}*x*" for c in "abcdefghij"])]
    tight = compare(old, new, budget=Budget(resource_states=50))
    for direction in (tight.gained, tight.lost):
        assert direction.verdict == "undecided"
        assert "50 resource states" in direction.undecided[0]


@pytest.mark.parametrize("count", [4, 8, 14])
def test_many_patterns_with_two_stars_end_with_an_honest_answer(count: int) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"[:count]
    patterns = [f"arn:aws:s3:::*{c}*{c.upper()}*" for c in letters]
    old = [allow(resource=p, condition={"StringEquals": {f"k:{i}": "x"}})
           for i, p in enumerate(patterns)]
    comparison = compare(old, [*old, allow(resource=patterns[0])])
    assert comparison.gained.verdict == "yes"
    assert comparison.lost.verdict in ("no", "undecided")
    again = compare(old, old, budget=Budget(resource_states=2_000))
    assert again.equivalent in ("yes", "undecided")


def test_hundreds_of_conditions_on_one_key_are_compared() -> None:
    old = [when(StringEquals={K: f"v{i}"}) for i in range(150)]
    new = [when(StringEquals={K: [f"v{i}" for i in range(150)]})]
    assert compare(old, new).equivalent == "yes"
    fewer = compare(old, [when(StringEquals={K: [f"v{i}" for i in range(149)]})])
    assert (fewer.gained.verdict, fewer.lost.verdict) == ("no", "yes")
    assert fewer.lost.differences[0].witness.context[K] == "v149"


def test_hundreds_of_patterns_on_one_key_end_with_an_honest_answer() -> None:
    old = [when(StringLike={K: f"*{i:03}*"}) for i in range(80)]
    new = [when(StringLike={K: [f"*{i:03}*" for i in range(80)]})]
    comparison = compare(old, new)
    assert comparison.gained.verdict in ("no", "undecided")
    assert comparison.lost.verdict in ("no", "undecided")
    small = compare(old[:6], [when(StringLike={K: [f"*{i:03}*" for i in range(6)]})])
    assert small.equivalent == "yes"


def test_two_thousand_patterns_a_side_are_compared() -> None:
    def side(count: int) -> list[dict[str, Any]]:
        return [allow("s3:GetObject", [f"arn:aws:s3:::bucket-{i}/*" for i in range(count)])]

    assert compare(side(2000), side(2000)).equivalent == "yes"
    shuffled = [allow("s3:GetObject", [f"arn:aws:s3:::bucket-{i}/*" for i in range(1000)]),
                allow("s3:GetObject", [f"arn:aws:s3:::bucket-{i}/*" for i in range(1000, 2000)])]
    assert compare(side(2000), shuffled).equivalent == "yes"
    more = compare(side(2000), [allow("s3:GetObject", [
        *(f"arn:aws:s3:::bucket-{i}/*" for i in range(2000)), "arn:aws:s3:::other/*"])])
    assert (more.gained.verdict, more.lost.verdict) == ("yes", "no")
    assert more.gained.differences[0].resources == () or (
        "arn:aws:s3:::other/*" in more.gained.differences[0].resources)


# --- forms


def test_results_export_to_arrow_json_and_html() -> None:
    import pyarrow as pa

    comparison = compare(
        [allow("s3:Get<b>*")],
        [allow("s3:*", condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}})])
    table = pa.table(comparison)
    assert table.num_rows == len(comparison.gained.differences) + len(comparison.lost.differences)
    assert set(table["change"].to_pylist()) == {"gained", "lost"}
    gained = next(r for r in table.to_pylist() if r["change"] == "gained")
    assert gained["witness_context"] == [{"key": "aws:TagKeys", "values": ["a"], "is_list": True}]
    data = json.loads(json.dumps(comparison.to_dict()))
    assert data["equivalent"] == "no" and data["gained"]["differences"]
    html = comparison._repr_html_()
    assert "<table>" in html and "<b>*" not in html and "&lt;b&gt;" in html
    assert compare(allow(), allow()).to_arrow().num_rows == 0


# --- the budget of a whole comparison


def stars(count: int, tail: str = "") -> list[dict[str, Any]]:
    letters = "abcdefghijklmnopqrstuvwxyz"[:count]
    return [allow("s3:GetObject", f"arn:aws:s3:::*{c}*{c.upper()}*{tail}") for c in letters]


def steps_of(old: Any, new: Any, budget: Budget) -> tuple[it.Comparison, int]:
    made = iamtables.comparison._Comparing(
        [policy(*old)], [policy(*new)], "rules", it.Options(), budget)
    return made.run(), made.search.meter.spent


@pytest.mark.parametrize(("old", "new"), [
    (stars(8), stars(8, "z")),
    ([allow("s3:*", Condition={"NumericLessThan": {"s3:max-keys": str(i)}}) for i in range(30)],
     [allow("s3:*", Condition={"NumericLessThanEquals": {"s3:max-keys": str(i)}})
      for i in range(28)]),
    ([allow("s3:*", Condition={"StringEquals": {f"k:{i}": "x", f"j:{i}": "y"}})
      for i in range(24)],
     [allow("s3:*", Condition={"StringEquals": {f"k:{i}": "x", f"j:{i}": "z"}})
      for i in range(24)]),
    ([allow(f"s3:*a{i}*b") for i in range(24)], [allow(f"s3:*a{i}*c") for i in range(24)]),
], ids=["stars", "one key", "many keys", "actions"])  # fmt: skip
def test_no_comparison_goes_on_beyond_its_steps(old: Any, new: Any) -> None:
    """Work is counted, not time: what runs out is named, and what was found before stays."""
    limit = 8_000
    found, spent = steps_of(old, new, Budget(total_steps=limit))
    assert spent <= 6 * limit  # the step that goes beyond, once a direction, and the replay
    directions = found.gained, found.lost
    reasons = [reason for d in directions for reason in d.undecided]
    assert any("total steps" in reason for reason in reasons), found
    assert found.equivalent in ("no", "undecided")
    whole, needed = steps_of(old, new, Budget(total_steps=10**8, resource_states=10**4))
    assert needed > limit
    for short, long in zip(directions, (whole.gained, whole.lost), strict=True):
        assert short.verdict in (long.verdict, "undecided")  # never wrong


def test_the_second_direction_has_its_share() -> None:
    """Whatever the first one takes: here the second is as easy as can be."""
    old, new = [allow("ec2:*"), *stars(8)], stars(8, "z")
    found, _ = steps_of(old, new, Budget(total_steps=40_000))
    assert found.gained.verdict == "undecided"
    assert any(d.witness.action.startswith("ec2:") for d in found.lost.differences)


def test_a_condition_search_is_deeper_than_the_stack() -> None:
    many = [allow("s3:*", Condition={"StringEquals": {f"k:{i}": "x", f"j:{i}": "y"}})
            for i in range(1_100)]
    other = [allow("s3:*", Condition={"StringEquals": {f"k:{i}": "x", f"j:{i}": "z"}})
             for i in range(1_100)]
    found, _ = steps_of(many, other, Budget(total_steps=2_000_000))
    assert found.equivalent in ("no", "undecided")


def test_what_both_have_cancels_without_looking_at_pairs() -> None:
    names = [allow("s3:GetObject", f"arn:aws:s3:::bucket-{i}/*") for i in range(600)]
    found, spent = steps_of(names, [*names[:-1], allow("s3:GetObject", "arn:aws:s3:::other/*")],
                            Budget())
    assert (found.gained.verdict, found.lost.verdict) == ("yes", "yes")
    assert spent < 600 * 600  # 600 replayed statements a side take most of it
