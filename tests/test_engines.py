"""DuckDB, Polars and pandas decide as `decide` does, whatever form the context comes in."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables
from iamtables.engine_columns import map_columns, unknown_masks

POLICY = iamtables.parse_policy("""{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::logs/*"},
    {"Effect": "Allow", "Action": "s3:Put*", "Resource": "*",
     "Condition": {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}},
    {"Effect": "Allow", "Action": "s3:Tag*", "Resource": "*", "Condition":
     {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}}},
    {"Effect": "Deny", "Action": "*", "Resource": "*",
     "Condition": {"StringEquals": {"aws:ResourceTag/secret": "yes"}}},
    {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::*/secret"}]}""")
TABLE = iamtables.compile(POLICY)
A, D, E, U = "ALLOW", "IMPLICIT_DENY", "EXPLICIT_DENY", "UNDETERMINED"

# (action, resource, ip, tag keys, tag, unknown keys, decision), decided by hand
ROWS: list[tuple[Any, ...]] = [
    ("s3:GetObject", "arn:aws:s3:::logs/a", None, None, None, None, A),
    ("s3:GetObject", "arn:aws:s3:::logs/secret", None, None, None, None, E),
    ("s3:GetObject", "arn:aws:s3:::other/a", None, None, None, None, D),
    ("s3:GetObject", None, None, None, None, None, U),
    ("s3:PutObject", "arn:aws:s3:::logs/a", "198.51.100.7", None, None, None, A),
    ("s3:PutObject", "arn:aws:s3:::logs/a", "203.0.113.7", None, None, None, D),
    ("s3:PutObject", "arn:aws:s3:::logs/a", None, None, None, None, D),
    ("s3:PutObject", "arn:aws:s3:::logs/a", None, None, None, ["AWS:SourceIP"], U),
    ("s3:PutObject", "arn:aws:s3:::logs/a", "203.0.113.7", None, None, ["aws:SourceIp", "x"], U),
    ("s3:TagBucket", "*", None, ["team"], None, [], A),
    ("s3:TagBucket", "*", None, ["team", "mine"], None, None, D),
    ("s3:TagBucket", "*", None, ["team"], "yes", None, E),
    ("s3:TagBucket", "*", None, ["team"], None, ["aws:ResourceTag/*"], U),
    ("s3:PutObject", "arn:aws:s3:::x/secret", None, None, None, ["aws:ResourceTag/*"], E),
    ("no action", "*", None, None, None, None, U),
    (None, "*", None, None, None, None, U),
] * 3
EXPECTED = [row[6] for row in ROWS]
KEYS = {"aws:SourceIp": "ip", "aws:TagKeys": "tags", "aws:ResourceTag/secret": "secret"}
PRINCIPAL = "arn:aws:iam::111122223333:role/r"
NAMES = [code.name for code in iamtables.DecisionCode]


def columns() -> pa.Table:
    action, resource, ip, tags, secret, unknown, _ = zip(*ROWS, strict=True)
    texts = pa.list_(pa.string())
    return pa.table({
        "n": pa.array(range(len(ROWS))), "principal": [PRINCIPAL] * len(ROWS),
        "action": pa.array(action, pa.string()), "resource": pa.array(resource, pa.string()),
        "ip": pa.array(ip, pa.string()), "tags": pa.array(tags, texts),
        "secret": pa.array(secret, pa.string()), "unknown": pa.array(unknown, texts)})


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None,
                              reason=f"{module} is not installed")


# --- DuckDB

@pytest.fixture
def connection() -> Any:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    import iamtables.duckdb

    opened = duckdb.connect()
    opened.register("given", columns())
    opened.execute("CREATE TABLE calls AS SELECT * FROM given")
    iamtables.duckdb.register(opened, TABLE)
    return opened


def answers(connection: Any, call: str, source: str = "calls") -> list[str]:
    found = connection.execute(f"SELECT {call} FROM {source} ORDER BY n").fetchall()
    return [row[0] for row in found]


