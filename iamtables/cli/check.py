"""`iamtables check`: one request, the decision, the deciding statement, and why others missed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit, printable
from .inputs import compilation_options, load_table, parse_context

if TYPE_CHECKING:
    from ..errors import Diagnostic, Location
    from ..grammar.tree import PolicyDocument
    from ..runtime import Explanation

_SEVERITY_STYLE = {"note": "cyan", "warning": "yellow", "error": "red"}
_DECISION_STYLE = {"ALLOW": "bold green", "UNDETERMINED": "bold yellow"}


@click.command("check", short_help="Decide one request and say why.")
@click.argument("policies", nargs=-1, required=True, metavar="POLICY...")
@click.option("--action", "-a", required=True, metavar="SERVICE:NAME", help="The action asked for.")
@click.option("--resource", "-r", metavar="ARN",
              help="The resource, or `*` for actions that have none. Left out: unknown.")
@click.option("--principal", "-p", metavar="ARN", help="Who asks.")
@click.option("--context", "-c", multiple=True, metavar="KEY=VALUE",
              help="A context key and its value; given again for one key, a list of values.")
@click.option("--unknown", "-u", multiple=True, metavar="KEY",
              help="A key whose value is not known; `prefix/*` for a family of keys.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--verbose", "-v", is_flag=True,
              help="Show near misses of allowed requests, and notes on style, too.")
@compilation_options
def command(policies: tuple[str, ...], action: str, resource: str | None, principal: str | None,
            context: tuple[str, ...], unknown: tuple[str, ...], as_json: bool, verbose: bool,
            options: tuple[str, ...], strict: bool) -> None:
    """Decide one request under identity policies.

    POLICY is a file, a directory, a pattern, `-`, or a table made by `iamtables compile`. Keys
    that are not given are absent from the request.

    Exit codes: 0 allowed, 1 denied, 4 undetermined, 3 unusable input.
    """
    table, documents = load_table(policies, options, is_strict=strict, has_notes=verbose)
    explanation = table.explain_request(
        action=action, resource=resource, principal=principal,
        context=parse_context(context), unknown=tuple(unknown),
    )
    notes = _notes(documents, action)
    if as_json:
        click.echo(_json(explanation, notes))
    else:
        _print(explanation, notes, verbose)
    sys.exit(_exit_code(explanation.decision.name))


def _exit_code(decision: str) -> Exit:
    if decision == "ALLOW":
        return Exit.OK
    return Exit.UNDETERMINED if decision == "UNDETERMINED" else Exit.NEGATIVE


def _notes(documents: list[PolicyDocument], action: str) -> list[Diagnostic]:
    """Statements that name the action but no resource it can be checked on."""
    from ..catalogue import load_catalogue
    from ..reachability import unreachable_statements

    entry = load_catalogue().action(action)
    if entry is None:
        return []
    return [note for document in documents for note in unreachable_statements(document, entry)]


def _print(explanation: Explanation, notes: list[Diagnostic], verbose: bool) -> None:
    from rich.text import Text

    from .outputs import make_console

    console = make_console()
    head, _, rest = printable(explanation.render(verbose=verbose)).partition("\n")
    console.print(Text(head, style=_DECISION_STYLE.get(explanation.decision.name, "bold red")),
                  soft_wrap=True)
    if rest:
        console.print(Text(rest), soft_wrap=True)
    for note in notes:
        first, _, body = printable(note.render()).partition("\n")
        console.print()
        console.print(Text(first, style=_SEVERITY_STYLE[note.severity]), soft_wrap=True)
        console.print(Text(body), soft_wrap=True)


def _json(explanation: Explanation, notes: list[Diagnostic]) -> str:
    import json

    def place(location: Location | None) -> dict[str, Any] | None:
        if location is None:
            return None
        return {"path": location.path, "line": location.line, "column": location.column,
                "length": location.length}

    traces = [
        {
            "statement": {
                "policy": trace.statement.policy, "index": trace.statement.index,
                "sid": trace.statement.sid, "effect": trace.statement.effect,
                "location": place(trace.statement.location),
            },
            "state": trace.state,
            "is_deciding": trace.is_deciding,
            "misses": [
                {"element": miss.element, "state": miss.state, "text": miss.text,
                 "location": place(miss.location)}
                for miss in trace.misses
            ],
        }
        for trace in explanation.traces
    ]
    asked = explanation.request
    deciding = next((t["statement"] for t in traces if t["is_deciding"]), None)
    return json.dumps({
        "decision": explanation.decision.name,
        "request": {
            "principal": asked.principal, "action": asked.action, "resource": asked.resource,
            "context": dict(asked.context), "unknown": list(asked.unknown),
        },
        "depends_on": list(explanation.reason),
        "statement": deciding,
        "traces": traces,
        "notes": [
            {"code": note.code, "message": note.message, "location": place(note.location),
             "help": note.help}
            for note in notes
        ],
    }, indent=2, default=str)
