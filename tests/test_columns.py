"""Whatever form a column comes in, `decide` answers as a loop of `check` over its values does."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import iamtables
from iamtables import DecisionCode, DictionaryColumn
from iamtables.runtime import UNKNOWN, session, typed
from iamtables.runtime.literals import read_number
from iamtables.runtime.values import PER_SECOND, instant_text

_FUZZ = Path(__file__).with_name("column_fuzz.py")
_HAS_PANDAS = importlib.util.find_spec("pandas") is not None

pandas_only = pytest.mark.skipif(not _HAS_PANDAS, reason="pandas is not installed")

Form = Callable[[Sequence[Any]], Any]


def compiled(*statements: dict[str, Any]) -> iamtables.Table:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return iamtables.compile(iamtables.parse_policy(json.dumps(document)))


def when(effect: str, action: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", "Condition": condition}


TABLE = compiled(
    {"Effect": "Allow", "Action": ["s3:Get*", "s3:\u00e9*"],
     "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::${k:s}/*"]},
    when("Deny", "s3:GetSecret*", StringLike={"k:s": ["x*", "*\u00e9", "?"]}),
    when("Allow", "k:Text", StringEquals={"k:s": ["x", "5", "true", "1.0", "\u00e9", ""]}),
    when("Allow", "k:Null", Null={"k:s": "true"}),
    when("Allow", "k:Any", **{"ForAnyValue:StringEquals": {"k:m": ["x", "5", "true"]}}),
    when("Allow", "k:All", **{"ForAllValues:StringLike": {"k:m": ["x", "y*", ""]}}),
    when("Allow", "k:Plain", StringEquals={"k:m": "x"}),
)  # fmt: skip


def loop(table: iamtables.Table, rows: int, **columns: Any) -> list[int]:
    """Decisions of one `check` per row; a malformed action or resource is UNDETERMINED."""
    context = {key: values for key, values in columns.items() if ":" in key}
    decisions = []
    for row in range(rows):
        asked = {key: values[row] for key, values in context.items()}
        unknown = [key for key, value in asked.items() if value is UNKNOWN]
        try:
            decision = table.check(
                action=columns["action"][row], resource=columns["resource"][row],
                context={k: v for k, v in asked.items() if v is not UNKNOWN}, unknown=unknown,
            )  # fmt: skip
            decisions.append(int(decision.decision))
        except iamtables.RequestError:
            decisions.append(int(DecisionCode.UNDETERMINED))
    return decisions


def repeat(value: Any, n: int) -> list[Any]:
    return [value] * n


# --- forms of text ------------------------------------------------------------------------------

ACTIONS = ("s3:GetObject", "s3:GetSecretX", "S3:getobject", "ec2:Run", "bad", "s3:\u00e9", "",
           "s3:GetObject", "s3:Get Object")  # fmt: skip
RESOURCES = ("arn:aws:s3:::b/a", "*", None, "arn:aws:s3:::xx/\U0001f600", "no-arn",
             "arn:aws:s3:::b/a", "", "arn:aws:s3:::\u00e9/\u00e9", "arn:::::")  # fmt: skip
TEXTS = ("x", None, "", "\u00e9", "xx", "x\u00e9" * 300, "5", "x", "true")
ROWS = len(TEXTS)


class OnlyArray:
    """A foreign object that speaks nothing but `__arrow_c_array__`."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self._array.__arrow_c_array__(requested_schema)


