"""One question with its policies at hand: no organization, no table to keep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import RequestError
from .options import Options

if TYPE_CHECKING:
    from .grammar.tree import PolicyDocument, PolicyType
    from .runtime import Decision

_FIELDS = {
    "principal": "principal",
    "action": "action",
    "resource": "resource",
    "context": "context",
    "unknown": "unknown",
    "issuer_arn": "issuer_arn",
    "principal_account": "principal_account",
    "principal_type": "principal_type",
    "resource_account": "resource_account",
    "principal_is_management_account": "is_management_account",
    "also_allowed": "also_allowed",
}
"""Fields of a request (docs/spec/semantics.md, section 8) -> arguments of `Table.check`."""


def evaluate(
    request: Mapping[str, Any],
    *,
    identity: Sequence[Any] = (),
    resource: Any = None,
    boundary: Sequence[Any] | None = None,
    session: Sequence[Any] | None = None,
    scps: Sequence[Sequence[Any]] = (),
    rcps: Sequence[Sequence[Any]] = (),
    endpoint: Sequence[Any] | None = None,
    options: Options | None = None,
) -> Decision:
    """What these policies decide about one request.

    request  : `principal`, `action`, `resource` (None: not known), and as needed `context`,
               `unknown`, `issuer_arn`, `principal_account`, `principal_type`, `resource_account`,
               `principal_is_management_account`, `also_allowed`
    policies : each a `PolicyDocument`, JSON text, or an object that JSON can write
    resource : the policy of the resource that is asked for (of a role: its trust policy)
    scps, rcps : levels from the root of the organization to the account, each a list of policies

        evaluate({"principal": "arn:aws:iam::111122223333:role/app", "action": "s3:GetObject",
                  "resource": "arn:aws:s3:::b/k"},
                 identity=[{"Version": "2012-10-17", "Statement": [...]}])

    Raises RequestError for a request that cannot be made, and what `parse_policy` raises.
    """
    from .compiler import compile_layers

    unknown_fields = sorted(set(request) - _FIELDS.keys())
    if unknown_fields:
        raise RequestError(
            f"a request has no field `{unknown_fields[0]}`", field=unknown_fields[0],
            help=f"it may have: {', '.join(_FIELDS)}",
        )  # fmt: skip
    table = compile_layers(
        identity=_documents(identity, "identity"),
        resource=None if resource is None else _document(resource, "resource", "resource"),
        boundary=_documents(boundary or (), "boundary"),
        session=_documents(session or (), "session"),
        scps=[_documents(level, "scp") for level in scps],
        rcps=[_documents(level, "rcp") for level in rcps],
        endpoint=_documents(endpoint or (), "vpce"),
        options=options,
    )
    arguments = {_FIELDS[name]: value for name, value in request.items()}
    arguments.setdefault("resource", None)
    if "action" not in arguments:
        raise RequestError("the request has no action", field="action",
                           help="give `service:Name`, for example `s3:GetObject`")  # fmt: skip
    return table.check(**arguments)


def _documents(policies: Iterable[Any], policy_type: PolicyType) -> list[PolicyDocument]:
    return [
        _document(policy, policy_type, f"{policy_type}[{index}]")
        for index, policy in enumerate(policies)
    ]


def _document(policy: Any, policy_type: PolicyType, name: str) -> PolicyDocument:
    from .grammar import parse_policy
    from .grammar.tree import PolicyDocument

    if isinstance(policy, PolicyDocument):
        return policy
    text = policy if isinstance(policy, str | bytes) else json.dumps(policy)
    return parse_policy(text, name=name, policy_type=policy_type)
