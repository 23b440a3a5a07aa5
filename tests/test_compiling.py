"""What makes compiling fast, each against slow words of the same: wildcards, columns, memos."""

from __future__ import annotations

import gc
import json
import re
import threading
from random import Random
from typing import Any

import numpy as np
import pytest
from generator import make_world

import iamtables
from iamtables.compiler import ir, lower_frame
from iamtables.compiler.collector import collector_paused
from iamtables.compiler.encoding import decode_elements, encode_elements, encode_glob
from iamtables.compiler.frames import layers_frame
from iamtables.compiler.glyphs import Variable
from iamtables.compiler.interned import PatternTable, SetTable
from iamtables.compiler.lower import lower_documents
from iamtables.compiler.parts import PatternSets, ResourcePatterns, Statements
from iamtables.compiler.passes import drop_subsumed_patterns
from iamtables.compiler.reach import settle_reach, settle_text
from iamtables.compiler.statements import StatementColumns, StatementLowering
from iamtables.compiler.trie import compile_patterns
from iamtables.data import BEDROCK_FULL_ACCESS, policy_path
from iamtables.grammar.memo import MEMO_CHARACTERS, MEMO_TEXTS, Memo
from iamtables.grammar.tree import ActionElement, StatementNode, Text
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


def documents() -> dict[str, Any]:
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
    unreadable = iamtables.parse_policy('{"Version": "2012-10-17", "Statement": 3}', name="u")
    return {"identity": [bedrock, odd, unreadable], "resource": carried}


def program() -> ir.Program:
    return lower_frame(layers_frame(**documents()))


def described(program: ir.Program) -> list[tuple[Any, ...]]:
    """What each statement of a program says, with texts in place of numbers."""
    found = []
    for s in program.statements:
        action_set = program.action_sets[s.action_set] if s.action_set >= 0 else None
        resource_set = program.resource_sets[s.resource_set] if s.resource_set >= 0 else None
        found.append((
            s.document, s.index, s.layer, s.effect, s.sid, bool(s.flags),
            (s.span, s.effect_span, s.action_span, s.resource_span, s.principal_span),
            action_set and (action_set.negated, tuple(
                program.action_patterns[i].text for i in action_set.pattern_ids)),
            resource_set and (resource_set.negated, tuple(
                list(decode_elements(program.resource_patterns[i].encoded))
                for i in resource_set.pattern_ids)),
            [(e.id >= 0 and program.action_patterns[e.id].text, e.span) for e in s.action_entries],
            [(e.id >= 0 and list(decode_elements(program.resource_patterns[e.id].encoded)), e.span)
             for e in s.resource_entries],
            [e.span for e in s.predicate_entries],
            len(s.predicate_ids) == len({e.id for e in s.predicate_entries}),
        ))
    return found


def slowly_described(
    documents: list[iamtables.PolicyDocument], layers: list[Layer], spans: bool
) -> list[tuple[Any, ...]]:
    """The same of trees without policy variables, an element at a time."""
    found: list[tuple[Any, ...]] = []
    for number, (document, layer) in enumerate(zip(documents, layers, strict=True)):
        if document.is_unreadable:
            found.append((number, 0, layer, Effect.UNREADABLE, "", True, (document.span,) * 5,
                          None, None, [], [], [], True))
        for node in document.statements:
            faults = set(node.faults) | ({"resource"} if document.is_faulty else set())
            parts: list[Any] = []
            for name, element in (("action", node.action), ("resource", node.resource)):
                rows = []
                if element is not None and name not in faults:
                    for at, entry in enumerate(element.entries):
                        meaning: Any = False
                        if at not in element.void and name == "action":
                            folded = re.sub("[A-Z]", lambda c: c[0].lower(), entry.value)
                            meaning = re.sub(r"\*+", "*", folded)
                        elif at not in element.void and not entry.value.strip("*"):
                            meaning = [(Token.STAR, 0)]
                        elif at not in element.void:
                            meaning = slowly_settled(entry.value, spans)
                        rows.append((meaning, entry.span))
                meant: list[Any] = []
                for meaning, _ in rows:
                    if meaning is not False and meaning not in meant:
                        meant.append(meaning)
                told = None
                if element is not None and name not in faults:
                    told = (element.negated, tuple(meant))
                elif name == "resource" and name not in faults:
                    told = (False, ([(Token.STAR, 0)],))
                parts.append((told, rows))
            effect = Effect.UNREADABLE
            if node.effect is not None and "effect" not in faults:
                effect = Effect[node.effect.upper()]
            conditions = () if document.is_faulty else node.conditions
            found.append((
                number, node.index, layer, effect, node.sid.value if node.sid else "",
                bool(faults),
                (node.span, node.effect_span or node.span,
                 *(part.span if part else node.span
                   for part in (node.action, node.resource, node.principal))),
                parts[0][0], parts[1][0], parts[0][1], parts[1][1],
                [c.span for c in conditions if c.base is not None], True))
    return found