class OnlyStream:
    """A foreign object that speaks nothing but `__arrow_c_stream__`."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._chunks.__arrow_c_stream__(requested_schema)


def sliced(make: Form) -> Form:
    """The same values behind an offset that is no multiple of eight."""
    return lambda values: make([*values[:5], *values, *values[:2]]).slice(5, len(values))


def chunked(make: Form) -> Form:
    return lambda values: pa.chunked_array(
        [make(values[:2]), make(values[2:2]), make(values[2:])])  # fmt: skip


def of_type(kind: Any) -> Form:
    return lambda values: pa.array(list(values), kind)


def dictionary(index: Any, kind: Any = None, *, null_in_dictionary: bool = False) -> Form:
    """Codes of the given type; nulls are codes that are null, or point to a null."""

    def make(values: Sequence[Any]) -> Any:
        words = list(dict.fromkeys(v for v in values if v is not None))
        codes = [None if v is None else words.index(v) for v in values]
        if null_in_dictionary:
            words.append(None)
            codes = [len(words) - 1 if c is None and i % 2 else c for i, c in enumerate(codes)]
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, index), pa.array(words, kind or pa.string()))  # fmt: skip

    return make


def coded(values: Sequence[Any]) -> DictionaryColumn:
    words: list[Any] = [v for v in dict.fromkeys(map(str, values)) if v != "None"]
    codes = [-1 if v is None else words.index(str(v)) for v in values]
    return DictionaryColumn(np.array(codes, np.int32), words)


def own_class(values: Sequence[Any]) -> Any:
    """A class of somebody else with the attributes of a DictionaryColumn."""
    made = coded(values)
    return type("Coded", (), {"codes": made.codes, "values": made.values})()


INDEXES = (pa.int8(), pa.int16(), pa.int32(), pa.int64(),
           pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())  # fmt: skip
TEXT_KINDS = (pa.string(), pa.large_string(), pa.string_view())

_ARROW: dict[str, Form] = {str(kind): of_type(kind) for kind in TEXT_KINDS}
_ARROW |= {f"dictionary-{index}": dictionary(index) for index in INDEXES}
_ARROW |= {
    f"dictionary-null-{kind}": dictionary(pa.int16(), kind, null_in_dictionary=True)
    for kind in TEXT_KINDS
}
_ARROW["run-ends"] = lambda values: pa.RunEndEncodedArray.from_arrays(
    pa.array(range(1, len(values) + 1), pa.int32()), pa.array(list(values), pa.string()))

FORMS: dict[str, Form] = {
    "list": list,
    "tuple": tuple,
    "object": lambda values: np.array(values, dtype=object),
    "object-strided": lambda values: np.array([v for v in values for _ in "ab"], object)[::2],
    "masked": lambda values: np.ma.array(
        [v or "" for v in values], mask=[v is None for v in values], dtype=object),
    "coded": coded,
    "coded-int8": lambda values: DictionaryColumn(
        coded(values).codes.astype(np.int8), coded(values).values),
    "coded-strided": lambda values: DictionaryColumn(
        np.repeat(coded(values).codes, 2)[::2], np.array(coded(values).values)),
    "own-class": own_class,
    "arrow-scalars-of-python": lambda values: [None if v is None else np.str_(v) for v in values],
}  # fmt: skip
for _name, _make in _ARROW.items():
    FORMS[f"arrow-{_name}"] = _make
    FORMS[f"array-{_name}"] = lambda values, make=_make: OnlyArray(make(values))
    FORMS[f"stream-{_name}"] = lambda values, make=_make: OnlyStream(
        pa.chunked_array([make(values)]))
    if _name != "run-ends":
        FORMS[f"sliced-{_name}"] = sliced(_make)
        FORMS[f"chunked-{_name}"] = chunked(_make)
        FORMS[f"sliced-array-{_name}"] = lambda values, make=_make: OnlyArray(sliced(make)(values))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ["action", "resource", "k:s"])
def test_every_form_of_text_decides_as_the_loop(role: str, form: str) -> None:
    columns: dict[str, Any] = {
        "action": repeat("s3:GetSecretObject", ROWS),
        "resource": repeat("arn:aws:s3:::x/y", ROWS),
        "k:s": repeat("x", ROWS),
    }
    columns[role] = {"action": ACTIONS, "resource": RESOURCES, "k:s": TEXTS}[role]
    for action in ("s3:GetSecretObject", "s3:GetObject", "k:Text", "k:Null"):
        if role != "action":
            columns["action"] = repeat(action, ROWS)
        expected = loop(TABLE, ROWS, **columns)
        given = {**columns, role: FORMS[form](columns[role])}
        context = {"k:s": given.pop("k:s")}
        decisions = TABLE.decide(**given, context=context)
        assert decisions.decision.tolist() == expected
        for row in range(ROWS):
            seen = decisions.request(row)
            assert seen.action == columns["action"][row]
            assert seen.resource == columns["resource"][row]
            assert seen.context.get("k:s") == columns["k:s"][row]


def test_fixed_width_numpy_text_decides_as_the_loop() -> None:
    resources = [text for text in RESOURCES if text is not None]
    expected = loop(TABLE, len(resources), action=repeat("s3:GetObject", len(resources)),
                    resource=resources)  # fmt: skip
    for given in (np.array(resources), np.array(resources, "<U400"), np.array(resources, ">U40")):
        assert TABLE.decide(action="s3:GetObject", resource=given).decision.tolist() == expected


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="this numpy has no StringDType")
def test_variable_width_numpy_text_decides_as_the_loop() -> None:
    given = np.array(RESOURCES, dtype=np.dtypes.StringDType(na_object=None))
    expected = loop(TABLE, ROWS, action=repeat("s3:GetObject", ROWS), resource=RESOURCES)
    assert TABLE.decide(action="s3:GetObject", resource=given).decision.tolist() == expected


@pandas_only
@pytest.mark.parametrize(
    "dtype", ["object", "category", "string", "string[pyarrow]", "large_string[pyarrow]"])
def test_pandas_text_decides_as_the_loop(dtype: str) -> None:
    import pandas as pd

    expected = loop(TABLE, ROWS, action=repeat("k:Text", ROWS), resource=repeat("*", ROWS),
                    **{"k:s": TEXTS})  # fmt: skip
    series = pd.Series(list(TEXTS), dtype=dtype)
    given = [series, series.array, pd.Index(series), series[::-1].reset_index(drop=True)[::-1]]
    if dtype == "category":
        given.append(pd.Categorical(list(TEXTS)))
    for form in given:
        decisions = TABLE.decide(action="k:Text", resource="*", context={"k:s": form})
        assert decisions.decision.tolist() == expected


@pandas_only
def test_a_pandas_frame_stands_for_all_columns() -> None:
    import pandas as pd

    frame = pd.DataFrame({"action": ACTIONS, "resource": RESOURCES, "k:s": TEXTS})
    expected = loop(TABLE, ROWS, action=ACTIONS, resource=RESOURCES, **{"k:s": TEXTS})
    assert TABLE.decide(frame).decision.tolist() == expected


# --- numbers, booleans, times, lists ------------------------------------------------------------

VALUES = (5, True, "5", "true", decimal.Decimal("1.0"), decimal.Decimal("1.00"), 1.0, 1, None,
          float("nan"), -0.0, 0.0, np.int8(5), np.bool_(True), np.float64(5), False,
          dt.datetime(2024, 1, 1), dt.date(2024, 1, 1), 10**30, np.datetime64("2024-01-01"),
          np.datetime64("NaT"))  # fmt: skip


def test_values_of_mixed_type_are_told_apart_by_their_text() -> None:
    values = [None if v is not None and v != v else v for v in VALUES]
    rows = len(values)
    expected = loop(TABLE, rows, action=repeat("k:Text", rows), resource=repeat("*", rows),
                    **{"k:s": values})  # fmt: skip
    assert len(set(expected)) == 2
    for order in (1, -1):
        for given in (list(VALUES)[::order], np.array(VALUES, object)[::order]):
            decisions = TABLE.decide(action="k:Text", resource="*", context={"k:s": given})
            assert decisions.decision.tolist() == expected[::order]


@pytest.mark.parametrize("form", [
    np.array, of_type(pa.bool_()), sliced(of_type(pa.bool_())), chunked(of_type(pa.bool_())),
    lambda values: np.ma.array(values), dictionary(pa.int8(), pa.bool_()),
])  # fmt: skip
def test_booleans_are_the_texts_true_and_false(form: Form) -> None:
    values = [True, False, True, True, False, False, True, False, True]
    expected = loop(TABLE, ROWS, action=repeat("k:Text", ROWS), resource=repeat("*", ROWS),
                    **{"k:s": values})  # fmt: skip
    decisions = TABLE.decide(action="k:Text", resource="*", context={"k:s": form(values)})
    assert decisions.decision.tolist() == expected


LISTS = (["x"], ["x", "y"], [], None, ["5", "true"], ["y", "", "yy"], ["x", None, "z"], ["z"],
         [None], ["\u00e9"] * 200)  # fmt: skip
_LIST_KINDS = [
    make(inner)
    for make in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)
    for inner in (*TEXT_KINDS, pa.dictionary(pa.int8(), pa.string()),
                  pa.dictionary(pa.int32(), pa.large_string()))
]  # fmt: skip
LIST_FORMS: dict[str, Form] = {
    "lists": list,
    "tuples": lambda values: [None if v is None else tuple(v) for v in values],
    "generators-of-sets": lambda values: [None if v is None else frozenset(v) for v in values],
    "arrays": lambda values: [None if v is None else np.array(v, object) for v in values],
    "object": lambda values: _object_array(values),
    "coded": lambda values: DictionaryColumn(
        np.array([-1 if v is None else i for i, v in enumerate(values)]),
        [v or [] for v in values]),
    **{str(kind): of_type(kind) for kind in _LIST_KINDS},
    **{f"sliced-{kind}": sliced(of_type(kind)) for kind in _LIST_KINDS},
    **{f"chunked-{kind}": chunked(of_type(kind)) for kind in _LIST_KINDS},
    **{f"array-{kind}": lambda values, kind=kind: OnlyArray(sliced(of_type(kind))(values))
       for kind in _LIST_KINDS},
}  # fmt: skip


def _object_array(values: Sequence[Any]) -> Any:
    array = np.empty(len(values), object)
    for at, value in enumerate(values):
        array[at] = value
    return array


@pytest.mark.parametrize("form", LIST_FORMS)
def test_every_form_of_list_decides_as_the_loop(form: str) -> None:
    rows = len(LISTS)
    for action in ("k:Any", "k:All", "k:Plain"):
        expected = loop(TABLE, rows, action=repeat(action, rows), resource=repeat("*", rows),
                        **{"k:m": LISTS})  # fmt: skip
        decisions = TABLE.decide(
            action=action, resource="*", context={"k:m": LIST_FORMS[form](LISTS)})
        assert decisions.decision.tolist() == expected


@pytest.mark.parametrize("kind", [pa.int64(), pa.bool_(), pa.null(), pa.float64()])
def test_lists_of_numbers_and_booleans_are_lists_of_their_texts(kind: Any) -> None:
    values = [[5], [], None, [True, 5], [None]] if kind != pa.null() else [[None], [], None]
    if kind == pa.bool_():
        values = [[True], [False, True], None]
    expected = loop(TABLE, len(values), action=repeat("k:Any", len(values)),
                    resource=repeat("*", len(values)),
                    **{"k:m": [v if v is None else [float(e) if kind == pa.float64() else e
                                                    for e in v if e is not None]
                               for v in values]})  # fmt: skip
    if kind == pa.int64():
        values = [v if v is None else [int(e) for e in v if e is not None] for v in values]
        expected[3] = int(DecisionCode.ALLOW)
    given = pa.array(values, pa.list_(kind))
    decisions = TABLE.decide(action="k:Any", resource="*", context={"k:m": given})
    assert decisions.decision.tolist() == expected


def test_a_fixed_size_list_is_a_list() -> None:
    given = pa.array([["x", "y"], ["z", None], None], pa.list_(pa.string(), 2))
    decisions = TABLE.decide(action="k:Any", resource="*", context={"k:m": given})
    assert decisions.decision.tolist() == [1, 0, 0]


def test_a_null_column_is_absent_in_every_row() -> None:
    for given in (pa.nulls(3), pa.nulls(5).slice(1, 3), [None] * 3, pa.nulls(3, pa.string()),
                  np.full(3, np.datetime64("NaT")), np.full(3, np.nan)):  # fmt: skip
        decisions = TABLE.decide(action="k:Null", resource="*", context={"k:s": given})
        assert decisions.decision.tolist() == [1, 1, 1]


@pytest.mark.parametrize("value", [
    "x", 5, True, 1.0, None, np.int64(5), np.str_("x"), np.array("x"), np.array(5),
    decimal.Decimal("1.0"), dt.datetime(2024, 1, 1), np.datetime64("2024-01-01"), UNKNOWN,
    pa.scalar("x"), pa.scalar(5), pa.scalar(None), float("nan"), np.datetime64("NaT"),
])  # fmt: skip
def test_a_scalar_stands_for_every_row(value: Any) -> None:
    plain = value.as_py() if isinstance(value, pa.Scalar) else value
    if plain is not None and plain is not UNKNOWN and plain != plain:
        plain = None
    expected = loop(TABLE, 3, action=repeat("k:Text", 3), resource=repeat("*", 3),
                    **{"k:s": repeat(plain, 3)})  # fmt: skip
    decisions = TABLE.decide(action=["k:Text"] * 3, resource="*", context={"k:s": value})
    assert decisions.decision.tolist() == expected


def test_scalars_alone_are_one_row() -> None:
    assert TABLE.decide(action="s3:GetObject", resource="arn:aws:s3:::b/a").decision.tolist() == [1]


# --- numbers and times without texts ------------------------------------------------------------

_NUMERIC = ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
            "NumericGreaterThan", "NumericGreaterThanEquals")  # fmt: skip
_OPERANDS = (
    "0", "-0", "1", "-1", "1.5", "-1.5", ".5", "1.", "+3", "1e1", "1E-1", "10e-1", "0e99999999",
    "127", "128", "-128", "255", "9223372036854775807", "9223372036854775808",
    "9223372036854775806.5", "-9223372036854775808", "-9223372036854775809",
    "-9223372036854775808.0000000000000000000000001", "1e18", "1e19", "-1e19", "1e400", "-1e400",
    "1e-400", "-1e-400", "1e401", "-1e1000000", "1e999999999999", "-1e-999999999999",
    "0." + "0" * 5000 + "1", "9" * 5000, "0" * 5000 + "5", "x", "", "1x", "NaN", "0x10",
)  # fmt: skip
_INTEGERS = (0, 1, -1, 2, 3, 5, 10, 127, -128, 128, 255, 32767, -32768, 65535, 2**31 - 1, -(2**31),
             2**32 - 1, 2**53 + 1, 10**18, 2**63 - 1, 2**63 - 2, -(2**63),
             -(2**63) + 1)  # fmt: skip


def numeric_table(operators: Sequence[str], operands: Sequence[Any]) -> iamtables.Table:
    """One key per operand, so that an operand the fast path declines does not hide the others."""
    return compiled(*(
        when("Allow", f"t:{operator}{number}", **{operator: {f"k:v{number}": operand}})
        for number, operand in enumerate(operands)
        for operator in operators
    ))  # fmt: skip


def asked_of_all(table: iamtables.Table, form: Any, rows: int, operators: Sequence[str],
                 operands: Sequence[Any], **options: Any) -> dict[str, list[int]]:
    """Decisions by action, of one column under every key."""
    out = {}
    for number in range(len(operands)):
        context = {f"k:v{number}": form}
        unknown = {f"k:v{number}": options["mask"]} if "mask" in options else None
        for operator in operators:
            decisions = table.decide(action=[f"t:{operator}{number}"] * rows, resource="*",
                                     context=context, unknown=unknown)  # fmt: skip
            out[f"{operator} {str(operands[number])[:40]}"] = decisions.decision.tolist()
    return out


@pytest.fixture
def typed_answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each predicate on a typed column: was it answered without texts?"""
    answers: list[bool] = []

    def spy(*args: Any) -> Any:
        truth = typed.typed_truth(*args)
        answers.append(truth is not None)
        return truth

    monkeypatch.setattr(session, "typed_truth", spy)
    return answers


