"""What the tests of decisions share: asking the tables, asking the reference, and cutting down.

`Case` is one question with its policies; `verdict` asks both evaluators the same case, in every
way the public API offers, and says what is wrong; `shrink` keeps a case wrong while it gets
smaller; `Case.paste` prints it as a test to paste.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from generator import Obj, Raw, Request, Value, emit

import iamtables
from iamtables import DecisionCode
from iamtables.reference import UNKNOWN, evaluate_identity
from iamtables.reference import statements as _reference_statements

NAMES = tuple(code.name for code in sorted(DecisionCode))


@dataclass(frozen=True)
class Case:
    """One request, its policies (trees of generator.py) and options."""

    policies: tuple[Any, ...]
    options: dict[str, str]
    request: Request

    def texts(self) -> list[str]:
        return [emit(policy) for policy in self.policies]

    def paste(self) -> str:
        request = self.request
        lines = ["def test_a_found_case():", "    case = found_case("]
        lines += [f"        {text!r}," for text in self.texts()]
        lines += [f"        options={self.options!r},", f"        action={request.action!r},",
                  f"        resource={request.resource!r},",
                  f"        context={request.context!r},",
                  f"        unknown={sorted(request.unknown)!r},", "    )",
                  "    assert verdict(case) is None"]
        return "\n".join(lines)


def found_case(*policies: str, action: str, resource: str | None, options: dict[str, str],
               context: dict[str, Value], unknown: Sequence[str] = ()) -> Case:
    """A case from JSON texts, as `Case.paste` prints it."""
    request = Request(action, resource, context, frozenset(unknown))
    return Case(tuple(Raw(text) for text in policies), options, request)


# --- the reference ----------------------------------------------------------------------------

_read_document = _reference_statements.read_document
_remembered = lru_cache(maxsize=32)(_read_document)


def _read_once(policy: Any, policy_type: str, rules: set[str] | None = None) -> Any:
    """`read_document`, remembered: thousands of requests ask the same few documents."""
    if rules is None and isinstance(policy, str):
        return _remembered(policy, policy_type)
    return _read_document(policy, policy_type, rules)


_reference_statements.read_document = _read_once


def reference(texts: Sequence[Any], request: Request, options: dict[str, str],
              rules: set[str] | None = None) -> Any:
    """The reference evaluator's Outcome."""
    context: dict[str, Any] = dict(request.context)
    for key in request.unknown:
        context[key] = UNKNOWN
    return evaluate_identity(texts, action=request.action, resource=request.resource,
                             context=context, options=options, rules=rules)


def decision_of(outcome: Any) -> DecisionCode:
    """The outcome's decision as the tables' code."""
    return DecisionCode[outcome.decision]


def deciders(outcome: Any) -> set[tuple[int, int]]:
    """(policy, statement) pairs of which a table may name any as the deciding one."""
    decision = decision_of(outcome)
    if decision is DecisionCode.EXPLICIT_DENY:
        return set(outcome.matched_deny)
    if decision is DecisionCode.ALLOW:
        return set(outcome.matched_allow)
    if decision is DecisionCode.UNDETERMINED:
        return set(outcome.unknown_allow) | set(outcome.unknown_deny)
    return set()


# --- the tables -------------------------------------------------------------------------------

def compile_texts(texts: Sequence[str], options: dict[str, str]) -> iamtables.Table:
    """A table of policies named p0, p1, ...; parsed leniently."""
    documents = [iamtables.parse_policy(text, name=f"p{i}", mode="lenient")
                 for i, text in enumerate(texts)]
    return iamtables.compile(documents, options=iamtables.Options.from_mapping(options))


def reopened(table: iamtables.Table) -> iamtables.Table:
    """The table after a round trip through a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.iamt"
        table.save(path)
        return iamtables.open_table(path)


def columns(requests: Sequence[Request], keys: Sequence[str], *,
            dictionary: bool = False) -> dict[str, Any]:
    """Arguments of `decide` for these requests; `dictionary` encodes every column."""
    context = {key: [r.context.get(key) for r in requests] for key in keys}
    unknown = {key: np.array([key in r.unknown for r in requests]) for key in keys}
    actions: Any = [r.action for r in requests]
    resources: Any = [r.resource for r in requests]
    if not dictionary:
        return {"action": actions, "resource": resources, "context": context,
                "unknown": {k: m for k, m in unknown.items() if m.any()}}
    return {"action": encoded(actions), "resource": encoded(resources),
            "context": {key: encoded(column, unknown[key]) for key, column in context.items()}}


def encoded(column: Sequence[Any], unknown: Any = None) -> iamtables.DictionaryColumn:
    """A dictionary column: -1 where the value is None, -2 where it is unknown."""
    ids: dict[Any, int] = {}
    values: list[Any] = []
    codes = np.empty(len(column), np.int32)
    for row, value in enumerate(column):
        if unknown is not None and unknown[row]:
            codes[row] = -2
        elif value is None:
            codes[row] = -1
        else:
            text = value if isinstance(value, str | list) else text_of(value)
            key = tuple(text) if isinstance(text, list) else text
            if key not in ids:
                ids[key] = len(values)
                values.append(text)
            codes[row] = ids[key]
    return iamtables.DictionaryColumn(codes, values)


def text_of(value: Value) -> str:
    """A number or boolean as the text GRAM-5 makes of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def check(table: iamtables.Table, request: Request) -> Any:
    return table.check(action=request.action, resource=request.resource,
                       context=dict(request.context), unknown=tuple(sorted(request.unknown)))


