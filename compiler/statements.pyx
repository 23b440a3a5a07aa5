"""Statements of the syntax tree to columns: the loop of lowering, which may run a hundred thousand
times. What a text means is decided in lower.py, once, and looked up here; patterns and sets are
numbered in interned.pyx. No object is made for a statement: parts.py makes one of its columns for
who looks at it.
"""

import numpy as np

from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from ..grammar.json_reader cimport Text
from ..grammar.nodes cimport ConditionEntry, Element, StatementNode
from ..runtime.codes import NO_ID as _NO_ID
from ..runtime.codes import Effect
from ..runtime.intern cimport NO_ID
from ..runtime.words cimport Words
from .interned cimport (
    Letters,
    PatternTable,
    SetTable,
    array_of,
    bytes_array_of,
    put_text,
    put_word,
)

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object mapping, object key) except? NULL

cdef enum:
    ALLOW
    DENY
    UNREADABLE

cdef enum:
    DOCUMENT, INDEX, LAYER, EFFECT, ACTION_SET, RESOURCE_SET, PRINCIPAL, FLAGS, SPAN, PREDICATE
    PREDICATE_START, ACTION_ENTRY_START, ACTION_ENTRY, ACTION_SPAN, RESOURCE_ENTRY_START
    RESOURCE_ENTRY, RESOURCE_SPAN, PREDICATE_ENTRY_START, PREDICATE_ENTRY, PREDICATE_SPAN
    COLUMNS

# Arrays of runtime/schema.py in the order of the columns above.
NAMES = (
    "statement_document", "statement_index", "statement_layer", "statement_effect",
    "statement_action_set", "statement_resource_set", "statement_principal", "statement_flags",
    "statement_span", "statement_predicate", "statement_predicate_start", "action_entry_start",
    "action_entry_id", "action_entry_span", "resource_entry_start", "resource_entry_id",
    "resource_entry_span", "predicate_entry_start", "predicate_entry_id", "predicate_entry_span")
BYTES = ("statement_layer", "statement_effect", "statement_flags")

assert len(NAMES) == COLUMNS and NO_ID == _NO_ID
assert (ALLOW, DENY, UNREADABLE) == (Effect.ALLOW, Effect.DENY, Effect.UNREADABLE)


cdef object known_id(object known, object item):
    """Its id; `known` is asked to lower what it does not know."""
    cdef PyObject* found = PyDict_GetItemWithError(known, item)
    return <object>found if found is not NULL else known[item]


cdef inline uint32_t word(object number) except? 0xFFFFFFFE:
    """A number; NO_ID for -1."""
    cdef long long value = number
    if not -1 <= value < 0xFFFFFFFF:
        raise OverflowError("a number of a statement does not fit 32 bits")
    return <uint32_t>value


cdef int put_span(Words* words, Py_ssize_t start, Py_ssize_t end) except -1:
    if not (0 <= start < 0xFFFFFFFF and 0 <= end < 0xFFFFFFFF):
        raise OverflowError("an offset of a statement does not fit 32 bits")
    put_word(words, <uint32_t>start)
    return put_word(words, <uint32_t>end)


cdef int put_element_span(Words* words, StatementNode node, Element element) except -1:
    """The span of an element; of the statement where there is none."""
    if element is None:
        return put_span(words, node.start, node.end)
    return put_span(words, element.start, element.end)


cdef class StatementColumns:
    """Columns of statements (runtime/schema.py), as they are lowered."""

    cdef Words[COLUMNS] columns
    cdef Letters sid
    cdef Words sid_start

    def __cinit__(self):
        for column in (PREDICATE_START, ACTION_ENTRY_START, RESOURCE_ENTRY_START,
                       PREDICATE_ENTRY_START):
            put_word(&self.columns[<size_t>column], 0)
        put_word(&self.sid_start, 0)

    def __dealloc__(self):
        cdef size_t i
        for i in range(COLUMNS):
            free(self.columns[i].data)
        free(self.sid.data)
        free(self.sid_start.data)

    cdef int end_row(self, size_t starts, size_t items) except -1:
        """Close the row of this statement in a column of rows."""
        if self.columns[items].count >= 0xFFFFFFFF:
            raise OverflowError("entries of statements do not fit 32 bits")
        return put_word(&self.columns[starts], <uint32_t>self.columns[items].count)

    def arrays(self):
        """The columns by name, `statement_sid` among them."""
        cdef dict found = {}
        cdef size_t i
        for i in range(COLUMNS):
            found[NAMES[i]] = array_of(&self.columns[i])
        for name in BYTES:
            found[name] = found[name].astype(np.uint8)
        found["statement_sid"] = bytes_array_of(&self.sid)
        found["statement_sid_start"] = array_of(&self.sid_start)
        return found


