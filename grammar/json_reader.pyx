"""JSON text -> nodes: a scanner, and a loop over the tables that Lark makes of `policy.lark`.

Lark's own loop asks three dictionaries and makes an object for each token; that was half the time from
text to a table. Here a token is a number and two offsets, the tables are two arrays (`ParseTable`,
filled by lexing.py), and the rules build their nodes at once. The scanner knows the terminals of
`policy.lark` by heart; tests hold both against Lark with the terminals as they are written there,
on real, mutated and made-up texts.

Nodes know their offsets as numbers and make a `Span` when asked. A `Text` is no container, so the
garbage collector never looks at the most frequent node of a tree.
"""

import json

cimport cython
from cpython.unicode cimport PyUnicode_READ, PyUnicode_Substring
from libc.stdint cimport int16_t
from libc.string cimport memset

from ..source import Span

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

# Terminals of policy.lark, and what Lark adds as the end of every input.
TERMINALS = ("FIRST_KEY", "NEXT_KEY", "VALUE", "LBRACE", "RBRACE", "LBRACKET", "RBRACKET", "COMMA",
             "END", "$END")
# Its rules by what they build: their alias, or else their own name.
RULES = ("container", "start", "empty_object", "object", "first_member", "next_member", "empty_array",
         "array", "first_item", "next_item")
MAX_DEPTH = 64
"""Levels of nesting; a policy needs six, the output of an AWS tool around it a few more."""

cdef enum:
    FIRST_KEY, NEXT_KEY, VALUE, LBRACE, RBRACE, LBRACKET, RBRACKET, COMMA, END, INPUT_END
    TERMINAL_COUNT
    NO_TOKEN = TERMINAL_COUNT

cdef enum:
    CONTAINER, START, EMPTY_OBJECT, OBJECT, FIRST_MEMBER, NEXT_MEMBER, EMPTY_ARRAY, ARRAY, FIRST_ITEM
    NEXT_ITEM

cdef enum:
    DEPTH = 64
    SYMBOLS = 4 * DEPTH     # an open container has at most three on the stack
    STATES = 64
    RULE_COUNT = 64

assert DEPTH == MAX_DEPTH and len(TERMINALS) == TERMINAL_COUNT and len(RULES) == NEXT_ITEM + 1


class NotJson(Exception):
    """No token starts where one must, or one that the grammar does not allow there."""


class TooDeep(Exception):
    """Nested deeper than MAX_DEPTH; the argument is the offset of the bracket too much."""


cdef class Text:
    """A string, number or boolean of the document: its value as text (GRAM-5) and its span.

    The span covers the token as written, quotes included.
    """

    def __init__(self, str value not None, span):
        """span : a `Span`, or its two offsets"""
        self.value = value
        self.start, self.end = span

    @property
    def span(self):
        return Span(self.start, self.end)

    def __eq__(self, other):
        if type(other) is not Text:
            return NotImplemented
        cdef Text text = other
        return self.start == text.start and self.end == text.end and self.value == text.value

    def __hash__(self):
        return hash((self.value, self.start, self.end))

    def __repr__(self):
        return f"Text(value={self.value!r}, span={self.span!r})"

    def __reduce__(self):
        return Text, (self.value, (self.start, self.end))


cdef class JsonScalar:
    """A number, `true`, `false` or `null`, as written."""

    cdef readonly str lexeme
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end

    @property
    def span(self):
        return Span(self.start, self.end)


cdef class JsonArray:
    """An array. `is_text` claims that every item is a `Text`."""

    cdef readonly list items
    cdef readonly bint is_text
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end

    @property
    def span(self):
        return Span(self.start, self.end)


cdef class JsonObject:
    """An object: (key, value) by name. For a repeated key the last one stands (GRAM-2)."""

    cdef readonly dict members
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end

    @property
    def span(self):
        return Span(self.start, self.end)


