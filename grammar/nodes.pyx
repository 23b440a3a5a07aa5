"""The nodes of the syntax tree that there are many of: statements, their elements and conditions.

A tree of a hundred thousand statements is read node by node, so a node is one object that knows its
offsets as numbers and makes a `Span` when asked. None is a container to the garbage collector, which
walked them again and again: a node is made of nodes that were there before it, so there are no cycles.
"""

cimport cython

from ..source import Span

NONE_VOID = frozenset()
NO_FAULTS = frozenset()


cdef tuple pair_of(Py_ssize_t start, Py_ssize_t end):
    return None if start < 0 else (start, end)


@cython.no_gc
cdef class Element:
    """What `ActionElement` and `ResourceElement` have in common."""

    def __init__(self, bint negated, span, tuple entries not None, frozenset void not None):
        """
        span    : of the whole value
        entries : its `Text`s
        void    : indexes of entries that match nothing, by the rules
        """
        self.negated = negated
        self.start, self.end = span
        self.entries = entries
        self.void = void

    @property
    def span(self):
        return Span(self.start, self.end)

    cdef tuple parts(self):
        return self.negated, (self.start, self.end), self.entries, self.void

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self.parts() == (<Element>other).parts()

    def __hash__(self):
        return hash(self.parts())

    def __repr__(self):
        return (f"{type(self).__name__}(negated={self.negated!r}, span={self.span!r}, "
                f"entries={self.entries!r}, void={self.void!r})")

    def __reduce__(self):
        return type(self), self.parts()


@cython.no_gc
cdef class ActionElement(Element):
    """`Action` or `NotAction`. Entries the rules void (ACT-3, ACT-4) are kept in `void`."""


@cython.no_gc
cdef class ResourceElement(Element):
    """`Resource` or `NotResource`. Entries the rules void (RES-7, RES-8) are kept in `void`."""


@cython.no_gc
cdef class ConditionEntry:
    """One operator x key x values entry of a `Condition` (COND-1).

    `set_operator`, `base` and `if_exists` are the parsed operator in its exact spelling (COND-6); an
    entry whose operator is unknown has `base` None and the statement carries the fault `condition`.
    """

    def __init__(self, Text operator not None, set_operator, str base, bint if_exists,
                 Text key not None, tuple values not None, span):
        """span : from the key to the end of its values"""
        self.operator = operator
        self.set_operator = set_operator
        self.base = base
        self.if_exists = if_exists
        self.key = key
        self.values = values
        self.start, self.end = span

    @property
    def span(self):
        return Span(self.start, self.end)

    cdef tuple parts(self):
        return (self.operator, self.set_operator, self.base, self.if_exists, self.key, self.values,
                (self.start, self.end))

    def __eq__(self, other):
        if type(other) is not ConditionEntry:
            return NotImplemented
        return self.parts() == (<ConditionEntry>other).parts()

    def __hash__(self):
        return hash(self.parts())

    def __repr__(self):
        return (f"ConditionEntry(operator={self.operator!r}, set_operator={self.set_operator!r}, "
                f"base={self.base!r}, if_exists={self.if_exists!r}, key={self.key!r}, "
                f"values={self.values!r}, span={self.span!r})")

    def __reduce__(self):
        return ConditionEntry, self.parts()


@cython.no_gc
cdef class StatementNode:
    """One statement as written. An element that is missing or faulty is None or listed in `faults`;
    `faults` empty means that every element was understood."""

    def __init__(self, index, span, Text sid, effect, effect_span, ActionElement action,
                 ResourceElement resource, principal, tuple conditions not None, condition_span,
                 frozenset faults not None):
        """effect_span, condition_span : None where there is none"""
        self.index = index
        self.start, self.end = span
        self.sid = sid
        self.effect = effect
        self.effect_start, self.effect_end = (-1, -1) if effect_span is None else effect_span
        self.action = action
        self.resource = resource
        self.principal = principal
        self.conditions = conditions
        self.condition_start, self.condition_end = (
            (-1, -1) if condition_span is None else condition_span)
        self.faults = faults

    @property
    def span(self):
        return Span(self.start, self.end)

    @property
    def effect_span(self):
        return None if self.effect_start < 0 else Span(self.effect_start, self.effect_end)

    @property
    def condition_span(self):
        return None if self.condition_start < 0 else Span(self.condition_start, self.condition_end)

    def spoiled(self, fault):
        """The same statement, its conditions not understood, with one more fault."""
        return StatementNode(
            self.index, (self.start, self.end), self.sid, self.effect, self.effect_span, self.action,
            self.resource, self.principal, (), self.condition_span, self.faults | {fault})

    cdef tuple parts(self):
        return (self.index, (self.start, self.end), self.sid, self.effect,
                pair_of(self.effect_start, self.effect_end), self.action, self.resource,
                self.principal, self.conditions, pair_of(self.condition_start, self.condition_end),
                self.faults)

    def __eq__(self, other):
        if type(other) is not StatementNode:
            return NotImplemented
        return self.parts() == (<StatementNode>other).parts()

    def __hash__(self):
        return hash(self.parts())

    def __repr__(self):
        return (f"StatementNode(index={self.index!r}, span={self.span!r}, sid={self.sid!r}, "
                f"effect={self.effect!r}, effect_span={self.effect_span!r}, action={self.action!r}, "
                f"resource={self.resource!r}, principal={self.principal!r}, "
                f"conditions={self.conditions!r}, condition_span={self.condition_span!r}, "
                f"faults={self.faults!r})")

    def __reduce__(self):
        return StatementNode, self.parts()