def test_statements_are_lowered_as_slow_words_say() -> None:
    """Documents with everything, and those of made-up worlds that hold no variable."""
    given = documents()
    listed = [*given["identity"], given["resource"]]
    layers = [Layer.IDENTITY] * len(given["identity"]) + [Layer.RESOURCE]
    assert described(lower_documents(listed, Options())) == slowly_described(listed, layers, True)
    seen = 0
    for seed in range(250):
        made = make_world(seed, 1)
        options = Options.from_mapping(made.options)
        read = [iamtables.parse_policy(text) for text in made.texts()]
        read = [document for document in read if "${" not in document.source.text]
        lowered = lower_documents(read, options)
        assert described(lowered) == slowly_described(
            read, [Layer.IDENTITY] * len(read), options.resource_glob == "span"), seed
        assert len(set(lowered.action_sets)) == len(lowered.action_sets)
        assert len(set(lowered.resource_sets)) == len(lowered.resource_sets)
        assert len({p.encoded for p in lowered.resource_patterns}) == len(
            lowered.resource_patterns)
        seen += len(lowered.statements)
    assert seen > 200


def test_the_columns_of_a_table_are_those_of_its_statements() -> None:
    statements = program().statements
    assert isinstance(statements, Statements)
    columns = statements.arrays
    assert len(statements) > 15
    for name in ("document", "index", "layer", "effect", "flags", "action_set", "resource_set",
                 "principal"):
        wanted = [NO_ID if getattr(s, name) == -1 else int(getattr(s, name)) for s in statements]
        assert columns[f"statement_{name}"].tolist() == wanted, name
        assert len(set(wanted)) > 1, name
    assert columns["statement_predicate"].tolist() == [
        i for s in statements for i in s.predicate_ids]
    for kind in ("action", "resource", "predicate"):
        rows = [getattr(s, f"{kind}_entries") for s in statements]
        assert np.diff(columns[f"{kind}_entry_start"]).tolist() == [len(row) for row in rows]
        ids = columns[f"{kind}_entry_id"].astype(np.int32).tolist()
        assert ids == [e.id for row in rows for e in row]
        assert columns[f"{kind}_entry_span"].tolist() == [
            o for row in rows for e in row for o in e.span]
    assert -1 in columns["action_entry_id"].astype(np.int32)
    assert statements[-1] == statements[len(statements) - 1]
    assert statements[1:3] == (statements[1], statements[2])
    with pytest.raises(IndexError):
        statements[len(statements)]


def test_entries_are_ids_with_their_places() -> None:
    statement = next(s for s in program().statements if s.sid == "S\u00e9")
    source = program().documents[statement.document].source
    written = [source.text[e.span.start:e.span.end] for e in statement.action_entries]
    assert written == ['"s3:Get"', '"no colon"', '"s3:Get"']
    first, void, again = (e.id for e in statement.action_entries)
    assert void == -1 and first == again >= 0
    assert statement.resource_entries[0].id == -1


def lowering_to(columns: StatementColumns, **changes: Any) -> StatementLowering:
    arguments = {
        "to": columns, "layer": Layer.IDENTITY, "policy_type": "identity", "has_variables": False,
        "is_carried": False, "fault_flags": 0, "actions": {"a": 7}, "predicates": {},
        "resources": PatternTable({}, True), "action_sets": SetTable(), "resource_sets": SetTable(),
        "principal": None}
    return StatementLowering(**{**arguments, **changes})


def node_of(**changes: Any) -> StatementNode:
    parts: dict[str, Any] = {
        "index": 0, "span": (0, 9), "sid": None, "effect": "Allow", "effect_span": None,
        "action": ActionElement(False, (1, 2), (Text("a", (1, 2)),), frozenset()),
        "resource": None, "principal": None, "conditions": (), "condition_span": None,
        "faults": frozenset()}
    return StatementNode(**{**parts, **changes})


