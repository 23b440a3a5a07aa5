"""Lists of Python texts to codes and a dictionary: each object is looked at once, its text once.

A list from a program holds the same objects again and again, or fresh ones that say the same. So an
object is known by its address first, which costs no look at it, and then by its bytes (UTF-8, which
CPython keeps within the object for ASCII). Nothing here runs code of the caller and the GIL is held
throughout, so the list stays as it is and every address in `seen` belongs to a living object.

Anything but texts and nulls is left to runtime/columns.py. Measured against copying all texts into
one Arrow buffer: docs/performance.md.
"""

import os

import numpy as np

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsEncodedString, PyUnicode_Check
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .intern cimport (
    FIRST_ID,
    InternTable,
    intern_free,
    intern_init,
    intern_many,
)
from .prefetch cimport prefetch

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyFloat_CheckExact(object value)

cdef enum:
    BLOCK = 256             # rows whose texts are interned together
    SEEN = 4096             # addresses remembered, a power of two
    CODE_NULL = -1
    CODE_UNKNOWN = -2
    CODE_OTHER = -3         # neither text nor null

cdef struct Seen:
    PyObject* object
    int32_t code

cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")


cdef inline Seen* place_of(Seen* seen, PyObject* object) noexcept nogil:
    # Objects of one size lie 16 bytes or a multiple of it apart.
    cdef uint64_t address = <uint64_t><size_t>object
    return seen + ((address >> 4) * <uint64_t>0x9E3779B97F4A7C15 >> 52)


cdef class _Coder:
    """One list on its way to codes."""

    cdef InternTable table
    cdef Seen* seen             # by address; see `place_of`
    cdef const uint8_t* texts[256]
    cdef size_t lengths[256]
    cdef uint64_t hashes[256]
    cdef uint32_t ids[256]
    cdef uint32_t rows[256]
    cdef list originals
    cdef list encoded           # bytes of a block's texts that have no UTF-8 of their own
    cdef object unknown

    def __cinit__(self, unknown):
        self.originals = []
        self.encoded = []
        self.unknown = unknown
        self.seen = <Seen*>calloc(SEEN, sizeof(Seen))
        if self.seen == NULL or intern_init(&self.table, seed):
            raise MemoryError

    def __dealloc__(self):
        free(self.seen)
        intern_free(&self.table)

    cdef int _read(self, object value, size_t k) except -1:
        """Let `texts[k]` be the text of a value; 1 when it is none."""
        cdef bytes encoded
        if not PyUnicode_Check(value):
            return 1
        if PyUnicode_IS_COMPACT_ASCII(value):
            self.texts[k] = <const uint8_t*>PyUnicode_DATA(value)
            self.lengths[k] = <size_t>PyUnicode_GET_LENGTH(value)
            return 0
        # Not PyUnicode_AsUTF8AndSize, which leaves a copy in the caller's object for good.
        encoded = PyUnicode_AsEncodedString(value, "utf-8", "surrogatepass")
        self.encoded.append(encoded)
        self.texts[k] = <const uint8_t*><const char*>encoded
        self.lengths[k] = <size_t>len(encoded)
        return 0

    cdef int _code_without_text(self, object value) except 0:
        """Code of a null or of the unknown marker, CODE_OTHER for anything else."""
        if value is None or (PyFloat_CheckExact(value) and value != value):
            return CODE_NULL
        return CODE_UNKNOWN if value is self.unknown else CODE_OTHER

    cdef int code(self, list given, size_t n, int32_t* codes) except -1:
        """Fill `codes`; 1 when some value is neither text nor null."""
        cdef size_t start = 0, stop, i, k, met, texts
        cdef PyObject* address
        cdef Seen* seen
        cdef int32_t code
        while start < n:
            stop = start + BLOCK if n - start > BLOCK else n
            met = texts = 0
            # Whether a row is null is nothing a branch predictor could know: no branch here.
            for i in range(start, stop):
                address = <PyObject*>PyList_GET_ITEM(given, i)
                seen = place_of(self.seen, address)
                codes[i] = seen.code
                self.rows[met] = <uint32_t>i
                met += seen.object != address
                prefetch(address)
            for k in range(met):
                i = self.rows[k]
                address = <PyObject*>PyList_GET_ITEM(given, i)
                if self._read(<object>address, texts) == 0:
                    self.rows[texts] = <uint32_t>i
                    texts += 1
                    continue
                code = self._code_without_text(<object>address)
                if code == CODE_OTHER:
                    return 1
                codes[i] = code
                seen = place_of(self.seen, address)
                seen.object = address
                seen.code = code
            if intern_many(&self.table, self.texts, self.lengths, self.hashes, texts, self.ids):
                raise MemoryError
            for k in range(texts):
                i = self.rows[k]
                address = <PyObject*>PyList_GET_ITEM(given, i)
                code = <int32_t>(self.ids[k] - FIRST_ID)
                if code == PyList_GET_SIZE(self.originals):
                    self.originals.append(<object>address)
                codes[i] = code
                seen = place_of(self.seen, address)
                seen.object = address
                seen.code = code
            if PyList_GET_SIZE(self.encoded):
                self.encoded.clear()
            start = stop
        return 0

    cdef tuple dictionary(self):
        """The texts coded so far, end to end, and where each begins and ends."""
        cdef size_t count = self.table.count - FIRST_ID, size = self.table.arena_used
        data = np.empty(size, dtype=np.uint8)
        offsets = np.empty(count + 1, dtype=np.int64)
        cdef uint8_t[::1] bytes_view = data
        cdef int64_t[::1] ends = offsets
        if size:
            memcpy(&bytes_view[0], self.table.arena, size)
        memcpy(&ends[0], self.table.ends + FIRST_ID - 1, (count + 1) * sizeof(int64_t))
        return data, offsets


