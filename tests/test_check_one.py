"""`check` asks one request without arrays; `decide` on one row is its judge."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from judging import compile_texts

import iamtables
from iamtables import RequestError

_OBJECT = "arn:aws:s3:::bucket/é/a"


def table_of(*statements: dict[str, Any]) -> iamtables.Table:
    whole = [{"Effect": "Allow", "Action": "s3:Get", "Resource": "*", **s} for s in statements]
    return compile_texts([json.dumps({"Version": "2012-10-17", "Statement": whole})], {})


_TABLE = table_of(
    {"Action": "s3:List*"},
    {"Resource": "arn:aws:s3:::bucket/é/*",
     "Condition": {"StringLike": {"aws:Tag/Ä": "x*"}, "Bool": {"aws:Sec": "true"}}},
    {"Action": "s3:Put", "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "ü"]}}},
    {"Action": "s3:Put", "Effect": "Deny",
     "Condition": {"NumericGreaterThan": {"s3:max-keys": 10}}},
    {"Action": "s3:Age", "Condition": {"DateLessThan": {"aws:Now": "2026-01-01T00:00:00Z"}}},
)

_CONTEXTS: list[dict[str, Any]] = [
    {},
    {"aws:Tag/Ä": "xy", "aws:Sec": True},
    {"aws:tag/ä": "xy", "AWS:SEC": "true"},
    {"aws:Tag/Ä": "xy", "aws:Sec": "TRUE", "aws:sec": "false"},
    {"aws:sec": "false", "aws:Sec": "true", "aws:TAG/Ä": "x"},
    {"AWS:Sec": "false", "aws:sec": "true", "aws:Tag/Ä": "x"},
    {"aws:Tag/Ä": None, "aws:tag/ä": "xy", "aws:Sec": True},
    {"aws:Tag/Ä": "\ud800x", "aws:Sec": True},
    {"aws:TagKeys": ["a"]}, {"aws:TagKeys": ["a", "ü"]}, {"aws:TagKeys": []},
    {"aws:TagKeys": ["a", None]}, {"aws:TagKeys": ("a", "b")}, {"aws:TagKeys": "a"},
    {"aws:TagKeys": ["a", 7]}, {"aws:TagKeys": {"a"}}, {"aws:TagKeys": ["x" * 5000, "a"]},
    {"s3:max-keys": 11}, {"s3:max-keys": 9.5}, {"s3:max-keys": "10"},
    {"aws:Now": datetime(2025, 5, 1, tzinfo=UTC)}, {"other": "x", "aws:Sec": "true"},
]  # fmt: skip


@pytest.mark.parametrize("context", _CONTEXTS)
def test_a_check_is_a_batch_of_one_row(context: dict[str, Any]) -> None:
    """COND-4, COND-5: for columns, the spelling that counts is put under the policy's own name."""
    seen = set()
    for action in ("s3:Get", "s3:ListAll", "s3:Put", "s3:Age", "ec2:No", "s3:GET"):
        for resource in (_OBJECT, "arn:aws:s3:::bucket", "*", None):
            once = _TABLE.check(action=action, resource=resource, context=context)
            again = _TABLE.check(action=action, resource=resource, context=context)
            rows = _TABLE.decide(action=[action], resource=[resource],
                                 context={k: [v] for k, v in _counting(context).items()})
            assert once.decision == again.decision == rows.decision[0], (action, resource)
            by = -1 if once.statement is None else _TABLE.statements.index(once.statement)
            assert by == rows.statement[0]
            seen.add(once.decision)
            assert once.explain().decision == once.decision
    assert len(seen) >= 2


def _counting(context: dict[str, Any]) -> dict[str, Any]:
    names = {key.lower(): key for key in _TABLE.keys}
    found: dict[str, Any] = {}
    for key, value in context.items():
        name = names.get(key.lower(), key)
        if name not in found or key == name:
            found[name] = list(value) if isinstance(value, tuple | set) else value
    return found