STRUCT = "{'aws:SourceIp': ip, 'aws:TagKeys': tags, 'AWS:resourcetag/secret': secret}"
# a map has values of one type: here each is a list
MAP = """map_from_entries(list_filter([
    ('aws:SourceIp', CASE WHEN ip IS NULL THEN NULL ELSE [ip] END), ('aws:TagKeys', tags),
    ('AWS:ResourceTag/SECRET', CASE WHEN secret IS NULL THEN NULL ELSE [secret] END),
    ('aws:Other', ['x'])], lambda e: e[2] IS NOT NULL))"""


@pytest.mark.parametrize("context", [STRUCT, MAP])
def test_sql_takes_the_context_as_struct_and_as_map(connection: Any, context: str) -> None:
    call = f"iam_decide(principal, action, resource, {context}, unknown)"
    assert answers(connection, call) == EXPECTED
    assert answers(connection, f"typeof({call})")[0].startswith("ENUM('IMPLICIT_DENY', 'ALLOW'")


def test_sql_takes_the_context_as_named_columns(connection: Any) -> None:
    import iamtables.duckdb

    iamtables.duckdb.register(connection, TABLE, name="decide_named", context=list(KEYS))
    call = "decide_named(principal, action, resource, ip, tags, secret{})"
    assert answers(connection, call.format(", unknown")) == EXPECTED
    known = [D if row[5] == ["AWS:SourceIP"] else None for row in ROWS]
    found = answers(connection, call.format(""))
    assert [one for one, wanted in zip(found, known, strict=True) if wanted] == [D] * 3


def test_sql_over_many_rows_threads_and_filters(connection: Any) -> None:
    connection.execute("CREATE TABLE many AS SELECT i * 1000 + n AS n, * EXCLUDE n "
                       "FROM calls, range(500) r(i)")
    call = f"iam_decide(principal, action, resource, {STRUCT}, unknown)"
    assert answers(connection, call, "many") == EXPECTED * 500
    for threads in (1, 4):
        connection.execute(f"SET threads = {threads}")
        counts = dict(connection.execute(
            f"SELECT {call} d, count(*) FROM many WHERE d <> 'ALLOW' GROUP BY d").fetchall())
        assert counts == {name: EXPECTED.count(name) * 500 for name in (D, E, U)}


def test_sql_with_constants_and_nulls(connection: Any) -> None:
    one = "SELECT iam_decide({})"
    for arguments, wanted in (
        ("NULL, 's3:GetObject', 'arn:aws:s3:::logs/a'", A),
        ("NULL, 's3:GetObject', NULL", U),
        ("NULL, NULL, NULL", U),
        ("NULL, 's3:GetObject', 'arn:aws:s3:::logs/a', NULL, NULL", A),
        ("NULL, 's3:GetObject', 'arn:aws:s3:::logs/a', NULL, ['aws:ResourceTag/secret']", U),
        ("NULL, 's3:PutObject', '*', MAP {'aws:SourceIp': '198.51.100.1'}", A),
        ("NULL, 's3:PutObject', '*', MAP {}", D),
        ("NULL, 's3:GetObject', 'arn:aws:s3:::logs/a', {'aws:ResourceTag/secret': NULL}, []", A),
    ):
        assert connection.execute(one.format(arguments)).fetchall() == [(wanted,)], arguments


def test_sql_where_a_key_is_not_given(connection: Any) -> None:
    import iamtables.duckdb

    call = "iam_decide(principal, action, resource)"
    assert answers(connection, call)[:8] == [A, E, D, U, D, D, D, D]
    iamtables.duckdb.register(connection, TABLE, missing="unknown")  # in place of the first
    assert answers(connection, call)[:3] == [U, E, D]
    iamtables.duckdb.register(connection, TABLE, unknown=["aws:SourceIp"])
    assert answers(connection, call)[4:7] == [U, U, U]


