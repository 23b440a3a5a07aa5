"""One request at a time, from the objects a caller holds.

The same engines and the same steps as for a block of rows, on columns of one constant each. No array
is made and no column bound: texts are read where Python keeps them, and a resource whose action
decides alone is looked at but not remembered. `Checker` is for identity policies; that of several
layers is in runtime/layered_single.pyx. `Checks` is what callers see of them.
"""

import threading

import cython

from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from ..errors import RequestError
from .conditions import UNKNOWN as UNKNOWN_VALUE
from .decisions import Request
from .keys import is_key_named
from .values import encode_text, encode_value

from .answer cimport make_answer
from .classify cimport is_resource
from .column cimport COLUMN_CONSTANT, ColumnData
from .engine cimport ERROR_RESOURCE, Engine
from .identity cimport CELL_CONSTANT, Batch, Cell, IdentityEngine
from .intern cimport ABSENT_ID, NO_ID, UNKNOWN_ID, InternTable, intern_add

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef extern from *:
    """
    #define IAMT_NO_KEY 0xFFFFFFFFu
    #define IAMT_MANY_KEYS 0xFFFFFFFEu
    """
    const uint32_t NO_KEY "IAMT_NO_KEY"
    const uint32_t MANY_KEYS "IAMT_MANY_KEYS"

cdef enum:
    NOT_GIVEN = 0
    OTHER_SPELLING = 1
    EXACT = 2
    NAMED_UNKNOWN = 3       # CTX-4: whatever the context holds
    SPELLING_LIMIT = 4096   # spellings of keys that are remembered
    NAMES_LIMIT = 256       # sets of names of unknown keys that are remembered
    LAYOUT_LIMIT = 1024     # places of a context whose keys are remembered
    LOOK = 256              # checks between two looks at the memory budget
    TEXT_LIMIT = 1 << 20    # longer ones in a list go through Python


cdef int bytes_put(Bytes* bytes, const uint8_t* data, size_t size) noexcept nogil:
    """Append; -1 when memory is short."""
    cdef void* moved
    if bytes.count + size > bytes.capacity:
        moved = realloc(bytes.data, 2 * (bytes.count + size))
        if moved == NULL:
            return -1
        bytes.data = <uint8_t*>moved
        bytes.capacity = 2 * (bytes.count + size)
    memcpy(bytes.data + bytes.count, data, size)
    bytes.count += size
    return 0


cdef bint are_plain(action, resource, context, unknown) except -1:
    """Are these of the types that callers give, with no class of their own?"""
    if (type(action) is not str or (resource is not None and type(resource) is not str)
            or (context is not None and type(context) is not dict)):
        return False
    if type(unknown) is tuple and not <tuple>unknown:
        return True
    if type(unknown) is not tuple and type(unknown) is not list:
        return False
    for name in unknown:
        if type(name) is not str:
            return False
    return True


