"""Replay: what flips under two tables, who is responsible, and that it is what two audits say."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from command_line import ACCOUNT, BEFORE, FULL_ACCESS, READ_ONLY, USER, allow, deny, policy
from fake_batch import FakeBatch
from log_records import ROLE_IDENTITY, record, write
from markdown_it import MarkdownIt
from shared_data import shared_data

import iamtables as it
from iamtables import DecisionCode, flips, gates, replay_report
from iamtables.audit import FURTHER_ACTIONS, Audit, keys_of
from iamtables.audit_counts import UNDECIDED
from iamtables.demo.sample import write_sample
from iamtables.flips import Change, change_of
from iamtables.logs import RecordClass, Requester, read_logs
from iamtables.replay_rows import flips_table
from iamtables.replaying import Replay, either_needs_request, keys_of_both, replay
from iamtables.request_tables import request_batches
from iamtables.responsible import MatchedEntries, resource_type
from iamtables.tallies import OTHERS

A, N, E, U = (DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY,
              DecisionCode.UNDETERMINED)
DENIALS = {N, E}
CONDITION = {"StringEquals": {"aws:ResourceTag/x": "1"}}
PAIRS = list(itertools.product((A, N, E, U), repeat=2))


def table_of(directory, *statements, name="policy.json"):
    return it.compile(it.load_policy(policy(directory, *statements, name=name)))


def name_of(before, after):
    return f"s3:{before.name}-{after.name}"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two tables with an action for every pair of decisions, named after it."""
    made = []
    for side, file in enumerate(("old.json", "new.json")):
        actions = {code: [name_of(*pair) for pair in PAIRS if pair[side] == code]
                   for code in DecisionCode}
        made.append(table_of(
            tmp_path_factory.mktemp("p"), allow(actions[A], Sid="Yes"), deny(actions[E], Sid="No"),
            allow(actions[U], Sid="Maybe", Condition=CONDITION), name=file))
    return made


def kind(before, after):
    """The definition, once more: by the decision after, unless nothing changed."""
    if before == after:
        return "unchanged"
    if after in DENIALS:
        return "other" if before in DENIALS else "newly-denied"
    return {A: "newly-allowed", U: "newly-undetermined"}[after]


# --- flips of records

@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_pair_of_decisions_is_told_apart_and_shows_both_statements(tables, before, after):
    run = Replay(*tables)
    found = run.add(FakeBatch([[name_of(before, after)]]))
    result = run.result()
    assert change_of(before, after).label == kind(before, after)
    assert {name: n for name, n in result.counts.items() if n} == {kind(before, after): 1}
    assert result.transitions[before.name][after.name] == 1 == result.decided
    assert (found.before.decision.tolist(), found.after.decision.tolist()) == ([before], [after])
    if kind(before, after) in ("unchanged", "other"):
        assert result.groups == () and len(found.records) == 0
        return
    (group,) = result.groups
    sids = {A: "Yes", E: "No", U: "Maybe", N: None}
    for side, code, file in ((group.before, before, "old.json"), (group.after, after, "new.json")):
        assert side.decision == code
        assert (side.statement.sid if side.statement else None) == sids[code]
        assert side.statement is None or side.statement.location.path.endswith(file)
    assert group.depends_on == (("aws:ResourceTag/x",) if after == U else ())
    assert (group.principal, group.action, group.records) == (USER, name_of(before, after), 1)


@pytest.mark.parametrize("pairs", [*itertools.product(PAIRS, repeat=2)][::3]
                         + [*itertools.product(PAIRS, repeat=3)][::47])
def test_of_several_requests_one_that_flips_is_shown(tables, pairs):
    order = [A, U, N, E]
    before, after = (max((p[side] for p in pairs), key=order.index) for side in (0, 1))
    found = Replay(*tables).add(FakeBatch([[name_of(*p) for p in pairs]]))
    assert Change(int(found.change[0])).label == kind(before, after)
    if not len(found.records):
        return
    shown = pairs[int(found.row[0])]
    assert shown[0] != shown[1]
    # it stands for what happened to the record: it is denied now, or was in the way before
    if after in DENIALS:
        assert shown[1] == after
    elif before in DENIALS or after == A:
        assert shown[0] == before
    else:
        assert shown[1] == U


