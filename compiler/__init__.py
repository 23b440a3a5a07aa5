"""Compiling: syntax trees to IR, IR to decision tables.

    parse_policy -> lower_documents -> optimize -> build_model -> Table

Where the documents stand (identity policies of everyone, layers that meet every request, an
organization) is a frame of its own: compiler/frames.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..grammar.tree import PolicyDocument
from ..options import Options
from ..runtime.table import Table
from .collector import collector_paused
from .frames import Frame, identity_frame, layers_frame, organization_frame
from .ir import Program
from .lower import lower_documents
from .organization import Organization
from .passes import optimize
from .tables import build_model

__all__ = ["compile", "compile_layers", "lower_frame"]


def compile(
    policies: PolicyDocument | Iterable[PolicyDocument] | Organization,
    *,
    options: Options | None = None,
) -> Table:
    """A decision table of the given documents, taken as identity policies of every principal, or of
    an organization with all its policy layers.

    Raises LimitError when a table would be larger than its formats allow.
    """
    if isinstance(policies, Organization):
        return _compile(organization_frame(policies), options)
    documents = [policies] if isinstance(policies, PolicyDocument) else list(policies)
    return _compile(identity_frame(documents), options)


def compile_layers(
    *,
    identity: Sequence[PolicyDocument] = (),
    resource: PolicyDocument | None = None,
    boundary: Sequence[PolicyDocument] | None = None,
    session: Sequence[PolicyDocument] | None = None,
    scps: Sequence[Sequence[PolicyDocument]] = (),
    rcps: Sequence[Sequence[PolicyDocument]] = (),
    endpoint: Sequence[PolicyDocument] | None = None,
    options: Options | None = None,
) -> Table:
    """A table of policies that meet every request to which their type applies (EVAL-6).

    resource       : the policy of the resource that is asked for, whichever it is; a role's is read
                     as its trust policy
    boundary, session, endpoint : None or empty: none is set
    scps, rcps     : levels from the root of the organization to the account
    """
    frame = layers_frame(
        identity=identity, resource=resource, boundary=boundary or (), session=session or (),
        scps=scps, rcps=rcps, endpoint=endpoint or (),
    )  # fmt: skip
    return _compile(frame, options)


def _compile(frame: Frame, options: Options | None) -> Table:
    with collector_paused():
        model = build_model(lower_frame(frame, options), frame)
    return Table(model)


def lower_frame(frame: Frame, options: Options | None = None) -> Program:
    """The optimised intermediate form of the documents of a frame."""
    return optimize(
        lower_documents(
            frame.documents, options or Options(), keys=frame.keys,
            interface_endpoints=frame.interface_endpoints,
        )
    )  # fmt: skip
