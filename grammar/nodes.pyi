"""The nodes of the syntax tree that there are many of: statements, elements, conditions."""

from ..source import Span
from .json_reader import Text
from .tree import Effect, Fault, PrincipalElement, SetOperator

NONE_VOID: frozenset[int]
NO_FAULTS: frozenset[Fault]

class Element:
    """What `ActionElement` and `ResourceElement` have in common."""

    @property
    def negated(self) -> bool: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def entries(self) -> tuple[Text, ...]: ...
    @property
    def void(self) -> frozenset[int]: ...
    @property
    def span(self) -> Span: ...
    def __init__(
        self,
        negated: bool,
        span: tuple[int, int],
        entries: tuple[Text, ...],
        void: frozenset[int],
    ) -> None:
        """
        span    : of the whole value
        entries : its `Text`s
        void    : indexes of entries that match nothing, by the rules
        """

class ActionElement(Element):
    """`Action` or `NotAction`. Entries the rules void (ACT-3, ACT-4) are kept in `void`."""

class ResourceElement(Element):
    """`Resource` or `NotResource`. Entries the rules void (RES-7, RES-8) are kept in `void`."""

class ConditionEntry:
    """One operator x key x values entry of a `Condition` (COND-1).

    `set_operator`, `base` and `if_exists` are the parsed operator in its exact spelling (COND-6);
    an entry whose operator is unknown has `base` None and the statement carries the fault
    `condition`.
    """

    @property
    def operator(self) -> Text: ...
    @property
    def set_operator(self) -> SetOperator: ...
    @property
    def base(self) -> str | None: ...
    @property
    def if_exists(self) -> bool: ...
    @property
    def key(self) -> Text: ...
    @property
    def values(self) -> tuple[Text, ...]: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def span(self) -> Span: ...
    def __init__(
        self,
        operator: Text,
        set_operator: SetOperator,
        base: str | None,
        if_exists: bool,
        key: Text,
        values: tuple[Text, ...],
        span: tuple[int, int],
    ) -> None:
        """span : from the key to the end of its values"""

class StatementNode:
    """One statement as written. An element that is missing or faulty is None or listed in `faults`;
    `faults` empty means that every element was understood."""

    @property
    def index(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def sid(self) -> Text | None: ...
    @property
    def effect(self) -> Effect | None: ...
    @property
    def action(self) -> ActionElement | None: ...
    @property
    def resource(self) -> ResourceElement | None: ...
    @property
    def principal(self) -> PrincipalElement | None: ...
    @property
    def conditions(self) -> tuple[ConditionEntry, ...]: ...
    @property
    def faults(self) -> frozenset[Fault]: ...
    @property
    def span(self) -> Span: ...
    @property
    def effect_span(self) -> Span | None: ...
    @property
    def condition_span(self) -> Span | None: ...
    def __init__(
        self,
        index: int,
        span: tuple[int, int],
        sid: Text | None,
        effect: Effect | None,
        effect_span: tuple[int, int] | None,
        action: ActionElement | None,
        resource: ResourceElement | None,
        principal: PrincipalElement | None,
        conditions: tuple[ConditionEntry, ...],
        condition_span: tuple[int, int] | None,
        faults: frozenset[Fault],
    ) -> None:
        """effect_span, condition_span : None where there is none"""

    def spoiled(self, fault: Fault) -> StatementNode:
        """The same statement, its conditions not understood, with one more fault."""
