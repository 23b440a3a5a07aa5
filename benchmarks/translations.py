"""The same policies in other languages: one SQL expression, and Cedar.

They know identity policies with plain globs and the operators of the two Bedrock policies; whatever
else they are given they refuse. A `*` is taken to cross colons, which RES-4 does not always allow:
the benchmarks compare answers, and a corpus on which that matters would fail them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from peers import listed

Element = Callable[[str], str]


def to_sql(policies: Iterable[str], lists: Sequence[str] = ()) -> str:
    """An expression over columns `action` (lower case), `resource` and keys: 0, 1 or 2 (EVAL-1).

    lists : keys whose columns are lists
    """
    effects: dict[str, list[str]] = {"Deny": ["false"], "Allow": ["false"]}
    for statement in _statements(policies):
        tests = [_any(_glob_sql("action"), [a.lower() for a in listed(statement["Action"])]),
                 _any(_glob_sql("resource"), listed(statement["Resource"]))]
        for operator, key, values in _tests(statement):
            column = f'"{key}"'
            if operator == "ForAllValues:StringEquals":
                tests.append(f"({column} IS NULL OR list_has_all([{_texts(values)}], {column}))")
            elif key in lists:
                raise ValueError(f"{operator} on a list")
            elif operator == "StringEquals":
                tests.append(f"coalesce({column} IN ({_texts(values)}), false)")
            else:
                tests.append(f"coalesce({_any(_glob_sql(column), values)}, false)")
        effects[statement["Effect"]].append("(" + " AND ".join(tests) + ")")
    denies, allows = (" OR ".join(effects[name]) for name in ("Deny", "Allow"))
    return f"CASE WHEN {denies} THEN 2 WHEN {allows} THEN 1 ELSE 0 END"


def to_cedar(policies: Iterable[str]) -> str:
    """Cedar policies over a context with `action` (lower case), `resource` and keys."""
    out = []
    for statement in _statements(policies):
        tests = [_any(_like_cedar("context.action"),
                      [a.lower() for a in listed(statement["Action"])]),
                 _any(_like_cedar("context.resource"), listed(statement["Resource"]))]
        for operator, key, values in _tests(statement):
            there, value = f'context has "{key}"', f'context["{key}"]'
            if operator == "ForAllValues:StringEquals":
                known = ", ".join(map(json.dumps, values))
                tests.append(f"(!({there}) || [{known}].containsAll({value}))")
            else:
                tests.append(f"({there} && {_any(_like_cedar(value), values)})")
        effect = "permit" if statement["Effect"] == "Allow" else "forbid"
        out.append(f"{effect}(principal, action, resource) when {{ {' && '.join(tests)} }};")
    return "\n".join(out)


def _statements(policies: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    for text in policies:
        for statement in listed(json.loads(text)["Statement"]):
            if set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}:
                raise ValueError(f"an element that is not translated: {list(statement)}")
            if not _is_plain(statement):
                raise ValueError("a pattern that is not translated")
            yield statement


def _is_plain(statement: Mapping[str, Any]) -> bool:
    """Whether its patterns use `*` only."""
    patterns = [*listed(statement["Action"]), *listed(statement["Resource"])]
    patterns += [v for _, _, values in _tests(statement) for v in values]
    return not any(c in pattern for pattern in patterns for c in "?[$\\'")


def _tests(statement: Mapping[str, Any]) -> Iterable[tuple[str, str, list[str]]]:
    for operator, entries in statement.get("Condition", {}).items():
        if operator not in ("StringEquals", "StringLike", "ForAllValues:StringEquals"):
            raise ValueError(f"an operator that is not translated: {operator}")
        for key, values in entries.items():
            yield operator, key, list(listed(values))


def _any(element: Element, values: Sequence[str]) -> str:
    return "(" + (" OR " if element.__name__ == "sql" else " || ").join(map(element, values)) + ")"


def _glob_sql(column: str) -> Element:
    def sql(pattern: str) -> str:
        return "true" if pattern == "*" else f"{column} GLOB '{pattern}'"

    return sql


def _like_cedar(value: str) -> Element:
    def cedar(pattern: str) -> str:
        return f"{value} like {json.dumps(pattern)}"

    return cedar


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
