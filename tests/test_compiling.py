"""What makes compiling fast, each against slow words of the same: wildcards, columns, memos."""

from __future__ import annotations

import gc
import json
import threading
from random import Random
from typing import Any

import numpy as np
import pytest

import iamtables
from iamtables.compiler import ir, lower_frame
from iamtables.compiler.collector import collector_paused
from iamtables.compiler.columns import statement_columns
from iamtables.compiler.encoding import decode_elements, encode_glob
from iamtables.compiler.frames import layers_frame
from iamtables.compiler.lower import lower_documents
from iamtables.compiler.passes import drop_subsumed_patterns
from iamtables.compiler.reach import settle_reach, settle_text
from iamtables.compiler.statements import StatementLowering
from iamtables.compiler.trie import compile_patterns
from iamtables.data import BEDROCK_FULL_ACCESS, policy_path
from iamtables.grammar.memo import MEMO_CHARACTERS, MEMO_TEXTS, Memo
from iamtables.options import Options
from iamtables.runtime.codes import NO_ID, Effect, Layer, Token
from iamtables.source import Span

# --- how far wildcards reach (RES-4, RES-7)


def slowly_settled(text: str, spans: bool) -> list[tuple[Token, int]]:
    """RES-4 and RES-7 over the segments of a pattern."""
    while "**" in text:
        text = text.replace("**", "*")
    segments = text.split(":", 5)
    is_short = len(segments) < 6
    if is_short and not text.endswith("*"):
        segments += ["*"] * (6 - len(segments))
        is_short = False
    out: list[tuple[Token, int]] = []
    for number, segment in enumerate(segments):
        if number:
            out.append((Token.POINT, ord(":")))
        for at, character in enumerate(segment):
            is_end = at + 1 == len(segment)
            is_last = is_short and number + 1 == len(segments)
            is_free = number == 5 or (is_end and (spans or is_last))
            if character == "*":
                out.append((Token.STAR if is_free else Token.STAR_BUT_COLON, 0))
            elif character == "?":
                out.append((Token.ANY if number == 5 else Token.ANY_BUT_COLON, 0))
            else:
                out.append((Token.POINT, ord(character)))
    return out


@pytest.mark.parametrize("spans", [True, False])
def test_wildcards_reach_as_far_as_the_rules_say(spans: bool) -> None:
    rng = Random(3)
    for _ in range(4_000):
        text = "".join(rng.choices("ab:::**?\u00e9\U0001f600\ud800", k=rng.randint(0, 16)))
        settled = settle_text(text, spans)
        assert list(decode_elements(settled)) == slowly_settled(text, spans), text
        assert settle_reach(encode_glob(text), spans) == settled


def test_a_wildcard_byte_is_a_wildcard_only_where_it_is_one() -> None:
    # `${*}` is an ordinary star: encoded patterns hold it as the character.
    assert settle_reach(b"a:b:c:d:e:*\xfb", True) == b"a:b:c:d:e:*\xfb"
    assert settle_reach(b"a*\xfb:b:c:d:e:\xfd", False) == b"a*\xfc:b:c:d:e:\xfd"


# --- columns of statements


def policy(*statements: dict[str, Any], name: str = "p", **kind: Any) -> iamtables.PolicyDocument:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return iamtables.parse_policy(text, name=name, **kind)


ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}


