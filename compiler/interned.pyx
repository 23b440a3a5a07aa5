"""Resource patterns and sets of patterns, numbered as they come: equal ones get one number.

They are kept as bytes in interners of the runtime, and handed out as arrays: a hundred thousand
patterns, most of them met once, would otherwise be as many strings, tuples and entries of
dictionaries. What a text with variables says is asked of lower.py, once a text.
"""

import os

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ..runtime.codes import WILD_BYTE as _WILD_BYTE
from ..runtime.codes import Token
from ..runtime.globs cimport COLON
from ..runtime.intern cimport FIRST_ID, NO_ID, intern_add, intern_free, intern_init
from ..runtime.words cimport words_fill, words_reserve
from .reach cimport COLONS, settle

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    ANY = 0xF8 + 1
    STAR = 0xF8 + 3
    MARK = 0xFF         # no byte of an encoded pattern; before the number of its variables
    MARKED = 5          # bytes of both

assert ANY == _WILD_BYTE + Token.ANY and STAR == _WILD_BYTE + Token.STAR
assert MARK > _WILD_BYTE + max(Token)


# --- growing arrays

cdef int reserve_letters(Letters* letters, size_t more) except -1:
    """Room for `more` bytes."""
    cdef size_t need = letters.count + more
    cdef void* moved
    if need > letters.capacity:
        moved = realloc(letters.data, need * 2 + 64)
        if moved == NULL:
            raise MemoryError
        letters.data = <uint8_t*>moved
        letters.capacity = need * 2 + 64
    return 0


cdef int put_letters(Letters* letters, const void* more, size_t size) except -1:
    reserve_letters(letters, size)
    memcpy(letters.data + letters.count, more, size)
    letters.count += size
    return 0


cdef int put_word(Words* words, uint32_t word) except -1:
    if words_reserve(words, 1):
        raise MemoryError
    words.data[words.count] = word
    words.count += 1
    return 0


