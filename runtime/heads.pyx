"""One pattern against one text, where few patterns are asked for and the text is not met again.

The tries of a GlobSet answer for all patterns together, which pays for a text whose answer is kept.
Here a pattern is held against a text by itself: its literal head is read off the tries once, and what
follows the head is verified as it is below them.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from .globs cimport (
    END_AUTOMATON,
    END_EXACT,
    END_PIECES,
    END_PREFIX,
    SUB_BACKWARD,
    SUB_FORWARD,
    GlobArrays,
    GlobSet,
    verify_automaton,
    verify_pieces,
)
from .intern cimport NO_ID

cdef void trace(const GlobArrays* g, Paths* paths) noexcept nogil:
    """Nodes have higher numbers than their parents: one pass, from the root on."""
    cdef size_t node, child, root, i
    for node in range(g.node_count):
        if node == 0:
            paths.depth[0] = g.label_start[1] - g.label_start[0]
        for i in range(g.child_count[node]):
            child = g.first_child[node] + i
            paths.parent[child] = <uint32_t>node
            paths.owner[child] = paths.owner[node]
            if paths.owner[node] == node:
                paths.owner[child] = <uint32_t>child
            paths.depth[child] = (paths.depth[node] + 1 + g.label_start[child + 1]
                                  - g.label_start[child])
        root = g.first_child[node] + g.child_count[node]
        if g.subs[node] & SUB_FORWARD:
            paths.owner[root] = <uint32_t>node
            root += 1
        if g.subs[node] & SUB_BACKWARD:
            paths.owner[root] = <uint32_t>node


cdef void write_path(const GlobArrays* g, const Paths* paths, size_t node,
                     uint8_t* head) noexcept nogil:
    """What leads to a node of the first trie, from its end on."""
    cdef size_t at = paths.depth[node], size
    while True:
        size = g.label_start[node + 1] - g.label_start[node]
        at -= size
        memcpy(head + at, g.label + g.label_start[node], size)
        if node == 0:
            return
        at -= 1
        head[at] = g.byte[node]
        node = paths.parent[node]


cdef class PatternHeads:
    """Doorway. Not safe to share between threads, as its GlobSet is not."""

    def __init__(self, GlobSet globs):
        self.globs = globs

    def __dealloc__(self):
        free(self.heads)
        free(self.text)

    cdef int find(self) noexcept nogil:
        """Read the heads off the tries, the first time; -1 when memory is short."""
        cdef size_t count = self.globs.g.node_count + 1
        cdef Paths paths
        cdef int status = -1
        if self.heads != NULL:
            return 0
        paths.depth = <size_t*>calloc(count, sizeof(size_t))
        paths.parent = <uint32_t*>calloc(count, sizeof(uint32_t))
        paths.owner = <uint32_t*>calloc(count, sizeof(uint32_t))
        paths.start = <uint32_t*>calloc(count, sizeof(uint32_t))
        if (paths.depth != NULL and paths.parent != NULL and paths.owner != NULL
                and paths.start != NULL):
            trace(&self.globs.g, &paths)
            status = self._write(&paths)
        free(paths.depth)
        free(paths.parent)
        free(paths.owner)
        free(paths.start)
        return status

    cdef int _write(self, Paths* paths) noexcept nogil:
        cdef const GlobArrays* g = &self.globs.g
        cdef size_t node, owner, e, used = 1
        cdef Head* head
        for node in range(g.node_count):
            owner = paths.owner[node]
            if g.end_start[node] != g.end_start[node + 1] and paths.start[owner] == 0:
                paths.start[owner] = <uint32_t>used
                used += paths.depth[owner]
        if used >= <size_t>0xFFFFFFFF:
            return -1
        self.text = <uint8_t*>malloc(used)
        head = <Head*>calloc(g.pattern_count + 1, sizeof(Head))
        if self.text == NULL or head == NULL:
            free(head)
            return -1
        for node in range(g.node_count):
            if paths.start[node]:
                write_path(g, paths, node, self.text + paths.start[node])
        for node in range(g.node_count):
            owner = paths.owner[node]
            for e in range(g.end_start[node], g.end_start[node + 1]):
                put_head(g, head + g.end_pattern[e], g.end_pattern[e], g.end_kind[e])
                head[g.end_pattern[e]].start = paths.start[owner]
                head[g.end_pattern[e]].size = <uint32_t>paths.depth[owner]
        self.heads = head
        return 0

    cdef bint matches_one(self, uint32_t pattern, const uint8_t* text,
                          size_t length) noexcept nogil:
        """Does a pattern match the whole text? `find` came before."""
        cdef const Head* head = self.heads + pattern
        cdef size_t size = head.size
        if size > length or memcmp(self.text + head.start, text, size) != 0:
            return False
        if head.kind == END_PREFIX:
            return True
        if head.kind == END_EXACT:
            return size == length
        if head.kind == END_PIECES:
            return verify_pieces(&self.globs.g, pattern, text, size, length)
        return verify_automaton(&self.globs.g, pattern, text, size, length,
                                self.globs.search.states)

    def matches(self, uint32_t pattern, bytes text):
        if pattern >= self.globs.g.pattern_count:
            raise IndexError(pattern)
        if self.find():
            raise MemoryError
        return self.matches_one(pattern, text, len(text))


cdef inline void put_head(const GlobArrays* g, Head* head, uint32_t pattern,
                          uint8_t kind) noexcept nogil:
    """Where what leads to an end of a trie is matching, the pattern is verified nevertheless."""
    head.kind = kind
    if g.automaton[pattern] != NO_ID:
        head.kind = END_AUTOMATON
    elif g.program_start[pattern] != g.program_start[pattern + 1]:
        head.kind = END_PIECES
