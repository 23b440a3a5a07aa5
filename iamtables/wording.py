"""Statements and regions in the words of the policies they come from."""

from __future__ import annotations

import json

from .compiler import ir
from .compiler.compare import Region
from .errors import Location
from .grammar.tree import PolicyDocument
from .runtime.codes import Effect
from .runtime.model import StatementInfo
from .source import Span

_EFFECTS = {Effect.ALLOW: "Allow", Effect.DENY: "Deny", Effect.UNREADABLE: "?"}


def statement_info(program: ir.Program, number: int) -> StatementInfo:
    """A statement of a program and where it stands."""
    statement = program.statements[number]
    source = program.documents[statement.document].source
    return StatementInfo(
        number, source.name, statement.index, statement.sid, _EFFECTS[statement.effect],
        source.locate(statement.span),
    )


def entry_location(program: ir.Program, statement: ir.Statement, span: Span) -> Location:
    """Where one entry of a statement stands."""
    return program.documents[statement.document].source.locate(span)


def spelled(program: ir.Program, statement: ir.Statement, span: Span) -> str:
    """A string of a document as it is written there, without its quotes."""
    text = program.documents[statement.document].source.text[span.start : span.end]
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def action_texts(program: ir.Program, region: Region) -> tuple[str, ...]:
    """The actions of a region: patterns as written; `in part: ...` where not all is in it."""
    statement = program.statements[region.statement]
    places = {entry.id: entry.span for entry in reversed(statement.action_entries)}
    out = []
    for part in region.actions:
        if part.pattern >= 0:
            text = spelled(program, statement, places[part.pattern])
        elif statement.action_set < 0:
            text = "(cannot be read)"
        else:
            listed = [spelled(program, statement, e.span) for e in statement.action_entries]
            text = f"all but {', '.join(listed)}"
        if not part.is_whole:
            more = part.example_count - len(part.examples)
            text += f" (in part: {', '.join(part.examples)}{f' and {more} more' if more else ''})"
        out.append(text)
    return tuple(out)


def resource_texts(program: ir.Program, region: Region) -> tuple[str, ...]:
    """The resource patterns of a region as they are written."""
    statement = program.statements[region.statement]
    if statement.resource_set < 0:
        return ("(cannot be read)",)
    entries = statement.resource_entries
    if region.resources:
        wanted = set(region.resources)
        return tuple(dict.fromkeys(
            spelled(program, statement, e.span) for e in entries if e.id in wanted))
    texts = tuple(dict.fromkeys(spelled(program, statement, e.span) for e in entries))
    if program.resource_sets[statement.resource_set].negated:
        return (f"all but {', '.join(texts)}",)
    return texts


def condition_texts(document: PolicyDocument, statement: ir.Statement) -> tuple[str, ...]:
    """The conditions of a statement, one text for each operator and key."""
    for node in document.statements:
        if node.index == statement.index:
            return tuple(
                f"{entry.operator.value} {entry.key.value}: "
                f"{' | '.join(text.value for text in entry.values) or '(nothing)'}"
                for entry in node.conditions
            )
    return ()