@pytest.mark.parametrize(("arguments", "told"), [
    ("'p', 's3:Get'", "got 2 arguments"),
    ("'p', 's3:Get', '*', {'a': 1}, ['x'], 1", "got 6 arguments"),
    ("'p', 's3:Get', '*', 'text'", "the context is of type `string`"),
    ("'p', 's3:Get', '*', NULL, 'text'", "unknown keys is of type `string`"),
    ("'p', 's3:Get', '*', NULL, [1]", "unknown keys is of type `list<"),
    ("'p', 's3:Get', '*', {'action': 'x'}", "the context has a field `action`"),
    ("'p', 's3:Get', '*', MAP {1: 'x'}", "the keys of the context"),
    ("'p', 's3:Get', '*', MAP {'aws:SourceIp': '1', 'AWS:SourceIp': '2'}", "twice"),
    ("'p', 's3:Get', '*', {'aws:SourceIp': {'x': 1}}", "more than one value"),
])
def test_sql_that_makes_no_sense_is_told_what_is_wrong(
    connection: Any, arguments: str, told: str
) -> None:
    import duckdb

    with pytest.raises(duckdb.Error, match=told):
        connection.execute(f"SELECT iam_decide({arguments})").fetchall()


@pytest.mark.parametrize(("options", "told"), [
    ({"context": "aws:SourceIp"}, "keys of the context are given as"),
    ({"context": ["aws:SourceIp", "action"]}, "the context has a field `action`"),
    ({"context": ["aws:SourceIp", "aws:SourceIp"]}, "two fields `aws:SourceIp`"),
    ({"unknown": "aws:*"}, "unknown keys are given as"),  # not the letters of it, one is `*`
    ({"unknown": [1]}, "unknown keys are given as"),
    ({"missing": "nothing"}, "`missing` cannot be `nothing`"),
])
def test_what_no_query_can_mend_is_told_when_it_is_registered(
    connection: Any, options: dict[str, Any], told: str
) -> None:
    import iamtables.duckdb

    with pytest.raises(iamtables.ColumnError, match=told):
        iamtables.duckdb.register(connection, TABLE, name="other", **options)


TYPES = iamtables.compile(iamtables.parse_policy("""{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "a:Time", "Resource": "*", "Condition":
     {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}},
    {"Effect": "Allow", "Action": "a:Number", "Resource": "*", "Condition":
     {"NumericLessThan": {"s3:max-keys": "10"}}},
    {"Effect": "Allow", "Action": "a:Truth", "Resource": "*", "Condition":
     {"Bool": {"aws:SecureTransport": "true"}}}]}"""))


@pytest.mark.parametrize(("action", "key", "value", "expected"), [
    ("a:Time", "aws:CurrentTime", "TIMESTAMPTZ '2025-12-31 23:30:00-01'", D),
    ("a:Time", "aws:CurrentTime", "TIMESTAMPTZ '2026-01-01 00:30:00+01'", A),
    ("a:Time", "aws:CurrentTime", "TIMESTAMP '2025-12-31 23:59:59'", A),
    ("a:Time", "aws:CurrentTime", "DATE '2026-01-01'", D),
    ("a:Number", "s3:max-keys", "9.5::DECIMAL(5, 2)", A),
    ("a:Number", "s3:max-keys", "'nan'::DOUBLE", D),
    ("a:Number", "s3:max-keys", "9::HUGEINT", A),
    ("a:Number", "s3:max-keys", "18446744073709551615::UBIGINT", D),
    ("a:Truth", "aws:SecureTransport", "true", A),
    ("a:Truth", "aws:SecureTransport", "NULL::BOOLEAN", D),
])
def test_sql_values_of_every_type_are_compared_as_what_they_are(
    connection: Any, action: str, key: str, value: str, expected: str
) -> None:
    import iamtables.duckdb

    iamtables.duckdb.register(connection, TYPES, name="types")
    found = connection.execute(
        f"SELECT types(NULL, '{action}', '*', {{'{key}': {value}}}), "
        f"iam_decide(NULL, 's3:GetObject', 'arn:aws:s3:::logs/a')").fetchall()
    assert found == [(expected, A)]  # two tables on one connection, each by its name


