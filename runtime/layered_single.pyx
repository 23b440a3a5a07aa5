"""One request at a time when several policy layers meet, from the objects a caller holds."""

from functools import partial

import cython

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .codes import Layer

from .answer cimport make_answer
from .column cimport ColumnData
from .intern cimport ABSENT_ID, UNKNOWN_ID
from .layered cimport Batch, LayeredEngine
from .single cimport KeyReader

cdef tuple LAYERS = tuple(Layer)


@cython.final
cdef class LayeredChecker(KeyReader):
    """Checks under every layer on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    cdef LayeredEngine layered
    cdef object deciders
    cdef list derivable         # numbers of the keys that may follow from the sides (CTX-3)
    cdef uint8_t* is_derived
    cdef uint8_t decision, layer, error
    cdef int32_t statement
    cdef ColumnData* who[4]
    cdef Batch batch

    def __init__(self, LayeredEngine engine not None, table, type kind not None, deciders, derivable,
                 size_t budget_bytes):
        """kind: decisions.Decision
        deciders  : of `last_row` and the fields of a request, gives the layers that decided
        derivable : numbers of the keys that may follow
        """
        cdef size_t k
        KeyReader.__init__(self, engine, table, kind, budget_bytes)
        self.layered = engine
        self.deciders = deciders
        self.derivable = list(derivable)
        if any(number >= engine.key_count for number in self.derivable):
            raise IndexError(max(self.derivable))
        self.is_derived = <uint8_t*>calloc(engine.key_count + 1, 1)
        if self.is_derived == NULL:
            raise MemoryError
        for k in range(4):
            self.who[k] = &self.others[k]
        memset(&self.batch, 0, sizeof(Batch))
        self.batch.who = self.who
        self.batch.actions = &self.others[4]
        self.batch.resources = &self.others[5]
        self.batch.owners = &self.others[6]
        self.batch.keys = self.keys
        self.batch.is_derived = self.is_derived
        self.batch.decision = &self.decision
        self.batch.layer = &self.layer
        self.batch.statement = &self.statement
        self.batch.error = &self.error

    def __dealloc__(self):
        free(self.is_derived)

    def check(self, principal, action, resource, context):
        """The Decision of one request; None where it has to be asked another way.

        principal : None for nobody, which is an error
        resource  : None where it is not known; its owner is what the ARN says (EVAL-3)
        context   : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
        if (type(action) is not str or (principal is not None and type(principal) is not str)
                or (resource is not None and type(resource) is not str)
                or (context is not None and type(context) is not dict)):
            return None
        self._decide_one(<str>principal, <str>action, <str>resource, <dict>context)
        if self.error:
            return None
        asked = (principal, action, resource, {} if context is None else context)
        return make_answer(self.kind, self.table, self.decision, self.statement, asked,
                           LAYERS[self.layer], partial(self.deciders, self.layered.last_row(), asked))

    cdef int _decide_one(self, str principal, str action, str resource, dict context) except -1:
        cdef LayeredEngine engine = self.layered
        cdef size_t number
        self._begin(context)
        for number in self.derivable:
            self.is_derived[number] = self.given[number] == 0
        self.who[0].constant = ABSENT_ID if principal is None else self._id(&engine.names, principal)
        self.batch.actions.constant = self._id(&engine.action_table, action)
        self.batch.resources.constant = UNKNOWN_ID if resource is None else (
            self._id(&engine.resources.texts, resource))
        self.error = 0
        engine._start_batch(self.who, NULL, self.batch.owners)
        if engine._decide_block(&self.batch, 0, 1) or engine.failed:
            engine.clear()  # what was being learnt is half there
            engine._raise()
        return 0
