from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    ANY_POINT = 0xFF    # stands for one code point in a piece; no UTF-8 text contains it
    COLON = 58

# What the walk of a trie may find at a node (GlobSet.end_kind).
cdef enum:
    END_EXACT = 0       # the pattern is its head: the text must stop here
    END_PREFIX = 1      # the pattern is its head and a `*`
    END_PIECES = 2      # plain glob: verify piece by piece
    END_AUTOMATON = 3   # colon-bound wildcards: verify by the bit-parallel automaton

# Tries below a node (GlobArrays.subs), by bits; their roots follow its children.
cdef enum:
    SUB_FORWARD = 1     # by literals that begin with a separator
    SUB_BACKWARD = 2    # by ends of the text, labels reversed

# The first two bytes behind a separator that a trie has room for, by their low seven bits.
cdef struct Follows:
    uint64_t[2][2] first            # behind `:`, behind `/`
    uint64_t[2][2] second

cdef struct GlobArrays:
    # Path-compressed tries; the root is node 0. Node ids are in breadth-first order.
    const uint8_t* byte             # [nodes]: what leads to a node from its parent
    const uint8_t* label            # the bytes after that up to the node, of all nodes
    const uint32_t* label_start     # [nodes + 1]
    const uint32_t* first_child     # [nodes]
    const uint32_t* child_count     # [nodes]
    const uint8_t* subs             # [nodes]
    const uint32_t* end_start       # [nodes + 1]
    const uint32_t* end_pattern     # pattern ids that end at a node
    const uint8_t* end_kind         # in a trie below a head END_PREFIX: reaching it is matching
    const uint8_t* end_colons       # colons between the head and the second literal, at least
    const uint64_t* end_grams       # words that the pattern needs behind its head
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
    # Made when a set is opened, of the tries that begin with a separator.
    const uint32_t* follow_row      # [nodes]: of a root, its place in `follows`
    const Follows* follows


# The text at hand, and what outlives it: buffers and the count of candidates.
cdef struct Search:
    const uint8_t* text
    size_t length
    size_t count                    # patterns found
    uint64_t grams                  # words of the text, once they were asked for
    bint has_grams
    uint32_t number                 # of this search
    uint32_t* found                 # [patterns]
    uint32_t* seen                  # [nodes]: the last search that met a node below a head
    uint64_t* states                # [widest]
    uint64_t candidates

cdef size_t glob_matches(const GlobArrays* g, Search* s, const uint8_t* text,
                         size_t length) noexcept nogil

cdef bint verify_pieces(const GlobArrays* g, uint32_t pattern, const uint8_t* text, size_t at,
                        size_t length) noexcept nogil
cdef bint verify_automaton(const GlobArrays* g, uint32_t pattern, const uint8_t* text, size_t at,
                           size_t length, uint64_t* states) noexcept nogil
cdef bint tokens_match(const uint8_t* kinds, const uint32_t* points, size_t m,
                       const uint32_t* text, size_t n, uint32_t* reach, uint32_t* following
                       ) noexcept nogil

cdef class GlobSet:
    cdef GlobArrays g
    cdef Search search
    cdef tuple _keep
    cdef uint32_t* found
    cdef uint32_t* follow_row
    cdef Follows* follows
    cdef int _find_follows(self) except -1
    cdef size_t match(self, const uint8_t* text, size_t length) noexcept nogil