@pytest.mark.parametrize(("change", "error"), [
    ({"span": (0, 1 << 40)}, OverflowError),
    ({"span": (-2, 4)}, OverflowError),
    ({"conditions": ("x",)}, TypeError),
    ({"action": ActionElement(False, (1, 2), ("a",), frozenset())}, TypeError),
    ({"action": ActionElement(False, (1, 2), (Text("b", (1, 2)),), frozenset())}, KeyError),
])
def test_statements_that_fit_no_column_are_refused(change: Any, error: type[Exception]) -> None:
    columns = StatementColumns()
    lowering_to(columns).lower(0, [node_of()])
    assert columns.arrays()["action_entry_id"].tolist() == [7]
    with pytest.raises(error):
        lowering_to(columns).lower(0, [node_of(**change)])


def test_only_nodes_are_lowered() -> None:
    with pytest.raises(TypeError):
        lowering_to(StatementColumns()).lower(0, [("not", "a node")])  # type: ignore[list-item]


@pytest.mark.parametrize("change", [{"actions": []}, {"predicates": 3}, {"resources": None}])
def test_lowering_wants_dictionaries_and_tables(change: Any) -> None:
    with pytest.raises(TypeError):
        lowering_to(StatementColumns(), **change)
    with pytest.raises(TypeError):
        PatternTable([], True)  # type: ignore[arg-type]


# --- numbered patterns and sets


def test_patterns_get_one_number_by_what_they_mean() -> None:
    rng = Random(6)
    key = Variable(0, None)
    with_variable = {"arn:a:b:c:d:${x}": (b"arn:a:b:c:d:\xfd", (key,)),
                     "arn:a:b:c:d:${y}": (b"arn:a:b:c:d:\xfd", (Variable(1, None),)),
                     "arn:a:b:c:d:${*}": (b"arn:a:b:c:d:*", ()), "${z}": None}
    for spans in (True, False):
        table = PatternTable(with_variable, spans)
        numbers: dict[Any, int] = {}
        first: list[str] = []
        for _ in range(3_000):
            text = rng.choice(list(with_variable)) if rng.random() < 0.1 else "".join(
                rng.choices(["arn:", "a", ":", "*", "?", "\u00e9", "\ud800"], k=rng.randint(0, 9)))
            is_known, is_carried = rng.random() < 0.7, rng.random() < 0.3
            number = table.number(text, is_known, is_carried)
            encoded = text
            if is_known and text in with_variable:
                lowered = with_variable[text]
                if lowered is None:
                    assert number == -1
                    continue
                meaning: Any = (lowered[0], lowered[1])
                encoded = "arn:a:b:c:d:x"
            elif not text.strip("*"):
                meaning = (b"\xfb", ())
            else:
                meaning = (encode_elements(slowly_settled(text, spans)), ())
            if is_carried and "*" not in encoded and encoded and encoded.count(":") < 5:
                assert number == -1, text
                continue
            assert number == numbers.setdefault(meaning, len(numbers)), text
            if number == len(first):
                first.append(text)
        made = ResourcePatterns(*table.arrays())
        assert [p.text for p in made] == first and len(first) > 500
        assert [(p.encoded, p.variables) for p in made] == list(numbers)
        assert [p.is_all for p in made] == [not text.strip("*") for text in first]
        assert sum(bool(p.variables) for p in made) == 2


def test_sets_get_one_number_by_their_patterns() -> None:
    rng = Random(7)
    table = SetTable()
    numbers: dict[Any, int] = {}
    for _ in range(2_000):
        ids = rng.choices([-1, 0, 1, 2, 70_000], k=rng.randint(0, 12 if rng.random() < 0.1 else 3))
        negated = rng.random() < 0.3
        meaning = ir.PatternSet(negated, tuple(dict.fromkeys(i for i in ids if i >= 0)))
        assert table.number(negated, ids) == numbers.setdefault(meaning, len(numbers))
    made = PatternSets(*table.arrays())
    assert list(made) == list(numbers) and len(made) > 60
    several = [i for i, s in enumerate(made) if len(s.pattern_ids) > 1]
    assert made.of_several() == several
    wanted = {1, 70_000}
    assert made.holding(wanted).tolist() == [bool(wanted & set(s.pattern_ids)) for s in made]
    assert not made.holding(set()).any()
    kept = {i: made[i].pattern_ids[1:] for i in several[::3]}
    fewer = made.with_patterns(kept)
    assert [s.pattern_ids for s in fewer] == [
        kept.get(i, s.pattern_ids) for i, s in enumerate(made)]
    assert [s.negated for s in fewer] == [s.negated for s in made]
    assert made.with_patterns({}) is made


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