def _integer_forms() -> dict[str, Any]:
    forms: dict[str, Any] = {}
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        info = np.iinfo(name)
        values = [v for v in _INTEGERS if info.min <= v <= info.max]
        forms[f"numpy-{name}"] = values, np.array(values, name)
        forms[f"swapped-{name}"] = values, np.array(values, np.dtype(name).newbyteorder())
        forms[f"arrow-{name}"] = values, pa.array(values, name)
        with_null = [None, *values[1:], None]
        forms[f"arrow-null-{name}"] = with_null, pa.array(with_null, name)
        forms[f"arrow-sliced-{name}"] = (
            with_null, pa.array([7, None, 7, *with_null, 7], name).slice(3, len(with_null)))
        forms[f"arrow-chunked-{name}"] = (
            with_null, pa.chunked_array([pa.array(with_null[:3], name),
                                         pa.array(with_null[3:], name)]))
    masked = np.ma.array([5, 1, 0], mask=[False, True, False])
    forms["masked"] = [5, None, 0], masked
    forms["strided"] = [5, 1, 0], np.array([5, 9, 1, 9, 0, 9])[::2]
    return forms  # fmt: skip


_INTEGER_FORMS = _integer_forms()


@pytest.fixture(scope="module")
def numbers() -> iamtables.Table:
    return numeric_table(_NUMERIC, _OPERANDS)