def test_a_lost_allow_is_responsible_for_the_call_it_spoke_for(tmp_path):
    before = table_of(tmp_path, allow("s3:List*", Sid="List"),
                      allow("s3:Get*", ["arn:aws:s3:::a/*", "arn:aws:s3:::logs/*"], Sid="Read"))
    after = table_of(tmp_path, allow("s3:List*", Sid="List"), name="new.json")
    batch = FakeBatch([["s3:ListBucket", "s3:GetObject"]], resources=[
        "arn:aws:s3:::logs", "arn:aws:s3:::logs/2026/x"])
    run = Replay(before, after)
    run.add(batch)
    (group,) = run.result().groups
    assert group.change is Change.NEWLY_DENIED and group.action == "s3:GetObject"
    assert group.before.statement.sid == "Read" and group.after.statement is None
    assert group.resources == ("arn:aws:s3:::logs/*",)
    assert group.examples[0].resource == "arn:aws:s3:::logs/2026/x"
    assert "implicit deny: no statement allows it" in run.result().to_markdown()


@pytest.mark.parametrize("is_added", [True, False])
def test_a_deny_is_responsible_on_whichever_side_it_stands(tmp_path, is_added):
    plain = [allow("s3:*", Sid="All")]
    fenced = [*plain, deny("s3:*", "arn:aws:s3:::prod-*", Sid="Fence")]
    sides = [table_of(tmp_path, *s, name=f"{i}.json") for i, s in enumerate((plain, fenced))]
    run = Replay(*sides if is_added else sides[::-1])
    run.add(FakeBatch([["s3:GetObject"]] * 2, resources=["arn:aws:s3:::prod-a/k",
                                                         "arn:aws:s3:::test/k"]))
    (group,) = run.result().groups
    assert group.change is (Change.NEWLY_DENIED if is_added else Change.NEWLY_ALLOWED)
    assert group.resources == ("arn:aws:s3:::prod-*",)
    sids = [side.statement.sid for side in (group.before, group.after)]
    assert sids == (["All", "Fence"] if is_added else ["Fence", "All"])


def test_a_record_that_may_need_further_actions_says_so_when_a_denial_goes(tables):
    run = Replay(*tables)
    run.add(FakeBatch([[name_of(N, A)], [name_of(A, N)], [name_of(A, U)]],
                      is_complete=[False] * 3))
    result = run.result()
    assert result.newly_undetermined == 1 and result.newly_denied == 1 and result.unchanged == 1
    (group,) = result.groups_of(Change.NEWLY_UNDETERMINED)
    assert group.depends_on == (FURTHER_ACTIONS,) and group.action == name_of(N, A)
    (denied,) = result.groups_of(Change.NEWLY_DENIED)
    assert denied.before.decision == U


def test_records_that_are_not_decided_are_counted_as_in_an_audit(tables):
    kinds = [int(requester) for requester in Requester]
    classes = [int(cls) for cls in RecordClass]
    batches = [
        FakeBatch([[name_of(A, N)]] * len(kinds), identity=kinds),
        FakeBatch([[name_of(A, N)] if cls <= RecordClass.PARTIAL else [] for cls in classes],
                  record_class=classes),
        FakeBatch([[name_of(A, N)]] * 3, principals=["arn:x", USER, "arn:y"]),
    ]
    audit, run = Audit(tables[0], principals=[USER]), Replay(*tables, principals=[USER])
    for batch in batches:
        audit.add(batch)
        run.add(batch)
    summary, result = audit.summary(), run.result()
    assert result.not_carrying == summary.not_carrying and sum(result.not_carrying.values()) > 3
    assert result.not_selected == summary.not_selected == 2
    assert (result.records, result.requests) == (summary.records, summary.requests)
    assert result.classes == summary.classes and result.decided == summary.decided


