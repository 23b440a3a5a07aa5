"""iamtables: AWS IAM policies compiled to decision tables.

    import iamtables as it

    policy = it.load_policy("AmazonBedrockFullAccess.json")
    table = it.compile(policy)
    table.check(action="bedrock:InvokeModel", resource="*").decision

Names are resolved when first used, so that a worker which only opens a compiled table
(`iamtables.runtime`) pays for numpy and nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compared import Comparison, Difference
    from .comparison import compare
    from .compiler import compile as compile
    from .compiler import compile_layers
    from .compiler.compare import Budget
    from .compiler.organization import (
        Account,
        Endpoint,
        Organization,
        PolicySet,
        Principal,
        ResourcePolicy,
    )
    from .errors import (
        ArtefactError,
        ColumnError,
        Diagnostic,
        IamtablesError,
        LimitError,
        Location,
        MissingExtraError,
        OrganizationError,
        PolicyError,
        PolicySemanticError,
        PolicySyntaxError,
        RequestError,
        SourceError,
    )
    from .evaluation import evaluate
    from .grammar import PolicyDocument, load_policy, parse_policy
    from .options import Options
    from .organization import load_organization
    from .replaying import ReplayResult, replay
    from .runtime import (
        Decision,
        DecisionCode,
        Decisions,
        DictionaryColumn,
        Explanation,
        Layer,
        Session,
        Table,
        open_table,
    )

__version__ = "0.1.0"

_HOME = {
    "compile": ".compiler",
    "compile_layers": ".compiler",
    "evaluate": ".evaluation",
    "Layer": ".runtime",
    "Account": ".compiler.organization",
    "Endpoint": ".compiler.organization",
    "Organization": ".compiler.organization",
    "PolicySet": ".compiler.organization",
    "Principal": ".compiler.organization",
    "ResourcePolicy": ".compiler.organization",
    "compare": ".comparison",
    "Budget": ".compiler.compare",
    "Comparison": ".compared",
    "Difference": ".compared",
    "PolicyDocument": ".grammar",
    "load_policy": ".grammar",
    "parse_policy": ".grammar",
    "Options": ".options",
    "load_organization": ".organization",
    "ReplayResult": ".replaying",
    "replay": ".replaying",
    "Decision": ".runtime",
    "DecisionCode": ".runtime",
    "Decisions": ".runtime",
    "DictionaryColumn": ".runtime",
    "Explanation": ".runtime",
    "Session": ".runtime",
    "Table": ".runtime",
    "open_table": ".runtime",
    "ArtefactError": ".errors",
    "ColumnError": ".errors",
    "Diagnostic": ".errors",
    "IamtablesError": ".errors",
    "LimitError": ".errors",
    "Location": ".errors",
    "MissingExtraError": ".errors",
    "OrganizationError": ".errors",
    "PolicyError": ".errors",
    "PolicySemanticError": ".errors",
    "PolicySyntaxError": ".errors",
    "RequestError": ".errors",
    "SourceError": ".errors",
}

__all__ = [
    "Account",
    "ArtefactError",
    "Budget",
    "ColumnError",
    "Comparison",
    "Decision",
    "DecisionCode",
    "Decisions",
    "Diagnostic",
    "DictionaryColumn",
    "Difference",
    "Endpoint",
    "Explanation",
    "IamtablesError",
    "Layer",
    "LimitError",
    "Location",
    "MissingExtraError",
    "Options",
    "Organization",
    "OrganizationError",
    "PolicyDocument",
    "PolicyError",
    "PolicySemanticError",
    "PolicySet",
    "PolicySyntaxError",
    "Principal",
    "ReplayResult",
    "RequestError",
    "ResourcePolicy",
    "Session",
    "SourceError",
    "Table",
    "compare",
    "compile",
    "compile_layers",
    "evaluate",
    "load_organization",
    "load_policy",
    "open_table",
    "parse_policy",
    "replay",
]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for Any

    def __getattr__(name: str) -> Any:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home, __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
