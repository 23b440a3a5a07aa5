"""Stable text forms of each stage, for tests to compare and for people who debug.

`iamtables compile --emit tree|ir|tables` prints them. Same input, same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..grammar.tree import (
    ActionElement,
    PolicyDocument,
    PrincipalElement,
    ResourceElement,
    StatementNode,
)
from ..runtime.codes import (
    ACCOUNT_EXPORTED,
    ACCOUNT_MANAGEMENT,
    FLAG_NEVER,
    FLAG_UNKNOWN,
    NO_ID,
    PRINCIPAL_GATEWAY,
    PRINCIPAL_NEGATED,
    PRINCIPAL_SHIELDED,
    PRINCIPAL_UNREADABLE,
    PrincipalKind,
    Role,
    SetOperator,
    Token,
)
from ..runtime.model import TableModel
from ..runtime.plan import SET_ANY, SET_UNREADABLE, Cell
from ..runtime.table import Table
from ..source import Source, Span
from . import ir

_SET_PREFIX = {
    SetOperator.PLAIN: "",
    SetOperator.FOR_ALL_VALUES: "ForAllValues:",
    SetOperator.FOR_ANY_VALUE: "ForAnyValue:",
}
_DECISIONS = ("IMPLICIT_DENY", "ALLOW", "EXPLICIT_DENY", "UNDETERMINED")


def emit_tree(documents: Iterable[PolicyDocument]) -> str:
    """Syntax trees: every element with its place."""
    return "\n".join(line for document in documents for line in _tree_lines(document))


def _tree_lines(document: PolicyDocument) -> Iterator[str]:
    fault = " unreadable" if document.is_unreadable else " faulty" if document.is_faulty else ""
    yield f"policy {document.source.name} {document.policy_type} {document.version}{fault}"
    for statement in document.statements:
        yield from _statement_tree(document.source, statement)


def _at(source: Source, span: Span | None) -> str:
    if span is None:
        return "-"
    place = source.locate(span)
    return f"{place.line}:{place.column}"


def _statement_tree(source: Source, node: StatementNode) -> Iterator[str]:
    sid = f" {node.sid.value!r}" if node.sid else ""
    faults = f" faults={','.join(sorted(node.faults))}" if node.faults else ""
    yield f"  statement {node.index}{sid} {node.effect or '?'} @{_at(source, node.span)}{faults}"
    if node.principal is not None:
        yield from _principal_tree(source, node.principal)
    for name, element in (("action", node.action), ("resource", node.resource)):
        if element is not None:
            yield from _element_tree(source, name, element)
    for entry in node.conditions:
        yield f"    condition {entry.operator.value} {entry.key.value!r} @{_at(source, entry.span)}"
        for value in entry.values:
            yield f"      {value.value!r} @{_at(source, value.span)}"


def _element_tree(
    source: Source, name: str, element: ActionElement | ResourceElement
) -> Iterator[str]:
    yield f"    {'not-' if element.negated else ''}{name} @{_at(source, element.span)}"
    for i, entry in enumerate(element.entries):
        void = " void" if i in element.void else ""
        yield f"      {entry.value!r} @{_at(source, entry.span)}{void}"


def _principal_tree(source: Source, element: PrincipalElement) -> Iterator[str]:
    yield f"    {'not-' if element.negated else ''}principal @{_at(source, element.span)}"
    for entry in element.entries:
        void = " void" if entry.is_void else ""
        yield f"      {entry.kind} {entry.text.value!r} @{_at(source, entry.text.span)}{void}"


def emit_ir(program: ir.Program) -> str:
    """The intermediate representation: interned parts by id, then the statements that use them."""
    return "\n".join(_ir_lines(program))


def _ir_lines(program: ir.Program) -> Iterator[str]:
    for name, value in program.options.to_mapping().items():
        yield f"option {name} {value}"
    for i, key in enumerate(program.keys):
        yield f"key k{i} {key.name} {key.kind.name.lower()}"
    for i, action in enumerate(program.action_patterns):
        yield f"action a{i} {action.text}"
    for i, resource in enumerate(program.resource_patterns):
        yield f"resource r{i} {render_glyphs(resource.glyphs, program.keys)}"
    yield from _set_lines("actions A", "a", program.action_sets)
    yield from _set_lines("resources R", "r", program.resource_sets)
    for i, predicate in enumerate(program.predicates):
        yield f"predicate p{i} {render_predicate(predicate, program.keys)}"
    for i, principal in enumerate(program.principals):
        yield f"principal P{i} {render_principal(principal.flags, principal.entries)}"
    for i, statement in enumerate(program.statements):
        yield _statement_line(i, statement, program)


def _set_lines(head: str, letter: str, sets: Sequence[ir.PatternSet]) -> Iterator[str]:
    for i, pattern_set in enumerate(sets):
        polarity = "none of" if pattern_set.negated else "any of"
        yield f"{head}{i} {polarity} {' '.join(f'{letter}{p}' for p in pattern_set.pattern_ids)}"


def _statement_line(i: int, statement: ir.Statement, program: ir.Program) -> str:
    place = program.documents[statement.document].source.locate(statement.span)
    parts = [
        f"statement s{i}",
        statement.effect.name.lower(),
        statement.layer.name.lower(),
        "A?" if statement.action_set < 0 else f"A{statement.action_set}",
        "R?" if statement.resource_set < 0 else f"R{statement.resource_set}",
        *(f"p{p}" for p in statement.predicate_ids),
    ]
    if statement.principal >= 0:
        parts.insert(3, f"P{statement.principal}")
    if statement.flags & FLAG_UNKNOWN:
        parts.append("unknown")
    if statement.flags & FLAG_NEVER:
        parts.append("never")
    return f"{' '.join(parts)} @{place}"


def render_glyphs(glyphs: ir.Glyphs, keys: Sequence[ir.Key]) -> str:
    """A pattern with the reach of its wildcards: `*`, `?` match anything, `[*]`, `[?]` no colon."""
    return "".join(_glyph_text(glyph, keys) for glyph in glyphs)


_WILDCARDS = {
    Token.ANY: "?",
    Token.ANY_BUT_COLON: "[?]",
    Token.STAR: "*",
    Token.STAR_BUT_COLON: "[*]",
}


def _glyph_text(glyph: ir.Glyph, keys: Sequence[ir.Key]) -> str:
    if glyph.variable is not None:
        name = keys[glyph.variable.key_id].name if glyph.variable.key_id >= 0 else "-"
        default = glyph.variable.default
        return f"${{{name}}}" if default is None else f"${{{name}, {default!r}}}"
    if glyph.token is not Token.POINT:
        return _WILDCARDS[glyph.token]
    character = chr(glyph.point)
    return f"\\{character}" if character in "*?[]\\$" else character


def render_predicate(predicate: ir.Predicate, keys: Sequence[ir.Key]) -> str:
    suffix = "IfExists" if predicate.if_exists else ""
    operator = f"{_SET_PREFIX[predicate.set_operator]}{predicate.base}{suffix}"
    values = ", ".join(render_glyphs(value, keys) for value in predicate.values)
    return f"{operator} {keys[predicate.key_id].name} ({values})"


_PRINCIPAL_FLAGS = (
    (PRINCIPAL_SHIELDED, "or who has a boundary"),
    (PRINCIPAL_GATEWAY, "accounts as their root users"),
    (PRINCIPAL_UNREADABLE, "unreadable"),
)


def render_principal(flags: int, entries: Sequence[tuple[PrincipalKind, str]]) -> str:
    """A principal element: who, and how it is read (PRIN-12, EVAL-61)."""
    parts = ["none of" if flags & PRINCIPAL_NEGATED else "any of"]
    parts += [f"{kind.name}:{text}" for kind, text in entries]
    return " ".join([*parts, *(f"({word})" for flag, word in _PRINCIPAL_FLAGS if flags & flag)])


def emit_tables(table: Table) -> str:
    """Tables: sizes, both tries; of identity policies the cell of every action that they name in
    full, of several layers the sets of policies and who carries them.
    """
    return "\n".join(_table_lines(table))


def _table_lines(table: Table) -> Iterator[str]:
    described = table.describe()
    yield f"sha256 {described['sha256']}"
    for name, count in described["counts"].items():
        yield f"count {name} {count}"
    for name, array in sorted(table.model.arrays.items()):
        yield f"array {name} {array.dtype.name}[{len(array)}]"
    for prefix, text in (("action/", "action_text"), ("resource/", "resource_text")):
        yield f"trie {prefix[:-1]}"
        yield from _trie_lines(table.model, prefix, table.model.texts(text))
    if table.is_layered:
        yield from _class_lines(table.model)
        yield from _carrier_lines(table.model)
        return
    texts = table.model.texts("action_text")
    for name in sorted(t for t in texts if "*" not in t and "?" not in t):
        yield from _cell_lines(name, table.planner.cell(name.encode(), 0))


def _class_lines(model: TableModel) -> Iterator[str]:
    """Principal elements, and each set of policies as its statements; `?` for what is missing."""
    starts = model["principal_entry_start"].tolist()
    kinds = [PrincipalKind(kind) for kind in model["principal_entry_kind"].tolist()]
    texts = model.texts("principal_entry_text")
    for i, flags in enumerate(model["principal_element_flags"].tolist()):
        entries = range(starts[i], starts[i + 1])
        yield f"principal P{i} {render_principal(flags, [(kinds[e], texts[e]) for e in entries])}"
    starts, statements = model["class_start"].tolist(), model["class_statement"].tolist()
    gaps = model.texts("class_gap")
    for i, is_open in enumerate(model["class_is_open"].tolist()):
        parts = [f"s{s}" for s in statements[starts[i] : starts[i + 1]]]
        if is_open:
            parts.append(f"? {'; '.join(gaps[i].splitlines())}")
        yield " ".join([f"class C{i}", *parts])


def _carrier_lines(model: TableModel) -> Iterator[str]:
    """Who and what carries the sets of policies."""
    for role, class_id in zip(
        model["place_role"].tolist(), model["place_class"].tolist(), strict=True
    ):
        yield f"place {Role(role).name.lower()} C{class_id}"
    flags = model["account_flags"].tolist()
    for i, account in enumerate(model.texts("account_id")):
        words = [word for flag, word in _ACCOUNT_FLAGS if flags[i] & flag]
        for name in ("scp", "rcp"):
            starts = model[f"account_{name}_start"].tolist()
            levels = model[f"account_{name}"][starts[i] : starts[i + 1]].tolist()
            words += [name, *(f"C{c}" for c in levels)] if levels else []
        yield " ".join(["account", account, *words])
    boundaries = model["principal_boundary"].tolist()
    identities = model["principal_identity"].tolist()
    for i, arn in enumerate(model.texts("principal_arn")):
        boundary = "" if boundaries[i] == NO_ID else f" boundary C{boundaries[i]}"
        yield f"principal {arn} identity C{identities[i]}{boundary}"
    for name, prefix in (("resource policy", "governed"), ("endpoint", "endpoint")):
        classes = model[f"{prefix}_class"].tolist()
        for i, carrier in enumerate(model.texts(f"{prefix}_id")):
            yield f"{name} {carrier} C{classes[i]}"
    for alias, key in zip(model.texts("alias_id"), model.texts("alias_key"), strict=True):
        yield f"alias {alias} {key}"


_ACCOUNT_FLAGS = (
    (ACCOUNT_MANAGEMENT, "management"),
    (ACCOUNT_EXPORTED, "exported"),
)


def _trie_lines(model: TableModel, prefix: str, texts: list[str]) -> Iterator[str]:
    """Nodes depth first, indented; the patterns that end at a node and how they are verified.

    Below a head `...` begins a trie over second literals, `$` one over ends, read backwards.
    """
    label = model[prefix + "label"].tobytes()
    starts = model[prefix + "label_start"].tolist()
    byte, subs = model[prefix + "byte"].tobytes(), model[prefix + "subs"].tolist()
    first, count = model[prefix + "first_child"].tolist(), model[prefix + "child_count"].tolist()
    end_start = model[prefix + "end_start"].tolist()
    pattern = model[prefix + "end_pattern"].tolist()
    kind = model[prefix + "end_kind"].tolist()
    stack = [(0, 0, "")]
    while stack:
        node, depth, mark = stack.pop()
        lead = byte[node : node + 1] if node and not mark else b""
        edge = (lead + label[starts[node] : starts[node + 1]]).decode("utf-8", "backslashreplace")
        ends = " ".join(
            f"{_KINDS[kind[e]]}:{texts[pattern[e]]}"
            for e in range(end_start[node], end_start[node + 1])
        )
        yield f"  {'  ' * depth}{mark}{edge!r} {ends}".rstrip()
        behind = first[node] + count[node]
        marks = [mark for bit, mark in ((1, "..."), (2, "$")) if subs[node] & bit]
        below = [(child, "") for child in range(first[node], behind)]
        below += [(behind + i, mark) for i, mark in enumerate(marks)]
        stack += [(child, depth + 1, mark) for child, mark in reversed(below)]


_KINDS = ("exact", "prefix", "pieces", "automaton")


def _cell_lines(action: str, cell: Cell) -> Iterator[str]:
    constant, statement, words = cell
    if words is None:
        by = f" s{statement}" if statement >= 0 else ""
        yield f"cell {action} {_DECISIONS[constant & 3]}{by}"
        return
    yield f"cell {action}"
    at = 2
    for number in range(words[0] + words[1]):
        statement, set_id, head = words[at : at + 3]
        tests = words[at + 3 : at + 3 + (head & 0xFFFF)]
        at += 3 + len(tests)
        parts = ["deny" if number < words[0] else "allow", f"s{statement}", _set_name(set_id)]
        parts += [f"p{t}" for t in tests]
        if head >> 16:
            parts.append("unknown")
        yield "  " + " ".join(parts)


def _set_name(set_id: int) -> str:
    return {SET_ANY: "R*", SET_UNREADABLE: "R?"}.get(set_id, f"R{set_id}")