@cython.auto_pickle(False)
cdef class ParseTable:
    """LALR tables of `policy.lark`: what to do at a terminal, where to go after a rule."""

    cdef int16_t[STATES][TERMINAL_COUNT] action      # 0: error, s + 1: shift, -r - 1: reduce
    cdef int16_t[STATES][RULE_COUNT] goto            # by rule: the state after its left side
    cdef int16_t[RULE_COUNT] size
    cdef int16_t[RULE_COUNT] build
    cdef int16_t start
    cdef int16_t accept

    def __init__(self, actions, gotos, rules, int16_t start, int16_t accept):
        """
        actions : by state, of each terminal that may come: ("shift", state) or ("reduce", rule)
        gotos   : by state, of each rule that may end there: the state after its left side
        rules   : (name in RULES, length of the right side)
        """
        if len(actions) > STATES or len(rules) > RULE_COUNT or len(gotos) != len(actions):
            raise ValueError("the grammar has outgrown its tables")
        self.start, self.accept = start, accept
        memset(self.action, 0, sizeof(self.action))
        memset(self.goto, 0, sizeof(self.goto))
        for number, (name, size) in enumerate(rules):
            self.build[number] = RULES.index(name)
            self.size[number] = size
        for state, row in enumerate(actions):
            for terminal, (step, argument) in row.items():
                self.action[state][TERMINALS.index(terminal)] = (
                    argument + 1 if step == "shift" else -argument - 1)
        for state, row in enumerate(gotos):
            for rule, to in row.items():
                self.goto[state][rule] = to


# --- the scanner

cdef struct Letters:
    int kind
    const void* data
    Py_ssize_t count


cdef inline Py_UCS4 letter(const Letters* s, Py_ssize_t at) noexcept:
    """The character at an offset; 0, which no token holds, behind the last one."""
    return PyUnicode_READ(s.kind, s.data, at) if at < s.count else 0


cdef inline Py_ssize_t skip_space(const Letters* s, Py_ssize_t at) noexcept:
    cdef Py_UCS4 c = letter(s, at)
    while c == 32 or c == 10 or c == 13 or c == 9:
        at += 1
        c = letter(s, at)
    return at


cdef inline bint is_digit(Py_UCS4 c) noexcept:
    return 48 <= c <= 57


cdef bint is_hex(Py_UCS4 c) noexcept:
    return is_digit(c) or 65 <= c <= 70 or 97 <= c <= 102


cdef Py_ssize_t string_end(const Letters* s, Py_ssize_t at, bint* is_escaped) noexcept:
    """Behind the string that begins at an offset; -1 if none does."""
    cdef Py_UCS4 c
    cdef Py_ssize_t i
    is_escaped[0] = False
    if letter(s, at) != c'"':
        return -1
    at += 1
    while True:
        c = letter(s, at)
        while c != c'"' and c != c'\\' and c >= 32:
            at += 1
            c = letter(s, at)
        if c == c'"':
            return at + 1
        if c != c'\\':
            return -1
        is_escaped[0] = True
        c = letter(s, at + 1)
        at += 2
        if c == c'u':
            for i in range(4):
                if not is_hex(letter(s, at + i)):
                    return -1
            at += 4
        elif not (c == c'"' or c == c'\\' or c == c'/' or c == c'b' or c == c'f' or c == c'n'
                  or c == c'r' or c == c't'):
            return -1


cdef Py_ssize_t number_end(const Letters* s, Py_ssize_t at) noexcept:
    """Behind the number that begins at an offset; -1 if none does."""
    cdef Py_ssize_t then
    if letter(s, at) == c'-':
        at += 1
    if not is_digit(letter(s, at)):
        return -1
    if letter(s, at) == c'0':
        at += 1
    else:
        while is_digit(letter(s, at)):
            at += 1
    if letter(s, at) == c'.' and is_digit(letter(s, at + 1)):
        at += 1
        while is_digit(letter(s, at)):
            at += 1
    if letter(s, at) == c'e' or letter(s, at) == c'E':
        then = at + 1
        if letter(s, then) == c'+' or letter(s, then) == c'-':
            then += 1
        if is_digit(letter(s, then)):
            at = then
            while is_digit(letter(s, at)):
                at += 1
    return at


