cdef class Answer:
    cdef readonly object decision
    cdef readonly object layer
    cdef readonly object _table
    cdef readonly object _request
    cdef readonly object _deciders
    cdef readonly int _statement

cdef Answer make_answer(type kind, table, size_t decision, int statement, request, layer, deciders)