@pytest.mark.parametrize("form", _INTEGER_FORMS)
def test_integers_compare_as_their_texts(
    form: str, numbers: iamtables.Table, typed_answers: list[bool]
) -> None:
    values, column = _INTEGER_FORMS[form]
    texts = [None if v is None else str(v) for v in values]
    by_text = asked_of_all(numbers, texts, len(texts), _NUMERIC, _OPERANDS)
    assert not typed_answers
    assert asked_of_all(numbers, column, len(texts), _NUMERIC, _OPERANDS) == by_text
    if "uint64" not in form:
        assert sum(typed_answers) > len(typed_answers) * 3 // 4


def test_integers_compare_exactly(numbers: iamtables.Table) -> None:
    """Against fractions, for the operands that are small enough to be written out."""
    tests = {"Equals": Fraction.__eq__, "NotEquals": Fraction.__ne__, "LessThan": Fraction.__lt__,
             "LessThanEquals": Fraction.__le__, "GreaterThan": Fraction.__gt__,
             "GreaterThanEquals": Fraction.__ge__}  # fmt: skip
    column = np.array(_INTEGERS)
    answers = asked_of_all(numbers, column, len(column), _NUMERIC, _OPERANDS)
    for operand in ("1.5", "-1.5", "1e19", "9223372036854775807", "9223372036854775806.5",
                    "-9223372036854775808.0000000000000000000000001", "1e400", "-1e-400"):
        for operator in _NUMERIC:
            test = tests[operator.removeprefix("Numeric")]
            expected = [int(test(Fraction(v), Fraction(operand))) for v in _INTEGERS]
            assert answers[f"{operator} {operand[:40]}"] == expected, (operator, operand)


@pytest.mark.parametrize("text", [o for o in _OPERANDS if len(o) < 60 and "99999" not in o])
def test_a_number_read_is_the_fraction_it_says(text: str) -> None:
    number = read_number(text)
    if number is None:
        with pytest.raises(ValueError):
            Fraction(text if text.isascii() and "/" not in text else "no")
    elif abs(number.exponent) < 1000:
        assert number.fraction() == Fraction(text)


def test_unknown_rows_of_an_integer_column_are_unknown(numbers: iamtables.Table) -> None:
    rng = Random(3)
    values = [rng.choice((None, *_INTEGERS[:9])) for _ in range(50)]
    mask = np.array([rng.random() < 0.3 for _ in values])
    texts = [None if v is None else str(v) for v in values]
    some = _OPERANDS[:8]
    one, other = (
        asked_of_all(numbers, form, 50, _NUMERIC, some, mask=mask)
        for form in (pa.array(values, pa.int16()), texts)
    )
    assert one == other
    assert {d for row in one.values() for d, m in zip(row, mask, strict=True) if m} == {3}


_VARIANTS = (
    ("NumericLessThanIfExists", "5"), ("NumericNotEqualsIfExists", "5"),
    ("ForAllValues:NumericLessThan", "5"), ("ForAnyValue:NumericEquals", "5"),
    ("NumericEquals", ["1", "5", "x"]), ("NumericNotEquals", ["1", "5", "x"]),
    ("NumericNotEquals", ["1", "5"]), ("NumericLessThan", []), ("NumericNotEquals", []),
    ("StringEquals", "5"), ("StringLike", "1*"), ("Null", "true"), ("Bool", "true"),
    ("DateGreaterThan", "1970-01-01T00:00:02Z"), ("StringEquals", "${k:v0}"),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(_VARIANTS)))
def test_other_operators_see_the_texts_of_an_integer_column(number: int) -> None:
    operator, operand = _VARIANTS[number]
    table = compiled(when("Allow", "t:x", **{operator: {"k:v0": operand}}))
    values = [0, 1, 2, 5, 6, None, 128]
    texts = [None if v is None else str(v) for v in values]
    one, other = (
        table.decide(action="t:x", resource="*", context={"k:v0": form}).decision.tolist()
        for form in (pa.array(values), texts)
    )
    assert one == other


_DATE = tuple(name.replace("Numeric", "Date") for name in _NUMERIC)
_INSTANTS = (
    "1970-01-01T00:00:00Z", "1970", "1970-01-01T00:00:00.5Z", "1969-12-31T23:59:59.999Z",
    "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.000000001Z",
    "2024-01-01T00:00:00.0000000005Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
    "0", "-1", "1704067200", "253402300800", "-62135596801", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "1" * 400, "2024-01-01T00:00:00." + "9" * 500
    + "Z", "now", "2024-13", "",
)  # fmt: skip