cdef class KeyReader:
    """Contexts of single requests, read into one constant column for each key of a table."""

    def __init__(self, Engine engine not None, table, type kind not None, derivable,
                 size_t budget_bytes):
        """kind: decisions.Decision
        derivable : numbers of the keys that follow from the sides where nobody gives them (CTX-3)
        """
        cdef size_t k, n = engine.key_count
        self.engine = engine
        self.table = table
        self.kind = kind
        self.names = [key.name for key in table.model.keys]
        if len(self.names) != n:
            raise ValueError("one name per key")
        self.derivable_keys = list(derivable)
        if any(number >= n for number in self.derivable_keys):
            raise IndexError(max(self.derivable_keys))
        self.numbers = {}
        for k, name in enumerate(self.names):
            self.numbers.setdefault(name.lower(), []).append(k)
        self.spellings = {}
        self.unknown = ()
        self.names_known = {}
        self.places = []
        self.met_texts = [None] * COLUMN_COUNT
        self.budget = budget_bytes
        self.columns = <ColumnData*>calloc(n + COLUMN_COUNT, sizeof(ColumnData))
        self.keys = <ColumnData**>calloc(n + 1, sizeof(void*))
        self.given = <uint8_t*>calloc(4 * n + 1, 1)
        self.touched = <uint32_t*>calloc(3 * n + 1, sizeof(uint32_t))
        self.layout = <Place*>calloc(LAYOUT_LIMIT, sizeof(Place))
        if (self.columns == NULL or self.keys == NULL or self.given == NULL or self.touched == NULL
                or self.layout == NULL):
            raise MemoryError
        self.is_derived = self.given + n
        self.named = self.given + 2 * n
        self.derivable = self.given + 3 * n
        for k in self.derivable_keys:
            self.derivable[k] = True
        for k in range(n + COLUMN_COUNT):
            self.columns[k].kind = COLUMN_CONSTANT
        for k in range(n):
            self.keys[k] = &self.columns[k]
        self.others = &self.columns[n]

    def __dealloc__(self):
        free(self.columns)
        free(self.keys)
        free(self.given)
        free(self.touched)
        free(self.layout)
        free(self.text.data)

    cdef object _ask(self, principal, action, resource, context, unknown, issuer_arn,
                     principal_account, principal_type, resource_account, is_management_account,
                     also_allowed):
        """The Decision of one request; None where it has to be asked another way. Arguments as in
        `Table.check`; values, and texts from `principal` on, may be `conditions.UNKNOWN`.

        Raises RequestError for a value that has no text form.
        """
        raise NotImplementedError

    cdef int _begin(self, dict context, tuple unknown) except -1:
        """Caches within their budget, and the values of the keys that the table asks for.

        A table may ask for hundreds of keys, of which a request gives a few: only what the request
        before has changed is taken back.
        """
        cdef size_t k, number
        self.count += 1
        if self.count % LOOK == 0 and self.engine._used() > self.budget:
            self.engine.clear()
        if self.generation != self.engine.generation:
            memset(self.met, 0, sizeof(self.met))
            self.generation = self.engine.generation
        for k in range(self.touched_count):
            number = self.touched[k]
            self.columns[number].constant = UNKNOWN_ID if self.named[number] else ABSENT_ID
        self.touched_count = 0
        if unknown is not self.unknown and unknown != self.unknown:
            self._name(unknown)
        memcpy(self.given, self.named, self.engine.key_count)
        memcpy(self.is_derived, self.derivable, self.engine.key_count)
        if context is not None and self.engine.key_count:
            self._read(context)
        self.engine.failed = False
        self.engine.error = None
        return 0

    cdef int _name(self, tuple unknown) except -1:
        """Other keys than before are named as unknown, of this request and those to come."""
        cdef size_t number
        cdef list numbers = self.names_known.get(unknown)
        if numbers is None:
            if len(self.names_known) >= NAMES_LIMIT:
                self.names_known.clear()
            numbers = [number for number, name in enumerate(self.names)
                       if is_key_named(name, unknown)]
            self.names_known[unknown] = numbers
        self.unknown = unknown
        for number in range(self.engine.key_count):
            if self.named[number]:
                self.columns[number].constant = ABSENT_ID
        memset(self.named, NOT_GIVEN, self.engine.key_count)
        for number in self.derivable_keys:
            self.derivable[number] = True
        for number in numbers:
            self.named[number] = NAMED_UNKNOWN
            self.derivable[number] = False
            self.columns[number].constant = UNKNOWN_ID
        return 0

    cdef int _read(self, dict context) except -1:
        """Keys compare without case (COND-4); the spelling of the policies counts before others, and
        of those the first (COND-5).

        Most callers give the same keys in the same order again, as the same objects: what stood at
        a place of the context before is compared first.
        """
        cdef PyObject* key
        cdef PyObject* value
        cdef Py_ssize_t position = 0
        cdef size_t at = 0
        cdef uint32_t code
        while PyDict_Next(context, &position, &key, &value):
            if at < LAYOUT_LIMIT and self.layout[at].key == key:
                code = self.layout[at].code
            else:
                code = self._learn(at, <object>key)
            at += 1
            if code == NO_KEY:
                continue
            if code != MANY_KEYS:
                self._put(code, <object>value)
                continue
            several, held = self._keys_of(<object>key), <object>value
            for code in several:
                self._put(code, held)
        return 0

    cdef uint32_t _learn(self, size_t at, key) except? 0:
        """What a key is, remembered for its place; a key of another type than str may change."""
        cdef list asked = self._keys_of(key)
        cdef uint32_t code = NO_KEY
        if asked is not None:
            code = asked[0] if len(asked) == 1 else MANY_KEYS
        if type(key) is str and at < LAYOUT_LIMIT and at <= <size_t>len(self.places):
            if at == <size_t>len(self.places):
                self.places.append(key)
            else:
                self.places[at] = key
            self.layout[at].key = <PyObject*>key
            self.layout[at].code = code
        return code

    cdef int _put(self, uint32_t code, value) except -1:
        """A key of the context has this value, unless a spelling that counts before it was met."""
        cdef size_t number = code >> 2
        if code & 3 <= self.given[number]:
            return 0
        if value is not None:
            if self.touched_count >= 2 * self.engine.key_count:  # by a value that runs code
                raise RuntimeError("a check was begun while a check was reading its context")
            self.touched[self.touched_count] = <uint32_t>number
            self.touched_count += 1
            self.columns[number].constant = self._value_id(number, value)
        elif self.given[number]:
            self.columns[number].constant = ABSENT_ID
        self.given[number] = code & 3
        self.is_derived[number] = False
        return 0

    cdef list _keys_of(self, key):
        """Which keys of the table a key of a context is, and how it spells them."""
        cdef PyObject* known = PyDict_GetItemWithError(self.spellings, key)
        if known != NULL:
            return <list>known
        if not isinstance(key, str):
            raise RequestError("a context key is no text", field="context",
                               help="give a dict: key -> value")
        if len(self.spellings) >= SPELLING_LIMIT:
            self.spellings.clear()
        asked = None
        if key.lower() in self.numbers:
            asked = [number << 2 | (EXACT if key == self.names[number] else OTHER_SPELLING)
                     for number in self.numbers[key.lower()]]
        self.spellings[key] = asked
        return asked

    cdef uint32_t _value_id(self, size_t number, value) except? 0:
        cdef InternTable* table = &self.engine.key_tables[number]
        if value is None:
            return ABSENT_ID
        if type(value) is str:
            return self._id(table, value)
        if value is UNKNOWN_VALUE:
            return UNKNOWN_ID
        if type(value) is list and self._put_list(<list>value):
            return self._added(intern_add(table, self.text.data, self.text.count))
        data = encode_value(value, self.names[number])
        return ABSENT_ID if data is None else self.engine._interned(table, data)

    cdef bint _put_list(self, list values) except -1:
        """Write a list into `text` as `values.encode_list` does; False where that has to do it."""
        cdef uint32_t size
        self.text.count = 0
        if bytes_put(&self.text, b"\xff", 1):
            return False
        for value in values:
            if type(value) is not str or not PyUnicode_IS_COMPACT_ASCII(value):
                return False
            size = <uint32_t>PyUnicode_GET_LENGTH(value)
            if (PyUnicode_GET_LENGTH(value) > TEXT_LIMIT
                    or bytes_put(&self.text, <const uint8_t*>&size, sizeof(size))
                    or bytes_put(&self.text, <const uint8_t*>PyUnicode_DATA(value), size)):
                return False
        return True

    cdef uint32_t _id(self, InternTable* table, str text) except? 0:
        if not PyUnicode_IS_COMPACT_ASCII(text):
            return self.engine._interned(table, encode_text(text))
        return self._added(
            intern_add(table, <const uint8_t*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)))

    cdef bint _put_text(self, size_t at, InternTable* table, text) except -1:
        """Let column `at` of `others` hold a text, None or UNKNOWN; False for anything else.

        Callers often give the very objects of the check before; their ids are known.
        """
        cdef uint32_t id = ABSENT_ID
        if self.met[at].key == <PyObject*>text:
            self.others[at].constant = self.met[at].code
            return True
        if text is UNKNOWN_VALUE:
            id = UNKNOWN_ID
        elif type(text) is str:
            id = self._id(table, <str>text)
        elif text is not None:
            return False
        self.met_texts[at] = text
        self.met[at].key = <PyObject*>text
        self.met[at].code = id
        self.others[at].constant = id
        return True

    cdef uint32_t _added(self, uint32_t id) except? 0:
        if id == NO_ID:
            raise MemoryError
        return id


