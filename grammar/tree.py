"""The syntax tree of a policy document: what stands where, before any meaning is compiled.

Text that came from the document is a `Text`: the decoded value with its span. A fault the
lenient mode went past is recorded on the node it spoils (`StatementNode.faults`), never dropped,
because the compiler must treat what was not understood as *unknown* (docs/design/three-valued.md).
Spans are code-point offsets into `Source.text`; lines and columns are computed when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..errors import Diagnostic
from ..source import Source, Span
from .json_reader import Text as Text  # nodes of the tree like the others here
from .nodes import NO_FAULTS as NO_FAULTS
from .nodes import NONE_VOID as NONE_VOID
from .nodes import ActionElement as ActionElement
from .nodes import ConditionEntry as ConditionEntry
from .nodes import ResourceElement as ResourceElement
from .nodes import StatementNode as StatementNode

PolicyType = Literal["identity", "boundary", "session", "resource", "trust", "scp", "rcp", "vpce"]
Mode = Literal["strict", "lenient"]
Version = Literal["2008-10-17", "2012-10-17"]
Effect = Literal["Allow", "Deny"]
SetOperator = Literal["", "ForAllValues", "ForAnyValue"]
PrincipalKind = Literal["AWS", "Service", "Federated", "CanonicalUser"]
Fault = Literal["statement", "effect", "action", "resource", "principal", "condition"]
"""The part of a statement that could not be understood. `statement` stands for a violation that
concerns the statement as a whole (an element that is not allowed there, an unknown element that
looks like a known one)."""


@dataclass(frozen=True, slots=True)
class PrincipalEntry:
    """One value of a principal map. `kind` is its key; `"*"` alone is kind `AWS`, value `*`."""

    kind: PrincipalKind
    text: Text
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """`Principal` or `NotPrincipal`."""

    negated: bool
    span: Span
    entries: tuple[PrincipalEntry, ...]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A parsed policy.

    is_faulty     : a document fault (GRAM-0): every statement is spoiled
    is_unreadable : `Statement` itself could not be read; `statements` is empty and says nothing
    """

    source: Source
    span: Span
    """The policy object (inside a wrapper, if it came in one)."""
    policy_type: PolicyType
    version: Version
    statements: tuple[StatementNode, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=())
    is_faulty: bool = False
    is_unreadable: bool = False

    @property
    def has_variables(self) -> bool:
        """Whether `${...}` is a policy variable here (GRAM-11)."""
        return self.version == "2012-10-17"


class Run(NamedTuple):
    """A run of ordinary characters; `${*}`, `${?}` and `${$}` have been resolved into it."""

    text: str


class Star(NamedTuple):
    """`*`: zero or more characters (GLOB-1)."""


class Question(NamedTuple):
    """`?`: exactly one code point (GLOB-1, GLOB-3)."""


class Variable(NamedTuple):
    """`${name}` or `${name, 'default'}` (VAR-1, VAR-11)."""

    name: str
    default: str | None


PatternToken = Run | Star | Question | Variable
