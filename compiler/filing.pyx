"""Where patterns are filed: tries over literal heads, and below them tries over a second literal.

A pattern comes as bytes: its UTF-8 text, each wildcard as WILD_BYTE + its token, which UTF-8 never
holds. It is filed under its head, the bytes before its first wildcard. Where more than FEW patterns
with wildcards to verify share their head, each is filed once more, below it: under the literal that
the fewest of them hold at a separator (`:` or `/`), of at most KEY_BYTES bytes, or under its end, read
backwards, whichever is rarer. What has neither stays with the head.

A trie is made from ranges of one permutation of the patterns: a node is a range whose literals agree
so far, and its children are the parts into which the next byte divides it. Nodes are
numbered breadth first, first the children of a node, then the roots of the tries below it, so every
link points forward. Work is linear in the bytes of the patterns.
"""

import numpy as np

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ..runtime.codes import WILD_BYTE as _WILD_BYTE
from ..runtime.codes import Token
from ..runtime.globs cimport (
    ANY_POINT,
    COLON,
    END_AUTOMATON,
    END_EXACT,
    END_PIECES,
    END_PREFIX,
    SUB_BACKWARD,
    SUB_FORWARD,
)
from ..runtime.grams cimport grams_of

cdef enum:
    WILD_BYTE = 0xF8
    ANY = WILD_BYTE + 1
    STAR = WILD_BYTE + 3
    SLASH = 47
    KEY_BYTES = 32      # a text with a separator at each byte costs that much per byte
    SHORT = 24          # literals that are sorted by insertion
    FEW = 3             # as many patterns are told apart by their words
    HEAD = 0            # which trie a node belongs to; the others are SUB_FORWARD, SUB_BACKWARD

assert WILD_BYTE == _WILD_BYTE and ANY == _WILD_BYTE + Token.ANY and STAR == _WILD_BYTE + Token.STAR

cdef struct Filing:
    const uint8_t* text         # all patterns, end to end
    const uint32_t* start       # [patterns + 1]
    # By pattern: the literal it is filed under, from its first byte on or, read backwards, its last.
    uint32_t* rest              # where its first wildcard is
    uint8_t* kind
    uint32_t* key
    uint32_t* key_size
    uint8_t* key_trie
    uint32_t* key_rivals        # how many literals of the group begin like this one
    # Literals that could be keys, of one group at a time.
    uint32_t* choice_pattern
    uint32_t* choice_key
    uint32_t* choice_size
    # Permutations of patterns and of choices that ranges of nodes point into, and room to sort.
    uint32_t* order
    uint32_t* choice_order
    uint32_t* sorted
    uint16_t* bucket_of
    # By node.
    uint32_t* low
    uint32_t* high
    uint32_t* depth
    uint8_t* trie
    uint8_t* byte
    uint32_t* label_start
    uint32_t* first_child
    uint32_t* child_count
    uint8_t* subs
    uint32_t* end_start
    size_t node_count
    # What the nodes hold.
    uint8_t* label
    size_t label_size
    uint32_t* end_pattern
    uint8_t* end_kind
    uint8_t* end_colons
    uint64_t* end_grams
    size_t end_count

cdef struct Pieces:
    uint8_t* piece
    size_t size
    uint32_t* piece_start
    size_t count
    uint32_t* program_start


cdef inline bint is_wild(uint8_t byte) noexcept nogil:
    return byte >= WILD_BYTE


cdef void analyse(Filing* f, size_t pattern) noexcept nogil:
    """Head and kind of a pattern; it is filed under its head first."""
    cdef size_t at = f.start[pattern], end = f.start[pattern + 1], i
    cdef uint8_t byte
    while at < end and not is_wild(f.text[at]):
        at += 1
    f.rest[pattern] = <uint32_t>at
    f.key[pattern] = f.start[pattern]
    f.key_size[pattern] = <uint32_t>at - f.start[pattern]
    f.key_trie[pattern] = HEAD
    if at == end:
        f.kind[pattern] = END_EXACT
        return
    f.kind[pattern] = END_PREFIX
    for i in range(at, end):
        byte = f.text[i]
        if is_wild(byte) and byte != ANY and byte != STAR:
            f.kind[pattern] = END_AUTOMATON
            return
        if byte != STAR:
            f.kind[pattern] = END_PIECES


cdef inline uint8_t key_byte(const Filing* f, uint32_t key, size_t i, uint8_t trie) noexcept nogil:
    return f.text[key - i] if trie == SUB_BACKWARD else f.text[key + i]