cdef int put_text(Letters* letters, Words* starts, str text) except -1:
    """Add a text behind the others, as runtime/values.py encodes it, and where it ends."""
    cdef bytes encoded
    if PyUnicode_IS_COMPACT_ASCII(text):
        put_letters(letters, PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    else:
        encoded = text.encode("utf-8", "surrogatepass")
        put_letters(letters, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
    if letters.count > 0xFFFFFFFF:
        raise OverflowError("texts of more than 4 GB")
    return put_word(starts, <uint32_t>letters.count)


cdef object array_of(const Words* words):
    found = np.empty(words.count, dtype=np.uint32)
    cdef uint32_t[::1] out = found
    if words.count:
        memcpy(&out[0], words.data, words.count * sizeof(uint32_t))
    return found


cdef object bytes_array_of(const Letters* letters):
    found = np.empty(letters.count, dtype=np.uint8)
    cdef uint8_t[::1] out = found
    if letters.count:
        memcpy(&out[0], letters.data, letters.count)
    return found


cdef int open_table(InternTable* table) except -1:
    if intern_init(table, int.from_bytes(os.urandom(8), "little")):
        raise MemoryError
    return 0


cdef uint32_t numbered(InternTable* table, const uint8_t* key, size_t size) except? 0xFFFFFFFE:
    cdef uint32_t found = intern_add(table, key, size)
    if found == NO_ID:
        raise MemoryError
    return found - FIRST_ID


# --- resource patterns

cdef struct Survey:
    bint is_all         # nothing but stars
    bint has_star
    bint has_variable   # perhaps
    size_t colons


cdef void survey(const uint8_t* text, size_t size, uint8_t star, Survey* out) noexcept nogil:
    cdef size_t at, stars = 0, colons = 0, dollars = 0
    for at in range(size):
        stars += text[at] == star
        colons += text[at] == COLON
        dollars += text[at] == c'$'
    out.is_all = stars == size
    out.has_star = stars > 0
    out.colons = colons
    out.has_variable = False
    if dollars:
        for at in range(1, size):
            if text[at - 1] == c'$' and text[at] == c'{':
                out.has_variable = True
                return


cdef class PatternTable:
    """Resource patterns by number, with the reach of every wildcard settled (RES-4)."""

    def __cinit__(self):
        open_table(&self.table)

    def __dealloc__(self):
        intern_free(&self.table)
        free(self.settled.data)
        free(self.is_all.data)
        free(self.spelled.data)
        free(self.spelled_start.data)

    def __init__(self, variables_of, bint spans):
        """
        variables_of : of a text with variables, its tokens encoded and the variables among them, or
                       None where it matches nothing; a missing text is lowered when asked for
        spans        : whether a `*` that ends one of the first five segments may match across colons
        """
        if not isinstance(variables_of, dict):      # of a class of its own, as a rule
            raise TypeError("what was lowered is kept in a dictionary")
        self.variables_of = variables_of
        self.spans = spans
        self.variables = {}
        self.lists = {}
        put_word(&self.spelled_start, 0)

    cdef uint32_t number_of(self, str text, bint has_variables, bint is_carried) except? 0xFFFFFFFE:
        """Its number; NO_ID: it matches nothing.

        is_carried : the policy speaks for the resource that carries it
        """
        cdef bytes encoded
        cdef const uint8_t* letters
        cdef size_t size
        cdef uint8_t star = c'*', any = c'?', is_all
        cdef tuple variables = ()
        cdef uint32_t number, mark
        cdef Survey found
        if PyUnicode_IS_COMPACT_ASCII(text):
            letters = <const uint8_t*>PyUnicode_DATA(text)
            size = PyUnicode_GET_LENGTH(text)
        else:
            encoded = text.encode("utf-8", "surrogatepass")
            letters = <const uint8_t*>PyBytes_AS_STRING(encoded)
            size = PyBytes_GET_SIZE(encoded)
        survey(letters, size, star, &found)
        if has_variables and found.has_variable:
            lowered = self.variables_of[text]
            if lowered is None:
                return NO_ID
            encoded, variables = lowered
            letters = <const uint8_t*>PyBytes_AS_STRING(encoded)
            size = PyBytes_GET_SIZE(encoded)
            star, any = STAR, ANY
            survey(letters, size, star, &found)
            found.is_all = False
        if is_carried and not found.is_all and not found.has_star and found.colons < COLONS:
            return NO_ID    # RES-7
        self.settled.count = 0
        reserve_letters(&self.settled, size + 2 * COLONS + MARKED)
        if found.is_all:
            self.settled.data[0] = STAR
            size = 1
        else:
            size = settle(letters, size, star, any, self.spans, self.settled.data)
        if variables:
            mark = self.lists.setdefault(variables, len(self.lists))
            self.settled.data[size] = MARK
            memcpy(self.settled.data + size + 1, &mark, sizeof(uint32_t))
            size += MARKED
        number = numbered(&self.table, self.settled.data, size)
        if number == self.is_all.count:
            is_all = found.is_all
            put_letters(&self.is_all, &is_all, 1)
            put_text(&self.spelled, &self.spelled_start, text)
            if variables:
                self.variables[number] = variables
        return number

    def number(self, str text not None, bint has_variables, bint is_carried):
        """Number of a text, the next one if its pattern is new; -1: it matches nothing.

        is_carried : the policy speaks for the resource that carries it (RES-7)
        """
        cdef uint32_t found = self.number_of(text, has_variables, is_carried)
        return -1 if found == NO_ID else found

    def arrays(self):
        """(encoded patterns end to end, where each begins and the last one ends, is_all, texts end to
        end, where each begins, variables by number of those that have any)"""
        cdef size_t count = self.is_all.count, at = 0, i, size
        cdef InternTable* table = &self.table
        start = np.zeros(count + 1, dtype=np.uint32)
        joined = np.empty(table.ends[count + FIRST_ID - 1], dtype=np.uint8)
        cdef uint32_t[::1] starts = start
        cdef uint8_t[::1] out = joined
        for i in range(count):
            size = table.ends[i + FIRST_ID] - table.ends[i + FIRST_ID - 1]
            if size >= MARKED and table.arena[table.ends[i + FIRST_ID] - MARKED] == MARK:
                size -= MARKED
            if size:
                memcpy(&out[at], table.arena + table.ends[i + FIRST_ID - 1], size)
            at += size
            starts[i + 1] = <uint32_t>at
        return (joined[:at].tobytes(), start, bytes_array_of(&self.is_all),
                bytes_array_of(&self.spelled), array_of(&self.spelled_start), self.variables)


# --- sets of patterns

cdef class SetTable:
    """Sets of patterns by number: `Action` and `Resource` elements, or their negations."""

    def __cinit__(self):
        open_table(&self.table)

    def __dealloc__(self):
        intern_free(&self.table)
        free(self.row.data)
        free(self.seen.data)

    cdef uint32_t number_of(self, bint negated, const uint32_t* ids, size_t n) except? 0xFFFFFFFE:
        """Number of the set of these patterns, in order, each once; NO_ID is none."""
        cdef size_t i
        self.turn += 1
        self.row.count = 0
        put_word(&self.row, negated)
        for i in range(n):
            if ids[i] == NO_ID:
                continue
            if n > 1:
                if words_fill(&self.seen, ids[i], 0):
                    raise MemoryError
                if self.seen.data[ids[i]] == self.turn:
                    continue
                self.seen.data[ids[i]] = self.turn
            put_word(&self.row, ids[i])
        return numbered(&self.table, <const uint8_t*>self.row.data,
                        self.row.count * sizeof(uint32_t))

    def number(self, bint negated, ids):
        """Number of the set of these patterns, in order, each once; -1 is none of them."""
        cdef uint32_t[::1] given = np.array(ids, dtype=np.int64).astype(np.uint32)
        return self.number_of(negated, &given[0] if len(given) else NULL, len(given))

    def arrays(self):
        """(negated, where the patterns of each begin and those of the last one end, all patterns)"""
        cdef InternTable* table = &self.table
        cdef size_t count = table.count - FIRST_ID, at = 0, i, words
        negated = np.empty(count, dtype=np.uint8)
        start = np.zeros(count + 1, dtype=np.uint32)
        pattern = np.empty(table.ends[table.count - 1] // 4 - count, dtype=np.uint32)
        cdef uint8_t[::1] signs = negated
        cdef uint32_t[::1] starts = start
        cdef uint32_t[::1] out = pattern
        cdef const uint32_t* row
        for i in range(count):
            row = <const uint32_t*>(table.arena + table.ends[i + FIRST_ID - 1])
            words = (table.ends[i + FIRST_ID] - table.ends[i + FIRST_ID - 1]) // 4 - 1
            signs[i] = <uint8_t>row[0]
            if words:
                memcpy(&out[at], row + 1, words * sizeof(uint32_t))
            at += words
            starts[i + 1] = <uint32_t>at
        return negated, start, pattern