def _instant_values(per_second: int) -> list[int | None]:
    edges = [0, -1, 1_704_067_200, -62_135_596_800, 253_402_300_800]
    counts = {e * per_second + d for e in edges for d in (-1, 0, 1, per_second // 2)}
    counts |= {2**63 - 1, -(2**63) + 1}
    return [None, *sorted(c for c in counts if -(2**63) < c < 2**63)]


@pytest.fixture(scope="module")
def dates() -> iamtables.Table:
    return numeric_table(_DATE, _INSTANTS)


@pytest.mark.parametrize("unit", PER_SECOND)
def test_times_compare_as_their_texts(
    unit: str, dates: iamtables.Table, typed_answers: list[bool]
) -> None:
    per_second = PER_SECOND[unit]
    values = _instant_values(per_second)
    texts = [None if v is None else instant_text(v, per_second) for v in values]
    by_text = asked_of_all(dates, texts, len(texts), _DATE, _INSTANTS)
    assert {d for row in by_text.values() for d in row} == {0, 1}
    raw = np.array([-(2**63) if v is None else v for v in values])
    forms: list[Any] = [raw.view(f"M8[{unit}]")]
    if unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "Asia/Tokyo"):
            array = pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))
            forms += [array, pa.concat_arrays([array, array]).slice(len(array))]
    for form in forms:
        assert asked_of_all(dates, form, len(texts), _DATE, _INSTANTS) == by_text
    assert sum(typed_answers) > len(typed_answers) // 2


def test_times_compare_as_python_times_do(dates: iamtables.Table) -> None:
    moments = [dt.datetime(1970, 1, 1), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 1),
               dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
               dt.datetime(1969, 12, 31, 23, 59, 59, 500000)]  # fmt: skip
    by_python = {
        f"{operator} {operand[:40]}": loop(
            dates, len(moments), action=repeat(f"t:{operator}{number}", len(moments)),
            resource=repeat("*", len(moments)), **{f"k:v{number}": moments})
        for number, operand in enumerate(_INSTANTS)
        for operator in _DATE
    }  # fmt: skip
    forms = (moments, np.array(moments, "M8[us]"), pa.array(moments, pa.timestamp("us")),
             np.array(moments, object), [np.datetime64(m, "us") for m in moments],
             [m.replace(tzinfo=dt.UTC) for m in moments])  # fmt: skip
    for form in forms:
        assert asked_of_all(dates, form, len(moments), _DATE, _INSTANTS) == by_python


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "10s", "250ms", "30m", "ns"])
def test_numpy_times_of_any_unit_are_the_instants_they_mean(unit: str) -> None:
    table = compiled(when("Allow", "t:x", DateGreaterThanEquals={"k:d": "2024-01-01T00:00:00Z"}))
    days = np.array(["2023-06-01", "2023-12-28", "2024-01-04", "NaT", "2025-01-01"], "M8[D]")
    times = days.astype(f"M8[{unit}]")
    for form in (times, list(times), times.astype(object) if unit != "ns" else times):
        decisions = table.decide(action="t:x", resource="*", context={"k:d": form})
        assert decisions.decision.tolist() == [0, 0, 1, 0, 1]


def test_numpy_times_that_do_not_fit_into_seconds_are_refused() -> None:
    for value in (2**62, -(2**62)):
        with pytest.raises(iamtables.ColumnError, match="out of range"):
            table = compiled(when("Allow", "t:x", DateLessThan={"k:d": "2024"}))
            table.decide(action="t:x", resource="*", context={"k:d": np.array([value], "M8[D]")})


def test_dates_of_arrow_are_days() -> None:
    table = compiled(when("Allow", "t:x", DateGreaterThan={"k:d": "2024-01-01T00:00:00Z"}))
    days = [dt.date(2023, 5, 5), dt.date(2024, 1, 2), None]
    for kind in (pa.date32(), pa.date64()):
        decisions = table.decide(action="t:x", resource="*", context={"k:d": pa.array(days, kind)})
        assert decisions.decision.tolist() == [0, 1, 0]


# --- unknown, missing, out, threads -------------------------------------------------------------


def test_codes_minus_one_and_minus_two_are_null_and_unknown() -> None:
    codes = np.array([0, -1, -2, 0])
    texts = DictionaryColumn(codes, ["x"])
    rows = ["x", None, UNKNOWN, "x"]
    expected = loop(TABLE, 4, action=repeat("k:Null", 4), resource=repeat("*", 4),
                    **{"k:s": rows})  # fmt: skip
    for given in (texts, rows):
        decisions = TABLE.decide(action="k:Null", resource="*", context={"k:s": given})
        assert decisions.decision.tolist() == expected == [0, 1, 3, 0]
        assert decisions.reason(2) == ("k:s",)
    lists = DictionaryColumn(np.array([0, -1, -2]), [["x"]])
    decisions = TABLE.decide(action="k:Any", resource="*", context={"k:m": lists})
    assert decisions.decision.tolist() == [1, 0, 3]
    resources = DictionaryColumn(codes, ["arn:aws:s3:::b/a"])
    decisions = TABLE.decide(action="s3:GetObject", resource=resources)
    assert decisions.decision.tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize("form", ["list", "coded", "arrow-string", "arrow-dictionary-int8",
                                  "sliced-large_string", "chunked-string_view"])  # fmt: skip
def test_an_unknown_mask_outweighs_the_value_below(form: str) -> None:
    mask = np.arange(ROWS) % 2 == 0
    rows = [UNKNOWN if m else v for v, m in zip(TEXTS, mask, strict=True)]
    expected = loop(TABLE, ROWS, action=repeat("k:Text", ROWS), resource=repeat("*", ROWS),
                    **{"k:s": rows})  # fmt: skip
    for name in ("k:s", "K:S", "k:*", "K:*", "*"):
        decisions = TABLE.decide(action="k:Text", resource="*", unknown={name: mask},
                                 context={"k:s": FORMS[form](TEXTS)})  # fmt: skip
        assert decisions.decision.tolist() == expected
        for row in range(ROWS):
            assert ("k:s" in decisions.request(row).unknown) == mask[row]