cdef size_t common_size(const Filing* f, const uint32_t* order, size_t n, size_t depth,
                        const uint32_t* keys, const uint32_t* sizes, uint8_t trie) noexcept nogil:
    """How many bytes all literals of a range share, of which they share `depth` for certain."""
    cdef const uint8_t* first = f.text + keys[order[0]]
    cdef const uint8_t* other
    cdef size_t common = sizes[order[0]], i, k
    for i in range(1, n):
        other = f.text + keys[order[i]]
        if sizes[order[i]] < common:
            common = sizes[order[i]]
        if common == depth:
            break
        k = depth
        if trie == SUB_BACKWARD:
            while k < common and (first - k)[0] == (other - k)[0]:
                k += 1
        else:
            while k < common and first[k] == other[k]:
                k += 1
        common = k
    return common


cdef inline uint32_t bucket(const Filing* f, uint32_t item, size_t depth, const uint32_t* keys,
                            const uint32_t* sizes, uint8_t trie) noexcept nogil:
    """0 for a literal that ends at `depth`, else one more than its byte there."""
    return 0 if sizes[item] == depth else <uint32_t>key_byte(f, keys[item], depth, trie) + 1


cdef void insert_all(const Filing* f, uint32_t* order, size_t n, size_t depth, const uint32_t* keys,
                     const uint32_t* sizes, uint8_t trie) noexcept nogil:
    """Sort a short range by insertion: most have a handful of literals, 257 buckets cost more."""
    cdef uint32_t[SHORT] buckets
    cdef uint32_t item, here
    cdef size_t i, at
    for i in range(n):
        item = order[i]
        here = bucket(f, item, depth, keys, sizes, trie)
        at = i
        while at > 0 and buckets[at - 1] > here:
            buckets[at] = buckets[at - 1]
            order[at] = order[at - 1]
            at -= 1
        buckets[at] = here
        order[at] = item


cdef void count_all(const Filing* f, uint32_t* order, size_t n, size_t depth, const uint32_t* keys,
                    const uint32_t* sizes, uint8_t trie) noexcept nogil:
    """Sort a range by counting."""
    cdef uint32_t[258] next
    cdef uint32_t here, first = 256, last = 0
    cdef size_t i
    memset(next, 0, sizeof(next))
    for i in range(n):
        here = bucket(f, order[i], depth, keys, sizes, trie)
        f.bucket_of[i] = <uint16_t>here
        next[here + 1] += 1
        first = here if here < first else first
        last = here if here > last else last
    for i in range(first, last):
        next[i + 1] += next[i]
    for i in range(n):
        here = f.bucket_of[i]
        f.sorted[next[here]] = order[i]
        next[here] += 1
    memcpy(order, f.sorted, n * sizeof(uint32_t))


cdef size_t divide(const Filing* f, uint32_t* order, size_t n, size_t depth, const uint32_t* keys,
                   const uint32_t* sizes, uint8_t trie) noexcept nogil:
    """Sort a range by the byte at `depth`, literals that end there first; how many these are.

    Equal ones keep their order.
    """
    cdef size_t ended = 0
    if n > SHORT:
        count_all(f, order, n, depth, keys, sizes, trie)
    elif n > 1:
        insert_all(f, order, n, depth, keys, sizes, trie)
    while ended < n and sizes[order[ended]] == depth:
        ended += 1
    return ended


cdef size_t part_end(const Filing* f, const uint32_t* order, size_t at, size_t n, size_t depth,
                     const uint32_t* keys, uint8_t trie) noexcept nogil:
    """Behind the literals of a divided range that go on with the byte of the one at `at`."""
    cdef uint8_t byte = key_byte(f, keys[order[at]], depth, trie)
    while at < n and key_byte(f, keys[order[at]], depth, trie) == byte:
        at += 1
    return at


# --- a second literal

cdef void prefer(Filing* f, uint32_t choice, size_t rivals, uint8_t trie) noexcept nogil:
    """Take a literal as a pattern's key if it is rarer than what was chosen, or as rare and longer."""
    cdef uint32_t pattern = f.choice_pattern[choice], size = f.choice_size[choice]
    if (f.key_trie[pattern] == HEAD or rivals < f.key_rivals[pattern]
            or (rivals == f.key_rivals[pattern] and size > f.key_size[pattern])):
        f.key[pattern] = f.choice_key[choice]
        f.key_size[pattern] = size
        f.key_trie[pattern] = trie
        f.key_rivals[pattern] = <uint32_t>rivals


