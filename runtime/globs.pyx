"""All patterns of one kind against one string: tries that leave few over, then verification.

A pattern is filed under its literal head (compiler/filing.pyx). Patterns that are only their head
(exact) or head and `*` are settled on the walk along the text. Of the others, those that share their
head with many are filed below it once more, by a second literal: one that begins with a separator,
looked for at every `:` and `/` behind the head, or their end, read backwards. What a text reaches is
dropped if it lacks colons or words that the pattern holds (grams.pxd), reported if reaching it is
matching, and else verified from the head on, linearly and without backtracking:

- *pieces*: a plain glob, where every wildcard may match every character. Pieces between stars are
  searched leftmost; that is exact because a later start of a piece never helps.
- *automaton*: wildcards that must not match `:` (RES-4). The NFA is simulated bit-parallel, one bit
  per token, over code points (GLOB-3). A leftmost search would be wrong here: where a `*` may cross
  colons but the next may not, a later start can be the only one that matches.

No pattern is tried twice for a text: separators are taken from the last to the first, so that a
node is first met with the most colons before it, and it is listed once. Per head that the text passes,
the work is bounded by its separators times the length of a key, and its candidates times its length.

A combined DFA over all patterns was measured and lost: tens of megabytes, a cache miss per byte.
Rows of an automaton's `mask`, each `word_count` words: wild (any code point), wild except `:`,
loop (any), loop except `:`, accepting, then one row per literal symbol.
"""

import numpy as np

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memset

from .grams cimport grams_of

