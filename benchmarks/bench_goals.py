"""How near is deciding to what the machine can do? Each goal beside its limit, in one process.

Five hundred principals under one to ten managed policies each (principals.py), a million rows,
one thread. A question and its limit (limits.py) take turns, and each counts with its fastest
round. Every answer is compared: with the memoised evaluator on the rows that it knows, and
layout with layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from corpora import Corpus, ManagedPolicies
from goals import Goal, InTurns, Judge
from limits import Limits, match_lists, read_lists
from numpy.typing import NDArray
from principals import ACCOUNT, PrincipalCorpus

import iamtables
from iamtables import Account, DictionaryColumn, Endpoint, PolicySet, ResourcePolicy

JUDGED_ROWS = 20_000
EXTRA_RULES = 1_000


Reopened = Callable[[], iamtables.Table]


@pytest.fixture(scope="module")
def reopened(workforce: PrincipalCorpus, tmp_path_factory: pytest.TempPathFactory) -> Reopened:
    """The table, opened from its file each time."""
    path = tmp_path_factory.mktemp("table") / "workforce.iamt"
    workforce.table.save(path)
    return lambda: iamtables.open_table(path, verify=False)


@pytest.fixture(scope="module")
def expected(workforce: PrincipalCorpus) -> NDArray[np.uint8]:
    """Decision of every row; those that the memoised evaluator knows are asserted."""
    decided = workforce.table.decide(workforce.coded)
    assert decided.error_count == 0
    agree_with_peer(workforce, decided.decision)
    return decided.decision


def agree_with_peer(corpus: PrincipalCorpus, decision: NDArray[np.uint8]) -> None:
    at, known = corpus.judged(min(corpus.rows, JUDGED_ROWS))
    assert len(at) > min(corpus.rows, JUDGED_ROWS) // 10
    assert np.array_equal(decision[at], known)
    assert set(np.unique(known).tolist()) >= {0, 1}


def again(corpus: PrincipalCorpus, managed: ManagedPolicies, **other: Any) -> PrincipalCorpus:
    """The same people and policies, other rows."""
    settings: dict[str, Any] = {"distinct": max(1, corpus.rows // 20), "undecided": 0.25}
    made = PrincipalCorpus(managed, corpus.rows, principals=len(corpus.arns), **settings | other)
    assert made.attached == corpus.attached
    made.__dict__["table"] = corpus.table
    return made


@pytest.mark.parametrize(("share", "bound"), [(0.10, 3), (0.25, 4)])
@pytest.mark.benchmark(group="goals: ids")
def test_ids_to_decisions(
    in_turns: InTurns, judge: Judge, limits: Limits, workforce: PrincipalCorpus,
    managed: ManagedPolicies, expected: NDArray[np.uint8], share: float, bound: float
) -> None:
    """The columns are ids with their values beside them, and the session knows the values."""
    corpus = workforce if share == 0.25 else again(workforce, managed, undecided=share)
    columns = corpus.coded
    with corpus.table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: session.decide(columns), limits.ids, facts=corpus.facts())
    if share == 0.25:
        assert np.array_equal(turns.result.decision, expected)
    else:
        agree_with_peer(corpus, turns.result.decision)
    judge(f"ids to decisions, {share:.0%} of the rows undecided by (principal, action)",
          turns.ratio, Goal(bound, "x F_id"))
    judge("  of that, ns per row", turns.question_s * 1e9 / corpus.rows)


@pytest.mark.benchmark(group="goals: ids")
def test_the_plainest_loop_that_answers_in_full(
    in_turns: InTurns, judge: Judge, limits: Limits, workforce: PrincipalCorpus
) -> None:
    """A limit beside the limit: no conditions, but decision, layer and statement of each row."""
    turns = in_turns(limits.whole_rows, limits.ids, facts=workforce.facts())
    assert [column.shape for column in turns.result] == [(workforce.rows,)] * 3
    judge("F_row, the plainest loop that answers in full, x F_id", turns.ratio)
    judge("  of that, ns per row", turns.question_s * 1e9 / workforce.rows)


@pytest.mark.parametrize(("state", "bound"), [
    ("cold", 2.5), ("a new session of a table that was asked", None), ("warm", 1.8)])
@pytest.mark.benchmark(group="goals: strings")
def test_arrow_strings_to_decisions(
    in_turns: InTurns, judge: Judge, limits: Limits, workforce: PrincipalCorpus,
    reopened: Reopened, expected: NDArray[np.uint8], state: str, bound: float | None
) -> None:
    """Cold is the first session of a table just opened: a table keeps what it was asked."""
    columns = workforce.strings
    with workforce.table.session() as session:
        session.decide(columns)
        ways: dict[str, Callable[[], Any]] = {
            "cold": lambda: reopened().decide(columns), "warm": lambda: session.decide(columns)}
        ask = ways.get(state, lambda: workforce.table.decide(columns))
        turns = in_turns(ask, limits.strings, facts=workforce.facts(), rounds=5)
    assert np.array_equal(turns.result.decision, expected)
    judge(f"Arrow strings, {workforce.distinct_resources:,} distinct resources, {state}",
          turns.ratio, None if bound is None else Goal(bound, "x F_str"))
    judge("  of that, ns per row", turns.question_s * 1e9 / workforce.rows)


@pytest.mark.benchmark(group="goals: strings")
def test_arrow_strings_with_every_resource_distinct(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, managed: ManagedPolicies,
    reopened: Reopened
) -> None:
    """Cold as above: no resource comes twice, so nothing could be known of one."""
    corpus = again(workforce, managed, distinct=workforce.rows)
    assert corpus.distinct_resources == corpus.rows
    floor = Limits(corpus.columns)
    columns = corpus.strings
    turns = in_turns(lambda: reopened().decide(columns), floor.strings, facts=corpus.facts(),
                     rounds=2)
    agree_with_peer(corpus, turns.result.decision)
    assert np.array_equal(turns.result.decision, corpus.table.decide(corpus.coded).decision)
    judge("Arrow strings, every resource distinct, ns per row",
          turns.question_s * 1e9 / corpus.rows, Goal(150, "ns"))
    judge("Arrow strings, every resource distinct", turns.ratio, Goal(4.5, "x F_str"))


@pytest.mark.benchmark(group="goals: dictionaries")
def test_arrow_dictionaries_to_decisions(
    in_turns: InTurns, judge: Judge, limits: Limits, workforce: PrincipalCorpus,
    expected: NDArray[np.uint8]
) -> None:
    columns = workforce.dictionaries
    with workforce.table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: session.decide(columns), limits.ids, facts=workforce.facts())
    assert np.array_equal(turns.result.decision, expected)
    judge("Arrow dictionaries, ns per row", turns.question_s * 1e9 / workforce.rows,
          Goal(12, "ns"))
    judge("Arrow dictionaries", turns.ratio, Goal(9, "x F_id"))


def fresh_lists(workforce: PrincipalCorpus) -> dict[str, Any]:
    """Eight lists of fresh `str` objects, as a program that builds its columns row by row has."""
    return {name: [None if text is None else "".join(list(text)) for text in column]
            if isinstance(column, list) else column
            for name, column in workforce.lists(max(1, workforce.rows // 4)).items()}


@pytest.mark.benchmark(group="goals: lists")
def test_python_lists_to_decisions(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, expected: NDArray[np.uint8]
) -> None:
    columns = fresh_lists(workforce)
    read = read_lists([column for column in columns.values() if isinstance(column, list)])
    with workforce.table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: session.decide(columns), read, facts=workforce.facts(), rounds=5)
    rows = len(columns["action"])
    assert np.array_equal(turns.result.decision, expected[:rows])
    judge("Python lists of str, eight columns", turns.ratio, Goal(1.2, "x F_obj"))
    judge("  of that, ns per row", turns.question_s * 1e9 / rows)


@pytest.mark.benchmark(group="goals: lists")
def test_what_coding_lists_takes_at_least(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus
) -> None:
    """Each text hashed and compared with that of its code, no table: F_texts beside F_obj."""
    lists = [column for column in fresh_lists(workforce).values() if isinstance(column, list)]
    match = match_lists(lists, list(workforce.columns.values()))
    turns = in_turns(match, read_lists(lists), facts=workforce.facts(), rounds=5)
    for column, (_, same) in zip(lists, turns.result, strict=True):
        assert same == sum(bool(text) for text in column)
    judge("  hashing and comparing the texts of these lists alone", turns.ratio)


@pytest.mark.benchmark(group="goals: unknown")
def test_unknown_keys_against_known_ones(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, expected: NDArray[np.uint8]
) -> None:
    """Each of the five keys is unknown in a fifth of the rows."""
    rng = np.random.default_rng(7)
    masks = {key: rng.random(workforce.rows) < 0.2 for key in workforce.keys}
    columns = workforce.coded
    with workforce.table.session() as session:
        session.decide(columns)
        turns = in_turns(lambda: session.decide(columns, unknown=masks),
                         lambda: session.decide(columns), facts=workforce.facts())
    decided = turns.result.decision
    is_known = ~np.any(list(masks.values()), axis=0)
    assert np.array_equal(decided[is_known], expected[is_known])
    changed = decided != expected
    is_open = decided[changed] == iamtables.DecisionCode.UNDETERMINED
    # denied whatever the unknowns are, but a Deny only may match (docs/design/three-valued.md)
    is_denied = ((decided[changed] == iamtables.DecisionCode.IMPLICIT_DENY)
                 & (expected[changed] == iamtables.DecisionCode.EXPLICIT_DENY))
    assert is_open.any() and (is_open | is_denied).all()
    judge("three-valued, five keys unknown in a fifth of the rows, against two-valued",
          turns.ratio, Goal(1.5, "x"))


@pytest.mark.benchmark(group="goals: layers")
def test_every_layer_of_an_organization_against_identity_alone(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, expected: NDArray[np.uint8]
) -> None:
    """Boundaries, resource policies, SCPs, RCPs and endpoints that change some of the answers."""
    layered = iamtables.compile(with_layers(workforce))
    columns = workforce.coded
    more = columns | {"aws:SourceVpce": DictionaryColumn(
        (np.arange(workforce.rows) % 3 - 1).astype(np.int32), ["vpce-0aaa", "vpce-0bbb"])}
    with workforce.table.session() as session, layered.session() as all_of_them:
        session.decide(columns)
        all_of_them.decide(more)
        turns = in_turns(lambda: all_of_them.decide(more), lambda: session.decide(columns),
                         facts=workforce.facts())
    found = turns.result
    assert found.error_count == 0
    for row in range(0, workforce.rows, workforce.rows // 40):
        asked = {name: None if c.codes[row] < 0 else c.values[c.codes[row]]
                 for name, c in more.items() if isinstance(c, DictionaryColumn)}
        parts = {name: asked.pop(name) for name in ("principal", "action", "resource")}
        asked |= {name: None for name, c in more.items() if c is None}
        explained = layered.explain_request(**parts, resource_account=ACCOUNT, context=asked)
        assert found.decision[row] == explained.decision
    assert (found.decision != expected).any()
    judge("six layers of an organization against identity policies alone", turns.ratio,
          Goal(2, "x"))


@pytest.mark.benchmark(group="goals: layers")
def test_seven_layers_around_two_policies_against_identity_alone(
    in_turns: InTurns, judge: Judge, corpus: Corpus
) -> None:
    """Session policies are in no snapshot: here all seven meet every request."""
    identity = [iamtables.parse_policy(text) for text in corpus.policies]
    principal = f"arn:aws:iam::{ACCOUNT}:role/app"
    layers = {name: [parse(text, name)] for name, text in AROUND.items()}
    alone = iamtables.compile_layers(identity=identity)
    table = iamtables.compile_layers(
        identity=identity, boundary=layers["boundary"], session=layers["session"],
        scps=[layers["scp"]], rcps=[layers["rcp"]], endpoint=layers["vpce"],
        resource=parse(AROUND_RESOURCE, "resource"))
    columns = corpus.coded | {
        "principal": principal, "resource_account": ACCOUNT, "aws:SourceVpce": "vpce-0aaa"}
    columns = {name: column for name, column in columns.items() if name != "aws:SourceIp"}
    with alone.session() as session, table.session() as all_of_them:
        session.decide(columns)
        all_of_them.decide(columns)
        turns = in_turns(lambda: all_of_them.decide(columns), lambda: session.decide(columns),
                         facts=corpus.facts())
    found, before = turns.result.decision, alone.decide(columns).decision
    for row in range(0, corpus.rows, corpus.rows // 40):
        request = corpus.requests(row + 1)[row] if row < 200 else None
        if request is not None:
            context = {k: v for k, v in request["context"].items() if k != "aws:SourceIp"}
            asked = request | {"principal": principal, "context": context | {
                "aws:SourceVpce": "vpce-0aaa"}, "resource_account": ACCOUNT}
            assert table.explain_request(**asked).decision == found[row]
    assert (found != before).any()
    judge("seven layers around the two Bedrock policies against the same table without them",
          turns.ratio, Goal(2, "x"))


@pytest.mark.benchmark(group="goals: threads")
def test_two_threads_against_one(
    in_turns: InTurns, judge: Judge, workforce: PrincipalCorpus, expected: NDArray[np.uint8]
) -> None:
    """Time on the wall: of use only where two cores are free."""
    columns = workforce.strings
    with workforce.table.session() as session:
        session.decide(columns, threads=2)
        turns = in_turns(lambda: session.decide(columns, threads=2),
                         lambda: session.decide(columns), facts=workforce.facts(), is_wall=True)
    assert np.array_equal(turns.result.decision, expected)
    judge("two threads, wall clock: times as fast as one", 1 / turns.ratio,
          Goal(1.8, "x", is_floor=True))


def parse(text: str, policy_type: Any) -> iamtables.PolicyDocument:
    return iamtables.parse_policy(text, name=policy_type, policy_type=policy_type)


def document(*statements: str) -> str:
    return '{"Version": "2012-10-17", "Statement": [' + ", ".join(statements) + "]}"


EVERYTHING = '{"Effect": "Allow", "Action": "*", "Resource": "*"}'
AROUND = {
    "boundary": document(EVERYTHING, '{"Effect": "Deny", "Action": "iam:Create*",'
                         ' "Resource": "*"}'),
    "session": document('{"Effect": "Allow", "Action": ["s*", "b*", "k*", "i*", "l*"],'
                        ' "Resource": "*"}'),
    "scp": document(EVERYTHING, '{"Effect": "Deny", "Action": "*:Delete*", "Resource": "*",'
                    ' "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0aaa"}}}'),
    "rcp": document('{"Effect": "Deny", "Principal": "*", "Action": "s3:Put*",'
                    ' "Resource": "arn:aws:s3:::*/7*"}'),
    "vpce": document('{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}',
                     '{"Effect": "Deny", "Principal": "*", "Action": "sagemaker:CreateModel",'
                     ' "Resource": "*"}'),
}
AROUND_RESOURCE = document(
    '{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "*"}')


def with_layers(corpus: PrincipalCorpus) -> iamtables.Organization:
    """The corpus's organization with every layer a snapshot can hold."""
    sets = {name: PolicySet((parse(text, name),)) for name, text in AROUND.items()}
    shared = PolicySet((parse(AROUND_RESOURCE, "resource"),))
    plain = corpus.organization
    buckets = sorted({":".join(str(text).split(":")[:6]).split("/")[0]
                      for text in corpus.columns["resource"].values
                      if str(text).startswith("arn:aws:s3:::")})
    return iamtables.Organization(
        accounts=(Account(ACCOUNT, scps=(sets["scp"],), rcps=(sets["rcp"],)),),
        principals=tuple(
            iamtables.Principal(p.arn, identity=p.identity, tags={},
                                boundary=sets["boundary"] if number % 2 else None)
            for number, p in enumerate(plain.principals)),
        resource_policies=tuple(
            ResourcePolicy(arn, shared, account=ACCOUNT) for arn in buckets[:200]),
        endpoints=(Endpoint("vpce-0aaa", sets["vpce"], account=ACCOUNT),
                   Endpoint("vpce-0bbb", PolicySet((parse(document(
                       '{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}'),
                       "vpce"),)), account=ACCOUNT)))
