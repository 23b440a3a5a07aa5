cdef class Text:
    cdef readonly str value
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