def place(info: Any) -> tuple[int, int] | None:
    """(policy, statement) of a StatementInfo."""
    return None if info is None else (int(info.policy[1:]), info.index)


def complaint(outcome: Any, decision: int, statement: tuple[int, int] | None) -> str | None:
    """What is wrong with a table's answer where the reference answers `outcome`."""
    expected = decision_of(outcome)
    if expected is DecisionCode.UNDETERMINED and decision != expected:
        return None  # the table may know more; `check_completions` looks whether it is right
    if decision != expected:
        return f"the table says {NAMES[decision]}, the reference {expected.name}"
    allowed = deciders(outcome)
    if expected is DecisionCode.IMPLICIT_DENY:
        return None
    if statement not in allowed:
        return f"{expected.name} by statement {statement}, the reference has {sorted(allowed)}"
    return None


def verdict(case: Case) -> str | None:
    """What is wrong with the tables on this case, asked every way; None if nothing is."""
    texts = case.texts()
    outcome = reference(texts, case.request, case.options)
    table = compile_texts(texts, case.options)
    keys = sorted({*case.request.context, *case.request.unknown})
    for name, asked in (("", table), ("reopened, ", reopened(table))):
        decision = check(asked, case.request)
        wrong = complaint(outcome, decision.decision, place(decision.statement))
        if wrong:
            return f"{name}check: {wrong}"
        for dictionary in (False, True):
            out = asked.decide(**columns([case.request] * 3, keys, dictionary=dictionary))
            row = int(out.statement[1])
            where = place(asked.statements[row]) if row >= 0 else None
            wrong = complaint(outcome, int(out.decision[1]), where)
            if wrong:
                return f"{name}decide{' (dictionary columns)' if dictionary else ''}: {wrong}"
    return None


# --- cutting a case down ----------------------------------------------------------------------

def smaller_trees(node: Any) -> Iterator[Any]:
    """The tree with one part taken away, large parts first."""
    if node is None or isinstance(node, Raw | bool):
        return
    if isinstance(node, str):
        for size in (len(node) // 2, 1):
            if size:
                for at in range(0, len(node), size):
                    yield node[:at] + node[at + size:]
        return
    for at in range(len(node)):
        yield type(node)(node[:at] + node[at + 1:])
    if not isinstance(node, Obj) and len(node) == 1:
        yield node[0]
    for at, child in enumerate(node):
        below = child[1] if isinstance(node, Obj) else child
        for smaller in smaller_trees(below):
            made = (child[0], smaller) if isinstance(node, Obj) else smaller
            yield type(node)([*node[:at], made, *node[at + 1:]])


def _smaller_requests(request: Request) -> Iterator[Request]:
    for key in sorted(request.unknown):
        yield replace(request, unknown=request.unknown - {key})
    for key, value in request.context.items():
        rest = {k: v for k, v in request.context.items() if k != key}
        yield replace(request, context=rest)
        if isinstance(value, str | list):
            for smaller in smaller_trees(value):
                if isinstance(smaller, str) == isinstance(value, str):
                    yield replace(request, context={**request.context, key: smaller})
    for smaller in smaller_trees(request.action):
        yield replace(request, action=smaller)
    if request.resource is None or request.resource != "*":
        yield replace(request, resource="*")
    if request.resource is not None:
        for smaller in smaller_trees(request.resource):
            yield replace(request, resource=smaller)


def _smaller_cases(case: Case) -> Iterator[Case]:
    for at in range(len(case.policies)):
        if len(case.policies) > 1:
            yield replace(case, policies=case.policies[:at] + case.policies[at + 1:])
    for name in case.options:
        yield replace(case, options={k: v for k, v in case.options.items() if k != name})
    for at, policy in enumerate(case.policies):
        for smaller in smaller_trees(policy):
            yield replace(case, policies=(*case.policies[:at], smaller, *case.policies[at + 1:]))
    for request in _smaller_requests(case.request):
        yield replace(case, request=request)


def shrink(case: Case, wrong: Callable[[Case], str | None], *, budget: int = 4000) -> Case:
    """A smallest case that is still wrong, as far as `budget` trials reach."""
    found = True
    while found:
        found = False
        for smaller in _smaller_cases(case):
            budget -= 1
            if budget < 0:
                return case
            try:
                is_wrong = wrong(smaller) is not None
            except Exception:
                is_wrong = False  # not a request or a policy any more
            if is_wrong:
                case, found = smaller, True
                break
    return case


def report(case: Case, wrong: Callable[[Case], str | None] = verdict) -> str:
    """The smallest form of a wrong case, ready to paste."""
    small = shrink(case, wrong)
    policies = "\n".join(small.texts())
    return f"{wrong(small)}\n{policies}\n{small.request}\n\n{small.paste()}"