def test_sql_of_rows_whose_context_is_null_and_of_no_rows(connection: Any) -> None:
    rows = """(VALUES ({'aws:TagKeys': ['team']}), (NULL), ({'aws:TagKeys': NULL}),
                      ({'aws:TagKeys': ['x']})) t(c)"""
    found = connection.execute(
        f"SELECT iam_decide(NULL, 's3:TagBucket', '*', c) FROM {rows}").fetchall()
    assert [row[0] for row in found] == [A, A, A, D]  # ForAllValues is true of an absent key
    assert connection.execute(
        f"SELECT iam_decide(NULL, 's3:TagBucket', '*', c) FROM {rows} WHERE false").fetchall() == []
    cursor = connection.cursor()
    assert cursor.execute("SELECT iam_decide(NULL, 's3:TagBucket', '*')").fetchall() == [(A,)]


def test_a_relation_of_duckdb_is_arrow(connection: Any) -> None:
    relation = connection.sql("SELECT action, resource, ip AS \"aws:SourceIp\" FROM calls "
                              "ORDER BY n")
    expected = TABLE.decide(columns().select(["action", "resource", "ip"])
                            .rename_columns(["action", "resource", "aws:SourceIp"]))
    assert TABLE.decide(relation).decision.tolist() == expected.decision.tolist()
    back = connection.sql("SELECT decision FROM answers") if connection.register(
        "answers", TABLE.decide(relation).to_arrow()) else None
    assert back is not None
    assert [row[0] for row in back.fetchall()] == [NAMES[code] for code in expected.decision]


