from libc.stdint cimport uint8_t, uint32_t, uint64_t

# What the walk of a trie may find at a node (GlobSet.end_kind).
cdef enum:
    END_EXACT = 0       # the pattern is its head: the text must stop here
    END_PREFIX = 1      # the pattern is its head and a `*`
    END_PIECES = 2      # plain glob: verify piece by piece
    END_AUTOMATON = 3   # colon-bound wildcards: verify by the bit-parallel automaton

cdef struct GlobArrays:
    # Path-compressed trie over literal heads. Node ids are in breadth-first order.
    const uint8_t* label            # label bytes of all edges
    const uint32_t* label_start     # [nodes + 1]
    const uint32_t* first_child     # [nodes]
    const uint32_t* child_count     # [nodes]
    const uint32_t* end_start       # [nodes + 1]
    const uint32_t* end_pattern     # pattern ids that end at a node
    const uint8_t* end_kind
    const uint64_t* end_words       # signature of the words that the pattern needs behind its head
    size_t node_count
    # Verification programs, by pattern id.
    const uint8_t* piece            # literal bytes; 0xFF stands for one code point
    const uint32_t* piece_start     # [pieces + 1]
    const uint32_t* program_start   # [patterns + 1]: pieces of a pattern
    # Bit-parallel automata, by automaton id.
    const uint32_t* automaton       # [patterns]: automaton id or NO_ID
    const uint32_t* word_count      # [automata]: 64-bit words of a state set
    const uint64_t* mask            # rows of `word_count` words
    const uint64_t* mask_start      # [automata + 1]: first word of an automaton's rows
    const uint32_t* symbol          # literal code points, ascending per automaton
    const uint32_t* symbol_start    # [automata + 1]
    size_t pattern_count
    size_t widest                   # largest word count

cdef size_t glob_matches(const GlobArrays* g, const uint8_t* text, size_t length,
                         uint32_t* found, uint64_t* scratch, uint64_t* candidates) noexcept nogil

cdef class GlobSet:
    cdef GlobArrays g
    cdef tuple _keep
    cdef uint32_t* found
    cdef uint64_t* scratch
    cdef public uint64_t candidates
    cdef size_t match(self, const uint8_t* text, size_t length) noexcept nogil
