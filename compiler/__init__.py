"""Compiling: syntax trees to IR, IR to decision tables.

    parse_policy -> lower_documents -> optimize -> build_model -> Table
"""

from __future__ import annotations

from collections.abc import Iterable

from ..grammar.tree import PolicyDocument
from ..options import Options
from ..runtime.table import Table
from .lower import lower_documents
from .passes import optimize
from .tables import build_model

__all__ = ["compile"]


def compile(
    policies: PolicyDocument | Iterable[PolicyDocument], *, options: Options | None = None
) -> Table:
    """A decision table of the given documents, taken as identity policies of every principal.

    Raises LimitError when a table would be larger than its formats allow.
    """
    documents = [policies] if isinstance(policies, PolicyDocument) else list(policies)
    program = optimize(lower_documents(documents, options or Options()))
    return Table(build_model(program))
