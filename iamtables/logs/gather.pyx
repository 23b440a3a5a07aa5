"""Texts that lie in one piece of memory: some of many put end to end, and where each begins."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy


def gathered(const uint8_t[::1] data not None, const int64_t[::1] offsets not None,
             const int64_t[::1] rows not None):
    """(uint8[...], int64[n + 1]): the texts at these places end to end, and where each begins.

    Text i is data[offsets[i] : offsets[i + 1]]. Raises IndexError for a place without a text, and
    ValueError for offsets that fall or lead out of the data. Releases the GIL.
    """
    cdef size_t n = rows.shape[0], i
    cdef int64_t count = offsets.shape[0] - 1, used = 0, begin, length
    cdef int64_t[::1] starts = np.empty(n + 1, dtype=np.int64)
    cdef bint is_outside = False, is_broken = False
    starts[0] = 0
    with nogil:
        for i in range(n):
            if rows[i] < 0 or rows[i] >= count:
                is_outside = True
                break
            begin, length = offsets[rows[i]], offsets[rows[i] + 1] - offsets[rows[i]]
            if begin < 0 or length < 0 or begin + length > data.shape[0]:
                is_broken = True
                break
            used += length
            starts[i + 1] = used
    if is_outside:
        raise IndexError("no such text")
    if is_broken:
        raise ValueError("offsets of other texts")
    made = np.empty(used, dtype=np.uint8)
    cdef uint8_t[::1] out = made
    if used:
        with nogil:
            for i in range(n):
                length = starts[i + 1] - starts[i]
                if length:
                    memcpy(&out[starts[i]], &data[offsets[rows[i]]], length)
    return made, np.asarray(starts)


ctypedef fused Length:
    uint8_t
    uint16_t
    uint32_t


def put_offsets(const Length[::1] lengths not None, int64_t[::1] offsets not None):
    """Where each of the texts begins that have these lengths, and where the last one ends.

    offsets : int64[n + 1] to fill
    Raises ValueError where it has another length. Releases the GIL.
    """
    cdef size_t n = lengths.shape[0], i
    cdef int64_t used = 0
    if <size_t>offsets.shape[0] != n + 1:
        raise ValueError("another number of texts")
    with nogil:
        for i in range(n):
            offsets[i] = used
            used += lengths[i]
        offsets[n] = used


def is_ascii(const uint8_t[::1] data not None):
    """Is each byte below 128? Releases the GIL."""
    cdef size_t n = data.shape[0], i = 0, end
    cdef uint64_t found = 0
    cdef uint64_t[4] words
    with nogil:
        while i + 32 <= n and not found & <uint64_t>0x8080808080808080:
            end = min(n - 31, i + 4096)
            while i < end:
                memcpy(words, &data[i], 32)
                found |= words[0] | words[1] | words[2] | words[3]
                i += 32
        while i < n:
            found |= data[i]
            i += 1
    return not found & <uint64_t>0x8080808080808080


def are_resources(const uint8_t[::1] data not None, const int64_t[::1] offsets not None):
    """May each text be the resource of a request (RES-12): `*`, or `arn:` and five colons in all?

    Text i is data[offsets[i] : offsets[i + 1]]. Raises ValueError for offsets that fall or lead out
    of the data. Releases the GIL.
    """
    cdef size_t n = offsets.shape[0] - 1 if offsets.shape[0] else 0, i
    cdef int64_t begin, end, at
    cdef int colons
    cdef bint is_broken = False, are_all = True
    with nogil:
        for i in range(n):
            begin, end = offsets[i], offsets[i + 1]
            if begin < 0 or end < begin or end > data.shape[0]:
                is_broken = True
                break
            if end - begin == 1 and data[begin] == c"*":
                continue
            colons = 0
            if end - begin >= 4 and memcmp(&data[begin], b"arn:", 4) == 0:
                at = begin
                while at < end and colons < 5:
                    colons += data[at] == c":"
                    at += 1
            if colons < 5:
                are_all = False
                break
    if is_broken:
        raise ValueError("offsets of other texts")
    return are_all
