"""How far the wildcards of a resource pattern reach (RES-4), what a short ARN lacks (RES-7)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from ..runtime.codes import WILD_BYTE as _WILD_BYTE
from ..runtime.codes import Token
from ..runtime.globs cimport COLON

cdef enum:
    ANY = 0xF8 + 1
    ANY_BUT_COLON
    STAR
    STAR_BUT_COLON

assert ANY == _WILD_BYTE + Token.ANY and STAR_BUT_COLON == _WILD_BYTE + Token.STAR_BUT_COLON


cdef size_t settle(const uint8_t* text, size_t size, uint8_t star, uint8_t any, bint spans,
                   uint8_t* out) noexcept nogil:
    """Length of the settled pattern; `out` has room for 2 * COLONS bytes more than the text.

    star, any : the bytes that are wildcards in the text
    """
    cdef size_t at, count = 0, colons = 0, all_colons = 0
    cdef uint8_t byte
    cdef bint is_last, ends_segment
    for at in range(size):
        all_colons += text[at] == COLON
    for at in range(size):
        byte = text[at]
        if byte == COLON:
            colons += 1
        elif byte == any:
            byte = ANY if colons >= COLONS else ANY_BUT_COLON
        elif byte == star:
            is_last = at + 1 == size
            if not is_last and text[at + 1] == star:
                continue        # `**` is `*` (GLOB-4)
            ends_segment = is_last or text[at + 1] == COLON
            byte = STAR_BUT_COLON
            if (colons >= COLONS or (is_last and all_colons < COLONS)
                    or (spans and ends_segment)):
                byte = STAR
        out[count] = byte
        count += 1
    if size == 0 or text[size - 1] != star:
        while all_colons < COLONS:      # missing segments count as `*`
            all_colons += 1
            out[count] = COLON
            out[count + 1] = STAR if spans or all_colons == COLONS else STAR_BUT_COLON
            count += 2
    return count


cdef bytes settled(bytes text, uint8_t star, uint8_t any, bint spans):
    cdef size_t size = PyBytes_GET_SIZE(text)
    cdef bytes room = PyBytes_FromStringAndSize(NULL, size + 2 * COLONS)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(room)
    size = settle(<const uint8_t*>PyBytes_AS_STRING(text), size, star, any, spans, out)
    return PyBytes_FromStringAndSize(<char*>out, size)


def settle_text(str text not None, bint spans):
    """A pattern without variables, encoded, with the reach of each wildcard decided.

    spans : whether a `*` that ends one of the first five segments may match across colons
    """
    return settled(text.encode("utf-8", "surrogatepass"), c'*', c'?', spans)


def settle_reach(bytes pattern not None, bint spans):
    """An encoded pattern, its wildcards any that match everything, with the reach of each decided.

    spans : as in `settle_text`
    """
    return settled(pattern, STAR, ANY, spans)
