from .json_reader cimport Text

cdef class Element:
    cdef readonly bint negated
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly tuple entries
    cdef readonly frozenset void
    cdef tuple parts(self)

cdef class ActionElement(Element):
    pass

cdef class ResourceElement(Element):
    pass

cdef class ConditionEntry:
    cdef readonly Text operator
    cdef readonly str set_operator
    cdef readonly str base
    cdef readonly bint if_exists
    cdef readonly Text key
    cdef readonly tuple values
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef tuple parts(self)

cdef class StatementNode:
    cdef readonly Py_ssize_t index
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly Text sid
    cdef readonly str effect
    cdef Py_ssize_t effect_start
    cdef Py_ssize_t effect_end
    cdef readonly ActionElement action
    cdef readonly ResourceElement resource
    cdef readonly object principal
    cdef readonly tuple conditions
    cdef Py_ssize_t condition_start
    cdef Py_ssize_t condition_end
    cdef readonly frozenset faults
    cdef tuple parts(self)