@pytest.mark.parametrize("resource", ["arn:aws:s3", "", "bucket", "arn:aws:s3::é", "**"])
@pytest.mark.parametrize("action", ["s3:ListAll", "s3:Get"])
def test_a_broken_resource_is_refused_whether_or_not_it_decides(action: str, resource: str) -> None:
    """RES-12"""
    with pytest.raises(RequestError) as refused:
        _TABLE.check(action=action, resource=resource)
    assert refused.value.field == "resource"


@pytest.mark.parametrize("action", ["s3", "s3:", "", "s3:Get:x", "s3: Get", "é"])
def test_a_broken_action_is_refused(action: str) -> None:
    """ACT-8"""
    with pytest.raises(RequestError) as refused:
        _TABLE.check(action=action, resource="*")
    assert refused.value.field == "action"


@pytest.mark.parametrize("asked", [
    {"action": None}, {"action": b"s3:Get"}, {"resource": 7}, {"context": {"aws:Sec": object()}},
    {"context": {7: "x"}}, {"context": {"aws:TagKeys": ["a", object()]}},
])  # fmt: skip
def test_what_is_no_text_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        _TABLE.check(**{"action": "s3:Get", "resource": "*", **asked})


def test_a_mapping_that_is_no_dict_is_a_context_too() -> None:
    from types import MappingProxyType

    context = MappingProxyType({"aws:Tag/Ä": "xy", "aws:Sec": "true"})
    assert _TABLE.check(action="s3:Get", resource=_OBJECT, context=context).is_allowed