@cython.final
cdef class Checker(KeyReader):
    """Checks under identity policies on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    cdef IdentityEngine identity
    cdef uint8_t decision, error
    cdef int32_t statement
    cdef Batch batch

    def __init__(self, IdentityEngine engine not None, table, type kind not None,
                 size_t budget_bytes):
        """kind: decisions.Decision"""
        KeyReader.__init__(self, engine, table, kind, (), budget_bytes)
        self.identity = engine
        memset(&self.batch, 0, sizeof(Batch))
        self.batch.actions = &self.others[0]
        self.batch.resources = &self.others[1]
        self.batch.keys = self.keys
        self.batch.decision = &self.decision
        self.batch.statement = &self.statement
        self.batch.error = &self.error

    cdef object _ask(self, principal, action, resource, context, unknown, issuer_arn,
                     principal_account, principal_type, resource_account, is_management_account,
                     also_allowed):
        cdef tuple names
        if not are_plain(action, resource, context, unknown):
            return None
        names = tuple(unknown)
        self._decide_one(<str>action, <str>resource, <dict>context, names)
        if self.error:
            return None
        return make_answer(self.kind, self.table, self.decision, self.statement,
                           (principal, action, resource, {} if context is None else context, names,
                            issuer_arn, principal_account, principal_type, resource_account,
                            is_management_account, also_allowed), None, None)

    cdef int _decide_one(self, str action, str resource, dict context, tuple unknown) except -1:
        cdef IdentityEngine engine = self.identity
        cdef Cell cell
        self._begin(context, unknown)
        self._put_text(0, &engine.action_table, action)
        if engine._cell_of(&self.batch, 0, &cell) == NO_ID:
            engine._raise()
        if cell.list >= CELL_CONSTANT:
            self.decision = cell.list & 3
            self.statement = cell.statement
            self.error = cell.list >> 8 & 0xFF
            if not self.error and resource is not None and not self._is_resource(resource):
                self.error = ERROR_RESOURCE
        else:
            self.batch.resources.constant = UNKNOWN_ID if resource is None else (
                self._id(&engine.resources.texts, resource))
            self._decide(cell.list)
        return 0

    cdef int _decide(self, uint32_t list) except -1:
        cdef IdentityEngine engine = self.identity
        self.error = 0
        engine.block.found[0] = 0
        engine.block.list[0] = list
        if engine._classify(&self.batch, 1) and engine._shorten(&self.batch, 1):
            list = engine.block.list[0]
            engine.block.row[0] = 0
            engine.block.resource[0] = engine.block.classed[0]
            engine._decide_group(&self.batch, engine.pool.data + engine.list_start.data[list], 0, 1)
        if engine.failed:
            engine._raise()
        return 0

    cdef bint _is_resource(self, str text) except -1:
        cdef bytes data
        if PyUnicode_IS_COMPACT_ASCII(text):
            return is_resource(<const uint8_t*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
        data = encode_text(text)
        return is_resource(data, len(data))


cdef class Checks:
    """`check` as callers see it: keywords in, and no call of Python on the way to the kernel.

    A subclass makes the KeyReader (`_make_checker`) and answers what that does not (`_check_row`:
    errors, and arguments that are no plain texts, lists and dicts).
    """

    cdef KeyReader reader

    cdef KeyReader _reader(self):
        if self.reader is None:
            self.reader = self._make_checker()
        return self.reader

    def check(self, *, action, resource, principal=None, context=None, unknown=(), issuer_arn=None,
              principal_account=None, principal_type=None, resource_account=None,
              is_management_account=False, also_allowed=False):
        """Decide one request.

        resource : an ARN or `*`; None when it is not known
        context  : key -> text, number, boolean, time, a list of these (a multivalued key), or None
                   (absent); keys compare without case
        unknown  : keys, or `prefix/*`, whose value is not known

        The rest matters where more than identity policies are in play:

        issuer_arn        : the role, with its path, or the IAM user behind a session (CT-2)
        principal_account, principal_type : override what the principal says of itself (PRIN-2)
        resource_account  : owner of the resource, where its ARN does not tell (EVAL-3); empty when
                            it is not known, None when it may be taken for the requester's
        is_management_account : the principal is of the organization's management account (EVAL-6)
        also_allowed      : means that are out of scope allow it: a grant, an ACL ... (EVAL-45)

        Raises RequestError for a malformed action or resource (ACT-8, RES-12), and for a principal
        that can make no request (PRIN-2).
        """
        decided = self._reader()._ask(
            principal, action, resource, context, unknown, issuer_arn, principal_account,
            principal_type, resource_account, is_management_account, also_allowed)
        if decided is not None:
            return decided
        return self._check_row(Request(
            principal, action, resource, context or {}, tuple(unknown), issuer_arn,
            principal_account, principal_type, resource_account, is_management_account,
            also_allowed))

    def forget_checks(self):
        """Drop the caches of `check`."""
        self.reader = None


cdef class SharedChecks(Checks):
    """`check` that threads may share: each has a KeyReader, and so caches, of its own."""

    cdef object readers

    def __cinit__(self):
        self.readers = threading.local()

    cdef KeyReader _reader(self):
        try:
            return self.readers.reader
        except AttributeError:
            self.readers.reader = self._make_checker()
            return self.readers.reader
