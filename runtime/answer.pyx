"""What a check of one request returns, made without a call of Python.

`decisions.Decision` is the class that callers see, with what it finds out when it is asked.
"""

from cpython.object cimport PyObject, PyTypeObject

from .codes import DecisionCode, Layer

cdef tuple CODES = tuple(DecisionCode)
cdef tuple NO_ARGUMENTS = ()
cdef object NO_LAYER = Layer.NONE
cdef object IDENTITY = Layer.IDENTITY
cdef object UNDETERMINED = DecisionCode.UNDETERMINED


cdef class Answer:
    """Decision and layer of one request, and what an explanation needs.

    decision : DecisionCode
    layer    : the layer that decided: the one that denies or grants, or whose Allow is missing;
               NONE while undetermined

    The request is kept as it was asked, and made a `Request` when an explanation needs it.
    """

    def __init__(self, table, decision, int statement, request, layer, deciders):
        """statement : its number, -1 for none
        layer     : None for the identity layer
        request   : a Request, or its first fields
        deciders  : gives the layers that decided, when asked; None where `layer` is the only one
        """
        fill(self, table, CODES[<size_t>decision], statement, request,
             IDENTITY if layer is None else layer, deciders)


cdef inline void fill(Answer answer, table, decision, int statement, request, layer, deciders):
    answer._table = table
    answer._statement = statement
    answer._request = request
    answer._deciders = deciders
    answer.decision = decision
    answer.layer = NO_LAYER if decision is UNDETERMINED else layer


cdef Answer make_answer(type kind, table, size_t decision, int statement, request, layer, deciders):
    """An answer of a class without an `__init__` of its own; `layer` None is the identity layer."""
    cdef Answer answer = <Answer>(<PyTypeObject*>kind).tp_new(kind, <PyObject*>NO_ARGUMENTS, NULL)
    fill(answer, table, CODES[decision], statement, request,
         IDENTITY if layer is None else layer, deciders)
    return answer
