"""The kernels that number the calls of a block, against the same said in plain Python."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from log_records import ACCOUNT, record
from test_logs_blocks import both

from iamtables.logs import blocks as blocks_module
from iamtables.logs.classes import Outcome, Requester
from iamtables.logs.columns import Coded
from iamtables.logs.texts import GrowingTexts, Texts
from iamtables.reality import RealityCheck
from iamtables.runtime.codes import DecisionCode
from iamtables.tallies import OTHERS, Totals

pytestmark = pytest.mark.skipif(
    not blocks_module.is_available(), reason="the extractor is not built")

if blocks_module.is_available():
    from iamtables.logs.extract import Extractor
    from iamtables.logs.gather import gathered
    from iamtables.logs.scanner import Scanned, Scanner

NONE = np.empty(0, dtype=np.int32)


def taken_apart(records: Sequence[dict[str, Any]]) -> Scanned:
    pieces, scanner = Scanned(), Scanner(7)
    scanner.start()
    pieces.hold(json.dumps({"Records": records}).encode())
    assert scanner.scan(pieces, 10_000) == len(records)
    return pieces


def scanned(records: Sequence[dict[str, Any]]) -> Extractor:
    extractor = Extractor(7)
    extractor.start()
    extractor.take(taken_apart(records))
    return extractor


def facts(flags: int, needles: int = 0) -> tuple[Any, Any, Any]:
    """All plans have these flags and the first needles; no error is worth reading."""
    return (np.full(50, flags, dtype=np.uint8), np.array([[0, needles]] * 50, dtype=np.int32),
            np.full(50, 2, dtype=np.uint8))


def kept(extractor: Extractor, callers: Any, calls: Any, given: Any) -> dict[int, tuple[Any, ...]]:
    """(call, caller, seconds, event ID) by the number of the record."""
    extractor.keep(callers, calls, 0)
    call, caller, place, seconds, *ids = extractor.rows(given, NONE)
    texts = Texts(*ids)
    assert texts.hashes().tolist() == Texts.of(texts).hashes().tolist()
    return {number: (call[row], caller[row], seconds[row], texts[row])
            for row, number in enumerate(place.tolist())}


@pytest.mark.parametrize("seed", range(3))
def test_calls_on_objects_are_told_apart_by_shape_and_resource(seed: int) -> None:
    random = Random(seed)
    records = []
    for number in range(300):
        arns = [f"arn:aws:s3:::b{random.randrange(3)}/k{random.randrange(40)}",
                f"arn:aws:s3:::b{random.randrange(3)}"]
        random.shuffle(arns)
        records.append(record(
            "s3", random.choice(["GetObject", "PutObject"]), eventID=f"{number:036x}",
            requestParameters={"bucketName": "b"},
            resources=[{"ARN": arn} for arn in arns[: random.choice([1, 2, 2])]]))
    extractor = scanned(records)
    shapes: list[tuple[Any, ...]] = []
    places: list[int] = []
    said = facts(32 | 2)
    at, stops = 0, 0
    while (at := extractor.shaped(at, *said, np.array(places, dtype=np.int8))) < len(records):
        arns = [one["ARN"] for one in records[at]["resources"]]
        shape = (records[at]["eventName"], *("/" in arn for arn in arns))
        assert shape not in shapes
        shapes.append(shape)
        places.append(-1 if len(arns) == 1 and "/" not in arns[0] else len(arns) - 1)
        stops += 1
    assert stops == len(shapes) > 4
    found, *made = extractor.given(0)
    texts = list(Texts(*made))
    assert len(found) == extractor.given_count == len(texts)
    extractor.calls(*said)
    rows = kept(extractor, np.zeros(1, dtype=np.int32), np.full(300, 100_000, dtype=np.int32),
                np.arange(len(found), dtype=np.int32))
    given = 0
    for number, one in enumerate(records):
        arns = [resource["ARN"] for resource in one["resources"]]
        shape = shapes.index((one["eventName"], *("/" in arn for arn in arns)))
        call = rows[number][0]
        assert rows[number][3] == one["eventID"]
        if places[shape] < 0:
            assert call == 100_000
        else:
            given += 1
            assert (found[call], texts[call]) == (shape, arns[places[shape]])
    assert 0 < given < len(records)
    assert len({(shape, text) for shape, text in zip(found.tolist(), texts, strict=True)}) == len(
        texts)


def test_calls_of_one_shape_differ_in_nothing_but_the_resource(tmp_path: Path) -> None:
    """Not in what is listed twice, and not in what a message says."""
    said = "User: u is not authorized to perform: s3:GetObject on resource: {} "
    messages = ["because no identity-based policy allows the s3:GetObject action",
                "with an explicit deny in a service control policy",
                "because no resource-based policy allows the s3:GetObject action"]
    records = []
    for number in range(40):
        arn, bucket = f"arn:aws:s3:::b/k{number}", "arn:aws:s3:::b"
        listed = [[bucket, arn], [bucket, bucket, arn], [arn, arn, bucket]][number % 3]
        records.append(record(
            "s3", "GetObject", eventID=f"{number:036x}", requestParameters={"bucketName": "b"},
            resources=[{"ARN": one} for one in listed]) | ({} if number % 5 else {
                "errorCode": "AccessDenied",
                "errorMessage": said.format(arn) + messages[number // 15 % 3]}))
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": records}))
    rows, _ = both([path], ())
    assert [row[-1][0][1] for row in rows] == [f"arn:aws:s3:::b/k{n}" for n in range(40)]
    assert len({row[16] for row in rows}) == 4  # kinds of policy that were named, and none


def test_what_cannot_be_used_is_left_out_and_the_rest_stays_in_order() -> None:
    records = [record("iam", "ListUsers", eventID=f"{n}" * (n % 40 + 1),
                      recipientAccountId=f"{n % 5:012d}", errorCode=f"E{n % 3}",
                      eventTime=f"2026-01-02T03:04:{n % 60:02d}{'Z' if n % 7 else '.5Z'}")
               for n in range(120)]
    records[50]["eventSource"] = ""  # an odd one
    pieces, extractor = taken_apart(records), Extractor(7)
    extractor.take(pieces)
    said = facts(0)
    assert pieces.new_callers().tolist() == [0, 1, 2, 3, 4]
    assert len(extractor.calls(*said)) == 3
    callers = np.array([0, 1, -1, 3, 4], dtype=np.int32)
    calls = np.array([10, -1, 12], dtype=np.int32)
    expected = {n: (10 + n % 3, n % 5, records[n]["eventID"]) for n in range(120)
                if n % 5 != 2 and n % 3 != 1 and n != 50}
    left_out, opened = extractor.keep(callers, calls, 0)
    assert left_out == 120 - len(expected)
    open_times = extractor.open_times()
    assert opened == len(open_times) == sum(n % 7 == 0 for n in expected)
    for row, stamp in open_times:
        extractor.set_time(row, int(stamp[17:19]))
    call, caller, place, seconds, *ids = extractor.rows(NONE, NONE)
    assert dict(zip(place.tolist(), zip(call.tolist(), caller.tolist(), Texts(*ids), strict=True),
                    strict=True)) == expected
    assert place.tolist() == sorted(expected)
    for number, second in zip(place.tolist(), seconds.tolist(), strict=True):
        assert second == (number % 60 if number % 7 == 0 else 1767323040 + number % 60)
    places = extractor.row_places().tolist()
    assert [n for n in range(120) if places[n] >= 0] == sorted(expected)
    with pytest.raises(ValueError, match="without its row"):
        extractor.keep(callers[:4], calls, 0)


def test_a_caller_is_told_by_identity_region_and_account() -> None:
    random = Random(4)
    records = [record("iam", "ListUsers", eventID="1", awsRegion=random.choice(
        ["eu-west-1", "eu-west-2", "x" * 50]), recipientAccountId=random.choice(
            ["111122223333", "111122223334", "11112222333", None]), userIdentity=random.choice([
                {"type": "IAMUser", "userName": name} for name in "abc"])) for _ in range(300)]
    for number in range(0, 300, 7):  # fields in another order than was expected
        records[number] = dict(random.sample(list(records[number].items()), len(records[number])))
    pieces = taken_apart(records)
    numbers: dict[str, int] = {}
    for index, one in enumerate(records):
        key = json.dumps([one["awsRegion"], one["recipientAccountId"], one["userIdentity"]])
        assert pieces.caller(index) == numbers.setdefault(key, len(numbers))
    assert len(pieces.new_callers()) == len(numbers) == 36


@pytest.mark.parametrize("seed", range(4))
def test_needles_are_found_wherever_they_are(seed: int) -> None:
    random = Random(seed)
    needles = [random.choice(["ag", '"x"', "--x-s3", "a", "aaaa", "abababab" * 4])
               for _ in range(2)]
    records = [record("iam", "ListUsers", eventID="1", requestParameters={
        "n": number, "t": "".join(random.choice("abx-g") for _ in range(random.randrange(90)))
        + random.choice(["", "--x-s3", "abababab" * 4, "aaaa"])}) for number in range(300)]
    extractor = scanned(records)
    extractor.set_needles([needle.encode() for needle in needles])
    fresh = extractor.calls(*facts(1, 2)).tolist()
    has_needle = [any(needle in json.dumps(one["requestParameters"]) for needle in needles)
                  for one in records]
    codes = [extractor.call(index) for index in range(300)]
    without = {code for code, has in zip(codes, has_needle, strict=True) if not has}
    assert len(without) <= 1
    assert len(fresh) == sum(has_needle) + len(without)


# -- what the scan expects ----------------------------------------------------------------------

NAMES = ["readOnly", "managementEvent", "userAgent", "eventType", "errorCode", "errorMessage",
         "sourceIPAddress", "awsRegion", "eventCategory", "apiVersion", "vpcEndpointId", "other"]
VALUES: list[Any] = [
    True, False, None, "a", "ab", "a" * 70, "", 1, 12, 1.5, "AwsApiCall", "true", "eu-west-1",
    "AccessDenied", {"a": 1}, [], "\u00e9", 'a"', "Insight"]


@pytest.mark.parametrize("seed", range(6))
def test_values_that_change_after_they_were_expected_are_read(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    usual = {name: random.choice(VALUES) for name in NAMES}
    records = []
    for number in range(600):
        made = record("iam", "ListUsers", eventID=f"{number:036x}")
        names = [name for name in NAMES if random.random() < 0.8]
        if random.random() < 0.1:
            random.shuffle(names)
        for name in names:
            made.pop(name, None)
            made[name] = usual[name] if random.random() < 0.95 else random.choice(VALUES)
        if random.random() < 0.02:
            usual[random.choice(NAMES)] = random.choice(VALUES)
        if number % 100 == 99:  # more names than are remembered
            made |= {f"name{n}": True for n in range(number, number + 70)}
        records.append(made)
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"Records": records}))
    both([path], None, deduplicate=False)


@pytest.mark.parametrize("text", [
    '"readOnly":truex', '"readOnly":tru', '"readOnly":nulll', '"eventType":"AwsApiCall"x',
    '"eventType":"AwsApiCall', '"readOnly":true1', '"readOnly" true'])
def test_what_is_no_json_is_refused_where_other_values_were_expected(
    tmp_path: Path, text: str
) -> None:
    good = json.dumps(record("iam", "ListUsers", eventID="1") | {"readOnly": True},
                      separators=(",", ":"))
    assert '"readOnly":true' in good and '"eventType":"AwsApiCall"' in good
    name = text.partition('"')[2].partition('"')[0]
    value = '"readOnly":true' if name == "readOnly" else '"eventType":"AwsApiCall"'
    path = tmp_path / "log.json"
    path.write_text('{"Records":[' + ",".join(
        [good] * 30 + [good.replace(value, text)] + [good] * 9) + "]}")
    pieces, scanner = Scanned(), Scanner(1)
    scanner.start()
    pieces.hold(path.read_bytes())
    assert scanner.scan(pieces, 100) == 0 and pieces.is_refused
    try:
        both([path], None, deduplicate=False)
    except Exception as error:  # the file is no log at all
        assert "no CloudTrail log" in str(error)


# -- tables that start anew -----------------------------------------------------------------------

def test_calls_may_start_anew_while_callers_and_moulds_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(11)
    forgotten: Counter[str] = Counter()
    for name in ("forget", "forget_calls"):
        original = getattr(blocks_module.BlockReader, name)

        def counting(self: Any, name: str = name, original: Any = original) -> None:
            forgotten[name] += 1
            original(self)

        monkeypatch.setattr(blocks_module.BlockReader, name, counting)
    keys = ("s3:prefix", "sts:RoleSessionName", "aws:ResourceAccount")
    for file in range(8):
        records = [record(*call, eventID=f"{100 * file + n:036x}", requestParameters=parameters)
                   for n in range(60)
                   for call, parameters in [random.choice([
                       (("iam", "GetRole"), {"roleName": f"r{n}{file}"}),
                       (("sts", "AssumeRole"), {
                           "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r{n}",
                           "roleSessionName": f"s{n}{file}"}),
                       (("s3", "ListObjects"), {"bucketName": f"b{n}", "prefix": f"p{n}{file}"}),
                       (("dynamodb", "DescribeTable"), {"tableName": f"t{n}{file}"})])]]
        (tmp_path / f"{file}.json").write_text(json.dumps({"Records": records}))
    once = both([tmp_path], keys)
    again = both([tmp_path], keys, max_distinct=70, batch_records=20)
    assert again == once
    assert forgotten["forget_calls"] >= 6 and forgotten["forget"] == 2  # at the beginning


# -- texts ----------------------------------------------------------------------------------------

def test_texts_are_gathered_as_they_are() -> None:
    random = Random(1)
    listed = ["x" * random.randrange(30) + str(n) for n in range(200)] + ["", "\u00e9"]
    texts = Texts.of(listed)
    rows = np.array([random.randrange(len(listed)) for _ in range(500)])
    data, offsets = gathered(texts.data, texts.offsets, rows)
    assert list(Texts(data, offsets)) == [listed[row] for row in rows]
    assert list(Texts(*gathered(texts.data, texts.offsets, rows[:0]))) == []
    for row in (-1, len(listed)):
        with pytest.raises(IndexError):
            gathered(texts.data, texts.offsets, np.array([row]))
    for offsets in ([0, 5, 3], [0, -1, 2], [0, 2, 10_000]):
        with pytest.raises(ValueError, match="offsets"):
            gathered(texts.data, np.array(offsets), np.array([0, 1]))


@pytest.mark.parametrize("seed", range(10))
def test_texts_that_grow_are_a_list(seed: int) -> None:
    random = Random(seed)
    begun = ["a", "", "\u00e9\u00e9"][: random.randrange(4)]
    adopted = Texts.of(begun)
    adopted.data.flags.writeable = False
    growing, listed = GrowingTexts(adopted) if begun else GrowingTexts(), list(begun)
    if seed % 2:  # with some room in memory that is theirs
        data = np.full(len(adopted.data) + random.randrange(90), 0xFF, dtype=np.uint8)
        offsets = np.full(len(begun) + 1 + random.randrange(9), -1, dtype=np.int64)
        data[: len(adopted.data)], offsets[: len(begun) + 1] = adopted.data, adopted.offsets
        growing = GrowingTexts.with_room(
            Texts(data[: len(adopted.data)], offsets[: len(begun) + 1]))
    views: list[tuple[Any, Any, list[str]]] = []
    for _ in range(200):
        more = ["t" * random.randrange(20) for _ in range(random.randrange(4))]
        if random.random() < 0.4:
            growing.append("one")
            listed.append("one")
        elif random.random() < 0.5:
            growing.extend(more)
            listed += more
        else:
            growing.extend(Texts.of(more))
            listed += more
        assert len(growing) == len(listed)
        if listed:
            at = random.randrange(-len(listed), len(listed))
            assert growing[at] == listed[at]
        if random.random() < 0.1:
            views.append((growing.data, growing.offsets, list(listed)))
    assert list(growing) == growing[:] == listed
    rows = np.array([random.randrange(len(listed)) for _ in range(30)])
    assert list(growing.take(rows)) == [listed[row] for row in rows]
    for data, offsets, before in views:  # what was handed out stays as it was
        assert list(Texts(data, offsets)) == before
    with pytest.raises(IndexError):
        growing[len(listed)]


# -- counts by code -------------------------------------------------------------------------------

@pytest.mark.parametrize("limit_bits", [17, 3])
def test_names_are_counted_whatever_dictionary_brings_them(limit_bits: int) -> None:
    random = Random(limit_bits)
    totals = Totals(limit_bits)
    expected: Counter[tuple[str, int]] = Counter()
    names = [f"n{n}" for n in range(30)]
    known: list[str] = []
    values: list[str] = []
    for _ in range(40):
        if random.random() < 0.3:
            values = random.sample(names, 3)
        else:
            values.append(random.choice(names))  # the same dictionary, longer
        codes = np.array([random.randrange(-2, len(values)) for _ in range(50)], dtype=np.int32)
        decision = np.array([random.randrange(len(DecisionCode)) for _ in range(50)])
        count = None if random.random() < 0.5 else np.array([random.randrange(4) for _ in codes])
        numbers = totals.add(values, codes, decision, count)
        for number, code, one, many in zip(
                numbers.tolist(), codes.tolist(), decision.tolist(),
                [1] * len(codes) if count is None else count.tolist(), strict=True):
            name = values[code] if code >= 0 else "-"
            if name not in known and totals.names[number] != OTHERS:
                known.append(name)
            assert totals.names[number] == (name if name in known else OTHERS)
            expected[totals.names[number], one] += many
    assert len(totals.names) == min(1 << limit_bits, len(known) + 1)
    found = {(name, code): int(count) for name, counts in totals.by_name().items()
             for code, count in enumerate(counts) if count}
    assert found == +expected


@pytest.mark.parametrize("seed", range(3))
def test_contradictions_add_up_over_batches_and_dictionaries(seed: int) -> None:
    random = Random(seed)
    check, expected = RealityCheck(), {}
    principals: list[str] = []
    for _ in range(25):
        principals = principals if random.random() < 0.7 else list(principals)
        principals.append(f"p{random.randrange(9)}")
        n = random.randrange(40)
        who = [random.randrange(-1, len(principals)) for _ in range(n)]
        outcome = [random.choice([Outcome.PASSED, Outcome.FAILED]) for _ in range(n)]
        decision = [random.choice([DecisionCode.ALLOW, DecisionCode.IMPLICIT_DENY])
                    for _ in range(n)]
        times = [random.choice([-1, *range(5)]) for _ in range(n)]
        statement = [random.randrange(-1, 3) for _ in range(n)]
        none = Coded(np.full(n, -1, dtype=np.int32), [])
        check.add(SimpleNamespace(
            outcome_kind=none, error_code=none, outcome_explicit=np.zeros(n, dtype=np.uint8),
            event_name=Coded(np.zeros(n, dtype=np.int32), ["X"]),
            identity=np.full(n, Requester.ROLE_OR_USER), outcome=np.array(outcome, dtype=np.uint8),
            principal=Coded(np.array(who, dtype=np.int32), principals),
            action=Coded(np.zeros(n, dtype=np.int32), ["s:A"]), group=np.arange(n),
            time=np.array(times, dtype=np.int64)), np.array(decision, dtype=np.uint8),
            np.array(statement, dtype=np.int32), np.arange(n, dtype=np.int32))
        for at in range(n):
            if (outcome[at] == Outcome.PASSED) == (decision[at] == DecisionCode.ALLOW):
                continue
            key = ("passed" if outcome[at] == Outcome.PASSED else "failed", decision[at].name,
                   principals[who[at]] if who[at] >= 0 else "-", statement[at])
            count, low, high = expected.get(key, (0, 9, -1))
            expected[key] = (count + 1, low if times[at] < 0 else min(low, times[at]),
                             max(high, times[at]))
    made = check.reality().contradictions
    assert made == sorted(made, key=lambda one: (
        -one.records, one.principal, one.action, one.decision, one.recorded, one.layer or "",
        one.error or "", one.statement))
    found = {(one.recorded, one.decision, one.principal, one.statement):
             (one.records, one.first if one.last >= 0 else 9, one.last)
             for one in made}
    assert found == expected and len(found) > 20


def test_agents_and_tls_details_tell_callers_apart() -> None:
    """Also where one is missing, or the other's text, or begins alike."""
    random = Random(5)
    texts = ["agent/1", "agent/11", "agent/2", '"TLSv1.3"', ""]
    records = []
    for number in range(300):
        made = record("iam", "ListUsers", eventID=f"{number:036d}",
                      userIdentity={"type": "IAMUser", "userName": random.choice("ab")},
                      sourceIPAddress=random.choice(["10.0.0.1", "10.0.0.11"]))
        agent, version = random.choice(texts), random.choice(texts)
        made.pop("userAgent")
        if agent:
            made["userAgent"] = agent
        if version:
            made["tlsDetails"] = {"tlsVersion": version}
        records.append(made)
    pieces, scanner = Scanned(), Scanner(7, True, True, True, False)
    scanner.start()
    pieces.hold(json.dumps({"Records": records}).encode())
    assert scanner.scan(pieces, 10_000) == len(records)
    numbers: dict[str, int] = {}
    expected = [numbers.setdefault(json.dumps([
        made["userIdentity"], made["sourceIPAddress"], made.get("userAgent"),
        made.get("tlsDetails")]), len(numbers)) for made in records]
    assert [pieces.caller(index) for index in range(len(records))] == expected
    assert len(numbers) > 80 and scanner.counts()[1] == len(numbers)