# --- groups

def test_resources_without_a_statement_are_named_while_they_are_few(tmp_path, tables):
    old = table_of(tmp_path, {"Effect": "Allow", "Action": "s3:*",
                              "NotResource": "arn:aws:s3:::secret/*"})
    new = table_of(tmp_path, allow("sqs:*"), name="new.json")
    for count in (flips.MAX_RESOURCES, flips.MAX_RESOURCES + 1):
        resources = [f"arn:aws:s3:::b{i}/k" for i in range(count)]
        run = Replay(old, new)
        run.add(FakeBatch([["s3:GetObject"]] * count, resources=resources))
        (group,) = run.result().groups
        few = count <= flips.MAX_RESOURCES
        assert group.resources == (tuple(resources) if few else ("arn:aws:s3:::*/*",))
        assert group.records == count


@pytest.mark.parametrize(("resource", "expected"), [
    ("*", "*"), ("arn:aws:s3:::b", "arn:aws:s3:::*"), ("arn:aws:s3:::b/a:b", "arn:aws:s3:::*/*"),
    ("arn:aws:kms:eu-west-1:1:key/k", "arn:aws:kms:*:*:key/*"),
    ("arn:aws:iam::1:role/path/x:y", "arn:aws:iam::*:role/*"),
    ("arn:aws:logs:x:1:log-group:/a/b:*", "arn:aws:logs:*:*:log-group:*"),
    ("arn:aws:sqs:x:1:jobs", "arn:aws:sqs:*:*:*"), ("bucket", "(other)"),
])
def test_the_type_of_a_resource_keeps_what_kind_it_is(resource, expected):
    assert resource_type(resource) == expected


def test_the_entry_that_matches_is_given_as_its_author_means_it(tmp_path):
    (tmp_path / "p.json").write_text(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource":'
        ' ["arn:aws:s3:::\\u0061/*", "arn:aws:s3:::home/${aws:username}/*", "*"]}]}')
    entries = MatchedEntries(it.compile(it.load_policy(tmp_path / "p.json")))
    assert entries.of(0, "arn:aws:s3:::a/x") == "arn:aws:s3:::a/*"
    assert entries.of(0, "arn:aws:s3:::home/ana/x") == "arn:aws:s3:::home/${aws:username}/*"
    assert entries.of(0, "arn:aws:s3:::b") == "*"
    assert entries.of(0, None) is None


def test_examples_are_the_first_records_of_a_group_and_no_more_than_wanted(tmp_path):
    records = [record("iam", "ListRoles", eventID=f"id-{i}",
                      eventTime=f"2026-01-02T03:04:0{i}Z") for i in range(5)]
    old, new = table_of(tmp_path, allow("iam:*")), table_of(tmp_path, allow("s3:*"), name="n.json")
    path = write(tmp_path / "log.json", *records)
    for wanted in (0, 2, 9):
        result = replay(old, new, read_logs(path, keys=[]), examples=wanted)
        (group,) = result.groups
        assert [e.event_id for e in group.examples] == [f"id-{i}" for i in range(5)][:wanted]
        assert group.records == 5
        if wanted:
            shown = result.to_dict()["groups"][0]["examples"][1]
            assert shown["time"] == "2026-01-02T03:04:01Z"


def test_examples_run_on_over_batches(tables):
    run = Replay(*tables, examples=3)
    for _ in range(4):
        run.add(FakeBatch([[name_of(A, N)]]))
    (group,) = run.result().groups
    assert group.records == 4 and len(group.examples) == 3