cdef Py_ssize_t word_end(const Letters* s, Py_ssize_t at, const char* word) noexcept:
    while word[0]:
        if letter(s, at) != <unsigned char>word[0]:
            return -1
        word += 1
        at += 1
    return at


cdef class _Scanner:
    """One text on its way to tokens: what `next` found last."""

    cdef str text
    cdef Letters letters
    cdef Py_ssize_t at
    cdef Py_ssize_t depth
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    cdef object value

    def __cinit__(self, str text):
        self.text = text
        self.letters.kind = PyUnicode_KIND(text)
        self.letters.data = PyUnicode_DATA(text)
        self.letters.count = PyUnicode_GET_LENGTH(text)

    cdef Text string(self, Py_ssize_t start, Py_ssize_t end, bint is_escaped):
        cdef Text found = Text.__new__(Text)
        found.start = start
        found.end = end
        if is_escaped:
            found.value = json.loads(self.text[start:end])
        else:
            found.value = PyUnicode_Substring(self.text, start + 1, end - 1)
        return found

    cdef JsonArray texts(self):
        """The array of plain strings that begins at `start`; None if it is another one."""
        cdef list items = []
        cdef JsonArray found
        cdef const Letters* s = &self.letters
        cdef bint is_escaped
        cdef Py_ssize_t at = self.start, end
        while not items or letter(s, at) == c',':
            at = skip_space(s, at + 1)
            end = string_end(s, at, &is_escaped)
            if end < 0:
                return None
            items.append(self.string(at, end, is_escaped))
            at = skip_space(s, end)
        if letter(s, at) != c']':
            return None
        found = JsonArray.__new__(JsonArray)
        found.items, found.is_text, found.start, found.end = items, True, self.start, at + 1
        return found

    cdef bint key(self, int behind) except -1:
        """Whether a key and its colon follow the character at `start`."""
        cdef const Letters* s = &self.letters
        cdef bint is_escaped
        cdef Py_ssize_t at = skip_space(s, self.start + 1), end = string_end(s, at, &is_escaped), colon
        if end < 0:
            return False
        colon = skip_space(s, end)
        if letter(s, colon) != c':':
            return False
        self.value = self.string(at, end, is_escaped)
        self.end = colon + 1
        return True

    cdef int deeper(self) except -1:
        self.depth += 1
        if self.depth > DEPTH:
            raise TooDeep(self.start)
        return 0

    cdef int next(self) except -1:
        """The next terminal; its offsets and value are left in the fields."""
        cdef const Letters* s = &self.letters
        cdef Py_UCS4 c
        cdef JsonScalar scalar
        cdef bint is_escaped
        cdef Py_ssize_t end
        self.start = skip_space(s, self.at)
        c = letter(s, self.start)
        self.value = None
        self.end = self.start + 1
        if self.start >= s.count:
            self.start = self.end = self.at
            return END
        if c == c',':
            end = NEXT_KEY if self.key(0) else COMMA
            self.at = self.end
            return end
        if c == c'{':
            self.deeper()
            end = FIRST_KEY if self.key(0) else LBRACE
            self.at = self.end
            return end
        if c == c'}' or c == c']':
            self.depth -= 1
            self.at = self.end
            return RBRACE if c == c'}' else RBRACKET
        if c == c'[':
            self.deeper()
            self.value = self.texts()
            if self.value is None:
                self.at = self.end
                return LBRACKET
            self.depth -= 1
            self.at = (<JsonArray>self.value).end
            return VALUE
        if c == c'"':
            end = string_end(s, self.start, &is_escaped)
            if end < 0:
                return NO_TOKEN
            self.value = self.string(self.start, end, is_escaped)
            self.at = end
            return VALUE
        if c == c't':
            end = word_end(s, self.start, b"true")
        elif c == c'f':
            end = word_end(s, self.start, b"false")
        elif c == c'n':
            end = word_end(s, self.start, b"null")
        else:
            end = number_end(s, self.start)
        if end < 0:
            return NO_TOKEN
        scalar = JsonScalar.__new__(JsonScalar)
        scalar.lexeme = PyUnicode_Substring(self.text, self.start, end)
        scalar.start = self.start
        scalar.end = self.at = end
        self.value = scalar
        return VALUE


