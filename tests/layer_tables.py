"""The layered tables as the tests ask them: the one place that knows their API."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from judging import encoded
from layer_generator import POLICY_TYPES, LayerRequest

import iamtables
from iamtables import DecisionCode, DictionaryColumn, compiler
from iamtables.runtime.codes import Layer

HAS_TABLES = hasattr(compiler, "compile_layers")
NAMES = tuple(code.name for code in sorted(DecisionCode))
LAYERS = {int(layer): layer.name.lower() for layer in Layer}


class Answer(NamedTuple):
    """What a table says about one request."""

    decision: str
    layer: str
    """A decider of EVAL-1, or `none`."""
    statement: tuple[str, int] | None
    """Document name and index of the deciding statement."""
    reason: tuple[str, ...]
    error: int = 0
    """Of a row of `decide`: not 0 if the request may not be asked."""


def parsed(policies: dict[str, Any], is_trust: bool) -> dict[str, Any]:
    """Arguments of `compile_layers` for these policies, given as JSON texts; an empty list of
    boundaries, session or endpoint policies is none (VEC-1)."""

    def document(text: str, layer: str, name: str) -> Any:
        policy_type: Any = "trust" if layer == "resource" and is_trust else POLICY_TYPES[layer]
        return iamtables.parse_policy(text, name=name, mode="lenient", policy_type=policy_type)

    def documents(layer: str) -> list[Any]:
        return [document(t, layer, f"{layer}.{i}") for i, t in enumerate(policies.get(layer) or [])]

    def levels(layer: str) -> list[list[Any]]:
        return [[document(t, layer, f"{layer}.{level}.{i}") for i, t in enumerate(texts)]
                for level, texts in enumerate(policies.get(layer) or [])]

    resource = policies.get("resource")
    return {
        "identity": documents("identity"), "boundary": documents("boundary") or None,
        "session": documents("session") or None, "endpoint": documents("vpce") or None,
        "scps": levels("scps"), "rcps": levels("rcps"),
        "resource": None if resource is None else document(resource, "resource", "resource"),
    }  # fmt: skip


def compile_policies(policies: dict[str, Any], options: dict[str, str], is_trust: bool) -> Any:
    """A table of these policies, given as JSON texts."""
    return compiler.compile_layers(
        **parsed(policies, is_trust), options=iamtables.Options.from_mapping(options))


def reopened(table: Any) -> Any:
    """The table after a round trip through a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.iamt"
        table.save(path)
        return iamtables.open_table(path)


def _statement(info: Any) -> tuple[str, int] | None:
    return None if info is None else (info.policy, info.index)


def check(table: Any, request: LayerRequest, **more: Any) -> Answer:
    """One request. Raises RequestError for one that may not be asked."""
    decision = table.check(
        principal=request.principal, action=request.action, resource=request.resource,
        context=dict(request.context), unknown=tuple(sorted(request.unknown)),
        issuer_arn=request.issuer_arn, principal_account=request.principal_account,
        principal_type=request.principal_type, resource_account=request.resource_account,
        is_management_account=request.is_management_account, **more)
    return Answer(decision.decision.name, decision.layer.name.lower(),
                  _statement(decision.statement), tuple(decision.reason))


_TEXTS = ("principal", "action", "resource", "issuer_arn", "principal_account", "principal_type",
          "resource_account")


def _in_arrow(column: list[str | None], kind: Any) -> Any:
    """A column of Arrow, unless it holds a text that is no UTF-8."""
    try:
        return pa.array(column, kind)
    except UnicodeEncodeError:
        return column


