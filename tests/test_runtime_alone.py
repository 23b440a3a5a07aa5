"""A worker that has numpy and nothing else opens a compiled table and decides on it.

The subprocess refuses every import but the standard library's, numpy's and those modules of
iamtables that the runtime stands on, so a new dependency is noticed whatever its name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import iamtables

POLICY = """{"Version": "2012-10-17", "Statement": [
    {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::logs/*"},
    {"Sid": "Own", "Effect": "Allow", "Action": "s3:Put*",
     "Resource": "arn:aws:s3:::home/${aws:username}/*",
     "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"},
                   "IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}},
    {"Sid": "Tags", "Effect": "Allow", "Action": "s3:Tag*", "Resource": "*",
     "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}}},
    {"Sid": "Secret", "Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::*/secret?"}
]}"""

_GATE = """
import sys

ALLOWED = {"numpy", *sys.stdlib_module_names, "iamtables", "iamtables.errors",
           "iamtables.options", "iamtables.source", "iamtables.runtime"}

class Gate:
    def find_spec(self, name, path=None, target=None):
        if name in ALLOWED or name.startswith("iamtables.runtime."):
            return None
        if name.partition(".")[0] in ALLOWED - {"iamtables"}:
            return None
        raise ImportError(f"the runtime asks for {name}")

sys.meta_path.insert(0, Gate())
"""

_DECIDE = """
import json
import numpy as np
from iamtables import runtime

table = runtime.open_table(sys.argv[1], verify=sys.argv[2] == "verify")
actions = ["s3:GetObject", "s3:GetObject", "s3:PutObject", "s3:PutObject", "s3:TagBucket", "ec2:X"]
resources = ["arn:aws:s3:::logs/a", "arn:aws:s3:::logs/secret1", "arn:aws:s3:::home/ann/x",
             "arn:aws:s3:::home/bob/x", "*", None]
context = {
    "aws:username": ["ann", None, "ann", "ann", None, None],
    "aws:MultiFactorAuthAge": [1, 1, 299, 299, 1, 1],
    "aws:SourceIp": "198.51.100.7",
    "aws:TagKeys": [["team"], None, ["team", "x"], None, ["cost", "team"], None],
}

def as_arrays(values, kind):
    codes, distinct = [], []
    for value in values:
        if value is not None and value not in distinct:
            distinct.append(value)
        codes.append(-1 if value is None else distinct.index(value))
    if kind == "dictionary":
        return runtime.DictionaryColumn(np.array(codes, dtype=np.int32), distinct)
    if all(isinstance(v, int) for v in values):
        return np.array(values)
    if kind == "fixed" and all(isinstance(v, str) for v in values):
        return np.array(values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

def columns(kind):
    if kind == "list":
        return dict(action=actions, resource=resources, context=context)
    cast = lambda v: as_arrays(v, kind) if isinstance(v, list) else v
    return dict(action=cast(actions), resource=cast(resources),
                context={name: cast(values) for name, values in context.items()})

answers = {}
for kind in ("list", "object", "fixed", "dictionary"):
    for threads in (1, 2):
        out = table.decide(**columns(kind), threads=threads)
        answers[f"{kind}-{threads}"] = [out.decision.tolist(), out.statement.tolist()]
with table.session() as session:
    out = session.decide(**columns("list"), unknown={"aws:SourceIp": np.arange(6) == 2})
answers["unknown"] = [out.decision.tolist(), out.statement.tolist()]
one = table.check(action="s3:PutObject", resource="arn:aws:s3:::home/ann/x",
                  context={"aws:username": "ann", "aws:MultiFactorAuthAge": 10},
                  unknown=["aws:SourceIp"])
print(json.dumps({
    "answers": answers,
    "reason": list(out.reason(2)),
    "check": [one.decision.name, list(one.reason)],
    "explanation": str(one.explain()),
    "keys": list(table.keys),
    "sids": [s.sid for s in table.statements],
    "counts": out.counts(),
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}
                     - set(sys.stdlib_module_names)),
}))
"""

# By hand: Read; Secret; Own (ann's home, 299 < 300, the network); bob's home is not ann's; Tags
# (every value is one of the two); nothing speaks of ec2.
EXPECTED = [[1, 2, 1, 0, 1, 0], [0, 3, 1, -1, 2, -1]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "t.iamt"
    iamtables.compile(iamtables.parse_policy(POLICY, name="p.json")).save(path)
    return path


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _GATE + code, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("verify", ["verify", "trust"])
def test_a_worker_with_numpy_alone_decides_lists_and_arrays(saved: Path, verify: str) -> None:
    seen: dict[str, Any] = json.loads(run(_DECIDE, str(saved), verify))
    unknown = seen["answers"].pop("unknown")
    assert len(seen["answers"]) == 8
    for kind, answer in seen["answers"].items():
        assert answer == EXPECTED, kind
    assert unknown == [[1, 2, 3, 0, 1, 0], [0, 3, 1, -1, 2, -1]]
    assert seen["reason"] == ["aws:SourceIp"]
    assert seen["check"] == ["UNDETERMINED", ["aws:SourceIp"]]
    assert "p.json:3:" in seen["explanation"]
    assert seen["sids"] == ["Read", "Own", "Tags", "Secret"]
    assert seen["counts"]["ALLOW"] == 2
    loaded = {name for name in seen["loaded"] if not name.startswith("_")}
    assert loaded - {"cython_runtime", "sitecustomize"} == {"iamtables", "numpy"}


def test_the_gate_refuses_what_the_runtime_must_not_import() -> None:
    """The test above is worth as much as its gate."""
    attempts = (
        "lark", "pyarrow", "click", "rich", "msgspec", "isal", "safetensors",
        "iamtables.grammar", "iamtables.compiler", "iamtables.cli", "iamtables.logs",
    )  # fmt: skip
    code = """
import importlib, json
refused = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        refused.append(str(error))
print(json.dumps(refused))
"""
    assert json.loads(run(code, *attempts)) == [f"the runtime asks for {n}" for n in attempts]


def test_opening_a_saved_table_imports_neither_a_parser_nor_arrow(saved: Path) -> None:
    code = """
import sys, iamtables
table = iamtables.open_table(sys.argv[1])
assert table.check(action="s3:GetObject", resource="*").decision.name == "IMPLICIT_DENY"
assert str(table.decide(action=["s3:GetObject"], resource=["*"]).explain(0))
heavy = {"lark", "pyarrow", "click", "rich", "msgspec", "isal", "safetensors",
         "iamtables.grammar", "iamtables.compiler"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