def test_caches_of_checks_are_dropped_within_their_budget() -> None:
    """A service that sees ever new values stays within the budget, and right."""
    session = _TABLE.session(budget_bytes=200_000)
    largest = 0
    for number in range(6_000):
        value = f"{'x' if number % 3 else 'y'}{number}" * 8
        action = ("ec2:No", "s3:Get")[number // 100 % 2]
        found = session.check(action=action, resource=f"arn:aws:s3:::bucket/é/{value}",
                              context={"aws:Tag/Ä": value, "aws:Sec": "true"})
        assert found.is_allowed == (number % 3 != 0 and action == "s3:Get")
        largest = max(largest, session.counts()["resources"])
    assert 100 < largest < 3_000


def test_very_many_spellings_of_a_key_are_not_all_kept() -> None:
    for number in range(9_000):
        context = {f"never:asked-{number}": "x", "AWS:sec": "true", "aws:Tag/Ä": "x"}
        found = _TABLE.check(action="s3:Get", resource=_OBJECT, context=context)
        assert found.is_allowed


# --- several layers ---------------------------------------------------------------------------


def documents(*statements: dict[str, Any], policy_type: Any = "identity") -> list[Any]:
    whole = [{"Effect": "Allow", "Action": "*", "Resource": "*", **s} for s in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": whole})
    return [iamtables.parse_policy(text, policy_type=policy_type)]


_ORGANIZED = iamtables.compile_layers(
    identity=documents(
        {"Action": "s3:*", "Resource": "arn:aws:s3:::b/${aws:PrincipalAccount}/*"},
        {"Action": "sqs:*",
         "Condition": {"StringEquals": {"aws:ResourceAccount": "111122223333"}}}),
    boundary=documents({"Action": ["s3:*", "sqs:Send*"]}, policy_type="boundary"),
    scps=[documents(
        {},
        {"Effect": "Deny", "Action": "s3:Delete*",
         "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "root"}}},
        policy_type="scp")],
)


@pytest.mark.parametrize("context", [
    {}, {"aws:PrincipalTag/team": "root"}, {"AWS:principaltag/Team": "root"},
    {"aws:PrincipalAccount": "444455556666"}, {"aws:ResourceAccount": None}, {"other": [1]},
])  # fmt: skip
def test_a_check_of_several_layers_is_a_batch_of_one_row(context: dict[str, Any]) -> None:
    """CTX-3: a key that follows from a side follows where the context does not name it."""
    seen = set()
    for principal in ("arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:root",
                      "arn:aws:sts::111122223333:assumed-role/app/x"):
        for action in ("s3:GetObject", "s3:DeleteObject", "sqs:SendMessage", "sqs:Purge"):
            for resource in ("arn:aws:s3:::b/111122223333/k", "arn:aws:s3:::b/444455556666/k",
                             "arn:aws:sqs:eu-west-1:111122223333:q", None):
                asked = {"principal": principal, "action": action, "resource": resource}
                once = _ORGANIZED.check(**asked, context=context)
                rows = _ORGANIZED.decide(
                    **{name: [value] for name, value in asked.items()},
                    context={_spelled(k): [v] for k, v in context.items()})
                assert (once.decision, once.layer) == (rows.decision[0], rows.layer[0]), asked
                by = -1 if once.statement is None else _ORGANIZED.statements.index(once.statement)
                assert by == rows.statement[0]
                assert once.deciders == once.explain().deciders
                seen.add((once.decision, once.layer))
    assert len(seen) >= 4


def _spelled(key: str) -> str:
    return {name.lower(): name for name in _ORGANIZED.keys}.get(key.lower(), key)


_ASKED: list[dict[str, Any]] = [
    {}, {"resource_account": "444455556666"}, {"resource_account": ""},
    {"resource_account": "111122223333", "unknown": ["aws:ResourceAccount"]},
    {"principal_account": "444455556666"}, {"principal_type": "Service"},
    {"issuer_arn": "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/app"},
    {"is_management_account": True}, {"also_allowed": True}, {},
    {"unknown": ("aws:PrincipalTag/*",)}, {"unknown": ["AWS:principaltag/TEAM", "other"]},
    {"unknown": ["aws:PrincipalAccount"], "is_management_account": True, "also_allowed": True},
    {"unknown": ("aws:Principal*", "aws:ResourceAccount"), "resource_account": "444455556666"},
]  # fmt: skip


def test_a_check_takes_every_argument_as_a_batch_does() -> None:
    """CTX-4, EVAL-3, EVAL-6, EVAL-10, EVAL-45, one check after the other on caches that batches use
    as well: what one leaves behind is nothing to the next."""
    rng = Random(3)
    seen, changed = set(), set()
    with _ORGANIZED.session() as session:
        for _ in range(700):
            asked = {
                "principal": rng.choice(["arn:aws:iam::111122223333:role/app",
                                         "arn:aws:sts::111122223333:assumed-role/app/x"]),
                "action": rng.choice(["s3:GetObject", "s3:DeleteObject", "sqs:SendMessage",
                                      "sqs:Purge"]),
                "resource": rng.choice(["arn:aws:s3:::b/111122223333/k",
                                        "arn:aws:s3:::b/444455556666/k",
                                        "arn:aws:sqs:eu-west-1:111122223333:q", None]),
            }  # fmt: skip
            context = rng.choice([{}, {"aws:PrincipalTag/team": "root"},
                                  {"aws:principaltag/TEAM": None},
                                  {"aws:PrincipalAccount": "444455556666"}])
            at = rng.randrange(len(_ASKED))
            more = _ASKED[at]
            once = session.check(**asked, context=context, **more)
            named = more.get("unknown", ())
            rest = {name: value for name, value in more.items() if name != "unknown"}
            rows = session.decide(
                **{name: [value] for name, value in asked.items()}, **rest,
                context={_spelled(k): [v] for k, v in context.items()},
                unknown=dict.fromkeys(named, True))
            found = (once.decision, once.layer)
            assert found == (rows.decision[0], rows.layer[0]), (asked, context, more)
            by = -1 if once.statement is None else _ORGANIZED.statements.index(once.statement)
            assert by == rows.statement[0]
            assert once.deciders == once.explain().deciders
            seen.add(found)
            plain = session.check(**asked, context=context)
            if (plain.decision, plain.layer) != found:
                changed.add(at)
    assert len(seen) >= 6
    assert len(changed) >= 9  # the arguments mattered


def test_what_followed_for_one_check_is_not_there_in_the_next() -> None:
    """CTX-3: a key follows from who asks where nobody gives it, also as absent."""
    app = "arn:aws:iam::111122223333:user/app"
    granted = documents({"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}})
    table = iamtables.compile(iamtables.Organization(
        accounts=(iamtables.Account("111122223333"),),
        principals=(iamtables.Principal(
            app, identity=iamtables.PolicySet(tuple(granted)), tags={"team": "red"}),),
        missing_layers=("session", "boundary", "resource", "scp", "rcp", "vpce")))
    asked = {"principal": app, "action": "sqs:SendMessage",
             "resource": "arn:aws:sqs:eu-west-1:111122223333:q"}
    for value in (None, "blue", "red", None):
        assert table.check(**asked).is_allowed
        found = table.check(**asked, context={"aws:PrincipalTag/team": value})
        assert found.is_allowed == (value == "red"), value


def test_a_check_of_plain_objects_is_not_asked_as_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: Any) -> Any:
        raise AssertionError(request)

    for table in (_ORGANIZED, _TABLE):
        with table.session() as session:
            monkeypatch.setattr(session, "_check_row", refuse)
            for more in _ASKED:
                session.check(principal="arn:aws:iam::111122223333:role/app", resource="*",
                              action="s3:GetObject", context={"aws:Sec": None}, **more)


@pytest.mark.parametrize("more", [
    {"unknown": 7}, {"unknown": [7]}, {"issuer_arn": 7}, {"resource_account": b"1"},
    {"principal_account": 7}, {"principal_type": "Nobody"},
])  # fmt: skip
def test_an_argument_of_another_type_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises((RequestError, TypeError, AttributeError)):
        _ORGANIZED.check(principal="arn:aws:iam::111122223333:role/app", resource="*",
                         action="s3:GetObject", **more)


def test_keys_named_as_unknown_may_come_from_anything_that_gives_them() -> None:
    asked: dict[str, Any] = {"action": "s3:Get", "resource": _OBJECT,
                             "context": {"aws:Tag/Ä": "x", "aws:Sec": "true"}}
    assert _TABLE.check(**asked).is_allowed
    for names in (["aws:SEC"], ("aws:Sec",), {"aws:S*"}, iter(["aws:sec"]), {"aws:Sec": 1}):
        assert _TABLE.check(**asked, unknown=names).reason == ("aws:Sec",)
    assert _TABLE.check(**asked).is_allowed


def test_a_context_is_read_anew_whatever_stood_in_its_places() -> None:
    """Keys are remembered by their place: other keys there, and other values, count."""
    names = ["aws:Tag/Ä", "aws:Sec", "s3:max-keys", "other", "AWS:SEC"]
    rng, seen = Random(5), set()
    for _ in range(400):
        context = {name: rng.choice(["x", "true", "false", None])
                   for name in rng.sample(names, rng.randrange(len(names) + 1))}
        once = _TABLE.check(action="s3:Get", resource=_OBJECT, context=context)
        rows = _TABLE.decide(action=["s3:Get"], resource=[_OBJECT],
                             context={k: [v] for k, v in _counting(context).items()})
        assert once.decision == rows.decision[0], context
        seen.add(once.decision)
    assert len(seen) == 2


def test_threads_that_check_on_one_table_do_not_meet() -> None:
    def ask(number: int) -> set[bool]:
        value = ("true", "false")[number % 2]
        return {_TABLE.check(action="s3:Get", resource=f"{_OBJECT}/{number}/{i}",
                             context={"aws:Tag/Ä": "x", "aws:Sec": value}).is_allowed
                for i in range(300)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == [{number % 2 == 0} for number in range(8)]


def test_who_asks_is_checked() -> None:
    """PRIN-2"""
    for principal in (None, "bob", "arn:aws:s3:::b", 7):
        with pytest.raises(RequestError) as refused:
            _ORGANIZED.check(principal=principal, action="s3:GetObject", resource="*")
        assert refused.value.field == "principal"
