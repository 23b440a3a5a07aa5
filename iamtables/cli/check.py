"""`iamtables check`: one request, the decision, the deciding statement, and why others missed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit, printable
from .inputs import (
    Command,
    compilation_options,
    load_documents,
    load_table,
    organization_options,
    parse_context,
    parse_options,
    read_organization,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..errors import Diagnostic, Location
    from ..grammar.tree import PolicyDocument, PolicyType
    from ..runtime import Explanation, Table

_SEVERITY_STYLE = {"note": "cyan", "warning": "yellow", "error": "red"}
_DECISION_STYLE = {"ALLOW": "bold green", "UNDETERMINED": "bold yellow"}


def _layer_options(command: Command) -> Command:
    """Adds one option per policy layer; each may be given again."""
    for name, option, text in (
        ("endpoint", "--endpoint", "A VPC endpoint policy the request passes."),
        ("rcps", "--rcp", "A level of resource control policies."),
        ("scps", "--scp", "A level of service control policies, the organization's root first."),
        ("session_policies", "--session", "A session policy."),
        ("boundaries", "--boundary", "The permissions boundary."),
        ("resource_policy", "--resource-policy", "The policy of the resource (of a role: trust)."),
        ("identity", "--identity", "An identity policy, as POLICY is."),
    ):
        command = click.option(option, name, multiple=True, metavar="POLICY", help=text)(command)
    return command


@click.command("check", short_help="Decide one request and say why.")
@click.argument("policies", nargs=-1, metavar="[POLICY]...")
@click.option("--action", "-a", required=True, metavar="SERVICE:NAME", help="The action asked for.")
@click.option("--resource", "-r", metavar="ARN",
              help="The resource, or `*` for actions that have none. Left out: unknown.")
@click.option("--principal", "-p", metavar="ARN", help="Who asks.")
@click.option("--issuer", metavar="ARN",
              help="The role, with its path, or the user behind a session.")
@click.option("--resource-account", metavar="ID",
              help="Owner of the resource, where its ARN does not tell.")
@click.option("--context", "-c", multiple=True, metavar="KEY=VALUE",
              help="A context key and its value; given again for one key, a list of values.")
@click.option("--unknown", "-u", multiple=True, metavar="KEY",
              help="A key whose value is not known; `prefix/*` for a family of keys.")
@click.option("--also-allowed", is_flag=True,
              help="Means that policies do not tell of (a grant, an ACL) allow it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--verbose", "-v", is_flag=True,
              help="Show near misses of allowed requests, and notes on style, too.")
@_layer_options
@organization_options
@compilation_options
def command(policies: tuple[str, ...], action: str, resource: str | None, principal: str | None,
            issuer: str | None, resource_account: str | None, context: tuple[str, ...],
            unknown: tuple[str, ...], also_allowed: bool, as_json: bool, verbose: bool,
            organization: str | None, missing_layers: str, options: tuple[str, ...], strict: bool,
            **layers: tuple[str, ...]) -> None:
    """Decide one request, under identity policies, under policies of every layer, or in an
    organization.

    POLICY is a file, a directory, a pattern, `-`, or a table made by `iamtables compile`. Keys
    that are not given are absent from the request. With another layer or an organization the
    principal has to be named.

    Exit codes: 0 allowed, 1 denied, 4 undetermined, 3 unusable input.
    """
    table, documents = _table(policies, organization, missing_layers, layers, options,
                              is_strict=strict, has_notes=verbose)
    if table.is_layered and principal is None:
        raise click.UsageError("with more than identity policies in play, name the --principal")
    explanation = table.explain_request(
        action=action, resource=resource, principal=principal,
        context=parse_context(context), unknown=tuple(unknown), issuer_arn=issuer,
        resource_account=resource_account, also_allowed=also_allowed,
    )
    notes = _notes(documents, action)
    if as_json:
        click.echo(_json(explanation, notes))
    else:
        _print(explanation, notes, verbose)
    sys.exit(_exit_code(explanation.decision.name))


def _table(policies: tuple[str, ...], organization: str | None, missing_layers: str,
           layers: Mapping[str, tuple[str, ...]], options: tuple[str, ...], *, is_strict: bool,
           has_notes: bool) -> tuple[Table, list[PolicyDocument]]:
    """What decides: an organization, policies of several layers, or identity policies."""
    identity = (*policies, *layers["identity"])
    others = {name: given for name, given in layers.items() if given and name != "identity"}
    if organization is not None:
        if identity or others:
            raise click.UsageError("--org comes alone: its policies are those of the directory")
        from ..compiler import compile as compile_policies

        found = read_organization(organization, missing_layers, is_strict=is_strict)
        return compile_policies(found, options=parse_options(options)), []
    if not identity and not others:
        raise click.UsageError("give policies, or --org")
    if not others:
        return load_table(identity, options, is_strict=is_strict, has_notes=has_notes)

    def documents(names: tuple[str, ...], policy_type: PolicyType) -> list[PolicyDocument]:
        return load_documents(names, is_strict=is_strict, has_notes=has_notes,
                              policy_type=policy_type)

    resource = documents(layers["resource_policy"], "resource")
    if len(resource) > 1:
        raise click.UsageError("a resource has one policy; give --resource-policy once")
    from ..compiler import compile_layers

    own = documents(identity, "identity")
    table = compile_layers(
        identity=own,
        resource=resource[0] if resource else None,
        boundary=documents(layers["boundaries"], "boundary"),
        session=documents(layers["session_policies"], "session"),
        scps=[documents((name,), "scp") for name in layers["scps"]],
        rcps=[documents((name,), "rcp") for name in layers["rcps"]],
        endpoint=documents(layers["endpoint"], "vpce"),
        options=parse_options(options),
    )
    return table, own


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
            "layer": trace.layer.name.lower(),
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
        "layer": explanation.layer.name.lower(),
        "deciders": [layer.name.lower() for layer in explanation.deciders],
        "request": {
            "principal": asked.principal, "action": asked.action, "resource": asked.resource,
            "context": dict(asked.context), "unknown": list(asked.unknown),
        },
        "depends_on": list(explanation.reason),
        "not_in_snapshot": list(explanation.gaps),
        "missing_layers": list(explanation.missing_layers),
        "statement": deciding,
        "traces": traces,
        "notes": [
            {"code": note.code, "message": note.message, "location": place(note.location),
             "help": note.help}
            for note in notes
        ],
    }, indent=2, default=str)