def program() -> ir.Program:
    """Statements with everything: void entries, faults, several conditions, principals."""
    bedrock = iamtables.parse_policy(policy_path(BEDROCK_FULL_ACCESS).read_text("utf-8"))
    odd = policy(
        {**ALLOW, "Sid": "S\u00e9", "Action": ["s3:Get", "no colon", "s3:Get"],
         "Resource": ["no arn", "arn:aws:s3:::b", "arn:aws:s3:::b/*"],
         "Condition": {"StringEquals": {"a:b": ["x", "y"], "a:c": "x"}, "Oops": {"a:b": "x"},
                       "Bool": {"a:b": True}}},
        {"Effect": "Perhaps", "Action": "s3:*", "NotResource": []},
        {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*", "Condition": {}})
    carried = policy(
        {**ALLOW, "Principal": {"AWS": ["111122223333", "*"]}}, {**ALLOW, "Principal": "*"},
        name="r", policy_type="resource")
    return lower_frame(layers_frame(identity=[bedrock, odd], resource=carried))


def test_columns_hold_what_the_statements_say() -> None:
    statements = program().statements
    columns = statement_columns(statements)
    assert len(statements) > 15
    for name in ("document", "index", "layer", "effect", "flags", "action_set", "resource_set",
                 "principal"):
        wanted = [NO_ID if getattr(s, name) == -1 else int(getattr(s, name)) for s in statements]
        assert columns[f"statement_{name}"].tolist() == wanted, name
        assert len(set(wanted)) > 1, name
    assert columns["statement_span"].tolist() == [
        offset for s in statements
        for span in (s.span, s.effect_span, s.action_span, s.resource_span, s.principal_span)
        for offset in span]
    for start, items, rows in (
        ("statement_predicate_start", "statement_predicate", [s.predicate_ids for s in statements]),
        ("action_entry_start", "action_entry_id", [s.action_entry_ids for s in statements]),
        ("resource_entry_start", "resource_entry_id", [s.resource_entry_ids for s in statements]),
        ("predicate_entry_start", "predicate_entry_id",
         [s.predicate_entry_ids for s in statements]),
    ):
        assert np.diff(columns[start]).tolist() == [len(row) for row in rows]
        assert columns[items].astype(np.int32).tolist() == [i for row in rows for i in row]
    assert -1 in columns["action_entry_id"].astype(np.int32)
    for name in ("action", "resource", "predicate"):
        places = [p for s in statements for p in getattr(s, f"{name}_places")]
        assert columns[f"{name}_entry_span"].tolist() == [o for p in places for o in p.span]
    assert {name: array.dtype for name, array in statement_columns(()).items()} == {
        name: array.dtype for name, array in columns.items()}


def test_entries_are_ids_with_their_places() -> None:
    statement = next(s for s in program().statements if s.sid == "S\u00e9")
    source = program().documents[statement.document].source
    written = [source.text[e.span.start:e.span.end] for e in statement.action_entries]
    assert written == ['"s3:Get"', '"no colon"', '"s3:Get"']
    first, void, again = (e.id for e in statement.action_entries)
    assert void == -1 and first == again >= 0
    assert statement.resource_entries[0].id == -1


@pytest.mark.parametrize(("change", "error"), [
    ({"document": 1 << 40}, OverflowError),
    ({"index": -2}, OverflowError),
    ({"layer": 256}, OverflowError),
    ({"flags": "x"}, TypeError),
    ({"span": (1, 2, 3)}, ValueError),
    ({"span": None}, ValueError),
    ({"action_entry_ids": ()}, ValueError),
    ({"action_entry_ids": (1, 2, 3, 4, 5, 6, 7, 8, 9)}, ValueError),
    ({"predicate_ids": [1]}, TypeError),
])
def test_statements_that_fit_no_column_are_refused(change: Any, error: type[Exception]) -> None:
    statements = program().statements
    with pytest.raises(error):
        statement_columns((*statements[:3], statements[3]._replace(**change)))


def test_only_statements_have_columns() -> None:
    with pytest.raises(TypeError):
        statement_columns((tuple(program().statements[0]),))  # type: ignore[arg-type]


def test_lowering_wants_dictionaries() -> None:
    with pytest.raises(TypeError):
        StatementLowering(Layer.IDENTITY, "identity", 0, [], {}, {}, {}, {}, None)  # type: ignore[arg-type]


def test_equal_sets_and_predicates_get_one_number() -> None:
    twice = {**ALLOW, "Condition": {"StringEquals": {"a:b": ["x", "y"]}}}
    lowered = lower_documents([policy(twice, twice), policy(twice)], Options())
    assert len({(s.action_set, s.resource_set, s.predicate_ids) for s in lowered.statements}) == 1
    assert len(lowered.resource_patterns) == len(lowered.predicates) == 1
    other = {**twice, "Condition": {"StringEquals": {"a:b": ["y", "x"]}}}
    lowered = lower_documents([policy(twice, other)], Options())
    assert [s.predicate_ids for s in lowered.statements] == [(0,), (1,)]
    assert lowered.statements[0].effect is Effect.ALLOW


# --- passes and tries


def test_subsumed_resources_are_those_that_begin_with_another_prefix() -> None:
    rng = Random(4)
    dropped = 0
    for _ in range(300):
        tails = {"".join(rng.choices("ab/", k=rng.randint(0, 4))) + rng.choice(("", "*", "*", "?"))
                 for _ in range(rng.randint(2, 6))}
        texts = [f"arn:aws:s3:::b{tail}" for tail in sorted(tails)]
        lowered = lower_documents([policy({**ALLOW, "Resource": texts})], Options())
        stems = [t[:-1] for t in texts if t.endswith("*")]
        kept = [t for t in texts
                if not any(t.startswith(stem) and t != f"{stem}*" for stem in stems)]
        (found,) = drop_subsumed_patterns(lowered).resource_sets
        assert [lowered.resource_patterns[i].text for i in found.pattern_ids] == kept
        dropped += len(texts) - len(kept)
    assert dropped > 100


@pytest.mark.parametrize("count", [2, 23, 24, 25, 26, 60, 200])
def test_children_of_a_node_are_in_order_however_many_they_are(count: int) -> None:
    """Short ranges are sorted by insertion, long ones by counting."""
    bytes_ = [bytes([b]) for b in range(1, 0xF8) if b not in (0x3A, 0x2F)][:count]
    patterns = [b"head" + b + b"tail" for b in bytes_] + [b"head"]
    Random(5).shuffle(patterns)
    arrays = compile_patterns(patterns)
    assert arrays["child_count"][0] == count
    first = int(arrays["first_child"][0])
    assert arrays["byte"][first:first + count].tolist() == [b[0] for b in sorted(bytes_)]
    label = arrays["label"][arrays["label_start"][0]:arrays["label_start"][1]]
    assert bytes(label) == b"head"
    ends = arrays["end_pattern"]
    assert patterns[int(ends[arrays["end_start"][0]])] == b"head"
    for node in range(first, first + count):
        pattern = patterns[int(ends[arrays["end_start"][node]])]
        assert pattern[4:5] == bytes([arrays["byte"][node]])


# --- memos and the collector


def test_a_memo_asks_once_a_text_and_stays_within_its_bounds() -> None:
    asked: list[str] = []

    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    memo = Memo(length)
    assert [memo["ab"], memo["ab"]] == [2, 2] and asked == ["ab"]
    long = "x" * (MEMO_CHARACTERS + 1)
    assert [memo[long], memo[long]] == [len(long)] * 2 and asked == ["ab", long, long]
    for number in range(MEMO_TEXTS + 10):
        assert memo[str(number)] == len(str(number))
    assert len(memo) <= MEMO_TEXTS


def test_the_collector_rests_in_nested_bursts_and_wakes_however_they_end() -> None:
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with pytest.raises(ZeroDivisionError), collector_paused():
            raise ZeroDivisionError
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_rests_until_the_last_thread_is_done() -> None:
    entered, leave = threading.Event(), threading.Event()

    def burst() -> None:
        with collector_paused():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=burst)
    with collector_paused():
        thread.start()
        assert entered.wait(10)
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_compiling_leaves_the_collector_as_it_was() -> None:
    iamtables.compile(policy(ALLOW))
    assert gc.isenabled()
    with pytest.raises(AttributeError):
        iamtables.compile([policy(ALLOW), None])  # type: ignore[list-item]
    assert gc.isenabled()


def test_spans_of_a_parsed_text_are_spans() -> None:
    action = policy(ALLOW).statements[0].action
    assert action is not None
    assert isinstance(action.span, Span) and isinstance(action.entries[0].span, Span)