cdef class StatementLowering:
    """Lowers the statements of documents of one policy type and version."""

    cdef StatementColumns to
    cdef uint32_t layer
    cdef bint speaks_of_carrier
    cdef bint refuses_not_action
    cdef bint has_variables
    cdef bint is_carried
    cdef uint32_t fault_flags
    cdef object actions
    cdef object predicates
    cdef PatternTable resources
    cdef SetTable action_sets
    cdef SetTable resource_sets
    cdef object principal

    def __init__(self, StatementColumns to not None, layer, str policy_type not None,
                 bint has_variables, bint is_carried, fault_flags, actions,
                 PatternTable resources not None, predicates, SetTable action_sets not None,
                 SetTable resource_sets not None, principal):
        """
        to                  : the columns to which statements are added
        is_carried          : the policies speak for the resource that carries them
        fault_flags         : flags of a statement that could not be understood
        actions, predicates : ids by text, or by the parts of a condition entry; a missing one is
                              lowered when it is asked for
        principal           : (document, node, effect) -> id of the principal element; None where the
                              policy type has none
        """
        for known in (actions, predicates):
            if not isinstance(known, dict):     # of a class of its own, as a rule
                raise TypeError("ids are kept in dictionaries")
        self.to = to
        self.layer = layer
        self.speaks_of_carrier = policy_type == "trust"
        self.refuses_not_action = policy_type == "rcp"
        self.has_variables, self.is_carried = has_variables, is_carried
        self.fault_flags = fault_flags
        self.actions, self.resources, self.predicates = actions, resources, predicates
        self.action_sets, self.resource_sets = action_sets, resource_sets
        self.principal = principal

    cdef uint32_t lower_element(self, Element element, size_t ids, size_t spans, bint is_action
                                ) except? 0xFFFFFFFE:
        """Number of the set of an element, whose entries are added to these columns."""
        cdef tuple entries = element.entries
        cdef size_t count = PyTuple_GET_SIZE(entries), i, first = self.to.columns[ids].count
        cdef Words* out = &self.to.columns[ids]
        cdef Text entry
        cdef uint32_t number
        cdef bint has_void = len(element.void) > 0
        for i in range(count):
            entry = <Text?><object>PyTuple_GET_ITEM(entries, i)
            if has_void and i in element.void:
                number = NO_ID
            elif is_action:
                number = word(known_id(self.actions, entry.value))
            else:
                number = self.resources.number_of(entry.value, self.has_variables, self.is_carried)
            put_word(out, number)
            put_span(&self.to.columns[spans], entry.start, entry.end)
        return (self.action_sets if is_action else self.resource_sets).number_of(
            element.negated, out.data + first, count)

    cdef int lower_conditions(self, tuple nodes) except -1:
        """Predicates of the entries that can be understood; of the statement, each once."""
        cdef Words* ids = &self.to.columns[PREDICATE_ENTRY]
        cdef Words* distinct = &self.to.columns[PREDICATE]
        cdef size_t first = ids.count
        cdef size_t i, k
        cdef ConditionEntry entry
        for i in range(<size_t>PyTuple_GET_SIZE(nodes)):
            entry = <ConditionEntry?><object>PyTuple_GET_ITEM(nodes, i)
            if entry.base is None:
                continue
            put_word(ids, word(known_id(self.predicates, (
                entry.set_operator, entry.base, entry.if_exists, entry.key.value,
                tuple([(<Text?>text).value for text in entry.values])))))
            put_span(&self.to.columns[PREDICATE_SPAN], entry.start, entry.end)
        if ids.count - first > 8:
            for number in dict.fromkeys([ids.data[i] for i in range(first, ids.count)]):
                put_word(distinct, number)
            return 0
        for i in range(first, ids.count):
            k = first
            while ids.data[k] != ids.data[i]:
                k += 1
            if k == i:
                put_word(distinct, ids.data[i])
        return 0

    cdef int begin(self, uint32_t number, Py_ssize_t index, uint32_t effect, uint32_t flags
                   ) except -1:
        cdef Words* columns = self.to.columns
        put_word(&columns[DOCUMENT], number)
        put_word(&columns[INDEX], <uint32_t>index)
        put_word(&columns[LAYER], self.layer)
        put_word(&columns[EFFECT], effect)
        return put_word(&columns[FLAGS], flags)

    cdef int finish(self, uint32_t action_set, uint32_t resource_set, uint32_t principal,
                    str sid) except -1:
        cdef Words* columns = self.to.columns
        put_word(&columns[ACTION_SET], action_set)
        put_word(&columns[RESOURCE_SET], resource_set)
        put_word(&columns[PRINCIPAL], principal)
        put_text(&self.to.sid, &self.to.sid_start, sid)
        self.to.end_row(PREDICATE_START, PREDICATE)
        self.to.end_row(ACTION_ENTRY_START, ACTION_ENTRY)
        self.to.end_row(RESOURCE_ENTRY_START, RESOURCE_ENTRY)
        return self.to.end_row(PREDICATE_ENTRY_START, PREDICATE_ENTRY)

    cdef int lower_one(self, uint32_t number, StatementNode node) except -1:
        cdef frozenset faults = node.faults
        cdef bint is_faulty = len(faults) > 0
        cdef uint32_t action_set = NO_ID, resource_set = NO_ID, principal = NO_ID, star
        cdef uint32_t effect = UNREADABLE
        cdef Element action = node.action, resource = node.resource
        cdef Words* spans = &self.to.columns[SPAN]
        if node.effect is not None and not (is_faulty and "effect" in faults):
            effect = ALLOW if node.effect == "Allow" else DENY
        self.begin(number, node.index, effect, self.fault_flags if is_faulty else 0)
        put_span(spans, node.start, node.end)
        if node.effect_start < 0:
            put_span(spans, node.start, node.end)
        else:
            put_span(spans, node.effect_start, node.effect_end)
        put_element_span(spans, node, action)
        put_element_span(spans, node, resource)
        if node.principal is None:
            put_span(spans, node.start, node.end)
        else:
            start, end = node.principal.span
            put_span(spans, start, end)
        # `NotAction` is not allowed in an RCP (GRAM-42), so what it means there is not known.
        if action is not None and not (is_faulty and "action" in faults) and not (
                self.refuses_not_action and action.negated):
            action_set = self.lower_element(action, ACTION_ENTRY, ACTION_SPAN, True)
        if not (is_faulty and "resource" in faults):
            if resource is not None and not self.speaks_of_carrier:
                resource_set = self.lower_element(resource, RESOURCE_ENTRY, RESOURCE_SPAN, False)
            else:   # the resource the policy is attached to (GRAM-40, RES-11), whatever it says
                star = self.resources.number_of("*", self.has_variables, self.is_carried)
                resource_set = self.resource_sets.number_of(False, &star, 1)
        if node.conditions:
            self.lower_conditions(node.conditions)
        if self.principal is not None:
            principal = word(self.principal(number, node, Effect(effect)))
        return self.finish(action_set, resource_set, principal,
                           "" if node.sid is None else node.sid.value)

    def lower(self, uint32_t number, nodes):
        """Add the statements of a document with this number."""
        for node in nodes:
            self.lower_one(number, <StatementNode?>node)

    def lower_unreadable(self, uint32_t number, span, principal):
        """Add a statement for a document whose `Statement` could not be read: it may say anything.

        principal : id of its principal element; -1: none
        """
        cdef Py_ssize_t start, end
        start, end = span
        self.begin(number, 0, UNREADABLE, self.fault_flags)
        for _ in range(5):
            put_span(&self.to.columns[SPAN], start, end)
        self.finish(NO_ID, NO_ID, word(principal), "")