cdef void rank(Filing* f, uint32_t* order, size_t n, size_t depth, uint8_t trie) noexcept nogil:
    """Prefer the choices of a range, which share `depth` bytes. At most KEY_BYTES calls deep."""
    cdef size_t common = common_size(f, order, n, depth, f.choice_key, f.choice_size, trie)
    cdef size_t at, i, end
    at = divide(f, order, n, common, f.choice_key, f.choice_size, trie)
    for i in range(at):
        prefer(f, order[i], n, trie)
    while at < n:
        end = part_end(f, order, at, n, common, f.choice_key, trie)
        if end - at == 1:
            prefer(f, order[at], 1, trie)
        else:
            rank(f, order + at, end - at, common + 1, trie)
        at = end


cdef void choose_keys(Filing* f, const uint32_t* patterns, size_t n) noexcept nogil:
    """Find a second literal for the patterns of a group."""
    cdef size_t count = 0, i, at, end, size
    cdef uint32_t pattern
    cdef uint8_t byte
    for i in range(n):
        pattern = patterns[i]
        if f.kind[pattern] < END_PIECES:
            continue
        end = f.start[pattern + 1]
        size = 0
        at = end
        while at > f.rest[pattern]:
            at -= 1
            byte = f.text[at]
            size = 0 if is_wild(byte) else size + 1
            if byte == COLON or byte == SLASH:
                f.choice_pattern[count] = pattern
                f.choice_key[count] = <uint32_t>at
                f.choice_size[count] = <uint32_t>(size if size < KEY_BYTES else KEY_BYTES)
                f.choice_order[count] = <uint32_t>count
                count += 1
    if count:
        rank(f, f.choice_order, count, 0, SUB_FORWARD)
    count = 0
    for i in range(n):
        pattern = patterns[i]
        end = f.start[pattern + 1]
        size = 0
        while f.kind[pattern] >= END_PIECES and size < KEY_BYTES and not is_wild(f.text[end - 1 - size]):
            size += 1
        if size:
            f.choice_pattern[count] = pattern
            f.choice_key[count] = <uint32_t>(end - 1)
            f.choice_size[count] = <uint32_t>size
            f.choice_order[count] = <uint32_t>count
            count += 1
    if count:
        rank(f, f.choice_order, count, 0, SUB_BACKWARD)


cdef bint is_settled(const Filing* f, uint32_t pattern) noexcept nogil:
    """Whether a text that holds the key, behind enough colons, is one that the pattern matches.

    So it is for `*`, then `:*` any number of times, then the key and at last `*`; and for `*` and
    the key as the end.
    """
    cdef size_t at = f.rest[pattern], end = f.start[pattern + 1], key = f.key[pattern]
    cdef bint is_backward = f.key_trie[pattern] == SUB_BACKWARD
    cdef uint8_t before = 0
    if f.kind[pattern] != END_PIECES:
        return False
    if is_backward:
        key = key + 1 - f.key_size[pattern]
    while at < key:
        if f.text[at] != STAR and (is_backward or f.text[at] != COLON or before != STAR):
            return False
        before = f.text[at]
        at += 1
    if before != STAR:
        return False
    at += f.key_size[pattern]
    if is_backward:
        return at == end
    if at == end:
        return False
    while at < end:
        if f.text[at] != STAR:
            return False
        at += 1
    return True


# --- nodes

cdef void add_node(Filing* f, size_t low, size_t high, size_t depth, uint8_t trie,
                   uint8_t byte) noexcept nogil:
    cdef size_t node = f.node_count
    f.low[node] = <uint32_t>low
    f.high[node] = <uint32_t>high
    f.depth[node] = <uint32_t>depth
    f.trie[node] = trie
    f.byte[node] = byte
    f.node_count += 1


cdef void add_end(Filing* f, uint32_t pattern) noexcept nogil:
    """List a pattern at the node that is being made."""
    cdef size_t at, end = f.start[pattern + 1], run, colons = 0
    cdef uint64_t grams = 0
    cdef uint8_t kind = f.kind[pattern]
    if kind >= END_PIECES:
        at = f.rest[pattern]
        if f.key_trie[pattern] == SUB_FORWARD:
            while at < f.key[pattern]:
                colons += f.text[at] == COLON
                at += 1
        if is_settled(f, pattern) and colons <= 0xFF:
            kind = END_PREFIX
        else:
            at = run = f.rest[pattern]
            while at < end:
                if is_wild(f.text[at]):
                    grams |= grams_of(f.text + run, at - run)
                    run = at + 1
                at += 1
            grams |= grams_of(f.text + run, end - run)
    f.end_pattern[f.end_count] = pattern
    f.end_kind[f.end_count] = kind
    f.end_colons[f.end_count] = <uint8_t>(colons if colons < 0xFF else 0xFF)
    f.end_grams[f.end_count] = grams
    f.end_count += 1