def test_masks_of_several_names_add_up() -> None:
    first, second = np.array([True, False, False]), np.array([False, True, False])
    decisions = TABLE.decide(action="k:Text", resource="*", context={"k:s": ["x"] * 3},
                             unknown={"k:*": first, "K:s": second, "j:*": True})  # fmt: skip
    assert decisions.decision.tolist() == [3, 3, 1]
    whole = TABLE.decide(action=["k:Text"] * 2, resource="*", unknown={"k:s": True})
    assert whole.decision.tolist() == [3, 3]
    assert "k:s" not in whole.not_supplied
    none = TABLE.decide(action=["k:Text"] * 2, resource="*", unknown={"k:s": False})
    assert none.decision.tolist() == [0, 0]


def test_a_missing_key_is_absent_unknown_or_an_error() -> None:
    asked: dict[str, Any] = {"action": "k:Null", "resource": "*", "context": {"k:m": "x"}}
    absent = TABLE.decide(**asked)
    assert absent.decision.tolist() == [1]
    assert absent.not_supplied == ("k:s",)
    unknown = TABLE.decide(**asked, missing="unknown")
    assert unknown.decision.tolist() == [3]
    assert unknown.not_supplied == ("k:s",)
    with pytest.raises(iamtables.ColumnError, match="k:s") as caught:
        TABLE.decide(**asked, missing="error")
    assert caught.value.column == "k:s"
    with pytest.raises(iamtables.ColumnError, match="`missing` cannot be"):
        TABLE.decide(**asked, missing="none")


def test_decisions_go_into_the_array_given() -> None:
    out = np.full(ROWS, 9, np.uint8)
    decisions = TABLE.decide(action=ACTIONS, resource=RESOURCES, out=out)
    assert decisions.decision is out
    assert out.tolist() == TABLE.decide(action=ACTIONS, resource=RESOURCES).decision.tolist()


def _read_only(n: int) -> Any:
    array = np.zeros(n, np.uint8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("out", [
    np.zeros(ROWS, np.int8), np.zeros(ROWS + 1, np.uint8), np.zeros(ROWS * 2, np.uint8)[::2],
    np.zeros((ROWS, 1), np.uint8), [0] * ROWS, bytearray(ROWS), _read_only(ROWS),
])  # fmt: skip
def test_an_array_that_cannot_take_the_decisions_is_refused(out: Any) -> None:
    with pytest.raises(iamtables.ColumnError, match="`out` is"):
        TABLE.decide(action=ACTIONS, resource=RESOURCES, out=out)


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 50, 0, -1])
@pytest.mark.parametrize("form", ["list", "arrow-string", "sliced-dictionary-int8", "coded"])
def test_any_number_of_threads_gives_the_same_answers(threads: int, form: str) -> None:
    make = FORMS[form]
    rng = Random(threads)
    n = 5000
    actions, resources, texts = (
        [rng.choice(values) for _ in range(n)] for values in (ACTIONS, RESOURCES, TEXTS))
    asked = {"action": make(actions), "resource": make(resources), "context": {"k:s": make(texts)}}
    mask = np.array([rng.random() < 0.1 for _ in range(n)])
    one = TABLE.decide(**asked, unknown={"k:s": mask})
    many = TABLE.decide(**asked, unknown={"k:s": mask}, threads=threads)
    assert many.decision.tobytes() == one.decision.tobytes()
    assert many.statement.tobytes() == one.statement.tobytes()
    assert many.error.tobytes() == one.error.tobytes()
    assert many.counts() == one.counts()


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_are_no_decisions(form: str) -> None:
    try:
        empty = FORMS[form](())
    except (ValueError, pa.ArrowInvalid):
        pytest.skip("this form has no empty value")
    for threads in (1, 3):
        decisions = TABLE.decide(action=empty, resource="*", context={"k:s": empty},
                                 threads=threads)  # fmt: skip
        assert len(decisions) == 0
        assert decisions.counts() == dict.fromkeys(decisions.counts(), 0)
        assert decisions.to_arrow().num_rows == 0


@pytest.mark.parametrize("empty", [
    np.array([]), np.array([], "M8[s]"), np.array([], np.int32), np.array([], bool), pa.nulls(0),
    pa.chunked_array([], pa.string()), pa.chunked_array([], pa.dictionary(pa.int8(), pa.string())),
    pa.chunked_array([], pa.list_(pa.string())), pa.array([], pa.list_(pa.string())),
    pa.array([], pa.timestamp("ns")), pa.array([], pa.bool_()),
    DictionaryColumn(np.array([], np.int32), []), pa.array(["x"])[1:],
])  # fmt: skip
def test_an_empty_column_of_any_type_is_empty(empty: Any) -> None:
    decisions = TABLE.decide(action=[], resource="*", context={"k:s": empty})
    assert len(decisions) == 0


# --- tables of requests -------------------------------------------------------------------------


def test_a_table_a_batch_a_stream_and_a_mapping_hold_all_columns() -> None:
    columns = {"action": ACTIONS, "resource": RESOURCES, "K:S": TEXTS}
    expected = loop(TABLE, ROWS, action=ACTIONS, resource=RESOURCES, **{"k:s": TEXTS})
    table = pa.table({name: list(values) for name, values in columns.items()})
    batch = table.to_batches()[0]
    twice = pa.concat_tables([table.slice(0, 4), table.slice(4)])
    forms = [table, batch, twice, OnlyStream(twice), OnlyArray(batch), columns,
             pa.RecordBatchReader.from_batches(table.schema, twice.to_batches()),
             table.slice(0, ROWS)]  # fmt: skip
    for form in forms:
        assert TABLE.decide(form).decision.tolist() == expected
    assert TABLE.decide(table.drop(["resource"]), resource="*").decision.tolist() == loop(
        TABLE, ROWS, action=ACTIONS, resource=repeat("*", ROWS), **{"k:s": TEXTS})


def test_columns_that_no_policy_asks_for_may_hold_anything() -> None:
    table = pa.table({
        "action": ["s3:GetObject"], "resource": ["arn:aws:s3:::b/a"], "raw": [{"a": 1}],
        "bytes": [b"\xff"], "eventTime": pa.array([1], pa.duration("s")),
    })  # fmt: skip
    assert TABLE.decide(table).decision.tolist() == [1]
    context = {"other:key": [object()], "dictionary": DictionaryColumn(np.array([7]), [])}
    decisions = TABLE.decide(action="s3:GetObject", resource="arn:aws:s3:::b/a", context=context)
    assert decisions.decision.tolist() == [1]