def test_examples_are_the_first_records_whatever_their_resources(tmp_path):
    old = table_of(tmp_path, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    names = [f"arn:aws:s3:::b/{name}" for name in "zazzazb"]
    for size in (1, 3, 7):
        run = Replay(old, table_of(tmp_path, allow("sqs:*"), name="n.json"), examples=5)
        for start in range(0, 7, size):
            some = names[start : start + size]
            run.add(FakeBatch([["s3:GetObject"]] * len(some), resources=some))
        (group,) = run.result().groups
        assert [example.resource for example in group.examples] == names[:5]
        assert group.records == 7


def test_groups_beyond_the_limit_are_counted_together(tables, monkeypatch):
    monkeypatch.setattr(flips, "MAX_GROUPS", 3)
    run = Replay(*tables)
    names = [name_of(A, N), name_of(N, A)]
    run.add(FakeBatch([[names[i % 2]] for i in range(40)],
                      principals=[f"{USER}{i}" for i in range(40)]))
    result = run.result()
    assert sum(group.records for group in result.groups) == 40
    rest = [group for group in result.groups if group.is_rest]
    assert len(result.groups) <= 3 + len(rest) == 5
    assert {g.change: g.records for g in rest} == {Change.NEWLY_DENIED: 18,
                                                   Change.NEWLY_ALLOWED: 19}
    assert rest[0].principal == OTHERS and "various" in result.to_markdown()


def test_what_a_group_keeps_of_its_records_is_bounded(tmp_path):
    old = table_of(tmp_path, {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::x"})
    run = Replay(old, table_of(tmp_path, allow("sqs:*"), name="n.json"))
    for i in range(50):
        run.add(FakeBatch([["s3:GetObject"]] * 40, resources=[
            f"arn:aws:s3:::b/{i}-{j}-" + "k" * 5_000 for j in range(40)]))
    (tally,) = run.counts.flips.groups.values()
    assert tally.records == 2_000
    assert len(tally.resources) == flips.MAX_RESOURCES + 1 and len(tally.examples) == 3
    assert max(map(len, tally.resources)) == flips.MAX_TEXT
    assert run.result().groups[0].resources == ("arn:aws:s3:::*/*",)


def test_groups_come_in_order_and_add_up(tables):
    run = Replay(*tables)
    rng = np.random.default_rng(7)
    chosen = [PAIRS[i] for i in rng.integers(0, len(PAIRS), 400)]
    run.add(FakeBatch([[name_of(*pair)] for pair in chosen]))
    result = run.result()
    expected = Counter(kind(*pair) for pair in chosen)
    assert {name: n for name, n in result.counts.items() if n} == expected
    order = [(group.change, -group.records) for group in result.groups]
    assert order == sorted(order)
    for change in flips.FLIPS:
        assert sum(g.records for g in result.groups_of(change)) == result.counts[change.label]


# --- two audits

def audits_of(paths, *tables):
    """(decision, layer, statement, row) of each batch under each table, read anew each time."""
    for table in tables:
        audit = Audit(table)
        batches = [audit.add(batch) for batch in read_logs(paths, keys=keys_of(table))]
        yield [np.concatenate([getattr(b, name) for b in batches])
               for name in ("decision", "layer", "statement")]


def assert_as_two_audits(paths, before, after):
    run = Replay(before, after)
    needs = either_needs_request(before, after)
    found = [run.add(batch)
             for batch in read_logs(paths, keys=keys_of_both(before, after), needs=needs)]
    old, new = audits_of(paths, before, after)
    for side, expected in (("before", old), ("after", new)):
        for at, name in enumerate(("decision", "layer", "statement")):
            seen = np.concatenate([getattr(getattr(f, side), name) for f in found])
            np.testing.assert_array_equal(seen, expected[at])
    pairs = Counter(zip(old[0].tolist(), new[0].tolist(), strict=True))
    result = run.result()
    for (was, now), count in pairs.items():
        if UNDECIDED not in (was, now):
            assert result.transitions[DecisionCode(was).name][DecisionCode(now).name] == count
    assert result.decided == sum(n for pair, n in pairs.items() if UNDECIDED not in pair)
    assert sum(result.counts.values()) == result.decided
    assert sum(group.records for group in result.groups) == sum(
        result.counts[change.label] for change in flips.FLIPS)
    return result


@pytest.fixture(scope="module")
def bedrock():
    today = it.compile([*it.load_policy(FULL_ACCESS), *it.load_policy(READ_ONLY)])
    return it.compile(it.load_policy(BEFORE)), today


def test_replay_of_the_generated_log_is_what_two_audits_say(tmp_path, bedrock):
    write_sample(tmp_path, records=6_000, seed=11)
    there = assert_as_two_audits([tmp_path], *bedrock)
    back = assert_as_two_audits([tmp_path], *bedrock[::-1])
    assert there.newly_allowed > 100 and there.newly_undetermined > 50 and not there.newly_denied
    assert back.newly_denied == there.newly_allowed + there.newly_undetermined


@pytest.mark.parametrize("source", ["invictus", "grycap", "otrf", "plaso", "panther", "custodian",
                                    "trailscraper"])
def test_replay_of_real_logs_is_what_two_audits_say(tmp_path, source):
    path = shared_data("cloudtrail", source)
    old = table_of(tmp_path, allow(["ec2:*", "iam:Get*", "s3:*"], Sid="Old"),
                   allow("*", Sid="Open", Condition=CONDITION))
    new = table_of(
        tmp_path, allow("s3:Get*", "arn:aws:s3:::*", Sid="Less"), deny("iam:*", Sid="Never"),
        allow(["ec2:Describe*", "sts:*", "kms:*", "secretsmanager:*"], Sid="Else"),
        allow("ec2:*", Sid="Home", Condition={
            "StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
        name="new.json")
    result = assert_as_two_audits([path], old, new)
    assert result.decided > 0 and result.groups


def test_resources_are_read_where_action_and_principal_alone_flip(tmp_path):
    old, new = table_of(tmp_path, allow("s3:*")), table_of(tmp_path, allow("iam:*"), name="n.json")
    needs = either_needs_request(old, new)
    assert needs("s3:GetObject") and needs("iam:GetRole") and not needs("ec2:RunInstances")
    path = write(tmp_path / "log.json", record(
        "s3", "GetObject", requestParameters={"bucketName": "b", "key": "k"}))
    result = replay(old, new, read_logs(path, keys=[], needs=needs))
    assert result.groups[0].examples[0].resource == "arn:aws:s3:::b/k"


def test_of_a_resource_that_is_known_in_part_the_part_is_shown(tmp_path):
    old = table_of(tmp_path, {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::x"})
    new = table_of(tmp_path, allow("sqs:*"), name="new.json")
    path = write(tmp_path / "log.json", record(
        "kms", "DescribeKey", requestParameters={"keyId": "alias/x"}))
    batch = next(iter(read_logs(path, keys=[])))
    known = batch.resource_pattern.value(0)
    assert batch.resource.value(0) is None and known is not None
    (group,) = replay(old, new, [batch]).groups
    assert group.resources == (known,) == (group.examples[0].resource,)


# --- the library function and its inputs

ROWS = {"principal": [USER, USER, None], "action": ["s3:GetObject", "s3:PutObject", "s3:GetObject"],
        "resource": ["arn:aws:s3:::a/k", None, "arn:aws:s3:::b/k"],
        "aws:PrincipalTag/team": ["x", None, "x"]}


@pytest.mark.parametrize("form", [
    lambda: ROWS, lambda: pa.table(ROWS), lambda: pa.table(ROWS).to_batches()[0],
    lambda: pa.table(ROWS).to_reader(), lambda: pa.table(ROWS | {
        "action": pa.array(ROWS["action"]).dictionary_encode()}),
    lambda: {name: np.array(column, dtype=object) for name, column in ROWS.items()},
])
def test_requests_are_taken_in_the_forms_that_decide_takes(tmp_path, form):
    team = {"StringEquals": {"aws:principaltag/TEAM": "x"}}
    before = table_of(tmp_path, allow("s3:Get*", Condition=team), allow("s3:Put*"))
    after = table_of(tmp_path, allow("s3:*", "arn:aws:s3:::a/*"), name="new.json")
    result = it.replay(before, after, form())
    assert isinstance(result, it.ReplayResult)
    old, new = (table.decide(form()).decision.tolist() for table in (before, after))
    assert old == [A, A, A] and new == [A, U, N]
    assert result.transitions["ALLOW"] == {"ALLOW": 1, "UNDETERMINED": 1, "IMPLICIT_DENY": 1,
                                           "EXPLICIT_DENY": 0}
    denied, opened = result.groups
    assert denied.principal == flips.NOT_KNOWN and denied.examples[0].place == "<requests>:3"
    assert opened.depends_on == ("resource",) and opened.resources == ("arn:aws:s3:::a/*",)


def test_what_nobody_gives_is_absent_in_requests_and_unknown_in_logs(tmp_path):
    old = table_of(tmp_path, allow("iam:*"))
    new = table_of(tmp_path, allow("iam:*", Condition=CONDITION), name="new.json")
    asked = {"action": ["iam:ListRoles"]}
    assert replay(old, new, asked).newly_denied == 1
    assert replay(old, new, asked, missing="unknown").newly_undetermined == 1
    path = write(tmp_path / "log.json", record("iam", "ListRoles"))
    assert replay(old, new, read_logs(path)).newly_undetermined == 1
    assumed = {"aws:ResourceTag/x": "1"}
    assert replay(old, new, read_logs(path), assume=assumed).unchanged == 1
    with pytest.raises(it.ColumnError, match="aws:ResourceTag/x"):
        replay(old, new, asked, missing="error")


@pytest.mark.parametrize(("requests", "message"), [
    ({"resource": ["*"]}, "no column `action`"),
    ({"action": ["s3:X"], "resource": ["*", "*"]}, "requests cannot be read"),
    ({"action": ["s3:X"], "action ": ["s3:X"]}, "given twice"),
])
def test_requests_that_do_not_fit_together_are_one_clear_error(tables, requests, message):
    with pytest.raises(it.ColumnError, match=message):
        replay(*tables, requests)


@pytest.mark.parametrize("requests", [[], {"action": pa.array([], pa.string())}])
def test_nothing_to_replay_is_an_empty_result(tables, requests):
    result = replay(*tables, requests)
    assert result.records == result.decided == 0 and result.groups == ()
    assert "No call flips" in result.to_markdown() and result.to_arrow().num_rows == 0


def test_keys_of_both_sides_are_read_once(tmp_path):
    old = table_of(tmp_path, allow("*", Condition={"StringEquals": {"aws:A": "1", "aws:B": "1"}}))
    new = table_of(tmp_path, allow("*", Condition={"StringEquals": {"AWS:b": "1", "aws:C": "1"}}))
    assert sorted(keys_of_both(old, new), key=str.lower) == ["aws:A", "aws:B", "aws:C"]


# --- forms of the result

EVIL = ("arn:aws:iam::1:user/`|`|<script>alert(1)</script>&amp; *x* _y_ [a](http://e.vil) "
        "@everyone\n| --- |\x1b[2J \\| <!-- www.e.vil ${aws:username}")


def evil_result(tmp_path):
    """Hostile text in principal, action, resource, Sid and file name."""
    old = policy(tmp_path, allow("*", ["arn:aws:s3:::|`</td>*", "arn:aws:s3:::ok*"],
                                 Sid="a|`<b>"), name="o|`<i>.json")
    after = table_of(tmp_path, allow("sqs:*"), name="new.json")
    rows = {"principal": [EVIL, USER], "action": ["s3:`|<b>", "s3:GetObject"],
            "resource": ["arn:aws:s3:::|`</td>|", "arn:aws:s3:::ok"]}
    return replay(it.compile(it.load_policy(old)), after, rows)


class _Texts(HTMLParser):
    """Tags, and the texts of table cells."""

    def __init__(self):
        super().__init__()
        self.tags, self.rows = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert attrs == [] or tag in ("th", "td")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data != "\n":
            self.rows[-1][-1] += data


def parsed(html):
    parser = _Texts()
    parser.feed(html)
    return parser


def test_markdown_shows_hostile_names_as_they_are(tmp_path):
    text = evil_result(tmp_path).to_markdown()
    assert "\x1b" not in text and "`" not in text and "http://" not in text
    seen = parsed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert seen.tags <= {"h3", "h4", "p", "strong", "table", "thead", "tbody", "tr", "th", "td",
                         "code", "br"}
    rows = [row for row in seen.rows if len(row) == 7][1:]
    assert len(rows) == 2 and {row[0] for row in rows} == {"1"}
    hostile = next(row for row in rows if "alert" in row[1])
    assert hostile[1] == EVIL.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert hostile[2] == "s3:`|<b>" and hostile[3] == "arn:aws:s3:::|`</td>*"
    assert "o|`<i>:a|`<b>" in hostile[4] and ".json:" in hostile[4]


def test_html_shows_hostile_names_as_they_are(tmp_path):
    html = evil_result(tmp_path)._repr_html_()
    seen = parsed(html)
    assert seen.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "h4", "p"}
    rows = [row for row in seen.rows if len(row) == 7][1:]
    assert EVIL in {row[1] for row in rows} and len(rows) == 2


def test_markdown_is_bounded_however_much_flips(tables):
    run = Replay(*tables)
    names = [name_of(*pair) for pair in PAIRS if kind(*pair).startswith("newly")]
    for name in names:
        run.add(FakeBatch([[name]] * 500, principals=[USER + "*" * 300 + str(i)
                                                      for i in range(500)]))
    result = run.result()
    full, short = result.to_markdown(top=10_000), result.to_markdown(top=2)
    assert len(full) <= replay_report.MAX_MARKDOWN and "more groups with" in full
    for change in flips.FLIPS:
        assert f"#### {replay_report.HEADINGS[change].capitalize()}: " in full
        assert f"| {replay_report.HEADINGS[change]} | {result.counts[change.label]:,} |" in full
    assert short.count("<br>depends on") == 2
    assert f"{len(result.groups_of(Change.NEWLY_DENIED)) - 2:,} more groups" in short


def test_arrow_and_dictionary_hold_every_group(tmp_path):
    result = evil_result(tmp_path)
    rows, told = result.to_arrow().to_pylist(), result.to_dict()
    assert len(rows) == len(told["groups"]) == len(result.groups) == 2
    for row, group, made in zip(rows, told["groups"], result.groups, strict=True):
        assert row["principal"] == group["principal"] == made.principal
        assert row["records"] == group["records"] == 1
        assert row["before"] == group["before"]["decision"] == "ALLOW"
        place = group["before"]["statement"]
        assert row["before_place"] == f"{place['path']}:{place['line']}:{place['column']}"
        assert row["after_statement"] is None is group["after"]["statement"]
        assert row["examples"][0]["place"] == group["examples"][0]["place"]
    assert told["changes"]["newly-denied"] == 2


def test_a_session_is_shown_as_its_role(tmp_path):
    path = write(tmp_path / "log.json", record("iam", "ListRoles", userIdentity=ROLE_IDENTITY))
    old, new = table_of(tmp_path, allow("iam:*")), table_of(tmp_path, allow("s3:*"), name="n.json")
    (group,) = replay(old, new, read_logs(path, keys=[])).groups
    assert group.principal == f"arn:aws:iam::{ACCOUNT}:role/app/worker"


def test_every_row_names_the_allow_that_let_it_through(monkeypatch):
    """Rows of one group, let through by different statements of one level, or by two levels."""
    who = "arn:aws:iam::111122223333:user/ana"
    queue = "arn:aws:sqs:eu-west-1:111122223333:"

    def held(name, policy_type, *statements):
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        return it.PolicySet((it.parse_policy(text, name=name, policy_type=policy_type),))

    def org(*scps, boundary=None):
        return it.compile(it.Organization(
            accounts=(it.Account("111122223333", scps=scps, rcps=(), org_id="o-1",
                                 org_path="o-1/r-1/"),),
            principals=(it.Principal(who, identity=held("own", "identity", allow("sqs:*")), tags={},
                                     boundary=boundary),),
            missing_layers=("session", "vpce", "resource")))

    wide = held("wide", "scp", allow("*"))
    narrow = held("narrow", "scp", allow("sqs:*", f"{queue}a*", Sid="A"),
                  allow("sqs:*", f"{queue}b*", Sid="B",
                        Condition={"StringEquals": {"sqs:k": "1"}}),
                  allow("sqs:*", f"{queue}b*", Sid="C",
                        Condition={"StringEquals": {"sqs:k": "2"}}))
    before, after = org(wide, narrow), org(wide, held("none", "scp", allow("iam:*")))
    requests = pa.table({
        "principal": [who] * 6, "action": ["sqs:SendMessage"] * 6,
        "resource": [f"{queue}{n}" for n in ("a1", "b1", "b1", "a1", "c1", "b1")],
        "sqs:k": ["1", "1", "2", None, "1", None]})

    def rows(one, two):
        batches = request_batches(requests, keys_of_both(one, two))
        run = Replay(one, two, missing="absent")
        found = [flips_table(run.add(batch), one, two) for batch in batches]
        return pa.Table.from_batches(found).to_pylist(), run.result().to_arrow().to_pylist()

    for (told, groups), side, other in (
            (rows(before, after), "before", "after"), (rows(after, before), "after", "before")):
        assert [(row["row"], row[f"{side}_gate"]) for row in told] == [
            (1, "narrow:A"), (2, "narrow:B"), (3, "narrow:C"), (4, "narrow:A")]
        assert {row[f"{side}_gate_layer"] for row in told} == {"scp"}
        assert {row[f"{side}_layer"] for row in told} == {"identity"}
        assert all(row[f"{side}_gate_place"].startswith("narrow:1:") for row in told)
        assert {row[f"{other}_gate"] for row in told} == {None}
        assert groups[0][f"{side}_gate"] == "narrow:A" and groups[0][f"{side}_gate_layer"] == "scp"
    # two thousand resources that differ in nothing an Allow looks at, and one per statement
    many = [f"{queue}a{i}" for i in range(1_500)] + [f"{queue}b{i}" for i in range(500)]
    requests = pa.table({
        "principal": [who] * 2_000, "action": ["sqs:SendMessage"] * 2_000, "resource": many,
        "sqs:k": ["1", "2"] * 1_000})
    asked = []
    find = gates.find_gate
    monkeypatch.setattr(gates, "find_gate", lambda *args: asked.append(args) or find(*args))
    told, _ = rows(before, after)
    assert [row["before_gate"] for row in told] == [
        "narrow:A" if i < 1_500 else "narrow:C" if i % 2 else "narrow:B" for i in range(2_000)]
    assert len(asked) == 4  # by pattern and by value of the key
    told, _ = rows(org(wide), org(wide, boundary=held("edge", "boundary", allow("iam:*"))))
    assert len(told) == 2_000  # and there was no gate
    assert {row["before_gate"] for row in told} == {None}
    # gates that were not looked up are told of, and found where another part of the log has them
    runs = []
    for limit in (0, flips.MAX_GATES):
        monkeypatch.setattr(flips, "MAX_GATES", limit)
        run = Replay(before, after, missing="absent")
        for batch in request_batches(requests, keys_of_both(before, after)):
            run.add(batch)
        runs.append(run)
    blind, seeing = runs
    result = blind.result()
    assert 0 < len(result.groups) == result.gates_left_out == result.to_dict()["gates_left_out"]
    assert {group.before.gate for group in result.groups} == {None}
    for text in (result.to_markdown(), result._repr_html_()):
        assert "was not looked up" in text
    assert not seeing.result().gates_left_out
    assert "not looked up" not in seeing.result().to_markdown()
    blind.counts.flips.merge(seeing.counts.flips)
    assert not blind.result().gates_left_out
    assert blind.result().groups[0].before.gate == seeing.result().groups[0].before.gate