def test_sql_over_several_layers_asks_who_and_whose() -> None:
    """Who owns a bucket, no ARN tells: its owner decides whether the identity policy is enough."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    import iamtables.duckdb

    table = iamtables.compile_layers(identity=[POLICY])
    assert table.is_layered
    connection = duckdb.connect()
    iamtables.duckdb.register(connection, table)
    for context, owner in (("{{'resource_account': {}}}", True), ("MAP {{'resource_account': {}}}",
                                                                  True), ("NULL", False)):
        for account in ("111122223333", "444455556666", None):
            expected = table.decide(
                principal=PRINCIPAL, action="s3:GetObject", resource=["arn:aws:s3:::logs/a"],
                resource_account=account if owner else None)
            shown = "NULL::VARCHAR" if account is None else f"'{account}'"
            (found,) = connection.execute(
                f"SELECT iam_decide('{PRINCIPAL}', 's3:GetObject', 'arn:aws:s3:::logs/a', "
                f"{context.format(shown)})").fetchone()
            assert found == NAMES[expected.decision[0]], (context, account)
    own, other = (table.check(principal=PRINCIPAL, action="s3:GetObject",
                              resource="arn:aws:s3:::logs/a", resource_account=account).decision
                  for account in ("111122223333", "444455556666"))
    assert own != other


# --- Polars

@needs("polars")
@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("form", ["columns", "struct", "categories"])
def test_polars_decides_in_eager_lazy_and_streaming_queries(mode: str, form: str) -> None:
    import polars as pl

    import iamtables.polars

    frame: Any = pl.concat([pl.DataFrame(columns())] * 50)
    if form == "categories":
        frame = frame.with_columns(pl.col("action", "resource", "ip").cast(pl.Categorical))
    context: Any = KEYS
    if form == "struct":
        context = pl.struct(**{key: pl.col(name) for key, name in KEYS.items()})
    expression = iamtables.polars.decide(
        TABLE, principal="principal", action="action", resource=pl.col("resource"),
        context=context, unknown="unknown")
    if mode == "eager":
        out = frame.with_columns(expression)
    else:
        query = frame.lazy().with_columns(expression)
        assert query.collect_schema()["decision"] == pl.Enum(NAMES)
        out = query.collect(engine="streaming" if mode == "streaming" else "auto")
    assert out["decision"].to_list() == EXPECTED * 50
    denied = frame.lazy().with_columns(expression).filter(pl.col("decision") != A).select(pl.len())
    assert denied.collect().item() == sum(one != A for one in EXPECTED) * 50


@needs("polars")
def test_polars_without_resource_context_and_rows() -> None:
    import polars as pl

    import iamtables.polars

    frame = pl.DataFrame({"a": ["s3:GetObject", "ec2:X", None]})
    found = frame.select(iamtables.polars.decide(TABLE, action="a"))["decision"].to_list()
    assert found == [U, D, U]
    whole = frame.select(iamtables.polars.decide(TABLE, action="a", resource=pl.lit("*"),
                                                 missing="unknown"))
    assert whole["decision"].to_list() == [D, D, U]
    assert frame.head(0).select(iamtables.polars.decide(TABLE, action="a")).height == 0
    with pytest.raises(iamtables.ColumnError, match="more than one value"):
        frame.select(iamtables.polars.decide(
            TABLE, action="a", context={"aws:SourceIp": pl.struct(x="a")}))


@needs("polars")
def test_polars_gives_out_categories_by_the_texts_a_column_met() -> None:
    """Numbers of categories are Polars's own, shared, cut at any row and sometimes above nulls."""
    import polars as pl

    from iamtables.polars_categories import GrowingDictionary

    rng = np.random.default_rng(5)
    few = pl.Categories("few", physical=pl.UInt8)
    kinds: list[Any] = [pl.Categorical(), pl.Enum([f"e{i}" for i in range(400)]),
                        pl.Categorical(few)]
    pl.Series([f"other {i}" for i in range(1000)], dtype=pl.Categorical())
    for kind, limit in zip(kinds, (5000, 400, 200), strict=True):
        texts = [None if rng.random() < 0.4 else f"e{i}"
                 for i in rng.integers(0, limit, 3000)]
        whole = pl.Series("a", texts, dtype=kind)
        growing = GrowingDictionary()
        ends = [0, 1, 9, 9, 700, 701, 2113, 3000]
        sizes = []
        for start, end in pairwise(ends):
            found = growing.encode(whole[start:end])
            found.validate(full=True)
            assert found.to_pylist() == texts[start:end]
            sizes.append(len(found.dictionary))
            assert len(set(found.dictionary.to_pylist())) == sizes[-1]
        assert sizes == sorted(sizes) and sizes[-1] == len({*texts} - {None})
        chunks = pl.concat([whole[:100], whole[2000:2100]], rechunk=False)
        assert growing.encode(chunks).to_pylist() == texts[:100] + texts[2000:2100]
        assert growing.encode(pl.Series([None, None], dtype=kind)).to_pylist() == [None, None]


@needs("polars")
def test_polars_numbers_keep_their_texts_while_they_are_remembered() -> None:
    """Polars forgets categories that nobody holds, and gives their numbers to other texts."""
    import polars as pl

    from iamtables.polars_categories import GrowingDictionary

    growing = GrowingDictionary()
    for name in ("one", "two", "one"):
        kind = pl.Categorical(pl.Categories(f"iamtables {name}"))
        for texts in (["a", "b"], ["c", "a"], ["d"]):
            assert growing.encode(pl.Series(texts, dtype=kind)).to_pylist() == texts


# --- pandas

@needs("pandas")
@pytest.mark.parametrize("kind", ["text", "category", "object"])
def test_pandas_decides_and_keeps_the_index(kind: str) -> None:
    import iamtables.pandas

    frame = columns().to_pandas().set_index("n").iloc[::-1]
    texts = ["principal", "action", "resource", "ip", "secret"]
    if kind != "text":
        frame = frame.astype(dict.fromkeys(texts, kind))
    found = iamtables.pandas.decide(frame, TABLE, context=KEYS, unknown="unknown")
    assert found.index.tolist() == list(range(len(ROWS)))[::-1]
    assert found.sort_index().tolist() == EXPECTED
    assert found.dtype.name == "category" and found.cat.categories.tolist() == NAMES
    named = frame.rename(columns={name: key for key, name in KEYS.items()})
    assert named.iam.decide(TABLE, unknown="unknown").equals(found)
    series = iamtables.pandas.decide(frame, TABLE, action=frame["action"], context={
        key: frame[name] for key, name in KEYS.items()}, unknown=frame["unknown"])
    assert series.equals(found)


