"""The least work there is, compiled: what `limits.py` times.

No product code but the hash: `product_hash.h` is cut from runtime/intern.pyx when this is built.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "product_hash.h":
    uint64_t iamt_hash(const uint8_t* text, size_t length, uint64_t seed) noexcept nogil


def hash_text(const uint8_t[::1] text, uint64_t seed):
    """The product's hash of one text."""
    return iamt_hash(&text[0], text.shape[0], seed) if text.shape[0] else iamt_hash(NULL, 0, seed)


def hash_and_compare(const uint8_t[::1] data, const uint8_t[::1] copy, const int32_t[::1] offsets,
                     uint64_t seed):
    """(exclusive or of all hashes, number of texts that equal the copy's): each text read once.

    offsets : int32[n + 1] into `data` and `copy`; a null is an empty text
    """
    cdef size_t row, rows = offsets.shape[0] - 1, same = 0
    cdef int32_t begin, size
    cdef uint64_t folded = 0
    with nogil:
        for row in range(rows):
            begin = offsets[row]
            size = offsets[row + 1] - begin
            if size:
                folded ^= iamt_hash(&data[begin], size, seed)
                same += memcmp(&data[begin], &copy[begin], size) == 0
    return folded, same


def stream_ids(const int32_t[::1] principal, const int32_t[::1] action, const int32_t[::1] resource,
               const int32_t[::1] value, const uint32_t[::1] table, size_t principals,
               uint8_t[::1] out):
    """out[row] = low byte of table[action * principals + principal] + resource + value."""
    cdef size_t row, rows = out.shape[0]
    with nogil:
        for row in range(rows):
            out[row] = <uint8_t>(table[<size_t>action[row] * principals + <size_t>principal[row]]
                                 + <uint32_t>resource[row] + <uint32_t>value[row])


def look_up_rows(const int32_t[::1] principal, const int32_t[::1] action,
                 const int32_t[::1] resource, const uint8_t[::1] kind, size_t kinds,
                 const uint16_t[::1] cells, size_t principals, const uint64_t[::1] words,
                 uint8_t[::1] decision, uint8_t[::1] layer, int32_t[::1] statement):
    """The word of (action, kind of the resource, principal), cut into a row of three outputs.

    cells : number of the word, by (action * kinds + kind) * principals + principal
    """
    cdef size_t row, rows = decision.shape[0]
    cdef uint64_t word
    with nogil:
        for row in range(rows):
            word = words[cells[(<size_t>action[row] * kinds + kind[resource[row]]) * principals
                               + <size_t>principal[row]]]
            decision[row] = word & 3
            layer[row] = <uint8_t>(word >> 2 & 15)
            statement[row] = <int32_t>(word >> 32)


def read_objects(list texts):
    """(number of texts, exclusive or of their bytes, eight at a time): each object read once."""
    cdef Py_ssize_t size
    cdef const char* text
    cdef size_t count = 0
    cdef uint64_t folded = 0, word
    cdef object one
    for one in texts:
        if one is not None:
            text = PyUnicode_AsUTF8AndSize(one, &size)
            while size >= 8:
                memcpy(&word, text, 8)
                folded ^= word
                text += 8
                size -= 8
            word = 0
            memcpy(&word, text, size)
            folded ^= word
            count += 1
    return count, folded


def hash_objects(list texts, const int32_t[::1] codes, const uint8_t[::1] data,
                 const int32_t[::1] offsets, uint64_t seed):
    """(exclusive or of all hashes, number of texts that equal those of their codes).

    codes   : int32[n], where the text of each object is to be found; below 0 for None
    offsets : int32[m + 1] into `data`
    """
    cdef Py_ssize_t size
    cdef const char* text
    cdef size_t same = 0, row = 0
    cdef int32_t begin
    cdef uint64_t folded = 0
    cdef object one
    for one in texts:
        if one is not None:
            text = PyUnicode_AsUTF8AndSize(one, &size)
            folded ^= iamt_hash(<const uint8_t*>text, size, seed)
            begin = offsets[codes[row]]
            if size == offsets[codes[row] + 1] - begin and size:
                same += memcmp(text, &data[begin], size) == 0
        row += 1
    return folded, same
