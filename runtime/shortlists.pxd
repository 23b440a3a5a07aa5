from libc.stdint cimport uint32_t

from .words cimport Words

cdef enum:
    LONG = 16               # entries of a list up to which each is tried on each of its rows
    SHORTLIST_WORDS = 512   # longest shortlist; what is longer is not worth a copy per resource

cdef int index_list(Words* indexes, const uint32_t* words) noexcept nogil
cdef int shorten_list(const uint32_t* words, const uint32_t* index, const uint32_t* row,
                      Words* chosen, Words* out) noexcept nogil