@needs("pandas")
def test_pandas_refuses_a_text_where_names_are_listed() -> None:
    import pandas as pd

    import iamtables.pandas

    frame = pd.DataFrame({"action": ["s3:GetObject", "ec2:X"], "resource": "*"})
    for options in ({"unknown": ["aws:ResourceTag/*", None]}, {"unknown_keys": "aws:*"},
                    {"context": "resource"}):
        with pytest.raises(iamtables.ColumnError, match="are given as"):
            iamtables.pandas.decide(frame, TABLE, **options)


@needs("pandas")
def test_pandas_kinds_of_columns_and_nulls() -> None:
    import pandas as pd

    import iamtables.pandas  # noqa: F401, the accessor

    texts = ["s3:GetObject", "s3:GetObject", None]
    resources = ["arn:aws:s3:::logs/a", None, "*"]
    for kind in ("str", "string[python]", "string[pyarrow]", pd.ArrowDtype(pa.string()),
                 pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())), object):
        frame = pd.DataFrame({"action": pd.Series(texts, dtype=kind),
                              "resource": pd.Series(resources, dtype=kind)}).set_axis([4, 4, 0])
        assert frame.iam.decide(TABLE).tolist() == [A, U, U], kind
    unused = pd.CategoricalDtype(["zz", "s3:GetObject", "arn:aws:s3:::logs/a", "*"])
    assert frame.astype(unused).iam.decide(TABLE).tolist() == [A, U, U]
    times = pd.to_datetime(
        ["2025-12-31 23:30Z", "2026-01-01 00:00Z", None]).tz_convert("Asia/Tokyo")
    frame = pd.DataFrame({"action": "a:Time", "resource": "*", "aws:CurrentTime": times})
    assert frame.iam.decide(TYPES).tolist() == [A, D, D]
    frame = pd.DataFrame({"action": "a:Number", "resource": "*",
                          "s3:max-keys": pd.array([5, 10, pd.NA], dtype="Int64")})
    assert frame.iam.decide(TYPES).tolist() == [A, D, D]
    missing = pd.DataFrame({"action": pd.Series(["s3:GetObject", pd.NA], dtype=object),
                            "resource": pd.Series([float("nan"), pd.NA], dtype=object)})
    assert missing.iam.decide(TABLE).tolist() == [U, U]


@needs("pandas")
def test_pandas_categories_are_looked_at_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    import iamtables.pandas
    from iamtables.runtime.arrow import ArrowCodes, ArrowTexts
    from iamtables.runtime.columns import CodedColumn

    bound: list[str] = []
    for kind in (ArrowCodes, ArrowTexts, CodedColumn):
        def bind(self: Any, *arguments: Any, kind: Any = kind, bind: Any = kind.bind) -> Any:
            bound.append(kind.__name__)
            return bind(self, *arguments)

        monkeypatch.setattr(kind, "bind", bind)
    frame = pd.DataFrame({"action": ["s3:GetObject"] * 9, "resource": ["*"] * 9}).astype("category")
    assert iamtables.pandas.decide(frame, TABLE).tolist() == [D] * 9
    assert bound and "ArrowTexts" not in bound


@needs("pandas")
def test_pandas_without_resource_with_scalars_and_wrong_names() -> None:
    import pandas as pd

    import iamtables.pandas

    frame = pd.DataFrame({"action": ["s3:GetObject", "ec2:X"]}, index=[7, 3])
    assert frame.iam.decide(TABLE).to_dict() == {7: U, 3: D}
    assert frame.iam.decide(TABLE, resource=["arn:aws:s3:::logs/a"] * 2).tolist() == [A, D]
    assert frame.iam.decide(TABLE, unknown_keys=["aws:ResourceTag/*"], resource=[
        "arn:aws:s3:::logs/a"] * 2).tolist() == [U, D]
    assert frame.iloc[:0].iam.decide(TABLE).tolist() == []
    for wrong in ({"action": "x"}, {"resource": "x"}, {"context": ["aws:SourceIp"]}):
        with pytest.raises(iamtables.ColumnError, match="the frame has no column"):
            frame.iam.decide(TABLE, **wrong)


