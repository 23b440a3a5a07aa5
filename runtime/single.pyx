"""One request at a time, from the objects a caller holds.

The same engines and the same steps as for a block of rows, on columns of one constant each. No array
is made and no column bound: texts are read where Python keeps them, and a resource whose action
decides alone is looked at but not remembered. `Checker` is for identity policies; that of several
layers is in runtime/layered_single.pyx.
"""

import cython

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from ..errors import RequestError
from .conditions import UNKNOWN as UNKNOWN_VALUE
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

cdef enum:
    NOT_GIVEN = 0
    OTHER_SPELLING = 1
    EXACT = 2
    SPELLING_LIMIT = 4096   # spellings of keys that are remembered
    LOOK = 64               # checks between two looks at the memory budget
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


cdef class KeyReader:
    """Contexts of single requests, read into one constant column for each key of a table."""

    def __init__(self, Engine engine not None, table, type kind not None, size_t budget_bytes):
        """kind: decisions.Decision"""
        cdef size_t k
        self.engine = engine
        self.table = table
        self.kind = kind
        self.names = [key.name for key in table.model.keys]
        if len(self.names) != engine.key_count:
            raise ValueError("one name per key")
        self.numbers = {}
        for k, name in enumerate(self.names):
            self.numbers.setdefault(name.lower(), []).append(k)
        self.spellings = {}
        self.budget = budget_bytes
        self.columns = <ColumnData*>calloc(engine.key_count + COLUMN_COUNT, sizeof(ColumnData))
        self.keys = <ColumnData**>calloc(engine.key_count + 1, sizeof(void*))
        self.given = <uint8_t*>calloc(engine.key_count + 1, 1)
        if self.columns == NULL or self.keys == NULL or self.given == NULL:
            raise MemoryError
        for k in range(engine.key_count + COLUMN_COUNT):
            self.columns[k].kind = COLUMN_CONSTANT
        for k in range(engine.key_count):
            self.keys[k] = &self.columns[k]
        self.others = &self.columns[engine.key_count]

    def __dealloc__(self):
        free(self.columns)
        free(self.keys)
        free(self.given)
        free(self.text.data)

    cdef int _begin(self, dict context) except -1:
        """Caches within their budget, and the values of the keys that the table asks for."""
        cdef size_t k
        self.count += 1
        if self.count % LOOK == 0 and self.engine._used() > self.budget:
            self.engine.clear()
        for k in range(self.engine.key_count):
            self.columns[k].constant = ABSENT_ID
        memset(self.given, NOT_GIVEN, self.engine.key_count)
        if context is not None and context and self.engine.key_count:
            self._read(context)
        self.engine.failed = False
        self.engine.error = None
        return 0

    cdef int _read(self, dict context) except -1:
        """Keys compare without case (COND-4); the spelling of the policies counts before others, and
        of those the first (COND-5)."""
        cdef list asked
        cdef size_t number, code
        for key, value in context.items():
            asked = self._keys_of(key)
            if asked is None:
                continue
            for code in asked:
                number = code >> 2
                if code & 3 > self.given[number]:
                    self.given[number] = code & 3
                    self.columns[number].constant = self._value_id(number, value)
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
        KeyReader.__init__(self, engine, table, kind, budget_bytes)
        self.identity = engine
        memset(&self.batch, 0, sizeof(Batch))
        self.batch.actions = &self.others[0]
        self.batch.resources = &self.others[1]
        self.batch.keys = self.keys
        self.batch.decision = &self.decision
        self.batch.statement = &self.statement
        self.batch.error = &self.error

    def check(self, principal, action, resource, context):
        """The Decision of one request; None where it has to be asked another way.

        principal : None, or a text, which is only kept
        resource  : None where it is not known
        context   : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
        if (type(action) is not str or (resource is not None and type(resource) is not str)
                or (context is not None and type(context) is not dict)):
            return None
        self._decide_one(<str>action, <str>resource, <dict>context)
        if self.error:
            return None
        return make_answer(self.kind, self.table, self.decision, self.statement,
                           (principal, action, resource, {} if context is None else context), None,
                           None)

    cdef int _decide_one(self, str action, str resource, dict context) except -1:
        cdef IdentityEngine engine = self.identity
        cdef Cell cell
        self._begin(context)
        self.batch.actions.constant = self._id(&engine.action_table, action)
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