def test_columns_that_no_policy_asks_for_still_count_rows() -> None:
    asked = {"action": "s3:GetObject", "resource": "*"}
    for column in ([1, 2, 3], np.zeros(3), pa.array([1, 2, 3]),
                   DictionaryColumn(np.zeros(3, int), ["x"])):  # fmt: skip
        assert len(TABLE.decide(**asked, context={"other:key": column})) == 3
        with pytest.raises(iamtables.ColumnError, match="rows"):
            TABLE.decide(**asked, context={"other:key": column, "k:s": ["x"]})
    for scalar in ("abc", b"abc", 5, None, {"a": 1, "b": 2}, np.array("x"), object()):
        assert len(TABLE.decide(**asked, context={"other:key": scalar})) == 1


def test_a_column_given_twice_is_refused() -> None:
    table = pa.table({"action": ["a:b"], "resource": ["*"], "k:s": ["x"]})
    doubled = pa.Table.from_arrays([pa.array(["a:b"])] * 2, names=["action", "action"])
    spellings = pa.table({"action": ["a:b"], "k:s": ["x"], "K:S": ["y"]})
    for requests, extra in (
        (table, {"action": "a:b"}), (table, {"resource": "*"}), (doubled, {}), (spellings, {}),
        (table, {"context": {"k:s": "x"}}), (table, {"context": {"K:s": "x"}}),
        (None, {"action": "a:b", "context": {"k:s": "x", "K:S": "y"}}),
    ):  # fmt: skip
        with pytest.raises(iamtables.ColumnError, match="given twice"):
            TABLE.decide(requests, **extra)


def test_requests_that_are_no_table_are_refused() -> None:
    for requests in (5, "x", [1], pa.array([1]), OnlyArray(pa.array(["x"])), object()):
        with pytest.raises(iamtables.ColumnError):
            TABLE.decide(requests)


# --- what cannot be read is refused -------------------------------------------------------------


def refused(column: Any, key: str = "k:s") -> iamtables.ColumnError:
    with pytest.raises(iamtables.ColumnError) as caught:
        TABLE.decide(action="k:Text", resource="*", context={key: column})
    assert caught.value.column == key
    assert key in caught.value.message
    return caught.value


_UNREADABLE: dict[str, Any] = {
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "list-of-bytes": [b"x"],
    "dict": {"a": 1},
    "list-of-dicts": [{"a": 1}],
    "list-of-lists-of-lists": [[["x"]]],
    "list-of-lists-of-bytes": [[b"x"]],
    "set": {"x"},
    "generator": (c for c in "xy"),
    "object": object(),
    "list-of-objects": [object()],
    "complex": [1j],
    "infinity": [float("inf")],
    "decimal-infinity": [decimal.Decimal("Infinity")],
    "number-of-5000-digits": [10**5000],
    "timedelta": [dt.timedelta(1)],
    "time": [dt.time(1)],
    "numpy-bytes": np.array([b"x"]),
    "numpy-complex": np.array([1j]),
    "numpy-records": np.array([("x", 1)], dtype=[("a", "U1"), ("b", "i4")]),
    "numpy-timedelta": np.array([1], "m8[ns]"),
    "numpy-timedelta-objects": [np.timedelta64(1, "ns")],
    "numpy-two-dimensional": np.zeros((2, 2)),
    "arrow-binary": pa.array([b"x"]),
    "arrow-struct": pa.array([{"a": 1}]),
    "arrow-struct-of-nulls": pa.nulls(2, pa.struct([("a", pa.int8())])),
    "arrow-map": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())),
    "arrow-duration": pa.array([1], pa.duration("s")),
    "arrow-time": pa.array([1], pa.time32("s")),
    "arrow-batch": pa.record_batch({"a": ["x"]}),
    "arrow-table": pa.table({"a": ["x"]}),
    "arrow-list-of-structs": pa.array([[{"a": 1}]]),
    "arrow-dictionary-of-bytes": pa.array([b"x"]).dictionary_encode(),
    "codes-of-floats": DictionaryColumn(np.array([0.0]), ["x"]),  # type: ignore[arg-type]
    "codes-of-two-dimensions": DictionaryColumn(np.zeros((1, 1), np.int32), ["x"]),
    "code-too-high": DictionaryColumn(np.array([0, 1], np.int32), ["x"]),
    "code-too-low": DictionaryColumn(np.array([0, -3], np.int32), ["x"]),
    "code-of-64-bits": DictionaryColumn(np.array([2**32]), ["x"]),  # type: ignore[arg-type]
    "code-of-64-bits-unsigned": DictionaryColumn(
        np.array([2**64 - 1], np.uint64), ["x"]),  # type: ignore[arg-type]
    "null-in-the-dictionary": DictionaryColumn(np.array([0], np.int32), [None]),  # type: ignore[list-item]
    "bytes-in-the-dictionary": DictionaryColumn(np.array([0], np.int32), [b"x"]),  # type: ignore[list-item]
    "dictionary-is-a-text": DictionaryColumn(np.array([0], np.int32), "x"),
    "dictionary-is-an-iterator": DictionaryColumn(np.array([0], np.int32), iter("x")),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("name", _UNREADABLE)
def test_a_column_that_cannot_be_read_is_refused_by_name(name: str) -> None:
    refused(_UNREADABLE[name])


@pytest.mark.parametrize("role", ["action", "resource", "principal"])
def test_the_columns_of_a_request_are_refused_by_name_too(role: str) -> None:
    columns: dict[str, Any] = {"action": "s3:GetObject", "resource": "*", role: [b"x"]}
    with pytest.raises(iamtables.ColumnError, match=f"`{role}`"):
        TABLE.decide(**columns)


def test_a_key_that_takes_one_value_refuses_a_list_of_two() -> None:
    table = compiled(when("Allow", "t:x", StringEquals={"aws:username": "x"}))
    for column in ([["x"], ["x", "y"]], pa.array([["x"], ["x", "y"]])):
        with pytest.raises(iamtables.ColumnError, match="single-valued") as caught:
            table.decide(action="t:x", resource="*", context={"aws:username": column})
        assert caught.value.column == "aws:username"
    decisions = table.decide(action="t:x", resource="*", context={"aws:username": [["x"], ["y"]]})
    assert decisions.decision.tolist() == [1, 0]


