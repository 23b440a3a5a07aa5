"""The slow, obvious evaluator that every fast path is judged by.

Plain Python written straight from docs/spec/semantics.md, rule numbers beside the code, and from
docs/design/three-valued.md. It starts from `json.loads`, uses the standard library only and
shares nothing with the grammar, the compiler or the runtime, so that a mistake made there is not
made here. Nobody optimises it.

    foundations  three-valued matches, faults, options, rule ids
    jsontext     JSON, lexemes kept                       (GRAM-1, 2, 5)
    documents    documents to statements with faults      (section 1)
    globs        wildcards                                (GLOB)
    actions      Action, NotAction                        (ACT)
    resources    Resource, NotResource                    (RES)
    variables    policy variables                         (VAR)
    context      the request context and its catalogue    (COND-4 to 13, CTX)
    operators    condition operators by name              (COND-6, 7)
    values       numbers, dates, addresses, ...           (3.5 to 3.10)
    conditions   one condition entry                      (3.3)
    principals   requesters and levels                    (PRIN)
    statements   the Kleene and of the elements           (STMT)
    evaluate     the identity layer                       (three-valued.md)
    layers       all policy types                         (section 5)
"""

from __future__ import annotations

from .evaluate import Outcome, Statements, evaluate_identity, outcome_of, statement_states
from .foundations import LAYER_RULES, RULES, UNKNOWN, DocumentFault, RequestFault
from .layers import evaluate, evaluate_layers
from .statements import StatementState

__all__ = [
    "LAYER_RULES",
    "RULES",
    "UNKNOWN",
    "DocumentFault",
    "Outcome",
    "RequestFault",
    "StatementState",
    "Statements",
    "evaluate",
    "evaluate_identity",
    "evaluate_layers",
    "outcome_of",
    "statement_states",
]
