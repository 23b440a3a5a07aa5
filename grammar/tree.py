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
from .json_reader import Text as Text  # a node of the tree like the others here

PolicyType = Literal["identity", "boundary", "session", "resource", "trust", "scp", "rcp", "vpce"]
Mode = Literal["strict", "lenient"]
Version = Literal["2008-10-17", "2012-10-17"]
Effect = Literal["Allow", "Deny"]
PrincipalKind = Literal["AWS", "Service", "Federated", "CanonicalUser"]
Fault = Literal["statement", "effect", "action", "resource", "principal", "condition"]
"""The part of a statement that could not be understood. `statement` stands for a violation that
concerns the statement as a whole (an element that is not allowed there, an unknown element that
looks like a known one)."""


NONE_VOID: frozenset[int] = frozenset()
NO_FAULTS: frozenset[Fault] = frozenset()


@dataclass(frozen=True, slots=True)
class ActionElement:
    """`Action` or `NotAction`. Entries the rules void (ACT-3, ACT-4) are kept in `void`."""

    negated: bool
    span: Span
    """Span of the whole value."""
    entries: tuple[Text, ...]
    void: frozenset[int] = NONE_VOID
    """Indexes of entries that match nothing."""


@dataclass(frozen=True, slots=True)
class ResourceElement:
    """`Resource` or `NotResource`. Entries the rules void (RES-7, RES-8) are kept in `void`."""

    negated: bool
    span: Span
    entries: tuple[Text, ...]
    void: frozenset[int] = NONE_VOID


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
class ConditionEntry:
    """One operator x key x values entry of a `Condition` (COND-1).

    `set_operator`, `base` and `if_exists` are the parsed operator in its exact spelling
    (COND-6); an entry whose operator is unknown has `base` None and the statement carries the
    fault `condition`.
    """

    operator: Text
    set_operator: Literal["", "ForAllValues", "ForAnyValue"]
    base: str | None
    if_exists: bool
    key: Text
    values: tuple[Text, ...]
    span: Span
    """From the key to the end of its values."""

    @property
    def start(self) -> int:
        return self.span.start

    @property
    def end(self) -> int:
        return self.span.end


@dataclass(frozen=True, slots=True)
class StatementNode:
    """One statement as written. An element that is missing or faulty is None or listed in
    `faults`; `faults` empty means that every element was understood."""

    index: int
    span: Span
    sid: Text | None
    effect: Effect | None
    effect_span: Span | None
    action: ActionElement | None
    resource: ResourceElement | None
    principal: PrincipalElement | None
    conditions: tuple[ConditionEntry, ...]
    condition_span: Span | None
    faults: frozenset[Fault] = NO_FAULTS


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