# --- what they share

def test_maps_become_columns_also_sliced_and_below_nulls() -> None:
    kind = pa.map_(pa.string(), pa.string())
    rows = [[("k", "0")], [("a", "1"), ("B", "2")], None, [], [("b", "3")], [("A", "4"), ("c", "")]]
    whole = pa.array(rows, kind)
    for start in (0, 1, 4):
        found = map_columns(whole.slice(start), frozenset({"a", "b"}))
        got = {name.lower(): column.to_pylist() for name, column in found.items()}
        wanted = {"a": [None, "1", None, None, None, "4"], "b": [None, "2", None, None, "3", None]}
        assert got == {name: column[start:] for name, column in wanted.items()}
    # a null whose offsets span entries that are not its own
    hidden = pa.MapArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array(["a", "a"]), pa.array(["x", "y"]),
        mask=pa.array([True, False]))
    assert map_columns(hidden)["a"].to_pylist() == [None, "y"]
    assert map_columns(whole.slice(2, 2)) == {}
    with pytest.raises(iamtables.ColumnError, match="row 1 has the key `A` twice"):
        map_columns(pa.array([[], [("a", "1"), ("A", "2")]], kind))


def test_unknown_keys_of_rows_become_masks() -> None:
    lists = pa.array([["x"], ["a", "b/*"], None, [], ["a", "a"], [None, "b/*"]],
                     pa.list_(pa.string()))
    masks = {name: np.flatnonzero(mask).tolist() for name, mask in
             unknown_masks(lists.slice(1)).items()}
    assert masks == {"a": [0, 3], "b/*": [0, 4]}
    assert unknown_masks(None) == unknown_masks(pa.nulls(3)) == {}


def test_one_decider_serves_many_threads() -> None:
    from iamtables.engine_columns import Decider

    decider = Decider(TABLE)
    given = columns()
    found: list[list[int]] = []

    def work() -> None:
        for _ in range(20):
            out = decider.decide(
                principal=None, action=given["action"], resource=given["resource"],
                context={key: given[name] for key, name in KEYS.items()},
                unknown=given["unknown"])
            found.append(out.decision.tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[NAMES.index(name) for name in EXPECTED]] * 80