cdef enum:
    ROW_WILD = 0
    ROW_WILD_COLON = 1
    ROW_LOOP = 2
    ROW_LOOP_COLON = 3
    ROW_ACCEPT = 4
    ROW_SYMBOLS = 5

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #define IAMT_EACH 0x0101010101010101ull
    #define IAMT_LOW 0x7F7F7F7F7F7F7F7Full
    /* The high bit of each byte of `word` that equals `byte`. */
    static inline uint64_t iamt_equal_bytes(uint64_t word, uint8_t byte) {
        word ^= IAMT_EACH * byte;
        return ~(((word & IAMT_LOW) + IAMT_LOW) | word | IAMT_LOW);
    }
    /* Bit k: byte k of at most 64 is a separator. */
    static inline uint64_t iamt_separators(const uint8_t *text, size_t length) {
        uint64_t places = 0, bytes, hits;
        size_t at;
        for (at = 0; at + 8 <= length; at += 8) {
            memcpy(&bytes, text + at, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            bytes = __builtin_bswap64(bytes);
    #endif
            hits = iamt_equal_bytes(bytes, ':') | iamt_equal_bytes(bytes, '/');
            places |= ((hits >> 7) * 0x0102040810204080ull >> 56) << at;
        }
        for (; at < length; at++)
            places |= (uint64_t)(text[at] == ':' || text[at] == '/') << at;
        return places;
    }
    /* Where `byte` is first among n bytes, or n: few are searched, so a call would cost more. */
    static inline size_t iamt_find_byte(const uint8_t *bytes, size_t n, uint8_t byte) {
        size_t at = 0;
    #if defined(__GNUC__) || defined(__clang__)
        uint64_t word, hits;
        for (; at + 8 <= n; at += 8) {
            memcpy(&word, bytes + at, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            word = __builtin_bswap64(word);
    #endif
            hits = iamt_equal_bytes(word, byte);
            if (hits)
                return at + (size_t)(__builtin_ctzll(hits) >> 3);
        }
    #endif
        for (; at < n; at++)
            if (bytes[at] == byte)
                return at;
        return n;
    }
    static inline unsigned iamt_highest_bit(uint64_t word) {
    #if defined(__GNUC__) || defined(__clang__)
        return 63 - (unsigned)__builtin_clzll(word);
    #else
        unsigned bit = 63;
        while (!(word >> bit & 1)) bit--;
        return bit;
    #endif
    }
    """
    uint64_t separators_of "iamt_separators" (const uint8_t* text, size_t length) noexcept nogil
    unsigned highest_bit "iamt_highest_bit" (uint64_t word) noexcept nogil
    size_t find_byte "iamt_find_byte" (const uint8_t* bytes, size_t n, uint8_t byte) noexcept nogil

cdef uint64_t NOTHING = 0       # what the pointer of an empty array points to


cdef inline size_t point_length(const uint8_t* text, size_t at, size_t length) noexcept nogil:
    """Bytes of the code point at `at`; a stray continuation byte counts with its neighbours."""
    cdef size_t end = at + 1
    if text[at] >= 0x80:
        while end < length and (text[end] & 0xC0) == 0x80:
            end += 1
    return end - at


cdef inline size_t match_forward(const uint8_t* piece, size_t size, const uint8_t* text,
                                 size_t at, size_t length) noexcept nogil:
    """End of `piece` matched at `at`, or length + 1."""
    cdef size_t i
    for i in range(size):
        if at >= length:
            return length + 1
        if piece[i] == ANY_POINT:
            at += point_length(text, at, length)
        elif piece[i] == text[at]:
            at += 1
        else:
            return length + 1
    return at


cdef inline size_t match_backward(const uint8_t* piece, size_t size, const uint8_t* text,
                                  size_t floor, size_t length) noexcept nogil:
    """Start of `piece` matched up to the end of the text and not below `floor`, or length + 1."""
    cdef size_t i = size, at = length
    while i > 0:
        i -= 1
        if at <= floor:
            return length + 1
        at -= 1
        if piece[i] == ANY_POINT:
            while at > floor and (text[at] & 0xC0) == 0x80:
                at -= 1
        elif piece[i] != text[at]:
            return length + 1
    return at


cdef bint verify_pieces(const GlobArrays* g, uint32_t pattern, const uint8_t* text, size_t at,
                        size_t length) noexcept nogil:
    """First piece anchored at `at`, last piece at the end, those between leftmost."""
    cdef size_t k = g.program_start[pattern], last = g.program_start[pattern + 1] - 1
    cdef size_t begin, size, limit, end
    cdef const uint8_t* hit
    begin = g.piece_start[k]
    size = g.piece_start[k + 1] - begin
    at = match_forward(g.piece + begin, size, text, at, length)
    if at > length:
        return False
    if k == last:
        return at == length
    begin = g.piece_start[last]
    size = g.piece_start[last + 1] - begin
    limit = match_backward(g.piece + begin, size, text, at, length)
    if limit > length:
        return False
    k += 1
    while k < last:
        # A middle piece starts with a literal byte: `*?` was turned into `?*` (GLOB-4).
        begin = g.piece_start[k]
        size = g.piece_start[k + 1] - begin
        while True:
            if at >= limit:
                return False
            hit = <const uint8_t*>memchr(text + at, g.piece[begin], limit - at)
            if hit == NULL:
                return False
            at = hit - text
            end = match_forward(g.piece + begin, size, text, at, limit)
            if end <= limit:
                at = end
                break
            at += 1
        k += 1
    return True


cdef inline uint32_t decode_point(const uint8_t* text, size_t at, size_t size) noexcept nogil:
    """Code point of `size` bytes; malformed bytes give some number above U+10FFFF."""
    cdef uint32_t lead = text[at]
    if size == 1:
        return lead if lead < 0x80 else <uint32_t>0x80000000U | lead
    if size == 2:
        return (lead & 0x1F) << 6 | (text[at + 1] & 0x3F)
    if size == 3:
        return (lead & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F)
    if size == 4:
        return ((lead & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6
                | (text[at + 3] & 0x3F))
    return <uint32_t>0x80000000U | lead


cdef bint verify_automaton(const GlobArrays* g, uint32_t pattern, const uint8_t* text, size_t at,
                           size_t length, uint64_t* states) noexcept nogil:
    """Simulate the automaton of `pattern` on the text from `at`; `states` has `widest` words."""
    cdef uint32_t id = g.automaton[pattern]
    cdef size_t words = g.word_count[id], w, size
    cdef const uint64_t* rows = g.mask + g.mask_start[id]
    cdef const uint32_t* symbols = g.symbol + g.symbol_start[id]
    cdef size_t symbol_count = g.symbol_start[id + 1] - g.symbol_start[id], low, high, middle
    cdef const uint64_t* wild
    cdef const uint64_t* loop
    cdef const uint64_t* literal
    cdef uint32_t point
    cdef uint64_t carry, next_carry, word, alive
    memset(states, 0, words * sizeof(uint64_t))
    states[0] = 1
    while at < length:
        size = point_length(text, at, length)
        point = decode_point(text, at, size)
        at += size
        if point == COLON:
            wild = rows + ROW_WILD_COLON * words
            loop = rows + ROW_LOOP_COLON * words
        else:
            wild = rows + ROW_WILD * words
            loop = rows + ROW_LOOP * words
        literal = NULL
        low = 0
        high = symbol_count
        while low < high:
            middle = (low + high) >> 1
            if symbols[middle] < point:
                low = middle + 1
            else:
                high = middle
        if low < symbol_count and symbols[low] == point:
            literal = rows + (ROW_SYMBOLS + low) * words
        carry = 0
        alive = 0
        for w in range(words):
            word = states[w]
            next_carry = word >> 63
            states[w] = (((word << 1) | carry) & (wild[w] | (literal[w] if literal != NULL else 0))
                         | (word & loop[w]))
            carry = next_carry
            alive |= states[w]
        if alive == 0:
            return False
    for w in range(words):
        if states[w] & rows[ROW_ACCEPT * words + w]:
            return True
    return False


# --- tries

cdef void settle(const GlobArrays* g, Search* s, size_t node, size_t at, size_t colons) noexcept nogil:
    """Report the patterns of a node that match; their heads end at `at`, `colons` follow it."""
    cdef size_t e
    cdef uint8_t kind
    cdef uint32_t pattern
    for e in range(g.end_start[node], g.end_start[node + 1]):
        if g.end_colons[e] > colons:
            continue
        kind = g.end_kind[e]
        pattern = g.end_pattern[e]
        if kind == END_EXACT:
            if at != s.length:
                continue
        elif kind != END_PREFIX:
            if g.end_grams[e]:
                if not s.has_grams:
                    s.grams = grams_of(s.text + at, s.length - at)
                    s.has_grams = True
                if g.end_grams[e] & ~s.grams:
                    continue
            s.candidates += 1
            if kind == END_PIECES:
                if not verify_pieces(g, pattern, s.text, at, s.length):
                    continue
            elif not verify_automaton(g, pattern, s.text, at, s.length, s.states):
                continue
        s.found[s.count] = pattern
        s.count += 1


cdef inline size_t label_end(const GlobArrays* g, size_t node, const Search* s,
                             size_t at) noexcept nogil:
    """Where the label of a node ends in the text from `at` on, or length + 1."""
    cdef size_t begin = g.label_start[node], size = g.label_start[node + 1] - begin
    if size == 0:
        return at
    if size > s.length - at or g.label[begin] != s.text[at] or memcmp(g.label + begin, s.text + at, size) != 0:
        return s.length + 1
    return at + size


cdef inline size_t child_of(const GlobArrays* g, size_t node, uint8_t byte) noexcept nogil:
    """The child that is reached by a byte, or 0."""
    cdef size_t first = g.first_child[node], count = g.child_count[node]
    cdef size_t place = find_byte(g.byte + first, count, byte)
    return 0 if place == count else first + place


cdef void walk_forward(const GlobArrays* g, Search* s, size_t node, size_t at, size_t place,
                       size_t colons) noexcept nogil:
    """What is filed under the literals that begin at `place`, below a head that ends at `at`."""
    while True:
        place = label_end(g, node, s, place)
        if place > s.length:
            return
        if g.end_start[node] != g.end_start[node + 1] and s.seen[node] != s.number:
            s.seen[node] = s.number
            settle(g, s, node, at, colons)
        if place == s.length:
            return
        node = child_of(g, node, s.text[place])
        if node == 0:
            return
        place += 1


cdef inline bint has_byte(const uint64_t* bytes, uint8_t byte) noexcept nogil:
    return bytes[byte >> 6 & 1] >> (byte & 63) & 1


cdef inline void put_byte(uint64_t* bytes, uint8_t byte) noexcept nogil:
    bytes[byte >> 6 & 1] |= <uint64_t>1 << (byte & 63)


cdef inline bint may_follow(const Follows* follows, const uint8_t* text, size_t place,
                            size_t length) noexcept nogil:
    """Could the separator at `place` and the two bytes behind it lead anywhere? Most lead nowhere."""
    cdef bint is_slash = text[place] != COLON
    if place + 2 >= length:
        return True
    return (has_byte(&follows.first[is_slash][0], text[place + 1])
            and has_byte(&follows.second[is_slash][0], text[place + 2]))


cdef void note_follows(const GlobArrays* g, Follows* follows, size_t node, int depth,
                       bint is_slash) noexcept nogil:
    """Bytes that may come behind what leads to a node: a separator and `depth` bytes more."""
    cdef size_t i, child
    for i in range(g.label_start[node], g.label_start[node + 1]):
        if depth == -1:
            is_slash = g.label[i] != COLON
        else:
            put_byte(&follows.first[is_slash][0] if depth == 0 else &follows.second[is_slash][0],
                     g.label[i])
        depth += 1
        if depth == 2:
            return
    if g.end_start[node] != g.end_start[node + 1]:  # a literal ends here: anything may follow
        if depth <= 0:
            memset(follows.first, 0xFF, sizeof(follows.first))
        memset(follows.second, 0xFF, sizeof(follows.second))
    for i in range(g.child_count[node]):
        child = g.first_child[node] + i
        if depth == -1:
            is_slash = g.byte[child] != COLON
        else:
            put_byte(&follows.first[is_slash][0] if depth == 0 else &follows.second[is_slash][0],
                     g.byte[child])
        if depth < 1:
            note_follows(g, follows, child, depth + 1, is_slash)


cdef void search_forward(const GlobArrays* g, Search* s, size_t root, size_t at) noexcept nogil:
    """`walk_forward` from every separator behind a head that ends at `at`, the last one first."""
    cdef size_t block = (s.length - at + 63) // 64 * 64, place, colons = 0, size
    cdef uint64_t places
    cdef const Follows* follows = g.follows + g.follow_row[root]
    for place in range(at, s.length):
        colons += s.text[place] == COLON
    while block:
        block -= 64
        size = s.length - at - block
        places = separators_of(s.text + at + block, size if size < 64 else 64)
        while places:
            place = highest_bit(places)
            places ^= <uint64_t>1 << place
            place += at + block
            colons -= s.text[place] == COLON
            if may_follow(follows, s.text, place, s.length):
                walk_forward(g, s, root, at, place, colons)


cdef void walk_backward(const GlobArrays* g, Search* s, size_t node, size_t at) noexcept nogil:
    """What is filed under an end of the text, below a head that ends at `at`."""
    cdef size_t place = s.length, i
    while True:
        for i in range(g.label_start[node], g.label_start[node + 1]):
            if place == at or s.text[place - 1] != g.label[i]:
                return
            place -= 1
        settle(g, s, node, at, 0)
        if place == at:
            return
        node = child_of(g, node, s.text[place - 1])
        if node == 0:
            return
        place -= 1


cdef size_t glob_matches(const GlobArrays* g, Search* s, const uint8_t* text,
                         size_t length) noexcept nogil:
    """Put the ids of the patterns that match the whole text into `s.found`; how many there are."""
    cdef size_t node = 0, at = 0, sub
    s.text = text
    s.length = length
    s.count = 0
    s.has_grams = False
    s.number += 1
    if s.number == 0:
        memset(s.seen, 0, g.node_count * sizeof(uint32_t))
        s.number = 1
    while True:
        at = label_end(g, node, s, at)
        if at > length:
            return s.count
        settle(g, s, node, at, 0)
        sub = g.first_child[node] + g.child_count[node]
        if g.subs[node] & SUB_FORWARD:
            search_forward(g, s, sub, at)
            sub += 1
        if g.subs[node] & SUB_BACKWARD:
            walk_backward(g, s, sub, at)
        if at == length:
            return s.count
        node = child_of(g, node, text[at])
        if node == 0:
            return s.count
        at += 1


cdef const uint8_t* bytes_of(array) except? NULL:
    cdef const uint8_t[::1] view = array
    return &view[0] if view.shape[0] else <const uint8_t*>&NOTHING


cdef const uint32_t* words_of(array) except? NULL:
    cdef const uint32_t[::1] view = array
    return &view[0] if view.shape[0] else <const uint32_t*>&NOTHING


cdef const uint64_t* longs_of(array) except? NULL:
    cdef const uint64_t[::1] view = array
    return &view[0] if view.shape[0] else &NOTHING


cdef class GlobSet:
    """Doorway: patterns 0..n-1 compiled to arrays (compiler/trie.py), asked one string at a time.

    The arrays are borrowed and must have passed `runtime.schema` checks: ids are not checked again.
    Not safe to share between threads: match results are written to buffers of the object.
    """

    def __cinit__(self):
        memset(&self.search, 0, sizeof(Search))

    def __init__(self, arrays, str prefix):
        get = lambda name: arrays[prefix + name]
        self._keep = tuple(get(name) for name in ARRAY_NAMES)
        self.g.byte = bytes_of(get("byte"))
        self.g.label = bytes_of(get("label"))
        self.g.label_start = words_of(get("label_start"))
        self.g.first_child = words_of(get("first_child"))
        self.g.child_count = words_of(get("child_count"))
        self.g.subs = bytes_of(get("subs"))
        self.g.end_start = words_of(get("end_start"))
        self.g.end_pattern = words_of(get("end_pattern"))
        self.g.end_kind = bytes_of(get("end_kind"))
        self.g.end_colons = bytes_of(get("end_colons"))
        self.g.end_grams = longs_of(get("end_grams"))
        self.g.node_count = len(get("first_child"))
        self.g.piece = bytes_of(get("piece"))
        self.g.piece_start = words_of(get("piece_start"))
        self.g.program_start = words_of(get("program_start"))
        self.g.automaton = words_of(get("automaton"))
        self.g.word_count = words_of(get("word_count"))
        self.g.mask = longs_of(get("mask"))
        self.g.mask_start = longs_of(get("mask_start"))
        self.g.symbol = words_of(get("symbol"))
        self.g.symbol_start = words_of(get("symbol_start"))
        self.g.pattern_count = len(get("automaton"))
        widths = get("word_count")
        self.g.widest = int(widths.max()) if len(widths) else 1
        self.search.found = <uint32_t*>malloc((self.g.pattern_count + 1) * sizeof(uint32_t))
        self.search.states = <uint64_t*>malloc(self.g.widest * sizeof(uint64_t))
        self.search.seen = <uint32_t*>calloc(self.g.node_count, sizeof(uint32_t))
        if self.search.found == NULL or self.search.states == NULL or self.search.seen == NULL:
            raise MemoryError
        self.found = self.search.found
        self._find_follows()

    def __dealloc__(self):
        free(self.search.found)
        free(self.search.states)
        free(self.search.seen)
        free(self.follow_row)
        free(self.follows)

    cdef int _find_follows(self) except -1:
        """What may come behind a separator in each trie of literals that begin with one."""
        cdef size_t node, root, count = 0
        for node in range(self.g.node_count):
            count += self.g.subs[node] & SUB_FORWARD
        self.follow_row = <uint32_t*>malloc((self.g.node_count + 1) * sizeof(uint32_t))
        self.follows = <Follows*>calloc(count + 1, sizeof(Follows))
        if self.follow_row == NULL or self.follows == NULL:
            raise MemoryError
        count = 0
        for node in range(self.g.node_count):
            if self.g.subs[node] & SUB_FORWARD:
                root = self.g.first_child[node] + self.g.child_count[node]
                self.follow_row[root] = <uint32_t>count
                note_follows(&self.g, self.follows + count, root, -1, False)
                count += 1
        self.g.follow_row = self.follow_row
        self.g.follows = self.follows
        return 0

    @property
    def candidates(self):
        """Patterns that the tries could not settle and that were verified, so far."""
        return self.search.candidates

    cdef size_t match(self, const uint8_t* text, size_t length) noexcept nogil:
        return glob_matches(&self.g, &self.search, text, length)

    def matches(self, bytes text):
        """Ids of the patterns that match `text` (UTF-8), as an ascending list."""
        cdef size_t i, count = self.match(text, len(text))
        return sorted([self.found[i] for i in range(count)])


ARRAY_NAMES = (
    "byte", "label", "label_start", "first_child", "child_count", "subs", "end_start", "end_pattern",
    "end_kind", "end_colons", "end_grams",
    "piece", "piece_start", "program_start", "automaton", "word_count", "mask", "mask_start",
    "symbol", "symbol_start",
)

cdef enum:
    TOKEN_POINT = 0
    TOKEN_ANY = 1
    TOKEN_ANY_BUT_COLON = 2
    TOKEN_STAR = 3
    TOKEN_STAR_BUT_COLON = 4


cdef bint tokens_match(const uint8_t* kinds, const uint32_t* points, size_t m,
                       const uint32_t* text, size_t n, uint32_t* reach, uint32_t* following
                       ) noexcept nogil:
    """Rows of reachable text positions, one row a token; only low..high of a row may be reached.

    reach, following : n + 1 words each, of one width with the text so that the loops vectorise
    """
    cdef size_t low = 0, high = 0, t, i
    cdef uint32_t point, open
    reach[0] = 1
    for t in range(m):
        if kinds[t] >= TOKEN_STAR:
            while low <= high and not reach[low]:
                low += 1
            if low > high:
                return False
            if kinds[t] == TOKEN_STAR:
                for i in range(low, n + 1):
                    reach[i] = 1
            else:
                for i in range(high + 1, n + 1):
                    reach[i] = 0
                open = 0
                for i in range(low, n):
                    open = (open | reach[i]) & (text[i] != COLON)
                    reach[i + 1] |= open
            high = n
            continue
        if high == n:
            if low == n:
                return False
            high = n - 1
        if kinds[t] == TOKEN_POINT:
            point = points[t]
            for i in range(low, high + 1):
                following[i + 1] = reach[i] & (text[i] == point)
        elif kinds[t] == TOKEN_ANY:
            for i in range(low, high + 1):
                following[i + 1] = reach[i]
        else:
            for i in range(low, high + 1):
                following[i + 1] = reach[i] & (text[i] != COLON)
        low += 1
        high += 1
        reach, following = following, reach
        if low == high and not reach[low]:
            return False
    return high == n and reach[n] != 0


def match_tokens(const uint8_t[::1] kinds, const uint32_t[::1] points, str text):
    """Whole-string match of a token sequence that exists only for one request.

    kinds, points : TOKEN_* codes and, for TOKEN_POINT, the code point. Used where a policy variable
    has been replaced by its value. O(tokens x text) at worst, no backtracking.
    """
    cdef size_t n = len(text), m = kinds.shape[0]
    cdef const uint32_t[::1] chars = np.frombuffer(
        text.encode("utf-32-le", "surrogatepass") or bytes(4), dtype="<u4")
    cdef uint32_t[:, ::1] rows = np.empty((2, n + 1), dtype=np.uint32)
    if points.shape[0] != kinds.shape[0]:
        raise ValueError("one point per token")
    if m == 0:
        return n == 0
    return bool(tokens_match(&kinds[0], &points[0], m, &chars[0], n, &rows[0, 0], &rows[1, 0]))