def code_texts(list given, object unknown):
    """(codes, data, offsets, originals) of texts, nulls and the `unknown` marker; None for others.

    codes     : int32[n], -1 for None and NaN, -2 for the marker
    data      : uint8[], the distinct texts in UTF-8 in order of appearance, surrogates as they are
    offsets   : int64[distinct + 1] into `data`
    originals : the first object of each distinct text
    """
    cdef size_t n = <size_t>PyList_GET_SIZE(given)
    cdef int32_t[::1] codes
    cdef _Coder coder = _Coder(unknown)
    found = np.empty(n, dtype=np.int32)
    codes = found
    if n and coder.code(given, n, &codes[0]):
        return None
    return (found, *coder.dictionary(), coder.originals)


def pack_texts(list given):
    """(data, offsets) of texts end to end, as in `code_texts`; None when one is no text."""
    cdef size_t n = <size_t>PyList_GET_SIZE(given), i, size, at = 0, met = 0
    cdef list encoded = []      # those that have no UTF-8 of their own
    cdef const uint8_t* text
    cdef PyObject* address
    offsets = np.zeros(n + 1, dtype=np.int64)
    cdef int64_t[::1] ends = offsets
    for i in range(n):
        address = <PyObject*>PyList_GET_ITEM(given, i)
        if not PyUnicode_Check(<object>address):
            return None
        if PyUnicode_IS_COMPACT_ASCII(<object>address):
            ends[i + 1] = ends[i] + PyUnicode_GET_LENGTH(<object>address)
            continue
        encoded.append(PyUnicode_AsEncodedString(<object>address, "utf-8", "surrogatepass"))
        ends[i + 1] = ends[i] + len(<bytes>encoded[met])
        met += 1
    data = np.empty(<size_t>ends[n], dtype=np.uint8)
    cdef uint8_t[::1] room = data
    met = 0
    for i in range(n):
        address = <PyObject*>PyList_GET_ITEM(given, i)
        size = <size_t>(ends[i + 1] - ends[i])
        if PyUnicode_IS_COMPACT_ASCII(<object>address):
            text = <const uint8_t*>PyUnicode_DATA(<object>address)
        else:
            text = <const uint8_t*><const char*><bytes>encoded[met]
            met += 1
        if size:
            memcpy(&room[at], text, size)
        at += size
    return data, offsets


def are_same(list one, list other):
    """Do two lists hold the same objects, in the same order? They are compared by identity."""
    cdef size_t n = <size_t>PyList_GET_SIZE(one), i
    if <size_t>PyList_GET_SIZE(other) != n:
        return False
    for i in range(n):
        if <PyObject*>PyList_GET_ITEM(one, i) != <PyObject*>PyList_GET_ITEM(other, i):
            return False
    return True