cdef size_t file_ends(Filing* f, uint32_t* patterns, size_t n, uint32_t* sub_counts) noexcept nogil:
    """List the patterns that end at a head, but for those that get a key; how many are listed.

    sub_counts : [2], becomes how many are filed forward and backward. They are put behind the others.
    """
    cdef size_t i, trie, at = 0
    cdef uint32_t pattern
    sub_counts[0] = sub_counts[1] = 0
    for i in range(n):
        at += f.kind[patterns[i]] >= END_PIECES
    if at > FEW:
        choose_keys(f, patterns, n)
    at = 0
    for trie in range(3):
        for i in range(n):
            pattern = patterns[i]
            if f.key_trie[pattern] == trie:
                f.sorted[at] = pattern
                at += 1
                if trie == HEAD:
                    add_end(f, pattern)
                else:
                    sub_counts[trie - 1] += 1
    memcpy(patterns, f.sorted, n * sizeof(uint32_t))
    return n - sub_counts[0] - sub_counts[1]


cdef void make_node(Filing* f, size_t node) noexcept nogil:
    """Label, ends and links of a node; its children are queued as the nodes that come next."""
    cdef size_t low = f.low[node], n = f.high[node] - low, depth = f.depth[node], common, i, ended
    cdef uint32_t* order = f.order + low
    cdef uint8_t trie = f.trie[node]
    cdef uint32_t sub_counts[2]
    cdef size_t at, end
    f.label_start[node] = <uint32_t>f.label_size
    f.end_start[node] = <uint32_t>f.end_count
    f.subs[node] = 0
    f.child_count[node] = 0
    f.first_child[node] = <uint32_t>f.node_count
    if n == 0:
        return
    common = common_size(f, order, n, depth, f.key, f.key_size, trie)
    for i in range(depth, common):
        f.label[f.label_size] = key_byte(f, f.key[order[0]], i, trie)
        f.label_size += 1
    ended = divide(f, order, n, common, f.key, f.key_size, trie)
    at = ended
    while at < n:
        end = part_end(f, order, at, n, common, f.key, trie)
        add_node(f, low + at, low + end, common + 1, trie, key_byte(f, f.key[order[at]], common, trie))
        f.child_count[node] += 1
        at = end
    if trie != HEAD:
        for i in range(ended):
            add_end(f, order[i])
        return
    at = low + file_ends(f, order, ended, sub_counts)
    for i in range(2):
        if sub_counts[i]:
            add_node(f, at, at + sub_counts[i], 0, <uint8_t>(i + 1), 0)
            f.subs[node] |= <uint8_t>(i + 1)
            at += sub_counts[i]


cdef void file_all(Filing* f, size_t count) noexcept nogil:
    """All nodes, breadth first."""
    cdef size_t i, node = 0
    f.node_count = f.label_size = f.end_count = 0
    for i in range(count):
        analyse(f, i)
        f.order[i] = <uint32_t>i
    add_node(f, 0, count, 0, HEAD, 0)
    while node < f.node_count:
        make_node(f, node)
        node += 1
    f.label_start[node] = <uint32_t>f.label_size
    f.end_start[node] = <uint32_t>f.end_count


# --- what is verified piece by piece

cdef inline void end_piece(Pieces* out) noexcept nogil:
    out.count += 1
    out.piece_start[out.count] = <uint32_t>out.size


cdef void cut_pieces(Filing* f, uint32_t pattern, Pieces* out) noexcept nogil:
    """Pieces between the stars of a pattern; runs of wildcards are `?...?*` (GLOB-4)."""
    cdef size_t at, end = f.start[pattern + 1]
    cdef bint has_star = False
    cdef uint8_t byte
    if f.kind[pattern] == END_PIECES:
        for at in range(f.rest[pattern], end):
            byte = f.text[at]
            if byte == STAR:
                has_star = True
                continue
            if byte != ANY and has_star:
                end_piece(out)
                has_star = False
            out.piece[out.size] = <uint8_t>ANY_POINT if byte == ANY else byte
            out.size += 1
        if has_star:
            end_piece(out)
        end_piece(out)
    out.program_start[pattern + 1] = <uint32_t>out.count


