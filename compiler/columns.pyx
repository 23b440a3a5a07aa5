"""The statements of a program as columns, without a list of Python objects for each.

A compilation of a hundred thousand statements spends its time here and in lowering.
"""

import numpy as np

from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

from ..grammar.json_reader cimport Text
from . import ir

# Fields of an `ir.Statement` by place.
cdef enum:
    DOCUMENT, INDEX, LAYER, EFFECT, SID, ACTION_SET, RESOURCE_SET, PRINCIPAL, PREDICATE_IDS, FLAGS
    FIRST_SPAN
    FIRST_ENTRIES = FIRST_SPAN + 5
    FIELDS = FIRST_ENTRIES + 6
    SPANS = 5

WORDS = (("document", DOCUMENT), ("index", INDEX), ("action_set", ACTION_SET),
         ("resource_set", RESOURCE_SET), ("principal", PRINCIPAL))
BYTES = (("layer", LAYER), ("effect", EFFECT), ("flags", FLAGS))
ENTRIES = ("action", "resource", "predicate")

assert len(ir.Statement._fields) == FIELDS
assert all(ir.Statement._fields[place] == name for name, place in WORDS + BYTES)
assert ir.Statement._fields[PREDICATE_IDS] == "predicate_ids"
assert ir.Statement._fields[FIRST_SPAN] == "span"
assert ir.Statement._fields[FIRST_ENTRIES] == "action_entry_ids"


cdef inline uint32_t word(object number) except? 0xFFFFFFFF:
    """A number; NO_ID for -1."""
    cdef long long value = number
    if not -1 <= value <= 0xFFFFFFFF:
        raise OverflowError("a number of a statement does not fit 32 bits")
    return <uint32_t>value


cdef int put_words(tuple statements, size_t field, uint32_t[::1] out) except -1:
    cdef size_t i
    for i in range(<size_t>PyTuple_GET_SIZE(statements)):
        out[i] = word(<object>PyTuple_GET_ITEM(<object>PyTuple_GET_ITEM(statements, i), field))
    return 0


cdef int put_bytes(tuple statements, size_t field, uint8_t[::1] out) except -1:
    cdef size_t i
    for i in range(<size_t>PyTuple_GET_SIZE(statements)):
        out[i] = <object>PyTuple_GET_ITEM(<object>PyTuple_GET_ITEM(statements, i), field)
    return 0


cdef int put_span(object span, uint32_t[::1] out, size_t at) except -1:
    if not isinstance(span, tuple) or PyTuple_GET_SIZE(span) != 2:
        raise ValueError("a span has two offsets")
    out[at] = word(<object>PyTuple_GET_ITEM(span, 0))
    out[at + 1] = word(<object>PyTuple_GET_ITEM(span, 1))
    return 0


cdef int put_spans(tuple statements, uint32_t[::1] out) except -1:
    cdef size_t i, k
    for i in range(<size_t>PyTuple_GET_SIZE(statements)):
        for k in range(SPANS):
            put_span(<object>PyTuple_GET_ITEM(
                <object>PyTuple_GET_ITEM(statements, i), FIRST_SPAN + k), out, 2 * (SPANS * i + k))
    return 0


cdef tuple rows(tuple statements, size_t field):
    """Where the rows of a field begin when they stand end to end, and all they hold."""
    cdef size_t count = PyTuple_GET_SIZE(statements), i, k, at = 0
    cdef tuple row
    start = np.zeros(count + 1, dtype=np.uint32)
    cdef uint32_t[::1] starts = start
    for i in range(count):
        row = <object>PyTuple_GET_ITEM(<object>PyTuple_GET_ITEM(statements, i), field)
        at += PyTuple_GET_SIZE(row)
        starts[i + 1] = word(at)
    items = np.empty(at, dtype=np.uint32)
    cdef uint32_t[::1] out = items
    at = 0
    for i in range(count):
        row = <object>PyTuple_GET_ITEM(<object>PyTuple_GET_ITEM(statements, i), field)
        for k in range(<size_t>PyTuple_GET_SIZE(row)):
            out[at] = word(<object>PyTuple_GET_ITEM(row, k))
            at += 1
    return start, items


cdef object places(tuple statements, size_t field, size_t total):
    """Offsets of the nodes that entries came from: pairs, end to end."""
    cdef size_t i, k, at = 0
    cdef tuple row
    cdef object place
    found = np.empty(2 * total, dtype=np.uint32)
    cdef uint32_t[::1] out = found
    for i in range(<size_t>PyTuple_GET_SIZE(statements)):
        row = <object>PyTuple_GET_ITEM(<object>PyTuple_GET_ITEM(statements, i), field)
        if at + 2 * <size_t>PyTuple_GET_SIZE(row) > 2 * total:
            raise ValueError("more places than entries")
        for k in range(<size_t>PyTuple_GET_SIZE(row)):
            place = <object>PyTuple_GET_ITEM(row, k)
            if type(place) is Text:
                out[at] = word((<Text>place).start)
                out[at + 1] = word((<Text>place).end)
            else:
                put_span(place.span, out, at)
            at += 2
    if at != 2 * total:
        raise ValueError("fewer places than entries")
    return found


def statement_columns(tuple statements not None):
    """Arrays of `ir.Statement`s by name (runtime/schema.py), but for their texts.

    Raises ValueError for entries without a place each, OverflowError for a number beyond 32 bits.
    """
    cdef size_t count = PyTuple_GET_SIZE(statements), i
    cdef dict arrays = {}
    for statement in statements:
        if type(statement) is not ir.Statement:
            raise TypeError("only statements have columns")
    for name, field in WORDS:
        arrays[f"statement_{name}"] = column = np.empty(count, dtype=np.uint32)
        put_words(statements, field, column)
    for name, field in BYTES:
        arrays[f"statement_{name}"] = column = np.empty(count, dtype=np.uint8)
        put_bytes(statements, field, column)
    arrays["statement_predicate_start"], arrays["statement_predicate"] = rows(
        statements, PREDICATE_IDS)
    arrays["statement_span"] = column = np.empty(2 * SPANS * count, dtype=np.uint32)
    put_spans(statements, column)
    for i in range(3):
        start, ids = rows(statements, FIRST_ENTRIES + 2 * i)
        arrays[f"{ENTRIES[i]}_entry_start"], arrays[f"{ENTRIES[i]}_entry_id"] = start, ids
        arrays[f"{ENTRIES[i]}_entry_span"] = places(
            statements, FIRST_ENTRIES + 2 * i + 1, len(ids))
    return arrays