def test_threads_take_a_session_in_turn_while_that_is_cheaper(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    from iamtables import engine_columns

    sessions = engine_columns.Sessions(TABLE)
    first = sessions.take()
    given: list[Any] = []
    waiter = threading.Thread(target=lambda: given.append(sessions.take()))
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive() and not given  # nobody waited for long: no second session yet
    sessions.give_back(first)
    waiter.join(20)
    assert given == [first]
    monkeypatch.setattr(engine_columns, "PATIENCE_S", 0.0)
    second = sessions.take()  # all patience is gone, and the first is still out
    assert second is not first
    sessions.give_back(first)
    sessions.give_back(second)
    assert sessions.take() is second and sessions.take() is first


def test_a_call_that_fails_gives_its_session_back() -> None:
    from iamtables.engine_columns import Decider

    decider = Decider(TABLE)
    for _ in range(3):
        with pytest.raises(iamtables.ColumnError):
            decider.decide(principal=None, action=pa.array([1.5]), resource=pa.array(["*", "*"]))
    out = decider.decide(principal=None, action=pa.array(["ec2:X"]), resource=pa.array(["*"]))
    assert out.decision.tolist() == [NAMES.index(D)]


def test_batches_of_one_session_may_differ_in_their_columns() -> None:
    """What names of columns mean is remembered, for these names alone."""
    given = columns().slice(4, 5)  # s3:PutObject, where the address decides
    action, resource, ip = given["action"], given["resource"], given["ip"]
    never = pa.nulls(5, pa.string())
    known, absent, unknown = [A, D, D, D, D], [D] * 5, [U] * 5
    cases: list[tuple[dict[str, Any], dict[str, Any], str, list[str], tuple[str, ...]]] = [
        ({"aws:SourceIp": ip}, {}, "absent", known, ("aws:TagKeys", "aws:ResourceTag/secret")),
        ({"AWS:SOURCEIP": ip}, {}, "absent", known, ("aws:TagKeys", "aws:ResourceTag/secret")),
        ({}, {}, "absent", absent, ("aws:SourceIp", "aws:TagKeys", "aws:ResourceTag/secret")),
        ({"aws:TagKeys": never}, {}, "absent", absent, ("aws:SourceIp", "aws:ResourceTag/secret")),
        ({}, {"aws:Source*": True}, "absent", unknown, ("aws:TagKeys", "aws:ResourceTag/secret")),
        ({}, {"aws:Source*": False}, "absent", absent,
         ("aws:SourceIp", "aws:TagKeys", "aws:ResourceTag/secret")),
        ({}, {}, "unknown", unknown, ("aws:SourceIp", "aws:TagKeys", "aws:ResourceTag/secret")),
    ]
    with TABLE.session() as session:
        for context, masks, missing, expected, not_supplied in cases * 2:
            out = session.decide(action=action, resource=resource, context=context, unknown=masks,
                                 missing=missing)
            assert [NAMES[code] for code in out.decision] == expected, (context, masks, missing)
            assert set(out.not_supplied) == set(not_supplied)
        for _ in range(2):
            with pytest.raises(iamtables.ColumnError, match="is given twice"):
                session.decide(action=action, resource=resource, context={
                    "aws:SourceIp": ip, "AWS:SourceIp": ip})
            with pytest.raises(iamtables.ColumnError, match="which is not given"):
                session.decide(action=action, resource=resource, missing="error")
        for number in range(200):  # more names than are remembered
            out = session.decide(action=action, resource=resource, context={f"x:{number}": ip})
        assert out.decision.tolist() == [NAMES.index(D)] * 5


def test_a_slice_of_lists_is_read_without_the_others() -> None:
    """Engines cut a column of lists into slices that share their elements."""
    from iamtables.runtime import arrow

    rows = [["team"] * i if i % 3 else None for i in range(1_000)]
    for kind in (pa.list_(pa.string_view()), pa.list_(pa.dictionary(pa.int32(), pa.string()))):
        whole = pa.array(rows, kind)
        for start, count in ((0, 1_000), (500, 3), (997, 3), (3, 0)):
            part = whole.slice(start, count)
            column = arrow.from_arrow(part, "x")
            assert [column.value(row) for row in range(count)] == rows[start : start + count]
            trimmed = arrow._trimmed(part)
            assert trimmed.equals(part)
            assert len(trimmed.values) == sum(len(row or ()) for row in rows[start : start + count])
    inside = pa.Array.from_buffers(
        pa.list_(pa.string_view()), 3, [None, pa.py_buffer(np.array([2, 99, 4, 5], np.int32))],
        children=[pa.array(["a"] * 9, pa.string_view())])
    with pytest.raises(iamtables.ColumnError):
        arrow.from_arrow(inside, "x")


@pytest.mark.parametrize(("module", "call"), [
    ("duckdb", "import iamtables.duckdb as m; m.register(None, None)"),
    ("polars", "import iamtables.polars as m; m.decide(None, action='a')"),
    ("pandas", "import iamtables.pandas"),
])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(module: str, call: str) -> None:
    code = f"""
import sys
sys.modules[{module!r}] = None
import iamtables
try:
    {call.replace("; ", chr(10) + "    ")}
except iamtables.MissingExtraError as error:
    print(error.extra, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          timeout=60)
    assert done.stdout.startswith(f"{module} error[IT080]: ")
    assert f"pip install 'iamtables[{module}]'" in done.stdout