# --- guard and doorway

cdef uint32_t* words_in(dict room, str name, size_t count) except NULL:
    """Memory for `count` words, owned by `room`."""
    cdef uint32_t[::1] view = room.setdefault(name, np.empty(count + 1, dtype=np.uint32))
    return &view[0]


cdef uint8_t* bytes_in(dict room, str name, size_t count) except NULL:
    cdef uint8_t[::1] view = room.setdefault(name, np.empty(count + 1, dtype=np.uint8))
    return &view[0]


cdef uint64_t* longs_in(dict room, str name, size_t count) except NULL:
    cdef uint64_t[::1] view = room.setdefault(name, np.empty(count + 1, dtype=np.uint64))
    return &view[0]


def file_patterns(bytes text, uint32_t[::1] start):
    """Arrays of a `GlobSet` but for its automata, and `kind` by pattern; pattern i keeps the id i.

    text, start : encoded patterns end to end, and where each begins, with the end of the last
    O(bytes). Raises ValueError unless `start` shares out the text.
    """
    cdef Filing f
    cdef Pieces pieces
    cdef dict room = {}
    cdef size_t count, i, choices, nodes
    offsets = np.asarray(start)
    if (len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(text)
            or np.any(offsets[1:] < offsets[:-1])):
        raise ValueError("the patterns do not share out the text")
    count = len(offsets) - 1
    letters = np.frombuffer(text, dtype=np.uint8)
    choices = max(count, <size_t>np.count_nonzero((letters == COLON) | (letters == SLASH)))
    nodes = 5 * count + 2       # 2 a pattern in each trie, and the roots of groups larger than FEW
    f.text = text
    f.start = &start[0]
    f.rest = words_in(room, "rest", count)
    f.kind = bytes_in(room, "kind", count)
    f.key = words_in(room, "key", count)
    f.key_size = words_in(room, "key_size", count)
    f.key_trie = bytes_in(room, "key_trie", count)
    f.key_rivals = words_in(room, "key_rivals", count)
    f.choice_pattern = words_in(room, "choice_pattern", choices)
    f.choice_key = words_in(room, "choice_key", choices)
    f.choice_size = words_in(room, "choice_size", choices)
    f.choice_order = words_in(room, "choice_order", choices)
    f.order = words_in(room, "order", count)
    f.sorted = words_in(room, "sorted", choices)
    f.bucket_of = <uint16_t*>words_in(room, "bucket_of", choices // 2 + 1)
    f.low = words_in(room, "low", nodes)
    f.high = words_in(room, "high", nodes)
    f.depth = words_in(room, "depth", nodes)
    f.trie = bytes_in(room, "trie", nodes)
    f.byte = bytes_in(room, "byte", nodes)
    f.label_start = words_in(room, "label_start", nodes)
    f.first_child = words_in(room, "first_child", nodes)
    f.child_count = words_in(room, "child_count", nodes)
    f.subs = bytes_in(room, "subs", nodes)
    f.end_start = words_in(room, "end_start", nodes)
    f.label = bytes_in(room, "label", len(text))
    f.end_pattern = words_in(room, "end_pattern", count)
    f.end_kind = bytes_in(room, "end_kind", count)
    f.end_colons = bytes_in(room, "end_colons", count)
    f.end_grams = longs_in(room, "end_grams", count)
    pieces.piece = bytes_in(room, "piece", len(text))
    pieces.piece_start = words_in(
        room, "piece_start", count + <size_t>np.count_nonzero(letters == STAR))
    pieces.program_start = words_in(room, "program_start", count)
    with nogil:
        file_all(&f, count)
        pieces.count = pieces.size = 0
        pieces.piece_start[0] = pieces.program_start[0] = 0
        for i in range(count):
            cut_pieces(&f, i, &pieces)
    sizes = {"kind": count, "label": f.label_size, "byte": f.node_count,
             "label_start": f.node_count + 1, "first_child": f.node_count,
             "child_count": f.node_count, "subs": f.node_count, "end_start": f.node_count + 1,
             "end_pattern": count, "end_kind": count, "end_colons": count, "end_grams": count,
             "piece": pieces.size, "piece_start": pieces.count + 1, "program_start": count + 1}
    return {name: room[name][:size].copy() for name, size in sizes.items()}