# --- the parser

cdef struct Stack:
    int16_t[SYMBOLS] state      # before each symbol, and the one after the last
    Py_ssize_t[SYMBOLS] start
    Py_ssize_t[SYMBOLS] end
    Py_ssize_t top


cdef int put(JsonObject node, Text key, object value, list repeats) except -1:
    cdef str name = key.value
    earlier = node.members.get(name)
    if earlier is not None:
        repeats.append((earlier[0], key))
    node.members[name] = (key, value)
    return 0


cdef object built(int rule, list values, const Stack* stack, Py_ssize_t first, list repeats):
    """What a rule makes of the symbols of its right side, the first of which is given."""
    cdef JsonObject node
    cdef JsonArray array
    if rule == NEXT_MEMBER:
        node = values[first]
        put(node, values[first + 1], values[first + 2], repeats)
        return node
    if rule == FIRST_MEMBER or rule == EMPTY_OBJECT:
        node = JsonObject.__new__(JsonObject)
        node.members = {}
        node.start = stack.start[first]
        if rule == FIRST_MEMBER:
            put(node, values[first], values[first + 1], repeats)
        else:
            node.end = stack.end[first + 1]
        return node
    if rule == OBJECT:
        node = values[first]
        node.end = stack.end[first + 1]
        return node
    if rule == NEXT_ITEM:
        array = values[first]
        array.items.append(values[first + 2])
        return array
    if rule == FIRST_ITEM or rule == EMPTY_ARRAY:
        array = JsonArray.__new__(JsonArray)
        array.items = [values[first + 1]] if rule == FIRST_ITEM else []
        array.is_text = rule == EMPTY_ARRAY
        array.start = stack.start[first]
        array.end = stack.end[first + 1]
        return array
    if rule == ARRAY:
        array = values[first]
        array.end = stack.end[first + 1]
        return array
    return values[first]    # container, start


def read_json(str text not None, ParseTable table not None, list repeats not None):
    """The node of a text. Keys that occur again in their object are appended to `repeats`, as (an
    earlier one, the next one). Linear in the length of the text; never recurses.

    Raises NotJson, and TooDeep beyond MAX_DEPTH, whichever is met first.
    """
    cdef _Scanner scanner = _Scanner.__new__(_Scanner, text)
    cdef list values = [None] * SYMBOLS
    cdef Stack stack
    cdef int terminal, step, rule
    cdef Py_ssize_t first
    stack.top = 0
    stack.state[0] = table.start
    terminal = scanner.next()
    while terminal != NO_TOKEN:
        step = table.action[stack.state[stack.top]][terminal]
        if step > 0:
            if stack.top + 1 >= SYMBOLS:
                raise NotJson       # no text of at most MAX_DEPTH levels gets here
            values[stack.top] = scanner.value
            stack.start[stack.top] = scanner.start
            stack.end[stack.top] = scanner.end
            stack.top += 1
            stack.state[stack.top] = <int16_t>(step - 1)
            terminal = INPUT_END if terminal == END else scanner.next()
        elif step < 0:
            rule = -step - 1
            first = stack.top - table.size[rule]
            values[first] = built(table.build[rule], values, &stack, first, repeats)
            stack.top = first + 1
            stack.state[stack.top] = table.goto[stack.state[first]][rule]
            if terminal == INPUT_END and stack.state[stack.top] == table.accept:
                return values[first]
        else:
            break
    raise NotJson
