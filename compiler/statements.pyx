"""Statements of the syntax tree to statements of the IR: the loop of lowering, which may run a
hundred thousand times. What a text means is decided in lower.py, once, and looked up here.
"""

from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE

from ..grammar.json_reader cimport Text
from ..runtime.codes import Effect
from . import ir

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object mapping, object key) except? NULL

cdef type Statement = ir.Statement
cdef type PatternSet = ir.PatternSet
cdef object ALLOW = Effect.ALLOW
cdef object DENY = Effect.DENY
cdef object UNREADABLE = Effect.UNREADABLE
cdef tuple NOTHING = ()
cdef object NONE = -1


cdef object known_id(object known, object item):
    """Its id; `known` is asked to lower what it does not know."""
    cdef PyObject* found = PyDict_GetItemWithError(known, item)
    return <object>found if found is not NULL else known[item]


cdef object numbered(dict ids, object item):
    """Its id; a new one gets the next."""
    cdef PyObject* found = PyDict_GetItemWithError(ids, item)
    if found is not NULL:
        return <object>found
    ids[item] = number = len(ids)
    return number


cdef class StatementLowering:
    """Lowers the statements of documents of one policy type and version.

    actions, resources, predicates : ids by text, or by the parts of a condition entry; a missing
                                     one is lowered when it is asked for
    action_sets, resource_sets     : ids of `ir.PatternSet`s, to which new ones are added
    principal                      : (document, node, effect) -> id of the principal element; None
                                     where the policy type has none
    """

    cdef object layer
    cdef bint speaks_of_carrier
    cdef bint refuses_not_action
    cdef object fault_flags
    cdef object actions
    cdef object resources
    cdef object predicates
    cdef dict action_sets
    cdef dict resource_sets
    cdef object principal

    def __init__(self, layer, str policy_type, fault_flags, actions, resources, predicates,
                 dict action_sets, dict resource_sets, principal):
        """fault_flags : flags of a statement that could not be understood"""
        for known in (actions, resources, predicates):
            if not isinstance(known, dict):     # of a class of its own, as a rule
                raise TypeError("ids are kept in dictionaries")
        self.layer = layer
        self.speaks_of_carrier = policy_type == "trust"
        self.refuses_not_action = policy_type == "rcp"
        self.fault_flags = fault_flags
        self.actions, self.resources, self.predicates = actions, resources, predicates
        self.action_sets, self.resource_sets = action_sets, resource_sets
        self.principal = principal

    cdef tuple ids_of(self, tuple entries, object void, object known):
        """Ids of the entries of an element; -1: a void entry, or one that matches nothing."""
        cdef Py_ssize_t count = PyTuple_GET_SIZE(entries), i
        cdef list ids = []
        cdef object found
        if count == 1 and not void:
            return (known_id(known, (<Text?><object>PyTuple_GET_ITEM(entries, 0)).value),)
        for i in range(count):
            found = NONE
            if not void or i not in void:
                found = known_id(known, (<Text?><object>PyTuple_GET_ITEM(entries, i)).value)
            ids.append(found)
        return tuple(ids)

    cdef object set_of(self, bint is_negated, tuple ids, dict sets):
        """Id of the set of these patterns, in order, each once."""
        cdef tuple members = ids
        cdef Py_ssize_t i
        if len(ids) > 1:
            members = tuple(dict.fromkeys(ids))
        for i in range(PyTuple_GET_SIZE(members)):
            if <long><object>PyTuple_GET_ITEM(members, i) < 0:
                members = tuple([known for known in members if known >= 0])
                break
        return numbered(sets, tuple.__new__(PatternSet, (is_negated, members)))

    cdef tuple conditions_of(self, tuple nodes):
        """(entries that can be understood, ids of their predicates)"""
        cdef list entries = [], ids = []
        for entry in nodes:
            if entry.base is None:
                continue
            entries.append(entry)
            ids.append(known_id(self.predicates, (
                entry.set_operator, entry.base, entry.if_exists, entry.key.value,
                tuple([(<Text?>text).value for text in entry.values]))))
        return tuple(entries), tuple(ids)

    cdef object lower_one(self, object number, object node):
        cdef object faults = node.faults, span = node.span, action = node.action, readable = action
        cdef object resource = node.resource, effect = node.effect, sid = node.sid
        cdef object effect_span = node.effect_span, principal = node.principal
        cdef object action_set = NONE, resource_set = NONE
        cdef tuple action_ids = NOTHING, action_places = NOTHING, conditions = node.conditions
        cdef tuple resource_ids = NOTHING, resource_places = NOTHING, predicate_ids = NOTHING
        cdef tuple distinct
        # `NotAction` is not allowed in an RCP (GRAM-42), so what it means there is not known.
        if action is not None and not (faults and "action" in faults) and not (
                self.refuses_not_action and action.negated):
            action_places = action.entries
            action_ids = self.ids_of(action_places, action.void, self.actions)
            action_set = self.set_of(action.negated, action_ids, self.action_sets)
        if not (faults and "resource" in faults):
            if resource is not None and not self.speaks_of_carrier:
                resource_places = resource.entries
                resource_ids = self.ids_of(resource_places, resource.void, self.resources)
                resource_set = self.set_of(resource.negated, resource_ids, self.resource_sets)
            else:   # the resource the policy is attached to (GRAM-40, RES-11), whatever it says
                resource_set = self.set_of(
                    False, (known_id(self.resources, "*"),), self.resource_sets)
        if conditions:
            conditions, predicate_ids = self.conditions_of(conditions)
        distinct = predicate_ids
        if len(predicate_ids) > 1:
            distinct = tuple(dict.fromkeys(predicate_ids))
        if effect is None or (faults and "effect" in faults):
            effect = UNREADABLE
        else:
            effect = ALLOW if effect == "Allow" else DENY
        return tuple.__new__(Statement, (
            number,
            node.index,
            self.layer,
            effect,
            "" if sid is None else sid.value,
            action_set,
            resource_set,
            NONE if self.principal is None else self.principal(number, node, effect),
            distinct,
            self.fault_flags if faults else 0,
            span,
            span if effect_span is None else effect_span,
            span if action is None else action.span,
            span if resource is None else resource.span,
            span if principal is None else principal.span,
            action_ids,
            action_places,
            resource_ids,
            resource_places,
            predicate_ids,
            conditions,
        ))

    def lower(self, number, nodes):
        """An `ir.Statement` for each statement of a document with this number."""
        return [self.lower_one(number, node) for node in nodes]