def columns(requests: Sequence[LayerRequest], keys: Sequence[str], *,
            dictionary: bool = False, leaves_out: bool = False, arrow: Any = None
            ) -> dict[str, Any]:
    """Arguments of `decide` for these requests; `dictionary` encodes every column of text, `arrow`
    is the type of Arrow that those of who asks, what for and whose it is get. With `leaves_out` a
    key that a request does not hold is not null but not given, whatever stands there."""
    texts: dict[str, Any] = {name: [getattr(r, name) for r in requests] for name in _TEXTS}
    context: dict[str, Any] = {key: [r.context.get(key) for r in requests] for key in keys}
    unknown = {key: np.array([key in r.unknown for r in requests], bool) for key in keys}
    not_given = {}
    if leaves_out:
        not_given = {key: np.array([value is None for value in column], bool) & ~unknown[key]
                     for key, column in context.items()}
        for column in context.values():
            given = next((value for value in column if value is not None), None)
            column[:] = [given if value is None else value for value in column]
    managing = np.array([r.is_management_account for r in requests], bool)
    if dictionary:
        texts = {name: encoded(column) for name, column in texts.items()}
        context = {key: encoded(column, unknown[key]) for key, column in context.items()}
        unknown = {}
    if arrow is not None:
        texts = {name: _in_arrow(column, arrow) for name, column in texts.items()}
    return {**texts, "is_management_account": managing, "context": context, "not_given": not_given,
            "unknown": {key: mask for key, mask in unknown.items() if mask.any()}}


def decide_by_place(table: Any, requests: Sequence[LayerRequest], keys: Sequence[str],
                    **more: Any) -> tuple[list[Answer], int]:
    """Rows whose answers are found by the codes of dictionaries (runtime/placed.pyx), and how many
    were: requests that agree in all else are asked together, and all of them again once they are
    known. One dictionary of each column is for all of them."""
    together: dict[tuple[Any, ...], list[int]] = {}
    for row, r in enumerate(requests):
        together.setdefault((r.issuer_arn, r.principal_account, r.principal_type,
                             r.resource_account, r.is_management_account), []).append(row)
    values = {name: tuple({text: None for r in requests if (text := getattr(r, name)) is not None})
              for name in ("principal", "action", "resource")}
    answers: dict[int, Answer] = {}
    with table.session() as session:
        session._engine(0).met_before = 0
        for _ in range(2):
            for rest, rows in together.items():
                twice = [*rows, *rows]  # one row is decided another way
                given = columns([requests[row] for row in twice], keys, dictionary=True)
                for name, known in values.items():
                    texts = [getattr(requests[row], name) for row in twice]
                    codes = [-1 if text is None else known.index(text) for text in texts]
                    given[name] = DictionaryColumn(np.array(codes, np.int32), known)
                given.update(zip(("issuer_arn", "principal_account", "principal_type",
                                  "resource_account"), rest, strict=False))
                if not rest[-1]:
                    del given["is_management_account"]
                for row, answer in zip(twice, answers_of(table, session.decide(**given, **more)),
                                       strict=True):
                    answers[row] = answer
        return [answers[row] for row in range(len(requests))], session.counts()["placed"]


def decide(table: Any, requests: Sequence[LayerRequest], keys: Sequence[str], *,
           dictionary: bool = False, leaves_out: bool = False, arrow: Any = None, threads: int = 1,
           is_known: bool = False, **more: Any) -> list[Answer]:
    """A batch; reasons are asked for where the row is undetermined. With `is_known` it is decided
    by what an engine has kept of the same rows, as far as it keeps anything."""
    given = columns(requests, keys, dictionary=dictionary, leaves_out=leaves_out, arrow=arrow)
    if is_known:
        with table.session() as session:
            session._engine(0).met_before = 0
            if dictionary:  # and without room for all by their place
                session._engine(0).answer_limit = 256
            session.decide(**given, **more)
            out = session.decide(**given, **more)
    else:
        out = table.decide(**given, threads=threads, **more)
    return answers_of(table, out)


def answers_of(table: Any, out: Any) -> list[Answer]:
    """The rows of a batch; reasons are asked for where one is undetermined."""
    places = [_statement(info) for info in table.statements]
    answers = []
    for row, (code, layer, statement, error) in enumerate(zip(
        out.decision.tolist(), out.layer.tolist(), out.statement.tolist(), out.error.tolist(),
        strict=True,
    )):  # fmt: skip
        is_open = code == DecisionCode.UNDETERMINED and not error
        answers.append(Answer(
            NAMES[code], LAYERS[layer], places[statement] if statement >= 0 else None,
            tuple(out.reason(row)) if is_open else (), error))
    return answers