def test_columns_of_different_lengths_are_refused() -> None:
    for resource in (["*"] * 2, np.array(["*"] * 4), pa.array(["*"]), [], coded(["x"] * 5)):
        with pytest.raises(iamtables.ColumnError, match="rows"):
            TABLE.decide(action=["s3:GetObject"] * 3, resource=resource)


def test_a_mask_of_another_length_or_type_is_refused() -> None:
    for mask in (np.zeros(2, bool), np.zeros(3, np.uint8), [True] * 2, "x", None.__class__, 1):
        with pytest.raises(iamtables.ColumnError, match="`unknown` of `k:s`"):
            TABLE.decide(action=["k:Text"] * 3, resource="*", unknown={"k:s": mask})


def test_unknown_names_context_keys_only() -> None:
    for name in ("resource", "action", "principal"):
        with pytest.raises(iamtables.ColumnError, match="no context key"):
            TABLE.decide(action="k:Text", resource="*", unknown={name: True})
    for unknown in (["k:s"], "k:s", True):
        with pytest.raises(iamtables.ColumnError, match="`unknown` is no mapping"):
            TABLE.decide(action="k:Text", resource="*", unknown=unknown)


def test_a_context_that_is_no_mapping_is_refused() -> None:
    for context in (["k:s"], "k:s", 5):
        with pytest.raises(iamtables.ColumnError, match="`context` is no mapping"):
            TABLE.decide(action="k:Text", resource="*", context=context)


def test_without_an_action_there_is_nothing_to_decide() -> None:
    for given in ({}, {"action": None}, {"resource": ["*"]}):
        with pytest.raises(iamtables.ColumnError, match="no column `action`"):
            TABLE.decide(**given)


# --- foreign buffers ----------------------------------------------------------------------------


def strings(offsets: list[int], data: bytes = b"abc", *, large: bool = False) -> Any:
    dtype, kind = (np.int64, pa.large_string()) if large else (np.int32, pa.string())
    buffers = [None, pa.py_buffer(np.array(offsets, dtype).tobytes()), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("offsets", [[0, -1, 3], [0, 2, 1, 3], [0, 1 << 30, 3], [0, 9, 3]])
@pytest.mark.parametrize("role", ["action", "resource", "k:s", "element", "dictionary"])
def test_offsets_that_do_not_fit_are_refused_by_name(
    role: str, offsets: list[int], large: bool
) -> None:
    broken = strings(offsets, large=large)
    n = len(broken)
    columns: dict[str, Any] = {"action": ["k:Text"] * n, "resource": ["*"] * n, "k:s": ["x"] * n}
    if role == "dictionary":
        codes = pa.array(range(n), pa.int32())
        columns["k:s"] = pa.DictionaryArray.from_arrays(codes, broken)
    elif role == "element":
        columns["action"] = ["k:Any"] * n
        columns["k:m"] = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), broken)
    else:
        if role == "resource":
            columns["action"] = ["s3:GetObject"] * n
        columns[role] = broken
    named = {name: columns.pop(name) for name in ("action", "resource")}
    for threads in (1, 2):
        with pytest.raises(iamtables.ColumnError, match="is broken in row") as caught:
            TABLE.decide(**named, context=columns, threads=threads)
        assert caught.value.column == {"element": "k:m", "dictionary": "k:s"}.get(role, role)


def test_list_offsets_that_do_not_fit_are_refused_by_name() -> None:
    words = pa.array(["x", "y"])
    for offsets in ([0, -1, 2], [0, 2, 1, 2], [0, 99, 2]):
        array = pa.Array.from_buffers(
            pa.list_(pa.string()), len(offsets) - 1,
            [None, pa.py_buffer(np.array(offsets, np.int32).tobytes())], children=[words],
        )  # fmt: skip
        with pytest.raises(iamtables.ColumnError, match="`k:m` is broken in row"):
            TABLE.decide(action="k:Any", resource="*", context={"k:m": array})


def test_codes_beyond_the_dictionary_are_refused() -> None:
    words = pa.array(["x"])
    for codes in (pa.array([0, 1]), pa.array([0, -1]), pa.array([-2], pa.int8()),
                  pa.array([2**32 - 1], pa.uint32()), pa.array([2**32]),
                  pa.array([2**64 - 1], pa.uint64())):  # fmt: skip
        array = pa.DictionaryArray.from_arrays(codes, words, safe=False)
        for form in (array, OnlyArray(array)):
            assert "out of range" in refused(form).message


def test_what_lies_below_a_null_code_does_not_matter() -> None:
    for kind in (np.int8, np.int64, np.uint32):
        codes = pa.Array.from_buffers(
            pa.from_numpy_dtype(kind), 3,
            [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, 99, 0], kind).tobytes())],
        )  # fmt: skip
        array = pa.DictionaryArray.from_arrays(codes, pa.array(["x"]), safe=False)
        decisions = TABLE.decide(action="k:Text", resource="*", context={"k:s": array})
        assert decisions.decision.tolist() == [1, 0, 1]


def test_chunks_whose_dictionaries_need_wider_codes_together_are_read() -> None:
    chunks = [dictionary(pa.int8())([f"{name}{i}" for i in range(100)]) for name in "xy"]
    decisions = TABLE.decide(action="s3:GetSecretX", resource="arn:aws:s3:::b/a",
                             context={"k:s": pa.chunked_array(chunks)})  # fmt: skip
    assert decisions.decision.tolist() == [2] * 100 + [1] * 100


def test_bytes_that_are_no_text_are_replaced_and_can_be_explained() -> None:
    array = strings([0, 1, 3, 6], b"\xff\xc3\x28\xed\xa0\x80")
    for role in ("k:s", "resource", "action"):
        given = {"action": "s3:GetSecretX", "resource": "arn:aws:s3:::b/a", "k:s": "x", role: array}
        decisions = TABLE.decide(action=given["action"], resource=given["resource"],
                                 context={"k:s": given["k:s"]})  # fmt: skip
        for row in range(3):
            request = decisions.request(row)
            seen = {"action": request.action, "resource": request.resource, **request.context}
            assert seen[role] in ("\ufffd", "\ufffd(", "\ud800")


def test_arrays_that_lie_about_their_buffers_are_refused_or_answered() -> None:
    done = subprocess.run(
        [sys.executable, str(_FUZZ), "0", "3000"], capture_output=True, text=True, timeout=120)
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode == 0, f"after `{last}`\n{done.stderr[-3000:]}"
    outcomes = json.loads(last.removeprefix("outcomes "))
    assert min(outcomes["refused"], outcomes["answered"]) > 300
